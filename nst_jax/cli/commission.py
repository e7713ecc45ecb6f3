"""A commission: what `nst-jax stylize` does for one picture, from its files to the picture's file."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax import devices
from nst_jax.cli.results import losses_report, provenance, write
from nst_jax.optim.compiler import Compile
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.runs import inputs
from nst_jax.transfer import plan
from nst_jax.transfer.arguments import check_blend
from nst_jax.transfer.outcome import Outcome
from nst_jax.transfer.presence import Found
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.stylizing import Step, planned


class Commission:
    """One picture that is to be made, of a photograph and its paintings.

    Attributes:
      height: of the picture, in pixels.
      width: likewise.
      settings: with the α/β that was found, where a presence was asked.
      asked: what was asked and what is expected of it, for JSON; empty unless a presence was.
      made_from: what its file tells of how it was made.
    """

    def __init__(
        self, content: Path, style: Sequence[Path], settings: Settings, *, memory: int | None, quiet: bool,
        compile: Compile, original_size: bool = False, transparency: str = "white", photo: np.ndarray | None = None,
        start: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """Reads its files, and searches for the presence that is asked: whatever can be refused is refused here.

        Args:
          content: the photograph.
          style: the paintings, which are blended.
          settings: of the picture; they name other files, too.
          memory: bytes that may be used; None for most of what is free.
          quiet: nothing is said of presence.
          compile: what compiles the loop.
          original_size: the picture has the photograph's own size, instead of the settings'.
          transparency: "keep" gives the picture the photograph's, too.
          photo: [height, width, 3], instead of what is read of `content`, such as one of its frames.
          start: likewise, instead of what the settings say.

        Raises:
          InputError: a file or a setting that is not allowed, or too little memory.
        """
        settings = inputs.of_original_size([content], settings) if original_size else settings
        self._alpha: np.ndarray | None = None
        if photo is None:
            photo, self._alpha = inputs.read_photograph(content, settings, transparency)
        self.height, self.width = photo.shape[:2]
        check_blend(settings, style)
        paintings = [inputs.read_picture(path, settings, settings.beside(settings.size)) for path in style]
        start = inputs.read_start(settings, self.height, self.width) if start is None else start
        kept = inputs.read_kept(settings, self.height, self.width)
        regions = inputs.read_regions(settings, settings.beside(settings.size))
        settings = settings.on(devices.platform())
        found: list[Found] = []
        if settings.presence is not None and not quiet:
            print(f"nst-jax: presence {settings.presence:g}: searching for its α/β on small pictures", file=sys.stderr)
        self._make = planned(
            photo, paintings or None, settings, start=start, keep=kept, regions=regions,
            memory=plan.of_process(memory), compile=compile, heard=lambda _, one: found.append(one),
        )  # fmt: skip
        self.asked: dict[str, Any] = {}
        for one in found:  # if a presence was asked
            if not quiet:
                print(f"nst-jax: {'' if one.reached else 'note: '}{one}", file=sys.stderr)
            settings = replace(settings, presence=None, ratio=one.ratio)
            self.asked = {"presence": {"asked": one.asked, "expected": one.expected}}
        self.settings = settings
        clear = {} if self._alpha is None else {"transparency": transparency}
        self.made_from = provenance(content, style, settings) | clear | self.asked

    def make(self, callback: Callable[[Step], bool | None], every: int | None) -> Outcome:
        """Makes the picture; see `stylizing.stylize` for `callback` and `every`."""
        return self._make(callback, every)

    def save(self, path: Path, image: np.ndarray, strips: Any) -> Path:
        """Writes the picture, or one on the way to it, in the picture's size; returns where it is."""
        own = images.resize(image, self.height, self.width)
        return write(path, own, self.made_from | {"strips": strips}, self.settings.bits, self._alpha)

    def losses(self, outcome: Outcome) -> dict[str, Any]:
        """The losses of what was made of it, for JSON."""
        return losses_report(outcome.losses, self.settings, outcome.image.shape[:2])

    def told(self, outcome: Outcome, written: Path, seconds: float, *, as_json: bool) -> str:
        """What was made, where it is, and how long that took, in a line."""
        if as_json:
            summary = {"output": str(written), "evaluations": outcome.evaluations, "seconds": round(seconds, 3)}
            return json.dumps(summary | self.asked | self.losses(outcome))
        over = " (converged)" if outcome.status == Status.CONVERGED else ""
        how = f"loss {outcome.losses.total:.6g} after {outcome.evaluations} evaluations, {seconds:.1f} s{over}"
        return f"{written}: {self.width}x{self.height}, {how}"
