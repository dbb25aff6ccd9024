"""Reads a product sheet: CSV, TSV, XLSX, XLS or ODS becomes one table of text, every cell with its address.

Cells come out as they stand: blanks kept, ``00123`` kept, ``102`` and never ``102.0``. What cannot be read
faithfully is a problem with an address; what cannot be read at all is a SheetError, never an empty table.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from catalogsync.errors import SheetError
from catalogsync.reader.detect import TEXT, find_type
from catalogsync.reader.header import parse_header_rows
from catalogsync.reader.shape import columns_named, is_place, shaped
from catalogsync.reader.sheet import CellProblem, Fill, Hidden, ReadOptions, Sheet, column_index, column_letter
from catalogsync.reader.text import read_text
from catalogsync.reader.workbook import read_workbook

__all__ = [
    "CellProblem",
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
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
            if not start.strip():
                raise SheetError(f"{path.name} is empty. An empty file is not read as an empty catalog.")
            kind = find_type(path, start)
            if kind == TEXT:
                if options.tab is not None:
                    raise SheetError(f"{path.name} is a text file and has no tab {options.tab!r}. Leave the tab out.")
                file.seek(0)
                return shaped(read_text(path, file.read(), options, expect), options)
        return shaped(read_workbook(path, kind, options, expect), options)
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
