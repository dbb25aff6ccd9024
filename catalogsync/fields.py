"""Sheet codecs: one per custom-field type, a column of sheet cells to and from a column of canonical text.

Canonical text is the only thing that is ever compared: one string per cell, ``""`` for empty.

=============================  ==================================================================
type                           canonical text
=============================  ==================================================================
text, textarea, url,           the text, outer blanks removed, line ends as ``\\n``
streetaddress, unknown types
numeric, price, monetary       plain decimal: ``80``, never ``80.0`` or ``8E+1``
checkbox                       ``1`` or ``0``
select, radiobutton, category  the option's id, or a stand-in for one to be added (captions.py)
multiselect                    option ids, ascending, joined by ``,``; then stand-ins
date, birthday                 ``YYYY-MM-DD``
date_time                      Unix seconds
smart_address, legal_entity    text per subtype (one column each)
items                          JSON with sorted keys, numbers as canonical decimals
=============================  ==================================================================

A column is parsed by its distinct values: a cell that repeats costs a look-up.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from catalogsync import captions, columnwise, numbertext
from catalogsync.celltext import CellError, clean_text, is_too_long_mark, quoted, unread_mark
from catalogsync.model import Column, Field
from catalogsync.moments import parse_date, parse_date_time, show_date_time

OPTION_TYPES = frozenset({"select", "radiobutton", "category", "multiselect"})
NUMBER_TYPES = frozenset({"numeric", "price", "monetary"})
DATE_TYPES = frozenset({"date", "birthday", "date_time"})

SUBTYPES: Mapping[str, tuple[str, ...]] = {
    "smart_address": ("address_line_1", "address_line_2", "city", "state", "zip", "country"),
    "legal_entity": ("name", "entity_type", "vat_id", "kpp", "address", "external_id"),
}
"""The subtypes of the composite types, by the names that the API uses (api notes 1.3)."""

OTHER_PARTS = "*"
"""Stands for the parts of a composite field that `SUBTYPES` does not name, as one JSON object. They cannot be
mapped, but have to be sent again with the others: what a write leaves out is erased."""

TRUE_WORDS = frozenset("1 true yes y on x + ✓ ✔ да так sim si sí tak oui ja".split())
FALSE_WORDS = frozenset("0 false no n off - нет ні não nao nie non nein".split())

_MOST_HINTS = 100
"""For so many unknown labels of a column is it told what was probably meant."""


class UnknownOption(CellError):
    """A label that names no option; `unknown: skip` passes over it. `hint_for` finds what was meant."""

    def __init__(self, label: str) -> None:
        super().__init__(f"{quoted(label)} is not an option")
        self.label = label


# --- options -------------------------------------------------------------------------------------------------


def option_text(label: str, column: Column) -> str:
    """The option that a sheet's label means: by `enums` or a caption, exactly, then but for case and blanks.

    Last the option's own id, which an export writes where captions would not be read back. With `unknown: add` a label
    that names none is one to be added (captions.py). Raises CellError, UnknownOption where it names none.
    """
    label = label.strip()
    if label in column.labels:
        return column.labels[label]
    enums = column.field.enums if column.field else {}
    found: Sequence[object] = captions.same(label, enums)
    by_label = (text for name, text in column.labels.items() if captions.folded(name) == captions.folded(label))
    found = found or list(dict.fromkeys(by_label))
    found = found or captions.alike(label, enums)
    if len(found) == 1:
        return str(found[0])
    if found:
        told = ", ".join(f"{quoted(caption(column, str(option)))} ({option})" for option in found)
        raise CellError(f"{quoted(label)} names {len(found)} options: {told}", "say which under `enums:`")
    if label.isdecimal() and len(label) < numbertext.LONGEST_NUMBER and int(label) in enums:
        return str(int(label))
    if column.unknown == "add":
        return captions.stand_in(label)
    raise UnknownOption(label)


def hint_for(error: CellError, column: Column) -> str:
    """The hint of a problem; for an unknown option the one that was probably meant, which takes a while to find."""
    if not isinstance(error, UnknownOption):
        return error.hint
    meant = near_option(error.label, column)
    return f"did you mean {quoted(meant)}?" if meant else _first_options(column)


def near_option(label: str, column: Column) -> str:
    """The caption, or the label of the mapping's `enums`, that a label was probably meant to be; "" for none."""
    return captions.near(label, [*(column.field.enums.values() if column.field else ()), *column.labels])


