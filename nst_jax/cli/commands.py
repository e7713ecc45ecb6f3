"""What `nst-jax stylize`, `reconstruct` and `evaluate` do: files in, the library called, files and figures out."""

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax import __version__, devices
from nst_jax.cli.interrupt import Interrupt
from nst_jax.cli.output import check_taken, kept
from nst_jax.cli.progress import LanesReporter, StepReporter, lost
from nst_jax.cli.watching import Watching
from nst_jax.errors import FAILED, InputError, argument
from nst_jax.loss.conventions import PAPER
from nst_jax.loss.objective import Losses
from nst_jax.measures import measures
from nst_jax.network.vgg import check_layers
from nst_jax.optim.compiler import Compile
from nst_jax.optim.status import Status
from nst_jax.pictures import files, images
from nst_jax.runs import inputs, moved
from nst_jax.transfer import figures, plan
from nst_jax.transfer import recolor as recoloring
from nst_jax.transfer.arguments import check_blend
from nst_jax.transfer.outcome import Outcome
from nst_jax.transfer.presence import Found
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.stylizing import Step, evaluated, planned
from nst_jax.transfer.transfer import Transfer
from nst_jax.weights import weights


def stylize(
    content: Path, style: Sequence[Path], output: Path, settings: Settings, *, original_size: bool, transparency: str,
    memory: int | None, save_every: int | None, timelapse: Path | None, tensorboard: Path | None, quiet: bool,
    as_json: bool, compile: Compile,
) -> int:  # fmt: skip
    """One picture; returns the exit code."""
    _check_style(style, settings)
    sources = [content, *style, *map(Path, moved.of_masks(settings))]
    _check_outputs(output, save_every, timelapse, settings, sources, transparency)
    watching = Watching(output, settings.evaluations, save_every, timelapse, tensorboard)
    settings = inputs.of_original_size([content], settings) if original_size else settings
    photo, alpha = inputs.read_photograph(content, settings, transparency)
    height, width = photo.shape[:2]
    check_blend(settings, style)
    paintings = [inputs.read_picture(path, settings, settings.beside(settings.size)) for path in style]
    start = inputs.read_start(settings, height, width)
    kept = inputs.read_kept(settings, height, width)
    regions = inputs.read_regions(settings, settings.beside(settings.size))
    settings = settings.on(devices.platform())
    found: list[Found] = []
    if settings.presence is not None and not quiet:
        print(f"nst-jax: presence {settings.presence:g}: searching for its α/β on small pictures", file=sys.stderr)
    make = planned(
        photo, paintings or None, settings, start=start, keep=kept, regions=regions, memory=plan.of_process(memory),
        compile=compile, heard=lambda _, one: found.append(one),
    )  # fmt: skip
    asked = {}
    for one in found:  # if a presence was asked
        if not quiet:
            print(f"nst-jax: {'' if one.reached else 'note: '}{one}", file=sys.stderr)
        settings = replace(settings, presence=None, ratio=one.ratio)
        asked = {"presence": {"asked": one.asked, "expected": one.expected}}
    clear = {} if alpha is None else {"transparency": transparency}
    made_from = _provenance(content, style, settings) | clear | asked

    def save(path: Path, image: np.ndarray, strips: Any) -> Path:
        text = json.dumps(made_from | {"strips": strips}, ensure_ascii=False)
        return _kept(path, images.resize(image, height, width), text, settings.bits, alpha)

    started = time.perf_counter()
    with Interrupt() as interrupt, StepReporter(output.name, settings.evaluations, quiet) as report:

        def each(step: Step) -> bool:
            report(step)
            done = step.records[-1].evaluations
            if save_every and done % save_every == 0 and done < settings.evaluations:
                save(_numbered(output, done, settings.evaluations), step.image, step.strips)
            watching.hear(step)
            return interrupt.number != 0

        outcome = make(each, watching.every)
        seconds, stopped = time.perf_counter() - started, interrupt.number != 0
        written = save(output, outcome.image, outcome.strips)
        whole = watching.end(outcome, images.resize(outcome.image, height, width))
    rows, columns = outcome.image.shape[:2]
    if as_json:
        summary = {"output": str(written), "evaluations": outcome.evaluations, "seconds": round(seconds, 3)}
        print(json.dumps(summary | asked | _losses(outcome.losses, settings, (rows, columns))))
    elif not quiet:
        print(_summary(outcome, written, width, height, seconds))
    if stopped:
        where = "" if rows == height else f", at {columns}x{rows}"
        print(f"nst-jax: interrupted{where}; {written} is the picture so far", file=sys.stderr)
        return interrupt.code
    lost_it = lost([str(written)] if outcome.status == Status.NOT_FINITE else [])
    return lost_it if written == output and whole else FAILED


def _check_outputs(
    output: Path, save_every: int | None, timelapse: Path | None, settings: Settings, sources: Sequence[Path],
    transparency: str,
) -> None:  # fmt: skip
    if save_every is not None and save_every < 1:
        raise InputError(f"{argument('save_every')}: {save_every} is not allowed; must be at least 1")
    images.check_output(output, bits=settings.bits, transparent=transparency == "keep")
    if save_every:
        images.check_output(_numbered(output, settings.evaluations, settings.evaluations))
    _refuse_inputs(output, sources)
    if timelapse:
        _refuse_inputs(timelapse, sources, argument("timelapse"))


