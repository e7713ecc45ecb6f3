"""`nst-jax stylize` of an animation: frame by frame, each from the picture of the one before."""

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.cli.commission import Commission
from nst_jax.cli.interrupt import Interrupt
from nst_jax.cli.output import kept
from nst_jax.cli.progress import StepReporter, lost
from nst_jax.cli.results import inputs_of
from nst_jax.errors import FAILED
from nst_jax.optim.compiler import Compile
from nst_jax.optim.status import Status
from nst_jax.pictures import animation, files, images
from nst_jax.runs import ledger
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights

FOLDER = ".frames"
"""What the folder has behind the animation's name where its frames are kept while it is made."""
LATER = 3
"""Frames after the first have one over so many of its evaluations."""


def of_animation(
    content: Path, style: Sequence[Path], output: Path, settings: Settings, about: animation.Survey, *,
    memory: int | None, force: bool, quiet: bool, as_json: bool, compile: Compile,
) -> int:  # fmt: skip
    """Makes an animation of an animation, with its times; returns the exit code.

    Args:
      content: the animation.
      style: the paintings, which are blended.
      output: the animation to write; where that can be was checked.
      settings: of the first frame.
      about: what there is to know of `content`.
      memory: bytes that may be used; None for most of what is free.
      force: what is there of an animation with other settings is made anew.
      quiet: neither progress nor a summary.
      as_json: the summary as JSON.
      compile: what compiles the loop.

    Raises:
      InputError: a file or a setting that is not allowed, too little memory, or frames of other settings and no force.
    """
    began = time.perf_counter()
    work = _Frames(content, style, output, settings, about, memory, quiet, compile)
    with work.ledger.opened(work.names, force=force):
        if not quiet:
            print(f"nst-jax: {len(work.names)} frames of {about.width}x{about.height}", file=sys.stderr)
        with Interrupt() as interrupt:
            done = work.make(interrupt)
        if done is None:
            return FAILED
        written = work.write(done) if done else None
        if done < len(work.names):
            told = f"{written} has the first {done} of {len(work.names)} frames" if written else "no frame is done yet"
            print(f"nst-jax: interrupted; {told}; the same command goes on", file=sys.stderr)
            return interrupt.code
        seconds, evaluations = time.perf_counter() - began, work.evaluations
        if as_json:
            summary = {"output": str(written), "frames": done, "evaluations": evaluations, "seconds": round(seconds, 3)}
            print(json.dumps(summary))
        elif not quiet:
            how = f"{done} frames after {evaluations} evaluations, {seconds:.1f} s"
            print(f"{written}: {about.width}x{about.height}, {how}")
        if written == output:
            work.ledger.remove()
        return lost(work.lost) if written == output else FAILED


class _Frames:
    """The frames of an animation that is made, in files beside it.

    Attributes:
      names: of the frames' files.
      ledger: of the frames.
    """

    def __init__(
        self, content: Path, style: Sequence[Path], output: Path, settings: Settings, about: animation.Survey,
        memory: int | None, quiet: bool, compile: Compile,
    ) -> None:  # fmt: skip
        self._content, self._style, self._output, self._settings = content, style, output, settings
        self._about, self._memory, self._quiet, self._compile = about, memory, quiet, compile
        self.names = [f"{number:05}.png" for number in range(1, len(about.seconds) + 1)]
        made_with: dict[str, Any] = {"settings": vars(settings), "weights": weights.sha256(settings.weights)}
        made_with["inputs"] = inputs_of(content, style, settings)
        self.ledger = ledger.Ledger(output.with_name(output.name + FOLDER), made_with)

    @property
    def evaluations(self) -> int:
        """Of all frames together."""
        return sum(self.ledger.entries[name].get("evaluations", 0) for name in self.names)

    @property
    def lost(self) -> list[str]:
        """Frames whose loss was not finite."""
        return [f"frame {number}" for number, name in enumerate(self.names, 1) if "lost" in self.ledger.entries[name]]

    def make(self, interrupt: Interrupt) -> int | None:
        """Makes what is not there yet; how many are done, or None where one could not be written."""
        before: np.ndarray | None = None
        anew = False  # a frame depends on the one before
        settings = self._settings
        photos = animation.read_animation(self._content, size=settings.size, max_pixels=settings.max_pixels)
        for number, (name, photo) in enumerate(zip(self.names, photos, strict=True)):
            if anew or not self.ledger.is_done(name):
                anew = True
                if before is not None and np.array_equal(photo.image, before):
                    self._repeat(number)
                elif interrupt.number or not self._made(number, photo.image, interrupt):
                    return number if interrupt.number else None
            before = photo.image
        return len(self.names)

    def write(self, done: int) -> Path:
        """Writes the animation of the frames that are done; where it is."""
        paths, about = [self.ledger.folder / name for name in self.names[:done]], self._about

        def write(place: Path) -> None:
            frames = map(images.read_image, paths)
            animation.write_animation(place, frames, seconds=about.seconds[:done], hold=0, plays=about.plays)

        return kept(self._output, write, "animation")

    def _repeat(self, number: int) -> None:
        """A frame of what the one before is of, too, is the same picture."""
        name, before = self.names[number], self.names[number - 1]
        with files.atomic(self.ledger.folder / name) as temporary:
            shutil.copyfile(self.ledger.folder / before, temporary)
        self.ledger.note(name, ledger.DONE, same_as=before)

    def _made(self, number: int, photo: np.ndarray, interrupt: Interrupt) -> bool:
        """Makes a frame; tells whether it is there."""
        started, path = time.perf_counter(), self.ledger.folder / self.names[number]
        settings, start = replace(self._settings, bits=16), None
        left = float(len(self.names) - number - 1)
        if number:
            # As it was written, so that a run that was interrupted goes on to the same bytes.
            start = images.read_image(self.ledger.folder / self.names[number - 1])
            found = self.ledger.entries[self.names[0]]["settings"]  # the α/β for a presence, among others
            settings = replace(settings, **found, scales=None, evaluations=later_evaluations(settings.evaluations))
        else:
            left *= later_evaluations(settings.evaluations) / settings.evaluations
        work = Commission(
            self._content, self._style, settings, memory=self._memory, quiet=self._quiet, compile=self._compile,
            photo=photo, start=start,
        )  # fmt: skip
        title, begin = f"{self._output.name} {number + 1}/{len(self.names)}", "" if number else "compiling"
        with StepReporter(title, settings.evaluations, self._quiet, after=left, begin=begin) as report:
            outcome = work.make(lambda step: report(step) or interrupt.number != 0, None)
        if interrupt.number or work.save(path, outcome.image, outcome.strips) != path:
            return False
        own = {name: value for name, value in vars(work.settings).items() if value != getattr(settings, name)}
        self.ledger.note(
            self.names[number], ledger.DONE, settings=own, losses=work.losses(outcome),
            evaluations=outcome.evaluations, seconds=round(time.perf_counter() - started, 3),
            **({"lost": True} if outcome.status == Status.NOT_FINITE else {}),
        )  # fmt: skip
        return True


def later_evaluations(evaluations: int) -> int:
    """How many a frame gets that starts from the one before, where the first one has so many."""
    return max(1, evaluations // LATER)
