"""The mapping file: YAML to a Mapping, resolved against the live schema and the sheet's headers.

Every scalar stays the text that was written (``00123``, ``no``), a key that stands twice is an error, and
each problem is told with the file, the line and the key; all problems at once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from catalogsync import fields, model
from catalogsync.errors import MappingError, Problem
from catalogsync.reader import Fill, Hidden, ReadOptions, column_letter, columns_named, is_place, parse_header_rows
from catalogsync.reader.sheet import tidy_header
from catalogsync.yamlfile import YamlFile, YamlPath, did_you_mean, read_yaml

_PRICE_MOVES_PERCENT = 50.0
_L = TypeVar("_L", bound=model.Limit)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnSpec(_Strict):
    """One entry under ``columns:`` as written."""

    field: str
    subtype: str = ""
    blank: model.Blank = "keep"
    decimal: Literal["", ",", "."] = ""
    currency: str = ""
    owner: model.Owner = "both"
    conflict: model.Conflict = "ask"
    split: str = ";"
    multi: model.Multi = "replace"
    enums: dict[str, str] = {}
    unknown: model.Unknown = "error"
    format: tuple[str, ...] = ()
    moves: str = ""
    shuffled: model.Shuffled = "refuse"
    empty: tuple[str, ...] = ()
    fill: Fill | None = None

    @field_validator("format", "empty", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class GuardSpec(_Strict):
    """Ceilings and floors as written: a count, or a percentage of the existing elements or of last time's."""

    delete: str = "10%"
    update: str = ""
    add: str = ""
    rows: str = "50%"
    matched: str = "50%"


