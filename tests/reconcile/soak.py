"""A soak test: two jobs for simulated months, with edits on both sides, outages, lost answers and killed processes.

    python -m tests.reconcile.soak --days 90 --seed 1

Every 15 minutes of a fake clock each job takes a turn. Meanwhile sheets are edited, broken and taken away, colleagues
edit, add and delete products, the account answers with errors or not at all, and now and then the process that takes a
turn is killed at one of its requests. Afterwards the outcomes are held against the alerts that were sent, the runs
against each other, the catalogs against the sheets, and the files against a bound.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from catalogsync.api.auth import Account
from catalogsync.api.client import DIALECTS, Client
from catalogsync.api.dialect import Request, Response
from catalogsync.api.metered import Metered
from catalogsync.api.transport import HttpTransport, Retrying, Transport
from catalogsync.budget import Budget
from catalogsync.emulator.faults import Fault, When
from catalogsync.emulator.server import Emulator
from catalogsync.journal import Journal
from catalogsync.reconcile.addresses import Address
from catalogsync.reconcile.alerts import Alerts
from catalogsync.reconcile.alertwords import subject_of
from catalogsync.reconcile.outcome import Outcome
from catalogsync.reconcile.project import EVENTS, AccountSpec, Event, JobSpec, load_project
from catalogsync.reconcile.running import Jobs
from catalogsync.reconcile.state import Memory, scope_of
from catalogsync.writer import WriteOptions

STEP_S = 900
START_AT = 1_800_000_000
JOBS = {"prices": 4220, "stock": 4230}
MOST_STATE_BYTES = 40_000_000
"""What journal, base and memory may take in the end, however long it went on."""

FIELDS = [
    {"name": "Code", "type": "text"},
    {"name": "Price", "type": "price"},
    {"name": "Note", "type": "text"},
]
MAPPING = """catalog: {catalog}
key: code
columns:
  code: Code
  name: name
  price: {{field: Price, owner: sheet}}
  note: {{field: Note, owner: sheet}}
