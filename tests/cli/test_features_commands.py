"""`nst-jax features` on pictures and folders."""

import os
import warnings
import zipfile

import jax
import numpy as np
import oracle
import pytest
from program import assert_refused, done, run

from nst_jax.cli import features_commands
from nst_jax.loss import losses
from nst_jax.measures import descriptors
from nst_jax.network import vgg
from nst_jax.pictures import images
from nst_jax.weights import weights

LAYERS = ("conv1_1", "pool1", "conv2_1")
OPTIONS = ("--size", 48, "--style-layers", ",".join(LAYERS))
FOUND = {"a.png": (36, 48), "one/b.jpg": (48, 40), "one/deep/c.PNG": (36, 48), "two/a.png": (40, 48)}
SKIPPED = ("two/notes.txt", "two/.hidden.png", ".cache/d.png", "one/read.me")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, picture):
    """Four pictures at three depths, and what is to be passed over."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, (name, size) in enumerate(FOUND.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        ending = (folder / name).suffix.lower()
        images.write_image((folder / name).with_suffix(ending), picture("painting", *size) * (1 - 0.1 * number))
        (folder / name).with_suffix(ending).rename(folder / name)
    for name in SKIPPED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no picture")
    return folder


def arrays(path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def skipped(*arguments):
    """`nst-jax features ARGUMENTS` on the folder, which says what it passed over."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        outcome = done("features", *arguments)
    note, *lines = outcome.err.splitlines()
    assert note.startswith("nst-jax: note: ")
    assert note.endswith("read.me and 1 more: not pictures by their endings; skipped")
    assert ("--quiet" in arguments) == (not lines)
    return lines


@pytest.mark.parametrize("kind", descriptors.KINDS)
def test_a_folder(folder, tmp_path, params, kind):
    output = tmp_path / "features.npz"
    *_, line = skipped(folder, "-o", output, *OPTIONS, "--kind", kind)
    assert line.startswith("features.npz: 4/4, a.png")
    found = arrays(output)
    assert list(found) == ["names", *sorted(LAYERS)]
    assert found["names"].tolist() == list(FOUND)
    assert found["names"].dtype.kind == "U"
    for number, name in enumerate(FOUND):
        image = images.read_image(folder / name, size=48)
        activations = vgg.features(params, image, LAYERS)
        for layer, x in activations.items():
            channels = x.shape[-1]
            assert found[layer].shape == (4, *((channels, channels) if kind == "gram" else (2 * channels,)))
            assert found[layer].dtype == np.float32
            expected = losses.style_representation(x) if kind == "gram" else descriptors.channel_statistics(x)
            error = np.linalg.norm(found[layer][number] - expected)
            assert error <= 1e-5 * np.linalg.norm(expected), (name, layer)
    assert os.listdir(tmp_path) == ["features.npz"]


def test_a_single_picture_and_several(folder, tmp_path, monkeypatch):
    """The same format; names are as given; a picture's descriptor does not depend on the others."""
    monkeypatch.chdir(folder)
    assert done("features", "a.png", "-o", tmp_path / "one.npz", *OPTIONS, "--quiet") == (0, "", "")
    assert done("features", "two/a.png", "a.png", "one/deep", "-o", tmp_path / "more.npz", *OPTIONS).out == ""
    one, more = arrays(tmp_path / "one.npz"), arrays(tmp_path / "more.npz")
    assert one["names"].tolist() == ["a.png"]
    assert more["names"].tolist() == ["two/a.png", "a.png", "one/deep/c.PNG"]
    for layer in LAYERS:
        np.testing.assert_array_equal(one[layer][0], more[layer][1])


def test_compiled_programs_are_forgotten(folder, tmp_path, monkeypatch):
    """Those of many shapes would fill the memory. Here, of a, b, c, a with one kept: before b, c and the last."""
    forgotten = []
    monkeypatch.setattr(features_commands, "SHAPES", 1)
    monkeypatch.setattr(features_commands.jax, "clear_caches", lambda: forgotten.append(1))
    skipped(folder, "-o", tmp_path / "out.npz", *OPTIONS, "--quiet")
    assert len(forgotten) == 3


def test_the_same_pictures_give_the_same_bytes(folder, tmp_path):
    outputs = [tmp_path / "first.npz", tmp_path / "second.npz"]
    for output in outputs:
        skipped(folder, "-o", output, *OPTIONS, "--quiet")
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_pool_padding_and_size_are_used(folder, tmp_path, params):
    output = tmp_path / "features.npz"
    done("features", folder / "a.png", "-o", output, *OPTIONS, "--size", 64, "--pool", "max", "--padding", "reflect")
    picture = images.read_image(folder / "a.png", size=64)
    expected = oracle.descriptors(params, picture, LAYERS, "gram", "max", "reflect")
    found = arrays(output)
    for layer in LAYERS:
        assert np.linalg.norm(found[layer][0] - expected[layer]) <= 1e-5 * np.linalg.norm(expected[layer])


@pytest.fixture
def nothing_computed(monkeypatch):
    """Whatever is wrong is found before parameters are read."""

    def fail(*_: object, **__: object) -> None:
        pytest.fail("it computes already")

    monkeypatch.setattr(weights, "load", fail)
    monkeypatch.setattr(features_commands, "style_descriptors", fail)


