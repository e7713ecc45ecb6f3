"""Bounds of the variables, and variables that are frozen: what a point, a direction or a gradient is inside of them.

A search that leaves the box is bent along it: each trial point is projected, which for a box means that each variable
is clipped (Bertsekas, SIAM J. Control Optim. 20, 1982). Points here may be outside of the box; the objective is that of
their projections. All functions are for one lane; `vmap` them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

Array = jax.Array
AnyArray = jax.Array | np.ndarray


class Box(NamedTuple):
    """What the variables of lanes may be; the arrays have a leading lane axis."""

    lower: Float[AnyArray, "*lanes"]
    """The least value of each variable; minus infinity for none."""
    upper: Float[AnyArray, "*lanes"]
    """The greatest; infinity for none."""
    frozen: Bool[AnyArray, "*lanes_and_shape"] | None
    """Which variables keep the value that they start with, even outside of the bounds; None for none."""


def boxes(lanes: int, dtype: Any, bounds: tuple[float, float] | None = None, frozen: Any = None) -> Box:
    """Makes one box for each lane.

    Args:
      lanes: how many.
      dtype: of the variables.
      bounds: the least and the greatest value of each variable; None for any.
      frozen: [*shape] bool, of every lane alike, where an axis may have length one for all; None for no variable.

    Returns:
      The boxes.
    """
    lower, upper = (-np.inf, np.inf) if bounds is None else bounds
    several = None if frozen is None else np.broadcast_to(np.asarray(frozen, bool), (lanes, *np.shape(frozen)))
    least, greatest = np.full(lanes, lower, dtype), np.full(lanes, upper, dtype)  # JAX's debugging stops at infinities
    return Box(least, greatest, several)


def project(box: Box, point: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Finds the nearest point of the box; variables that are frozen stay as they are."""
    clipped = jnp.clip(point, box.lower, box.upper)
    return clipped if box.frozen is None else jnp.where(box.frozen, point, clipped)


def free(box: Box, point: Float[Array, "*shape"], gradient: Float[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """Tells which variables may move: not the frozen ones, nor those at a bound or beyond that the gradient pushes out.

    Args:
      box: of the lane.
      point: x, or what x is the projection of.
      gradient: of the objective at x.

    Returns:
      The same for a point and its projection.
    """
    pushed = ((point <= box.lower) & (gradient > 0)) | ((point >= box.upper) & (gradient < 0))
    return ~pushed if box.frozen is None else ~(pushed | box.frozen)


def unfrozen(box: Box, direction: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Puts zeros where variables are frozen."""
    return direction if box.frozen is None else jnp.where(box.frozen, 0, direction)


def slope(
    box: Box, point: Float[Array, "*shape"], direction: Float[Array, "*shape"], gradient: Float[Array, "*shape"]
) -> Float[Array, ""]:
    """Takes the derivative of the objective along the projected path, to the right.

    Args:
      box: of the lane.
      point: z + t d, not projected.
      direction: d; zero for variables that are frozen.
      gradient: of the objective at the projection of the point.

    Returns:
      Σ g_i d_i over the variables that the path still moves.
    """
    up = (box.lower <= point) & (point < box.upper)
    down = (box.lower < point) & (point <= box.upper)
    moving = jnp.where(direction > 0, up, down)
    return jnp.sum(jnp.where(moving, gradient * direction, 0))
