"""The journal's file: its tables, and one synced transaction at a time. What is recorded in it: journal.py."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from catalogsync.errors import UserError


def _one_of(column: str, *words: str) -> str:
    """A check of a column. With IN it takes as long as all the rest of storing a row: a set is made each time."""
    return f"CHECK ({' OR '.join(f'{column} = {word!r}' for word in words)})"


_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, catalog_id INTEGER NOT NULL, mapping TEXT NOT NULL,
    source TEXT NOT NULL, digest TEXT NOT NULL, header TEXT NOT NULL, undoes INTEGER,
    started_at INTEGER NOT NULL, ended_at INTEGER,
    state TEXT NOT NULL {_one_of("state", "running", "done", "stopped", "superseded")},
    message TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS batches (
    run_id INTEGER NOT NULL REFERENCES runs, number INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    body TEXT NOT NULL, sent_at INTEGER NOT NULL, answered_at INTEGER,
    state TEXT NOT NULL {_one_of("state", "sent", "answered", "refused", "not sent", "in doubt")},
    message TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, number)
);
CREATE TABLE IF NOT EXISTS operations (
    run_id INTEGER NOT NULL REFERENCES runs, op INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    change TEXT NOT NULL, image TEXT, element_id INTEGER, stored TEXT, updated_at INTEGER, batch INTEGER,
    outcome TEXT NOT NULL {_one_of("outcome", "planned", "sent", "done", "failed", "conflict", "unknown")},
    message TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, op)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS options (
    run_id INTEGER NOT NULL REFERENCES runs, field_id INTEGER NOT NULL, captions TEXT NOT NULL, body TEXT,
    sent_at INTEGER, outcome TEXT NOT NULL {_one_of("outcome", "planned", "sent", "done", "failed")}, ids TEXT,
    adopted TEXT, message TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, field_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS catalogs (
    account_id INTEGER NOT NULL, catalog_id INTEGER NOT NULL, element_count INTEGER NOT NULL,
    PRIMARY KEY (account_id, catalog_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sheets (
    account_id INTEGER NOT NULL, catalog_id INTEGER NOT NULL, mapping TEXT NOT NULL,
    sheet_rows INTEGER NOT NULL, matched INTEGER NOT NULL, PRIMARY KEY (account_id, catalog_id, mapping)
) WITHOUT ROWID;
"""

VERSION = 2
"""Of the tables, kept in the file."""


class JournalFile:
    """The SQLite file in the state folder. Safe to open from several processes and threads."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise UserError(f"{file} cannot be used as the journal ({error})") from None

    def _prepare(self) -> None:
        """Make the tables in a new file. Raises UserError where it is of another version, and leaves it as it is."""
        with self.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            is_new = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version != VERSION and not is_new:
                words = f"{self._file} was written by another version of this program"
                raise UserError(f"{words}; move it away to begin anew")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={VERSION}")
        with closing(self.connect()) as connection:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode=WAL")

    @property
    def folder(self) -> Path:
        """The state folder that the journal lies in."""
        return self._file.parent

    def connect(self) -> sqlite3.Connection:
        """A connection, each statement of which is a transaction of its own."""
        connection = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, which is whole and on disk afterwards, or did nothing."""
        with closing(self.connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def now_at(self) -> int:
        """The time that the journal records, in Unix seconds."""
        return int(self._clock())
