"""Optax transformations as optimizers of lanes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from nst_jax.optim.box import boxes
from nst_jax.optim.first_order import FirstOrder
from nst_jax.optim.lbfgs import NOT_FINITE, RUNNING

LANES, SIZE = 3, 5


pytestmark = pytest.mark.usefixtures("optax_mixes_dtypes")


def loss(x):
    return jnp.sum(jnp.cosh(x) * jnp.arange(1.0, SIZE + 1, dtype=jnp.float32))


def start():
    return np.random.default_rng(0).normal(size=(LANES, SIZE)).astype(np.float32) * np.float32([[0.1], [1], [3]])


def play(transformation, images, steps, spoil=lambda i, values: values):
    optimizer = FirstOrder(transformation)
    states = [optimizer.init(jnp.asarray(images))]
    slope = jax.jit(jax.vmap(jax.value_and_grad(loss)))
    tell = jax.jit(optimizer.tell)
    for i in range(steps):
        values, gradients = slope(optimizer.ask(states[-1]))
        states.append(tell(states[-1], spoil(i, values), gradients))
    return states


@pytest.mark.parametrize(
    "transformation",
    [
        optax.adam(0.1),
        optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1, momentum=0.9)),  # a norm over all variables
        optax.chain(optax.adam(0.3), optax.contrib.reduce_on_plateau(patience=1, cooldown=0)),  # asks for the loss
    ],
    ids=["adam", "clipped", "plateau"],
)
def test_each_lane_is_a_plain_optax_loop_of_its_own(transformation):
    steps = 12
    found = play(transformation, start(), steps)
    full = optax.with_extra_args_support(transformation)

    @jax.jit
    def step(x, state):
        value, gradient = jax.value_and_grad(loss)(x)
        updates, state = full.update(gradient, state, x, value=value)
        return optax.apply_updates(x, updates), state

    for lane, x in enumerate(start()):
        state = transformation.init(x)
        for i in range(steps):
            np.testing.assert_allclose(found[i].trial[lane], x, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(found[i + 1].image[lane], x, rtol=1e-4, atol=1e-6)  # the image just evaluated
            x, state = step(x, state)  # noqa: PLW2901


def test_a_lane_that_is_no_longer_finite_stays_at_its_last_good_image():
    def spoil(i, values):
        return values.at[1].set(jnp.nan) if i == 4 else values  # once is enough

    spoilt, sound = play(optax.adam(0.1), start(), 10, spoil), play(optax.adam(0.1), start(), 10)
    np.testing.assert_array_equal([state.status[1] for state in spoilt], [RUNNING] * 5 + [NOT_FINITE] * 6)
    for state in spoilt[5:]:
        np.testing.assert_array_equal(state.image[1], sound[4].image[1])
        np.testing.assert_array_equal(state.trial[1], sound[4].image[1])
        assert not state.accepted[1]
    for with_it, without in zip(jax.tree.leaves(spoilt[-1]), jax.tree.leaves(sound[-1]), strict=True):
        assert np.delete(with_it, 1, 0).tobytes() == np.delete(without, 1, 0).tobytes()


def test_a_gradient_that_is_not_finite_counts_as_well():
    optimizer = FirstOrder(optax.sgd(0.1))
    state = optimizer.init(jnp.ones((2, 3)))
    state = optimizer.tell(state, jnp.ones(2), jnp.ones((2, 3)).at[0, 1].set(jnp.inf))
    np.testing.assert_array_equal(state.status, [NOT_FINITE, RUNNING])
    np.testing.assert_array_equal(state.image, np.ones((2, 3)))
    np.testing.assert_array_equal(state.trial[0], np.ones(3))


def test_points_stay_in_the_box_and_frozen_variables_where_they_began():
    """`loss` has its minimum at zero, so that bounded from below by a half everything ends there."""
    frozen = np.arange(SIZE) == 1
    optimizer = FirstOrder(optax.adam(0.1))
    state = optimizer.init(jnp.asarray(start()), boxes(LANES, jnp.float32, (0.5, 2.0), frozen))
    np.testing.assert_array_equal(optimizer.ask(state), np.where(frozen, start(), start().clip(0.5, 2.0)))
    tell = jax.jit(optimizer.tell)
    for _ in range(60):
        trial = np.asarray(optimizer.ask(state))
        np.testing.assert_array_equal(trial[:, frozen], start()[:, frozen])
        assert trial[:, ~frozen].min() >= 0.5
        assert trial[:, ~frozen].max() <= 2.0
        state = tell(state, *jax.vmap(jax.value_and_grad(loss))(jnp.asarray(trial)))
    np.testing.assert_array_equal(np.asarray(state.image)[:, ~frozen], np.float32(0.5))
    assert (np.asarray(state.status) == RUNNING).all()
