"""From the rows of a sheet to products: titles, sections, totals and repeated headers go, merged cells are filled.

Nothing goes unsaid: `Sheet.facts` counts what was skipped and why, and `Sheet.skipped` keeps it, so that a key that
stands in such a row does not count as missing.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalogsync.errors import SheetError
from catalogsync.reader import own
from catalogsync.reader.header import BY_RANK
from catalogsync.reader.sheet import (
    BLANKS,
    CellProblem,
    Fill,
    ReadOptions,
    Sheet,
    Skipped,
    arrow_texts,
    blank_cells,
    column_index,
    column_letter,
    tidy_header,
)

Bools = NDArray[np.bool_]
Places = NDArray[np.intp]

LONE_BELOW = 3
"""A row with a single filled cell is no product where rows usually fill this many."""

_SHOWN_ROWS = 6
_TOTAL = (
    r"\A(?:(?:grand |sub)?total|итого|всего|разом|усього|suma|razem|summe|gesamt|totale|somme|total general"
    r"|(?:итого|всего|разом|total|suma)[ :].{0,40})\z"
)
_BY_LETTER = re.compile(r"column ([A-Z]{1,3})")
_BY_NUMBER = re.compile(r"column ([1-9]\d{0,4})")


def columns_named(headers: Collection[str], name: str) -> list[int]:
    """The columns that a name means: a header, `Header #2` where it repeats, else ``column D`` or ``column 4``."""
    headers = list(headers)
    places = [place for place, header in enumerate(headers) if header == name]
    if places:
        return places
    rank = BY_RANK.search(name)
    if rank:
        repeated = [place for place, header in enumerate(headers) if header == BY_RANK.sub("", name)]
        return repeated[int(rank[1]) - 1 : int(rank[1])]
    letters, number = _BY_LETTER.fullmatch(name), _BY_NUMBER.fullmatch(name)
    place = column_index(letters[1]) if letters else int(number[1]) - 1 if number else -1
    return [place] if 0 <= place < len(headers) else []


def is_place(name: str) -> bool:
    """Whether a name addresses a column by its place, and is no header."""
    return bool(_BY_LETTER.fullmatch(name) or _BY_NUMBER.fullmatch(name))


def shaped(sheet: Sheet, options: ReadOptions) -> Sheet:
    """The sheet without the rows that are no products, its cells filled as `options` say.

    Raises SheetError where an option names a column that is not there, or nothing but such rows is left.
    """
    facts = dict(sheet.facts)
    _tell_hidden(sheet, options, facts)
    reasons = _reasons(sheet, options)
    aside = None
    kept = sheet
    if reasons:
        skipped = np.array(sorted(reasons), dtype=np.intp)
        why = [reasons[place] for place in skipped.tolist()]
        rows = sheet.rows[skipped]
        aside = Skipped(sheet.cells.iloc[skipped].reset_index(drop=True), rows, tuple(why))
        kept = _without(sheet, skipped)
        facts["rows"] = str(len(kept.rows))
        facts["rows skipped"] = _told(why, rows)
    kept = _filled(kept, sheet, options.fill)
    return dataclasses.replace(kept, facts=_with_range(kept, facts), skipped=aside)


# --- rows ----------------------------------------------------------------------------------------------------


def _reasons(sheet: Sheet, options: ReadOptions) -> dict[int, str]:
    """The positions of the rows that are no products, and why."""
    reasons: dict[int, str] = {}
    usual, sparse, filled = _sparse_rows(sheet)
    counts = filled.sum(axis=1)
    lone = sparse[(counts == 1) & (usual >= LONE_BELOW)]
    is_lone = np.zeros(len(sheet.rows), dtype=np.bool_)
    is_lone[lone] = True
    last_product = len(is_lone) - 1 - int((~is_lone[::-1]).argmax())
    reasons |= {place: "section" if place < last_product else "footer" for place in lone.tolist()}
    reasons |= dict.fromkeys(sparse[(counts > 1) & _begin_with_total(sheet, sparse, filled)].tolist(), "total")
    for name in options.needs or ():
        blank = np.flatnonzero(~_is_filled(sheet, _only(sheet, name, "needs"))[0]).tolist()
        reasons = dict.fromkeys(blank, f"without {name}") | reasons
    reasons |= dict.fromkeys(_header_again(sheet).tolist(), "repeated header")
    if sheet.element_ids is not None:  # what was exported is a product, whatever it looks like
        reasons = {place: why for place, why in reasons.items() if not sheet.element_ids.ids[place]}
        reasons |= dict.fromkeys(sparse[counts == 0].tolist(), "emptied")
    if options.hidden == "skip":
        reasons |= dict.fromkeys(np.flatnonzero(np.isin(sheet.rows, sheet.hidden)).tolist(), "hidden")
    return reasons


def _is_filled(sheet: Sheet, column: int) -> tuple[Bools, Bools]:
    """Which cells of a column hold more than blanks, one with an error among them; which hold anything at all."""
    empty, blank = blank_cells(arrow_texts(sheet.cells[column]))
    filled = ~blank
    filled[[p.position for p in sheet.problems if p.column == column and p.position is not None]] = True
    return filled, ~empty


def _sparse_rows(sheet: Sheet) -> tuple[float, Places, Bools]:
    """How many cells a row usually fills; the rows that fill fewer, and which of their cells are filled."""
    sizes = np.zeros(len(sheet.cells), dtype=np.int64)
    columns = []
    for column in range(len(sheet.headers)):
        filled, held = _is_filled(sheet, column)
        sizes += held
        columns.append(filled)
    usual = float(np.median(sizes))
    sparse = np.flatnonzero(sizes < usual)
    return usual, sparse, np.column_stack([filled[sparse] for filled in columns] or [np.zeros((len(sparse), 1), bool)])


def _begin_with_total(sheet: Sheet, rows: Places, filled: Bools) -> Bools:
    """Whether the first filled cell of a row is a word such as “Total”."""
    first = filled.argmax(axis=1) if len(rows) else np.zeros(0, dtype=np.int64)
    is_total = np.zeros(len(rows), dtype=np.bool_)
    for column in np.unique(first).tolist():
        here = first == column
        is_asked = np.zeros(len(sheet.rows), dtype=np.bool_)
        is_asked[rows[here]] = True
        texts = arrow_texts(sheet.cells[column]).filter(pa.array(is_asked)).combine_chunks()
        texts = pc.utf8_trim(texts, characters=BLANKS)
        is_total[here] = np.asarray(pc.match_substring_regex(texts, _TOTAL, ignore_case=True))
    return is_total


def _header_again(sheet: Sheet) -> Places:
    """The rows that say in every column what its header says."""
    named = [place for place, header in enumerate(sheet.headers) if header]
    if len(named) < 2:
        return np.zeros(0, dtype=np.intp)
    word = sheet.headers[named[0]].split(" ")[0]
    rows = np.flatnonzero(np.asarray(pc.match_substring(arrow_texts(sheet.cells[named[0]]), word)))
    for place in named if len(rows) else ():
        texts = sheet.cells[place].iloc[rows]
        rows = rows[[tidy_header(text) == sheet.headers[place] for text in texts]]
    return rows


def _told(why: Sequence[str], rows: NDArray[np.int64]) -> str:
    """What was skipped: ``8 section (rows 2, 3, 8, …)``."""
    told = []
    for reason, count in Counter(why).items():
        numbers = [int(row) for row, each in zip(rows, why, strict=True) if each == reason][:_SHOWN_ROWS]
        more = ", …" if count > len(numbers) else ""
        told.append(f"{count} {reason} (row{'s' if count > 1 else ''} {', '.join(map(str, numbers))}{more})")
    return "; ".join(told)


def _tell_hidden(sheet: Sheet, options: ReadOptions, facts: dict[str, str]) -> None:
    if len(sheet.hidden) and options.hidden != "skip":
        facts["hidden rows"] = f"{len(sheet.hidden)}, read like the others (`hidden: skip` leaves them out)"


def _with_range(sheet: Sheet, facts: Mapping[str, str]) -> dict[str, str]:
    last = column_letter(max(len(sheet.headers) - 1, 0))
    return {**facts, "cells": f"A{sheet.rows[0]}:{last}{sheet.rows[-1]}"}


def _without(sheet: Sheet, skipped: Places) -> Sheet:
    """The sheet less some rows; what is wrong in these does not matter. Raises SheetError where none is left."""
    keep = np.ones(len(sheet.rows), dtype=np.bool_)
    keep[skipped] = False
    if not keep.any():
        raise SheetError(
            f"{sheet.path.name} has no rows but sections, totals and repeated headers. "
            "An empty sheet is not read as an empty catalog."
        )
    position_of = np.cumsum(keep) - 1

    def moved(problem: CellProblem) -> CellProblem:
        if problem.position is None:
            return problem
        return dataclasses.replace(problem, position=int(position_of[problem.position]))

    return dataclasses.replace(
        sheet,
        cells=sheet.cells[keep].reset_index(drop=True),
        rows=sheet.rows[keep],
        problems=tuple(moved(p) for p in sheet.problems if p.position is None or keep[p.position]),
        numbers={column: mask[keep] for column, mask in sheet.numbers.items()},
        element_ids=own.kept_ids(sheet.element_ids, keep),
    )


# --- cells ---------------------------------------------------------------------------------------------------


def _only(sheet: Sheet, name: str, key: str) -> int:
    places = columns_named(sheet.headers, tidy_header(name))
    if len(places) == 1:
        return places[0]
    what = f"has {len(places)} columns {name!r}" if places else f"has no column {name!r}"
    raise SheetError(f"{sheet.path.name} {what}, which `{key}:` names.")


def _filled(sheet: Sheet, whole: Sheet, fill: Mapping[str, Fill]) -> Sheet:
    """Blank cells filled from above, or from the merged cell that covers them. `whole` has the skipped rows too."""
    if not fill:
        return sheet
    cells = sheet.cells.copy(deep=False)
    numbers = dict(sheet.numbers)
    for name, how in fill.items():
        column = _only(sheet, name, "fill")
        source = _source_of(sheet, whole, column, how)
        has_source = source >= 0
        texts = cells[column].to_numpy(dtype=object, copy=True)
        pool = (whole if how == "merged" else sheet).cells[column].to_numpy(dtype=object)
        texts[has_source] = pool[source[has_source]]
        cells[column] = pd.Series(texts, dtype="str")
        if column in numbers:
            mask = numbers[column].copy()
            mask[has_source] = (whole if how == "merged" else sheet).numbers[column][source[has_source]]
            numbers[column] = mask
    return dataclasses.replace(sheet, cells=cells, numbers=numbers)


def _source_of(sheet: Sheet, whole: Sheet, column: int, how: Fill) -> NDArray[np.int64]:
    """For each row the position whose cell fills its blank one, -1 where none does."""
    blank = ~_is_filled(sheet, column)[0]
    source = np.full(len(blank), -1, dtype=np.int64)
    if how == "down":
        last = np.maximum.accumulate(np.where(blank, -1, np.arange(len(blank))))
        source[blank] = last[blank]
        return source
    areas = [area for area in whole.merged if area.left == column and area.bottom > area.top]
    anchors = np.searchsorted(whole.rows, [area.top + 1 for area in areas])
    first = np.searchsorted(sheet.rows, [area.top + 1 for area in areas])
    last = np.searchsorted(sheet.rows, [area.bottom + 1 for area in areas], side="right")
    for area, anchor, begin, end in zip(areas, anchors.tolist(), first.tolist(), last.tolist(), strict=True):
        if anchor < len(whole.rows) and whole.rows[anchor] == area.top + 1:
            source[begin:end] = anchor
    source[~blank] = -1
    return source
