"""Tables of lanes from files, as people and their spreadsheets write them: CSV in its many forms, and JSON."""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax.errors import InputError
from nst_jax.transfer import names
from nst_jax.transfer.axes import UNVARIED
from nst_jax.transfer.fields import regions
from nst_jax.transfer.lanes import MOST_LANES, Table, lane_of, sheet
from nst_jax.transfer.region_names import renamed
from nst_jax.transfer.settings import Settings

_KNOWN = {item.name: item.metadata["parse"] for item in fields(Settings) if item.name not in UNVARIED}
_COLUMNS = ("name", "row", "column", "content", "style", *_KNOWN)
_NUMBERS = tuple(name for name, parse in _KNOWN.items() if parse is float)
_WHOLE = tuple(name for name, parse in _KNOWN.items() if parse is int)
_SEPARATORS = ",;\t"
_TOLD = re.compile(f"sep=([{_SEPARATORS}])[\r\n]")  # how spreadsheets say which it is
# One letter beside plain ones, which all of Windows' Latin code pages (1250, 1252, 1254, 1257, 1258) write with the
# same byte, and which in other alphabets, and in those of several bytes a letter, hardly stands alone.
_SHARED = b"[" + "ÄÉÓÖÜßäéóöü".encode("cp1252") + b"]"
_WESTERN = re.compile(rb"(?<![\x80-\xff])%b(?=[A-Za-z])|(?<=[A-Za-z])%b(?![\x80-\xff])" % (_SHARED, _SHARED))


class _Entry(NamedTuple):
    """A lane as it is written."""

    place: str
    """In the file, for people: "line 3"."""
    values: dict[str, str]
    """By column; only what is said."""


def read_table(path: Path, content: Path, style: Path | str, settings: Settings) -> Table:
    """Reads an explicit list of lanes: a CSV file with a line of headings, or a JSON list of objects.

    Columns, all optional: name, row, column, content, style, and any setting that lanes need not share, such as ratio,
    seed, color or pool; layers and weights are several in a cell. What a line leaves out or empty is as `content`,
    `style` and `settings` say. Headings may be in capitals, with spaces or hyphens for underscores; empty lines and
    columns count for nothing.

    CSV is separated by commas, semicolons or tabs. Where it is not by commas, a number may have a decimal comma, all
    alike in a file. Layers and weights in a cell are separated by spaces or commas; by spaces where commas are decimal.
    Text is UTF-8 or, with its mark, UTF-16; also what is Windows-1252 beyond doubt.

    A picture's path is taken from the table's folder if it is there, otherwise from the working directory; `~` is the
    home folder.

    Args:
      path: the file; JSON if it ends in .json.
      content: the content picture's file, unless a line names another.
      style: the style picture's file, likewise; "" where regions alone have a style.
      settings: of all lanes, in what no column says.

    Returns:
      The table, of at most 100,000 lanes.

    Raises:
      InputError: the file cannot be read, is empty, has an unknown column, a value that is not allowed or may be read
        in two ways, or two lanes have one name or one place on the sheet.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read as a table of lanes ({error.strerror})") from None
    if path.suffix.lower() == ".json":
        entries, decimal = list(_of_json(path, raw)), "."
    else:
        text = _text(path, raw)
        separator = _separator(text)
        entries = list(_of_csv(path, text, separator))
        decimal = _decimal(path, entries, separator)
    if not 0 < len(entries) <= MOST_LANES:
        raise InputError(f"{path}: {len(entries):,} lanes; must be from 1 to {MOST_LANES:,}")
    lanes, taken = [], {}
    for number, (place, values) in enumerate(entries):
        chosen = {"content": str(content), "style": str(style)} | _chosen(path, place, values, settings, decimal)
        name = names.slug(chosen.pop("name", f"{number:0{len(str(len(entries) - 1))}}"))
        if (before := taken.setdefault(names.folded(name), place)) != place:
            raise InputError(f"{path}, {before} and {place}: two lanes are named {name!r}, as part of a file name")
        column = chosen.pop("column", name)
        row = chosen.pop("row", "lanes")
        try:
            lanes.append(lane_of(settings, chosen, name, row, column))
        except InputError as error:
            raise InputError(f"{path}, {place}: {error}") from None
    try:
        return sheet(lanes, "", settings)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _of_json(path: Path, raw: bytes) -> Iterator[_Entry]:
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as a table of lanes ({' '.join(str(error).split())})") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: must be a list of objects")
    for number, entry in enumerate(entries, start=1):
        place = f"lane {number}"
        told = zip(_columns(path, place, list(entry)), entry.values(), strict=True)
        values = {column: value for column, value in told if value not in (None, "")}
        texts = {c: ",".join(map(str, value)) if isinstance(value, list) else str(value) for c, value in values.items()}
        yield _Entry(place, texts)


def _of_csv(path: Path, text: str, separator: str) -> Iterator[_Entry]:
    lines = _lines(path, text, separator)
    if _TOLD.match(text):
        next(lines)
    place, headings = next(lines, ("", []))
    columns = _columns(path, place, headings)
    for place, cells in lines:
        values: dict[str, str] = {}
        for number, cell in enumerate(cells):
            column = columns[number] if number < len(columns) else ""
            if cell and not column:
                raise InputError(f"{path}, {place}, column {number + 1}: {cell!r} stands under no heading")
            if cell:
                values[column] = cell
        yield _Entry(place, values)


def _lines(path: Path, text: str, separator: str) -> Iterator[tuple[str, list[str]]]:
    """The lines that are not empty, each with its place; cells without the spaces around them."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        place = f"line {rows.line_num + 1}"
        try:
            cells = [cell.strip() for cell in next(rows)]
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}, {place}: cannot be read as a table of lanes ({error})") from None
        if any(cells):
            yield place, cells


