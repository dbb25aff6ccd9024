"""A run that ended early is finished as it was approved, whatever ended it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stamina

from catalogsync import lock
from catalogsync.api.auth import APIS
from catalogsync.emulator.faults import Fault
from catalogsync.emulator.server import Emulator
from catalogsync.journal import Journal
from tests.e2e.conftest import Shell, Start, catalog_of
from tests.e2e.test_commands import FIELDS, PLAIN, products, rows, write

NOTHING: dict[str, object] = {"resumes": None, "plan": None, "run": None, "overtaken": []}
DELETING = PLAIN + "missing: delete\nguards: {delete: 100%, rows: 0%, matched: 0%}\n"


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CATALOGSYNC_SETTLE", "0")
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def shell(start: Start) -> Shell:
    return start(catalog_of(FIELDS, products(6)))


def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.sqlite")


def prices(shell: Shell) -> dict[str, list[str]]:
    """The prices of all elements by code: several where there are two of a kind."""
    found: dict[str, list[str]] = {}
    for element in shell.elements():
        found.setdefault(element["Code"][0], []).extend(element.get("Price", ["none"]))
    return dict(sorted(found.items()))


def wanted(*numbers: int) -> dict[str, list[str]]:
    """The prices that the sheet of `stopped` asks for, each code once."""
    return {f"{n:03}": [str(n + 10)] for n in numbers}


def stopped(shell: Shell, tmp_path: Path, fault: Fault | str = "401 POST nth=3 count=0", mapping: str = PLAIN) -> None:
    """An import of six updates and six adds in requests of two each, ended early by a fault.

    Five of them go out together: which ones the fault meets is not known.
    """
    sheet, path = write(tmp_path, rows(12, price=10), mapping)
    set_fault = shell.emulator.fault(fault)
    assert shell("import", sheet, "-m", path, "--yes", "--batch", 2) in {6, 7}
    assert set_fault.fired
    shell.emulator.faults.clear()
    assert journal(tmp_path).unfinished() == [1]


def every_write(fault: str) -> Fault:
    """A fault of POSTs as one of every write: v4 sends its updates as PATCH."""
    return replace(Fault.from_text(fault), method="[!G]*")


# --- what is sent ---


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "fault",
    [
        "401 POST nth=3 count=0",
        "403 POST nth=3 count=0",
        "403 nth=8 count=0",
        "504 before POST nth=3 count=0",
        "504 half POST nth=3 count=0",
        "drop after nth=8 count=0",
    ],
)
def test_a_run_that_was_stopped_is_finished_as_planned_and_nothing_is_doubled(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: str, fault: str
) -> None:
    monkeypatch.setenv("CATALOGSYNC_API", api)
    stopped(shell, tmp_path, every_write(fault) if "POST" in fault else fault)

    assert shell("resume") == 0

    assert prices(shell) == wanted(*range(12))
    sheet, mapping = tmp_path / "sheet.csv", tmp_path / "mapping.yaml"
    assert shell.plan(sheet, "-m", mapping)["changes"] == []
    assert shell("resume") == 0
    assert "Nothing to resume: every run came to its end." in shell.err
    assert shell.sent == []


def test_a_process_that_was_killed_is_finished_by_a_resume(shell: Shell, tmp_path: Path) -> None:
    sheet, mapping = write(tmp_path, rows(12, price=10))
    command = [sys.executable, "-m", "catalogsync", "import", str(sheet), "-m", str(mapping), "--yes", "--batch", "2"]
    with subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        shell.emulator.fault(Fault("call", method="POST", nth=3, call=lambda _: child.kill()))
        assert child.wait(60) != 0
    [run] = journal(tmp_path).runs()
    assert run["state"] == "running"

    assert shell("resume", "1") == 0

    assert "Run 1 was cut off; settled." in shell.err
    assert prices(shell) == wanted(*range(12))


def test_only_what_is_left_is_sent(shell: Shell, tmp_path: Path) -> None:
    stopped(shell, tmp_path)
    left = [o.change.key for o in journal(tmp_path).operations(1) if o.outcome == "planned"]

    assert shell("resume", "--json") == 0

    told = json.loads(shell.out)
    assert sorted(told) == ["overtaken", "plan", "resumes", "run"]
    assert told["resumes"] == 1
    assert [change["key"] for change in told["plan"]["changes"]] == left
    assert sum(len(entries) for body in shell.posts for entries in body.values()) == len(left)
    assert {result["outcome"] for result in told["run"]["results"]} == {"done"}
    assert told["overtaken"] == []


def test_deletes_that_are_left_are_made(shell: Shell, tmp_path: Path) -> None:
    assert shell("import", *_sheet(tmp_path, rows(6), DELETING), "--yes") == 0
    shell.emulator.fault("401 POST nth=2 count=0")
    assert shell("import", *_sheet(tmp_path, rows(1), DELETING), "--yes", "--batch", 1) == 7
    shell.emulator.faults.clear()

    assert shell("resume") == 0

    assert list(prices(shell)) == ["000"]


def _sheet(tmp_path: Path, sheet: str, mapping: str = PLAIN) -> tuple[Path, str, Path]:
    path, mapping_path = write(tmp_path, sheet, mapping)
    return path, "-m", mapping_path


def test_a_zone_that_only_the_mapping_names_counts_in_what_is_left_too(start: Start, tmp_path: Path) -> None:
    seed = catalog_of([*FIELDS, {"id": 103, "name": "Loaded", "type": "date_time"}])
    shell = start(seed)
    mapping = PLAIN.replace("price: Price", "price: Price, loaded: Loaded")
    sheet = "code,name,price,loaded\n" + "".join(f"{n:03},P{n},{n},2026-07-01 12:00:00\n" for n in range(4))
    shell.emulator.fault("401 POST nth=2 count=0")
    assert shell("import", *_sheet(tmp_path, sheet, mapping), "--yes", "--batch", 1) == 7
    shell.emulator.faults.clear()

    assert shell("resume") == 0

    assert [element["Loaded"] for element in shell.elements()] == [["2026-07-01 12:00:00"]] * 4


# --- what somebody overtook ---


@pytest.mark.parametrize("api", APIS)
def test_what_somebody_was_faster_with_is_left_out_and_told(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    monkeypatch.setenv("CATALOGSYNC_API", api)
    stopped(shell, tmp_path, every_write("401 POST count=0"))
    store = shell.emulator.store
    store.edit_as_other_user(501, values={"Price": 777}, at=2_000_000_000)
    store.delete_as_other_user(502)
    added = store.add_as_other_user(4220, "By hand", {"Code": "008"})

    assert shell("resume") == 5

    assert f"Left out, somebody was faster: (1)\n  008: was added meanwhile, as element {added.id}\n" in shell.out
    assert "Somebody edited these meanwhile; left as they are: (1)\n  001 (update)" in shell.out
    gone = {code: held for code, held in prices(shell).items() if code not in {"001", "008"}}
    assert gone == wanted(0, *range(3, 8), *range(9, 12))
    assert (prices(shell)["001"], prices(shell)["008"]) == (["777"], ["none"])


def test_an_old_element_that_was_given_the_key_meanwhile_counts_as_added(shell: Shell, tmp_path: Path) -> None:
    stopped(shell, tmp_path, "401 POST count=0")
    shell.emulator.store.edit_as_other_user(505, values={"Code": "011"}, at=2_000_000_000)

    assert shell("resume", "--json") == 5

    assert json.loads(shell.out)["overtaken"] == [
        {"where": "011", "what": "was added meanwhile, as element 505", "hint": ""}
    ]
    assert len(prices(shell)["011"]) == 1


def test_a_run_of_which_only_overtaken_adds_are_left_is_over(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS))
    shell.emulator.fault("401 POST count=0")
    assert shell("import", *_sheet(tmp_path, rows(1)), "--yes") == 7
    shell.emulator.faults.clear()
    shell.emulator.store.add_as_other_user(4220, "By hand", {"Code": "000"})

    assert shell("resume") == 5
    assert shell.posts == []
    assert "nothing of it was left to send" in shell.out

    assert shell("resume") == 0
    assert "Nothing to resume" in shell.err
    [operation] = journal(tmp_path).operations(1)
    assert operation.outcome == "conflict"


def test_a_field_that_is_gone_is_told_and_nothing_is_written(shell: Shell, tmp_path: Path) -> None:
    stopped(shell, tmp_path, "401 POST count=0")
    field = shell.emulator.store.field(102)
    assert field is not None
    shell.emulator.store.delete_field(field)

    assert shell("resume") == 5

    assert "price: the field 102 is gone" in shell.err
    assert shell.posts == []


# --- which run ---


def test_nothing_to_resume_needs_no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    shell = start(catalog_of(FIELDS))
    monkeypatch.delenv("CATALOGSYNC_URL")

    assert shell("resume") == 0
    assert shell.err == "Nothing to resume: every run came to its end.\n"
    assert shell("resume", "--json") == 0
    assert json.loads(shell.out) == NOTHING


def test_a_run_that_does_not_exist_is_an_error(shell: Shell) -> None:
    assert shell("resume", "7") == 1
    assert shell.err == "error: there is no run 7; `catalogsync history` lists them\n"


def test_a_run_that_was_done_has_nothing_to_resume(shell: Shell, tmp_path: Path) -> None:
    assert shell("import", *_sheet(tmp_path, rows(3)), "--yes") == 0
    shell("import", *_sheet(tmp_path, rows(3, price=1)), "--yes")

    assert shell("resume", "1") == 0

    assert shell.err == "Nothing to resume: it came to its end (run 1 is done).\n"


def test_a_new_import_supersedes_what_was_left_of_an_earlier_one(shell: Shell, tmp_path: Path) -> None:
    stopped(shell, tmp_path)
    assert shell("import", *_sheet(tmp_path, rows(12, price=20)), "--yes") == 0
    after = prices(shell)

    assert shell("resume") == 0
    assert "Nothing to resume: every run came to its end." in shell.err
    assert shell("resume", "1") == 0

    assert shell.err == "Nothing to resume: a later run took its place (run 1 is superseded).\n"
    assert prices(shell) == after == {f"{n:03}": [str(n + 20)] for n in range(12)}


def test_a_resume_that_is_stopped_is_resumed_in_turn(shell: Shell, tmp_path: Path) -> None:
    stopped(shell, tmp_path, "401 POST nth=2 count=0")
    shell.emulator.fault("401 POST nth=2 count=0")
    assert shell("resume") == 7
    shell.emulator.faults.clear()

    assert shell("resume") == 0

    assert prices(shell) == wanted(*range(12))
    assert [run["state"] for run in journal(tmp_path).runs()] == ["done", "superseded", "superseded"]


def test_two_stopped_runs_of_different_mappings_are_resumed_one_by_one(shell: Shell, tmp_path: Path) -> None:
    stopped(shell, tmp_path, "401 POST count=0")
    other = tmp_path / "other.yaml"
    other.write_text(PLAIN, encoding="utf-8")
    (tmp_path / "other.csv").write_text("code,name,price\n100,Other,1\n", encoding="utf-8")
    shell.emulator.fault("401 POST count=0")
    assert shell("import", tmp_path / "other.csv", "-m", other, "--yes") == 7
    shell.emulator.faults.clear()

    assert shell("resume") == 0
    assert "Still unfinished: run 1\n" in shell.err
    assert list(prices(shell)) == ["000", "001", "002", "003", "004", "005", "100"]

    assert shell("resume") == 0
    assert prices(shell) == {**wanted(*range(12)), "100": ["1"]}


def test_a_run_of_another_account_is_refused(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(shell, tmp_path)
    elsewhere = catalog_of(FIELDS)
    elsewhere["account"] = {**elsewhere["account"], "id": 30002}
    with Emulator(seed=elsewhere, rps=0) as emulator:
        monkeypatch.setenv("CATALOGSYNC_URL", emulator.url)
        monkeypatch.setenv("CATALOGSYNC_TOKEN", emulator.token)

        assert shell("resume") == 1
        assert shell.err == "error: run 1 is of account 30001, this is account 30002\n"
        assert shell("undo", "1", "--yes") == 1
        assert shell.err == "error: run 1 is of account 30001, this is account 30002\n"
        assert {arrival.method for arrival in emulator.requests} == {"GET"}


def test_the_last_run_of_this_account_is_resumed_not_that_of_another(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(shell, tmp_path)
    elsewhere = catalog_of(FIELDS)
    elsewhere["account"] = {**elsewhere["account"], "id": 30002}
    with Emulator(seed=elsewhere, rps=0) as emulator:
        with monkeypatch.context() as there:
            there.setenv("CATALOGSYNC_URL", emulator.url)
            there.setenv("CATALOGSYNC_TOKEN", emulator.token)
            emulator.fault("401 POST count=0")
            assert shell("import", *_sheet(tmp_path, rows(2)), "--yes") == 7

        assert shell("resume") == 0

    assert prices(shell) == wanted(0) | prices(shell)
    assert [run["id"] for run in journal(tmp_path).runs() if run["state"] == "stopped"] == [2]


def test_a_list_that_is_gone_is_told(shell: Shell, tmp_path: Path) -> None:
    stopped(shell, tmp_path)
    shell.emulator.store.delete_catalog(4220)

    assert shell("resume") == 1

    assert "run 1 wrote to catalog 4220 of account 30001, which is not there" in shell.err


@pytest.mark.parametrize("command", [["resume"], ["undo", "1", "--yes", "--max-delete", "100%"]])
def test_another_process_at_work_is_waited_for_by_the_caller(shell: Shell, tmp_path: Path, command: list[str]) -> None:
    stopped(shell, tmp_path)
    with lock.exclusive(tmp_path / "state", 30001, 4220):
        assert shell(*command) == 6
    assert "another run is writing to catalog 4220" in shell.err
    assert shell.posts == []

    assert shell(*command) == 0
