"""Law 10 without the network: what an export writes is read back as the same canonical text, for every field type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from catalogsync import workbook
from catalogsync.celltext import is_too_long_mark
from catalogsync.model import Column
from catalogsync.reader import read_sheet
from catalogsync.tables import Desired, desired_table
from tests.builders import ABOUT, columns_mapping, elements
from tests.roundtrip import (
    columns_of_every_type,
    is_told,
    needs_libreoffice,
    rows_of,
    samples,
    saved_by_libreoffice,
    saved_by_openpyxl,
)

Rows = list[tuple[str, ...]]
EVERY = columns_of_every_type()
SPLITS = [";", "|", ",", "\n", " "]


def written(path: Path, columns: tuple[Column, ...], rows: Rows) -> Path:
    """An export of elements."""
    workbook.WRITERS[path.suffix](path, elements([column.key for column in columns], *rows), columns, ABOUT)
    return path


def read(path: Path, columns: tuple[Column, ...]) -> Desired:
    """What an import makes of a file."""
    return desired_table(read_sheet(path, expect=[column.header for column in columns]), columns_mapping(*columns))


def assert_same(made: Desired, columns: tuple[Column, ...], rows: Rows) -> None:
    """Every row came back, and every cell of it; what no cell can say leaves the catalog as it is."""
    assert made.rejected == ()
    came = list(zip(*(made.table[column.key].tolist() for column in columns), strict=True))
    assert len(came) == len(rows)
    for was, now in zip(rows, came, strict=True):
        for column, before, after in zip(columns, was, now, strict=True):
            if is_too_long_mark(after):
                assert not is_told(before, column), (column.header, before)
            else:
                assert (column.header, after) == (column.header, before)


def any_rows(test: Any) -> Any:
    """Random rows and settings; nothing is shrunk, since a row says by itself what is wrong with it."""
    drawn = given(rows=rows_of(EVERY), decimal=st.sampled_from(["", ",", "."]), split=st.sampled_from(SPLITS))
    return settings(max_examples=25, phases=(Phase.generate,))(drawn(test))


@pytest.mark.parametrize("resaved", [False, True])
@any_rows
def test_what_a_workbook_holds_comes_back(tmp_path: Path, rows: Rows, decimal: str, split: str, resaved: bool) -> None:
    columns = columns_of_every_type(decimal, split)
    path = written(tmp_path / "products.xlsx", columns, rows)
    if resaved:
        saved_by_openpyxl(path)
    assert_same(read(path, columns), columns, rows)


@any_rows
def test_what_a_text_file_holds_comes_back(tmp_path: Path, rows: Rows, decimal: str, split: str) -> None:
    columns = columns_of_every_type(decimal, split)
    path = written(tmp_path / "products.csv", columns, rows)
    assert_same(read(path, columns), columns, rows)


@pytest.mark.parametrize("ending", sorted(workbook.WRITERS))
def test_every_awkward_value_comes_back(tmp_path: Path, ending: str) -> None:
    columns, rows = columns_of_every_type(), samples(columns_of_every_type())
    assert_same(read(written(tmp_path / f"products{ending}", columns, rows), columns), columns, rows)


@needs_libreoffice
@pytest.mark.timeout(300)
def test_every_awkward_value_comes_back_from_libreoffice_and_none_is_calculated(tmp_path: Path) -> None:
    columns, rows = columns_of_every_type(), samples(columns_of_every_type())
    [path] = saved_by_libreoffice(written(tmp_path / "products.xlsx", columns, rows))
    assert_same(read(path, columns), columns, rows)
    assert_nothing_is_calculated(path)


def assert_nothing_is_calculated(path: Path) -> None:
    """No cell of a workbook is a formula or an error."""
    book = openpyxl.load_workbook(path)
    cells = [cell for tab in book for row in tab.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n", "d", "inlineStr"}
    book.close()
