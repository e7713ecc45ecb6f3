"""Programs for platforms that are not there: what is lowered for them, and their algorithms run on CPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import jax

NAMES = ("cpu", "cuda", "rocm", "tpu")


def lowered(function: Callable[..., Any], *arguments: Any, platform: str) -> str:
    """The StableHLO that JAX makes for a platform; no plugin is needed for it."""
    own = jax.jit(lambda *own: function(*own))  # noqa: PLW0108 (one that JAX has not traced before)
    return own.trace(*arguments).lower(lowering_platforms=(platform,)).as_text()


@contextmanager
def believed(platform: str) -> Iterator[None]:
    """What is traced here has the algorithms of this platform, wherever it runs, and parameters are prepared for it."""

    def chosen(*arguments: Any, default: Callable[..., Any] | None = None, **by_platform: Callable[..., Any]) -> Any:
        branch = by_platform.get(platform, default)
        assert branch
        return branch(*arguments)

    jax.clear_caches()
    with (
        patch.object(jax.lax, "platform_dependent", chosen),
        patch("nst_jax.devices.platform", lambda: platform),
    ):
        yield
    jax.clear_caches()
