"""Whether lanes of a table should share their beginning, at equal work: docs/branching.md has its figures.

    python scripts/branching.py --size 96 --evaluations 60 -o FOLDER

Each table is a photograph, a painting and some α/β, whose middle one is the trunk. An evaluation of loss and gradient
counts its pixels, relative to the whole size. Each way may spend as much on a table, its lanes times `--evaluations`:

    apart         each lane by itself from white noise; with the next seed as well, which shows what chance does
    scales        each lane by itself, at half size first, as `--scales 2` or 3; or with this share of the work there
    trunk         this share of the work on the middle lane, from which all start, at the whole size, half or a quarter
    chain         this share on the middle lane, from which its neighbors start, from which theirs do; equal shares each

Losses are those of pictures of 8 bits. Each is told relative to the lane's loss by "apart", and to that by "scales":
the geometric mean over the lanes, and the range. Of the lanes of least and of greatest α/β, presence is the correlation
of conv4_2 with the photograph's, and difference what their pictures differ by, root mean square, in levels. Grain is
the mean of all lanes, in %, as in `scripts/grain.py`.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from benchmarking import MORE_PAIRS
from grain import grain

from nst_jax.loss.objective import Objective
from nst_jax.measures import measures
from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise
from nst_jax.transfer.figures import RATIOS_OF_FIGURE_3
from nst_jax.transfer.minimizing import minimize
from nst_jax.transfer.scales import SHARE, enlarged
from nst_jax.transfer.sweeping import objective
from nst_jax.weights import weights

WIDE = RATIOS_OF_FIGURE_3
NARROW = (1e-4, 3e-4, 1e-3, 3e-3)


class Work:
    """A table's lanes, and what has been spent on them."""

    def __init__(self, params: Any, pair: Sequence[Path], ratios: Sequence[float], size: int, evaluations: int) -> None:
        self._params, self._size = params, size
        photo, self._painting = (images.read_image(path, size=size) for path in pair)
        height, width = photo.shape[:2]
        self._photos = [images.resize(photo, round(height / 2**n), round(width / 2**n)) for n in range(3)]
        self.ratios, self.middle = tuple(ratios), len(ratios) // 2
        self.all = range(len(ratios))
        self.each, self.allowed = evaluations, evaluations * len(ratios)
        self.costs = [smaller.size / photo.size for smaller in self._photos]
        """What an evaluation counts at the whole size, at half and at a quarter of it."""
        self.spent = 0.0
        self._of_photo = self._summary(photo)
        self._goals: dict[tuple[tuple[int, ...], int], Objective] = {}

    def noise(self, lanes: Sequence[int], *, halved: int = 0, seed: int = 0) -> np.ndarray:
        height, width = self._photos[halved].shape[:2]
        return np.stack([np.asarray(white_noise(seed, height, width))] * len(lanes))

    def minimize(self, lanes: Sequence[int], begin: np.ndarray, evaluations: int, *, halved: int = 0) -> np.ndarray:
        """Takes these lanes on, from an image each, which was halved so often."""
        self.spent += len(lanes) * evaluations * self.costs[halved]
        return np.asarray(minimize(self._goal(lanes, halved), begin, evaluations=evaluations).images)

    def enlarged(self, pictures: np.ndarray, halved: int = 0) -> np.ndarray:
        return np.stack([enlarged(each, self._photos[halved]) for each in pictures])

    def losses(self, pictures: np.ndarray) -> np.ndarray:
        """Of what is in the files."""
        return np.asarray(jax.jit(Objective.__call__)(self._goal(self.all, 0), pictures).total, np.float64)

    def presence(self, picture: np.ndarray) -> float:
        return measures.compare(self._summary(picture), self._of_photo).correlation

    def _summary(self, picture: np.ndarray) -> measures.Summary:
        return measures.summarize(self._params, picture, ())

    def _goal(self, lanes: Sequence[int], halved: int) -> Objective:
        key = (tuple(lanes), halved)
        if key not in self._goals:
            content = self._photos[halved]
            self._goals[key] = objective(
                content, self._painting, params=self._params, size=max(content.shape), ratio_size=self._size,
                ratio=[self.ratios[lane] for lane in lanes],
            )  # fmt: skip
        return self._goals[key]


def apart(work: Work, *, seed: int = 0) -> np.ndarray:
    return work.minimize(work.all, work.noise(work.all, seed=seed), work.each)


def by_scales(work: Work, count: int = 2) -> np.ndarray:
    """With the share of evaluations at coarser sizes that `scales.pyramid` gives."""
    coarser = range(count - 1, 0, -1)
    weight = 1 - SHARE + SHARE / len(coarser) * sum(work.costs[halved] for halved in coarser)
    each = round(SHARE / len(coarser) * work.each / weight)
    return _through(work, dict.fromkeys(coarser, each))


def by_half(work: Work, share: float) -> np.ndarray:
    return _through(work, {1: round(share * work.each / work.costs[1])})


def _through(work: Work, evaluations: dict[int, int]) -> np.ndarray:
    """Every lane by itself, with so many evaluations at sizes halved so often, and what is left at the whole size."""
    made = work.noise(work.all, halved=max(evaluations))
    for halved, each in evaluations.items():
        made = work.enlarged(work.minimize(work.all, made, each, halved=halved), halved - 1)
    return work.minimize(work.all, made, round((work.allowed - work.spent) / len(work.all)))


