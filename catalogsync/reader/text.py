"""CSV and TSV as one table of text: every cell as it stands in the file, every record with its line.

A regular file is parsed in columns by pyarrow; whatever is not regular goes through ``csv.reader``. Both give the
same table. A file is regular when quotes enclose whole fields only, every line ends the usual way and
every record is as wide as the header.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from catalogsync.errors import Problem, SheetError
from catalogsync.reader.encoding import Encoding, find_encoding
from catalogsync.reader.header import HEAD_ROWS, Header, find_header, header_words, names_of
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

DELIMITERS = ",;\t|"
HEAD_CHARACTERS = 1 << 16
ONE_COLUMN = "\x1f"  # stands in for a delimiter where there is none: no text holds it

_DELIMITER_NAMES = {"\t": "tab", ONE_COLUMN: "none (one column)"}
_SHOWN_PROBLEM_CHARACTERS = 60
_BLOCK_RECORDS = 1 << 15
_PIECE_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 21
_REPLAYED_LINES = 1 << 20  # lines read again after stray quotes, in all: keeps a bad file linear


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text file separates its fields. `quote` is ``""`` where quotes are ordinary text."""

    delimiter: str
    quote: str
    blank_before_quote: bool = False  # written as `"1"; "name"`: the blank belongs to the delimiter


@dataclass(slots=True)
class Records:
    """The records below the header, in columns."""

    columns: list[pa.ChunkedArray]
    lines: NDArray[np.int64]
    problems: list[CellProblem]


def read_text(path: Path, data: bytes, options: ReadOptions, expect: Collection[str]) -> Sheet:
    """Read a delimited text file. `data` is its content."""
    encoding = find_encoding(path, data, options.encoding)
    body = encoding.utf8(data)
    del data
    if body.endswith(b"\x1a"):  # how DOS programs end a text
        body = body[:-1]
    first_line, delimiter = 1, options.delimiter
    announced = _announced_delimiter(body)
    if announced is not None:
        delimiter = delimiter or announced[0]
        body, first_line = body[announced[1] :], 2
    if delimiter is not None and len(delimiter) != 1:
        raise SheetError(f"{path.name}: the delimiter must be one character, not {delimiter!r}.")
    if options.quote is not None and len(options.quote) > 1:
        raise SheetError(f"{path.name}: the quote must be one character or empty, not {options.quote!r}.")
    with _long_fields():
        head, cut = _head(body)
        dialect = find_dialect(head, cut, delimiter, options.quote, expect)
        reading = _read(path, body, dialect, first_line, options, expect)
        if options.quote is None and reading.records.problems:
            literal = Dialect(dialect.delimiter, "")
            rival = _read(path, body, literal, first_line, options, expect)
            if _quotes_are_text(reading, rival):
                dialect, reading = literal, rival
    return reading.sheet(path, body, encoding, dialect)


@dataclass(slots=True)
class _Reading:
    header_lines: tuple[int, ...]
    header: Header
    headers: list[str]
    records: Records

    def sheet(self, path: Path, body: bytes, encoding: Encoding, dialect: Dialect) -> Sheet:
        columns, lines, problems = self.records.columns, self.records.lines, self.records.problems
        width = table_width(self.headers, columns)
        columns, headers = columns[:width], self.headers[:width]
        blank = blank_rows(columns, len(lines))
        skipped = int(blank.sum())
        if skipped:
            keep = np.flatnonzero(~blank)
            columns = [column.take(pa.array(keep)) for column in columns]
            lines = lines[keep]
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
        every_problem = in_order([*problems, *_error_cells(body, columns, lines)])
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
    header = find_header(rows, expect) if wanted is None else Header(0, "as set", depth=len(wanted and rows))
    names = names_of(rows, header)
    named = max((number for number, name in enumerate(names, start=1) if name), default=0)
    below = rows[header.end :]
    if below and named and all(len(row) == named for row in below):
        names = names[:named]  # delimiters at the end of the header line only
    start = starts[max(header.index, header.end - 1)]
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
    for line, row in _records(_lines(body), dialect, first_line):
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


def read_regular(
    body: bytes, offset: int, dialect: Dialect, width: int, first_line: int, *, has_header: bool = True
) -> Records | None:
    """The records after the header, parsed in columns; None where the text is not regular throughout."""
    if not dialect.delimiter.isascii() or not dialect.quote.isascii() or dialect.blank_before_quote:
        return None
    starts = regular_record_lines(body, offset, dialect)
    if starts is None:
        return None
    names = [str(number) for number in range(width)]
    quoted = bool(dialect.quote) and body.find(dialect.quote.encode(), offset) >= 0
    irregular = False

    def stop(_row: pacsv.InvalidRow) -> str:
        nonlocal irregular
        irregular = True
        return "error"

    try:
        table = pacsv.read_csv(
            pa.BufferReader(pa.py_buffer(body).slice(offset)),
            read_options=pacsv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote or False,
                double_quote=True,
                escape_char=False,
                newlines_in_values=quoted,  # where nothing can be quoted, all processors share the work
                ignore_empty_lines=True,
                invalid_row_handler=stop,
            ),
            convert_options=pacsv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.large_string()),
                strings_can_be_null=False,
                null_values=[],
            ),
        )
    except pa.ArrowInvalid:
        return None
    if irregular or table.num_rows != len(starts):
        return None
    first = int(has_header)
    return Records([column.slice(first) for column in table.columns], starts[first:] + (first_line - 1), [])


