"""Where the optimization starts from."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.pictures.constants import IMAGENET_MEAN

_SEEDS = 2**32


def white_noise(seed: int, height: int, width: int, deviation: float = 1.0) -> jax.Array:
    """Gaussian white noise around the mean color of natural images.

    The default deviation is small on purpose: eq 7 hardly sees the highest frequencies, so that the pixel grain of
    strong noise would still be there at the end.

    Args:
      seed: of JAX's threefry generator, 0 to 2**32 - 1; the same seed gives the same bytes, however JAX is set.
      height: in pixels.
      width: in pixels.
      deviation: standard deviation in 8-bit levels.

    Returns:
      [height, width, 3] float32 RGB; not clipped to 0..1.

    Raises:
      InputError: a seed that is not allowed.

    Example:
      >>> nst.white_noise(0, 48, 64).shape
      (48, 64, 3)
    """
    if not 0 <= seed < _SEEDS:
        raise InputError(f"{argument('seed')}: {seed} is not allowed; must be from 0 to {_SEEDS - 1}")
    # As `jax.random.key(seed)` makes it by default, whatever generator, offset of seeds or form of it is JAX's default.
    with jax.threefry_partitionable(True), jax.disable_jit(False), jax.transfer_guard("allow"):
        data: Any = np.array([0, seed], np.uint32)
        key = jax.random.wrap_key_data(data, impl="threefry2x32")
        return _white_noise(key, height, width, deviation)


@partial(jax.jit, static_argnames=("height", "width"))
def _white_noise(key: jax.Array, height: int, width: int, deviation: float) -> jax.Array:
    noise = jax.random.normal(key, (height, width, 3), jnp.float32)
    return (jnp.array([[IMAGENET_MEAN]], jnp.float32) + deviation * noise) / 255.0
