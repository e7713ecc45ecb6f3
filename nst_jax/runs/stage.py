"""A run at one scale, and what makes its engine: pictures and parameters as they are read, and its plan."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nst_jax.devices import local_devices
from nst_jax.errors import InputError, argument
from nst_jax.optim.compiler import Compile
from nst_jax.optim.engine import Engine
from nst_jax.runs import inputs, moved
from nst_jax.runs.moved import AS_NAMED, Places
from nst_jax.runs.options import RunOptions
from nst_jax.runs.shares import own_lanes
from nst_jax.transfer import plan, scales
from nst_jax.transfer.groups import Group
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.transfer import optimizer_key, optimizer_of
from nst_jax.weights import weights


class Kept(NamedTuple):
    """The plan of a run that is run again."""

    batch: int | None = None
    strips: plan.Cuts = ()


class Stage(NamedTuple):
    """A run at one scale."""

    folder: Path
    table: Table
    """With the settings of this scale; a finer one starts from the folder of the one before."""
    kept: tuple[Kept, ...] = ()
    """Of each group of lanes that share a program; none for a run that is to be planned."""
    places: Places = AS_NAMED
    coarse: bool = False
    """Whether it is the start of a finer one."""
    together: int = 1
    """How many processes share the memory of a machine, if a user does not say what each may take."""


def scales_of(table: Table, places: Places) -> tuple[Scale, ...]:
    """The scales of a table, coarsest first, from the size of its first photograph.

    Raises:
      InputError: as `scales.pyramid`, or several scales of lanes that differ in what scales are made of.
    """
    settings, first = table.settings, table.lanes[0].content
    height, width = inputs.read_picture(Path(places.get(first, first)), settings, settings.size).shape[:2]
    found = scales.pyramid(height, width, settings.evaluations, settings.scales or 1)
    apart = sorted({name for lane in table.lanes for name, _ in lane.own} & _OF_SCALES)
    if len(found) > 1 and apart:
        raise InputError(f"{argument('scales')}: only one is allowed where lanes differ in {' and '.join(apart)}")
    return found


_OF_SCALES = {"size", "evaluations", "init", "convention", "ratio_size"}  # what differs from scale to scale
Maker = Callable[[int, plan.Cuts], Engine]  # from a number of slots, and strips


def plan_of(stage: Stage, group: Group, options: RunOptions, make: Maker) -> tuple[plan.Plan, Engine]:
    """As `plan.choose`, for the largest share of a group, so that all processes of a run choose alike."""
    memory = plan.of_process(options.memory)
    if memory is None and stage.together > 1:
        memory = plan.here().memory // stage.together
    kept = stage.kept[group.number] if stage.kept else Kept()
    return plan.choose(
        make, -(-len(group.table.lanes) // options.share[1]), batch=kept.batch or options.batch, cuts=kept.strips,
        memory=memory,
    )  # fmt: skip


def engines(stage: Stage, group: Group, options: RunOptions, compile: Compile, *, planning: bool = False) -> Maker:
    """Reads pictures and parameters; makes engines of this process's lanes of a group, which have not begun.

    The problem is that of all lanes, so that each share runs the same program and tells of the same layers.

    Args:
      planning: the stage may start from one that is yet to run; then only shapes are right. Where this process has no
        lane, any will do.
    """
    table, settings = group.table, group.table.settings
    own = own_lanes(group, *options.share) or (table.lanes if planning else ())
    here = moved.placed(settings, stage.places)
    contents, styles = inputs.read_pictures(table, stage.places)
    waits = planning and stage.folder / "scales" in Path(settings.init).parents
    start = next(iter(contents.values())) if waits else inputs.starts_of(table._replace(settings=here), own, contents)
    height, width = next(iter(contents.values())).shape[:2]
    problem = Problem(
        weights.load(here.weights), contents, styles, table, own=own, start=start,
        kept=inputs.read_kept(settings, height, width, stage.places), masks=inputs.read_masks(settings, stage.places),
    )  # fmt: skip
    if planning and not stage.coarse:
        problem.check_regions()
    optimizer = optimizer_of(settings)

    @cache
    def make(slots: int, strips: plan.Cuts) -> Engine:
        return Engine(
            problem.cut(strips), optimizer, evaluations=settings.evaluations, slots=slots, tolerance=options.tolerance,
            devices=local_devices(), compile=compile, key=optimizer_key(settings),
        )  # fmt: skip

    return make