def regular_record_lines(body: bytes, offset: int, dialect: Dialect) -> NDArray[np.int64] | None:
    """The 1-based line on which each record starts, blank lines left out; None where the text is not regular."""
    if len(body) <= offset or body.startswith(b"\xef\xbb\xbf", offset):  # pyarrow would drop the mark
        return None
    octets = np.frombuffer(body, dtype=np.uint8, offset=offset)
    size = len(octets)
    ends = _positions(octets, 10)
    # A lone carriage return ends a line for csv.reader, inside quotes and out: rare, so left to it.
    if body.count(b"\r", offset) != int((octets[ends[ends > 0] - 1] == 13).sum()):
        return None
    closing = np.append(ends, size) if not len(ends) or ends[-1] != size - 1 else ends
    records = np.ones(len(closing), dtype=np.bool_)
    if dialect.quote:
        quotes = _positions(octets, ord(dialect.quote))
        if len(quotes):
            if len(quotes) % 2:
                return None
            border = np.zeros(256, dtype=np.bool_)
            border[[ord(dialect.delimiter), 10, 13, ord(dialect.quote)]] = True
            opened, closed = quotes[0::2], quotes[1::2]
            before = octets[np.maximum(opened - 1, 0)]
            following = octets[np.minimum(closed + 1, size - 1)]
            if not (border[before] | (opened == 0)).all() or not (border[following] | (closed == size - 1)).all():
                return None
            # A quote before an opening one must be the closing one of the same field: a doubled quote.
            records = np.searchsorted(quotes, closing) % 2 == 0
    line_starts = np.append(0, ends + 1)[: len(closing)]
    record_ends = np.flatnonzero(records)
    first_lines = np.append(0, record_ends + 1)[: len(record_ends)]
    begin, end = line_starts[first_lines], closing[record_ends]
    content = end - begin
    blank = (content == 0) | ((content == 1) & (octets[np.minimum(begin, size - 1)] == 13))
    starts: NDArray[np.int64] = (first_lines[~blank] + 1).astype(np.int64)
    return starts


