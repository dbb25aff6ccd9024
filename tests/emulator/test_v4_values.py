"""Every value shape of version 4, written and read back over the wire (api notes 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalogsync.emulator.server import Emulator

from .conftest import NOW, SEED, Clock, Session

URL = "/api/v4/catalogs/4220/elements"
ENTITY = {"name": "Oak Ltd", "entity_type": 1, "vat_id": "LV1", "address": "Riga"}
ITEM = {"sku": "S", "description": "Oak", "unit_price": 10.5, "quantity": 2, "discount": {"type": "amount", "value": 1}}
FILE = {"file_uuid": "u", "version_uuid": "v", "file_name": "a.pdf", "file_size": 3}


def add(session: Session, field: int | str, values: Any, url: str = URL) -> Any:
    key = "field_id" if isinstance(field, int) else "field_code"
    return session.post(url, [{"name": "X", "custom_fields_values": [{key: field, "values": values}]}])


def read(session: Session, answer: Any, url: str = URL) -> Any:
    assert answer.status_code == 200, answer.text
    id = answer.json()["_embedded"]["elements"][0]["id"]
    shown = session.get(f"{url}/{id}").json()["custom_fields_values"]
    return None if shown is None else shown[0]["values"]


@pytest.mark.parametrize(
    ("field", "written", "shown"),
    [
        (4400049, [{"value": "Oak <b>"}], [{"value": "Oak <b>"}]),
        ("SKU", [{"value": 416}], [{"value": "416"}]),
        (4400049, [{"value": ""}], None),
        (4400071, [{"value": "https://a.test/?a=1&b=2"}], [{"value": "https://a.test/?a=1&b=2"}]),
        (4400072, [{"value": "a\nb"}], [{"value": "a\nb"}]),
        (4400073, [{"value": "Main St 1"}], [{"value": "Main St 1"}]),
        (4400050, [{"value": "12.50"}], [{"value": "12.50"}]),
        (4400050, [{"value": 1000}], [{"value": "1000"}]),
        (4400051, [{"value": 12.5}], [{"value": "12.5"}]),
        (4400063, [{"value": True}], [{"value": True}]),
        (4400063, [{"value": False}], [{"value": False}]),
        (4400064, [{"value": "Red"}], [{"value": "Red", "enum_id": 3692}]),
        (4400064, [{"value": 'B&W "2"'}], [{"value": 'B&W "2"', "enum_id": 3693}]),
        # The vendor's own library sends both keys, one of them null.
        (4400064, [{"value": "Red", "enum_id": None}], [{"value": "Red", "enum_id": 3692}]),
        (4400062, [{"value": None, "enum_id": 3692540}], [{"value": "2", "enum_id": 3692540}]),
        (4400064, [{"enum_id": 3693}], [{"value": 'B&W "2"', "enum_id": 3693}]),
        (4400074, [{"enum_id": "3702"}], [{"value": "B", "enum_id": 3702}]),
        (4400075, [{"value": "Boards"}], [{"value": "Boards", "enum_id": 3711}]),
        (
            4400062,
            [{"enum_id": 3692541}, {"value": "1"}],
            [{"value": "3", "enum_id": 3692541}, {"value": "1", "enum_id": 3692539}],
        ),
        # Midnight of 31 March 2026 in Riga, where summer time has begun, is 21:00 UTC of the day before.
        (4400065, [{"value": 1774904400}], [{"value": 1774904400}]),
        (4400065, [{"value": 1774947600}], [{"value": 1774904400}]),
        (4400065, [{"value": "2026-03-31T00:00:00+03:00"}], [{"value": 1774904400}]),
        (4400066, [{"value": "1960-02-29T12:00:00Z"}], [{"value": -310532400}]),
        (4400067, [{"value": NOW}], [{"value": NOW}]),
        (4400067, [{"value": "2025-10-09T08:53:20Z"}], [{"value": NOW}]),
        (
            4400068,
            [{"value": "LV-1001", "enum_code": "zip"}, {"value": "Riga", "enum_id": 3}],
            [
                {"value": "Riga", "enum_id": 3, "enum_code": "city"},
                {"value": "LV-1001", "enum_id": 5, "enum_code": "zip"},
            ],
        ),
        (4400069, [{"value": ENTITY}], [{"value": ENTITY}]),
        (
            4400070,
            [{"value": ITEM}],
            [
                {
                    "value": {
                        "sku": "S",
                        "description": "Oak",
                        "unit_price": 10.5,
                        "quantity": 2.0,
                        "discount": {"type": "amount", "value": 1},
                        "product_id": None,
                        "vat_rate_value": 0,
                        "bonus_points_per_purchase": 0,
                        "metadata": None,
                        "is_discount_recalculated": False,
                        "is_total_sum_recalculated": False,
                        "total_sum": 20.0,
                    }
                }
            ],
        ),
        (4400076, [{"value": FILE}], [{"value": FILE}]),
    ],
)
def test_a_value_is_read_in_the_shape_of_its_type(session: Session, field: int | str, written: Any, shown: Any) -> None:
    again = read(session, add(session, field, written))
    assert again == shown
    assert json.dumps(again, sort_keys=True) == json.dumps(shown, sort_keys=True), "1 is not true, and 2 is not 2.0"


@pytest.mark.parametrize(
    "field", [number for number in range(4400049, 4400077) if number not in range(4400052, 4400062)]
)
def test_every_shape_is_cleared_by_null_and_not_by_an_empty_list(session: Session, field: int) -> None:
    samples: dict[int, Any] = {
        4400050: [{"value": "1"}],
        4400051: [{"value": "1"}],
        4400062: [{"value": "1"}],
        4400063: [{"value": True}],
        4400064: [{"value": "Red"}],
        4400065: [{"value": NOW}],
        4400066: [{"value": NOW}],
        4400067: [{"value": NOW}],
        4400068: [{"value": "Riga", "enum_code": "city"}],
        4400069: [{"value": ENTITY}],
        4400070: [{"value": ITEM}],
        4400074: [{"value": "A"}],
        4400075: [{"value": "Boards"}],
        4400076: [{"value": FILE}],
    }
    added = add(session, field, samples.get(field, [{"value": "x"}]))
    assert added.status_code == 200, added.text
    url = f"{URL}/{added.json()['_embedded']['elements'][0]['id']}"
    refused = session.patch(url, {"custom_fields_values": [{"field_id": field, "values": []}]})
    assert refused.status_code == 400
    assert refused.json()["validation-errors"][0]["errors"] == [
        {
            "code": "TooFew",
            "path": "custom_fields_values.0.values",
            "detail": "This collection should contain 1 element or more.",
        }
    ]
    cleared = session.patch(url, {"custom_fields_values": [{"field_id": field, "values": None}]})
    assert (cleared.status_code, cleared.json()["custom_fields_values"]) == (200, None)


@pytest.mark.parametrize(
    ("field", "written", "code", "path"),
    [
        (4400049, [{"value": "a"}, {"value": "b"}], "TooMany", ""),
        (4400049, ["a"], "InvalidType", ".0"),
        (4400049, "a", "InvalidType", ""),
        (4400049, [{}], "FieldMissing", ".0.value"),
        (4400049, [{"value": None}], "InvalidType", ".0.value"),
        (4400049, [{"value": True}], "InvalidType", ".0.value"),
        (4400050, [{"value": "12,5"}], "InvalidType", ".0.value"),
        (4400063, [{"value": "yes"}], "InvalidType", ".0.value"),
        (4400064, [{"value": "red"}], "NotSupportedChoice", ".0.value"),
        (4400064, [{"enum_id": 3692539}], "NotSupportedChoice", ".0.enum_id"),
        (4400064, [{"enum_code": "red"}], "NotSupportedChoice", ".0.enum_code"),
        (4400064, [{"enum": "3692", "label": "Red"}], "FieldNotExpected", ".0.label"),
        (4400062, [{"value": "1"}, {"value": "4"}], "NotSupportedChoice", ".1.value"),
        (4400062, [{"enum_code": None, "enum_id": 3692539}], "FieldNotExpected", ".0.enum_code"),
        (4400062, [3692539], "InvalidType", ".0"),
        (4400065, [{"value": "31.03.2026"}], "InvalidType", ".0.value"),
        (4400065, [{"value": "2026-03-31T00:00:00"}], "InvalidType", ".0.value"),
        (4400067, [{"value": "2026-02-30T00:00:00Z"}], "InvalidType", ".0.value"),
        (4400067, [{"value": 10**15}], "InvalidType", ".0.value"),
        (4400068, [{"value": "Riga", "enum_code": "town"}], "NotSupportedChoice", ".0.enum_code"),
        (4400068, [{"value": "Riga", "enum_id": 7}], "NotSupportedChoice", ".0.enum_id"),
        (4400068, [{"value": "Riga"}], "FieldMissing", ".0.enum_code"),
        (4400069, [{"value": {"vat_id": "LV1"}}], "FieldMissing", ".0.value.name"),
        (4400069, [{"value": {"name": "Oak", "entity_type": 3}}], "NotSupportedChoice", ".0.value.entity_type"),
        (4400070, [ITEM], "FieldMissing", ".0.value"),
        (4400070, [{"value": {"quantity": "many"}}], "InvalidType", ".0.value.quantity"),
        (4400070, [{"value": {"colour": "red"}}], "FieldNotExpected", ".0.value.colour"),
        (4400076, [{"value": {"file_name": "a"}}], "FieldMissing", ".0.value.file_uuid"),
    ],
)
def test_a_value_its_type_does_not_take_is_refused_at_its_place(
    session: Session, field: int, written: Any, code: str, path: str
) -> None:
    answer = add(session, field, written)
    assert answer.status_code == 400, answer.text
    (entry,) = answer.json()["validation-errors"]
    assert entry["request_id"] == "0"
    assert [(error["code"], error["path"]) for error in entry["errors"]] == [
        (code, f"custom_fields_values.0.values{path}")
    ]


def test_linked_things_are_read_as_they_were_written() -> None:
    fields = [
        {"id": 10 + place, "name": type_, "type": type_}
        for place, type_ in enumerate(("linked_entity", "payer", "supplier"))
    ]
    seed = {"catalogs": [{"id": 1001, "name": "Bills", "type": "invoices", "fields": fields}]}
    url = "/api/v4/catalogs/1001/elements"
    linked = {"name": "Ann", "entity_id": 5, "entity_type": "contacts", "catalog_id": None}
    with Emulator(seed=seed, rps=0) as emulator:
        session = Session(emulator)
        with session.http:
            for field, value in ((10, linked), (11, {"name": "Oak", "type": "legal"}), (12, {"entity_id": 7})):
                assert read(session, add(session, field, [{"value": value}], url), url) == [{"value": value}]
            assert add(session, 10, [{"value": linked | {"entity_type": "leads"}}], url).status_code == 400
            assert add(session, 11, [{"value": {"name": "Oak", "type": "state"}}], url).status_code == 400
            assert add(session, 12, [{"value": {}}], url).status_code == 400


def test_an_item_without_a_discount_in_the_words_of_the_vendors_library(session: Session) -> None:
    item = {
        "description": "Oak",
        "unit_price": 2,
        "quantity": 3,
        "discount": {"type": None, "value": None},
        "sku": None,
    }
    (shown,) = read(session, add(session, 4400070, [{"value": item | {"product_id": 41872, "metadata": None}}]))
    assert (shown["value"]["total_sum"], shown["value"]["product_id"]) == (6.0, 41872)


def test_an_invoice_without_its_status_is_refused() -> None:
    status = {"name": "Status", "code": "BILL_STATUS", "type": "select", "enums": ["Created", "Paid"]}
    seed = {"catalogs": [{"id": 1001, "name": "Bills", "type": "invoices", "fields": [status]}]}
    url = "/api/v4/catalogs/1001/elements"
    with Emulator(seed=seed, rps=0) as emulator:
        session = Session(emulator)
        with session.http:
            refused = session.post(url, [{"name": "Bill"}])
            assert (refused.status_code, refused.json()["detail"]) == (400, "Error 285.")
            assert add(session, "BILL_STATUS", [{"value": "Paid"}], url).status_code == 200


def test_what_version_2_writes_version_4_reads_and_the_other_way_round(session: Session) -> None:
    added = session.add({"id": 4400062, "values": [3692539]}, {"id": 4400065, "values": [{"value": "2026/03/31"}]})
    shown = {
        field["field_id"]: field["values"] for field in session.get(f"{URL}/{added}").json()["custom_fields_values"]
    }
    assert shown == {4400062: [{"value": "1", "enum_id": 3692539}], 4400065: [{"value": 1774904400}]}
    change = {"custom_fields_values": [{"field_id": 4400063, "values": [{"value": True}]}]}
    session.patch(f"{URL}/{added}", change)
    assert session.values(added)[4400063] == [{"value": "1"}]


def test_a_bare_value_of_version_2_is_read_as_an_object(session: Session) -> None:
    added = session.add({"id": 4400076, "values": ["scan", {"value": "more"}]})
    assert session.values(added)[4400076] == ["scan", {"value": "more"}]
    (shown,) = session.get(f"{URL}/{added}").json()["custom_fields_values"]
    assert shown["values"] == [{"value": "scan"}, {"value": "more"}]


@pytest.mark.parametrize("scan", [5, "scan", {"file_uuid": "u"}])
def test_a_seeded_value_that_is_no_list_is_one_value_in_both_versions(scan: Any) -> None:
    seed = SEED | {
        "catalogs": [SEED["catalogs"][0] | {"elements": [{"id": 1, "name": "Odd", "values": {"Scan": scan}}]}]
    }
    with Emulator(seed=seed, rps=0, clock=Clock(NOW)) as emulator:
        session = Session(emulator)
        with session.http:
            assert session.values(1)[4400076] == [{"value": scan}]
            assert session.get(f"{URL}/1").json()["custom_fields_values"][0]["values"] == [{"value": scan}]


def test_seeded_values_that_no_client_could_write_are_still_answered() -> None:
    catalog = SEED["catalogs"][0]
    element = {"id": 1, "name": "Odd", "values": {"Parts": [{"unit_price": "x", "discount": {"a": 1}}], "Scan": "s"}}
    seed = SEED | {"catalogs": [catalog | {"elements": [element]}]}
    with Emulator(seed=seed, rps=0, clock=Clock(NOW)) as emulator:
        session = Session(emulator)
        with session.http:
            assert session.get(f"{URL}/1").status_code == 200
