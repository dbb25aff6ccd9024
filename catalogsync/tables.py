"""Tables: a sheet's cells to the desired table. (elements.py: a catalog's elements to the existing table.)

One row per product, indexed by key, and one column per mapped column key, holding canonical text (fields.py), never
NaN; besides ``row``, the 1-based sheet row or line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from catalogsync import exported, fields, model, numbertext
from catalogsync.carried import Carried
from catalogsync.celltext import CellError, is_too_long_mark, quoted
from catalogsync.columnwise import Bools, Places, is_in, kept, matches, repeats
from catalogsync.elements import Existing
from catalogsync.errors import Problem, SheetError, Spot
from catalogsync.exported import ExportedColumn
from catalogsync.keys import alternative_keys, key_text, row_keys
from catalogsync.matching import Match
from catalogsync.moments import is_second_time
from catalogsync.reader import Sheet

TAKEN = "a row with this key is already taken"
"""What is said of a row that `duplicates: first` or `last` leaves out."""

_FULL_ADDRESSES = 5
"""So many of the places of a repeated key are told as addresses."""


@dataclass(frozen=True)
class Desired:
    """What the sheet wants. `table` holds the good rows; `rejected` says what is wrong with the others.

    `seen` are the keys of every row whose key could be read, rejected and skipped ones too: none of them is missing.
    `key_rows` maps the keys of rows that were not skipped to the row or line where each stands first.
    `unreadable_rows` counts the rows whose key could not be read; while there are any, nothing is missing.
    `element_ids` maps keys, as in `key_rows`, to the elements that their rows were exported from, where that is known.
    `untouched` are the keys of rows that say in every cell what was exported.
    """

    table: pd.DataFrame
    rejected: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    seen: pd.Index
    key_rows: pd.Series
    sheet_rows: int
    rejected_rows: int
    unreadable_rows: int
    element_ids: pd.Series
    untouched: pd.Index


def _texts(column: pd.Series, places: Places) -> list[str]:
    return [str(text) for text in column.iloc[places]]


# --- sheet ---------------------------------------------------------------------------------------------------


@dataclass
class _Rows:
    """The rows of a sheet while they become a table: which are good, whose key can be read, what is wrong."""

    sheet: Sheet
    good: Bools
    readable: Bools
    rejected: list[Problem]
    warnings: list[Problem]
    exported: dict[str, ExportedColumn]
    dropped_rows: int = 0

    def reject(self, bad: Bools, column: model.Column, tell: Callable[[str], CellError], *, is_key: bool) -> None:
        """Reject rows for what stands in one column; a key that cannot be read counts as unreadable."""
        self.rejected += self._problems(bad, column, tell)
        self.good &= ~bad
        if is_key:
            self.readable &= ~bad

    def pass_over(self, some: Bools) -> None:
        """Take rows for nothing: they are no products to be sent, and nothing is wrong with them."""
        self.dropped_rows += int((some & self.good).sum())
        self.good &= ~some

    def warn(self, odd: Bools, column: model.Column, tell: Callable[[str], CellError]) -> None:
        """Note what is odd in a column without rejecting the rows."""
        self.warnings += self._problems(odd, column, tell)

    def _problems(self, mask: Bools, column: model.Column, tell: Callable[[str], CellError]) -> Iterator[Problem]:
        places = np.flatnonzero(mask)
        for position, text in zip(places.tolist(), _texts(self.sheet.cells[column.position], places), strict=True):
            error = tell(text)
            where = self.sheet.address(position, column.position)
            yield Problem(where, error.what, error.hint, (self.spot(position, column),))

    def spot(self, position: int, column: model.Column) -> Spot:
        """The cell of a column."""
        return Spot(int(self.sheet.rows[position]), column.position)


def desired_table(sheet: Sheet, mapping: model.Mapping, carried: Carried | None = None) -> Desired:
    """The desired table of a sheet, and every row's problem with its address.

    A cell that still says what was exported, as `carried` has it, means the value that it was made of. A row of which
    all cells do has no problem: what is wrong with it is so in the catalog.

    Raises SheetError where a column as a whole makes no sense (mixed currencies). A mapping without keys, as far as it
    could be resolved, says what is wrong with the cells; none of its rows has a key then.
    """
    count = len(sheet.cells)
    held = {column.key: exported.exported_column(sheet, column, carried) for column in mapping.columns}
    known = {key: column for key, column in held.items() if column is not None}
    rows = _Rows(sheet, np.ones(count, dtype=bool), np.ones(count, dtype=bool), [], [], known)
    key_columns = {column.key for alternative in mapping.keys for column in alternative}
    _reject_unread_cells(rows, mapping, key_columns)
    if problems := mixed_currencies(sheet, mapping):
        raise SheetError(
            f"{sheet.path.name}: several currencies in one column; `currency:` says which counts", problems
        )
    table = pd.DataFrame(
        {column.key: _read_column(rows, column, is_key=column.key in key_columns) for column in mapping.columns}
    )
    keys = row_keys(table, mapping.keys)
    untouched = _untouched(table, mapping, known)
    if mapping.keys:
        _reject_keyless(rows, mapping, keys, untouched)
        if len(mapping.keys) > 1:
            _reject_crossed(rows, mapping, keys, list(alternative_keys(table, mapping.keys)))
        _reject_repeats(rows, mapping, keys, untouched)
    is_first = repeats(keys.where(rows.readable, ""))[1] & rows.readable & (keys != "").to_numpy(bool)
    table["row"] = sheet.rows
    table.index = pd.Index(keys, dtype="str")
    lost_records = sum(problem.column is None and problem.position is None for problem in sheet.problems)
    seen = pd.Index(keys if is_first.all() else keys[is_first], dtype="str")
    skipped = _skipped_keys(sheet, mapping)
    return Desired(
        table=kept(table, rows.good),
        rejected=tuple(rows.rejected),
        warnings=tuple(rows.warnings),
        seen=seen.union(skipped, sort=False) if len(skipped) else seen,
        key_rows=pd.Series(sheet.rows[is_first], index=seen),
        sheet_rows=count + lost_records,
        rejected_rows=int((~rows.good).sum()) - rows.dropped_rows + lost_records,
        unreadable_rows=int((~rows.readable).sum()) + lost_records,
        element_ids=exported.element_ids(sheet, keys, is_first),
        untouched=pd.Index(keys[untouched & is_first], dtype="str"),
    )


def _untouched(table: pd.DataFrame, mapping: model.Mapping, known: dict[str, ExportedColumn]) -> Bools:
    """Which rows say in every cell what was exported."""
    if any(column.key not in known for column in mapping.columns):
        return np.zeros(len(table), dtype=bool)
    same = [(table[key].array == column.values.array) for key, column in known.items()]
    made: Bools = np.logical_and.reduce(same)
    return made


def _skipped_keys(sheet: Sheet, mapping: model.Mapping) -> pd.Index:
    """The keys in rows that are no products: a product whose row was taken for a title is not missing."""
    if sheet.skipped is None:
        return pd.Index([], dtype="str")
    columns = {column.key: column for alternative in mapping.keys for column in alternative}
    parsed = {key: fields.parse_column(sheet.skipped.cells[c.position], c)[0] for key, c in columns.items()}
    keys = row_keys(pd.DataFrame(parsed), mapping.keys)
    found: pd.Index = pd.Index(keys[keys != ""].unique(), dtype="str")
    return found


def _reject_unread_cells(rows: _Rows, mapping: model.Mapping, key_columns: set[str]) -> None:
    """What the reader could not read faithfully counts where the mapping uses it."""
    used = {column.position for column in mapping.columns}
    key_places = {column.position for column in mapping.columns if column.key in key_columns}
    as_exported = {c.position: rows.exported[c.key].is_same for c in mapping.columns if c.key in rows.exported}
    no_rows = np.zeros(len(rows.good), dtype=bool)
    for problem in rows.sheet.problems:
        if problem.column is not None and problem.column not in used:
            continue
        if (
            problem.position is not None
            and as_exported.get(-1 if problem.column is None else problem.column, no_rows)[problem.position]
        ):
            continue
        where, spot = rows.sheet.address_of(problem), Spot(problem.row, problem.column)
        rows.rejected.append(Problem(where, problem.what, problem.hint, (spot,)))
        if problem.position is not None:
            rows.good[problem.position] = False
            if problem.column is None or problem.column in key_places:
                rows.readable[problem.position] = False


def _read_column(rows: _Rows, column: model.Column, *, is_key: bool) -> pd.Series:
    """One column as canonical text; cells that cannot be read reject their rows and come out empty."""
    cells = rows.sheet.cells[column.position]
    exported = rows.exported.get(column.key)
    is_same = exported.is_same if exported else np.zeros(len(cells), dtype=bool)
    problems = [p for p in rows.sheet.problems if p.column in (None, column.position)]
    unread = np.zeros(len(cells), dtype=bool)
    unread[[p.position for p in problems if p.position is not None]] = True
    unread &= ~is_same
    if unread.any():
        cells = cells.mask(unread, "")
    if column.decimal == "," and column.position in rows.sheet.numbers:  # number cells have a point in any language
        is_number = rows.sheet.numbers[column.position]
        cells = cells.where(~is_number, cells.str.replace(".", ",", regex=False))
    values, errors = fields.parse_column(cells, column)
    if errors:
        wrong = is_in(cells, list(errors)) & ~is_same
        as_it_stands = {text.replace(",", "."): error for text, error in errors.items()} | errors
        rows.reject(wrong, column, as_it_stands.__getitem__, is_key=is_key)
        unread |= wrong
    if exported:
        values = values.where(~is_same, exported.values)
    if column.blank == "error":
        blank = (values == "").to_numpy(bool) & ~unread & ~is_same
        rows.reject(blank, column, lambda _: CellError("is empty", "`blank: error` refuses that"), is_key=is_key)
    if column.type not in fields.PARSERS:
        damaged = matches(cells, numbertext.DAMAGED_CODE) & ~is_same
        if is_key:
            rows.reject(damaged, column, _damaged, is_key=True)
        else:
            rows.warn(damaged, column, _damaged)
    if is_key:
        marked = values.str.startswith("[").to_numpy(bool, copy=True)
        marked[marked] = [is_too_long_mark(text) for text in values[marked]]
        rows.reject(marked, column, lambda _: CellError("the export could not write the key"), is_key=True)
    if column.type == "checkbox" and column.blank == "clear":
        values = values.where(values != "", "0")
    return values


def _damaged(text: str) -> CellError:
    what = f"{quoted(text)} looks like a code that Excel shortened"
    return CellError(what, "its last digits are lost; take it from the source again, as text")


def mixed_currencies(sheet: Sheet, mapping: model.Mapping) -> list[Problem]:
    """For each column with several currencies of which none is said to count: where each of them comes first."""
    problems: list[Problem] = []
    for column in mapping.columns:
        if column.type not in fields.NUMBER_TYPES or column.currency:
            continue
        cells = sheet.cells[column.position]
        marked = np.flatnonzero(~matches(cells, r"[-+0-9.,\s]*"))
        codes, texts = pd.factorize(cells.iloc[marked])
        currencies = np.array([numbertext.currency_of(text) for text in texts], dtype=object)[codes]
        kinds = sorted(set(currencies) - {""})
        if len(kinds) > 1:
            for kind in kinds:
                position = int(marked[np.argmax(currencies == kind)])
                spot = Spot(int(sheet.rows[position]), column.position)
                where = sheet.address(position, column.position)
                problems.append(Problem(where, f"the first in {kind}", spots=(spot,)))
    return problems


def _reject_keyless(rows: _Rows, mapping: model.Mapping, keys: pd.Series, untouched: Bools) -> None:
    keyless = (keys == "").to_numpy(bool)
    rows.pass_over(keyless & untouched)
    keyless = keyless & ~untouched
    headers = " or ".join(" + ".join(column.header for column in entry) for entry in mapping.keys)
    tell = CellError("the key is empty", f"a product is identified by {headers}")
    rows.reject(keyless & rows.readable, mapping.keys[0][0], lambda _: tell, is_key=True)
    rows.readable &= ~keyless
    rows.good &= ~keyless


def _reject_crossed(rows: _Rows, mapping: model.Mapping, keys: pd.Series, alternatives: Sequence[pd.Series]) -> None:
    """Rows that mean one product by different alternatives: one by its code, another by that one's barcode."""
    used = set(keys[rows.readable]) - {""}
    for rank, texts in enumerate(alternatives):
        crossed = (texts.isin(used) & (texts != keys)).to_numpy(bool) & rows.readable
        both = crossed | (keys.isin(set(texts[crossed])).to_numpy(bool) & rows.readable)
        rows.reject(both, mapping.keys[rank][0], _crossed, is_key=False)


