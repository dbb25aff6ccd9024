"""Three ways from the command line to the server and back: who changed what since the last run, on both dialects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from catalogsync.api.auth import APIS
from tests.e2e.conftest import Shell, Start, catalog_of
from tests.e2e.test_commands import FIELDS, products, write

MAPPING = """
catalog: Products
key: code
columns:
  code: Code
  name: name
  price: {field: Price, %s}
missing: delete
guards: {delete: 100%%}
"""


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CATALOGSYNC_API", request.param)
    return str(request.param)


class Night:
    """A sheet that is imported night after night."""

    def __init__(self, shell: Shell, folder: Path, price: str) -> None:
        self.shell, self.folder, self.mapping = shell, folder, MAPPING % price
        self.rows = {"000": "P0,10", "001": "P1,11", "002": "P2,12"}
        assert self() == 0

    def __call__(self, changed: Mapping[str, str | None] = {}, *flags: str) -> int:
        """Import the sheet after some rows changed, None taking one out; the exit code."""
        self.rows = {code: row for code, row in {**self.rows, **changed}.items() if row is not None}
        text = "code,name,price\n" + "".join(f"{code},{row}\n" for code, row in self.rows.items())
        sheet, mapping = write(self.folder, text, self.mapping)
        return self.shell("import", sheet, "-m", mapping, "--yes", *flags)

    def edit(self, id_: int, **values: Any) -> None:
        """What a colleague does in the CRM."""
        by_name: dict[int | str, object] = {}
        by_name.update(values)
        self.shell.emulator.store.edit_as_other_user(id_, values=by_name)

    @property
    def prices(self) -> dict[str, Any]:
        return {entry["Code"][0]: entry.get("Price", [""])[0] for entry in self.shell.elements()}

    @property
    def wrote(self) -> bool:
        return any(arrival.method != "GET" for arrival in self.shell.sent)


@pytest.fixture
def night(api: str, start: Start, tmp_path: Path, request: pytest.FixtureRequest) -> Night:
    """Three products with prices 10, 11 and 12, imported once."""
    price = getattr(request, "param", "conflict: ask")
    return Night(start(catalog_of(FIELDS, products(3))), tmp_path, price)


def base_file(folder: Path) -> Path:
    (path,) = (folder / "state" / "base").glob("*.arrow")  # beside it, a folder of plans that are not applied yet
    return path


def test_what_the_sheet_changed_is_sent_and_what_the_crm_changed_is_kept(night: Night) -> None:
    night.edit(501, Price=77)

    assert night({"000": "P0,20"}) == 0

    assert night.prices == {"000": "20", "001": "77", "002": "12"}
    assert "1 to update" in night.shell.out
    assert "2 unchanged, 1 CRM edit kept." in night.shell.out
    assert "Changed in the CRM and kept: (1)" in night.shell.out
    assert "sheet.csv:3 001 (price): was 11; the sheet says 11, the catalog 77" in night.shell.out
    assert night() == 0
    assert not night.wrote


def test_what_both_changed_is_listed_and_left_until_a_person_decides(night: Night) -> None:
    night.edit(501, Price=77)

    assert night({"000": "P0,20", "001": "P1,21"}) == 5

    assert night.prices == {"000": "20", "001": "77", "002": "12"}
    assert "1 conflict." in night.shell.out
    assert "sheet.csv:3 001 (price): was 11; the sheet says 21, the catalog 77" in night.shell.out
    assert night() == 5, "also where nothing is left to be sent"
    assert not night.wrote
    plan = night.shell.plan(night.folder / "sheet.csv", "-m", night.folder / "mapping.yaml")
    (clash,) = plan["clashes"]
    assert (clash["kind"], clash["id"], clash["base"], clash["sheet"], clash["crm"]) == (
        "conflict",
        501,
        "11",
        "21",
        "77",
    )

    night.mapping = MAPPING % "conflict: sheet"
    assert night() == 0
    assert night.prices["001"] == "21"
    assert "1 CRM edit overridden." in night.shell.out
    assert night() == 0
    assert "Nothing to do: 3 unchanged." in night.shell.out


@pytest.mark.parametrize("night", ["conflict: crm"], indirect=True)
def test_the_crm_wins_where_the_mapping_says_so(night: Night) -> None:
    night.edit(501, Price=77)
    assert night({"001": "P1,21"}) == 0
    assert night.prices["001"] == "77"
    assert not night.wrote


@pytest.mark.parametrize("night", ["owner: sheet"], indirect=True)
def test_an_edit_in_a_column_that_the_sheet_owns_is_reverted_and_told(night: Night) -> None:
    night.edit(501, Price=77)
    assert night() == 0
    assert night.prices["001"] == "11"
    assert "1 CRM edit reverted." in night.shell.out
    assert night() == 0
    assert not night.wrote


def test_an_element_that_a_colleague_deleted_is_added_again_only_when_its_row_changes(night: Night) -> None:
    night.shell.emulator.store.delete_as_other_user(501)

    for _ in range(2):
        assert night() == 0
        assert not night.wrote
        assert "sheet.csv:3 001: element 501 is gone" in night.shell.out
    assert night({"001": "P1,21"}) == 0
    assert night.prices == {"000": "10", "001": "21", "002": "12"}
    assert night() == 0
    assert "Nothing to do: 3 unchanged." in night.shell.out


def test_a_cell_that_was_emptied_clears_the_field_once(night: Night) -> None:
    assert night({"001": "P1,"}) == 0
    assert night.prices["001"] == ""
    night.edit(501, Price=77)
    assert night() == 0
    assert not night.wrote
    assert "Nothing to do: 3 unchanged." in night.shell.out


def test_a_product_with_another_code_in_the_crm_is_neither_added_nor_deleted(night: Night) -> None:
    night.edit(501, Code="XX1")
    assert night({"001": "P1,21"}) == 0
    assert night.prices == {"000": "10", "XX1": "21", "002": "12"}
    assert "sheet.csv:3 001 (code): was 001; the sheet says 001, the catalog XX1" in night.shell.out
    assert night() == 0
    assert not night.wrote


def test_a_product_that_lost_its_code_in_the_crm_rejects_its_row(night: Night) -> None:
    night.edit(501, Code="")
    assert night({"001": "P1,21"}) == 3
    assert not night.wrote
    assert 'sheet.csv:3: element 501 had the key "001", now it has none of its own' in night.shell.out


def test_a_row_that_is_rejected_does_not_make_its_element_missing(night: Night) -> None:
    night.edit(501, Code="XX1")
    assert night({"001": "P1,what"}) == 3
    assert not night.wrote


@pytest.mark.parametrize("night", ["owner: sheet"], indirect=True)
@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_without_its_base_a_run_is_two_way_says_so_and_deletes_nothing(night: Night, how: str, tmp_path: Path) -> None:
    path = base_file(tmp_path)
    if how == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-40])
    night.edit(501, Price=77)

    assert night({"000": "P0,", "002": None}) == 0

    told = "there is no base yet" if how == "lost" else "the base is damaged and was not used"
    words = "sheet and catalog are compared as they are, and nothing counts as missing"
    assert f"Note: {told}: {words}" in night.shell.out
    assert night.prices == {"000": "10", "001": "11", "002": "12"}
    assert "Note" not in night.shell.out.replace(f"Note: {told}", "").replace("Note: 1 elements have no row", "")
    assert night({"001": None}) == 0
    assert night.prices == {"000": "10", "002": "12"}, "what has a base again can be missing again"


def test_a_missing_row_deletes_what_the_sheet_had_and_only_that(night: Night) -> None:
    night.shell.emulator.store.add_as_other_user(4220, "Theirs", values={"Code": "900"})
    assert night({"002": None}) == 0
    assert sorted(night.prices) == ["000", "001", "900"]
    assert night({"002": "P2,12"}) == 0
    assert sorted(night.prices) == ["000", "001", "002", "900"]


def test_a_stored_plan_adds_what_it_wrote_to_the_base(night: Night, tmp_path: Path) -> None:
    sheet, mapping = write(tmp_path, "code,name,price\n000,P0,20\n001,P1,11\n002,P2,12\n003,P3,13\n", night.mapping)
    night.shell("plan", sheet, "-m", mapping, "--out", tmp_path / "plan.json")
    assert night.shell("apply", tmp_path / "plan.json") == 0
    added = next(entry["id"] for entry in night.shell.elements() if entry["Code"] == ["003"])
    night.edit(500, Price=77)
    night.shell.emulator.store.delete_as_other_user(added)

    plan = night.shell.plan(sheet, "-m", mapping)

    assert plan["changes"] == []
    assert [(clash["kind"], clash["base"]) for clash in plan["clashes"]] == [("kept", "20"), ("deleted", "")]
