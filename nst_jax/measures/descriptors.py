"""The style representation of pictures, for other uses: a descriptor of each, and the file that many go into."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.errors import InputError
from nst_jax.loss import losses
from nst_jax.loss.objective import STYLE_LAYERS
from nst_jax.network.vgg import features
from nst_jax.pictures import files

Array = jax.Array
KINDS = ("gram", "compact")


def channel_statistics(activation: Array) -> Array:
    """Each filter's mean and standard deviation over positions: a style representation of 2N numbers, not N².

    Li, Wang, Liu & Hou (arXiv 1701.01036, section 4.2) transfer style by these alone, as do Huang & Belongie (arXiv
    1703.06868, equation 8).

    Args:
      activation: F, [..., height, width, N].

    Returns:
      [..., 2N]: the N means, then the N standard deviations.
    """
    return jnp.concatenate([activation.mean((-3, -2)), activation.std((-3, -2))], axis=-1)


@partial(jax.jit, static_argnames=("kind", "layers", "pool", "precision"))
def describe(
    params: Any,
    images: Array,
    kind: str = "gram",
    layers: tuple[str, ...] = STYLE_LAYERS,
    *,
    pool: str = "avg",
    precision: str = "float32",
) -> dict[str, Array]:
    """A descriptor of each picture's style for each layer. Another height or width is compiled anew.

    Args:
      params: parameters, as `weights.load` gives them.
      images: [..., height, width, 3] float32 RGB, 0..1.
      kind: "gram" for G/M of equation 3 (`losses.style_representation`), "compact" for `channel_statistics`.

    Returns:
      {layer: [..., N, N] or [..., 2N] float32}.

    Raises:
      InputError: an unknown kind, and as `features`.
    """
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: unknown; known are {', '.join(KINDS)}")
    activations = features(params, images, layers, pool=pool, precision=precision)
    if kind == "compact":
        return {layer: channel_statistics(x) for layer, x in activations.items()}
    return {layer: losses.style_representation(x, precision) for layer, x in activations.items()}


def save(path: str | os.PathLike, names: Sequence[str], rows: Iterable[Mapping[str, np.ndarray]]) -> None:
    """Writes the descriptors of many pictures as one .npz, whole or not at all.

    One row is in memory at a time. They are gathered in files without names beside `path`, so that for a while the
    disk holds everything twice. The same descriptors give the same bytes.

    Args:
      path: the file; `numpy.load` reads it, without pickle, as `names` [pictures] and, for each layer, a stacked array
        [pictures, ...] float32.
      names: one for each picture.
      rows: for each name {layer: array}, all of the same layers and shapes.

    Raises:
      OSError: the file cannot be written.
    """
    path = Path(path)
    with files.atomic(path) as temporary, ExitStack() as stack:
        stacks: dict[str, BinaryIO] = {}
        for _, row in zip(names, rows, strict=True):
            for layer, values in row.items():
                if layer not in stacks:
                    stacks[layer] = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
                    shape = (len(names), *values.shape)
                    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(stacks[layer], header)
                stacks[layer].write(values.astype("<f4").tobytes())
        with zipfile.ZipFile(temporary, "w") as archive:
            with archive.open("names.npy", "w") as member:
                np.lib.format.write_array(member, np.array(names, np.str_), allow_pickle=False)
            for layer, stacked in stacks.items():
                stacked.seek(0)
                with archive.open(f"{layer}.npy", "w", force_zip64=True) as member:
                    shutil.copyfileobj(stacked, member)
