"""What field a column of a sheet would need: its type by what the cells hold, and its options."""

from __future__ import annotations

import re
from collections.abc import Sequence

from catalogsync import fields
from catalogsync.model import Field
from catalogsync.proposing.evidence import DATE_LIKE, Evidence, is_empty_word

LONGEST_TEXT = 255
"""What a text field holds (api notes 3.1); longer ones need a textarea."""

_MOST_OPTIONS = 60
_LONGEST_OPTION = 60
_NUMBERLESS = {"code", "barcode", "id", "zip", "name", "model", "brand", "supplier", "category", "parent"}


def field_type(column: Evidence, kinds: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    """The field type that a column's values ask for, and its options where the type has them.

    `kinds` is what the header means: a code stays text although it is digits. "" where nothing is filled.
    """
    if not column.filled:
        return "", ()
    texts = [str(text) for text in column.texts.index if not is_empty_word(str(text))]
    words = {text.casefold() for text in texts}
    if words and words <= fields.TRUE_WORDS | fields.FALSE_WORDS:
        says_both = bool(words & fields.TRUE_WORDS) and bool(words & fields.FALSE_WORDS)
        if says_both or "active" in kinds or all(len(word) > 1 for word in words):
            return "checkbox", ()
    is_code = bool(kinds & _NUMBERLESS) or any(re.fullmatch(r"0\d+", text) for text in texts[:2000])
    numeric = Field(0, "", "numeric")
    if not is_code and column.read_as(numeric).share >= 0.9 and _is_number_like(column):
        return ("price" if "price" in kinds else "numeric"), ()
    for type_ in ("date", "date_time") if column.share_of(DATE_LIKE) >= 0.9 else ():
        reading = column.read_as(Field(0, "", type_))
        if reading.share >= 0.98 and not reading.ask:
            return type_, ()
    longest = max(map(len, texts), default=0)
    if column.looks == "url" and longest <= 2000:
        return "url", ()
    if longest > LONGEST_TEXT or any("\n" in text for text in texts):
        return "textarea", ()
    options = _options(column, texts)
    if options and not kinds & {"name", "code", "id", "barcode", "description"}:
        return "select", options
    return "text", ()


def _is_number_like(column: Evidence) -> bool:
    """Not a long code of digits, which a number would round or shorten."""
    return not column.looks and all(
        sum(char.isdigit() for char in str(text)) <= 12 for text in column.texts.index[:500]
    )


def _options(column: Evidence, texts: Sequence[str]) -> tuple[str, ...]:
    """The texts as options, where they are few and each stands several times."""
    few = 2 <= len(texts) <= _MOST_OPTIONS and column.filled >= 4 * len(texts)
    folded = {" ".join(text.split()).casefold() for text in texts}
    if not few or len(folded) < len(texts) or max(map(len, texts)) > _LONGEST_OPTION:
        return ()
    return tuple(sorted(" ".join(text.split()) for text in texts))
