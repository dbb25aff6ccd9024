"""Review, then apply: a plan as a workbook that a person ticks, and as a page to look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from catalogsync.emulator.server import Emulator
from catalogsync.plan import load_plan
from catalogsync.reviewanswers import read_review
from tests.api.helpers import Clock
from tests.e2e.conftest import Shell, Start, catalog_of

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Price", "type": "numeric"},
    {"id": 103, "name": "Note", "type": "text"},
    {"id": 104, "name": "Depot", "type": "smart_address"},
    {"id": 105, "name": "Sizes", "type": "multiselect", "enums": {"S": 41, "M": 42, "L": 43}},
    {"id": 106, "name": "Colour", "type": "select", "enums": {"Red": 31}},
]
DEPOT = {"city": "Riga", "zip": "1001"}
ELEMENTS = [
    {"id": 500, "name": "Oak", "values": {"Code": "A1", "Price": 5, "Note": "old", "Depot": DEPOT}},
    {"id": 501, "name": "Pine", "values": {"Code": "A2", "Price": 6}},
    {"id": 502, "name": "Elm", "values": {"Code": "A3", "Price": 7}},
]
MAPPING = """\
catalog: Products
key: code
missing: delete
guards: {delete: 100%}
columns:
  code: Code
  name: name
  price: Price
  note: Note
  city: {field: Depot, subtype: city}
  zip: {field: Depot, subtype: zip}
  sizes: {field: Sizes, multi: merge}
  colour: {field: Colour, unknown: add}
"""
HEAD = "code,name,price,note,city,zip,sizes,colour\n"
SHEET = HEAD + "A1,Oak,5.5,new,Tartu,2002,,\nA2,Pine,6,=1+1,,,,\nB1,Ash,9,,,,,\nB2,=Fir,9,,,,,Blue\n"


@pytest.fixture
def shop(start: Start, tmp_path: Path) -> Shell:
    """An account with three products, and a sheet that changes two, adds two and lacks one."""
    (tmp_path / "sheet.csv").write_text(SHEET, encoding="utf-8")
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    return start(catalog_of(FIELDS, ELEMENTS))


def planned(shop: Shell, folder: Path, name: str = "plan.xlsx", *more: object) -> Path:
    """A plan stored under a name."""
    arguments = ("--delete-unseen", "--out", folder / name, *more)
    assert shop("plan", folder / "sheet.csv", "-m", folder / "mapping.yaml", *arguments) == 0, shop.err
    assert {arrival.method for arrival in shop.sent} == {"GET"}
    return folder / name


Edit = Callable[[Any], object]


def edited(path: Path, edit: Edit) -> Path:
    """The workbook as another program saves it after a person's edit."""
    book = openpyxl.load_workbook(path)
    edit(book)
    book.save(path)
    return path


def tick(tab: str, answer: str, *lines: str) -> Edit:
    """An edit that answers the lines of some operations."""

    def edit(book: Any) -> None:
        heads = [cell.value for cell in book[tab][1]]
        place = heads.index("Choice" if tab == "Conflicts" else "Approve")
        found = 0
        for row in book[tab].iter_rows(min_row=2):
            if row[heads.index("Operation")].value in lines:
                row[place].value = answer
                found += 1
        assert found == len(lines)

    return edit


def table(path: Path, tab: str) -> list[list[Any]]:
    """What a tab says."""
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(path)[tab]]


def held(shop: Shell) -> dict[str, Any]:
    """The catalog's elements by code: name, price, note, city."""
    return {
        each["Code"][0]: (each["name"], *(each.get(name, [None])[0] for name in ("Price", "Note")))
        for each in shop.elements()
    }


# --- the workbook ---


