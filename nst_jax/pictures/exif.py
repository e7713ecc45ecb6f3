"""EXIF data: the few entries that say how a picture is meant. (Pillow's own parser warns, which is for all threads.)"""

import re
import struct
from collections.abc import Iterator
from typing import IO

ORIENTATION, TRANSFER_FUNCTION, WHITE_POINT, PRIMARY_CHROMATICITIES = 0x0112, 0x012D, 0x013E, 0x013F
COLOR_SPACE, GAMMA, INTEROPERABILITY = 0xA001, 0xA500, 0x0001

_DIRECTORIES = (  # in each: how many values an entry has (None: any number), and the entry that leads to the next
    ({ORIENTATION: 1, TRANSFER_FUNCTION: None, WHITE_POINT: 2, PRIMARY_CHROMATICITIES: 6}, 0x8769),
    ({COLOR_SPACE: 1, GAMMA: 1}, 0xA005),
    ({INTEROPERABILITY: None}, None),
)
_MOST_VALUES = 3 * 2**16  # of a transfer function for 16 bits
_FARTHEST = 2**50  # bytes into a file; seeking there is no error yet
_KINDS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I"}  # 2: text; 5: fractions, of two numbers each
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def entries(file: IO[bytes]) -> Iterator[tuple[int, tuple[float, ...]]]:
    """The entries of EXIF data, as far as this module has a name for them.

    Args:
      file: the data; or a TIFF file, BigTIFF too, since EXIF data are made like one.

    Yields:
      Tag and values; fractions are divided, text is a number for each byte. What comes before any damage is good.

    Raises:
      ValueError or KeyError: the data are damaged.
    """

    def at(place: int, size: int) -> bytes:
        file.seek(min(place, _FARTHEST))
        block = file.read(size)
        if len(block) < size:
            raise ValueError("cut short")
        return block

    def number(place: int, coding: str) -> int:
        return struct.unpack(order + coding, at(place, struct.calcsize(order + coding)))[0]

    order = {b"II": "<", b"MM": ">"}[at(0, 2)]
    start, short, offset = {42: (4, "H", "I"), 43: (8, "Q", "Q")}[number(2, "H")]
    place: int | None = number(start, offset)
    entry = struct.Struct(f"{order}HH{offset}{struct.calcsize('=' + offset)}s")
    for wanted, following in _DIRECTORIES:
        block = at(place + struct.calcsize("=" + short), entry.size * min(number(place, short), 2**16))
        place = None
        for tag, kind, count, value in entry.iter_unpack(block):
            if tag == following:
                place = struct.unpack_from(order + _KINDS[kind], value)[0]
            elif tag in wanted:
                coding = f"{order}{count * (2 if kind == 5 else 1)}{_KINDS[kind]}"
                if count != (wanted[tag] or count) or count > _MOST_VALUES:
                    raise ValueError(f"{count} values")
                size = struct.calcsize(coding)
                raw = value[:size] if size <= len(value) else at(struct.unpack(order + offset, value)[0], size)
                values = struct.unpack(coding, raw)
                if kind == 5:
                    values = tuple(
                        above / max(below, 1) for above, below in zip(values[::2], values[1::2], strict=True)
                    )
                yield tag, values
        if place is None:
            return


def xmp_orientation(xmp: bytes) -> int:
    """The orientation that XMP data tell of, as EXIF counts them; 1 when they do not."""
    match = _XMP_ORIENTATION.search(xmp)
    return int(match[1]) if match else 1
