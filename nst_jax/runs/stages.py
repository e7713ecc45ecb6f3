"""A run from its beginning to its end, as a list of stages: the coarser scales, each a run inside the folder, then it.

A stage is begun when its folder has a run.json, and goes on from its checkpoint. The last one is begun first, so that
what a user asked for stands in the folder, and is refused if it cannot be, before anything is computed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import devices
from nst_jax.errors import InputError, argument
from nst_jax.optim.compiler import Compile
from nst_jax.optim.engine import Engine
from nst_jax.optim.status import Status
from nst_jax.runs import description, moved, report
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.moved import AS_NAMED, Places
from nst_jax.runs.options import RunOptions
from nst_jax.runs.shares import own_lanes, share_of
from nst_jax.runs.stage import NEW, Kept, Maker, Stage, engines, plan_of, scales_of
from nst_jax.transfer import lanes, scales
from nst_jax.transfer.lanes import Table

_ELSEWHERE = ("version", "jax", "python", "device")  # of run.json: what may differ, though the bytes may as well


class Watch(NamedTuple):
    """How a caller follows a run."""

    following: Callable[[str, Engine], AbstractContextManager[Callable[[], bool]]]
    """From a stage's name and its engine to what is called after each chunk, and says whether to stop there."""
    note: Callable[[str], None]
    """Hears of what the user should know."""


class Ended(NamedTuple):
    """A stage that is over, or was interrupted."""

    folder: Path
    lanes: int
    seconds: float
    interrupted: bool
    lost: list[str]
    """Lanes whose loss is not finite."""


def stages_of(folder: Path, table: Table, kept: Kept = NEW, places: Places = AS_NAMED) -> list[Stage]:
    """The stages of a run, in the order in which they go on. Raises InputError as `scales.pyramid` does."""
    sizes = scales_of(table, places)
    found, settings = [], table.settings
    for scale in sizes[:-1]:
        coarse = scales.settings_at(scale, sizes[-1], settings)
        found.append(Stage(folder / "scales" / scale.name, table._replace(settings=coarse), NEW, places))
        settings = replace(settings, init=str(found[-1].folder))
    finest = replace(settings, evaluations=sizes[-1].evaluations) if found else settings
    return [*found, Stage(folder, table._replace(settings=finest), kept, places)]


def begin(
    table: Table, folder: Path, options: RunOptions, watch: Watch, compile: Compile, kept: Kept = NEW,
    places: Places = AS_NAMED,
) -> Iterator[Ended]:  # fmt: skip
    """Runs a table in a new folder, or joins other processes that fill it; tells of each stage as it ends.

    Args:
      kept: of the finest scale.
      places: where its inputs are, of those that the table names otherwise.

    Raises:
      InputError: the folder holds something else, an input file is missing, or a lane does not fit into memory.
    """
    share, shares = share_of(options)
    options = replace(options, share=(share, shares), distributed=False)
    table = table._replace(settings=table.settings.on(devices.platform()))  # by name in run.json
    table = description.absolute(table, places)  # a run may be resumed from another folder
    stages = stages_of(folder, table, kept, places)
    with ExitStack() as stack:
        run, make = _begun(stages[-1], table, options, compile, stack)
        _remember(folder, places, watch)
        last = (run, make if len(stages) == 1 else None)
        yield from _gone_through(stages, last, options, watch, compile)


def resume(
    folder: Path, options: RunOptions, watch: Watch, compile: Compile, find_in: Sequence[Path] = ()
) -> Iterator[Ended]:
    """Goes on where a run folder's checkpoint stops, to the bytes of a run that was never interrupted.

    Inputs that were moved are looked for below the folders `find_in`, see `moved.find`. run.json stays as it is; where
    they were found is kept beside it, so that the next time needs no search.

    Raises:
      InputError: it is no run folder, another process works on it, or its inputs have changed or are not found.
    """
    share, shares = share_of(options)
    run, before = RunFolder(folder, share), RunFolder(folder, share).run()
    options = replace(options, share=(share, shares), distributed=False, tolerance=before["tolerance"])
    options = replace(options, **before["plan"].get("asked", {}))
    table = lanes.from_json(before["table"], description.settings_of(before, folder))
    places = moved.find(before, table, folder, find_in)
    with ExitStack() as stack:
        _resumed(run, table, places, options, watch, stack)
        _remember(folder, places, watch)
        yield from _gone_through(stages_of(folder, table, NEW, places), (run, None), options, watch, compile)


def again(source: Path, options: RunOptions, find_in: Sequence[Path] = ()) -> tuple[Table, RunOptions, Kept, Places]:
    """What `begin` takes to run a run.json once more, with the names that inputs have there, wherever they are now.

    Raises:
      InputError: it is no run.json, or its inputs have changed or are not found (see `moved.find`).
    """
    folder = source.parent if source.name == "run.json" else source
    before = RunFolder(folder).run()
    table = lanes.from_json(before["table"], description.settings_of(before, source))
    places = moved.find(before, table, folder, find_in)
    now = description.describe(table, before["tolerance"], places)
    changed = description.differences(before, now)
    if changed := [change for change in changed if change.startswith(("inputs", "weights"))]:
        raise InputError(f"--from {source}: cannot be run again, changed since: {', '.join(changed)}")
    planned = before["plan"]
    options = replace(options, tolerance=before["tolerance"], **planned.get("asked", {}))
    return table, options, Kept(planned["batch"], tuple(planned["strips"])), places


