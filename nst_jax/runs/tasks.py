"""A run as tasks for an engine that places them: each share of its lanes is one function of the folder.

It may be called again, anywhere that sees the folder: a share that is done returns at once, one that was begun
goes on from its checkpoint. So whatever places, retries and starts tasks again will do. Who asked for the run hands
them over and follows them, in `following.py`.
"""

import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Event
from typing import NamedTuple

import jax

from nst_jax.errors import InputError
from nst_jax.optim.compiler import Compile
from nst_jax.optim.engine import Engine
from nst_jax.optim.status import Status
from nst_jax.runs import checkpoint, description, stages
from nst_jax.runs.board import Board
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.moved import Places
from nst_jax.runs.options import RunOptions
from nst_jax.runs.shares import own_lanes
from nst_jax.runs.stage import Kept
from nst_jax.runs.stages import Ended, Watch
from nst_jax.transfer import lanes
from nst_jax.transfer.allocator import keep_freed_memory
from nst_jax.transfer.groups import groups
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.names import file_name
from nst_jax.transfer.traced import TracedPrograms
from nst_jax.weights.cache import programs_directory


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


def work(folder: Path, share: int, options: RunOptions, cached: bool, stop: Event | None = None) -> Done:
    """Does what is left of a share; all that it is told beside the folder changes no byte.

    Args:
      folder: the run's.
      share: its number.
      options: how often checkpoints are written, and the folder of TensorBoard's files; nothing else counts.
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
    board = Board(Path(options.tensorboard), folder) if options.tensorboard else None
    # A share that is done may still have to be told to TensorBoard, by whoever asks for that first.
    if board is None and (ended := _ended(folder, share, shares, table)) is not None:
        return ended
    options = RunOptions(share=(share, shares), checkpoint_every=options.checkpoint_every, quiet=True)
    sign = folder / "checkpoint" / "stop"

    @contextmanager
    def following(_: str, engine: Engine) -> Iterator[Callable[[], bool]]:
        progress.tell(engine)

        def followed() -> bool:
            progress.tell(engine)
            return (stop is not None and stop.is_set()) or sign.exists()

        yield followed
        progress.end(engine)

    watch = Watch(following, lambda text: warnings.warn(text, stacklevel=2), reports=False, board=board)
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
        self._path, self._before = progress_of(folder, share), 0

    def tell(self, engine: Engine) -> None:
        self._path.write_text(str(self._before + _evaluations(engine)), "utf-8")  # who reads half of it reads it again

    def end(self, engine: Engine) -> None:
        self._before += _evaluations(engine)


def progress_of(folder: Path, share: int) -> Path:
    """The file that tells how far a share is."""
    return folder / "checkpoint" / f"progress-{share}"


def told_of(folder: Path, share: int) -> int:
    """How far a share is, in evaluations of its lanes at all scales; 0 where it has not told."""
    with suppress(OSError, ValueError):
        return int(progress_of(folder, share).read_text("utf-8"))
    return 0


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
