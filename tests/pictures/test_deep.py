"""Files of 16 bits a channel: what other readers find in them."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import noise
from PIL import Image, PngImagePlugin

from nst_jax.pictures.deep import write_png, write_tiff

NO_TEXTS = PngImagePlugin.PngInfo()
WRITERS = {
    "PNG": (
        lambda path, pixels: write_png(path, pixels, NO_TEXTS),
        lambda path: imagecodecs.png_decode(path.read_bytes()),
    ),
    "TIFF": (write_tiff, tifffile.imread),
}
SIDES = st.one_of(st.integers(1, 9), st.integers(60, 68), st.integers(126, 130))  # rows are packed by 64


@pytest.mark.parametrize("kind", WRITERS)
@given(
    height=SIDES, width=SIDES, channels=st.sampled_from([3, 4]), seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([1, 2, 256, 2**16]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_other_readers_find_the_same(tmp_path_factory, kind, height, width, channels, seed, levels):
    """From 0 to 65535, and so that differences wrap round."""
    path, (write, read) = tmp_path_factory.getbasetemp() / f"deep.{kind}", WRITERS[kind]
    pixels = np.random.default_rng(seed).integers(0, levels, (height, width, channels), np.uint16)
    pixels *= 65535 // max(1, levels - 1)
    write(path, pixels)
    found = read(path)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pixels)
    written = path.read_bytes()
    write(path, pixels)
    assert path.read_bytes() == written


@pytest.mark.parametrize("kind", WRITERS)
def test_pixels_in_any_order_of_memory(tmp_path, kind):
    write, read = WRITERS[kind]
    pixels = noise(70, 33, 3, dtype=np.uint16)
    for turned in (pixels.swapaxes(0, 1), pixels[::-1, ::2], np.asfortranarray(pixels)):
        write(tmp_path / "a", turned)
        np.testing.assert_array_equal(read(tmp_path / "a"), turned)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("kind", WRITERS)
def test_ordinary_viewers_open_them(tmp_path, kind, mode):
    pixels = noise(130, 70, len(mode), dtype=np.uint16)
    WRITERS[kind][0](tmp_path / "a", pixels)
    with Image.open(tmp_path / "a") as picture:
        assert (picture.format, picture.mode, picture.size) == (kind, mode, (70, 130))
        np.testing.assert_array_equal(np.asarray(picture), pixels >> 8)


@pytest.mark.parametrize("kind", WRITERS)
def test_differences_pack(tmp_path, kind):
    """A gradient, whose lower bytes are like noise by themselves."""
    row = np.arange(0, 65_000, 130, np.uint16)
    pixels = np.stack([row, row + 77, 65_000 - row], -1) + np.arange(0, 9000, 61, np.uint16)[:, None, None]
    WRITERS[kind][0](tmp_path / "a", pixels)
    assert (tmp_path / "a").stat().st_size < pixels.nbytes / 50


def test_a_tiff_says_that_colors_are_not_multiplied_with_alpha(tmp_path):
    write_tiff(tmp_path / "a", noise(40, 40, 4, dtype=np.uint16))
    with tifffile.TiffFile(tmp_path / "a") as file:
        assert file.pages.first.tags["ExtraSamples"].value == (tifffile.EXTRASAMPLE.UNASSALPHA,)


def test_texts_stand_before_the_pixels(tmp_path):
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("key", "Käse \N{GREEK SMALL LETTER ALPHA}")
    texts.add_text("other", "text", zip=True)
    write_png(tmp_path / "a.png", noise(40, 40, 3, dtype=np.uint16), texts)
    data = (tmp_path / "a.png").read_bytes()
    assert data.index(b"iTXt") < data.index(b"zTXt") < data.index(b"IDAT")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.text == {"key": "Käse α", "other": "text"}
