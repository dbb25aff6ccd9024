"""Behaviour on SQLite, no HTTP: account, tokens, lists, fields, options, elements.

One connection, one lock: a request is one transaction, and a test may look or edit from its own thread
meanwhile. Values are kept in their neutral form (see `values`), as JSON beside the element, so that
every dialect reads what any other wrote. Deleted means gone: no source shows a deleted element again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from catalogsync.emulator import changes
from catalogsync.emulator.database import StoreError
from catalogsync.emulator.extras import Extras
from catalogsync.emulator.model import Account, Catalog, Element, Field, Value
from catalogsync.emulator.normalising import Normalising, normalised
from catalogsync.emulator.values import BadValue, from_person, whole_number

OTHER_USER_ID = 504_142

_FLAGS = ("can_add_elements", "can_show_in_cards", "can_link_multiple")
_FIELD_FLAGS = ("is_system", "is_required", "is_deletable", "is_visible", "is_editable")


class Store(Extras):
    """The account's data in `path`. `now` gives whole Unix seconds."""

    def __init__(self, path: Path, now: Callable[[], int], *, durable: bool = True) -> None:
        super().__init__(path, now, durable=durable)
        self._fields: dict[int, dict[int, Field]] = {}
        self._account: Account | None = None
        self.normalising: tuple[Normalising, ...] = ()
        """What is done to every name and value before it is stored."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(account={self._account.id if self._account else None})"

    def _forget(self) -> None:
        self._fields.clear()
        self._account = None

    # account and tokens

    @property
    def has_account(self) -> bool:
        """Whether the database was seeded."""
        return bool(self._rows("SELECT 1 FROM account"))

    @property
    def account(self) -> Account:
        """The account. There is exactly one."""
        if self._account is None:
            rows = self._rows("SELECT * FROM account")
            if not rows:
                raise StoreError("the database holds no account")
            self._account = Account(**rows[0])
        return self._account

    def set_account(self, account: Account) -> None:
        """Makes this the account of the database."""
        with self.transaction():
            self._db.execute("DELETE FROM account")
            self._insert("account", _columns(account))
        self._account = account

    @property
    def zone(self) -> ZoneInfo:
        """The account's time zone."""
        return ZoneInfo(self.account.timezone)

    def tokens(self) -> dict[str, int]:
        """Token -> the user it acts for, oldest first."""
        return {row["token"]: row["user_id"] for row in self._rows("SELECT * FROM tokens ORDER BY rowid")}

    def add_token(self, token: str) -> None:
        """Lets a token in, with the rights of the account's user."""
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO tokens VALUES (?, ?)", (token, self.account.user_id))

    # lists

    def catalogs(self) -> list[Catalog]:
        """All lists, in their display order."""
        return [_catalog(row) for row in self._rows("SELECT * FROM catalogs ORDER BY sort, id DESC")]

    def catalog(self, catalog_id: int) -> Catalog | None:
        """The list with this id."""
        rows = self._rows("SELECT * FROM catalogs WHERE id = ?", (catalog_id,))
        return _catalog(rows[0]) if rows else None

    def add_catalog(self, name: str, type_: str = "regular", *, id: int | None = None, **flags: bool) -> Catalog:
        """A new list at the end of the display order. `flags` are the three ``can_…`` of the API."""
        unknown = set(flags) - set(_FLAGS)
        assert not unknown, unknown
        [(last,)] = self._rows("SELECT coalesce(max(sort), 0) FROM catalogs")
        columns: dict[str, object] = {
            "id": id,
            "name": name,
            "type": type_,
            "sort": last + 10,
            "created_by": self.account.user_id,
            "created_at": self._now(),
            **{flag: flags.get(flag, True) for flag in _FLAGS},
        }
        added = self.catalog(self._insert("catalogs", columns))
        assert added is not None
        return added

    def save_catalog(self, catalog: Catalog) -> None:
        """Stores a list under its id, which must exist."""
        columns = _columns(catalog)
        with self.transaction():
            self._db.execute(
                f"UPDATE catalogs SET {', '.join(f'{name} = :{name}' for name in columns)} WHERE id = :id", columns
            )

    def delete_catalog(self, catalog_id: int) -> bool:
        """Deletes a list with its fields and elements. False if there is none."""
        with self.transaction():
            self._fields.pop(catalog_id, None)
            return self._db.execute("DELETE FROM catalogs WHERE id = ?", (catalog_id,)).rowcount == 1

    # fields

    def fields(self, catalog_id: int) -> Mapping[int, Field]:
        """Field id -> field of a list, in display order."""
        with self._lock:
            if catalog_id not in self._fields:
                self._fields[catalog_id] = self._read_fields(catalog_id)
            return self._fields[catalog_id]

    def _read_fields(self, catalog_id: int) -> dict[int, Field]:
        options: dict[int, dict[int, str]] = {}
        for row in self._rows(
            "SELECT o.* FROM options o JOIN fields f ON f.id = o.field_id WHERE f.catalog_id = ? ORDER BY o.sort, o.id",
            (catalog_id,),
        ):
            options.setdefault(row["field_id"], {})[row["id"]] = row["label"]
        rows = self._rows("SELECT * FROM fields WHERE catalog_id = ? ORDER BY sort, id", (catalog_id,))
        return {row["id"]: _field(row, options.get(row["id"], {})) for row in rows}

    def add_field(
        self,
        catalog_id: int,
        name: str,
        type_: str,
        *,
        id: int | None = None,
        code: str | None = None,
        origin: str | None = None,
        options: Iterable[tuple[int | None, str]] = (),
        **flags: bool,
    ) -> Field:
        """A new field at the end of the list's fields; `options` are (id or None, caption) in order."""
        given = {"is_system": False, "is_required": False, "is_deletable": True, "is_visible": True}
        given |= {"is_editable": True, **flags}
        assert set(given) == set(_FIELD_FLAGS), flags
        fields = self.fields(catalog_id)
        columns: dict[str, object] = {
            "id": id,
            "catalog_id": catalog_id,
            "name": name,
            "code": code,
            "type": type_,
            "sort": max((field.sort for field in fields.values()), default=0) + 10,
            "origin": origin,
            **given,
        }
        with self.transaction():
            self._fields.pop(catalog_id, None)
            field_id = self._insert("fields", columns)
            for place, (option_id, label) in enumerate(options, start=1):
                self._insert("options", {"id": option_id, "field_id": field_id, "label": label, "sort": place * 10})
        return self.fields(catalog_id)[field_id]

    def field(self, field_id: int) -> Field | None:
        """The field with this id, whichever list it belongs to."""
        rows = self._rows("SELECT catalog_id FROM fields WHERE id = ?", (field_id,))
        return self.fields(rows[0]["catalog_id"])[field_id] if rows else None

    def delete_field(self, field: Field) -> None:
        """Deletes a field and every value of it."""
        with self.transaction():
            self._fields.pop(field.catalog_id, None)
            self._db.execute("DELETE FROM fields WHERE id = ?", (field.id,))
            path = f'$."{field.id}"'
            self._db.execute(
                "UPDATE elements SET field_values = json_remove(field_values, ?) WHERE catalog_id = ?",
                (path, field.catalog_id),
            )

    # elements, as the API's own handlers use them

    def element(self, element_id: int) -> Element | None:
        """The element with this id."""
        found = self.elements(ids=[element_id])
        return found[0] if found else None

    def elements(
        self,
        catalog_id: int | None = None,
        *,
        ids: Sequence[int] | None = None,
        term: str = "",
        term_in_values: bool = False,
        newest_first: bool = True,
        limit: int = -1,
        offset: int = 0,
    ) -> list[Element]:
        """Elements by list, ids and search text, all optional; by id, newest first unless told."""
        where, values = ["1"], list[object]()
        if catalog_id is not None:
            where.append("catalog_id = ?")
            values.append(catalog_id)
        if ids is not None:
            where.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(ids)))
        if term:
            matches = ["instr(fold(name), fold(?)) > 0"]
            if term_in_values:
                texts = "SELECT 1 FROM json_tree(field_values) WHERE type = 'text' AND instr(fold(atom), fold(?)) > 0"
                matches.append(f"EXISTS ({texts})")
            where.append(f"({' OR '.join(matches)})")
            values += [term] * len(matches)
        order = "DESC" if newest_first else "ASC"
        statement = f"SELECT * FROM elements WHERE {' AND '.join(where)} ORDER BY id {order} LIMIT ? OFFSET ?"
        return [_element(row) for row in self._rows(statement, [*values, limit, offset])]

    def count(self, catalog_id: int) -> int:
        """How many elements a list holds."""
        [(count,)] = self._rows("SELECT count(*) FROM elements WHERE catalog_id = ?", (catalog_id,))
        return int(count)

    def insert_element(
        self,
        catalog_id: int,
        name: str,
        values: Mapping[int, Value],
        *,
        by: int,
        at: int,
        id: int | None = None,
        leads: Sequence[int] = (),
    ) -> Element:
        """Stores a new element with neutral values."""
        name, values = normalised(name, values, self.fields(catalog_id), self.normalising)
        columns: dict[str, object] = {"id": id, "catalog_id": catalog_id, "name": name}
        columns |= {"created_by": by, "created_at": at, "updated_by": by, "updated_at": at}
        columns |= {"field_values": _to_json(values), "leads": _to_json(list(leads))}
        element_id = self._insert("elements", columns)
        return Element(element_id, catalog_id, name, by, at, by, at, dict(values), tuple(leads))

    def save_element(self, element: Element) -> None:
        """Stores name, values and last change of an element under its id, which must exist."""
        fields = self.fields(element.catalog_id)
        name, values = normalised(element.name, element.values, fields, self.normalising)
        with self.transaction():
            if before := self.element(element.id):
                changes.record(self, fields, before, replace(element, name=name, values=values))
            self._db.execute(
                "UPDATE elements SET name = ?, field_values = ?, updated_by = ?, updated_at = ?, leads = ?"
                " WHERE id = ?",
                (
                    name,
                    _to_json(values),
                    element.updated_by,
                    element.updated_at,
                    _to_json(element.leads),
                    element.id,
                ),
            )

    def delete_element(self, element_id: int) -> bool:
        """Deletes an element. False if there is none."""
        with self.transaction():
            return self._db.execute("DELETE FROM elements WHERE id = ?", (element_id,)).rowcount == 1

    # somebody else at work in the vendor's own screens

    def add_as_other_user(
        self,
        catalog_id: int,
        name: str,
        values: Mapping[int | str, object] | None = None,
        *,
        at: int | None = None,
    ) -> Element:
        """Another user adds an element. Values are keyed by field id, code or name, as a person writes them."""
        return self.insert_element(
            catalog_id,
            name,
            self.neutral(catalog_id, values or {})[0],
            by=OTHER_USER_ID,
            at=self._now() if at is None else at,
        )

    def edit_as_other_user(
        self,
        element_id: int,
        *,
        name: str | None = None,
        values: Mapping[int | str, object] | None = None,
        at: int | None = None,
    ) -> Element:
        """Another user edits an element; a value of None or "" clears the field.

        `updated_at` becomes the server's time (or `at`), in whole seconds: two edits within one second
        leave the same stamp, as they do in the real system. It never goes backwards.
        """
        with self.transaction():
            element = self.element(element_id)
            if element is None:
                raise StoreError(f"there is no element {element_id}")
            filled, cleared = self.neutral(element.catalog_id, values or {})
            kept = {number: value for number, value in element.values.items() if number not in cleared}
            edited = replace(
                element,
                name=element.name if name is None else name,
                values={**kept, **filled},
                updated_by=OTHER_USER_ID,
                updated_at=max(self._now(), element.updated_at) if at is None else at,
            )
            self.save_element(edited)
        return edited

    def delete_as_other_user(self, *element_ids: int) -> None:
        """Another user deletes elements, which must exist."""
        with self.transaction():
            for element_id in element_ids:
                if not self.delete_element(element_id):
                    raise StoreError(f"there is no element {element_id}")

    def neutral(self, catalog_id: int, values: Mapping[int | str, object]) -> tuple[dict[int, Value], set[int]]:
        """What a person wrote, as neutral values by field id, and the ids of the fields left empty."""
        filled: dict[int, Value] = {}
        cleared: set[int] = set()
        for address, given in values.items():
            field = self.find_field(catalog_id, address)
            try:
                value = from_person(field, given, self.zone)
            except BadValue as error:
                raise StoreError(f"field {field.name!r}: {error}") from error
            if value is None:
                cleared.add(field.id)
            else:
                filled[field.id] = value
        return filled, cleared

    def find_field(self, catalog_id: int, address: int | str) -> Field:
        """The field of a list with this id, else this code, else this name."""
        fields = self.fields(catalog_id)
        number = whole_number(address)
        if number is not None and number in fields:
            return fields[number]
        for found in ("code", "name"):
            for field in fields.values():
                if getattr(field, found) == address:
                    return field
        raise StoreError(f"list {catalog_id} has no field {address!r}")


def _columns(record: Account | Catalog) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _catalog(row: sqlite3.Row) -> Catalog:
    columns = dict(row)
    return Catalog(**columns | {flag: bool(columns[flag]) for flag in _FLAGS})


def _field(row: sqlite3.Row, options: Mapping[int, str]) -> Field:
    columns = dict(row)
    return Field(**columns | {flag: bool(columns[flag]) for flag in _FIELD_FLAGS}, options=options)


def _element(row: sqlite3.Row) -> Element:
    columns = dict(row)
    values = {int(number): value for number, value in json.loads(columns.pop("field_values")).items()}
    return Element(**columns | {"values": values, "leads": tuple(json.loads(columns["leads"]))})


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
