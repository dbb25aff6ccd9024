"""Jobs as they run for years: kept running by a real process, told by alerts and metrics, fed by a watched folder."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from catalogsync.api.auth import APIS
from tests.e2e.conftest import Start, catalog_of
from tests.reconcile.projects import FIELDS, SHEET, Project


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What a webhook was told, in order; its address is in ALERTS."""
    messages: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("ALERTS", f"json://127.0.0.1:{server.server_port}/secret-path")
        yield messages
        server.shutdown()
        thread.join()


ALERTS = "defaults: {alerts: {to: env:ALERTS}}\n"


def test_a_guard_is_told_once_and_its_end_once(project: Project, told: list[dict[str, Any]]) -> None:
    project.run()
    project.jobs("sheet: prices.csv, guards: {update: 1}", more=ALERTS)
    project.write("prices.csv", SHEET.replace("9.5", "12").replace("250", "251"))
    for _ in range(3):
        assert project.run() == 4
    (project.folder / "prices.csv").rename(project.folder / "away.csv")  # a failure says nothing of the guard
    assert project.run() == 1
    (project.folder / "away.csv").rename(project.folder / "prices.csv")
    project.write("prices.csv", SHEET)
    assert project.run() == 0
    assert [message["title"].partition(" — ")[2] for message in told] == [
        "refused by a guard",
        "failed",
        "recovered: works again, no longer refused by a guard",
    ]
    assert "secret-path" not in project.shell.out + project.shell.err


def test_a_check_tells_nobody_and_counts_nowhere(project: Project, told: list[dict[str, Any]]) -> None:
    project.jobs("sheet: prices.csv", more=ALERTS + "metrics: {file: jobs.prom}\n")
    assert project.run("--check") == 2
    assert (told, (project.folder / "jobs.prom").exists()) == ([], False)


def test_metrics_are_written_after_each_turn(project: Project) -> None:
    project.jobs("sheet: prices.csv", more="metrics: {file: jobs.prom}\n")
    project.run()
    project.run()
    text = (project.folder / "jobs.prom").read_text(encoding="utf-8")
    assert 'catalogsync_changes_total{job="prices",kind="add"} 3.0' in text
    assert 'catalogsync_requests_total{job="prices",kind="write"} 1.0' in text


def test_metrics_that_cannot_be_written_are_told_and_the_turn_is_good(project: Project) -> None:
    project.jobs("sheet: prices.csv", more="metrics: {file: nowhere/jobs.prom}\n")
    assert project.run() == 0
    assert "metrics: " in project.shell.err
    assert "cannot be written" in project.shell.err


def test_the_log_in_json_has_a_line_for_each_turn_and_change_and_no_token(project: Project) -> None:
    assert project.run("--log-format", "json") == 0
    lines = [json.loads(line) for line in project.shell.err.splitlines()]
    assert [line["event"] for line in lines].count("operation") == 3
    [ended] = [line for line in lines if line["event"] == "turn ended"]
    assert (ended["job"], ended["run_id"]) == ("prices", 1)
    assert project.shell.emulator.token not in project.shell.err + project.shell.out


# --- a watched folder ------------------------------------------------------------------------------------------


def test_sheets_that_come_into_a_folder_are_imported_in_order_and_put_away_with_their_results(
    project: Project,
) -> None:
    project.jobs("sheet: inbox/")
    (project.folder / "inbox").mkdir()
    assert project.turn()["words"] == "no sheet has come"
    project.write("inbox/first.csv", SHEET)
    os.utime(project.folder / "inbox/first.csv", (1_700_000_000, 1_700_000_000))
    project.write("inbox/second.csv", SHEET.replace("9.5", "12").replace("250", "dear"))
    first, second = project.turns()
    assert [(made["sheet"], made["exit_code"], made["words"]) for made in (first, second)] == [
        (str(Path("inbox/first.csv")), 0, "3 adds done"),
        (str(Path("inbox/second.csv")), 3, "1 update done; 1 of 3 rows rejected"),
    ]
    assert sorted(path.parent.name for path in (project.folder / "inbox").rglob("*.*")) == ["done"] * 4
    [result] = [Path(path) for path in second["files"] if path.endswith("-result.xlsx")]
    book = openpyxl.load_workbook(result)
    assert [row[0].value for row in book.worksheets[0].iter_rows(min_row=2)] == ["003"]
    book.close()

    project.write("inbox/broken.csv", "code,name\n")
    [broken] = project.turns()
    assert (broken["exit_code"], broken["events"]) == (1, ["failure"])
    assert [path.name.startswith("broken") for path in (project.folder / "inbox/failed").iterdir()] == [True]


