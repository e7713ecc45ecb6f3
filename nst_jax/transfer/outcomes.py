"""Sweeps from Python: lanes in, arrays out, nothing written. README.md shows its use."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nst_jax.optim import minimize
from nst_jax.optim.minimize import Optimizer
from nst_jax.transfer import plan
from nst_jax.transfer.lanes import Lane
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.sweep import Record, Sweep


class Outcome(NamedTuple):
    """A lane with what came of it."""

    lane: Lane
    image: np.ndarray
    """[height, width, 3] float32, not clipped to 0..1."""
    record: Record
    """Of that image."""
    history: list[Record]
    """One for each evaluation; the last is `record`."""
    status: int
    """lbfgs.RUNNING (all its evaluations used), CONVERGED or NOT_FINITE."""


def outcomes(
    problem: Problem,
    lanes: Sequence[Lane],
    *,
    steps: int = 300,
    batch: int | None = None,
    optimizer: Optimizer = minimize.DEFAULT_OPTIMIZER,
    tolerance: float = 0.0,
) -> Iterator[Outcome]:
    """Runs lanes, for use from Python: yields each as it is done and writes nothing.

    Args:
      batch: lanes at once, a multiple of the number of devices; None for as many as fit (see `plan.choose`).
      The others are those of `Sweep`.
    """

    def make(slots: int, strips: tuple[int, ...] = ()) -> Sweep:
        return Sweep(problem, lanes, steps=steps, batch=slots, optimizer=optimizer, strips=strips, tolerance=tolerance)

    current = make(batch) if batch else plan.choose(make, len(lanes))[1]
    while not current.finished:
        for finished in current.advance().finished:
            history = current.records[finished.lane]
            yield Outcome(lanes[finished.lane], finished.image, history[-1], history, finished.status)
