"""The devices that programs run on, unless others are named."""

from typing import Any

import jax


def local_devices() -> list[Any]:
    """Lists the devices of this process that work is spread over.

    Returns:
      All of the default platform's, or the one that JAX's configuration names (`jax.default_device`).
    """
    named: Any = getattr(jax.config, "jax_default_device")  # noqa: B009 (which type checkers do not know)
    if named is None:
        return jax.local_devices()
    return jax.local_devices(backend=named)[:1] if isinstance(named, str) else [named]


def platform() -> str:
    """Names the platform of those devices: "cpu", "gpu" or "tpu"."""
    return local_devices()[0].platform
