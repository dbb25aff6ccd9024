"""The questions that the vendor's pages leave open, as switches.

Every default is the answer the evidence favours; the other positions are answers that somebody has
reported or that nobody can rule out, so that a client can be tested against both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo


class KnobError(ValueError):
    """No such knob, or not a position it has."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """Positions of all switches; a knob with named positions lists them in `CHOICES`."""

    link_key: str = "_links"
    """Key of links in v2 POST answers; the pages' POST samples spell it ``_link``, live answers do not."""
    page_rows: int = 50
    """Rows of a v2 page where the request names no number. Never documented; 50 is common belief."""
    ignore_limit_rows: bool = False
    """Whether ``limit_rows`` and ``limit_offset`` are ignored; documented for other entities only."""
    max_batch: int = 500
    """Most entries one v2 request may carry, its verbs together (2020 page)."""
    over_batch: str = "400"
    """Answer to a larger batch. Nothing is stored in either case."""
    delete_answer: str = "items"
    """What a v2 delete answers: one item per id, no items, or the items one array deeper."""
    update_without_updated_at: str = "accept"
    """The table marks it required, the samples leave it out."""
    same_id_twice: str = "in_order"
    """A second update of an id in one batch: judged by its ``updated_at``, or always the winner."""
    values_empty_list: str = "clear"
    """``values: []`` in v2; proven to clear for leads and contacts only."""
    equal_updated_at: str = "reject"
    """An ``updated_at`` equal to the stored one."""
    stored_updated_at: str = "sent"
    """What an update leaves behind: the value sent, or always the server's time."""
    get_without_catalog_id: str = "by_id"
    """``catalog_id`` is marked required, but reading by ``id`` alone is seen to work."""
    term_scope: str = "name"
    """Where ``term`` searches: the page says the name; a shop finds article numbers with it."""
    enums_shape: str = "map"
    """Options in the account answer: id -> caption, or a list of ``{id, value}``."""
    captions: str = "escaped"
    """Option captions in v2 answers, HTML-escaped or as stored."""
    omitted_fields: str = "keep"
    """Fields an update does not name; one old report says they were wiped."""
    element_order: str = "newest_first"
    """Order of v2 elements; newest first by sample only."""
    answer_order: str = "kept"
    """Whether a write answers its items in the order of its entries."""

    v4_page_rows: int = 50
    """Rows of a page where the request has no ``limit``; 50 by the page, once 100."""
    bad_limit: str = "50"
    """``limit`` of 0, negative or text: as if absent, or refused."""
    next_link: str = "correct"
    """``_links.next``: where more follows, always, or missing once 100 rows are out."""
    v4_element_order: str = "id"
    """Order of elements, ascending; by ``updated_at`` rows move between pages while somebody writes."""
    v4_get_missing: str = "404"
    """Reading what is not there, or no longer."""
    v4_patch_missing: str = "refuse"
    """Changing what is not there: 404 alone and ``NotSupportedChoice`` in a batch, or 204."""
    v4_max_batch: int = 250
    """Most entries of one v4 request; the answer to more is `over_batch`."""
    v4_bad_item: str = "all_or_nothing"
    """A batch with one bad entry: nothing is stored, or the good ones are."""
    v4_write_status: str = "page"
    """Status of a write that was done: as on the page of each call, or always the same."""
    v4_name_required: bool = False
    """Whether a PATCH without ``name`` is refused; the Russian page marks it required."""
    patch_request_id: str = "id"
    """``request_id`` in the answer to a PATCH: the id of the thing, or what was sent."""
    multiselect_enum_code: str = "refuse"
    """``enum_code`` written to a multiselect; the page allows it, live answers do not."""
    v4_field_types: str = "all"
    """Types a field of a list may have: those of either page, or only those of the Russian one."""
    v4_checkbox: str = "bool"
    """A checkbox as it is read: true or false, or ``"1"`` or ``"0"``."""
    price_type: str = "price"
    """What the type of a price field is called."""
    unticked_checkbox: str = "stored"
    """After unticking a checkbox: ``"0"`` is read, or nothing at all."""
    block_after_s: int = 10
    """Consecutive seconds with excess requests after which the account is blocked; 0 = never."""
    account_rps: int = 50
    """Requests per second over all tokens of the account, and never fewer than one token has; 0 = no limit."""
    refusal_body: str = "html"
    """Body of the 429 and 403 of the rate limit: a page, or problem+json."""
    retry_after_s: int = 0
    """``Retry-After`` of these; asked for since 2023 and never documented. 0 = none."""
    applied_504: str = "applied"
    """Whether a write that is answered 504 is applied, where the fault does not say."""
    timezone: str = "seed"
    """The account's time zone, in which v2 writes dates: the seed's, or the one named here."""

    @classmethod
    def from_text(cls, settings: Iterable[str]) -> Knobs:
        """Knobs from ``NAME=VALUE`` texts. Raises `KnobError` for a name or a position that is none."""
        chosen: dict[str, Any] = {}
        for setting in settings:
            name, equals, text = setting.partition("=")
            name = name.strip().replace("-", "_")
            if not equals or name not in DEFAULTS:
                raise KnobError(f"{setting!r}: expected NAME=VALUE with a name of {', '.join(DEFAULTS)}")
            chosen[name] = _position(name, text.strip())
        return cls(**chosen)


