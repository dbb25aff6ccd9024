"""The pipeline: plan, apply, export. Start reading here.

plan     sheet file → reader → desired table ┐
         catalog → client → existing table ──┴ differ → changes → Plan           sends GETs only
apply    Plan → guards, staleness → writer → requests → Report                   everything journalled
export   catalog → client → existing table → workbook
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from catalogsync import base as bases
from catalogsync import (
    checks,
    differ,
    exported,
    fields,
    filtering,
    guards,
    newoptions,
    plantext,
    remarks,
    runs,
    stale,
    tables,
    threeway,
    undoing,
    writer,
)
from catalogsync.api.client import Client
from catalogsync.base import Base
from catalogsync.elements import all_columns, existing_table, wanted_columns
from catalogsync.errors import GuardRefused, Problem, RowsRejected, StalePlan, UserError, name_of
from catalogsync.forecasting import forecast_of, read_floor
from catalogsync.journal import Journal, Run
from catalogsync.mapping import resolve
from catalogsync.mappingfile import MappingFile, load_mapping
from catalogsync.matching import Match
from catalogsync.model import Add, Catalog, Ceiling, Column, Schema, Update
from catalogsync.model import Mapping as SheetMapping
from catalogsync.plan import Plan, Shown, counts_of
from catalogsync.readback import written_by
from catalogsync.reader import ReadOptions, Sheet, read_sheet
from catalogsync.replacing import written_beside
from catalogsync.wording import shown_as, title_in


def _silent(*_: object) -> None:
    """A step or a count that nobody watches."""


@dataclass(frozen=True)
class Watch:
    """Who hears of progress: `step` a name for what begins and its total (None: not known), `count` how far it is."""

    step: Callable[[str, int | None], None] = _silent
    count: Callable[[int], None] = _silent


@dataclass(frozen=True)
class PlanOptions:
    """What a person may say beside the mapping. Reading options set here win over the mapping's ``read:``.

    The forecast reckons with `recheck`, and with the checks of a plan that is applied later where it `is_stored`.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    strict: bool = False
    delete_unseen: bool = False
    delete_linked: bool = False
    batch_size: int = 250
    recheck: bool = True
    is_stored: bool = True
    ceilings: Mapping[str, Ceiling] = field(default_factory=dict)
    keep_sheet: bool = False


@dataclass(frozen=True)
class Planned:
    """A plan, and what an apply in the same run can use again.

    `agreed` tells what sheet and catalog agree on as far as nothing is written, `wanted` are the rows that were planned
    from.
    `editors` says of the elements that the plan speaks of when (Unix seconds) and by whom each was edited last.
    `is_part`: the sheet is a part of a catalog, so that its size says nothing about the next one's. `sheet` is what
    was read, where `PlanOptions.keep_sheet` asks for it: a result workbook is made from it.
    `reads_sent` requests were sent until it was made, `read_floor` is how many law 5 allows where nothing moves.
    """

    plan: Plan
    schema: Schema
    sheet_facts: Mapping[str, str]
    agreed: Callable[[], Base]
    wanted: pd.DataFrame
    editors: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    is_part: bool = False
    sheet: Sheet | None = None
    reads_sent: int = 0
    read_floor: int = 0

    @cached_property
    def base(self) -> Base:
        """What sheet and catalog agree on. It takes as much memory as the sheet, so it is made when it is asked for."""
        return self.agreed()


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
    schema = schema_for(client, catalog, file)
    mapping = resolve(file, schema, sheet.headers)
    return plan_of(sheet, mapping, schema, client, journal, options, watch, prepare=prepare)


