"""What jobs remember between turns: an SQLite file in the state folder, one for all projects of this machine.

Who needs a table declares it (`Memory.with_tables`); every row belongs to a scope, a project file and one of its jobs.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


class Memory:
    """The file. Connections are short: several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def with_tables(self, schema: str) -> Memory:
        """The same file, with tables (``CREATE TABLE IF NOT EXISTS …``) made where they are missing."""
        with self.transaction() as connection:
            for statement in filter(str.strip, schema.split(";")):
                connection.execute(statement)
        return self

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is kept as a whole or not at all."""
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise


def scope_of(project: Path, job: str) -> str:
    """What stands for a job of a project file: readable, and another one for every file."""
    digest = hashlib.sha256(str(project.resolve()).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{digest}/{job}"
