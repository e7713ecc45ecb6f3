"""What images are compared with: targets of content and style, computed once."""

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax.errors import InputError, argument
from nst_jax.loss.strips import activations, for_values, statistics
from nst_jax.loss.weighting import check_weights
from nst_jax.network.layers import CONTENT_LAYER, STYLE_LAYERS
from nst_jax.network.vgg import check_layers

Array = jax.Array
AnyArray = jax.Array | np.ndarray


class Targets(NamedTuple):
    """What the images are compared with, computed once. The leading axis is one per lane, or 1 when lanes share it.

    Example:
      >>> style = nst.loss.style_targets(params, painting[None], ("conv1_1",))
      >>> nst.loss.Targets(content={}, style=style).style["conv1_1"].shape
      (1, 64, 64)
    """

    content: dict[str, Float[Array, "#lanes _ _ N"]]
    """P of equation 1: {layer: [lanes or 1, height', width', N]}."""
    style: dict[str, Float[Array, "#lanes N N"]]
    """A / M_a of equation 4: {layer: [lanes or 1, N, N]}."""


@partial(jax.jit, static_argnames=("layers", "pool", "precision"))
def content_targets(
    params: Any,
    images: Float[AnyArray, "..."],
    layers: tuple[str, ...] = (CONTENT_LAYER,),
    *,
    pool: str = "avg",
    precision: str = "float32",
) -> dict[str, Float[Array, "_ _ _ N"]]:
    """Computes P of equation 1 for content pictures. Another height or width is compiled anew.

    Args:
      params: as `network.features` takes them.
      images: [lanes or 1, height, width, 3] float32 RGB, 0..1; of the size that the optimized images will have.
      layers: names.
      pool: "avg" or "max".
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16".

    Returns:
      {layer: [lanes or 1, height', width', N] float32}.

    Raises:
      InputError: as `network.features`.

    Example:
      >>> nst.loss.content_targets(params, photo[None], ("conv1_1",))["conv1_1"].shape
      (1, 43, 64, 64)
    """
    strips = for_values(*images.shape[-3:-1])
    plain = not strips
    return activations(params, images, layers, pool=pool, precision=precision, strips=strips, plain=plain)


@partial(jax.jit, static_argnames=("layers", "pool", "precision"))
def style_targets(
    params: Any,
    images: Float[AnyArray, "..."],
    layers: tuple[str, ...] = STYLE_LAYERS,
    *,
    pool: str = "avg",
    precision: str = "float32",
) -> dict[str, Float[Array, "_ N N"]]:
    """Computes A / M_a of equation 4 for style pictures. Another height or width is compiled anew.

    Args:
      params: as `network.features` takes them.
      images: [lanes or 1, height, width, 3] float32 RGB, 0..1; of any size, both sides at least 32.
      layers: names.
      pool: "avg" or "max".
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16".

    Returns:
      {layer: [lanes or 1, N, N] float32}.

    Raises:
      InputError: as `network.features`.

    Example:
      >>> nst.loss.style_targets(params, painting[None], ("conv1_1",))["conv1_1"].shape
      (1, 64, 64)
    """
    layers, strips = check_layers(layers), for_values(*images.shape[-3:-1])
    plain = not strips
    return statistics(params, images, layers, {}, pool=pool, precision=precision, strips=strips, plain=plain).styles


def blend(
    targets: Iterable[dict[str, Float[Array, "_ N N"]]], weights: Iterable[float]
) -> dict[str, Float[Array, "_ N N"]]:
    """Blends several style pictures into one style target: their weighted mean.

    For weights v_k that add up to one, Σ v_k |G - A_k|² and |G - Σ v_k A_k|² differ by a constant only, so that both
    have the same gradient.

    Args:
      targets: one `style_targets` for each style picture, of the same layers.
      weights: one for each; finite, not negative, not all zero. They are divided by their sum.

    Returns:
      A target as `style_targets` gives it.

    Raises:
      InputError: not as many weights as targets, or weights that are not allowed.

    Example:
      >>> black, white = {"conv1_1": jnp.zeros((1, 64, 64))}, {"conv1_1": jnp.ones((1, 64, 64))}
      >>> nst.loss.blend([black, white], [1, 3])["conv1_1"].max().item()
      0.75
    """
    targets, shares = list(targets), np.asarray(list(weights), np.float64)
    if len(shares) != len(targets):
        raise InputError(
            f"{argument('style_blend')}: {len(shares)} weights for {len(targets)} style pictures; give one for each"
        )
    check_weights(argument("style_blend"), shares)
    if len(targets) == 1:
        return targets[0]
    shares = shares / shares.sum()
    return {
        layer: sum((v * target[layer] for v, target in zip(shares, targets, strict=True)), start=jnp.zeros(()))
        for layer in targets[0]
    }
