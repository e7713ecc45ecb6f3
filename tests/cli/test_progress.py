"""What the user sees of a run."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nst_jax.cli import progress
from nst_jax.cli.progress import LanesReporter, PictureCounter, StepReporter
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.stylizing import Step

SCALES = (Scale(48, 64, 40), Scale(96, 128, 60))
"""The second takes four times as long for an evaluation."""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is set."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def after(evaluations: int, loss: float, scale: Scale = SCALES[0], scales: tuple[Scale, ...] = SCALES[:1]):
    """What `stylize` tells its callback."""
    records = [SimpleNamespace(evaluations=evaluations, losses=SimpleNamespace(total=loss))]
    return Step(records, np.zeros(()), scale, scales, ())  # type: ignore[arg-type]


def test_plain_lines_come_every_few_seconds_and_at_the_end(clock, capsys):
    with StepReporter("a.png", 100, quiet=False) as report:
        for evaluations in range(1, 101):
            report(after(evaluations, 3.0))
            clock.now += 0.5
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert lines[0] == "a.png: compiling"
    assert lines[1] == "a.png: 1/100, loss 3"
    assert lines[2] == "a.png: 11/100, loss 3, 0.50 s/evaluation, 0:44 left"
    assert [line.split()[1] for line in lines[1:]] == [f"{n}/100," for n in (*range(1, 100, 10), 100)]
    assert lines[-1].endswith("0:00 left")


@pytest.mark.parametrize("scales", [SCALES[:1], SCALES])
def test_time_left_is_of_all_pictures(clock, capsys, scales):
    """Three as large come after this one, each of 40 evaluations and, with a finer scale, of 60 that take four times
    as long."""
    with StepReporter("2/5 a.png", 100, quiet=False, after=3, begin="") as report:
        report(after(1, 3.0, scales=scales))
        clock.now += 10
        report(after(11, 3.0, scales=scales))
    lines = capsys.readouterr().err.splitlines()
    own = 29 if len(scales) == 1 else 29 + 240
    left = own + 3 * (40 if len(scales) == 1 else 280)
    shown = "" if len(scales) == 1 else "64x48, "
    assert lines[0] == f"2/5 a.png: 1/100, {shown}loss 3"
    assert lines[-1] == f"2/5 a.png: 11/100, {shown}loss 3, 1.00 s/evaluation, {left // 60}:{left % 60:02} left"


def test_pictures_are_counted(clock, capsys, monkeypatch):
    """With the first line after a few seconds; a name is no markup of rich's."""
    names = [f"[/{n}].png" for n in range(12)]
    with PictureCounter("a.npz", 12, quiet=False) as report:
        for name in names:
            clock.now += 2
            report(name)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "a.npz: 3/12, [/2].png, 2.00 s/picture, 0:18 left"
    assert [line.split()[1] for line in lines] == ["3/12,", "6/12,", "9/12,", "12/12,"]
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    with PictureCounter("a.npz", 1, quiet=False) as report:
        report(names[0])
    assert names[0] in terminal.getvalue()


def test_stages_have_names_and_a_pace_of_their_own(clock, capsys):
    """40 evaluations of 1 s, and 60 of 4 s after them; the first of each compiles."""
    with StepReporter("a.png", 100, quiet=False) as report:
        for scale, evaluations, seconds in zip(SCALES, (range(1, 41), range(41, 101)), (1, 4), strict=True):
            clock.now += 100
            for done in evaluations:
                report(after(done, 2.0, scale, SCALES))
                clock.now += seconds
    lines = capsys.readouterr().err.splitlines()[1:]
    assert lines[:2] == [
        "a.png: 1/100, 64x48, loss 2",
        "a.png: 6/100, 64x48, loss 2, 1.00 s/evaluation, 4:34 left",
    ]
    at = next(n for n, line in enumerate(lines) if "128x96" in line)
    assert lines[at : at + 2] == [
        "a.png: 41/100, 128x96, loss 2",
        "a.png: 43/100, 128x96, loss 2, 4.00 s/evaluation, 3:48 left",
    ]
    assert lines[-1] == "a.png: 100/100, 128x96, loss 2, 4.00 s/evaluation, 0:00 left"


def engine(done: tuple[int, ...] = (), **records: list[float]):
    """What of an engine of three lanes is told: of each lane its losses so far, and which lanes are over."""
    found = {lane: [SimpleNamespace(losses=SimpleNamespace(total=loss)) for loss in records.get(f"lane{lane}", [])]
             for lane in range(3)}  # fmt: skip
    running = [lane for lane in range(3) if found[lane] and lane not in done]
    return SimpleNamespace(
        problem=range(3), evaluations=10, records=found, status=dict.fromkeys(done), finished=len(done) == 3,
        schedule=SimpleNamespace(running=running),
    )  # fmt: skip


def test_lanes_that_are_over_count_as_all_their_evaluations(clock, capsys):
    """And the loss is the mean of those that run."""
    current = engine()
    with LanesReporter("run", current, quiet=False) as report:  # type: ignore[arg-type]
        for seconds, later in (
            (9, engine(lane0=[4.0], lane1=[2.0])),
            (9, engine((0,), lane0=[4.0] * 3, lane1=[2.0, 1.0])),
            (9, engine((0, 1, 2), lane0=[4.0] * 3, lane1=[2.0] * 10, lane2=[1.0] * 10)),
        ):
            vars(current).update(vars(later))
            clock.now += seconds
            report()
    assert capsys.readouterr().err.splitlines() == [
        "run: compiling",
        "run: 2/30, 0/3 lanes done, loss 3",
        "run: 12/30, 1/3 lanes done, loss 1, 0.90 s/evaluation, 0:16 left",
        "run: 30/30, 3/3 lanes done, 0.64 s/evaluation, 0:00 left",
    ]


def test_what_is_over_already_compiles_nothing(clock, capsys):
    with LanesReporter("run", engine((0, 1, 2)), quiet=False):  # type: ignore[arg-type]
        pass
    assert capsys.readouterr() == ("", "")


def test_quiet_is_quiet(clock, capsys):
    with StepReporter("a.png", 2, quiet=True) as report:
        report(after(1, 1.0))
        report(after(2, 1.0))
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(clock, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with StepReporter("[bold]a.png", 10, quiet=False) as report:
        report(after(1, 1.0))
        clock.now += 3
        report(after(4, 0.25))
    shown = terminal.getvalue()
    for text in ("[bold]a.png", "4/10", "loss 0.25", "1.00 s/evaluation", "0:06 left"):
        assert text in shown, text
