"""The user's cache of compiled programs, which JAX reads and writes: whether, and where."""

import os
from pathlib import Path

from nst_jax.weights.cache import programs_directory


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
