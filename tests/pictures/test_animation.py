"""Animations out and in: frames, times, what is refused, and that nothing is ever half there."""

import errno
import warnings
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import HEIGHT, PLAIN, RED_AND_BLUE_SWAPPED, STEP, WIDTH, encoded, gif, noise, smooth
from PIL import Image

from nst_jax.errors import InputError
from nst_jax.pictures.animation import check_animation, read_animation, survey, write_animation
from nst_jax.pictures.images import PictureWarning, fit, read_image, write_image

ENDINGS = ["gif", "webp"]
PHOTOGRAPH = smooth().astype(np.float32) / 255


def fade(count, height=HEIGHT, width=WIDTH):
    """Frames that get darker."""
    return [smooth(height, width).astype(np.float32) / 255 * (1 - 0.6 * turn / count) for turn in range(count)]


# --- there and back ---


@pytest.mark.parametrize(("name", "rms", "bands"), [("a.gif", 6, 1), ("a.GIF", 6, 1), ("a.webp", 2.5, 1.5)])
def test_write_and_read_again(tmp_path, name, rms, bands):
    """`rms` of the levels, and of the means of 4x4 pixels, where bands show."""
    path, frames = tmp_path / name, fade(5)
    check_animation(path, seconds=0.3, hold=1.5)
    write_animation(path, iter(frames), seconds=0.3, hold=1.5)
    found = list(read_animation(path))
    assert [frame.seconds for frame in found] == [0.3] * 4 + [1.8]
    assert {frame.plays for frame in found} == {0}
    for frame, right in zip(found, frames, strict=True):
        assert frame.image.dtype == np.float32
        off = (frame.image - right) / STEP
        assert np.sqrt((off**2).mean()) < rms
        means = off.reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 3).mean((1, 3))
        assert np.sqrt((means**2).mean()) < bands
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_first_frame_is_what_read_image_reads(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_animation(path, fade(3))
    with pytest.warns(PictureWarning, match="animated; only its first frame is used"):
        first = read_image(path)
    np.testing.assert_array_equal(next(read_animation(path)).image, first)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.integers(2, 300), st.integers(0, 300))
@settings(max_examples=15, deadline=None)
def test_frames_keep_their_order_and_their_time(tmp_path_factory, shades, hundredths, hold):
    """Whatever the frames: those in a row that are alike become one that stays as long as they would."""
    path = tmp_path_factory.getbasetemp() / "order.gif"
    frames = [np.full((32, 32, 3), shade / 4, np.float32) for shade in shades]
    write_animation(path, frames, seconds=hundredths / 100, hold=hold / 100)
    seen: list[list[float]] = []
    for shade in shades:
        if seen and seen[-1][0] == shade / 4:
            seen[-1][1] += hundredths
        else:
            seen.append([shade / 4, hundredths])
    seen[-1][1] += hold
    found = list(read_animation(path))
    assert [round(frame.seconds * 100) for frame in found] == [time for _, time in seen]
    for frame, (level, _) in zip(found, seen, strict=True):
        np.testing.assert_allclose(frame.image, level, atol=0.51 * STEP)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_bytes(tmp_path, ending):
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for path in paths:
        write_animation(path, fade(4), seconds=0.05)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_frame(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_animation(path, [PHOTOGRAPH])
    (frame,) = read_animation(path)
    assert frame.seconds == (1.1 if ending == "gif" else 0)  # a still WebP says nothing of time
    assert np.abs(frame.image - PHOTOGRAPH).mean() < 4 * STEP


def test_alike_for_longer_than_a_gif_can_say(tmp_path):
    path = tmp_path / "a.gif"
    write_animation(path, [*[PHOTOGRAPH] * 3, PHOTOGRAPH / 2], seconds=300, hold=355)
    assert [frame.seconds for frame in read_animation(path)] == [655.35, 655]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("plays", [0, 1, 2, 7])
def test_each_frame_has_its_time_and_the_animation_its_plays(tmp_path, ending, plays):
    path, times = tmp_path / f"a.{ending}", [0.02, 0.5, 0.03, 1.25]
    write_animation(path, fade(4), seconds=times, hold=0, plays=plays)
    found = list(read_animation(path))
    assert [frame.seconds for frame in found] == times
    assert {frame.plays for frame in found} == {plays}


def test_plays_beyond_what_a_format_counts(tmp_path):
    for ending, most in (("gif", 65_536), ("webp", 65_535)):
        write_animation(tmp_path / f"a.{ending}", fade(2), plays=10**6)
        assert next(read_animation(tmp_path / f"a.{ending}")).plays == most


@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_that_are_alike_stay_as_long_as_their_times_say(tmp_path, ending):
    """A time of nothing is one that programs take for a tenth."""
    path, (first, second) = tmp_path / f"a.{ending}", fade(2)
    times = [0.02, 0.5, 0.0, 0.03, 0.0, 0.01]
    write_animation(path, [first, first, first, second, first, second], seconds=times, hold=0.3)
    assert [frame.seconds for frame in read_animation(path)] == [0.62, 0.03, 0.1, 0.4]


def test_what_rounding_takes_comes_back(tmp_path):
    """Thirty frames a second, of a WebP, take as long as a GIF; what no GIF shows is as near as can be."""
    path = tmp_path / "a.gif"
    write_animation(path, fade(9), seconds=[0.033] * 9, hold=0)
    found = [frame.seconds for frame in read_animation(path)]
    assert {0.03, 0.04} == {*found}
    assert round(sum(found), 2) == 0.30
    write_animation(path, fade(5), seconds=[0.011] * 4 + [1.0], hold=0)
    assert [frame.seconds for frame in read_animation(path)] == [0.02] * 4 + [1.0]


@pytest.mark.parametrize("count", [2, 4])
def test_as_many_times_as_frames(tmp_path, count):
    with pytest.raises(InputError, match=r"seconds: . given for (3|more) frames; give one for each"):
        write_animation(tmp_path / "a.gif", fade(3), seconds=[0.1] * count)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_survey_is_what_reading_tells(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_animation(path, fade(3), seconds=[0.2, 0.3, 0.4], hold=0, plays=2)
    assert survey(path) == (HEIGHT, WIDTH, (0.2, 0.3, 0.4), 2)
    assert survey(path, size=80) == (57, 80, (0.2, 0.3, 0.4), 2)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read"):
        survey(path)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "JPEG"])
