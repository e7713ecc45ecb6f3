"""What a run would take: measured on its first steps, with nothing written."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from nst_jax.optim.compiler import Compile
from nst_jax.runs.moved import AS_NAMED, Places
from nst_jax.runs.options import RunOptions
from nst_jax.runs.shares import share_of
from nst_jax.runs.stage import NEW, Kept, Stage, engines, plan_of, scales_of
from nst_jax.transfer import plan
from nst_jax.transfer.lanes import Table

SECONDS_TO_MEASURE = 2.0


class Forecast(NamedTuple):
    """What a run would take."""

    plan: plan.Plan
    lanes: int
    """Of this process."""
    rounds: int
    """Batches, one after the other."""
    pace: float
    """Seconds an evaluation of a batch at the finest scale, as measured."""
    evaluations: int
    """Of each batch, at all scales, in evaluations of the finest."""


def forecast(
    table: Table, options: RunOptions, compile: Compile, kept: Kept = NEW, places: Places = AS_NAMED
) -> Forecast:
    """What a run would take, which is measured on its first steps; nothing is written."""
    share, shares = share_of(options)
    options = replace(options, share=(share, shares), distributed=False)
    *coarser, finest = scales_of(table, places)
    at_finest = table._replace(settings=replace(table.settings, scales=None, evaluations=finest.evaluations))
    stage, options = Stage(Path(), at_finest, kept, places), replace(options, tolerance=0.0)
    chosen, engine = plan_of(stage, options, engines(stage, options, compile))
    own = len(engine.problem)
    while engine.seconds < SECONDS_TO_MEASURE and not engine.finished:
        engine.advance()
    pace = engine.seconds * min(chosen.batch, own) / sum(map(len, engine.records.values()))
    pixels = sum(one.evaluations * one.height * one.width for one in coarser)
    evaluations = finest.evaluations + round(pixels / finest.height / finest.width)
    return Forecast(chosen, own, -(-own // chosen.batch), pace, evaluations)
