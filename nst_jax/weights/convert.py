"""Other people's VGG-19 files into this project's format, in full float32, with the preprocessing that belongs to them.

Read are, told apart by their content and not by their name:
- Keras HDF5 ("notop" or whole): `block1_conv1/block1_conv1_W_1:0` or `.../kernel:0`, HWIO with BGR input;
- torch .pth, zipped or old, torch itself not needed: `features.0.weight` (torchvision's naming, which the converted
  Caffe weights use too) or `conv1_1.weight` (Caffe's), OIHW;
- MatConvNet .mat: struct `layers`, HWIO with RGB input, with the mean color in `averageImage`;
- .npz: `conv1_1/kernel` and `conv1_1/bias`, or `conv1_1_W` and `conv1_1_b`, HWIO with RGB input.
The classifier of whole files (fc6, classifier.0, predictions, ...) is passed over; anything else unexpected is
an error.
"""

import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.network import parameters
from nst_jax.network.layers import CONVOLUTIONS, LAYERS
from nst_jax.pictures import files
from nst_jax.weights import foreign, hdf5, matconvnet, torchfile, weights

Preprocessing = Literal["auto", "caffe", "torchvision"]

TORCHVISION_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"  # vgg19-dcbb9e9d.pth
_CLASSIFIER = re.compile(r"(model_weights/)?(classifier\.|fc\d|predictions|prob\b)")
_KERAS = re.compile(
    r"(?:model_weights/)?block(\d)_conv(\d)/(?:.*/)?(?:block\d_conv\d_)?(kernel|bias|W|b)(?:_1)?(?::0)?"
)
_NPZ = re.compile(r"(conv\d_\d)(?:/|_|\.)(kernel|bias|W|b)")
_TORCH = re.compile(r"(features\.\d+|conv\d_\d)\.(weight|bias)")
_PARTS = {"kernel": "kernel", "weight": "kernel", "W": "kernel", "bias": "bias", "b": "bias"}


@dataclass(frozen=True)
class _Array:
    """A parameter that may not be read yet: shape as in SHAPES, and how to have the values in that shape."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class _Source:
    """What a file holds: arrays by the names of SHAPES (or their own, when unexpected), and how it was trained."""

    arrays: dict[str, _Array]
    bgr: bool | None = None  # the order of the input's channels; None: the file's format does not tell
    preprocessing: dict[str, np.ndarray] | None = None  # None: the file's format does not tell


def convert(
    source: str | os.PathLike, destination: str | os.PathLike, *, preprocessing: Preprocessing = "auto"
) -> None:
    """Turns another project's VGG-19 file into a weights file of this one, in float32.

    Args:
      source: the foreign file, at most 1 GB.
      destination: the HDF5 file to write, whole or not at all; not `source` itself.
      preprocessing: what `source` was trained with: "caffe" (the original: 0..255 minus a mean color; BGR in a .pth)
        or "torchvision" (RGB 0..1 with ImageNet's mean and deviation). "auto" knows it from the format (Keras,
        MatConvNet), by the likeness of conv1_1 to the shipped original weights, or by torchvision's sha256, and never
        guesses.

    Raises:
      InputError: `source` cannot be read safely, `destination` cannot be written, or "auto" cannot tell; and, all in
        one line, for every missing, unexpected, misshapen, non-float32 and non-finite parameter.
    """
    if preprocessing not in get_args(Preprocessing):
        allowed = ", ".join(get_args(Preprocessing))
        raise InputError(f"{argument('preprocessing')}: {preprocessing!r} is not allowed; must be one of {allowed}")
    source, destination = Path(source), Path(destination)
    files.check_writable(destination, argument("destination"))
    if destination.exists() and source.exists() and destination.samefile(source):
        raise InputError(f"{destination}: is the source itself; name another file")
    params, oxford = _read(source, preprocessing)
    origin = weights.OXFORD if oxford else {"origin": "not known: not the original Oxford weights"}
    attributes = {**origin, "source": source.name, "source_sha256": files.sha256(source)}
    weights.save(destination, params, attributes=attributes)


def _read(path: Path, preprocessing: Preprocessing) -> tuple[parameters.Params, bool]:
    """The parameters, and whether they are the original Oxford ones."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    foreign.check_bytes(path)
    try:
        with path.open("rb") as file:
            start = file.read(128)
        if start.startswith(b"\x89HDF"):
            with hdf5.opened(path) as file:
                found = _keras(file)
                layers = _values(path, found)
        else:
            found = _reader(path, start)(path)
            layers = _values(path, found)
    except InputError:
        raise
    except Exception as error:  # damaged bytes end in many kinds of error, none of which is the program's
        raise InputError(f"{path}: damaged, or not a VGG-19 file ({foreign.one_line(error)})") from None
    kernel = layers["conv1_1"]["kernel"]
    likeness = _likeness_to_oxford(kernel)
    oxford = max(likeness.values()) > 0.98
    bgr, inputs = found.bgr, found.preprocessing
    if preprocessing == "caffe":
        bgr, inputs = found.bgr is not False, parameters.CAFFE
    elif preprocessing == "torchvision":
        bgr, inputs = False, parameters.TORCHVISION
    elif oxford:
        bgr, inputs = likeness["BGR"] > likeness["RGB"], inputs or parameters.CAFFE
    elif inputs is None and files.sha256(path) == TORCHVISION_SHA256:
        bgr, inputs = False, parameters.TORCHVISION
    if inputs is None or bgr is None:
        remedy = f"give {argument('preprocessing')} caffe or torchvision"
        raise InputError(f"{path}: its preprocessing cannot be told from its content; {remedy}")
    if bgr:
        layers["conv1_1"]["kernel"] = np.ascontiguousarray(kernel[:, :, ::-1])
    params = {"params": layers, "preprocessing": inputs}
    parameters.check_parameters(params, str(path))
    return params, oxford


