"""What `nst-jax weights compare` does."""

import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nst_jax.errors import InputError
from nst_jax.loss.objective import Objective, Targets
from nst_jax.measures import compare
from nst_jax.optim.minimize import minimize
from nst_jax.transfer import assemble, figures
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights


def run(
    first: str, second: str, content: Path | None, style: Path | None, settings: Settings, *,
    evaluations: int | None, as_json: bool,
) -> int:  # fmt: skip
    """Prints how far `first` is from `second` on a photograph and a painting, the shipped ones unless given."""
    if evaluations is not None and evaluations < 1:
        raise InputError(f"--steps: {evaluations} is not allowed; must be at least 1")
    photo = assemble.read_picture(content or figures.PHOTOGRAPH, settings, settings.size)
    painting = assemble.read_picture(style or figures.PAINTINGS[0], settings, settings.size)
    ours, theirs = weights.load(first), weights.load(second)
    activations = compare.activation_differences(ours, theirs, [photo, painting], pool=settings.pool)
    goal, reference = (goal_of(each, photo, painting, settings) for each in (ours, theirs))
    begin = assemble.start_image(photo, settings)
    points = {"white noise": begin, "the photograph": photo}
    pictures = None
    if evaluations:
        made = picture_of(reference, begin, evaluations)
        points[f"{second}'s picture"] = made
        pictures = compare.picture_difference(picture_of(goal, begin, evaluations), made)
    gradients = {name: compare.gradient_difference(goal, reference, point) for name, point in points.items()}
    if as_json:
        report: dict[str, Any] = {
            "activations": activations,
            "gradients": {name: found._asdict() for name, found in gradients.items()},
        }
        if pictures:
            psnr = pictures.psnr if math.isfinite(pictures.psnr) else None  # JSON has no other word for it
            report["pictures"] = {"psnr": psnr, "mean_absolute": pictures.mean_absolute, "steps": evaluations}
        print(json.dumps(report))
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
    return 0


def goal_of(params: Any, photo: np.ndarray, painting: np.ndarray, settings: Settings) -> Objective:
    """Equation 7 for a photograph and a painting, as these parameters see them."""
    return Objective(
        jax.device_put(params),
        Targets(assemble.content_target(params, photo, settings), assemble.style_target(params, [painting], settings)),
        assemble.loss_weights_of(settings, *photo.shape[:2]),
        settings.pool,
        settings.precision,
    )


def picture_of(goal: Objective, begin: Any, steps: int) -> jax.Array:
    """What an objective's minimization from `begin` comes to, [height, width, 3]."""
    return minimize(goal, begin[None], steps=steps).images[0]
