"""Laws 1, 4, 5 and 10 over every field type: random sheets, imported into the emulator over a socket.

A first random sheet is imported, then a second one that shares some of its products; colleagues' data in a
field that the mapping does not name must stay as it is throughout.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from catalogsync import sync
from catalogsync.api.auth import APIS, Account
from catalogsync.api.client import Client, connect
from catalogsync.emulator.server import Emulator
from catalogsync.journal import Journal
from catalogsync.model import Change, Update
from tests.e2e.conftest import catalog_of, stored_elements

pytestmark = pytest.mark.timeout(400)

ZONE = ZoneInfo("Europe/Riga")
LABELS = ["Red", "Green & blue", "Größe “L”", "00123", "no"]

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Text", "type": "text"},
    {"id": 103, "name": "Textarea", "type": "textarea"},
    {"id": 104, "name": "Numeric", "type": "numeric"},
    {"id": 105, "name": "Price", "type": "price"},
    {"id": 106, "name": "Checkbox", "type": "checkbox"},
    {"id": 107, "name": "Select", "type": "select", "enums": LABELS},
    {"id": 108, "name": "Radio", "type": "radiobutton", "enums": LABELS},
    {"id": 109, "name": "Multi", "type": "multiselect", "enums": LABELS},
    {"id": 110, "name": "Date", "type": "date"},
    {"id": 111, "name": "Moment", "type": "date_time"},
    {"id": 112, "name": "Url", "type": "url"},
    {"id": 113, "name": "Street", "type": "streetaddress"},
    {"id": 114, "name": "Address", "type": "smart_address"},
    {"id": 115, "name": "Birthday", "type": "birthday"},
    {"id": 116, "name": "Entity", "type": "legal_entity"},
    {"id": 117, "name": "Items", "type": "items"},
    {"id": 118, "name": "Category", "type": "category", "enums": LABELS},
    {"id": 199, "name": "Colleagues", "type": "text"},
]

MAPPING = """
catalog: 4220
key: code
columns:
  name: name
  code: Code
  Text: {field: Text, blank: %(blank)s}
  Textarea: {field: Textarea, blank: %(blank)s}
  Numeric: {field: Numeric, decimal: ",", blank: %(blank)s}
  Price: {field: Price, decimal: ".", blank: %(blank)s}
  Checkbox: {field: Checkbox, blank: %(blank)s}
  Select: {field: Select, blank: %(blank)s}
  Radio: {field: Radio, blank: %(blank)s}
  Multi: {field: Multi, blank: %(blank)s, split: "|", multi: %(multi)s}
  Date: {field: Date, blank: %(blank)s}
  Moment: {field: Moment, blank: %(blank)s}
  Url: {field: Url, blank: %(blank)s}
  Street: {field: Street, blank: %(blank)s}
  City: {field: Address, subtype: city, blank: %(blank)s}
  Zip: {field: Address, subtype: zip, blank: %(blank)s}
  Birthday: {field: Birthday, blank: %(blank)s}
  Firm: {field: Entity, subtype: name}
  Vat: {field: Entity, subtype: vat_id, blank: %(blank)s}
  Items: {field: Items, blank: %(blank)s}
  Category: {field: Category, blank: %(blank)s}
"""

words = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co"), exclude_characters="\ufeff#"), max_size=12)
"""Any text but control characters, and but what reads as an error cell, such as ``#N/A``."""
filled_words = words.filter(lambda text: bool(text.strip()))
lines = st.lists(words, max_size=3).map("\n".join)
whole = st.integers(-(10**12), 10**12)
labels = st.sampled_from(LABELS)
days = st.dates(date(1901, 1, 1), date(2099, 12, 31)).map(str)


def local(unix_s: int) -> str:
    """Local time as a sheet writes it; the hours that clocks skip or repeat are refused, so not asked for."""
    return datetime.fromtimestamp(unix_s - unix_s % 86400 + 43200, UTC).astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")


