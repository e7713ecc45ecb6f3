"""Which font draws a letter: the bundled one, or the first of the system's that has it."""

import os
import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_SIZE = 24  # pixels at which glyphs are compared
_NOBODY_S = "\U0010ffff"  # no font has it; what is drawn for it is drawn for every letter that a font lacks
# Letters that change their form beside others: conjoining Hangul, Mongolian, Phags-pa.
_JOINING = re.compile("[\u1100-\u11ff\u1800-\u18af\ua840-\ua87f\ua960-\ua97f\ud7b0-\ud7ff]")
_STYLED = re.compile("bold|ital|obliq|light|thin|black|heavy|cond|mono|serif|math|symbol", re.IGNORECASE)

_known: dict[str, str | None] = {}  # font files by character, "" for the bundled font, None for none


@lru_cache(maxsize=64)
def font(size: int, file: str = "") -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font, for letters drawn one by one from left to right.

    Args:
      size: in pixels.
      file: the font's file; the bundled font without one.

    Returns:
      The font. It lays letters out by itself (not by raqm, which not every system has).
    """
    if not file:
        return ImageFont.load_default(size=size)
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)


def look_for(characters: Iterable[str]) -> None:
    """Looks through the system's fonts for all of these characters at once, which `file_of` then knows."""
    found: dict[str, str | None] = {c: None for c in characters if c not in _known and not c.isascii()}
    sought = set(filter(_stands_alone, found))
    for file in ("", *(_files() if sought else ())):
        here = _drawn_by(file, sought)
        found.update(dict.fromkeys(here, file))
        sought -= here
        if not sought:
            break
    _known.update(found)


def file_of(character: str) -> str | None:
    """The font that draws a character; "" is the bundled one, and None says that there is none.

    There is none either for what is not drawn right letter by letter, from left to right: scripts that run from right
    to left or join, and marks over or under a letter.
    """
    if character.isascii():
        return "" if character.isprintable() else None
    if character not in _known:
        look_for(character)
    return _known[character]


def _stands_alone(character: str) -> bool:
    kind, direction = unicodedata.category(character), unicodedata.bidirectional(character)
    return kind[0] in "LNPS" and direction not in ("R", "AL", "AN") and not _JOINING.match(character)


@lru_cache(maxsize=1)
def _files() -> tuple[str, ...]:
    """The system's fonts, plain ones first, always in the same order."""
    found = {
        Path(folder, name)
        for fonts in _folders()
        for folder, _, names in os.walk(fonts)
        for name in names
        # Apple's font of last resort has a box with a script's name for every letter.
        if name.lower().endswith((".ttf", ".otf", ".ttc")) and "lastresort" not in name.lower()
    }
    return tuple(map(str, sorted(found, key=lambda path: (bool(_STYLED.search(path.name)), path.name, path))))


def _folders() -> list[Path]:
    """Where systems and users keep fonts: fontconfig's folders, and those of macOS and Windows."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        own = os.environ.get("LOCALAPPDATA", home) + r"\Microsoft\Windows\Fonts"
        return [Path(os.environ.get("WINDIR", r"C:\Windows"), "Fonts"), Path(own)]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), Path(home, "Library/Fonts")]
    data = [os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share"]
    data += (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    return [*(Path(folder, "fonts") for folder in data), Path(home, ".fonts")]


def _drawn_by(file: str, characters: set[str]) -> set[str]:
    """Those that a font has a glyph for. A file that is no font, or one of pixels of another size, has none."""
    try:
        shapes = {character: _shape(file, character) for character in (*characters, _NOBODY_S)}
    except OSError:
        return set()
    missing = shapes.pop(_NOBODY_S)
    return {character for character, shape in shapes.items() if any(shape) and shape != missing}


def _shape(file: str, character: str) -> bytes:
    canvas = Image.new("L", (3 * _SIZE, 3 * _SIZE))
    ImageDraw.Draw(canvas).text((_SIZE, 2 * _SIZE), character, 255, font(_SIZE, file), anchor="ls")
    return canvas.tobytes()
