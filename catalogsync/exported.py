"""What an import knows of a sheet that our own export made: elements by hidden ids, texts that no cell holds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import fields, lookalikes, model
from catalogsync.errors import Problem, Spot
from catalogsync.reader import Sheet

Bools = NDArray[np.bool_]


def other_catalog(sheet: Sheet, schema: model.Schema) -> tuple[str, ...]:
    """That an export is of another catalog, so that its ids say nothing here."""
    made = sheet.element_ids
    if made is None or (made.account_id, made.catalog_id) == (schema.account_id, schema.catalog_id):
        return ()
    where = f"catalog {made.catalog_id} of account {made.account_id}"
    return (f"the sheet was exported from {where}: its rows are told by their keys alone",)


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


def with_held_texts(
    desired: pd.DataFrame, existing: pd.DataFrame, mapping: model.Mapping
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The desired table with the catalog's own texts where the sheet has the mark of one that no cell holds; notes."""
    notes = []
    for column in mapping.columns:
        texts = desired[column.key]
        marked = np.flatnonzero(texts.str.startswith("[").to_numpy(bool))
        marked = marked[[fields.is_too_long_mark(text) for text in texts.iloc[marked]]]
        if not len(marked):
            continue
        held = existing[column.key].reindex(desired.index[marked], fill_value="")
        filled = texts.to_numpy(dtype=object, copy=True)
        filled[marked] = held.to_numpy(dtype=object)
        desired = desired.assign(**{column.key: pd.Series(filled, index=desired.index, dtype="str")})
        cells = "1 text was" if len(marked) == 1 else f"{len(marked)} texts were"
        notes.append(f"“{column.header}”: {cells} not in the exported file: left as in the catalog")
    return desired, tuple(notes)