def _separator(text: str) -> str:
    """As a first line `sep=;` says, or that by which most headings are known."""
    if told := _TOLD.match(text):
        return told[1]

    def known(separator: str) -> int:
        headings: list[str] = []
        with suppress(csv.Error):
            start = io.StringIO(text.lstrip(_SEPARATORS + " \r\n"), newline="")
            headings = next(csv.reader(start, delimiter=separator, skipinitialspace=True), [])
        return len({_column(heading) for heading in headings} & {*_COLUMNS})

    return max(_SEPARATORS, key=known)


def _columns(path: Path, place: str, headings: Sequence[str]) -> list[str]:
    """The columns that the headings name, "" for none."""
    columns = [_column(heading) for heading in headings]
    for heading, column in zip(headings, columns, strict=True):
        if column and column not in _COLUMNS:
            raise InputError(f"{path}, {place}: unknown column {heading!r}; known columns are {', '.join(_COLUMNS)}")
        if column and columns.count(column) > 1:
            raise InputError(f"{path}, {place}: two columns are headed {column}")
    return columns


def _column(heading: str) -> str:
    return re.sub("[ \u00a0_-]+", "_", heading.strip().casefold())


def _decimal(path: Path, entries: Sequence[_Entry], separator: str) -> str:
    """The decimal sign of the file's numbers, "" where none tells. Raises InputError where it may be this or that."""
    found: dict[str, list[tuple[str, str]]] = {}
    for place, values in entries:
        for column in _NUMBERS:
            number = values.get(column, "")
            for sign in {*number} & {*".,"}:
                found.setdefault(sign, []).append((f"{path}, {place}, column {column}: {number!r}", number))
    if separator == ",":
        if "," in found:
            raise InputError(f"{found[','][0][0]} has a comma, as those between the columns; write it with a point")
        return "."
    if len(found) == 2:
        point = found["."][0][1]
        raise InputError(f"{found[','][0][0]} has a comma, and {point!r} a point; write all numbers of the file alike")
    for sign, numbers in found.items():
        if all(re.fullmatch(rf"[1-9]\d{{0,2}}\{sign}\d\d\d", number) for _, number in numbers):
            where, number = numbers[0]
            meanings = f"{float(number.replace(sign, '.')):g} or {number.replace(sign, '')}"
            raise InputError(f"{where} may mean {meanings}; write which")
    return "".join(found)


def _chosen(path: Path, place: str, values: Mapping[str, str], settings: Settings, decimal: str) -> dict[str, Any]:
    """What a lane's entry says, in the types that settings have."""
    layers = settings.style_layers
    if "style_layers" in values:
        layers = tuple(filter(None, re.split(r"[,\s]+", values["style_layers"])))
    read: dict[str, Callable[[str], Any]] = {
        **dict.fromkeys(("content", "style"), partial(_picture, path.parent)),
        **dict.fromkeys(_NUMBERS, partial(_number, decimal)),
        "style_layers": lambda _: layers,
        "content_layers": partial(_weighed_layers, decimal),
        "style_weights": partial(_weights, decimal, len(layers)),
        "region_weights": partial(_weights, decimal, None),
        "keep": partial(_picture, path.parent),
        "region": partial(_regions, path.parent),
        **dict.fromkeys(_WHOLE, _whole_number),
    }
    chosen: dict[str, Any] = {}
    for column, text in values.items():
        try:
            chosen[column] = read.get(column, str)(text)
        except ValueError as error:
            raise InputError(f"{path}, {place}, column {column}: {error}") from None
    return chosen


def _picture(folder: Path, text: str) -> str:
    named = os.fsdecode(os.path.expanduser(text).encode("utf-8", "surrogateescape"))
    beside = str(folder / named)
    return beside if os.path.exists(beside) else named


def _number(decimal: str, text: str) -> float:
    try:
        return float(text.translate({ord("."): ",", ord(","): "."}) if decimal == "," else text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def _regions(folder: Path, text: str) -> tuple[str, ...]:
    return tuple(renamed(region, partial(_picture, folder)) for region in regions(text))


def _weights(decimal: str, count: int | None, text: str) -> tuple[float, ...]:
    """So many numbers, or as many as there are; their count tells of a comma whether it is a decimal one, unless
    another number of the file does.
    """
    listed, spaced = (re.split(between, text.strip()) for between in (r"\s*,\s*|\s+", r",?\s+"))
    count = count or max(len(spaced), len(listed) if len(spaced) == 1 else 0)
    if decimal == "," or (not decimal and len(listed) != count == len(spaced)):
        return tuple(_number(",", part) for part in spaced)
    return tuple(_number(".", part) for part in listed)


def _weighed_layers(decimal: str, text: str) -> tuple[str, ...]:
    """Layers with their weights, such as conv3_2:0.2."""
    parts = re.split(r"[,\s]+(?=[A-Za-z])", text.strip(", \n"))  # a comma before a digit is a decimal one
    return tuple(part if decimal == "." else part.replace(",", ".") for part in parts)


def _text(path: Path, raw: bytes) -> str:
    """What the bytes of a file say."""
    encoding = json.detect_encoding(raw)
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-8" and _WESTERN.sub(b"", raw).isascii():
            return raw.decode("cp1252")
        line, byte = raw.count(b"\n", 0, error.start) + 1, raw[error.start]
        unsure = ", nor beyond doubt Windows-1252" if encoding == "utf-8" else ""
        what = f"the byte 0x{byte:02x} is not {encoding.upper()}{unsure}"
        raise InputError(f"{path}, line {line}: {what}; save the table as UTF-8") from None
