"""XLSX, XLS and ODS: values as text, what calamine does not tell, tabs and rows."""

from __future__ import annotations

import datetime
import re
import struct
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import python_calamine
import xlsxwriter
from hypothesis import example, given
from hypothesis import strategies as st
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from catalogsync.errors import SheetError
from catalogsync.reader import CellProblem, ReadOptions, archive, column_index, column_letter, read_sheet, tablook, xls
from catalogsync.reader.bookcells import cells_of, number_texts
from catalogsync.reader.marks import PERCENT, telling_format
from catalogsync.reader.workbook import as_percent, cell_text
from tests.reader_files import SPREADSHEET, table, worksheet, zip_ods, zip_xlsx

MOMENT = datetime.datetime(2024, 5, 1, 13, 30)  # noqa: DTZ001 - a sheet knows no time zones
NO_VALUE = (
    "the formula has no stored value",
    "open the workbook in Excel or LibreOffice and save it, so that the result is stored",
)


def problem_places(path: Path) -> list[tuple[str, str]]:
    sheet = read_sheet(path)
    return [(sheet.address_of(problem), problem.what) for problem in sheet.problems]


# ------------------------------------------------------------------------------------------------------ values


def test_cells_come_out_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path, {"strings_to_numbers": False}) as workbook:
        tab = workbook.add_worksheet("Sheet1")
        day = workbook.add_format({"num_format": "dd.mm.yyyy"})
        moment = workbook.add_format({"num_format": "dd.mm.yyyy hh:mm"})
        clock = workbook.add_format({"num_format": "hh:mm:ss"})
        zeros = workbook.add_format({"num_format": "00000"})
        percent = workbook.add_format({"num_format": "0%"})
        money = workbook.add_format({"num_format": '#,##0.00 "грн"'})
        tab.write_row(0, 0, ["SKU", "Value"])
        values: list[tuple[object, Format | None]] = [
            ("  00123 ", None),
            ("123456789012345678", None),
            ("a\nb", None),
            (102.0, None),
            (4164.6000000000004, None),
            (2286.144, money),
            (4820049640106, None),
            (0.0000001234, None),
            (-0.5, None),
            (123, zeros),
            (1.5, zeros),
            (0.15, percent),
            (0.125, percent),
            (True, None),
            (False, None),
            (MOMENT.date(), day),
            (MOMENT, moment),
            (0.5, clock),
            ("50%", percent),
        ]
        for row, (value, style) in enumerate(values, start=1):
            tab.write_string(row, 0, f"A{row}")
            tab.write(row, 1, value, style)
        tab.write_formula(len(values) + 1, 1, "=C2*1.2", None, 2110.3560000000002)
    sheet = read_sheet(path)
    assert sheet.cells[1].tolist() == [
        "  00123 ", "123456789012345678", "a\nb", "102", "4164.6", "2286.144", "4820049640106", "0.0000001234", "-0.5",
        "00123", "1.5", "15%", "12.5%", "TRUE", "FALSE", "2024-05-01", "2024-05-01 13:30:00", "12:00:00",
        "50%", "2110.356",
    ]  # fmt: skip
    assert sheet.problems == ()
    assert [str(dtype) for dtype in sheet.cells.dtypes] == ["str", "str"]
    assert sheet.address(0, 1) == "prices.xlsx!Sheet1!B2 (Value)"


def test_dates_count_from_1904_where_the_workbook_says_so(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path, {"date_1904": True}) as workbook:
        tab = workbook.add_worksheet()
        tab.write_row(0, 0, ["Date", "SKU"])
        tab.write_datetime(1, 0, MOMENT.date(), workbook.add_format({"num_format": "yyyy-mm-dd"}))
        tab.write(1, 1, "A")
    assert table(read_sheet(path)) == [["2024-05-01", "A"]]


