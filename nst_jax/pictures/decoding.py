"""Picture files -> arrays, with Pillow, when the files may be hostile: the inner half of `images.read_image`."""

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from nst_jax.errors import InputError

READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")  # Pillow opens no other, whatever a file's ending
MAX_SCANS = 500  # of a progressive JPEG: real ones have about ten, each costs a pass over all pixels

_ORIENTATION_TAG = 0x0112  # of EXIF
_BITS_TAG, _PHOTOMETRIC_TAG, _TILE_TAGS = 258, 262, (322, 323)  # of TIFF


@contextmanager
def opened(path: str | os.PathLike, max_pixels: int) -> Iterator[Image.Image]:
    """Yields the opened, undecoded picture; whatever goes wrong with it, in the body too, becomes an InputError."""
    name = shown(path)
    limit = Image.MAX_IMAGE_PIXELS
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
            raise InputError(f"{name}: {status.st_size:,} bytes; the limit is {most:,} (raise it with --max-pixels)")
        with warnings.catch_warnings(), _silenced(), Path(path).open("rb") as file:
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata; what a user should know we say ourselves
            # Some decoders ask for memory before a picture's size can be seen from here; they heed this limit.
            Image.MAX_IMAGE_PIXELS = max_pixels
            with Image.open(file, formats=READABLE) as picture:
                _check_whole(picture, file, max_pixels)
            with Image.open(file, formats=READABLE) as picture:  # again: to check a file is to use it up
                yield picture
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except Image.UnidentifiedImageError:
        raise InputError(
            f"{name}: not a picture that can be read (JPEG, PNG, WebP, TIFF, GIF or BMP), or damaged or cut short"
        ) from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{name}: too large; the limit is {max_pixels:,} pixels (raise it with --max-pixels)"
        ) from None
    except Exception as error:  # Pillow raises nearly every kind on a damaged file
        refusal = getattr(error, "strerror", None)  # the operating system's
        reason = refusal or " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{name}: cannot be read{'' if refusal else ', damaged or cut short'} ({reason})") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _silenced() -> Iterator[None]:
    """Closes the process's standard error for a while: libtiff, in C, writes there itself, and a file gets one line."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed already
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_whole(picture: Image.Image, file: BinaryIO, max_pixels: int) -> None:
    """Finds, before decoding, what decoding would not notice, or would take too much time or memory over."""
    if picture.format == "PNG":
        picture.verify()  # checksums, and the end of the file
    elif picture.info.get("progressive"):
        file.seek(0)
        scans = sum(block.count(b"\xff\xda") for block in iter(lambda: file.read(2**20), b""))
        if scans > MAX_SCANS:
            raise ValueError(f"{scans} progressive scans; at most {MAX_SCANS} are allowed")
    elif isinstance(picture, TiffImagePlugin.TiffImageFile):
        width, height = (picture.tag_v2.get(tag, 1) for tag in _TILE_TAGS)
        if width * height > max_pixels:
            raise ValueError(f"tiles of {width}x{height} pixels; the limit is {max_pixels:,} pixels")
    file.seek(0)


def decoded(path: str | os.PathLike, picture: Image.Image, notes: list[str]) -> np.ndarray:
    """The opened picture as `[height, width, 3] float32, 0..1`, upright; appends remarks for users to `notes`."""
    _scale_color_key(picture)
    picture.load()
    orientation = _orientation(picture, notes)
    profile = picture.info.get("icc_profile", b"")  # None: there was one, too damaged to unpack
    opaque: np.ndarray | None = None
    if picture.mode == "F" or picture.mode.startswith("I"):
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
        is_grey = picture.mode in ("1", "L", "LA", "La")
        if picture.mode == "La":
            picture = picture.convert("LA")
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            opaque = np.asarray(picture.getchannel("A"), np.float32) / 255
        if is_grey:
            picture = picture.convert("L")
        elif picture.mode != "CMYK":
            picture = picture.convert("RGB")
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
    tags = picture.tag_v2 if isinstance(picture, TiffImagePlugin.TiffImageFile) else {}
    top = 1 if picture.mode == "F" else 2**12 - 1 if tags.get(_BITS_TAG) == (12,) else 2**16 - 1
    if not (values.min() >= 0 and values.max() <= top):  # not so for NaN either
        raise InputError(
            f"{shown(path)}: grey values from {values.min():g} to {values.max():g}; must be within 0..{top} here "
            "(save it with 8 or 16 bits)"
        )
    grey = values.astype(np.float32) / top
    return 1 - grey if tags.get(_PHOTOMETRIC_TAG) == 0 else grey  # 0: white is zero, which Pillow leaves to us


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


def _orientation(picture: Image.Image, notes: list[str]) -> object:
    """The EXIF orientation, 1 to 8 in a good file. (Pillow has turned a TIFF by itself, and says 1.)"""
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        try:
            orientation = picture.getexif().get(_ORIENTATION_TAG, 1)
        except Exception:  # as in opened
            orientation = None
    if orientation is None or remarks:
        notes.append("damaged EXIF data; the orientation may be wrong")
    return orientation


def _upright(image: np.ndarray, orientation: object) -> np.ndarray:
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