def plan_of(
    sheet: Sheet,
    mapping: SheetMapping,
    schema: Schema,
    client: Client,
    journal: Journal,
    options: PlanOptions,
    watch: Watch,
    *,
    prepare: Callable[[Schema], object] | None = None,
) -> Planned:
    """As `plan`, of a sheet that has been read and a mapping that fits it."""
    export = exported.export_of(sheet, schema)
    mapping = export.mapping(mapping)
    desired = tables.desired_table(sheet, mapping, export.carried)
    if prepare:
        prepare(schema)
    watch.step(f"Fetching {schema.catalog_name}", None)
    made_at = client.server_now_at()
    elements = fetch_elements(client, journal, schema, wanted_columns(mapping.columns), watch)
    row_ids = desired.element_ids if export.name else desired.element_ids.iloc[:0]
    existing = existing_table(elements, mapping, desired.seen, row_ids)

    def address(row: int) -> str:
        return f"{remarks.source_of(sheet)}{row}"

    stored, lack = bases.load(runs.base_path(journal, schema.account_id, schema.catalog_id, mapping.name, export.name))
    known, lack = export.base(stored, lack, desired.table, mapping)
    wanted, shared = tables.without_shared(desired, existing, address)
    met = threeway.meet(wanted, existing.table, mapping, known, seen=desired.seen, ids=existing.ids)
    existing = dataclasses.replace(existing, table=met.existing)
    shared += remarks.rekeyed(met, desired, address)
    match, held_notes = exported.with_held_texts(Match.of(met.desired, met.existing), mapping)
    match, zeroless, meant = checks.without_lost_zeros(sheet, match, existing.shared, mapping, desired.seen)
    match, nameless = tables.without_names(match, address)
    second: list[Problem] = []
    if not client.capabilities.keeps_repeated_hours:
        match, second = tables.without_second_times(match, mapping, schema.timezone, address)
    sought = dataclasses.replace(desired, seen=desired.seen.append(meant))
    missing, notes = remarks.missing(
        mapping,
        sought,
        existing,
        known,
        is_part=export.is_part,
        delete_unseen=options.delete_unseen,
        delete_linked=options.delete_linked,
    )
    diff = differ.diff(match, mapping, missing, known)
    changes, shown = diff.changes, _shown(mapping, schema)
    new_options = newoptions.needed(changes, shown)
    rejected = (*desired.rejected, *shared, *zeroless, *nameless, *second)
    rejected_rows = desired.rejected_rows + sum(map(len, (shared, zeroless, nameless)))
    rejected_rows += len({problem.where for problem in second})
    updated = sum(isinstance(change, Update) and bool(change.row) for change in changes)
    last_run = guards.LastRun(*journal.last_sheet(schema.account_id, schema.catalog_id, mapping.name))
    if export.name:
        last_run = guards.LastRun() if known is None else _last_run(known)
    alarms = guards.alarms(
        match,
        dataclasses.replace(mapping, floors={}) if export.is_part else mapping,
        seen=desired.seen,
        sheet_rows=desired.sheet_rows,
        last_run=last_run,
        address=address,
        changes=changes,
    )
    batch_size = min(options.batch_size, client.capabilities.max_batch)
    made = Plan(
        account_id=schema.account_id,
        catalog_id=schema.catalog_id,
        catalog_name=schema.catalog_name,
        mapping=mapping.name,
        source=remarks.source_of(sheet),
        made_at=made_at,
        changes=changes,
        columns=shown,
        key_columns=tuple(tuple(column.key for column in entry) for entry in mapping.keys),
        existing_count=existing.element_count,
        max_id=existing.max_id,
        max_updated_at=existing.max_updated_at,
        unchanged_count=len(match.rows) - updated,
        batch_size=batch_size,
        write_requests=len(new_options) + client.write_requests(counts_of(changes), batch_size),
        rejected_rows=rejected_rows,
        sheet_rows=desired.sheet_rows,
        rejected=rejected,
        warnings=(
            *desired.warnings,
            *remarks.shared_elsewhere(existing, desired),
            *remarks.losses(match, mapping, known, address),
            *remarks.sheet_warnings(sheet, desired, mapping),
            *checks.similar_elements(sheet, match, existing.shared, mapping, desired.seen),
            *checks.lost_zeros(sheet, match, mapping),
            *newoptions.look_alikes(changes, shown, mapping.columns, address),
            *exported.added_beside(match.desired[match.is_new], row_ids, existing.ids, address),
        ),
        notes=(
            *export.notes,
            *held_notes,
            *notes,
            *remarks.without_base(mapping, lack, is_unseen_deleted=options.delete_unseen),
            *remarks.unknown_types(mapping),
        ),
        guards={**mapping.guards, **options.ceilings},
        alarms=alarms,
        clashes=(*diff.clashes, *met.clashes),
        options=new_options,
        export=export.name,
    )
    if options.strict:
        check_strict(made)
    checked = schema if options.is_stored else None
    forecast = forecast_of(made, client, recheck=options.recheck, checks=checked, elements=elements)
    made = dataclasses.replace(made, forecast=forecast)
    has_row = desired.seen.union(pd.Index(known.keys)) if export.is_part and known is not None else desired.seen
    return Planned(
        made,
        schema,
        sheet.facts,
        partial(threeway.agreed, match, mapping, known, seen=has_row, ids=existing.ids),
        match.desired,
        _editors(made, elements),
        is_part=export.is_part,
        sheet=sheet if options.keep_sheet else None,
        reads_sent=client.reads_sent,
        read_floor=read_floor(existing.element_count, schema, client),
    )


