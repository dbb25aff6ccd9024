"""Every switch, flipped: what a client sees then. The defaults are tested where the behaviour is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from catalogsync.emulator.knobs import DEFAULTS, KnobError, Knobs
from catalogsync.emulator.server import Emulator

from .conftest import NOW, SEED, Clock, Session

URL = "/api/v2/catalog_elements"


@contextmanager
def flipped(*settings: str) -> Iterator[Session]:
    knobs = Knobs.from_text(settings)
    with Emulator(seed=SEED, rps=0, clock=Clock(NOW), knobs=knobs) as emulator:
        session = Session(emulator)
        with session.http:
            yield session


def test_link_key() -> None:
    with flipped("link_key=_link") as session:
        answer = session.elements({"update": [{"id": 41873, "name": "X"}]})
        assert ("_link" in answer, "_links" in answer) == (True, False)
        assert "_link" in answer["_embedded"]["items"][0]


def test_page_rows_and_ignore_limit_rows() -> None:
    with flipped("page_rows=1", "ignore_limit_rows=true") as session:
        pages = [session.get(f"{URL}?catalog_id=4220&limit_rows=500&limit_offset=9&page={page}") for page in (1, 2, 3)]
        assert [page.status_code for page in pages] == [200, 200, 204]
        assert [len(page.json()["_embedded"]["items"]) for page in pages[:2]] == [1, 1]


def test_max_batch_and_over_batch() -> None:
    with flipped("max_batch=1", "over_batch=504") as session:
        answer = session.post(URL, {"delete": [41872, 41873]})
        assert (answer.status_code, answer.headers["Content-Type"]) == (504, "text/html; charset=utf-8")
        assert session.emulator.store.count(4220) == 2


def test_delete_answer() -> None:
    with flipped("delete_answer=empty") as session:
        assert session.elements({"delete": [41873]})["_embedded"] == {"items": []}
    with flipped("delete_answer=nested") as session:
        ((item,),) = session.elements({"delete": [41873]})["_embedded"]["items"]
        assert item["id"] == 41873


def test_update_without_updated_at() -> None:
    with flipped("update_without_updated_at=refuse") as session:
        answer = session.elements({"update": [{"id": 41873, "name": "X"}]})
        assert list(answer["_embedded"]["errors"]["update"]) == ["41873"]


def test_same_id_twice() -> None:
    with flipped("same_id_twice=last_wins") as session:
        twice = [{"id": 41873, "updated_at": 1509003164, "name": name} for name in ("first", "second")]
        assert "errors" not in session.elements({"update": twice})["_embedded"]
        assert session.element(41873)["name"] == "second"


def test_values_empty_list() -> None:
    with flipped("values_empty_list=ignore") as session:
        session.elements({"update": [{"id": 41873, "custom_fields": [{"id": 4400049, "values": []}]}]})
        assert session.values(41873)[4400049] == [{"value": "416"}]


def test_equal_updated_at() -> None:
    with flipped("equal_updated_at=accept") as session:
        session.elements({"update": [{"id": 41873, "updated_at": 1509003163, "name": "X"}]})
        assert session.element(41873)["name"] == "X"


def test_stored_updated_at() -> None:
    with flipped("stored_updated_at=now") as session:
        session.elements({"update": [{"id": 41873, "updated_at": 1509003164, "name": "X"}]})
        assert session.element(41873)["updated_at"] == NOW


def test_get_without_catalog_id() -> None:
    with flipped("get_without_catalog_id=refuse") as session:
        assert session.get(f"{URL}?id=41873").status_code == 400


def test_term_scope() -> None:
    with flipped("term_scope=values") as session:
        (item,) = session.get(f"{URL}?catalog_id=4220&term=416").json()["_embedded"]["items"]
        assert item["id"] == 41873


def test_enums_shape_and_captions() -> None:
    with flipped("enums_shape=list", "captions=raw") as session:
        body = session.get("/api/v2/account?with=custom_fields").json()
        assert body["_embedded"]["custom_fields"]["catalogs"]["4220"]["4400064"]["enums"] == [
            {"id": 3692, "value": "Red"},
            {"id": 3693, "value": 'B&W "2"'},
        ]


def test_omitted_fields() -> None:
    with flipped("omitted_fields=wipe") as session:
        session.elements({"update": [{"id": 41873, "custom_fields": [{"id": 4400051, "values": [{"value": "1"}]}]}]})
        assert session.values(41873) == {4400051: [{"value": "1"}]}


def test_element_order() -> None:
    with flipped("element_order=oldest_first") as session:
        items = session.get(f"{URL}?catalog_id=4220").json()["_embedded"]["items"]
        assert [item["id"] for item in items] == [41872, 41873]


def test_unticked_checkbox() -> None:
    with flipped("unticked_checkbox=absent") as session:
        added = session.add({"id": 4400063, "values": [{"value": 0}]})
        assert session.values(added) == {}


def test_refusal_body_and_retry_after_s() -> None:
    knobs = Knobs.from_text(["refusal_body=json", "retry_after_s=2", "block_after_s=1"])
    with Emulator(seed=SEED, rps=1, steady_clock=Clock(0), knobs=knobs) as emulator:
        session = Session(emulator)
        with session.http:
            seen = [session.get(URL) for _ in range(3)][1:]
        assert [answer.json()["status"] for answer in seen] == [429, 403]
        assert [answer.headers["Retry-After"] for answer in seen] == ["2", "2"]


def test_account_rps() -> None:
    knobs = Knobs.from_text(["account_rps=3"])
    with Emulator(seed=SEED, rps=2, steady_clock=Clock(0), knobs=knobs) as emulator:
        emulator.store.add_token("second")
        session = Session(emulator)
        with session.http:
            seen = [session.get("/api/v2/account").status_code for _ in range(2)]
            session.http.headers["Authorization"] = "Bearer second"
            seen += [session.get("/api/v2/account").status_code for _ in range(2)]
        assert seen == [200, 200, 200, 429]


def test_timezone() -> None:
    with flipped("timezone=Asia/Tokyo") as session:
        account = session.get("/api/v2/account").json()
        assert (account["timezone"], account["timezone_offset"]) == ("Asia/Tokyo", "+09:00")
        added = session.add({"id": 4400067, "values": [{"value": "2026-03-31 09:00:00"}]})
        element = session.emulator.store.element(added)
        assert element is not None
        assert element.values[4400067] == 1774915200


def test_knobs_are_set_by_name_and_the_defaults_are_the_defaults() -> None:
    assert Knobs.from_text([]) == Knobs()
    assert Knobs.from_text(["max-batch = 250", "block_after_s=0"]) == Knobs(max_batch=250, block_after_s=0)
    assert dataclasses.asdict(Knobs()) == DEFAULTS


@pytest.mark.parametrize(
    "text", ["nothing=1", "max_batch", "max_batch=-1", "ignore_limit_rows=1", "captions=loud", "timezone=Mars/Base"]
)
def test_a_knob_that_does_not_exist_or_has_no_such_position_is_refused(text: str) -> None:
    with pytest.raises(KnobError):
        Knobs.from_text([text])
