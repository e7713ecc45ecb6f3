"""Pictures in and out. Run as a program, `python tests/test_images.py COUNT SEED`, it feeds COUNT mutated files in."""

import io
import os
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from nst_jax.errors import InputError
from nst_jax.pictures.images import PictureWarning, check_output, fit, read_image, read_settings, resize, write_image

SAMPLES = Path(__file__).resolve().parents[2] / "nst_jax" / "samples"
HEIGHT, WIDTH = 40, 56
STEP = 1 / 255


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height=HEIGHT, width=WIDTH):
    """A picture that JPEG hardly changes: 8-bit gradients, another for each channel."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * y // height, 255 * x // width, 255 * (x + y) // (height + width)], -1).astype(np.uint8)


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(height, width, depth, color, row, extra=b""):
    """A PNG of equal rows, for what Pillow does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress((b"\0" + row) * height))
    return b"\x89PNG\r\n\x1a\n" + header + extra + data + chunk(b"IEND", b"")


def icc(space, connection, *tags):
    """An ICC profile, version 2, of (signature, data) tags."""
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4sI4s4s4s", 132 + 12 * len(tags) + len(body), b"lcms", 0x02100000, b"prtr", space, connection
    )
    illuminant = struct.pack(">3i", 63190, 65536, 54061)  # D50
    return (header + bytes(12) + b"acsp" + bytes(28) + illuminant).ljust(128, b"\0") + table + body


WHITE = (b"wtpt", b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061))
LINEAR_GREY = icc(b"GRAY", b"XYZ ", WHITE, (b"kTRC", b"curv\0\0\0\0" + struct.pack(">I", 0)))
IDENTITY = bytes(range(256))
BLACK_INK_ONLY = icc(  # L* = 100 (1 - K); the other inks are invisible
    b"CMYK",
    b"Lab ",
    WHITE,
    (
        b"A2B0",
        b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * np.eye(3, dtype=int).ravel()))
        + IDENTITY * 4 + bytes([255, 128, 128, 0, 128, 128]) * 8 + IDENTITY * 3,
    ),
)  # fmt: skip
RED_AND_BLUE_SWAPPED = (
    ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    .tobytes()
    .replace(b"rXYZ", b"....", 1)
    .replace(b"bXYZ", b"rXYZ", 1)
    .replace(b"....", b"bXYZ", 1)
)


def srgb_encoding(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.fixture
def file(tmp_path):
    """Writes bytes to a file and gives its path."""

    def write(data, name="picture"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


# --- what is read ---


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_deflate"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 8),
        ("JPEG", {"quality": 95, "subsampling": 0}, 6),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 6),
    ],
)
def test_color_of_8_bits(file, kind, options, tolerance):
    image = read_image(file(encoded(Image.fromarray(smooth()), kind, **options)))
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, smooth() / 255, rtol=0, atol=tolerance * STEP + 1e-7)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_bilevel_and_palette(file, kind, mode):
    picture = Image.fromarray(noise(HEIGHT, WIDTH) // 16 * 16)
    if mode == "P":
        picture.putpalette(bytes(noise(768)))
    elif mode == "1":
        picture = picture.convert("1")
    expected = np.asarray(picture.convert("RGB")) / 255
    np.testing.assert_allclose(read_image(file(encoded(picture, kind))), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_16_bits_keeps_its_precision(file, kind):
    values = noise(HEIGHT, WIDTH, dtype=np.uint16)
    image = read_image(file(encoded(Image.fromarray(values), kind)))
    expected = np.repeat(values[..., None] / 65535, 3, axis=-1)
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-6)  # a sixteenth of a 16-bit step


def test_grey_tiff_of_other_kinds(file):
    values = noise(HEIGHT, WIDTH, dtype=np.uint16)
    as_integers = encoded(Image.fromarray(values.astype(np.int32)), "TIFF")
    as_floats = encoded(Image.fromarray((values / 65535).astype(np.float32)), "TIFF")
    for data in (as_integers, as_floats):
        np.testing.assert_allclose(read_image(file(data))[..., 1], values / 65535, rtol=0, atol=1e-6)
    white_is_zero = encoded(Image.fromarray(values), "TIFF")
    entry = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    assert white_is_zero.count(entry) == 1
    white_is_zero = white_is_zero.replace(entry, struct.pack("<HHIHH", 262, 3, 1, 0, 0))
    np.testing.assert_allclose(read_image(file(white_is_zero))[..., 1], 1 - values / 65535, rtol=0, atol=1e-6)


def test_color_of_16_bits_is_read_as_8(file):
    row = noise(WIDTH, 3, dtype=np.uint16)
    image = read_image(file(png(HEIGHT, WIDTH, 16, 2, row.astype(">u2").tobytes())))
    np.testing.assert_allclose(image, np.broadcast_to((row >> 8) / 255, image.shape), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("TIFF", "RGBA", {}),
        ("TIFF", "LA", {}),
        ("WEBP", "RGBA", {"lossless": True, "exact": True}),
    ],
)
def test_alpha_is_laid_over_white(file, kind, mode, options):
    pixels = noise(HEIGHT, WIDTH, len(mode))
    path = file(encoded(Image.fromarray(pixels, mode), kind, **options))
    with pytest.warns(PictureWarning, match="picture: transparent; laid over white"):
        image = read_image(path)
    alpha = pixels[..., -1:] / 255
    expected = np.broadcast_to(alpha * (pixels[..., :-1] / 255) + 1 - alpha, image.shape)
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_premultiplied_alpha(file, mode):
    alpha, value = 128, 60  # as stored: already multiplied
    pixels = np.full((HEIGHT, WIDTH, len(mode)), value, np.uint8)
    pixels[..., -1] = alpha
    data = encoded(Image.fromarray(pixels, mode), "TIFF")
    unassociated = struct.pack("<HHIHH", 338, 3, 1, 2, 0)  # the tag ExtraSamples
    assert data.count(unassociated) == 1
    path = file(data.replace(unassociated, struct.pack("<HHIHH", 338, 3, 1, 1, 0)))
    with pytest.warns(PictureWarning, match="over white"):
        image = read_image(path)
    np.testing.assert_allclose(image, (value + 255 - alpha) / 255, rtol=0, atol=STEP)


