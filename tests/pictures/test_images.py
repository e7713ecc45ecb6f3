"""Pictures in and out: sizes, what is written, settings in a PNG."""

import errno
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import HEIGHT, PLAIN, STEP, WIDTH, chunk, encoded, noise, png, smooth
from PIL import Image

from nst_jax.errors import InputError
from nst_jax.pictures.images import (
    check_output,
    fit,
    read_image,
    read_settings,
    read_size,
    read_with_alpha,
    resize,
    write_image,
)

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


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("orientation", [None, 3, 6, 8])
def test_the_size_that_reading_would_give(file, kind, orientation):
    data = PLAIN[kind]
    if orientation and kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(Image.fromarray(smooth()), kind, exif=exif)
    path = file(data)
    for size in (None, 50):
        assert read_size(path, size=size) == read_image(path, size=size).shape[:2]


def test_a_size_that_is_refused(file):
    path = file(encoded(Image.fromarray(smooth(40, 200)), "PNG"))
    with pytest.raises(InputError, match="100x20 pixels after size 100; each side must have at least 32"):
        read_size(path, size=100)
    with pytest.raises(InputError, match="the limit is 7,999"):
        read_size(path, max_pixels=7999)
    with pytest.raises(InputError, match="not a picture"):
        read_size(file(b"nothing"))


def test_the_size_that_reading_would_have(file):
    """Of a picture on its side, too."""
    turned = Image.Exif()
    turned[0x0112] = 6
    for kind, options in (("PNG", {}), ("PNG", {"exif": turned}), ("TIFF", {}), ("JPEG", {"exif": turned})):
        path = file(encoded(Image.fromarray(smooth(64, 128)), kind, **options))
        assert read_size(path) == read_image(path).shape[:2]
        assert max(read_size(path)) == 128
    with pytest.raises(InputError, match="the limit is 8,191"):
        read_size(path, max_pixels=8191)


@pytest.mark.parametrize(
    ("size", "options", "complaint"),
    [
        (40, {}, "40x20 pixels after size 40; each side must have at least 32"),
        (0, {}, "after size 0; each side must have at least 32"),
        (-5, {}, "each side must have at least 32"),
        (
            20_000,
            {},
            "20000x10000 .size 20000. is 200,000,000 pixels; the limit is 100,000,000 .raise it with max_p",
        ),
        (None, {"max_pixels": 8191}, "128x64 is 8,192 pixels; the limit is 8,191 .raise it with max_pixels"),
    ],
)
def test_bad_sizes(file, size, options, complaint):
    path = file(encoded(Image.fromarray(smooth(64, 128)), "PNG"))
    with pytest.raises(InputError, match=complaint):
        read_image(path, size=size, **options)
    assert read_image(path, max_pixels=8192).shape == (64, 128, 3)


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


@given(st.integers(32, 80), st.integers(32, 80), st.integers(0, 2**32 - 1), st.floats(-0.25, 1.25, width=32))
@settings(max_examples=40, deadline=None)
def test_16_bits_and_back(tmp_path_factory, height, width, seed, level):
    """Within half a step, and the rounding of float32."""
    image = np.random.default_rng(seed).random((height, width, 3), np.float32) * np.float32(1.2) - np.float32(0.1)
    image[:3] = level
    path = tmp_path_factory.getbasetemp() / "deep.png"
    write_image(path, image, bits=16)
    np.testing.assert_allclose(read_image(path), np.clip(image, 0, 1), rtol=0, atol=0.505 / 65535)


@pytest.mark.parametrize("ending", ["png", "PNG", "tif", "tiff"])
def test_16_bits(tmp_path, ending):
    image = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), np.float32)
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for path in paths:
        check_output(path, bits=16)
        write_image(path, image, {"seed": "0"}, bits=16)
    np.testing.assert_allclose(read_image(paths[0]), image, rtol=0, atol=0.505 / 65535)
    assert read_settings(paths[0]) == ({"seed": "0"} if ending.lower() == "png" else {})
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(list(tmp_path.iterdir())) == 2  # nothing temporary is left
    again = tmp_path / f"again.{ending}"
    write_image(again, read_image(paths[0]), {"seed": "0"}, bits=16)
    assert again.read_bytes() == paths[0].read_bytes()  # 16 bits survive exactly


