"""Journal: what was sent and what became of it, written before and after each request.

SQLite in the state folder; each method is one synced transaction, so that what it recorded survives
the end of the process at any instant. Operations are joined by their id, never by position.

A run is ``running`` until it ends: ``done``, or ``stopped`` before its end. A running one whose process is gone
was cut off. An operation is ``planned``, then ``sent`` while its request is on its way or its answer is lost, then
has an outcome (model.Result); settling a doubt may find that it is ``planned`` still. So it goes with the new options
of a field, which come before all operations: once they are there, the operations are recorded with their ids.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from catalogsync.api.dialect import Batch, Request
from catalogsync.journalfile import JournalFile
from catalogsync.model import AddedOptions, AddOptions, Change, Result, Stored
from catalogsync.plan import Plan, change_of, change_record, from_json, kind_of, to_json

KEEP_S = 180 * 86_400
KEEP_RUNS = 1_000
KEEP_OPERATIONS = 2_000_000
"""How long runs that came to their end are kept, how many, and with how many changes together: jobs run for years."""

_FORGET_EVERY = 20
"""At every so many-th run what is too old goes: counting takes a moment in a large journal."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of a run and what became of it.

    `image` holds the whole element before a delete, canonical text by column key, None where it was not read.
    `stored` is what the catalog held afterwards, None where it was not read back. `batch` is the number of the
    last request that carried it, `sent_at` when that went out, in Unix seconds.
    """

    change: Change
    outcome: str
    element_id: int | None
    message: str = ""
    image: Mapping[str, str] | None = None
    stored: Stored | None = None
    batch: int | None = None
    sent_at: int | None = None


@dataclass(frozen=True, slots=True)
class OptionsOperation:
    """The new options of a field in a run, and what became of them. `sent_at` is when they last went out (Unix s).

    `added` is None until they are known to be there.
    """

    options: AddOptions
    outcome: str
    added: AddedOptions | None = None
    sent_at: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its plan, when and how it ended. `undoes` is the run that it takes back, None for an ordinary one.

    `digest` is the plan's as it was approved; in `plan` new options have ids by now, if they are there.
    """

    id: int
    plan: Plan
    state: str
    started_at: int
    ended_at: int | None
    message: str = ""
    undoes: int | None = None
    digest: str = ""


