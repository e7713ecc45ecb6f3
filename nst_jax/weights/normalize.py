"""The normalized network: weights scaled so that each filter's mean activation over images and positions is one.

Gatys, Ecker & Bethge, Image Style Transfer Using Convolutional Neural Networks (CVPR 2016), section 2: the network's
output is unchanged up to a positive scale per filter, since its units are rectified and its pools, of every kind, let
scales through.

The mean activations alone, with the weights they were measured on, give the normalized network, so a small file keeps
them: HDF5 with `conv1_1/mean_activation`, float32 [out], for each of the 16 convolutions, and attributes that tell the
weights by name (`of`) and sha256 (`of_sha256`).
"""

import os
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.pictures import files
from nst_jax.weights import hdf5

FORMAT = "nst_jax VGG-19 mean activations 1"
Means = dict[str, np.ndarray]


def normalized(params: Any, means: Means) -> Any:
    """The parameters scaled so that a filter of mean activation s has mean activation one.

    With s' the previous layer's: W[..., i, o] s'[i] / s[o] and b[o] / s[o]. A filter that never responds is left at its
    scale. Only a positive scale per filter changes, in float64 and rounded to float32 at the end.

    Args:
      params: parameters, as `weights.load` gives them.
      means: {layer: [filters]} of these very parameters, from `nst_jax.weights.mean_activations`.

    Returns:
      New parameters of the same shapes, float32; the preprocessing is the same.
    """
    layers = {}
    incoming = np.ones(3)
    for layer in CONVOLUTIONS:
        kernel, bias = (np.asarray(params["params"][layer][name], np.float64) for name in ("kernel", "bias"))
        scale = np.where(means[layer] > 0, means[layer], 1.0)
        layers[layer] = {
            "kernel": (kernel * incoming[:, None] / scale).astype(np.float32),
            "bias": (bias / scale).astype(np.float32),
        }
        incoming = scale
    return {"params": layers, "preprocessing": params["preprocessing"]}


def save_means(path: str | os.PathLike, means: Means, *, attributes: Mapping[str, str]) -> None:
    """Writes mean activations as float32, whole or not at all; the same ones always give the same bytes.

    Args:
      path: the HDF5 file to write.
      means: {layer: [filters]}, finite, zero or more.
      attributes: text about them; `of` and `of_sha256`, the weights they were measured on, must be among them.
    """
    with files.atomic(path) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
        own = {"format": FORMAT}
        for name, text in {**own, **attributes, **own}.items():
            file.attrs[name] = np.bytes_(text.encode())
        for layer in CONVOLUTIONS:
            file.create_dataset(f"{layer}/mean_activation", data=np.asarray(means[layer], np.float32))
        file.attrs["crc32"] = hdf5.crc32(means[layer] for layer in CONVOLUTIONS)


def read_means(file: h5py.File) -> Means:
    """Reads what `save_means` wrote.

    Args:
      file: the open file.

    Returns:
      {layer: float32 [filters]} for the 16 convolutions.

    Raises:
      InputError: mean activations are missing, misshapen, negative, not finite or damaged.
    """
    found = hdf5.datasets(file)
    means = {}
    for layer, (_, outgoing) in CONVOLUTIONS.items():
        name = f"{layer}/mean_activation"
        if name not in found:
            raise InputError(f"{file.filename}: {name} is missing")
        means[layer] = hdf5.read(found[name], (outgoing,), np.float32)
        if not (np.isfinite(means[layer]).all() and (means[layer] >= 0).all()):
            raise InputError(f"{file.filename}: {name} must be finite numbers, zero or more")
    hdf5.check_crc32(file, means.values())
    return means
