"""The marked copy: the person's own workbook with coloured and commented cells, and a tab that lists the problems."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.comments import Comment
from openpyxl.styles import Font

from catalogsync.errors import Problem, Spot
from catalogsync.marked import RED, TAB, YELLOW, write_marked
from catalogsync.reader import ReadOptions, Sheet, read_sheet
from catalogsync.reader.books import is_light
from tests.reader_files import SHEETS, needs_sheets, table, worksheet, zip_xlsx

BAD = Problem("x", '"x" is not a number', "write digits", (Spot(3, 1),))
ODD = Problem("y", "looks odd", "", (Spot(2, 0),))


def source(folder: Path, rows: list[list[object]]) -> Path:
    """A workbook with a hidden tab, a formula, a comment and a bold cell of its own."""
    book = openpyxl.Workbook()
    tab = book.active
    assert tab is not None
    tab.title = "Price's list"
    for row in rows:
        tab.append(row)
    tab["A1"].font = Font(bold=True)
    tab["A2"].comment = Comment("mine", "me")
    tab["D2"] = "=1+1"
    book.create_sheet("Notes").sheet_state = "hidden"
    path = folder / "prices.xlsx"
    book.save(path)
    return path


def marked(folder: Path, sheet: Sheet | None, problems: list[Problem], warned: list[Problem]) -> tuple[Any, list[str]]:
    notes = write_marked(folder / "out.xlsx", sheet, problems, warned)
    return openpyxl.load_workbook(folder / "out.xlsx"), list(notes)


def fill(cell: Any) -> str:
    return str(cell.fill.fgColor.rgb)[2:]


ROWS: list[list[object]] = [["Code", "Price"], ["001", 5], ["002", "x"]]


def test_problem_cells_are_red_warnings_yellow_and_each_has_a_comment(tmp_path: Path) -> None:
    book, notes = marked(tmp_path, read_sheet(source(tmp_path, ROWS)), [BAD], [ODD])
    tab = book["Price's list"]
    assert notes == []
    assert (fill(tab["B3"]), tab["B3"].comment.text) == (RED, '"x" is not a number\nwrite digits')
    assert (fill(tab["A2"]), tab["A2"].comment.text) == (YELLOW, "mine\n\nlooks odd")
    assert [fill(tab[place]) for place in ("A1", "A3", "B2")] == ["000000"] * 3


def test_the_copy_keeps_what_the_workbook_holds_and_the_workbook_itself_is_untouched(tmp_path: Path) -> None:
    path = source(tmp_path, ROWS)
    before = path.read_bytes()
    book, _ = marked(tmp_path, read_sheet(path), [BAD], [])
    tab = book["Price's list"]
    assert path.read_bytes() == before
    assert [[cell.value for cell in row] for row in tab["A1:D3"]] == [
        ["Code", "Price", None, None],
        ["001", 5, None, "=1+1"],
        ["002", "x", None, None],
    ]
    assert (tab["A1"].font.bold, book["Notes"].sheet_state) == (True, "hidden")


def test_the_last_tab_lists_the_problems_with_links_and_is_the_only_selected_one(tmp_path: Path) -> None:
    mapping = Problem("products.yaml:3", "no such field")
    book, _ = marked(tmp_path, read_sheet(source(tmp_path, ROWS)), [mapping, BAD], [ODD])
    listed = book[TAB]
    assert [[cell.value or "" for cell in row] for row in listed] == [
        ["Kind", "Where", "What", "What to do"],
        ["problem", "products.yaml:3", "no such field", ""],
        ["problem", "x", '"x" is not a number', "write digits"],
        ["warning", "y", "looks odd", ""],
    ]
    links = [listed.cell(row, 2).hyperlink for row in (2, 3, 4)]
    assert [link and link.location for link in links] == [None, "'Price''s list'!B3", "'Price''s list'!A2"]
    assert book.sheetnames == ["Price's list", "Notes", TAB]
    assert [each.title for each in book if each.sheet_view.tabSelected] == [book.active.title] == [TAB]


def test_a_tab_called_problems_of_the_persons_own_is_kept(tmp_path: Path) -> None:
    path = source(tmp_path, ROWS)
    book = openpyxl.load_workbook(path)
    book["Notes"].title = "problems"
    book.save(path)
    copy, _ = marked(tmp_path, read_sheet(path), [BAD], [])
    assert copy.sheetnames == ["Price's list", "problems", "Problems_"]


def test_a_cell_under_a_merged_one_is_marked_where_it_shows(tmp_path: Path) -> None:
    path = source(tmp_path, ROWS)
    book = openpyxl.load_workbook(path)
    book["Price's list"].merge_cells("B2:B3")
    book.save(path)
    copy, _ = marked(tmp_path, read_sheet(path), [BAD], [])
    tab = copy["Price's list"]
    assert (fill(tab["B2"]), tab["B2"].comment.text) == (RED, '"x" is not a number\nwrite digits')


def test_all_that_is_said_of_a_cell_is_in_its_comment_and_a_problem_colours_it(tmp_path: Path) -> None:
    also = Problem("z", "a warning", "", BAD.spots)
    book, _ = marked(tmp_path, read_sheet(source(tmp_path, ROWS)), [BAD], [also])
    cell = book["Price's list"]["B3"]
    assert (fill(cell), cell.comment.text) == (RED, '"x" is not a number\nwrite digits\n\na warning')


def test_a_problem_of_several_cells_marks_each_of_them(tmp_path: Path) -> None:
    twice = Problem("x", "stands twice", "", (Spot(2, 0), Spot(3, 0)))
    book, _ = marked(tmp_path, read_sheet(source(tmp_path, ROWS)), [twice], [])
    tab = book["Price's list"]
    assert [fill(tab["A2"]), fill(tab["A3"])] == [RED, RED]


CSV = "Code;Price\n=1+1;5\n+2;x\n-3;5\n@SUM(A1);5\n"


def test_of_a_text_file_a_workbook_is_made_in_which_text_stays_text(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(CSV, encoding="utf-8")
    formula = Problem("=1+1", "=cmd|' /C calc'!A0", "+1", (Spot(2, 0),))
    book, notes = marked(tmp_path, read_sheet(tmp_path / "prices.csv"), [BAD, formula], [])
    tab = book["prices"]
    texts = [cell for row in tab["A1:B5"] for cell in row]
    assert [cell.value for cell in texts] == ["Code", "Price", "=1+1", "5", "+2", "x", "-3", "5", "@SUM(A1)", "5"]
    assert {cell.data_type for cell in (*texts, *(cell for row in book[TAB]["A1:D3"] for cell in row))} == {"s"}
    assert [cell.quotePrefix for cell in (tab["A3"], tab["A4"], tab["A5"], tab["B2"])] == [True, True, True, False]
    assert (fill(tab["B3"]), tab["B3"].comment.text) == (RED, '"x" is not a number\nwrite digits')
    assert notes == ["the copy holds the cells that were read, without formats and formulas"]


def test_text_that_looks_like_a_formula_stays_text_in_the_copy_of_a_workbook(tmp_path: Path) -> None:
    path = source(tmp_path, ROWS)
    book = openpyxl.load_workbook(path)
    book["Price's list"]["A3"].value = "=1+1"
    book["Price's list"]["A3"].data_type = "s"
    book.save(path)
    formula = Problem("=1+1", "=cmd|' /C calc'!A0", "+1", (Spot(3, 0),))
    copy, _ = marked(tmp_path, read_sheet(path), [formula], [])
    assert (copy["Price's list"]["A3"].value, copy["Price's list"]["A3"].data_type) == ("=1+1", "s")
    assert {cell.data_type for cell in copy[TAB][2]} == {"s"}
    assert [cell.quotePrefix for cell in copy[TAB][2]] == [False, True, True, True]


def test_cells_of_a_text_file_keep_their_line_as_row_and_the_headers_stand_above(tmp_path: Path) -> None:
    text = 'Prices;\n\nCode;Price\n1;"two\nlines"\n2;x\n'
    (tmp_path / "prices.csv").write_text(text, encoding="utf-8")
    sheet = read_sheet(tmp_path / "prices.csv", ReadOptions(header_rows=(3,)))
    assert sheet.rows.tolist() == [4, 6]
    book, _ = marked(tmp_path, sheet, [Problem("x", "wrong", "", (Spot(6, 1),))], [])
    tab = book["prices"]
    assert [tab["A3"].value, tab["B3"].value, tab["A4"].value, tab["B6"].value] == ["Code", "Price", "1", "x"]
    assert fill(tab["B6"]) == RED


def test_control_characters_are_shown_as_marks(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("Code;Price\n" + "a\x07b;5\n" + "plain;5\n" * 50, encoding="utf-8")
    sheet = read_sheet(tmp_path / "prices.csv")
    book, _ = marked(tmp_path, sheet, [Problem("a\x07", "b\x1b", "c\x00", (Spot(2, 0),))], [])
    assert book["prices"]["A2"].value == "a�b"
    assert [cell.value for cell in book[TAB][2]] == ["problem", "a�", "b�", "c�"]


@pytest.mark.timeout(20)  # openpyxl makes an object of every cell that a merged one covers: here 17 billion
def test_a_workbook_that_would_take_too_much_memory_is_not_copied_but_made_of_what_was_read(tmp_path: Path) -> None:
    rows = '<row r="1"><c r="A1" t="inlineStr"><is><t>Code</t></is></c></row><row r="2"><c r="A2"><v>7</v></c></row>'
    xml = worksheet(rows).replace(
        "</sheetData>", '</sheetData><mergeCells><mergeCell ref="B3:XFD1048576"/></mergeCells>'
    )
    sheet = read_sheet(zip_xlsx(tmp_path / "prices.xlsx", xml))
    assert not is_light(sheet.path)
    notes = write_marked(tmp_path / "out.xlsx", sheet, [Problem(sheet.address(0, 0), "is odd")], [])
    assert "the workbook is too large to be copied: made of the cells that were read" in notes
    assert table(read_sheet(tmp_path / "out.xlsx", ReadOptions(tab="Prices"))) == [["7"]]
    assert is_light(tmp_path / "out.xlsx")


def test_without_a_sheet_the_problems_are_listed(tmp_path: Path) -> None:
    book, notes = marked(tmp_path, None, [Problem("", "prices.csv is empty")], [])
    assert (book.sheetnames, notes) == ([TAB], [])
    assert book[TAB]["C2"].value == "prices.csv is empty"


def test_what_the_copy_lacks_is_said(tmp_path: Path) -> None:
    path = source(tmp_path, ROWS)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("xl/vbaProject.bin", b"macros")
    book, notes = marked(tmp_path, read_sheet(path), [BAD], [])
    assert notes == ["the copy lacks macros of your workbook, which is itself unchanged"]
    assert fill(book["Price's list"]["B3"]) == RED


def _cell(text: str) -> str:
    """A cell's text; of a number the digits that openpyxl keeps."""
    number = re.fullmatch(r"-?[0-9]+\.[0-9]{5,}", text)
    return f"{float(text):.13g}" if number else text.strip()


