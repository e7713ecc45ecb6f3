"""The states of a lane."""

import json

import jax.numpy as jnp
import numpy as np

from nst_jax.optim.status import CONVERGED, NOT_FINITE, RUNNING, STALLED, Status


def test_each_has_a_number_and_says_what_it_means():
    assert [int(status) for status in Status] == [RUNNING, CONVERGED, NOT_FINITE, STALLED] == [0, 1, 2, 3]
    assert len({status.message for status in Status}) == 4
    assert Status(np.int32(1)) is Status.CONVERGED
    assert json.dumps({"status": Status.NOT_FINITE}) == '{"status": 2}'


def test_numbers_are_plain_for_traced_code():
    assert {type(value) for value in (RUNNING, CONVERGED, NOT_FINITE, STALLED)} == {int}
    assert jnp.where(True, CONVERGED, jnp.int32(0)).dtype == jnp.int32
