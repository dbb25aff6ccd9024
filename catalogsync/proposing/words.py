"""What headers mean: the words that product sheets use for a thing, in ten languages, and how two headers compare.

A header is brought to plain words first (case, accents, punctuation, camelCase aside), Cyrillic is compared by its
sound too (``Tsena`` is ``Цена``), and known words (lexicon.txt) become concepts: the *kind* of thing (price, code,
name …), its *marks* (wholesale, old, without tax …) and *units*. Words that nobody knows stay as they are.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files


def _read_lexicon() -> dict[str, dict[str, list[str]]]:
    """``lexicon.txt`` as kinds, marks and units: each concept with its phrases."""
    groups: dict[str, dict[str, list[str]]] = {"kind": {}, "mark": {}, "unit": {}}
    phrases: list[str] = []
    for line in files("catalogsync.proposing").joinpath("lexicon.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            group, _, concept = line.strip("[]").partition(" ")
            phrases = groups[group].setdefault(concept, [])
        elif line and not line.startswith("# "):
            phrases += line.split(",")
    return groups


_LEXICON = _read_lexicon()

FILLERS = frozenset(
    "the a an of for in on at to and or by per with is has this your variant product products item items goods html src"
    " товара товаров товару товарів товары товар продукта продукции продукту изделия и в на за с по для от до"
    " o do de da del della di des du la le los las el der die das des und für für y e et i z na w produktu towaru"
    " produto producto prodotto produit produkt artikel artikels".split()
)
"""Words that say nothing beside others."""

_CYRILLIC = {
    **dict(zip("абвгдезийклмнопрстуфыэіґ", "a b v g d e z i i k l m n o p r s t u f i e i g".split(), strict=True)),
    **{
        "ё": "e",
        "ж": "zh",
        "х": "h",
        "ц": "c",
        "ч": "ch",
        "ш": "sh",
        "щ": "sh",
        "ъ": "",
        "ь": "",
        "ю": "iu",
        "я": "ia",
    },
    **{"ї": "i", "є": "e", "ў": "u", "ʼ": ""},
}
_SOUNDS = (
    *(("shch", "sh"), ("sch", "sh"), ("kh", "h"), ("ts", "c"), ("tz", "c"), ("ya", "ia"), ("ja", "ia"), ("yu", "iu")),
    *(("ju", "iu"), ("yo", "e"), ("jo", "e"), ("ye", "e"), ("je", "e"), ("y", "i"), ("j", "i"), ("w", "v"), ("'", "")),
)
_LATIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ß": "ss", "ı": "i", "ё": "е", "№": "no"})
_WORD = re.compile(r"[^\W_]+|[%$€₽₴#]")
_CAMEL = re.compile(r"(?<=[a-zа-яё])(?=[A-ZА-ЯЁ])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_]{3})(?=\d)")
_LONGEST_PHRASE = 5
_SHORTEST_SOUND = 4

SAME_SOUND = 0.9
SAME_MEANING = 0.85


@functools.lru_cache(maxsize=16384)
def plain_words(text: str) -> tuple[str, ...]:
    """A text as comparable words: small letters, no accents (й and ї stay), no signs, camelCase split."""
    spaced = _CAMEL.sub(
        " ",
        unicodedata.normalize("NFKC", text[:400].replace("№", " no "))
        .replace("'", "")
        .replace("ʼ", "")
        .replace("’", ""),
    )
    small = spaced.casefold().translate(_LATIN)
    return tuple(_WORD.findall("".join(_without_accents(char) for char in small)))


def _is_cyrillic(char: str) -> bool:
    return "\u0400" <= char <= "\u052f"


def _without_accents(char: str) -> str:
    if char.isascii() or _is_cyrillic(char):
        return char
    return "".join(part for part in unicodedata.normalize("NFD", char) if not unicodedata.combining(part))


@functools.lru_cache(maxsize=16384)
def sound(text: str) -> str:
    """Cyrillic and its transliterations as one spelling, without blanks: ``Цена`` and ``Tsena`` are ``cena``."""
    latin = "".join(_CYRILLIC.get(char, char) for char in "".join(plain_words(text)))
    for written, heard in _SOUNDS:
        latin = latin.replace(written, heard)
    return re.sub(r"([^\W\d])\1", r"\1", latin)


def _index(group: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Each phrase, without blanks, to its concept; the first concept that claims a phrase has it."""
    found: dict[str, str] = {}
    for concept, phrases in group.items():
        for phrase in phrases:
            if joined := "".join(plain_words(phrase)):
                found.setdefault(joined, concept)
    return found