def test_the_workbook_lists_every_operation_with_old_and_new(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)
    assert shop.err.endswith(f"Stored as {path}. Next: catalogsync apply {path}\n")
    assert table(path, "Changes") == [
        ["Approve", "Key", "Field", "Old", "New", "Source", "Operation"],
        ["yes", "A1", "price", "5", "5.5", "sheet.csv:2", "#1 102"],
        ["yes", "A1", "note", "old", "new", "sheet.csv:2", "#1 103"],
        ["yes", "A1", "city", "Riga", "Tartu", "sheet.csv:2", "#1 104.city"],
        ["yes", "A1", "zip", "1001", "2002", "sheet.csv:2", "#1 104.zip"],
        ["yes", "A2", "note", None, "=1+1", "sheet.csv:3", "#2 103"],
    ]
    assert table(path, "Adds") == [
        ["Approve", "Key", "name", "code", "price", "colour", "Source", "Operation"],
        ["yes", "B1", "Ash", "B1", "9", None, "sheet.csv:4", "#3"],
        ["yes", "B2", "=Fir", "B2", "9", "Blue (new)", "sheet.csv:5", "#4"],
    ]
    assert table(path, "Deletes") == [
        ["Approve", "Key", "Name", "Element", "Operation"],
        ["yes", "A3", "Elm", "502", "#5"],
    ]
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Summary", "Changes", "Adds", "Deletes", "Conflicts", "Rejected rows", "_plan"]
    assert [tab.sheet_state for tab in book] == ["visible"] * 6 + ["veryHidden"]
    cells = [cell for tab in book for row in tab.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if cell.value is not None} <= {"s", "inlineStr"}
    assert [book["Changes"][place].quotePrefix for place in ("E5", "E6")] == [
        False,
        True,
    ]  # it stays text if it is edited
    (choice,) = book["Changes"].data_validations.dataValidation
    assert (choice.formula1, str(choice.sqref)) == ('"yes,no"', "A2:A6")
    assert book["Changes"].auto_filter.ref == "A1:G6"


def test_unedited_it_does_what_the_stored_plan_would(shop: Shell, tmp_path: Path) -> None:
    stored = load_plan(planned(shop, tmp_path, "plan.json"))
    path = planned(shop, tmp_path)
    answers = read_review(path)
    assert answers.plan.changes == stored.changes
    assert answers.approved.digest == answers.plan.digest == stored.digest
    assert shop("apply", path) == 0, shop.err
    assert held(shop) == {
        "A1": ("Oak", "5.5", "new"),
        "A2": ("Pine", "6", "=1+1"),
        "B1": ("Ash", "9", None),
        "B2": ("=Fir", "9", None),
    }
    assert shop.plan(tmp_path / "sheet.csv", "-m", tmp_path / "mapping.yaml")["changes"] == []


def test_only_what_is_approved_is_sent_and_the_rest_is_planned_again(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)

    def edit(book: Any) -> None:
        tick("Changes", "no", "#1 103", "#2 103")(book)
        tick("Adds", "No", "#4")(book)
        tick("Deletes", "0", "#5")(book)
        book["Summary"]["B1"] = "Anna"

    assert shop("apply", edited(path, edit)) == 0, shop.err
    assert "Approved by Anna.\nLeft out: 4 (update A1 (note), update A2 (note), add B2, delete A3)." in shop.err
    assert shop.out == "Done: 1 added, 1 updated, in 1 write request (run 1).\n"
    assert not any("custom_fields" in str(a.target) and a.method != "GET" for a in shop.sent)  # no option for B2
    assert held(shop) == {
        "A1": ("Oak", "5.5", "old"),
        "A2": ("Pine", "6", None),
        "A3": ("Elm", "7", None),
        "B1": ("Ash", "9", None),
    }
    again = shop.plan(tmp_path / "sheet.csv", "-m", tmp_path / "mapping.yaml", "--delete-unseen")
    assert [(c["kind"], c["key"], c.get("after")) for c in again["changes"]] == [
        ("update", "A1", {"103": "new"}),
        ("update", "A2", {"103": "=1+1"}),
        ("add", "B2", None),
        ("delete", "A3", None),
    ]


def test_an_approved_part_of_an_address_keeps_the_other_part_as_it_was(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)
    assert shop("apply", edited(path, tick("Changes", "no", "#1 104.zip"))) == 0, shop.err
    (oak,) = (each for each in shop.elements() if each["id"] == 500)
    assert sorted(oak["Depot"]) == ["1001", "Tartu"]


