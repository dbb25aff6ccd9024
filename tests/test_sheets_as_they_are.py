"""Each real sheet of the neighbouring folder, read with a short mapping. Numbers: its `expect.json` and `INDEX.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd
import pytest

from catalogsync import fields, tables
from catalogsync.errors import SheetError
from catalogsync.keys import row_keys
from catalogsync.mapping import resolve
from catalogsync.mappingfile import load_mapping
from catalogsync.model import Column, Field, Schema
from catalogsync.reader import ReadOptions, Sheet, read_sheet
from tests.e2e.conftest import MAPPINGS, SHEETS, needs_sheets

pytestmark = needs_sheets

TYPES = {
    **dict.fromkeys(["Code", "Barcode", "Variant", "Description", "Stock text", "Length", "Image"], "text"),
    **dict.fromkeys(["Price", "Offer", "Old price", "Wholesale", "Stock", "Duration", "Height"], "numeric"),
    **dict.fromkeys(["Published", "In stock", "Weighed"], "checkbox"),
    "Changed": "date_time",
    "Short description": "textarea",
    "Family": "text",
    "Supplier": "text",
    "Kind": "text",
}
SCHEMA = Schema(
    account_id=1,
    timezone="Europe/Riga",
    catalog_id=4220,
    catalog_name="Products",
    fields=tuple(Field(id_, name, type_) for id_, (name, type_) in enumerate(TYPES.items(), start=101)),
)
Places = Mapping[tuple[int, str], str]


@dataclass(frozen=True)
class Case:
    """A sheet and its mapping; what has to come of it. Cells are named by sheet row or line, and field."""

    sheet: str
    mapping: str
    rows: int
    keys: int
    sums: Mapping[str, str] = field(default_factory=dict)
    cells: Places = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    warned: int = 0
    in_cents: bool = False


CASES = [
    Case(
        "shopify_jewelery.csv",
        "shopify",
        rows=23,
        keys=23,
        sums={"Price": "980.74", "Old price": "806.85"},
        cells={(4, "Code"): "leather-anchor", (4, "Price"): "69.99", (4, "Variant"): "Gold"},
        skipped={"without Variant Price": 18},
    ),
    Case(
        "woo_classic_sample_products.csv",
        "woo_text",
        rows=24,
        keys=24,
        sums={"Price": "729", "Offer": "168"},
        cells={
            (4, "Code"): "cc-hoodie-with-logo",
            (4, "name"): "Hoodie with Pocket and  Logo",
            (4, "Price"): "45",
        },
    ),
    Case(
        "magento2_configurable_head.csv",
        "magento",
        rows=608,
        keys=608,
        sums={"Price": "29407.84"},
        cells={
            (2, "Code"): "MH01-XS-Black",
            (2, "Price"): "52",
            (2, "Description"): "has_options=0,required_options=0,size=XS,color=Black",
            (1216, "Code"): "MT02",
        },
    ),
    Case(
        "datalogic_products_cp1251.csv",
        "datalogic",
        rows=9329,
        keys=9329,
        sums={"Price": "136082825", "Weighed": "3381"},
        cells={(2, "Code"): "1", (2, "Barcode"): "54881005999", (7373, "Price"): ""},
        rejected=2,
    ),
    Case(
        "datalogic_products.xlsx",
        "datalogic_xlsx",
        rows=9330,
        keys=9330,
        sums={"Price": "136103185"},
        cells={
            (2, "Code"): "1",
            (2, "Barcode"): "54881005999",
            (2, "Price"): "50",
            (4064, "name"): 'ЦветАромат! Цукрова пудра 75г;0;0\n4820049640113;ЦвєтАромат" гірчиця зерна 15 г',
            (4831, "name"): "4820078772335",
            (7372, "Price"): "",
        },
    ),
    Case(
        "catdist_produtos_virgula.csv",
        "catdist",
        rows=2077,
        keys=2077,
        sums={"Price": "42126.94159"},
        cells={
            (2, "Code"): "010358-6",
            (2, "Supplier"): "180 - AEROFLEX",
            (2, "Price"): "14.99",
            (416, "Price"): "12.19159",
            (58, "Price"): "0",
        },
    ),
    Case(
        "cennik_cp1250.csv",
        "cennik",
        rows=2902,
        keys=2824,
        sums={"Price": "14689546", "Old price": "11475580"},
        cells={(2, "name"): "3100.046", (2, "Price"): "914"},
        warned=78,
    ),
    Case(
        "farmacia_lista_precios.xlsx",
        "farmacia",
        rows=124,
        keys=123,
        sums={"Price": "769955.10"},
        cells={(2, "Code"): "0102.1", (3, "Code"): "102", (3, "Price"): "4164.6", (118, "Price"): "2286.144"},
        rejected=1,
        in_cents=True,
    ),
    Case(
        "doors_nbsp_price.xlsx",
        "doors",
        rows=219,
        keys=219,
        sums={"Price": "4382717"},
        cells={(2, "Code"): "7X", (2, "Price"): "14227", (220, "Code"): "45L", (220, "Price"): "19461"},
    ),
    Case(
        "tea_rub_merged.xlsx",
        "tea",
        rows=112,
        keys=112,
        sums={"Price": "21890", "Wholesale": "10915"},
        cells={
            (9, "name"): "Степной аромат",
            (9, "Price"): "80",
            (9, "Wholesale"): "37",
            (44, "Price"): "90",
            (45, "Price"): "250",
            (84, "name"): "Натуральные эфирные масла    (5 мл.)",
            (132, "Price"): "220",
        },
        skipped={"section": 12, "footer": 3, "without Цена, руб.* / Роз-ница": 2},
    ),
    Case(
        "oils_hidden_rows.xlsx",
        "oils",
        rows=496,
        keys=237,
        sums={"Price": "42332740.30"},
        cells={
            (4, "name"): "Qualitet\n PERFECT CK-4",
            (5, "name"): "Qualitet\n PERFECT CK-4",
            (4, "Code"): "88028",
            (4, "Price"): "9116.71545456",
            (49, "Code"): "",
            (151, "Code"): "81012_1",
        },
        skipped={"section": 10},
        rejected=259,
        in_cents=True,
    ),
    Case(
        "drinks_1c_tdsheet.xlsx",
        "drinks",
        rows=206,
        keys=206,
        sums={"Price": "111204", "Stock": "129172"},
        cells={(4, "name"): 'Напиток "Sprint" ПЭТ 1,5л.', (4, "Stock"): "30", (215, "Price"): "1410"},
        skipped={"without Цена": 8},
    ),
    Case(
        "wilo_pumps_sections.xlsx",
        "wilo",
        rows=5018,
        keys=4909,
        sums={"Price": "4337859.90"},
        cells={
            (5, "Code"): "4111288",
            (5, "name"): "STAR-ZD 25/6",
            (5, "Price"): "494",
            (7, "Price"): "18.17",
            (197, "Price"): "",
        },
        skipped={"section": 41, "without € без ПДВ": 182},
        warned=109,
        in_cents=True,
    ),
    Case(
        "prom_ua_export_duphdr.xlsx",
        "prom",
        rows=2821,
        keys=2821,
        sums={"Price": "16228974"},
        cells={
            (2, "Code"): "490358817",
            (2, "name"): "Матрац Standart",
            (2, "Price"): "3873",
            (346, "Price"): "",
            (2822, "name"): "Крісло Атіка",
            (2822, "Price"): "7175",
        },
    ),
    Case(
        "adventureworks_descr_utf16.csv",
        "adventureworks",
        rows=762,
        keys=762,
        cells={(1, "Code"): "3"},
    ),
    Case(
        "lab_tests_semicolon_head.csv",
        "lab",
        rows=207,
        keys=207,
        cells={
            (2, "Code"): "1.0.A1.202",
            (2, "name"): "СОЭ (венозная кровь)",
            (2, "Duration"): "1",
            (2, "Description"): "кровь с EDTA",
        },
    ),
    Case(
        "beauty_samples_space_quotes.csv",
        "beauty",
        rows=63,
        keys=63,
        sums={"Price": "2211"},
        cells={(1, "Barcode"): "2000763421478", (1, "Price"): "12", (63, "Barcode"): "2000763422369"},
    ),
    Case(
        "ozon_stock_template.xlsx",
        "ozon",
        rows=222,
        keys=222,
        sums={"Stock": "0"},
        cells={(2, "Code"): "0000030831", (2, "name"): "ПГ 100", (2, "Stock"): "0", (16, "Code"): ""},
    ),
    Case(
        "super_lista_11k.xlsx",
        "super_text",
        rows=11232,
        keys=11232,
        sums={"Price": "47110463.69", "Offer": "189367.42"},
        cells={
            (2, "Code"): "100",
            (2, "Price"): "1200.01",
            (2, "name"): "Bolsa Con Manija",
            (68, "Price"): "961.31",
            (11233, "Code"): "300065501",
            (11233, "Price"): "1550.84",
        },
        in_cents=True,
    ),
    Case(
        "facebook_catalog_sci_gtin.csv",
        "facebook",
        rows=3,
        keys=3,
        sums={"Price": "30"},
        cells={(2, "Code"): "0", (2, "Price"): "10", (2, "Barcode"): "8.80609E+12"},
        warned=3,
    ),
    Case(
        "transformers_err_cells.xls",
        "transformers",
        rows=999,
        keys=995,
        sums={"Price": "11302194.68", "Wholesale": "9155301"},
        cells={(2, "Price"): "61538.18", (2, "Wholesale"): "49846", (23, "Price"): ""},
        rejected=14,
        warned=4,
        in_cents=True,
    ),
    Case(
        "soap_hidden_first_sheet.xls",
        "soap",
        rows=41,
        keys=41,
        sums={"Price": "12790", "Wholesale": "8950"},
        cells={
            (3, "Code"): "d2d0999e-9c79-11e8-8b2a-4ccc6aaf15f4",
            (3, "name"): 'Мыло "Арбуз треугольник"',
            (3, "Price"): "220",
            (3, "Wholesale"): "152",
        },
        skipped={"footer": 1},
    ),
    Case(
        "radiators_formulas.xlsx",
        "radiators_1",
        rows=1530,
        keys=1530,
        sums={"Price": "15976619.09", "Wholesale": "19171943.00"},
        cells={(2, "Code"): "7724601304", (2, "Price"): "1758.63", (2, "Wholesale"): "2110.356"},
        in_cents=True,
    ),
    Case(
        "radiators_formulas.xlsx",
        "radiators_2",
        rows=32,
        keys=32,
        sums={"Price": "11222.00", "Wholesale": "13466.40"},
        cells={(2, "Code"): "К15.4300", (2, "Price"): "241"},
        in_cents=True,
    ),
    Case(
        "radiators_formulas.xlsx",
        "radiators_3",
        rows=75,
        keys=75,
        sums={"Price": "33676.79", "Wholesale": "40412.21"},
        cells={(2, "Price"): "272.7"},
        in_cents=True,
    ),
]
REFUSED = {"options_html_as_xls.xls": "is an HTML page"}


def expected() -> dict[str, dict[str, Any]]:
    table = json.loads((SHEETS / "expect.json").read_text(encoding="utf-8"))
    assert isinstance(table, dict)
    return table


def _sum(texts: pd.Series, *, in_cents: bool) -> Decimal:
    numbers = [Decimal(text) for text in texts if text]
    if in_cents:
        numbers = [number.quantize(Decimal("0.01"), ROUND_HALF_UP) for number in numbers]
    return sum(numbers, Decimal(0))


def _texts(sheet: Sheet, column: Column) -> pd.Series:
    """A column's canonical text, of rejected rows too."""
    return fields.parse_column(sheet.cells[column.position], column)[0]


