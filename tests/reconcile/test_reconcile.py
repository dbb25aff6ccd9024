"""``catalogsync reconcile`` as a user runs it: modes, what a turn tells, what it costs, and what it never does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

from catalogsync.api.auth import APIS
from tests.reconcile.projects import SHEET, Project


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CATALOGSYNC_API", request.param)
    return str(request.param)


# --- apply -----------------------------------------------------------------------------------------------------


def test_a_turn_writes_what_the_sheet_says_and_the_next_one_writes_nothing(api: str, project: Project) -> None:
    first = project.turn()
    assert (first["exit_code"], first["words"], first["done"]) == (
        0,
        "3 adds done",
        {"add": 3, "update": 0, "delete": 0},
    )
    assert (first["sheet"], first["run_id"], first["writes"]) == ("prices.csv", 1, 1)
    assert sorted(project.stored()) == ["001", "002", "003"]

    second = project.turn()
    assert (second["exit_code"], second["words"], second["writes"]) == (0, "sheet and catalog are in step", 0)
    assert project.shell.posts == []
    assert second["reads"] == len(project.shell.sent)


def test_an_edit_of_the_sheet_is_sent_and_one_of_a_colleague_is_kept_and_told(api: str, project: Project) -> None:
    project.run()
    project.edit("002", Price="101")
    project.write("prices.csv", SHEET.replace("9.5", "12"))
    made = project.turn()
    assert (made["exit_code"], made["words"]) == (0, "1 update done")
    assert [line.partition(";")[0] for line in made["details"]] == ["002, price: edited in the catalog, kept"]
    assert (project.stored()["001"]["Price"], project.stored()["002"]["Price"]) == (["12"], ["101"])


def test_a_guard_stops_a_turn_as_it_stops_an_import(project: Project) -> None:
    project.run()
    project.jobs("sheet: prices.csv, guards: {update: 1}")
    project.write("prices.csv", SHEET.replace("9.5", "12").replace("250", "251"))
    made = project.turn()
    assert (made["exit_code"], made["events"], made["writes"]) == (4, ["guard"], 0)
    assert any("update" in line for line in made["details"])
    way_out = made["words"].partition(": ")[2].replace("SHEET", str(project.folder / "prices.csv"))
    assert project.turn("--check")["exit_code"] == 2
    words = way_out.replace("MAPPING", str(project.folder / "mapping.yaml")).split()[1:]
    assert project.shell(*words, "--yes", "--max-update", "1") == 0  # the words are a command that works


def test_rejected_rows_are_told_and_the_others_are_sent(project: Project) -> None:
    project.write("prices.csv", SHEET.replace("9.5", "cheap"))
    made = project.turn()
    assert (made["exit_code"], made["events"], made["rejected_rows"], made["words"]) == (
        3,
        ["rejected"],
        1,
        "2 adds done; 1 of 3 rows rejected",
    )
    assert made["details"] == [
        'rejected: prices.csv:2 (price): "cheap" is not a number (if that means no value: `empty: "cheap"`)'
    ]

    project.jobs("sheet: prices.csv, strict: yes")
    made = project.turn()
    assert (made["exit_code"], made["events"], made["writes"]) == (3, ["rejected"], 0)


def test_a_conflict_is_told(project: Project) -> None:
    project.run()
    project.edit("001", Price="10")
    project.write("prices.csv", SHEET.replace("9.5", "12"))
    made = project.turn()
    assert (made["exit_code"], made["events"], made["conflicts"]) == (5, ["conflict"], 1)
    assert made["details"][0].startswith(
        "001, price: changed on both sides; was 9.5, the catalog says 10, the sheet 12"
    )


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda project: (project.folder / "prices.csv").unlink(), "prices.csv"),
        (lambda project: (project.folder / "mapping.yaml").unlink(), "mapping.yaml"),
        (lambda project: project.write("prices.csv", "code,name\n"), "no rows"),
        (lambda project: project.jobs("sheet: prices.csv", more="account: {url: x.kommo.com, token: env:NO}\n"), "NO"),
    ],
)  # fmt: skip
def test_what_goes_wrong_in_a_job_is_its_outcome_and_the_others_run(project: Project, break_it, words: str) -> None:  # type: ignore[no-untyped-def]
    break_it(project)
    [made] = project.turns()
    assert (made["events"], made["exit_code"] in (1, 6, 7), made["writes"]) == (["failure"], True, 0)
    assert words in made["words"] + "".join(made["details"])


def test_a_job_that_fails_does_not_keep_the_others_from_running(project: Project) -> None:
    project.jobs("sheet: nothing.csv", "sheet: prices.csv")
    assert [(made["job"], made["exit_code"]) for made in project.turns()] == [("prices", 1), ("second", 0)]
    assert project.run() == 1


def test_a_defect_is_told_as_one_and_the_other_jobs_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mock, since there is no defect to be had that is known."""
    project.jobs("sheet: prices.csv", "sheet: prices.csv")
    calls = iter([RuntimeError("the moon is full")])

    def broken(plan: object) -> list[str]:
        for error in calls:
            raise error
        return []

    monkeypatch.setattr("catalogsync.reconcile.running._problem_lines", broken)
    first, second = project.turns()
    assert (first["exit_code"], first["events"]) == (1, ["failure"])
    assert first["words"] == "a defect in catalogsync (RuntimeError); please report the lines below"
    assert first["details"][-1] == "RuntimeError: the moon is full"
    assert second["words"] == "sheet and catalog are in step"


