"""The contact sheet: pictures unscaled where they belong, headings that can be read and never touch a picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_fonts import font_of

from nst_jax.errors import InputError
from nst_jax.runs.contact_sheet import Cell, _lettered, contact_sheet, legend, placed

ROWS = ["A conv1_1", "B conv2_1", "C conv3_1"]
COLUMNS = ["α/β = 10⁻⁵", "α/β = 10⁻⁴"]


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(height, width, 3)).astype(np.float32)


def table(rows: list[str], columns: list[str], height: int, width: int) -> list[Cell]:
    return [
        Cell(f"{i}-{j}", row, column, noise(100 * i + j, height, width), state="done")
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
    ]


def where(sheet: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    """Top left corner of a noise picture in the sheet: the only place where its first pixel and all others stand."""
    height, width = picture.shape[:2]
    for y, x in np.argwhere((sheet == picture[0, 0]).all(axis=2)):
        if np.array_equal(sheet[y : y + height, x : x + width], picture):
            return int(y), int(x)
    raise AssertionError("the picture is not in the sheet")


def ink(region: np.ndarray) -> int:
    return int((region.min(axis=2) < 0.5).sum())


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 48), (96, 200), (300, 225), (512, 512)])
def test_pictures_stand_unscaled_in_rows_and_columns_beside_headings(height, width):
    cells = table(ROWS, COLUMNS, height, width)
    sheet = contact_sheet(cells, row_headings=ROWS, column_headings=COLUMNS, corner="α/β")
    assert sheet.dtype == np.float32
    assert sheet.min() >= 0
    assert sheet.max() <= 1
    corners = {cell.name: where(sheet, cell.image) for cell in cells}
    for i in range(len(ROWS)):
        assert len({corners[f"{i}-{j}"][0] for j in range(len(COLUMNS))}) == 1
    for j in range(len(COLUMNS)):
        assert len({corners[f"{i}-{j}"][1] for i in range(len(ROWS))}) == 1
    (top, left), (bottom, right) = corners["0-0"], corners["2-1"]
    assert corners["1-0"][0] >= top + height
    assert corners["0-1"][1] >= left + width
    for i in range(len(ROWS)):
        y = corners[f"{i}-0"][0]
        assert ink(sheet[y : y + height, :left]) > 20
    for j in range(len(COLUMNS)):
        x = corners[f"0-{j}"][1]
        assert ink(sheet[:top, x : x + width]) > 20
    assert ink(sheet[:top, :left]) > 20
    # Between and around the pictures there is only paper: no heading touches one.
    inside = np.zeros(sheet.shape[:2], bool)
    for y, x in corners.values():
        inside[y : y + height, x : x + width] = True
    body = ~inside[top - 1 : bottom + height, left - 1 : right + width]
    assert (sheet[top - 1 : bottom + height, left - 1 : right + width][body] == 1).all()


def text_height(sheet: np.ndarray, top: int, left: int) -> int:
    rows = np.flatnonzero((sheet[:top, left:].min(axis=2) < 0.5).any(axis=1))
    return int(rows[-1] - rows[0] + 1)


def test_headings_grow_with_the_pictures():
    heights = []
    for size in (64, 192, 384):
        cell = Cell("a", "A", "10", noise(0, size, size))
        sheet = contact_sheet([cell], row_headings=["A"], column_headings=["10"])
        heights.append(text_height(sheet, *where(sheet, cell.image)))
    assert heights[0] >= 6
    assert heights[1] >= 1.5 * heights[0]
    assert heights[2] >= 1.7 * heights[1]


def test_superscripts_are_raised():
    cell = Cell("a", "A", "10⁻⁵", noise(0, 192, 192))
    sheet = contact_sheet([cell], row_headings=["A"], column_headings=["10⁻⁵"])
    top, left = where(sheet, cell.image)
    rows, columns = np.nonzero(sheet[:top, left:].min(axis=2) < 0.5)
    last_digit = columns > columns.max() - 6
    assert rows[last_digit].max() < rows.max() - 3  # the 5's foot over the baseline of "10"


def heading(text: str) -> np.ndarray:
    """A column's heading, as it is drawn."""
    cell = Cell("a", "A", text, noise(0, 192, 192))
    sheet = contact_sheet([cell], row_headings=["A"], column_headings=[text])
    top, left = where(sheet, cell.image)
    return sheet[:top, left:]


def test_letters_of_other_scripts_are_drawn_in_a_font_that_has_them(system_fonts):
    (system_fonts / "a.ttf").write_bytes(font_of("梵高"))
    assert legend(["梵高, 10⁻⁵", "A 梵"]) == {}
    one, other, both = heading("梵 A"), heading("高 A"), heading("梵高 A")
    assert len({ink(one), ink(other), ink(both)}) == 3
    assert ink(both) > ink(one) > ink(heading("A")) > 20
    assert text_height(both, len(both), 0) < 25


