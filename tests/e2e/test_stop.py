"""Stopping a run with a signal: real processes against an emulator whose answers are held back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogsync.emulator.faults import Fault
from catalogsync.emulator.server import Emulator
from catalogsync.journal import Journal
from catalogsync.reader import ReadOptions, read_sheet
from catalogsync.writer import IN_FLIGHT
from tests.e2e.conftest import catalog_of, stored_elements

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT or SIGTERM to send to a child")

FIELDS = [{"id": 101, "name": "Code", "type": "text"}]
MAPPING = "catalog: 4220\nkey: code\ncolumns: {name: name, code: Code}\n"
ROWS = 8
AT_ONCE_S = 20
"""Far less than the answers that a process would otherwise wait for."""


class Shop:
    """An account whose answers are held back on demand, a sheet of eight rows, and a process that imports it."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator, self.folder = emulator, folder
        self.arrived = threading.Semaphore(0)
        (folder / "sheet.csv").write_text(
            "name;code\n" + "".join(f"Product {n};C{n}\n" for n in range(1, ROWS + 1)), encoding="utf-8"
        )
        (folder / "map.yaml").write_text(MAPPING, encoding="utf-8")

    def hold(self, method: str, path: str, *, for_s: float = 60) -> None:
        """Answers there are held back; `arrived` counts the requests."""
        self.emulator.fault(Fault("call", method, path, count=0, call=lambda _store: self.arrived.release()))
        self.emulator.fault(Fault("delay", method, path, count=0, delay_s=for_s))

    def release(self) -> None:
        """From now on nothing is held back. What is being held back already, is until its time."""
        self.emulator.faults.clear()

    def start(self, *more: str) -> subprocess.Popen[str]:
        """`catalogsync import … --yes` as a process of its own, one row to a request."""
        command = [sys.executable, "-m", "catalogsync", "import", "sheet.csv", "-m", "map.yaml", "--yes", *more]
        environment = {
            **os.environ,
            "CATALOGSYNC_URL": self.emulator.url,
            "CATALOGSYNC_TOKEN": self.emulator.token,
            "CATALOGSYNC_STATE": str(self.folder / "state"),
            "CATALOGSYNC_RPS": "0",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[2]), *sys.path])),
        }
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    @property
    def journal(self) -> Journal:
        return Journal(self.folder / "state" / "journal.sqlite")

    @property
    def codes(self) -> list[str]:
        """The vendor codes in the catalog."""
        return sorted(code for element in stored_elements(self.emulator, "Products") for code in element["Code"])


EVERY_CODE = [f"C{n}" for n in range(1, ROWS + 1)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Emulator(seed=catalog_of(FIELDS), rps=0) as emulator:
        yield Shop(emulator, tmp_path)


def ended(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The exit code of a process, what it said on stdout and on stderr."""
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_batches_in_the_air_finish_and_a_run_after_it_the_rest(
    shop: Shop, number: signal.Signals, code: int
) -> None:
    shop.hold("POST", "*", for_s=1.5)
    child = shop.start("--batch", "1")
    for _ in range(2):
        assert shop.arrived.acquire(timeout=30)
    child.send_signal(number)
    exit_code, out, err = ended(child)
    assert exit_code == code, err
    assert "Stopping: finishing what is on its way (once more to stop at once)." in err
    done = shop.codes
    assert 2 <= len(done) <= IN_FLIGHT  # what was in the air
    assert f"Done: {len(done)} added" in out
    left = ROWS - len(done)
    assert f"{left} changes were not sent. Run the command again, or: catalogsync resume" in out
    (run,) = shop.journal.runs()
    assert (run["state"], run["outcomes"]) == ("stopped", {"done": {"add": len(done)}, "planned": {"add": left}})
    assert {batch["state"] for batch in shop.journal.batches(1)} == {"answered"}

    shop.release()
    exit_code, out, err = ended(shop.start())
    assert (exit_code, shop.codes) == (0, EVERY_CODE), err
    assert f"Done: {left} added" in out


def test_a_second_signal_ends_the_process_at_once_and_the_next_run_settles_what_was_in_the_air(shop: Shop) -> None:
    shop.hold("POST", "*")
    child = shop.start()
    assert shop.arrived.acquire(timeout=30)
    child.send_signal(signal.SIGINT)
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("Stopping:"):
            break
    began_at = time.monotonic()
    child.send_signal(signal.SIGINT)
    exit_code, _, err = ended(child)
    assert (exit_code, "Traceback" in err) == (130, False), err
    assert time.monotonic() - began_at < AT_ONCE_S
    (run,) = shop.journal.runs()
    assert (run["state"], run["outcomes"]) == ("running", {"sent": {"add": ROWS}})

    shop.release()
    exit_code, _, err = ended(shop.start("--settle", "0"))
    assert (exit_code, shop.codes) == (0, EVERY_CODE), err
    assert "Run 1 was cut off; settled." in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_planning_ends_the_process_at_once(shop: Shop, number: signal.Signals, code: int) -> None:
    shop.hold("GET", "/api/v2/catalog_elements")
    child = shop.start()
    assert shop.arrived.acquire(timeout=30)
    began_at = time.monotonic()
    child.send_signal(number)
    exit_code, out, err = ended(child)
    assert (exit_code, out, err) == (code, "", "stopped\n")
    assert time.monotonic() - began_at < AT_ONCE_S
    shop.release()
    assert shop.journal.runs() == []


def test_a_run_that_was_asked_to_stop_tells_in_its_result_workbook_what_was_not_sent(shop: Shop) -> None:
    shop.hold("POST", "*", for_s=1)
    child = shop.start("--batch", "1", "--result", "result.xlsx")
    assert shop.arrived.acquire(timeout=30)
    child.send_signal(signal.SIGINT)
    exit_code, _, err = ended(child)
    assert exit_code == 130, err
    results = read_sheet(shop.folder / "result.xlsx", ReadOptions(tab="Results")).cells[2].tolist()
    assert results == ["done" if code in shop.codes else "not sent" for code in EVERY_CODE]
    assert "not sent" in results
