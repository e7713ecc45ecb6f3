"""Measures what rounding the factors of products costs; docs/precision.md has its table and what follows from it.

    python scripts/precision.py --size 96 --evaluations 300 --pairs 0 1 2 --seeds 3

By default a TPU rounds the factors of float32 products to bfloat16, and an NVIDIA GPU to TF32. This machine's device
need not, so it is emulated: in targets, loss and gradient, all convolutions and Gram products get rounded factors and
float32 products and sums. What layers hand on is rounded by the network itself, on any device, where
`bfloat16-activations` asks for it. The last rows are the device's own products.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from benchmarking import PAIRS, spread
from jax import Array, lax

from nst_jax import devices
from nst_jax.cli.compare_command import problem_of
from nst_jax.loss.objective import Objective
from nst_jax.network.layers import PRECISIONS
from nst_jax.optim.compiler import Programs
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise
from nst_jax.transfer.minimizing import minimize
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights

Factors = Callable[[Array, Array], list[tuple[Array, Array]]]  # to those of the products whose sum is computed instead


def rounded(bits: int) -> Factors:
    """To so many bits of the mantissa, of which float32 has 23; the eight of the exponent are float32's."""
    return lambda a, b: [(lax.reduce_precision(a, 8, bits), lax.reduce_precision(b, 8, bits))]


def in_three_passes(a: Array, b: Array) -> list[tuple[Array, Array]]:
    """Each factor as the sum of two bfloat16 numbers, without the product of the two smaller ones."""
    ((high_a, high_b),) = rounded(7)(a, b)
    ((low_a, low_b),) = rounded(7)(a - high_a, b - high_b)
    return [(low_a, high_b), (high_a, low_b), (high_a, high_b)]


class Variant(NamedTuple):
    """What is rounded."""

    factors: Factors | None
    """None are the device's own."""
    precision: str = "float32"
    """Of the settings."""


VARIANTS = {
    "float32": Variant(rounded(23)),
    "bfloat16, three passes": Variant(in_three_passes),
    "TF32": Variant(rounded(10)),
    "bfloat16": Variant(rounded(7)),
    "bfloat16 activations": Variant(rounded(7), "bfloat16-activations"),
}


def of_device() -> dict[str, Variant]:
    """The device's own products; a CPU has but one, Winograd's in float32."""
    if devices.platform() == "cpu":
        return {"float32, Winograd": Variant(None)}
    kind = jax.devices()[0].device_kind
    return {f"{kind}: {name}": Variant(None, name) for name in PRECISIONS}


@contextmanager
def emulated(factors: Factors | None) -> Iterator[None]:
    """The algorithms of accelerators, with these factors. No traced program gets in or out."""

    def through(product: Callable[..., Array], first: int) -> Callable[..., Array]:
        def emulation(*arguments: Any, **options: Any) -> Any:
            before, pair, after = arguments[:first], arguments[first : first + 2], arguments[first + 2 :]
            assert factors is not None
            return sum(product(*before, *each, *after, **options | HIGHEST) for each in factors(*pair))

        return emulation

    jax.clear_caches()
    with ExitStack() as patches:
        if factors is not None:
            for where, name, replacement in (
                (lax, "platform_dependent", lambda *arguments, default, **_: default(*arguments)),
                (devices, "platform", lambda: "gpu"),
                (lax, "conv_general_dilated", through(lax.conv_general_dilated, 0)),
                (jnp, "einsum", through(jnp.einsum, 1)),
            ):
                patches.enter_context(patch.object(where, name, replacement))
        yield
    jax.clear_caches()


HIGHEST = {"precision": lax.Precision.HIGHEST}


class Made(NamedTuple):
    """Pictures by one variant, one for each seed."""

    images: np.ndarray
    told: np.ndarray
    """Their losses, by its own products."""
    taken: str
    """Evaluations that an accepted step took in the mean and at the most."""


def run(problem: Problem, begin: np.ndarray, evaluations: int) -> Made:
    found = minimize(problem.objective([0] * len(begin)), begin, evaluations=evaluations, compile=Programs())
    taken = []
    for records in found.history.values():
        totals = [record.losses.total for record in records]
        accepted = np.flatnonzero(np.diff(totals, prepend=np.nan))  # a record has the latest accepted picture's loss
        taken.append((len(totals) / len(accepted), np.diff(accepted, prepend=-1).max()))
    stopped = sum(status == Status.CONVERGED for status in found.status)
    mean, most = np.mean([each for each, _ in taken]), max(each for _, each in taken)
    steps = f"{mean:.2f} | {most}" + (f", {stopped} stopped" if stopped else "")
    return Made(np.asarray(found.images), found.losses.total, steps)


