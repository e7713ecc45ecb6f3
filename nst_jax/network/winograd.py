"""Winograd's minimal filtering F(4x4, 3x3): a 3x3 convolution with a quarter of the multiplications, in plain JAX.

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308. A one-dimensional convolution of
six inputs d with three taps g into four outputs is a product of polynomials, found by evaluating both at six points,
multiplying there and interpolating: Aᵀ[(G g) ⊙ (Bᵀ d)]. Nested over rows and columns, a tile of 6x6 inputs gives 4x4
outputs for 36 products per pair of channels instead of 144, and the products of all tiles at one of the 36 points are
one matrix product over the channels.

The points are 0, ±1/√2, ±√2 and ∞ instead of Lavin's 0, ±1, ±2, ∞. They lose less to rounding, and the set is closed
under p -> 1/p: evaluating a reversed filter at p is evaluating the filter at 1/p, so the transform of the kernel turned
by 180 degrees, which the input's gradient needs, is a permutation of the transform of the kernel itself, and one copy
can serve both passes.

F(6x6, 3x3) needs a fifth fewer products and was slower: its transforms cost more than that (docs/speed.md).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

Array = jax.Array
AnyArray = jax.Array | np.ndarray
TILE = 4  # outputs of a tile, per side
WINDOW = TILE + 2  # its inputs, and the points, per side
STRIP_BYTES = 16e6  # of transformed tiles, input and output, that a core's share of the cache holds

_FINITE = (0.0, math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2.0), -math.sqrt(2.0))
_RECIPROCAL = np.array([5, 3, 4, 1, 2, 0])  # the index of 1/p for each point; ∞ is the last point


def _evaluation(coefficients: int) -> np.ndarray:
    """[points, coefficients]: a polynomial's values at the points; at ∞, its leading coefficient."""
    leading = np.eye(coefficients)[-1:]
    return np.concatenate([np.vander(_FINITE, coefficients, increasing=True), leading])


_SCALE = np.array([p or 1.0 for p in _FINITE] + [1.0])[:, None]  # makes reversal exact: (1/p, 1, p) for point p
G = _evaluation(3) / _SCALE
B_T = np.where(np.abs(inverse := np.linalg.inv(_evaluation(WINDOW)).T) > 1e-12, inverse, 0.0) * _SCALE
A_T = _evaluation(TILE).T


def transform_kernel(kernel: Float[AnyArray, "3 3 in out"]) -> Float[Array, "36 in out"]:
    """Evaluates the kernel at the 36 points, as `convolve` needs it.

    Args:
      kernel: [3, 3, in, out], HWIO.

    Returns:
      [36, in, out], the same dtype; four times the memory.
    """
    rows = jnp.stack(_combinations(list(kernel), G))
    columns = jnp.stack(_combinations([rows[:, j] for j in range(3)], G), 1)
    return columns.reshape(WINDOW**2, *kernel.shape[2:])


