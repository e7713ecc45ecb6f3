"""The style of pictures as descriptors, for other uses."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.errors import InputError
from nst_jax.loss import losses
from nst_jax.network.layers import STYLE_LAYERS
from nst_jax.network.vgg import check_layers, features

Array = jax.Array
KINDS = ("gram", "compact")


def channel_statistics(activations: Array) -> Array:
    """Takes each filter's mean and standard deviation over positions: a style representation of 2N numbers, not N².

    Li, Wang, Liu & Hou (arXiv 1701.01036, section 4.2) transfer style by these alone, as do Huang & Belongie (arXiv
    1703.06868, equation 8).

    Args:
      activations: F, [..., height, width, N] float.

    Returns:
      [..., 2N]: the N means, then the N standard deviations, in the units of F.

    Example:
      >>> nst.measures.channel_statistics(jnp.ones((4, 6, 2))).tolist()
      [1.0, 1.0, 0.0, 0.0]
    """
    variance = activations.var((-3, -2))
    # A filter that never responds has a deviation of zero, where the root has no derivative.
    deviation = jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)
    return jnp.concatenate([activations.mean((-3, -2)), deviation], axis=-1)


@jax.transfer_guard("allow")
def style_descriptors(
    params: Any,
    images: jax.Array | np.ndarray,
    kind: str = "gram",
    layers: Iterable[str] = STYLE_LAYERS,
    *,
    pool: str = "avg",
    padding: str = "zero",
    precision: str = "float32",
) -> dict[str, Array]:
    """Describes the style of each picture, for each layer. Another height or width is compiled anew.

    Args:
      params: parameters, as `load_weights` gives them.
      images: [..., height, width, 3] float32 RGB, 0..1; both sides at least 32.
      kind: "gram" for G/M of equation 3 (`loss.style_representation`), "compact" for `channel_statistics`.
      layers: names.
      pool: "avg", "binomial" or "max".
      padding: "zero", "reflect" or "replicate".
      precision: see `network.features`.

    Returns:
      {layer: [..., N, N] or [..., 2N] float32}.

    Raises:
      InputError: an unknown kind, and as `network.features`.

    Example:
      >>> descriptors = nst.measures.style_descriptors(params, painting, "compact", ("conv1_1", "conv1_2"))
      >>> {layer: x.shape for layer, x in descriptors.items()}
      {'conv1_1': (128,), 'conv1_2': (128,)}
    """
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: unknown; known are {', '.join(KINDS)}")
    return _descriptors(params, images, kind, check_layers(layers), pool, padding, precision)


@partial(jax.jit, static_argnames=("kind", "layers", "pool", "padding", "precision"))
def _descriptors(
    params: Any,
    images: jax.Array | np.ndarray,
    kind: str,
    layers: tuple[str, ...],
    pool: str,
    padding: str,
    precision: str,
) -> dict[str, Array]:
    activations = features(params, images, layers, pool=pool, padding=padding, precision=precision)
    if kind == "compact":
        return {layer: channel_statistics(x) for layer, x in activations.items()}
    return {layer: losses.style_representation(x, precision) for layer, x in activations.items()}