class Journal(JournalFile):
    """The journal of one state folder. Safe to open from several processes and threads."""

    # --- a run as it goes ---

    def start(self, plan: Plan, *, undoes: int | None = None) -> int:
        """Record a run with all its operations as planned; the run's id. What is left of earlier ones is superseded.

        Old runs that came to their end are forgotten now and then (`KEEP_S`, `KEEP_RUNS`, `KEEP_OPERATIONS`).
        """
        with self.transaction() as connection:
            connection.execute(
                "UPDATE runs SET state = 'superseded' WHERE state = 'stopped'"
                " AND account_id = ? AND catalog_id = ? AND mapping = ?",
                (plan.account_id, plan.catalog_id, plan.mapping),
            )
            run_id = connection.execute(
                "INSERT INTO runs (account_id, catalog_id, mapping, source, digest, header, undoes, started_at, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running')",
                (
                    plan.account_id,
                    plan.catalog_id,
                    plan.mapping,
                    plan.source,
                    plan.digest,
                    _header(plan),
                    undoes,
                    self.now_at(),
                ),
            ).lastrowid
            assert run_id is not None
            connection.executemany(
                "INSERT INTO operations (run_id, op, kind, key, change, element_id, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?, 'planned')",
                (
                    (run_id, c.op, kind_of(c), c.key, _text(change_record(c)), getattr(c, "id", None))
                    for c in plan.changes
                ),
            )
            connection.executemany(
                "INSERT INTO options (run_id, field_id, captions, outcome) VALUES (?, ?, ?, 'planned')",
                ((run_id, each.field_id, _text(each.captions)) for each in plan.options),
            )
            if run_id % _FORGET_EVERY == 0:
                self._forget_old(connection)
        return run_id

    def _forget_old(self, connection: sqlite3.Connection) -> None:
        counted = (
            "SELECT r.id, r.state, r.ended_at, row_number() OVER newest AS place, sum(count) OVER newest AS operations"
            " FROM runs r LEFT JOIN (SELECT run_id, count(*) AS count FROM operations GROUP BY run_id) o"
            " ON o.run_id = r.id WINDOW newest AS (ORDER BY r.id DESC)"
        )
        old = connection.execute(
            f"SELECT id FROM ({counted}) WHERE state IN ('done', 'superseded')"
            " AND (ended_at < ? OR place > ? OR operations > ?)",
            (self.now_at() - KEEP_S, KEEP_RUNS, KEEP_OPERATIONS),
        ).fetchall()
        for table in ("options", "operations", "batches"):
            connection.executemany(f"DELETE FROM {table} WHERE run_id = ?", old)
        connection.executemany("DELETE FROM runs WHERE id = ?", old)

    # --- new options, before everything else ---

    def options_sending(self, run_id: int, field_id: int, request: Request) -> None:
        """Record that new options of a field are about to go out."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE options SET outcome = 'sent', sent_at = ?, body = ? WHERE run_id = ? AND field_id = ?",
                (self.now_at(), _body(request), run_id, field_id),
            )

    def options_ended(self, run_id: int, field_id: int, outcome: str, message: str) -> None:
        """Record that new options of a field are ``planned`` still, ``sent`` with their answer lost, or ``failed``."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE options SET outcome = ?, message = ? WHERE run_id = ? AND field_id = ?",
                (outcome, message, run_id, field_id),
            )

    def options_added(self, run_id: int, added: AddedOptions, plan: Plan, changes: Iterable[Change]) -> None:
        """Record that the new options of a field are there; `plan` and those `changes` of it have their ids now."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE options SET outcome = 'done', ids = ?, adopted = ?, message = ''"
                " WHERE run_id = ? AND field_id = ?",
                (_text(dict(added.ids)), _text(added.adopted), run_id, added.field_id),
            )
            connection.execute("UPDATE runs SET header = ? WHERE id = ?", (_header(plan), run_id))
            connection.executemany(
                "UPDATE operations SET change = ? WHERE run_id = ? AND op = ?",
                ((_text(change_record(change)), run_id, change.op) for change in changes),
            )

    def options(self, run_id: int) -> list[OptionsOperation]:
        """The new options of a run, by field."""
        with closing(self.connect()) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM options WHERE run_id = ? ORDER BY field_id", (run_id,))
            return [_options_operation(row) for row in rows]

    def sending(self, run_id: int, batch: Batch, images: Mapping[int, Mapping[str, str]] | None = None) -> None:
        """Record a request that is about to go out. `images` holds by operation what is about to be deleted."""
        request = batch.request
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO batches (run_id, number, method, path, body, sent_at, state)"
                " VALUES (?, ?, ?, ?, ?, ?, 'sent')",
                (run_id, batch.number, request.method, request.path, _body(request), self.now_at()),
            )
            connection.executemany(
                "UPDATE operations SET batch = ?, outcome = 'sent', image = coalesce(?, image)"
                " WHERE run_id = ? AND op = ?",
                ((batch.number, _image(images, change.op), run_id, change.op) for change in batch.changes),
            )

    def answered(self, run_id: int, batch: Batch, state: str, results: Iterable[Result], message: str = "") -> None:
        """Record what came of a request: ``answered``, ``refused`` or ``in doubt``, and each outcome that is known."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE batches SET answered_at = ?, state = ?, message = ? WHERE run_id = ? AND number = ?",
                (self.now_at(), state, message, run_id, batch.number),
            )
            self._record(connection, run_id, results)

    def not_sent(self, run_id: int, batch: Batch, message: str) -> None:
        """Record that a request was certainly not processed: its operations are planned still."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE batches SET answered_at = ?, state = 'not sent', message = ? WHERE run_id = ? AND number = ?",
                (self.now_at(), message, run_id, batch.number),
            )
            self._plan_again(connection, run_id, batch.changes)

    def found(self, run_id: int, results: Iterable[Result], absent: Iterable[Change] = ()) -> None:
        """Record what a look at the catalog said: outcomes, and operations that are to be sent (again)."""
        with self.transaction() as connection:
            self._record(connection, run_id, results)
            self._plan_again(connection, run_id, absent)

    def read_back(self, run_id: int, stored: Mapping[int, Stored]) -> None:
        """Record by operation what the catalog holds after it."""
        with self.transaction() as connection:
            connection.executemany(
                "UPDATE operations SET stored = ?, updated_at = ? WHERE run_id = ? AND op = ?",
                ((_text(dict(each.values)), each.updated_at, run_id, op) for op, each in stored.items()),
            )

    @staticmethod
    def _plan_again(connection: sqlite3.Connection, run_id: int, changes: Iterable[Change]) -> None:
        connection.executemany(
            "UPDATE operations SET outcome = 'planned' WHERE run_id = ? AND op = ?",
            ((run_id, change.op) for change in changes),
        )

    @staticmethod
    def _record(connection: sqlite3.Connection, run_id: int, results: Iterable[Result]) -> None:
        connection.executemany(
            "UPDATE operations SET outcome = ?, element_id = coalesce(?, element_id), message = ?"
            " WHERE run_id = ? AND op = ?",
            ((result.outcome, result.id, result.message, run_id, result.op) for result in results),
        )

    def finish(self, run_id: int, state: str, message: str = "") -> None:
        """Record the end of a run: ``done``, or ``stopped`` before its end."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE runs SET ended_at = ?, state = ?, message = ? WHERE id = ?",
                (self.now_at(), state, message, run_id),
            )

    # --- reading ---

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the newest first, with the number of operations by kind and outcome."""
        with closing(self.connect()) as connection:
            connection.row_factory = sqlite3.Row
            columns = (
                "id, account_id, catalog_id, mapping, source, digest, undoes, started_at, ended_at, state, message"
            )
            runs = [dict(row) for row in connection.execute(f"SELECT {columns} FROM runs ORDER BY id DESC")]
            for run in runs:
                counts = connection.execute(
                    "SELECT outcome, kind, count(*) FROM operations WHERE run_id = ? GROUP BY outcome, kind"
                    " ORDER BY outcome, kind",
                    (run["id"],),
                )
                run["outcomes"] = {}
                for outcome, kind, count in counts:
                    run["outcomes"].setdefault(outcome, {})[kind] = count
        return runs

    def run(self, run_id: int) -> Run | None:
        """One run with its plan, all changes included; None where there is none."""
        with closing(self.connect()) as connection:
            connection.row_factory = sqlite3.Row
            row = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
            if row is None:
                return None
            changes = connection.execute("SELECT change FROM operations WHERE run_id = ? ORDER BY op", (run_id,))
            plan = replace(
                from_json(json.loads(row["header"]), f"run {run_id}"),
                changes=tuple(change_of(json.loads(each["change"])) for each in changes),
            )
        return Run(
            row["id"],
            plan,
            row["state"],
            row["started_at"],
            row["ended_at"],
            row["message"],
            undoes=row["undoes"],
            digest=row["digest"],
        )

    def reviewed_run(self, plan: Plan) -> Run | None:
        """The latest run of what a person approved of a plan, or of a part of it; None where there is none."""
        with closing(self.connect()) as connection:
            row = connection.execute(
                "SELECT id FROM runs WHERE account_id = ? AND catalog_id = ?"
                " AND json_extract(header, '$.review.digest') = ? AND json_extract(header, '$.made_at') = ?"
                " ORDER BY id DESC LIMIT 1",
                (plan.account_id, plan.catalog_id, plan.digest, plan.made_at),
            ).fetchone()
        return None if row is None else self.run(int(row[0]))

    def operations(self, run_id: int) -> list[Operation]:
        """The operations of a run, by their ids."""
        with closing(self.connect()) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(
                "SELECT operations.*, batches.sent_at FROM operations LEFT JOIN batches"
                " ON batches.run_id = operations.run_id AND batches.number = operations.batch"
                " WHERE operations.run_id = ? ORDER BY op",
                (run_id,),
            )
            return [_operation(row) for row in rows]

    def batches(self, run_id: int) -> list[dict[str, object]]:
        """The requests of a run in their order."""
        with closing(self.connect()) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM batches WHERE run_id = ? ORDER BY number", (run_id,))
            return [dict(row) for row in rows]

    def unfinished(self, account_id: int | None = None, catalog_id: int | None = None) -> list[int]:
        """The runs (of an account, of one of its catalogs) that ended before their end, the oldest first.

        Cut off while running, or stopped with operations that are not done.
        """
        with closing(self.connect()) as connection:
            rows = connection.execute(
                "SELECT id FROM runs WHERE (?1 IS NULL OR account_id = ?1) AND (?2 IS NULL OR catalog_id = ?2)"
                " AND (state = 'running'"
                " OR state = 'stopped' AND EXISTS (SELECT 1 FROM operations WHERE run_id = runs.id"
                " AND outcome IN ('planned', 'sent'))) ORDER BY id",
                (account_id, catalog_id),
            )
            return [int(id_) for (id_,) in rows]

    # --- how large catalogs are ---

    def remember_count(self, account_id: int, catalog_id: int, element_count: int) -> None:
        """Remember how many elements a catalog had when it was read."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO catalogs VALUES (?, ?, ?)", (account_id, catalog_id, element_count)
            )

    def element_count(self, account_id: int, catalog_id: int) -> int | None:
        """How many elements a catalog had when it was last read; None where it never was."""
        with closing(self.connect()) as connection:
            row = connection.execute(
                "SELECT element_count FROM catalogs WHERE account_id = ? AND catalog_id = ?", (account_id, catalog_id)
            ).fetchone()
        return None if row is None else int(row[0])

    # --- what a sheet was like ---

    def remember_sheet(self, plan: Plan) -> None:
        """Remember how many rows a mapping's sheet had, and for how many of them there is an element now."""
        matched = plan.unchanged_count + plan.counts["update"] + plan.counts["add"]
        scope = (plan.account_id, plan.catalog_id, plan.mapping)
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO sheets VALUES (?, ?, ?, ?, ?)", (*scope, plan.sheet_rows, matched)
            )

    def last_sheet(self, account_id: int, catalog_id: int, mapping: str) -> tuple[int | None, int | None]:
        """The rows of a mapping's last sheet, and for how many there was an element; None where not known."""
        with closing(self.connect()) as connection:
            row = connection.execute(
                "SELECT sheet_rows, matched FROM sheets WHERE account_id = ? AND catalog_id = ? AND mapping = ?",
                (account_id, catalog_id, mapping),
            ).fetchone()
        return (None, None) if row is None else (int(row[0]), int(row[1]))


