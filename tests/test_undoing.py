"""Taking back by its rules, over the emulator: what goes back, what is left alone and told, what cannot come back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from catalogsync import runs, sync, undoing
from catalogsync.api.auth import APIS
from catalogsync.elements import all_columns
from catalogsync.emulator.faults import Fault
from catalogsync.errors import Problem
from catalogsync.model import Delete, Update
from catalogsync.readback import written_by
from tests.e2e.worlds import CATALOG_ID, ONE_BY_ONE, World, all_done, world
from tests.mortal import Crash
from tests.shop import BLIND, FIELDS, MAPPING, by_code, drop_options, edit, id_of, imports, row


@pytest.fixture(params=APIS)
def account(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(request.param, FIELDS) as account:
        yield account


@pytest.fixture
def v2() -> Iterator[World]:
    with world("v2", FIELDS) as account:
        yield account


# --- updates -------------------------------------------------------------------------------------------------


def test_a_field_goes_back_only_where_it_holds_what_the_run_wrote_and_the_rest_is_told_in_words(
    account: World,
) -> None:
    first = {"price": "1", "colour": "Red", "sizes": "S;M", "active": "no", "loaded": "2026-01-01 10:00:00"}
    second = {"price": "2", "colour": "Green", "sizes": "L", "active": "yes", "loaded": "2026-01-02 10:00:00"}
    imports(account, row("1", **first, city="Riga"))
    run_id = imports(account, row("1", **second, city="Bonn")).run_id
    edit(account, "1", Colour="Blue", Sizes=["S", "L"], Active="no", Loaded="2026-01-03 10:00:00", name="Oak")

    taken = account.undo_plan(run_id)

    wrote, says = "the run wrote", "the catalog says"
    assert taken.left_alone == (
        Problem("1", f"colour: {wrote} “Green”, {says} “Blue” now"),
        Problem("1", f"sizes: {wrote} “L”, {says} “S, L” now"),
        Problem("1", f"loaded: {wrote} “2026-01-02 10:00:00”, {says} “2026-01-03 10:00:00” now"),
    )
    [change] = taken.plan.changes
    assert isinstance(change, Update)
    assert (change.before, change.after) == ({"102": "2", "107.city": "Bonn"}, {"102": "1", "107.city": "Riga"})
    assert taken.lost == ()


def test_the_other_parts_of_an_address_stay(account: World) -> None:
    imports(account, row("1", city="Riga"))
    run_id = imports(account, row("1", city="Bonn")).run_id
    edit(account, "1", Depot={"city": "Bonn", "zip": "53111"})

    all_done(account.undo(run_id))

    held = by_code(account)["1"]
    assert (held["107.city"], held["107.zip"]) == ("Riga", "53111")


def test_a_value_that_was_empty_before_is_emptied(account: World) -> None:
    imports(account, row("1"))
    run_id = imports(account, row("1", price="2", colour="Red", sizes="S", active="yes", city="Riga")).run_id

    all_done(account.undo(run_id))

    assert by_code(account)["1"] == {"101": "1", "name": "Product 1"}


def test_the_same_run_taken_back_twice_changes_nothing_the_second_time(account: World) -> None:
    imports(account, row("1", price="1"), row("2", price="2"))
    run_id = imports(account, row("1", price="5"), row("3", price="3")).run_id
    undo_id = all_done(account.undo(run_id)).run_id
    account.later()

    taken = account.undo_plan(run_id)

    assert (taken.plan.changes, taken.left_alone, taken.lost) == ((), (), ())
    assert taken.taken_back_by == (undo_id,)


def test_an_undo_is_taken_back_as_any_run(account: World) -> None:
    imports(account, row("1", price="1"), row("2", price="2"))
    run_id = imports(account, row("1", price="5"), row("3", price="3")).run_id
    ran = by_code(account)
    undo_id = all_done(account.undo(run_id)).run_id
    assert sorted(by_code(account)) == ["1", "2"]
    account.later()

    all_done(account.undo(undo_id))

    assert by_code(account) == ran
    assert [run["undoes"] for run in account.journal.runs()] == [undo_id, run_id, None, None]


def test_an_element_that_was_deleted_since_is_told(account: World) -> None:
    imports(account, row("1", price="1"))
    run_id = imports(account, row("1", price="2")).run_id
    id_ = id_of(account, "1")
    account.emulator.store.delete_as_other_user(id_)

    taken = account.undo_plan(run_id)

    assert taken.plan.changes == ()
    assert taken.left_alone == (Problem("1", f"element {id_} was deleted since"),)


def test_fields_and_options_that_are_gone_are_told_before(account: World) -> None:
    imports(account, row("1", price="1", colour="Red", sizes="S"))
    run_id = imports(account, row("1", price="2", colour="Green", sizes="M")).run_id
    store = account.emulator.store
    field = store.field(102)
    assert field is not None
    store.delete_field(field)
    drop_options(account, 31, 41)

    taken = account.undo_plan(run_id)

    assert taken.plan.changes == ()
    assert taken.lost == (
        Problem("1", "the field price is gone, it held “1”"),
        Problem("1", "colour: the option “Red” is gone"),
        Problem("1", "sizes: the option “S” is gone"),
    )


def test_what_somebody_wrote_before_the_run_could_read_back_is_theirs(account: World) -> None:
    imports(account, row("1", price="1"))
    id_ = id_of(account, "1")
    account.emulator.fault(
        Fault(
            "call",
            method="[!G]*",
            when="after",
            call=lambda store: store.edit_as_other_user(id_, values={"Price": "777"}),
        )
    )
    run_id = imports(account, row("1", price="2")).run_id
    [operation] = account.journal.operations(run_id)
    assert operation.stored is not None
    assert operation.stored.values == {"102": "777"}

    taken = account.undo_plan(run_id)

    assert taken.plan.changes == ()
    assert taken.left_alone == (Problem("1", "price: the run wrote “2”, the catalog says “777” now"),)


@pytest.mark.parametrize("way", ["round", "truncate"])
def test_what_the_account_stored_in_its_own_form_goes_back_all_the_same(account: World, way: str) -> None:
    imports(account, row("1", price="1"))
    before = by_code(account)
    account.emulator.fault(f"normalise={way} POST")
    account.emulator.fault(f"normalise={way} PATCH")
    changed = {"price": "2.345", "name": "x" * 300}
    run_id = imports(account, {**row("1"), **changed}, {**row("2"), **changed}).run_id
    stored = by_code(account)["1"]
    assert (stored["102"], len(stored["name"])) in {("2.34", 300), ("2.35", 300), ("2.345", 255)}

    all_done(account.undo(run_id))

    assert by_code(account) == before


def test_an_edit_in_the_second_of_the_reading_is_not_overwritten(account: World) -> None:
    imports(account, row("1", price="1"))
    run_id = imports(account, row("1", price="2")).run_id
    id_ = id_of(account, "1")
    store = account.emulator.store
    store.edit_as_other_user(id_, values={"Notes": "one edit in this second"})
    account.emulator.fault(Fault("call", method="GET", nth=3, when="after", call=lambda _: account.later(3)))
    taken = account.undo_plan(run_id)
    [change] = taken.plan.changes
    assert isinstance(change, Update)
    store.edit_as_other_user(id_, values={"Price": "777"}, at=change.updated_at)

    report = sync.apply(taken.plan, account.client, account.journal, account.schema(), ONE_BY_ONE, undoes=run_id)

    assert [result.outcome for result in report.results] == ["conflict"]
    assert by_code(account)["1"]["102"] == "777"


def test_after_an_undo_the_earlier_sheet_agrees_and_the_later_one_would_do_the_same_again(account: World) -> None:
    first = [row("1", price="1", colour="Red", sizes="S"), row("2", price="2", city="Riga"), row("3")]
    second = [row("1", price="5", sizes="M;L"), row("3", active="yes"), row("4", price="4")]
    imports(account, *first)

    def asked(*rows: dict[str, str]) -> list[tuple[str, str, object]]:
        changes = account.plan(rows, MAPPING).plan.changes
        return [(type(change).__name__, change.key, dict(written_by(change))) for change in changes]

    before = asked(*second)
    assert [kind for kind, _, _ in before] == ["Update", "Update", "Add", "Delete"]
    run_id = imports(account, *second).run_id

    all_done(account.undo(run_id))
    account.later()

    assert asked(*first) == []
    assert asked(*second) == before


def test_an_undo_whose_process_ends_before_it_could_remember_is_remembered_by_the_next_command(
    account: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports(account, row("1", price="1"))
    second = [row("1", price="5"), row("2", price="2")]
    run_id = imports(account, *second).run_id

    def ends(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as dying:
        dying.setattr(runs, "remember", ends)
        with pytest.raises(Crash):
            account.undo(run_id)
    account.later()
    account.recover()

    assert [(change.key, dict(written_by(change))) for change in account.plan(second, MAPPING).plan.changes] == [
        ("1", {"102": "5"}),
        ("2", {"101": "2", "102": "2", "name": "Product 2"}),
    ]


# --- adds ----------------------------------------------------------------------------------------------------


def test_what_the_run_added_is_deleted_unless_edited_or_linked(v2: World) -> None:
    run_id = imports(v2, *(row(str(n), price=str(n)) for n in range(5))).run_id
    edited = edit(v2, "1", Price="99", Notes="mine")
    noted = edit(v2, "2", Notes="mine")
    linked = id_of(v2, "3")
    element = v2.emulator.store.element(linked)
    assert element is not None
    v2.emulator.store.save_element(dataclasses.replace(element, leads=(31,)))
    v2.emulator.store.delete_as_other_user(id_of(v2, "4"))

    taken = v2.undo_plan(run_id)

    which = "which the run added"
    assert taken.left_alone == (
        Problem("1", f"element {edited}, {which}, was edited since: price, Notes"),
        Problem("2", f"element {noted}, {which}, was edited since: Notes"),
        Problem("3", f"element {linked}, {which}, hangs on deals by now"),
    )
    [change] = taken.plan.changes
    assert isinstance(change, Delete)
    assert (change.key, change.name) == ("0", "Product 0")
    was = {key: text for key, text in change.before.items() if not key.startswith("107.")}
    empty = dict.fromkeys(["103", "104", "106", "108", "109", "110"], "")
    assert was == {"name": "Product 0", "101": "0", "102": "0", "105": "0", **empty}
    assert (taken.plan.existing_count, taken.plan.notes) == (4, ())


def test_v4_says_that_it_does_not_see_links() -> None:
    with world("v4", FIELDS) as account:
        run_id = imports(account, row("1")).run_id

        taken = account.undo_plan(run_id)

    words = "this API does not show whether an element hangs on deals: the links of what is deleted are lost"
    assert taken.plan.notes == (words,)


# --- deletes -------------------------------------------------------------------------------------------------


def test_a_deleted_element_comes_back_with_every_value_under_a_new_id(account: World) -> None:
    cells = {"price": "1", "colour": "Red", "sizes": "S;L", "active": "yes", "loaded": "2026-01-01 10:00:00"}
    imports(account, row("1", **cells, ean="40", city="Riga"), row("2"))
    old_id = edit(account, "1", Notes="by hand", Depot={"city": "Riga", "zip": "1050", "country": "LV"})
    before = by_code(account)
    run_id = imports(account, row("2")).run_id
    assert list(by_code(account)) == ["2"]

    taken = account.undo_plan(run_id)
    all_done(account.undo(run_id))

    assert taken.plan.notes == ("deleted elements come back under new ids; their links to deals are gone",)
    assert by_code(account) == before
    assert id_of(account, "1") != old_id


@pytest.mark.parametrize("taking", [{"Code": "1"}, {"EAN": "40"}])
def test_a_key_that_somebody_took_is_not_added_a_second_time(account: World, taking: dict[int | str, str]) -> None:
    imports(account, row("1", ean="40"), row("2"))
    run_id = imports(account, row("2")).run_id
    store = account.emulator.store
    id_ = id_of(account, "2")
    if "EAN" in taking:
        store.edit_as_other_user(id_, values=taking)
    else:
        id_ = store.add_as_other_user(CATALOG_ID, "Mine", taking).id

    taken = account.undo_plan(run_id)

    assert taken.plan.changes == ()
    assert taken.left_alone == (Problem("1", f"was added meanwhile, as element {id_}"),)


def test_what_was_deleted_without_a_look_cannot_come_back_and_is_told(account: World) -> None:
    imports(account, row("1", price="1"), row("2"))
    run_id = imports(account, row("2"), options=BLIND).run_id

    taken = account.undo_plan(run_id)

    told = "“Product 1” was deleted without a look at it before (--no-recheck): its values are not known"
    assert taken.lost == taken.plan.warnings == (Problem("1", told),)
    assert taken.plan.changes == ()


def test_what_was_gone_before_the_run_could_delete_it_is_not_brought_back(account: World) -> None:
    imports(account, row("1"), row("2"))
    id_ = id_of(account, "1")
    planned = account.plan([row("2")], MAPPING)
    account.emulator.store.delete_as_other_user(id_)
    run_id = all_done(account.apply(planned)).run_id

    taken = account.undo_plan(run_id)

    assert (taken.plan.changes, taken.left_alone, taken.lost) == ((), (), ())


def test_values_that_cannot_be_written_again_are_told_and_the_others_come_back(account: World) -> None:
    imports(account, row("1", price="1", colour="Red", sizes="S;M"), row("2"))
    edit(account, "1", Photo={"file_uuid": "f"}, Notes="x")
    run_id = imports(account, row("2")).run_id
    drop_options(account, 31, 41)
    field = account.emulator.store.field(110)
    assert field is not None
    account.emulator.store.delete_field(field)

    taken = account.undo_plan(run_id)
    all_done(account.undo(run_id))

    assert [problem.where for problem in taken.lost] == ["1"] * 4
    assert [problem.what.partition(": “{")[0] for problem in taken.lost] == [
        "colour: the option “Red” is gone",
        "sizes: the option “S” is gone",
        "Photo: a value of type file cannot be written again",
        "the field 110 is gone, it held “x”",
    ]
    assert by_code(account)["1"] == {"101": "1", "name": "Product 1", "102": "1", "104": "42"}


@pytest.mark.parametrize("kind", ["update", "delete"])
def test_a_moment_that_no_calendar_has_is_told_and_stays_away(account: World, kind: str) -> None:
    """The API has no bounds for what it holds; no request can be made of such a value."""
    far = str(10**15)
    imports(account, row("1", price="1", loaded="2026-01-01 10:00:00"), row("2"))
    changed = [row("2")] if kind == "delete" else [row("1", price="2", loaded="2026-01-02 10:00:00"), row("2")]
    run = account.journal.run(imports(account, *changed).run_id)
    assert run is not None
    [operation] = account.journal.operations(run.id)
    key = next(column.key for column in all_columns(account.schema()) if column.type == "date_time")
    if isinstance(operation.change, Update):
        change = dataclasses.replace(operation.change, before={**operation.change.before, key: far})
        operation = dataclasses.replace(operation, change=change)
    else:
        operation = dataclasses.replace(operation, image={**(operation.image or {}), key: far})

    taken = undoing.taken_back(run, [operation], account.schema(), account.client, element_count=2)

    told = f"loaded: a value of type date_time cannot be written again: “{far}”"
    assert taken.lost == (Problem("1", told),)
    [undo] = taken.plan.changes
    assert key not in written_by(undo)
    assert written_by(undo)["102"] == "1"


# --- what was not done ---------------------------------------------------------------------------------------


def test_of_a_run_that_stopped_only_what_was_done_is_taken_back_and_the_rest_is_not_resumed(account: World) -> None:
    imports(account, *(row(str(n), price="1") for n in range(4)))
    before = account.state()
    account.emulator.fault(dataclasses.replace(Fault.from_text("401 POST nth=3 count=0"), method="[!G]*"))
    report = imports(account, *(row(str(n), price="2") for n in range(4)), batch_size=1)
    account.emulator.faults.clear()
    assert len(report.unsent) == 2

    undone = all_done(account.undo(report.run_id))

    assert len(undone.results) == 2
    assert account.state() == before
    assert account.journal.unfinished() == []


def test_what_is_not_known_to_be_written_is_told(account: World) -> None:
    account.emulator.fault(dataclasses.replace(Fault.from_text("504 after POST"), method="[!G]*"))
    account.emulator.fault(
        Fault("call", method="[!G]*", when="after", call=lambda s: s.add_as_other_user(4220, "Mine", {"Code": "1"}))
    )
    report = imports(account, row("1", price="1"))
    assert [result.outcome for result in report.results] == ["unknown"]

    taken = account.undo_plan(report.run_id)

    assert taken.plan.changes == ()
    assert taken.left_alone == (Problem("1", "it is not known whether the run wrote it; look at it in the catalog"),)


def test_what_came_of_a_refused_change_is_not_taken_back(account: World) -> None:
    imports(account, row("1", price="1"), row("2", price="2"))
    planned = account.plan([row("1", price="5"), row("2", price="5")], MAPPING)
    account.later()
    edit(account, "1", Price="777")
    report = account.apply(planned)
    assert sorted(result.outcome for result in report.results) == ["conflict", "done"]
    account.later()

    all_done(account.undo(report.run_id))

    assert {code: held["102"] for code, held in by_code(account).items()} == {"1": "777", "2": "2"}
