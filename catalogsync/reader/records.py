"""The records of a text file, one after the other: what is not regular enough to be read in columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from catalogsync.reader import limits

_REPLAYED_LINES = 1 << 20  # lines read again after stray quotes, in all: keeps a bad file linear


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text file separates its fields. `quote` is ``""`` where quotes are ordinary text."""

    delimiter: str
    quote: str
    blank_before_quote: bool = False  # written as `"1"; "name"`: the blank belongs to the delimiter


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


def records_of(lines: Iterator[str], dialect: Dialect, first_line: int) -> Iterator[tuple[int, list[str] | str]]:
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
    if "field limit" in str(error):
        size = f"{limits.MOST_CELL_CHARACTERS:,} characters"
        return f"a value begins in this line that is longer than {size}: a quote that never closes?"
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


def lines_of(body: bytes, offset: int = 0) -> Iterator[str]:
    """The physical lines, decoded piece by piece; LF, CR and CRLF each end one."""
    file = io.BytesIO(body)
    file.seek(offset)
    return io.TextIOWrapper(file, encoding="utf-8", newline="")


@contextmanager
def field_limit() -> Iterator[None]:
    limit = csv.field_size_limit(limits.MOST_CELL_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
