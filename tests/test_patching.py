"""Patching a worksheet's XML: the patched cells change, no other byte does, whatever wrote the file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import python_calamine as calamine
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync import bookparts
from catalogsync.errors import SheetError
from catalogsync.patching import Value, is_storable, look, patched
from catalogsync.reader.marks import Place
from catalogsync.tabscan import PatchError

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
HEAD = f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<worksheet xmlns="{MAIN}">'
T = ' xml:space="preserve"'


def sheet(rows: str, after: str = "", before: str = "") -> bytes:
    return f"{HEAD}{before}<sheetData>{rows}</sheetData>{after}</worksheet>".encode()


def text(words: str) -> Value:
    return Value("text", words)


def number(digits: str) -> Value:
    return Value("number", digits)


B1, C1, A2 = (0, 1), (0, 2), (1, 0)


# --- cells that are there ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "value", "expected"),
    [
        ('<c r="B1" s="7"><v>1</v></c>', number("2.5"), '<c r="B1" s="7"><v>2.5</v></c>'),
        ('<c r="B1" s="7" t="s"><v>12</v></c>', number("2"), '<c r="B1" s="7"><v>2</v></c>'),
        ('<c r="B1" t="s"><v>12</v></c>', text("ü"), f'<c r="B1" t="inlineStr"><is><t{T}>ü</t></is></c>'),
        ('<c t="s"  s="3"\n r="B1" ><v>1</v></c>', number("2"), '<c  s="3"\n r="B1"><v>2</v></c>'),
        ("<c t='b' r='B1'><v>1</v></c>", Value("boolean", "0"), "<c r='B1' t=\"b\"><v>0</v></c>"),
        ('<c r="B1" s="4"/>', number("2"), '<c r="B1" s="4"><v>2</v></c>'),
        ('<c r="B1" s="4" />', text("x"), f'<c r="B1" s="4" t="inlineStr"><is><t{T}>x</t></is></c>'),
        ('<c r="B1" s="4"></c>', number("2"), '<c r="B1" s="4"><v>2</v></c>'),
        ('<c r="B1" s="4" t="s"><v>3</v></c>', Value("blank"), '<c r="B1" s="4"/>'),
        ('<c r="B1" vm="1" cm="2"><v>3</v></c>', number("4"), '<c r="B1"><v>4</v></c>'),
        (
            '<c r="B1" t="inlineStr"><is><r><rPr><b/></rPr><t>fat</t></r><rPh sb="0" eb="1"><t>f</t></rPh>'
            '<phoneticPr fontId="1"/></is></c>',
            text(" <a> & ]]> "),
            f'<c r="B1" t="inlineStr"><is><t{T}> &lt;a&gt; &amp; ]]&gt; </t></is></c>',
        ),
        ('<c r="B1" t="str"><v>x</v></c>', text("=1+1"), f'<c r="B1" t="inlineStr"><is><t{T}>=1+1</t></is></c>'),
        ('<c r="B1" t="d"><v>2026-01-31</v></c>', number("46000"), '<c r="B1"><v>46000</v></c>'),
        ('<c r="B1" ph="1"><v><![CDATA[5]]></v><!-- > --></c>', number("6"), '<c r="B1" ph="1"><v>6</v></c>'),
        ('<c r="B1"><v>5</v></c\n>', number("6"), '<c r="B1"><v>6</v></c>'),
        ('<c r="b1"><v>5</v></c>', number("6"), '<c r="b1"><v>6</v></c>'),
        ("<c r=\"B1\" x='a>b'><v>5</v></c>", number("6"), "<c r=\"B1\" x='a>b'><v>6</v></c>"),
    ],
)
def test_a_cell_gets_its_value_and_keeps_its_place_and_style(cell: str, value: Value, expected: str) -> None:
    around = '<row r="1"><c r="A1" t="s"><v>0</v></c>{}<c r="C1"><f>B1*2</f><v>2</v></c></row><row r="2"/>'
    assert patched(sheet(around.format(cell)), {B1: value}).decode() == sheet(around.format(expected)).decode()


def test_a_prefix_of_the_namespace_is_kept() -> None:
    rows = '<x:row r="1"><x:c r="A1"><x:v>1</x:v></x:c>{}</x:row>'
    xml = f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData>{rows}</x:sheetData></x:worksheet>'
    expected = '<x:c r="B1" t="inlineStr"><x:is><x:t xml:space="preserve">new</x:t></x:is></x:c>'
    assert patched(xml.format("").encode(), {B1: text("new")}).decode() == xml.format(expected)


def test_cells_and_rows_without_an_address_are_counted() -> None:
    rows = "<row><c><v>1</v></c><c><v>2</v></c></row><row/><row><c r='C3'><v>3</v></c><c><v>{}</v></c></row>"
    xml = sheet(rows.format(4))
    assert {place: cell.kind for place, cell in look(xml, [B1, A2, (2, 3), (2, 4)]).items()} == {
        B1: "number",
        A2: "missing",
        (2, 3): "number",
        (2, 4): "missing",
    }
    assert patched(xml, {(2, 3): number("40")}) == sheet(rows.format(40))


def test_comments_instructions_and_extensions_that_look_like_cells_are_none() -> None:
    rows = '<!-- <c r="B1"><v>9</v></c> --><row r="1"><?c r="B1"?><c r="B1"><v>{}</v></c></row>'
    after = (
        f'<extLst><ext><x14:c xmlns:x14="u" r="B1"/><sheetData xmlns="{MAIN}"><row r="1"/></sheetData></ext></extLst>'
    )
    assert patched(sheet(rows.format(1), after), {B1: number("2")}) == sheet(rows.format(2), after)
    added = rows.format(1) + '<row r="9"><c r="A9"><v>1</v></c></row>'
    assert patched(sheet(rows.format(1), after), {(8, 0): number("1")}) == sheet(added, after)


# --- cells and rows that are not there ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            '<row r="1" spans="1:4" ht="20"><c r="A1"/><c r="D1"/></row>',
            '<row r="1" spans="1:4" ht="20"><c r="A1"/><c r="B1"><v>5</v></c><c r="C1"><v>6</v></c><c r="D1"/></row>',
        ),
        (
            '<row r="1" spans="1:1"><c r="A1"/></row>',
            '<row r="1" spans="1:3"><c r="A1"/><c r="B1"><v>5</v></c><c r="C1"><v>6</v></c></row>',
        ),
        ('<row r="1" ht="3"/>', '<row r="1" ht="3"><c r="B1"><v>5</v></c><c r="C1"><v>6</v></c></row>'),
        ('<row r="1" ></row>', '<row r="1" ><c r="B1"><v>5</v></c><c r="C1"><v>6</v></c></row>'),
        (
            '<row r="2"><c r="A2"/></row>',
            '<row r="1"><c r="B1"><v>5</v></c><c r="C1"><v>6</v></c></row><row r="2"><c r="A2"/></row>',
        ),
        ("", '<row r="1"><c r="B1"><v>5</v></c><c r="C1"><v>6</v></c></row>'),
        (
            '<row r="1" s="8" customFormat="1"/>',
            '<row r="1" s="8" customFormat="1"><c r="B1" s="8"><v>5</v></c><c r="C1" s="8"><v>6</v></c></row>',
        ),
    ],
)
def test_a_missing_cell_is_put_in_the_order_of_the_columns(rows: str, expected: str) -> None:
    assert patched(sheet(rows), {C1: number("6"), B1: number("5")}).decode() == sheet(expected).decode()


def test_a_sheet_without_rows_gets_one_and_a_new_cell_has_the_style_of_its_column() -> None:
    columns = '<cols><col min="2" max="3" width="9" style="5"/></cols>'
    xml = f"{HEAD}{columns}<sheetData /></worksheet>"
    expected = f'{HEAD}{columns}<sheetData><row r="1"><c r="B1" s="5"><v>1</v></c></row></sheetData></worksheet>'
    assert patched(xml.encode(), {B1: number("1")}).decode() == expected


def test_an_empty_value_for_a_missing_cell_is_nothing_to_do() -> None:
    xml = sheet('<row r="1"><c r="A1"/></row>')
    assert patched(xml, {B1: Value("blank"), (4, 4): Value("blank")}) == xml


# --- cells that are left -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "after", "kind"),
    [
        ('<row r="1"><c r="B1"><f>1+1</f><v>2</v></c></row>', "", "formula"),
        ('<row r="1"><c r="B1"><f t="shared" si="0"/><v>2</v></c></row>', "", "formula"),
        ('<row r="1"><c r="A1"><f t="array" ref="A1:B1">x</f><v>1</v></c><c r="B1"><v>2</v></c></row>', "", "formula"),
        ('<row r="1"><c r="A1"><f t="dataTable" ref="$A$1:$B$1"/></c><c r="B1"><v>2</v></c></row>', "", "formula"),
        ('<row r="1"><c r="A1"/><c r="B1"/></row>', '<mergeCells><mergeCell ref="A1:B2"/></mergeCells>', "covered"),
        ('<row r="1"><c r="B1" t="e"><v>#N/A</v></c></row>', "", "error"),
        ('<row r="1"><c r="B1"><v>1</v></c><c r="B1"><v>2</v></c></row>', "", "twice"),
        ('<row r="1"><c r="B1"/></row><row r="1"><c r="B1"/></row>', "", "twice"),
        ('<row r="2"><c r="B1"><v>1</v></c></row>', "", "twice"),
    ],
)
def test_what_must_not_be_patched_is_told_and_refused(rows: str, after: str, kind: str) -> None:
    xml = sheet(rows, after)
    assert look(xml, [B1])[B1].kind == kind
    with pytest.raises(PatchError, match=kind):
        patched(xml, {B1: number("1")})


def test_the_first_cell_of_a_merged_area_may_be_patched() -> None:
    xml = sheet('<row r="1"><c r="B1"/><c r="C1"/></row>', '<mergeCells><mergeCell ref="B1:C2"/></mergeCells>')
    assert look(xml, [B1])[B1].kind == "blank"


@pytest.mark.parametrize("words", ["\ud800", "\ufffe", "\uffff"])
def test_what_no_xml_holds_is_refused(words: str) -> None:
    assert not is_storable(words)
    with pytest.raises(PatchError):
        patched(sheet('<row r="1"/>'), {B1: text(words)})


# --- encodings ---------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_moves_nothing() -> None:
    rows = '<row r="1"><c r="A1" t="inlineStr"><is><t>Ж</t></is></c><c r="B1"><v>{}</v></c></row>'
    before, after = (b"\xef\xbb\xbf" + sheet(rows.format(n)) for n in (1, 2))
    assert patched(before, {B1: number("2")}) == after


def test_an_eight_bit_encoding_gets_references_for_what_it_lacks() -> None:
    xml = sheet('<row r="1"><c r="B1"><v>1</v></c><c r="C1" t="str"><v>é</v></c></row>').decode()
    encoded = xml.replace("UTF-8", "iso-8859-1").encode("iso-8859-1")
    made = patched(encoded, {B1: text("éЖ")})
    assert '<is><t xml:space="preserve">é&#1046;</t></is></c><c r="C1"'.encode("iso-8859-1") in made


def test_utf_16_is_refused() -> None:
    xml = sheet('<row r="1"/>').decode().replace("UTF-8", "UTF-16").encode("utf-16")
    with pytest.raises(PatchError, match="UTF-16"):
        look(xml, [B1])


# --- workbooks as libraries write them ---------------------------------------------------------------------------


def made_by_openpyxl(rows: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def made_by_xlsxwriter(rows: list[list[Any]], **options: Any) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"default_date_format": "yyyy-mm-dd", "in_memory": True, **options}) as book:
        tab = book.add_worksheet()
        for n, row in enumerate(rows):
            for m, value in enumerate(row):
                if isinstance(value, str):
                    tab.write_string(n, m, value)
                elif value is not None:
                    tab.write(n, m, value)
    return stream.getvalue()


def made_with_inline_texts(rows: list[list[Any]]) -> bytes:
    return made_by_xlsxwriter(rows, constant_memory=True)


def values_of(book: bytes) -> dict[Place, Any]:
    tab = calamine.CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0)
    top, left = tab.start or (0, 0)
    rows = tab.to_python(skip_empty_area=True)
    return {
        (n + top, m + left): value
        for n, row in enumerate(rows)
        for m, value in enumerate(row)
        if value not in ("", None)
    }


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=9)
numbers = st.integers(-(10**9), 10**9) | st.decimals(-1000, 1000, places=3).map(float)
cells = st.none() | words.filter(lambda t: t.isprintable()) | numbers | st.booleans() | st.just(date(2026, 3, 1))
new_values = (
    words.map(text)
    | numbers.map(lambda n: number(repr(n)))
    | st.booleans().map(lambda flag: Value("boolean", str(int(flag))))
    | st.just(Value("blank"))
)
PART = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize("make", [made_by_openpyxl, made_by_xlsxwriter, made_with_inline_texts])
@given(
    rows=st.lists(st.lists(cells, max_size=4), max_size=5),
    values=st.dictionaries(st.tuples(st.integers(0, 6), st.integers(0, 5)), new_values, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_what_was_patched_reads_as_it_should_and_no_other_cell_or_part_changed(
    make: Callable[[list[list[Any]]], bytes],
    rows: list[list[Any]],
    values: dict[Place, Value],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("books")
    source, target = folder / "a.xlsx", folder / "b.xlsx"
    source.write_bytes(make(rows))
    with zipfile.ZipFile(source) as book:
        xml = book.read(PART)
    bookparts.rewrite(source, target, {PART: patched(xml, values)})

    expected = values_of(source.read_bytes())
    for place, value in values.items():
        expected.pop(place, None)
        if value.kind == "text":
            expected[place] = value.text
        elif value.kind == "number":
            expected[place] = float(value.text)
        elif value.kind == "boolean":
            expected[place] = value.text == "1"
    found = values_of(target.read_bytes())
    dated = {place for place in values if values[place].kind == "number" and not isinstance(found[place], float)}
    assert {place: value for place, value in found.items() if place not in dated} == {
        place: value for place, value in expected.items() if place not in dated
    }
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target) as new:
        facts = [
            [(i.filename, i.date_time, i.compress_type, i.external_attr) for i in b.infolist()] for b in (old, new)
        ]
        assert facts[0] == facts[1]
        assert [n for n in old.namelist() if old.read(n) != new.read(n)] in ([], [PART])
    openpyxl.load_workbook(io.BytesIO(target.read_bytes())).close()


def test_patching_the_same_values_again_changes_nothing() -> None:
    xml = sheet('<row r="1"><c r="A1"/></row>')
    values = {B1: text("a"), A2: number("3")}
    once = patched(xml, values)
    assert patched(once, values) == once


# --- the workbook's own part -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<sheets/><calcPr calcId="1"/>', '<sheets/><calcPr fullCalcOnLoad="1" calcId="1"/>'),
        ("<sheets/><calcPr fullCalcOnLoad='0'></calcPr>", '<sheets/><calcPr fullCalcOnLoad="1"></calcPr>'),
        (
            "<sheets><sheet/></sheets><definedNames></definedNames ><oleSize/>",
            '<sheets><sheet/></sheets><definedNames></definedNames ><calcPr fullCalcOnLoad="1"/><oleSize/>',
        ),
        ("<sheets><sheet/></sheets>", '<sheets><sheet/></sheets><calcPr fullCalcOnLoad="1"/>'),
    ],
)
def test_a_workbook_is_asked_to_calculate_everything_when_it_is_opened(before: str, after: str) -> None:
    book = f'<?xml version="1.0"?><workbook xmlns="{MAIN}"><!-- calcPr -->{{}}</workbook>'
    assert bookparts.calculated_on_load(book.format(before).encode()).decode() == book.format(after)


@pytest.mark.parametrize(
    ("code", "is_date"),
    [
        ("dd/mm/yyyy", True), ("[$-419]d mmmm yyyy", True), ("[h]:mm", True), ("General", False), ("0.00", False),
        ('0.00" грн (dmy)"', False), ("[Red]0", False), ("#,##0\\ [$€-407]", False), ("0.00E+00", False),
    ],
)  # fmt: skip
def test_a_format_shows_a_date_or_a_number(code: str, is_date: bool) -> None:
    assert bookparts.is_date_format(code) == is_date


def test_a_signed_workbook_and_a_tab_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(made_by_openpyxl([["a"]]))
    assert bookparts.open_tab(path, "Sheet").part == PART
    monkeypatch.setattr(bookparts, "MOST_PART_BYTES", 10)
    with pytest.raises(SheetError, match="cannot be patched"):
        bookparts.open_tab(path, "Sheet")
    with zipfile.ZipFile(path, "a") as book:
        book.writestr("_xmlsignatures/sig1.xml", "<x/>")
    with pytest.raises(SheetError, match="signature"):
        bookparts.open_tab(path, "Sheet")
