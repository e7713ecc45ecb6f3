"""Runs docs/tour.ipynb and keeps what its cells put out: `python scripts/tour.py`, with the test dependencies.

Not kept are bars, which pages without a kernel cannot show.
"""

from pathlib import Path

import nbclient
import nbformat

TOUR = Path(__file__).resolve().parents[1] / "docs" / "tour.ipynb"
WIDGET, HTML = "application/vnd.jupyter.widget-view+json", "text/html"


def main() -> None:
    """Runs it; an error in a cell is raised, and the file is then left as it was."""
    notebook = nbformat.read(TOUR, as_version=4)
    nbclient.NotebookClient(notebook, timeout=None).execute()
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not {WIDGET, HTML} & {*output.get("data", {})}]
    nbformat.write(notebook, TOUR)


if __name__ == "__main__":
    main()
