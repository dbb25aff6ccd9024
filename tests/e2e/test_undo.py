"""Law 11: a run can be taken back. Over every field type, with what people edit in the meantime, on both dialects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from catalogsync.api.auth import APIS
from tests.e2e.conftest import Shell, Start, catalog_of
from tests.e2e.test_commands import FIELDS as PLAIN_FIELDS
from tests.e2e.test_commands import PLAIN, in_terminal, needs_terminal, products, write
from tests.e2e.test_commands import rows as plain_rows
from tests.e2e.test_laws import FIELDS, LABELS, MAPPING, Row, rows, some_codes
from tests.e2e.worlds import CATALOG_ID, State, Values, World, all_done, world

CODE = "101"
DELETING = (
    MAPPING % {"blank": "clear", "multi": "replace"}
    + "missing: delete\nguards: {delete: 100%, rows: 0%, matched: 0%}\n"
)

texts = st.sampled_from(["", "edited", "Größe “L”"])
EDITS: Mapping[str, st.SearchStrategy[Any]] = {
    "Text": texts,
    "Textarea": texts,
    "Numeric": st.sampled_from(["", "12.5", "0"]),
    "Price": st.sampled_from(["", "99.90"]),
    "Checkbox": st.booleans() | st.just(""),
    "Select": st.sampled_from(["", *LABELS]),
    "Radio": st.sampled_from(LABELS),
    "Multi": st.lists(st.sampled_from(LABELS), max_size=3),
    "Date": st.sampled_from(["", "2020-02-29"]),
    "Moment": st.sampled_from(["", "2021-05-05 10:00:00"]),
    "Url": texts,
    "Street": texts,
    "Address": st.dictionaries(st.sampled_from(["city", "zip", "country"]), st.sampled_from(["Riga", "1050"])),
    "Birthday": st.sampled_from(["", "1990-01-01"]),
    "Entity": st.fixed_dictionaries({"name": st.just("Acme")}, optional={"vat_id": st.just("1"), "kpp": st.just("2")}),
    "Items": st.just([{"description": "Oak", "unit_price": "5", "quantity": 1}]) | st.just(""),
    "Category": st.sampled_from(["", *LABELS]),
    "Colleagues": texts,
}
"""What another user writes into a field, as the vendor's own screens take it."""


@dataclass(frozen=True)
class Edit:
    """One thing another user does: to the element at a place among all, or with a key of the sheets."""

    kind: str
    place: int
    code: str
    values: dict[int | str, Any]


field_edits = st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: EDITS[name] for name in names})
)
edits = st.lists(
    st.builds(
        Edit,
        st.sampled_from(["edit", "edit", "edit", "edit", "rename", "delete", "add", "rekey"]),
        st.integers(0, 99),
        st.sampled_from([f"{n:04}" for n in range(12)]),
        field_edits,
    ),
    max_size=8,
)


def do(account: World, edit: Edit) -> None:
    """Another user does it; where there is no element, nothing happens."""
    store = account.emulator.store
    elements = store.elements(CATALOG_ID)
    if edit.kind == "add":
        store.add_as_other_user(CATALOG_ID, "By hand", {"Code": edit.code, **edit.values})
    elif elements:
        id_ = elements[edit.place % len(elements)].id
        if edit.kind == "delete":
            store.delete_as_other_user(id_)
        elif edit.kind == "rename":
            store.edit_as_other_user(id_, name=f"Renamed {edit.place}")
        elif edit.kind == "rekey":
            store.edit_as_other_user(id_, values={"Code": edit.code})
        else:
            store.edit_as_other_user(id_, values=edit.values)


def expected(before: State, ran: State, now: State) -> tuple[State, list[Values]]:
    """What an undo leaves: elements by the ids they keep, and those that come back under new ones.

    `before` the run, right after it (`ran`), and after other people's edits (`now`).
    """
    keep: State = {}
    for id_, held in now.items():
        if id_ not in ran:
            keep[id_] = held  # another user's
        elif id_ not in before:
            if held != ran[id_]:
                keep[id_] = held  # added by the run, edited since
        else:
            keys = {*held, *ran[id_], *before[id_]}
            keep[id_] = {
                key: text
                for key in keys
                if (text := (before if held.get(key) == ran[id_].get(key) else now)[id_].get(key))
            }
    codes = {held.get(CODE) for held in now.values()}
    return keep, [held for id_, held in before.items() if id_ not in ran and held[CODE] not in codes]


def as_values(state: State) -> list[Values]:
    """A catalog without its ids, in an order of its own."""
    return sorted(state.values(), key=lambda held: sorted(held.items()))


