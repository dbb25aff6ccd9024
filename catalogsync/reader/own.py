"""Sheets that our own export made: a column whose header says of which catalog, and in each row its element's id.

The mark is a header and no property of the file, so that it outlives whatever saves the workbook again, renames its
tabs or makes a CSV file of it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync.reader.sheet import ElementIds, ReadOptions, Sheet, tidy_header

VALUES_TAB: Final = "catalogsync values"
"""The hidden tab of the values that were exported (carried.py)."""

_HEADER: Final = re.compile(r"catalogsync (id|result) ([1-9]\d{0,17})/([1-9]\d{0,17})( \(part\))?")
_ID = r"[1-9]\d{0,17}"

ROW: Final = "row"
"""Stands in place of an id where the element is not known, but the row is a product whatever it looks like."""


def id_header(account_id: int, catalog_id: int, *, is_part: bool = False) -> str:
    """The header of the column of element ids in an export."""
    return f"catalogsync id {account_id}/{catalog_id}" + (" (part)" if is_part else "")


def result_header(account_id: int, catalog_id: int) -> str:
    """The header of that column in a result workbook: rows of a sheet that is no export, a part of them."""
    return f"catalogsync result {account_id}/{catalog_id} (part)"


def header_of(rows: Sequence[Sequence[str]]) -> int | None:
    """Which of the rows is the header of an export; None where none is."""
    for index, row in enumerate(rows):
        if any(cell.startswith("catalogsync ") and _HEADER.fullmatch(tidy_header(cell)) for cell in row):
            return index
    return None


def with_element_ids(sheet: Sheet) -> Sheet:
    """The sheet of an export or a result workbook with its ids beside the cells; any other as it is.

    The column of ids is gone, or is empty where other columns follow it.
    """
    places = [place for place, header in enumerate(sheet.headers) if _HEADER.fullmatch(header)]
    if len(places) != 1:
        return sheet
    [place] = places
    found = _HEADER.fullmatch(sheet.headers[place])
    assert found is not None
    texts = sheet.cells[place].str.strip()
    is_row = (texts == ROW).to_numpy(bool)
    texts = texts.where(texts.str.fullmatch(_ID), "0")
    numbers = texts.astype("int64")
    ids = np.array(numbers.where(~numbers.duplicated(keep=False), 0), dtype=np.int64)
    ids[is_row] = -1
    made = ElementIds(int(found[2]), int(found[3]), bool(found[4]), ids, is_export=found[1] == "id")
    return dataclasses.replace(_without_column(sheet, place), element_ids=made)


def without_shaping(options: ReadOptions) -> ReadOptions:
    """The options for an export: what a mapping says of the supplier's sheet does not fit it."""
    return dataclasses.replace(options, needs=None, fill={})


def kept_ids(made: ElementIds | None, keep: NDArray[np.bool_]) -> ElementIds | None:
    """The ids of the rows that are kept."""
    return None if made is None else dataclasses.replace(made, ids=made.ids[keep])


def _without_column(sheet: Sheet, place: int) -> Sheet:
    is_last = place == len(sheet.headers) - 1
    cells = sheet.cells.copy(deep=False)
    if is_last:
        del cells[place]
    else:
        cells[place] = pd.Series("", index=cells.index, dtype="str")
    return dataclasses.replace(
        sheet,
        headers=sheet.headers[:place] + (() if is_last else ("", *sheet.headers[place + 1 :])),
        cells=cells,
        numbers={column: mask for column, mask in sheet.numbers.items() if column != place},
        problems=tuple(problem for problem in sheet.problems if problem.column != place),
    )
