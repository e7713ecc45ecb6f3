"""Picture files -> arrays, with Pillow, when the files may be hostile: the inner half of `images.read_image`.

Nothing of the process is changed on the way, neither Pillow's globals nor the warning filters nor standard error: any
number of threads may read. Pillow's readers of single formats, unlike `Image.open`, heed its global limit and warn in a
few places only; files that would get there are read by `apart`, or given to Pillow without what it would trip over.
"""

import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from nst_jax.errors import InputError, argument
from nst_jax.pictures import apart

MAX_SCANS = 500  # of a progressive JPEG: real ones have about ten, each costs a pass over all pixels

_KINDS = re.compile(  # what a file starts with
    rb"(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<JPEG>\xff\xd8\xff)|(?P<WEBP>RIFF.{4}WEBP)|"
    rb"(?P<TIFF>II[*+]\0|MM\0[*+]|II\0\*|MM\*\0)|(?P<GIF>GIF8[79]a)|(?P<BMP>BM)",
    re.DOTALL,
)
_ORIENTATION_TAG = 0x0112  # of EXIF
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


@contextmanager
def opened(path: str | os.PathLike, max_pixels: int) -> Iterator[Image.Image]:
    """Opens a picture; whatever goes wrong with it, in the body too, becomes an InputError.

    Args:
      path: the file.
      max_pixels: the most pixels the picture may have.

    Yields:
      The picture. It is decoded already when it had to be read apart, else not. Its `info` says whether it is
      "animated" (has several frames or pages), where it can be.

    Raises:
      InputError: it cannot be read, or is too large.
    """
    name = shown(path)
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{name}: is a directory; name a picture file")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise InputError(f"{name}: is not a regular file")
        if status.st_size == 0:
            raise InputError(f"{name}: the file is empty")
        most = 8 * max_pixels + 2**26  # 16 bits, four channels, and metadata
        if status.st_size > most:
            raise InputError(
                f"{name}: {status.st_size:,} bytes; the limit is {most:,} (raise it with {argument('max_pixels')})"
            )
        check = partial(check_pixels, name, max_pixels)
        with Path(path).open("rb") as file, _picture(file, check, max_pixels) as picture:
            yield picture
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except Image.UnidentifiedImageError:
        raise InputError(f"{name}: not a picture that can be read (JPEG, PNG, WebP, TIFF, GIF or BMP)") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{name}: too large; the limit is {max_pixels:,} pixels (raise it with {argument('max_pixels')})"
        ) from None
    except Exception as error:  # Pillow raises nearly every kind on a damaged file
        refusal = getattr(error, "strerror", None)  # the operating system's
        reason = refusal or " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{name}: cannot be read{'' if refusal else ', damaged or cut short'} ({reason})") from error


def _picture(file: IO[bytes], check: Callable[[tuple[int, int]], None], max_pixels: int) -> Image.Image:
    """The picture in an open file, its size checked before anything takes memory for its pixels."""
    match = _KINDS.match(head := file.read(30))
    if match is None:
        raise Image.UnidentifiedImageError
    kind = str(match.lastgroup)
    if kind in ("TIFF", "GIF") or (kind == "PNG" and _is_animated_png(file)):
        return apart.read(file, kind, max_pixels, check)
    if kind == "WEBP":
        check(_webp_size(head))  # the reader takes the memory at once
    file.seek(0)
    try:
        picture = apart.READERS[kind](file)
    except Image.DecompressionBombError:  # a WebP above Pillow's own limit
        return apart.read(file, kind, max_pixels, check)
    check(picture.size)
    if picture.info.get("progressive"):
        _check_scans(file)
    picture.info["animated"] = getattr(picture, "is_animated", False)
    return picture


def check_pixels(name: str, max_pixels: int, size: tuple[int, int], remark: str = "") -> None:
    """Raises InputError when a picture of `size` (width and height) has more than `max_pixels`."""
    width, height = size
    if width * height > max_pixels:
        raise InputError(
            f"{name}: {width}x{height}{remark} is {width * height:,} pixels; the limit is {max_pixels:,} "
            f"(raise it with {argument('max_pixels')})"
        )


