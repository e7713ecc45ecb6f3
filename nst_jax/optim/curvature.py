"""What L-BFGS remembers of one lane, and the inverse Hessian that it makes of it.

The rings of pairs are what an optimizer reads and writes most: at 256x256, a hundred pairs are 157 MB. So a step reads
each ring twice (once for all products with it, once for the direction) and writes one slot of it, in place.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float, Int

Array = jax.Array
Precondition = Callable[[Array], Array]


class History(NamedTuple):
    """The latest curvature pairs of one lane, in a ring of `history` slots, and their inner products.

    Pairs are scaled so that s·y = 1, which leaves the method as it is and keeps float32 in range.
    """

    s: Float[Array, "history *shape"]
    """Steps."""
    y: Float[Array, "history *shape"]
    """Changes of the gradient."""
    sy: Float[Array, "history history"]
    """s_i·y_j."""
    yy: Float[Array, "history history"]
    """y_i·P y_j, P the preconditioner."""
    age: Int[Array, "history"]
    """How many pairs came after; -1 marks an empty slot."""


class Pair(NamedTuple):
    """A pair for the oldest slot, which the rings do not have yet."""

    s: Float[Array, "*shape"]
    """The step, scaled as in `History`."""
    y: Float[Array, "*shape"]
    """The gradient's change."""
    slot: Int[Array, ""]
    """Where it belongs."""
    taken: Bool[Array, ""]
    """Whether it is wanted and its curvature safely positive; if not, s and y are zero and nothing is to change."""


class Products(NamedTuple):
    """Of the pairs, the newest one included, with a gradient g."""

    sg: Float[Array, "history"]
    """s_i·g."""
    yg: Float[Array, "history"]
    """y_i·P g."""


def empty(pairs: int, image: Float[Array, "*shape"]) -> History:
    """Makes a history of no pairs.

    Args:
      pairs: for how many there shall be room.
      image: [*shape], any floating dtype; those to come are like it.

    Returns:
      The history.
    """
    ring = jnp.zeros((pairs, *image.shape), image.dtype)
    square = jnp.zeros((pairs, pairs), image.dtype)
    return History(ring, ring, square, square, jnp.full(pairs, -1, jnp.int32))


def pair(
    history: History, s: Float[Array, "*shape"], y: Float[Array, "*shape"], wanted: Bool[Array, ""] | bool
) -> Pair:
    """Makes a pair, if it is wanted and good (see `Pair.taken`).

    Args:
      history: what the pair is for.
      s: a step, [*shape].
      y: the gradient's change, [*shape].
      wanted: whether the pair may be taken at all.

    Returns:
      The pair, which is not in the history yet.
    """
    curvature = dot(s, y)
    floor = 10 * jnp.finfo(s.dtype).eps * jnp.sqrt(dot(s, s) * dot(y, y))
    taken = wanted & (curvature > floor)  # false for NaN
    scale = jnp.sqrt(jnp.where(taken, curvature, 1.0))
    slot = jnp.argmax(jnp.where(history.age < 0, jnp.iinfo(jnp.int32).max, history.age))
    s, y = lax.optimization_barrier(tuple(jnp.where(taken, vector / scale, 0.0) for vector in (s, y)))
    return Pair(s, y, slot, taken)


def remember(
    history: History, new: Pair, gradient: Float[Array, "*shape"], precondition: Precondition
) -> tuple[History, Products]:
    """Takes a pair's inner products.

    Args:
      history: before the pair.
      new: from `pair`.
      gradient: g, [*shape].
      precondition: P, from [*shape] to [*shape].

    Returns:
      The history with the pair's inner products and age, its rings not yet written; and all pairs' products with g.
    """

    # Masks instead of indices, here and below: a scatter or gather is several programs to compile, a mask none.
    replaced = _replaced(history, new)

    def products(ring: Array, own: Array, vectors: list[Array]) -> Array:
        """Of the ring, as if the pair stood in its slot, with each vector: [history, vectors]."""
        several, axes = jnp.stack(vectors), tuple(range(1, ring.ndim))
        earlier, latest = (
            jnp.tensordot(part, several, (axes, axes), precision=lax.Precision.HIGHEST) for part in (ring, own[None])
        )
        return jnp.where(replaced[:, None], latest, earlier)

    def with_pair(square: Array, row: Array, column: Array) -> Array:
        return jnp.where(replaced, column[:, None], jnp.where(replaced[:, None], row, square))

    of_s = products(history.s, new.s, [new.y, gradient])
    of_y = products(history.y, new.y, [new.s, precondition(new.y), precondition(gradient)])
    older = jnp.where(new.taken & (history.age >= 0), history.age + 1, history.age)
    history = history._replace(
        sy=with_pair(history.sy, of_y[:, 0], of_s[:, 0]),
        yy=with_pair(history.yy, of_y[:, 1], of_y[:, 1]),
        age=jnp.where(replaced, 0, older),
    )
    return history, Products(of_s[:, 1], of_y[:, 2])


