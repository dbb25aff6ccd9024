"""The marks of a broken sheet in its columns, one by one. Pure; guards.py asks for them.

Alarms look at a column as a whole, by median and by set of values, so that a few odd rows do not count; under
so many rows that chance alone could trip them (`_LEAST_…`) they stay silent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from catalogsync import captions, fields, model
from catalogsync.celltext import quoted
from catalogsync.columnwise import Places, arrow
from catalogsync.errors import Problem
from catalogsync.matching import Match
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


@dataclass(frozen=True, eq=False)
class _Pairs:
    """A column's values before and after where both are filled.

    What is asked for most are the pairs that differ: `at` are their places in the match, in the order of which are
    `held` and `wanted`. All others are looked at only where those leave a doubt.
    """

    column: Column
    match: Match
    address: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.at)

    @cached_property
    def at(self) -> Places:
        """Which pairs of the match are filled on both sides and differ."""
        at = np.flatnonzero(self.match.differs(self.column.key))
        sides = (self.match.wanted(self.column.key, at), self.match.held(self.column.key, at))
        return at[np.logical_and.reduce([np.asarray(side != "", dtype=bool) for side in sides])]

    @cached_property
    def all_at(self) -> Places:
        """Which pairs of the match are filled on both sides."""
        sides = (self.match.wanted(self.column.key), self.match.held(self.column.key))
        return np.flatnonzero(np.logical_and.reduce([np.asarray(side != "", dtype=bool) for side in sides]))

    @property
    def count(self) -> int:
        """How many pairs are filled on both sides."""
        return len(self.all_at)

    @cached_property
    def held(self) -> pd.Series:
        """The values before, of the pairs that differ."""
        return pd.Series(self.match.held(self.column.key, self.at))

    @cached_property
    def wanted(self) -> pd.Series:
        """The values after, of the pairs that differ."""
        return pd.Series(self.match.wanted(self.column.key, self.at))

    @cached_property
    def all_held(self) -> pd.Series:
        """The values before, of all pairs."""
        return pd.Series(self.match.held(self.column.key, self.all_at))

    @cached_property
    def distinct_count(self) -> int:
        """How many different values there are before."""
        return self.all_held.nunique()

    def in_row_order(self) -> Places:
        """`all_at` in the order of the sheet's rows."""
        rows = self.match.desired["row"].to_numpy(np.int64)[self.match.rows[self.all_at]]
        return self.all_at[np.argsort(rows, kind="stable")]

    @property
    def where(self) -> str:
        return f"guard {self.column.header}"

    def example(self, place: int) -> str:
        """The old and new value of one of the pairs that differ, with its address."""
        old, new = (fields.show(str(values.iloc[place]), self.column) for values in (self.held, self.wanted))
        if self.column.type not in fields.NUMBER_TYPES:
            old, new = quoted(old), quoted(new)
        row = int(self.match.desired["row"].iloc[self.match.rows[self.at[place]]])
        return f"{self.address(row)}: {old} → {new}"


def odd_columns(match: Match, mapping: model.Mapping, address: Callable[[int], str]) -> Iterator[Problem]:
    """The alarms of columns whose values moved, or moved to other products."""
    for column in mapping.columns:
        if column.owner == "crm" or column.multi != "replace":
            continue
        pairs = _Pairs(column, match, address)
        if not len(pairs):  # what did not move cannot have moved oddly
            continue
        yield from _moved(pairs)
        yield from itertools.islice((*_shuffled(pairs), *_shifted(pairs), *_flattened(pairs)), 1)
        yield from _swapped_days(pairs)


