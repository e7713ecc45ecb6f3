"""Colors of one picture brought to another's, as Gatys, Bethge, Hertzmann and Shechtman do it (arXiv 1606.05897).

All functions are of NumPy arrays, work in float64 and return float32; values may leave 0..1.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nst_jax.transfer.settings import COLOR_MATCHES, Settings

Image = NDArray[np.floating]

BT601 = (0.299, 0.587, 0.114)
"""Luminance Y of red, green and blue, as they are coded (ITU-R BT.601)."""
LEAST_VARIANCE = (1 / 255) ** 2
"""Along a color that varies by less than a level, a picture has noise alone, which is not stretched any further."""


def luminance(image: Image) -> Image:
    """Computes Y of BT.601.

    Args:
      image: [height, width, 3] RGB, 0..1.

    Returns:
      [height, width, 1] float32, 0..1.
    """
    return (np.asarray(image, np.float64) @ np.array(BT601))[..., None].astype(np.float32)


def grey(image: Image) -> Image:
    """Copies a picture's luminance to its three channels, [height, width, 3] float32."""
    return np.repeat(luminance(image), 3, -1)


def chroma(image: Image) -> Image:
    """Takes a picture's luminance away, [height, width, 3] float32: what is left has a luminance of zero.

    It holds what the two color channels of YCbCr do: red and blue less luminance, and green, which follows from them.
    """
    return (np.asarray(image, np.float64) - luminance(image)).astype(np.float32)


def with_chroma(picture: Image, photograph: Image) -> Image:
    """Gives a picture the colors of a photograph, and leaves it its luminance as far as these colors allow.

    Args:
      picture: [height, width, 3] RGB.
      photograph: [height, width, 3] RGB, 0..1.

    Returns:
      [height, width, 3] float32, 0..1.
    """
    colors = chroma(photograph)
    least, most = -colors.min(-1, keepdims=True), 1 - colors.max(-1, keepdims=True)
    return np.clip(np.clip(luminance(picture), least, most) + colors, 0, 1)


Weights = tuple[Image | None, Image | None]
"""How much each pixel counts, [height, width], of the painting and of the photograph; None for all alike."""


def match_luminance(painting: Image, photograph: Image, weights: Weights = (None, None)) -> Image:
    """Brings a painting's luminance to a photograph's mean and spread, and makes it grey.

    Section "Luminance-only transfer": Y' = σ_c / σ_s (Y - μ_s) + μ_c.

    Args:
      painting: [height, width, 3] RGB.
      photograph: of any size.
      weights: of the pixels that μ and σ are of.

    Returns:
      [height, width, 3] float32, three equal channels; of one value where the painting has but one.
    """
    own, other = (luminance(picture).astype(np.float64) for picture in (painting, photograph))
    (own_mean, own_variance), (other_mean, other_variance) = map(_statistics, (own, other), weights)
    gain = np.sqrt(other_variance / max(own_variance, LEAST_VARIANCE))
    return np.repeat(gain * (own - own_mean) + other_mean, 3, -1).astype(np.float32)


def match_colors(painting: Image, photograph: Image, method: str = "pca", weights: Weights = (None, None)) -> Image:
    """Brings a painting's colors to a photograph's mean and covariance: x' = A (x - μ_s) + μ_c with A Σ_s Aᵀ = Σ_c.

    Args:
      painting: [height, width, 3] RGB.
      photograph: of any size.
      method: which of the many A: "pca", Σ_c^½ Σ_s^-½; "cholesky", L_c L_s⁻¹; or "monge", the one that moves colors the
        least, Σ_s^-½ (Σ_s^½ Σ_c Σ_s^½)^½ Σ_s^-½.
      weights: of the pixels that μ and Σ are of.

    Returns:
      [height, width, 3] float32. Along colors that the painting does not have it has none of the photograph's spread.
    """
    (own_mean, own), (other_mean, other) = map(_statistics, (painting, photograph), weights)
    matrix = _MATRICES[method](_at_least(own), other)
    return ((np.asarray(painting, np.float64) - own_mean) @ matrix.T + other_mean).astype(np.float32)


def painted(painting: Image, photograph: Image, settings: Settings, weights: Weights = (None, None)) -> Image:
    """Gives a painting the colors that the settings ask for.

    Args:
      painting: [h, w, 3] RGB.
      photograph: of any size.
      settings: whose `color` and `color_match` count.
      weights: of the pixels that are compared: those of a region.

    Returns:
      [h, w, 3] float32, not clipped to 0..1; for `painting` what was given.
    """
    if settings.color == "luminance":
        return match_luminance(painting, photograph, weights)
    return match_colors(painting, photograph, settings.color_match, weights) if settings.color == "match" else painting


def _statistics(picture: Image, weights: Image | None) -> tuple[Image, Image]:
    """Mean and covariance of a picture's channels."""
    pixels = np.asarray(picture, np.float64).reshape(-1, picture.shape[-1])
    each = None if weights is None else np.asarray(weights, np.float64).ravel()
    return np.average(pixels, 0, each), np.cov(pixels, rowvar=False, bias=True, aweights=each)


def _of_eigenvalues(covariance: Image, function: Callable[[Image], Image]) -> Image:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * function(np.maximum(values, 0))) @ vectors.T


def _at_least(covariance: Image) -> Image:
    return _of_eigenvalues(covariance, lambda values: np.maximum(values, LEAST_VARIANCE))


def _root(covariance: Image) -> Image:
    return _of_eigenvalues(covariance, np.sqrt)


def _inverse_root(covariance: Image) -> Image:
    return _of_eigenvalues(covariance, lambda values: 1 / np.sqrt(values))


def _pca(own: Image, other: Image) -> Image:
    return _root(other) @ _inverse_root(own)


def _cholesky(own: Image, other: Image) -> Image:
    # That of a singular covariance has columns of zeros; a trace of the identity stands in for it.
    trace = 1e-12 * np.eye(3)
    return np.linalg.cholesky(other + trace) @ np.linalg.inv(np.linalg.cholesky(own))


def _monge(own: Image, other: Image) -> Image:
    root, inverse = _root(own), _inverse_root(own)
    return inverse @ _root(root @ other @ root) @ inverse


_MATRICES: dict[str, Callable[[Image, Image], Image]] = dict(zip(COLOR_MATCHES, (_pca, _cholesky, _monge), strict=True))
"""From the two covariances to A."""
