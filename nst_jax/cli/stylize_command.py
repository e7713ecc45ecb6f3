"""What `nst-jax stylize` does: files in, the library called, the picture and its figures out."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nst_jax.cli.commission import Commission
from nst_jax.cli.interrupt import Interrupt
from nst_jax.cli.progress import StepReporter, lost
from nst_jax.cli.results import check_style, losses_report, refuse_inputs
from nst_jax.cli.watching import Watching
from nst_jax.errors import FAILED, InputError, argument
from nst_jax.optim.compiler import Compile
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.runs import moved
from nst_jax.transfer.outcome import Outcome
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.stylizing import Step


def stylize(
    content: Path, style: Sequence[Path], output: Path, settings: Settings, *, memory: int | None,
    save_every: int | None, timelapse: Path | None, tensorboard: Path | None, quiet: bool, as_json: bool,
    compile: Compile,
) -> int:  # fmt: skip
    """One picture; returns the exit code."""
    check_style(style, settings)
    sources = [content, *style, *map(Path, moved.of_masks(settings))]
    _check_outputs(output, save_every, timelapse, settings, sources)
    watching = Watching(output, settings.evaluations, save_every, timelapse, tensorboard)
    work = Commission(content, style, settings, memory=memory, quiet=quiet, compile=compile)
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
    if as_json:
        summary = {"output": str(written), "evaluations": outcome.evaluations, "seconds": round(seconds, 3)}
        print(json.dumps(summary | work.asked | losses_report(outcome.losses, work.settings, (rows, columns))))
    elif not quiet:
        print(_summary(outcome, written, work.width, work.height, seconds))
    if stopped:
        where = "" if rows == work.height else f", at {columns}x{rows}"
        print(f"nst-jax: interrupted{where}; {written} is the picture so far", file=sys.stderr)
        return interrupt.code
    lost_it = lost([str(written)] if outcome.status == Status.NOT_FINITE else [])
    return lost_it if written == output and whole else FAILED


def _check_outputs(
    output: Path, save_every: int | None, timelapse: Path | None, settings: Settings, sources: Sequence[Path]
) -> None:
    if save_every is not None and save_every < 1:
        raise InputError(f"{argument('save_every')}: {save_every} is not allowed; must be at least 1")
    images.check_output(output, bits=settings.bits)
    if save_every:
        images.check_output(_numbered(output, settings.evaluations, settings.evaluations))
    refuse_inputs(output, sources)
    if timelapse:
        refuse_inputs(timelapse, sources, argument("timelapse"))


def _summary(outcome: Outcome, written: Path, width: int, height: int, seconds: float) -> str:
    over = " (converged)" if outcome.status == Status.CONVERGED else ""
    told = f"loss {outcome.losses.total:.6g} after {outcome.evaluations} evaluations, {seconds:.1f} s{over}"
    return f"{written}: {width}x{height}, {told}"


def _numbered(output: Path, done: int, evaluations: int) -> Path:
    return output.with_stem(f"{output.stem}_{done:0{len(str(evaluations))}}")
