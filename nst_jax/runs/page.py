"""The page to look at a sweep with: one self-contained HTML file that opens from disk."""

import base64
import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from nst_jax.runs.contact_sheet import Cell, placed

_BYTES = 19_000_000  # of the page; browsers open it in about a second
_FOLDER = " 'self' file:"  # of the page's policy: browsers differ in what they call a file beside a page
_PNG, _JPEG = 4.1, 1.2  # bytes of the page for a pixel of a noisy picture, in base64
_BYTES_OF_CELL = 400  # beside its picture
_CURVE_POINTS = 400  # more than a chart's width in pixels shows nothing more
_CURVE_NUMBERS = 600_000  # of all lanes together, of some 9 bytes each


def page(
    title: str,
    cells: Sequence[Cell],
    *,
    row_headings: Sequence[str],
    column_headings: Sequence[str],
    corner: str = "",
    refresh_seconds: int | None = None,
    notes: Mapping[str, str] | None = None,
    live: str | None = None,
) -> str:
    """Makes the page: the grid, a picture enlarged with its settings and loss curves, a comparison, a row's slider.

    Args:
        cells: the lanes, at most one for each pair of headings; their order is that of the comparison's menus.
        corner: what the columns are, e.g. "α/β"; names the row's slider.
        refresh_seconds: while the sweep runs, how often the page loads itself again (keeping what it shows); None on
            the last page.
        notes: settings of the whole sweep, printed below.
        live: for a page that is served (see `serving`): what the server calls the run. The page then asks it again and
            again for what has changed, pictures too.

    Returns:
        HTML to be written as UTF-8, of at most 20 MB up to some 10,000 lanes. It asks nothing of any network, and its
        content security policy lets nothing run but its own script, whatever the names and headings hold. Pictures
        are PNG, in the page; those of a large sweep are JPEG there, and shrunk if need be, which the page says, and
        a picture that is chosen is shown from lanes/NAME.png beside the page, where that is.

    Raises:
        InputError: as `nst_jax.runs.contact_sheet.placed`.
    """
    places = placed(cells, row_headings, column_headings)
    numbers = {id(cell): number for number, cell in enumerate(cells)}
    shape = next((cell.image.shape for cell in cells if cell.image is not None), (3, 4))
    script = _part("chart.js") + _part("page.js")
    style = _part("page.css") + f":root {{ --columns: {len(column_headings)}; --aspect: {shape[1]} / {shape[0]}; }}\n"
    points = _points(cells)
    data: dict[str, Any] = {
        "rows": row_headings,
        "columns": column_headings,
        "corner": corner,
        "refresh": refresh_seconds,
        "live": live,
        "grid": [
            [
                numbers[id(places[row, column])] if (row, column) in places else None
                for column in range(len(column_headings))
            ]
            for row in range(len(row_headings))
        ],
        "cells": [{"name": cell.name, "row": cell.row, "column": cell.column} | _told(cell, points) for cell in cells],
    }
    room = _BYTES - len(_json(data)) - _BYTES_OF_CELL * len(cells)
    pictures, beside, remark = _pictures(cells, max(0, room))
    for told, cell in zip(data["cells"], cells, strict=True):
        told["original"] = address(cell) if beside else None
    sources = " 'self'; connect-src 'self'" if live else _FOLDER if beside else ""
    html = Template(_part("page.html")).substitute(
        policy=f"default-src 'none'; img-src data:{sources}; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        data=_json(data),
        title=escape(title),
        state=escape(counted(cells)),
        done=sum(cell.state in ("done", "failed") for cell in cells),
        lanes=max(1, len(cells)),
        stage="live" if live or refresh_seconds else "finished",
        seconds=refresh_seconds or 0,
        corner=escape(corner),
        heading=escape(corner or "the columns"),
        columns="".join(f'<th scope="col">{escape(heading)}</th>' for heading in column_headings),
        rows="".join(
            f'<tr><th scope="row">{escape(heading)}</th>'
            + "".join(_place(places.get((row, column)), numbers, pictures) for column in range(len(column_headings)))
            + "</tr>\n"
            for row, heading in enumerate(row_headings)
        ),
        remark=escape(remark),
        notes="".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in (notes or {}).items()),
    )
    return html.encode("utf-8", "replace").decode()  # file names may hold lone surrogates


