"""The child process that reads TIFFs: what it hands over, what it keeps to itself, how it may end."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from picture_files import DEFLATE, HEIGHT, LINEAR_GREY, PLAIN, WIDTH, encoded, noise
from PIL import Image

from nst_jax.errors import InputError
from nst_jax.pictures import apart
from nst_jax.pictures.images import read_image


def read(path, kind="TIFF", max_pixels=10_000, check=lambda size: None):
    with path.open("rb") as file:
        return apart.read(file, kind, max_pixels, check)


@pytest.mark.parametrize("kind", apart.READERS)
def test_the_same_as_without_a_child(file, kind):
    path = file(PLAIN[kind])
    with Image.open(path) as picture:
        expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(read(path, kind).convert("RGB")), expected)


def test_what_comes_with_the_pixels(file):
    deep = Image.fromarray(noise(HEIGHT, WIDTH, dtype=np.uint16))
    picture = read(file(encoded(deep, "TIFF", icc_profile=LINEAR_GREY, save_all=True, append_images=[deep])))
    assert picture.mode == "I;16"
    assert picture.info == {"animated": True, "white_is_zero": False, "12 bits": False, "icc_profile": LINEAR_GREY}
    webp = read(file(encoded(Image.fromarray(noise(HEIGHT, WIDTH, 3)), "WEBP", exif=b"abc", xmp=b"def")), "WEBP")
    assert webp.info == {"animated": False, "icc_profile": b"", "exif": b"abc", "xmp": b"def"}


def test_nothing_too_large_is_decoded(file):
    sizes = []

    def check(size):
        sizes.append(tuple(size))
        raise InputError("too many")

    path = file(PLAIN["TIFF"][: -HEIGHT * WIDTH])  # decoding would fail, and another message come
    with pytest.raises(InputError, match="too many"):
        read(path, max_pixels=HEIGHT * WIDTH - 1, check=check)
    assert sizes == [(WIDTH, HEIGHT)]


@pytest.mark.parametrize(
    ("mode", "as_plain"), [("1", "L"), ("La", "LA"), ("P", "RGB"), ("RGBa", "RGBA"), ("LAB", "RGB")]
)
def test_plain(mode, as_plain):
    picture = apart.plain(Image.new(mode, (2, 2)))
    assert picture.mode == as_plain
    assert apart.plain(picture).mode == as_plain


def test_a_damaged_tiff_says_nothing_by_itself(file, capfd):
    data = encoded(Image.fromarray(noise(HEIGHT, WIDTH, 3)), "TIFF", compression="tiff_deflate")
    middle = len(data) // 2
    with pytest.raises(InputError, match="cannot be read"):
        read_image(file(data[:middle] + bytes(50) + data[middle + 50 :]))
    assert capfd.readouterr() == ("", "")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_a_crash_of_the_child_is_an_error_of_one_line(file, monkeypatch):
    run = subprocess.run
    crash = [sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})"]
    monkeypatch.setattr(subprocess, "run", lambda command, **options: run(crash, **options))
    with pytest.raises(InputError, match=r"cannot be read, damaged or cut short \(the reader of TIFF ended with code "):
        read_image(file(DEFLATE))


def test_the_child_finds_pillow_wherever_the_caller_found_it(file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    assert read_image(file(DEFLATE)).shape == (HEIGHT, WIDTH, 3)