@pytest.mark.parametrize(
    ("ending", "bits", "tolerance"),
    [("png", 8, 0.5 / 255), ("png", 16, 0.5 / 65535), ("tif", 8, 0.5 / 255), ("tif", 16, 0.5 / 65535),
     ("webp", 8, 0.5 / 255)],
)  # fmt: skip
def test_alpha_there_and_back(tmp_path, ending, bits, tolerance):
    """Exact to what the bits hold, in WebP too; colors stay where nothing shows."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / max(HEIGHT, WIDTH)
    image = np.stack([y, x, (x + y) / 2], -1).astype(np.float32)
    alpha = np.clip(1.4 * x + 0.3 * y - 0.2, 0, 1).astype(np.float32)
    assert (alpha == 0).any()
    assert (alpha == 1).any()
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for path in paths:
        check_output(path, bits=bits, transparent=True)
        write_image(path, image, {"seed": "0"}, bits=bits, alpha=alpha)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    found, own = read_with_alpha(paths[0])
    assert own is not None
    np.testing.assert_allclose(own, alpha, rtol=0, atol=1.01 * tolerance)
    lossy = 8 / 255 if ending == "webp" else 1.01 * tolerance
    np.testing.assert_allclose(found, image * own[..., None] + 1 - own[..., None], rtol=0, atol=lossy)
    with Image.open(paths[0]) as picture:
        assert picture.mode == "RGBA"
        hidden = np.asarray(picture)[..., :3][alpha == 0] / 255
    np.testing.assert_allclose(hidden, image[alpha == 0], rtol=0, atol=max(lossy, 1 / 255))
    assert read_settings(paths[0]) == ({"seed": "0"} if ending == "png" else {})
    again = tmp_path / f"again.{ending}"
    write_image(again, image, {"seed": "0"}, bits=bits, alpha=own)
    np.testing.assert_array_equal(read_with_alpha(again)[1], own)


@pytest.mark.parametrize(("ending", "kind"), [("jpg", "JPEG"), ("JPEG", "JPEG")])
def test_formats_that_hold_no_alpha(tmp_path, ending, kind):
    path = tmp_path / f"a.{ending}"
    told = f"{path}: {kind} holds no transparency; what does is .png .webp .tif .tiff"
    with pytest.raises(InputError) as error:
        check_output(path, transparent=True)
    assert str(error.value) == f"output {told}"
    with pytest.raises(InputError) as error:
        write_image(path, np.zeros((32, 32, 3), np.float32), alpha=np.ones((32, 32), np.float32))
    assert str(error.value) == told
    assert list(tmp_path.iterdir()) == []


def test_alpha_that_is_none(tmp_path):
    image = np.zeros((32, 40, 3), np.float32)
    with pytest.raises(ValueError, match=r"alpha: got shape \(40, 32\); must be the image's \(32, 40\)"):
        write_image(tmp_path / "a.png", image, alpha=np.zeros((40, 32), np.float32))
    with pytest.raises(ValueError, match="alpha: holds values that are not finite"):
        write_image(tmp_path / "a.png", image, alpha=np.full((32, 40), np.nan, np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_says_which_colors_it_has(tmp_path, bits):
    """By the chunk that the PNG specification has for sRGB (11.3.2.5), before the pixels and once."""
    write_image(tmp_path / "a.png", np.zeros((32, 32, 3), np.float32), {"seed": "0"}, bits=bits)
    data = (tmp_path / "a.png").read_bytes()
    assert data.count(b"\0\0\0\1sRGB\0") == data.count(b"sRGB") == 1
    assert data.index(b"sRGB") < data.index(b"IDAT")


@pytest.mark.parametrize("bits", [0, 1, 10, 32, -8, "8", None])
def test_other_bits_are_refused(tmp_path, bits):
    for refused in (
        lambda: check_output(tmp_path / "a.png", bits=bits),
        lambda: write_image(tmp_path / "a.png", np.zeros((32, 32, 3), np.float32), bits=bits),
    ):
        with pytest.raises(InputError) as error:
            refused()
        assert str(error.value) == f"bits: {bits!r} is unknown; known are 8, 16"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("ending", "kind"), [("jpg", "JPEG"), ("jpeg", "JPEG"), ("WEBP", "WEBP")])
def test_formats_that_hold_no_16_bits(tmp_path, ending, kind):
    path = tmp_path / f"a.{ending}"
    told = f"{path}: {kind} holds 8 bits a channel; bits 16 takes .png .tif .tiff"
    with pytest.raises(InputError) as error:
        check_output(path, bits=16)
    assert str(error.value) == f"output {told}"
    with pytest.raises(InputError) as error:
        write_image(path, np.zeros((32, 32, 3), np.float32), bits=16)
    assert str(error.value) == told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch, ending, bits):
    path, image = tmp_path / f"a.{ending}", np.zeros((HEIGHT, WIDTH, 3), np.float32)
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_image(path, image, bits=bits)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


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
    with pytest.raises(InputError, match=r"^output ") as error:
        check_output(tmp_path / name)
    assert "\n" not in str(error.value)