missing: delete
guards: {{delete: 40%, rows: 30%, matched: 30%}}
"""


class _Killing:
    """A transport whose process ends at its n-th request: before it goes out, or after its answer came."""

    def __init__(self, inner: Transport, nth: int, *, is_after: bool) -> None:
        self._inner, self._left, self._is_after = inner, nth, is_after

    def send(self, request: Request) -> Response:
        self._left -= 1
        if not self._left and not self._is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = self._inner.send(request)
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    def close(self) -> None:
        self._inner.close()


@dataclass(frozen=True)
class Place:
    """Where everything lies, and who answers: all that another process needs to take a turn."""

    folder: Path
    url: str
    token: str
    api: str

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def jobs(self, now_at: float, *, dies_at: tuple[int, bool] | None = None) -> Jobs:
        """The jobs, as a process at this moment runs them."""

        @contextmanager
        def connect(account: AccountSpec | None, job: JobSpec) -> Iterator[Client]:
            budget = Budget()
            http: Transport = HttpTransport(Account(self.url, self.token, self.api), read_timeout_s=5)
            http = Metered(http, budget)
            if dies_at:
                http = _Killing(http, dies_at[0], is_after=dies_at[1])
            sender = Retrying(http, attempts=2, wait_s=0.0, max_wait_s=0.0, budget=budget)
            with Client(DIALECTS[self.api](), sender, budget) as client:
                yield client

        journal = Journal(self.state / "journal.sqlite", clock=lambda: now_at)
        project = load_project(self.folder / "catalogsync.yaml")
        memory = Memory(self.state / "reconcile.sqlite")
        times: dict[str, Any] = {"now": lambda: now_at, "sleep": lambda _: None}
        return Jobs(project, memory, journal, connect, options=WriteOptions(settle_s=0), **times)

    def take_turn(self, job: str, now_at: float, *, dies_at: tuple[int, bool] | None = None) -> list[Outcome]:
        """A turn as `reconcile` takes it, with its alerts; both are written down for the judge."""
        jobs = self.jobs(now_at, dies_at=dies_at)
        outcomes = list(jobs.turn(job))
        for outcome in outcomes:
            self._write("outcomes", {"job": job, "at": now_at, "events": outcome.events, "code": outcome.exit_code,
                                     "is_skipped": outcome.is_skipped, "words": outcome.words})  # fmt: skip
            alerts = self.alerts(job)
            alerts.note(outcome, now_at)
            alerts.deliver(now_at)
        return outcomes

    def alerts(self, job: str) -> Alerts:
        project = load_project(self.folder / "catalogsync.yaml")
        memory = Memory(self.state / "reconcile.sqlite")

        def send(_address: Address, subject: str, _body: str) -> None:
            self._write("alerts", {"job": job, "subject": subject})

        return Alerts(memory, scope_of(project.path, job), project.job(job).alerts, send=send)

    def _write(self, name: str, record: Mapping[str, Any]) -> None:
        with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


@dataclass
class Soak:
    """The world around the jobs, moved by chance."""

    place: Place
    emulator: Emulator
    chance: random.Random
    clock: list[float]
    sheets: dict[str, dict[str, tuple[str, str, str]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    outage_steps: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    often: float = 1.0

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self.clock[0] += STEP_S
            self._happen()
            for job in JOBS:
                self._turn(job)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _turn(self, job: str) -> None:
        now_at = self.clock[0]
        if self.chance.random() < 0.008 * self.often:
            self._count("killed turns")
            nth, is_after = self.chance.randint(1, 12), self.chance.random() < 0.5
            arguments = {"folder": str(self.place.folder), "url": self.place.url, "api": self.place.api, "job": job,
                         "now_at": now_at, "nth": nth, "is_after": is_after}  # fmt: skip
            environment = {**os.environ, "SOAK_TOKEN": self.place.token}
            command = [sys.executable, "-m", "tests.reconcile.soak", "--child", json.dumps(arguments)]
            subprocess.run(command, env=environment, check=False, capture_output=True, timeout=60)
            return
        if self.chance.random() < 0.01:
            self._count("turns at once")
            threads = [threading.Thread(target=self.place.take_turn, args=(job, now_at)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return
        self._count("turns")
        self.place.take_turn(job, now_at)

    # --- what happens meanwhile ---

    def _happen(self) -> None:
        roll = self.chance.random
        self.emulator.faults.clear()
        if self.outage_steps:
            self.outage_steps -= 1
            self.emulator.faults.add(Fault("status", status=self.chance.choice([500, 502, 503]), count=0))
        elif roll() < 0.01 * self.often:
            self._count("outages")
            self.outage_steps = self.chance.randint(1, 20)
        elif roll() < 0.05:
            self._count("lost answers")
            when: When = self.chance.choice(["before", "after", "half"])
            self.emulator.faults.add(
                Fault("status", "POST", status=504, when=when, nth=1, count=self.chance.randint(1, 2))
            )
        elif roll() < 0.05:
            self._count("bad reads")
            self.emulator.faults.add(
                Fault("status", "GET", status=self.chance.choice([500, 429]), nth=self.chance.randint(1, 8))
            )
        for job, catalog_id in JOBS.items():
            if self.broken.get(job, 0):
                self.broken[job] -= 1
                if not self.broken[job]:
                    self._write_sheet(job)
            elif roll() < 0.01:
                self._count("broken sheets")
                self.broken[job] = self.chance.randint(1, 12)
                path = self.place.folder / f"{job}.csv"
                if roll() < 0.5:
                    path.unlink()
                else:
                    path.write_text(
                        "code,name,price,note\n1,Oak,cheap,\n" if roll() < 0.5 else "\x00\x01", encoding="utf-8"
                    )
            elif roll() < 0.15:
                self._edit_sheet(job)
            if roll() < 0.05:
                self._edit_catalog(catalog_id)

    def _edit_sheet(self, job: str) -> None:
        self._count("sheet edits")
        rows = self.sheets[job]
        roll = self.chance.random()
        if roll < 0.15 and len(rows) < 30:
            code = f"{self.chance.randrange(10**6):06}"
            rows[code] = (f"Product {code}", str(self.chance.randint(1, 999)), "")
        elif roll < 0.3 and len(rows) > 8:
            del rows[self.chance.choice(sorted(rows))]
        else:
            code = self.chance.choice(sorted(rows))
            rows[code] = (rows[code][0], str(self.chance.randint(1, 999)), self.chance.choice(["", "new", "Ünïcode"]))
        self._write_sheet(job)

    def _write_sheet(self, job: str) -> None:
        with (self.place.folder / f"{job}.csv").open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["code", "name", "price", "note"])
            lines.writerows([code, *cells] for code, cells in self.sheets[job].items())

    def _edit_catalog(self, catalog_id: int) -> None:
        self._count("colleagues' edits")
        store = self.emulator.store
        elements = list(store.elements(catalog_id))
        roll = self.chance.random()
        if roll < 0.1:
            store.add_as_other_user(catalog_id, "By hand", {"Price": "1"})
        elif roll < 0.2 and len(elements) > 6:
            gone = self.chance.choice(elements)
            store.delete_as_other_user(gone.id)
            self.deleted.update(_text(value) for value in gone.values.values())
        elif elements:
            values: dict[int | str, object] = {"Price": str(self.chance.randint(1, 999))}
            store.edit_as_other_user(self.chance.choice(elements).id, values=values)

    # --- the judge ---

    def settle(self) -> list[str]:
        """Let everything be well again, and take turns until both jobs are in step; what is still wrong."""
        self.emulator.faults.clear()
        self.outage_steps, wrong = 0, []
        for job in JOBS:
            self.broken[job] = 0
            self._write_sheet(job)
        for _ in range(4):
            self.clock[0] += STEP_S
            last = {job: self.place.take_turn(job, self.clock[0]) for job in JOBS}
        for job, outcomes in last.items():
            if [(outcome.exit_code, outcome.writes) for outcome in outcomes] != [(0, 0)]:
                wrong.append(f"{job} is not in step in the end: {outcomes}")
        return wrong

    def judge(self) -> list[str]:
        """Everything that is not as it should be."""
        return [
            *self.settle(),
            *self._judge_catalogs(),
            *self._judge_alerts(),
            *self._judge_runs(),
            *self._judge_size(),
        ]

    def _judge_catalogs(self) -> Iterator[str]:
        for job, catalog_id in JOBS.items():
            names = {field.id: field.name for field in self.emulator.store.fields(catalog_id).values()}
            held: dict[str, list[tuple[str, str, str]]] = {}
            for element in self.emulator.store.elements(catalog_id):
                texts = {names[id_]: _text(value) for id_, value in element.values.items()}
                if texts.get("Code"):
                    cells = (element.name, texts.get("Price", ""), texts.get("Note", ""))
                    held.setdefault(texts["Code"], []).append(cells)
            wanted = {code: [cells] for code, cells in self.sheets[job].items()}
            apart = {code for code in {*held, *wanted} if held.get(code) != wanted.get(code)}
            # What a colleague deleted is not added again while its row stays as it is.
            apart -= {code for code in self.deleted if code not in held}
            if apart:
                yield f"{job}: the catalog differs from the sheet at {sorted(apart)[:5]}"

    def _judge_alerts(self) -> Iterator[str]:
        """Each beginning and each end is told once, in order: held against the outcomes by sets alone."""
        for job in JOBS:
            expected: list[str] = []
            is_open: set[Event] = set()
            for outcome in self.place.read("outcomes"):
                if outcome["job"] != job or outcome["is_skipped"]:
                    continue
                events: set[Event] = set(outcome["events"])
                over = set() if "failure" in events else is_open - events
                begun = events - is_open
                if begun or over:
                    in_order = ([each for each in EVENTS if each in some] for some in (begun, over))
                    expected.append(subject_of(job, *in_order))
                is_open = (is_open - over) | events
            told = [alert["subject"] for alert in self.place.read("alerts") if alert["job"] == job]
            if told != expected:
                yield f"{job}: {len(told)} alerts, {len(expected)} expected"
            self.counts[f"alerts of {job}"] = len(told)

    def _judge_runs(self) -> Iterator[str]:
        journal = Journal(self.place.state / "journal.sqlite")
        runs = sorted(journal.runs(), key=lambda run: run["id"])
        for before, after in itertools.pairwise(runs):
            if before["catalog_id"] == after["catalog_id"] and (before["ended_at"] or 0) > after["started_at"]:
                yield f"runs {before['id']} and {after['id']} overlap"
        if journal.unfinished():
            yield f"unfinished runs are left: {journal.unfinished()}"
        self.counts["runs kept"] = len(runs)

    def _judge_size(self) -> Iterator[str]:
        size = sum(path.stat().st_size for path in self.place.state.rglob("*") if path.is_file())
        self.counts["bytes of state"] = size
        if size > MOST_STATE_BYTES:
            yield f"the state takes {size:,} bytes"


def _text(value: Any) -> str:
    found = value[0] if isinstance(value, list | tuple) and value else value
    return str(getattr(found, "value", found))


@contextmanager
def soaking(folder: Path, seed: int, api: str) -> Iterator[Soak]:
    """A world with two catalogs in step with their sheets."""
    clock = [float(START_AT)]
    catalogs = [{"id": id_, "name": name, "fields": FIELDS, "elements": []} for name, id_ in JOBS.items()]
    account = {"id": 30001, "name": "Soak", "subdomain": "soak", "timezone": "UTC"}
    with Emulator(seed={"account": account, "catalogs": catalogs}, rps=0, clock=lambda: clock[0]) as emulator:
        place = Place(folder, emulator.url, emulator.token, api)
        jobs = "".join(f"  {job}: {{sheet: {job}.csv, mapping: {job}.yaml}}\n" for job in JOBS)
        defaults = "defaults: {alerts: {to: 'json://127.0.0.1'}}\n"
        (folder / "catalogsync.yaml").write_text(f"{defaults}jobs:\n{jobs}", encoding="utf-8")
        made = Soak(place, emulator, random.Random(seed), clock)
        for job, catalog_id in JOBS.items():
            (folder / f"{job}.yaml").write_text(MAPPING.format(catalog=catalog_id), encoding="utf-8")
            codes = [f"{made.chance.randrange(10**6):06}" for _ in range(12)]
            made.sheets[job] = {code: (f"Product {code}", "10", "") for code in codes}
            made._write_sheet(job)
            made.place.take_turn(job, clock[0])
        yield made


def child(arguments: Mapping[str, Any]) -> None:
    """A process that takes a turn and is killed in it, unless the turn has fewer requests."""
    place = Place(Path(arguments["folder"]), arguments["url"], os.environ["SOAK_TOKEN"], arguments["api"])
    place.take_turn(arguments["job"], arguments["now_at"], dies_at=(arguments["nth"], arguments["is_after"]))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=float, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--api", default="v2")
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child))
        return 0
    with TemporaryDirectory() as folder, soaking(Path(folder), options.seed, options.api) as soak:
        soak.go(int(options.days * 96))
        wrong = soak.judge()
    print(f"{options.days:g} days, seed {options.seed}, {options.api}: {len(wrong)} wrong")
    for what, count in sorted(soak.counts.items()):
        print(f"  {what}: {count:,}")
    for line in wrong:
        print(f"  WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
