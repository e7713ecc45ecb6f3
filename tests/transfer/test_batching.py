"""How lanes are run: what is refused."""

import pytest

from nst_jax.errors import InputError
from nst_jax.transfer.batching import Batching


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch": 0}, "batch: 0 is not allowed; must be from 1 to 100000"),
        ({"memory": 0}, "memory: 0 is not allowed; must be from 1 to"),
        ({"tolerance": 1.5}, "tolerance: 1.5 is not allowed; must be from 0 to 1"),
    ],
)
def test_values_that_are_not_allowed(options, words):
    with pytest.raises(InputError, match=words):
        Batching(**options)
    assert Batching() == Batching(None, None, 0.0)
