"""Which cells of a sheet take the catalog's value: three ways, as a plan decides, from the other side. Pure.

Per cell that differs: changed only in the CRM, it is taken; changed only in the sheet, it is an edit that was not sent
yet and stays; changed in both, the column's `conflict` decides. Where there is no last agreed value, it is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from catalogsync import captions, threeway
from catalogsync.base import Base
from catalogsync.columnwise import Bools
from catalogsync.keys import alternative_keys
from catalogsync.matching import Match
from catalogsync.model import Column, Mapping

Verdict = Literal["take", "unsent", "conflict", "owner", "agreed", "key"]
"""``take`` patches the cell. The others leave it: ``unsent`` an edit of the sheet's, ``conflict`` both changed it,
``owner`` the column is the sheet's, ``agreed`` the catalog keeps its own form of what it was sent, ``key`` it is what
the row is matched by."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that says something else than its element. `row` is 1-based, the texts are canonical.

    `target` is what the cell should say: the catalog's text, or with `multi: merge` or `remove` the options that the
    sheet named, as far as the catalog agrees. `is_known`: there is a last agreed value.
    """

    row: int
    column: Column
    key: str
    id: int
    sheet: str
    crm: str
    target: str
    verdict: Verdict
    is_known: bool


def differences(
    match: Match, mapping: Mapping, base: Base | None, *, stand_for_empty: pd.DataFrame
) -> Iterator[Difference]:
    """What differs between the rows and their elements, a column at a time, and what becomes of each cell.

    `stand_for_empty` has the rows of the sheet, and says by column key which cells are blank or hold a text that
    stands for an empty cell: what was passed over (`unknown: skip`) reads as empty, too, and is not.
    """
    rows = match.rows
    desired, existing = match.desired.iloc[rows], match.existing.iloc[match.elements]
    ids = pd.Index(existing["id"].to_numpy(), dtype="int64")
    is_by_key = _matched_by_key(desired, existing, mapping)
    key_columns = {column.key for entry in mapping.keys for column in entry}
    numbers, keys = desired["row"].to_numpy(np.int64), desired.index.to_numpy(dtype=object)
    for column in mapping.columns:
        wanted, held = desired[column.key].array, existing[column.key].array
        is_empty = stand_for_empty[column.key].to_numpy(bool)[rows]
        cells = None if base is None or column.owner == "crm" else base.cells(column.key, ids)
        known = np.zeros(len(ids), dtype=bool) if cells is None else ~np.asarray(pd.isna(cells[0]), dtype=bool)
        for place, target, verdict in _verdicts(column, wanted, held, cells, is_empty):
            is_key = column.key in key_columns and bool(is_by_key[place])
            yield Difference(
                int(numbers[place]),
                column,
                str(keys[place]),
                int(ids[place]),
                str(wanted[place]),
                str(held[place]),
                target,
                "key" if is_key else verdict,
                bool(known[place]),
            )


def _verdicts(
    column: Column, wanted: Any, held: Any, cells: tuple[Any, Any] | None, is_empty: Bools
) -> Iterator[tuple[int, str, Verdict]]:
    """The place of each cell that differs, what it should say, and what becomes of it."""
    targets = {
        place: target
        for place in np.flatnonzero(np.asarray(wanted != held, dtype=bool)).tolist()
        if not _says(wanted[place], target := target_of(column, str(wanted[place]), str(held[place])), column)
    }
    if column.owner != "both":
        verdict: Verdict = "take" if column.owner == "crm" else "owner"
        yield from ((place, target, verdict) for place, target in targets.items())
        return
    decided = {decision.place: decision for decision in threeway.decisions(column, wanted, held, cells)}
    for place, target in targets.items():
        decision = decided.get(place)
        is_known = cells is not None and not pd.isna(cells[0][place])
        if decision is None:  # no say, or both as they were when they were agreed on
            has_no_say = bool(is_empty[place]) and column.blank != "clear"
            is_edited = cells is not None and is_known and cells[1][place] != held[place]
            yield place, target, "take" if has_no_say or is_edited or not is_known else "agreed"
        elif decision.clash in ("conflict", "overridden"):
            yield place, target, "conflict"
        else:
            yield place, target, "take" if decision.clash == "kept" or not is_known else "unsent"


def _says(wanted: str, target: str, column: Column) -> bool:
    """Whether a cell says what it should: an empty box says no."""
    return wanted == target or (column.type == "checkbox" and {wanted, target} == {"", "0"})


def target_of(column: Column, wanted: str, held: str) -> str:
    """What a cell should say where the catalog counts.

    Options that are merged or removed are the sheet's word on these options only: it names what the catalog has of
    them, or lacks.
    """
    if column.multi == "replace":
        return held
    ours, theirs = set(captions.split(wanted)), set(captions.split(held))
    return captions.joined(ours & theirs if column.multi == "merge" else ours - theirs)


def _matched_by_key(desired: pd.DataFrame, existing: pd.DataFrame, mapping: Mapping) -> Bools:
    """Which rows have the key of their element: the others were told by a hidden id, or by the last run."""
    found = np.zeros(len(desired), dtype=bool)
    for texts in alternative_keys(existing, mapping.keys):
        found |= texts.to_numpy(dtype=object) == desired.index.to_numpy(dtype=object)
    return found
