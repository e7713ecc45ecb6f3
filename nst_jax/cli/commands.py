"""What the command line's subcommands do: files and settings in, files and figures out."""

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax import __version__
from nst_jax.cli.progress import Reporter, interruptible
from nst_jax.errors import INTERRUPTED, InputError
from nst_jax.loss import objective
from nst_jax.loss.conventions import PAPER
from nst_jax.loss.objective import Objective, Targets
from nst_jax.loss.strips import for_values
from nst_jax.measures import measures
from nst_jax.network.vgg import prepare
from nst_jax.optim.lbfgs import CONVERGED, NOT_FINITE
from nst_jax.optim.minimize import Progress, Result, minimize
from nst_jax.pictures import files, images
from nst_jax.transfer import assemble, plan, scales
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights


def stylize(
    content: Path, style: Sequence[Path], output: Path, settings: Settings, *, memory: int | None,
    save_every: int | None, quiet: bool, as_json: bool,
) -> int:  # fmt: skip
    """One picture; returns the exit code."""
    if save_every is not None and save_every < 1:
        raise InputError(f"--save-every: {save_every} is not allowed; must be at least 1")
    images.check_output(output)
    if save_every:
        images.check_output(_numbered(output, settings.steps, settings.steps))
    _refuse_inputs(output, [content, *style])
    photo = assemble.read_picture(content, settings, settings.size)
    height, width = photo.shape[:2]
    count = settings.scales or (None if settings.init == "noise" else 1)  # other starts gain nothing (docs/speed.md)
    sizes = scales.pyramid(height, width, settings.steps, count)
    finest = sizes[-1]
    assemble.loss_weights_of(settings, height, width)  # before anything is computed
    paintings = assemble.read_styles(style, settings, settings.size)
    start = assemble.start_image(images.resize(photo, sizes[0].height, sizes[0].width), settings)
    params = weights.load(settings.weights)
    prepared = jax.device_put(prepare(params, (settings.content_layer, *settings.style_layers)))

    def goal_at(scale: Scale) -> Objective:
        goal = replace(assemble.objective_at(scale, finest, params, photo, paintings, settings), params=prepared)
        shape = jax.ShapeDtypeStruct((1, scale.height, scale.width, 3), np.float32)
        return plan.cut_to_fit(goal, shape, assemble.optimizer_of(settings), plan.of_process(memory))

    goals = [goal_at(scale) for scale in reversed(sizes)][::-1]  # the finest first: it is what may not fit
    made_from = _provenance(content, style, settings) | {"strips": [goal.strips for goal in goals]}
    text = {"nst_jax": json.dumps(made_from, ensure_ascii=False)}

    def begin(scale: Scale, before: Result | None) -> Any:
        here = images.resize(photo, scale.height, scale.width)
        return (start if before is None else scales.enlarged(np.asarray(before.images[0]), here))[None]

    def save(path: Path, image: Any) -> None:
        images.write_image(path, images.resize(np.asarray(image), height, width), text)

    def save_progress(progress: Progress) -> None:
        done = progress.records[-1].evaluations
        if save_every and done % save_every == 0 and done < settings.steps:
            save(_numbered(output, done, settings.steps), progress.images[0])

    stages = list(zip(sizes, goals, strict=True))
    run = _run(stages, begin, settings, output.name, save_every, quiet, save_progress)
    result, seconds = run.result, run.seconds
    save(output, result.images[0])
    if as_json:
        report = _losses(result.losses, settings, result.images.shape[1:3])
        print(
            json.dumps(
                {"output": str(output), "evaluations": result.evaluations, "seconds": round(seconds, 3)} | report
            )
        )
    elif not quiet:
        print(
            f"{output}: {width}x{height}, loss {result.losses.total[0]:.6g} after {result.evaluations} evaluations, "
            f"{seconds:.1f} s" + (" (converged)" if result.status[0] == CONVERGED else "")
        )
    if run.interrupted:
        rows, columns = result.images.shape[1:3]
        where = "" if rows == height else f", at {columns}x{rows}"
        print(f"nst-jax: interrupted{where}; {output} is the picture so far", file=sys.stderr)
        return INTERRUPTED
    return _check_finite(result, [str(output)])


def reconstruct(
    kind: str, image: Path, output: Path, layers: tuple[str, ...], settings: Settings, *, force: bool, quiet: bool
) -> int:
    """Figure 1's reconstructions: a picture's content from single layers, or its style from cumulative subsets."""
    layers = objective.check_layers(layers, "--layers")
    picture = assemble.read_picture(image, settings, settings.size)
    params = weights.load(settings.weights)
    _make_folder(output, force)
    made_from = _provenance(image, [], settings)
    precise = {"pool": settings.pool, "precision": settings.precision}
    lanes = len(layers)
    if kind == "content":
        rows = np.eye(lanes, dtype=np.float32)
        targets = Targets(objective.content_targets(params, picture[None], layers, **precise), {})
        loss_weights = objective.loss_weights(
            1.0, 0.0, content_layers=dict(zip(layers, rows.T, strict=True)), style_layers={}
        )
        names = [f"content_{layer}" for layer in layers]
    else:
        rows = np.tril(np.ones((lanes, lanes), np.float32)) / np.arange(1, lanes + 1, dtype=np.float32)[:, None]
        targets = Targets({}, objective.style_targets(params, picture[None], layers, **precise))
        loss_weights = objective.loss_weights(
            0.0, 1.0, content_layers={}, style_layers=dict(zip(layers, rows.T, strict=True))
        )
        names = [f"style_to_{layer}" for layer in layers]
    goal = Objective(prepare(params, layers), targets, loss_weights, settings.pool, settings.precision)
    begin = jnp.broadcast_to(assemble.start_image(picture, settings), (lanes, *picture.shape))
    stages = [(Scale(picture.shape[0], picture.shape[1], settings.steps), goal)]
    run = _run(stages, lambda *_: begin, settings, f"{kind} of {image.name}", None, quiet, lambda _: None)
    result = run.result
    for name, lane, row in zip(names, result.images, rows, strict=True):
        about = made_from | {"reconstruct": kind, "layers": dict(zip(layers, row.tolist(), strict=True))}
        images.write_image(output / f"{name}.png", np.asarray(lane), {"nst_jax": json.dumps(about, ensure_ascii=False)})
        if not quiet:
            print(output / f"{name}.png")
    return INTERRUPTED if run.interrupted else _check_finite(result, names)


