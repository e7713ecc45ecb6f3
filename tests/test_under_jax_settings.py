"""JAX's settings for debugging: the package runs under each, and its pictures stay what they are."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import optax
import pytest

import nst_jax as nst
from nst_jax.optim.compiler import Programs

LOW = {"content_layers": ("conv1_2",), "style_layers": ("conv1_1", "pool1"), "size": 32}


@pytest.fixture(scope="module")
def pictures(picture):
    """A photograph and a painting of 32x32 pixels."""
    return picture("photograph", 32, 32), picture("painting", 32, 32)


def images_of(params: Any, photo: np.ndarray, painting: np.ndarray) -> dict[str, Any]:
    """What each way into the package makes, traced and compiled anew."""
    made: dict[str, Any] = {}
    made["stylize"] = nst.stylize(
        photo, [painting, photo], params=params, evaluations=4, style_blend=(1.0, 2.0), tv=1e-3,
        compile=Programs(), **LOW,
    ).image  # fmt: skip
    several = {"optimizer": "adam", "init": "content", "ratio": (1e-3, 1e-2)}
    swept = nst.sweep(photo, painting, params=params, evaluations=3, compile=Programs(), **several, **LOW)
    made["sweep"] = [outcome.image for outcome in swept]
    darker = nst.Term(lambda images: images.mean((1, 2, 3)), weight=[0.1, 0.2], name="darker")
    goal = nst.objective(photo, painting, params=params, ratio=(1e-3, 1e-2), **LOW).plus(darker)
    start = jax.device_put(np.stack([photo, photo]))
    in_strips = replace(goal, strips=(2, 2))
    made["gradient"] = jax.jit(jax.grad(lambda images: in_strips(images).total.sum()))(start)
    adam = optax.adam(0.1)
    made["minimize"] = nst.minimize(lambda x: (x**2).sum((1, 2, 3)), start, optimizer=adam, evaluations=3).images
    made["evaluate"] = nst.evaluate(photo, photo, painting, params=params, **LOW).total
    made["features"] = nst.features(params, photo, ["conv1_1"])
    return jax.device_get(made)


@pytest.fixture(scope="module")
def plain(params, pictures):
    """With JAX's defaults."""
    return images_of(jax.device_get(params), *pictures)


STOPS = (
    lambda: jax.debug_nans(True),
    lambda: jax.debug_infs(True),
    lambda: jax.numpy_rank_promotion("raise"),
    lambda: jax.numpy_dtype_promotion("strict"),
    lambda: jax.transfer_guard("disallow"),
    jax.checking_leaks,
    lambda: jax.enable_checks(True),
    lambda: jax.debug_key_reuse(True),
    lambda: jax.default_prng_impl("rbg"),
    lambda: jax.threefry_partitionable(False),
    lambda: jax.default_matmul_precision("bfloat16"),
)
"""What raises where something is not as the setting wants it, or changes what is random or rounded; all at once."""
SETTINGS: dict[str, tuple[Callable[[], AbstractContextManager], ...]] = {
    "what stops": STOPS,
    "float64": (lambda: jax.enable_x64(True),),
}


@contextmanager
def under(*settings: Callable[[], AbstractContextManager]) -> Iterator[None]:
    with ExitStack() as stack:
        for setting in settings:
            stack.enter_context(setting())
        yield


@pytest.mark.parametrize("name", SETTINGS)
def test_everything_is_as_without(plain, params, pictures, name):
    with under(*SETTINGS[name]):
        made = images_of(jax.device_get(params), *pictures)
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(made), jax.tree.leaves(plain), strict=True):
        if name == "float64" and path[0].key in ("minimize", "sweep"):  # Optax corrects Adam's bias in float64 then
            np.testing.assert_allclose(one, other, atol=1e-5)
        else:
            np.testing.assert_array_equal(one, other, err_msg=str(path))
