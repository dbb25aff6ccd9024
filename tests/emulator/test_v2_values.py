"""Every value shape of v2, written and read back over the wire (api notes 1.3)."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Session

ENTITY = {"name": "Oak Ltd", "entity_type": 1, "vat_id": "LV1", "address": "Riga"}
ITEM = {"description": "Oak", "unit_price": 10.5, "quantity": 2, "discount": {"type": "amount", "value": 1}}


@pytest.mark.parametrize(
    ("field", "written", "read"),
    [
        (4400049, [{"value": "Oak <b>"}], [{"value": "Oak <b>"}]),
        (4400049, [{"value": 416}], [{"value": "416"}]),
        (4400049, {"value": "m3"}, [{"value": "m3"}]),
        (4400071, [{"value": "https://a.test/?a=1&b=2"}], [{"value": "https://a.test/?a=1&b=2"}]),
        (4400072, [{"value": "a\nb"}], [{"value": "a\nb"}]),
        (4400073, [{"value": "Main St 1"}], [{"value": "Main St 1"}]),
        (4400050, [{"value": "12.50"}], [{"value": "12.50"}]),
        (4400050, [{"value": 12.5}], [{"value": "12.5"}]),
        (4400050, [{"value": 80.0}], [{"value": "80"}]),
        (4400050, [{"value": 1e20}], [{"value": "100000000000000000000"}]),
        (4400051, [{"value": "-0.01"}], [{"value": "-0.01"}]),
        (4400063, [{"value": 1}], [{"value": "1"}]),
        (4400063, [{"value": "0"}], [{"value": "0"}]),
        (4400064, [{"value": 3692}], [{"value": "Red", "enum": "3692"}]),
        (4400064, [{"value": "3693"}], [{"value": "B&amp;W &quot;2&quot;", "enum": "3693"}]),
        (4400074, [{"value": 3702}], [{"value": "B", "enum": "3702"}]),
        (4400075, [{"value": 3711}], [{"value": "Boards", "enum": "3711"}]),
        (4400062, [3692541, "3692539"], [{"value": "3", "enum": "3692541"}, {"value": "1", "enum": "3692539"}]),
        (4400065, [{"value": "2026/03/31"}], [{"value": "2026-03-31 00:00:00"}]),
        (4400065, [{"value": "2026-03-31 00:00:00"}], [{"value": "2026-03-31 00:00:00"}]),
        (4400066, [{"value": "2024/02/29"}], [{"value": "2024-02-29 00:00:00"}]),
        (4400067, [{"value": "2026-03-31 14:30:00"}], [{"value": "2026-03-31 14:30:00"}]),
        # 2025-10-09 08:53:20 UTC is 11:53:20 in Riga.
        (4400067, [{"value": 1760000000}], [{"value": "2025-10-09 11:53:20"}]),
        (
            4400068,
            [{"value": "LV-1001", "subtype": "zip"}, {"value": "Riga", "subtype": "3"}],
            [{"value": "Riga", "subtype": "3"}, {"value": "LV-1001", "subtype": "5"}],
        ),
        (4400069, [{"value": ENTITY}], [{"value": ENTITY}]),
        (4400070, [ITEM], [ITEM]),
        (4400076, [{"value": {"file_uuid": "u"}}], [{"value": {"file_uuid": "u"}}]),
    ],
)
def test_a_value_is_read_in_the_shape_of_its_type(session: Session, field: int, written: Any, read: Any) -> None:
    added = session.add({"id": field, "values": written})
    assert session.values(added) == {field: read}


@pytest.mark.parametrize(
    ("field", "written"),
    [
        (4400049, [{"value": "a"}, {"value": "b"}]),
        (4400049, ["a"]),
        (4400049, [{"value": None}]),
        (4400049, [{"value": True}]),
        (4400049, None),
        (4400049, "a"),
        (4400050, [{"value": "12,5"}]),
        (4400050, [{"value": "1 000"}]),
        (4400050, [{"value": "abc"}]),
        (4400050, [{"value": True}]),
        (4400063, [{"value": "yes"}]),
        (4400063, [{"value": 2}]),
        (4400063, [{"value": "01"}]),
        (4400063, [{"value": ""}]),
        (4400064, [{"value": "Red"}]),
        (4400064, [{"value": 1}]),
        (4400064, [{"value": 3692539}]),
        (4400064, [3692]),
        (4400062, [{"value": "1", "enum": "3692539"}]),
        (4400062, [1]),
        (4400065, [{"value": "2026-02-30 00:00:00"}]),
        (4400065, [{"value": "31.03.2026"}]),
        (4400065, [{"value": "2026-03-31"}]),
        (4400067, [{"value": "2026/03/31"}]),
        (4400067, [{"value": "2026-03-31 25:00:00"}]),
        (4400068, [{"value": "Riga", "subtype": "town"}]),
        (4400068, [{"value": "Riga"}]),
        (4400068, [{"value": "Riga", "subtype": ["city"]}]),
        (4400068, [{"value": "Riga", "subtype": 7}]),
        (4400069, [{"value": {"vat_id": "LV1"}}]),
        (4400069, [{"value": "Oak Ltd"}]),
        (4400069, [{"value": {"name": "Oak", "entity_type": 3}}]),
        (4400070, [{"value": ITEM}]),
        (4400070, [{"description": "Oak", "quantity": "many"}]),
    ],
)
def test_a_value_its_type_does_not_take_fails_that_entry(session: Session, field: int, written: Any) -> None:
    entry = {"catalog_id": 4220, "name": "X", "custom_fields": [{"id": field, "values": written}]}
    answer = session.elements({"add": [entry]})
    assert answer["_embedded"]["items"] == []
    assert answer["_embedded"]["errors"]["add"]["0"].startswith(f"Error 203. Field {field}: ")


@pytest.mark.parametrize("field", [4400049, 4400051, 4400062])
def test_an_empty_list_clears_the_field(session: Session, field: int) -> None:
    session.elements({"update": [{"id": 41873, "custom_fields": [{"id": field, "values": []}]}]})
    assert set(session.values(41873)) == {4400049, 4400050, 4400051, 4400062} - {field}


def test_a_sent_multiselect_replaces_the_stored_one(session: Session) -> None:
    session.elements({"update": [{"id": 41873, "custom_fields": [{"id": 4400062, "values": ["3692539"]}]}]})
    assert session.values(41873)[4400062] == [{"value": "1", "enum": "3692539"}]


def test_address_parts_that_are_left_out_are_wiped(session: Session) -> None:
    both = [{"value": "Riga", "subtype": "city"}, {"value": "LV", "subtype": "country"}]
    added = session.add({"id": 4400068, "values": both})
    session.elements({"update": [{"id": added, "custom_fields": [{"id": 4400068, "values": both[1:]}]}]})
    assert session.values(added)[4400068] == [{"value": "LV", "subtype": "6"}]


def test_a_checkbox_is_absent_until_it_was_set(session: Session) -> None:
    assert 4400063 not in session.values(41873)
    for sent, read in ((1, "1"), (0, "0")):
        session.elements({"update": [{"id": 41873, "custom_fields": [{"id": 4400063, "values": [{"value": sent}]}]}]})
        assert session.values(41873)[4400063] == [{"value": read}]
