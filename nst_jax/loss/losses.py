"""Equations 1 and 3 to 5 of Gatys, Ecker and Bethge (arXiv 1508.06576) as pure functions, and total variation.

F is the activations of a layer: [..., height, width, N], N filters at M = height * width positions. The paper writes it
as a matrix F of N rows and M columns. Leading axes are kept: one loss for each image.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from nst_jax.network.layers import of_products

Array = jax.Array
AnyArray = jax.Array | np.ndarray


def content_loss(
    activations: Float[AnyArray, "*#batch height width N"], target: Float[AnyArray, "*#batch height width N"]
) -> Float[Array, "*#batch"]:
    """Equation 1, ½ Σ (F - P)²: a sum over filters and positions, not a mean.

    Args:
      activations: F, [..., height, width, N] float.
      target: P, the same layer's activations for the content picture; leading axes broadcast.

    Returns:
      [...], in the units of F squared.

    Example:
      >>> float(nst.loss.content_loss(2 * jnp.ones((4, 6, 64)), jnp.ones((4, 6, 64))))
      768.0
    """
    return 0.5 * jnp.sum(jnp.square(activations - target), (-3, -2, -1))


def gram_matrix(
    activations: Float[AnyArray, "*batch height width N"], precision: str = "float32"
) -> Float[Array, "*batch N N"]:
    """Equation 3, G = F Fᵀ: a sum over positions, not a mean.

    Args:
      activations: F, [..., height, width, N] float.
      precision: how products are rounded on TPU and GPU, one of `network.layers.PRECISIONS`.

    Returns:
      G, [..., N, N], symmetric and positive semidefinite, in the units of F squared.

    Example:
      >>> nst.loss.gram_matrix(jnp.ones((4, 6, 2))).tolist()
      [[24.0, 24.0], [24.0, 24.0]]
    """
    return _gram(activations, precision)


def _gram_product(activations: Float[AnyArray, "*batch height width N"], precision: str) -> Float[Array, "*batch N N"]:
    # One position axis, not two: XLA for CPU would transpose a copy of F for a product over two.
    positions = activations.reshape(*activations.shape[:-3], -1, activations.shape[-1])
    return jnp.einsum("...mi,...mj->...ij", positions, positions, precision=lax.Precision(of_products(precision)))


def _gram_backward(
    precision: str, activations: Float[AnyArray, "*batch height width N"], cotangent: Float[Array, "*batch N N"]
) -> tuple[Float[Array, "*batch height width N"]]:
    # dF = (dG + dGᵀ) F is one product; JAX's own rule makes two, and on CPU transposes F for each.
    both = cotangent + jnp.swapaxes(cotangent, -2, -1)
    return (jnp.einsum("...hwi,...ij->...hwj", activations, both, precision=lax.Precision(of_products(precision))),)


_gram = jax.custom_vjp(_gram_product, nondiff_argnums=(1,))
_gram.defvjp(lambda activations, precision: (_gram(activations, precision), activations), _gram_backward)


def style_representation(
    activations: Float[AnyArray, "*batch height width N"], precision: str = "float32"
) -> Float[Array, "*batch N N"]:
    """The Gram matrix per position, G / M, which can be compared between pictures of different sizes.

    Args:
      activations: F, [..., height, width, N] float.
      precision: see `gram_matrix`.

    Returns:
      G / M, [..., N, N], symmetric and positive semidefinite, in the units of F squared.

    Example:
      >>> nst.loss.style_representation(jnp.ones((4, 6, 2))).tolist()
      [[1.0, 1.0], [1.0, 1.0]]
    """
    height, width = activations.shape[-3:-1]
    return gram_matrix(activations, precision) / (height * width)


def style_layer_loss(
    representation: Float[AnyArray, "*#batch N N"], target: Float[AnyArray, "*#batch N N"]
) -> Float[Array, "*#batch"]:
    """Equation 4, E = Σ (G - A)² / (4 N² M²), a layer's part of the style loss.

    Written as Σ (G/M - A/M_a)² / (4 N²). Where both pictures have as many positions this is equation 4 to the letter;
    where they differ, which the paper leaves open, each Gram matrix is divided by its own number of positions.

    Args:
      representation: G/M, [..., N, N] float, from `style_representation`.
      target: A/M_a, the style picture's; leading axes broadcast.

    Returns:
      [...], in the units of F to the fourth power.

    Example:
      >>> float(nst.loss.style_layer_loss(4 * jnp.ones((2, 2)), jnp.zeros((2, 2))))
      4.0
    """
    filters = representation.shape[-1]
    return jnp.sum(jnp.square(representation - target), (-2, -1)) / (4.0 * filters**2)


def weighted_sum(
    losses: dict[str, Float[Array, "..."]], weights: Mapping[str, Float[AnyArray, "..."]]
) -> Float[Array, "..."]:
    """Equation 5, Σ w_l E_l over the layers; zero when there are none.

    Args:
      losses: {layer: [...]}, in one unit.
      weights: {layer: [...]}, of the same layers; shapes broadcast.

    Returns:
      [...], in that unit.
    """
    total: Any = None
    for layer, loss in losses.items():
        total = weights[layer] * loss if total is None else total + weights[layer] * loss
    return jnp.asarray(0.0) if total is None else total  # of no dtype of its own


def total_variation(images: Float[AnyArray, "*batch height width channels"]) -> Float[Array, "*batch"]:
    """Σ of the squared differences between neighboring pixels, in 8-bit levels squared; not in the paper.

    Mahendran & Vedaldi, arXiv 1412.0035, equation 6 with their exponent β = 2.

    Args:
      images: [..., height, width, 3] float RGB, 0..1.

    Returns:
      [...], in 8-bit levels squared.

    Example:
      >>> float(nst.loss.total_variation(jnp.array([[[0.0], [1.0]]])))  # of two pixels, black and white
      65025.0
    """
    down = jnp.sum(jnp.square(jnp.diff(255.0 * images, axis=-3)), (-3, -2, -1))
    across = jnp.sum(jnp.square(jnp.diff(255.0 * images, axis=-2)), (-3, -2, -1))
    return down + across
