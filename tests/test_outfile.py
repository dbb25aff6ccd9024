"""New workbooks: rows that are written a column at a time are those that xlsxwriter writes cell by cell."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from catalogsync import outfile
from catalogsync.outfile import Cells, Tab, new_workbook
from tests.roundtrip import AWKWARD, LONG

Value = str | float | date
Write = Callable[[Tab, Sequence[Sequence[Value]], Sequence[Any]], None]

STYLES: tuple[dict[str, Any], ...] = ({"num_format": "@"}, {"num_format": "0.00"}, {"num_format": "yyyy-mm-dd"}, {})

MORE = ("<r><t>x</t></r>", "&amp;&<>\"'", " both ", "\n", "a\n", "\x1c", "\x7f\x85", "\u2028", "_x000d_", "_X0041_")
TEXTS = st.one_of(st.sampled_from([*AWKWARD, *MORE, LONG, ""]), st.text(st.characters(exclude_categories=["Cs"])))
DATES = st.one_of(
    st.dates(min_value=date(1900, 1, 1)),
    st.datetimes(min_value=datetime(1900, 1, 1)),  # noqa: DTZ001 - a workbook's have no zone
    st.sampled_from([date(1900, 1, 1), date(1900, 2, 28), date(1900, 3, 1), date(9999, 12, 31)]),
)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-(10**12), 10**12, places=2).map(float),
    st.integers(0, 10**15 - 1).map(float),
)
ROWS = st.lists(st.tuples(TEXTS, NUMBERS | TEXTS, DATES | TEXTS, TEXTS, st.integers(1, 2**53).map(float)), max_size=9)


def by_columns(tab: Tab, rows: Sequence[Sequence[Value]], styles: Sequence[Any]) -> None:
    columns = zip(*rows, strict=True) if rows else [()] * (len(styles) + 1)
    tab.write_columns(
        1, [Cells(held, lambda value: value, style) for held, style in zip(columns, [*styles, None], strict=True)]
    )


def by_cells(tab: Tab, rows: Sequence[Sequence[Value]], styles: Sequence[Any]) -> None:
    for number, row in enumerate(rows, start=1):
        for place, value in enumerate(row):
            if isinstance(value, date):
                tab.write_datetime(number, place, value)
            elif isinstance(value, float):
                tab.write_number(number, place, value)
            elif value:
                tab.write_string(number, place, value)


def written(path: Path, rows: Sequence[Sequence[Value]], write: Write) -> Path:
    """A workbook of headings and rows, with a format for each column but the last, and a tab after it."""
    with new_workbook(path) as book:
        book.set_properties({"created": datetime(2025, 1, 1)})  # noqa: DTZ001 - a workbook's dates have no zone
        tab = book.add_worksheet("Products")
        styles = [book.add_format(style) for style in STYLES]
        for place, style in enumerate(styles):
            tab.set_column(place, place, 20, style)
            tab.write_string(0, place, f"Column {place}", style)
        tab.write_string(0, len(styles), "Number")
        write(tab, rows, styles)
        book.add_worksheet("After").write_string(0, 0, "end")
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_columns_make_the_same_file_as_cells(tmp_path: Path, rows: list[tuple[Value, ...]]) -> None:
    ours, theirs = (written(tmp_path / f"{way.__name__}.xlsx", rows, way) for way in (by_columns, by_cells))
    with zipfile.ZipFile(ours) as one, zipfile.ZipFile(theirs) as other:
        assert one.read("xl/worksheets/sheet1.xml").decode() == other.read("xl/worksheets/sheet1.xml").decode()
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("count", [1, 4, 5, 8, 9])
def test_rows_are_whole_and_in_order_however_many_are_made_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(outfile, "_BLOCK_ROWS", 4)
    rows = [(f"text {n % 3}", float(n), date(2024, 1, 1 + n), "" if n % 2 else "odd", float(n)) for n in range(count)]
    path = written(tmp_path / "p.xlsx", rows, by_columns)
    assert path.read_bytes() == written(tmp_path / "q.xlsx", rows, by_cells).read_bytes()
    read = CalamineWorkbook.from_path(path).get_sheet_by_name("Products").to_python()
    assert read[1:] == [[*row] for row in rows]


def test_what_is_written_below_the_columns_stands_below_them(tmp_path: Path) -> None:
    path = tmp_path / "p.xlsx"
    with new_workbook(path) as book:
        tab = book.add_worksheet("Products")
        tab.write_columns(0, [Cells(["a", "b"], str)])
        assert tab.write_string(1, 1, "above") < 0
        tab.write_string(2, 1, "below")
        tab.write_columns(3, [Cells([1, 2], float)])
    read = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    assert read == [["a", ""], ["b", ""], ["", "below"], [1.0, ""], [2.0, ""]]


def test_a_tab_says_how_far_its_columns_reach(tmp_path: Path) -> None:
    rows = [("a", 1.0, "", "", 2.0)] * 3
    book = openpyxl.load_workbook(written(tmp_path / "p.xlsx", rows, by_columns), read_only=True)
    assert book["Products"].calculate_dimension() == "A1:E4"
    book.close()


def test_each_value_is_made_once_however_often_it_is_held(tmp_path: Path) -> None:
    made: list[str] = []

    def value_of(text: str) -> str:
        made.append(text)
        return text

    with new_workbook(tmp_path / "p.xlsx") as book:
        book.add_worksheet("Products").write_columns(0, [Cells(["red", "blue"] * 1000, value_of)])
    assert made == ["red", "blue"]
