"""From settings and files to what is minimized: pictures, targets, weights, start, optimizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from nst_jax.errors import InputError
from nst_jax.loss import conventions, objective
from nst_jax.loss.objective import Objective, Targets
from nst_jax.optim.first_order import FirstOrder
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.minimize import DEFAULT_OPTIMIZER, Optimizer
from nst_jax.pictures import images, start
from nst_jax.transfer import scales
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.settings import Settings


def read_picture(path: Path, settings: Settings, size: int | None) -> np.ndarray:
    """A picture with its longest side brought to `size`, or at its own size."""
    return images.read_image(path, size=size, max_pixels=settings.max_pixels)


def read_to_size(path: Path, settings: Settings, height: int, width: int, argument: str) -> np.ndarray:
    """A picture brought to a size of its own aspect, to the pixel; raises InputError rather than distort one."""
    picture = read_picture(path, settings, None)
    expected = images.fit(picture, max(height, width)).shape[:2]
    if max(abs(expected[0] - height), abs(expected[1] - width)) > 1:
        own = f"{picture.shape[1]}x{picture.shape[0]}"
        raise InputError(f"{argument} {path}: {own} cannot be brought to {width}x{height}, which has another aspect")
    return images.resize(picture, height, width)


def read_styles(paths: Sequence[Path], settings: Settings, size: int) -> list[np.ndarray]:
    """The style pictures, brought to --style-size or else to `size`."""
    if settings.style_blend and len(settings.style_blend) != len(paths):
        raise InputError(
            f"--style-blend: {len(settings.style_blend)} given for {len(paths)} style pictures; give one for each"
        )
    return [read_picture(path, settings, settings.style_size or size) for path in paths]


def start_image(photo: np.ndarray, settings: Settings) -> np.ndarray | jax.Array:
    """Where the optimization of a picture of `photo`'s size starts, [height, width, 3]."""
    height, width = photo.shape[:2]
    if settings.init == "noise":
        return start.white_noise(settings.seed, height, width, settings.noise)
    if settings.init == "content":
        return photo
    if not Path(settings.init).exists():
        raise InputError(f"--init {settings.init}: no such file; must be noise, content or a picture file")
    return read_to_size(Path(settings.init), settings, height, width, "--init")


def content_target(params: Any, photo: np.ndarray, settings: Settings) -> dict[str, jax.Array]:
    """P of equation 1, for one lane."""
    return objective.content_targets(
        params, photo[None], (settings.content_layer,), pool=settings.pool, precision=settings.precision
    )


def style_target(params: Any, paintings: list[np.ndarray], settings: Settings) -> dict[str, jax.Array]:
    """A / M_a of equation 4, for one lane; several paintings are blended."""
    targets = [
        objective.style_targets(
            params, painting[None], settings.style_layers, pool=settings.pool, precision=settings.precision
        )
        for painting in paintings
    ]
    return objective.blend(targets, settings.style_blend or [1.0] * len(targets))


def loss_weights_of(settings: Settings, height: int, width: int) -> objective.LossWeights:
    """The weights of equations 5 and 7, for one lane and a picture of this size."""
    alpha, beta = settings.alpha_beta
    loss_weights = objective.loss_weights(
        alpha,
        beta,
        content_layers=(settings.content_layer,),
        style_layers=settings.layer_weights,
        tv=settings.tv,
    )
    return conventions.translated(loss_weights, settings.convention, height, width, settings.ratio_size)


def objective_at(
    scale: Scale, finest: Scale, params: Any, photo: np.ndarray, paintings: Sequence[np.ndarray], settings: Settings
) -> Objective:
    """What is minimized at one of a picture's scales; the pictures are those of the finest.

    Its parameters are `params`, which need not be prepared: pictures that are represented once are represented plainly.
    """
    here = images.resize(photo, scale.height, scale.width)
    there = [scales.reduced(painting, scale, finest) for painting in paintings]
    targets = Targets(content_target(params, here, settings), style_target(params, there, settings))
    loss_weights = loss_weights_of(settings, scale.height, scale.width)
    loss_weights = scales.weighted_as(loss_weights, settings.convention, scale, finest)
    return Objective(params, targets, loss_weights, settings.pool, settings.precision)


def optimizer_of(settings: Settings) -> Optimizer:
    """The optimizer that the settings ask for."""
    if settings.optimizer == "adam":
        return FirstOrder(optax.adam(settings.learning_rate))
    return LBFGS(history=settings.history, precondition=DEFAULT_OPTIMIZER.precondition)
