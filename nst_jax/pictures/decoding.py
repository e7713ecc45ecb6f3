"""Picture files -> arrays, with Pillow, when the files may be hostile: the inner half of `images.read_image`.

Nothing of the process is changed on the way, neither Pillow's globals nor the warning filters nor standard error: any
number of threads may read. Pillow's readers of single formats, unlike `Image.open`, heed its global limit and warn in a
few places only; files that would get there are read by `apart`, or given to Pillow without what it would trip over.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import Image

from nst_jax.errors import InputError, argument
from nst_jax.pictures import apart, color, exif, headers

TRANSPARENT = "transparent; laid over white"
"""What is said of a picture whose transparency is not kept."""
_SEVERAL = {
    "TIFF": "several pages; only the first is used",
    "HEIF": "several pictures; only the main one is used",
}


class Opened(NamedTuple):
    """A picture file that is open.

    Attributes:
      file: the file.
      kind: its format, a key of `apart.READERS`.
      picture: as Pillow has it.
      animated: whether it has several frames or pages.
      chunks: of a PNG, those that `headers.png_chunks` finds.
      decoded: the picture, when it had to be read apart.
    """

    file: IO[bytes]
    kind: str
    picture: Image.Image
    animated: bool
    chunks: dict[bytes, bytes]
    decoded: apart.Decoded | None = None


@contextmanager
def opened(path: str | os.PathLike, max_pixels: int) -> Iterator[Opened]:
    """Opens a picture; whatever goes wrong with it, in the body too, becomes an InputError.

    Args:
      path: the file.
      max_pixels: the most pixels the picture may have.

    Yields:
      The picture.

    Raises:
      InputError: it cannot be read, or is too large.
    """
    with reading(path, max_pixels) as file:
        found = _open(file, partial(check_pixels, shown(path), max_pixels), max_pixels)
        with found.picture:
            yield found


@contextmanager
def reading(path: str | os.PathLike, max_pixels: int) -> Iterator[IO[bytes]]:
    """Opens the file of a picture, as `opened` does, and leaves it to the body to read it.

    Args:
      path: the file.
      max_pixels: the most pixels the picture may have; the file's bytes are limited by them.

    Yields:
      The file.

    Raises:
      InputError: it cannot be opened, or the body raises nearly anything.
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
        with Path(path).open("rb") as file:
            yield file
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except Image.UnidentifiedImageError:
        kinds = "JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP, or HEIC with the extra heif"
        raise InputError(f"{name}: not a picture that can be read ({kinds})") from None
    except apart.UnreadError as error:
        raise InputError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{name}: too large; the limit is {max_pixels:,} pixels (raise it with {argument('max_pixels')})"
        ) from None
    except Exception as error:  # Pillow raises nearly every kind on a damaged file
        refusal = getattr(error, "strerror", None)  # the operating system's
        reason = refusal or " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{name}: cannot be read{'' if refusal else ', damaged or cut short'} ({reason})") from error


def _open(file: IO[bytes], check: Callable[[tuple[int, int]], None], max_pixels: int) -> Opened:
    """The picture in an open file, its size checked before anything takes memory for its pixels."""
    kind = headers.kind(file)
    if kind is None:
        raise Image.UnidentifiedImageError
    chunks = headers.png_chunks(file) if kind == "PNG" else {}
    if kind in apart.KINDS or headers.is_animated_png(chunks):
        return _apart(file, kind, check, max_pixels, chunks)
    if kind == "WEBP":
        check(headers.webp_size(file))  # the reader takes the memory at once
    file.seek(0)
    try:
        picture = apart.READERS[kind](file)
    except Image.DecompressionBombError:  # a WebP above Pillow's own limit
        return _apart(file, kind, check, max_pixels, chunks)
    check(picture.size)
    if picture.info.get("progressive"):
        headers.check_scans(file)
    return Opened(file, kind, picture, getattr(picture, "is_animated", False), chunks)


def _apart(
    file: IO[bytes], kind: str, check: Callable[[tuple[int, int]], None], max_pixels: int, chunks: dict[bytes, bytes]
) -> Opened:
    found, animated = apart.read(file, kind, max_pixels, check)
    return Opened(file, kind, found.picture, animated, chunks, found)


def check_pixels(name: str, max_pixels: int, size: tuple[int, int], remark: str = "") -> None:
    """Raises InputError when a picture of `size` (width and height) has more than `max_pixels`."""
    width, height = size
    if width * height > max_pixels:
        raise InputError(
            f"{name}: {width}x{height}{remark} is {width * height:,} pixels; the limit is {max_pixels:,} "
            f"(raise it with {argument('max_pixels')})"
        )


