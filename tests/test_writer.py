"""The writer over the emulator: how many requests, what is recorded around each, and what a lost answer leads to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import stamina

from catalogsync import differ, tables, writer
from catalogsync.api.auth import Account
from catalogsync.api.client import Client
from catalogsync.api.dialect import Request, Response
from catalogsync.api.transport import HttpTransport, Retrying
from catalogsync.api.v2 import V2
from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.server import Emulator
from catalogsync.errors import InDoubt, Temporary, Unauthorized, UnexpectedAnswer
from catalogsync.journal import Journal
from catalogsync.model import Add, Change, Delete, Mapping, Result, Update
from catalogsync.plan import Plan, to_json
from tests.api.helpers import (
    CATALOG_ID,
    NOW,
    SCHEMA,
    TOKEN,
    Clock,
    client_of,
    columns,
    made_plan,
    posts,
    product,
    seed,
)

READ_AT = NOW - 86_400
ONE_BY_ONE = writer.WriteOptions(settle_s=0, in_flight=1)
OLDER = "Last modified date is older than in database"


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=7, cap=True):
        yield


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=seed(*map(product, range(1, 9))), rps=0, clock=Clock()) as emulator:
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with client_of(emulator) as client:
        yield client


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite", clock=Clock())


def add(op: int, **values: str) -> Add:
    return Add(op, f"N{op}", op + 1, {"name": f"New {op}", "4400049": f"N{op}", **values})


def update(op: int, number: int, amount: str = "7") -> Update:
    return Update(op, f"V{number}", op + 1, 50_000 + number, READ_AT, {"4400050": ""}, {"4400050": amount})


def delete(op: int, number: int) -> Delete:
    return Delete(op, f"V{number}", 50_000 + number, f"Product {number}", READ_AT)


def apply(client: Client, journal: Journal, *changes: Change, batch_size: int = 250) -> writer.Report:
    """One batch after the other, and no settling time."""
    return writer.apply(made_plan(*changes, batch_size=batch_size), SCHEMA, client, journal, ONE_BY_ONE)


def states(journal: Journal, run_id: int) -> list[Any]:
    return [batch["state"] for batch in journal.batches(run_id)]


def amounts(client: Client) -> dict[str, str]:
    """Vendor code → amount of everything in the catalog; a code that two elements hold is an error."""
    table = client.elements(SCHEMA, columns("4400049", "4400050"))
    assert table["4400049"].is_unique
    return dict(zip(table["4400049"], table["4400050"], strict=True))


# --- requests ---


def test_an_empty_plan_sends_nothing(emulator: Emulator, client: Client, journal: Journal) -> None:
    assert apply(client, journal) == writer.Report(1, (), 0)
    assert emulator.requests == []
    assert (journal.runs()[0]["state"], journal.batches(1)) == ("done", [])


def test_verbs_share_their_requests_and_each_change_travels_once(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    changes: list[Change] = [update(1, 1), add(2), delete(3, 2), add(4), update(5, 3)]
    report = apply(client, journal, *changes, batch_size=3)
    value = {"custom_fields": [{"id": 4400050, "values": [{"value": "7"}]}]}
    assert posts(emulator) == [
        {
            "add": [
                {
                    "catalog_id": CATALOG_ID,
                    "request_id": 2,
                    "name": "New 2",
                    "custom_fields": [{"id": 4400049, "values": [{"value": "N2"}]}],
                }
            ],
            "update": [{"id": 50_001, "catalog_id": CATALOG_ID, "updated_at": READ_AT + 1, **value}],
            "delete": [50_002],
        },
        {
            "add": [
                {
                    "catalog_id": CATALOG_ID,
                    "request_id": 4,
                    "name": "New 4",
                    "custom_fields": [{"id": 4400049, "values": [{"value": "N4"}]}],
                }
            ],
            "update": [{"id": 50_003, "catalog_id": CATALOG_ID, "updated_at": READ_AT + 1, **value}],
        },
    ]
    assert [request.method for request in emulator.requests] == ["GET", "POST", "POST"]  # the delete is looked at
    assert report == writer.Report(
        1,
        (
            Result(1, "done", 50_001),
            Result(2, "done", 50_009),
            Result(3, "done", 50_002),
            Result(4, "done", 50_010),
            Result(5, "done", 50_003),
        ),
        2,
    )
    assert writer.element_ids(report.results) == [50_001, 50_009, 50_002, 50_010, 50_003]


def test_500_changes_take_exactly_two_posts(emulator: Emulator, client: Client, journal: Journal) -> None:
    heard: list[int] = []
    plan = made_plan(*(add(op) for op in range(1, 501)))
    report = writer.apply(plan, SCHEMA, client, journal, progress=heard.append)
    assert [request.method for request in emulator.requests] == ["POST", "POST"]
    assert [len(body["add"]) for body in posts(emulator)] == [250, 250]
    assert (report.write_requests, len(report.with_outcome("done")), heard) == (2, 500, [250, 500])
    assert emulator.store.count(CATALOG_ID) == 508


def test_a_refused_batch_does_not_stop_the_next_one(emulator: Emulator, client: Client, journal: Journal) -> None:
    emulator.fault("400 POST")
    report = apply(client, journal, add(1), add(2), add(3), batch_size=2)
    words = "POST /api/v2/catalog_elements: refused with 400 (400 Bad Request)"
    assert report == writer.Report(
        1,
        (Result(1, "failed", None, words), Result(2, "failed", None, words), Result(3, "done", 50_009)),
        2,
    )
    assert states(journal, 1) == ["refused", "answered"]


@pytest.mark.parametrize(
    ("fault", "kind", "sent"), [("429 POST count=0", Temporary, 7), ("401 POST count=0", Unauthorized, 1)]
)
def test_a_batch_that_certainly_was_not_taken_ends_the_run_as_not_sent(
    emulator: Emulator, client: Client, journal: Journal, fault: str, kind: type[Exception], sent: int
) -> None:
    emulator.fault(fault)
    report = apply(client, journal, add(1), add(2), batch_size=1)
    assert isinstance(report.stopped_by, kind)
    assert (report.results, report.unsent) == ((), (add(1), add(2)))
    assert len(posts(emulator)) == sent
    assert states(journal, 1) == ["not sent"]
    assert journal.runs()[0]["outcomes"] == {"planned": 2}


# --- another user ---


def test_an_edit_between_plan_and_apply_survives_as_a_conflict(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    emulator.store.edit_as_other_user(50_001, values={"Amount": "99"})
    report = apply(client, journal, update(1, 1), update(2, 2))
    assert report.results == (Result(1, "conflict", 50_001, OLDER), Result(2, "done", 50_002))
    assert (amounts(client)["V1"], amounts(client)["V2"]) == ("99", "7")
    assert journal.runs()[0]["outcomes"] == {"conflict": 1, "done": 1}


def test_an_element_deleted_between_plan_and_apply_is_told(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    emulator.store.delete_as_other_user(50_001, 50_002)
    report = apply(client, journal, update(1, 1), delete(2, 2))
    assert report.results == (
        Result(1, "failed", 50_001, "Error 282. Element not found in account: 50001"),
        Result(2, "done", 50_002, "was gone already"),
    )


# --- answers that do not mention everything ---


def test_an_element_edited_between_plan_and_apply_is_not_deleted(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    emulator.store.edit_as_other_user(50_001, values={"Amount": "99"}, at=READ_AT + 5)
    report = apply(client, journal, delete(1, 1), delete(2, 2))
    assert report.results == (
        Result(1, "conflict", 50_001, "somebody edited the element since it was read"),
        Result(2, "done", 50_002),
    )
    assert posts(emulator) == [{"delete": [50_002]}]
    assert amounts(client)["V1"] == "99"
    assert journal.runs()[0]["outcomes"] == {"conflict": 1, "done": 1}


def test_a_batch_of_which_nothing_is_left_is_not_sent(emulator: Emulator, client: Client, journal: Journal) -> None:
    emulator.store.delete_as_other_user(50_001)
    report = apply(client, journal, delete(1, 1))
    assert report.results == (Result(1, "done", 50_001, "was gone already"),)
    assert (posts(emulator), report.write_requests, states(journal, 1)) == ([], 0, [])


def test_a_look_before_a_delete_that_fails_stops_the_run_before_anything_is_sent(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    emulator.fault("500 GET count=0")
    report = apply(client, journal, delete(1, 1), add(2))
    assert (report.results, posts(emulator), [change.op for change in report.unsent]) == ((), [], [1, 2])
    assert isinstance(report.stopped_by, Temporary)


@pytest.mark.parametrize(("answer", "looks"), [("items", 0), ("nested", 0), ("empty", 1)])
def test_deletes_are_settled_by_looking_where_the_answer_is_silent(
    emulator: Emulator, client: Client, journal: Journal, answer: str, looks: int
) -> None:
    emulator.knobs = Knobs(delete_answer=answer)
    report = apply(client, journal, delete(1, 1), add(2), delete(3, 2))
    assert [(result.op, result.outcome, result.id) for result in report.results] == [
        (1, "done", 50_001),
        (2, "done", 50_009),
        (3, "done", 50_002),
    ]
    assert [request.method for request in emulator.requests] == ["GET", "POST", *["GET"] * looks]
    assert sorted(amounts(client)) == ["N2", "V3", "V4", "V5", "V6", "V7", "V8"]


def _silent(emulator: Emulator) -> None:
    """The next POST is taken and answered without a word about any entry."""
    emulator.fault("204 after POST")


def test_what_a_silent_answer_leaves_open_is_looked_up(emulator: Emulator, client: Client, journal: Journal) -> None:
    _silent(emulator)
    report = apply(client, journal, update(1, 1), delete(2, 2), add(3))
    assert report == writer.Report(
        1,
        (
            Result(1, "done", 50_001),
            Result(2, "done", 50_002),
            Result(3, "unknown", None, "the answer does not mention it"),
        ),
        1,
    )


def test_a_look_tells_what_was_not_done(emulator: Emulator, client: Client, journal: Journal) -> None:
    emulator.fault("204 before POST")
    emulator.store.delete_as_other_user(50_003)
    report = apply(client, journal, update(1, 1), delete(2, 2), update(3, 3))
    assert report.results == (
        Result(1, "failed", 50_001, "not stored"),
        Result(2, "failed", 50_002, "still there"),
        Result(3, "failed", 50_003, "the element is gone"),
    )


def test_a_look_that_fails_leaves_the_outcome_unknown(emulator: Emulator, client: Client, journal: Journal) -> None:
    _silent(emulator)
    emulator.fault("500 GET nth=2 count=0")
    report = apply(client, journal, delete(1, 1))
    assert report.results == (Result(1, "unknown", 50_001, "the answer does not mention it"),)
    assert (report.stopped_by, states(journal, 1)) == (None, ["answered"])


def test_a_look_at_a_full_batch_sees_all_of_it_where_pages_are_small(journal: Journal) -> None:
    """250 deletes that the server did not do must not pass for done because a page of 50 shows only some."""
    many = [product(number) for number in range(1, 251)]
    knobs = Knobs(ignore_limit_rows=True)
    with (
        Emulator(seed=seed(*many), rps=0, knobs=knobs, clock=Clock()) as emulator,
        client_of(emulator) as client,
    ):
        emulator.fault("204 before POST")
        report = apply(client, journal, *(delete(number, number) for number in range(1, 251)))
    assert {(result.outcome, result.message) for result in report.results} == {("failed", "still there")}


# --- lost answers ---


@pytest.mark.parametrize(
    ("fault", "words", "stored"),
    [
        ("drop after POST nth=2", "the connection broke: POST /api/v2/catalog_elements", 1),
        ("drop before POST nth=2", "the connection broke: POST /api/v2/catalog_elements", 0),
        (
            "504 after POST nth=2",
            "POST /api/v2/catalog_elements: server error 504 (504 Gateway Timeout)",
            1,
        ),
        ("truncate POST nth=2", "POST /api/v2/catalog_elements: the answer is garbled", 1),
    ],
)
def test_a_lost_answer_to_an_add_is_not_sent_twice_and_stops_the_run(
    emulator: Emulator, client: Client, journal: Journal, fault: str, words: str, stored: int
) -> None:
    emulator.fault(fault)
    report = apply(client, journal, add(1), add(2), add(3), batch_size=1)
    assert isinstance(report.stopped_by, InDoubt)
    assert str(report.stopped_by) == words
    assert report.results == (Result(1, "done", 50_009), Result(2, "unknown", None, words))
    assert (report.unsent, report.write_requests) == ((add(3),), 2)
    assert [body["add"][0]["request_id"] for body in posts(emulator)] == [1, 2]
    assert emulator.store.count(CATALOG_ID) == 9 + stored
    run = journal.runs()[0]
    assert (run["state"], run["message"]) == ("stopped", words)
    assert run["outcomes"] == {"done": 1, "unknown": 1, "planned": 1}
    assert [(batch["state"], batch["message"]) for batch in journal.batches(1)] == [
        ("answered", ""),
        ("in doubt", words),
    ]


def test_an_answer_that_is_no_object_is_in_doubt_not_unsent(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    fault = emulator.fault("200 after POST")
    fault.body = "[]"
    report = apply(client, journal, add(1), add(2), batch_size=1)
    words = "the server's answer is not a JSON object"
    assert isinstance(report.stopped_by, UnexpectedAnswer)
    assert report.results == (Result(1, "unknown", None, words),)
    assert (report.unsent, states(journal, 1)) == ((add(2),), ["in doubt"])


WANTED = ("name", "4400049", "4400050")
MAPPING = Mapping("products", CATALOG_ID, columns(*WANTED), (columns("4400049"),))


def planned(client: Client, sheet: dict[str, str], batch_size: int) -> Plan:
    """A plan that makes the catalog hold `sheet`: vendor code → amount."""
    desired = pd.DataFrame(
        {
            "name": pd.Series([f"Product {code}" for code in sheet], dtype="str"),
            "4400049": pd.Series(list(sheet), dtype="str"),
            "4400050": pd.Series(list(sheet.values()), dtype="str"),
            "row": range(2, len(sheet) + 2),
        }
    ).set_axis(pd.Index(list(sheet), dtype="str"), axis=0)
    existing = tables.existing_table(client.elements(SCHEMA, columns(*WANTED)), MAPPING, desired.index)
    changes = differ.diff(desired, existing.table, MAPPING, pd.Index([], dtype="str")).changes
    return made_plan(*changes, batch_size=batch_size)


@pytest.mark.parametrize("fault", ["drop after POST", "drop before POST", "504 after POST", "504 before POST"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_fresh_plan_after_a_lost_answer_ends_with_one_element_per_key(
    emulator: Emulator, client: Client, journal: Journal, fault: str, nth: int
) -> None:
    sheet = {f"V{number}": str(number) for number in range(1, 13)}
    emulator.fault(f"{fault} nth={nth}")
    first = writer.apply(planned(client, sheet, 4), SCHEMA, client, journal)
    assert isinstance(first.stopped_by, InDoubt)
    second = writer.apply(planned(client, sheet, 4), SCHEMA, client, journal)
    assert second.stopped_by is None
    assert {result.outcome for result in second.results} <= {"done"}
    assert amounts(client) == sheet
    assert planned(client, sheet, 4).changes == ()


# --- what the journal says around each request ---


class Watching:
    """A transport that looks into the journal at the moment a request leaves."""

    def __init__(self, inner: Retrying, journal: Journal) -> None:
        self._inner = inner
        self._journal = journal
        self.seen: list[tuple[Any, Sequence[Any], Any]] = []

    def send(self, request: Request) -> Response:
        run = self._journal.runs()[0]
        self.seen.append((run["state"], states(self._journal, 1), run["outcomes"]))
        return self._inner.send(request)

    def close(self) -> None:
        self._inner.close()


def test_each_request_is_recorded_before_it_leaves_and_after_it_came_back(emulator: Emulator, journal: Journal) -> None:
    watching = Watching(Retrying(HttpTransport(Account(emulator.url, emulator.token))), journal)
    with Client(V2(), watching) as client:
        apply(client, journal, add(1), update(2, 1), batch_size=1)
    assert watching.seen == [
        ("running", ["sent"], {"planned": 2}),
        ("running", ["answered", "sent"], {"done": 1, "planned": 1}),
    ]
    assert (states(journal, 1), journal.runs()[0]["state"]) == (["answered", "answered"], "done")


def test_the_token_is_in_no_journal_and_no_plan(
    emulator: Emulator, client: Client, journal: Journal, tmp_path: Path
) -> None:
    emulator.fault("401 POST nth=2")
    apply(client, journal, add(1), add(2), batch_size=1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(TOKEN.encode() not in path.read_bytes() for path in files)
    assert TOKEN not in str(to_json(made_plan(add(1), add(2))))


def test_a_batch_keeps_the_order_and_number_it_was_planned_with(client: Client) -> None:
    (first, second) = client.batches(CATALOG_ID, [add(1), delete(2, 1), update(3, 2)], SCHEMA, 2)
    assert (first.number, first.changes) == (1, (add(1), delete(2, 1)))
    assert (second.number, second.changes) == (2, (update(3, 2),))
