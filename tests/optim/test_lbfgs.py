"""Batched L-BFGS: its direction against the plain recursion, scipy's pace, and lanes that do not meet."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from two_loop_recursion import as_matrix, two_loops

from nst_jax.errors import InputError
from nst_jax.optim.box import Box, boxes
from nst_jax.optim.lbfgs import CONVERGED, LBFGS, NOT_FINITE, RUNNING, identity
from nst_jax.optim.line_search import EVALUATIONS
from nst_jax.optim.spectrum import FrequencyShaping

tell, ask = (jax.jit(method, static_argnums=0) for method in (LBFGS.tell, LBFGS.ask))
SHAPE = (4, 5, 1)  # of a variable, an image as the preconditioner wants it


@partial(jax.jit, static_argnames=("optimizer", "function", "evaluations"))
def trace(optimizer, function, start, evaluations, box=None):
    """Every state of a run, the first one before any evaluation."""

    def step(state, _):
        values, gradients = jax.vmap(jax.value_and_grad(function))(optimizer.ask(state))
        return optimizer.tell(state, values, gradients), (state, values)

    last, (states, values) = jax.lax.scan(step, optimizer.init(start, box), None, evaluations)
    return jax.tree.map(lambda rows, end: jnp.concatenate([rows, end[None]]), states, last), values


def rosenbrock(x):
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def quadratic(x):
    """Minimum 0 at (1, 1, ...); condition number 1000."""
    return 0.5 * jnp.sum(jnp.logspace(0, 3, x.size, dtype=x.dtype) * (x - 1.0).ravel() ** 2)


def bent(x):
    """Convex and not quadratic."""
    return quadratic(x) / 1000.0 + jnp.sum(jnp.logaddexp(3.0 * x, -x)) + 0.1 * jnp.sum(x) ** 2


@pytest.mark.parametrize("precondition", [identity, FrequencyShaping(0.75)], ids=["plain", "shaped"])
def test_every_direction_of_a_run_is_that_of_the_two_loop_recursion(precondition):
    optimizer = LBFGS(history=4, first_step=0.01, precondition=precondition)
    with jax.enable_x64(True):
        matrix = as_matrix(precondition, SHAPE)
        start = np.random.default_rng(0).normal(size=(1, *SHAPE))
        states, _ = jax.device_get(trace(optimizer, bent, start, 15))
    accepted = np.flatnonzero(states.accepted[:, 0])
    assert len(accepted) > 10
    images, gradients, directions = (
        x[accepted, 0].reshape(len(accepted), -1) for x in (states.image, states.gradient, states.direction)
    )
    pairs = list(zip(np.diff(images, axis=0), np.diff(gradients, axis=0), strict=True))
    for k, (gradient, direction) in enumerate(zip(gradients, directions, strict=True)):
        expected = -two_loops(pairs[max(0, k - 4) : k], gradient, lambda v: matrix @ v)
        np.testing.assert_allclose(direction, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def evaluations_to_reach(values, goal):
    reached = np.flatnonzero(np.minimum.accumulate(values) <= goal)
    assert len(reached), f"{np.min(values)} after {len(values)} evaluations"
    return int(reached[0]) + 1


@pytest.mark.parametrize(
    ("function", "start"),
    [
        (quadratic, np.zeros(50)),
        (rosenbrock, np.full(10, -1.0)),
        (rosenbrock, np.random.default_rng(1).uniform(-2, 2, 40)),
    ],
    ids=["quadratic", "Rosenbrock 10", "Rosenbrock 40"],
)
def test_converges_as_fast_as_scipy(function, start):
    """To 1e-8 of the minimum (which is 0) in at most 1.25 times scipy's evaluations, and ten more."""
    with jax.enable_x64(True):
        slope = jax.jit(jax.value_and_grad(function))
        theirs = []

        def evaluate(x):
            value, gradient = slope(x)
            theirs.append(float(value))
            return float(value), np.asarray(gradient)

        options = {"maxcor": 20, "ftol": 0, "gtol": 1e-12, "maxfun": 2000, "maxiter": 2000}
        scipy.optimize.minimize(evaluate, start, jac=True, method="L-BFGS-B", options=options)
        _, values = trace(LBFGS(history=20, first_step=0.1), function, start[None], 400)
    ours = evaluations_to_reach(np.asarray(values)[:, 0], 1e-8)
    assert ours <= 1.25 * evaluations_to_reach(theirs, 1e-8) + 10


