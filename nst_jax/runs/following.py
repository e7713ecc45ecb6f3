"""A run whose shares an executor places: it hands them over, follows how far they are, and makes the reports.

What the shares do is in `tasks.py`. How far each is stands in the folder, so that this process need not be told by an
engine, and another one can follow a run that it did not begin.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nst_jax.errors import InputError
from nst_jax.runs import checkpoint, description, moved, stages
from nst_jax.runs.event_files import check_folder
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.live import Live
from nst_jax.runs.moved import AS_NAMED, Places
from nst_jax.runs.options import RunOptions
from nst_jax.runs.stage import Kept
from nst_jax.runs.stages import Ended, Reports
from nst_jax.runs.tasks import prepare, progress_of, told_of, work
from nst_jax.transfer import lanes
from nst_jax.transfer.lanes import Table

POLL_SECONDS = 0.5


class Task(Protocol):
    """What `submit` gives: a future of `concurrent.futures`, or what has as much of one."""

    def done(self) -> bool:
        """Whether it is over."""
        ...

    def result(self) -> Any:
        """What the function returned; raises what it raised."""
        ...

    def cancel(self) -> Any:
        """Takes it back, unless it has begun."""
        ...


class Executor(Protocol):
    """An engine: anything with the `submit` of `concurrent.futures.Executor`.

    Where it has a context manager `batch`, all shares are submitted within it.
    """

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Task:
        """Places a call of a function that can be imported, with arguments that can be pickled."""
        ...


class State(NamedTuple):
    """How far a run is whose shares others work on."""

    evaluations: int
    """Of all lanes, at all scales."""
    total: int
    shares: int
    """That are over."""
    of: int


Follow = Callable[[State], bool]
"""Hears of the state about twice a second, and says whether to stop."""


def begin(
    executor: Executor, table: Table, folder: Path, options: RunOptions, follow: Follow, shares: int, *,
    together: int = 1, live: Live | None = None, kept: tuple[Kept, ...] = (), places: Places = AS_NAMED,
    cached: bool = True,
) -> Ended:  # fmt: skip
    """Runs a table in a new folder, its shares as tasks of an executor.

    Args:
      executor: places them.
      table: the lanes.
      folder: to make; all workers must see it by this path.
      options: of the run; workers must see its `tensorboard` by this path, too.
      follow: hears of the progress.
      shares: how many, at most as many as there are lanes.
      together: how many workers share a machine's memory.
      live: hears of all that a page shows.
      kept: see `stages.begin`.
      places: see `stages.begin`.
      cached: whether compiled programs are kept.

    Returns:
      What came of it.

    Raises:
      InputError: as `stages.begin`.
      ConnectionError: the executor lost a task.
      KeyboardInterrupt: it was to stop before there was a folder.
    """
    folder, options = folder.resolve(), _checked(options)
    table = description.absolute(table, places)
    shares = min(shares, len(table.lanes))
    task = executor.submit(prepare, table, folder, options, shares, together, kept, dict(places), cached)
    while not task.done():
        if follow(State(0, 0, 0, shares)) and task.cancel():  # one that has begun makes the folder, to be resumed
            raise KeyboardInterrupt
        time.sleep(POLL_SECONDS)
    _result(task, folder)
    return resume(executor, folder, options, follow, live=live, cached=cached)


def resume(
    executor: Executor, folder: Path, options: RunOptions, follow: Follow, *, live: Live | None = None,
    find_in: Sequence[Path] = (), cached: bool = True,
) -> Ended:  # fmt: skip
    """Goes on with a run, its shares as tasks of an executor.

    Args:
      executor: places them.
      folder: the run's.
      options: as `tasks.work` takes them.
      follow: hears of the progress.
      live: hears of all that a page shows.
      find_in: see `stages.resume`.
      cached: whether compiled programs are kept.

    Returns:
      What came of it.

    Raises:
      InputError: as `stages.resume`.
      ConnectionError: the executor lost a task.
    """
    folder, options = folder.resolve(), _checked(options)
    with RunFolder(folder).followed():
        return _followed(executor, folder, options, follow, live, find_in, cached)


def _checked(options: RunOptions) -> RunOptions:
    """For workers, whose working folder is another; InputError as `check_folder`."""
    if options.tensorboard is None:
        return options
    board = Path(options.tensorboard).absolute()
    check_folder(board)
    return replace(options, tensorboard=str(board))


def _followed(
    executor: Executor, folder: Path, options: RunOptions, follow: Follow, live: Live | None,
    find_in: Sequence[Path], cached: bool,
) -> Ended:  # fmt: skip
    run = RunFolder(folder)
    told = run.run()
    table, shares = lanes.from_json(told["table"], description.settings_of(told, folder)), told["plan"]["shares"]
    places = moved.find(told, table, folder, find_in)
    _check_unchanged(folder, told)
    moved.remember(folder, places)
    sign = folder / "checkpoint" / "stop"
    sign.unlink(missing_ok=True)
    for share in range(shares):
        progress_of(folder, share).unlink(missing_ok=True)
    total = sum(
        lane.within(stage.table.settings).evaluations
        for stage in stages.stages_of(folder, table, (), places)
        for lane in stage.table.lanes
    )
    reports, stopping, over, reported = Reports(run, table, live), False, {}, 0
    started = time.monotonic()
    with getattr(executor, "batch", nullcontext)():
        tasks = {share: executor.submit(work, folder, share, options, cached) for share in range(shares)}
    try:
        while len(over) < shares:
            for share, task in tasks.items():
                if share not in over and task.done():
                    over[share] = None if stopping and _taken_back(task) else _result(task, folder)
            state = State(sum(map(partial(told_of, folder), range(shares))), total, len(over), shares)
            if follow(state) and not stopping:
                stopping = True
                sign.touch()
                for task in tasks.values():
                    task.cancel()
            if len(over) < shares:
                saved = _last_saved(folder)
                if saved != reported and reports(over=False):
                    reported = saved
                time.sleep(POLL_SECONDS)
    except BaseException:
        sign.touch()
        for task in tasks.values():
            task.cancel()
        raise
    finally:
        reports(over=True)
    done = [found for found in over.values() if found]
    interrupted = len(done) < shares or any(found.interrupted for found in done)
    lost = [name for found in done for name in found.lost]
    return Ended(folder, len(table.lanes), time.monotonic() - started, interrupted, lost)


def _check_unchanged(folder: Path, told: dict[str, Any]) -> None:
    for path in (folder / "checkpoint").glob("state-*.npz"):
        if changed := description.differences(description.completed(checkpoint.read(path).run), told):
            raise InputError(f"{folder}: cannot be resumed, run.json was changed: {', '.join(changed)}")


def _last_saved(folder: Path) -> int:
    """When a share last wrote its checkpoint, in the file system's time."""
    return max((path.stat().st_mtime_ns for path in (folder / "checkpoint").glob("state-*.npz")), default=0)


def _taken_back(task: Task) -> bool:
    return bool(getattr(task, "cancelled", lambda: False)())


def _result(task: Task, folder: Path) -> Any:
    try:
        return task.result()
    except InputError:
        raise
    except Exception as error:
        what = " ".join(f"{type(error).__name__} {error}".split())
        again = f"go on with `nst-jax resume {folder}`"
        raise ConnectionError(f"{folder}: the executor has lost a task ({what}); {again}") from error