CHOICES: dict[str, tuple[str, ...]] = {
    "link_key": ("_links", "_link"),
    "over_batch": ("400", "504"),
    "delete_answer": ("items", "empty", "nested"),
    "update_without_updated_at": ("accept", "refuse"),
    "same_id_twice": ("in_order", "last_wins"),
    "values_empty_list": ("clear", "ignore"),
    "equal_updated_at": ("reject", "accept"),
    "stored_updated_at": ("sent", "now"),
    "get_without_catalog_id": ("by_id", "refuse"),
    "term_scope": ("name", "values"),
    "enums_shape": ("map", "list"),
    "captions": ("escaped", "raw"),
    "omitted_fields": ("keep", "wipe"),
    "answer_order": ("kept", "shuffled"),
    "bad_limit": ("50", "400"),
    "next_link": ("correct", "always", "missing_after_100"),
    "v4_element_order": ("id", "updated_at"),
    "v4_get_missing": ("404", "204"),
    "v4_patch_missing": ("refuse", "204"),
    "v4_bad_item": ("all_or_nothing", "store_good"),
    "v4_write_status": ("page", "200", "201"),
    "patch_request_id": ("id", "sent"),
    "multiselect_enum_code": ("refuse", "allow"),
    "v4_field_types": ("all", "ru"),
    "v4_checkbox": ("bool", "text"),
    "price_type": ("price", "numeric"),
    "element_order": ("newest_first", "oldest_first"),
    "unticked_checkbox": ("stored", "absent"),
    "refusal_body": ("html", "json"),
    "applied_504": ("applied", "not", "half"),
}

DEFAULTS: dict[str, Any] = {knob.name: knob.default for knob in dataclasses.fields(Knobs)}


def _position(name: str, text: str) -> object:
    if name in CHOICES:
        if text not in CHOICES[name]:
            raise KnobError(f"{name}: {text!r} is none of {', '.join(CHOICES[name])}")
        return text
    if isinstance(DEFAULTS[name], bool):
        if text not in ("true", "false"):
            raise KnobError(f"{name}: {text!r} is neither true nor false")
        return text == "true"
    if name == "timezone":
        return _zone(text)
    if not text.isascii() or not text.isdigit():
        raise KnobError(f"{name}: {text!r} is not a whole number")
    return int(text)


def _zone(text: str) -> str:
    try:
        return text if text == "seed" else ZoneInfo(text).key
    except (LookupError, ValueError, OSError) as error:
        raise KnobError(f"timezone: {text!r} is neither seed nor a time zone") from error
