"""Telling the user how far a run is: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from nst_jax.optim.minimize import Progress
from nst_jax.transfer.sweep import Sweep

SECONDS_BETWEEN_LINES = 5.0


class _Display:
    """A bar or lines on standard error, of work that is counted in evaluations or other units."""

    def __init__(
        self, title: str, total: int, done: int, quiet: bool, unit: str = "evaluation", begin: str = "compiling"
    ) -> None:
        self._title, self._total, self._done, self._quiet = title, total, done, quiet
        self._unit, self._begin = unit, begin
        self._bar: Bar | None = None
        self._task = None
        self._started: tuple[int, float] | None = None  # evaluations and time when compilation was over
        self._stage, self._end, self._later = "", total, 0.0
        self._line_at = -np.inf

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[about]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self._title, total=self._total, completed=self._done, about=self._begin, left=""
            )
        elif not self._quiet and self._begin:
            self._line(self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def stage(self, name: str, end: int, later: float) -> None:
        """Begins a stage of the work that has a pace of its own.

        Args:
          end: units of work that will be over at its end.
          later: what comes after it, in units of this stage.
        """
        self._stage, self._end, self._later, self._started = name, end, later, None

    def show(self, done: int, about: str) -> None:
        """Says that `done` units of work are over."""
        if self._stage:
            about = f"{self._stage}, {about}"
        now = time.perf_counter()
        if self._started is None:
            self._started = done, now
        since = now - self._started[1]
        pace = since / (done - self._started[0]) if done > self._started[0] else 0.0
        if pace:
            about += f", {pace:.2f} s/{self._unit}"
        left = f"{_clock(pace * (self._end - done + self._later))} left" if pace else ""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, about=about, left=left)
        elif not self._quiet and (now - self._line_at >= SECONDS_BETWEEN_LINES or done >= self._total):
            self._line(f"{done}/{self._total}, {about}" + (f", {left}" if left else ""))
            self._line_at = now

    def _line(self, text: str) -> None:
        print(f"{self._title}: {text}", file=sys.stderr, flush=True)


class Reporter(_Display):
    """A callback for `minimize`."""

    def __init__(self, title: str, steps: int, quiet: bool) -> None:
        super().__init__(title, steps, 0, quiet)

    def __call__(self, progress: Progress) -> None:
        """Shows the latest of `progress.records`."""
        record = progress.records[-1]
        self.show(record.evaluations, f"loss {np.mean(record.losses.total):.4g}")


class PictureCounter(_Display):
    """Counts pictures; call it with the name of each that is done."""

    def __init__(self, title: str, pictures: int, quiet: bool) -> None:
        super().__init__(title, pictures, 0, quiet, "picture", "")
        self._line_at = time.perf_counter()

    def __call__(self, name: str) -> None:
        """One more is done."""
        self._done += 1
        self.show(self._done, name)


class SweepReporter(_Display):
    """Shows how far a sweep is; call it after each `advance`."""

    def __init__(self, title: str, sweep: Sweep, quiet: bool) -> None:
        self._sweep = sweep
        begin = "" if sweep.finished else "compiling"
        super().__init__(title, len(sweep.lanes) * sweep.steps, self._evaluations(), quiet, begin=begin)

    def __call__(self) -> None:
        """Shows the sweep's present state."""
        lanes = len(self._sweep.lanes)
        losses = [records[-1].total for n in self._sweep.slots if n is not None and (records := self._sweep.records[n])]
        loss = f", loss {np.mean(losses):.4g}" if losses else ""
        self.show(self._evaluations(), f"{len(self._sweep.status)}/{lanes} lanes done{loss}")

    def _evaluations(self) -> int:
        """Those used, and those that lanes which are done no longer need."""
        sweep = self._sweep
        return sum(sweep.steps if n in sweep.status else len(records) for n, records in sweep.records.items())


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


class Interrupt:
    """Whether Ctrl-C was pressed."""

    requested = False


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """The first Ctrl-C only sets `requested`, so that a run can end tidily; the second one interrupts at once."""
    interrupt = Interrupt()

    def note(_signal: int, _frame: object) -> None:
        interrupt.requested = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
