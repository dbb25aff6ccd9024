"""The lines of an invoice, read with what the server works out (api notes 5)."""

from __future__ import annotations

from typing import Any

from catalogsync.emulator.v4_shapes import Wrong, number_of, object_of
from catalogsync.emulator.values import DECIMAL

_WRITTEN = (
    "sku",
    "description",
    "unit_price",
    "quantity",
    "unit_type",
    "discount",
    "vat_rate_id",
    "external_uid",
    "product_id",
    "vat_rate_value",
    "bonus_points_per_purchase",
    "metadata",
)
_ADDED = ("is_discount_recalculated", "is_total_sum_recalculated", "total_sum")
_UNSET: dict[str, Any] = {
    "product_id": None,
    "vat_rate_value": 0,
    "bonus_points_per_purchase": 0,
    "metadata": None,
}
#: What the vendor's own library sends where there is no discount, beside nothing at all.
_NO_DISCOUNT: tuple[Any, ...] = (None, [], {}, {"type": None, "value": None})


def read_items(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items as they are stored. What the server adds on reading may be sent back and is dropped."""
    return [_read_item(object_of(entry, place), place) for place, entry in enumerate(values)]


def _read_item(sent: dict[str, Any], place: int) -> dict[str, Any]:
    if not sent:
        raise Wrong("FieldMissing", f"{place}.value.description")
    for key in sent:
        if key not in _WRITTEN + _ADDED:
            raise Wrong("FieldNotExpected", f"{place}.value.{key}")
    for key in ("unit_price", "quantity"):
        if sent.get(key) is not None:
            number_of(sent[key], f"{place}.value.{key}")
    for key in ("sku", "description", "unit_type", "external_uid"):
        if isinstance(sent.get(key), dict | list):
            raise Wrong("InvalidType", f"{place}.value.{key}")
    discount = sent.get("discount")
    if discount not in _NO_DISCOUNT:
        path = f"{place}.value.discount"
        if not isinstance(discount, dict):
            raise Wrong("InvalidType", path)
        if discount.get("type") not in ("amount", "percentage"):
            raise Wrong("NotSupportedChoice", f"{path}.type")
        number_of(discount.get("value"), f"{path}.value")
    return {key: value for key, value in sent.items() if key in _WRITTEN and value is not None}


def write_items(value: list[dict[str, Any]]) -> list[Any]:
    """The items as they are read: numbers as floats, and what the server works out."""
    return [{"value": _write_item(item)} for item in value]


def _write_item(item: dict[str, Any]) -> dict[str, Any]:
    shown = {key: item[key] for key in _WRITTEN if key in item}
    numbers = {key: _number(item[key]) for key in ("unit_price", "quantity") if item.get(key) is not None}
    total = numbers.get("unit_price", 0.0) * numbers.get("quantity", 0.0)
    discount = item.get("discount")
    if isinstance(discount, dict) and discount:
        amount = _number(discount.get("value"))
        total -= amount if discount.get("type") == "amount" else total * amount / 100
    return {
        **_UNSET,
        **shown,
        **numbers,
        "is_discount_recalculated": False,
        "is_total_sum_recalculated": False,
        "total_sum": round(total, 2) if abs(total) < float("inf") else 0.0,
    }


def _number(sent: object) -> float:
    """A number as PHP answers it: what is none counts as 0, what no float holds is cut to the greatest."""
    return max(-1e300, min(1e300, float(str(sent)))) if DECIMAL.fullmatch(str(sent)) else 0.0
