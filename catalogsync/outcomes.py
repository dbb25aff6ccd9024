"""What became of each row of a sheet: done, unchanged, rejected …, and why. Pure.

A sheet, the plan that was made of it, and the report of its run go in. Nothing is held for a row of which there is
nothing to say but that it is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import newoptions
from catalogsync.base import Base
from catalogsync.columnwise import places_of, repeats
from catalogsync.errors import Problem, Spot
from catalogsync.keys import key_text
from catalogsync.model import Add, Change, Clash, ClashKind, Delete, Result, Update
from catalogsync.plan import Plan
from catalogsync.reader import Sheet, columns_named
from catalogsync.tables import TAKEN
from catalogsync.wording import in_words, title_of
from catalogsync.writer import Report

Outcome = Literal[
    "unchanged", "done", "skipped", "not applied", "not sent", "rejected", "failed", "conflict", "unknown", "no product"
]

OUTCOMES: Final[tuple[Outcome, ...]] = (
    "unchanged", "done", "skipped", "not applied", "not sent", "rejected", "failed", "conflict", "unknown", "no product"
)  # fmt: skip
"""What can become of a row. Where several things became of it, the last one of these counts."""

NEED_A_PERSON: Final[frozenset[Outcome]] = frozenset({"rejected", "failed", "conflict", "unknown"})
"""Rows that somebody has to look at."""

_CLASHED: Final[Mapping[ClashKind, Outcome]] = {"conflict": "conflict", "deleted": "skipped"}
_CHUNK = 16_384
_LONGEST_CHANGE = 1_000
_CODES: Final = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_IN_DOUBT = "it may be stored or not; run the import again, which looks first"
_NOT_APPROVED = "not approved"
_RUN_AGAIN = "run the import again, or `catalogsync resume`"


@dataclass(frozen=True, slots=True)
class Note:
    """What is said of a row: of the cell of a column (0-based), or of all of it (None). `is_problem`: to be mended."""

    column: int | None
    words: str
    is_problem: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """What became of a row, or of an element that no row asked about (`row` 0).

    `row` as in the sheet, `key` as the sheet says it; `element_id` is 0 where it is not known; `change` says in words
    what was written, or would have been.
    """

    row: int
    key: str
    outcome: Outcome
    reason: str = ""
    element_id: int = 0
    change: str = ""


@dataclass
class Outcomes:
    """What became of the rows of a sheet. `codes` are places in OUTCOMES, one per row of `sheet`.

    `lost` are rows that could not be read as rows, so that the sheet has no cells of them; `others` what became of
    elements without a row.
    """

    sheet: Sheet
    plan: Plan
    codes: NDArray[np.int8]
    element_ids: NDArray[np.int64]
    lost: tuple[Line, ...] = ()
    others: tuple[Line, ...] = ()
    _notes: dict[int, list[Note]] = field(default_factory=dict)
    _changes: dict[int, tuple[Change, str]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many rows came to what, in the order of OUTCOMES."""
        found = np.bincount(self.codes, minlength=len(OUTCOMES)).tolist()
        found[_CODES["rejected"]] += len(self.lost)
        found[_CODES["no product"]] += len(self.sheet.skipped.rows) if self.sheet.skipped else 0
        return {outcome: count for outcome, count in zip(OUTCOMES, found, strict=True) if count}

    def to_mend(self) -> NDArray[np.intp]:
        """The positions of the rows that need a person."""
        return np.flatnonzero(np.isin(self.codes, [_CODES[outcome] for outcome in NEED_A_PERSON]))

    def notes(self, position: int) -> list[Note]:
        """What is said of a row."""
        return self._notes.get(position, [])

    def lines(self) -> Iterator[Line]:
        """A line for every row of the sheet, in its order, then for every element without a row."""
        rest = sorted([*self.lost, *self._no_products()], key=lambda line: line.row)
        ahead = iter([*rest, Line(0, "", "unchanged")])
        following = next(ahead)
        places = key_places(self.sheet, self.plan)
        for start in range(0, len(self.codes), _CHUNK):
            keys = key_texts(self.sheet.cells.iloc[start : start + _CHUNK], places)
            for position, key in enumerate(keys, start=start):
                row = int(self.sheet.rows[position])
                while following.row and following.row < row:
                    yield following
                    following = next(ahead)
                yield self.line(position, key)
        while following.row:
            yield following
            following = next(ahead)
        yield from self.others

    def line(self, position: int, key: str = "") -> Line:
        """What became of one row, with the key that it is given."""
        row = int(self.sheet.rows[position])
        outcome, id_ = OUTCOMES[self.codes[position]], int(self.element_ids[position])
        notes, changed = self._notes.get(position), self._changes.get(position)
        if notes is None and changed is None:
            return Line(row, key, outcome, "", id_)
        words = [self._told(note) for note in notes or ()]
        change = ""
        if changed is not None:
            change = change_words(self.plan, changed[0], is_done=changed[1] == "done")
            if changed[1] != outcome:  # of the others something worse is told
                words.append(f"{changed[1]}: {change}")
        return Line(row, key, outcome, "; ".join(dict.fromkeys(words)), id_, change)

    def _told(self, note: Note) -> str:
        if note.column is None or note.column >= len(self.sheet.headers) or not self.sheet.headers[note.column]:
            return note.words
        return f"{self.sheet.headers[note.column]}: {note.words}"

    def _no_products(self) -> Iterator[Line]:
        skipped = self.sheet.skipped
        if skipped is not None:
            keys = key_texts(skipped.cells, key_places(self.sheet, self.plan))
            for row, key, why in zip(skipped.rows.tolist(), keys, skipped.why, strict=True):
                yield Line(row, key, "no product", why)


