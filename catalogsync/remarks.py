"""What a plan says besides its changes: whose row is gone, what looks odd, what is not known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from catalogsync import base as bases
from catalogsync import checks, fields, tables, threeway
from catalogsync.base import Base
from catalogsync.celltext import quoted
from catalogsync.columnwise import is_in
from catalogsync.elements import Existing
from catalogsync.errors import Problem, Spot, name_of
from catalogsync.keys import key_text
from catalogsync.matching import Match
from catalogsync.model import Mapping
from catalogsync.readback import Difference
from catalogsync.reader import Sheet


def sheet_warnings(sheet: Sheet, desired: tables.Desired, mapping: Mapping) -> Iterable[Problem]:
    """What looks wrong in the sheet by itself though every cell could be read."""
    yield from checks.similar_keys(sheet, desired, mapping)
    yield from checks.garbled_texts(sheet, mapping.columns)


def source_of(sheet: Sheet) -> str:
    name = name_of(sheet.path)
    return f"{name}!{sheet.tab}!row " if sheet.tab else f"{name}:"


def missing(
    mapping: Mapping,
    desired: tables.Desired,
    existing: Existing,
    known: Base | None,
    *,
    is_part: bool,
    delete_unseen: bool,
    delete_linked: bool,
) -> tuple[pd.Index, tuple[str, ...]]:
    """The keys of elements whose row is gone, as far as the mapping acts on them, and what to say about it."""
    nothing = pd.Index([], dtype="str")
    if mapping.missing == "keep":
        return nothing, ()
    if is_part:
        return nothing, ("the sheet is a part, by --where or --result: no element counts as missing",)
    if desired.unreadable_rows:
        return nothing, (f"{desired.unreadable_rows} rows have no readable key: no element counts as missing",)
    known = Base.empty() if known is None else known
    gone = existing.table[~is_in(existing.table.index, desired.seen)]
    had_key = is_in(known.keys, desired.seen)  # in the sheet still, maybe in a rejected row
    gone = gone[~gone["id"].isin(known.ids[had_key])]
    notes = []
    if not delete_unseen:
        had_row = gone["id"].isin(known.ids)
        if not had_row.all():
            note = f"{int((~had_row).sum())} elements have no row, and this mapping's sheet never had one for them"
            notes.append(f"{note}: left alone (--delete-unseen)")
        gone = gone[had_row]
    if mapping.missing == "delete" and not delete_linked and gone["linked"].any():
        ids = ", ".join(map(str, gone["id"][gone["linked"]].head(10)))
        note = f"{int(gone['linked'].sum())} elements have no row, but hang on deals or customers ({ids})"
        notes.append(f"{note}: left alone (--delete-linked)")
        gone = gone[~gone["linked"]]
    return gone.index, tuple(notes)


def without_base(mapping: Mapping, lack: str, *, is_unseen_deleted: bool) -> Iterable[str]:
    """That there is no base, where that makes a difference to what the mapping asks for."""
    needs_base = any(column.owner == "sheet" or column.conflict != "ask" for column in mapping.columns)
    lacks_rows = mapping.missing != "keep" and not is_unseen_deleted
    if lack == bases.DAMAGED or (lack and (needs_base or lacks_rows)):
        told = "" if is_unseen_deleted else ", and nothing counts as missing"
        yield f"{lack}: sheet and catalog are compared as they are{told}"


def rekeyed(met: threeway.Met, desired: tables.Desired, address: Callable[[int], str]) -> list[Problem]:
    """Rows whose element lost its key in the CRM, or got one that does not identify it alone."""
    rows = desired.table["row"]
    return [
        Problem(
            address(int(rows[key])),
            f"element {id_} had the key {quoted(key_text(str(key)))}, now it has none of its own",
            "it is not touched, and no other is added; give it its key in the catalog, or delete it there",
            (Spot(int(rows[key])),),
        )
        for key, id_ in met.unclear.items()
    ]


def _stored_words(difference: Difference) -> str:
    if difference.kind == "cut":
        return f"the first {len(difference.stored)} of {len(difference.sent)} characters"
    return quoted(difference.stored)


def unknown_types(mapping: Mapping) -> Iterable[str]:
    for column in mapping.columns:
        if column.field is not None and not fields.is_known(column.field):
            yield f"“{column.field.name}” is of type {column.type}, which this version carries as text"


def shared_elsewhere(existing: Existing, desired: tables.Desired) -> Iterable[Problem]:
    """Keys that several elements hold and no row asks for: nothing is done, but a person should know."""
    for key, ids in existing.shared.items():
        if key not in desired.seen or key in desired.untouched:
            what = f"{len(ids)} elements hold the key {quoted(key_text(key))}: {', '.join(map(str, ids))}"
            yield Problem("", what, "none is touched")


def losses(match: Match, mapping: Mapping, known: Base | None, address: Callable[[int], str]) -> Iterator[Problem]:
    """Cells of which the catalog stores only a part, and stored it before: nothing is sent for them again."""
    for row, column, difference in threeway.losses(match, mapping, known):
        what = f"the catalog stores only a part of it: {_stored_words(difference)}"
        yield Problem(f"{address(row)} ({column.header})", what, spots=(Spot(row, column.position),))
