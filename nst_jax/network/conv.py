"""VGG-19's block, 3x3 convolution, bias and ReLU, with frozen parameters: each layer's algorithm and gradient.

On CPU most blocks are convolved by the method of Winograd (`network.winograd`), whose single convolutions differ from
`lax.conv`'s by about 1e-6 of their norm; the one between three channels and 64 is a matrix product; on GPU and TPU all
are left to `lax.conv`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from nst_jax.network import winograd

Array = jax.Array
AnyArray = jax.Array | np.ndarray
FEWEST_CHANNELS = 16  # coming in or going out: with fewer, the transforms cost more than they save
LARGEST_TWICE = 256 * 256  # channels in times out, up to which both layouts of a transformed kernel are kept


class Transformed(NamedTuple):
    """A kernel for `winograd.convolve`, from `transform`."""

    forward: Float[Array, "36 in out"]
    """The kernel at the 36 points."""
    backward: Float[Array, "36 out in"] | None
    """Its transpose, or None where that would take more memory than the time it saves is worth."""


def conv3x3_relu(
    x: Float[AnyArray, "batch height width in"],
    kernel: Float[AnyArray, "3 3 in out"] | None,
    bias: Float[AnyArray, "out"],
    transformed: Transformed | None = None,
    precision: str = "float32",
) -> Float[Array, "batch height width out"]:
    """Convolves with stride one and zero padding, so that height and width stay; adds the bias; applies the ReLU.

    Kernel and bias are frozen, as if behind `lax.stop_gradient`: their gradients are zero and cost nothing. The input's
    gradient is an ordinary convolution with the kernel turned by 180 degrees, since JAX's own rule emits one with a
    reversed kernel, which XLA for CPU leaves in a slow form inside `while`, `scan` and `cond` bodies, where optimizers
    run. Only the result is kept for it: where it is zero, the ReLU's derivative is zero.

    The algorithm is chosen by the kernel's shape, and by JAX's default backend at the time of tracing.

    Args:
      x: [batch, height, width, in] float32 (float64 works too).
      kernel: [3, 3, in, out], HWIO, the same dtype; not needed where there is a transformed one.
      bias: [out].
      transformed: from `transform`; computed here when it is not given.
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16".

    Returns:
      [batch, height, width, out].
    """
    return _block(x, kernel, bias, transformed, precision)


def _conv3x3_relu(
    x: AnyArray, kernel: AnyArray | None, bias: AnyArray, transformed: Transformed | None, precision: str
) -> Array:
    transformed = _transformed(kernel, transformed)
    if transformed is not None:
        return _winograd_forward(x, transformed.forward, bias)
    assert kernel is not None
    return _bias_and_relu(_direct(x, kernel, precision), bias)


def plain3x3_relu(
    x: Float[AnyArray, "batch height width in"],
    kernel: Float[AnyArray, "3 3 in out"],
    bias: Float[AnyArray, "out"],
    precision: str = "float32",
) -> Float[Array, "batch height width out"]:
    """Does what `conv3x3_relu` does, by `lax.conv` whatever the shape, and with JAX's own gradients.

    Args:
      x: [batch, height, width, in].
      kernel: [3, 3, in, out], HWIO, the same dtype.
      bias: [out].
      precision: see `conv3x3_relu`.

    Returns:
      [batch, height, width, out].
    """
    return _bias_and_relu(_lax_conv(x, kernel, precision), bias)


def _bias_and_relu(y: Array, bias: AnyArray) -> Array:
    # The barrier lets the ReLU be computed once, not again in every consumer.
    return lax.optimization_barrier(_biased_relu(y, bias))


def _biased_relu(y: Array, bias: AnyArray) -> Array:
    return jnp.maximum(y + jnp.expand_dims(bias, tuple(range(y.ndim - 1))), 0)


def transform(kernel: Float[AnyArray, "3 3 in out"]) -> Transformed | None:
    """Transforms a kernel once for all, so that `conv3x3_relu` need not.

    Args:
      kernel: [3, 3, in, out], HWIO, float32 or float64.

    Returns:
      What `conv3x3_relu` takes, four times as large as the kernel, and as much again for small kernels; None where it
      would not use it.
    """
    return _transform(kernel) if _winograd_pays(kernel.shape) else None


@jax.jit
def _transform(kernel: Array) -> Transformed:
    forward = winograd.transform_kernel(kernel)
    twice = kernel.shape[2] * kernel.shape[3] <= LARGEST_TWICE
    return Transformed(forward, jnp.swapaxes(forward, 1, 2) if twice else None)


def _transformed(kernel: AnyArray | None, transformed: Transformed | None) -> Transformed | None:
    return transform(kernel) if transformed is None and kernel is not None else transformed


def _winograd_pays(kernel: tuple[int, ...]) -> bool:
    return jax.default_backend() == "cpu" and min(kernel[2:]) >= FEWEST_CHANNELS


# Under jit, layers of one shape are traced once, and outside it there is one program to compile instead of fifty.
@jax.jit
def _winograd_forward(
    x: Float[Array, "batch height width in"], transformed: Float[Array, "36 in out"], bias: Float[Array, "out"]
) -> Float[Array, "batch height width out"]:
    return winograd.convolve((x,), transformed, after=lambda y: _biased_relu(y, bias))


@jax.jit
def _winograd_backward(
    cotangent: Float[Array, "batch height width out"],
    y: Float[Array, "batch height width out"],
    transformed: Transformed,
) -> Float[Array, "batch height width in"]:
    forward, backward = transformed
    kernel, channels = (forward, 2) if backward is None else (backward, 1)
    return winograd.convolve((cotangent, y), kernel, before=_through_relu, turned=True, channels=channels)


def _direct(x: AnyArray, kernel: AnyArray, precision: str) -> Array:
    if jax.default_backend() == "cpu" and min(kernel.shape[2:]) < FEWEST_CHANNELS:
        return _from_columns(x, kernel) if kernel.shape[2] < kernel.shape[3] else _to_columns(x, kernel)
    return _lax_conv(x, kernel, precision)


def _lax_conv(x: Any, kernel: Any, precision: str) -> Array:
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=lax.Precision(precision)
    )


def _from_columns(x: AnyArray, kernel: AnyArray) -> Array:
    """For few channels coming in: one product of the nine shifted inputs with the kernel."""
    columns = lax.optimization_barrier(jnp.concatenate(_shifted(x, x.shape[1:3]), -1))
    return jnp.einsum("nhwi,io->nhwo", columns, kernel.reshape(-1, kernel.shape[3]))


def _to_columns(x: AnyArray, kernel: AnyArray) -> Array:
    """For few channels going out: one product with the kernel's nine taps, and the sum of its shifted parts."""
    taps = jnp.moveaxis(kernel, 2, 0).reshape(kernel.shape[2], -1)
    columns = lax.optimization_barrier(jnp.einsum("nhwi,io->nhwo", x, taps))
    outgoing = kernel.shape[3]
    parts = [part[..., n * outgoing :][..., :outgoing] for n, part in enumerate(_shifted(columns, x.shape[1:3]))]
    return sum(parts[1:], start=parts[0])