def test_batched_lanes_go_as_if_alone_and_none_waits():
    """The same points at the same evaluations, whatever the other lanes are at."""
    starts = np.array([[-1.2, 1.0], [3.0, -2.0], [0.9, 0.9], [-30.0, 40.0], [1.0, 1.0]])
    with jax.enable_x64(True):
        together, _ = jax.device_get(trace(LBFGS(first_step=0.1), rosenbrock, starts, 40))
        alone = [jax.device_get(trace(LBFGS(first_step=0.1), rosenbrock, one[None], 40)[0]) for one in starts]
    accepted = np.stack([states.accepted[:, 0] for states in alone], 1)
    np.testing.assert_array_equal(together.accepted, accepted)
    assert len({tuple(lane) for lane in accepted.T}) >= 4  # they really are at different points of their searches
    for lane, states in enumerate(alone):
        np.testing.assert_allclose(together.image[:, lane], states.image[:, 0], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(together.status[-1], [states.status[-1, 0] for states in alone])


def play(optimizer, function, start, evaluations, spoil=lambda i, values, gradients: (values, gradients)):
    """As `trace`, but with `spoil` between the function and the optimizer; all states."""
    slope = jax.jit(jax.vmap(jax.value_and_grad(function)))
    states = [optimizer.init(jnp.asarray(start))]
    for i in range(evaluations):
        values, gradients = map(np.array, slope(ask(optimizer, states[-1])))
        states.append(tell(optimizer, states[-1], *spoil(i, values, gradients)))
    return jax.device_get(states)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["values", "gradients"])
def test_a_lane_that_is_no_longer_finite_keeps_its_last_good_image_and_disturbs_nobody(bad, what):
    start = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    last_good = 6

    def spoil(i, values, gradients):
        if i >= last_good:
            wrong = values if what == "values" else gradients[:, 1, 2, 0]
            wrong[1] = bad
        return values, gradients

    optimizer = LBFGS(first_step=0.01)
    # One failed search with the history, one without it.
    evaluations = last_good + 2 * EVALUATIONS
    spoilt = play(optimizer, bent, start, evaluations, spoil)
    sound = play(optimizer, bent, start, evaluations)
    assert spoilt[-1].status[1] == NOT_FINITE
    assert sound[-1].status[1] != NOT_FINITE
    np.testing.assert_array_equal(spoilt[-1].image[1], sound[last_good].image[1])
    assert np.all(np.isfinite(optimizer.ask(spoilt[-1])))
    np.testing.assert_array_equal(optimizer.ask(spoilt[-1])[1], sound[last_good].image[1])
    for with_it, without in zip(spoilt, sound, strict=True):
        for part in ("image", "value", "status", "accepted"):
            assert (
                np.delete(getattr(with_it, part), 1, 0).tobytes() == np.delete(getattr(without, part), 1, 0).tobytes()
            )


def test_a_lane_that_never_was_finite_keeps_its_start():
    start = np.ones((2, 3), np.float32)

    def spoil(_, values, gradients):
        values[0] = np.nan
        return values, gradients

    last = play(LBFGS(), quadratic, start, 3, spoil)[-1]
    np.testing.assert_array_equal(last.image[0], start[0])
    assert last.status[0] == NOT_FINITE
    assert not last.accepted[0]


@pytest.mark.parametrize("outside", [np.inf, np.nan])
def test_a_wall_without_finite_values_is_survived(outside):
    """x - log x, which is nothing below zero: the first trials go far beyond the wall."""

    def walled(x):
        inside = jnp.where(x > 0, x, 1.0)
        return jnp.sum(jnp.where(x > 0, inside - jnp.log(inside), outside))

    start = np.array([[5.0, 3.0, 0.5], [50.0, 1.0, 20.0]])
    with jax.enable_x64(True):
        states, values = trace(LBFGS(first_step=100.0), walled, start, 60)
    assert not np.all(np.isfinite(values))
    np.testing.assert_allclose(states.image[-1], 1.0, rtol=1e-5)


