"""Real sheets: what a reader must get out of each, by the index of the folder they come from."""

from __future__ import annotations

import csv
import json
from collections import Counter
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from catalogsync.errors import SheetError
from catalogsync.reader import ReadOptions, Sheet, read_sheet
from tests.reader_files import SHEETS, needs_sheets

pytestmark = needs_sheets


@cache
def load(name: str, tab: str | None = None, expect: tuple[str, ...] = ()) -> Sheet:
    return read_sheet(SHEETS / name, ReadOptions(tab=tab), expect=expect)


def column(sheet: Sheet, header: str) -> list[str]:
    assert sheet.headers.count(header) == 1, sheet.headers
    values: list[str] = sheet.cells[sheet.headers.index(header)].tolist()
    return values


def total(values: list[str]) -> Decimal:
    return sum((Decimal(value.replace(",", ".")) for value in values if value), Decimal())


def to_cents(values: list[str]) -> Decimal:
    return sum((Decimal(value).quantize(Decimal("0.01")) for value in values if value), Decimal())


def at(sheet: Sheet, row: int, header: str | int) -> str:
    number = header if isinstance(header, int) else sheet.headers.index(header)
    value = sheet.cells.loc[sheet.rows.tolist().index(row), number]
    assert isinstance(value, str)
    return value


def test_1_shopify() -> None:
    sheet = load("shopify_jewelery.csv")
    assert sheet.cells.shape == (41, 46)
    assert len(set(column(sheet, "Handle"))) == 20
    prices = column(sheet, "Variant Price")
    assert (total(prices), sum(map(bool, prices))) == (Decimal("980.74"), 23)
    compared = column(sheet, "Variant Compare At Price")
    assert (total(compared), sum(map(bool, compared))) == (Decimal("806.85"), 17)
    assert (at(sheet, 4, "Handle"), at(sheet, 4, "Variant Price")) == ("leather-anchor", "69.99")
    assert column(sheet, "Option1 Value").count("Default Title") == 17
    assert any("\u00a0" in text for text in column(sheet, "Body (HTML)"))
    assert sheet.rows[-1] == 55  # below the header, 41 records take 54 lines
    assert sheet.problems == ()


def test_2_woocommerce() -> None:
    sheet = load("woo_classic_sample_products.csv")
    assert len(set(column(sheet, "SKU"))) == len(sheet.rows) == 24
    prices = column(sheet, "Regular price")
    assert (total(prices), sum(map(bool, prices))) == (Decimal(729), 21)
    sale = column(sheet, "Sale price")
    assert (total(sale), sum(map(bool, sale))) == (Decimal(168), 6)
    assert Counter(column(sheet, "Type")) == {
        "simple": 9, "variation": 9, "variable": 2, "simple, downloadable, virtual": 2, "grouped": 1, "external": 1,
    }  # fmt: skip
    row = column(sheet, "SKU").index("cc-hoodie-with-logo")
    assert column(sheet, "Name")[row] == "Hoodie with Pocket and  Logo"
    assert column(sheet, "Regular price")[row] == "45"


def test_3_magento() -> None:
    sheet = load("magento2_configurable_head.csv")
    assert sheet.cells.shape == (608, 70)
    assert Counter(column(sheet, "product_type")) == {"simple": 570, "configurable": 38}
    assert len(set(column(sheet, "sku"))) == 608
    assert total(column(sheet, "price")) == Decimal("29407.84")
    assert (column(sheet, "sku")[0], column(sheet, "sku")[-1]) == ("MH01-XS-Black", "MT02")
    attributes = "has_options=0,required_options=0,size=XS,color=Black"
    assert column(sheet, "additional_attributes")[0] == attributes


