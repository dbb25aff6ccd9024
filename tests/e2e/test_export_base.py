"""An exported workbook that comes back late, or on another machine: edits on both sides are told apart."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.e2e.conftest import Start, catalog_of
from tests.e2e.test_export import ELEMENTS, FIELDS, MAPPING, Desk, api, desk, row_of
from tests.e2e.test_options import api as api_of

__all__ = ["api", "desk"]

COLOUR = "/api/v4/catalogs/4220/custom_fields/103"
LATER = 2_000_000_000
COMPARED = "what was edited in the catalog since is not told from what was edited here, cells are compared as they are"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """Goes to a machine that knows nothing of earlier runs."""
    count = 0

    def go() -> None:
        nonlocal count
        count += 1
        monkeypatch.setenv("CATALOGSYNC_STATE", str(tmp_path / f"another state {count}"))

    return go


def in_crm(desk: Desk, id_: int, values: Mapping[int | str, object], at: int = LATER) -> None:
    desk.shell.emulator.store.edit_as_other_user(id_, values=values, at=at)


def clashes(desk: Desk) -> list[tuple[Any, ...]]:
    return [(each["kind"], each["id"], each["column"], each["sheet"], each["crm"]) for each in desk.plan()["clashes"]]


def stored(desk: Desk, code: str) -> dict[str, Any]:
    return next(each for each in desk.shell.elements() if each.get("Code") == [code])


def import_(desk: Desk, book: Path | None = None) -> int:
    return desk.shell("import", book or desk.book, "-m", desk.mapping, "--yes", "--settle", 0)


# --- three ways ----------------------------------------------------------------------------------------------------


def test_on_another_machine_what_the_crm_changed_meanwhile_is_kept(desk: Desk, elsewhere: Callable[[], None]) -> None:
    in_crm(desk, 501, {"Price": "11"})
    desk.set("001", "colour", "Blue")
    elsewhere()
    assert desk.changes() == [("update", 501, {"103": str(option(desk, "Blue"))})]
    assert clashes(desk) == [("kept", 501, "102", "9.5", "11")]
    assert import_(desk) == 0
    assert (stored(desk, "001")["Price"], stored(desk, "001")["Colour"]) == (["11"], ["Blue"])


def ids_of(field: Any) -> dict[str, int]:
    return {each["value"]: each["id"] for each in field["enums"]}


def option(desk: Desk, caption: str) -> int:
    """The id of a colour."""
    return ids_of(api_of(desk.shell, "GET", COLOUR))[caption]


def test_a_cell_that_both_changed_is_a_conflict_on_any_machine(desk: Desk, elsewhere: Callable[[], None]) -> None:
    in_crm(desk, 501, {"Price": "11"})
    desk.set("001", "price", 12)
    elsewhere()
    assert (desk.changes(), clashes(desk)) == ([], [("conflict", 501, "102", "12", "11")])
    assert import_(desk) == 5
    assert stored(desk, "001")["Price"] == ["11"]


def test_a_cell_that_both_changed_to_the_same_is_nothing(desk: Desk, elsewhere: Callable[[], None]) -> None:
    in_crm(desk, 501, {"Price": "12"})
    desk.set("001", "price", 12)
    elsewhere()
    assert (desk.changes(), clashes(desk)) == ([], [])


def test_an_element_deleted_meanwhile_is_not_added_again_for_a_row_that_nobody_touched(
    desk: Desk, elsewhere: Callable[[], None]
) -> None:
    desk.shell.emulator.store.delete_as_other_user(502)
    elsewhere()
    plan = desk.plan()
    assert (plan["changes"], [(each["kind"], each["id"]) for each in plan["clashes"]]) == ([], [("deleted", 502)])


def test_a_row_deleted_in_the_workbook_is_missing_where_the_mapping_says_so(
    desk: Desk, elsewhere: Callable[[], None]
) -> None:
    desk.mapping.write_text(f"{MAPPING}missing: delete\nguards: {{delete: 100%}}\n", encoding="utf-8")
    desk.shell.emulator.store.add_as_other_user(4220, "Newer than the export", {"Code": "004"})
    desk.edit(lambda tab: tab.delete_rows(row_of(tab, "002")["code"].row))
    elsewhere()
    assert [change[:2] for change in desk.changes()] == [("delete", 502)]


# --- without its values --------------------------------------------------------------------------------------------


def test_without_its_values_cells_are_compared_as_they_are_and_that_is_said(desk: Desk) -> None:
    in_crm(desk, 501, {"Price": "11"})
    desk.without_values()
    plan = desk.plan()
    assert [(each["id"], each["after"]) for each in plan["changes"]] == [(501, {"102": "9.5"})]
    assert plan["notes"] == [f"the hidden tab of products.xlsx with the values of the export is gone: {COMPARED}"]


def test_changed_values_are_not_used_and_that_is_said(desk: Desk) -> None:
    def change(cell: Any) -> None:
        cell.value = cell.value[:40] + ("A" if cell.value[40] != "A" else "B") + cell.value[41:]

    desk.edit(lambda tab: change(tab["A2"]), tab=3)
    plan = desk.plan()
    assert plan["changes"] == []
    assert plan["notes"] == [f"the hidden tab of products.xlsx with the values of the export was changed: {COMPARED}"]


def test_the_values_of_another_catalog_are_not_used(desk: Desk, tmp_path: Path) -> None:
    assert desk.shell("catalogs", "add", "Other") == 0
    other = tmp_path / "other.xlsx"
    assert desk.shell("export", "Other", other) == 0
    book = openpyxl.load_workbook(other)
    lines = [row[0].value for row in book["catalogsync values"].iter_rows()]
    book.close()

    def put(tab: Any) -> None:
        tab.delete_rows(1, tab.max_row)
        for line in lines:
            tab.append([line])

    desk.edit(put, tab=3)
    assert desk.plan()["notes"] == [
        f"the hidden tab of products.xlsx with the values of the export is of another export: {COMPARED}"
    ]


def test_without_the_column_of_ids_the_values_still_tell_by_key_what_was_edited(
    desk: Desk, elsewhere: Callable[[], None]
) -> None:
    in_crm(desk, 501, {"Price": "11"})
    desk.edit(lambda tab: tab.delete_cols(6))
    desk.set("002", "price", 101)
    elsewhere()
    assert desk.changes() == [("update", 502, {"102": "101"})]
    assert clashes(desk) == [("kept", 501, "102", "9.5", "11")]


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not here")
def test_the_values_outlive_another_program(
    desk: Desk, elsewhere: Callable[[], None], tmp_path: Path
) -> None:  # pragma: no cover
    in_crm(desk, 501, {"Price": "11"})
    desk.set("002", "price", 101)
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/office", "--headless", "--convert-to", "xlsx"]
    out = tmp_path / "saved"
    subprocess.run([*command, "--outdir", str(out), str(desk.book)], check=True, capture_output=True, timeout=120)
    desk.book = out / desk.book.name
    elsewhere()
    assert (desk.changes(), desk.plan()["notes"]) == ([("update", 502, {"102": "101"})], [])
    assert clashes(desk) == [("kept", 501, "102", "9.5", "11")]


# --- beside other sheets, and more than once -----------------------------------------------------------------------


def test_a_price_list_imported_since_the_export_is_not_taken_back(desk: Desk, tmp_path: Path) -> None:
    supplier = tmp_path / "supplier.csv"
    supplier.write_text("code,name,price,colour,note\n001,Oak,20,Red,Hard\n002,Ash,100,Blue,\n", encoding="utf-8")
    assert import_(desk, supplier) == 0
    desk.set("001", "note", "Very hard")
    assert desk.changes() == [("update", 501, {"104": "Very hard"})]
    assert clashes(desk) == [("kept", 501, "102", "9.5", "20")]

    desk.set("002", "price", 99)
    assert import_(desk) == 0  # and to the supplier's next list that was an edit in the catalog
    plan = desk.shell.plan(supplier, "-m", desk.mapping)
    assert plan["changes"] == []
    assert sorted((each["kind"], each["id"], each["crm"]) for each in plan["clashes"]) == [
        ("kept", 501, "Very hard"),
        ("kept", 502, "99"),
    ]


def test_two_copies_of_one_export_do_not_take_each_other_s_edits_back(desk: Desk, tmp_path: Path) -> None:
    copy = tmp_path / "copy.xlsx"
    shutil.copy(desk.book, copy)
    desk.set("001", "price", 12)
    assert import_(desk) == 0

    desk.book = copy
    desk.set("002", "price", 101)
    assert desk.changes() == [("update", 502, {"102": "101"})]
    assert clashes(desk) == [("kept", 501, "102", "9.5", "12")]


def test_what_a_workbook_sent_is_no_edit_of_its_when_it_is_imported_again(desk: Desk) -> None:
    desk.set("001", "price", 12)
    assert import_(desk) == 0
    in_crm(desk, 501, {"Price": "15"})
    desk.set("002", "price", 101)
    assert desk.changes() == [("update", 502, {"102": "101"})]
    assert clashes(desk) == [("kept", 501, "102", "12", "15")]
    desk.set("001", "price", 13)
    assert clashes(desk) == [("conflict", 501, "102", "13", "15")]


def test_a_product_that_a_workbook_added_and_somebody_deleted_is_not_added_again(desk: Desk) -> None:
    desk.edit(lambda tab: tab.append(["004", "Fir", 7]))
    assert import_(desk) == 0
    desk.shell.emulator.store.delete_as_other_user(stored(desk, "004")["id"])
    assert desk.changes() == []
    assert [each["kind"] for each in desk.plan()["clashes"]] == ["deleted"]


def test_a_stored_plan_and_a_review_remember_for_the_workbook_and_not_for_the_mapping(
    desk: Desk, tmp_path: Path
) -> None:
    supplier = tmp_path / "supplier.csv"
    supplier.write_text("code,name,price,colour,note\n001,Oak,9.5,Red,Hard\n", encoding="utf-8")
    assert import_(desk, supplier) == 0
    desk.set("001", "price", 12)
    plan = tmp_path / "plan.json"
    assert desk.shell("plan", desk.book, "-m", desk.mapping, "--out", plan) == 0
    assert desk.shell("apply", plan) == 0
    in_crm(desk, 501, {"Price": "15"})
    assert clashes(desk) == [("kept", 501, "102", "12", "15")]
    assert [each["crm"] for each in desk.shell.plan(supplier, "-m", desk.mapping)["clashes"]] == ["15"]


def test_rows_of_an_export_that_come_back_in_a_result_workbook_are_rows_of_it_still(
    desk: Desk, tmp_path: Path, elsewhere: Callable[[], None]
) -> None:
    result = tmp_path / "result.xlsx"
    desk.set("001", "price", "dear")
    desk.set("001", "note", "Very hard")
    command = ("import", desk.book, "-m", desk.mapping, "--yes", "--settle", 0, "--result", result)
    assert desk.shell(*command) == 3
    in_crm(desk, 501, {"Colour": "Blue"})
    desk.book = result
    desk.set("001", "price", 12)
    elsewhere()
    assert desk.changes() == [("update", 501, {"102": "12", "104": "Very hard"})]
    assert [(each["kind"], each["column"]) for each in desk.plan()["clashes"]] == [("kept", "103")]


def test_an_export_takes_the_crm_s_side_in_place_and_keeps_edits_that_were_not_sent(
    desk: Desk, elsewhere: Callable[[], None]
) -> None:
    desk.set("001", "price", 12)
    in_crm(desk, 501, {"Colour": "Blue"})
    elsewhere()
    assert desk.shell("export", "Products", "--into", desk.book, "-m", desk.mapping) == 0
    assert [(row["code"], row["price"], row["colour"]) for row in desk.rows() if row["code"] == "001"] == [
        ("001", 12, "Blue")
    ]
    assert (desk.changes(), clashes(desk)) == ([("update", 501, {"102": "12"})], [])
    desk.set("001", "colour", "Red")
    assert desk.changes() == [("update", 501, {"102": "12", "103": str(option(desk, "Red"))})]


# --- what nobody touched is no problem -----------------------------------------------------------------------------


def test_products_without_a_key_or_with_a_shared_one_are_passed_over_while_nobody_touches_them(
    api: str, start: Start, tmp_path: Path
) -> None:
    odd = [
        {"id": 601, "name": "Twin", "values": {"Code": "7", "Price": "1"}},
        {"id": 602, "name": "Twin too", "values": {"Code": "7"}},
        {"id": 603, "name": "Keyless", "values": {"Price": "3"}},
        {"id": 604, "name": "Keyless too"},
    ]
    missing = f"{MAPPING}missing: delete\nguards: {{delete: 100%}}\n"
    desk = Desk(start(catalog_of(FIELDS, [*ELEMENTS, *odd])), tmp_path, missing)
    desk.export()
    assert import_(desk) == 0
    plan = desk.plan()
    assert (plan["changes"], plan["rejected"], plan["rejected_rows"]) == ([], [], 0)
    assert [problem["what"] for problem in plan["warnings"]] == ['2 elements hold the key "7": 601, 602']

    desk.edit(lambda tab: tab.delete_rows(row_of(tab, "002")["code"].row))
    assert [change[:2] for change in desk.changes()] == [("delete", 502)]  # the odd ones do not hinder it

    def edit(tab: Any) -> None:
        for row in tab.iter_rows(min_row=2):
            if row[-1].value in (602, 603):
                row[2].value = 99

    desk.edit(edit)
    plan = desk.plan()
    assert plan["rejected_rows"] == 3
    assert [problem["what"] for problem in plan["rejected"]] == ["the key is empty", 'the key "7" stands in 2 rows']
    assert plan["changes"] == []  # a row without a key might be anybody's: nothing is missing


def test_a_cell_that_still_says_what_was_exported_is_no_edit_whatever_the_mapping_makes_of_it(
    api: str, start: Start, tmp_path: Path
) -> None:
    fields = [
        {"id": 101, "name": "Code", "type": "text"},
        {"id": 102, "name": "Note", "type": "text"},
        {"id": 103, "name": "Tags", "type": "multiselect", "enums": ["a", "b", "c"]},
        {"id": 104, "name": "Price", "type": "price"},
        {"id": 105, "name": "Needed", "type": "text"},
    ]
    mapping = """
