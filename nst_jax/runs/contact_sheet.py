"""The labelled contact sheet: the lanes' pictures in rows and columns, as in the paper's Fig 3."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from nst_jax.errors import InputError
from nst_jax.runs import fonts

State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, eq=False)
class Cell:
    """One lane's place in the sheet and what is known of it so far.

    Attributes:
        name: the lane's name, as in `lanes/NAME.png`.
        row, column: the headings it stands under.
        image: [height, width, 3] float32, 0..1, sRGB; None while there is none.
        settings: what to print beside the enlarged picture, in this order.
        losses: equally long series of one lane's records: "evaluations", then "total", "content", "style" and one per
            style layer. Values may be NaN or infinite.
        state: how far the lane is.
    """

    name: str
    row: str
    column: str
    image: np.ndarray | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    state: State = "waiting"


_PAPER, _INK, _MISSING, _FAILED = (255, 255, 255), (26, 26, 26), (216, 216, 214), (232, 205, 200)
_SMALLEST = 11  # pixels; below that Pillow's bundled font is no longer readable
_COLUMN_LINES = 3  # lines a column's heading may take before it is set smaller


def placed(
    cells: Sequence[Cell], row_headings: Sequence[str], column_headings: Sequence[str]
) -> dict[tuple[int, int], Cell]:
    """The cells by (row, column) number.

    Raises InputError when a heading is there twice, a cell names an unknown heading, or two cells share a place.
    """
    for kind, headings in (("row", row_headings), ("column", column_headings)):
        if not headings or len(set(headings)) < len(headings):
            raise InputError(f"{kind} headings {list(headings)}: there must be at least one, all different")
    rows = {heading: number for number, heading in enumerate(row_headings)}
    columns = {heading: number for number, heading in enumerate(column_headings)}
    places: dict[tuple[int, int], Cell] = {}
    for cell in cells:
        if cell.row not in rows or cell.column not in columns:
            raise InputError(f"lane {cell.name!r}: no row {cell.row!r} or no column {cell.column!r} in the sheet")
        place = rows[cell.row], columns[cell.column]
        if place in places:
            raise InputError(f"lanes {places[place].name!r} and {cell.name!r} share row {cell.row!r}, {cell.column!r}")
        places[place] = cell
    return places


def contact_sheet(
    cells: Sequence[Cell], *, row_headings: Sequence[str], column_headings: Sequence[str], corner: str = ""
) -> np.ndarray:
    """Draws the pictures unscaled, each in the middle of its place, with headings that grow with the pictures.

    Headings are wrapped, then set smaller, then cut short with an ellipsis; they never touch a picture. Superscripts
    are drawn raised, α and β spelled out, and other letters in a font of the system's where the bundled one lacks them
    (see `fonts`). Where none has them a letter loses its accents, or its part of the heading is a number (see
    `legend`). A lane without a picture is a grey box with its state; a place without a lane stays blank. `corner` is
    the heading over the row headings, e.g. "α/β".

    Returns:
        [sheet height, sheet width, 3] float32, 0..1, sRGB. Picture pixels are exactly those of the cells.

    Raises:
        InputError: as `placed`.
    """
    places = placed(cells, row_headings, column_headings)
    sizes = [cell.image.shape[:2] for cell in cells if cell.image is not None] or [(192, 192)]
    height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
    gap = max(3, min(height, width) // 24)
    numbers = legend([*row_headings, *column_headings, corner])
    rows, columns = ([_lettered(text, numbers) for text in headings] for headings in (row_headings, column_headings))
    corner = _lettered(corner, numbers)

    size = max(_SMALLEST, round(min(height, width) / 9))
    while size > _SMALLEST and not _fits(rows, columns, size, height, width):
        size -= 1
    # Below that size it is the sheet that gives way: places grow wider and higher than their pictures.
    longest_word = max(_width(word, size) for text in columns for word in _words(text))
    across = max(width, min(longest_word, 8 * size))
    line = _line(size)
    down = max(height, 2 * line)
    side_lines = [_wrapped(text, _side_limit(size, width), size, down // line) for text in rows]
    top_lines = [_wrapped(text, across, size, _COLUMN_LINES) for text in columns]
    corner_lines = _wrapped(corner, _side_limit(size, width), size, _COLUMN_LINES)
    side = max(_width(text, size) for lines in [*side_lines, corner_lines] for text in lines) + 2 * gap
    top = line * max(len(lines) for lines in [*top_lines, corner_lines]) + 2 * gap

    sheet_size = side + len(columns) * (across + gap), top + len(rows) * (down + gap)
    canvas = Image.new("RGB", sheet_size, _PAPER)
    draw = ImageDraw.Draw(canvas)
    _write(draw, corner_lines, gap, top - gap - line * len(corner_lines), size)
    for number, lines in enumerate(side_lines):
        _write(draw, lines, gap, top + number * (down + gap) + (down - line * len(lines)) // 2, size)
    for number, lines in enumerate(top_lines):
        middle = side + number * (across + gap) + across // 2
        _write(draw, lines, middle, top - gap - line * len(lines), size, centered=True)

    def corner_of(row: int, column: int, shape: tuple[int, ...]) -> tuple[int, int]:
        return (
            top + row * (down + gap) + (down - shape[0]) // 2,
            side + column * (across + gap) + (across - shape[1]) // 2,
        )

    for place, cell in places.items():
        if cell.image is None:
            y, x = corner_of(*place, (height, width))
            fill = _FAILED if cell.state == "failed" else _MISSING
            draw.rectangle((x, y, x + width - 1, y + height - 1), fill)
            if _width(cell.state, size) <= width and line <= height:
                _write(draw, [cell.state], x + width // 2, y + (height - line) // 2, size, centered=True)

    sheet = np.asarray(canvas, np.float32) / np.float32(255)
    for place, cell in places.items():
        if cell.image is not None:
            y, x = corner_of(*place, cell.image.shape)
            sheet[y : y + cell.image.shape[0], x : x + cell.image.shape[1]] = cell.image
    return sheet


def captions(texts: Sequence[str], height: int, width: int) -> list[np.ndarray]:
    """Draws a strip of paper for each text, to stand below a picture, written as a sheet's headings are.

    Args:
        texts: one for each picture.
        height: of the pictures, in pixels; letters grow with them.
        width: likewise.

    Returns:
        [strip height, width, 3] float32, 0..1, sRGB, all of one height.
    """
    numbers = legend(texts)
    lettered = [_lettered(text, numbers) for text in texts]
    size = max(_SMALLEST, round(min(height, width) / 14))
    gap = max(3, size // 3)
    lines = [_wrapped(text, width - 2 * gap, size, _COLUMN_LINES) for text in lettered]
    tall = 2 * gap + _line(size) * max(map(len, lines))
    strips = []
    for own in lines:
        canvas = Image.new("RGB", (width, tall), _PAPER)
        _write(ImageDraw.Draw(canvas), own, width // 2, gap, size, centered=True)
        strips.append(np.asarray(canvas, np.float32) / np.float32(255))
    return strips


# -- headings: text -> lines of legible characters -> ink


_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_RAISED = re.compile("([⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+)")
_SPELLED = {
    "α": "alpha",
    "β": "beta",
    "×": "x",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
}


def legend(headings: Iterable[str]) -> dict[str, str]:
    """The parts of headings that no font here can draw, which a sheet has numbers for.

    Args:
      headings: all of a sheet's. Their parts are what stands between commas.

    Returns:
      The numbers, "#1", "#2" and so on, by part. Numbers are also for what would look like another part, as letters
      without their accents may.
    """
    parts = dict.fromkeys(part for heading in headings for part in heading.split(", "))
    letters = {*unicodedata.normalize("NFC", " ".join(parts))}
    fonts.look_for(c for c in letters if c not in _SPELLED and not _RAISED.fullmatch(c))
    drawn = {part: _legible(part) for part in parts}
    alike = Counter(drawn.values())
    lost = [part for part, text in drawn.items() if text is None or (text != part and alike[text] > 1)]
    return dict(zip(lost, (f"#{n}" for n in count(1) if f"#{n}" not in parts), strict=False))


def _lettered(heading: str, numbers: Mapping[str, str]) -> str:
    return ", ".join(numbers.get(part) or _legible(part) or "" for part in heading.split(", "))


def _legible(text: str) -> str | None:
    """`text` in characters that fonts here have, and superscripts, on one line; None where they lack one."""
    drawn = [_drawn(character) for character in unicodedata.normalize("NFC", text)]
    return None if None in drawn else " ".join("".join(filter(None, drawn)).split())


def _drawn(character: str) -> str | None:
    if _RAISED.fullmatch(character):
        return character
    if character.isspace():
        return " "
    if character in _SPELLED or fonts.file_of(character) is not None:
        return _SPELLED.get(character, character)
    plain = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return plain if plain and plain.isascii() and plain.isprintable() else None


def _line(size: int) -> int:
    return round(1.3 * size)


def _runs(text: str, size: int) -> list[tuple[str, int, str, int]]:
    """The parts of a line, each as (characters, font size, font file, pixels above the baseline)."""
    if size < 16:
        text = text.replace(" ", "  ")  # the bundled font's spaces all but vanish at small sizes
    runs = []
    for number, part in enumerate(_RAISED.split(text)):
        if number % 2:
            runs.append((part.translate(_SUPERSCRIPTS), round(0.72 * size), "", round(0.36 * size)))
        else:
            runs += [("".join(same), size, file, 0) for file, same in groupby(part, fonts.file_of)]
    return runs


def _width(text: str, size: int) -> int:
    return sum(round(fonts.font(part_size, file).getlength(part)) for part, part_size, file, _ in _runs(text, size))


def _words(text: str) -> list[str]:
    """Where a line may be broken: after spaces and after the commas, semicolons and plus signs of a list."""
    return re.findall(r"[^ ,;+]*(?:[,;+]+ *| +|$)", text)


def _wrapped(text: str, limit: int, size: int, most: int) -> list[str]:
    """`text` in at most `most` lines (and one at least) no wider than `limit`, cut short with "..." if need be."""
    lines, rest = [""], _words(text)
    while rest:
        word = rest.pop(0)
        if _width((lines[-1] + word).rstrip(), size) <= limit:
            lines[-1] += word
        elif lines[-1]:
            lines.append("")
            rest.insert(0, word)
        else:  # a word wider than a line is broken anywhere
            fitting = next((n for n in range(len(word) - 1, 1, -1) if _width(word[:n], size) <= limit), 1)
            lines[-1] = word[:fitting]
            rest.insert(0, word[fitting:])
        if len(lines) > most:
            last = lines[most - 1].rstrip()
            while last and _width(last + "...", size) > limit:
                last = last[:-1]
            return [*(line.rstrip() for line in lines[: most - 1]), last + "..."]
    return [line.rstrip() for line in lines]


def _side_limit(size: int, width: int) -> int:
    return max(width, 9 * size)


def _fits(rows: list[str], columns: list[str], size: int, height: int, width: int) -> bool:
    """Whether every heading has room at this size without breaking a word."""

    def fits(text: str, limit: int, most: int) -> bool:
        unbroken = max(_width(word.rstrip(), size) for word in _words(text)) <= limit
        return unbroken and len(_wrapped(text, limit, size, most + 1)) <= most

    most = max(1, height // _line(size))
    return all(fits(text, width, _COLUMN_LINES) for text in columns) and all(
        fits(text, _side_limit(size, width), most) for text in rows
    )


def _write(draw: ImageDraw.ImageDraw, lines: list[str], x: int, y: int, size: int, *, centered: bool = False) -> None:
    """Writes lines downwards from y; x is their left edge or their middle."""
    for number, text in enumerate(lines):
        left = x - _width(text, size) // 2 if centered else x
        baseline = y + number * _line(size) + size
        for part, part_size, file, raised in _runs(text, size):
            font = fonts.font(part_size, file)
            draw.text((left, baseline - raised), part, fill=_INK, font=font, anchor="ls")
            left += round(font.getlength(part))
