"""How a plan, its problems and a run's outcome look to a person."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from catalogsync import guards, newoptions
from catalogsync.celltext import quoted
from catalogsync.cli import printable
from catalogsync.errors import Problem
from catalogsync.grouping import MOST_ALONE, grouped
from catalogsync.keys import key_text
from catalogsync.model import AddedOptions, Change, Delete
from catalogsync.plan import Plan, kind_of
from catalogsync.plantext import clash_sections, lines_of, requests_words, summary
from catalogsync.readback import Difference
from catalogsync.runs import Recovered
from catalogsync.wording import in_words, title_of
from catalogsync.writer import Report

SHOWN_CHANGES = 40
SHOWN_PROBLEMS = 20
_WIDTH_WITHOUT_TERMINAL = 120
MARKS = {"add": ("+ add", "green"), "update": ("~ update", "yellow"), "delete": ("- delete", "red")}


def console(*, stderr: bool = False) -> Console:
    """A console that keeps its width when the output is not a terminal, and never reads markup in data."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH_WITHOUT_TERMINAL
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def print_line(out: Console, words: str) -> None:
    """A line that a terminal may wrap, and a script gets whole."""
    out.print(printable(words), soft_wrap=True)


def print_plan(plan: Plan, *, rps: float, verbose: bool = False) -> None:
    """The plan: a line per changed value, old and new, then the counts and what it will cost."""
    out = console()
    title = f"{plan.catalog_name} (catalog {plan.catalog_id}) ← {plan.source.rstrip(':').removesuffix('!row ')}"
    out.print(Text(printable(title), style="bold"))
    lines = newoptions.told(plan.options, plan.columns)
    print_problems("New options, added first; no undo takes them away:", lines, verbose=verbose)
    if plan.changes:
        out.print(changes_table(plan, len(plan.changes) if verbose else SHOWN_CHANGES))
    hidden = len(plan.changes) - SHOWN_CHANGES
    if hidden > 0 and not verbose:
        print_line(out, f"… and {hidden} more changes (-v shows all, --out plan.json stores them)")
    print_problems("Rejected rows, nothing of them is sent:", plan.rejected, verbose=verbose)
    print_problems("Worth a look:", plan.warnings, verbose=verbose)
    for title, problems in clash_sections(plan):
        print_problems(title, problems, verbose=verbose)
    for note in plan.notes:
        print_line(out, f"Note: {note}")
    print_stopping(plan, verbose=verbose)
    print_line(out, summary(plan, rps=rps))


def print_stopping(plan: Plan, *, verbose: bool = False, stderr: bool = False) -> None:
    """What a guard has against a plan."""
    print_problems("A guard would stop this plan:", guards.stopping(plan), verbose=verbose, stderr=stderr)


def print_facts(facts: Mapping[str, str]) -> None:
    """How the sheet was read, a line for each fact, on stderr."""
    stderr = console(stderr=True)
    print_line(stderr, "How the sheet was read:")
    width = max(map(len, facts), default=0)
    for name, text in facts.items():
        print_line(stderr, f"  {name:<{width}}  {text}")


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table on stdout."""
    table = Table(box=None, pad_edge=False, header_style="bold", title=Text(printable(title)), title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console().print(table)


def changes_table(plan: Plan, limit: int, headings: Sequence[str] = ("Catalog says", "Sheet says", "Row")) -> Table:
    """A line per changed value; `headings` are those of the old value, the new one and the row."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in ("", "Key", "Field", *headings):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"", "Row"})
    for change in plan.changes[:limit]:
        word, style = MARKS[kind_of(change)]
        for n, (field, before, after) in enumerate(lines_of(plan, change)):
            row = str(change.row or "") if n == 0 and not isinstance(change, Delete) else ""
            first = (Text(word if n == 0 else "", style=style), Text(printable(key_text(change.key)) if n == 0 else ""))
            cells = (
                Text(printable(field)),
                Text(printable(before), style="red"),
                Text(printable(after), style="green"),
            )
            table.add_row(*first, *cells, row)
    return table


