"""Sweeps from Python."""

import jax
import numpy as np
from small_sweep import LANES, OPTIMIZER, finished, problem

from nst_jax.optim.lbfgs import RUNNING
from nst_jax.transfer.outcomes import outcomes
from nst_jax.transfer.sweep import Sweep

STEPS = 6


def test_outcomes_come_as_lanes_are_done(params, picture, tmp_path, monkeypatch):
    """Those of the sweep itself; nothing is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jax, "local_devices", lambda own=jax.local_devices: own()[:1])
    five = problem(params, picture, LANES)
    over = finished(Sweep(five, LANES, steps=STEPS, batch=2, optimizer=OPTIMIZER))
    seen = []
    for outcome in outcomes(five, LANES, steps=STEPS, batch=2, optimizer=OPTIMIZER):
        number = LANES.index(outcome.lane)
        seen.append(number)
        np.testing.assert_array_equal(outcome.image, over[number])
        assert outcome.record is outcome.history[-1]
        assert len(outcome.history) == STEPS
        assert outcome.status == RUNNING
    assert sorted(seen) == list(range(5))
    assert list(tmp_path.iterdir()) == []
