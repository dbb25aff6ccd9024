"""Existing: the elements of a catalog as a table, one row per product, indexed by key.

A column of canonical text (fields.py) per wanted column key, never NaN; besides ``id``, ``updated_at`` (Unix seconds),
``updated_by``, ``linked`` (hangs on a deal), the name, and the unmapped subtypes of mapped composite fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from catalogsync import exported, fields, model
from catalogsync.columnwise import is_in, kept, repeats
from catalogsync.keys import alternative_keys, row_keys


@dataclass(frozen=True)
class Existing:
    """What the catalog says. `table` holds the elements that exactly one key identifies.

    `shared` maps a key to element ids where the two do not belong to each other alone: several elements
    hold the key, or two rows mean one element. None of these may be touched. `element_count` counts all
    elements, those without a key too, and `ids` names them; `max_id` is the highest id and `max_updated_at` the
    latest ``updated_at`` among them, 0 where there are none.
    """

    table: pd.DataFrame
    shared: dict[str, tuple[int, ...]]
    ids: pd.Index
    element_count: int
    max_id: int
    max_updated_at: int


# --- the columns that are read -------------------------------------------------------------------------------


def wanted_columns(columns: tuple[model.Column, ...]) -> tuple[model.Column, ...]:
    """The columns to read from the catalog: the name, the mapped ones, all subtypes of mapped composite fields."""
    wanted = {model.NAME: model.Column(header="", field=None), **{column.key: column for column in columns}}
    for column in columns:
        for subtype in (*fields.SUBTYPES[column.type], fields.OTHER_PARTS) if column.type in fields.SUBTYPES else ():
            sibling = model.Column(header="", field=column.field, subtype=subtype)
            wanted.setdefault(sibling.key, sibling)
    return tuple(wanted.values())


def columns_of(keys: Iterable[str], schema: model.Schema) -> tuple[model.Column, ...]:
    """Bare columns for column keys, with all subtypes of composite fields. A key the schema lacks is left out."""
    known = {str(field.id): field for field in schema.fields}
    columns = []
    for key in keys:
        id_, _, subtype = key.partition(".")
        if key == model.NAME or id_ in known:
            columns.append(model.Column(header="", field=known.get(id_), subtype=subtype))
    return wanted_columns(tuple(columns))


def all_columns(schema: model.Schema) -> tuple[model.Column, ...]:
    """Bare columns for the name and everything that an element of the catalog can hold."""
    return wanted_columns(
        tuple(
            model.Column(header="", field=field, subtype=subtype, timezone=schema.timezone)
            for field in schema.fields
            for subtype in fields.SUBTYPES.get(field.type, ("",))
        )
    )


def existing_table(
    elements: pd.DataFrame, mapping: model.Mapping, seen: pd.Index, row_ids: pd.Series | None = None
) -> Existing:
    """The existing table of a catalog's elements.

    `elements` has ``id``, ``updated_at``, ``updated_by``, ``linked`` and a column of canonical text per wanted
    column key, one row per element. `seen` are the sheet's keys: an element with several alternative keys is
    known by the first that the sheet uses. `row_ids` maps keys of rows to the ids that these rows carry
    (`Desired.element_ids`): an element whose row was given another key comes under that one.
    """
    keys, claims = _element_keys(elements, mapping, seen)
    ids = elements["id"]
    if row_ids is not None and len(row_ids):
        keys = exported.keys_by_id(keys, ids, row_ids, seen)
    shared: dict[str, tuple[int, ...]] = {}
    is_filled = (keys != "").to_numpy(bool)
    repeated = repeats(keys)[0] & is_filled
    for key, group in ids[repeated].groupby(keys[repeated]):
        shared[str(key)] = tuple(sorted(int(id_) for id_ in group))
    for key, id_ in claims:
        shared[key] = tuple(sorted({*shared.get(key, ()), id_}))
    table = elements.set_axis(pd.Index(keys, dtype="str"), axis=0)
    return Existing(
        table=kept(table, is_filled & ~is_in(keys, list(shared))),
        shared=shared,
        ids=pd.Index(ids, dtype="int64"),
        element_count=len(elements),
        max_id=int(ids.max()) if len(ids) else 0,
        max_updated_at=int(elements["updated_at"].max()) if len(ids) else 0,
    )


def _element_keys(
    elements: pd.DataFrame, mapping: model.Mapping, seen: pd.Index
) -> tuple[pd.Series, list[tuple[str, int]]]:
    """Each element's key, and the (key, element id) pairs of elements that several rows mean."""
    own = row_keys(elements, mapping.keys)
    if len(mapping.keys) == 1:
        return own, []
    chosen = pd.Series("", index=elements.index, dtype="str")
    claims: list[tuple[str, int]] = []
    for texts in alternative_keys(elements, mapping.keys):
        used = texts.where(texts.isin(seen) & (texts != ""), "")
        twice = (chosen != "") & (used != "")
        places = np.flatnonzero(twice.to_numpy(bool))
        for first, second, id_ in zip(
            *(column.iloc[places].tolist() for column in (chosen, used, elements["id"])), strict=True
        ):
            claims += [(first, int(id_)), (second, int(id_))]
        chosen = chosen.where(chosen != "", used)
    return chosen.where(chosen != "", own), claims