def test_times_of_day_are_whole_seconds(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    seconds = range(0, 86_400, 7)
    with xlsxwriter.Workbook(path) as workbook:
        tab = workbook.add_worksheet()
        clock = workbook.add_format({"num_format": "hh:mm:ss"})
        moment = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        tab.write_row(0, 0, ["Time", "Moment"])
        for row, second in enumerate(seconds, start=1):
            tab.write_number(row, 0, second / 86_400, clock)
            tab.write_number(row, 1, 45_413 + second / 86_400, moment)
    sheet = read_sheet(path)
    times = [f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}" for second in seconds]
    assert sheet.cells[0].tolist() == times
    assert sheet.cells[1].tolist() == ["2024-05-01", *(f"2024-05-01 {time}" for time in times[1:])]


def test_a_number_with_lost_digits_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        tab = workbook.add_worksheet("Sheet1")
        tab.write_row(0, 0, ["SKU"])
        tab.write_column(1, 0, [999_999_999_999_999, 1234567890123456, 5])
    sheet = read_sheet(path)
    assert sheet.cells[0].tolist() == ["999999999999999", "1234567890123460", "5"]
    assert [(problem.row, problem.column, problem.position) for problem in sheet.problems] == [(3, 0, 1)]
    assert "its last digits are lost" in sheet.problems[0].what


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_no_exponent_and_keeps_15_digits(number: float) -> None:
    text = cell_text(number)
    assert set(text) <= set("-0123456789.")
    assert float(text) == float(f"{number:.15g}")


SMALL = st.floats(-1e15, 1e15, exclude_min=True, exclude_max=True)


WHOLE, PRICE = st.integers(-(10**6), 10**6).map(float), SMALL.map(lambda number: round(number, 2))


@given(st.lists(SMALL | WHOLE | PRICE, min_size=1))
@example([100 / 3, -100 / 3, 0.1 + 0.2, 1e-5, 1e14 + 0.1, -0.0])
def test_numbers_become_the_same_text_together_as_one_by_one(numbers: list[float]) -> None:
    together = cells_of(numbers)
    assert isinstance(together, np.ndarray)
    assert number_texts(together).to_pylist() == list(map(cell_text, numbers))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**6), max_value=10**6))
def test_a_percentage_is_exact(number: object) -> None:
    plain = cell_text(float(str(number)))
    assert Decimal(as_percent(plain).removesuffix("%")) == Decimal(plain) * 100


@pytest.mark.parametrize(
    ("code", "telling"),
    [
        ("00000", 5), ("000-000", 6), ('"SKU-"00000', 5), ("[Red]0000", 4), ("00;-00", 2), ("00000\\ ", 5),
        ("General", 0), ("0", 0), ("0.00", 0), ("00.00", 0), ("#,##0", 0), ("0000-00-00 hh", 0), ("0E+00", 0), ("@", 0),
        ("0%", PERCENT), ("0.00%", PERCENT), ("#,##0 %", PERCENT), ('0"%"', 0), ("0\\%", 0), ("yyyy", 0), ("# ?/?", 0),
    ],
)  # fmt: skip
def test_only_zeros_and_percent_are_telling_formats(code: str, telling: int) -> None:
    assert telling_format(code) == telling


# -------------------------------------------------------------------------------------------- errors and formulas