def _crossed(text: str) -> CellError:
    return CellError("another row means the same product by another key", "none of them is taken")


def _reject_repeats(rows: _Rows, mapping: model.Mapping, keys: pd.Series, untouched: Bools) -> None:
    """Rows with the same key: all refused, or all but the first or last, as the mapping says.

    Rows of an export that nobody touched are passed over: in the catalog several elements have that key.
    """
    counted = keys.where(rows.readable, "")
    repeated = repeats(counted)[0] & (counted != "").to_numpy(bool)
    if not repeated.any():
        return
    as_exported = repeated & ~is_in(counted, counted[~untouched])
    rows.pass_over(as_exported)
    counted = counted.where(~as_exported, "")
    repeated &= ~as_exported
    if not repeated.any():
        return
    column = mapping.keys[0][0]
    if mapping.duplicates == "error":
        places: dict[str, list[int]] = {}
        found = np.flatnonzero(repeated)
        for position, key in zip(found.tolist(), _texts(keys, found), strict=True):
            places.setdefault(key, []).append(position)
        for key, positions in places.items():
            what = f"the key {quoted(key_text(key))} stands in {len(positions)} rows"
            others = _all_places(rows.sheet, positions[1:], column)
            hint = f"also {others}; none is taken; `duplicates: first` or `last` takes one"
            spots = tuple(rows.spot(position, column) for position in positions)
            rows.rejected.append(Problem(rows.sheet.address(positions[0], column.position), what, hint, spots))
        rows.good &= ~repeated
        return
    dropped = (counted.duplicated(keep=mapping.duplicates) & (counted != "")).to_numpy(bool) & rows.readable
    tell = CellError(TAKEN, f"`duplicates: {mapping.duplicates}`")
    rows.warn(dropped, column, lambda _: tell)
    rows.pass_over(dropped)


