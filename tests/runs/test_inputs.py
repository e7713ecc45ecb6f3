"""Input pictures at the sizes that the settings say, and what lanes start from."""

from dataclasses import replace

import numpy as np
import pytest
from small_sweep import LANES, table

from nst_jax.errors import InputError
from nst_jax.pictures import images
from nst_jax.runs import inputs
from nst_jax.transfer import scales
from nst_jax.transfer.settings import Settings


@pytest.fixture
def folder(tmp_path, picture):
    """A run folder's pictures of two lanes, and inputs."""
    images.write_image(tmp_path / "photo.png", picture("photograph", 64, 96))
    images.write_image(tmp_path / "painting.png", picture("painting", 80, 64))
    (tmp_path / "lanes").mkdir()
    for lane, name in zip(LANES[:2], ("photograph", "painting"), strict=True):
        images.write_image(tmp_path / "lanes" / f"{lane.name}.png", picture(name, 32, 48))
    return tmp_path


def lanes(folder, count: int = 2):
    """That many of `LANES`, with the folder's pictures."""
    named = {"content": str(folder / "photo.png"), "style": str(folder / "painting.png")}
    return tuple(replace(lane, **named) for lane in LANES[:count])


def test_pictures_have_the_sizes_that_are_asked_for(folder):
    photo, painting = str(folder / "photo.png"), str(folder / "painting.png")
    contents, styles = inputs.read_pictures(table(lanes(folder), size=48))
    assert {path: image.shape for path, image in contents.items()} == {photo: (32, 48, 3)}
    assert {path: image.shape for path, image in styles.items()} == {painting: (48, 38, 3)}
    contents, styles = inputs.read_pictures(table(lanes(folder), size=48, style_size=80))
    assert contents[photo].shape == (32, 48, 3)
    np.testing.assert_array_equal(styles[painting], images.read_image(folder / "painting.png"))
    without = tuple(replace(lane, style="", beta=0.0, alpha=1.0) for lane in lanes(folder))
    assert inputs.read_pictures(table(without, size=48))[1] == {}


def test_pictures_that_are_elsewhere_have_the_table_s_names(folder):
    named = tuple(replace(lane, content="/gone/a.png", style="/gone/b.png") for lane in lanes(folder))
    places = {"/gone/a.png": str(folder / "photo.png"), "/gone/b.png": str(folder / "painting.png")}
    contents, styles = inputs.read_pictures(table(named, size=48), places)
    there = inputs.read_pictures(table(lanes(folder), size=48))
    for found, expected, name in zip((contents, styles), there, places, strict=True):
        assert [*found] == [name]
        np.testing.assert_array_equal(found[name], next(iter(expected.values())))


def test_a_photograph_with_its_transparency(folder, picture):
    """Only where it is to be kept, and there is some."""
    alpha = np.linspace(0, 1, 96, dtype=np.float32) * np.ones((64, 1), np.float32)
    images.write_image(folder / "soft.png", picture("photograph", 64, 96), alpha=alpha)
    settings = Settings(size=48)
    photo, own = inputs.read_photograph(folder / "soft.png", settings, "keep")
    assert own is not None
    assert (photo.shape, own.shape) == ((32, 48, 3), (32, 48))
    with pytest.warns(images.PictureWarning, match="over white"):
        white, none = inputs.read_photograph(folder / "soft.png", settings, "white")
    assert none is None
    np.testing.assert_array_equal(photo, white)
    assert inputs.read_photograph(folder / "photo.png", settings, "keep")[1] is None
    with pytest.raises(InputError, match="max_pixels"):
        inputs.read_photograph(folder / "soft.png", Settings(size=48, max_pixels=2000), "keep")


def test_the_size_of_photographs(folder):
    settings = Settings(seed=3)
    assert inputs.of_original_size([folder / "photo.png"] * 2, settings) == replace(settings, size=96)
    with pytest.raises(InputError, match=r"^size original: .*photo.png has 96 pixels a side, .*painting.png 80; give"):
        inputs.of_original_size([folder / "photo.png", folder / "painting.png"], settings)


def test_too_many_pixels_are_refused(folder):
    with pytest.raises(InputError, match="max_pixels"):
        inputs.read_pictures(table(lanes(folder), size=48, max_pixels=2000))


def test_folders_named_noise_and_content_are_no_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for init in ("noise", "content"):
        (tmp_path / init).mkdir()
        made = table(LANES, init=init)
        assert inputs.starts_of(made, made.lanes, {"photo": np.zeros((32, 32, 3), np.float32)}) is None


def test_noise_and_content_read_no_start():
    for init in ("noise", "content"):
        assert inputs.read_start(Settings(init=init), 32, 48) is None


def test_a_start_keeps_its_aspect(folder):
    start = inputs.read_start(Settings(init=str(folder / "photo.png")), 32, 48)
    np.testing.assert_array_equal(start, images.resize(images.read_image(folder / "photo.png"), 32, 48))
    with pytest.raises(InputError, match=r"^init .*painting.png: 64x80 cannot be brought to 48x32"):
        inputs.read_start(Settings(init=str(folder / "painting.png")), 32, 48)
    with pytest.raises(InputError, match=r"^init none.png: no such file; must be noise, content or a picture file$"):
        inputs.read_start(Settings(init="none.png"), 32, 48)


def test_each_lane_starts_from_its_own_picture_in_a_run_folder(folder, picture):
    """Enlarged; the finest detail of the photograph is for lanes that have a part of it."""
    own = lanes(folder)
    own = (own[0], replace(own[1], alpha=0.0))
    contents = {own[0].content: picture("photograph", 64, 96)}
    starts = inputs.starts_of(table(own, init=str(folder)), own, contents)
    coarse = [images.read_image(folder / "lanes" / f"{lane.name}.png") for lane in own]
    np.testing.assert_array_equal(starts["lane0"], scales.enlarged(coarse[0], contents[own[0].content]))
    np.testing.assert_array_equal(starts["lane1"], images.resize(coarse[1], 64, 96))
    assert list(inputs.starts_of(table(own, init=str(folder)), own[1:], contents)) == ["lane1"]


def test_one_start_for_all_lanes(folder, picture):
    own = lanes(folder)
    contents = {own[0].content: picture("photograph", 32, 48)}
    start = inputs.starts_of(table(own, init=str(folder / "photo.png")), own, contents)
    np.testing.assert_array_equal(start, images.resize(images.read_image(folder / "photo.png"), 32, 48))
    assert inputs.starts_of(table(own), own, contents) is None


def test_a_folder_without_the_lane_s_picture_is_refused(folder, picture):
    own = lanes(folder, 3)
    contents = {own[0].content: picture("photograph", 32, 48)}
    with pytest.raises(InputError, match=r"^init .*: is no run folder with a picture of lane lane2$"):
        inputs.starts_of(table(own, init=str(folder)), own, contents)
