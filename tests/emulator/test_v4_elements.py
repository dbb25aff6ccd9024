"""``/api/v4/catalogs/{id}/elements`` on the wire (api notes 4.1, 4.3)."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import NOW, Clock, Session

URL = "/api/v4/catalogs/4220/elements"
BAD = {
    "title": "Bad Request",
    "type": "https://httpstatus.es/400",
    "status": 400,
    "detail": "Request validation failed",
}
MISSING = {"title": "Not Found", "type": "https://httpstatus.es/404", "status": 404, "detail": "Error 282."}


def ids(answer: Any) -> list[int]:
    return [item["id"] for item in answer.json()["_embedded"]["elements"]]


def errors(answer: Any) -> list[tuple[str, str, str]]:
    """(request_id, code, path) of every validation error of a refused request."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert {name: body[name] for name in BAD} == BAD
    return [
        (entry["request_id"], error["code"], error["path"])
        for entry in body["validation-errors"]
        for error in entry["errors"]
    ]


def test_an_element_reads_with_all_its_shapes_and_an_absolute_link(session: Session) -> None:
    answer = session.get(f"{URL}/41873")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/hal+json"
    assert answer.json() == {
        "id": 41873,
        "name": "Markers",
        "created_by": 504141,
        "updated_by": 504141,
        "created_at": 1509003163,
        "updated_at": 1509003163,
        "is_deleted": None,
        "custom_fields_values": [
            {
                "field_id": 4400049,
                "field_name": "Vendor code",
                "field_code": "SKU",
                "field_type": "text",
                "values": [{"value": "416"}],
            },
            {
                "field_id": 4400050,
                "field_name": "Amount",
                "field_code": None,
                "field_type": "numeric",
                "values": [{"value": "250"}],
            },
            {
                "field_id": 4400051,
                "field_name": "Price",
                "field_code": "PRICE",
                "field_type": "price",
                "values": [{"value": "80"}],
            },
            {
                "field_id": 4400062,
                "field_name": "Multilist",
                "field_code": None,
                "field_type": "multiselect",
                "values": [{"value": "2", "enum_id": 3692540}, {"value": "3", "enum_id": 3692541}],
            },
        ],
        "catalog_id": 4220,
        "account_id": 30001,
        "_links": {"self": {"href": f"{session.emulator.url}/api/v4/catalogs/4220/elements/41873"}},
    }


def test_a_list_reads_oldest_first_and_tells_no_totals(session: Session) -> None:
    body = session.get(URL).json()
    items = body.pop("_embedded")["elements"]
    assert [item["id"] for item in items] == [41872, 41873]
    assert body == {"_page": 1, "_links": {"self": {"href": session.emulator.url + URL}}}


def test_pages_follow_each_other_by_their_next_link_until_it_is_absent(session: Session) -> None:
    first = session.get(f"{URL}?limit=1&page=1&with=invoice_link")
    following = first.json()["_links"]["next"]["href"]
    assert following == f"{session.emulator.url}{URL}?with=invoice_link&page=2&limit=1"
    second = session.http.get(following, timeout=10)
    assert (second.json()["_page"], "next" in second.json()["_links"]) == (2, False)
    assert ids(first) + ids(second) == [41872, 41873]
    past = session.get(f"{URL}?limit=1&page=3")
    assert (past.status_code, past.content) == (204, b"")


def test_a_limit_above_250_is_cut_without_a_word_and_none_means_50(session: Session) -> None:
    for number in range(260):
        session.emulator.store.add_as_other_user(4220, f"No. {number}")
    assert len(ids(session.get(f"{URL}?limit=500"))) == 250
    assert len(ids(session.get(URL))) == 50
    assert len(ids(session.get(f"{URL}?limit=0"))) == 50
    assert len(ids(session.get(f"{URL}?limit=many"))) == 50


@pytest.mark.parametrize(
    "query",
    ["filter[id]=41873", "filter[id][]=41873", "filter[id][0]=41873&filter[id][1]=1", "id[]=41873", "id=41873"],
)
def test_elements_are_read_by_their_ids_in_every_spelling(session: Session, query: str) -> None:
    assert ids(session.get(f"{URL}?{query}")) == [41873]


@pytest.mark.parametrize(("query", "found"), [("mark", [41873]), ("415", [41872]), ("3", [41872, 41873])])
def test_query_searches_the_name_and_every_filled_field(session: Session, query: str, found: list[int]) -> None:
    assert ids(session.get(f"{URL}?query={query}")) == found


