"""Anything in any order: edits of the sheet and of the catalog, imports, lost answers, crashes, resumes, undos.

One account, one mapping that deletes what lost its row, one writer (several would need the lock). After every step
the laws of the design hold; what is checked of a step is what changed in the catalog while it was ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from catalogsync import sync
from catalogsync.api.auth import Account
from catalogsync.api.client import DIALECTS, Client
from catalogsync.api.transport import HttpTransport, Retrying
from catalogsync.emulator.faults import Fault
from catalogsync.errors import ApiError
from catalogsync.journal import Journal, Operation
from catalogsync.model import NAME, Add, Delete, Update
from catalogsync.readback import written_by
from catalogsync.writer import Report
from tests.e2e.worlds import CATALOG_ID, ONE_BY_ONE, State, Values, World, world
from tests.mortal import Crash, Mortal, Steps

CODE, PRICE, COLOUR, FLAG, CITY, UNMAPPED = "101", "102", "103", "104", "105.city", "199"
FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Price", "type": "numeric"},
    {"id": 103, "name": "Colour", "type": "select", "enums": {"Red": 31, "Green": 32}},
    {"id": 104, "name": "Flag", "type": "checkbox"},
    {"id": 105, "name": "Depot", "type": "smart_address"},
    {"id": 199, "name": "Colleagues", "type": "text"},
]
MAPPING = """
catalog: 4220
key: code
missing: delete
guards: {delete: 100%}
columns:
  code: Code
  name: name
  price: Price
  colour: Colour
  flag: Flag
  city: {field: Depot, subtype: city}
