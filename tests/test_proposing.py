"""A mapping proposed from literal sheets: what is sure, what is not and why, the key, settings, fields that lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from catalogsync.mapping import resolve
from catalogsync.mappingfile import load_mapping
from catalogsync.model import Field, NewField, Schema
from catalogsync.proposing.evidence import columns_of, is_barcode
from catalogsync.proposing.mappingtext import mapping_text, scalar
from catalogsync.proposing.matching import MARK
from catalogsync.proposing.newfields import field_type
from catalogsync.proposing.proposal import Line, Proposal, propose
from catalogsync.reader.sheet import tidy_header
from tests.builders import schema, sheet

NOTHING = pd.DataFrame()


def catalog(*fields: Field) -> Schema:
    return schema(fields=fields)


def of_rows(headers: str, *rows: str) -> Any:
    return sheet(headers.split("|"), *(row.split("|") for row in rows))


def line(proposal: Proposal, address: str) -> Line:
    [found] = [line for line in proposal.lines if line.address == address]
    return found


def sure(proposal: Proposal) -> dict[str, str]:
    return {line.address: line.target.written for line in proposal.sure if line.target}


def elements(**columns: list[str]) -> pd.DataFrame:
    """Canonical text by column key; ``f1`` is the field 1."""
    return pd.DataFrame({key.removeprefix("f"): pd.Series(texts, dtype="str") for key, texts in columns.items()})


GOODS = ("A-1|Oak board|10", "A-2|Pine board|12", "A-3|Birch board|15", "A-4|Elm board|15")
CODE, PRICE, OLD = Field(1, "Артикул", "text"), Field(2, "Цена", "numeric"), Field(3, "Старая цена", "numeric")


def test_headers_of_another_language_find_their_fields_and_the_code_is_the_key() -> None:
    made = propose(of_rows("SKU|Name|Price", *GOODS), catalog(CODE, PRICE, OLD), NOTHING)
    assert sure(made) == {"SKU": "Артикул", "Name": "name", "Price": "Цена"}
    assert made.key == "SKU"
    assert line(made, "Price").reason == "both mean “price”; all cells read as numeric"
    assert line(made, "Price").samples == ("10", "12")


def test_two_columns_that_fit_one_field_alike_are_both_unsure_and_say_so() -> None:
    rows = ["10|Oak board|11", "12|Pine board|13", "15|Birch board|16"]
    made = propose(of_rows("Price 1|Name|Price 2", *rows), catalog(PRICE), NOTHING)
    assert sure(made) == {"Name": "name"}
    assert "but “Price 2” would do as well" in line(made, "Price 1").reason
    assert line(made, "Price 1").score < MARK


def test_one_column_that_fits_two_fields_alike_is_unsure() -> None:
    fields = (Field(2, "Price A", "numeric"), Field(3, "Price B", "numeric"))
    made = propose(of_rows("SKU|Name|Price", *GOODS), catalog(CODE, *fields), NOTHING)
    assert "Price" not in sure(made)
    assert "would do as well" in line(made, "Price").reason


def test_values_decide_between_fields_that_the_header_fits_alike() -> None:
    fields = (CODE, Field(2, "Price A", "numeric"), Field(3, "Price B", "numeric"))
    held = elements(
        name=["Oak", "Pine", "Birch", "Elm", "Ash", "Fir"],
        f1=["A-1", "A-2", "A-3", "A-4", "A-5", "A-6"],
        f2=["1", "2", "3", "4", "5", "6"],
        f3=["10", "12", "15", "16", "17", "18"],
    )
    rows = [f"A-{n}|Board {n}|{price}" for n, price in enumerate(("10", "12", "15", "16", "17", "18"), 1)]
    made = propose(of_rows("SKU|Name|Price", *rows), catalog(*fields), held)
    assert sure(made)["Price"] == "Price B"
    assert "agrees with the catalog in 6 products" in line(made, "Price").reason


def test_a_header_that_says_nothing_is_found_by_the_values_the_catalog_holds() -> None:
    held = elements(name=["Oak", "Pine", "Birch", "Elm"], f1=["A-1", "A-2", "A-3", "A-4"])
    rows = of_rows("||", "A-1|x|Oak", "A-2|x|Pine", "A-3|x|Birch", "A-4|x|Elm")
    made = propose(rows, catalog(CODE), held)
    assert sure(made) == {"column A": "Артикул", "column C": "name"}
    assert made.key == "column A"


def test_a_header_that_fits_is_doubted_where_no_product_agrees() -> None:
    count = 12
    held = elements(
        name=[f"Board {n}" for n in range(count)],
        f1=[f"A-{n}" for n in range(count)],
        f4=[f"Oak{n}" for n in range(count)],
    )
    rows = [f"A-{n}|Board {n}|Maker {n}" for n in range(count)]
    made = propose(of_rows("SKU|Name|Hersteller", *rows), catalog(CODE, Field(4, "Brand", "text")), held)
    assert "Hersteller" not in sure(made)
    assert "agrees with the catalog in none of 12 products" in line(made, "Hersteller").reason


def test_cells_that_do_not_read_as_the_field_s_type_take_the_line_below_the_mark() -> None:
    rows = [f"A-{n}|Board {n}|{'cheap' if n % 2 else n}" for n in range(10)]
    made = propose(of_rows("SKU|Name|Price", *rows), catalog(CODE, PRICE), NOTHING)
    assert "Price" not in sure(made)
    assert "60% of the cells" in line(made, "Price").reason or "50% of the cells" in line(made, "Price").reason


def test_a_type_that_is_only_carried_as_text_is_never_sure() -> None:
    made = propose(of_rows("SKU|Name|Scan", *GOODS), catalog(CODE, Field(9, "Scan", "file")), NOTHING)
    assert "Scan" not in sure(made)
    assert "only carried as text" in line(made, "Scan").reason


@pytest.mark.parametrize(
    ("cells", "settings", "asks"),
    [
        (["1 200,50", "3,25", "7,1"], {"decimal": ","}, ""),
        (["1,200.50", "3.25", "7.1"], {"decimal": "."}, ""),
        (["1200.50", "3", "7"], {}, ""),
        (["1,388", "2,500", "7,100"], {}, "is the comma a decimal sign?"),
        (["12.00 USD", "3 USD", "7"], {"currency": "USD"}, ""),
        (["12 USD", "3 EUR", "7"], {}, "several currencies"),
        (["12", "по запиту", "7"], {"empty": ["по запиту"]}, ""),
        (["12", "Call", "call", "7"], {"empty": ["Call"]}, ""),
    ],
)
def test_settings_of_a_price_are_found_from_its_cells(cells: list[str], settings: Any, asks: str) -> None:
    rows = [f"A-{n}|Board {n}|{cell}" for n, cell in enumerate(cells)]
    found = line(propose(of_rows("SKU|Name|Цена", *rows), catalog(CODE, PRICE), NOTHING), "Цена")
    assert (found.is_sure, found.settings) == (True, settings)
    assert asks in " ".join(found.asks)
    assert bool(asks) == bool(found.asks)


@pytest.mark.parametrize(
    ("cells", "settings", "asks"),
    [
        (["2026-03-31", "31.03.2026"], {}, ""),
        (["31/03/2026", "01/04/2026"], {"format": ["%d/%m/%Y"]}, ""),
        (["03/31/2026", "04/01/2026"], {"format": ["%m/%d/%Y"]}, ""),
        (["03/04/2026", "01/04/2026"], {}, "which is it?"),
    ],
)
def test_a_date_s_format_is_found_or_asked_for(cells: list[str], settings: Any, asks: str) -> None:
    rows = [f"A-{n}|Board {n}|{cell}" for n, cell in enumerate(cells)]
    fields = (CODE, Field(4, "Expires", "date"))
    found = line(propose(of_rows("SKU|Name|Expires", *rows), catalog(*fields), NOTHING), "Expires")
    assert (found.is_sure, found.settings) == (True, settings)
    assert bool(found.asks) == bool(asks)
    assert asks in " ".join(found.asks)


def test_options_are_split_by_the_sign_that_makes_labels_of_them() -> None:
    fields = (CODE, Field(4, "Sizes", "multiselect", enums={41: "S", 42: "M", 43: "L &amp; XL"}))
    made = propose(
        of_rows("SKU|Name|Sizes", "1|Oak one|S, M", "2|Oak two|M", "3|Oak three|L & XL, S"), catalog(*fields), NOTHING
    )
    assert line(made, "Sizes").settings == {"split": ","}


def test_what_the_catalog_calls_a_label_is_learned_from_products_that_both_sides_have() -> None:
    fields = (CODE, Field(4, "Colour", "select", enums={41: "Deep red", 42: "Navy", 43: "Red wine", 44: "Oak GmbH"}))
    names = [f"Board {n}" for n in range(4)]
    held = elements(name=names, f1=[f"A-{n}" for n in range(4)], f4=["41", "41", "42", "41"])
    rows = [*(f"A-{n}|Board {n}|{label}" for n, label in enumerate(("rot", "rot", "blau", "mix"))), "A-9|Board|Oak"]
    found = line(propose(of_rows("SKU|Name|Colour", *rows), catalog(*fields), held), "Colour")
    assert found.settings == {"enums": {"Oak": "Oak GmbH", "rot": "Deep red"}}  # one product alone teaches nothing
    assert "not read as select" in " ".join(found.asks)


def test_a_label_that_only_resembles_a_caption_is_a_question() -> None:
    fields = (CODE, Field(4, "Colour", "select", enums={41: "Dark red", 42: "Blue"}))
    rows = ["A-1|Board a|Red", "A-2|Board b|Blue", "A-3|Board c|Blue"]
    found = line(propose(of_rows("SKU|Name|Colour", *rows), catalog(*fields), NOTHING), "Colour")
    assert "enums" not in found.settings
    assert "or with `enums: {Red: Dark red}`?" in found.asks


def test_a_word_for_nothing_is_a_value_where_the_catalog_holds_it() -> None:
    fields = (CODE, Field(4, "Grade", "text"))
    rows = of_rows("SKU|Name|Grade", "1|Oak one|None", "2|Oak two|None", "3|Oak three|A")
    assert line(propose(rows, catalog(*fields), NOTHING), "Grade").settings == {"empty": ["None"]}
    held = elements(name=["x"], f1=["9"], f4=["None"])
    assert line(propose(rows, catalog(*fields), held), "Grade").settings == {}


def test_the_key_prefers_what_the_catalog_knows_and_names_the_alternatives() -> None:
    fields = (CODE, Field(5, "EAN", "text"))
    rows = [f"A-{n}|Board {n}|{4006381333900 + n}" for n in range(6)]
    held = elements(name=["a", "b", "c"], f1=["", "", ""], f5=[str(4006381333900 + n) for n in range(3)])
    made = propose(of_rows("SKU|Name|EAN", *rows), catalog(*fields), held)
    assert made.key == "EAN"
    assert any("or: SKU, Name" in note for note in made.key_notes)
    assert propose(of_rows("SKU|Name|EAN", *rows), catalog(*fields), NOTHING).key == "SKU"


def test_a_better_key_without_a_field_is_told() -> None:
    made = propose(of_rows("SKU|Name|Price", *GOODS), catalog(PRICE), NOTHING)
    assert made.key == "Name"
    assert "SKU would identify products better, but has no sure line" in made.key_notes
    assert made.lacking == (NewField("SKU", "text"),)


def test_section_rows_are_left_out_by_the_price_that_they_lack() -> None:
    rows = [f"{n:04}|Pump {n}|{n}" if n % 5 else f"Series {n}|PG1|" for n in range(20)]
    made = propose(of_rows("SKU|Name|Price", *rows), catalog(CODE, PRICE), NOTHING)
    assert made.needs == ("Price",)
    rows = [f"{n:04}|Pump {n}|{n if n % 5 else ''}" for n in range(20)]
    made = propose(of_rows("SKU|Name|Price", *rows), catalog(CODE, PRICE), NOTHING)
    assert (made.needs, len(made.notes)) == ((), 1)


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("Price", ["1,5", "2", "3"], ("price", ())),
        ("Rest", ["1", "22", "3"], ("numeric", ())),
        ("Code", ["1", "22", "3"], ("text", ())),
        ("Anything", ["007", "22", "3"], ("text", ())),
        ("Anything", ["4006381333931", "4006381333948", "12"], ("text", ())),
        ("Active", ["1", "1", "1"], ("checkbox", ())),
        ("Anything", ["yes", "no", "yes"], ("checkbox", ())),
        ("Anything", ["31.03.2026", "2026-04-01"], ("date", ())),
        ("Anything", ["2026-03-31 14:05", "2026-04-01 08:00"], ("date_time", ())),
        ("Anything", ["https://a.example/1", "https://a.example/2"], ("url", ())),
        ("Anything", ["x" * 300, "y"], ("textarea", ())),
        ("Anything", ["one\ntwo", "y"], ("textarea", ())),
        ("Colour", ["red", "blue"] * 5, ("select", ("blue", "red"))),
        ("Colour", ["red", "blue"], ("text", ())),
        ("Anything", ["", ""], ("", ())),
    ],
)
def test_the_type_of_a_new_field_is_what_the_values_ask_for(header: str, cells: list[str], expected: Any) -> None:
    from catalogsync.proposing.words import meaning

    [column, _] = columns_of(sheet([header, "x"], *([cell, "x"] for cell in cells)))
    assert field_type(column, meaning(header).kinds) == expected


def test_barcodes_are_known_by_their_check_digit() -> None:
    assert [is_barcode(text) for text in ("4006381333931", "4006381333932", "96385074", "00000000", "12", "x")] == [
        *(True, False, True, False, False, False)
    ]


# --- the text ---

AWKWARD = [
    *(
        "Plain",
        "with: colon",
        "# hash",
        "- dash",
        "* star",
        "'quoted'",
        '"double"',
        "[list]",
        "{map}",
        "a, b",
        "no",
        "~",
    ),
    *(
        "trailing #",
        "100%",
        "Цена, руб.*",
        "tab\tin",
        "€ net",
        "&anchor",
        "!tag",
        "@at",
        "`tick",
        "? what",
        "| bar",
        ">",
    ),
    *("key: 'x' # y", "\\back", "a\u200bb", "😀 smile", "<<", "=", "null", "00123"),
]


@pytest.mark.parametrize("text", AWKWARD)
def test_every_text_is_read_back_as_it_was_written(tmp_path: Path, text: str) -> None:
    from catalogsync.yamlfile import read_yaml

    path = tmp_path / "x.yaml"
    path.write_text(f"{scalar(text)}: {{a: {scalar(text)}, b: [{scalar(text)}]}}\n", encoding="utf-8")
    assert read_yaml(path).tree == {text: {"a": text, "b": [text]}}


def test_awkward_headers_values_and_names_give_a_text_that_loads_and_resolves(tmp_path: Path) -> None:
    headers = [tidy_header(name) for name in AWKWARD] + ["Twice", "Twice", "", "x" * 300]
    fields = [Field(100 + n, name, "text") for n, name in enumerate(headers) if name and name != "Twice"]
    rows = [[f"{header} value {n}\nline two\x1b[31m" for header in headers] for n in range(4)]
    table, known = sheet(headers, *rows), schema(fields=fields)
    made = propose(table, known, NOTHING)
    text = mapping_text(made, "a\nfile.csv", sheet="Tab: 1", read={"header_row": "none"})
    path = tmp_path / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    mapping = resolve(load_mapping(path), known, table.headers)
    assert {column.position: column.key for column in mapping.columns} == {
        line.position: line.target.key for line in made.sure if line.target
    }
    assert len(mapping.columns) > 20
    assert "\x1b" not in text


def test_unsure_lines_are_commented_out_with_score_reason_and_samples() -> None:
    made = propose(
        of_rows("SKU|Name|Sale price", *GOODS), catalog(CODE, PRICE, Field(7, "List price", "numeric")), NOTHING
    )
    text = mapping_text(made, "goods.csv")
    [price] = [row for row in text.splitlines() if "Sale price" in row]
    assert price.startswith("  # Sale price: ")
    assert "0.60 both mean “price”, but sale differs" in price
    assert price.endswith('"10", "12"')
