"""Every command as a user calls it, against the emulator: what it prints, what it sends, how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import requests

from catalogsync.cli import COMMANDS, cli, run
from catalogsync.emulator.server import Emulator
from tests.e2e.conftest import Shell, Start, catalog_of

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "stationery.csv"
SEED = ROOT / "samples" / "stationery.seed.yaml"
MAPPING = ROOT / "mappings" / "stationery.yaml"

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Price", "type": "numeric"},
]
PLAIN = "catalog: Products\nkey: code\ncolumns: {code: Code, name: name, price: Price}\n"


@pytest.fixture
def sample(start: Start) -> Shell:
    """The account of the bundled sample."""
    return start(SEED)


def products(count: int) -> list[dict[str, Any]]:
    return [{"id": 500 + n, "name": f"P{n}", "values": {"Code": f"{n:03}", "Price": n}} for n in range(count)]


def write(folder: Path, sheet: str, mapping: str = PLAIN) -> tuple[Path, Path]:
    (folder / "sheet.csv").write_text(sheet, encoding="utf-8")
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    return folder / "sheet.csv", folder / "mapping.yaml"


def rows(count: int, price: int = 0) -> str:
    return "code,name,price\n" + "".join(f"{n:03},P{n},{n + price}\n" for n in range(count))


# --- plan ---


def test_plan_shows_old_and_new_and_sends_only_gets(sample: Shell) -> None:
    assert sample("plan", SAMPLE, "-m", MAPPING) == 0

    assert "~ update  00503  Product   Ruler 50      Ruler 50 cm" in sample.out
    assert "Plan: 7 to add, 2 to update, 0 to delete; 1 unchanged." in sample.out
    assert "1 write request" in sample.out
    assert "encoding    utf-8" in sample.err
    assert [arrival.method for arrival in sample.sent] == ["GET"] * 4


def test_plan_with_detailed_exitcode_says_2_while_there_are_changes_and_0_after(sample: Shell) -> None:
    assert sample("plan", SAMPLE, "-m", MAPPING, "--detailed-exitcode") == 2
    assert sample("import", SAMPLE, "-m", MAPPING, "--yes") == 0
    assert sample("plan", SAMPLE, "-m", MAPPING, "--detailed-exitcode") == 0
    assert "Nothing to do: 10 unchanged." in sample.out


def test_a_rejected_row_is_told_and_the_exit_code_is_3(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, 'code,name,price\n001,A,12\n002,B,"12,5 €"\n')

    assert shell("plan", sheet, "-m", mapping) == 3

    assert 'sheet.csv:3 (price): "12,5 €" is not a number' in shell.out
    assert "Plan: 1 to add, 0 to update, 0 to delete; 0 unchanged, 1 rows rejected." in shell.out


def test_text_of_a_sheet_cannot_steer_the_terminal(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, "code,name,price\n001,\x1b[2JOak,12\n002,B,\x1b]0;x\x07\n\x1bkey,C,1\n")

    assert shell("plan", sheet, "-m", mapping) == 3

    assert "\x1b" not in shell.out + shell.err
    assert "�[2JOak" in shell.out
    assert '"�]0;x�" is not a number' in shell.out


@pytest.mark.skipif(sys.platform != "linux", reason="only there file names may hold bytes that are no text")
def test_files_whose_names_hold_bytes_that_are_no_text_are_planned_stored_imported_and_exported(
    start: Start, tmp_path: Path
) -> None:
    shell = start(catalog_of([{"name": "Code", "type": "text"}]))
    sheet, mapping = write(
        tmp_path, "Code,Name\n1,Oak\n,Elm\n", "catalog: Products\nkey: Code\ncolumns: {Code: Code, Name: name}\n"
    )
    odd = sheet.rename(sheet.with_name(os.fsdecode(b"a\xef" + sheet.name.encode())))
    odd_mapping = mapping.rename(mapping.with_name(os.fsdecode(b"b\xef" + mapping.name.encode())))
    for name in ("plan.json", "plan.xlsx", "plan.html"):
        assert shell("plan", odd, "-m", odd_mapping, "--out", tmp_path / name) == 3, shell.err
    assert shell("import", odd, "-m", odd_mapping, "--yes") == 3, shell.err
    assert [each["name"] for each in shell.elements()] == ["Oak"]
    assert shell("history") == 0
    assert f"a\ufffd{sheet.name}" in shell.out
    assert shell("export", "Products", tmp_path / "out.xlsx", "-m", odd_mapping) == 0, shell.err


def test_a_moment_that_v2_cannot_store_is_refused_rather_than_stored_an_hour_off(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of([*FIELDS, {"id": 103, "name": "Loaded", "type": "date_time"}]))
    mapping = PLAIN.replace("price: Price", "price: Price, loaded: Loaded")
    lines = ["001,A,1,2024-10-27 03:30+03:00", "002,B,1,2024-10-27 03:30+02:00"]
    sheet, mapping_path = write(tmp_path, "\n".join(["code,name,price,loaded", *lines]), mapping)

    plan = shell.plan(sheet, "-m", mapping_path)

    assert [change["key"] for change in plan["changes"]] == ["001"]
    assert [problem["where"] for problem in plan["rejected"]] == ["sheet.csv:3"]
    assert plan["rejected_rows"] == 1


def test_the_number_of_requests_follows_the_batch(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, rows(23))

    assert shell.plan(sheet, "-m", mapping, "--batch", 5)["write_requests"] == 5
    assert shell("import", sheet, "-m", mapping, "--batch", 5, "--yes", "--rps", 0) == 0
    assert sorted(len(body["add"]) for body in shell.posts) == [3, 5, 5, 5, 5]  # several are on their way at once


# --- import ---


def test_import_without_yes_and_without_a_terminal_shows_the_plan_and_writes_nothing(sample: Shell) -> None:
    assert sample("import", SAMPLE, "-m", MAPPING) == 64

    assert "7 to add" in sample.out
    assert "--yes" in sample.err
    assert sample.posts == []


needs_terminal = pytest.mark.skipif(sys.platform == "win32", reason="a terminal of one's own needs POSIX")


def in_terminal(arguments: list[str], answer: str, meanwhile: Callable[[], object] = lambda: None) -> tuple[int, str]:
    """Run a command in a terminal of its own, answer its question; its exit code and all that it showed."""
    import pty

    process, terminal = pty.fork()
    if process == 0:
        os.environ["TERM"] = "xterm-256color"
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "catalogsync", *arguments])
    shown = b""
    asked = False
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux tells the end of a terminal
            break
        if not piece:
            break
        shown += piece
        if b"[y/N]" in shown and not asked:
            asked = True
            meanwhile()
            os.write(terminal, answer.encode() + b"\n")
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), shown.decode("utf-8", "replace")


@needs_terminal
def test_import_asks_on_a_terminal_and_yes_applies_with_a_progress_bar(sample: Shell) -> None:
    code, shown = in_terminal(["import", str(SAMPLE), "-m", str(MAPPING)], "y")

    assert code == 0, shown
    assert "Apply this plan? [y/N]" in shown
    assert "Writing Products" in shown
    assert "Done: 7 added, 2 updated, in 1 write request" in shown
    assert sample.plan(SAMPLE, "-m", MAPPING)["changes"] == []


@needs_terminal
def test_no_is_the_default_and_writes_nothing(sample: Shell) -> None:
    code, shown = in_terminal(["import", str(SAMPLE), "-m", str(MAPPING)], "")

    assert code == 0, shown
    assert "Nothing was written." in shown
    assert [arrival.method for arrival in sample.emulator.requests if arrival.method == "POST"] == []


@needs_terminal
def test_what_changed_while_the_question_stood_there_makes_the_plan_stale(sample: Shell) -> None:
    def edit() -> None:
        sample.emulator.store.edit_as_other_user(41872, values={"PRICE": "999"})

    code, shown = in_terminal(["import", str(SAMPLE), "-m", str(MAPPING)], "y", edit)

    assert code == 5, shown
    assert "element 41872 was edited" in shown, shown[-900:]
    assert [arrival.method for arrival in sample.emulator.requests if arrival.method == "POST"] == []


def test_nothing_moves_where_stderr_is_no_terminal(sample: Shell) -> None:
    assert sample("import", SAMPLE, "-m", MAPPING, "--yes") == 0

    assert "Writing" not in sample.err + sample.out
    assert len(sample.err.splitlines()) == 8  # how the sheet was read


def test_import_without_changes_neither_asks_nor_writes(sample: Shell) -> None:
    sample("import", SAMPLE, "-m", MAPPING, "--yes")

    assert sample("import", SAMPLE, "-m", MAPPING) == 0

    assert sample.posts == []


def test_import_json_holds_plan_and_outcome(sample: Shell) -> None:
    assert sample("import", SAMPLE, "-m", MAPPING, "--yes", "--json") == 0

    told = json.loads(sample.out)
    assert told["plan"]["counts"] == {"add": 7, "update": 2, "delete": 0}
    assert {result["outcome"] for result in told["run"]["results"]} == {"done"}
    assert told["run"]["write_requests"] == 1


def test_a_plan_says_how_the_sheet_was_read(sample: Shell) -> None:
    assert sample("plan", SAMPLE, "-m", MAPPING) == 0
    told = dict(line.split(maxsplit=1) for line in sample.err.splitlines() if line.startswith("  "))
    assert told["type"] == "text"
    assert told["delimiter"] == ";"
    assert told["cells"] == "A2:I11"
    assert "How the sheet was read:" in sample.err

    assert sample("plan", SAMPLE, "-m", MAPPING, "--quiet") == 0
    assert "How the sheet was read:" not in sample.err


def test_import_json_holds_the_plan_also_where_nothing_is_written(sample: Shell) -> None:
    counts = {"add": 7, "update": 2, "delete": 0}
    assert sample("import", SAMPLE, "-m", MAPPING, "--json") == 64
    told = json.loads(sample.out)
    assert (told["plan"]["counts"], told["run"]) == (counts, None)

    assert sample("import", SAMPLE, "-m", MAPPING, "--yes", "--json", "--max-add", "1") == 4
    told = json.loads(sample.out)
    assert (told["plan"]["counts"], told["run"]) == (counts, None)
    assert sample.posts == []


def test_an_edit_made_between_plan_and_write_is_reported_and_survives(start: Start, tmp_path: Path) -> None:
    from catalogsync.emulator.faults import Fault

    shell = start(catalog_of(FIELDS, products(3)))
    sheet, mapping = write(tmp_path, rows(3, price=10))
    edit = Fault(
        "call",
        method="POST",
        call=lambda store: store.edit_as_other_user(501, values={"Price": "777"}, at=2_000_000_000),
    )
    shell.emulator.fault(edit)

    assert shell("import", sheet, "-m", mapping, "--yes") == 5

    assert "Somebody edited these meanwhile" in shell.out
    assert {e["id"]: e["Price"] for e in shell.elements()} == {500: ["10"], 501: ["777"], 502: ["12"]}


def test_a_lost_answer_is_settled_and_every_key_is_there_once(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, rows(20))
    shell.emulator.fault("504 after POST nth=2")

    assert shell("import", sheet, "-m", mapping, "--yes", "--batch", 6, "--rps", 0) == 0
    assert sorted(element["Code"][0] for element in shell.elements()) == [f"{n:03}" for n in range(20)]
    assert shell.plan(sheet, "-m", mapping)["changes"] == []


# --- missing and guards ---


def test_deleting_a_tenth_passes_and_more_is_refused_with_the_numbers_and_the_way_past(
    start: Start, tmp_path: Path
) -> None:
    shell = start(catalog_of(FIELDS, products(20)))
    _, mapping = write(tmp_path, "", PLAIN + "missing: delete\n")
    sheet, _ = write(tmp_path, rows(20), PLAIN + "missing: delete\n")
    assert shell("import", sheet, "-m", mapping, "--yes") == 0

    write(tmp_path, rows(17), PLAIN + "missing: delete\n")
    assert shell("import", sheet, "-m", mapping, "--yes") == 4
    assert shell.posts == []
    assert "the plan would delete 3 of 20 elements (15%), the ceiling is 10%" in shell.err
    digest = shell.err.partition("--allow ")[2].split()[0]

    assert shell("import", sheet, "-m", mapping, "--yes", "--allow", "0123456789ab") == 4
    assert shell("import", sheet, "-m", mapping, "--yes", "--allow", digest) == 0
    assert shell.posts == [{"delete": [519, 518, 517]}]
    assert len(shell.elements()) == 17

    write(tmp_path, rows(12), PLAIN + "missing: delete\n")
    assert shell("import", sheet, "-m", mapping, "--yes", "--max-delete", "5") == 0
    assert len(shell.elements()) == 12


def priced(count: int) -> list[dict[str, Any]]:
    return [{"id": 500 + n, "name": f"P{n}", "values": {"Code": f"{n:03}", "Price": 20 + n}} for n in range(count)]


PRICED = PLAIN.replace("price: Price", "price: {field: Price, moves: 50%}")
ALARMS = {
    "few rows": (rows(12, price=20), "the sheet has 12 rows, the least is 15"),
    "other keys": (
        "code,name,price\n" + "".join(f"{n},P{n},{20 + n}\n" for n in range(20, 40)),
        "0 of the sheet's 20 keys are among the catalog's 20; at least 1 is expected to be",
    ),
    "decimal slip": (
        "code,name,price\n" + "".join(f"{n:03},P{n},{2000 + 100 * n}\n" for n in range(20)),
        "the typical value would go up by 9900% (times 100, the median of 20 matched rows), the limit is 50%",
    ),
    "sorted": (
        "code,name,price\n" + "".join(f"{n:03},P{n},{39 - n}\n" for n in range(20)),
        "20 of 20 matched rows (100%) would get another value, yet 100% of the values are those",
    ),
}


@pytest.mark.parametrize("alarm", ALARMS)
def test_a_broken_sheet_is_shown_by_plan_refused_by_import_and_apply_and_let_through_by_its_digest(
    start: Start, tmp_path: Path, alarm: str
) -> None:
    shell = start(catalog_of(FIELDS, priced(20)))
    text, told = ALARMS[alarm]
    sheet, mapping = write(tmp_path, text, PRICED + ("guards: {rows: 15}\n" if alarm == "few rows" else ""))
    stored = tmp_path / "plan.json"
    before = shell.elements()

    assert shell("plan", sheet, "-m", mapping, "--out", stored) == 0
    assert "A guard would stop this plan: (1)" in shell.out
    assert told in shell.out
    [shown] = shell.plan(sheet, "-m", mapping)["alarms"]
    assert told in shown["what"]
    assert told in shell.err

    for command in (["import", sheet, "-m", mapping, "--yes"], ["apply", stored]):
        assert shell(*command) == 4
        assert {arrival.method for arrival in shell.sent} <= {"GET"}
        assert told in shell.err
        digest = shell.err.partition("let this one plan through: --allow ")[2].split()[0]
        assert shell(*command, "--allow", "0123456789ab") == 4
        assert shell.elements() == before

    assert shell("import", sheet, "-m", mapping, "--yes", "--allow", digest) == 0
    assert shell.plan(sheet, "-m", mapping)["changes"] == []


def test_an_empty_sheet_is_no_empty_catalog(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS, priced(20)))
    sheet, mapping = write(
        tmp_path, "code,name,price\n", PRICED + "missing: delete\nguards: {delete: 100%, rows: 0%}\n"
    )

    assert shell("import", sheet, "-m", mapping, "--yes", "--delete-unseen") == 1

    assert shell.posts == []
    assert "no rows below" in shell.err


def test_a_first_import_and_a_price_rise_of_eight_percent_pass_without_flags(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, rows(20, price=20), PRICED)
    assert shell("import", sheet, "-m", mapping, "--yes") == 0

    risen = "code,name,price\n" + "".join(f"{n:03},P{n},{(20 + n) * 1.08:.2f}\n" for n in range(20))
    sheet, mapping = write(tmp_path, risen, PRICED)
    assert shell("import", sheet, "-m", mapping, "--yes") == 0
    assert "guard" not in shell.out + shell.err


def test_an_exceeded_ceiling_is_shown_with_the_plan(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, rows(3), PLAIN + "guards: {add: 2}\n")

    assert shell("plan", sheet, "-m", mapping) == 0

    assert "A guard would stop this plan: (1)" in shell.out
    assert "the plan would add 3 of 0 elements, the ceiling is 2" in shell.out


def test_a_first_run_deletes_nothing_unless_told(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS, products(20)))
    sheet, mapping = write(tmp_path, rows(19), PLAIN + "missing: delete\n")

    plan = shell.plan(sheet, "-m", mapping)
    assert plan["counts"]["delete"] == 0
    assert "--delete-unseen" in plan["notes"][0]
    assert shell.plan(sheet, "-m", mapping, "--delete-unseen")["counts"]["delete"] == 1


def test_nothing_is_deleted_while_a_key_cannot_be_read(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS, products(20)))
    sheet, mapping = write(tmp_path, rows(19) + ",no key,1\n", PLAIN + "missing: delete\n")

    plan = shell.plan(sheet, "-m", mapping, "--delete-unseen")

    assert plan["counts"]["delete"] == 0
    assert plan["rejected_rows"] == 1


def test_what_hangs_on_deals_is_deleted_only_when_told(start: Start, tmp_path: Path) -> None:
    elements = products(20)
    elements[19]["leads"] = [31]
    shell = start(catalog_of(FIELDS, elements))
    sheet, mapping = write(tmp_path, rows(18), PLAIN + "missing: delete\n")

    plan = shell.plan(sheet, "-m", mapping, "--delete-unseen")
    assert [change["id"] for change in plan["changes"]] == [518]
    assert plan["notes"] == [
        "1 elements have no row, but hang on deals or customers (519): left alone (--delete-linked)"
    ]
    assert shell.plan(sheet, "-m", mapping, "--delete-unseen", "--delete-linked")["counts"]["delete"] == 2


def test_missing_can_set_a_value_instead(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS, products(3)))
    sheet, mapping = write(tmp_path, rows(2), PLAIN + "missing: {set: {price: '0'}}\n")

    assert shell("import", sheet, "-m", mapping, "--yes", "--delete-unseen") == 0

    assert {e["id"]: e["Price"] for e in shell.elements()} == {500: ["0"], 501: ["1"], 502: ["0"]}
    assert shell.plan(sheet, "-m", mapping, "--delete-unseen")["changes"] == []


# --- stored plans ---


def test_a_stored_plan_is_applied_exactly(sample: Shell, tmp_path: Path) -> None:
    stored = tmp_path / "plan.json"
    assert sample("plan", SAMPLE, "-m", MAPPING, "--out", stored) == 0

    assert sample("apply", stored) == 0

    assert "Done: 7 added, 2 updated, in 1 write request" in sample.out
    assert sample.plan(SAMPLE, "-m", MAPPING)["changes"] == []


def test_a_stored_plan_is_refused_with_everything_that_became_stale(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS, products(4)))
    sheet, mapping = write(tmp_path, rows(6, price=1))
    stored = tmp_path / "plan.json"
    shell("plan", sheet, "-m", mapping, "--out", stored)
    store = shell.emulator.store
    store.edit_as_other_user(500, name="Edited", at=2_000_000_000)
    store.delete_as_other_user(501)
    store.add_as_other_user(4220, "By hand", {"Code": "005"})

    assert shell("apply", stored) == 5

    assert shell.posts == []
    assert "element 500 was edited by user 504142" in shell.err
    assert "element 501 was deleted" in shell.err
    assert "005: was added meanwhile, as element" in shell.err


def test_a_plan_file_that_was_edited_is_refused(sample: Shell, tmp_path: Path) -> None:
    stored = tmp_path / "plan.json"
    sample("plan", SAMPLE, "-m", MAPPING, "--out", stored)
    stored.write_text(stored.read_text(encoding="utf-8").replace("78.5", "7.85"), encoding="utf-8")

    assert sample("apply", stored) == 1

    assert sample.sent == []
    assert "plan again" in sample.err


def test_a_plan_for_another_account_is_refused(start: Start, tmp_path: Path) -> None:
    stored = tmp_path / "plan.json"
    start(SEED)("plan", SAMPLE, "-m", MAPPING, "--out", stored)
    other = catalog_of(FIELDS)
    other["account"]["id"] = 99
    shell = start(other)

    assert shell("apply", stored) == 5
    assert "account 30001" in shell.err


# --- export ---


@pytest.mark.parametrize("ending", ["xlsx", "csv"])
def test_an_exported_catalog_imports_to_an_empty_plan(sample: Shell, tmp_path: Path, ending: str) -> None:
    book = tmp_path / f"products.{ending}"
    sample("import", SAMPLE, "-m", MAPPING, "--yes")
    assert sample("export", "Products", book, "-m", MAPPING) == 0
    assert f"Wrote 11 elements to {book}" in sample.out

    assert sample.plan(book, "-m", MAPPING)["changes"] == []


def test_an_export_without_mapping_has_every_field_with_its_type(sample: Shell, tmp_path: Path) -> None:
    book = tmp_path / "all.xlsx"

    assert sample("export", 4220, book) == 0

    table = [list(row[:-1]) for row in openpyxl.load_workbook(book).worksheets[0].iter_rows(values_only=True)]
    assert table[0] == [
        "Name", "Vendor code", "Amount", "Price", "Sizes", "In stock", "Delivered", "Supplier", "Note",
        "Comment of the sales team",
    ]  # fmt: skip
    pencils = next(row for row in table if row[0] == "Pencils")
    assert pencils[1:6] == ["00415", 300, 75, "S; M", "yes"]
    assert str(pencils[6]) == "2026-03-02 00:00:00"
    assert pencils[7:] == ["ACME Ltd", 'Hardness "HB"', "Popular with schools"]


def test_an_export_to_another_kind_of_file_is_refused_before_anything_is_read(sample: Shell, tmp_path: Path) -> None:
    assert sample("export", "Products", tmp_path / "p.pdf") == 1
    assert sample.sent == []
    assert ".xlsx, .csv" in sample.err


# --- lists and fields ---


def test_lists_are_added_changed_and_deleted_in_one_request_each(start: Start) -> None:
    shell = start(catalog_of(FIELDS))

    assert shell("catalogs", "add", "Tariffs", "Cars", "--json") == 0
    tariffs, cars = json.loads(shell.out)["added"]
    assert shell.posts == [{"add": [{"name": "Tariffs", "request_id": 0}, {"name": "Cars", "request_id": 1}]}]

    assert shell("catalogs", "update", "Cars", "--name", "Trucks", "--can-link-multiple") == 0
    assert shell.posts == [{"update": [{"id": cars, "name": "Trucks", "can_link_multiple": True}]}]

    assert shell("catalogs", "delete", tariffs, "Trucks") == 64
    assert shell.posts == []
    assert shell("catalogs", "delete", tariffs, "Trucks", "--yes") == 0
    assert shell.posts == [{"delete": [tariffs, cars]}]

    assert shell("catalogs", "list", "--json") == 0
    assert [(entry["id"], entry["name"]) for entry in json.loads(shell.out)] == [(4220, "Products")]


def test_fields_shows_ids_types_and_options(sample: Shell) -> None:
    assert sample("fields", "Products", "--json") == 0

    fields = {field["name"]: field for field in json.loads(sample.out)["fields"]}
    assert fields["Supplier"] == {
        "id": 4400065, "name": "Supplier", "code": None, "type": "select", "subtypes": [],
        "enums": {"3692550": "ACME Ltd", "3692551": "Brevis & Co"},
    }  # fmt: skip
    assert sample("fields", "Produkts") == 1
    assert "4220 (Products)" in sample.err


# --- accounts and mistakes ---


def test_without_an_account_commands_stop_with_7_and_name_the_ways_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("CATALOGSYNC_URL", "CATALOGSYNC_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    assert run(["catalogs", "list"]) == 7

    told = capsys.readouterr().err
    assert "CATALOGSYNC_TOKEN" in told
    assert "CATALOGSYNC_URL=emulator" in told
    assert "catalogsync demo" in told


def test_a_wrong_token_is_7_and_never_printed(sample: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGSYNC_TOKEN", "wrong-and-secret")

    assert sample("catalogs", "list") == 7

    assert "the token is not accepted" in sample.err
    assert "wrong-and-secret" not in sample.out + sample.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plan"], "Missing argument"),
        (["plan", "a.csv"], "Missing option"),
        (["frobnicate"], "No such command"),
        (["plan", "a.csv", "-m", "b.yaml", "--rps", "fast"], "not a valid float"),
        (["import", "a.csv", "-m", "b.yaml", "--max-delete", "many"], "not a count or a percentage"),
    ],
)
def test_a_wrong_command_line_is_64(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 64
    assert told in capsys.readouterr().err


def test_an_unreadable_sheet_is_1_and_nothing_is_asked_of_the_account(sample: Shell, tmp_path: Path) -> None:
    (tmp_path / "page.xls").write_bytes(b"<html><body><table><tr><td>1</td></tr></table></body></html>")

    assert sample("import", tmp_path / "page.xls", "-m", MAPPING, "--yes") == 1

    assert sample.sent == []
    assert "HTML" in sample.err


def test_mapping_mistakes_are_told_all_at_once_with_line_and_key(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(
        tmp_path,
        rows(1),
        "catalog: Products\nkey: code\ncolumns:\n  code: Cod\n  nam: name\n  price: {field: Price, split: ','}\n",
    )

    assert shell("plan", sheet, "-m", mapping) == 1

    assert f"{mapping}:4 columns.code" in shell.err
    assert "did you mean `Code`?" in shell.err
    assert f'{mapping}:5 columns.nam: the sheet has no column "nam" (did you mean `name`?)' in shell.err
    assert f"{mapping}:6 columns.price.split: `split` does not apply" in shell.err


def test_every_flag_can_be_set_in_the_environment_except_yes_and_allow(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, rows(3))
    monkeypatch.setenv("CATALOGSYNC_BATCH", "2")
    monkeypatch.setenv("CATALOGSYNC_RPS", "0")
    monkeypatch.setenv("CATALOGSYNC_YES", "1")
    monkeypatch.setenv("CATALOGSYNC_QUIET", "1")

    assert shell.plan(sheet, "-m", mapping)["batch_size"] == 2
    assert shell("import", sheet, "-m", mapping) == 64
    assert shell("import", sheet, "-m", mapping, "--yes") == 0
    assert len(shell.posts) == 2
    assert shell.err == ""


def test_every_command_has_help_and_the_overview_names_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    overview = capsys.readouterr().out
    for name, (_, line) in COMMANDS.items():
        assert name in overview
        assert run([name, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: catalogsync {name}")
        command = cli.get_command(None, name)  # type: ignore[arg-type] # the context is not used
        assert command is not None
        assert line in overview


# --- processes of their own ---


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CATALOGSYNC_")}
    return {**kept, "CATALOGSYNC_STATE": str(tmp_path / "state"), "PYTHONPATH": str(ROOT), **more}


def test_demo_ends_with_an_empty_second_plan_and_a_workbook_on_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "catalogsync", "demo"],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "Done: 7 added, 2 updated, in 1 write request (run 1)." in done.stdout
    assert "Nothing to do: 10 unchanged." in done.stdout
    book = openpyxl.load_workbook(tmp_path / "catalogsync-demo" / "products.xlsx")
    assert book.worksheets[0].max_row == 12
    assert not (tmp_path / "state").exists() or not (tmp_path / "state" / "journal.sqlite").exists()


def test_the_embedded_emulator_says_so_first_and_keeps_its_account_between_commands(tmp_path: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "catalogsync", *arguments],
            cwd=tmp_path, env=environment(tmp_path, CATALOGSYNC_URL="emulator"),
            capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip

    first = call("import", str(SAMPLE), "-m", str(MAPPING), "--yes")
    assert first.returncode == 0, first.stderr
    assert first.stderr.splitlines()[0].startswith("Using the embedded emulator, no real account.")

    second = call("plan", str(SAMPLE), "-m", str(MAPPING), "--detailed-exitcode")
    assert (second.returncode, second.stdout.splitlines()[-1]) == (0, "Nothing to do: 10 unchanged.")


def test_the_emulator_as_a_process_prints_where_it_is_and_stops_on_a_signal(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "catalogsync", "emulator", "--json", "--fault", "500 GET /api/v2/account"],
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip
    with server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        headers = {"Authorization": f"Bearer {told['token']}"}
        statuses = [
            requests.get(told["url"] + path, headers=headers, timeout=10).status_code
            for path in ("/api/v2/account", "/api/v2/account", "/api/v2/catalogs")
        ]
        server.terminate()
        server.communicate(timeout=20)

    assert statuses == [500, 200, 200]
    assert server.returncode in {143, -15, 1}


def test_an_emulator_that_cannot_start_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["emulator", "--knob", "page_rose=3"]) == 1
    assert "page_rose" in capsys.readouterr().err
    with Emulator() as emulator:
        port = emulator.url.rpartition(":")[2]
        assert run(["emulator", "--port", port]) == 1
    assert "cannot start" in capsys.readouterr().err
