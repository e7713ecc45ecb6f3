"""The frames of a timelapse: which they are, in which order, and what stands below them."""

import re

import numpy as np
import pytest
from run_folders import NAMES, edit

from nst_jax.errors import InputError
from nst_jax.pictures import images
from nst_jax.runs import timelapse
from nst_jax.runs.timelapse import FRAMES, Making, Source, frames, lanes_of, numbered


def flat(level: float, height: int = 32, width: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.float32)


@pytest.fixture
def write(tmp_path):
    """write("out.png", 0.5, text): a flat picture of that level; its path."""

    def written(name: str, level: float = 0.5, text: str = "own"):
        images.write_image(tmp_path / name, flat(level), {"nst_jax": text})
        return tmp_path / name

    return written


def test_numbered_pictures_are_found_in_order(write):
    """Neither those of another picture nor those of another run."""
    picture = write("out.png")
    for name in ("out_100.png", "out_050.png", "out_x.png", "out_050.jpg", "other_050.png", "out_050_1.png"):
        write(name)
    write("out_900.png", text="of other settings")
    assert [source.path.name for source in numbered(picture)] == ["out_050.png", "out_100.png", "out.png"]


@pytest.mark.parametrize("name", ["a[1].png", "sky.v2.png", "grün (2).png"])
def test_a_picture_may_be_called_anything(write, name):
    picture = write(name)
    before = write(picture.with_stem(f"{picture.stem}_5").name)
    assert [source.path for source in numbered(picture)] == [before, picture]


def test_numbered_pictures_that_cannot_be_told_are_refused(write, tmp_path):
    with pytest.raises(InputError, match=r"out\.png: there is no such file; name pictures, or a run folder"):
        numbered(tmp_path / "out.png")
    picture = write("out.jpg")
    with pytest.raises(InputError, match=r"no numbered pictures \(out_050\.jpg\) beside it; stylize --save-every"):
        numbered(picture)
    write("out_50.jpg")
    write("out_050.jpg")
    with pytest.raises(InputError, match=r"out_\d+\.jpg and out_\d+\.jpg beside it are of several runs; name the"):
        numbered(picture)


def test_lanes_go_along_a_row_in_the_order_of_the_ratio(own):
    found = lanes_of(own)
    assert [source.path.stem for source in found] == NAMES[:2]
    assert [source.caption for source in found] == ["α/β = 10⁻³", "α/β = 10⁻²"]
    edit(own, "table", "lanes", 0, "alpha", value=0.1)
    assert [source.path.stem for source in lanes_of(own)] == NAMES[1::-1]


def test_lanes_of_one_ratio_go_in_the_order_of_columns(own):
    for number in range(4):
        edit(own, "table", "lanes", number, "alpha", value=0.1)
    edit(own, "table", "column_headings", value=["10⁻²", "10⁻³"])
    edit(own, "table", "corner", value="")
    found = lanes_of(own)
    assert [source.path.stem for source in found] == NAMES[1::-1]
    assert [source.caption for source in found] == ["10⁻²", "10⁻³"]


def test_a_row_is_chosen_by_its_heading(own):
    assert [source.path.stem for source in lanes_of(own, "conv1_1+conv2_1")] == NAMES[2:]
    with pytest.raises(InputError, match=r"^row: 'B' is no row of .*own; its rows are: conv1_1; conv1_1\+conv2_1$"):
        lanes_of(own, "B")
    every = lanes_of(own, all_rows=True)
    assert [source.path.stem for source in every] == NAMES
    assert every[2].caption == "conv1_1+conv2_1, α/β = 10⁻³"


def test_lanes_without_a_picture_yet_are_left_out(own):
    (own / "lanes" / f"{NAMES[0]}.png").unlink()
    assert [source.path.stem for source in lanes_of(own)] == NAMES[1:2]
    (own / "lanes" / f"{NAMES[1]}.png").unlink()
    with pytest.raises(InputError, match=r"own: has no pictures yet in row 'conv1_1'$"):
        lanes_of(own)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"not a run folder; it has no run\.json"):
        lanes_of(tmp_path)


def test_frames_are_the_pictures(write):
    sources = [Source(write(f"{n}.png", n / 255)) for n in range(3)]
    found = list(frames(sources))
    assert [frame.shape for frame in found] == [(32, 48, 3)] * 3
    np.testing.assert_allclose([frame.mean() for frame in found], [0, 1 / 255, 2 / 255], rtol=1e-6)


def test_captions_stand_below_the_pictures(own):
    """In a strip that is as high in all frames, with other letters in each."""
    sources = lanes_of(own)
    found = list(frames(sources))
    assert len({frame.shape for frame in found}) == 1
    for source, frame in zip(sources, found, strict=True):
        image = images.read_image(source.path)
        np.testing.assert_array_equal(frame[: image.shape[0]], image)
        strip = frame[image.shape[0] :]
        assert strip[0].min() == strip[-1].min() == 1
        assert (strip.min(axis=2) < 0.5).sum() > 20
    assert not np.array_equal(found[0][40:], found[1][40:])


def test_frames_are_brought_to_a_size(own):
    found = list(frames(lanes_of(own), size=40))
    assert {frame.shape[1] for frame in found} == {40}
    assert found[0].shape[0] > 33


def test_frames_of_two_sizes_are_refused(write, tmp_path):
    first = write("a.png")
    images.write_image(tmp_path / "b.png", flat(0.5, 40, 32))
    told = f"{tmp_path / 'b.png'}: 32x40 pixels, but {first} has 48x32; frames must be of one size"
    with pytest.raises(InputError, match=f"^{re.escape(told)}$"):
        list(frames([Source(first), Source(tmp_path / "b.png")]))


@pytest.mark.parametrize(
    ("evaluations", "every", "expected"),
    [(500, None, 12), (6, None, 1), (1, None, 1), (40, None, 1), (2000, None, 50), (500, 50, 50), (500, 5, 10)],
)
def test_about_forty_frames_are_made(evaluations, every, expected):
    making = Making(evaluations, every)
    assert making.every == expected
    assert every is None or making.every % every == 0
    assert evaluations / making.every < 1.5 * FRAMES


def test_frames_of_coarser_scales_are_brought_to_the_size_of_the_last(monkeypatch):
    monkeypatch.setattr(timelapse, "FRAMES", 3)
    making = Making(6)
    for done in range(1, 6):
        making.hear(flat(done / 10, *((16, 24) if done < 3 else (32, 48))), done)
    found = list(making.frames(flat(1)))
    assert [frame.shape for frame in found] == [(32, 48, 3)] * 3
    np.testing.assert_allclose([frame.mean() for frame in found], [0.2, 0.4, 1], atol=1 / 255)
