"""Pages of elements: decoded at once or as plain JSON, they come to the same columns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.api.auth import Account
from catalogsync.api.dialect import Page
from catalogsync.api.pages import batch_of
from catalogsync.api.transport import HttpTransport
from catalogsync.api.v2 import V2
from catalogsync.api.v4 import V4
from catalogsync.errors import UnexpectedAnswer
from tests.api.helpers import FIELDS, Told, columns, read_page, scripted

PARTS = {"4400068": ("city", "zip", "*"), "4400069": ("name", "vat_id", "*")}
WANTED = columns(
    "name", *(f"{field.id}.{part}".rstrip(".") for field in FIELDS for part in PARTS.get(str(field.id), ("",)))
)

texts = st.sampled_from(
    ["", " Oak ", " Oak\r\n20 mm ", "00123", "12.50", "1", "0", "2026-03-31 09:00:00", "3692", "Red"]
)
numbers = st.sampled_from([0, -3, 10**9, 3692539, 3692540, 3692])
scalars = st.none() | st.booleans() | numbers | texts
parts = st.dictionaries(st.sampled_from(["name", "vat_id", "city", "sku", "unit_price"]), scalars, max_size=2)
plain = st.fixed_dictionaries({"value": texts})
v2_values = plain | st.fixed_dictionaries({"value": texts, "enum": texts})
v2_odd_values = st.fixed_dictionaries({}, optional={"value": scalars | parts, "enum": scalars, "subtype": scalars})
v4_values = plain | st.fixed_dictionaries({"value": texts, "enum_id": numbers})
v4_odd_values = st.fixed_dictionaries(
    {}, optional={"value": scalars | parts, "enum_id": numbers | st.none(), "enum_code": texts, "more": scalars}
)


def held(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any], id_name: str) -> st.SearchStrategy[Any]:
    """The custom fields of an element, in the shapes that are seen in the wild."""
    several = st.lists(usual, min_size=1, max_size=1) | st.lists(odd, max_size=3)
    if id_name == "id":  # v2 alone sends one object in place of a list of one
        several |= odd.filter(lambda each: "value" in each)
    filled = st.lists(several | st.none(), min_size=len(FIELDS), max_size=len(FIELDS))
    listed = filled.map(lambda found: [{id_name: f.id, "values": each} for f, each in zip(FIELDS, found, strict=True)])
    return listed | listed.map(lambda entries: {str(entry[id_name]): entry for entry in entries}) | st.none()


def elements(name: str, fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A page of elements."""
    links: st.SearchStrategy[Any] = st.none() | st.just({}) | st.just([]) | st.just({"id": [31]})
    facts = {
        "id": st.integers(1, 10**10),
        "name": texts | st.none(),
        "updated_at": st.integers(0, 10**10),
        name: fields,
    }
    more = {"updated_by": numbers | st.none(), "is_deleted": st.none() | st.booleans(), "leads": links}
    return st.lists(st.fixed_dictionaries(facts, optional={**more, "customers": links}), min_size=1, max_size=3)


@given(elements("custom_fields", held(v2_values, v2_odd_values, "id")))
def test_a_page_of_v2_says_the_same_however_it_is_decoded(items: list[dict[str, Any]]) -> None:
    page = read_page(V2(), {"_embedded": {"items": items}}, WANTED, "Europe/Riga")
    assert page.listed_ids == [item["id"] for item in items]


@given(elements("custom_fields_values", held(v4_values, v4_odd_values, "field_id")))
def test_a_page_of_v4_says_the_same_however_it_is_decoded(items: list[dict[str, Any]]) -> None:
    page = read_page(V4(), {"_embedded": {"elements": items}}, WANTED, "Europe/Riga")
    assert page.listed_ids == [item["id"] for item in items]


def body(**more: Any) -> dict[str, Any]:
    custom = [{"id": 4400049, "name": "Vendor code", "values": [{"value": "00415"}], "is_system": True}]
    return {"_embedded": {"items": [{"id": 5, "name": "x", "updated_at": 6, "custom_fields": custom, **more}]}}


@pytest.mark.parametrize(
    ("sent", "name", "code"),
    [
        pytest.param(body(), "x", "00415", id="the usual shape"),
        pytest.param(body(name=12), "12", "00415", id="a name that is a number"),
        pytest.param(body(id="5"), "x", "00415", id="an id that is a text"),
        pytest.param(body(custom_fields=[{"id": 4400049, "values": ["7"]}]), "x", "7", id="a bare value"),
        pytest.param(json.dumps(body(name="a\ud800b")), "a\ufffdb", "00415", id="half a surrogate pair"),
        pytest.param(json.dumps(body(name="\ud83d\ude00")), "\U0001f600", "00415", id="a whole one"),
        pytest.param("\ufeff" + json.dumps(body()), "x", "00415", id="a byte order mark"),
    ],
)
def test_a_page_in_any_shape_is_read_over_a_socket(sent: Any, name: str, code: str) -> None:
    text = sent if isinstance(sent, str) else json.dumps(sent)
    with scripted(Told(200, text)) as server:
        response = HttpTransport(Account(server.url, "t")).send(V2().elements_request(4220))
    page = V2().read_elements(response, columns("name", "4400049"), "")
    assert (page.ids, page.values) == ([5], batch_of({"name": [name], "4400049": [code]}))


@pytest.mark.parametrize("sent", ["", '{"_embedded": {"items": [', "<html>"])
def test_a_page_that_is_no_json_is_refused_as_any_answer_is(sent: str) -> None:
    with scripted(Told(200, sent)) as server, pytest.raises(UnexpectedAnswer):
        HttpTransport(Account(server.url, "t")).send(V2().elements_request(4220))


@pytest.mark.parametrize("places", [[], [0], [1, 2], [2], [0, 2], [0, 1, 2]])
def test_a_page_with_some_of_its_elements_has_these_in_every_column(places: list[int]) -> None:
    page = Page([5, 6, 7], [1, 2, 3], [8, 8, 9], batch_of({"1": ["a", "b", "c"]}), [True, False, True], [4, 5, 6, 7])
    some = page.only(places)
    assert (list(some.ids), some.values.to_pydict()) == ([5 + n for n in places], {"1": ["abc"[n] for n in places]})
    told = [(list(some.updated_at), list(some.updated_by), list(some.linked))]
    assert told == [([1 + n for n in places], [[8, 8, 9][n] for n in places], [n != 1 for n in places])]
    assert (list(some.packed().ids), some.packed().values, list(some.packed().listed_ids)) == (
        list(some.ids),
        some.values,
        [4, 5, 6, 7],
    )
