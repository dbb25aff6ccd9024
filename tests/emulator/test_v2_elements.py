"""``/api/v2/catalog_elements`` on the wire (seed page 002)."""

from __future__ import annotations

from typing import Any

import pytest

from catalogsync.emulator.server import Emulator

from .conftest import NOW, Clock, Session

URL = "/api/v2/catalog_elements"
OLDER = "Last modified date is older than in database"


def ids(answer: Any) -> list[int]:
    return [item["id"] for item in answer["_embedded"]["items"]]


def test_a_list_reads_as_on_the_vendors_page(session: Session) -> None:
    answer = session.get(f"{URL}?catalog_id=4220")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/hal+json"
    assert answer.headers["Runtime-Timestamp"] == str(NOW)
    body = answer.json()
    assert body["_links"] == {"self": {"href": "/api/v2/catalog_elements?catalog_id=4220", "method": "get"}}
    assert body["_embedded"]["items"][0] == {
        "id": 41873,
        "name": "Markers",
        "created_by": 504141,
        "created_at": 1509003163,
        "updated_at": 1509003163,
        "updated_by": 504141,
        "is_deleted": False,
        "custom_fields": [
            {
                "id": 4400049,
                "name": "Vendor code",
                "code": "SKU",
                "values": [{"value": "416"}],
                "is_system": True,
            },
            {"id": 4400050, "name": "Amount", "values": [{"value": "250"}], "is_system": True},
            {"id": 4400051, "name": "Price", "code": "PRICE", "values": [{"value": "80"}], "is_system": True},
            {
                "id": 4400062,
                "name": "Multilist",
                "values": [{"value": "2", "enum": "3692540"}, {"value": "3", "enum": "3692541"}],
                "is_system": False,
            },
        ],
        "catalog_id": 4220,
        "leads": {},
        "customers": {},
        "_links": {"self": {"href": "/api/v2/catalog_elements?id=41873&catalog_id=4220", "method": "get"}},
    }
    assert ids(body) == [41873, 41872]


def test_the_pages_add_sample_is_stored_and_answered_as_on_the_page(session: Session) -> None:
    answer = session.elements(
        {
            "add": [
                {
                    "catalog_id": "4220",
                    "name": "Pencil",
                    "custom_fields": [
                        {"id": "4400050", "values": [{"value": "100"}]},
                        {"id": "4400062", "values": ["3692539", "3692540"]},
                    ],
                }
            ]
        }
    )
    assert answer == {
        "_links": {"self": {"href": "/api/v2/catalog_elements", "method": "post"}},
        "_embedded": {
            "items": [
                {
                    "id": 41874,
                    "request_id": 0,
                    "_links": {"self": {"href": "/api/v2/catalog_elements?id=41874", "method": "get"}},
                }
            ]
        },
    }
    assert session.values(41874) == {
        4400050: [{"value": "100"}],
        4400062: [{"value": "1", "enum": "3692539"}, {"value": "2", "enum": "3692540"}],
    }


def test_request_ids_are_echoed_as_sent_and_are_the_index_where_absent(session: Session) -> None:
    entry = {"catalog_id": 4220, "name": "Pencil"}
    answer = session.elements({"add": [entry | {"request_id": 17}, entry, entry | {"request_id": "x-3"}]})
    assert [item["request_id"] for item in answer["_embedded"]["items"]] == [17, 1, "x-3"]


def test_an_update_keeps_what_it_does_not_name(session: Session) -> None:
    body = {
        "update": [
            {"id": "41873", "updated_at": 1509003164, "custom_fields": [{"code": "PRICE", "values": [{"value": 81}]}]}
        ]
    }
    answer = session.elements(body)
    assert answer["_embedded"] == {
        "items": [
            {
                "id": 41873,
                "updated_at": 1509003164,
                "_links": {"self": {"href": "/api/v2/catalog_elements?id=41873", "method": "get"}},
            }
        ]
    }
    element = session.element(41873)
    assert (element["name"], element["updated_at"]) == ("Markers", 1509003164)
    assert session.values(41873) == {
        4400049: [{"value": "416"}],
        4400050: [{"value": "250"}],
        4400051: [{"value": "81"}],
        4400062: [{"value": "2", "enum": "3692540"}, {"value": "3", "enum": "3692541"}],
    }


