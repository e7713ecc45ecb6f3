"""A folder's pictures that cannot be read: refused before anything is computed, or skipped and named at the end."""

import sys
from collections.abc import Sequence
from pathlib import Path

from nst_jax.cli.progress import PictureCounter
from nst_jax.errors import FAILED, InputError, argument, option
from nst_jax.runs.inputs import read_picture
from nst_jax.transfer.settings import Settings


def readable(
    paths: Sequence[Path], settings: Settings, *, skip_bad: bool, quiet: bool
) -> tuple[list[Path], list[InputError]]:
    """Reads pictures, one after the other, since together they may be too large to keep.

    Args:
      paths: the pictures.
      settings: their size, and how large they may be.
      skip_bad: whether there may be bad ones.
      quiet: no progress, which only a terminal shows.

    Returns:
      The good ones, and why the others are refused.

    Raises:
      InputError: there is a bad one that is not to be skipped, or no good one.
    """
    good: list[Path] = []
    refusals: list[InputError] = []
    with PictureCounter("reading", len(paths), quiet or not sys.stderr.isatty()) as report:
        for path in paths:
            try:
                read_picture(path, settings, settings.size)
                good.append(path)
            except InputError as error:
                refusals.append(error)
            report(path.name)
    if refusals and not (skip_bad and good):
        more = f" ({len(refusals)} of {len(paths)} pictures are refused)" if len(refusals) > 1 else ""
        way_on = f"; {argument('skip_bad')} leaves out what is bad" if good else ""
        raise InputError(f"{refusals[0].args[0]}{more}{way_on}") from refusals[0]
    return good, refusals


def skipped(refusals: Sequence[InputError]) -> int:
    """Names the pictures that were left out, a line each on standard error; the exit code that they make."""
    for refusal in refusals:
        print(f"nst-jax: skipped: {' '.join(refusal.message(option).split())}", file=sys.stderr)
    return FAILED if refusals else 0
