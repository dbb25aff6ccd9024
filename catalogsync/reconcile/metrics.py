"""Figures of jobs for Prometheus: totals and the last turn, kept in the memory, as text in a file or over HTTP.

`record` adds a turn; everything else reads. Nothing is global: a registry is made for whoever asks, and reads the
memory each time it is collected.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import TypeAlias

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from catalogsync.errors import UserError
from catalogsync.reconcile.alertstore import counts_of
from catalogsync.reconcile.outcome import Outcome
from catalogsync.reconcile.state import Memory
from catalogsync.replacing import write_text

SCHEMA = """
CREATE TABLE IF NOT EXISTS metric_total (
    scope TEXT NOT NULL, name TEXT NOT NULL, label TEXT NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (scope, name, label));
CREATE TABLE IF NOT EXISTS metric_last (
    scope TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (scope, name))
"""

_TOTALS: dict[str, tuple[str, str]] = {
    "catalogsync_runs": ("result", "Turns of a job by what they came to."),
    "catalogsync_changes": ("kind", "Changes that were written to the catalog."),
    "catalogsync_requests": ("kind", "Requests to the remote API that read and that write."),
    "catalogsync_throttled": ("", "Requests that the remote API answered with 429."),
}
"""Counters: their label besides `job`, and what they count."""

_LAST: dict[str, str] = {
    "catalogsync_rejected_rows": "Rows of the sheet that the last turn rejected.",
    "catalogsync_conflicts": "Values that sheet and catalog both changed, in the last turn.",
    "catalogsync_run_duration_seconds": "How long the last turn took.",
    "catalogsync_last_run_timestamp_seconds": "When the last turn ended that looked at sheet or catalog.",
    "catalogsync_last_good_run_timestamp_seconds": "When the last turn ended in which nothing stood in the way.",
}
"""Gauges of the last turn that was not skipped."""

_GOOD = "catalogsync_last_good_run_timestamp_seconds"
_FIRST = "first turn"

Jobs: TypeAlias = Iterable[str]
"""Scopes (`state.scope_of`), one for each job that is told of."""


def record(memory: Memory, scope: str, outcome: Outcome) -> None:
    """Add a turn to a job's figures. One that was skipped is only counted."""
    totals: list[tuple[str, str, float]] = [("catalogsync_runs", outcome.result, 1)]
    totals += [("catalogsync_changes", kind, outcome.done.get(kind, 0)) for kind in ("add", "update", "delete")]
    totals += [("catalogsync_requests", "read", outcome.reads), ("catalogsync_requests", "write", outcome.writes)]
    totals += [("catalogsync_throttled", "", outcome.throttled)]
    last = {
        "catalogsync_rejected_rows": float(outcome.rejected_rows),
        "catalogsync_conflicts": float(outcome.conflicts),
        "catalogsync_run_duration_seconds": max(0.0, outcome.ended_at - outcome.started_at),
        "catalogsync_last_run_timestamp_seconds": outcome.ended_at,
    }
    if outcome.is_good:
        last[_GOOD] = outcome.ended_at
    with memory.with_tables(SCHEMA).transaction() as connection:
        connection.executemany(
            "INSERT INTO metric_total VALUES (?, ?, ?, ?)"
            " ON CONFLICT (scope, name, label) DO UPDATE SET value = value + excluded.value",
            [(scope, *total) for total in totals],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO metric_last VALUES (?, ?, ?)",
            [(scope, name, value) for name, value in last.items() if not outcome.is_skipped],
        )
        connection.execute("INSERT OR IGNORE INTO metric_last VALUES (?, ?, ?)", (scope, _FIRST, outcome.started_at))


