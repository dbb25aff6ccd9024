"""The catalog's value as a cell of the user's own sheet says it: a number as a number, options in the sheet's words.

Every value is tried before it is used: it is read as the reader would read the cell and parsed as an import would.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import pandas as pd

from catalogsync import captions, fields, numbertext
from catalogsync.celltext import CellError, clean_text, is_too_long_mark
from catalogsync.model import Column
from catalogsync.patching import Value
from catalogsync.reader.sheet import ERROR_TEXTS
from catalogsync.reader.workbook import as_percent, cell_text, with_zeros
from catalogsync.tabscan import Cell

_MAX_DIGITS: Final = 15
_PLAIN: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_AROUND: Final = re.compile(
    r"(?P<before>[^\d+-]{0,20})(?P<number>[+-]?\d[\d.,\s\u00a0\u202f\u2009'’]*)(?P<after>\D{0,20})", re.S
)
_GROUP_MARK: Final = re.compile(r"\d([^\d])\d{3}$")
_SHAPES: Final = (
    (re.compile(r"\d{4}-\d"), "%Y-%m-%d"),
    (re.compile(r"\d{4}/\d"), "%Y/%m/%d"),
    (re.compile(r"\d{1,2}\.\d"), "%d.%m.%Y"),
)
_MOMENT: Final = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Held:
    """What stands in a cell now: what the XML says, the reader's text, and what the cell's format makes of a number.

    `zeros` is the number of digits that a number is filled up to, 0 for none.
    """

    cell: Cell
    text: str
    is_date: bool = False
    is_percent: bool = False
    zeros: int = 0


@dataclass
class Speller:
    """Says a column's canonical texts in the words of the sheet. `cells` are the reader's texts of the whole column.

    `has_numbers`: some of them were stored as numbers. `counts_from_1904`: the workbook's dates do.
    """

    column: Column
    cells: pd.Series
    has_numbers: bool
    counts_from_1904: bool = False
    _model: str = field(init=False, default="")
    _words: dict[str, list[str]] = field(init=False, default_factory=dict)
    _joint: str = field(init=False, default="")

    def __post_init__(self) -> None:
        filled = self.cells[self.cells.str.strip() != ""]
        column = self.column
        self._model = str(filled.iloc[0]) if len(filled) else ""
        self._joint = column.split or ";"
        if column.type in fields.OPTION_TYPES or column.type == "checkbox":
            counts = filled.value_counts()
            self._words = self._found_words(dict(zip(map(str, counts.index), counts.tolist(), strict=True)))
        if self._joint.strip() and not self._joins_tightly(filled):
            self._joint += " "

    def value(self, target: str, held: Held) -> Value | None:
        """What the cell is to hold so that it says `target`; None where no value does."""
        return next((value for value in self._candidates(target, held) if self._reads(value, held) == target), None)

    # What the sheet says already.

    def _found_words(self, counts: dict[str, int]) -> dict[str, list[str]]:
        """By option, or by yes and no, the words of the sheet, the most frequent first."""
        found: dict[str, Counter[str]] = {}
        split = self.column.split if self.column.type == "multiselect" else ""
        for text, count in counts.items():
            for part in text.split(split) if split else [text]:
                meant = _parsed(part.strip(), self.column, single=True)
                if meant and not captions.is_stand_in(meant):
                    found.setdefault(meant, Counter())[part.strip()] += count
        return {meant: [word for word, _ in words.most_common()] for meant, words in found.items()}

    def _joins_tightly(self, filled: pd.Series) -> bool:
        joint = self.column.split or ";"
        joined = filled[filled.str.contains(joint, regex=False)]
        return bool(len(joined)) and not joined.str.contains(f"{joint} ", regex=False).any()

    # What it could say.

    def _candidates(self, target: str, held: Held) -> Iterator[Value]:
        if target == "":
            yield Value("blank")
            return
        kind = held.cell.kind
        is_free = kind in ("blank", "missing") or captions.folded(held.text) in self.column.empties
        spellings = list(dict.fromkeys(self._spellings(target, held)))
        if held.is_date:
            yield from self._serials(target)
        for text in spellings:
            if kind == "boolean" or (is_free and text in ("TRUE", "FALSE")):
                yield from _booleans(target, text, self.column)
            if (kind == "number" and not held.is_date) or (is_free and self.has_numbers and not held.is_date):
                yield from self._numbers(target, text, held)
        yield from (Value("text", text) for text in spellings)

    def _numbers(self, target: str, text: str, held: Held) -> Iterator[Value]:
        for plain in (text,) if self.column.type in fields.OPTION_TYPES else (target, text):  # an option is no number
            if _PLAIN.fullmatch(plain) and sum(map(str.isdigit, plain)) <= _MAX_DIGITS:
                number = Decimal(plain).scaleb(-2) if held.is_percent else Decimal(plain)
                yield Value("number", numbertext.plain_decimal(number))
            elif held.zeros and plain.isdecimal() and len(plain) <= _MAX_DIGITS:
                yield Value("number", str(int(plain)))

    def _serials(self, target: str) -> Iterator[Value]:
        moment = self._moment(target)
        if moment is None or moment.year < (1905 if self.counts_from_1904 else 1901):
            return
        since = moment - (
            datetime(1904, 1, 1, tzinfo=UTC) if self.counts_from_1904 else datetime(1899, 12, 30, tzinfo=UTC)
        )
        yield Value("number", f"{since.days + since.seconds / 86400:.16G}")

    def _moment(self, target: str) -> datetime | None:
        """The date, or the local time, that a canonical text means, as the clock shows it."""
        shown = fields.show(target, self.column)
        for layout in ("%Y-%m-%d", _MOMENT):
            try:
                return datetime.strptime(shown, layout).replace(tzinfo=UTC)
            except ValueError:
                continue
        return None

    def _spellings(self, target: str, held: Held) -> Iterator[str]:
        """Texts that mean the target, the likeliest first."""
        column = self.column
        if column.type in fields.NUMBER_TYPES:
            yield from _numbers_like(fields.show(target, column), held.text, column)
        elif column.type == "multiselect":
            yield self._joint.join(self._word(option) for option in captions.split(target))
            yield (column.split or ";").join(self._word(option) for option in captions.split(target))
        elif column.type in fields.OPTION_TYPES or column.type == "checkbox":
            yield from self._words_of(target)
        elif column.type in fields.DATE_TYPES:
            yield from self._dates(target, held)
        yield fields.show_exactly(target, column)

    def _words_of(self, option: str) -> list[str]:
        """What an option is called: as the mapping says, most frequent first, else as the sheet does."""
        used = self._words.get(option, [])
        named = [label for label, meant in self.column.labels.items() if meant == option]
        return [*(word for word in used if word in named), *named, *used]

    def _word(self, option: str) -> str:
        single = [word for word in self._words_of(option) if not self.column.split or self.column.split not in word]
        return next(iter(single), fields.caption(self.column, option))

    def _dates(self, target: str, held: Held) -> Iterator[str]:
        moment = self._moment(target)
        if moment is None:
            return
        text = held.text.strip() or self._model.strip()
        layouts = [*sorted(self.column.formats, key=lambda layout: not _fits(text, layout))]
        if not layouts:
            layouts = [layout for shape, layout in _SHAPES if shape.match(text)]
            if self.column.type == "date_time":
                layouts = [f"{layout} {clock}" for layout in layouts for clock in ("%H:%M:%S", "%H:%M")]
                if re.search(r"\d[ T]\d\d:\d\d$", text):
                    layouts.sort(key=lambda layout: layout.endswith("%S"))
        yield from (moment.strftime(layout) for layout in layouts)

    # How it would be read.

    def _reads(self, value: Value, held: Held) -> str | None:
        """The canonical text that a cell with this value would be read as; None for one that could not be read."""
        text = value.text
        if value.kind == "boolean":
            text = "TRUE" if value.text == "1" else "FALSE"
        elif value.kind == "number" and held.is_date:
            text = self._date_text(float(value.text))
        elif value.kind == "number":
            text = cell_text(float(value.text))
            text = as_percent(text) if held.is_percent else with_zeros(text, held.zeros) if held.zeros else text
            if self.column.decimal == ",":
                text = text.replace(".", ",")
        elif text in ERROR_TEXTS:
            return None
        read = _parsed(text, self.column)
        return "0" if read == "" and self.column.type == "checkbox" and self.column.blank == "clear" else read

    def _date_text(self, serial: float) -> str:
        start = datetime(1904, 1, 1, tzinfo=UTC) if self.counts_from_1904 else datetime(1899, 12, 30, tzinfo=UTC)
        seconds = round(serial * 86400)
        moment = datetime.fromtimestamp(start.timestamp() + seconds, UTC).replace(tzinfo=None)
        return cell_text(moment)


def _parsed(text: str, column: Column, *, single: bool = False) -> str | None:
    """A cell's canonical text, as `fields.parse_column` makes it; None where it has a problem."""
    if not text.strip() or (column.empties and captions.folded(text) in column.empties):
        return ""
    if is_too_long_mark(text):
        return None
    parse = fields.parse_option if single and column.type == "multiselect" else fields.PARSERS.get(column.type)
    try:
        return parse(text, column) if parse else clean_text(text)
    except CellError:
        return None


def _booleans(target: str, text: str, column: Column) -> Iterator[Value]:
    if column.type == "checkbox":
        yield Value("boolean", target)
    elif text in ("TRUE", "FALSE"):
        yield Value("boolean", "1" if text == "TRUE" else "0")


def _numbers_like(number: str, text: str, column: Column) -> Iterator[str]:
    """A number written as the old one: what stands around it, such as a currency, its decimals, its thousands apart."""
    found = _AROUND.fullmatch(text)
    if not found:
        return
    point = column.decimal or "."
    old = found["number"].rstrip()
    decimals = len(old.partition(point)[2])
    whole, _, fraction = number.partition(point)
    mark = _GROUP_MARK.search(old.partition(point)[0])
    if mark and whole.removeprefix("-").isdecimal():
        whole = f"{int(whole):,}".replace(",", mark[1])
    padded = whole + (point + fraction.ljust(decimals, "0") if fraction or decimals else "")
    yield f"{found['before']}{padded}{found['number'][len(old) :]}{found['after']}"


def _fits(text: str, layout: str) -> bool:
    try:
        datetime.strptime(text, layout).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True
