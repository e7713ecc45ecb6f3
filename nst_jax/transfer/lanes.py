"""The table of lanes: what each lane of a sweep minimizes, its name, and its place on the contact sheet."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax.errors import InputError, argument
from nst_jax.network.layers import LAYERS, ROWS
from nst_jax.transfer import names
from nst_jax.transfer.axes import EXCLUDED, Axes
from nst_jax.transfer.fields import as_tuples
from nst_jax.transfer.names import power, slug
from nst_jax.transfer.region_names import written
from nst_jax.transfer.settings import Settings

MOST_LANES = 100_000
_CORNERS = {"alpha": "α", "beta": "β", "ratio": "α/β", "style_weights": "w"}  # what columns are, in short


@dataclass(frozen=True)
class Lane:
    """One optimization problem of a sweep."""

    name: str
    """Of its picture, `lanes/NAME.png`: letters and digits of any script, `.`, `_`, `+` and `-` (`names.allowed`)."""
    row: str
    column: str
    content: str
    """The content picture's file. Also what the lane's size comes from."""
    style: str
    """The style picture's file; "" when β is zero, or where regions alone have a style."""
    alpha: float
    beta: float
    content_layers: tuple[tuple[str, float], ...]
    """Layers of equation 1 with their weights."""
    style_layers: tuple[tuple[str, float], ...]
    """Layers of equation 5 with their weights w_l."""
    seed: int
    own: tuple[tuple[str, Any], ...] = ()
    """Further settings by name in which the lane differs from its table's."""
    presence: float | None = None
    """What α/β is, or is to be, found for; None where it is given."""
    expected: float | None = None
    """The presence that the search for α/β told; None where there was none, or it is yet to come."""

    def within(self, shared: Settings) -> Settings:
        """Gives all settings of the lane but for those that it tells itself: layers, weights, α, β and the seed."""
        return replace(shared, **dict(self.own)) if self.own else shared

    @property
    def searched(self) -> bool:
        """Whether α and β are yet to be found, for the presence that is asked."""
        return self.presence is not None and self.expected is None

    @property
    def painting(self) -> Hashable:
        """What the style picture is called among those of a table."""
        return self.sized(self.style)

    def sized(self, style: str) -> Hashable:
        """What a style picture is called among those of a table: with its size where that is the lane's own."""
        sizes = tuple(value for name, value in self.own if name in ("style_size", "style_scale"))
        return (style, *sizes) if sizes else style


_TOLD = (*EXCLUDED, "content_layers", "style_layers", "style_weights", "seed")  # by lanes themselves


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

    The columns of the sheet are α/β, or presence, where that varies, otherwise the last axis that does; the rows are
    the rest. α and β of a presence are yet to be found (`presence_lanes`).

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
    subsets = [("+".join(layers), {"style_layers": layers}) for layers in axes.style_layers]
    subsets = subsets or [(f"{letter} {ROWS[letter][-1]}", {"style_layers": ROWS[letter]}) for letter in axes.rows]
    dimensions = {
        "content": [(_title(picture), {"content": str(picture)}) for picture in contents],
        "style": [(_title(picture), {"style": str(picture)}) for picture in styles],
        "rows" if axes.rows else "style_layers": subsets,
        "style_weights": [(",".join(f"{w:g}" for w in ws), {"style_weights": ws}) for ws in axes.style_weights],
        "seed": [(f"seed {seed}", {"seed": seed}) for seed in axes.seed],
        **{name: [(heading(name, value), {name: value}) for value in values] for name, values in axes.vary},
        "alpha": [(f"α {power(alpha)}", {"alpha": alpha}) for alpha in axes.alpha],
        "beta": [(f"β {power(beta)}", {"beta": beta}) for beta in axes.beta],
        "ratio": [(power(ratio), {"ratio": ratio}) for ratio in axes.ratio],
        "presence": [(f"presence {presence:g}", {"presence": presence}) for presence in axes.presence],
    }
    for name, values in dimensions.items():
        if twice := [heading for heading, count in Counter(heading for heading, _ in values).items() if count > 1]:
            raise InputError(f"{argument(name)}: {twice[0]!r} is given twice; lanes need names of their own")
    varying = [name for name, values in dimensions.items() if len(values) > 1]
    across = _across(varying, axes)
    axes_values = [values or [("", {})] for values in dimensions.values()]
    count = math.prod(len(values) for values in axes_values)
    if count > MOST_LANES:
        raise InputError(f"the sweep has {count:,} lanes; at most {MOST_LANES:,} are allowed")
    lanes = []
    for number, combination in enumerate(product(*axes_values)):
        headings = dict(zip(dimensions, (heading for heading, _ in combination), strict=True))
        chosen = {key: value for _, values in combination for key, value in values.items()}
        row = ", ".join(headings[name] for name in varying if name not in across)
        column = ", ".join(headings[name] for name in across)
        parts = list(filter(None, (row, column))) or ["picture"]
        name = "_".join([f"{number:0{len(str(count - 1))}}", *map(slug, parts)])
        lanes.append(lane_of(settings, chosen, name, row or "picture", column or "picture"))
    return sheet(lanes, ", ".join(_CORNERS.get(name, name.replace("_", " ")) for name in across), settings)


