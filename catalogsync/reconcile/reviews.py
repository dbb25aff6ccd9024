"""Mode ``approve``: a workbook is written for a person, and what she approved in it is applied when it comes back.

It has come back when it says in its Summary who approved, and no program holds it open. The same plan is asked once;
a plan that became another one is asked anew in a workbook of its own, in the place of the one that nobody answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from catalogsync import reviewing, sync
from catalogsync.api.client import Client
from catalogsync.approved import apply_approved
from catalogsync.errors import StalePlan, UserError
from catalogsync.journal import Journal
from catalogsync.model import Schema
from catalogsync.pace import CEILING_RPS
from catalogsync.plan import Plan
from catalogsync.reconcile.state import Memory
from catalogsync.reviewanswers import Answers, read_review
from catalogsync.reviewbook import VALID_DAYS, write_review
from catalogsync.writer import Report, WriteOptions

_TABLES = """
CREATE TABLE IF NOT EXISTS reviews (
    scope TEXT PRIMARY KEY, path TEXT NOT NULL, asks TEXT NOT NULL, made_at INTEGER NOT NULL)
"""


@dataclass(frozen=True)
class Answered:
    """A workbook that came back."""

    path: Path
    answers: Answers


class Reviews:
    """The workbooks of one job, one at a time."""

    def __init__(self, memory: Memory, scope: str, folder: Path, job: str) -> None:
        self._memory, self._scope, self._folder, self._job = memory.with_tables(_TABLES), scope, folder, job

    def answered(self) -> Answered | None:
        """The workbook that came back, or None. Raises UserError where it was edited where it may not be."""
        path, _, _ = self._asked()
        if path is None or not path.exists() or _is_open(path):
            return None
        answers = read_review(path)
        return Answered(path, answers) if answers.review.approved_by else None

    def apply(
        self,
        answered: Answered,
        client: Client,
        journal: Journal,
        options: WriteOptions,
        begin: Callable[[Schema], object],
    ) -> tuple[Plan, Report | None]:
        """Apply what was approved, and put the workbook away. A stale one is put away too: the next turn asks anew."""
        try:
            cut_off = reviewing.interrupted_run(journal, answered.answers)
            if cut_off:
                schema = sync.schema_of(cut_off, client)
                begin(schema)
                plan, report, _ = sync.resume(cut_off, client, journal, schema, options)
            else:
                made = apply_approved(answered.answers, client, journal, options, begin=begin)
                plan, report = made.plan, made.report
        except StalePlan:
            self._put_away(answered.path, "stale")
            raise
        if not (report and report.stopped_by):
            self._put_away(answered.path, "done")
        return plan, report

    def asked(self, plan: Plan) -> Path:
        """The workbook that asks for a plan: the one that waits already, or a new one in its place."""
        path, asks, made_at = self._asked()
        told = f"{plan.digest} {len(plan.clashes)}"
        is_in_time = plan.made_at - made_at < (VALID_DAYS - 1) * 86_400
        if path is not None and path.exists() and asks == told and is_in_time:
            return path
        if path is not None and path.exists() and not _is_open(path):
            path.unlink()
        self._folder.mkdir(parents=True, exist_ok=True)
        made = self._folder / f"{self._job}-{plan.digest}.xlsx"
        write_review(made, plan, rps=CEILING_RPS)
        with self._memory.transaction() as connection:
            row = (self._scope, str(made), told, plan.made_at)
            connection.execute("INSERT OR REPLACE INTO reviews VALUES (?, ?, ?, ?)", row)
        return made

    def withdrawn(self) -> None:
        """Sheet and catalog are in step again: nobody is asked any more."""
        path, _, _ = self._asked()
        if path is not None and path.exists() and not _is_open(path):
            path.unlink()
        self._forget()

    def _asked(self) -> tuple[Path | None, str, int]:
        with self._memory.transaction() as connection:
            row = connection.execute("SELECT * FROM reviews WHERE scope = ?", (self._scope,)).fetchone()
        return (Path(row["path"]), str(row["asks"]), int(row["made_at"])) if row else (None, "", 0)

    def _forget(self) -> None:
        with self._memory.transaction() as connection:
            connection.execute("DELETE FROM reviews WHERE scope = ?", (self._scope,))

    def _put_away(self, path: Path, where: str) -> None:
        folder = path.parent / where
        folder.mkdir(exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        try:
            path.replace(folder / f"{path.stem}-{stamp}{path.suffix}")
        except OSError as error:
            raise UserError(f"{path}: cannot be moved to {folder} ({error.strerror}); close it") from None
        self._forget()


def _is_open(path: Path) -> bool:
    """Whether Excel or LibreOffice holds the workbook open, as far as their lock files tell."""
    return any((path.parent / name).exists() for name in (f"~${path.name}", f".~lock.{path.name}#"))