def test_only_the_jobs_that_are_named_run_and_an_unknown_name_is_told(project: Project) -> None:
    project.jobs("sheet: prices.csv", "sheet: prices.csv")
    assert [made["job"] for made in project.turns("second")] == ["second"]
    assert project.run("third") == 1
    assert "there is no job “third”. Jobs: prices, second" in project.shell.err


def test_a_sheet_that_has_not_changed_costs_nothing_where_the_job_says_so(project: Project) -> None:
    project.jobs("sheet: prices.csv, unchanged: skip")
    project.run()
    made = project.turn()
    assert (made["words"], made["reads"]) == ("the sheet has not changed: the catalog was not looked at", 0)
    assert project.shell.sent == []
    assert project.turn("--check")["reads"] > 0
    project.write("mapping.yaml", (project.folder / "mapping.yaml").read_text(encoding="utf-8") + "missing: keep\n")
    assert project.turn()["reads"] > 0


def test_a_sheet_that_has_not_changed_has_the_problems_that_it_had_and_a_failure_between_is_over(
    project: Project,
) -> None:
    project.jobs("sheet: prices.csv, unchanged: skip")
    project.write("prices.csv", SHEET.replace("9.5", "cheap"))
    assert project.turn()["events"] == ["rejected"]
    (project.folder / "prices.csv").rename(project.folder / "away.csv")
    assert project.turn()["events"] == ["failure"]
    (project.folder / "away.csv").rename(project.folder / "prices.csv")
    made = project.turn()
    assert (made["events"], made["is_skipped"], made["reads"]) == (["rejected"], False, 0)


def test_a_turn_after_one_that_was_refused_looks_again_though_the_sheet_is_the_same(project: Project) -> None:
    project.jobs("sheet: prices.csv, unchanged: skip, guards: {add: 1}")
    assert project.turn()["exit_code"] == 4
    assert project.turn()["exit_code"] == 4


def test_quietly_only_what_needs_a_person_is_told_so_that_cron_mails_nothing_else(project: Project) -> None:
    assert project.run("--quiet") == 0
    assert (project.shell.out, project.shell.err) == ("", "")
    project.write("prices.csv", SHEET.replace("9.5", "cheap"))
    assert project.run("--quiet") == 3
    assert project.shell.out.startswith("prices: sheet and catalog are in step; 1 of 3 rows rejected (prices.csv, ")


# --- plan-only and --check -------------------------------------------------------------------------------------


