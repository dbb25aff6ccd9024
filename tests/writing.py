"""What the tests of writing share: changes by number, runs in either dialect, a clock that sleeps move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from catalogsync import writer
from catalogsync.api.auth import Account
from catalogsync.api.client import DIALECTS, Client
from catalogsync.api.transport import HttpTransport, Retrying
from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.server import Emulator
from catalogsync.journal import Journal
from catalogsync.model import Add, Change, Delete, Update
from catalogsync.plan import Plan, Shown
from catalogsync.stopping import Stop
from tests.api.helpers import CATALOG_ID, NOW, SCHEMA, Clock, columns, made_plan, product, seed

APIS = ("v2", "v4")
SEEDED = 8
READ_AT = NOW - 86_400
ONE_BY_ONE = writer.WriteOptions(settle_s=0, in_flight=1)


def add(op: int, **values: str) -> Add:
    """A new element: name and vendor code by the operation's number."""
    return Add(op, f"N{op}", op + 1, {"name": f"New {op}", "4400049": f"N{op}", **values})


def update(op: int, number: int, amount: str = "7", *, updated_at: int = READ_AT) -> Update:
    """A new amount for a seeded element."""
    return Update(op, f"V{number}", op + 1, 50_000 + number, updated_at, {"4400050": ""}, {"4400050": amount})


def delete(op: int, number: int) -> Delete:
    """One of the seeded elements goes."""
    return Delete(op, f"V{number}", 50_000 + number, f"Product {number}", READ_AT)


def plan_of(*changes: Change, batch_size: int = 250, seeded: int = SEEDED, **differs: Any) -> Plan:
    """A plan that was made of the seeded catalog."""
    shown = {key: Shown(key) for key in ("name", "4400049", "4400050")}
    facts = {"existing_count": seeded, "max_id": 50_000 + seeded, "max_updated_at": READ_AT, "columns": shown}
    return replace(made_plan(*changes, batch_size=batch_size), **{**facts, **differs})


class Ticking(Stop):
    """A sleep moves the clock and is over."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)


@dataclass
class World:
    """An account in one dialect, its journal, and the clock that all go by."""

    emulator: Emulator
    client: Client
    journal: Journal
    clock: Clock
    api: str
    reports: list[writer.Report] = field(default_factory=list)

    def apply(self, *changes: Change, batch_size: int = 250, in_flight: int = 1, **options: Any) -> writer.Report:
        """Write these; one batch after the other and without a settling time, unless told otherwise."""
        plan = plan_of(*changes, batch_size=batch_size)
        return self.apply_plan(plan, in_flight=in_flight, **options)

    def apply_plan(self, plan: Plan, **options: Any) -> writer.Report:
        """Write a plan."""
        told = writer.WriteOptions(**{"settle_s": 0, "in_flight": 1, "stop": Ticking(self.clock), **options})
        self.emulator.clear_requests()
        report = writer.apply(plan, SCHEMA, self.client, self.journal, told)
        self.reports.append(report)
        return report

    @property
    def methods(self) -> list[str]:
        """The methods of the requests since the last apply began."""
        return [request.method for request in self.emulator.requests]

    @property
    def writes(self) -> list[Any]:
        """The bodies of the writes since the last apply began."""
        return [request.body for request in self.emulator.requests if request.method != "GET"]

    @property
    def sizes(self) -> list[int]:
        """How many changes each write carried."""
        return [len(b) if isinstance(b, list) else sum(map(len, b.values())) for b in self.writes]

    def states(self, run_id: int = 1) -> list[Any]:
        """What the journal says of each request."""
        return [batch["state"] for batch in self.journal.batches(run_id)]

    def codes(self) -> dict[str, list[int]]:
        """Vendor code → ids of the elements that hold it."""
        table = self.client.elements(SCHEMA, columns("4400049"))
        found: dict[str, list[int]] = {}
        for id_, code in zip(table["id"].tolist(), table["4400049"].tolist(), strict=True):
            found.setdefault(code, []).append(id_)
        return found

    def amounts(self) -> dict[str, str]:
        """Vendor code → amount; a code that two elements hold is an error."""
        table = self.client.elements(SCHEMA, columns("4400049", "4400050"))
        assert table["4400049"].is_unique
        return dict(zip(table["4400049"], table["4400050"], strict=True))


def outcomes(report: writer.Report) -> list[tuple[int, str, int | None]]:
    """What became of each change, without the words."""
    return [(result.op, result.outcome, result.id) for result in report.results]


@contextmanager
def world(
    folder: Path,
    api: str = "v2",
    *,
    seeded: Sequence[Any] | None = None,
    knobs: Knobs | None = None,
    read_timeout_s: float = 30,
) -> Iterator[World]:
    """An account with the products 1 to 8 in one dialect, without a rate limit."""
    clock = Clock()
    elements = [product(number) for number in range(1, SEEDED + 1)] if seeded is None else seeded
    with Emulator(seed=seed(*elements), rps=0, clock=clock, knobs=knobs) as emulator:
        transport = HttpTransport(Account(emulator.url, emulator.token), read_timeout_s=read_timeout_s)
        with Client(DIALECTS[api](), Retrying(transport)) as client:
            yield World(emulator, client, Journal(folder / "journal.sqlite", clock=clock), clock, api)


ELEMENTS = {"v2": "/api/v2/catalog_elements", "v4": f"/api/v4/catalogs/{CATALOG_ID}/elements"}
