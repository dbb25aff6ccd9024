"""How close a fetch comes to the rate limit: wall time against requests ÷ rate, at several latencies.

    python -m benchmarks.fetch [ELEMENTS]

An emulator with the vendor's limit (7 requests per second) answers each GET after the given latency. The floor is
the time that so many requests take at the pace of 6.6 per second; the arrivals are counted by the server's clock.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from bisect import bisect_left

from catalogsync.api.auth import APIS, Account
from catalogsync.api.client import connect
from catalogsync.emulator.server import Emulator
from catalogsync.model import Schema

PACE_RPS = 6.6
LATENCIES_S = (0.0, 0.1, 0.3)


def most_in_a_second(arrivals_at_s: list[float]) -> int:
    """The most arrivals in any window of one second."""
    at_s = sorted(arrivals_at_s)
    return max(bisect_left(at_s, start + 1) - place for place, start in enumerate(at_s))


def main() -> None:
    """Print one line per dialect and latency."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    elements = [{"name": f"P{number}"} for number in range(count)]
    seed = {
        "account": {"id": 1, "name": "Bench", "subdomain": "bench", "timezone": "UTC"},
        "catalogs": [{"id": 4220, "name": "Products", "fields": [], "elements": elements}],
    }
    print("api  latency_s  elements  requests  wall_s  floor_s  wall/floor  most_in_1_s")
    with tempfile.TemporaryDirectory() as state, Emulator(seed=seed, rps=7) as emulator:
        os.environ["CATALOGSYNC_STATE"] = state
        for api in APIS:
            for latency_s in LATENCIES_S:
                emulator.faults.clear()
                if latency_s:
                    emulator.fault(f"delay={latency_s} GET count=0")
                emulator.clear_requests()
                with connect(Account(emulator.url, emulator.token, api)) as client:
                    started_s = time.perf_counter()
                    table = client.elements(Schema(1, "UTC", 4220, "Products", ()), ())
                    wall_s = time.perf_counter() - started_s
                assert len(table) == count
                at_s = [arrival.at_s for arrival in emulator.requests]
                floor_s = len(at_s) / PACE_RPS
                figures = f"{len(at_s):8}  {wall_s:6.2f}  {floor_s:7.2f}  {wall_s / floor_s:10.3f}"
                print(f"{api:3}  {latency_s:9.1f}  {count:8}  {figures}  {most_in_a_second(at_s):11}", flush=True)


if __name__ == "__main__":
    main()
