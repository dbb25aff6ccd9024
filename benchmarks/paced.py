"""How much longer than the rate limit asks for a fetch and an apply take, against an emulator that answers slowly.

The emulator is a process of its own with the vendor's limit of 7 requests per second; each answer comes 300 ms late.
The floor is the time that so many requests take at 7 per second. Arrivals are counted by the server's clock: never
more than 7 may come in any second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from benchmarks.fetch import most_in_a_second
from benchmarks.measure import MOST, WALL, Figure, Results
from catalogsync import sync
from catalogsync.api.auth import APIS, Account
from catalogsync.api.client import connect
from catalogsync.elements import all_columns
from catalogsync.journal import Journal

RATE_RPS = 7
LATENCY_S = 0.3
FETCHED, CHANGED = 100_000, 10_000

_FIELDS = [{"id": 101, "name": "Code", "type": "text"}, {"id": 102, "name": "Amount", "type": "numeric"}]
_MAPPING = "catalog: 4220\nkey: code\nmissing: delete\ncolumns: {name: name, code: Code, amount: Amount}\n"


@contextmanager
def emulator(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """An account with `count` elements; its address and token."""
    elements = [{"name": f"P{n}", "values": {"Code": f"{n:07d}", "Amount": 1}} for n in range(count)]
    seed = {"catalogs": [{"id": 4220, "name": "Products", "fields": _FIELDS, "elements": elements}]}
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


def measure(results: Results, say: Callable[[str], None]) -> None:
    """A fetch and an apply per dialect."""
    for api in APIS:
        with tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True) as name:
            say(f"api {api}: fetch of {FETCHED:,}")
            with emulator(Path(name), FETCHED) as (url, token):
                _fetch(Account(url, token, api), results)
        with tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True) as name:
            say(f"api {api}: apply of {CHANGED:,}")
            with emulator(Path(name), CHANGED) as (url, token):
                _apply(Account(url, token, api), Path(name), results)


def _fetch(account: Account, results: Results) -> None:
    with connect(account, rps=RATE_RPS) as client:
        schema = client.schema(client.catalog("4220"))
        _forget(account)
        began_s, cpu_s = time.perf_counter(), time.process_time()
        table = client.elements(schema, all_columns(schema))
        wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    if len(table) != FETCHED:
        raise SystemExit(f"api {account.api}: {len(table)} elements came, not {FETCHED}")
    _told("fetch", FETCHED, account, results, wall_s, cpu_s)


def _apply(account: Account, folder: Path, results: Results) -> None:
    """A tenth are new, a tenth are deleted where the API can, the others updated."""
    tenth = CHANGED // 10
    rows = [f"P{n};{n:07d};2" for n in range(tenth, CHANGED - tenth)]
    rows += [f"N{n};N{n};3" for n in range(2 * tenth if account.api != "v2" else tenth)]
    (folder / "sheet.csv").write_text("\n".join(["name;code;amount", *rows]), encoding="utf-8")
    mapping = _MAPPING if account.api == "v2" else _MAPPING.replace("missing: delete\n", "")
    (folder / "map.yaml").write_text(mapping, encoding="utf-8")
    options = sync.PlanOptions(delete_unseen=True)
    with connect(account, rps=RATE_RPS) as client:
        journal = Journal(folder / "journal.sqlite")
        planned = sync.plan(folder / "sheet.csv", folder / "map.yaml", client, journal, options)
        _forget(account)
        began_s, cpu_s = time.perf_counter(), time.process_time()
        report = sync.apply(planned.plan, client, journal, planned.schema, planned=planned)
        wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    if any(result.outcome != "done" for result in report.results) or report.unsent:
        raise SystemExit(f"api {account.api}: the apply did not do everything")
    _told("apply", len(planned.plan.changes), account, results, wall_s, cpu_s)


def _forget(account: Account) -> None:
    requests.delete(f"{account.url}/_emulator/requests", timeout=60)


def _told(what: str, count: int, account: Account, results: Results, wall_s: float, cpu_s: float) -> None:
    arrivals = requests.get(f"{account.url}/_emulator/requests", timeout=60).json()
    at_s = [arrival["at_s"] for arrival in arrivals]
    name = f"{what} {account.api}"
    ratio = wall_s / (len(at_s) / RATE_RPS)
    told = f"{name}: wall, {len(at_s)} requests ÷ {RATE_RPS}"
    results.figures.append(Figure("api", count, told, (ratio,), "×", clock=WALL))
    results.figures.append(Figure("api", count, f"{name}: client's CPU share", (cpu_s / wall_s,)))
    most = float(most_in_a_second(at_s))
    results.figures.append(Figure("api", count, f"{name}: most arrivals in a second", (most,), "", MOST, RATE_RPS, ""))
