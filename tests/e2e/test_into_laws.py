"""`export --into` over every field type: random sheets and random edits in the CRM, and nothing is left to plan."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from catalogsync import sync
from catalogsync.api.auth import APIS
from catalogsync.intosheet import Taken, take_into
from tests.e2e.test_laws import MAPPING, VALUES, Row, World, rows, some_codes, world

pytestmark = pytest.mark.timeout(400)

HEADERS = ["code", "name", *VALUES]


def as_typed(header: str, text: str) -> Any:
    """A cell as a person who types it into a spreadsheet gets it: numbers, dates and boxes."""
    if header == "Numeric" and text:
        return float(text.replace(",", "."))
    if header in {"Date", "Birthday"} and text > "1905":  # workbooks that count from 1904 hold no earlier ones
        return date.fromisoformat(text)
    if header == "Moment" and text:
        return datetime.fromisoformat(text)
    if header == "Checkbox" and text in {"TRUE", "FALSE"}:
        return text == "TRUE"
    return text or None


def workbook(table: list[Row], *, is_typed: bool, library: str, is_1904: bool) -> bytes:
    """The sheet as a workbook."""
    cells: list[list[Any]] = [[as_typed(h, row[h]) if is_typed else row[h] or None for h in HEADERS] for row in table]
    stream = io.BytesIO()
    if library == "openpyxl":
        book = openpyxl.Workbook()
        if is_1904:
            book.epoch = datetime(1904, 1, 1)  # noqa: DTZ001 - what openpyxl wants
        tab = book.worksheets[0]
        for n, row in enumerate([list[Any](HEADERS), *cells], start=1):
            for m, value in enumerate(row, start=1):
                cell = tab.cell(n, m)
                cell.value = value
                if isinstance(value, str):
                    cell.data_type = "s"  # what begins with = is text, too
        book.save(stream)
        return stream.getvalue()
    options = {"default_date_format": "dd.mm.yy", "in_memory": True, "date_1904": is_1904}
    with xlsxwriter.Workbook(stream, options) as written:
        sheet = written.add_worksheet()
        for n, row in enumerate([list[Any](HEADERS), *cells]):
            for m, value in enumerate(row):
                if isinstance(value, str):
                    sheet.write_string(n, m, value)
                elif value is not None:
                    sheet.write(n, m, value)
        sheet.write_formula(len(cells) + 1, 30, "=1+1", None, 2)
    return stream.getvalue()


@dataclass
class Desk:
    """An account, and the user's own workbook."""

    account: World
    mapping: str

    @property
    def book(self) -> Path:
        return self.account.folder / "book.xlsx"

    @property
    def mapping_path(self) -> Path:
        path = self.account.folder / "own.yaml"
        path.write_text(self.mapping, encoding="utf-8")
        return path

    def plan(self) -> sync.Planned:
        return sync.plan(self.book, self.mapping_path, self.account.client, self.account.journal)

    def bring(self) -> None:
        planned = self.plan()
        assert planned.plan.rejected == ()
        self.account.apply(planned)
        sync.remember(self.plan(), self.account.journal)

    def into(self) -> Taken:
        """Take the catalog's side in. Asserts that only GETs were sent."""
        self.account.emulator.clear_requests()
        taken = take_into("Products", self.book, self.mapping_path, self.account.client, self.account.journal)
        assert {arrival.method for arrival in self.account.emulator.requests} == {"GET"}
        return taken

    def parts(self) -> Mapping[str, bytes]:
        with zipfile.ZipFile(self.book) as book:
            return {name: book.read(name) for name in book.namelist()}


@pytest.mark.parametrize("api", APIS)
@given(
    first=rows(some_codes.filter(bool)),
    second=rows(some_codes.filter(bool)),
    blank=st.sampled_from(["keep", "clear"]),
    has_base=st.booleans(),
    is_typed=st.booleans(),
    library=st.sampled_from(["openpyxl", "xlsxwriter"]),
    is_1904=st.booleans(),
)
@settings(max_examples=7, deadline=None, phases=(Phase.generate,))
def test_what_colleagues_changed_is_taken_and_the_next_plan_is_empty(
    api: str,
    first: list[Row],
    second: list[Row],
    blank: str,
    has_base: bool,
    is_typed: bool,
    library: str,
    is_1904: bool,
) -> None:
    with world(api) as account:
        desk = Desk(account, MAPPING % {"blank": blank, "multi": "replace"})
        desk.book.write_bytes(workbook(first, is_typed=is_typed, library=library, is_1904=is_1904))
        if has_base:
            desk.bring()
        else:
            account.apply(account.plan(first, MAPPING % {"blank": "clear", "multi": "replace"}))
        account.apply(account.plan(second, MAPPING % {"blank": "clear", "multi": "replace"}))  # what a colleague does
        before = desk.parts()

        taken = desk.into()

        assert [(cell.address, cell.why) for cell in taken.left if cell.why != "unsayable"] == []
        assert [(cell.address, cell.crm) for cell in taken.left] == []
        after = desk.parts()
        assert {name for name in before if before[name] != after[name]} <= {
            "xl/worksheets/sheet1.xml",
            "xl/workbook.xml",
        }
        made = desk.plan().plan
        assert (made.changes, made.clashes, made.rejected) == ((), (), ())
        assert desk.into().patched == ()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("multi", ["merge", "remove"])
@given(first=rows(some_codes.filter(bool)), second=rows(some_codes.filter(bool)))
@settings(max_examples=4, deadline=None, phases=(Phase.generate,))
def test_merged_and_removed_options_leave_nothing_to_plan_either(
    api: str, multi: str, first: list[Row], second: list[Row]
) -> None:
    with world(api) as account:
        desk = Desk(account, MAPPING % {"blank": "keep", "multi": multi})
        desk.book.write_bytes(workbook(first, is_typed=False, library="openpyxl", is_1904=False))
        desk.bring()
        account.apply(account.plan(second, MAPPING % {"blank": "clear", "multi": "replace"}))

        desk.into()

        made = desk.plan().plan
        assert (made.changes, made.clashes) == ((), ())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("api", APIS)
def test_many_edits_of_colleagues_are_taken(api: str) -> None:
    one = test_what_colleagues_changed_is_taken_and_the_next_plan_is_empty
    settings(max_examples=60, deadline=None, phases=(Phase.generate,))(one)(api=api)
