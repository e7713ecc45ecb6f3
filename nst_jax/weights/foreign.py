"""What holds for files that others wrote, whatever their format: how much may be in them, how their errors are told."""

import os

from nst_jax.errors import InputError

MAX_FILE_BYTES = 1_000_000_000  # the full Keras file with the classifier, the largest worth reading, is 575 MB
_MAX_ENTRIES, _MAX_DEPTH = 400, 4


def check_bytes(path: str | os.PathLike) -> None:
    """Checks a file's size.

    Args:
      path: the file.

    Raises:
      InputError: it is larger than MAX_FILE_BYTES.
    """
    if os.stat(path).st_size > MAX_FILE_BYTES:
        raise InputError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes, which no VGG-19 file is")


def check_entries(path: str | os.PathLike, count: int, depth: int = 1) -> None:
    """Checks how many arrays, and groups of them, a file holds.

    Args:
      path: the file.
      count: of what was found so far.
      depth: of groups in groups.

    Raises:
      InputError: there are more than 400, or more than 4 levels.
    """
    if count > _MAX_ENTRIES or depth > _MAX_DEPTH:
        raise InputError(f"{path}: holds far more than VGG-19's parameters")


def one_line(error: BaseException) -> str:
    """Puts an exception on one line.

    Args:
      error: the exception.

    Returns:
      Its message, or its type when it has none: at most 200 printable characters.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]