def _replaced(history: History, new: Pair) -> Bool[Array, "history"]:
    """True for the slot that the pair takes, if it was taken."""
    return (jnp.arange(len(history.age)) == new.slot) & new.taken


def inverse_hessian_times(
    history: History, new: Pair, gradient: Float[Array, "*shape"], products: Products, precondition: Precondition
) -> Float[Array, "*shape"]:
    """Computes H g by the compact form of the inverse (Byrd, Nocedal & Schnabel, Math. Programming 63, 1994, eq 2.6).

    It takes a few matrix products over all pairs instead of the two-loop recursion's chain of `4 history` vector
    operations. With pairs scaled to s·y = 1 its matrix D is the identity. Empty slots count for nothing.

    Args:
      history: from `remember`.
      new: the pair that it has the products of, but not yet in its rings.
      gradient: g, [*shape].
      products: from `remember`, with this g.
      precondition: see `remember`.

    Returns:
      H g, [*shape].
    """
    order = jnp.argsort(-history.age)  # oldest first, empty slots last
    valid = history.age[order] >= 0
    both = valid[:, None] & valid[None, :]
    sy = jnp.where(both, history.sy[order][:, order], 0.0)
    yy = jnp.where(both, history.yy[order][:, order], 0.0)
    r = jnp.triu(sy) + jnp.diag(jnp.where(valid, 0.0, 1.0))
    sg, yg = (jnp.where(valid, values[order], 0.0) for values in products)
    newest = jnp.sum(jnp.where(history.age == 0, jnp.diagonal(history.yy), 0.0))
    gamma = 1.0 / jnp.where(valid[0], newest, 1.0)  # s·y / y·P y of the newest pair

    solve = jax.scipy.linalg.solve_triangular
    p = solve(r, sg)
    q = solve(r, p + gamma * (jnp.matmul(yy, p, precision=lax.Precision.HIGHEST) - yg), trans=1)
    back = jnp.argsort(order)
    replaced = _replaced(history, new)

    def combine(weights: Array, ring: Array, own: Array) -> Array:
        earlier, latest = jnp.where(replaced, 0.0, weights), jnp.sum(jnp.where(replaced, weights, 0.0))
        return jnp.tensordot(earlier, ring, ((0,), (0,)), precision=lax.Precision.HIGHEST) + latest * own

    return combine(q[back], history.s, new.s) + gamma * precondition(gradient - combine(p[back], history.y, new.y))


def written(history: History, new: Pair, kept: Bool[Array, ""] | bool) -> History:
    """Writes the pair into the history's rings, if it was taken and is to be `kept`.

    XLA writes a slot in place only where all other readers of the ring come first by their data: `kept` has to depend
    on the direction. Otherwise it copies both rings for each step.

    Args:
      history: from `remember`.
      new: the pair.
      kept: whether to write it.

    Returns:
      The history.
    """
    stored = new.taken & kept
    s, y = (
        _put(ring, new.slot, jnp.where(stored, own, ring[new.slot]))
        for ring, own in ((history.s, new.s), (history.y, new.y))
    )
    return history._replace(s=s, y=y)


@jax.custom_batching.custom_vmap
def _put(
    ring: Float[Array, "history *shape"], slot: Int[Array, ""], value: Float[Array, "*shape"]
) -> Float[Array, "history *shape"]:
    return lax.dynamic_update_index_in_dim(ring, value, slot, 0)


@_put.def_vmap
def _put_for_each(
    lanes: int,
    _batched: list[bool],
    rings: Float[Array, "lanes history *shape"],
    slots: Int[Array, "lanes"],
    values: Float[Array, "lanes *shape"],
) -> tuple[Float[Array, "lanes history *shape"], bool]:
    """One update after the other: JAX's own rule is a scatter, for which the rings are copied."""
    for lane in range(lanes):
        corner = (lane, slots[lane], *[0] * (rings.ndim - 2))
        rings = lax.dynamic_update_slice(rings, values[lane][None, None], corner)
    return rings, True


def dot(a: Float[Array, "*shape"], b: Float[Array, "*shape"]) -> Float[Array, ""]:
    """Takes the inner product of two arrays of one shape, over all axes: a scalar."""
    return jnp.sum(a * b)  # not of flattened arrays: XLA for CPU sums a vector by a chain of programs
