"""What calamine does not tell of an XLS workbook, and what lies in the container of old Office files, by xlrd.

xlrd meets damage with errors of every kind: each becomes an XlsError. What it logs is dropped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import xlrd
from xlrd.compdoc import CompDoc, CompDocError

from catalogsync.reader.marks import Marks, telling_format

_ERROR_TEXTS = {**xlrd.error_text_from_code, 0x2B: "#GETTING_DATA"}


class XlsError(ValueError):
    """The file is cut off, damaged or very unusual."""


class XlsEncryptedError(XlsError):
    """The workbook can be read with its password only."""


def root_names(path: Path) -> set[str]:
    """The names at the root of the container (OLE compound file), which tell what it is."""
    with _xlrd_log() as log:
        container = CompDoc(_content(path), logfile=log)
        return {container.dirlist[number].name for number in container.dirlist[0].children}


def open_xls(path: Path) -> xlrd.Book:
    """The workbook with all of its tabs, which takes about a second for 300,000 cells."""
    with _xlrd_log() as log:
        return xlrd.open_workbook(
            file_contents=_content(path),
            logfile=log,
            formatting_info=True,
            ragged_rows=True,
            ignore_workbook_corruption=True,  # sectors in two chains, as some programs write them
        )


def xls_marks(book: xlrd.Book, tab: str) -> Marks:
    """The cells of one tab that need more than their value."""
    marks = Marks()
    with _xlrd_log():
        telling = [telling_format(book.format_map[style.format_key].format_str) for style in book.xf_list]
        sheet = book.sheet_by_name(tab)
        for row in range(sheet.nrows):
            for column, kind in enumerate(sheet.row_types(row)):
                if kind == xlrd.XL_CELL_ERROR:
                    marks.errors[row, column] = _ERROR_TEXTS.get(sheet.cell_value(row, column), "#ERROR")
                elif kind == xlrd.XL_CELL_NUMBER:
                    marks.set_format((row, column), telling[sheet.cell_xf_index(row, column)])
        marks.hidden = [range(row, row + 1) for row, told in sheet.rowinfo_map.items() if told.hidden]
    return marks


@contextmanager
def _xlrd_log() -> Iterator[TextIO]:
    """Where xlrd may write to, while its errors are turned into ours."""
    with Path(os.devnull).open("w", encoding="utf-8") as log:
        try:
            yield log
        except OSError:
            raise
        except (xlrd.XLRDError, CompDocError) as error:
            raise (XlsEncryptedError if str(error) == "Workbook is encrypted" else XlsError)(str(error)) from error
        except Exception as error:
            raise XlsError("a record does not add up") from error


def _content(path: Path) -> bytes:
    """The file with a header of 512 bytes, which is all that xlrd skips; it is 4096 where sectors are as long."""
    content = path.read_bytes()
    return content[:512] + content[4096:] if content[30:32] == b"\x0c\x00" else content
