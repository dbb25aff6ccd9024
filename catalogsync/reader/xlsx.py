"""Error cells, formulas without a value, and telling formats of an XLSX tab, from the XML inside the zip.

The XML streams through in pieces and is searched for the few texts that matter; it is never parsed as a whole.
XML of an unusual kind (cells without an address, another encoding than UTF-8) goes through openpyxl.
"""

from __future__ import annotations

import contextlib
import html
import posixpath
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING
from xml.etree import ElementTree

from catalogsync.reader.marks import BUILT_IN_PERCENTS, PERCENT, Marks, Place, telling_format
from catalogsync.reader.sheet import column_index

if TYPE_CHECKING:
    from openpyxl.cell import Cell

_CHUNK_BYTES = 1 << 20
_LONGEST_CELL_BYTES = 1 << 26
_LONGEST_PART_BYTES = 1 << 25
_MOST_ELEMENTS = 1_000_000
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


class UnusualXml(Exception):
    """The quick search does not suit this XML."""


def xlsx_marks(path: Path, tab: str) -> Marks:
    """The cells of one tab that need more than their value."""
    with zipfile.ZipFile(path) as archive:
        part = tab_part(archive, tab)
        telling = _telling_styles(archive)
        with contextlib.suppress(UnusualXml), archive.open(part) as xml:
            return _search(xml, telling)
    return _openpyxl_marks(path, tab)


def tab_part(archive: zipfile.ZipFile, tab: str) -> str:
    """The part of the archive that holds a tab. KeyError where there is none."""
    workbook = _root(archive, "xl/workbook.xml")
    relation = None
    for element in workbook.iter():
        if _local(element.tag) == "sheet" and element.get("name") == tab:
            relation = element.get(_RELATION) or element.get(_STRICT_RELATION)
            break
    relations = _root(archive, "xl/_rels/workbook.xml.rels")
    for element in relations.iter():
        if _local(element.tag) == "Relationship" and element.get("Id") == relation:
            target = element.get("Target", "")
            return target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
    raise KeyError(f"tab {tab!r} has no part")


