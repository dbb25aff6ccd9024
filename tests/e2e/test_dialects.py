"""One suite for both dialects: what a user sees does not depend on CATALOGSYNC_API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catalogsync.api.auth import APIS
from catalogsync.emulator.faults import Fault
from tests.e2e.conftest import Shell, Start, catalog_of
from tests.e2e.test_commands import FIELDS, MAPPING, PLAIN, SAMPLE, SEED, products, rows, write

LATER = 2_000_000_000
"""When other users edit: after everything that is read."""


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CATALOGSYNC_API", request.param)
    return str(request.param)


@pytest.fixture
def sample(api: str, start: Start) -> Shell:
    return start(SEED)


def writes(shell: Shell) -> list[tuple[str, str]]:
    return [(arrival.method, arrival.path) for arrival in shell.sent if arrival.method != "GET"]


def test_the_sample_is_imported_and_a_second_plan_is_empty(sample: Shell, api: str) -> None:
    assert sample("import", SAMPLE, "-m", MAPPING, "--yes") == 0
    assert "Done: 7 added, 2 updated" in sample.out
    v4 = "/api/v4/catalogs/4220/elements"
    expected = [("PATCH", v4), ("POST", v4)] if api == "v4" else [("POST", "/api/v2/catalog_elements")]
    assert sorted(writes(sample)) == expected

    plan = sample.plan(SAMPLE, "-m", MAPPING)
    assert (plan["changes"], plan["unchanged_count"]) == ([], 10)


def test_plans_are_the_same_from_both_dialects(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = start(SEED)
    plans = []
    for api in APIS:
        monkeypatch.setenv("CATALOGSYNC_API", api)
        plans.append(shell.plan(SAMPLE, "-m", MAPPING))
    v2, v4 = plans
    assert v2["changes"] == v4["changes"]
    assert v2["digest"] == v4["digest"]
    assert (v2["write_requests"], v4["write_requests"]) == (1, 2)


def test_exports_and_fields_are_the_same_from_both_dialects(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shell = start(SEED)
    shell("import", SAMPLE, "-m", MAPPING, "--yes")
    told: list[tuple[bytes, Any]] = []
    for api in APIS:
        monkeypatch.setenv("CATALOGSYNC_API", api)
        book = tmp_path / f"{api}.csv"
        assert shell("export", "Products", book) == 0
        shell("fields", "Products", "--json")
        lines = sorted(book.read_bytes().splitlines())  # v2 answers the newest first, v4 the oldest
        told.append((b"\n".join(lines), json.loads(shell.out)))
    assert told[0] == told[1]


def test_a_stored_plan_is_applied_or_refused(sample: Shell, tmp_path: Path) -> None:
    stored = tmp_path / "plan.json"
    assert sample("plan", SAMPLE, "-m", MAPPING, "--out", stored) == 0
    assert sample("apply", stored) == 0
    assert sample("apply", stored) == 5
    assert writes(sample) == []
    assert "was added meanwhile" in sample.err


def test_an_edit_between_plan_and_write_is_reported_and_survives(api: str, start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS, products(3)))
    sheet, mapping = write(tmp_path, rows(3, price=10))
    # v2 is refused by the server at the write, v4 finds it in the look just before.
    place = ("POST", "*", 1) if api == "v2" else ("GET", "*/elements", 3)
    edit = Fault("call", *place, call=lambda store: store.edit_as_other_user(501, values={"Price": "777"}, at=LATER))
    shell.emulator.fault(edit)

    assert shell("import", sheet, "-m", mapping, "--yes") == 5

    assert edit.fired == 1
    assert "Somebody edited these meanwhile" in shell.out
    assert {e["id"]: e["Price"] for e in shell.elements()} == {500: ["10"], 501: ["777"], 502: ["12"]}


def test_elements_whose_row_is_gone_are_deleted_through_v2(api: str, start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS, products(20)))
    sheet, mapping = write(tmp_path, rows(18), PLAIN + "missing: delete\n")

    assert shell("import", sheet, "-m", mapping, "--yes", "--delete-unseen") == 0

    assert writes(shell) == [("POST", "/api/v2/catalog_elements")]
    assert len(shell.elements()) == 18


def test_lists_are_added_changed_and_deleted(api: str, start: Start) -> None:
    shell = start(catalog_of(FIELDS))
    assert shell("catalogs", "add", "Tariffs", "Cars", "--json") == 0
    tariffs, _ = json.loads(shell.out)["added"]
    assert shell("catalogs", "update", "Cars", "--name", "Trucks") == 0
    assert shell("catalogs", "delete", tariffs, "Trucks", "--yes") == 0
    assert shell("catalogs", "list", "--json") == 0
    assert [(entry["id"], entry["name"]) for entry in json.loads(shell.out)] == [(4220, "Products")]


@pytest.mark.parametrize(
    "fault", ["504 after", "504 before", "504 half", "drop after", "drop before", "garble=list after"]
)
def test_a_lost_answer_is_settled_and_every_key_is_there_once(
    api: str, fault: str, start: Start, tmp_path: Path
) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, rows(20))
    shell.emulator.fault(f"{fault} POST nth=2")

    assert shell("import", sheet, "-m", mapping, "--yes", "--batch", 6, "--settle", 0) == 0, shell.out + shell.err

    assert sorted(element["Code"][0] for element in shell.elements()) == [f"{n:03}" for n in range(20)]
    assert shell.plan(sheet, "-m", mapping)["changes"] == []


def test_more_elements_than_a_page_are_read_whole(api: str, start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, rows(1203))
    assert shell("import", sheet, "-m", mapping, "--yes") == 0
    assert len(writes(shell)) == 5

    assert shell.plan(sheet, "-m", mapping)["unchanged_count"] == 1203


def test_v4_names_the_row_that_a_refused_request_is_about_and_the_others_arrive(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGSYNC_API", "v4")
    shell = start(catalog_of(FIELDS))
    sheet, mapping = write(tmp_path, rows(3))
    error = {"code": "NotSupportedChoice", "path": "custom_fields_values.1.values.0.value", "detail": "Not a choice."}
    body = json.dumps({"validation-errors": [{"request_id": "2", "errors": [error]}], "status": 400})
    refusal = Fault("status", "POST", status=400, body=body, content_type="application/problem+json")
    shell.emulator.fault(refusal)

    assert shell("import", sheet, "-m", mapping, "--yes") == 3

    assert "001 (add): field 102: Not a choice. (NotSupportedChoice)" in shell.out
    assert sorted(element["Code"][0] for element in shell.elements()) == ["000", "002"]
    assert [len(body) for body in shell.posts] == [3, 2]
