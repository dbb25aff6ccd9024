"""Which path of version 4 is answered by what; every refusal is problem+json (api notes 3.2, 3.3, 4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from catalogsync.emulator import v4_catalogs, v4_elements, v4_fields, v4_groups
from catalogsync.emulator.v4_envelope import NOT_FOUND, Missing, Problem, Rejected
from catalogsync.emulator.wire import Answer, Api, Call, allowing, html, nothing, problem

PREFIX = "/api/v4/"

#: Called with the numbers of the path, in its order.
Handler: TypeAlias = Callable[..., Answer]

_ID = r"([0-9]{1,15})"
_CATALOGS = f"{PREFIX}catalogs"
_CATALOG = f"{_CATALOGS}/{_ID}"

ROUTES: list[tuple[re.Pattern[str], dict[str, Handler]]] = [
    (re.compile(path), by_method)
    for path, by_method in (
        (f"{PREFIX}account", {"GET": v4_catalogs.get_account}),
        (
            _CATALOGS,
            {"GET": v4_catalogs.get_all, "POST": v4_catalogs.post_all, "PATCH": v4_catalogs.patch_all},
        ),
        (_CATALOG, {"GET": v4_catalogs.get_one, "PATCH": v4_catalogs.patch_one}),
        (
            f"{_CATALOG}/elements",
            {"GET": v4_elements.get_all, "POST": v4_elements.post_all, "PATCH": v4_elements.patch_all},
        ),
        (f"{_CATALOG}/elements/{_ID}", {"GET": v4_elements.get_one, "PATCH": v4_elements.patch_one}),
        (
            f"{_CATALOG}/custom_fields",
            {"GET": v4_fields.get_all, "POST": v4_fields.post_all, "PATCH": v4_fields.patch_all},
        ),
        (
            f"{_CATALOG}/custom_fields/{_ID}",
            {"GET": v4_fields.get_one, "PATCH": v4_fields.patch_one, "DELETE": v4_fields.delete_one},
        ),
        (
            f"{_CATALOG}/custom_fields/groups",
            {"GET": v4_groups.get_all, "POST": v4_groups.post_all, "PATCH": v4_groups.patch_all},
        ),
        (
            f"{_CATALOG}/custom_fields/groups/(\\w+)",
            {"GET": v4_groups.get_one, "PATCH": v4_groups.patch_one, "DELETE": v4_groups.delete_one},
        ),
    )
]


def answer(api: Api, call: Call) -> Answer:
    """The answer to any call under ``/api/v4/``."""
    for pattern, by_method in ROUTES:
        found = pattern.fullmatch(call.path)
        if found is None:
            continue
        handler = by_method.get(call.method)
        if handler is None:
            return allowing(by_method, Answer(405))
        numbers = [int(part) if part.isascii() and part.isdigit() else part for part in found.groups()]
        try:
            return handler(api, call, *numbers)
        except Missing:
            return _missing(api, call)
        except Rejected as rejected:
            return rejected.answer()
        except Problem as refused:
            return html(504) if refused.status == 504 else problem(refused.status, str(refused))
    return problem(404, f"Cannot {call.method} {call.base}{call.path}")


def _missing(api: Api, call: Call) -> Answer:
    knobs = {"GET": api.knobs.v4_get_missing, "PATCH": api.knobs.v4_patch_missing}
    return nothing() if knobs.get(call.method) == "204" else problem(404, NOT_FOUND)
