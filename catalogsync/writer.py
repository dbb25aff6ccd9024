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
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from time import monotonic

from catalogsync import newoptions
from catalogsync.api.client import Client
from catalogsync.api.dialect import Batch
from catalogsync.batchwriter import BatchWriter, Outcome, failed_result, unknown_result
from catalogsync.costs import batch_cost
from catalogsync.errors import CatalogSyncError, InDoubt, Refused, Stopped
from catalogsync.journal import Journal
from catalogsync.model import AddedOptions, Change, Result, Schema, Stored
from catalogsync.optionwriter import add_options
from catalogsync.outbox import Outbox, Search, Task
from catalogsync.plan import Plan
from catalogsync.readback import Difference
from catalogsync.settling import SETTLE_S
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


class _Run:
    """One run. The thread that it was started in decides what goes out and keeps the account of it; each batch
    is written in a thread of its own (batchwriter.py)."""

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
        self._batches = BatchWriter(
            plan,
            schema,
            client,
            journal,
            run_id,
            settle_s=options.settle_s,
            recheck=options.recheck,
            stop=options.stop,
        )
        self._total = Outcome()
        self._doubts = 0
        self._refused_in_a_row = 0
        self._budget = client.budget
        self._waiting: Task | None = None

    def go(self) -> Report:
        total, stop = self._total, self._options.stop
        under_way: dict[Future[Outcome], Task] = {}
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
                    under_way[pool.submit(self._batches.write, task)] = task
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

    def _take_what_is_over(self, under_way: dict[Future[Outcome], Task]) -> None:
        over, others = wait(under_way, timeout=0.2, return_when=FIRST_COMPLETED)
        errors = [error for each in over if (error := each.exception())]
        if errors:
            wait(others)  # what is on its way is recorded before the defect is told
            raise errors[0]
        for each in over:
            self._take(under_way.pop(each), each.result())

    def _take(self, task: Task, outcome: Outcome) -> None:
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

    def _narrow(self, batch: Batch, error: Refused, search: Search | None, outcome: Outcome) -> None:
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
        failed = [failed_result(change, words) for change in batch.changes]
        self._journal.answered(self._run_id, batch, "refused", failed, str(error))
        outcome.results += failed

    def _leave(self, tasks: Iterable[Task]) -> None:
        """Batches that are not waited for any longer. The journal says what is in doubt, the next run settles it."""
        for task in tasks:
            if task.is_sent:
                self._total.results += [
                    unknown_result(change, "its answer was not waited for") for change in task.batch.changes
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
