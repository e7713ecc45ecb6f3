"""VGG-19's pools: they halve both sides, by the average or the maximum of 2x2 windows or after a binomial low-pass.

An average of 2x2 windows lets much pass that is too fine for the halved grid, which takes it for something coarser; and
its gradient has steps between the windows. The binomial filter [1 3 3 1] / 8 of rows and columns, centered on the same
windows, lets less pass and has no such steps (Zhang, Making Convolutional Networks Shift-Invariant Again, arXiv
1904.11486).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

Array = jax.Array
AnyArray = jax.Array | np.ndarray


def pool(x: Float[AnyArray, "batch height width N"], kind: str) -> Float[AnyArray, "batch height//2 width//2 N"]:
    """Pools with stride two.

    The average and the maximum are of windows of 2x2; an odd last row or column is dropped. The binomial filter takes
    windows of 4x4, one row and column more on each side: an odd last row has its weight in the last window, and beyond
    the border the outermost row is repeated.

    Args:
      x: [batch, height, width, N]; both sides at least two.
      kind: "avg", "binomial" or "max".

    Returns:
      [batch, height // 2, width // 2, N].
    """
    height, width = x.shape[1:3]
    if kind == "binomial":
        return _binomial(x, height, width)
    x = x[:, : height // 2 * 2, : width // 2 * 2, :]
    if kind == "max":
        return _pairs(x).max((2, 4))
    return lax.platform_dependent(x, tpu=_mean_of_windows, default=lambda x: _pairs(x).mean((2, 4)))


def _pairs(x: AnyArray) -> AnyArray:
    """As [batch, height / 2, 2, width / 2, 2, N].

    The gradients of reductions of it are broadcasts; XLA's windowed reductions have slow ones on CPU.
    """
    batch, height, width, channels = x.shape
    return jnp.reshape(x, (batch, height // 2, 2, width // 2, 2, channels))


def _mean_of_windows(x: AnyArray) -> Array:
    """For TPU, where an axis of two is padded to a tile."""
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


# With a gradient of its own: JAX's, of slices, is slow on CPU.
@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _binomial(x: AnyArray, height: int, width: int) -> Array:
    return _halved(_halved(x, 1), 2)


def _backward(height: int, width: int, _: None, cotangent: AnyArray) -> tuple[Array]:
    return (_doubled(_doubled(cotangent, 2, width), 1, height),)


_binomial.defvjp(lambda x, height, width: (_binomial(x, height, width), None), _backward)


def _halved(x: AnyArray, axis: int) -> Array:
    """Each pair of rows, (3 (a + b) + the row before + the row after) / 8."""
    cut = partial(lax.slice_in_dim, axis=axis)
    side = x.shape[axis]
    half = side // 2
    pairs = cut(x, 0, 2 * half).reshape(*x.shape[:axis], half, 2, *x.shape[axis + 1 :])
    a, b = (lax.index_in_dim(pairs, n, axis + 1, keepdims=False) for n in range(2))
    before = jnp.concatenate([cut(x, 0, 1), cut(b, 0, half - 1)], axis)
    after = jnp.concatenate([cut(a, 1, half), cut(x, side - 1, side)], axis)
    return (3 * (a + b) + before + after) / 8


def _doubled(cotangent: AnyArray, axis: int, side: int) -> Array:
    """The transpose of `_halved` for an input of so many rows."""
    cut = partial(lax.slice_in_dim, cotangent, axis=axis)
    half, odd = divmod(side, 2)
    first, last = cut(0, 1), cut(half - 1, half)
    before = jnp.concatenate([first, cut(0, half - 1)], axis)
    after = jnp.concatenate([cut(1, half), jnp.zeros_like(last) if odd else last], axis)
    pairs = jnp.stack([3 * cotangent + before, 3 * cotangent + after], axis + 1)
    rows = pairs.reshape(*cotangent.shape[:axis], 2 * half, *cotangent.shape[axis + 1 :])
    return (jnp.concatenate([rows, last], axis) if odd else rows) / 8
