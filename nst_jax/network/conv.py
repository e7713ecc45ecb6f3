"""VGG-19's block, 3x3 convolution, bias and ReLU, with frozen parameters: each layer's algorithm and gradient.

On CPU most blocks are convolved by the method of Winograd (`network.winograd`), whose single convolutions differ from
`lax.conv`'s by about 1e-6 of their norm. The one between three channels and 64 is a matrix product on CPU, and on TPU,
where an axis of three channels at an array's end is padded to 128. All else is left to `lax.conv`.

Which platform it is, JAX tells when it lowers a program, not when it traces it: a program may be for a device that is
not the default one, or for a machine that is not there. A kernel that `network.prepare` has transformed is for CPU.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from nst_jax.network import winograd
from nst_jax.network.layers import of_products

Array = jax.Array
AnyArray = jax.Array | np.ndarray
FEWEST_CHANNELS = 16  # coming in or going out: with fewer, the transforms cost more than they save
LARGEST_TWICE = 256 * 256  # channels in times out, up to which both layouts of a transformed kernel are kept
LARGEST_TURNED = 64  # channels, up to which a TPU's gradients take a kernel that is turned before


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
    padding: str = "zero",
) -> Float[Array, "batch height width out"]:
    """Convolves with stride one, padded so that height and width stay; adds the bias; applies the ReLU.

    Kernel and bias are frozen, as if behind `lax.stop_gradient`: their gradients are zero and cost nothing. The input's
    gradient is an ordinary convolution with the kernel turned by 180 degrees, since JAX's own rule emits one with a
    reversed kernel, which XLA for CPU leaves in a slow form inside `while`, `scan` and `cond` bodies, where optimizers
    run. Only the result is kept for it: where it is zero, the ReLU's derivative is zero.

    The algorithm is chosen by the kernel's shape, and by the platform that the program is lowered for.

    Args:
      x: [batch, height, width, in] float32 (float64 works too).
      kernel: [3, 3, in, out], HWIO, the same dtype; not needed where there is a transformed one.
      bias: [out].
      transformed: from `transform`, for CPU; where it is wanted and not given, it is computed here.
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16"; with
        "bfloat16-activations", as with "bfloat16", and the result is in bfloat16, everywhere.
      padding: what is beyond the border: "zero"; "reflect", the picture without its outermost row, or "replicate", that
        row. A side of one position has nothing to reflect and is replicated.

    Returns:
      [batch, height, width, out].
    """
    return _block(*_bordered(x, padding), kernel, bias, transformed, precision)


def _conv3x3_relu(
    x: AnyArray, margin: int, kernel: AnyArray | None, bias: AnyArray, transformed: Transformed | None, precision: str
) -> Array:
    stored = _stored(x, precision)
    if transformed is not None:
        return _winograd_forward(x, transformed.forward, bias, margin).astype(stored)
    assert kernel is not None

    def directly(x: AnyArray, kernel: AnyArray, bias: AnyArray) -> Array:
        return _bias_and_relu(_direct(x, kernel, precision, margin), bias, stored)

    def by_winograd(x: AnyArray, kernel: AnyArray, bias: AnyArray) -> Array:
        return _winograd_forward(x, _transform(kernel).forward, bias, margin).astype(stored)

    if _few_channels(kernel):
        return directly(x, kernel, bias)
    return lax.platform_dependent(x, kernel, bias, cpu=by_winograd, default=directly)


def plain3x3_relu(
    x: Float[AnyArray, "batch height width in"],
    kernel: Float[AnyArray, "3 3 in out"],
    bias: Float[AnyArray, "out"],
    precision: str = "float32",
    padding: str = "zero",
) -> Float[Array, "batch height width out"]:
    """Does what `conv3x3_relu` does, by `lax.conv` whatever the shape, and with JAX's own gradients.

    Args:
      x: [batch, height, width, in].
      kernel: [3, 3, in, out], HWIO, the same dtype.
      bias: [out].
      precision: see `conv3x3_relu`.
      padding: see `conv3x3_relu`.

    Returns:
      [batch, height, width, out].
    """
    x, margin = _bordered(x, padding)
    return _bias_and_relu(_lax_conv(x, kernel, precision, margin), bias, _stored(x, precision))


def _bordered(x: AnyArray, padding: str) -> tuple[AnyArray, int]:
    """The input with the border that the padding asks for, and how many zeros are yet to be put around it."""
    if padding == "zero":
        return x, 1
    return _border(x, *(min(1, side - 1) if padding == "reflect" else 0 for side in x.shape[1:3])), 0


# With a gradient of its own: JAX's, of slices, is slow on CPU.
@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _border(x: AnyArray, row: int, column: int) -> Array:
    """One more row and column on each side, which repeat these of the input, counted from each border."""
    batch, height, width, channels = x.shape
    wide = lax.dynamic_update_slice(jnp.zeros((batch, height + 2, width + 2, channels), x.dtype), x, (0, 1, 1, 0))
    for axis, side, seen in ((1, height, row), (2, width, column)):
        for beyond, inside in ((0, 1 + seen), (side + 1, side - seen)):
            line = lax.dynamic_slice_in_dim(wide, inside, 1, axis)
            wide = lax.dynamic_update_slice_in_dim(wide, line, beyond, axis)
    return wide


def _border_backward(row: int, column: int, _: None, cotangent: AnyArray) -> tuple[Array]:
    """Each row beyond the border adds to the one that it repeats."""
    height, width = (side - 2 for side in cotangent.shape[1:3])
    for axis, side, seen in ((2, width, column), (1, height, row)):
        for beyond, inside in ((0, 1 + seen), (side + 1, side - seen)):
            line = lax.dynamic_slice_in_dim(cotangent, inside, 1, axis)
            line += lax.dynamic_slice_in_dim(cotangent, beyond, 1, axis)
            cotangent = lax.dynamic_update_slice_in_dim(cotangent, line, inside, axis)
    return (jnp.asarray(cotangent[:, 1:-1, 1:-1]),)


_border.defvjp(lambda x, row, column: (_border(x, row, column), None), _border_backward)


def _stored(x: AnyArray, precision: str) -> Any:
    """The dtype in which a layer's activations are handed on."""
    return jnp.bfloat16 if precision == "bfloat16-activations" else x.dtype