def test_error_cells_are_problems_with_their_text(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        tab = workbook.add_worksheet("Sheet1")
        tab.write_row(0, 0, ["SKU", "Price"])
        tab.write_row(1, 0, ["A", 5])
        tab.write_formula(2, 1, "=NA()", None, "#N/A")
        tab.write_string(3, 0, "B")
        tab.write_formula(3, 1, "=1/0", None, "#DIV/0!")
        tab.write_row(4, 0, ["C", "#REF!"])
    sheet = read_sheet(path)
    assert table(sheet) == [["A", "5"], ["", "#N/A"], ["B", "#DIV/0!"], ["C", "#REF!"]]
    hint = "mend the formula, or type the value"
    assert sheet.problems == (
        CellProblem(3, 1, 1, "the cell holds the error #N/A", hint),
        CellProblem(4, 1, 2, "the cell holds the error #DIV/0!", hint),
        CellProblem(5, 1, 3, "the cell holds the error #REF!", hint),
    )
    assert sheet.address_of(sheet.problems[0]) == "prices.xlsx!Sheet1!B3 (Price)"


def test_a_formula_never_calculated_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    workbook = openpyxl.Workbook()
    tab = workbook.active
    assert tab is not None
    tab.title = "Sheet1"
    for row in (["SKU", "Price"], ["A", "=1+1"], ["B", 2], [None, "=2+2"]):
        tab.append(row)
    workbook.save(path)
    sheet = read_sheet(path)
    assert table(sheet) == [["A", ""], ["B", "2"], ["", ""]]
    assert sheet.problems == (CellProblem(2, 1, 0, *NO_VALUE), CellProblem(4, 1, 2, *NO_VALUE))


ROWS = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>SKU</t></is></c><c r="B1" t="inlineStr"><is><t>Price</t></is></c></row>'
    '<row r="2"><c r="A2" t="inlineStr"><is><t>a t="e" b</t></is></c><c r="B2" s="1"><v>0.07</v></c></row>'
    '<row r="3"><c r="A3" s="2"><v>7</v></c><c t="e" r="B3"><f>1/0</f><v>#DIV/0!</v></c></row>'
    '<row r="4"><c r="A4"><v>8</v></c><c r="B4"><f t="shared" si="0"/></c></row>'
    '<row r="5"><c r="A5"><v>9</v></c><c r="B5" t="str"><f>T(1)</f><v></v></c></row>'
)
STYLES = (
    f'<styleSheet xmlns="{SPREADSHEET}"><numFmts count="1"><numFmt numFmtId="164" formatCode="000"/></numFmts>'
    '<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="9"/><xf numFmtId="164"/></cellXfs></styleSheet>'
)
READ = [['a t="e" b', "7%"], ["007", "#DIV/0!"], ["8", ""], ["9", ""]]
PLACES = [
    ("prices.xlsx!Prices!B3 (Price)", "the cell holds the error #DIV/0!"),
    ("prices.xlsx!Prices!B4 (Price)", "the formula has no stored value"),
]


@pytest.mark.parametrize(
    "xml",
    [
        worksheet(ROWS),
        worksheet(ROWS).replace('="', "='").replace('" ', "' ").replace('">', "'>").replace('"/>', "'/>")
        .replace("a t='e' b", 'a t="e" b'),
        worksheet(ROWS).replace("<", "<x:").replace("<x:/", "</x:").replace("<x:?", "<?").replace("xmlns=", "xmlns:x="),
        worksheet(ROWS).replace("<row", "\n  <row").replace("<c ", "\n    <c "),
    ],
    ids=["as Excel writes it", "single quotes", "with a prefix", "indented"],
)  # fmt: skip
def test_xml_of_every_style_gives_the_same(tmp_path: Path, xml: str) -> None:
    path = zip_xlsx(tmp_path / "prices.xlsx", xml, styles_xml=STYLES)
    assert table(read_sheet(path)) == READ
    assert problem_places(path) == PLACES


def test_cells_without_an_address_are_looked_at_too(tmp_path: Path) -> None:
    path = zip_xlsx(tmp_path / "prices.xlsx", worksheet(re.sub(r' r="\w+"', "", ROWS)), styles_xml=STYLES)
    assert problem_places(path) == PLACES
    assert table(read_sheet(path)) == READ


def test_an_error_far_into_a_long_sheet_is_found(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        tab = workbook.add_worksheet("Sheet1")
        tab.write_row(0, 0, ["SKU", "Name", "Price"])
        for row in range(1, 20_001):
            tab.write_row(row, 0, [row, f"name of number {row}"])
            if row % 4999 == 0:
                tab.write_formula(row, 2, "=NA()", None, "#N/A")
    sheet = read_sheet(path)
    assert [(problem.row, problem.position) for problem in sheet.problems] == [
        (row + 1, row - 1) for row in (4999, 9998, 14997, 19996)
    ]
    assert len(sheet.rows) == 20_000
    assert sheet.cells[2].tolist().count("#N/A") == 4


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 21])
def test_a_cell_cut_between_two_pieces_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(archive, "_PIECE_BYTES", size)
    monkeypatch.setattr(tablook, "_STRETCH_BYTES", size)
    xml = worksheet(f"<!--{'.' * 4096}-->" + ROWS)
    path = zip_xlsx(tmp_path / "prices.xlsx", xml, styles_xml=STYLES)
    assert table(read_sheet(path)) == READ
    assert problem_places(path) == PLACES