def check_strict(made: Plan) -> None:
    """Refuse a plan of a sheet some of whose rows have problems. Raises RowsRejected."""
    if made.rejected:
        name = plantext.source_words(made.source)
        raise RowsRejected(f"{name}: {made.rejected_rows} of {made.sheet_rows} rows have problems", made.rejected)


def fetch_elements(
    client: Client, journal: Journal, schema: Schema, columns: tuple[Column, ...], watch: Watch
) -> pd.DataFrame:
    """All elements; the journal knows how many there were the last time, which spares a search for the end."""
    expected_rows = journal.element_count(schema.account_id, schema.catalog_id)
    elements = client.elements(schema, columns, expected_rows=expected_rows, progress=watch.count)
    journal.remember_count(schema.account_id, schema.catalog_id, len(elements))
    return elements


def schema_for(client: Client, catalog: Catalog, file: MappingFile | None) -> Schema:
    schema = client.schema(catalog)
    if file is not None and not schema.timezone:
        return dataclasses.replace(schema, timezone=file.timezone)
    return schema


def _shown(mapping: SheetMapping, schema: Schema) -> dict[str, Shown]:
    titles = {column.key: column.header for column in mapping.columns}
    return {
        column.key: shown_as(column, schema, titles.get(column.key, "")) for column in wanted_columns(mapping.columns)
    }


def _editors(made: Plan, elements: pd.DataFrame) -> dict[int, tuple[int, int]]:
    """By element id when and by whom it was edited last, of the elements that a plan speaks of."""
    ids = {change.id for change in made.changes if not isinstance(change, Add)} | {clash.id for clash in made.clashes}
    found = elements[elements["id"].isin(ids)]
    facts = zip(found["id"].tolist(), found["updated_at"].tolist(), found["updated_by"].tolist(), strict=True)
    return {id_: (at, by) for id_, at, by in facts}


def _last_run(exported_base: Base) -> guards.LastRun:
    """What an export was like when it was made, in the place of the sheet of the last run."""
    keys = exported_base.keys[(exported_base.keys != "").to_numpy(bool)]
    return guards.LastRun(len(exported_base.ids), keys.nunique())


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
    schema = schema_for(client, catalog, file)
    columns = resolve(file, schema).columns if file else _titled_columns(schema)
    conditions = filtering.parse_conditions(where, columns)
    watch.step(f"Fetching {catalog.name}", None)
    made_at = client.server_now_at()
    elements = fetch_elements(client, journal, schema, columns, watch)
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
