"""The pictures that lanes start from, and what they stay in: bounds, and pixels that are frozen."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.optim.box import Box, boxes
from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise
from nst_jax.transfer import scales
from nst_jax.transfer.lanes import Lane
from nst_jax.transfer.settings import BOUNDS, Settings

Array = jax.Array


def check_start(settings: Settings, given: Any) -> None:
    """Checks that there is something to start from.

    Args:
      settings: whose `init` may name a file, which somebody else has to read.
      given: what was read, or made; None for nothing.

    Raises:
      InputError: neither the settings nor a picture say it.
    """
    if given is None and settings.init not in ("noise", "content"):
        raise InputError(f"{argument('init')}: {settings.init!r} is not allowed; must be noise or content")


class Starts:
    """The start images of lanes at one scale."""

    def __init__(
        self,
        contents: Mapping[str, np.ndarray],
        settings: Settings,
        given: np.ndarray | Mapping[str, np.ndarray] | None = None,
        frozen: np.ndarray | None = None,
    ) -> None:
        """Keeps what the pictures are made of.

        Args:
          contents: [height, width, 3] float32 RGB, 0..1, by the names that the lanes call them; all of one size.
          settings: of all lanes.
          given: a picture to start from, brought to the content's size, or one for each lane by its name; by default
            what the settings say.
          frozen: [height, width] bool, True where pixels keep the start's value; none by default.

        Raises:
          InputError: a start that is not there.
        """
        check_start(settings, given)
        self._contents, self._settings, self._given, self._frozen = contents, settings, given, frozen

    def of(self, lane: Lane) -> Array:
        """Makes the start image of a lane, [height, width, 3] float32 RGB; not clipped to 0..1."""
        height, width = self._contents[lane.content].shape[:2]
        given = self._given[lane.name] if isinstance(self._given, Mapping) else self._given
        if given is not None:
            return jnp.asarray(images.resize(np.asarray(given), height, width))
        if self._settings.init == "content":
            return jnp.asarray(self._contents[lane.content])
        return white_noise(lane.seed, height, width, self._settings.noise)

    def after(self, before: Mapping[str, np.ndarray], lanes: Iterable[Lane]) -> "Starts":
        """Makes starts from the pictures of the scale before.

        Args:
          before: [height', width', 3] float32 each, by the lanes' names.
          lanes: those that go on.

        Returns:
          The starts, with frozen pixels as they were.
        """
        given = {lane.name: self._enlarged(lane, before[lane.name]) for lane in lanes}
        return Starts(self._contents, self._settings, given, self._frozen)

    def boxes(self, lanes: int, dtype: Any) -> Box:
        """Makes what the images of so many lanes stay in.

        Args:
          lanes: how many.
          dtype: of the images.

        Returns:
          The settings' bounds, and the frozen pixels.
        """
        frozen = None if self._frozen is None else self._frozen[..., None]
        return boxes(lanes, dtype, BOUNDS[self._settings.bounds], frozen)

    def _enlarged(self, lane: Lane, image: np.ndarray) -> np.ndarray:
        enlarged = scales.enlarged(image, self._contents[lane.content], lane.alpha > 0)
        return enlarged if self._frozen is None else np.where(self._frozen[..., None], self.of(lane), enlarged)