def test_a_query_without_a_match_and_an_empty_list_are_204(session: Session) -> None:
    assert session.get(f"{URL}?query=nothing").status_code == 204
    assert session.get("/api/v4/catalogs/4221/elements").status_code == 204


def test_a_filter_that_is_not_known_answers_the_whole_collection(session: Session) -> None:
    assert ids(session.get(f"{URL}?filter[updated_at][from]=1&order[name]=asc")) == [41872, 41873]


def test_elements_are_added_and_answered_with_the_callers_request_ids(session: Session) -> None:
    values = [{"field_code": "SKU", "values": [{"value": "OAK-20"}]}]
    body = [{"name": "Oak", "custom_fields_values": values, "request_id": "row-7"}, {"name": "Ash"}]
    answer = session.post(URL, body)
    assert answer.status_code == 200
    assert answer.json() == {
        "_links": {"self": {"href": session.emulator.url + URL}},
        "_embedded": {
            "elements": [
                {
                    "id": 41874,
                    "name": "Oak",
                    "created_by": 504141,
                    "updated_by": 504141,
                    "created_at": NOW,
                    "updated_at": NOW,
                    "is_deleted": False,
                    "custom_fields_values": [
                        {
                            "field_id": 4400049,
                            "field_name": "Vendor code",
                            "field_code": "SKU",
                            "field_type": "text",
                            "values": [{"value": "OAK-20"}],
                        }
                    ],
                    "catalog_id": 4220,
                    "account_id": 30001,
                    "request_id": "row-7",
                    "_links": {"self": {"href": f"{session.emulator.url}{URL}/41874"}},
                },
                {
                    "id": 41875,
                    "name": "Ash",
                    "created_by": 504141,
                    "updated_by": 504141,
                    "created_at": NOW,
                    "updated_at": NOW,
                    "is_deleted": False,
                    "custom_fields_values": None,
                    "catalog_id": 4220,
                    "account_id": 30001,
                    "request_id": "1",
                    "_links": {"self": {"href": f"{session.emulator.url}{URL}/41875"}},
                },
            ]
        },
    }


def test_a_patch_changes_what_it_names_and_answers_the_id_as_request_id(session: Session, clock: Clock) -> None:
    clock.now_s += 60
    change = {"id": 41873, "request_id": "mine", "custom_fields_values": [{"field_id": 4400051, "values": None}]}
    answer = session.patch(URL, [change])
    assert answer.status_code == 200
    (item,) = answer.json()["_embedded"]["elements"]
    assert (item["request_id"], item["name"], item["updated_at"]) == (41873, "Markers", NOW + 60)
    stored = session.emulator.store.element(41873)
    assert stored is not None
    assert stored.values == {4400049: "416", 4400050: "250", 4400062: [3692540, 3692541]}


def test_a_single_patch_takes_and_answers_a_bare_object(session: Session) -> None:
    answer = session.patch(f"{URL}/41873", {"name": "Felt pens"})
    assert (answer.status_code, answer.json()["name"], answer.json()["request_id"]) == (200, "Felt pens", 41873)
    assert session.element(41873)["name"] == "Felt pens"


def test_there_is_no_way_to_delete(session: Session) -> None:
    refused = session.delete(f"{URL}/41873")
    assert (refused.status_code, refused.content) == (405, b"")
    assert session.delete("/api/v4/catalogs/4220").status_code == 405
    ignored = session.patch(f"{URL}/41873", {"is_deleted": True})
    assert (ignored.status_code, ignored.json()["is_deleted"]) == (200, False)
    assert session.get(f"{URL}/41873").json()["is_deleted"] is None


def test_what_version_2_deletes_is_404_here(session: Session) -> None:
    session.elements({"delete": [41873]})
    answer = session.get(f"{URL}/41873")
    assert (answer.status_code, answer.json()) == (404, MISSING)
    assert session.get(f"{URL}?filter[id]=41873").status_code == 204


def test_a_patch_of_a_missing_element_is_404_alone_and_a_choice_that_is_none_in_a_batch(session: Session) -> None:
    alone = session.patch(f"{URL}/1", {"name": "X"})
    assert (alone.status_code, alone.json()) == (404, MISSING)
    answer = session.patch(URL, [{"id": 41873, "name": "X"}, {"id": 1, "name": "Y"}])
    assert answer.status_code == 400
    assert answer.json() == {
        "validation-errors": [
            {
                "request_id": "1",
                "errors": [
                    {
                        "code": "NotSupportedChoice",
                        "path": "id",
                        "detail": "The value you selected is not a valid choice.",
                    }
                ],
            }
        ],
        **BAD,
    }
    assert session.element(41873)["name"] == "Markers"


