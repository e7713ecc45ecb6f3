"""Measures what few bits a weight cost; docs/quantization.md has its table and what follows from it.

    python scripts/quantization.py --size 128 --evaluations 100

The shipped weights have 256 values a layer. They are quantized further, to 7, 6, 5 and 4 bits. For the step from
float32 to 8 bits, which cannot be measured without the originals, there are two estimates: an extrapolation over the
bits, and networks drawn at random from those that quantize to the shipped one.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from nst_jax.cli.compare_command import problem_of
from nst_jax.measures import compare
from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise
from nst_jax.transfer import figures
from nst_jax.transfer.minimizing import minimize
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights
from nst_jax.weights.quantize import quantized

BITS = (7, 6, 5, 4)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128, help="longest side in pixels (default: 128)")
    parser.add_argument("--evaluations", type=int, default=100, help="for each picture (default: 100)")
    arguments = parser.parse_args()
    settings = Settings(size=arguments.size)
    photo, painting = (
        images.read_image(path, size=settings.size) for path in (figures.PHOTOGRAPH, figures.PAINTINGS[0])
    )
    begin = np.asarray(white_noise(0, *photo.shape[:2]))

    def goal_of(params: Any) -> Any:
        return problem_of(params, photo, painting, settings).objective([0])

    def made(goal: Any, start: np.ndarray) -> Any:
        return minimize(goal, start[None], evaluations=arguments.evaluations).images[0]

    shipped = weights.load()
    reference = goal_of(shipped)
    picture = made(reference, begin)

    def row(params: Any) -> list[float]:
        activations = compare.activation_differences(params, shipped, [photo, painting])
        goal = goal_of(params)
        gradients = [compare.gradient_difference(goal, reference, point) for point in (begin, picture)]
        return [
            kernel_difference(params, shipped), activations["conv2_1"], activations["conv4_2"], activations["conv5_1"],
            *(found.relative for found in gradients), *of_picture(made(goal, begin)),
        ]  # fmt: skip

    def of_picture(other: Any) -> list[float]:
        loss = float(reference(other[None]).total[0] / reference(picture[None]).total[0])
        return [*compare.picture_difference(other, picture), loss]

    print("| | kernels | conv2_1 | conv4_2 | conv5_1 | gradient, start | gradient, end | PSNR, dB | mean | loss |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    rows = {}
    for bits in BITS:
        rows[bits] = row(quantized(shipped, bits)[0])
        _print(f"{bits} bits for 8", rows[bits])
    fitted = [extrapolated({bits: values[column] for bits, values in rows.items()}) for column in range(6)]
    _print("8 bits for float32, extrapolated", fitted)
    for seed in (0, 1):
        _print(f"8 bits for float32, drawn ({seed})", row(drawn(shipped, seed)))
    for name, other in yardsticks(begin):
        _print(name, [*[None] * 6, *of_picture(made(reference, other))])
    return 0


def kernel_difference(params: Any, reference: Any) -> float:
    """|W - W'| / |W'| over all kernels."""
    difference = size = 0.0
    for layer, arrays in params["params"].items():
        kernel = reference["params"][layer]["kernel"]
        difference += np.square(arrays["kernel"] - kernel, dtype=np.float64).sum()
        size += np.square(kernel, dtype=np.float64).sum()
    return float(np.sqrt(difference / size))


def extrapolated(found: dict[int, float]) -> float:
    """The difference that 8 bits make to float32, from those that fewer bits make to 8.

    Errors of a fine quantizer are in proportion to 2^-bits, and those of two steps in a row are independent, so that
    E(bits from 8)² = c (4^-bits - 4^-8), and E(8 from float32)² = c 4^-8.
    """
    c = np.exp(np.mean([np.log(value**2 / (4.0**-bits - 4.0**-8)) for bits, value in found.items()]))
    return float(np.sqrt(c * 4.0**-8))


def drawn(params: Any, seed: int) -> Any:
    """Parameters that quantize to these: each weight in the interval that is nearest to its table's value.

    Uniform to either side of the value, and as often to a side as leaves the value the mean, which k-means makes it.
    """
    random = np.random.default_rng(seed)
    layers = {}
    for layer, arrays in params["params"].items():
        table, index = np.unique(arrays["kernel"], return_inverse=True)
        half = np.diff(table.astype(np.float64)) / 2
        below, above = (side[index] for side in (np.append(half[0], half), np.append(half, half[-1])))
        up = random.uniform(size=index.shape) < below / (below + above)
        offset = np.where(up, above, -below) * random.uniform(size=index.shape)
        kernel = (table[index] + offset).reshape(arrays["kernel"].shape).astype(np.float32)
        layers[layer] = {**arrays, "kernel": kernel}
    return {"params": layers, "preprocessing": params["preprocessing"]}


def yardsticks(begin: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Other starts, with the same weights: how much a picture differs for reasons that nobody minds."""
    random = np.random.default_rng(0)
    yield "start moved by 1e-4 of 255", (begin + random.normal(0, 1e-4 / 255, begin.shape)).astype(np.float32)
    yield "another seed", np.asarray(white_noise(1, *begin.shape[:2]))


def _print(name: str, values: list[Any]) -> None:
    cells = ["" if value is None else f"{value:.2g}" if value < 1 else f"{value:.3g}" for value in values]
    print(f"| {name} | " + " | ".join(cells + [""] * (9 - len(cells))) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
