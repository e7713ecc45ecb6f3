"""The child process that reads some kinds of pictures: what it hands over, keeps to itself, refuses; how it may end."""

import io
import itertools
import logging
import os
import signal
import subprocess
import sys
import warnings
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from picture_files import (
    DEEP,
    DEFLATE,
    HEIGHT,
    LINEAR_GREY,
    PLAIN,
    WIDTH,
    animated,
    chunk,
    deep_png,
    deep_tiff,
    encoded,
    noise,
    pillow_heif,
    tiff,
)
from PIL import Image, TiffImagePlugin

from nst_jax.errors import InputError
from nst_jax.pictures import apart
from nst_jax.pictures.images import PictureWarning, read_image


def read(path, kind="TIFF", max_pixels=10_000, check=lambda size: None):
    with path.open("rb") as file:
        return apart.read(file, kind, max_pixels, check)


@pytest.mark.parametrize("kind", [kind for kind in PLAIN if kind != "HEIF"])
def test_the_same_as_without_a_child(file, kind):
    path = file(PLAIN[kind])
    with Image.open(path) as picture:
        expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(read(path, kind)[0].picture.convert("RGB")), expected)


def test_what_comes_with_the_pixels(file):
    deep = Image.fromarray(noise(HEIGHT, WIDTH, dtype=np.uint16))
    data = encoded(deep, "TIFF", icc_profile=LINEAR_GREY, save_all=True, append_images=[deep])
    (picture, lower, key, of_tiff), several = read(file(data))
    assert several
    assert picture.mode == "I;16"
    assert picture.info == {"icc_profile": LINEAR_GREY}
    assert (lower, key, any(of_tiff.values())) == (None, None, False)
    webp = encoded(Image.fromarray(noise(HEIGHT, WIDTH, 3)), "WEBP", exif=b"abc", xmp=b"def")
    (picture, *others), several = read(file(webp), "WEBP")
    assert not several
    assert picture.info == {"icc_profile": b"", "exif": b"abc", "xmp": b"def"}
    assert others == [None, None, {}]


@pytest.mark.parametrize("kind", DEEP)
def test_color_of_16_bits_comes_in_two_halves(file, kind):
    values = noise(HEIGHT, WIDTH, 3, dtype=np.uint16)
    picture, lower, *_ = read(file(DEEP[kind]), kind)[0]
    np.testing.assert_array_equal(np.asarray(picture), values >> 8)
    np.testing.assert_array_equal(np.asarray(lower), values & 255)


def test_color_of_16_bits_by_the_child(file):
    """To the last bit: in both byte orders, turned by a tag, and with the transparent color of an animation."""
    values = noise(HEIGHT, WIDTH, 3, dtype=np.uint16)
    right = values.astype(np.float32) / 65535
    for order in "<>":
        np.testing.assert_array_equal(read_image(file(deep_tiff(values, order=order))), right)
        np.testing.assert_array_equal(read_image(file(deep_tiff(values, order=order, t274=[3]))), right[::-1, ::-1])
    path = file(animated(deep_png(values, chunk(b"tRNS", values[1, 2].astype(">u2").tobytes()))))
    right[1, 2] = 1
    with pytest.warns(PictureWarning) as notes:
        np.testing.assert_array_equal(read_image(path), right)
    assert len(notes) == 2


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


