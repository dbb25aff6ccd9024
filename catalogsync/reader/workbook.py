"""XLSX, XLS and ODS workbooks as one table of text.

Values come from python-calamine, of XLS from xlrd, in blocks of rows turned into columns; what they do not tell
(error cells, formulas without a value, formats) comes from `marks`.
"""

from __future__ import annotations

import zipfile
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import python_calamine as calamine
from numpy.typing import NDArray

from catalogsync.errors import Problem, SheetError
from catalogsync.reader import own
from catalogsync.reader.bookcells import (
    TEXT_TYPE,
    Block,
    Cells,
    as_percent,
    blocks_of,
    cell_text,
    texts_of,
    with_zeros,
)
from catalogsync.reader.books import Workbook, WorkbookSheet, XlsxBook, open_book
from catalogsync.reader.detect import encrypted
from catalogsync.reader.header import HEAD_ROWS, Header, find_header, header_words, names_of, spread_out
from catalogsync.reader.marks import Marks
from catalogsync.reader.ods import ods_marks
from catalogsync.reader.sheet import (
    ERROR_TEXTS,
    CellProblem,
    Merged,
    ReadOptions,
    Sheet,
    blank_rows,
    error_words,
    frame,
    in_order,
    is_blank,
    table_width,
)
from catalogsync.reader.xls import XlsBook, XlsEncryptedError, XlsError

__all__ = ["as_percent", "cell_text", "read_workbook", "with_zeros"]


def read_workbook(path: Path, kind: str, options: ReadOptions, expect: Collection[str]) -> Sheet:
    """Read one tab of a workbook."""
    try:
        with open_book(path, kind) as workbook:
            tab, sheet, chosen = _choose_tab(path, workbook, options, expect)
            table = _read_tab(path, kind, tab, sheet, chosen, _marks(path, workbook, tab), options, expect)
            return replace(table, carried=_carried(workbook))
    except (calamine.PasswordError, XlsEncryptedError) as error:
        raise encrypted(path) from error
    except (
        calamine.CalamineError,
        zipfile.BadZipFile,
        ElementTree.ParseError,
        ExpatError,
        XlsError,
        KeyError,
        EOFError,
        NotImplementedError,
        OverflowError,  # a span of time of more days than there are
    ) as error:
        raise SheetError(
            f"{path.name} is an {kind} that is cut off or damaged ({error}). "
            "Open it in Excel or LibreOffice and save it again."
        ) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # Rust's, and no Exception: calamine met what it never expected
            raise
        raise SheetError(
            f"{path.name} is an {kind} that is damaged or very unusual. "
            "Open it in Excel or LibreOffice and save it again."
        ) from error


def _marks(path: Path, workbook: Workbook, tab: str) -> Marks:
    return workbook.marks(tab) if isinstance(workbook, XlsBook | XlsxBook) else ods_marks(path, tab)


def _carried(workbook: Workbook) -> tuple[str, ...]:
    """The lines of the values that an export carries; none where that tab is gone."""
    if own.VALUES_TAB not in workbook.sheet_names:
        return ()
    rows = workbook.get_sheet_by_name(own.VALUES_TAB).iter_rows()
    return tuple(cell_text(row[0]) for row in rows if row)


def _visible_tabs(workbook: Workbook) -> list[str]:
    return [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible == calamine.SheetVisibleEnum.Visible and sheet.typ == calamine.SheetTypeEnum.WorkSheet
    ]


def _choose_tab(
    path: Path, workbook: Workbook, options: ReadOptions, expect: Collection[str]
) -> tuple[str, WorkbookSheet, str]:
    if options.tab in workbook.sheet_names:
        return options.tab, workbook.get_sheet_by_name(options.tab), "as set"
    visible = _visible_tabs(workbook)
    sheets = {name: workbook.get_sheet_by_name(name) for name in visible}
    heads = {name: head for name, sheet in sheets.items() if (head := _head(sheet)).rows}
    exported = [name for name, head in heads.items() if own.header_of(head.rows) is not None]
    if len(exported) == 1:
        return exported[0], sheets[exported[0]], "the products of an export"
    if options.tab is not None:
        raise SheetError(
            f"{path.name} has no tab {options.tab!r}. Set `sheet:` in the mapping, or --sheet, to one of them.",
            _tab_problems(path, workbook),
        )
    if not heads:
        hidden = "" if len(visible) == len(workbook.sheet_names) else " (hidden tabs are not looked at)"
        raise SheetError(
            f"{path.name} has no visible tab with data{hidden}. An empty sheet is not read as an empty catalog.",
            _tab_problems(path, workbook),
        )
    if len(heads) == 1:
        name = next(iter(heads))
        how = "the only tab" if len(workbook.sheet_names) == 1 else "the only visible tab with data"
        return name, sheets[name], how
    found = {name: find_header(head.rows, expect, head.spread).found for name, head in heads.items()}
    most = max(found.values())
    best = [name for name, count in found.items() if count == most]
    if most and len(best) == 1:
        return best[0], sheets[best[0]], "the only tab with the headers that the mapping names"
    raise SheetError(
        f"{path.name} has several tabs with data. Set `sheet:` in the mapping, or --sheet, to one of them.",
        _tab_problems(path, workbook),
    )


