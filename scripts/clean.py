"""How clean pictures are, by row, start, pooling and padding: `python scripts/clean.py [-o FOLDER]`.

For each pair of shipped pictures the rows A to E of figure 3 are made as one sweep, for each start, pooling and padding
that is asked for, from one seed and at one scale. Of each picture, as its file holds it, is told
- loss: as the run reports it, of the objective that was minimized, which is another with another pooling or padding;
- grid 2, 4, 8: `nst_jax.measures.structure.grids`; about 1 where no grid stands out;
- grain, checkerboard, color grain: as grain.py defines them;
- dots: what is in smooth areas, in levels of 255: the root mean square over RGB of the differences from the mean of a
  block of 8x8 pixels, in the quarter of the blocks where the photograph's is least;
- border: the frame around it, in levels: how far the difference from the photograph, in the mean of the outermost
  4 pixels along a side, is from that of the next 16, as a root mean square over sides and colors.
The photograph and the painting are measured too. The last table has the medians over all pairs. With -o the pictures
are kept, to be looked at.
"""

import argparse
import itertools
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmarking import MORE_PAIRS
from grain import color_grain, grain

from nst_jax.measures.structure import GRIDS, grids, luminance
from nst_jax.network.layers import ROWS
from nst_jax.pictures import images
from nst_jax.transfer.settings import BOUNDS
from nst_jax.transfer.sweeping import sweep
from nst_jax.weights import weights

COLUMNS = ("loss", *(f"grid {period}" for period in GRIDS), "grain, %", "checkerboard, %", "color grain", "dots",
           "border")  # fmt: skip
BLOCK = 8


class Variant(NamedTuple):
    """What is compared."""

    start: str
    pool: str
    padding: str


def main() -> int:
    """Makes the pictures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=len(MORE_PAIRS), help=f"how many, at most {len(MORE_PAIRS)}")
    parser.add_argument("--rows", default="".join(ROWS))
    parser.add_argument("--starts", nargs="+", default=["noise", "content"], choices=("noise", "content"))
    parser.add_argument("--pools", nargs="+", default=["avg", "binomial"])
    parser.add_argument("--paddings", nargs="+", default=["zero"])
    parser.add_argument("--bounds", default="box", choices=tuple(BOUNDS))
    parser.add_argument("--ratio", type=float, default=1e-4, help="α/β; the default is figure 3's second column")
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--evaluations", type=int, default=150, help="of loss and gradient, for each picture")
    parser.add_argument("-o", "--output", type=Path, help="folder for the pictures")
    chosen = parser.parse_args()
    if chosen.output:
        chosen.output.mkdir(parents=True, exist_ok=True)
    variants = [Variant(*names) for names in itertools.product(chosen.starts, chosen.pools, chosen.paddings)]
    found: dict[tuple, list[list[float]]] = {}
    print(_headings("pair"))
    for content, style in MORE_PAIRS[: chosen.pairs]:
        pair = f"{content.stem}, {style.stem}"
        for key, row in _measured(content, style, variants, chosen):
            found.setdefault(key, []).append(row)
            print(f"| {pair} {_cells(key, row)}", flush=True)
    print(f"\n{_headings()}")
    for key in sorted(found):
        print(_cells(key, [statistics.median(column) for column in zip(*found[key], strict=True)]))
    return 0


def _measured(
    content: Path, style: Path, variants: list[Variant], chosen: argparse.Namespace
) -> Iterator[tuple[tuple, list[float]]]:
    """What was made, as row, start, pooling and padding, with its numbers."""
    photo, painting = (images.read_image(path, size=chosen.size) for path in (content, style))
    yield ("photograph", "", "", ""), [np.nan, *_numbers(photo, photo)]
    yield ("painting", "", "", ""), [np.nan, *_numbers(painting)]
    params = weights.load()
    for variant in variants:
        options = {"size": chosen.size, "evaluations": chosen.evaluations, "ratio": chosen.ratio}
        options["bounds"] = chosen.bounds
        options |= {"init": variant.start, "pool": variant.pool, "padding": variant.padding}
        for outcome in sweep(photo, painting, params=params, rows=tuple(chosen.rows), **options):
            row = chosen.rows[int(outcome.name[0])]
            if chosen.output:
                name = "_".join([content.stem, style.stem, row, *variant])
                images.write_image(chosen.output / f"{name}.png", outcome.image)
            made = np.rint(np.clip(outcome.image, 0, 1) * 255) / 255
            yield (row, *variant), [float(outcome.losses.total), *_numbers(made, photo)]


def _numbers(picture: np.ndarray, photo: np.ndarray | None = None) -> list[float]:
    """All of COLUMNS but the loss; NaN for what is told beside a photograph."""
    found = [*grids(luminance(picture)).values(), *grain(picture), color_grain(picture)]
    if photo is None:
        return [*found, np.nan, np.nan]
    smooth = _deviations(photo)
    dots = _deviations(picture)[smooth <= np.quantile(smooth, 0.25)]
    return [*found, 255 * float(np.sqrt((dots**2).mean())), _border(picture - photo)]


def _deviations(picture: np.ndarray) -> np.ndarray:
    """The standard deviation, over pixels and colors, within each block."""
    down, across = (side // BLOCK for side in picture.shape[:2])
    blocks = picture[: down * BLOCK, : across * BLOCK].reshape(down, BLOCK, across, BLOCK, 3)
    return np.sqrt(blocks.var((1, 3)).mean(-1)).ravel()


def _border(difference: np.ndarray) -> float:
    sides = (side for plane in (difference, difference.swapaxes(0, 1)) for side in (plane, plane[::-1]))
    beyond = [side[:4].mean((0, 1)) - side[4:20].mean((0, 1)) for side in sides]
    return 255 * float(np.sqrt(np.mean(np.square(beyond))))


def _headings(*before: str) -> str:
    columns = (*before, "row", "start", "pool", "padding", *COLUMNS)
    return f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|"


def _cells(key: tuple, row: list[float]) -> str:
    numbers = ("" if np.isnan(value) else f"{value:.3g}" for value in row)
    return f"| {' | '.join((*key, *numbers))} |"


if __name__ == "__main__":
    sys.exit(main())
