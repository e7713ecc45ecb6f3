"""`nst-jax timelapse`, and what `stylize --timelapse` writes."""

import numpy as np
import pytest
from program import assert_refused, done, run
from run_folders import SHORT

from nst_jax.pictures import images
from nst_jax.pictures.animation import read_animation

FEW = ("--size", 48, "--evaluations", 30, "--content-layers", "conv2_1", "--style-layers", "conv1_1", "--quiet")


@pytest.fixture(scope="module")
def made(inputs, tmp_path_factory):
    """A folder with out.png, its numbered pictures, and its timelapse."""
    folder = tmp_path_factory.mktemp("made")
    own = ("-o", folder / "out.png", "--save-every", 10, "--timelapse", folder / "making.webp")
    done("stylize", *inputs, *own, *FEW)
    return folder


@pytest.fixture(scope="module")
def sweep(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "run"
    done("sweep", *inputs, "-o", folder, *SHORT)
    return folder


def assert_shows(path, folder, *names: str) -> None:
    """Each frame is nearest to the picture of its name; WebP's colors are of 2x2 pixels."""
    pictures = np.stack([images.read_image(folder / name) for name in names])
    found = np.stack([frame.image for frame in read_animation(path)])
    far = np.abs(found[:, None] - pictures[None]).mean((2, 3, 4))
    assert far.argmin(axis=1).tolist() == [*range(len(names))], far
    assert far.diagonal().max() < 0.1


def shapes(path) -> list[tuple[int, ...]]:
    return [frame.image.shape for frame in read_animation(path)]


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_numbered_pictures_and_the_picture_itself(made, tmp_path, ending):
    outcome = done("timelapse", made / "out.png", "-o", tmp_path / f"out.{ending}", "--seconds", 0.2, "--hold", 0.6)
    assert outcome.out == f"{tmp_path / 'out'}.{ending}: 3 frames\n"
    found = list(read_animation(tmp_path / f"out.{ending}"))
    assert [frame.seconds for frame in found] == pytest.approx([0.2, 0.2, 0.8])
    assert_shows(tmp_path / f"out.{ending}", made, "out_10.png", "out_20.png", "out.png")


def test_pictures_in_the_order_in_which_they_are_named(made, tmp_path):
    names = [made / "out.png", made / "out_10.png"]
    assert done("timelapse", *names, "-o", tmp_path / "out.gif", "--quiet").out == ""
    assert_shows(tmp_path / "out.gif", made, "out.png", "out_10.png")


def test_the_lanes_of_a_run_with_captions(sweep, tmp_path):
    output = tmp_path / "row.gif"
    assert done("timelapse", sweep, "-o", output).out == f"{output}: 2 frames\n"
    ((height, width, _), _) = shapes(output)
    assert (width, height > 40) == (48, True)
    assert done("timelapse", sweep, "-o", output, "--all-rows").out == f"{output}: 4 frames\n"
    assert done("timelapse", sweep, "-o", output, "--row", "conv1_1+conv2_1", "--size", 40).out.endswith("2 frames\n")
    assert shapes(output)[0][1] == 40


def test_stylize_shows_how_a_picture_was_made(made):
    """A frame after each multiple of --save-every, and the picture."""
    assert_shows(made / "making.webp", made, "out_10.png", "out_20.png", "out.png")
    assert [frame.seconds for frame in read_animation(made / "making.webp")] == pytest.approx([0.1, 0.1, 1.1])


def test_stylize_shows_all_scales_in_the_full_size(inputs, tmp_path):
    sizes = ("--size", 80, "--scales", 2, "--evaluations", 30)
    done("stylize", *inputs, "-o", tmp_path / "out.png", "--timelapse", tmp_path / "out.gif", *FEW, *sizes)
    found = shapes(tmp_path / "out.gif")
    assert {*found} == {(67, 80, 3)}
    assert 20 < len(found) <= 30  # those in a row that are alike are one


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{made}/out.png", "-o", "out.mp4"], ["--output out.mp4: not an animation's ending; known are .gif .webp"]),
        (["{made}/out.png", "-o", "none/out.gif"], ["--output none/out.gif: there is no folder none"]),
        (["{made}/out_10.png", "-o", "out.gif"], ["out_10.png: no numbered pictures (out_10_050.png)"]),
        (["nothing.png", "-o", "out.gif"], ["nothing.png: there is no such file"]),
        (["nothing.png", "{made}/out.png", "-o", "out.gif"], ["nothing.png"]),
        (["{made}", "-o", "out.gif"], ["not a run folder"]),
        (["{sweep}", "{sweep}", "-o", "out.gif"], ["is a folder; name one run folder, or pictures alone"]),
        (["{sweep}", "-o", "out.gif", "--row", "x"], ["--row: 'x' is no row"]),
        (["{sweep}", "-o", "out.gif", "--row", "x", "--all-rows"], ["--row: not allowed together with --all-rows"]),
        (["{made}/out.png", "-o", "out.gif", "--row", "x"], ["--row: only with a run folder"]),
        (["{made}/out.png", "-o", "out.gif", "--all-rows"], ["--all-rows: only with a run folder"]),
        (["{made}/out.png", "-o", "out.gif", "--seconds", "0"], ["--seconds: 0.0; must be within"]),
        (["{made}/out.png", "-o", "out.gif", "--hold", "nan"], ["--hold: nan; must be within"]),
        (["{made}/out.png", "-o", "out.gif", "--size", "8"], ["each side must have at least 32"]),
        (["{made}/out.png", "{sweep}/grid.png", "-o", "out.gif"], ["grid.png", "frames must be of one size"]),
        (["{made}/making.webp", "{made}/out.png", "-o", "{made}/making.webp"], ["--output", "is one of the pictures"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(made, sweep, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert_refused(run("timelapse", *(each.format(made=made, sweep=sweep) for each in arguments)), *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("output", "timelapse", "told"),
    [
        ("out.png", "out.mp4", "--timelapse out.mp4: not an animation's ending"),
        ("out.webp", "out.webp", "--timelapse out.webp: is the picture to write"),
        ("out.png", "none/out.gif", "--timelapse none/out.gif: there is no folder none"),
        ("out.png", "photo.gif", "--timelapse photo.gif: is an input picture"),
    ],
)
def test_stylize_refuses_a_timelapse_before_anything_is_read(tmp_path, monkeypatch, output, timelapse, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.gif").write_bytes(b"not read")
    assert_refused(run("stylize", "photo.gif", "photo.gif", "-o", output, "--timelapse", timelapse), told)
