"""Faults on demand, as a client sees them, and what the store holds afterwards."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from catalogsync.emulator.faults import Fault, FaultError
from catalogsync.emulator.server import Emulator

from .conftest import Session

URL = "/api/v2/catalog_elements"
DELETE: dict[str, Any] = {"delete": [41873]}
BAD: dict[str, Any] = {
    "add": [{"catalog_id": 4220, "request_id": 7}],
    "update": [{"id": 12, "name": "X"}],
}


def test_a_status_before_leaves_the_store_alone_and_one_after_does_not(session: Session, emulator: Emulator) -> None:
    emulator.fault("502 before POST")
    answer = session.post(URL, DELETE)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert emulator.store.element(41873) is not None
    emulator.fault("504 after POST")
    assert session.post(URL, DELETE).status_code == 504
    assert emulator.store.element(41873) is None


@pytest.mark.parametrize(("when", "left"), [("before", 2), ("after", 1)])
def test_a_dropped_connection_answers_nothing(session: Session, emulator: Emulator, when: str, left: int) -> None:
    emulator.fault(f"drop {when} POST")
    with pytest.raises(requests.ConnectionError):
        session.post(URL, DELETE)
    assert emulator.store.count(4220) == left
    assert emulator.requests[-1].status == 0
    assert session.get("/api/v2/account").status_code == 200


def test_a_fault_waits_for_its_match_and_lasts_for_its_count(session: Session, emulator: Emulator) -> None:
    fault = emulator.fault("500 GET /api/v2/catalog* nth=2 count=2")
    session.get("/api/v2/account")
    seen = [session.get("/api/v2/catalogs").status_code for _ in range(4)]
    assert seen == [200, 500, 500, 200]
    assert (fault.matched, fault.fired) == (4, 2)


def test_a_count_of_zero_lasts_until_faults_are_cleared(session: Session, emulator: Emulator) -> None:
    emulator.fault(Fault("status", status=503, count=0, body='{"detail": "later"}', content_type="application/json"))
    assert [session.get("/api/v2/account").json() for _ in range(3)] == [{"detail": "later"}] * 3
    emulator.faults.clear()
    assert session.get("/api/v2/account").status_code == 200


def test_a_truncated_answer_is_not_json(session: Session, emulator: Emulator) -> None:
    emulator.fault("truncate GET")
    answer = session.get("/api/v2/account")
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_a_delay_holds_the_answer_back(session: Session, emulator: Emulator) -> None:
    emulator.fault("delay=0.2 GET")
    begun = time.monotonic()
    session.get("/api/v2/account")
    assert time.monotonic() - begun >= 0.2


def test_a_call_lets_somebody_else_edit_between_two_requests(session: Session, emulator: Emulator) -> None:
    emulator.fault(
        Fault("call", method="POST", call=lambda store: store.edit_as_other_user(41873, values={"PRICE": "99"}))
    )
    answer = session.elements({"update": [{"id": 41873, "updated_at": 1509003164, "name": "Mine"}]})
    assert list(answer["_embedded"]["errors"]["update"]) == ["41873"]
    assert session.element(41873)["name"] == "Markers"


def test_errors_come_in_each_of_the_four_shapes_seen_in_the_wild(session: Session, emulator: Emulator) -> None:
    plain = session.elements(BAD)["_embedded"]["errors"]
    lacking, missing = plain["add"]["7"], plain["update"]["12"]

    def shaped(shape: str) -> Any:
        emulator.fault(f"errors={shape} POST")
        return session.elements(BAD)

    assert shaped("dict")["_embedded"]["errors"] == {"add": {"7": lacking}, "update": {"12": missing}}
    assert shaped("list")["_embedded"]["errors"] == {
        "add": [{"code": 285, "message": lacking, "request_id": 7}],
        "update": [{"code": 282, "message": missing, "id": 12}],
    }
    assert shaped("flat")["_embedded"]["errors"] == [
        {"id": 0, "code": 400, "message": lacking, "request_id": 7},
        {"id": 12, "code": 400, "message": missing, "request_id": 0},
    ]
    assert shaped("response") == {"response": {"error": lacking, "error_code": "285", "server_time": 1760000000}}


def test_an_answer_without_errors_keeps_its_shape(session: Session, emulator: Emulator) -> None:
    emulator.fault("errors=flat POST")
    assert "errors" not in session.elements(DELETE)["_embedded"]


def test_errors_that_have_another_shape_already_keep_it(session: Session, emulator: Emulator) -> None:
    emulator.fault("errors=flat POST")
    emulator.fault("errors=list POST")
    assert isinstance(session.elements(BAD)["_embedded"]["errors"], list)


def test_faults_and_requests_are_reached_by_control_routes_without_a_token(emulator: Emulator) -> None:
    base = f"{emulator.url}/_emulator"
    set_ = requests.post(f"{base}/faults", json=["429 GET", {"effect": "delay", "delay_s": 0}], timeout=10)
    assert [(fault["effect"], fault["status"]) for fault in set_.json()] == [("status", 429), ("delay", 500)]
    requests.get(f"{emulator.url}/api/v2/account", timeout=10)
    (arrival,) = requests.get(f"{base}/requests", timeout=10).json()
    assert (arrival["method"], arrival["target"], arrival["status"]) == ("GET", "/api/v2/account", 429)
    assert requests.delete(f"{base}/requests", timeout=10).status_code == 204
    assert requests.delete(f"{base}/faults", timeout=10).status_code == 204
    assert emulator.requests == []
    assert emulator.faults.all() == []
    assert requests.post(f"{base}/faults", data=b"{", timeout=10).status_code == 400
    assert requests.get(f"{base}/other", timeout=10).status_code == 404


@pytest.mark.parametrize(
    "text",
    ["", "200x", "drop sideways", "delay=x GET", "errors=round", "504 nth=-1", "call", "199", "504 after post"],
)
def test_a_fault_that_says_nothing_known_is_refused(text: str) -> None:
    with pytest.raises(FaultError):
        Fault.from_text(text)


@pytest.mark.parametrize("given", [1, {}, {"effect": "explode"}, {"effect": "drop", "after": 1}])
def test_a_fault_object_that_says_nothing_known_is_refused(given: object) -> None:
    with pytest.raises(FaultError):
        Fault.from_json(given)


def test_a_fault_object_and_a_fault_text_say_the_same() -> None:
    given = {"effect": "status", "status": 504, "when": "after", "method": "POST", "path": "/a", "nth": 2, "count": 3}
    assert Fault.from_json(json.loads(json.dumps(given))) == Fault.from_text("504 after POST /a nth=2 count=3")
