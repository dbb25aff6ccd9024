"""Goes through a worksheet's XML and tells where its cells stand in the bytes, and what stands in them. Pure.

Rows and columns are 0-based, as in reader/marks.py. Source of the format: ECMA-376 part 1, 18.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.parsers import expat

from catalogsync.reader import column_index
from catalogsync.reader.marks import Place

Kind = Literal["missing", "blank", "number", "date", "text", "boolean", "error", "formula", "covered", "twice"]
FREE: Final = frozenset({"missing", "blank", "number", "date", "text", "boolean"})
"""The kinds of cells that may be patched."""

_AREA: Final = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})(?::\$?([A-Z]{1,3})\$?([0-9]{1,7}))?", re.I)
_CELL: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})", re.I)
_TAG: Final = re.compile(rb"<[^\s/>]+(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_ROW, _CELL_LEVEL, _INSIDE = 2, 3, 4


class PatchError(ValueError):
    """The XML cannot be patched, or not in this place."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a place of a worksheet. `style` is the number of its format, that it would get if missing."""

    kind: Kind
    style: int = 0


def tag_at(xml: bytes, start: int) -> bytes:
    """The tag that begins in a place."""
    found = _TAG.match(xml, start)
    if found is None:
        raise PatchError("a tag does not end")
    return found[0]


@dataclass(slots=True)
class FoundCell:
    """A cell as it stands in the XML."""

    start: int
    type: str
    style: int
    end: int = 0
    has_formula: bool = False
    has_value: bool = False


@dataclass(slots=True)
class FoundRow:
    """A row that is wanted: where it begins, where its end tag does (its end where it closes itself), its cells."""

    start: int
    style: int = 0
    end: int = 0
    cells: dict[int, FoundCell] = field(default_factory=dict)
    twice: set[int] = field(default_factory=set)


Area = tuple[int, int, int, int]