def _moved(pairs: _Pairs) -> Iterator[Problem]:
    """A column of numbers whose typical value moved by more than its limit: a decimal slip, another currency."""
    limit_percent = pairs.column.moves_percent
    if limit_percent is None:
        return
    old, new = _numbers(pairs.held), _numbers(pairs.wanted)
    moved = np.flatnonzero(np.isfinite(old) & np.isfinite(new) & (old != 0))
    stayed_count = _count_of_numbers(_numbers(pairs.all_held)) - _count_of_numbers(old)
    if not len(moved) or len(moved) + stayed_count < _LEAST_PRICES:
        return
    with np.errstate(all="ignore"):  # numbers may be as long as people care to type
        factors = new[moved] / old[moved]
        factor = float(np.median(np.concatenate([factors, np.ones(stayed_count)])))
        typical = int(moved[np.argmin(np.abs(factors - factor))])
    fall_percent = min(limit_percent, _DEEPEST_FALL_PERCENT)
    moved_percent = (factor - 1) * 100
    if -fall_percent - 1e-9 <= moved_percent <= limit_percent + 1e-9:
        return
    limit = f"{_rounded(fall_percent if moved_percent < 0 else limit_percent)}%"
    direction = "down" if moved_percent < 0 else "up"
    yield Problem(
        pairs.where,
        f"the typical value would go {direction} by {_rounded(abs(moved_percent))}% (times {factor:.4g}, the median of"
        f" {len(moved) + stayed_count} matched rows), the limit is {limit}; e.g. {pairs.example(typical)}",
        f"a decimal sign, another currency or unit? {PAST}, or another `moves:` for the column",
    )


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    """Canonical text as numbers, NaN where it is none."""
    made: NDArray[np.float64]
    try:
        made = arrow(values).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        made = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return made


def _count_of_numbers(values: NDArray[np.float64]) -> int:
    return int((np.isfinite(values) & (values != 0)).sum())


