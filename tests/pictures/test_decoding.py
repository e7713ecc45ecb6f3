"""From files to arrays: every kind of picture, and every kind of damage."""

import io
import os
import struct
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import (
    APART,
    BLACK_INK_ONLY,
    DEEP,
    DEFLATE,
    HEIGHT,
    LAST_SCAN,
    LINEAR_GREY,
    PLAIN,
    PROGRESSIVE,
    RED_AND_BLUE_SWAPPED,
    SAMPLES,
    STEP,
    WIDTH,
    animated,
    chunk,
    deep_png,
    deep_tiff,
    encoded,
    gif,
    noise,
    of_mode,
    pillow_heif,
    png,
    smooth,
    srgb_encoding,
)  # fmt: skip
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from nst_jax.errors import InputError
from nst_jax.pictures.images import PictureWarning, read_image, read_with_alpha

needs_heif = pytest.mark.skipif(pillow_heif is None, reason="needs the extra heif")
HEIF = pytest.param("HEIF", marks=needs_heif)
EXACT = {  # as far as the format can be
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 95, "subsampling": 0},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "HEIF": {"quality": 100, "chroma": 444},
}

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
        ("AVIF", EXACT["AVIF"], 3),
        pytest.param("HEIF", EXACT["HEIF"], 3, marks=needs_heif),
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


@given(st.integers(32, 70), st.integers(32, 70), st.integers(2, 4), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_color_of_16_bits_keeps_its_precision(tmp_path_factory, height, width, channels, interlaced, seed):
    values = np.random.default_rng(seed).integers(0, 2**16, (height, width, channels), np.uint16)
    path = tmp_path_factory.getbasetemp() / "deep.png"
    path.write_bytes(deep_png(values, interlaced=interlaced))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*transparent; laid over white")
        image = read_image(path)
    shares = values.astype(np.float64) / 65535
    alpha = 1.0 if channels == 3 else shares[..., -1:]
    np.testing.assert_allclose(image, np.broadcast_to(shares[..., :3 if channels > 2 else 1], image.shape) * alpha
                               + 1 - alpha, rtol=0, atol=1e-6)  # fmt: skip


def test_color_of_16_bits_that_is_of_8_is_the_same(file):
    values = noise(HEIGHT, WIDTH, 3)
    image = read_image(file(deep_png(values.astype(np.uint16) * 257)))
    np.testing.assert_array_equal(image, values.astype(np.float32) / 255)


def test_color_of_16_bits_with_a_profile_is_converted_in_8(file):
    values = noise(HEIGHT, WIDTH, 3, dtype=np.uint16)
    rounded = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    shallow = encoded(rounded, "PNG", icc_profile=RED_AND_BLUE_SWAPPED)
    profile = shallow[shallow.index(b"iCCP") - 4 : shallow.index(b"IDAT") - 4]
    np.testing.assert_array_equal(read_image(file(deep_png(values, profile))), read_image(file(shallow)))


@pytest.mark.parametrize("key", ["12 bits", "white_is_zero", "lower", "key", "transparency"])
def test_texts_of_a_png_are_no_facts(file, key):
    """Pillow keeps them where it keeps what it found out."""
    text = chunk(b"tEXt", key.encode() + b"\0yes")
    np.testing.assert_array_equal(read_image(file(png(64, 64, 16, 0, b"\xff\xff" * 64, text))), 1)
    white = np.full((HEIGHT, WIDTH, 3), 65535, np.uint16)
    np.testing.assert_array_equal(read_image(file(deep_png(white, text))), 1)


def test_color_of_16_bits_is_not_decoded_when_it_is_too_large(file, monkeypatch):
    decodings, load = [], PngImagePlugin.PngImageFile.load_prepare
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_prepare", lambda own: (decodings.append(own), load(own))[1])
    with pytest.raises(InputError, match="56x40 is 2,240 pixels; the limit is 2,239"):
        read_image(file(DEEP["PNG"]), max_pixels=2239)
    assert not decodings
    read_image(file(DEEP["PNG"]))
    assert decodings


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
    path = file(encoded(of_mode(mode, pixels), kind, **options))
    with pytest.warns(PictureWarning, match="picture: transparent; laid over white"):
        image = read_image(path)
    alpha = pixels[..., -1:] / 255
    expected = np.broadcast_to(alpha * (pixels[..., :-1] / 255) + 1 - alpha, image.shape)
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-6)