def _read(case: Case) -> tuple[Sheet, dict[str, pd.Series], set[str], tables.Desired]:
    file = load_mapping(MAPPINGS / f"{case.mapping}.yaml")
    sheet = read_sheet(SHEETS / case.sheet, file.read_options(ReadOptions()), expect=file.headers)
    mapping = resolve(file, SCHEMA, sheet.headers)
    columns = {column.field.name if column.field else "name": column for column in mapping.columns}
    texts = {name: _texts(sheet, column) for name, column in columns.items()}
    table = pd.DataFrame({column.key: texts[name] for name, column in columns.items()})
    keys = set(row_keys(table, mapping.keys)) - {""}
    return sheet, texts, keys, tables.desired_table(sheet, mapping)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.sheet}-{case.mapping}")
def test_a_real_sheet_reads_right_with_a_short_mapping(case: Case) -> None:
    sheet, texts, keys, desired = _read(case)

    lost = 2 if case.mapping == "datalogic" else 0
    assert (len(sheet.cells), len(keys)) == (case.rows, case.keys)
    assert {name: _sum(texts[name], in_cents=case.in_cents) for name in case.sums} == {
        name: Decimal(total) for name, total in case.sums.items()
    }
    places = {int(row): place for place, row in enumerate(sheet.rows)}
    assert {(row, name): texts[name].iloc[places[row]] for row, name in case.cells} == case.cells
    why = sheet.skipped.why if sheet.skipped else ()
    assert {reason: why.count(reason) for reason in why} == case.skipped
    assert (len(desired.rejected), len(desired.warnings)) == (case.rejected, case.warned)
    assert desired.sheet_rows == case.rows + lost


