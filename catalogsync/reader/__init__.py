"""Reads a product sheet: CSV, TSV, XLSX, XLS or ODS becomes one table of text, every cell with its address.

Cells come out as they stand: blanks kept, ``00123`` kept, ``102`` and never ``102.0``. What cannot be read
faithfully is a problem with an address; what cannot be read at all is a SheetError, never an empty table.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from catalogsync.errors import SheetError
from catalogsync.reader import limits, own
from catalogsync.reader.detect import TEXT, find_type
from catalogsync.reader.header import parse_header_rows
from catalogsync.reader.lines import without_huge_cells
from catalogsync.reader.shape import columns_named, is_place, shaped
from catalogsync.reader.sheet import (
    CellProblem,
    ElementIds,
    Fill,
    Hidden,
    ReadOptions,
    Sheet,
    column_index,
    column_letter,
)
from catalogsync.reader.text import read_text

__all__ = [
    "CellProblem",
    "ElementIds",
    "Fill",
    "Hidden",
    "ReadOptions",
    "Sheet",
    "column_index",
    "column_letter",
    "columns_named",
    "is_place",
    "parse_header_rows",
    "read_sheet",
]

_START_BYTES = 1 << 16
_DETECT = ReadOptions()


def read_sheet(path: Path, options: ReadOptions = _DETECT, *, expect: Collection[str] = ()) -> Sheet:
    """Read one table. `expect` names headers that help to find the header row and the tab.

    Raises SheetError for whatever cannot be read as a sheet.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise SheetError(f"{path} is no file that can be read more than once. Give one that lies on a disk.")
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
            if not start.strip():
                raise SheetError(f"{path.name} is empty. An empty file is not read as an empty catalog.")
            kind = find_type(path, start)
            if kind == TEXT:
                if options.tab is not None:
                    raise SheetError(f"{path.name} is a text file and has no tab {options.tab!r}. Leave the tab out.")
                sheet = read_text(path, _content(path, file), options, expect)
            else:
                from catalogsync.reader.workbook import read_workbook  # its libraries take long to load

                sheet = read_workbook(path, kind, options, expect)
        sheet = own.with_element_ids(without_huge_cells(sheet))
        return shaped(sheet, own.without_shaping(options) if sheet.element_ids else options)
    except FileNotFoundError as error:
        raise SheetError(f"{path}: there is no such file.") from error
    except IsADirectoryError as error:
        raise SheetError(f"{path} is a folder. Give one sheet.") from error
    except PermissionError as error:
        if path.is_dir():  # what Windows answers for a folder
            raise SheetError(f"{path} is a folder. Give one sheet.") from error
        raise SheetError(f"{path} may not be read: permission denied, or another program holds it open.") from error
    except OSError as error:
        raise SheetError(f"{path} cannot be read: {error.strerror or error}.") from error


def _content(path: Path, file: BinaryIO) -> bytes:
    """All of a text file."""
    file.seek(0)
    most = limits.MOST_FILE_BYTES
    if os.fstat(file.fileno()).st_size <= most and len(data := file.read()) <= most:
        return data
    raise limits.too_large(path.name, f"the file is larger than {limits.shown_bytes(most)}")