"""
KEYS = {"code": CODE, "name": NAME, "price": PRICE, "colour": COLOUR, "flag": FLAG, "city": CITY}
CANONICAL = {"Red": "31", "Green": "32", "yes": "1", "no": ""}

codes = st.sampled_from([f"{n:03}" for n in range(5)])
cells = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["Oak", "Elm", "Ash"]),
        "price": st.sampled_from(["", "1", "2.5"]),
        "colour": st.sampled_from(["", "Red", "Green"]),
        "flag": st.sampled_from(["", "yes", "no"]),
        "city": st.sampled_from(["", "Riga", "Bonn"]),
    }
)
FAULTS = [
    *("504 before POST", "504 after POST", "504 half POST", "504 after POST nth=2", "504 before POST count=0"),
    *("drop before POST", "drop after POST", "drop half POST nth=2", "429 POST", "429 POST count=0"),
    *("401 POST", "401 POST nth=2 count=0", "504 after POST count=0"),
]


def settled_values(sheet: str, catalog: str | None) -> set[str]:
    """What a field that the sheet fills may hold after an import, by what it held before; None for a new element.

    What the sheet says, or what somebody wrote by hand since both sides last agreed (``conflict: ask``).
    """
    is_by_hand = catalog == "" or (catalog or "").startswith(("100", "By hand"))
    return {sheet, catalog or ""} if is_by_hand else {sheet}


JOURNAL_ACTS = {"start", "sending", "answered", "not_sent", "found", "read_back", "finish", "remember_matched"}


class Machine(RuleBasedStateMachine):
    """The account, the sheet, and what is known of both."""

    api: ClassVar[str]

    @initialize(first=st.dictionaries(codes, cells, min_size=1, max_size=3))
    def begin(self, first: dict[str, Values]) -> None:
        self.held = ExitStack()
        self.account: World = self.held.enter_context(world(self.api, FIELDS))
        self.sheet = first
        self.edits = 0
        self.codes_gone: set[str | None] = set()
        self.known_done: set[tuple[int, int]] = set()
        store = self.account.emulator.store
        store.add_as_other_user(CATALOG_ID, "Without a key", {"Price": "7"})
        store.add_as_other_user(CATALOG_ID, "Old", {"Code": "000", "Depot": {"zip": "1050"}, "Colleagues": "a note"})

    def teardown(self) -> None:
        if hasattr(self, "held"):
            self.held.close()

    # --- what there is ---

    def state(self) -> State:
        """What the server stores, as canonical text, without this project's client."""
        found: State = {}
        for element in self.account.emulator.store.elements(CATALOG_ID):
            values = {NAME: element.name}
            for number, value in element.values.items():
                parts = value if isinstance(value, dict) else {"": value}
                for part, text in parts.items():
                    key = f"{number}.{part}" if part else str(number)
                    values[key] = ("1" if text else "") if isinstance(text, bool) else str(text)
            found[element.id] = {key: text for key, text in values.items() if text}
        return found

    def journal(self) -> Journal:
        """A journal as after a restart."""
        return Journal(self.account.folder / "journal.sqlite", clock=self.account.clock)

    def rows(self) -> list[dict[str, str]]:
        return [{"code": code, **row} for code, row in self.sheet.items()]

    # --- the sheet and other people ---

    @rule(code=codes, row=cells)
    def edit_sheet(self, code: str, row: Values) -> None:
        self.sheet[code] = row

    @precondition(lambda self: len(self.sheet) > 1)
    @rule(place=st.integers(0, 9))
    def remove_row(self, place: int) -> None:
        del self.sheet[sorted(self.sheet)[place % len(self.sheet)]]

    @rule(place=st.integers(0, 9), field=st.sampled_from(["Price", "name", "Depot", "Colleagues", "Code", "clear"]))
    def somebody_edits(self, place: int, field: str) -> None:
        """A value that nobody else writes, so that it is known again."""
        self.account.later()
        ids = sorted(self.state())
        self.edits += 1
        values: Mapping[int | str, object] = {
            "Price": {"Price": f"{1000 + self.edits}"},
            "Depot": {"Depot": {"city": f"By hand {self.edits}", "zip": "2000"}},
            "Colleagues": {"Colleagues": f"by hand {self.edits}"},
            "Code": {"Code": f"by hand {self.edits}"},
            "clear": {"Price": "", "Colour": ""},
        }.get(field, {})  # type: ignore[assignment]
        if ids:
            if field == "Code":
                self.codes_gone.add(self.state()[ids[place % len(ids)]].get(CODE))
            name = f"By hand {self.edits}" if field == "name" else None
            self.account.emulator.store.edit_as_other_user(ids[place % len(ids)], name=name, values=values)

    @rule(place=st.integers(0, 9))
    def somebody_deletes(self, place: int) -> None:
        ids = sorted(self.state())
        if ids:
            self.codes_gone.add(self.state()[ids[place % len(ids)]].get(CODE))
            self.account.emulator.store.delete_as_other_user(ids[place % len(ids)])

    @rule(code=codes | st.none())
    def somebody_adds(self, code: str | None) -> None:
        self.account.later()
        values: dict[int | str, object] = {"Code": code} if code else {"Price": "5"}
        self.account.emulator.store.add_as_other_user(CATALOG_ID, "Added by hand", values)

    def change_much(self, row: Values) -> None:
        """So that an import has something to add, to update and, where the sheet is long, to delete."""
        self.edits += 1
        if len(self.sheet) > 3:
            del self.sheet[min(self.sheet)]
        for code in sorted(self.sheet)[-1:]:
            self.sheet[code] = {**self.sheet[code], "price": str(self.edits), "name": f"Name {self.edits}"}
        self.sheet[f"{100 + self.edits}"] = row

    # --- ours ---

    @contextmanager
    def ours(self, *, is_undo: bool = False) -> Iterator[None]:
        """What happens to the catalog in here is our doing."""
        self.account.later()
        before = self.state()
        try:
            yield
        finally:
            after = self.state()
        for id_, held in before.items():
            if not is_undo and CODE not in held:
                assert after.get(id_) == held, "an element without a key was touched"
            if id_ in after:
                assert after[id_].get(UNMAPPED) == held.get(UNMAPPED), "a field that is not mapped was written"
                assert after[id_].get("105.zip") == held.get("105.zip"), "another subtype was erased"
        new_codes = [held[CODE] for id_, held in after.items() if id_ not in before]
        old_codes = {held.get(CODE) for held in before.values()}
        assert len(new_codes) == len(set(new_codes)), "a key was added twice"
        assert not old_codes & set(new_codes), "a key was added that was there"
        self.check_done(after)

    def check_done(self, after: State) -> None:
        """What the journal came to call done is so in the catalog; of an element's operations the last one counts."""
        journal = self.journal()
        overtaken: set[int | None] = set()  # a run that was settled, then overtaken by the import that settled it
        for run in journal.runs():
            found = set()
            for operation in journal.operations(run["id"]):
                place = (run["id"], operation.change.op)
                if operation.outcome != "done":
                    continue
                found.add(operation.element_id)
                if place not in self.known_done:
                    self.known_done.add(place)
                    assert operation.element_id in overtaken or is_true(operation, after), operation
            overtaken |= found

    def importing(self, account: World, batch_size: int) -> Report | None:
        account.recover()
        planned = account.plan(self.rows(), MAPPING, sync.PlanOptions(batch_size=batch_size))
        if planned.plan.changes:
            return account.apply(planned)
        sync.remember(planned, account.journal)
        return None

    def undoing(self, account: World, place: int) -> None:
        account.recover()
        run_ids = [run["id"] for run in account.journal.runs()]
        if run_ids:
            account.undo(run_ids[place % len(run_ids)])

    def resuming(self, account: World) -> None:
        account.recover()
        for run_id in account.journal.unfinished()[-1:]:
            run = account.journal.run(run_id)
            assert run is not None
            sync.resume(run, account.client, account.journal, account.schema(), ONE_BY_ONE)

    @rule()
    def plan(self) -> None:
        before = self.state()
        self.account.plan(self.rows(), MAPPING)  # asserts that only GETs were sent
        assert self.state() == before

    @rule(batch_size=st.integers(1, 3))
    def imports(self, batch_size: int) -> None:
        before = self.state()
        with self.ours():
            report = self.importing(self.account, batch_size)
        assert report is None or [r for r in report.results if r.outcome != "done"] == []
        self.check_converged(before)

    def check_converged(self, before: State) -> None:
        after = self.state()
        by_code: dict[str | None, list[int]] = {}
        for id_, held in after.items():
            by_code.setdefault(held.get(CODE), []).append(id_)
        for row in self.rows():
            ids = by_code.get(row["code"], [])
            assert ids or row["code"] in self.codes_gone, "a row has no element"
            if len(ids) == 1:
                for name, text in row.items():
                    now = after[ids[0]].get(KEYS[name], "")
                    was = before[ids[0]].get(KEYS[name], "") if ids[0] in before else None
                    assert not text or now in settled_values(CANONICAL.get(text, text), was)
        self.account.later()
        assert self.account.plan(self.rows(), MAPPING).plan.changes == ()
        with self.ours():
            assert self.importing(self.account, 3) is None

    @rule(batch_size=st.integers(1, 3), text=st.sampled_from(FAULTS), row=cells)
    def imports_and_something_fails(self, batch_size: int, text: str, row: Values) -> None:
        self.change_much(row)
        fault = dataclasses.replace(Fault.from_text(text), method="[!G]*")  # v4 sends its updates as PATCH
        with self.ours():
            self.account.emulator.fault(fault)
            try:
                self.importing(self.account, batch_size)
            except ApiError:
                pass
            finally:
                self.account.emulator.faults.clear()

    @rule(
        what=st.sampled_from(["import", "import", "undo", "resume"]),
        step=st.integers(1, 40),
        place=st.integers(0, 9),
        row=cells,
    )
    def crashes(self, what: str, step: int, place: int, row: Values) -> None:
        if what == "import":
            self.change_much(row)
        steps = Steps(step)
        address = Account(self.account.emulator.url, self.account.emulator.token, self.api)
        transport = cast(Any, Mortal(HttpTransport(address), steps, {"send"}))
        journal = cast(Any, Mortal(self.journal(), steps, JOURNAL_ACTS))
        with Client(DIALECTS[self.api](), Retrying(transport)) as client, self.ours(is_undo=what == "undo"):
            account = dataclasses.replace(self.account, client=client, journal=journal)
            act: Mapping[str, Callable[[], object]] = {
                "import": lambda: self.importing(account, 2),
                "undo": lambda: self.undoing(account, place),
                "resume": lambda: self.resuming(account),
            }
            try:
                act[what]()
            except Crash:
                self.account.journal = self.journal()

    @rule()
    def resumes(self) -> None:
        with self.ours():
            self.resuming(self.account)

    @precondition(lambda self: self.account.journal.runs())
    @rule(place=st.integers(0, 9))
    def undoes(self, place: int) -> None:
        run_ids = [run["id"] for run in self.account.journal.runs()]
        run_id = run_ids[place % len(run_ids)]
        with self.ours():
            self.account.recover()
        wrote = {o.element_id: o for o in self.account.journal.operations(run_id) if o.outcome == "done"}
        before = self.state()
        with self.ours(is_undo=True):
            report = self.account.undo(run_id)
        after = self.state()
        for id_, held in before.items():
            written = written_by(wrote[id_].change) if id_ in wrote else {}
            texts = {key: "" if (key, text) == (FLAG, "0") else text for key, text in written.items()}
            if id_ not in after:
                assert held == {key: text for key, text in texts.items() if text}, "what somebody edited was deleted"
                continue
            changed = {key for key in {*held, *after[id_]} if held.get(key) != after[id_].get(key)}
            assert {key: held.get(key, "") for key in changed} == {key: texts.get(key) for key in changed}
        assert [r for r in report.results if r.outcome != "done"] == []
        self.account.later()
        assert self.account.undo_plan(run_id).plan.changes == ()

    @invariant()
    def the_journal_can_be_read(self) -> None:
        """Whatever happened, the next command can go on."""
        if hasattr(self, "account"):
            journal = self.journal()
            assert all(journal.run(run["id"]) for run in journal.runs())


def is_true(operation: Operation, state: State) -> bool:
    """Whether a change that was done is there."""
    match operation.change:
        case Delete(id=id_):
            return id_ not in state
        case Add() | Update() as change:
            held = state.get(operation.element_id or 0)
            wrote = {key: "" if (key, text) == (FLAG, "0") else text for key, text in written_by(change).items()}
            return held is not None and all(held.get(key, "") == text for key, text in wrote.items())


class OverV2(Machine):
    api = "v2"


class OverV4(Machine):
    api = "v4"


CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
SHORT = settings(
    max_examples=10, stateful_step_count=12, deadline=None, phases=(Phase.generate,), suppress_health_check=CHECKS
)
LONG = settings(max_examples=150, stateful_step_count=25, deadline=None, suppress_health_check=CHECKS)

TestAnythingOverV2 = OverV2.TestCase
TestAnythingOverV2.settings = SHORT
TestAnythingOverV4 = OverV4.TestCase
TestAnythingOverV4.settings = SHORT


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", [OverV2, OverV4])
def test_anything_in_any_order_for_longer(machine: type[Machine]) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(machine, settings=LONG)
