"""The marks of a broken sheet in its columns, one by one. Pure; guards.py asks for them.

Alarms look at a column as a whole, by median and by set of values, so that a few odd rows do not count; under
so many rows that chance alone could trip them (`_LEAST_…`) they stay silent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import captions, fields, model
from catalogsync.celltext import quoted
from catalogsync.errors import Problem
from catalogsync.model import Column, Update

PAST = "check the sheet; if it is meant, --allow DIGEST"
"""The way past an alarm."""

_LEAST_PRICES = 5
_LEAST_SHUFFLED = 10
_DEEPEST_FALL_PERCENT = 90
"""A limit of 300 % lets a price rise fourfold; no limit lets it fall to a hundredth, as a decimal slip does."""
_CHANGED_SHARE = 0.5
_SAME_VALUES_SHARE = 0.9
_DISTINCT_SHARE = 0.5
_ONE_WAY_SHARE = 0.9
_SHIFTED_SHARE = 0.8
_LEAST_EMPTIED = 10
_EMPTIED_SHARE = 0.25
_FLAT_SHARE = 0.9
_LEAST_SWAPPED = 5
_SWAPPED_SHARE = 0.5
_LEAST_NEW_OPTIONS = 10
_NEW_OPTIONS_SHARE = 0.8


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
            old, new = quoted(old), quoted(new)
        return f"{self.address(int(self.rows[place]))}: {old} → {new}"


def odd_columns(
    desired: pd.DataFrame, existing: pd.DataFrame, mapping: model.Mapping, address: Callable[[int], str]
) -> Iterator[Problem]:
    """The alarms of columns whose values moved, or moved to other products."""
    places = existing.index.get_indexer(desired.index)
    found = np.flatnonzero(places >= 0)
    rows = desired["row"].to_numpy(np.int64)[found]
    for column in mapping.columns:
        if column.owner == "crm" or column.multi != "replace":
            continue
        wanted = desired[column.key].iloc[found].reset_index(drop=True)
        held = existing[column.key].iloc[places[found]].reset_index(drop=True)
        filled = ((wanted != "") & (held != "")).to_numpy(bool)
        if not (filled & (wanted != held).to_numpy(bool)).any():  # what did not move cannot have moved oddly
            continue
        pairs = _Pairs(
            column, held[filled].reset_index(drop=True), wanted[filled].reset_index(drop=True), rows[filled], address
        )
        yield from _moved(pairs)
        yield from itertools.islice((*_shuffled(pairs), *_shifted(pairs), *_flattened(pairs)), 1)
        yield from _swapped_days(pairs)


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
        f"a decimal sign, another currency or unit? {PAST}, or another `moves:` for the column",
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
    codes, values = pd.factorize(pd.concat([pairs.held, pairs.wanted], ignore_index=True))
    before, after = (np.bincount(half, minlength=len(values)) for half in (codes[:count], codes[count:]))
    same_count = int(np.minimum(before, after).sum())
    distinct_count = np.count_nonzero(before)
    if distinct_count < max(_LEAST_SHUFFLED, _DISTINCT_SHARE * count):
        order = np.argsort(pairs.rows, kind="stable")
        was_in_blocks, is_in_blocks = (_in_blocks(half[order]) for half in (codes[:count], codes[count:]))
        is_sorted = same_count == count and changed_count >= _LEAST_SHUFFLED and is_in_blocks and not was_in_blocks
    else:
        is_sorted = changed_count >= _CHANGED_SHARE * count and same_count >= _SAME_VALUES_SHARE * count
        is_sorted = is_sorted and (same_count == count or not _is_one_way(pairs, changed))
    if not is_sorted:
        return
    yield Problem(
        pairs.where,
        f"{changed_count} of {count} matched rows ({changed_count / count:.0%}) would get another value, yet"
        f" {same_count / count:.0%} of the values are those that other products had; the limits are"
        f" {_CHANGED_SHARE:.0%} and {_SAME_VALUES_SHARE:.0%}; e.g. {pairs.example(int(np.argmax(changed)))}",
        f"was this column, or the key's, sorted on its own? {PAST}, or `shuffled: allow` for the column",
    )


def _in_blocks(codes: NDArray[np.int64]) -> bool:
    """Whether each value stands in one block of rows, as sorting leaves them."""
    return bool(1 + np.count_nonzero(np.diff(codes)) == len(np.unique(codes)))


def _shifted(pairs: _Pairs) -> Iterator[Problem]:
    """A part of a column that moved up or down by a row: a cell was inserted or deleted in it alone."""
    if pairs.column.shuffled == "allow" or len(pairs) < _LEAST_SHUFFLED:
        return
    order = np.argsort(pairs.rows, kind="stable")
    held, wanted = (values.to_numpy(object)[order] for values in (pairs.held, pairs.wanted))
    changed = held != wanted
    changed_count = int(changed.sum())
    if changed_count < _LEAST_SHUFFLED:
        return
    for name, moved in (("above", wanted[1:] == held[:-1]), ("below", wanted[:-1] == held[1:])):
        of_neighbour = moved & (changed[1:] if name == "above" else changed[:-1])
        count = int(of_neighbour.sum())
        if count < max(_LEAST_SHUFFLED, _SHIFTED_SHARE * changed_count):
            continue
        if len(set(wanted[changed])) < _DISTINCT_SHARE * changed_count:
            continue
        if _is_one_way(pairs, (pairs.held != pairs.wanted).to_numpy(bool)):
            continue
        first = int(order[int(np.argmax(of_neighbour)) + (name == "above")])
        yield Problem(
            pairs.where,
            f"{count} of {changed_count} rows that change would get the value of the product in the row {name},"
            f" the limits are {_LEAST_SHUFFLED} and {_SHIFTED_SHARE:.0%}; e.g. {pairs.example(first)}",
            f"was a cell inserted into this column, or deleted? {PAST}, or `shuffled: allow` for the column",
        )


def _flattened(pairs: _Pairs) -> Iterator[Problem]:
    """A column of many different values that has become one value: filled down by mistake."""
    count = len(pairs)
    if count < _LEAST_SHUFFLED or pairs.held.nunique() < max(_LEAST_SHUFFLED, _DISTINCT_SHARE * count):
        return
    often = pairs.wanted.value_counts()
    if often.iloc[0] < _FLAT_SHARE * count:
        return
    place = int(np.argmax(((pairs.wanted == often.index[0]) & (pairs.held != pairs.wanted)).to_numpy(bool)))
    yield Problem(
        pairs.where,
        f"{int(often.iloc[0])} of {count} matched rows ({often.iloc[0] / count:.0%}) would hold one and the same value,"
        f" where now there are {pairs.held.nunique()}; the limit is {_FLAT_SHARE:.0%}; e.g. {pairs.example(place)}",
        f"was the column filled down? {PAST}",
    )


def _swapped_days(pairs: _Pairs) -> Iterator[Problem]:
    """Dates whose day and month changed places: saved by a program of another country."""
    if pairs.column.type not in {"date", "birthday"}:
        return
    held = pairs.held.astype("str")
    is_swapped = ((held.str[:5] + held.str[8:10] + "-" + held.str[5:7]) == pairs.wanted).to_numpy(bool)
    changed = (pairs.held != pairs.wanted).to_numpy(bool)
    swapped_count, changed_count = int((is_swapped & changed).sum()), int(changed.sum())
    if swapped_count >= max(_LEAST_SWAPPED, _SWAPPED_SHARE * changed_count):
        example = pairs.example(int(np.argmax(is_swapped & changed)))
        yield Problem(
            pairs.where,
            f"in {swapped_count} of {changed_count} dates that change, day and month would change places, the limits"
            f" are {_LEAST_SWAPPED} and {_SWAPPED_SHARE:.0%}; e.g. {example}",
            f"did another program write the dates? {PAST}, or set `format:` for the column",
        )


def emptied(
    desired: pd.DataFrame,
    existing: pd.DataFrame,
    mapping: model.Mapping,
    address: Callable[[int], str],
    updates: Sequence[Update],
) -> Iterator[Problem]:
    """A column that would lose a good part of its values: left out by an export, or deleted by mistake."""
    places = existing.index.get_indexer(desired.index)
    for column in mapping.columns:
        if column.multi != "replace":
            continue
        lost = [update for update in updates if update.after.get(column.key) == "" and update.before.get(column.key)]
        if len(lost) < _LEAST_EMPTIED:
            continue
        filled_count = int((existing[column.key].iloc[places[places >= 0]] != "").sum())
        if len(lost) <= _EMPTIED_SHARE * filled_count:
            continue
        old = quoted(fields.show(lost[0].before[column.key], column))
        share = len(lost) / filled_count
        yield Problem(
            f"guard {column.header}",
            f"{len(lost)} of {filled_count} matched rows with a value ({share:.0%}) would lose it, the limit is"
            f" {_EMPTIED_SHARE:.0%} from {_LEAST_EMPTIED} on; e.g. {address(lost[0].row)}: {old} → empty",
            f"was the column left out or not calculated? {PAST}",
        )


def free_texts(desired: pd.DataFrame, mapping: model.Mapping) -> Iterator[Problem]:
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
        examples = ", ".join(quoted(captions.caption_of(each)) for each in list(new)[:3])
        yield Problem(
            f"guard {column.header}",
            f"{len(new)} new options for {row_count} filled rows, the limit is {_NEW_OPTIONS_SHARE:.0%};"
            f" e.g. {examples}",
            f"is this the right column for a field of type {column.type}? {PAST}; options cannot be taken back",
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