def test_an_opaque_alpha_channel_is_no_news(file):
    pixels = noise(HEIGHT, WIDTH, 4)
    pixels[..., 3] = 255
    image = read_image(file(encoded(Image.fromarray(pixels), "PNG")))  # a warning would be an error here
    np.testing.assert_allclose(image, pixels[..., :3] / 255, rtol=0, atol=1e-7)


def test_hidden_colors_do_not_bleed_when_resized(file):
    pixels = np.zeros((64, 64, 4), np.uint8)  # transparent black, left; opaque white, right
    pixels[:, 32:] = 255
    with pytest.warns(PictureWarning, match="over white"):
        image = read_image(file(encoded(Image.fromarray(pixels), "PNG")), size=48)
    np.testing.assert_allclose(image, 1, atol=1e-6)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_entry(file, kind):
    indices = noise(HEIGHT, WIDTH) % 4
    colors = noise(4, 3)
    picture = Image.fromarray(indices)
    picture.putpalette(bytes(colors))
    path = file(encoded(picture, kind, transparency=2))
    with pytest.warns(PictureWarning, match="over white"):
        image = read_image(path)
    colors[2] = 255
    np.testing.assert_allclose(image, colors[indices] / 255, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("depth", "color", "row", "key", "expected"),
    [
        (2, 0, b"\xe4" * 16, b"\0\2", [1, 1, 1 / 3, 0]),
        (4, 0, b"\xc4" * 32, b"\0\4", [12 / 15, 1, 12 / 15, 1]),
        (8, 0, b"\x80\x10" * 32, b"\0\x10", [128 / 255, 1]),
        (16, 0, b"\x12\x34\x80\0" * 32, b"\x12\x34", [1, 0x8000 / 65535]),
        (8, 2, b"\1\2\3\4\4\4" * 32, b"\0\1\0\2\0\3", [1, 4 / 255]),
        (16, 2, b"\1\x10\2\x20\3\x30\4\4\4\4\4\4" * 32, b"\1\x10\2\x20\3\x30", [1, 4 / 255]),
    ],
)
def test_transparent_color_of_a_png(file, depth, color, row, key, expected):
    path = file(png(64, 64, depth, color, row, chunk(b"tRNS", key)))
    with pytest.warns(PictureWarning, match="over white"):
        image = read_image(path)
    expected = np.tile(np.asarray(expected), 64 // len(expected))
    np.testing.assert_allclose(image, np.broadcast_to(expected[:, None], image.shape), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options", "remark"),
    [
        ("GIF", {}, "animated"),
        ("PNG", {}, "animated"),
        ("WEBP", {"lossless": True}, "animated"),
        ("TIFF", {}, "several pages"),
    ],
)
def test_only_the_first_frame_is_used(file, kind, options, remark):
    first, second = (Image.fromarray(np.full((HEIGHT, WIDTH, 3), value, np.uint8)) for value in (51, 204))
    path = file(encoded(first, kind, save_all=True, append_images=[second], **options))
    with pytest.warns(PictureWarning, match=remark):
        image = read_image(path)
    np.testing.assert_allclose(image, 0.2, atol=1e-6)


# Where the stored picture's first row and first column are to be seen: the table of the EXIF standard.
ORIENTATIONS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_exif_orientation(file, kind, orientation):
    seen = smooth()
    rows, columns = ORIENTATIONS[orientation]
    swapped = rows in ("left", "right")
    stored = np.empty((WIDTH, HEIGHT, 3) if swapped else (HEIGHT, WIDTH, 3), np.uint8)
    for row in range(stored.shape[0]):
        for column in range(stored.shape[1]):
            place = {rows: row, columns: column}
            y = place["top"] if "top" in place else HEIGHT - 1 - place["bottom"]
            x = place["left"] if "left" in place else WIDTH - 1 - place["right"]
            stored[row, column] = seen[y, x]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}[kind]
    image = read_image(file(encoded(Image.fromarray(stored), kind, exif=exif, **options)))
    np.testing.assert_allclose(image, seen / 255, rtol=0, atol=(6 if kind == "JPEG" else 0.1) * STEP)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientation_changes_nothing(file, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_image(file(encoded(Image.fromarray(smooth()), "PNG", exif=exif)))
    np.testing.assert_allclose(image, smooth() / 255, atol=1e-6)


@pytest.mark.parametrize("exif", [b"Exif\0\0not at all", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\3" * 3])
def test_damaged_exif_is_ignored(file, exif):
    path = file(encoded(Image.fromarray(smooth()), "PNG", exif=exif))
    with pytest.warns(PictureWarning, match="damaged EXIF"):
        image = read_image(path)
    np.testing.assert_allclose(image, smooth() / 255, atol=1e-6)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("JPEG", {"quality": 100, "subsampling": 0})])
def test_icc_profile_of_color(file, kind, options):
    picture = Image.fromarray(smooth())
    image = read_image(file(encoded(picture, kind, icc_profile=RED_AND_BLUE_SWAPPED, **options)))
    np.testing.assert_allclose(image, smooth()[..., ::-1] / 255, rtol=0, atol=4 * STEP)
    if kind != "JPEG":
        source = ImageCms.ImageCmsProfile(io.BytesIO(RED_AND_BLUE_SWAPPED))
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"))
        np.testing.assert_allclose(image, np.asarray(converted) / 255, rtol=0, atol=1e-6)


def test_icc_profile_with_alpha(file):
    pixels = np.dstack([smooth(), np.full((HEIGHT, WIDTH), 51, np.uint8)])
    path = file(encoded(Image.fromarray(pixels), "PNG", icc_profile=RED_AND_BLUE_SWAPPED))
    with pytest.warns(PictureWarning, match="over white"):
        image = read_image(path)
    np.testing.assert_allclose(image, 0.8 + 0.2 * smooth()[..., ::-1] / 255, rtol=0, atol=STEP)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_icc_profile_of_grey(file, dtype):
    values = noise(HEIGHT, WIDTH, dtype=dtype)
    image = read_image(file(encoded(Image.fromarray(values), "PNG", icc_profile=LINEAR_GREY)))
    expected = srgb_encoding(values / np.iinfo(dtype).max)
    step = 0.51 * STEP if dtype == np.uint8 else 2 * STEP  # 16 bits: straight lines between 256 points
    np.testing.assert_allclose(image, np.repeat(expected[..., None], 3, -1), rtol=0, atol=step)


def test_grey_with_a_profile_of_color(file):
    picture = Image.fromarray(smooth()[..., 0])
    image = read_image(file(encoded(picture, "PNG", icc_profile=RED_AND_BLUE_SWAPPED)))
    np.testing.assert_allclose(image, np.repeat(smooth()[..., :1] / 255, 3, -1), rtol=0, atol=2 * STEP)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_without_profile(file, kind):
    ink = np.array([[[30, 60, 120, 90]]], np.uint8)
    picture = Image.fromarray(np.tile(ink, (HEIGHT, WIDTH, 1)), "CMYK")
    image = read_image(file(encoded(picture, kind)))
    expected = (1 - ink[..., :3] / 255) * (1 - ink[..., 3:] / 255)
    np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape), rtol=0, atol=3 * STEP)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_with_profile(file, kind):
    picture = Image.fromarray(np.tile(np.array([30, 60, 120, 128], np.uint8), (HEIGHT, WIDTH, 1)), "CMYK")
    image = read_image(file(encoded(picture, kind, icc_profile=BLACK_INK_ONLY)))
    luminance = ((100 * (1 - 128 / 255) + 16) / 116) ** 3  # CIE L* -> Y
    np.testing.assert_allclose(image, srgb_encoding(luminance), rtol=0, atol=3 * STEP)


