"""For tests of run folders: a small sweep, what must be whole in a folder, what must be the same in two."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from PIL import Image

from nst_jax.runs import checkpoint
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import Table, table
from nst_jax.transfer.settings import Settings

SWEEP = (
    "--size", "48", "--evaluations", "24", "--history", "3", "--batch", "2", "--content-layers", "conv2_1",
    "--style-layers", "conv1_1;conv1_1,conv2_1", "--ratio", "1e-3,1e-2",
)  # fmt: skip
"""Four lanes in two rounds."""
SHORT = (*SWEEP, "--evaluations", "3", "--quiet")
NAMES = ["0_conv1_1_1e-3", "1_conv1_1_1e-2", "2_conv1_1+conv2_1_1e-3", "3_conv1_1+conv2_1_1e-2"]
FILES = ["checkpoint", "grid.png", "index.html", "lanes", "losses.csv", "measures.csv", "run.json"]


def of_two(inputs, **settings) -> Table:
    """The lanes of `SHORT` with the first style layers, in Python; `inputs` are a photograph and a painting."""
    chosen = {"size": 48, "evaluations": 3, "history": 3, "content_layers": ("conv2_1",), "style_layers": ("conv1_1",)}
    photo, painting = inputs
    return table([photo], [painting], Axes(ratio=(1e-3, 1e-2)), Settings(**chosen | settings))


@contextmanager
def cached_programs(folder: Path) -> Iterator[None]:
    """Programs that are compiled in this process are found again, since each sweep compiles its own."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    for name, value in zip(names, (str(folder), 0.0), strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def rows(folder: Path) -> list[dict[str, str]]:
    """Of losses.csv, without the seconds."""
    with (folder / "losses.csv").open(newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def measured(folder: Path) -> list[dict[str, str]]:
    """The lines of measures.csv."""
    with (folder / "measures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def edit(folder: Path, *keys: object, value: object) -> None:
    """Changes one value of run.json."""
    data = json.loads((folder / "run.json").read_text("utf-8"))
    inner = data
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / "run.json").write_text(json.dumps(data), "utf-8")


def pictures(folder: Path) -> dict[str, bytes]:
    """The bytes of all pictures, the contact sheet among them."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def assert_same(folder: Path, other: Path) -> None:
    """Every picture's bytes, every loss, and the measures' bytes."""
    assert sorted(pictures(folder)) == sorted(pictures(other))
    for name, content in pictures(folder).items():
        assert content == pictures(other)[name], name
    assert rows(folder) == rows(other)
    assert (folder / "measures.csv").read_bytes() == (other / "measures.csv").read_bytes()


def assert_whole(folder: Path) -> int:
    """Whatever is there is whole, temporary files apart; the number of files."""
    count = 0
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.startswith((".", "lock-")):
            continue
        count += 1
        if path.suffix == ".json":
            assert json.loads(path.read_text("utf-8"))["format"]
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".csv":
            text = path.read_text("utf-8")
            assert text.endswith("\n")
            lines = list(csv.reader(text.splitlines()))
            assert {len(line) for line in lines} == {len(lines[0])}
            words = 3 if path.name == "measures.csv" else 1  # the lane, and where it stands
            assert all(np.isfinite(float(value or 0)) for line in lines[1:] for value in line[words:])
        elif path.suffix == ".npz":
            assert checkpoint.read(path).run
        else:
            assert path.name == "index.html"
            assert path.read_text("utf-8").rstrip().endswith("</html>")
    return count


def leftovers(folder: Path) -> list[str]:
    """Temporary files."""
    return [str(path) for path in folder.rglob(".*")]
