"""Error cells, formulas without a value, and telling formats of an XLSX tab, from the XML inside the zip.

The XML streams through in pieces (tablook.py); it is never parsed as a whole.
XML of an unusual kind (cells without an address, another encoding than UTF-8) goes through openpyxl.
"""

from __future__ import annotations

import posixpath
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from catalogsync.reader.marks import BUILT_IN_PERCENTS, PERCENT, Marks, Place, telling_format
from catalogsync.reader.tablook import TabLook

if TYPE_CHECKING:
    from openpyxl.cell import Cell

_LONGEST_PART_BYTES = 1 << 25
_MOST_ELEMENTS = 1_000_000
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


def xlsx_marks(path: Path, tab: str) -> Marks:
    """The cells of one tab that need more than their value."""
    with zipfile.ZipFile(path) as archive:
        part = tab_part(archive, tab)
        look = TabLook(telling_styles(archive), np.zeros(0, dtype=np.int64), None)
        with archive.open(part) as xml:
            look.see_all(xml)
    return _openpyxl_marks(path, tab) if look.marks is None else look.marks


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


def telling_styles(archive: zipfile.ZipFile) -> dict[bytes, int]:
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
