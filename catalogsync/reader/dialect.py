"""How a text file separates its fields, found out from its head."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from catalogsync.reader.header import find_header
from catalogsync.reader.records import Dialect, lines_of, records_of
from catalogsync.reader.sheet import is_blank

DELIMITERS = ",;\t|"
HEAD_CHARACTERS = 1 << 16
ONE_COLUMN = "\x1f"  # stands in for a delimiter where there is none: no text holds it


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
    records = [row for _line, row in records_of(lines_of(head.encode()), dialect, 1)]
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
    bare = re.sub(f"{mark}(?:[^{mark}]|{mark}{mark})*{mark}", "\0", head[:HEAD_CHARACTERS])
    after_blank = re.findall(f"{between} +(.)", bare, re.DOTALL)
    return bool(after_blank) and set(after_blank) == {"\0"}


def announced_delimiter(body: bytes) -> tuple[str, int] | None:
    """The delimiter of a first line ``sep=;``, as Excel writes and honours it, and where the next line starts."""
    end = body.find(b"\n")
    if end < 0 or end > 8:
        return None
    line = body[:end].rstrip(b"\r").strip(b'"')
    if len(line) != 5 or line[:4].lower() != b"sep=":
        return None
    return line[4:].decode("latin-1"), end + 1


def head_of(body: bytes) -> tuple[str, bool]:
    """The first characters of the file in whole lines, and whether the rest was cut off."""
    if len(body) <= HEAD_CHARACTERS:
        return body.decode(), False
    end = body.rfind(b"\n", 0, HEAD_CHARACTERS)
    if end < 0:
        end = body.find(b"\n", HEAD_CHARACTERS)
    return (body.decode(), False) if end < 0 else (body[: end + 1].decode(), True)
