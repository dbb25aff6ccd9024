"""One turn of a job: its sheet is found, planned, and what the job's mode says is done. Start reading here.

A turn never raises for what can go wrong in it: that is its outcome. Turns of one job never overlap, also not those of
other processes: the second one is skipped.
"""

from __future__ import annotations

import hashlib
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from catalogsync import guards, runs, sync
from catalogsync.api.client import Client
from catalogsync.errors import (
    CatalogBusy,
    CatalogSyncError,
    GuardRefused,
    Problem,
    RowsRejected,
    Stopped,
    UserError,
)
from catalogsync.exitcodes import plan_exit_codes, report_exit_codes, worst
from catalogsync.grouping import grouped
from catalogsync.journal import Journal
from catalogsync.keys import key_text
from catalogsync.lock import exclusive
from catalogsync.model import Ceiling, Schema
from catalogsync.outcomes import matched_ids
from catalogsync.plan import Plan, counts_of
from catalogsync.plantext import clash_counts
from catalogsync.reconcile.drift import drift_lines
from catalogsync.reconcile.outcome import Outcome
from catalogsync.reconcile.project import EVENTS, AccountSpec, Event, JobSpec, ProjectFile
from catalogsync.reconcile.reviews import Reviews
from catalogsync.reconcile.sources import Found, Source, source_of
from catalogsync.reconcile.state import Memory, scope_of
from catalogsync.resultbook import why_not_applied, write_result
from catalogsync.writer import Report, WriteOptions

MOST_DETAILS = 200
"""So many lines does an outcome hold; what is more is counted."""

_IN_STEP = "sheet and catalog are in step"

_SAYS_NOTHING_OF_THE_SHEET = (6, 7, 130, 143)
"""Exit codes of turns after which a watched folder keeps its sheet: no connection, no account, stopped."""

_TABLES = """
CREATE TABLE IF NOT EXISTS sheets (
    scope TEXT PRIMARY KEY, digest TEXT NOT NULL, events TEXT NOT NULL, good_at REAL NOT NULL)
"""

Connect = Callable[[AccountSpec | None, JobSpec], AbstractContextManager[Client]]


@dataclass
class _Turn:
    """What is known of a turn while it goes on."""

    job: str
    started_at: float
    sheet: str = ""
    events: list[Event] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    plan: Plan | None = None
    planned: sync.Planned | None = None
    report: Report | None = None
    client: Client | None = None

    def tell(self, lines: Iterator[str] | list[str]) -> None:
        """Add lines for the person."""
        self.details += lines

    def over(self, now_at: float, exit_code: int, words: str, *, is_skipped: bool = False) -> Outcome:
        """The outcome."""
        plan, report, client = self.plan, self.report, self.client
        done = counts_of(()) if report is None else _done(plan, report)
        more = len(self.details) - MOST_DETAILS
        details = [*self.details[:MOST_DETAILS], *([f"… and {more} more lines"] if more > 0 else [])]
        return Outcome(
            job=self.job,
            started_at=self.started_at,
            ended_at=now_at,
            exit_code=exit_code,
            words=words,
            events=tuple(dict.fromkeys(self.events)),
            is_skipped=is_skipped,
            details=tuple(details),
            sheet=self.sheet,
            run_id=report.run_id if report else None,
            planned=plan.counts if plan else {},
            done=done,
            rejected_rows=plan.rejected_rows if plan else 0,
            conflicts=_conflicts(plan, report) if plan else 0,
            reads=client.reads_sent if client else 0,
            writes=client.writes_sent if client else 0,
            throttled=client.throttled if client else 0,
            read_floor=self.planned.read_floor if self.planned else 0,
            files=tuple(self.files),
        )


