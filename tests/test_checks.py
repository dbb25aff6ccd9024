"""What is most likely wrong though it can be read: told with its address; a lost zero rejects, the rest warns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from catalogsync import checks, tables
from catalogsync.elements import existing_table
from catalogsync.errors import Problem, Spot
from catalogsync.matching import Match
from catalogsync.model import Column, Mapping
from catalogsync.reader import ReadOptions, Sheet, read_sheet
from tests.builders import FIELDS, columns_mapping, elements, sheet
from tests.reader_files import SHEETS, needs_sheets

CODE = Column("Code", FIELDS[0], position=0)
NAME = Column("Product", None, position=1)
EAN = Column("EAN", FIELDS[12], position=2)
AMOUNT = Column("Amount", FIELDS[2], position=0)
BOTH = columns_mapping(CODE, NAME, EAN)
HEADERS = ("Code", "Product", "EAN")


def rows_of(*codes: str, tab: str | None = None) -> Sheet:
    return sheet(HEADERS, *((code, "Oak", "") for code in codes), tab=tab)


def similar(read: Sheet, mapping: Mapping = BOTH) -> list[Problem]:
    return list(checks.similar_keys(read, tables.desired_table(read, mapping), mapping))


# --- keys that look alike ---


def test_keys_that_look_alike_are_told_with_both_addresses() -> None:
    [problem] = similar(rows_of("AB-1", "x", "АВ-1", tab="Prices"))
    assert str(problem) == (
        'prices.xlsx!Prices!A4 (Code): the key "АВ-1" differs from "AB-1" in prices.xlsx!Prices!A2 (Code) only by '
        "letters that look alike (Cyrillic А, Cyrillic В) (one product that was typed twice?)"
    )
    assert problem.spots == (Spot(4, 0), Spot(2, 0))


def test_each_further_key_is_compared_with_the_first_of_its_look() -> None:
    assert [problem.spots for problem in similar(rows_of("ab", "AB", "Ab"))] == [
        (Spot(3, 0), Spot(2, 0)),
        (Spot(4, 0), Spot(2, 0)),
    ]


def test_rows_that_are_rejected_for_something_else_are_compared_too() -> None:
    price = Column("Price", FIELDS[1], position=1)
    read = sheet(("Code", "Price"), ("ab", "1x"), ("AB", "2"))
    assert len(similar(read, columns_mapping(CODE, price))) == 1


@pytest.mark.parametrize(
    "codes",
    [
        ("AB1", "AB1"),  # the same key: a duplicate, told as one
        ("123", "1234", "12345"),  # of mixed length, and nothing is cut
        ("00123", "123"),
        ("0102.1", "102", "01916.8"),
    ],
)
def test_codes_of_their_own_are_not_told(codes: Sequence[str]) -> None:
    assert similar(rows_of(*codes)) == []


def test_keys_of_numbers_are_compared_as_numbers_and_never_look_alike() -> None:
    assert similar(rows_of("1 000", "1000.0", "80"), columns_mapping(AMOUNT)) == []


def test_the_cell_of_an_alternative_key_is_named() -> None:
    mapping = columns_mapping(CODE, NAME, EAN)
    both = Mapping("products", 4220, mapping.columns, ((CODE,), (EAN,)))
    read = sheet(HEADERS, ("", "Oak", "ab"), ("", "Ash", "AB"))
    assert [problem.spots for problem in similar(read, both)] == [(Spot(3, 2), Spot(2, 2))]


KEYS = {
    "catdist_produtos_virgula.csv": ("id", None),
    "datalogic_products.xlsx": ("Код товара:", None),
    "farmacia_lista_precios.xlsx": ("CÓDIGO", None),
    "doors_nbsp_price.xlsx": ("sku", None),
    "magento2_configurable_head.csv": ("sku", None),
    "woo_classic_sample_products.csv": ("SKU", None),
    "lab_tests_semicolon_head.csv": ("sku", None),
    "ozon_stock_template.xlsx": ("Артикул", "Остатки на складе"),
    "super_lista_11k.xlsx": ("SKU", "Precios"),
    "wilo_pumps_sections.xlsx": ("Артикул", "price_list"),
    "prom_ua_export_duphdr.xlsx": ("Уникальный_идентификатор", "Export Products Sheet"),
}


@needs_sheets
@pytest.mark.parametrize("name", KEYS)
def test_codes_of_real_sheets_raise_no_alarm(name: str) -> None:
    header, tab = KEYS[name]
    read = read_sheet(SHEETS / name, ReadOptions(tab=tab), expect=[header])
    key = Column(header, FIELDS[0], position=read.headers.index(header))
    columns = [Column(text, FIELDS[11], position=place) for place, text in enumerate(read.headers)]
    assert similar(read, columns_mapping(key)) == []
    assert list(checks.garbled_texts(read, columns)) == []


@needs_sheets
def test_a_latin_c_among_cyrillic_ones_is_found_in_a_real_sheet() -> None:
    read = read_sheet(SHEETS / "wilo_pumps_sections.xlsx", ReadOptions(tab="price_list"))
    column = Column("Номенклатура", FIELDS[0], position=read.headers.index("Номенклатура"))
    found = [problem for problem in similar(read, columns_mapping(column)) if "Storz" in problem.what]
    assert {problem.what.partition(" only by ")[2] for problem in found} == {"letters that look alike (Cyrillic С)"}


# --- against the catalog ---


def lost(read: Sheet, held: Sequence[str], mapping: Mapping = BOTH) -> tuple[list[str], list[str], list[str]]:
    """The keys that are left, the problems and the keys that are meant, with elements of some codes."""
    desired = tables.desired_table(read, mapping)
    existing = existing_table(
        elements(["1", "name", "13"], *((code, "Oak", "") for code in held)), mapping, desired.seen
    )
    left, problems, meant = checks.without_lost_zeros(
        read, Match.of(desired.table, existing.table), existing.shared, mapping, desired.seen
    )
    return left.desired.index.tolist(), [str(problem) for problem in problems], meant.tolist()


def test_a_key_that_lost_its_zeros_is_rejected_since_the_product_would_be_added_twice() -> None:
    assert lost(rows_of("123", "00456", "new"), ["00123", "00456"]) == (
        ["00456", "new"],
        [
            'prices.csv:2 (Code): no element has the key "123", but element 101 has "00123": zeros in front were lost '
            "(format the column as text, or take it from the source again; the product would be added twice)"
        ],
        ["00123"],
    )


def test_several_elements_may_be_meant_and_all_are_named() -> None:
    left, [told], meant = lost(rows_of("123"), ["0123", "00123"])
    assert left == []
    assert 'element 101 has "0123" and element 102 has "00123"' in told
    assert meant == ["0123", "00123"]


@pytest.mark.parametrize(
    ("codes", "held"),
    [
        (["123"], ["123", "00123"]),  # an element has it as it is
        (["123", "00123"], ["00123"]),  # the sheet tells one from the other
        (["00123"], ["123"]),  # more zeros, not fewer
        (["00123"], ["0123"]),
        (["A123"], ["00A123"]),  # no number in front
        (["123"], ["1230"]),
    ],
)
def test_a_key_with_an_element_or_a_row_of_its_own_lost_nothing(codes: list[str], held: list[str]) -> None:
    assert lost(rows_of(*codes), held) == (codes, [], [])


def test_zeros_are_lost_within_composite_keys_too() -> None:
    mapping = Mapping("products", 4220, BOTH.columns, ((CODE, EAN),))
    read = sheet(HEADERS, ("A", "Oak", "7"))
    desired = tables.desired_table(read, mapping)
    existing = existing_table(elements(["1", "name", "13"], ("A", "Oak", "007")), mapping, desired.seen)
    left, [problem], _ = checks.without_lost_zeros(
        read, Match.of(desired.table, existing.table), existing.shared, mapping, desired.seen
    )
    assert len(left.desired) == 0
    assert 'the key "A + 7", but element 101 has "A + 007"' in problem.what


def near(read: Sheet, held: Sequence[str]) -> list[str]:
    desired = tables.desired_table(read, BOTH)
    existing = existing_table(elements(["1", "name", "13"], *((code, "Oak", "") for code in held)), BOTH, desired.seen)
    match = Match.of(desired.table, existing.table)
    return [problem.what for problem in checks.similar_elements(read, match, existing.shared, BOTH, desired.seen)]


def test_a_new_product_whose_key_is_nearly_that_of_an_element_is_worth_a_look() -> None:
    assert near(rows_of("ab-1", "00123", "new", "kept"), ["AB-1", "123", "kept"]) == [
        'the key "ab-1" is new; that of element 101, "AB-1", differs only by upper and lower case',
        'the key "00123" is new; that of element 102, "123", differs only by zeros in front',
    ]


def test_an_element_that_has_a_row_of_its_own_is_not_taken_for_another_product() -> None:
    assert near(rows_of("ab-1", "AB-1"), ["AB-1"]) == []


def test_a_text_that_lost_its_zeros_is_worth_a_look_and_is_sent() -> None:
    read = sheet(
        HEADERS, ("1", "Oak", "123"), ("2", "Ash", "00124"), ("3", "Elm", "9"), ("4", "New", "5"), ("6", "Fir", "007")
    )
    desired = tables.desired_table(read, BOTH)
    held = elements(
        ["1", "name", "13"],
        ("1", "Oak", "00123"),
        ("2", "Ash", "124"),
        ("3", "Elm", "0"),
        ("5", "Yew", ""),
        ("6", "Fir", "07"),
    )
    existing = existing_table(held, BOTH, desired.seen)
    match = Match.of(desired.table, existing.table)
    found = list(checks.lost_zeros(read, match, BOTH))
    assert [(str(problem), problem.spots) for problem in found] == [
        (
            'prices.csv:2 (EAN): "123" is "00123" in the catalog: zeros in front were lost (format the column as text, '
            "or take it from the source)",
            (Spot(2, 2),),
        )
    ]

    never_sent = columns_mapping(CODE, NAME, replace(EAN, owner="crm"))
    assert list(checks.lost_zeros(read, match, never_sent)) == []


# --- garbled text ---


def test_garbled_text_is_told_in_text_columns_with_what_it_may_have_been() -> None:
    read = sheet(HEADERS, ("1", "CafÃ© noir", "x"), ("2", "Caf\ufffd", "x"), ("3", "Café", "x"))
    assert [str(problem) for problem in checks.garbled_texts(read, BOTH.columns)] == [
        'prices.csv:2 (Product): "CafÃ© noir" was read in a wrong encoding (it may be "Café noir"; save the sheet '
        "again as UTF-8, from the source)",
        'prices.csv:3 (Product): "Caf\ufffd" lost a letter before (�) (take the text from the source again)',
    ]


def test_columns_that_are_never_sent_and_those_of_other_types_are_not_looked_at() -> None:
    crm = Column("Product", None, position=1, owner="crm")
    colour = Column("EAN", FIELDS[4], position=2)
    read = sheet(HEADERS, ("1", "CafÃ©", "CafÃ©"))
    assert list(checks.garbled_texts(read, (CODE, crm, colour))) == []
