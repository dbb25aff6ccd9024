"""Outbox: which batch goes out next. First what is to be sent again, then what was planned, each in its order.

Belongs to one thread. A batch that was refused as a whole comes back in halves, and these behind one another: the
halves of one batch before the quarters, so that what is good of it soon goes through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from catalogsync.api.client import Client
from catalogsync.api.dialect import Batch
from catalogsync.budget import Purse
from catalogsync.model import Change, Schema
from catalogsync.plan import Plan


@dataclass
class Search:
    """The search for the changes at fault in a batch that was refused without naming any."""

    requests_left: int
    refused_count: int = 0
    any_accepted: bool = False


@dataclass
class Task:
    """A batch to send, `size` being the batch size when it was made; `search` where it is a part of a refused one.

    `is_sent` from the moment in which its request may have left. `purses` are the requests that are set aside for its
    look, its write and its read-back.
    """

    batch: Batch
    size: int
    search: Search | None = None
    is_sent: bool = False
    purses: tuple[Purse, ...] = ()


@dataclass
class _Waiting:
    """Changes that wait; what was drawn of them is somebody else's."""

    changes: Sequence[Change]
    most: int
    batches: Iterator[Batch]
    search: Search | None
    drawn: set[int] = field(default_factory=set)


class Outbox:
    """What a run still has to send."""

    def __init__(self, plan: Plan, schema: Schema, client: Client) -> None:
        self._plan, self._schema, self._client = plan, schema, client
        self._size = min(plan.batch_size, client.capabilities.max_batch)
        self._again: deque[_Waiting] = deque()
        self._planned: deque[_Waiting] = deque([self._waiting(plan.changes, None, self._size)])

    def _waiting(self, changes: Sequence[Change], search: Search | None, most: int) -> _Waiting:
        batches = self._client.batches(self._plan.catalog_id, changes, self._schema, min(self._size, most))
        return _Waiting(changes, most, batches, search)

    def next(self) -> Task | None:
        """The next batch, None where there is none for now."""
        for line in (self._again, self._planned):
            while line:
                batch = next(line[0].batches, None)
                if batch is not None:
                    line[0].drawn.update(change.op for change in batch.changes)
                    return Task(batch, self._size, line[0].search)
                line.popleft()
        return None

    def put(self, changes: Sequence[Change], search: Search | None, *, most: int | None = None) -> None:
        """Send these (again), before what was planned; `most` of them at a time."""
        self._again.append(self._waiting(changes, search, most or self._size))

    def halve(self, size: int) -> None:
        """A batch of this size was too slow: from now on half as many changes to one."""
        smaller = max(1, size // 2)
        if smaller >= self._size:
            return  # another one of that size has said so before
        self._size = smaller
        for line in (self._again, self._planned):
            for place, each in enumerate(line):
                left = [change for change in each.changes if change.op not in each.drawn]
                line[place] = self._waiting(left, each.search, each.most)
