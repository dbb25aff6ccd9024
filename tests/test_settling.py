"""Settling doubt: what became of changes whose answer was lost, over the emulator, in both dialects (law 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync import runs, settling, writer
from catalogsync.api.auth import Account
from catalogsync.api.client import DIALECTS, Client
from catalogsync.api.transport import HttpTransport
from catalogsync.elements import existing_table
from catalogsync.errors import InDoubt, Temporary
from catalogsync.model import Add, Change, Result, Update
from catalogsync.model import Mapping as SheetMapping
from tests.api.helpers import CATALOG_ID, SCHEMA, columns, product
from tests.writing import APIS, READ_AT, Ticking, World, add, delete, outcomes, plan_of, update, world

LOST = ["504 before", "504 after", "drop before", "drop after", "500 before", "500 after", "truncate"]


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=7, cap=True):
        yield


@pytest.fixture
def v2(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture(params=APIS)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, request.param) as made:
        yield made


def method_of(api: str, change: Change) -> str:
    return "PATCH" if api == "v4" and isinstance(change, Update) else "POST"


CHANGES: Mapping[str, list[Change]] = {
    "adds": [add(1), add(2), add(3), add(4)],
    "updates": [update(1, 1), update(2, 2), update(3, 3), update(4, 4)],
    "deletes": [delete(1, 1), delete(2, 2), delete(3, 3), delete(4, 4)],
}
AFTER = {
    "adds": {**{f"V{n}": "" for n in range(1, 9)}, **{f"N{n}": "" for n in range(1, 5)}},
    "updates": {f"V{n}": "7" if n < 5 else "" for n in range(1, 9)},
    "deletes": {f"V{n}": "" for n in range(5, 9)},
}

# --- what is there is adopted, what is not goes out again ---


@pytest.mark.parametrize("kind", list(CHANGES))
@pytest.mark.parametrize("fault", [*LOST, "504 half"])
def test_a_lost_answer_is_settled_and_only_what_is_absent_goes_out_again(either: World, fault: str, kind: str) -> None:
    changes = CHANGES[kind]
    either.emulator.fault(f"{fault} {method_of(either.api, changes[0])}")
    report = either.apply(*changes, settle_s=10)
    assert {result.outcome for result in report.results} == {"done"}
    assert (len(report.results), report.unsent, report.stopped_by) == (4, (), None)
    assert either.amounts() == AFTER[kind]
    again = [] if "after" in fault or fault == "truncate" else [2] if "half" in fault else [4]
    if "504" in fault and again == [4]:
        again = [2, 2]  # with a 504 half as many at a time
    assert either.sizes == [4, *again]
    assert either.states() == ["in doubt", *["answered"] * len(again)]
    # Only an add may land yet, so only adds wait.
    is_missing_add = kind == "adds" and bool(again)
    assert either.clock.slept == ([10] if is_missing_add else [])
    assert either.journal.runs()[0]["outcomes"] == {"done": {kind.removesuffix("s"): 4}}


def test_adopted_elements_are_those_that_the_lost_request_made(either: World) -> None:
    either.emulator.fault("504 after POST")
    report = either.apply(add(1), add(2), settle_s=10)
    codes = either.codes()
    assert outcomes(report) == [(1, "done", codes["N1"][0]), (2, "done", codes["N2"][0])]
    assert sorted(report.stored) == [1, 2]  # adopted ones are read back too


def test_a_batch_of_all_kinds_is_settled_in_three_looks(v2: World) -> None:
    """One for what has an id, another for those of them that did not come (a page may be cut), one for what is new."""
    v2.emulator.fault("504 after POST")
    report = v2.apply(update(1, 1), add(2), delete(3, 2), settle_s=10)
    assert outcomes(report) == [(1, "done", 50_001), (2, "done", 50_009), (3, "done", 50_002)]
    assert v2.methods == ["GET", "POST", "GET", "GET", "GET", "GET"]  # before and after: recheck and read-back


@pytest.mark.parametrize("late_s", [4, 9])
def test_an_add_that_lands_during_the_settling_time_is_adopted(either: World, late_s: int) -> None:
    either.emulator.fault(f"apply-late={late_s} POST")
    report = either.apply(add(1), add(2), settle_s=10)
    assert outcomes(report) == [(1, "done", 50_009), (2, "done", 50_010)]
    assert (either.clock.slept, either.sizes) == ([10], [2])


def test_an_add_that_lands_after_the_settling_time_is_listed_by_the_next_plan(either: World) -> None:
    either.emulator.fault("apply-late=15 POST")
    report = either.apply(add(1), add(2), settle_s=10)
    assert [result.outcome for result in report.results] == ["done", "done"]
    either.clock.now_s += 10
    twice = either.codes()
    assert (len(twice["N1"]), len(twice["N2"])) == (2, 2)
    mapping = SheetMapping("products", CATALOG_ID, columns("name", "4400049"), (columns("4400049"),))
    elements = either.client.elements(SCHEMA, columns("name", "4400049"))
    existing = existing_table(elements, mapping, pd.Index(["N1", "N2"], dtype="str"))
    assert existing.shared == {"N1": tuple(sorted(twice["N1"])), "N2": tuple(sorted(twice["N2"]))}


def test_a_late_first_copy_of_what_was_sent_again_is_adopted_when_the_second_request_was_lost(either: World) -> None:
    """The first request lands after it was given up, the second one not at all: one element, and no third request."""
    either.emulator.fault("apply-late=15 POST")
    either.emulator.fault("drop before POST nth=2")
    report = either.apply(add(1), settle_s=10)
    assert (outcomes(report), either.sizes) == ([(1, "done", 50_009)], [1, 1])
    assert either.codes()["N1"] == [50_009]


# --- who is taken for whom ---

EVERY: Mapping[str, str] = {
    "name": "Twin",
    "4400049": "N1",
    "4400050": "12.5",
    "4400051": "9",
    "4400062": "3692539,3692541",
    "4400063": "1",
    "4400064": "3692",
    "4400065": "2026-03-01",
    "4400066": "1990-05-06",
    "4400067": "1772355600",
    "4400068.city": "Riga",
    "4400068.zip": "LV-1010",
    "4400069.name": "Maker Ltd",
    "4400069.vat_id": "40003",
    "4400071": "https://example.com/a",
    "4400072": "First line",
    "4400073": "Main street 1",
    "4400074": "3701",
}
"""An element of every shape; `OTHERS` has another value for each but its key."""

OTHERS: Mapping[str, str] = {
    "name": "Twin two",
    "4400050": "12.51",
    "4400051": "9.01",
    "4400062": "3692539",
    "4400063": "0",
    "4400064": "3693",
    "4400065": "2026-03-02",
    "4400066": "1990-05-07",
    "4400067": "1772359200",
    "4400068.city": "Tartu",
    "4400068.zip": "LV-1011",
    "4400069.name": "Another Ltd",
    "4400069.vat_id": "40004",
    "4400071": "https://example.com/b",
    "4400072": "First line.",
    "4400073": "Main street 2",
    "4400074": "3702",
}


@pytest.fixture(scope="module", params=APIS)
def shared_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with stamina.set_testing(True, attempts=7, cap=True), world(tmp_path_factory.mktemp("w"), request.param) as made:
        yield made


def settled_as(made: World, wanted: Mapping[str, str], *held: Mapping[str, str]) -> tuple[Result | None, list[int]]:
    """What an add in doubt is settled as, where the catalog has got these new elements; their ids."""
    store = made.emulator.store
    before = [each.id for each in store.elements(CATALOG_ID)]
    highest = max(before)
    for op, values in enumerate(held, 1):
        (batch,) = made.client.batches(CATALOG_ID, [Add(op, "", 2, values)], SCHEMA, 1)
        assert [result.outcome for result in made.client.write(batch)] == ["done"]
    new = sorted(each.id for each in store.elements(CATALOG_ID) if each.id > highest)
    plan = plan_of(columns=dict.fromkeys(EVERY), max_id=highest)
    found = settling.settle(
        [Add(1, "N1", 2, wanted)], plan, SCHEMA, made.client, wait_s=0, sleep=made.clock.sleep, taken=()
    )
    assert len(found.results) + len(found.absent) == 1
    return (found.results[0] if found.results else None), new


@given(keys=st.sets(st.sampled_from(sorted(set(EVERY) - {"4400049"}))), other=st.sampled_from(sorted(OTHERS)))
@settings(max_examples=40)
def test_an_element_that_differs_in_one_field_is_never_adopted_and_one_that_agrees_in_all_is(
    shared_world: World, keys: set[str], other: str
) -> None:
    wanted = {key: text for key, text in EVERY.items() if key in {*keys, "name", "4400049"}}
    if other == "4400069.vat_id" or "4400069.vat_id" in wanted:
        wanted["4400069.name"] = EVERY["4400069.name"]  # a maker has a name
    twin = {**wanted, other: OTHERS[other]}
    if twin.get("4400063") == "0" and "4400063" not in wanted:
        twin["4400063"] = "1"  # an unticked box is as good as none
    result, (id_,) = settled_as(shared_world, wanted, twin)
    assert result is not None
    assert (result.outcome, result.id) == ("unknown", None)
    assert result.message == f"a new element holds its key, not all its values: {id_}; look at them, then run again"
    result, (id_,) = settled_as(shared_world, wanted, wanted)
    assert result == Result(1, "done", id_)


def test_a_value_that_an_add_does_not_set_must_be_empty(shared_world: World) -> None:
    result, (id_,) = settled_as(shared_world, {"name": "Twin", "4400049": "N1"}, EVERY)
    assert result is not None
    assert (result.outcome, str(id_) in result.message) == ("unknown", True)


def test_of_two_exact_copies_none_is_taken(shared_world: World) -> None:
    wanted = {"name": "Twin", "4400049": "N1", "4400050": "5"}
    result, ids = settled_as(shared_world, wanted, wanted, wanted)
    words = f"2 new elements hold its key: {ids[0]}, {ids[1]}; look at them, then run again"
    assert result == Result(1, "unknown", None, words)


def test_an_exact_copy_beside_an_element_with_other_values_is_not_decided_either(shared_world: World) -> None:
    wanted = {"name": "Twin", "4400049": "N1"}
    result, ids = settled_as(shared_world, wanted, wanted, {**wanted, "4400050": "5"})
    words = f"2 new elements hold its key: {ids[0]}, {ids[1]}; look at them, then run again"
    assert result == Result(1, "unknown", None, words)


def test_elements_of_other_keys_are_not_taken(shared_world: World) -> None:
    assert settled_as(shared_world, {"name": "Twin", "4400049": "N1"}, {"name": "Twin", "4400049": "N2"})[0] is None


def test_a_colleague_who_added_the_same_key_meanwhile_is_not_overwritten_and_nothing_is_doubled(either: World) -> None:
    either.emulator.fault(f'add {CATALOG_ID} "New 1" SKU=N1 Amount=99 before POST')
    either.emulator.fault("504 before POST")
    report = either.apply(add(1), add(2), settle_s=10)
    words = "a new element holds its key, not all its values: 50009; look at them, then run again"
    assert report.results == (Result(1, "unknown", None, words), Result(2, "done", 50_010))
    assert (either.amounts()["N1"], either.journal.runs()[0]["state"]) == ("99", "done")


def test_elements_that_other_batches_made_are_not_taken(v2: World) -> None:
    """A hand-made plan with one key twice: the second add is not taken for the first one's element."""
    v2.emulator.fault("504 after POST nth=2")
    twice = [add(1), replace(add(1), op=2)]
    report = v2.apply(*twice, batch_size=1, settle_s=10)
    assert outcomes(report) == [(1, "done", 50_009), (2, "done", 50_010)]


