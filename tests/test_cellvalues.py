"""The catalog's values in the words of the user's own sheet: what a cell gets, and that it is read back."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from catalogsync.cellvalues import Held, Speller
from catalogsync.model import Column, Field
from catalogsync.patching import Value
from catalogsync.tabscan import Cell, Kind

ENUMS = {1: "Red", 2: "Green &amp; blue", 3: "2024", 4: "a;b"}


def column(type_: str, **settings: Any) -> Column:
    return Column("Header", Field(7, "Field", type_, enums=ENUMS), timezone="Europe/Riga", **settings)


def held(kind: Kind, text: str, **facts: Any) -> Held:
    return Held(Cell(kind), text, **facts)


def value(where: Column, target: str, cell: Held, *others: str, numbers: bool = False, is_1904: bool = False) -> Any:
    """What the cell gets, as (kind, text)."""
    texts = pd.Series([cell.text, *others], dtype="str")
    made = Speller(where, texts, numbers, is_1904).value(target, cell)
    return made and (made.kind, made.text)


TWO_FORMATS = column("date", formats=("%d/%m/%y", "%d/%m/%Y"))
NUMBER, COMMA = column("numeric"), column("numeric", decimal=",")


@pytest.mark.parametrize(
    ("where", "target", "cell", "expected"),
    [
        (NUMBER, "12.5", held("number", "9"), ("number", "12.5")),
        (COMMA, "12.5", held("number", "9"), ("number", "12.5")),
        (COMMA, "12.5", held("text", "1 149,00 €"), ("text", "12,50 €")),
        (COMMA, "12345.5", held("text", "1 149,00 €"), ("text", "12 345,50 €")),
        (COMMA, "-1234567", held("text", "1.149"), ("text", "-1.234.567")),
        (NUMBER, "12345", held("text", "1.149"), ("text", "12345.000")),
        (NUMBER, "12345", held("text", "14\u00a0227"), ("text", "12\u00a0345")),
        (COMMA, "-3", held("text", "€ 9,5"), ("text", "€ -3,0")),
        (COMMA, "1200", held("text", "9"), ("text", "1200")),
        (NUMBER, "1234567890.25", held("text", "9.5"), ("text", "1234567890.25")),
        (NUMBER, "20", held("number", "15%", is_percent=True), ("number", "0.2")),
        (NUMBER, "20", held("text", "15%"), ("text", "20%")),
        (NUMBER, "1234567890.1234567", held("number", "1"), ("text", "1234567890.1234567")),
        (NUMBER, "7", held("blank", ""), ("text", "7")),
        (NUMBER, "5", held("number", "2026-01-31", is_date=True), ("text", "5")),
        (NUMBER, "", held("number", "1"), ("blank", "")),
        (column("text"), "00456", held("number", "00123", zeros=5), ("number", "456")),
        (column("text"), "0456", held("number", "123"), ("text", "0456")),
        (column("text"), "456", held("number", "123"), ("number", "456")),
        (column("text"), "=1+1", held("text", "a"), ("text", "=1+1")),
        (column("text"), "#N/A", held("text", "a"), None),
        (column("text"), "2026-02-28", held("number", "2026-01-31", is_date=True), ("number", "46081")),
        (column("text", empties=frozenset({"none"})), "None", held("text", "a"), None),
        (column("checkbox"), "0", held("boolean", "TRUE"), ("boolean", "0")),
        (column("checkbox"), "0", held("number", "1"), ("number", "0")),
        (column("checkbox"), "0", held("text", "yes"), ("text", "no")),
        (column("select"), "2", held("text", "red"), ("text", "Green & blue")),
        (column("select", labels={"Rouge": "1", "Rot": "1"}), "1", held("blank", ""), ("text", "Rouge")),
        (column("select"), "3", held("number", "2024"), ("number", "2024")),
        (column("select"), "99", held("text", "Red"), None),
        (column("multiselect", labels={"Rouge": "1"}), "1,2", held("text", ""), ("text", "Rouge; Green & blue")),
        (column("multiselect"), "1,4", held("text", ""), ("text", "1;4")),
        (column("date"), "2026-02-28", held("number", "2026-01-31", is_date=True), ("number", "46081")),
        (column("date"), "1900-01-31", held("number", "2026-01-31", is_date=True), ("text", "1900-01-31")),
        (column("date"), "2026-02-28", held("text", "31.01.2026"), ("text", "28.02.2026")),
        (column("date"), "2026-02-28", held("text", "2026/01/31"), ("text", "2026/02/28")),
        (TWO_FORMATS, "2026-02-28", held("text", "31/01/2026"), ("text", "28/02/2026")),
        (column("date"), "2026-02-28", held("blank", ""), ("text", "2026-02-28")),
        (column("date_time"), "1772280300", held("text", "31.01.2026 10:00"), ("text", "28.02.2026 14:05")),
        (column("date_time"), "1772280301", held("text", "31.01.2026 10:00"), ("text", "28.02.2026 14:05:01")),
        (column("date_time"), "1772280300", held("number", "x", is_date=True), ("number", "46081.58680555555")),
        (column("date_time"), "1729990200", held("text", "2026-01-31 10:00"), ("text", "2024-10-27 03:50:00+03:00")),
    ],
)  # fmt: skip
def test_a_value_comes_in_the_form_that_the_cell_had(where: Column, target: str, cell: Held, expected: Any) -> None:
    assert value(where, target, cell) == expected


def test_dates_count_from_where_the_workbook_counts_from() -> None:
    cell = held("number", "2026-01-31", is_date=True)
    assert value(column("date"), "2026-02-28", cell, is_1904=True) == ("number", str(46081 - 1462))


def test_a_cell_to_be_filled_looks_like_the_others_of_its_column() -> None:
    blank = held("blank", "")
    assert value(NUMBER, "7", blank, "1", numbers=True) == ("number", "7")
    assert value(column("date"), "2026-02-28", blank, "31.01.2026") == ("text", "28.02.2026")
    assert value(column("checkbox"), "1", blank, "да", "x", "x") == ("text", "x")
    assert value(column("checkbox"), "1", blank, "TRUE") == ("boolean", "1")
    assert value(column("text"), "007", blank, "123", numbers=True) == ("text", "007")


def test_options_are_called_as_the_sheet_calls_them_but_first_as_the_mapping_does() -> None:
    blank = held("blank", "")
    assert value(column("select"), "1", blank, "RED", "RED", "red") == ("text", "RED")
    mapped = column("select", labels={"Rouge": "1", "Rot": "1"})
    assert value(mapped, "1", blank, "RED", "RED", "Rot") == ("text", "Rot")
    several = column("multiselect", split="|")
    assert value(several, "1,3", blank, "RED|2024") == ("text", "RED|2024")
    assert value(several, "1,3", blank, "RED| 2024") == ("text", "RED| 2024")


def test_a_value_is_a_plain_value() -> None:
    assert Speller(NUMBER, pd.Series(["1"], dtype="str"), True).value("2", held("number", "1")) == Value("number", "2")
