"""What a sheet's column holds, as evidence for what it is: how its cells read as a field type, what they look like.

Every reading goes through the parsers of fields.py, so that what is proposed is what a plan will read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import captions, fields, numbertext
from catalogsync.model import Column, Field
from catalogsync.reader import Sheet, column_letter, columns_named

EMPTY_WORDS = frozenset(
    {
        *("none", "null", "nan", "n/a", "n.a.", "-", "--", "—", "–", "?", "...", "…", "tba", "tbd", "call", "call us"),
        *(
            "on request",
            "price on request",
            "upon request",
            "ask",
            "по запросу",
            "по запиту",
            "цена по запросу",
            "звоните",
        ),
        *(
            "уточняйте",
            "уточнюйте",
            "н.д.",
            "н/д",
            "нд",
            "нет данных",
            "немає даних",
            "звоните",
            "договорная",
            "договірна",
        ),
        *("na zapytanie", "brak", "b/d", "b.d.", "auf anfrage", "k.a.", "a consultar", "consultar", "sob consulta"),
        *("s/d", "n/d", "su richiesta", "sur demande", "bajo pedido", "na dotaz"),
    }
)
"""What sheets write where they have nothing to say, in small letters."""

DATE_LAYOUTS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%Y%m%d", "%d.%m.%Y %H:%M"),
    *("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%d %b %Y"),
    *("%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%Y.%m.%d"),
)
"""Ways to write a date that fields.py does not read by itself, and that are tried."""

SPLITS = (";", ",", "|", "/", "\n")
MOST_TRIED = 200
"""So many distinct texts decide between settings; the chosen one is then read in full."""

_SAMPLE = 60
_LONGEST_HEADER = 120

_LETTERS = re.compile(r"[^\W\d_]{3}")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.I)
_IMAGE = re.compile(r"\S+\.(?:jpe?g|png|webp|gif|svg|bmp)(?:[?#,;|\s].*)?", re.I | re.S)
_GUID = re.compile(r"\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?", re.I)
_NUMBER_LIKE = re.compile(r"\D{0,8}\d[\d.,'’\s]*\D{0,8}")
DATE_LIKE = re.compile(
    r"(?:\d{1,4}[-./ ](?:\d{1,2}|[^\W\d]{3,9}\.?)[-./, ]+\d{1,4}|[^\W\d]{3,9}\.? \d{1,2},? \d{4}|\d{8})(?:[T ].{4,20})?"
)
_CODE = re.compile(r"\S{1,40}|[^\W_][\w.\-/ ]{0,23}")


@dataclass(frozen=True)
class Reading:
    """How a column's cells read as a field.

    `share` of the filled cells could be read, those that mean "empty" (`empty`) not counted. `values` is canonical text
    by row. `settings` are the mapping's keys that were needed. `unread` are texts that could not be read, the most
    frequent first. `ask` is a question that only a person can answer, with a setting to choose from.
    """

    share: float
    values: pd.Series
    settings: Mapping[str, Any] = field(default_factory=dict)
    empty: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    ask: str = ""


@dataclass(frozen=True)
class Evidence:
    """One column of a sheet. `address` is how a mapping names it: by its header where that is its own.

    `cells` are texts as they stand; `is_number` says which of them a workbook stores as numbers. `merged_rows` counts
    the blank cells that a merged cell above covers.
    """

    position: int
    header: str
    address: str
    cells: pd.Series
    is_number: NDArray[np.bool_] | None
    timezone: str = "UTC"
    merged_rows: int = 0
    _readings: dict[Any, Reading] = field(default_factory=dict, compare=False, repr=False)

    @property
    def letter(self) -> str:
        """The letters that a spreadsheet shows over the column."""
        return column_letter(self.position)

    @cached_property
    def texts(self) -> pd.Series:
        """The filled texts and how often each stands, the most frequent first."""
        trimmed = self.cells.str.strip()
        counts = trimmed[trimmed != ""].value_counts(sort=False)
        return counts.sort_values(ascending=False, kind="stable")

    @cached_property
    def filled(self) -> int:
        """How many cells hold something."""
        return int(self.texts.sum())

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """Two different texts of the column, in one line each: the first two that are not empty words."""
        first = [text for text in self.cells.str.strip().drop_duplicates().head(200) if text]
        telling = [text for text in first if not is_empty_word(text)] or first
        return tuple(" ".join(text.split()) for text in telling[:2])

    def share_of(self, shape: re.Pattern[str], *, whole: bool = True) -> float:
        """The share of filled cells that match."""
        if not self.filled:
            return 0.0
        match = shape.fullmatch if whole else shape.search
        return sum(int(count) for text, count in self.texts.items() if match(str(text))) / self.filled

    @cached_property
    def distinct_share(self) -> float:
        """Different texts among the filled cells: 1 where none repeats."""
        return len(self.texts) / self.filled if self.filled else 0.0

    @cached_property
    def looks(self) -> str:
        """A kind of thing that the cells show by themselves: barcode, image, url, id (GUID); "" for anything else."""
        if self.filled < 2:
            return ""
        if sum(int(count) for text, count in self.texts.items() if is_barcode(str(text))) >= 0.9 * self.filled:
            return "barcode"
        for kind, shape in (("image", _IMAGE), ("url", _URL), ("id", _GUID)):
            if self.share_of(shape) >= 0.9:
                return kind
        return ""

    @cached_property
    def name_share(self) -> float:
        """How much the cells look like names of products, 0 to 1: words, mostly different ones, not too long."""
        if not self.filled or self.looks:
            return 0.0
        usual = float(np.average([len(str(text)) for text in self.texts.index], weights=self.texts.to_numpy()))
        if not 3 <= usual <= 150 or any("<" in str(text) and ">" in str(text) for text in self.texts.index[:50]):
            return 0.0
        several = self.share_of(re.compile(r"\S\s+\S"), whole=False)
        return self.share_of(_LETTERS, whole=False) * min(1.0, self.distinct_share / 0.8) * (0.5 + 0.5 * several)

    @cached_property
    def code_share(self) -> float:
        """How much the cells look like codes, 0 to 1: short, no sentences, with digits somewhere."""
        if not self.filled or self.looks in {"url", "image"}:
            return 0.0
        digits = self.share_of(re.compile(r"\d"), whole=False)
        return self.share_of(_CODE) * (0.4 + 0.6 * digits)

    @cached_property
    def holds_codes(self) -> bool:
        """Whether nearly every cell holds a code of its own."""
        is_full = self.filled >= max(10, 0.95 * len(self.cells)) and self.distinct_share >= 0.95
        return is_full and self.code_share >= 0.9 and not self.is_counter

    @cached_property
    def is_counter(self) -> bool:
        """Whether the cells only number the rows: whole numbers, each one more than the one before."""
        first = [text for text in self.cells.str.strip().head(200) if text.isascii() and text.isdecimal()]
        if len(first) < 2 or max(map(len, first)) > 9:
            return False
        steps = [int(after) - int(before) for before, after in pairwise(first)]
        return steps.count(1) >= 0.9 * len(steps)

    def read_as(self, target: Field | None, subtype: str = "", known: frozenset[str] = frozenset()) -> Reading:
        """How the cells read as a field (None: the element's name), with the settings that read the most.

        `known` are texts that the catalog holds in this field: they are values, whatever they look like.
        """
        kind = target.type if target else "text"
        plain = kind not in fields.PARSERS
        key = ("text", known) if plain else (kind, target.id if target and target.enums else 0, known)
        if key not in self._readings:
            column = Column(self.header, target, subtype, timezone=self.timezone if kind == "date_time" else "")
            self._readings[key] = self._read(column, known)
        return self._readings[key]

    def _read(self, column: Column, known: frozenset[str]) -> Reading:
        if column.type not in fields.PARSERS:
            empty = tuple(text for text, count in self.empty_words.items() if count > 1 and text not in known)
            values, _ = self._parse(replace(column, empties=frozenset(map(captions.folded, empty))))
            return Reading(1.0, values, empty=empty)
        if not self._is_plausible(column):
            return Reading(0.0, pd.Series("", index=self.cells.index, dtype="str"), unread=self._first_texts)
        settings, ask, asked_share = self._settings(column)
        chosen = replace(column, **{_ATTRIBUTES.get(name, name): value for name, value in settings.items()})
        values, errors = self._parse(chosen)
        wrong = {text.strip() for text in errors}
        unread = {text: count for text, count in self._counts.items() if text in wrong}
        empty = tuple(text for text in self.empty_words if text in unread and text not in known)
        meant = {captions.folded(text) for text in empty}
        counted = self.filled - sum(count for text, count in unread.items() if captions.folded(text) in meant)
        unread = {text: count for text, count in unread.items() if captions.folded(text) not in meant}
        share = 1 - sum(unread.values()) / counted if counted else 0.0
        written = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
        if column.type in fields.NUMBER_TYPES:
            currencies = {numbertext.currency_of(text) for text in self._counts if not text[:1].isdigit()}
            currencies |= {numbertext.currency_of(text) for text in self._counts if not text[-1:].isdigit()}
            currencies -= {""}
            if len(currencies) == 1:
                written["currency"] = currencies.pop()
            elif currencies:
                ask = f"several currencies stand in this column: say `currency: {' or '.join(sorted(currencies))}`"
        return Reading(max(share, asked_share), values, written, empty, tuple(unread) if not ask else (), ask)

    @cached_property
    def _counts(self) -> dict[str, int]:
        return {str(text): int(count) for text, count in self.texts.items()}

    @cached_property
    def empty_words(self) -> dict[str, int]:
        """The texts that only say that there is nothing, and how often; each spelling once, the most frequent one."""
        found: dict[str, tuple[str, int]] = {}
        for text, count in self._counts.items():
            if is_empty_word(text):
                first, before = found.get(captions.folded(text), (text, 0))
                found[captions.folded(text)] = (first, before + count)
        return dict(found.values())

    @cached_property
    def _first_texts(self) -> tuple[str, ...]:
        return tuple(text for text in list(self._counts)[:_SAMPLE] if not is_empty_word(text))

    @cached_property
    def _distinct(self) -> tuple[NDArray[np.intp], pd.Series]:
        codes, texts = pd.factorize(self.cells)
        return codes, pd.Series(texts, dtype="str")

    def _is_plausible(self, column: Column) -> bool:
        """Whether any real share of the first texts looks like the type, found out cheaply."""
        first = self._first_texts
        if column.type in fields.OPTION_TYPES:
            known = _labels_of(column)
            fits = [
                any(captions.folded(part) in known for part in re.split(r"[;,|/\n]", text) + [text]) for text in first
            ]
        elif column.type == "items":
            fits = [text.startswith("[") for text in first]
        elif column.type == "checkbox":
            fits = [text.casefold() in fields.TRUE_WORDS | fields.FALSE_WORDS for text in first]
        else:
            shape = _NUMBER_LIKE if column.type in fields.NUMBER_TYPES else DATE_LIKE
            fits = [bool(shape.fullmatch(text)) for text in first]
        return not fits or sum(fits) >= 0.2 * len(fits)

    def _parse(self, column: Column) -> tuple[pd.Series, Collection[str]]:
        """The cells as canonical text, and the texts that could not be read. Stored numbers have a point."""
        if column.decimal == "," and self.is_number is not None:
            cells = self.cells.where(~self.is_number, self.cells.str.replace(".", ",", regex=False))
            return fields.parse_column(cells, column)
        codes, texts = self._distinct
        values, errors = _parse(texts, column)
        return pd.Series(values.array.take(codes), index=self.cells.index, dtype="str"), errors

    def _settings(self, column: Column) -> tuple[dict[str, Any], str, float]:
        """The settings under which the most of the first distinct texts can be read; none where none are needed.

        Where two do as well, none, the question which one, and the share that either of them reads.
        """
        text_cells = self.cells if self.is_number is None else self.cells[~self.is_number]
        tried = pd.Series([t for t in text_cells.drop_duplicates() if t.strip() and not is_empty_word(t)], dtype="str")
        tried = tried.head(MOST_TRIED)

        def unread(**settings: Any) -> int:
            return len(_parse(tried, replace(column, **settings))[1])

        nothing: tuple[dict[str, Any], str, float] = ({}, "", 0.0)
        if not len(tried) or not (left := unread()):
            return nothing
        if column.type in fields.NUMBER_TYPES:
            comma, point = unread(decimal=","), unread(decimal=".")
            if comma == point < left:
                ask = 'is the comma a decimal sign? Then `decimal: ","`, else `decimal: "."`'
                return {}, ask, 1 - comma / len(tried)
            return ({"decimal": "," if comma < point else "."}, "", 0.0) if min(comma, point) < left else nothing
        if column.type in fields.DATE_TYPES:
            found = {layout: unread(formats=(layout,)) for layout in DATE_LAYOUTS}
            best = min(found.values())
            layouts = [layout for layout, count in found.items() if count == best]
            if best >= left:
                return nothing
            if len(layouts) > 1:
                ask = f'which is it? `format: "{layouts[0]}"` or `format: "{layouts[1]}"`'
                return {}, ask, 1 - best / len(tried)
            return {"format": tuple(layouts)}, "", 0.0
        if column.type == "multiselect":
            splits = {split: unread(split=split) for split in SPLITS}
            split = min(SPLITS, key=lambda sign: splits[sign])
            return ({"split": split}, "", 0.0) if splits[split] < left and split != ";" else nothing
        return nothing


_ATTRIBUTES = {"format": "formats"}


def _labels_of(column: Column) -> set[str]:
    """What a sheet may call the options, folded: captions and ids."""
    enums = column.field.enums if column.field else {}
    return {captions.folded(caption) for caption in enums.values()} | {str(id_) for id_ in enums}


def _parse(texts: pd.Series, column: Column) -> tuple[pd.Series, Collection[str]]:
    """As `fields.parse_column`, without its costly words on labels that name no option."""
    if column.type not in fields.OPTION_TYPES or column.field is None:
        return fields.parse_column(texts, column)
    known = _labels_of(column)
    split = column.split if column.type == "multiselect" else ""
    unknown = {
        text
        for text in texts
        if any(part.strip() and captions.folded(part) not in known for part in (text.split(split) if split else [text]))
    }
    cells = pd.Series(["" if text in unknown else text for text in texts], index=texts.index, dtype="str")
    values, errors = fields.parse_column(cells, column)
    return values, unknown | set(errors)


def is_empty_word(text: str) -> bool:
    """Whether a text only says that there is nothing."""
    return captions.folded(text) in EMPTY_WORDS


def is_barcode(text: str) -> bool:
    """Whether a text is a GTIN: 8, 12, 13 or 14 digits, the last one the check digit of GS1."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal()) or len(digits) not in {8, 12, 13, 14} or not int(digits):
        return False
    body = [int(digit) for digit in digits]
    return sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(reversed(body))) % 10 == 0


