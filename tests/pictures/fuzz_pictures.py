"""`fuzz_pictures.py COUNT SEED` reads COUNT mutated files; test_decoding.py runs it.

Each must give a good array, or an InputError of one line, soon and in bounded memory.
"""

import os
import random
import resource
import struct
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
from picture_files import (
    BLACK_INK_ONLY,
    LINEAR_GREY,
    RED_AND_BLUE_SWAPPED,
    chunk,
    deep_png,
    deep_tiff,
    encoded,
    noise,
    pillow_heif,
    smooth,
)
from PIL import Image, PngImagePlugin

from nst_jax.errors import InputError
from nst_jax.pictures.images import PictureWarning, read_image

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
    said = (chunk(b"cHRM", struct.pack(">8I", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)) +
            chunk(b"gAMA", struct.pack(">I", 55_556)) + chunk(b"cICP", b"\x0c\x0d\0\1"))  # fmt: skip
    start = encoded(color, "PNG")
    rgb, rgba = (noise(34, 36, channels, dtype=np.uint16) for channels in (3, 4))
    key = chunk(b"tRNS", rgb[0, 0].astype(">u2").tobytes())
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
        start[:33] + said + start[33:],
        deep_png(rgb, said + key), deep_png(rgba, interlaced=True), deep_png(rgb[..., :2]),
        deep_tiff(rgb), deep_tiff(rgba, order=">", t338=[1], t317=[2]), deep_tiff(rgba, 5),
        encoded(color, "AVIF", **meta), encoded(clear, "AVIF"), encoded(color, "AVIF", **frames),
        *([encoded(color, "HEIF", exif=meta["exif"]), encoded(clear, "HEIF")] if pillow_heif else []),
    ]  # fmt: skip


def sizes_at(data):
    """Where a file keeps its width and height, as (offset, struct format of one side)."""
    if data[:4] == b"\x89PNG" or data[4:8] == b"ftyp":
        start = 16 if data[:4] == b"\x89PNG" else data.find(b"ispe") + 8
        return [(start, ">I"), (start + 4, ">I")]
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
    originals, choice = seeds(), random.Random(seed)
    path = Path(f"/dev/shm/fuzz-{os.getpid()}" if os.access("/dev/shm", os.W_OK) else f"/tmp/fuzz-{os.getpid()}")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    descriptors = len(os.listdir("/proc/self/fd"))
    read, slowest = 0, 0.0
    remarks = []
    warnings.simplefilter("always")
    warnings.simplefilter("ignore", PictureWarning)
    warnings.showwarning = lambda *remark: remarks.append(remark)  # as errors, they would become InputErrors
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
        assert not remarks, (number, remarks)
        assert message.isprintable(), message
        assert str(path) in message, message
        slowest = max(slowest, time.monotonic() - began)
        assert slowest < FUZZ_SECONDS, number
    path.unlink()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - start
    assert memory < FUZZ_MEMORY, f"{memory} bytes"
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert children < FUZZ_MEMORY, f"{children} bytes in a child"
    assert len(os.listdir("/proc/self/fd")) == descriptors
    print(f"{count} files: {read} read, {count - read} refused, slowest {slowest:.2f} s, {memory / 2**20:.0f} MiB more")


if __name__ == "__main__":
    fuzz(int(sys.argv[1]), int(sys.argv[2]))
