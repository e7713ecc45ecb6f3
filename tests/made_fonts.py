"""Fonts for tests of headings: the letters of Pillow's bundled font, under other characters."""

import io
import struct

from PIL import ImageFont


def font_of(characters: str) -> bytes:
    """A TrueType font that has these characters alone, drawn as A, B, C and so on."""
    bundled = ImageFont.load_default(size=20)
    assert isinstance(bundled, ImageFont.FreeTypeFont)
    assert isinstance(bundled.path, io.BytesIO)
    font = bytearray(bundled.path.getvalue())
    first = 36  # the glyph of A
    pairs = sorted((ord(character), first + number) for number, character in enumerate(characters))
    groups = b"".join(struct.pack(">3I", code, code, glyph) for code, glyph in pairs)
    cmap = struct.pack(">4H I 2H 3I", 0, 1, 3, 10, 12, 12, 0, 16 + len(groups), 0, len(pairs)) + groups
    for record in range(12, 12 + 16 * struct.unpack_from(">H", font, 4)[0], 16):
        if font[record : record + 4] == b"cmap":
            struct.pack_into(">2I", font, record + 8, len(font), len(cmap))
    return bytes(font) + cmap
