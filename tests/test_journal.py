"""The journal: what it holds at each step, for several processes, and after the end of one at any instant."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalogsync.api.v2 import V2
from catalogsync.emulator.server import Emulator
from catalogsync.journal import Journal
from catalogsync.model import Add, Delete, Result, Update
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
        "started_at": NOW,
        "ended_at": None,
        "state": "running",
        "message": "",
        "outcomes": {"planned": 3},
        **differs,
    }


BODY = (
    '{"add": [{"catalog_id": 4220, "custom_fields": [{"id": 4400050, "values": [{"value": "3"}]}],'
    ' "name": "Ž", "request_id": 2}], "update": [{"catalog_id": 4220, "custom_fields":'
    ' [{"id": 4400050, "values": [{"value": "2"}]}], "id": 11, "updated_at": 101}]}'
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


def operations(journal: Journal) -> list[tuple[Any, ...]]:
    with journal._transaction() as connection:
        return connection.execute(
            "SELECT op, kind, key, element_id, before, after, batch, outcome, message"
            " FROM operations ORDER BY run_id, op"
        ).fetchall()


def test_a_new_run_holds_every_operation_as_planned(journal: Journal) -> None:
    assert journal.start(PLAN) == 1
    assert journal.runs() == [run_of(1)]
    assert journal.batches(1) == []
    assert operations(journal) == [
        (1, "update", "V1", 11, '{"4400050": "1"}', '{"4400050": "2"}', None, "planned", ""),
        (2, "add", "V2", None, "{}", '{"4400050": "3", "name": "Ž"}', None, "planned", ""),
        (3, "delete", "V3", 12, '{"name": "Third"}', "{}", None, "planned", ""),
    ]


def test_a_request_about_to_go_out_is_held_with_its_body_and_its_operations(journal: Journal) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    assert journal.batches(1) == [batch_of(1, BODY)]
    assert [(op, batch, outcome) for op, *_, batch, outcome, _ in operations(journal)] == [
        (1, 1, "planned"),
        (2, 1, "planned"),
        (3, None, "planned"),
    ]


def test_an_answer_is_held_with_each_outcome_by_its_operation(journal: Journal, clock: Clock) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    clock.now_s += 2.9
    journal.answered(1, FIRST, "answered", [Result(2, "done", 13), Result(1, "conflict", 11, "older")])
    assert journal.batches(1) == [batch_of(1, BODY, answered_at=NOW + 2, state="answered")]
    assert [(op, id_, outcome, words) for op, _, _, id_, *_, outcome, words in operations(journal)] == [
        (1, 11, "conflict", "older"),
        (2, 13, "done", ""),
        (3, 12, "planned", ""),
    ]
    assert journal.runs() == [run_of(1, outcomes={"conflict": 1, "done": 1, "planned": 1})]


def test_an_outcome_without_an_id_keeps_the_one_that_was_planned(journal: Journal) -> None:
    journal.sending(journal.start(PLAN), FIRST)
    journal.answered(1, FIRST, "refused", [Result(1, "failed", None, "no"), Result(2, "failed", None, "no")], "no")
    assert [(op, id_, outcome) for op, _, _, id_, *_, outcome, _ in operations(journal)] == [
        (1, 11, "failed"),
        (2, None, "failed"),
        (3, 12, "planned"),
    ]


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
    assert journal.runs() == [empty, run_of(1, outcomes={"done": 1, "planned": 2})]
    assert journal.batches(2) == []


def test_an_answer_touches_the_operations_of_its_own_run_only(journal: Journal) -> None:
    for run_id in (journal.start(PLAN), journal.start(PLAN)):
        journal.sending(run_id, FIRST)
    journal.answered(2, FIRST, "answered", [Result(1, "done", 11), Result(2, "done", 13)])
    assert journal.runs() == [run_of(2, outcomes={"done": 2, "planned": 1}), run_of(1)]
    assert journal.batches(1) == [batch_of(1, BODY)]


def test_a_transaction_that_fails_leaves_nothing_behind(journal: Journal) -> None:
    twice = made_plan(CHANGES[0], CHANGES[0])
    with pytest.raises(Exception, match="UNIQUE constraint"):
        journal.start(twice)
    assert journal.runs() == []
    assert journal.start(PLAN) == 1


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
        if request.json["add"][0]["request_id"] == 2:
            os._exit(9)
        return answer

adds = [Add(op, f"V{op}", op + 1, {"name": f"P{op}"}) for op in (1, 2, 3)]
client = Client(V2(), Dies(Account(sys.argv[2], sys.argv[3])))
writer.apply(made_plan(*adds, batch_size=1), SCHEMA, client, Journal(Path(sys.argv[1])))
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
    assert (run["state"], run["ended_at"], run["outcomes"]) == ("running", None, {"done": 1, "planned": 2})
    assert [(batch["state"], batch["answered_at"] is None) for batch in journal.batches(1)] == [
        ("answered", False),
        ("sent", True),
    ]
    assert [(op, batch, outcome) for op, *_, batch, outcome, _ in operations(journal)] == [
        (1, 1, "done"),
        (2, 2, "planned"),
        (3, None, "planned"),
    ]


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
    assert {str((run["state"], run["outcomes"])) for run in runs} == {"('done', {'done': 2, 'planned': 1})"}