_KIND_OF, _MARK_OF, _UNIT_OF = (_index(_LEXICON[group]) for group in ("kind", "mark", "unit"))
_BY_SOUND = {
    sound(phrase): phrase
    for phrase in (*_MARK_OF, *_KIND_OF)
    if any(_is_cyrillic(char) for char in phrase) and len(sound(phrase)) >= _SHORTEST_SOUND
}
_PRICE_MARKS = {"wholesale", "smallwholesale", "largewholesale", "retail", "old", "sale", "purchase"}
_CURRENCIES = {unit for unit in _LEXICON["unit"] if unit.isupper()}
_ALWAYS_UNITS = {phrase for phrase, unit in _UNIT_OF.items() if unit in _CURRENCIES and phrase not in {"р", "p"}}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a header says: the kinds of thing, marks that narrow them, units, and the words that nobody knows.

    `is_sku`: a code that the manufacturer or the vendor gave, as "Артикул", and not just any.
    """

    kinds: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    is_sku: bool = False

    @property
    def kind(self) -> str:
        """The one kind of thing, "" where there is none or more than one."""
        return next(iter(self.kinds)) if len(self.kinds) == 1 else ""


@functools.lru_cache(maxsize=4096)
def meaning(header: str) -> Meaning:
    """What a header says. The longest known phrases count; a mark alone is a kind ("Retail" is a price)."""
    words = plain_words(header)
    kinds: list[str] = []
    marks: list[str] = []
    units: list[str] = []
    others: list[str] = []
    is_sku = False
    place = 0
    while place < len(words):
        for length in range(min(_LONGEST_PHRASE, len(words) - place), 0, -1):
            phrase = "".join(words[place : place + length])
            known = next((name for name in (phrase, _BY_SOUND.get(sound(phrase), "")) if _is_known(name)), "")
            if length == 1 and _is_filler(words, place):
                known = ""
            if not known:
                continue
            if known in _MARK_OF:
                marks.append(_MARK_OF[known])
            elif known in _KIND_OF:
                kinds.append(_KIND_OF[known])
                is_sku = is_sku or kinds[-1] == "sku"
            elif place or length == len(words) or known in _ALWAYS_UNITS:
                units.append(_UNIT_OF[known])
            else:
                others.append(phrase)
            place += length
            break
        else:
            if not _is_filler(words, place):
                others.append(words[place])
            place += 1
    if not kinds and (set(marks) & _PRICE_MARKS or set(units) & _CURRENCIES):
        kinds.append("price")
    codes = frozenset("code" if kind == "sku" else kind for kind in kinds)
    return Meaning(codes, frozenset(marks), frozenset(units), frozenset(others), is_sku)


def _is_filler(words: Sequence[str], place: int) -> bool:
    """Whether a word says nothing where it stands. A single letter at either end may be a name: "Price A"."""
    inside = 0 < place < len(words) - 1
    return words[place] in FILLERS and len(words) > 1 and (len(words[place]) > 1 or inside)


def _is_known(phrase: str) -> bool:
    return phrase in _MARK_OF or phrase in _KIND_OF or phrase in _UNIT_OF


@functools.lru_cache(maxsize=65536)
def likeness(header: str, name: str) -> tuple[float, str]:
    """How surely a header and a field's name mean the same thing, 0 to 1, and why.

    Equal 1; equal but for case, accents and punctuation 0.97; equal in sound 0.9; equal in meaning 0.85, less for words
    that only one of them has; nearly the same letters up to 0.7.
    """
    if not header or not name:
        return 0.0, ""
    if header == name:
        return 1.0, "the same name"
    mine, yours = plain_words(header), plain_words(name)
    if mine and "".join(mine) == "".join(yours):
        return 0.97, "the same name but for case and signs"
    if len(sound(header)) >= _SHORTEST_SOUND and sound(header) == sound(name):
        return SAME_SOUND, "the same name in other letters"
    by_meaning = _same_meaning(meaning(header), meaning(name))
    by_letters = _same_letters(" ".join(mine), " ".join(yours))
    return max(by_meaning, by_letters, key=lambda found: found[0])


def _same_meaning(mine: Meaning, yours: Meaning) -> tuple[float, str]:
    if not mine.kinds or mine.kinds != yours.kinds:
        return 0.0, ""
    score = SAME_MEANING
    reason = f"both mean “{' + '.join(sorted(mine.kinds))}”"
    if mine.is_sku != yours.is_sku:
        score -= 0.12
        reason += ", if not the same one"
    if mine.marks != yours.marks:
        one_is_bare = not mine.marks or not yours.marks
        score -= 0.25 if one_is_bare else 0.6
        differing = sorted(mine.marks ^ yours.marks)
        reason += f", but {', '.join(differing)} differs"
    if mine.units != yours.units and mine.units and yours.units:
        score -= 0.3
        reason += ", but the units differ"
    loose = {sound(word) for word in mine.others} ^ {sound(word) for word in yours.others}
    if loose:
        score -= 0.15 * min(len(loose), 4)
        unmatched = sorted((mine.others | yours.others) - (mine.others & yours.others))
        reason += f", not counting {', '.join(unmatched[:3])}"
    return max(score, 0.0), reason


def _same_letters(mine: str, yours: str) -> tuple[float, str]:
    """Typing errors and endings; digits have to be the same."""
    if min(len(mine), len(yours)) < 5 or re.findall(r"\d+", mine) != re.findall(r"\d+", yours):
        return 0.0, ""
    matcher = difflib.SequenceMatcher(None, mine, yours, autojunk=False)
    if matcher.real_quick_ratio() < 0.85 or matcher.quick_ratio() < 0.85:
        return 0.0, ""
    ratio = matcher.ratio()
    return (0.7 * ratio, "nearly the same letters") if ratio >= 0.85 else (0.0, "")
