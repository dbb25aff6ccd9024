"""Planning: from a sheet that was read, and the catalog's elements, to a plan.

rows and elements are paired (pairing.py) → rows that cannot be sent are left out → what differs becomes changes
(differ.py) → guards, warnings and notes about them → Plan
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import pandas as pd

from catalogsync import base as bases
from catalogsync import (
    checks,
    differ,
    exported,
    guards,
    newoptions,
    pairing,
    plantext,
    remarks,
    runs,
    tables,
    threeway,
)
from catalogsync.api.client import Client
from catalogsync.base import Base
from catalogsync.elements import wanted_columns
from catalogsync.errors import Problem, RowsRejected
from catalogsync.forecasting import forecast_of, read_floor
from catalogsync.journal import Journal
from catalogsync.mappingfile import MappingFile
from catalogsync.model import Add, Catalog, Ceiling, Column, Schema, Update
from catalogsync.model import Mapping as SheetMapping
from catalogsync.plan import Plan, Shown, counts_of
from catalogsync.reader import ReadOptions, Sheet
from catalogsync.wording import shown_as


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
    """What would change in the catalog, by a sheet that has been read and a mapping that fits it. Sends GETs only.

    `prepare` as for `sync.plan`. Raises SheetError, with `strict` RowsRejected; ApiError.
    """
    export = exported.export_of(sheet, schema)
    mapping = export.mapping(mapping)
    desired = tables.desired_table(sheet, mapping, export.carried)
    if prepare:
        prepare(schema)
    watch.step(f"Fetching {schema.catalog_name}", None)
    made_at = client.server_now_at()
    elements = fetch_elements(client, journal, schema, wanted_columns(mapping.columns), watch)

    def address(row: int) -> str:
        return f"{remarks.source_of(sheet)}{row}"

    stored, lack = bases.load(runs.base_path(journal, schema.account_id, schema.catalog_id, mapping.name, export.name))
    known, lack = export.base(stored, lack, desired.table, mapping)
    pairs = pairing.paired(desired, elements, mapping, known, address, is_export=bool(export.name))
    existing = pairs.existing
    match, held_notes = exported.with_held_texts(pairs.match, mapping)
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
    rejected = (*desired.rejected, *pairs.problems, *zeroless, *nameless, *second)
    rejected_rows = desired.rejected_rows + sum(map(len, (pairs.problems, zeroless, nameless)))
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
            *exported.added_beside(match.desired[match.is_new], pairs.row_ids, existing.ids, address),
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
        clashes=(*diff.clashes, *pairs.clashes),
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
