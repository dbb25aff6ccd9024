"""The writer over the emulator: how many requests, what is recorded around each, refusals, other users, the end."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync import batchwriter, differ, looking, writer
from catalogsync.api.auth import Account
from catalogsync.api.client import DIALECTS, Client
from catalogsync.api.dialect import Request, Response
from catalogsync.api.limited import RateLimited
from catalogsync.api.transport import HttpTransport, Retrying
from catalogsync.api.v2 import V2
from catalogsync.elements import existing_table
from catalogsync.emulator.faults import Fault
from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.store import Store
from catalogsync.errors import Refused, Stopped, Temporary, Unauthorized
from catalogsync.journal import Journal
from catalogsync.matching import Match
from catalogsync.model import Change, Mapping, Result, Stored, Update
from catalogsync.outbox import Outbox
from catalogsync.pace import Pace
from catalogsync.plan import Plan, to_json
from catalogsync.stopping import Stop
from tests.api.helpers import CATALOG_ID, NOW, SCHEMA, TOKEN, columns, product
from tests.writing import (
    APIS,
    ONE_BY_ONE,
    READ_AT,
    Ticking,
    World,
    add,
    delete,
    outcomes,
    plan_of,
    update,
    world,
)

OLDER = "Last modified date is older than in database"
EDITED = "user 504142 edited the element since it was read"


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=7, cap=True):
        yield


@pytest.fixture
def v2(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def v4(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, "v4") as made:
        yield made


@pytest.fixture(params=APIS)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, request.param) as made:
        yield made


def stored(id_: int, updated_at: int, **values: str) -> Stored:
    return Stored(id_, updated_at, values)


# --- requests ---


def test_an_empty_plan_sends_nothing(either: World) -> None:
    assert either.apply() == writer.Report(1, (), 0)
    assert either.methods == []
    assert (either.journal.runs()[0]["state"], either.states()) == ("done", [])


def test_verbs_share_their_requests_and_each_change_travels_once(v2: World) -> None:
    changes: list[Change] = [update(1, 1), add(2), delete(3, 2), add(4), update(5, 3)]
    report = v2.apply(*changes, batch_size=3)
    value = {"custom_fields": [{"id": 4400050, "values": [{"value": "7"}]}]}

    def added(op: int) -> dict[str, Any]:
        code = {"id": 4400049, "values": [{"value": f"N{op}"}]}
        return {"catalog_id": CATALOG_ID, "request_id": op, "name": f"New {op}", "custom_fields": [code]}

    def updated(id_: int) -> dict[str, Any]:
        return {"id": id_, "catalog_id": CATALOG_ID, "updated_at": READ_AT + 1, **value}

    assert v2.writes == [
        {"add": [added(2)], "update": [updated(50_001)], "delete": [50_002]},
        {"add": [added(4)], "update": [updated(50_003)]},
    ]
    # The delete is looked at, and each batch is read back.
    assert v2.methods == ["GET", "POST", "GET", "POST", "GET"]
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
        stored={
            1: Stored(50_001, READ_AT + 1, {"4400050": "7"}),
            2: Stored(50_009, NOW, {"name": "New 2", "4400049": "N2"}),
            4: Stored(50_010, NOW, {"name": "New 4", "4400049": "N4"}),
            5: Stored(50_003, READ_AT + 1, {"4400050": "7"}),
        },
    )
    assert batchwriter.element_ids(report.results) == [50_001, 50_009, 50_002, 50_010, 50_003]


def test_in_v4_each_kind_fills_requests_of_its_own(v4: World) -> None:
    report = v4.apply(update(1, 1), add(2), delete(3, 2), add(4), update(5, 3))
    assert v4.methods == ["GET", "PATCH", "GET", "POST", "GET", "GET", "POST"]
    assert v4.sizes == [2, 2, 1]
    assert outcomes(report) == [
        (1, "done", 50_001),
        (2, "done", 50_009),
        (3, "done", 50_002),
        (4, "done", 50_010),
        (5, "done", 50_003),
    ]


def test_500_changes_take_exactly_two_writes(either: World) -> None:
    heard: list[int] = []
    plan = plan_of(*(add(op) for op in range(1, 501)))
    report = writer.apply(plan, SCHEMA, either.client, either.journal, progress=heard.append)
    assert sorted(either.methods) == ["GET", "GET", "POST", "POST"]
    assert either.sizes == [250, 250]
    assert (report.write_requests, len(report.with_outcome("done")), heard) == (2, 500, [250, 500])
    assert either.emulator.store.count(CATALOG_ID) == 508


@pytest.mark.parametrize(
    ("fault", "kind", "sent"), [("429 POST count=0", Temporary, 7), ("401 POST count=0", Unauthorized, 1)]
)
def test_a_batch_that_certainly_was_not_taken_ends_the_run_as_not_sent(
    either: World, fault: str, kind: type[Exception], sent: int
) -> None:
    either.emulator.fault(fault)
    report = either.apply(add(1), add(2), batch_size=1)
    assert isinstance(report.stopped_by, kind)
    assert (report.results, report.unsent, report.write_requests) == ((), (add(1), add(2)), 0)
    assert len(either.writes) == sent
    assert either.states() == ["not sent"]
    assert either.journal.runs()[0]["outcomes"] == {"planned": {"add": 2}}


def test_a_batch_keeps_the_order_it_was_planned_with(v2: World) -> None:
    outbox = Outbox(plan_of(add(1), delete(2, 1), update(3, 2), batch_size=2), SCHEMA, v2.client)
    first, second = outbox.next(), outbox.next()
    assert first
    assert second
    assert outbox.next() is None
    assert (first.batch.changes, second.batch.changes) == ((add(1), delete(2, 1)), (update(3, 2),))


# --- the outbox: nothing is lost in it, nothing comes out of it twice ---


@given(
    count=st.integers(1, 30),
    batch_size=st.integers(1, 8),
    steps=st.lists(st.sampled_from(["done", "again", "halves", "slow"]), max_size=25),
    api=st.sampled_from(APIS),
)
def test_every_change_leaves_the_outbox_until_it_is_done_and_none_is_out_twice(
    count: int, batch_size: int, steps: list[str], api: str
) -> None:
    plan = plan_of(*(add(op) if op % 3 else update(op, op) for op in range(1, count + 1)), batch_size=batch_size)
    outbox = Outbox(plan, SCHEMA, Client(DIALECTS[api](), HttpTransport(Account("http://127.0.0.1:9", ""))))
    out: list[Any] = []
    done: list[int] = []
    fates = iter(steps)
    while True:
        while len(out) < 3 and (task := outbox.next()):
            out.append(task)
            air = [change.op for each in out for change in each.batch.changes]
            assert len(air) == len(set(air))
            assert not set(air) & set(done)
        if not out:
            break
        task = out.pop(0)
        changes, middle = task.batch.changes, len(task.batch.changes) // 2
        fate = next(fates, "done")
        if fate == "slow":
            outbox.halve(task.size)
        if fate == "done":
            done += [change.op for change in changes]
        elif fate == "halves" and middle:
            outbox.put(changes[:middle], None)
            outbox.put(changes[middle:], None)
        else:
            outbox.put(changes, None)
    assert sorted(done) == list(range(1, count + 1))


def test_batches_that_were_slow_together_halve_the_size_once(v2: World) -> None:
    outbox = Outbox(plan_of(*(add(op) for op in range(1, 41)), batch_size=8), SCHEMA, v2.client)
    tasks = [task for _ in range(3) if (task := outbox.next())]
    for task in tasks:
        outbox.halve(task.size)
        outbox.put(task.batch.changes, None)
    again = [task for _ in range(3) if (task := outbox.next())]
    assert [len(task.batch.changes) for task in (*tasks, *again)] == [8, 8, 8, 4, 4, 4]
    outbox.halve(again[0].size)
    outbox.halve(tasks[0].size)  # one of the first comes late: that is no news
    smaller = outbox.next()
    assert smaller
    assert len(smaller.batch.changes) == 2


def test_a_size_of_one_is_not_halved(v2: World) -> None:
    outbox = Outbox(plan_of(add(1), add(2), batch_size=1), SCHEMA, v2.client)
    outbox.halve(1)
    sizes = [len(task.batch.changes) for _ in range(2) if (task := outbox.next())]
    assert (sizes, outbox.next()) == ([1, 1], None)


# --- refused as a whole ---


def test_a_refused_batch_goes_out_in_halves_and_does_not_stop_the_next_one(v2: World) -> None:
    v2.emulator.fault("400 POST")
    report = v2.apply(add(1), add(2), add(3), batch_size=2)
    assert outcomes(report) == [(1, "done", 50_009), (2, "done", 50_010), (3, "done", 50_011)]
    assert (v2.sizes, report.write_requests) == ([2, 1, 1, 1], 4)
    assert v2.states() == ["refused", "answered", "answered", "answered"]


def test_rows_that_a_refusal_names_fail_and_the_rest_goes_out_in_one_more_request(v4: World) -> None:
    wrong = replace(add(2), values={"name": "New 2", "4400064": "99"})  # an option that there is not
    report = v4.apply(add(1), wrong, add(3))
    assert outcomes(report) == [(1, "done", 50_009), (2, "failed", None), (3, "done", 50_010)]
    assert "field 4400064" in report.results[1].message
    assert (v4.sizes, v4.states(), report.stopped_by) == ([3, 2], ["refused", "answered"], None)


@pytest.mark.parametrize("recheck", [True, False])
def test_a_server_that_insists_on_names_gets_those_it_has(tmp_path: Path, recheck: bool) -> None:
    """Without the look before the write the names are read when they are asked for."""
    with world(tmp_path, "v4", knobs=Knobs(v4_name_required=True)) as v4:
        report = v4.apply(update(1, 1), update(2, 2), recheck=recheck)
        assert outcomes(report) == [(1, "done", 50_001), (2, "done", 50_002)]
        assert [[entry.get("name") for entry in body] for body in v4.writes] == [
            [None, None],
            ["Product 1", "Product 2"],
        ]
        assert v4.methods == ["GET", "PATCH", "PATCH", "GET"] if recheck else ["PATCH", "GET", "PATCH", "GET"]
        assert v4.states() == ["not sent", "answered"]


class Poisoned:
    """Refuses every v2 batch that holds one of these operations, as a whole and without a word about which.

    It stands in for a server whose handler fails at a value; the emulator names every entry that it refuses.
    It stores what it accepts as a set of operations, which is all that is asked of it here.
    """

    def __init__(self, poison: set[int]) -> None:
        self.poison = poison
        self.stored: list[int] = []
        self.writes = 0
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        if request.method == "GET":
            return Response(204)
        ops = [entry["request_id"] for entry in request.json["add"]]
        with self._lock:
            self.writes += 1
            if self.poison.intersection(ops):
                raise Refused("POST: refused with 400 (Bad Request)", status=400, body=None)
            self.stored += ops
        items = [{"id": 60_000 + op, "request_id": op} for op in ops]
        return Response(200, {"_embedded": {"items": items}})

    def close(self) -> None:
        pass


def write_poisoned(
    folder: Path, count: int, poison: set[int], *, batch_size: int = 250, in_flight: int = 1
) -> tuple[writer.Report, Poisoned]:
    server = Poisoned(poison)
    journal = Journal(folder / "journal.sqlite")
    plan = plan_of(*(add(op) for op in range(1, count + 1)), batch_size=batch_size)
    options = writer.WriteOptions(settle_s=0, in_flight=in_flight)
    return writer.apply(plan, SCHEMA, Client(V2(), server), journal, options), server


@given(data=st.data(), count=st.integers(2, 250), in_flight=st.sampled_from([1, 3]))
@settings(max_examples=25)
def test_one_poisoned_row_is_isolated_by_halving_and_the_rest_goes_through(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, count: int, in_flight: int
) -> None:
    op = data.draw(st.integers(1, count))
    report, server = write_poisoned(tmp_path_factory.mktemp("run"), count, {op}, in_flight=in_flight)
    assert server.writes - 1 <= 2 * math.ceil(math.log2(count))
    assert (report.write_requests, report.stopped_by, report.unsent) == (server.writes, None, ())
    assert sorted(server.stored) == [each for each in range(1, count + 1) if each != op]
    words = "POST: refused with 400 (Bad Request)"
    assert report.with_outcome("failed") == [Result(op, "failed", None, words)]
    assert len(report.with_outcome("done")) == count - 1


@given(count=st.integers(10, 250), poison=st.sets(st.integers(1, 10), min_size=2, max_size=4), spread=st.booleans())
@settings(max_examples=25)
def test_several_poisoned_rows_are_isolated_too(
    tmp_path_factory: pytest.TempPathFactory, count: int, poison: set[int], spread: bool
) -> None:
    rows = {row * count // 10 for row in poison} if spread else poison
    report, server = write_poisoned(tmp_path_factory.mktemp("run"), count, rows)
    assert [result.op for result in report.with_outcome("failed")] == sorted(rows)
    assert sorted(server.stored) == [op for op in range(1, count + 1) if op not in rows]
    assert server.writes - 1 <= 2 * len(rows) * math.ceil(math.log2(count))
    assert report.stopped_by is None


def test_with_too_many_poisoned_rows_the_search_ends_and_the_rest_of_the_batch_says_so(tmp_path: Path) -> None:
    report, server = write_poisoned(tmp_path, 251, set(range(1, 125, 4)))
    assert server.writes - 2 <= 2 * writer.MOST_POISON * math.ceil(math.log2(250))
    failed = report.with_outcome("failed")
    assert sorted([*(result.op for result in failed), *server.stored]) == list(range(1, 252))
    assert set(range(126, 252)) <= set(server.stored)
    assert any("others; smaller batches tell which is at fault" in result.message for result in failed)
    assert report.stopped_by is None


@pytest.mark.parametrize(("batch_size", "in_flight", "most"), [(250, 1, 16), (250, 3, 50), (8, 1, 100), (1, 3, 102)])
def test_where_everything_is_refused_the_run_ends_early(
    tmp_path: Path, batch_size: int, in_flight: int, most: int
) -> None:
    report, server = write_poisoned(tmp_path, 2_000, set(range(1, 2_001)), batch_size=batch_size, in_flight=in_flight)
    assert server.writes <= most
    assert isinstance(report.stopped_by, Refused)
    assert report.stopped_by.exit_code == 1
    assert len(report.results) + len(report.unsent) == 2_000
    assert len(report.unsent) >= 1_898


# --- what somebody else does meanwhile (law 7) ---


def test_an_edit_before_the_look_is_a_conflict_and_survives(either: World) -> None:
    either.emulator.store.edit_as_other_user(50_001, values={"Amount": "99"})
    either.emulator.store.edit_as_other_user(50_003, values={"Amount": "98"})
    report = either.apply(update(1, 1), update(2, 2), delete(3, 3), delete(4, 4))
    words = OLDER if either.api == "v2" else EDITED
    assert report.results == (
        Result(1, "conflict", 50_001, words),
        Result(2, "done", 50_002),
        Result(3, "conflict", 50_003, EDITED),
        Result(4, "done", 50_004),
    )
    assert {code: either.amounts().get(code) for code in ("V1", "V2", "V3", "V4")} == {
        "V1": "99",
        "V2": "7",
        "V3": "98",
        "V4": None,
    }
    assert either.journal.runs()[0]["outcomes"] == {
        "conflict": {"delete": 1, "update": 1},
        "done": {"delete": 1, "update": 1},
    }


@pytest.mark.parametrize(
    ("api", "change", "is_seen"),
    [("v2", "update", True), ("v4", "update", False), ("v2", "delete", False), ("v4", "delete", False)],
)
def test_an_edit_between_the_look_and_the_write_is_the_stated_limit(
    tmp_path: Path, api: str, change: str, is_seen: bool
) -> None:
    """Only the server itself could tell, which v2 does for updates."""
    with world(tmp_path, api) as made:
        made.emulator.fault(f"edit 50001 Amount=99 before {'PATCH' if (api, change) == ('v4', 'update') else 'POST'}")
        report = made.apply(update(1, 1) if change == "update" else delete(1, 1))
        assert outcomes(report) == [(1, "conflict" if is_seen else "done", 50_001)]


def test_an_element_deleted_between_plan_and_apply_is_told(either: World) -> None:
    either.emulator.store.delete_as_other_user(50_001, 50_002)
    report = either.apply(update(1, 1), delete(2, 2))
    gone = "Error 282. Element not found in account: 50001" if either.api == "v2" else "the element is gone"
    assert report.results == (Result(1, "failed", 50_001, gone), Result(2, "done", 50_002, "was gone already"))


def test_an_element_edited_between_plan_and_apply_is_not_deleted(either: World) -> None:
    either.emulator.store.edit_as_other_user(50_001, values={"Amount": "99"}, at=READ_AT + 5)
    report = either.apply(delete(1, 1), delete(2, 2))
    assert report.results == (Result(1, "conflict", 50_001, EDITED), Result(2, "done", 50_002))
    assert either.writes == [{"delete": [50_002]}]
    assert either.amounts()["V1"] == "99"
    assert either.journal.runs()[0]["outcomes"] == {"conflict": {"delete": 1}, "done": {"delete": 1}}


def test_without_recheck_nothing_is_looked_at_before_a_write(either: World) -> None:
    either.emulator.store.edit_as_other_user(50_003, values={"Amount": "98"})
    report = either.apply(update(1, 1), delete(2, 3), recheck=False)
    assert outcomes(report) == [(1, "done", 50_001), (2, "done", 50_003)]
    assert either.methods == (["POST", "GET"] if either.api == "v2" else ["PATCH", "GET", "POST"])


def this_second(op: int, number: int, **kept: str) -> Update:
    """An update of an element that was edited in the very second in which it was read."""
    return replace(update(op, number, updated_at=NOW), kept=kept)


@pytest.mark.parametrize("late", [True, False])
def test_a_second_edit_in_the_second_of_the_first_is_seen(either: World, late: bool) -> None:
    """The stamp says nothing: only the values do, once that second is over."""
    either.emulator.store.edit_as_other_user(50_001, name="First edit")
    either.emulator.store.edit_as_other_user(50_002, name="First edit")
    if late:  # while the look waits for the second to pass
        either.emulator.fault("edit 50001 Amount=99 after GET")
    else:
        either.emulator.store.edit_as_other_user(50_001, values={"Amount": "99"})
    report = either.apply(this_second(1, 1), this_second(2, 2))
    assert report.results == (Result(1, "conflict", 50_001, EDITED), Result(2, "done", 50_002))
    assert (either.amounts()["V1"], either.amounts()["V2"]) == ("99", "7")
    assert either.clock.slept
    assert set(either.clock.slept) == {looking.LOOK_S}


def test_so_is_one_of_an_element_that_is_to_be_deleted(either: World) -> None:
    store = either.emulator.store
    for id_ in (50_001, 50_002):
        store.edit_as_other_user(id_, name="First edit")
    store.edit_as_other_user(50_001, name="Second edit")
    deletes = [replace(delete(op, op), updated_at=NOW, before={"name": "First edit"}) for op in (1, 2)]
    report = either.apply(*deletes)
    assert report.results == (Result(1, "conflict", 50_001, EDITED), Result(2, "done", 50_002))


@pytest.mark.parametrize("edit", [{"city": "Riga", "zip": "LV-1"}, {"city": "Tartu"}, {}])
def test_so_is_one_of_a_subtype_that_would_be_sent_again_as_it_was(either: World, edit: dict[str, str]) -> None:
    """The update sets the street: city and zip travel along, and would put back what was read."""
    store = either.emulator.store
    store.edit_as_other_user(50_001, values={"Depot": {"city": "Riga"}})
    change = Update(
        1,
        "V1",
        2,
        50_001,
        NOW,
        {"4400068.address_line_1": ""},
        {"4400068.address_line_1": "Brīvības 1"},
        kept={"4400068.city": "Riga"},
    )
    store.edit_as_other_user(50_001, values={"Depot": edit or None})
    report = either.apply(change)
    assert report.results == (Result(1, "conflict", 50_001, EDITED),)
    assert either.writes == []


def test_an_element_stamped_in_the_future_is_looked_at_a_few_times_only(v2: World) -> None:
    v2.emulator.store.edit_as_other_user(50_001, name="Ahead", at=NOW + 50)
    report = v2.apply(update(1, 1, updated_at=NOW + 50))
    assert outcomes(report) == [(1, "done", 50_001)]
    assert v2.methods == ["GET"] * looking.MOST_LOOKS + ["POST", "GET"]


def test_a_batch_of_which_nothing_is_left_is_not_sent(either: World) -> None:
    either.emulator.store.delete_as_other_user(50_001)
    report = either.apply(delete(1, 1))
    assert report.results == (Result(1, "done", 50_001, "was gone already"),)
    assert (either.writes, report.write_requests, either.states()) == ([], 0, [])


def test_what_a_look_settles_takes_nothing_of_a_batch_along_after_batches_were_halved(v2: World) -> None:
    """The batch was drawn at a size that has been halved by the time of its look."""
    halved = threading.Event()
    v2.emulator.store.delete_as_other_user(50_001)
    v2.emulator.fault("504 before POST")
    plan = plan_of(
        *(add(op) for op in range(1, 9)), delete(9, 1), *(delete(op, op - 8) for op in range(10, 17)), batch_size=8
    )
    halve = Outbox.halve

    original = looking.look

    def slow_look(changes: Sequence[Change], *rest: Any, **more: Any) -> looking.Looked:
        found = original(changes, *rest, **more)
        if any(change.op == 9 for change in changes):
            assert halved.wait(30)
        return found

    def halving(self: Outbox, size: int) -> None:
        halve(self, size)
        halved.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batchwriter, "look", slow_look)
        patch.setattr(Outbox, "halve", halving)
        report = v2.apply_plan(plan, in_flight=2)
    assert (len(report.with_outcome("done")), report.unsent, report.stopped_by) == (16, (), None)


def test_a_look_before_a_delete_that_fails_stops_the_run_before_anything_is_sent(either: World) -> None:
    either.emulator.fault("500 GET count=0")
    report = either.apply(delete(1, 1))
    assert (report.results, either.writes, report.unsent) == ((), [], (delete(1, 1),))
    assert isinstance(report.stopped_by, Temporary)


# --- answers that do not mention everything ---


@pytest.mark.parametrize(("answer", "looks"), [("items", 0), ("nested", 0), ("empty", 1)])
def test_deletes_are_settled_by_looking_where_the_answer_is_silent(v2: World, answer: str, looks: int) -> None:
    v2.emulator.knobs = Knobs(delete_answer=answer)
    report = v2.apply(delete(1, 1), add(2), delete(3, 2))
    assert outcomes(report) == [(1, "done", 50_001), (2, "done", 50_009), (3, "done", 50_002)]
    assert v2.methods == ["GET", "POST", *["GET"] * looks, "GET"]
    assert sorted(v2.amounts()) == ["N2", "V3", "V4", "V5", "V6", "V7", "V8"]


def test_what_a_silent_answer_leaves_open_is_looked_up_adds_too(v2: World) -> None:
    v2.emulator.fault("204 after POST")
    report = v2.apply(update(1, 1), delete(2, 2), add(3))
    assert report.results == (Result(1, "done", 50_001), Result(2, "done", 50_002), Result(3, "done", 50_009))
    assert (report.write_requests, v2.states(), report.stopped_by) == (1, ["answered"], None)


def test_a_look_tells_what_a_silent_answer_did_not_do(v2: World) -> None:
    """The server has answered: what is not there then was refused, and is not sent again."""
    v2.emulator.fault("204 before POST")
    v2.emulator.store.delete_as_other_user(50_003)
    report = v2.apply(update(1, 1), delete(2, 2), update(3, 3), add(4))
    assert report.results == (
        Result(1, "failed", 50_001, "not stored"),
        Result(2, "failed", 50_002, "not stored"),
        Result(3, "failed", 50_003, "the element is gone"),
        Result(4, "failed", None, "not stored"),
    )
    assert (len(v2.writes), v2.clock.slept) == (1, [])


def test_a_look_that_fails_leaves_the_outcome_unknown_and_stops_the_run(v2: World) -> None:
    v2.emulator.fault("204 after POST")
    v2.emulator.fault("500 GET nth=2 count=0")
    report = v2.apply(delete(1, 1), add(2), batch_size=1)
    assert report.results == (Result(1, "unknown", 50_001, "the answer does not mention it"),)
    assert isinstance(report.stopped_by, Temporary)
    assert (report.unsent, v2.states(), v2.journal.unfinished()) == ((add(2),), ["answered"], [1])
    assert v2.journal.runs()[0]["outcomes"] == {"planned": {"add": 1}, "sent": {"delete": 1}}


def test_a_look_at_a_full_batch_sees_all_of_it_where_pages_are_small(tmp_path: Path) -> None:
    """250 deletes that the server did not do must not pass for done because a page of 50 shows only some."""
    many = [product(number) for number in range(1, 251)]
    with world(tmp_path, seeded=many, knobs=Knobs(ignore_limit_rows=True)) as v2:
        v2.emulator.fault("204 before POST")
        report = v2.apply(*(delete(number, number) for number in range(1, 251)))
    assert {(result.outcome, result.message) for result in report.results} == {("failed", "not stored")}
    assert len(report.results) == 250


# --- several batches on their way ---


@pytest.mark.parametrize("api", APIS)
def test_batches_are_on_their_way_together(tmp_path: Path, api: str) -> None:
    """Each write is held back until five have arrived: one after the other, or by fours, they would never come."""
    arrived = threading.Semaphore(0)
    together = threading.Event()

    with world(tmp_path, api) as made:

        class Held(HttpTransport):
            def send(self, request: Request) -> Response:
                if request.method == "POST":
                    arrived.release()
                    if sum(each.method == "POST" for each in made.emulator.requests) or together.wait(20):
                        return super().send(request)
                    raise AssertionError("the batches come one after the other")
                return super().send(request)

        def watch() -> None:
            for _ in range(5):
                assert arrived.acquire(timeout=20)
            together.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        client = Client(DIALECTS[api](), Held(Account(made.emulator.url, made.emulator.token)))
        plan = plan_of(*(add(op) for op in range(1, 13)), batch_size=2)
        report = writer.apply(plan, SCHEMA, client, made.journal, writer.WriteOptions(settle_s=0))
        watcher.join()
        client.close()
        assert together.is_set()
        assert len(report.with_outcome("done")) == 12
        assert sorted(made.codes()) == sorted([f"V{n}" for n in range(1, 9)] + [f"N{n}" for n in range(1, 13)])


def test_a_second_batch_arrives_before_the_first_one_is_answered(v2: World) -> None:
    """By the server's own log, every request taking 300 ms; never more than the batches that may be on their way."""
    most: list[int] = []

    def count(_store: Store) -> None:
        most.append(sum(each.status is None and each.method == "POST" for each in v2.emulator.requests))

    v2.emulator.fault("delay=0.3 * count=0".replace("* ", ""))
    v2.emulator.fault(Fault("call", "POST", count=0, when="after", call=count))
    v2.apply(*(add(op) for op in range(1, 7)), batch_size=1, in_flight=3)
    assert len(most) == 6
    assert 2 <= max(most) <= 3