def _tab_problems(path: Path, workbook: Workbook) -> list[Problem]:
    visible = set(_visible_tabs(workbook))
    return [Problem(f"{path.name}!{name}", "tab" if name in visible else "hidden tab") for name in workbook.sheet_names]


@dataclass(frozen=True, slots=True)
class _Head:
    """The first rows that hold something: 0-based numbers, texts, and these with merged cells spread out."""

    numbers: list[int]
    rows: list[list[str]]
    spread: list[Sequence[str]]


def _head(sheet: WorkbookSheet, wanted: tuple[int, ...] | None = None) -> _Head:
    """The first rows that hold something; the header's only where it is `wanted`."""
    numbers: list[int] = []
    rows: list[list[str]] = []
    for number, row in enumerate(sheet.iter_rows()):
        texts = texts_of(row)
        if is_blank(texts) or (wanted and number + 1 < wanted[0]):
            continue
        if wanted and number + 1 > wanted[-1]:
            break
        numbers.append(number)
        rows.append(texts)
        if len(rows) == HEAD_ROWS:
            break
    left = sheet.start[1] if sheet.start else 0
    return _Head(numbers, rows, spread_out(rows, numbers, _merged(sheet), left))


def _merged(sheet: WorkbookSheet) -> tuple[Merged, ...]:
    return tuple(Merged(*first, *last) for first, last in sheet.merged_cell_ranges or ())


def _read_tab(
    path: Path,
    kind: str,
    tab: str,
    sheet: WorkbookSheet,
    chosen: str,
    marks: Marks,
    options: ReadOptions,
    expect: Collection[str],
) -> Sheet:
    left = sheet.start[1] if sheet.start else 0  # calamine's rows begin at the first column that holds anything
    wanted = options.header_rows
    head = _head(sheet)
    exported = own.header_of(head.rows)
    if exported is not None:
        wanted = (head.numbers[exported] + 1,)
    if wanted is not None:
        head = _head(sheet, wanted)
    if wanted and wanted[0] - 1 not in head.numbers:
        raise SheetError(f"{path.name}!{tab}: row {wanted[0]} cannot be the header row: it is blank or not there.")
    if not head.rows:
        raise SheetError(f"{path.name}!{tab} is empty. An empty sheet is not read as an empty catalog.")
    if wanted is None:
        header = find_header(head.rows, expect, head.spread)
    else:
        how = "as set" if exported is None else "that of an export"
        header = Header(0, how, depth=len(wanted and head.rows))
    header_numbers = head.numbers[header.index : header.end]
    start = header_numbers[-1] + 1 if header_numbers else head.numbers[header.index]
    without_text = (*marks.errors, *marks.without_value)
    occupied = {column for _row, column in without_text}
    headers = [""] * left + names_of(head.rows, header, head.spread)
    headers += [""] * (max(occupied, default=-1) + 1 - len(headers))
    table = _Table(len(headers), left, start, marks)
    below = start
    for block in blocks_of(sheet, start):
        table.add(block)
        below = block.first + block.size
    # calamine ends where its values end: rows that hold nothing but errors may follow.
    for row in sorted({row for row, _column in without_text if row >= below}):
        table.add(Block(row, 1, []))
    columns, rows, problems = table.finish()
    width = table_width(headers, columns, occupied)
    if not len(rows):
        raise SheetError(
            f"{path.name}!{tab} has headers in row {start} and no rows below them. "
            "An empty sheet is not read as an empty catalog."
        )
    facts = {
        "type": kind,
        "tab": f"{tab} ({chosen})",
        "header row": header_words([number + 1 for number in header_numbers], header),
        "rows": str(len(rows)),
    }
    if table.blank:
        facts["blank rows skipped"] = str(table.blank)
    problems += [
        CellProblem(row + 1, column, None, *error_words(text))
        for (row, column), text in marks.errors.items()
        if row in header_numbers
    ]
    headers = headers[:width]
    cells = frame(columns[:width], len(rows))
    return Sheet(
        path,
        tab,
        tuple(headers),
        cells,
        rows,
        in_order(problems),
        facts,
        table.numbers(),
        hidden=marks.hidden_among(rows),
        merged=_merged(sheet) or tuple(Merged(*first, *last) for first, last in marks.merged),
    )


