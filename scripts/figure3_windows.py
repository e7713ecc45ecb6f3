"""Which four α/β make a figure 3: `python scripts/figure3_windows.py FOLDER [FOLDER ...]`.

Each folder is a run of `nst-jax sweep PHOTO PAINTING -o FOLDER --rows A,B,C,D,E --ratio ...`, over as many decades as
one likes. For each its measures are shown, as a Markdown table, and for each four neighboring columns how many of the
twenty cells are as in the paper:
- first column: the correlation of conv4_2 with the photograph's is at most 0.4 (hardly any photograph);
- later columns: it has grown from the column before, and the style's distance has not fallen;
- last column: it is also at least 0.5 (clearly the photograph).
How many of the steps down the first three columns make the structure larger is told beside that.
"""

import argparse
import csv
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from nst_jax.network.layers import ROWS

HARDLY, CLEARLY = 0.4, 0.5
COLUMNS = 4  # of figure 3


class Cell(NamedTuple):
    """A lane's measures."""

    correlation: float
    style: float
    """Mean over the row's layers of the Gram distance, relative to white noise's."""
    scale: float


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    for folder in parser.parse_args().folders:
        headings, rows = read(folder / "measures.csv")
        print(f"{folder.name}: correlation; style; scale\n\n| row | {' | '.join(headings)} |")
        print("|---" * (len(headings) + 1) + "|")
        for letter, row in rows.items():
            cells = (f"{cell.correlation:.2f}; {cell.style:.2f}; {cell.scale:.1f}" for cell in row)
            print(f"| {letter} | {' | '.join(cells)} |")
        print()
        for first in range(len(headings) - COLUMNS + 1):
            window = {letter: row[first : first + COLUMNS] for letter, row in rows.items()}
            right, larger, steps = score(window)
            wrong = [
                f"{letter}{number + 1}" for letter, own in right.items() for number, ok in enumerate(own) if not ok
            ]
            total = sum(map(sum, right.values()))
            but = f", not {', '.join(wrong)}" if wrong else ""
            span = f"{headings[first]} to {headings[first + COLUMNS - 1]}"
            print(
                f"{span}: {total} of {COLUMNS * len(rows)} cells right{but}; "
                f"structure grows in {larger} of {steps} steps down"
            )
        print()
    return 0


def read(path: Path) -> tuple[list[str], dict[str, list[Cell]]]:
    """Column headings, and the cells of each row by its letter."""
    headings: list[str] = []
    rows: dict[str, list[Cell]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            letter = line["row"][0]
            style = [float(line[f"{layer}_to_noise"]) for layer in ROWS[letter]]
            cell = Cell(float(line["correlation"]), sum(style) / len(style), float(line["scale"]))
            rows.setdefault(letter, []).append(cell)
            if line["column"] not in headings:
                headings.append(line["column"])
    return headings, rows


def score(window: dict[str, list[Cell]]) -> tuple[dict[str, list[bool]], int, int]:
    """Which cells are right by row, in how many steps down a column the structure grows, and of how many."""
    right = {}
    for letter, cells in window.items():
        own = [cells[0].correlation <= HARDLY]
        own += [b.correlation > a.correlation and b.style >= a.style for a, b in pairwise(cells)]
        own[-1] = own[-1] and cells[-1].correlation >= CLEARLY
        right[letter] = own
    down = [(a.scale, b.scale) for above, below in pairwise(window.values()) for a, b in zip(above, below, strict=True)]
    counted = [pair for n, pair in enumerate(down) if n % COLUMNS < COLUMNS - 1]  # the last column is the photograph
    return right, sum(b > a for a, b in counted), len(counted)


if __name__ == "__main__":
    sys.exit(main())
