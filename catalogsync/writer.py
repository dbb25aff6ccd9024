"""Writer: a plan becomes the fewest requests, sent, journalled, settled, read back and reported.

New options of fields come first (optionwriter.py); without them nothing else is sent.

Each batch goes through the same steps: a look at what may have changed since it was read (law 7), the journal, the
request, the journal, a look at what was stored. Several batches are on their way at once, so that the rate limit and
not the latency says how long it takes; their changes are independent of each other.

Nothing is sent twice that may not be: a request whose answer is lost is settled first (settling.py), and what is
certainly not there goes out again in smaller batches. A batch that is refused as a whole is halved until the change
at fault stands alone.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from time import monotonic

from catalogsync import newoptions
from catalogsync.api.client import Client
from catalogsync.api.dialect import Batch
from catalogsync.budget import Purse, spending
from catalogsync.costs import batch_cost
from catalogsync.elements import columns_of
from catalogsync.errors import ApiError, CatalogSyncError, InDoubt, Refused, Stopped, UnexpectedAnswer
from catalogsync.journal import Journal
from catalogsync.looking import Looked, look, rows_of
from catalogsync.model import NAME, Add, AddedOptions, Change, Delete, Result, Schema, Stored, Update
from catalogsync.optionwriter import add_options
from catalogsync.outbox import Outbox, Search, Task
from catalogsync.plan import Plan
from catalogsync.readback import Difference, differences, written_by
from catalogsync.settling import SETTLE_S, settle
from catalogsync.stopping import Stop

IN_FLIGHT = 5
"""Batches on their way at once, each with one request at a time: a look, the write, or the read-back. At 6.6 requests
a second this hides answers of half a second, and what is done with them."""

THREADS = "catalogsync-batch"
"""Names the threads that write; one that still waits for an answer must not keep a stopped process alive."""

STOP_S = 30.0
"""How long a run that was asked to stop waits for what is on its way."""

MOST_DOUBTS = 5
"""After so many lost answers without a good one in between, a run stops: the account is not well."""

MOST_POISON = 4
"""So many changes at fault are isolated in a batch that was refused as a whole, at two requests for each halving;
with more, what is left of the batch is refused with them."""

MOST_REFUSALS = 16
"""After so many refusals of a batch and its parts, and none accepted, it is not about single changes: the run stops."""

MOST_IN_A_ROW = 100
"""So it does after so many refusals of whatever batches, and none accepted in between; one search takes 65 at most."""


@dataclass(frozen=True)
class WriteOptions:
    """How a plan is written. `settle_s` is the settling time of law 3; without `recheck` nothing is looked at just
    before deletes and v4 updates; `stop` is asked between batches."""

    settle_s: float = SETTLE_S
    recheck: bool = True
    in_flight: int = IN_FLIGHT
    stop: Stop = field(default_factory=Stop)


@dataclass(frozen=True)
class Report:
    """What a run did. `stopped_by` is why it ended early, None where it came to its end.

    `stored` holds by operation what the catalog holds after it, as far as it was read back; `differences` are
    the values that it stored in another form than they were sent. `options` are the new options of its plan that
    are there.
    """

    run_id: int
    results: tuple[Result, ...]
    write_requests: int
    stopped_by: CatalogSyncError | None = None
    unsent: tuple[Change, ...] = ()
    stored: Mapping[int, Stored] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    options: tuple[AddedOptions, ...] = ()

    def with_outcome(self, *outcomes: str) -> list[Result]:
        """The results with one of these outcomes."""
        return [result for result in self.results if result.outcome in outcomes]


def apply(
    plan: Plan,
    schema: Schema,
    client: Client,
    journal: Journal,
    options: WriteOptions | None = None,
    *,
    undoes: int | None = None,
    progress: Callable[[int], None] | None = None,
    before_end: Callable[[Report], None] | None = None,
) -> Report:
    """Add a plan's new options, then send its changes. A refused change is a result, not an exception.

    `progress` hears the number of changes whose request is over; `before_end` gets the report while the run counts
    as unfinished: should the process end in it, the next one sees to the run. Ends early, with everything recorded,
    at an error that concerns the whole run, when asked to stop, or where the client's budget is used up.
    """
    options = options or WriteOptions()
    run_id = journal.start(plan, undoes=undoes)
    made = add_options(plan, client, journal, run_id, settle_s=options.settle_s, stop=options.stop)
    if made.stopped_by:
        report = Report(run_id, (), 0, made.stopped_by, made.plan.changes)
    else:
        schema = newoptions.schema_with(schema, made.added)
        report = _Run(made.plan, schema, client, journal, options, run_id, progress).go()
    report = replace(report, options=made.added, write_requests=report.write_requests + made.write_requests)
    if before_end:
        before_end(report)
    state = "stopped" if report.stopped_by or report.unsent else "done"
    journal.finish(run_id, state, str(report.stopped_by or ""))
    return report


@dataclass
class _Outcome:
    """What came of a task: results, changes to send again, and why the run ends, if it does.

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


