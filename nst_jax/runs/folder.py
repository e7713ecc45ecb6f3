"""The run folder: settings, lanes' pictures, losses, checkpoint, contact sheet and page, each whole or not there.

Several processes may share a folder, each with its own share of the lanes, lock and checkpoint. The losses, the sheet
and the page are made from what all shares have saved, by whoever saved last.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.optim.engine import Engine
from nst_jax.pictures import files, images
from nst_jax.runs import checkpoint, report
from nst_jax.runs.description import FORMAT, completed, differences, settings_of
from nst_jax.runs.locks import lock
from nst_jax.runs.report import describe_lane
from nst_jax.runs.shares import own_lanes
from nst_jax.transfer.batching import Batching
from nst_jax.transfer.groups import groups
from nst_jax.transfer.lanes import Lane, Table, from_json
from nst_jax.transfer.names import file_name

_MADE = ("losses.csv", "measures.csv", "grid.png", "index.html", "moved.json", "run.json")
"""The last goes last: a run till then."""


class RunFolder:
    """A sweep's folder, for one of the processes that work on it.

    Attributes:
      path: the folder.
      share: which of the shares of lanes this process has, from 0.
      measures: of a `part`: `measures.Measures.row` of this share's lanes that are done, by number; kept in the
        checkpoint.
    """

    def __init__(self, path: Path, share: int = 0) -> None:
        self.path, self.share = path, share
        self.measures: dict[int, list[float]] = {}
        self._run: dict[str, Any] = {}
        self._group = 0
        self._named: dict[str, Lane] = {}
        self._lanes = path / "lanes"
        self._checkpoint = path / "checkpoint"

    def part(self, group: int, table: Table) -> "RunFolder":
        """The same folder, for one of the table's groups of lanes that share a program."""
        made = copy.copy(self)
        made._group, made.measures = group, {}
        made._named = {lane.name: lane for lane in table.lanes}
        return made

    @contextmanager
    def opened(self, *, force: bool = False, joining: bool = False) -> Iterator[None]:
        """Makes the folder and holds this share of it, for a new run, until the end of the context or of the process.

        Args:
          force: removes an earlier run that is in the folder.
          joining: the folder may already hold a run, which other shares of it began.

        Raises:
          InputError: the folder holds something and neither is given, another process holds it, or it cannot be made.
        """
        self.check(force=force, joining=joining)
        try:
            self._lanes.mkdir(parents=True, exist_ok=True)
            self._checkpoint.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{argument('output')} {self.path}: cannot be written ({error.strerror})") from None
        with self.locked():
            if force:
                self._clear()
            yield

    def check(self, *, force: bool, joining: bool) -> None:
        """Raises InputError where `opened` would refuse what is there."""
        try:
            occupied = self._occupied()
        except OSError as error:
            raise InputError(f"{argument('output')} {self.path}: cannot be written ({error.strerror})") from None
        if occupied and not self.begun:
            raise InputError(f"{argument('output')} {self.path}: is not empty and holds no run; name another folder")
        if occupied and not (force or joining):
            raise InputError(
                f"{argument('output')} {self.path}: is not empty; go on with `nst-jax resume {self.path}`, name "
                f"another folder, or overwrite it with {argument('force')}"
            )

    def _occupied(self) -> bool:
        """Whether there is more than a run leaves that ended, or has not come further, before its run.json."""
        if not self.path.exists():
            return False
        of_runs = (self._lanes, self._checkpoint)
        inside = (path for folder in of_runs if folder.is_dir() for path in folder.iterdir())
        known = (*of_runs, self.path / "scales", self.path / "inputs")  # coarser runs judge for themselves
        others = (path for path in self.path.iterdir() if path not in known and not files.is_leftover(path, {"run"}))
        return any(others) or any(not path.name.startswith("lock-") for path in inside)

    def create(self, run: Mapping[str, Any]) -> None:
        """Writes run.json, unless another share of the run was faster."""
        with lock(self._checkpoint / "lock-report", self.path, wait=True):
            if not self.begun:
                text = json.dumps(run, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
                with files.atomic(self.path / "run.json") as temporary:
                    # A file name may hold what UTF-8 does not (lone surrogates); a backslash makes it JSON again.
                    temporary.write_text(text, "utf-8", "backslashreplace")

    def _clear(self) -> None:
        """Removes an earlier run, and nothing that is not a run's; InputError when a process works on a share of it."""
        with ExitStack() as locks:
            for path in self._checkpoint.glob("lock-*"):
                if path.name != f"lock-{self.share}":
                    locks.enter_context(lock(path, self.path, wait=False))
            inside = (
                *self._lanes.glob("*.png"),
                *self._checkpoint.glob("state-*.npz"),
                *self._checkpoint.glob("progress-*"),
            )
            for path in (*inside, *(self.path / name for name in _MADE)):
                path.unlink(missing_ok=True)

    def tidy(self, table: Table, shares: int) -> None:
        """Removes temporary files that killed processes left, but for those that another share may be writing."""
        with lock(self._checkpoint / "lock-report", self.path, wait=True):
            files.remove_leftovers(self.path, {Path(name).stem for name in _MADE})
        states = {self.state(self.share, number).stem for number in range(len(groups(table)))}
        files.remove_leftovers(self._checkpoint, states)
        owned = {lane.name for group in groups(table) for lane in own_lanes(group, self.share, shares)}
        own, others = (
            [Path(file_name(lane.name)).stem for lane in table.lanes if (lane.name in owned) == wanted]
            for wanted in (True, False)
        )
        files.remove_leftovers(self._lanes, own, unless=others)

    def run(self) -> dict[str, Any]:
        """What run.json holds; raises InputError when it is missing or damaged."""
        path = self.path / "run.json"
        try:
            data = json.loads(path.read_bytes())
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r} is unknown")
            data = completed(data)
            table = from_json(data["table"], settings_of(data, path))
            counts = [data["plan"][key] for key in ("devices", "shares", "together")]
            counts += [count for group in data["plan"]["groups"] for count in (group["batch"], *group["strips"])]
            if len(data["plan"]["groups"]) != len(groups(table)):
                raise ValueError("there is not one plan for each group of lanes")
            if not all(isinstance(n, int) and n > 0 for n in counts) or not 0 <= data["tolerance"] <= 1:
                raise ValueError("plan or tolerance is not a number that is allowed")
            Batching(**data["plan"].get("asked", {}))
        except FileNotFoundError:
            raise InputError(f"{self.path}: not a run folder; it has no run.json") from None
        except InputError as error:
            raise InputError(str(error) if str(path) in str(error) else f"{path}: damaged ({error})") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: damaged ({' '.join(str(error).split())})") from None
        return data

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds this share of the folder; raises InputError when another process does. Ends with the process."""
        if not self._checkpoint.is_dir():
            raise InputError(f"{self.path}: not a run folder; it has no checkpoint")
        with lock(self._checkpoint / f"lock-{self.share}", self.path, wait=False):
            yield

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follows all shares, which others work on, as the only one; raises InputError when another process does."""
        self.run()
        with lock(self._checkpoint / "lock-tasks", self.path, wait=False):
            yield

    @property
    def begun(self) -> bool:
        """Whether there is a run.json."""
        return (self.path / "run.json").is_file()

    def restore(self, engine: Engine) -> None:
        """Puts the checkpoint, if there is one, into an engine that has not begun; lanes without a picture run again.

        Raises:
          InputError: the checkpoint is damaged, or run.json was changed since it was written.
        """
        self._run = self.run()
        path = self.state(self.share, self._group)
        if not path.is_file():
            return
        saved = checkpoint.read(path)
        if changed := differences(completed(saved.run), self._run):
            raise InputError(f"{self.path}: cannot be resumed, run.json was changed: {', '.join(changed)}")
        checkpoint.restore(path, engine)
        self.measures = saved.measures
        problem: Any = engine.problem
        for number in [n for n in engine.status if not (self._lanes / file_name(problem.lanes[n].name)).is_file()]:
            self.measures.pop(number, None)
            engine.forget(number)

    def save(self, engine: Engine) -> None:
        """Writes the pictures of the lanes that run, and the checkpoint."""
        problem: Any = engine.problem
        for lane, image in engine.images().items():
            self.write_picture(problem.lanes[lane], problem.picture(problem.lanes[lane], image))
        checkpoint.save(self.state(self.share, self._group), engine, self._run, self.measures)

    def write_picture(self, lane: Lane, image: np.ndarray) -> None:
        """Writes `lanes/NAME.png`, the lane's settings inside."""
        about = json.dumps({"lane": describe_lane(self._named[lane.name]), "run": "see run.json"}, ensure_ascii=False)
        images.write_image(self._lanes / file_name(lane.name), image, {"nst_jax": about}, self._run["settings"]["bits"])

    def report(self, table: Table) -> report.Shown:
        """Makes losses.csv, measures.csv, grid.png and index.html anew from what is saved; what the page shows."""
        with lock(self._checkpoint / "lock-report", self.path, wait=True):
            run = self.run()
            several = product(range(len(groups(table))), range(run["plan"]["shares"]))
            states = {(group, share): self.state(share, group) for group, share in several}
            saved = {part: checkpoint.read(path) for part, path in states.items() if path.is_file()}
            return report.write(self.path, run, table, saved)

    def state(self, share: int, group: int) -> Path:
        return self._checkpoint / (f"state-{share}-{group}.npz" if group else f"state-{share}.npz")