def test_plan_only_reports_drift_and_writes_nothing(api: str, project: Project) -> None:
    project.run()
    project.jobs("sheet: prices.csv, mode: plan-only, timezone: Europe/Riga")
    assert project.turn()["words"] == "sheet and catalog are in step"
    project.edit("001", Price="11")
    made = project.turn()
    assert (made["exit_code"], made["events"], made["writes"]) == (0, ["drift"], 0)
    assert made["details"] == [
        "001, price: edited in the catalog, kept; was 9.5, the catalog says 11, the sheet 9.5; last edited by user "
        "504142 at 2033-05-18 06:33:20 EEST"
    ]
    assert project.shell.posts == []


def test_check_exits_2_on_drift_and_says_who_edited_when(project: Project) -> None:
    project.run()
    assert project.run("--check") == 0
    project.write("prices.csv", SHEET.replace("9.5", "12") + "004,Fir,7,\n")
    project.edit("003", Note="Very soft")
    assert project.run("--check") == 2
    lines = project.shell.out.splitlines()
    assert lines[0].startswith("prices: sheet and catalog differ: 1 add, 1 update, 1 CRM edit kept (prices.csv, ")
    assert lines[1].startswith("  001, price: the catalog says 9.5, the sheet 12 (prices.csv:2); last edited by user ")
    assert lines[2] == "  004: only in the sheet (prices.csv:5)"
    assert lines[3].startswith(
        "  003, note: edited in the catalog, kept; was Soft, the catalog says Very soft, the sheet"
    )
    assert lines[3].endswith("last edited by user 504142 at 2033-05-18 03:33:20 UTC")
    assert project.shell.posts == []


def test_check_and_keeping_on_do_not_go_together(project: Project) -> None:
    assert project.run("--check", "--every", "15m") == 64
    assert project.run("--every", "soon") == 64
    assert project.run("--keep") == 1
    assert "no `schedule:` for prices; write one, or give --every 15m" in project.shell.err


# --- approve ---------------------------------------------------------------------------------------------------


def approve(path: Path, name: str = "Anna", **answers: str) -> None:
    """Answer a review workbook: `answers` by key, all others as they are; sign it."""
    book = openpyxl.load_workbook(path)
    for tab in ("Changes", "Adds"):
        if tab in book.sheetnames:
            for row in book[tab].iter_rows():
                if row[1].value in answers:
                    row[0].value = answers[row[1].value]
    for row in book["Summary"].iter_rows():
        if row[0].value == "Approved by":
            row[1].value = name
    book.save(path)
    book.close()


def test_approve_asks_in_a_workbook_and_applies_exactly_what_was_approved(api: str, project: Project) -> None:
    project.jobs("sheet: prices.csv, mode: approve")
    asked = project.turn()
    [path] = map(Path, asked["files"])
    assert (asked["exit_code"], asked["events"], asked["writes"]) == (0, ["approval"], 0)
    assert (path.parent, asked["words"]) == (project.folder / "reviews", f"3 adds wait for approval in {path.name}")

    before = path.read_bytes()
    assert project.turn()["files"] == [str(path)]  # asked once
    assert path.read_bytes() == before

    approve(path, **{"002": "no"})
    done = project.turn()
    assert (done["exit_code"], done["words"], done["events"]) == (0, "2 adds done", [])
    assert sorted(project.stored()) == ["001", "003"]
    assert [each.parent.name for each in (project.folder / "reviews").rglob("*.xlsx")] == ["done"]
    project.shell("history", "1", "--json")
    assert json.loads(project.shell.out)["review"]["approved_by"] == "Anna"

    again = project.turn()  # what was left out is asked anew
    assert again["words"].startswith("1 add wait")


def test_a_workbook_that_somebody_has_open_is_left_alone(project: Project) -> None:
    project.jobs("sheet: prices.csv, mode: approve")
    [path] = map(Path, project.turn()["files"])
    approve(path)
    lock = path.parent / f"~${path.name}"
    lock.touch()
    assert project.turn()["writes"] == 0
    lock.unlink()
    assert project.turn()["words"] == "3 adds done"


