"""Workbooks and CSV files: what is in the cells, as two other programs read them, and what a failure leaves."""

from __future__ import annotations

import csv
import dataclasses
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from python_calamine import CalamineWorkbook

from catalogsync import workbook
from catalogsync.celltext import is_too_long_mark
from catalogsync.errors import UserError
from catalogsync.model import Column, Field
from catalogsync.reader import read_sheet
from catalogsync.tables import desired_table
from tests.builders import ABOUT, FIELDS, ZONE, columns_mapping, elements

NAME = Column("Product", None)
CODE = Column("Code", FIELDS[0])
PRICE = Column("Price", FIELDS[1])
ACTIVE = Column("Active", FIELDS[3])
COLOUR = Column("Colour", FIELDS[4])
SIZES = Column("Sizes", FIELDS[5])
EXPIRES = Column("Expires", FIELDS[6])
LOADED = Column("Loaded", FIELDS[7], timezone=ZONE)
PARTS = Column("Parts", FIELDS[10])
COLUMNS = (CODE, NAME, PRICE, ACTIVE, COLOUR, SIZES, EXPIRES, LOADED, PARTS)

FULL = ("007", "=1+1", "1388.5", "1", "53", "61,63", "2024-02-29", "1704443400", '[{"sku": "1"}]')
SPARSE = ("8", "two\nlines", "", "0", "", "", "", "", "")


def _elements(columns: tuple[Column, ...], *rows: tuple[str, ...]) -> pd.DataFrame:
    return elements([column.key for column in columns], *rows)


def _cells(path: Path) -> list[list[Any]]:
    """Every cell of the products but the ids, as openpyxl reads it, formulas as formulas."""
    book = openpyxl.load_workbook(path)
    try:
        products = book.worksheets[0]
        return [[cell.value for cell in row[:-1]] for row in products.iter_rows()]
    finally:
        book.close()


def test_text_that_looks_like_markup_of_a_workbook_stays_text(tmp_path: Path) -> None:
    assert _one(tmp_path, CODE, "<r><t>x</t></r>") == ("<r><t>x</t></r>", "s")


def _one(folder: Path, column: Column, canonical: str) -> tuple[Any, str]:
    """One cell in a workbook: its value and openpyxl's data type."""
    path = folder / "one.xlsx"
    workbook.write_xlsx(path, _elements((column,), (canonical,)), (column,), ABOUT)
    book = openpyxl.load_workbook(path)
    try:
        cell = book.worksheets[0]["A2"]
        return cell.value, cell.data_type
    finally:
        book.close()


# --- workbook ------------------------------------------------------------------------------------------------


def test_a_workbook_as_openpyxl_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "products.xlsx"
    workbook.write_xlsx(path, _elements(COLUMNS, FULL, SPARSE), COLUMNS, ABOUT)
    assert _cells(path) == [
        ["Code", "Product", "Price", "Active", "Colour", "Sizes", "Expires", "Loaded", "Parts"],
        [
            "007",
            "=1+1",
            1388.5,
            "yes",
            "Salt & pepper",
            "S; L",
            datetime(2024, 2, 29),  # noqa: DTZ001 - a workbook's dates have no zone
            datetime(2024, 1, 5, 10, 30),  # noqa: DTZ001 - as above
            '[{"sku": "1"}]',
        ],
        ["8", "two\nlines", None, "no", None, None, None, None, None],
    ]


def test_a_workbook_as_calamine_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "products.xlsx"
    workbook.write_xlsx(path, _elements(COLUMNS, FULL, SPARSE), COLUMNS, ABOUT)
    book = CalamineWorkbook.from_path(path)
    assert book.sheet_names == ["Products", "Options", "About", "catalogsync values"]
    assert [row[:-1] for row in book.get_sheet_by_index(0).to_python()[1:]] == [
        [
            "007",
            "=1+1",
            1388.5,
            "yes",
            "Salt & pepper",
            "S; L",
            date(2024, 2, 29),
            datetime(2024, 1, 5, 10, 30),  # noqa: DTZ001 - a workbook's dates have no zone
            '[{"sku": "1"}]',
        ],
        ["8", "two\nlines", "", "no", "", "", "", "", ""],
    ]


