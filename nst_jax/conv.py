"""VGG-19's block, 3x3 convolution, bias and ReLU, with frozen parameters: each layer's algorithm and gradient.

On CPU most blocks are convolved by Winograd's method (`nst_jax.winograd`), whose single convolutions differ from
`lax.conv`'s by about 1e-6 of their norm; on GPU and TPU all are left to `lax.conv`.
"""

import jax
import jax.numpy as jnp
from jax import lax

from nst_jax import winograd

Array = jax.Array
FEWEST_CHANNELS = 16  # coming in or going out: with fewer, the transforms cost more than they save
FEWEST_TILES = 4  # in the batch: with fewer, reading the transformed kernel costs more than the products


def conv3x3_relu(
    x: Array, kernel: Array, bias: Array, transformed: Array | None = None, precision: str = "float32"
) -> Array:
    """Convolves with stride one and zero padding, so that height and width stay; adds the bias; applies the ReLU.

    Kernel and bias are frozen, as if behind `lax.stop_gradient`: their gradients are zero and cost nothing. The input's
    gradient is an ordinary convolution with the kernel turned by 180 degrees, since JAX's own rule emits one with a
    reversed kernel, which XLA for CPU leaves in a slow form inside `while`, `scan` and `cond` bodies, where optimisers
    run. Only the result is kept for it: where it is zero, the ReLU's derivative is zero.

    The algorithm is chosen by shape, and by JAX's default backend at the time of tracing.

    Args:
      x: [batch, height, width, in] float32 (float64 works too).
      kernel: [3, 3, in, out], HWIO, the same dtype.
      bias: [out].
      transformed: [36, in, out] from `transform`, computed here when it is not given.
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16".

    Returns:
      [batch, height, width, out].
    """
    return _block(x, kernel, bias, transformed, precision)


def _conv3x3_relu(x: Array, kernel: Array, bias: Array, transformed: Array | None, precision: str) -> Array:
    if _takes_winograd(x.shape, kernel.shape):
        transformed = _transform(kernel) if transformed is None else transformed
        return _winograd_forward(x, transformed, bias)
    return plain3x3_relu(x, kernel, bias, precision)


def plain3x3_relu(x: Array, kernel: Array, bias: Array, precision: str = "float32") -> Array:
    """As `conv3x3_relu`, by `lax.conv` whatever the shape, and with JAX's own gradients."""
    # The barrier lets the ReLU be computed once, not again in every consumer.
    return lax.optimization_barrier(jnp.maximum(_direct(x, kernel, precision) + bias, 0))


def transform(kernel: Array) -> Array | None:
    """What `conv3x3_relu` can be given so that it need not transform the kernel itself; None if it would not use it.

    Args:
      kernel: [3, 3, in, out].

    Returns:
      [36, in, out], four times the kernel's memory.
    """
    return _transform(kernel) if _winograd_pays(kernel.shape) else None


_transform = jax.jit(winograd.transform_kernel)


def _winograd_pays(kernel: tuple[int, ...]) -> bool:
    return jax.default_backend() == "cpu" and min(kernel[2:]) >= FEWEST_CHANNELS


def _takes_winograd(images: tuple[int, ...], kernel: tuple[int, ...]) -> bool:
    batch, height, width, _ = images
    tiles = batch * -(-height // winograd.TILE) * -(-width // winograd.TILE)
    return _winograd_pays(kernel) and tiles >= FEWEST_TILES


# Under jit, layers of one shape are traced once, and outside it there is one program to compile instead of fifty.
@jax.jit
def _winograd_forward(x: Array, transformed: Array, bias: Array) -> Array:
    return winograd.convolve((x,), transformed, after=lambda y: jnp.maximum(y + bias, 0))


@jax.jit
def _winograd_backward(cotangent: Array, y: Array, transformed: Array) -> Array:
    return winograd.convolve((cotangent, y), transformed, before=_through_relu, turned=True)


def _direct(x: Array, kernel: Array, precision: str) -> Array:
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=lax.Precision(precision)
    )


_Residuals = tuple[Array, Array, Array | None]


def _forward(
    x: Array, kernel: Array, bias: Array, transformed: Array | None, precision: str
) -> tuple[Array, _Residuals]:
    y = _block(x, kernel, bias, transformed, precision)
    return y, (y, kernel, transformed)


def _backward(precision: str, residuals: _Residuals, cotangent: Array) -> tuple[Array, None, None, None]:
    y, kernel, transformed = residuals
    if _takes_winograd(y.shape, kernel.shape):
        transformed = _transform(kernel) if transformed is None else transformed
        return _winograd_backward(cotangent, y, transformed), None, None, None
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    through = lax.optimization_barrier(_through_relu(cotangent, y))
    return _direct(through, turned, precision), None, None, None


def _through_relu(cotangent: Array, y: Array) -> Array:
    return jnp.where(y > 0, cotangent, 0)


_block = jax.custom_vjp(_conv3x3_relu, nondiff_argnums=(4,))
_block.defvjp(_forward, _backward)
