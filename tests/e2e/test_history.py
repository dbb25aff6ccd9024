"""What ran, read from the journal alone: no account, nothing secret, nothing that steers a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.e2e.conftest import Shell, Start, catalog_of
from tests.e2e.test_commands import FIELDS, PLAIN, products, rows, write
from tests.e2e.test_undo import sheet_of

DELETING = PLAIN + "missing: delete\nguards: {delete: 100%, rows: 0%, matched: 0%}\n"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def lines(shell: Shell) -> list[str]:
    """What was printed, with every time replaced and blanks in a row as one."""
    return [" ".join(TIME.sub("TIME", line).split()) for line in shell.out.splitlines()]


@pytest.fixture
def busy(start: Start, tmp_path: Path) -> Shell:
    """Run 1 updated, added and deleted, run 2 took it back, run 3 was stopped."""
    shell = start(catalog_of(FIELDS, products(3)))
    assert shell("import", *sheet_of(tmp_path, rows(3), DELETING), "--yes") == 0
    changed = "code,name,price\n000,P0,10\n001,P1,1\n003,New,3\n"
    assert shell("import", *sheet_of(tmp_path, changed, DELETING), "--yes") == 0
    assert shell("undo", "1", "--yes") == 0
    shell.emulator.fault("401 POST nth=2 count=0")
    assert shell("import", *sheet_of(tmp_path, rows(3, price=50), DELETING), "--yes", "--batch", 1) == 7
    return shell


def test_all_runs_are_listed_the_newest_first_with_what_became_of_them(busy: Shell) -> None:
    assert busy("history") == 0

    header, third, second, first = lines(busy)
    assert header == "Run Started Catalog Source State Changes"
    assert third.startswith("3 TIME 4220 sheet.csv stopped ")
    assert re.search(r"\d planned", third)
    assert second == "2 TIME 4220 run 1, taken back done (undoes 1) 1 added, 1 deleted, 1 updated"
    assert first == "1 TIME 4220 sheet.csv done 1 added, 1 deleted, 1 updated"


def test_a_run_shows_every_change_old_and_new_and_its_outcome(busy: Shell) -> None:
    assert busy("history", "1") == 0

    assert lines(busy) == [
        "Run 1, TIME, done: sheet.csv",
        "3 done",
        "Key Field Before After Outcome Element",
        "~ update 000 price 0 10 done 500",
        "+ add 003 name New done 41872",
        "code 003 · price 3",
        "- delete 002 element P2 (id 502) (deleted) done 502",
    ]


def test_a_run_that_ended_early_says_why_and_what_is_left(busy: Shell) -> None:
    assert busy("history", "3") == 0

    shown = lines(busy)
    assert shown[0] == "Run 3, TIME, stopped: sheet.csv"
    assert shown[1].startswith("Ended early: ")
    assert re.fullmatch(r"(\d done, )?\d planned", shown[2])
    assert any(line.endswith(" planned") or " planned " in line for line in shown[4:])


def test_an_undo_names_the_run_that_it_took_back(busy: Shell) -> None:
    assert busy("history", "2") == 0
    assert lines(busy)[0] == "Run 2, TIME, done, undoes run 1: run 1, taken back"


def test_history_as_json(busy: Shell) -> None:
    assert busy("history", "--json") == 0
    runs = json.loads(busy.out)
    assert [(run["id"], run["state"], run["undoes"], run["catalog_id"]) for run in runs] == [
        (3, "stopped", None, 4220),
        (2, "done", 1, 4220),
        (1, "done", None, 4220),
    ]
    assert runs[2]["outcomes"] == {"done": {"add": 1, "delete": 1, "update": 1}}

    assert busy("history", "1", "--json") == 0
    run = json.loads(busy.out)
    assert {name: run[name] for name in ("id", "source", "mapping", "state", "undoes", "message")} == {
        "id": 1,
        "source": "sheet.csv:",
        "mapping": "mapping",
        "state": "done",
        "undoes": None,
        "message": "",
    }
    update, add, delete = run["operations"]
    assert (update["kind"], update["before"], update["after"]) == ("update", {"102": "0"}, {"102": "10"})
    assert (update["outcome"], update["element_id"], update["stored"]) == ("done", 500, {"102": "10"})
    assert (add["kind"], add["values"]) == ("add", {"101": "003", "102": "3", "name": "New"})
    assert (delete["kind"], delete["image"]) == ("delete", {"101": "002", "102": "2", "name": "P2"})


def test_history_needs_no_account_and_sends_nothing(busy: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CATALOGSYNC_URL")
    monkeypatch.delenv("CATALOGSYNC_TOKEN")

    for arguments in ([], ["--json"], ["1"], ["1", "--json"]):
        assert busy("history", *arguments) == 0
        assert busy.out
        assert busy.sent == []


def test_nothing_has_run_yet(start: Start) -> None:
    shell = start(catalog_of(FIELDS))

    assert shell("history") == 0
    assert (shell.out, shell.err) == ("", "Nothing has run yet.\n")
    assert shell("history", "--json") == 0
    assert json.loads(shell.out) == []
    assert shell("history", "1") == 1
    assert shell.err == "error: there is no run 1; `catalogsync history` lists them\n"


def test_the_token_is_in_no_file_and_in_no_output(busy: Shell, tmp_path: Path) -> None:
    token = busy.emulator.token
    plan = tmp_path / "plan.json"
    assert busy("plan", *sheet_of(tmp_path, rows(3, price=70), DELETING), "--out", plan) == 0
    told = ""
    for arguments in (["history"], ["history", "--json"], *(["history", n, "--json"] for n in "123")):
        assert busy(*arguments) == 0
        told += busy.out + busy.err
    assert busy("resume", "--json") == 7
    told += busy.out + busy.err

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "journal.sqlite" for path in files)
    assert [path for path in files if token.encode() in path.read_bytes()] == []
    assert token not in told


CONTROLS = "\x1b[2J\x07\x9b31m\x7f"


def test_what_steers_a_terminal_is_shown_as_a_mark(start: Start, tmp_path: Path) -> None:
    fields = [*FIELDS, {"id": 103, "name": f"Odd{CONTROLS}", "type": "text"}]
    elements = [{"id": 500, "name": f"Old{CONTROLS}", "values": {"Code": "000", "Price": 1}}]
    shell = start(catalog_of(fields, elements))
    mapping = PLAIN.replace("price: Price", "price: Price, odd: 103")
    sheet = "code,name,price,odd\n000,New\x1b[2J,2,a text\x9b31m\n001,Another\x1b[2J,1,\n"
    assert shell("import", *sheet_of(tmp_path, sheet, mapping), "--yes") == 0
    shell.emulator.store.edit_as_other_user(500, values={103: f"y{CONTROLS}"})

    for arguments in (
        ["history"],
        ["history", "1"],
        ["history", "1", "--json"],
        ["undo", "1"],
        ["undo", "1", "--json"],
    ):
        shell(*arguments)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shell.out + shell.err), arguments
    assert shell("history", "1", "--json") == 0
    assert json.loads(shell.out)["operations"][0]["before"]["name"] == f"Old{CONTROLS}"


def test_of_a_large_run_what_was_not_done_is_shown_first_and_the_rest_when_told(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS, products(300)))
    sheet, mapping = write(tmp_path, rows(300, price=1000))
    shell.emulator.fault("edit 799 Price=5 before POST")
    assert shell("import", sheet, "-m", mapping, "--yes") == 5

    assert shell("history", "1") == 0
    shown = lines(shell)
    assert shown[1] == "299 done, 1 conflict"
    assert shown[3] == "~ update 299 price 299 1299 conflict Last modified date is older than in database 799"
    assert len(shown) == 3 + 40 + 1
    assert shown[-1] == "… and 260 more changes (-v shows all, --json too)"

    assert shell("history", "1", "-v") == 0
    assert len(lines(shell)) == 3 + 300
