"""A preconditioner that shapes gradients in Fourier space, and in luminance and opponent colours."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

OPPONENTS = np.array([[1, 1, 1], [1, -2, 1], [1, 0, -1]]) / [[math.sqrt(3)], [math.sqrt(6)], [math.sqrt(2)]]
"""Orthonormal, of red, green and blue: luminance, magenta against green, red against blue."""

_CURVATURE = np.array(
    [  # cycles per pixel, and the curvature in luminance, magenta-green and red-blue: scripts/curvature.py
        (0.006, 0.047, 2.548, 0.414),
        (0.019, 0.145, 2.083, 0.777),
        (0.038, 0.447, 3.403, 1.528),
        (0.065, 1.107, 3.561, 1.549),
        (0.100, 2.152, 2.054, 0.972),
        (0.140, 2.585, 0.873, 0.436),
        (0.180, 2.396, 0.356, 0.193),
        (0.225, 1.969, 0.199, 0.181),
        (0.275, 1.553, 0.253, 0.332),
        (0.330, 1.169, 0.624, 0.471),
        (0.390, 1.008, 1.118, 0.585),
        (0.460, 0.971, 1.624, 0.891),
        (0.610, 0.910, 1.388, 1.294),
    ]
).T


@dataclass(frozen=True)
class FrequencyShaping:
    """Multiplies every spatial frequency f of a gradient by f^-power, and may divide it by the loss's curvature there.

    Natural images have amplitudes that fall with frequency (Field, J. Opt. Soc. Am. A 4, 1987), while the gradient of
    equation 7 is strongest in the highest ones; a weight on the low frequencies brings large shapes forward. It changes
    the way through the loss, not the loss.

    VGG-19 hardly minds slow changes of luminance but much minds those of colour, and the other way round for fine
    detail: the curvature of equation 7 differs up to seventyfold between them, nearly in the same way for all pictures.

    Attributes:
      power: of the frequency; zero leaves it out.
      curvature: divide by the curvature, as it was measured for equation 7; for images of three channels, red, green
        and blue.
    """

    power: float
    curvature: bool = False

    def __call__(self, gradient: Array) -> Array:
        """Maps a gradient [height, width, channels] to the same shape; symmetric and positive definite."""
        height, width = gradient.shape[:2]
        down, across = jnp.fft.fftfreq(height), jnp.fft.rfftfreq(width)
        frequency = jnp.sqrt(down[:, None] ** 2 + across[None, :] ** 2)
        lowest = 1.0 / max(height, width)  # the mean counts as the lowest frequency, not as zero
        frequency = jnp.maximum(frequency, lowest)[..., None]
        gain = frequency**-self.power
        if not self.curvature:
            return _filtered(gradient, gain)
        gain /= jnp.exp(_interpolated(jnp.log(frequency), *np.log(_CURVATURE)))
        mix = jnp.asarray(OPPONENTS, gradient.dtype)
        opponents = jnp.matmul(gradient, mix.T, precision=jax.lax.Precision.HIGHEST)
        return jnp.matmul(_filtered(opponents, gain), mix, precision=jax.lax.Precision.HIGHEST)


def _filtered(x: Array, gain: Array) -> Array:
    spectrum = jnp.fft.rfft2(x, axes=(0, 1))
    shaped = spectrum * gain.astype(spectrum.dtype)
    return jnp.fft.irfft2(shaped, s=x.shape[:2], axes=(0, 1)).astype(x.dtype)


def _interpolated(x: Array, knots: np.ndarray, *values: np.ndarray) -> Array:
    """`np.interp` of each of the values along a last axis of x; that of JAX takes a third of a second to compile."""
    gaps, slopes = np.diff(knots), np.diff(values) / np.diff(knots)
    found = jnp.broadcast_to(np.array(values)[:, 0], (*x.shape[:-1], len(values)))
    for start, gap, slope in zip(knots[:-1], gaps, slopes.T, strict=True):
        found += jnp.clip(x - start, 0, gap) * slope
    return found
