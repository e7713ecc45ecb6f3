"""The child process that reads animations: what it hands over, refuses, and how it ends."""

import io
import itertools
import signal
import subprocess
import sys

import numpy as np
import pytest
from picture_files import encoded, gif, noise
from PIL import Image

from nst_jax.errors import InputError
from nst_jax.pictures import apart
from nst_jax.pictures.frames import read, replies

FRAMES = [Image.fromarray(noise(40, 56, 3) // part) for part in (1, 2, 3)]


def animation(kind, **options):
    return encoded(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:], duration=[40, 50, 60], loop=3, **options)


def heard(data, kind):
    """The frames, decoded in this process, which takes 60 ms less."""
    for parts in replies(io.BytesIO(data), kind, 10_000):
        stream = io.BytesIO(b"".join(parts))
        header = apart.heard(stream)
        if "end" not in header:
            yield apart.received(header, stream, lambda size: None).picture


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_frames_come_in_order_with_their_times(file, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    path = file(animation(kind, **options))
    with path.open("rb") as opened:
        found = list(read(opened, kind, 10_000, lambda size: None))
    assert [frame.seconds for frame in found] == [0.04, 0.05, 0.06]
    assert {frame.plays for frame in found} == {4 if kind == "GIF" else 3}
    for frame, (picture, right) in zip(found, zip(heard(path.read_bytes(), kind), FRAMES, strict=True), strict=True):
        got = np.asarray(frame.decoded.picture.convert("RGB"))
        np.testing.assert_array_equal(got, np.asarray(picture.convert("RGB")))
        assert np.abs(got - np.asarray(right).astype(float)).mean() < (20 if kind == "GIF" else 1e-9)


def test_what_comes_with_the_pixels(file):
    path = file(animation("WEBP", icc_profile=b"abc", exif=b"def", xmp=b"ghi"))
    with path.open("rb") as opened:
        first = next(read(opened, "WEBP", 10_000, lambda size: None))
    assert first.decoded.picture.info == {"icc_profile": b"abc", "exif": b"def", "xmp": b"ghi"}


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_nothing_too_large_is_decoded(file, kind, monkeypatch):
    sizes = []

    def check(size):
        sizes.append(size)
        raise InputError("too many")

    monkeypatch.setattr(subprocess, "Popen", None)  # no child is started
    with file(animation(kind)).open("rb") as opened, pytest.raises(InputError, match="too many"):
        next(read(opened, kind, 10, check))
    assert sizes == [(56, 40)]


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_the_child_ends_with_the_iterator(file, kind, monkeypatch):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    with file(animation(kind)).open("rb") as opened:
        found = read(opened, kind, 10_000, lambda size: None)
        next(found)
        found.close()
    (child,) = started
    assert child.returncode is not None
    assert child.stdout.closed


def test_a_crash_of_the_child_is_an_error(file, monkeypatch):
    crash = [sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})"]
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: start(crash, **options))
    with file(animation("GIF")).open("rb") as opened, pytest.raises(ValueError, match="frame 1: the reader of GIF end"):
        next(read(opened, "GIF", 10_000, lambda size: None))


def test_every_cut_of_a_webp_is_found():
    data = animation("WEBP")
    assert len(list(heard(data, "WEBP"))) == 3
    for length in itertools.chain(range(60), range(60, len(data), 97), range(len(data) - 4, len(data))):
        with pytest.raises(ValueError, match=r"^frame 1: "):
            list(heard(data[:length], "WEBP"))


def test_a_damaged_frame_is_named():
    parts = [((0, 0), noise(8, 8) % 128, 0, None, 5)] * 3
    data = gif(parts, 8, 8)
    place = data.rindex(b"\x07\x42")  # where the last frame's 66 bytes begin
    with pytest.raises(ValueError, match=r"^frame 3: ."):
        list(heard(data[: place + 2] + b"\x81" + data[place + 3 :], "GIF"))
