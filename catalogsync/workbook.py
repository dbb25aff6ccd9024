"""Catalog → workbook or CSV file: a table of elements as people read it.

Numbers are numbers, dates are dates, everything else is text: what begins with ``=`` stays text. Files are
written beside and then moved into place, so that an interrupted export leaves the old file whole.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from catalogsync import fields
from catalogsync.errors import UserError
from catalogsync.model import Column

_MAX_DIGITS = 15
"""What a workbook keeps of a number; longer ones are written as text."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_MAX_CELL = 32_767
_MAX_ROWS = 1_048_575


def write_xlsx(path: Path, elements: pd.DataFrame, columns: Sequence[Column], title: str) -> None:
    """Write elements (canonical text by column key) as a workbook with one tab."""
    shown = [_shown(elements, column) for column in columns]
    _refuse_too_large(path, shown, columns)
    with replacing(path) as temporary:
        options = {"constant_memory": True, "strings_to_numbers": False, "strings_to_formulas": False}
        with (
            temporary.open("wb") as stream,
            xlsxwriter.Workbook(stream, {**options, "strings_to_urls": False}) as book,
        ):
            sheet = book.add_worksheet(tab_name(title))
            bold = book.add_format({"bold": True, "bg_color": "#E8EEF4", "bottom": 1})
            wrapped = book.add_format({"text_wrap": True, "valign": "top"})
            dated = book.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
            for place, (column, texts) in enumerate(zip(columns, shown, strict=True)):
                sheet.set_column(place, place, _width(column, texts))
            sheet.freeze_panes(1, 0)
            for place, column in enumerate(columns):
                sheet.write_string(0, place, column.header, bold)
            writers = [_cell_writer(column, wrapped, dated) for column in columns]
            for row, cells in enumerate(zip(*shown, strict=True), start=1):
                for place, text in enumerate(cells):
                    if text:
                        writers[place](sheet, row, place, text)
            if columns:
                sheet.autofilter(0, 0, len(elements), len(columns) - 1)


def write_csv(path: Path, elements: pd.DataFrame, columns: Sequence[Column], title: str) -> None:
    """Write elements as CSV: comma, UTF-8 with a mark that Excel understands. `title` has no place in it."""
    del title
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow([column.header for column in columns])
        rows.writerows(zip(*[_shown(elements, column) for column in columns], strict=True))


WRITERS: Mapping[str, Callable[[Path, pd.DataFrame, Sequence[Column], str], None]] = {
    ".xlsx": write_xlsx,
    ".csv": write_csv,
}


def _shown(elements: pd.DataFrame, column: Column) -> list[str]:
    """A column as people read it, by distinct value."""
    codes, texts = pd.factorize(elements[column.key])
    shown = [fields.show_exactly(text, column) for text in texts]
    return [shown[code] for code in codes]


CellWriter = Callable[[Worksheet, int, int, str], None]


def _cell_writer(column: Column, wrapped: Format, dated: Format) -> CellWriter:
    def number(sheet: Worksheet, row: int, place: int, text: str) -> None:
        plain = text.replace(column.decimal or ".", ".")
        if _NUMBER.fullmatch(plain) and sum(char.isdigit() for char in plain) <= _MAX_DIGITS:
            sheet.write_number(row, place, float(plain))
        else:
            sheet.write_string(row, place, text)

    def date(sheet: Worksheet, row: int, place: int, text: str) -> None:
        day = fields.as_date(text)
        if day is not None and day.year >= 1900:
            sheet.write_datetime(row, place, day, dated)
        else:
            sheet.write_string(row, place, text)

    def words(sheet: Worksheet, row: int, place: int, text: str) -> None:
        sheet.write_string(row, place, text, wrapped if "\n" in text else None)

    if column.type in fields.NUMBER_TYPES:
        return number
    return date if column.type in {"date", "birthday"} else words


def _width(column: Column, texts: Sequence[str]) -> int:
    widest = max((len(text) for text in texts[:1000]), default=0)
    return max(8, min(60, max(widest, len(column.header)) + 2))


def tab_name(title: str) -> str:
    """A tab name that Excel accepts: no reserved characters, 31 at most."""
    name = "".join(char for char in title if char.isprintable() and char not in "[]:*?/\\").strip(" '")
    return name[:31].strip(" '") or "Catalog"


def _refuse_too_large(path: Path, shown: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
    for column, texts in zip(columns, shown, strict=True):
        if len(texts) > _MAX_ROWS:
            raise UserError(f"{path.name}: {len(texts)} elements are more than a workbook holds; export to .csv")
        if max(map(len, texts), default=0) > _MAX_CELL:
            raise UserError(f"{path.name}: “{column.header}” has a text longer than a cell holds; export to .csv")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when all went well, and is gone otherwise."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except (OSError, FileCreateError) as error:
        reason = error.args[0] if isinstance(error, FileCreateError) else error
        if isinstance(reason, PermissionError):
            raise UserError(f"{path}: cannot be written; is it open in another program?") from None
        raise UserError(f"{path}: cannot be written ({getattr(reason, 'strerror', reason)})") from None
    finally:
        temporary.unlink(missing_ok=True)