def test_parts_of_headings_that_no_font_has_are_numbers(system_fonts):
    """One number for one text, wherever it stands; never one that a heading has for a name."""
    (system_fonts / "a.ttf").write_bytes(font_of("梵高"))
    rows = ["北斎, A conv1_1", "梵高, A conv1_1", "北斎, B conv2_1"]
    columns = ["#2", "שלום", "x\u0304", "10⁻⁵"]
    assert legend([*rows, *columns]) == {"北斎": "#1", "שלום": "#3", "x\u0304": "#4"}
    for text in ("北斎", "שלום", "x\u0304", "caf\udce9", "a\u202eb", "কি"):
        np.testing.assert_array_equal(heading(text), heading("#1"))
    np.testing.assert_array_equal(heading("北斎, A, 斎, 10⁻⁵"), heading("#1, A, #2, 10⁻⁵"))


@pytest.mark.parametrize(
    ("text", "drawn"),
    [("Dürer", "Durer"), ("Du\u0308rer", "Durer"), ("ａｂ", "ab"), ("α/β", "alpha/beta"), ("㎏", "kg"),
     ("a\u00a0 b", "a b"), ("½", "#1"), ("Größe", "#1"), ("ø", "#1")],
)  # fmt: skip
def test_headings_without_any_font_for_them(system_fonts, text, drawn):
    np.testing.assert_array_equal(heading(text), heading(drawn))


def test_headings_that_would_look_alike_without_their_accents(system_fonts):
    assert legend(["peche", "pêche", "péché", "thé", "α", "alpha"]) == {"pêche": "#1", "péché": "#2", "α": "#3"}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=6, unique=True))
def test_no_two_headings_look_alike(headings):
    """Whatever fonts there are: those that no font tells apart have different numbers."""
    numbers = legend(headings)
    assert len({_lettered(text, numbers) for text in headings}) == len(headings)
    assert not set(numbers.values()) & {part for text in headings for part in text.split(", ")}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(max_size=120), min_size=1, max_size=3, unique=True),
    st.lists(st.text(max_size=120), min_size=1, max_size=3, unique=True),
    st.integers(8, 80),
)
def test_whatever_the_headings_every_picture_is_whole(rows, columns, size):
    cells = table(rows, columns, size, size)
    sheet = contact_sheet(cells, row_headings=rows, column_headings=columns, corner=rows[0])
    for cell in cells:
        where(sheet, cell.image)


def test_long_headings_do_not_make_the_sheet_huge():
    heading = "conv1_1," * 500
    cell = Cell("a", heading, "word " * 500, noise(0, 96, 96))
    sheet = contact_sheet([cell], row_headings=[cell.row], column_headings=[cell.column])
    assert sheet.shape[0] < 3 * 96
    assert sheet.shape[1] < 3 * 96


def test_pictures_of_different_shapes_are_centered():
    wide, tall = Cell("w", "A", "x", noise(1, 40, 80)), Cell("t", "A", "y", noise(2, 80, 40))
    sheet = contact_sheet([wide, tall], row_headings=["A"], column_headings=["x", "y"])
    (wide_y, wide_x), (tall_y, tall_x) = where(sheet, wide.image), where(sheet, tall.image)
    assert wide_y - tall_y == 20
    assert tall_x - wide_x > 80 + 20


def test_missing_pictures_are_boxes_and_missing_lanes_are_blank():
    done, waiting = Cell("d", "A", "x", noise(1, 64, 64), state="done"), Cell("w", "A", "y", state="waiting")
    sheet = contact_sheet([done, waiting], row_headings=["A", "B"], column_headings=["x", "y"])
    top, left = where(sheet, done.image)
    next_left = sheet.shape[1] - (sheet.shape[1] - left) // 2  # two equal columns fill the width after the headings
    box = sheet[top : top + 64, next_left : next_left + 64]
    colors, counts = np.unique(box.reshape(-1, 3), axis=0, return_counts=True)
    assert counts.max() > 0.8 * box.shape[0] * box.shape[1]
    grey = colors[counts.argmax()]
    assert 0.5 < grey.mean() < 0.95
    assert ink(box) > 20  # the state's name
    assert (sheet[top + 64 :, left:] == 1).all()


@pytest.mark.parametrize(
    ("cells", "rows", "columns", "message"),
    [
        ([Cell("a", "A", "x")], ["B"], ["x"], "no row 'A'"),
        ([Cell("a", "A", "x"), Cell("b", "A", "x")], ["A"], ["x"], "'a' and 'b' share"),
        ([], ["A", "A"], ["x"], "row headings"),
        ([], ["A"], [], "column headings"),
    ],
)
def test_tables_that_make_no_sense_are_refused(cells, rows, columns, message):
    with pytest.raises(InputError, match=message):
        placed(cells, rows, columns)
