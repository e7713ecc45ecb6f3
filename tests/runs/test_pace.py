"""Work that is spread so that it takes little of a run's time."""

import itertools

import pytest

from nst_jax.runs import pace
from nst_jax.runs.pace import Pace


class Clock:
    """Time that passes only when it is told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    own = Clock()
    monkeypatch.setattr(pace, "time", own)
    return own


@pytest.mark.parametrize("cost", [0.01, 1.0, 20.0])
def test_whatever_it_costs_it_takes_a_twentieth_of_the_time(clock, cost):
    own, spent = Pace(), 0.0
    for _ in range(100_000):
        if own.due:
            with own.spent():
                clock.now += cost
            spent += cost
        clock.now += cost / 10
    assert spent / (clock.now - 1000) == pytest.approx(0.05, rel=0.02)


def test_what_costs_nothing_has_a_least_time(clock):
    own, times = Pace(least=2.0), []
    for _ in range(100):
        if own.due:
            times.append(clock.now)
            with own.spent():
                pass
        clock.now += 0.5
    assert times[0] == 1000
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {2.0}


def test_what_fails_is_due_again(clock):
    own = Pace()
    with pytest.raises(OSError, match="full"), own.spent():
        raise OSError("full")
    assert own.due
