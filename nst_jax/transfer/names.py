"""What lanes are called: numbers in headings as people write them, and names that every file system takes."""

import math
import os
import re
import unicodedata

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_PLAIN = {raised: plain for plain, raised in _SUPERSCRIPTS.items()}
_LETTERS = 80  # of a part of a name
_BYTES = 120  # of a part of a name in UTF-8: a number and two parts are a name
_MOST_BYTES = 255 - len(".png")  # of a name in UTF-8: what file systems take
_MARKS = "._+-"  # what a name may have beside letters and digits
# Letters and marks that nobody sees, and some file systems ignore: joiners, fillers, selectors of a letter's variant.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # devices of Windows


def power(value: float) -> str:
    """Writes a number for people: 1e-05 as "10⁻⁵", 0.0002 as "2e-4", 0.5 as "0.5"."""
    if 0 < value < math.inf and (value >= 1000 or value <= 0.01):
        mantissa, exponent = f"{value:.5e}".split("e")
        digits = f"{float(mantissa):g}"
        return f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}" if digits == "1" else f"{digits}e{int(exponent)}"
    return f"{value:g}"


def slug(text: str) -> str:
    """Makes text a lane's name, or a part of one: of at most 80 characters, and 120 bytes in UTF-8.

    Letters and digits of every script stay, with their accents, and so do `.`, `_`, `+` and `-`; what else there is
    becomes a hyphen. Raised digits come down. A long name is cut between letters, never between one and its accents.

    Args:
      text: any.

    Returns:
      A name that is `allowed`.
    """
    name = _cut(_kept(text).strip(".-")).strip(".-") or "lane"
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def allowed(name: str) -> bool:
    """Whether a name is one that lanes may have: of those that `slug` makes, joined by "_", up to 251 bytes in UTF-8.

    It is then the same on every file system, and no device, hidden file, option of a command or way out of a folder.
    """
    letters = bool(name) and name == _kept(name) and name[0] not in ".-" and not name.endswith(".")
    return letters and not _RESERVED.fullmatch(name) and len(name.encode()) <= _MOST_BYTES


def folded(name: str) -> str:
    """What is the same of two names that some file system takes for one: without case, and decomposed."""
    for form in ("NFD", "NFKD"):  # Unicode's compatibility caseless match, D146
        name = unicodedata.normalize(form, name).casefold()
    return unicodedata.normalize("NFKD", name)


def file_name(name: str) -> str:
    """The file of a lane's picture: `NAME.png`, in UTF-8 whatever this process takes file names to be written in."""
    return os.fsdecode(f"{name}.png".encode())


def as_text(file: str) -> str:
    """A file's name as people read it: UTF-8 where it is, whatever this process takes file names to be written in."""
    try:
        return os.fsencode(file).decode()
    except UnicodeError:
        return file


def _kept(text: str) -> str:
    """Text as names have it, but for its ends: composed, of letters, digits and `_MARKS`, the rest as hyphens."""
    plain = re.sub("10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", r"1e\1", _UNSEEN.sub("", text)).translate(_PLAIN)
    kept: list[str] = []
    for character in unicodedata.normalize("NFC", plain):
        kind = unicodedata.category(character)[0]
        if kind == "M" and not (kept and unicodedata.category(kept[-1])[0] in "LMN"):
            continue  # an accent with no letter under it
        kept.append(character if kind in "LMN" or character in _MARKS else " ")
    return re.sub(" +", "-", "".join(kept))


def _cut(text: str) -> str:
    end = min(len(text), _LETTERS)
    while len(text[:end].encode()) > _BYTES:
        end -= 1
    while 0 < end < len(text) and unicodedata.category(text[end])[0] == "M":
        end -= 1
    return text[:end]
