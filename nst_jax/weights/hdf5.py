"""Reading HDF5 files that may be hostile: plain datasets only, and nothing is allocated on a file's word alone."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import h5py
import numpy as np

from nst_jax.errors import InputError
from nst_jax.weights.foreign import check_bytes, check_entries, one_line


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Opens a file for reading.

    Args:
      path: the HDF5 file, at most 1 GB.

    Yields:
      The open file.

    Raises:
      InputError: the file is too large, or libhdf5 raised anything on it, then or in the body.
    """
    try:
        check_bytes(path)
        # Never locked: the shipped file may sit on a read-only or network file system that has no locks.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # libhdf5's errors come out as OSError, KeyError, RuntimeError, ValueError, TypeError
        raise InputError(f"{path}: cannot be read as HDF5 ({one_line(error)})") from None


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Finds every dataset of a file.

    Args:
      file: the open file.

    Returns:
      {path without the leading slash: dataset}, unread.

    Raises:
      InputError: the file has links out of its tree, more than 400 entries or more than 4 levels.
    """
    found: dict[str, h5py.Dataset] = {}
    entries = 0

    def walk(group: h5py.Group, prefix: str, depth: int) -> None:
        nonlocal entries
        for name in group:
            entries += 1
            path = f"{prefix}{name}"
            check_entries(file.filename, entries, depth)
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
    """Reads a dataset whose shape and dtype the caller has decided.

    Args:
      dataset: one with contiguous data, or one chunk that is compressed with gzip alone.
      shape: what its shape must be.
      dtype: what its dtype must be.

    Returns:
      The values, of that shape and dtype; perhaps not writable.

    Raises:
      InputError: the dataset is anything else, or its data do not have their size.
    """
    return stored(dataset, shape, dtype)()


def stored(dataset: h5py.Dataset, shape: tuple[int, ...], dtype: type[np.generic]) -> Callable[[], np.ndarray]:
    """Takes a dataset's bytes out of its file, without inflating them.

    For one thread at a time: h5py before 3.16 reads chunks without a lock.

    Args:
      dataset: as for `read`.
      shape: what its shape must be.
      dtype: what its dtype must be.

    Returns:
      What gives the values, on any thread and with the file closed, or raises InputError when they do not have their
      size.

    Raises:
      InputError: the dataset is anything else.
    """
    where = f"{dataset.file.filename}: {dataset.name!r}"
    if dataset.shape != shape or dataset.dtype != dtype:
        raise InputError(f"{where} is {dataset.dtype} {dataset.shape}, not {np.dtype(dtype)} {shape}")
    layout = dataset.id.get_create_plist()
    kind = layout.get_layout()
    if layout.get_external_count() or kind not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
        raise InputError(f"{where} keeps its data in other files, which are never opened")
    if dataset.id.get_storage_size() > os.stat(dataset.file.filename).st_size:
        raise InputError(f"{where} claims more bytes than its file has")
    if kind != h5py.h5d.CHUNKED:
        values = dataset[()]
        return lambda: values
    filters = [layout.get_filter(n)[0] for n in range(layout.get_nfilters())]
    if dataset.chunks != shape or filters != [h5py.h5z.FILTER_DEFLATE]:
        raise InputError(f"{where} is chunked or filtered; only contiguous data or one gzip chunk is read")
    unfiltered, raw = dataset.id.read_direct_chunk((0,) * len(shape))
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize

    def inflated() -> np.ndarray:
        # Not by libhdf5, whose filter grows its buffer for as long as the stream goes on.
        data = raw if unfiltered else zlib.decompressobj().decompress(raw, size + 1)
        if len(data) != size:
            raise InputError(f"{where} does not inflate to its size, {size:,} bytes")
        return np.frombuffer(data, dtype).reshape(shape)

    return inflated


def text_attributes(file: h5py.File) -> dict[str, str]:
    """Reads the file's text attributes of fixed length, those that this project writes.

    Args:
      file: the open file.

    Returns:
      {name: text}, of the first 100 attributes.
    """
    found = {}
    for name in list(file.attrs)[:100]:
        attribute = file.attrs.get_id(name)
        if attribute.shape == () and attribute.dtype.kind == "S":
            found[name] = np.asarray(file.attrs[name]).item().decode("utf-8", "replace")
    return found


def attribute(file: h5py.File, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Reads a number or an array among the file's attributes.

    Args:
      file: the open file.
      name: the attribute's.
      shape: what its shape must be.
      dtype: what its dtype must be.

    Returns:
      The attribute, of that shape and dtype.

    Raises:
      InputError: it is absent, or of another shape or dtype.
    """
    if name in file.attrs:
        found = file.attrs.get_id(name)
        if found.shape == shape and found.dtype == dtype:
            return np.asarray(file.attrs[name])
    raise InputError(f"{file.filename}: the attribute {name!r} must be {np.dtype(dtype)} {shape}")


def crc32(arrays: Iterable[np.ndarray]) -> np.uint32:
    """Sums every value up, so that a file that no manifest speaks of still cannot be damaged unnoticed.

    Args:
      arrays: of numbers that float32 can hold, in an order of their own.

    Returns:
      What the attribute `crc32` of a file with these arrays is.
    """
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array, "<f4").data, crc)
    return np.uint32(crc)


def check_crc32(file: h5py.File, arrays: Iterable[np.ndarray]) -> None:
    """Compares what was read with the file's attribute `crc32`.

    Args:
      file: the open file.
      arrays: as they were given to `crc32`.

    Raises:
      InputError: a value has changed, or the attribute is absent.
    """
    if attribute(file, "crc32", (), np.uint32) != crc32(arrays):
        raise InputError(f"{file.filename}: damaged, its values do not add up to its crc32; make it again")