def test_heic_pictures_without_their_reader(file, monkeypatch, tmp_path):
    (tmp_path / "pillow_heif.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path)
    path = file(b"\0\0\0\x1cftypheic" + bytes(99), "a.heic")
    with pytest.raises(InputError) as error:
        read_image(path)
    assert str(error.value) == f'{path}: HEIC pictures need the extra heif: pip install "nst_jax[heif]"'


def test_a_pillow_without_avif(file, in_this_process, monkeypatch):
    monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
    with pytest.raises(InputError, match=r"a\.avif: this build of Pillow has no AVIF$"):
        read_image(file(PLAIN["AVIF"], "a.avif"))


@pytest.mark.skipif(pillow_heif is None, reason="needs the extra heif")
def test_reading_a_heic_picture_registers_nothing(file):
    read_image(file(PLAIN["HEIF"]))
    assert "HEIF" not in Image.OPEN
    assert ".heic" not in Image.registered_extensions()


# --- the layouts of TIFF, with tifffile as the reference: each is read right, or refused in one line ---

NUMBERS = {  # how to store a sample, and what is 1
    "1": ("u1", 1), "8": ("u1", 255), "16": ("u2", 65535), "u32": ("u4", 2**32 - 1),
    "i8": ("i1", 127), "i16": ("i2", 32767), "i32": ("i4", 2**31 - 1),
    "f16": ("f2", 1), "f32": ("f4", 1), "f64": ("f8", 1),
}  # fmt: skip
COLORS = {"grey": "minisblack", "white is 0": "miniswhite", "RGB": "rgb", "CMYK": "separated", "palette": "palette"}
SAMPLES = {"RGB": 3, "CMYK": 4}
ALPHAS = {"opaque": [], "premultiplied": [1], "alpha": [2], "something": [0]}
CODINGS = [(None, False), ("deflate", False), *itertools.product(["lzw", "packbits"], [False, True]), ("deflate", True)]
TIFF_HEIGHT, TIFF_WIDTH = 40, 36
READ = {  # layouts that must be read, in one plane
    *itertools.product(["1", "8", "16", "f32"], ["grey", "white is 0"], ["opaque"]),
    *itertools.product(["8", "16"], ["RGB"], ALPHAS),
    *itertools.product(["8", "16"], ["CMYK"], ["opaque"]),
    ("8", "grey", "alpha"), ("8", "palette", "opaque"),
}  # fmt: skip
READ_IN_PLANES = {*itertools.product(["8", "16"], ["RGB"], ALPHAS), ("8", "CMYK", "opaque"), ("16", "CMYK", "opaque")}


@pytest.fixture
def in_this_process(monkeypatch):
    """Has a child's work done here, which takes 60 ms less, with what `apart.main` sets."""

    def run(command, *, stdin, **options):
        kind, max_pixels = command[-2:]
        stdin.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SimpleNamespace(returncode=0, stdout=b"".join(apart.reply(stdin, kind, int(max_pixels))))

    monkeypatch.setattr(TiffImagePlugin, "READ_LIBTIFF", True)
    monkeypatch.setattr(subprocess, "run", run)
    logging.disable(logging.CRITICAL)  # Pillow tells of samples by the error log
    yield
    logging.disable(logging.NOTSET)


def opened(path):
    """The picture, without the note of transparency."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*transparent; laid over white")
        return read_image(path)


def as_tiff(samples, **options):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that few readers will know such a thing
        tifffile.imwrite(buffer, samples, metadata=None, **options)
    return buffer.getvalue()


def expected(samples, top, color, alpha, table):
    """What a picture shows, over white, of `[height, width, samples]`."""
    values, opaque = samples / top, 1.0
    if alpha != "opaque":
        values, opaque = values[..., :-1], values[..., -1:]
    if color == "CMYK":
        values = (1 - values[..., :3]) * (1 - values[..., 3:])
    elif color == "palette":
        values = table.T[samples[..., 0]] / 65535
    elif color == "white is 0":
        values = 1 - values
    values = np.broadcast_to(values, (*values.shape[:2], 3))
    if alpha in ("opaque", "something"):
        return values
    return values + 1 - opaque if alpha == "premultiplied" else values * opaque + 1 - opaque


@pytest.mark.parametrize("bits", NUMBERS)
def test_every_layout_of_a_tiff_is_read_right_or_refused(file, in_this_process, bits):
    dtype, top = NUMBERS[bits]
    count, wrong, kinds_read = 0, [], {False: set(), True: set()}
    random = np.random.default_rng(0)
    codings = [*CODINGS, ("jpeg", False)] if bits in ("8", "16", "f32") else CODINGS[:2]
    for color, alpha, planar, (compression, predictor), (order, tiles) in itertools.product(
        COLORS, ALPHAS, (False, True), codings, ("<_", ">x")
    ):
        layout = (bits, color, alpha, planar, compression, predictor, order, tiles)
        channels = SAMPLES.get(color, 1) + len(ALPHAS[alpha])
        if planar and channels == 1:
            continue
        samples = random.random((TIFF_HEIGHT, TIFF_WIDTH, channels)) * (1 if dtype[0] == "f" else top + 1)
        if compression == "jpeg":  # which is exact for what is flat
            samples = np.broadcast_to(samples[:1, :1] / 4 + 50, samples.shape)
        samples = samples.astype(dtype)
        if alpha == "premultiplied":
            samples = np.minimum(samples, samples[..., -1:])
        table = random.integers(256, 65535, (3, 256), np.uint16)
        options = {"extrasamples": ALPHAS[alpha]} if ALPHAS[alpha] else {}
        if channels > 1:
            options["planarconfig"] = "separate" if planar else "contig"
        if color == "palette":
            options["colormap"] = table
        options |= {"tile": (16, 16)} if tiles == "x" else {"rowsperstrip": 8}
        stored = (np.moveaxis(samples, 2, 0) if planar else samples).squeeze().astype(bool if bits == "1" else dtype)
        try:
            data = as_tiff(
                stored,
                photometric=COLORS[color],
                compression=compression,
                predictor=predictor,
                byteorder=order,
                **options,
            )
        except (ValueError, NotImplementedError):
            continue  # there is no such layout, for tifffile
        count += 1
        if compression == "jpeg":
            samples = np.atleast_3d(tifffile.imread(io.BytesIO(data)))
            samples = np.moveaxis(samples, 0, 2) if planar else samples
        try:
            image = opened(file(data))
        except InputError as refusal:
            wrong += [refusal] if "\n" in str(refusal) else []
            continue
        kinds_read[planar].add((bits, color, alpha))
        right = expected(samples, top, color, alpha, table)
        exact = bits == "16" and color != "palette" and not planar  # else there are 8 bits on the way
        if image.shape != right.shape or np.abs(image - right).max() > (1e-5 if exact else 3.01 / 255):
            wrong.append(layout)
    assert count > 10
    assert wrong == []
    assert kinds_read[False] >= {layout for layout in READ if layout[0] == bits}
    assert kinds_read[True] >= {layout for layout in READ_IN_PLANES if layout[0] == bits}


def one_strip(photometric, data, bits=(8, 8, 8), order="<", **entries):
    """A TIFF of 40x36 in one strip; further entries, of 16 bits, are called `t` and their tag."""
    return tiff(
        {
            256: (3, [TIFF_WIDTH]), 257: (3, [TIFF_HEIGHT]), 258: (3, bits), 259: (3, [1]), 262: (3, [photometric]),
            273: (4, [8]), 277: (3, [len(bits)]), 278: (3, [TIFF_HEIGHT]), 279: (4, [len(data)]),
            **{int(tag[1:]): (3, values) for tag, values in entries.items()},
        },
        data,
        order,
    )  # fmt: skip


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize(("bits", "photometric"), [*itertools.product([1, 2, 4], [0, 1, 3]), (12, 1)])
def test_bits_that_share_bytes(file, in_this_process, compression, bits, photometric):
    samples = noise(TIFF_HEIGHT, TIFF_WIDTH, dtype=np.uint16) >> 16 - bits
    places = np.arange(bits, dtype=np.uint16)[::-1]
    data = np.packbits((samples[..., None] >> places & 1).reshape(TIFF_HEIGHT, -1), axis=1).tobytes()
    table = noise(3, 2**bits, dtype=np.uint16)
    entries = {"t320": table.ravel()} if photometric == 3 else {}
    data = data if compression == 1 else zlib.compress(data)
    image = read_image(file(one_strip(photometric, data, (bits,), t259=[compression], **entries)))
    right = np.repeat(samples[..., None] / (2**bits - 1), 3, -1)
    right = {0: 1 - right, 1: right, 3: table.T[samples % 2**bits] / 65535}[photometric]
    np.testing.assert_allclose(image, right, rtol=0, atol=1.01 / 255 if photometric == 3 else 1e-6)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("across", [1, 2, 4])
@pytest.mark.parametrize("down", [1, 2])
def test_subsampled_colors(file, in_this_process, order, compression, across, down):
    """Each block of pixels has a color together: ITU-R BT.601."""
    random = np.random.default_rng(0)
    grid = (TIFF_HEIGHT // down, TIFF_WIDTH // across)
    y, cb, cr = random.integers(90, 160, (*grid, down, across)), *random.integers(110, 146, (2, *grid, 1, 1))
    data = np.concatenate([part.reshape(*grid, -1) for part in (y, cb, cr)], -1).astype(np.uint8).tobytes()
    data = data if compression == 1 else zlib.compress(data)
    image = read_image(file(one_strip(6, data, order=order, t259=[compression], t530=[across, down])))
    red, blue = 1.402 * (cr - 128), 1.772 * (cb - 128)
    right = np.stack([y + red, y - (0.299 * red + 0.114 * blue) / 0.587, y + blue], -1) / 255
    right = right.swapaxes(1, 2).reshape(TIFF_HEIGHT, TIFF_WIDTH, 3)
    np.testing.assert_allclose(image, right, rtol=0, atol=1.01 / 255)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("bits", "photometric"), [((1,), 0), ((1,), 1), ((8,), 1), ((16,), 1), ((8, 8, 8), 2)])
def test_bits_stored_the_other_way_round(file, in_this_process, order, bits, photometric):
    samples = noise(TIFF_HEIGHT, TIFF_WIDTH, len(bits), dtype=np.uint16 if bits == (16,) else np.uint8)
    samples >>= 7 if bits == (1,) else 0
    packed = np.packbits(samples, axis=1) if bits == (1,) else samples.astype(f"{order}u{bits[0] // 8}")
    octets = np.unpackbits(np.frombuffer(packed.tobytes(), np.uint8)[:, None], axis=1)
    path = file(one_strip(photometric, np.packbits(octets[:, ::-1], axis=1).tobytes(), bits, order, t266=[2]))
    if (bits, order) == ((16,), ">"):
        with pytest.raises(
            InputError, match="a TIFF with this arrangement of bits, samples or colors is not read here"
        ):
            read_image(path)
        return
    right = samples / (2 ** bits[0] - 1)
    right = np.broadcast_to(1 - right if photometric == 0 else right, (TIFF_HEIGHT, TIFF_WIDTH, 3))
    np.testing.assert_allclose(read_image(path), right, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("complaint", "photometric", "bits", "entries"),
    [
        ("LAB in planes", 8, (8, 8, 8), {"t273": [8, 1448, 2888], "t279": [1440] * 3, "t284": [2]}),
        ("RGBA in planes", 2, (8,) * 4, {"t273": [8, 1448, 2888, 4328], "t279": [1440] * 4, "t284": [2]}),
        ("one color for four rows", 6, (8, 8, 8), {"t530": [4, 4]}),
        ("inks other than CMYK", 5, (8,) * 4, {"t332": [2]}),
        ("a color table of 8 bits", 3, (8,), {"t320": [*range(256)] * 3}),
        ("this arrangement of bits, samples or colors", 2, (16,) * 8, {"t338": [0] * 5}),
        ("this arrangement of bits, samples or colors", 1, (8,), {"t259": [34887]}),
        ("this arrangement of bits, samples or colors", 2, (8, 8, 16), {}),
    ],
)
def test_what_would_be_garbled_is_refused(file, in_this_process, complaint, photometric, bits, entries):
    path = file(one_strip(photometric, bytes(noise(16 * TIFF_HEIGHT * TIFF_WIDTH)), bits, **entries))
    with pytest.raises(InputError) as error:
        read_image(path)
    assert str(error.value) == (
        f"{path}: a TIFF with {complaint} is not read here; save it with 8 bits a channel, or as PNG"
    )


def test_a_big_tiff(file, in_this_process):
    samples = noise(TIFF_HEIGHT, TIFF_WIDTH, 3)
    image = read_image(file(as_tiff(samples, photometric="rgb", bigtiff=True)))
    np.testing.assert_array_equal(image, samples.astype(np.float32) / 255)
    with pytest.raises(InputError, match="a TIFF with 64-bit places in big-endian order is not read here"):
        read_image(file(as_tiff(samples, photometric="rgb", bigtiff=True, byteorder=">")))


def test_16_bits_in_planes_by_the_child(file):
    """Without compression, Pillow's own reader takes them for 8."""
    samples = noise(3, TIFF_HEIGHT, TIFF_WIDTH, dtype=np.uint16)
    image = read_image(file(as_tiff(samples, photometric="rgb", planarconfig="separate")))
    np.testing.assert_allclose(image, np.moveaxis(samples, 0, 2) / 65535, rtol=0, atol=1 / 255)
