"""What `nst-jax features` does."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import jax
import numpy as np

from nst_jax.cli.progress import PictureCounter
from nst_jax.cli.skipping import readable, skipped
from nst_jax.errors import InputError
from nst_jax.measures.descriptors import style_descriptors
from nst_jax.network.vgg import prepare
from nst_jax.pictures import files, images
from nst_jax.runs.inputs import read_picture
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights

SHAPES = 32  # of pictures, whose compiled programs are kept at once: each takes about 12 MB


def features(
    sources: Sequence[Path], output: Path, kind: str, settings: Settings, *, skip_bad: bool, quiet: bool
) -> int:
    """Writes the style representation of pictures, and of those in folders, as one .npz; returns the exit code."""
    if output.suffix != ".npz":
        raise InputError(f"--output {output}: unknown ending; must be .npz")
    files.check_writable(output)
    lists = [images.pictures_in(source, "PICTURE|FOLDER") if source.is_dir() else [source] for source in sources]
    paths, refusals = readable([path for found in lists for path in found], settings, skip_bad=skip_bad, quiet=quiet)
    one_folder = len(sources) == 1 and sources[0].is_dir()
    names = [(path.relative_to(sources[0]) if one_folder else path).as_posix() for path in paths]
    params = jax.device_put(prepare(weights.load(settings.weights), settings.style_layers))
    options = {"pool": settings.pool, "padding": settings.padding, "precision": settings.exact.precision}
    with PictureCounter(output.name, len(paths), quiet) as report:

        def rows() -> Iterator[dict[str, np.ndarray]]:
            shapes: set[tuple[int, ...]] = set()
            for path in paths:
                picture = read_picture(path, settings, settings.size)
                if picture.shape not in shapes and len(shapes) == SHAPES:
                    jax.clear_caches()
                    shapes.clear()
                shapes.add(picture.shape)
                yield jax.device_get(style_descriptors(params, picture, kind, settings.style_layers, **options))
                report(path.name)

        save(output, names, rows())
    return skipped(refusals)


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
