"""The pipeline: plan, apply, export. Start reading here.

plan     sheet file → reader → desired table ┐
         catalog → client → existing table ──┴ differ → changes → Plan           sends GETs only (planning.py)
apply    Plan → guards, staleness → writer → requests → Report                   everything journalled
export   catalog → client → existing table → workbook
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from catalogsync import (
    fields,
    filtering,
    guards,
    newoptions,
    planning,
    runs,
    stale,
    undoing,
    writer,
)
from catalogsync.api.client import Client
from catalogsync.collecting import rare_collections
from catalogsync.elements import all_columns
from catalogsync.errors import GuardRefused, Problem, StalePlan, UserError, name_of
from catalogsync.journal import Journal, Run
from catalogsync.mapping import resolve
from catalogsync.mappingfile import load_mapping
from catalogsync.model import Add, Ceiling, Column, Schema
from catalogsync.plan import Plan
from catalogsync.planning import Planned as Planned
from catalogsync.planning import PlanOptions as PlanOptions
from catalogsync.planning import Watch as Watch
from catalogsync.readback import written_by
from catalogsync.reader import read_sheet
from catalogsync.replacing import written_beside
from catalogsync.wording import title_in


def plan(
    sheet_path: Path,
    mapping_path: Path,
    client: Client,
    journal: Journal,
    options: PlanOptions | None = None,
    watch: Watch | None = None,
    *,
    prepare: Callable[[Schema], object] | None = None,
) -> Planned:
    """What would change in the catalog. Sends GETs only.

    `prepare` is called when the catalog is known, before its elements are read: an import that is going to write
    takes the catalog's lock there, and settles what an earlier run left in doubt.

    Raises SheetError, MappingError and, with `strict`, RowsRejected; ApiError where the account does not answer.
    """
    options, watch = options or PlanOptions(), watch or Watch()
    file = load_mapping(mapping_path)
    watch.step(f"Reading {sheet_path.name}", None)
    sheet = read_sheet(sheet_path, file.read_options(options.read), expect=file.headers)
    catalog = client.catalog(file.catalog)
    schema = planning.schema_for(client, catalog, file)
    mapping = resolve(file, schema, sheet.headers)
    return planning.plan_of(sheet, mapping, schema, client, journal, options, watch, prepare=prepare)


# --- apply ---------------------------------------------------------------------------------------------------


def check_guards(
    made: Plan, ceilings: Mapping[str, Ceiling] | None = None, allow: str = "", *, has_sheet: bool = True
) -> None:
    """Refuse a plan that a ceiling or an alarm stops, unless `allow` is its digest. Raises GuardRefused."""
    problems = guards.stopping(made, ceilings, has_sheet=has_sheet)
    if problems and allow != made.digest:
        raise GuardRefused(
            f"refused, nothing was written. To let this one plan through: --allow {made.digest}", problems
        )


def apply(
    made: Plan,
    client: Client,
    journal: Journal,
    schema: Schema,
    options: writer.WriteOptions | None = None,
    *,
    planned: Planned | None = None,
    undoes: int | None = None,
    watch: Watch | None = None,
) -> writer.Report:
    """Send a plan's changes. Guards and staleness are checked by the caller, before, under the catalog's lock.

    `planned` where the plan was made in this run: what sheet and catalog agree on anyway is remembered too.
    """
    watch = watch or Watch()
    watch.step(f"Writing {made.catalog_name}", len(made.changes))
    if planned:
        runs.keep_pending(journal, made, planned.base)

    def remember_run(report: writer.Report) -> None:
        stored = {each.id: each.values for each in report.stored.values()}
        done = newoptions.with_ids(made, report.options)
        wanted = newoptions.rows_with_ids(planned.wanted, report.options) if planned else None
        runs.remember(journal, done, report.results, stored, wanted=wanted, digest=made.digest)
        if planned and not made.export and not planned.is_part and not report.stopped_by:
            journal.remember_sheet(made)

    with rare_collections():
        return writer.apply(
            made, schema, client, journal, options, undoes=undoes, progress=watch.count, before_end=remember_run
        )


def keep_for_apply(planned: Planned, journal: Journal) -> None:
    """Keep what a stored plan need not carry, but its apply remembers: on what sheet and catalog agree already."""
    runs.keep_pending(journal, planned.plan, planned.base)


def remember(planned: Planned, journal: Journal) -> None:
    """Keep what sheet and catalog agree on where there was nothing to write, as the base of the next run."""
    runs.keep_pending(journal, planned.plan, planned.base)
    runs.remember(journal, planned.plan, (), {})
    if not planned.plan.export and not planned.is_part:
        journal.remember_sheet(planned.plan)


def schema_of(run: Run, client: Client) -> Schema:
    """The schema of a run's catalog. Raises UserError where the account is another one."""
    try:
        schema = client.schema(client.catalog(str(run.plan.catalog_id)))
    except UserError as error:
        where = f"catalog {run.plan.catalog_id} of account {run.plan.account_id}"
        raise UserError(f"run {run.id} wrote to {where}, which is not there: {error}") from None
    if schema.account_id != run.plan.account_id:
        raise UserError(f"run {run.id} is of account {run.plan.account_id}, this is account {schema.account_id}")
    zones = (shown.timezone for shown in run.plan.columns.values())  # the mapping's, where the account does not say
    return dataclasses.replace(schema, timezone=schema.timezone or next(filter(None, zones), ""))


