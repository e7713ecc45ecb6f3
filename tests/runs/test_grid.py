"""The pictures of a sweep as one."""

import io
import random

import numpy as np
import pytest
from PIL import Image
from small_sweep import lane

from nst_jax.errors import InputError
from nst_jax.optim.status import Status
from nst_jax.runs.contact_sheet import Cell, contact_sheet
from nst_jax.runs.grid import Grid
from nst_jax.transfer.outcome import Outcome


def outcome(row: str, column: str, number: int) -> Outcome:
    image = np.full((40, 60, 3), number / 10, np.float32)
    own = lane(number, row=row, column=column)
    return Outcome(own, image, Status.RUNNING, [], ((),), lambda _: None)


MADE = [outcome(row, column, 3 * r + c) for r, row in enumerate("BA") for c, column in enumerate(("z", "x", "y"))]


def test_it_is_the_contact_sheet_in_the_table_s_order():
    """In whatever order the outcomes come."""
    shuffled = random.Random(0).sample(MADE, len(MADE))
    cells = [Cell(one.name, one.lane.row, one.lane.column, one.image) for one in MADE]
    sheet = contact_sheet(cells, row_headings=["B", "A"], column_headings=["z", "x", "y"], corner="α/β")
    for outcomes in (shuffled, iter(shuffled)):
        np.testing.assert_array_equal(Grid(outcomes, "α/β").image, sheet)
    for one in MADE:
        assert (sheet == one.image[0, 0]).all(-1).sum() >= one.image[..., 0].size


def test_a_notebook_shows_it():
    grid = Grid(MADE)
    with Image.open(io.BytesIO(grid._repr_png_())) as shown:
        np.testing.assert_array_equal(np.asarray(shown), np.rint(grid.image * 255))


def test_outcomes_that_are_no_grid():
    with pytest.raises(InputError, match=r"^outcomes: there are none; a grid takes at least one$"):
        Grid([])
    with pytest.raises(InputError, match="lanes 'lane0' and 'lane7' share row 'B', 'z'"):
        Grid([*MADE, outcome("B", "z", 7)])
