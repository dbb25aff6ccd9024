"""A mapping file resolved against the live schema and the sheet's headers: the Mapping that the others work with.

Each problem is told with the file, the line and the key; all problems at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from catalogsync import captions, fields, model, numbertext
from catalogsync.celltext import CellError, clean_text, quoted
from catalogsync.errors import MappingError, Problem, name_of
from catalogsync.mappingfile import ColumnSpec, MappingFile
from catalogsync.reader import column_letter, columns_named
from catalogsync.reader.sheet import tidy_header
from catalogsync.yamlfile import YamlPath, did_you_mean

_PRICE_MOVES_PERCENT = 50.0
_L = TypeVar("_L", bound=model.Limit)


@dataclass(frozen=True)
class Fitted:
    """A mapping file resolved as far as it can be, and what is wrong with the rest.

    `mapping` has the columns with nothing wrong, and no keys where one of them cannot be used; `unused` are the
    headers of the other columns.
    """

    mapping: model.Mapping
    problems: tuple[Problem, ...]
    unused: tuple[str, ...]


def resolve(file: MappingFile, schema: model.Schema, headers: Sequence[str] | None = None) -> model.Mapping:
    """The mapping with field ids, types, options and sheet positions filled in.

    `headers` are the sheet's, None where there is no sheet (export). Raises MappingError with every
    problem: unknown or ambiguous fields, options, headers, settings that do not fit the field's type.
    """
    fitted = fit(file, schema, headers)
    if fitted.problems:
        raise MappingError(f"{file.path}: the mapping does not fit {_fit(schema, headers)}", fitted.problems)
    return fitted.mapping


def fit(file: MappingFile, schema: model.Schema | None, headers: Sequence[str] | None = None) -> Fitted:
    """As `resolve`, but as far as it goes. Without a schema every field is taken to exist, of a type not known."""
    problems: list[Problem] = [] if schema or not file.timezone else list(_wrong_zone(file, file.timezone))
    found: dict[str, model.Column] = {}
    unused = list(file.left_out)
    untyped = schema or _untyped(file)
    for header, spec in file.columns.items():
        own: list[Problem] = []
        column = _column(file, header, spec, untyped, headers, own)
        if column is not None:
            found[header] = column
        if own:
            unused.append(header)
        problems += own
    if headers is not None:
        for header in file.left_out:
            _position(file, ("columns", header), header, headers, problems)
    counted = len(problems)
    keys = [[_key_column(file, part, found, problems) for part in entry] for entry in file.key if file.has_key]
    is_keyed = len(problems) == counted and all(column and column.header not in unused for e in keys for column in e)
    problems += _repeated_targets(file, found)
    missing_set = dict(_missing_values(file, found, problems))
    guards = dict(_limits(file, model.Ceiling, ("delete", "update", "add", "options"), problems))
    floors = dict(_limits(file, model.Floor, ("rows", "matched"), problems))
    mapping = model.Mapping(
        name=name_of(file.path.with_suffix("")),
        catalog_id=untyped.catalog_id,
        columns=tuple(column for column in found.values() if column.header not in unused),
        keys=tuple(tuple(column for column in entry if column) for entry in keys) if is_keyed else (),
        duplicates=file.duplicates,
        missing=file.missing.action,
        missing_set=missing_set,
        guards=guards,
        floors=floors,
    )
    return Fitted(mapping, tuple(dict.fromkeys(problems)), tuple(unused))


def _untyped(file: MappingFile) -> model.Schema:
    """What stands for the schema where there is none: every field that the file names, of no known type."""
    names = dict.fromkeys(spec.field for spec in file.columns.values() if spec.field != model.NAME)
    found = tuple(model.Field(-place, name, "", code=name) for place, name in enumerate(names, start=1))
    return model.Schema(0, file.timezone, 0, file.catalog, found)


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
        empties=frozenset(map(captions.folded, spec.empty)),
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
        problems.append(file.problem(at, f"the sheet has {quoted(header)} {len(places)} times ({letters})", hint))
        return -1
    known = [name for name in headers if name]
    problems.append(file.problem(at, f"the sheet has no column {quoted(header)}", did_you_mean(header, known)))
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
            problems.append(file.problem(at, f"{quoted(wanted)} names several fields: {ids}", "use the id"))
            return None
    known = [model.NAME, *(f.code for f in schema.fields if f.code), *(f.name for f in schema.fields)]
    what = f"catalog {schema.catalog_id} ({schema.catalog_name}) has no field {quoted(wanted)}"
    problems.append(file.problem((*at, "field"), what, did_you_mean(wanted, known)))
    return None


def _zone(
    file: MappingFile, at: YamlPath, schema: model.Schema, field: model.Field | None, problems: list[Problem]
) -> str:
    if field is None or field.type != "date_time":
        return ""
    name = file.timezone or schema.timezone
    wrong = list(_wrong_zone(file, name, at))
    problems += wrong
    return "UTC" if wrong else name


def _wrong_zone(file: MappingFile, name: str, at: YamlPath = ()) -> Iterator[Problem]:
    """What is wrong with the name of a time zone; `at` where the account is to blame."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        what = f"{quoted(name)} is not a time zone" if name else "the account does not name its time zone"
        yield file.problem(("timezone",) if file.timezone else at, what, "set `timezone: Europe/Riga`")


