"""Patches cells of a worksheet's XML: bytes and values in, bytes out. Pure.

Only the patched ``<c>`` elements change, and what has to be there for a cell that was missing: the XML is scanned by
a parser that tells where each element stands, and new elements are spliced into the bytes. Prefixes, the order of
attributes, cells and rows without an address, comments and whatever else stands around them stay as they are.

Rows and columns are 0-based, as in reader/marks.py. Source of the format: ECMA-376 part 1, 18.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.parsers import expat

from catalogsync.reader import column_index, column_letter
from catalogsync.reader.marks import Place

Kind = Literal["missing", "blank", "number", "date", "text", "boolean", "error", "formula", "covered", "twice"]
FREE: Final = frozenset({"missing", "blank", "number", "date", "text", "boolean"})
"""The kinds of cells that may be patched."""

_AREA: Final = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})(?::\$?([A-Z]{1,3})\$?([0-9]{1,7}))?", re.I)
_CELL: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})", re.I)
_TAG: Final = re.compile(rb"<[^\s/>]+(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_QNAME: Final = re.compile(rb"<([^\s/>]+)")
_ATTRIBUTE: Final = re.compile(rb"\s+([^\s=/>]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_DECLARED: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?<\?xml[^>]*\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_GONE: Final = frozenset({b"t", b"cm", b"vm"})
"""Attributes of a cell that speak of its old value: its type, and metadata of that value."""

_UNSTORABLE: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")
_ESCAPED: Final = re.compile("[\x00-\x08\x0b-\x1f]|_(?=x[0-9A-Fa-f]{4}_)")
_ROW, _CELL_LEVEL, _INSIDE = 2, 3, 4


class PatchError(ValueError):
    """The XML cannot be patched, or not in this place."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a place of a worksheet. `style` is the number of its format, that it would get if missing."""

    kind: Kind
    style: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    """What a cell is to hold; numbers and booleans as XML writes them: ``12.5``, ``1``."""

    kind: Literal["text", "number", "boolean", "blank"]
    text: str = ""


def is_storable(text: str) -> bool:
    """Whether XML can hold a text at all. Control characters can be escaped, other things cannot."""
    return _UNSTORABLE.search(text) is None


def look(xml: bytes, places: Collection[Place]) -> dict[Place, Cell]:
    """What stands in each place. Raises PatchError for XML that cannot be patched, ExpatError for none at all."""
    scan = _Scan(xml, {row for row, _ in places})
    return {place: scan.cell(place) for place in places}


def patched(xml: bytes, values: Mapping[Place, Value]) -> bytes:
    """The worksheet with other values in some places. Raises PatchError where a place may not be patched."""
    scan = _Scan(xml, {row for row, _ in values})
    encode = _encoder(xml)
    by_row: dict[int, list[tuple[int, Value]]] = {}
    splices: list[tuple[int, int, bytes]] = []
    for place, value in sorted(values.items(), key=lambda each: each[0]):
        cell = scan.cell(place)
        if cell.kind not in FREE:
            raise PatchError(f"{_name(place).decode()} is no cell that can be patched: {cell.kind}")
        if not is_storable(value.text):
            raise PatchError(f"{_name(place).decode()}: the text holds what no XML can")
        if cell.kind == "missing":
            if value.kind != "blank":
                by_row.setdefault(place[0], []).append((place[1], value))
            continue
        start, end = scan.extent(place)
        splices.append((start, end, _changed(xml, start, value, encode)))
    for number, new in by_row.items():
        splices += scan.inserted(number, new, encode)
    missing = {number: new for number, new in by_row.items() if not scan.has_row(number)}
    splices += scan.new_rows(missing, encode)
    return spliced(xml, splices)


