"""How much longer than the rate limit asks for a fetch and an apply take, against an emulator that answers slowly.

The emulator is a process of its own with the vendor's limit of 7 requests per second; each answer comes 300 ms late.
The floor is the time that so many requests take at 7 per second. Arrivals are counted by the server's clock: never
more than 7 may come in any second. It stamps them when its only thread gets to them, some 50 ms late where it is busy
with another answer; so it must not share a core with the client, and nothing here is pinned to one.

    python -m benchmarks.paced URL TOKEN API COUNT     one fetch, as the two that run at once do it
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from benchmarks.data import HEADERS, MAPPING, cells, seed_element, seed_fields
from benchmarks.fetch import most_in_a_second
from benchmarks.measure import MOST, WALL, Figure, Results
from benchmarks.parts import Timer, parts_of, timed_parts
from catalogsync import runs, sync
from catalogsync.api.auth import APIS, Account
from catalogsync.api.client import connect
from catalogsync.elements import all_columns
from catalogsync.journal import Journal

RATE_RPS = 7
LATENCY_S = 0.3
FETCHED, CHANGED = 100_000, 10_000
PROCESSES = 2

MOST_RATIO = 1.08
"""Paced at 6.6 requests a second, 7 ÷ 6.6 = 1.061 of it cannot be undercut."""

MOST_CPU_SHARE = 0.05


@contextmanager
def emulator(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """An account with `count` elements of twelve columns; its address and token."""
    elements = [seed_element(number) for number in range(count)]
    seed = {"catalogs": [{"id": 4220, "name": "Products", "fields": seed_fields(), "elements": elements}]}
    (folder / "seed.json").write_text(json.dumps(seed), encoding="utf-8")
    command = [sys.executable, "-m", "catalogsync", "emulator", "--json", "--port", "0", "--seed", "seed.json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            told = json.loads(server.stdout.readline())
            fault = {"effect": "delay", "delay_s": LATENCY_S, "count": 0}
            requests.post(f"{told['url']}/_emulator/faults", json=fault, timeout=30).raise_for_status()
            yield told["url"], told["token"]
        finally:
            server.terminate()


@contextmanager
def every_core() -> Iterator[None]:
    """Let this process and its children run on all cores, which `measure.pin` has kept from them."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, pinned)


def measure(results: Results, say: Callable[[str], None]) -> None:
    """Per dialect a fetch, two fetches at once by two processes, and an apply, as often as it is repeated."""
    with every_core():
        for api in APIS:
            fetched = [_with_emulator(say, f"api {api}: fetch", FETCHED, api, _fetch) for _ in range(results.repeat)]
            _told(f"fetch {api}", fetched, results)
            both = [
                _with_emulator(say, f"api {api}: {PROCESSES} fetches", FETCHED, api, _fetches)
                for _ in range(results.repeat)
            ]
            _told(f"{PROCESSES} fetches {api}", both, results)
            applied = [
                _with_emulator(say, f"api {api}: apply", CHANGED - CHANGED // 10, api, _apply)
                for _ in range(results.repeat)
            ]
            _told(f"apply {api}", applied, results)


@dataclass(frozen=True)
class Turn:
    """One run: how many elements or changes, its seconds, those of the client's processor, and when each request
    arrived by the server's clock. `spent_s` are the seconds of parts in which no request is on its way."""

    count: int
    wall_s: float
    cpu_s: float
    arrivals_at_s: list[float]
    spent_s: Mapping[str, float] = field(default_factory=dict)


def _with_emulator(
    say: Callable[[str], None], what: str, count: int, api: str, run: Callable[[Account, Path], Turn]
) -> Turn:
    with tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True) as name:
        say(f"{what}, {count:,} elements, load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else what)
        with emulator(Path(name), count) as (url, token):
            return run(Account(url, token, api), Path(name))


def fetch(account: Account, count: int, ready: Callable[[], object]) -> tuple[float, float]:
    """One fetch of a list of `count`, begun after `ready`: its seconds, and those of this process's processor."""
    with connect(account, rps=RATE_RPS) as client:
        schema = client.schema(client.catalog("4220"))
        ready()
        began_s, cpu_s = time.perf_counter(), time.process_time()
        table = client.elements(schema, all_columns(schema))
        wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    if len(table) != count:
        raise SystemExit(f"api {account.api}: {len(table)} elements came, not {count}")
    return wall_s, cpu_s


def _fetch(account: Account, _: Path) -> Turn:
    return Turn(FETCHED, *fetch(account, FETCHED, lambda: _forget(account)), _arrivals(account))


def _fetches(account: Account, _: Path) -> Turn:
    """The wall time is that of the slower one: both share one rate and begin when both have asked for the schema."""
    command = [sys.executable, "-m", "benchmarks.paced", account.url, account.token, account.api, str(FETCHED)]
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(PROCESSES)
        ]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        _forget(account)
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        told = [json.loads(child.stdout.readline()) for child in children if child.stdout is not None]
    wall_s = max(wall_s for wall_s, _ in told)
    return Turn(FETCHED, wall_s, max(cpu_s for _, cpu_s in told), _arrivals(account))