def check_a_run_taken_back(
    api: str, first: list[Row], second: list[Row], earlier: list[Edit], meanwhile: list[Edit]
) -> None:
    """Import twice with other people's edits after each; then undo, undo again, and undo the undo."""
    with world(api, FIELDS) as account:
        all_done(account.apply(account.plan(first, DELETING)))
        account.later()
        for edit in earlier:
            if edit.kind == "edit":  # no two elements with one key: the run would touch neither
                do(account, edit)
        account.later()
        before = account.state()
        run_id = all_done(account.apply(account.plan(second, DELETING))).run_id
        ran = account.state()
        account.later()
        for edit in meanwhile:
            do(account, edit)
        account.later()
        now = account.state()

        undo_id = all_done(account.undo(run_id)).run_id

        undone = account.state()
        keep, back = expected(before, ran, now)
        assert {id_: held for id_, held in undone.items() if id_ in now} == keep
        new = {id_: held for id_, held in undone.items() if id_ not in now}
        assert as_values(new) == as_values(dict(enumerate(back)))
        assert not set(new) & {*before, *ran}

        account.later()
        assert account.undo_plan(run_id).plan.changes == ()

        all_done(account.undo(undo_id))
        held = {
            values.get(CODE) for values in undone.values()
        }  # what somebody else added is no reason for a second one
        redone = {id_: values for id_, values in now.items() if id_ in undone or values[CODE] not in held}
        assert as_values(account.state()) == as_values(redone)


histories = given(
    first=rows(some_codes.filter(bool)), second=rows(some_codes.filter(bool)), earlier=edits, meanwhile=edits
)


@pytest.mark.parametrize("api", APIS)
@histories
@settings(max_examples=5, deadline=None, phases=(Phase.generate,))
def test_what_nobody_touched_since_is_as_before_the_run_and_every_edit_is_intact(
    api: str, first: list[Row], second: list[Row], earlier: list[Edit], meanwhile: list[Edit]
) -> None:
    check_a_run_taken_back(api, first, second, earlier, meanwhile)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("api", APIS)
@histories
@settings(max_examples=150, deadline=None)
def test_many_runs_taken_back_leave_what_nobody_touched_as_before_and_every_edit_intact(
    api: str, first: list[Row], second: list[Row], earlier: list[Edit], meanwhile: list[Edit]
) -> None:
    check_a_run_taken_back(api, first, second, earlier, meanwhile)


# --- on the command line -------------------------------------------------------------------------------------


def sheet_of(tmp_path: Path, sheet: str, mapping: str = PLAIN) -> tuple[object, ...]:
    """The arguments of an import of this sheet."""
    path, mapping_path = write(tmp_path, sheet, mapping)
    return path, "-m", mapping_path


@pytest.fixture
def shell(start: Start) -> Shell:
    return start(catalog_of(PLAIN_FIELDS, products(3)))


@pytest.fixture
def imported(shell: Shell, tmp_path: Path) -> Shell:
    """Three products of which run 1 changed two prices, and a fourth that it added."""
    assert (
        shell("import", *sheet_of(tmp_path, "code,name,price\n000,P0,10\n001,P1,11\n002,P2,2\n003,New,3\n"), "--yes")
        == 0
    )
    return shell


def held(shell: Shell) -> dict[int, list[str]]:
    """The prices by element id."""
    return {element["id"]: element.get("Price", []) for element in shell.elements()}


def test_undo_shows_what_goes_back_what_is_left_alone_and_how_to_go_on(imported: Shell) -> None:
    imported.emulator.store.edit_as_other_user(501, values={"Price": "777"})
    [added] = [element["id"] for element in imported.elements() if element["name"] == "New"]
    imported.emulator.store.edit_as_other_user(added, name="Renamed")

    assert imported("undo", "1") == 64

    lines = [line.rstrip() for line in imported.out.splitlines()]
    digest = lines[-1].partition("Digest ")[2]
    assert lines[0].startswith("Taking back run 1 of ")
    assert lines[0].endswith(" (sheet.csv): Products (catalog 4220)")
    assert lines[1:] == [
        "          Key  Field  Catalog says  Goes back to",
        "~ update  000  price  10            0",
        "Left alone: (2)",
        "  001: price: the run wrote “11”, the catalog says “777” now",
        f"  003: element {added}, which the run added, was edited since: name",
        "Plan: 0 to add, 1 to update, 0 to delete; 2 unchanged.",
        f"1 write request and 1 read. Digest {digest}",
    ]
    assert imported.err == "Nothing was written: there is no terminal to ask on. --yes applies without asking.\n"
    assert imported.posts == []


def test_undo_with_yes_takes_back_and_a_second_one_says_that_it_was_done(imported: Shell) -> None:
    assert imported("undo", "1", "--yes", "--max-delete", "1") == 0
    assert "Done: 2 updated, 1 deleted, in 1 write request (run 2)." in imported.out
    assert held(imported) == {500: ["0"], 501: ["1"], 502: ["2"]}

    assert imported("undo", "1", "--yes") == 0

    assert imported.out.splitlines()[1:] == [
        "Nothing to do: run 2 took it back. To take that back in turn: catalogsync undo 2"
    ]
    assert imported.posts == []


def test_undo_of_undo_is_the_run_again(imported: Shell) -> None:
    before = sorted(held(imported).values())
    assert imported("undo", "1", "--yes", "--allow", digest_of(imported)) == 0

    assert imported("undo", "2", "--yes") == 0

    assert sorted(held(imported).values()) == before
    assert "deleted elements come back under new ids; their links to deals are gone" in imported.out


