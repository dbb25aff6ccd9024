"""Writer: a plan becomes the fewest requests, sent, journalled, settled, read back and reported.

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
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from time import monotonic

import pandas as pd

from catalogsync import tables
from catalogsync.api.client import Client
from catalogsync.api.dialect import Batch
from catalogsync.errors import ApiError, CatalogSyncError, InDoubt, Refused, Stopped, UnexpectedAnswer
from catalogsync.journal import Journal
from catalogsync.model import NAME, Add, Change, Delete, Result, Schema, Stored, Update
from catalogsync.plan import Plan
from catalogsync.readback import Difference, differences, written_by
from catalogsync.settling import SETTLE_S, Settled, settle
from catalogsync.stopping import Stop

IN_FLIGHT = 3
"""Batches on their way at once: at 6.6 requests a second this hides a latency of half a second."""

THREADS = "catalogsync-batch"
"""Names the threads that write; one that still waits for an answer must not keep a stopped process alive."""

STOP_S = 30.0
"""How long a run that was asked to stop waits for what is on its way."""

MOST_DOUBTS = 5
"""After so many lost answers without a good one in between, a run stops: the account is not well."""

LOOK_S, MOST_LOOKS = 0.3, 5
"""How often and how many times an element is looked at that was edited in this very second."""

MOST_POISON = 4
"""So many changes at fault are isolated in a refused batch; with more, the rest of the batch is refused with them."""


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
    the values that it stored in another form than they were sent.
    """

    run_id: int
    results: tuple[Result, ...]
    write_requests: int
    stopped_by: CatalogSyncError | None = None
    unsent: tuple[Change, ...] = ()
    stored: Mapping[int, Stored] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()

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
) -> Report:
    """Send a plan's changes. A refused change is a result, not an exception.

    `progress` hears the number of changes whose request is over. Ends early, with everything recorded, at an error
    that concerns the whole run, or when asked to stop.
    """
    run_id = journal.start(plan, undoes=undoes)
    return _Run(plan, schema, client, journal, options or WriteOptions(), run_id, progress).go()


@dataclass
class _Poison:
    """How many more requests may go into isolating the changes at fault in one refused batch."""

    requests_left: int
    any_accepted: bool = False


@dataclass(frozen=True)
class _Task:
    """A batch to send; `poison` where it is a part of one that was refused."""

    batch: Batch
    poison: _Poison | None = None


@dataclass
class _Outcome:
    """What came of a task: results, changes to send again, and why the run ends, if it does."""

    results: list[Result] = field(default_factory=list)
    again: list[tuple[Sequence[Change], _Poison | None]] = field(default_factory=list)
    stored: dict[int, Stored] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    stopped_by: CatalogSyncError | None = None
    requests: int = 0
    lost_by: ApiError | None = None


