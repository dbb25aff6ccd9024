"""The values of a workbook's cells as text, column by column.

Rows are turned into columns few at a time, while the processor's cache still holds their values.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalogsync.reader.books import WorkbookSheet

EXACT_BELOW: Final = 10**15  # a double holds 15 decimal digits; beyond that the last ones may be made up
TEXT_TYPE: Final = pa.large_string()
_FEW_ROWS = 512
_BLOCK_ROWS = 32 * _FEW_ROWS
_NUMBER_KINDS: Final = frozenset({float, int})
_SURE_CHARACTERS = 16  # 15 digits and the point: as many as a double always keeps


Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cells:
    """A column, or a part of one: texts, which of them were numbers, and where whole numbers are too long."""

    texts: pa.Array
    is_number: NDArray[np.bool_]
    inexact: list[int]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a tab in columns; `first` is the 0-based number of the first one."""

    first: int
    size: int
    columns: list[Cells]


def blocks_of(sheet: WorkbookSheet, first: int) -> Iterator[Block]:
    """The rows of a tab from the given one on."""
    rows = itertools.islice(sheet.iter_rows(), first, None)
    while True:
        parts: list[list[Cells | Numbers]] = []
        size = 0
        while size < _BLOCK_ROWS and (few := list(itertools.islice(rows, _FEW_ROWS))):
            parts.append([cells_of(values) for values in zip(*few, strict=True)])
            size += len(few)
        if not size:
            return
        yield Block(first, size, [_joined(column) for column in zip(*parts, strict=True)])
        first += size


def _joined(parts: Sequence[Cells | Numbers]) -> Cells:
    numbers = [part for part in parts if isinstance(part, np.ndarray)]
    if len(numbers) == len(parts):
        return _number_cells(np.concatenate(numbers))
    cells = [_number_cells(part) if isinstance(part, np.ndarray) else part for part in parts]
    starts = itertools.accumulate((len(part.texts) for part in cells), initial=0)
    return Cells(
        pa.concat_arrays([part.texts for part in cells]),
        np.concatenate([part.is_number for part in cells]),
        [start + place for start, part in zip(starts, cells, strict=False) for place in part.inexact],
    )


def cells_of(values: Sequence[Any]) -> Cells | Numbers:
    """The values of a column: numbers as such where there is nothing else, and all are exact."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return Cells(pa.array(values, TEXT_TYPE), np.zeros(len(values), dtype=np.bool_), [])
    if kinds == {datetime.date}:
        days = pa.array(values, pa.date32())
        return Cells(days.cast(TEXT_TYPE), np.zeros(len(values), dtype=np.bool_), [])
    if kinds <= _NUMBER_KINDS:
        numbers = np.array(values, dtype=np.float64) + 0.0  # no zero has a sign then
        if (np.abs(numbers) < EXACT_BELOW).all():
            return numbers
    is_number = np.fromiter((type(value) in _NUMBER_KINDS for value in values), dtype=np.bool_, count=len(values))
    inexact = [place for place in np.flatnonzero(is_number).tolist() if not abs(values[place]) < EXACT_BELOW]
    return Cells(pa.array(texts_of(values), TEXT_TYPE), is_number, inexact)


def _number_cells(numbers: Numbers) -> Cells:
    return Cells(number_texts(numbers), np.ones(len(numbers), dtype=np.bool_), [])


def number_texts(numbers: Numbers) -> pa.Array:
    """`cell_text` of each number below EXACT_BELOW."""
    if (numbers == np.trunc(numbers)).all():
        return pa.array(numbers.astype(np.int64)).cast(TEXT_TYPE)
    texts = pa.array(numbers).cast(TEXT_TYPE)  # the shortest that means the number
    unsure = pc.or_(pc.greater(pc.binary_length(texts), _SURE_CHARACTERS), pc.match_substring(texts, "e"))
    places = np.flatnonzero(unsure.to_numpy(zero_copy_only=False)).tolist()
    if not places:
        return texts
    plain = texts.to_pylist()
    for place in places:
        plain[place] = cell_text(float(numbers[place]))
    return pa.array(plain, TEXT_TYPE)


def texts_of(row: Sequence[object]) -> list[str]:
    """`cell_text` of each value."""
    return [value if type(value) is str else cell_text(value) for value in row]


def _plain(text: str) -> str:
    """Digits without an exponent, and zero without a sign."""
    if "e" in text:
        text = format(Decimal(text), "f")
    return "0" if text == "-0" else text


def cell_text(value: object) -> str:
    """One value of a workbook as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float | int):
        return _plain("%.15g" % value)  # noqa: UP031 - twice as fast as format()
    if isinstance(value, datetime.datetime):
        return _moment_text(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _duration_text(value)
    return "" if value is None else str(value)


def _moment_text(moment: datetime.datetime) -> str:
    if moment.time() == datetime.time():
        return moment.date().isoformat()
    return moment.isoformat(sep=" ")


def _duration_text(duration: datetime.timedelta) -> str:
    seconds, rest = divmod(abs(duration), datetime.timedelta(seconds=1))
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    sign = "-" if duration < datetime.timedelta() else ""
    fraction = f".{rest.microseconds:06d}" if rest else ""
    return f"{sign}{hour:02d}:{minute:02d}:{second:02d}{fraction}"


def with_zeros(text: str, digits: int) -> str:
    """A whole number filled up with zeros, as the format ``00000`` shows it."""
    sign, number = ("-", text[1:]) if text.startswith("-") else ("", text)
    return sign + number.zfill(digits) if number.isdigit() else text


def as_percent(text: str) -> str:
    """A number as the percentage it is shown as: ``0.15`` is ``15%``, exactly."""
    shifted = format(Decimal(text).scaleb(2), "f")
    return (shifted.rstrip("0").rstrip(".") if "." in shifted else shifted) + "%"
