"""Equations 1 and 3 to 5 of Gatys, Ecker and Bethge (arXiv 1508.06576) as pure functions, and total variation.

F is the activation of a layer: [..., height, width, N], N filters at M = height * width positions. The paper writes it
as a matrix F of N rows and M columns. Leading axes are kept: one loss for each image.
"""

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def content_loss(activation: Array, target: Array) -> Array:
    """Equation 1, ½ Σ (F - P)²: a sum over filters and positions, not a mean.

    Args:
      activation: F, [..., height, width, N].
      target: P, the same layer's activation for the content picture; shapes broadcast.

    Returns:
      [...], the units of F squared.
    """
    return 0.5 * jnp.sum(jnp.square(activation - target), (-3, -2, -1))


def gram_matrix(activation: Array, precision: str = "float32") -> Array:
    """Equation 3, G = F Fᵀ: a sum over positions, not a mean.

    Args:
      activation: F, [..., height, width, N].
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16".

    Returns:
      [..., N, N], symmetric.
    """
    return _gram(activation, precision)


def _gram_product(activation: Array, precision: str) -> Array:
    # One position axis, not two: XLA for CPU would transpose a copy of F for a product over two.
    positions = activation.reshape(*activation.shape[:-3], -1, activation.shape[-1])
    return jnp.einsum("...mi,...mj->...ij", positions, positions, precision=lax.Precision(precision))


def _gram_backward(precision: str, activation: Array, cotangent: Array) -> tuple[Array]:
    # dF = (dG + dGᵀ) F is one product; JAX's own rule makes two, and on CPU transposes F for each.
    both = cotangent + jnp.swapaxes(cotangent, -2, -1)
    return (jnp.einsum("...hwi,...ij->...hwj", activation, both, precision=lax.Precision(precision)),)


_gram = jax.custom_vjp(_gram_product, nondiff_argnums=(1,))
_gram.defvjp(lambda activation, precision: (_gram(activation, precision), activation), _gram_backward)


def style_representation(activation: Array, precision: str = "float32") -> Array:
    """The Gram matrix per position, G / M, which can be compared between pictures of different sizes.

    Args:
      activation: F, [..., height, width, N].

    Returns:
      [..., N, N], symmetric.
    """
    height, width = activation.shape[-3:-1]
    return gram_matrix(activation, precision) / (height * width)


def style_layer_loss(representation: Array, target: Array) -> Array:
    """Equation 4, E = Σ (G - A)² / (4 N² M²), a layer's part of the style loss.

    Written as Σ (G/M - A/M_a)² / (4 N²). Where both pictures have as many positions this is equation 4 to the letter;
    where they differ, which the paper leaves open, each Gram matrix is divided by its own number of positions.

    Args:
      representation: G/M, [..., N, N], from `style_representation`.
      target: A/M_a, the style picture's; shapes broadcast.

    Returns:
      [...].
    """
    filters = representation.shape[-1]
    return jnp.sum(jnp.square(representation - target), (-2, -1)) / (4.0 * filters**2)


def weighted_sum(losses: dict[str, Array], weights: dict[str, Array]) -> Array:
    """Equation 5, Σ w_l E_l over the layers; zero when there are none.

    Args:
      losses: {layer: [...]}.
      weights: {layer: [...]}, of the same layers.

    Returns:
      [...].
    """
    return sum((weights[layer] * loss for layer, loss in losses.items()), start=jnp.zeros(()))


def total_variation(images: Array) -> Array:
    """Σ of the squared differences between neighboring pixels, in 8-bit levels squared; not in the paper.

    Mahendran & Vedaldi, arXiv 1412.0035, equation 6 with their exponent β = 2.

    Args:
      images: [..., height, width, 3], 0..1.

    Returns:
      [...].
    """
    down = jnp.sum(jnp.square(jnp.diff(255.0 * images, axis=-3)), (-3, -2, -1))
    across = jnp.sum(jnp.square(jnp.diff(255.0 * images, axis=-2)), (-3, -2, -1))
    return down + across
