"""Drift in words: where sheet and catalog differ, and who edited the catalog last, when. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from catalogsync.keys import key_text
from catalogsync.model import Add, Change, Clash, Delete, Update
from catalogsync.plan import Plan
from catalogsync.plantext import lines_of
from catalogsync.sync import Planned
from catalogsync.wording import in_words, title_of

_CLASHES = {
    "conflict": "changed on both sides",
    "kept": "edited in the catalog, kept",
    "reverted": "edited in the catalog, set back",
    "overridden": "changed on both sides, the sheet counts",
    "deleted": "deleted in the catalog",
}


def drift_lines(planned: Planned, timezone: str = "") -> Iterator[str]:
    """A line for every difference: the product, the field, what the sheet and what the catalog say, and by whom."""
    plan = planned.plan
    zone = ZoneInfo(timezone or "UTC")
    for change in plan.changes:
        yield from _change_lines(plan, change, planned, zone)
    for clash in plan.clashes:
        yield f"{_clash_line(plan, clash)}{_edited(planned, clash.id, zone)}"


def _change_lines(plan: Plan, change: Change, planned: Planned, zone: ZoneInfo) -> Iterator[str]:
    key = key_text(change.key)
    match change:
        case Add():
            yield f"{key}: only in the sheet ({plan.address(change.row)})"
        case Delete():
            yield f"{key}: only in the catalog, element {change.id}{_edited(planned, change.id, zone)}"
        case Update():
            for title, before, after in lines_of(plan, change):
                where = plan.address(change.row) or "a row that is gone"
                told = f"the catalog says {before or '(empty)'}, the sheet {after} ({where})"
                yield f"{key}, {title}: {told}{_edited(planned, change.id, zone)}"


def _clash_line(plan: Plan, clash: Clash) -> str:
    key = key_text(clash.key)
    if clash.kind == "deleted":
        return f"{key}: {_CLASHES['deleted']} (element {clash.id}, {plan.address(clash.row)})"
    base, sheet, crm = (
        in_words(plan.columns, clash.column, text) or "(empty)" for text in (clash.base, clash.sheet, clash.crm)
    )
    title = title_of(plan.columns, clash.column)
    return f"{key}, {title}: {_CLASHES[clash.kind]}; was {base}, the catalog says {crm}, the sheet {sheet}"


def _edited(planned: Planned, id_: int, zone: ZoneInfo) -> str:
    if id_ not in planned.editors:
        return ""
    at, by = planned.editors[id_]
    when = datetime.fromtimestamp(at, UTC).astimezone(zone)
    who = f"user {by}" if by else "an unnamed user"
    return f"; last edited by {who} at {when:%Y-%m-%d %H:%M:%S} {when.tzname()}"
