"""`unknown: add`: options that the sheet names and a field lacks are added first, once, and others stay as they are."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import stamina

from catalogsync.api.auth import APIS
from catalogsync.emulator.faults import Fault
from tests.e2e.conftest import Shell, Start, catalog_of

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 103, "name": "Colour", "type": "select", "enums": {"Red": 31, "Salt & pepper": 32}},
    {"id": 104, "name": "Sizes", "type": "multiselect", "enums": {"S": 41, "M": 42}},
    {"id": 105, "name": "Grade", "type": "radiobutton", "enums": {"A": 51}},
]
ELEMENTS = [
    {"id": 1, "name": "Pen", "values": {"Code": "001", "Colour": "Red", "Sizes": ["S", "M"], "Grade": "A"}},
    {"id": 2, "name": "Pad", "values": {"Code": "002", "Colour": "Salt & pepper", "Sizes": ["M"]}},
]
MAPPING = """
catalog: 4220
key: code
columns:
  code: Code
  name: name
  colour: {field: Colour, unknown: add, enums: {Crimson: Red, Violet: Purple}}
  sizes: {field: Sizes, unknown: add, multi: merge}
  grade: {field: Grade, unknown: add}
"""
SHEET = """code,name,colour,sizes,grade
001,Pen,Purple,"XS, wide; s",A
002,Pad,salt  &  PEPPER,L,B
003,Ink,purple ,"xs, wide;L",
004,Cap,Violet,,b
"""
PATH = "/api/v4/catalogs/4220/custom_fields"


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CATALOGSYNC_SETTLE", "0")
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture(params=APIS)
def shell(request: pytest.FixtureRequest, start: Start, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("CATALOGSYNC_API", request.param)
    return start(catalog_of(FIELDS, ELEMENTS))


def write(folder: Path, sheet: str = SHEET, mapping: str = MAPPING) -> tuple[Path, str, Path]:
    (folder / "sheet.csv").write_text(sheet, encoding="utf-8")
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    return folder / "sheet.csv", "-m", folder / "mapping.yaml"


def api(shell: Shell, method: str, path: str, body: Any = None) -> Any:
    """The server's own API, without this project's client."""
    headers = {"Authorization": f"Bearer {shell.emulator.token}"}
    answer = requests.request(method, shell.emulator.url + path, json=body, headers=headers, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


def options(shell: Shell, field_id: int) -> dict[str, int]:
    """A field's options, caption → id, in the account's order."""
    return {option["value"]: option["id"] for option in api(shell, "GET", f"{PATH}/{field_id}")["enums"]}


def add_as_colleague(shell: Shell, field_id: int, caption: str) -> int:
    """Another user adds an option; its id."""
    field = api(shell, "GET", f"{PATH}/{field_id}")
    api(shell, "PATCH", f"{PATH}/{field_id}", {"enums": [*field["enums"], {"value": caption, "sort": 900}]})
    return options(shell, field_id)[caption]


def values(shell: Shell, name: str) -> dict[str, list[str]]:
    return {
        element["Code"][0]: sorted(map(html.unescape, element.get(name, [])))
        for element in sorted(shell.elements(), key=lambda e: e["Code"])
    }


def patches(shell: Shell) -> list[Any]:
    """The changes of fields in the last run."""
    return [a for a in shell.sent if a.method == "PATCH" and "/custom_fields/" in a.path]


def writes(shell: Shell) -> list[str]:
    return ["options" if "/custom_fields/" in a.path else "elements" for a in shell.sent if a.method != "GET"]


# --- planned, added, and nothing again ---


def test_options_are_planned_added_before_the_elements_and_the_second_plan_is_empty(
    shell: Shell, tmp_path: Path
) -> None:
    files = write(tmp_path)
    made = shell.plan(*files)
    assert made["options"] == [
        {"field_id": 103, "captions": ["Purple"]},
        {"field_id": 104, "captions": ["XS, wide", "L"]},
        {"field_id": 105, "captions": ["B"]},
    ]
    assert made["changes"][0]["after"] == {"103": "+Purple", "104": "41,42,+XS%2C wide"}
    element_requests = 1 if shell.emulator and made["counts"] and shell.sent[0].path.startswith("/api/v2") else 2
    assert made["write_requests"] == 3 + element_requests

    assert shell("import", *files, "--yes") == 0

    assert "New options, added first; no undo takes them away: (3)\n" in shell.out
    assert '  sizes: "XS, wide", "L"\n' in shell.out
    assert "Plan: 2 to add, 2 to update, 0 to delete, 4 new options; 0 unchanged." in shell.out
    assert f"Done: 2 added, 2 updated, in {3 + element_requests} write requests (run 1)." in shell.out
    assert writes(shell) == ["options"] * 3 + ["elements"] * element_requests
    assert options(shell, 104) == {
        "S": 41,
        "M": 42,
        "XS, wide": options(shell, 104)["XS, wide"],
        "L": options(shell, 104)["L"],
    }
    assert values(shell, "Colour") == {
        "001": ["Purple"],
        "002": ["Salt & pepper"],
        "003": ["Purple"],
        "004": ["Purple"],
    }
    assert values(shell, "Sizes") == {
        "001": ["M", "S", "XS, wide"],
        "002": ["L", "M"],
        "003": ["L", "XS, wide"],
        "004": [],
    }
    assert values(shell, "Grade") == {"001": ["A"], "002": ["B"], "003": [], "004": ["B"]}
    again = shell.plan(*files)
    assert (again["options"], again["changes"], again["unchanged_count"]) == ([], [], 4)


def test_every_option_goes_along_as_it_is_with_its_id_and_sort_and_code(shell: Shell, tmp_path: Path) -> None:
    sorted_ = [{"id": 42, "value": "M", "sort": 5, "code": "m"}, {"id": 41, "value": "S", "sort": 700}]
    api(shell, "PATCH", f"{PATH}/104", {"enums": sorted_})
    before = api(shell, "GET", f"{PATH}/104")["enums"]

    assert shell("import", *write(tmp_path), "--yes") == 0

    [patch] = [a for a in patches(shell) if a.path == f"{PATH}/104"]
    assert patch.body == {"enums": [*sorted_, {"value": "XS, wide", "sort": 701}, {"value": "L", "sort": 702}]}
    assert api(shell, "GET", f"{PATH}/104")["enums"][:2] == before


def test_a_stored_plan_adds_them_too_and_its_run_is_told_with_captions(shell: Shell, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert shell("plan", *write(tmp_path), "--out", plan) == 0

    assert shell("apply", plan, "--json") == 0

    told = json.loads(shell.out)
    ids = {n: {c: options(shell, n)[c] for c in each} for n, each in {103: ["Purple"], 105: ["B"]}.items()}
    assert [(o["field_id"], o["ids"]) for o in told["options"] if o["field_id"] in ids] == list(ids.items())
    assert shell.plan(*write(tmp_path))["changes"] == []
    assert shell("history", "1") == 0
    assert f'  colour: "Purple" ({options(shell, 103)["Purple"]}): done\n' in shell.out
    assert "Purple" in shell.out.split("Element")[1]
    assert shell("history", "1", "--json") == 0
    [changed] = [o for o in json.loads(shell.out)["operations"] if o["key"] == "001"]
    assert changed["after"]["103"] == str(options(shell, 103)["Purple"])


def test_an_option_is_added_only_for_what_is_written(shell: Shell, tmp_path: Path) -> None:
    """Not for a row that is rejected, nor for a cell whose CRM edit is kept."""
    header = "code,name,colour,sizes,grade\n"
    mapping = MAPPING.replace("unknown: add, enums", "unknown: add, conflict: crm, enums")
    assert shell("import", *write(tmp_path, header + "001,Pen,Red,S,A\n", mapping), "--yes") == 0
    shell.emulator.store.edit_as_other_user(1, values={"Colour": "Salt & pepper"})
    sheet = header + "001,Pen,Pink,S,A\n002,Pad,Grey,M,\n002,Pad,Grey,M,\n"
    made = shell.plan(*write(tmp_path, sheet, mapping))
    assert (made["options"], made["changes"], made["rejected_rows"]) == ([], [], 2)
    assert made["clashes"][0]["sheet"] == "+Pink"
    assert shell("plan", *write(tmp_path, sheet, mapping)) == 3
    assert "was Red; the sheet says Pink (new), the catalog Salt & pepper" in shell.out


def test_the_base_knows_the_ids_so_that_a_colleagues_edit_is_kept(shell: Shell, tmp_path: Path) -> None:
    assert shell("import", *write(tmp_path), "--yes") == 0
    shell.emulator.store.edit_as_other_user(1, values={"Colour": "Red", "Sizes": ["S", "M", "XS, wide", "L"]})
    made = shell.plan(*write(tmp_path))
    assert made["changes"] == []
    assert [(c["kind"], c["column"], c["crm"]) for c in made["clashes"]] == [("kept", "103", "31")]


def test_what_looks_like_an_existing_option_is_told_before(shell: Shell, tmp_path: Path) -> None:
    sheet = "code,name,colour,sizes,grade\n001,Pen,Redd,S,A\n"
    assert shell("plan", *write(tmp_path, sheet)) == 0
    assert 'sheet.csv:2 (colour): "Redd" becomes a new option (did you mean "Red"?)' in shell.out


# --- guards ---


def test_more_options_than_the_ceiling_are_refused_before_anything_is_written(shell: Shell, tmp_path: Path) -> None:
    files = write(tmp_path, mapping=MAPPING + "guards: {options: 3}\n")
    assert shell("import", *files, "--yes") == 4
    assert writes(shell) == []
    told = "guard options: the plan would add 4 options to the 5 of their fields, the ceiling is 3"
    assert f"{told} (check the sheet; if it is meant, --max-options 4; options cannot be taken back)" in shell.err
    assert shell("import", *files, "--yes", "--max-options", "80%") == 0


@pytest.mark.parametrize("count", [12, 60])
def test_a_flood_of_options_is_stopped_without_any_guard_in_the_mapping(
    shell: Shell, tmp_path: Path, count: int
) -> None:
    sheet = "code,name,colour\n" + "".join(f"{n:03},Thing {n},text {n}\n" for n in range(count))
    mapping = "".join(line for line in MAPPING.splitlines(True) if "sizes" not in line and "grade" not in line)
    assert shell("import", *write(tmp_path, sheet, mapping), "--yes") == 4
    assert writes(shell) == []
    assert f"guard colour: {count} new options for {count} filled rows" in shell.err
    assert ("guard options" in shell.err) == (count > 50)


# --- colleagues, refusals, lost answers ---


def test_an_option_that_a_colleague_added_since_the_plan_is_adopted(shell: Shell, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert shell("plan", *write(tmp_path), "--out", plan) == 0
    theirs = [
        add_as_colleague(shell, 103, "PURPLE"),
        add_as_colleague(shell, 104, "l"),
        add_as_colleague(shell, 104, "XXL"),
    ]

    assert shell("apply", plan) == 0

    assert f'  colour: "Purple" ({theirs[0]}, somebody was faster)' in shell.out
    assert options(shell, 103) == {"Red": 31, "Salt & pepper": 32, "PURPLE": theirs[0]}
    assert [options(shell, 104)[c] for c in ("S", "M", "l", "XXL")] == [41, 42, *theirs[1:]]
    assert len(patches(shell)) == 2
    assert shell.plan(*write(tmp_path))["changes"] == []


def test_a_field_that_lost_options_since_the_plan_is_left_alone(shell: Shell, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert shell("plan", *write(tmp_path), "--out", plan) == 0
    lost = Fault(
        "call",
        method="GET",
        path=f"{PATH}/104",
        call=lambda _: api(shell, "PATCH", f"{PATH}/104", {"enums": [{"id": 41, "value": "S"}]}),
    )
    shell.emulator.fault(lost)
    assert shell("apply", plan) == 5
    assert 'sizes: the option "M" is gone' in shell.out
    assert "elements" not in writes(shell)
    assert options(shell, 104) == {"S": 41}


@pytest.mark.parametrize(
    ("fault", "code", "told"), [("403 json", 7, "the token may not do this"), ("400", 1, "refused with 400")]
)
def test_a_refusal_ends_the_run_before_any_element_and_a_resume_finishes_it(
    shell: Shell, tmp_path: Path, fault: str, code: int, told: str
) -> None:
    shell.emulator.fault(f"{fault} PATCH {PATH}/* count=0")
    assert shell("import", *write(tmp_path), "--yes") == code
    assert told in shell.out
    assert set(writes(shell)) == {"options"}
    assert options(shell, 103) == {"Red": 31, "Salt & pepper": 32}
    shell.emulator.faults.clear()

    assert shell("resume") == 0

    assert shell.plan(*write(tmp_path))["changes"] == []
    assert len(options(shell, 103)) == 3


@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize("effect", ["504", "drop"])
def test_a_lost_answer_is_settled_by_reading_the_field_again(
    shell: Shell, tmp_path: Path, effect: str, when: str
) -> None:
    shell.emulator.fault(f"{effect} {when} PATCH {PATH}/104")
    assert shell("import", *write(tmp_path), "--yes") == 0
    sizes = [a for a in patches(shell) if a.path == f"{PATH}/104"]
    assert len(sizes) == (1 if when == "after" else 2)
    assert list(options(shell, 104)) == ["S", "M", "XS, wide", "L"]
    assert shell.plan(*write(tmp_path))["changes"] == []


def test_a_garbled_answer_is_no_reason_to_send_again(shell: Shell, tmp_path: Path) -> None:
    shell.emulator.fault(f"truncate PATCH {PATH}/104")
    assert shell("import", *write(tmp_path), "--yes") == 0
    assert len([a for a in patches(shell) if a.path == f"{PATH}/104"]) == 1


def test_a_read_that_stays_garbled_ends_the_run_with_nothing_written(shell: Shell, tmp_path: Path) -> None:
    shell.emulator.fault(f"garble=list GET {PATH}/103 count=0")
    assert shell("import", *write(tmp_path), "--yes") == 1
    assert writes(shell) == []


# --- taking back ---


def test_an_undo_says_before_that_the_options_stay(shell: Shell, tmp_path: Path) -> None:
    assert shell("import", *write(tmp_path), "--yes") == 0
    assert shell("undo", "1", "--yes", "--max-delete", "100%") == 0
    told = [line for line in shell.out.splitlines() if line.startswith("Note: options")]
    assert told == [
        'Note: options that the run added stay: colour "Purple"',
        'Note: options that the run added stay: sizes "XS, wide", "L"',
        'Note: options that the run added stay: grade "B"',
    ]
    assert values(shell, "Sizes") == {"001": ["M", "S"], "002": ["M"]}
    assert list(options(shell, 104)) == ["S", "M", "XS, wide", "L"]