items = st.lists(
    st.fixed_dictionaries(
        {
            "description": filled_words,
            "unit_price": st.sampled_from(["9.5", 12, "100.00"]),
            "quantity": st.integers(1, 9),
        }
    ),
    min_size=1,
    max_size=2,
)
VALUES: Mapping[str, st.SearchStrategy[str]] = {
    "Text": words,
    "Textarea": lines,
    "Numeric": st.tuples(whole, st.sampled_from(["", ",5", ",50", ",125"])).map(lambda parts: f"{parts[0]}{parts[1]}"),
    "Price": st.decimals(0, 10**9, places=2).map(lambda number: f"{number:,}".replace(",", "\u00a0") + " €"),
    "Checkbox": st.sampled_from(["yes", "no", "TRUE", "FALSE", "1", "0", "да", "нет"]),
    "Select": labels,
    "Radio": labels,
    "Multi": st.lists(labels, min_size=1, max_size=4).map("|".join),
    "Date": days,
    "Moment": st.integers(0, 4_000_000_000).map(local),
    "Url": filled_words.map(lambda text: "https://example.com/" + text.strip()),
    "Street": lines,
    "City": words,
    "Zip": words,
    "Birthday": days,
    "Firm": filled_words,
    "Vat": words,
    "Items": items.map(lambda entries: json.dumps(entries, ensure_ascii=False)),
    "Category": labels,
}
PARTS = {"City": "city", "Zip": "zip"}
FIELD_IDS = {str(field["name"]): field["id"] for field in FIELDS} | dict.fromkeys(PARTS, 114)
ALWAYS_FILLED = {"Firm"}  # the account wants a legal entity's name whenever it has anything of it

Row = dict[str, str]


def rows(codes: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[Row]]:
    """Rows with the given codes; each cell filled or empty."""
    cells = {name: value if name in ALWAYS_FILLED else st.just("") | value for name, value in VALUES.items()}
    one = st.fixed_dictionaries({"name": filled_words, **cells})

    def with_codes(some: list[str]) -> st.SearchStrategy[list[Row]]:
        cells = st.lists(one, min_size=len(some), max_size=len(some))
        return cells.map(lambda rest: [{"code": code, **row} for code, row in zip(some, rest, strict=True)])

    return codes.flatmap(with_codes)


some_codes = st.lists(st.sampled_from([f"{n:04}" for n in range(12)]), unique=True, max_size=8)


@dataclass
class World:
    """An account, a client, a journal, and a folder to put sheets in."""

    emulator: Emulator
    client: Client
    journal: Journal
    folder: Path

    def plan(self, table: list[Row], mapping: str, batch_size: int = 250) -> sync.Planned:
        """Plan a sheet, and assert that only GETs were sent (law 2)."""
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, ["code", "name", *VALUES], delimiter=";")
        writer.writeheader()
        writer.writerows(table)
        (self.folder / "sheet.csv").write_text(stream.getvalue(), encoding="utf-8", newline="")
        (self.folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
        self.emulator.clear_requests()
        options = sync.PlanOptions(batch_size=batch_size)
        planned = sync.plan(self.folder / "sheet.csv", self.folder / "mapping.yaml", self.client, self.journal, options)
        assert {arrival.method for arrival in self.emulator.requests} == {"GET"}
        assert planned.plan.rejected == ()
        return planned

    def apply(self, planned: sync.Planned) -> list[Any]:
        """Apply a plan; the bodies of the POSTs that the server saw."""
        self.emulator.clear_requests()
        report = sync.apply(planned.plan, self.client, self.journal, planned.schema)
        assert [result.message for result in report.with_outcome("failed", "conflict", "unknown")] == []
        return [arrival.body for arrival in self.emulator.requests if arrival.method in {"POST", "PATCH"}]

    def stored(self) -> dict[str, dict[str, Any]]:
        """What the server stores, by code."""
        return {element["Code"][0]: element for element in stored_elements(self.emulator, "Products")}


def updates_in(body: Any) -> list[dict[str, Any]]:
    """The updates in a request: v2 lists them by verb, v4 sends them alone."""
    entries = body.get("update", []) if isinstance(body, dict) else body
    return [entry for entry in entries if "id" in entry]


def fields_in(entry: dict[str, Any]) -> list[int]:
    """The custom fields that an update names."""
    v2, v4 = entry.get("custom_fields", []), entry.get("custom_fields_values", [])
    return [field["id"] for field in v2] + [field["field_id"] for field in v4]


@contextmanager
def world(api: str) -> Iterator[World]:
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Emulator(seed=catalog_of(FIELDS), rps=0) as emulator,
        connect(Account(emulator.url, emulator.token, api), rps=0) as client,
    ):
        yield World(emulator, client, Journal(Path(folder) / "journal.sqlite"), Path(folder))


