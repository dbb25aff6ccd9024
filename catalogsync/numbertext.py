"""Numbers as people write them, and as plain decimals: one by one, and a column at a time. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import pandas as pd
import pyarrow.compute as pc

from catalogsync import columnwise
from catalogsync.celltext import CellError, quoted
from catalogsync.columnwise import Bools
from catalogsync.model import Column

CURRENCIES: Mapping[str, str] = {
    **dict.fromkeys(("$", "usd", "us$"), "USD"),
    **dict.fromkeys(("€", "eur"), "EUR"),
    **dict.fromkeys(("£", "gbp"), "GBP"),
    **dict.fromkeys(("₽", "rub", "rur", "руб", "руб.", "р.", "р"), "RUB"),
    **dict.fromkeys(("₴", "uah", "грн", "грн."), "UAH"),
    **dict.fromkeys(("₸", "kzt", "тг", "тг."), "KZT"),
    **dict.fromkeys(("zł", "pln"), "PLN"),
    **dict.fromkeys(("r$", "brl"), "BRL"),
    **dict.fromkeys(("¥", "jpy"), "JPY"),
    **dict.fromkeys(("₹", "inr"), "INR"),
    **dict.fromkeys(("kč", "czk"), "CZK"),
    **dict.fromkeys(("₺", "try", "tl"), "TRY"),
    **{code.lower(): code for code in ("CHF", "CNY", "BYN", "GEL", "AMD", "MDL", "RON", "HUF", "MXN", "ARS")},
    **{code.lower(): code for code in ("CLP", "COP", "PEN", "SEK", "NOK", "DKK", "CAD", "AUD", "UZS", "AED")},
}
"""What people write beside a price, and the currency it means."""

_GROUPS = " \u00a0\u202f\u2009'’"
_NUMBER = re.compile(r"(?P<before>[^\d.,+-]*)(?P<number>[+-]?[\d.,\s\u00a0\u202f\u2009'’]*\d)(?P<after>[^\d]*)", re.S)
CANONICAL = r"-?[1-9][0-9]*(?:\.[0-9]*[1-9])?|0|-?0\.[0-9]*[1-9]"
"""A number that is canonical already, for Python and for RE2."""

_CANONICAL = re.compile(CANONICAL)
_WHOLE = "-?[1-9][0-9]*|0"

DAMAGED_CODE = r"\s*[+-]?\d+(?:[.,]\d+)?[eE]\+?\d+\s*"
"""A code that Excel shortened, as in ``8.80609E+12``: its last digits are gone for good."""

_EXPONENT = re.compile(DAMAGED_CODE)
_WORDS = re.compile(r'[^\d\n"\\`]{1,40}')
LONGEST_NUMBER = 100
"""No number that people write is longer, and `_NUMBER` takes quadratic time on what only looks like one."""


def plain_decimal(number: Decimal) -> str:
    """A decimal in its shortest plain form: no exponent, no trailing zeros, no negative zero."""
    if number == 0:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def canonical_number(text: str) -> str:
    """Canonical text of a number in machine notation; anything else unchanged, so that it still compares."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return plain_decimal(number) if number.is_finite() and abs(number.adjusted()) < 1000 else text


def currency_of(text: str) -> str:
    """The currency written beside a number: its code, "" where there is none or the text is no number."""
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= LONGEST_NUMBER else None
    if not match:
        return ""
    marks = [m for m in (match["before"].strip(), match["after"].strip()) if m and m != "%"]
    return CURRENCIES.get(marks[0].lower(), "") if len(marks) == 1 else ""


def parse_number(text: str, column: Column) -> str:
    """A number as people write it: grouped, with a currency or a percent sign.

    A comma is only ever understood as the mapping says (``decimal:``); it is not guessed.
    """
    if _CANONICAL.fullmatch(text) and not (column.decimal == "," and "." in text):
        return text
    words = f'if that means no value: `empty: "{text.strip()}"`' if _WORDS.fullmatch(text) else ""
    wrong = CellError(f"{quoted(text)} is not a number", words)
    if len(text) > LONGEST_NUMBER:
        raise wrong
    match = _NUMBER.fullmatch(text.strip())
    if _EXPONENT.fullmatch(text):
        raise CellError(f"{quoted(text)} is a number that Excel shortened", "its digits are lost; export it as text")
    if not match:
        raise wrong
    marks = [m for m in (match["before"].strip(), match["after"].strip()) if m]
    if len(marks) > 1 or (marks and marks[0] != "%" and marks[0].lower() not in CURRENCIES):
        raise wrong
    if marks and column.currency and CURRENCIES.get(marks[0].lower(), column.currency) != column.currency:
        raise CellError(f"{quoted(text)} is not in {column.currency}", "the mapping's `currency:` says which counts")
    body = match["number"]
    if "," in body and not column.decimal:
        raise CellError(
            f"{quoted(text)} is not a number",
            'a comma may be a decimal or a thousands sign: set `decimal: ","` or `decimal: "."`',
        )
    point = column.decimal or "."
    groups = _GROUPS + ("." if point == "," else ",")
    whole, _, fraction = body.partition(point)
    sign, digits = ("-", whole[1:]) if whole[:1] == "-" else ("", whole.removeprefix("+"))
    if any(mark in digits for mark in groups):
        if not re.fullmatch(rf"\d{{1,3}}(?:[{re.escape(groups)}]\d{{3}})+", digits):
            raise wrong
        digits = "".join(char for char in digits if char not in groups)
    if not re.fullmatch(r"[0-9]*", digits + fraction):
        raise wrong
    return plain_decimal(Decimal(f"{sign}{digits or 0}.{fraction or 0}"))


# --- a column at a time --------------------------------------------------------------------------------------


def plain_numbers(cells: pd.Series, column: Column) -> tuple[pd.Series, Bools]:
    """Cells less the zeros at the end of a fraction, and which of them are canonical numbers then."""
    if column.decimal == ",":
        return cells, columnwise.matches(cells, _WHOLE)
    plain = _without_last_zeros(cells)
    return plain, columnwise.matches(plain, CANONICAL)


_LAST_ZEROS = r"^-?(?:[1-9][0-9]{0,40}|0)\.[0-9]{0,40}0$"


def _without_last_zeros(texts: pd.Series) -> pd.Series:
    """Numbers less the zeros at the end of their fraction, ``12.50`` and ``12.00``; all else as it is."""
    given = columnwise.arrow(texts)
    has_zeros = pc.match_substring_regex(given, _LAST_ZEROS)
    if not pc.any(has_zeros).as_py():
        return texts
    trimmed = pc.utf8_rtrim(pc.utf8_rtrim(given, characters="0"), characters=".")
    return columnwise.column(pc.if_else(has_zeros, trimmed, given), texts.index)
