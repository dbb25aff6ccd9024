"""`catalogsync init` as a user calls it, against the emulator: what it proposes, creates, refuses and says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import requests

from catalogsync.api.auth import APIS
from catalogsync.cli import USAGE_EXIT
from catalogsync.emulator.faults import Fault
from catalogsync.mappingfile import load_mapping
from tests.e2e.conftest import Shell, Start, catalog_of
from tests.e2e.test_commands import SAMPLE, SEED
from tests.e2e.test_laws import FIELDS as ALL_FIELDS
from tests.e2e.test_laws import LABELS

FIELDS_URL = "/api/v4/catalogs/4220/custom_fields"

EVERYTHING: dict[str, Any] = {
    "Text": "None",
    "Textarea": "one\n\ntwo; three",
    "Numeric": "-1234.5",
    "Price": "14227.99",
    "Checkbox": True,
    "Select": "00123",
    "Radio": "Größe “L”",
    "Multi": ["Red", "no"],
    "Date": "2026-03-31",
    "Moment": 1_760_000_000,
    "Url": "https://example.com/a?b=c",
    "Street": "Brīvības iela 1",
    "Address": {"city": "Riga", "zip": "LV-1010"},
    "Birthday": "1999-12-31",
    "Entity": {"name": "ACME", "vat_id": "LV123"},
    "Items": [{"description": "Oak", "unit_price": "9.5", "quantity": "2"}],
    "Category": "Green & blue",
    "Colleagues": "-",
}


def full_catalog(count: int) -> dict[str, Any]:
    """Elements with a value in every field, some in one half of the fields only, one with its key alone."""
    elements: list[dict[str, Any]] = [{"id": 700, "name": "Bare", "values": {"Code": "X-0"}}]
    for n in range(1, count):
        values = {name: value for place, (name, value) in enumerate(EVERYTHING.items()) if n % 3 or (place + n) % 2}
        values |= {"Code": f"{n:05}", "Select": LABELS[n % len(LABELS)], "Numeric": str(n * 1.5)}
        elements.append({"id": 700 + n, "name": f"Product {n}", "values": values})
    return catalog_of(ALL_FIELDS, elements)


def fields_of(shell: Shell) -> dict[str, tuple[str, list[str]]]:
    """Name to type and options, as the server's own API tells them."""
    headers = {"Authorization": f"Bearer {shell.emulator.token}"}
    answer = requests.get(f"{shell.emulator.url}{FIELDS_URL}?limit=250", headers=headers, timeout=10)
    found = answer.json()["_embedded"]["custom_fields"] if answer.status_code == 200 else []
    return {field["name"]: (field["type"], [e["value"] for e in field["enums"] or []]) for field in found}


def write(folder: Path, text: str) -> Path:
    path = folder / "sheet.csv"
    path.write_text(text, encoding="utf-8")
    return path


SHEET = (
    "Артикул;Название;Цена;Цвет;Активен;Поступление\n"
    "A-001;Дуб серый;1 200,50;красный;да;31.03.2026\n"
    "A-002;Дуб белый;900,00;синий;нет;01.04.2026\n"
    "A-003;Бук красный;15,25;красный;да;02.04.2026\n"
    "A-004;Бук синий;15,25;синий;да;02.04.2026\n"
    "A-005;Сосна;15,25;красный;да;02.04.2026\n"
    "A-006;Ель;15,25;синий;да;02.04.2026\n"
    "A-007;Ольха;15,25;красный;да;02.04.2026\n"
    "A-008;Ива;15,25;синий;да;02.04.2026\n"
)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("ending", ["xlsx", "csv"])
def test_the_mapping_of_an_exported_catalog_plans_nothing_for_every_type_of_field(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: str, ending: str
) -> None:
    monkeypatch.setenv("CATALOGSYNC_API", api)
    shell = start(full_catalog(25))
    sheet, mapping = tmp_path / f"products.{ending}", tmp_path / "products.yaml"
    assert shell("export", "Products", sheet) == 0

    assert shell("init", sheet, "--catalog", "Products", "--out", mapping) == 0, shell.err
    assert {arrival.method for arrival in shell.sent} == {"GET"}
    named = {spec.field for spec in load_mapping(mapping).columns.values()}
    assert named == {"name", *(field["name"] for field in ALL_FIELDS)}

    plan = shell.plan(sheet, "-m", mapping)
    assert (plan["changes"], plan["rejected"]) == ([], [])
    assert plan["unchanged_count"] == 25