def _all_places(sheet: Sheet, positions: Sequence[int], column: model.Column) -> str:
    """Every place of a column: the first ones as addresses, the others as row numbers."""
    told = ", ".join(sheet.address(position, column.position) for position in positions[:_FULL_ADDRESSES])
    if rest := row_ranges([int(sheet.rows[position]) for position in positions[_FULL_ADDRESSES:]]):
        told += f" and {'row' if sheet.tab else 'line'}s {rest}"
    return told


def row_ranges(rows: Sequence[int]) -> str:
    """Ascending row numbers in few words: ``7, 9–12``."""
    spans: list[list[int]] = []
    for row in rows:
        if spans and row == spans[-1][1] + 1:
            spans[-1][1] = row
        else:
            spans.append([row, row])
    return ", ".join(str(low) if low == high else f"{low}–{high}" for low, high in spans)


# --- rows that the catalog does not allow --------------------------------------------------------------------


def without_names(match: Match, source: Callable[[int], str]) -> tuple[Match, list[Problem]]:
    """The match less the rows that would be added without a name, and a problem for each of them."""
    desired, nameless = match.desired, match.is_new
    if model.NAME in desired.columns:
        nameless = nameless & (desired[model.NAME] == "").to_numpy(bool)
    what = (
        "a new product needs a name"
        if model.NAME in desired.columns
        else "a new product, and no column is mapped to `name`"
    )
    rows = desired["row"][nameless].tolist()
    return match.only(~nameless), [Problem(source(row), what, spots=(Spot(row),)) for row in rows]