def print_problems(title: str, problems: Sequence[Problem], *, verbose: bool = False, stderr: bool = False) -> None:
    """Problems, each with its address and the way out; many of a kind in one line, unless `verbose`."""
    if not problems:
        return
    out = console(stderr=stderr)
    out.print(Text(f"{title} ({len(problems)})", style="bold"))
    lines = grouped(problems, most_alone=len(problems) if verbose else MOST_ALONE)
    shown = lines if verbose else lines[:SHOWN_PROBLEMS]
    for line in shown:
        print_line(out, f"  {line}")
    told = sum(line.count for line in shown)
    if told < len(problems):
        print_line(out, f"  … and {len(problems) - told} more (-v shows all)")
    elif len(lines) < len(problems):
        print_line(out, "  (-v shows each)")


def print_report(plan: Plan, report: Report) -> None:
    """What a run did, and what it could not do."""
    plan = newoptions.with_ids(plan, report.options)
    changes = {change.op: change for change in plan.changes}
    done = [changes[r.op] for r in report.with_outcome("done")]
    kinds = {"add": "added", "update": "updated", "delete": "deleted"}
    counts = {word: sum(kind_of(change) == kind for change in done) for kind, word in kinds.items()}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing changed"
    out = console()
    print_line(out, f"Done: {told}, in {requests_words(report.write_requests)} (run {report.run_id}).")
    print_problems("New options, there now:", [_added_line(plan, each) for each in report.options], verbose=True)
    for outcome, title in (
        ("conflict", "Somebody edited these meanwhile; left as they are:"),
        ("failed", "Refused by the account:"),
        ("unknown", "Not known whether these were written:"),
    ):
        problems = [
            Problem(f"{key_text(changes[r.op].key)} ({kind_of(changes[r.op])})", r.message)
            for r in report.with_outcome(outcome)
        ]
        print_problems(title, problems)
    for is_loss, title in (
        (True, "The catalog lost a part of these:"),
        (False, "The catalog stored these its own way:"),
    ):
        print_problems(title, [_difference(plan, changes, d) for d in report.differences if d.is_loss == is_loss])
    if report.stopped_by:
        print_line(out, f"Stopped: {report.stopped_by}")
    if report.unsent:
        print_line(out, f"{len(report.unsent)} changes were not sent. Run the command again, or: catalogsync resume")


def _added_line(plan: Plan, added: AddedOptions) -> Problem:
    names = [
        f"{quoted(caption)} ({id_}{', somebody was faster' if caption in added.adopted else ''})"
        for caption, id_ in added.ids.items()
    ]
    return Problem(title_of(plan.columns, str(added.field_id)), ", ".join(names))


def _difference(plan: Plan, changes: Mapping[int, Change], difference: Difference) -> Problem:
    key = difference.column_key
    sent, stored = (in_words(plan.columns, key, text) for text in (difference.sent, difference.stored))
    if difference.kind == "cut":
        stored = f"the first {len(difference.stored)} of {len(difference.sent)} characters"
    what = f"{title_of(plan.columns, key)} {difference.kind}: “{sent}” is stored as {stored or 'nothing'}"
    return Problem(key_text(changes[difference.op].key), what)


def recovered_words(recovered: Recovered) -> str:
    """What became of a run that was cut off, in a line."""
    counts = Counter(result.outcome for result in recovered.results)
    told = [f"{counts['done']} of its changes in doubt turned out to be written"] if counts["done"] else []
    told += [f"{r.outcome}: {r.message}" for r in recovered.results if r.outcome != "done"]
    if recovered.planned_count:
        told.append(f"{recovered.planned_count} were not sent")
    return f"Run {recovered.run_id} was cut off; settled. {'; '.join(told) or 'Nothing was in doubt'}."


def report_json(report: Report) -> dict[str, object]:
    """A run's outcome as JSON values."""
    return {
        "run": report.run_id,
        "write_requests": report.write_requests,
        "stopped_by": str(report.stopped_by) if report.stopped_by else None,
        "not_sent": len(report.unsent),
        "options": [
            {"field_id": each.field_id, "ids": dict(each.ids), "adopted": list(each.adopted)} for each in report.options
        ],
        "differences": [
            {"op": d.op, "column": d.column_key, "sent": d.sent, "stored": d.stored, "kind": d.kind}
            for d in report.differences
        ],
        "results": [
            {"op": r.op, "outcome": r.outcome, "element_id": r.id, "message": r.message} for r in report.results
        ],
    }
