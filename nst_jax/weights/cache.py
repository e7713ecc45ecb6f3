"""The user's cache folder: fetched weights, compiled programs."""

import os
import sys
from pathlib import Path

NO_CACHE = "there is no home folder; NST_JAX_CACHE may name one"
"""Why there is no cache folder."""


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