class _Run:
    """One run. The thread that it was started in decides what goes out and keeps the account of it; each batch
    is written in a thread of its own, which shares nothing with it but what `_sharing` guards."""

    def __init__(
        self,
        plan: Plan,
        schema: Schema,
        client: Client,
        journal: Journal,
        options: WriteOptions,
        run_id: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._plan, self._schema, self._client, self._journal = plan, schema, client, journal
        self._options, self._run_id, self._progress = options, run_id, progress
        self._outbox = Outbox(plan, schema, client)
        self._total = _Outcome()
        self._doubts = 0
        self._refused_in_a_row = 0
        self._sharing = threading.Lock()
        self._number = 0
        self._made: set[int] = set()
        self._newest_id = 0
        self._older_than: dict[int, int] = {}
        self._budget = client.budget
        self._waiting: Task | None = None

    def go(self) -> Report:
        total, stop = self._total, self._options.stop
        under_way: dict[Future[_Outcome], Task] = {}
        stopping_at: float | None = None
        pool = ThreadPoolExecutor(self._options.in_flight, THREADS)
        stop.is_heeded = True
        try:
            while True:
                if stop and not total.stopped_by:
                    total.stopped_by = Stopped(stop.signal)
                while not total.stopped_by and len(under_way) < self._options.in_flight:
                    task = self._waiting or self._outbox.next()
                    if task is None or not self._can_begin(task, under_way):
                        break
                    under_way[pool.submit(self._send, task)] = task
                if not under_way:
                    break
                if stop and stopping_at is None:
                    stopping_at = monotonic()
                if stopping_at is not None and monotonic() - stopping_at > STOP_S:
                    self._leave(under_way.values())
                    break
                self._take_what_is_over(under_way)
        finally:
            stop.is_heeded = False
            pool.shutdown(wait=False, cancel_futures=True)
        return self._report()

    def _can_begin(self, task: Task, under_way: Collection[object]) -> bool:
        """Whether the budget suffices for a batch; if so, what it needs is set aside. Else it waits for what others
        may not need, and the run ends where there are no others."""
        cost = batch_cost(task.batch.changes, self._plan, self._client, recheck=self._options.recheck)
        purses = self._budget.reserve(*cost, beside=len(under_way))
        self._waiting = None if purses else task
        if purses:
            task.purses = purses
        elif not under_way:
            self._total.stopped_by = self._budget.spent(needed=sum(cost))
        return bool(purses)

    def _take_what_is_over(self, under_way: dict[Future[_Outcome], Task]) -> None:
        over, others = wait(under_way, timeout=0.2, return_when=FIRST_COMPLETED)
        errors = [error for each in over if (error := each.exception())]
        if errors:
            wait(others)  # what is on its way is recorded before the defect is told
            raise errors[0]
        for each in over:
            self._take(under_way.pop(each), each.result())

    def _take(self, task: Task, outcome: _Outcome) -> None:
        if outcome.refused:
            self._narrow(*outcome.refused, task.search, outcome)
        if outcome.is_taken:
            self._refused_in_a_row = 0
            if task.search:
                task.search.any_accepted = True
        was_slow = isinstance(outcome.lost_by, InDoubt) and outcome.lost_by.was_slow
        if was_slow:
            self._outbox.halve(task.size)
        if outcome.again:
            most = max(1, len(task.batch.changes) // 2) if was_slow else None
            self._outbox.put(outcome.again, task.search, most=most)
        total = self._total
        total.results += outcome.results
        total.stored |= outcome.stored
        total.differences += outcome.differences
        total.stopped_by = total.stopped_by or outcome.stopped_by
        total.requests += outcome.requests
        if outcome.lost_by:
            self._doubts += 1
            if self._doubts >= MOST_DOUBTS and outcome.again:
                words = f"{self._doubts} answers in a row were lost, the last one: {outcome.lost_by}"
                total.stopped_by = total.stopped_by or InDoubt(words)
        elif outcome.requests:
            self._doubts = 0
        if self._progress:
            self._progress(len(total.results))

    def _narrow(self, batch: Batch, error: Refused, search: Search | None, outcome: _Outcome) -> None:
        """A batch was refused and no change named: its halves go out, until each change at fault stands alone."""
        count = len(batch.changes)
        search = search or Search(2 * MOST_POISON * math.ceil(math.log2(count)))
        search.refused_count += 1
        self._refused_in_a_row += 1
        is_hopeless = search.refused_count >= MOST_REFUSALS and not search.any_accepted
        if is_hopeless or self._refused_in_a_row >= MOST_IN_A_ROW:
            outcome.stopped_by = error
        if count > 1 and search.requests_left >= 2:
            search.requests_left -= 2
            self._journal.answered(self._run_id, batch, "refused", [], str(error))
            self._journal.found(self._run_id, [], batch.changes)
            self._outbox.put(batch.changes[: count // 2], search)
            self._outbox.put(batch.changes[count // 2 :], search)
            return
        words = (
            f"{error} (with {count - 1} others; smaller batches tell which is at fault)" if count > 1 else str(error)
        )
        failed = [_failed(change, words) for change in batch.changes]
        self._journal.answered(self._run_id, batch, "refused", failed, str(error))
        outcome.results += failed

    def _leave(self, tasks: Iterable[Task]) -> None:
        """Batches that are not waited for any longer. The journal says what is in doubt, the next run settles it."""
        for task in tasks:
            if task.is_sent:
                self._total.results += [
                    _unknown(change, "its answer was not waited for") for change in task.batch.changes
                ]

    def _report(self) -> Report:
        total = self._total
        results = sorted(total.results, key=lambda result: result.op)
        settled = {result.op for result in results}
        unsent = tuple(change for change in self._plan.changes if change.op not in settled)
        return Report(
            self._run_id,
            tuple(results),
            total.requests,
            total.stopped_by,
            unsent,
            dict(sorted(total.stored.items())),
            tuple(sorted(total.differences, key=lambda difference: difference.op)),
        )

    # --- one batch, in a thread of its own ---

    def _send(self, task: Task) -> _Outcome:
        try:
            return self._sent(task)
        finally:
            self._budget.give_back(task.purses)

    def _sent(self, task: Task) -> _Outcome:
        outcome = _Outcome()
        options = self._options
        for_look, for_write, for_reading = task.purses
        for_reading.may_exceed = True
        try:
            with spending(for_look):
                looked = look(
                    task.batch.changes,
                    self._plan,
                    self._schema,
                    self._client,
                    recheck=options.recheck,
                    stop=options.stop,
                )
        except ApiError as error:
            outcome.stopped_by = error
            return outcome
        if looked.results:
            self._journal.found(self._run_id, looked.results)
            outcome.results += looked.results
        batch = self._without(task.batch, looked.results)
        if batch is None or options.stop:
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

    def _write(self, batch: Batch, looked: Looked, outcome: _Outcome, *, is_amended: bool = False) -> None:
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
            outcome.again += self._settle(batch.changes, error, outcome, wait_s=self._options.settle_s)
        except ApiError as error:
            self._journal.not_sent(self._run_id, batch, str(error))
            outcome.requests -= 1
            outcome.stopped_by = error
        else:
            outcome.is_taken = True
            self._answered(batch, results, outcome)

    def _answered(self, batch: Batch, results: Sequence[Result], outcome: _Outcome) -> None:
        """An answer says what became of the changes; those it does not mention are settled (notes 8, Q4)."""
        told = [result for result in results if result.outcome != "unknown"]
        changes = {change.op: change for change in batch.changes}
        silent = [changes[result.op] for result in results if result.outcome == "unknown"]
        self._journal.answered(self._run_id, batch, "answered", told)
        outcome.results += told
        if silent:
            absent = self._settle(silent, UnexpectedAnswer("the answer does not mention it"), outcome, wait_s=0)
            failed = [_failed(change, "not stored") for change in absent]
            self._journal.found(self._run_id, failed)
            outcome.results += failed

    def _settle(self, changes: Sequence[Change], error: ApiError, outcome: _Outcome, *, wait_s: float) -> list[Change]:
        """Find out what became of changes whose answer is lost; those that are certainly absent.

        Where it cannot be found out, they stay in doubt and the next run does it.
        """
        with self._sharing:
            taken = {*self._made, *element_ids(outcome.results)}
            older_than = min(self._older_than[change.op] for change in changes)
        stop = self._options.stop
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
            outcome.results += [_unknown(change, str(error)) for change in changes]
            return []
        # The wish to stop and the deadline cut the settling time short: an add may land yet.
        is_early = wait_s > 0 and (bool(stop) or self._budget.is_late)
        early = [change for change in settled.absent if isinstance(change, Add) and is_early]
        absent = [change for change in settled.absent if change not in early]
        if early and not stop:
            outcome.stopped_by = self._budget.spent()
        self._journal.found(self._run_id, settled.results, absent)
        outcome.results += settled.results
        outcome.results += [_unknown(change, f"{error}; it may still be stored") for change in early]
        return absent

    def _refused(
        self, batch: Batch, error: Refused, looked: Looked, outcome: _Outcome, *, is_amended: bool = False
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

    def _read_back(self, batch: Batch, outcome: _Outcome) -> None:
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


def _failed(change: Change, words: str) -> Result:
    return Result(change.op, "failed", None if isinstance(change, Add) else change.id, words)


def _unknown(change: Change, words: str) -> Result:
    return Result(change.op, "unknown", None if isinstance(change, Add) else change.id, words)


def element_ids(results: Iterable[Result]) -> list[int]:
    """The ids of the elements that changes were done to."""
    return [result.id for result in results if result.outcome == "done" and result.id is not None]
