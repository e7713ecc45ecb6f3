"""For tests of tables of lanes: names that mean harm, and what every table must be."""

from pathlib import Path

from nst_jax.runs.contact_sheet import Cell, placed
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.names import allowed, folded

PHOTO, PAINTING = Path("photo.png"), Path("painting.png")
HOSTILE = [
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "a\nb",
    "\udcff",
    "\x00",
    ".hidden",
    "-o",
    "  ",
    "ß ö 山",
    "COM1",
    "\u202egnp.exe",
    "a" * 500,
    "山" * 500,
    "e" + "\u0301" * 500,
]


def assert_sound(table: Table) -> None:
    """Names are safe as file names and different on every system, and each lane has its own place on the sheet."""
    names = [lane.name for lane in table.lanes]
    assert all(map(allowed, names)), names
    assert len({folded(name) for name in names}) == len(names)
    cells = [Cell(lane.name, lane.row, lane.column) for lane in table.lanes]
    assert len(placed(cells, table.row_headings, table.column_headings)) == len(names)
