"""Pictures that a short-lived child process reads, since their readers would touch the whole process.

Pillow's readers of TIFF, GIF and animated PNG warn and heed a limit, both of which are set for all threads at once,
and libtiff writes to standard error by itself. In the child, which is this file run as a program, nobody minds; and a
crash of a C library, of AVIF's and HEIF's too, ends the child alone. A start takes about 60 ms, so other pictures are
read without one.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import IO, NamedTuple

from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

_BLOCKS = ("icc_profile", "exif", "xmp")  # what a picture's info keeps in bytes
_FEWER_BLOCKS = {"TIFF": _BLOCKS[:1], "AVIF": _BLOCKS[:2], "HEIF": _BLOCKS[:2]}  # XMP may tell of a turn that is done
_PACKBITS, _JPEG, _INK_SET = 32773, (6, 7), 332  # of TIFF
_UNKNOWN_LAYOUT = re.compile("unknown |Invalid value for samples|[0-9]+$")  # the last: of a compression
_CODINGS = {  # of TIFF, in place of Pillow's
    # libtiff gives numbers in the machine's byte order, which Pillow minds for 16 bits alone.
    **dict.fromkeys(("F;32F", "F;32BF"), "F;32NF"),
    **dict.fromkeys(("I;32S", "I;32BS"), "I;32NS"),
    "RGBa;16N": "RGBA;16N",  # premultiplied: the division, which Pillow does in 8 bits, is left to us
}
_DEEP_COLOR = re.compile("(LA|RGB|RGBA|RGBX|CMYK);16([BLN])")
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # big, little, native


class UnreadError(ValueError):
    """A picture, good for all one knows, of a kind that is not read here; the message is for users."""


class Decoded(NamedTuple):
    """A decoded picture, as far as Pillow goes.

    Attributes:
      picture: in one of a few modes, see `plain`.
      lower: of color of 16 bits, the lower bytes in the same mode; `picture` has the upper ones.
      key: the transparent grey or color of 16 bits.
      of_tiff: what Pillow does not mind: "white is zero", "12 bits", and that color of 16 bits is "premultiplied".
    """

    picture: Image.Image
    lower: Image.Image | None = None
    key: int | Sequence[int] | None = None
    of_tiff: Mapping[str, bool] = {}


_REFUSALS = {"unread": UnreadError, "too large": Image.DecompressionBombError, "damaged": ValueError}


class _Jpeg(JpegImagePlugin.JpegImageFile):
    def getexif(self) -> Image.Exif:
        return Image.Exif()  # Pillow looks for a resolution there, and warns when the data is damaged


def _tiff(file: IO[bytes]) -> Image.Image:
    if file.read(4) == b"MM\0+":  # which Pillow takes for an empty TIFF
        raise _unread("64-bit places in big-endian order")
    file.seek(0)
    try:
        return TiffImagePlugin.TiffImageFile(file)
    except SyntaxError as error:
        if not _UNKNOWN_LAYOUT.match(str(error)):
            raise
        raise _unread("this arrangement of bits, samples or colors") from None


def _unread(what: str) -> UnreadError:
    return UnreadError(f"a TIFF with {what} is not read here; save it with 8 bits a channel, or as PNG")


def _avif(file: IO[bytes]) -> Image.Image:
    from PIL import AvifImagePlugin  # noqa: PLC0415 (a large library that few pictures need)

    if not AvifImagePlugin.SUPPORTED:
        raise UnreadError("this build of Pillow has no AVIF")
    return AvifImagePlugin.AvifImageFile(file)


def _heif(file: IO[bytes]) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile  # noqa: PLC0415 (an extra)
    except ImportError:
        raise UnreadError('HEIC pictures need the extra heif: pip install "nst_jax[heif]"') from None
    return HeifImageFile(file)


READERS: dict[str, Callable[[IO[bytes]], Image.Image]] = {  # by the names of Pillow's formats; no others are opened
    "JPEG": _Jpeg,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": _tiff,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "AVIF": _avif,
    "HEIF": _heif,
}
KINDS = ("TIFF", "GIF", "AVIF", "HEIF")
"""Those that are always read apart."""


def read(file: IO[bytes], kind: str, max_pixels: int, check: Callable[[tuple[int, int]], None]) -> tuple[Decoded, bool]:
    """Has a child process decode a picture.

    Args:
      file: an open regular file.
      kind: its format, a key of READERS.
      max_pixels: the child decodes nothing larger.
      check: is called with width and height before the pixels are taken, and raises when they are too many.

    Returns:
      The picture, whose `info` has what blocks of metadata there are; and whether the file has several frames or pages.

    Raises:
      UnreadError: the file is of a kind that is not read.
      ValueError: the file cannot be read.
      Image.DecompressionBombError: a part of the picture has far more than `max_pixels`.
    """
    command, options = child(__file__, file, kind, max_pixels)
    done = subprocess.run(command, **options, check=False)
    if done.returncode:
        raise ValueError(f"the reader of {kind} ended with code {done.returncode}")
    stream = BytesIO(done.stdout)
    header = heard(stream)
    return received(header, stream, check), header["animated"]


def child(program: str, file: IO[bytes], kind: str, max_pixels: int) -> tuple[list[str], dict]:
    """The command of a child process that reads a picture, and the options of `subprocess` that go with it.

    Args:
      program: the module that is run, which starts with `prepared`.
      file: an open regular file.
      kind: its format, a key of READERS.
      max_pixels: the child decodes nothing larger.
    """
    command = [sys.executable, "-P", "-S", "-W", "ignore", program, kind, str(max_pixels)]
    return command, {
        "env": {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        "stdin": file,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
        "process_group": 0,  # Ctrl-C is for the caller, who may want to go on for a moment
    }


def heard(stream: IO[bytes]) -> dict:
    """The next header that a child sent; what it refused is raised, and EOFError at the end."""
    line = stream.readline()
    if not line:
        raise EOFError
    header = json.loads(line)
    if "refusal" in header:
        raise _REFUSALS[header["as"]](header["refusal"])
    return header


def received(header: dict, stream: IO[bytes], check: Callable[[tuple[int, int]], None]) -> Decoded:
    """The picture that follows a header, after `check` of its size; see `read`."""
    check(header["size"])
    blocks = [None if length is None else stream.read(length) for length in header["lengths"]]
    mode, size = header["mode"], header["size"]
    picture = Image.frombytes(mode, size, blocks[0] or b"")
    picture.info = dict(zip(_BLOCKS, blocks[2:], strict=False))
    lower = Image.frombytes(mode, size, blocks[1]) if blocks[1] else None
    return Decoded(picture, lower, header["key"], header["of_tiff"])


def plain(picture: Image.Image) -> Image.Image:
    """A loaded picture in one of a few modes: L, LA, RGB, RGBA, CMYK, or grey of more than 8 bits (I.., F)."""
    if is_deep(picture) or picture.mode == "CMYK":
        return picture
    mode = "L" if picture.mode in ("1", "L", "LA", "La") else "RGB"
    return picture.convert(mode + "A" if picture.has_transparency_data else mode)


def is_deep(picture: Image.Image) -> bool:
    """Whether the picture is grey of more than 8 bits."""
    return picture.mode == "F" or picture.mode.startswith("I")


def load(picture: Image.Image) -> Decoded:
    """Decodes a picture that one of READERS has opened."""
    lower = _lower_bytes(picture)
    _drop_text_for_color_key(picture)
    _scale_color_key(picture)
    picture.load()
    _drop_text_for_color_key(picture)  # of the texts behind the pixels
    key = picture.info.pop("transparency", None) if lower or is_deep(picture) else None
    return Decoded(plain(picture), lower, key)


def _lower_bytes(picture: Image.Image) -> Image.Image | None:
    """Color of 16 bits decoded as if in the other byte order: what Pillow then takes for the upper bytes."""
    if not isinstance(picture, PngImagePlugin.PngImageFile | TiffImagePlugin.TiffImageFile) or not picture.tile:
        return None
    if isinstance(picture, TiffImagePlugin.TiffImageFile) and _in_planes(picture):  # always in native order
        return None
    (tile,) = picture.tile
    coding, *rest = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    match = _DEEP_COLOR.fullmatch(coding or "")
    if match is None:
        return None
    assert picture.fp is not None  # for type checkers
    picture.fp.seek(0)
    again = type(picture)(picture.fp)
    swapped = "RGBA" if match[1] == "LA" else f"{match[1]};16{_OTHER_ORDER[match[2]]}"
    again.tile = [tile._replace(args=(swapped, *rest) if rest else swapped)]
    again.load()
    if match[1] == "LA":  # four bytes, two each
        _, value, _, alpha = again.split()
        return Image.merge("RGBA", (value, value, value, alpha))
    return again


def _in_planes(picture: TiffImagePlugin.TiffImageFile) -> bool:
    return picture.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2


def _drop_text_for_color_key(picture: Image.Image) -> None:
    """Pillow keeps a PNG's texts, by their keywords, where it keeps the transparent color."""
    if isinstance(picture.info.get("transparency"), str):
        del picture.info["transparency"]