def test_lab(file):
    pixels = np.tile(np.array([127, 0, 0], np.uint8), (HEIGHT, WIDTH, 1))  # L* 50, neutral
    image = read_image(file(encoded(Image.fromarray(pixels, "LAB"), "TIFF")))
    np.testing.assert_allclose(image, srgb_encoding(((100 * 127 / 255 + 16) / 116) ** 3), rtol=0, atol=3 * STEP)


@pytest.mark.parametrize("profile", [b"not a profile", RED_AND_BLUE_SWAPPED[:200], LINEAR_GREY, BLACK_INK_ONLY])
def test_a_profile_that_does_not_fit_is_ignored(file, profile):
    path = file(encoded(Image.fromarray(smooth()), "PNG", icc_profile=profile))
    with pytest.warns(PictureWarning, match="ICC profile is damaged or made for another kind"):
        image = read_image(path)
    np.testing.assert_allclose(image, smooth() / 255, atol=1e-6)


def test_a_profile_that_does_not_unpack_is_ignored(file):
    path = file(png(HEIGHT, WIDTH, 8, 0, bytes(WIDTH), chunk(b"iCCP", b"name\0\0not zlib")))
    with pytest.warns(PictureWarning, match="ICC profile is damaged"):
        np.testing.assert_array_equal(read_image(path), 0)


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.jpg")), ids=lambda path: path.stem)
def test_samples(sample):
    image = read_image(sample, size=128)
    assert max(image.shape) == 128
    assert 0.1 < image.mean() < 0.9