def _telling_styles(archive: zipfile.ZipFile) -> dict[bytes, int]:
    """Style number, as it is written in a cell → what its number format tells."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    root = _root(archive, "xl/styles.xml")
    formats: dict[str, int] = dict.fromkeys(map(str, BUILT_IN_PERCENTS), PERCENT)
    styles: dict[bytes, int] = {}
    for element in root.iter():
        if _local(element.tag) == "numFmt":
            formats[element.get("numFmtId", "")] = telling_format(element.get("formatCode", ""))
    for cell_styles in root:
        if _local(cell_styles.tag) == "cellXfs":
            for number, style in enumerate(cell_styles):
                telling = formats.get(style.get("numFmtId", ""), 0)
                if telling:
                    styles[str(number).encode()] = telling
    return styles


def _root(archive: zipfile.ZipFile, part: str) -> ElementTree.Element:
    with archive.open(part) as file:
        xml = file.read(_LONGEST_PART_BYTES + 1)
    if len(xml) > _LONGEST_PART_BYTES:
        raise zipfile.BadZipFile(f"{part} is larger than any real one")
    if xml.count(b"<") > 2 * _MOST_ELEMENTS:
        raise zipfile.BadZipFile(f"{part} has more elements than any real one")
    return ElementTree.fromstring(xml)  # noqa: S314 - archive.py refuses document types: there are no entities


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _search(xml: IO[bytes], telling: dict[bytes, int]) -> Marks:
    marks = Marks()
    first = xml.read(4096)
    root = re.search(rb"<(?:(\w+):)?worksheet[\s>]", first)
    if root is None or b"\x00" in first:
        raise UnusualXml
    prefix = root.group(1) + b":" if root.group(1) else b""
    searcher = _Searcher(prefix, telling, marks)
    rest = first
    while True:
        chunk = xml.read(_CHUNK_BYTES)
        if not chunk:
            searcher.search(rest)
            return marks
        rest += chunk
        cut = rest.rfind(searcher.cell)
        if cut > 0:
            searcher.search(rest[:cut])
            rest = rest[cut:]
        elif len(rest) > _LONGEST_CELL_BYTES:
            raise UnusualXml


class _Searcher:
    def __init__(self, prefix: bytes, telling: dict[bytes, int], marks: Marks) -> None:
        p = re.escape(prefix)
        self.cell = b"<" + prefix + b"c "
        self._marks = marks
        self._telling = telling
        self._error = re.compile(rb"""t=["']e["']""")
        self._error_text = re.compile(rb"<" + p + rb"v[^>]*>([^<]*)<")
        none = rb"\s*(?P<v><" + p + rb"v\s*/>|<" + p + rb"v(?:\s[^>]*)?>\s*</" + p + rb"v>)?\s*</" + p + rb"c>"
        self._no_value = (
            re.compile(rb"</" + p + rb"f>" + none),
            re.compile(rb"<" + p + rb"f(?:\s[^>]*)?/>" + none),
        )
        numbers = b"|".join(sorted(telling))
        self._style = re.compile(rb"""s=["'](""" + numbers + rb""")["']""") if telling else None
        self._formula = b"<" + prefix + b"f"
        self._hidden_row = re.compile(rb"<" + p + rb"""row\s[^>]*\shidden=["'](?:1|true)["'][^>]*>""")

    def search(self, xml: bytes) -> None:
        for match in self._error.finditer(xml):
            place = self._place(xml, match.start())
            if place is not None:
                value = self._error_text.search(xml, match.end())
                text = value.group(1).decode("utf-8", "replace") if value else ""
                self._marks.errors[place] = html.unescape(text).strip() or "#ERROR"
        if self._formula in xml:
            for pattern in self._no_value:
                for match in pattern.finditer(xml):
                    start = xml.rfind(self.cell, 0, match.start())
                    tag = xml[start : xml.find(b">", start) + 1]
                    # A formula whose result is the empty text has type str and an empty value.
                    if match["v"] and re.search(rb"""\st=["']str["']""", tag):
                        continue
                    self._marks.without_value.add(self._address(tag))
        if b" hidden=" in xml:
            for match in self._hidden_row.finditer(xml):
                number = re.search(rb"""\sr=["'](\d{1,7})["']""", match.group())
                if number is None:
                    raise UnusualXml
                self._marks.hidden.append(range(int(number.group(1)) - 1, int(number.group(1))))
        if self._style is not None:
            for match in self._style.finditer(xml):
                place = self._place(xml, match.start())
                if place is not None:
                    self._marks.set_format(place, self._telling[match.group(1)])

    def _place(self, xml: bytes, attribute: int) -> Place | None:
        """Of the cell that has the attribute found here; None where it is not an attribute of a cell."""
        start = xml.rfind(b"<", 0, attribute)
        if not xml.startswith(self.cell, start) or xml[attribute - 1 : attribute] not in (b" ", b"\n", b"\t", b"\r"):
            return None
        end = xml.find(b">", start)
        if end < attribute:
            return None
        return self._address(xml[start : end + 1])

    @staticmethod
    def _address(tag: bytes) -> Place:
        match = re.search(rb"""\sr=["']([A-Z]{1,3})(\d{1,7})["']""", tag)
        if match is None:
            raise UnusualXml
        return int(match.group(2)) - 1, column_index(match.group(1).decode())


def _openpyxl_marks(path: Path, tab: str) -> Marks:
    marks = Marks()
    filled: set[Place] = set()
    for place, cell in _openpyxl_cells(path, tab, values=True):
        telling = telling_format(str(cell.number_format)) if cell.number_format else 0
        if cell.data_type == "e":
            marks.errors[place] = str(cell.value)
        elif telling and isinstance(cell.value, int | float) and not isinstance(cell.value, bool):
            marks.set_format(place, telling)
        if cell.value is not None or cell.data_type in ("s", "str"):  # a formula may result in the empty text
            filled.add(place)
    for place, cell in _openpyxl_cells(path, tab, values=False):
        if cell.data_type == "f" and place not in filled:
            marks.without_value.add(place)
    return marks


def _openpyxl_cells(path: Path, tab: str, *, values: bool) -> Iterator[tuple[Place, Cell]]:
    import openpyxl  # for unusual XML only, and it takes long to load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns of extensions it does not know; none matters here
        workbook = openpyxl.load_workbook(path, read_only=True, data_only=values)
        try:
            for row in workbook[tab].iter_rows():
                for cell in row:
                    if getattr(cell, "row", None) is not None:
                        yield (cell.row - 1, cell.column - 1), cell
        finally:
            workbook.close()