class ReadSpec(_Strict):
    """How the sheet is read, where detection is not to decide."""

    encoding: str = ""
    delimiter: str = ""
    quote: str | None = None
    header_row: tuple[int, ...] | None = None
    hidden: Hidden | None = None
    needs: tuple[str, ...] | None = None

    @field_validator("header_row", mode="before")
    @classmethod
    def _rows(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse_header_rows(value)
        except ValueError:
            what = f"{fields.quoted(value)} is not the header's row: one as in 3, two or three as in 5-6, or none"
            raise ValueError(what) from None

    @field_validator("needs", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class MissingSpec(_Strict):
    """What happens to elements whose row is gone."""

    action: model.Missing = "keep"
    set: dict[str, str] = {}

    @model_validator(mode="after")
    def _set_has_values(self) -> MissingSpec:
        if (self.action == "set") != bool(self.set):
            raise ValueError("`missing:` is keep, delete, or the values to set, as in `missing: {set: {Active: no}}`")
        return self


class MappingFile(_Strict):
    """A mapping file as written."""

    catalog: str
    key: tuple[tuple[str, ...], ...]
    columns: dict[str, ColumnSpec]
    sheet: str = ""
    duplicates: model.Duplicates = "error"
    missing: MissingSpec = MissingSpec()
    guards: GuardSpec = GuardSpec()
    timezone: str = ""
    read: ReadSpec = ReadSpec()

    _source: YamlFile = YamlFile(Path())

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
        return tuple(header for header in self.columns if not is_place(header))

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

    def problem(self, path: YamlPath, what: str, hint: str = "") -> Problem:
        """A problem at a key of this file."""
        return Problem(self._source.place(path), what, hint)


# --- reading the file ----------------------------------------------------------------------------------------


def load_mapping(path: Path) -> MappingFile:
    """Read and check a mapping file by itself, without schema or sheet. Raises MappingError."""
    source = read_yaml(path, tidy_key=lambda at, key: tidy_header(key) if at == ("columns",) else key)
    try:
        file = MappingFile.model_validate(source.tree)
    except ValidationError as error:
        raise MappingError(f"{path}: the mapping is not valid", source.problems(error, _keys_at)) from None
    file._source = source
    return file


def _keys_at(at: YamlPath) -> list[str]:
    specs: dict[str, type[_Strict]] = {
        "columns": ColumnSpec,
        "guards": GuardSpec,
        "read": ReadSpec,
        "missing": MissingSpec,
    }
    spec = specs.get(str(at[0]), MappingFile) if at else MappingFile
    return list(spec.model_fields)


# --- resolving against schema and sheet ----------------------------------------------------------------------


def resolve(file: MappingFile, schema: model.Schema, headers: Sequence[str] | None = None) -> model.Mapping:
    """The mapping with field ids, types, options and sheet positions filled in.

    `headers` are the sheet's, None where there is no sheet (export). Raises MappingError with every
    problem: unknown or ambiguous fields, options, headers, settings that do not fit the field's type.
    """
    problems: list[Problem] = []
    columns = [_column(file, header, spec, schema, headers, problems) for header, spec in file.columns.items()]
    found = {column.header: column for column in columns if column is not None}
    keys = tuple(tuple(_key_column(file, part, found, problems) for part in entry) for entry in file.key)
    problems += _repeated_targets(file, found)
    missing_set = dict(_missing_values(file, found, problems))
    guards = dict(_limits(file, model.Ceiling, ("delete", "update", "add"), problems))
    floors = dict(_limits(file, model.Floor, ("rows", "matched"), problems))
    if problems:
        raise MappingError(f"{file.path}: the mapping does not fit {_fit(schema, headers)}", problems)
    return model.Mapping(
        name=file.path.stem,
        catalog_id=schema.catalog_id,
        columns=tuple(found.values()),
        keys=tuple(tuple(column for column in entry if column) for entry in keys),
        duplicates=file.duplicates,
        missing=file.missing.action,
        missing_set=missing_set,
        guards=guards,
        floors=floors,
    )


def _fit(schema: model.Schema, headers: Sequence[str] | None) -> str:
    catalog = f"catalog {schema.catalog_id} ({schema.catalog_name})"
    return catalog if headers is None else f"{catalog} or the sheet"


def _column(
    file: MappingFile,
    header: str,
    spec: ColumnSpec,
    schema: model.Schema,
    headers: Sequence[str] | None,
    problems: list[Problem],
) -> model.Column | None:
    at: YamlPath = ("columns", header)
    position = -1 if headers is None else _position(file, at, header, headers, problems)
    field = None if spec.field == model.NAME else _field(file, at, spec.field, schema, problems)
    if field is None and spec.field != model.NAME:
        return None
    column = model.Column(
        header=header,
        field=field,
        subtype=spec.subtype,
        position=position,
        blank=spec.blank,
        decimal=spec.decimal,
        currency=spec.currency.upper(),
        owner=spec.owner,
        conflict=spec.conflict,
        split=spec.split,
        multi=spec.multi,
        unknown=spec.unknown,
        formats=spec.format,
        timezone=_zone(file, at, schema, field, problems),
        moves_percent=_moves_percent(file, at, spec, field, problems),
        shuffled=spec.shuffled,
        empties=frozenset(map(fields.folded, spec.empty)),
    )
    problems += _misfits(file, at, column, spec)
    labels = dict(_labels(file, at, column, spec, problems))
    return dataclasses.replace(column, labels=labels)


def _position(file: MappingFile, at: YamlPath, header: str, headers: Sequence[str], problems: list[Problem]) -> int:
    """Where a header stands in the sheet."""
    places = columns_named(headers, header)
    if len(places) == 1:
        return places[0]
    if places:
        letters = ", ".join(column_letter(i) for i in places)
        hint = f"say which: `{header} #1` or `column {column_letter(places[0])}`"
        problems.append(
            file.problem(at, f"the sheet has {fields.quoted(header)} {len(places)} times ({letters})", hint)
        )
        return -1
    known = [name for name in headers if name]
    problems.append(file.problem(at, f"the sheet has no column {fields.quoted(header)}", did_you_mean(header, known)))
    return -1


def _field(
    file: MappingFile, at: YamlPath, wanted: str, schema: model.Schema, problems: list[Problem]
) -> model.Field | None:
    """A custom field by id, then code, then exact name; two matches are an error."""
    for matches in (
        [f for f in schema.fields if str(f.id) == wanted],
        [f for f in schema.fields if f.code and f.code == wanted],
        [f for f in schema.fields if f.name == wanted],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            ids = ", ".join(str(f.id) for f in matches)
            problems.append(file.problem(at, f"{fields.quoted(wanted)} names several fields: {ids}", "use the id"))
            return None
    known = [model.NAME, *(f.code for f in schema.fields if f.code), *(f.name for f in schema.fields)]
    what = f"catalog {schema.catalog_id} ({schema.catalog_name}) has no field {fields.quoted(wanted)}"
    problems.append(file.problem((*at, "field"), what, did_you_mean(wanted, known)))
    return None


def _zone(
    file: MappingFile, at: YamlPath, schema: model.Schema, field: model.Field | None, problems: list[Problem]
) -> str:
    if field is None or field.type != "date_time":
        return ""
    name = file.timezone or schema.timezone
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        what = f"{fields.quoted(name)} is not a time zone" if name else "the account does not name its time zone"
        problems.append(file.problem(("timezone",) if file.timezone else at, what, "set `timezone: Europe/Riga`"))
        return "UTC"
    return name


def _moves_percent(
    file: MappingFile, at: YamlPath, spec: ColumnSpec, field: model.Field | None, problems: list[Problem]
) -> float | None:
    """The most by which a column's typical value may move; without ``moves:`` only prices have a limit."""
    if not spec.moves:
        return _PRICE_MOVES_PERCENT if field is not None and _is_price(field) else None
    if spec.moves == "any":
        return None
    try:
        limit = model.Limit.parse(spec.moves)
        if limit.is_percent:
            return limit.amount
    except ValueError:
        pass
    what = f"{fields.quoted(spec.moves)} is not a percentage"
    problems.append(file.problem((*at, "moves"), what, "30%, or any for no limit"))
    return None


def _is_price(field: model.Field) -> bool:
    """Whether a field holds prices. API v2 knows no such type: there they are numbers with a code such as PRICE."""
    return field.type in {"price", "monetary"} or (field.type in fields.NUMBER_TYPES and "PRICE" in field.code)


def _misfits(file: MappingFile, at: YamlPath, column: model.Column, spec: ColumnSpec) -> Iterator[Problem]:
    """Settings that the field's type has no use for, and those that it needs."""
    kind, given = column.type, spec.model_fields_set
    fits = {
        "decimal": kind in fields.NUMBER_TYPES,
        "currency": kind in fields.NUMBER_TYPES,
        "moves": kind in fields.NUMBER_TYPES,
        "enums": kind in fields.OPTION_TYPES,
        "unknown": kind in fields.OPTION_TYPES,
        "split": kind == "multiselect",
        "multi": kind == "multiselect",
        "format": kind in fields.DATE_TYPES,
        "subtype": kind in fields.SUBTYPES,
    }
    for name, is_fit in fits.items():
        if name in given and not is_fit:
            yield file.problem((*at, name), f"`{name}` does not apply to a field of type {kind}")
    if kind in fields.SUBTYPES and spec.subtype not in fields.SUBTYPES[kind]:
        what = (
            f"{fields.quoted(spec.subtype)} is not a subtype of {kind}"
            if spec.subtype
            else f"a {kind} needs `subtype:`"
        )
        yield file.problem((*at, "subtype"), what, f"one of {', '.join(fields.SUBTYPES[kind])}")
    for layout in spec.format:
        if kind in fields.DATE_TYPES and not _is_date_layout(layout):
            hint = "as in `%d/%m/%Y` or `%Y-%m-%d %H:%M`"
            yield file.problem((*at, "format"), f"{fields.quoted(layout)} is not a way to write a date", hint)
    if column.field is None and spec.blank == "clear":
        yield file.problem((*at, "blank"), "a name cannot be cleared")
    if spec.unknown == "add":
        hint = "add the option in the CRM, or use `unknown: skip`"
        yield file.problem((*at, "unknown"), "this version cannot add options", hint)
    if column.currency and column.currency not in fields.CURRENCIES.values():
        yield file.problem((*at, "currency"), f"{fields.quoted(spec.currency)} is not a known currency", "EUR, USD, …")


def _is_date_layout(layout: str) -> bool:
    """Whether a date that is written by a layout is read back by it: its year, month and day."""
    sample = datetime(2026, 11, 23, 14, 5, 6)  # noqa: DTZ001 - a sample; zones have no part in it
    try:
        written = sample.strftime(layout)
        if written == sample.replace(year=2025).strftime(layout):  # strptime frowns on days without a year
            return False
        return datetime.strptime(written, layout).date() == sample.date()  # noqa: DTZ007 - as above
    except (ValueError, re.error):
        return False


def _labels(
    file: MappingFile, at: YamlPath, column: model.Column, spec: ColumnSpec, problems: list[Problem]
) -> Iterator[tuple[str, int]]:
    """``enums:`` as sheet label to option id; the right side is a caption, else an option id."""
    for label, target in spec.enums.items():
        try:
            yield label.strip(), fields.option_id(target, column)
        except fields.CellError as error:
            problems.append(file.problem((*at, "enums", label), error.what, error.hint))


def _key_column(
    file: MappingFile, part: str, found: dict[str, model.Column], problems: list[Problem]
) -> model.Column | None:
    header = tidy_header(part)
    column = found.get(header)
    if column is None:
        if header not in file.columns:
            hint = did_you_mean(header, list(file.columns))
            problems.append(file.problem(("key",), f"the key {fields.quoted(part)} is not one of `columns:`", hint))
        return None
    if column.type in {"multiselect", "items", "checkbox"}:
        problems.append(file.problem(("key",), f"a {column.type} field cannot identify a product"))
    if column.owner == "crm":
        what = f"the key {fields.quoted(header)} is never sent (`owner: crm`): every run would add the products again"
        problems.append(file.problem(("columns", header, "owner"), what, "leave `owner:` out for a key"))
    return column


def _repeated_targets(file: MappingFile, found: dict[str, model.Column]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for header, column in found.items():
        if column.key in first:
            what = f"{fields.quoted(first[column.key])} and {fields.quoted(header)} both fill {column.key}"
            yield file.problem(("columns", header), what)
        first.setdefault(column.key, header)


def _missing_values(
    file: MappingFile, found: dict[str, model.Column], problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    for header, text in file.missing.set.items():
        at: YamlPath = ("missing", "set", header)
        column = found.get(tidy_header(header))
        if column is None:
            problems.append(file.problem(at, f"{fields.quoted(header)} is not one of `columns:`"))
            continue
        if column.owner == "crm":
            problems.append(file.problem(at, f"{fields.quoted(header)} has `owner: crm` and is never sent"))
            continue
        try:
            parse = fields.PARSERS.get(column.type)
            empty = "0" if column.type == "checkbox" else ""
            yield column.key, (parse(text, column) if parse else fields.clean_text(text)) if text else empty
        except fields.CellError as error:
            problems.append(file.problem(at, error.what, error.hint))


def _limits(
    file: MappingFile, kind: type[_L], names: Sequence[str], problems: list[Problem]
) -> Iterator[tuple[str, _L]]:
    written = file.guards.model_dump(include=set(names))
    for name in names:
        text = written[name]
        if not text:
            continue
        try:
            yield name, kind.parse(text)
        except ValueError:
            problems.append(
                file.problem(("guards", name), f"{fields.quoted(text)} is not a count or a percentage", "50 or 10%")
            )
