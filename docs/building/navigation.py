"""Which files are pages, and in which order a reader finds them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "": ["docs/tour"],
    "Use": ["docs/commands", "docs/settings", "docs/control", "docs/sweeps", "docs/scale", "docs/accelerators"],
    "Python": ["docs/python", "docs/reference", "docs/rooms"],
    "Results": ["docs/figures", "docs/pictures", "docs/presence"],
    "Measurements": [
        "docs/speed", "docs/precision", "docs/quantization", "docs/branching",
        "docs/style_classification",
    ],
    "The project": ["CHANGELOG", "CONTRIBUTING", "weights/README", "nst_jax/samples/README"],
}  # fmt: skip
"""Pages beside the first one, by the heading that they are under."""
SOURCES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "docs/*.ipynb", "weights/*.md", "nst_jax/**.md")


def is_there(page: str) -> bool:
    """Whether a page has a file."""
    return any((ROOT / page).with_suffix(suffix).is_file() for suffix in (".md", ".ipynb"))


def toctrees() -> str:
    """The navigation, as MyST has it; pages that are not there are left out."""
    parts = {heading: [page for page in pages if is_there(page)] for heading, pages in PARTS.items()}
    return "\n".join(_toctree(heading, pages) for heading, pages in parts.items() if pages)


def _toctree(heading: str, pages: list[str]) -> str:
    caption = f":caption: {heading}\n" if heading else ""
    return f"```{{toctree}}\n:hidden:\n:maxdepth: 1\n{caption}\n" + "\n".join(f"/{page}" for page in pages) + "\n```\n"