def test_a_catalog_with_two_fields_of_one_name_still_plans_nothing(start: Start, tmp_path: Path) -> None:
    fields = [
        {"id": 101, "name": "Code", "type": "text"},
        {"id": 102, "name": "Size", "type": "text"},
        {"id": 103, "name": "Size", "type": "numeric"},
        {"id": 104, "name": "Name", "type": "text"},
        {"id": 105, "name": "name", "type": "text"},
    ]
    elements = [
        {"id": 500 + n, "name": f"P{n}", "values": {"Code": f"c{n}", "Name": f"long {n}", "name": f"short {n}"}}
        for n in range(8)
    ]
    shell = start(catalog_of(fields, elements))
    sheet, mapping = tmp_path / "products.csv", tmp_path / "products.yaml"
    shell("export", "Products", sheet)

    assert shell("init", sheet, "--catalog", "4220", "--out", mapping) == 0

    found = {header: spec.field for header, spec in load_mapping(mapping).columns.items()}
    assert found == {
        "Name (name)": "name",
        "Code": "Code",
        "Size (102)": "102",
        "Size (103)": "103",
        "Name (104)": "Name",
        "name": "105",
    }
    assert shell.plan(sheet, "-m", mapping)["changes"] == []


def test_the_sample_s_mapping_is_written_with_a_score_a_reason_and_two_values_per_line(
    start: Start, tmp_path: Path
) -> None:
    shell = start(SEED)
    mapping = tmp_path / "stationery.yaml"

    assert shell("init", SAMPLE, "--catalog", "Products", "--out", mapping) == 0

    assert shell.out == ""
    assert "9 of 9 columns have a sure line." in shell.err
    assert f"catalogsync plan {SAMPLE} -m {mapping}" in shell.err
    lines = mapping.read_text(encoding="utf-8").splitlines()
    [price] = [line for line in lines if line.startswith("  Price:")]
    assert price.startswith('  Price: {field: Price, decimal: ","}')
    assert price.endswith('"80,00", "78,50"')
    assert "# 1.00 the same name; all cells read as numeric;" in price
    file = load_mapping(mapping)
    assert file.key == (("Vendor code",),)
    assert file.columns["Supplier"].enums == {"Acme": "ACME Ltd", "Brevis": "Brevis & Co"}
    plan = shell.plan(SAMPLE, "-m", mapping)
    assert (plan["counts"], plan["rejected"]) == ({"add": 7, "update": 2, "delete": 0}, [])


def test_without_out_the_mapping_goes_to_stdout_and_words_to_stderr(start: Start, tmp_path: Path) -> None:
    shell = start(SEED)

    assert shell("init", SAMPLE, "--catalog", "Products") == 0

    (tmp_path / "m.yaml").write_text(shell.out, encoding="utf-8")
    assert len(load_mapping(tmp_path / "m.yaml").columns) == 9
    assert "--out FILE" in shell.err


def test_a_file_that_exists_is_not_replaced_and_nothing_is_sent(start: Start, tmp_path: Path) -> None:
    shell = start(SEED)
    mapping = tmp_path / "mine.yaml"
    mapping.write_text("mine", encoding="utf-8")

    assert shell("init", SAMPLE, "--catalog", "Products", "--out", mapping) == 1
    assert (mapping.read_text(encoding="utf-8"), shell.sent) == ("mine", [])
    assert "--force" in shell.err

    assert shell("init", SAMPLE, "--catalog", "Products", "--out", mapping, "--force") == 0
    assert mapping.read_text(encoding="utf-8").startswith("# yaml-language-server:")