def test_a_survey_of_a_still_picture_finds_none(file, kind):
    assert survey(file(PLAIN[kind])) is None


def test_frames_come_and_go_one_by_one(tmp_path):
    """Of those that were given, two are there at most."""
    given, most = [], []

    def frames():
        for frame in fade(6):
            own = frame.copy()
            given.append(weakref.ref(own))
            most.append(sum(reference() is not None for reference in given))
            yield own
            del own

    write_animation(tmp_path / "a.webp", frames())
    assert max(most) <= 2


def test_many_colors_do_not_take_k_means_for_ever(tmp_path):
    """Larger pictures have their palette made of a part of their pixels."""
    frame = fit(PHOTOGRAPH, 400)
    write_animation(tmp_path / "a.gif", [frame])
    (found,) = read_animation(tmp_path / "a.gif")
    assert np.sqrt(((found.image - frame) ** 2).mean()) < 6 * STEP


# --- nothing is half there ---


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(_, path, *args: object, **options: object) -> None:
    path.write_bytes(b"the first half")
    raise KeyboardInterrupt


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("what", "instead", "error"),
    [("os.fsync", full_disk, OSError), ("PIL.Image.Image.save", interrupted, KeyboardInterrupt)],
)
@pytest.mark.parametrize("before", [b"before", None])
def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch, ending, what, instead, error, before):
    path = tmp_path / f"a.{ending}"
    if before:
        path.write_bytes(before)
    monkeypatch.setattr(what, instead)
    with pytest.raises(error):
        write_animation(path, fade(2))
    assert [found.read_bytes() for found in tmp_path.iterdir()] == ([before] if before else [])


def test_frames_that_fail_leave_what_was_there(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(b"before")

    def frames():
        yield PHOTOGRAPH
        raise RuntimeError("out of frames")

    with pytest.raises(RuntimeError, match="out of frames"):
        write_animation(path, frames())
    assert [found.read_bytes() for found in tmp_path.iterdir()] == [b"before"]


# --- what is refused ---


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a", ".gif", "a.gif.exe", "none/a.gif", "folder.gif"])
def test_check_animation(tmp_path, name):
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(InputError, match=r"^output ") as error:
        check_animation(tmp_path / name)
    assert "\n" not in str(error.value)


def test_other_endings_are_refused_before_a_frame_is_asked_for(tmp_path):
    def frames():
        raise AssertionError
        yield

    path = tmp_path / "a.mp4"
    with pytest.raises(InputError) as error:
        write_animation(path, frames())
    assert str(error.value) == f"{path}: not an animation's ending; known are .gif .webp"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "times", "told"),
    [
        ("a.gif", {"seconds": 0.01}, "seconds: 0.01; must be within 0.02..655.35 for GIF"),
        ("a.gif", {"seconds": 656}, "seconds: 656; must be within 0.02..655.35 for GIF"),
        ("a.webp", {"seconds": float("nan")}, "seconds: nan; must be within 0.02..16777.215 for WEBP"),
        ("a.gif", {"hold": -1}, "hold: -1; must be within 0..655.25 for GIF with seconds 0.1"),
        ("a.gif", {"hold": 655.3}, "hold: 655.3; must be within 0..655.25 for GIF with seconds 0.1"),
        ("a.gif", {"seconds": [0.1, 700]}, "seconds: 700 of frame 2; must be within 0..655.35 for GIF"),
        ("a.webp", {"seconds": (-1.0, 1)}, "seconds: -1.0 of frame 1; must be within 0..16777.215 for WEBP"),
        ("a.webp", {"hold": float("inf")}, "hold: inf; must be within 0..16777.1 for WEBP with seconds 0.1"),
    ],
)
def test_times_that_a_format_cannot_hold(tmp_path, name, times, told):
    for refused in (
        lambda: check_animation(tmp_path / name, **times),
        lambda: write_animation(tmp_path / name, fade(2), **times),
    ):
        with pytest.raises(InputError) as error:
            refused()
        assert str(error.value) == told
    assert list(tmp_path.iterdir()) == []


