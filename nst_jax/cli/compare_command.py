"""What `nst-jax weights compare` does."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.cli.output import check_taken
from nst_jax.errors import InputError, argument
from nst_jax.measures import compare
from nst_jax.optim.compiler import Compile
from nst_jax.runs.inputs import read_picture
from nst_jax.transfer import figures
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import table
from nst_jax.transfer.minimizing import minimize
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights


def run(
    first: str, second: str, content: Path | None, style: Path | None, settings: Settings, *,
    evaluations: int | None, as_json: bool, compile: Compile,
) -> int:  # fmt: skip
    """Prints how far `first` is from `second` on a photograph and a painting, the shipped ones unless given."""
    if evaluations is not None and evaluations < 1:
        raise InputError(f"{argument('evaluations')}: {evaluations} is not allowed; must be at least 1")
    settings = settings.exact
    photo = read_picture(content or figures.PHOTOGRAPH, settings, settings.size)
    painting = read_picture(style or figures.PAINTINGS[0], settings, settings.size)
    ours, theirs = weights.load(first), weights.load(second)
    activations = compare.activation_differences(
        ours, theirs, [photo, painting], pool=settings.pool, padding=settings.padding
    )
    problem, of_reference = (problem_of(each, photo, painting, settings) for each in (ours, theirs))
    goal, reference = problem.objective([0]), of_reference.objective([0])
    begin = problem.starts([0])
    points = {"white noise": begin[0], "the photograph": photo}
    pictures = None
    if evaluations:
        made = minimize(reference, begin, evaluations=evaluations, compile=compile).images[0]
        points[f"{second}'s picture"] = made
        pictures = compare.picture_difference(
            minimize(goal, begin, evaluations=evaluations, compile=compile).images[0], made
        )
    gradients = {name: compare.gradient_difference(goal, reference, point) for name, point in points.items()}
    if as_json:
        report: dict[str, Any] = {
            "activations": activations,
            "gradients": {name: found._asdict() for name, found in gradients.items()},
        }
        if pictures:
            psnr = pictures.psnr if math.isfinite(pictures.psnr) else None  # JSON has no other word for it
            report["pictures"] = {"psnr": psnr, "mean_absolute": pictures.mean_absolute, "evaluations": evaluations}
        print(json.dumps(report))
        check_taken()
        return 0
    print(f"{'activations':28} relative difference")
    for layer, relative in activations.items():
        print(f"{layer:28} {relative:.3g}")
    print(f"{'gradient of equation 7 at':28} relative difference, cosine")
    for name, found in gradients.items():
        print(f"{name:28} {found.relative:.3g}, {found.cosine:.6f}")
    if pictures:
        heading = f"pictures, {evaluations} evaluations"
        print(f"{heading:28} PSNR {pictures.psnr:.1f} dB, mean absolute {pictures.mean_absolute:.2f} of 255")
    check_taken()
    return 0


def problem_of(params: Any, photo: np.ndarray, painting: np.ndarray, settings: Settings) -> Problem:
    """Equation 7 for a photograph and a painting, as these parameters see them."""
    one = table(["photo"], ["painting"], Axes(), settings)
    return Problem(params, {"photo": photo}, {"painting": painting}, one, prepared=params)