def _is_animated_png(file: IO[bytes]) -> bool:
    """Whether a PNG is an animation; raises ValueError for what decoding would not notice, checksums and the end."""
    name, end, animated = b"", 8, False
    while name != b"IEND":
        file.seek(end)
        length, name = struct.unpack(">I4s", file.read(8))
        checksum = zlib.crc32(name)
        end += 12 + length
        while length:
            block = file.read(min(length, 2**20))
            if not block:
                raise ValueError("the end is missing")
            checksum, length = zlib.crc32(block, checksum), length - len(block)
        if file.read(4) != checksum.to_bytes(4, "big"):
            raise ValueError(f"wrong checksum of {name!r}")
        animated |= name in (b"acTL", b"fcTL", b"fdAT")
    return animated


def _check_scans(file: IO[bytes]) -> None:
    """Raises ValueError for a JPEG whose scans would take too much time."""
    place = file.tell()
    file.seek(0)
    scans = sum(block.count(b"\xff\xda") for block in iter(lambda: file.read(2**20), b""))
    if scans > MAX_SCANS:
        raise ValueError(f"{scans} progressive scans; at most {MAX_SCANS} are allowed")
    file.seek(place)


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height of a WebP picture by its first 30 bytes."""
    numbers = partial(int.from_bytes, byteorder="little")
    if head[12:16] == b"VP8X":
        return numbers(head[24:27]) + 1, numbers(head[27:30]) + 1
    if head[12:16] == b"VP8L":
        bits = numbers(head[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return numbers(head[26:28]) & 0x3FFF, numbers(head[28:30]) & 0x3FFF


def decoded(path: str | os.PathLike, picture: Image.Image, notes: list[str]) -> np.ndarray:
    """The opened picture, upright and laid over white.

    Args:
      path: the file, for messages.
      picture: what `opened` yields.
      notes: gets remarks for users appended.

    Returns:
      [height, width, 3] float32, 0..1, sRGB.

    Raises:
      InputError: grey values out of range. Pillow raises nearly every other kind on a damaged file.
    """
    if picture.info.get("animated"):
        paged = "white_is_zero" in picture.info
        notes.append("several pages; only the first is used" if paged else "animated; only its first frame is used")
    _scale_color_key(picture)
    picture.load()
    orientation = _orientation(picture.info, notes)
    profile = picture.info.get("icc_profile", b"")  # None: there was one, too damaged to unpack
    opaque: np.ndarray | None = None
    if apart.is_deep(picture):
        values = np.asarray(picture)
        if "transparency" in picture.info:
            opaque = (values != picture.info["transparency"]).astype(np.float32)
        grey = _deep_grey(path, picture, values)
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])  # littleCMS has no 16-bit grey here
        curve = _srgb(ramp, profile, notes)[0]
        image = np.empty((*grey.shape, 3), np.float32)
        for channel in range(3):
            image[..., channel] = np.interp(grey, np.linspace(0, 1, 256), curve[:, channel])
    else:
        picture = apart.plain(picture)
        if picture.mode in ("LA", "RGBA"):
            opaque = np.asarray(picture.getchannel("A"), np.float32) / 255
            picture = picture.convert(picture.mode.removesuffix("A"))
        image = _srgb(picture, profile, notes)
    if opaque is not None and opaque.min() < 1:
        notes.append("transparent; laid over white")
        opaque = opaque[..., None]
        image = image * opaque + (1 - opaque)  # before any resizing, so hidden colors do not bleed
    return _upright(image, orientation)


def _scale_color_key(picture: Image.Image) -> None:
    """Brings a PNG's transparent color to the 8 bits of the decoded pixels; Pillow leaves it at the file's depth."""
    if not isinstance(picture, PngImagePlugin.PngImageFile) or "transparency" not in picture.info:
        return
    key, coding = picture.info["transparency"], picture.tile[0].args
    if coding in ("L;2", "L;4"):
        picture.info["transparency"] = key * (85 if coding == "L;2" else 17)
    elif coding == "RGB;16B":
        picture.info["transparency"] = tuple(value >> 8 for value in key)


def _deep_grey(path: str | os.PathLike, picture: Image.Image, values: np.ndarray) -> np.ndarray:
    """Grey of more than 8 bits as `[height, width] float32, 0..1`; 0 is black."""
    top = 1 if picture.mode == "F" else 2**12 - 1 if picture.info.get("12 bits") else 2**16 - 1
    if not (values.min() >= 0 and values.max() <= top):  # not so for NaN either
        raise InputError(
            f"{shown(path)}: grey values from {values.min():g} to {values.max():g}; must be within 0..{top} here "
            "(save it with 8 or 16 bits)"
        )
    grey = values.astype(np.float32) / top
    return 1 - grey if picture.info.get("white_is_zero") else grey  # Pillow leaves it to us


def _srgb(picture: Image.Image, profile: bytes | None, notes: list[str]) -> np.ndarray:
    """Mode L, RGB or CMYK -> `[height, width, 3] float32, 0..1`, by the ICC profile when there is a good one."""
    if profile != b"":
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile or b""))
            space = source.profile.xcolor_space.strip()  # pyright: ignore[reportAttributeAccessIssue]
            mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[space]
            if mode != picture.mode and (mode, picture.mode) != ("RGB", "L"):  # grey with an RGB profile is common
                raise ValueError(f"a profile for {mode}")
            # littleCMS' shortcut is off by up to ten levels for grey in the dark; for color it is ten times as fast.
            flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags(0)
            converted = ImageCms.profileToProfile(
                picture.convert(mode), source, ImageCms.createProfile("sRGB"), outputMode="RGB", flags=flags
            )
            assert converted is not None  # only when done in place
            picture = converted
        except Exception:  # ImageCms, too, raises many kinds
            notes.append("its ICC profile is damaged or made for another kind of picture; ignored")
    image = np.array(picture.convert("RGB"), np.float32)
    image /= 255  # in place: a large picture takes much memory
    return image


def _orientation(info: dict, notes: list[str]) -> int:
    """The orientation, 1 to 8 in a good file, by a picture's EXIF data, else XMP. (Pillow's own parser warns.)"""
    try:
        raw = info.get("Raw profile type exif")  # ImageMagick's way in a PNG
        exif = info.get("exif") or (bytes.fromhex("".join(raw.split("\n")[3:])) if raw else b"")
        orientation = _exif_orientation(exif.removeprefix(b"Exif\0\0")) if exif else None
    except (ValueError, KeyError, struct.error):
        notes.append("damaged EXIF data; the orientation may be wrong")
        orientation = None
    if orientation is None:
        match = _XMP_ORIENTATION.search(info.get("xmp") or info.get("XML:com.adobe.xmp", "").encode())
        orientation = int(match[1]) if match else 1
    return orientation


def _exif_orientation(exif: bytes) -> int | None:
    """The tag in the first directory of EXIF data; None: it has none. Raises one of three errors for damaged data."""
    order = {b"II": "<", b"MM": ">"}[exif[:2]]
    magic, start = struct.unpack_from(order + "HI", exif, 2)
    (entries,) = struct.unpack_from(order + "H", exif, start)
    if magic != 42 or start + 2 + 12 * entries > len(exif):
        raise ValueError
    for place in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", exif, place)
        if tag == _ORIENTATION_TAG:
            if count != 1:
                raise ValueError
            return struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}[kind], exif, place + 8)[0]
    return None


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Undoes an EXIF orientation; anything but 2 to 8 leaves the image as it is."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def shown(path: str | os.PathLike) -> str:
    """The path as it can stand in a message of one line."""
    name = str(Path(path))
    return name if name.isprintable() else ascii(name)