# --- sizes ---


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 90), st.floats(0, 1, width=32))
@settings(max_examples=60, deadline=None)
def test_fit_keeps_aspect_range_and_flat_color(height, width, size, level):
    image = np.full((height, width, 3), level, np.float32)
    fitted = fit(image, size)
    assert max(fitted.shape[:2]) == size
    scale = size / max(height, width)
    for got, side in zip(fitted.shape[:2], (height, width), strict=True):
        assert got == 1 or abs(got - side * scale) <= 0.5
    assert fitted.dtype == np.float32
    np.testing.assert_allclose(fitted, level, atol=1e-6)
    assert fit(fitted, size) is fitted


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_resize_stays_in_range(seed, height, width):
    image = np.random.default_rng(seed).integers(0, 2, (16, 16, 3)).astype(np.float32)  # extremes make the filter ring
    resized = resize(image, height, width)
    assert resized.shape == (height, width, 3)
    assert resized.min() >= 0
    assert resized.max() <= 1


def test_resize_does_not_alias():
    board = np.repeat((np.indices((128, 128)).sum(0) % 2)[..., None], 3, -1).astype(np.float32)
    np.testing.assert_allclose(resize(board, 48, 40)[4:-4, 4:-4], 0.5, atol=0.02)


def test_resize_keeps_channels_apart_and_a_gradient_straight():
    image = smooth(100, 100).astype(np.float32) / 255
    half = resize(image, 50, 50)
    np.testing.assert_allclose(half[5:-5, 5:-5], image.reshape(50, 2, 50, 2, 3).mean((1, 3))[5:-5, 5:-5], atol=0.005)


def test_size_of_reading(file):
    path = file(encoded(Image.fromarray(smooth(64, 128)), "PNG"))
    own = read_image(path)
    np.testing.assert_array_equal(read_image(path, size=128), own)
    np.testing.assert_array_equal(read_image(path, size=80), fit(own, 80))
    assert read_image(path, size=80).shape == (40, 80, 3)
    assert read_image(path, size=200).shape == (100, 200, 3)