def _scale_color_key(picture: Image.Image) -> None:
    """Brings a PNG's transparent grey to the 8 bits of the decoded pixels; Pillow leaves it at the file's depth."""
    if isinstance(picture, PngImagePlugin.PngImageFile) and "transparency" in picture.info:
        coding = picture.tile[0].args
        if coding in ("L;2", "L;4"):
            picture.info["transparency"] *= 85 if coding == "L;2" else 17


def _decode(file: IO[bytes], kind: str, max_pixels: int) -> tuple[dict, list[bytes | None]]:
    """The header that `read` understands, and what follows it."""
    with READERS[kind](file) as picture:
        if picture.width * picture.height > max_pixels:
            return {"size": picture.size}, []
        of_tiff = _prepare_tiff(picture, max_pixels) if isinstance(picture, TiffImagePlugin.TiffImageFile) else {}
        animated = getattr(picture, "is_animated", False)
        header, blocks = described(load(picture)._replace(of_tiff=of_tiff), picture.info, kind)
        return header | {"animated": animated}, blocks


def described(decoded: Decoded, info: dict, kind: str) -> tuple[dict, list[bytes | None]]:
    """The header of a picture of some kind, by which `received` knows it, and the blocks that follow it."""
    picture, lower, key, of_tiff = decoded
    found = [info.get(name, b"") for name in _FEWER_BLOCKS.get(kind, _BLOCKS)]
    blocks = [picture.tobytes(), lower and lower.tobytes()]
    blocks += [block if isinstance(block, bytes) else None for block in found]
    lengths = [None if block is None else len(block) for block in blocks]
    header = {"size": picture.size, "mode": picture.mode, "key": key, "of_tiff": of_tiff, "lengths": lengths}
    return header, blocks