# --------------------------------------------------------------------------------------------------- rows and tabs


def test_blank_rows_are_skipped_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        tab = workbook.add_worksheet("Sheet1")
        tab.write_row(2, 1, ["SKU", "", "Price", "", ""])
        tab.write_row(4, 1, ["A", "x", 1])
        tab.write_row(5, 1, [" ", "\u00a0"])
        tab.write_row(8, 1, ["B", "", 2])
        tab.write_blank(30, 1, None, workbook.add_format({"bold": True}))
    sheet = read_sheet(path)
    assert sheet.headers == ("", "SKU", "", "Price")
    assert table(sheet) == [["", "A", "x", "1"], ["", "B", "", "2"]]
    assert sheet.rows.tolist() == [5, 9]
    assert sheet.facts["blank rows skipped"] == "4"
    assert sheet.address(1, 3) == "prices.xlsx!Sheet1!D9 (Price)"
    assert sheet.address(1) == "prices.xlsx!Sheet1!row 9"


def fill(tab: Worksheet, *rows: list[str]) -> None:
    for number, row in enumerate(rows):
        tab.write_row(number, 0, row)


def test_the_only_visible_tab_with_data_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        hidden = workbook.add_worksheet("Service")
        fill(hidden, ["SKU"], ["wrong"])
        workbook.add_worksheet("Empty").activate()
        fill(workbook.add_worksheet("Prices"), ["SKU"], ["A"])
        hidden.hide()
    sheet = read_sheet(path)
    assert (sheet.tab, table(sheet)) == ("Prices", [["A"]])
    assert sheet.facts["tab"] == "Prices (the only visible tab with data)"
    assert table(read_sheet(path, ReadOptions(tab="Service"))) == [["wrong"]]


def test_expected_headers_choose_the_tab_and_a_tie_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        fill(workbook.add_worksheet("Notes"), ["Read this first"], ["please"])
        fill(workbook.add_worksheet("Prices"), ["Price list", ""], ["SKU", "Price"], ["A", "1"])
        fill(workbook.add_worksheet("Old"), ["SKU", "Name"], ["A", "1"])
    assert read_sheet(path, expect=["SKU", "Price"]).tab == "Prices"
    for expect in ([], ["SKU"], ["Nothing like it"]):
        with pytest.raises(SheetError, match=r"Set `sheet:` in the mapping, or --sheet") as refused:
            read_sheet(path, expect=expect)
        assert [problem.where for problem in refused.value.problems] == [
            "prices.xlsx!Notes", "prices.xlsx!Prices", "prices.xlsx!Old",
        ]  # fmt: skip
    with pytest.raises(SheetError, match="has no tab 'prices'"):
        read_sheet(path, ReadOptions(tab="prices"))


def test_a_workbook_without_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        workbook.add_worksheet("Prices")
    with pytest.raises(SheetError, match="no visible tab with data"):
        read_sheet(path)
    with pytest.raises(SheetError, match="Prices is empty"):
        read_sheet(path, ReadOptions(tab="Prices"))
    with xlsxwriter.Workbook(path) as workbook:
        fill(workbook.add_worksheet("Prices"), ["SKU", "Price"])
    with pytest.raises(SheetError, match="headers in row 1 and no rows below"):
        read_sheet(path)
    with pytest.raises(SheetError, match="row 7 cannot be the header row"):
        read_sheet(path, ReadOptions(header_rows=(7,)))


def test_the_header_row_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        fill(workbook.add_worksheet("Prices"), ["x", "y"], [], ["SKU", "Price"], ["A", "1"])
    sheet = read_sheet(path, ReadOptions(header_rows=(3,)))
    assert (sheet.headers, sheet.rows.tolist()) == (("SKU", "Price"), [4])


