"""Validate: every problem of a sheet and its mapping at once, without changing anything.

A problem never hides another one: a mapping that is wrong in one column is used as far as the others go, and a sheet
that cannot be read does not keep the mapping from being looked at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from catalogsync import guards, mapping, model, planning, remarks, tables
from catalogsync.api.client import Client
from catalogsync.errors import MappingError, Problem, SheetError, UserError
from catalogsync.journal import Journal
from catalogsync.mappingfile import MappingFile, load_draft
from catalogsync.planning import PlanOptions, Watch
from catalogsync.reader import ReadOptions, Sheet, read_sheet


@dataclass
class Validation:
    """What is wrong with a sheet and its mapping.

    `mapping` and `sheet` refuse everything (exit 1), `rows` reject their rows (exit 3), `warnings` are worth a look.
    `notes` say what was not checked, and why. `read` is the sheet, None where it cannot be read.
    """

    mapping: list[Problem] = field(default_factory=list)
    sheet: list[Problem] = field(default_factory=list)
    rows: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sheet_rows: int = 0
    rejected_rows: int = 0
    read: Sheet | None = None

    @property
    def problems(self) -> list[Problem]:
        """All problems but warnings."""
        return [*self.mapping, *self.sheet, *self.rows]

    @property
    def exit_code(self) -> int:
        """0 nothing to mend, 1 the sheet or the mapping cannot be used, 3 some rows have problems."""
        return 1 if self.mapping or self.sheet else 3 if self.rows else 0


def validate(
    sheet_path: Path,
    mapping_path: Path,
    client: Client | None,
    reading: ReadOptions | None = None,
    watch: Watch | None = None,
    *,
    journal: Journal | None = None,
) -> Validation:
    """Every problem of a sheet and its mapping. Sends GETs only.

    Without `client` nothing is known of the catalog: no field, no type. With `journal` the catalog's elements are
    read too, and what a plan says against the rows is told. Raises ApiError where the account does not answer.
    """
    found, watch = Validation(), watch or Watch()
    file = _load(mapping_path, found)
    watch.step(f"Reading {sheet_path.name}", None)
    found.read = sheet = _read(sheet_path, file, reading or ReadOptions(), found)
    schema = _schema(client, file, found) if file and client else None
    if file is None:
        found.notes.append("without a usable mapping the sheet's rows were not checked")
        return found
    fitted = mapping.fit(file, schema, sheet.headers if sheet else None)
    found.mapping = sorted(dict.fromkeys([*found.mapping, *fitted.problems]), key=_line)
    if schema is None:
        found.notes.append(
            "without the account's fields their types are not known: checked were the mapping file, headers, keys as "
            "text, error cells, codes that Excel shortened, and text that looks wrong"
        )
    if sheet is None or found.sheet:
        found.notes.append("the sheet's rows were not checked: mend the sheet first")
        return found
    found.notes += _unchecked(fitted)
    mixed = tables.mixed_currencies(sheet, fitted.mapping)
    found.sheet += [Problem(p.where, p.what, "`currency:` says which counts", p.spots) for p in mixed]
    if client and schema and journal and not found.problems:
        planned = planning.plan_of(sheet, fitted.mapping, schema, client, journal, PlanOptions(), watch)
        _take_plan(planned, found)
    else:
        mixed_columns = {spot.column for problem in mixed for spot in problem.spots}
        _take_rows(sheet, _without(fitted.mapping, mixed_columns), found)
        if journal:
            found.notes.append("the catalog's elements were not looked at: mend the problems above first")
    return found


def _line(problem: Problem) -> int:
    """The line of a file that a problem is in, 0 where it names none."""
    told = re.search(":([0-9]+)(?: |$)", problem.where)
    return int(told[1]) if told else 0


def _load(path: Path, found: Validation) -> MappingFile | None:
    try:
        draft = load_draft(path)
    except MappingError as error:
        found.mapping += error.problems or [Problem("", error.message)]
        return None
    found.mapping += draft.problems
    return draft.file


def _read(path: Path, file: MappingFile | None, given: ReadOptions, found: Validation) -> Sheet | None:
    options = given
    if file is not None:
        try:
            options = file.read_options(given)
        except MappingError as error:
            found.mapping += error.problems
    expect = file.headers if file else ()
    try:
        return read_sheet(path, options, expect=expect)
    except SheetError as error:
        found.sheet += [Problem("", error.message), *error.problems]
    if not options.needs and not options.fill:
        return None
    with contextlib.suppress(SheetError):  # a column that these name may be what is wrong: the headers can be read
        return read_sheet(path, dataclasses.replace(options, needs=None, fill={}), expect=expect)
    return None


def _schema(client: Client, file: MappingFile, found: Validation) -> model.Schema | None:
    """The catalog's schema; None where the mapping names no catalog of the account."""
    if not file.catalog:
        return None
    try:
        catalog = client.catalog(file.catalog)
    except UserError as error:
        found.mapping.append(file.problem(("catalog",), error.message))
        return None
    return planning.schema_for(client, catalog, file)


def _unchecked(fitted: mapping.Fitted) -> Iterator[str]:
    if fitted.unused:
        names = ", ".join(f"“{header}”" for header in fitted.unused)
        yield f"the cells of {names} were not checked: mend the mapping first"
    if not fitted.mapping.keys:
        yield "keys were not checked: mend the mapping first"


def _take_rows(sheet: Sheet, fitted: model.Mapping, found: Validation) -> None:
    """What is wrong with the rows by themselves."""
    desired = tables.desired_table(sheet, fitted)
    found.rows += desired.rejected
    found.warnings += desired.warnings
    found.warnings += remarks.sheet_warnings(sheet, desired, fitted)
    found.sheet_rows, found.rejected_rows = desired.sheet_rows, desired.rejected_rows


def _without(fitted: model.Mapping, positions: set[int | None]) -> model.Mapping:
    """A mapping less the columns at some positions of the sheet, and without keys where one is among them."""
    columns = tuple(column for column in fitted.columns if column.position not in positions)
    is_whole = all(column.position not in positions for entry in fitted.keys for column in entry)
    return dataclasses.replace(fitted, columns=columns, keys=fitted.keys if is_whole else ())


def _take_plan(planned: planning.Planned, found: Validation) -> None:
    """What a plan says against the rows."""
    made = planned.plan
    found.rows += made.rejected
    found.warnings += [*made.warnings, *guards.stopping(made)]
    found.notes += made.notes
    found.sheet_rows, found.rejected_rows = made.sheet_rows, made.rejected_rows
