"""A run as tasks for an engine that places them: each share of its lanes is one function of the folder.

It may be called again, anywhere that sees the folder: a share that is done returns at once, one that was begun
goes on from its checkpoint. So whatever places, retries and starts tasks again will do; here is none. How far each
share is stands in the folder, from where whoever asked for the run follows all of them.
"""

import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache, partial
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple, Protocol

import jax

from nst_jax.errors import InputError
from nst_jax.optim.compiler import Compile
from nst_jax.optim.engine import Engine
from nst_jax.optim.status import Status
from nst_jax.runs import checkpoint, description, moved, stages
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.live import Live
from nst_jax.runs.moved import AS_NAMED, Places
from nst_jax.runs.options import RunOptions
from nst_jax.runs.shares import own_lanes
from nst_jax.runs.stage import Kept
from nst_jax.runs.stages import Ended, Reports, Watch
from nst_jax.transfer import lanes
from nst_jax.transfer.allocator import keep_freed_memory
from nst_jax.transfer.groups import groups
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.names import file_name
from nst_jax.transfer.traced import TracedPrograms
from nst_jax.weights.cache import programs_directory

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


class Done(NamedTuple):
    """What a share tells when it is over."""

    lost: list[str]
    """Lanes whose loss is not finite."""
    interrupted: bool


def prepare(
    table: Table, folder: Path, options: RunOptions, shares: int, together: int, kept: tuple[Kept, ...], places: Places,
    cached: bool,
) -> None:  # fmt: skip
    """Makes the folder of a run that is divided into shares, with its plan; no lane is begun. Itself a task.

    Args:
      table: the lanes.
      folder: to make.
      options: of the run; its `share` does not count.
      shares: how many.
      together: how many workers share a machine's memory.
      kept: see `stages.begin`.
      places: see `stages.begin`.
      cached: whether compiled programs are kept.

    Raises:
      InputError: as `stages.begin`.
    """
    stages.prepare(table, folder, options, shares, together, _compiler(cached), kept, places)


def work(folder: Path, share: int, checkpoint_every: float, cached: bool, stop: Event | None = None) -> Done:
    """Does what is left of a share; all that it is told beside the folder changes no byte.

    Args:
      folder: the run's.
      share: its number.
      checkpoint_every: in seconds.
      cached: whether compiled programs are kept.
      stop: set to have it save and stop soon; a file `checkpoint/stop` in the folder does so as well.

    Returns:
      What came of it.

    Raises:
      InputError: there is no such run here, or as `stages.resume`.
    """
    if not (folder / "run.json").is_file():
        where = f"where {platform.node()} looks for it"
        raise InputError(f"{folder}: no run is there, {where}; every worker must see the run's folder by this path")
    run = RunFolder(folder, share).run()
    shares = run["plan"]["shares"]
    table = lanes.from_json(run["table"], description.settings_of(run, folder))
    progress = _Progress(folder, share)
    if (ended := _ended(folder, share, shares, table)) is not None:
        return ended
    options = RunOptions(share=(share, shares), checkpoint_every=checkpoint_every, quiet=True)
    sign = folder / "checkpoint" / "stop"

    @contextmanager
    def following(_: str, engine: Engine) -> Iterator[Callable[[], bool]]:
        progress.tell(engine)

        def followed() -> bool:
            progress.tell(engine)
            return (stop is not None and stop.is_set()) or sign.exists()

        yield followed
        progress.end(engine)

    watch = Watch(following, lambda text: warnings.warn(text, stacklevel=2), reports=False)
    last: Ended | None = None
    for last in stages.resume(folder, options, watch, _compiler(cached)):
        if last.interrupted:
            break
    assert last is not None
    return Done(last.lost, last.interrupted)


def _ended(folder: Path, share: int, shares: int, table: Table) -> Done | None:
    """What a share tells that is done; None of one that is not."""
    lost = []
    for group in groups(table):
        own = own_lanes(group, share, shares)
        path = RunFolder(folder, share).state(share, group.number)
        if not own:
            continue
        if not path.is_file():
            return None
        saved = checkpoint.read(path)
        pictures = all((folder / "lanes" / file_name(lane.name)).is_file() for lane in own)
        if len(saved.status) < len(own) or not pictures:
            return None
        lost += [own[number].name for number, status in saved.status.items() if status == Status.NOT_FINITE]
    return Done(lost, interrupted=False)


class _Progress:
    """How far a share is, in evaluations of its lanes at all scales; told in a small file after each chunk."""

    def __init__(self, folder: Path, share: int) -> None:
        self._path, self._before = _progress_of(folder, share), 0

    def tell(self, engine: Engine) -> None:
        self._path.write_text(str(self._before + _evaluations(engine)), "utf-8")  # who reads half of it reads it again

    def end(self, engine: Engine) -> None:
        self._before += _evaluations(engine)


def _progress_of(folder: Path, share: int) -> Path:
    return folder / "checkpoint" / f"progress-{share}"


def _evaluations(engine: Engine) -> int:
    """Those used, and those that lanes which are over no longer need."""
    return sum(engine.evaluations if n in engine.status else len(own) for n, own in engine.records.items())


@cache
def _compiler(cached: bool) -> Compile:
    """One for all shares that this process works on, so that they have one program."""
    folder = programs_directory() if cached else None
    if folder:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return TracedPrograms(folder, after=keep_freed_memory)


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
      options: of the run.
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
    folder = folder.resolve()
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
      options: of the run; how often checkpoints are written.
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
    folder = folder.resolve()
    with RunFolder(folder).followed():
        return _followed(executor, folder, options, follow, live, find_in, cached)


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
        _progress_of(folder, share).unlink(missing_ok=True)
    total = sum(
        lane.within(stage.table.settings).evaluations
        for stage in stages.stages_of(folder, table, (), places)
        for lane in stage.table.lanes
    )
    reports, stopping, over, reported = Reports(run, table, live), False, {}, 0
    started = time.monotonic()
    with getattr(executor, "batch", nullcontext)():
        tasks = {
            share: executor.submit(work, folder, share, options.checkpoint_every, cached) for share in range(shares)
        }
    try:
        while len(over) < shares:
            for share, task in tasks.items():
                if share not in over and task.done():
                    over[share] = None if stopping and _taken_back(task) else _result(task, folder)
            state = State(sum(map(partial(_told, folder), range(shares))), total, len(over), shares)
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


def _told(folder: Path, share: int) -> int:
    with suppress(OSError, ValueError):
        return int(_progress_of(folder, share).read_text("utf-8"))
    return 0


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
