"""Three ways: what a cell's last agreed value says about a difference between sheet and catalog. Pure.

Per cell: changed only in the sheet, it is sent; only in the CRM, it is kept, or reverted where the sheet owns the
column; in both, the column's `conflict` decides. Where the base does not know a cell, what the sheet says is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from catalogsync import captions, model
from catalogsync.base import Base, Written, texts
from catalogsync.columnwise import Bools, Places, arrow, is_in, places_of, repeats
from catalogsync.matching import Match
from catalogsync.model import Add, Clash, ClashKind, Column, Delete, Result, Update
from catalogsync.plan import Plan
from catalogsync.readback import HARMLESS, Difference, kind_of_difference


def compared(mapping: model.Mapping) -> list[Column]:
    """The columns that are compared: what the CRM owns is not."""
    return [column for column in mapping.columns if column.owner != "crm"]


# --- cells ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a cell that differs: `text` is sent, unless it is None; `clash` is None where there is none.

    `target` is what would be sent if the sheet counted.
    """

    place: int
    text: str | None
    clash: ClashKind | None = None
    base: str = ""
    target: str = ""


def disagreements(column: Column, wanted: Any, held: Any, said: Any = None) -> tuple[Places, Any]:
    """Where the sheet has a say and the catalog should hold something else, and what.

    An empty cell has no say, unless the column says `blank: clear` or the cell was filled at the last run (`said`).
    """
    is_blank = np.asarray(wanted == "", dtype=bool)
    if column.multi != "replace":
        places = np.flatnonzero(~is_blank)
        pairs = zip(wanted[places], held[places], strict=True)
        targets = texts(np.array([combined(ours, theirs, column) for ours, theirs in pairs], dtype=object))
    else:
        has_say = np.ones(len(is_blank), dtype=bool) if column.blank == "clear" else ~is_blank
        if said is not None and _can_be_emptied(column):
            has_say |= is_blank & ~np.asarray(pd.isna(said), dtype=bool) & np.asarray(said != "", dtype=bool)
        places = np.flatnonzero(has_say & np.asarray(wanted != held, dtype=bool))
        targets = wanted[places]
        if column.type == "checkbox":  # no box is empty: one that is not ticked says no
            targets = pd.Series(targets).replace("", "0").array
    differs = np.asarray(targets != held[places], dtype=bool)
    return places[differs], targets[differs]


def _can_be_emptied(column: Column) -> bool:
    """Whether emptying a cell can clear the field: no name can be empty, and a label passed over is no empty cell."""
    return column.blank == "keep" and column.field is not None and column.unknown != "skip"


def combined(wanted: str, held: str, column: Column) -> str:
    """What a multi-value field should hold: the sheet's options, or those added to or taken from what is there."""
    if column.multi == "replace":
        return wanted
    ours, theirs = _options(wanted), _options(held)
    return captions.joined(theirs | ours if column.multi == "merge" else theirs - ours)


def _options(text: str) -> set[str]:
    return set(captions.split(text))


def decisions(column: Column, wanted: Any, held: Any, base: tuple[Any, Any] | None) -> Iterator[Decision]:
    """What becomes of each cell of a column that differs. `base` is what the sheet said and the catalog held."""
    if base is None:
        places, targets = disagreements(column, wanted, held)
        yield from (Decision(place, text) for place, text in zip(places.tolist(), targets.tolist(), strict=True))
        return
    said, knew = base
    places, targets = disagreements(column, wanted, held, said)
    wanted, held, said, knew = wanted[places], held[places], said[places], knew[places]
    is_known = ~np.asarray(pd.isna(said), dtype=bool)
    in_sheet, in_crm = np.asarray(wanted != said, dtype=bool), np.asarray(held != knew, dtype=bool)
    if column.multi != "replace":
        in_crm &= is_known
        for place in np.flatnonzero(in_crm):
            in_crm[place] = _is_undone(held[place], said[place], knew[place], column)
    in_sheet |= _other_terms(column, said, knew, is_known)
    for n in np.flatnonzero(~is_known | in_sheet | in_crm).tolist():
        kind = _clash(column, in_sheet=in_sheet[n], in_crm=in_crm[n]) if is_known[n] else None
        is_sent = kind not in ("conflict", "kept")
        yield Decision(
            int(places[n]), targets[n] if is_sent else None, kind, knew[n] if is_known[n] else "", targets[n]
        )


def _clash(column: Column, *, in_sheet: bool, in_crm: bool) -> ClashKind | None:
    if not in_crm:
        return None
    if column.owner == "sheet":
        return "reverted"
    if not in_sheet or column.conflict == "crm":
        return "kept"
    return "overridden" if column.conflict == "sheet" else "conflict"