class TabScan:
    """Goes through a worksheet once and keeps where the wanted rows and their cells stand."""

    def __init__(self, xml: bytes, rows: Collection[int]) -> None:
        self._xml = xml
        self._wanted = frozenset(rows)
        self.rows: dict[int, FoundRow] = {}
        self._starts: list[tuple[int, int]] = []  # number and place of every row
        self._data: tuple[int, int] | None = None
        self._merged: list[Area] = []
        self._arrays: list[Area] = []
        self._columns: list[tuple[int, int, int]] = []
        self._covered: dict[int, list[Area]] = {}
        self._calculated: dict[int, list[Area]] = {}
        self._level = -1
        self._in_data = False
        self._number = self._column = -1
        self._row: FoundRow | None = None
        self._cell: FoundCell | None = None
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.buffer_text = True
        self._in_value = False
        self._parser = parser
        if b"\0" in xml[:4]:
            raise PatchError("the worksheet is stored in UTF-16")
        parser.Parse(xml, True)
        if self._data is None:
            raise PatchError("there is no sheet data")
        self._covered, self._calculated = self._by_row(self._merged), self._by_row(self._arrays)

    def _by_row(self, areas: Sequence[Area]) -> dict[int, list[Area]]:
        """The areas that each wanted row is in."""
        found: dict[int, list[Area]] = {}
        for area in areas:
            rows: Iterable[int] = range(area[0], area[2] + 1)
            rows = rows if area[2] - area[0] < len(self._wanted) else self._wanted
            for row in rows:
                if row in self._wanted and area[0] <= row <= area[2]:
                    found.setdefault(row, []).append(area)
        return found

    def cell(self, place: Place) -> Cell:
        """What stands in a place."""
        number, column = place
        row = self.rows.get(number)
        found = row.cells.get(column) if row else None
        style = found.style if found else self.style_of(row, column)
        if row and (column in row.twice or row.start < 0):
            return Cell("twice", style)
        if any(_is_in(place, area) for area in self._calculated.get(number, ())) or (found and found.has_formula):
            return Cell("formula", style)
        if any(_is_in(place, area) and place != area[:2] for area in self._covered.get(number, ())):
            return Cell("covered", style)
        return Cell(_kind(found) if found else "missing", style)

    @property
    def data(self) -> tuple[int, int]:
        """Where the sheet's data begins, and where its end tag does (its end where it closes itself)."""
        assert self._data is not None
        return self._data

    def before_row(self, number: int) -> int:
        """Where a row that is not there would stand."""
        return min((at for other, at in self._starts if other > number), default=self.data[1])

    def extent(self, place: Place) -> tuple[int, int]:
        """From where to where a cell that is there stands."""
        found = self.rows[place[0]].cells[place[1]]
        return found.start, found.end

    def style_of(self, row: FoundRow | None, column: int) -> int:
        """The format that a cell would have that is not there: its row's, else its column's."""
        if row and row.style:
            return row.style
        return next((style for first, last, style in self._columns if first <= column <= last), 0)

    # What the parser tells, as it goes along.

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._level += 1
        local = name.rpartition(":")[2]
        level = self._level
        if level == _INSIDE and self._in_data:
            self._start_inside(local, attributes)
        elif level == _CELL_LEVEL and self._in_data and local == "c":
            self._start_cell(attributes)
        elif level == _ROW and self._in_data and local == "row":
            self._start_row(attributes)
        elif level == _ROW and local == "mergeCell":
            self._merged += _areas(attributes.get("ref", ""))
        elif level == _ROW and local == "col":
            self._start_column(attributes)
        elif level == 1 and local == "sheetData":
            self._in_data = True
            self._data = (self._parser.CurrentByteIndex, 0)

    def _start_row(self, attributes: dict[str, str]) -> None:
        given = attributes.get("r", "")
        self._number = int(given) - 1 if given.isdecimal() and len(given) < 8 else self._number + 1
        self._column = -1
        self._starts.append((self._number, self._parser.CurrentByteIndex))
        self._row = None
        if self._number in self._wanted and self._number not in self.rows:
            has_style = attributes.get("customFormat") in ("1", "true")
            self._row = FoundRow(self._parser.CurrentByteIndex, _int(attributes.get("s", "")) if has_style else 0)
            self.rows[self._number] = self._row

    def _start_cell(self, attributes: dict[str, str]) -> None:
        found = _CELL.fullmatch(attributes.get("r", ""))
        number = self._number
        if found:
            number, self._column = int(found[2]) - 1, column_index(found[1])
        else:
            self._column += 1
        self._cell = FoundCell(
            self._parser.CurrentByteIndex, attributes.get("t", "n"), _int(attributes.get("s", "")), has_value=False
        )
        if number not in self._wanted:
            return
        row = self.rows.get(number)
        if row is None or row is not self._row:  # a cell that stands in another row's element
            row = self.rows.setdefault(number, FoundRow(-1))
            row.twice.add(self._column)
        if self._column in row.cells:
            row.twice.add(self._column)
        row.cells[self._column] = self._cell

    def _start_inside(self, local: str, attributes: dict[str, str]) -> None:
        if self._cell is None:
            return
        if local == "f":
            self._cell.has_formula = True
            if attributes.get("t") in ("array", "dataTable"):
                self._arrays += _areas(attributes.get("ref", ""))
        elif local == "is":
            self._cell.has_value = True
        elif local == "v":
            self._in_value = True

    def _start_column(self, attributes: dict[str, str]) -> None:
        first, last, style = (_int(attributes.get(name, "")) for name in ("min", "max", "style"))
        if first and style:
            self._columns.append((first - 1, last - 1, style))

    def _text(self, text: str) -> None:
        if self._in_value and self._cell is not None and text.strip():
            self._cell.has_value = True

    def _end(self, _name: str) -> None:
        level = self._level
        self._level -= 1
        if level == _INSIDE:
            self._in_value = False
        elif level == _CELL_LEVEL and self._cell is not None:
            if self._row is not None:
                self._cell.end = self._after(self._cell.start)
            self._cell = None
        elif level == _ROW and self._row is not None:
            self._row.end = self._parser.CurrentByteIndex
            self._row = None
        elif level == 1 and self._in_data:
            assert self._data is not None
            self._data = (self._data[0], self._parser.CurrentByteIndex)
            self._in_data = False

    def _after(self, start: int) -> int:
        """Where the element ends that the parser is at the end of: at its end tag, or behind it if it closes itself."""
        here = self._parser.CurrentByteIndex
        if tag_at(self._xml, start).endswith(b"/>"):
            return here
        return self._xml.index(b">", here) + 1


def _kind(found: FoundCell) -> Kind:
    if not found.has_value:
        return "blank"
    kinds: dict[str, Kind] = {"n": "number", "b": "boolean", "e": "error", "d": "date"}
    return kinds.get(found.type, "text")


def _int(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _areas(ref: str) -> list[Area]:
    """The area of a reference: first row and column, last row and column."""
    found = _AREA.fullmatch(ref)
    if found is None:
        return []
    top, left = int(found[2]) - 1, column_index(found[1])
    return [(top, left, int(found[4]) - 1, column_index(found[3]))] if found[3] else [(top, left, top, left)]


def _is_in(place: Place, area: Area) -> bool:
    return area[0] <= place[0] <= area[2] and area[1] <= place[1] <= area[3]
