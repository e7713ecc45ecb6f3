"""The style of pictures as descriptors, for other uses."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from nst_jax.errors import InputError
from nst_jax.loss import losses
from nst_jax.loss.objective import STYLE_LAYERS
from nst_jax.network.vgg import features

Array = jax.Array
KINDS = ("gram", "compact")


def channel_statistics(activation: Array) -> Array:
    """Each filter's mean and standard deviation over positions: a style representation of 2N numbers, not N².

    Li, Wang, Liu & Hou (arXiv 1701.01036, section 4.2) transfer style by these alone, as do Huang & Belongie (arXiv
    1703.06868, equation 8).

    Args:
      activation: F, [..., height, width, N].

    Returns:
      [..., 2N]: the N means, then the N standard deviations.
    """
    return jnp.concatenate([activation.mean((-3, -2)), activation.std((-3, -2))], axis=-1)


@partial(jax.jit, static_argnames=("kind", "layers", "pool", "precision"))
def style_descriptors(
    params: Any,
    images: Array,
    kind: str = "gram",
    layers: tuple[str, ...] = STYLE_LAYERS,
    *,
    pool: str = "avg",
    precision: str = "float32",
) -> dict[str, Array]:
    """A descriptor of each picture's style for each layer. Another height or width is compiled anew.

    Args:
      params: parameters, as `weights.load` gives them.
      images: [..., height, width, 3] float32 RGB, 0..1.
      kind: "gram" for G/M of equation 3 (`losses.style_representation`), "compact" for `channel_statistics`.

    Returns:
      {layer: [..., N, N] or [..., 2N] float32}.

    Raises:
      InputError: an unknown kind, and as `features`.
    """
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: unknown; known are {', '.join(KINDS)}")
    activations = features(params, images, layers, pool=pool, precision=precision)
    if kind == "compact":
        return {layer: channel_statistics(x) for layer, x in activations.items()}
    return {layer: losses.style_representation(x, precision) for layer, x in activations.items()}