def test_an_encrypted_workbook_is_refused_as_such(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    path.write_bytes(ole_file({"EncryptedPackage": b"x" * 5000, "EncryptionInfo": b"y" * 5000}))
    with pytest.raises(SheetError, match="encrypted with a password"):
        read_sheet(path)


# ------------------------------------------------------------------------------------------------------------ ODS


def ods_row(*cells: str) -> str:
    return f"<table:table-row>{''.join(cells)}</table:table-row>"


def ods_text(text: str) -> str:
    return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'


def test_ods_values_errors_and_formats(tmp_path: Path) -> None:
    error = (
        '<table:table-cell table:formula="of:=NA()" office:value-type="string" office:string-value="" '
        'calcext:value-type="error"><text:p>#N/A</text:p></table:table-cell>'
    )
    percent = (
        '<table:table-cell office:value-type="percentage" office:value="0.15"><text:p>15%</text:p></table:table-cell>'
    )
    number = '<table:table-cell office:value-type="float" office:value="123"><text:p>00123</text:p></table:table-cell>'
    no_value = '<table:table-cell table:formula="of:=1+1"/>'
    old_error = (
        '<table:table-cell table:formula="of:=1/0" office:value-type="float" office:value="0">'
        "<text:p>#DIV/0!</text:p></table:table-cell>"
    )
    day = '<table:table-cell office:value-type="date" office:date-value="2024-05-01"/>'
    path = zip_ods(
        tmp_path / "prices.ods",
        ods_row(ods_text("SKU"), ods_text("Price"))
        + ods_row(number, error)
        + ods_row(number, percent)
        + f'<table:table-row table:number-rows-repeated="2">{number}{error}</table:table-row>'
        + ods_row(number, no_value)
        + ods_row(number, old_error)
        + ods_row(number, day)
        + '<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="99"/>'
        "</table:table-row>",
        styles='<number:number-style style:name="N1"><number:number number:decimal-places="0" '
        'number:min-integer-digits="5"/></number:number-style>'
        '<style:style style:name="ce1" style:family="table-cell" style:data-style-name="N1"/>',
        columns='<table:table-column table:default-cell-style-name="ce1"/><table:table-column/>',
    )
    sheet = read_sheet(path)
    assert table(sheet) == [
        ["00123", "#N/A"], ["00123", "15%"], ["00123", "#N/A"], ["00123", "#N/A"], ["00123", ""], ["00123", "#DIV/0!"],
        ["00123", "2024-05-01"],
    ]  # fmt: skip
    assert [(problem.row, problem.what) for problem in sheet.problems] == [
        (2, "the cell holds the error #N/A"),
        (4, "the cell holds the error #N/A"),
        (5, "the cell holds the error #N/A"),
        (6, "the formula has no stored value"),
        (7, "the cell holds the error #DIV/0!"),
    ]


# ------------------------------------------------------------------------------------------------------------ XLS


def ole_file(streams: dict[str, bytes]) -> bytes:
    """An OLE compound file; streams of at least 4096 bytes only, the first one alone at its root."""
    sector = 512
    content = b""
    chains: dict[str, int] = {}
    table_numbers: list[int] = []
    for name, data in streams.items():
        count = -(-len(data) // sector)
        chains[name] = len(table_numbers)
        table_numbers += [*range(len(table_numbers) + 1, len(table_numbers) + count), 0xFFFFFFFE]
        content += data.ljust(count * sector, b"\0")
    directory = len(table_numbers)
    entries = [directory_entry("Root Entry", 5, 0xFFFFFFFE, 0)]
    entries += [directory_entry(name, 2, chains[name], len(data)) for name, data in streams.items()]
    sectors = -(-len(entries) * 128 // sector)
    content += b"".join(entries).ljust(sectors * sector, b"\0")
    table_numbers += [*range(directory + 1, directory + sectors), 0xFFFFFFFE]
    fat = len(table_numbers)
    fat_sectors = -(-(fat + 1) // 128)
    assert fat_sectors == 1
    table_numbers.append(0xFFFFFFFD)
    content += struct.pack("<128I", *table_numbers, *[0xFFFFFFFF] * (128 - len(table_numbers)))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, 1, directory, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<109I", fat, *[0xFFFFFFFF] * 108)
    return header + content


def directory_entry(name: str, kind: int, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    return (
        encoded.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(encoded), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, 1 if kind == 5 else 0xFFFFFFFF)
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


BIFF5, BIFF8 = 0x0500, 0x0600  # of Excel 95, with texts in cp1251 here, and of Excel 97
ERROR_RESULT = b"\x02\0\x0f\0\0\0\xff\xff"  # of a formula: #VALUE!


def xls_text(text: str, length_bytes: int, biff: int) -> bytes:
    length = len(text).to_bytes(length_bytes, "little")
    return length + (b"\x01" + text.encode("utf-16-le") if biff == BIFF8 else text.encode("cp1251"))


def label(row: int, column: int, text: str, biff: int = BIFF8) -> bytes:
    return record(0x0204, struct.pack("<HHH", row, column, 0) + xls_text(text, 2, biff))


def xls_stream(tabs: dict[str, bytes], biff: int = BIFF8, *, first: bytes = b"") -> bytes:
    """A workbook of tabs, each given as its cells; its three styles are plain, ``0000`` and ``0%``."""

    def begin(kind: int) -> bytes:
        return record(0x0809, struct.pack("<HHHH", biff, kind, 0, 0) + (bytes(8) if biff == BIFF8 else b""))

    size = struct.pack("<IIHHH" if biff == BIFF8 else "<HHHHH", 0, 9, 0, 9, 0)
    contents = [begin(0x0010) + record(0x0200, size) + cells + record(0x000A, b"") for cells in tabs.values()]
    head = begin(0x0005) + first + record(0x0042, struct.pack("<H", 1200 if biff == BIFF8 else 1251))
    head += record(0x041E, struct.pack("<H", 164) + xls_text("0000", 2 if biff == BIFF8 else 1, biff))
    for number in (0, 164, 9):
        head += record(0x00E0, struct.pack("<HH", 0, number) + bytes(16 if biff == BIFF8 else 12))
    names = [xls_text(name, 1, biff) for name in tabs]
    start = len(head) + sum(10 + len(name) for name in names) + 4
    for name, content in zip(names, contents, strict=True):
        head += record(0x0085, struct.pack("<IBB", start, 0, 0) + name)
        start += len(content)
    return head + record(0x000A, b"") + b"".join(contents)


def write_xls(path: Path, stream: bytes, name: str = "Workbook") -> Path:
    path.write_bytes(ole_file({name: stream.ljust(4096, b"\0")}))
    return path


@pytest.mark.parametrize(("biff", "stream"), [(BIFF8, "Workbook"), (BIFF5, "Book")], ids=["BIFF8", "BIFF5"])
def test_xls_errors_and_formats(tmp_path: Path, biff: int, stream: str) -> None:
    tab = label(0, 0, "SKU", biff) + label(0, 1, "Price", biff)
    tab += record(0x0203, struct.pack("<HHHd", 1, 0, 1, 7.0)) + record(0x0205, struct.pack("<HHHBB", 1, 1, 0, 0x2A, 1))
    tab += record(0x027E, struct.pack("<HHHI", 2, 0, 1, (8 << 2) | 2))
    tab += record(0x0203, struct.pack("<HHHd", 2, 1, 2, 0.5)) + label(3, 0, "A", biff)
    tab += record(0x0006, struct.pack("<HHH", 3, 1, 0) + ERROR_RESULT + struct.pack("<HIH", 0, 0, 2) + b"\x1c\x0f")
    tab += record(0x00BD, struct.pack("<HHHIHIH", 4, 0, 1, (9 << 2) | 2, 2, (1 << 2) | 2, 1))
    other = label(0, 0, "SKU", biff) + record(0x0205, struct.pack("<HHHBB", 2, 1, 0, 0x07, 1))
    path = write_xls(tmp_path / "prices.xls", xls_stream({"Опт": other, "Цены": tab}, biff), stream)
    sheet = read_sheet(path, ReadOptions(tab="Цены"))
    assert sheet.headers == ("SKU", "Price")
    assert table(sheet) == [["0007", "#N/A"], ["0008", "50%"], ["A", "#VALUE!"], ["0009", "100%"]]
    assert [(problem.row, problem.column, problem.what) for problem in sheet.problems] == [
        (2, 1, "the cell holds the error #N/A"),
        (4, 1, "the cell holds the error #VALUE!"),
    ]
    assert table(read_sheet(path, ReadOptions(tab="Опт"))) == [["", "#DIV/0!"]]


@pytest.mark.parametrize("biff", [BIFF8, BIFF5], ids=["BIFF8", "BIFF5"])
def test_an_encrypted_xls_is_refused_as_such(tmp_path: Path, biff: int) -> None:
    stream = xls_stream({"Prices": label(0, 0, "SKU", biff)}, biff, first=record(0x002F, bytes(6)))
    with pytest.raises(SheetError, match="encrypted with a password"):
        read_sheet(write_xls(tmp_path / "prices.xls", stream))


SHORT_TAB = label(0, 0, "SKU") + label(1, 0, "A") + record(0x0203, struct.pack("<HHHd", 2, 0, 1, 7.0))


def test_an_xls_cut_off_anywhere_is_refused_in_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stream = xls_stream({"Prices": SHORT_TAB})
    path = write_xls(tmp_path / "prices.xls", stream)
    assert table(read_sheet(path)) == [["A"], ["0007"]]
    content = path.read_bytes()
    for size in range(8, len(content), 64):
        path.write_bytes(content[:size])
        with pytest.raises(SheetError, match="cut off or damaged"):
            read_sheet(path)
    for size in range(len(stream) - 3):  # of the last record, zeros remain zeros
        write_xls(path, stream[:size])
        with pytest.raises(SheetError, match="cut off or damaged"):
            read_sheet(path)
    assert capfd.readouterr() == ("", "")


def test_a_formula_that_is_cut_off_does_not_hide_its_error(tmp_path: Path) -> None:
    cut_formula = struct.pack("<HHH", 1, 0, 0) + ERROR_RESULT + struct.pack("<HIH", 0, 0, 1) + b"\x1c"
    tab = label(0, 0, "SKU") + record(0x0006, cut_formula)
    sheet = read_sheet(write_xls(tmp_path / "prices.xls", xls_stream({"Tab1": tab})))
    assert (table(sheet), [problem.what for problem in sheet.problems]) == (
        [["#VALUE!"]],
        ["the cell holds the error #VALUE!"],
    )


FORMATS = (
    "General", "0.00", "yyyy-mm-dd", "DD/MM/YY", "h:mm AM/PM", "[h]:mm:ss", "[mm]", "[s].000", "#,##0\\ [$₽-46D]",
    'm"M"d"D";@', '"Y: "0.00"m"', "[Red]0;[Blue]-0", "ha/p", "0_ ;[Red]\\-0\\ ", "\\Y000000", "[>=100][Magenta][s].00",
    "[$-404]e", "mm:ss.0", "a", "General;d", "[$-F800]dddd", "@", "[hm]", "[h", "#,##0.00_м",
)  # fmt: skip
NUMBERS = (
    0.0, 0.5, 0.999_999_99, 1.0, 1.25, 59.0, 59.75, 60.0, 60.5, 61.0, 45_413.0, 45_413.562_5, 45_413.000_694_44,
    2_958_465.0, 2_958_465.999_999_9, 2_958_466.0, -1.0, -0.25, 0.1 + 0.2, 999_999.0,
)  # fmt: skip


@pytest.mark.parametrize("datemode", [0, 1])
def test_xls_values_are_those_that_calamine_reads(tmp_path: Path, datemode: int) -> None:
    head = record(0x0809, struct.pack("<HHHH", BIFF8, 5, 0, 0) + bytes(8)) + record(0x0042, struct.pack("<H", 1200))
    head += record(0x0022, struct.pack("<H", datemode))
    codes = range(164, 164 + len(FORMATS))
    for number, code in zip(codes, FORMATS, strict=True):
        head += record(0x041E, struct.pack("<H", number) + xls_text(code, 2, BIFF8))
    styles = [*codes, *range(90)]
    for number in styles:
        head += record(0x00E0, struct.pack("<HH", 0, number) + bytes(16))
    cells = b"".join(
        record(0x0203, struct.pack("<HHHd", row, column, column, number))
        for row, number in enumerate(NUMBERS)
        for column in range(len(styles))
    )
    row = len(NUMBERS)
    cells += record(0x0205, struct.pack("<HHHBB", row, 0, 0, 1, 0)) + record(
        0x0205, struct.pack("<HHHBB", row, 1, 0, 0, 0)
    )
    cells += record(0x0205, struct.pack("<HHHBB", row, 2, 0, 0x2A, 1)) + label(row, 3, " Ціна ")
    cells += record(0x027E, struct.pack("<HHHI", row, 4, 0, (7 << 2) | 2))
    cells += record(0x027E, struct.pack("<HHHI", row, 5, 0, (725 << 2) | 3))
    cells += record(0x0201, struct.pack("<HHH", row, 6, 0))
    sheet = record(0x0809, struct.pack("<HHHH", BIFF8, 16, 0, 0) + bytes(8)) + cells + record(0x000A, b"")
    name = xls_text("Prices", 1, BIFF8)
    start = len(head) + 10 + len(name) + 4
    stream = head + record(0x0085, struct.pack("<IBB", start, 0, 0) + name) + record(0x000A, b"") + sheet
    path = write_xls(tmp_path / "prices.xls", stream)
    with xls.XlsBook(path) as book:
        ours = [list(map(cell_text, row)) for row in book.get_sheet_by_name("Prices").iter_rows()]
    with python_calamine.CalamineWorkbook.from_path(path) as calamine_book:
        theirs = [list(map(cell_text, row)) for row in calamine_book.get_sheet_by_name("Prices").iter_rows()]
    titles = [*FORMATS, *map(str, range(90))]
    differences = [
        (NUMBERS[row] if row < len(NUMBERS) else "", titles[column], one, other)
        for row, (left, right) in enumerate(zip(ours, theirs, strict=True))
        for column, (one, other) in enumerate(zip(left, right, strict=True))
        if one != other
    ]
    assert differences == []
    for odd in (1e9, 1e300, float("inf"), float("nan")):  # no such day: calamine fails for the whole tab
        assert cell_text(xls.moment(odd, datemode, is_span=True)) == cell_text(odd)
        assert cell_text(xls.moment(odd, datemode, is_span=False)) == cell_text(odd)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("WordDocument", "a Word document"),
        ("PowerPoint Document", "a PowerPoint presentation"),
        ("__properties_version1.0", "an Outlook message"),
        ("Contents", "an Office file without a workbook"),
    ],
)
def test_another_old_office_file_is_refused_by_its_real_name(tmp_path: Path, name: str, said: str) -> None:
    path = tmp_path / "prices.xls"
    embedded = xls_stream({"Prices": SHORT_TAB}).ljust(4096, b"\0")  # a stream, but not at the root
    path.write_bytes(ole_file({name: b"x" * 5000, "Workbook": embedded}))
    with pytest.raises(SheetError, match=f"is {said}, not a product sheet"):
        read_sheet(path)


# ------------------------------------------------------------------------------------------------------ addresses


def test_column_letters_are_those_of_a_spreadsheet() -> None:
    assert [column_letter(column) for column in (0, 25, 26, 701, 702, 16_383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]
    assert all(column_index(column_letter(column)) == column for column in range(16_384))
    assert column_index("aa") == 26
    for letters in ("", "1", "A1", "AAAA", "Ä"):
        with pytest.raises(ValueError, match="not the letters of a column"):
            column_index(letters)


def test_a_workbook_of_a_million_declared_rows_is_read_by_its_data(tmp_path: Path) -> None:
    rows = ROWS + '<row r="1048576"/>'
    xml = worksheet(rows).replace("<sheetData>", '<dimension ref="A1:AA1048576"/><sheetData>')
    assert table(read_sheet(zip_xlsx(tmp_path / "prices.xlsx", xml, styles_xml=STYLES))) == READ


def test_xml_with_a_document_type_is_refused(tmp_path: Path) -> None:
    styles = f'<!DOCTYPE x [<!ENTITY a "b">]><styleSheet xmlns="{SPREADSHEET}"/>'
    with pytest.raises(SheetError, match="declares a document type"):
        read_sheet(zip_xlsx(tmp_path / "prices.xlsx", worksheet(ROWS), styles_xml=styles))


def test_a_workbook_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(SheetError):
        read_sheet(path)
