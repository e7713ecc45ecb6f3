"""The options of a run: what is allowed, and how shares are read."""

import math

import pytest

from nst_jax.errors import InputError
from nst_jax.runs.options import RunOptions, share


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"batch": 0}, "batch: 0"),
        ({"tolerance": -1e-9}, "tolerance: -1e-09"),
        ({"tolerance": math.nan}, "tolerance: nan"),
        ({"tolerance": 1.1}, "tolerance: 1.1"),
        ({"checkpoint_every": math.inf}, "checkpoint_every: inf"),
    ],
)
def test_how_a_sweep_is_run(options, named):
    with pytest.raises(InputError) as caught:
        RunOptions(**options)
    assert str(caught.value).startswith(named)
    assert "\n" not in str(caught.value)


def test_a_share_is_read_and_checked():
    assert share("0/4") == (0, 4)
    assert share("3/4") == (3, 4)
    for text in ("4/4", "-1/4", "1", "1/x", "1/0", "1234567/9999999"):
        with pytest.raises(InputError, match="must be K/N with K from 0 to N - 1"):
            share(text)


def test_the_defaults_are_one_process_that_saves_each_minute():
    options = RunOptions()
    assert (options.share, options.checkpoint_every, options.batch, options.tolerance) == ((0, 1), 60.0, None, 0.0)
    assert not any((options.force, options.dry_run, options.distributed, options.quiet))
