"""A list with a field of most kinds, a mapping of it with two alternative keys, and what happens to it in tests."""

from __future__ import annotations

import dataclasses
from typing import Any

from catalogsync import sync
from catalogsync.writer import Report, WriteOptions
from tests.e2e.worlds import ONE_BY_ONE, Values, World

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Price", "type": "numeric"},
    {"id": 103, "name": "Colour", "type": "select", "enums": {"Red": 31, "Green": 32, "Blue": 33}},
    {"id": 104, "name": "Sizes", "type": "multiselect", "enums": {"S": 41, "M": 42, "L": 43}},
    {"id": 105, "name": "Active", "type": "checkbox"},
    {"id": 106, "name": "Loaded", "type": "date_time"},
    {"id": 107, "name": "Depot", "type": "smart_address"},
    {"id": 108, "name": "EAN", "type": "text"},
    {"id": 109, "name": "Photo", "type": "file"},
    {"id": 110, "name": "Notes", "type": "text"},
]
MAPPING = """
catalog: 4220
key: [code, ean]
missing: delete
columns:
  code: Code
  ean: EAN
  name: name
  price: {field: Price, blank: clear}
  colour: {field: Colour, blank: clear}
  sizes: {field: Sizes, blank: clear}
  active: Active
  loaded: Loaded
  city: {field: Depot, subtype: city, blank: clear}
"""
BLIND = dataclasses.replace(ONE_BY_ONE, recheck=False)


def row(code: str, **cells: str) -> dict[str, str]:
    empty = dict.fromkeys(["ean", "price", "colour", "sizes", "active", "loaded", "city"], "")
    return {"code": code, "name": f"Product {code}", **empty, **cells}


def imports(account: World, *rows: dict[str, str], options: WriteOptions = ONE_BY_ONE, batch_size: int = 250) -> Report:
    """Import a sheet; some time passes."""
    planned = account.plan(rows, MAPPING, sync.PlanOptions(batch_size=batch_size))
    report = account.apply(planned, options)
    account.later()
    return report


def id_of(account: World, code: str) -> int:
    [id_] = [id_ for id_, held in account.state().items() if held.get("101") == code]
    return id_


def edit(account: World, code: str, name: str | None = None, **values: Any) -> int:
    """Another user edits an element; some time passes."""
    id_ = id_of(account, code)
    changed: dict[int | str, object] = dict(values.items())
    account.emulator.store.edit_as_other_user(id_, name=name, values=changed)
    account.later()
    return id_


def by_code(account: World) -> dict[str, Values]:
    return {held.get("101", ""): held for held in account.state().values()}


def drop_options(account: World, *ids: int) -> None:
    """Another user removes options, and with them the values that hold them."""
    store = account.emulator.store
    with store.transaction():
        for id_ in ids:
            store._db.execute("DELETE FROM options WHERE id = ?", (id_,))
        store._fields.clear()