def outcomes_of(
    sheet: Sheet,
    plan: Plan,
    report: Report | None = None,
    *,
    why_not: str = "",
    ids: pd.Series | None = None,
    left_out: Iterable[Change] = (),
) -> Outcomes:
    """What became of the rows of a sheet.

    `report` is None where nothing was sent, and `why_not` says why then. `ids` are the elements that rows were
    matched to, by row number, where they are known (`matched_ids`). `left_out` are changes that are not in `plan`
    since a person did not approve them (`not_approved`).
    """
    if report is not None:
        plan = newoptions.with_ids(plan, report.options)
    gathering = _Gathering(sheet, plan)
    for problem in plan.rejected:
        gathering.say(problem, "rejected")
    for problem in plan.warnings:
        gathering.say(problem, "skipped" if problem.what == TAKEN else None)
    for clash in plan.clashes:
        gathering.clash(clash)
    results = {result.op: result for result in report.results} if report else {}
    why = str(report.stopped_by or "the run ended") if report else why_not
    for change in plan.changes:
        outcome, words, id_ = _became(change, results.get(change.op), has_run=report is not None, why=why)
        gathering.change(change, outcome, words, id_)
    for change in left_out:
        gathering.left_out(change)
    gathering.differences(report)
    gathering.fill_ids(ids)
    return gathering.made()


def not_approved(whole: Plan, approved: Plan) -> Iterator[Change]:
    """What is in a plan and not in what was approved of it: whole changes, and values of updates."""
    kept = {change.op: change for change in approved.changes}
    for change in whole.changes:
        part = kept.get(change.op)
        if part is None:
            yield change
        elif isinstance(change, Update) and isinstance(part, Update):
            after = {key: text for key, text in change.after.items() if key not in part.after}
            if after:
                yield replace(change, after=after)


def matched_ids(wanted: pd.DataFrame, base: Base) -> pd.Series:
    """The elements that rows were matched to, by row number. `wanted` and `base` as in sync.Planned."""
    is_first = repeats(base.keys)[1]
    places = places_of(wanted.index, base.keys[is_first])
    rows = np.flatnonzero(places >= 0)
    return pd.Series(base.ids[is_first][places[rows]], index=wanted["row"].to_numpy()[rows], dtype="int64")


def _became(change: Change, result: Result | None, *, has_run: bool, why: str) -> tuple[Outcome, str, int]:
    """What became of a change, why, and its element."""
    id_ = 0 if isinstance(change, Add) else change.id
    if result is None:
        return ("not sent", f"{why}; {_RUN_AGAIN}", id_) if has_run else ("not applied", why, id_)
    id_ = result.id or id_
    if result.outcome == "done":
        return "done", "", id_
    if result.outcome == "unknown":
        return "unknown", f"{result.message}; {_IN_DOUBT}" if result.message else _IN_DOUBT, id_
    return result.outcome, result.message, id_