def _is_undone(held: str, said: str, knew: str, column: Column) -> bool:
    """Whether the CRM undid what the sheet had merged or removed; other options are nothing to the sheet."""
    if column.multi == "merge":
        return bool((_options(knew) & _options(said)) - _options(held))
    return bool((_options(held) - _options(knew)) & _options(said))


def _other_terms(column: Column, said: Any, knew: Any, is_known: Bools) -> Bools:
    """Cells that were agreed on under other settings of the column: its new settings are a change of the sheet's."""
    if column.type == "multiselect":
        pairs = zip(said, knew, is_known, strict=True)
        return np.array([is_ and combined(ours, theirs, column) != theirs for ours, theirs, is_ in pairs], dtype=bool)
    if column.blank != "clear":
        return np.zeros(len(is_known), dtype=bool)
    made: Bools = is_known & np.asarray(said == "", dtype=bool) & np.asarray(knew != "", dtype=bool)
    return made


def candidates(match: Match, column: Column) -> Places:
    """The pairs at which a column can disagree: where cells are equal, only options to be removed can."""
    return np.flatnonzero(match.differs(column.key)) if column.multi != "remove" else np.arange(len(match.rows))


def losses(match: Match, mapping: model.Mapping, base: Base | None) -> Iterator[tuple[int, Column, Difference]]:
    """Cells of which the catalog is known to hold only a part: the row, the column, and what is stored instead.

    Nothing is sent for them again while neither side changes; a person should hear of them every time.
    """
    if base is None:
        return
    for column in compared(mapping):
        at = np.flatnonzero(match.differs(column.key))
        cells = None if column.multi != "replace" else base.cells(column.key, match.ids[at])
        if cells is None:
            continue
        wanted, held = match.wanted(column.key, at), match.held(column.key, at)
        is_lost = np.asarray(wanted != "", dtype=bool) & ~np.asarray(pd.isna(cells[0]), dtype=bool)
        for n in np.flatnonzero(is_lost).tolist():
            if (wanted[n], held[n]) != (cells[0][n], cells[1][n]):
                continue
            kind = kind_of_difference(wanted[n], held[n])
            if kind not in HARMLESS:
                row = int(match.desired["row"].iloc[match.rows[at[n]]])
                yield row, column, Difference(0, column.key, wanted[n], held[n], kind)


# --- rows ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Met:
    """Rows and elements after the base was asked about the rows whose key no element holds.

    `desired` lacks the rows of elements that are gone and of elements that cannot be told for sure; `existing` has
    each element that was given another key in the CRM under its row's key. `clashes` tells of the first, `unclear`
    maps the keys of the second to element ids.
    """

    desired: pd.DataFrame
    existing: pd.DataFrame
    clashes: tuple[Clash, ...] = ()
    unclear: Mapping[str, int] = field(default_factory=dict)


def meet(
    desired: pd.DataFrame,
    existing: pd.DataFrame,
    mapping: model.Mapping,
    base: Base | None,
    *,
    seen: pd.Index,
    ids: pd.Index,
) -> Met:
    """Find the elements of rows whose key no element holds, by the key that they had at the last run.

    `seen` are the keys of all rows of the sheet, `ids` all elements of the catalog, those without a key too.
    """
    if base is None:
        return Met(desired, existing)
    keys = base.keys[~repeats(base.keys)[0]]
    places = places_of(desired.index, keys)
    rows = np.flatnonzero((places >= 0) & ~is_in(desired.index, existing.index))
    last_ids = keys.index[places[rows]]
    is_there = last_ids.isin(ids)
    held = pd.Index(existing["id"]).get_indexer(last_ids)
    has_row = np.zeros(len(rows), dtype=bool)
    has_row[held >= 0] = is_in(existing.index[held[held >= 0]], seen)
    follows = (held >= 0) & ~has_row
    if follows.any():
        new_keys = existing.index.to_numpy(dtype=object, copy=True)
        new_keys[held[follows]] = desired.index[rows[follows]].to_numpy(dtype=object)
        existing = existing.set_axis(pd.Index(new_keys, dtype="str"), axis=0)
    is_unclear = is_there & (held < 0)
    gone = np.flatnonzero(~is_there)
    gone = gone[_is_unchanged(desired.iloc[rows[gone]], last_ids[gone], mapping, base)]
    stays = np.ones(len(desired), dtype=bool)
    stays[rows[is_unclear]] = False
    stays[rows[gone]] = False
    lost = desired.iloc[rows[gone]]
    facts = zip(lost.index, lost["row"], last_ids[gone], strict=True)
    clashes = tuple(Clash("deleted", str(key), int(row), int(id_)) for key, row, id_ in facts)
    unclear = dict(zip(desired.index[rows[is_unclear]].tolist(), last_ids[is_unclear].tolist(), strict=True))
    return Met(desired[stays], existing, clashes, unclear)