def test_a_lane_at_its_minimum_says_so_and_stays():
    start = np.stack([np.ones(4), np.full(4, 3.0)]).astype(np.float32)
    states, _ = jax.device_get(trace(LBFGS(first_step=0.1), quadratic, start, 120))
    assert states.status[1, 0] == CONVERGED
    assert states.status[1, 1] == RUNNING
    np.testing.assert_array_equal(states.image[-1, 0], start[0])
    assert states.status[-1, 1] == CONVERGED
    np.testing.assert_allclose(states.image[-1, 1], 1.0, atol=1e-3)
    stopped = np.flatnonzero(states.status[:, 1] == CONVERGED)[0]
    assert not np.any(states.accepted[stopped + 1 :, 1])


def test_the_accepted_loss_never_rises_by_more_than_rounding():
    start = np.random.default_rng(0).uniform(-2, 2, (4, 30)).astype(np.float32)
    states, _ = jax.device_get(trace(LBFGS(first_step=0.1), rosenbrock, start, 150))
    values = states.value[1:].astype(np.float64)
    assert np.all(np.diff(values, axis=0) <= 10 * np.finfo(np.float32).eps * values[:-1])


def test_the_first_trial_has_the_length_asked_for():
    start = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    optimizer = LBFGS(first_step=0.25, precondition=FrequencyShaping(0.75))
    first = play(optimizer, bent, start, 1)[-1]
    np.testing.assert_allclose(np.sqrt(np.mean((optimizer.ask(first) - start) ** 2, (1, 2, 3))), 0.25, rtol=1e-4)


@pytest.mark.parametrize("settings", [
    {"history": 0}, {"history": -3}, {"first_step": 0.0}, {"first_step": -1.0}, {"first_step": float("nan")},
    {"first_step": float("inf")},
], ids=str)  # fmt: skip
def test_settings_that_no_run_could_be_made_of_are_refused(settings):
    ((name, value),) = settings.items()
    with pytest.raises(InputError, match=f"^{name}: {value} is not allowed; must be "):
        LBFGS(**settings)


def ellipse(size, condition, seed):
    """A quadratic with axes in all directions, its minimum half outside of 0..1."""
    random = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(random.normal(size=(size, size)))
    matrix, middle = axes @ np.diag(np.geomspace(1, condition, size)) @ axes.T, random.normal(0.5, 1.0, size)
    return lambda x: 0.5 * (x - middle) @ jnp.asarray(matrix) @ (x - middle)


@pytest.mark.parametrize(
    ("function", "start", "bounds"),
    [
        (ellipse(50, 1e3, 0), np.full(50, 0.5), (0.0, 1.0)),
        (ellipse(50, 1e5, 1), np.full(50, 0.5), (0.0, 1.0)),
        (quadratic, np.full(50, 0.2), (0.0, 0.7)),
        (rosenbrock, np.random.default_rng(10).uniform(-2, 2, 10), (-2.0, 0.9)),
        (rosenbrock, np.random.default_rng(40).uniform(-2, 2, 40), (0.2, 0.8)),
        (rosenbrock, np.random.default_rng(10).uniform(-2, 2, 10), (-1.5, 0.5)),
    ],
    ids=["quadratic 1e3", "quadratic 1e5", "diagonal", "Rosenbrock 0.9", "Rosenbrock 0.2 0.8", "Rosenbrock 0.5"],
)
def test_bounded_it_finds_the_minimum_and_active_set_that_scipy_finds(function, start, bounds):
    """As soon as scipy does, or nearly; and no accepted point is outside."""
    with jax.enable_x64(True):
        slope, theirs = jax.jit(jax.value_and_grad(function)), []

        def evaluate(x):
            value, gradient = slope(x)
            theirs.append(float(value))
            return theirs[-1], np.asarray(gradient)

        options = {"maxcor": 20, "ftol": 0, "gtol": 1e-12, "maxfun": 3000, "maxiter": 3000}
        begin, limits = np.clip(start, *bounds), [bounds] * len(start)
        known = scipy.optimize.minimize(evaluate, begin, jac=True, method="L-BFGS-B", bounds=limits, options=options)
        box = boxes(1, jnp.float64, bounds)
        states, values = trace(LBFGS(history=20, first_step=0.1), function, start[None], 450, box)
    images = np.asarray(states.image)[:, 0]
    last = images[-1]
    np.testing.assert_allclose(last, known.x, atol=1e-6)
    for bound in bounds:
        np.testing.assert_array_equal(last == bound, known.x == bound)
    assert (known.x == bounds[0]).sum() + (known.x == bounds[1]).sum() > 0
    assert images.min() >= bounds[0]
    assert images.max() <= bounds[1]
    goal = known.fun + 1e-8 * max(1, abs(known.fun))
    assert evaluations_to_reach(np.asarray(values)[:, 0], goal) <= 1.25 * evaluations_to_reach(theirs, goal) + 15


