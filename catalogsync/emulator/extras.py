"""What only version 4 stores: extra properties of lists and fields, options one by one, groups of fields.

Beside the tables of `database`, so that an account kept in a file of an earlier version stays readable.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from catalogsync.emulator.database import Database
from catalogsync.emulator.model import Field

_TABLES = """
CREATE TABLE IF NOT EXISTS extras (
    kind TEXT NOT NULL, id INTEGER NOT NULL, content TEXT NOT NULL, PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS field_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT, catalog_id INTEGER NOT NULL REFERENCES catalogs (id) ON DELETE CASCADE,
    name TEXT NOT NULL, sort INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a field; `id` is None where it is to get one."""

    id: int | None
    label: str
    sort: int


@dataclass(frozen=True, slots=True)
class Group:
    """A group of fields of a list."""

    id: int
    catalog_id: int
    name: str
    sort: int


class Extras(Database):
    """The tables of version 4 in the same file."""

    def __init__(self, path: Path, now: Callable[[], int], *, durable: bool = True) -> None:
        super().__init__(path, now, durable=durable)
        with self.transaction():
            for statement in _TABLES.split(";\n"):
                self._db.execute(statement)

    def extras_of(self, kind: Literal["catalog", "field"], id: int) -> dict[str, Any]:
        """The extra properties of one list or field; empty where it has none."""
        rows = self._rows("SELECT content FROM extras WHERE kind = ? AND id = ?", (kind, id))
        found: dict[str, Any] = json.loads(rows[0]["content"]) if rows else {}
        return found

    def save_extra(self, kind: Literal["catalog", "field"], id: int, content: Mapping[str, Any]) -> None:
        """Stores the extra properties of one list or field."""
        text = json.dumps(dict(content), ensure_ascii=False)
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO extras VALUES (?, ?, ?)", (kind, id, text))

    def option_codes(self, catalog_id: int) -> dict[int, str]:
        """Option id -> its code, of all fields of a list whose options have one."""
        rows = self._rows(
            "SELECT e.content FROM extras e JOIN fields f ON f.id = e.id WHERE e.kind = 'field' AND f.catalog_id = ?",
            (catalog_id,),
        )
        return {
            int(number): code for row in rows for number, code in json.loads(row["content"]).get("codes", {}).items()
        }

    def options(self, field_id: int) -> list[Option]:
        """The options of a field in display order."""
        rows = self._rows("SELECT id, label, sort FROM options WHERE field_id = ? ORDER BY sort, id", (field_id,))
        return [Option(row["id"], row["label"], row["sort"]) for row in rows]

    def save_options(self, field_id: int, options: Iterable[Option]) -> list[int]:
        """Makes these the options of a field; answers their ids. Values are the caller's concern."""
        ids: list[int] = []
        with self.transaction():
            self._forget()
            self._db.execute("DELETE FROM options WHERE field_id = ?", (field_id,))
            for option in options:
                columns = {"id": option.id, "field_id": field_id, "label": option.label, "sort": option.sort}
                ids.append(self._insert("options", columns))
        return ids

    def save_field(self, field: Field) -> None:
        """Stores a field under its id, which must exist; its options stay."""
        with self.transaction():
            self._forget()
            self._db.execute(
                "UPDATE fields SET name = ?, code = ?, sort = ?, is_required = ?, is_visible = ?, is_deletable = ?"
                " WHERE id = ?",
                (
                    field.name,
                    field.code,
                    field.sort,
                    field.is_required,
                    field.is_visible,
                    field.is_deletable,
                    field.id,
                ),
            )

    def groups(self, catalog_id: int) -> list[Group]:
        """The groups of a list's fields in display order."""
        rows = self._rows("SELECT * FROM field_groups WHERE catalog_id = ? ORDER BY sort, id", (catalog_id,))
        return [Group(**dict(row)) for row in rows]

    def add_group(self, catalog_id: int, name: str, sort: int) -> Group:
        """A new group."""
        return Group(
            self._insert("field_groups", {"catalog_id": catalog_id, "name": name, "sort": sort}), catalog_id, name, sort
        )

    def save_group(self, group: Group) -> None:
        """Stores a group under its id, which must exist."""
        with self.transaction():
            self._db.execute(
                "UPDATE field_groups SET name = ?, sort = ? WHERE id = ?", (group.name, group.sort, group.id)
            )

    def delete_group(self, group_id: int) -> None:
        """Deletes a group; its fields stay."""
        with self.transaction():
            self._db.execute("DELETE FROM field_groups WHERE id = ?", (group_id,))