# --- updates and deletes that somebody else was in the way of ---


def test_an_update_in_doubt_of_an_element_that_somebody_edited_is_a_conflict(either: World) -> None:
    either.emulator.fault(f"edit 50001 Price=5 before {method_of(either.api, update(1, 1))}")
    either.emulator.fault(f"504 before {method_of(either.api, update(1, 1))}")
    report = either.apply(update(1, 1), update(2, 2), settle_s=10)
    words = "user 504142 edited the element since it was read"
    assert report.results == (Result(1, "conflict", 50_001, words), Result(2, "done", 50_002))


def test_an_update_in_doubt_whose_field_holds_something_else_is_unknown(either: World) -> None:
    either.emulator.fault(f"edit 50001 Amount=5 after {method_of(either.api, update(1, 1))}")
    either.emulator.fault(f"504 after {method_of(either.api, update(1, 1))}")
    (result,) = either.apply(update(1, 1), settle_s=10).results
    assert (result.outcome, result.id) == ("unknown", 50_001)
    assert result.message.startswith("the catalog holds something else than was written")
    assert either.amounts()["V1"] == "5"


def test_a_delete_in_doubt_of_an_element_that_somebody_edited_is_a_conflict(either: World) -> None:
    either.emulator.fault("edit 50001 Amount=5 before POST")
    either.emulator.fault("504 before POST")
    report = either.apply(delete(1, 1), delete(2, 2), settle_s=10)
    assert [(result.op, result.outcome) for result in report.results] == [(1, "conflict"), (2, "done")]
    assert either.amounts()["V1"] == "5"