def _header(plan: Plan) -> str:
    """The plan less what stands elsewhere, and what is of no use afterwards."""
    return _text(to_json(replace(plan, changes=(), rejected=(), warnings=())))


def _options_operation(row: sqlite3.Row) -> OptionsOperation:
    added = None
    if row["ids"] is not None:
        added = AddedOptions(row["field_id"], json.loads(row["ids"]), tuple(json.loads(row["adopted"])))
    wanted = AddOptions(row["field_id"], tuple(json.loads(row["captions"])))
    return OptionsOperation(wanted, row["outcome"], added, row["sent_at"], row["message"])


def _image(images: Mapping[int, Mapping[str, str]] | None, op: int) -> str | None:
    return _text(dict(images[op])) if images and op in images else None


def _operation(row: sqlite3.Row) -> Operation:
    stored = None
    if row["stored"] is not None:
        stored = Stored(row["element_id"], row["updated_at"], json.loads(row["stored"]))
    return Operation(
        change=change_of(json.loads(row["change"])),
        outcome=row["outcome"],
        element_id=row["element_id"],
        message=row["message"],
        image=None if row["image"] is None else json.loads(row["image"]),
        stored=stored,
        batch=row["batch"],
        sent_at=row["sent_at"],
    )


def _body(request: Request) -> str:
    return (request.content or b"").decode("utf-8")


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode("utf-8")
