"""The frames of a timelapse: of numbered pictures, of a run folder's lanes, or of a picture while it is made."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.pictures import images
from nst_jax.runs.contact_sheet import captions
from nst_jax.runs.description import settings_of
from nst_jax.runs.folder import RunFolder
from nst_jax.transfer.lanes import Lane, Table, from_json
from nst_jax.transfer.names import file_name

FRAMES = 40
"""About so many show how a picture is made."""


class Source(NamedTuple):
    """A picture's file that is a frame."""

    path: Path
    caption: str = ""


def numbered(picture: Path) -> list[Source]:
    """Finds what `nst-jax stylize --save-every` wrote beside a picture.

    Args:
      picture: "out.png", whose numbered ones are "out_050.png", "out_100.png" and so on.

    Returns:
      The numbered pictures in order, then the picture itself. Those that a PNG's text says to be of another run are
      left out.

    Raises:
      InputError: there is no such file, or no numbered ones, or their numbers are not equally long, as of several runs.
    """
    if not picture.is_file():
        raise InputError(f"{picture}: there is no such file; name pictures, or a run folder")
    pattern = re.compile(rf"{re.escape(picture.stem)}_([0-9]+){re.escape(picture.suffix)}")
    about = images.read_settings(picture)
    named = [(match[1], path) for path in picture.parent.iterdir() if (match := pattern.fullmatch(path.name))]
    found = sorted((number, path) for number, path in named if images.read_settings(path) == about)
    if not found:
        example = f"{picture.stem}_050{picture.suffix}"
        raise InputError(f"{picture}: no numbered pictures ({example}) beside it; stylize --save-every makes them")
    by_length = {len(number): path.name for number, path in found}
    if len(by_length) > 1:
        names = " and ".join(by_length.values())
        raise InputError(f"{picture}: {names} beside it are of several runs; name the pictures one by one")
    return [*(Source(path) for _, path in found), Source(picture)]


def lanes_of(folder: Path, row: str | None = None, *, all_rows: bool = False) -> list[Source]:
    """Finds the lanes of a run folder that have pictures, along the rows of its contact sheet.

    Args:
      folder: of any state.
      row: a row's heading; by default the first row.
      all_rows: one row after the other.

    Returns:
      The lanes of a row in the order of α/β where that differs, otherwise in that of the sheet's columns, each with the
      headings that tell it apart.

    Raises:
      InputError: it is no run folder, has no such row, or no pictures there.
    """
    run = RunFolder(folder).run()
    table = from_json(run["table"], settings_of(run, folder))
    if row is not None and row not in table.row_headings:
        known = "; ".join(table.row_headings)
        raise InputError(f"{argument('row')}: {row!r} is no row of {folder}; its rows are: {known}")
    rows = table.row_headings if all_rows else [table.row_headings[0] if row is None else row]
    found = [
        Source(folder / "lanes" / file_name(lane.name), _told(lane, table, with_row=len(rows) > 1))
        for heading in rows
        for lane in _along(heading, table)
    ]
    there = [source for source in found if source.path.is_file()]
    if not there:
        raise InputError(f"{folder}: has no pictures yet{'' if all_rows else f' in row {rows[0]!r}'}")
    return there


def _along(row: str, table: Table) -> list[Lane]:
    lanes = [lane for lane in table.lanes if lane.row == row]
    columns = {heading: number for number, heading in enumerate(table.column_headings)}
    ratios = [lane.alpha / lane.beta if lane.beta else np.inf for lane in lanes]
    if len({*ratios}) == len(lanes):
        return [lane for _, lane in sorted(zip(ratios, lanes, strict=True), key=lambda pair: pair[0])]
    return sorted(lanes, key=lambda lane: columns[lane.column])


def _told(lane: Lane, table: Table, *, with_row: bool) -> str:
    column = f"{table.corner} = {lane.column}" if table.corner == "α/β" else lane.column
    return f"{lane.row}, {column}" if with_row else column


def frames(sources: Sequence[Source], size: int | None = None) -> Iterator[np.ndarray]:
    """Reads the frames, one by one.

    Args:
      sources: in order; where they have captions, these stand in a strip below the pictures.
      size: the longest side of the pictures in pixels; None keeps their own.

    Yields:
      [height, width, 3] float32, 0..1, sRGB, all of one size.

    Raises:
      InputError: a picture cannot be read, or has another size than the first.
    """
    first, strips = images.read_image(sources[0].path, size=size), []
    height, width = first.shape[:2]
    if any(source.caption for source in sources):
        strips = captions([source.caption for source in sources], height, width)
    for number, source in enumerate(sources):
        image = images.read_image(source.path, size=size) if number else first
        if image.shape != first.shape:
            own = f"{image.shape[1]}x{image.shape[0]}"
            raise InputError(
                f"{source.path}: {own} pixels, but {sources[0].path} has {width}x{height}; frames must be of one size"
            )
        yield np.concatenate([image, strips[number]]) if strips else image


class Making:
    """The frames of a picture while it is made.

    Attributes:
      every: after so many evaluations there is a frame.
    """

    def __init__(self, evaluations: int, every: int | None = None) -> None:
        """There are none yet.

        Args:
          evaluations: that the picture takes.
          every: frames are after a multiple of so many.
        """
        unit = every or 1
        self.every = max(1, round(evaluations / FRAMES / unit)) * unit
        self._kept: list[Callable[[int, int], np.ndarray]] = []

    def hear(self, image: np.ndarray, done: int) -> None:
        """Keeps the picture so far if a frame is due after `done` evaluations; [height, width, 3], of any scale."""
        if done % self.every == 0:
            levels = images.levels(image)  # a quarter of the memory, and no more than is seen

            def frame(height: int, width: int) -> np.ndarray:
                return images.resize(levels.astype(np.float32) / 255, height, width)

            self._kept.append(frame)

    def frames(self, last: np.ndarray) -> Iterator[np.ndarray]:
        """All that were kept, brought to the size of the last one, [height, width, 3], which ends them."""
        yield from (frame(*last.shape[:2]) for frame in self._kept)
        yield last