def evaluate(image: Path, content: Path, style: Sequence[Path], settings: Settings, *, with_measures: bool) -> int:
    """Prints the loss of any picture, in parts, as JSON. The picture keeps its own size."""
    picture = assemble.read_picture(image, settings, None)
    height, width = picture.shape[:2]
    loss_weights = assemble.loss_weights_of(settings, height, width)
    photo = assemble.read_to_size(content, settings, height, width, "--content")
    paintings = assemble.read_styles(style, settings, max(height, width))
    params = weights.load(settings.weights)
    targets = Targets(
        assemble.content_target(params, photo, settings), assemble.style_target(params, paintings, settings)
    )
    goal = Objective(params, targets, loss_weights, settings.pool, settings.precision, for_values(height, width))
    terms = jax.device_get(jax.jit(Objective.__call__)(goal, picture[None]))
    report = _losses(terms, settings, (height, width))
    if with_measures:
        measured = {"style_layers": settings.style_layers, "pool": settings.pool, "precision": settings.precision}
        see = partial(measures.summarize, params, **measured)
        grams = {layer: np.asarray(gram[0]) for layer, gram in targets.style.items()}
        found = measures.compare(see(picture), see(measures.noise_reference(height, width)), see(photo), grams)
        named = zip(measures.columns(settings.style_layers), found.row(), strict=True)
        report["measures"] = {name: value if math.isfinite(value) else None for name, value in named}
    print(json.dumps(report))
    return 0


class _Run(NamedTuple):
    result: Result
    """Of a coarse scale, when the run ended there."""
    seconds: float
    interrupted: bool
    """Whether Ctrl-C ended it."""


def _run(
    stages: Sequence[tuple[Scale, Objective]], begin: Callable[[Scale, Result | None], Any], settings: Settings,
    title: str, every: int | None, quiet: bool, callback: Callable[[Progress], None],
) -> _Run:  # fmt: skip
    """Minimizes at one scale after the other; `begin` makes a start for a scale, of the result of the one before."""
    started = time.perf_counter()
    sizes = [scale for scale, _ in stages]
    result = None
    with interruptible() as interrupt, Reporter(title, settings.steps, quiet) as report:

        def each(progress: Progress) -> bool:
            report(progress)
            callback(progress)
            return interrupt.requested

        for scale, goal in stages:
            done = result.evaluations if result else 0
            if len(stages) > 1:
                report.stage(scale.name, done + scale.steps, scales.later(sizes, scale))
            result = minimize(
                goal, begin(scale, result), optimizer=assemble.optimizer_of(settings), steps=scale.steps,
                callback=each, every=every, earlier=done,
            )  # fmt: skip
            if interrupt.requested or np.all(result.status == NOT_FINITE):
                break
    assert result is not None
    return _Run(result, time.perf_counter() - started, interrupt.requested)


def _check_finite(result: Result, names: list[str]) -> int:
    lost = [name for name, status in zip(names, result.status, strict=True) if status == NOT_FINITE]
    if lost:
        print(f"nst-jax: {', '.join(lost)}: the loss is not finite; kept the last good picture", file=sys.stderr)
    return 1 if lost else 0


def _losses(terms: objective.Losses, settings: Settings, size: Sequence[int]) -> dict[str, Any]:
    alpha, beta = settings.alpha_beta
    report: dict[str, Any] = {
        "total": _number(terms.total),
        "content": _number(terms.content),
        "style": _number(terms.style),
        "style_layers": {layer: _number(value) for layer, value in terms.style_layers.items()},
        "alpha": alpha,
        "beta": beta,
        "size": list(size),
    }
    if settings.convention != PAPER:
        report["convention"] = settings.convention
    return report | ({"tv": _number(terms.tv)} if settings.tv else {})


def _number(lanes: Any) -> float | None:
    """Of the only lane; None when it is not finite, since JSON has no other word for that."""
    value = float(lanes[0])
    return value if math.isfinite(value) else None


def _provenance(content: Path, style: Sequence[Path], settings: Settings) -> dict[str, Any]:
    """How a picture was made: enough to make it again, nothing that differs from run to run."""
    begin = [] if settings.init in ("noise", "content") else [Path(settings.init)]
    inputs = {"content": [content], "style": style, "init": begin}
    return {
        "version": __version__,
        "inputs": {
            role: [{"file": path.name, "sha256": files.sha256(path)} for path in paths]
            for role, paths in inputs.items()
        },
        "weights_sha256": weights.sha256(settings.weights),
        "settings": vars(settings),
    }


def _numbered(output: Path, done: int, steps: int) -> Path:
    return output.with_stem(f"{output.stem}_{done:0{len(str(steps))}}")


def _refuse_inputs(output: Path, inputs: Sequence[Path]) -> None:
    for path in inputs:
        if output.exists() and path.exists() and output.samefile(path):
            raise InputError(f"--output {output}: is an input picture; name another file")


def _make_folder(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output {folder}: is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(f"--output {folder}: is not empty; --force writes into it all the same")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {folder}: cannot be made ({error.strerror})") from None
    files.check_writable(folder / "picture.png")
