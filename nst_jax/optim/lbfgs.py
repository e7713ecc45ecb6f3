"""L-BFGS for many lanes at once: one evaluation a step for every lane, each lane in a line search of its own.

The optimizer never evaluates anything. `ask` says where each lane wants its loss and gradient, `tell` takes them; so a
lane that accepts its first trial goes on at once, and one whose search takes longer holds up nobody.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from nst_jax.errors import InputError, argument
from nst_jax.optim import box, curvature, line_search
from nst_jax.optim.box import Box
from nst_jax.optim.status import CONVERGED, NOT_FINITE, RUNNING

Array = jax.Array


class State(NamedTuple):
    """One lane's state; in a batch every array has a leading lane axis."""

    image: Array
    """The accepted point x_k, the given shape; in the box."""
    point: Array
    """What it is the projection of."""
    value: Array
    """The loss there."""
    gradient: Array
    """The gradient there, the given shape."""
    direction: Array
    """Of the search from `point`, the given shape; zero before the first evaluation."""
    history: curvature.History
    search: line_search.Search
    box: Box
    """What the points stay in."""
    status: Array
    """RUNNING, CONVERGED (no further decrease to be had in this precision) or NOT_FINITE, int32."""
    accepted: Array
    """Whether the latest evaluation moved `image`."""


