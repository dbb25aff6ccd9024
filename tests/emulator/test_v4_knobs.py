"""Every switch of version 4, flipped: what a client sees then."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Session
from .test_knobs import flipped

URL = "/api/v4/catalogs/4220/elements"
FIELDS = "/api/v4/catalogs/4220/custom_fields"


def ids(answer: Any) -> list[int]:
    return [item["id"] for item in answer.json()["_embedded"]["elements"]]


def fill(session: Session, count: int) -> None:
    for number in range(count):
        session.emulator.store.add_as_other_user(4220, f"No. {number}")


def has_next(answer: Any) -> bool:
    return "next" in answer.json()["_links"]


def test_v4_bad_item_stores_the_good_ones_beside_the_errors_in_a_200() -> None:
    with flipped("v4_bad_item=store_good") as session:
        answer = session.post(URL, [{"name": "Good"}, {"request_id": "r"}, {"name": "Fine"}])
        assert answer.status_code == 200
        embedded = answer.json()["_embedded"]
        assert [(item["name"], item["request_id"]) for item in embedded["elements"]] == [("Good", "0"), ("Fine", "2")]
        assert embedded["errors"] == [
            {
                "request_id": "r",
                "errors": [{"code": "FieldMissing", "path": "name", "detail": "This field is missing."}],
            }
        ]
        assert session.emulator.store.count(4220) == 4


def test_a_fault_that_reshapes_errors_of_version_2_leaves_these_alone() -> None:
    with flipped("v4_bad_item=store_good") as session:
        session.emulator.fault("errors=flat POST")
        (failed,) = session.post(URL, [{"request_id": "r"}]).json()["_embedded"]["errors"]
        assert failed["request_id"] == "r"


def test_v4_get_missing() -> None:
    with flipped("v4_get_missing=204") as session:
        session.elements({"delete": [41873]})
        for target in (f"{URL}/41873", "/api/v4/catalogs/999", f"{FIELDS}/1"):
            answer = session.get(target)
            assert (answer.status_code, answer.content) == (204, b"")
        assert session.patch(f"{URL}/41873", {"name": "X"}).status_code == 404
        # Nothing was added to a list that is not there: an empty success would say the opposite.
        assert session.post("/api/v4/catalogs/999/elements", [{"name": "X"}]).status_code == 404


def test_v4_patch_missing() -> None:
    with flipped("v4_patch_missing=204") as session:
        assert session.patch(f"{URL}/1", {"name": "X"}).status_code == 204
        assert session.patch(URL, [{"id": 1, "name": "X"}]).status_code == 204
        assert ids(session.patch(URL, [{"id": 1, "name": "X"}, {"id": 41873, "name": "Y"}])) == [41873]
        assert session.get(f"{URL}/1").status_code == 404


def test_next_link_always_leads_to_a_204() -> None:
    with flipped("next_link=always") as session:
        answer = session.get(URL)
        assert has_next(answer)
        assert session.http.get(answer.json()["_links"]["next"]["href"], timeout=10).status_code == 204


def test_next_link_missing_after_100_with_pages_of_100_hides_the_rest_of_137() -> None:
    with flipped("next_link=missing_after_100", "v4_page_rows=100") as session:
        fill(session, 135)
        answer = session.get(URL)
        assert (len(ids(answer)), has_next(answer)) == (100, False)
        assert len(ids(session.get(f"{URL}?page=2"))) == 37
        assert has_next(session.get(f"{URL}?limit=50"))
        assert not has_next(session.get(f"{URL}?limit=50&page=2"))


def test_v4_page_rows() -> None:
    with flipped("v4_page_rows=100") as session:
        fill(session, 110)
        assert len(ids(session.get(URL))) == 100
        assert len(ids(session.get(f"{URL}?limit=20"))) == 20


@pytest.mark.parametrize("status", [200, 201])
def test_v4_write_status_is_the_same_for_every_write(status: int) -> None:
    with flipped(f"v4_write_status={status}") as session:
        assert session.post(URL, [{"name": "X"}]).status_code == status
        assert session.patch(f"{URL}/41873", {"name": "X"}).status_code == status
        assert session.post(FIELDS, [{"name": "X", "type": "text"}]).status_code == status


def test_v4_name_required() -> None:
    with flipped("v4_name_required=true") as session:
        answer = session.patch(URL, [{"id": 41873}])
        assert answer.json()["validation-errors"][0]["errors"][0] == {
            "code": "FieldMissing",
            "path": "name",
            "detail": "This field is missing.",
        }
        assert session.patch(f"{URL}/41873", {"name": "X"}).status_code == 200


def test_patch_request_id() -> None:
    with flipped("patch_request_id=sent") as session:
        answer = session.patch(URL, [{"id": 41873, "request_id": "mine"}, {"id": 41872}])
        assert [item["request_id"] for item in answer.json()["_embedded"]["elements"]] == ["mine", 41872]


def test_multiselect_enum_code() -> None:
    with flipped("multiselect_enum_code=allow") as session:
        enums = [{"value": "A", "code": "a"}, {"value": "B", "code": "b"}]
        session.post(FIELDS, [{"name": "Marks", "type": "multiselect", "code": "MARKS", "enums": enums}])
        values = [{"field_code": "MARKS", "values": [{"enum_code": "b"}]}]
        answer = session.post(URL, [{"name": "X", "custom_fields_values": values}])
        (shown,) = answer.json()["_embedded"]["elements"][0]["custom_fields_values"][0]["values"]
        assert (shown["value"], shown["enum_code"]) == ("B", "b")


def test_v4_field_types() -> None:
    with flipped("v4_field_types=ru") as session:
        assert session.post(FIELDS, [{"name": "X", "type": "birthday"}]).status_code == 400
        assert session.post(FIELDS, [{"name": "X", "type": "linked_entity"}]).status_code == 201


def test_v4_checkbox() -> None:
    with flipped("v4_checkbox=text") as session:
        for written, shown in ((True, "1"), (False, "0")):
            values = [{"field_id": 4400063, "values": [{"value": written}]}]
            answer = session.patch(f"{URL}/41873", {"custom_fields_values": values}).json()
            assert answer["custom_fields_values"][-1]["values"] == [{"value": shown}]


def test_an_unticked_checkbox_is_absent_in_version_4_too() -> None:
    with flipped("unticked_checkbox=absent") as session:
        values = [{"field_id": 4400063, "values": [{"value": False}]}]
        answer = session.post(URL, [{"name": "X", "custom_fields_values": values}]).json()
        assert answer["_embedded"]["elements"][0]["custom_fields_values"] is None


def test_price_type() -> None:
    with flipped("price_type=numeric") as session:
        assert session.get(f"{FIELDS}/4400051").json()["type"] == "numeric"
        assert session.patch(f"{FIELDS}/4400051", {"type": "numeric", "name": "Cost"}).status_code == 201
        shown = session.get(f"{URL}/41873").json()["custom_fields_values"]
        assert [field["field_type"] for field in shown if field["field_code"] == "PRICE"] == ["numeric"]


def test_v4_element_order_by_change_moves_rows_between_pages() -> None:
    with flipped("v4_element_order=updated_at") as session:
        assert ids(session.get(URL)) == [41872, 41873]
        session.patch(f"{URL}/41872", {"name": "Changed"})
        assert ids(session.get(URL)) == [41873, 41872]
        assert [ids(session.get(f"{URL}?limit=1&page={page}")) for page in (1, 2)] == [[41873], [41872]]


@pytest.mark.parametrize("limit", ["0", "-1", "many", ""])
def test_bad_limit(limit: str) -> None:
    with flipped("bad_limit=400") as session:
        answer = session.get(f"{URL}?limit={limit}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
        assert session.get(URL).status_code == 200


def test_v4_max_batch_and_over_batch() -> None:
    with flipped("v4_max_batch=1", "over_batch=504") as session:
        answer = session.post(URL, [{"name": "A"}, {"name": "B"}])
        assert (answer.status_code, answer.headers["Content-Type"]) == (504, "text/html; charset=utf-8")
        assert session.emulator.store.count(4220) == 2


def test_answer_order_is_another_one_in_both_versions() -> None:
    with flipped("answer_order=shuffled") as session:
        items = session.post(URL, [{"name": "A"}, {"name": "B"}]).json()["_embedded"]["elements"]
        assert [(item["name"], item["request_id"]) for item in items] == [("B", "1"), ("A", "0")]
        add = [{"catalog_id": 4220, "name": name} for name in ("C", "D")]
        added = session.elements({"add": add})["_embedded"]["items"]
        assert [item["request_id"] for item in added] == [1, 0]


def test_omitted_fields() -> None:
    with flipped("omitted_fields=wipe") as session:
        values = [{"field_id": 4400051, "values": [{"value": "1"}]}]
        answer = session.patch(f"{URL}/41873", {"custom_fields_values": values}).json()
        assert [field["field_id"] for field in answer["custom_fields_values"]] == [4400051]