def _gone_through(
    stages: list[Stage], last: tuple[RunFolder, Maker | None], options: RunOptions, watch: Watch, compile: Compile
) -> Iterator[Ended]:
    """Goes on with each stage; the last one has been begun."""
    if report.numbered(stages[-1].table):
        watch.note("grid.png: no font here draws some of the headings; it numbers them, and index.html has them all")
    for stage in stages[:-1]:
        with ExitStack() as stack:
            run = RunFolder(stage.folder, options.share[0])
            if run.begun and not options.force:
                named, places = stage.table, stage.places
                if stage is not stages[0]:  # the coarser one that it starts from moves with it
                    before = run.run()["settings"]["init"]
                    places = {**places, before: named.settings.init}
                    named = named._replace(settings=replace(named.settings, init=before))
                _resumed(run, named, places, options, watch, stack)
                ended = _gone_on(stage, (run, None), options, watch, compile)
            else:
                begun = _begun(stage, stage.table, options, compile, stack)
                ended = _gone_on(stage, begun, options, watch, compile)
        yield ended
        if ended.interrupted:
            return
    yield _gone_on(stages[-1], last, options, watch, compile)


def _begun(
    stage: Stage, table: Table, options: RunOptions, compile: Compile, stack: ExitStack
) -> tuple[RunFolder, Maker]:
    """Makes the stage's folder, unless another process was faster, and holds it; and what makes its engine.

    Args:
      table: as run.json is to have it, with all that a user asked for.
    """
    share, shares = options.share
    own_lanes(table, share, shares)
    described = description.describe(table, options.tolerance, stage.places)
    run = RunFolder(stage.folder, share)
    run.check(force=options.force, joining=shares > 1)  # before anything is computed
    # Pictures are read before the folder is made: what cannot be read leaves none.
    make = engines(stage, options, compile, planning=True)
    stack.enter_context(run.opened(force=options.force, joining=shares > 1))
    if not run.begun:
        chosen, _ = plan_of(stage, options, make)
        planned = {"batch": chosen.batch, "strips": list(chosen.strips), "devices": chosen.devices, "shares": shares}
        asked = {"batch": options.batch, "memory": options.memory}  # for scales that are yet to be planned
        run.create(described | {"plan": planned | {"asked": asked}})
    here = run.run()  # of this process or, in a folder with several shares, of a faster one
    ours = described | {"plan": here["plan"] | {"devices": len(devices.local_devices()), "shares": shares}}
    if differing := description.differences(here, ours):
        name = argument("output")
        raise InputError(f"{name} {stage.folder}: another run's folder; it differs in {', '.join(differing)}")
    return run, make


def _resumed(run: RunFolder, table: Table, places: Places, options: RunOptions, watch: Watch, stack: ExitStack) -> None:
    """Holds a folder that was begun; raises InputError when what it was made from has changed."""
    before, shares = run.run(), options.share[1]
    if shares != before["plan"]["shares"]:
        begun = f"{run.path} was begun with {before['plan']['shares']} shares"
        raise InputError(f"{argument('share')}: {begun}, not {shares}")
    now = description.describe(table, before["tolerance"], places)
    now |= {"plan": before["plan"] | {"devices": len(devices.local_devices())}, "sizes": before.get("sizes")}
    changed = description.differences(before, now)
    if refused := [change for change in changed if not change.startswith(_ELSEWHERE)]:
        raise InputError(f"{run.path}: cannot be resumed, changed since: {', '.join(refused)}")
    if changed:
        watch.note(f"{run.path}: begun elsewhere, {', '.join(changed)}; bytes may differ")
    stack.enter_context(run.locked())


def _gone_on(
    stage: Stage, begun: tuple[RunFolder, Maker | None], options: RunOptions, watch: Watch, compile: Compile
) -> Ended:
    """Takes a stage to its end, or to where the watch stops it."""
    run, make = begun
    table, shares, planned = stage.table, options.share[1], run.run()["plan"]
    engine = (make or engines(stage, options, compile))(planned["batch"], tuple(planned["strips"]))
    problem: Any = engine.problem
    run.restore(engine)
    run.tidy(table, shares)
    saved, stop = time.monotonic(), False
    with watch.following(run.path.name, engine) as followed:
        run.report(table, problem.style_layers)
        while not engine.finished and not stop:
            progress = engine.advance()
            stop = followed()
            for over in progress.finished:
                lane = problem.lanes[over.lane]
                run.write_picture(lane, over.image)
                run.measures[over.lane] = problem.measure(lane, over.image).row()
            if progress.finished or stop or time.monotonic() - saved >= options.checkpoint_every:
                run.save(engine)
                run.report(table, problem.style_layers)
                saved = time.monotonic()
    lost = [problem.lanes[lane].name for lane, status in engine.status.items() if status == Status.NOT_FINITE]
    return Ended(run.path, len(problem), engine.seconds, stop and not engine.finished, lost)


def _remember(folder: Path, places: Places, watch: Watch) -> None:
    """Keeps where inputs were found, and says so."""
    moved.remember(folder, places)
    if places:
        name, place = next(iter(places.items()))
        others = f", and {len(places) - 1} more inputs elsewhere" if len(places) > 1 else ""
        watch.note(f"{name}: found in {place}{others}")
