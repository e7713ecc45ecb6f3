"""The user's cache folder: fetched weights, compiled programs. No trouble with those ends a run, or clutters it."""

import os
import re
import sys
from glob import escape
from pathlib import Path

NO_CACHE = "there is no home folder; NST_JAX_CACHE may name one"
"""Why there is no cache folder."""
_TROUBLE = re.compile(r"Error (reading|writing) persistent compilation cache entry for '(\w+)': (.*)", re.DOTALL)
_told: set[str] = set()


def programs_directory() -> Path | None:
    """Finds where compiled programs are kept: JAX_COMPILATION_CACHE_DIR, or a folder in the user's cache; or None."""
    if chosen := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(chosen)
    folder = cache_directory()
    return folder and folder / "compiled"


def cache_directory() -> Path | None:
    """Finds the user's cache folder.

    Returns:
      NST_JAX_CACHE, or the folder of the platform's custom; it may not exist yet. None for a user without a home, as in
      containers that run under any number.
    """
    if chosen := os.environ.get("NST_JAX_CACHE"):
        return Path(chosen)
    try:
        if sys.platform == "darwin":
            parent = Path.home() / "Library" / "Caches"
        elif sys.platform == "win32":
            parent = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        else:
            parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return parent / "nst_jax"


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
    used = programs_directory()
    if used is None:
        return None
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
