"""The frames of animations, which a child process decodes one by one; this file is its program, too (see `apart`)."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from typing import IO, NamedTuple

from PIL import Image, WebPImagePlugin

from nst_jax.pictures import apart, gif, headers

KINDS = ("GIF", "WEBP")
"""Formats whose frames are read; other pictures are still here."""


class Frame(NamedTuple):
    """A frame, as far as Pillow goes.

    Attributes:
      decoded: the whole picture that is seen, not only what changes.
      seconds: how long it stays.
      plays: how often the animation is shown; 0 is forever.
    """

    decoded: apart.Decoded
    seconds: float
    plays: int


def read(file: IO[bytes], kind: str, max_pixels: int, check: Callable[[tuple[int, int]], None]) -> Generator[Frame]:
    """Has a child process decode an animation; the child ends with the iterator.

    Args:
      file: an open regular file; the child moves its position, so nobody else may read it meanwhile.
      kind: its format, one of KINDS.
      max_pixels: the child decodes nothing larger.
      check: is called with width and height before anything is decoded, and raises when they are too many.

    Yields:
      The frames, all of one size.

    Raises:
      ValueError: a frame, which the message names, cannot be read, or the end of the file is missing.
    """
    check(gif.screen(file) if kind == "GIF" else headers.webp_size(file))
    command, options = apart.child(__file__, file, kind, max_pixels)
    with subprocess.Popen(command, **options) as child:
        assert child.stdout is not None  # for type checkers
        try:
            for number in itertools.count(1):
                try:
                    header = apart.heard(child.stdout)
                except EOFError:
                    raise ValueError(f"frame {number}: the reader of {kind} ended with code {child.wait()}") from None
                if "end" in header:
                    return
                yield Frame(apart.received(header, child.stdout, check), header["seconds"], header["plays"])
        finally:
            child.kill()


def replies(file: IO[bytes], kind: str, max_pixels: int) -> Iterator[list[bytes]]:
    """What the child says, frame by frame."""
    number = 1
    try:
        for picture, seconds, plays in (_of_gif if kind == "GIF" else _of_webp)(file, max_pixels):
            header, blocks = apart.described(apart.Decoded(picture), picture.info, kind)
            yield apart.said(header | {"seconds": seconds, "plays": plays}, blocks)
            number += 1
        yield apart.said({"end": True})
    except Exception as error:  # Pillow raises nearly every kind on a damaged file
        yield apart.said(apart.refusal(error, f"frame {number}: "))


def _of_gif(file: IO[bytes], max_pixels: int) -> Iterator[tuple[Image.Image, float, int]]:
    plays = gif.plays(file)
    for picture, seconds in gif.composed(file, max_pixels):
        yield picture, seconds, plays


def _of_webp(file: IO[bytes], max_pixels: int) -> Iterator[tuple[Image.Image, float, int]]:
    """The size was checked before."""
    with WebPImagePlugin.WebPImageFile(file) as picture:
        for number in range(picture.n_frames):
            picture.seek(number)
            picture.load()
            yield picture, picture.info["duration"] / 1000, picture.info["loop"]


def main(kind: str, max_pixels: str) -> None:
    """The child: decodes standard input to standard output."""
    with apart.prepared(int(max_pixels)) as file:
        for parts in replies(file, kind, int(max_pixels)):
            for part in parts:
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
