"""The user's cache of compiled programs, which JAX reads and writes. No trouble with it ends a run, or clutters it."""

import os
import re
from glob import escape
from pathlib import Path

from nst_jax.weights.cache import programs_directory

_TROUBLE = re.compile(r"Error (reading|writing) persistent compilation cache entry for '(\w+)': (.*)", re.DOTALL)
_told: set[str] = set()


def use(kept: bool) -> Path | None:
    """Lets JAX, which is yet to be imported, take programs from the cache and put them there; or keeps it from both.

    The environment decides, where it already says which folder (JAX_COMPILATION_CACHE_DIR) or how long a program must
    have taken to compile (here the shortest count, since a start has dozens of them).

    Returns:
      The folder; None where programs are not kept, or where it cannot be known.
    """
    if not kept:
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
        return None
    folder = programs_directory()
    if folder is None:
        return None
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    return folder


def kept() -> bool:
    """Whether this process uses it."""
    return os.environ.get("JAX_ENABLE_COMPILATION_CACHE") != "false"


def heal(warning: str) -> str | None:
    """Takes JAX's warnings about the cache: removes entries that it could not read, which it would never replace.

    Args:
      warning: any warning's text.

    Returns:
      What is left to tell the user: another warning itself, one line for the first entry that could not be written.
    """
    match = _TROUBLE.fullmatch(warning)
    if match is None:
        return warning
    used = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR", ""))
    try:
        if match[1] == "reading":
            for entry in used.glob(f"{escape(match[2])}-*-cache"):
                entry.unlink()
            return None
    except OSError:
        return None
    text = f"compiled programs cannot be kept in {used}; the next start will be as slow ({match[3]})"
    first = not _told
    _told.add(text)
    return text if first else None
