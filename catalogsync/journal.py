"""Journal: what was sent and what became of it, written before and after each request.

SQLite in the state folder; each method is one synced transaction, so that what it recorded survives
the end of the process at any instant. Operations are joined by their id, never by position.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from catalogsync.api.dialect import Batch
from catalogsync.model import Add, Change, Delete, Result, Update
from catalogsync.plan import Plan, kind_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, catalog_id INTEGER NOT NULL, mapping TEXT NOT NULL,
    source TEXT NOT NULL, digest TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'stopped')), message TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS batches (
    run_id INTEGER NOT NULL REFERENCES runs, number INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    body TEXT NOT NULL, sent_at INTEGER NOT NULL, answered_at INTEGER,
    state TEXT NOT NULL CHECK (state IN ('sent', 'answered', 'refused', 'not sent', 'in doubt')),
    message TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, number)
);
CREATE TABLE IF NOT EXISTS operations (
    run_id INTEGER NOT NULL REFERENCES runs, op INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    element_id INTEGER, before TEXT NOT NULL, after TEXT NOT NULL, batch INTEGER,
    outcome TEXT NOT NULL CHECK (outcome IN ('planned', 'done', 'failed', 'conflict', 'unknown')),
    message TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, op)
);
CREATE TABLE IF NOT EXISTS catalogs (
    account_id INTEGER NOT NULL, catalog_id INTEGER NOT NULL, element_count INTEGER NOT NULL,
    PRIMARY KEY (account_id, catalog_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS matched (
    account_id INTEGER NOT NULL, catalog_id INTEGER NOT NULL, mapping TEXT NOT NULL, element_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, catalog_id, mapping, element_id)
) WITHOUT ROWID;
"""


class Journal:
    """The journal of one state folder. Safe to open from several processes."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)

    @property
    def folder(self) -> Path:
        """The state folder that the journal is kept in."""
        return self._file.parent

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _now_at(self) -> int:
        return int(self._clock())

    def start(self, plan: Plan) -> int:
        """Record a run with all its operations as planned; the run's id."""
        with self._transaction() as connection:
            run_id = connection.execute(
                "INSERT INTO runs (account_id, catalog_id, mapping, source, digest, started_at, state)"
                " VALUES (?, ?, ?, ?, ?, ?, 'running')",
                (plan.account_id, plan.catalog_id, plan.mapping, plan.source, plan.digest, self._now_at()),
            ).lastrowid
            assert run_id is not None
            connection.executemany(
                "INSERT INTO operations (run_id, op, kind, key, element_id, before, after, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'planned')",
                (_operation(run_id, change) for change in plan.changes),
            )
        return run_id

    def sending(self, run_id: int, batch: Batch) -> None:
        """Record a request that is about to go out."""
        request = batch.request
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO batches (run_id, number, method, path, body, sent_at, state)"
                " VALUES (?, ?, ?, ?, ?, ?, 'sent')",
                (run_id, batch.number, request.method, request.path, _text(request.json), self._now_at()),
            )
            connection.executemany(
                "UPDATE operations SET batch = ? WHERE run_id = ? AND op = ?",
                ((batch.number, run_id, change.op) for change in batch.changes),
            )

    def answered(self, run_id: int, batch: Batch, state: str, results: Iterable[Result], message: str = "") -> None:
        """Record what came of a request: ``answered``, ``refused``, ``not sent`` or ``in doubt``, and each outcome."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE batches SET answered_at = ?, state = ?, message = ? WHERE run_id = ? AND number = ?",
                (self._now_at(), state, message, run_id, batch.number),
            )
            self._record(connection, run_id, results)

    def found(self, run_id: int, results: Iterable[Result]) -> None:
        """Record what became of operations that were settled without a request of their own."""
        with self._transaction() as connection:
            self._record(connection, run_id, results)

    @staticmethod
    def _record(connection: sqlite3.Connection, run_id: int, results: Iterable[Result]) -> None:
        connection.executemany(
            "UPDATE operations SET outcome = ?, element_id = coalesce(?, element_id), message = ?"
            " WHERE run_id = ? AND op = ?",
            ((result.outcome, result.id, result.message, run_id, result.op) for result in results),
        )

    def finish(self, run_id: int, state: str, message: str = "") -> None:
        """Record the end of a run: ``done``, or ``stopped`` before its end."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE runs SET ended_at = ?, state = ?, message = ? WHERE id = ?",
                (self._now_at(), state, message, run_id),
            )

    # --- which elements a mapping's sheet has had rows for ---

    def remember_matched(self, plan: Plan, element_ids: Iterable[int]) -> None:
        """Remember elements that a row of this mapping's sheet was matched to. Only those can be missing later."""
        scope = (plan.account_id, plan.catalog_id, plan.mapping)
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO matched VALUES (?, ?, ?, ?)", ((*scope, id_) for id_ in element_ids)
            )

    def matched(self, account_id: int, catalog_id: int, mapping: str) -> set[int]:
        """The ids of the elements that this mapping's sheet has had rows for."""
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT element_id FROM matched WHERE account_id = ? AND catalog_id = ? AND mapping = ?",
                (account_id, catalog_id, mapping),
            )
            return {id_ for (id_,) in rows}

    # --- how large catalogs are ---

    def remember_count(self, account_id: int, catalog_id: int, element_count: int) -> None:
        """Remember how many elements a catalog had when it was read."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO catalogs VALUES (?, ?, ?)", (account_id, catalog_id, element_count)
            )

    def element_count(self, account_id: int, catalog_id: int) -> int | None:
        """How many elements a catalog had when it was last read; None where it never was."""
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT element_count FROM catalogs WHERE account_id = ? AND catalog_id = ?", (account_id, catalog_id)
            ).fetchone()
        return None if row is None else int(row[0])

    # --- reading ---

    def runs(self) -> list[dict[str, object]]:
        """All runs, the newest first, with the number of operations by outcome."""
        with closing(self._connect()) as connection:
            connection.row_factory = sqlite3.Row
            runs = [dict(row) for row in connection.execute("SELECT * FROM runs ORDER BY id DESC")]
            for run in runs:
                counts = connection.execute(
                    "SELECT outcome, count(*) FROM operations WHERE run_id = ? GROUP BY outcome", (run["id"],)
                )
                run["outcomes"] = {str(row[0]): int(row[1]) for row in counts}
        return runs

    def batches(self, run_id: int) -> list[dict[str, object]]:
        """The requests of a run in their order."""
        with closing(self._connect()) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM batches WHERE run_id = ? ORDER BY number", (run_id,))
            return [dict(row) for row in rows]


def _operation(run_id: int, change: Change) -> tuple[object, ...]:
    match change:
        case Add():
            element_id, before, after = None, {}, dict(change.values)
        case Update():
            element_id, before, after = change.id, dict(change.before), dict(change.after)
        case Delete():
            element_id, before, after = change.id, {"name": change.name}, {}
    return run_id, change.op, kind_of(change), change.key, element_id, _text(before), _text(after)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