@pytest.mark.parametrize(
    "text", ["007", "=1+1", "{=1+1}", "+1", "-1", "@x", "1e5", "http://example.com", "'quoted", "_x0041_", "TRUE", "80"]
)
def test_a_text_stays_the_text_it_is(tmp_path: Path, text: str) -> None:
    value, kind = _one(tmp_path, CODE, text)
    assert (openpyxl.utils.escape.unescape(value), kind if text[0] != "=" else "s") == (text, "s")
    book = CalamineWorkbook.from_path(tmp_path / "one.xlsx")
    assert [row[:-1] for row in book.get_sheet_by_index(0).to_python()] == [["Code"], [text]]


@pytest.mark.parametrize(
    ("canonical", "value"),
    [
        ("80", 80),
        ("0", 0),
        ("-0.5", -0.5),
        ("4164.6", 4164.6),
        ("123456789012345", 123456789012345),
        ("0.00001", 0.00001),
        ("1234567890123456", "1234567890123456"),
        ("123456789012.3456", "123456789012.3456"),
    ],
)
def test_a_number_is_a_number_as_long_as_a_workbook_keeps_its_digits(
    tmp_path: Path, canonical: str, value: object
) -> None:
    assert _one(tmp_path, PRICE, canonical) == (value, "s" if isinstance(value, str) else "n")


@pytest.mark.parametrize("day", ["1900-01-01", "1900-02-28", "1900-03-01", "2024-02-29", "9999-12-31"])
def test_a_date_is_a_date(tmp_path: Path, day: str) -> None:
    value, kind = _one(tmp_path, EXPIRES, day)
    assert (str(value)[:10], kind) == (day, "d")


def test_what_a_workbook_cannot_hold_as_a_date_is_text(tmp_path: Path) -> None:
    assert _one(tmp_path, EXPIRES, "1899-12-31") == ("1899-12-31", "s")


@pytest.mark.parametrize(
    ("column", "canonical", "told"),
    [
        (PRICE, "about 5", "about 5"),
        (PRICE, "NaN", "NaN"),
        (PRICE, "٣", "٣"),
        (EXPIRES, "soon", "soon"),
        (COLOUR, "99", "99"),
        (CODE, "#N/A", "#N/A"),
        (dataclasses.replace(CODE, empties=frozenset({"n/a"})), "N/A", "N/A"),
        (CODE, "a\uffff]", "a��"),
    ],
)
def test_what_would_not_be_read_back_is_replaced_by_a_mark(
    tmp_path: Path, column: Column, canonical: str, told: str
) -> None:
    mark = f'[catalogsync: "{told}" would not be read back; the catalog keeps its text]'
    assert _one(tmp_path, column, canonical) == (mark, "s")
    assert is_too_long_mark(mark)


def test_a_catalog_without_elements_is_a_row_of_headers(tmp_path: Path) -> None:
    path = tmp_path / "products.xlsx"
    workbook.write_xlsx(path, _elements(COLUMNS[:2]), COLUMNS[:2], ABOUT)
    assert _cells(path) == [["Code", "Product"]]


def test_the_header_row_is_frozen_and_filtered(tmp_path: Path) -> None:
    path = tmp_path / "products.xlsx"
    workbook.write_xlsx(path, _elements(COLUMNS[:2], FULL[:2]), COLUMNS[:2], ABOUT)
    book = openpyxl.load_workbook(path)
    try:
        tab = book.worksheets[0]
        assert (tab.freeze_panes, tab.auto_filter.ref) == ("A2", "A1:C2")
    finally:
        book.close()


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        (ZONE, "2025-10-09 11:53 (Europe/Riga)"),
        ("", "2025-10-09 08:53 (UTC)"),
        ("Moon/Crater", "2025-10-09 08:53 (UTC)"),
    ],
)
def test_the_time_of_an_export_is_told_in_the_account_s_zone(tmp_path: Path, zone: str, told: str) -> None:
    path = tmp_path / "products.xlsx"
    workbook.write_xlsx(path, _elements((NAME,), ("Oak",)), (NAME,), dataclasses.replace(ABOUT, timezone=zone))
    assert ["Exported", told] in CalamineWorkbook.from_path(path).get_sheet_by_name("About").to_python()