def test_ticks_stay_with_their_operations_when_lines_and_columns_move_and_lines_are_hidden(
    shop: Shell, tmp_path: Path
) -> None:
    path = planned(shop, tmp_path)

    def edit(book: Any) -> None:
        tick("Changes", "no", "#1 102")(book)
        tab = book["Changes"]
        rows = [[cell.value for cell in row] for row in tab]
        tab.delete_rows(1, len(rows))
        order = [6, 3, 0, 5, 2, 1, 4]
        tab.append([])
        tab.append([None, "looked at on Monday"])
        for row in [rows[0], *rows[:0:-1]]:
            tab.append([row[place] for place in order])
            tab.cell(tab.max_row, 6).data_type = "s"
        for cell in tab["G"]:
            cell.data_type = "s" if cell.value else cell.data_type
        tab.row_dimensions[5].hidden = True
        book.move_sheet("Deletes", -2)

    assert shop("apply", edited(path, edit)) == 0, shop.err
    assert "Left out: 1 (update A1 (price))." in shop.err
    assert held(shop)["A1"] == ("Oak", "5", "new")


def test_a_line_that_was_deleted_or_has_no_answer_is_not_approved(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)

    def edit(book: Any) -> None:
        book["Adds"].delete_rows(2)
        tick("Deletes", "", "#5")(book)

    assert shop("apply", edited(path, edit)) == 0, shop.err
    assert "Left out: 2 (add B1, delete A3)." in shop.err
    assert set(held(shop)) == {"A1", "A2", "A3", "B2"}


def test_nothing_approved_sends_nothing(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)

    def edit(book: Any) -> None:
        tick("Changes", "no", "#1 102", "#1 103", "#1 104.city", "#1 104.zip", "#2 103")(book)
        tick("Adds", "no", "#3", "#4")(book)
        tick("Deletes", "no", "#5")(book)

    assert shop("apply", edited(path, edit)) == 0, shop.err
    assert shop.out == "Nothing to send: no change is approved.\n"
    assert {arrival.method for arrival in shop.sent} == {"GET"}


# --- what is refused ---


def test_edited_values_strange_answers_and_lost_operations_are_refused_all_at_once(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)

    def edit(book: Any) -> None:
        book["Changes"]["E2"] = "5.75"
        book["Changes"]["D3"] = ""
        book["Changes"]["G4"] = ""
        book["Changes"]["G5"] = "#9 1"
        book["Adds"]["A2"] = "maybe"
        book["Deletes"].append(["no", "A3", "Elm", "502", "#5"])

    assert shop("apply", edited(path, edit)) == 1
    assert shop.sent == []
    assert [line.strip().replace(str(tmp_path), "") for line in shop.err.splitlines()][1:] == [
        "plan.xlsx!Changes!E2 (New): is not what was written"
        " (only answers can be changed here; mend the sheet, then plan again)",
        "plan.xlsx!Changes!D3 (Old): is not what was written"
        " (only answers can be changed here; mend the sheet, then plan again)",
        "plan.xlsx!Changes!G4: the line does not name its operation"
        " (only whole lines can be deleted; take the workbook as it was made)",
        "plan.xlsx!Changes!G5: the plan has no operation #9 1 (plan again)",
        'plan.xlsx!Adds!A2 (Approve): "maybe" is no answer (one of: yes, no)',
        "plan.xlsx!Deletes!A3: #5 has two lines with different answers (delete one of them)",
    ]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda book: book.remove(book["Adds"]), "the tab Adds is gone"),
        (lambda book: book["Adds"].delete_cols(8), "no row has the headings Approve and Operation, once each"),
        (lambda book: book.remove(book["_plan"]), "this is not a review workbook, or its hidden tab is gone"),
        (lambda book: book["_plan"].delete_rows(5), "the plan in its hidden tab is damaged"),
        (lambda book: book["_plan"].__setitem__("A2", "123456789abc"), "the plan in its hidden tab is damaged"),
        (lambda book: book["_plan"].__setitem__("A1", "catalogsync-review-9"), "another version of this program"),
    ],
    ids=["tab gone", "column gone", "plan gone", "piece gone", "another digest", "another version"],
)
def test_a_workbook_that_lost_what_binds_it_is_refused(shop: Shell, tmp_path: Path, edit: Edit, words: str) -> None:
    assert shop("apply", edited(planned(shop, tmp_path), edit)) == 1
    assert words in shop.err
    assert shop.sent == []


