"""The examples of the README and of the docs run as they stand."""

import re
import shlex
from pathlib import Path

import jax
import numpy as np
import pytest

from nst_jax.cli.parser import parser
from nst_jax.pictures import images

README = Path(__file__).resolve().parents[1] / "README.md"
PAGES = [README, *sorted((README.parent / "docs").glob("*.md"))]
EXAMPLES = README.parent / "docs" / "python.md"
"""The page whose examples are run; the README's are among them."""
SAMPLES = Path(__file__).resolve().parents[1] / "nst_jax" / "samples"


def python_blocks(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.DOTALL)


@pytest.mark.slow
def test_python_examples(tmp_path, monkeypatch, capsys):
    """All, one after the other in one namespace, on small pictures and with few evaluations."""
    for name, sample in (("photo.jpg", "schwerin_palace.jpg"), ("painting.jpg", "van_gogh_street_in_auvers.jpg")):
        images.write_image(tmp_path / name, images.read_image(SAMPLES / sample, size=64))
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(EXAMPLES)
    assert len(blocks) == 5
    namespace: dict = {}
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
        for block in blocks:
            small = re.sub(r"size=(256|512)\)", "size=64, evaluations=6)", block).replace("size=256", "size=64")
            small = small.replace("fit(photo, 256)", "fit(photo, 64)").replace("evaluations=100", "evaluations=6")
            exec(small, namespace)
    assert images.read_image("out.png").shape == (43, 64, 3)
    printed = capsys.readouterr().out
    for words in ("8_E-conv5_1_1e-2", "its loss was still falling", "'conv4_2': (5, 8, 512)"):
        assert words in printed
    assert np.abs(namespace["result"].images - 0.5).max() < 1e-3


def test_every_page_s_examples_are_run():
    """No other page has examples in Python but the README, whose lines are all among those that are run, in order."""
    assert {path for path in PAGES if python_blocks(path)} == {README, EXAMPLES}
    lines = iter("".join(python_blocks(EXAMPLES)).splitlines())
    for line in "".join(python_blocks(README)).splitlines():
        assert line in lines


def test_every_file_of_the_map_exists():
    """And every module is on the map, in its room."""
    text = README.read_text("utf-8")
    rooms, _, scripts = text[text.index("## Map") : text.index("## Licences")].partition("scripts/ ")
    package = README.parent / "nst_jax"
    found: dict[str, set[str]] = {}
    room = ""
    for line in rooms.splitlines():
        if match := re.match(r"  (\w+)/ ", line):
            room = match[1]
        elif line.startswith("    "):
            found.setdefault(room, set()).update(re.findall(r"\b(\w+\.py)\b", line))
    modules = {
        folder.name: {path.name for path in folder.glob("*.py")} - {"__init__.py"}
        for folder in package.iterdir() if (folder / "__init__.py").is_file()
    }  # fmt: skip
    assert found == modules
    named = re.findall(r"\b(\w+\.py)\b", scripts.partition("weights/ ")[0])
    assert set(named) == {path.name for path in (README.parent / "scripts").glob("*.py")}


@pytest.mark.parametrize("command", ["stylize", "sweep", "resume", "figure", "reconstruct", "evaluate", "features"])
def test_commands_are_named(command):
    """The README and the program speak of the same commands."""
    assert f"nst-jax {command}" in README.read_text("utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_in_blocks_parse(path):
    """Those that begin a line; what stands after two spaces says what it is."""
    text = re.sub(r" *\\\n *", " ", path.read_text("utf-8"))
    for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        for line in re.findall(r"^nst-jax (.*)$", block, re.MULTILINE):
            command = re.split(r"  +| [|] ", line)[0]
            parser().parse_args(shlex.split(command))
