"""The parameters pytree: what it must hold, and what images must be turned into before it.

{"params": {"conv1_1": {"kernel": float32 [3, 3, in, out], "bias": float32 [out]}, ... conv5_4},
 "preprocessing": {"mean": float32 [3], "scale": float32 [3]}}
with kernels in HWIO and RGB input order. The network's input is (255 * image - mean) * scale, image RGB 0..1.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.pictures.constants import IMAGENET_MEAN

CAFFE = {
    "mean": np.array(IMAGENET_MEAN, np.float32),
    "scale": np.ones(3, np.float32),
}
"""The original Oxford network's preprocessing: RGB 0..255 minus the mean color of ImageNet."""

TORCHVISION = {
    "mean": np.array([255 * m for m in (0.485, 0.456, 0.406)], np.float32),
    "scale": np.array([1 / (255 * s) for s in (0.229, 0.224, 0.225)], np.float32),
}
"""The preprocessing of torchvision's retrained network, put as (255 * image - mean) * scale."""

SHAPES: dict[str, tuple[int, ...]] = {}
"""Parameter name, such as `conv1_1/kernel`, to shape; all 32 parameters in order."""
for _layer, (_in, _out) in CONVOLUTIONS.items():
    SHAPES[f"{_layer}/kernel"] = (3, 3, _in, _out)
    SHAPES[f"{_layer}/bias"] = (_out,)

Params = dict[str, Any]


def check_parameters(params: Params, source: str = "params") -> None:
    """Checks every parameter.

    Args:
      params: the pytree that this module's docstring describes.
      source: where they are from, such as a file; the message starts with it.

    Raises:
      InputError: parameters are missing, unexpected, misshapen or not finite; all of them are listed.
    """
    flat = {
        f"{layer}/{name}": np.asarray(a) for layer, arrays in params["params"].items() for name, a in arrays.items()
    }
    problems = shape_problems({name: array.shape for name, array in flat.items()})
    problems += [f"{name} holds NaN or infinity" for name, array in flat.items() if not np.isfinite(array).all()]
    mean, scale = (np.asarray(params["preprocessing"][name]) for name in ("mean", "scale"))
    if mean.shape != (3,) or not np.isfinite(mean).all():
        problems.append(f"preprocessing mean must be 3 finite numbers, not {mean.tolist()}")
    if scale.shape != (3,) or not (np.isfinite(scale) & (scale > 0)).all():
        problems.append(f"preprocessing scale must be 3 positive numbers, not {scale.tolist()}")
    raise_problems(source, problems)


def shape_problems(shapes: Mapping[str, tuple[int, ...]], optional: Iterable[str] = ()) -> list[str]:
    """Compares shapes with SHAPES.

    Args:
      shapes: by parameter name, such as `conv1_1/kernel`.
      optional: further names that may be there.

    Returns:
      A phrase for each parameter that is not as it must be.
    """
    problems = [f"{name} is missing" for name in SHAPES if name not in shapes]
    for name, shape in shapes.items():
        if name not in SHAPES and name not in optional:
            problems.append(f"{name!r} is unexpected")
        elif name in SHAPES and tuple(shape) != SHAPES[name]:
            problems.append(f"{name} has shape {tuple(shape)}, not {SHAPES[name]}")
    return problems


def raise_problems(source: object, problems: list[str]) -> None:
    """Raises when there are problems.

    Args:
      source: where the parameters are from; the message starts with it.
      problems: a phrase each.

    Raises:
      InputError: with all of them in its one line.
    """
    if problems:
        raise InputError(f"{source}: not VGG-19's parameters: " + "; ".join(problems))