def test_a_file_that_is_no_workbook_is_refused_in_words(shop: Shell, tmp_path: Path) -> None:
    (tmp_path / "plan.xlsx").write_text("hello", encoding="utf-8")
    assert shop("apply", tmp_path / "plan.xlsx") == 1
    assert "cannot be read as a workbook" in shop.err
    assert shop("apply", tmp_path / "none.xlsx") == 1
    assert "no such file" in shop.err


def test_a_workbook_is_good_for_one_run(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)
    kept = path.read_bytes()
    assert shop("apply", edited(path, tick("Adds", "no", "#3"))) == 0
    assert shop("apply", path) == 5
    assert "this workbook was applied already, in run 1; plan again" in shop.err
    path.write_bytes(kept)  # with other ticks it is the same plan still
    assert shop("apply", path) == 5
    assert "this workbook was applied already, in run 1; plan again" in shop.err
    assert shop.sent == []


def test_guards_hold_for_what_is_approved(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)
    assert shop("apply", path, "--max-add", 1) == 4
    assert "the plan would add 2 of 3 elements" in shop.err
    assert shop("apply", edited(path, tick("Adds", "no", "#3")), "--max-add", 1) == 0


def test_a_catalog_that_changed_makes_it_stale_but_only_where_it_is_approved(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)
    shop.emulator.store.edit_as_other_user(501, values={102: "60"})
    assert shop("apply", path) == 5
    assert "element 501 was edited" in shop.err
    assert shop("apply", edited(path, tick("Changes", "no", "#2 103"))) == 0, shop.err


def test_a_field_that_is_gone_makes_it_stale(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)
    field = shop.emulator.store.field(103)
    assert field is not None
    shop.emulator.store.delete_field(field)
    assert shop("apply", path) == 5
    assert "note: the field 103 is gone" in shop.err
    assert {arrival.method for arrival in shop.sent} == {"GET"}


@pytest.fixture
def clocked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[Shell, Clock]]:
    """The same shop on a server whose clock is moved by hand."""
    clock = Clock()
    (tmp_path / "sheet.csv").write_text(SHEET, encoding="utf-8")
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    with Emulator(seed=catalog_of(FIELDS, ELEMENTS), rps=0, clock=clock) as emulator:
        for name, value in (("URL", emulator.url), ("TOKEN", emulator.token), ("STATE", str(tmp_path / "state"))):
            monkeypatch.setenv(f"CATALOGSYNC_{name}", value)
        monkeypatch.setenv("CATALOGSYNC_RPS", "0")
        yield Shell(emulator, capsys), clock


def test_the_same_changes_planned_anew_after_an_undo_can_be_applied_again(
    clocked: tuple[Shell, Clock], tmp_path: Path
) -> None:
    shop, clock = clocked
    (tmp_path / "sheet.csv").write_text(HEAD + "A1,,5,,,,,\nA2,,6,,,,,\nA3,,7,,,,,\nB1,Ash,9,,,,,\n", encoding="utf-8")
    path = planned(shop, tmp_path)
    digest = read_review(path).plan.digest
    assert shop("apply", path) == 0
    clock.now_s += 60
    assert shop("undo", 1, "--yes", "--allow", digest) == 0, shop.err
    clock.now_s += 60
    assert read_review(planned(shop, tmp_path)).plan.digest == digest
    assert shop("apply", path) == 0, shop.err
    assert "B1" in held(shop)