@pytest.mark.parametrize(("name", "words"), REFUSED.items())
def test_what_is_no_sheet_is_refused_by_what_it_is(name: str, words: str) -> None:
    with pytest.raises(SheetError, match=words):
        read_sheet(SHEETS / name)


def test_every_sheet_of_the_folder_is_read_or_refused_and_the_numbers_are_those_of_the_folder() -> None:
    table = expected()
    assert {case.sheet for case in CASES} | set(REFUSED) == set(table)
    for case in CASES:
        told = table[case.sheet]
        if case.mapping not in {"radiators_2", "radiators_3"}:
            assert case.sums.get("Price", "0") == told.get("price_sum", "0") or Decimal(case.sums["Price"]) == Decimal(
                told["price_sum"]
            ), case.sheet


def test_hidden_rows_are_read_and_counted_unless_the_mapping_leaves_them_out() -> None:
    path = SHEETS / "oils_hidden_rows.xlsx"
    kept, left_out = read_sheet(path), read_sheet(path, ReadOptions(hidden="skip"))

    assert (len(kept.cells), len(kept.hidden)) == (496, 95)
    assert len(left_out.cells) == 401
    price = Column("Price", Field(1, "Price", "numeric"), position=6)
    assert _sum(_texts(left_out, price), in_cents=True) == Decimal("41897262.60")
