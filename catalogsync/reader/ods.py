"""Error cells, formulas without a value and telling formats of an ODS tab, from its XML.

The XML is walked cell by cell only where a quick look finds a formula, a percentage or leading zeros in it.
"""

from __future__ import annotations

import itertools
import re
import zipfile
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from catalogsync.reader.marks import PERCENT, Marks
from catalogsync.reader.sheet import ERROR_TEXTS

_CHUNK_BYTES = 1 << 20
_OVERLAP_BYTES = 64
_MOST_MARKS = 5_000_000
_TELLING = re.compile(
    rb"""value-type=["'](?:error|percentage)["']|table:formula=|min-integer-digits=["'](?:[2-9]|\d\d)["']"""
    rb"""|<table:table-row [^>]*table:visibility=|number-rows-spanned=["'](?:[2-9]|\d\d)"""
)

_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_NUMBER = "{urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_HIDDEN = ("collapse", "filter")
_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")


def ods_marks(path: Path, tab: str) -> Marks:
    """The cells of one tab that need more than their value."""
    walk = _Walk(tab)
    with zipfile.ZipFile(path) as archive:
        with archive.open("content.xml") as xml:
            if not _worth_walking(xml):
                return walk.marks
        for part in ("styles.xml", "content.xml"):
            if part in archive.namelist():
                with archive.open(part) as xml:
                    walk.through(xml)
    return walk.marks


def _worth_walking(xml: IO[bytes]) -> bool:
    tail = b""
    while chunk := xml.read(_CHUNK_BYTES):
        if _TELLING.search(tail + chunk):
            return True
        tail = chunk[-_OVERLAP_BYTES:]
    return False


class _Walk:
    def __init__(self, tab: str) -> None:
        self.marks = Marks()
        self._tab = tab
        self._zeros: dict[str, int] = {}  # data style → digits
        self._cell_styles: dict[str, int] = {}  # cell style → digits
        self._column_styles: list[tuple[int, str]] = []  # how many columns, their default style
        self._inside = False
        self._row = self._column = 0
        # The marked cells of the current row: their columns, and the text of an error, what `set_format` takes,
        # or None for a formula without a value.
        self._found: list[tuple[range, str | int | None]] = []

    def through(self, xml: IO[bytes]) -> None:
        events = ElementTree.iterparse(xml, events=("start", "end"))  # noqa: S314 - expat bounds entities, fetches nothing
        for event, element in events:
            tag = element.tag
            if event == "start":
                if tag == f"{_TABLE}table" and element.get(f"{_TABLE}name") == self._tab:
                    self._inside, self._row = True, 0
                elif tag == f"{_TABLE}table-row":
                    self._column = 0
                continue
            if tag == f"{_NUMBER}number-style":
                self._number_style(element)
            elif tag == f"{_STYLE}style":
                self._style(element)
            elif tag == f"{_TABLE}table":
                self._inside = False
                element.clear()
            elif tag in _CELLS and self._inside:
                self._cell(element)
            elif tag == f"{_TABLE}table-column" and self._inside:
                style = element.get(f"{_TABLE}default-cell-style-name", "")
                self._column_styles.append((_count(element, "columns"), style))
            elif tag == f"{_TABLE}table-row":
                if self._inside:
                    self._end_row(_count(element, "rows"), is_hidden=element.get(f"{_TABLE}visibility") in _HIDDEN)
                element.clear()

    def _number_style(self, element: ElementTree.Element) -> None:
        number = element.find(f"{_NUMBER}number")
        if number is None or int(number.get(f"{_NUMBER}decimal-places", "0")) > 0:
            return
        digits = int(number.get(f"{_NUMBER}min-integer-digits", "0"))
        if digits > 1 and number.get(f"{_NUMBER}grouping") != "true":
            self._zeros[element.get(f"{_STYLE}name", "")] = digits

    def _style(self, element: ElementTree.Element) -> None:
        digits = self._zeros.get(element.get(f"{_STYLE}data-style-name", ""), 0)
        digits = digits or self._cell_styles.get(element.get(f"{_STYLE}parent-style-name", ""), 0)
        if digits and element.get(f"{_STYLE}family") == "table-cell":
            self._cell_styles[element.get(f"{_STYLE}name", "")] = digits

    def _cell(self, element: ElementTree.Element) -> None:
        repeated = _count(element, "columns")
        columns = range(self._column, self._column + repeated)
        self._column = columns.stop
        last = (
            self._row + _count(element, "rows", "spanned") - 1,
            columns.start + _count(element, "columns", "spanned") - 1,
        )
        if last[0] > self._row:
            self.marks.merged.append(((self._row, columns.start), last))
        kind = element.get(f"{_OFFICE}value-type")
        formula = element.get(f"{_TABLE}formula") is not None
        if kind is None and not formula:
            return
        shown = "".join("".join(paragraph.itertext()) for paragraph in element.findall(f"{_TEXT}p"))
        wrong = formula and (shown in ERROR_TEXTS or re.fullmatch(r"Err:\d+", shown) is not None)
        if element.get(f"{_CALC}value-type") == "error" or wrong:
            self._found.append((columns, shown or "#ERROR"))
        elif kind is None:
            self._found.append((columns, None))
        elif kind == "percentage":
            self._found.append((columns, PERCENT))
        elif kind == "float" and self._cell_styles:
            own = element.get(f"{_TABLE}style-name")
            for column in columns[:_MOST_MARKS]:
                digits = self._cell_styles.get(own if own is not None else self._column_style(column), 0)
                if digits:
                    self._found.append((range(column, column + 1), digits))

    def _column_style(self, column: int) -> str:
        for count, style in self._column_styles:
            column -= count
            if column < 0:
                return style
        return ""

    def _end_row(self, repeated: int, *, is_hidden: bool) -> None:
        rows = range(self._row, self._row + repeated)
        if is_hidden:
            self.marks.hidden.append(rows)
        if sum(len(columns) for columns, _what in self._found) * repeated > _MOST_MARKS:
            raise zipfile.BadZipFile("a row is repeated more often than a sheet has cells")
        for columns, what in self._found:
            for place in itertools.product(rows, columns):
                if isinstance(what, str):
                    self.marks.errors[place] = what
                elif what is None:
                    self.marks.without_value.add(place)
                else:
                    self.marks.set_format(place, what)
        self._found = []
        self._row = rows.stop


def _count(element: ElementTree.Element, of: str, how: str = "repeated") -> int:
    return max(1, int(element.get(f"{_TABLE}number-{of}-{how}", "1")))