def _bias_and_relu(y: Array, bias: AnyArray, stored: Any) -> Array:
    # The barrier lets the ReLU be computed once, not again in every consumer.
    return lax.optimization_barrier(_biased_relu(y, bias).astype(stored))


def _biased_relu(y: Array, bias: AnyArray) -> Array:
    return jnp.maximum(y + jnp.expand_dims(bias, tuple(range(y.ndim - 1))), 0)


def transform(kernel: Float[AnyArray, "3 3 in out"]) -> Transformed | None:
    """Transforms a kernel once for all, so that `conv3x3_relu` need not.

    Args:
      kernel: [3, 3, in, out], HWIO, float32 or float64.

    Returns:
      What `conv3x3_relu` takes on CPU, four times as large as the kernel, and as much again for small kernels; None for
      kernels of few channels, which are not transformed.
    """
    return None if _few_channels(kernel) else _transform(kernel)


@jax.jit
def _transform(kernel: AnyArray) -> Transformed:
    forward = winograd.transform_kernel(kernel)
    twice = kernel.shape[2] * kernel.shape[3] <= LARGEST_TWICE
    return Transformed(forward, jnp.swapaxes(forward, 1, 2) if twice else None)


def _few_channels(kernel: AnyArray) -> bool:
    return min(kernel.shape[2:]) < FEWEST_CHANNELS


# Under jit, layers of one shape are traced once, and outside it there is one program to compile instead of fifty.
@partial(jax.jit, static_argnums=3)
def _winograd_forward(
    x: Float[Array, "batch _ _ in"],
    transformed: Float[Array, "36 in out"],
    bias: Float[Array, "out"],
    margin: int,
) -> Float[Array, "batch height width out"]:
    return winograd.convolve((x,), transformed, after=lambda y: _biased_relu(y, bias), margin=margin)


@partial(jax.jit, static_argnums=3)
def _winograd_backward(
    cotangent: Float[Array, "batch height width out"],
    y: Float[Array, "batch height width out"],
    transformed: Transformed,
    margin: int,
) -> Float[Array, "batch _ _ in"]:
    forward, backward = transformed
    kernel, channels = (forward, 2) if backward is None else (backward, 1)
    return winograd.convolve(
        (cotangent, y), kernel, before=_through_relu, turned=True, channels=channels, margin=margin
    )


def _direct(x: AnyArray, kernel: AnyArray, precision: str, margin: int) -> Array:
    def by_lax(x: AnyArray, kernel: AnyArray) -> Array:
        return _lax_conv(x, kernel, precision, margin)

    def by_columns(x: AnyArray, kernel: AnyArray) -> Array:
        columns = _from_columns if kernel.shape[2] < kernel.shape[3] else _to_columns
        return columns(x, kernel, precision, margin)

    if _few_channels(kernel):
        return lax.platform_dependent(x, kernel, cpu=by_columns, tpu=by_columns, default=by_lax)
    return by_lax(x, kernel)


