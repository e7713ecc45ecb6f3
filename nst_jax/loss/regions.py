"""Styles of regions: guidance channels, guided Gram matrices and their loss.

Gatys, Ecker, Bethge, Hertzmann and Shechtman, *Controlling Perceptual Factors in Neural Style Transfer* (arXiv
1611.07865, "Guided Gram Matrices"). Each region r of the picture has a mask, and at each layer a guidance channel T_r,
a number for each position, by which the activations F are multiplied before the Gram matrix is taken of them. It is
compared with that of a region of the style picture, which has masks of its own.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float

from nst_jax.errors import InputError
from nst_jax.loss import losses
from nst_jax.network.layers import of_products
from nst_jax.network.receptive import propagated

Array = jax.Array
AnyArray = jax.Array | np.ndarray


class Guidance(NamedTuple):
    """What `guidance` makes of masks; the leading axis is one per region, in the masks' order."""

    channels: dict[str, Float[AnyArray, "regions _ _"]]
    """T: {layer: [regions, height', width'] float32}, Σ T² = 1 over positions, or T = 0 where a region is empty."""
    present: dict[str, Bool[AnyArray, "regions"]]
    """{layer: [regions]}: False where no position of the layer belongs to the region, which has no style there."""


def guidance(
    masks: Mapping[str, Float[np.ndarray, "height width"]], layers: Iterable[str], edges: str, pool: str = "avg"
) -> Guidance:
    """Makes guidance channels of a picture's masks.

    T is the mask at the layer, divided by a number so that Σ T² = 1. Then a guided Gram matrix is a mean over
    positions, with the weights T². That of a region that covers everything is G / M of equation 4, the Gram matrix per
    position, and those of regions of different sizes, or of different pictures, can be compared as those can.

    Args:
      masks: {region: [height, width] float, 0..1}, one or more, of one picture and its size; both sides at least 32.
        They may overlap, and need not cover it.
      layers: names.
      edges: which positions belong to a region at its edges, one of `network.receptive.EDGES`.
      pool: "avg", "binomial" or "max".

    Returns:
      `Guidance`.

    Raises:
      InputError: no masks, masks of different shapes, or as `network.receptive.propagated`.
    """
    if not masks:
        raise InputError("masks: none given; give one for each region")
    shapes = {region: np.shape(mask) for region, mask in masks.items()}
    (first, shape), *others = shapes.items()
    for region, other in others:
        if other != shape:
            raise InputError(f"masks: that of {region!r} is {other}, of {first!r} {shape}; must be of one shape")
    layers = tuple(layers) if not isinstance(layers, str) else (layers,)
    regions = [propagated(mask, layers, edges, pool, f"masks: {region!r}") for region, mask in masks.items()]
    channels, present = {}, {}
    for layer in regions[0]:
        values = np.stack([region[layer] for region in regions])
        norms = np.linalg.norm(values.astype(np.float64), axis=(1, 2))  # float32 has no squares of the faintest values
        present[layer] = norms > 0
        channels[layer] = (values / np.where(present[layer], norms, 1)[:, None, None]).astype(np.float32)
    return Guidance(channels, present)


def guided_representation(
    activations: Float[AnyArray, "*batch height width N"],
    channels: Float[AnyArray, "regions height width"],
    precision: str = "float32",
) -> Float[Array, "*batch regions N N"]:
    """The guided Gram matrices, G_r = (T_r ∘ F) (T_r ∘ F)ᵀ, a mean over positions with the weights T_r².

    Channels are frozen, as if behind `lax.stop_gradient`. One region is worked through after the other, so that no more
    than one product T_r ∘ F is there at any time, and for the gradient none is kept.

    Args:
      activations: F, [..., height, width, N] float.
      channels: T, [regions, height, width], the same dtype, one layer's of `guidance`.
      precision: see `losses.gram_matrix`.

    Returns:
      G_r, [..., regions, N, N], symmetric and positive semidefinite, in the units of F squared; zero where T_r is.
    """
    return _guided(activations, channels, precision)


def _guided_product(
    activations: Float[AnyArray, "*batch height width N"], channels: Float[AnyArray, "regions height width"],
    precision: str,
) -> Float[Array, "*batch regions N N"]:  # fmt: skip
    grams = lax.map(lambda channel: losses.gram_matrix(channel[..., None] * activations, precision), channels)
    return jnp.moveaxis(grams, 0, -3)


def _guided_backward(
    precision: str, residuals: tuple[AnyArray, AnyArray], cotangent: Float[Array, "*batch regions N N"]
) -> tuple[Float[Array, "*batch height width N"], None]:
    # dF = Σ_r T_r² ∘ (dG_r + dG_rᵀ) F; JAX's own rule would keep T_r ∘ F of every region.
    activations, channels = residuals
    both = jnp.moveaxis(cotangent + jnp.swapaxes(cotangent, -2, -1), -3, 0)

    def add(total: Array, region: tuple[AnyArray, Array]) -> tuple[Array, None]:
        channel, slope = region
        part = jnp.einsum("...hwi,...ij->...hwj", activations, slope, precision=lax.Precision(of_products(precision)))
        return total + jnp.square(channel)[..., None] * part, None

    total, _ = lax.scan(add, jnp.zeros_like(activations), (channels, both))
    return total, None


_guided = jax.custom_vjp(_guided_product, nondiff_argnums=(2,))
_guided.defvjp(
    lambda activations, channels, precision: (_guided(activations, channels, precision), (activations, channels)),
    _guided_backward,
)


def guided_layer_loss(
    representation: Float[AnyArray, "*#batch regions N N"],
    target: Float[AnyArray, "*#batch regions N N"],
    weights: Float[AnyArray, "*#batch regions"],
) -> Float[Array, "*#batch"]:
    """A layer's part of the style loss, Σ_r w_r E_r, with equation 4's E_r = Σ (G_r - A_r)² / (4 N²) of each region.

    Args:
      representation: G_r, [..., regions, N, N] float, from `guided_representation`.
      target: A_r, the style pictures'; leading axes broadcast.
      weights: w_r, [..., regions]; zero where a region is not `Guidance.present` at this layer in both pictures, since
        nothing can be done about its loss.

    Returns:
      [...], in the units of F to the fourth power.
    """
    return jnp.sum(weights * losses.style_layer_loss(representation, target), -1)