def columns_of(sheet: Sheet, timezone: str = "UTC") -> list[Evidence]:
    """The evidence of each column of a sheet."""
    return [
        Evidence(
            place,
            header,
            _address(sheet.headers, place),
            sheet.cells[place],
            sheet.numbers.get(place),
            timezone or "UTC",
            _merged_rows(sheet, place),
        )
        for place, header in enumerate(sheet.headers)
    ]


def _address(headers: Sequence[str], place: int) -> str:
    """A column's header, with its rank where it repeats; its letter where it has none, or one too long for a line."""
    header = headers[place]
    rank = headers[: place + 1].count(header)
    names = [header, f"{header} #{rank}"] if header and len(header) <= _LONGEST_HEADER else []
    found = (name for name in (*names, f"column {column_letter(place)}") if columns_named(headers, name) == [place])
    return next(found, f"column {place + 1}")


def _merged_rows(sheet: Sheet, place: int) -> int:
    """How many blank cells of a column belong to a merged cell that begins above them."""
    blank = set(sheet.rows[(sheet.cells[place].str.strip() == "").to_numpy(bool)].tolist())
    areas = [area for area in sheet.merged if area.left == place and area.bottom > area.top]
    return sum(len(blank.intersection(range(area.top + 2, area.bottom + 2))) for area in areas)
