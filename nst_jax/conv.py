"""The 3x3 convolution of VGG-19, with a frozen kernel and a backward pass that stays fast inside loops."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def conv3x3(x: Array, kernel: Array, bias: Array, precision: str = "float32") -> Array:
    """Convolves with stride one and zero padding, so that height and width stay as they are.

    JAX's own rule for the input's gradient is a convolution with a reversed kernel and swapped features, which XLA for
    CPU leaves in a slow form inside `while`, `scan` and `cond` bodies, where optimisers run. This one is an ordinary
    convolution with the kernel turned by 180 degrees, and no kernel gradient is ever computed: kernel and bias are
    frozen, as if behind `lax.stop_gradient`.

    Args:
      x: [batch, height, width, in] float32.
      kernel: [3, 3, in, out], HWIO, the same dtype.
      bias: [out].
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16".

    Returns:
      [batch, height, width, out].
    """
    return _convolve(x, kernel, precision) + bias


def _convolve(x: Array, kernel: Array, precision: str) -> Array:
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=lax.Precision(precision)
    )


def _forward(x: Array, kernel: Array, bias: Array, precision: str) -> tuple[Array, tuple[Array, Array]]:
    return conv3x3(x, kernel, bias, precision), (kernel, bias)


def _backward(precision: str, residuals: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array, Array]:
    kernel, bias = residuals
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    return _convolve(cotangent, turned, precision), jnp.zeros_like(kernel), jnp.zeros_like(bias)


conv3x3.defvjp(_forward, _backward)