class _Run:
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
        self._queue = _Queue(client, plan, schema)
        self._total = _Outcome()
        self._written = 0
        self._doubts = 0

    def go(self) -> Report:
        total, stop = self._total, self._options.stop
        under_way: set[Future[_Outcome]] = set()
        stopping_at: float | None = None
        pool = ThreadPoolExecutor(self._options.in_flight, THREADS)
        stop.is_heeded = True
        try:
            while True:
                if stop and not total.stopped_by:
                    total.stopped_by = Stopped(stop.signal)
                while not total.stopped_by and len(under_way) < self._options.in_flight:
                    task = self._queue.next()
                    if task is None:
                        break
                    under_way.add(pool.submit(self._send, task))
                if not under_way:
                    break
                if stop and stopping_at is None:
                    stopping_at = monotonic()
                if stopping_at is not None and monotonic() - stopping_at > STOP_S:
                    break  # the journal says what is in doubt, the next run settles it
                over, under_way = wait(under_way, timeout=0.2, return_when=FIRST_COMPLETED)
                for each in over:
                    self._take(each.result())
        finally:
            stop.is_heeded = False
            pool.shutdown(wait=False, cancel_futures=True)
        return self._report()

    def _take(self, outcome: _Outcome) -> None:
        total = self._total
        total.results += outcome.results
        total.stored |= outcome.stored
        total.differences += outcome.differences
        total.stopped_by = total.stopped_by or outcome.stopped_by
        self._written += outcome.requests
        if outcome.lost_by:
            self._doubts += 1
            if isinstance(outcome.lost_by, InDoubt) and outcome.lost_by.was_slow:
                self._queue.halve()
            if self._doubts >= MOST_DOUBTS and outcome.again:
                words = f"{self._doubts} answers in a row were lost, the last one: {outcome.lost_by}"
                total.stopped_by = total.stopped_by or InDoubt(words)
        elif outcome.requests:
            self._doubts = 0
        for changes, poison in outcome.again:
            self._queue.put(changes, poison)
        if self._progress:
            self._progress(len(total.results))

    def _report(self) -> Report:
        total = self._total
        results = sorted(total.results, key=lambda result: result.op)
        settled = {result.op for result in results}
        unsent = tuple(change for change in self._plan.changes if change.op not in settled)
        self._journal.finish(
            self._run_id, "stopped" if total.stopped_by or unsent else "done", str(total.stopped_by or "")
        )
        return Report(
            self._run_id,
            tuple(results),
            self._written,
            total.stopped_by,
            unsent,
            dict(sorted(total.stored.items())),
            tuple(sorted(total.differences, key=lambda difference: difference.op)),
        )

    # --- one batch, in a thread of its own ---

    def _send(self, task: _Task) -> _Outcome:
        outcome = _Outcome()
        try:
            looked = _look(task.batch, self._plan, self._schema, self._client, self._options)
        except ApiError as error:
            outcome.stopped_by = error
            return outcome
        if looked.results:
            self._journal.found(self._run_id, looked.results)
            outcome.results += looked.results
        batch = self._queue.without(task.batch, looked.results)
        if batch is None:
            return outcome
        self._write(batch, looked, task.poison, outcome)
        self._read_back(batch, outcome)
        return outcome

    def _write(self, batch: Batch, looked: _Looked, poison: _Poison | None, outcome: _Outcome) -> None:
        """The request itself, recorded before and after."""
        self._journal.sending(self._run_id, batch, looked.images)
        outcome.requests += 1
        try:
            results = self._client.write(batch)
        except Refused as error:
            self._refused(batch, error, looked, poison, outcome)
        except (InDoubt, UnexpectedAnswer) as error:  # both after the request went out
            outcome.lost_by = error
            self._journal.answered(self._run_id, batch, "in doubt", [], str(error))
            self._settle(batch.changes, self._options.settle_s, error, outcome)
        except ApiError as error:
            self._journal.not_sent(self._run_id, batch, str(error))
            outcome.requests -= 1
            outcome.stopped_by = error
        else:
            self._answered(batch, results, outcome)
            if poison:
                poison.any_accepted = True

    def _answered(self, batch: Batch, results: Sequence[Result], outcome: _Outcome) -> None:
        """An answer that says what became of every change but those it does not mention: these are settled."""
        told = [result for result in results if result.outcome != "unknown"]
        changes = {change.op: change for change in batch.changes}
        silent = [changes[result.op] for result in results if result.outcome == "unknown"]
        self._journal.answered(self._run_id, batch, "answered", told)
        outcome.results += told
        if silent:
            self._settle(silent, 0, UnexpectedAnswer("the answer does not mention it"), outcome, again=False)

    def _settle(
        self, changes: Sequence[Change], wait_s: float, error: ApiError, outcome: _Outcome, *, again: bool = True
    ) -> None:
        """What became of changes whose answer is lost; what is certainly absent goes out again."""
        taken = {result.id for result in [*self._total.results, *outcome.results] if result.id}
        try:
            settled = settle(
                changes,
                self._plan,
                self._schema,
                self._client,
                wait_s=wait_s,
                sleep=self._options.stop.sleep,
                taken=taken,
            )
        except ApiError as unreadable:
            outcome.stopped_by = unreadable  # the changes stay in doubt, the next run settles them
            outcome.results += [Result(c.op, "unknown", getattr(c, "id", None), str(error)) for c in changes]
            return
        if not again:
            failed = [Result(c.op, "failed", getattr(c, "id", None), "not stored") for c in settled.absent]
            settled = Settled(settled.results + failed, [])
        self._journal.found(self._run_id, settled.results, settled.absent)
        outcome.results += settled.results
        if settled.absent and self._options.stop:
            return  # asked to stop while it was found out: it is planned still
        if settled.absent:
            outcome.again.append((settled.absent, None))

    def _refused(
        self, batch: Batch, error: Refused, looked: _Looked, poison: _Poison | None, outcome: _Outcome
    ) -> None:
        """A refusal of the whole batch. What it names fails; otherwise the batch is halved, and its halves go out."""
        amended = self._client.with_names(batch, error, looked.names)
        if amended is not None:
            self._journal.not_sent(self._run_id, batch, str(error))
            self._write(replace(amended, number=self._queue.number()), replace(looked, names={}), poison, outcome)
            return
        named = self._client.read_refusal(batch, error)
        faulty = {result.op for result in named}
        rest = [change for change in batch.changes if change.op not in faulty]
        count = len(batch.changes)
        if not named and count > 1:
            poison = poison or _Poison(2 * MOST_POISON * math.ceil(math.log2(count)))
            if poison.requests_left >= 2:
                poison.requests_left -= 2
                middle = count // 2
                self._journal.answered(self._run_id, batch, "refused", [], str(error))
                self._journal.found(self._run_id, [], batch.changes)
                outcome.again += [(batch.changes[:middle], poison), (batch.changes[middle:], poison)]
                return
            if not poison.any_accepted:
                outcome.stopped_by = error
        if not named:
            named, rest = [_failed(change, str(error)) for change in batch.changes], []
        self._journal.answered(self._run_id, batch, "refused", named, str(error))
        self._journal.found(self._run_id, [], rest)
        outcome.results += named
        if rest:
            outcome.again.append((rest, poison))

    def _read_back(self, batch: Batch, outcome: _Outcome) -> None:
        """What the catalog holds now of what was written. That it cannot be read is no failure of the write."""
        changes = {change.op: change for change in batch.changes if not isinstance(change, Delete)}
        done = {r.op: r.id for r in outcome.results if r.outcome == "done" and r.id and r.op in changes}
        if not done:
            return
        keys = dict.fromkeys(key for op in done for key in written_by(changes[op]))
        try:
            held = self._client.elements_by_ids(
                self._schema, tables.columns_of(keys, self._schema), list(done.values())
            ).set_index("id")
        except ApiError:
            return
        for op, id_ in done.items():
            if id_ in held.index:
                values = {key: str(held.at[id_, key]) for key in written_by(changes[op]) if key in held.columns}
                outcome.stored[op] = Stored(id_, int(str(held.at[id_, "updated_at"])), values)
                outcome.differences += differences(changes[op], outcome.stored[op])
        self._journal.read_back(self._run_id, outcome.stored)