def test_an_update_in_doubt_of_an_element_that_is_gone_has_failed(either: World) -> None:
    either.emulator.fault(f"delete 50001 after {method_of(either.api, update(1, 1))}")
    either.emulator.fault(f"504 after {method_of(either.api, update(1, 1))}")
    assert either.apply(update(1, 1)).results == (Result(1, "failed", 50_001, "the element is gone"),)


# --- how much is read ---


@pytest.mark.parametrize(("api", "most"), [("v2", 1), ("v4", 5)])
def test_settling_an_add_reads_the_newest_pages_only(tmp_path: Path, api: str, most: int) -> None:
    """Of 6 and 12 pages: in v2 the newest come first, in v4 the last page has to be found first."""
    edited_at = READ_AT - 86_400
    many = [{**product(number), "updated_at": edited_at - number % 7 * 3_600} for number in range(1, 3_001)]
    with world(tmp_path, api, seeded=many) as made:
        made.emulator.fault("504 after POST")
        report = made.apply_plan(plan_of(add(1), seeded=3_000), settle_s=10)
        assert outcomes(report) == [(1, "done", 53_001)]
        assert made.methods[0] == "POST"
        assert made.methods.count("GET") - 1 <= most  # one is the read-back


def test_a_late_batch_of_a_long_run_reads_only_what_is_newer_than_itself(v2: World) -> None:
    """v4 cannot: its order may be by ``updated_at``, and all that the run made is recent."""
    v2.emulator.fault("504 after POST nth=9")
    report = v2.apply(*(add(op) for op in range(1, 2_251)), settle_s=10)
    assert len(report.with_outcome("done")) == 2_250
    assert v2.methods.count("GET") - 9 == 1