def test_4_cp1251_with_a_broken_record() -> None:
    sheet = load("datalogic_products_cp1251.csv")
    assert len(sheet.rows) == 9329
    assert sheet.facts["encoding"].startswith("cp1251 (very likely")
    assert sheet.facts["quote"] == "none (quotes are text)"
    assert [(problem.row, problem.column, problem.position) for problem in sheet.problems] == [
        (4064, None, None),
        (4065, None, None),
    ]
    for header in ("Код товара:", "Штрих-код:"):
        assert len(set(column(sheet, header))) == 9329
    assert len(set(column(sheet, "Наименование:"))) == 9250
    prices = column(sheet, "Цена:")
    assert (total(prices), sum(map(bool, prices))) == (Decimal(136082825), 9328)
    assert at(sheet, 7373, "Цена:") == ""
    assert at(sheet, 2, "Наименование:").startswith('Чай "Ahmad" ')
    assert at(sheet, 2, "Штрих-код:") == "54881005999"
    assert Counter(column(sheet, "Весовой товар:")) == {"False": 5948, "True": 3381}
    last = sheet.cells.iloc[-1].tolist()
    assert (last[0], last[1]) == ('Шампанське "Київ"біле 0,75 л', "9330")


def test_5_the_same_as_a_workbook() -> None:
    sheet = load("datalogic_products.xlsx")
    assert len(sheet.rows) == len(set(column(sheet, "Код товара:"))) == 9330
    prices = column(sheet, "Цена:")
    assert (total(prices), sum(map(bool, prices))) == (Decimal(136103185), 9329)
    assert at(sheet, 4064, 0) == 'ЦветАромат! Цукрова пудра 75г;0;0\r\n4820049640113;ЦвєтАромат" гірчиця зерна 15 г'
    assert at(sheet, 4831, 0) == "4820078772335"
    assert at(sheet, 7372, "Цена:") == ""
    assert "4820049640106" in column(sheet, "Штрих-код:")
    assert set(column(sheet, "Весовой товар:")) == {"TRUE", "FALSE"}
    text = load("datalogic_products_cp1251.csv")
    there = dict(zip(column(sheet, "Код товара:"), column(sheet, "Штрих-код:"), strict=True))
    assert all(
        there[code] == barcode
        for code, barcode in zip(column(text, "Код товара:"), column(text, "Штрих-код:"), strict=True)
    )


def test_6_byte_order_mark_and_decimal_comma() -> None:
    sheet = load("catdist_produtos_virgula.csv")
    assert sheet.headers[0] == "id"
    assert len(sheet.rows) == len(set(column(sheet, "id"))) == 2077
    prices = column(sheet, "price")
    assert total(prices) == Decimal("42126.94159")
    assert Counter(len(price.partition(",")[2]) for price in prices) == {2: 1691, 1: 346, 0: 39, 5: 1}
    assert (at(sheet, 416, "price"), at(sheet, 58, "price")) == ("12,19159", "0")
    assert sheet.cells.iloc[0].tolist() == [
        "010358-6", "180 - AEROFLEX", "Tinta Temporária P-Cabelo Amarela Neon Aeroflex 150ml", "14,99", "",
        "produtos/010358-6.JPG",
    ]  # fmt: skip


def test_7_cp1250() -> None:
    sheet = load("cennik_cp1250.csv")
    assert sheet.facts["encoding"].startswith("cp1250 (very likely")
    assert sheet.headers[:6] == (
        "Długość", "Głębokość", "Wysokość", "", "Cena katalogowa 2022", "Cena katalogowa 11.2021",
    )  # fmt: skip
    assert len(sheet.rows) == 2902
    codes = sheet.cells[3].tolist()
    assert len(set(codes)) == 2824
    assert (codes[0], codes.count("3093.075/1")) == ("3100.046", 4)
    assert total(column(sheet, "Cena katalogowa 2022")) == 14689546
    assert total(column(sheet, "Cena katalogowa 11.2021")) == 11475580


def test_8_keys_half_text_half_number() -> None:
    sheet = load("farmacia_lista_precios.xlsx")
    keys = column(sheet, "CÓDIGO")
    assert (len(keys), len(set(keys))) == (124, 123)
    assert [at(sheet, row, 0) for row in (2, 3, 117, 118)] == ["0102.1", "102", "175", "175"]
    assert [at(sheet, row, 2) for row in (3, 117, 118)] == ["4164.6", "2667.84", "2286.144"]
    assert total(column(sheet, "PRECIO LISTA")).quantize(Decimal("0.01")) == Decimal("769955.10")
    assert at(sheet, 121, 2) == "3093.156"
    assert sheet.address(115, 0) == "farmacia_lista_precios.xlsx!Hoja1!A117 (CÓDIGO)"