def _reader(path: Path, start: bytes) -> Callable[[Path], _Source]:
    if start.startswith(b"MATLAB "):
        return _matconvnet
    if start.startswith(b"\x80\x02"):
        return _torch
    if start.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            return _torch if any(name.endswith("/data.pkl") for name in archive.namelist()) else _npz
    raise InputError(f"{path}: must be Keras HDF5, torch .pth, MatConvNet .mat (-v6 or -v7) or .npz")


def _values(path: Path, found: _Source) -> dict[str, dict[str, np.ndarray]]:
    """Reads all arrays, after their shapes and dtypes have all been found right."""
    problems = parameters.shape_problems({name: array.shape for name, array in found.arrays.items()})
    problems += [
        f"{name} is {array.dtype}, not float32"
        for name, array in found.arrays.items()
        if name in parameters.SHAPES and array.dtype != np.float32
    ]
    parameters.raise_problems(path, problems)
    return {
        layer: {part: np.ascontiguousarray(found.arrays[f"{layer}/{part}"].read()) for part in ("kernel", "bias")}
        for layer in CONVOLUTIONS
    }


def _likeness_to_oxford(kernel: np.ndarray) -> dict[str, float]:
    """How alike each filter of a conv1_1 kernel [3, 3, 3, 64] is to the shipped one's, for either channel order.

    The median over filters of their cosine: 1 for the original weights however they were scaled or rounded.
    """
    shipped = weights.load()["params"]["conv1_1"]["kernel"]

    def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a.astype(np.float64) * b).sum((0, 1, 2))

    def cosine(other: np.ndarray) -> float:
        norms = np.sqrt(dot(other, other) * dot(shipped, shipped))
        return float(np.median(dot(other, shipped) / np.maximum(norms, 1e-12)))

    return {"RGB": cosine(kernel), "BGR": cosine(kernel[:, :, ::-1])}


def _keras(file) -> _Source:
    arrays = {}
    for name, dataset in hdf5.datasets(file).items():
        if match := _KERAS.fullmatch(name):
            block, number, part = match.groups()
            name = f"conv{block}_{number}/{_PARTS[part]}"  # noqa: PLW2901
        elif _CLASSIFIER.match(name):
            continue
        shape = dataset.shape or ()
        arrays[name] = _Array(shape, dataset.dtype, lambda d=dataset, s=shape: hdf5.read(d, s, np.float32))
    return _Source(arrays, bgr=True, preprocessing=parameters.CAFFE)