def _part(name: str) -> str:
    return (files("nst_jax") / "runs" / "report_page" / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _json(data: object) -> str:
    """JSON in ASCII, without the characters that could end a script element or start a comment."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def counted(cells: Sequence[Cell]) -> str:
    """E.g. "20 lanes: 12 done, 4 running, 4 waiting"."""
    counts = Counter(cell.state for cell in cells)
    parts = [f"{counts[state]} {state}" for state in ("done", "running", "waiting", "failed") if counts[state]]
    return f"{len(cells)} {'lane' if len(cells) == 1 else 'lanes'}" + (": " + ", ".join(parts) if parts else "")


def _place(cell: Cell | None, numbers: Mapping[int, int], pictures: Sequence[str | None]) -> str:
    """One table cell of the grid. The pictures stand here and nowhere else; the script reads them from here."""
    if cell is None:
        return "<td></td>"
    number = numbers[id(cell)]
    label = escape(f"{cell.name}: {cell.row}, {cell.column}, {cell.state}")
    badge = "" if cell.state == "done" and pictures[number] else f'<span class="badge">{cell.state}</span>'
    image = f'<img src="{pictures[number]}" alt="">' if pictures[number] else '<span class="missing"></span>'
    return (
        f'<td><button type="button" class="cell {cell.state}" id="cell-{number}" data-cell="{number}" '
        f'tabindex="-1" aria-label="{label}" title="{escape(cell.name)}">{image}{badge}</button></td>'
    )


def news_of(cell: Cell, lanes: int) -> dict[str, Any]:
    """What changes of a lane while it runs, for the script of a page with so many lanes, which knows the rest."""
    return _told(cell, _room(lanes * len(cell.losses)))


def _told(cell: Cell, points: int) -> dict[str, Any]:
    return {
        "state": cell.state,
        "settings": list(cell.settings.items()),
        "losses": _curves(cell.losses, points),
    }


def address(cell: Cell) -> str:
    """Of a lane's picture, from the page's own."""
    return "lanes/" + quote(f"{cell.name}.png", errors="replace")


def _points(cells: Sequence[Cell]) -> int:
    """How many records of a lane's curves the page has room for."""
    return _room(sum(len(cell.losses) for cell in cells))


def _room(series: int) -> int:
    return min(_CURVE_POINTS, max(2, _CURVE_NUMBERS // max(1, series)))


def _curves(losses: Mapping[str, Sequence[float]], points: int) -> dict[str, list[float | None]]:
    """The series at no more than `points` records, to six digits, with null for what is not finite."""
    length = min((len(series) for series in losses.values()), default=0)
    records = np.unique(np.linspace(0, length - 1, min(length, points)).round().astype(int)).tolist()
    return {
        name: [float(f"{series[n]:.6g}") if math.isfinite(series[n]) else None for n in records]
        for name, series in losses.items()
    }


def _pictures(cells: Sequence[Cell], room: float) -> tuple[list[str | None], bool, str]:
    """What the page has of the pictures.

    Args:
        cells: the lanes.
        room: bytes of the page that all together may take.

    Returns:
        Data URIs in the cells' order; whether better pictures lie beside the page; what was done to keep the page's
        size reasonable ("" for nothing).
    """
    pixels = sum(cell.image.shape[0] * cell.image.shape[1] for cell in cells if cell.image is not None)
    lossless = pixels * _PNG <= room
    scale = 1.0 if lossless else min(1.0, math.sqrt(room / _JPEG / pixels))
    uris = [None if cell.image is None else _data_uri(cell.image, scale, lossless) for cell in cells]
    if lossless:
        return uris, False, ""
    shrunk = ", shrunk" if scale < 1 else ""
    remark = (
        f"In this table the pictures are JPEG{shrunk}; one that you choose is shown from the folder lanes beside this "
    )
    return uris, True, remark + "page, which holds the originals."


def _data_uri(image: np.ndarray, scale: float, lossless: bool) -> str:
    levels = np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(levels)
    if scale < 1:
        size = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if lossless:
        picture.save(buffer, "PNG")
    else:
        picture.save(buffer, "JPEG", quality=85)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