def _summary(outcome: Outcome, written: Path, width: int, height: int, seconds: float) -> str:
    over = " (converged)" if outcome.status == Status.CONVERGED else ""
    told = f"loss {outcome.losses.total:.6g} after {outcome.evaluations} evaluations, {seconds:.1f} s{over}"
    return f"{written}: {width}x{height}, {told}"


def reconstruct(
    kind: str, image: Path, output: Path, layers: tuple[str, ...], settings: Settings, *, force: bool, quiet: bool,
    compile: Compile,
) -> int:  # fmt: skip
    """Figure 1's reconstructions: a picture's content from single layers, or its style from cumulative subsets."""
    layers = check_layers(layers, argument("layers"))
    picture = inputs.read_picture(image, settings, settings.size)
    params = weights.load(settings.weights)
    _make_folder(output, force)
    made_from = _provenance(image, [], settings.exact)
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
            places.append((path, _kept(path, found[number], json.dumps(about, ensure_ascii=False), settings.bits)))
    if not quiet:
        print(*(written for _, written in places), sep="\n")
    if stopped:
        return interrupt.code
    names = [lane.name for number, lane in enumerate(table.lanes) if engine.status[number] == Status.NOT_FINITE]
    return max(lost(names), *(FAILED for path, written in places if written != path), 0)


def recolor(image: Path, like: Path, output: Path, settings: Settings, *, color: str, quiet: bool) -> int:
    """Brings the colors of any picture to a photograph's."""
    images.check_output(output, bits=settings.bits)
    _refuse_inputs(output, [image, like])
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
    written = _kept(output, made, json.dumps(about, ensure_ascii=False), settings.bits)
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
    return stylize(
        coarse, [fine], output, own, original_size=False, transparency="white", memory=memory, save_every=None,
        timelapse=None, tensorboard=None, quiet=quiet, as_json=False, compile=compile,
    )  # fmt: skip


def evaluate(image: Path, content: Path, style: Sequence[Path], settings: Settings, *, with_measures: bool) -> int:
    """Prints the loss of any picture, in parts, as JSON. The picture keeps its own size."""
    picture = inputs.read_picture(image, settings, None)
    height, width = picture.shape[:2]
    _check_style(style, settings)
    check_blend(settings, style)
    photo = inputs.read_to_size(content, settings, height, width, "content")
    beside = settings.beside(max(height, width))
    paintings = [inputs.read_picture(path, settings, beside) for path in style]
    regions = inputs.read_regions(settings, beside)
    losses, problem = evaluated(picture, photo, paintings or None, settings, regions)
    report = _losses(losses, settings, (height, width))
    if with_measures:
        row = problem.measure(problem.lanes[0], picture).row()
        found = dict(zip(measures.columns(problem.style_layers), row, strict=True))
        report["measures"] = {
            name: _number(found.get(name, math.nan)) for name in measures.columns(settings.style_layers)
        }
    print(json.dumps(report))
    check_taken()
    return 0


def _losses(losses: Losses, settings: Settings, size: Sequence[int]) -> dict[str, Any]:
    alpha, beta = settings.alpha_beta
    report: dict[str, Any] = {
        "total": _number(losses.total),
        "content": _number(losses.content),
        "style": _number(losses.style),
        "style_layers": {layer: _number(losses.style_layers[layer]) for layer in losses.style_layers},
        "alpha": alpha,
        "beta": beta,
        "size": list(size),
    }
    if settings.convention != PAPER:
        report["convention"] = settings.convention
    return report | ({"tv": _number(losses.tv)} if settings.tv else {})


def _number(value: Any) -> float | None:
    """None when it is not finite, since JSON has no other word for that."""
    return float(value) if math.isfinite(value) else None


def _provenance(content: Path, style: Sequence[Path], settings: Settings) -> dict[str, Any]:
    """How a picture was made: enough to make it again, nothing that differs from run to run."""
    begin = [] if settings.init in ("noise", "content") else [Path(settings.init)]
    named = [Path(name) for name in moved.of_masks(settings)]
    made_from = {"content": [content], "style": style, "init": begin} | ({"masks": named} if named else {})
    return {
        "version": __version__,
        "inputs": {
            role: [{"file": path.name, "sha256": files.sha256(path)} for path in paths]
            for role, paths in made_from.items()
        },
        "weights_sha256": weights.sha256(settings.weights),
        "settings": vars(settings),
    }


def _kept(path: Path, image: np.ndarray, text: str, bits: int, alpha: np.ndarray | None = None) -> Path:
    """Writes a picture, and says so if it is not at `path`; returns where it is."""
    return kept(path, lambda place: images.write_image(place, image, {"nst_jax": text}, bits, alpha=alpha))


def _numbered(output: Path, done: int, evaluations: int) -> Path:
    return output.with_stem(f"{output.stem}_{done:0{len(str(evaluations))}}")


def _check_style(style: Sequence[Path], settings: Settings) -> None:
    if not style and not settings.region:
        raise InputError(f"STYLE: no painting is given; only with {argument('region')} may there be none")


def _refuse_inputs(output: Path, sources: Sequence[Path], name: str = argument("output")) -> None:
    for path in sources:
        if output.exists() and path.exists() and output.samefile(path):
            raise InputError(f"{name} {output}: is an input picture; name another file")


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
