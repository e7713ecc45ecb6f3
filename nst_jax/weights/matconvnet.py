"""Reading a MatConvNet model's variables from a MATLAB 5 MAT-file (`save -v6`, `-v7`), which may be hostile.

`scipy.io.loadmat` does the reading, but only of bytes that have been walked here first. By itself it crashes: it looks
a number's type up in a table without a limit, recurses in C for as long as cells nest, and makes as many blanks as an
empty text claims. The format is MathWorks' "MAT-File Format", chapter 1.
"""

import io
import math
import os
import struct
import zlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from nst_jax.errors import InputError
from nst_jax.weights.foreign import MAX_FILE_BYTES

_HEADER = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + b"\x00\x01IM"
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # of numbers as they are stored
_CLASS_SIZES = {6: 8, 7: 4, 8: 1, 9: 1, 10: 2, 11: 2, 12: 4, 13: 4, 14: 8, 15: 8}  # and as they are meant
_INT8, _INT32, _UINT32, _UTF8, _MATRIX, _COMPRESSED = 1, 5, 6, 16, 14, 15
_TEXT_TYPES = (1, 2, 4, 16, 17)
_CELL, _STRUCT, _TEXT, _OPAQUE = 1, 2, 4, 17
_COMPLEX = 8  # among a matrix's flags
_MAX_BYTES = MAX_FILE_BYTES  # of all variables inflated, and of one's numbers; the whole VGG-19 has 575 MB
_MAX_TEXT = 1_000_000
_MAX_ITEMS = 20_000
_MAX_DEPTH = 8


def variables(path: str | os.PathLike, names: Collection[str]) -> dict[str, Any]:
    """Reads those variables of `names` that the file has.

    All of a variable is in memory, up to three times for a moment: about 2 GB for a model with its classifier, whose
    fc6 alone has 400 MB.

    Args:
      path: the MAT-file.
      names: variables to read; others are passed over.

    Returns:
      {name: value} as loadmat has them, none with fewer than two axes: a struct as a structured array, a cell as an
      object array, a text as a str array, numbers as an array of the dtype they had in MATLAB.

    Raises:
      InputError: the file is not a little-endian MATLAB 5 one, or a variable holds what is never read.
      ValueError, EOFError, KeyError, TypeError, struct.error, zlib.error: it is damaged, or larger than any VGG-19.
    """
    from scipy.io import loadmat  # noqa: PLC0415 (a third of a second, which other formats need not wait for)

    checked = {}
    for data in _matrices(path):
        name = _Walk(path, data).head()[3]
        if name in names:
            walk = _Walk(path, data)
            walk.matrix()
            checked[name] = struct.pack("<II", _MATRIX, walk.at - 8) + data[8 : walk.at]
    # Never the file itself: loadmat is to see the very bytes that were checked.
    return loadmat(io.BytesIO(b"".join([_HEADER, *checked.values()])), mat_dtype=True)


def _matrices(path: str | os.PathLike) -> Iterator[bytes]:
    """The file's top elements one by one, inflated."""
    left = _MAX_BYTES
    with open(path, "rb") as file:
        if file.read(128)[124:] != _HEADER[124:]:
            raise InputError(f"{path}: not a little-endian MATLAB 5 file (for -v7.3, save it again with -v7)")
        while tag := file.read(8):
            kind, size = struct.unpack("<II", tag)
            if size > os.fstat(file.fileno()).st_size - file.tell():
                raise EOFError("the file ends early")
            data = tag + file.read(size)
            if kind == _COMPRESSED:
                inflate = zlib.decompressobj()
                data = inflate.decompress(memoryview(data)[8:], left + 1)  # a limit of 0 would be none
                if not inflate.eof and len(data) <= left:
                    raise EOFError("a compressed variable ends early")
            left -= len(data)
            if left < 0:
                raise ValueError("it inflates to more than any VGG-19 has")
            yield data


class _Walk:
    """Steps over a variable's elements in the order in which loadmat reads them, raising where it could go astray."""

    def __init__(self, path: str | os.PathLike, data: bytes):
        self.at = 0  # bytes that have been stepped over
        self._path, self._data = path, data
        self._items, self._text, self._bytes = _MAX_ITEMS, _MAX_TEXT, _MAX_BYTES

    def matrix(self, depth: int = 0) -> None:
        """Steps over one matrix and what is in it."""
        if depth and self._data[self.at : self.at + 8] == struct.pack("<II", _MATRIX, 0):
            self.at += 8  # MATLAB's empty []
            return
        kind, flags, count, _ = self.head()
        if kind == _CELL:
            self._children(count, depth)
        elif kind == _STRUCT:
            width = int.from_bytes(self._element((_INT32,), 4, 4), "little")
            names = len(self._element((_INT8, _UTF8), 0, 64 * 200))
            if not 1 <= width <= 64 or names % width:
                raise ValueError("a struct's fields are misdescribed")
            self._children(count * (names // width), depth)
        elif kind == _TEXT:
            size = len(self._element(_TEXT_TYPES, count, self._text))
            self._text -= size
        elif kind in _CLASS_SIZES and not flags & _COMPLEX:
            self._bytes -= count * _CLASS_SIZES[kind]
            start = self.at
            stored = struct.unpack_from("<I", self._data, start)[0] & 0xFFFF
            size = count * _TYPE_SIZES[stored]
            self._element((stored,), size, size)
        else:
            raise InputError(f"{self._path}: holds a MATLAB object, function, sparse or complex matrix; none is read")
        if self._bytes < 0:
            raise ValueError("more numbers than any VGG-19 has")

    def head(self) -> tuple[int, int, int, str]:
        """Steps over a matrix's description: its class, flags, number of items and name."""
        if struct.unpack_from("<I", self._data, self.at)[0] != _MATRIX:
            raise ValueError("a variable, cell or field is not a matrix")
        self.at += 8
        flags = self._element((_UINT32,), 8, 8)
        shape = [0]  # an object of a class of its own has none
        if flags[0] != _OPAQUE:
            shape = np.frombuffer(self._element((_INT32,), 8, 32), "<i4").tolist()
        if min(shape) < 0:
            raise ValueError("a matrix is misdescribed")
        name = self._element((_INT8, _UTF8), 0, 64)
        return flags[0], flags[1], math.prod(shape), name.decode("latin-1")

    def _children(self, count: int, depth: int) -> None:
        self._items -= count
        if self._items < 0 or depth >= _MAX_DEPTH:
            raise ValueError("nested deeper or in more pieces than any VGG-19")
        for _ in range(count):
            self.matrix(depth + 1)

    def _element(self, kinds: Collection[int], least: int, most: int) -> bytes:
        """Steps over one data element of an allowed type and size; a small one has its data in its own tag."""
        kind, size = struct.unpack_from("<II", self._data, self.at)
        start, end = self.at + 8, self.at + 8 + size + -size % 8
        if small := kind >> 16:
            kind, size, start, end = kind & 0xFFFF, small, self.at + 4, self.at + 8
        if kind not in kinds or not least <= size <= most or end > len(self._data) or small > 4:
            raise ValueError("an element is cut off, or not of the type and size it must have")
        self.at = end
        return self._data[start : start + size] if size <= _MAX_TEXT else b""