@pytest.mark.parametrize("sent", [1509003163, 1509003162, "1509003163", 0])
def test_an_updated_at_that_is_not_newer_is_refused_for_that_id_only(session: Session, sent: object) -> None:
    answer = session.elements({"update": [{"id": 41873, "updated_at": sent, "name": "X"}, {"id": 41872, "name": "Y"}]})
    assert ids(answer) == [41872]
    assert answer["_embedded"]["errors"] == {"update": {"41873": OLDER}}
    assert session.element(41873)["name"] == "Markers"


def test_an_update_leaves_the_sent_stamp_but_at_most_a_minute_ahead(session: Session) -> None:
    answer = session.elements({"update": [{"id": 41873, "updated_at": NOW + 3600, "name": "X"}]})
    assert answer["_embedded"]["items"][0]["updated_at"] == NOW + 60
    assert session.element(41873)["updated_at"] == NOW + 60


def test_an_update_without_a_stamp_takes_the_servers_time(session: Session, clock: Clock) -> None:
    clock.now_s = NOW + 5.9
    answer = session.elements({"update": [{"id": 41873, "catalog_id": 4220, "name": "X"}]})
    assert answer["_embedded"]["items"][0]["updated_at"] == NOW + 5


def test_the_same_id_twice_is_done_in_order(session: Session) -> None:
    last_wins = {"update": [{"id": 41873, "name": "first"}, {"id": 41873, "name": "second"}]}
    assert ids(session.elements(last_wins)) == [41873, 41873]
    assert session.element(41873)["name"] == "second"
    stale = [
        {"id": 41872, "updated_at": 1509003200, "name": "first"},
        {"id": 41872, "updated_at": 1509003199, "name": "second"},
    ]
    answer = session.elements({"update": stale})
    assert answer["_embedded"]["errors"] == {"update": {"41872": OLDER}}
    assert session.element(41872)["name"] == "first"


def test_deleted_elements_are_answered_by_id_and_never_seen_again(session: Session) -> None:
    answer = session.elements({"delete": [41873, "41872", 999]})
    assert ids(answer) == [41873, 41872]
    assert list(answer["_embedded"]["errors"]["delete"]) == ["999"]
    assert "Error 282." in answer["_embedded"]["errors"]["delete"]["999"]
    gone = session.get(f"{URL}?id=41873")
    assert (gone.status_code, gone.content) == (204, b"")
    assert session.get(f"{URL}?catalog_id=4220").status_code == 204


def test_an_id_is_never_given_twice(session: Session) -> None:
    last = session.add()
    session.elements({"delete": [last]})
    assert session.add() == last + 1


def test_mixed_verbs_run_as_add_update_delete_with_errors_by_verb(session: Session) -> None:
    answer = session.elements(
        {
            "delete": [41872, 5],
            "update": [{"id": 41872, "name": "still there"}, {"id": 6, "name": "X"}],
            "add": [{"catalog_id": 4220, "name": "New", "request_id": 8}, {"catalog_id": 4220, "request_id": 9}],
        }
    )
    assert ids(answer) == [41874, 41872, 41872]
    errors = answer["_embedded"]["errors"]
    assert {verb: list(by_key) for verb, by_key in errors.items()} == {
        "add": ["9"],
        "update": ["6"],
        "delete": ["5"],
    }


