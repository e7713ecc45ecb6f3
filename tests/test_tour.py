"""docs/tour.ipynb runs as it stands, and is committed with what it shows."""

import base64
import io
import re
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
from PIL import Image

TOUR = Path(__file__).resolve().parents[1] / "docs" / "tour.ipynb"


@pytest.fixture
def committed() -> nbformat.NotebookNode:
    return nbformat.read(TOUR, as_version=4)


def shown(notebook: nbformat.NotebookNode) -> tuple[list[Image.Image], str]:
    """The pictures and the text that its cells have put out."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"execute_result", "display_data", "stream"}
    data = [base64.b64decode(output.data["image/png"]) for output in outputs if "image/png" in output.get("data", {})]
    streams = [output for output in outputs if output.output_type == "stream"]
    assert [output.text for output in streams if output.name == "stderr"] == []
    return [Image.open(io.BytesIO(png)) for png in data], "".join(output.text for output in streams)


def check(notebook: nbformat.NotebookNode) -> None:
    """What it has put out is what it speaks of."""
    pictures, text = shown(notebook)
    one, grid, *others = pictures
    assert one.size == (160, 107)
    assert [picture.size for picture in others] == [(96, 64)] * 2
    assert grid.width > 3 * 96
    assert grid.height > 2 * 64
    dark = np.asarray(others[0], np.float32)
    assert dark[[0, 0, -1, -1], [0, -1, 0, -1]].mean() < 0.3 * dark[24:40, 36:60].mean()  # its corners, by its own loss
    assert "after 60 evaluations" in text
    assert "'conv4_2': (13, 20, 512)" in text
    distances = dict(re.findall(r"^([a-z]+_[a-z_]+): (\S+)$", text, re.MULTILINE))
    assert len(distances) == 3
    assert min(distances, key=lambda name: float(distances[name])) == "van_gogh_street_in_auvers"


def test_it_is_committed_with_what_it_shows(committed):
    """Of the cells as they are, in order; and of nobody's machine."""
    nbformat.validate(committed)
    assert TOUR.stat().st_size < 1e6
    counts = [cell.execution_count for cell in committed.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    check(committed)
    assert "site-packages" not in TOUR.read_text("utf-8")


@pytest.mark.slow
def test_it_runs(committed, tmp_path):
    """In a kernel of its own, with the shipped weights and samples; it writes nothing."""
    for cell in committed.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbclient.NotebookClient(committed, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    check(committed)
    assert list(tmp_path.iterdir()) == []
