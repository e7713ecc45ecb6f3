"""What comes of a lane."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from nst_jax.loss.objective import Losses
from nst_jax.measures.measures import Measures
from nst_jax.optim.engine import Record
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.transfer.lanes import Lane


@dataclass(frozen=True, eq=False)
class Outcome:
    """A picture that was made, with what is known of it; a notebook shows the picture.

    Attributes:
      lane: what was minimized.
      image: [height, width, 3] float32 RGB, 0..1; without `bounds`, not clipped.
      status: how far it came; `status.message` says it in words.
      history: a record of each evaluation, of all scales.
      strips: in how many the layers were worked through, for each scale; see `loss.strips.statistics`.
      measure: from the image to its measures.

    Example:
      >>> low = {"content_layers": ("conv1_1",), "style_layers": ("conv1_1",)}
      >>> (outcome,) = nst.sweep(photo, painting, ratio=1e-3, size=64, evaluations=2, **low)
      >>> outcome.name, outcome.image.shape, outcome.evaluations, outcome.status.name
      ('0_picture', (43, 64, 3), 2, 'RUNNING')
    """

    lane: Lane
    image: np.ndarray = field(repr=False)
    status: Status
    history: list[Record] = field(repr=False)
    strips: tuple[tuple[int, ...], ...]
    measure: Callable[[np.ndarray], Measures] = field(repr=False)

    @property
    def name(self) -> str:
        """The lane's name."""
        return self.lane.name

    @property
    def losses(self) -> Losses:
        """The image's losses, as floats."""
        return self.history[-1].losses

    @property
    def evaluations(self) -> int:
        """How many of loss and gradient, at all scales."""
        return self.history[-1].evaluations

    @cached_property
    def measures(self) -> Measures:
        """What the picture has of the photograph and of the painting; computed when it is first asked for."""
        return self.measure(self.image)

    def _repr_png_(self) -> bytes:
        return images.encoded(self.image)
