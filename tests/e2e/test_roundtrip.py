"""Law 10 over a socket, for every field type: out to a file, a little edited or not at all, and back.

Of each group of types a catalog of random elements is exported, then edited in turns: nothing, a cell of every column,
an emptied cell of every column, a deleted row, a new row. tests/test_roundtrip.py tries more values without a server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from openpyxl.cell import Cell

from catalogsync import fields, sync
from catalogsync.api.auth import APIS
from catalogsync.celltext import is_too_long_mark
from catalogsync.model import Add, Change, Update
from tests import roundtrip
from tests.e2e.worlds import CATALOG_ID, World, all_done, world

pytestmark = pytest.mark.timeout(300)

GROUPS: dict[str, tuple[str, ...]] = {
    "texts": ("text", "textarea", "url", "streetaddress"),
    "numbers": ("numeric", "price", "monetary"),
    "options": ("select", "radiobutton", "category", "multiselect", "checkbox"),
    "times": ("date", "birthday", "date_time"),
    "parts": ("smart_address", "legal_entity", "items"),
}
CAPTIONS = [caption for caption in roundtrip.CAPTIONS if caption.strip()]
PARTS = {"smart_address": ("city", "zip"), "legal_entity": ("name", "vat_id")}

Row = tuple[str, ...]
Places = list[tuple[str, str]]
"""A type and a subtype of each column after key and name."""


def places_of(types: Sequence[str]) -> Places:
    """The columns of some types."""
    return [(kind, part) for kind in types for part in PARTS.get(kind, ("",))]


def value_of(kind: str, part: str) -> st.SearchStrategy[str]:
    """A canonical text, or none; an option as its place among the captions."""
    if kind in fields.OPTION_TYPES:
        few = 4 if kind == "multiselect" else 1
        number = st.integers(0, len(CAPTIONS) - 1)
        return st.lists(number, max_size=few, unique=True).map(lambda some: ",".join(map(str, sorted(some))))
    if fields.SUBTYPES.get(kind) and part == "name":  # the account wants it whenever there is anything of an entity
        return roundtrip.texts.filter(bool)
    if kind in fields.DATE_TYPES:
        known = st.integers(-2_000_000_000, 4_000_000_000)
        modern = roundtrip.days.filter(lambda day: "1000" < day < "9000")
        return st.just("") | (st.one_of(known.map(str), roundtrip.clock_changes) if kind == "date_time" else modern)
    return st.just("") | roundtrip.VALUES[kind]


def rows_of(places: Places) -> st.SearchStrategy[list[Row]]:
    """Rows of key, name and values."""
    row = st.tuples(
        roundtrip.texts.filter(roundtrip.is_key), roundtrip.texts.filter(bool), *(value_of(*place) for place in places)
    )
    return st.lists(row, min_size=12, max_size=20, unique_by=lambda cells: cells[0])


def anchors(places: Places) -> list[Row]:
    """Rows that differ in every column, so that there is something to edit in each."""
    made = []
    for n in (1, 2):
        known = {"date_time": f"170444340{n}", "checkbox": f"{2 - n}", "items": f'[{{"description": "{n}"}}]'}
        known |= dict.fromkeys(("date", "birthday"), f"2024-02-2{n}") | dict.fromkeys(fields.NUMBER_TYPES, f"-{n}.5")
        known |= dict.fromkeys(fields.OPTION_TYPES, f"{n}")
        made.append((f"anchor {n}", "=Name", *(known.get(kind, f"=1+{n}") for kind, _ in places)))
    return made


@dataclass
class Desk:
    """A catalog of random elements, its mapping, and the file that it was exported to."""

    account: World
    places: Places
    mapping: Path
    book: Path

    @property
    def kinds(self) -> set[str]:
        return {kind for kind, _ in self.places}

    def fill(self, rows: Sequence[Row]) -> None:
        """Put the rows into the catalog, behind the client's back."""
        store, schema = self.account.emulator.store, self.account.schema()
        enums = {field.name: list(field.enums) for field in schema.fields}
        for code, name, *texts in rows:
            values: dict[int | str, object] = {"Code": code}
            for (kind, part), text in zip(self.places, texts, strict=True):
                if text and part:
                    values[kind] = {**values.get(kind, {}), part: text}  # type: ignore[dict-item]
                elif text:
                    values[kind] = stored(kind, text, enums[kind])
            store.insert_element(CATALOG_ID, name, store.neutral(CATALOG_ID, values)[0], by=1, at=1_700_000_000)

    def export(self, ending: str = ".xlsx", *, is_mapped: bool = True) -> Path:
        self.book = self.account.folder / f"out{ending}"
        mapping = self.mapping if is_mapped else None
        sync.export("Products", self.book, self.account.client, self.account.journal, mapping)
        return self.book

    def planned(self) -> sync.Planned:
        planned = sync.plan(self.book, self.mapping, self.account.client, self.account.journal)
        assert planned.plan.rejected == ()
        return planned

    def changes(self) -> tuple[Change, ...]:
        """What an import of the file would do; no row of it has a problem."""
        return self.planned().plan.changes

    def edited(self, edit: Callable[[list[dict[str, Cell]]], object]) -> tuple[Change, ...]:
        """What an import would do after an edit of the cells by heading, row by row. The file stays as it was."""
        was = self.book.read_bytes()
        book = openpyxl.load_workbook(self.book)
        headings = [str(cell.value) for cell in book.worksheets[0][1]]
        edit([dict(zip(headings, row, strict=True)) for row in book.worksheets[0].iter_rows(min_row=2)])
        book.save(self.book)
        book.close()
        changes = self.changes()
        self.book.write_bytes(was)
        return changes


