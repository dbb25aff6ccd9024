"""Opens a workbook, each tab after a look at how much it really holds.

calamine makes a table out of the first and the last cell that hold something, and copies a shared text into every
cell that names it: a file of some kilobytes can ask for more memory than there is, which ends the process. So the
XML is looked at before: quickly, and as a whole only where the quick look is not enough.
"""

from __future__ import annotations

import re
import zipfile
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final
from xml.parsers import expat

import numpy as np
import python_calamine as calamine
from numpy.typing import NDArray

from catalogsync.errors import SheetError
from catalogsync.reader import limits
from catalogsync.reader.archive import TABS, See, check_archive
from catalogsync.reader.detect import ODS, XLS, whole_archive
from catalogsync.reader.marks import Marks
from catalogsync.reader.sheet import column_index
from catalogsync.reader.tablook import TabLook
from catalogsync.reader.xls import XlsBook, XlsSheet
from catalogsync.reader.xlsx import tab_part, telling_styles, xlsx_marks

_PIECE_BYTES = 1 << 22
_LONGEST_TAG_BYTES = 1 << 16
_SHARED = "xl/sharedStrings.xml"
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384
_CELL_NAME: Final = re.compile("([A-Z]{1,3})([0-9]{1,7})", re.I)
_ANY_CELL: Final = re.compile(rb"<(?:[\w.-]+:)?c[\s>/]")
_MERGED: Final = re.compile(rb"mergeCell\s[^>]*ref\s*=\s*[\"']([A-Za-z]{1,3}\d{1,7}):([A-Za-z]{1,3}\d{1,7})[\"']")
_SHARED_TEXT: Final = re.compile(rb"[<:]si[\s>/]")


def open_book(path: Path, kind: str) -> Workbook:
    """A workbook as calamine gives it. Raises SheetError where it holds more than a sheet may."""
    if kind == XLS:
        return XlsBook(path)
    if kind == ODS:
        check_ods(path)
        return calamine.CalamineWorkbook.from_path(str(path))
    return XlsxBook(path)


class XlsxBook:
    """A workbook whose tabs are looked at before they are read: while they are unpacked, which is done just once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shared = SharedTexts(path.name)
        self._looks: dict[str, TabLook] = {}
        self._budget = Budget(path.name)
        with whole_archive(path):
            check_archive(path, self._seer)
        self._book = calamine.CalamineWorkbook.from_path(str(path))
        self.sheet_names = self._book.sheet_names
        self.sheets_metadata = self._book.sheets_metadata
        if len(self.sheet_names) > limits.MOST_TABS:
            raise limits.too_large(path.name, f"it has more than {limits.MOST_TABS:,} tabs")

    def get_sheet_by_name(self, name: str) -> calamine.CalamineSheet:
        """A tab. Raises SheetError where the tabs that were asked for hold too much together."""
        look, part = self._look_of(name)
        self._budget.take_xml(look.xml_bytes)
        if look.merged > limits.MOST_MERGED:
            raise too_many_merged(self._path.name)
        size = look.size
        if size is None or not self._budget.allows(*size):
            with zipfile.ZipFile(self._path) as archive, archive.open(part) as xml:
                size = exact_size(xml, self._shared.sizes, self._budget)
        self._budget.take(*size)
        return self._book.get_sheet_by_name(name)

    def marks(self, name: str) -> Marks:
        """The cells of a tab that need more than their value."""
        look, _part = self._look_of(name)
        return xlsx_marks(self._path, name) if look.marks is None else look.marks

    def _look_of(self, name: str) -> tuple[TabLook, str]:
        with zipfile.ZipFile(self._path) as archive:
            part = tab_part(archive, name)
            if part not in self._looks:  # not where tabs usually are
                with archive.open(part) as xml:
                    self._new_look(part).see_all(xml)
        return self._looks[part], part

    def _new_look(self, part: str) -> TabLook:
        most = limits.MOST_CELLS - sum(look.cells for look in self._looks.values())
        self._looks[part] = TabLook(self._telling, self._shared.sizes, most)
        return self._looks[part]

    def _seer(self, part: str) -> See | None:
        if part.lower() == _SHARED.lower():
            return self._shared.see
        if not part.lower().startswith(TABS) or not part.lower().endswith(".xml"):
            return None
        return self._new_look(part).see

    @cached_property
    def _telling(self) -> dict[bytes, int]:
        with zipfile.ZipFile(self._path) as archive:
            return telling_styles(archive)

    def __enter__(self) -> XlsxBook:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._book.close()


Workbook = calamine.CalamineWorkbook | XlsxBook | XlsBook
WorkbookSheet = calamine.CalamineSheet | XlsSheet


class Budget:
    """What is left of the ceilings while one tab after another is looked at."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._cells = limits.MOST_CELLS
        self._text_bytes = limits.MOST_TEXT_BYTES
        self._xml_bytes = limits.MOST_UNPACKED_BYTES

    def take_xml(self, count: int) -> None:
        """So much is going to be read."""
        self._xml_bytes -= count
        if self._xml_bytes < 0:
            raise limits.too_large(self.where, "its tabs are one part many times over")

    def allows(self, cells: int, text_bytes: int) -> bool:
        """Whether so much is left."""
        return cells <= self._cells and text_bytes <= self._text_bytes

    def take(self, cells: int, text_bytes: int) -> None:
        """Use so much up. Raises SheetError where it is not there."""
        if cells > self._cells:
            most = f"{limits.MOST_CELLS:,}"
            raise limits.too_large(self.where, f"rows times columns of what it holds are more than {most} cells")
        if text_bytes > self._text_bytes:
            most = limits.shown_bytes(limits.MOST_TEXT_BYTES)
            raise limits.too_large(self.where, f"its cells hold more than {most} of text")
        self._cells -= cells
        self._text_bytes -= text_bytes


