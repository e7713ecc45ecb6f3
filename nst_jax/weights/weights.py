"""VGG-19's parameters: loading, checking, saving, and the files that are known by name.

A weights file is HDF5. For each of the 16 convolutions it holds `conv1_1/bias`, float32 [out], and `conv1_1/kernel`,
[3, 3, in, out] (HWIO, RGB input order), either float32 or uint8 indices into `conv1_1/kernel_table`, float32 [256].
Attributes tell the preprocessing (`mean`, `scale`, `channel_order`), the origin, the licence and the source's sha256.
A file of mean activations (see `weights.normalize`) stands for the normalized network of the weights that it names.
A `SHA256SUMS` file beside either, as the program sha256sum writes it, is its manifest.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.network.parameters import Params, check_parameters, raise_problems, shape_problems
from nst_jax.pictures import files
from nst_jax.weights import hdf5, manifest, normalize
from nst_jax.weights.cache import NO_CACHE, cache_directory

FORMAT = "nst_jax VGG-19 weights 1"
OXFORD = {
    "origin": "VGG-19 of K. Simonyan and A. Zisserman, Visual Geometry Group, University of Oxford: "
    "Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv 1409.1556",
    "licence": "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), K. Simonyan and A. Zisserman",
}
"""The attributes of the original weights."""

SHIPPED = "vgg19"
NORMALIZED = "vgg19-normalized"
FULL = "vgg19-full"


@dataclass(frozen=True)
class Verified:
    """What a sound weights file is."""

    path: Path
    bytes: int
    sha256: str
    in_manifest: bool  # the sha256 agrees with the manifest beside the file; False: no manifest speaks of it
    layers: int
    storage: str  # "8-bit", "float32" or "mean activations for" the weights they are of
    attributes: dict[
        str, str
    ]  # origin, licence, source, source_sha256, channel_order and others, as far as they are given
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]


@dataclass(frozen=True)
class Named:
    """A weights file that `load` knows by name; `present` says whether it is there, `verify` whether it is sound."""

    name: str
    path: Path | None  # None: the user has no cache folder
    present: bool
    description: str


def load(name_or_path: str | os.PathLike = SHIPPED) -> Params:
    """Loads VGG-19's parameters.

    Args:
      name_or_path: "vgg19" (shipped, 8-bit), "vgg19-normalized" (shipped, made from it and its mean activations),
        "vgg19-full" (float32, after `nst-jax weights fetch`) or a weights file.

    Returns:
      {"params": {layer: {"kernel": float32 [3, 3, in, out], "bias": float32 [out]}},
      "preprocessing": {"mean": float32 [3], "scale": float32 [3]}}, as NumPy arrays.

    Raises:
      InputError: the file is absent, corrupt, incomplete, of wrong shapes, or not what its manifest says.

    Example:
      >>> params = nst.load_weights()
      >>> params["params"]["conv1_1"]["kernel"].shape, params["preprocessing"]["mean"].shape
      ((3, 3, 3, 64), (3,))
    """
    path = _find(name_or_path)
    manifest.check(path, _digest(path), required=_is_name(name_or_path))
    with hdf5.opened(path) as file:
        return _read(file)


def verify(name_or_path: str | os.PathLike = SHIPPED) -> Verified:
    """Reads a weights file whole and says what it is.

    Args:
      name_or_path: as for `load`.

    Returns:
      What was found in it; `bytes` is its size.

    Raises:
      InputError: where `load` would.

    Example:
      >>> found = nst.weights.verify_weights("vgg19")
      >>> found.storage, found.layers, found.in_manifest
      ('8-bit', 16, True)
    """
    path = _find(name_or_path)
    digest = _digest(path)
    in_manifest = manifest.check(path, digest, required=_is_name(name_or_path))
    with hdf5.opened(path) as file:
        params = _read(file)
        tables = sum(name.endswith("/kernel_table") for name in hdf5.datasets(file))
        attributes = hdf5.text_attributes(file)
    preprocessing = params["preprocessing"]
    storage = "8-bit" if tables else "float32"
    if attributes["format"] == normalize.FORMAT:
        storage = f"mean activations for {attributes['of']}"
    return Verified(
        path=path,
        bytes=path.stat().st_size,
        sha256=digest,
        in_manifest=in_manifest,
        layers=len(params["params"]),
        storage=storage,
        attributes=attributes,
        mean=tuple(preprocessing["mean"].tolist()),
        scale=tuple(preprocessing["scale"].tolist()),
    )


def sha256(name_or_path: str | os.PathLike = SHIPPED) -> str:
    """Computes the SHA-256 of a weights file's bytes.

    Args:
      name_or_path: as for `load`.

    Returns:
      64 hexadecimal digits.

    Raises:
      InputError: the file is absent or cannot be read.
    """
    return _digest(_find(name_or_path))


def save(
    path: str | os.PathLike,
    params: Params,
    *,
    attributes: Mapping[str, str],
    tables: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes a weights file, whole or not at all; the same parameters always give the same bytes.

    Args:
      path: the HDF5 file to write.
      params: parameters, as `load` gives them.
      attributes: text about them: origin, licence, source, source_sha256 and the like. Those by which a file is read
        are not theirs to set.
      tables: {layer: float32 [256]}, ascending, to store each kernel as 8-bit indices, without rounding anything;
        None stores float32.

    Raises:
      InputError: parameters are missing, unexpected, misshapen or not finite.
      ValueError: a kernel has values that are not in its table.

    Example:
      >>> nst.weights.save_weights("own.h5", params, attributes={"origin": "an example"})
      >>> nst.weights.verify_weights("own.h5").attributes["origin"]
      'an example'
    """
    check_parameters(params)
    with files.atomic(path) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
        preprocessing = "(255 * RGB image in 0..1 - mean) * scale, then zero padding"
        own = {"format": FORMAT, "channel_order": "RGB", "preprocessing": preprocessing}
        for name, text in {**own, **attributes, **own}.items():
            file.attrs[name] = np.bytes_(text.encode())
        for name in ("mean", "scale"):
            file.attrs[name] = np.asarray(params["preprocessing"][name], np.float32)
        for layer in CONVOLUTIONS:
            kernel, bias = (np.asarray(params["params"][layer][name], np.float32) for name in ("kernel", "bias"))
            if tables is None:
                file.create_dataset(f"{layer}/kernel", data=kernel)
            else:
                table = np.asarray(tables[layer], np.float32)
                indices = np.searchsorted(table, kernel).clip(0, 255).astype(np.uint8)
                if table.shape != (256,) or not np.array_equal(table[indices], kernel):
                    raise ValueError(f"{layer}: the kernel has values that its 256-entry table has not")
                file.create_dataset(
                    f"{layer}/kernel", data=indices, chunks=indices.shape, compression="gzip", compression_opts=9
                )
                file.create_dataset(f"{layer}/kernel_table", data=table)
            file.create_dataset(f"{layer}/bias", data=bias)
        file.attrs["crc32"] = hdf5.crc32(_arrays(params))


