"""Small builders: what a test does not name has a plain value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from catalogsync import model
from catalogsync.mapping import resolve
from catalogsync.mappingfile import load_mapping
from catalogsync.model import Column, Field, Schema
from catalogsync.plan import Plan, Shown
from catalogsync.reader import CellProblem, Sheet
from catalogsync.workbook import About

ZONE = "Europe/Riga"

FIELDS = (
    Field(1, "Vendor code", "text", "SKU"),
    Field(2, "Price", "price", "PRICE"),
    Field(3, "Amount", "numeric"),
    Field(4, "Active", "checkbox"),
    Field(5, "Colour", "select", enums={51: "Red", 52: "Dark blue", 53: "Salt &amp; pepper"}),
    Field(6, "Sizes", "multiselect", enums={61: "S", 62: "M", 63: "L"}),
    Field(7, "Expires", "date"),
    Field(8, "Loaded", "date_time"),
    Field(9, "Depot", "smart_address"),
    Field(10, "Maker", "legal_entity"),
    Field(11, "Parts", "items"),
    Field(12, "Notes", "textarea"),
    Field(13, "EAN", "text"),
    Field(14, "Scan", "file"),
)
"""One field of every shape."""


def field(type_: str, *, enums: Mapping[int, str] | None = None, id_: int = 77) -> Field:
    """A custom field of a type."""
    return Field(id_, type_.capitalize(), type_, enums=enums or {})


def column(type_: str = "text", *, enums: Mapping[int, str] | None = None, **settings: Any) -> Column:
    """A column filled from a field of a type; a date_time gets a zone."""
    zone = {"timezone": ZONE} if type_ == "date_time" else {}
    return Column("Header", field(type_, enums=enums), **{**zone, **settings})


def schema(*, fields: Sequence[Field] = FIELDS, timezone: str = ZONE) -> Schema:
    """A catalog with the given fields."""
    return Schema(30001, timezone, 4220, "Products", tuple(fields))


def mapping_file(folder: Path, text: str) -> Path:
    """A mapping file on disk."""
    path = folder / "products.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mapping(
    folder: Path, columns: str, *, headers: Sequence[str] | None = None, more: str = "", key: str = "Code"
) -> model.Mapping:
    """A resolved mapping: `columns` are the lines under ``columns:``, `more` the lines after them."""
    lines = "\n".join(f"  {line}" for line in columns.strip("\n").splitlines())
    path = mapping_file(folder, f"catalog: 4220\nkey: {key}\ncolumns:\n{lines}\n{more}")
    return resolve(load_mapping(path), schema(), headers)


def columns_mapping(*columns: Column, key: Column | None = None, **settings: Any) -> model.Mapping:
    """A mapping made of columns; the key is the first one."""
    return model.Mapping("products", 4220, columns, ((key or columns[0],),), **settings)


def sheet(
    headers: Sequence[str],
    *rows: Sequence[str],
    problems: Sequence[CellProblem] = (),
    tab: str | None = None,
    first_row: int = 2,
) -> Sheet:
    """A sheet as the reader gives it; the first row stands in line 2."""
    cells = pd.DataFrame([list(row) for row in rows], columns=range(len(headers)), dtype="str")
    name = "prices.csv" if tab is None else "prices.xlsx"
    numbers = np.arange(first_row, first_row + len(rows), dtype=np.int64)
    return Sheet(Path(name), tab, tuple(headers), cells, numbers, tuple(problems))


def table(columns: Sequence[str], rows: Mapping[str, Sequence[str]], **numbers: Sequence[int]) -> pd.DataFrame:
    """A table of canonical text indexed by key, with number columns such as ``row=[2, 3]``."""
    index = pd.Index(list(rows), dtype="str")
    texts = {name: [cells[place] for cells in rows.values()] for place, name in enumerate(columns)}
    made = pd.DataFrame(texts, index=index, dtype="str")
    for name, values in numbers.items():
        made[name] = np.array(values, dtype=np.int64)
    return made


def desired(columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """A desired table whose rows stand in line 2 and after."""
    return table(columns, rows, row=range(2, 2 + len(rows)))


def existing(columns: Sequence[str], rows: Mapping[str, Sequence[str]], *, first_id: int = 101) -> pd.DataFrame:
    """An existing table: ids from 101, each updated at its id plus 1000."""
    ids = range(first_id, first_id + len(rows))
    return table(columns, rows, id=ids, updated_at=[1000 + id_ for id_ in ids])


def elements(columns: Sequence[str], *rows: Sequence[str], first_id: int = 101) -> pd.DataFrame:
    """Elements as the client gives them: one row each, without keys."""
    made = existing(columns, {str(place): row for place, row in enumerate(rows)}, first_id=first_id)
    return made.reset_index(drop=True)


def keys(*texts: str) -> pd.Index:
    """Keys as an index."""
    return pd.Index(list(texts), dtype="str")


ABOUT = About(30001, 4220, "Products", 1_760_000_000, ZONE)
"""What an export of the catalog says of itself."""


def made_plan(*changes: model.Change, **settings: Any) -> Plan:
    """A plan of changes."""
    values: dict[str, Any] = {
        "account_id": 30001,
        "catalog_id": 4220,
        "catalog_name": "Products",
        "mapping": "products",
        "source": "prices.csv:",
        "made_at": 1_760_000_000,
        "changes": changes,
        "columns": {"name": Shown("Product"), "2": Shown("Price", "price")},
        "key_columns": (("1",), ("13", "2")),
        "existing_count": 10,
        "max_id": 110,
        "max_updated_at": 0,
        "unchanged_count": 3,
        "batch_size": 250,
        "write_requests": 1,
    }
    return Plan(**{**values, **settings})
