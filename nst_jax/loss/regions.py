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
from nst_jax.loss.style_losses import layer_loss, moments
from nst_jax.network.receptive import propagated

Array = jax.Array
AnyArray = jax.Array | np.ndarray


class Guidance(NamedTuple):
    """What `guidance` makes of masks; the leading axis is one per region, in the masks' order.

    Example:
      >>> found = nst.loss.Guidance({"conv1_1": np.full((1, 4, 4), 0.25)}, {"conv1_1": np.array([True])})
      >>> float((found.channels["conv1_1"] ** 2).sum())
      1.0
    """

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

    Example:
      >>> left = np.repeat([[1, 0]], 24, axis=1) * np.ones((32, 1))
      >>> found = nst.loss.guidance({"left": left, "right": 1 - left}, ("conv1_1", "conv4_1"), "inside")
      >>> found.channels["conv1_1"].shape, found.present["conv4_1"].tolist()
      ((2, 32, 48), [False, False])
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


class Regions(NamedTuple):
    """What an objective needs of the regions of its images.

    A layer's regions are those that are present there, in one order; they are the leading axis of its style targets
    behind that of lanes.

    Example:
      >>> goal = nst.objective(photo, None, region=[nst.Region(np.ones((43, 64)), painting)],
      ...                      content_layers=("conv1_1",), style_layers=("conv1_1",))
      >>> regions = nst.loss.Regions(goal.regions.guides, {"conv1_1": np.array([[2.0]], np.float32)})
      >>> regions.guides["conv1_1"].shape
      (1, 43, 64, 1)
    """

    guides: Mapping[str, Float[AnyArray, "1 _ _ regions"]]
    """T: {layer: [1, height', width', regions] float32}, of all style layers; shared by all lanes."""
    weights: Mapping[str, Float[AnyArray, "#lanes regions"]]
    """w_r: {layer: [lanes or 1, regions]}; zero where nothing can be done about a region's loss."""


def guided_moments(
    activations: Float[AnyArray, "*batch height width N"],
    channels: Float[AnyArray, "regions height width"],
    style_loss: str = "gram",
    precision: str = "float32",
) -> Float[Array, "*batch regions N K"]:
    """Sums over positions, each weighing T², what a style loss is made of; of "gram", G_r = (T_r ∘ F) (T_r ∘ F)ᵀ.

    Channels are frozen, as if behind `lax.stop_gradient`. One region is worked through after the other, so that no more
    than one product T_r ∘ F is there at any time, and for the gradient none is kept.

    Args:
      activations: F, [..., height, width, N] float.
      channels: T, [regions, height, width], one layer's of `guidance`, which makes the sums means.
      style_loss: one of `style_losses.STYLE_LOSSES`.
      precision: see `losses.gram_matrix`.

    Returns:
      [..., regions, N, K], as `style_losses.moments` of each region; zero where T_r is.

    Example:
      >>> halves = np.array([[[1, 0]], [[0, 1]]], np.float32)
      >>> nst.loss.guided_moments(jnp.array([[[2.0], [3.0]]]), halves).tolist()
      [[[4.0]], [[9.0]]]
    """

    @jax.checkpoint  # its rule would keep T_r ∘ F of every region
    def of_region(channel: Array) -> Array:
        weighed = channel[..., None] * activations
        found = moments(weighed, style_loss, precision)
        if style_loss == "gram":
            return found
        means = jnp.sum(channel[..., None] * weighed, (-3, -2))
        return jnp.concatenate([found[..., :-1], means[..., None]], -1)

    frozen = lax.stop_gradient(jnp.asarray(channels, activations.dtype))
    return jnp.moveaxis(lax.map(of_region, frozen), 0, -3)


def guided_layer_loss(
    representation: Float[AnyArray, "*#batch regions N K"],
    target: Float[AnyArray, "*#batch regions N K"],
    weights: Float[AnyArray, "*#batch regions"],
    style_loss: str = "gram",
) -> Float[Array, "*#batch"]:
    """A layer's part of the style loss, Σ_r w_r E_r, with equation 4's E_r = Σ (G_r - A_r)² / (4 N²) of each region.

    Args:
      representation: G_r, [..., regions, N, K] float, from `guided_moments`.
      target: A_r, the style pictures'; leading axes broadcast.
      weights: w_r, [..., regions].
      style_loss: whose loss is in equation 4's place.

    Returns:
      [...], in the style loss's units.

    Example:
      >>> grams, none = jnp.array([[[4.0]], [[9.0]]]), jnp.zeros((2, 1, 1))
      >>> float(nst.loss.guided_layer_loss(grams, none, jnp.array([1.0, 0.0])))
      4.0
    """
    return jnp.sum(weights * layer_loss(representation, target, style_loss), -1)
