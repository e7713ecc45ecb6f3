"""A run from its beginning to its end, as a list of stages: the coarser scales, each a run inside the folder, then it.

A stage is begun when its folder has a run.json, and goes on from its checkpoint. The last one is begun first, so that
what a user asked for stands in the folder, and is refused if it cannot be, before anything is computed.
"""

import time
import warnings
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
from nst_jax.runs import description, moved, presences, report
from nst_jax.runs.board import Board
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.live import Live
from nst_jax.runs.moved import AS_NAMED, Places
from nst_jax.runs.options import RunOptions
from nst_jax.runs.pace import Pace
from nst_jax.runs.shares import check_share, own_lanes, share_of
from nst_jax.runs.stage import Kept, Maker, Stage, engines, plan_of, scales_of
from nst_jax.transfer import lanes, scales
from nst_jax.transfer.groups import groups
from nst_jax.transfer.lanes import Table

_Begun = tuple[RunFolder, dict[int, Maker]]
"""A folder that this process holds, and what makes engines, by the numbers of groups, where that is there already."""
_ELSEWHERE = ("version", "jax", "python", "device")  # of run.json: what may differ, though the bytes may as well


class Watch(NamedTuple):
    """How a caller follows a run."""

    following: Callable[[str, Engine], AbstractContextManager[Callable[[], bool]]]
    """From a stage's name and its engine to what is called after each chunk, and says whether to stop there."""
    note: Callable[[str], None]
    """Hears of what the user should know."""
    live: Live | None = None
    """Hears of all that a page shows."""
    reports: bool = True
    """Whether the folder's reports are made here; not where somebody else makes them, of all shares."""
    board: Board | None = None
    """Hears of all that TensorBoard shows."""


class Ended(NamedTuple):
    """A stage that is over, or was interrupted."""

    folder: Path
    lanes: int
    seconds: float
    interrupted: bool
    lost: list[str]
    """Lanes whose loss is not finite."""


def stages_of(
    folder: Path, table: Table, kept: tuple[Kept, ...] = (), places: Places = AS_NAMED, together: int = 1
) -> list[Stage]:
    """The stages of a run, in the order in which they go on; raises InputError as `scales_of`."""
    *coarser, finest = scales_of(table, places)
    found, settings = [], table.settings
    for scale in coarser:
        coarse = scales.table_at(scale, finest, table._replace(settings=settings))
        found.append(Stage(folder / "scales" / scale.name, coarse, (), places, True, together))
        settings = replace(settings, init=str(found[-1].folder))
    if found:
        settings = replace(settings, evaluations=finest.evaluations)
    return [*found, Stage(folder, table._replace(settings=settings), kept, places, False, together)]


def begin(
    table: Table, folder: Path, options: RunOptions, watch: Watch, compile: Compile, kept: tuple[Kept, ...] = (),
    places: Places = AS_NAMED,
) -> Iterator[Ended]:  # fmt: skip
    """Runs a table in a new folder, or joins other processes that fill it; tells of each stage as it ends.

    Args:
      kept: of the finest scale, of each group of lanes that share a program.
      places: where its inputs are, of those that the table names otherwise.

    Raises:
      InputError: the folder holds something else, an input file is missing, or a lane does not fit into memory; or as
        `presences.found`.
    """
    share, shares = share_of(options)
    options = replace(options, share=(share, shares), distributed=False)
    table = lanes.on(table, devices.platform())  # by name in run.json
    table = description.absolute(table, places)  # a run may be resumed from another folder
    table = presences.found(table, RunFolder(folder, share), options, watch.note, compile)
    stages = stages_of(folder, table, kept, places)
    with ExitStack() as stack:
        run, makers = _begun(stages[-1], table, options, compile, stack)
        _remember(folder, places, watch)
        last = (run, makers if len(stages) == 1 else {})
        yield from _gone_through(stages, last, options, watch, compile)


def prepare(
    table: Table, folder: Path, options: RunOptions, shares: int, together: int, compile: Compile,
    kept: tuple[Kept, ...] = (), places: Places = AS_NAMED,
) -> None:  # fmt: skip
    """Makes the folder of a run and its plan, and begins with no lane.

    Args:
      shares: into how many it is divided.
      together: how many processes share the memory of a machine.
      kept: see `begin`.
      places: see `begin`.

    Raises:
      InputError: as `begin`.
    """
    options = replace(options, share=(0, shares), on=None, shares=None)
    table = description.absolute(lanes.on(table, devices.platform()), places)

    def note(text: str) -> None:
        warnings.warn(text, stacklevel=2)

    table = presences.found(table, RunFolder(folder), options, note, compile)
    with ExitStack() as stack:
        _begun(stages_of(folder, table, kept, places, together)[-1], table, options, compile, stack, alone=True)
        moved.remember(folder, places)


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
        stages = stages_of(folder, table, (), places, before["plan"].get("together", 1))
        yield from _gone_through(stages, (run, {}), options, watch, compile)


def again(
    source: Path, options: RunOptions, find_in: Sequence[Path] = ()
) -> tuple[Table, RunOptions, tuple[Kept, ...], Places]:
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
    kept = tuple(Kept(group["batch"], tuple(group["strips"])) for group in planned["groups"])
    return table, options, kept, places


