"""Points, free variables and slopes within bounds, and variables that are frozen."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax.optim.box import boxes, free, project, slope, unfrozen

LEVELS = st.sampled_from([-1.0, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0])
SIX = st.lists(LEVELS, min_size=6, max_size=6).map(np.array)


def one(bounds=(0.0, 1.0), frozen=None):
    """The box of one lane, in float64."""
    return jax.tree.map(lambda leaf: leaf[0], boxes(1, jnp.float64, bounds, frozen))


def test_boxes_have_a_lane_each():
    made = boxes(3, jnp.float32, (0.0, 1.0), np.array([[True], [False]]))
    assert made.lower.tolist() == [0, 0, 0]
    assert made.upper.tolist() == [1, 1, 1]
    assert made.frozen.tolist() == [[[True], [False]]] * 3
    nothing = boxes(2, jnp.float32)
    assert (nothing.lower.tolist(), nothing.upper.tolist(), nothing.frozen) == ([-np.inf] * 2, [np.inf] * 2, None)


@settings(deadline=None)
@given(SIX)
def test_a_projected_point_is_the_nearest_one_inside(point):
    with jax.enable_x64(True):
        frozen = np.arange(6) % 3 == 0
        inside = project(one(frozen=frozen), jnp.asarray(point))
        np.testing.assert_array_equal(inside, np.where(frozen, point, np.clip(point, 0, 1)))
        np.testing.assert_array_equal(project(one(None), jnp.asarray(point)), point)


@settings(deadline=None)
@given(SIX, SIX)
def test_what_is_free_can_go_down_and_what_is_not_cannot(point, gradient):
    """By the definition: some way against the gradient stays inside."""
    with jax.enable_x64(True):
        inside = np.clip(point, 0, 1)
        frozen = np.arange(6) == 2
        found = free(one(frozen=frozen), jnp.asarray(inside), jnp.asarray(gradient))
        np.testing.assert_array_equal(free(one(frozen=frozen), jnp.asarray(point), jnp.asarray(gradient)), found)
        moved = np.clip(inside - 1e-3 * gradient, 0, 1) != inside
        np.testing.assert_array_equal(found, (moved | (gradient == 0)) & ~frozen)
        assert free(one(None), jnp.asarray(point), jnp.asarray(gradient)).all()


def test_what_is_frozen_does_not_move():
    direction = jnp.arange(1.0, 4)
    assert unfrozen(jax.tree.map(lambda leaf: leaf[0], boxes(1, jnp.float32)), direction) is direction
    held = jax.tree.map(lambda leaf: leaf[0], boxes(1, jnp.float32, None, np.array([True, False, True])))
    assert unfrozen(held, direction).tolist() == [0, 2, 0]


@settings(deadline=None)
@given(SIX, SIX, SIX, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_the_slope_is_that_of_the_projected_path(start, direction, pull, t):
    """To the right: against a difference quotient of f(x) = c·x + |x|²/2 along it."""
    with jax.enable_x64(True):
        box, step = one(), 1e-7

        def f(t):
            x = np.clip(start + t * direction, 0, 1)
            return pull @ x + 0.5 * x @ x

        point = start + t * direction
        found = slope(box, jnp.asarray(point), jnp.asarray(direction), jnp.asarray(pull + np.clip(point, 0, 1)))
        np.testing.assert_allclose(found, (f(t + step) - f(t)) / step, atol=1e-5)
