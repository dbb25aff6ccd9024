"""The v4 dialect is pure: JSON typed in from the API notes (docs/api.md, 4 and 5), compared whole, both ways."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.api.dialect import Capabilities, Page, Request, Response
from catalogsync.api.pages import batch_of
from catalogsync.api.v4 import V4
from catalogsync.model import Add, Catalog, Change, Column, Delete, Field, Result, Schema, Update
from tests.api.helpers import read_page

V = V4()
ELEMENTS = "/api/v4/catalogs/7001/elements"

FIELDS = (
    Field(1, "SKU", "text", "SKU"),
    Field(2, "Price", "price", "PRICE"),
    Field(3, "In stock", "checkbox"),
    Field(4, "Grade", "select", enums={41: "A", 42: "B"}),
    Field(5, "Sizes", "multiselect", enums={51: "S", 52: "M"}),
    Field(6, "Since", "date"),
    Field(7, "Loaded", "date_time"),
    Field(8, "Depot", "smart_address"),
    Field(9, "Maker", "legal_entity"),
    Field(10, "Parts", "items"),
    Field(11, "Group", "category", "GROUP", enums={111: "Boards"}),
    Field(12, "Born", "birthday"),
)
SCHEMA = Schema(30001, "Europe/Riga", 7001, "Products", FIELDS)
BY_ID = {field.id: field for field in FIELDS}

# What each field's canonical text is on the wire: (column key, canonical text, written, read).
ITEM = {"sku": "O1", "description": "Oak", "unit_price": "9.5", "quantity": "2"}
SHAPES: list[tuple[dict[str, str], list[Any], list[Any]]] = [
    ({"1": "00123"}, [{"value": "00123"}], [{"value": "00123"}]),
    ({"2": "999.12"}, [{"value": "999.12"}], [{"value": "999.120"}]),
    ({"3": "1"}, [{"value": True}], [{"value": True}]),
    ({"3": "0"}, [{"value": False}], [{"value": "0"}]),
    ({"4": "42"}, [{"enum_id": 42}], [{"value": "B", "enum_id": 42, "enum_code": None}]),
    (
        {"5": "51,52"},
        [{"enum_id": 51}, {"enum_id": 52}],
        [{"value": "M", "enum_id": 52}, {"value": "S", "enum_id": 51}],
    ),
    ({"6": "2026-03-31"}, [{"value": "2026-03-31T00:00:00+03:00"}], [{"value": 1774904400}]),
    ({"7": "1774947600"}, [{"value": 1774947600}], [{"value": 1774947600}]),
    (
        {"8.city": "Riga", "8.zip": "LV-1010"},
        [{"value": "Riga", "enum_code": "city"}, {"value": "LV-1010", "enum_code": "zip"}],
        [{"value": "Riga", "enum_id": 3, "enum_code": "city"}, {"value": "LV-1010", "enum_id": 5}],
    ),
    (
        {"9.name": "Acme", "9.entity_type": "1", "9.vat_id": "40003"},
        [{"value": {"name": "Acme", "entity_type": 1, "vat_id": "40003"}}],
        [
            {
                "value": {
                    "name": "Acme",
                    "entity_type": 1,
                    "vat_id": "40003",
                    "kpp": "",
                    "tax_registration_reason_code": None,
                }
            }
        ],
    ),
    (
        {"10": json.dumps([ITEM], sort_keys=True)},
        [{"value": ITEM}],
        [{"value": {**ITEM, "unit_price": 9.5, "quantity": 2.0, "product_id": 7, "total_sum": 19.0}}],
    ),
    ({"11": "111"}, [{"enum_id": 111}], [{"value": "Boards", "enum_id": 111}]),
    ({"12": "1984-02-29"}, [{"value": "1984-02-29T00:00:00+03:00"}], [{"value": 446850000}]),
]


def column(key: str) -> Column:
    id_, _, subtype = key.partition(".")
    return Column("", None if key == "name" else BY_ID[int(id_)], subtype)


def element(**more: Any) -> dict[str, Any]:
    facts = {"updated_at": 1760000500, "updated_by": 504, "is_deleted": None}
    return {"id": 91001, "name": "Oak board 20 mm", **facts, **more}


def page_of(*items: dict[str, Any]) -> Response:
    return Response(200, {"_page": 1, "_links": {}, "_embedded": {"elements": list(items)}})


def test_what_v4_allows_is_declared() -> None:
    assert V.capabilities == Capabilities(
        max_batch=250,
        page_rows=250,
        ids_per_read=250,
        can_delete=True,
        compares_updates=False,
        keeps_repeated_hours=True,
        shows_links=False,
    )


@pytest.mark.parametrize(("canonical", "written", "read"), SHAPES, ids=lambda value: str(value)[:20])
def test_every_field_type_is_written_and_read_in_its_shape(
    canonical: dict[str, str], written: list[Any], read: list[Any]
) -> None:
    (field_id,) = {int(key.partition(".")[0]) for key in canonical}
    (batch,) = V.batches(7001, [Add(1, "k", 2, {"name": "x", **canonical})], SCHEMA, 250)
    (entry,) = batch.request.json
    assert entry["custom_fields_values"] == [{"field_id": field_id, "values": written}]

    custom = [{"field_id": field_id, "field_name": "?", "field_code": None, "field_type": "?", "values": read}]
    page = read_page(
        V, page_of(element(custom_fields_values=custom)).json, [column(key) for key in canonical], "Europe/Riga"
    )
    assert page.values.to_pydict() == {key: [text] for key, text in canonical.items()}


@pytest.mark.parametrize("key", ["6", "7", "12"])
@pytest.mark.parametrize(
    "value", [10**15, -(10**15), 10**400, str(10**15), "0000-00-00", "31.12.9999"], ids=lambda value: str(value)[:12]
)
def test_a_day_that_no_calendar_has_is_text_and_its_page_is_read(key: str, value: Any) -> None:
    custom = [{"field_id": int(key), "values": [{"value": value}]}]
    items = [element(custom_fields_values=custom), element(id=91002, name="Another")]
    page = read_page(V, page_of(*items).json, [column("name"), column(key)], "Europe/Riga")
    assert page.values.column("name").to_pylist() == ["Oak board 20 mm", "Another"]
    assert page.values.column(key).to_pylist() == [str(value), ""]


@pytest.mark.parametrize("custom", [None, []])
def test_an_element_without_values_is_empty_and_unticked(custom: Any) -> None:
    page = read_page(
        V, page_of(element(custom_fields_values=custom)).json, [column("name"), column("1"), column("3")], ""
    )
    assert page == Page(
        [91001], [1760000500], [504], batch_of({"name": ["Oak board 20 mm"], "1": [""], "3": ["0"]}), [False], [91001]
    )


def test_no_content_is_an_empty_page() -> None:
    assert V.read_elements(Response(204), [column("1")], "") == Page([], [], [], batch_of({"1": []}), [], [])


def test_a_page_names_its_number_and_its_limit() -> None:
    assert V.elements_request(7001) == Request("GET", ELEMENTS, (("page", "1"), ("limit", "250")))
    assert V.elements_request(7001, 3) == Request("GET", ELEMENTS, (("page", "3"), ("limit", "250")))


def test_ids_and_terms_are_asked_for() -> None:
    ids = (("filter[id][]", "5"), ("filter[id][]", "6"), ("limit", "250"))
    assert V.elements_by_ids_request(7001, [5, 6]) == Request("GET", ELEMENTS, ids)
    term = (("query", "oak"), ("page", "1"), ("limit", "250"))
    assert V.elements_by_term_request(7001, "oak") == Request("GET", ELEMENTS, term)


def test_each_verb_fills_requests_of_its_own_and_deletes_go_through_v2() -> None:
    changes: list[Change] = [
        Update(1, "k", 2, 91001, 6, {"1": "a", "4": "41"}, {"1": "", "4": "42"}),
        Add(2, "n", 3, {"name": "New", "2": "5"}),
        Delete(3, "g", 91002, "Gone", 7),
    ]
    update, add, delete = V.batches(7001, changes, SCHEMA, 250)
    assert update.request == Request(
        "PATCH",
        ELEMENTS,
        json=[
            {
                "request_id": "1",
                "id": 91001,
                "custom_fields_values": [
                    {"field_id": 1, "values": None},
                    {"field_id": 4, "values": [{"enum_id": 42}]},
                ],
            }
        ],
        is_repeatable=False,
    )
    assert add.request == Request(
        "POST",
        ELEMENTS,
        json=[
            {"request_id": "2", "name": "New", "custom_fields_values": [{"field_id": 2, "values": [{"value": "5"}]}]}
        ],
        is_repeatable=False,
    )
    assert delete.request == Request("POST", "/api/v2/catalog_elements", json={"delete": [91002]}, is_repeatable=False)
    assert [batch.number for batch in (update, add, delete)] == [1, 2, 3]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(1, 20))
def test_batches_are_the_fewest_for_each_verb(adds: int, updates: int, deletes: int, size: int) -> None:
    changes: list[Change] = [Update(n, "k", n, n, 6, {"name": "a"}, {"name": "b"}) for n in range(updates)]
    changes += [Add(100 + n, "k", n, {"name": "x"}) for n in range(adds)]
    changes += [Delete(200 + n, "k", 500 + n, "x", 6) for n in range(deletes)]
    batches = list(V.batches(7001, changes, SCHEMA, size))
    assert [change for batch in batches for change in batch.changes] == changes
    assert len(batches) == sum(math.ceil(count / size) for count in (adds, updates, deletes))
    assert V.write_requests({"add": adds, "update": updates, "delete": deletes}, size) == len(batches)


def test_adds_are_matched_by_request_id_and_updates_by_id() -> None:
    adds: list[Change] = [Add(7, "a", 2, {"name": "A"}), Add(8, "b", 3, {"name": "B"}), Add(9, "c", 4, {"name": "C"})]
    (batch,) = V.batches(7001, adds, SCHEMA, 250)
    answer = page_of({"id": 502, "request_id": "8"}, {"id": 501, "request_id": "7"})
    assert V.read_results(batch, answer) == [
        Result(7, "done", 501),
        Result(8, "done", 502),
        Result(9, "unknown", None, "the answer does not mention it"),
    ]
    updates: list[Change] = [Update(3, "k", 2, 91001, 6, {"name": "a"}, {"name": "b"})]
    (batch,) = V.batches(7001, updates, SCHEMA, 250)
    assert V.read_results(batch, page_of({"id": 91001, "request_id": 91001})) == [Result(3, "done", 91001)]


def test_a_refusal_names_the_change_and_the_field_that_caused_it() -> None:
    adds: list[Change] = [Add(7, "a", 2, {"name": "A"}), Add(8, "b", 3, {"name": "B", "2": "5", "4": "42"})]
    (batch,) = V.batches(7001, adds, SCHEMA, 250)
    error = {
        "code": "NotSupportedChoice",
        "path": "custom_fields_values.1.values.0.enum_id",
        "detail": "The value you selected is not a valid choice.",
    }
    body = {"validation-errors": [{"request_id": "8", "errors": [error]}], "title": "Bad Request", "status": 400}
    words = "field 4: The value you selected is not a valid choice. (NotSupportedChoice)"
    assert V.read_refusal(batch, body) == [Result(8, "failed", None, words)]
    by_index = {"validation-errors": [{"request_id": "0", "errors": [{"code": "FieldMissing", "path": "name"}]}]}
    assert V.read_refusal(batch, by_index) == [Result(7, "failed", None, "name: FieldMissing")]
    assert V.read_refusal(batch, None) == []


def test_errors_inside_a_200_are_failures() -> None:
    (batch,) = V.batches(7001, [Add(7, "a", 2, {"name": "A"})], SCHEMA, 250)
    answer = Response(200, {"_embedded": {"elements": [], "errors": [{"request_id": "7", "detail": "Error 285."}]}})
    assert V.read_results(batch, answer) == [Result(7, "failed", None, "Error 285.")]


def test_the_schema_is_the_account_and_all_pages_of_fields() -> None:
    flow = V.schema(Catalog(7001, "Products"))
    assert next(flow) == Request("GET", "/api/v4/account", (("with", "datetime_settings"),))
    account = {"id": 30001, "_embedded": {"datetime_settings": {"timezone": "Europe/Riga"}}}
    path = "/api/v4/catalogs/7001/custom_fields"
    assert flow.send(Response(200, account)) == Request("GET", path, (("page", "1"), ("limit", "250")))
    many = [{"id": n, "name": f"F{n}", "type": "text", "code": None} for n in range(1, 251)]
    assert flow.send(Response(200, {"_embedded": {"custom_fields": many}})) == Request(
        "GET", path, (("page", "2"), ("limit", "250"))
    )
    last = {
        "id": 900,
        "name": "Grade",
        "type": "select",
        "code": "GRADE",
        "enums": [{"id": 41, "value": "A", "sort": 1}, {"id": 42, "value": "B", "sort": 2}],
    }
    with pytest.raises(StopIteration) as end:
        flow.send(Response(200, {"_embedded": {"custom_fields": [last]}}))
    schema = end.value.value
    assert (schema.account_id, schema.timezone, len(schema.fields)) == (30001, "Europe/Riga", 251)
    assert schema.fields[-1] == Field(900, "Grade", "select", "GRADE", {41: "A", 42: "B"})


def test_lists_are_written_verb_by_verb() -> None:
    flow = V.write_catalogs([{"name": "Tariffs", "request_id": 0}], [{"id": 5, "name": "Cars"}], [6])
    assert next(flow) == Request(
        "POST", "/api/v4/catalogs", json=[{"name": "Tariffs", "request_id": "0"}], is_repeatable=False
    )
    added = Response(200, {"_embedded": {"catalogs": [{"id": 7002, "request_id": "0"}]}})
    assert flow.send(added) == Request(
        "PATCH", "/api/v4/catalogs", json=[{"id": 5, "name": "Cars"}], is_repeatable=False
    )
    updated = Response(200, {"_embedded": {"catalogs": [{"id": 5}]}})
    assert flow.send(updated) == Request("POST", "/api/v2/catalogs", json={"delete": [6]}, is_repeatable=False)
    with pytest.raises(StopIteration) as end:
        flow.send(Response(200, {"_embedded": {"items": [{"id": 6}]}}))
    assert end.value.value == ([7002, 5, 6], [])
