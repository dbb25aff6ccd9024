"""Options of a field on the wire: every one of them or none, compared whole (notes 4.4)."""

from __future__ import annotations

from typing import Any

import pytest

from catalogsync.api import v4_options
from catalogsync.api.dialect import Request, Response
from catalogsync.api.v4_options import Option
from catalogsync.errors import UnexpectedAnswer

PATH = "/api/v4/catalogs/7001/custom_fields/4"
ENUMS = [
    {"id": 41, "value": "A", "sort": 20, "code": "a"},
    {"id": 42, "value": "Salt &amp; B", "sort": 10, "code": None},
]
OPTIONS = (Option(41, "A", 20, "a"), Option(42, "Salt &amp; B", 10))


def read(body: Any) -> tuple[Option, ...]:
    return v4_options.read(Response(200, body), 4)


def test_a_field_is_read_by_itself() -> None:
    assert v4_options.read_request(7001, 4) == Request("GET", PATH)


@pytest.mark.parametrize(
    "body",
    [
        {"id": 4, "enums": ENUMS},
        {"id": 4, "enums": {"0": ENUMS[0], "1": ENUMS[1]}},
        {"_embedded": {"custom_fields": [{"id": 3, "enums": []}, {"id": 4, "enums": ENUMS}]}},
    ],
)
def test_options_are_read_in_the_accounts_order_as_they_are(body: Any) -> None:
    assert read(body) == OPTIONS


@pytest.mark.parametrize("none", [None, []])
def test_a_field_without_options_has_none(none: Any) -> None:
    assert read({"id": 4, "enums": none}) == ()


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"id": 4},
        {"id": 5, "enums": ENUMS},
        {"id": 4, "enums": "A"},
        {"id": 4, "enums": [*ENUMS, "C"]},
        {"id": 4, "enums": [*ENUMS, {"value": "C"}]},
        {"id": 4, "enums": [*ENUMS, {"id": 43}]},
        {"id": 4, "enums": [*ENUMS, {"id": 43, "value": None}]},
        {"id": 4, "enums": [*ENUMS, ENUMS[0]]},
        {"_embedded": {"custom_fields": [{"id": 3, "enums": ENUMS}]}},
    ],
)
def test_an_answer_that_may_lack_an_option_is_refused(body: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        read(body)


def test_new_options_go_out_after_all_that_there_are_with_their_ids_sorts_and_codes() -> None:
    kept = [{"id": 41, "value": "A", "sort": 20, "code": "a"}, {"id": 42, "value": "Salt &amp; B", "sort": 10}]
    new = [{"value": "C", "sort": 21}, {"value": "D, e", "sort": 22}]
    request = v4_options.write_request(7001, 4, OPTIONS, ["C", "D, e"])
    assert request == Request("PATCH", PATH, json={"enums": [*kept, *new]}, is_repeatable=False)


def test_the_first_options_of_a_field_begin_at_one() -> None:
    request = v4_options.write_request(7001, 4, (), ["C"])
    assert request.json == {"enums": [{"value": "C", "sort": 1}]}