@pytest.mark.parametrize("api", APIS)
@given(
    first=rows(some_codes),
    second=rows(some_codes.filter(bool)),
    blank=st.sampled_from(["keep", "clear"]),
    batch_size=st.integers(1, 9),
)
@settings(max_examples=25, deadline=None, phases=(Phase.generate,))
def test_after_an_apply_a_second_plan_is_empty_and_only_what_changed_was_sent_in_the_fewest_requests(
    api: str, first: list[Row], second: list[Row], blank: str, batch_size: int
) -> None:
    mapping = MAPPING % {"blank": blank, "multi": "replace"}
    with world(api) as account:
        if first:
            account.apply(account.plan(first, mapping))
            assert account.plan(first, mapping).plan.changes == ()
        for code, element in account.stored().items():
            account.emulator.store.edit_as_other_user(element["id"], values={"Colleagues": f"note on {code}"})
        before = account.stored()

        planned = account.plan(second, mapping, batch_size)
        bodies = account.apply(planned)

        assert len(bodies) == planned.plan.write_requests
        kinds = [planned.plan.counts.values()] if api == "v4" else [[len(planned.plan.changes)]]
        assert len(bodies) == sum(math.ceil(count / batch_size) for counts in kinds for count in counts)
        sent = {entry["id"]: entry for body in bodies for entry in updates_in(body)}
        updates = {change.id: change for change in planned.plan.changes if isinstance(change, Update)}
        assert set(sent) == set(updates)
        for id_, change in updates.items():
            fields = {int(key.partition(".")[0]) for key in change.after if key != "name"}
            assert set(fields_in(sent[id_])) == fields
            assert ("name" in sent[id_]) == ("name" in change.after)
            assert all(change.before[key] != text for key, text in change.after.items())
        after = account.stored()
        assert set(after) == set(before) | {row["code"] for row in second}
        assert {code: after[code]["Colleagues"] for code in before} == {code: [f"note on {code}"] for code in before}
        assert all(after[code] == before[code] for code in before if before[code]["id"] not in updates)

        assert account.plan(second, mapping).plan.changes == ()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("multi", ["merge", "remove"])
@given(first=rows(some_codes.filter(bool)), second=rows(some_codes.filter(bool)))
@settings(max_examples=10, deadline=None, phases=(Phase.generate,))
def test_merged_and_removed_options_converge_too(api: str, multi: str, first: list[Row], second: list[Row]) -> None:
    with world(api) as account:
        account.apply(account.plan(first, MAPPING % {"blank": "keep", "multi": "replace"}))
        mapping = MAPPING % {"blank": "keep", "multi": multi}

        account.apply(account.plan(second, mapping))

        assert account.plan(second, mapping).plan.changes == ()


# --- law 10: export, then import ---------------------------------------------------------------------------------


def saved_again(path: Path, row: int = 0, column: str = "", text: str = "") -> None:
    """Save a workbook with openpyxl, one cell of its products changed where a row is given."""
    book = openpyxl.load_workbook(path)
    products = book.worksheets[0]
    if row:
        cell = next(cell for cell in products[1] if cell.value == column).offset(row=row)
        cell.value, cell.data_type = text, "s"  # what begins with = is text, too
    book.save(path)
    book.close()


@pytest.mark.parametrize("api", APIS)
@given(table=rows(some_codes.filter(bool)), blank=st.sampled_from(["keep", "clear"]), edit=st.data())
@settings(max_examples=12, deadline=None, phases=(Phase.generate,))
def test_an_export_changes_nothing_and_one_edited_cell_is_exactly_that_update(
    api: str, table: list[Row], blank: str, edit: st.DataObject
) -> None:
    mapping = MAPPING % {"blank": blank, "multi": "replace"}
    with world(api) as account:
        account.apply(account.plan(table, mapping))
        book, mapping_path = account.folder / "book.xlsx", account.folder / "mapping.yaml"
        if edit.draw(st.booleans(), "without a base"):
            account = World(account.emulator, account.client, Journal(account.folder / "new.sqlite"), account.folder)

        def changes() -> tuple[Change, ...]:
            plan = sync.plan(book, mapping_path, account.client, account.journal).plan
            assert plan.rejected == ()
            return plan.changes

        sync.export("Products", book, account.client, account.journal, mapping_path)
        assert changes() == ()
        saved_again(book)
        assert changes() == ()

        row = edit.draw(st.integers(1, len(table)))
        column = edit.draw(st.sampled_from(sorted(set(VALUES) - ALWAYS_FILLED - {"Vat"})))
        text = edit.draw(VALUES[column].filter(lambda value: bool(value.strip())))
        saved_again(book, row, column, text)
        edited = changes()
        expected = {(str(FIELD_IDS[column]) if column not in PARTS else f"{FIELD_IDS[column]}.{PARTS[column]}",)}
        assert len(edited) <= 1
        assert {tuple(change.after) for change in edited if isinstance(change, Update)} == (
            expected if edited else set()
        )
        account.apply(sync.plan(book, mapping_path, account.client, account.journal))
        assert changes() == ()