def key_places(sheet: Sheet, plan: Plan) -> tuple[tuple[int, ...], ...]:
    """Where the columns of each alternative key are in a sheet, as far as they are."""
    found = []
    for entry in plan.key_columns:
        places = [columns_named(sheet.headers, title_of(plan.columns, key)) for key in entry]
        if all(len(each) == 1 for each in places):
            found.append(tuple(place for [place] in places))
    return tuple(found)


def key_texts(cells: pd.DataFrame, places: tuple[tuple[int, ...], ...]) -> list[str]:
    """The key of each row as it stands in the sheet: of the first alternative that is filled."""
    told = [""] * len(cells)
    for entry in reversed(places):
        parts = zip(*(cells[place].str.strip() for place in entry), strict=True)
        told = [" + ".join(filter(None, part)) if any(part) else old for part, old in zip(parts, told, strict=True)]
    return told


def change_words(plan: Plan, change: Change, *, is_done: bool) -> str:
    """What a change writes, in a few words."""
    match change:
        case Add():
            return "added" if is_done else "to add"
        case Delete():
            return f"{'deleted' if is_done else 'to delete'}: {change.name}".removesuffix(": ")
        case Update():
            told = "; ".join(
                f"{title_of(plan.columns, key)}: {_value(plan, key, change.before[key])} → {_value(plan, key, text)}"
                for key, text in change.after.items()
            )
            return told if len(told) <= _LONGEST_CHANGE else f"{told[: _LONGEST_CHANGE - 1]}…"


def _clash_words(plan: Plan, clash: Clash) -> str:
    if clash.kind == "deleted":
        return "deleted in the CRM; not added again until the row changes"
    base, said, held = (_value(plan, clash.column, text) for text in (clash.base, clash.sheet, clash.crm))
    match clash.kind:
        case "kept":
            return f"changed in the CRM, and kept: {held}"
        case "reverted":
            return f"changed in the CRM to {held}, and set back (`owner: sheet`)"
        case "overridden":
            return f"changed in the CRM to {held}, too; the sheet counts (`conflict: sheet`)"
        case "conflict":
            told = f"changed in the sheet and in the CRM: was {base}, the sheet says {said}, the catalog {held}"
            return (
                f"{told} (type the catalog's value to keep it; for the sheet's, `conflict: sheet` or a review workbook)"
            )


def _value(plan: Plan, key: str, text: str) -> str:
    return in_words(plan.columns, key, text) or "(empty)"


