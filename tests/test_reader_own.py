"""Sheets of our own export: found by the header of their ids, and the ids beside the cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest

from catalogsync.errors import SheetError
from catalogsync.reader import ReadOptions, Sheet, read_sheet
from catalogsync.reader.own import id_header

ID = id_header(30001, 4220)


def workbook(folder: Path, **tabs: Sequence[Sequence[object]]) -> Path:
    book = openpyxl.Workbook()
    del book["Sheet"]
    for name, rows in tabs.items():
        tab = book.create_sheet(name)
        for row in rows:
            tab.append(list(row))
    book.save(folder / "book.xlsx")
    return folder / "book.xlsx"


def ids(sheet: Sheet) -> list[int]:
    assert sheet.element_ids is not None
    return [int(id_) for id_ in sheet.element_ids.ids]


def cells(sheet: Sheet) -> list[list[str]]:
    return [[str(text) for text in row] for row in sheet.cells.to_numpy()]


def test_ids_come_beside_the_cells_and_not_among_them(tmp_path: Path) -> None:
    path = workbook(tmp_path, A=[["Code", "Name", ID], ["1", "Oak", 501], ["2", "Ash", "502"], ["3", "Elm", None]])
    sheet = read_sheet(path)
    assert (sheet.headers, cells(sheet), ids(sheet)) == (
        ("Code", "Name"),
        [["1", "Oak"], ["2", "Ash"], ["3", "Elm"]],
        [501, 502, 0],
    )
    assert sheet.element_ids is not None
    made = sheet.element_ids
    assert (made.account_id, made.catalog_id, made.is_part) == (30001, 4220, False)


def test_an_id_of_several_rows_and_what_is_no_id_count_for_nothing(tmp_path: Path) -> None:
    values = [501, 502, 501, "x", -3, 1.5, "=1+1"]
    path = workbook(tmp_path, A=[["Code", "Name", ID], *([str(n), "Oak", id_] for n, id_ in enumerate(values))])
    assert ids(read_sheet(path)) == [0, 502, 0, 0, 0, 0, 0]


def test_columns_after_the_ids_keep_their_places(tmp_path: Path) -> None:
    path = workbook(tmp_path, A=[["Code", ID, "Name"], ["1", 501, "Oak"], ["2", 502, "Ash"]])
    sheet = read_sheet(path)
    assert (sheet.headers, cells(sheet), ids(sheet)) == (
        ("Code", "", "Name"),
        [["1", "", "Oak"], ["2", "", "Ash"]],
        [501, 502],
    )


def test_a_part_says_so(tmp_path: Path) -> None:
    header = id_header(1, 2, is_part=True)
    made = read_sheet(workbook(tmp_path, A=[["Code", header], ["1", 501]])).element_ids
    assert made is not None
    assert (made.account_id, made.catalog_id, made.is_part) == (1, 2, True)


def test_the_tab_of_the_products_is_found_among_others(tmp_path: Path) -> None:
    other = [["Code", "Name"], ["9", "Yew"]]
    path = workbook(tmp_path, Notes=other, Mine=[["Code", "Name", ID], ["1", "Oak", 501]], More=other)
    sheet = read_sheet(path, ReadOptions(tab="Prices", header_rows=(2,)), expect=["Code", "Name"])
    assert (sheet.tab, cells(sheet)) == ("Mine", [["1", "Oak"]])
    assert sheet.facts["tab"] == "Mine (the products of an export)"
    assert read_sheet(path, ReadOptions(tab="Notes")).tab == "Notes"


def test_a_tab_that_is_not_there_is_missed_where_no_tab_or_several_are_exports(tmp_path: Path) -> None:
    table = [["Code", "Name", ID], ["1", "Oak", 501]]
    plain = [["Code", "Name"], ["1", "Oak"]]
    for tabs in ({"A": table, "B": table}, {"A": plain, "B": plain}):
        with pytest.raises(SheetError, match="has no tab 'Prices'"):
            read_sheet(workbook(tmp_path, **tabs), ReadOptions(tab="Prices"))


def test_the_header_is_found_below_lines_that_a_person_put_above_it(tmp_path: Path) -> None:
    path = workbook(tmp_path, A=[["For Anna"], [], ["Code", "Name", ID], ["1", "Oak", 501], ["2", "Ash", 502]])
    sheet = read_sheet(path)
    assert (sheet.headers, ids(sheet), sheet.rows.tolist()) == (("Code", "Name"), [501, 502], [4, 5])


def test_a_row_that_holds_only_its_id_is_no_row(tmp_path: Path) -> None:
    path = workbook(tmp_path, A=[["Code", "Name", ID], ["1", "Oak", 501], [None, " ", 502], ["3", "Elm", 503]])
    sheet = read_sheet(path)
    assert (cells(sheet), ids(sheet)) == ([["1", "Oak"], ["3", "Elm"]], [501, 503])


def test_a_workbook_saved_as_a_text_file_keeps_its_ids(tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_text(f"Code;Name;{ID}\n1;Oak;501\n2;Ash;502\n", encoding="utf-8")
    sheet = read_sheet(tmp_path / "book.csv")
    assert (sheet.headers, ids(sheet)) == (("Code", "Name"), [501, 502])


@pytest.mark.parametrize("header", ["catalogsync id", "Catalogsync id 1/2", "catalogsync id 0/1", f"my {ID}"])
def test_another_header_is_no_mark(tmp_path: Path, header: str) -> None:
    sheet = read_sheet(workbook(tmp_path, A=[["Code", header], ["1", 501]]))
    assert (sheet.element_ids, sheet.headers) == (None, ("Code", header))
