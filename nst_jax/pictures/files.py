"""Files that are there whole or not at all."""

import errno
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nst_jax.errors import InputError, argument

_NOT_OFFERED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # what volumes answer that have no such call
_STEM = 20  # characters of a file's name that go into a temporary one's
_LEFTOVER = re.compile(r"\.(.*)\.[a-z0-9_]{8}\.\w+")  # what `atomic` calls its temporary files


@contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on a clean exit it is flushed to disk and renamed to `path`.

    The temporary name keeps the ending of `path`, since writers choose the format by it. When the body raises, the
    temporary file is removed and `path` is left as it was. An OSError without a file's name, such as that of a full
    disk, is given the name of `path`.
    """
    path = Path(path)
    # Only the start of a long name, since the whole must not grow beyond what a file system takes.
    temporary = path.with_name(f".{path.stem[:_STEM]}.{secrets.token_hex(4)}{path.suffix}")
    temporary.open("xb").close()  # not by tempfile, which makes it private: a user expects what open() gives
    try:
        yield temporary
        with temporary.open("r+b") as file:  # Windows flushes no handle that cannot be written
            _flush(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)
        raise


class Kept(NamedTuple):
    """Where something was written."""

    path: Path
    trouble: str
    """Why it is not where it belongs; "" when it is."""


def kept(path: Path, write: Callable[[Path], None]) -> Kept:
    """Writes what took long to make, so that it is not lost when `path` cannot be written at the end.

    Args:
      path: where it belongs.
      write: writes it to the path that it is given, whole or not at all.

    Returns:
      Where it is: at `path`, under a new name beside it, or under that name in the system's temporary folder.

    Raises:
      OSError: it cannot be written to any of them; the error is that of `path`.
    """
    try:
        write(path)
        return Kept(path, "")
    except OSError as error:
        spare = f"{path.stem[:_STEM]}-{secrets.token_hex(4)}{path.suffix}"
        for place in (path.with_name(spare), Path(tempfile.gettempdir(), spare)):
            with suppress(OSError):
                write(place)
                return Kept(place, error.strerror or str(error))
        raise


def is_leftover(path: Path, stems: Collection[str]) -> bool:
    """Whether `path` is a temporary file of `atomic(folder / (stem + ending))`, for any of the stems."""
    match = _LEFTOVER.fullmatch(path.name)
    return match is not None and match[1] in {stem[:_STEM] for stem in stems}


def remove_leftovers(folder: Path, stems: Collection[str], unless: Collection[str] = ()) -> None:
    """Removes temporary files that killed processes left.

    Args:
      stems: of the files that were to be written. Nobody may be writing them now.
      unless: stems of files that somebody may be writing; what could be theirs stays.
    """
    ours = {stem[:_STEM] for stem in stems} - {stem[:_STEM] for stem in unless}
    for path in folder.iterdir():
        if is_leftover(path, ours):
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable; file systems without directory handles are left to their own devices."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise


def check_writable(path: str | os.PathLike, name: str = argument("output")) -> None:
    """Raises InputError unless a file can be created at `path` (its folder exists and takes new files).

    Args:
      path: the file.
      name: of the argument that holds `path`; messages start with it.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{name} {path}: is a directory; name a file")
        if not path.parent.is_dir():
            raise InputError(f"{name} {path}: there is no folder {path.parent}")
        with suppress(FileNotFoundError):
            path.stat()  # fails for a name that is too long
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"{name} {path}: cannot write there ({error.strerror})") from None


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
