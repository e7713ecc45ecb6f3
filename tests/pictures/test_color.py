"""What a file's numbers mean: told by chunks, codes, EXIF and TIFF tags, profiles, in their order; and in sRGB."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import (
    BLACK_INK_ONLY,
    HEIGHT,
    LINEAR_GREY,
    RED_AND_BLUE_SWAPPED,
    STEP,
    WHITE,
    WIDTH,
    chunk,
    encoded,
    icc,
    noise,
    of_mode,
    pillow_heif,
    png,
    smooth,
    srgb_encoding,
    tiff,
)  # fmt: skip
from PIL import Image

from nst_jax.pictures import color
from nst_jax.pictures.images import PictureWarning, read_image

COLORS = noise(WIDTH, 3)
"""A row of a picture; all rows are the same."""

# XYZ (D50) of red, green and blue in the profiles of Adobe, Apple and the ICC: another way to the same colors.
ADOBE_COLORANTS = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]
SRGB_COLORANTS = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]
P3_COLORANTS = [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)]

PRIMARIES = {
    "sRGB": (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),
    "Adobe RGB": (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06),
    "Display P3": (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}


def gama(gamma):
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(name):
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in PRIMARIES[name])))


def cicp(*codes):
    return chunk(b"cICP", bytes(codes))


def iccp(profile):
    image = encoded(Image.new("RGB", (1, 1)), "PNG", icc_profile=profile)
    start = image.index(b"iCCP") - 4
    return image[start : image.index(b"IDAT") - 4]


SRGB_CHUNK = chunk(b"sRGB", b"\0")
P3 = cicp(12, 13, 0, 1)


def of_chunks(file, *chunks):
    """The first row of a PNG of COLORS with these chunks."""
    return read_image(file(png(HEIGHT, WIDTH, 8, 2, COLORS.tobytes(), b"".join(chunks))))[0]


def by_colorants(values, colorants, decode):
    """8-bit colors of such colorants and transfer in sRGB, 0..1: what a profile of them would give."""
    light = decode(values / 255) @ np.array(colorants) @ np.linalg.inv(SRGB_COLORANTS)
    return srgb_encoding(np.clip(light, 0, 1))


def srgb_decoding(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def adobe(values):
    return by_colorants(values, ADOBE_COLORANTS, lambda numbers: numbers**2.19921875)


def p3(values):
    return by_colorants(values, P3_COLORANTS, srgb_decoding)


def same(image, right, steps=0.7):
    np.testing.assert_allclose(image, right, rtol=0, atol=steps * STEP)


# --- PNG ---


@pytest.mark.parametrize("gamma", [1, 0.55556, 0.5, 1 / 2.6])
def test_gamma(file, gamma):
    same(of_chunks(file, gama(gamma)), srgb_encoding((COLORS / 255) ** (1 / round(gamma, 5))), 0.01)


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [gama(0.45455)],
        [gama(0.45455), chrm("sRGB")],
        [gama(0.45454), chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 63999, 33001, 30000, 60000, 15000, 5999))],
        [chrm("sRGB")],
        [SRGB_CHUNK],
        [SRGB_CHUNK, gama(1), chrm("Display P3")],  # the first is stronger
        [cicp(1, 13, 0, 1), gama(1)],
        [cicp(2, 2, 0, 1)],
        [cicp(1, 1, 0, 1)],
    ],
)
def test_srgb_is_not_changed_at_all(file, chunks):
    np.testing.assert_array_equal(of_chunks(file, *chunks), COLORS.astype(np.float32) / 255)


def test_primaries(file):
    same(of_chunks(file, chrm("Display P3")), p3(COLORS))
    same(of_chunks(file, chrm("Adobe RGB"), gama(256 / 563)), adobe(COLORS))
    same(of_chunks(file, P3), p3(COLORS))
    same(of_chunks(file, gama(1), chrm("Display P3")), by_colorants(COLORS, P3_COLORANTS, lambda numbers: numbers))


def test_published_colors(file):
    """CSS Color 4 has its corners of Display P3 in sRGB; here what is out of range is cut off."""
    row = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]] * 10, np.uint8)
    image = read_image(file(png(HEIGHT, 40, 8, 2, row.tobytes(), P3)))[0, :4]
    same(image, np.clip([[1.0931, -0.2267, -0.1501], [-0.5116, 1.0183, -0.3107], [0, 0, 1.0420], [1, 1, 1]], 0, 1), 0.1)


def test_white_stays_white(file):
    """Of any temperature, as in a profile."""
    d50 = chunk(b"cHRM", struct.pack(">8I", 34570, 35850, 64000, 33000, 21000, 71000, 15000, 6000))
    row = np.repeat(noise(WIDTH, 1), 3, -1)
    same(read_image(file(png(HEIGHT, WIDTH, 8, 2, row.tobytes(), d50)))[0], row / 255, 0.01)


@pytest.mark.parametrize(
    ("chunks", "right"),
    [
        ([P3, iccp(RED_AND_BLUE_SWAPPED), SRGB_CHUNK, gama(1)], p3),
        ([iccp(RED_AND_BLUE_SWAPPED), SRGB_CHUNK, gama(1)], lambda values: values[:, ::-1] / 255),
        ([cicp(9, 16, 0, 1), iccp(RED_AND_BLUE_SWAPPED)], lambda values: values[:, ::-1] / 255),
    ],
)
def test_which_comes_first(file, chunks, right):
    same(of_chunks(file, *chunks), right(COLORS), 4)


@pytest.mark.parametrize(
    ("codes", "note"),
    [
        ((9, 16, 0, 1), "PQ, for HDR displays"),
        ((9, 18, 0, 1), "HLG, for HDR displays"),
        ((12, 13, 0, 0), "of kind 12/0"),  # not the full range
        ((99, 13, 0, 1), "of kind 99/13"),
        ((), "of kind 0/0"),
    ],
)
def test_codes_that_are_not_converted(file, codes, note):
    with pytest.warns(PictureWarning, match=f"its colors are {note}, and not converted to sRGB; read as they are"):
        image = of_chunks(file, cicp(*codes))
    np.testing.assert_array_equal(image, COLORS.astype(np.float32) / 255)


@pytest.mark.parametrize(
    "extra",
    [
        gama(0),
        gama(0.001),
        chunk(b"cHRM", bytes(32)),
        chunk(b"cHRM", struct.pack(">8I", 90_000, 5000, 64000, 33000, 30000, 60000, 15000, 6000)),
        chunk(b"cHRM", struct.pack(">8I", *[31270, 32900] * 4)),
        chunk(b"cHRM", struct.pack(">8I", 44000, 40000, 30000, 30000, 30000, 60000, 15000, 6000)),
    ],
)
def test_damaged_chunks(file, extra):
    with pytest.warns(PictureWarning, match="damaged gAMA or cHRM chunks; its colors may be wrong"):
        image = of_chunks(file, extra)
    np.testing.assert_array_equal(image, COLORS.astype(np.float32) / 255)


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 100_000), min_size=9, max_size=9))
@settings(max_examples=300, deadline=None)
def test_whatever_primaries_give_good_colors(values):
    chunks = {b"cHRM": struct.pack(">8I", *values[:8]), b"gAMA": struct.pack(">I", values[8])}
    image = color.meaning("RGB", None, b"", chunks, {}, []).color(Image.fromarray(smooth()))
    assert image.dtype == np.float32
    assert image.min() >= 0  # not so for NaN
    assert image.max() <= 1


def test_grey_keeps_its_16_bits(file):
    row = noise(WIDTH, dtype=np.uint16)
    image = read_image(file(png(HEIGHT, WIDTH, 16, 0, row.astype(">u2").tobytes(), gama(1))))
    same(image, np.broadcast_to(srgb_encoding(row / 65535)[None, :, None], image.shape), 0.001)


@pytest.mark.parametrize(
    ("chunks", "right"),
    [
        (gama(0.5), lambda values: srgb_encoding(values**2)),
        (cicp(1, 8, 0, 1), srgb_encoding),
        (chrm("Display P3"), lambda values: p3(values * 255)),
    ],
    ids=["gAMA", "cICP", "cHRM"],
)
def test_color_keeps_its_16_bits(file, chunks, right):
    """Where a step is as large as elsewhere; in 8 bits, all would be one of two."""
    values = np.linspace(32_768, 33_100, 3 * WIDTH).round().astype(np.uint16).reshape(WIDTH, 3)
    image = read_image(file(png(HEIGHT, WIDTH, 16, 2, values.astype(">u2").tobytes(), chunks)))
    same(image, np.broadcast_to(right(values / 65535), image.shape), 0.02)


def test_palette_and_alpha(file):
    pixels = noise(HEIGHT, WIDTH, 4)
    data = encoded(Image.fromarray(pixels), "PNG")
    path = file(data[:33] + gama(1) + data[33:])
    with pytest.warns(PictureWarning, match="over white"):
        image = read_image(path)
    opaque = pixels[..., 3:] / 255
    same(image, srgb_encoding(pixels[..., :3] / 255) * opaque + 1 - opaque, 0.01)
    palette = Image.fromarray(smooth()).quantize(16)
    data = encoded(palette, "PNG")
    image = read_image(file(data[:33] + gama(1) + data[33:]))
    same(image, srgb_encoding(np.asarray(palette.convert("RGB")) / 255), 0.01)


def test_an_animation(file):
    frames = [Image.fromarray(np.broadcast_to(COLORS, (HEIGHT, WIDTH, 3))), Image.fromarray(smooth())]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    with pytest.warns(PictureWarning, match="animated"):
        image = read_image(file(data[:33] + gama(1) + data[33:]))
    same(image[0], srgb_encoding(COLORS / 255), 0.01)


# --- EXIF and TIFF ---


def exif_data(space=None, index=None, order="<", **first):
    """EXIF data with a color space, an interoperability index, and entries beside them, called `t` and their tag."""
    interoperability = {} if index is None else {0xA005: (4, {1: (2, index)})}
    inner = {**({} if space is None else {0xA001: (3, [space])}), **interoperability}
    return tiff({**({0x8769: (4, inner)} if inner else {}), **{int(t[1:]): e for t, e in first.items()}}, order=order)


MUTED = (noise(HEIGHT // 8, WIDTH // 8, 3) // 4 + 96).repeat(8, 0).repeat(8, 1)
"""For lossy files: flat squares, and no channel near the end of its range in sRGB, where small differences grow."""

R03 = exif_data(0xFFFF, b"R03\0")
P3_ENTRIES = {
    "t318": (5, [3127, 10_000, 3290, 10_000]),
    "t319": (5, [68, 100, 32, 100, 265, 1000, 69, 100, 15, 100, 6, 100]),
}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("order", "<>")
def test_adobe_rgb_of_a_camera(file, kind, order):
    """The option files of the DCF: 58 levels off when they are taken for sRGB."""
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}, "PNG": {}}
    exif = b"Exif\0\0" + exif_data(0xFFFF, b"R03\0", order)
    image = read_image(file(encoded(Image.fromarray(MUTED), kind, exif=exif, **options[kind])))
    same(image, adobe(MUTED), 3 if kind == "JPEG" else 0.7)


PIXELS = noise(HEIGHT, WIDTH, 3)


def as_tiff(entries, order="<", big=False):
    strip = {
        256: WIDTH,
        257: HEIGHT,
        258: 8,
        259: 1,
        262: 2,
        273: 16 if big else 8,
        277: 3,
        278: HEIGHT,
        279: PIXELS.size,
    }
    return tiff({**{tag: (3, [value]) for tag, value in strip.items()}, **entries}, PIXELS.tobytes(), order, big)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_tiff_tags(file, order, big):
    space = {0x8769: (4, {0xA001: (3, [0xFFFF]), 0xA005: (4, {1: (2, b"R03\0")})})}
    same(read_image(file(as_tiff(space, order, big))), adobe(PIXELS))
    primaries = {int(tag[1:]): entry for tag, entry in P3_ENTRIES.items()}
    same(read_image(file(as_tiff(primaries, order, big))), p3(PIXELS))
    curves = [np.arange(256) / 255, (np.arange(256) / 255) ** 1.5, (np.arange(256) / 255) ** 3]
    table = np.rint(65535 * np.concatenate(curves)).astype(int).tolist()
    image = read_image(file(as_tiff({301: (3, table)}, order, big)))
    same(image, srgb_encoding((PIXELS / 255) ** [1, 1.5, 3]), 0.3)
    image = read_image(file(as_tiff({301: (3, table[:256])}, order, big)))
    same(image, srgb_encoding(PIXELS / 255), 0.3)
    np.testing.assert_array_equal(read_image(file(as_tiff({}, order, big))), PIXELS.astype(np.float32) / 255)


@pytest.mark.parametrize(
    ("exif", "right"),
    [
        (exif_data(2), adobe),
        (exif_data(None, b"R03\0"), adobe),
        (exif_data(0xFFFF, b"R98\0", **P3_ENTRIES), p3),
        (exif_data(1, b"R03\0"), lambda values: values / 255),
        (exif_data(1, b"R98\0", **P3_ENTRIES), lambda values: values / 255),
        (
            tiff({0x8769: (4, {0xA001: (3, [0xFFFF]), 0xA500: (5, [18, 10])})}),
            lambda v: srgb_encoding((v / 255) ** 1.8),
        ),
        (tiff({0x8769: (4, {0xA001: (3, [0xFFFF]), 0xA500: (5, [22, 10])})}), lambda values: values / 255),
    ],
)
def test_exif_data(file, exif, right):
    same(read_image(file(encoded(Image.fromarray(PIXELS), "PNG", exif=exif))), right(PIXELS))


def test_a_profile_or_chunk_is_stronger_than_exif_data(file):
    swapped = encoded(Image.fromarray(PIXELS), "PNG", exif=R03, icc_profile=RED_AND_BLUE_SWAPPED)
    same(read_image(file(swapped)), PIXELS[..., ::-1] / 255, 4)
    plain = encoded(Image.fromarray(PIXELS), "PNG", exif=R03)
    np.testing.assert_array_equal(
        read_image(file(plain[:33] + SRGB_CHUNK + plain[33:])), PIXELS.astype(np.float32) / 255
    )


def test_colors_that_are_not_named(file):
    with pytest.warns(PictureWarning, match="its EXIF data tell that its colors are not sRGB, but not what they are"):
        image = read_image(file(encoded(Image.fromarray(PIXELS), "PNG", exif=exif_data(0xFFFF))))
    np.testing.assert_array_equal(image, PIXELS.astype(np.float32) / 255)


@pytest.mark.parametrize(
    "exif",
    [
        exif_data(t319=(5, [0] * 12)),
        exif_data(t301=(3, [5])),
        exif_data(t301=(3, [])),
        exif_data(t318=(5, [0] * 4), **{"t319": P3_ENTRIES["t319"]}),
    ],
)
def test_damaged_measures_in_exif_data(file, exif):
    with pytest.warns(PictureWarning, match="damaged EXIF data; its colors may be wrong"):
        image = read_image(file(encoded(Image.fromarray(PIXELS), "PNG", exif=exif)))
    np.testing.assert_array_equal(image, PIXELS.astype(np.float32) / 255)


def test_inks_have_profiles_alone(file):
    cmyk = of_mode("CMYK", noise(HEIGHT, WIDTH, 4))
    plain = read_image(file(encoded(cmyk, "JPEG")))
    np.testing.assert_array_equal(read_image(file(encoded(cmyk, "JPEG", exif=R03))), plain)
    assert not np.array_equal(read_image(file(encoded(cmyk, "JPEG", icc_profile=BLACK_INK_ONLY))), plain)


# --- AVIF, HEIF ---


@pytest.mark.parametrize("kind", ["AVIF", *(["HEIF"] if pillow_heif else [])])
def test_codes_in_boxes(file, kind):
    options = {"quality": 100, **({"chroma": 444} if kind == "HEIF" else {"subsampling": "4:4:4"})}
    options |= {"color_primaries": 1, "transfer_characteristic": 13} if kind == "HEIF" else {}
    data = encoded(Image.fromarray(MUTED), kind, **options)
    named = b"colrnclx" + struct.pack(">HH", 1, 13)
    assert named in data
    same(read_image(file(data)), MUTED / 255, 3)
    same(read_image(file(encoded(Image.fromarray(MUTED), kind, exif=R03, **options))), MUTED / 255, 3)
    same(read_image(file(data.replace(named, b"colrnclx" + struct.pack(">HH", 12, 13)))), p3(MUTED), 4)
    with pytest.warns(PictureWarning, match="its colors are PQ, for HDR displays, and not converted"):
        image = read_image(file(data.replace(named, b"colrnclx" + struct.pack(">HH", 9, 16))))
    same(image, MUTED / 255, 3)
    profiled = encoded(Image.fromarray(MUTED), kind, icc_profile=RED_AND_BLUE_SWAPPED, **options)
    same(read_image(file(profiled.replace(named, b"colrnclx" + struct.pack(">HH", 9, 16)))), MUTED[..., ::-1] / 255, 6)


# --- profiles ---


def test_a_profile_gives_the_same_as_the_measures_that_it_is_made_of(file):
    """So the right values above are littleCMS's, too."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 563) + bytes(2)  # 563 / 256
    xyz = [
        b"XYZ \0\0\0\0" + struct.pack(">3i", *np.rint(65536 * np.array(color)).astype(int)) for color in ADOBE_COLORANTS
    ]
    tags = [
        *zip((b"rXYZ", b"gXYZ", b"bXYZ"), xyz, strict=True),
        *((name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    same(of_chunks(file, iccp(icc(b"RGB ", b"XYZ ", WHITE, *tags))), adobe(COLORS), 1.1)


def test_grey_by_a_profile_and_by_a_chunk(file):
    row = noise(WIDTH)
    by_profile, by_chunk = (
        read_image(file(png(HEIGHT, WIDTH, 8, 0, row.tobytes(), extra))) for extra in (iccp(LINEAR_GREY), gama(1))
    )
    same(by_profile, by_chunk, 0.6)