# --- too slow, too often ---


@pytest.mark.parametrize("fault", ["504 before POST", "delay=5 before POST"])
def test_a_server_that_was_too_slow_gets_half_as_much_for_the_rest_of_the_run(tmp_path: Path, fault: str) -> None:
    with world(tmp_path, read_timeout_s=0.5) as v2:
        v2.emulator.fault(f"{fault} nth=2")
        report = v2.apply(*(add(op) for op in range(1, 25)), batch_size=8, settle_s=10)
        assert v2.sizes == [8, 8, 4, 4, 4, 4]
        assert len(report.with_outcome("done")) == 24
        assert all(len(ids) == 1 for ids in v2.codes().values())


@pytest.mark.parametrize("fault", ["drop before POST", "500 before POST", "drop after POST"])
def test_a_lost_answer_for_another_reason_does_not_make_batches_smaller(v2: World, fault: str) -> None:
    v2.emulator.fault(f"{fault} nth=2")
    report = v2.apply(*(add(op) for op in range(1, 25)), batch_size=8, settle_s=10)
    assert v2.sizes == [8, 8, 8] if "after" in fault else v2.sizes == [8, 8, 8, 8]
    assert len(report.with_outcome("done")) == 24


def test_batches_that_are_slow_again_are_halved_again(v2: World) -> None:
    v2.emulator.fault("504 before POST count=3")
    report = v2.apply(*(add(op) for op in range(1, 9)), batch_size=8, settle_s=10)
    assert v2.sizes == [8, 4, 2, *[1] * 8]
    assert len(report.with_outcome("done")) == 8


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("moment", ["before", "half"])
def test_many_lost_answers_in_a_row_end_the_run_and_nothing_is_doubled(
    either: World, moment: str, in_flight: int
) -> None:
    fault = either.emulator.fault(f"504 {moment} POST count=0")
    report = either.apply(*(add(op) for op in range(1, 41)), batch_size=4, settle_s=10, in_flight=in_flight)
    assert isinstance(report.stopped_by, InDoubt)
    assert report.stopped_by.exit_code == 6
    assert "answers in a row were lost, the last one: POST" in str(report.stopped_by)
    assert writer.MOST_DOUBTS <= len(either.writes) <= writer.MOST_DOUBTS + 2 * in_flight + 2
    assert either.journal.runs()[0]["state"] == "stopped"
    done = {result.op for result in report.results}
    assert {result.outcome for result in report.results} <= {"done"}
    assert [change.op for change in report.unsent] == [op for op in range(1, 41) if op not in done]
    fault.count = 1
    assert all(len(ids) == 1 for ids in either.codes().values())
    assert len(either.codes()) == 8 + len(done)
    left = either.apply(*report.unsent, batch_size=4)
    assert len(left.with_outcome("done")) == 40 - len(done)
    assert all(len(ids) == 1 for ids in either.codes().values())


def test_lost_answers_whose_changes_are_all_there_do_not_end_the_run(v2: World) -> None:
    v2.emulator.fault("drop after POST count=0")
    report = v2.apply(*(add(op) for op in range(1, 9)), batch_size=1, settle_s=10)
    assert (len(report.with_outcome("done")), report.stopped_by, len(v2.writes)) == (8, None, 8)


