"""Reading MATLAB level 5 MAT-files (`save -v6` and `-v7`, scipy's savemat), as far as MatConvNet models need them.

Structs, cells, text and real numeric arrays; everything else, and any array larger than the caller wants, is stepped
over. Sizes in the file are believed only after as many bytes have been seen, and compressed variables are inflated
piece by piece, so memory stays near what is returned. The format is MathWorks' "MAT-File Format", chapter 1.
"""

import math
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from nst_jax.errors import InputError

_TYPES = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _TEXT = 1, 2, 4
_PIECE = 1 << 16
_MAX_BYTES = 1_000_000_000  # of content, after inflating; the full MatConvNet model has 575 MB
_MAX_KEPT_BYTES = 200_000_000
_MAX_ITEMS = 20_000
_MAX_DEPTH = 8


@dataclass(frozen=True)
class Skipped:
    """An item that was not read: a large array (with its shape) or something of an unread kind."""

    shape: tuple[int, ...]


def variables(path: str | os.PathLike, max_array_bytes: int) -> dict[str, Any]:
    """The file's variables: struct -> dict (1x1) or list of dicts, cell -> list, text -> str, numbers -> array.

    Cells and struct arrays are listed column by column. Arrays above `max_array_bytes` become Skipped. Raises
    InputError when the file is of another kind or too large, ValueError, EOFError or zlib.error when it is damaged.
    """
    found: dict[str, Any] = {}
    with open(path, "rb") as file:
        header = file.read(128)
        if header[124:128] != b"\x00\x01IM":
            raise InputError(f"{path}: not a little-endian MATLAB 5 file (for -v7.3, save it again with -v7)")
        reader = _Reader(max_array_bytes)
        while tag := file.read(8):
            kind, size = (int.from_bytes(tag[at : at + 4], "little") for at in (0, 4))
            start = file.tell()
            if start + size > os.fstat(file.fileno()).st_size:
                raise EOFError("the file ends early")
            if kind == _COMPRESSED:
                reader.stream = _Stream(_inflated(file, size))
                kind, inner = reader.header()
            else:
                reader.stream, inner = _Stream(_pieces(file, size)), size
            if kind == _MATRIX:
                name, value = reader.matrix(inner, 0)
                found[name] = value
            file.seek(start + size)
    return found


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def _inflated(file: BinaryIO, size: int) -> Iterator[bytes]:
    inflate = zlib.decompressobj()
    for piece in _pieces(file, size):
        rest = piece
        while rest:
            yield inflate.decompress(rest, _PIECE)
            rest = inflate.unconsumed_tail
    yield inflate.flush(_PIECE)


class _Stream:
    """Bytes in order; `position` counts those taken."""

    def __init__(self, pieces: Iterator[bytes]):
        self._pieces = pieces
        self._buffer = b""
        self.position = 0

    def take(self, size: int, keep: bool = True) -> bytes:
        """The next `size` bytes (nothing when they are not to be kept); EOFError when there are fewer."""
        kept = []
        self.position += size
        if self.position > _MAX_BYTES:
            raise ValueError("it inflates to more than any VGG-19 has")
        while size > 0:
            if not self._buffer:
                self._buffer = next(self._pieces, None)  # type: ignore[assignment]
                if self._buffer is None:
                    raise EOFError("the file ends early")
            if keep:
                kept.append(self._buffer[:size])
            size, self._buffer = size - len(self._buffer[:size]), self._buffer[size:]
        return b"".join(kept)


class _Reader:
    """Walks elements of one stream after another, with one allowance of items and bytes for the whole file."""

    def __init__(self, max_array_bytes: int):
        self.stream = _Stream(iter(()))
        self._max_array_bytes = max_array_bytes
        self._items = 0
        self._kept = 0

    def header(self) -> tuple[int, int]:
        return self._number(), self._number()

    def matrix(self, size: int, depth: int) -> tuple[str, Any]:
        """The name and value of a matrix element of `size` bytes, which is left behind."""
        self._items += 1
        if depth > _MAX_DEPTH or self._items > _MAX_ITEMS:
            raise ValueError("nested deeper or in more pieces than any VGG-19")
        end = self.stream.position + size
        if size == 0:  # MATLAB's empty []
            return "", Skipped((0,))
        kind = self._element()[0] & 0xFF
        shape = tuple(int(n) for n in np.frombuffer(self._element_bytes(), "<i4"))
        if min(shape, default=-1) < 0 or len(shape) > 8:
            raise ValueError("a matrix is misdescribed")
        name = self._element_bytes().decode("ascii", "replace")
        value = self._value(kind, shape, end, depth)
        if self.stream.position > end:
            raise ValueError("an element is larger than the one around it")
        self.stream.take(end - self.stream.position, keep=False)
        return name, value

    def _value(self, kind: int, shape: tuple[int, ...], end: int, depth: int) -> Any:
        count = math.prod(shape)
        if kind == _CELL:
            return [self._child(depth) for _ in range(self._allowed(count))]
        if kind == _STRUCT:
            width = int.from_bytes(self._element_bytes()[:4], "little")
            raw = self._element_bytes()
            if width == 0:
                raise ValueError("a struct's field names have no length")
            fields = [
                raw[at : at + width].split(b"\0")[0].decode("ascii", "replace") for at in range(0, len(raw), width)
            ]
            made = [{field: self._child(depth) for field in fields} for _ in range(self._allowed(count))]
            return made[0] if count == 1 else made
        if kind not in _CLASSES and kind != _TEXT:
            return Skipped(shape)
        kind_of_data, size, padded = self._tag()
        if kind == _TEXT:
            text = self.stream.take(size, keep=size < _PIECE)
            return text.replace(b"\0", b"").decode("ascii", "replace")
        item = np.dtype(_CLASSES[kind]).itemsize
        if count * item > self._max_array_bytes or size > count * item or kind_of_data not in _TYPES:
            return Skipped(shape)
        self._kept += count * item
        if self._kept > _MAX_KEPT_BYTES:
            raise ValueError("it holds more numbers than any VGG-19")
        data = np.frombuffer(self.stream.take(size), _TYPES[kind_of_data])
        self.stream.take(padded - size, keep=False)
        return data.astype(_CLASSES[kind]).reshape(shape, order="F")

    def _child(self, depth: int) -> Any:
        kind, size = self.header()
        if kind != _MATRIX:
            raise ValueError("a cell or field is not a matrix")
        return self.matrix(size, depth + 1)[1]

    def _allowed(self, count: int) -> int:
        """`count`, taken from the allowance before any list of that length is made."""
        self._items += count
        if self._items > _MAX_ITEMS:
            raise ValueError("more cells than any VGG-19 has")
        return count

    def _number(self) -> int:
        return int.from_bytes(self.stream.take(4), "little")

    def _tag(self) -> tuple[int, int, int]:
        """Type, size and padded size of a data element; a small one holds its up to 4 bytes in its own tag."""
        first = self._number()
        if first >> 16:
            if first >> 16 > 4:
                raise ValueError("a small element is larger than 4 bytes")
            return first & 0xFFFF, first >> 16, 4
        size = self._number()
        return first, size, size + -size % 8

    def _element_bytes(self) -> bytes:
        """The bytes of a short data element: dimensions, names."""
        _, size, padded = self._tag()
        if padded > _PIECE:
            raise ValueError("a description is far too long")
        return self.stream.take(padded)[:size]

    def _element(self) -> bytes:
        data = self._element_bytes()
        if not data:
            raise ValueError("a matrix has no flags")
        return data
