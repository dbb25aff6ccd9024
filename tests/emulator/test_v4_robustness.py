"""Whatever is sent to version 4, the answer is one the API knows, and everything stays readable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .conftest import Session
from .test_robustness import SHARED

KEYS = (
    "id name values value enum_id enum_code custom_fields_values field_id field_code request_id code type sort".split()
)
KEYS += "enums nested parent_id parent_request_id group_id settings discount is_required entity_type entity_id".split()
TYPES = "text numeric select multiselect category date smart_address legal_entity items file supplier payer".split()
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([41872, "41873", 10**30, "9" * 40, *range(4400049, 4400077), 3692539, "\ud800", "Red", *TYPES]),
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
)
VALUE = st.fixed_dictionaries({"value": ANYTHING}) | ANYTHING
FIELD = st.fixed_dictionaries({"field_id": st.integers(4400049, 4400076), "values": st.lists(VALUE, max_size=2)})
ENTRY = st.fixed_dictionaries(
    {"name": st.just("X")},
    optional={
        "id": st.sampled_from([41872, 41873, 4220, 4400062]) | SCALARS,
        "type": st.sampled_from(TYPES),
        "sort": SCALARS,
        "enums": st.lists(ANYTHING, max_size=2),
        "nested": st.lists(ANYTHING, max_size=2),
        "custom_fields_values": st.lists(FIELD, max_size=3),
    },
)
PATHS = ["catalogs/4220/elements", "catalogs", "catalogs/4220/custom_fields", "catalogs/4220/custom_fields/groups"]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("path", PATHS)
@SHARED
@given(body=st.lists(ENTRY | ANYTHING, max_size=3) | ANYTHING)
def test_any_json_is_answered(session: Session, path: str, method: str, body: Any) -> None:
    url = f"{session.emulator.url}/api/v4/{path}"
    answer = session.http.request(method, url, data=json.dumps(body), timeout=10)
    assert answer.status_code in (200, 201, 400), answer.text
    answer.json()
    for target in (f"/api/v4/{path}?limit=250", "/api/v4/catalogs/4220/elements?query=x", "/api/v2/account"):
        assert session.get(target).status_code in (200, 204)
    assert session.get("/api/v2/catalog_elements?catalog_id=4220").status_code in (200, 204)


@pytest.mark.parametrize("value", ["", "0", "-1", "x", "9" * 15, "9" * 40, "1.5", "%00", "%ff"])
@pytest.mark.parametrize(
    "name", ["id", "filter[id][]", "page", "limit", "query", "with", "order[id]", "filter[type][]"]
)
@pytest.mark.parametrize("path", PATHS)
def test_any_argument_is_answered(session: Session, path: str, name: str, value: str) -> None:
    assert session.get(f"/api/v4/{path}?{name}={value}").status_code in (200, 204)


@pytest.mark.parametrize(
    "path", ["catalogs/x", f"catalogs/{'9' * 15}", f"catalogs/{'9' * 40}", "catalogs/4220/elements/²"]
)
def test_any_path_is_answered(session: Session, path: str) -> None:
    for method in ("GET", "PATCH"):
        answer = session.http.request(method, f"{session.emulator.url}/api/v4/{path}", json={"name": "X"}, timeout=10)
        assert answer.status_code == 404
