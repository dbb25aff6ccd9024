"""The records of a text file whose quotes and lines are regular throughout, parsed in columns by pyarrow.

What pyarrow takes in silence is looked for in the bytes: a quote that encloses no whole field, a carriage return on
its own. Where each record starts need not be looked for in most files: with as many records as lines, none is blank
and none goes over several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from catalogsync.reader.records import Dialect
from catalogsync.reader.sheet import CellProblem

_PIECE_BYTES = 1 << 20  # fits the processor's cache
_BLOCK_BYTES = 1 << 21
_FEED, _RETURN = 10, 13

Octets = NDArray[np.uint8]
Places = NDArray[np.int64]


@dataclass(slots=True)
class Records:
    """The records below the header, in columns."""

    columns: list[pa.ChunkedArray]
    lines: Places
    problems: list[CellProblem]


def read_regular(
    body: bytes, offset: int, dialect: Dialect, width: int, first_line: int, *, has_header: bool = True
) -> Records | None:
    """The records after the header, parsed in columns; None where the text is not regular throughout."""
    if not dialect.delimiter.isascii() or not dialect.quote.isascii() or dialect.blank_before_quote:
        return None
    if len(body) <= offset or body.startswith(b"\xef\xbb\xbf", offset):  # pyarrow would drop the mark
        return None
    octets = np.frombuffer(body, dtype=np.uint8, offset=offset)
    lines = _count_lines(octets)
    if lines is None:
        return None
    quotes = positions(octets, ord(dialect.quote)) if dialect.quote else np.zeros(0, dtype=np.int64)
    if len(quotes) and not _enclose_fields(octets, quotes, dialect):
        return None
    table = _columns(octets, dialect, width, has_breaks=False)
    if table is not None and table.num_rows == lines:
        starts = np.arange(1, lines + 1)
    else:
        starts = _record_starts(octets, quotes)
        if len(quotes):
            table = _columns(octets, dialect, width, has_breaks=True)
        if table is None or table.num_rows != len(starts):
            return None
    first = int(has_header)
    return Records([column.slice(first) for column in table.columns], starts[first:] + (first_line - 1), [])


def _columns(octets: Octets, dialect: Dialect, width: int, *, has_breaks: bool) -> pa.Table | None:
    """The text in columns; None where a record is not as wide as the header. `has_breaks`: a value may hold one."""
    names = [str(number) for number in range(width)]
    is_even = True

    def stop(_row: pacsv.InvalidRow) -> str:
        nonlocal is_even
        is_even = False
        return "error"

    try:
        table = pacsv.read_csv(
            pa.BufferReader(pa.py_buffer(octets)),
            read_options=pacsv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote or False,
                double_quote=True,
                escape_char=False,
                newlines_in_values=has_breaks,  # then the text is gone through twice
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
    return table if is_even else None


# --- bytes ---------------------------------------------------------------------------------------------------


def _pieces(octets: Octets) -> Iterator[tuple[int, Octets]]:
    for start in range(0, len(octets), _PIECE_BYTES):
        yield start, octets[start : start + _PIECE_BYTES]


def count_of(octets: Octets, wanted: int) -> int:
    """How often a byte stands in a text: several times as fast as bytes.count."""
    return sum(int(np.count_nonzero(piece == wanted)) for _, piece in _pieces(octets))


def positions(octets: Octets, wanted: int) -> Places:
    """Where a byte stands."""
    found = [np.flatnonzero(piece == wanted) + start for start, piece in _pieces(octets)]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def _count_lines(octets: Octets) -> int | None:
    """How many lines there are. None where a carriage return ends one, which csv.reader takes so in quotes, too."""
    feeds = 0
    for start, piece in _pieces(octets):
        is_feed = octets[start : start + len(piece) + 1] == _FEED
        is_lone = piece == _RETURN
        is_lone[: len(is_feed) - 1] &= ~is_feed[1:]
        if is_lone.any():
            return None
        feeds += int(np.count_nonzero(is_feed[: len(piece)]))
    return feeds + int(octets[-1] != _FEED)


def _enclose_fields(octets: Octets, quotes: Places, dialect: Dialect) -> bool:
    """Whether all quotes enclose whole fields.

    A quote before an opening one must be the closing one of the same field: a doubled quote.
    """
    if len(quotes) % 2:
        return False
    border = np.zeros(256, dtype=np.bool_)
    border[[ord(dialect.delimiter), _FEED, _RETURN, ord(dialect.quote)]] = True
    opened, closed = quotes[0::2], quotes[1::2]
    before = octets.take(opened - 1, mode="clip")  # at the ends of the text: the quote itself
    following = octets.take(closed + 1, mode="clip")
    return bool(border[before].all() and border[following].all())


def _record_starts(octets: Octets, quotes: Places) -> Places:
    """The 1-based line on which each record starts, blank lines left out. `quotes` enclose whole fields."""
    ends = positions(octets, _FEED)
    size = len(octets)
    closing = np.append(ends, size) if not len(ends) or ends[-1] != size - 1 else ends
    line_starts = np.append(0, ends + 1)[: len(closing)]
    record_ends = np.flatnonzero(np.searchsorted(quotes, closing) % 2 == 0)
    first_lines = np.append(0, record_ends + 1)[: len(record_ends)]
    begin, end = line_starts[first_lines], closing[record_ends]
    content = end - begin
    blank = (content == 0) | ((content == 1) & (octets[np.minimum(begin, size - 1)] == _RETURN))
    starts: Places = (first_lines[~blank] + 1).astype(np.int64)
    return starts
