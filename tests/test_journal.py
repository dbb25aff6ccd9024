"""The journal: what it holds at each step, for several processes, and after the end of one at any instant."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.api.v2 import V2
from catalogsync.emulator.server import Emulator
from catalogsync.errors import UserError
from catalogsync.journal import Journal, Operation, Run
from catalogsync.model import Add, AddOptions, Ceiling, Delete, Result, Stored, Update
from catalogsync.plan import Plan, Shown
from tests.api.helpers import CATALOG_ID, NOW, SCHEMA, TOKEN, Clock, made_plan, posts, seed

CHANGES = (
    Update(1, "V1", 2, 11, 100, {"4400050": "1"}, {"4400050": "2"}),
    Add(2, "V2", 3, {"name": "Ž", "4400050": "3"}),
    Delete(3, "V3", 12, "Third", 100),
)
PLAN = made_plan(*CHANGES, batch_size=2)
FIRST, SECOND = (
    V2().batch(1, CATALOG_ID, CHANGES[:2], SCHEMA),
    V2().batch(2, CATALOG_ID, CHANGES[2:], SCHEMA),
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Journal:
    return Journal(tmp_path / "state" / "journal.sqlite", clock=clock)


def run_of(run_id: int, **differs: Any) -> dict[str, Any]:
    return {
        "id": run_id,
        "account_id": 30001,
        "catalog_id": CATALOG_ID,
        "mapping": "products",
        "source": "products.csv:",
        "digest": PLAN.digest,
        "undoes": None,
        "started_at": NOW,
        "ended_at": None,
        "state": "running",
        "message": "",
        "outcomes": {"planned": ONE_EACH},
        **differs,
    }


ONE_EACH = {"add": 1, "delete": 1, "update": 1}

BODY = (
    '{"add": [{"catalog_id": 4220, "request_id": 2, "name": "Ž",'
    ' "custom_fields": [{"id": 4400050, "values": [{"value": "3"}]}]}],'
    ' "update": [{"id": 11, "catalog_id": 4220, "updated_at": 101,'
    ' "custom_fields": [{"id": 4400050, "values": [{"value": "2"}]}]}]}'
)


def batch_of(number: int, body: str, **differs: Any) -> dict[str, Any]:
    return {
        "run_id": 1,
        "number": number,
        "method": "POST",
        "path": "/api/v2/catalog_elements",
        "body": body,
        "sent_at": NOW,
        "answered_at": None,
        "state": "sent",
        "message": "",
        **differs,
    }


def states(journal: Journal, run_id: int = 1) -> list[tuple[Any, ...]]:
    """Of each operation: its id, its element, its last request, what became of it."""
    return [(o.change.op, o.element_id, o.batch, o.outcome, o.message) for o in journal.operations(run_id)]


def test_a_new_run_holds_every_operation_as_planned(journal: Journal) -> None:
    assert journal.start(PLAN) == 1
    assert journal.runs() == [run_of(1)]
    assert journal.batches(1) == []
    assert journal.operations(1) == [
        Operation(CHANGES[0], "planned", 11),
        Operation(CHANGES[1], "planned", None),
        Operation(CHANGES[2], "planned", 12),
    ]


def test_a_request_about_to_go_out_is_held_with_its_body_and_its_operations_as_sent(journal: Journal) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    assert journal.batches(1) == [batch_of(1, BODY)]
    assert journal.operations(1) == [
        Operation(CHANGES[0], "sent", 11, batch=1, sent_at=NOW),
        Operation(CHANGES[1], "sent", None, batch=1, sent_at=NOW),
        Operation(CHANGES[2], "planned", 12),
    ]


def test_what_is_about_to_be_deleted_is_held_whole(journal: Journal) -> None:
    journal.sending(journal.start(PLAN), SECOND, {3: {"name": "Third", "4400050": "3"}})
    assert [operation.image for operation in journal.operations(1)] == [None, None, {"name": "Third", "4400050": "3"}]


def test_an_image_survives_a_request_that_goes_out_again_without_one(journal: Journal) -> None:
    journal.sending(journal.start(PLAN), SECOND, {3: {"name": "Third"}})
    journal.not_sent(1, SECOND, "no turn")
    journal.sending(1, replace(SECOND, number=3))
    assert journal.operations(1)[2] == Operation(CHANGES[2], "sent", 12, image={"name": "Third"}, batch=3, sent_at=NOW)


def test_an_answer_is_held_with_each_outcome_by_its_operation(journal: Journal, clock: Clock) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    clock.now_s += 2.9
    journal.answered(1, FIRST, "answered", [Result(2, "done", 13), Result(1, "conflict", 11, "older")])
    assert journal.batches(1) == [batch_of(1, BODY, answered_at=NOW + 2, state="answered")]
    assert states(journal) == [
        (1, 11, 1, "conflict", "older"),
        (2, 13, 1, "done", ""),
        (3, 12, None, "planned", ""),
    ]
    outcomes = {"conflict": {"update": 1}, "done": {"add": 1}, "planned": {"delete": 1}}
    assert journal.runs() == [run_of(1, outcomes=outcomes)]


def test_an_outcome_without_an_id_keeps_the_one_that_was_planned(journal: Journal) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    journal.answered(1, FIRST, "refused", [Result(1, "failed", None, "no"), Result(2, "failed", None, "no")], "no")
    assert states(journal) == [
        (1, 11, 1, "failed", "no"),
        (2, None, 1, "failed", "no"),
        (3, 12, None, "planned", ""),
    ]


def test_a_request_that_was_not_processed_leaves_its_operations_planned(journal: Journal) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    journal.not_sent(1, FIRST, "no connection")
    assert journal.batches(1) == [batch_of(1, BODY, state="not sent", message="no connection", answered_at=NOW)]
    assert [outcome for *_, outcome, _ in states(journal)] == ["planned", "planned", "planned"]


def test_an_answer_that_is_lost_leaves_its_operations_as_sent_until_a_look_says_what_became_of_them(
    journal: Journal,
) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    journal.answered(1, FIRST, "in doubt", [], "the connection broke")
    assert [outcome for *_, outcome, _ in states(journal)] == ["sent", "sent", "planned"]
    journal.found(1, [Result(1, "done", 11)], [CHANGES[1]])
    assert [outcome for *_, outcome, _ in states(journal)] == ["done", "planned", "planned"]
    assert journal.batches(1) == [batch_of(1, BODY, state="in doubt", message="the connection broke", answered_at=NOW)]


def test_what_was_read_back_is_held(journal: Journal) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    journal.answered(1, FIRST, "answered", [Result(1, "done", 11), Result(2, "done", 13)])
    stored = {1: Stored(11, 101, {"4400050": "2"}), 2: Stored(13, 102, {"name": "Ž", "4400050": "3"})}
    journal.read_back(1, stored)
    assert [operation.stored for operation in journal.operations(1)] == [stored[1], stored[2], None]


@pytest.mark.parametrize("state", ["answered", "refused", "not sent", "in doubt"])
def test_every_fate_of_a_request_is_held_with_its_words(journal: Journal, state: str) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    journal.sending(1, SECOND)
    journal.answered(1, SECOND, state, [], "words")
    body = '{"delete": [12]}'
    assert journal.batches(1) == [
        batch_of(1, BODY),
        batch_of(2, body, state=state, message="words", answered_at=NOW),
    ]


@pytest.mark.parametrize("state", ["done", "stopped"])
def test_the_end_of_a_run_is_held(journal: Journal, clock: Clock, state: str) -> None:
    journal.start(PLAN)
    clock.now_s += 60
    journal.finish(1, state, "words")
    assert journal.runs() == [run_of(1, state=state, message="words", ended_at=NOW + 60)]


def test_runs_are_told_newest_first_and_do_not_mix(journal: Journal) -> None:
    assert [journal.start(PLAN), journal.start(made_plan())] == [1, 2]
    journal.sending(1, FIRST)
    journal.answered(1, FIRST, "answered", [Result(1, "done", 11)])
    empty = run_of(2, digest=made_plan().digest, outcomes={})
    outcomes = {"done": {"update": 1}, "planned": {"delete": 1}, "sent": {"add": 1}}
    assert journal.runs() == [empty, run_of(1, outcomes=outcomes)]
    assert journal.batches(2) == []


def test_an_answer_touches_the_operations_of_its_own_run_only(journal: Journal) -> None:
    for run_id in (journal.start(PLAN), journal.start(PLAN)):
        journal.sending(run_id, FIRST)
    journal.answered(2, FIRST, "answered", [Result(1, "done", 11), Result(2, "done", 13)])
    one_done = {"done": {"add": 1, "update": 1}, "planned": {"delete": 1}}
    one_sent = {"planned": {"delete": 1}, "sent": {"add": 1, "update": 1}}
    assert journal.runs() == [run_of(2, outcomes=one_done), run_of(1, outcomes=one_sent)]
    assert journal.batches(1) == [batch_of(1, BODY)]


def test_a_transaction_that_fails_leaves_nothing_behind(journal: Journal) -> None:
    twice = made_plan(CHANGES[0], CHANGES[0])
    with pytest.raises(Exception, match="UNIQUE constraint"):
        journal.start(twice)
    assert journal.runs() == []
    assert journal.start(PLAN) == 1


@pytest.mark.parametrize(
    ("table", "column"), [("runs", "state"), ("batches", "state"), ("operations", "outcome"), ("options", "outcome")]
)
def test_a_state_that_there_is_not_is_refused_by_the_file(
    journal: Journal, tmp_path: Path, table: str, column: str
) -> None:
    run_id = journal.start(replace(PLAN, options=(AddOptions(4400064, ("Blue",)),)))
    journal.sending(run_id, FIRST)
    with closing(sqlite3.connect(tmp_path / "state" / "journal.sqlite")) as connection:
        for word in ("", "lost"):
            with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint"):
                connection.execute(f"UPDATE {table} SET {column} = ?", (word,))


def test_what_a_sheet_was_like_is_kept_per_account_catalog_and_mapping(journal: Journal) -> None:
    assert journal.last_sheet(30001, CATALOG_ID, "products") == (None, None)
    journal.remember_sheet(replace(PLAN, sheet_rows=7, unchanged_count=4))
    journal.remember_sheet(replace(PLAN, mapping="other", sheet_rows=1))
    assert journal.last_sheet(30001, CATALOG_ID, "products") == (7, 6)  # one is updated, one added
    assert journal.last_sheet(30001, CATALOG_ID, "nothing") == (None, None)
    assert journal.last_sheet(30002, CATALOG_ID, "products") == (None, None)


def test_a_journal_opened_again_holds_what_was_there(journal: Journal, tmp_path: Path) -> None:
    journal.start(PLAN)
    again = Journal(tmp_path / "state" / "journal.sqlite")
    assert again.runs() == [run_of(1)]
    assert again.start(PLAN) == 2
    assert len(journal.runs()) == 2


# --- what is left of earlier runs ---


def test_a_new_run_supersedes_what_was_left_of_stopped_ones_of_its_mapping_only(journal: Journal) -> None:
    other = replace(PLAN, mapping="other")
    for plan in (PLAN, other, PLAN):
        journal.finish(journal.start(plan), "stopped")
    assert journal.unfinished() == [2, 3]
    assert [(run["id"], run["state"]) for run in journal.runs()] == [(3, "stopped"), (2, "stopped"), (1, "superseded")]


def test_unfinished_are_runs_that_were_cut_off_and_stopped_ones_with_something_left(journal: Journal) -> None:
    cut_off, left, nothing_left, done = (journal.start(replace(PLAN, mapping=name)) for name in "abcd")
    journal.finish(left, "stopped")
    journal.found(nothing_left, [Result(1, "done", 11), Result(2, "failed", None, "no"), Result(3, "unknown", 12)])
    journal.finish(nothing_left, "stopped")
    journal.finish(done, "done")
    assert journal.unfinished() == [cut_off, left]
    assert journal.unfinished(30001, CATALOG_ID) == [cut_off, left]
    assert (journal.unfinished(30001, 1), journal.unfinished(1)) == ([], [])


def ended_runs(journal: Journal, count: int) -> None:
    for _ in range(count):
        run_id = journal.start(PLAN)
        journal.sending(run_id, FIRST)
        journal.finish(run_id, "done", "")


@pytest.mark.parametrize(
    ("limit", "amount", "kept"),
    [("KEEP_RUNS", 5, [36, 37, 38, 39, 40]), ("KEEP_OPERATIONS", 7, [39, 40]), ("KEEP_S", 100, [40])],
)
def test_old_runs_are_forgotten_but_for_those_that_did_not_come_to_their_end(
    journal: Journal, clock: Clock, monkeypatch: pytest.MonkeyPatch, limit: str, amount: int, kept: list[int]
) -> None:
    monkeypatch.setattr(f"catalogsync.journal.{limit}", amount)
    stopped = journal.start(replace(PLAN, mapping="other"))
    journal.finish(stopped, "stopped", "")
    ended_runs(journal, 38)
    clock.now_s += 200
    ended_runs(journal, 1)
    assert [run["id"] for run in journal.runs()] == [*reversed(kept), stopped]
    assert (journal.operations(2), len(journal.operations(40)), len(journal.operations(stopped))) == ([], 3, 3)


def test_how_many_elements_a_catalog_had_is_remembered(journal: Journal) -> None:
    assert journal.element_count(30001, CATALOG_ID) is None
    journal.remember_count(30001, CATALOG_ID, 7)
    journal.remember_count(30001, CATALOG_ID, 8)
    assert (journal.element_count(30001, CATALOG_ID), journal.element_count(30001, 1)) == (8, None)


# --- plans ---

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(0, 2**53)
values = st.dictionaries(texts, texts, max_size=3)
changes = st.one_of(
    st.builds(Add, op=st.just(0), key=texts, row=numbers, values=values),
    st.builds(
        Update,
        op=st.just(0),
        key=texts,
        row=numbers,
        id=numbers,
        updated_at=numbers,
        before=values,
        after=values,
        kept=values,
    ),
    st.builds(Delete, op=st.just(0), key=texts, id=numbers, name=texts, updated_at=numbers),
)
plans = st.builds(
    Plan,
    account_id=numbers,
    catalog_id=numbers,
    catalog_name=texts,
    mapping=texts,
    source=texts,
    made_at=numbers,
    changes=st.lists(changes, max_size=5).map(lambda some: tuple(replace(c, op=op) for op, c in enumerate(some, 1))),
    columns=st.dictionaries(
        texts, st.builds(Shown, title=texts, type=texts, captions=values, timezone=texts), max_size=2
    ),
    key_columns=st.lists(st.lists(texts, max_size=2).map(tuple), max_size=2).map(tuple),
    existing_count=numbers,
    max_id=numbers,
    max_updated_at=numbers,
    unchanged_count=numbers,
    batch_size=st.integers(1, 500),
    write_requests=numbers,
    rejected_rows=numbers,
    notes=st.lists(texts, max_size=2).map(tuple),
    guards=st.dictionaries(
        st.sampled_from(["add", "update", "delete"]), st.sampled_from([Ceiling(5), Ceiling(2.5, True)])
    ),
)


@given(plan=plans, undoes=st.none() | st.integers(1, 9))
def test_a_plan_comes_out_of_the_journal_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, plan: Plan, undoes: int | None
) -> None:
    journal = Journal(tmp_path_factory.mktemp("state") / "journal.sqlite", clock=Clock())
    run_id = journal.start(plan, undoes=undoes)
    assert journal.run(run_id) == Run(run_id, plan, "running", NOW, None, undoes=undoes, digest=plan.digest)
    ids = [None if isinstance(change, Add) else change.id for change in plan.changes]
    assert journal.operations(run_id) == [
        Operation(change, "planned", id_) for change, id_ in zip(plan.changes, ids, strict=True)
    ]


def test_a_run_that_is_not_there_is_none(journal: Journal) -> None:
    assert (journal.run(1), journal.operations(1), journal.batches(1)) == (None, [], [])


# --- files of another kind ---


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_journal_of_another_version_is_refused_and_left_as_it_is(tmp_path: Path, version: int) -> None:
    file = tmp_path / "journal.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript(f"CREATE TABLE runs (id); PRAGMA user_version={version};")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(UserError, match="written by another version of this program; move it away to begin anew"):
        Journal(file)
    assert file.read_bytes() == before


def test_a_file_that_is_no_journal_is_told_without_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    file.write_text("no database, however long this text is " * 100, encoding="utf-8")
    with pytest.raises(UserError, match=r"journal\.sqlite cannot be used as the journal"):
        Journal(file)


# --- processes ---


def _run(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, text=True, env=environment, stderr=subprocess.PIPE)


WRITES_AND_DIES = """
import os, sys
from pathlib import Path
from catalogsync import writer
from catalogsync.api.auth import Account
from catalogsync.api.client import Client
from catalogsync.api.transport import HttpTransport
from catalogsync.api.v2 import V2
from catalogsync.journal import Journal
from catalogsync.model import Add
from tests.api.helpers import SCHEMA, made_plan

