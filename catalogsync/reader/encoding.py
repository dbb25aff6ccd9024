"""In which encoding a text file is written, and how sure that is.

A byte order mark or valid UTF-8 is certain. Among the single-byte encodings the one counts whose text reads most
like a language; where two read as well, nobody guesses.
"""

from __future__ import annotations

import codecs
import itertools
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import charset_normalizer
import pyarrow as pa

from catalogsync.errors import Problem, SheetError
from catalogsync.reader.detect import BOMS, wrong_type

# A closed list, because free detection prefers exotic encodings (cp775, cp1125) to the ones in use.
ENCODINGS = ("cp1251", "cp1250", "cp1252", "cp866", "koi8_r")

_CHUNK_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 15
_CONTROLS = bytes(set(range(32)) - {9, 10, 11, 12, 13, 26, 27})


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding, how it was found, and how many bytes of byte order mark come before the text."""

    name: str
    how: str
    bom_bytes: int = 0

    def utf8(self, data: bytes) -> bytes:
        """The text as UTF-8, without a byte order mark. Expects text that decodes: see find_encoding."""
        body = data[self.bom_bytes :]
        return body if self.name == "utf-8" else body.decode(self.name).encode("utf-8")


def find_encoding(path: Path, data: bytes, given: str | None) -> Encoding:
    """The encoding of a text file, proven to decode all of it; SheetError where none does or two do as well."""
    if given is not None:
        return _given_encoding(path, data, given)
    for bom, name in BOMS:
        if data.startswith(bom):
            encoding = Encoding(name, "certain: byte order mark", len(bom))
            _prove(path, data, encoding)
            return encoding
    sample = data[:_SAMPLE_BYTES]
    if 0 in sample:
        return _without_bom(path, data)
    if len(sample.translate(None, _CONTROLS)) < len(sample) * 0.98:
        raise wrong_type(path, "a binary file")
    failure = _undecodable(data, "utf-8")
    if failure is None:
        how = "certain: plain ASCII" if data.isascii() else "certain: valid UTF-8"
        return Encoding("utf-8", how)
    _refuse_damaged_utf8(path, data, failure)
    return _single_byte_encoding(path, data)


def _given_encoding(path: Path, data: bytes, given: str) -> Encoding:
    try:
        name = codecs.lookup(given).name
        "".encode(name)
    except (LookupError, ValueError) as error:
        raise SheetError(
            f"{path.name}: no encoding is called {given!r}. Known ones are utf-8, utf-16, {', '.join(ENCODINGS)}."
        ) from error
    bom_bytes = 0
    for bom, of in BOMS:
        if data.startswith(bom) and name in {of, of.rsplit("-", 1)[0]} | ({"utf-8-sig"} if of == "utf-8" else set()):
            name, bom_bytes = of, len(bom)
            break
    encoding = Encoding("utf-8" if name == "utf-8-sig" else name, "as set", bom_bytes)
    _prove(path, data, encoding)
    return encoding


def _prove(path: Path, data: bytes, encoding: Encoding) -> None:
    failure = _undecodable(data[encoding.bom_bytes :], encoding.name)
    if failure is None:
        return
    line = data.count(b"\n", 0, failure + encoding.bom_bytes) + 1
    octet = data[failure + encoding.bom_bytes : failure + encoding.bom_bytes + 1].hex()
    raise SheetError(
        f"{path.name}:{line}: the byte 0x{octet} is not {encoding.name} text ({encoding.how}). "
        "Save the file again as UTF-8, or set --encoding to its real encoding."
    )


def _undecodable(data: bytes, name: str) -> int | None:
    """Where decoding fails, or None. Decodes in pieces: the text itself is not needed here."""
    if name == "utf-8" and _is_utf8(data):
        return None
    decoder = codecs.getincrementaldecoder(name)()
    pending = 0
    for start in range(0, len(data) + 1, _CHUNK_BYTES):
        chunk = data[start : start + _CHUNK_BYTES]
        try:
            decoder.decode(chunk, final=start + _CHUNK_BYTES > len(data))
        except UnicodeError as error:
            offset = error.start if isinstance(error, UnicodeDecodeError) else 0
            return max(0, start - pending + offset)
        pending = len(decoder.getstate()[0])
    return None


def _is_utf8(data: bytes) -> bool:
    """Strict UTF-8, checked by Arrow: several times as fast as decoding, and nothing is copied."""
    text = pa.Array.from_buffers(
        pa.large_string(), 1, [None, pa.py_buffer(struct.pack("=qq", 0, len(data))), pa.py_buffer(data)]
    )
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _without_bom(path: Path, data: bytes) -> Encoding:
    sample = data[:_SAMPLE_BYTES]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    name = "utf-16-le" if odd > even else "utf-16-be"
    half = len(sample) / 2
    clear = max(even, odd) > 0.2 * half and min(even, odd) < 0.02 * half
    text = sample[: len(sample) // 2 * 2].decode(name, "replace")
    clear = clear and sum(1 for letter in text if letter.isprintable() or letter in "\t\r\n") > 0.98 * len(text)
    if not clear or len(data) % 2 or _undecodable(data, name) is not None:
        raise wrong_type(path, "a binary file")
    return Encoding(name, "likely: every other byte is zero")


def _refuse_damaged_utf8(path: Path, data: bytes, failure: int) -> None:
    """Text that is UTF-8 but for a few bytes is damaged UTF-8: any other reading would garble all the rest."""
    sample = data[: 1 << 22].decode("utf-8", errors="replace")
    broken = sample.count("\ufffd")
    beyond_ascii = sum(1 for _ in re.finditer("[^\x00-\x7f]", sample)) - broken
    if beyond_ascii > 10 * broken:
        line = data.count(b"\n", 0, failure) + 1
        raise SheetError(
            f"{path.name}:{line}: the file is UTF-8, but the byte 0x{data[failure : failure + 1].hex()} in this line "
            "is not. Correct the line, or save the file again as UTF-8."
        )


def _single_byte_encoding(path: Path, data: bytes) -> Encoding:
    sample = _telling_lines(data)
    texts = {name: _decoded(sample, name) for name in ENCODINGS}
    possible = {name: text for name, text in texts.items() if text is not None}
    possible = {name: text for name, text in possible.items() if _undecodable(data, name) is None}
    if not possible:
        raise SheetError(
            f"{path.name} is in none of the encodings that are tried (utf-8, {', '.join(ENCODINGS)}). "
            "Save it again as UTF-8, or set --encoding."
        )
    disorder = {
        possible[match.encoding]: match.chaos
        for match in charset_normalizer.from_bytes(sample, cp_isolation=list(possible), threshold=0.5)
    }
    scores = {name: likelihood(text) - 0.5 * disorder.get(text, 0.5) for name, text in possible.items()}
    ranking = sorted(scores, key=lambda name: -scores[name])
    best = ranking[0]
    rivals = [
        name for name in ranking[1:] if scores[best] - scores[name] < TIE_MARGIN and possible[name] != possible[best]
    ]
    if rivals:
        raise SheetError(
            f"{path.name}: the encoding cannot be told for sure. Set --encoding to the one that reads right.",
            [Problem(f"--encoding {name}", repr(_excerpt(sample, possible, name))) for name in [best, *rivals]],
        )
    others = [name for name in ranking[1:] if possible[name] != possible[best]]
    margin = scores[best] - scores[others[0]] if others else 1.0
    words = set(re.findall(rb"[\w\x80-\xff]*[\x80-\xff][\w\x80-\xff]*", sample))
    sure = "very likely" if margin >= 2 * TIE_MARGIN and len(words) >= _FEW_WORDS else "likely"
    return Encoding(best, f"{sure}: {100 * scores[best]:.0f} of 100 points, next {_next(others, scores)}")


def _next(others: list[str], scores: Mapping[str, float]) -> str:
    return f"{others[0]} {100 * max(scores[others[0]], 0):.0f}" if others else "none"


def _telling_lines(data: bytes) -> bytes:
    """Lines that hold something beyond ASCII, among them at least one for each such byte in the file."""
    lines: list[bytes] = []
    size = 0
    for match in re.finditer(rb"[^\r\n]{0,500}[\x80-\xff][^\r\n]{0,500}", data):
        lines.append(match.group())
        size += len(match.group())
        if size > _SAMPLE_BYTES:
            break
    missing = data.translate(None, bytes(range(128)) + b"".join(lines))
    while missing:
        octet = missing[:1]
        found = data.find(octet)
        lines.append(re.split(rb"[\r\n]", data[max(0, found - 100) : found])[-1] + data[found : found + 1])
        missing = missing.replace(octet, b"")
    return b"\n".join(lines)


def _decoded(sample: bytes, name: str) -> str | None:
    try:
        return sample.decode(name)
    except UnicodeDecodeError:
        return None


def _excerpt(sample: bytes, texts: Mapping[str, str], name: str) -> str:
    """The first words on which the possible readings differ, as this encoding has them."""
    chosen: list[str] = []
    for line in sample.split(b"\n"):
        words = [word for word in re.findall(rb"[^\s;,|\"]+", line) if not word.isascii()]
        chosen += [word.decode(name) for word in words if len({_decoded(word, other) for other in texts}) > 1]
        if len(chosen) >= 5:
            break
    return " ".join(dict.fromkeys(chosen[:5]))


# Which letters beyond ASCII occur in one language. A right reading keeps to one alphabet, a wrong one mixes them.
_ALPHABETS: tuple[tuple[str, str], ...] = (
    ("Polish", "ąćęłńóśźż"),
    ("Czech", "áčďéěíňóřšťúůýž"),
    ("Slovak", "áäčďéíĺľňóôŕšťúýž"),
    ("Hungarian", "áéíóöőúüű"),
    ("Romanian", "ăâîşţșț"),
    ("South Slavic", "čćđšž"),
    ("French", "àâæçéèêëîïôœùûüÿ"),
    ("German", "äöüß"),
    ("Spanish", "áéíñóúü"),
    ("Portuguese", "áâãàçéêíóôõúü"),
    ("Italian", "àèéìòù"),
    ("Danish and Norwegian", "åæøé"),
    ("Swedish", "åäöé"),
    ("Dutch", "éëïöü"),
    ("Russian", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"),
    ("Ukrainian", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"),
    ("Belarusian", "абвгдеёжзійклмнопрстуўфхцчшыьэюя"),
    ("Bulgarian", "абвгдежзийклмнопрстуфхцчшщъьюя"),
    ("Serbian and Macedonian", "абвгдђѓежзѕијќклљмнњопрстћуфхцчџш"),
)
_VOWELS = frozenset("aeiouyáàâãäåăąæéèêëěęíìîïóòôõöőøœúùûüůűýÿаеёиоуыэюяєіїў")
_WORD_SYMBOLS = frozenset("¿¡¹²³¼½¾¶£¥¦¬¤¸¨¯´˙˛ˇ˘˝•†‡‰‹›")
_ONE_LETTER_WORDS = frozenset("аявсикоужбієéàèêáóúåæøőö")
_SOFT_BEFORE_VOWEL = re.compile("[ńćśź][aeiouyóąę]|ñ(?![aeiouáéíóú])")  # Polish has none, Spanish only such
TIE_MARGIN = 0.04
_FEW_WORDS = 3


def likelihood(text: str) -> float:
    """How much a text reads like one, from 0 to 1, by the characters beyond ASCII and what stands around them.

    Four things speak for a reading: its letters belong to one alphabet; no signs stand inside words; words
    keep to one script and to the usual case; vowels and consonants take turns. The last one tells
    ``crème`` from ``crčme``, which nothing else does.
    """
    words = [word for word in re.split(r"[\s;,|\"'()/.:!?<>«»„“”–—№°®™€§…-]+", text) if word and not word.isascii()]
    if not words:
        return 0.9  # signs like ° and € only
    letters = [letter for word in words for letter in word.lower() if letter > "\x7f"]
    in_alphabet = max(sum(1 for letter in letters if letter in alphabet) for _language, alphabet in _ALPHABETS) / len(
        letters
    )
    sound = sum(map(_word_sense, words)) / len(words)
    speech = sum(map(_pronounceable, words)) / len(words)
    return 0.4 * in_alphabet + 0.35 * sound + 0.25 * speech


def _word_sense(word: str) -> float:
    """1 for letters of one script in the usual case; less for signs inside, mixed scripts and case."""
    if len(word) == 1:
        return 1.0 if word in _ONE_LETTER_WORDS else 0.2
    if any(letter in _WORD_SYMBOLS or not (letter.isalnum() or letter < "\x80") for letter in word):
        return 0.0
    letters = [letter for letter in word if letter.isalpha()]
    latin = [letter for letter in letters if letter < "\u0250"]
    if latin and len(latin) < len(letters):
        return 0.3
    if latin:
        foreign = [letter > "\x7f" for letter in word]
        if any(left and right for left, right in itertools.pairwise(foreign)):
            return 0.5  # two accented letters side by side are rare in every language written in Latin
    plain = "".join(letters)
    usual_case = plain.islower() or plain.isupper() or plain[1:].islower()
    return 1.0 if usual_case else 0.3


def _pronounceable(word: str) -> float:
    """1 where vowels and consonants take turns; less for each run of four consonants or three vowels."""
    sounds = "".join("v" if letter in _VOWELS else "c" for letter in word.lower() if letter.isalpha())
    if len(sounds) < 3:
        return 0.7
    odd = len(re.findall("c{4,}|v{3,}", sounds)) + (0 if "v" in sounds else 1)
    odd += len(_SOFT_BEFORE_VOWEL.findall(word.lower()))
    return 1.0 if not odd else 0.4 / odd
