"""The result workbook: what became of each row, and the rows that are mended in it and imported by themselves."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from catalogsync.api.auth import APIS
from catalogsync.cli import common
from catalogsync.emulator.faults import Fault
from tests.e2e.conftest import Shell, Start, catalog_of

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Price", "type": "price"},
    {"id": 103, "name": "Colour", "type": "select", "enums": ["Red", "Blue"]},
    {"id": 104, "name": "Note", "type": "textarea"},
]
MAPPING = """
catalog: Products
key: code
columns:
  code: Code
  name: name
  price: Price
  colour: Colour
  note: Note
"""
ELEMENTS = [
    {"id": 501, "name": "Oak", "values": {"Code": "001", "Price": "9.5", "Colour": "Red", "Note": "Hard"}},
    {"id": 502, "name": "Ash", "values": {"Code": "002", "Price": "100", "Colour": "Blue"}},
    {"id": 503, "name": "Elm", "values": {"Code": "003", "Price": "250"}},
]
HEADERS = ["code", "name", "price", "colour", "note"]
ID = "catalogsync result 30001/4220 (part)"

Rows = Sequence[Sequence[object]]


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CATALOGSYNC_API", request.param)
    return str(request.param)


class Desk:
    """A sheet, a mapping, and the result workbook of its import."""

    def __init__(self, shell: Shell, folder: Path, mapping: str = MAPPING) -> None:
        self.shell, self.folder = shell, folder
        self.sheet, self.result, self.mapping = folder / "prices.xlsx", folder / "result.xlsx", folder / "m.yaml"
        self.mapping.write_text(mapping, encoding="utf-8")

    def write(self, rows: Rows, headers: Sequence[str] = HEADERS) -> None:
        book = openpyxl.Workbook()
        tab = book.worksheets[0]
        tab.title = "Prices"
        for row in [headers, *rows]:
            tab.append(row)
        for cells in tab.iter_rows():
            for cell in cells:
                if cell.data_type == "f":
                    cell.data_type = "s"  # text that only looks like a formula
        book.save(self.sheet)

    def run(self, *flags: object) -> int:
        """Import the sheet, with a result workbook."""
        return self.shell("import", self.sheet, "-m", self.mapping, "--yes", "--result", self.result, *flags)

    def mend(self, change: Callable[[Worksheet], None]) -> None:
        book = openpyxl.load_workbook(self.result)
        change(book.worksheets[0])
        book.save(self.result)

    def run_mended(self, *flags: object) -> int:
        """Import what was mended, by itself and without a flag."""
        return self.shell("import", self.result, "-m", self.mapping, "--yes", *flags)

    def tab(self, place: int = 0) -> list[list[Any]]:
        """A tab of the result workbook."""
        tab = openpyxl.load_workbook(self.result).worksheets[place]
        return [[cell if cell is not None else "" for cell in row] for row in tab.iter_rows(values_only=True)]

    def results(self) -> list[tuple[Any, ...]]:
        """Row, key and result of every line of the second tab."""
        return [tuple(row[:3]) for row in self.tab(1)[1:]]

    def values(self, name: str) -> dict[str, Any]:
        """A field of every element, by code."""
        return {each.get("Code", [""])[0]: each.get(name) for each in self.shell.elements()}


NOT_A_NUMBER = '"cheap" is not a number (if that means no value: `empty: "cheap"`)'
MIXED: Rows = [
    ["001", "Oak", 9.5, "Red", "Hard"],
    ["002", "Ash", 120, "Blue", ""],
    ["003", "Elm", "cheap", "Green", "=1+1"],
    ["004", "Fir", 7, "", ""],
    ["005", "", 8, "", ""],
]


def test_every_row_has_a_result_and_those_that_need_a_person_are_as_they_were_read(
    start: Start, tmp_path: Path, api: str
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write(MIXED)
    assert desk.run() == 3
    wrong = f'price: {NOT_A_NUMBER}; colour: "Green" is not an option (options: Red, Blue)'
    assert desk.tab() == [
        [*HEADERS, "Result", "Reason", ID],
        ["003", "Elm", "cheap", "Green", "=1+1", "rejected", wrong, "row"],
        ["005", "", 8, "", "", "rejected", "a new product needs a name", "row"],
    ]
    added = next(each["id"] for each in desk.shell.elements() if each["name"] == "Fir")
    assert desk.tab(1) == [
        ["Row", "Key", "Result", "Reason", "Change", "Element"],
        [2, "001", "unchanged", "", "", 501],
        [3, "002", "done", "", "price: 100 → 120", 502],
        [4, "003", "rejected", wrong, "", ""],
        [5, "004", "done", "", "added", added],
        [6, "005", "rejected", "a new product needs a name", "", ""],
    ]
    assert f"Result of every row: {desk.result}; 2 rows need a person" in desk.shell.err
    book = openpyxl.load_workbook(desk.result)
    assert book.sheetnames == ["Prices", "Results", "Summary"]
    tab = book["Prices"]
    assert (tab.freeze_panes, tab.auto_filter.ref, tab.column_dimensions["H"].hidden) == ("A2", "A1:H3", True)
    assert [tab[place].comment and tab[place].comment.text for place in ("C2", "D2", "E2")] == [
        NOT_A_NUMBER,
        '"Green" is not an option (options: Red, Blue)',
        None,
    ]
    assert [tab[place].fill.fgColor.rgb for place in ("C2", "D2", "E2")] == ["FFFFC7CE", "FFFFC7CE", "00000000"]
    assert (tab["E2"].data_type, tab["C3"].data_type) == ("s", "n")


GONE = MAPPING + "missing: delete\n"
FULL: Rows = [["001", "Oak", 9.5, "Red", "Hard"], ["002", "Ash", "x", "Blue", ""], ["003", "Elm", 250, "", ""]]


def test_mended_rows_are_imported_by_themselves_and_nothing_else_is_missing_or_remembered(
    start: Start, tmp_path: Path, api: str
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path, GONE + "guards: {delete: 100%}\n")
    desk.write([row if row[2] != "x" else [*row[:2], 100, *row[3:]] for row in FULL])
    assert desk.run() == 0  # from now on every element has had a row
    desk.write(FULL)
    assert desk.run() == 3
    desk.mend(lambda tab: tab.__setitem__("C2", 130))
    assert desk.run_mended() == 0
    assert [arrival.method for arrival in desk.shell.sent if arrival.method != "GET"] in (["POST"], ["PATCH"])
    assert desk.values("Price") == {"001": ["9.5"], "002": ["130"], "003": ["250"]}
    desk.write([[*row[:2], 130, *row[3:]] if row[2] == "x" else row for row in FULL])
    made = desk.shell.plan(desk.sheet, "-m", desk.mapping)
    assert (made["changes"], made["alarms"]) == ([], [])
    desk.write([FULL[0], ["002", "Ash", 130, "Blue", ""]])
    assert [change["kind"] for change in desk.shell.plan(desk.sheet, "-m", desk.mapping)["changes"]] == ["delete"]
    desk.write(FULL[:1])  # the last sheet is the one of three rows, not the one that was mended
    [alarm] = desk.shell.plan(desk.sheet, "-m", desk.mapping)["alarms"]
    assert alarm["where"] == "guard rows"


def test_a_product_that_a_colleague_deleted_stays_deleted_after_a_part_was_imported(
    start: Start, tmp_path: Path, api: str
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write([*FULL[:1], *FULL[2:]])
    assert desk.run() == 0
    desk.write(FULL)
    assert desk.run() == 3
    desk.shell.emulator.fault("delete 503 before GET")
    desk.mend(lambda tab: tab.__setitem__("C2", 100))
    assert desk.run_mended() == 0
    desk.write([[*row[:2], 100, *row[3:]] if row[2] == "x" else row for row in FULL])
    assert desk.run() == 0
    reason = "deleted in the CRM; not added again until the row changes"
    assert [row[:4] for row in desk.tab(1)[3:]] == [[4, "003", "skipped", reason]]


def test_guards_that_compare_a_sheet_with_the_last_one_or_the_catalog_let_mended_rows_through(
    start: Start, tmp_path: Path
) -> None:
    elements = [{"id": 500 + n, "name": f"P{n}", "values": {"Code": f"{n:03}", "Price": "5"}} for n in range(1, 31)]
    desk = Desk(
        start(catalog_of(FIELDS, elements)), tmp_path, MAPPING + "guards: {rows: 30, matched: 50%, add: 100%}\n"
    )
    held = [[f"{n:03}", f"P{n}", 5, "", ""] for n in range(1, 31)]
    desk.write([*held, *([f"N{n:02}", f"New {n}", "x", "", ""] for n in range(12))])
    assert desk.run() == 3

    def mend(tab: Worksheet) -> None:
        for row in range(2, 14):
            tab.cell(row, 3, row * 10)

    desk.mend(mend)
    assert desk.run_mended() == 0
    assert len(desk.shell.elements()) == 42


def test_rows_that_are_not_mended_are_rejected_again_with_a_result_workbook_of_the_same_columns(
    start: Start, tmp_path: Path
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write(MIXED)
    desk.run()
    first = desk.tab()
    again = tmp_path / "again.xlsx"
    assert desk.shell("import", desk.result, "-m", desk.mapping, "--yes", "--result", again) == 3
    desk.result = again
    assert desk.tab() == first


def test_columns_of_the_persons_own_called_result_and_reason_are_kept(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path, MAPPING.replace("note: Note", "Reason: Note"))
    headers = ["code", "name", "price", "Result", "Reason"]
    desk.mapping.write_text(desk.mapping.read_text().replace("  colour: Colour\n", ""))
    desk.write([["003", "Elm", "x", "r", "because"]], headers)
    desk.run()
    again = tmp_path / "again.xlsx"
    desk.shell("import", desk.result, "-m", desk.mapping, "--yes", "--result", again)
    expected = [*headers, "Result of the import", "Reason of the import", ID]
    assert desk.tab()[0] == expected
    assert desk.tab()[1][:5] == ["003", "Elm", "x", "r", "because"]
    desk.result = again
    assert desk.tab()[0] == expected


def test_a_key_that_is_mended_means_another_product_as_it_does_in_the_sheet_itself(
    start: Start, tmp_path: Path
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write([["001", "Oak", 9.5, "Red", "Hard"], ["001", "Yew", 5, "", ""]])
    assert desk.run() == 3
    hint = "also prices.xlsx!Prices!A3 (code); none is taken; `duplicates: first` or `last` takes one"
    reason = f'the key "001" stands in 2 rows ({hint})'
    assert [row[5:] for row in desk.tab()[1:]] == [
        ["rejected", f"code: {reason}", "row"],
        ["rejected", f"code: with prices.xlsx!Prices!A2 (code): {reason}", "row"],
    ]

    def mend(tab: Worksheet) -> None:
        tab.delete_rows(2)
        tab["A2"] = "009"

    desk.mend(mend)
    assert desk.run_mended() == 0
    assert sorted((each["Code"][0], each["name"]) for each in desk.shell.elements()) == [
        ("001", "Oak"),
        ("002", "Ash"),
        ("003", "Elm"),
        ("009", "Yew"),
    ]


def test_a_row_that_duplicates_first_leaves_out_is_skipped_and_needs_nobody(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path, MAPPING + "duplicates: first\n")
    desk.write([["001", "Oak", 10, "Red", "Hard"], ["001", "Yew", 5, "", ""]])
    assert desk.run() == 0
    assert [row[:5] for row in desk.tab(1)[1:]] == [
        [2, "001", "done", "", "price: 9.5 → 10"],
        [3, "001", "skipped", "code: a row with this key is already taken (`duplicates: first`)", ""],
    ]
    assert len(desk.tab()) == 1


def test_a_key_that_two_elements_hold_is_told_with_both(start: Start, tmp_path: Path) -> None:
    twice = [*ELEMENTS, {"id": 504, "name": "Oak 2", "values": {"Code": "001"}}]
    desk = Desk(start(catalog_of(FIELDS, twice)), tmp_path)
    desk.write([["001", "Oak", 10, "Red", "Hard"]])
    assert desk.run() == 3
    reason = '2 elements hold the key "001": 501, 504 (none is touched; leave one of them in the catalog)'
    assert [row[5:] for row in desk.tab()[1:]] == [["rejected", reason, "row"]]


def test_a_conflict_is_told_with_what_was_done_beside_it(start: Start, tmp_path: Path, api: str) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write([["001", "Oak", 9.5, "Red", "Hard"]])
    assert desk.run() == 0
    desk.shell.emulator.fault("edit 501 Price=20 before GET")
    desk.write([["001", "Oak tree", 30, "Red", "Hard"]])
    assert desk.run() == 5
    told = (
        "price: changed in the sheet and in the CRM: was 9.5, the sheet says 30, the catalog 20 (type the catalog's "
        "value to keep it; for the sheet's, `conflict: sheet` or a review workbook); done: name: Oak → Oak tree"
    )
    assert desk.tab()[1] == ["001", "Oak tree", 30, "Red", "Hard", "conflict", told, "row"]
    assert desk.tab(1)[1] == [2, "001", "conflict", told, "name: Oak → Oak tree", 501]
    desk.mend(lambda tab: tab.__setitem__("C2", 20))
    assert desk.run_mended() == 0


def test_an_edit_that_was_kept_is_a_remark(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write([["001", "Oak", 9.5, "Red", "Hard"]])
    desk.run()
    desk.shell.emulator.fault("edit 501 Price=20 before GET")
    assert desk.run() == 0
    assert desk.tab(1)[1] == [2, "001", "unchanged", "price: changed in the CRM, and kept: 20", "", 501]


def test_when_a_guard_refuses_the_workbook_says_that_nothing_was_applied(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path, GONE + "guards: {update: 0}\n")
    desk.write(MIXED)
    assert desk.run("--json") == 4
    assert json.loads(desk.shell.out)["result"] == str(desk.result)
    why = "guard update: the plan would update 1 of 3 elements (33%), the ceiling is 0"
    assert [row[:5] for row in desk.tab(1)[2:5:2]] == [
        [3, "002", "not applied", why, "price: 100 → 120"],
        [5, "004", "not applied", why, "to add"],
    ]
    assert [row[0] for row in desk.tab()[1:]] == ["003", "005"]
    assert "refused, nothing was written" in dict(row[:2] for row in desk.tab(2))["Why"]


def test_strict_writes_the_rows_to_be_mended_and_nothing_to_the_account(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write(MIXED)
    assert desk.run("--strict") == 3
    assert desk.shell.posts == []
    assert [row[2] for row in desk.tab(1)[1:]] == ["unchanged", "not applied", "rejected", "not applied", "rejected"]


def test_without_a_terminal_to_ask_on_nothing_is_applied_and_the_workbook_says_so(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write(MIXED)
    assert desk.shell("import", desk.sheet, "-m", desk.mapping, "--result", desk.result) == 64
    why = "nobody could be asked, and --yes was not given"
    assert desk.tab(1)[2][:4] == [3, "002", "not applied", why]


def test_where_there_is_no_plan_nothing_is_written_and_that_is_said(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.sheet.write_bytes(b"PK\x03\x04")
    assert desk.run() == 1
    assert f"No result workbook, since there is no plan of the sheet: {desk.result} was not written." in desk.shell.err
    assert not desk.result.exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("prices.xlsx", "that is {folder}/prices.xlsx itself; name another file"),
        ("m.yaml", "what became of each row is a workbook, FILE.xlsx"),
        ("result.csv", "what became of each row is a workbook, FILE.xlsx"),
        ("no/result.xlsx", "there is no folder {folder}/no"),
    ],
)
def test_the_file_is_refused_before_anything_is_read(start: Start, tmp_path: Path, name: str, told: str) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write(MIXED)
    desk.result = tmp_path / name
    before = desk.sheet.read_bytes()
    assert desk.run() == 64
    assert told.format(folder=tmp_path) in desk.shell.err.replace("\n", " ")
    assert (desk.shell.sent, desk.sheet.read_bytes()) == ([], before)


def test_what_the_account_refuses_and_what_was_not_sent_is_told(start: Start, tmp_path: Path, api: str) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write([["001", "Oak", 10, "Red", "Hard"], ["002", "Ash", 120, "Blue", ""]])
    for method in ("POST", "PATCH"):
        desk.shell.emulator.fault(f"401 before {method} nth=2")
    assert desk.run("--batch", 1) == 7
    assert sorted(row[2] for row in desk.tab(1)[1:]) == ["done", "not sent"]
    [unsent] = [row for row in desk.tab(1)[1:] if row[2] == "not sent"]
    assert unsent[3].endswith("; run the import again, or `catalogsync resume`")


def test_a_csv_with_semicolons_and_a_header_of_two_rows_is_mended_in_a_workbook(start: Start, tmp_path: Path) -> None:
    mapping = MAPPING.replace("price: Price", 'Price / net: {field: Price, decimal: ","}').replace(
        "  colour: Colour\n", ""
    )
    desk = Desk(
        start(catalog_of(FIELDS, ELEMENTS)),
        tmp_path,
        mapping + 'read: {header_row: 2-3, delimiter: ";", needs: code}\n',
    )
    desk.sheet = tmp_path / "prices.csv"
    text = 'List of today;;;\ncode;name;Price;note\n;;net;\n001;Oak;"1 000,5";\n002;Ash;12,x;"\'=A1"\n'
    desk.sheet.write_text(text, encoding="utf-8")
    assert desk.run() == 3, desk.shell.err
    assert desk.tab()[0] == ["code", "name", "Price / net", "note", "Result", "Reason", ID]
    assert desk.tab()[1][:4] == ["002", "Ash", "12,x", "=A1"]
    desk.mend(lambda tab: tab.__setitem__("C2", "12,5"))
    assert desk.run_mended() == 0
    assert desk.values("Price") == {"001": ["1000.5"], "002": ["12.5"], "003": ["250"]}
    assert desk.values("Note")["002"] == ["=A1"]


def test_a_stored_plan_is_told_row_by_row_with_the_sheet_that_it_was_made_of(
    start: Start, tmp_path: Path, api: str
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write(MIXED)
    plan = tmp_path / "plan.json"
    desk.shell("plan", desk.sheet, "-m", desk.mapping, "--out", plan)
    assert desk.shell("apply", plan, "--result", desk.result) == 64
    assert desk.shell("apply", plan, "--result", desk.result, "--source", desk.sheet, "--json") == 3
    assert json.loads(desk.shell.out)["result"] == str(desk.result)
    assert [row[:3] for row in desk.tab(1)[1:]] == [
        [2, "001", "unchanged"],
        [3, "002", "done"],
        [4, "003", "rejected"],
        [5, "004", "done"],
        [6, "005", "rejected"],
    ]
    assert [row[:2] for row in desk.tab()[1:]] == [["003", "Elm"], ["005", ""]]
    desk.shell("apply", plan, "--result", desk.result, "--source", desk.sheet)
    told = "the catalog changed since the plan was made; nothing was written. Plan again"
    assert desk.tab(1)[2][2:4] == ["not applied", told]


def test_of_a_review_workbook_it_tells_what_was_not_approved_too(start: Start, tmp_path: Path, api: str) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write(MIXED)
    review = tmp_path / "review.xlsx"
    desk.shell("plan", desk.sheet, "-m", desk.mapping, "--out", review)
    book = openpyxl.load_workbook(review)
    book["Adds"]["A2"] = "no"
    book.save(review)
    assert desk.shell("apply", review, "--result", review, "--source", desk.sheet) == 64
    assert desk.shell("apply", review, "--result", desk.result, "--source", desk.sheet, "--json") == 3
    assert json.loads(desk.shell.out)["result"] == str(desk.result)
    assert [row[2:5] for row in desk.tab(1)[2:5:2]] == [
        ["done", "", "price: 100 → 120"],
        ["not applied", "not approved", "to add"],
    ]
    assert [row[0] for row in desk.tab()[1:]] == ["003", "005"]


def test_a_sheet_that_a_stored_plan_was_not_made_of_is_refused_before_anything_is_sent(
    start: Start, tmp_path: Path
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write(MIXED)
    plan = tmp_path / "plan.json"
    desk.shell("plan", desk.sheet, "-m", desk.mapping, "--out", plan)
    desk.write(MIXED[1:])
    assert desk.shell("apply", plan, "--result", desk.result, "--source", desk.sheet) == 1
    assert "has 4 rows, the sheet of the plan had 5" in desk.shell.err
    assert (desk.shell.posts, desk.result.exists()) == ([], False)


@pytest.mark.parametrize("status", [400, 422])
def test_rows_that_the_account_refuses_are_failed_and_the_others_done(
    start: Start, tmp_path: Path, api: str, status: int
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write([["001", "Oak", 10, "Red", "Hard"], ["002", "Ash", 120, "Blue", ""]])
    method = "POST" if api == "v2" else "PATCH"
    for nth in (1, 2):  # the batch as a whole, then one of its halves
        desk.shell.emulator.fault(f"{status} before {method} nth={nth}")
    assert desk.run() == 3
    assert sorted(row[2] for row in desk.tab(1)[1:]) == ["done", "failed"]
    [failed] = desk.tab()[1:]
    assert (failed[5], failed[7]) == ("failed", "row")
    assert f"refused with {status}" in failed[6]
    assert desk.run_mended() == 0
    assert desk.values("Price") == {"001": ["10"], "002": ["120"], "003": ["250"]}


def test_rows_whose_answer_was_lost_are_unknown_and_importing_them_looks_first(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write([["004", "Fir", 7, "", ""]])
    desk.shell.emulator.fault("drop after POST")
    emulator = desk.shell.emulator  # from the lost answer on nothing can be read, so that it is not settled
    emulator.fault(Fault("call", "POST", call=lambda _store: emulator.fault("401 GET count=0")))
    code = desk.run("--settle", 0)
    assert (code, desk.results()) == (7, [(2, "004", "unknown")]), desk.shell.out
    assert desk.tab()[1][6].endswith("it may be stored or not; run the import again, which looks first")
    desk.shell.emulator.faults.clear()
    assert desk.run_mended() == 0
    assert [each["name"] for each in desk.shell.elements()].count("Fir") == 1


def test_elements_whose_row_is_gone_stand_at_the_end(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path, GONE + "guards: {delete: 100%, rows: 0}\n")
    desk.write([["001", "Oak", 9.5, "Red", "Hard"]])
    assert desk.run("--delete-unseen") == 0
    assert sorted(desk.tab(1)[2:]) == [
        ["", "002", "done", "", "deleted: Ash", 502],
        ["", "003", "done", "", "deleted: Elm", 503],
    ]


def test_rows_of_an_export_keep_their_ids_so_that_a_mended_key_stays_the_same_product(
    start: Start, tmp_path: Path
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.shell("export", "Products", desk.sheet, "-m", desk.mapping)
    book = openpyxl.load_workbook(desk.sheet)
    for row in book.worksheets[0].iter_rows(min_row=2):
        if row[0].value == "003":
            row[2].value = "x"
    book.save(desk.sheet)
    assert desk.run() == 3
    assert [row[-1] for row in desk.tab()[1:]] == [503]

    def mend(tab: Worksheet) -> None:
        tab["A2"], tab["C2"] = "033", 250

    desk.mend(mend)
    assert desk.run_mended() == 0
    assert desk.values("Price") == {"001": ["9.5"], "002": ["100"], "033": ["250"]}


def test_lines_that_could_not_be_read_are_told_and_are_not_among_those_to_be_mended(
    start: Start, tmp_path: Path
) -> None:
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path, MAPPING.replace("  colour: Colour\n  note: Note\n", ""))
    desk.sheet = tmp_path / "prices.csv"
    desk.sheet.write_text("code,name,price\n001,Oak,9.5\n002,Ash\n003,Elm,x\n", encoding="utf-8")
    assert desk.run() == 3
    assert desk.results() == [(2, "001", "unchanged"), (3, "", "rejected"), (4, "003", "rejected")]
    assert [row[0] for row in desk.tab()[1:]] == ["003"]
    told = "1 rows could not be read as rows; mend them in the sheet itself (3)"
    assert dict(row[:2] for row in desk.tab(2))["Not read"] == told


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not here")
def test_what_libreoffice_saved_again_is_a_part_all_the_same(start: Start, tmp_path: Path) -> None:  # pragma: no cover
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path, GONE + "guards: {delete: 100%}\n")
    desk.write([["001", "Oak", 9.5, "Red", "Hard"], ["002", "Ash", 100, "Blue", "=1+1"], ["003", "Elm", 250, "", ""]])
    assert desk.run() == 0
    desk.write([["001", "Oak", 9.5, "Red", "Hard"], ["002", "Ash", "x", "Blue", "=1+1"], ["003", "Elm", 250, "", ""]])
    assert desk.run() == 3
    desk.mend(lambda tab: tab.__setitem__("C2", 130))
    out = tmp_path / "saved"
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/office", "--headless", "--convert-to", "xlsx"]
    subprocess.run([*command, "--outdir", str(out), str(desk.result)], check=True, capture_output=True, timeout=120)
    desk.result = out / desk.result.name
    assert desk.run_mended() == 0
    assert desk.values("Price") == {"001": ["9.5"], "002": ["130"], "003": ["250"]}
    assert desk.values("Note")["002"] == ["=1+1"]


@pytest.mark.parametrize(
    ("answer", "code", "why"),
    [(False, 0, "the answer was no"), (click.Abort(), 130, "the question was not answered")],
)
def test_where_the_answer_is_no_or_none_nothing_is_applied_and_the_workbook_says_so(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, code: int, why: str
) -> None:
    def confirm(_question: str) -> bool:  # in place of a terminal
        if isinstance(answer, click.Abort):
            raise answer
        return bool(answer)

    monkeypatch.setattr(common, "is_interactive", lambda: True)
    monkeypatch.setattr(common, "confirm", confirm)
    desk = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    desk.write(MIXED)
    assert desk.shell("import", desk.sheet, "-m", desk.mapping, "--result", desk.result) == code
    assert desk.shell.posts == []
    assert desk.tab(1)[2][:4] == [3, "002", "not applied", why]
