"""Batch writer: one batch through its steps: look, journal, request, journal, settling where need be, read-back.

Each batch is written in a thread of its own. What comes of it is a value; what is done with that is the run's
business (writer.py). What the batches of a run have to know of each other is guarded by a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from catalogsync.api.client import Client
from catalogsync.api.dialect import Batch
from catalogsync.budget import Purse, spending
from catalogsync.elements import columns_of
from catalogsync.errors import ApiError, CatalogSyncError, InDoubt, Refused, UnexpectedAnswer
from catalogsync.journal import Journal
from catalogsync.looking import Looked, look, rows_of
from catalogsync.model import NAME, Add, Change, Delete, Result, Schema, Stored, Update
from catalogsync.outbox import Task
from catalogsync.plan import Plan
from catalogsync.readback import Difference, differences, written_by
from catalogsync.settling import settle
from catalogsync.stopping import Stop


@dataclass
class Outcome:
    """What came of a batch: results, changes to send again, and why the run ends, if it does.

    `refused` is a batch that was refused without naming a change, `lost_by` why an answer did not come.
    """

    results: list[Result] = field(default_factory=list)
    again: list[Change] = field(default_factory=list)
    stored: dict[int, Stored] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    stopped_by: CatalogSyncError | None = None
    refused: tuple[Batch, Refused] | None = None
    lost_by: ApiError | None = None
    is_taken: bool = False
    requests: int = 0


class BatchWriter:
    """Writes the batches of one run. The options are those of `writer.WriteOptions`."""

    def __init__(
        self,
        plan: Plan,
        schema: Schema,
        client: Client,
        journal: Journal,
        run_id: int,
        *,
        settle_s: float,
        recheck: bool,
        stop: Stop,
    ) -> None:
        self._plan, self._schema, self._client, self._journal, self._run_id = plan, schema, client, journal, run_id
        self._settle_s, self._recheck, self._stop = settle_s, recheck, stop
        self._budget = client.budget
        self._sharing = threading.Lock()
        self._number = 0
        self._made: set[int] = set()
        self._newest_id = 0
        self._older_than: dict[int, int] = {}

    def write(self, task: Task) -> Outcome:
        """Write a batch, in a thread of its own. Raises nothing but defects."""
        try:
            return self._written(task)
        finally:
            self._budget.give_back(task.purses)

    def _written(self, task: Task) -> Outcome:
        outcome, stop = Outcome(), self._stop
        for_look, for_write, for_reading = task.purses
        for_reading.may_exceed = True
        try:
            with spending(for_look):
                looked = look(
                    task.batch.changes,
                    self._plan,
                    self._schema,
                    self._client,
                    recheck=self._recheck,
                    stop=stop,
                )
        except ApiError as error:
            outcome.stopped_by = error
            return outcome
        if looked.results:
            self._journal.found(self._run_id, looked.results)
            outcome.results += looked.results
        batch = self._without(task.batch, looked.results)
        if batch is None or stop:
            return outcome
        task.is_sent = True
        with spending(for_write):
            self._write(batch, looked, outcome)
        with spending(for_reading):
            self._read_back(batch, outcome)
        with self._sharing:
            self._made.update(element_ids(outcome.results))
            self._newest_id = max(self._made, default=0)
        return outcome

    def _without(self, batch: Batch, settled: Sequence[Result]) -> Batch | None:
        """A batch less the changes that are settled already; None where none is left."""
        if not settled:
            return batch
        done = {result.op for result in settled}
        rest = [change for change in batch.changes if change.op not in done]
        if not rest:
            return None
        return next(self._client.batches(self._plan.catalog_id, rest, self._schema, len(rest)))

    def _write(self, batch: Batch, looked: Looked, outcome: Outcome, *, is_amended: bool = False) -> None:
        """The request itself, recorded before and after."""
        with self._sharing:
            self._number += 1
            batch = replace(batch, number=self._number)
            for change in batch.changes:  # of one that is sent again: the first time, it may land yet
                self._older_than.setdefault(change.op, self._newest_id)
        self._journal.sending(self._run_id, batch, looked.images)
        outcome.requests += 1
        try:
            results = self._client.write(batch)
        except Refused as error:
            self._refused(batch, error, looked, outcome, is_amended=is_amended)
        except (InDoubt, UnexpectedAnswer) as error:  # both after the request went out
            outcome.lost_by = error
            self._journal.answered(self._run_id, batch, "in doubt", [], str(error))
            outcome.again += self._settle(batch.changes, error, outcome, wait_s=self._settle_s)
        except ApiError as error:
            self._journal.not_sent(self._run_id, batch, str(error))
            outcome.requests -= 1
            outcome.stopped_by = error
        else:
            outcome.is_taken = True
            self._answered(batch, results, outcome)

    def _answered(self, batch: Batch, results: Sequence[Result], outcome: Outcome) -> None:
        """An answer says what became of the changes; those it does not mention are settled (notes 8, Q4)."""
        told = [result for result in results if result.outcome != "unknown"]
        changes = {change.op: change for change in batch.changes}
        silent = [changes[result.op] for result in results if result.outcome == "unknown"]
        self._journal.answered(self._run_id, batch, "answered", told)
        outcome.results += told
        if silent:
            absent = self._settle(silent, UnexpectedAnswer("the answer does not mention it"), outcome, wait_s=0)
            failed = [failed_result(change, "not stored") for change in absent]
            self._journal.found(self._run_id, failed)
            outcome.results += failed

    def _settle(self, changes: Sequence[Change], error: ApiError, outcome: Outcome, *, wait_s: float) -> list[Change]:
        """Find out what became of changes whose answer is lost; those that are certainly absent.

        Where it cannot be found out, they stay in doubt and the next run does it.
        """
        with self._sharing:
            taken = {*self._made, *element_ids(outcome.results)}
            older_than = min(self._older_than[change.op] for change in changes)
        stop = self._stop
        try:
            with spending(Purse(may_exceed=True)):
                settled = settle(
                    changes,
                    self._plan,
                    self._schema,
                    self._client,
                    wait_s=wait_s,
                    sleep=lambda seconds: self._budget.pause(seconds, stop.sleep),
                    taken=taken,
                    older_than=older_than,
                )
        except ApiError as unreadable:
            outcome.stopped_by = unreadable
            outcome.results += [unknown_result(change, str(error)) for change in changes]
            return []
        # The wish to stop and the deadline cut the settling time short: an add may land yet.
        is_early = wait_s > 0 and (bool(stop) or self._budget.is_late)
        early = [change for change in settled.absent if isinstance(change, Add) and is_early]
        absent = [change for change in settled.absent if change not in early]
        if early and not stop:
            outcome.stopped_by = self._budget.spent()
        self._journal.found(self._run_id, settled.results, absent)
        outcome.results += settled.results
        outcome.results += [unknown_result(change, f"{error}; it may still be stored") for change in early]
        return absent

    def _refused(
        self, batch: Batch, error: Refused, looked: Looked, outcome: Outcome, *, is_amended: bool = False
    ) -> None:
        """A refusal of the whole batch: what it names fails, and the rest goes out again."""
        try:
            amended = None if is_amended else self._with_names(batch, error, looked)
        except ApiError as unreadable:
            self._journal.not_sent(self._run_id, batch, str(error))
            outcome.stopped_by = unreadable
            return
        if amended is not None:
            self._journal.not_sent(self._run_id, batch, str(error))
            self._write(amended, looked, outcome, is_amended=True)
            return
        named = self._client.read_refusal(batch, error)
        if not named:
            outcome.refused = batch, error
            return
        faulty = {result.op for result in named}
        rest = [change for change in batch.changes if change.op not in faulty]
        self._journal.answered(self._run_id, batch, "refused", named, str(error))
        self._journal.found(self._run_id, [], rest)
        outcome.results += named
        outcome.again += rest

    def _with_names(self, batch: Batch, error: Refused, looked: Looked) -> Batch | None:
        """The batch with the elements' names, where the server insists on them; they are read if they were not."""
        ids = [change.id for change in batch.changes if isinstance(change, Update)]
        if self._client.with_names(batch, error, dict.fromkeys(ids, "")) is None:
            return None
        names = looked.names
        if not set(ids) <= set(names):
            held = self._client.elements_by_ids(self._schema, columns_of([NAME], self._schema), ids)
            names = dict(zip(held["id"].tolist(), held[NAME].tolist(), strict=True))
        return self._client.with_names(batch, error, names)

    def _read_back(self, batch: Batch, outcome: Outcome) -> None:
        """What the catalog holds now of what was written. That it cannot be read is no failure of the write."""
        changes = {change.op: change for change in batch.changes if not isinstance(change, Delete)}
        done = {r.op: r.id for r in outcome.results if r.outcome == "done" and r.id and r.op in changes}
        if not done:
            return
        keys = dict.fromkeys(key for op in done for key in written_by(changes[op]))
        try:
            held = self._client.elements_by_ids(self._schema, columns_of(keys, self._schema), list(done.values()))
        except ApiError:
            return
        rows = rows_of(held.set_index("id"))
        for op, id_ in done.items():
            if row := rows.get(id_):
                values = {key: row[key] for key in written_by(changes[op]) if key in row}
                outcome.stored[op] = Stored(id_, row["updated_at"], values)
                outcome.differences += differences(changes[op], outcome.stored[op])
        self._journal.read_back(self._run_id, outcome.stored)


def failed_result(change: Change, words: str) -> Result:
    """The result of a change that the server refused."""
    return Result(change.op, "failed", None if isinstance(change, Add) else change.id, words)


def unknown_result(change: Change, words: str) -> Result:
    """The result of a change of which it is not known whether it is stored."""
    return Result(change.op, "unknown", None if isinstance(change, Add) else change.id, words)


def element_ids(results: Iterable[Result]) -> list[int]:
    """The ids of the elements that changes were done to."""
    return [result.id for result in results if result.outcome == "done" and result.id is not None]