def trunk(work: Work, share: float, *, halved: int = 0) -> np.ndarray:
    middle, evaluations = [work.middle], round(share * work.allowed / work.costs[halved])
    begin = work.minimize(middle, work.noise(middle, halved=halved), evaluations, halved=halved)
    each = round((work.allowed - work.spent) / len(work.all))
    whole = work.enlarged(begin) if halved else begin
    return work.minimize(work.all, np.repeat(whole, len(work.all), 0), each)


def chain(work: Work, share: float) -> np.ndarray:
    middle = work.middle
    made = {middle: work.minimize([middle], work.noise([middle]), round(share * work.allowed))[0]}
    each = round((work.allowed - work.spent) / (len(work.all) - 1))
    for distance in range(1, len(work.all)):
        lanes = [lane for lane in work.all if abs(lane - middle) == distance]
        if lanes:
            begin = np.stack([made[lane + (1 if lane < middle else -1)] for lane in lanes])
            made |= dict(zip(lanes, work.minimize(lanes, begin, each), strict=True))
    return np.stack([made[lane] for lane in work.all])


WAYS: dict[str, Callable[[Work], np.ndarray]] = {
    "apart": apart,
    "scales": by_scales,
    "three scales": lambda work: by_scales(work, 3),
    "scales, 30 %": lambda work: by_half(work, 0.3),
    "scales, 50 %": lambda work: by_half(work, 0.5),
    "apart, next seed": lambda work: apart(work, seed=1),
    "trunk, whole, 20 %": lambda work: trunk(work, 0.2),
    "trunk, half, 5 %": lambda work: trunk(work, 0.05, halved=1),
    "trunk, half, 20 %": lambda work: trunk(work, 0.2, halved=1),
    "trunk, quarter, 5 %": lambda work: trunk(work, 0.05, halved=2),
    "chain, 20 %": lambda work: chain(work, 0.2),
}


def main() -> int:
    """Makes the pictures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96, help="longest side in pixels, at least 96 (default)")
    parser.add_argument("--evaluations", type=int, default=60, help="for each lane of a table (default: 60)")
    parser.add_argument("--wide", type=float, nargs="+", default=WIDE, help="α/β, ascending, of every other table")
    parser.add_argument("--narrow", type=float, nargs="+", default=NARROW, help="α/β, ascending, of the rest")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY", help="of the above")
    parser.add_argument(
        "--pair", type=Path, nargs=2, action="append", metavar=("PHOTO", "PAINTING"),
        help="of a table; may be given several times (default: five of shipped ones)",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, help="a folder for the pictures and the figures, as JSON")
    chosen = parser.parse_args()
    params, rows = weights.load(), []
    print("| table | way | work | loss / apart | loss / scales | presence | difference | grain | s |\n|" + "---|" * 9)
    for number, pair in enumerate(chosen.pair or MORE_PAIRS):
        ratios = chosen.narrow if number % 2 else chosen.wide
        base: dict[str, np.ndarray] = {}
        work = Work(params, pair, ratios, chosen.size, chosen.evaluations)
        for way in chosen.ways:
            work.spent, begun = 0.0, time.perf_counter()
            made = WAYS[way](work)
            seconds = time.perf_counter() - begun
            files = np.rint(np.clip(made, 0, 1) * 255).astype(np.float32) / 255
            base[way] = work.losses(files)
            presence, grains = [work.presence(each) for each in files], [grain(each)[0] for each in files]
            row = {
                "table": number, "pair": [path.stem for path in pair], "ratios": ratios, "way": way,
                "work": work.spent / work.allowed, "losses": base[way].tolist(), "presence": presence,
                "difference": difference(files), "grain": grains,
            }  # fmt: skip
            relative = " | ".join(against(base[way], base.get(other)) for other in ("apart", "scales"))
            told = (f"{presence[0]:.2f} to {presence[-1]:.2f}", f"{difference(files):.0f}", f"{np.mean(grains):.1f}")
            print(
                f"| {number} | {way} | {row['work']:.3f} | {relative} | {' | '.join(told)} | {seconds:.0f} |",
                flush=True,
            )
            rows.append(row)
            if chosen.output:
                chosen.output.mkdir(parents=True, exist_ok=True)
                (chosen.output / "rows.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
                name = way.replace(" %", "").replace(",", "").replace(" ", "-")
                images.write_image(chosen.output / f"{number}_{name}.png", np.concatenate([*files], 1))
    return 0


def difference(pictures: np.ndarray) -> float:
    return 255 * float(np.sqrt(np.mean(np.square(pictures[0] - pictures[-1]))))


def against(losses: np.ndarray, others: np.ndarray | None) -> str:
    """The geometric mean and the range of what losses are relative to others."""
    if others is None:
        return ""
    ratios = losses / others
    return f"{np.exp(np.mean(np.log(ratios))):.3f} [{ratios.min():.3f}, {ratios.max():.3f}]"


if __name__ == "__main__":
    sys.exit(main())
