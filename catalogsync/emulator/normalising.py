"""Stores that keep something else than what was sent: text trimmed, numbers rounded, text cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, TypeAlias

from catalogsync.emulator.model import Field, Value

Normalising: TypeAlias = Literal["trim", "round", "truncate"]
LONGEST = 255
_CENT = Decimal("0.01")


def normalised(
    name: str, values: Mapping[int, Value], fields: Mapping[int, Field], ways: Sequence[Normalising]
) -> tuple[str, dict[int, Value]]:
    """Name and values as they are stored. Text that nothing is left of is no value."""
    kept = dict(values)
    for way in ways:
        name = _text(name, way) or name
        for number, value in list(kept.items()):
            kind = fields[number].kind if number in fields else None
            if kind == "number" and way == "round":
                kept[number] = _rounded(value)
            elif kind == "text" and way != "round":
                kept[number] = _text(value, way)
                if not kept[number]:
                    del kept[number]
    return name, kept


def _text(text: str, way: Normalising) -> str:
    return text.strip() if way == "trim" else text[:LONGEST] if way == "truncate" else text


def _rounded(text: str) -> str:
    if len(text.partition(".")[2]) <= 2:
        return text
    whole, _, decimals = text.partition(".")
    # Exact whatever the length: only the decimals are rounded, away from zero at a half.
    up = Decimal(f"0.{decimals[:3]}").quantize(_CENT, ROUND_HALF_UP)
    if up < 1:
        return f"{whole}{str(up)[1:]}"
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits) + 1}.00"
