"""The client against the emulator over a socket: what it reads, and with how many requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from catalogsync.api.client import PAGES_AHEAD, Client
from catalogsync.api.dialect import Since
from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.server import Emulator
from catalogsync.errors import Refused, UserError
from catalogsync.model import Add, Catalog, Column, Delete, Field, Result, Schema, Update
from tests.api.helpers import CATALOG_ID, NOW, SCHEMA, Clock, client_of, columns, posts, product, seed

ROWS = (0, 1, 50, 51, 499, 500, 501, 1203)
SKU, ACTIVE = 99, 98


@pytest.fixture(scope="module")
def crowded() -> Iterator[Emulator]:
    """An account whose catalogs have each of `ROWS` elements: list 2000 + place."""
    lists = [
        {
            "id": 2000 + place,
            "name": f"{rows} rows",
            "fields": [{"id": place * 100 + SKU, "name": "SKU", "type": "text"}],
            "elements": [
                {"id": place * 10_000 + number, "name": f"Product {number}", "values": {"SKU": f"V{number}"}}
                for number in range(1, rows + 1)
            ],
        }
        for place, rows in enumerate(ROWS, start=1)
    ]
    with Emulator(seed={"catalogs": lists}, rps=0, clock=Clock()) as emulator:
        yield emulator


def _wanted(rows: int) -> tuple[Schema, tuple[Column, ...]]:
    place = ROWS.index(rows) + 1
    field = Field(place * 100 + SKU, "SKU", "text")
    schema = Schema(30001, "Europe/Riga", 2000 + place, f"{rows} rows", (field,))
    return schema, (Column(header="Name", field=None), Column(header="SKU", field=field))


def _table(rows: int, *, first: int = 1) -> pd.DataFrame:
    """What reading a catalog of `rows` elements must give, ascending by id."""
    place = ROWS.index(rows) + 1
    numbers = range(first, rows + 1)
    return pd.DataFrame(
        {
            "id": pd.Series([place * 10_000 + number for number in numbers], dtype="int64"),
            "updated_at": pd.Series([NOW - 86_400] * len(numbers), dtype="int64"),
            "updated_by": pd.Series([504141] * len(numbers), dtype="int64"),
            "linked": pd.Series([False] * len(numbers), dtype="bool"),
            "name": pd.Series([f"Product {number}" for number in numbers], dtype="str"),
            str(place * 100 + SKU): pd.Series([f"V{number}" for number in numbers], dtype="str"),
        }
    )


def _ascending(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values("id").reset_index(drop=True)


def _read(emulator: Emulator, rows: int, knobs: Knobs, **known: Any) -> tuple[pd.DataFrame, int]:
    """The elements of a catalog, and the number of requests that reading them took."""
    schema, wanted = _wanted(rows)
    emulator.knobs = knobs
    emulator.clear_requests()
    with client_of(emulator) as client:
        table = client.elements(schema, wanted, **known)
        assert client.requests_sent == len(emulator.requests)
    return table, len(emulator.requests)


@pytest.mark.parametrize(
    ("rows", "requests"), [(0, 1), (1, 2), (50, 2), (51, 2), (499, 2), (500, 2), (501, 3), (1203, 4)]
)
def test_a_catalog_is_read_in_pages_of_500_and_one_that_is_empty(crowded: Emulator, rows: int, requests: int) -> None:
    table, sent = _read(crowded, rows, Knobs())
    pd.testing.assert_frame_equal(_ascending(table), _table(rows))
    in_vain = PAGES_AHEAD if rows >= 500 else 0  # under way when the end was reached
    assert requests <= sent <= requests + in_vain


@pytest.mark.parametrize(
    ("rows", "requests"), [(0, 1), (1, 5), (50, 5), (51, 7), (499, 15), (500, 15), (501, 16), (1203, 30)]
)
def test_where_limits_are_ignored_pages_are_counted_and_nothing_is_lost(
    crowded: Emulator, rows: int, requests: int
) -> None:
    """A repeated page gives it away; then ceil(rows / 50) pages, one that is empty, and both ends once more."""
    table, sent = _read(crowded, rows, Knobs(ignore_limit_rows=True), expected_rows=rows)
    pd.testing.assert_frame_equal(_ascending(table), _table(rows))
    assert requests <= sent <= requests + 1  # one may be under way when the end is reached


@pytest.mark.parametrize(
    "knobs",
    [
        Knobs(element_order="oldest_first"),
        Knobs(element_order="oldest_first", ignore_limit_rows=True, page_rows=7),
        Knobs(page_rows=250),
        Knobs(ignore_limit_rows=True, page_rows=250),
        Knobs(ignore_limit_rows=True, page_rows=500),
        Knobs(ignore_limit_rows=True, page_rows=1000),
        Knobs(link_key="_link"),
        Knobs(get_without_catalog_id="refuse"),
    ],
    ids=str,
)
def test_a_catalog_reads_the_same_however_the_server_answers(crowded: Emulator, knobs: Knobs) -> None:
    table, _ = _read(crowded, 501, knobs)
    pd.testing.assert_frame_equal(_ascending(table), _table(501))


def test_progress_hears_how_many_elements_have_come(crowded: Emulator) -> None:
    crowded.knobs = Knobs()
    heard: list[int] = []
    with client_of(crowded) as client:
        client.elements(*_wanted(1203), progress=heard.append)
    assert heard == [500, 999, 1203, 1203]


@pytest.mark.parametrize(
    ("knobs", "requests"),
    [(Knobs(), 1), (Knobs(element_order="oldest_first"), 4), (Knobs(ignore_limit_rows=True), 1)],
    ids=["newest first", "oldest first", "limits ignored"],
)
def test_newer_elements_end_the_reading_early_where_they_come_first(
    crowded: Emulator, knobs: Knobs, requests: int
) -> None:
    table, sent = _read(crowded, 1203, knobs, since=Since(81_200, NOW - 86_400))
    pd.testing.assert_frame_equal(_ascending(table), _table(1203, first=1201))
    assert sent == requests


def test_nothing_newer_is_an_empty_table_with_its_columns(crowded: Emulator) -> None:
    table, sent = _read(crowded, 1203, Knobs(), since=Since(81_203, NOW - 86_400))
    pd.testing.assert_frame_equal(table, _table(1203, first=1204))
    assert sent == 1


@pytest.mark.parametrize(
    ("knobs", "requests"),
    [(Knobs(), 3), (Knobs(ignore_limit_rows=True), 12), (Knobs(ignore_limit_rows=True, page_rows=100), 7)],
    ids=["250 at once", "50 at once", "100 at once"],
)
def test_elements_by_ids_all_come_whatever_the_server_gives_at_once(
    crowded: Emulator, knobs: Knobs, requests: int
) -> None:
    schema, wanted = _wanted(1203)
    crowded.knobs = knobs
    crowded.clear_requests()
    with client_of(crowded) as client:
        table = client.elements_by_ids(schema, wanted, range(80_001, 80_601))
    pd.testing.assert_frame_equal(_ascending(table), _table(1203).head(600))
    assert len(crowded.requests) == requests


def test_elements_by_ids_leave_out_what_does_not_exist_and_what_was_asked_twice(crowded: Emulator) -> None:
    schema, wanted = _wanted(1203)
    crowded.knobs = Knobs()
    with client_of(crowded) as client:
        table = client.elements_by_ids(schema, wanted, [80_002, 999_999, 80_001, 80_002])
        nothing = client.elements_by_ids(schema, wanted, [999_999])
        sent = client.requests_sent
        pd.testing.assert_frame_equal(client.elements_by_ids(schema, wanted, []), _table(1203, first=1204))
        assert client.requests_sent == sent
    pd.testing.assert_frame_equal(_ascending(table), _table(1203).head(2))
    pd.testing.assert_frame_equal(nothing, _table(1203, first=1204))


def test_elements_of_another_catalog_are_not_found_by_id(crowded: Emulator) -> None:
    schema, wanted = _wanted(1203)
    crowded.knobs = Knobs()
    with client_of(crowded) as client:
        assert client.elements_by_ids(schema, wanted, [20_001]).empty


@pytest.mark.parametrize(
    ("knobs", "requests"), [(Knobs(), 2), (Knobs(ignore_limit_rows=True), 16)], ids=["500 at once", "50 at once"]
)
def test_a_search_brings_all_its_pages(crowded: Emulator, knobs: Knobs, requests: int) -> None:
    schema, wanted = _wanted(1203)
    crowded.knobs = knobs
    crowded.clear_requests()
    with client_of(crowded) as client:
        table = client.elements_by_term(schema, wanted, "ct 1")
    found = [number for number in range(1, 1204) if str(number).startswith("1")]
    assert sorted(table["id"]) == [80_000 + number for number in found]
    assert len(found) == 315
    assert requests <= len(crowded.requests) <= requests + PAGES_AHEAD  # some may be under way at the end


def test_a_search_without_a_hit_is_an_empty_table(crowded: Emulator) -> None:
    crowded.knobs = Knobs()
    schema, wanted = _wanted(1203)
    with client_of(crowded) as client:
        pd.testing.assert_frame_equal(client.elements_by_term(schema, wanted, "Б&="), _table(1203, first=1204))


# --- every field type, however the server shows it ---

FULL = product(
    1,
    Amount="12.50",
    PRICE="80",
    Multilist=["3", "1"],
    Active=False,
    Colour="Red",
    Expires="2026-03-31",
    Born="1984-02-29",
    Loaded="2026-03-31 12:00:00",
    Depot={"city": "Riga", "country": "LV"},
    Maker={"name": "Acme", "entity_type": 1},
    Parts=[{"description": "Oak", "unit_price": 9.5, "quantity": 2}],
    Page="https://x.example",
    Notes="one\ntwo",
    Street="Brivibas 1",
    Grade="B",
    Group="Boards",
    Firm="Acme SIA",
    Cost="0.5",
)
FULL_COLUMNS = {
    "name": "Product 1",
    "4400049": "V1",
    "4400050": "12.5",
    "4400051": "80",
    "4400062": "3692539,3692541",
    "4400063": "0",
    "4400064": "3692",
    "4400065": "2026-03-31",
    "4400066": "1984-02-29",
    "4400067": "1774947600",
    "4400068.city": "Riga",
    "4400068.country": "LV",
    "4400068.zip": "",
    "4400069.name": "Acme",
    "4400069.entity_type": "1",
    "4400070": '[{"description": "Oak", "quantity": "2", "unit_price": "9.5"}]',
    "4400071": "https://x.example",
    "4400072": "one\ntwo",
    "4400073": "Brivibas 1",
    "4400074": "3702",
    "4400075": "3711",
    "4400076": "Acme SIA",
    "4400077": "0.5",
}


@pytest.mark.parametrize(
    "knobs",
    [
        Knobs(),
        Knobs(captions="raw"),
        Knobs(unticked_checkbox="absent"),
        Knobs(enums_shape="list"),
        Knobs(enums_shape="list", captions="raw", link_key="_link", ignore_limit_rows=True, page_rows=1),
    ],
    ids=str,
)
def test_every_field_type_reads_the_same_however_the_server_answers(knobs: Knobs) -> None:
    with Emulator(seed=seed(FULL), rps=0, knobs=knobs) as emulator, client_of(emulator) as client:
        schema = client.schema(Catalog(CATALOG_ID, "Products"))
        table = client.elements(schema, columns(*FULL_COLUMNS))
    assert table.drop(columns=["updated_at", "updated_by", "linked"]).to_dict("records") == [
        {"id": 50_001, **FULL_COLUMNS}
    ]


@pytest.mark.parametrize("shape", ["map", "list"])
def test_the_schema_is_the_same_from_a_map_and_from_a_list_of_options(shape: str) -> None:
    raw = Knobs(enums_shape=shape, captions="raw")
    with Emulator(seed=seed(), rps=0, knobs=raw) as emulator, client_of(emulator) as client:
        assert client.schema(Catalog(CATALOG_ID, "Products")) == Schema(
            30001, "Europe/Riga", CATALOG_ID, "Products", SCHEMA.fields[:-1]
        )


# --- catalogs ---


def test_catalogs_are_added_changed_and_deleted_in_batches(client: Client, emulator: Emulator) -> None:
    first, errors = client.write_catalogs(add=[{"name": "Tariffs"}, {"name": "Cars"}, {"name": "Spare"}])
    assert (len(first), errors) == (3, [])
    tariffs, cars, spare = first
    done = client.write_catalogs(
        add=[{"name": "New"}], update=[{"id": tariffs, "name": "Rates"}, {"id": 77, "name": "x"}], delete=[spare, 78]
    )
    new = done[0][0]
    assert done == (
        [new, tariffs, spare],
        ["Error 282. List not found in account: 77", "Error 282. List not found in account: 78"],
    )
    assert {catalog.id: catalog.name for catalog in client.catalogs()} == {
        CATALOG_ID: "Products",
        tariffs: "Rates",
        cars: "Cars",
        new: "New",
    }
    assert len(posts(emulator)) == 2


def test_an_account_without_catalogs_has_none() -> None:
    with Emulator(rps=0) as emulator, client_of(emulator) as client:
        assert client.catalogs() == []
        with pytest.raises(UserError, match=r"^the account has no catalog “Products”\. Catalogs: none$"):
            client.catalog("Products")


def test_a_catalog_is_found_by_id_before_its_name(client: Client) -> None:
    (twin, other), _ = client.write_catalogs(add=[{"name": str(CATALOG_ID)}, {"name": "Products"}])
    assert client.catalog(str(CATALOG_ID)).name == "Products"
    assert client.catalog(str(twin)).name == str(CATALOG_ID)
    known = f"{CATALOG_ID} (Products), {twin} ({CATALOG_ID}), {other} (Products)"
    with pytest.raises(UserError) as caught:
        client.catalog("Products")
    assert str(caught.value) == f"several catalogs are called “Products”: use the id. Catalogs: {known}"


# --- writing ---


def _adds(count: int) -> list[Add]:
    return [Add(op, f"V{op}", op + 1, {"name": f"P{op}", "4400049": f"V{op}"}) for op in range(1, count + 1)]


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(0, 250, []), (250, 250, [250]), (251, 250, [250, 1]), (501, 1000, [250, 250, 1]), (5, 2, [2, 2, 1])],
)
def test_changes_travel_in_the_fewest_batches(client: Client, count: int, batch_size: int, sizes: list[int]) -> None:
    batches = list(client.batches(CATALOG_ID, _adds(count), SCHEMA, batch_size))
    assert [(batch.number, len(batch.changes)) for batch in batches] == list(enumerate(sizes, start=1))
    assert [change for batch in batches for change in batch.changes] == _adds(count)


@pytest.mark.parametrize("shape", ["dict", "list", "flat"])
@pytest.mark.parametrize("link_key", ["_links", "_link"])
def test_what_was_refused_of_a_batch_is_told_beside_what_was_done(shape: str, link_key: str) -> None:
    knobs = Knobs(link_key=link_key)
    with (
        Emulator(seed=seed(product(1), product(2)), rps=0, knobs=knobs, clock=Clock()) as emulator,
        client_of(emulator) as client,
    ):
        emulator.fault(f"errors={shape} POST")
        read_at = NOW - 86_400
        emulator.store.edit_as_other_user(50_002, name="Edited")
        (batch,) = client.batches(
            CATALOG_ID,
            [
                Update(1, "V1", 2, 50_001, read_at, {"4400050": ""}, {"4400050": "3"}),
                Update(2, "V2", 3, 50_002, read_at, {"4400050": ""}, {"4400050": "4"}),
                Add(3, "V3", 4, {"name": "Third"}),
                Add(4, "V4", 5, {"name": "Fourth", "4400050": "not a number"}),
                Delete(5, "V9", 50_009, "Ninth", read_at),
            ],
            SCHEMA,
            250,
        )
        results = client.write(batch)
        added: Any = results[2].id
        assert results == [
            Result(1, "done", 50_001),
            Result(2, "conflict", 50_002, "Last modified date is older than in database"),
            Result(3, "done", added),
            Result(4, "failed", None, "Error 203. Field 4400050: 'not a number' is not a number"),
            Result(5, "done", 50_009, "was gone already"),
        ]
        names = client.elements(SCHEMA, columns("name", "4400050")).set_index("id")[["name", "4400050"]]
        assert names.to_dict("index") == {
            added: {"name": "Third", "4400050": ""},
            50_001: {"name": "Product 1", "4400050": "3"},
            50_002: {"name": "Edited", "4400050": ""},
        }


def test_a_batch_over_the_servers_maximum_is_refused_whole() -> None:
    with Emulator(seed=seed(), rps=0, knobs=Knobs(max_batch=2)) as emulator, client_of(emulator) as client:
        (batch,) = client.batches(CATALOG_ID, _adds(3), SCHEMA, 250)
        with pytest.raises(Refused, match="Too many entries: 3 of at most 2: 400"):
            client.write(batch)
        assert emulator.store.count(CATALOG_ID) == 0


def test_the_time_is_the_servers_own_however_its_header_is_spelled() -> None:
    clock = Clock(NOW + 500)
    with Emulator(seed=seed(), rps=0, clock=clock) as emulator, client_of(emulator) as client:
        client.catalogs()  # the emulator's server spells all headers small

        assert client.server_now_at() in {NOW + 500, NOW + 501}
