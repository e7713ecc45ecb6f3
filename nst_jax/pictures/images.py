"""Pictures: files -> float32 RGB arrays and back.

Everywhere in this package a picture is `[height, width, 3] float32, 0..1, sRGB`. Files are decoded by Pillow. They are
taken to be hostile: whatever is in one, `read_image` gives a good array or one InputError, in bounded memory.
"""

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from nst_jax.errors import InputError, argument
from nst_jax.pictures import deep, files
from nst_jax.pictures.constants import BITS, MAX_PIXELS, MAX_SIDE, MIN_SIDE, WRITTEN_SIDE
from nst_jax.pictures.decoding import TRANSPARENT, check_pixels, decoded, opened, shown, upright_size

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif", ".hif", ".tif", ".tiff", ".gif", ".bmp")

_WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
WRITTEN_ENDINGS = (*_WRITTEN,)
"""Of pictures that are written."""
_WRITE_OPTIONS = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},  # 4:4:4: style transfer puts much of its detail into color
    "WEBP": {"quality": 95, "exact": True},  # or colors would be lost where alpha is 0
    "TIFF": {"compression": "tiff_deflate"},
}
_PERCEPTUAL = b"\0"  # the rendering intent that a PNG's sRGB chunk holds
_DEEP = ("PNG", "TIFF")  # those that take 16 bits
_CLEAR = ("PNG", "WEBP", "TIFF")  # those that take transparency


class PictureWarning(UserWarning):
    """Something about a picture that its user should know: "a.gif: animated; only its first frame is used"."""


def read_image(path: str | os.PathLike, *, size: int | None = None, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP file, or HEIC with the extra `heif`.

    The EXIF orientation is applied, transparency is laid over white, and CMYK without a profile is converted by
    Pillow's plain formula. Colors become sRGB, whatever they are told to be: by an ICC profile (littleCMS, perceptual
    intent); or, in float32, by a PNG's cICP (which comes before the profile), sRGB, gAMA and cHRM chunks, by the codes
    of AVIF and HEIC, or by EXIF and TIFF tags, Adobe RGB among them. PQ and HLG, of HDR pictures, are not converted.
    `nst_jax.pictures.color` has the formulae.

    Grey and color of 16 bits keep their precision, with two exceptions: conversion by an ICC profile works in 8 bits
    (color: the upper byte; grey: through a curve of 256 points), and so does color in a TIFF that stores each channel
    in a plane of its own. Float TIFFs must be grey within 0..1, and grey in 32-bit integers is taken to hold 16-bit
    values. Layouts of TIFF that Pillow would garble are refused.

    The process stays as it is, so any number of threads may read. TIFF, GIF, AVIF and HEIC files are decoded by a child
    process, which takes about 60 ms more (see `nst_jax.pictures.apart`).

    Args:
      path: the file.
      size: the longest side in pixels to resize to (see `fit`); None keeps the picture's own size.
      max_pixels: the most pixels a picture may have, before and after resizing. Checked before decoding, which takes
        about 50 bytes of memory a pixel.

    Returns:
      [height, width, 3] float32, 0..1, sRGB.

    Raises:
      InputError: the file is missing, not a regular file, unreadable, empty, damaged, cut short, not a picture in one
        of these formats, too large, or has a side of less than 32 pixels after resizing.

    Warns:
      PictureWarning: only the first of several frames or pages is used; transparency was laid over white; colors were
        not converted; a damaged ICC profile or other damaged data about colors or orientation was ignored.

    Example:
      >>> photo = nst.read_image("photo.jpg", size=96)
      >>> photo.dtype, max(photo.shape)
      (dtype('float32'), 96)
    """
    image, alpha, notes = _read(path, size, max_pixels)
    for note in notes if alpha is None else [*notes, TRANSPARENT]:
        warnings.warn(f"{shown(path)}: {note}", PictureWarning, stacklevel=2)
    return image


def read_with_alpha(
    path: str | os.PathLike, *, size: int | None = None, max_pixels: int = MAX_PIXELS
) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a picture as `read_image` does, and its transparency, which `write_image` gives to another.

    Args:
      path: the file.
      size: as `read_image` takes it.
      max_pixels: as `read_image` takes it.

    Returns:
      The picture laid over white, [height, width, 3] float32, 0..1, sRGB; and its alpha, [height, width] float32, from
      0 for transparent to 1 for opaque, resized by the same filter. None where all of the picture is opaque.

    Raises:
      InputError: as `read_image`.

    Warns:
      PictureWarning: as `read_image`, but for transparency.

    Example:
      >>> photo = nst.read_image("photo.jpg")
      >>> fading = np.linspace(0, 1, 64, dtype=np.float32) * np.ones((43, 1), np.float32)
      >>> nst.write_image("soft.png", photo, alpha=fading)
      >>> picture, alpha = nst.pictures.read_with_alpha("soft.png", size=48)
      >>> picture.shape, alpha.shape, round(alpha.mean().item(), 2)
      ((32, 48, 3), (32, 48), 0.5)
      >>> nst.pictures.read_with_alpha("photo.jpg")[1] is None
      True
    """
    image, alpha, notes = _read(path, size, max_pixels)
    for note in notes:
        warnings.warn(f"{shown(path)}: {note}", PictureWarning, stacklevel=2)
    return image, alpha


