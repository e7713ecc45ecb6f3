"""Locks of folders that one process at a time may work on."""

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from nst_jax.errors import InputError

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}  # as Lustre and NFS may answer


@contextmanager
def lock(path: Path, folder: Path, *, wait: bool) -> Iterator[None]:
    """Holds a lock until the end of the context or of the process; where there are no locks, that is told.

    Args:
      path: the lock's file, which stays.
      folder: what it is of, for messages.
      wait: until another process lets it go.

    Raises:
      InputError: another process holds it, and it is not waited for.
      OSError: the file cannot be made.
    """
    try:
        import fcntl  # noqa: PLC0415 (not on Windows, where runs go unlocked)
    except ImportError:
        yield
        return
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InputError(f"{folder}: another process is working on it") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                error.filename = str(path)
                raise
            _tell_of_no_locks(folder, error.strerror)
        yield


@cache
def _tell_of_no_locks(folder: Path, reason: str) -> None:
    """Once for each folder; warnings by themselves may come again."""
    told = f"{folder}: its file system has no locks ({reason}); see that no other process works on it"
    warnings.warn(told, stacklevel=2)
