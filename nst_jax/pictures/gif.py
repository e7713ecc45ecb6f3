"""The frames of GIF animations, composed as browsers do, by GIF89a. Pillow decodes each frame's rectangle alone.

Pillow's own composition is not used: there, a frame that says nothing of its disposal inherits that of the one before,
and what no frame has drawn is not transparent.
"""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import IO, NamedTuple

import numpy as np
from PIL import GifImagePlugin, Image

_RESTORE_NOTHING, _RESTORE_BEFORE = 2, 3  # disposals: the frame's rectangle becomes transparent, or as it was before
_LOOP = b"\x0bNETSCAPE2.0\x03\x01"


class _Block(NamedTuple):
    """An extension or an image: what it starts with, up to the table of colors, and where its data is in the file."""

    head: bytes
    table: bytes
    start: int
    end: int


class _Control(NamedTuple):
    """What is said of the next image."""

    disposal: int = 0
    key: int | None = None
    seconds: float = 0


def screen(file: IO[bytes]) -> tuple[int, int]:
    """Width and height of the frames: of the screen, and of the first image where that is larger."""
    file.seek(6)
    width, height = struct.unpack("<2H", file.read(4))
    image = next((block for block in _blocks(file) if block.head[:1] == b","), None)
    if image is None:
        raise ValueError("there is no frame")
    x, y, across, down = struct.unpack("<4H", image.head[1:9])
    return max(width, x + across), max(height, y + down)


def plays(file: IO[bytes]) -> int:
    """How often the animation is shown; 0 is forever. ValueError when the end of the file is missing."""
    found = 1
    for block in _blocks(file):
        if block.head == b"!\xff":
            file.seek(block.start)
            data = file.read(len(_LOOP) + 2)
            if data.startswith(_LOOP) and len(data) == len(_LOOP) + 2:
                (repeats,) = struct.unpack("<H", data[-2:])
                found = repeats and repeats + 1
    return found


def composed(file: IO[bytes], max_pixels: int) -> Iterator[tuple[Image.Image, float]]:
    """What is seen of each frame, and how many seconds it stays.

    Args:
      file: an open GIF file.
      max_pixels: the most pixels that the part of the screen that a frame changes may have.

    Yields:
      An RGBA picture, good until the next is asked for.

    Raises:
      ValueError: a frame is too large, or anything that Pillow raises on a damaged file.
    """
    width, height = screen(file)
    length = _table_length(_flags(file))
    file.seek(13)
    shared = file.read(length)
    canvas = np.zeros((height, width, 4), np.uint8)
    control = _Control()
    for block in _blocks(file):
        if block.head == b"!\xf9":
            control = _control(file, block)
        if block.head[:1] != b",":
            continue
        x, y, across, down = struct.unpack("<4H", block.head[1:9])
        if across * down > max_pixels:
            raise ValueError(f"it has {across}x{down} pixels; the limit is {max_pixels:,}")
        region = canvas[y : y + down, x : x + across]
        before = region.copy() if control.disposal == _RESTORE_BEFORE else 0
        indices = _indices(file, block)[: region.shape[0], : region.shape[1]]
        drawn = indices != (-1 if control.key is None else control.key)
        region[drawn] = _colors(block.table or shared)[indices[drawn]]
        yield Image.fromarray(canvas), control.seconds
        if control.disposal in (_RESTORE_NOTHING, _RESTORE_BEFORE):
            region[:] = before
        control = _Control()


def _blocks(file: IO[bytes]) -> Iterator[_Block]:
    """All blocks up to the trailer; between them the file may be read anywhere."""
    end = 13 + _table_length(_flags(file))
    while True:
        file.seek(end)
        mark = file.read(1)
        if mark == b";":
            return
        if not mark:
            raise ValueError("the end of the file is missing")
        if mark not in (b",", b"!"):  # decoders skip what is between blocks
            end += 1
            continue
        head, table = mark + file.read(9 if mark == b"," else 1), b""
        if mark == b",":
            table = file.read(_table_length(head[-1]))
        start = file.tell()
        file.seek(start + (mark == b","))  # the bits of a code come before an image's data
        while length := file.read(1):
            if length == b"\0":
                break
            file.seek(length[0], 1)
        end = file.tell()
        yield _Block(head, table, start, end)


def _flags(file: IO[bytes]) -> int:
    file.seek(10)
    return file.read(1)[0]


def _table_length(flags: int) -> int:
    """The bytes of the table of colors that follows a descriptor with such flags."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _control(file: IO[bytes], block: _Block) -> _Control:
    file.seek(block.start + 1)
    flags, hundredths, key = struct.unpack("<BHB", file.read(4))
    return _Control(flags >> 2 & 7, key if flags & 1 else None, hundredths / 100)


def _indices(file: IO[bytes], block: _Block) -> np.ndarray:
    """The numbers of an image's colors, `[height, width] uint8`."""
    file.seek(block.start)
    data = file.read(block.end - block.start)
    head = b",\0\0\0\0" + block.head[5:9] + bytes([block.head[9] & 0x40])  # in the corner, without a table
    alone = b"GIF89a" + block.head[5:9] + b"\0\0\0" + head + data + b";"
    with GifImagePlugin.GifImageFile(BytesIO(alone)) as picture:
        return np.asarray(picture)


def _colors(table: bytes) -> np.ndarray:
    """A table of colors as `[256, 4] uint8`, RGBA; greys where there is none, and black beyond its end."""
    colors = np.full((256, 4), 255, np.uint8)
    given = np.frombuffer(table, np.uint8).reshape(-1, 3)
    colors[:, :3] = 0 if table else np.arange(256, dtype=np.uint8)[:, None]
    colors[: len(given), :3] = given
    return colors
