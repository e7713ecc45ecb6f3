"""`nst-jax weights ...`: list, verify, convert, normalise. (`fetch` has a test file of its own.)"""

import foreign_weights
import numpy as np
import pytest
from program import assert_refused, done, run

from nst_jax import fetch, images, weights
from nst_jax.normalise import mean_activations


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty one, whatever the user has."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NST_JAX_CACHE", str(folder))
    return folder


def test_list(cache):
    first, second = done("weights", "list").out.splitlines()
    assert first.split()[:2] == ["vgg19", "there"]
    assert second.split()[:2] == ["vgg19-full", "absent"]
    assert str(cache / "vgg19-full.h5") in second


def test_verify_tells_what_is_there():
    everything, named = done("weights", "verify"), done("weights", "verify", "vgg19")
    assert everything == named
    (line,) = named.out.splitlines()
    assert line.startswith("vgg19: sound; 16 layers, 8-bit, ")
    assert weights.verify().sha256 in line
    assert "as its manifest says" in line
    assert "Simonyan" in line


def test_verify_stops_at_the_first_that_is_not_sound(tmp_path):
    outcome = run("weights", "verify", tmp_path / "missing.h5", "vgg19")
    assert_refused(outcome, "missing.h5", "no such file")


def test_convert(tmp_path):
    shipped = weights.load()
    foreign_weights.write_npz(tmp_path / "foreign.npz", shipped["params"])
    assert done("weights", "convert", tmp_path / "foreign.npz", "-o", tmp_path / "mine.h5") == (0, "", "")
    converted = weights.load(tmp_path / "mine.h5")
    for layer, arrays in shipped["params"].items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(converted["params"][layer][name], values)
    line = done("weights", "verify", tmp_path / "mine.h5").out
    assert "float32" in line
    assert "in no manifest" in line


def test_normalise(tmp_path, picture):
    folder = tmp_path / "pictures"
    folder.mkdir()
    images.write_image(folder / "a.png", picture("photograph", 48, 64))
    images.write_image(folder / "b.PNG", picture("painting", 96, 128))
    (folder / "._b.png").write_bytes(b"what macOS leaves beside a file")
    (folder / "notes.txt").write_text("no picture")
    output = tmp_path / "normalised.h5"
    outcome = done("weights", "normalise", folder, "-o", output, "--size", 64)
    assert (outcome.out, outcome.err) == ("", "1/2 a.png\n2/2 b.PNG\n")
    pictures = [images.read_image(folder / name, size=64) for name in ("a.png", "b.PNG")]
    found = mean_activations(weights.load(output), pictures)
    for layer, values in found.items():
        np.testing.assert_allclose(values[values > 0].mean(), 1, rtol=1e-3, err_msg=layer)
    attributes = weights.verify(output).attributes
    assert "2 pictures of 64 px" in attributes["normalised"]
    assert attributes["licence"] == weights.verify().attributes["licence"]


def test_quiet_normalise_prints_nothing_and_repeats_the_bytes(tmp_path, picture):
    folder = tmp_path / "pictures"
    folder.mkdir()
    images.write_image(folder / "a.png", picture("photograph", 48, 64))
    outputs = [tmp_path / "first.h5", tmp_path / "second.h5"]
    for output in outputs:
        assert done("weights", "normalise", folder, "-o", output, "--size", 64, "--quiet") == (0, "", "")
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_fetch_shows_how_far_it_is(tmp_path, monkeypatch, quiet):
    def fetched(progress):
        progress(fetch.Progress("there", fetch.KERAS_BYTES, fetch.KERAS_BYTES))
        return tmp_path / "vgg19-full.h5"

    monkeypatch.setattr(fetch, "fetch", fetched)
    outcome = done("weights", "fetch", *quiet)
    assert outcome.out == f"{tmp_path / 'vgg19-full.h5'}\n"
    assert (outcome.err == "") == bool(quiet)