class _Gathering:
    """What is said of rows, while it is gathered."""

    def __init__(self, sheet: Sheet, plan: Plan) -> None:
        self._sheet, self._plan = sheet, plan
        self._codes = np.zeros(len(sheet.rows), dtype=np.int8)
        self._ids = np.zeros(len(sheet.rows), dtype=np.int64)
        self._order = np.argsort(sheet.rows, kind="stable")
        self._ordered = sheet.rows[self._order]
        self._notes: dict[int, list[Note]] = {}
        self._changes: dict[int, tuple[Change, str]] = {}
        self._lost: dict[int, list[str]] = {}
        self._others: list[Line] = []
        self._places: dict[str, int | None] = {}

    def made(self) -> Outcomes:
        return Outcomes(
            self._sheet,
            self._plan,
            self._codes,
            self._ids,
            tuple(Line(row, "", "rejected", "; ".join(words)) for row, words in sorted(self._lost.items())),
            tuple(self._others),
            self._notes,
            self._changes,
        )

    def say(self, problem: Problem, outcome: Outcome | None) -> None:
        """A problem of rows; None: nothing becomes of them by it."""
        told = problem.what + (f" ({problem.hint})" if problem.hint else "")
        for place, spot in enumerate(problem.spots):
            words = f"with {problem.where}: {told}" if place else told
            position = self._position(spot.row)
            if position is not None:
                is_problem = outcome == "rejected"
                self._notes.setdefault(position, []).append(Note(spot.column, words, is_problem))
                self._worse(position, outcome or "unchanged")
            elif outcome == "rejected":
                self._lost.setdefault(spot.row, []).append(words)

    def clash(self, clash: Clash) -> None:
        """A cell, or an element, that somebody changed in the CRM."""
        position = self._position(clash.row)
        if position is None:
            return
        self._ids[position] = 0 if clash.kind == "deleted" else clash.id
        words = _clash_words(self._plan, clash)
        column = self._place(clash.column) if clash.column else None
        if column is None and clash.column:
            words = f"{title_of(self._plan.columns, clash.column)}: {words}"
        self._notes.setdefault(position, []).append(Note(column, words, clash.kind == "conflict"))
        self._worse(position, _CLASHED.get(clash.kind, "unchanged"))

    def change(self, change: Change, outcome: Outcome, words: str, id_: int) -> None:
        """What became of a change."""
        row = 0 if isinstance(change, Delete) else change.row
        position = self._position(row) if row else None
        if position is None:
            told = change_words(self._plan, change, is_done=outcome == "done")
            self._others.append(Line(row, key_text(change.key), outcome, words, id_, told))
            return
        self._ids[position] = id_
        self._changes[position] = (change, outcome)
        if words:
            self._notes.setdefault(position, []).append(Note(None, words, outcome in NEED_A_PERSON))
        self._worse(position, outcome)

    def left_out(self, change: Change) -> None:
        """A change, or a part of one, that was not approved."""
        position = None if isinstance(change, Delete) or not change.row else self._position(change.row)
        if position is None or position not in self._changes:
            self.change(change, "not applied", _NOT_APPROVED, 0 if isinstance(change, Add) else change.id)
        else:
            words = f"{_NOT_APPROVED}: {change_words(self._plan, change, is_done=False)}"
            self._notes.setdefault(position, []).append(Note(None, words, is_problem=False))

    def differences(self, report: Report | None) -> None:
        """What the catalog stored otherwise than it was sent."""
        if report is None or not report.differences:
            return
        rows = {change.op: 0 if isinstance(change, Delete) else change.row for change in self._plan.changes}
        for each in report.differences:
            position = self._position(rows[each.op])
            if position is not None:
                stored = _value(self._plan, each.column_key, each.stored)
                told = f"the catalog stored {stored}" + (", a part of it is lost" if each.is_loss else "")
                column = self._place(each.column_key)
                if column is None:
                    told = f"{title_of(self._plan.columns, each.column_key)}: {told}"
                self._notes.setdefault(position, []).append(Note(column, told, is_problem=False))

    def fill_ids(self, ids: pd.Series | None) -> None:
        """The elements of rows of which no change says them."""
        own = self._sheet.element_ids
        known = np.zeros(len(self._sheet.rows), dtype=np.int64)
        if own is not None and (own.account_id, own.catalog_id) == (self._plan.account_id, self._plan.catalog_id):
            known = np.maximum(own.ids, 0)
        if ids is not None and len(ids):
            places = pd.Index(ids.index).get_indexer(self._sheet.rows)
            known = np.where(places >= 0, ids.to_numpy(np.int64)[places], known)
        is_free = (self._ids == 0) & np.isin(self._codes, [_CODES["unchanged"], _CODES["rejected"]])
        self._ids[is_free] = known[is_free]

    def _worse(self, position: int, outcome: Outcome) -> None:
        self._codes[position] = max(int(self._codes[position]), _CODES[outcome])

    def _position(self, row: int) -> int | None:
        place = int(np.searchsorted(self._ordered, row))
        return int(self._order[place]) if place < len(self._ordered) and self._ordered[place] == row else None

    def _place(self, key: str) -> int | None:
        """Where a column is in the sheet."""
        if key not in self._places:
            found = columns_named(self._sheet.headers, title_of(self._plan.columns, key))
            self._places[key] = found[0] if len(found) == 1 else None
        return self._places[key]


def is_of(sheet: Sheet, plan: Plan) -> bool:
    """Whether a plan was made of a sheet that looks like this one: its name, its rows, those that the plan names."""
    rows = {change.row for change in plan.changes if not isinstance(change, Delete)}
    rows |= {clash.row for clash in plan.clashes}
    spots: Iterable[Spot] = (spot for problem in plan.rejected for spot in problem.spots)
    lost = {problem.row for problem in sheet.problems if problem.column is None and problem.position is None}
    known = {0, *sheet.rows.tolist(), *lost}
    return len(sheet.rows) + len(lost) == plan.sheet_rows and rows | {spot.row for spot in spots} <= known