@pytest.mark.parametrize("precondition", [identity, FrequencyShaping(0.75)], ids=["plain", "shaped"])
def test_bounded_lanes_go_as_if_alone_and_meet_the_conditions_of_a_minimum(precondition):
    """Each lane has bounds of its own; at the end the gradient pushes out of the box or is zero."""
    optimizer = LBFGS(first_step=0.01, precondition=precondition)
    lower, upper = np.array([0.0, -np.inf, 0.9]), np.array([1.0, np.inf, 2.0])
    with jax.enable_x64(True):
        start = np.random.default_rng(0).normal(0.5, 1, size=(3, *SHAPE))
        box = Box(jnp.asarray(lower), jnp.asarray(upper), None)
        together, _ = jax.device_get(trace(optimizer, bent, start, 150, box))
        for lane in range(3):
            own = Box(box.lower[lane : lane + 1], box.upper[lane : lane + 1], None)
            alone, _ = jax.device_get(trace(optimizer, bent, start[lane : lane + 1], 150, own))
            np.testing.assert_allclose(together.image[:60, lane], alone.image[:60, 0], rtol=1e-6, atol=1e-9)
            last = together.image[-1, lane]
            gradient = np.array(jax.grad(bent)(last))
            gradient[((last == lower[lane]) & (gradient > 0)) | ((last == upper[lane]) & (gradient < 0))] = 0
            assert np.abs(gradient).max() < 1e-5
            assert together.image[:, lane].min() >= lower[lane]
            assert together.image[:, lane].max() <= upper[lane]
        assert (together.image[-1, 0] == 0).any()
        assert (together.image[-1, 2] == 0.9).any()
        unbounded, _ = jax.device_get(trace(optimizer, bent, start[1:2], 150))
        np.testing.assert_allclose(unbounded.image[:60, 0], together.image[:60, 1], rtol=1e-6, atol=1e-9)


def test_frozen_variables_keep_their_start_and_the_others_find_their_minimum():
    frozen = np.random.default_rng(1).random(SHAPE) < 0.4
    optimizer = LBFGS(first_step=0.01, precondition=FrequencyShaping(0.75))
    with jax.enable_x64(True):
        start = np.random.default_rng(0).normal(0.0, 0.2, size=(2, *SHAPE)).clip(-0.2, 0.2)
        states, _ = jax.device_get(trace(optimizer, bent, start, 150, boxes(2, jnp.float64, (-0.2, 0.2), frozen)))
        gradients = np.asarray(jax.vmap(jax.grad(bent))(states.image[-1]))
    np.testing.assert_array_equal(states.image[:, :, frozen], np.broadcast_to(start[:, frozen], (151, 2, frozen.sum())))
    last = states.image[-1]
    inside = ~frozen & (last > -0.2) & (last < 0.2)
    assert np.abs(gradients[inside]).max() < 1e-5
    assert (last != start)[:, ~frozen].all()


def test_a_lane_that_is_held_everywhere_has_converged():
    box = boxes(2, jnp.float32, (0.0, 1.0), np.array([True, True, False]))
    start = np.array([[0.3, 0.4, 1.0], [0.3, 0.4, 0.5]], np.float32)
    states, _ = jax.device_get(trace(LBFGS(first_step=0.1), lambda x: -x.sum(), start, 5, box))
    assert states.status[1, 0] == CONVERGED
    np.testing.assert_array_equal(states.image[-1, 0], start[0])
    np.testing.assert_array_equal(states.image[-1, 1], np.float32([0.3, 0.4, 1.0]))
    assert states.status[-1, 1] == CONVERGED
