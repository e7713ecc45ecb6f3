"""Telling the user how far a run is: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

import sys
import time
from collections.abc import Sequence
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from nst_jax.errors import FAILED
from nst_jax.optim.engine import Engine
from nst_jax.runs.following import State
from nst_jax.transfer.scales import Scale, later
from nst_jax.transfer.stylizing import Step

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
            about += f", {pace:.{'2f' if pace >= 0.1 else '2g'}} s/{self._unit}"
        left = f"{_clock(pace * (self._end - done + self._later))} left" if pace else ""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, about=about, left=left)
        elif not self._quiet and (now - self._line_at >= SECONDS_BETWEEN_LINES or done >= self._total):
            self._line(f"{done}/{self._total}, {about}" + (f", {left}" if left else ""))
            self._line_at = now

    def _line(self, text: str) -> None:
        print(f"{self._title}: {text}", file=sys.stderr, flush=True)


class StepReporter(_Display):
    """Shows how far a picture is: a callback for `stylize`."""

    def __init__(
        self, title: str, evaluations: int, quiet: bool, *, after: float = 0, begin: str = "compiling"
    ) -> None:  # fmt: skip
        """Nothing is shown yet.

        Args:
          title: of the picture.
          evaluations: that it takes.
          quiet: nothing is ever shown.
          after: how many such pictures come after it, whose time is part of what is left.
          begin: what is done before the first evaluation.
        """
        super().__init__(title, evaluations, 0, quiet, begin=begin)
        self._scale: Scale | None = None
        self._after = after

    def __call__(self, step: Step) -> None:
        """Shows the latest of the step's records."""
        coarsest, several = step.scales[0], len(step.scales) > 1
        if step.scale != self._scale and (several or self._after):
            self._scale = step.scale
            until = step.scales[: step.scales.index(step.scale) + 1]
            whole = coarsest.evaluations + later(step.scales, coarsest)  # in evaluations at the coarsest
            pixels = [scale.height * scale.width for scale in (coarsest, step.scale)]
            left = later(step.scales, step.scale) + self._after * whole * pixels[0] / pixels[1]
            name = step.scale.name if several else ""
            self.stage(name, sum(scale.evaluations for scale in until), left)
        record = step.records[-1]
        self.show(record.evaluations, f"loss {record.losses.total:.4g}")


class PictureCounter(_Display):
    """Counts pictures; call it with the name of each that is done."""

    def __init__(self, title: str, pictures: int, quiet: bool) -> None:
        super().__init__(title, pictures, 0, quiet, "picture", "")
        self._line_at = time.perf_counter()

    def __call__(self, name: str) -> None:
        """One more is done."""
        self._done += 1
        self.show(self._done, name)


class LanesReporter(_Display):
    """Shows how far lanes are; call it after each chunk."""

    def __init__(self, title: str, engine: Engine, quiet: bool) -> None:
        self._engine = engine
        begin = "" if engine.finished else "compiling"
        super().__init__(title, len(engine.problem) * engine.evaluations, self._evaluations(), quiet, begin=begin)

    def __call__(self) -> None:
        """Shows the engine's present state."""
        engine = self._engine
        losses = [engine.records[n][-1].losses.total for n in engine.schedule.running if engine.records[n]]
        loss = f", loss {np.mean(losses):.4g}" if losses else ""
        self.show(self._evaluations(), f"{len(engine.status)}/{len(engine.problem)} lanes done{loss}")

    def _evaluations(self) -> int:
        """Those used, and those that lanes which are over no longer need."""
        engine = self._engine
        return sum(engine.evaluations if n in engine.status else len(own) for n, own in engine.records.items())


class SharesReporter(_Display):
    """Shows how far a run is whose shares others work on; call it with each state."""

    def __init__(self, title: str, quiet: bool) -> None:
        super().__init__(title, 0, 0, quiet, begin="")

    def __call__(self, state: State) -> None:
        """Shows it."""
        if not self._end and state.total:
            self._total = self._end = state.total
            if self._bar and self._task is not None:
                self._bar.update(self._task, total=state.total)
        if state.evaluations or state.shares:
            self.show(state.evaluations, f"{state.shares}/{state.of} shares done")


def lost(names: Sequence[str]) -> int:
    """Names the pictures that have no finite loss; the exit code that they make."""
    if names:
        print(f"nst-jax: {', '.join(names)}: the loss is not finite; kept the last good picture", file=sys.stderr)
    return FAILED if names else 0


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