def test_a_workbook_is_good_for_seven_days_by_the_servers_clock(clocked: tuple[Shell, Clock], tmp_path: Path) -> None:
    shop, clock = clocked
    path = planned(shop, tmp_path)
    clock.now_s += 7 * 86_400 + 60
    assert shop("apply", path) == 5
    assert "the plan was made 7 days ago and was good for 7; plan again" in shop.err
    assert {arrival.method for arrival in shop.sent} == {"GET"}
    clock.now_s -= 120
    assert shop("apply", path) == 0, shop.err


# --- conflicts ---


@pytest.fixture
def conflicting(shop: Shell, tmp_path: Path) -> Path:
    """The review of a sheet in which a price, a city and sizes changed, after a colleague changed the same."""
    rows = "A1,Oak,5.5,new,Tartu,2002,S,\nA2,Pine,6,,,,,\nA3,Elm,7,,,,,\n"
    (tmp_path / "sheet.csv").write_text(HEAD + rows, encoding="utf-8")
    assert shop("import", tmp_path / "sheet.csv", "-m", tmp_path / "mapping.yaml", "--yes") == 0, shop.err
    shop.emulator.store.edit_as_other_user(500, values={"Depot": {"city": "Narva", "zip": "2002"}, "Sizes": ["L"]})
    shop.emulator.store.edit_as_other_user(501, values={"Price": 60})
    rows = "A1,Oak,5.5,newer,Tallinn,2002,M,\nA2,Pine,61,,,,,\nA3,Elm,7,,,,,\n"
    (tmp_path / "sheet.csv").write_text(HEAD + rows, encoding="utf-8")
    return planned(shop, tmp_path)


def again(shop: Shell, folder: Path) -> tuple[list[Any], list[Any]]:
    """What a plan made now would change, and the conflicts that it would list."""
    tree = shop.plan(folder / "sheet.csv", "-m", folder / "mapping.yaml")
    clashes = [(clash["kind"], clash["key"], clash["column"]) for clash in tree["clashes"]]
    return [(c["key"], c["after"]) for c in tree["changes"]], clashes


def test_a_conflict_is_listed_with_a_choice_and_left_alone_by_default(
    shop: Shell, tmp_path: Path, conflicting: Path
) -> None:
    assert table(conflicting, "Conflicts") == [
        ["Choice", "What", "Key", "Field", "Was", "The sheet says", "The catalog says", "Source", "Operation"],
        ["leave", "changed on both sides", "A1", "city", "Tartu", "Tallinn", "Narva", "sheet.csv:2", "!1"],
        ["leave", "changed on both sides (leave or sheet)", "A1", "sizes", "S", "M", "L", "sheet.csv:2", "!2"],
        ["leave", "changed on both sides", "A2", "price", "6", "61", "60", "sheet.csv:3", "!3"],
    ]
    assert shop("apply", conflicting) == 5
    assert shop.out == "Done: 1 updated, in 1 write request (run 2).\n"
    assert again(shop, tmp_path) == (
        [],
        [("conflict", "A1", "104.city"), ("conflict", "A1", "105"), ("conflict", "A2", "102")],
    )


def test_a_conflict_decided_for_the_sheet_is_sent_with_the_rest_of_its_element(
    shop: Shell, tmp_path: Path, conflicting: Path
) -> None:
    assert shop("apply", edited(conflicting, tick("Conflicts", "sheet", "!1", "!2", "!3"))) == 0, shop.err
    assert "Conflicts decided: 3 (conflict A1 (city): sheet, conflict A1 (sizes): sheet, conflict A2" in shop.err
    assert shop.out == "Done: 2 updated, in 1 write request (run 2).\n"
    oak, pine = (next(each for each in shop.elements() if each["id"] == id_) for id_ in (500, 501))
    assert (oak["Note"], sorted(oak["Depot"]), sorted(oak["Sizes"])) == (["newer"], ["2002", "Tallinn"], ["L", "M"])
    assert pine["Price"] == ["61"]
    assert again(shop, tmp_path) == ([], [])


