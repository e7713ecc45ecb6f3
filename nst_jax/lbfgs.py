"""L-BFGS for many lanes at once: one evaluation a step for every lane, each lane in a line search of its own.

The optimiser never evaluates anything. `ask` says where each lane wants its loss and gradient, `tell` takes them; so a
lane that accepts its first trial goes on at once, and one whose search takes longer holds up nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from nst_jax import line_search

Array = jax.Array
RUNNING, CONVERGED, NOT_FINITE = 0, 1, 2


class History(NamedTuple):
    """The latest curvature pairs of one lane, in a ring of `history` slots, and their inner products.

    Pairs are scaled so that s·y = 1, which leaves the method as it is and keeps float32 in range.
    """

    s: Array
    """Steps, [history, *shape]."""
    y: Array
    """Changes of the gradient, [history, *shape]."""
    sy: Array
    """s_i·y_j, [history, history]."""
    yy: Array
    """y_i·P y_j, [history, history], P the preconditioner."""
    age: Array
    """[history] int32: how many pairs came after; -1 marks an empty slot."""


class State(NamedTuple):
    """One lane's state; in a batch every array has a leading lane axis."""

    image: Array
    """The accepted point x_k, the given shape."""
    value: Array
    gradient: Array
    direction: Array
    history: History
    search: line_search.Search
    status: Array
    """RUNNING, CONVERGED (no further decrease to be had in this precision) or NOT_FINITE, int32."""
    accepted: Array
    """Whether the latest evaluation moved `image`."""


def identity(gradient: Array) -> Array:
    """No preconditioner."""
    return gradient


