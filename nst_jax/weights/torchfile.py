"""Reading tensors out of .pth files without torch and without loading a pickle.

`torch.save` wraps raw storages and a pickle that says how tensors lie in them: since torch 1.6 in a zip, before that
one after another in one file. The pickle is never given to `pickle`: its opcodes are walked here, the few that a dict
of tensors needs, with nothing callable on the stack, so a hostile file can at worst be refused.
"""

import io
import os
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from nst_jax.errors import InputError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_PICKLE_BYTES = 1_000_000  # a full VGG-19's is 5 kB
_STORAGES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "ByteStorage": "|u1", "CharStorage": "|i1",
    "ShortStorage": "<i2", "IntStorage": "<i4", "LongStorage": "<i8", "BoolStorage": "|b1",
}  # fmt: skip


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    items: int


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
        return self.storage.dtype

    def read(self) -> np.ndarray:
        """The tensor's values; ValueError when they would lie outside its storage."""
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if self.offset < 0 or min(self.strides, default=0) < 0 or last >= self.storage.items or 0 in self.shape:
            raise ValueError("a tensor lies outside its storage")
        assert self.fetch is not None
        flat = np.frombuffer(self.fetch(self.storage), self.dtype)[self.offset :]
        byte_strides = [step * self.dtype.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat, self.shape, byte_strides).copy()


def tensors(path: str | os.PathLike) -> dict[str, Tensor]:
    """The tensors of a .pth file's dict by name, unread; `Tensor.read` reads one while the file stays where it is.

    Raises InputError when the file holds anything but one dict (perhaps inside {"state_dict": ...}) of tensors, and
    ValueError, EOFError, KeyError, IndexError, TypeError or zipfile.BadZipFile when it is damaged.
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
        content = _unpickle(path, io.BytesIO(_stored(archive, names[0], _MAX_PICKLE_BYTES)))

    def fetch(storage: _Storage) -> bytes:
        size = storage.items * storage.dtype.itemsize
        with zipfile.ZipFile(path) as archive:
            return _whole(_stored(archive, f"{root}data/{storage.key}", size), size)

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
    if _unpickle(path, head) != _LEGACY_MAGIC:
        raise InputError(f"{path}: not a file from torch.save")
    _version, _system = _unpickle(path, head), _unpickle(path, head)
    storages: dict[str, _Storage] = {}
    content = _unpickle(path, head, storages)
    starts = {}
    keys = _unpickle(path, head)
    position = head.tell()
    for key in keys:
        starts[key] = position + 8  # after the count of items
        position += 8 + storages[key].items * storages[key].dtype.itemsize

    def fetch(storage: _Storage) -> bytes:
        size = storage.items * storage.dtype.itemsize
        if starts[storage.key] + size > os.stat(path).st_size:
            raise EOFError("the file ends early")
        with open(path, "rb") as data:
            data.seek(starts[storage.key] - 8)
            if int.from_bytes(data.read(8), "little") != storage.items:
                raise ValueError("a storage is not of the size its tensor says")
            return _whole(data.read(size), size)

    return content, fetch


def _whole(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise EOFError("the file ends early")
    return data


_MARK = object()
_PUSH = {"BINUNICODE", "SHORT_BINSTRING", "BINSTRING", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": _MARK}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_GLOBALS = {
    "collections OrderedDict", "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter", *(f"torch {name}" for name in _STORAGES),
}  # fmt: skip


@dataclass(frozen=True)
class _Global:
    name: str


def _unpickle(  # noqa: PLR0912 (a flat table of opcodes reads better than a class of handlers)
    path: str | os.PathLike, data: io.BytesIO, storages: dict[str, _Storage] | None = None
) -> Any:
    """Walks one pickle of protocol 2 in `data`, which is left after its end; `storages` collects those it names."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in _PUSH:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "TUPLE" or name in _TUPLES:
            stack.append(tuple(_pop(stack, _TUPLES.get(name))))
        elif name in ("APPEND", "APPENDS"):
            items = _pop(stack, 1 if name == "APPEND" else None)
            stack[-1].extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = _pop(stack, 2 if name == "SETITEM" else None)
            _set_items(stack[-1], zip(items[::2], items[1::2], strict=True))
        elif name == "GLOBAL":
            if argument not in _GLOBALS:
                raise InputError(f"{path}: asks for {str(argument)[:80]!r}; only a plain dict of tensors is read")
            stack.append(_Global(str(argument)))
        elif name == "BINPERSID":
            storage = _storage(*stack.pop()[:5])
            if storages is not None:
                storages[storage.key] = storage
            stack.append(storage)
        elif name == "REDUCE":
            what, arguments = _pop(stack, 2)
            stack.append(_build(what, arguments))
        elif name == "BUILD":
            stack.pop()  # attributes of the dict, such as _metadata: not tensors
        elif name == "STOP":
            return stack.pop()
        elif name != "PROTO":
            raise InputError(f"{path}: its pickle does {name}; only a plain dict of tensors is read")
    raise ValueError("the pickle has no end")


def _pop(stack: list[Any], count: int | None) -> list[Any]:
    """The topmost `count` items, or those above the topmost mark, which goes too; IndexError when there are fewer."""
    items = []
    while len(items) != count and (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _set_items(target: dict[str | int, Any], items: Any) -> None:
    for key, value in items:
        if not isinstance(key, str | int):  # hashing a nested tuple could take for ever
            raise TypeError("a dict's key is neither text nor a number")
        target[key] = value


def _storage(tag: str, kind: _Global, key: str, _location: str, items: int) -> _Storage:
    if tag != "storage" or not isinstance(key, str) or not isinstance(items, int) or items < 0:
        raise ValueError("a storage is misdescribed")
    return _Storage(key, np.dtype(_STORAGES[kind.name.removeprefix("torch ")]), items)


def _build(what: _Global, arguments: tuple) -> Any:
    """What a call in the pickle would have made: an ordered dict, or a tensor still to be read."""
    if what.name == "collections OrderedDict":
        made: dict[str | int, Any] = {}
        _set_items(made, arguments[0] if arguments else ())
        return made
    if what.name == "torch._utils _rebuild_parameter":
        return arguments[0]
    storage, offset, shape, strides = arguments[:4]
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(isinstance(n, int) and 0 <= n < 2**48 for n in numbers):
        raise ValueError("a tensor is misdescribed")
    return Tensor(storage, offset, tuple(shape), tuple(strides))
