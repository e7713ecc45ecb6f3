"""Coarse to fine: the picture at a quarter and at half of its size first, each the start of the next.

An evaluation at half the size costs a quarter. Low frequencies, for which L-BFGS needs most evaluations, are cheap
there, and large strokes, which span many of the network's receptive fields at the full size, span few. What is
minimized at the end is the loss of the full size, so that only the way to it changes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.loss.conventions import PAPER
from nst_jax.pictures import images
from nst_jax.transfer.lanes import Lane, Table
from nst_jax.transfer.settings import Settings

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
    evaluations: int

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.width}x{self.height}"


def pyramid(height: int, width: int, evaluations: int, count: int | None = None) -> tuple[Scale, ...]:
    """Lists the scales of a picture, coarsest first; each is half of the next, and the last is the picture's own size.

    Args:
      height: in pixels.
      width: in pixels.
      evaluations: at all scales together.
      count: how many scales; None for what pays from white noise: BY_DEFAULT of large pictures, if there is room.

    Returns:
      The scales, with their evaluations.

    Raises:
      InputError: the coarsest would have a side of less than `images.MIN_SIDE`, or fewer evaluations than scales.
    """
    room = 1
    while min(height, width) / 2**room >= images.MIN_SIDE and room < evaluations:
        room += 1
    if count is None:
        count = min(BY_DEFAULT, room) if max(height, width) >= WORTH_IT else 1
    if count > room:
        raise InputError(
            f"{argument('scales')}: {count} is not allowed for {width}x{height} pixels and {evaluations} evaluations; "
            f"must be at most {room}"
        )
    coarser = count - 1
    each = max(1, int(SHARE * evaluations / coarser)) if coarser else 0
    below = [Scale(round(height / 2**n), round(width / 2**n), each) for n in range(coarser, 0, -1)]
    return *below, Scale(height, width, evaluations - each * coarser)


def later(scales: Sequence[Scale], scale: Scale) -> float:
    """Counts what comes after `scale`, in evaluations that take as long as one of its own: time grows with pixels.

    Args:
      scales: all, coarsest first.
      scale: one of them.

    Returns:
      Evaluations at its size.
    """
    after = scales[scales.index(scale) + 1 :]
    return sum(finer.evaluations * finer.height * finer.width for finer in after) / (scale.height * scale.width)


def settings_at(scale: Scale, finest: Scale, settings: Settings) -> Settings:
    """Makes the settings of a scale, which ask for the same look there as `settings` do at the finest.

    Equation 1 is a sum over positions, of which a coarser scale has fewer, and equation 4 is not: so the ratio is said
    to be given for the finest scale. Other conventions take means, and their weights are translated for each size.

    Args:
      scale: the scale.
      finest: the picture's own size.
      settings: for that size.

    Returns:
      The settings, of one scale.
    """
    size, whole = (max(one.height, one.width) for one in (scale, finest))
    style_size = settings.style_size and max(images.MIN_SIDE, round(settings.style_size * size / whole))
    ratio_size = (settings.ratio_size or whole) if settings.convention == PAPER else None
    return replace(
        settings, scales=None, size=size, evaluations=scale.evaluations, style_size=style_size, ratio_size=ratio_size
    )


def table_at(scale: Scale, finest: Scale, table: Table) -> Table:
    """Makes the table of a scale: with its settings, and with lanes whose own `style_size` is of that scale.

    Args:
      scale: the scale.
      finest: the picture's own size.
      table: for that size.

    Returns:
      The table.
    """

    def of_lane(lane: Lane) -> Lane:
        if not lane.own:
            return lane
        at_scale = settings_at(scale, finest, lane.within(table.settings)).style_size
        return replace(lane, own=tuple((name, at_scale if name == "style_size" else value) for name, value in lane.own))

    settings = settings_at(scale, finest, table.settings)
    return table._replace(lanes=tuple(map(of_lane, table.lanes)), settings=settings)


def enlarged(image: np.ndarray, photo: np.ndarray, detailed: bool = True) -> np.ndarray:
    """Makes a start for the next scale: the picture so far, and the photograph's finest detail, which it cannot have.

    Args:
      image: [height', width', 3] float32, at the coarser scale.
      photo: [height, width, 3] float32, the photograph at the next one.
      detailed: whether the detail is wanted; not for a lane that has no part of the photograph.

    Returns:
      [height, width, 3] float32; with detail, not clipped to 0..1.
    """
    coarse, fine = image.shape[:2], photo.shape[:2]
    if not detailed:
        return images.resize(image, *fine)
    return images.resize(image, *fine) + photo - images.resize(images.resize(photo, *coarse), *fine)


def reduced(painting: np.ndarray, scale: Scale, finest: Scale) -> np.ndarray:
    """Makes a painting as large, beside a picture at this scale, as it is beside the finest one.

    Args:
      painting: [h, w, 3] float32, 0..1.
      scale: the scale.
      finest: the picture's own size.

    Returns:
      [h', w', 3] float32, 0..1; each side at least `images.MIN_SIDE` pixels.
    """
    share = scale.height / finest.height
    sides = (max(images.MIN_SIDE, round(side * share)) for side in painting.shape[:2])
    return images.resize(painting, *sides)
