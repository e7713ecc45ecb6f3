"""What a run folder has for people and for other programs: losses.csv, measures.csv, grid.png and index.html."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nst_jax.measures.measures import columns, described
from nst_jax.optim.engine import Record
from nst_jax.optim.status import NOT_FINITE
from nst_jax.pictures import files, images
from nst_jax.runs.checkpoint import Saved
from nst_jax.runs.contact_sheet import Cell, State, contact_sheet, legend
from nst_jax.runs.page import page
from nst_jax.transfer.groups import groups
from nst_jax.transfer.lanes import Lane, Table, used_layers
from nst_jax.transfer.names import as_text, file_name, power

REFRESH_SECONDS = 15
SHEET_PIXELS = 24_000_000  # of all pictures in grid.png, which is then some 60 MB, and takes some 5 s
OVER = ("done", "failed")


class Shown(NamedTuple):
    """What the page shows."""

    title: str
    cells: list[Cell]
    """Of all lanes, in the table's order, without their images."""
    headings: dict[str, Any]
    """As `page` takes them."""
    notes: dict[str, str]


def write(folder: Path, run: Mapping[str, Any], table: Table, saved: Mapping[tuple[int, int], Saved]) -> Shown:
    """Makes all four anew, each whole or not at all.

    Args:
      folder: with the lanes' pictures in "lanes".
      run: what run.json holds.
      saved: by group of lanes that share a program, and share, what those that have a checkpoint saved; lane n of
        group g is lane n // shares of share (n + g) % shares.

    Returns:
      What the page shows.
    """
    shares, several = run["plan"]["shares"], groups(table)
    places = {number: (of, place) for of, group in enumerate(several) for place, number in enumerate(group.numbers)}
    of_groups = [style_layers(group.table) for group in several]
    all_layers = style_layers(table)
    cells, rows, measured = [], [], []
    files_of: dict[int, Path] = {}
    for number, lane in enumerate(table.lanes):
        of_group, place = places[number]
        of_share, own = saved.get((of_group, (place + of_group) % shares)), place // shares  # as `own_lanes` has it
        records: list[Record] = of_share.records.get(own, []) if of_share else []
        state = state_of(of_share.status.get(own), own in of_share.running) if of_share else "waiting"
        measures = of_share.measures.get(own, []) if of_share and state in OVER else []
        rows += [
            [lane.name, r.step, r.evaluations, *_losses(r), *_of_layers(r, all_layers), r.seconds] for r in records
        ]
        if measures:
            r = records[-1]
            known = dict(zip(columns(of_groups[of_group]), measures, strict=True))
            every = [known.get(name, math.nan) for name in columns(all_layers)]
            told = ["" if math.isnan(value) else value for value in every]
            measured.append([lane.name, lane.row, lane.column, r.evaluations, *_losses(r), *told])
        path = folder / "lanes" / file_name(lane.name)
        if records and path.is_file():
            files_of[number] = path
        about = describe_lane(lane) | described(measures, of_groups[of_group])
        losses = curves(records, of_groups[of_group])
        cells.append(Cell(lane.name, lane.row, lane.column, None, about, losses, state))
    losses = ["evaluations", "total", "content", "style"]
    _write_csv(folder / "losses.csv", ["lane", "step", *losses, *all_layers, "seconds"], rows)
    _write_csv(folder / "measures.csv", ["lane", "row", "column", *losses, *columns(all_layers)], measured)
    headings: dict[str, Any] = {
        "row_headings": table.row_headings,
        "column_headings": table.column_headings,
        "corner": table.corner,
    }
    scale = sheet_scale(list(files_of.values()))
    pictured = list(cells)
    for number, path in files_of.items():
        pictured[number] = replace(cells[number], image=_shrunk(images.read_image(path), scale))
    images.write_image(folder / "grid.png", contact_sheet(pictured, **headings))
    refresh = None if all(cell.state in OVER for cell in cells) else REFRESH_SECONDS
    notes = _notes(run, table) | {f"{number} in grid.png": part for part, number in numbered(table).items()}
    if scale < 1:
        notes["pictures in grid.png"] = f"shrunk to {scale:.0%}"
    title = as_text(folder.resolve().name)
    html = page(title, pictured, **headings, refresh_seconds=refresh, notes=notes)
    with files.atomic(folder / "index.html") as temporary:
        temporary.write_text(html, "utf-8")
    return Shown(title, cells, headings, notes)


