"""New workbooks, which take a file's place when they are whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from catalogsync.replacing import replacing

_BLOCK_ROWS = 512
"""Rows that are held as XML at a time."""

_REMEMBERED = 1024
"""Cells of a column whose XML is held, to be used again."""

_NOT_AS_IT_IS = re.compile("[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")
"""What XML or a workbook says otherwise."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a column below each other, in its format `style`.

    `value_of` makes of each of `held` a text that a cell can hold, a finite number or a date; "" is an empty cell.
    """

    held: Sequence[Any]
    value_of: Callable[[Any], str | float | date]
    style: Format | None = None


class Tab(Worksheet):  # type: ignore[misc]  # xlsxwriter has no types
    """A tab whose texts are never markup: xlsxwriter, in constant memory, takes ``<r>…</r>`` for its own rich text."""

    def _xml_rich_inline_string(self, string: str, attributes: Any) -> None:
        self._xml_inline_string(string, None, attributes)

    def write_columns(self, first_row: int, columns: Sequence[Cells]) -> None:
        """Write all rows from `first_row` on, below those that were written; the first column stands in A.

        Byte for byte the rows that xlsxwriter would write for the same values, cell by cell, into the file where it
        keeps rows in constant memory. It looks at each cell anew; here equal cells of a column are made once.
        """
        count = len(columns[0].held)
        self._check_dimensions(first_row + count - 1, len(columns) - 1)
        self._write_single_row(first_row + count)  # the row above, which it still holds
        columns_xml = [(xl_col_to_name(place), cells.held, self._xml_of(cells)) for place, cells in enumerate(columns)]
        for start in range(0, count, _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, count)
            numbers = [str(first_row + row + 1) for row in range(start, stop)]
            parts = [[f'<row r="{number}">' for number in numbers]]
            for name, held, xml_of in columns_xml:
                some = zip(numbers, map(xml_of, held[start:stop]), strict=True)
                parts.append([f'<c r="{name}{number}"{xml}' if xml else "" for number, xml in some])
            parts.append(["</row>"] * len(numbers))
            self.row_data_fh.write("".join(map("".join, zip(*parts, strict=True))))

    def _xml_of(self, cells: Cells) -> Callable[[Any], str]:
        """What makes the XML of a column's cells, from after the cell's name on; "" of an empty one."""
        style = "" if cells.style is None else f' s="{cells.style._get_xf_index()}"'

        @lru_cache(_REMEMBERED)
        def xml_of(held: Any) -> str:
            value = cells.value_of(held)
            if value == "":
                return ""
            if isinstance(value, str):
                return f'{style} t="inlineStr"><is>{self._text_xml(value)}</is></c>'
            number = self._convert_date_time(value) if isinstance(value, date) else value
            return f"{style}><v>{number:.16G}</v></c>"

        return xml_of

    def _text_xml(self, text: str) -> str:
        if _NOT_AS_IT_IS.search(text):
            text = self._escape_data(self._escape_control_characters(text))
        return f'<t xml:space="preserve">{text}</t>' if text[0].isspace() or text[-1].isspace() else f"<t>{text}</t>"


@contextmanager
def new_workbook(path: Path) -> Iterator[xlsxwriter.Workbook]:
    """A workbook of `Tab`s that takes the place of `path`, in constant memory. Text stays text, whatever it looks like.

    Raises as `replacing`.
    """
    as_text = dict.fromkeys(("strings_to_numbers", "strings_to_formulas", "strings_to_urls"), False)
    with replacing(path) as temporary:
        try:
            with (
                temporary.open("wb") as stream,
                xlsxwriter.Workbook(stream, {"constant_memory": True, **as_text}) as book,
            ):
                book.worksheet_class = Tab
                yield book
        except FileCreateError as error:
            raise error.args[0] from None  # what the system said
