"""Where the optimization starts from."""

from functools import partial

import jax
import jax.numpy as jnp

from nst_jax.pictures.constants import IMAGENET_MEAN


def white_noise(seed: int, height: int, width: int, deviation: float = 1.0) -> jax.Array:
    """Gaussian white noise around the mean color of natural images.

    The default deviation is small on purpose: eq 7 hardly sees the highest frequencies, so that the pixel grain of
    strong noise would still be there at the end.

    Args:
      seed: of JAX's threefry generator, 0 to 2**32 - 1; the same seed gives the same bytes.
      height: in pixels.
      width: in pixels.
      deviation: standard deviation in 8-bit levels.

    Returns:
      [height, width, 3] float32 RGB; not clipped to 0..1.

    Example:
      >>> nst.white_noise(0, 48, 64).shape
      (48, 64, 3)
    """
    return _white_noise(jax.random.key(seed), height, width, deviation)


@partial(jax.jit, static_argnames=("height", "width"))
def _white_noise(key: jax.Array, height: int, width: int, deviation: float) -> jax.Array:
    noise = jax.random.normal(key, (height, width, 3), jnp.float32)
    return (jnp.asarray(IMAGENET_MEAN) + deviation * noise) / 255.0
