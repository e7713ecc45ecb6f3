"""A run folder's lanes in TensorBoard: losses of each evaluation, measures, and the pictures that are written."""

from functools import partial
from pathlib import Path
from typing import Any

from nst_jax.measures.measures import columns
from nst_jax.optim.engine import Engine
from nst_jax.runs.event_files import LaneEvents, check_folder
from nst_jax.runs.folder import RunFolder
from nst_jax.transfer.names import file_name


class Board:
    """Hears what a run does, and writes event files: a folder for each lane, "scales/64x48/LANE" of a coarser scale."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Nothing is written yet.

        Args:
          folder: for event files.
          root: the run folder.

        Raises:
          InputError: as `check_folder`.
        """
        check_folder(folder)
        self._folder, self._root = folder, root
        self._lanes: list[LaneEvents] = []
        self._told: list[int] = []

    def begin(self, run: RunFolder, engine: Engine) -> None:
        """Lanes are to run, or go on: what a checkpoint has of them is told where it is not there yet."""
        problem: Any = engine.problem
        place = self._folder / run.path.relative_to(self._root)
        self._lanes = [
            LaneEvents(place / Path(file_name(lane.name)).stem, engine.evaluations, anew=not engine.records[number])
            for number, lane in enumerate(problem.lanes)
        ]
        self._told = [0] * len(self._lanes)
        self.advance(run, engine)
        self.saved(run, engine)

    def advance(self, run: RunFolder, engine: Engine) -> None:
        """The lanes went on; those that are over have been measured."""
        problem: Any = engine.problem
        for number, events in enumerate(self._lanes):
            records = engine.records[number]
            if len(records) == self._told[number]:
                continue
            events.losses(records[self._told[number] :])
            self._told[number] = len(records)
            if number in run.measures:
                named = zip(columns(problem.style_layers), run.measures[number], strict=True)
                events.measures(dict(named), records[-1].evaluations)

    def saved(self, run: RunFolder, engine: Engine) -> None:
        """The lanes' pictures have been written."""
        problem: Any = engine.problem
        for number, events in enumerate(self._lanes):
            if records := engine.records[number]:
                path = run.path / "lanes" / file_name(problem.lanes[number].name)
                events.picture(partial(path.read_bytes), records[-1].evaluations, over=number in engine.status)
