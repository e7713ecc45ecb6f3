"""What is reported and what is in the file: `python scripts/written_losses.py`.

Equation 7 from white noise at one scale, for five pairs of shipped pictures, with the picture kept within 0..1 (bounds
"box") and not (bounds "none"). Of each, in units of a million, the loss that the run reports; the loss of the picture
as it is read back from an 8-bit PNG; what the second is more than the first; and the share of values outside 0..1
before they were clipped. Medians and ranges over seeds, which are lanes of one sweep.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmarking import MORE_PAIRS, spread

from nst_jax.pictures import images
from nst_jax.transfer.settings import BOUNDS
from nst_jax.transfer.stylizing import evaluate
from nst_jax.transfer.sweeping import sweep
from nst_jax.weights import weights


def main() -> int:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=len(MORE_PAIRS), help=f"how many, at most {len(MORE_PAIRS)}")
    parser.add_argument("--sizes", type=int, nargs="+", default=[192, 256])
    parser.add_argument("--bounds", nargs="+", default=list(BOUNDS), choices=tuple(BOUNDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=200, help="of loss and gradient, for each picture")
    parser.add_argument("--ratio", type=float, default=1e-3)
    parser.add_argument("--pool", default="avg")
    chosen = parser.parse_args()
    params = weights.load()
    loss = {"ratio": chosen.ratio, "pool": chosen.pool}
    print("| pair | size | bounds | reported, 1e6 | in the file, 1e6 | more, % | outside, % |")
    print("|---|---|---|---|---|---|---|")
    for content, style in MORE_PAIRS[: chosen.pairs]:
        for size in chosen.sizes:
            photo, painting = (images.read_image(path, size=size) for path in (content, style))
            for bounds in chosen.bounds:
                made = sweep(
                    photo, painting, params=params, size=size, evaluations=chosen.evaluations,
                    seed=tuple(range(chosen.seeds)), bounds=bounds, **loss,
                )  # fmt: skip
                reported, written, outside = [], [], []
                for outcome in made:
                    of_file = evaluate(_as_written(outcome.image), photo, painting, params=params, **loss)
                    reported.append(outcome.losses.total / 1e6)
                    written.append(of_file.total / 1e6)
                    outside.append(100 * float(np.mean((outcome.image < 0) | (outcome.image > 1))))
                more = [100 * (file / own - 1) for own, file in zip(reported, written, strict=True)]
                told = (spread(reported), spread(written), spread(more, 2), spread(outside, 2))
                print(f"| {content.stem}, {style.stem} | {size} | {bounds} | {' | '.join(told)} |", flush=True)
    return 0


def _as_written(image: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        images.write_image(Path(folder) / "out.png", image)
        return images.read_image(Path(folder) / "out.png")


if __name__ == "__main__":
    sys.exit(main())
