"""The loop as a pure function: rows of what was taken, and nothing after the last lane has ended."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nst_jax.optim.first_order import FirstOrder
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.loop import LONGEST_CHUNK, NOT_TAKEN, advance, begin
from nst_jax.optim.status import CONVERGED, NOT_FINITE, RUNNING


class Losses(NamedTuple):
    total: jax.Array
    half: jax.Array


pytestmark = pytest.mark.usefixtures("optax_mixes_dtypes")


def squares(images):
    """NaN where an image begins with a number above nine."""
    total = (images**2).sum(1)
    total = jnp.where(images[:, 0] > 9, jnp.nan, total)
    return Losses(total, total / 2)


def start(images, optimizer):
    unknown = Losses(*[jnp.full(len(images), jnp.nan)] * 2)
    return begin(jnp.asarray(images, jnp.float32), unknown, optimizer)


@pytest.mark.parametrize("optimizer", [LBFGS(3), FirstOrder(optax.adam(0.02))], ids=["lbfgs", "adam"])
def test_the_first_carry_has_buffers_of_its_own(optimizer):
    """It is donated: a buffer in it twice, or one of the caller's, would be overwritten."""
    images = jnp.ones((2, 3))
    buffers = [leaf.unsafe_buffer_pointer() for leaf in [images, *jax.tree.leaves(start(images, optimizer))]]
    assert len({*buffers}) == len(buffers)


def test_rows_tell_of_the_steps_that_were_taken():
    optimizer = FirstOrder(optax.sgd(0.25))
    carry, rows = advance(squares, start([[1.0, 2.0], [0.5, 0.0]], optimizer), 4, optimizer)
    assert rows.status.shape == (LONGEST_CHUNK, 2)
    np.testing.assert_array_equal(rows.status[:, 0] != NOT_TAKEN, np.arange(LONGEST_CHUNK) < 4)
    np.testing.assert_allclose(rows.losses.total[:4, 0], 5 * 0.25 ** np.arange(4), rtol=1e-6)
    np.testing.assert_allclose(rows.losses.half[:4, 1], 0.125 * 0.25 ** np.arange(4), rtol=1e-6)
    np.testing.assert_allclose(rows.gradient_norm[0], [2 * np.sqrt(5), 1], rtol=1e-6)
    np.testing.assert_array_equal(carry.losses.total, rows.losses.total[3])
    assert rows.accepted[:4].all()


def test_it_ends_with_the_last_lane():
    optimizer = LBFGS(3)
    carry, rows = advance(squares, start([[1.0, 2.0], [0.0, 0.0]], optimizer), 60, optimizer)
    np.testing.assert_array_equal(carry.optimizer.status, [CONVERGED, CONVERGED])
    taken = int((rows.status[:, 0] != NOT_TAKEN).sum())
    assert taken < 20
    assert rows.status[taken - 1, 0] == CONVERGED


def test_a_start_that_is_not_finite_shows_its_losses():
    """So that a part which is to blame can be named; the other lane goes on."""
    optimizer = LBFGS(3)
    carry, rows = advance(squares, start([[10.0, 2.0], [1.0, 0.0]], optimizer), 1, optimizer)
    np.testing.assert_array_equal(carry.optimizer.status, [NOT_FINITE, RUNNING])
    assert np.isnan(rows.losses.half[0, 0])
    assert rows.losses.half[0, 1] == 0.5
    np.testing.assert_array_equal(carry.optimizer.image[0], [10, 2])
