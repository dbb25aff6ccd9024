"""What another user does at a moment that a fault names: edits, deletes and adds, as text or as an object.

    edit 41873 PRICE=99 "Vendor code"=417 name=Chalk      fields by id, code or name; an empty value clears
    delete 41873 41874      delete newest 4220      delete oldest 4220
    add 4220 Chalk PRICE=99

A field that is told twice gets a list, which is how several options are chosen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from catalogsync.emulator.database import StoreError
from catalogsync.emulator.store import Store
from catalogsync.emulator.values import whole_number

Action: TypeAlias = Literal["edit", "delete", "add"]
Pick: TypeAlias = Literal["newest", "oldest"]


class FaultError(ValueError):
    """A fault that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing that another user does. `pick` deletes one element of a list without naming it."""

    action: Action
    ids: tuple[int, ...] = ()
    catalog_id: int | None = None
    pick: Pick | None = None
    name: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = self.catalog_id is not None
        complete = {
            "edit": len(self.ids) == 1 and bool(self.values or self.name),
            "delete": (named and self.pick in get_args(Pick)) if self.pick else bool(self.ids),
            "add": named and bool(self.name),
        }
        if self.action not in complete or not complete[self.action]:
            raise FaultError(
                "expected edit ID FIELD=VALUE …, delete ID …, delete newest|oldest CATALOG,"
                " or add CATALOG NAME FIELD=VALUE …"
            )

    @classmethod
    def from_words(cls, action: Action, words: list[str]) -> Edit:
        """The edit of the words after `action`."""
        bare = [word for word in words if "=" not in word]
        told: dict[str, Any] = {}
        for word in words:
            name, equals, text = word.partition("=")
            if equals:
                before = told.get(name)
                told[name] = text if before is None else [*(before if isinstance(before, list) else [before]), text]
        renamed = told.pop("name", None) if action == "edit" else None
        if action == "add" and len(bare) == 2:
            return cls("add", catalog_id=_id(bare[0]), name=bare[1], values=told)
        if action == "delete" and len(bare) == 2 and bare[0] in get_args(Pick) and not told:
            return cls("delete", catalog_id=_id(bare[1]), pick="newest" if bare[0] == "newest" else "oldest")
        if action == "add" or (action == "delete" and told):
            raise FaultError(f"{action} {' '.join(words)}: not what {action} takes")
        return cls(action, tuple(map(_id, bare)), name=renamed, values=told)

    @classmethod
    def from_json(cls, given: object) -> Edit:
        """The edit of an object with the names of this class."""
        names = {each.name for each in dataclasses.fields(cls)}
        if not isinstance(given, Mapping) or not set(given) <= names or "action" not in given:
            raise FaultError(f"an edit is an object with an action and some of {', '.join(sorted(names))}")
        ids, values = given.get("ids") or (), given.get("values") or {}
        if not isinstance(ids, list | tuple) or not isinstance(values, Mapping):
            raise FaultError("ids is a list, values is a map")
        catalog_id = None if given.get("catalog_id") is None else _id(given["catalog_id"])
        if not isinstance(given.get("name"), str | None):
            raise FaultError("name is text")
        return cls(**{**given, "ids": tuple(map(_id, ids)), "catalog_id": catalog_id, "values": dict(values)})

    def apply(self, store: Store) -> str | None:
        """Does it. Answers why it could not be done, else None: the element may be gone already."""
        try:
            self._apply(store)
        except StoreError as error:
            return str(error)
        return None

    def _apply(self, store: Store) -> None:
        values: dict[int | str, object] = dict(self.values.items())
        if self.action == "edit":
            store.edit_as_other_user(self.ids[0], name=self.name, values=values)
        elif self.action == "add":
            if self.catalog_id is None or store.catalog(self.catalog_id) is None:
                raise StoreError(f"there is no list {self.catalog_id}")
            store.add_as_other_user(self.catalog_id, self.name or "", values)
        elif self.pick:
            newest = self.pick == "newest"
            found = store.elements(self.catalog_id, newest_first=newest, limit=1)
            store.delete_as_other_user(*(element.id for element in found))
        else:
            store.delete_as_other_user(*self.ids)


def _id(word: object) -> int:
    number = whole_number(word)
    if number is None:
        raise FaultError(f"{word!r} is not an id")
    return number