def test_9_prices_with_a_fixed_space() -> None:
    sheet = load("doors_nbsp_price.xlsx")
    assert sheet.cells.shape == (219, 44)
    assert len(set(column(sheet, "sku"))) == 219
    prices = column(sheet, "price")
    assert all("\u00a0" in price for price in prices)
    assert total([price.replace("\u00a0", "") for price in prices]) == 4382717
    assert (at(sheet, 2, "sku"), at(sheet, 2, "price")) == ("7X", "14\u00a0227")
    assert (at(sheet, 220, "sku"), at(sheet, 220, "price")) == ("45L", "19\u00a0461")
    assert sheet.headers[15:] == ("",) * 29


def test_10_html_by_the_name_of_xls_is_refused_as_html() -> None:
    with pytest.raises(SheetError, match="is an HTML page"):
        load("options_html_as_xls.xls")


def test_17_line_breaks_in_values() -> None:
    sheet = load("lab_tests_semicolon_head.csv")
    assert len(sheet.rows) == len(set(column(sheet, "sku"))) == len(set(column(sheet, "name"))) == 207
    durations = Counter(column(sheet, "duration"))
    assert (durations["1"], durations[""]) == (140, 6)
    assert (column(sheet, "sku")[0], column(sheet, "name")[0]) == ("1.0.A1.202", "СОЭ (венозная кровь)")
    assert column(sheet, "sku")[-1] == "7.7.D2"
    assert any("\r\n" in text for text in column(sheet, "description"))
    assert sheet.problems == ()
    with (SHEETS / "lab_tests_semicolon_head.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter=";")
        ends = [reader.line_num for _row in reader]
    assert [int(row) for row in sheet.rows] == [end + 1 for end in ends[:-1]]


def test_19_data_on_the_second_tab_and_a_million_declared_rows() -> None:
    with pytest.raises(SheetError, match="several tabs with data"):
        load("ozon_stock_template.xlsx")
    sheet = load("ozon_stock_template.xlsx", expect=("Артикул", "Код"))
    assert sheet.tab == "Остатки на складе"
    assert len(sheet.rows) == len(set(column(sheet, "Артикул"))) == 222
    assert sheet.rows[-1] == 223
    codes = [code for code in column(sheet, "Код") if code]
    assert (len(codes), len(set(codes))) == (160, 160)
    assert (at(sheet, 2, "Код"), at(sheet, 2, "Артикул"), at(sheet, 2, 4)) == ("0000030831", "ПГ 100", "0")
    assert (at(sheet, 16, "Код"), at(sheet, 16, "Артикул")) == ("", "ПГТ 702-03")


def test_20_eleven_thousand_rows() -> None:
    sheet = load("super_lista_11k.xlsx", expect=("SKU", "PRECIO", "OFERTA"))
    assert len(sheet.rows) == len(set(column(sheet, "SKU"))) == 11232
    assert len(set(column(sheet, "DESCRIPCION"))) == 11200
    assert to_cents(column(sheet, "PRECIO")) == Decimal("47110463.69")
    offers = column(sheet, "OFERTA")
    assert (to_cents(offers), sum(1 for offer in offers if offer != "0")) == (Decimal("189367.42"), 82)
    assert Counter(column(sheet, "FAMILIA")) == {
        "ALMACEN": 4682, "LIMPIEZA Y PERFUMERIA": 3425, "FRESCOS Y CONGELADOS": 1442, "BEBIDAS": 1425,
        "BAZAR Y FERRETERIA": 156, "Sin definir": 84, "TABACALERIA": 18,
    }  # fmt: skip
    assert [at(sheet, row, "PRECIO") for row in (2, 68, 11233)] == ["1200.01", "961.31", "1550.84"]
    assert (at(sheet, 2, "DESCRIPCION"), at(sheet, 11233, "SKU")) == ("Bolsa Con Manija", "300065501")


def test_21_facebook() -> None:
    sheet = load("facebook_catalog_sci_gtin.csv")
    assert sheet.cells.shape == (3, 29)
    assert column(sheet, "id") == ["0", "1", "2"]
    assert column(sheet, "price") == ["10.00 USD"] * 3
    assert column(sheet, "gtin") == ["8.80609E+12"] * 3
    assert column(sheet, "sale_price_effective_date")[0] == "2020-04-30T09:30-08:00/2020-05-30T23:59-08:00"


def test_22_error_cells_of_an_xls() -> None:
    sheet = load("transformers_err_cells.xls")
    expected = [23, 33, 119, 129, 749, 805, 871]
    assert [(problem.row, problem.column, problem.what) for problem in sheet.problems] == [
        (row, 2, "the cell holds the error #VALUE!") for row in expected
    ]
    assert [int(sheet.rows[problem.position or 0]) for problem in sheet.problems] == expected
    assert [at(sheet, row, 2) for row in expected] == ["#VALUE!"] * 7
    products = [position for position in range(len(sheet.rows)) if sheet.rows[position] not in expected]
    assert len(products) == 992
    assert total(sheet.cells[1].iloc[products].tolist()) == Decimal("11302194.68")
    assert total(sheet.cells[2].iloc[products].tolist()) == 9155301
    assert (at(sheet, 2, 0), at(sheet, 2, 1), at(sheet, 2, 2)) == ("ТМ(ТМГ)-25 Барнаул,шт", "61538.18", "49846")


def test_23_a_hidden_first_tab() -> None:
    sheet = load("soap_hidden_first_sheet.xls")
    assert sheet.tab == "TDSheet"
    assert at(sheet, 3, 1) == "d2d0999e-9c79-11e8-8b2a-4ccc6aaf15f4"
    assert [at(sheet, 3, number) for number in (3, 4, 6)] == ['Мыло "Арбуз треугольник"', "152", "220"]


@pytest.mark.parametrize(
    ("tab", "rows", "without_tax", "with_tax"),
    [
        ("Радиаторы от 19.03.25", 1530, "15976619.09", "19171943.00"),
        ("Кронштейны", 32, "11222.00", "13466.40"),
        ("Комплектующие", 75, "33676.79", "40412.21"),
    ],
)
def test_24_shared_formulas(tab: str, rows: int, without_tax: str, with_tax: str) -> None:
    sheet = load("radiators_formulas.xlsx", tab=tab)
    assert len(sheet.rows) == len(set(column(sheet, "Артикул"))) == rows
    assert to_cents(column(sheet, "цена без НДС,руб")) == Decimal(without_tax)
    assert to_cents(column(sheet, "цена с НДС,руб")) == Decimal(with_tax)
    assert sheet.problems == ()


def test_24_cells() -> None:
    with pytest.raises(SheetError, match="several tabs with data"):
        load("radiators_formulas.xlsx")
    first, second, third = (
        load("radiators_formulas.xlsx", tab=tab) for tab in ("Радиаторы от 19.03.25", "Кронштейны", "Комплектующие")
    )
    assert [at(first, 2, number) for number in (0, 2, 3)] == ["7724601304", "1758.63", "2110.356"]
    assert at(first, 13, 1).endswith(" ")
    assert (at(second, 2, 0), at(second, 2, 2), at(third, 2, 2)) == ("К15.4300", "241", "272.7")


def test_every_sheet_is_read_or_refused_by_name() -> None:
    names = sorted(json.loads((SHEETS / "expect.json").read_text(encoding="utf-8")))
    assert len(names) == 24
    refused = {}
    for name in names:
        try:
            sheet = load(name)
        except SheetError as error:
            refused[name] = str(error).splitlines()[0].partition(". ")[0].removeprefix(name)
        else:
            assert len(sheet.rows)
    several = " has several tabs with data"
    assert refused == {
        "options_html_as_xls.xls": " is an HTML page, not a product sheet that can be read",
        "ozon_stock_template.xlsx": several,
        "prom_ua_export_duphdr.xlsx": several,
        "radiators_formulas.xlsx": several,
        "super_lista_11k.xlsx": several,
        "wilo_pumps_sections.xlsx": several,
    }


def test_the_folder_is_where_the_tests_look_for_it() -> None:
    assert Path(SHEETS, "INDEX.md").is_file()
