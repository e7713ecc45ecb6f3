"""A run at one scale: its sizes, its plan, its engines."""

import jax
import pytest
from run_folders import of_two

from nst_jax.optim.compiler import remembered
from nst_jax.runs.options import RunOptions
from nst_jax.runs.stage import Kept, Stage, engines, plan_of, scales_of
from nst_jax.transfer.groups import groups


def test_scales_are_those_of_the_photograph(inputs):
    found = scales_of(of_two(inputs, size=96, evaluations=10, scales=2), {})
    assert [(one.height, one.width) for one in found] == [(40, 48), (80, 96)]


def test_a_photograph_that_was_moved(inputs, tmp_path):
    photo, painting = inputs
    moved = of_two((tmp_path / "gone.png", painting))
    assert [one.name for one in scales_of(moved, {str(tmp_path / "gone.png"): str(photo)})] == ["48x40"]


@pytest.mark.parametrize(("earlier", "batch", "cuts"), [(Kept(), 2, ()), (Kept(1), 1, ()), (Kept(1, (2,)), 1, (2,))])
def test_a_plan_is_what_was_kept_or_asked_for(inputs, tmp_path, monkeypatch, earlier, batch, cuts):
    chosen = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda **_: chosen)
    stage, options = Stage(tmp_path, of_two(inputs), (earlier,)), RunOptions(batch=2)
    (group,) = groups(stage.table)
    make = engines(stage, group, options, remembered)
    found, engine = plan_of(stage, group, options, make)
    assert (found.batch, found.strips) == (batch, cuts)
    assert engine is make(batch, cuts)  # what was planned with is what runs


def test_a_stage_that_waits_for_another_is_planned_without_it(inputs, tmp_path):
    """Its start is that one's pictures, which are not there yet; the shapes are."""
    waiting = Stage(tmp_path, of_two(inputs, init=str(tmp_path / "scales" / "24x20")))
    (group,) = groups(waiting.table)
    assert engines(waiting, group, RunOptions(), remembered, planning=True)(1, ()).problem.shape == (40, 48, 3)