def _prepare_tiff(picture: TiffImagePlugin.TiffImageFile, max_pixels: int) -> dict[str, bool]:
    """Refuses what Pillow decodes wrong, by a comparison of all layouts with tifffile; returns what it leaves to us."""
    tags, bits = picture.tag_v2, picture.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    width, height = (tags.get(tag, 1) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
    if width * height > max_pixels:
        raise ValueError(f"tiles of {width}x{height} pixels; the limit is {max_pixels:,} pixels")
    compression = tags.get(TiffImagePlugin.COMPRESSION, 1)
    if 2 in tags.get(TiffImagePlugin.SAMPLEFORMAT, ()) and max(bits) < 32:
        raise _unread("signed samples")
    if compression in _JPEG and max(bits) > 8:
        raise _unread("JPEG of more than 8 bits")
    if tags.get(TiffImagePlugin.PREDICTOR, 1) != 1 and compression == _PACKBITS:  # readers differ over it
        raise _unread("a predictor and PackBits")
    if _in_planes(picture) and (
        picture.mode in ("LA", "La", "PA", "LAB")
        or (picture.mode == "RGBA" and TiffImagePlugin.EXTRASAMPLES not in tags)
    ):
        raise _unread(f"{picture.mode} in planes")
    if tags.get(TiffImagePlugin.YCBCRSUBSAMPLING, (1, 1))[1] > 2 and compression not in _JPEG:
        raise _unread("one color for four rows")
    if tags.get(_INK_SET, 1) != 1:
        raise _unread("inks other than CMYK")
    if picture.mode in ("P", "PA") and 0 < max(tags[TiffImagePlugin.COLORMAP]) < 256:
        raise _unread("a color table of 8 bits")
    (tile,) = picture.tile
    assert isinstance(tile.args, tuple)  # for type checkers
    coding, *rest = tile.args
    picture.tile = [tile._replace(args=(_CODINGS.get(coding, coding), *rest))]
    return {
        "white is zero": tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0,
        "12 bits": 12 in bits,
        "premultiplied": coding == "RGBa;16N" and not _in_planes(picture),
    }


def reply(file: IO[bytes], kind: str, max_pixels: int) -> list[bytes]:
    """What the child says: a line of JSON, which tells the sizes of the bytes that follow, or why there are none."""
    blocks: list[bytes | None] = []
    try:
        header, blocks = _decode(file, kind, max_pixels)
    except Exception as error:  # Pillow raises nearly every kind on a damaged file
        header = refusal(error)
    return said(header, blocks)


def refusal(error: Exception, where: str = "") -> dict:
    """The header by which `heard` raises an error again; its message starts with `where`."""
    kind = next((name for name, known in _REFUSALS.items() if isinstance(error, known)), "damaged")
    return {"refusal": where + (str(error) or type(error).__name__), "as": kind}


def said(header: dict, blocks: Sequence[bytes | None] = ()) -> list[bytes]:
    """A header and what follows it, as bytes."""
    return [json.dumps(header).encode() + b"\n", *(block or b"" for block in blocks)]


def main(kind: str, max_pixels: str) -> None:
    """The child: decodes standard input to standard output."""
    with prepared(int(max_pixels)) as file:
        for part in reply(file, kind, int(max_pixels)):
            sys.stdout.buffer.write(part)


def prepared(max_pixels: int) -> IO[bytes]:
    """A child's standard input, after it has set what belongs to the whole process."""
    # Some readers ask for memory before a picture's size can be seen from here; they heed this limit.
    Image.MAX_IMAGE_PIXELS = max_pixels
    TiffImagePlugin.READ_LIBTIFF = True  # without compression, too: Pillow's own reader garbles 16 bits in planes
    file = open(os.dup(0), "rb")  # noqa: SIM115 (under another number: Pillow takes descriptor 0 for none)
    file.seek(0)
    return file


if __name__ == "__main__":
    main(*sys.argv[1:])
