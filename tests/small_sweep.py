"""Sweeps that are small enough for tests: few layers, few pixels, few evaluations."""

import copy
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from nst_jax.optim.engine import Engine
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.loop import DEFAULT_OPTIMIZER
from nst_jax.transfer.lanes import Lane, Table
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.settings import Settings

OPTIMIZER = LBFGS(history=4, precondition=DEFAULT_OPTIMIZER.precondition)


def lane(number: int, ratio: float = 1e-2, layers: str = "conv1_1,conv2_1", seed: int = 0, **changes: Any) -> Lane:
    """A lane whose content layer is low in the network; `layers` are those of its style."""
    names = layers.split(",")
    weights = tuple((layer, 1 / len(names)) for layer in names)
    settings: dict[str, Any] = {
        "name": f"lane{number}", "row": "row", "column": str(number), "content": "photo", "style": "painting",
        "alpha": ratio, "beta": 1.0, "content_layers": (("conv2_1", 1.0),), "style_layers": weights, "seed": seed,
    }  # fmt: skip
    return Lane(**settings | changes)


LANES = (
    lane(0),
    lane(1, 1e-1, layers="conv1_1", seed=1),
    lane(2, 1e-3, layers="conv2_1", seed=2),
    lane(3, 1.0, seed=3),
    lane(4, 3e-2, layers="conv1_1", seed=4),
)


def table(lanes: Sequence[Lane], **settings: Any) -> Table:
    """The lanes in one row of a sheet, with settings that they share."""
    return Table(tuple(lanes), ("row",), tuple(lane.column for lane in lanes), "", Settings(**settings))


def problem(params: Any, picture: Any, lanes: Sequence[Lane], **options: Any) -> Problem:
    """Of 32x48 samples; `options` are settings, and those of `Problem`."""
    pictures = {"photo": picture("photograph", 32, 48), "upside": picture("photograph", 32, 48)[::-1]}
    styles = {"painting": picture("painting", 40, 36), "other": picture("photograph", 36, 40)}
    own = {name: options.pop(name) for name in ("own", "start", "prepared", "terms", "strips") if name in options}
    return Problem(
        params, options.pop("contents", pictures), options.pop("styles", styles), table(lanes, **options), **own
    )


def engine(own: Problem, *, evaluations: int, slots: int, optimizer: Any = OPTIMIZER, **options: Any) -> Engine:
    """On one device, unless others are given."""
    return Engine(own, optimizer, evaluations=evaluations, slots=slots, **options)


def finished(engine: Engine) -> dict[int, np.ndarray]:
    """Runs it to its end; the lanes' images."""
    images = {}
    while not engine.finished:
        images |= {done.lane: done.image for done in engine.advance().finished}
    return images


def devices(count: int) -> list[Any]:
    """So many of the simulated ones."""
    return jax.local_devices()[:count]


def losses(engine: Engine) -> dict[int, list[tuple]]:
    """All records, without the time."""
    return {number: [record._replace(seconds=0.0) for record in records] for number, records in engine.records.items()}


def with_lanes(own: Problem, lanes: Sequence[Lane]) -> Problem:
    """The same targets for other lanes."""
    made = copy.copy(own)
    made.lanes = tuple(lanes)
    return made