def _read(
    path: str | os.PathLike, size: int | None, max_pixels: int
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """A picture laid over white, its alpha, and remarks for users."""
    notes: list[str] = []
    with opened(path, max_pixels) as found:
        check_size(path, found.picture.size, size, max_pixels)
        image, alpha = decoded(path, found, notes)
        if size is not None:
            image, alpha = fit(image, size), None if alpha is None else fit(alpha[..., None], size)[..., 0]
    return image, alpha, notes


def read_size(path: str | os.PathLike, *, size: int | None = None, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Height and width that `read_image` gives a picture, mostly from the start of its file.

    Args:
      path: the file.
      size: as `read_image` takes it.
      max_pixels: likewise.

    Returns:
      The two, in pixels.

    Raises:
      InputError: as `read_image`, as far as it shows without the pixels.
    """
    with opened(path, max_pixels) as found:
        check_size(path, found.picture.size, size, max_pixels)
        height, width = upright_size(found)
    return fitted((height, width), size)


def pictures_in(folder: Path, name: str) -> list[Path]:
    """The pictures in a folder and its sub-folders, known by their endings; no hidden ones.

    Args:
      folder: the folder.
      name: of the argument that holds `folder`; messages start with it.

    Returns:
      The paths, each starting with `folder`, sorted.

    Raises:
      InputError: `folder` is not a folder, or holds no picture.

    Warns:
      PictureWarning: other files were skipped.

    Example:
      >>> from pathlib import Path
      >>> [path.name for path in nst.pictures.pictures_in(Path("."), "content")][-2:]
      ['painting.jpg', 'photo.jpg']
    """
    if not folder.is_dir():
        raise InputError(f"{name} {shown(folder)}: is not a folder; name one with pictures in it")
    inside = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    found = [path for path in inside if not any(part.startswith(".") for part in path.parts)]
    pictures = [folder / path for path in found if path.suffix.lower() in ENDINGS]
    if not pictures:
        raise InputError(f"{name} {shown(folder)}: no pictures in it ({' '.join(ENDINGS)})")
    if len(pictures) < len(found):
        first = next(path for path in found if path.suffix.lower() not in ENDINGS)
        others = f" and {len(found) - len(pictures) - 1} more" if len(found) - len(pictures) > 1 else ""
        warnings.warn(
            f"{shown(folder / first)}{others}: not pictures by their endings; skipped", PictureWarning, stacklevel=2
        )
    return pictures


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes an image so that its longest side has `size` pixels, by the filter of `resize`.

    Args:
      image: [height, width, channels] float32, 0..1.
      size: in pixels.

    Returns:
      [height, width, channels] float32, 0..1, the aspect kept to the nearest pixel. An image that fits is returned as
      it is.

    Example:
      >>> from nst_jax.pictures.images import fit
      >>> max(fit(nst.read_image("photo.jpg"), 48).shape)
      48
    """
    height, width = image.shape[:2]
    width, height = fitted((width, height), size)
    return resize(image, height, width)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes an image: Lanczos (3 lobes) on float32 channels, clipped to 0..1.

    The filter widens with the reduction, so nothing aliases.

    Args:
      image: [h, w, channels] float32, 0..1.
      height: in pixels.
      width: in pixels.

    Returns:
      [height, width, channels] float32, 0..1. An image of that size already is returned as it is.

    Example:
      >>> from nst_jax.pictures.images import resize
      >>> resize(nst.read_image("photo.jpg"), 32, 40).shape
      (32, 40, 3)
    """
    if image.shape[:2] == (height, width):
        return image
    resized = np.empty((height, width, image.shape[2]), np.float32)
    for channel in range(image.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(image[..., channel], dtype=np.float32))
        resized[..., channel] = np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS))
    return np.clip(resized, 0, 1, out=resized)


def check_output(
    path: str | os.PathLike, name: str = argument("output"), bits: int = 8, *, transparent: bool = False
) -> None:
    """Checks where a picture is to be written, before it is made.

    Args:
      path: the file.
      name: of the argument that holds `path`; messages start with it.
      bits: a channel, as `write_image` takes them.
      transparent: whether it is to have an alpha.

    Raises:
      InputError: `write_image` does not know the ending of `path`, or the format does not hold so many bits, or no
        alpha, or no file can be created there.

    Example:
      >>> nst.pictures.check_output("out.png")
      >>> nst.pictures.check_output("out.xyz")
      Traceback (most recent call last):
        ...
      nst_jax.errors.InputError: output out.xyz: unknown ending; known are .png .jpg .jpeg .webp .tif .tiff
    """
    check_ending(path, name, bits, transparent=transparent)
    files.check_writable(path, name)


def check_ending(
    path: str | os.PathLike, name: str = argument("output"), bits: int = 8, *, transparent: bool = False
) -> None:
    """Does of `check_output` what needs no folder: raises InputError unless the format takes such a picture."""
    _kind(path, bits, transparent, f"{name} {shown(path)}")


def write_image(
    path: str | os.PathLike, image: np.ndarray, settings: Mapping[str, str] | None = None, bits: int = 8, *,
    alpha: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Writes an image with 8 or 16 bits a channel, clipped and rounded, whole or not at all.

    The same array gives the same bytes.

    Args:
      path: the file. Its ending decides the format: .png and .tif/.tiff (deflate) are exact; .jpg/.jpeg (4:4:4) and
        .webp lose a little, at quality 95.
      image: [height, width, 3], 0..1, sRGB.
      settings: what a PNG carries along, each as an iTXt chunk (keys: 1 to 79 Latin-1 characters); the other formats
        carry none of them.
      bits: a channel: 8, or 16 in a PNG or TIFF, which are more than twice as large.
      alpha: [height, width], from 0 for transparent to 1 for opaque, with as many bits, in a PNG, WebP or TIFF; colors
        are kept where it is 0, too. None makes an opaque picture.

    Raises:
      InputError: an unknown ending; more bits or pixels a side than the format can hold; an alpha, where it holds none.
      ValueError: `image` or `alpha` has another shape, or values that are not finite.
      OSError: the file cannot be written.

    Example:
      >>> photo = nst.read_image("photo.jpg")
      >>> nst.write_image("copy.png", photo, {"title": "a copy"})
      >>> nst.read_image("copy.png").shape == photo.shape
      True
    """
    kind = _kind(path, bits, alpha is not None, shown(path))
    pixels = levels(image, bits)
    if alpha is not None:
        if alpha.shape != image.shape[:2]:
            raise ValueError(f"alpha: got shape {alpha.shape}; must be the image's {image.shape[:2]}")
        pixels = np.concatenate([pixels, _rounded(alpha[..., None], bits, "alpha")], 2)
    limit = WRITTEN_SIDE.get(kind)
    if limit is not None and max(image.shape) > limit:
        raise InputError(f"{shown(path)}: {kind} holds at most {limit} pixels a side, got {max(image.shape)}; use .png")
    options: dict = dict(_WRITE_OPTIONS[kind])
    if kind == "PNG":
        options["pnginfo"] = chunks = PngImagePlugin.PngInfo()
        chunks.add(b"sRGB", _PERCEPTUAL)
        for key, value in (settings or {}).items():
            # File names may hold bytes that are no UTF-8 (lone surrogates here); hours of work must not end in that.
            chunks.add_itxt(key, value.encode("utf-8", "backslashreplace").decode())
    with files.atomic(path) as temporary:
        if bits == 8:
            Image.fromarray(pixels).save(temporary, kind, **options)
        elif kind == "PNG":
            deep.write_png(temporary, pixels, options["pnginfo"])
        else:
            deep.write_tiff(temporary, pixels)


def encoded(image: np.ndarray) -> bytes:
    """The bytes of a PNG file of an image, [height, width, 3], 0..1, with 8 bits a channel; ValueError as `levels`."""
    buffer = io.BytesIO()
    Image.fromarray(levels(image)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def levels(image: np.ndarray, bits: int = 8, name: str = "image") -> np.ndarray:
    """What a file holds of an image: its values clipped and rounded.

    Args:
      image: [height, width, 3], 0..1, sRGB.
      bits: a channel, 8 or 16.
      name: of the image; messages start with it.

    Returns:
      [height, width, 3] uint8 or uint16.

    Raises:
      ValueError: `image` has another shape, or values that are not finite.
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{name}: got shape {image.shape}; must be [height, width, 3]")
    return _rounded(image, bits, name)


def _rounded(values: np.ndarray, bits: int, name: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: holds values that are not finite (NaN or infinity)")
    return np.rint(np.clip(values, 0, 1) * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def _kind(path: str | os.PathLike, bits: int, transparent: bool, told: str) -> str:
    """The format to write by a path's ending; InputError, starting with `told`, when it does not hold what is asked."""
    kind = _WRITTEN.get(Path(path).suffix.lower())
    if kind is None:
        raise InputError(f"{told}: unknown ending; known are {' '.join(WRITTEN_ENDINGS)}")
    if bits not in BITS:
        raise InputError(f"{argument('bits')}: {bits!r} is unknown; known are {', '.join(map(str, BITS))}")
    if bits == 16 and kind not in _DEEP:
        raise InputError(f"{told}: {kind} holds 8 bits a channel; {argument('bits')} 16 takes {_endings(_DEEP)}")
    if transparent and kind not in _CLEAR:
        raise InputError(f"{told}: {kind} holds no transparency; what does is {_endings(_CLEAR)}")
    return kind


def _endings(kinds: Sequence[str]) -> str:
    return " ".join(ending for ending, kind in _WRITTEN.items() if kind in kinds)


def read_settings(path: str | os.PathLike) -> dict[str, str]:
    """The text chunks of a PNG file.

    Args:
      path: the file.

    Returns:
      Each chunk's text by its key, at most 64 MiB of them; empty for other formats.

    Raises:
      InputError: the file cannot be read (see `read_image`).
    """
    with opened(path, MAX_PIXELS) as found:
        if not isinstance(found.picture, PngImagePlugin.PngImageFile):
            return {}
        return {key: str(value) for key, value in found.picture.text.items()}


def check_size(path: str | os.PathLike, original: tuple[int, int], size: int | None, max_pixels: int) -> None:
    """Checks a picture's size, before and after `fit`.

    Args:
      path: the file, for messages.
      original: width and height in pixels.
      size: of the longest side, as `fit` takes it; None where it stays.
      max_pixels: the most pixels the picture may have.

    Raises:
      InputError: it has too many pixels, or a side is too long, or too short for the network.
    """
    name = shown(path)
    for (width, height), remark in ((original, ""), (fitted(original, size), f" ({argument('size')} {size})")):
        check_pixels(name, max_pixels, (width, height), remark)
        if max(width, height) > MAX_SIDE:
            raise InputError(f"{name}: {width}x{height}{remark} pixels; a side may have at most {MAX_SIDE:,}")
    if min(width, height) < MIN_SIDE:
        resized = "" if size is None else f" after {argument('size')} {size}"
        raise InputError(f"{name}: {width}x{height} pixels{resized}; each side must have at least {MIN_SIDE}")


def fitted(original: tuple[int, int], size: int | None) -> tuple[int, int]:
    """Scales two sides as `fit` does.

    Args:
      original: in pixels.
      size: of the longest, in pixels; None leaves both as they are.

    Returns:
      The two, the other rounded half up, at least 1.
    """
    if size is None:
        return original
    longest = max(original)
    first, second = (max(1, (2 * side * size + longest) // (2 * longest)) for side in original)
    return first, second
