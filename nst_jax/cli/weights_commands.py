"""What `nst-jax weights ...` does."""

import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from nst_jax.cli.output import check_taken
from nst_jax.errors import InputError
from nst_jax.pictures import files
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights
from nst_jax.weights.cache import NO_CACHE

_KEPT = ("origin", "licence", "source", "source_sha256")  # attributes that stay true when weights are changed


def show_all() -> int:
    """`weights list`."""
    for named in weights.available():
        there = "there " if named.present else "absent"
        print(f"{named.name:16} {there} {named.description} ({named.path or NO_CACHE})")
    check_taken()
    return 0


def verify(names: list[str]) -> int:
    """`weights verify`: of those named, or of all that are there."""
    for name in names or [named.name for named in weights.available() if named.present]:
        sound = weights.verify(name)
        manifest = "as its manifest says" if sound.in_manifest else "in no manifest"
        print(
            f"{name}: sound; {sound.layers} layers, {sound.storage}, {sound.bytes:,} bytes; "
            f"sha256 {sound.sha256} ({manifest}); origin: {sound.attributes.get('origin', 'unknown')}"
        )
    check_taken()
    return 0


def convert(source: Path, output: Path, preprocessing: str) -> int:
    """`weights convert`."""
    from nst_jax.weights import convert as converter  # noqa: PLC0415 (not needed by the others)

    _check_output(output)
    converter.convert(source, output, preprocessing=preprocessing)  # type: ignore[arg-type]
    return 0


def fetch(quiet: bool) -> int:
    """`weights fetch`."""
    from nst_jax.weights import fetch as fetcher  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), disable=quiet,
    )  # fmt: skip
    with bar:
        task = bar.add_task("vgg19", total=fetcher.KERAS_BYTES)
        path = fetcher.fetch(lambda progress: bar.update(task, completed=progress.done))
    print(path)
    return 0


def normalize(folder: Path, output: Path, means_only: bool, settings: Settings, *, skip_bad: bool, quiet: bool) -> int:
    """`weights normalize`; returns the exit code."""
    from nst_jax.cli.skipping import readable, skipped  # noqa: PLC0415
    from nst_jax.pictures import images  # noqa: PLC0415
    from nst_jax.weights import mean_activations  # noqa: PLC0415
    from nst_jax.weights import normalize as normalizer  # noqa: PLC0415

    if not folder.is_dir():
        raise InputError(f"FOLDER {folder}: is not a folder; name one with pictures in it")
    found = sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in images.ENDINGS)
    if not found:
        raise InputError(f"FOLDER {folder}: no pictures in it ({' '.join(images.ENDINGS)})")
    _check_output(output)
    if means_only and settings.weights not in (weights.SHIPPED, weights.FULL):
        named = f"must be {weights.SHIPPED} or {weights.FULL}"
        raise InputError(f"--weights {settings.weights}: with --means-only {named}, which can be found again by name")
    paths, refusals = readable(found, settings, skip_bad=skip_bad, quiet=quiet)
    params = weights.load(settings.weights)

    def pictures() -> Iterator:
        for number, path in enumerate(paths, 1):
            if not quiet:
                print(f"{number}/{len(paths)} {path.name}", file=sys.stderr)
            yield images.read_image(path, size=settings.size, max_pixels=settings.max_pixels)

    means = mean_activations.mean_activations(params, pictures())
    sound = weights.verify(settings.weights)
    kept = {name: sound.attributes[name] for name in _KEPT if name in sound.attributes}
    made = f"each filter's mean activation over {len(paths)} pictures of {settings.size} px, average pooling, is one"
    attributes = {**kept, "normalised": made}
    if means_only:
        of = {"of": settings.weights, "of_sha256": sound.sha256}
        normalizer.save_means(output, means, attributes=attributes | of)
    else:
        weights.save(output, normalizer.normalized(params, means), attributes=attributes)
    return skipped(refusals)


def quantize(source: str, output: Path, bits: int) -> int:
    """`weights quantize`."""
    from nst_jax.weights import quantize as quantizer  # noqa: PLC0415

    _check_output(output)
    params, tables = quantizer.quantized(weights.load(source), bits)
    attributes = weights.verify(source).attributes
    kept = {name: attributes[name] for name in (*_KEPT, "normalised") if name in attributes}
    earlier = f"{attributes['changes']}; then " if "changes" in attributes else ""
    made = f"{earlier}kernels quantized to {2**bits} values a layer by nst_jax"
    weights.save(output, params, attributes={**kept, "changes": made}, tables=tables)
    return 0


def _check_output(output: Path) -> None:
    if output.suffix != ".h5":
        raise InputError(f"--output {output}: unknown ending; must be .h5")
    files.check_writable(output)