def _shifted(x: AnyArray, size: tuple[int, ...]) -> list[Array]:
    """What each of the nine taps sees of x [batch, *size, channels], zero around it."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return [padded[:, row : row + size[0], column : column + size[1]] for row in range(3) for column in range(3)]


_Residuals = tuple[Array, AnyArray | None, Transformed | None]


def _forward(
    x: AnyArray, kernel: AnyArray | None, bias: AnyArray, transformed: Transformed | None, precision: str
) -> tuple[Array, _Residuals]:
    y = _block(x, kernel, bias, transformed, precision)
    return y, (y, kernel, transformed)


def _backward(precision: str, residuals: _Residuals, cotangent: Array) -> tuple[Array, None, None, None]:
    y, kernel, transformed = residuals
    transformed = _transformed(kernel, transformed)
    if transformed is not None:
        return _winograd_backward(cotangent, y, transformed), None, None, None
    assert kernel is not None
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    through = lax.optimization_barrier(_through_relu(cotangent, y))
    return _direct(through, turned, precision), None, None, None


def _through_relu(cotangent: Array, y: Array) -> Array:
    return jnp.where(y > 0, cotangent, 0)


_block = jax.custom_vjp(_conv3x3_relu, nondiff_argnums=(4,))
_block.defvjp(_forward, _backward)
