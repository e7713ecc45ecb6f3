"""The frames of GIFs, with GIF89a written out in NumPy as the reference."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import GIF_COLORS, encoded, gif, noise
from PIL import Image

from nst_jax.pictures.gif import composed, plays, screen

SIDE = 6


def seen(data, max_pixels=10_000):
    """What is seen of each frame, and the seconds."""
    return [(np.array(picture), seconds) for picture, seconds in composed(io.BytesIO(data), max_pixels)]


def expected(parts):
    """By section 23 of GIF89a, on a screen that is transparent at first, as browsers have it."""
    canvas = np.zeros((SIDE, SIDE, 4), np.uint8)
    for (x, y), numbers, disposal, key, _ in parts:
        before = canvas.copy()
        for (down, across), number in np.ndenumerate(numbers):
            if number != key:
                canvas[y + down, x + across] = (*GIF_COLORS[number], 255)
        yield canvas.copy()
        if disposal == 2:
            canvas[y : y + numbers.shape[0], x : x + numbers.shape[1]] = 0
        if disposal == 3:
            canvas = before


@st.composite
def part(draw):
    x, y = draw(st.integers(0, SIDE - 1)), draw(st.integers(0, SIDE - 1))
    shape = draw(st.integers(1, SIDE - y)), draw(st.integers(1, SIDE - x))
    numbers = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 3, shape, np.uint8)
    return (x, y), numbers, draw(st.integers(0, 4)), draw(st.sampled_from([None, 0])), draw(st.integers(0, 65535))


@given(st.lists(part(), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_every_disposal_and_transparency(parts):
    found = seen(gif(parts, SIDE, SIDE))
    assert [seconds for _, seconds in found] == [part[-1] / 100 for part in parts]
    for (picture, _), right in zip(found, expected(parts), strict=True):
        np.testing.assert_array_equal(picture, right)


def test_a_frame_is_as_pillow_has_it():
    """Interlaced, with tables of its own, of greys, of few colors."""
    pixels = Image.fromarray(noise(40, 56, 3))
    for picture in (pixels.quantize(256), pixels.quantize(5), pixels.convert("L"), pixels.convert("1")):
        for interlaced in (0, 1):
            data = encoded(picture, "GIF", interlace=interlaced)
            with Image.open(io.BytesIO(data)) as again:
                np.testing.assert_array_equal(seen(data)[0][0][..., :3], np.asarray(again.convert("RGB")))


def test_tables_of_the_frames_own():
    first, second = Image.new("RGB", (4, 4), (10, 20, 30)), Image.new("RGB", (4, 4), (40, 50, 60))
    data = encoded(first, "GIF", save_all=True, append_images=[second], duration=[30, 70])
    found = seen(data)
    assert [(picture[0, 0].tolist(), seconds) for picture, seconds in found] == [
        ([10, 20, 30, 255], 0.03),
        ([40, 50, 60, 255], 0.07),
    ]


@pytest.mark.parametrize(("loop", "times"), [(None, 1), (0, 0), (1, 2), (65535, 65536)])
def test_how_often_it_is_shown(loop, times):
    picture = Image.new("P", (4, 4))
    assert (
        plays(io.BytesIO(encoded(picture, "GIF", save_all=True, **({} if loop is None else {"loop": loop})))) == times
    )


def test_other_extensions_say_nothing_of_loops():
    one = [((0, 0), np.zeros((4, 4), np.uint8), 0, None, 5)]
    for extension in (
        b"!\xff\x0bXMP DataXMP\3\1\7\0\0",
        b"!\xff\0",
        b"!\xfe\3abc\0",
        b"\0\0",
        b"!\xff\x0bNETSCAPE2.0\0",
    ):
        data = gif(one, 4, 4, extension)
        assert plays(io.BytesIO(data)) == 1
        assert len(seen(data)) == 1


def test_the_screen():
    """It grows with the first frame, as with `read_image`; later ones are cut at its border."""
    numbers = noise(9, 8) % 128
    data = gif([((1, 2), numbers, 0, None, 5), ((5, 9), numbers, 0, None, 5), ((50, 50), numbers, 0, None, 5)], 4, 4)
    assert screen(io.BytesIO(data)) == (9, 11)
    (first, _), (second, _), (third, _) = seen(data)
    np.testing.assert_array_equal(first[2:, 1:, :3], GIF_COLORS[numbers])
    np.testing.assert_array_equal(second[9:, 5:, :3], GIF_COLORS[numbers[:2, :4]])
    np.testing.assert_array_equal(third, second)


def test_a_frame_that_is_too_large():
    small, large = np.zeros((4, 4), np.uint8), np.zeros((4, 30), np.uint8)
    with pytest.raises(ValueError, match="it has 30x4 pixels; the limit is 100"):
        seen(gif([((0, 0), small, 0, None, 5), ((0, 0), large, 0, None, 5)], 4, 4), max_pixels=100)


def test_every_cut_is_found():
    parts = [((1, 0), noise(3, 4) % 128, 0, None, 5), ((0, 0), noise(4, 4) % 128, 0, 7, 59)]
    data = gif(parts, 4, 4, b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0")
    assert plays(io.BytesIO(data)) == 0
    for length in range(13, len(data)):
        with pytest.raises(ValueError, match="the end of the file is missing"):
            plays(io.BytesIO(data[:length]))


def test_a_gif_without_frames():
    with pytest.raises(ValueError, match="there is no frame"):
        screen(io.BytesIO(gif([], 4, 4)))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_bytes_give_pictures_or_an_error(data):
    """Nothing but an Exception, which `frames` makes a refusal; and no other shape."""
    good = gif([((0, 0), noise(6, 6) % 128, 2, 3, 5), ((1, 1), noise(4, 4) % 128, 0, 7, 9)], SIDE, SIDE)
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(13 + 384, len(bad) - 1))] = data.draw(st.integers(0, 255))
    try:
        for picture, _ in seen(bytes(bad)):
            assert picture.shape[2] == 4
    except (ValueError, OSError, IndexError, SyntaxError, struct.error, EOFError):
        pass
