"""Tables: rows become products or problems with an address; elements become the table they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from catalogsync import model, tables
from catalogsync.elements import Existing, columns_of, existing_table, wanted_columns
from catalogsync.errors import Problem, SheetError
from catalogsync.keys import key_text
from catalogsync.matching import Match
from catalogsync.model import Column, Field, Mapping
from catalogsync.reader import CellProblem, Sheet
from catalogsync.tables import Desired, desired_table
from tests.builders import FIELDS, columns_mapping, elements, keys, schema, sheet

HEADERS = ("Code", "Product", "Price", "Note", "EAN")
CODE = Column("Code", FIELDS[0], position=0)
NAME = Column("Product", None, position=1)
PRICE = Column("Price", FIELDS[1], position=2, decimal=".")
NOTE = Column("Note", FIELDS[11], position=3)
EAN = Column("EAN", FIELDS[12], position=4)


def only(mapping: Mapping, read: Sheet) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The good rows by key, and the rejections as text."""
    made = desired_table(read, mapping)
    return _rows(made.table), [str(problem) for problem in made.rejected]


def _rows(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {str(key): {str(name): table[name].iat[n] for name in table} for n, key in enumerate(table.index)}


def _counts(made: Desired) -> tuple[int, int, int]:
    return made.sheet_rows, made.rejected_rows, made.unreadable_rows


# --- the desired table ---------------------------------------------------------------------------------------


def test_good_rows_become_canonical_text_by_key() -> None:
    read = sheet(HEADERS, ("007", " Oak ", "1,388.50", "", "x"), ("8", "Ash", "", "a\r\nb", ""))
    made = desired_table(read, columns_mapping(CODE, NAME, PRICE, NOTE))
    assert _rows(made.table) == {
        "007": {"1": "007", "name": "Oak", "2": "1388.5", "12": "", "row": 2},
        "8": {"1": "8", "name": "Ash", "2": "", "12": "a\nb", "row": 3},
    }
    assert (made.rejected, made.warnings, list(made.seen), _counts(made)) == ((), (), ["007", "8"], (2, 0, 0))
    assert not made.table.isna().to_numpy().any()


def test_an_empty_sheet_gives_an_empty_table() -> None:
    made = desired_table(sheet(HEADERS), columns_mapping(CODE, NAME, PRICE))
    assert (len(made.table), list(made.table.columns), list(made.seen), _counts(made)) == (
        0,
        ["1", "name", "2", "row"],
        [],
        (0, 0, 0),
    )


def test_a_row_with_a_bad_cell_is_rejected_with_its_address_and_its_key_is_still_seen() -> None:
    made = desired_table(
        sheet(HEADERS, ("7", "Oak", "1x", "", ""), ("8", "Ash", "5", "", "")), columns_mapping(CODE, PRICE)
    )
    assert made.rejected == (Problem("prices.csv:2 (Price)", '"1x" is not a number'),)
    assert (list(made.table.index), list(made.seen), _counts(made)) == (["8"], ["7", "8"], (2, 1, 0))


def test_a_workbook_row_is_addressed_by_tab_and_cell() -> None:
    read = sheet(HEADERS, ("7", "Oak", "1x", "", ""), tab="Prices", first_row=17)
    _, told = only(columns_mapping(CODE, PRICE), read)
    assert told == ['prices.xlsx!Prices!C17 (Price): "1x" is not a number']


def test_every_bad_cell_of_a_row_is_told() -> None:
    price = Column("Price", FIELDS[1], position=2)
    note = Column("Note", FIELDS[11], position=3, blank="error")
    _, told = only(columns_mapping(CODE, price, note), sheet(HEADERS, ("7", "Oak", "1x", "", "")))
    assert told == [
        'prices.csv:2 (Price): "1x" is not a number',
        "prices.csv:2 (Note): is empty (`blank: error` refuses that)",
    ]


def test_a_blank_cell_is_an_error_where_the_mapping_says_so() -> None:
    strict = Column("Price", FIELDS[1], position=2, blank="error")
    read = sheet(HEADERS, ("7", "Oak", "5", "", ""), ("8", "Ash", "  ", "", ""), ("9", "Elm", "1x", "", ""))
    rows, told = only(columns_mapping(CODE, strict), read)
    assert list(rows) == ["7"]
    assert told == [
        'prices.csv:4 (Price): "1x" is not a number',
        "prices.csv:3 (Price): is empty (`blank: error` refuses that)",
    ]


@pytest.mark.parametrize(("blank", "canonical"), [("keep", ""), ("clear", "0")])
def test_a_blank_checkbox_is_no_only_where_blanks_clear(blank: model.Blank, canonical: str) -> None:
    active = Column("Active", FIELDS[3], position=1, blank=blank)
    rows, _ = only(columns_mapping(CODE, active), sheet(("Code", "Active"), ("7", ""), ("8", "yes")))
    assert {key: row["4"] for key, row in rows.items()} == {"7": canonical, "8": "1"}


# --- keys ----------------------------------------------------------------------------------------------------


def test_a_row_without_key_is_rejected_and_then_nothing_is_missing() -> None:
    made = desired_table(
        sheet(HEADERS, ("  ", "Oak", "5", "", ""), ("8", "Ash", "5", "", "")), columns_mapping(CODE, PRICE)
    )
    assert made.rejected == (Problem("prices.csv:2 (Code)", "the key is empty", "a product is identified by Code"),)
    assert (list(made.table.index), list(made.seen), _counts(made)) == (["8"], ["8"], (2, 1, 1))


def test_a_key_that_cannot_be_read_is_unreadable_not_empty() -> None:
    number = Column("Code", FIELDS[2], position=0)
    made = desired_table(sheet(HEADERS, ("1x", "Oak", "5", "", "")), columns_mapping(number, NAME))
    assert [str(problem) for problem in made.rejected] == ['prices.csv:2 (Code): "1x" is not a number']
    assert (len(made.table), list(made.seen), _counts(made)) == (0, [], (1, 1, 1))


def _alternatives(*entries: tuple[Column, ...], columns: Sequence[Column]) -> Mapping:
    return Mapping("products", 4220, tuple(columns), entries)


def test_the_first_filled_alternative_is_the_key() -> None:
    mapping = _alternatives((CODE,), (EAN,), columns=[CODE, EAN])
    made = desired_table(sheet(HEADERS, ("7", "", "", "", "40"), ("", "", "", "", "41"), ("", "", "", "", "")), mapping)
    assert list(made.table.index) == ["7", "\x1f41"]
    assert [key_text(key) for key in made.table.index] == ["7", "41"]
    assert [str(problem) for problem in made.rejected] == [
        "prices.csv:4 (Code): the key is empty (a product is identified by Code or EAN)"
    ]


def test_rows_that_mean_one_product_by_different_alternatives_are_rejected_with_both_addresses() -> None:
    mapping = _alternatives((CODE,), (EAN,), columns=[CODE, EAN])
    rows = [("1", "", "", "", "4006"), ("", "", "", "", "4006"), ("2", "", "", "", "5"), ("3", "", "", "", "5")]
    made = desired_table(sheet(HEADERS, *rows), mapping)
    assert list(made.table.index) == ["2", "3"]
    what = "another row means the same product by another key"
    assert [(problem.where, problem.what) for problem in made.rejected] == [
        ("prices.csv:2 (EAN)", what),
        ("prices.csv:3 (EAN)", what),
    ]
    assert (made.rejected_rows, made.unreadable_rows) == (2, 0)


def test_the_same_text_in_two_alternatives_is_not_the_same_key() -> None:
    mapping = _alternatives((CODE,), (EAN,), columns=[CODE, EAN])
    made = desired_table(sheet(HEADERS, ("7", "", "", "", ""), ("", "", "", "", "7")), mapping)
    assert (len(made.table), made.table.index.is_unique) == (2, True)


def test_a_composite_key_needs_all_its_parts() -> None:
    mapping = _alternatives((CODE, EAN), columns=[CODE, EAN])
    rows = [("7", "", "", "", "40"), ("7", "", "", "", "41"), ("7", "", "", "", "")]
    made = desired_table(sheet(HEADERS, *rows), mapping)
    assert [key_text(key) for key in made.table.index] == ["7 + 40", "7 + 41"]
    assert [problem.hint for problem in made.rejected] == ["a product is identified by Code + EAN"]


def test_composite_keys_do_not_run_together() -> None:
    mapping = _alternatives((CODE, EAN), columns=[CODE, EAN])
    made = desired_table(sheet(HEADERS, ("ab", "", "", "", "c"), ("a", "", "", "", "bc")), mapping)
    assert made.table.index.is_unique


def test_a_number_as_key_is_compared_by_its_worth() -> None:
    number = Column("Code", FIELDS[2], position=0)
    made = desired_table(sheet(HEADERS, ("7.0", "", "", "", ""), ("7", "", "", "", "")), columns_mapping(number))
    assert len(made.table) == 0
    assert made.rejected[0].what == 'the key "7" stands in 2 rows'


# --- the same key in several rows ----------------------------------------------------------------------------

REPEATED = (
    ("7", "Oak", "1", "", ""),
    ("8", "Ash", "2", "", ""),
    ("7", "Oak", "3", "", ""),
    ("9", "Elm", "4", "", ""),
    ("7", "Oak", "5", "", ""),
)


def test_rows_with_the_same_key_are_all_refused_with_all_addresses() -> None:
    made = desired_table(sheet(HEADERS, *REPEATED), columns_mapping(CODE, PRICE))
    assert made.rejected == (
        Problem(
            "prices.csv:2 (Code)",
            'the key "7" stands in 3 rows',
            "also prices.csv:4 (Code), prices.csv:6 (Code); none is taken; `duplicates: first` or `last` takes one",
        ),
    )
    assert (list(made.table.index), list(made.seen), _counts(made)) == (["8", "9"], ["7", "8", "9"], (5, 3, 0))


@pytest.mark.parametrize(("which", "price", "dropped"), [("first", "1", [4, 6]), ("last", "5", [2, 4])])
def test_one_of_the_rows_with_the_same_key_is_taken_on_request(
    which: model.Duplicates, price: str, dropped: list[int]
) -> None:
    made = desired_table(sheet(HEADERS, *REPEATED), columns_mapping(CODE, PRICE, duplicates=which))
    assert {key: row["2"] for key, row in _rows(made.table).items()} == {"8": "2", "9": "4", "7": price}
    assert made.rejected == ()
    told = "a row with this key is already taken"
    assert made.warnings == tuple(
        Problem(f"prices.csv:{row} (Code)", told, f"`duplicates: {which}`") for row in dropped
    )
    assert _counts(made) == (5, 0, 0)


def test_a_rejected_row_still_makes_its_key_a_repeated_one() -> None:
    read = sheet(HEADERS, ("7", "", "x", "", ""), ("7", "", "5", "", ""))
    rows, told = only(columns_mapping(CODE, PRICE), read)
    assert (rows, len(told)) == ({}, 2)


def test_rows_without_key_do_not_repeat_each_other() -> None:
    rows, told = only(columns_mapping(CODE), sheet(HEADERS, ("", "a", "", "", ""), ("", "b", "", "", "")))
    assert rows == {}
    assert [problem.split(": ")[1].split(" (")[0] for problem in told] == ["the key is empty", "the key is empty"]


# --- currencies, damaged codes -------------------------------------------------------------------------------


def test_several_currencies_in_one_column_refuse_the_sheet() -> None:
    read = sheet(
        HEADERS, ("7", "", "5", "", ""), ("8", "", "$5", "", ""), ("9", "", "5 €", "", ""), ("10", "", "6 €", "", "")
    )
    with pytest.raises(SheetError) as caught:
        desired_table(read, columns_mapping(CODE, PRICE))
    assert caught.value.message == "prices.csv: several currencies in one column; `currency:` says which counts"
    assert caught.value.problems == (
        Problem("prices.csv:4 (Price)", "the first in EUR"),
        Problem("prices.csv:3 (Price)", "the first in USD"),
    )


def test_one_currency_beside_bare_numbers_is_fine() -> None:
    rows, told = only(columns_mapping(CODE, PRICE), sheet(HEADERS, ("7", "", "5", "", ""), ("8", "", "$6", "", "")))
    assert ({key: row["2"] for key, row in rows.items()}, told) == ({"7": "5", "8": "6"}, [])


def test_where_the_mapping_names_the_currency_only_the_other_rows_are_rejected() -> None:
    price = Column("Price", FIELDS[1], position=2, currency="EUR")
    rows, told = only(columns_mapping(CODE, price), sheet(HEADERS, ("7", "", "$5", "", ""), ("8", "", "6 €", "", "")))
    assert list(rows) == ["8"]
    assert told == ['prices.csv:2 (Price): "$5" is not in EUR (the mapping\'s `currency:` says which counts)']


DAMAGED = '"8.80609E+12" looks like a code that Excel shortened'
AGAIN = "its last digits are lost; take it from the source again, as text"


def test_a_damaged_code_is_a_warning_in_a_text_column() -> None:
    made = desired_table(sheet(HEADERS, ("7", "", "", "8.80609E+12", "")), columns_mapping(CODE, NOTE))
    assert made.warnings == (Problem("prices.csv:2 (Note)", DAMAGED, AGAIN),)
    assert (list(made.table["12"]), made.rejected) == (["8.80609E+12"], ())


@pytest.mark.parametrize("type_", ["text", "a type of tomorrow"])
def test_a_damaged_code_as_key_is_unreadable(type_: str) -> None:
    code = Column("Code", Field(1, "Code", type_), position=0)
    made = desired_table(sheet(HEADERS, ("8.80609E+12", "", "", "", "")), columns_mapping(code))
    assert made.rejected == (Problem("prices.csv:2 (Code)", DAMAGED, AGAIN),)
    assert (len(made.table), list(made.seen), _counts(made)) == (0, [], (1, 1, 1))


# --- what the reader could not read --------------------------------------------------------------------------


def _broken(row: int, column: int | None, position: int | None) -> CellProblem:
    return CellProblem(row, column, position, "the cell holds the error #N/A", "mend the formula")


def test_an_error_cell_in_a_mapped_column_rejects_its_row() -> None:
    read = sheet(HEADERS, ("7", "", "#N/A", "", ""), ("8", "", "5", "", ""), problems=[_broken(2, 2, 0)])
    made = desired_table(read, columns_mapping(CODE, PRICE))
    assert made.rejected == (Problem("prices.csv:2 (Price)", "the cell holds the error #N/A", "mend the formula"),)
    assert (list(made.table.index), list(made.seen), _counts(made)) == (["8"], ["7", "8"], (2, 1, 0))


def test_an_error_cell_in_an_unmapped_column_does_not_matter() -> None:
    read = sheet(HEADERS, ("7", "", "5", "#N/A", ""), problems=[_broken(2, 3, 0)])
    made = desired_table(read, columns_mapping(CODE, PRICE))
    assert (made.rejected, list(made.table.index)) == ((), ["7"])


def test_an_error_cell_in_the_key_makes_the_key_unreadable() -> None:
    read = sheet(HEADERS, ("#N/A", "", "5", "", ""), problems=[_broken(2, 0, 0)])
    made = desired_table(read, columns_mapping(CODE, PRICE))
    assert len(made.rejected) == 1
    assert (list(made.seen), _counts(made)) == ([], (1, 1, 1))


def test_an_error_cell_of_a_column_mapped_twice_makes_the_key_unreadable() -> None:
    """`column A` and its header may fill two fields; one of them is the key."""
    again = Column("column A", FIELDS[11], position=0)
    read = sheet(HEADERS, ("#N/A", "", "5", "", ""), problems=[_broken(2, 0, 0)])
    made = desired_table(read, columns_mapping(CODE, again))
    assert (list(made.seen), made.unreadable_rows) == ([], 1)


def test_a_record_of_the_wrong_width_is_told_once_and_its_key_is_not_trusted() -> None:
    read = sheet(HEADERS, ("7", "", "x", "", ""), ("8", "", "5", "", ""), problems=[_broken(2, None, 0)])
    price = Column("Price", FIELDS[1], position=2, blank="error")
    made = desired_table(read, columns_mapping(CODE, price))
    assert [problem.where for problem in made.rejected] == ["prices.csv:2"]
    assert (list(made.table.index), list(made.seen), _counts(made)) == (["8"], ["8"], (2, 1, 1))


def test_a_record_that_did_not_become_a_row_counts_as_one_without_key() -> None:
    read = sheet(HEADERS, ("7", "", "5", "", ""), problems=[_broken(9, None, None)])
    made = desired_table(read, columns_mapping(CODE, PRICE))
    assert [problem.where for problem in made.rejected] == ["prices.csv:9"]
    assert (list(made.table.index), _counts(made)) == (["7"], (2, 1, 1))


def test_the_sheet_itself_is_not_changed() -> None:
    read = sheet(HEADERS, ("7", " Oak ", "#N/A", "", ""), problems=[_broken(2, 2, 0)])
    desired_table(read, columns_mapping(CODE, NAME, PRICE))
    assert read.cells.iloc[0].tolist() == ["7", " Oak ", "#N/A", "", ""]


# --- the existing table --------------------------------------------------------------------------------------


def _existing(mapping: Mapping, found: pd.DataFrame, *seen: str) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    made = existing_table(found, mapping, keys(*seen))
    return {str(key): int(id_) for key, id_ in made.table["id"].items()}, made.shared


def test_elements_are_known_by_their_key() -> None:
    found = elements(["1", "name"], ("A", "Oak"), ("B", "Ash"))
    made = existing_table(found, columns_mapping(CODE, NAME), keys())
    assert _rows(made.table) == {
        "A": {"1": "A", "name": "Oak", "id": 101, "updated_at": 1101},
        "B": {"1": "B", "name": "Ash", "id": 102, "updated_at": 1102},
    }
    assert (made.shared, made.element_count, made.max_id) == ({}, 2, 102)


def test_an_element_without_key_counts_but_is_not_in_the_table() -> None:
    made = existing_table(elements(["1"], ("A",), ("",), ("",)), columns_mapping(CODE), keys())
    assert (list(made.table.index), made.shared, made.element_count, made.max_id) == (["A"], {}, 3, 103)


def test_an_empty_catalog_gives_an_empty_table() -> None:
    made = existing_table(elements(["1"]), columns_mapping(CODE), keys("A"))
    assert (len(made.table), made.shared, made.element_count, made.max_id) == (0, {}, 0, 0)


def test_a_key_that_several_elements_hold_belongs_to_none() -> None:
    found = elements(["1"], ("A",), ("B",), ("A",))
    assert _existing(columns_mapping(CODE), found) == ({"B": 102}, {"A": (101, 103)})


BOTH = _alternatives((CODE,), (EAN,), columns=[CODE, EAN])


def test_an_element_is_known_by_the_alternative_that_the_sheet_uses() -> None:
    found = elements(["1", "13"], ("A", "40"), ("B", "41"), ("", "42"))
    assert _existing(BOTH, found, "\x1f40") == ({"\x1f40": 101, "B": 102, "\x1f42": 103}, {})


def test_an_element_that_two_rows_mean_belongs_to_neither() -> None:
    found = elements(["1", "13"], ("A", "40"), ("B", "41"))
    assert _existing(BOTH, found, "A", "\x1f40", "B") == ({"B": 102}, {"A": (101,), "\x1f40": (101,)})


def test_two_elements_that_one_row_means_through_an_alternative_are_shared() -> None:
    found = elements(["1", "13"], ("A", "40"), ("B", "40"))
    assert _existing(BOTH, found, "\x1f40") == ({}, {"\x1f40": (101, 102)})


def test_a_composite_key_matches_the_sheets() -> None:
    mapping = _alternatives((CODE, EAN), columns=[CODE, EAN])
    made = desired_table(sheet(HEADERS, ("A", "", "", "", "40")), mapping)
    found = elements(["1", "13"], ("A", "40"), ("A", ""))
    assert _existing(mapping, found, *made.seen) == ({made.table.index[0]: 101}, {})


# --- columns, and rows that cannot be taken ------------------------------------------------------------------


def test_all_subtypes_of_a_mapped_composite_field_are_wanted_each_once() -> None:
    city = Column("City", FIELDS[8], "city")
    wanted = wanted_columns((CODE, city))
    assert [column.key for column in wanted] == [
        "name",
        "1",
        "9.city",
        "9.address_line_1",
        "9.address_line_2",
        "9.state",
        "9.zip",
        "9.country",
        "9.*",
    ]
    assert wanted[2] == city


def test_column_keys_become_columns_and_unknown_ones_are_left_out() -> None:
    made = columns_of(["name", "2", "10.vat_id", "999", "999.city"], schema())
    assert [(column.key, column.type) for column in made] == [
        ("name", "text"),
        ("2", "price"),
        ("10.vat_id", "legal_entity"),
        ("10.name", "legal_entity"),
        ("10.entity_type", "legal_entity"),
        ("10.kpp", "legal_entity"),
        ("10.address", "legal_entity"),
        ("10.external_id", "legal_entity"),
        ("10.*", "legal_entity"),
    ]


def _address(row: int) -> str:
    return f"prices.csv:{row}"


def _desired(mapping: Mapping, *rows: Sequence[str]) -> Desired:
    return desired_table(sheet(HEADERS, *rows), mapping)


def test_a_new_product_needs_a_name_an_existing_one_does_not() -> None:
    mapping = columns_mapping(CODE, NAME)
    made = _desired(mapping, ("A", "", "", "", ""), ("B", "", "", "", ""), ("C", "Elm", "", "", ""))
    known = existing_table(elements(["1", "name"], ("A", "Oak")), mapping, made.seen)
    left, problems = tables.without_names(Match.of(made.table, known.table), _address)
    assert (list(left.desired.index), problems) == (["A", "C"], [Problem("prices.csv:3", "a new product needs a name")])


def test_without_a_column_for_the_name_nothing_can_be_added() -> None:
    mapping = columns_mapping(CODE, PRICE)
    made = _desired(mapping, ("A", "", "5", "", ""), ("B", "", "6", "", ""))
    known = existing_table(elements(["1", "2"], ("A", "5")), mapping, made.seen)
    left, problems = tables.without_names(Match.of(made.table, known.table), _address)
    told = "a new product, and no column is mapped to `name`"
    assert (list(left.desired.index), problems) == (["A"], [Problem("prices.csv:3", told)])


def test_rows_whose_key_does_not_identify_one_element_are_rejected_with_all_ids() -> None:
    made = _desired(BOTH, ("A", "", "", "", ""), ("B", "", "", "", ""), ("", "", "", "", "42"), ("C", "", "", "", ""))
    found = elements(["1", "13"], ("A", "40"), ("A", "41"), ("B", "42"))
    known: Existing = existing_table(found, BOTH, made.seen)
    kept, problems = tables.without_shared(made, known, _address)
    hint = "none is touched; leave one of them in the catalog"
    assert list(kept.index) == ["C"]
    assert problems == [
        Problem("prices.csv:2", '2 elements hold the key "A": 101, 102', hint),
        Problem("prices.csv:3", 'another row means the element of the key "B": 103', hint),
        Problem("prices.csv:4", 'another row means the element of the key "42": 103', hint),
    ]


def test_number_cells_have_a_point_and_text_cells_what_the_mapping_says() -> None:
    price = Column("Price", FIELDS[1], position=2, decimal=",")
    rows = [("1", "", "1.234", "", ""), ("2", "", "1.234", "", ""), ("3", "", "1,5", "", ""), ("4", "", "1.5", "", "")]
    made = replace(sheet(HEADERS, *rows), numbers={2: np.array([True, False, False, False])})
    desired = desired_table(made, columns_mapping(CODE, price))
    assert desired.table["2"].tolist() == ["1.234", "1234", "1.5"]
    assert [str(problem) for problem in desired.rejected] == ['prices.csv:5 (Price): "1.5" is not a number']


def test_an_error_in_a_header_cell_loses_no_record() -> None:
    broken = CellProblem(row=1, column=2, position=None, what="the cell holds the error #REF!", hint="")
    made = desired_table(replace(sheet(HEADERS, ("1", "Oak", "5", "", "")), problems=(broken,)), columns_mapping(CODE))
    assert (list(made.table.index), made.rejected_rows, made.unreadable_rows) == (["1"], 0, 0)
