"""Forecasts of runs: measured here, or by the compiler of a device that is not here."""

import pytest
from run_folders import of_two

from nst_jax import topologies
from nst_jax.errors import InputError
from nst_jax.optim.compiler import remembered
from nst_jax.runs import forecast as module
from nst_jax.runs.forecast import forecast
from nst_jax.runs.options import RunOptions
from nst_jax.runs.stage import Kept
from nst_jax.topologies.compiling import Figures
from nst_jax.topologies.planning import Outlook
from nst_jax.transfer.plan import Plan


def test_a_forecast_writes_nothing(tmp_path, inputs, monkeypatch):
    """At the finest scale, of which the coarser one's evaluations take a quarter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "SECONDS_TO_MEASURE", 1e-9)
    made = of_two(inputs, size=96, evaluations=10, scales=2)
    (found,) = forecast(made, RunOptions(batch=4), remembered)
    assert (found.lanes, found.rounds, found.evaluations) == (2, 1, 7)
    assert found.pace > 0
    assert (found.plan.batch, found.plan.devices, found.plan.strips) == (4, 4, ())
    assert [*tmp_path.iterdir()] == []
    (share,) = forecast(made, RunOptions(batch=4, share=(1, 2)), remembered)
    assert (share.lanes, share.rounds) == (1, 1)


def test_a_forecast_for_a_device_that_is_not_there(inputs, monkeypatch):
    """At the finest scale too, and each process of several with its share."""
    asked = []

    def outlook(table, height, width, device, *, shares, batch, memory, note):
        asked.append((height, width, device, shares, batch, memory, table.settings.evaluations))
        return Outlook(Plan(4, 4, 10, ()), 1, Figures(5, 5, 0, 0, 0, 0, 250.0, 500.0, (), {}, 1.0))

    monkeypatch.setattr(topologies, "outlook", outlook)
    options = RunOptions(dry_run=True, device="v5e:2x2", share=(1, 2), memory=10**9)
    (found,) = forecast(of_two(inputs, size=96, evaluations=10, scales=2), options, remembered, (Kept(1, (3,)),))
    assert asked == [(80, 96, "v5e:2x2", 2, None, 10**9, 6)]
    assert found == ("", Plan(4, 4, 10, ()), 1, 1, 0.5, 7)


@pytest.mark.parametrize(
    ("settings", "words"), [({"init": "gone.png"}, "init gone.png"), ({"weights": "gone.h5"}, "gone.h5")]
)
def test_what_a_run_would_refuse_is_refused_for_such_a_device_too(inputs, settings, words):
    with pytest.raises(InputError, match=words):
        forecast(of_two(inputs, **settings), RunOptions(dry_run=True, device="v5e:2x2"), remembered)
