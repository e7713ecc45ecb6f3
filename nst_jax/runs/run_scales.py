"""Sweeps at several scales: the settings of the coarser runs, and starts from a run's pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nst_jax.errors import InputError
from nst_jax.loss.conventions import PAPER
from nst_jax.pictures import images
from nst_jax.transfer import scales
from nst_jax.transfer.assemble import read_picture
from nst_jax.transfer.lanes import Lane, Table
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.settings import Settings


def scales_of(table: Table, settings: Settings) -> tuple[Scale, ...]:
    """The scales of a table's pictures, coarsest first; by default one. Raises InputError as `scales.pyramid` does."""
    height, width = read_picture(Path(table.lanes[0].content), settings, settings.size).shape[:2]
    return scales.pyramid(height, width, settings.steps, settings.scales or 1)


def coarse_settings(settings: Settings, scale: Scale, finest: Scale) -> Settings:
    """Those of a run at a coarser scale that asks for the same look as `settings` at the finest.

    Equation 1 is a sum over positions, of which there are fewer; see `scales.weighted_as`.
    """
    size, whole = (max(one.height, one.width) for one in (scale, finest))
    style_size = settings.style_size and max(images.MIN_SIDE, round(settings.style_size * size / whole))
    ratio_size = (settings.ratio_size or whole) if settings.convention == PAPER else None
    return replace(settings, scales=None, size=size, steps=scale.steps, style_size=style_size, ratio_size=ratio_size)


def pictures_of_run(
    folder: Path, lanes: Sequence[Lane], contents: Mapping[str, np.ndarray], settings: Settings
) -> dict[str, np.ndarray]:
    """Starts from a run folder, by lane: its picture of the lane of that name, brought to the photograph's size.

    What finest detail the picture cannot have comes from the photograph, unless the lane has no part of that.

    Raises:
      InputError: the run has no picture of a lane.
    """
    starts = {}
    for lane in lanes:
        path, photo = folder / "lanes" / f"{lane.name}.png", contents[lane.content]
        if not path.is_file():
            raise InputError(f"--init {folder}: is no run folder with a picture of lane {lane.name}")
        picture = read_picture(path, settings, None)
        starts[lane.name] = scales.enlarged(picture, photo) if lane.alpha else images.resize(picture, *photo.shape[:2])
    return starts
