"""Where the time of what is measured goes, and what it would take where a target is missed.

The functions of the pipeline are timed one by one while it runs as always: what runs in a thread by that thread's
clock. A part's own time is without that of the parts inside it.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

REST = "the rest"


@dataclass(frozen=True)
class Part:
    """A part of what a stage does: its seconds, and its share of them all. `rows` is 0 where there are none."""

    stage: str
    rows: int
    what: str
    seconds: float
    share: float

    @property
    def us_per_row(self) -> float:
        """Microseconds per row."""
        return self.seconds / self.rows * 1e6 if self.rows else 0.0


@dataclass(frozen=True)
class Timer:
    """A function to be timed, by the object that holds it; `inside` names the part that it is a part of."""

    what: str
    owner: Any
    name: str
    inside: str = ""
    clock: Callable[[], float] = time.process_time


@contextmanager
def timed_parts(timers: Sequence[Timer]) -> Iterator[dict[str, float]]:
    """Time these functions; the seconds of each part by its name, those inside it not counted."""
    spent = dict.fromkeys((timer.what for timer in timers), 0.0)
    lock = threading.Lock()

    def wrapped(timer: Timer) -> Callable[..., Any]:
        original = getattr(timer.owner, timer.name)

        @functools.wraps(original)
        def call(*arguments: Any, **named: Any) -> Any:
            began_s = timer.clock()
            try:
                return original(*arguments, **named)
            finally:
                took_s = timer.clock() - began_s
                with lock:
                    spent[timer.what] += took_s
                    if timer.inside:
                        spent[timer.inside] -= took_s

        return call

    with ExitStack() as patches:
        for timer in timers:
            patches.enter_context(mock.patch.object(timer.owner, timer.name, wrapped(timer)))
        yield spent


def parts_of(stage: str, rows: int, spent: Mapping[str, float], whole_s: float) -> list[Part]:
    """The parts of a whole, and the rest of it."""
    rest_s = whole_s - sum(spent.values())
    return [Part(stage, rows, what, s, s / whole_s) for what, s in {**spent, REST: max(0.0, rest_s)}.items()]


NEEDED: Mapping[tuple[str, str], str] = {
    ("plan", "loop"): "half of the time makes an object of Python for each value of the catalog, and takes it away;"
    " a decoder that makes columns at once is needed. pyarrow.json and polars.read_json are none: to decode alone takes"
    " them longer",
    ("plan", "pandas"): "as against the loop",
    ("diff", ""): "what is left is taking the elements' texts in the order of the rows, column by column, and an object"
    " per change; texts that lie in views, as those of polars do, are compared without being taken",
    ("csv", ""): "the file is read into memory, and looked at a second time for quotes, blanks, line breaks and what"
    " cannot be decoded; a parser that tells of these while it parses is needed",
    ("xlsx", ""): "cells come as one list of rows; making columns of them and finding the names of cells for the limits"
    " take a fifth each. A reader that hands out cells as a stream is needed",
    ("export", ""): "a writer that takes columns is needed",
    ("memory", ""): "what does not grow with the rows counts too: libraries that load at their first use, and the pages"
    " that are on their way",
    ("growth", ""): "columns that no longer fit the processor's cache are taken in another order than they lie in",
    (
        "startup",
        "",
    ): "loading pandas alone takes a quarter to two fifths of it; a plan without pandas would be another program",
    ("api", "wall"): "the last turn, its answer, and the journal before the first and after the last request are no"
    " turns: with more requests they count less",
    ("api", "share"): "a request costs some 10 ms: the HTTP library, the page of 250 or 500 elements, in an apply the"
    " journal. At 7 in a second 5 % of a core are 7 ms",
    ("api", "arrivals"): "at the client's socket eight requests span 1.05 s or more; the emulator's stamps, on the same"
    " busy machine, may be 60 ms apart from them",
}
"""What a target that is missed would take, by the stage and a word of the figure's name."""


def needed(stage: str, peer: str) -> str:
    """What it would take where a figure misses its target."""
    return next((told for (of, word), told in NEEDED.items() if of == stage and word in peer), "")