_APPLY_PARTS = (
    Timer("before the first request: the base", runs, "keep_pending", clock=time.perf_counter),
    Timer("before the first request: the journal", Journal, "start", clock=time.perf_counter),
    Timer("after the last answer: the base", runs, "remember", clock=time.perf_counter),
)


def _apply(account: Account, folder: Path) -> Turn:
    """A tenth are new, a tenth are deleted where the API can, the others updated."""
    tenth = CHANGED // 10
    kept = range(tenth if account.api == "v2" else 0, CHANGED - tenth)
    new = range(CHANGED - tenth, CHANGED)
    with (folder / "sheet.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADERS)
        for number in (*kept, *new):
            row = cells(number)
            row[HEADERS.index("amount")] = "777"
            writer.writerow(row)
    mapping = MAPPING + ("missing: delete\n" if account.api == "v2" else "")
    (folder / "map.yaml").write_text(mapping, encoding="utf-8")
    options = sync.PlanOptions(delete_unseen=True)
    with connect(account, rps=RATE_RPS) as client:
        journal = Journal(folder / "journal.sqlite")
        planned = sync.plan(folder / "sheet.csv", folder / "map.yaml", client, journal, options)
        assert planned.plan.digest  # a command has shown it before
        _forget(account)
        with timed_parts(_APPLY_PARTS) as spent:
            began_s, cpu_s = time.perf_counter(), time.process_time()
            report = sync.apply(planned.plan, client, journal, planned.schema, planned=planned)
            wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    if any(result.outcome != "done" for result in report.results) or report.unsent:
        raise SystemExit(f"api {account.api}: the apply did not do everything")
    return Turn(len(planned.plan.changes), wall_s, cpu_s, _arrivals(account), spent)


def _forget(account: Account) -> None:
    requests.delete(f"{account.url}/_emulator/requests", timeout=60)


def _arrivals(account: Account) -> list[float]:
    arrivals = requests.get(f"{account.url}/_emulator/requests", timeout=60).json()
    return [arrival["at_s"] for arrival in arrivals]


def _told(name: str, turns: list[Turn], results: Results) -> None:
    count, sent = turns[0].count, turns[0].arrivals_at_s
    ratios = tuple(turn.wall_s / (len(turn.arrivals_at_s) / RATE_RPS) for turn in turns)
    told = f"{name}: wall, {len(sent)} requests ÷ {RATE_RPS}"
    results.figures.append(Figure("api", count, told, ratios, "×", MOST, MOST_RATIO, WALL))
    shares = tuple(turn.cpu_s / turn.wall_s for turn in turns)
    results.figures.append(Figure("api", count, f"{name}: client's CPU share", shares, "", MOST, MOST_CPU_SHARE))
    most = tuple(float(most_in_a_second(turn.arrivals_at_s)) for turn in turns)
    told = f"{name}: most arrivals in a second"
    results.figures.append(Figure("api", count, told, most, "", MOST, RATE_RPS, "", is_limit=True))
    if turns[-1].spent_s:
        results.parts += parts_of(name, count, turns[-1].spent_s, turns[-1].wall_s)


def main() -> None:
    """A fetch in a process of its own, which begins when it is told to."""

    def ready() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    url, token, api, count = sys.argv[1:]
    print(json.dumps(fetch(Account(url, token, api), int(count), ready)), flush=True)


if __name__ == "__main__":
    main()