def _first_options(column: Column) -> str:
    known = [captions.plain(name) for name in column.field.enums.values()] if column.field else []
    return f"options: {', '.join(known[:5])}" if known else "the field has no options"


def parse_option(text: str, column: Column) -> str:
    """One option: its id. With `unknown: skip` an unknown label counts as empty."""
    try:
        return option_text(text, column)
    except UnknownOption:
        if column.unknown == "skip":
            return ""
        raise


def parse_options(text: str, column: Column) -> str:
    """Several options, split as the mapping says: their ids ascending, each once."""
    parts = text.split(column.split) if column.split else [text]
    return captions.joined(filter(None, (parse_option(part, column) for part in parts if part.strip())))


def join_ids(ids: Iterable[int]) -> str:
    """Option ids as canonical text: ascending, each once."""
    return captions.joined(map(str, ids))


def caption(column: Column, option: str) -> str:
    """The caption of an option, its id where the schema does not know it; one that is yet to be added says so."""
    if captions.is_stand_in(option):
        return f"{captions.caption_of(option)} (new)"
    enums = column.field.enums if column.field else {}
    return html.unescape(enums[int(option)]) if option.isdecimal() and int(option) in enums else option


# --- checkbox ------------------------------------------------------------------------------------------------


def parse_checkbox(text: str, column: Column) -> str:
    """Yes or no, in the words that spreadsheets use."""
    word = text.strip().casefold()
    if word in TRUE_WORDS:
        return "1"
    if word in FALSE_WORDS:
        return "0"
    raise CellError(f"{quoted(text)} is not yes or no", "write yes/no, true/false, 1/0 or да/нет")


# --- structured ----------------------------------------------------------------------------------------------

_ITEM_NUMBERS = frozenset({"unit_price", "quantity", "value"})