def stored(kind: str, text: str, enums: Sequence[int]) -> object:
    """A canonical text as a person tells it to the emulator."""
    if kind in fields.OPTION_TYPES:
        ids = [enums[int(place)] for place in text.split(",")]
        return ids if kind == "multiselect" else ids[0]
    return json.loads(text) if kind == "items" else int(text) if kind == "date_time" else text


def mapping_of(places: Places, split: str) -> str:
    """A mapping with the headings of an export without one."""
    lines = ["catalog: Products", "key: Code", "columns:", "  Code: Code", "  Name: name"]
    for kind, part in places:
        settings = {"field": kind, "blank": "clear"} | ({"subtype": part} if part else {})
        if kind == "multiselect":
            settings["split"] = split
        lines.append(f"  {json.dumps(f'{kind}: {part}' if part else kind)}: {json.dumps(settings)}")
    return "\n".join(lines) + "\n"


def desk_of(account: World, places: Places, rows: Sequence[Row]) -> Desk:
    desk = Desk(account, places, account.folder / "mapping.yaml", account.folder / "out.xlsx")
    desk.fill(rows)
    return desk


def fields_of(types: Sequence[str]) -> list[dict[str, Any]]:
    """The fields of some types, and the key's."""
    enums: dict[str, Any] = {"enums": CAPTIONS}
    made: list[dict[str, Any]] = [
        {"name": kind, "type": kind, **(enums if kind in fields.OPTION_TYPES else {})} for kind in types
    ]
    return [{"id": 101 + n, **field} for n, field in enumerate([{"name": "Code", "type": "text"}, *made])]


def try_every_edit(desk: Desk, split: str) -> None:
    """The law, in turns."""
    for is_mapped in (False, True):  # without a mapping options are joined by the usual sign
        desk.mapping.write_text(mapping_of(desk.places, split if is_mapped else ";"), encoding="utf-8")
        for ending in (".csv", ".xlsx"):
            desk.export(ending, is_mapped=is_mapped)
            assert desk.changes() == ()
    assert desk.edited(len) == ()
    shown = desk.planned().plan.columns
    parts = {part for _, part in desk.places}
    own = [key for key in shown if key not in ("name", "101") and key.partition(".")[2] in parts]
    tried = sum(try_column(desk, key, shown[key].title, is_clear=is_clear) for key in own for is_clear in (False, True))
    assert tried == 2 * len(desk.places)