def _lax_conv(x: Any, kernel: Any, precision: str, margin: int) -> Array:
    around, asked = [(margin, margin)] * 2, lax.Precision(of_products(precision))
    return lax.conv_general_dilated(
        x, kernel, (1, 1), around, dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=asked
    )


def _from_columns(x: AnyArray, kernel: AnyArray, precision: str, margin: int) -> Array:
    """For few channels coming in: one product of the nine shifted inputs with the kernel."""
    columns = lax.optimization_barrier(jnp.concatenate(_shifted(x, margin), -1))
    return _product(columns, kernel.reshape(-1, kernel.shape[3]), precision)


def _to_columns(x: AnyArray, kernel: AnyArray, precision: str, margin: int) -> Array:
    """For few channels going out: one product with the kernel's nine taps, and the sum of its shifted parts."""
    taps = jnp.moveaxis(kernel, 2, 0).reshape(kernel.shape[2], -1)
    columns = lax.optimization_barrier(_product(x, taps, precision))
    outgoing = kernel.shape[3]
    parts = [part[..., n * outgoing :][..., :outgoing] for n, part in enumerate(_shifted(columns, margin))]
    return sum(parts[1:], start=parts[0])


def _product(x: AnyArray, matrix: AnyArray, precision: str) -> Array:
    return jnp.einsum("nhwi,io->nhwo", x, matrix, precision=lax.Precision(of_products(precision)))


def _shifted(x: AnyArray, margin: int) -> list[Array]:
    """What each of the nine taps sees of x [batch, height, width, channels], with so many zeros around it."""
    padded = jnp.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    height, width = (side - 2 for side in padded.shape[1:3])
    return [padded[:, row : row + height, column : column + width] for row in range(3) for column in range(3)]


_Residuals = tuple[Array, AnyArray | None, Transformed | None]


def _forward(
    x: AnyArray, margin: int, kernel: AnyArray | None, bias: AnyArray, transformed: Transformed | None, precision: str
) -> tuple[Array, _Residuals]:
    y = _block(x, margin, kernel, bias, transformed, precision)
    return y, (y, kernel, transformed)


def _backward(margin: int, precision: str, residuals: _Residuals, cotangent: Array) -> tuple[Array, None, None, None]:
    y, kernel, transformed = residuals
    if transformed is not None:
        wide = transformed.forward.dtype
        return _winograd_backward(cotangent.astype(wide), y.astype(wide), transformed, 2 - margin), None, None, None
    assert kernel is not None
    wide = kernel.dtype

    def convolved(cotangent: AnyArray, y: AnyArray, turned: AnyArray) -> Array:
        through = lax.optimization_barrier(_through_relu(cotangent, y))
        return _direct(through.astype(wide), turned, precision, 2 - margin)

    def directly(cotangent: AnyArray, y: AnyArray, kernel: AnyArray) -> Array:
        return convolved(cotangent, y, _turned(kernel))

    def on_tpu(cotangent: AnyArray, y: AnyArray, kernel: AnyArray) -> Array:
        # Behind a barrier it is turned before; a convolution that turns a small one itself takes twice the time.
        turned = _turned(kernel)
        small = max(kernel.shape[2:]) <= LARGEST_TURNED
        return convolved(cotangent, y, lax.optimization_barrier(turned) if small else turned)

    def by_winograd(cotangent: AnyArray, y: AnyArray, kernel: AnyArray) -> Array:
        return _winograd_backward(cotangent.astype(wide), y.astype(wide), _transform(kernel), 2 - margin)

    if _few_channels(kernel):
        return directly(cotangent, y, kernel), None, None, None
    found = lax.platform_dependent(cotangent, y, kernel, cpu=by_winograd, tpu=on_tpu, default=directly)
    return found, None, None, None


def _turned(kernel: AnyArray) -> Array:
    """By 180 degrees, with the channels that come in going out."""
    return jnp.swapaxes(kernel[::-1, ::-1], 2, 3)


def _through_relu(cotangent: AnyArray, y: AnyArray) -> Array:
    return jnp.where(y > 0, cotangent, 0)


_block = jax.custom_vjp(_conv3x3_relu, nondiff_argnums=(1, 5))
_block.defvjp(_forward, _backward)
