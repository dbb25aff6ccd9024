"""XLS workbooks, and what lies in the container of old Office files, by xlrd.

xlrd meets damage with errors of every kind: each becomes an XlsError. What it logs is dropped. calamine reads
such files faster, but on some damaged ones it ends the whole process.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import xlrd
from python_calamine import SheetMetadata, SheetTypeEnum, SheetVisibleEnum
from xlrd.compdoc import CompDoc, CompDocError

from catalogsync.errors import SheetError
from catalogsync.reader import limits
from catalogsync.reader.marks import Marks, telling_format

_ERROR_TEXTS = {**xlrd.error_text_from_code, 0x2B: "#GETTING_DATA"}
_MOMENT, _SPAN = "moment", "span"
_VISIBLE = {0: SheetVisibleEnum.Visible, 1: SheetVisibleEnum.Hidden, 2: SheetVisibleEnum.VeryHidden}
_EPOCHS: Final = (datetime.datetime(1899, 12, 30), datetime.datetime(1904, 1, 1))  # noqa: DTZ001 - sheets know no zones
_SAVE_AS = "Open it in Excel or LibreOffice and save it as .xlsx, or split it into several files."
_DAY_MS = 86_400_000
_EAST_ASIAN_DATES = {*range(27, 37), *range(50, 59)}  # built-in formats that xlrd does not know


class XlsError(ValueError):
    """The file is cut off, damaged or very unusual."""


class XlsEncryptedError(XlsError):
    """The workbook can be read with its password only."""


def root_names(path: Path) -> set[str]:
    """The names at the root of the container (OLE compound file), which tell what it is."""
    with _xlrd_log() as log:
        container = CompDoc(_content(path), logfile=log)
        return {container.dirlist[number].name for number in container.dirlist[0].children}


class XlsBook:
    """A workbook; its tabs are read when they are asked for. Speaks as calamine's workbook does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cells = 0
        with _xlrd_log() as log:
            self._book = xlrd.open_workbook(
                file_contents=_content(path),
                logfile=log,
                formatting_info=True,
                ragged_rows=True,
                on_demand=True,
                ignore_workbook_corruption=True,  # sectors in two chains, as some programs write them
            )
            self.sheet_names: list[str] = self._book.sheet_names()
            formats = [_format_code(self._book, style.format_key) for style in self._book.xf_list]
            self._telling = [telling_format(code) for code in formats]
            self._kinds = [date_format(code) for code in formats]
            self.sheets_metadata = [
                SheetMetadata(name, SheetTypeEnum.WorkSheet, _VISIBLE.get(visibility, SheetVisibleEnum.VeryHidden))
                for name, visibility in zip(self.sheet_names, self._book._sheet_visibility, strict=False)
            ]

    def get_sheet_by_name(self, name: str) -> XlsSheet:
        """A tab. Raises XlsError where it is damaged, SheetError where the tabs together hold too much."""
        with _xlrd_log():
            loaded = self._book.sheet_loaded(name)
            sheet = self._book.sheet_by_name(name)
        self._cells += 0 if loaded else sheet.nrows * sheet.ncols
        if self._cells > limits.MOST_CELLS:
            raise limits.too_large(self._path.name, f"its tabs hold more than {limits.MOST_CELLS:,} cells")
        return XlsSheet(f"{self._path.name}!{name}", sheet, self._kinds, self._book.datemode)

    def marks(self, name: str) -> Marks:
        """The cells of one tab that need more than their value."""
        marks = Marks()
        with _xlrd_log():
            sheet = self._book.sheet_by_name(name)
            for row in range(sheet.nrows):
                for column, kind in enumerate(sheet.row_types(row)):
                    if kind == xlrd.XL_CELL_ERROR:
                        marks.errors[row, column] = _ERROR_TEXTS.get(sheet.cell_value(row, column), "#ERROR")
                    elif kind == xlrd.XL_CELL_NUMBER:
                        marks.set_format((row, column), self._telling[sheet.cell_xf_index(row, column)])
            marks.hidden = [range(row, row + 1) for row, told in sheet.rowinfo_map.items() if told.hidden]
        return marks

    def __enter__(self) -> XlsBook:
        return self

    def __exit__(self, *_: object) -> None:
        self._book.release_resources()


