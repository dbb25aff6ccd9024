"""Which rows of a sheet are products, where their headers are, and how merged cells are filled."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from catalogsync import tables
from catalogsync.errors import SheetError
from catalogsync.model import Column, Field, Mapping
from catalogsync.reader import ReadOptions, Sheet, columns_named, parse_header_rows, read_sheet
from tests.reader_files import read_bytes, table, zip_ods

NO_HEADER = ReadOptions(header_rows=())


def book(path: Path, rows: list[list[object]], *, merged: tuple[str, ...] = (), hidden: tuple[int, ...] = ()) -> Path:
    workbook = openpyxl.Workbook()
    tab = workbook.active
    assert tab is not None
    tab.title = "Prices"
    for row in rows:
        tab.append(row)
    for area in merged:
        tab.merge_cells(area)
    for number in hidden:
        tab.row_dimensions[number].hidden = True
    workbook.save(path)
    return path


# --- header rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rows"), [("3", (3,)), (" 5-6 ", (5, 6)), ("5-7", (5, 6, 7)), ("none", ()), ("None", ())]
)
def test_header_rows_are_a_row_or_two_or_three_or_none(text: str, rows: tuple[int, ...]) -> None:
    assert parse_header_rows(text) == rows


@pytest.mark.parametrize("text", ["0", "-1", "6-5", "1-4", "x", "", "1,2"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no header rows"):
        parse_header_rows(text)


TWO_ROWS: list[list[object]] = [
    ["Price list", None, None, None],
    ["Code", "Name", "Price", None],
    [None, None, "Retail", "Wholesale"],
    ["A", "Oak", 5, 4],
    ["B", "Ash", 6, 5],
]
TWO_MERGED = ("A1:D1", "A2:A3", "B2:B3", "C2:D2")
JOINED = ("Code", "Name", "Price / Retail", "Price / Wholesale")


@pytest.mark.parametrize(
    ("options", "expect", "how"),
    [
        (ReadOptions(), (), "the first row that looks like headers"),
        (ReadOptions(header_rows=(2, 3)), (), "as set"),
        (ReadOptions(), ("Code", "Price / Wholesale"), "hold all of the headers that the mapping names"),
    ],
)
def test_two_header_rows_with_merged_cells_become_one(
    tmp_path: Path, options: ReadOptions, expect: tuple[str, ...], how: str
) -> None:
    path = book(tmp_path / "p.xlsx", TWO_ROWS, merged=TWO_MERGED)
    sheet = read_sheet(path, options, expect=expect)
    assert (sheet.headers, sheet.facts["header row"]) == (JOINED, f"2-3 ({how})")
    assert table(sheet) == [["A", "Oak", "5", "4"], ["B", "Ash", "6", "5"]]


def test_a_header_begins_where_the_merged_cells_above_it_do(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["No", None, None, "Item", "Price", None],
        [None, "Id", "Kind", None, "Retail", "Bulk"],
        [1, "A", "x", "Oak", 5, 4],
        [2, "B", "y", "Ash", 6, 5],
    ]
    path = book(tmp_path / "p.xlsx", rows, merged=("A1:A2", "D1:D2", "E1:F1"))
    sheet = read_sheet(path)
    assert sheet.headers == ("No", "Id", "Kind", "Item", "Price / Retail", "Price / Bulk")
    assert sheet.facts["header row"] == "1-2 (the first row)"


def test_a_product_below_a_wide_header_is_no_part_of_it(tmp_path: Path) -> None:
    rows: list[list[object]] = [["Supplier", None, "Item"], ["Acme", "Riga", "Oak"], ["Bolt", "Oslo", "Ash"]]
    sheet = read_sheet(book(tmp_path / "p.xlsx", rows, merged=("A1:B1",)))
    assert (sheet.headers, len(sheet.cells)) == (("Supplier", "", "Item"), 2)


def test_a_mapping_of_the_lower_headers_alone_takes_that_row_only(tmp_path: Path) -> None:
    path = book(tmp_path / "p.xlsx", TWO_ROWS, merged=TWO_MERGED)
    sheet = read_sheet(path, expect=("Retail", "Wholesale"))
    assert sheet.headers == ("", "", "Retail", "Wholesale")


def test_in_a_text_file_an_upper_header_reaches_to_the_next_one(tmp_path: Path) -> None:
    body = b"Code,Name,Price,,Stock\n,,Retail,Wholesale,\nA,Oak,5,4,1\n"
    sheet = read_bytes(tmp_path, body, expect=("Price / Wholesale",))
    assert sheet.headers == ("Code", "Name", "Price / Retail", "Price / Wholesale", "Stock")
    assert (table(sheet), sheet.address(0, 3)) == ([["A", "Oak", "5", "4", "1"]], "prices.csv:3 (Price / Wholesale)")


@pytest.mark.parametrize("options", [NO_HEADER, ReadOptions()])
def test_without_headers_every_row_is_a_product(tmp_path: Path, options: ReadOptions) -> None:
    sheet = read_bytes(tmp_path, b"1,Oak,5\n2,Ash,6\n3,Elm,7\n", options)
    assert (sheet.headers, list(sheet.rows)) == (("", "", ""), [1, 2, 3])
    assert table(sheet) == [["1", "Oak", "5"], ["2", "Ash", "6"], ["3", "Elm", "7"]]


def test_a_workbook_without_headers_too(tmp_path: Path) -> None:
    sheet = read_sheet(book(tmp_path / "p.xlsx", [[1, "Oak"], [2, "Ash"]]), NO_HEADER)
    assert (sheet.headers, table(sheet), list(sheet.rows)) == (("", ""), [["1", "Oak"], ["2", "Ash"]], [1, 2])


def test_a_year_among_the_headers_makes_them_no_data(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b"Code,2022,Price,2023\n1,5,5,5\n2,6,6,6\n3,7,7,7\n")
    assert sheet.headers == ("Code", "2022", "Price", "2023")


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("Size", [1, 3]),
        ("Size #1", [1]),
        ("Size #2", [3]),
        ("Size #3", []),
        ("Lot #2", [4]),
        ("column B", [1]),
        ("column 4", [3]),
        ("column F", []),
        ("column 0", []),
        ("Weight", []),
    ],
)
def test_a_column_is_named_by_header_by_its_rank_among_equal_ones_or_by_its_place(name: str, places: list[int]) -> None:
    assert columns_named(("Code", "Size", "", "Size", "Lot #2"), name) == places


# --- rows that are no products -------------------------------------------------------------------------------

SECTIONS = """Code,Name,Price,Stock
Furniture,,,
A,Oak,5,1
B,Ash,6,2
Code,Name,Price,Stock
Lamps,,,
C,Elm,7,3
Total:,,18,
,,,
Prices in EUR,,,
"""


def test_sections_totals_footers_and_repeated_headers_are_left_out_and_told(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, SECTIONS.encode())
    assert table(sheet) == [["A", "Oak", "5", "1"], ["B", "Ash", "6", "2"], ["C", "Elm", "7", "3"]]
    assert (list(sheet.rows), sheet.facts["rows"], sheet.facts["cells"]) == ([3, 4, 7], "3", "A3:D7")
    told = "2 section (rows 2, 6); 1 repeated header (row 5); 1 total (row 8); 1 footer (row 10)"
    assert sheet.facts["rows skipped"] == told
    assert sheet.skipped is not None
    assert (list(sheet.skipped.rows), sheet.skipped.why) == (
        [2, 5, 6, 8, 10],
        ("section", "repeated header", "section", "total", "footer"),
    )


def test_a_lone_cell_is_a_product_where_rows_fill_two(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b"Code,Price\nA,5\nB,\nC,7\n")
    assert (len(sheet.cells), sheet.skipped) == (3, None)


@pytest.mark.parametrize("name", ["Total", "Total Quartz 9000", "Итого", "Всего: 18 позиций"])
def test_a_product_whose_name_begins_like_a_total_is_one_when_its_row_is_full(tmp_path: Path, name: str) -> None:
    sheet = read_bytes(tmp_path, f"Name,Price,Stock\nOak,5,1\nAsh,6,2\n{name},7,3\n".encode())
    assert (len(sheet.cells), sheet.skipped) == (3, None)


def test_a_product_called_total_something_is_no_total_although_its_row_lacks_a_cell(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b"Name,Price,Stock\nOak,5,1\nAsh,6,2\nTotally Wooden Chair,7,\n")
    assert (len(sheet.cells), sheet.skipped) == (3, None)


def test_rows_without_a_needed_column_are_no_products(tmp_path: Path) -> None:
    body = b"Code,Group,Price\nPumps,PG1,\nA,PG1,5\nB,PG1,on request\n"
    sheet = read_bytes(tmp_path, body, ReadOptions(needs=("Price",)))
    assert table(sheet) == [["A", "PG1", "5"], ["B", "PG1", "on request"]]
    assert sheet.facts["rows skipped"] == "1 without Price (row 2)"


def test_a_needed_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match=r"prices.csv has no column 'Cost', which `needs:` names"):
        read_bytes(tmp_path, b"Code,Price\nA,5\n", ReadOptions(needs=("Cost",)))


def test_nothing_but_sections_is_no_empty_catalog(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match="not read as an empty catalog"):
        read_bytes(tmp_path, b"Code,Name,Price\nA,Oak,\nB,Ash,\n", ReadOptions(needs=("Price",)))


def test_a_cell_with_an_error_is_not_blank(tmp_path: Path) -> None:
    path = book(tmp_path / "p.xlsx", [["Code", "Name", "Price"], ["A", "Oak", 5], ["B", "Ash", 6], ["C", None, "#N/A"]])
    sheet = read_sheet(path, ReadOptions(needs=("Price",)))
    assert ([problem.position for problem in sheet.problems], sheet.skipped) == ([2], None)


def test_problems_and_number_cells_move_with_their_rows(tmp_path: Path) -> None:
    rows: list[list[object]] = [["Code", "Name", "Price"], ["Lamps", None, None], ["A", "Oak", "5"], ["B", "#REF!", 6]]
    sheet = read_sheet(book(tmp_path / "p.xlsx", rows))
    assert [(problem.row, problem.position) for problem in sheet.problems] == [(4, 1)]
    assert {column: list(mask) for column, mask in sheet.numbers.items()} == {2: [False, True]}


def test_a_key_in_a_row_that_was_left_out_is_not_missing(tmp_path: Path) -> None:
    code = Column("Code", Field(1, "Code", "text"), position=0)
    mapping = Mapping("m", 1, (code, Column("Name", None, position=1)), ((code,),))
    sheet = read_bytes(tmp_path, b"Code,Name,Price\nA,Oak,5\n B ,,\nC,Elm,7\n")
    desired = tables.desired_table(sheet, mapping)
    assert (list(desired.table.index), sorted(desired.seen)) == (["A", "C"], ["A", "B", "C"])
    assert (desired.unreadable_rows, desired.rejected) == (0, ())


# --- hidden rows ---------------------------------------------------------------------------------------------

PLAIN: list[list[object]] = [["Code", "Name"], ["A", "Oak"], ["B", "Ash"], ["C", "Elm"]]


def test_hidden_rows_are_read_and_told(tmp_path: Path) -> None:
    sheet = read_sheet(book(tmp_path / "p.xlsx", PLAIN, hidden=(3,)))
    assert (len(sheet.cells), list(sheet.hidden)) == (3, [3])
    assert sheet.facts["hidden rows"] == "1, read like the others (`hidden: skip` leaves them out)"


def test_hidden_rows_can_be_left_out(tmp_path: Path) -> None:
    sheet = read_sheet(book(tmp_path / "p.xlsx", PLAIN, hidden=(3,)), ReadOptions(hidden="skip"))
    assert (table(sheet), sheet.facts["rows skipped"]) == ([["A", "Oak"], ["C", "Elm"]], "1 hidden (row 3)")


# --- merged cells --------------------------------------------------------------------------------------------

FAMILY: list[list[object]] = [
    ["Name", "Size", "Price"],
    ["Oak", "S", 5],
    [None, "M", 6],
    [None, "L", 7],
    [None, "XL", 8],
]


def fill_of(sheet: Sheet) -> list[str]:
    return list(sheet.cells[0])


def test_merged_cells_are_filled_on_request_and_other_blanks_stay(tmp_path: Path) -> None:
    path = book(tmp_path / "p.xlsx", FAMILY, merged=("A2:A4",))
    assert fill_of(read_sheet(path)) == ["Oak", "", "", ""]
    assert fill_of(read_sheet(path, ReadOptions(fill={"Name": "merged"}))) == ["Oak", "Oak", "Oak", ""]
    assert fill_of(read_sheet(path, ReadOptions(fill={"Name": "down"}))) == ["Oak"] * 4


def test_numbers_stay_numbers_when_they_are_filled(tmp_path: Path) -> None:
    rows: list[list[object]] = [["Code", "Price"], ["A", 5.5], ["B", None], ["C", "7,5"]]
    sheet = read_sheet(book(tmp_path / "p.xlsx", rows, merged=("B2:B3",)), ReadOptions(fill={"Price": "merged"}))
    assert (list(sheet.cells[1]), list(sheet.numbers[1])) == (["5.5", "5.5", "7,5"], [True, True, False])


def test_a_section_between_does_not_fill_the_rows_below(tmp_path: Path) -> None:
    body = b"Name,Size,Price,Stock\nOak,S,5,1\nLamps,,,\n,M,6,2\n"
    assert fill_of(read_bytes(tmp_path, body, ReadOptions(fill={"Name": "down"}))) == ["Oak", "Oak"]


def test_a_first_row_without_anything_above_stays_blank(tmp_path: Path) -> None:
    body = b"Name,Size,Price\n,S,5\nOak,M,6\n"
    assert fill_of(read_bytes(tmp_path, body, ReadOptions(fill={"Name": "down"}))) == ["", "Oak"]


def test_the_sheet_that_was_read_is_not_changed_by_filling(tmp_path: Path) -> None:
    path = book(tmp_path / "p.xlsx", FAMILY, merged=("A2:A4",))
    first = read_sheet(path)
    pd.testing.assert_frame_equal(first.cells, read_sheet(path).cells)


def test_an_ods_tells_hidden_rows_and_merged_cells_too(tmp_path: Path) -> None:
    def cell(text: str, more: str = "") -> str:
        return f'<table:table-cell office:value-type="string"{more}><text:p>{text}</text:p></table:table-cell>'

    rows = [
        cell("Name") + cell("Size") + cell("Price"),
        cell("Oak", ' table:number-rows-spanned="2" table:number-columns-spanned="1"') + cell("S") + cell("5"),
        "<table:covered-table-cell/>" + cell("M") + cell("6"),
        "<table:table-cell/>" + cell("L") + cell("7"),
    ]
    content = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    for word in ("collapse", "filter"):
        content += f'<table:table-row table:visibility="{word}">{cell("Ash") + cell("S") + cell("8")}</table:table-row>'
    path = zip_ods(tmp_path / "prices.ods", content)
    assert list(read_sheet(path).hidden) == [5, 6]
    sheet = read_sheet(path, ReadOptions(fill={"Name": "merged"}, hidden="skip"))
    assert table(sheet) == [["Oak", "S", "5"], ["Oak", "M", "6"], ["", "L", "7"]]
