"""How what is wrong with a sheet and its mapping looks to a person, and to a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from catalogsync.cli import printable
from catalogsync.cli.render import SHOWN_PROBLEMS, console, print_line
from catalogsync.errors import Problem
from catalogsync.grouping import MOST_ALONE, grouped
from catalogsync.reader import column_letter
from catalogsync.validating import Validation


def print_validation(found: Validation, *, verbose: bool = False) -> None:
    """A table per kind of problem, what was not checked, and the sum of it."""
    for title, problems in (
        ("Mapping: nothing is imported until this is mended", found.mapping),
        ("Sheet: nothing is imported until this is mended", found.sheet),
        ("Rows: rejected, the others are imported", found.rows),
        ("Worth a look: imported as it is", found.warnings),
    ):
        if problems:
            _print_table(title, problems, verbose=verbose)
    out = console()
    for note in found.notes:
        print_line(out, f"Note: {note}")
    print_line(out, summary(found))


def _print_table(title: str, problems: Sequence[Problem], *, verbose: bool) -> None:
    out = console()
    lines = grouped(problems, most_alone=len(problems) if verbose else MOST_ALONE)
    shown = lines if verbose else lines[:SHOWN_PROBLEMS]
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading, ratio in (("Where", 3), ("What", 4), ("What to do", 3)):
        table.add_column(heading, overflow="fold", ratio=ratio)
    for line in shown:
        table.add_row(*(Text(printable(text)) for text in (line.where, line.what, line.hint)))
    out.print(Text(f"{title} ({len(problems)})", style="bold"))
    out.print(table)
    told = sum(line.count for line in shown)
    if told < len(problems):
        print_line(out, f"… and {len(problems) - told} more (-v shows all)")
    elif len(lines) < len(problems):
        print_line(out, "(-v shows each)")
    out.print()


def summary(found: Validation) -> str:
    """What there is to mend, in a line."""
    rows = f"{found.sheet_rows} row{'' if found.sheet_rows == 1 else 's'}"
    warned = f"; {_count(len(found.warnings), 'warning')}" if found.warnings else ""
    parts = [
        _count(len(problems), f"problem of the {name}", f"problems of the {name}")
        for name, problems in (("mapping", found.mapping), ("sheet", found.sheet))
        if problems
    ]
    if found.rows:
        parts.append(f"{found.rejected_rows} of {rows} rejected")
    if not parts:
        return f"Nothing to mend in {rows}{warned}."
    return f"To mend: {', '.join(parts)}{warned}."


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def validation_json(found: Validation) -> dict[str, Any]:
    """Every problem as JSON values."""
    return {
        "exit_code": found.exit_code,
        "sheet_rows": found.sheet_rows,
        "rejected_rows": found.rejected_rows,
        "problems": [
            *(_record("mapping", problem) for problem in found.mapping),
            *(_record("sheet", problem) for problem in found.sheet),
            *(_record("rows", problem) for problem in found.rows),
        ],
        "warnings": [_record("warning", problem) for problem in found.warnings],
        "notes": found.notes,
        "read": dict(found.read.facts) if found.read else None,
    }


def _record(kind: str, problem: Problem) -> dict[str, Any]:
    return {
        "of": kind,
        "where": problem.where,
        "what": problem.what,
        "hint": problem.hint,
        "cells": [
            {"row": spot.row, "column": None if spot.column is None else column_letter(spot.column)}
            for spot in problem.spots
        ],
    }
