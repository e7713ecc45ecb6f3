"""Pictures that a short-lived child process reads, since their readers would touch the whole process.

Pillow's readers of TIFF, GIF and animated PNG warn and heed a limit, both of which are set for all threads at once,
and libtiff writes to standard error by itself. In the child, which is this file run as a program, nobody minds; and a
crash of libtiff's ends the child alone. A start takes about 60 ms, so other pictures are read without one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import IO

from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

_BITS_TAG, _PHOTOMETRIC_TAG, _TILE_TAGS = 258, 262, (322, 323)  # of TIFF
_BLOCKS = ("icc_profile", "exif", "xmp")  # what a picture's info keeps in bytes; Pillow turns TIFFs upright by itself


class _Jpeg(JpegImagePlugin.JpegImageFile):
    def getexif(self) -> Image.Exif:
        return Image.Exif()  # Pillow looks for a resolution there, and warns when the data is damaged


READERS = {  # by the names of Pillow's formats; it opens no others, whatever a file's ending
    "JPEG": _Jpeg,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}


def read(file: IO[bytes], kind: str, max_pixels: int, check: Callable[[tuple[int, int]], None]) -> Image.Image:
    """Has a child process decode a picture.

    Args:
      file: an open regular file.
      kind: its format, a key of READERS.
      max_pixels: the child decodes nothing larger.
      check: is called with width and height before the pixels are taken, and raises when they are too many.

    Returns:
      The decoded picture as `plain` gives it, with what `decoding.decoded` needs in its `info`.

    Raises:
      ValueError: the file cannot be read.
      Image.DecompressionBombError: a part of the picture has far more than `max_pixels`.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-S", "-W", "ignore", __file__, kind, str(max_pixels)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,  # Ctrl-C is for the caller, who may want to go on for a moment
        check=False,
    )
    if done.returncode:
        raise ValueError(f"the reader of {kind} ended with code {done.returncode}")
    start = done.stdout.index(b"\n") + 1
    header = json.loads(done.stdout[:start])
    if "refusal" in header:
        raise (Image.DecompressionBombError if header["too large"] else ValueError)(header["refusal"])
    check(header["size"])
    blocks = []
    for length in header["lengths"]:
        blocks.append(None if length is None else done.stdout[start : start + length])
        start += length or 0
    picture = Image.frombytes(header["mode"], header["size"], blocks[0] or b"")
    picture.info = {**header["info"], **dict(zip(_BLOCKS, blocks[1:], strict=False))}
    return picture


def plain(picture: Image.Image) -> Image.Image:
    """A loaded picture in one of a few modes: L, LA, RGB, RGBA, CMYK, or grey of more than 8 bits (I.., F)."""
    if is_deep(picture) or picture.mode == "CMYK":
        return picture
    mode = "L" if picture.mode in ("1", "L", "LA", "La") else "RGB"
    return picture.convert(mode + "A" if picture.has_transparency_data else mode)


def is_deep(picture: Image.Image) -> bool:
    """Whether the picture is grey of more than 8 bits."""
    return picture.mode == "F" or picture.mode.startswith("I")


def _decode(file: IO[bytes], kind: str, max_pixels: int) -> tuple[dict, list[bytes | None]]:
    """The header that `read` understands, and what follows it."""
    with READERS[kind](file) as picture:
        if picture.width * picture.height > max_pixels:
            return {"size": picture.size}, []
        info: dict = {"animated": getattr(picture, "is_animated", False)}
        if isinstance(picture, TiffImagePlugin.TiffImageFile):
            width, height = (picture.tag_v2.get(tag, 1) for tag in _TILE_TAGS)
            if width * height > max_pixels:
                raise ValueError(f"tiles of {width}x{height} pixels; the limit is {max_pixels:,} pixels")
            info["white_is_zero"] = picture.tag_v2.get(_PHOTOMETRIC_TAG) == 0
            info["12 bits"] = picture.tag_v2.get(_BITS_TAG) == (12,)
        picture.load()
        found = [picture.info.get(name, b"") for name in (_BLOCKS[:1] if kind == "TIFF" else _BLOCKS)]
        decoded = plain(picture)
        blocks = [decoded.tobytes(), *(block if isinstance(block, bytes) else None for block in found)]
        lengths = [None if block is None else len(block) for block in blocks]
        return {"size": decoded.size, "mode": decoded.mode, "info": info, "lengths": lengths}, blocks


def main(kind: str, max_pixels: str) -> None:
    """The child: decodes standard input to standard output, a line of JSON and then bytes."""
    # Some readers ask for memory before a picture's size can be seen from here; they heed this limit.
    Image.MAX_IMAGE_PIXELS = int(max_pixels)
    try:
        with open(os.dup(0), "rb") as file:  # under another number: Pillow takes descriptor 0 for none
            file.seek(0)
            header, blocks = _decode(file, kind, int(max_pixels))
    except Exception as error:  # Pillow raises nearly every kind on a damaged file
        too_large = isinstance(error, Image.DecompressionBombError)
        header, blocks = {"refusal": str(error) or type(error).__name__, "too large": too_large}, []
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
    for block in blocks:
        sys.stdout.buffer.write(block or b"")


if __name__ == "__main__":
    main(*sys.argv[1:])
