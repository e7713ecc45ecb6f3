"""Animations: frames -> GIF and WebP files, and back, one frame at a time.

How GIF's 256 colors are found was measured on crossfades of a photograph and a painting, on a slowly changing sky, and
on a picture that comes out of noise, of 256 pixels. A palette of each frame's own, by median cut and k-means, with
Floyd and Steinberg's dithering, has the least bands: means of 4x4 pixels are off by 0.6 to 1.4 levels (rms). Without
dithering they are off by 1.7 to 2.5, in files that are smaller by 2 to 4 % (28 % for the sky); ordered dithering is no
better than none. One palette for all frames takes 15 to 20 % less, and is off by up to half as much again.
"""

import itertools
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from nst_jax.errors import InputError, argument
from nst_jax.pictures import files, headers
from nst_jax.pictures.constants import MAX_PIXELS, WRITTEN_SIDE
from nst_jax.pictures.decoding import TRANSPARENT, Opened, check_pixels, decoded, reading, shown
from nst_jax.pictures.frames import KINDS, read
from nst_jax.pictures.images import PictureWarning, check_size, fit, levels, read_image

_SECONDS, _HOLD = 0.1, 1.0
_WRITTEN = {".gif": "GIF", ".webp": "WEBP"}
ENDINGS = (*_WRITTEN,)
"""Of animations that are written."""
_WRITE_OPTIONS = {"GIF": {}, "WEBP": {"quality": 90, "method": 4}}
_SHORTEST = 0.02  # seconds that may be asked for; programs that show animations take the least times for 0.1
_TAKEN_FOR_MORE = 0.01  # seconds: up to that they do
_TICKS = {"GIF": 100, "WEBP": 1000}  # a second
_LEAST = {"GIF": 2, "WEBP": 11}  # ticks that are shown as they are
_MOST_PLAYS = {"GIF": 65_536, "WEBP": 65_535}
_LONGEST = {"GIF": 655.35, "WEBP": 16_777.215}  # seconds that a frame can stay: 16 bits of 1/100, 24 of 1/1000
_PALETTE_PIXELS = 2**15  # that a palette is made of; k-means of a million takes seconds, for 2 % less error


class Frame(NamedTuple):
    """A frame of an animation.

    Attributes:
      image: [height, width, 3] float32, 0..1, sRGB.
      seconds: how long it stays; 0 where the file does not say, as for a still picture.
      plays: how often the animation is shown, the same for all its frames; 0 is forever.
    """

    image: np.ndarray
    seconds: float
    plays: int


def check_animation(
    path: str | os.PathLike, name: str = argument("output"), *, seconds: float = _SECONDS, hold: float = _HOLD
) -> None:
    """Checks where an animation is to be written, before its frames are made.

    Args:
      path: the file.
      name: of the argument that holds `path`; messages start with it.
      seconds: as `write_animation` takes it.
      hold: as `write_animation` takes it.

    Raises:
      InputError: `write_animation` does not know the ending of `path`, or the format does not hold such times, or no
        file can be created there.

    Example:
      >>> nst.pictures.check_animation("out.gif")
      >>> nst.pictures.check_animation("out.mp4")
      Traceback (most recent call last):
        ...
      nst_jax.errors.InputError: output out.mp4: not an animation's ending; known are .gif .webp
    """
    _kind(path, seconds, hold, f"{name} {shown(path)}")
    files.check_writable(path, name)