def _across(varying: Sequence[str], axes: Axes) -> list[str]:
    """The axes that the columns of the sheet are."""
    for option, name in (("grid_rows", axes.grid_rows), ("grid_columns", axes.grid_columns)):
        if name and name.replace("-", "_") not in varying:
            listed = ", ".join(varying) or "none"
            raise InputError(f"{argument(option)}: {name!r} does not vary in this sweep; those that do are {listed}")
    rows, columns = (name and name.replace("-", "_") for name in (axes.grid_rows, axes.grid_columns))
    if rows and rows == columns:
        raise InputError(f"{argument('grid_rows')}: {rows!r} is the columns already; name another axis")
    if columns:
        return [columns]
    alone = "presence" if axes.presence else "ratio"
    return [name for name in varying if name != rows] if rows else [*varying[-1:]] or [alone]


def heading(name: str, value: Any) -> str:
    """Writes a setting and its value for people: "style scale 0.5"."""
    text = ",".join(map(_written, value)) if isinstance(value, tuple) else _written(value)
    return f"{name.replace('_', ' ')} {text}"


def _written(value: Any) -> str:
    return power(value) if isinstance(value, float) else str(value)


def _title(picture: str | Path) -> str:
    """A picture's own name: of a file without its ending."""
    return names.as_text(picture.stem if isinstance(picture, Path) else picture)


def sheet(lanes: Sequence[Lane], corner: str, settings: Settings) -> Table:
    """Makes the table of lanes that are given one by one.

    Args:
      lanes: in the table's order; their headings appear in it.
      corner: what the columns are.
      settings: the table's.

    Returns:
      The table.

    Raises:
      InputError: two lanes share a place.
    """
    places: dict[tuple[str, str], str] = {}
    for lane in lanes:
        if (other := places.setdefault((lane.row, lane.column), lane.name)) != lane.name:
            raise InputError(f"lanes {other} and {lane.name}: both are in row {lane.row!r}, column {lane.column!r}")
    rows, columns = (tuple(dict.fromkeys(getattr(lane, place) for lane in lanes)) for place in ("row", "column"))
    return Table(tuple(lanes), rows, columns, corner, settings)


def lane_of(settings: Settings, chosen: Mapping[str, Any], name: str, row: str, column: str) -> Lane:
    """Makes a lane.

    Args:
      settings: of all lanes.
      chosen: the pictures, and the lane's own settings, which count before `settings`.
      name: the lane's.
      row: the heading it stands under, as does `column`.
      column: likewise.

    Returns:
      The lane.

    Raises:
      InputError: settings that are not allowed, or exclude each other.
    """
    own = {key: value for key, value in chosen.items() if key not in ("content", "style")}
    own = {other: None for name in own for other in EXCLUDED.get(name, ())} | own
    if "style_layers" in own:
        own = {"style_weights": None} | own
    if own.get("init", "noise") not in ("noise", "content"):
        allowed = "lanes of one run may differ in noise and content alone"
        raise InputError(f"{argument('init')}: {own['init']!r} is not allowed; {allowed}")
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
        content_layers=tuple(of_lane.content_weights.items()),
        style_layers=tuple(of_lane.layer_weights.items()),
        seed=of_lane.seed,
        own=tuple((key, own[key]) for key in sorted({*own} - {*_TOLD}) if own[key] != getattr(settings, key)),
        presence=of_lane.presence,
    )


def used_layers(of_lanes: Iterable[Iterable[tuple[str, float]]], *, unweighted: bool = False) -> tuple[str, ...]:
    """Lists the layers that lanes use, in the network's order.

    Args:
      of_lanes: layers with their weights, of each lane.
      unweighted: whether layers of weight zero count.

    Returns:
      Their names.
    """
    used = {layer for own in of_lanes for layer, weight in own if weight or unweighted}
    return tuple(sorted(used, key=LAYERS.index))


def paintings(table: Table) -> dict[Hashable, tuple[str, int]]:
    """Lists the style pictures that a table needs.

    Args:
      table: of lanes that share their regions.

    Returns:
      The file, and the longest side in pixels that it is brought to, by what `Lane.painting` calls it.
    """
    found, shared = {}, table.settings
    of_regions = [written(region).painting for region in shared.region]
    for lane in table.lanes:
        side = lane.within(shared).beside(shared.size)
        found |= {lane.sized(style): (style, side) for style in (lane.style, *of_regions) if style}
    return found


def on(table: Table, platform: str) -> Table:
    """Names the precision that "auto" is on a platform, in the table's settings and in those that are lanes' own."""
    settings = table.settings.on(platform)

    def named(lane: Lane) -> Lane:
        own = [(name, lane.within(settings).on(platform).precision if name == "precision" else value)
               for name, value in lane.own]  # fmt: skip
        return replace(lane, own=tuple((name, value) for name, value in own if value != getattr(settings, name)))

    return table._replace(lanes=tuple(named(lane) if lane.own else lane for lane in table.lanes), settings=settings)


def as_json(table: Table) -> dict[str, Any]:
    """Gives the table as what `from_json` reads, but for its settings."""
    return {
        "lanes": [asdict(lane) | {"own": dict(lane.own)} for lane in table.lanes],
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
            own=tuple((str(name), as_tuples(value)) for name, value in entry.get("own", {}).items()),
        )
        for entry in data["lanes"]
    ]
    for lane in lanes:
        lane.within(settings)  # which raises InputError, a ValueError
        if not names.allowed(lane.name):  # it becomes a file name
            raise ValueError(f"lane name {lane.name!r} is not allowed")
        if unknown := [layer for layer, _ in lane.content_layers + lane.style_layers if layer not in LAYERS]:
            raise ValueError(f"layer {unknown[0]!r} is unknown")
    if len({names.folded(lane.name) for lane in lanes}) < len(lanes):
        raise ValueError("two lanes have one name, as part of a file name")
    rows, columns = tuple(data["row_headings"]), tuple(data["column_headings"])
    return Table(tuple(lanes), rows, columns, str(data["corner"]), settings)
