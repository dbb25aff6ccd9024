"""What an import knows of a sheet that our own export made: elements by hidden ids, and the values that it had. Pure.

An export is a sheet of its own, with a base of its own: the values that it carries, and what it sent since. A cell that
still says what was exported is not edited, whatever a mapping's words or a later schema would make of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import exportcells, lookalikes, model
from catalogsync.base import Base
from catalogsync.base import texts as text_array
from catalogsync.carried import Carried, DamagedValues, values_in
from catalogsync.celltext import is_too_long_mark
from catalogsync.errors import Problem, Spot
from catalogsync.keys import row_keys
from catalogsync.matching import Match
from catalogsync.reader import Sheet

Bools = NDArray[np.bool_]

WITHOUT_VALUES = "without values"
"""The name of every export that carries none any more: nothing is known of what it sent before."""


# --- the values that it carries ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Export:
    """What a sheet is as an export of this catalog.

    `name` is "" where it is none, `carried` None where it has lost its values, `notes` what a person should know of it.
    `is_part`: elements were left out, so that those without a row are not missing.
    """

    name: str = ""
    is_part: bool = False
    carried: Carried | None = None
    notes: tuple[str, ...] = ()

    def mapping(self, mapping: model.Mapping) -> model.Mapping:
        """The mapping for an export, which shows the catalog: its cells hold all options, and it owns no column.

        That a column's owner is the sheet, or that its options are only to be added or taken away, is said of the
        supplier's sheet.
        """
        if not self.name:
            return mapping

        def seen(column: model.Column) -> model.Column:
            return dataclasses.replace(column, owner="crm" if column.owner == "crm" else "both", multi="replace")

        keys = tuple(tuple(map(seen, alternative)) for alternative in mapping.keys)
        return dataclasses.replace(mapping, columns=tuple(map(seen, mapping.columns)), keys=keys)

    def base(
        self, stored: Base | None, lack: str, desired: pd.DataFrame, mapping: model.Mapping
    ) -> tuple[Base | None, str]:
        """The base, and why there is none: for an export it is not missed. `stored` is what this machine knows."""
        if not self.name:
            return stored, lack
        return (_base_of(self.carried, stored, desired, mapping) if self.carried else None), ""


def export_of(sheet: Sheet, schema: model.Schema) -> Export:
    """What a sheet is as an export of this catalog: told by its column of ids, or by the values that it carries."""
    ids, carried, state = sheet.element_ids, None, "is gone"
    if sheet.carried:
        try:
            carried = values_in(sheet.carried)
        except DamagedValues:
            state = "was changed"
    made = ids or carried
    if made is None:
        return Export()
    if ids is not None and not ids.is_export:
        return Export(is_part=ids.is_part)
    here = (schema.account_id, schema.catalog_id)
    if (made.account_id, made.catalog_id) != here:
        where = f"catalog {made.catalog_id} of account {made.account_id}"
        note = f"the sheet was exported from {where}: its rows are told by their keys alone"
        return Export(is_part=made.is_part, notes=(note,))
    if carried and (carried.account_id, carried.catalog_id) != here:
        carried, state = None, "is of another export"
    if carried:
        return Export(carried.export, made.is_part, carried)
    lost = "what was edited in the catalog since is not told from what was edited here, cells are compared as they are"
    note = f"the hidden tab of {sheet.path.name} with the values of the export {state}: {lost}"
    return Export(WITHOUT_VALUES, made.is_part, None, (note,))


@dataclass(frozen=True, eq=False)
class ExportedColumn:
    """A column of an export's rows: `values` are the canonical texts that were exported, NA where that is not known.

    `is_same` says which cells still say what was exported.
    """

    values: pd.Series
    is_same: Bools


def exported_column(sheet: Sheet, column: model.Column, carried: Carried | None) -> ExportedColumn | None:
    """What the rows of a column said when they were exported; None where that is not known."""
    if carried is None or sheet.element_ids is None or column.key not in carried.values:
        return None
    places = carried.values.index.get_indexer(pd.Index(sheet.element_ids.ids))
    values = pd.Series(carried.values[column.key].array.take(places, allow_fill=True), dtype="str")
    then = column
    if column.field is not None and column.key in carried.captions:
        then = dataclasses.replace(
            column, field=dataclasses.replace(column.field, enums=dict(carried.captions[column.key]))
        )
    codes, texts = pd.factorize(values)
    told = pd.array([exportcells.cell_text(text, then) for text in texts], dtype="str").take(codes, allow_fill=True)
    is_same = (places >= 0) & np.asarray(sheet.cells[column.position].array == told, dtype=bool)
    return ExportedColumn(values, is_same)


def _base_of(carried: Carried, sent: Base | None, desired: pd.DataFrame, mapping: model.Mapping) -> Base:
    """The base of an export: its values, and what its earlier imports on this machine agreed on (`sent`).

    The latter count in a cell only where the cell still says what was agreed on then. Otherwise it was not this copy
    of the workbook that was imported, or somebody typed the old value again: neither is to take back silently what
    was sent since.
    """
    values = carried.values
    later = Base.empty() if sent is None else sent
    ids = values.index.append(later.ids.difference(values.index))
    own, agreed = values.index.get_indexer(ids), later.ids.get_indexer(ids)
    rows = desired.index.get_indexer(pd.Index(later.keys.array.take(agreed, allow_fill=True)))
    parts: dict[str, dict[str, Any]] = {"crm": {}, "sheet": {}}
    for column in mapping.columns:
        if column.key not in values:
            continue
        said = knew = values[column.key].array.take(own, allow_fill=True)
        known = later.cells(column.key, ids)
        if known is not None:
            says = desired[column.key].array.take(rows, allow_fill=True)
            counts = (own < 0) | np.asarray(known[0] == says, dtype=bool)
            said, knew = (np.where(counts, now, then) for now, then in zip(known, (said, knew), strict=True))
        parts["sheet"][column.key], parts["crm"][column.key] = said, knew
    texts = pd.DataFrame({name: text_array(cells) for name, cells in parts["crm"].items()}, ids).fillna("")
    named = {column.key for alternative in mapping.keys for column in alternative}
    keys = row_keys(texts, mapping.keys) if named <= set(texts) else pd.Series("", ids, dtype="str")
    return Base.of(ids, keys.array, parts["crm"], parts["sheet"])


# --- elements by hidden ids ----------------------------------------------------------------------------------


def element_ids(sheet: Sheet, keys: pd.Series, is_first: Bools) -> pd.Series:
    """By key the element that a row was exported from, where the sheet says so."""
    ids = np.zeros(len(keys), dtype=np.int64) if sheet.element_ids is None else sheet.element_ids.ids
    has_id = is_first & (ids > 0)
    return pd.Series(ids[has_id], index=pd.Index(keys[has_id], dtype="str"), dtype="int64")


def keys_by_id(keys: pd.Series, ids: pd.Series, row_ids: pd.Series, seen: pd.Index) -> pd.Series:
    """The elements' keys; of an element whose row was given a new key, that one.

    An id counts less than a key: cells may have moved beside the hidden ids. So a row is followed only where no
    element has its key, and the element's own key is in no other row, but for one that stayed with another element.
    A key that only lost its zeros is no new one.
    """
    places = pd.Index(row_ids).get_indexer(pd.Index(ids))
    has_row = np.flatnonzero(places >= 0)
    own = keys.iloc[has_row].reset_index(drop=True)
    theirs = pd.Series(row_ids.index[places[has_row]], dtype="str")
    is_free = (own == "") | ~own.isin(seen) | own.isin(own[own == theirs])
    lost_zeros = (lookalikes.without_zeros(theirs) == lookalikes.without_zeros(own)) & (
        own.str.len() > theirs.str.len()
    )
    follows = ((own != theirs) & is_free & ~theirs.isin(keys) & ~lost_zeros).to_numpy(bool)
    made = keys.to_numpy(dtype=object, copy=True)
    made[has_row[follows]] = theirs[follows].to_numpy(dtype=object)
    return pd.Series(made, index=keys.index, dtype="str")


def added_beside(
    added: pd.DataFrame, row_ids: pd.Series, ids: pd.Index, address: Callable[[int], str]
) -> Iterator[Problem]:
    """Rows that would be added although each alone has the id of an element: its key stands in another row now."""
    places = row_ids.index.get_indexer(added.index)
    for row, place in zip(added["row"].tolist(), places.tolist(), strict=True):
        if place >= 0 and row_ids.iloc[place] in ids:
            what = f"was exported from element {row_ids.iloc[place]}, whose key another row has now"
            hint = "it is added as another product; if both were given new keys, import one after the other"
            yield Problem(address(int(row)), what, hint, (Spot(int(row)),))


def with_held_texts(match: Match, mapping: model.Mapping) -> tuple[Match, tuple[str, ...]]:
    """The match with the catalog's own texts where the sheet has the mark of one that no cell holds; notes."""
    notes, desired = [], match.desired
    for column in mapping.columns:
        texts = desired[column.key]
        marked = np.flatnonzero(texts.str.startswith("[").to_numpy(bool))
        marked = marked[[is_too_long_mark(text) for text in texts.iloc[marked]]]
        if not len(marked):
            continue
        places = match.places[marked]
        filled = texts.to_numpy(dtype=object, copy=True)
        filled[marked] = ""
        filled[marked[places >= 0]] = match.existing[column.key].array[places[places >= 0]]
        desired = desired.assign(**{column.key: pd.Series(filled, index=desired.index, dtype="str")})
        cells = "1 text was" if len(marked) == 1 else f"{len(marked)} texts were"
        notes.append(f"“{column.header}”: {cells} not in the exported file: left as in the catalog")
    return match if desired is match.desired else match.saying(desired), tuple(notes)
