"""What images are compared with: targets of content and style, computed once."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from nst_jax.errors import InputError, argument
from nst_jax.loss.strips import values
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
    style: dict[str, Float[Array, "#lanes ... N K"]]
    """A / M_a of equation 4: {layer: [lanes or 1, N, N]}; or what another style loss compares, [lanes or 1, N, K]. With
    regions, [lanes or 1, regions, N, K]."""


@jax.transfer_guard("allow")
def content_targets(
    params: Any,
    images: Float[AnyArray, "..."],
    layers: Iterable[str] = (CONTENT_LAYER,),
    *,
    pool: str = "avg",
    padding: str = "zero",
    precision: str = "float32",
) -> dict[str, Float[Array, "_ _ _ N"]]:
    """Computes P of equation 1 for content pictures. Another height or width is compiled anew.

    Args:
      params: as `network.features` takes them.
      images: [lanes or 1, height, width, 3] float32 RGB, 0..1; of the size that the optimized images will have.
      layers: names.
      pool: "avg", "binomial" or "max".
      padding: "zero", "reflect" or "replicate".
      precision: see `network.features`.

    Returns:
      {layer: [lanes or 1, height', width', N] float32}.

    Raises:
      InputError: as `network.features`.

    Example:
      >>> nst.loss.content_targets(params, photo[None], ("conv1_1",))["conv1_1"].shape
      (1, 43, 64, 64)
    """
    return values(
        params, images, kept=check_layers(layers), pool=pool, padding=padding, precision=precision
    ).activations


@jax.transfer_guard("allow")
def style_targets(
    params: Any,
    images: Float[AnyArray, "..."],
    layers: Iterable[str] = STYLE_LAYERS,
    *,
    pool: str = "avg",
    padding: str = "zero",
    precision: str = "float32",
    style_loss: str = "gram",
    guides: Mapping[str, Float[AnyArray, "1 _ _ regions"]] | None = None,
) -> dict[str, Float[Array, "_ ... N K"]]:
    """Computes A / M_a of equation 4, or another style loss's moments, for style pictures.

    Another height or width is compiled anew.

    Args:
      params: as `network.features` takes them.
      images: [lanes or 1, height, width, 3] float32 RGB, 0..1; of any size, both sides at least 32.
      layers: names.
      pool: "avg", "binomial" or "max".
      padding: "zero", "reflect" or "replicate".
      precision: see `network.features`.
      style_loss: one of `style_losses.STYLE_LOSSES`.
      guides: of regions of the style pictures, for each of the layers; see `regions.Regions`.

    Returns:
      {layer: [lanes or 1, N, N] float32}; of another style loss its `style_losses.moments` per position,
      [lanes or 1, N, K]. With guides each region's, [lanes or 1, regions, N, K].

    Raises:
      InputError: as `network.features`, or an unknown style loss.

    Example:
      >>> nst.loss.style_targets(params, painting[None], ("conv1_1",))["conv1_1"].shape
      (1, 64, 64)
    """
    return values(
        params, images, check_layers(layers), pool=pool, padding=padding, precision=precision, style_loss=style_loss,
        guides=guides,
    ).styles  # fmt: skip


@jax.transfer_guard("allow")
def blend(
    targets: Iterable[dict[str, Float[Array, "_ N _"]]], weights: Iterable[float], name: str = argument("weights")
) -> dict[str, Float[Array, "_ N _"]]:
    """Blends several style pictures into one style target: their weighted mean.

    For weights v_k that add up to one, Σ v_k |G - A_k|² and |G - Σ v_k A_k|² differ by a constant only, so that both
    have the same gradient. The other style losses compare moments too, whose mean has the statistics of the mixture:
    of all the pictures' positions, those of each weighing v_k. Means that differ make its deviations larger.

    Args:
      targets: one `style_targets` for each style picture, of the same layers.
      weights: one for each; finite, not negative, not all zero. They are divided by their sum.
      name: of the argument that holds `weights`; messages start with it.

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
        raise InputError(f"{name}: {len(shares)} given for {len(targets)} style pictures; give one for each")
    check_weights(name, shares)
    if len(targets) == 1:
        return targets[0]
    shares = (shares / shares.sum()).astype(np.float32)

    def blended(layer: str) -> Array:
        first, *others = (share * target[layer] for share, target in zip(shares, targets, strict=True))
        total: Any = sum(others, start=first)
        return total

    return {layer: blended(layer) for layer in targets[0]}