def test_a_conflict_decided_for_the_catalog_is_sent_nothing_and_not_asked_again(
    shop: Shell, tmp_path: Path, conflicting: Path
) -> None:
    def edit(book: Any) -> None:
        tick("Conflicts", "catalog", "!1", "!3")(book)
        tick("Changes", "no", "#1 103")(book)

    assert shop("apply", edited(conflicting, edit)) == 5, "one is left"
    assert shop.out == "Nothing to send: no change is approved.\n"
    assert held(shop)["A2"] == ("Pine", "60", None)
    assert again(shop, tmp_path) == ([("A1", {"103": "newer"})], [("conflict", "A1", "105")])


def test_options_that_the_sheet_merges_cannot_be_decided_for_the_catalog(shop: Shell, conflicting: Path) -> None:
    assert shop("apply", edited(conflicting, tick("Conflicts", "catalog", "!2"))) == 1
    words = "A1 (sizes) cannot be decided for the catalog (the mapping merges or removes its options: leave or sheet)"
    assert f"plan.xlsx!Conflicts: {words}" in shop.err


@pytest.mark.parametrize("edit", [{"Price": 62}, {"Note": "mine"}], ids=["the value", "another value"])
def test_a_decided_conflict_of_an_element_that_was_edited_is_stale(
    shop: Shell, conflicting: Path, edit: dict[int | str, object]
) -> None:
    shop.emulator.store.edit_as_other_user(501, values=edit, at=shop.emulator.now() + 60)
    assert shop("apply", edited(conflicting, tick("Conflicts", "sheet", "!3"))) == 5
    assert "sheet.csv:3 A2 (price): element 501 was edited since" in shop.err
    assert {arrival.method for arrival in shop.sent} == {"GET"}


# --- cut off ---


def test_a_run_that_was_cut_off_is_finished_by_the_same_command(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path, "plan.xlsx", "--batch", 2)
    path = edited(path, tick("Adds", "no", "#4"))
    fault = shop.emulator.fault("401 POST nth=2 count=0")
    assert shop("apply", path, "--settle", 0) == 7
    assert fault.fired
    shop.emulator.faults.clear()
    other = tmp_path / "other.xlsx"
    other.write_bytes(path.read_bytes())
    edited(other, tick("Adds", "no", "#3"))
    assert shop("apply", other) == 1
    assert "run 1 of this workbook was cut off, and other lines were approved then" in shop.err

    assert shop("apply", path, "--settle", 0) == 0, shop.err
    assert "Run 1 of this workbook was cut off; going on with it." in shop.err
    assert held(shop) == {"A1": ("Oak", "5.5", "new"), "A2": ("Pine", "6", "=1+1"), "B1": ("Ash", "9", None)}
    assert shop("apply", path) == 5
    assert "this workbook was applied already, in run 2" in shop.err


def test_the_history_says_who_approved_and_what_was_left_out(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path)

    def edit(book: Any) -> None:
        tick("Adds", "no", "#3")(book)
        book.properties.lastModifiedBy = "Anna & Co"

    assert shop("apply", edited(path, edit)) == 0
    assert shop("history", 1) == 0
    assert "Approved by Anna & Co.\nLeft out: 1 (add B1).\n" in shop.out
    assert shop("history", 1, "--json") == 0
    review = json.loads(shop.out)["review"]
    assert (review["approved_by"], review["left_out"], review["decided"]) == ("Anna & Co", ["add B1"], [])
    assert review["digest"] == read_review(path).plan.digest


# --- the page ---


def test_the_page_is_stored_beside_and_cannot_be_applied(shop: Shell, tmp_path: Path) -> None:
    path = planned(shop, tmp_path, "plan.html")
    assert shop.err.endswith(f"Stored as {path}, a page for any browser.\n")
    page = path.read_text(encoding="utf-8")
    assert all(line in page for line in shop.out.splitlines()[-2:])
    assert shop("apply", path) == 1
    assert "not a plan in JSON" in shop.err


def test_another_ending_is_a_wrong_command_line(shop: Shell, tmp_path: Path) -> None:
    assert shop("plan", tmp_path / "sheet.csv", "-m", tmp_path / "mapping.yaml", "--out", tmp_path / "plan.pdf") == 64
    assert "a plan is stored as .json, .xlsx, .html" in shop.err
