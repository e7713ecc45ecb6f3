"""A preconditioner that shapes gradients in Fourier space."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Float

from nst_jax.errors import InputError

Array = jax.Array


@dataclass(frozen=True)
class FrequencyShaping:
    """Multiplies every spatial frequency f of a gradient by f^-power.

    Natural images have amplitudes that fall with frequency (Field, J. Opt. Soc. Am. A 4, 1987), while the gradient of
    equation 7 is strongest in the highest ones; a weight on the low frequencies brings large shapes forward. It changes
    the way through the loss, not the loss.

    Attributes:
      power: of the frequency, which is in cycles a pixel; zero leaves gradients as they are.

    Example:
      >>> optimizer = nst.LBFGS(precondition=nst.optim.FrequencyShaping(0.75))
      >>> wave = jnp.tile(jnp.array([1.0, -1.0]), (4, 2))[..., None]  # of half a cycle a pixel: times 0.5**-0.75
      >>> round(optimizer.precondition(wave)[0, 0].item(), 3)
      1.682
    """

    power: float

    def __call__(self, gradient: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Shapes a gradient; a linear map, symmetric and positive definite.

        Args:
          gradient: of one lane, [height, width, channels] float.

        Returns:
          The same shape and dtype.

        Raises:
          InputError: the gradient has another number of axes.
        """
        if gradient.ndim != 3:
            shape = f"{gradient.shape}; must be [height, width, channels], or the optimizer LBFGS()"
            raise InputError(f"each image has shape {shape}, which takes any")
        height, width = gradient.shape[:2]
        wide = gradient if gradient.dtype.itemsize >= 4 else gradient.astype(jnp.float32)  # which transforms need
        down, across = jnp.fft.fftfreq(height, dtype=wide.dtype), jnp.fft.rfftfreq(width, dtype=wide.dtype)
        frequency = jnp.sqrt(down[:, None] ** 2 + across[None, :] ** 2)
        lowest = 1.0 / max(height, width)  # the mean counts as the lowest frequency, not as zero
        gain = jnp.maximum(frequency, lowest) ** -self.power
        spectrum = jnp.fft.rfft2(wide, axes=(0, 1))
        shaped = spectrum * gain[..., None].astype(spectrum.dtype)
        return jnp.fft.irfft2(shaped, s=(height, width), axes=(0, 1)).astype(gradient.dtype)