def without_second_times(
    match: Match, mapping: model.Mapping, timezone: str, source: Callable[[int], str]
) -> tuple[Match, list[Problem]]:
    """The match less the rows with a moment that an API of local times cannot tell from one an hour earlier."""
    desired = match.desired
    bad = np.zeros(len(desired), dtype=bool)
    problems = []
    for column in mapping.columns:
        if column.type == "date_time":
            second = desired[column.key].map(lambda text: is_second_time(text, timezone)).to_numpy(bool)
            what = f"{column.header} is in the second of an hour that clocks repeat, which API v2 cannot store"
            rows = desired["row"][second].tolist()
            problems += [Problem(source(row), what, spots=(Spot(row, column.position),)) for row in rows]
            bad |= second
    return match.only(~bad), problems


def without_shared(
    desired: Desired, existing: Existing, source: Callable[[int], str]
) -> tuple[pd.DataFrame, list[Problem]]:
    """The desired table less the rows whose key does not identify one element, and a problem for each of them.

    A row of an export that nobody touched is no problem.
    """
    shared = is_in(desired.table.index, list(existing.shared))
    problems = []
    for key, row in zip(desired.table.index[shared], desired.table["row"][shared], strict=True):
        if key in desired.untouched:
            continue
        ids = ", ".join(map(str, existing.shared[key]))
        several = len(existing.shared[key]) > 1
        what = f"{len(existing.shared[key])} elements hold" if several else "another row means the element of"
        what = f"{what} the key {quoted(key_text(key))}: {ids}"
        hint = "none is touched; leave one of them in the catalog"
        problems.append(Problem(source(int(row)), what, hint, (Spot(int(row)),)))
    return kept(desired.table, ~shared), problems
