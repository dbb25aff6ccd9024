"""Base: the values that sheet and catalog last agreed on, of one account × catalog × mapping.

Two tables over the same elements: what the catalog held, and what the sheet said then. They differ where the
catalog stored something else than it was sent, and where a cell was empty and `blank: keep` left the field as
it was. A value that is not known is NA in both. Only elements that a row was matched to are in it.

On disk: one line with a checksum, then an Arrow IPC file; a ``sheet:`` column only where the two differ.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from catalogsync.columnwise import Places, arrow, is_in
from catalogsync.replacing import replacing

_MAGIC = b"catalogsync-base 1 "
_SHEET = "sheet:"

ABSENT = "there is no base yet"
DAMAGED = "the base is damaged and was not used"


@dataclass(frozen=True, slots=True)
class Written:
    """One element as a run left it: texts by column key, of the cells that are known now. `is_gone`: it was deleted."""

    id: int
    key: str
    sheet: Mapping[str, str]
    crm: Mapping[str, str]
    is_gone: bool = False


@dataclass(frozen=True, eq=False)
class Base:
    """`keys`, `crm` and `sheet` share an index of element ids; `crm` and `sheet` share their columns, by column key."""

    keys: pd.Series
    crm: pd.DataFrame
    sheet: pd.DataFrame

    @classmethod
    def empty(cls) -> Base:
        """A base that knows nothing."""
        return cls.of([], [], {}, {})

    @classmethod
    def of(cls, ids: Any, keys: Any, crm: Mapping[str, Any], sheet: Mapping[str, Any]) -> Base:
        """A base of columns; the texts in the order of `ids`, None where not known."""
        index = pd.Index(np.asarray(ids, dtype=np.int64), name="id")
        made = [pd.DataFrame({name: texts(values) for name, values in part.items()}, index) for part in (crm, sheet)]
        return cls(pd.Series(texts(keys), index), made[0], made[1])

    @property
    def ids(self) -> pd.Index:
        """The elements that a row was matched to."""
        return self.keys.index

    def equals(self, other: Base) -> bool:
        """Whether two bases say the same of the same elements in the same order."""
        return self.keys.equals(other.keys) and self.crm.equals(other.crm) and self.sheet.equals(other.sheet)

    def cells(self, key: str, ids: Any) -> tuple[Any, Any] | None:
        """What the sheet said and the catalog held in one column of some elements; None for an unknown column."""
        if key not in self.crm.columns:
            return None
        said, held = self.sheet[key].array, self.crm[key].array
        if self.ids.equals(pd.Index(ids)):  # the same rows in the same order as the last time
            return said, held
        places = self.ids.get_indexer(ids)
        return said.take(places, allow_fill=True), held.take(places, allow_fill=True)

    def patched(self, results: Iterable[Written]) -> Base:
        """The base after a run wrote `results`; the last word on an element counts."""
        written = {result.id: result for result in results}
        if not written:
            return self
        left = {id_: result for id_, result in written.items() if not result.is_gone}
        new_keys = [result.key for result in left.values()]
        stays = self.ids.isin(list(left)) | ~(self.ids.isin(list(written)) | is_in(self.keys, new_keys))
        known_ids = self.ids[stays]
        new_ids = pd.Index(list(left), dtype="int64").difference(known_ids)
        ids = known_ids.append(new_ids)
        places, olds = ids.get_indexer(pd.Index(list(left), dtype="int64")).tolist(), self.ids.get_indexer(ids)
        cells: dict[str, tuple[list[int], list[str], list[str]]] = {name: ([], [], []) for name in self.crm.columns}
        for place, result in zip(places, left.values(), strict=True):
            for name, held in result.crm.items():
                if name in result.sheet:
                    at, crm_texts, sheet_texts = cells.setdefault(name, ([], [], []))
                    at.append(place)
                    crm_texts.append(held)
                    sheet_texts.append(result.sheet[name])
        unknown = pd.Series(pd.array([None] * len(self.ids), dtype="str"))
        crm, sheet = {}, {}
        for name, (at, crm_texts, sheet_texts) in cells.items():
            crm[name] = _with_cells(self.crm.get(name, unknown), olds, at, crm_texts)
            sheet[name] = _with_cells(self.sheet.get(name, unknown), olds, at, sheet_texts)
        keys = _with_cells(self.keys, olds, places, [result.key for result in left.values()])
        return Base.of(ids, keys, crm, sheet)


def _with_cells(column: pd.Series, olds: Places, places: list[int], found: list[str]) -> Any:
    """The texts of a column at `olds` (-1: not known), with those that were found in their places."""
    parts = [arrow(column), arrow(found), pa.nulls(1, pa.large_string())]
    sources = np.where(olds < 0, len(column) + len(found), olds)
    sources[places] = len(column) + np.arange(len(found))
    return pd.array(pa.concat_arrays(parts).take(pa.array(sources)), dtype="str")


def texts(values: Any) -> Any:
    """Values as a text column, NA where there is none."""
    return values if isinstance(getattr(values, "dtype", None), pd.StringDtype) else pd.array(values, dtype="str")


# --- on disk -------------------------------------------------------------------------------------------------


def path_of(folder: Path, account_id: int, catalog_id: int, mapping: str) -> Path:
    """The file of a base: readable, and another one for every mapping name."""
    readable = re.sub("[^a-z0-9]+", "-", mapping.lower())[:40].strip("-")
    digest = hashlib.sha256(mapping.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return folder / f"{account_id}-{catalog_id}-{readable}-{digest}.arrow"


def save(base: Base, path: Path) -> None:
    """Write a base by replacing its file: after the end of the process at any instant, there is the old or the new."""
    columns: dict[str, Any] = {"id": pa.array(base.ids.to_numpy(), pa.int64()), "key": arrow(base.keys)}
    for name in base.crm.columns:
        held, said = base.crm[name], base.sheet[name]
        columns[f"crm:{name}"] = arrow(held)
        differs = np.asarray(said.array != held.array, dtype=bool) & held.notna().to_numpy(bool)
        if differs.any():
            columns[_SHEET + name] = arrow(said.where(differs))
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    content = sink.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(_MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n")
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def load(path: Path) -> tuple[Base | None, str]:
    """A stored base, or None and why there is none (`ABSENT`, `DAMAGED`). Never raises."""
    try:
        content = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None, ABSENT
    except OSError:
        return None, DAMAGED
    start = len(_MAGIC) + 65
    body = content[start:]
    if bytes(content[:start]) != _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n":
        return None, DAMAGED
    try:
        return _read(pa.ipc.open_file(pa.py_buffer(body)).read_all()), ""
    except (pa.ArrowException, KeyError, ValueError, TypeError):
        return None, DAMAGED


def _read(table: Any) -> Base:
    columns = {name: pd.array(table.column(name), dtype="str") for name in table.column_names if name != "id"}
    crm = {name.removeprefix("crm:"): array for name, array in columns.items() if name.startswith("crm:")}
    sheet = dict(crm)
    for name in crm:
        if _SHEET + name in columns:
            other = pd.Series(columns[_SHEET + name])
            sheet[name] = other.where(other.notna(), pd.Series(crm[name])).array
    return Base.of(table.column("id").to_numpy(), columns["key"], crm, sheet)
