"""Texts that look alike, or were garbled on their way: what a person does not see and a comparison does.

Whole columns at a time: texts are joined, treated as one and split again, so that a million of them take a second.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from catalogsync.columnwise import arrow
from catalogsync.reader.sheet import BLANKS

_BETWEEN = "\x1e"
_INVISIBLE = (
    "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\ufeff"
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_CYRILLIC = dict(zip("авекмнорстухіѕјһԁԛԝ", "abekmhopctyxisjhdqw", strict=True))
_GREEK = dict(zip("αβεζηικμνορτυχ", "abezhikmnoptyx", strict=True))
_BLANKS = dict.fromkeys(map(ord, BLANKS + _INVISIBLE))
_ASCII_BLANKS = "[" + "".join(f"\\x{ord(blank):02x}" for blank in BLANKS if blank.isascii()) + "]+"
_LETTERS = {ord(letter): latin for letter, latin in {**_CYRILLIC, **_GREEK, **dict.fromkeys(_DASHES, "-")}.items()}


def folded(texts: Sequence[str]) -> list[str]:
    """Each text as it is when case, blanks, invisible characters, and the alphabet of letters do not count."""
    joined = _BETWEEN.join(texts)
    if joined.count(_BETWEEN) != len(texts) - 1:
        return [_fold(text) for text in texts]
    return _fold(joined).split(_BETWEEN)


def folded_column(texts: Any) -> Any:
    """`folded` of a column or an index, as an Arrow array."""
    given = arrow(texts)
    if not pc.all(pc.string_is_ascii(given)).as_py():
        return pa.array(folded(given.to_pylist()), pa.large_string())
    return pc.replace_substring_regex(pc.ascii_lower(given), _ASCII_BLANKS, "")


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return text.translate({**_BLANKS, **_LETTERS})


def difference(first: str, second: str) -> str:
    """What two texts that are equal when folded differ by, in words."""
    without_blanks = [text.translate(_BLANKS) for text in (first, second)]
    if without_blanks[0] == without_blanks[1]:
        return "blanks or invisible characters"
    in_one_case = [text.casefold() for text in without_blanks]
    if in_one_case[0] == in_one_case[1]:
        return "upper and lower case"
    if letters := _foreign(first, second):
        return f"letters that look alike ({letters})"
    return "case, blanks, or characters that look alike"


def _foreign(first: str, second: str) -> str:
    """The letters that are of another alphabet in one of two texts of one length."""
    if len(first) != len(second):
        return ""
    differing = {char for pair in zip(first, second, strict=True) if pair[0] != pair[1] for char in pair}
    foreign = sorted(char for char in differing if char.casefold() in _CYRILLIC or char.casefold() in _GREEK)
    return ", ".join(f"{unicodedata.name(char).split()[0].capitalize()} {char}" for char in foreign[:4])


ZEROS_IN_FRONT: Final = "(?:^|\x1f)0[0-9]"
"""A zero before a number, at the start of a text or of a part of a key (tables.py)."""


def without_zeros(texts: pd.Series) -> pd.Series:
    """Texts less the zeros in front of the numbers that they begin with: what a spreadsheet makes of a code."""
    return texts.str.replace("(^|\x1f)0+([0-9])", r"\1\2", regex=True)


# --- garbled text --------------------------------------------------------------------------------------------

LOST: Final = "\ufffd"
"""Stands where a program met bytes that it could not read."""


def _trail(codec: str) -> str:
    """The characters that stand for the second and later bytes of UTF-8 when it is read in another encoding."""
    text = bytes(range(0x80, 0xC0)).decode(codec, "ignore")
    return text + "".join(map(chr, range(0x80, 0xC0))) if codec != "cp1251" else text


_T2, _T1, _T0 = (f"[{_trail(codec)}]" for codec in ("cp1252", "cp1251", "cp1250"))
SUSPECT: Final = f"{LOST}|[ÂÃÄÅ]{_T2}|(?:[ÎÏÐÑ]{_T2}){{2}}|[âïð]{_T2}{_T2}|(?:[РС]{_T1}){{2}}|в[Ђ„]{_T1}|Ĺ{_T0}|Ăł"
"""RE2. What may be UTF-8 that was read in another encoding; `mended` tells."""

_SEQUENCES = {
    "cp1252": f"(?:[Â-ß]{_T2}|[à-ï]{_T2}{{2}}|[ð-ô]{_T2}{{3}})+",
    "cp1251": f"(?:[РС]{_T1}|в{_T1}{{2}})+",
    "cp1250": f"(?:[ĂÄĹ]{_T0})+",
}
_IN_USE = (
    (0xA0, 0x17F),
    (0x218, 0x21B),
    (0x386, 0x45F),
    (0x490, 0x491),
    (0x2010, 0x2122),
    (0x2190, 0x27BF),
    (0xFEFF, 0xFEFF),
    (0x1F300, 0x1FAFF),
)
"""Characters of the texts that people garble: letters of Europe, punctuation, signs."""


def mended(text: str) -> str:
    """What a text was before it was read in a wrong encoding; "" where it does not look as if it had been."""
    for codec, pattern in _SEQUENCES.items():
        made = "".join(_decoded_parts(text, codec, pattern))
        if made != text:
            return made
    return ""


def _decoded_parts(text: str, codec: str, pattern: str) -> Iterator[str]:
    end = 0
    for match in re.finditer(pattern, text):
        yield text[end : match.start()]
        end = match.end()
        is_quote = len(match[0]) == 2 and match[0][1] in "“”»" and not text[end : end + 1].isalpha()
        yield match[0] if is_quote else _decoded(match[0], codec) or match[0]
    yield text[end:]


def _decoded(part: str, codec: str) -> str:
    """A run of garbled characters as it was; "" where it was none."""
    try:
        made = b"".join(_byte(char, codec) for char in part).decode()
    except UnicodeError:
        return ""
    if not all(any(low <= ord(char) <= high for low, high in _IN_USE) for char in made):
        return ""
    if part[0] in "ÎÏÐÑ" and len(made) < 2:
        return ""
    if part[0] in "РС" and (len(made) < 2 or (len(made) == 2 and part.isalpha())):
        return ""
    return made


def _byte(char: str, codec: str) -> bytes:
    """The byte that was read as a character; the codes 0x80 to 0x9F stand for themselves in some programs."""
    return bytes([ord(char)]) if "\x80" <= char <= "\x9f" else char.encode(codec)
