"""What is proposed for 24 real sheets: never a wrong line above the mark, and most lines right.

Three catalogs for each sheet: one whose fields were made from the sheet; one whose fields have names of another
language; one whose fields have names that say nothing, but which holds every second product.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from catalogsync import fields
from catalogsync.errors import SheetError
from catalogsync.mapping import resolve
from catalogsync.mappingfile import load_mapping
from catalogsync.model import NAME, Column, Field, Schema
from catalogsync.proposing import words
from catalogsync.proposing.evidence import columns_of
from catalogsync.proposing.mappingtext import mapping_text
from catalogsync.proposing.newfields import field_type
from catalogsync.proposing.proposal import Proposal, propose
from catalogsync.reader import ReadOptions, Sheet, read_sheet
from tests.e2e.conftest import SHEETS, needs_sheets

MOST_ROWS = 600
"""Enough of a sheet to tell what it holds; keeps these tests short."""

FEW_ROWS = 200
"""For the catalog that holds products: every column is compared with every field."""

HTML = "options_html_as_xls.xls"
"""The one of the folder that the reader refuses, by name: an HTML page."""

TABS = {
    "ozon_stock_template.xlsx": "Остатки на складе",
    "prom_ua_export_duphdr.xlsx": "Export Products Sheet",
    "radiators_formulas.xlsx": "Радиаторы от 19.03.25",
    "super_lista_11k.xlsx": "Precios",
    "wilo_pumps_sections.xlsx": "price_list",
}

NAMES = {
    # The column that holds the products' names, by INDEX.md; None where the sheet has none.
    "adventureworks_descr_utf16.csv": "column B",
    "beauty_samples_space_quotes.csv": "column B",
    "catdist_produtos_virgula.csv": "name",
    "cennik_cp1250.csv": None,
    "datalogic_products.xlsx": "Наименование:",
    "datalogic_products_cp1251.csv": "Наименование:",
    "doors_nbsp_price.xlsx": "name",
    "drinks_1c_tdsheet.xlsx": "column A",
    "facebook_catalog_sci_gtin.csv": "title",
    "farmacia_lista_precios.xlsx": "DESCRIPCIÓN",
    "lab_tests_semicolon_head.csv": "name",
    "magento2_configurable_head.csv": "name",
    "oils_hidden_rows.xlsx": "Название масла",
    "ozon_stock_template.xlsx": "Имя (необязательно)",
    "prom_ua_export_duphdr.xlsx": "Название_позиции",
    "radiators_formulas.xlsx": "Наименование",
    "shopify_jewelery.csv": "Title",
    "soap_hidden_first_sheet.xls": "Товар",
    "super_lista_11k.xlsx": "DESCRIPCION",
    "tea_rub_merged.xlsx": "Наименование",
    "transformers_err_cells.xls": "Наименование товара",
    "wilo_pumps_sections.xlsx": "Номенклатура",
    "woo_classic_sample_products.csv": "Name",
}

RENAMED: Mapping[str, Mapping[str, str]] = {
    # A catalog in another language: column of the sheet to the name of its field. No other column has a field.
    "adventureworks_descr_utf16.csv": {},
    "beauty_samples_space_quotes.csv": {"column C": "Штрихкод"},
    "catdist_produtos_virgula.csv": {
        "id": "ID",
        "supplier_id": "Fornecedor",
        "price": "Цена",
        "image": "Foto",
    },
    "cennik_cp1250.csv": {
        "Długość": "Length",
        "Głębokość": "Depth",
        "Wysokość": "Height",
        "Cena katalogowa 2022": "Price 2022",
        "Cena katalogowa 11.2021": "Price 11.2021",
        "column D": "Vendor code",
    },
    "datalogic_products.xlsx": {
        "Код товара:": "Product code",
        "Артикул:": "Vendor code",
        "Группа товаров:": "Category",
        "Вид товаров:": "Type",
        "Единица измерения:": "Unit of measure",
        "Штрих-код:": "EAN",
        "Цена:": "Price",
        "Количество:": "Stock",
    },
    "doors_nbsp_price.xlsx": {
        "sku": "Артикул",
        "images": "Фотографии",
        "price": "Цена",
        "discountPrice": "Цена со скидкой",
        "manufacturer": "Производитель",
        "cat": "Категория",
    },
    "drinks_1c_tdsheet.xlsx": {"Количество Остаток": "Amount", "Цена": "Price", "Сумма": "Total"},
    "facebook_catalog_sci_gtin.csv": {
        "description": "Описание",
        "availability": "Наличие",
        "condition": "Состояние товара",
        "price": "Цена",
        "link": "Ссылка",
        "image_link": "Фото",
        "brand": "Бренд",
        "sale_price": "Цена по акции",
        "color": "Цвет",
        "size": "Размер",
        "material": "Материал",
        "gtin": "Штрихкод",
        "quantity_to_sell_on_facebook": "Количество",
    },
    "farmacia_lista_precios.xlsx": {"CÓDIGO": "Vendor code", "PRECIO LISTA": "Price"},
    "lab_tests_semicolon_head.csv": {
        "sku": "Артикул",
        "description": "Описание",
        "preparation": "Подготовка",
        "duration": "Срок",
        "biomaterial": "Биоматериал",
    },
    "magento2_configurable_head.csv": {
        "sku": "Артикул",
        "description": "Описание",
        "categories": "Категории",
        "price": "Цена",
        "weight": "Вес",
        "qty": "Количество",
        "product_type": "Тип товара",
        "base_image": "Фото",
        "visibility": "Видимость",
        "is_in_stock": "В наличии",
    },
    "oils_hidden_rows.xlsx": {
        "Соответствия требованиям": "Approvals",
        "Артикул": "SKU",
        "Класс вязкости": "Viscosity grade",
        "Тара(л)": "Volume",
        "Цена оптовая с НДС": "Wholesale price incl. VAT",
    },
    "ozon_stock_template.xlsx": {"Код": "Code", "Артикул": "Vendor code", "Склад": "Stock"},
    "prom_ua_export_duphdr.xlsx": {
        "Ключевые_слова": "Keywords",
        "Описание": "Description",
        "Цена": "Price",
        "Валюта": "Currency",
        "Единица_измерения": "Unit",
        "Ссылка_изображения": "Images",
        "Производитель": "Manufacturer",
        "Страна_производитель": "Country of origin",
        "Скидка": "Discount",
        "Уникальный_идентификатор": "Unique id",
        "Номер_группы": "Group number",
        "Название_группы": "Group name",
    },
    "radiators_formulas.xlsx": {
        "Артикул": "Vendor code",
        "цена без НДС,руб": "Price without VAT",
        "цена с НДС,руб": "Price with VAT",
    },
    "shopify_jewelery.csv": {
        "Body (HTML)": "Beschreibung",
        "Vendor": "Lieferant",
        "Type": "Typ",
        "Tags": "Schlagworte",
        "Published": "Veröffentlicht",
        "Variant Grams": "Gewicht",
        "Variant Inventory Qty": "Bestand",
        "Variant Price": "Preis",
        "Variant Compare At Price": "Alter Preis",
        "Image Src": "Bild",
    },
    "soap_hidden_first_sheet.xls": {
        "Уникальный идентификатор (Номенклатура)": "Product id",
        "Цены, руб. / Мелкооптовая от 10 000 руб. до 20 000 руб": "Small wholesale price",
        "Цены, руб. / Оптовая от 20 000 до 300 000 руб": "Wholesale price",
        "Цены, руб. / Розница до 10 000 руб": "Retail price",
        "Цены, руб. / Крупный опт свыше 300 000руб": "Large wholesale price",
    },
    "super_lista_11k.xlsx": {"SKU": "Артикул", "PRECIO": "Цена", "OFERTA": "Акционная цена", "FAMILIA": "Категория"},
    "tea_rub_merged.xlsx": {
        "Описание": "Description",
        "Цена, руб.* / Роз-ница": "Retail price",
        "Цена, руб.* / Мелк. Опт": "Small wholesale price",
        "Цена, руб.* / Опт": "Wholesale price",
        "Цена, руб.* / Круп. опт": "Large wholesale price",
    },
    "transformers_err_cells.xls": {
        "Стоимость, руб": "Price",
        "Стоимость опт, руб": "Wholesale price",
        "Наличие на складе 1, шт": "Stock 1",
        "Наличие на складе 2, шт": "Stock 2",
        "Страна производства": "Country",
    },
    "wilo_pumps_sections.xlsx": {"Артикул": "Vendor code", "€ без ПДВ": "Price excl. VAT"},
    "woo_classic_sample_products.csv": {
        "ID": "Ідентифікатор",
        "Type": "Вид товару",
        "SKU": "Артикул",
        "Published": "Опубліковано",
        "Short description": "Стислий опис",
        "Description": "Опис",
        "Sale price": "Акційна ціна",
        "Regular price": "Ціна",
        "Categories": "Категорія",
        "Images": "Зображення",
        "Position": "Позиція",
    },
}
RENAMED = {**RENAMED, "datalogic_products_cp1251.csv": RENAMED["datalogic_products.xlsx"]}


@dataclass
class Score:
    """Lines that have a right answer, how many of them were proposed right and sure, and what was sure but wrong."""

    lines: int = 0
    right: int = 0
    wrong: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    def __add__(self, other: Score) -> Score:
        return Score(
            self.lines + other.lines,
            self.right + other.right,
            self.wrong + other.wrong,
            self.open + other.open,
        )


@pytest.fixture(scope="module")
def sheets() -> Mapping[str, Sheet]:
    return dict(_read())


def _read() -> Iterator[tuple[str, Sheet]]:
    for path in sorted(SHEETS.iterdir()):
        if path.suffix not in {".md", ".json"} and path.name != HTML:
            sheet = read_sheet(path, ReadOptions(tab=TABS.get(path.name)))
            yield path.name, shortened(sheet, MOST_ROWS)


def shortened(sheet: Sheet, most: int) -> Sheet:
    kept = min(most, len(sheet.cells))
    numbers = {column: mask[:kept] for column, mask in sheet.numbers.items()}
    return dataclasses.replace(sheet, cells=sheet.cells.head(kept), rows=sheet.rows[:kept], numbers=numbers)


def schema_of(custom: list[Field]) -> Schema:
    return Schema(30001, "Europe/Riga", 4220, "Products", tuple(custom))


def scored(file: str, proposal: Proposal, answers: Mapping[str, str]) -> Score:
    """`answers`: what each column fills, as a column key; a column that is not there fills nothing."""
    sure = {line.address: line.target.key for line in proposal.lines if line.is_sure and line.target is not None}
    return Score(
        lines=len(answers),
        right=sum(sure.get(address) == key for address, key in answers.items()),
        wrong=tuple(f"{file}: {address} → {key}" for address, key in sure.items() if answers.get(address) != key),
        open=tuple(f"{file}: {address}" for address in answers if address not in sure),
    )


def made_from(sheet: Sheet) -> Iterator[tuple[str, Field]]:
    """The fields that `--create-fields` makes of a sheet, each with the column that it is made for."""
    for number, new in enumerate(propose(sheet, schema_of([]), pd.DataFrame()).lacking):
        enums = dict(enumerate(new.options, start=100 * number + 5000))
        address = new.name if new.name in sheet.headers else new.name.replace("Column", "column")
        yield address, Field(1000 + number, new.name, new.type, enums=enums)


def resolves(proposal: Proposal, schema: Schema, sheet: Sheet, folder: Path) -> None:
    """The text loads, resolves, and says of each sure line what the proposal says."""
    path = folder / "mapping.yaml"
    path.write_text(mapping_text(proposal, sheet.path.name), encoding="utf-8")
    mapping = resolve(load_mapping(path), schema, sheet.headers)
    assert [(c.position, c.key) for c in mapping.columns] == [
        (line.position, line.target.key) for line in proposal.sure if line.target
    ]


@needs_sheets
def test_the_folder_is_covered(sheets: Mapping[str, Sheet]) -> None:
    assert set(sheets) == set(NAMES) == set(RENAMED)
    with pytest.raises(SheetError, match="HTML"):
        read_sheet(SHEETS / HTML)


@needs_sheets
def test_against_a_catalog_made_from_the_sheet_no_sure_line_is_wrong_and_four_of_five_are_right(
    sheets: Mapping[str, Sheet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    total = Score()
    for file, sheet in sheets.items():
        made = dict(made_from(sheet))
        schema = schema_of(list(made.values()))
        proposal = propose(sheet, schema, pd.DataFrame())
        answers = {address: str(field.id) for address, field in made.items()}
        answers |= {name: NAME for name in [NAMES[file]] if name and _holds(sheet, name)}
        found = scored(file, proposal, answers)
        assert found.right >= 0.8 * found.lines, (file, found)
        resolves(proposal, schema, sheet, tmp_path)
        total += found
    _say(capsys, "made from the sheet", total)
    assert total.wrong == ()
    assert total.right >= 0.8 * total.lines


@needs_sheets
def test_against_a_catalog_in_another_language_no_sure_line_is_wrong(
    sheets: Mapping[str, Sheet], capsys: pytest.CaptureFixture[str]
) -> None:
    total = Score()
    for file, sheet in sheets.items():
        types = {column.address: field_type(column, words.meaning(column.header).kinds) for column in columns_of(sheet)}
        made: list[Field] = []
        answers: dict[str, str] = {}
        for address, name in RENAMED[file].items():
            type_, options = types[address]
            enums = dict(enumerate(options, start=100 * len(made) + 5000))
            made.append(Field(1000 + len(made), name, type_ or "text", enums=enums))
            answers[address] = str(made[-1].id)
        others = [Field(901, "Comment of the sales team", "textarea"), Field(902, "Rating", "numeric")]
        answers |= {name: NAME for name in [NAMES[file]] if name and _holds(sheet, name)}
        total += scored(file, propose(sheet, schema_of([*made, *others]), pd.DataFrame()), answers)
    _say(capsys, "in another language", total)
    assert total.wrong == ()
    assert total.right >= 0.8 * total.lines


@needs_sheets
def test_against_a_catalog_with_mute_names_that_holds_half_of_the_products_no_sure_line_is_wrong(
    sheets: Mapping[str, Sheet], capsys: pytest.CaptureFixture[str]
) -> None:
    total = Score()
    for file, sheet in sheets.items():
        part = shortened(sheet, FEW_ROWS)
        made: list[Field] = []
        held: dict[str, pd.Series] = {}
        telling: list[str] = []  # one value in all rows tells nothing: not asked for
        answers: dict[str, str] = {}
        for column in columns_of(part):
            type_, options = field_type(column, words.meaning(column.header).kinds)
            if not type_:
                continue
            enums = dict(enumerate(options, start=100 * column.position + 5000))
            field = None
            if column.address != NAMES[file]:
                field = Field(1000 + column.position, f"Field {len(made) + 1}", type_, enums=enums)
                made.append(field)
            key = Column("", field).key
            decimal = column.read_as(field).settings.get("decimal", "")
            values, _ = fields.parse_column(column.cells, Column("", field, decimal=decimal, timezone="Europe/Riga"))
            held[key] = values.iloc[::2].reset_index(drop=True)
            answers[column.address] = key
            telling += [column.address] if len(column.texts) > 1 else []
        found = scored(file, propose(part, schema_of(made), pd.DataFrame(held)), answers)
        total += dataclasses.replace(found, lines=len(telling))
    _say(capsys, "by values alone", total)
    assert total.wrong == ()
    assert total.right >= 0.5 * total.lines


def _holds(sheet: Sheet, name: str) -> bool:
    return any(column.address == name and column.filled for column in columns_of(sheet))


def _say(capsys: pytest.CaptureFixture[str], what: str, total: Score) -> None:
    with capsys.disabled():
        share = total.right / total.lines
        told = f"{total.right} of {total.lines} lines right ({share:.0%}), {len(total.wrong)} wrong above the mark"
        print(f"\n{what}: {told}")  # noqa: T201 - the share is what these tests are for
