"""The table of lanes: what each lane of a sweep minimizes, its name, and its place on the contact sheet."""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax.errors import InputError
from nst_jax.network.layers import LAYERS, ROWS
from nst_jax.transfer.fields import layers, numbers
from nst_jax.transfer.settings import Axes, Settings

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_PLAIN = {raised: plain for plain, raised in _SUPERSCRIPTS.items()}
_COLUMNS = ("name", "row", "column", "content", "style", "ratio", "alpha", "beta", "content_layer", "style_layers",
            "style_weights", "seed")  # fmt: skip
_MOST_LANES = 100_000
_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,199}")


@dataclass(frozen=True)
class Lane:
    """One optimization problem of a sweep."""

    name: str
    """Of its picture, `lanes/NAME.png`: letters, digits, `.`, `_`, `+` and `-` only."""
    row: str
    column: str
    content: str
    """The content picture's file. Also what the lane's size comes from."""
    style: str
    """The style picture's file; "" when β is zero."""
    alpha: float
    beta: float
    content_layers: tuple[tuple[str, float], ...]
    """Layers of equation 1 with their weights."""
    style_layers: tuple[tuple[str, float], ...]
    """Layers of equation 5 with their weights w_l."""
    seed: int


class Table(NamedTuple):
    """Lanes with the settings that they share and the headings of the contact sheet they make."""

    lanes: tuple[Lane, ...]
    row_headings: tuple[str, ...]
    column_headings: tuple[str, ...]
    corner: str
    settings: Settings
    """What the lanes' α, β and w_l are given for, and all that is not in a lane."""


def table(contents: Sequence[str | Path], styles: Sequence[str | Path], axes: Axes, settings: Settings) -> Table:
    """Makes the product of all axes.

    The columns of the sheet are α/β where that varies, otherwise the last axis that does; the rows are the rest.

    Args:
      contents: the content pictures' files or names.
      styles: the style pictures', likewise.
      axes: what varies beside the pictures.
      settings: of all lanes, in what does not vary.

    Returns:
      The table, of at most 100,000 lanes.

    Raises:
      InputError: the same value twice, too many lanes, values that `Settings` refuses.
    """
    subsets = [("+".join(names), {"style_layers": names}) for names in axes.style_layers]
    subsets = subsets or [(f"{letter} {ROWS[letter][-1]}", {"style_layers": ROWS[letter]}) for letter in axes.rows]
    dimensions = {
        "content": [(Path(path).stem, {"content": str(path)}) for path in contents],
        "style": [(Path(path).stem, {"style": str(path)}) for path in styles],
        "style_layers": subsets,
        "w": [(",".join(f"{w:g}" for w in ws), {"style_weights": ws}) for ws in axes.style_weights],
        "seed": [(f"seed {seed}", {"seed": seed}) for seed in axes.seed],
        "α": [(f"α {power(alpha)}", {"alpha": alpha}) for alpha in axes.alpha],
        "β": [(f"β {power(beta)}", {"beta": beta}) for beta in axes.beta],
        "α/β": [(power(ratio), {"ratio": ratio}) for ratio in axes.ratio],
    }
    for name, values in dimensions.items():
        if len({heading for heading, _ in values}) < len(values):
            raise InputError(f"{name}: the same value (or file name) is given twice")
    varying = [name for name, values in dimensions.items() if len(values) > 1]
    across = varying[-1] if varying else "α/β"
    axes_values = [values or [("", {})] for values in dimensions.values()]
    count = math.prod(len(values) for values in axes_values)
    if count > _MOST_LANES:
        raise InputError(f"the sweep has {count:,} lanes; at most {_MOST_LANES:,} are allowed")
    lanes = []
    for number, combination in enumerate(product(*axes_values)):
        headings = dict(zip(dimensions, (heading for heading, _ in combination), strict=True))
        chosen = {key: value for _, values in combination for key, value in values.items()}
        column = headings.pop(across) or "picture"
        row = ", ".join(headings[name] for name in headings if name in varying) or "picture"
        parts = [row, column] if len(varying) > 1 else [column]
        name = "_".join([f"{number:0{len(str(count - 1))}}", *map(slug, parts)])
        lanes.append(_lane(settings, chosen, name, row, column))
    return _sheet(lanes, across, settings)


def read_table(path: Path, content: Path, style: Path, settings: Settings) -> Table:
    """Reads an explicit list of lanes: a CSV file with a heading line, or a JSON list of objects.

    Columns, all optional: name, row, column, content, style, ratio or alpha and beta, content_layer, style_layers and
    style_weights (comma-separated), seed. What a line leaves out or empty is as `content`, `style` and `settings` say.

    Args:
      path: the file.
      content: the content picture's file, unless a line names another.
      style: the style picture's file, likewise.
      settings: of all lanes, in what no column says.

    Returns:
      The table, of at most 100,000 lanes.

    Raises:
      InputError: the file cannot be read, is empty, has an unknown column or a value that is not allowed, or two lanes
        have one name or one place on the sheet.
    """
    lanes = []
    entries = _entries(path)
    for number, entry in enumerate(entries):
        unknown = [key for key in entry if key not in _COLUMNS]
        if unknown:
            extra = (
                f"unknown column {unknown[0]!r}" if unknown[0] is not None else f"lane {number + 1} has too many values"
            )
            raise InputError(f"{path}: {extra}; known columns are {', '.join(_COLUMNS)}")
        try:
            chosen = {key: _value(key, value) for key, value in entry.items() if value not in (None, "")}
            name = slug(chosen.pop("name", f"{number:0{len(str(len(entries) - 1))}}"))
            column = chosen.pop("column", name)
            row = chosen.pop("row", "lanes")
            lanes.append(_lane(settings, {"content": str(content), "style": str(style)} | chosen, name, row, column))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}, lane {number + 1}: {error}") from None
    if not 0 < len(lanes) <= _MOST_LANES:
        raise InputError(f"{path}: {len(lanes):,} lanes; must be from 1 to {_MOST_LANES:,}")
    names = Counter(lane.name.lower() for lane in lanes)  # not every file system tells a from A
    if twice := [name for name, count in names.items() if count > 1]:
        raise InputError(f"{path}: two lanes are named {twice[0]!r}, as part of a file name")
    return _sheet(lanes, "", settings)


