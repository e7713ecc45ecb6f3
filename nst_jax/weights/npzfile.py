"""Reading .npz files member by member, so that an array's shape is known before any of it is in memory."""

import os
import zipfile
from dataclasses import dataclass
from typing import IO

import numpy as np

from nst_jax.errors import InputError


@dataclass(frozen=True)
class Member:
    """An array that is not read yet."""

    path: str | os.PathLike
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self) -> np.ndarray:
        """The array; InputError when it holds Python objects, ValueError or zipfile.BadZipFile when it is damaged."""
        if self.dtype.hasobject:
            raise InputError(f"{self.path}: {self.name!r} holds Python objects, which are never loaded")
        with zipfile.ZipFile(self.path) as archive, archive.open(self.name) as file:
            shape, fortran, dtype = _header(file)
            size = int(np.prod(shape)) * dtype.itemsize
            data = file.read(size)
        if len(data) != size:
            raise ValueError(f"{self.name!r} ends early")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def members(path: str | os.PathLike) -> dict[str, Member]:
    """The arrays of a .npz by name, unread. Raises ValueError or zipfile.BadZipFile when the file is damaged."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist()[:400]:
            with archive.open(name) as file:
                shape, _, dtype = _header(file)
            found[name.removesuffix(".npy")] = Member(path, name, shape, dtype)
    return found


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    # Version 1 is what NumPy writes for plain arrays; the headers of later ones may be 4 GB long.
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it is not in version 1.0 of the npy format")
    return np.lib.format.read_array_header_1_0(file)
