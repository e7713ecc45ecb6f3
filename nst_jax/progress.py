"""Telling the user how far a run is: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from nst_jax.minimise import Progress

SECONDS_BETWEEN_LINES = 5.0


class Reporter:
    """A callback for `minimise` that shows loss, speed and time left on standard error."""

    def __init__(self, title: str, steps: int, quiet: bool) -> None:
        self._title, self._steps, self._quiet = title, steps, quiet
        self._bar: Bar | None = None
        self._task = None
        self._started: tuple[int, float] | None = None  # evaluations and time when compilation was over
        self._line_at = -np.inf

    def __enter__(self) -> "Reporter":
        if not self._quiet and sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[loss]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._steps, loss="compiling")
        elif not self._quiet:
            self._line("compiling")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Shows the latest of `progress.records`."""
        record = progress.records[-1]
        now = time.perf_counter()
        if self._started is None:
            self._started = record.evaluations, now
        done, since = record.evaluations - self._started[0], now - self._started[1]
        pace = f", {since / done:.2f} s/step" if done else ""
        loss = f"loss {np.mean(record.terms.total):.4g}"
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=record.evaluations, loss=loss + pace)
        elif not self._quiet and (now - self._line_at >= SECONDS_BETWEEN_LINES or record.evaluations == self._steps):
            left = f", {since / done * (self._steps - record.evaluations):.0f} s left" if done else ""
            self._line(f"{record.evaluations}/{self._steps}, {loss}{pace}{left}")
            self._line_at = now

    def _line(self, text: str) -> None:
        print(f"{self._title}: {text}", file=sys.stderr, flush=True)


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
