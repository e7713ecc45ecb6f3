"""How far what is made with some parameters is from what is made with others: activations, gradients, pictures."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from nst_jax.loss.objective import Objective
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.network.vgg import features

Array = jax.Array


class GradientDifference(NamedTuple):
    """Between the gradients of equation 7 with respect to one picture."""

    relative: float
    """|g - h| / |h|, Euclidean."""
    cosine: float
    """Of the angle between them, -1 to 1."""


class PictureDifference(NamedTuple):
    """Between two pictures, clipped to 0..1."""

    psnr: float
    """Peak signal-to-noise ratio in dB, 10 log10 of one over the mean squared difference; infinite for equal ones."""
    mean_absolute: float
    """In 8-bit levels."""


@jax.transfer_guard("allow")
def activation_differences(
    params: Any, reference: Any, images: Iterable[np.ndarray], *, pool: str = "avg", padding: str = "zero"
) -> dict[str, float]:
    """Compares two networks' activations, F and the reference's F'.

    Args:
      params: parameters, as `load_weights` gives them.
      reference: likewise.
      images: each [height, width, 3] float32 RGB, 0..1; both sides at least 32.
      pool: "avg", "binomial" or "max".
      padding: "zero", "reflect" or "replicate".

    Returns:
      |F - F'| / |F'| of each convolution, Euclidean over all filters, positions and images.

    Raises:
      InputError: as `network.features`.
    """
    squares = {layer: np.zeros(2) for layer in CONVOLUTIONS}
    for image in images:
        for layer, square in jax.device_get(_squares(params, reference, image, pool=pool, padding=padding)).items():
            squares[layer] += square
    return {layer: float(np.sqrt(difference / size)) for layer, (difference, size) in squares.items()}


def _squared_norms(
    params: Any, reference: Any, image: Array, pool: str, padding: str
) -> dict[str, tuple[Array, Array]]:
    ours, theirs = (features(each, image, CONVOLUTIONS, pool=pool, padding=padding) for each in (params, reference))
    return {layer: (((ours[layer] - x) ** 2).sum(), (x**2).sum()) for layer, x in theirs.items()}


_squares = jax.jit(_squared_norms, static_argnames=("pool", "padding"))


@jax.transfer_guard("allow")
def gradient_difference(goal: Objective, reference: Objective, image: Array | np.ndarray) -> GradientDifference:
    """Compares two objectives' gradients of the total with respect to one picture.

    Args:
      goal: of one lane.
      reference: likewise.
      image: [height, width, 3] float32 RGB, 0..1.

    Returns:
      The difference, computed in float64.
    """
    g, h = (np.asarray(_gradient(each, image[None]), np.float64).ravel() for each in (goal, reference))
    return GradientDifference(
        float(np.linalg.norm(g - h) / np.linalg.norm(h)), float(g @ h / (np.linalg.norm(g) * np.linalg.norm(h)))
    )


@jax.jit
def _gradient(goal: Objective, images: Array) -> Array:
    return jax.grad(lambda images: goal(images).total.sum())(images)


@jax.transfer_guard("allow")
def picture_difference(image: Array | np.ndarray, reference: Array | np.ndarray) -> PictureDifference:
    """Compares two pictures.

    Args:
      image: [height, width, 3] float RGB; clipped to 0..1.
      reference: of the same size.

    Returns:
      The difference, computed in float64.
    """
    difference = np.clip(np.asarray(image, np.float64), 0, 1) - np.clip(np.asarray(reference, np.float64), 0, 1)
    square = np.mean(difference**2)
    psnr = -10 * np.log10(square) if square else np.inf
    return PictureDifference(float(psnr), float(255 * np.abs(difference).mean()))
