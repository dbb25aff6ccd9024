"""Runs after the fact, over the emulator: settled when they were cut off, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catalogsync import runs, sync
from catalogsync.api.auth import APIS
from catalogsync.journal import Operation
from catalogsync.model import Add, Result
from tests.e2e.worlds import CATALOG_ID, World, world
from tests.shop import FIELDS, MAPPING, row


@pytest.fixture(params=APIS)
def account(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(request.param, FIELDS) as account:
        yield account


def _cut_off(account: World, *, sent: int, applied: bool) -> int:
    """A run of three adds whose process ended: `sent` are on their way, applied by the server or not."""
    planned = account.plan([row(str(n), price=str(n)) for n in range(3)], MAPPING, sync.PlanOptions(batch_size=1))
    run_id = account.journal.start(planned.plan)
    for batch in list(account.client.batches(CATALOG_ID, planned.plan.changes, planned.schema, 1))[:sent]:
        account.journal.sending(run_id, batch)
        if applied:
            account.client.write(batch)
    return run_id


def outcomes(operations: list[Operation]) -> list[str]:
    return [operation.outcome for operation in operations]


def test_a_run_that_was_cut_off_is_settled_to_what_the_catalog_says(account: World) -> None:
    run_id = _cut_off(account, sent=2, applied=True)
    ids = sorted(account.state())

    recovered = account.recover()

    results = tuple(Result(op, "done", id_) for op, id_ in enumerate(ids, start=1))
    assert recovered == [runs.Recovered(run_id, results, 1)]
    assert outcomes(account.journal.operations(run_id)) == ["done", "done", "planned"]
    run = account.journal.run(run_id)
    assert run is not None
    assert (run.state, run.message) == ("stopped", "was cut off")


def test_a_run_of_which_nothing_arrived_is_all_still_to_be_sent(account: World) -> None:
    run_id = _cut_off(account, sent=2, applied=False)

    assert account.recover() == [runs.Recovered(run_id, (), 3)]
    assert outcomes(account.journal.operations(run_id)) == ["planned"] * 3


def test_a_run_of_which_everything_arrived_is_done(account: World) -> None:
    _cut_off(account, sent=3, applied=True)

    [recovered] = account.recover()

    assert (recovered.planned_count, len(recovered.results)) == (0, 3)
    assert account.journal.unfinished() == []
    assert account.recover() == []


def test_a_settled_run_is_not_settled_again(account: World) -> None:
    _cut_off(account, sent=2, applied=True)
    account.recover()
    account.emulator.clear_requests()

    assert account.recover() == []

    assert [arrival.path for arrival in account.emulator.requests if "elements" in arrival.path] == []


def test_what_is_left_of_a_run_is_planned_with_the_fewest_requests(account: World) -> None:
    run_id = _cut_off(account, sent=1, applied=True)
    account.recover()
    run = account.journal.run(run_id)
    assert run is not None

    left, overtaken = runs.remaining(run, account.journal.operations(run_id), account.schema(), account.client)

    assert [change.key for change in left.changes if isinstance(change, Add)] == ["1", "2"]
    assert (left.write_requests, overtaken) == (2, ())