def spliced(xml: bytes, splices: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Bytes with some ranges replaced; of those at one place the first one given comes first."""
    parts: list[bytes] = []
    done = 0
    for start, end, new in sorted(splices, key=lambda each: each[:2]):
        parts += (xml[done:start], new)
        done = end
    return b"".join([*parts, xml[done:]])


# --- writing -------------------------------------------------------------------------------------------------


class _Encoder:
    """Text as bytes of an XML file: escaped, and what its encoding lacks as references."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding

    def __call__(self, text: str) -> bytes:
        escaped = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
        for plain, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            escaped = escaped.replace(plain, entity)
        return escaped.encode(self._encoding, "xmlcharrefreplace")


def _encoder(xml: bytes) -> _Encoder:
    if b"\0" in xml[:4]:
        raise PatchError("the worksheet is stored in UTF-16")
    declared = _DECLARED.match(xml)
    return _Encoder(declared[1].decode() if declared else "utf-8")


def _name(place: Place) -> bytes:
    return f"{column_letter(place[1])}{place[0] + 1}".encode()


def _tag(xml: bytes, start: int) -> bytes:
    found = _TAG.match(xml, start)
    if found is None:
        raise PatchError("a tag does not end")
    return found[0]


def _qname(tag: bytes) -> bytes:
    found = _QNAME.match(tag)
    assert found is not None
    return found[1]


def _prefix(tag: bytes) -> bytes:
    prefix, colon, _ = _qname(tag).rpartition(b":")
    return prefix + colon


def _attributes(tag: bytes) -> list[tuple[bytes, bytes]]:
    """Each attribute's name, and its bytes with the blanks before it."""
    return [(found[1], found[0]) for found in _ATTRIBUTE.finditer(tag)]


def _changed(xml: bytes, start: int, value: Value, encode: _Encoder) -> bytes:
    """A cell that is there, with another value; its address, style and other attributes stay as they are written."""
    tag = _tag(xml, start)
    kept = b"".join(text for name, text in _attributes(tag) if name not in _GONE)
    return _element(_prefix(tag), kept, value, encode)


def _new(prefix: bytes, place: Place, style: int, value: Value, encode: _Encoder) -> bytes:
    attributes = b' r="' + _name(place) + b'"' + (f' s="{style}"'.encode() if style else b"")
    return _element(prefix, attributes, value, encode)


def _element(prefix: bytes, attributes: bytes, value: Value, encode: _Encoder) -> bytes:
    name = prefix + b"c"
    if value.kind == "blank":
        return b"<" + name + attributes + b"/>"
    if value.kind == "text":
        attributes += b' t="inlineStr"'
        inner = b'<%bis><%bt xml:space="preserve">%b</%bt></%bis>' % (
            prefix,
            prefix,
            encode(value.text),
            prefix,
            prefix,
        )
    else:
        attributes += b' t="b"' if value.kind == "boolean" else b""
        inner = b"<%bv>%b</%bv>" % (prefix, value.text.encode("ascii"), prefix)
    return b"<" + name + attributes + b">" + inner + b"</" + name + b">"


# --- scanning ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """A cell as it stands in the XML."""

    start: int
    type: str
    style: int
    end: int = 0
    has_formula: bool = False
    has_value: bool = False


@dataclass(slots=True)
class _Row:
    """A row that is wanted: where it begins, where its end tag does (its end where it closes itself), its cells."""

    start: int
    style: int = 0
    end: int = 0
    cells: dict[int, _Found] = field(default_factory=dict)
    twice: set[int] = field(default_factory=set)


Area = tuple[int, int, int, int]


class _Scan:
    """Goes through a worksheet once and keeps where the wanted rows and their cells stand."""

    def __init__(self, xml: bytes, rows: Collection[int]) -> None:
        self._xml = xml
        self._wanted = frozenset(rows)
        self._rows: dict[int, _Row] = {}
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
        self._row: _Row | None = None
        self._cell: _Found | None = None
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.buffer_text = True
        self._in_value = False
        self._parser = parser
        _encoder(xml)
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
        row = self._rows.get(number)
        found = row.cells.get(column) if row else None
        style = found.style if found else self._style_of(row, column)
        if row and (column in row.twice or row.start < 0):
            return Cell("twice", style)
        if any(_is_in(place, area) for area in self._calculated.get(number, ())) or (found and found.has_formula):
            return Cell("formula", style)
        if any(_is_in(place, area) and place != area[:2] for area in self._covered.get(number, ())):
            return Cell("covered", style)
        return Cell(_kind(found) if found else "missing", style)

    def extent(self, place: Place) -> tuple[int, int]:
        """From where to where a cell that is there stands."""
        found = self._rows[place[0]].cells[place[1]]
        return found.start, found.end

    def inserted(
        self, number: int, new: Sequence[tuple[int, Value]], encode: _Encoder
    ) -> Iterator[tuple[int, int, bytes]]:
        """The splices that put new cells, by column, into a row that is there."""
        row = self._rows.get(number)
        if row is None:
            return
        tag = _tag(self._xml, row.start)
        prefix = _prefix(tag)
        cells = [
            (column, _new(prefix, (number, column), self._style_of(row, column), value, encode))
            for column, value in new
        ]
        opened = _with_spans(tag, [column for column, _ in new])
        if tag.endswith(b"/>"):
            inner = b"".join(text for _, text in cells)
            closed = opened[:-2].rstrip() + b">" + inner + b"</" + _qname(tag) + b">"
            yield row.start, row.start + len(tag), closed
            return
        if opened != tag:
            yield row.start, row.start + len(tag), opened
        for column, text in cells:
            after = [found.start for other, found in row.cells.items() if other > column]
            at = min(after, default=row.end)
            yield at, at, text

    def has_row(self, number: int) -> bool:
        """Whether a wanted row is there."""
        return number in self._rows

    def new_rows(
        self, rows: Mapping[int, Sequence[tuple[int, Value]]], encode: _Encoder
    ) -> Iterator[tuple[int, int, bytes]]:
        """The splices that put rows of new cells, ascending, between those that are there."""
        assert self._data is not None
        start, end = self._data
        tag = _tag(self._xml, start)
        prefix = _prefix(tag)
        made = []
        for number, new in rows.items():
            styled = ((column, self._style_of(None, column), value) for column, value in new)
            cells = b"".join(_new(prefix, (number, column), style, value, encode) for column, style, value in styled)
            row = b'<%brow r="%d">%b</%brow>' % (prefix, number + 1, cells, prefix)
            made.append((min((at for other, at in self._starts if other > number), default=end), row))
        if made and tag.endswith(b"/>"):
            inner = b"".join(row for _, row in made)
            closed = tag[:-2].rstrip() + b">" + inner + b"</" + _qname(tag) + b">"
            yield start, start + len(tag), closed
            return
        yield from ((at, at, row) for at, row in made)

    def _style_of(self, row: _Row | None, column: int) -> int:
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
        if self._number in self._wanted and self._number not in self._rows:
            has_style = attributes.get("customFormat") in ("1", "true")
            self._row = _Row(self._parser.CurrentByteIndex, _int(attributes.get("s", "")) if has_style else 0)
            self._rows[self._number] = self._row

    def _start_cell(self, attributes: dict[str, str]) -> None:
        found = _CELL.fullmatch(attributes.get("r", ""))
        number = self._number
        if found:
            number, self._column = int(found[2]) - 1, column_index(found[1])
        else:
            self._column += 1
        self._cell = _Found(
            self._parser.CurrentByteIndex, attributes.get("t", "n"), _int(attributes.get("s", "")), has_value=False
        )
        if number not in self._wanted:
            return
        row = self._rows.get(number)
        if row is None or row is not self._row:  # a cell that stands in another row's element
            row = self._rows.setdefault(number, _Row(-1))
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
        if _tag(self._xml, start).endswith(b"/>"):
            return here
        return self._xml.index(b">", here) + 1


def _kind(found: _Found) -> Kind:
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


def _with_spans(tag: bytes, columns: Sequence[int]) -> bytes:
    """A row's tag that spans the new columns too, where it tells what it spans."""
    found = re.search(rb"(\sspans\s*=\s*[\"'])(\d+):(\d+)([\"'])", tag)
    if found is None:
        return tag
    low, high = min(int(found[2]), *(c + 1 for c in columns)), max(int(found[3]), *(c + 1 for c in columns))
    if (low, high) == (int(found[2]), int(found[3])):
        return tag
    return tag[: found.start()] + b"%b%d:%d%b" % (found[1], low, high, found[4]) + tag[found.end() :]