def _failed(change: Change, words: str) -> Result:
    return Result(change.op, "failed", None if isinstance(change, Add) else change.id, words)


class _Queue:
    """The batches of a plan in their order, and before them what is to be sent again."""

    def __init__(self, client: Client, plan: Plan, schema: Schema) -> None:
        self._client, self._plan, self._schema = client, plan, schema
        self._size = plan.batch_size
        self._waiting: deque[tuple[list[Change], Iterator[Batch], _Poison | None]] = deque()
        self._drawn: set[int] = set()
        self._number = 0
        self._numbering = threading.Lock()
        self._append(plan.changes, None)

    def _append(self, changes: Iterable[Change], poison: _Poison | None, *, first: bool = False) -> None:
        some = list(changes)
        entry = (some, self._batches(some), poison)
        (self._waiting.appendleft if first else self._waiting.append)(entry)

    def _batches(self, changes: Sequence[Change]) -> Iterator[Batch]:
        return self._client.batches(self._plan.catalog_id, changes, self._schema, self._size)

    def number(self) -> int:
        """The next batch number of the run."""
        with self._numbering:
            self._number += 1
            return self._number

    def next(self) -> _Task | None:
        """The next batch, None where there is none for now."""
        while self._waiting:
            _, batches, poison = self._waiting[0]
            batch = next(batches, None)
            if batch is not None:
                self._drawn.update(change.op for change in batch.changes)
                return _Task(replace(batch, number=self.number()), poison)
            self._waiting.popleft()
        return None

    def put(self, changes: Sequence[Change], poison: _Poison | None) -> None:
        """Send these (again) before what is waiting."""
        self._drawn.difference_update(change.op for change in changes)
        self._append(changes, poison, first=True)

    def halve(self) -> None:
        """From now on half as many changes to a batch: a server that was too slow gets less at a time."""
        self._size = max(1, self._size // 2)
        waiting, self._waiting = list(self._waiting), deque()
        for changes, _, poison in waiting:
            self._append([change for change in changes if change.op not in self._drawn], poison)

    def without(self, batch: Batch, settled: Sequence[Result]) -> Batch | None:
        """A batch less the changes that are settled already; None where none is left."""
        if not settled:
            return batch
        done = {result.op for result in settled}
        rest = next(self._batches([change for change in batch.changes if change.op not in done]), None)
        return rest and replace(rest, number=batch.number)


# --- the look just before a write ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Looked:
    """What a look found: changes that are settled by it, whole elements about to be deleted, names by element id."""

    results: list[Result] = field(default_factory=list)
    images: dict[int, Mapping[str, str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


def _look(batch: Batch, plan: Plan, schema: Schema, client: Client, options: WriteOptions) -> _Looked:
    """What somebody else's edit has overtaken, found by a look just before (law 7).

    Deletes are never compared by the server; updates are where the dialect says so, but for elements that changed
    in the very second in which they were read: their `updated_at` may stand for two states. What happens between
    this look and the write is the stated limit.
    """
    looked = _Looked()
    at_risk = [c for c in batch.changes if not isinstance(c, Add) and _is_at_risk(c, plan, client, options)]
    if not at_risk:
        return looked
    keys = dict.fromkeys(key for change in at_risk if isinstance(change, Update) for key in change.before)
    has_deletes = any(isinstance(change, Delete) for change in at_risk)
    columns = tables.all_columns(schema) if has_deletes else tables.columns_of(keys, schema)
    held = client.elements_by_ids(schema, columns, [change.id for change in at_risk]).set_index("id")
    for _ in range(MOST_LOOKS):
        if options.stop or all(c.updated_at < client.server_now_at() for c in at_risk if c.id in held.index):
            break
        options.stop.sleep(LOOK_S)  # until the second of the last edit is over, nothing can be told by its time
        held = client.elements_by_ids(schema, columns, [change.id for change in at_risk]).set_index("id")
    for change in at_risk:
        settled = _overtaken(change, held)
        if settled:
            looked.results.append(settled)
        elif isinstance(change, Delete):
            looked.images[change.op] = _image(held, change.id)
        if change.id in held.index:
            looked.names[change.id] = str(held.at[change.id, NAME])
    return looked


def _is_at_risk(change: Update | Delete, plan: Plan, client: Client, options: WriteOptions) -> bool:
    if isinstance(change, Update) and client.capabilities.compares_updates:
        return change.updated_at >= plan.made_at - 1
    return options.recheck


def _overtaken(change: Update | Delete, held: pd.DataFrame) -> Result | None:
    """What a change has become, if somebody was faster."""
    if change.id not in held.index:
        if isinstance(change, Delete):
            return Result(change.op, "done", change.id, "was gone already")
        return Result(change.op, "failed", change.id, "the element is gone")
    before = change.before if isinstance(change, Update) else {}
    is_same = all(held.at[change.id, key] == text for key, text in before.items() if key in held.columns)
    if held.at[change.id, "updated_at"] == change.updated_at and is_same:
        return None
    return Result(change.op, "conflict", change.id, "somebody edited the element since it was read")


def _image(held: pd.DataFrame, id_: int) -> dict[str, str]:
    row = held.drop(columns=["updated_at", "updated_by", "linked"]).loc[id_]
    return {str(key): str(text) for key, text in row.items() if text}


def element_ids(results: Iterable[Result]) -> list[int]:
    """The ids of the elements that changes were done to."""
    return [result.id for result in results if result.outcome == "done" and result.id is not None]