class Dies(HttpTransport):
    def send(self, request):
        answer = super().send(request)
        if request.method == "POST" and request.json["add"][0]["request_id"] == 2:
            os._exit(9)
        return answer

adds = [Add(op, f"V{op}", op + 1, {"name": f"P{op}"}) for op in (1, 2, 3)]
client = Client(V2(), Dies(Account(sys.argv[2], sys.argv[3])))
one_by_one = writer.WriteOptions(in_flight=1)
writer.apply(made_plan(*adds, batch_size=1), SCHEMA, client, Journal(Path(sys.argv[1])), one_by_one)
"""


def test_a_process_that_ends_after_sending_leaves_the_request_as_sent(tmp_path: Path) -> None:
    """The server has stored it, nobody has recorded that: this is the request that must be looked up."""
    file = tmp_path / "journal.sqlite"
    with Emulator(seed=seed(), rps=0) as emulator:
        child = _run(WRITES_AND_DIES, str(file), emulator.url, TOKEN)
        assert (child.communicate()[1], child.returncode) == ("", 9)
        assert [body["add"][0]["request_id"] for body in posts(emulator)] == [1, 2]
        assert emulator.store.count(CATALOG_ID) == 2
    journal = Journal(file)
    (run,) = journal.runs()
    outcomes = {"done": {"add": 1}, "planned": {"add": 1}, "sent": {"add": 1}}
    assert (run["state"], run["ended_at"], run["outcomes"]) == ("running", None, outcomes)
    assert [(batch["state"], batch["answered_at"] is None) for batch in journal.batches(1)] == [
        ("answered", False),
        ("sent", True),
    ]
    assert [(op, batch, outcome) for op, _, batch, outcome, _ in states(journal)] == [
        (1, 1, "done"),
        (2, 2, "sent"),
        (3, None, "planned"),
    ]
    assert journal.unfinished(30001, CATALOG_ID) == [1]


STARTS_RUNS = """
import sys
from dataclasses import replace
from pathlib import Path
from catalogsync.journal import Journal
from catalogsync.model import Result
from tests.test_journal import FIRST, PLAN

