"""The real sheets of the neighbouring folder, imported into the emulator. Expected numbers: its `expect.json`."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.e2e.conftest import MAPPINGS, SHEETS, Shell, Start, catalog_of, needs_sheets

pytestmark = needs_sheets

FAMILIES = ["ALMACEN", "LIMPIEZA Y PERFUMERIA", "FRESCOS Y CONGELADOS", "BEBIDAS"]
FAMILIES += ["BAZAR Y FERRETERIA", "Sin definir", "TABACALERIA"]
WOO_PRICE = (
    b",45,Clothing > Hoodies,,,https://classiccommerce.cc/wp-content/downloads/sample-data-images/hoodie-with-logo"
)
KINDS = ["simple", "variation", "variable", "grouped", "external", "downloadable", "virtual"]


def in_cents(texts: Sequence[str]) -> Decimal:
    return sum((Decimal(t).quantize(Decimal("0.01"), ROUND_HALF_UP) for t in texts), Decimal(0))


def prices(shell: Shell, name: str = "Price") -> list[str]:
    return [str(element[name][0]) for element in shell.elements() if name in element]


def expected(name: str) -> dict[str, Any]:
    table = json.loads((SHEETS / "expect.json").read_text(encoding="utf-8"))
    entry = table[name]
    assert isinstance(entry, dict)
    return entry


def suppliers() -> list[str]:
    lines = (SHEETS / "catdist_produtos_virgula.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
    return sorted({line.split(";")[1] for line in lines})


def change_cell(cell: str, value: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        book = openpyxl.load_workbook(path)
        book.worksheets[0][cell] = value
        book.save(path)

    return change


def change_text(old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = path.read_bytes()
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))

    return change


@dataclass(frozen=True)
class Case:
    """A sheet, its mapping, the list's fields, what must come of it, and a change of one price."""

    sheet: str
    mapping: str
    fields: Sequence[Mapping[str, Any]]
    elements: int
    price_sum: Decimal
    exit_code: int
    change: Callable[[Path], None]
    changed_field: str
    changed_value: str


def text(name: str) -> dict[str, str]:
    return {"name": name, "type": "text"}


def number(name: str) -> dict[str, str]:
    return {"name": name, "type": "numeric"}


def cases() -> dict[str, Case]:
    if not SHEETS.is_dir():
        return {}
    return {
        "farmacia": Case(
            sheet="farmacia_lista_precios.xlsx",
            mapping="farmacia_first.yaml",
            fields=[text("Code"), number("Price")],
            elements=123,
            price_sum=Decimal(expected("farmacia_lista_precios.xlsx")["price_sum"]) - Decimal("2286.14"),  # row 118
            exit_code=0,
            change=change_cell("C3", 5000.5),
            changed_field="Price",
            changed_value="5000.5",
        ),
        "super": Case(
            sheet="super_lista_11k.xlsx",
            mapping="super.yaml",
            fields=[
                text("Code"),
                number("Price"),
                number("Offer"),
                {"name": "Family", "type": "select", "enums": FAMILIES},
            ],
            elements=11232,
            price_sum=Decimal("47110463.69"),
            exit_code=0,
            change=change_cell("C2", 1300),
            changed_field="Price",
            changed_value="1300",
        ),
        "catdist": Case(
            sheet="catdist_produtos_virgula.csv",
            mapping="catdist.yaml",
            fields=[
                text("Code"),
                number("Price"),
                number("Offer"),
                text("Image"),
                {"name": "Supplier", "type": "select", "enums": suppliers()},
            ],
            elements=2077,
            price_sum=Decimal("42126.94"),
            exit_code=0,
            change=change_text(b"Amarela Neon Aeroflex 150ml;14,99", b"Amarela Neon Aeroflex 150ml;15,49"),
            changed_field="Price",
            changed_value="15.49",
        ),
        "woo": Case(
            sheet="woo_classic_sample_products.csv",
            mapping="woo.yaml",
            fields=[
                text("Code"),
                number("Price"),
                number("Offer"),
                {"name": "Published", "type": "checkbox"},
                {"name": "In stock", "type": "checkbox"},
                {"name": "Kind", "type": "multiselect", "enums": KINDS},
                {"name": "Short description", "type": "textarea"},
            ],
            elements=24,
            price_sum=Decimal("729.00"),
            exit_code=0,
            change=change_text(
                WOO_PRICE,
                WOO_PRICE.replace(b"45", b"46"),
            ),
            changed_field="Price",
            changed_value="46",
        ),
        "cennik": Case(
            sheet="cennik_cp1250.csv",
            mapping="cennik.yaml",
            fields=[number("Price"), number("Old price"), text("Length"), number("Height")],
            elements=2824,
            price_sum=Decimal(0),
            exit_code=0,
            change=change_text(b"400;600;0;3100.046;914;", b"400;600;0;3100.046;915;"),
            changed_field="Price",
            changed_value="915",
        ),
        "datalogic": Case(
            sheet="datalogic_products_cp1251.csv",
            mapping="datalogic.yaml",
            fields=[text("Code"), text("Barcode"), number("Price"), {"name": "Weighed", "type": "checkbox"}],
            elements=9329,
            price_sum=Decimal("136082825.00"),
            exit_code=3,
            change=change_text(b";54881005999;50;10", b";54881005999;51;10"),
            changed_field="Price",
            changed_value="51",
        ),
    }