def test_json_tells_every_line_and_the_text(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of([{"id": 101, "name": "SKU", "type": "text"}]))
    sheet = write(tmp_path, "Артикул,Name,Колір\nA1,Oak one,red\nA2,Oak two,blue\n")

    assert shell("init", sheet, "--catalog", "Products", "--json", "-q") == 0

    told = json.loads(shell.out)
    assert shell.err == ""
    assert (told["catalog"], told["key"], told["score"]) == (4220, "Артикул", 0.67)
    assert [(line["column"], line["field"], line["sure"]) for line in told["lines"]] == [
        ("Артикул", "SKU", True),
        ("Name", "name", True),
        ("Колір", None, False),
    ]
    assert told["lacking"] == [{"name": "Колір", "type": "text", "options": []}]
    assert told["mapping"].startswith("# yaml-language-server:")


def test_without_an_account_it_says_how_to_set_one(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = start(SEED)
    monkeypatch.delenv("CATALOGSYNC_URL")
    monkeypatch.delenv("CATALOGSYNC_TOKEN")

    assert shell("init", SAMPLE, "--catalog", "Products") == 7
    assert "CATALOGSYNC_URL" in shell.err


def test_a_catalog_that_is_not_there_and_a_sheet_that_cannot_be_read_are_told(start: Start, tmp_path: Path) -> None:
    shell = start(SEED)
    assert shell("init", SAMPLE, "--catalog", "Produkte") == 1
    assert "no catalog “Produkte”" in shell.err
    assert shell("init", tmp_path / "nothing.csv", "--catalog", "Products") == 1
    assert "no such file" in shell.err


def test_flags_of_reading_go_into_the_mapping(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of([{"id": 101, "name": "Barcode", "type": "text"}]))
    sheet = tmp_path / "sheet.csv"
    rows = "".join(f"20007634{n:04}{check}|Крем номер {n}\n" for n, check in ((2147, 8), (2295, 6), (2277, 2)))
    sheet.write_text(rows, encoding="cp1251")
    mapping = tmp_path / "m.yaml"
    flags = ("--encoding", "cp1251", "--delimiter", "|", "--header-row", "none")

    assert shell("init", sheet, "--catalog", "Products", "--out", mapping, *flags) == 0

    file = load_mapping(mapping)
    assert (file.read.encoding, file.read.delimiter, file.read.header_row) == ("cp1251", "|", ())
    assert {header: spec.field for header, spec in file.columns.items()} == {"column A": "Barcode", "column B": "name"}
    assert shell.plan(sheet, "-m", mapping)["counts"]["add"] == 3


# --- fields that the catalog lacks ---


@pytest.mark.parametrize("api", APIS)
def test_the_fields_that_are_lacking_are_created_with_their_options_then_everything_can_be_imported(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    monkeypatch.setenv("CATALOGSYNC_API", api)
    shell = start(catalog_of([]))
    sheet, mapping = write(tmp_path, SHEET), tmp_path / "m.yaml"

    assert shell("init", sheet, "--catalog", "Products", "--out", mapping, "--create-fields", "--yes") == 0, shell.err

    assert fields_of(shell) == {
        "Артикул": ("text", []),
        "Цена": ("price", []),
        "Цвет": ("select", ["красный", "синий"]),
        "Активен": ("checkbox", []),
        "Поступление": ("date", []),
    }
    assert "Цвет: select (красный, синий)" in shell.err
    assert "Created 5 fields in Products." in shell.err
    file = load_mapping(mapping)
    assert set(file.columns) == {"Артикул", "Название", "Цена", "Цвет", "Активен", "Поступление"}
    assert shell("import", sheet, "-m", mapping, "--yes") == 0, shell.err
    assert shell.plan(sheet, "-m", mapping)["changes"] == []

    assert shell("init", sheet, "--catalog", "Products", "--create-fields", "--yes") == 0
    assert shell.posts == []  # nothing is lacking any more


def test_without_a_terminal_nothing_is_created_unless_yes_is_said(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of([]))
    sheet, mapping = write(tmp_path, SHEET), tmp_path / "m.yaml"

    assert shell("init", sheet, "--catalog", "Products", "--out", mapping, "--create-fields") == USAGE_EXIT

    assert (shell.posts, mapping.exists()) == ([], False)
    assert "Цвет: select" in shell.err
    assert "--yes" in shell.err


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_creates_no_field_twice(start: Start, tmp_path: Path, when: Any) -> None:
    shell = start(catalog_of([]))
    sheet = write(tmp_path, SHEET)
    command = ("init", sheet, "--catalog", "Products", "--create-fields", "--yes", "--settle", 0)
    shell.emulator.fault(Fault("drop", method="POST", path="*custom_fields", when=when))

    code = shell(*command)
    posts = len(shell.posts)

    assert (code, posts) == ((6, 1) if when == "before" else (0, 1)), shell.err
    if when == "before":
        assert "5 of 5 fields are not there" in shell.err
        assert shell(*command) == 0
    assert sorted(fields_of(shell)) == ["Активен", "Артикул", "Поступление", "Цвет", "Цена"]
    headers = {"Authorization": f"Bearer {shell.emulator.token}"}
    answer = requests.get(f"{shell.emulator.url}{FIELDS_URL}?limit=250", headers=headers, timeout=10).json()
    assert len(answer["_embedded"]["custom_fields"]) == 5


def test_a_refused_field_is_told_by_name_and_nothing_is_written(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of([]))
    sheet, mapping = write(tmp_path, SHEET), tmp_path / "m.yaml"
    errors = [{"code": "NotSupportedChoice", "path": "type", "detail": "not a valid choice"}]
    body = json.dumps({"validation-errors": [{"request_id": "2", "errors": errors}], "status": 400})
    fault = Fault("status", "POST", status=400, body=body, content_type="application/problem+json")
    shell.emulator.fault(fault)

    assert shell("init", sheet, "--catalog", "Products", "--out", mapping, "--create-fields", "--yes") == 1
    assert "fields were not created: Цвет: type: not a valid choice" in shell.err
    assert not mapping.exists()


# --- workbooks ---


def test_merged_names_sections_and_prices_on_request_are_found(start: Start, tmp_path: Path) -> None:
    fields = [{"id": 101, "name": "Vendor code", "type": "text"}, {"id": 102, "name": "Price", "type": "numeric"}]
    shell = start(catalog_of(fields))
    book = openpyxl.Workbook()
    tab = book.active
    assert tab is not None
    tab.append(["Артикул", "Наименование", "Цена"])
    for group in range(4):
        tab.append([f"Насосы серии {'ABCD'[group]}", "PG1", None])
        first = tab.max_row + 1
        for n in range(6):
            name = f"Насос {group} большой" if n == 0 else None
            tab.append([f"{group}{n:05}", name, "по запросу" if n == 5 else 100 + n])
        tab.merge_cells(start_row=first, end_row=tab.max_row, start_column=2, end_column=2)
    book.save(tmp_path / "pumps.xlsx")
    mapping = tmp_path / "m.yaml"

    assert shell("init", tmp_path / "pumps.xlsx", "--catalog", "Products", "--out", mapping) == 0

    file = load_mapping(mapping)
    assert file.read.needs == ("Цена",)
    assert (file.columns["Наименование"].fill, file.columns["Цена"].empty) == ("merged", ("по запросу",))
    plan = shell.plan(tmp_path / "pumps.xlsx", "-m", mapping)
    assert (plan["counts"]["add"], plan["rejected"]) == (24, [])
