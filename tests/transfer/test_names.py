"""Names that every file system takes, of any script; numbers in headings."""

import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nst_jax.transfer import names

DEVICES = ["CON", "prn", "Aux", "NUL", *(f"{port}{n}" for port in ("COM", "lpt") for n in "123456789¹²³")]
INVISIBLE = "\u034f\u115f\u1160\u17b4\u3164\ufe0f\uffa0\U000e0100"
scripts = st.text(st.characters(categories=["L", "M", "N", "P", "S", "Z", "C"]), max_size=300)
marked = st.text(st.sampled_from("aée漢葛がक्षकि한각אُ\u0301\u0323\u0338.-_+ "), max_size=300)


def assert_safe(name: str) -> None:
    """A name with `.png` behind it that no file system refuses, changes or takes for another thing."""
    assert name
    assert len(f"{name}.png".encode()) <= 255
    assert unicodedata.normalize("NFC", name) == name
    assert all(c in "._+-" or unicodedata.category(c)[0] in "LMN" for c in name), ascii(name)
    assert not re.match(r"[.-]|(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name, re.IGNORECASE)
    assert name[-1] not in ". "
    assert not set(name) & set(INVISIBLE)
    for before, mark in zip(" " + name, name, strict=False):
        assert unicodedata.category(mark)[0] != "M" or unicodedata.category(before)[0] in "LMN", ascii(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("梵高", "梵高"),
        ("北斎 漫画", "北斎-漫画"),
        ("Dürer, Hase", "Dürer-Hase"),
        ("Du\u0308rer", "Dürer"),
        ("Хокусай", "Хокусай"),
        ("فان جوخ", "فان-جوخ"),
        ("की तस्वीर", "की-तस्वीर"),
        ("ভ্যান গখ ৩", "ভ্যান-গখ-৩"),
        ("x\u0304 и\u0306", "x\u0304-й"),
        ("❤\ufe0f a", "a"),
        ("葛\U000e0100飾", "葛飾"),
        ("ⅷ ½ ①", "ⅷ-½-①"),
        ("α 10⁻⁵, m²", "α-1e-5-m2"),
        ("a\u202egnp.exe", "a-gnp.exe"),
        ("con", "_con"),
        ("NUL.tar", "_NUL.tar"),
        ("Com¹", "_Com1"),
        ("console", "console"),
        ("a. ", "a"),
        ("..a", "a"),
        ("\u0301", "lane"),
        ("-\u0301x", "x"),
        ("??", "lane"),
        ("two words!", "two-words"),
    ],
)
def test_names_keep_letters_and_digits_of_every_script(text, name):
    assert names.slug(text) == name
    assert names.allowed(name)
    assert_safe(name)


@given(scripts | marked)
@example("e" + 130 * "\u0301")
@example("con" + "x" + 130 * "\u0301")
@example(79 * "a" + "-b")
@example("山" * 90)
@example(INVISIBLE)
def test_any_text_becomes_a_name_and_joined_names_are_names(text):
    name = names.slug(text)
    assert_safe(name)
    assert names.allowed(name)
    assert names.slug(name) == name
    assert len(name) <= 81  # with the underscore before a device's name
    joined = "_".join(["099999", name, name])
    assert_safe(joined)
    assert names.allowed(joined)


@given(scripts | marked)
@example("con")
@example("x²")
@example("a" * 251)
@example("a" * 252)
@example("山" * 84)
def test_what_is_allowed_is_safe(name):
    """Whatever a run.json says that somebody else wrote."""
    if names.allowed(name):
        assert_safe(name)
    short = len(name) <= 80 and len(name.encode("utf-8", "surrogatepass")) <= 120
    if short and not name.endswith("-"):
        assert names.allowed(name) == (names.slug(name) == name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "-o", "a.", "a ", " a", "a b", "a/b", "a\\b", "a:b", "a\nb", "a\x00", "a\u202eb", "a\u200db",
     "\u0301a", "Du\u0308rer", "x²", "\udcff", "\ue000", "❤", "a\ufe0f", *DEVICES, "con.tar", "山" * 84, "a" * 252],
)  # fmt: skip
def test_names_that_are_not_allowed(name):
    assert not names.allowed(name)


@given(st.text(st.sampled_from("aé한क्षि각\u0301"), min_size=60, max_size=300))
def test_a_long_name_is_cut_between_letters(text):
    whole = unicodedata.normalize("NFC", text)
    name = names.slug(text)
    if unicodedata.category(whole[0])[0] != "M" and whole.startswith(name) and len(whole) > len(name):
        assert unicodedata.category(whole[len(name)])[0] != "M"


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "A"), ("Dürer", "DÜRER"), ("Maß", "MASS"), ("한", "한"), ("é", "e\u0301"), ("ΟΔΟΣ", "οδος"), ("Ａ", "a"),
     ("ǆ", "DŽ"), ("ᾳ", "ΑΙ")],
)  # fmt: skip
def test_names_that_some_file_system_takes_for_one(one, other):
    assert names.folded(one) == names.folded(other)


@given(scripts)
def test_case_and_normalization_never_tell_names_apart(text):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    cases = [other for other in (text.upper(), text.lower()) if other.casefold() == text.casefold()]
    assert {names.folded(other) for other in (*forms, *cases)} == {names.folded(text)}


def test_names_that_stay_different():
    assert len({names.folded(name) for name in ("梵高", "北斎", "a", "á", "i", "ı", "o", "о")}) == 8


SCRIPT = """
import os, sys
from nst_jax.transfer import names
open(names.file_name("\\u68b5\\u9ad8"), "w").close()
print(ascii([names.as_text(name) for name in os.listdir(".")]), sys.getfilesystemencoding())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are UTF-8 whatever the locale")
def test_files_are_named_in_utf_8_whatever_the_locale(tmp_path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True, check=True)
    assert done.stdout == "['\\u68b5\\u9ad8.png'] ascii\n"
    assert [path.name for path in tmp_path.iterdir()] == ["梵高.png"]


def test_a_file_name_that_is_no_utf_8_stays():
    assert names.as_text("caf\udce9.jpg") == "caf\udce9.jpg"
    assert names.as_text("梵高.jpg") == "梵高.jpg"
    assert names.file_name("梵高") == "梵高.png"


# -- numbers


@given(st.floats(allow_nan=False))
def test_headings_of_numbers_mean_the_number(value):
    shown = names.power(value)
    plain = shown.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    if shown != plain:
        plain = "1e" + plain.removeprefix("10")
    assert float(plain) == pytest.approx(value, rel=1e-4)


def test_headings_of_powers_of_ten():
    assert [names.power(v) for v in (1e-5, 2e-4, 0.01, 0.02, 0.5, 999, 1000, 999_999.6, 0, float("inf"))] == [
        "10⁻⁵", "2e-4", "10⁻²", "0.02", "0.5", "999", "10³", "10⁶", "0", "inf"
    ]  # fmt: skip