def _is_unchanged(rows: pd.DataFrame, ids: pd.Index, mapping: model.Mapping, base: Base) -> Bools:
    """Which rows say what they said at the last run, as far as that is known."""
    same = np.ones(len(rows), dtype=bool)
    for column in compared(mapping):
        cells = base.cells(column.key, ids)
        if cells is not None:
            is_known = ~np.asarray(pd.isna(cells[0]), dtype=bool)
            same &= ~is_known | np.asarray(rows[column.key].array == cells[0], dtype=bool)
    return same


def agreed(match: Match, mapping: model.Mapping, base: Base | None, *, seen: pd.Index, ids: pd.Index) -> Base:
    """The base after a run, as far as nothing is written: every cell on which sheet and catalog agree now.

    Cells that disagree keep what the old base says. So do elements without a row, and elements that are gone while
    their row is not: a colleague deleted those. An element whose key is another one's now is no longer the sheet's.
    """
    base = Base.empty() if base is None else base
    row_count, keys = len(match.rows), match.desired.index[match.rows]
    matched_ids = pd.Index(match.ids, dtype="int64")
    is_taken, has_row = is_in(base.keys, keys), is_in(base.keys, seen)
    stays = ~base.ids.isin(matched_ids) & ~is_taken & (base.ids.isin(ids) | has_row)
    rest = base.ids[stays]
    crm: dict[str, Any] = {}
    sheet: dict[str, Any] = {}
    for column in compared(mapping):
        known = base.cells(column.key, matched_ids.append(rest))
        said, knew = known or (_unknown(row_count + len(rest)), _unknown(row_count + len(rest)))
        disagrees, at = np.zeros(row_count, dtype=bool), candidates(match, column)
        found = disagreements(column, match.wanted(column.key, at), match.held(column.key, at), said[at])[0]
        disagrees[at[found]] = True
        crm[column.key] = sheet[column.key] = _joined(match.held(column.key), knew, disagrees)
        if len(at) or len(rest):
            sheet[column.key] = _joined(match.wanted(column.key), said, disagrees)
    all_keys = pd.concat([pd.Series(keys), base.keys[stays]], ignore_index=True).array
    return Base.of(matched_ids.append(rest), all_keys, crm, sheet)


def _unknown(count: int) -> Any:
    return texts(pa.nulls(count, pa.large_string()))


def _joined(now: Any, before: Any, keeps_before: Bools) -> Any:
    """The texts of now, or of before where they are kept, followed by what only before has."""
    first, others = arrow(now), arrow(before)
    if keeps_before.any():
        first = pc.if_else(pa.array(keeps_before), others[: len(now)], first)
    return texts(pa.concat_arrays([first, others[len(now) :]]))


def written(
    made: Plan,
    results: Iterable[Result],
    wanted: pd.DataFrame | None,
    columns: Iterable[str],
    stored: Mapping[int, Mapping[str, str]],
) -> Iterator[Written]:
    """What is known of each element that a run wrote: what its row says, and what the catalog holds.

    `wanted` are the rows that were planned from, None for a stored plan: then the sheet is taken to say what was sent.
    `stored` is what was read back, by element id; else the catalog is taken to hold what it was sent.
    """
    done = {result.op: result.id for result in results if result.outcome == "done" and result.id is not None}
    changes = [change for change in made.changes if change.op in done]
    names = list(columns)
    unfilled = {name: _unfilled(made, name) for name in names}
    said: dict[str, list[str]] = {}
    place_of: dict[str, int] = {}
    if wanted is not None:
        places = np.flatnonzero(is_in(wanted.index, [change.key for change in changes]))
        said = {name: arrow(wanted[name]).take(places).to_pylist() for name in names}
        place_of = {key: place for place, key in enumerate(arrow(wanted.index).take(places).to_pylist())}
    for change in changes:
        id_, place = done[change.op], place_of.get(change.key)
        match change:
            case Delete():
                yield Written(id_, change.key, {}, {}, is_gone=True)
                continue
            case Add():
                sent: Mapping[str, str] = {**unfilled, **change.values}
                row = {name: change.values.get(name, "") for name in sent}
            case Update():
                sent, row = change.after, dict(change.after)
        if place is not None:
            row = {name: said[name][place] for name in sent if name in said}
        read_back = stored.get(id_, {})
        crm = {name: read_back.get(name, text) for name, text in sent.items() if name in row}
        yield Written(id_, change.key, row, crm)


def _unfilled(made: Plan, name: str) -> str:
    """What a field holds that an add left out."""
    return "0" if name in made.columns and made.columns[name].type == "checkbox" else ""
