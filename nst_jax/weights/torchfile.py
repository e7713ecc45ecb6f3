"""Reading tensors out of .pth files without torch and without calling anything that a pickle names.

`torch.save` wraps raw storages and a pickle that says how tensors lie in them: since torch 1.6 in a zip, before that
one after another in one file. The pickle is read by an unpickler that knows only the opcodes a dict of tensors needs
and puts stand-ins of this module for the few names it allows, so a hostile file can at worst be refused.
"""

import io
import os
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from nst_jax.errors import InputError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_PICKLE_BYTES = 1_000_000  # a full VGG-19's is 5 kB
_MAX_PAIRS = 10_000
_MAX_AXES = 8
_STORAGES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "ByteStorage": "|u1", "CharStorage": "|i1",
    "ShortStorage": "<i2", "IntStorage": "<i4", "LongStorage": "<i8", "BoolStorage": "|b1",
}  # fmt: skip
_GLOBALS = {
    "collections OrderedDict", "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter", *(f"torch {name}" for name in _STORAGES),
}  # fmt: skip
_OPCODES = {
    "PROTO", "MARK", "STOP", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "BINUNICODE", "BINSTRING", "SHORT_BINSTRING", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST",
    "APPEND", "APPENDS", "EMPTY_DICT", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "GLOBAL", "BINPERSID",
}  # fmt: skip


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    items: int

    @property
    def bytes(self) -> int:
        return self.items * self.dtype.itemsize


@dataclass(frozen=True)
class Tensor:
    """A tensor that is not read yet; strides and offset count elements, as torch's do."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    fetch: Callable[[_Storage], bytes] | None = None

    @property
    def dtype(self) -> np.dtype:
        """What the storage holds, little-endian."""
        return self.storage.dtype

    def read(self) -> np.ndarray:
        """Reads the tensor's values.

        Returns:
          An array of the tensor's shape and dtype, of its own memory.

        Raises:
          ValueError: the values would lie outside the storage, or the tensor is empty.
          EOFError, KeyError, zipfile.BadZipFile: the file is damaged.
        """
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if self.offset < 0 or min(self.strides, default=0) < 0 or last >= self.storage.items or 0 in self.shape:
            raise ValueError("a tensor lies outside its storage")
        assert self.fetch is not None
        flat = np.frombuffer(self.fetch(self.storage), self.dtype)[self.offset :]
        byte_strides = [step * self.dtype.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat, self.shape, byte_strides).copy()


def tensors(path: str | os.PathLike) -> dict[str, Tensor]:
    """Finds the tensors of a .pth file's dict, which may be inside {"state_dict": ...}.

    Args:
      path: the file, which must stay where it is until the last `Tensor.read`.

    Returns:
      {name: tensor}, unread.

    Raises:
      InputError: the file holds anything but a plain dict of tensors.
      ValueError, EOFError, LookupError, TypeError, AttributeError, pickle.UnpicklingError, zipfile.BadZipFile: it is
        damaged.
    """
    with open(path, "rb") as file:
        opened = _open_zip if zipfile.is_zipfile(file) else _open_legacy
        file.seek(0)
        content, fetch = opened(path, file)
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no dict of tensors")
    return {str(name): replace(item, fetch=fetch) for name, item in content.items() if isinstance(item, Tensor)}


def _open_zip(path: str | os.PathLike, file: BinaryIO) -> tuple[Any, Callable[[_Storage], bytes]]:
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise InputError(f"{path}: a zip without data.pkl, so not from torch.save")
        root = names[0].removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist() and _stored(archive, f"{root}byteorder", 10) != b"little":
            raise InputError(f"{path}: written on a big-endian machine, which is not read")
        content = _Unpickler(path, io.BytesIO(_stored(archive, names[0], _MAX_PICKLE_BYTES))).load()

    def fetch(storage: _Storage) -> bytes:
        with zipfile.ZipFile(path) as archive:
            return _whole(_stored(archive, f"{root}data/{storage.key}", storage.bytes), storage)

    return content, fetch


def _stored(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A member that is not compressed, as torch writes them, so that it cannot be larger than its file."""
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > limit:
        raise ValueError(f"the member {name!r} is compressed or larger than it should be")
    with archive.open(member) as data:
        return data.read(limit)


