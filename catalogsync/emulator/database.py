"""The SQLite file: its schema, one connection, one lock, transactions."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE account (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, subdomain TEXT NOT NULL, timezone TEXT NOT NULL,
    currency TEXT NOT NULL, user_id INTEGER NOT NULL);
CREATE TABLE tokens (token TEXT PRIMARY KEY, user_id INTEGER NOT NULL);
CREATE TABLE catalogs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, type TEXT NOT NULL, sort INTEGER NOT NULL,
    created_by INTEGER NOT NULL, created_at INTEGER NOT NULL, can_add_elements INTEGER NOT NULL,
    can_show_in_cards INTEGER NOT NULL, can_link_multiple INTEGER NOT NULL);
CREATE TABLE fields (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    catalog_id INTEGER NOT NULL REFERENCES catalogs (id) ON DELETE CASCADE,
    name TEXT NOT NULL, code TEXT, type TEXT NOT NULL, sort INTEGER NOT NULL, origin TEXT,
    is_system INTEGER NOT NULL, is_required INTEGER NOT NULL, is_deletable INTEGER NOT NULL,
    is_visible INTEGER NOT NULL, is_editable INTEGER NOT NULL);
CREATE TABLE options (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    field_id INTEGER NOT NULL REFERENCES fields (id) ON DELETE CASCADE,
    label TEXT NOT NULL, sort INTEGER NOT NULL);
CREATE TABLE elements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    catalog_id INTEGER NOT NULL REFERENCES catalogs (id) ON DELETE CASCADE,
    name TEXT NOT NULL, created_by INTEGER NOT NULL, created_at INTEGER NOT NULL,
    updated_by INTEGER NOT NULL, updated_at INTEGER NOT NULL, field_values TEXT NOT NULL, leads TEXT NOT NULL);
CREATE INDEX fields_of_catalog ON fields (catalog_id);
CREATE INDEX options_of_field ON options (field_id);
CREATE INDEX elements_of_catalog ON elements (catalog_id, id);
"""

# Added since: they come into an older file when it is opened, and change nothing that was there.
_LATER = """
CREATE TABLE IF NOT EXISTS grants (token TEXT PRIMARY KEY, kind TEXT NOT NULL, until_s INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, catalog_id INTEGER NOT NULL,
    entity_id INTEGER NOT NULL, created_by INTEGER NOT NULL, created_at INTEGER NOT NULL,
    value_before TEXT NOT NULL, value_after TEXT NOT NULL);
"""

# First ids as on the vendor's pages: generated ids look like real ones, and ids of different things
# do not collide, so that a client which mixes them up is refused instead of lucky.
_LAST_IDS = {"catalogs": 4219, "fields": 4_400_048, "options": 3_692_538, "elements": 41_871}


class StoreError(ValueError):
    """The database is not one of ours, or what was asked of it does not exist."""


class Database:
    """One SQLite file of the emulator's schema. `now` gives whole Unix seconds."""

    def __init__(self, path: Path, now: Callable[[], int], *, durable: bool = True) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.row_factory = sqlite3.Row
            self._db.create_function("fold", 1, str.casefold, deterministic=True)
            self._db.execute("PRAGMA foreign_keys = ON")
            # A file that outlives the server is worth a journal; a temporary one dies with it.
            self._db.execute(f"PRAGMA journal_mode = {'WAL' if durable else 'MEMORY'}")
            self._db.execute(f"PRAGMA synchronous = {'NORMAL' if durable else 'OFF'}")
            self._prepare(path)
            for statement in _LATER.split(";"):
                self._db.execute(statement)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, path: Path) -> None:
        try:
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path.name} is not a database") from error
        if version == SCHEMA_VERSION:
            return
        if version or tables:
            raise StoreError(f"{path.name} was not written by this version of the emulator")
        with self.transaction():
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", _LAST_IDS.items())
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Closes the database; a second time does nothing."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside happen together or not at all. May be nested; the outermost one counts."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                    self._forget()
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def read(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """The rows of a statement of one of the emulator's own parts."""
        return self._rows(statement, values)

    def change(self, statement: str, values: Sequence[object] = ()) -> None:
        """Executes a statement of one of the emulator's own parts."""
        with self.transaction():
            self._db.execute(statement, values)

    def setting(self, name: str) -> Any:
        """What `set_setting` stored under this name; None where nothing was."""
        rows = self._rows("SELECT value FROM settings WHERE name = ?", (name,))
        return json.loads(rows[0]["value"]) if rows else None

    def set_setting(self, name: str, value: object) -> None:
        """Stores something under a name."""
        self.change("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def _insert(self, table: str, columns: Mapping[str, object]) -> int:
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        with self.transaction():
            done = self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))
        assert done.lastrowid is not None
        return done.lastrowid

    def _forget(self) -> None:
        """Drops what was remembered of rows that a rollback has taken back."""