def test_what_write_animation_refuses(tmp_path):
    path = tmp_path / "a.webp"
    for frames, error, told in (
        ([], InputError, "frames: there are none; an animation takes at least one"),
        (
            [PHOTOGRAPH, PHOTOGRAPH, PHOTOGRAPH[:-1]],
            InputError,
            "frames: frame 3 has 56x39 pixels, the first 56x40; all must have one size",
        ),
        ([np.zeros((1, 16_384, 3))], InputError, f"{path}: WEBP holds at most 16383 pixels a side, got 16384"),
        ([PHOTOGRAPH, PHOTOGRAPH[..., 0]], ValueError, "frame 2: got shape (40, 56); must be [height, width, 3]"),
        ([PHOTOGRAPH * np.nan], ValueError, "frame 1: holds values that are not finite (NaN or infinity)"),
    ):
        with pytest.raises(error) as caught:
            write_animation(path, frames)
        assert str(caught.value) == told
    assert list(tmp_path.iterdir()) == []


# --- reading what others wrote ---


def test_size_of_reading(tmp_path):
    path = tmp_path / "a.webp"
    write_animation(path, fade(2))
    for own, small in zip(read_animation(path), read_animation(path, size=50), strict=True):
        assert max(small.image.shape) == 50
        np.testing.assert_array_equal(small.image, fit(own.image, 50))
    for options, told in (
        (
            {"size": 20},
            "20x14 pixels after size 20; each side must have at least 32",
        ),
        ({"max_pixels": 2239}, "56x40 is 2,240 pixels; the limit is 2,239 .raise it with max_pixels."),
        ({"size": 90, "max_pixels": 2240}, "90x64 .size 90. is 5,760 pixels; the limit is 2,240"),
    ):
        with pytest.raises(InputError, match=told):
            next(read_animation(path, **options))


def test_transparency_is_laid_over_white(file):
    """As `read_image` does it; and that is told once."""
    numbers = noise(HEIGHT, WIDTH) % 128
    path = file(gif([((0, 0), numbers, 2, 5, 4)] * 3, WIDTH, HEIGHT))
    with pytest.warns(PictureWarning) as notes:
        frames = list(read_animation(path))
    assert [str(note.message) for note in notes] == [f"{path}: transparent; laid over white"]
    with pytest.warns(PictureWarning):
        right = read_image(path)
    for frame in frames:
        np.testing.assert_array_equal(frame.image, right)
        assert (frame.image[numbers == 5] == 1).all()


def test_colors_are_converted(file):
    """By the profile of a WebP, every frame."""
    frames = [Image.fromarray(smooth() // part) for part in (1, 2)]
    path = file(
        encoded(
            frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True,
            icc_profile=RED_AND_BLUE_SWAPPED,
        )
    )  # fmt: skip
    for frame, right in zip(read_animation(path), frames, strict=True):
        np.testing.assert_allclose(frame.image, np.asarray(right)[..., ::-1] / 255, atol=2.01 * STEP)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "JPEG"])
def test_a_still_picture_is_one_frame(file, kind):
    path = file(PLAIN[kind])
    (frame,) = read_animation(path, size=50)
    np.testing.assert_array_equal(frame.image, read_image(path, size=50))
    assert (frame.seconds, frame.plays) == (0, 1 if kind != "WEBP" else frame.plays)


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_are_cut_short(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_animation(path, fade(3))
    data = path.read_bytes()
    for length in (0, 3, 20, 40, len(data) // 3, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(InputError) as error:
            next(read_animation(path))
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)


def test_a_damaged_frame_is_named(file):
    data = gif([((0, 0), np.full((32, 32), number, np.uint8), 0, None, 5) for number in (1, 2, 3)], 32, 32)
    place = data.rindex(b"\x07\xff\x80")  # where the last frame's codes begin
    path = file(data[: place + 2] + b"\x81" + data[place + 3 :])
    frames = read_animation(path)
    assert [next(frames).image.shape, next(frames).image.shape] == [(32, 32, 3)] * 2
    with pytest.raises(InputError) as error:
        next(frames)
    assert str(error.value).startswith(f"{path}: cannot be read, damaged or cut short (frame 3: ")


def test_what_is_no_picture(file, tmp_path):
    for path, told in (
        (tmp_path / "none.gif", "no such file"),
        (tmp_path, "is a directory"),
        (file(b"\0\0\0\x20ftypisom" + bytes(99), "a.mp4"), "not a picture that can be read"),
    ):
        with pytest.raises(InputError, match=told):
            next(read_animation(path))


def test_reading_warns_of_nothing_else(tmp_path):
    write_image(tmp_path / "a.webp", PHOTOGRAPH)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(read_animation(tmp_path / "a.webp"))) == 1