def canonical_items(items: Any) -> str:
    """The rows of an `items` field as canonical JSON; numbers as canonical decimals, empty keys left out."""

    def tidy(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            tidied = {k: tidy(v, k) for k, v in sorted(value.items())}
            return {k: v for k, v in tidied.items() if v not in (None, "", {}, [])}
        if isinstance(value, list):
            return [tidy(entry) for entry in value]
        if key in _ITEM_NUMBERS or (isinstance(value, int | float | Decimal) and not isinstance(value, bool)):
            return numbertext.canonical_number(str(value))
        return value

    return json.dumps(tidy(items), ensure_ascii=False, sort_keys=True) if items else ""


def parse_items(text: str, column: Column) -> str:
    """A JSON list of objects, as an invoice's `items` field holds them (api notes 1.3)."""
    with contextlib.suppress(ValueError, RecursionError, InvalidOperation):
        items = json.loads(text, parse_float=Decimal)
        if isinstance(items, list) and all(isinstance(item, dict) for item in items):
            canonical = canonical_items(items)
            canonical.encode("utf-8")  # half a surrogate pair cannot be stored anywhere
            return canonical
    raise CellError(
        f"{quoted(text)} is not a JSON list of objects",
        '[{"description": "Oak", "unit_price": "9.5", "quantity": "2"}]',
    )


# --- the registry --------------------------------------------------------------------------------------------

Parse = Callable[[str, Column], str]


def _parse_text(text: str, column: Column) -> str:
    return clean_text(text)


PARSERS: Mapping[str, Parse] = {
    **dict.fromkeys(NUMBER_TYPES, numbertext.parse_number),
    **dict.fromkeys(OPTION_TYPES - {"multiselect"}, parse_option),
    "multiselect": parse_options,
    "checkbox": parse_checkbox,
    "date": parse_date,
    "birthday": parse_date,
    "date_time": parse_date_time,
    "items": parse_items,
}
TEXT_TYPES = frozenset({"text", "textarea", "url", "streetaddress", *SUBTYPES})


def is_known(field: Field) -> bool:
    """Whether the field's type has a codec of its own; others are carried as text."""
    return field.type in PARSERS or field.type in TEXT_TYPES


def _parse_cell(text: str, column: Column) -> str:
    """One cell as canonical text, "" where it is empty; a mark of a text that it does not hold stays one."""
    if is_too_long_mark(text):
        return text.strip()
    is_empty = not text.strip() or (column.empties and captions.folded(text) in column.empties)
    return "" if is_empty else PARSERS.get(column.type, _parse_text)(text, column)


def parse_column(cells: pd.Series, column: Column) -> tuple[pd.Series, dict[str, CellError]]:
    """Sheet cells (`str`, no NaN) to canonical text, by distinct value; and what could not be read, by cell text."""
    if column.type not in PARSERS and not column.empties:
        return columnwise.clean(cells), {}
    if column.type not in NUMBER_TYPES or column.empties:
        parsed, errors = _parse_distinct(cells, column)
        return pd.Series(parsed, index=cells.index, copy=False), errors
    plain, is_canonical = numbertext.plain_numbers(cells, column)
    if is_canonical.all():
        return plain, {}
    parsed, errors = _parse_distinct(cells[~is_canonical], column)
    values = plain.array.copy()
    values[~is_canonical] = parsed
    return pd.Series(values, index=cells.index, copy=False), errors


def _parse_distinct(cells: pd.Series, column: Column) -> tuple[Any, dict[str, CellError]]:
    codes, texts = pd.factorize(cells)
    errors: dict[str, CellError] = {}
    parsed: list[str] = []
    for text in texts:
        try:
            parsed.append(_parse_cell(text, column))
        except CellError as error:
            errors[text] = error
            parsed.append("")
    _look_for_meant(errors.values(), column)
    if column.unknown == "add":
        unified = captions.unified(parsed)
        parsed = [text if is_too_long_mark(text) else made for text, made in zip(parsed, unified, strict=True)]
    return pd.array(parsed, dtype="str").take(codes) if parsed else pd.array([], dtype="str"), errors


def _look_for_meant(errors: Iterable[CellError], column: Column) -> None:
    """Tell what was probably meant by unknown options: by the first of them, so that a flood takes no time."""
    meant: dict[str, str] = {}
    for error in errors:
        if isinstance(error, UnknownOption):
            if error.label not in meant and len(meant) < _MOST_HINTS:
                meant[error.label] = hint_for(error, column)
            error.hint = meant.get(error.label) or _first_options(column)


# --- and back ------------------------------------------------------------------------------------------------


def show(canonical: str, column: Column) -> str:
    """Canonical text as a person reads it."""
    if not canonical:
        return ""
    if column.type == "multiselect":
        joint = column.split or ";"
        return (
            f"{joint} ".join(caption(column, id_) for id_ in canonical.split(","))
            if joint.strip()
            else joint.join(caption(column, id_) for id_ in canonical.split(","))
        )
    if column.type in OPTION_TYPES:
        return caption(column, canonical)
    if column.type in NUMBER_TYPES:
        return canonical.replace(".", column.decimal or ".")
    if column.type == "checkbox":
        return "yes" if canonical == "1" else "no"
    if column.type == "date_time" and re.fullmatch("-?[0-9]{1,15}", canonical):
        return show_date_time(int(canonical), ZoneInfo(column.timezone or "UTC"))
    return canonical


def show_exactly(canonical: str, column: Column, unread: Collection[str] = ()) -> str:
    """As `show`, but always what the same column's parser reads back: options by id where captions are not.

    A mark that leaves the catalog as it is where nothing is read back: a text that the mapping takes for an empty
    cell, or one of `unread`.
    """
    if not canonical:
        return ""
    told = show(canonical, column)
    if column.type == "date_time" and told != canonical and not (column.formats or column.empties):
        return told  # local time, with an offset where it is needed: reading it again takes long and says the same
    for shown in _ways_to_show(told, canonical, column):
        with contextlib.suppress(CellError):
            if shown not in unread and _parse_cell(shown, column) == canonical:
                return shown
    return unread_mark(told)


def _ways_to_show(told: str, canonical: str, column: Column) -> Iterator[str]:
    """As people read it; options by their ids, and where several are told each as it is read back, too."""
    yield told
    if column.type in OPTION_TYPES:
        joint = column.split or ";"
        ids = canonical.split(",")
        yield joint.join(ids)
        yield joint.join(_shown_alone(id_, column) for id_ in ids)


def _shown_alone(option: str, column: Column) -> str:
    """One option as it is read back: its caption, or where that is no way to say it its id."""
    told = caption(column, option)
    with contextlib.suppress(CellError):
        is_one = told.strip() and not (column.split and column.split in told)
        if is_one and option_text(told, column) == option:
            return told
    return option