def is_light(path: Path) -> bool:
    """Whether a library that makes an object of every cell of an XLSX, merged ones too, can load all of it."""
    cells = 0
    with zipfile.ZipFile(path) as archive:
        for part in archive.namelist():
            if not part.lower().startswith("xl/worksheets/") or not part.lower().endswith(".xml"):
                continue
            with archive.open(part) as xml:
                rest = b""
                while chunk := xml.read(_PIECE_BYTES):
                    data = rest + chunk
                    cut = max(0, data.rfind(b"<"))
                    cells += len(_ANY_CELL.findall(data, 0, cut))
                    for first, last in _MERGED.findall(data, 0, cut):
                        (top, left), (bottom, right) = _place(first.decode()), _place(last.decode())
                        cells += max(0, bottom - top + 1) * max(0, right - left + 1)
                    rest = data[cut:]
                    if cells > limits.MOST_OBJECTS or len(rest) > _LONGEST_TAG_BYTES:
                        return False
    return True


def _place(name: str) -> tuple[int, int]:
    letters = name.rstrip("0123456789")
    return int(name[len(letters) :]), column_index(letters)


# --- XLSX: quickly -------------------------------------------------------------------------------------------


class SharedTexts:
    """How long each shared text can be at most: its XML."""

    def __init__(self, where: str) -> None:
        self.sizes = np.zeros(0, dtype=np.int64)
        self._where = where
        self._starts: list[NDArray[np.int64]] = []
        self._count = self._offset = 0
        self._tail = b"\n" * _OVERLAP

    def see(self, piece: bytes) -> None:
        """The next piece of their part; an empty one is the end."""
        data = self._tail + (piece or b"\n" * _OVERLAP)
        starts = _shared_texts(data)
        self._starts.append(starts + self._offset)
        self._count += len(starts)
        if self._count > limits.MOST_CELLS:
            raise limits.too_large(self._where, f"it stores more than {limits.MOST_CELLS:,} texts")
        self._offset += len(data) - _OVERLAP
        self._tail = data[-_OVERLAP:]
        if not piece:
            places = np.unique(np.concatenate(self._starts))
            self.sizes = np.diff(np.append(places, self._offset + _OVERLAP)).astype(np.int64)


_OVERLAP = 4
_NAME_ENDS = np.zeros(256, dtype=np.bool_)
_NAME_ENDS[[32, 9, 10, 13, ord(">"), ord("/")]] = True


def _shared_texts(data: bytes) -> NDArray[np.int64]:
    """Where a shared text begins."""
    if b":si" in data:
        return np.array([match.start() for match in _SHARED_TEXT.finditer(data)], dtype=np.int64)
    octets = np.frombuffer(data, dtype=np.uint8)
    opened = np.flatnonzero(octets[:-3] == ord("<"))
    opened = opened[(octets[opened + 1] == ord("s")) & (octets[opened + 2] == ord("i"))]
    return np.asarray(opened[_NAME_ENDS[octets[opened + 3]]], dtype=np.int64)


def too_many_merged(where: str) -> SheetError:
    """The refusal of a tab with more merged cells than one may have."""
    return limits.too_large(where, f"it has more than {limits.MOST_MERGED:,} merged cells")


# --- XLSX: as a whole ----------------------------------------------------------------------------------------


def exact_size(xml: IO[bytes], shared_bytes: NDArray[np.int64], budget: Budget) -> tuple[int, int]:
    """Cells and bytes of shared text that a tab really holds; cells with a style and nothing else do not count."""
    walk = _Cells(shared_bytes)
    parser = walk.parser
    while chunk := xml.read(_PIECE_BYTES):
        budget.take_xml(len(chunk))
        parser.Parse(chunk, False)
    parser.Parse(b"", True)
    return max(walk.count, walk.rows * walk.columns), walk.text_bytes