def last_price_sum() -> Decimal:
    """The price sum of the cp1250 list when the last of the rows with one code counts."""
    content = (SHEETS / "cennik_cp1250.csv").read_text(encoding="cp1250").splitlines()[1:]
    return in_cents(list({line.split(";")[3]: line.split(";")[4] for line in content}.values()))


@pytest.mark.parametrize("name", list(cases()) or ["absent"])
def test_a_real_sheet_arrives_whole_then_plans_empty_then_sends_one_field(
    name: str, start: Start, tmp_path: Path
) -> None:
    case = cases()[name]
    shell = start(catalog_of(case.fields))
    sheet = tmp_path / case.sheet
    shutil.copyfile(SHEETS / case.sheet, sheet)
    mapping = MAPPINGS / case.mapping

    assert shell("import", sheet, "-m", mapping, "--yes", "--rps", 0) == case.exit_code, shell.out + shell.err
    assert len(shell.posts) == math.ceil(case.elements / 250)
    assert len(shell.elements()) == case.elements
    assert in_cents(prices(shell)) == (last_price_sum() if name == "cennik" else case.price_sum)

    assert shell.plan(sheet, "-m", mapping)["changes"] == []

    case.change(sheet)
    assert shell("import", sheet, "-m", mapping, "--yes", "--rps", 0) == case.exit_code
    (body,) = shell.posts
    assert set(body) == {"update"}
    (update,) = body["update"]
    assert set(update) == {"id", "catalog_id", "updated_at", "custom_fields"}
    (changed,) = update["custom_fields"]
    assert changed["values"] == [{"value": case.changed_value}]
    element = next(element for element in shell.elements() if element["id"] == update["id"])
    assert element[case.changed_field] == [case.changed_value]


def test_a_key_that_stands_twice_is_told_with_both_addresses_and_neither_row_is_imported(start: Start) -> None:
    shell = start(catalog_of([text("Code"), number("Price")]))
    sheet = SHEETS / "farmacia_lista_precios.xlsx"

    assert shell("import", sheet, "-m", MAPPINGS / "farmacia.yaml", "--yes", "--rps", 0) == 3

    assert "farmacia_lista_precios.xlsx!Hoja1!A117" in shell.out
    assert "farmacia_lista_precios.xlsx!Hoja1!A118" in shell.out
    codes = [element["Code"][0] for element in shell.elements()]
    assert len(codes) == 122
    assert "175" not in codes
    assert {"0102.1", "102", "01916.8"} <= set(codes)


def test_strict_refuses_the_whole_sheet_and_writes_nothing(start: Start) -> None:
    shell = start(catalog_of([text("Code"), number("Price")]))
    sheet = SHEETS / "farmacia_lista_precios.xlsx"

    assert shell("import", sheet, "-m", MAPPINGS / "farmacia.yaml", "--yes", "--strict", "--rps", 0) == 3

    assert shell.posts == []
    assert shell.elements() == []


def test_malformed_lines_are_told_with_their_numbers_and_the_rest_arrives(start: Start) -> None:
    fields = [text("Code"), text("Barcode"), number("Price"), {"name": "Weighed", "type": "checkbox"}]
    shell = start(catalog_of(fields))

    plan = shell.plan(SHEETS / "datalogic_products_cp1251.csv", "-m", MAPPINGS / "datalogic.yaml")

    assert plan["counts"] == {"add": 9329, "update": 0, "delete": 0}
    assert [problem["where"] for problem in plan["rejected"]] == [
        "datalogic_products_cp1251.csv:4064",
        "datalogic_products_cp1251.csv:4065",
    ]
