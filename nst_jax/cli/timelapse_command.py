"""What `nst-jax timelapse` does."""

import sys
from collections.abc import Sequence
from pathlib import Path

from nst_jax.errors import InputError, argument
from nst_jax.pictures import animation
from nst_jax.runs import timelapse


def run(
    sources: Sequence[Path], output: Path, *, row: str | None, all_rows: bool, seconds: float, hold: float,
    size: int | None, quiet: bool,
) -> int:  # fmt: skip
    """An animation of pictures that are there already; returns the exit code."""
    animation.check_animation(output, seconds=seconds, hold=hold)
    if row is not None and all_rows:
        raise InputError(f"{argument('row')}: not allowed together with {argument('all_rows')}")
    folders = [source for source in sources if source.is_dir()]
    if folders and len(sources) > 1:
        raise InputError(f"{folders[0]}: is a folder; name one run folder, or pictures alone")
    if not folders and (row is not None or all_rows):
        name = argument("row" if row is not None else "all_rows")
        raise InputError(f"{name}: only with a run folder, which has rows")
    if folders:
        found = timelapse.lanes_of(folders[0], row, all_rows=all_rows)
    else:
        found = timelapse.numbered(sources[0]) if len(sources) == 1 else [timelapse.Source(path) for path in sources]
    for source in found:
        if output.exists() and source.path.exists() and output.samefile(source.path):
            raise InputError(f"{argument('output')} {output}: is one of the pictures; name another file")
    if len(found) == 1:
        print(f"nst-jax: note: {found[0].path} is the only picture there, and the only frame", file=sys.stderr)
    animation.write_animation(output, timelapse.frames(found, size), seconds=seconds, hold=hold)
    if not quiet:
        print(f"{output}: {len(found)} frames")
    return 0