def _moves_percent(
    file: MappingFile, at: YamlPath, spec: ColumnSpec, field: model.Field | None, problems: list[Problem]
) -> float | None:
    """The most by which a column's typical value may move; without ``moves:`` only prices have a limit."""
    if not spec.moves:
        return _PRICE_MOVES_PERCENT if field is not None and _is_price(field) else None
    if spec.moves == "any":
        return None
    with contextlib.suppress(ValueError):  # told below, as a count is
        limit = model.Limit.parse(spec.moves)
        if limit.is_percent:
            return limit.amount
    what = f"{quoted(spec.moves)} is not a percentage"
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
        if kind and name in given and not is_fit:
            yield file.problem((*at, name), f"`{name}` does not apply to a field of type {kind}")
    if kind in fields.SUBTYPES and spec.subtype not in fields.SUBTYPES[kind]:
        what = f"{quoted(spec.subtype)} is not a subtype of {kind}" if spec.subtype else f"a {kind} needs `subtype:`"
        yield file.problem((*at, "subtype"), what, f"one of {', '.join(fields.SUBTYPES[kind])}")
    for layout in spec.format:
        if (kind in fields.DATE_TYPES or not kind) and not _is_date_layout(layout):
            hint = "as in `%d/%m/%Y` or `%Y-%m-%d %H:%M`"
            yield file.problem((*at, "format"), f"{quoted(layout)} is not a way to write a date", hint)
    if column.field is None and spec.blank == "clear":
        yield file.problem((*at, "blank"), "a name cannot be cleared")
    if spec.unknown == "add" and kind == "category":
        what = "a category is a tree: where in it a new one belongs, no cell says"
        yield file.problem((*at, "unknown"), what, "add it in the CRM, or use `unknown: skip`")
    if spec.unknown == "add" and spec.multi == "remove":
        what = "`multi: remove` takes options away: there is none to add"
        yield file.problem((*at, "unknown"), what, "`unknown: skip` passes over labels that are no options")
    if column.currency and column.currency not in numbertext.CURRENCIES.values():
        yield file.problem((*at, "currency"), f"{quoted(spec.currency)} is not a known currency", "EUR, USD, …")


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
) -> Iterator[tuple[str, str]]:
    """``enums:`` as sheet label to option; the right side is a caption, also one to be added, else an option id."""
    for label, target in spec.enums.items() if column.type else ():
        try:
            yield label.strip(), fields.option_text(target, column)
        except CellError as error:
            problems.append(file.problem((*at, "enums", label), error.what, fields.hint_for(error, column)))


def _key_column(
    file: MappingFile, part: str, found: dict[str, model.Column], problems: list[Problem]
) -> model.Column | None:
    header = tidy_header(part)
    column = found.get(header)
    if column is None:
        if header not in file.columns and header not in file.left_out:
            hint = did_you_mean(header, list(file.columns))
            problems.append(file.problem(("key",), f"the key {quoted(part)} is not one of `columns:`", hint))
        return None
    if column.type in {"multiselect", "items", "checkbox"}:
        problems.append(file.problem(("key",), f"a {column.type} field cannot identify a product"))
    if column.unknown == "add":
        what = f"a product is looked for by its key {quoted(header)}, and a new option has no product yet"
        problems.append(file.problem(("columns", header, "unknown"), what, "leave `unknown:` out for a key"))
    if column.owner == "crm":
        what = f"the key {quoted(header)} is never sent (`owner: crm`): every run would add the products again"
        problems.append(file.problem(("columns", header, "owner"), what, "leave `owner:` out for a key"))
    return column


def _repeated_targets(file: MappingFile, found: dict[str, model.Column]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for header, column in found.items():
        if column.key in first:
            target = column.field.name if column.field and not column.type else column.key
            what = f"{quoted(first[column.key])} and {quoted(header)} both fill {target}"
            yield file.problem(("columns", header), what)
        first.setdefault(column.key, header)


def _missing_values(
    file: MappingFile, found: dict[str, model.Column], problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    for header, text in file.missing.set.items():
        at: YamlPath = ("missing", "set", header)
        column = found.get(tidy_header(header))
        if column is None and tidy_header(header) in (*file.columns, *file.left_out):
            continue  # told already
        if column is None:
            problems.append(file.problem(at, f"{quoted(header)} is not one of `columns:`"))
            continue
        if column.owner == "crm":
            problems.append(file.problem(at, f"{quoted(header)} has `owner: crm` and is never sent"))
            continue
        if column.unknown != "error":  # this is no cell of a sheet: a label that names no option is a mistake
            column = dataclasses.replace(column, unknown="error")
        try:
            parse = fields.PARSERS.get(column.type)
            empty = "0" if column.type == "checkbox" else ""
            yield column.key, (parse(text, column) if parse else clean_text(text)) if text else empty
        except CellError as error:
            problems.append(file.problem(at, error.what, fields.hint_for(error, column)))


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
                file.problem(("guards", name), f"{quoted(text)} is not a count or a percentage", "50 or 10%")
            )