def test_a_catalog_that_cannot_be_read_leaves_the_doubt_for_the_next_run(either: World) -> None:
    either.emulator.fault("504 after POST")
    fault = either.emulator.fault("500 GET count=0")
    report = either.apply(add(1), add(2), add(3), batch_size=2, settle_s=10)
    assert isinstance(report.stopped_by, Temporary)
    assert [result.outcome for result in report.results] == ["unknown", "unknown"]
    assert (report.unsent, either.journal.runs()[0]["outcomes"]) == (
        (add(3),),
        {"planned": {"add": 1}, "sent": {"add": 2}},
    )
    fault.count = 1
    recovered = recover(either)
    assert [(each.run_id, [r.outcome for r in each.results], each.planned_count) for each in recovered] == [
        (1, ["done", "done"], 1)
    ]


# --- after the death of the process ---


class Killed(BaseException):
    """The end of the process."""


def killed(made: World, *changes: Change, after: bool) -> None:
    """A run that dies at its first write, before or after the server has got it."""

    class Dies(HttpTransport):
        def send(self, request: Any) -> Any:
            if request.method != "GET":
                if after:
                    super().send(request)
                raise Killed
            return super().send(request)

    client = Client(DIALECTS[made.api](), Dies(Account(made.emulator.url, made.emulator.token)))
    with pytest.raises(Killed):
        writer.apply(plan_of(*changes), SCHEMA, client, made.journal, writer.WriteOptions(settle_s=0, in_flight=1))
    client.close()


def recover(made: World, schema: Any = SCHEMA, settle_s: float = 10) -> list[runs.Recovered]:
    options = writer.WriteOptions(settle_s=settle_s, stop=Ticking(made.clock))
    return runs.recover(schema, made.client, made.journal, options)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", list(CHANGES))
def test_a_run_that_was_killed_at_a_write_is_settled_by_the_next_one(either: World, kind: str, after: bool) -> None:
    killed(either, *CHANGES[kind], after=after)
    verb = kind.removesuffix("s")
    assert either.journal.runs()[0]["outcomes"] == {"sent": {verb: 4}}
    (recovered,) = recover(either)
    if after:
        assert [result.outcome for result in recovered.results] == ["done"] * 4
        assert either.amounts() == AFTER[kind]
    else:
        assert recovered.results == ()
    run = either.journal.runs()[0]
    assert (recovered.planned_count, run["state"]) == ((0, "done") if after else (4, "stopped"))
    assert run["outcomes"] == {"done" if after else "planned": {verb: 4}}
    assert recover(either) == []


def test_what_is_left_of_the_settling_time_is_waited_for_after_a_kill(either: World) -> None:
    killed(either, add(1), after=False)
    either.clock.now_s += 4
    recover(either)
    assert either.clock.slept == [6]


def test_long_after_a_kill_nothing_is_waited_for(either: World) -> None:
    killed(either, add(1), after=False)
    either.clock.now_s += 60
    recover(either)
    assert either.clock.slept == []


@pytest.mark.parametrize("gone", [4400049, 4400050])
def test_a_field_that_was_deleted_meanwhile_leaves_the_change_unknown_and_no_traceback(
    either: World, gone: int
) -> None:
    """Once its key or a value cannot be read any more, nobody can tell; later runs are not held up by it."""
    changes: list[Change] = [replace(add(1), values={**add(1).values, "4400050": "5"}), update(2, 1)]
    killed(either, *changes, after=True)
    schema = replace(SCHEMA, fields=tuple(field for field in SCHEMA.fields if field.id != gone))
    results = [result for each in recover(either, schema) for result in each.results]
    words = "a field that it needs is gone from the catalog; look at it, then run again"
    sent = [1, 2] if either.api == "v2" else [2]  # v4 sends updates by themselves, and first
    lost = [op for op in sent if op == 1 or gone == 4400050]
    assert [(r.op, r.message) for r in results if r.outcome == "unknown"] == [(op, words) for op in lost]
    assert recover(either, schema) == []


def test_an_add_without_any_answer_is_found_by_an_alternative_key(v2: World) -> None:
    """The element is known by whichever of its keys the sheet used."""
    plan = replace(plan_of(), key_columns=(("4400049",), ("4400072", "4400073")))
    add_ = Add(1, "\x1fA\x1fB", 2, {"name": "New", "4400072": "A", "4400073": "B"})
    (batch,) = v2.client.batches(CATALOG_ID, [add_], SCHEMA, 1)
    (made,) = v2.client.write(batch)
    found = settling.settle([add_], plan, SCHEMA, v2.client, wait_s=0, sleep=v2.clock.sleep)
    assert found == settling.Settled([Result(1, "done", made.id)], [])
