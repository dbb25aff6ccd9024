"""Writer: a plan becomes the fewest requests, sent, journalled and reported.

Nothing is sent twice that may not be. A request whose answer is lost stops the run: the journal says which
one, and the next plan reads the catalog again before it decides what is still to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from catalogsync.api.client import Client
from catalogsync.api.dialect import Batch
from catalogsync.errors import ApiError, InDoubt, Refused, UnexpectedAnswer
from catalogsync.journal import Journal
from catalogsync.model import Add, Change, Delete, Result, Schema, Update
from catalogsync.plan import Plan
from catalogsync.tables import columns_of


@dataclass(frozen=True)
class Report:
    """What a run did. `stopped_by` is why it ended early, None where it came to its end."""

    run_id: int
    results: tuple[Result, ...]
    write_requests: int
    stopped_by: ApiError | None = None
    unsent: tuple[Change, ...] = field(default=())

    def with_outcome(self, *outcomes: str) -> list[Result]:
        """The results with one of these outcomes."""
        return [result for result in self.results if result.outcome in outcomes]


def apply(
    plan: Plan, schema: Schema, client: Client, journal: Journal, *, progress: Callable[[int], None] | None = None
) -> Report:
    """Send a plan's changes. A refused change is a result, not an exception.

    `progress` hears the number of changes whose request is over. Stops at the first request that could not
    be sent or whose answer was lost, with everything recorded.
    """
    run_id = journal.start(plan)
    results: list[Result] = []
    stopped_by: ApiError | None = None
    written = 0
    queue = _Queue(client, plan, schema)
    for planned in queue:
        try:
            stale = _looked_at(planned, schema, client)
        except ApiError as error:
            stopped_by = error
            break
        if stale:
            journal.found(run_id, stale)
        results += stale
        batch = queue.without(planned, stale)
        if batch is None:
            continue
        journal.sending(run_id, batch)
        written += 1
        try:
            outcome = _settled(batch, client.write(batch), schema, client)
            journal.answered(run_id, batch, "answered", outcome)
        except Refused as error:
            outcome = queue.refused(batch, error)
            journal.answered(run_id, batch, "refused", outcome, str(error))
        except (InDoubt, UnexpectedAnswer) as error:  # both after the request went out
            outcome = [Result(change.op, "unknown", message=str(error)) for change in batch.changes]
            journal.answered(run_id, batch, "in doubt", outcome, str(error))
            stopped_by = error
        except ApiError as error:
            outcome = []
            journal.answered(run_id, batch, "not sent", outcome, str(error))
            stopped_by = error
        results += outcome
        if progress:
            progress(len(results))
        if stopped_by:
            break
    journal.finish(run_id, "stopped" if stopped_by else "done", str(stopped_by or ""))
    sent = {result.op for result in results}
    unsent = tuple(change for change in plan.changes if change.op not in sent)
    results.sort(key=lambda result: result.op)
    return Report(run_id, tuple(results), written, stopped_by, unsent)


class _Queue:
    """The batches of a plan, and again the rest of a refused one whose refusal names the changes at fault."""

    def __init__(self, client: Client, plan: Plan, schema: Schema) -> None:
        self._client, self._plan, self._schema = client, plan, schema
        self._waiting = deque([iter(self._batches(plan.changes))])
        self._number = 0

    def _batches(self, changes: Sequence[Change]) -> Iterator[Batch]:
        return self._client.batches(self._plan.catalog_id, changes, self._schema, self._plan.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        while self._waiting:
            batch = next(self._waiting[0], None)
            if batch is None:
                self._waiting.popleft()
                continue
            self._number += 1
            yield replace(batch, number=self._number)

    def without(self, batch: Batch, settled: Sequence[Result]) -> Batch | None:
        """A batch less the changes that are settled already; None where none is left."""
        if not settled:
            return batch
        done = {result.op for result in settled}
        rest = next(self._batches([change for change in batch.changes if change.op not in done]), None)
        return rest and replace(rest, number=batch.number)

    def refused(self, batch: Batch, error: Refused) -> list[Result]:
        """What a refusal means for its changes. Those it does not name go out again, without the others."""
        named = self._client.read_refusal(batch, error)
        if not named:
            return [Result(change.op, "failed", message=str(error)) for change in batch.changes]
        faulty = {result.op for result in named}
        rest = [change for change in batch.changes if change.op not in faulty]
        self._waiting.appendleft(iter(self._batches(rest)))
        return named


def _looked_at(batch: Batch, schema: Schema, client: Client) -> list[Result]:
    """The changes of a batch that somebody else's edit has overtaken, found by a look just before (law 7).

    Deletes are never compared by the server; updates are where the dialect says so. What happens between this
    look and the write is the stated limit.
    """
    kinds = Delete if client.capabilities.compares_updates else (Update, Delete)
    at_risk = [change for change in batch.changes if isinstance(change, kinds)]
    if not at_risk:
        return []
    found = client.elements_by_ids(schema, (), [change.id for change in at_risk])
    now = dict(zip(found["id"].tolist(), found["updated_at"].tolist(), strict=True))
    return [_overtaken(change, change.id in now) for change in at_risk if now.get(change.id) != change.updated_at]


def _overtaken(change: Update | Delete, is_there: bool) -> Result:
    if is_there:
        return Result(change.op, "conflict", change.id, "somebody edited the element since it was read")
    if isinstance(change, Delete):
        return Result(change.op, "done", change.id, "was gone already")
    return Result(change.op, "failed", change.id, "the element is gone")


def _settled(batch: Batch, results: Sequence[Result], schema: Schema, client: Client) -> list[Result]:
    """Results with the open ones looked up: an update or delete that the answer does not mention (notes 1.2, Q4).

    An add that the answer does not mention stays unknown: nothing identifies it for certain.
    """
    changes = {change.op: change for change in batch.changes}
    open_ids = [r.id for r in results if r.outcome == "unknown" and r.id is not None]
    if not open_ids:
        return list(results)
    keys = dict.fromkeys(key for c in batch.changes if isinstance(c, Update) for key in c.after)
    try:
        found = client.elements_by_ids(schema, columns_of(keys, schema), open_ids).set_index("id")
    except ApiError:  # the batch was answered; what could not be looked up stays unknown
        return list(results)
    return [_looked_up(result, changes[result.op], found) for result in results]


def _looked_up(result: Result, change: Change, found: pd.DataFrame) -> Result:
    if result.outcome != "unknown" or result.id is None:
        return result
    is_there = result.id in found.index
    match change:
        case Delete():
            return Result(result.op, "failed" if is_there else "done", result.id, "still there" if is_there else "")
        case Update() if is_there:
            is_written = all(found.at[change.id, key] == text for key, text in change.after.items())
            return Result(result.op, "done" if is_written else "failed", result.id, "" if is_written else "not stored")
        case Update():
            return Result(result.op, "failed", result.id, "the element is gone")
        case Add():
            return result


def element_ids(results: Iterable[Result]) -> list[int]:
    """The ids of the elements that changes were done to."""
    return [result.id for result in results if result.outcome == "done" and result.id is not None]