@needs_sheets
@pytest.mark.parametrize(
    ("name", "tab"),
    [
        ("soap_hidden_first_sheet.xls", None),
        ("transformers_err_cells.xls", None),
        ("tea_rub_merged.xlsx", None),
        ("oils_hidden_rows.xlsx", None),
        ("ozon_stock_template.xlsx", "Остатки на складе"),
        ("doors_nbsp_price.xlsx", None),
        ("cennik_cp1250.csv", None),
    ],
)
def test_the_copy_of_a_real_sheet_reads_as_the_sheet_itself(name: str, tab: str | None, tmp_path: Path) -> None:
    sheet = read_sheet(SHEETS / name, ReadOptions(tab=tab))
    spot = Spot(int(sheet.rows[-1]), 0)
    write_marked(tmp_path / "out.xlsx", sheet, [Problem("x", "wrong", "", (spot,))], [])
    book_tab = sheet.tab or Path(name).stem
    headers = [int(part) for part in sheet.facts["header row"].split(" ")[0].split("-")]
    rows = (headers[-1],) if name.endswith((".xls", ".csv")) else tuple(range(headers[0], headers[-1] + 1))
    copy = read_sheet(tmp_path / "out.xlsx", ReadOptions(tab=book_tab, header_rows=rows))
    assert copy.headers == sheet.headers
    assert copy.rows.tolist() == sheet.rows.tolist()
    wrong = {(problem.row, problem.column) for problem in (*sheet.problems, *copy.problems)}
    for column in sheet.cells:
        ours, theirs = sheet.cells[column].tolist(), copy.cells[column].tolist()
        differing = [int(row) for row, a, b in zip(sheet.rows, ours, theirs, strict=True) if _cell(a) != _cell(b)]
        assert [row for row in differing if (row, column) not in wrong] == []