def _torch(path: Path) -> _Source:
    by_index = _torchvision_names()
    arrays = {}
    for name, tensor in torchfile.tensors(path).items():
        match = _TORCH.fullmatch(name)
        if match and (layer := by_index.get(match[1], match[1])) in CONVOLUTIONS:
            part = _PARTS[match[2]]
            if part == "kernel" and len(tensor.shape) == 4:
                out, incoming, height, width = tensor.shape
                shape = (height, width, incoming, out)
                arrays[f"{layer}/kernel"] = _Array(shape, tensor.dtype, lambda t=tensor: t.read().transpose(2, 3, 1, 0))
            else:
                arrays[f"{layer}/{part}"] = _Array(tensor.shape, tensor.dtype, tensor.read)
        elif not _CLASSIFIER.match(name):
            arrays[name] = _Array(tensor.shape, tensor.dtype, tensor.read)
    return _Source(arrays)


def _torchvision_names() -> dict[str, str]:
    """`features.0` -> conv1_1 and so on: torchvision counts each convolution, its ReLU and each pool."""
    names, index = {}, 0
    for layer in LAYERS:
        if layer in CONVOLUTIONS:
            names[f"features.{index}"] = layer
            index += 2
        else:
            index += 1
    return names


def _matconvnet(path: Path) -> _Source:
    content = matconvnet.variables(path, ("layers", "meta", "normalization"))
    arrays = {}
    for layer in content["layers"].flat:
        name = str(_field(layer, "name").item())
        pair = _field(layer, "weights")
        pair = [_field(layer, "filters"), _field(layer, "biases")] if pair is None else list(pair.flat)
        if len(pair) < 2 or pair[0] is None or _CLASSIFIER.match(name):
            continue  # a ReLU, a pool or the classifier
        kernel, bias = pair[0], pair[1].reshape(-1)  # MATLAB has no vectors: it is [1, out] or [out, 1]
        arrays[f"{name}/kernel"] = _Array(kernel.shape, kernel.dtype, lambda a=kernel: a)
        arrays[f"{name}/bias"] = _Array(bias.shape, bias.dtype, lambda a=bias: a)
    normalization = _field(content["meta"], "normalization") if "meta" in content else content.get("normalization")
    average = _field(normalization, "averageImage")
    inputs = parameters.CAFFE
    if average is not None and average.dtype.kind in "fiu" and average.size % 3 == 0 and average.size:
        color = average.reshape(-1, 3, order="F") if average.shape[-1] == 3 else average.reshape(1, 3)
        inputs = {**inputs, "mean": color.mean(0, dtype=np.float64).astype(np.float32)}
    return _Source(arrays, bgr=False, preprocessing=inputs)


def _field(struct: Any, name: str) -> Any:
    """The value of a field of a 1x1 struct; None where there is no such field."""
    known = isinstance(struct, np.ndarray) and struct.size == 1 and name in (struct.dtype.names or ())
    return struct[name].item() if known else None


def _npz(path: Path) -> _Source:
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        foreign.check_entries(path, len(archive.namelist()))
        for member in archive.namelist():
            name = member.removesuffix(".npy")
            with archive.open(member) as file:
                # Version 1 is what NumPy writes for plain arrays; the headers of later ones may be 4 GB long.
                if np.lib.format.read_magic(file) != (1, 0):
                    raise ValueError("it is not in version 1.0 of the npy format")
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if match := _NPZ.fullmatch(name):
                arrays[f"{match[1]}/{_PARTS[match[2]]}"] = _Array(shape, dtype, lambda m=member: _member(path, m))
            elif not _CLASSIFIER.match(name):
                arrays[name] = _Array(shape, dtype, lambda m=member: _member(path, m))
    return _Source(arrays, bgr=False)


def _member(path: Path, name: str) -> np.ndarray:
    """An array of a .npz, of which no more is allocated than its header says, which has been found right."""
    with np.load(path, allow_pickle=False) as archive:
        return archive[name]
