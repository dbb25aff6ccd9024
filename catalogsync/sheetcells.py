"""Cells of a sheet in a workbook of our own as they were read: numbers are numbers, text stays text."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from catalogsync.reader import Sheet

LIKE_FORMULA = tuple("=+-@")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,14})?")
_PERCENT = re.compile(r"(-?[0-9]{1,12}(?:\.[0-9]{1,10})?)%")


def is_number(sheet: Sheet, position: int, place: int) -> bool:
    """Whether a cell was stored as a number."""
    return place in sheet.numbers and bool(sheet.numbers[place][position])


class CellWriter:
    """Writes cells into the tabs of one workbook; its formats are made as they are needed."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}

    def style(self, **settings: Any) -> Any:
        """A format, None for none."""
        known = tuple(sorted(settings.items()))
        if known and known not in self._formats:
            self._formats[known] = self._book.add_format(settings)
        return self._formats.get(known)

    def write(self, tab: Any, row: int, place: int, text: str, *, as_number: bool = False, **settings: Any) -> None:
        """Write a cell (0-based); with `as_number` as the number that was read, where it is one."""
        percent = _PERCENT.fullmatch(text) if as_number else None
        if as_number and _NUMBER.fullmatch(text):
            tab.write_number(row, place, float(text), self.style(**settings))
        elif percent:  # a number by its value, a percentage by its format
            digits = "0." + "0" * len(percent[1].partition(".")[2])
            style = self.style(**settings, num_format=f"{digits.rstrip('.')}%")
            tab.write_number(row, place, float(Decimal(percent[1]).scaleb(-2)), style)
        elif text:
            quoted = {"quote_prefix": True} if text.startswith(LIKE_FORMULA) else {}
            tab.write_string(row, place, text, self.style(**settings, **quoted))
        elif settings:
            tab.write_blank(row, place, None, self.style(**settings))
