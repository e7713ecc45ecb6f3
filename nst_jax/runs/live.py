"""What is to be seen of a run while it goes on: the run's thread tells it, a server's threads ask for it."""

import io
import json
import secrets
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_jax.optim.engine import Engine, Record
from nst_jax.runs.contact_sheet import Cell
from nst_jax.runs.pace import Pace
from nst_jax.runs.page import address, counted, news_of, page
from nst_jax.runs.report import OVER, Shown, curves, state_of
from nst_jax.transfer.names import file_name

_WATCHED = 5.0  # seconds after a question in which somebody is taken to be watching; pages ask every second
_PATIENCE = 3.0  # seconds that a run's end waits for those who watch to hear of it


@dataclass
class _Lane:
    cell: Cell
    version: int
    """When it last changed."""
    picture: str = ""
    """Another one for each picture it has had; "" while it has none."""
    image: np.ndarray | None = None
    """[height, width, 3] uint8, where it is newer than the file."""
    records: Sequence[Record] | None = None
    """Where they are newer than the cell's losses."""


class Live:
    """A run as a page shows it. Nothing that goes wrong in here stops the run, which is told of it by a warning."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = threading.Event()  # somebody knows that the run has ended
        self._pace = Pace(least=1.0)  # of pictures, which come from the device
        self._folder, self._shown = Path(), Shown("", [], {}, {})
        self._stage, self._version, self._asked, self._ended = "", 0, float("-inf"), False
        self._lanes: list[_Lane] = []
        self._numbers: dict[str, int] = {}

    # -- told by the run

    def report(self, folder: Path, shown: Shown) -> None:
        """A report was made of what is saved: of all lanes, also those of other processes."""
        with self._telling():
            if folder != self._folder or not self._stage:
                # Pages of an earlier stage, or of an earlier run at the same address, know by it that they are over.
                self._stage, self._folder = secrets.token_hex(8), folder
                self._lanes = [_Lane(cell, self._version) for cell in shown.cells]
                self._numbers = {cell.name: number for number, cell in enumerate(shown.cells)}
            self._shown = shown
            for lane, cell in zip(self._lanes, shown.cells, strict=True):
                before = lane.cell.state, lane.cell.settings, _length(lane), lane.picture
                lane.cell, lane.records, lane.image, lane.picture = cell, None, None, self._saved(cell)
                if before != (cell.state, cell.settings, _length(lane), lane.picture):
                    lane.version = self._version

    def advance(self, engine: Engine) -> None:
        """The lanes of an engine went on; the pictures of those that are over have been written."""
        with self._telling():
            problem: Any = engine.problem
            running, images = set(engine.schedule.running), {}
            if self._watched and self._pace.due:
                with self._pace.spent():
                    images = {n: _levels(problem.picture(problem.lanes[n], i)) for n, i in engine.images().items()}
            for n, own in enumerate(problem.lanes):
                lane, records = self._lanes[self._numbers[own.name]], engine.records[n]
                state = state_of(engine.status.get(n), n in running)
                if n not in images and (state, len(records)) == (lane.cell.state, _length(lane)):
                    continue
                lane.cell, lane.records, lane.version = replace(lane.cell, state=state), list(records), self._version
                if state in OVER:
                    lane.image, lane.picture = None, self._saved(lane.cell)
                elif n in images:
                    lane.image, lane.picture = images[n], str(self._version)

    def end(self) -> None:
        """The run has ended; waits a moment for those who watch to hear of it, and to fetch the last pictures."""
        with self._telling():
            self._ended = True
        if self._watched and self._heard.wait(_PATIENCE):
            time.sleep(0.5)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            with self._lock:
                self._version += 1
                yield
        except Exception as error:
            warnings.warn(f"what is served is behind the run: {error!r}", stacklevel=4)

    # -- asked by a server

    def page(self) -> str | None:
        """The page, whose script asks for `changes`; None before there is anything to show."""
        with self._lock:
            stage, shown = self._stage, self._shown
        if not stage:
            return None
        cells = [replace(cell, losses={}) for cell in shown.cells]
        return page(shown.title, cells, **shown.headings, notes=shown.notes, live=stage)

    def changes(self, since: int) -> str:
        """What has changed since a version, 0 for all, as JSON: what the page's script takes."""
        with self._lock:
            self._asked = time.monotonic()
            lanes = {n: replace(lane) for n, lane in enumerate(self._lanes) if lane.version > since}
            told = {"stage": self._stage, "version": self._version, "ended": self._ended}
            cells = [lane.cell for lane in self._lanes]
        of_lanes = {
            n: news_of(replace(lane.cell, losses=_losses(lane)), len(cells))
            | {"picture": f"{address(lane.cell)}?{lane.picture}" if lane.picture else None}
            for n, lane in lanes.items()
        }
        done = sum(cell.state in OVER for cell in cells)
        text = json.dumps(told | {"state": counted(cells), "done": done, "cells": of_lanes}, allow_nan=False)
        if told["ended"]:
            self._heard.set()
        return text

    def picture(self, file: str) -> bytes | None:
        """A PNG file's bytes by its name in the folder lanes; None unless it is a lane's."""
        with self._lock:
            number = self._numbers.get(file.removesuffix(".png")) if file.endswith(".png") else None
            if number is None:
                return None
            lane, path = self._lanes[number], self._path(self._lanes[number].cell)
            image = lane.image
        if image is None:
            return path.read_bytes() if path.is_file() and not path.is_symlink() else None
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    @property
    def _watched(self) -> bool:
        return time.monotonic() - self._asked < _WATCHED

    def _path(self, cell: Cell) -> Path:
        return self._folder / "lanes" / file_name(cell.name)

    def _saved(self, cell: Cell) -> str:
        """What sets a lane's file apart from those it was before."""
        path = self._path(cell)
        return f"file{path.stat().st_mtime_ns}" if path.is_file() else ""


def _losses(lane: _Lane) -> Any:
    if lane.records is None:
        return lane.cell.losses
    return curves(lane.records, tuple(lane.records[0].losses.style_layers) if lane.records else ())


def _length(lane: _Lane) -> int:
    return len(lane.cell.losses.get("evaluations", ()) if lane.records is None else lane.records)


def _levels(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