def test_the_same_export_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        workbook.write_xlsx(tmp_path / name, _elements(COLUMNS, FULL, SPARSE), COLUMNS, ABOUT)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


@pytest.mark.parametrize(
    ("texts", "number_format"),
    [
        (("1", "2"), "0"),
        (("1", "2.5"), "0.00"),
        (("1.125",), "0.000"),
        (("0.00000000001",), "General"),
        ((), "0"),
    ],
)
def test_prices_show_as_many_decimals_as_they_have_and_two_at_least_where_any(
    tmp_path: Path, texts: tuple[str, ...], number_format: str
) -> None:
    path = tmp_path / "products.xlsx"
    workbook.write_xlsx(path, _elements((PRICE,), *((text,) for text in (*texts, "7"))), (PRICE,), ABOUT)
    book = openpyxl.load_workbook(path)
    assert {row[0].number_format for row in book.worksheets[0].iter_rows(min_row=2)} == {number_format}
    book.close()


@pytest.mark.parametrize("title", ["Options", "about"])
def test_a_catalog_that_is_called_like_one_of_our_tabs_keeps_its_name(tmp_path: Path, title: str) -> None:
    path = tmp_path / "products.xlsx"
    columns = (CODE, COLOUR)
    workbook.write_xlsx(path, _elements(columns, ("1", "51")), columns, dataclasses.replace(ABOUT, catalog_name=title))
    names = CalamineWorkbook.from_path(path).sheet_names
    assert names[0] == title
    assert len({name.casefold() for name in names}) == 4
    assert read_sheet(path).headers == ("Code", "Colour")
    book = openpyxl.load_workbook(path)
    assert book.worksheets[0].data_validations.dataValidation[0].formula1 == f"'{names[1]}'!$A$2:$A$4"
    book.close()


@pytest.mark.parametrize(
    ("title", "tab"),
    [
        ("Products", "Products"),
        ("Caf\u00e9 товары 商品", "Caf\u00e9 товары 商品"),
        ("a/b\\c:d*e?f[g]h", "abcdefgh"),
        ("'quoted'", "quoted"),
        ("x" * 40, "x" * 31),
        ("x" * 30 + "' more", "x" * 30),
        ("x" * 30 + "  more", "x" * 30),
        ("a\nb\x00", "ab"),
        ("", "Catalog"),
        (" ' ", "Catalog"),
        ("[]:*?/\\", "Catalog"),
    ],
)
def test_a_tab_is_named_as_a_workbook_allows(tmp_path: Path, title: str, tab: str) -> None:
    path = tmp_path / "products.xlsx"
    workbook.write_xlsx(path, _elements((NAME,), ("Oak",)), (NAME,), dataclasses.replace(ABOUT, catalog_name=title))
    assert CalamineWorkbook.from_path(path).sheet_names == [tab, "About", "catalogsync values"]


# --- csv -----------------------------------------------------------------------------------------------------


