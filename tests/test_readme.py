"""The README's examples run as they stand."""

import re
from pathlib import Path

import pytest

from nst_jax.pictures import images

README = Path(__file__).resolve().parents[1] / "README.md"
SAMPLES = Path(__file__).resolve().parents[1] / "nst_jax" / "samples"


@pytest.mark.slow
def test_python_examples(tmp_path, monkeypatch, capsys):
    """Both, one after the other in one namespace, on small pictures and with fewer steps."""
    for name, sample in (("photo.jpg", "schwerin_palace.jpg"), ("painting.jpg", "van_gogh_street_in_auvers.jpg")):
        images.write_image(tmp_path / name, images.read_image(SAMPLES / sample, size=64))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 2
    namespace: dict = {}
    for block in blocks:
        shortened, changes = re.subn(r"steps=\d+", "steps=6", block.replace("size=256", "size=64"))
        assert changes == 1
        exec(shortened, namespace)
    assert images.read_image("out.png").shape == (43, 64, 3)
    assert "5_E-conv5_1_1e-3 (43, 64, 3)" in capsys.readouterr().out


def test_every_file_of_the_map_exists():
    """And every module is on the map."""
    text = README.read_text("utf-8")
    named = set(re.findall(r"\b(\w+\.py)\b", text[text.index("## Map") : text.index("## Licences")]))
    package = README.parent / "nst_jax"
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    scripts = {path.name for path in (README.parent / "scripts").glob("*.py")}
    assert named == modules | scripts


@pytest.mark.parametrize("command", ["stylize", "sweep", "resume", "figure", "reconstruct", "evaluate", "features"])
def test_commands_are_named(command):
    """The README and the program speak of the same commands."""
    assert f"nst-jax {command}" in README.read_text("utf-8")
