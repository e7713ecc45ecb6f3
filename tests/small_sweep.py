"""Sweeps that are small enough for tests: few layers, few pixels, few evaluations."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.minimize import DEFAULT_OPTIMIZER
from nst_jax.transfer.lanes import Lane
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.sweep import Sweep

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


def problem(params: Any, picture: Any, lanes: Sequence[Lane], **options: Any) -> Problem:
    """Of 32x48 samples."""
    pictures = {"photo": picture("photograph", 32, 48), "upside": picture("photograph", 32, 48)[::-1]}
    styles = {"painting": picture("painting", 40, 36), "other": picture("photograph", 36, 40)}
    return Problem(params, options.pop("contents", pictures), styles, lanes, **options)


def finished(sweep: Sweep) -> dict[int, np.ndarray]:
    """Runs it to its end; the lanes' images."""
    images = {}
    while not sweep.finished:
        images |= {done.lane: done.image for done in sweep.advance().finished}
    return images


def devices(count: int) -> list[Any]:
    """So many of the simulated ones."""
    return jax.local_devices()[:count]


def losses(sweep: Sweep) -> dict[int, list[tuple]]:
    """All records, without the time."""
    return {number: [record._replace(seconds=0.0) for record in records] for number, records in sweep.records.items()}
