"""The pictures that lanes start from, and what they stay in: bounds, and pixels that are frozen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.optim.box import Box, boxes
from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise
from nst_jax.transfer import recolor, scales
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
        kept: np.ndarray | None = None,
    ) -> None:
        """Keeps what the pictures are made of.

        Args:
          contents: [height, width, 3] float32 RGB, 0..1, by the names that the lanes call them; all of one size.
          settings: of all lanes, but for those that are a lane's own.
          given: a picture to start from, brought to the content's size, or one for each lane by its name; by default
            what the settings say.
          frozen: [height, width] bool, True where pixels keep the start's value; none by default.
          kept: likewise, where they are the photograph's from the start to the end.

        Raises:
          InputError: a start that is not there.
        """
        check_start(settings, given)
        self._contents, self._settings, self._given, self._kept = contents, settings, given, kept
        self._frozen = frozen if kept is None or frozen is None else frozen | kept
        self._frozen = kept if self._frozen is None else self._frozen

    def of(self, lane: Lane) -> Array:
        """Makes the start image of a lane, [height, width, 3] float32 RGB; grey where only luminance is transferred.

        It is not clipped to 0..1.
        """
        start = self._in_color(lane)
        if self._kept is not None:
            start = jnp.where(self._kept[..., None], self._contents[lane.content], start)
        return jnp.asarray(recolor.grey(np.asarray(start))) if self._in_grey(lane) else start

    def _in_grey(self, lane: Lane) -> bool:
        return lane.within(self._settings).color == "luminance"

    def _in_color(self, lane: Lane) -> Array:
        height, width = self._contents[lane.content].shape[:2]
        given = self._given[lane.name] if isinstance(self._given, Mapping) else self._given
        if given is not None:
            return jnp.asarray(images.resize(np.asarray(given), height, width))
        if self._settings.init == "content":
            return jnp.asarray(self._contents[lane.content])
        return white_noise(lane.seed, height, width, lane.within(self._settings).noise)

    def after(self, before: Mapping[str, np.ndarray], lanes: Iterable[Lane]) -> "Starts":
        """Makes starts from the pictures of the scale before.

        Args:
          before: [height', width', 3] float32 each, by the lanes' names.
          lanes: those that go on.

        Returns:
          The starts, with frozen pixels as they were.
        """
        given = {lane.name: self._enlarged(lane, before[lane.name]) for lane in lanes}
        return Starts(self._contents, self._settings, given, self._frozen, self._kept)

    def boxes(self, lanes: Sequence[Lane], dtype: Any, *, by_pixel: bool = False) -> Box:
        """Makes what the images of lanes stay in.

        Args:
          lanes: which, in this order.
          dtype: of the images.
          by_pixel: whether there are lanes, be it in another batch, of which only luminance is transferred.

        Returns:
          The settings' bounds, and the frozen pixels. Where only luminance is transferred, each pixel's is kept within
          what leaves the picture, with the photograph's colors, inside the bounds.
        """
        frozen = None if self._frozen is None else self._frozen[..., None]
        found, bounds = boxes(len(lanes), dtype, BOUNDS[self._settings.bounds], frozen), self._settings.bounds
        if bounds == "none" or not by_pixel:
            return found
        margins = [self._margins(lane) for lane in lanes]
        below, above = (np.stack(sides).astype(dtype) for sides in zip(*margins, strict=True))
        lower, upper = (side[:, None, None, None] for side in (found.lower, found.upper))
        return Box(lower - below, upper - above, found.frozen)

    def _margins(self, lane: Lane) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest that a pixel's colors differ from its luminance, [height, width, 1]."""
        content = self._contents[lane.content]
        if not self._in_grey(lane):
            none = np.zeros((*content.shape[:2], 1), np.float32)
            return none, none
        chroma = recolor.chroma(content)
        return chroma.min(-1, keepdims=True), chroma.max(-1, keepdims=True)

    def _enlarged(self, lane: Lane, image: np.ndarray) -> np.ndarray:
        enlarged = scales.enlarged(image, self._contents[lane.content], lane.alpha > 0)
        return enlarged if self._frozen is None else np.where(self._frozen[..., None], self.of(lane), enlarged)