@pytest.mark.usefixtures("nothing_computed")
def test_bad_pictures_of_a_folder_are_refused(folder, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    whole = (folder / "a.png").read_bytes()
    for name, content in {"1.png": whole, "2.png": whole[:999], "3.png": whole}.items():
        (inside / name).write_bytes(content)
    outcome = run("features", inside, "-o", tmp_path / "out.npz", *OPTIONS)
    assert_refused(outcome, "2.png", "cut short", "; --skip-bad leaves out what is bad")
    assert "refused" not in outcome.err
    (inside / "4.jpg").write_text("no picture")
    assert_refused(
        run("features", inside, "-o", tmp_path / "out.npz", *OPTIONS), "2.png", "2 of 4 pictures are refused"
    )
    assert os.listdir(tmp_path) == ["inside"]


def test_bad_pictures_are_skipped_when_asked(folder, tmp_path):
    """And named at the end; what is written is what it would be without them."""
    inside = tmp_path / "inside"
    inside.mkdir()
    whole = (folder / "a.png").read_bytes()
    (inside / "good.png").write_bytes(whole)
    done("features", inside, "-o", tmp_path / "good.npz", *OPTIONS, "--skip-bad", "--quiet")
    for name, content in {"a.png": whole[:999], "z.jpg": b"no picture"}.items():
        (inside / name).write_bytes(content)
    outcome = run("features", inside, "-o", tmp_path / "out.npz", *OPTIONS, "--skip-bad")
    assert (outcome.code, outcome.out) == (1, "")
    progress, *lines = outcome.err.splitlines()
    assert progress.startswith("out.npz: 1/1, good.png")
    assert [line.split(":")[:3] for line in lines] == [
        ["nst-jax", " skipped", f" {inside / name}"] for name in ("a.png", "z.jpg")
    ]
    assert (tmp_path / "out.npz").read_bytes() == (tmp_path / "good.npz").read_bytes()
    named = run("features", *sorted(inside.iterdir()), "none.png", "-o", tmp_path / "named.npz", *OPTIONS, "--skip-bad")
    assert (named.code, named.err.count("nst-jax: skipped: ")) == (1, 3)
    assert arrays(tmp_path / "named.npz")["names"].tolist() == [f"{inside}/good.png"]


@pytest.mark.usefixtures("nothing_computed")
def test_bad_pictures_alone_are_refused(tmp_path):
    (tmp_path / "inside").mkdir()
    for name in ("1.png", "2.jpg"):
        (tmp_path / "inside" / name).write_text("no picture")
    outcome = run("features", tmp_path / "inside", "-o", tmp_path / "out.npz", *OPTIONS, "--skip-bad")
    assert_refused(outcome, "1.png", "2 of 2 pictures are refused")
    assert "--skip-bad" not in outcome.err
    assert os.listdir(tmp_path) == ["inside"]


@pytest.mark.usefixtures("nothing_computed")
def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    assert_refused(run("features", tmp_path / "empty", "-o", tmp_path / "out.npz"), "empty", "no pictures", ".webp")
    outcome = run("features", tmp_path / "missing", "-o", tmp_path / "out.npz")
    assert_refused(outcome, "missing", "no such file")


def test_names_that_are_no_text(folder, tmp_path):
    """A file name may be any bytes; some file systems refuse them."""
    name = os.fsdecode(b"\xff [/b] \xce\xb1.png")
    try:
        (tmp_path / name).write_bytes((folder / "a.png").read_bytes())
    except OSError:
        pytest.skip("the file system takes text only")
    done("features", tmp_path, "-o", tmp_path / "out.npz", *OPTIONS, "--quiet")
    assert arrays(tmp_path / "out.npz")["names"].tolist() == [name]


def test_one_row_at_a_time_is_kept(tmp_path):
    """And each is taken only when the one before is written."""
    alive = 0

    class Row(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def rows():
        nonlocal alive
        for number in range(5):
            assert alive <= 1
            alive += 1
            yield {"conv1_1": np.full(3, number, np.float32).view(Row)}

    features_commands.save(tmp_path / "out.npz", [str(n) for n in range(5)], rows())
    np.testing.assert_array_equal(arrays(tmp_path / "out.npz")["conv1_1"][:, 0], np.arange(5))


@pytest.mark.parametrize("rows", [1, 3])
def test_a_row_for_each_name(tmp_path, rows):
    with pytest.raises(ValueError, match="zip"):
        features_commands.save(tmp_path / "out.npz", ["a", "b"], [{"conv1_1": np.zeros(3, np.float32)}] * rows)
    assert os.listdir(tmp_path) == []


def test_a_failure_leaves_what_was_there(folder, tmp_path, monkeypatch):
    output = tmp_path / "out.npz"
    output.write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(features_commands.shutil, "copyfileobj", fail)
    outcome = run("features", folder / "a.png", "-o", output, *OPTIONS, "--quiet")
    assert outcome.code == 1
    assert "No space left" in outcome.err
    assert output.read_text() == "before"
    assert os.listdir(tmp_path) == ["out.npz"]


def test_other_programs_read_the_file(tmp_path):
    """It is what numpy.savez writes, uncompressed."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    features_commands.save(tmp_path / "ours.npz", ["a", "b"], [{"conv1_1": row} for row in values])
    np.savez(tmp_path / "numpys.npz", names=np.array(["a", "b"]), conv1_1=values)
    ours, numpys = (zipfile.ZipFile(tmp_path / name) for name in ("ours.npz", "numpys.npz"))
    with ours, numpys:
        assert ours.namelist() == numpys.namelist()
        for name in ours.namelist():
            assert ours.getinfo(name).compress_type == zipfile.ZIP_STORED
            assert ours.read(name) == numpys.read(name)


def test_prepared_parameters_give_the_same(params, picture):
    image = picture("painting", 32, 48)
    plain, prepared = (
        jax.device_get(descriptors.style_descriptors(p, image, "compact", LAYERS))
        for p in (params, vgg.prepare(params, LAYERS))
    )
    for layer in LAYERS:
        np.testing.assert_allclose(plain[layer], prepared[layer], rtol=1e-4, atol=1e-3)
