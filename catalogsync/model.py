"""The values that travel between the parts. No behaviour beyond what a value knows of itself.

Words used everywhere:

catalog         a list of the account ("Products")
element         one entry of a catalog (one product)
custom field    a column of a catalog; has a type, and options (enums) where the type says so
column key      names one comparable column in a table: ``name`` for the element's name, ``4400051`` for
                a custom field, ``4400100.city`` for one subtype of a composite field
canonical text  the one string a cell is compared as; ``""`` is empty (see fields.py)
key             the text that identifies a product on both sides
"""

from __future__ import annotations

import collections.abc
import dataclasses
from dataclasses import dataclass
from typing import Literal, Self

NAME = "name"
FACTS = ("id", "updated_at", "updated_by", "linked")
"""Columns of a table of elements that no field stands for."""

Blank = Literal["keep", "clear", "error"]
Owner = Literal["both", "sheet", "crm"]
Conflict = Literal["ask", "sheet", "crm"]
Multi = Literal["replace", "merge", "remove"]
Duplicates = Literal["error", "first", "last"]
Missing = Literal["keep", "delete", "set"]
Unknown = Literal["error", "skip", "add"]
Shuffled = Literal["refuse", "allow"]


@dataclass(frozen=True, slots=True)
class Field:
    """A custom field as the account defines it. `enums` maps option id to caption, in the account's order."""

    id: int
    name: str
    type: str
    code: str = ""
    enums: collections.abc.Mapping[int, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewField:
    """A custom field to be created: `options` are the captions, where its type has them."""

    name: str
    type: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """What an account says about one of its catalogs. `timezone` is "" where the account does not say."""

    account_id: int
    timezone: str
    catalog_id: int
    catalog_name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """A list of the account. `created_at` in Unix seconds."""

    id: int
    name: str
    type: str = "regular"
    sort: int = 0
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """One mapped column: a header of the sheet and the column key it fills, with the mapping's options.

    `field` is None for the element's name. `labels` maps what the sheet writes to options as canonical
    text, and is consulted before the captions. `position` is the sheet column, -1 where there is no sheet.
    `moves_percent` is the most by which the typical value may move in one run, None for any. `empties` are texts
    that stand for an empty cell, folded as by `captions.folded`.
    """

    header: str
    field: Field | None
    subtype: str = ""
    position: int = -1
    blank: Blank = "keep"
    decimal: str = ""
    currency: str = ""
    owner: Owner = "both"
    conflict: Conflict = "ask"
    split: str = ";"
    multi: Multi = "replace"
    labels: collections.abc.Mapping[str, str] = dataclasses.field(default_factory=dict)
    unknown: Unknown = "error"
    formats: tuple[str, ...] = ()
    timezone: str = ""
    moves_percent: float | None = None
    shuffled: Shuffled = "refuse"
    empties: frozenset[str] = frozenset()

    @property
    def type(self) -> str:
        """The custom field's type; the element's name is text."""
        return self.field.type if self.field else "text"

    @property
    def key(self) -> str:
        """The column key (module docstring)."""
        if self.field is None:
            return NAME
        return f"{self.field.id}.{self.subtype}" if self.subtype else str(self.field.id)


@dataclass(frozen=True, slots=True)
class Limit:
    """A count, or a percentage of something."""

    amount: float
    is_percent: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """``50`` or ``10%``; ValueError for anything else."""
        number = text.strip()
        limit = cls(float(number.removesuffix("%")), number.endswith("%"))
        if not 0 <= limit.amount < float("inf"):
            raise ValueError(text)
        return limit

    def of(self, whole: int) -> float:
        """The limit as a count, where `whole` is what a percentage is taken of."""
        return self.amount * whole / 100 if self.is_percent else self.amount

    def __str__(self) -> str:
        number = str(int(self.amount)) if self.amount == int(self.amount) else repr(self.amount)
        return f"{number}%" if self.is_percent else number


@dataclass(frozen=True, slots=True)
class Ceiling(Limit):
    """The most changes of one kind that a plan may hold: a count, or a percentage of the existing elements."""

    def allows(self, count: int, existing_count: int) -> bool:
        """Whether `count` changes are within the ceiling of a catalog of `existing_count` elements."""
        return count <= self.of(existing_count)


@dataclass(frozen=True, slots=True)
class Floor(Limit):
    """The least that a sheet must have: a count, or a percentage of what it had last time."""

    def allows(self, count: int, last_count: int | None) -> bool:
        """Whether `count` is enough. Without a last time a percentage asks for nothing."""
        if self.is_percent and last_count is None:
            return True
        return count >= self.of(last_count or 0)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file resolved against the live schema and, where there is one, the sheet's headers.

    `keys` are the alternatives in order, each one column or several (a composite key). `missing_set` holds
    canonical text by column key. `name` is the file's name without ending. `guards` are the ceilings by kind of
    change, `floors` the least ``rows`` of the sheet and the least keys ``matched`` to elements.
    """

    name: str
    catalog_id: int
    columns: tuple[Column, ...]
    keys: tuple[tuple[Column, ...], ...]
    duplicates: Duplicates = "error"
    missing: Missing = "keep"
    missing_set: collections.abc.Mapping[str, str] = dataclasses.field(default_factory=dict)
    guards: collections.abc.Mapping[str, Ceiling] = dataclasses.field(default_factory=dict)
    floors: collections.abc.Mapping[str, Floor] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Add:
    """A product of the sheet that the catalog lacks. `values` holds canonical text by column key, no empties.

    `op` is the operation's id, unique within its plan; `row` the sheet row or line, 1-based.
    """

    op: int
    key: str
    row: int
    values: collections.abc.Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Update:
    """An element that differs. `before` and `after` hold the differing columns only.

    `kept` holds the other subtypes of the composite fields that change: a subtype that a request
    leaves out is erased (seed page 002), so they are sent again as they are. `updated_at` is what was
    read, in Unix seconds. `row` is 0 where no row asked for it (an element whose row is gone).
    """

    op: int
    key: str
    row: int
    id: int
    updated_at: int
    before: collections.abc.Mapping[str, str]
    after: collections.abc.Mapping[str, str]
    kept: collections.abc.Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delete:
    """An element whose row is gone, where the mapping says that such elements are deleted.

    `before` is what was read of it: by its time alone, an edit in the same second as one before it is not seen.
    """

    op: int
    key: str
    id: int
    name: str
    updated_at: int
    before: collections.abc.Mapping[str, str] = dataclasses.field(default_factory=dict)


Change = Add | Update | Delete


@dataclass(frozen=True, slots=True)
class AddOptions:
    """Options that the sheet names and a field lacks, by caption in the order of the rows.

    They are added before any element is written, and stay: no run takes them back.
    """

    field_id: int
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddedOptions:
    """The ids of options that a plan wanted, by caption; `adopted` are those that somebody else had added by then."""

    field_id: int
    ids: collections.abc.Mapping[str, int]
    adopted: tuple[str, ...] = ()


ClashKind = Literal["conflict", "kept", "reverted", "overridden", "deleted"]


@dataclass(frozen=True, slots=True)
class Clash:
    """A cell that somebody changed in the CRM since the last run, and what the plan does about it.

    ``conflict``: the sheet changed it too, nothing is done until a person decides. ``kept``: the CRM's value
    stays. ``reverted``: the column's owner is the sheet, so its value is sent. ``overridden``: both changed it, and
    the mapping says that the sheet's value counts. ``deleted``: the element is gone and is not added again, since
    its row is as it was; of the whole row, so `column` and the texts are "".

    `column` is a column key; `base` what the catalog held after the last run, `sheet` and `crm` what they say now,
    as canonical text. `target` is what would be sent if the sheet counted, None where that is just what it says;
    options that are merged or removed always have one.
    """

    kind: ClashKind
    key: str
    row: int
    id: int
    column: str = ""
    base: str = ""
    sheet: str = ""
    crm: str = ""
    target: str | None = None


Outcome = Literal["done", "failed", "conflict", "unknown"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one change. `id` is the element's, also of one just added; None where there is none.

    ``conflict``: refused because somebody edited the element since it was read.
    ``unknown``: the answer does not say; it may have been applied.
    """

    op: int
    outcome: Outcome
    id: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the catalog held after a change: the element, its ``updated_at``, canonical text of the columns written."""

    id: int
    updated_at: int
    values: collections.abc.Mapping[str, str]
