"""What headers mean, and how two of them compare."""

from __future__ import annotations

import pytest

from catalogsync.proposing.words import Meaning, likeness, meaning, plain_words, sound


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Précio  Única", ("precio", "unica")),
        ("discountPrice", ("discount", "price")),
        ("Код_товара:", ("код", "товара")),
        ("Łódź №3", ("lodz", "no", "3")),
        ("Option1 Value", ("option", "1", "value")),
        ("Ё/й", ("е", "й")),
        ("", ()),
    ],
)
def test_a_text_becomes_words_without_case_accents_and_signs(text: str, plain: tuple[str, ...]) -> None:
    assert plain_words(text) == plain


@pytest.mark.parametrize(
    "spellings",
    [("Цена", "Tsena", "cena", "TSENA"), ("Количество", "Kolichestvo"), ("Штрих-код", "Shtrikh-kod", "Shtrihkod")],
)
def test_transliterations_sound_alike(spellings: tuple[str, ...]) -> None:
    assert len({sound(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("name", "Name|Title|Наименование товара|Назва|Nazwa|Nome|Nombre|Désignation|Bezeichnung|nom.|Naimenovanie"),
        ("code", "SKU|Артикул|арт.|Код товара|Vendor code|CÓDIGO|Kod|Référence|Artikelnummer|Codice|MPN"),
        ("barcode", "EAN-13|Штрих-код:|GTIN|Código de barras|Kod kreskowy|Strichcode|Codice a barre|ШК"),
        ("price", "Price|Цена, руб.|Ціна|Cena|Preço|PRECIO LISTA|Prezzo|Prix|Preis|€ без ПДВ|Стоимость"),
        ("stock", "Qty|Кол-во|Остаток|Наявність|Ilość|Estoque|Cantidad|Giacenza|Quantité|Bestand|Kol-vo"),
        ("unit", "Unit|Ед. изм.|Од. виміру|Jednostka|Unidade|Unidad de medida|Unité|Einheit"),
        ("category", "Category|Группа товаров|Категорія|Kategoria|FAMILIA|Categoría|Famille|Warengruppe"),
        ("brand", "Brand|Производитель|Виробник|Producent|Fabricante|Marca|Marque|Hersteller"),
        ("supplier", "Supplier|Поставщик|Постачальник|Dostawca|Fornecedor|Proveedor|Fornitore|Lieferant"),
        ("description", "Description|Описание|Опис|Descrição|DESCRIPCIÓN|Descrizione|Beschreibung"),
        ("weight", "Weight (kg)|Вес, кг|Вага|Waga|Peso|Poids|Gewicht"),
        ("image", "image_link|Фото|Зображення|Zdjęcie|Imagem|Immagine|Bild"),
        ("active", "Published|Активность|В наявності|Aktywny|Ativo|Actif|Sichtbar"),
        ("updated", "updated_at|Дата изменения|Data modyfikacji|Fecha de modificación|Geändert am"),
        ("created", "Created at|Дата создания|Data utworzenia|Data de criação|Erstellt am"),
        ("currency", "Currency|Валюта|Waluta|Moneda|Devise|Währung"),
    ],
)
def test_a_kind_is_known_in_many_languages(kind: str, headers: str) -> None:
    assert {header: meaning(header).kind for header in headers.split("|")} == dict.fromkeys(headers.split("|"), kind)


def test_marks_units_and_unknown_words_are_told_apart() -> None:
    assert meaning("Цена оптовая с НДС, руб") == Meaning(
        kinds=frozenset({"price"}), marks=frozenset({"wholesale", "withtax"}), units=frozenset({"RUB"})
    )
    assert meaning("Название масла") == Meaning(kinds=frozenset({"name"}), others=frozenset({"масла"}))
    assert meaning("Роз-ница") == Meaning(kinds=frozenset({"price"}), marks=frozenset({"retail"}))
    assert meaning("Артикул").is_sku
    assert not meaning("Код").is_sku


@pytest.mark.parametrize(
    ("header", "name", "score"),
    [
        ("Price", "Price", 1.0),
        ("PRICE:", "Price", 0.97),
        ("Tsvet upakovki", "Цвет упаковки", 0.9),
        ("Цена", "Price", 0.85),
        ("Код", "Vendor code", 0.73),
        ("Price 2022", "Price", 0.7),
        ("Sale price", "Price", 0.6),
        ("Sale price", "Wholesale price", 0.25),
        ("Weight (kg)", "Вес, г", 0.55),
        ("Price", "Stock", 0.0),
        ("supplier_id", "Supplier", 0.0),
        ("", "Price", 0.0),
    ],
)
def test_likeness_falls_with_what_only_one_of_them_says(header: str, name: str, score: float) -> None:
    assert likeness(header, name)[0] == pytest.approx(score)


def test_numbers_in_names_are_never_taken_for_typing_errors() -> None:
    assert likeness("Склад резервный 1", "Склад резервный 2")[0] < 0.6
    assert 0.5 < likeness("Thickness of wale", "Thickness of wall")[0] <= 0.7