def sheet_scale(pictures: Sequence[Path]) -> float:
    """By how much each side of the pictures is shrunk for grid.png, so that what reads it can; 1 for not at all."""
    pixels = 0
    for path in pictures:
        with Image.open(path) as picture:
            pixels += picture.width * picture.height
    return min(1.0, math.sqrt(SHEET_PIXELS / max(1, pixels)))


def _shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    height, width = image.shape[:2]
    return image if scale == 1 else images.resize(image, max(1, int(height * scale)), max(1, int(width * scale)))


def numbered(table: Table) -> dict[str, str]:
    """The parts of headings that grid.png has numbers for; see `contact_sheet.legend`."""
    return legend([*table.row_headings, *table.column_headings, table.corner])


def state_of(status: int | None, running: bool) -> State:
    """How far a lane is, by its status if it is over."""
    if status is not None:
        return "failed" if status == NOT_FINITE else "done"
    return "running" if running else "waiting"


def describe_lane(lane: Lane) -> dict[str, str]:
    """A lane's settings, to be read by people."""
    return {
        "content": as_text(os.path.basename(lane.content)),
        "style": as_text(os.path.basename(lane.style)) or "none",
        "α/β": power(lane.alpha / lane.beta) if lane.beta else "content only",
        "α": f"{lane.alpha:g}",
        "β": f"{lane.beta:g}",
        "content layer": _weighed(lane.content_layers, len(lane.content_layers) > 1),
        "style layers": _weighed(lane.style_layers),
        "seed": str(lane.seed),
        **({} if lane.expected is None else {"presence": f"{lane.presence:g} asked, {lane.expected:.2f} expected"}),
        **{name.replace("_", " "): str(value) for name, value in lane.own},
    }


def _weighed(layers: Sequence[tuple[str, float]], told: bool = True) -> str:
    return ", ".join(f"{layer} {weight:.3g}" if told else layer for layer, weight in layers if weight) or "none"


def style_layers(table: Table) -> tuple[str, ...]:
    """The style layers that the table's losses tell of."""
    return used_layers(lane.style_layers for lane in table.lanes if lane.beta)


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    # A heading may hold what UTF-8 does not (lone surrogates), from a file name.
    with (
        files.atomic(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def _notes(run: Mapping[str, Any], table: Table) -> dict[str, str]:
    """What all lanes share, to be read by people."""
    varied = {name for lane in table.lanes for name, _ in lane.own}
    shared = (
        "size",
        "style_size",
        "style_scale",
        "style_loss",
        "color",
        "evaluations",
        "optimizer",
        "history",
        "pool",
        "padding",
        "weights",
        "init",
        "noise",
        "tv",
        "precision",
    )
    chosen = {name.replace("_", " "): run["settings"][name] for name in shared if name not in varied}
    return {name: str(value) for name, value in chosen.items() if value is not None} | {"device": run["device"]}


def curves(records: Sequence[Record], style_layers: Sequence[str]) -> dict[str, list[float]]:
    """A lane's losses as `Cell` has them."""
    made = {"evaluations": [float(record.evaluations) for record in records]}
    made |= {name: [getattr(record.losses, name) for record in records] for name in ("total", "content", "style")}
    return made | {layer: [record.losses.style_layers[layer] for record in records] for layer in style_layers}


def _losses(record: Record) -> list[float]:
    return [record.losses.total, record.losses.content, record.losses.style]


def _of_layers(record: Record, style_layers: tuple[str, ...]) -> list[Any]:
    """Empty where the lane's group does not have the layer."""
    return [record.losses.style_layers.get(layer, "") for layer in style_layers]
