"""Forecasts of runs: measured here, or by the compiler of a device that is not here."""

from run_folders import of_two

from nst_jax.optim.compiler import remembered
from nst_jax.runs import forecast as module
from nst_jax.runs.forecast import forecast
from nst_jax.runs.options import RunOptions


def test_a_forecast_writes_nothing(tmp_path, inputs, monkeypatch):
    """At the finest scale, of which the coarser one's evaluations take a quarter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "SECONDS_TO_MEASURE", 1e-9)
    made = of_two(inputs, size=96, evaluations=10, scales=2)
    found = forecast(made, RunOptions(batch=4), remembered)
    assert (found.lanes, found.rounds, found.evaluations) == (2, 1, 7)
    assert found.pace > 0
    assert (found.plan.batch, found.plan.devices, found.plan.strips) == (4, 4, ())
    assert [*tmp_path.iterdir()] == []
    share = forecast(made, RunOptions(batch=4, share=(1, 2)), remembered)
    assert (share.lanes, share.rounds) == (1, 1)
