"""What `nst-jax stylize` writes beside a picture of how it was made: a timelapse, and events for TensorBoard."""

from functools import partial
from pathlib import Path

import numpy as np

from nst_jax.cli.output import kept
from nst_jax.errors import InputError, argument
from nst_jax.measures.measures import columns
from nst_jax.pictures import animation, images
from nst_jax.runs.event_files import LaneEvents, check_folder
from nst_jax.runs.timelapse import Making
from nst_jax.transfer.outcome import Outcome
from nst_jax.transfer.stylizing import Step


class Watching:
    """Follows a picture while it is made.

    Attributes:
      every: it is to hear of the picture after every so many evaluations exactly; None for about once a second.
    """

    def __init__(
        self, output: Path, evaluations: int, save_every: int | None, timelapse: Path | None, tensorboard: Path | None
    ) -> None:
        """Nothing is written yet.

        Args:
          output: the picture's file.
          evaluations: that it takes.
          save_every: it is also heard of after every so many evaluations.
          timelapse: the animation's file, if there is to be one.
          tensorboard: the folder for event files, if there are to be any.

        Raises:
          InputError: these cannot be written.
        """
        if timelapse:
            name = argument("timelapse")
            animation.check_animation(timelapse, name)
            if timelapse.absolute() == output.absolute():
                raise InputError(f"{name} {timelapse}: is the picture to write; name another file")
        if tensorboard:
            check_folder(tensorboard)
        self._evaluations, self._timelapse = evaluations, timelapse
        self._making = Making(evaluations, save_every) if timelapse else None
        self._events = LaneEvents(tensorboard / output.stem, evaluations, anew=True) if tensorboard else None
        self.every = save_every or (self._making and self._making.every)

    def hear(self, step: Step) -> None:
        """The picture has come further."""
        done = step.records[-1].evaluations
        if self._making and done < self._evaluations:
            self._making.hear(step.image, done)
        if self._events:
            self._events.losses(step.records)
            self._events.picture(partial(images.encoded, step.image), done, over=False)

    def end(self, outcome: Outcome, last: np.ndarray) -> bool:
        """The picture is made, whole or interrupted; writes what is left, and tells whether all is where it belongs.

        Args:
          outcome: the picture's.
          last: the picture in its own size, [height, width, 3].
        """
        if self._events:
            named = zip(columns([*outcome.measures.to_noise]), outcome.measures.row(), strict=True)
            self._events.measures(dict(named), outcome.evaluations)
            self._events.picture(partial(images.encoded, last), outcome.evaluations, over=True)
        making, path = self._making, self._timelapse
        if making is None or path is None:
            return True
        return path == kept(path, lambda place: animation.write_animation(place, making.frames(last)), "timelapse")