def test_a_csv_file_has_a_mark_commas_and_quotes_where_needed(tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    rows = (("007", 'a "b", c', "1388.5"), ("8", "two\nlines", ""))
    workbook.write_csv(path, _elements(COLUMNS[:3], *rows), COLUMNS[:3], ABOUT)
    assert path.read_bytes() == (b'\xef\xbb\xbfCode,Product,Price\r\n007,"a ""b"", c",1388.5\r\n8,"two\nlines",\r\n')


def test_a_csv_file_says_what_a_workbook_says_as_text(tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    workbook.write_csv(path, _elements(COLUMNS, FULL), COLUMNS, ABOUT)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        assert list(csv.reader(stream))[1] == [
            "007",
            "'=1+1",
            "1388.5",
            "yes",
            "Salt & pepper",
            "S; L",
            "2024-02-29",
            "2024-01-05 10:30:00",
            '[{"sku": "1"}]',
        ]


# --- export, then import -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", sorted(workbook.WRITERS))
def test_what_is_written_is_read_back_as_the_same_canonical_text(tmp_path: Path, ending: str) -> None:
    """Law 10, less the network: every type, with what is hard about each."""
    doubled = Column("Twin", Field(20, "Twin", "select", enums={1: "A", 2: "A"}))
    split = Column("Split", Field(21, "Split", "multiselect", enums={1: "A; B", 2: "C"}))
    columns = (*COLUMNS, doubled, split)
    rows = (
        (*FULL, "2", "1,2"),
        (*SPARSE, "1", "2"),
        ("9", "Ash", "123456789012345678.5", "1", "51", "62", "1899-12-31", "1729989000", "", "", ""),
        ("10", "Ёлка", "-0.5", "0", "52", "61", "1900-02-28", "1729992600", "", "", ""),
    )
    path = tmp_path / f"products{ending}"
    workbook.WRITERS[ending](path, _elements(columns, *rows), columns, ABOUT)
    placed = tuple(Column(c.header, c.field, position=n, timezone=c.timezone) for n, c in enumerate(columns))
    made = desired_table(read_sheet(path), columns_mapping(*placed))
    assert made.rejected == ()
    assert [tuple(made.table[c.key].iat[n] for c in columns) for n in range(len(rows))] == list(rows)


# --- replaced whole or not at all ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", sorted(workbook.WRITERS))
def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"products{ending}"
    path.write_text("old", encoding="utf-8")
    workbook.WRITERS[ending](path, _elements((NAME,), ("Oak",)), (NAME,), ABOUT)
    assert path.read_bytes() != b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


class _Interrupted(BaseException):
    """Somebody pressed Ctrl-C."""


@pytest.mark.parametrize("ending", sorted(workbook.WRITERS))
@pytest.mark.parametrize("failure", [_Interrupted(), OSError(28, "No space left on device")], ids=["stopped", "full"])
def test_an_interrupted_export_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, failure: BaseException
) -> None:
    path = tmp_path / f"products{ending}"
    path.write_text("old", encoding="utf-8")

    def fail(self: Path, target: Path) -> None:
        assert self.parent == target.parent
        raise failure

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises((_Interrupted, UserError)):
        workbook.WRITERS[ending](path, _elements((NAME,), ("Oak",)), (NAME,), ABOUT)
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", sorted(workbook.WRITERS))
def test_a_folder_that_is_not_there_is_told_in_words(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "gone" / f"products{ending}"
    with pytest.raises(UserError, match=r"products\.\w+: cannot be written \(No such file or directory\)$"):
        workbook.WRITERS[ending](path, _elements((NAME,), ("Oak",)), (NAME,), ABOUT)


@pytest.mark.parametrize("ending", sorted(workbook.WRITERS))
def test_a_file_that_is_open_elsewhere_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(UserError, match="cannot be written; is it open in another program"):
        workbook.WRITERS[ending](tmp_path / f"p{ending}", _elements((NAME,), ("Oak",)), (NAME,), ABOUT)


# --- too large -----------------------------------------------------------------------------------------------


def test_a_text_longer_than_a_cell_is_replaced_by_a_mark(tmp_path: Path) -> None:
    longest, path = "x" * 32_767, tmp_path / "products.xlsx"
    workbook.write_xlsx(path, _elements((NAME,), (longest,), (longest + "x",)), (NAME,), ABOUT)
    mark = "[catalogsync: 32,768 characters, more than a cell holds; the catalog keeps its text]"
    assert _cells(path)[1:] == [[longest], [mark]]


def test_what_counts_is_the_text_as_it_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "products.xlsx"
    sizes = Column("Sizes", Field(6, "Sizes", "multiselect", enums={1: "x" * 20_000, 2: "y" * 20_000}))
    workbook.write_xlsx(path, _elements((sizes,), ("1,2",), ("1",)), (sizes,), ABOUT)
    mark = "[catalogsync: 40,002 characters, more than a cell holds; the catalog keeps its text]"
    assert _cells(path)[1:] == [[mark], ["x" * 20_000]]


def test_more_elements_than_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "_MAX_ROWS", 2)
    rows = (("a",), ("b",), ("c",))
    workbook.write_xlsx(tmp_path / "two.xlsx", _elements((NAME,), *rows[:2]), (NAME,), ABOUT)
    with pytest.raises(UserError, match=r"^three\.xlsx: 3 elements are more than a workbook holds; export to \.csv$"):
        workbook.write_xlsx(tmp_path / "three.xlsx", _elements((NAME,), *rows), (NAME,), ABOUT)