def as_json(table: Table) -> dict[str, Any]:
    """Gives the table as what `from_json` reads, but for its settings."""
    return {
        "lanes": [asdict(lane) for lane in table.lanes],
        "row_headings": list(table.row_headings),
        "column_headings": list(table.column_headings),
        "corner": table.corner,
    }


def from_json(data: Mapping[str, Any], settings: Settings) -> Table:
    """Reads the table that `as_json` wrote.

    Args:
      data: what it returned.
      settings: the table's.

    Returns:
      The table.

    Raises:
      KeyError, TypeError, ValueError: it is no such table.
    """

    def weights(pairs: Iterable[Sequence[Any]]) -> tuple[tuple[str, float], ...]:
        return tuple((str(layer), float(weight)) for layer, weight in pairs)

    lanes = [
        replace(
            Lane(**entry),
            alpha=float(entry["alpha"]),
            beta=float(entry["beta"]),
            seed=int(entry["seed"]),
            content_layers=weights(entry["content_layers"]),
            style_layers=weights(entry["style_layers"]),
        )
        for entry in data["lanes"]
    ]
    for lane in lanes:
        if not _NAME.fullmatch(lane.name):  # it becomes a file name
            raise ValueError(f"lane name {lane.name!r} is not allowed")
        if unknown := [layer for layer, _ in lane.content_layers + lane.style_layers if layer not in LAYERS]:
            raise ValueError(f"layer {unknown[0]!r} is unknown")
    rows, columns = tuple(data["row_headings"]), tuple(data["column_headings"])
    return Table(tuple(lanes), rows, columns, str(data["corner"]), settings)


def power(value: float) -> str:
    """Writes a number for people: 1e-05 as "10⁻⁵", 0.0002 as "2e-4", 0.5 as "0.5"."""
    if 0 < value < math.inf and (value >= 1000 or value <= 0.01):
        mantissa, exponent = f"{value:.5e}".split("e")
        digits = f"{float(mantissa):g}"
        return f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}" if digits == "1" else f"{digits}e{int(exponent)}"
    return f"{value:g}"


def slug(text: str) -> str:
    """Makes text a part of a file name: safe on every system, never hidden, at most 80 characters."""
    plain = re.sub("10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", r"1e\1", text).translate(_PLAIN)
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", plain).strip(".-")[:80] or "lane"


def _sheet(lanes: Sequence[Lane], corner: str, settings: Settings) -> Table:
    """The lanes with their headings in order of appearance; InputError when two lanes share a place."""
    places: dict[tuple[str, str], str] = {}
    for lane in lanes:
        if (other := places.setdefault((lane.row, lane.column), lane.name)) != lane.name:
            raise InputError(f"lanes {other} and {lane.name}: both are in row {lane.row!r}, column {lane.column!r}")
    rows, columns = (tuple(dict.fromkeys(getattr(lane, place) for lane in lanes)) for place in ("row", "column"))
    return Table(tuple(lanes), rows, columns, corner, settings)


def _lane(settings: Settings, chosen: Mapping[str, Any], name: str, row: str, column: str) -> Lane:
    own = {key: value for key, value in chosen.items() if key not in ("content", "style")}
    if "alpha" in own or "beta" in own:
        own = {"ratio": None} | own
    if "ratio" in own:
        own = {"alpha": None, "beta": None} | own
    if "style_layers" in own:
        own = {"style_weights": None} | own
    of_lane = replace(settings, **own)
    alpha, beta = of_lane.alpha_beta
    return Lane(
        name=name,
        row=row,
        column=column,
        content=chosen["content"],
        style=chosen["style"],
        alpha=alpha,
        beta=beta,
        content_layers=((of_lane.content_layer, 1.0),),
        style_layers=tuple(of_lane.layer_weights.items()),
        seed=of_lane.seed,
    )


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text("utf-8-sig")
        is_json = path.suffix.lower() == ".json"
        entries: Any = json.loads(text) if is_json else list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table of lanes ({' '.join(str(error).split())})") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: must be a list of objects")
    return entries


def _value(key: str, value: Any) -> Any:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    read = {
        "ratio": float,
        "alpha": float,
        "beta": float,
        "seed": int,
        "style_layers": layers,
        "style_weights": numbers,
    }
    return read.get(key, str)(text)
