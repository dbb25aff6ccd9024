"""Guards: what a plan may not do without being told. Pure.

Both kinds are checked over the whole plan before the first write, so that a bad sheet changes nothing
rather than half.

ceilings   how many changes of a kind; a flag raises one for a run
alarms     the marks of a broken sheet: shrunk, matching nothing, prices moved, a column sorted on its own

Alarms look at columns as a whole, by median and by set of values, so that a few odd rows do not count; under
so many rows that chance alone could trip them (`_LEAST_…`) they stay silent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import captions, fields, model
from catalogsync.errors import Problem
from catalogsync.model import Ceiling, Column
from catalogsync.plan import Plan

_LEAST_KEYS = 10
_LEAST_PRICES = 5
_LEAST_SHUFFLED = 10
_DEEPEST_FALL_PERCENT = 90
"""A limit of 300 % lets a price rise fourfold; no limit lets it fall to a hundredth, as a decimal slip does."""

_CHANGED_SHARE = 0.5
_SAME_VALUES_SHARE = 0.9
_DISTINCT_SHARE = 0.5
_ONE_WAY_SHARE = 0.9
_LEAST_NEW_OPTIONS = 10
_NEW_OPTIONS_SHARE = 0.8

_PAST = "check the sheet; if it is meant, --allow DIGEST"


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
    desired: pd.DataFrame,
    existing: pd.DataFrame,
    mapping: model.Mapping,
    *,
    seen: pd.Index,
    sheet_rows: int,
    last_run: LastRun,
    address: Callable[[int], str],
) -> tuple[Problem, ...]:
    """What looks like a broken sheet.

    `desired` and `existing` as in tables.py, `desired` with good rows only; `seen` are the keys of all rows and
    `sheet_rows` counts them, rejected ones too. `address` tells where a row stands.
    """
    return (
        *_shrunk(sheet_rows, len(existing), mapping.floors.get("rows"), last_run.sheet_rows),
        *_unmatched(seen, existing.index, mapping.floors.get("matched"), last_run.matched),
        *_odd_columns(desired, existing, mapping, address),
        *_free_texts(desired, mapping),
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
        yield Problem("guard rows", what, f"{_PAST}, or another `guards: {{rows: …}}`")
    elif not sheet_rows and existing_count:  # the reader refuses such a sheet already; this does not lean on it
        yield Problem(
            "guard rows", f"the sheet has 0 rows, the catalog has {existing_count} elements with a key", _PAST
        )


def _unmatched(
    seen: pd.Index, held: pd.Index, floor: model.Floor | None, last_matched: int | None
) -> Iterator[Problem]:
    """A key column that matches nothing in the catalog, or much less than last time."""
    if floor is None or not floor.amount or not len(seen) or not len(held):
        return
    is_matched = held.get_indexer(seen) >= 0
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
    hint = f"{_PAST}, or another `guards: {{matched: …}}`"
    unknown = seen[~is_matched]
    if len(unknown):
        what += f"; e.g. {fields.quoted(unknown[0])} in the sheet, {fields.quoted(held[0])} in the catalog"
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
        count = int((pd.Index(plain(theirs).unique()).get_indexer(plain(ours)) >= 0).sum())
        if count >= min(len(ours), len(theirs)) / 2:
            return f"without {name} {count} would match;"
    return "another key column, lost leading zeros, blanks?"


# --- columns -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A column's values before and after, where both are filled, and the sheet rows they stand in."""

    column: Column
    held: pd.Series
    wanted: pd.Series
    rows: NDArray[np.int64]
    address: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def where(self) -> str:
        return f"guard {self.column.header}"

    def example(self, place: int) -> str:
        """One row's old and new value with its address."""
        old, new = (fields.show(str(values.iloc[place]), self.column) for values in (self.held, self.wanted))
        if self.column.type not in fields.NUMBER_TYPES:
            old, new = fields.quoted(old), fields.quoted(new)
        return f"{self.address(int(self.rows[place]))}: {old} → {new}"


def _odd_columns(
    desired: pd.DataFrame, existing: pd.DataFrame, mapping: model.Mapping, address: Callable[[int], str]
) -> Iterator[Problem]:
    places = existing.index.get_indexer(desired.index)
    found = np.flatnonzero(places >= 0)
    rows = desired["row"].to_numpy(np.int64)[found]
    for column in mapping.columns:
        if column.owner == "crm" or column.multi != "replace":
            continue
        wanted = desired[column.key].iloc[found].reset_index(drop=True)
        held = existing[column.key].iloc[places[found]].reset_index(drop=True)
        filled = ((wanted != "") & (held != "")).to_numpy(bool)
        pairs = _Pairs(
            column, held[filled].reset_index(drop=True), wanted[filled].reset_index(drop=True), rows[filled], address
        )
        yield from _moved(pairs)
        yield from _shuffled(pairs)