def available() -> list[Named]:
    """Lists the weights known by name, whether or not they are there.

    Returns:
      One entry for each name that `load` takes, the shipped ones first.
    """
    known = (
        (SHIPPED, "original Oxford weights, 8-bit, shipped"),
        (NORMALIZED, "the same, scaled so that each filter's mean activation is one, shipped"),
        (FULL, "original Oxford weights, float32, from `nst-jax weights fetch`"),
    )
    found = [(name, _path_of(name), description) for name, description in known]
    return [Named(name, path, path is not None and path.is_file(), description) for name, path, description in found]


def _read(file: h5py.File) -> Params:
    path = file.filename
    attributes = hdf5.text_attributes(file)
    if attributes.get("format") == normalize.FORMAT:
        return _normalized(file, attributes)
    if attributes.get("format") != FORMAT or attributes.get("channel_order") != "RGB":
        raise InputError(f"{path}: not a weights file of nst_jax; make one with `nst-jax weights convert`")
    found = hdf5.datasets(file)
    tables = [f"{layer}/kernel_table" for layer in CONVOLUTIONS]
    raise_problems(path, shape_problems({name: dataset.shape for name, dataset in found.items()}, optional=tables))

    def stored(layer: str) -> tuple[Callable[[], np.ndarray], np.ndarray | None, np.ndarray]:
        """What gives a layer's kernel or its indices, the table that these are for, and the bias."""
        incoming, outgoing = CONVOLUTIONS[layer]
        table = found.get(f"{layer}/kernel_table")
        kernel_type = np.float32 if table is None else np.uint8
        return (
            hdf5.stored(found[f"{layer}/kernel"], (3, 3, incoming, outgoing), kernel_type),
            None if table is None else hdf5.read(table, (256,), np.float32),
            hdf5.read(found[f"{layer}/bias"], (outgoing,), np.float32),
        )

    def parameters(layer: tuple[Callable[[], np.ndarray], np.ndarray | None, np.ndarray]) -> dict[str, np.ndarray]:
        kernel, table, bias = layer
        return {"kernel": kernel() if table is None else table[kernel()], "bias": bias}

    with ThreadPoolExecutor() as others:
        # Only inflating and looking up, which need no interpreter; `map` takes from the file on this very thread.
        layers = dict(zip(CONVOLUTIONS, others.map(parameters, map(stored, CONVOLUTIONS)), strict=True))
    preprocessing = {name: hdf5.attribute(file, name, (3,), np.float32) for name in ("mean", "scale")}
    params = {"params": layers, "preprocessing": preprocessing}
    check_parameters(params, path)
    hdf5.check_crc32(file, _arrays(params))
    return params


