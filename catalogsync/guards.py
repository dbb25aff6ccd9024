"""Guards: what a plan may not do without being told. Pure.

Both kinds are checked over the whole plan before the first write, so that a bad sheet changes nothing
rather than half.

ceilings   how many changes of a kind; a flag raises one for a run
alarms     the marks of a broken sheet: shrunk, matching nothing, prices moved, a column sorted on its own,
           moved by a row, filled down or emptied, days and months swapped

Those that look at the columns one by one are in columnguards.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from catalogsync import columnguards, model
from catalogsync.celltext import quoted
from catalogsync.columnwise import is_in
from catalogsync.errors import Problem
from catalogsync.matching import Match
from catalogsync.model import Ceiling, Change, Update
from catalogsync.plan import Plan

_LEAST_KEYS = 10


def stopping(
    plan: Plan, ceilings: Mapping[str, Ceiling] | None = None, *, has_sheet: bool = True
) -> tuple[Problem, ...]:
    """Everything that stops a plan: the ceilings it exceeds, those in `ceilings` first, and its alarms."""
    told = {**plan.guards, **(ceilings or {})}
    advice = "check the sheet; if it is meant" if has_sheet else "if it is meant"
    return (
        *exceeded(plan.counts, plan.existing_count, told, advice=advice),
        *_too_many_options(plan, told.get("options"), advice),
        *plan.alarms,
    )


def exceeded(
    counts: Mapping[str, int],
    existing_count: int,
    ceilings: Mapping[str, Ceiling],
    *,
    advice: str = "check the sheet; if it is meant",
) -> Iterator[Problem]:
    """A problem for each kind (``add``, ``update``, ``delete``) of which there are more than its ceiling allows."""
    for kind, ceiling in ceilings.items():
        count = counts.get(kind, 0)
        if not ceiling.allows(count, existing_count):
            share = f" ({count / existing_count:.0%})" if existing_count else ""
            yield Problem(
                f"guard {kind}",
                f"the plan would {kind} {count} of {existing_count} elements{share}, the ceiling is {ceiling}",
                f"{advice}, --max-{kind} {count}",
            )


def _too_many_options(plan: Plan, ceiling: Ceiling | None, advice: str) -> Iterator[Problem]:
    """More new options than their ceiling allows: a count, or a percentage of those that their fields have."""
    shown = [plan.columns.get(str(each.field_id)) for each in plan.options]
    known_count = sum(len(each.captions) for each in shown if each is not None)
    count = plan.option_count
    if ceiling is not None and not ceiling.allows(count, known_count):
        yield Problem(
            "guard options",
            f"the plan would add {count} options to the {known_count} of their fields, the ceiling is {ceiling}",
            f"{advice}, --max-options {count}; options cannot be taken back",
        )


@dataclass(frozen=True, slots=True)
class LastRun:
    """What the mapping's last successful run left: its sheet's rows and how many of them have an element.

    Each is None where that is not known.
    """

    sheet_rows: int | None = None
    matched: int | None = None


def alarms(
    match: Match,
    mapping: model.Mapping,
    *,
    seen: pd.Index,
    sheet_rows: int,
    last_run: LastRun,
    address: Callable[[int], str],
    changes: Iterable[Change] = (),
) -> tuple[Problem, ...]:
    """What looks like a broken sheet.

    `match` has good rows only; `seen` are the keys of all rows and `sheet_rows` counts them, rejected ones too.
    `address` tells where a row stands. `changes` are the plan's.
    """
    updates = [change for change in changes if isinstance(change, Update) and change.row]
    return (
        *_shrunk(sheet_rows, len(match.existing), mapping.floors.get("rows"), last_run.sheet_rows),
        *_unmatched(match, seen, mapping.floors.get("matched"), last_run.matched),
        *columnguards.odd_columns(match, mapping, address),
        *columnguards.free_texts(match.desired, mapping),
        *columnguards.emptied(match, mapping, address, updates),
    )


# --- rows and keys -------------------------------------------------------------------------------------------


def _shrunk(
    sheet_rows: int, existing_count: int, floor: model.Floor | None, last_sheet_rows: int | None
) -> Iterator[Problem]:
    """A sheet with much fewer rows than last time, or with none for a catalog that has elements."""
    if floor is None or not floor.amount:
        return
    if not floor.allows(sheet_rows, last_sheet_rows):
        what = f"the sheet has {sheet_rows} rows, the least is {floor}"
        if floor.is_percent:
            what += f" of last time's {last_sheet_rows} ({math.ceil(floor.of(last_sheet_rows or 0))})"
        yield Problem("guard rows", what, f"{columnguards.PAST}, or another `guards: {{rows: …}}`")
    elif not sheet_rows and existing_count:  # the reader refuses such a sheet already; this does not lean on it
        yield Problem(
            "guard rows",
            f"the sheet has 0 rows, the catalog has {existing_count} elements with a key",
            columnguards.PAST,
        )


def _unmatched(match: Match, seen: pd.Index, floor: model.Floor | None, last_matched: int | None) -> Iterator[Problem]:
    """A key column that matches nothing in the catalog, or much less than last time."""
    held = match.existing.index
    if floor is None or not floor.amount or not len(seen) or not len(held):
        return
    is_matched = ~match.is_new if seen.equals(match.desired.index) else is_in(seen, held)
    matched = int(is_matched.sum())
    # A sheet with fewer rows than last time cannot match more than it has: that is the other guard's matter.
    comparable = 0 if last_matched is None else min(last_matched, len(seen))
    if floor.is_percent and comparable < _LEAST_KEYS:
        if matched or min(len(seen), len(held)) < _LEAST_KEYS:
            return
        least = "at least 1 is expected to be"
    elif floor.allows(matched, comparable):
        return
    elif floor.is_percent:
        least = f"last time {last_matched} were, at least {math.ceil(floor.of(comparable))} are expected ({floor})"
    else:
        least = f"the least is {floor}"
    what = f"{matched} of the sheet's {len(seen)} keys are among the catalog's {len(held)}; {least}"
    hint = f"{columnguards.PAST}, or another `guards: {{matched: …}}`"
    unknown = seen[~is_matched]
    if len(unknown):
        what += f"; e.g. {quoted(unknown[0])} in the sheet, {quoted(held[0])} in the catalog"
        hint = f"{_likely_cause(unknown, held)} {hint}"
    yield Problem("guard matched", what, hint)


def _likely_cause(unknown: pd.Index, held: pd.Index) -> str:
    """Why keys do not match: what most of them differ in, else the usual causes."""
    ours, theirs = pd.Series(unknown, dtype="str"), pd.Series(held, dtype="str")
    disguises: dict[str, Callable[[pd.Series], pd.Series]] = {
        "leading zeros": lambda keys: keys.str.lstrip("0"),
        "blanks and capital letters": lambda keys: keys.str.replace(r"\s", "", regex=True).str.lower(),
    }
    for name, plain in disguises.items():
        count = int(is_in(plain(ours), plain(theirs)).sum())
        if count >= min(len(ours), len(theirs)) / 2:
            return f"without {name} {count} would match;"
    return "another key column, lost leading zeros, blanks?"
