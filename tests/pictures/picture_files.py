"""Picture files of every kind, good and odd, as bytes."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

try:
    import pillow_heif
except ImportError:  # it is an extra
    pillow_heif = None

SAMPLES = Path(__file__).resolve().parents[2] / "nst_jax" / "samples"
HEIGHT, WIDTH = 40, 56
STEP = 1 / 255


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height=HEIGHT, width=WIDTH):
    """A picture that JPEG hardly changes: 8-bit gradients, another for each channel."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * y // height, 255 * x // width, 255 * (x + y) // (height + width)], -1).astype(np.uint8)


def of_mode(mode, pixels):
    """A picture of `[height, width, channels]` in one of Pillow's modes."""
    return Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    if kind == "HEIF":  # Pillow's `save` would need it registered, for the whole process
        pillow_heif.from_pillow(picture).save(buffer, **options)
    else:
        picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(height, width, depth, color, row, extra=b""):
    """A PNG of equal rows, for what Pillow does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress((b"\0" + row) * height))
    return b"\x89PNG\r\n\x1a\n" + header + extra + data + chunk(b"IEND", b"")


_ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def deep_png(values, extra=b"", interlaced=False):
    """A PNG of `[height, width, channels] uint16`, 2 to 4 channels."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, interlaced)
    passes = [values[y::down, x::across] for y, x, down, across in _ADAM7] if interlaced else [values]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for part in passes for row in part if row.size)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    start, data, end = (chunk(*part) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + start + extra + data + end


def deep_tiff(values, photometric=2, order="<", **entries):
    """A TIFF of `[height, width, channels] uint16` in one deflated strip; further entries as `t` and their tag."""
    height, width, channels = values.shape
    data = zlib.compress(values.astype(f"{order}u2").tobytes())
    tags = {
        256: (3, [width]), 257: (3, [height]), 258: (3, [16] * channels), 259: (3, [8]), 262: (3, [photometric]),
        273: (4, [8]), 277: (3, [channels]), 278: (3, [height]), 279: (4, [len(data)]),
    }  # fmt: skip
    return tiff(tags | {int(tag[1:]): (3, given) for tag, given in entries.items()}, data, order)


def animated(still):
    """A PNG, whose pixels are in one chunk, as an animation of two frames that are alike."""
    start = still.index(b"IDAT") - 4
    end = start + 12 + struct.unpack_from(">I", still, start)[0]
    place = still[16:24] + struct.pack(">IIHHBB", 0, 0, 0, 1, 0, 0)
    first, second = (chunk(b"fcTL", struct.pack(">I", number) + place) for number in (0, 1))
    again = chunk(b"fdAT", struct.pack(">I", 2) + still[start + 8 : end - 4])
    return (
        still[:start] + chunk(b"acTL", struct.pack(">II", 2, 0)) + first + still[start:end] + second + again
        + still[end:]
    )  # fmt: skip


GIF_COLORS = np.random.default_rng(0).integers(0, 256, (128, 3), np.uint8)


def gif(parts, width, height, loop=b""):
    """A GIF of any rectangles, with the colors above, for what Pillow does not write.

    Each part is the corner (x, y), the numbers of the colors `[height, width] uint8`, the disposal, the transparent
    number or None, and the hundredths of a second. After a clear code for every 100 pixels, codes stay bytes.
    """
    data = b"GIF89a" + struct.pack("<2H3B", width, height, 0x86, 5, 0) + GIF_COLORS.tobytes() + loop
    for (x, y), numbers, disposal, key, hundredths in parts:
        flat = numbers.tobytes()
        codes = b"".join(b"\x80" + flat[start : start + 100] for start in range(0, len(flat), 100)) + b"\x81"
        data += b"!\xf9\4" + struct.pack("<BHBB", disposal << 2 | (key is not None), hundredths, key or 0, 0)
        data += b"," + struct.pack("<4HB", x, y, *numbers.shape[::-1], 0) + b"\7"
        data += b"".join(bytes([len(codes[i : i + 255])]) + codes[i : i + 255] for i in range(0, len(codes), 255))
        data += b"\0"
    return data + b";"


def tiff(entries, data=b"", order="<", big=False):
    """A TIFF, or EXIF data, of {tag: (kind, values)}, for what tifffile does not write; `data` starts at byte 8 (16).

    Values are numbers, those of fractions one after another; or bytes; or the entries of another directory.
    """
    data += bytes(len(data) % 2)
    number, field = ("Q", 8) if big else ("I", 4)
    start = (
        struct.pack(order + "HHHQ", 43, 8, 0, 16 + len(data)) if big else struct.pack(order + "HI", 42, 8 + len(data))
    )
    file = bytearray({"<": b"II", ">": b"MM"}[order] + start + data)

    def write(entries):
        packed, place = struct.pack(order + ("Q" if big else "H"), len(entries)), len(file)
        file.extend(bytes(len(packed) + len(entries) * (4 + 2 * field) + field))
        for tag, (kind, given) in sorted(entries.items()):
            values = [write(given)] if isinstance(given, dict) else given
            coding = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I"}[kind]
            raw = bytes(values) if coding == "B" else struct.pack(f"{order}{len(values)}{coding}", *values)
            if len(raw) > field:
                file.extend(raw)
                raw = struct.pack(order + number, len(file) - len(raw))
            packed += struct.pack(order + "HH" + number, tag, kind, len(values) // (2 if kind == 5 else 1))
            packed += raw.ljust(field, b"\0")
        file[place : place + len(packed)] = packed
        return place

    write(entries)
    return bytes(file)


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

PLAIN = {
    kind: encoded(Image.fromarray(noise(HEIGHT, WIDTH, 3)), kind)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", *(["HEIF"] if pillow_heif else []))
}
DEEP = {  # color of 16 bits
    "PNG": deep_png(noise(HEIGHT, WIDTH, 3, dtype=np.uint16)),
    "TIFF": deep_tiff(noise(HEIGHT, WIDTH, 3, dtype=np.uint16)),
}
APART = ("TIFF", "GIF", "AVIF", "HEIF")  # a process is started for each
PROGRESSIVE = encoded(Image.fromarray(smooth()), "JPEG", progressive=True)
LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]

DEFLATE = encoded(Image.fromarray(noise(HEIGHT, WIDTH, 3)), "TIFF", compression="tiff_deflate")


def srgb_encoding(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