def _open_legacy(path: str | os.PathLike, file: BinaryIO) -> tuple[Any, Callable[[_Storage], bytes]]:
    head = io.BytesIO(file.read(_MAX_PICKLE_BYTES))
    if _Unpickler(path, head).load() != _LEGACY_MAGIC:
        raise InputError(f"{path}: not a file from torch.save")
    _version, _system = _Unpickler(path, head).load(), _Unpickler(path, head).load()
    unpickler = _Unpickler(path, head)
    content = unpickler.load()
    keys = _Unpickler(path, head).load()
    starts, position = {}, head.tell()
    for key in keys:
        _check_key(key)
        starts[key] = position
        position += 8 + unpickler.storages[key].bytes  # the count of items comes first

    def fetch(storage: _Storage) -> bytes:
        if starts[storage.key] + 8 + storage.bytes > os.stat(path).st_size:
            raise EOFError("the file ends early")
        with open(path, "rb") as data:
            data.seek(starts[storage.key])
            if int.from_bytes(data.read(8), "little") != storage.items:
                raise ValueError("a storage is not of the size its tensor says")
            return _whole(data.read(storage.bytes), storage)

    return content, fetch


def _whole(data: bytes, storage: _Storage) -> bytes:
    if len(data) != storage.bytes:
        raise EOFError("the file ends early")
    return data


def _check_key(key: Any) -> None:
    if not isinstance(key, str | int):  # hashing a nested tuple could take for ever
        raise TypeError("a dict's key is neither text nor a number")


@dataclass(frozen=True)
class _Global:
    """Stands for something that a pickle names. Not callable: what a call of it would make is in `reduce`."""

    name: str


# The interpreter's own unpickler in Python. That in C takes memory by the index of a memo entry (2 GB for the index
# 2^27 in a pickle of 10 bytes), hashes nested tuples as keys of a dict, which takes for ever, and sets attributes.
class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined]
    """Reads one pickle of protocol 2; every opcode that a dict of tensors does not need is refused."""

    stack: list[Any]  # the base class's
    pop_mark: Callable[[], list[Any]]

    def __init__(self, path: str | os.PathLike, file: io.BytesIO):
        super().__init__(file, encoding="latin-1")
        self.storages: dict[str, _Storage] = {}
        self._path = path
        self._pairs = _MAX_PAIRS

    def find_class(self, module: str, name: str) -> _Global:
        if f"{module} {name}" not in _GLOBALS:
            self.refuse(f"asks for {f'{module} {name}'[:80]!r}")
        return _Global(f"{module} {name}")

    def persistent_load(self, pid: Any) -> _Storage:
        tag, kind, key, _location, items = pid[:5]
        if tag != "storage" or not isinstance(key, str) or not isinstance(items, int) or items < 0:
            raise ValueError("a storage is misdescribed")
        self.storages[key] = _Storage(key, np.dtype(_STORAGES[kind.name.removeprefix("torch ")]), items)
        return self.storages[key]

    def refuse(self, what: str) -> None:
        raise InputError(f"{self._path}: {what}; only a plain dict of tensors is read")

    def set_items(self, items: list[Any]) -> None:
        """Puts keys and values, in turn, into the dict on top of the stack."""
        for key, value in zip(items[::2], items[1::2], strict=True):
            _check_key(key)
            self.stack[-1][key] = value

    def reduce(self) -> None:
        """Puts what a call would have made: an ordered dict, or a tensor still to be read."""
        arguments, what = self.stack.pop(), self.stack.pop()
        if what.name == "collections OrderedDict":
            pairs = arguments[0] if arguments else []
            self._pairs -= len(pairs)  # of all calls, since one list can be given to thousands
            if self._pairs < 0:
                raise ValueError("more pairs than any VGG-19 has")
            self.stack.append({})
            self.set_items([item for key, value in pairs for item in (key, value)])
        elif what.name == "torch._utils _rebuild_parameter":
            self.stack.append(arguments[0])
        else:
            storage, offset, shape, strides = arguments[:4]
            if not isinstance(storage, _Storage) or not len(shape) == len(strides) <= _MAX_AXES:
                raise ValueError("a tensor is misdescribed")
            if not all(isinstance(n, int) and 0 <= n < 2**48 for n in (offset, *shape, *strides)):
                raise ValueError("a tensor is misdescribed")
            self.stack.append(Tensor(storage, offset, tuple(shape), tuple(strides)))


def _handler(opcode: pickletools.OpcodeInfo) -> Callable[[Any], None]:
    ours: dict[str, Callable[[_Unpickler], None]] = {
        "SETITEM": lambda self: self.set_items([self.stack.pop(-2), self.stack.pop()]),
        "SETITEMS": lambda self: self.set_items(self.pop_mark()),
        "REDUCE": lambda self: self.reduce(),
        "BUILD": lambda self: self.stack.pop(),  # attributes of the dict, such as _metadata: not tensors
    }
    if opcode.name in _OPCODES:
        return pickle._Unpickler.dispatch[ord(opcode.code)]  # type: ignore[attr-defined]
    return ours.get(opcode.name, lambda self: self.refuse(f"its pickle does {opcode.name}"))


_Unpickler.dispatch = {ord(opcode.code): _handler(opcode) for opcode in pickletools.opcodes}
