"""A first mapping: reads the sheet and the catalog, proposes, and if asked creates the fields that are lacking."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from catalogsync.api.client import Client, Progress
from catalogsync.elements import all_columns
from catalogsync.errors import InDoubt
from catalogsync.journal import Journal
from catalogsync.lock import exclusive
from catalogsync.model import NewField, Schema
from catalogsync.proposing.proposal import Proposal, propose
from catalogsync.reader import ReadOptions, Sheet, read_sheet


@dataclass(frozen=True)
class Draft:
    """A proposal and what it was made from. `elements` is what the catalog held, as text by column key."""

    sheet: Sheet
    schema: Schema
    elements: pd.DataFrame
    proposal: Proposal

    def again(self, schema: Schema) -> Draft:
        """The same with other fields."""
        return dataclasses.replace(self, schema=schema, proposal=propose(self.sheet, schema, self.elements))


def draft(
    sheet_path: Path,
    catalog_name: str,
    client: Client,
    journal: Journal,
    read: ReadOptions,
    progress: Progress | None = None,
) -> Draft:
    """Propose a mapping for a sheet and a catalog (id or exact name). Sends GETs only.

    Raises SheetError, UserError where there is no such catalog, ApiError where the account does not answer.
    """
    sheet = read_sheet(sheet_path, read)
    schema = client.schema(client.catalog(catalog_name))
    expected_rows = journal.element_count(schema.account_id, schema.catalog_id)
    columns = all_columns(schema)
    elements = client.elements(schema, columns, expected_rows=expected_rows, progress=progress)
    journal.remember_count(schema.account_id, schema.catalog_id, len(elements))
    return Draft(sheet, schema, elements, propose(sheet, schema, elements))


def create_fields(
    wanted: Sequence[NewField],
    schema: Schema,
    client: Client,
    journal: Journal,
    *,
    settle_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Schema, tuple[NewField, ...]]:
    """Create fields, but none whose name the catalog has: the schema afterwards, and those that were created.

    After a lost answer nothing is sent again: the fields are read, and read again after the settling time. Raises
    InDoubt where some are still not there; the next run creates those only. Raises Refused where the account says no.
    """
    with exclusive(journal.folder, schema.account_id, schema.catalog_id):
        missing = _missing(wanted, _read_again(schema, client))
        try:
            if missing:
                client.add_fields(schema.catalog_id, missing)
            after = _read_again(schema, client)
        except InDoubt as lost:
            after = _settled(missing, schema, client, settle_s, sleep, lost)
        return after, tuple(missing)


def _settled(
    missing: Sequence[NewField],
    schema: Schema,
    client: Client,
    settle_s: float,
    sleep: Callable[[float], None],
    lost: InDoubt,
) -> Schema:
    for wait_s in (0.0, settle_s):
        sleep(wait_s)
        after = _read_again(schema, client)
        absent = _missing(missing, after)
        if not absent:
            return after
    names = ", ".join(field.name for field in absent)
    what = f"the answer was lost ({lost.message}), and {len(absent)} of {len(missing)} fields are not there: {names}"
    raise InDoubt(f"{what}. Run the same command again: it creates only what is missing") from None


def _missing(wanted: Sequence[NewField], schema: Schema) -> list[NewField]:
    known = {field.name for field in schema.fields}
    return [field for field in wanted if field.name not in known]


def _read_again(schema: Schema, client: Client) -> Schema:
    return client.schema(client.catalog(str(schema.catalog_id)))
