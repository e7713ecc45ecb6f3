"""What `nst-jax stylize` does: one picture; what there is a folder or an animation of is made elsewhere."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nst_jax.cli.animated import of_animation
from nst_jax.cli.commission import Commission
from nst_jax.cli.folder_pictures import ENDING, of_folder, paintings_in
from nst_jax.cli.interrupt import Interrupt
from nst_jax.cli.progress import StepReporter, lost
from nst_jax.cli.results import check_style, refuse_inputs
from nst_jax.cli.watching import Watching
from nst_jax.errors import FAILED, InputError, argument
from nst_jax.optim.compiler import Compile
from nst_jax.optim.status import Status
from nst_jax.pictures import animation, images
from nst_jax.pictures.constants import BITS, TRANSPARENCY
from nst_jax.runs import moved
from nst_jax.runs.orders import is_folder
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.stylizing import Step


def stylize(
    content: Path, style: Sequence[Path], output: Path, settings: Settings, *, original_size: bool, transparency: str,
    ending: str | None, force: bool, memory: int | None, save_every: int | None, timelapse: Path | None,
    tensorboard: Path | None, quiet: bool, as_json: bool, compile: Compile,
) -> int:  # fmt: skip
    """Finds out whether one picture is asked for, those of a folder, or an animation; returns the exit code.

    Args:
      content: the photograph, a folder of them, or an animation.
      style: paintings, and folders of them.
      output: the picture, folder or animation to write.
      settings: of all pictures.
      ending: of a folder's pictures.
      force: see `of_folder` and `of_animation`.
      original_size, transparency, memory, save_every, timelapse, tensorboard, quiet, as_json, compile: see
        `one_picture`.

    Raises:
      InputError: an option that is not of what is asked for, or as these.
    """
    options: dict[str, Any] = {"memory": memory, "quiet": quiet, "as_json": as_json, "compile": compile}
    of_one: dict[str, Any] = {"save_every": save_every, "timelapse": timelapse, "tensorboard": tensorboard}
    if is_folder(content) or (any(map(is_folder, style)) and not settings.style_blend):
        _refuse(of_one, "not allowed with a folder; it is of one picture")
        options |= {"original_size": original_size, "transparency": transparency}
        return of_folder(content, style, output, settings, ending=ending or ENDING, force=force, **options)
    _refuse({"ending": ending}, "only with a folder of photographs or paintings")
    style = paintings_in(style)
    if output.suffix.lower() in animation.ENDINGS:
        size = None if original_size else settings.size
        about = animation.survey(content, size=size, max_pixels=settings.max_pixels)
        if about:
            clear = transparency if transparency != TRANSPARENCY[0] else None
            _refuse(of_one | {"transparency": clear}, "not allowed with an animation; it is of one picture")
            settings = replace(settings, size=size or max(about.height, about.width))
            _check_animation(content, style, output, settings)
            return of_animation(content, style, output, settings, about, force=force, **options)
        if output.suffix.lower() not in images.WRITTEN_ENDINGS:
            told = f"is an animation's, and CONTENT {content} is a still picture"
            raise InputError(f"{argument('output')} {output}: {told}; known are {' '.join(images.WRITTEN_ENDINGS)}")
    _refuse({"force": force}, "only with a folder, or an animation")
    options |= {"original_size": original_size, "transparency": transparency}
    return one_picture(content, style, output, settings, **of_one, **options)


def one_picture(
    content: Path, style: Sequence[Path], output: Path, settings: Settings, *, original_size: bool, transparency: str,
    memory: int | None, save_every: int | None, timelapse: Path | None, tensorboard: Path | None, quiet: bool,
    as_json: bool, compile: Compile,
) -> int:  # fmt: skip
    """Makes one picture; returns the exit code.

    Args:
      content: the photograph.
      style: the paintings, which are blended.
      output: the picture to write.
      settings: of the picture.
      original_size: it has the photograph's own size, instead of the settings'.
      transparency: of the photograph: "white", or "keep" for the picture's too.
      memory: bytes that may be used; None for most of what is free.
      save_every: a numbered picture is saved after every so many evaluations.
      timelapse: the animation to write of how it was made.
      tensorboard: the folder for event files.
      quiet: neither progress nor a summary.
      as_json: the summary as JSON.
      compile: what compiles the loop.

    Raises:
      InputError: a file or a setting that is not allowed, or too little memory.
    """
    check_style(style, settings)
    sources = [content, *style, *map(Path, moved.of_masks(settings))]
    _check_outputs(output, save_every, timelapse, settings, sources, transparency)
    watching = Watching(output, settings.evaluations, save_every, timelapse, tensorboard)
    work = Commission(
        content, style, settings, memory=memory, quiet=quiet, compile=compile, original_size=original_size,
        transparency=transparency,
    )  # fmt: skip
    started = time.perf_counter()
    with Interrupt() as interrupt, StepReporter(output.name, settings.evaluations, quiet) as report:

        def each(step: Step) -> bool:
            report(step)
            done = step.records[-1].evaluations
            if save_every and done % save_every == 0 and done < settings.evaluations:
                work.save(_numbered(output, done, settings.evaluations), step.image, step.strips)
            watching.hear(step)
            return interrupt.number != 0

        outcome = work.make(each, watching.every)
        seconds, stopped = time.perf_counter() - started, interrupt.number != 0
        written = work.save(output, outcome.image, outcome.strips)
        whole = watching.end(outcome, images.resize(outcome.image, work.height, work.width))
    rows, columns = outcome.image.shape[:2]
    if as_json or not quiet:
        print(work.told(outcome, written, seconds, as_json=as_json))
    if stopped:
        where = "" if rows == work.height else f", at {columns}x{rows}"
        print(f"nst-jax: interrupted{where}; {written} is the picture so far", file=sys.stderr)
        return interrupt.code
    lost_it = lost([str(written)] if outcome.status == Status.NOT_FINITE else [])
    return lost_it if written == output and whole else FAILED


def _refuse(options: Mapping[str, Any], why: str) -> None:
    for name, given in options.items():
        if given is not None and given is not False:
            raise InputError(f"{argument(name)}: {why}")


def _check_animation(content: Path, style: Sequence[Path], output: Path, settings: Settings) -> None:
    check_style(style, settings)
    animation.check_animation(output)
    if settings.bits != BITS[0]:
        raise InputError(f"{argument('bits')}: {settings.bits} is not allowed for an animation, which holds {BITS[0]}")
    refuse_inputs(output, [content, *style, *map(Path, moved.of_masks(settings))])


def _check_outputs(
    output: Path, save_every: int | None, timelapse: Path | None, settings: Settings, sources: Sequence[Path],
    transparency: str,
) -> None:  # fmt: skip
    if save_every is not None and save_every < 1:
        raise InputError(f"{argument('save_every')}: {save_every} is not allowed; must be at least 1")
    images.check_output(output, bits=settings.bits, transparent=transparency == "keep")
    if save_every:
        images.check_output(_numbered(output, settings.evaluations, settings.evaluations))
    refuse_inputs(output, sources)
    if timelapse:
        refuse_inputs(timelapse, sources, argument("timelapse"))


def _numbered(output: Path, done: int, evaluations: int) -> Path:
    return output.with_stem(f"{output.stem}_{done:0{len(str(evaluations))}}")
