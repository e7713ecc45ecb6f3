"""scripts/classify_styles.py: pictures that differ in texture are told apart, and no picture is in two folds."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from nst_jax.pictures import images

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "classify_styles.py"
specification = importlib.util.spec_from_file_location("classify_styles", SCRIPT)
assert specification
assert specification.loader
script = importlib.util.module_from_spec(specification)
specification.loader.exec_module(script)


@pytest.fixture
def without_sklearn(monkeypatch):
    """What Python does for a module that is None."""
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Stripes that lie and stripes that stand, of several widths, at any phase, and of the same mean."""
    folder = tmp_path_factory.mktemp("classes")
    generator = np.random.default_rng(0)
    for name in ("lying", "standing"):
        (folder / name).mkdir()
        for number in range(4):
            wave = np.sin(2 * np.pi * (np.arange(48) / (6 + number) + generator.random())) > 0
            image = np.broadcast_to(wave[:, None, None], (48, 48, 3)).astype(np.float32)
            images.write_image(folder / name / f"{number}.png", image if name == "lying" else image.swapaxes(0, 1))
    return folder


def call(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["classify_styles.py", *map(str, arguments)])
    code = script.main()
    return (code, *capsys.readouterr())


FEW = ("--layers", "conv1_1,conv2_1", "--folds", 2, "--repeats", 2)


def test_two_textures_are_told_apart(folder, monkeypatch, capsys):
    pytest.importorskip("sklearn", reason="it is the extra `examples`")
    code, out, err = call(monkeypatch, capsys, folder, *FEW)
    assert code == 0
    assert err.splitlines()[-1].startswith("tiles: 8/8, represented")
    assert "Pictures: lying 4, standing 4. 8 tiles of 128 pixels; 2 times 2 folds; chance 50.0 %." in out
    rows = {row[0]: row[1:] for row in re.findall(r"\| ([\w ]+) \| ([\d.]+) ± [\d.]+ \| ([\d.]+) ± [\d.]+ \|", out)}
    assert list(rows) == ["pixels", "conv1_1", "conv2_1", "all layers"]
    for layer in ("conv1_1", "conv2_1", "all layers"):
        assert rows[layer] == ("100.0", "100.0"), layer


@pytest.mark.usefixtures("without_sklearn")
def test_without_scikit_learn_the_extra_is_named(folder, monkeypatch, capsys):
    code, out, err = call(monkeypatch, capsys, folder, *FEW)
    assert (code, out) == (2, "")
    assert err == "classify_styles: scikit-learn is missing; pip install 'nst_jax[examples]' brings it\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", 96], "--size: 96"),
        (["--tiles", 0], "--tiles: 0"),
        (["--folds", 1], "--folds: 1"),
        (["--folds", 5], "class lying: 4 pictures"),
        (["--layers", "conv6_1"], "'conv6_1'"),
    ],
)
@pytest.mark.usefixtures("without_sklearn")
def test_wrong_arguments(folder, monkeypatch, capsys, arguments, words):
    code, out, err = call(monkeypatch, capsys, folder, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


@pytest.mark.usefixtures("without_sklearn")
def test_one_class_is_not_enough(folder, monkeypatch, capsys):
    code, _, err = call(monkeypatch, capsys, folder / "lying")
    assert code == 2
    assert "0 folders" in err


def test_squares_are_from_the_middle_and_do_not_overlap():
    image = np.arange(7 * 10 * 3, dtype=np.float32).reshape(7, 10, 3)
    found = script.squares(image, 2)
    assert [tile.shape for tile in found] == [(3, 3, 3)] * 6
    np.testing.assert_array_equal(np.block([[[found[0]], [found[1]], [found[2]]]])[:, :3], image[:3, :3])
    assert len({float(value) for tile in found for value in tile.ravel()}) == 6 * 27


def test_tiles_keep_their_class_and_picture(folder):
    classes = script.pictures_by_class(folder, 2)
    tiles, labels, groups = script.cut(classes, 2, 32, grey=True)
    assert len(tiles) == 2 * 4 * 4
    np.testing.assert_array_equal(labels, np.repeat([0, 1], 16))
    np.testing.assert_array_equal(groups, np.repeat(np.arange(8), 4))
    assert all(np.ptp(tile, axis=-1).max() == 0 for tile in tiles)


def test_vectors_are_centered_and_scaled_on_the_training_tiles_alone():
    """Against the vectors themselves; test tiles change nothing among the training tiles."""
    vectors = np.random.default_rng(0).random((9, 20), np.float32)
    train = np.array([0, 2, 3, 5, 8])
    kernel = script.kernels_of([{("Gram", "conv1_1"): vector} for vector in vectors])["Gram", "conv1_1"]
    moved = vectors.astype(np.float64) - vectors[train].mean(0, dtype=np.float64)
    expected = moved @ moved.T / np.square(moved[train]).sum(1).mean()
    np.testing.assert_allclose(script.centered(kernel, train), expected, atol=1e-5)