class XlsSheet:
    """A tab. Speaks as calamine's sheet does; its rows begin at the first column."""

    start = (0, 0)

    def __init__(self, where: str, sheet: Any, kinds: list[str], datemode: int) -> None:
        self._where = where
        self._sheet = sheet
        self._kinds = kinds
        self._datemode = datemode

    @property
    def merged_cell_ranges(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """The corners of each merged range, 0-based, the last row and column included."""
        merged = self._sheet.merged_cells
        return [((top, left), (below - 1, right - 1)) for top, below, left, right in merged]

    def iter_rows(self) -> Iterator[list[Any]]:
        """Each row from the first one on, all equally wide: text, numbers, booleans, dates and times; "" for none."""
        sheet, width, size = self._sheet, self._sheet.ncols, 0
        for row in range(sheet.nrows):
            values = sheet.row_values(row)
            for column, kind in enumerate(sheet.row_types(row)):
                if kind == xlrd.XL_CELL_TEXT:
                    size += len(values[column])
                elif kind in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
                    wanted = self._kinds[sheet.cell_xf_index(row, column)]
                    if wanted:
                        values[column] = moment(values[column], self._datemode, is_span=wanted == _SPAN)
                elif kind == xlrd.XL_CELL_BOOLEAN:
                    values[column] = bool(values[column])
                else:
                    values[column] = ""
            if size > limits.MOST_TEXT_BYTES:
                raise limits.too_large(self._where, f"more than {limits.shown_bytes(limits.MOST_TEXT_BYTES)} of text")
            yield values + [""] * (width - len(values))


def _format_code(book: xlrd.Book, key: int) -> str:
    """A number format's code; those that need none in the file have one here."""
    code = getattr(book.format_map.get(key), "format_str", None)
    return code or ("yyyy-mm-dd" if key in _EAST_ASIAN_DATES else "")


def date_format(code: str) -> str:
    """Whether a number format shows a moment or a span of time; "" for any other. Only its first section counts."""
    escaped = quoted = clock = is_am_pm = False
    depth = 0
    before = " "
    for letter in code:
        low = letter.lower()
        if escaped:
            escaped = False
        elif letter in "_\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif quoted:
            pass
        elif letter == ";":
            return ""
        elif letter == "[":
            depth += 1
        elif letter == "]":
            if depth == 1 and clock:
                return _SPAN
            depth = max(0, depth - 1)
        elif depth == 0 and not is_am_pm and low == "a":
            is_am_pm = True
        elif depth == 0 and (low in "pm/" if is_am_pm else low in "dmhys"):
            return _MOMENT
        elif not (clock and low == before.lower()):
            clock = before == "[" and low in "mhs"
        before = letter
    return ""


def moment(number: float, datemode: int, *, is_span: bool) -> Any:
    """What a number means under a date format, to the millisecond; the number itself where there is no such day."""
    try:
        if is_span:
            return datetime.timedelta(milliseconds=round(number * _DAY_MS))
        days = number + 1 if datemode == 0 and number < 60 else number  # Excel has a 29 February 1900
        found = _EPOCHS[datemode] + datetime.timedelta(milliseconds=round(days * _DAY_MS))
    except (OverflowError, ValueError):
        return number
    return found.time() if number < 1 else found


@contextmanager
def _xlrd_log() -> Iterator[TextIO]:
    """Where xlrd may write to, while its errors are turned into ours."""
    with Path(os.devnull).open("w", encoding="utf-8") as log:
        try:
            yield log
        except (OSError, SheetError):
            raise
        except (xlrd.XLRDError, CompDocError) as error:
            raise (XlsEncryptedError if str(error) == "Workbook is encrypted" else XlsError)(str(error)) from error
        except Exception as error:
            raise XlsError("a record does not add up") from error


def _content(path: Path) -> bytes:
    """The file with a header of 512 bytes, which is all that xlrd skips; it is 4096 where sectors are as long."""
    if path.stat().st_size > limits.MOST_XLS_BYTES:
        raise limits.too_large(path.name, f"it is larger than {limits.shown_bytes(limits.MOST_XLS_BYTES)}", _SAVE_AS)
    content = path.read_bytes()
    return content[:512] + content[4096:] if content[30:32] == b"\x0c\x00" else content
