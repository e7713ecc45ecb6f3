"""The history of L-BFGS: its direction against the two-loop recursion, bad pairs, and rings that are never copied."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from two_loop_recursion import as_matrix, two_loops

from nst_jax.optim import compiler, curvature
from nst_jax.optim.lbfgs import LBFGS, identity
from nst_jax.optim.spectrum import FrequencyShaping

SHAPE = (4, 5, 1)  # of a variable, an image as the preconditioner wants it


@partial(jax.jit, static_argnames=("precondition",))
def push(history, s, y, wanted, precondition=identity):
    pair = curvature.pair(history, s, y, wanted)
    history, _ = curvature.remember(history, pair, jnp.zeros_like(s), precondition)
    return curvature.written(history, pair, True)


@partial(jax.jit, static_argnames=("precondition",))
def push_and_times(history, s, y, gradient, precondition):
    """As `push`, and H g, which needs the pair before the rings have it."""
    pair = curvature.pair(history, s, y, True)
    history, products = curvature.remember(history, pair, gradient, precondition)
    found = curvature.inverse_hessian_times(history, pair, gradient, products, precondition)
    return curvature.written(history, pair, True), found


@pytest.mark.parametrize("precondition", [identity, FrequencyShaping(0.75)], ids=["plain", "shaped"])
def test_the_direction_is_that_of_the_two_loop_recursion_for_random_pairs(precondition):
    """A history of six: empty, partly filled, full, and after the ring has gone round."""
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        matrix = as_matrix(precondition, SHAPE)
        history, given = curvature.empty(6, jnp.zeros(SHAPE)), []
        for number in range(20):
            s, y, gradient = random.normal(size=(3, matrix.shape[0]))
            y *= np.sign(s @ y) * 10 ** random.uniform(-3, 3)
            if number == 9:  # one that is refused: H is that of the pairs before
                y = -y
            else:
                given.append((s, y))
            history, found = push_and_times(
                history, *(v.reshape(SHAPE) for v in (s, y, gradient)), precondition=precondition
            )
            expected = two_loops(given[-6:], gradient, lambda v: matrix @ v)
            np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


def test_without_pairs_it_is_the_preconditioned_gradient():
    precondition = FrequencyShaping(0.75)
    with jax.enable_x64(True):
        gradient = jnp.asarray(np.random.default_rng(0).normal(size=SHAPE))
        nothing = jnp.zeros(SHAPE)
        _, found = push_and_times(curvature.empty(3, nothing), nothing, nothing, gradient, precondition)
        np.testing.assert_allclose(found, precondition(gradient), rtol=1e-12)


@pytest.mark.parametrize(
    "make_y",
    [lambda s: -s, lambda s: 0 * s, lambda s: 1e-20 * s + np.roll(s, 1) * [1, -1, 1, -1], lambda s: s * np.nan],
)
def test_pairs_of_bad_curvature_are_rejected(make_y):
    with jax.enable_x64(True):
        history = push(curvature.empty(3, jnp.zeros(4)), np.array([1.0, 0, 0, 0]), np.array([2.0, 1, 0, 0]), True)
        s = np.array([1.0, 1.0, 1.0, 1.0])
        after = push(history, s, make_y(s), True)
        unwanted = push(history, s, s, False)
    for before, left, same in zip(*map(jax.tree.leaves, (history, after, unwanted)), strict=True):
        np.testing.assert_array_equal(left, before)
        np.testing.assert_array_equal(same, before)


def test_a_pair_that_is_not_kept_leaves_the_rings_as_they_are():
    with jax.enable_x64(True):
        history = push(curvature.empty(3, jnp.zeros(2)), np.array([1.0, 0]), np.array([2.0, 1]), True)
        pair = curvature.pair(history, jnp.array([0.0, 1]), jnp.array([0.0, 3]), True)
        after = curvature.written(history, pair, False)
        np.testing.assert_array_equal(after.s, history.s)
        np.testing.assert_array_equal(after.y, history.y)
        assert np.any(curvature.written(history, pair, True).s != history.s)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_loop_never_copies_the_rings(lanes):
    """Copies would be the greater part of an optimizer's memory traffic."""
    optimizer = LBFGS(history=7, precondition=FrequencyShaping(0.75))
    start = jnp.ones((lanes, 8, 8, 3))

    def loop(state, steps):
        def step(_, state):
            images = optimizer.ask(state)
            return optimizer.tell(state, jnp.sum(images**4, (1, 2, 3)), 4 * images**3)

        return jax.lax.fori_loop(0, steps, step, state)

    run = jax.jit(loop, donate_argnums=0, compiler_options=compiler.options("cpu"))
    program = run.lower(optimizer.init(start), jnp.int32(3)).compile().as_text()
    assert program is not None
    ring = rf"f32\[{lanes},7,8,8,3\]"
    assert re.search(rf"{ring}.* dynamic-update-slice", program)
    assert not re.search(rf"= {ring}\S* copy\(", program)