def _gone_through(
    stages: list[Stage], last: _Begun, options: RunOptions, watch: Watch, compile: Compile
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
                ended = _gone_on(stage, (run, {}), options, watch, compile)
            else:
                begun = _begun(stage, stage.table, options, compile, stack)
                ended = _gone_on(stage, begun, options, watch, compile)
        yield ended
        if ended.interrupted:
            return
    yield _gone_on(stages[-1], last, options, watch, compile)


def _begun(
    stage: Stage, table: Table, options: RunOptions, compile: Compile, stack: ExitStack, *, alone: bool = False
) -> _Begun:
    """Makes the stage's folder, unless another process was faster, and holds it; and what makes its engines.

    Args:
      table: as run.json is to have it, with all that a user asked for.
      alone: no other process begins the run.
    """
    (share, shares), joining = options.share, options.share[1] > 1 and not alone
    check_share(table, share, shares)
    described = description.describe(table, options.tolerance, stage.places)
    run = RunFolder(stage.folder, share)
    run.check(force=options.force, joining=joining)  # before anything is computed
    # Pictures are read before the folder is made: what cannot be read leaves none.
    several = groups(stage.table)
    makers = {group.number: engines(stage, group, options, compile, planning=True) for group in several}
    stack.enter_context(run.opened(force=options.force, joining=joining))
    if not run.begun:
        plans = [plan_of(stage, group, options, makers[group.number])[0] for group in several]
        of_groups = [{"batch": chosen.batch, "strips": list(chosen.strips)} for chosen in plans]
        planned: dict[str, Any] = {"groups": of_groups, "devices": plans[0].devices, "shares": shares}
        if stage.together > 1:
            planned["together"] = stage.together
        asked = {"batch": options.batch, "memory": options.memory}  # for scales that are yet to be planned
        run.create(described | {"plan": planned | {"asked": asked}})
    here = run.run()  # of this process or, in a folder with several shares, of a faster one
    ours = described | {"plan": here["plan"] | {"devices": len(devices.local_devices()), "shares": shares}}
    if differing := description.differences(here, ours):
        name = argument("output")
        raise InputError(f"{name} {stage.folder}: another run's folder; it differs in {', '.join(differing)}")
    return run, makers


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


def _gone_on(stage: Stage, begun: _Begun, options: RunOptions, watch: Watch, compile: Compile) -> Ended:
    """Takes a stage to its end, or to where the watch stops it."""
    run, makers = begun
    plans, several = run.run()["plan"]["groups"], groups(stage.table)
    run.tidy(stage.table, options.share[1])
    done, seconds, lost, interrupted = 0, 0.0, [], False
    reports = Reports(run, stage.table, watch.live) if watch.reports else _no_reports
    for group in several:
        if interrupted or not own_lanes(group, *options.share):
            continue
        make = makers.pop(group.number, None) or engines(stage, group, options, compile)
        planned = plans[group.number]
        engine = make(planned["batch"], tuple(planned["strips"]))
        title = f"{run.path.name}, {group.label}" if group.label else run.path.name
        left = any(own_lanes(later, *options.share) for later in several[group.number + 1 :])
        part = run.part(group.number, stage.table)
        stopped = _of_group(part, engine, title, options, watch, reports, last=not left)
        interrupted = stopped and (left or not engine.finished)
        problem: Any = engine.problem
        lost += [problem.lanes[lane].name for lane, status in engine.status.items() if status == Status.NOT_FINITE]
        done, seconds = done + len(problem), seconds + engine.seconds
        del make, engine, problem  # the device's memory is the next group's
    return Ended(run.path, done, seconds, interrupted, lost)


class Reports:
    """What a folder has for people, made anew as often as its cost allows: of many lanes it takes seconds."""

    def __init__(self, run: RunFolder, table: Table, live: Live | None) -> None:
        """None is made yet.

        Args:
          run: the folder.
          table: its lanes.
          live: hears of each.
        """
        self._run, self._table, self._live, self._pace = run, table, live, Pace()

    def __call__(self, *, over: bool) -> bool:
        """Something was saved; makes a report, if it is time for one.

        Args:
          over: nothing more will be saved, so that the report is to tell of all.

        Returns:
          Whether one was made.
        """
        due = over or self._pace.due
        if due:
            with self._pace.spent():
                shown = self._run.report(self._table)
                if self._live:
                    self._live.report(self._run.path, shown)
        return due


def _of_group(
    run: RunFolder, engine: Engine, title: str, options: RunOptions, watch: Watch, report: Callable[..., bool], *,
    last: bool,
) -> bool:  # fmt: skip
    """Takes the lanes of a group to their end, or to where the watch stops them, which it tells."""
    problem: Any = engine.problem
    run.restore(engine)
    saved, stop = time.monotonic(), False
    with watch.following(title, engine) as followed:
        report(over=last and engine.finished)
        if watch.board:
            watch.board.begin(run, engine)
        while not engine.finished and not stop:
            progress = engine.advance()
            stop = followed()
            for over in progress.finished:
                lane = problem.lanes[over.lane]
                run.write_picture(lane, problem.picture(lane, over.image))
                run.measures[over.lane] = problem.measure(lane, over.image).row()
            if watch.live:
                watch.live.advance(engine)
            if watch.board:
                watch.board.advance(run, engine)
            if progress.finished or stop or time.monotonic() - saved >= options.checkpoint_every:
                run.save(engine)
                if watch.board:
                    watch.board.saved(run, engine)
                report(over=stop or (last and engine.finished))
                saved = time.monotonic()
    return stop


def _no_reports(*, over: bool) -> bool:
    """Somebody else makes them."""
    return False


def _remember(folder: Path, places: Places, watch: Watch) -> None:
    """Keeps where inputs were found, and says so."""
    moved.remember(folder, places)
    if places:
        name, place = next(iter(places.items()))
        others = f", and {len(places) - 1} more inputs elsewhere" if len(places) > 1 else ""
        watch.note(f"{name}: found in {place}{others}")