def test_batches_together_stay_within_the_rate(v2: World, tmp_path: Path) -> None:
    inner = HttpTransport(Account(v2.emulator.url, v2.emulator.token))
    transport = Retrying(RateLimited(inner, turns_file=tmp_path / "turns.sqlite", pace=Pace(7)))
    v2.emulator.fault("delay=0.3 count=0")
    with Client(V2(), transport) as client:
        plan = plan_of(*(add(op) for op in range(1, 11)), batch_size=1)
        report = writer.apply(plan, SCHEMA, client, v2.journal, writer.WriteOptions(settle_s=0))
    assert len(report.with_outcome("done")) == 10
    at = [each.at_s for each in v2.emulator.requests]
    assert len(at) == 20
    assert all(later - earlier > 1 for earlier, later in zip(at, at[7:], strict=False))


# --- asked to stop ---


class AskedWhen(HttpTransport):
    """Asks to stop when a request is about to leave, or has been answered."""

    def __init__(self, made: World, stop: Stop, wanted: Callable[[Request], bool], *, after: bool = False) -> None:
        super().__init__(Account(made.emulator.url, made.emulator.token))
        self.stop, self.wanted, self.after = stop, wanted, after

    def send(self, request: Request) -> Response:
        if not self.after and self.wanted(request):
            self.stop.ask(15)
        answer = super().send(request)
        if self.after and self.wanted(request):
            self.stop.ask(15)
        return answer