class Jobs:
    """The jobs of a project, ready to run."""

    def __init__(
        self,
        project: ProjectFile,
        memory: Memory,
        journal: Journal,
        connect: Connect,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        options: WriteOptions | None = None,
    ) -> None:
        self.project = project
        self._memory = memory.with_tables(_TABLES)
        self._journal = journal
        self._connect = connect
        self._now, self._sleep = now, sleep
        self._options = options or WriteOptions()

    def turn(self, name: str, *, is_check: bool = False) -> Iterator[Outcome]:
        """One turn of a job: an outcome for each sheet, or for none. `is_check`: nothing is written, whatever the mode.

        Raises UserError where there is no such job.
        """
        job = self.project.job(name)
        with self._alone(name) as is_alone:
            turn = _Turn(name, self._now())
            if not is_alone:
                yield turn.over(self._now(), 0, "the last turn is still running: skipped", is_skipped=True)
                return
            try:
                yield from self._sheets(name, job, is_check=is_check)
            except Exception as error:  # what nobody foresaw is told to the person, too
                yield self._failed(turn, error)

    @contextmanager
    def _alone(self, name: str) -> Iterator[bool]:
        scope = re.sub("[^A-Za-z0-9._-]", "_", scope_of(self.project.path, name))
        folder = self._journal.folder / "reconcile"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(folder / f"{scope}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _sheets(self, name: str, job: JobSpec, *, is_check: bool) -> Iterator[Outcome]:
        scope = scope_of(self.project.path, name)
        source = source_of(
            job.sheet,
            self.project.folder,
            self._memory,
            scope,
            state=self._journal.folder,
            now=self._now,
            sleep=self._sleep,
            stop=self._options.stop,
        )
        with source.pending() as pending:
            left = list(pending.left)
            for found in pending:
                if self._options.stop:
                    return
                yield self._sheet(name, job, source, found, left, is_check=is_check)
                left = []
        if not pending.sheets:
            turn = _Turn(name, self._now(), details=left)
            yield turn.over(self._now(), 0, "no sheet has come", is_skipped=True)

    def _sheet(
        self, name: str, job: JobSpec, source: Source, found: Found, left: list[str], *, is_check: bool
    ) -> Outcome:
        turn = _Turn(name, self._now(), sheet=found.name, details=[*left])
        is_good, why_not = True, ""
        try:
            outcome = self._compared(turn, name, job, found, is_check=is_check)
        except Exception as error:
            is_good, why_not = False, why_not_applied(error) if isinstance(error, CatalogSyncError) else str(error)
            outcome = self._failed(turn, error)
        if is_check or outcome.is_skipped or outcome.exit_code in _SAYS_NOTHING_OF_THE_SHEET:
            return outcome
        result = self._result(turn, found, why_not) if source.takes_result else None
        files = source.finished(found, is_good=is_good, result=result)
        return replace(outcome, files=(*outcome.files, *files))

    def _result(self, turn: _Turn, found: Found, why_not: str) -> Path | None:
        """A workbook of what became of each row, to be moved beside the sheet; None where there was no plan."""
        planned = turn.planned
        if planned is None or planned.sheet is None:
            return None
        path = found.path.with_name(f"{found.path.stem}-result.xlsx")
        ids = matched_ids(planned.wanted, planned.base)
        why_not = why_not or "nothing was to be done"
        return write_result(path, planned.sheet, planned.plan, turn.report, why_not=why_not, ids=ids).path

    def _failed(self, turn: _Turn, error: Exception) -> Outcome:
        """The outcome of a turn that ended in an error; of a defect of ours with its traceback."""
        if not isinstance(error, CatalogSyncError | OSError):
            turn.events.append("failure")
            turn.tell([line for part in traceback.format_exception(error) for line in part.splitlines()])
            words = f"a defect in catalogsync ({type(error).__name__}); please report the lines below"
            return turn.over(self._now(), 1, words)
        problems = error.problems if isinstance(error, UserError) else ()
        turn.tell([str(line) for line in grouped(problems)])
        words = error.message if isinstance(error, UserError) else str(error)
        code = error.exit_code if isinstance(error, CatalogSyncError) else 1
        match error:
            case Stopped():
                return turn.over(self._now(), code, words, is_skipped=True)
            case CatalogBusy():
                return turn.over(self._now(), code, words, is_skipped=True)
            case GuardRefused():
                turn.events.append("guard")
                digest = turn.plan.digest if turn.plan else "DIGEST"
                way_out = f"catalogsync import SHEET -m MAPPING --allow {digest}"
                words = f"refused by a guard, nothing was written; to let this one plan through: {way_out}"
            case RowsRejected():
                turn.events.append("rejected")
            case _:
                turn.events.append("failure")
        return turn.over(self._now(), code, words)

    # --- one sheet ---

    def _compared(self, turn: _Turn, name: str, job: JobSpec, found: Found, *, is_check: bool) -> Outcome:
        mapping = self.project.folder / Path(job.mapping).expanduser()
        scope = scope_of(self.project.path, name)
        digest = _digest(found, mapping)
        last_digest, last_events = self._last_good(scope)
        if job.unchanged == "skip" and not is_check and last_digest == digest:
            turn.events += last_events  # as they were: a sheet that is the same has the same problems
            return turn.over(self._now(), 0, "the sheet has not changed: the catalog was not looked at")
        with ExitStack() as held, self._connect(self.project.account_of(job), job) as client:
            turn.client = client

            def begin(schema: Schema) -> None:
                held.enter_context(exclusive(self._journal.folder, schema.account_id, schema.catalog_id))
                for recovered in runs.recover(schema, client, self._journal, self._options):
                    turn.tell([f"run {recovered.run_id} was cut off; it is settled now"])

            reviews = Reviews(self._memory, scope, self.project.folder / Path(job.reviews).expanduser(), name)
            if job.mode == "approve" and not is_check and (answered := reviews.answered()):
                turn.plan, turn.report = reviews.apply(answered, client, self._journal, self._options, begin)
                return self._written(turn, scope, digest="")
            is_writing = job.mode == "apply" and not is_check
            planned = sync.plan(
                found.path,
                mapping,
                client,
                self._journal,
                _plan_options(job),
                prepare=begin if is_writing else None,
            )
            turn.plan, turn.planned = planned.plan, planned
            if not is_writing:
                return self._told(turn, planned, job, reviews, is_check=is_check)
            sync.check_guards(planned.plan)
            if planned.plan.changes:
                turn.report = sync.apply(
                    planned.plan, client, self._journal, planned.schema, self._options, planned=planned
                )
            else:
                sync.remember(planned, self._journal)
            turn.tell(list(drift_lines(replace(planned, plan=replace(planned.plan, changes=())), job.timezone)))
            return self._written(turn, scope, digest=digest)

    def _told(self, turn: _Turn, planned: sync.Planned, job: JobSpec, reviews: Reviews, *, is_check: bool) -> Outcome:
        """A turn that writes nothing, or a workbook to approve."""
        plan = planned.plan
        turn.events += _plan_events(plan)
        turn.tell(_problem_lines(plan))
        turn.tell(list(drift_lines(planned, job.timezone)))
        if guards.stopping(plan):
            turn.events.append("guard")
            turn.tell([str(problem) for problem in guards.stopping(plan)])
        is_apart = bool(plan.changes or plan.clashes)
        if job.mode == "approve" and not is_check:
            if plan.changes or _conflicts(plan, None):
                path = reviews.asked(plan)
                turn.events.append("approval")
                turn.files.append(path)
                words = f"{_counted(plan.counts)} wait for approval in {path.name}{_but_for(plan)}"
                return turn.over(self._now(), worst(plan_exit_codes(plan)), words)
            reviews.withdrawn()
        elif is_apart:
            turn.events.append("drift")
        codes = [*plan_exit_codes(plan), *([2] if is_check and is_apart else [])]
        words = f"sheet and catalog differ: {_counted(plan.counts)}{clash_counts(plan)}" if is_apart else _IN_STEP
        return turn.over(self._now(), worst(codes), f"{words}{_but_for(plan)}")

    def _written(self, turn: _Turn, scope: str, *, digest: str) -> Outcome:
        plan, report = turn.plan, turn.report
        assert plan is not None
        turn.events += _plan_events(plan)
        turn.tell(_problem_lines(plan))
        codes = list(plan_exit_codes(plan))
        if report:
            codes += report_exit_codes(plan, report)
            turn.tell(_result_lines(plan, report))
            if report.with_outcome("conflict"):
                turn.events.append("conflict")
            if report.with_outcome("failed", "unknown") or report.stopped_by or report.unsent:
                turn.events.append("failure")
        code = worst(codes)
        if code in (0, 3) and digest:
            self._remember_good(scope, digest, turn.events)
        if report and report.stopped_by:
            done, left = _counted(_done(plan, report)), len(report.unsent)
            return turn.over(self._now(), code, f"stopped: {report.stopped_by}; {done} done, {left} left")
        words = f"{_counted(_done(plan, report))} done" if report else _IN_STEP
        return turn.over(self._now(), code, f"{words}{_but_for(plan)}")

    # --- what the last good turn saw ---

    def _last_good(self, scope: str) -> tuple[str, list[Event]]:
        with self._memory.transaction() as connection:
            row = connection.execute("SELECT digest, events FROM sheets WHERE scope = ?", (scope,)).fetchone()
        return (str(row["digest"]), [each for each in EVENTS if each in row["events"].split()]) if row else ("", [])

    def _remember_good(self, scope: str, digest: str, events: Sequence[Event]) -> None:
        row = (scope, digest, " ".join(events), self._now())
        with self._memory.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO sheets VALUES (?, ?, ?, ?)", row)


# --- words and counts ----------------------------------------------------------------------------------------


def _plan_options(job: JobSpec) -> sync.PlanOptions:
    ceilings = {kind: Ceiling.parse(text) for kind, text in job.guards.items()}
    return sync.PlanOptions(strict=job.strict, ceilings=ceilings, keep_sheet=True)


def _digest(found: Found, mapping: Path) -> str:
    """What stands for a sheet and its mapping."""
    try:
        content = mapping.read_bytes()
    except OSError:
        content = b""  # told when the mapping is read
    return f"{found.digest} {hashlib.sha256(content).hexdigest()}"


def _done(plan: Plan | None, report: Report | None) -> dict[str, int]:
    if plan is None or report is None:
        return counts_of(())
    done = {result.op for result in report.with_outcome("done")}
    return counts_of(change for change in plan.changes if change.op in done)


def _conflicts(plan: Plan, report: Report | None) -> int:
    count = sum(clash.kind == "conflict" for clash in plan.clashes)
    return count + (len(report.with_outcome("conflict")) if report else 0)


def _counted(counts: Mapping[str, int]) -> str:
    names = {"add": ("add", "adds"), "update": ("update", "updates"), "delete": ("delete", "deletes")}
    told = [f"{count} {names[kind][count != 1]}" for kind, count in counts.items() if count]
    return ", ".join(told) or "no changes"


def _but_for(plan: Plan) -> str:
    """The rows that were rejected, as the end of a sentence: of them nothing is known to be in step."""
    if not plan.rejected_rows:
        return ""
    return f"; {plan.rejected_rows} of {plan.sheet_rows} rows rejected"


def _plan_events(plan: Plan) -> Iterator[Event]:
    if any(clash.kind == "conflict" for clash in plan.clashes):
        yield "conflict"
    if plan.rejected_rows:
        yield "rejected"


def _problem_lines(plan: Plan) -> list[str]:
    return [f"rejected: {line}" for line in grouped(plan.rejected)]


def _result_lines(plan: Plan, report: Report) -> list[str]:
    changes = {change.op: change for change in plan.changes}
    problems = [
        Problem(key_text(changes[result.op].key), f"{result.outcome}: {result.message}")
        for result in report.with_outcome("conflict", "failed", "unknown")
    ]
    return [str(line) for line in grouped(problems)]