def _positions(octets: NDArray[np.uint8], wanted: int) -> NDArray[np.int64]:
    """Where a byte stands; in pieces that fit the processor's cache."""
    found = [
        np.flatnonzero(octets[start : start + _PIECE_BYTES] == wanted) + start
        for start in range(0, len(octets), _PIECE_BYTES)
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def read_irregular(
    body: bytes, offset: int, dialect: Dialect, width: int, first_line: int, *, has_header: bool = True
) -> Records:
    """The records after the header, one by one, each problem with its line."""
    lines: list[int] = []
    kept: list[list[str]] = []
    blocks: list[list[pa.Array]] = [[] for _ in range(width)]
    problems: list[CellProblem] = []
    records = _records(_lines(body, offset), dialect, first_line)
    for line, row in itertools.islice(records, int(has_header), None):
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
    start = " | ".join(row)
    if len(start) > _SHOWN_PROBLEM_CHARACTERS:
        start = start[:_SHOWN_PROBLEM_CHARACTERS] + "…"
    return CellProblem(
        line,
        None,
        None,
        f"the row has {len(row)} cell{'' if len(row) == 1 else 's'} where the header has {width}: {start!r}",
        "a delimiter or a line break inside a value must be quoted",
    )


class _Replay:
    """Lines that can be read again from the second line of the current record on."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: list[str] = []
        self.record: list[str] = []  # the lines of the current record

    def __iter__(self) -> _Replay:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._lines)
        self.record.append(line)
        return line

    def rewind(self) -> None:
        self._again += reversed(self.record[1:])
        self.record = []


def _records(lines: Iterator[str], dialect: Dialect, first_line: int) -> Iterator[tuple[int, list[str] | str]]:
    """Each record with the line it starts on; a str in place of the cells says why they cannot be read.

    After a stray quote, reading goes on with the line after the one where the broken record starts.
    """
    source = _Replay(lines)
    line = first_line
    budget = _REPLAYED_LINES
    while True:
        reader = _csv_reader(source, dialect)
        while True:
            source.record = []
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                size = len(source.record)
                yield line, _broken(error, line, line + size - 1)
                budget -= size - 1
                if budget > 0:
                    source.rewind()
                    line += 1
                else:
                    line += size
                break
            if row:
                yield line, row
            line += len(source.record)


def _broken(error: csv.Error, first: int, last: int) -> str:
    if "unexpected end of data" in str(error):
        return "a quote opens in this line and never closes"
    spread = f" (lines {first} to {last} would be one record)" if last > first else ""
    return f"a quote stands inside a quoted value{spread}"


def _csv_reader(lines: Iterator[str], dialect: Dialect) -> Iterator[list[str]]:
    if not dialect.quote:
        return csv.reader(lines, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE, quotechar=None, strict=True)
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        skipinitialspace=dialect.blank_before_quote,
        strict=True,
    )


def _lines(body: bytes, offset: int = 0) -> Iterator[str]:
    """The physical lines, decoded piece by piece; LF, CR and CRLF each end one."""
    file = io.BytesIO(body)
    file.seek(offset)
    return io.TextIOWrapper(file, encoding="utf-8", newline="")


@contextmanager
def _long_fields() -> Iterator[None]:
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def find_dialect(head: str, cut: bool, delimiter: str | None, quote: str | None, expect: Collection[str]) -> Dialect:
    """Choose delimiter and quote by how evenly they divide the head of the file.

    Quotes enclose values here unless set otherwise; read_text looks at the whole file for that.
    The best delimiter finds the most expected headers in one row; then has the largest share of records with
    the usual width, counting the first record double; then is the wider; then is the earlier of
    ``, ; tab |``. None that gives at least two columns in half of the records: one column.
    """
    marks = ['"', ""] if quote is None else [quote]
    best: tuple[tuple[float, ...], str] | None = None
    for rank, candidate in enumerate([delimiter] if delimiter is not None else DELIMITERS):
        if candidate not in head:
            continue
        for mark in marks:
            score = _evenness(_head_rows(head, cut, Dialect(candidate, mark)), expect)
            if score is not None and (best is None or (*score, -rank) > best[0]):
                best = (*score, -rank), candidate
    found = best[1] if best else delimiter or ONE_COLUMN
    blank_before_quote = bool(marks[0]) and _blank_before_quotes(head, found, marks[0])
    return Dialect(found, marks[0], blank_before_quote)


def _head_rows(head: str, cut: bool, dialect: Dialect) -> list[list[str] | str]:
    """The records of the head, blank ones left out; the last one is, too, where the head was cut in it."""
    records = [row for _line, row in _records(_lines(head.encode()), dialect, 1)]
    return [
        row for row in records[: -1 if cut and len(records) > 1 else None] if isinstance(row, str) or not is_blank(row)
    ]


def _evenness(records: Sequence[list[str] | str], expect: Collection[str]) -> tuple[float, ...] | None:
    rows = [row for row in records if not isinstance(row, str)]
    if not rows:
        return None
    widths = Counter(map(len, rows))
    usual = max(widths, key=lambda width: (widths[width], width))
    share = (widths[usual] + (len(rows[0]) == usual)) / (len(records) + 1)
    if usual < 2 or share < 0.5:
        return None
    return float(find_header(rows, expect).found), round(share, 2), float(usual)


def _blank_before_quotes(head: str, delimiter: str, quote: str) -> bool:
    """Whether a blank at the start of a value always comes before a quote, as in ``"1"; "name"``."""
    mark, between = re.escape(quote), re.escape(delimiter)
    bare = re.sub(f"{mark}(?:[^{mark}]|{mark}{mark})*{mark}", "\0", head)
    after_blank = re.findall(f"{between} +(.)", bare, re.DOTALL)
    return bool(after_blank) and set(after_blank) == {"\0"}


def _announced_delimiter(body: bytes) -> tuple[str, int] | None:
    """The delimiter of a first line ``sep=;``, as Excel writes and honours it, and where the next line starts."""
    end = body.find(b"\n")
    if end < 0 or end > 8:
        return None
    line = body[:end].rstrip(b"\r").strip(b'"')
    if len(line) != 5 or line[:4].lower() != b"sep=":
        return None
    return line[4:].decode("latin-1"), end + 1


def _head(body: bytes) -> tuple[str, bool]:
    """The first characters of the file in whole lines, and whether the rest was cut off."""
    if len(body) <= HEAD_CHARACTERS:
        return body.decode(), False
    end = body.rfind(b"\n", 0, HEAD_CHARACTERS)
    if end < 0:
        end = body.find(b"\n", HEAD_CHARACTERS)
    return (body.decode(), False) if end < 0 else (body[: end + 1].decode(), True)


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


def _error_cells(body: bytes, columns: Sequence[pa.ChunkedArray], lines: NDArray[np.int64]) -> Iterator[CellProblem]:
    """Cells that hold an error value: spreadsheets write them into CSV as plain text."""
    if b"#" not in body or not any(text.encode() in body for text in ERROR_TEXTS):
        return
    wanted = pa.array(sorted(ERROR_TEXTS), pa.large_string())
    for number, column in enumerate(columns):
        hits = pd.array(pc.is_in(column, value_set=wanted)).to_numpy(dtype=np.bool_)
        for position in np.flatnonzero(hits).tolist():
            yield CellProblem(int(lines[position]), number, position, *error_words(column[position].as_py()))