def test_an_element_is_not_found_under_another_list(session: Session) -> None:
    assert session.get("/api/v4/catalogs/4221/elements/41873").status_code == 404
    assert session.patch("/api/v4/catalogs/4221/elements/41873", {"name": "X"}).status_code == 404
    assert session.post("/api/v4/catalogs/999/elements", [{"name": "X"}]).status_code == 404


def test_one_bad_entry_costs_the_whole_batch_and_names_every_mistake(session: Session) -> None:
    values = [
        {"field_id": 4400049, "values": [{"value": "1"}]},
        {"field_id": 1, "values": [{"value": "1"}]},
        {"field_code": "NONE", "values": [{"value": "1"}]},
        {"values": [{"value": "1"}]},
        {"field_id": 4400062, "values": [{"value": "1"}, {"value": "9"}]},
        {"field_id": 4400064, "values": []},
        {"field_id": 4400050},
        {"field_id": 4400050, "values": [{"value": "many"}]},
    ]
    body = [{"name": "Good"}, {"custom_fields_values": values}, {"name": "X", "nmae": "Y", "request_id": 70}]
    answer = session.post(URL, body)
    assert answer.status_code == 400
    at = "custom_fields_values"
    assert errors(answer) == [
        ("1", "FieldMissing", "name"),
        ("1", "NotSupportedChoice", f"{at}.1.field_id"),
        ("1", "NotSupportedChoice", f"{at}.2.field_code"),
        ("1", "FieldMissing", f"{at}.3.field_id"),
        ("1", "NotSupportedChoice", f"{at}.4.values.1.value"),
        ("1", "TooFew", f"{at}.5.values"),
        ("1", "FieldMissing", f"{at}.6.values"),
        ("1", "InvalidType", f"{at}.7.values.0.value"),
        ("70", "FieldNotExpected", "nmae"),
    ]
    assert session.emulator.store.count(4220) == 2


def test_a_required_field_blocks_an_add_and_a_clearing(session: Session) -> None:
    url = "/api/v4/catalogs/4221/elements"
    assert errors(session.post(url, [{"name": "X"}])) == [("0", "FieldMissing", "custom_fields_values")]
    must = {"name": "X", "custom_fields_values": [{"field_id": 4400090, "values": [{"value": "m"}]}]}
    added = session.post(url, [must]).json()["_embedded"]["elements"][0]["id"]
    cleared = session.patch(f"{url}/{added}", {"custom_fields_values": [{"field_id": 4400090, "values": None}]})
    assert errors(cleared) == [("0", "FieldMissing", "custom_fields_values")]


def test_an_element_that_was_read_may_be_sent_back_as_a_whole(session: Session) -> None:
    before = session.get(f"{URL}/41873").json()
    answer = session.patch(f"{URL}/41873", before)
    assert answer.status_code == 200, answer.text
    assert answer.json()["custom_fields_values"] == before["custom_fields_values"]


@pytest.mark.parametrize("body", [{"name": "X"}, [], ["X"], "X", 7])
def test_a_bulk_body_that_is_no_array_of_objects_is_refused(session: Session, body: Any) -> None:
    answer = session.post(URL, body)
    assert (answer.status_code, answer.json()["detail"]) == (400, "The body is not an array of objects")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_more_than_250_entries_are_refused_and_nothing_is_stored(session: Session) -> None:
    answer = session.post(URL, [{"name": f"No. {number}"} for number in range(251)])
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert session.emulator.store.count(4220) == 2
    assert session.post(URL, [{"name": f"No. {number}"} for number in range(250)]).status_code == 200


def test_an_unknown_path_is_problem_json(session: Session) -> None:
    answer = session.get("/api/v4/leads")
    assert (answer.status_code, answer.json()["detail"]) == (404, f"Cannot GET {session.emulator.url}/api/v4/leads")


def test_no_token_is_401(session: Session) -> None:
    answer = session.http.get(session.emulator.url + URL, headers={"Authorization": "Bearer wrong"}, timeout=10)
    assert (answer.status_code, answer.json()["title"]) == (401, "Unauthorized")