def digest_of(shell: Shell) -> str:
    """The digest that a refusal of undoing run 1 prints."""
    assert shell("undo", "1", "--yes") == 4
    return shell.err.partition("--allow ")[2].split()[0]


def test_undo_as_json_has_the_plan_the_lists_and_the_outcome(imported: Shell) -> None:
    imported.emulator.store.edit_as_other_user(501, values={"Price": "777"})

    assert imported("undo", "1", "--json", "--max-delete", "100%") == 64
    shown = json.loads(imported.out)
    assert imported("undo", "1", "--json", "--yes", "--max-delete", "100%") == 0
    told = json.loads(imported.out)

    assert list(told) == ["undoes", "plan", "left_alone", "cannot_come_back", "run"]
    assert (shown["run"], told["undoes"], told["cannot_come_back"]) == (None, 1, [])
    assert shown["plan"]["changes"] == told["plan"]["changes"]
    assert told["left_alone"] == [
        {"where": "001", "what": "price: the run wrote “11”, the catalog says “777” now", "hint": ""}
    ]
    assert [result["outcome"] for result in told["run"]["results"]] == ["done", "done"]


def test_what_cannot_come_back_is_told_before_and_the_rest_is_taken_back(shell: Shell, tmp_path: Path) -> None:
    deleting = PLAIN + "missing: delete\nguards: {delete: 100%, rows: 0%, matched: 0%}\n"
    assert shell("import", *sheet_of(tmp_path, plain_rows(3), deleting), "--yes") == 0
    assert shell("import", *sheet_of(tmp_path, plain_rows(1, price=5), deleting), "--yes", "--no-recheck") == 0

    assert shell("undo", "1", "--yes") == 0

    why = "was deleted without a look at it before (--no-recheck): its values are not known"
    assert f"Cannot come back: (2)\n  002: “P2” {why}\n  001: “P1” {why}\n" in shell.out
    assert held(shell) == {500: ["0"]}


def test_taking_back_a_first_import_is_refused_with_the_numbers_and_the_ways_past(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(PLAIN_FIELDS))
    assert shell("import", *sheet_of(tmp_path, plain_rows(100)), "--yes") == 0
    assert shell("undo", "1", "--yes") == 4
    assert "delete 100 of 100 elements (100%)" in shell.err
    shell("plan", *sheet_of(tmp_path, plain_rows(100)))  # reads the catalog again: its size counts once

    assert shell("undo", "1", "--yes") == 4

    digest = shell.err.partition("--allow ")[2].split()[0]
    assert shell.err == (
        f"error: refused, nothing was written. To let this one plan through: --allow {digest}\n"
        "  guard delete: the plan would delete 100 of 100 elements (100%), the ceiling is 10%"
        " (if it is meant, --max-delete 100)\n"
    )
    assert "… and 60 more changes (-v shows all)" in shell.out
    assert (shell.posts, len(shell.elements())) == ([], 100)
    assert shell("undo", "1", "--yes", "--max-delete", "99") == 4
    assert shell("undo", "1", "--yes", "--allow", "0123456789ab") == 4
    assert shell("undo", "1", "--yes", "--allow", digest) == 0
    assert shell.elements() == []


def test_undo_of_a_run_that_wrote_nothing_says_so(shell: Shell, tmp_path: Path) -> None:
    shell.emulator.fault("401 POST count=0")
    assert shell("import", *sheet_of(tmp_path, plain_rows(3, price=5)), "--yes") == 7
    shell.emulator.faults.clear()

    assert shell("undo", "1", "--yes") == 0

    assert shell.out.splitlines()[1:] == ["Nothing to do: nothing that run 1 wrote is in the catalog."]
    assert shell("undo", "9") == 1
    assert shell.err == "error: there is no run 9; `catalogsync history` lists them\n"


def test_an_undo_that_was_stopped_is_resumed_as_an_undo(imported: Shell, tmp_path: Path) -> None:
    assert imported("import", *sheet_of(tmp_path, plain_rows(3, price=20)), "--yes", "--batch", 1) == 0
    imported.emulator.fault("401 POST nth=2 count=0")
    assert imported("undo", "2", "--yes") == 7
    imported.emulator.faults.clear()

    assert imported("resume") == 0

    assert {id_: price for id_, price in held(imported).items() if id_ < 503} == {500: ["10"], 501: ["11"], 502: ["2"]}
    assert imported("history", "--json") == 0
    assert [(run["state"], run["undoes"]) for run in json.loads(imported.out)] == [
        ("done", 2),
        ("superseded", 2),
        ("done", None),
        ("done", None),
    ]


@needs_terminal
def test_what_changed_while_the_question_stood_there_is_not_taken_back(imported: Shell) -> None:
    def edit() -> None:
        imported.emulator.store.edit_as_other_user(500, values={"Price": "999"})

    code, shown = in_terminal(["undo", "1", "--max-delete", "1"], "y", edit)

    assert code == 5, shown
    assert "Take run 1 back? [y/N]" in shown
    assert "element 500 was edited" in shown
    assert [arrival.method for arrival in imported.emulator.requests if arrival.method == "POST"] == ["POST"]
