"""The parameters pytree: what it must hold, and what images must be turned into before it.

{"params": {"conv1_1": {"kernel": float32 [3, 3, in, out], "bias": float32 [out]}, ... conv5_4},
 "preprocessing": {"mean": float32 [3], "scale": float32 [3]}}
with kernels in HWIO and RGB input order. The network's input is (255 * image - mean) * scale, image RGB 0..1.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS

CAFFE = {
    "mean": np.array([123.68, 116.779, 103.939], np.float32),
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
    """Raises one InputError that lists every missing, unexpected, misshapen and non-finite parameter of `params`."""
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
    """What separates {parameter name: shape} from SHAPES, a phrase for each parameter."""
    problems = [f"{name} is missing" for name in SHAPES if name not in shapes]
    for name, shape in shapes.items():
        if name not in SHAPES and name not in optional:
            problems.append(f"{name!r} is unexpected")
        elif name in SHAPES and tuple(shape) != SHAPES[name]:
            problems.append(f"{name} has shape {tuple(shape)}, not {SHAPES[name]}")
    return problems


def raise_problems(source: str | os.PathLike, problems: list[str]) -> None:
    """Raises InputError when there are problems, all of them in its one line."""
    if problems:
        raise InputError(f"{source}: not VGG-19's parameters: " + "; ".join(problems))