def test_another_plan_is_asked_in_the_place_of_one_that_nobody_answered(project: Project) -> None:
    project.jobs("sheet: prices.csv, mode: approve")
    [old] = map(Path, project.turn()["files"])
    project.write("prices.csv", SHEET + "004,Fir,7,\n")
    [new] = map(Path, project.turn()["files"])
    assert (old.exists(), new.exists(), old == new) == (False, True, False)
    (project.folder / "prices.csv").write_text("code,name,price,note\n", encoding="utf-8")
    assert project.turn()["events"] == ["failure"]
    assert new.exists()


def test_an_answer_that_came_after_the_catalog_changed_is_put_away_and_asked_anew(project: Project) -> None:
    project.run()
    project.jobs("sheet: prices.csv, mode: approve")
    project.write("prices.csv", SHEET.replace("9.5", "12"))
    [path] = map(Path, project.turn()["files"])
    project.edit("001", Price="10")
    approve(path)
    stale = project.turn()
    assert (stale["exit_code"], stale["events"], stale["writes"]) == (5, ["failure"], 0)
    assert [each.parent.name for each in (project.folder / "reviews").rglob("*.xlsx")] == ["stale"]
    assert project.turn()["events"] == ["conflict", "approval"]


def test_check_leaves_an_answered_workbook_alone(project: Project) -> None:
    project.jobs("sheet: prices.csv, mode: approve")
    [path] = map(Path, project.turn()["files"])
    approve(path)
    assert project.turn("--check")["exit_code"] == 2
    assert (path.exists(), project.shell.posts) == (True, [])


# --- one at a time ---------------------------------------------------------------------------------------------


def test_turns_of_one_job_never_overlap_also_not_in_two_processes(project: Project) -> None:
    emulator = project.shell.emulator
    hold = """
import sys
from pathlib import Path
from catalogsync.reconcile.project import load_project
from catalogsync.reconcile.running import Jobs
from catalogsync.reconcile.state import Memory
from catalogsync.journal import Journal
from catalogsync.state import state_folder
jobs = Jobs(load_project(Path(sys.argv[1])), Memory(state_folder() / "reconcile.sqlite"),
            Journal(state_folder() / "journal.sqlite"), connect=None)
with jobs._alone("prices") as is_alone:
    print(is_alone, flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", hold, str(project.folder / "catalogsync.yaml")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        made = project.turn()
        assert (made["words"], made["is_skipped"]) == ("the last turn is still running: skipped", True)
        other.communicate()
    assert project.turn()["words"] == "3 adds done"
    assert emulator is project.shell.emulator


# --- what is to be installed -----------------------------------------------------------------------------------


def test_what_is_to_be_installed_is_printed_and_nothing_is_done(project: Project) -> None:
    project.jobs(
        "sheet: prices.csv, schedule: '*/15 6-20 * * 1-5', timezone: Europe/Riga", "sheet: prices.csv, schedule: 2h"
    )
    path = (project.folder / "catalogsync.yaml").resolve()
    assert project.run("--install", "cron") == 0
    assert project.shell.out.splitlines()[1:] == [
        "# The hours are those of this machine's clock; prices means those of Europe/Riga.",
        f"*/15 6-20 * * 1-5 {sys.executable} -m catalogsync reconcile prices --project {path} --quiet",
        f"0 */2 * * * {sys.executable} -m catalogsync reconcile second --project {path} --quiet",
    ]
    assert project.run("--install", "systemd") == 0
    assert (
        f"ExecStart={sys.executable} -m catalogsync reconcile prices second --project {path} --keep"
        in project.shell.out
    )
    assert project.run("--install", "windows") == 0
    assert f"-Execute '{sys.executable}'" in project.shell.out
    assert project.shell.sent == []
    project.jobs("sheet: prices.csv, schedule: 7m")
    assert project.run("--install", "cron") == 1
    assert "cron has no “every 7m”" in project.shell.err
