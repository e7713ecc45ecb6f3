"""What `nst-jax reconstruct`, `recolor`, `blend-styles` and `evaluate` do: files in, the library called, files out."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nst_jax import __version__
from nst_jax.cli.interrupt import Interrupt
from nst_jax.cli.output import check_taken
from nst_jax.cli.progress import LanesReporter, lost
from nst_jax.cli.results import check_style, finite, losses_report, provenance, refuse_inputs, write
from nst_jax.cli.stylize_command import one_picture
from nst_jax.errors import FAILED, InputError, argument
from nst_jax.measures import measures
from nst_jax.network.vgg import check_layers
from nst_jax.optim.compiler import Compile
from nst_jax.optim.status import Status
from nst_jax.pictures import files, images
from nst_jax.runs import inputs
from nst_jax.transfer import figures
from nst_jax.transfer import recolor as recoloring
from nst_jax.transfer.arguments import check_blend
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.stylizing import evaluated
from nst_jax.transfer.transfer import Transfer
from nst_jax.weights import weights


def reconstruct(
    kind: str, image: Path, output: Path, layers: tuple[str, ...], settings: Settings, *, force: bool, quiet: bool,
    compile: Compile,
) -> int:  # fmt: skip
    """Figure 1's reconstructions: a picture's content from single layers, or its style from cumulative subsets."""
    layers = check_layers(layers, argument("layers"))
    picture = inputs.read_picture(image, settings, settings.size)
    params = weights.load(settings.weights)
    _make_folder(output, force)
    made_from = provenance(image, [], settings.exact)
    name = image.name
    table = figures.reconstructions(kind, name, name, layers, settings)
    work = Transfer(params, {name: picture}, {name: [picture]}, table, count=1, compile=compile)
    problem = work.problem(work.scales[0])
    engine = work.engine(problem, len(layers), ())
    title = f"{kind} of {name}"
    places = []
    with Interrupt() as interrupt:
        found: dict[int, np.ndarray] = {}
        with LanesReporter(title, engine, quiet) as report:
            while not engine.finished and not interrupt.number:
                found |= {over.lane: over.image for over in engine.advance().finished}
                report()
        found |= engine.images()
        stopped = interrupt.number != 0
        for number, lane in enumerate(table.lanes):
            own = dict(lane.content_layers if kind == "content" else lane.style_layers)
            about = made_from | {"reconstruct": kind, "layers": {layer: own.get(layer, 0.0) for layer in layers}}
            path = output / f"{lane.name}.png"
            places.append((path, write(path, found[number], about, settings.bits)))
    if not quiet:
        print(*(written for _, written in places), sep="\n")
    if stopped:
        return interrupt.code
    names = [lane.name for number, lane in enumerate(table.lanes) if engine.status[number] == Status.NOT_FINITE]
    return max(lost(names), *(FAILED for path, written in places if written != path), 0)


def recolor(image: Path, like: Path, output: Path, settings: Settings, *, color: str, quiet: bool) -> int:
    """Brings the colors of any picture to a photograph's."""
    images.check_output(output, bits=settings.bits)
    refuse_inputs(output, [image, like])
    picture = inputs.read_picture(image, settings, None)
    height, width = picture.shape[:2]
    if color == "luminance":
        photo = inputs.read_to_size(like, settings, height, width, "like")
        made = recoloring.with_chroma(picture, photo)
    else:
        made = recoloring.match_colors(picture, inputs.read_picture(like, settings, None), settings.color_match)
    about = {"version": __version__, "recolor": color} | {
        role: {"file": path.name, "sha256": files.sha256(path)} for role, path in (("picture", image), ("like", like))
    }
    if color == "match":
        about["color_match"] = settings.color_match
    written = write(output, made, about, settings.bits)
    if not quiet:
        print(f"{written}: {width}x{height}")
    return 0 if written == output else FAILED


def blend_styles(
    fine: Path, coarse: Path, output: Path, settings: Settings, *, memory: int | None, quiet: bool, compile: Compile
) -> int:  # fmt: skip
    """A painting with the fine structure of one and the coarse structure of another; returns the exit code.

    As Gatys, Ecker, Bethge, Hertzmann and Shechtman make it (arXiv 1611.07865, section "Scale control"): from the
    coarse painting, by low layers of the fine one's style alone.
    """
    unweighted = settings.style_layers[:1]  # so that the network goes no deeper than the style does
    own = replace(settings, alpha=0.0, beta=1.0, content_layers=unweighted, init="content", scales=1)
    return one_picture(
        coarse, [fine], output, own, original_size=False, transparency="white", memory=memory, save_every=None,
        timelapse=None, tensorboard=None, quiet=quiet, as_json=False, compile=compile,
    )  # fmt: skip


def evaluate(image: Path, content: Path, style: Sequence[Path], settings: Settings, *, with_measures: bool) -> int:
    """Prints the loss of any picture, in parts, as JSON. The picture keeps its own size."""
    picture = inputs.read_picture(image, settings, None)
    height, width = picture.shape[:2]
    check_style(style, settings)
    check_blend(settings, style)
    photo = inputs.read_to_size(content, settings, height, width, "content")
    beside = settings.beside(max(height, width))
    paintings = [inputs.read_picture(path, settings, beside) for path in style]
    regions = inputs.read_regions(settings, beside)
    losses, problem = evaluated(picture, photo, paintings or None, settings, regions)
    report = losses_report(losses, settings, (height, width))
    if with_measures:
        row = problem.measure(problem.lanes[0], picture).row()
        found = dict(zip(measures.columns(problem.style_layers), row, strict=True))
        report["measures"] = {
            name: finite(found.get(name, math.nan)) for name in measures.columns(settings.style_layers)
        }
    print(json.dumps(report))
    check_taken()
    return 0


def _make_folder(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{argument('output')} {folder}: is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(
            f"{argument('output')} {folder}: is not empty; {argument('force')} writes into it all the same"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{argument('output')} {folder}: cannot be made ({error.strerror})") from None
    files.check_writable(folder / "picture.png")
