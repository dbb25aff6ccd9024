"""Law 6: never over the rate, as the server's own clock sees the requests arrive."""

from __future__ import annotations

import os
import subprocess
import sys
from bisect import bisect_left
from pathlib import Path

import pytest

from catalogsync.emulator.server import Emulator

CEILING = 7

READS = """
import sys
from catalogsync.api.auth import Account
from catalogsync.api.client import connect

with connect(Account(sys.argv[1], sys.argv[2])) as client:
    for _ in range(int(sys.argv[3])):
        client.catalogs()
"""


def arrivals(state: Path, *, processes: int, requests: int) -> list[float]:
    """When each of `requests` requests of `processes` processes arrived, in seconds of the server's steady clock."""
    environment = {
        **os.environ,
        "CATALOGSYNC_STATE": str(state),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    with Emulator(rps=0) as emulator:
        children = [
            subprocess.Popen(
                [sys.executable, "-c", READS, emulator.url, emulator.token, str(requests // processes)],
                env=environment,
            )
            for _ in range(processes)
        ]
        assert [child.wait() for child in children] == [0] * processes
        return [request.at_s for request in emulator.requests]


def most_in_a_second(arrived: list[float]) -> int:
    """The most arrivals in any window of one second."""
    return max(bisect_left(arrived, start + 1) - place for place, start in enumerate(arrived))


def pace(arrived: list[float]) -> float:
    """Requests per second from the first to the last."""
    return (len(arrived) - 1) / (arrived[-1] - arrived[0])


def test_the_window_is_counted_as_the_server_counts_it() -> None:
    assert most_in_a_second([0.0, 0.5, 0.999, 1.0, 1.4]) == 4
    assert most_in_a_second([turn * 0.143 for turn in range(20)]) == 7
    assert most_in_a_second([turn * 0.142 for turn in range(20)]) == 8


def test_two_processes_of_one_account_stay_below_the_ceiling_together(tmp_path: Path) -> None:
    arrived = arrivals(tmp_path, processes=2, requests=20)
    assert len(arrived) == 20
    assert most_in_a_second(arrived) <= CEILING


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_sixty_requests_stay_below_the_ceiling_and_keep_the_pace(tmp_path: Path, processes: int) -> None:
    arrived = arrivals(tmp_path, processes=processes, requests=60)
    assert len(arrived) == 60
    assert most_in_a_second(arrived) <= CEILING
    assert pace(arrived) >= 6.0
