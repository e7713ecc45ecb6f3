"""What picture files say about themselves before anything is decoded: kind, size, animation, scans, colors."""

import re
import struct
import zlib
from functools import partial
from typing import IO

MAX_SCANS = 500  # of a progressive JPEG: real ones have about ten, each costs a pass over all pixels

_KINDS = re.compile(  # what a file starts with
    rb"(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<JPEG>\xff\xd8\xff)|(?P<WEBP>RIFF.{4}WEBP)|"
    rb"(?P<TIFF>II[*+]\0|MM\0[*+]|II\0\*|MM\*\0)|(?P<GIF>GIF8[79]a)|(?P<BMP>BM)|"
    rb"(?P<AVIF>.{4}ftyp(?:avi[fs]|(?:mif1|msf1)(?:.{4})+?avi[fs]))|(?P<HEIF>.{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1))",
    re.DOTALL,
)
_ANIMATION, _COLOR = {b"acTL", b"fcTL", b"fdAT"}, {b"cICP", b"sRGB", b"gAMA", b"cHRM"}
_MARKER = re.compile(rb"\xff([^\0\x01\xd0-\xd7\xff])")  # of a JPEG, but for those inside of a scan
_SCAN, _END = b"\xda", b"\xd9"
_BLOCK = 2**16  # bytes
_MAX_SEGMENTS, _MAX_BOXES = 20_000, 10_000  # real files have hundreds


def kind(file: IO[bytes]) -> str | None:
    """The kind of a picture by what its file starts with, a key of `apart.READERS`."""
    file.seek(0)
    match = _KINDS.match(file.read(64))
    return match and match.lastgroup


def png_chunks(file: IO[bytes]) -> dict[bytes, bytes]:
    """A PNG's chunks about animation and, before the pixels, about color, by name; the first of each.

    Raises:
      ValueError or struct.error: for what decoding would not notice, wrong checksums and a missing end.
    """
    found: dict[bytes, bytes] = {}
    wanted = _ANIMATION | _COLOR
    name, end = b"", 8
    while name != b"IEND":
        file.seek(end)
        length, name = struct.unpack(">I4s", file.read(8))
        if name == b"IDAT":
            wanted = _ANIMATION
        end += 12 + length
        checksum, start = zlib.crc32(name), b""
        while length:
            block = file.read(min(length, 2**20))
            if not block:
                raise ValueError("the end is missing")
            start = start or block[:32]
            checksum, length = zlib.crc32(block, checksum), length - len(block)
        if file.read(4) != checksum.to_bytes(4, "big"):
            raise ValueError(f"wrong checksum of {name!r}")
        if name in wanted:
            found.setdefault(name, start)
    return found


def is_animated_png(chunks: dict[bytes, bytes]) -> bool:
    """Whether the chunks are those of an animation."""
    return not _ANIMATION.isdisjoint(chunks)


def check_scans(file: IO[bytes]) -> None:
    """Raises ValueError for a JPEG whose scans would take too much time. What is behind its end is not looked at."""
    scans = segments = 0
    place = 2
    while scans <= MAX_SCANS and segments <= _MAX_SEGMENTS:
        file.seek(place)
        block = file.read(_BLOCK)
        match = _MARKER.search(block)
        if match is None:
            if len(block) < _BLOCK:
                return
            place += _BLOCK - 1  # whose last byte may be a marker's first
            continue
        if match[1] == _END:
            return
        scans += match[1] == _SCAN
        segments += 1
        file.seek(place + match.end())
        place += match.end() + int.from_bytes(file.read(2), "big")  # over what may look like markers
    raise ValueError(f"too many progressive scans; at most {MAX_SCANS} are allowed")


def webp_size(file: IO[bytes]) -> tuple[int, int]:
    """Width and height of a WebP picture."""
    file.seek(0)
    head = file.read(30)
    numbers = partial(int.from_bytes, byteorder="little")
    if head[12:16] == b"VP8X":
        return numbers(head[24:27]) + 1, numbers(head[27:30]) + 1
    if head[12:16] == b"VP8L":
        bits = numbers(head[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return numbers(head[26:28]) & 0x3FFF, numbers(head[28:30]) & 0x3FFF


def cicp(file: IO[bytes]) -> tuple[int, int] | None:
    """The codes of primaries and transfer, by ITU-T H.273, in an AVIF or HEIF file.

    They are in a "colr" box of type "nclx", found by its place in the tree of boxes; the first is the main picture's.
    """
    place, end = 0, file.seek(0, 2)
    path = [b"meta", b"iprp", b"ipco", b"colr"]
    for _ in range(_MAX_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 16 or place >= end:
            return None
        length, name = struct.unpack(">I4s", head[:8])
        start = 8
        if length == 1:
            (length,), start = struct.unpack(">Q", head[8:]), 16
        if name == path[0] == b"colr" and head[8:12] == b"nclx":
            return struct.unpack(">HH", head[12:])
        if name == path[0] != b"colr":
            path.pop(0)
            end = place + length if length else end
            place += start + (4 if name == b"meta" else 0)
        elif length < start:
            return None
        else:
            place += length
    return None
