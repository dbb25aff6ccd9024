"""The mapping file as a person wrote it, read and checked by itself, without schema or sheet.

Every scalar stays the text that was written (``00123``, ``no``), a key that stands twice is an error, and
each problem is told with the file, the line and the key; all problems at once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from catalogsync import model
from catalogsync.celltext import quoted
from catalogsync.errors import MappingError, Problem
from catalogsync.reader import Fill, Hidden, ReadOptions, is_place, parse_header_rows
from catalogsync.reader.sheet import tidy_header
from catalogsync.yamlfile import YamlFile, YamlPath, read_yaml


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnSpec(_Strict):
    """One entry under ``columns:`` as written."""

    field: str
    """The catalog's field: `name` for the element's name, else a field's id, code or exact name."""
    subtype: str = ""
    """The part of a smart address (address_line_1, address_line_2, city, state, zip, country) or of a legal entity
    (name, entity_type, vat_id, kpp, address, external_id). The other parts stay as they are.
    """
    blank: model.Blank = "keep"
    """An empty cell: keep changes nothing, but empties a field that was filled at the last run; clear empties the
    field; error rejects the row.
    """
    decimal: Literal["", ",", "."] = ""
    """The decimal sign of numbers in text cells; the other one groups thousands. Without it a comma is refused."""
    currency: str = ""
    """The currency that counts, as in EUR, where cells carry one; another one is an error."""
    owner: model.Owner = "both"
    """both: an edit in the CRM stays until the sheet's cell changes too. sheet: it is reverted, and reported. crm:
    the column is never sent.
    """
    conflict: model.Conflict = "ask"
    """The sheet and the CRM changed the same cell: ask sends nothing until you decide, sheet and crm say which
    counts.
    """
    split: str = ";"
    """What stands between several options in one cell."""
    multi: model.Multi = "replace"
    """The cell's options replace those of the element, are added to them (merge), or taken from them (remove)."""
    enums: dict[str, str] = {}
    """What the sheet calls an option: the option's caption or id."""
    unknown: model.Unknown = "error"
    """A label that is no option: error rejects the row, skip counts it as empty, add adds the option."""
    format: tuple[str, ...] = ()
    """How dates are written, as in `%d/%m/%Y`; several in a list. Not needed for 2026-03-31, 2026/03/31 and
    31.03.2026.
    """
    moves: str = ""
    """How far the typical value of a number may move in one run, as in 30%; any for no limit. Prices: 50%."""
    shuffled: model.Shuffled = "refuse"
    """The same values at other products: refuse takes the column for sorted on its own, allow takes it as meant."""
    empty: tuple[str, ...] = ()
    """Texts that stand for an empty cell, in any case; several in a list."""
    fill: Fill | None = None
    """A blank cell takes the text of the row above (down), or of the merged cell that covers it (merged)."""

    @field_validator("format", "empty", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class GuardSpec(_Strict):
    """Ceilings and floors as written: a count, or a percentage of the existing elements or of last time's."""

    delete: str = "10%"
    """The most elements that a plan may delete: a count, or a percentage of the existing ones."""
    update: str = ""
    """The most elements that a plan may update: a count, or a percentage of the existing ones."""
    add: str = ""
    """The most elements that a plan may add: a count, or a percentage of the existing ones."""
    options: str = "50"
    """The most options that a plan may add: a count."""
    rows: str = "50%"
    """The least rows that a sheet must have: a count, or a percentage of last time's."""
    matched: str = "50%"
    """The least keys that must have an element: a count, or a percentage of last time's."""


class ReadSpec(_Strict):
    """How the sheet is read, where detection is not to decide."""

    encoding: str = ""
    """The text file's encoding, as in cp1251."""
    delimiter: str = ""
    """The text file's delimiter; a tab as `\\t` in double quotes."""
    quote: str | None = None
    """The text file's quote character; an empty text where quotes are ordinary text."""
    header_row: tuple[int, ...] | None = None
    """The row or line of the headers, 1-based; 5-6 for a header of two rows; none where the first row is a product."""
    hidden: Hidden | None = None
    """Hidden rows are read like the others, or left out (skip)."""
    needs: tuple[str, ...] | None = None
    """A column, or several: a row in which one of them is blank is no product."""

    @field_validator("header_row", mode="before")
    @classmethod
    def _rows(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse_header_rows(value)
        except ValueError:
            what = f"{quoted(value)} is not the header's row: one as in 3, two or three as in 5-6, or none"
            raise ValueError(what) from None

    @field_validator("needs", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class MissingSpec(_Strict):
    """What happens to elements whose row is gone."""

    action: model.Missing = "keep"
    """What happens to them."""
    set: dict[str, str] = {}
    """The values that their columns get, as the sheet would write them."""

    @model_validator(mode="after")
    def _set_has_values(self) -> MissingSpec:
        if (self.action == "set") != bool(self.set):
            raise ValueError("`missing:` is keep, delete, or the values to set, as in `missing: {set: {Active: no}}`")
        return self


class MappingFile(_Strict):
    """A mapping file as written."""

    catalog: str
    """The list's id, or its exact name."""
    key: tuple[tuple[str, ...], ...]
    """The column that identifies a product; a list: the first one that is filled counts; a list in the list: all of
    them together.
    """
    columns: dict[str, ColumnSpec]
    """The sheet's header, or `column D`, and the field that it fills."""
    sheet: str = ""
    """The workbook's tab; by default the only visible one with data."""
    duplicates: model.Duplicates = "error"
    """Rows with the same key: error rejects them, first or last takes one."""
    missing: MissingSpec = MissingSpec()
    """Elements whose row is gone: keep, delete, or set values as in {set: {In stock: no}}."""
    guards: GuardSpec = GuardSpec()
    """What stops a plan: ceilings and floors, as a count or a percentage."""
    timezone: str = ""
    """The zone of the sheet's times, as in Europe/Riga, where it is not the account's."""
    read: ReadSpec = ReadSpec()
    """How the sheet is read, where that is not to be found out."""

    _source: YamlFile = YamlFile(Path())
    _left_out: frozenset[YamlPath] = frozenset()

    @field_validator("key", mode="before")
    @classmethod
    def _alternatives(cls, value: object) -> object:
        if isinstance(value, str):
            return ((value,),)
        if isinstance(value, list):
            return tuple((entry,) if isinstance(entry, str) else entry for entry in value)
        return value

    @field_validator("key")
    @classmethod
    def _names_columns(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        if not value or not all(value):
            raise ValueError("the key names no column")
        return value

    @field_validator("columns", mode="before")
    @classmethod
    def _short_forms(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {k: {"field": v} if isinstance(v, str) else v for k, v in value.items()}

    @field_validator("missing", mode="before")
    @classmethod
    def _action(cls, value: object) -> object:
        if isinstance(value, str):
            return {"action": value}
        return {"action": "set", **value} if isinstance(value, dict) and "set" in value else value

    @property
    def path(self) -> Path:
        """The file this was read from."""
        return self._source.path

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header of the sheet that the mapping names; columns addressed by their place have none."""
        return tuple(header for header in (*self.columns, *self.left_out) if not is_place(header))

    def read_options(self, given: ReadOptions) -> ReadOptions:
        """How the sheet is read: what is `given` wins over the mapping's ``read:``."""
        spec = self.read
        fill = {header: column.fill for header, column in self.columns.items() if column.fill}
        return ReadOptions(
            tab=given.tab or self.sheet or None,
            encoding=given.encoding or spec.encoding or None,
            delimiter=given.delimiter or spec.delimiter or None,
            quote=spec.quote if given.quote is None else given.quote,
            header_rows=spec.header_row if given.header_rows is None else given.header_rows,
            hidden=given.hidden or spec.hidden,
            needs=spec.needs if given.needs is None else given.needs,
            fill=fill,
        )

    @property
    def left_out(self) -> tuple[str, ...]:
        """The entries under ``columns:`` that are not valid, in a file that is not valid as a whole."""
        return tuple(str(at[1]) for at in sorted(self._left_out, key=str) if len(at) > 1)

    @property
    def has_key(self) -> bool:
        """Whether the key is as the file says; not so in a file whose key is not valid."""
        return ("key",) not in self._left_out

    def problem(self, path: YamlPath, what: str, hint: str = "") -> Problem:
        """A problem at a key of this file."""
        return Problem(self._source.place(path), what, hint)


@dataclass(frozen=True)
class Draft:
    """As much of a mapping file as is valid, None where that is not enough to go on with; and what is wrong."""

    file: MappingFile | None
    problems: tuple[Problem, ...]


def load_mapping(path: Path) -> MappingFile:
    """Read and check a mapping file by itself, without schema or sheet. Raises MappingError."""
    draft = load_draft(path)
    if draft.file is None or draft.problems:
        raise MappingError(f"{path}: the mapping is not valid", draft.problems)
    return draft.file


def load_draft(path: Path) -> Draft:
    """Read a mapping file as far as it is valid: what is not is left out. Raises MappingError where it is no YAML."""
    source = read_yaml(path, tidy_key=lambda at, key: tidy_header(key) if at == ("columns",) else key)
    tree, problems, left_out = dict(source.tree), dict.fromkeys(source.mistakes), set[YamlPath]()
    while True:
        try:
            file = MappingFile.model_validate(tree)
        except ValidationError as error:
            problems |= dict.fromkeys(source.problems(error, _keys_at))
            wrong = {tuple(entry["loc"])[:2] for entry in error.errors()}
            if ("columns",) in wrong:
                return Draft(None, tuple(problems))
            wrong = {at if at[0] == "columns" else at[:1] for at in wrong}
            tree = _without(tree, wrong)
            left_out |= wrong
            continue
        file._source, file._left_out = source, frozenset(left_out)
        return Draft(file, tuple(problems))


def _without(tree: dict[str, Any], wrong: Collection[YamlPath]) -> dict[str, Any]:
    """A mapping file's tree less some keys or columns; something harmless in the place of what has to be there."""
    columns = {header: spec for header, spec in tree["columns"].items() if ("columns", header) not in wrong}
    rest = {key: value for key, value in tree.items() if (key,) not in wrong}
    return {"catalog": "", "key": "?", **rest, "columns": columns}


def _keys_at(at: YamlPath) -> list[str]:
    specs: dict[str, type[_Strict]] = {
        "columns": ColumnSpec,
        "guards": GuardSpec,
        "read": ReadSpec,
        "missing": MissingSpec,
    }
    spec = specs.get(str(at[0]), MappingFile) if at else MappingFile
    return list(spec.model_fields)