# --- what is refused ---


def _file(data):
    return lambda path: path.write_bytes(data)


PLAIN = {
    kind: encoded(Image.fromarray(noise(HEIGHT, WIDTH, 3)), kind)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")
}
PROGRESSIVE = encoded(Image.fromarray(smooth()), "JPEG", progressive=True)
LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
BAD = {
    "missing": (lambda path: None, "no such file"),
    "directory": (lambda path: path.mkdir(), "directory"),
    "pipe": (os.mkfifo, "not a regular file"),
    "empty": (_file(b""), "empty"),
    "text": (_file(b"Dear Sir or Madam\n"), "not a picture"),
    "EPS": (_file(encoded(Image.fromarray(smooth()), "EPS")), "not a picture"),
    "PPM": (_file(encoded(Image.fromarray(smooth()), "PPM")), "not a picture"),
    **{f"half a {kind}": (_file(data[: len(data) // 2]), "cut short") for kind, data in PLAIN.items()},
    **{f"a start of {kind}": (_file(data[:20]), "cut short") for kind, data in PLAIN.items()},
    "damaged": (_file(PLAIN["PNG"].replace(b"IDAT", b"IDAT\x55", 1)), "damaged"),
    "bit flipped": (_file(PLAIN["PNG"][:500] + bytes([PLAIN["PNG"][500] ^ 1]) + PLAIN["PNG"][501:]), "damaged"),
    "narrow": (_file(encoded(Image.new("RGB", (31, 400)), "PNG")), "31x400 pixels; each side must have at least 32"),
    "bomb": (_file(png(1, 2**31 - 1, 1, 0, b"\0")), "too large; the limit is 100,000,000 pixels (raise it with --max-"),
    "large": (
        _file(png(1, 11_000, 1, 0, b"\0").replace(*(chunk(b"IHDR", struct.pack(">IIBBBBB", 11_000, h, 1, 0, 0, 0, 0))
                                                      for h in (1, 10_000)))),
        "11000x10000 is 110,000,000 pixels; the limit is 100,000,000 (raise it with --max-pixels)",
    ),
    "long": (_file(encoded(Image.new("1", (70_000, 32)), "PNG")), "a side may have at most 65,535"),
    "not a number": (_file(encoded(Image.fromarray(np.full((40, 40), np.nan, np.float32)), "TIFF")), "must be within"),
    "float over 1": (_file(encoded(Image.fromarray(np.full((40, 40), 9, np.float32)), "TIFF")), "must be within 0..1"),
    "below 0": (_file(encoded(Image.fromarray(np.full((40, 40), -5, np.int32)), "TIFF")), "must be within 0..65535"),
    "scans": (_file(PROGRESSIVE[:-2] + LAST_SCAN * 600 + b"\xff\xd9"), "scans; at most 500"),
    "tiles": (
        _file(
            encoded(Image.fromarray(smooth()), "TIFF", tiffinfo={65_000: 100_000, 65_001: 100_000})
            .replace(struct.pack("<HH", 65_000, 4), struct.pack("<HH", 322, 4))
            .replace(struct.pack("<HH", 65_001, 4), struct.pack("<HH", 323, 4))
        ),
        "tiles of 100000x100000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case):
    make, complaint = BAD[case]
    path = tmp_path / "bad.png"
    make(path)
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(InputError) as error:
        read_image(path)
    message = str(error.value)
    assert complaint in message
    assert str(path) in message
    assert "\n" not in message
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_damaged_tiff_says_nothing_by_itself(file, capfd):
    data = encoded(Image.fromarray(noise(HEIGHT, WIDTH, 3)), "TIFF", compression="tiff_deflate")
    middle = len(data) // 2
    with pytest.raises(InputError, match="cannot be read"):
        read_image(file(data[:middle] + bytes(50) + data[middle + 50 :]))
    assert capfd.readouterr() == ("", "")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


@pytest.mark.parametrize("name", ["a\nb.png", "x" * 300 + ".png", "nul\0.png", "\udcff.png"])
def test_bad_names(tmp_path, name):
    with pytest.raises(InputError) as error:
        read_image(tmp_path / name)
    assert str(error.value).isprintable()


def test_file_of_too_many_bytes(tmp_path):
    path = tmp_path / "sparse.webp"
    with path.open("wb") as file:
        file.write(PLAIN["WEBP"])
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(InputError, match="1,099,511,627,776 bytes; the limit is 867,108,864 "):
        read_image(path)


@pytest.mark.parametrize(
    ("size", "options", "complaint"),
    [
        (40, {}, "40x20 pixels after --size 40; each side must have at least 32"),
        (0, {}, "after --size 0; each side must have at least 32"),
        (-5, {}, "each side must have at least 32"),
        (
            20_000,
            {},
            "20000x10000 .--size 20000. is 200,000,000 pixels; the limit is 100,000,000 .raise it with --max-p",
        ),
        (None, {"max_pixels": 8191}, "128x64 is 8,192 pixels; the limit is 8,191 .raise it with --max-pixels"),
    ],
)
def test_bad_sizes(file, size, options, complaint):
    path = file(encoded(Image.fromarray(smooth(64, 128)), "PNG"))
    with pytest.raises(InputError, match=complaint):
        read_image(path, size=size, **options)
    assert read_image(path, max_pixels=8192).shape == (64, 128, 3)


@pytest.mark.parametrize("kind", PLAIN)
def test_a_file_cut_anywhere_is_refused_unless_its_pixels_are_whole(file, kind):
    data = PLAIN[kind]
    whole = read_image(file(data))
    for length in [*range(0, len(data) - 40, 97), *range(len(data) - 40, len(data))]:
        path = file(data[:length])
        try:
            image = read_image(path)
        except InputError:
            continue
        np.testing.assert_array_equal(image, whole)
        assert length > len(data) - 10


# --- what is written ---


@pytest.mark.parametrize(
    ("name", "kind", "tolerance"),
    [
        ("a.png", "PNG", 0.5),
        ("a.tif", "TIFF", 0.5),
        ("a.TIFF", "TIFF", 0.5),
        ("a.jpg", "JPEG", 6),
        ("a.jpeg", "JPEG", 6),
        ("a.webp", "WEBP", 8),
    ],
)
def test_write_and_read_again(tmp_path, name, kind, tolerance):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([y / HEIGHT * 1.1 - 0.05, x / WIDTH, (x + y) / (HEIGHT + WIDTH)], -1).astype(np.float32)
    paths = [tmp_path / name, tmp_path / f"again.{name}"]
    for path in paths:
        check_output(path)
        write_image(path, image, {"seed": "0"})
    np.testing.assert_allclose(read_image(paths[0]), np.clip(image, 0, 1), rtol=0, atol=(tolerance + 0.001) * STEP)
    with Image.open(paths[0]) as picture:
        assert picture.format == kind
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(list(tmp_path.iterdir())) == 2  # nothing temporary is left


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_8_bits_survive_exactly(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    image = noise(HEIGHT, WIDTH, 3).astype(np.float32) / 255
    write_image(path, image)
    np.testing.assert_array_equal(read_image(path), image)


def test_jpeg_keeps_full_color_resolution(tmp_path):
    write_image(tmp_path / "a.jpg", np.zeros((40, 40, 3), np.float32))
    with Image.open(tmp_path / "a.jpg") as picture:
        assert [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3


@given(st.dictionaries(st.sampled_from(["content", "style", "seed", "a key"]), st.text()))
@settings(max_examples=50, deadline=None)
def test_settings_in_a_png(tmp_path_factory, texts):
    path = tmp_path_factory.getbasetemp() / "settings.png"
    write_image(path, np.zeros((32, 32, 3), np.float32), texts)
    assert read_settings(path) == texts


def test_settings_that_are_no_unicode_and_settings_of_other_files(tmp_path):
    image = np.zeros((32, 32, 3), np.float32)
    write_image(tmp_path / "a.png", image, {"content": "caf\udce9.png"})
    assert read_settings(tmp_path / "a.png") == {"content": "caf\\udce9.png"}
    write_image(tmp_path / "a.jpg", image, {"content": "b"})
    assert read_settings(tmp_path / "a.jpg") == {}
    with pytest.raises(InputError, match="no such file"):
        read_settings(tmp_path / "none.png")


def test_settings_bomb(file):
    bomb = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(2**26)))
    with pytest.raises(InputError, match="picture"):
        read_settings(file(png(HEIGHT, WIDTH, 8, 0, bytes(WIDTH), bomb)))


def test_what_write_image_refuses(tmp_path):
    good = np.zeros((32, 32, 3), np.float32)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            write_image(tmp_path / "a.png", np.where(np.arange(32)[:, None, None] == 3, value, good))
    with pytest.raises(ValueError, match=r"must be \[height, width, 3\]"):
        write_image(tmp_path / "a.png", good[..., 0])
    with pytest.raises(InputError, match=r"unknown ending; known are \.png \.jpg \.jpeg \.webp \.tif \.tiff"):
        write_image(tmp_path / "a.gif", good)
    with pytest.raises(InputError, match="WEBP holds at most 16383 pixels a side, got 16384"):
        write_image(tmp_path / "a.webp", np.zeros((1, 16_384, 3), np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.gif", "a", ".png", "a.png.exe", "none/a.png", "folder.png"])
def test_check_output(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="--output") as error:
        check_output(tmp_path / name)
    assert "\n" not in str(error.value)


# --- mutated files ---

FUZZ_PIXELS = 4_000_000
FUZZ_MEMORY = 400 * 2**20  # bytes above the start: about 100 a pixel, for every copy on the way
FUZZ_SECONDS = 10  # for one file


def seeds():
    """Small pictures of each format, each kind with the parts that are easily got wrong."""
    color, grey = Image.fromarray(smooth(34, 36)), Image.fromarray(noise(34, 36))
    clear = Image.fromarray(noise(34, 36, 4))
    palette, cmyk = color.quantize(32), color.convert("CMYK")
    deep, light = Image.fromarray(noise(34, 36, dtype=np.uint16)), Image.fromarray(noise(34, 36) / np.float32(255))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    meta = {"exif": exif.tobytes(), "icc_profile": RED_AND_BLUE_SWAPPED}
    text = PngImagePlugin.PngInfo()
    text.add_itxt("key", "value", zip=True)
    frames = {"save_all": True, "append_images": [color.rotate(90), color.rotate(180)]}
    header = struct.pack("<IiiHHIIiiII", 40, 36, 34, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(noise(1024))
    rle = (b"\x0a\x07\0\2\3\1\0\4\1\2\3\4\x10\5\0\0" * 34) + b"\0\1"
    bmp = b"BM" + struct.pack("<IHHI", 54 + 1024 + len(rle), 0, 0, 54 + 1024) + header + rle
    return [
        encoded(color, "PNG", pnginfo=text, **meta), encoded(palette, "PNG", transparency=3), encoded(clear, "PNG"),
        encoded(deep, "PNG", icc_profile=LINEAR_GREY), encoded(color, "PNG", **frames), encoded(grey, "PNG", bits=4),
        encoded(color, "JPEG", **meta), encoded(color, "JPEG", progressive=True), encoded(grey, "JPEG"),
        encoded(cmyk, "JPEG", icc_profile=BLACK_INK_ONLY), encoded(color, "JPEG", optimize=True, subsampling=2),
        encoded(color, "WEBP", **meta), encoded(clear, "WEBP", lossless=True), encoded(color, "WEBP", **frames),
        encoded(color, "TIFF", **meta), encoded(color, "TIFF", compression="tiff_lzw"), encoded(deep, "TIFF"),
        encoded(clear, "TIFF", compression="tiff_deflate"), encoded(color, "TIFF", compression="jpeg"),
        encoded(light, "TIFF"), encoded(cmyk, "TIFF", compression="packbits"), encoded(palette, "TIFF", **frames),
        encoded(grey.convert("1"), "TIFF", compression="group4"), encoded(color, "TIFF", big_tiff=True),
        encoded(color, "GIF", **frames), encoded(palette, "GIF", transparency=1), encoded(grey, "GIF", interlace=0),
        encoded(color, "BMP"), encoded(palette, "BMP"), encoded(clear, "BMP"), bmp,
    ]  # fmt: skip


def sizes_at(data):
    """Where a file keeps its width and height, as (offset, struct format of one side)."""
    if data[:4] == b"\x89PNG":
        return [(16, ">I"), (20, ">I")]
    if data[:2] == b"BM":
        return [(18, "<i"), (22, "<i")]
    if data[:3] == b"GIF":
        image = data.find(b",", 13 + (3 << (data[10] & 7) + 1 if data[10] & 128 else 0))
        return [(6, "<H"), (8, "<H"), (image + 5, "<H"), (image + 7, "<H")]
    if data[:4] == b"RIFF":
        return [(24, "<H"), (27, "<H"), (26, "<H"), (28, "<H"), (21, "<H")]
    if data[:2] == b"\xff\xd8":
        frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        return [(frame + 5, ">H"), (frame + 7, ">H")]
    directory = struct.unpack_from("<I", data, 4)[0]
    return [(min(directory + 2 + 12 * entry + 8, len(data)), "<I") for entry in range(12)]


def checksummed(data):
    """A PNG with its chunks' checksums put right, so that what is inside them is looked at."""
    data, position = bytearray(data), 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[position + 4 : end]))
        position = end + 4
    return bytes(data)


def mutated(choice, data, other):
    data = bytearray(data)
    for _ in range(choice.choice((1, 1, 2, 4))):
        place, kind = choice.randrange(len(data) + 1), choice.randrange(8)
        head = choice.randrange(min(len(data), 200) + 1)
        if kind == 0:
            for _ in range(choice.choice((1, 3, 20))):
                data[choice.randrange(len(data))] = choice.randrange(256)
        elif kind == 1:
            data[head : head + 1] = bytes([choice.choice((0, 1, 2, 3, 4, 7, 8, 127, 128, 254, 255))])
        elif kind == 2:
            data = data[:place]
        elif kind == 3:
            start = choice.randrange(len(other))
            data[place:] = other[start:]
        elif kind == 4:
            data[place : place + choice.randrange(40)] = b""
        elif kind == 5:
            data[place:place] = data[head : head + choice.randrange(400)] * choice.choice((1, 2, 30))
        elif len(data) > 200:
            offset, coding = (
                choice.choice(sizes_at(data)) if kind == 6 else (place, choice.choice((">I", "<I", "<H", ">H")))
            )
            value = choice.choice((0, 1, 31, 33, 40, 100, 1000, 16383, 32767, 65535, 10**6, 2**31 - 1, 2**32 - 1))
            width = struct.calcsize(coding)
            if offset + width <= len(data):
                data[offset : offset + width] = struct.pack(coding.upper().replace("i", "I"), value % 256**width)
        data = data or bytearray(b"\0")
    if data[:4] == b"\x89PNG" and choice.random() < 0.7:
        return checksummed(data)
    return bytes(data)


def fuzz(count, seed):
    """Reads `count` mutated files; raises unless each gives a good array or an InputError of one line."""
    import resource  # noqa: PLC0415 (not on every system)

    originals, choice = seeds(), random.Random(seed)
    path = Path(f"/dev/shm/fuzz-{os.getpid()}" if os.access("/dev/shm", os.W_OK) else f"/tmp/fuzz-{os.getpid()}")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    descriptors = len(os.listdir("/proc/self/fd"))
    read, slowest = 0, 0.0
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", PictureWarning)
    for number in range(count):
        data = mutated(choice, originals[number % len(originals)], choice.choice(originals))
        path.write_bytes(data)
        began = time.monotonic()
        try:
            image = read_image(path, size=choice.choice((None, 64)), max_pixels=FUZZ_PIXELS)
        except InputError as error:
            message = str(error)
        else:
            message = str(path)
            assert image.dtype == np.float32, number
            assert image.ndim == 3, number
            assert image.shape[2] == 3, number
            assert min(image.shape[:2]) >= 32, number
            assert np.isfinite(image).all(), number
            assert image.min() >= 0, number
            assert image.max() <= 1, number
            read += 1
        assert message.isprintable(), message
        assert str(path) in message, message
        slowest = max(slowest, time.monotonic() - began)
        assert slowest < FUZZ_SECONDS, number
    path.unlink()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - start
    assert memory < FUZZ_MEMORY, f"{memory} bytes"
    assert len(os.listdir("/proc/self/fd")) == descriptors
    print(f"{count} files: {read} read, {count - read} refused, slowest {slowest:.2f} s, {memory / 2**20:.0f} MiB more")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and measured as Linux does it")
@pytest.mark.parametrize("count", [500, pytest.param(6000, marks=pytest.mark.slow)])
def test_mutated_files(count):
    program = subprocess.run(
        [sys.executable, __file__, str(count), str(count)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    assert program.stderr == ""
    assert f"{count} files" in program.stdout
    refused = int(program.stdout.split("read, ")[1].split()[0])
    assert 0.2 * count < refused < 0.95 * count  # both sides of the reader have been tried


if __name__ == "__main__":
    fuzz(int(sys.argv[1]), int(sys.argv[2]))