@jax.jit
def gradient(goal: Objective, image: Array) -> Array:
    return jax.grad(lambda image: goal(image[None]).total[0])(image)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96, help="longest side in pixels (default: 96)")
    parser.add_argument("--evaluations", type=int, default=100, help="for each picture (default: 100)")
    parser.add_argument(
        "--pairs", type=int, nargs="*", default=[0], help="which of the pairs, from 0 to 2 (default: 0)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many white noises to begin from (default: 3)")
    parser.add_argument("-o", "--output", type=Path, help="an existing folder for the pictures (default: keep none)")
    arguments = parser.parse_args()
    print("| pair | products | gradient, start | gradient, end | a step | the most | loss | told | rms | grain |")
    print("|---" * 10 + "|", flush=True)
    for number in arguments.pairs:
        content, style = PAIRS[number]
        for row in of_pair(content, style, arguments.size, arguments.evaluations, arguments.seeds, arguments.output):
            print(f"| {number} | {row} |", flush=True)
    return 0


def of_pair(content: Path, style: Path, size: int, evaluations: int, seeds: int, output: Path | None) -> Iterator[str]:
    """The table's rows of one photograph and painting."""
    settings, params = Settings(size=size), weights.load()
    photo, painting = (images.read_image(path, size=size) for path in (content, style))
    begin = np.stack([np.asarray(white_noise(seed, *photo.shape[:2])) for seed in range(seeds)])
    points, exact, of_float32 = [], [], None
    for name, variant in (VARIANTS | of_device()).items():
        with emulated(variant.factors):
            rough = problem_of(params, photo, painting, replace(settings, precision=variant.precision))
            made = run(rough, begin, evaluations)
            points = points or [begin[0], made.images[0]]  # float32's picture, for all
            slopes = [gradient(rough.objective([0]), point) for point in points]
        exact = exact or in_float64(params, photo, painting, points, settings)
        judge = problem_of(params, photo, painting, settings)
        losses = np.asarray(jax.jit(Objective.__call__)(judge.objective([0] * seeds), made.images).total)
        of_float32 = of_float32 or (made.images, losses)
        others = f", seeds {ratios(losses / np.median(losses))}" if made.images is of_float32[0] else ""
        of_gradients = " | ".join(map(errors, slopes, exact))
        told = f"{float(np.median(made.told / losses)):.4f}"
        of_pictures = f"{ratios(losses / of_float32[1])}{others} | {told} | {levels(made.images - of_float32[0]):.1f}"
        if output:
            stem = f"{content.stem}_{style.stem}_{name.replace(',', '').replace(':', '').replace(' ', '-')}"
            images.write_image(output / f"{stem}.png", made.images[0])
        yield f"{name} | {of_gradients} | {made.taken} | {of_pictures} | {np.mean([*map(grain, made.images)]):.1f}"


def ratios(found: np.ndarray) -> str:
    """Median and range."""
    return spread([float(each) for each in found])


def in_float64(
    params: Any, photo: np.ndarray, painting: np.ndarray, points: list[np.ndarray], settings: Settings
) -> list[np.ndarray]:
    """The gradients at these points."""
    with jax.enable_x64(True):
        doubles = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (params, photo, painting, points))
        goal = problem_of(doubles[0], doubles[1], doubles[2], settings).objective([0])
        goal = jax.tree.map(lambda leaf: jnp.asarray(leaf, np.float64), goal)  # its loss_weights too
        return [np.asarray(gradient(goal, point)) for point in doubles[3]]


def errors(slope: Array, exact: np.ndarray) -> str:
    """The Euclidean norm of the difference, relative, and one minus the cosine."""
    found, right = (np.asarray(each, np.float64) / np.linalg.norm(exact) for each in (slope, exact))
    return f"{np.linalg.norm(found - right):.2g}, {1 - np.vdot(found, right) / np.linalg.norm(found):.1g}"


def levels(difference: np.ndarray) -> float:
    return 255 * float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


def grain(picture: np.ndarray) -> float:
    """What a pixel differs by from the mean of its four neighbors, root mean square, in levels."""
    around = picture[2:, 1:-1] + picture[:-2, 1:-1] + picture[1:-1, 2:] + picture[1:-1, :-2]
    return levels(picture[1:-1, 1:-1] - around / 4)


if __name__ == "__main__":
    sys.exit(main())
