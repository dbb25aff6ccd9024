"""What an account says of itself: its id, name and time zone."""

from __future__ import annotations

from dataclasses import dataclass

from catalogsync.api.dialect import Request, Response
from catalogsync.api.wire import mapping_of, object_of

REQUESTS = {
    "v2": Request("GET", "/api/v2/account"),
    "v4": Request("GET", "/api/v4/account", (("with", "datetime_settings"),)),
}
"""By dialect (notes 1.7, 4.2)."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account. `timezone` is an IANA name, "" where it is not told; `user_id` is who the token acts as, or 0."""

    id: int
    name: str
    timezone: str = ""
    user_id: int = 0


def read(response: Response) -> AccountFacts:
    """The account out of either dialect's answer. Raises UnexpectedAnswer for another shape."""
    body = object_of(response)
    settings = mapping_of(mapping_of(body.get("_embedded")).get("datetime_settings"))
    user = body.get("current_user") or body.get("current_user_id")
    return AccountFacts(
        id=_number(body.get("id")),
        name=str(body.get("name") or ""),
        timezone=str(body.get("timezone") or settings.get("timezone") or ""),
        user_id=_number(user),
    )


def _number(told: object) -> int:
    return int(told) if isinstance(told, int | str) and str(told).isdecimal() else 0