class _Cells:
    """Follows the cells of a tab."""

    def __init__(self, shared_bytes: NDArray[np.int64]) -> None:
        self.count = self.rows = self.columns = self.text_bytes = self.merged = 0
        self._shared_bytes = shared_bytes
        self._row = self._column = 0
        self._is_shared = self._in_value = self._is_filled = False
        self._number = ""
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name == "row":
            given = attributes.get("r", "")
            self._row = int(given) if given.isdecimal() and len(given) < 8 else self._row + 1
            self._column = 0
        elif name == "c":
            found = _CELL_NAME.fullmatch(attributes.get("r", ""))
            if found:
                self._row = int(found[2])
                self._column = 0
                for letter in found[1].upper():
                    self._column = self._column * 26 + ord(letter) - 64
            elif "r" in attributes:
                raise zipfile.BadZipFile(f"there is no cell {attributes['r'][:20]}")
            else:
                self._column += 1
            self._is_shared = attributes.get("t") == "s"
            self._is_filled = False
        elif name == "mergeCell":
            self.merged += 1
            if self.merged > limits.MOST_MERGED:
                raise too_many_merged("the workbook")
        elif name in ("v", "is"):
            self._is_filled = True
            self._in_value, self._number = name == "v", ""

    def _text(self, text: str) -> None:
        if self._in_value and len(self._number) < 20:
            self._number += text[:20]

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if name == "v":
            self._in_value = False
        elif name == "c" and self._is_filled:
            if self._row > _MOST_ROWS or self._column > _MOST_COLUMNS:
                raise zipfile.BadZipFile(f"a cell stands in row {self._row}, column {self._column}")
            self.count += 1
            self.rows, self.columns = max(self.rows, self._row), max(self.columns, self._column)
            number = self._number.strip()
            if self._is_shared and number.isdecimal() and int(number) < len(self._shared_bytes):
                self.text_bytes += int(self._shared_bytes[int(number)])


# --- ODS -----------------------------------------------------------------------------------------------------


def check_ods(path: Path) -> None:
    """All tabs of an ODS, as calamine reads them all: what a cell or a row that is repeated comes to."""
    walk = _Repeats(Budget(path.name))
    with zipfile.ZipFile(path) as archive, archive.open("content.xml") as xml:
        while chunk := xml.read(_PIECE_BYTES):
            walk.parser.Parse(chunk, False)
        walk.parser.Parse(b"", True)


class _Repeats:
    """Follows the rows of all tabs and takes what they come to."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._rows = self._columns = self._tabs = 0
        self._row_times = self._cell_times = 1
        self._column = self._last_column = self._row_bytes = 0
        self._is_filled = False
        self._in_paragraph = 0
        self._bytes = self._passed_rows = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: dict[str, Any]) -> None:
        if name in ("table:table-cell", "table:covered-table-cell"):
            self._cell_times = _times(attributes, "columns")
            self._is_filled = "office:value-type" in attributes or "table:formula" in attributes
            self._bytes = sum(map(len, attributes.values())) if self._is_filled else 0
        elif name == "table:table-row":
            self._row_times = _times(attributes, "rows")
            self._column = self._last_column = self._row_bytes = 0
        elif name == "text:p":
            self._in_paragraph += 1
        elif name == "table:table":
            self._tabs += 1
            self._rows = self._columns = self._passed_rows = 0
            if self._tabs > limits.MOST_TABS:
                raise limits.too_large("the workbook", f"it has more than {limits.MOST_TABS:,} tabs")

    def _text(self, text: str) -> None:
        if self._in_paragraph:
            self._is_filled = True
            self._bytes += len(text)

    def _end(self, name: str) -> None:
        if name in ("table:table-cell", "table:covered-table-cell"):
            self._column += self._cell_times
            if self._is_filled:
                self._last_column = self._column
                self._row_bytes += self._bytes * self._cell_times
            self._is_filled, self._bytes = False, 0
        elif name == "text:p":
            self._in_paragraph -= 1
        elif name == "table:table-row":
            self._passed_rows += self._row_times
            if self._last_column:
                self._rows, self._columns = self._passed_rows, max(self._columns, self._last_column)
                if not self._budget.allows(self._rows * self._columns, 0):  # no need to read on
                    self._budget.take(self._rows * self._columns, 0)
                self._budget.take(0, self._row_bytes * self._row_times)
        elif name == "table:table":
            self._budget.take(self._rows * self._columns, 0)
            self._rows = self._columns = 0


def _times(attributes: dict[str, str], of: str) -> int:
    given = attributes.get(f"table:number-{of}-repeated", "1").strip()
    return max(1, int(given)) if given.isdecimal() and len(given) < 12 else 1 if len(given) < 12 else 10**12
