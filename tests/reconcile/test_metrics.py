"""Figures of jobs: what is counted, and read back by Prometheus' own parser, from a file and over HTTP."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from catalogsync.errors import UserError
from catalogsync.reconcile.metrics import record, serve, text_of, write_textfile
from catalogsync.reconcile.state import Memory, scope_of
from tests.reconcile.turns import NIGHT, SCOPE, Desk, turn

Sample = tuple[str, tuple[tuple[str, str], ...]]


def parsed(text: str) -> dict[Sample, float]:
    """Every sample by name and labels, as Prometheus reads it."""
    families = text_string_to_metric_families(text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def figures(memory: Memory, at: float = NIGHT, *, scope: str = SCOPE) -> dict[str, float]:
    """The samples of the job as ``name`` or ``name label``, those that are zero left out."""
    found = parsed(text_of(memory, [scope], now=lambda: at))
    return {
        " ".join([name.removeprefix("catalogsync_"), *(value for key, value in labels if key != "job")]): value
        for (name, labels), value in found.items()
        if value
    }


def test_totals_add_up_and_the_rest_is_of_the_last_turn(memory: Memory) -> None:
    record(
        memory, SCOPE, turn(done={"add": 3, "update": 2}, rejected_rows=4, conflicts=1, reads=10, writes=2, throttled=1)
    )
    record(memory, SCOPE, turn(done={"update": 5, "delete": 1}, reads=7, writes=3, exit_code=3, rejected_rows=2))
    assert figures(memory, NIGHT + 63) == {
        "runs_total done": 1,
        "runs_total rejected": 1,
        "changes_total add": 3,
        "changes_total update": 7,
        "changes_total delete": 1,
        "requests_total read": 17,
        "requests_total write": 5,
        "throttled_total": 1,
        "rejected_rows": 2,
        "run_duration_seconds": 3,
        "last_run_timestamp_seconds": NIGHT + 3,
        "last_good_run_timestamp_seconds": NIGHT + 3,
        "last_good_run_age_seconds": 60,
    }


def test_a_turn_that_failed_is_the_last_one_but_not_the_last_good_one(memory: Memory) -> None:
    record(memory, SCOPE, turn())
    record(memory, SCOPE, turn("failure", exit_code=1, started_at=NIGHT + 100, ended_at=NIGHT + 110))
    found = figures(memory, NIGHT + 113)
    assert (found["last_run_timestamp_seconds"], found["last_good_run_timestamp_seconds"]) == (NIGHT + 110, NIGHT + 3)
    assert (found["last_good_run_age_seconds"], found["run_duration_seconds"]) == (110, 10)


def test_a_turn_that_was_skipped_is_counted_and_changes_nothing_else(memory: Memory) -> None:
    record(memory, SCOPE, turn(rejected_rows=2, exit_code=3))
    before = figures(memory)
    record(memory, SCOPE, turn(is_skipped=True, exit_code=6, started_at=NIGHT + 9, ended_at=NIGHT + 9))
    assert figures(memory) == {**before, "runs_total skipped": 1}


def test_the_age_of_a_job_that_never_went_well_counts_from_its_first_turn(memory: Memory) -> None:
    record(memory, SCOPE, turn(exit_code=1))
    record(memory, SCOPE, turn(exit_code=1, started_at=NIGHT + 50, ended_at=NIGHT + 60))
    found = figures(memory, NIGHT + 1000)
    assert found["last_good_run_age_seconds"] == 1000
    assert "last_good_run_timestamp_seconds" not in found


def test_every_exit_code_has_a_result() -> None:
    codes = (0, 1, 2, 3, 4, 5, 6, 7, 64, 130, 143)
    assert [turn(exit_code=code).result for code in codes] == (
        "done failed drift rejected guard stale unavailable unauthorized failed stopped stopped".split()
    )


def test_alerts_that_were_not_taken_are_seen(desk: Desk) -> None:
    desk.post.down = {"env:ALERTS"}
    desk.turn(turn("guard"), NIGHT)
    assert figures(desk.memory) == {"alerts_undelivered": 1}
    desk.post.down = set()
    desk.turn(turn("guard"), NIGHT + 1)
    assert figures(desk.memory) == {"alerts_sent_total": 1}


def test_jobs_are_apart_and_other_projects_are_not_told_of(memory: Memory, tmp_path: Path) -> None:
    stock, elsewhere = scope_of(Path("catalogsync.yaml"), "stock"), scope_of(tmp_path / "catalogsync.yaml", "prices")
    record(memory, SCOPE, turn(reads=1))
    record(memory, stock, turn(reads=2))
    record(memory, elsewhere, turn(reads=4))
    found = parsed(text_of(memory, [SCOPE, stock]))
    reads = {labels: value for (name, labels), value in found.items() if name.endswith("requests_total") and value}
    assert reads == {(("job", "prices"), ("kind", "read")): 1, (("job", "stock"), ("kind", "read")): 2}


def test_what_prometheus_reads_has_types_and_words(memory: Memory) -> None:
    record(memory, SCOPE, turn())
    families = list(text_string_to_metric_families(text_of(memory, [SCOPE])))
    assert {family.name: family.type for family in families} == {
        "catalogsync_runs": "counter",
        "catalogsync_changes": "counter",
        "catalogsync_requests": "counter",
        "catalogsync_throttled": "counter",
        "catalogsync_rejected_rows": "gauge",
        "catalogsync_conflicts": "gauge",
        "catalogsync_run_duration_seconds": "gauge",
        "catalogsync_last_run_timestamp_seconds": "gauge",
        "catalogsync_last_good_run_timestamp_seconds": "gauge",
        "catalogsync_last_good_run_age_seconds": "gauge",
        "catalogsync_alerts_undelivered": "gauge",
        "catalogsync_alerts_sent": "counter",
        "catalogsync_alerts_given_up": "counter",
    }
    assert [family.name for family in families if not family.documentation] == []


def test_nothing_is_global(memory: Memory) -> None:
    record(memory, SCOPE, turn())
    text_of(memory, [SCOPE])
    assert [family.name for family in REGISTRY.collect() if family.name.startswith("catalogsync")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open is not replaced there")
def test_the_file_is_replaced_as_a_whole(memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "catalogsync.prom"
    record(memory, SCOPE, turn())
    write_textfile(path, memory, [SCOPE], now=lambda: NIGHT)
    before = path.open("rb")
    record(memory, SCOPE, turn())
    write_textfile(path, memory, [SCOPE], now=lambda: NIGHT)
    runs = ("catalogsync_runs_total", (("job", "prices"), ("result", "done")))
    with before:  # who reads the old one still reads all of it
        assert parsed(before.read().decode())[runs] == 1
    assert parsed(path.read_text(encoding="utf-8"))[runs] == 2
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["catalogsync.prom"]


def test_a_file_that_cannot_be_written_is_told(memory: Memory, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"catalogsync\.prom: cannot be written"):
        write_textfile(tmp_path / "none" / "catalogsync.prom", memory, [SCOPE])


def test_over_http_the_figures_are_those_of_the_moment_and_threads_end(memory: Memory) -> None:
    threads = set(threading.enumerate())
    with serve(0, memory, [SCOPE], now=lambda: NIGHT) as port:
        for turns in (1, 2):
            record(memory, SCOPE, turn())
            found = _fetched(port)
            assert found["catalogsync_runs_total", (("job", "prices"), ("result", "done"))] == turns
    assert set(threading.enumerate()) - threads == set()
    with pytest.raises(URLError):
        _fetched(port)


def _fetched(port: int) -> dict[Sample, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return parsed(answer.read().decode())


def test_a_port_that_is_taken_is_told(memory: Memory) -> None:
    with (
        serve(0, memory, [SCOPE]) as port,
        pytest.raises(UserError, match=f"port {port} .*choose another one under `metrics:`"),
        serve(port, memory, [SCOPE]),
    ):
        pass


def test_turns_of_several_processes_add_up(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from catalogsync.reconcile.metrics import record
from catalogsync.reconcile.outcome import Outcome
from catalogsync.reconcile.state import Memory
for _ in range(10):
    record(Memory(Path(sys.argv[1])), sys.argv[2], Outcome("prices", 0, 1, 0, "", reads=2))
"""
    path = tmp_path / "jobs.sqlite"
    arguments = [sys.executable, "-c", program, str(path), SCOPE]
    processes = [subprocess.Popen(arguments) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert figures(Memory(path))["requests_total read"] == 40