def is_write(request: Request) -> bool:
    return request.method != "GET"


def test_asked_to_stop_the_batch_in_the_air_is_finished_and_read_back(either: World) -> None:
    stop = Ticking(either.clock)
    client = Client(DIALECTS[either.api](), AskedWhen(either, stop, is_write))
    options = replace(ONE_BY_ONE, stop=stop)
    report = writer.apply(plan_of(add(1), add(2), add(3), batch_size=1), SCHEMA, client, either.journal, options)
    client.close()
    assert isinstance(report.stopped_by, Stopped)
    assert report.stopped_by.exit_code == 143
    assert (outcomes(report), report.unsent) == ([(1, "done", 50_009)], (add(2), add(3)))
    assert sorted(report.stored) == [1]
    assert either.methods == ["POST", "GET"]
    assert (either.states(), either.journal.runs()[0]["state"]) == (["answered"], "stopped")


def test_asked_to_stop_during_the_look_before_a_write_nothing_is_sent(either: World) -> None:
    stop = Ticking(either.clock)
    client = Client(DIALECTS[either.api](), AskedWhen(either, stop, lambda request: not is_write(request)))
    report = writer.apply(plan_of(delete(1, 1)), SCHEMA, client, either.journal, replace(ONE_BY_ONE, stop=stop))
    client.close()
    assert (report.results, report.unsent, either.writes) == ((), (delete(1, 1),), [])
    assert either.journal.runs()[0]["outcomes"] == {"planned": {"delete": 1}}


