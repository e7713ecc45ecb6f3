"""Which font draws a letter: the bundled one, the first of the system's that has it, or none."""

import os
import subprocess
import sys

import pytest
from made_fonts import font_of

from nst_jax.runs import fonts


def test_the_bundled_font_has_ascii_and_little_more(system_fonts):
    assert {fonts.file_of(chr(code)) for code in range(0x20, 0x7F)} == {""}
    assert [fonts.file_of(c) for c in "±©梵é\x07\u202e\udcff\ufffe"] == ["", "", *[None] * 6]


def test_the_first_font_that_has_a_letter(system_fonts):
    """Plain ones before others, whatever the folder's order, and whatever else lies there."""
    for name, characters in (("b", "梵高"), ("a bold", "梵高斎"), ("c", "北梵"), ("LastResort", "龍")):
        (system_fonts / f"{name}.ttf").write_bytes(font_of(characters))
    (system_fonts / "0.ttf").write_bytes(b"no font")
    (system_fonts / "1.otf").write_bytes(font_of("梵")[:300])
    (system_fonts / "2.txt").write_bytes(font_of("梵"))
    fonts.look_for("梵高")
    b, c, bold = (str(system_fonts / f"{name}.ttf") for name in ("b", "c", "a bold"))
    assert [fonts.file_of(character) for character in "梵高北斎龍я"] == [b, b, c, bold, None, None]
    lengths = [fonts.font(99, b).getlength(character) for character in "梵高"]
    assert lengths == [fonts.font(99).getlength(character) for character in "AB"]


@pytest.mark.parametrize("text", ["שלום", "فان", "ܐ", "ߐ", "١", "\u0301", "कि", "\u1100\u1161", "ᠮ", "ꡀ"])
def test_what_is_not_drawn_letter_by_letter_has_no_font(system_fonts, text):
    """Though one has it: right to left, joining, and marks would come out wrong."""
    (system_fonts / "all.ttf").write_bytes(font_of(text))
    assert None in [fonts.file_of(character) for character in text]


def test_fonts_lay_letters_out_by_themselves(system_fonts):
    """By raqm, which not every system has, sheets would differ."""
    (system_fonts / "a.ttf").write_bytes(font_of("梵"))
    assert fonts.font(20, str(system_fonts / "a.ttf")).layout_engine == 0
    assert fonts.font(20).layout_engine == 0


SCRIPT = "from nst_jax.runs import fonts; print(fonts.file_of('\\u68b5'))"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="fontconfig's folders")
@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"HOME": "{}"}, ".local/share/fonts"),
        ({"HOME": "{}"}, ".fonts"),
        ({"HOME": "{}/none", "XDG_DATA_HOME": "{}/own"}, "own/fonts"),
        ({"HOME": "{}/none", "XDG_DATA_DIRS": "{}/no:{}/one"}, "one/fonts"),
        ({"HOME": ""}, "none"),
    ],
)
def test_where_a_system_keeps_fonts(tmp_path, variables, place):
    folder = tmp_path / place / "truetype" / "a"
    folder.mkdir(parents=True)
    (folder / "a.TTF").write_bytes(font_of("梵"))
    own = {"XDG_DATA_DIRS": str(tmp_path / "nothing"), "PYTHONPATH": os.pathsep.join(sys.path)}
    own |= {name: value.format(*[tmp_path] * 2) for name, value in variables.items()}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=own, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("None" if place == "none" else str(folder / "a.TTF"))
