"""Conditions: how they are read, what fulfils them, and what is said of those that make no sense."""

from __future__ import annotations

import dataclasses

import pytest

from catalogsync.errors import UserError
from catalogsync.filtering import matching, parse_conditions
from catalogsync.model import Column
from tests.builders import FIELDS, ZONE, elements

NAME = Column("Product", None)
CODE = Column("Code", FIELDS[0])
PRICE = Column("Price", FIELDS[1], decimal=",")
RETAIL = Column("Price < retail", FIELDS[2])
ACTIVE = Column("Active", FIELDS[3])
COLOUR = Column("Colour", FIELDS[4])
SIZES = Column("Sizes", FIELDS[5])
EXPIRES = Column("Expires", FIELDS[6], formats=("%d/%m/%Y",))
LOADED = Column("Loaded", FIELDS[7], timezone=ZONE)
COLUMNS = (NAME, CODE, PRICE, RETAIL, ACTIVE, COLOUR, SIZES, EXPIRES, LOADED)

TABLE = elements(
    [column.key for column in COLUMNS],
    ("Oak", "007", "9.5", "1", "1", "51", "61,63", "2024-02-29", "1704443400"),
    ("ash = good", "8", "100", "20", "0", "53", "62", "2025-01-01", "1704447000"),
    ("Elm", "", "", "", "", "", "", "", ""),
)


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("Price > 9,5", "ash = good"),
        ("Price>=9,50", "Oak, ash = good"),
        ("price < 100", "Oak"),
        ("Price <= 100", "Oak, ash = good"),
        ("Price = 100,00", "ash = good"),
        ("Price == 100", "ash = good"),
        ("Price != 100", "Oak, Elm"),
        ("Price =", "Elm"),
        ("Price !=", "Oak, ash = good"),
        ("Price contains 9,", "Oak"),
        ("Price < retail > 3", "ash = good"),
        ("Price < retail = 1", "Oak"),
        ("Active = yes", "Oak"),
        ("Active = no", "ash = good, Elm"),
        ("Active != yes", "ash = good, Elm"),
        ("Colour = salt & PEPPER", "ash = good"),
        ("Colour != Red", "ash = good, Elm"),
        ("Sizes = L; S", "Oak"),
        ("Sizes contains l", "Oak"),
        ("Expires > 28/02/2024", "Oak, ash = good"),
        ("Expires > 2024-02-29", "ash = good"),
        ("Expires <= 29/02/2024", "Oak"),
        ("Loaded > 2024-01-05 10:30", "ash = good"),
        ("Loaded = 2024-01-05 10:30", "Oak"),
        ("Product = OAK", "Oak"),
        ("Product = ash = good", "ash = good"),
        ('Product = "Oak"', "Oak"),
        ("Product contains =", "ash = good"),
        ("Product > b", "Oak, Elm"),
        ("Product contains zzz", ""),
        ("Code = 007", "Oak"),
        ("Code = 7", ""),
    ],
)
def test_a_condition_takes_the_elements_that_fulfil_it(condition: str, names: str) -> None:
    chosen = matching(TABLE, parse_conditions([condition], COLUMNS))
    assert ", ".join(chosen["name"]) == names


def test_several_conditions_hold_together() -> None:
    conditions = parse_conditions(["Price > 1", "Expires < 01/01/2025"], COLUMNS)
    assert matching(TABLE, conditions)["name"].tolist() == ["Oak"]


def test_no_elements_fulfil_anything() -> None:
    assert len(matching(TABLE.iloc[:0], parse_conditions(["Price > 1"], COLUMNS))) == 0


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("Prize > 3", '--where "Prize > 3": there is no column "Prize" (did you mean "Price"?)'),
        ("weight = 3", '--where "weight = 3": there is no column "weight" (columns: Product, Code, Price, '
         "Price < retail, Active, Colour, Sizes, Expires, Loaded)"),
        ("Price", '--where "Price": has no comparison (write it as in "Price = …": =, !=, <, <=, >, >=, contains)'),
        ("Price about 3", '--where "Price about 3": there is no column "Price about 3" (columns: Product, Code, '
         "Price, Price < retail, Active, Colour, Sizes, Expires, Loaded)"),
        ("Price >", '--where "Price >": does not say what it is compared to'),
        ("Product contains", '--where "Product contains": does not say what is contained'),
        ("Colour > Red", '--where "Colour > Red": “Colour” has no order (compare it by =, != or contains)'),
        ("Active < yes", '--where "Active < yes": “Active” has no order (compare it by =, != or contains)'),
        ("Colour = Pink", '--where "Colour = Pink": "Pink" is not an option (options: Red, Dark blue, Salt & pepper)'),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told_with_the_way_out(condition: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_conditions([condition], COLUMNS)
    assert str(caught.value) == f"the export cannot be limited so\n  {told}"


def test_an_unknown_option_is_no_option_whatever_the_mapping_makes_of_it() -> None:
    for unknown in ("skip", "add"):
        column = dataclasses.replace(COLOUR, unknown=unknown)
        with pytest.raises(UserError, match="is not an option"):
            parse_conditions(["Colour = Pink"], (column,))