class _FromMemory(Collector):
    """The families, read each time."""

    def __init__(self, memory: Memory, jobs: Jobs, now: Callable[[], float]) -> None:
        self._memory = memory.with_tables(SCHEMA)
        self._jobs = {scope: scope.partition("/")[2] or scope for scope in jobs}
        self._now = now

    def collect(self) -> Iterator[Metric]:
        with self._memory.transaction() as connection:
            families = [*self._totals(connection), *self._last(connection)]
        yield from families
        yield from self._alerts()

    def describe(self) -> list[Metric]:
        return []  # so that registering reads nothing

    def _totals(self, connection: Connection) -> Iterator[Metric]:
        for name, (label, words) in _TOTALS.items():
            family = CounterMetricFamily(name, words, labels=["job", label] if label else ["job"])
            for scope, job in self._jobs.items():
                rows = connection.execute(
                    "SELECT label, value FROM metric_total WHERE scope = ? AND name = ? ORDER BY label", (scope, name)
                )
                for kind, value in rows:
                    family.add_metric([job, kind] if label else [job], value)
            yield family

    def _last(self, connection: Connection) -> Iterator[Metric]:
        for name, words in _LAST.items():
            yield self._gauge(name, words, self._values(connection, name))
        since = {**dict(self._values(connection, _FIRST)), **dict(self._values(connection, _GOOD))}
        ages = [(job, max(0.0, self._now() - at)) for job, at in since.items()]
        words = "Seconds since that turn; where there was none yet, since the job's first turn."
        yield self._gauge("catalogsync_last_good_run_age_seconds", words, ages)

    def _values(self, connection: Connection, name: str) -> list[tuple[str, float]]:
        rows = dict(connection.execute("SELECT scope, value FROM metric_last WHERE name = ?", (name,)).fetchall())
        return [(job, rows[scope]) for scope, job in self._jobs.items() if scope in rows]

    def _alerts(self) -> Iterator[Metric]:
        counts = {job: counts_of(self._memory, scope) for scope, job in self._jobs.items()}
        words = "Alerts that an address did not take so far."
        yield self._gauge(
            "catalogsync_alerts_undelivered", words, [(job, one.undelivered) for job, one in counts.items()]
        )
        for name, words, values in (
            ("catalogsync_alerts_sent", "Alerts that went out.", [(job, one.sent) for job, one in counts.items()]),
            ("catalogsync_alerts_given_up", "Alerts lost.", [(job, one.given_up) for job, one in counts.items()]),
        ):
            family = CounterMetricFamily(name, words, labels=["job"])
            for job, value in values:
                family.add_metric([job], value)
            yield family

    @staticmethod
    def _gauge(name: str, words: str, values: Sequence[tuple[str, float]]) -> Metric:
        family = GaugeMetricFamily(name, words, labels=["job"])
        for job, value in values:
            family.add_metric([job], value)
        return family


def registry_of(memory: Memory, jobs: Jobs, *, now: Callable[[], float] = time.time) -> CollectorRegistry:
    """A registry of its own with the figures of these jobs; it reads them whenever it is collected."""
    registry = CollectorRegistry()
    registry.register(_FromMemory(memory, jobs, now))
    return registry


def text_of(memory: Memory, jobs: Jobs, *, now: Callable[[], float] = time.time) -> str:
    """The figures in Prometheus' text format."""
    return generate_latest(registry_of(memory, jobs, now=now)).decode("utf-8")


def write_textfile(path: Path, memory: Memory, jobs: Jobs, *, now: Callable[[], float] = time.time) -> None:
    """Write the figures into a file that is replaced as a whole, for the textfile collector of the node exporter.

    Raises UserError where it cannot be written.
    """
    text = text_of(memory, jobs, now=now)
    write_text(path, text, newline="\n")


@contextmanager
def serve(port: int, memory: Memory, jobs: Jobs, *, now: Callable[[], float] = time.time) -> Iterator[int]:
    """Answer with the figures under http://127.0.0.1:PORT/metrics while the block runs, to this machine only.

    Yields the port: 0 takes any that is free. Raises UserError where it is taken.
    """
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry_of(memory, jobs, now=now))
    except OSError as error:
        hint = "choose another one under `metrics:`, or none"
        raise UserError(f"metrics cannot be served on port {port} ({error.strerror}); {hint}") from None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
