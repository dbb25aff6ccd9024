"""CSV and TSV as one table of text: every cell as it stands in the file, every record with its line.

A regular file is parsed in columns (regular.py); whatever is not regular goes through ``csv.reader``. Both give the
same table. A file is regular when quotes enclose whole fields only, every line ends the usual way and
every record is as wide as the header.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalogsync.errors import Problem, SheetError
from catalogsync.reader import limits
from catalogsync.reader.dialect import ONE_COLUMN, announced_delimiter, find_dialect, head_of
from catalogsync.reader.encoding import Encoding, find_encoding
from catalogsync.reader.header import HEAD_ROWS, Header, find_header, header_words, names_of
from catalogsync.reader.lines import check_lines, check_problems, check_size, open_quotes
from catalogsync.reader.records import Dialect, field_limit, lines_of, records_of
from catalogsync.reader.regular import Records, read_regular
from catalogsync.reader.sheet import (
    ERROR_TEXTS,
    CellProblem,
    ReadOptions,
    Sheet,
    blank_rows,
    error_words,
    frame,
    in_order,
    is_blank,
    table_width,
)
from catalogsync.reader.textmark import without_text_mark, without_text_marks

_DELIMITER_NAMES = {"\t": "tab", ONE_COLUMN: "none (one column)"}
_SHOWN_PROBLEM_CHARACTERS = 60
_BLOCK_RECORDS = 1 << 15


def read_text(path: Path, data: bytes, options: ReadOptions, expect: Collection[str]) -> Sheet:
    """Read a delimited text file. `data` is its content."""
    encoding = find_encoding(path, data, options.encoding)
    body = encoding.utf8(data)
    del data
    if body.endswith(b"\x1a"):  # how DOS programs end a text
        body = body[:-1]
    check_lines(path, body)
    first_line, delimiter = 1, options.delimiter
    announced = announced_delimiter(body)
    if announced is not None:
        delimiter = delimiter or announced[0]
        body, first_line = body[announced[1] :], 2
    if delimiter is not None and len(delimiter) != 1:
        raise SheetError(f"{path.name}: the delimiter must be one character, not {delimiter!r}.")
    if options.quote is not None and len(options.quote) > 1:
        raise SheetError(f"{path.name}: the quote must be one character or empty, not {options.quote!r}.")
    with field_limit():
        head, cut = head_of(body)
        dialect = find_dialect(head, cut, delimiter, options.quote, expect)
        reading = _read(path, body, dialect, first_line, options, expect)
        if options.quote is None and reading.records.problems:
            literal = Dialect(dialect.delimiter, "")
            rival = _read(path, body, literal, first_line, options, expect)
            if _quotes_are_text(reading, rival):
                dialect, reading = literal, rival
                reading.records.problems += open_quotes(reading.records.columns, reading.records.lines, '"')
    has_apostrophe, has_number_sign = b"'" in body, b"#" in body
    del body  # the columns are as large
    if has_apostrophe:
        reading.each_column(without_text_marks)
    return reading.sheet(path, encoding, dialect, may_hold_errors=has_number_sign)


@dataclass(slots=True)
class _Reading:
    header_lines: tuple[int, ...]
    header: Header
    headers: list[str]
    records: Records

    def each_column(self, change: Callable[[pa.ChunkedArray], pa.ChunkedArray]) -> None:
        """Change the columns one by one, so that no more than one is there twice."""
        columns = self.records.columns
        for number, column in enumerate(columns):
            columns[number] = change(column)

    def sheet(self, path: Path, encoding: Encoding, dialect: Dialect, *, may_hold_errors: bool) -> Sheet:
        columns, lines, problems = self.records.columns, self.records.lines, self.records.problems
        check_problems(path, problems)
        width = table_width(self.headers, columns)
        headers = self.headers[:width]
        del columns[width:]
        blank = blank_rows(columns, len(lines))
        skipped = int(blank.sum())
        if skipped:
            keep = pa.array(~blank)
            self.each_column(lambda column: column.filter(keep))
            lines = lines[~blank]
        if not len(lines):
            where = f"has headers in line {self.header_lines[-1]} and" if self.header_lines else "has"
            raise SheetError(
                f"{path.name} {where} no rows below them that can be read. "
                "An empty sheet is not read as an empty catalog.",
                [Problem(f"{path.name}:{problem.row}", problem.what, problem.hint) for problem in problems],
            )
        quote = "none (quotes are text)" if not dialect.quote else dialect.quote
        facts = {
            "type": "text",
            "encoding": f"{encoding.name} ({encoding.how})",
            "delimiter": _DELIMITER_NAMES.get(dialect.delimiter, dialect.delimiter),
            "quote": quote + (", a blank before it is skipped" if dialect.blank_before_quote else ""),
            "header row": header_words(self.header_lines, self.header),
            "rows": str(len(lines)),
        }
        if skipped:
            facts["blank rows skipped"] = str(skipped)
        if problems:
            facts["rows not read"] = str(len(problems))
        every_problem = in_order([*problems, *(_error_cells(columns, lines) if may_hold_errors else ())])
        return Sheet(path, None, tuple(headers), frame(columns, len(lines)), lines, every_problem, facts)


def _quotes_are_text(quoted: _Reading, literal: _Reading) -> bool:
    """Whether quotes enclose nothing in this file: reading them as text gives fewer problems, or changes nothing.

    Not where more values than that are wholly enclosed: a stray quote does not make the others text.
    """
    problems = len(quoted.records.problems)
    if len(literal.records.problems) == problems:
        return quoted.headers == literal.headers and quoted.records.columns == literal.records.columns
    enclosed = sum(
        pc.sum(pc.match_substring_regex(column, '(?s)^".*"$')).as_py() or 0 for column in literal.records.columns
    )
    return len(literal.records.problems) < problems and enclosed < problems


def _read(
    path: Path, body: bytes, dialect: Dialect, first_line: int, options: ReadOptions, expect: Collection[str]
) -> _Reading:
    wanted = options.header_rows
    starts, rows = _head_records(path, body, dialect, first_line, wanted)
    rows = [[without_text_mark(text) for text in row] for row in rows]
    header = find_header(rows, expect) if wanted is None else Header(0, "as set", depth=len(wanted and rows))
    names = names_of(rows, header)
    named = max((number for number, name in enumerate(names, start=1) if name), default=0)
    below = rows[header.end :]
    if below and named and all(len(row) == named for row in below):
        names = names[:named]  # delimiters at the end of the header line only
    start = starts[max(header.index, header.end - 1)]
    check_size(path, body, start, len(names), dialect.delimiter)
    offset = _offset_of_line(body, start - first_line)
    has_header = header.depth > 0
    records = read_regular(body, offset, dialect, len(names), start, has_header=has_header)
    if records is None:
        records = read_irregular(body, offset, dialect, len(names), start, has_header=has_header)
    return _Reading(tuple(starts[header.index : header.end]), header, names, records)


def _head_records(
    path: Path, body: bytes, dialect: Dialect, first_line: int, wanted: tuple[int, ...] | None
) -> tuple[list[int], list[list[str]]]:
    """The first records that hold something, with their lines: those of the header where it is `wanted`."""
    starts: list[int] = []
    rows: list[list[str]] = []
    last_line = 0
    for line, row in records_of(lines_of(body), dialect, first_line):
        last_line = line
        if isinstance(row, str) or is_blank(row) or (wanted and line < wanted[0]):
            continue
        if wanted and line > wanted[-1]:
            break
        starts.append(line)
        rows.append(row)
        if len(rows) == HEAD_ROWS:
            break
    if wanted and wanted[0] not in starts:
        raise SheetError(
            f"{path.name}: line {wanted[0]} cannot be the header row: "
            + ("the file ends before it." if last_line < wanted[0] else "it is blank, or in the middle of a record.")
        )
    if not rows:
        raise SheetError(f"{path.name} holds no rows: nothing but blank lines.")
    return starts, rows


def read_irregular(
    body: bytes, offset: int, dialect: Dialect, width: int, first_line: int, *, has_header: bool = True
) -> Records:
    """The records after the header, one by one, each problem with its line."""
    lines: list[int] = []
    kept: list[list[str]] = []
    blocks: list[list[pa.Array]] = [[] for _ in range(width)]
    problems: list[CellProblem] = []
    records = records_of(lines_of(body, offset), dialect, first_line)
    for line, row in itertools.islice(records, int(has_header), None):
        if len(problems) > limits.MOST_PROBLEMS:
            break  # the sheet is refused
        if isinstance(row, str):
            problems.append(CellProblem(line, None, None, row, "mend the quotes in this line, or set --quote"))
            continue
        if len(row) != width:
            if is_blank(row):
                continue
            if len(row) < width or not is_blank(row[width:]):
                problems.append(_wrong_width(line, row, width))
                continue
            del row[width:]
        lines.append(line)
        kept.append(row)
        if len(kept) == _BLOCK_RECORDS:
            _to_columns(kept, blocks)
            kept = []
    _to_columns(kept, blocks)
    columns = [pa.chunked_array(block, pa.large_string()) for block in blocks]
    return Records(columns, np.array(lines, dtype=np.int64), problems)


def _to_columns(records: list[list[str]], blocks: list[list[pa.Array]]) -> None:
    for column, values in enumerate(zip(*records, strict=True)):
        blocks[column].append(pa.array(values, pa.large_string()))


def _wrong_width(line: int, row: Sequence[str], width: int) -> CellProblem:
    start = " | ".join(row[: _SHOWN_PROBLEM_CHARACTERS + 1])
    if len(start) > _SHOWN_PROBLEM_CHARACTERS:
        start = start[:_SHOWN_PROBLEM_CHARACTERS] + "…"
    return CellProblem(
        line,
        None,
        None,
        f"the row has {len(row)} cell{'' if len(row) == 1 else 's'} where the header has {width}: {start!r}",
        "a delimiter or a line break inside a value must be quoted",
    )


def _offset_of_line(body: bytes, lines_before: int) -> int:
    """Where a line starts, given how many lines (ended by LF, CR or CRLF) come before it."""
    offset = 0
    for _ in range(lines_before):
        feed, back = body.find(b"\n", offset), body.find(b"\r", offset)
        if back >= 0 and (feed < 0 or back < feed):
            offset = back + (2 if body[back + 1 : back + 2] == b"\n" else 1)
        else:
            offset = feed + 1
    return offset


def _error_cells(columns: Sequence[pa.ChunkedArray], lines: NDArray[np.int64]) -> Iterator[CellProblem]:
    """Cells that hold an error value: spreadsheets write them into CSV as plain text."""
    wanted = pa.array(sorted(ERROR_TEXTS), pa.large_string())
    for number, column in enumerate(columns):
        if pc.any(pc.starts_with(column, "#")).as_py():
            hits = pd.array(pc.is_in(column, value_set=wanted)).to_numpy(dtype=np.bool_)
            for position in np.flatnonzero(hits).tolist():
                yield CellProblem(int(lines[position]), number, position, *error_words(column[position].as_py()))
