"""The parts of an XLSX workbook that matter when one of them is replaced: the tab's, formulas, dates, the archive."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from xml.etree import ElementTree
from xml.parsers import expat

from catalogsync.errors import SheetError
from catalogsync.patching import spliced
from catalogsync.reader import limits
from catalogsync.reader.marks import Marks
from catalogsync.reader.xlsx import tab_part, xlsx_marks

WORKBOOK: Final = "xl/workbook.xml"
MOST_PART_BYTES: Final = 256 << 20
"""Of a tab that is patched: its XML is held in memory, twice for a moment."""

_PIECE_BYTES: Final = 1 << 20
_OVERLAP: Final = 64
_FORMULA: Final = re.compile(rb"<(?:[\w.-]+:)?f[\s>/]")
_BUILT_IN_DATES: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_NO_DATE: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.I)
_ZIP64_EXTRA: Final = b"\x01\x00"
_BEFORE_CALCULATION: Final = ("sheets", "functionGroups", "externalReferences", "definedNames")
"""What the properties of the calculation stand behind (ECMA-376 part 1, 18.2.27)."""


@dataclass(frozen=True)
class Tab:
    """A tab that is going to be patched: its part, its XML, and what the formats of its cells tell.

    `date_styles` are the numbers of formats that show a number as a date or time. `counts_from_1904` is the
    workbook's date system; `has_formulas` of any tab.
    """

    part: str
    xml: bytes
    marks: Marks
    date_styles: frozenset[int]
    counts_from_1904: bool
    has_formulas: bool


def open_tab(path: Path, tab: str) -> Tab:
    """Read what is needed to patch a tab. Raises SheetError where it cannot or must not be."""
    with zipfile.ZipFile(path) as archive:
        if any(name.lower().startswith("_xmlsignatures/") for name in archive.namelist()):
            raise SheetError(f"{path.name} is signed, and a change would break the signature. Save an unsigned copy.")
        part = tab_part(archive, tab)
        if archive.getinfo(part).file_size > MOST_PART_BYTES:
            most = limits.shown_bytes(MOST_PART_BYTES)
            raise limits.too_large(path.name, f"the tab {tab!r} is larger than {most} and cannot be patched")
        book = archive.read(WORKBOOK)
        styles = archive.read("xl/styles.xml") if "xl/styles.xml" in archive.namelist() else b""
        xml = archive.read(part)
        has_formulas = any(_has_formula(archive, name) for name in {part, *_sheets(archive)})
    return Tab(part, xml, xlsx_marks(path, tab), date_styles(styles), _counts_from_1904(book), has_formulas)


def _sheets(archive: zipfile.ZipFile) -> Iterator[str]:
    for name in archive.namelist():
        if name.lower().startswith("xl/worksheets/") and name.lower().endswith(".xml"):
            yield name


def _has_formula(archive: zipfile.ZipFile, part: str) -> bool:
    rest = b""
    with archive.open(part) as xml:
        while piece := xml.read(_PIECE_BYTES):
            if _FORMULA.search(rest + piece):
                return True
            rest = piece[-_OVERLAP:]
    return False


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _counts_from_1904(book: bytes) -> bool:
    for element in ElementTree.fromstring(book):  # noqa: S314 - archive.py refuses document types
        if _local(element.tag) == "workbookPr":
            return element.get("date1904") in ("1", "true")
    return False


def date_styles(styles: bytes) -> frozenset[int]:
    """The numbers of the formats that show a number as a date or a time."""
    if not styles:
        return frozenset()
    root = ElementTree.fromstring(styles)  # noqa: S314 - archive.py refuses document types
    codes = {e.get("numFmtId", ""): e.get("formatCode", "") for e in root.iter() if _local(e.tag) == "numFmt"}
    found = set()
    for group in root:
        if _local(group.tag) == "cellXfs":
            for number, style in enumerate(group):
                id_ = style.get("numFmtId", "")
                code = codes.get(id_)
                is_built_in = code is None and id_.isdecimal() and int(id_) in _BUILT_IN_DATES
                if is_built_in or (code is not None and is_date_format(code)):
                    found.add(number)
    return frozenset(found)


def is_date_format(code: str) -> bool:
    """Whether a number format shows dates or times: a letter of one of them outside of literal text."""
    section = _NO_DATE.sub("", code).split(";")[0]
    return "general" not in section.lower() and bool(re.search("[dmyhs]", section, re.I))


# --- calculated again ----------------------------------------------------------------------------------------


def calculated_on_load(book: bytes) -> bytes:
    """The workbook part that asks for all formulas to be calculated when it is opened; nothing else changes in it.

    One in UTF-16, which no spreadsheet program writes, stays as it is.
    """
    if b"\0" in book[:4]:
        return book
    level, open_at = 0, {}
    found: tuple[int, bytes] | None = None
    behind = 0
    prefix = b""
    parser = expat.ParserCreate()

    def start(name: str, _attributes: dict[str, str]) -> None:
        nonlocal level, found
        local = name.rpartition(":")[2]
        if level == 1 and local == "calcPr" and found is None:
            found = parser.CurrentByteIndex, name.encode()
        if level == 1:
            open_at[local] = parser.CurrentByteIndex
        level += 1

    def end(name: str) -> None:
        nonlocal level, behind, prefix
        level -= 1
        local, here = name.rpartition(":")[2], parser.CurrentByteIndex
        if level == 1 and local in _BEFORE_CALCULATION:
            is_tag = book.startswith(b"</" + name.encode(), here)
            behind = max(behind, book.index(b">", here) + 1 if is_tag else here)
            prefix = name.encode().removesuffix(local.encode())

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.Parse(book, True)
    if found is None:
        return spliced(book, [(behind, behind, b"<" + prefix + b'calcPr fullCalcOnLoad="1"/>')])
    at, name = found
    tag = re.compile(rb"<[^\s/>]+(?:[^>\"']|\"[^\"]*\"|'[^']*')*>").match(book, at)
    assert tag is not None
    plain = re.sub(rb"\s+fullCalcOnLoad\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", tag[0])
    asked = plain[: 1 + len(name)] + b' fullCalcOnLoad="1"' + plain[1 + len(name) :]
    return spliced(book, [(tag.start(), tag.end(), asked)])


# --- the archive ---------------------------------------------------------------------------------------------


def part_of(path: Path, tab: str) -> str:
    """The part of the workbook that holds a tab. KeyError where there is none."""
    with zipfile.ZipFile(path) as archive:
        return tab_part(archive, tab)


def column_of_text(lines: Sequence[str]) -> bytes:
    """The XML of a tab with plain ASCII lines in its first column and nothing else."""
    rows = "".join(
        f'<row r="{row}"><c r="A{row}" t="inlineStr"><is><t>{line}</t></is></c></row>'
        for row, line in enumerate(lines, start=1)
    )
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return f'{head}\n<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'.encode("ascii")


def rewrite(source: Path, target: Path, parts: Mapping[str, bytes]) -> None:
    """Write a workbook again with other contents of some parts: the others, their order, names and dates stay."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        new.comment = old.comment
        for info in old.infolist():
            made = zipfile.ZipInfo(info.filename, info.date_time)
            made.compress_type, made.comment = info.compress_type, info.comment
            made.create_system, made.external_attr = info.create_system, info.external_attr
            made.internal_attr, made.extra = info.internal_attr, _without_zip64(info.extra)
            content = parts.get(info.filename)
            made.file_size = info.file_size if content is None else len(content)
            with new.open(made, "w") as out:
                if content is not None:
                    out.write(content)
                else:
                    with old.open(info) as part:
                        _copy(part, out)


def _copy(part: IO[bytes], out: IO[bytes]) -> None:
    shutil.copyfileobj(part, out, _PIECE_BYTES)


def _without_zip64(extra: bytes) -> bytes:
    """The extra fields less the one that holds sizes beyond 4 GB, which is written anew where it is needed."""
    kept, at = b"", 0
    while at + 4 <= len(extra):
        size = 4 + int.from_bytes(extra[at + 2 : at + 4], "little")
        if extra[at : at + 2] != _ZIP64_EXTRA:
            kept += extra[at : at + size]
        at += size
    return kept
