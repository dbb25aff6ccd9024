"""Conditions such as ``Price > 100``: which elements of a catalog an export takes. Pure.

Numbers, dates and moments are compared as such, other text without regard to case; an empty cell is neither more nor
less than anything.
"""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from catalogsync import captions, fields
from catalogsync.celltext import CellError, quoted
from catalogsync.errors import Problem, UserError
from catalogsync.model import Column

Bools = NDArray[np.bool_]

_EQUALITY: Mapping[str, Callable[[Any, Any], bool]] = {"=": operator.eq, "!=": operator.ne}
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
CONTAINS = "contains"
OPERATORS = (*_EQUALITY, *_ORDER, CONTAINS)

_REST = re.compile(r"\s*(<=|>=|!=|==?|<|>|contains(?=\s|$|\"))\s*(.*)", re.S)
_UNORDERED = fields.OPTION_TYPES | {"checkbox", "items"}


@dataclass(frozen=True, slots=True)
class Condition:
    """What a column must say. `value` is canonical text, or the text sought where the operator is ``contains``."""

    column: Column
    operator: str
    value: str
    text: str


def parse_conditions(texts: Sequence[str], columns: Sequence[Column]) -> tuple[Condition, ...]:
    """Conditions over columns, which are named by their headings. Raises UserError with all that is wrong."""
    made: list[Condition] = []
    problems: list[Problem] = []
    for text in texts:
        try:
            made.append(_parsed(text, columns))
        except CellError as error:
            problems.append(Problem(f"--where {quoted(text)}", error.what, error.hint))
    if problems:
        raise UserError("the export cannot be limited so", problems)
    return tuple(made)


def matching(elements: pd.DataFrame, conditions: Sequence[Condition]) -> pd.DataFrame:
    """The elements that fulfil all conditions, in their order."""
    keep = np.ones(len(elements), dtype=np.bool_)
    for condition in conditions:
        keep &= _fulfilled(elements[condition.column.key], condition)
    return elements if keep.all() else elements[keep]


def _parsed(text: str, columns: Sequence[Column]) -> Condition:
    column, rest = _column_of(text, columns)
    found = _REST.fullmatch(rest)
    if found is None:
        raise CellError("has no comparison", f'write it as in "{column.header} = …": {", ".join(OPERATORS)}')
    sign, value = found[1].replace("==", "="), found[2].strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if sign == CONTAINS:
        if not value:
            raise CellError("does not say what is contained")
        return Condition(column, sign, captions.folded(value), text)
    if sign in _ORDER and column.type in _UNORDERED:
        raise CellError(f"“{column.header}” has no order", "compare it by =, != or contains")
    plain = dataclasses.replace(column, unknown="error", empties=frozenset())
    parsed, errors = fields.parse_column(pd.Series([value], dtype="str"), plain)
    if errors:
        raise next(iter(errors.values()))
    if sign in _ORDER and not parsed.iat[0]:
        raise CellError("does not say what it is compared to")
    return Condition(column, sign, str(parsed.iat[0]), text)


def _column_of(text: str, columns: Sequence[Column]) -> tuple[Column, str]:
    """The column that a condition begins with, and what follows it. The longest heading that fits counts."""
    stripped = text.strip()
    for fold in (str, str.casefold):
        for column in sorted(columns, key=lambda each: len(each.header), reverse=True):
            head, rest = stripped[: len(column.header)], stripped[len(column.header) :]
            if column.header and fold(head) == fold(column.header) and _REST.fullmatch(rest):
                return column, rest
    name = re.split(r"[<>=!]| contains\b", stripped)[0].strip()
    headings = [column.header for column in columns]
    if name in headings:
        return columns[headings.index(name)], stripped[len(name) :]
    near = captions.near(name, headings)
    hint = f"did you mean {quoted(near)}?" if near else f"columns: {', '.join(headings)}"
    raise CellError(f"there is no column {quoted(name)}", hint)


def _fulfilled(texts: pd.Series, condition: Condition) -> Bools:
    """Which of a column's texts fulfil a condition, by distinct value."""
    codes, distinct = pd.factorize(texts)
    test = _test_of(condition)
    found = np.array([test(str(text)) for text in distinct], dtype=np.bool_)
    made: Bools = found[codes] if len(found) else np.zeros(len(codes), dtype=np.bool_)
    return made


def _test_of(condition: Condition) -> Callable[[str], bool]:
    column, value = condition.column, condition.value
    if condition.operator == CONTAINS:
        return lambda text: value in captions.folded(fields.show(text, column))
    if condition.operator in _EQUALITY:
        same = _EQUALITY[condition.operator]
        is_box = column.type == "checkbox"
        return lambda text: same(_folded(text or ("0" if is_box else ""), column), _folded(value, column))
    compare, bound = _ORDER[condition.operator], _ordered(value, column)

    def test(text: str) -> bool:
        place = _ordered(text, column) if text else None
        return place is not None and bound is not None and compare(place, bound)

    return test


def _folded(text: str, column: Column) -> str:
    return captions.folded(text) if column.type not in fields.PARSERS else text


def _ordered(text: str, column: Column) -> Any:
    """What a value is compared by; None where it is no value of its column."""
    if column.type in fields.NUMBER_TYPES or column.type == "date_time":
        try:
            number = Decimal(text)
        except InvalidOperation:
            return None
        return number if number.is_finite() else None
    return text if column.type in fields.DATE_TYPES else captions.folded(text)