def identity(gradient: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Preconditions nothing."""
    return gradient


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS with a strong-Wolfe line search (Nocedal & Wright, Numerical Optimization, 2nd ed., chapters 3 and 7).

    Within bounds it goes along projected paths, and holds variables at a bound that the gradient pushes against; they
    have no part in the gradient that directions and curvature pairs are made of (two-metric projection: Bertsekas, SIAM
    J. Control Optim. 20, 1982; Schmidt, Kim & Sra in Optimization for Machine Learning, 2011). Unlike there, the point
    that a search starts from is the one before projection: a picture that is clipped again and again has a kink
    wherever it was, and the loss hardly sees these highest frequencies, so that they would stay as colored grain
    (docs/pictures.md).

    Attributes:
      history: how many curvature pairs to remember.
      first_step: the root mean square change of the variables in the first trial, in the variables' units; a search
        along the gradient has no natural length.
      precondition: P, a symmetric positive definite linear map of one lane's gradient; the inverse Hessian is built
        up from γ P instead of γ. Hashable, since it is static under jit.

    Raises:
      InputError: no pairs, or a first step that is not positive and finite.

    Example:
      >>> optimizer = nst.LBFGS(history=10)
      >>> result = nst.minimize(lambda x: ((x - 3) ** 2).sum(1), jnp.zeros((2, 5)), optimizer=optimizer)
      >>> round(result.images.min().item(), 3), [status.name for status in result.status]
      (3.0, ['CONVERGED', 'CONVERGED'])
    """

    history: int = 20
    first_step: float = 0.001
    precondition: Callable[[Array], Array] = identity

    def __post_init__(self) -> None:
        """Refuses what no run could be made of."""
        if self.history < 1:
            raise InputError(f"{argument('history')}: {self.history} is not allowed; must be at least 1")
        if not 0 < self.first_step < math.inf:
            raise InputError(f"{argument('first_step')}: {self.first_step} is not allowed; must be positive and finite")

    def init(self, images: Float[Array, "lanes *shape"], boxes: Box | None = None) -> State:
        """Makes the state before any evaluation.

        Args:
          images: the start, [lanes, *shape], any floating dtype; brought into the boxes.
          boxes: which each lane's points stay in; None for any point.

        Returns:
          The state.
        """
        boxes = box.boxes(images.shape[0], images.dtype) if boxes is None else boxes
        return jax.vmap(self._init)(images, boxes)

    def ask(self, state: State) -> Float[Array, "lanes *shape"]:
        """Says where to evaluate next, [lanes, *shape]; a lane that no longer runs stays where it is."""

        def trial(lane: State) -> Float[Array, "*shape"]:
            step = jnp.where(lane.status == RUNNING, lane.search.step, 0)
            return box.project(lane.box, lane.point + step * lane.direction)

        return jax.vmap(trial)(state)

    def tell(self, state: State, values: Float[Array, "lanes"], gradients: Float[Array, "lanes *shape"]) -> State:
        """Takes the losses [lanes] and gradients [lanes, *shape] at the points that `ask` gave."""
        return jax.vmap(self._tell)(state, values.astype(gradients.dtype), gradients)

    def _init(self, image: Float[Array, "*shape"], own: Box) -> State:
        zero = jnp.zeros((), image.dtype)
        # The first evaluation is a step of length zero that is taken whatever it gives.
        search = line_search.begin(zero, zero, zero)._replace(last_resort=jnp.ones((), bool))
        inside = box.project(own, image)
        return State(
            image=inside,
            point=inside,
            value=zero,
            gradient=jnp.zeros_like(image),
            direction=jnp.zeros_like(image),
            history=curvature.empty(self.history, image),
            search=search,
            box=own,
            status=jnp.full((), RUNNING, jnp.int32),
            accepted=jnp.zeros((), bool),
        )

    def _tell(self, state: State, value: Float[Array, ""], gradient: Float[Array, "*shape"]) -> State:
        # A gradient with one NaN has a norm that is not finite; along d = 0 its slope alone would not show it.
        finite = jnp.isfinite(curvature.dot(gradient, gradient))
        trial = state.point + state.search.step * state.direction
        slope = jnp.where(finite, box.slope(state.box, trial, state.direction, gradient), jnp.nan)
        running = state.status == RUNNING
        search, verdict = line_search.tell(state.search, value, slope)
        accepted = running & verdict.accepted
        failed = running & verdict.failed

        point = jnp.where(accepted, trial, state.point)
        new_value = jnp.where(accepted, value, state.value)
        new_gradient = jnp.where(accepted, gradient, state.gradient)
        # Variables that are held tell nothing of the curvature that the others meet while they are.
        free = box.free(state.box, point, new_gradient)
        reduced = jnp.where(free, new_gradient, 0)
        before = jnp.where(box.free(state.box, state.point, state.gradient), state.gradient, 0)
        pair = curvature.pair(state.history, point - state.point, reduced - before, accepted)
        history, products = curvature.remember(state.history, pair, reduced, self.precondition)
        # A search without any decrease: forget the history and what is beyond the box, and go along the gradient; if
        # that is what failed, the lane has arrived as far as its precision allows, or has nothing finite around it.
        remembered = jnp.any(history.age >= 0)
        history = history._replace(age=jnp.where(failed, -1, history.age))
        over = failed & ~remembered
        status = jnp.where(over, jnp.where(finite & jnp.isfinite(value), CONVERGED, NOT_FINITE), state.status)

        descent = -curvature.inverse_hessian_times(history, pair, reduced, products, self.precondition)
        descent = box.unfrozen(state.box, descent)
        slope = box.slope(state.box, point, descent, new_gradient)
        forgetful = ~jnp.any(history.age >= 0)
        upwards = failed | ~(slope < 0)  # rounding, or what is held, has spoilt the history
        restart = accepted | failed
        image = box.project(state.box, point)
        point = jnp.where(restart & upwards, image, point)
        direction = jnp.where(upwards, jnp.where(free, -self.precondition(reduced), 0), descent)
        slope = jnp.where(upwards, box.slope(state.box, point, direction, new_gradient), slope)
        history = history._replace(age=jnp.where(restart & upwards, -1, history.age))
        history = curvature.written(history, pair, ~upwards)
        status = jnp.where(accepted & (slope == 0), CONVERGED, status).astype(jnp.int32)
        length = jnp.sqrt(curvature.dot(direction, direction) / direction.size)
        first = self.first_step / jnp.where(length > 0, length, 1)
        step = jnp.where(upwards | forgetful, first, 1.0).astype(value.dtype)
        fresh = line_search.begin(new_value, slope, step)
        return State(
            image=image,
            point=point,
            value=new_value,
            gradient=new_gradient,
            direction=jnp.where(restart, direction, state.direction),
            history=history,
            search=jax.tree.map(lambda new, old: jnp.where(restart, new, old), fresh, search),
            box=state.box,
            status=status,
            accepted=accepted,
        )
