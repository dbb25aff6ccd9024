"""How long the lines of a text file are and how many cells they make, before it is taken apart; how long cells are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalogsync.errors import Problem, SheetError
from catalogsync.reader import limits
from catalogsync.reader.regular import count_of
from catalogsync.reader.sheet import CellProblem, Sheet, arrow_texts, in_order

_SHOWN_PROBLEMS = 20


def check_lines(path: Path, body: bytes) -> None:
    """Raises SheetError for a line that is longer than any row of a product list, with its number."""
    most = limits.MOST_LINE_BYTES
    for start in range(0, max(0, len(body) - most + 1), most):  # one twice as long fills one of these pieces
        if body.find(b"\n", start, start + most) < 0 and body.find(b"\r", start, start + most) < 0:
            before = max(body.rfind(b"\n", 0, start), body.rfind(b"\r", 0, start))
            feeds, returns = body.count(b"\n", 0, start), body.count(b"\r", 0, start)
            raise limits.too_large(
                f"{path.name}:{max(feeds, returns) + 1}",
                f"the line is longer than {limits.shown_bytes(most)} (it begins with {_shown(body[before + 1 :])})",
                "A quote that never closes, or no table at all? Mend the line, or save the sheet again.",
            )


def _shown(line: bytes) -> str:
    return repr(line[:60].decode("utf-8", "replace"))


def check_size(path: Path, body: bytes, line: int, width: int, delimiter: str) -> None:
    """Raises SheetError for more columns or cells than a sheet may have. `line` is the header's."""
    if width > limits.MOST_COLUMNS:
        what = f"the header row has {width:,} columns, more than the {limits.MOST_COLUMNS:,} of a spreadsheet"
        raise limits.too_large(f"{path.name}:{line}", what, "Another delimiter? Set --delimiter to the real one.")
    most = limits.MOST_CELLS
    if len(body) + 1 < most:  # each cell but the last one ends with a delimiter or a line break
        return
    octets = np.frombuffer(body, dtype=np.uint8)
    lines = max(count_of(octets, 10), count_of(octets, 13)) + 1
    if lines * width > most and body.count(delimiter.encode()) + lines > most:
        raise limits.too_large(path.name, f"{lines:,} lines of {width:,} columns are more than {most:,} cells")


def check_problems(path: Path, problems: list[CellProblem]) -> None:
    """Raises SheetError where so many lines cannot be read that the file is not what it seems."""
    if len(problems) > limits.MOST_PROBLEMS:
        raise SheetError(
            f"{path.name}: more than {limits.MOST_PROBLEMS:,} lines cannot be read; the first ones follow. "
            "Another delimiter or quote? Set --delimiter or --quote.",
            [Problem(f"{path.name}:{found.row}", found.what, found.hint) for found in problems[:_SHOWN_PROBLEMS]],
        )


def open_quotes(columns: Sequence[pa.ChunkedArray], lines: NDArray[np.int64], quote: str) -> list[CellProblem]:
    """Cells that begin with a quote that nothing closes, in a file whose quotes are read as text.

    A quote for inches stands behind a number; one that opens a value is what is left of a damaged line. Where many
    rows have such cells, that is how the file is written.
    """
    found: list[CellProblem] = []
    for number, column in enumerate(columns):
        begins = pd.array(pc.starts_with(column, quote)).to_numpy(dtype=np.bool_)
        for position in np.flatnonzero(begins).tolist():
            if column[position].as_py().count(quote) % 2:
                what, hint = "a quote opens in this cell and never closes", "mend the quote, or set --quote none"
                found.append(CellProblem(int(lines[position]), number, position, what, hint))
    return found if len(found) <= max(1, len(lines) // 10) else []


def without_huge_cells(sheet: Sheet) -> Sheet:
    """The sheet, with a problem for every cell that is longer than one may be."""
    found: list[CellProblem] = []
    for number in range(len(sheet.headers)):
        octets = pc.max(pc.binary_length(arrow_texts(sheet.cells[number]))).as_py() or 0
        if octets <= limits.MOST_CELL_CHARACTERS:  # no text has more characters than bytes
            continue
        lengths = sheet.cells[number].str.len().to_numpy(np.int64)
        for position in np.flatnonzero(lengths > limits.MOST_CELL_CHARACTERS).tolist():
            what = f"the cell holds {lengths[position]:,} characters, more than {limits.MOST_CELL_CHARACTERS:,}"
            found.append(CellProblem(int(sheet.rows[position]), number, position, what, "shorten the text"))
    return dataclasses.replace(sheet, problems=in_order([*sheet.problems, *found])) if found else sheet
