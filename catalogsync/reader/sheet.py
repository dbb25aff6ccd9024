"""What reading a sheet takes and gives: options, the table of text cells, and addresses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalogsync.errors import name_of

BLANKS = " \t\n\v\f\r\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b"
BLANKS += "\u2028\u2029\u202f\u205f\u3000\ufeff"

ERROR_TEXTS = frozenset(
    "#NULL! #DIV/0! #VALUE! #REF! #NAME? #NUM! #N/A #GETTING_DATA #SPILL! #CALC! #FIELD! #BLOCKED! #CONNECT! "
    "#UNKNOWN! #BUSY! #ПУСТО! #ДЕЛ/0! #ЗНАЧ! #ССЫЛКА! #ИМЯ? #ЧИСЛО! #Н/Д".split()
)

NO_OCTET = np.uint8(0xFF)
"""A byte that no UTF-8 text holds."""

_BEGINS_BLANK = np.isin(np.arange(256), [blank.encode()[0] for blank in BLANKS])
_BLANK_RUN = re.compile(f"[{BLANKS}]+")


Hidden = Literal["read", "skip"]
Fill = Literal["down", "merged"]


class Merged(NamedTuple):
    """A merged cell: its first and last row and column, 0-based."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a person says about a sheet; None means: find out.

    `quote` is the quote character, ``""`` where quotes are ordinary text. `header_rows` are the 1-based rows of
    the sheet, or the physical lines of the file; none at all where the sheet has no headers. `hidden` says what
    becomes of hidden rows. `needs` names columns that every product fills. `fill` maps a column to where its blank
    cells get their text from: ``down``, the cell above, or ``merged``, the merged cell that covers them. Columns
    are named by their headers or as in ``column D``.
    """

    tab: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    header_rows: tuple[int, ...] | None = None
    hidden: Hidden | None = None
    needs: tuple[str, ...] | None = None
    fill: Mapping[str, Fill] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellProblem:
    """What could not be read faithfully.

    `row` is the 1-based sheet row or physical line, `column` is 0-based and None for a whole record,
    `position` is the row's position in ``Sheet.cells`` and None for what is not in the table.
    """

    row: int
    column: int | None
    position: int | None
    what: str
    hint: str


def _no_rows() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Skipped:
    """Rows of a sheet that are no products: `cells` and `rows` as in Sheet, and for each row why, in a word."""

    cells: pd.DataFrame
    rows: NDArray[np.int64]
    why: tuple[str, ...]


@dataclass(frozen=True)
class ElementIds:
    """The elements that the rows of an export were made from.

    `ids` holds for each row of the sheet its element's id, 0 where it has none or several rows have the same, -1
    where the row is a product whose element is not known.
    `is_part`: elements were left out, so that those without a row are not missing. Without
    `is_export` the rows are some of another sheet, which came back in a result workbook.
    """

    account_id: int
    catalog_id: int
    is_part: bool
    ids: NDArray[np.int64]
    is_export: bool = True


@dataclass(frozen=True)
class Sheet:
    """One table of raw text, every cell with its address.

    `headers` are stripped, with runs of blanks inside made one space; a column without header has ``""``.
    `cells` has columns 0..n-1 of dtype ``str``, ``""`` for empty and never a missing value. `rows` holds for
    each record its 1-based sheet row, or the physical line where it starts. `facts` tells what was detected.
    `numbers` says for each column that has any which cells were stored as numbers: those have a point as
    decimal sign, whatever the sheet's language. Text files have none. `skipped` are rows that are no products.
    `hidden` are the numbers of hidden rows, as in `rows`; `merged` the merged cells. `element_ids` is None but for a
    workbook of our own export; `carried` are the lines in which it carries the values that it had.
    """

    path: Path
    tab: str | None
    headers: tuple[str, ...]
    cells: pd.DataFrame
    rows: NDArray[np.int64]
    problems: tuple[CellProblem, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    skipped: Skipped | None = None
    hidden: NDArray[np.int64] = field(default_factory=_no_rows)
    merged: tuple[Merged, ...] = ()
    element_ids: ElementIds | None = None
    carried: tuple[str, ...] = ()

    def address(self, position: int, column: int | None = None) -> str:
        """Where a cell or a whole record is, as a person would look it up."""
        return self._address(int(self.rows[position]), column)

    def address_of(self, problem: CellProblem) -> str:
        """Where a problem is."""
        return self._address(problem.row, problem.column)

    def _address(self, row: int, column: int | None) -> str:
        header = self.headers[column] if column is not None and column < len(self.headers) else ""
        if self.tab is None:
            name = header or (f"column {column_letter(column)}" if column is not None else "")
            return f"{name_of(self.path)}:{row}" + (f" ({name})" if name else "")
        cell = f"{column_letter(column)}{row}" if column is not None else f"row {row}"
        return f"{name_of(self.path)}!{self.tab}!{cell}" + (f" ({header})" if header else "")


def column_letter(column: int) -> str:
    """The letters a spreadsheet shows over a 0-based column: 0 is A, 26 is AA."""
    letters = ""
    column += 1
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def column_index(letters: str) -> int:
    """The 0-based column under spreadsheet letters: A is 0, AA is 26. ValueError for anything else."""
    if not re.fullmatch("[A-Za-z]{1,3}", letters):
        raise ValueError(f"{letters!r} are not the letters of a column")
    column = 0
    for letter in letters.upper():
        column = column * 26 + ord(letter) - 64
    return column - 1


def tidy_header(text: str) -> str:
    """A header as it is compared and shown: stripped, each run of blanks inside one space."""
    return _BLANK_RUN.sub(" ", text).strip(" ")


def is_blank(cells: Sequence[str]) -> bool:
    """Whether a row holds nothing but blanks."""
    return not any(cell.strip(BLANKS) for cell in cells)


def blank_rows(columns: Sequence[pa.ChunkedArray], length: int) -> NDArray[np.bool_]:
    """Which rows hold nothing but blanks. Looks at a column only where all the earlier ones are blank somewhere."""
    blank = np.ones(length, dtype=np.bool_)
    for column in columns:
        if not blank.any():
            break
        blank &= blank_cells(column)[1]
    return blank


def blank_cells(column: pa.ChunkedArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cells are empty, and which hold nothing but blanks: of most the first byte tells."""
    first = first_octets(column)
    empty: NDArray[np.bool_] = first == NO_OCTET
    unsure = _BEGINS_BLANK[first]
    if not unsure.any():
        return empty, empty
    trimmed = pc.utf8_trim(column.filter(pa.array(unsure)), characters=BLANKS)
    blank = empty.copy()
    blank[unsure] = np.asarray(pc.binary_length(trimmed)) == 0
    return empty, blank


