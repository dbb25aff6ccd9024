"""How close a fetch comes to the rate limit: wall time against requests ÷ rate, at several latencies.

    python -m benchmarks.fetch [ELEMENTS]

An emulator in a process of its own, with the vendor's limit of 7 requests per second, answers each GET after the
given latency. The floor is the time that so many requests take at the pace of 6.6 per second; the arrivals are
counted by the server's clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from pathlib import Path

import requests

from catalogsync.api.auth import APIS, Account
from catalogsync.api.client import connect
from catalogsync.model import Schema

PACE_RPS = 6.6
LATENCIES_S = (0.0, 0.1, 0.3)


def most_in_a_second(arrivals_at_s: list[float]) -> int:
    """The most arrivals in any window of one second."""
    at_s = sorted(arrivals_at_s)
    return max(bisect_left(at_s, start + 1) - place for place, start in enumerate(at_s))


def measure(account: Account, latency_s: float, count: int) -> str:
    """One fetch of the whole list, as a line of figures."""
    requests.delete(f"{account.url}/_emulator/faults", timeout=10)
    if latency_s:
        fault = {"effect": "delay", "delay_s": latency_s, "method": "GET", "count": 0}
        requests.post(f"{account.url}/_emulator/faults", json=fault, timeout=10).raise_for_status()
    requests.delete(f"{account.url}/_emulator/requests", timeout=10)
    with connect(account) as client:
        started_s = time.perf_counter()
        table = client.elements(Schema(1, "UTC", 4220, "Products", ()), ())
        wall_s = time.perf_counter() - started_s
    assert len(table) == count
    arrivals = requests.get(f"{account.url}/_emulator/requests", timeout=10).json()
    at_s = [arrival["at_s"] for arrival in arrivals]
    floor_s = len(at_s) / PACE_RPS
    figures = f"{len(at_s):8}  {wall_s:6.2f}  {floor_s:7.2f}  {wall_s / floor_s:10.3f}"
    return f"{account.api:3}  {latency_s:9.1f}  {count:8}  {figures}  {most_in_a_second(at_s):11}"


def main() -> None:
    """Print one line per dialect and latency."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    elements = [{"name": f"P{number}"} for number in range(count)]
    seed = {
        "account": {"id": 1, "name": "Bench", "subdomain": "bench", "timezone": "UTC"},
        "catalogs": [{"id": 4220, "name": "Products", "fields": [], "elements": elements}],
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CATALOGSYNC_STATE"] = folder
        seed_file = Path(folder) / "seed.json"
        seed_file.write_text(json.dumps(seed), encoding="utf-8")
        command = [sys.executable, "-m", "catalogsync", "emulator", "--json", "--seed", str(seed_file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as server:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            print("api  latency_s  elements  requests  wall_s  floor_s  wall/floor  most_in_1_s")
            for api in APIS:
                for latency_s in LATENCIES_S:
                    print(measure(Account(told["url"], told["token"], api), latency_s, count), flush=True)
            server.terminate()


if __name__ == "__main__":
    main()
