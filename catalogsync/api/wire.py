"""JSON answers as they really are: an empty map may be a list, a number text, a list a map. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeGuard

from catalogsync.api.dialect import Response
from catalogsync.errors import UnexpectedAnswer

_HALF = re.compile("[\ud800-\udfff]")


def object_of(response: Response) -> Mapping[str, Any]:
    if not isinstance(response.json, dict):
        raise UnexpectedAnswer("the server's answer is not a JSON object", status=response.status)
    return response.json


def mapping_of(value: Any) -> Mapping[str, Any]:
    """A JSON object, empty where something else stands: PHP writes an empty map as ``[]`` (notes 1.7)."""
    return value if isinstance(value, dict) else {}


def entries_of(value: Any) -> list[Any]:
    """A JSON list, or the values of a map that stands for one."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def embedded(response: Response, name: str) -> list[Any]:
    """The entries of a collection; none for 204."""
    return [] if response.json is None else entries_of(mapping_of(object_of(response).get("_embedded")).get(name))


def is_number(value: Any) -> TypeGuard[int | str]:
    return isinstance(value, int | str) and not isinstance(value, bool) and str(value).strip().isdigit()


def as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return str(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def whole_text(value: Any) -> Any:
    """A JSON value without half surrogate pairs, which no file, database or request can hold."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _HALF.search(value) else value
    if isinstance(value, dict):
        return {whole_text(name): whole_text(each) for name, each in value.items()}
    return [whole_text(each) for each in value] if isinstance(value, list) else value