def first_octets(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """The first byte of each cell of a column of large_string, NO_OCTET for an empty one."""
    found = [np.zeros(0, dtype=np.uint8)]
    for chunk in filter(len, column.chunks):
        _validity, offsets, text = chunk.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int64, count=len(chunk) + 1, offset=chunk.offset * 8)
        octets = np.frombuffer(text, dtype=np.uint8) if text else np.zeros(0, dtype=np.uint8)
        first = np.full(len(chunk), NO_OCTET) if not len(octets) else octets.take(bounds[:-1], mode="clip")
        first[bounds[:-1] == bounds[1:]] = NO_OCTET
        found.append(first)
    return np.concatenate(found)


def table_width(headers: Sequence[str], columns: Sequence[pa.ChunkedArray], occupied: Collection[int] = ()) -> int:
    """How many columns there are, less those at the end that have no header and hold nothing."""
    width = len(headers)
    while width and not headers[width - 1] and width - 1 not in occupied:
        column = columns[width - 1]
        if not blank_rows([column], len(column)).all():
            break
        width -= 1
    return width


def frame(columns: Sequence[pa.ChunkedArray], length: int) -> pd.DataFrame:
    """Arrow text columns as a DataFrame with columns 0..n-1 of dtype ``str``, without copying the text."""
    if not columns:
        return pd.DataFrame(index=pd.RangeIndex(length))
    data = {number: pd.Series(pd.array(column, dtype="str"), copy=False) for number, column in enumerate(columns)}
    table = pd.DataFrame(data, copy=False)
    table.columns = pd.RangeIndex(len(columns))
    return table


def arrow_texts(cells: pd.Series[str]) -> pa.ChunkedArray:
    """A column of a sheet as Arrow has it, without copying the text."""
    texts = pa.array(cells.array, from_pandas=True)
    return texts if isinstance(texts, pa.ChunkedArray) else pa.chunked_array([texts])


def error_words(text: str) -> tuple[str, str]:
    """`what` and `hint` for an error value, which must never pass for an empty cell or for a text."""
    return f"the cell holds the error {text}", "mend the formula, or type the value"


def in_order(problems: Iterable[CellProblem]) -> tuple[CellProblem, ...]:
    """By row, then by column; those of a whole record first."""
    return tuple(sorted(problems, key=lambda problem: (problem.row, -1 if problem.column is None else problem.column)))