@dataclass(frozen=True)
class LBFGS:
    """The settings.

    Attributes:
      history: how many curvature pairs to remember.
      first_step: the root mean square change of the variables in the first trial, in the variables' units; a search
        along the gradient has no natural length.
      precondition: P, a symmetric positive definite linear map of one lane's gradient; the inverse Hessian is built
        up from γ P instead of γ. Hashable, since it is static under jit.
    """

    history: int = 20
    first_step: float = 0.001
    precondition: Callable[[Array], Array] = identity

    def init(self, images: Array) -> State:
        """The state before any evaluation, of start images [lanes, *shape], any floating dtype."""
        return jax.vmap(self._init)(images)

    def ask(self, state: State) -> Array:
        """Where to evaluate next, [lanes, *shape]; a lane that no longer runs stays where it is."""

        def trial(lane: State) -> Array:
            return lane.image + jnp.where(lane.status == RUNNING, lane.search.step, 0) * lane.direction

        return jax.vmap(trial)(state)

    def tell(self, state: State, values: Array, gradients: Array) -> State:
        """Takes the losses [lanes] and gradients [lanes, *shape] at the points that `ask` gave."""
        return jax.vmap(self._tell)(state, values, gradients)

    def _init(self, image: Array) -> State:
        zero, m = jnp.zeros((), image.dtype), self.history
        empty = jnp.zeros((m, *image.shape), image.dtype)
        square = jnp.zeros((m, m), image.dtype)
        # The first evaluation is a step of length zero that is taken whatever it gives.
        search = line_search.begin(zero, zero, zero)._replace(last_resort=jnp.ones((), bool))
        return State(
            image=image,
            value=zero,
            gradient=jnp.zeros_like(image),
            direction=jnp.zeros_like(image),
            history=History(empty, empty, square, square, jnp.full(m, -1, jnp.int32)),
            search=search,
            status=jnp.full((), RUNNING, jnp.int32),
            accepted=jnp.zeros((), bool),
        )

    def _tell(self, state: State, value: Array, gradient: Array) -> State:
        # A gradient with one NaN has a norm that is not finite; along d = 0 its slope alone would not show it.
        finite = jnp.isfinite(_dot(gradient, gradient))
        slope = jnp.where(finite, _dot(gradient, state.direction), jnp.nan)
        running = state.status == RUNNING
        search, verdict = line_search.tell(state.search, value, slope)
        accepted = running & verdict.accepted
        failed = running & verdict.failed

        step = state.search.step * state.direction
        history = self._push(state.history, step, gradient - state.gradient, accepted)
        # A search without any decrease: forget the history and go along the gradient; if that is what failed, the lane
        # has arrived as far as its precision allows, or has nothing finite around it.
        remembered = jnp.any(history.age >= 0)
        history = history._replace(age=jnp.where(failed, -1, history.age))
        over = failed & ~remembered
        status = jnp.where(over, jnp.where(finite & jnp.isfinite(value), CONVERGED, NOT_FINITE), state.status)

        image = jnp.where(accepted, state.image + step, state.image)
        new_value = jnp.where(accepted, value, state.value)
        new_gradient = jnp.where(accepted, gradient, state.gradient)

        descent = -self._inverse_hessian_times(history, new_gradient)
        slope = _dot(descent, new_gradient)
        forgetful = ~jnp.any(history.age >= 0)
        upwards = ~(slope < 0)  # rounding has spoilt the history
        direction = jnp.where(upwards, -self.precondition(new_gradient), descent)
        slope = jnp.where(upwards, _dot(direction, new_gradient), slope)
        restart = accepted | failed
        history = history._replace(age=jnp.where(restart & upwards, -1, history.age))
        status = jnp.where(accepted & (slope == 0), CONVERGED, status).astype(jnp.int32)
        length = jnp.sqrt(_dot(direction, direction) / direction.size)
        first = self.first_step / jnp.where(length > 0, length, 1)
        trial = jnp.where(upwards | forgetful, first, 1.0).astype(value.dtype)
        fresh = line_search.begin(new_value, slope, trial)
        return State(
            image=image,
            value=new_value,
            gradient=new_gradient,
            direction=jnp.where(restart, direction, state.direction),
            history=history,
            search=jax.tree.map(lambda new, old: jnp.where(restart, new, old), fresh, search),
            status=status,
            accepted=accepted,
        )

    def _push(self, history: History, s: Array, y: Array, wanted: Array) -> History:
        """Puts a pair into the oldest slot, if it is `wanted` and its curvature is safely positive."""
        curvature = _dot(s, y)
        floor = 10 * jnp.finfo(s.dtype).eps * jnp.sqrt(_dot(s, s) * _dot(y, y))
        taken = wanted & (curvature > floor)  # false for NaN
        scale = jnp.sqrt(jnp.where(taken, curvature, 1.0))
        slot = jnp.argmax(jnp.where(history.age < 0, jnp.iinfo(jnp.int32).max, history.age))

        s_new = jnp.where(taken, s / scale, history.s[slot])
        y_new = jnp.where(taken, y / scale, history.y[slot])
        s_new, y_new = jax.lax.optimization_barrier((s_new, y_new))
        # Elementwise, and behind a barrier, so that each ring is written once, in place: XLA for CPU copies it whole
        # for an update by index, and again for each of the products that read it.
        here = (jnp.arange(self.history) == slot).reshape(-1, *[1] * s.ndim)
        rings = jnp.where(here, s_new, history.s), jnp.where(here, y_new, history.y)
        s_ring, y_ring = jax.lax.optimization_barrier(rings)
        row, column, both = (
            _products(y_ring, s_new),
            _products(s_ring, y_new),
            _products(y_ring, self.precondition(y_new)),
        )
        sy = history.sy.at[slot].set(row).at[:, slot].set(column)
        yy = history.yy.at[slot].set(both).at[:, slot].set(both)
        age = jnp.where(history.age < 0, -1, history.age + 1).at[slot].set(0)
        small = (sy, yy, age)
        kept = (history.sy, history.yy, history.age)
        return History(s_ring, y_ring, *(jnp.where(taken, new, old) for new, old in zip(small, kept, strict=True)))

    def _inverse_hessian_times(self, history: History, gradient: Array) -> Array:
        """H g by the compact form of the inverse (Byrd, Nocedal & Schnabel, Math. Programming 63, 1994, eq 2.6).

        It reads the history twice, as the two-loop recursion does, but in four matrix products over all pairs instead
        of a chain of `4 history` vector operations. With pairs scaled to s·y = 1 its matrix D is the identity. Empty
        slots count for nothing.
        """
        order = jnp.argsort(-history.age)  # oldest first, empty slots last
        valid = history.age[order] >= 0
        both = valid[:, None] & valid[None, :]
        sy = jnp.where(both, history.sy[order][:, order], 0.0)
        yy = jnp.where(both, history.yy[order][:, order], 0.0)
        r = jnp.triu(sy) + jnp.diag(jnp.where(valid, 0.0, 1.0))
        sg = jnp.where(valid, _products(history.s, gradient)[order], 0.0)
        yg = jnp.where(valid, _products(history.y, self.precondition(gradient))[order], 0.0)
        newest = jnp.argmin(jnp.where(history.age < 0, jnp.iinfo(jnp.int32).max, history.age))
        gamma = 1.0 / jnp.where(valid[0], history.yy[newest, newest], 1.0)  # s·y / y·P y of the newest pair

        solve = jax.scipy.linalg.solve_triangular
        p = solve(r, sg)
        q = solve(r, p + gamma * (jnp.matmul(yy, p, precision=jax.lax.Precision.HIGHEST) - yg), trans=1)
        back = jnp.argsort(order)
        return _combine(q[back], history.s) + gamma * self.precondition(gradient - _combine(p[back], history.y))


def _dot(a: Array, b: Array) -> Array:
    return jnp.vdot(a, b, precision=jax.lax.Precision.HIGHEST)


def _products(ring: Array, vector: Array) -> Array:
    axes = tuple(range(vector.ndim))
    return jnp.tensordot(ring, vector, (tuple(a + 1 for a in axes), axes), precision=jax.lax.Precision.HIGHEST)


def _combine(weights: Array, ring: Array) -> Array:
    return jnp.tensordot(weights, ring, ((0,), (0,)), precision=jax.lax.Precision.HIGHEST)
