"""What stands in the cells of an exported catalog: real types, so that a spreadsheet sorts and checks them.

Numbers are numbers, dates are dates, everything else is text: what begins with ``=`` stays text, ``00123`` keeps its
zeros, and what is typed into a column of text does, too.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from catalogsync import fields
from catalogsync.celltext import is_too_long_mark, too_long_mark, unread_mark
from catalogsync.model import Column
from catalogsync.moments import as_date
from catalogsync.reader.sheet import ERROR_TEXTS
from catalogsync.reader.textmark import with_text_mark

MOST_CHARACTERS = 32_767
"""What a cell of a workbook holds."""

_MAX_DIGITS = 15
"""What a workbook keeps of a number; longer ones are written as text."""

_MOST_DECIMALS = 10
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_NOT_HELD = re.compile("[\ufffe\uffff]|_x[0-9A-Fa-f]{4}_x[0-9A-Fa-f]{4}_")
"""What a workbook does not give back: two characters that XML lacks, and what looks like two escapes in one."""

_LONG_TYPES = frozenset({"textarea", "items", "streetaddress"})
_WIDEST, _NARROWEST = 60, 8
_MEASURED_ROWS = 1000


def shown(elements: pd.DataFrame, column: Column) -> list[str]:
    """A column as people read it, by distinct value, and as the same column of a mapping reads it back."""
    return _told(elements[column.key], lambda text: fields.show_exactly(text, column, ERROR_TEXTS))


def in_cells(elements: pd.DataFrame, column: Column) -> list[str]:
    """As `shown`, with a mark in place of each text that no cell of a workbook holds."""
    return _told(elements[column.key], lambda text: cell_text(text, column))


def _told(texts: pd.Series, tell: Callable[[str], str]) -> list[str]:
    codes, distinct = pd.factorize(texts)
    told = np.array([tell(text) for text in distinct], dtype=object)
    return list(told[codes])


def cell_text(canonical: str, column: Column) -> str:
    """What the cell of a workbook says for one canonical text."""
    return _fitting(fields.show_exactly(canonical, column, ERROR_TEXTS))


def _fitting(text: str) -> str:
    if len(text) > MOST_CHARACTERS // 2 and len(text.encode("utf-16-le")) // 2 > MOST_CHARACTERS:  # as Excel counts
        return too_long_mark(len(text))
    return unread_mark(text) if _NOT_HELD.search(text) else text


def for_csv(texts: Sequence[str], column: Column) -> Sequence[str]:
    """The texts as a CSV file may hold them; numbers stay numbers, negative ones too."""
    if column.type in fields.NUMBER_TYPES:
        plain = column.decimal or "."
        return [text if _NUMBER.fullmatch(text.replace(plain, ".")) else with_text_mark(text) for text in texts]
    return [with_text_mark(text) for text in texts]


def format_of(column: Column, texts: Sequence[str]) -> Mapping[str, Any]:
    """The format of a column's cells, those to be filled too: its decimals, its dates, text as text."""
    if column.type in fields.NUMBER_TYPES:
        decimals = _decimals(column, texts)
        return {"num_format": f"0.{'0' * decimals}" if decimals else "0"} if decimals is not None else {}
    if column.type in {"date", "birthday"}:
        return {"num_format": "yyyy-mm-dd", "align": "left"}
    if column.type == "date_time":
        return {"num_format": "yyyy-mm-dd hh:mm:ss", "align": "left"}
    return {"num_format": "@"}


def is_long(column: Column, texts: Sequence[str]) -> bool:
    """Whether a column's text is wrapped in its cells."""
    return column.type in _LONG_TYPES or any("\n" in text or len(text) > _WIDEST for text in texts)


def _decimals(column: Column, texts: Sequence[str]) -> int | None:
    """How many decimals a column of numbers shows: as many as its numbers have, none or two at least of a price."""
    point = column.decimal or "."
    most = max((len(text.partition(point)[2]) for text in texts if point in text), default=0)
    if most > _MOST_DECIMALS:
        return None
    return 2 if most == 1 and column.type in {"price", "monetary"} else most


def value_maker(column: Column) -> Callable[[str], str | float | date]:
    """What makes the values of a column's cells of their texts: numbers and dates where a workbook holds them."""

    def number(text: str) -> str | float:
        plain = text.replace(column.decimal or ".", ".")
        digits = len(plain) - plain.count("-") - plain.count(".")
        return float(plain) if digits <= _MAX_DIGITS and _NUMBER.fullmatch(plain) else text

    def day(text: str) -> str | date:
        made = as_date(text)
        return made if made is not None and made.year >= 1900 else text

    def moment(text: str) -> str | date:
        with contextlib.suppress(ValueError):  # with an offset, in the hours that clocks show twice: text
            when = datetime.fromisoformat(text)
            if when.tzinfo is None and when.year > 1900:
                return when
        return text

    if column.type in fields.NUMBER_TYPES:
        return number
    if column.type == "date_time":
        return moment
    return day if column.type in {"date", "birthday"} else str


def width(header: str, texts: Sequence[str]) -> int:
    """How wide a column is shown, in characters."""
    longest = (len(line) for text in texts[:_MEASURED_ROWS] for line in text.split("\n"))
    return max(_NARROWEST, min(_WIDEST, max(max(longest, default=0), len(header)) + 2))


def option_texts(column: Column) -> list[str]:
    """What a cell may say for each option of a column's field, in the account's order."""
    if column.type not in fields.OPTION_TYPES or column.field is None:
        return []
    told = [fields.show_exactly(str(option), column, ERROR_TEXTS) for option in column.field.enums]
    return [
        text if len(text) <= MOST_CHARACTERS and not is_too_long_mark(text) else str(option)
        for text, option in zip(told, column.field.enums, strict=True)
    ]
