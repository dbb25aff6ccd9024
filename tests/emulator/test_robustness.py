"""Whatever is sent, the answer is one the API knows: never a 500, never half a batch that says nothing."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Session

# The emulator keeps what earlier examples stored; nothing that is checked here depends on it.
SHARED = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)

KEYS = ["id", "name", "catalog_id", "values", "value", "subtype", "custom_fields", "updated_at", "request_id", "code"]
KEYS += ["origin", "type", "element_type", "enums", "enum", "discount", "can_add_elements"]
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([4220, 41873, "41872", 10**30, "9" * 40, *range(4400049, 4400077), 3692539, "\ud800"]),
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
)
VALUES = st.fixed_dictionaries({"id": st.integers(4400049, 4400076), "values": ANYTHING})
ENTRY = st.fixed_dictionaries(
    {"catalog_id": st.just(4220), "name": SCALARS, "custom_fields": st.lists(VALUES, max_size=3)}
)


@pytest.mark.parametrize("path", ["/api/v2/catalog_elements", "/api/v2/catalogs", "/api/v2/fields"])
@SHARED
@given(
    body=st.dictionaries(
        st.sampled_from(["add", "update", "delete"]), st.lists(ENTRY | ANYTHING, max_size=3) | ANYTHING, max_size=3
    )
)
def test_any_json_is_answered(session: Session, path: str, body: Any) -> None:
    answer = session.http.post(session.emulator.url + path, data=json.dumps(body), timeout=10)
    assert answer.status_code in (200, 400), answer.text
    answer.json()
    for target in ("/api/v2/catalog_elements?catalog_id=4220", "/api/v2/account?with=custom_fields"):
        assert session.get(target).status_code in (200, 204)


@pytest.mark.parametrize("value", ["", "0", "-1", "x", "9" * 15, "9" * 40, "1.5", "%00", "%ff"])
@pytest.mark.parametrize("name", ["id", "id[]", "page", "limit_rows", "limit_offset", "term", "catalog_id"])
def test_any_argument_is_answered(session: Session, name: str, value: str) -> None:
    catalog = "" if name == "catalog_id" else "catalog_id=4220&"
    assert session.get(f"/api/v2/catalog_elements?{catalog}{name}={value}").status_code in (200, 204, 400)
    assert session.get(f"/api/v2/catalogs?{name}={value}").status_code in (200, 204)


def test_half_a_surrogate_pair_is_refused_as_no_text(session: Session) -> None:
    raw = rb'{"add": [{"catalog_id": 4220, "name": "\uD800"}]}'
    answer = session.http.post(f"{session.emulator.url}/api/v2/catalog_elements", data=raw, timeout=10)
    assert (answer.status_code, answer.json()["response"]["error_code"]) == (400, "102")
    paired = rb'{"add": [{"catalog_id": 4220, "name": "\uD83D\uDE00"}]}'
    assert session.http.post(f"{session.emulator.url}/api/v2/catalog_elements", data=paired, timeout=10).ok
    assert session.element(41874)["name"] == "\U0001f600"


@pytest.mark.parametrize("number", [10**30, -(10**30), 2**63])
def test_an_id_beyond_every_integer_is_one_that_does_not_exist(session: Session, number: int) -> None:
    answer = session.elements({"delete": [number], "update": [{"id": number, "name": "X"}]})
    assert answer["_embedded"]["items"] == []
    assert set(answer["_embedded"]["errors"]) == {"update", "delete"}


def test_a_request_that_is_cut_off_is_not_applied_and_makes_no_noise(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    head = "POST /api/v2/catalog_elements HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n"
    session.emulator.clear_requests()
    with socket.create_connection(("127.0.0.1", int(session.emulator.url.rpartition(":")[2])), timeout=10) as client:
        client.sendall(head.encode() + b'{"add": [')
        while not session.emulator.requests:
            time.sleep(0.01)
    while session.emulator.requests[0].status is None:
        time.sleep(0.01)
    assert session.emulator.requests[0].status == 0
    assert caplog.records == []
