"""What is most likely wrong though each cell can be read: keys that look alike, lost zeros, garbled text.

Pure. All are warnings, but for a key that lost its zeros: its row is rejected, or the product would be added twice.
Columns at a time; Python looks at single rows only for what was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import columnwise, fields, lookalikes, model
from catalogsync.celltext import quoted
from catalogsync.errors import Problem, Spot
from catalogsync.keys import key_text
from catalogsync.matching import Match
from catalogsync.reader import CellProblem, Sheet
from catalogsync.tables import Desired

_SHOWN_IDS = 5


def _address(sheet: Sheet, spot: Spot) -> str:
    return sheet.address_of(CellProblem(spot.row, spot.column, None, "", ""))


def _is_text(column: model.Column) -> bool:
    """Whether a column is compared as the text that it is."""
    return column.type not in fields.PARSERS


def _has_text_key(mapping: model.Mapping) -> bool:
    return any(_is_text(column) for entry in mapping.keys for column in entry)


def _key_spot(mapping: model.Mapping, key: str, row: int) -> Spot:
    """The cell of a row that its key, or the first part of it, stands in."""
    rank = len(key) - len(key.lstrip("\x1f"))
    return Spot(row, mapping.keys[min(rank, len(mapping.keys) - 1)][0].position)


# --- keys that look alike ------------------------------------------------------------------------------------


def similar_keys(sheet: Sheet, desired: Desired, mapping: model.Mapping) -> Iterator[Problem]:
    """Different keys of the sheet that only case, blanks or the alphabet of letters tell apart."""
    if not _has_text_key(mapping):
        return
    keys, rows = desired.key_rows.index, desired.key_rows.to_numpy()
    alike = lookalikes.folded_column(keys)
    first: dict[str, int] = {}
    for place in np.flatnonzero(columnwise.repeats(alike)[0]).tolist():
        other = first.setdefault(alike[place].as_py(), place)
        if other == place:
            continue
        spots = [_key_spot(mapping, keys[n], int(rows[n])) for n in (place, other)]
        texts = [key_text(keys[n]) for n in (place, other)]
        what = f"the key {quoted(texts[0])} differs from {quoted(texts[1])}"
        what = f"{what} in {_address(sheet, spots[1])} only by {lookalikes.difference(texts[1], texts[0])}"
        yield Problem(_address(sheet, spots[0]), what, "one product that was typed twice?", tuple(spots))


def similar_elements(
    sheet: Sheet, match: Match, shared: Mapping[str, tuple[int, ...]], mapping: model.Mapping, seen: pd.Index
) -> Iterator[Problem]:
    """Rows that would be added although an element without a row has nearly the same key.

    `shared` as in elements.py, `seen` the keys of all rows.
    """
    added = match.desired[match.is_new]
    if not len(added) or not _has_text_key(mapping):
        return
    ids = _free_ids(match, shared, seen)
    if not len(ids):
        return
    held, new = (_bare(keys) for keys in (ids.index, added.index))
    found = pd.Series(ids.index, index=held, dtype="str")
    is_held = columnwise.is_in(new, held)
    for key, bare, row in zip(added.index[is_held], new[is_held], added["row"][is_held], strict=True):
        spot = _key_spot(mapping, str(key), int(row))
        for other in _several(found, str(bare))[:_SHOWN_IDS]:
            texts = [key_text(text) for text in (other, str(key))]
            is_alike = lookalikes.folded([texts[0]]) == lookalikes.folded([texts[1]])
            by = lookalikes.difference(texts[0], texts[1]) if is_alike else "zeros in front"
            what = f"the key {quoted(texts[1])} is new; that of element {ids[other]}, {quoted(texts[0])},"
            hint = "the same product? Give the row the element's key, or the element the row's"
            yield Problem(_address(sheet, spot), f"{what} differs only by {by}", hint, (spot,))


def _bare(keys: pd.Index) -> pd.Index:
    """Keys as they are compared where zeros in front do not count either."""
    folded = pd.Series(lookalikes.folded(keys.tolist()), dtype="str")
    bare: pd.Index = pd.Index(lookalikes.without_zeros(folded), dtype="str")
    return bare


def _several(found: pd.Series, key: str) -> list[str]:
    return [str(text) for text in np.atleast_1d(np.asarray(found.loc[key], dtype=object))]


def _free_ids(match: Match, shared: Mapping[str, tuple[int, ...]], seen: pd.Index) -> pd.Series:
    """The ids of the elements without a row, by key; of those that share a key the lowest one."""
    places = np.flatnonzero(match.is_alone)
    keys = [*match.existing.index[places].tolist(), *shared]
    ids = [*match.existing["id"].to_numpy(np.int64)[places].tolist(), *(some[0] for some in shared.values())]
    free = pd.Series(ids, index=pd.Index(keys, dtype="str"), dtype="int64")
    free = free[~columnwise.is_in(free.index, seen) & (free.index != "")]
    return free[~free.index.duplicated()]


# --- lost zeros ----------------------------------------------------------------------------------------------


def without_lost_zeros(
    sheet: Sheet, match: Match, shared: Mapping[str, tuple[int, ...]], mapping: model.Mapping, seen: pd.Index
) -> tuple[Match, list[Problem], pd.Index]:
    """The match less the rows whose key lost its zeros; a problem for each; the keys that they mean.

    A key lost its zeros where no element has it and one has the same with more zeros in front, unless the
    sheet has that one, too. An element that is meant so is not missing.
    """
    none = pd.Index([], dtype="str")
    fresh = np.flatnonzero(match.is_new)
    if not len(fresh) or not _has_text_key(mapping):
        return match, [], none
    ids = _free_ids(match, shared, seen)
    ids = ids[ids.index.str.contains(lookalikes.ZEROS_IN_FRONT, regex=True)]
    if not len(ids):
        return match, [], none
    wanted = match.desired
    holders = pd.Series(ids.index, index=pd.Index(lookalikes.without_zeros(pd.Series(ids.index, dtype="str"))))
    bare = pd.Index(lookalikes.without_zeros(pd.Series(wanted.index[fresh], dtype="str")), dtype="str")
    row_numbers = wanted["row"].to_numpy(np.int64)
    bad = np.zeros(len(wanted), dtype=bool)
    problems: list[Problem] = []
    meant: dict[str, None] = {}
    for found in np.flatnonzero(columnwise.is_in(bare, holders.index)).tolist():
        place = int(fresh[found])
        key, row = str(wanted.index[place]), int(row_numbers[place])
        longer = [other for other in _several(holders, str(bare[found])) if len(other) > len(key)]
        if not longer:
            continue
        bad[place] = True
        meant |= dict.fromkeys(longer)
        told = " and ".join(f"element {ids[other]} has {quoted(key_text(other))}" for other in longer[:_SHOWN_IDS])
        spot = _key_spot(mapping, key, row)
        what = f"no element has the key {quoted(key_text(key))}, but {told}: zeros in front were lost"
        hint = "format the column as text, or take it from the source again; the product would be added twice"
        problems.append(Problem(_address(sheet, spot), what, hint, (spot,)))
    return match.only(~bad), problems, pd.Index(list(meant), dtype="str")


def lost_zeros(sheet: Sheet, match: Match, mapping: model.Mapping) -> Iterator[Problem]:
    """Texts outside the key that the element has with more zeros in front."""
    keys = {column.key for entry in mapping.keys for column in entry}
    for column in mapping.columns:
        if not _is_text(column) or column.owner == "crm" or column.key in keys:
            continue
        at = np.flatnonzero(match.differs(column.key))
        ours, theirs = pd.Series(match.wanted(column.key, at)), pd.Series(match.held(column.key, at))
        lost = theirs.str.startswith("0") & (ours != "") & (ours.str.len() < theirs.str.len())
        lost &= lookalikes.without_zeros(ours) == lookalikes.without_zeros(theirs)
        row_numbers = match.desired["row"].to_numpy()[match.rows[at[lost.to_numpy(bool)]]]
        for our, their, row in zip(ours[lost], theirs[lost], row_numbers, strict=True):
            spot = Spot(int(row), column.position)
            what = f"{quoted(our)} is {quoted(their)} in the catalog: zeros in front were lost"
            yield Problem(_address(sheet, spot), what, "format the column as text, or take it from the source", (spot,))


# --- garbled text --------------------------------------------------------------------------------------------


def garbled_texts(sheet: Sheet, columns: Sequence[model.Column]) -> Iterator[Problem]:
    """Cells whose text was read in a wrong encoding once, or lost letters. They are taken as they are."""
    for column in columns:
        if not _is_text(column) or column.owner == "crm":
            continue
        cells = sheet.cells[column.position]
        places = columnwise.not_ascii(cells)
        places = places[cells.iloc[places].str.contains(lookalikes.SUSPECT, regex=True).to_numpy(bool)]
        if len(places):
            yield from _told(sheet, column, places, [str(text) for text in cells.iloc[places]])


def _told(sheet: Sheet, column: model.Column, places: NDArray[np.intp], texts: list[str]) -> Iterator[Problem]:
    known = {text: _garbled(text) for text in set(texts)}
    for place, text in zip(places.tolist(), texts, strict=True):
        what, hint = known[text]
        if what:
            spot = Spot(int(sheet.rows[place]), column.position)
            yield Problem(sheet.address(place, column.position), what, hint, (spot,))


def _garbled(text: str) -> tuple[str, str]:
    if lookalikes.LOST in text:
        return f"{quoted(text)} lost a letter before (�)", "take the text from the source again"
    if mended := lookalikes.mended(text):
        what = f"{quoted(text)} was read in a wrong encoding"
        return what, f"it may be {quoted(mended)}; save the sheet again as UTF-8, from the source"
    return "", ""
