"""Law 11: a run can be taken back. Over every field type, with what people edit in the meantime, on both dialects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from catalogsync.api.auth import APIS
from tests.e2e.test_laws import FIELDS, LABELS, MAPPING, Row, rows, some_codes
from tests.e2e.worlds import CATALOG_ID, State, Values, World, all_done, world

CODE = "101"
DELETING = MAPPING % {"blank": "clear", "multi": "replace"} + "missing: delete\nguards: {delete: 100%}\n"

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
