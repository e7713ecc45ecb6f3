"""Coarse to fine: the picture at a quarter and at half of its size first, each the start of the next.

An evaluation at half the size costs a quarter. Low frequencies, for which L-BFGS needs most evaluations, are cheap
there, and large strokes, which span many of the network's receptive fields at the full size, span few. What is
minimized at the end is the loss of the full size, so that only the way to it changes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nst_jax.errors import InputError
from nst_jax.loss.conventions import PAPER
from nst_jax.loss.objective import LossWeights
from nst_jax.network.layers import positions_of
from nst_jax.pictures import images

WORTH_IT = 256
"""Pixels of the longest side from which there are several scales by default: with less, compiling them takes longer
than what they save (docs/speed.md)."""
BY_DEFAULT = 3
SHARE = 0.4
"""Of the evaluations, what the coarser scales have."""


class Scale(NamedTuple):
    """One of the sizes at which a picture is made."""

    height: int
    width: int
    steps: int
    """Evaluations."""

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.width}x{self.height}"


def pyramid(height: int, width: int, steps: int, count: int | None = None) -> tuple[Scale, ...]:
    """The scales of a picture, coarsest first; each is half of the next, and the last is the picture's own size.

    Args:
      steps: evaluations at all scales together.
      count: how many scales; None for what pays from white noise: BY_DEFAULT of large pictures, if there is room.

    Raises:
      InputError: the coarsest would have a side of less than `images.MIN_SIDE`, or fewer steps than scales.
    """
    room = 1
    while min(height, width) / 2**room >= images.MIN_SIDE and room < steps:
        room += 1
    if count is None:
        count = min(BY_DEFAULT, room) if max(height, width) >= WORTH_IT else 1
    if count > room:
        raise InputError(
            f"--scales: {count} is not allowed for {width}x{height} pixels and {steps} steps; must be at most {room}"
        )
    coarser = count - 1
    each = max(1, int(SHARE * steps / coarser)) if coarser else 0
    below = [Scale(round(height / 2**n), round(width / 2**n), each) for n in range(coarser, 0, -1)]
    return *below, Scale(height, width, steps - each * coarser)


def later(scales: Sequence[Scale], scale: Scale) -> float:
    """What comes after `scale`, in evaluations that take as long as one of its own, since time grows with pixels."""
    after = scales[scales.index(scale) + 1 :]
    return sum(finer.steps * finer.height * finer.width for finer in after) / (scale.height * scale.width)


def weighted_as(loss_weights: LossWeights, convention: str, scale: Scale, finest: Scale) -> LossWeights:
    """The weights at a scale that ask for the same look as `loss_weights` at the finest.

    Equation 1 is a sum over positions, of which a coarser scale has fewer; equation 4 does not depend on their number.
    Other conventions take means, and their weights are translated for each size.
    """
    if convention != PAPER:
        return loss_weights
    content = {
        layer: weight
        * (positions_of(layer, finest.height, finest.width) / positions_of(layer, scale.height, scale.width))
        for layer, weight in loss_weights.content_layers.items()
    }
    return loss_weights._replace(content_layers=content)


def enlarged(image: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """A start for the next scale: the picture so far, and the finest detail of the photograph, which it cannot have.

    Args:
      image: [height', width', 3], at the coarser scale.
      photo: [height, width, 3], the photograph at the next one.
    """
    coarse, fine = image.shape[:2], photo.shape[:2]
    return images.resize(image, *fine) + photo - images.resize(images.resize(photo, *coarse), *fine)


def reduced(painting: np.ndarray, scale: Scale, finest: Scale) -> np.ndarray:
    """A painting [h, w, 3] as large, beside a picture at this scale, as it is beside the finest one."""
    share = scale.height / finest.height
    sides = (max(images.MIN_SIDE, round(side * share)) for side in painting.shape[:2])
    return images.resize(painting, *sides)