def decoded(path: str | os.PathLike, found: Opened, notes: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """The opened picture, upright and laid over white, and how opaque it was.

    Args:
      path: the file, for messages.
      found: what `opened` yields.
      notes: gets remarks for users appended.

    Returns:
      [height, width, 3] float32, 0..1, sRGB; and [height, width] float32, 1 for opaque, or None where all is.

    Raises:
      InputError: grey values out of range. Pillow raises nearly every other kind on a damaged file.
    """
    if found.animated:
        notes.append(_SEVERAL.get(found.kind, "animated; only its first frame is used"))
    picture, lower, key, of_tiff = found.decoded or apart.load(found.picture)
    info, tags = found.picture.info, _exif_tags(found, notes)
    profile = info.get("icc_profile", b"")  # None: there was one, too damaged to unpack
    mode = "L" if apart.is_deep(picture) else picture.mode.removesuffix("A")
    meaning = color.meaning(mode, _cicp(found, profile), profile, found.chunks, tags, notes)
    opaque: np.ndarray | None = None
    if apart.is_deep(picture):
        values = np.asarray(picture)
        if key is not None:
            opaque = (values != key).astype(np.float32)
        image = meaning.grey(_deep_grey(path, picture, values, of_tiff))
    elif lower is not None:
        values = np.asarray(picture).astype(np.uint16) << 8 | np.asarray(lower)
        if mode != picture.mode:
            values, opaque = values[..., :-1], values[..., -1].astype(np.float32) / 65535
            if of_tiff.get("premultiplied"):
                values = np.rint(np.minimum(values / np.maximum(opaque, 1 / 65535)[..., None], 65535)).astype(np.uint16)
        elif key is not None:
            opaque = (values != key).any(-1).astype(np.float32)
        image = meaning.deep_color(values)
    else:
        if mode != picture.mode:
            opaque = np.asarray(picture.getchannel("A"), np.float32) / 255
        image = meaning.color(picture.convert(mode))
    turn = 1 if found.kind == "TIFF" else _orientation(info, tags)  # Pillow turns TIFFs
    if opaque is None or opaque.min() == 1:
        return _upright(image, turn), None
    share = opaque[..., None]
    image = image * share + (1 - share)  # before any resizing, so hidden colors do not bleed
    return _upright(image, turn), _upright(opaque, turn)


def upright_size(found: Opened) -> tuple[int, int]:
    """Height and width that `decoded` gives an opened picture, without decoding what is not decoded yet."""
    width, height = found.picture.size
    turned = found.kind != "TIFF" and _orientation(found.picture.info, _exif_tags(found, [])) in (5, 6, 7, 8)
    return (width, height) if turned else (height, width)


def _exif_tags(found: Opened, notes: list[str]) -> dict[int, tuple[float, ...]]:
    """The entries of a picture's EXIF data that are not damaged."""
    info = found.picture.info
    raw = info.get("Raw profile type exif")  # ImageMagick's way in a PNG
    tags: dict[int, tuple[float, ...]] = {}
    try:
        data = info.get("exif") or (bytes.fromhex("".join(raw.split("\n")[3:])) if raw else b"")
        file = found.file if found.kind == "TIFF" else BytesIO(data.removeprefix(b"Exif\0\0"))
        if data or found.kind == "TIFF":
            tags.update(exif.entries(file))
    except (ValueError, KeyError):
        notes.append("damaged EXIF data; the orientation or the colors may be wrong")
    return tags


def _orientation(info: dict, tags: dict[int, tuple[float, ...]]) -> int:
    """The orientation, 1 to 8 in a good file, by a picture's EXIF data, else XMP."""
    if exif.ORIENTATION in tags:
        return int(tags[exif.ORIENTATION][0])
    return exif.xmp_orientation(info.get("xmp") or info.get("XML:com.adobe.xmp", "").encode())


def _cicp(found: Opened, profile: bytes | None) -> tuple[int, int] | None:
    """The codes of primaries and transfer that come before the ICC profile: in a PNG; elsewhere the profile does."""
    if b"cICP" in found.chunks:
        primaries, transfer, matrix, full_range = found.chunks[b"cICP"][:4].ljust(4, b"\0")
        return primaries, transfer if (matrix, full_range) == (0, 1) else 0
    return headers.cicp(found.file) if found.kind in ("AVIF", "HEIF") and not profile else None


def _deep_grey(
    path: str | os.PathLike, picture: Image.Image, values: np.ndarray, of_tiff: Mapping[str, bool]
) -> np.ndarray:
    """Grey of more than 8 bits as `[height, width] float32, 0..1`; 0 is black."""
    top = 1 if picture.mode == "F" else 2**12 - 1 if of_tiff.get("12 bits") else 2**16 - 1
    if not (values.min() >= 0 and values.max() <= top):  # not so for NaN either
        raise InputError(
            f"{shown(path)}: grey values from {values.min():g} to {values.max():g}; must be within 0..{top} here "
            "(save it with 8 or 16 bits)"
        )
    grey = values.astype(np.float32) / top
    return 1 - grey if of_tiff.get("white is zero") else grey  # Pillow leaves it to us


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
