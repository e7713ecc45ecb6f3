"""Measures of style beside the Gram matrix: what each keeps of a layer's activations, and how it compares two pictures.

All are of the first and second moments over positions, sums that add up over strips of rows. Those of several pictures,
averaged, are the moments of their mixture: of all their positions, each picture's weighing as it should.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax.errors import InputError, argument
from nst_jax.loss import losses
from nst_jax.loss.bures import NOISE, bures_wasserstein
from nst_jax.loss.conventions import STYLE_LOSSES

Array = jax.Array
AnyArray = jax.Array | np.ndarray

SCALES = {"gram": 1.0, "mean-std": 60.0, "wasserstein": 2.5}
"""What each style loss is multiplied by, so that the default α/β gives a comparable look.

By the correlation of conv4_2 with the photograph's (`measures`), which Gram matrices give after 150 evaluations from
noise at α/β = 1e-3 and 128 pixels: .37, .31 and .31 for the three pairs of `scripts/benchmarking.py`. The factors with
which the others give the same, from runs at several ratios, are 100, 41 and 57, and 2.9, 2.1 and 2.7; these are their
geometric means. Equation 4 is of the fourth power of activations and the others are of the second, and they weigh
conv5_1 more, so that other sizes, layers and ratios have other factors: gradients agree at the photograph with 43 and
32, and at white noise with about 1.
"""


def check_style_loss(style_loss: str, name: str = argument("style_loss")) -> None:
    """Checks the name of a style loss.

    Args:
      style_loss: must be one of STYLE_LOSSES.
      name: what the argument is called; the message starts with it.

    Raises:
      InputError: it is not.
    """
    if style_loss not in STYLE_LOSSES:
        raise InputError(f"{name} {style_loss!r}: unknown; known are {', '.join(STYLE_LOSSES)}")


def columns(style_loss: str, filters: int) -> int:
    """Counts the columns K of `moments`.

    Args:
      style_loss: one of STYLE_LOSSES.
      filters: N.

    Returns:
      N for "gram", 2 for "mean-std", N + 1 for "wasserstein".
    """
    return {"gram": filters, "mean-std": 2, "wasserstein": filters + 1}[style_loss]


def moments(
    activations: Float[AnyArray, "*batch height width N"], style_loss: str = "gram", precision: str = "float32"
) -> Float[Array, "*batch N K"]:
    """Sums over positions what a style loss is made of; divided by their number they are a style representation.

    Args:
      activations: F, [..., height, width, N] float.
      style_loss: one of STYLE_LOSSES.
      precision: see `losses.gram_matrix`; of "gram" alone. A covariance is a difference of moments, and its small
        eigenvalues matter, so that the others' products are of float32.

    Returns:
      [..., N, K], by style loss: G of equation 3 (K = N); each filter's Σ F² and Σ F (K = 2); G and Σ F (K = N + 1).

    Example:
      >>> nst.loss.moments(2 * jnp.ones((4, 6, 2)), "wasserstein").tolist()
      [[96.0, 96.0, 48.0], [96.0, 96.0, 48.0]]
    """
    check_style_loss(style_loss)
    if style_loss == "gram":
        return losses.gram_matrix(activations, precision)
    first = jnp.sum(activations, (-3, -2))[..., None]
    if style_loss == "mean-std":
        return jnp.concatenate([jnp.sum(jnp.square(activations), (-3, -2))[..., None], first], -1)
    return jnp.concatenate([losses.gram_matrix(activations), first], -1)


def mean_std_loss(
    representation: Float[AnyArray, "*#batch N 2"], target: Float[AnyArray, "*#batch N 2"]
) -> Float[Array, "*#batch"]:
    """Σ (μ - μ')² + Σ (σ - σ')² over filters, of their means and standard deviations over positions.

    Li, Wang, Liu & Hou (Demystifying Neural Style Transfer, arXiv 1701.01036, section 4.2), but for their 1 / N; Huang
    & Belongie (arXiv 1703.06868, equation 13) have the norms instead of their squares. A filter that responds alike
    everywhere has no derivative of σ; it is given zero.

    Args:
      representation: mean squares and means, [..., N, 2] float, from `moments` per position.
      target: the style picture's; leading axes broadcast.

    Returns:
      [...], in the units of F squared. In float32 within 2e-6 of its size, and the gradient within 1e-5, measured as
      `wasserstein_loss`.

    Example:
      >>> float(nst.loss.mean_std_loss(jnp.array([[13.0, 3.0]]), jnp.array([[1.0, 1.0]])))  # σ are 2 and 0
      8.0
    """
    deviation, wanted = (_deviation(each[..., 0], each[..., 1]) for each in (representation, target))
    means = jnp.square(representation[..., 1] - target[..., 1])
    return jnp.sum(means + jnp.square(deviation - wanted), -1)


def _deviation(square: AnyArray, mean: AnyArray) -> Array:
    variance = square - jnp.square(mean)
    varies = variance > 0
    return jnp.where(varies, jnp.sqrt(jnp.where(varies, variance, 1)), 0)  # the inner `where` keeps NaN out of slopes


def wasserstein_loss(
    representation: Float[AnyArray, "*#batch N _"], target: Float[AnyArray, "*#batch N _"]
) -> Float[Array, "*#batch"]:
    """|μ - μ'|² + tr(C + C' - 2 (C'^½ C C'^½)^½): the squared Wasserstein-2 distance of Gaussians.

    μ and C are means and covariances of a layer's filters over positions. Both covariances have noise of one variance
    added, `bures.NOISE` times the mean of tr(G / M) of both pictures.

    Args:
      representation: G / M and means, [..., N, N + 1] float, from `moments` per position.
      target: the style picture's; leading axes broadcast.

    Returns:
      [...], in the units of F squared; not negative. In float32, compared with eigendecompositions in float64, within
      3e-6 of its size for conv1_1, conv3_1 and conv5_1 of pictures of 64 pixels. The gradient with respect to F is
      within 5e-6 of its norm at a photograph and at noise, and 2e-4 at the painting itself with noise of 0.02, where
      I - T is a small difference. The added noise makes the distance of covariances 1 to 3% smaller between a
      photograph and a painting of 96 pixels, and 3 to 9% between white noise and that painting.

    Example:
      >>> wide, narrow = jnp.array([[13.0, 3.0]]), jnp.array([[5.0, 2.0]])  # μ are 3 and 2, σ 2 and 1
      >>> round(float(nst.loss.wasserstein_loss(wide, narrow)), 2)
      2.0
    """
    power = [jnp.trace(each[..., :-1], axis1=-2, axis2=-1) for each in (representation, target)]
    covariance, wanted = (_covariance(each) for each in (representation, target))
    means = jnp.sum(jnp.square(representation[..., -1] - target[..., -1]), -1)
    return means + bures_wasserstein(covariance, wanted, NOISE / 2 * (power[0] + power[1]))


def _covariance(representation: AnyArray) -> AnyArray:
    # A difference of moments in float32, whose errors are far below the noise that is added: measured, 3e-6 of C's norm
    # in photographs and white noise, and 6e-5 of a filter's variance in nearly plain pictures. Moments about the
    # target's means would be worse at a start far from it.
    mean = representation[..., -1]
    return representation[..., :-1] - mean[..., :, None] * mean[..., None, :]


_LOSSES: dict[str, Callable[..., Array]] = {
    "gram": losses.style_layer_loss,
    "mean-std": mean_std_loss,
    "wasserstein": wasserstein_loss,
}


def layer_loss(
    representation: Float[AnyArray, "*#batch N _"], target: Float[AnyArray, "*#batch N _"], style_loss: str = "gram"
) -> Float[Array, "*#batch"]:
    """A layer's part of the style loss: equation 4, or what takes its place, times its SCALES.

    Args:
      representation: [..., N, K] float, from `moments` per position.
      target: the style picture's; leading axes broadcast.
      style_loss: one of STYLE_LOSSES.

    Returns:
      [...].

    Example:
      >>> spread = jnp.array([[13.0, 3.0]])  # mean square and mean of a filter: σ is 2
      >>> float(nst.loss.layer_loss(spread, jnp.array([[9.0, 3.0]]), "mean-std") / nst.loss.SCALES["mean-std"])
      4.0
    """
    loss = _LOSSES[style_loss](representation, target)
    return loss if style_loss == "gram" else SCALES[style_loss] * loss
