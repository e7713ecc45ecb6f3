"""Presence asked for and had, and what the search for its α/β cost, as a table.

    python scripts/presence.py --sizes 192 256 --evaluations 150 --asked 0.4 0.6 0.8 --pairs 0 1 2 3 4 5

The pairs are both shipped photographs with each of the three shipped paintings. Each row is a picture: its presence,
measured as `stylize` tells it, and the seconds of one search for all that were asked, and of the run itself. The first
rows of a size hold the time of compiling.
"""

import argparse
import itertools
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarking import shown, spread, written

from nst_jax.pictures import images
from nst_jax.transfer.figures import PAINTINGS, PHOTOGRAPH, SAMPLES
from nst_jax.transfer.presence import WITHIN, ratios_for
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.stylizing import stylize
from nst_jax.weights import weights

PAIRS = tuple(itertools.product((PHOTOGRAPH, SAMPLES / "rocamadour.jpg"), PAINTINGS))


def main() -> int:
    """Makes the pictures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[192, 256], help="longest sides (default: 192 256)")
    parser.add_argument("--evaluations", type=int, default=150, help="of each picture (default: 150)")
    parser.add_argument("--asked", type=float, nargs="+", default=[0.6], help="presences (default: 0.6)")
    parser.add_argument("--pairs", type=int, nargs="+", default=[*range(len(PAIRS))], help="which (default: all six)")
    parser.add_argument("-o", "--output", type=Path, help="a file for the rows, as JSON")
    chosen = parser.parse_args()
    params, rows = weights.load(), []
    for size, number in itertools.product(chosen.sizes, chosen.pairs):
        settings = Settings(size=size, evaluations=chosen.evaluations)
        content, style = PAIRS[number]
        rows += [shown({"pair": number, **row}) for row in of_pair(params, content, style, settings, chosen.asked)]
        written(rows, chosen.output)
    off = [abs(row["got"] - row["asked"]) for row in rows if row["reached"]]
    if off:
        print(f"off by {spread(off)}; {sum(each <= WITHIN for each in off)} of {len(off)} within {WITHIN}")
    return 0


def of_pair(params: Any, content: Path, style: Path, settings: Settings, asked: list[float]) -> list[dict[str, Any]]:
    """The rows of one photograph and painting."""
    photo, painting = (images.read_image(path, size=settings.size) for path in (content, style))
    begun = time.perf_counter()
    found = ratios_for(asked, photo, painting, settings, params=params)
    search, rows = time.perf_counter() - begun, []
    for each in found:
        begun = time.perf_counter()
        made = stylize(photo, painting, replace(settings, ratio=each.ratio), params=params)
        run = time.perf_counter() - begun
        got = made.measures.correlation
        about = {"asked": each.asked, "ratio": each.ratio, "expected": each.expected, "got": got}
        rows.append({"size": settings.size, **about, "reached": each.reached, "search": search, "run": run})
    return rows


if __name__ == "__main__":
    sys.exit(main())