for _ in range(8):
    journal = Journal(Path(sys.argv[1]))
    run_id = journal.start(PLAN)
    journal.sending(run_id, FIRST)
    journal.answered(run_id, FIRST, "answered", [Result(1, "done", 11), Result(2, "done", 13)])
    journal.finish(run_id, "done")
"""


def test_several_processes_write_one_journal(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    children = [_run(STARTS_RUNS, str(file)) for _ in range(3)]
    assert [(child.communicate()[1], child.returncode) for child in children] == [("", 0)] * 3
    runs = Journal(file).runs()
    assert [run["id"] for run in runs] == list(range(24, 0, -1))
    outcomes = {"done": {"add": 1, "update": 1}, "planned": {"delete": 1}}
    assert [(run["state"], run["outcomes"]) for run in runs] == [("done", outcomes)] * 24


class Copied(sqlite3.Connection):
    """Copies the journal before each statement: that is what a process leaves behind that is killed there."""

    copies: ClassVar[list[Path]]
    file: ClassVar[Path]

    def _copy(self) -> None:
        folder = self.file.parent / f"copy {len(self.copies)}"
        folder.mkdir()
        for name in (self.file.name, f"{self.file.name}-wal"):
            if (self.file.parent / name).exists():
                shutil.copy(self.file.parent / name, folder / name)
        self.copies.append(folder / self.file.name)

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        self._copy()
        return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        def rows() -> Iterator[Any]:
            for row in arguments[1]:
                self._copy()
                yield row

        return super().executemany(arguments[0], rows())


def _held(file: Path) -> list[Any]:
    """All that a journal says of its first run."""
    journal = Journal(file)
    run = journal.run(1)
    if run is None:
        return []
    facts = [(o.change, o.outcome, o.element_id, o.batch, o.stored) for o in journal.operations(1)]
    return [run.state, run.plan == PLAN, [batch["state"] for batch in journal.batches(1)], facts]


def test_a_process_killed_at_any_statement_leaves_one_of_the_steps_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "journal.sqlite"
    journal = Journal(file)
    Copied.copies, Copied.file = [], file
    connect = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, **more, factory=Copied))
        journal.start(PLAN)
        journal.sending(1, FIRST)
        journal.answered(1, FIRST, "answered", [Result(1, "done", 11), Result(2, "done", 13)])
        journal.read_back(1, {1: Stored(11, 101, {"4400050": "2"})})
        journal.finish(1, "stopped")
    held = [_held(copy) for copy in [*Copied.copies, file]]
    seen = [each for each, before in zip(held, [None, *held], strict=False) if each != before]
    assert len(held) > 25
    update, add, delete = CHANGES
    planned = [
        (update, "planned", 11, None, None),
        (add, "planned", None, None, None),
        (delete, "planned", 12, None, None),
    ]
    sent = [(update, "sent", 11, 1, None), (add, "sent", None, 1, None), planned[2]]
    done = [(update, "done", 11, 1, None), (add, "done", 13, 1, None), planned[2]]
    read = [(update, "done", 11, 1, Stored(11, 101, {"4400050": "2"})), *done[1:]]
    steps = [
        [],
        ["running", True, [], planned],
        ["running", True, ["sent"], sent],
        ["running", True, ["answered"], done],
        ["running", True, ["answered"], read],
        ["stopped", True, ["answered"], read],
    ]
    assert seen == steps
