"""What files say before anything is decoded: their kind, their scans, their chunks and boxes."""

import io
import struct

import pytest
from picture_files import HEIGHT, LAST_SCAN, PLAIN, PROGRESSIVE, WIDTH, chunk, encoded, png, smooth
from PIL import Image

from nst_jax.pictures import headers

PIXELS = b"\0" * WIDTH


def box(name, *parts):
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), name) + data


@pytest.mark.parametrize("kind", PLAIN)
def test_kinds(kind):
    assert headers.kind(io.BytesIO(PLAIN[kind])) == kind


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"avif", "AVIF"),
        (b"avis", "AVIF"),
        (b"mif1....miafavif", "AVIF"),
        (b"msf1....avis", "AVIF"),
        (b"heic....mif1heic", "HEIF"),
        (b"hevc", "HEIF"),
        (b"mif1....heicmiaf", "HEIF"),
        (b"mp42....isom", None),
    ],
)
def test_kinds_by_brand(brands, kind):
    assert headers.kind(io.BytesIO(box(b"ftyp", brands))) == kind


def test_what_is_no_picture():
    assert headers.kind(io.BytesIO(b"Dear Sir or Madam")) is None
    assert headers.kind(io.BytesIO(b"")) is None


def test_chunks_about_color_come_before_the_pixels():
    gamma, later = chunk(b"gAMA", struct.pack(">I", 55_556)), chunk(b"gAMA", struct.pack(">I", 1))
    data = png(HEIGHT, WIDTH, 8, 0, PIXELS, chunk(b"tEXt", b"key\0" + bytes(99)) + gamma + later)
    end = chunk(b"IEND", b"")
    data = data.removesuffix(end) + chunk(b"cICP", b"\x0c\x0d\0\1") + end
    assert headers.png_chunks(io.BytesIO(data)) == {b"gAMA": struct.pack(">I", 55_556)}


def test_the_chunks_of_an_animation():
    pictures = [Image.fromarray(smooth()), Image.fromarray(smooth()[::-1])]
    animation = encoded(pictures[0], "PNG", save_all=True, append_images=pictures[1:])
    assert headers.is_animated_png(headers.png_chunks(io.BytesIO(animation)))
    assert not headers.is_animated_png(headers.png_chunks(io.BytesIO(PLAIN["PNG"])))


# --- scans ---

END = b"\xff\xd9"
COMMENT = b"\xff\xfe" + struct.pack(">H", 2 + 6000) + b"\xff\xda" * 3000  # what looks like scans is a comment


@pytest.mark.parametrize(
    "behind",
    [
        b"",
        b"\xff\xda" * 100_000,
        PROGRESSIVE[:-2] + LAST_SCAN * 600 + END,
        b"....ftypmp42" + bytes(range(256)) * 3000,  # a phone's motion photo
    ],
    ids=["nothing", "markers", "a hostile picture", "a film"],
)
def test_what_is_behind_the_end_has_no_scans(behind):
    headers.check_scans(io.BytesIO(PROGRESSIVE[:2] + COMMENT + PROGRESSIVE[2:] + behind))


@pytest.mark.parametrize("shift", range(0, 40, 7))
def test_scans_are_counted(shift):
    """Also where a marker lies across what is read at a time."""
    start = PROGRESSIVE[:2] + b"\xff\xfe" + struct.pack(">H", 2 + shift) + bytes(shift) + PROGRESSIVE[2:-2]
    own = PROGRESSIVE.count(b"\xff\xda")
    headers.check_scans(io.BytesIO(start + LAST_SCAN * (headers.MAX_SCANS - own) + END))
    for tail in (b"", END, END * 2):  # without an end, the decoder goes on as well
        with pytest.raises(ValueError, match="too many progressive scans; at most 500 are allowed"):
            headers.check_scans(io.BytesIO(start + LAST_SCAN * (headers.MAX_SCANS - own + 1) + tail))


@pytest.mark.parametrize("length", range(2**16 - 4, 2**16 + 4))
def test_a_marker_on_the_border_of_what_is_read_at_a_time(monkeypatch, length):
    monkeypatch.setattr(headers, "MAX_SCANS", 3)
    scan = b"\xff\xda\0\2" + b"\1" * length
    headers.check_scans(io.BytesIO(b"\xff\xd8" + scan * 3 + END))
    with pytest.raises(ValueError, match="too many progressive scans"):
        headers.check_scans(io.BytesIO(b"\xff\xd8" + scan * 4 + END))


def test_segments_without_end_are_refused_soon():
    with pytest.raises(ValueError, match="too many progressive scans"):
        headers.check_scans(io.BytesIO(b"\xff\xd8" + b"\xff\xfe\0\2" * 10_000_000))


# --- boxes of AVIF and HEIF ---


def with_boxes(*colr, before=b""):
    properties = box(b"ipco", box(b"ispe", bytes(12)), *(box(b"colr", each) for each in colr), box(b"pixi", bytes(8)))
    meta = box(b"meta", bytes(4), box(b"hdlr", bytes(20)), box(b"iprp", properties, box(b"ipma", bytes(9))))
    return io.BytesIO(box(b"ftyp", b"avif", bytes(4)) + before + meta + box(b"mdat", bytes(40)))


NCLX = b"nclx" + struct.pack(">HHHB", 12, 13, 6, 128)


def test_colors_of_a_box():
    assert headers.cicp(with_boxes(NCLX)) == (12, 13)
    assert headers.cicp(with_boxes(b"prof" + bytes(50), NCLX, b"nclx" + bytes(7))) == (12, 13)
    assert headers.cicp(with_boxes(NCLX, before=struct.pack(">I4sQ", 1, b"mdat", 30) + bytes(14))) == (12, 13)
    assert headers.cicp(with_boxes(NCLX, before=box(b"free", box(b"colr", b"nclx" + bytes(7))))) == (12, 13)


@pytest.mark.parametrize(
    "file",
    [
        with_boxes(),
        with_boxes(b"prof" + bytes(50)),
        with_boxes(NCLX, before=bytes(40)),
        io.BytesIO(box(b"free") * 2_000_000),
        io.BytesIO(b""),
    ],
    ids=["none", "a profile", "no length", "boxes without end", "nothing"],
)
def test_no_colors_in_boxes(file):
    assert headers.cicp(file) is None
