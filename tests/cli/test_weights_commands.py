"""`nst-jax weights ...`: list, verify, convert, normalize. (`fetch` has a test file of its own.)"""

import foreign_weights
import numpy as np
import pytest
from program import assert_refused, done, run

from nst_jax.pictures import images
from nst_jax.weights import fetch, weights
from nst_jax.weights.mean_activations import mean_activations


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty one, whatever the user has."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NST_JAX_CACHE", str(folder))
    return folder


def test_list(cache):
    lines = done("weights", "list").out.splitlines()
    there = [["vgg19", "there"], ["vgg19-normalized", "there"], ["vgg19-full", "absent"]]
    assert [line.split()[:2] for line in lines] == there
    assert str(cache / "vgg19-full.h5") in lines[-1]


def test_verify_tells_what_is_there():
    everything = done("weights", "verify")
    assert everything == done("weights", "verify", "vgg19", "vgg19-normalized")
    line, normalized = everything.out.splitlines()
    assert normalized.startswith("vgg19-normalized: sound; 16 layers, mean activations for vgg19, ")
    assert weights.verify(weights.NORMALIZED).sha256 in normalized
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


def test_normalize(tmp_path, picture):
    folder = tmp_path / "pictures"
    folder.mkdir()
    images.write_image(folder / "a.png", picture("photograph", 48, 64))
    images.write_image(folder / "b.PNG", picture("painting", 96, 128))
    (folder / "._b.png").write_bytes(b"what macOS leaves beside a file")
    (folder / "notes.txt").write_text("no picture")
    output = tmp_path / "normalized.h5"
    outcome = done("weights", "normalize", folder, "-o", output, "--size", 64)
    assert (outcome.out, outcome.err) == ("", "1/2 a.png\n2/2 b.PNG\n")
    pictures = [images.read_image(folder / name, size=64) for name in ("a.png", "b.PNG")]
    found = mean_activations(weights.load(output), pictures)
    for layer, values in found.items():
        np.testing.assert_allclose(values[values > 0].mean(), 1, rtol=1e-3, err_msg=layer)
    attributes = weights.verify(output).attributes
    assert "2 pictures of 64 px" in attributes["normalised"]
    assert attributes["licence"] == weights.verify().attributes["licence"]


def test_normalize_skips_bad_pictures_when_asked(tmp_path, picture):
    """They are named at the end, and the file is as without them; without being asked, they are refused."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    images.write_image(folder / "b.png", picture("photograph", 48, 64))
    command = ["weights", "normalize", folder, "--size", 64, "--quiet", "--means-only"]
    done(*command, "-o", tmp_path / "good.h5", "--skip-bad")
    for name in ("a.png", "c.png"):
        (folder / name).write_bytes((folder / "b.png").read_bytes()[:999])
    refused = run(*command, "-o", tmp_path / "out.h5")
    assert_refused(refused, "a.png", "2 of 3 pictures are refused", "--skip-bad")
    outcome = run(*command, "-o", tmp_path / "out.h5", "--skip-bad")
    assert (outcome.code, outcome.out) == (1, "")
    assert [line.split(":")[2] for line in outcome.err.splitlines()] == [f" {folder / n}" for n in ("a.png", "c.png")]
    assert (tmp_path / "out.h5").read_bytes() == (tmp_path / "good.h5").read_bytes()
    (folder / "b.png").unlink()
    assert_refused(run(*command, "-o", tmp_path / "none.h5", "--skip-bad"), "a.png", "2 of 2 pictures are refused")
    assert not (tmp_path / "none.h5").exists()


def test_mean_activations_alone_load_as_the_same_network(tmp_path, picture):
    """The file that ships was made so."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    images.write_image(folder / "a.png", picture("photograph", 48, 64))
    images.write_image(folder / "b.png", picture("painting", 64, 40))
    command = ["weights", "normalize", folder, "--size", 64, "--quiet"]
    done(*command, "-o", tmp_path / "whole.h5")
    for name in ("means.h5", "again.h5"):
        done(*command, "--means-only", "-o", tmp_path / name)
    assert (tmp_path / "means.h5").stat().st_size < 50_000
    assert (tmp_path / "means.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()
    whole, small = (weights.load(tmp_path / name) for name in ("whole.h5", "means.h5"))
    for layer, arrays in whole["params"].items():
        for name, values in arrays.items():
            np.testing.assert_allclose(small["params"][layer][name], values, rtol=1e-6, err_msg=layer)
    verified = weights.verify(tmp_path / "means.h5")
    assert verified.attributes["of_sha256"] == weights.verify().sha256
    assert "2 pictures of 64 px" in verified.attributes["normalised"]
    again = mean_activations(small, [images.read_image(folder / name, size=64) for name in ("a.png", "b.png")])
    for layer, values in again.items():
        np.testing.assert_allclose(values[values > 0].mean(), 1, rtol=1e-3, err_msg=layer)


def test_mean_activations_alone_need_weights_with_a_name(tmp_path):
    (tmp_path / "a.png").touch()
    command = ["weights", "normalize", tmp_path, "-o", tmp_path / "means.h5", "--means-only"]
    assert_refused(run(*command, "--weights", tmp_path / "mine.h5"), "--weights", "must be vgg19 or vgg19-full")


def test_quantize(tmp_path):
    done("weights", "quantize", "vgg19", "-o", tmp_path / "few.h5", "--bits", 3)
    few = weights.load(tmp_path / "few.h5")
    assert {len(np.unique(arrays["kernel"])) for arrays in few["params"].values()} == {8}
    verified = weights.verify(tmp_path / "few.h5")
    assert verified.storage == "8-bit"
    assert verified.attributes["changes"].endswith("; then kernels quantized to 8 values a layer by nst_jax")
    assert verified.bytes < weights.verify().bytes / 2
    assert_refused(run("weights", "quantize", "vgg19", "-o", tmp_path / "x.h5", "--bits", 9), "--bits: 9", "1 to 8")


def test_quiet_normalize_prints_nothing_and_repeats_the_bytes(tmp_path, picture):
    folder = tmp_path / "pictures"
    folder.mkdir()
    images.write_image(folder / "a.png", picture("photograph", 48, 64))
    outputs = [tmp_path / "first.h5", tmp_path / "second.h5"]
    for output in outputs:
        assert done("weights", "normalize", folder, "-o", output, "--size", 64, "--quiet") == (0, "", "")
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
