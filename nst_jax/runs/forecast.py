"""What a run would take: measured on its first steps here, or told by the compiler of a device that is not here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from nst_jax import topologies
from nst_jax.optim.compiler import Compile
from nst_jax.runs import inputs, moved
from nst_jax.runs.moved import AS_NAMED, Places
from nst_jax.runs.options import RunOptions
from nst_jax.runs.shares import own_lanes, share_of
from nst_jax.runs.stage import Kept, Stage, engines, plan_of, scales_of
from nst_jax.transfer import plan
from nst_jax.transfer.groups import Group, groups
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.problem import shape_of
from nst_jax.weights import weights

SECONDS_TO_MEASURE = 2.0


class Forecast(NamedTuple):
    """What a run would take."""

    label: str
    """What sets the lanes apart from others of the table that have another program; "" where there are none."""
    plan: plan.Plan
    lanes: int
    """Of this process, or of one of the device's hosts."""
    rounds: int
    """Batches, one after the other."""
    pace: float
    """Seconds an evaluation of a batch at the finest scale: as measured, or at a device's peak."""
    evaluations: int
    """Of each batch, at all scales, in evaluations of the finest."""


def forecast(
    table: Table, options: RunOptions, compile: Compile, kept: tuple[Kept, ...] = (), places: Places = AS_NAMED,
    note: Callable[[str], None] = lambda text: None,
) -> list[Forecast]:  # fmt: skip
    """What a run would take, by groups of lanes that share a program; nothing is written.

    Args:
      note: hears of what takes long.

    Raises:
      InputError: as a run, and where `options.device` is no known topology or has no compiler here.
    """
    share, shares = share_of(options)
    options = replace(options, share=(share, shares), distributed=False)
    *coarser, finest = scales_of(table, places)
    at_finest = table._replace(settings=replace(table.settings, scales=None, evaluations=finest.evaluations))
    stage, options = Stage(Path(), at_finest, kept, places), replace(options, tolerance=0.0)
    pixels = sum(one.evaluations * one.height * one.width for one in coarser)
    found = []
    for group in groups(at_finest):
        chosen, own, pace = (
            _measured(stage, group, options, compile)
            if options.device is None
            else _elsewhere(group, places, options, note)
        )
        evaluations = group.table.settings.evaluations + round(pixels / finest.height / finest.width)
        found.append(Forecast(group.label, chosen, own, -(-own // chosen.batch), pace, evaluations))
    return found


def _measured(stage: Stage, group: Group, options: RunOptions, compile: Compile) -> tuple[plan.Plan, int, float]:
    chosen, engine = plan_of(stage, group, options, engines(stage, group, options, compile, planning=True))
    own = len(engine.problem)
    while engine.seconds < SECONDS_TO_MEASURE and not engine.finished:
        engine.advance()
    return chosen, own, engine.seconds * min(chosen.batch, own) / sum(map(len, engine.records.values()))


def _elsewhere(
    group: Group, places: Places, options: RunOptions, note: Callable[[str], None]
) -> tuple[plan.Plan, int, float]:
    """Planned anew, whatever a run that is run again was planned with here."""
    table = group.table
    contents, _ = inputs.read_pictures(table, places)
    here = moved.placed(table.settings, places)
    inputs.starts_of(table._replace(settings=here), own_lanes(group, *options.share), contents)
    weights.verify(here.weights)
    height, width = shape_of(contents)[:2]
    found = topologies.outlook(
        table, height, width, str(options.device), shares=options.share[1], batch=options.batch,
        memory=options.memory, note=note,
    )  # fmt: skip
    return found.plan, found.lanes, found.at_peak