def test_a_sheet_in_a_folder_stays_while_the_account_cannot_be_reached(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.jobs("sheet: inbox/")
    project.write("inbox/first.csv", SHEET)
    monkeypatch.setenv("CATALOGSYNC_TOKEN", "another")
    assert project.turn()["exit_code"] == 7
    assert (project.folder / "inbox/first.csv").exists()
    monkeypatch.setenv("CATALOGSYNC_TOKEN", project.shell.emulator.token)
    assert project.turn()["words"] == "3 adds done"


# --- budgets, and what a turn costs ----------------------------------------------------------------------------


def test_a_budget_stops_a_turn_at_a_batch_edge_and_the_next_ones_go_on(start: Start, tmp_path: Path) -> None:
    project = Project(start(catalog_of(FIELDS)), tmp_path)
    rows = "".join(f"{n:04},Product {n},{n},\n" for n in range(1, 2001))
    project.write("prices.csv", f"code,name,price,note\n{rows}")
    project.jobs("sheet: prices.csv, max_requests: 16")
    codes = []
    for _ in range(10):
        made = project.turn()
        assert made["reads"] + made["writes"] <= 16
        codes.append(made["exit_code"])
        if made["exit_code"] == 0 and not made["writes"]:
            break
    assert (codes[0], codes[-1]) == (6, 0)
    assert sorted(project.stored()) == [f"{n:04}" for n in range(1, 2001)]


@pytest.mark.parametrize("api", APIS)
def test_an_unchanged_sheet_and_catalog_cost_no_write_and_the_fewest_reads(
    api: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGSYNC_API", api)
    count = 10_000
    elements = [{"id": n, "name": f"P{n}", "values": {"Code": f"{n:05}", "Price": "5"}} for n in range(1, count + 1)]
    project = Project(start(catalog_of(FIELDS, elements)), tmp_path)
    rows = "".join(f"{n:05},P{n},5,\n" for n in range(1, count + 1))
    project.write("prices.csv", f"code,name,price,note\n{rows}")
    project.run()
    made = project.turn()
    assert (made["exit_code"], made["writes"], project.shell.posts) == (0, 0, [])
    assert made["reads"] == len(project.shell.sent)
    assert made["reads"] <= made["read_floor"]
    assert project.run() == 0
    told = re.fullmatch(
        r"prices: sheet and catalog are in step \(prices.csv, (\d+) reads of (\d+) foreseen, 0 writes\)\n",
        project.shell.out,
    )
    assert told is not None
    assert int(told[1]) == len(project.shell.sent) <= int(told[2])


# --- a process that keeps running ------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is of POSIX")
def test_a_process_that_keeps_running_takes_turns_serves_metrics_and_stops_when_it_is_asked(project: Project) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as free:
        port = free.server_port
    project.jobs("sheet: prices.csv", more=f"metrics: {{port: {port}}}\n")
    command = [sys.executable, "-m", "catalogsync", "reconcile", "--every", "1h"]
    command += ["--project", str(project.folder / "catalogsync.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8") as kept:
        assert kept.stdout is not None
        assert kept.stdout.readline().startswith("prices: 3 adds done (prices.csv, ")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            assert b'catalogsync_runs_total{job="prices"' in answer.read()
        kept.send_signal(signal.SIGTERM)
        _, err = kept.communicate(timeout=60)
    assert (kept.returncode, "prices: every 1h" in err) == (143, True)
    assert sorted(project.stored()) == ["001", "002", "003"]