def convolve(
    inputs: tuple[Float[AnyArray, "batch height width in"], ...],
    transformed: Float[AnyArray, "36 _ _"],
    *,
    before: Callable[..., Array] = lambda x: x,
    after: Callable[[Array], Array] = lambda y: y,
    turned: bool = False,
    channels: int = 1,
    margin: int = 1,
) -> Float[Array, "batch _ _ _"]:
    """Convolves `before(*inputs)` by 3x3 with stride one, and takes `after` of the outcome.

    Large inputs are worked on in strips of rows, and large batches in groups of images, so that a strip's transformed
    tiles stay in the cache and bound the memory.

    Args:
      inputs: arrays [batch, height, width, in] of one floating dtype, which `before` makes one such array of.
      transformed: [36, in, out] from `transform_kernel`.
      before: from a strip of each input to one array; elementwise over positions.
      after: of a strip of the outcome; elementwise over positions.
      turned: convolve with the kernel turned by 180 degrees, which, with `transformed` transposed, makes the gradient
        with respect to the input from that with respect to the output.
      channels: the axis of `transformed` that belongs to the inputs' channels; 2 for one that is not yet transposed.
      margin: how many rows and columns of zeros are around the inputs: 1 keeps height and width, 0 is for inputs that
        have a border of their own already, 2 is for the gradient with respect to those.

    Returns:
      [batch, height + 2 (margin - 1), width + 2 (margin - 1), out].
    """
    batch, height, width, incoming = inputs[0].shape
    high, wide = height + 2 * (margin - 1), width + 2 * (margin - 1)
    outgoing = transformed.shape[3 - channels]
    down, across = -(-high // TILE), -(-wide // TILE)
    images, rows = _strip(batch, down, across, (incoming, outgoing), inputs[0].dtype.itemsize)
    strips = -(-down // rows)
    taken = height if strips == 1 else rows * TILE
    inputs = tuple(jnp.pad(x, ((0, 0), (0, max(0, strips * taken - height)), (0, 0), (0, 0))) for x in inputs)

    def strip(i: Array | int) -> Array:
        def take(start: Array | int, size: int) -> Array:
            corner = (i // strips * images, start, 0, 0)
            return before(*(lax.dynamic_slice(x, corner, (images, size, width, incoming)) for x in inputs))

        start = i % strips * taken
        parts = [(margin, take(start, taken))]
        if strips > 1:  # at the picture's edge, the index out of range is clamped and what it found there masked
            for row in (*range(-margin, 0), *range(taken, taken + 2 - margin)):
                inside = start + row >= 0 if row < 0 else start + row < height
                parts.append((margin + row, jnp.where(inside, take(start + row, 1), 0)))
        padded = jnp.zeros((images, rows * TILE + 2, across * TILE + 2, incoming), parts[0][1].dtype)
        for row, part in parts:  # XLA for CPU makes copies of these, and slow loops of `pad` and `concatenate`
            padded = lax.dynamic_update_slice(padded, part, (0, row, margin, 0))
        return lax.optimization_barrier(after(_convolve_tiles(padded, transformed, turned, channels)))

    count = batch // images * strips
    y = strip(0)[None] if count == 1 else _stacked(strip, count, inputs[0][0, 0, 0, 0])
    return y.reshape(batch, -1, across * TILE, outgoing)[:, :high, :wide]


def _stacked(part: Callable[[Array | int], Array], count: int, some: Array) -> Array:
    """[count, ...] of part(0) to part(count - 1), one after the other.

    As `lax.map`, whose result starts as zeros: XLA shares them among all results of a shape, so that they live from the
    program's beginning to its end and each is begun as a copy. Here it starts as any number that only it depends on.
    """
    shape = jax.eval_shape(part, 0)

    def put(i: Array, whole: Array) -> Array:
        return lax.dynamic_update_index_in_dim(whole, part(i), i, 0)

    return lax.fori_loop(0, count, put, jnp.full((count, *shape.shape), some, shape.dtype))


def _strip(batch: int, down: int, across: int, channels: tuple[int, int], itemsize: int) -> tuple[int, int]:
    """How many images, and how many of their rows of tiles, to work on at once: several images or part of one."""
    # At least so many tiles that reading the transformed kernel again for each strip costs little.
    tiles = max(STRIP_BYTES / (WINDOW**2 * itemsize * sum(channels)), 2 * math.prod(channels) / sum(channels))
    if down * across <= tiles:
        return max(n for n in range(1, batch + 1) if batch % n == 0 and n * down * across <= tiles), down
    most = max(1, int(tiles / across))
    even = [rows for rows in range(-(-most // 2), most + 1) if down % rows == 0]
    return 1, max(even, default=-(-down // -(-down // most)))


def _convolve_tiles(padded: Array, transformed: AnyArray, turned: bool, channels: int) -> Array:
    """[images, 4 down + 2, 4 across + 2, in] to [images, down, 4, across, 4, out].

    The barriers keep XLA from fusing a stage into the next, where it would be computed again for each of its uses.
    """
    order = _RECIPROCAL if turned else np.arange(WINDOW)
    images, down, across = padded.shape[0], padded.shape[1] // TILE, padded.shape[2] // TILE
    padded = lax.optimization_barrier(padded)
    rows = lax.optimization_barrier(jnp.stack(_combinations(_taps(padded, 1), B_T[order])))
    points = jnp.stack(_combinations(_taps(rows, 3), B_T[order]), 1)
    points = lax.optimization_barrier(points.reshape(WINDOW**2, images * down * across, -1))
    products = lax.optimization_barrier(_multiply(points, transformed, channels)).reshape(
        WINDOW, WINDOW, images, down, across, -1
    )
    rows = jnp.stack(_combinations(list(products), A_T[:, order]), 3)
    rows = lax.optimization_barrier(rows)
    return jnp.stack(_combinations(list(rows), A_T[:, order]), 4)


def _multiply(points: Array, transformed: AnyArray, channels: int) -> Array:
    """The matrix products over the channels: [36, tiles, in] to [36, tiles, out]."""
    if channels == 1:
        return lax.dot_general(points, transformed, (((2,), (1,)), ((0,), (0,))))
    product = (((2,), (2,)), ((0,), (0,)))  # one factor has to be transposed, which XLA does to the right one
    if points.shape[1] >= transformed.shape[1]:
        return lax.dot_general(points, transformed, product)
    return jnp.swapaxes(lax.optimization_barrier(lax.dot_general(transformed, points, product)), 1, 2)


def _taps(x: Array, axis: int) -> list[Array]:
    """The six inputs of each tile along an axis, as six strided slices."""
    last = x.shape[axis] - WINDOW
    return [lax.slice_in_dim(x, i, i + last + 1, TILE, axis) for i in range(WINDOW)]


def _combinations(terms: list[Array], matrix: np.ndarray) -> list[Array]:
    """The matrix times the terms, zeros skipped. Each term is traced once, not once for each row: starts are faster."""

    def combination(row: np.ndarray) -> Array:
        parts = [term if c == 1 else term * term.dtype.type(c) for c, term in zip(row, terms, strict=True) if c]
        return sum(parts[1:], start=parts[0])

    return [combination(row) for row in matrix]
