"""What `nst-jax features` does."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from nst_jax.cli.progress import PictureCounter
from nst_jax.errors import InputError
from nst_jax.measures.descriptors import describe, save
from nst_jax.network.vgg import prepare
from nst_jax.pictures import files, images
from nst_jax.transfer import assemble
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights

SHAPES = 32  # of pictures, whose compiled programs are kept at once: each takes about 12 MB


def features(sources: Sequence[Path], output: Path, kind: str, settings: Settings, *, quiet: bool) -> int:
    """Writes the style representation of pictures, and of those in folders, as one .npz."""
    if output.suffix != ".npz":
        raise InputError(f"--output {output}: unknown ending; must be .npz")
    files.check_writable(output)
    lists = [images.pictures_in(source, "PICTURE|FOLDER") if source.is_dir() else [source] for source in sources]
    paths = [path for found in lists for path in found]
    one_folder = len(sources) == 1 and sources[0].is_dir()
    names = [(path.relative_to(sources[0]) if one_folder else path).as_posix() for path in paths]
    _check_pictures(paths, settings, quiet)
    params = jax.device_put(prepare(weights.load(settings.weights), settings.style_layers))
    options = {"pool": settings.pool, "precision": settings.precision}
    with PictureCounter(output.name, len(paths), quiet) as report:

        def rows() -> Iterator[dict[str, np.ndarray]]:
            shapes: set[tuple[int, ...]] = set()
            for path in paths:
                picture = assemble.read_picture(path, settings, settings.size)
                if picture.shape not in shapes and len(shapes) == SHAPES:
                    jax.clear_caches()
                    shapes.clear()
                shapes.add(picture.shape)
                yield jax.device_get(describe(params, picture, kind, settings.style_layers, **options))
                report(path.name)

        save(output, names, rows())
    return 0


def _check_pictures(paths: Sequence[Path], settings: Settings, quiet: bool) -> None:
    """Refuses bad ones before any computing; together the good ones may be too large to keep."""
    refusals: list[InputError] = []
    with PictureCounter("reading", len(paths), quiet or not sys.stderr.isatty()) as report:
        for path in paths:
            try:
                assemble.read_picture(path, settings, settings.size)
            except InputError as error:
                refusals.append(error)
            report(path.name)
    if refusals:
        more = f" ({len(refusals)} of {len(paths)} pictures are refused)" if len(refusals) > 1 else ""
        raise InputError(f"{refusals[0]}{more}") from refusals[0]
