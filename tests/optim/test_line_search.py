"""The line search on scalar functions: what it accepts, what it costs, what it does when nothing is acceptable."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.optim import line_search
from nst_jax.optim.line_search import CURVATURE, DECREASE, EVALUATIONS

tell = jax.jit(line_search.tell)

# φ and φ' with a negative slope at zero.
SMOOTH = {
    "quadratic": (lambda t: (t - 1) ** 2, lambda t: 2 * (t - 1)),
    "quartic": (lambda t: (t - 2) ** 4 + t, lambda t: 4 * (t - 2) ** 3 + 1),
    "cubic": (lambda t: t**3 / 3 - 100 * t, lambda t: t**2 - 100),
    "waves": (lambda t: t**2 / 20 - t - np.sin(5 * t), lambda t: t / 10 - 1 - 5 * np.cos(5 * t)),
    "far minimum": (lambda t: -t / (t**2 + 2), lambda t: (t**2 - 2) / (t**2 + 2) ** 2),  # Moré & Thuente, function 1
    "flat, then steep": (  # their function 2
        lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
        lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3,
    ),
    "steep start": (lambda t: np.exp(-20 * t) + t / 10, lambda t: -20 * np.exp(-20 * t) + 0.1),
}
FIRST_STEPS = [1e-3, 0.1, 1.0, 10.0, 1e3]


def search(phi, slope, first, dtype=np.float64):
    """Plays the caller; returns the accepted step or None, all steps evaluated, and the last state."""
    with jax.enable_x64(dtype == np.float64), np.errstate(all="ignore"):
        state = line_search.begin(*(jnp.asarray(x, dtype) for x in (phi(0.0), slope(0.0), first)))
        steps = []
        for _ in range(5 * EVALUATIONS):
            steps.append(float(state.step))
            value, gradient = (np.asarray(f(steps[-1]), dtype) for f in (phi, slope))
            state, verdict = tell(state, value, gradient)
            if verdict.accepted:
                assert not verdict.failed
                return steps[-1], steps, state
            if verdict.failed:
                return None, steps, state
    raise AssertionError("the search never ends")


def is_strong_wolfe(phi, slope, step):
    return phi(step) <= phi(0.0) + DECREASE * step * slope(0.0) and abs(slope(step)) <= CURVATURE * abs(slope(0.0))


@pytest.mark.parametrize("first", FIRST_STEPS)
@pytest.mark.parametrize("name", SMOOTH)
def test_accepted_steps_satisfy_strong_wolfe(name, first):
    phi, slope = SMOOTH[name]
    step, steps, _ = search(phi, slope, first)
    assert step is not None
    assert is_strong_wolfe(phi, slope, step)
    assert len(steps) <= EVALUATIONS
    # Only the accepted step did: no good trial was passed over.
    assert not any(is_strong_wolfe(phi, slope, earlier) for earlier in steps[:-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_good_first_step_costs_one_evaluation(dtype):
    step, steps, _ = search(*SMOOTH["quadratic"], 0.9, dtype)
    assert steps == [step]


def test_a_cubic_through_two_trials_finds_the_minimum_of_a_cubic():
    """Steps grow while the cubic falls; its minimum is at 10."""
    phi, slope = SMOOTH["cubic"]
    step, steps, _ = search(phi, slope, 1e-3)
    assert steps == sorted(steps)
    assert len(steps) < 8
    _, steps, _ = search(phi, slope, 40.0)  # beyond it, where φ is higher than at the start: one interpolation
    np.testing.assert_allclose(steps[1], 10.0, rtol=1e-6)
    assert step <= 12


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["value", "slope", "both"])
def test_a_search_backs_out_of_where_nothing_is_finite(bad, where):
    def phi(t):
        return bad if t > 3 and where != "slope" else (t - 2) ** 2

    def slope(t):
        return bad if t > 3 and where != "value" else 2 * (t - 2)

    step, steps, _ = search(phi, slope, 1e3)
    assert step is not None
    assert 0 < step < 3
    assert is_strong_wolfe(phi, slope, step)
    assert len(steps) <= EVALUATIONS


def test_a_kink_never_meets_the_curvature_condition_and_gives_the_best_decrease():
    def phi(t):
        return abs(t - 1.0)

    def slope(t):
        return float(np.where(t < 1.0, -1.0, 1.0))

    step, steps, _ = search(phi, slope, 0.3)
    assert step is not None
    assert len(steps) <= EVALUATIONS + 1
    assert steps.count(step) == 2  # evaluated again, to be taken as it is
    assert phi(step) == min(map(phi, steps))
    assert phi(step) < 0.1


def test_a_slope_that_goes_on_for_ever_gives_the_longest_step():
    step, steps, _ = search(lambda t: -t, lambda _: -1.0, 1.0)
    assert step == max(steps)
    assert len(steps) <= EVALUATIONS + 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_failed_only_where_there_is_no_decrease(dtype):
    """A slope that lies: the value only grows. And a point with nothing finite around it."""
    for phi in (lambda t: 1 + t, lambda t: 1.0 if t == 0 else np.nan):
        step, steps, _ = search(phi, lambda _: -1.0, 1.0, dtype)
        assert step is None
        assert len(steps) <= EVALUATIONS
        assert all(earlier > later for earlier, later in pairwise(steps))


def test_near_a_minimum_slopes_decide():
    """A decrease below float32's resolution: no value can show it, but the slope is reduced as it should be."""

    def phi(t):
        return 1e6 + 1e-3 * (t - 1) ** 2

    def slope(t):
        return 2e-3 * (t - 1)

    step, steps, _ = search(phi, slope, 1.0, np.float32)
    assert step == 1.0
    assert len(steps) == 1


def test_lanes_do_not_see_each_other():
    """vmap: each lane goes through the same steps as alone, though they end at different times."""
    names = ["quadratic", "cubic", "waves", "steep start"]
    alone = [search(*SMOOTH[name], 0.01) for name in names]
    assert len({len(steps) for _, steps, _ in alone}) > 1
    with jax.enable_x64(True):
        origin = (np.array([SMOOTH[name][part](0.0) for name in names]) for part in (0, 1))
        state = jax.vmap(line_search.begin)(*origin, np.full(len(names), 0.01))
        steps = []
        for _ in range(max(len(one) for _, one, _ in alone)):
            steps.append(np.asarray(state.step))
            values, slopes = (
                np.array([SMOOTH[name][part](t) for name, t in zip(names, steps[-1], strict=True)]) for part in (0, 1)
            )
            state, _ = jax.vmap(line_search.tell)(state, values, slopes)
    for lane, (_, expected, _) in enumerate(alone):
        np.testing.assert_allclose([row[lane] for row in steps[: len(expected)]], expected, rtol=1e-12)
