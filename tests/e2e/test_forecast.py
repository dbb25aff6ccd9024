"""The forecast of a plan against what then arrives at the server, request by request."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from catalogsync import sync
from catalogsync.api.auth import Account
from catalogsync.api.client import DIALECTS, Client
from catalogsync.api.limited import RateLimited
from catalogsync.api.metered import Metered
from catalogsync.api.transport import HttpTransport, Retrying
from catalogsync.budget import Budget
from catalogsync.emulator.knobs import Knobs
from catalogsync.forecasting import seconds_of
from catalogsync.pace import Pace
from catalogsync.writer import WriteOptions
from tests.api.helpers import Clock
from tests.e2e.conftest import Shell, Start, catalog_of
from tests.e2e.worlds import all_done, world

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Amount", "type": "numeric"},
    {"id": 103, "name": "Colour", "type": "select", "enums": ["Red"]},
]
MAPPING = """
catalog: 4220
key: code
missing: delete
columns: {name: name, code: Code, amount: Amount, colour: {field: Colour, unknown: add}}
"""


@dataclasses.dataclass(frozen=True)
class Shape:
    """So many elements that stay as they are, and changes of each kind; `colours` new options among what is added."""

    stay: int = 0
    add: int = 0
    update: int = 0
    delete: int = 0
    colours: int = 0
    batch: int = 250

    def elements(self) -> list[dict[str, Any]]:
        there = self.stay + self.update + self.delete
        return [
            {"id": 50_000 + n, "name": f"P{n}", "values": {"Code": f"C{n}", "Amount": 1}} for n in range(1, there + 1)
        ]

    def rows(self) -> list[dict[str, str]]:
        kept = [(n, 1 if n <= self.stay else 2) for n in range(1, self.stay + self.update + 1)]
        rows = [{"name": f"P{n}", "code": f"C{n}", "amount": str(amount), "colour": ""} for n, amount in kept]
        return rows + [
            {"name": f"N{n}", "code": f"N{n}", "amount": "3", "colour": f"New {n}" if n <= self.colours else ""}
            for n in range(1, self.add + 1)
        ]


SHAPES = (
    Shape(add=10),
    Shape(stay=3, add=10),
    Shape(update=10, stay=1),
    Shape(delete=10, stay=200),
    Shape(stay=5, add=4, update=4, delete=2),
    Shape(stay=5, add=4, update=4, delete=2, colours=3),
    Shape(stay=5, add=8, update=7, delete=6, batch=4),
    Shape(stay=250, add=1),
    Shape(stay=500, add=1),
    Shape(stay=501, add=300, update=300),
    Shape(stay=700, add=251, update=251, delete=40, colours=2),
)
LARGE = (
    Shape(add=2_000),
    Shape(stay=10_000, add=500, update=1_000, delete=100),
    Shape(stay=100, add=7_000, update=12_000, delete=1_000),
    Shape(update=20_000),
)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start: Start) -> Any:
    def prepare(shape: Shape, api: str) -> Shell:
        monkeypatch.setenv("CATALOGSYNC_API", api)
        monkeypatch.setenv("CATALOGSYNC_BATCH", str(shape.batch))
        monkeypatch.setenv("CATALOGSYNC_DELETE_UNSEEN", "1")
        monkeypatch.setenv("CATALOGSYNC_MAX_DELETE", "100%")
        monkeypatch.chdir(tmp_path)
        Path("map.yaml").write_text(MAPPING, encoding="utf-8")
        lines = [";".join(row.values()) for row in shape.rows()]
        Path("sheet.csv").write_text("\n".join(["name;code;amount;colour", *lines]) + "\n", encoding="utf-8")
        return start(catalog_of(FIELDS, shape.elements()))

    return prepare


PLAN = ("plan", "sheet.csv", "-m", "map.yaml", "--json", "--out", "plan.json")


def planned(shell: Shell, shape: Shape) -> Any:
    """The plan, as JSON; it has the changes of the shape."""
    assert shell(*PLAN) == 0
    made = json.loads(shell.out)
    assert made["counts"] == {"add": shape.add, "update": shape.update, "delete": shape.delete}
    sent = made.pop("requests")
    assert (sent["reads"], sent["writes"]) == (len(shell.sent), 0)
    assert made == json.loads(Path("plan.json").read_text(encoding="utf-8"))
    return made


@pytest.mark.parametrize("api", ["v2", "v4"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_stored_plan_says_how_many_requests_its_apply_sends_and_that_is_how_many_arrive(
    prepared: Any, shape: Shape, api: str
) -> None:
    shell = prepared(shape, api)
    made = planned(shell, shape)
    assert shell("apply", "plan.json", "--allow", made["digest"]) == 0, shell.err
    assert made["forecast"]["requests"] == len(shell.sent)


@pytest.mark.parametrize(
    ("api", "knobs", "stay"),
    [
        ("v2", Knobs(element_order="oldest_first"), 30),
        ("v2", Knobs(element_order="oldest_first"), 1_300),
        ("v2", Knobs(ignore_limit_rows=True), 1_300),  # of one page it would not be seen that the server cuts
        ("v4", Knobs(v4_element_order="updated_at"), 30),
        ("v4", Knobs(v4_element_order="updated_at"), 1_300),
    ],
    ids=["oldest first", "oldest first, pages", "pages of 50", "by change", "by change, pages"],
)
def test_so_it_is_however_the_account_orders_and_pages_its_elements(
    prepared: Any, api: str, knobs: Knobs, stay: int
) -> None:
    shape = Shape(stay=stay, add=300, update=320)
    shell = prepared(shape, api)
    shell.emulator.knobs = knobs
    made = planned(shell, shape)
    assert shell("apply", "plan.json", "--allow", made["digest"]) == 0, shell.err
    assert made["forecast"]["requests"] == len(shell.sent)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("api", ["v2", "v4"])
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_so_it_is_for_large_plans(prepared: Any, shape: Shape, api: str) -> None:
    shell = prepared(shape, api)
    made = planned(shell, shape)
    assert shell("apply", "plan.json", "--allow", made["digest"]) == 0, shell.err
    assert made["forecast"]["requests"] == len(shell.sent)


@pytest.mark.parametrize("api", ["v2", "v4"])
@pytest.mark.parametrize("more", [(), ("--no-recheck",)])
def test_an_import_forecasts_what_comes_after_planning(prepared: Any, api: str, more: tuple[str, ...]) -> None:
    shape = Shape(stay=40, add=6, update=6, delete=6, colours=1, batch=3)
    shell = prepared(shape, api)
    reads = len(shell.sent) if shell(*PLAN) == 0 else 0
    digest = json.loads(shell.out)["digest"]
    assert shell("import", "sheet.csv", "-m", "map.yaml", "--yes", "--json", "--allow", digest, *more) == 0
    told = json.loads(shell.out)
    first_write = next(n for n, arrival in enumerate(shell.sent) if arrival.method != "GET")
    assert told["plan"]["forecast"]["requests"] == len(shell.sent) - reads
    assert first_write >= reads


def test_a_plan_that_changes_nothing_takes_nothing(prepared: Any) -> None:
    shell = prepared(Shape(stay=5), "v2")
    assert planned(shell, Shape(stay=5))["forecast"] == {"requests": 0, "seconds": 0.0}


def test_people_read_it_too(prepared: Any) -> None:
    shell = prepared(Shape(add=10), "v2")
    assert shell("plan", "sheet.csv", "-m", "map.yaml") == 0
    assert "\n1 write request and 4 reads. Digest " in shell.out


# --- the floor of reads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["v2", "v4"])
def test_an_unchanged_catalog_of_ten_thousand_takes_no_write_and_reads_at_the_floor(prepared: Any, api: str) -> None:
    shell = prepared(Shape(stay=10_000), api)
    shell(*PLAN)  # since then it is known how many there are
    assert shell("import", "sheet.csv", "-m", "map.yaml", "--yes", "--json") == 0
    assert {arrival.method for arrival in shell.sent} == {"GET"}
    told = json.loads(shell.out)["requests"]
    assert (told["reads"], told["planning_reads"]) == (len(shell.sent), len(shell.sent))
    assert (told["writes"], told["throttled"]) == (0, 0)
    pages, ahead = {"v2": (20, 2), "v4": (40, 0)}[api]
    others = {"v2": 2, "v4": 3}[api]  # list, account, and v4's fields
    assert told["planning_reads"] <= told["planning_floor"] <= pages + ahead + 2 + others


def test_v_tells_what_was_sent(prepared: Any) -> None:
    shell = prepared(Shape(add=2), "v2")
    assert shell("import", "sheet.csv", "-m", "map.yaml", "--yes", "-v") == 0
    words = "Requests sent: 4 reads, 1 writes. Planning took 3 reads; if nothing moves it takes 4 at most."
    assert words in shell.err


def test_what_plan_prints_as_json_can_be_applied(prepared: Any) -> None:
    shell = prepared(Shape(add=2), "v2")
    assert shell("plan", "sheet.csv", "-m", "map.yaml", "--json") == 0
    Path("printed.json").write_text(shell.out, encoding="utf-8")
    assert shell("apply", "printed.json") == 0


# --- time ----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=7, cap=True):
        yield


@pytest.mark.parametrize(
    ("head", "rest", "latency_s", "pace", "seconds"),
    [
        (0, 1, 0.0, Pace(7), 0.0),
        (0, 8, 0.0, Pace(7), 7 / 6.6),  # the eighth turn begins another group
        (7, 8, 0.0, Pace(7), 14 / 6.6),  # what comes one by one takes turns as well
        (10, 1, 1.0, Pace(7), 11.0),  # answers one by one, slower than the pace
        (10, 8, 1.0, Pace(7), 10 + 7 / 4 + 1),  # answers four at a time, slower than the pace
        (10, 71, 0.2, Pace(7), 10 * 0.2 + 70 / 6.6 + 0.2),  # answers first, then the pace
        (2, 5, 0.3, None, 2 * 0.3 + 4 * 0.3 / 4 + 0.3),
    ],
)
def test_the_time_is_that_of_the_turns_or_of_the_answers_whichever_is_longer(
    head: int, rest: int, latency_s: float, pace: Pace | None, seconds: float
) -> None:
    assert seconds_of(head, rest, 4, latency_s, pace) == pytest.approx(seconds)


@pytest.mark.parametrize("api", ["v2", "v4"])
@pytest.mark.parametrize("shape", [SHAPES[6], SHAPES[9]], ids=str)
@pytest.mark.parametrize("rps", [7, 2])
def test_the_time_is_what_the_pace_takes_by_the_clock_of_the_rate_limit(
    tmp_path: Path, api: str, shape: Shape, rps: float
) -> None:
    with world(api, FIELDS, shape.elements()) as made:
        budget = Budget(clock=Clock())  # stands still: the server takes no time
        budget.pace = Pace(rps)
        metered = Metered(HttpTransport(Account(made.emulator.url, made.emulator.token)), budget)
        limited = RateLimited(
            metered,
            turns_file=tmp_path / "turns",
            pace=budget.pace,
            clock=made.clock,
            sleep=made.clock.sleep,
            budget=budget,
        )
        made.client = Client(DIALECTS[api](), Retrying(limited, budget=budget), budget)
        options = sync.PlanOptions(delete_unseen=True, batch_size=shape.batch, is_stored=False)
        plan = made.plan(shape.rows(), MAPPING, options)
        made.later(1)
        began_at, sent = made.clock(), budget.requests_sent
        all_done(made.apply(plan, WriteOptions(settle_s=0, in_flight=1)))
        forecast = plan.plan.forecast
        assert forecast.requests == budget.requests_sent - sent
        assert forecast.seconds == pytest.approx(made.clock() - began_at, rel=0.05)