class _Table:
    """Gathers blocks of rows into text columns."""

    def __init__(self, width: int, left: int, start: int, marks: Marks) -> None:
        self.blank = 0
        self._trailing_blank = 0
        self._width = width
        self._left = left
        self._marks = marks
        marked = {*marks.errors, *marks.without_value, *marks.zeros, *marks.percents}
        self._marked = sorted((row, column) for row, column in marked if row >= start and column < width)
        self._columns: list[list[pa.Array]] = [[] for _ in range(width)]
        self._numbers: list[list[NDArray[np.bool_]]] = [[] for _ in range(width)]
        self._rows: list[NDArray[np.int64]] = []
        self._problems: list[CellProblem] = []
        self._length = 0

    def add(self, block: Block) -> None:
        first, size = block.first, block.size
        nothing = Cells(pa.array([""] * size, TEXT_TYPE), np.zeros(size, dtype=np.bool_), [])
        cells = [nothing] * self._left + block.columns
        cells += [nothing] * (self._width - len(cells))
        columns = [each.texts for each in cells]
        found: list[tuple[int, int, str, str]] = [  # row in the block, column, what, hint
            (row, column, _inexact(each.texts[row].as_py()), _INEXACT_HINT)
            for column, each in enumerate(cells)
            for row in each.inexact
        ]
        low, high = bisect_left(self._marked, (first,)), bisect_left(self._marked, (first + size,))
        patches: dict[int, dict[int, str]] = {}
        filled: set[int] = set()
        for row, column in self._marked[low:high]:
            place, inside = (row, column), row - first
            if place in self._marks.errors:
                text = self._marks.errors[place]
                patches.setdefault(column, {})[inside] = text
                found.append((inside, column, *error_words(text)))
                filled.add(inside)
            if place in self._marks.without_value:
                found.append((inside, column, "the formula has no stored value", _NO_VALUE_HINT))
                filled.add(inside)
            if cells[column].is_number[inside]:
                text = columns[column][inside].as_py()
                if place in self._marks.zeros:
                    patches.setdefault(column, {})[inside] = with_zeros(text, self._marks.zeros[place])
                elif place in self._marks.percents:
                    patches.setdefault(column, {})[inside] = as_percent(text)
        for column, texts_by_row in patches.items():
            texts = columns[column].to_pylist()
            for inside, text in texts_by_row.items():
                texts[inside] = text
            columns[column] = pa.array(texts, TEXT_TYPE)
        told = {(inside, column) for inside, column, _what, _hint in found}
        for column, texts in enumerate(columns):
            found += [
                (inside, column, *error_words(text))
                for inside, text in _error_texts(texts)
                if (inside, column) not in told
            ]
        blank = blank_rows([pa.chunked_array([column]) for column in columns], size)
        blank[list(filled)] = False
        keep = np.flatnonzero(~blank)
        if len(keep):
            self.blank += self._trailing_blank + int(blank[: keep[-1]].sum())
            self._trailing_blank = int(blank[keep[-1] :].sum())
        else:
            self._trailing_blank += size
        position_of = np.cumsum(~blank) - 1 + self._length
        for inside, column, what_text, hint in found:
            self._problems.append(CellProblem(first + inside + 1, column, int(position_of[inside]), what_text, hint))
        for column, texts in enumerate(columns):
            self._columns[column].append(texts if len(keep) == size else texts.take(pa.array(keep)))
            self._numbers[column].append(cells[column].is_number[keep])
        self._rows.append((keep + first + 1).astype(np.int64))
        self._length += len(keep)

    def numbers(self) -> dict[int, NDArray[np.bool_]]:
        """Which cells of a column were stored as numbers, for the columns that have any."""
        found = {column: np.concatenate(masks) for column, masks in enumerate(self._numbers) if masks}
        return {column: mask for column, mask in found.items() if mask.any()}

    def finish(self) -> tuple[list[pa.ChunkedArray], NDArray[np.int64], list[CellProblem]]:
        rows = np.concatenate(self._rows) if self._rows else np.zeros(0, dtype=np.int64)
        return [pa.chunked_array(chunks, TEXT_TYPE) for chunks in self._columns], rows, self._problems


_NO_VALUE_HINT = "open the workbook in Excel or LibreOffice and save it, so that the result is stored"
_INEXACT_HINT = "a number keeps 15 digits only: store codes this long as text"


def _inexact(text: str) -> str:
    return f"the number {text} has more digits than a workbook keeps, so its last digits are lost"


def _error_texts(texts: pa.Array) -> Iterator[tuple[int, str]]:
    """Error values that were stored as text: copied as values, or written by another program."""
    hits = np.asarray(pc.starts_with(texts, "#").to_numpy(zero_copy_only=False), dtype=np.bool_)
    for inside in np.flatnonzero(hits).tolist():
        text = texts[inside].as_py()
        if text in ERROR_TEXTS:
            yield inside, text
