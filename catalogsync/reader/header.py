"""The header of a sheet: which rows it is, several rows as one, or none at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from catalogsync.reader.sheet import BLANKS, Merged, tidy_header

HEAD_ROWS = 50  # how many rows that hold something may precede the header's last row, itself included
MOST_HEADER_ROWS = 3
BETWEEN = " / "
"""Stands between the parts of a header of several rows: ``Price / Retail``."""

BY_RANK = re.compile(r" #([1-9]\d{0,3})$")
"""The second of several columns with the same header is ``Size #2``."""

_NUMBER = re.compile(rf"[-+]?[\d.,'{BLANKS}]*\d[\d.,]*\s?%?")
_SHARE_OF_DATA = 0.8

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Header:
    """Which of the first rows are the header, and how they were chosen.

    It begins at `index` among them and has `depth` rows; 0 where there is none and data begin at `index`. `found`
    is how many of the expected headers it holds.
    """

    index: int
    how: str
    found: int = 0
    depth: int = 1

    @property
    def end(self) -> int:
        """The index of the first row below."""
        return self.index + self.depth


def parse_header_rows(text: str) -> tuple[int, ...]:
    """``3`` or ``5-6`` as 1-based rows, ``none`` as no row. ValueError for anything else."""
    if text.strip().casefold() == "none":
        return ()
    match = re.fullmatch(r"\s*([1-9]\d{0,6})(?:\s*-\s*([1-9]\d{0,6}))?\s*", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not first <= last < first + MOST_HEADER_ROWS:
        raise ValueError(f"{text!r} names no header rows")
    return tuple(range(first, last + 1))


def find_header(head: Sequence[Row], expect: Collection[str], spread: Sequence[Row] | None = None) -> Header:
    """Choose the header among the first rows that hold something.

    With expected headers: the rows that hold the most of them, the fewer and earlier rows first. Without: the first
    row that looks like headers, unless it looks like the data below. A row looks like headers unless it is
    evidently a title: it fills fewer than half as many cells as the rows below usually do, while a later row
    fills at least half, holds words only and no word twice. `spread` are the same rows with the text of a merged cell
    in every cell that it covers, where that is known.
    """
    head = head[:HEAD_ROWS]
    wanted = {name: {name, BY_RANK.sub("", name)} for name in map(tidy_header, expect) if name}
    if wanted:
        best = Header(0, "the first row")
        for depth in range(1, MOST_HEADER_ROWS + 1):
            for index in range(len(head) - depth + 1):
                names = set(_names(head, spread, index, depth))
                found = sum(not either.isdisjoint(names) for either in wanted.values())
                if found > best.found:
                    best = Header(index, "", found, depth)
        if best.found:
            share = "all" if best.found == len(wanted) else f"{best.found} of {len(wanted)}"
            how = f"{'holds' if best.depth == 1 else 'hold'} {share} of the headers that the mapping names"
            return Header(best.index, how, best.found, best.depth)
    header = _first_like_headers(head)
    if not wanted and _looks_like_data(head[header.index :]):
        return Header(header.index, "the first row is like those below", depth=0)
    if not wanted and spread:
        index = _merged_top(head, spread, header.index)
        return Header(index, header.how, depth=_merged_depth(head, spread, index))
    return header


def header_words(numbers: Sequence[int], header: Header) -> str:
    """The header as it is told: its row, or rows, and how it was chosen."""
    if not numbers:
        return f"none ({header.how})"
    told = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
    return f"{told} ({header.how})"


def names_of(head: Sequence[Row], header: Header, spread: Sequence[Row] | None = None) -> list[str]:
    """The header of each column, tidied; rows one below the other are joined as ``Upper / Lower``."""
    if not header.depth:
        widths = Counter(map(len, head[header.index :]))
        return [""] * max(widths, key=lambda width: (widths[width], width))
    return _names(head, spread, header.index, header.depth)


def spread_out(head: Sequence[Row], numbers: Sequence[int], merged: Collection[Merged], left: int = 0) -> list[Row]:
    """The rows with the text of a merged cell in every cell that it covers.

    `numbers` are the rows' 0-based numbers in the sheet, `left` that of their first column.
    """
    rows = [list(row) for row in head]
    places = {number: place for place, number in enumerate(numbers)}
    left_cells = 2 * sum(map(len, rows))  # no spreadsheet merges a cell twice: what goes beyond is not spread
    for area in merged:
        if area.top not in places or area.left < left or left_cells < 0:
            continue
        anchor = head[places[area.top]]
        text = anchor[area.left - left] if area.left - left < len(anchor) else ""
        for number in range(area.top, min(area.bottom, area.top + HEAD_ROWS) + 1):
            row = rows[places[number]] if number in places else []
            left_cells -= max(0, min(area.right - left + 1, len(row)) - (area.left - left))
            for column in range(area.left - left, min(area.right - left + 1, len(row))):
                row[column] = row[column] or text
    return list(rows)


def _names(head: Sequence[Row], spread: Sequence[Row] | None, index: int, depth: int) -> list[str]:
    if depth == 1:
        return [tidy_header(name) for name in head[index]]
    rows = [[tidy_header(name) for name in row] for row in (head if spread is None else spread)[index : index + depth]]
    width = max(map(len, rows))
    rows = [row + [""] * (width - len(row)) for row in rows]
    if spread is None:  # a text file knows no merged cells: an upper header reaches to the next one
        for upper, lower in pairwise(rows):
            for column in range(1, width):
                if not upper[column] and lower[column]:
                    upper[column] = upper[column - 1]
    return [BETWEEN.join(dict.fromkeys(filter(None, parts))) for parts in zip(*rows, strict=True)]


def _first_like_headers(head: Sequence[Row]) -> Header:
    filled = [_filled(row) for row in head]
    usual = Counter(filled).most_common()
    if usual:
        typical = max(count for count, times in usual if times == usual[0][1])
        for index, row in enumerate(head):
            if filled[index] * 2 >= typical and (index == 0 or _words_only(row)):
                return Header(index, "the first row" if index == 0 else "the first row that looks like headers")
    return Header(0, "the first row")


def _filled(row: Row) -> int:
    return sum(1 for cell in row if cell.strip(BLANKS))


def _words_only(row: Row) -> bool:
    words = [cell.strip(BLANKS) for cell in row if cell.strip(BLANKS)]
    return len(set(words)) == len(words) and not any(_NUMBER.fullmatch(word) for word in words)


def _looks_like_data(rows: Sequence[Row]) -> bool:
    """Whether the first row holds numbers where those below do, in most columns of numbers."""
    if len(rows) < 3:
        return False
    numeric = [
        column
        for column in range(len(rows[0]))
        if (texts := [row[column].strip(BLANKS) for row in rows[1:] if column < len(row) and row[column].strip(BLANKS)])
        and sum(_is_number(text) for text in texts) >= _SHARE_OF_DATA * len(texts)
    ]
    alike = sum(_is_number(rows[0][column].strip(BLANKS)) for column in numeric)
    return bool(numeric) and alike * 2 > len(numeric)


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _merged_top(head: Sequence[Row], spread: Sequence[Row], index: int) -> int:
    """Where the header begins whose lower row was found: merged cells of the row above may reach into it."""
    lowest = max(0, index - MOST_HEADER_ROWS + 1)
    while index > lowest:
        reaching = any(
            shown and not own and above == shown
            for shown, own, above in zip(spread[index], head[index], head[index - 1], strict=False)
        )
        if not reaching:
            break
        index -= 1
    return index


def _merged_depth(head: Sequence[Row], spread: Sequence[Row], index: int) -> int:
    """How many rows the header has by its merged cells: below one that is wider than a cell stand its parts."""
    depth = 1
    while depth < MOST_HEADER_ROWS and index + depth < len(head):
        above, shown, below = head[index + depth - 1], spread[index + depth - 1], head[index + depth]
        width = min(len(shown), len(below))
        beside = {c for c in range(1, width) if shown[c] and not above[c] and shown[c] == shown[c - 1]}
        whole = [c for c in range(width) if above[c] and c + 1 not in beside]
        parts = [below[c] for c in beside if below[c].strip(BLANKS)]
        if not parts or not _words_only(parts) or any(below[c].strip(BLANKS) for c in whole):
            break
        depth += 1
    return depth
