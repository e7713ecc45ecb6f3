"""Measures what rounding the factors of products costs; docs/precision.md has its table and what follows from it.

    python scripts/precision.py --size 96 --evaluations 100

By default a TPU rounds the factors of float32 products to bfloat16, and an NVIDIA GPU to TF32. A CPU does not, so it is
emulated: in targets, loss and gradient, all convolutions and Gram products get rounded factors and float32 sums.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nst_jax.cli.compare_command import problem_of
from nst_jax.loss.objective import Objective
from nst_jax.optim.compiler import Programs
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise
from nst_jax.transfer import figures
from nst_jax.transfer.minimizing import minimize
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


VARIANTS: dict[str, tuple[Factors, Factors]] = {  # of convolutions, of Gram products
    "float32": (rounded(23), rounded(23)),
    "bfloat16, three passes": (in_three_passes, in_three_passes),
    "TF32": (rounded(10), rounded(10)),
    "bfloat16": (rounded(7), rounded(7)),
    "bfloat16, Gram float32": (rounded(7), rounded(23)),
}


@contextmanager
def emulated(convolution: Factors, gram: Factors) -> Iterator[None]:
    """The algorithms of accelerators, with these factors. No traced program gets in or out."""

    def through(product: Callable[..., Array], factors: Factors, first: int) -> Callable[..., Array]:
        def emulation(*arguments: Any, **options: Any) -> Any:
            before, pair, after = arguments[:first], arguments[first : first + 2], arguments[first + 2 :]
            return sum(product(*before, *each, *after, **options) for each in factors(*pair))

        return emulation

    jax.clear_caches()
    with (
        patch.object(lax, "platform_dependent", lambda *arguments, default, **_: default(*arguments)),
        patch("nst_jax.devices.platform", lambda: "gpu"),
        patch.object(lax, "conv_general_dilated", through(lax.conv_general_dilated, convolution, 0)),
        patch.object(jnp, "einsum", through(jnp.einsum, gram, 1)),
    ):
        yield
    jax.clear_caches()


def run(goal: Objective, begin: np.ndarray, evaluations: int) -> tuple[np.ndarray, str]:
    """The picture; how many evaluations an accepted step took in the mean and at the most, and how many there were."""
    found = minimize(goal, begin[None], evaluations=evaluations, compile=Programs())
    totals = [record.losses.total for record in found.history[0]]
    accepted = np.flatnonzero(np.diff(totals, prepend=np.nan))  # a record has the loss of the latest accepted picture
    stopped = ", stopped" if found.status[0] == Status.CONVERGED else ""
    taken = f"{len(totals) / len(accepted):.2f} | {np.diff(accepted, prepend=-1).max()} | {len(totals)}{stopped}"
    return np.asarray(found.images[0]), taken


@jax.jit
def gradient(goal: Objective, image: Array) -> Array:
    return jax.grad(lambda image: goal(image[None]).total[0])(image)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96, help="longest side in pixels (default: 96)")
    parser.add_argument("--evaluations", type=int, default=100, help="for each picture (default: 100)")
    parser.add_argument("-o", "--output", type=Path, help="an existing folder for the pictures (default: keep none)")
    arguments = parser.parse_args()
    settings = Settings(size=arguments.size)
    photo, painting = (
        images.read_image(path, size=settings.size) for path in (figures.PHOTOGRAPH, figures.PAINTINGS[0])
    )
    begin, another = (np.asarray(white_noise(seed, *photo.shape[:2])) for seed in (0, 1))
    params, points, rows = weights.load(), [begin], {}
    for name, factors in VARIANTS.items():
        with emulated(*factors):
            goal = problem_of(params, photo, painting, settings).objective([0])
            made, taken = run(goal, begin, arguments.evaluations)
            points = points if rows else [begin, made]  # float32's picture, for all
            rows[name] = made, taken, [gradient(goal, point) for point in points]
    judge = problem_of(params, photo, painting, settings).objective([0])
    rows["float32, Winograd"] = *run(judge, begin, arguments.evaluations), [gradient(judge, point) for point in points]
    rows["float32, another seed"] = *run(judge, another, arguments.evaluations), []
    losses = {name: float(jax.jit(Objective.__call__)(judge, made[None]).total[0]) for name, (made, *_) in rows.items()}
    with jax.enable_x64(True):
        doubles = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (params, photo, painting, points))
        goal = problem_of(doubles[0], doubles[1], doubles[2], settings).objective([0])
        goal = jax.tree.map(lambda leaf: jnp.asarray(leaf, np.float64), goal)  # its loss_weights too
        exact = [np.asarray(gradient(goal, point)) for point in doubles[3]]

    print("| products | gradient, start | gradient, end | a step | the most | all | loss | rms | grain |")
    print("|---" * 9 + "|")
    for name, (made, taken, slopes) in rows.items():
        of_gradients = " | ".join(map(errors, slopes, exact)) if slopes else " | "
        seen, reference = np.clip(made, 0, 1), np.clip(points[1], 0, 1)
        of_picture = f"{losses[name] / losses['float32']:.3f} | {levels(seen - reference):.1f} | {grain(seen):.1f}"
        print(f"| {name} | {of_gradients} | {taken} | {of_picture} |")
        if arguments.output:
            images.write_image(arguments.output / f"{name.replace(',', '').replace(' ', '-')}.png", made)
    return 0


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