def _moved(pairs: _Pairs) -> Iterator[Problem]:
    """A column of numbers whose typical value moved by more than its limit: a decimal slip, another currency."""
    limit_percent = pairs.column.moves_percent
    if limit_percent is None:
        return
    old, new = _numbers(pairs.held), _numbers(pairs.wanted)
    counted = np.flatnonzero(np.isfinite(old) & np.isfinite(new) & (old != 0))
    if len(counted) < _LEAST_PRICES:
        return
    with np.errstate(all="ignore"):  # numbers may be as long as people care to type
        factors = new[counted] / old[counted]
        factor = float(np.median(factors))
        typical = int(counted[np.argmin(np.abs(factors - factor))])
    fall_percent = min(limit_percent, _DEEPEST_FALL_PERCENT)
    moved_percent = (factor - 1) * 100
    if -fall_percent - 1e-9 <= moved_percent <= limit_percent + 1e-9:
        return
    limit = f"{_rounded(fall_percent if moved_percent < 0 else limit_percent)}%"
    direction = "down" if moved_percent < 0 else "up"
    yield Problem(
        pairs.where,
        f"the typical value would go {direction} by {_rounded(abs(moved_percent))}% (times {factor:.4g}, the median of"
        f" {len(counted)} matched rows), the limit is {limit}; e.g. {pairs.example(typical)}",
        f"a decimal sign, another currency or unit? {_PAST}, or another `moves:` for the column",
    )


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    """Canonical text as numbers, NaN where it is none."""
    return pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _rounded(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _shuffled(pairs: _Pairs) -> Iterator[Problem]:
    """A column that holds the same values as before, but at other products."""
    count = len(pairs)
    if pairs.column.shuffled == "allow" or count < _LEAST_SHUFFLED:
        return
    changed = (pairs.held != pairs.wanted).to_numpy(bool)
    changed_count = int(changed.sum())
    if changed_count < _CHANGED_SHARE * count:
        return
    codes, values = pd.factorize(pd.concat([pairs.held, pairs.wanted], ignore_index=True))
    before, after = (np.bincount(half, minlength=len(values)) for half in (codes[:count], codes[count:]))
    same_count = int(np.minimum(before, after).sum())
    distinct_count = np.count_nonzero(before)
    if same_count < _SAME_VALUES_SHARE * count or distinct_count < max(_LEAST_SHUFFLED, _DISTINCT_SHARE * count):
        return
    if same_count < count and _is_one_way(pairs, changed):
        return
    yield Problem(
        pairs.where,
        f"{changed_count} of {count} matched rows ({changed_count / count:.0%}) would get another value, yet"
        f" {same_count / count:.0%} of the values are those that other products had; the limits are"
        f" {_CHANGED_SHARE:.0%} and {_SAME_VALUES_SHARE:.0%}; e.g. {pairs.example(int(np.argmax(changed)))}",
        f"was this column, or the key's, sorted on its own? {_PAST}, or `shuffled: allow` for the column",
    )


def _free_texts(desired: pd.DataFrame, mapping: model.Mapping) -> Iterator[Problem]:
    """A column in which nearly every row would make an option of its own: free text, or another field's column."""
    for column in mapping.columns:
        if column.unknown != "add" or column.owner == "crm":
            continue
        counts = desired[column.key].value_counts()
        row_count = int(counts[counts.index != ""].sum())
        new = dict.fromkeys(
            each for text in counts.index for each in captions.split(text) if captions.is_stand_in(each)
        )
        if len(new) < _LEAST_NEW_OPTIONS or len(new) < _NEW_OPTIONS_SHARE * row_count:
            continue
        examples = ", ".join(fields.quoted(captions.caption_of(each)) for each in list(new)[:3])
        yield Problem(
            f"guard {column.header}",
            f"{len(new)} new options for {row_count} filled rows, the limit is {_NEW_OPTIONS_SHARE:.0%};"
            f" e.g. {examples}",
            f"is this the right column for a field of type {column.type}? {_PAST}; options cannot be taken back",
        )


def _is_one_way(pairs: _Pairs, changed: NDArray[np.bool_]) -> bool:
    """Whether nearly all changed values went up, or nearly all down.

    So do ranks that make room for a new product, dates put off by a day, prices 10, 20, 30 … that rise by 10:
    nearly the same values at other products, but nothing was sorted.
    """
    old: Any = pairs.held[changed]
    new: Any = pairs.wanted[changed]
    if pairs.column.type in fields.NUMBER_TYPES:
        old, new = _numbers(old), _numbers(new)
    up_share = float(np.mean(np.asarray(new > old, dtype=bool)))
    return max(up_share, 1 - up_share) >= _ONE_WAY_SHARE