catalog: Products
key: code
columns:
  code: Code
  name: name
  note: {field: Note, empty: ["-", none]}
  tags: {field: Tags, multi: remove}
  price: {field: Price, owner: sheet}
  needed: {field: Needed, blank: error}
"""
    texts = ["#N/A", "-", "none", "1.5E+12", "=1+1"]
    elements = [
        {"id": 500 + n, "name": f"P{n}", "values": {"Code": f"00{n}", "Note": text, "Tags": ["a", "b"], "Price": "5"}}
        for n, text in enumerate(texts)
    ]
    desk = Desk(start(catalog_of(fields, elements)), tmp_path, mapping)
    desk.export()
    in_crm(desk, 500, {"Price": "6"})
    plan = desk.plan()
    assert (plan["changes"], plan["rejected"], plan["warnings"]) == ([], [], [])
    assert clashes(desk) == [("kept", 500, "104", "5", "6")]  # the owner is the supplier's sheet, not this one

    desk.set("001", "note", "none")
    desk.set("002", "tags", "a")
    first, second = sorted(desk.changes())
    assert first == ("update", 501, {"102": ""})
    assert second[:2] == ("update", 502)
    assert [len(options.split(",")) for options in second[2].values()] == [1]


def test_a_key_that_looks_damaged_or_that_no_cell_says_is_that_of_its_row_while_nobody_touches_it(
    api: str, start: Start, tmp_path: Path
) -> None:
    codes = ["8.8E+12", "1e5", "#N/A", "x" * 33_000]
    elements = [{"id": 700 + n, "name": f"P{n}", "values": {"Code": code}} for n, code in enumerate(codes)]
    desk = Desk(start(catalog_of(FIELDS, elements)), tmp_path)
    desk.export()

    def dearer(tab: Any) -> None:
        for row in tab.iter_rows(min_row=2):
            row[2].value = 7

    desk.edit(dearer)
    plan = desk.plan()
    assert plan["rejected"] == []
    assert sorted((each["id"], each["after"]) for each in plan["changes"]) == [
        (700 + n, {"102": "7"}) for n in range(4)
    ]


def test_an_option_that_was_renamed_since_the_export_hinders_no_row_that_has_it(desk: Desk) -> None:
    id_ = option(desk, "Red")
    enums = [{"id": id_, "value": "Crimson", "sort": 1}, {"id": option(desk, "Blue"), "value": "Blue", "sort": 2}]
    api_of(desk.shell, "PATCH", COLOUR, {"enums": enums})
    desk.set("001", "price", 12)
    plan = desk.plan()
    assert [(each["id"], each["after"]) for each in plan["changes"]] == [(501, {"102": "12"})]
    assert plan["rejected"] == []


def test_a_text_file_lists_no_options_where_the_mapping_takes_away_what_is_listed(
    api: str, start: Start, tmp_path: Path
) -> None:
    fields = [*FIELDS[:1], {"id": 103, "name": "Tags", "type": "multiselect", "enums": ["a", "b", "c"]}]
    mapping = "catalog: Products\nkey: code\ncolumns:\n  code: Code\n  tags: {field: Tags, multi: remove}\n"
    elements = [{"id": 501, "name": "Oak", "values": {"Code": "001", "Tags": ["a", "b"]}}]
    desk = Desk(start(catalog_of(fields, elements)), tmp_path, mapping)
    desk.book = tmp_path / "products.csv"
    desk.export()
    assert desk.changes() == []
