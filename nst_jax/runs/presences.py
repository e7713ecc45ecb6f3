"""The α and β of a run's lanes whose presence is asked: as its folder has them already, or searched for."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nst_jax.optim.compiler import Compile
from nst_jax.runs import inputs
from nst_jax.runs.description import settings_of
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.options import RunOptions
from nst_jax.transfer import presence
from nst_jax.transfer.lanes import Lane, Table, from_json
from nst_jax.transfer.presence import Found
from nst_jax.transfer.presence_lanes import with_ratios
from nst_jax.transfer.settings import Settings


def found(table: Table, run: RunFolder, options: RunOptions, note: Callable[[str], None], compile: Compile) -> Table:
    """Finds α and β of the lanes whose presence is asked, before a run is begun.

    Args:
      table: of the run, with pictures where it says.
      run: its folder, which another process may have begun: then lanes are as they are there.
      options: the run's.
      note: hears of what is searched for, and what was found.
      compile: what compiles the loop.

    Returns:
      The table, no lane of which is yet to be searched for. One that had no such lane is as it was.

    Raises:
      InputError: the folder holds something else, or as `presence.ratios_for`.
    """
    if not any(lane.searched for lane in table.lanes):
        return table
    run.check(force=options.force, joining=options.share[1] > 1)  # before anything is computed

    def as_begun(table: Table) -> Table:
        return table if options.force else _as_begun(table, run)

    def search(number: int, settings: Settings, presences: Sequence[float]) -> list[Found]:
        return _searched(table, table.lanes[number], settings, presences, compile)

    def heard(lane: Lane, found: Found) -> None:
        note(f"{lane.name}: {found}")

    known = as_begun(table)
    if any(lane.searched for lane in known.lanes):
        note("searching for the α/β of the presences that were asked, on small pictures")
    return as_begun(with_ratios(known, search, heard))  # another process may have been faster


def _as_begun(table: Table, run: RunFolder) -> Table:
    """With what was found for the lanes of a run that is there; whether it is the same run is for others to see."""
    if not run.begun:
        return table
    before = run.run()
    there = {lane.name: lane for lane in from_json(before["table"], settings_of(before, run.path)).lanes}

    def of_lane(lane: Lane) -> Lane:
        same = there.get(lane.name)
        if lane.presence is None or same is None or same.presence != lane.presence:
            return lane
        return replace(lane, alpha=same.alpha, beta=same.beta, expected=same.expected)

    return table._replace(lanes=tuple(map(of_lane, table.lanes)))


def _searched(
    table: Table, lane: Lane, settings: Settings, presences: Sequence[float], compile: Compile
) -> list[Found]:  # fmt: skip
    """One search, on the pictures of a lane as they are read."""
    photo = inputs.read_picture(Path(lane.content), settings, settings.size)
    height, width = photo.shape[:2]
    side = settings.beside(settings.size)
    painting = inputs.read_picture(Path(lane.style), settings, side) if lane.style else None
    start = inputs.starts_of(table._replace(settings=settings), [lane], {lane.content: photo})
    return presence.ratios_for(
        presences, photo, painting, settings, regions=inputs.read_regions(settings, side),
        start=start[lane.name] if isinstance(start, dict) else start,
        keep=inputs.read_kept(settings, height, width), compile=compile,
    )  # fmt: skip