def transparent_files():
    """Files, each with the alpha that it has, [height, width], 0..1."""
    color, deep, numbers = noise(HEIGHT, WIDTH, 4), noise(HEIGHT, WIDTH, 4, dtype=np.uint16), noise(HEIGHT, WIDTH) % 4
    palette = Image.fromarray(numbers)
    palette.putpalette(bytes(noise(4, 3)))
    alpha, deep_alpha = color[..., 3] / 255, deep[..., 3] / 65535
    row, key = b"\x12\x34\x80\0" * (WIDTH // 2), chunk(b"tRNS", b"\x12\x34")
    striped = np.broadcast_to(np.arange(WIDTH) % 2, (HEIGHT, WIDTH))
    turned = Image.Exif()
    turned[0x0112] = 6
    rgba, grey = Image.fromarray(color), of_mode("LA", color[..., 2:])
    soft, hevc = np.dstack([smooth(), smooth()[..., 2]]), {"quality": 100, "chroma": 444}
    return {
        "PNG RGBA": (encoded(rgba, "PNG"), alpha),
        "PNG LA": (encoded(grey, "PNG"), alpha),
        "PNG RGBA of 16 bits": (deep_png(deep), deep_alpha),
        "PNG LA of 16 bits": (deep_png(deep[..., 2:]), deep_alpha),
        "PNG palette": (encoded(palette, "PNG", transparency=2), numbers != 2),
        "PNG palette of many alphas": (encoded(palette, "PNG", transparency=bytes([0, 9, 99, 255])),
                                       np.array([0, 9, 99, 255])[numbers] / 255),
        "PNG color key of 16 bits": (png(HEIGHT, WIDTH, 16, 0, row, key), striped),
        "PNG turned": (encoded(rgba, "PNG", exif=turned), np.rot90(alpha, -1)),
        "PNG animated": (animated(encoded(rgba, "PNG")), alpha),
        "WebP": (encoded(rgba, "WEBP", lossless=True, exact=True), alpha),
        "WebP animated": (encoded(rgba, "WEBP", lossless=True, save_all=True, append_images=[grey.convert("RGBA")]),
                          alpha),
        "TIFF RGBA": (encoded(rgba, "TIFF"), alpha),
        "TIFF LA": (encoded(grey, "TIFF"), alpha),
        "TIFF RGBA of 16 bits": (deep_tiff(deep, t338=[2]), deep_alpha),
        "TIFF RGBA of 16 bits, premultiplied": (deep_tiff(deep, t338=[1]), deep_alpha),
        "TIFF of two pages": (encoded(rgba, "TIFF", save_all=True, append_images=[grey]), alpha),
        "GIF": (gif([((0, 0), numbers, 2, 3, 4)] * 2, WIDTH, HEIGHT), numbers != 3),
        "AVIF": (encoded(Image.fromarray(soft), "AVIF", quality=100), soft[..., 3] / 255),
        **({"HEIF": (encoded(Image.fromarray(soft), "HEIF", **hevc), soft[..., 3] / 255)} if pillow_heif else {}),
    }  # fmt: skip


TRANSPARENT_FILES = transparent_files()


@pytest.mark.parametrize("name", TRANSPARENT_FILES)
def test_alpha_is_read_too(file, name):
    """Of the first frame or page, upright; and what lies over white is what `read_image` gives."""
    data, expected = TRANSPARENT_FILES[name]
    path = file(data)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        image, alpha = read_with_alpha(path)
    said = [str(note.message).partition(": ")[2] for note in notes]
    assert len(said) == ("animated" in name or "pages" in name or name == "GIF")  # none of transparency
    assert alpha is not None
    assert (alpha.dtype, alpha.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(alpha, expected, rtol=0, atol=6 * STEP if name in ("AVIF", "HEIF") else 1e-6)
    with pytest.warns(PictureWarning) as notes:
        np.testing.assert_array_equal(read_image(path), image)
    assert [str(note.message).partition(": ")[2] for note in notes] == [*said, "transparent; laid over white"]
    assert (image[alpha == 0] == 1).all()


@pytest.mark.parametrize("kind", [*PLAIN, "PNG with alpha"])
def test_an_opaque_picture_has_no_alpha(file, kind):
    pixels = noise(HEIGHT, WIDTH, 4)
    pixels[..., 3] = 255
    path = file(encoded(Image.fromarray(pixels), "PNG") if kind == "PNG with alpha" else PLAIN[kind])
    image, alpha = read_with_alpha(path)
    assert alpha is None
    np.testing.assert_array_equal(image, read_image(path))


def test_alpha_is_resized_as_pictures_are(file):
    """By the same filter, and clipped where it rings."""
    pixels = np.zeros((64, 96, 4), np.uint8)
    pixels[16:48, 24:72, 3] = 255
    path = file(encoded(Image.fromarray(pixels), "PNG"))
    image, alpha = read_with_alpha(path, size=48)
    assert alpha is not None
    assert (image.shape, alpha.shape) == ((32, 48, 3), (32, 48))
    np.testing.assert_allclose(image, np.repeat(1 - alpha[..., None], 3, 2), rtol=0, atol=1e-6)  # black over white
    assert (alpha.min(), alpha.max()) == (0, 1)


LAYOUT = (b"II", 1, (1,), 1, (8, 8), (1,))  # of premultiplied grey


@pytest.mark.skipif(LAYOUT not in TiffImagePlugin.OPEN_INFO, reason="this Pillow refuses it")
def test_premultiplied_grey(file):
    check_premultiplied(file, "LA")


def test_premultiplied_color(file):
    check_premultiplied(file, "RGBA")


def check_premultiplied(file, mode):
    alpha, value = 128, 60  # as stored: already multiplied
    pixels = np.full((HEIGHT, WIDTH, len(mode)), value, np.uint8)
    pixels[..., -1] = alpha
    data = encoded(of_mode(mode, pixels), "TIFF")
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
        (16, 2, b"\4\5\4\5\4\5\4\4\4\4\4\4" * 32, b"\4\5\4\5\4\5", [1, 4 / 255]),  # other by the lower bytes
    ],
)
@pytest.mark.parametrize("kind", ["still", "animated"])
def test_transparent_color_of_a_png(file, depth, color, row, key, expected, kind):
    data = png(64, 64, depth, color, row, chunk(b"tRNS", key))
    path = file(animated(data) if kind == "animated" else data)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        image = read_image(path)
    said = [str(note.message).partition(": ")[2] for note in notes]
    assert said == (["animated; only its first frame is used"] if kind == "animated" else []) + [
        "transparent; laid over white"
    ]
    expected = np.tile(np.asarray(expected), 64 // len(expected))
    np.testing.assert_allclose(image, np.broadcast_to(expected[:, None], image.shape), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options", "remark"),
    [
        ("GIF", {}, "animated"),
        ("PNG", {}, "animated"),
        ("WEBP", {"lossless": True}, "animated"),
        ("TIFF", {}, "several pages"),
        ("AVIF", {"quality": 100}, "animated"),
    ],
)
def test_only_the_first_frame_is_used(file, kind, options, remark):
    first, second = (Image.fromarray(np.full((HEIGHT, WIDTH, 3), value, np.uint8)) for value in (51, 204))
    path = file(encoded(first, kind, save_all=True, append_images=[second], **options))
    with pytest.warns(PictureWarning, match=remark):
        image = read_image(path)
    np.testing.assert_allclose(image, 0.2, atol=STEP if kind == "AVIF" else 1e-6)


@needs_heif
def test_the_main_one_of_several_heic_pictures_is_used(file):
    pictures = [Image.fromarray(np.full((HEIGHT, WIDTH, 3), value, np.uint8)) for value in (51, 204)]
    container = pillow_heif.from_pillow(pictures[0])
    container.add_from_pillow(pictures[1])
    data = io.BytesIO()
    container.save(data, quality=100, primary_index=1)
    path = file(data.getvalue())
    with pytest.warns(PictureWarning, match="several pictures; only the main one is used"):
        image = read_image(path)
    np.testing.assert_allclose(image, 0.8, atol=STEP)


@pytest.mark.parametrize("kind", ["AVIF", HEIF])
def test_grey_and_alpha_of_avif_and_heic(file, kind):
    grey = Image.fromarray(smooth()[..., 0])
    options = {} if kind == "HEIF" else {"quality": 100}
    image = read_image(file(encoded(grey, kind, **options)))
    np.testing.assert_allclose(image, np.repeat(smooth()[..., :1] / 255, 3, -1), rtol=0, atol=6 * STEP)
    pixels = np.full((HEIGHT, WIDTH, 4), [200, 100, 50, 128], np.uint8)
    path = file(encoded(Image.fromarray(pixels), kind, **options))
    with pytest.warns(PictureWarning, match="over white"):
        image = read_image(path)
    right = np.broadcast_to((pixels[..., :3] / 255 - 1) * 128 / 255 + 1, image.shape)
    np.testing.assert_allclose(image, right, rtol=0, atol=4 * STEP)


@pytest.mark.parametrize("kind", ["AVIF", HEIF])
def test_avif_and_heic_say_their_size_before_they_are_decoded(file, kind):
    data = encoded(Image.fromarray(smooth(64, 128)), kind)
    size = struct.pack(">II", 128, 64)
    assert data.count(size) == 1
    with pytest.raises(InputError, match="128x64 is 8,192 pixels; the limit is 8,191"):
        read_image(file(data), max_pixels=8191)
    with pytest.raises(InputError, match="12800x6400 is 81,920,000 pixels; the limit is 80,000,000"):
        read_image(file(data.replace(size, struct.pack(">II", 12800, 6400))), max_pixels=80_000_000)
    with pytest.raises(InputError, match="cannot be read"):
        read_image(file(data.replace(size, struct.pack(">II", 2**31, 2**31))))


BEHIND = {
    "zeros": bytes(5000),
    "noise": bytes(noise(5000)),
    "a JPEG": PLAIN["JPEG"],
    "a PNG": PLAIN["PNG"],
    "a TIFF": PLAIN["TIFF"],
    "a GIF": PLAIN["GIF"],
    "a film": struct.pack(">I", 20) + b"ftypmp42" + bytes(8) + struct.pack(">I", 5008) + b"mdat" + bytes(noise(5000)),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_what_is_behind_the_end_changes_nothing(file, kind):
    """Nor is there a note."""
    whole = read_image(file(PLAIN[kind]))
    for what, data in BEHIND.items():
        np.testing.assert_array_equal(read_image(file(PLAIN[kind] + data)), whole, err_msg=what)


def test_a_progressive_jpeg_with_much_behind_its_end(file):
    """What looks like scans there was counted."""
    image = read_image(file(PROGRESSIVE + b"\xff\xda" * 20_000_000))
    np.testing.assert_array_equal(image, read_image(file(PROGRESSIVE)))


def test_the_first_picture_of_an_mpo_is_read(file):
    pictures = [Image.fromarray(smooth()), Image.fromarray(noise(HEIGHT, WIDTH, 3))]
    data = encoded(pictures[0], "MPO", save_all=True, append_images=pictures[1:], quality=95, subsampling=0)
    image = read_image(file(data))
    np.testing.assert_allclose(image, smooth() / 255, rtol=0, atol=6 * STEP)


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
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF", HEIF])
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
    data = encoded(Image.fromarray(stored), kind, exif=exif.tobytes(), **EXACT.get(kind, {}))
    image = read_image(file(data))
    np.testing.assert_allclose(image, seen / 255, rtol=0, atol={"JPEG": 6, "AVIF": 3, "HEIF": 3}.get(kind, 0.1) * STEP)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG", "AVIF", HEIF])
def test_orientation_in_xmp(file, kind):
    """It counts, but for AVIF, where properties alone do; HEIC's writer here turns it into such a property."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    options = dict(EXACT.get(kind, {}), xmp=xmp)
    if kind == "PNG":
        options = {"pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    image = read_image(file(encoded(Image.fromarray(smooth()), kind, **options)))
    right = smooth() if kind == "AVIF" else smooth()[::-1, ::-1]
    np.testing.assert_allclose(image, right / 255, rtol=0, atol=6 * STEP)


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
    picture = of_mode("CMYK", np.tile(ink, (HEIGHT, WIDTH, 1)))
    image = read_image(file(encoded(picture, kind)))
    expected = (1 - ink[..., :3] / 255) * (1 - ink[..., 3:] / 255)
    np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape), rtol=0, atol=3 * STEP)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_with_profile(file, kind):
    picture = of_mode("CMYK", np.tile(np.array([30, 60, 120, 128], np.uint8), (HEIGHT, WIDTH, 1)))
    image = read_image(file(encoded(picture, kind, icc_profile=BLACK_INK_ONLY)))
    luminance = ((100 * (1 - 128 / 255) + 16) / 116) ** 3  # CIE L* -> Y
    np.testing.assert_allclose(image, srgb_encoding(luminance), rtol=0, atol=3 * STEP)


def test_lab(file):
    pixels = np.tile(np.array([127, 0, 0], np.uint8), (HEIGHT, WIDTH, 1))  # L* 50, neutral
    image = read_image(file(encoded(of_mode("LAB", pixels), "TIFF")))
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


# --- what is refused ---


def _file(data):
    return lambda path: path.write_bytes(data)


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
    "bomb": (_file(png(1, 2**31 - 1, 1, 0, b"\0")), "pixels; the limit is 100,000,000 (raise it with max_pixels)"),
    "large": (
        _file(png(1, 11_000, 1, 0, b"\0").replace(*(chunk(b"IHDR", struct.pack(">IIBBBBB", 11_000, h, 1, 0, 0, 0, 0))
                                                      for h in (1, 10_000)))),
        "11000x10000 is 110,000,000 pixels; the limit is 100,000,000 (raise it with max_pixels)",
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


@pytest.mark.parametrize(("kind", "data"), [*PLAIN.items(), *DEEP.items()])
def test_a_file_cut_anywhere_is_refused_unless_its_pixels_are_whole(file, kind, data):
    whole = read_image(file(data))
    step, last = (487, 8) if kind in APART else (97, 40)
    for length in [*range(0, len(data) - 40, step), *range(len(data) - last, len(data))]:
        path = file(data[:length])
        try:
            image = read_image(path)
        except InputError:
            continue
        np.testing.assert_array_equal(image, whole)
        assert length > len(data) - 10


def turned(data):
    """A JPEG with EXIF data as cameras write them, but a resolution that points nowhere."""
    directory = (
        b"MM\0*\0\0\0\x08\0\2" + struct.pack(">HHII", 0x0112, 3, 1, 6 << 16) + struct.pack(">HHII", 0x011A, 5, 1, 9999)
    )
    exif = b"Exif\0\0" + directory + bytes(4)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def test_reading_says_nothing_that_is_not_ours(file):
    """Where Pillow warns by itself: each of these did before its warnings were avoided."""
    animation = encoded(
        Image.fromarray(smooth()), "PNG", save_all=True, append_images=[Image.fromarray(noise(HEIGHT, WIDTH, 3))]
    )
    several = animation.replace(*(chunk(b"acTL", struct.pack(">II", frames, 0)) for frames in (2, 0)))
    assert several != animation
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        read_image(file(several))
        image = read_image(file(turned(PLAIN["JPEG"])))
        photos = encoded(Image.fromarray(smooth()), "MPO", save_all=True, append_images=[Image.fromarray(smooth())])
        read_image(file(photos))
        read_image(file(photos.replace(b"MPF\0", b"MPF\0\xff")))
        tiff = encoded(Image.fromarray(smooth()), "TIFF", tiffinfo={65_000: 5}).replace(
            struct.pack("<HHI", 65_000, 3, 1), struct.pack("<HHI", 65_000, 3, 10**6)
        )
        read_image(file(tiff))
    assert image.shape == (WIDTH, HEIGHT, 3)
    assert remarks == []


@pytest.mark.parametrize("side", [(300, 40), (40, 300)])
def test_a_gif_whose_frame_is_larger_than_its_screen(file, side):
    """The screen grows, and the disposal of the frame (which would take memory for it) is nobody's business."""
    picture = Image.fromarray(noise(side[1], side[0]))
    data = bytearray(encoded(picture, "GIF", disposal=2, transparency=300 % 256))
    data[6:10] = struct.pack("<2H", 40, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PictureWarning)
        image = read_image(file(bytes(data)))
        with pytest.raises(InputError, match="is 12,000 pixels; the limit is 11,999"):
            read_image(file(bytes(data)), max_pixels=11_999)
    assert image.shape == (side[1], side[0], 3)
    opaque = np.asarray(picture) != 44
    np.testing.assert_allclose(image[opaque][:, 0], np.asarray(picture)[opaque] / 255, atol=1e-6)


def test_a_webp_says_its_size_before_it_is_decoded(file):
    for options, place in (
        ({"lossless": True}, 21),
        ({"quality": 90}, 26),
        ({"quality": 90, "exif": b"MM\0*\0\0\0\x08\0\0"}, 24),
    ):
        data = bytearray(encoded(Image.fromarray(smooth()), "WEBP", **options))
        with pytest.raises(InputError, match="56x40 is 2,240 pixels; the limit is 2,239"):
            read_image(file(data), max_pixels=2239)
        data[place : place + 2] = b"\xff\xff"
        with pytest.raises(InputError, match="pixels; the limit is 100,000"):
            read_image(file(data), max_pixels=100_000)


def test_above_the_limit_that_pillow_has(file, monkeypatch):
    """What the user allows is read, whatever Pillow allows all programs; a WebP, too, which Pillow checks by itself."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind, data in PLAIN.items():
        assert read_image(file(data)).shape == (HEIGHT, WIDTH, 3), kind


def test_reading_changes_nothing_of_the_process(tmp_path):
    """Eight threads read good and damaged files of each format; a ninth looks at what belongs to all of them."""

    def state():
        error = os.fstat(2)
        return (
            Image.MAX_IMAGE_PIXELS,
            warnings.filters,
            [*warnings.filters],
            warnings.showwarning,
            error.st_dev,
            error.st_ino,
        )

    good, damaged, right = {}, {}, {}
    for kind, data in {**PLAIN, "deflate": DEFLATE, "deep": DEEP["PNG"]}.items():
        good[kind], damaged[kind] = tmp_path / f"{kind}.good", tmp_path / f"{kind}.damaged"
        good[kind].write_bytes(data)
        middle = len(data) // 2
        damaged[kind].write_bytes(data[:middle] + (bytes(50) + data[middle + 50 :] if kind == "deflate" else b""))
        right[kind] = read_image(good[kind])
    before, seen, wrong, done = state(), [], [], threading.Event()

    def read(first):
        for turn in range(len(good)):
            kind = [*good][(first + turn) % len(good)]
            if not np.array_equal(read_image(good[kind]), right[kind]):
                wrong.append(kind)
            try:
                read_image(damaged[kind])
                wrong.append(f"damaged {kind}")
            except InputError:
                pass

    def watch():
        while not done.wait(0.0005):
            if state() != before:
                seen.append(state())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as threads:
        outcomes = [threads.submit(read, first) for first in range(8)]
    done.set()
    watcher.join()
    for outcome in outcomes:
        outcome.result()
    assert wrong == []
    assert len(seen) == 0
    assert state() == before


# --- mutated files ---


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and measured as Linux does it")
@pytest.mark.parametrize("count", [500, pytest.param(6000, marks=pytest.mark.slow)])
def test_mutated_files(count):
    program = subprocess.run(
        [sys.executable, Path(__file__).with_name("fuzz_pictures.py"), str(count), str(count)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    assert program.stderr == ""
    assert f"{count} files" in program.stdout
    refused = int(program.stdout.split("read, ")[1].split()[0])
    assert 0.2 * count < refused < 0.95 * count  # both sides of the reader have been tried