@pytest.mark.parametrize(
    ("verb", "entry", "said"),
    [
        ("add", {"name": "No list"}, "Error 285."),
        ("add", {"catalog_id": 4220}, "Error 285."),
        ("add", {"catalog_id": 4220, "name": ""}, "Error 285."),
        ("add", {"catalog_id": 9999, "name": "X"}, "Error 282."),
        ("add", {"catalog_id": 4221, "name": "X"}, "Error 285. Required field missing: Must"),
        ("update", {"name": "No id"}, "Error 285."),
        ("update", {"id": 41873, "name": ""}, "Error 285."),
        ("update", {"id": 41873, "catalog_id": 4221, "name": "X"}, "Error 282."),
        ("update", {"id": 41873, "updated_at": "now", "name": "X"}, "Error 285."),
        ("update", {"id": 41873, "custom_fields": [{"id": 1, "values": [{"value": "X"}]}]}, "Error 204."),
        ("update", {"id": 41873, "custom_fields": [{"id": 4400090, "values": [{"value": "X"}]}]}, "Error 204."),
        ("update", {"id": 41873, "custom_fields": [{"code": "NONE", "values": []}]}, "Error 204."),
        ("update", {"id": 41873, "custom_fields": {"id": 4400050}}, "Error 203."),
        ("update", {"id": 41873, "custom_fields": [{"id": 4400050}]}, "Error 203."),
    ],
)
def test_an_entry_the_page_does_not_allow_fails_alone(session: Session, verb: str, entry: Any, said: str) -> None:
    before = session.get(f"{URL}?catalog_id=4220").json()
    answer = session.elements({verb: [entry]})
    assert answer["_embedded"]["items"] == []
    ((_key, sentence),) = answer["_embedded"]["errors"][verb].items()
    assert sentence.startswith(said)
    assert session.get(f"{URL}?catalog_id=4220").json() == before


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "222"),
        (b"{}", "222"),
        (b'{"add": []}', "222"),
        (b'{"insert": []}', "283"),
        (b"[]", "284"),
        (b'{"add": {"name": "X"}}', "284"),
        (b'{"update": ["X"]}', "284"),
        (b"add=1", "102"),
        (b'{"add": NaN}', "102"),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused_whole_with_the_legacy_body(
    session: Session, raw: bytes, code: str
) -> None:
    answer = session.http.post(session.emulator.url + URL, data=raw, timeout=10)
    assert answer.status_code == 400
    response = answer.json()["response"]
    assert (response["error_code"], response["server_time"], bool(response["error"])) == (code, NOW, True)


def test_a_batch_over_500_is_refused_and_nothing_is_stored(session: Session, emulator: Emulator) -> None:
    entries = [{"catalog_id": 4220, "name": str(number)} for number in range(501)]
    answer = session.post(URL, {"add": entries})
    assert (answer.status_code, answer.json()["response"]["error_code"]) == (400, "400")
    assert emulator.store.count(4220) == 2
    session.elements({"add": entries[:500]})
    assert emulator.store.count(4220) == 502


def test_pages_hold_50_rows_or_up_to_500_where_asked_and_end_in_204(session: Session, emulator: Emulator) -> None:
    with emulator.store.transaction():
        for number in range(600):
            emulator.store.add_as_other_user(4221, f"n{number}", {"Must": number})
    newest = session.get(f"{URL}?catalog_id=4221").json()["_embedded"]["items"]
    assert [item["name"] for item in newest] == [f"n{number}" for number in range(599, 549, -1)]

    def names(query: str) -> list[str]:
        answer = session.get(f"{URL}?catalog_id=4221&{query}")
        return [item["name"] for item in answer.json()["_embedded"]["items"]] if answer.content else []

    assert names("page=12") == [f"n{number}" for number in range(49, -1, -1)]
    assert session.get(f"{URL}?catalog_id=4221&page=13").status_code == 204
    assert names("limit_rows=3&limit_offset=2") == ["n597", "n596", "n595"]
    assert len(names("limit_rows=501")) == 500
    assert len(names("limit_rows=0")) == len(names("limit_rows=x")) == 50
    assert names("limit_rows=500&page=2") == [f"n{number}" for number in range(99, -1, -1)]
    assert names("limit_rows=250&limit_offset=600") == []


def test_elements_are_found_by_id_by_several_ids_and_by_name(session: Session) -> None:
    assert ids(session.get(f"{URL}?id=41872").json()) == [41872]
    assert ids(session.get(f"{URL}?id[]=41872&id[]=41873&id[]=7").json()) == [41873, 41872]
    assert ids(session.get(f"{URL}?catalog_id=4220&term=PENC").json()) == [41872]
    assert session.get(f"{URL}?catalog_id=4220&term=416").status_code == 204
    assert session.get(f"{URL}?catalog_id=4221&id=41872").status_code == 204
    refused = session.get(URL)
    assert (refused.status_code, refused.json()["response"]["error_code"]) == (400, "283")


def test_an_element_linked_to_deals_names_them(session: Session, emulator: Emulator) -> None:
    linked = emulator.store.insert_element(4220, "Linked", {}, by=1, at=NOW, leads=[31, 32])
    assert session.element(linked.id)["leads"] == {"id": [31, 32]}
