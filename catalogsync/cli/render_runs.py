"""How runs look to a person: what ran, what became of each change, what taking a run back would do."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from catalogsync.celltext import quoted
from catalogsync.cli import printable
from catalogsync.cli.render import (
    MARKS,
    SHOWN_CHANGES,
    changes_table,
    console,
    print_line,
    print_problems,
    print_table,
)
from catalogsync.errors import Problem
from catalogsync.journal import Operation, OptionsOperation, Run
from catalogsync.keys import key_text
from catalogsync.plan import change_record, kind_of
from catalogsync.plantext import lines_of, review_lines, source_words, summary
from catalogsync.undoing import TakenBack
from catalogsync.wording import title_of

_DONE = {"add": "added", "update": "updated", "delete": "deleted"}
_OUTCOMES = ("done", "failed", "conflict", "unknown", "sent", "planned")


def local_time(unix_s: int) -> str:
    """A time on this machine's clock."""
    return datetime.fromtimestamp(unix_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


# --- taking back ---------------------------------------------------------------------------------------------


def print_taken_back(run: Run, taken: TakenBack, *, rps: float, verbose: bool = False) -> None:
    """What taking a run back changes, what it leaves alone and why, and what cannot come back."""
    out, plan = console(), taken.plan
    title = f"Taking back run {run.id} of {local_time(run.started_at)} ({source_words(run.plan.source)})"
    out.print(Text(printable(f"{title}: {plan.catalog_name} (catalog {plan.catalog_id})"), style="bold"))
    if plan.changes:
        limit = len(plan.changes) if verbose else SHOWN_CHANGES
        out.print(changes_table(plan, limit, ("Catalog says", "Goes back to", "")))
        if len(plan.changes) > limit:
            print_line(out, f"… and {len(plan.changes) - limit} more changes (-v shows all)")
    print_problems("Left alone:", taken.left_alone, verbose=verbose)
    print_problems("Cannot come back:", taken.lost, verbose=verbose)
    for note in plan.notes:
        print_line(out, f"Note: {note}")
    print_line(out, summary(plan, rps=rps) if plan.changes else nothing_words(run, taken))


def nothing_words(run: Run, taken: TakenBack) -> str:
    """Why there is nothing to take back."""
    if taken.taken_back_by:
        before = f"run {', '.join(map(str, taken.taken_back_by))} took it back"
        return f"Nothing to do: {before}. To take that back in turn: catalogsync undo {taken.taken_back_by[-1]}"
    if taken.left_alone or taken.lost:
        return f"Nothing to do: nothing that run {run.id} wrote can be taken back."
    return f"Nothing to do: nothing that run {run.id} wrote is in the catalog."


def problems_json(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Problems as JSON values."""
    return [{"where": problem.where, "what": problem.what, "hint": problem.hint} for problem in problems]


# --- history -------------------------------------------------------------------------------------------------


def run_row(run: Mapping[str, Any]) -> Sequence[str]:
    """A run as a row of the overview."""
    counts: Counter[str] = Counter()
    for outcome, kinds in run["outcomes"].items():
        for kind, count in kinds.items():
            counts[_DONE[kind] if outcome == "done" else outcome] += count
    told = ", ".join(f"{count} {what}" for what, count in counts.items()) or "none"
    state = f"{run['state']} (undoes {run['undoes']})" if run["undoes"] else str(run["state"])
    started = local_time(run["started_at"])
    return str(run["id"]), started, str(run["catalog_id"]), source_words(str(run["source"])), state, told


def print_run(
    run: Run, operations: Sequence[Operation], options: Sequence[OptionsOperation], *, verbose: bool = False
) -> None:
    """A run: its changes, old and new, and what became of them. Of a large run, first what was not done."""
    out = console()
    state = f"{run.state}, undoes run {run.undoes}" if run.undoes else run.state
    title = f"Run {run.id}, {local_time(run.started_at)}, {state}: {source_words(run.plan.source)}"
    out.print(Text(printable(title), style="bold"))
    if run.message:
        print_line(out, f"Ended early: {run.message}")
    if run.plan.review:
        for line in review_lines(run.plan.review, most=len(run.plan.review.left_out) if verbose else 5):
            print_line(out, line)
    counts = Counter(operation.outcome for operation in operations)
    print_line(out, ", ".join(f"{counts[each]} {each}" for each in _OUTCOMES if counts[each]) or "no changes")
    print_problems("New options:", [_options_line(run, each) for each in options], verbose=verbose)
    not_done_first = sorted(operations, key=lambda operation: operation.outcome == "done")
    shown = operations if verbose or len(operations) <= SHOWN_CHANGES else not_done_first[:SHOWN_CHANGES]
    rows = []
    for operation in shown:
        for n, (field, before, after) in enumerate(lines_of(run.plan, operation.change)):
            outcome = f"{operation.outcome} {operation.message}".strip() if n == 0 else ""
            first = (MARKS[kind_of(operation.change)][0], key_text(operation.change.key)) if n == 0 else ("", "")
            rows.append((*first, field, before, after, outcome, str(operation.element_id or "") if n == 0 else ""))
    if rows:
        print_table("", ("", "Key", "Field", "Before", "After", "Outcome", "Element"), rows)
    if len(shown) < len(operations):
        print_line(out, f"… and {len(operations) - len(shown)} more changes (-v shows all, --json too)")


def _options_line(run: Run, operation: OptionsOperation) -> Problem:
    where = title_of(run.plan.columns, str(operation.options.field_id))
    ids = operation.added.ids if operation.added else {}
    names = [f"{quoted(name)} ({ids[name]})" if name in ids else quoted(name) for name in operation.options.captions]
    return Problem(where, f"{', '.join(names)}: {operation.outcome} {operation.message}".strip())


def run_json(run: Run, operations: Sequence[Operation], options: Sequence[OptionsOperation]) -> dict[str, Any]:
    """A run with all its changes as JSON values."""
    return {
        "id": run.id,
        "account_id": run.plan.account_id,
        "catalog_id": run.plan.catalog_id,
        "mapping": run.plan.mapping,
        "source": run.plan.source,
        "digest": run.digest,
        "state": run.state,
        "undoes": run.undoes,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "message": run.message,
        "review": dataclasses.asdict(run.plan.review) if run.plan.review else None,
        "options": [
            {
                "field_id": each.options.field_id,
                "captions": list(each.options.captions),
                "outcome": each.outcome,
                "message": each.message,
                "ids": dict(each.added.ids) if each.added else None,
                "adopted": list(each.added.adopted) if each.added else [],
            }
            for each in options
        ],
        "operations": [
            {
                **change_record(operation.change),
                "outcome": operation.outcome,
                "message": operation.message,
                "element_id": operation.element_id,
                "image": operation.image,
                "stored": dict(operation.stored.values) if operation.stored else None,
            }
            for operation in operations
        ],
    }
