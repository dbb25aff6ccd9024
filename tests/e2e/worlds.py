"""An account whose clock stands still until it is moved, and what the pipeline does to it, without the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import stamina

from catalogsync import runs, sync, undoing
from catalogsync.api.auth import Account
from catalogsync.api.client import Client, connect
from catalogsync.elements import all_columns
from catalogsync.emulator.server import Emulator
from catalogsync.journal import Journal
from catalogsync.model import Schema
from catalogsync.writer import Report, WriteOptions
from tests.api.helpers import NOW, Clock
from tests.e2e.conftest import catalog_of

CATALOG_ID = 4220
ONE_BY_ONE = WriteOptions(settle_s=0, in_flight=1)

Values = dict[str, str]
State = dict[int, Values]
"""The catalog: canonical text by column key and element id; no empty texts, no unticked boxes."""


@dataclass
class World:
    """An account with one list, a client, a journal, and a folder to put sheets in."""

    emulator: Emulator
    client: Client
    journal: Journal
    folder: Path
    clock: Clock

    def later(self, seconds: float = 10) -> None:
        """Some time passes: what was edited before it is told apart from what is edited after it."""
        self.clock.now_s += seconds

    def plan(self, table: Sequence[Mapping[str, str]], mapping: str, options: sync.PlanOptions | None = None) -> Any:
        """Plan a sheet. Sends only GETs (law 2)."""
        headers = list(dict.fromkeys(name for row in table for name in row)) or ["code", "name"]
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, headers, delimiter=";")
        writer.writeheader()
        writer.writerows(table)
        (self.folder / "sheet.csv").write_text(stream.getvalue(), encoding="utf-8", newline="")
        (self.folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
        self.emulator.clear_requests()
        planned = sync.plan(self.folder / "sheet.csv", self.folder / "mapping.yaml", self.client, self.journal, options)
        assert {arrival.method for arrival in self.emulator.requests} == {"GET"}
        return planned

    def apply(self, planned: sync.Planned, options: WriteOptions = ONE_BY_ONE) -> Report:
        """Apply a plan as an import does."""
        return sync.apply(planned.plan, self.client, self.journal, planned.schema, options, planned=planned)

    def schema(self) -> Schema:
        return self.client.schema(self.client.catalog(str(CATALOG_ID)))

    def recover(self) -> list[runs.Recovered]:
        return runs.recover(self.schema(), self.client, self.journal, ONE_BY_ONE)

    def undo_plan(self, run_id: int) -> undoing.TakenBack:
        """The plan that takes a run back. Sends only GETs."""
        self.emulator.clear_requests()
        run = self.journal.run(run_id)
        assert run is not None
        taken = sync.undo_plan(run, self.client, self.journal, sync.schema_of(run, self.client))
        assert {arrival.method for arrival in self.emulator.requests} == {"GET"}
        return taken

    def undo(self, run_id: int, options: WriteOptions = ONE_BY_ONE) -> Report:
        """Take a run back, as it was planned."""
        taken = self.undo_plan(run_id)
        return sync.apply(taken.plan, self.client, self.journal, self.schema(), options, undoes=run_id)

    def state(self) -> State:
        """What the catalog holds."""
        schema = self.schema()
        columns = all_columns(schema)
        boxes = {column.key for column in columns if column.type == "checkbox"}
        table = (
            self.client.elements(schema, columns).set_index("id").drop(columns=["updated_at", "updated_by", "linked"])
        )
        return {
            int(str(id_)): {str(key): text for key, text in row.items() if text and not (text == "0" and key in boxes)}
            for id_, row in table.to_dict("index").items()
        }


@contextmanager
def world(api: str, fields: Sequence[Mapping[str, Any]], elements: Sequence[Mapping[str, Any]] = ()) -> Iterator[World]:
    """An account with one list."""
    clock = Clock(NOW)
    with (
        stamina.set_testing(True, attempts=7, cap=True),
        TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Emulator(seed=catalog_of(fields, elements), rps=0, clock=clock) as emulator,
        connect(Account(emulator.url, emulator.token, api), rps=0) as client,
    ):
        yield World(emulator, client, Journal(Path(folder) / "journal.sqlite", clock=clock), Path(folder), clock)


def all_done(report: Report) -> Report:
    """The report of a run that did everything it was to do."""
    assert report.stopped_by is None
    assert [(r.outcome, r.message) for r in report.results if r.outcome != "done"] == []
    assert report.unsent == ()
    return report