def _normalized(file: h5py.File, attributes: Mapping[str, str]) -> Params:
    means = normalize.read_means(file)
    of, of_sha256 = attributes.get("of"), attributes.get("of_sha256")
    if of not in (SHIPPED, FULL):
        raise InputError(f"{file.filename}: mean activations of {of!r}; must be of {SHIPPED} or {FULL}")
    path = _find(of)
    if (digest := _digest(path)) != of_sha256:
        raise InputError(f"{file.filename}: mean activations of {of} with sha256 {of_sha256}, not {digest} ({path})")
    with hdf5.opened(path) as weights:
        return normalize.normalized(_read(weights), means)


def _arrays(params: Params) -> list[np.ndarray]:
    arrays = [params["preprocessing"]["mean"], params["preprocessing"]["scale"]]
    return arrays + [params["params"][layer][name] for layer in CONVOLUTIONS for name in ("kernel", "bias")]


def _data_folder() -> Path:
    """Where the shipped files are: inside an installed package, or beside the package in a source checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "weights"


def _path_of(name: str) -> Path | None:
    folder = cache_directory() if name == FULL else _data_folder()
    return folder and folder / f"{name}.h5"


def _is_name(name_or_path: str | os.PathLike) -> bool:
    return name_or_path in (SHIPPED, NORMALIZED, FULL)


def _find(name_or_path: str | os.PathLike) -> Path:
    path = _path_of(str(name_or_path)) if _is_name(name_or_path) else Path(name_or_path)
    if path and path.is_file():
        return path
    if name_or_path == FULL:
        raise InputError(f"weights {FULL}: not fetched yet ({path or NO_CACHE}); run `nst-jax weights fetch`")
    if _is_name(name_or_path):
        raise InputError(
            f"weights {name_or_path}: {path} is not there; the installation is damaged, install nst_jax again"
        )
    raise InputError(f"weights {path}: no such file; give {SHIPPED}, {NORMALIZED}, {FULL} or a weights file")


def _digest(path: Path) -> str:
    try:
        return files.sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