def write_animation(
    path: str | os.PathLike, frames: Iterable[np.ndarray], *, seconds: float | Sequence[float] = _SECONDS,
    hold: float = _HOLD, plays: int = 0,
) -> None:  # fmt: skip
    """Writes an animation, whole or not at all.

    Frames are taken one by one, and kept with 8 bits a pixel for GIF, and 24 for WebP, until all are there. Frames in a
    row that are alike are written as one that stays longer. The same frames give the same bytes.

    Args:
      path: the file. Its ending decides the format: .webp (quality 90) is about half as large as .gif (256 colors
        for each frame, dithered) and as close to the frames.
      frames: at least one, each [height, width, 3], 0..1, sRGB, all of one size.
      seconds: how long each frame stays, at least 0.02; or a time for each frame, as another animation has them, where
        what programs take for 0.1 becomes that. A GIF holds 1/100 and a WebP 1/1000: what is rounded off one frame
        comes to the next, so that all together take as long as they should.
      hold: how many seconds longer the last one stays.
      plays: how often it is shown; 0 is forever. A format's most, about 65,000, stands for more.

    Raises:
      InputError: an unknown ending, times or sides that the format cannot hold, no frames, frames of several sizes, or
        more or fewer frames than times.
      ValueError: a frame has another shape, or values that are not finite.
      OSError: the file cannot be written.

    Example:
      >>> photo = nst.read_image("photo.jpg")
      >>> nst.pictures.write_animation("fade.webp", (photo * light for light in (1, 0.8, 0.6)), seconds=0.2)
      >>> nst.pictures.write_animation("twice.gif", [photo, photo / 2], seconds=[0.5, 0.1], hold=0, plays=2)
    """
    kind = _kind(path, seconds, hold, shown(path))
    pictures: list[Image.Image] = []
    times: list[float] = []
    size, seen, number = (0, 0), b"", 0
    for number, frame in enumerate(frames, 1):
        picture = Image.fromarray(levels(frame, name=f"frame {number}"))
        if max(picture.size) > WRITTEN_SIDE[kind]:
            raise InputError(
                f"{shown(path)}: {kind} holds at most {WRITTEN_SIDE[kind]} pixels a side, got {max(picture.size)}"
            )
        size = size if pictures else picture.size
        if picture.size != size:
            (width, height), (first_width, first_height) = picture.size, size
            raise InputError(
                f"{argument('frames')}: frame {number} has {width}x{height} pixels, the first {first_width}x"
                f"{first_height}; all must have one size"
            )
        picture = _of_256_colors(picture) if kind == "GIF" else picture
        own = _time(seconds, number)
        before, seen = seen, picture.convert("RGB").tobytes()
        if seen == before:  # the encoders, too, make one of them, but not for longer than the format allows
            times[-1] = min(times[-1] + own, _LONGEST[kind])
        else:
            pictures.append(picture)
            times.append(own)
    if not pictures:
        raise InputError(f"{argument('frames')}: there are none; an animation takes at least one")
    if isinstance(seconds, Sequence) and len(seconds) > number:
        raise InputError(f"{argument('seconds')}: {len(seconds)} given for {number} frames; give one for each")
    times[-1] = min(times[-1] + hold, _LONGEST[kind])
    first, *others = pictures
    with files.atomic(path) as temporary:
        first.save(
            temporary, kind, save_all=True, append_images=others, duration=_milliseconds(times, kind),
            **_loop(plays, kind), **_WRITE_OPTIONS[kind],
        )  # fmt: skip


class Survey(NamedTuple):
    """What there is to know of an animation before its frames are asked for.

    Attributes:
      height: of each frame, in pixels.
      width: likewise.
      seconds: how long each stays, as `read_animation` tells it.
      plays: likewise.
    """

    height: int
    width: int
    seconds: tuple[float, ...]
    plays: int


def survey(path: str | os.PathLike, *, size: int | None = None, max_pixels: int = MAX_PIXELS) -> Survey | None:
    """Goes through the frames of a GIF or WebP file, so that damage shows before anything is made of the first.

    Args:
      path: the file.
      size: as `read_animation` takes it.
      max_pixels: likewise.

    Returns:
      What was found; None for a still picture.

    Raises:
      InputError: as `read_animation`; of a still picture, only if it cannot be opened.
    """
    with reading(path, max_pixels) as file:
        if headers.kind(file) not in KINDS:
            return None
    last, seconds = None, []
    for last in _frames(path, size, max_pixels, []):
        seconds.append(last.seconds)
    if last is None or len(seconds) == 1:
        return None
    height, width = last.image.shape[:2]
    return Survey(height, width, tuple(seconds), last.plays)


