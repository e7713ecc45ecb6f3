"""The pictures of a sweep from Python as one, labelled, which notebooks show."""

from collections.abc import Iterable

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.pictures import images
from nst_jax.runs.contact_sheet import Cell, contact_sheet
from nst_jax.transfer.outcome import Outcome


class Grid:
    """A sweep's pictures in rows and columns, as a run folder's grid.png has them; a notebook shows it by itself.

    Attributes:
      image: [height, width, 3] float32, 0..1, sRGB, on white.

    Example:
      >>> low = {"content_layers": ("conv2_2",), "style_layers": ("conv1_1", "conv2_1")}  # to be quick
      >>> made = nst.sweep(photo, painting, ratio=[1e-4, 1e-2], seed=[0, 1], size=64, evaluations=2, **low)
      >>> grid = nst.Grid(made, "α/β")
      >>> grid.image.shape[0] > 2 * 43, grid.image.shape[1] > 2 * 64
      (True, True)
      >>> nst.write_image("grid.png", grid.image)
    """

    def __init__(self, outcomes: Iterable[Outcome], corner: str = "") -> None:
        """Waits for all pictures, and draws them.

        Args:
          outcomes: of one sweep, in any order.
          corner: what the columns are, such as "α/β".

        Raises:
          InputError: there are none, or two share a place, as those of two sweeps do.
        """
        made = sorted(outcomes, key=lambda outcome: outcome.name)  # names start with the lanes' numbers
        if not made:
            raise InputError(f"{argument('outcomes')}: there are none; a grid takes at least one")
        self.image: np.ndarray = contact_sheet(
            [Cell(one.name, one.lane.row, one.lane.column, one.image, state="done") for one in made],
            row_headings=list(dict.fromkeys(one.lane.row for one in made)),
            column_headings=list(dict.fromkeys(one.lane.column for one in made)),
            corner=corner,
        )

    def _repr_png_(self) -> bytes:
        return images.encoded(self.image)
