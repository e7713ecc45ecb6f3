"""Reading HDF5 files that may be hostile: plain datasets only, and nothing is allocated on a file's word alone."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import h5py
import numpy as np

from nst_jax.errors import InputError

MAX_FILE_BYTES = 1_000_000_000  # the full Keras file with the classifier, the largest worth reading, is 575 MB
_MAX_DEPTH = 4
_MAX_ENTRIES = 400


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[h5py.File]:
    """The file opened for reading; whatever libhdf5 raises on a bad one, then and later, becomes InputError."""
    try:
        if os.stat(path).st_size > MAX_FILE_BYTES:
            raise InputError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes, which no VGG-19 file is")
        # Never locked: the shipped file may sit on a read-only or network file system that has no locks.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # libhdf5's errors come out as OSError, KeyError, RuntimeError, ValueError, TypeError
        raise InputError(f"{path}: cannot be read as HDF5 ({one_line(error)})") from None


def one_line(error: BaseException) -> str:
    """An exception's message (or type, when it has none) on one line of at most 200 printable characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Every dataset by its path without the leading slash; InputError on links out of the tree or a vast tree."""
    found: dict[str, h5py.Dataset] = {}
    entries = 0

    def walk(group: h5py.Group, prefix: str, depth: int) -> None:
        nonlocal entries
        for name in group:
            entries += 1
            path = f"{prefix}{name}"
            if entries > _MAX_ENTRIES or depth > _MAX_DEPTH:
                raise InputError(f"{file.filename}: holds far more than VGG-19's parameters")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError(f"{file.filename}: {path!r} is a link to elsewhere; only plain datasets are read")
            item = group[name]
            if isinstance(item, h5py.Group):
                walk(item, path + "/", depth + 1)
            elif isinstance(item, h5py.Dataset):
                found[path] = item

    walk(file, "", 1)
    return found


def read(dataset: h5py.Dataset, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """The dataset's values, whose shape and dtype the caller has decided.

    Contiguous data, or one chunk compressed with gzip alone, is read; a chunk is inflated here, not by libhdf5, whose
    filter grows its buffer for as long as the stream goes on. Raises InputError for all else.
    """
    where = f"{dataset.file.filename}: {dataset.name!r}"
    if dataset.shape != shape or dataset.dtype != dtype:
        raise InputError(f"{where} is {dataset.dtype} {dataset.shape}, not {np.dtype(dtype)} {shape}")
    layout = dataset.id.get_create_plist()
    if layout.get_external_count() or layout.get_layout() not in (
        h5py.h5d.COMPACT,
        h5py.h5d.CONTIGUOUS,
        h5py.h5d.CHUNKED,
    ):
        raise InputError(f"{where} keeps its data in other files, which are never opened")
    if dataset.id.get_storage_size() > os.stat(dataset.file.filename).st_size:
        raise InputError(f"{where} claims more bytes than its file has")
    if layout.get_layout() != h5py.h5d.CHUNKED:
        return dataset[()]
    if dataset.chunks != shape or [layout.get_filter(n)[0] for n in range(layout.get_nfilters())] != [
        h5py.h5z.FILTER_DEFLATE
    ]:
        raise InputError(f"{where} is chunked or filtered; only contiguous data or one gzip chunk is read")
    unfiltered, raw = dataset.id.read_direct_chunk((0,) * len(shape))
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    data = raw if unfiltered else zlib.decompressobj().decompress(raw, size + 1)
    if len(data) != size:
        raise InputError(f"{where} does not inflate to its size, {size:,} bytes")
    return np.frombuffer(data, dtype).reshape(shape)


def text_attributes(file: h5py.File) -> dict[str, str]:
    """The file's fixed-length text attributes, those this project writes; others are passed over."""
    found = {}
    for name in list(file.attrs)[:100]:
        attribute = file.attrs.get_id(name)
        if attribute.shape == () and attribute.dtype.kind == "S":
            found[name] = np.asarray(file.attrs[name]).item().decode("utf-8", "replace")
    return found


def attribute(file: h5py.File, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """An attribute of the file; InputError when it is absent or of another shape or dtype."""
    if name in file.attrs:
        found = file.attrs.get_id(name)
        if found.shape == shape and found.dtype == dtype:
            return np.asarray(file.attrs[name])
    raise InputError(f"{file.filename}: the attribute {name!r} must be {np.dtype(dtype)} {shape}")