def try_column(desk: Desk, key: str, title: str, *, is_clear: bool) -> bool:
    """Copy a cell over another, or empty it: exactly that update. False where no two rows differ in the column."""
    held, empty = desk.account.state(), "0" if title == "checkbox" else ""
    expected: list[tuple[int, dict[str, str]]] = []

    def edit(rows: list[dict[str, Cell]]) -> None:
        for first, other in pairs(rows, held, title, key, empty):
            cell, text = first[title], empty if is_clear else held[id_of(other)].get(key, empty)
            cell.value, cell.data_type = (None, "n") if is_clear else (other[title].value, other[title].data_type)
            expected.append((id_of(first), {key: text}))
            return

    changes = desk.edited(edit)
    assert [(c.id, c.after) for c in changes if isinstance(c, Update)] == expected
    assert len(changes) == len(expected)
    return bool(expected)


def id_of(row: dict[str, Cell]) -> int:
    """The element that a row was exported from."""
    return int(next(str(cell.value) for heading, cell in row.items() if heading.startswith("catalogsync id")))


def pairs(
    rows: list[dict[str, Cell]], held: dict[int, dict[str, str]], title: str, key: str, empty: str
) -> Iterator[tuple[dict[str, Cell], dict[str, Cell]]]:
    """Two rows of which the first holds something in a column, the second something else; neither has a mark there."""
    plain = [row for row in rows if not is_too_long_mark(str(row[title].value or ""))]
    for first in plain:
        for other in plain:
            texts = [held[id_of(row)].get(key, empty) for row in (first, other)]
            if texts[0] not in ("", empty) and texts[1] not in (texts[0], ""):
                yield first, other


def delete_and_add(desk: Desk) -> None:
    """A row less is nothing; a row more is an add, which says what it was copied from."""
    held = desk.account.state()

    def delete(rows: list[dict[str, Cell]]) -> None:
        for cell in rows[3].values():
            cell.value = None

    assert desk.edited(delete) == ()
    copied: list[int] = []

    def add(rows: list[dict[str, Cell]]) -> None:
        whole = (r for r in rows if not any(is_too_long_mark(str(c.value or "")) for c in r.values()))
        row, tab = next(whole), rows[0]["Code"].parent
        copied.append(id_of(row))
        for cell in row.values():
            new = tab.cell(len(rows) + 2, cell.column)
            new.value, new.data_type = cell.value, cell.data_type
        tab.cell(len(rows) + 2, row["Code"].column).value = "a new code"

    (change,) = desk.edited(add)
    assert isinstance(change, Add)
    assert change.key == "a new code"
    ticked = {key: text for key, text in change.values.items() if text != "0" or "numeric" in desk.kinds}
    assert ticked == {**held[copied[0]], "101": "a new code"}


def _of_group(types: Sequence[str]) -> st.SearchStrategy[tuple[str, list[Row]]]:
    return st.tuples(st.sampled_from([";", "|", ","]), rows_of(places_of(types)))


def _run(api: str, group: str, drawn: tuple[str, list[Row]]) -> None:
    split, rows = drawn
    with world(api, fields_of(GROUPS[group])) as account:
        desk = desk_of(account, places_of(GROUPS[group]), [*anchors(places_of(GROUPS[group])), *rows])
        try_every_edit(desk, split)
        delete_and_add(desk)
        all_done(account.apply(desk.planned()))


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("group", GROUPS)
@given(data=st.data())
@settings(max_examples=2, deadline=None, phases=(Phase.generate,))
def test_an_export_comes_back_as_it_was_and_every_edit_is_exactly_that_change(
    api: str, group: str, data: st.DataObject
) -> None:
    _run(api, group, data.draw(_of_group(GROUPS[group])))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("group", GROUPS)
@given(data=st.data())
@settings(max_examples=25, deadline=None, phases=(Phase.generate,))
def test_many_exports_come_back_as_they_were(api: str, group: str, data: st.DataObject) -> None:
    _run(api, group, data.draw(_of_group(GROUPS[group])))