def _rounded(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _shuffled(pairs: _Pairs) -> Iterator[Problem]:
    """A column that holds the same values as before, but at other products."""
    count, changed_count = pairs.count, len(pairs)
    if pairs.column.shuffled == "allow" or count < _LEAST_SHUFFLED:
        return
    codes, values = pd.factorize(pd.concat([pairs.held, pairs.wanted], ignore_index=True))
    before, after = (np.bincount(half, minlength=len(values)) for half in np.split(codes, 2))
    same_count = count - changed_count + int(np.minimum(before, after).sum())
    is_permuted = same_count == count and changed_count >= _LEAST_SHUFFLED
    is_much = changed_count >= _CHANGED_SHARE * count and same_count >= _SAME_VALUES_SHARE * count
    if not is_permuted and not is_much:
        return
    if pairs.distinct_count < max(_LEAST_SHUFFLED, _DISTINCT_SHARE * count):
        order, key = pairs.in_row_order(), pairs.column.key
        is_in_blocks = _in_blocks(pairs.match.wanted(key, order))
        is_sorted = is_permuted and is_in_blocks and not _in_blocks(pairs.match.held(key, order))
    else:
        is_sorted = is_much and (same_count == count or not _is_one_way(pairs))
    if not is_sorted:
        return
    yield Problem(
        pairs.where,
        f"{changed_count} of {count} matched rows ({changed_count / count:.0%}) would get another value, yet"
        f" {same_count / count:.0%} of the values are those that other products had; the limits are"
        f" {_CHANGED_SHARE:.0%} and {_SAME_VALUES_SHARE:.0%}; e.g. {pairs.example(0)}",
        f"was this column, or the key's, sorted on its own? {PAST}, or `shuffled: allow` for the column",
    )


def _in_blocks(texts: Any) -> bool:
    """Whether each value stands in one block of rows, as sorting leaves them."""
    codes, values = pd.factorize(texts)
    return bool(1 + np.count_nonzero(np.diff(codes)) == len(values))


def _shifted(pairs: _Pairs) -> Iterator[Problem]:
    """A part of a column that moved up or down by a row: a cell was inserted or deleted in it alone."""
    changed_count = len(pairs)
    if pairs.column.shuffled == "allow" or changed_count < _LEAST_SHUFFLED:
        return
    order = pairs.in_row_order()
    changed = np.flatnonzero(pairs.match.differs(pairs.column.key)[order])
    for name, step in (("above", -1), ("below", 1)):
        inner = changed[(changed + step >= 0) & (changed + step < len(order))]
        wanted = pairs.match.wanted(pairs.column.key, order[inner])
        is_neighbours = np.asarray(wanted == pairs.match.held(pairs.column.key, order[inner + step]), dtype=bool)
        count = int(is_neighbours.sum())
        if count < max(_LEAST_SHUFFLED, _SHIFTED_SHARE * changed_count):
            continue
        if pairs.wanted.nunique() < _DISTINCT_SHARE * changed_count:
            continue
        if _is_one_way(pairs):
            continue
        first = int(np.searchsorted(pairs.at, order[inner[int(np.argmax(is_neighbours))]]))
        yield Problem(
            pairs.where,
            f"{count} of {changed_count} rows that change would get the value of the product in the row {name},"
            f" the limits are {_LEAST_SHUFFLED} and {_SHIFTED_SHARE:.0%}; e.g. {pairs.example(first)}",
            f"was a cell inserted into this column, or deleted? {PAST}, or `shuffled: allow` for the column",
        )


def _flattened(pairs: _Pairs) -> Iterator[Problem]:
    """A column of many different values that has become one value: filled down by mistake."""
    count = pairs.count
    # Of that many different values no one is held often, so nearly all that are the same now have changed.
    if count < _LEAST_SHUFFLED or len(pairs) < (_FLAT_SHARE - _DISTINCT_SHARE) * count - 1:
        return
    if pairs.distinct_count < max(_LEAST_SHUFFLED, _DISTINCT_SHARE * count):
        return
    often = pd.Series(pairs.match.wanted(pairs.column.key, pairs.all_at)).value_counts()
    if often.iloc[0] < _FLAT_SHARE * count:
        return
    place = int(np.argmax((pairs.wanted == often.index[0]).to_numpy(bool)))
    yield Problem(
        pairs.where,
        f"{int(often.iloc[0])} of {count} matched rows ({often.iloc[0] / count:.0%}) would hold one and the same value,"
        f" where now there are {pairs.distinct_count}; the limit is {_FLAT_SHARE:.0%}; e.g. {pairs.example(place)}",
        f"was the column filled down? {PAST}",
    )


def _swapped_days(pairs: _Pairs) -> Iterator[Problem]:
    """Dates whose day and month changed places: saved by a program of another country."""
    if pairs.column.type not in {"date", "birthday"}:
        return
    held = pairs.held.astype("str")
    is_swapped = ((held.str[:5] + held.str[8:10] + "-" + held.str[5:7]) == pairs.wanted).to_numpy(bool)
    swapped_count, changed_count = int(is_swapped.sum()), len(pairs)
    if swapped_count >= max(_LEAST_SWAPPED, _SWAPPED_SHARE * changed_count):
        example = pairs.example(int(np.argmax(is_swapped)))
        yield Problem(
            pairs.where,
            f"in {swapped_count} of {changed_count} dates that change, day and month would change places, the limits"
            f" are {_LEAST_SWAPPED} and {_SWAPPED_SHARE:.0%}; e.g. {example}",
            f"did another program write the dates? {PAST}, or set `format:` for the column",
        )


def emptied(
    match: Match, mapping: model.Mapping, address: Callable[[int], str], updates: Sequence[Update]
) -> Iterator[Problem]:
    """A column that would lose a good part of its values: left out by an export, or deleted by mistake."""
    for column in mapping.columns:
        if column.multi != "replace":
            continue
        lost = [update for update in updates if update.after.get(column.key) == "" and update.before.get(column.key)]
        if len(lost) < _LEAST_EMPTIED:
            continue
        filled_count = int(np.asarray(match.held(column.key) != "", dtype=bool).sum())
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


def _is_one_way(pairs: _Pairs) -> bool:
    """Whether nearly all changed values went up, or nearly all down.

    So do ranks that make room for a new product, dates put off by a day, prices 10, 20, 30 … that rise by 10:
    nearly the same values at other products, but nothing was sorted.
    """
    old: Any = pairs.held
    new: Any = pairs.wanted
    if pairs.column.type in fields.NUMBER_TYPES:
        old, new = _numbers(old), _numbers(new)
    up_share = float(np.mean(np.asarray(new > old, dtype=bool)))
    return max(up_share, 1 - up_share) >= _ONE_WAY_SHARE