def test_a_stop_cuts_the_settling_time_short_but_decides_nothing_about_an_add_that_may_land_yet(v2: World) -> None:
    """It stays in doubt: were it planned again, the next run would send it while the first one is still to land."""

    class Woken(Stop):
        """Was asked before the first second of the sleep was over."""

        def sleep(self, seconds: float) -> None:
            pass

    stop = Woken()
    v2.emulator.fault("apply-late=5 POST")
    client = Client(V2(), Retrying(AskedWhen(v2, stop, lambda request: not is_write(request), after=True)))
    options = replace(ONE_BY_ONE, stop=stop, settle_s=10)
    report = writer.apply(plan_of(update(1, 1), add(2)), SCHEMA, client, v2.journal, options)
    client.close()
    words = "POST /api/v2/catalog_elements: server error 504 (504 Gateway Timeout); it may still be stored"
    assert report.results == (Result(2, "unknown", None, words),)
    assert v2.journal.runs()[0]["outcomes"] == {"planned": {"update": 1}, "sent": {"add": 1}}
    assert v2.journal.unfinished() == [1]


def test_a_batch_that_is_not_waited_for_any_longer_is_told_as_unknown(
    v2: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not sent by then is told as not sent, and stays unsent."""
    monkeypatch.setattr(writer, "STOP_S", 0.0)
    stop, go_on = Stop(), threading.Event()

    class Hangs(HttpTransport):
        def send(self, request: Request) -> Response:
            if is_write(request):
                stop.ask(2)
                assert go_on.wait(30)
            return super().send(request)

    client = Client(V2(), Hangs(Account(v2.emulator.url, v2.emulator.token)))
    report = writer.apply(
        plan_of(add(1), add(2), batch_size=1), SCHEMA, client, v2.journal, replace(ONE_BY_ONE, stop=stop)
    )
    run = v2.journal.runs()[0]
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith(writer.THREADS):
            thread.join(30)
    client.close()
    assert report.results == (Result(1, "unknown", None, "its answer was not waited for"),)
    assert (report.unsent, run["state"]) == ((add(2),), "stopped")
    assert run["outcomes"] == {"planned": {"add": 1}, "sent": {"add": 1}}


# --- ends that nobody asked for ---


class Killed(BaseException):
    """The end of the process, as far as one thread of a test can have it."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_at_a_write_goes_through_and_nothing_more_is_recorded_of_its_batch(either: World, moment: str) -> None:
    class Dies(HttpTransport):
        def send(self, request: Request) -> Response:
            if moment == "before":
                raise Killed
            super().send(request)
            raise Killed

    client = Client(DIALECTS[either.api](), Dies(Account(either.emulator.url, either.emulator.token)))
    with pytest.raises(Killed):
        writer.apply(plan_of(add(1), add(2), batch_size=1), SCHEMA, client, either.journal, ONE_BY_ONE)
    client.close()
    assert either.states() == ["sent"]
    run = either.journal.runs()[0]
    assert (run["state"], run["outcomes"]) == ("running", {"planned": {"add": 1}, "sent": {"add": 1}})


def test_a_defect_in_one_batch_is_raised_when_the_others_are_recorded(v2: World) -> None:
    """Three are on their way: the first breaks at once, the two others get their answers after that."""
    broken = threading.Event()

    class Breaks(HttpTransport):
        def send(self, request: Request) -> Response:
            if is_write(request):
                if request.json["add"][0]["request_id"] == 1:
                    broken.set()
                    raise ZeroDivisionError("a defect")
                assert broken.wait(30)
            return super().send(request)

    client = Client(V2(), Breaks(Account(v2.emulator.url, v2.emulator.token)))
    with pytest.raises(ZeroDivisionError):
        writer.apply(plan_of(*(add(op) for op in range(1, 8)), batch_size=1), SCHEMA, client, v2.journal)
    client.close()
    run = v2.journal.runs()[0]
    assert run["state"] == "running"
    assert run["outcomes"]["sent"] == {"add": 1}
    assert 2 <= run["outcomes"]["done"]["add"] < 6


def test_an_answer_of_another_shape_is_in_doubt_and_settled(either: World) -> None:
    fault = either.emulator.fault("200 after POST")
    fault.body, fault.content_type = '{"_embedded": {"elements": [{}, 5], "items": 7}}', "application/json"
    report = either.apply(add(1), add(2), batch_size=1)
    assert outcomes(report) == [(1, "done", 50_009), (2, "done", 50_010)]
    assert report.stopped_by is None
    assert sorted(either.codes()) == ["N1", "N2", *(f"V{n}" for n in range(1, 9))]


# --- what the journal says around each request ---


class Watching:
    """A transport that looks into the journal at the moment a request leaves."""

    def __init__(self, inner: Retrying, journal: Journal) -> None:
        self._inner = inner
        self._journal = journal
        self.seen: list[tuple[Any, Sequence[Any], Any]] = []

    def send(self, request: Request) -> Response:
        run = self._journal.runs()[0]
        states = [batch["state"] for batch in self._journal.batches(1)]
        self.seen.append((run["state"], states, run["outcomes"]))
        return self._inner.send(request)

    def close(self) -> None:
        self._inner.close()


def test_each_request_is_recorded_before_it_leaves_and_after_it_came_back(v2: World) -> None:
    watching = Watching(Retrying(HttpTransport(Account(v2.emulator.url, v2.emulator.token))), v2.journal)
    with Client(V2(), watching) as client:
        writer.apply(plan_of(add(1), update(2, 1), batch_size=1), SCHEMA, client, v2.journal, ONE_BY_ONE)
    one_done = {"done": {"add": 1}, "planned": {"update": 1}}
    assert watching.seen == [
        ("running", ["sent"], {"planned": {"update": 1}, "sent": {"add": 1}}),
        ("running", ["answered"], one_done),  # read back
        ("running", ["answered", "sent"], {"done": {"add": 1}, "sent": {"update": 1}}),
        ("running", ["answered", "answered"], {"done": {"add": 1, "update": 1}}),
    ]
    assert (v2.states(), v2.journal.runs()[0]["state"]) == (["answered", "answered"], "done")
    assert [(o.outcome, o.stored, o.batch, o.sent_at) for o in v2.journal.operations(1)] == [
        ("done", Stored(50_009, NOW, {"name": "New 1", "4400049": "N1"}), 1, NOW),
        ("done", Stored(50_001, READ_AT + 1, {"4400050": "7"}), 2, NOW),
    ]


def test_a_delete_is_recorded_with_all_that_the_element_held(either: World) -> None:
    either.apply(delete(1, 1))
    assert [operation.image for operation in either.journal.operations(1)] == [
        {"name": "Product 1", "4400049": "V1", "4400063": "0"}
    ]


def test_the_token_is_in_no_journal_and_no_plan(either: World, tmp_path: Path) -> None:
    either.emulator.fault("401 POST nth=2")
    either.apply(add(1), add(2), batch_size=1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(TOKEN.encode() not in path.read_bytes() for path in files)
    assert TOKEN not in str(to_json(plan_of(add(1), add(2))))


# --- a whole run, and another one after it ---

WANTED = ("name", "4400049", "4400050")
MAPPING = Mapping("products", CATALOG_ID, columns(*WANTED), (columns("4400049"),))


def planned(made: World, sheet: dict[str, str], batch_size: int) -> Plan:
    """A plan that makes the catalog hold `sheet`: vendor code → amount."""
    desired = pd.DataFrame(
        {
            "name": pd.Series([f"Product {code}" for code in sheet], dtype="str"),
            "4400049": pd.Series(list(sheet), dtype="str"),
            "4400050": pd.Series(list(sheet.values()), dtype="str"),
            "row": range(2, len(sheet) + 2),
        }
    ).set_axis(pd.Index(list(sheet), dtype="str"), axis=0)
    existing = existing_table(made.client.elements(SCHEMA, columns(*WANTED)), MAPPING, desired.index)
    changes = differ.diff(Match.of(desired, existing.table), MAPPING, pd.Index([], dtype="str")).changes
    facts = {"existing_count": existing.element_count, "max_id": existing.max_id}
    return plan_of(*changes, batch_size=batch_size, **facts)


@pytest.mark.parametrize("fault", ["drop after", "drop before", "504 after", "504 before", "504 half"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_run_with_a_lost_answer_ends_with_one_element_per_key_and_nothing_left_to_do(
    either: World, fault: str, nth: int
) -> None:
    sheet = {f"V{number}": str(number) for number in range(1, 13)}
    method, turn = ("POST", nth) if either.api == "v2" else ("PATCH", nth) if nth < 3 else ("POST", 1)
    either.emulator.fault(f"{fault} {method} nth={turn}")
    report = either.apply_plan(planned(either, sheet, 4), settle_s=10)
    assert (report.stopped_by, report.unsent) == (None, ())
    assert {result.outcome for result in report.results} == {"done"}
    assert either.amounts() == sheet
    assert planned(either, sheet, 4).changes == ()
    assert "in doubt" in either.states()