def resume(
    run: Run, client: Client, journal: Journal, schema: Schema, options: writer.WriteOptions, watch: Watch | None = None
) -> tuple[Plan, writer.Report | None, tuple[Problem, ...]]:
    """Send what is left of a run that ended early, after what was in doubt has been settled.

    The plan of what was left, its report (None where nothing was left), and what was left out as overtaken.
    Raises StalePlan where a field is gone that is still to be written.
    """
    left, overtaken = runs.remaining(run, journal.operations(run.id), schema, client)
    written = {key for change in left.changes for key in written_by(change)}
    problems = list(stale.columns(left, schema, written))
    if problems:
        raise StalePlan("the catalog changed since the run; nothing was written. Plan again", problems)
    journal.found(run.id, overtaken)
    if not left.changes:
        if overtaken:
            journal.finish(run.id, "done", run.message)
        return left, None, runs.told(run, overtaken)
    report = apply(left, client, journal, schema, options, undoes=run.undoes, watch=watch)
    return left, report, runs.told(run, overtaken)


def undo_plan(
    run: Run, client: Client, journal: Journal, schema: Schema, watch: Watch | None = None
) -> undoing.TakenBack:
    """The plan that takes a run back, as far as nobody changed since what it wrote."""
    watch = watch or Watch()
    watch.step(f"Looking at {schema.catalog_name}", None)
    earlier_ids = tuple(sorted(each["id"] for each in journal.runs() if each["undoes"] == run.id))
    brought_back = (o for id_ in earlier_ids for o in journal.operations(id_) if isinstance(o.change, Add))
    earlier = undoing.Earlier(earlier_ids, frozenset(o.element_id for o in brought_back if o.element_id is not None))
    count = journal.element_count(schema.account_id, schema.catalog_id)
    return undoing.taken_back(
        run,
        journal.operations(run.id),
        schema,
        client,
        element_count=run.plan.existing_count if count is None else count,
        earlier=earlier,
        added_options=journal.options(run.id),
    )


def check_stored(
    made: Plan, client: Client, watch: Watch | None = None, *, prepare: Callable[[Schema], object] | None = None
) -> Schema:
    """Whether a stored plan still fits the catalog; its schema. Raises StalePlan with everything that changed.

    `prepare` as for `plan`. Looks at every element that the plan touches, and at those that are newer than the plan.
    """
    watch = watch or Watch()
    watch.step("Checking the plan", None)
    catalog = client.catalog(str(made.catalog_id))
    schema = client.schema(catalog)
    if schema.account_id != made.account_id:
        raise StalePlan(f"the plan is for account {made.account_id}, this is account {schema.account_id}")
    if prepare:
        prepare(schema)
    problems = stale.problems_of(made, schema, client)
    if problems:
        raise StalePlan("the catalog changed since the plan was made; nothing was written. Plan again", problems)
    return schema


# --- export --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exported:
    """What became of an export: the file that was written, another than asked for where that one was in use."""

    path: Path
    element_count: int
    left_out_count: int = 0


def export(
    catalog_name: str,
    path: Path,
    client: Client,
    journal: Journal,
    mapping_path: Path | None = None,
    watch: Watch | None = None,
    *,
    where: Sequence[str] = (),
    is_protected: bool = False,
) -> Exported:
    """Write a catalog to a workbook or CSV file: the mapping's columns, or all fields.

    `where` are conditions (filtering.py) that every element written fulfils.
    """
    from catalogsync import workbook  # to plan takes no writer of workbooks

    watch = watch or Watch()
    if path.suffix.lower() not in workbook.WRITERS:
        raise UserError(f"{path.name}: write to one of {', '.join(workbook.WRITERS)}")
    file = load_mapping(mapping_path) if mapping_path else None
    catalog = client.catalog(catalog_name or (file.catalog if file else ""))
    schema = planning.schema_for(client, catalog, file)
    columns = resolve(file, schema).columns if file else _titled_columns(schema)
    conditions = filtering.parse_conditions(where, columns)
    watch.step(f"Fetching {catalog.name}", None)
    made_at = client.server_now_at()
    elements = planning.fetch_elements(client, journal, schema, columns, watch)
    chosen = filtering.matching(elements, conditions)
    watch.step(f"Writing {path.name}", None)
    about = workbook.About(
        schema.account_id,
        schema.catalog_id,
        catalog.name,
        made_at,
        schema.timezone,
        mapping=name_of(mapping_path) if mapping_path else "",
        tab=file.sheet if file else "",
        where=tuple(condition.text for condition in conditions),
    )
    write = workbook.WRITERS[path.suffix.lower()]
    written = written_beside(path, lambda free: write(free, chosen, columns, about, is_protected=is_protected))
    return Exported(written, len(chosen), len(elements) - len(chosen))


def _titled_columns(schema: Schema) -> tuple[Column, ...]:
    """A column for the name, for every field, and for every subtype of a composite field."""
    columns = [
        dataclasses.replace(column, header=title_in(column))
        for column in all_columns(schema)
        if column.subtype != fields.OTHER_PARTS
    ]
    repeated = pd.Series([column.header for column in columns]).duplicated(keep=False)
    return tuple(
        dataclasses.replace(column, header=f"{column.header} ({column.key})") if is_repeated else column
        for column, is_repeated in zip(columns, repeated, strict=True)
    )