def read_animation(
    path: str | os.PathLike, *, size: int | None = None, max_pixels: int = MAX_PIXELS
) -> Iterator[Frame]:
    """Reads the frames of a GIF or WebP file; any other picture that `read_image` reads is one frame.

    Each frame is what is seen while it is shown, with transparency laid over white, and its colors are sRGB, as those
    of `read_image`. A child process decodes them as they are asked for, and ends with the iterator. A file that is cut
    short is refused at the first frame; other damage shows at the frame that has it.

    Args:
      path: the file.
      size: the longest side in pixels to resize to (see `fit`); None keeps the frames' own size.
      max_pixels: the most pixels a frame may have, before and after resizing.

    Yields:
      The frames in their order, all of one size.

    Raises:
      InputError: as `read_image` does; of a damaged frame the message has the number, counted from 1.

    Warns:
      PictureWarning: as `read_image` does; once for all frames.

    Example:
      >>> photo = nst.read_image("photo.jpg")
      >>> nst.pictures.write_animation("fade.gif", [photo, photo / 2], seconds=0.2, hold=0.8)
      >>> [(frame.image.shape, frame.seconds, frame.plays) for frame in nst.pictures.read_animation("fade.gif")]
      [((43, 64, 3), 0.2, 0), ((43, 64, 3), 1.0, 0)]
    """
    with reading(path, max_pixels) as file:
        kind = headers.kind(file)
    if kind not in KINDS:
        yield Frame(read_image(path, size=size, max_pixels=max_pixels), 0, 1)
        return
    told: set[str] = set()
    notes: list[str] = []
    for frame in _frames(path, size, max_pixels, notes):
        for note in itertools.filterfalse(told.__contains__, notes):
            warnings.warn(f"{shown(path)}: {note}", PictureWarning, stacklevel=2)
        told.update(notes)
        yield frame


def _frames(path: str | os.PathLike, size: int | None, max_pixels: int, notes: list[str]) -> Iterator[Frame]:
    """The frames of a file of one of KINDS; `notes` gets the remarks for users on the latest one."""
    with reading(path, max_pixels) as file:
        kind = headers.kind(file) or ""
        with closing(read(file, kind, max_pixels, partial(check_pixels, shown(path), max_pixels))) as frames:
            for found, seconds, plays in frames:
                check_size(path, found.picture.size, size, max_pixels)
                notes.clear()
                image, alpha = decoded(path, Opened(file, kind, found.picture, False, {}, found), notes)
                notes += [] if alpha is None else [TRANSPARENT]
                yield Frame(image if size is None else fit(image, size), seconds, plays)


def _kind(path: str | os.PathLike, seconds: float | Sequence[float], hold: float, told: str) -> str:
    """The format to write by a path's ending; InputError, starting with `told`, when there is none for it."""
    kind = _WRITTEN.get(Path(path).suffix.lower())
    if kind is None:
        raise InputError(f"{told}: not an animation's ending; known are {' '.join(_WRITTEN)}")
    longest = _LONGEST[kind]
    if isinstance(seconds, Sequence):
        for number, own in enumerate(seconds, 1):
            if not 0 <= own <= longest:
                allowed = f"must be within 0..{longest} for {kind}"
                raise InputError(f"{argument('seconds')}: {own!r} of frame {number}; {allowed}")
        seconds = 0.0
    elif not _SHORTEST <= seconds <= longest:  # not so for NaN either
        raise InputError(f"{argument('seconds')}: {seconds!r}; must be within {_SHORTEST}..{longest} for {kind}")
    if not 0 <= hold <= longest - seconds:
        raise InputError(
            f"{argument('hold')}: {hold!r}; must be within 0..{longest - seconds:g} for {kind} "
            f"with {argument('seconds')} {seconds:g}"
        )
    return kind


def _time(seconds: float | Sequence[float], number: int) -> float:
    """How long a frame stays, by its number from 1."""
    if not isinstance(seconds, Sequence):
        return seconds
    if number > len(seconds):
        raise InputError(f"{argument('seconds')}: {len(seconds)} given for more frames; give one for each")
    own = seconds[number - 1]
    return _SECONDS if own <= _TAKEN_FOR_MORE else own


def _milliseconds(times: Sequence[float], kind: str) -> list[int]:
    """Times as a format holds them; what is rounded off one comes to the next."""
    found, left = [], 0.0
    for time in times:
        exact = _TICKS[kind] * time + left
        ticks = max(round(exact), _LEAST[kind])
        left = exact - ticks if ticks == round(exact) else 0.0
        found.append(ticks * 1000 // _TICKS[kind])
    return found


def _loop(plays: int, kind: str) -> dict[str, int]:
    """How Pillow is told how often an animation is shown; a GIF counts repeats, and says nothing of a single show."""
    plays = min(plays, _MOST_PLAYS[kind])
    if kind == "GIF" and plays:
        return {"loop": plays - 1} if plays > 1 else {}
    return {"loop": plays}


def _of_256_colors(picture: Image.Image) -> Image.Image:
    """A picture with a palette of its own, dithered."""
    stride = 1
    while (picture.width // stride) * (picture.height // stride) > _PALETTE_PIXELS:
        stride += 1
    few = Image.fromarray(np.ascontiguousarray(np.asarray(picture)[::stride, ::stride]))
    palette = few.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)
    return picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
