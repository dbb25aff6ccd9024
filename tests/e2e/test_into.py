"""`export --into`: the catalog's side into the user's own workbook, over a socket, on both dialects."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.comments import Comment
from openpyxl.worksheet.worksheet import Worksheet

from catalogsync import patching
from catalogsync.api.auth import APIS
from catalogsync.reader.marks import Place
from tests.e2e.conftest import Shell, Start, catalog_of

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Price", "type": "price"},
    {"id": 103, "name": "Colour", "type": "select", "enums": ["Red", "Blue", "Green"]},
    {"id": 104, "name": "Note", "type": "textarea"},
    {"id": 105, "name": "Sold", "type": "checkbox"},
    {"id": 106, "name": "Since", "type": "date"},
]
MAPPING = """
catalog: Products
key: code
columns:
  code: Code
  name: name
  price: {field: Price, decimal: ","}
  colour: {field: Colour, enums: {Rouge: Red}}
  note: Note
  sold: Sold
  since: Since
"""
ROWS: list[list[Any]] = [
    ["code", "name", "price", "colour", "note", "sold", "since"],
    ["001", "Oak", 9.5, "Rouge", "Hard", True, date(2026, 1, 31)],
    ["002", "Ash", "1 100,50 €", "blue", None, False, "31.03.2026"],
    ["003", "Elm", 250, None, "Soft", None, None],
]

DAYS = [datetime.fromisoformat(day) for day in ("2026-01-31", "2026-02-28", "2026-02-01")]


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CATALOGSYNC_API", request.param)
    return str(request.param)


def parts_of(path: Path) -> list[tuple[str, tuple[int, ...], int, bytes]]:
    """Every part of a workbook: its name, date, compression and content, in order."""
    with zipfile.ZipFile(path) as book:
        return [(i.filename, i.date_time, i.compress_type, book.read(i)) for i in book.infolist()]


def changed_parts(before: Path, after: Path) -> list[str]:
    """The names of the parts that differ. Asserts that nothing else about the archive does."""
    old, new = parts_of(before), parts_of(after)
    assert [part[:3] for part in old] == [part[:3] for part in new]
    return [a[0] for a, b in zip(old, new, strict=True) if a[3] != b[3]]


class Desk:
    """A workbook of the user's own that was imported once, and a copy of it as it was."""

    def __init__(self, shell: Shell, folder: Path, mapping: str = MAPPING, rows: list[list[Any]] | None = None) -> None:
        self.shell, self.book, self.mapping = shell, folder / "prices.xlsx", folder / "mapping.yaml"
        self.mapping.write_text(mapping, encoding="utf-8")
        self.make(rows or ROWS)

    def make(self, rows: list[list[Any]]) -> None:
        book = openpyxl.Workbook()
        tab = book.worksheets[0]
        for row in rows:
            tab.append(row)
        tab["A1"].comment = Comment("mind the zeros", "Anna")
        tab.column_dimensions["D"].width = 33
        book.create_sheet("Notes").append(["left", "alone"])
        book.save(self.book)

    def bring(self) -> None:
        """Import the workbook."""
        assert self.shell("import", self.book, "-m", self.mapping, "--yes") == 0, self.shell.out + self.shell.err

    def into(self, *flags: object) -> int:
        """Take the catalog's side in. Asserts that only GETs were sent."""
        code = self.shell("export", "Products", "--into", self.book, "-m", self.mapping, *flags)
        assert {arrival.method for arrival in self.shell.sent} <= {"GET"}
        return code

    def taken(self) -> Any:
        """What was patched and left, as JSON."""
        self.into("--json")
        return json.loads(self.shell.out)

    def edit(self, code: str, **values: Any) -> None:
        """What a colleague does in the CRM."""
        id_ = next(each["id"] for each in self.shell.elements() if each["Code"] == [code])
        name = values.pop("name", None)
        by_name: dict[int | str, object] = {}
        by_name.update(values)
        self.shell.emulator.store.edit_as_other_user(id_, name=name, values=by_name)

    def type(self, cell: str, value: Any) -> None:
        """What the user types into the sheet."""
        book = openpyxl.load_workbook(self.book)
        book.worksheets[0][cell] = value
        book.save(self.book)

    def cells(self) -> dict[str, Any]:
        tab: Worksheet = openpyxl.load_workbook(self.book).worksheets[0]
        return {cell.coordinate: cell.value for row in tab.iter_rows(min_row=2) for cell in row}

    def changes(self) -> list[Any]:
        changes = self.shell.plan(self.book, "-m", self.mapping)["changes"]
        assert isinstance(changes, list)
        return changes

    @property
    def backups(self) -> list[Path]:
        return sorted(self.book.parent.glob("prices.backup-*"))


@pytest.fixture
def desk(api: str, start: Start, tmp_path: Path) -> Desk:
    """Three products, imported from the user's workbook."""
    made = Desk(start(catalog_of(FIELDS)), tmp_path)
    made.bring()
    return made


# --- what is taken -----------------------------------------------------------------------------------------------


def test_what_colleagues_edited_stands_in_the_sheet_in_its_own_words_and_nothing_else_changed(desk: Desk) -> None:
    before = desk.cells()
    desk.edit("001", name="Oak & <co>", Price="12.25", Colour="Blue", Note="=1+1", Sold=False, Since="2026-02-01")
    desk.edit("002", Price="1200", Colour="Red", Note="filled", Sold=True, Since="2026-04-01")

    assert desk.into() == 0, desk.shell.err

    expected = {
        "B2": "Oak & <co>", "C2": 12.25, "D2": "blue", "E2": "=1+1", "F2": False, "G2": DAYS[2],
        "C3": "1 200,00 €", "D3": "Rouge", "E3": "filled", "F3": True, "G3": "01.04.2026",
    }  # fmt: skip
    assert desk.cells() == {**before, **expected}
    [backup] = desk.backups
    assert re.fullmatch(r"prices\.backup-\d{8}-\d{6}\.xlsx", backup.name)
    assert changed_parts(backup, desk.book) == ["xl/worksheets/sheet1.xml"]
    assert "Patched 11 cells" in desk.shell.out
    assert str(backup) in desk.shell.out
    assert desk.changes() == []
    assert desk.into() == 0
    assert "Nothing to take" in desk.shell.out
    assert desk.backups == [backup]


def test_what_was_cleared_in_the_crm_is_emptied_and_a_second_edit_is_taken_too(desk: Desk) -> None:
    desk.edit("001", Price="", Note="")
    assert desk.into() == 0
    assert (desk.cells()["C2"], desk.cells()["E2"]) == (None, None)
    assert desk.changes() == []

    desk.edit("001", Price="7")
    assert desk.into() == 0
    assert desk.cells()["C2"] == 7
    assert desk.changes() == []


def test_an_edit_in_the_sheet_stays_and_is_told_and_what_both_changed_is_a_conflict(desk: Desk) -> None:
    desk.type("C2", 10)
    desk.type("C4", 251)
    desk.edit("003", Price="300", Note="Softer")

    taken = desk.taken()

    assert [(each["address"], each["before"], each["after"]) for each in taken["patched"]] == [
        ("prices.xlsx!Sheet!E4 (note)", "Soft", "Softer")
    ]
    assert [(each["address"], each["why"], each["sheet"], each["catalog"]) for each in taken["left"]] == [
        ("prices.xlsx!Sheet!C2 (price)", "unsent", "10", "9,5"),
        ("prices.xlsx!Sheet!C4 (price)", "conflict", "251", "300"),
    ]
    assert desk.into() == 5
    assert "your edit, not yet sent" in desk.shell.out
    assert desk.cells()["C2"] == 10
    assert [change["after"] for change in desk.changes()] == [{"102": "10"}]


@pytest.mark.parametrize(
    ("settings", "price", "code"),
    [("conflict: crm", 300, 0), ("conflict: sheet", 251, 5), ("owner: sheet", 251, 0), ("owner: crm", 300, 0)],
)
def test_the_mapping_says_which_side_counts(desk: Desk, settings: str, price: int, code: int) -> None:
    desk.mapping.write_text(MAPPING.replace('decimal: ","', f'decimal: ",", {settings}'), encoding="utf-8")
    desk.bring()
    desk.type("C4", 251)
    desk.edit("003", Price="300")
    assert desk.into() == code
    assert desk.cells()["C4"] == price


def test_without_a_base_every_cell_that_differs_is_taken_and_the_command_says_so(
    api: str, start: Start, tmp_path: Path
) -> None:
    elements = [
        {"id": 501, "name": "Oak", "values": {"Code": "001", "Price": "9", "Since": "2026-01-31"}},
        {"id": 504, "name": "Yew", "values": {"Code": "009"}},
    ]
    desk = Desk(start(catalog_of(FIELDS, elements)), tmp_path)
    assert desk.into() == 0
    assert desk.cells()["C2"] == 9
    assert "there is no base yet: every cell that differs was taken" in desk.shell.out
    assert "1 row matched, 2 rows without an element, 1 element without a row" in desk.shell.out


def test_rejected_rows_are_listed_and_not_touched(desk: Desk) -> None:
    desk.type("C3", "dear")
    desk.edit("002", Price="5", Note="x")
    desk.edit("001", Price="5")
    assert desk.into() == 3
    assert "C3 (price)" in desk.shell.out
    assert (desk.cells()["C2"], desk.cells()["C3"], desk.cells()["E3"]) == (5, "dear", None)


# --- what is never touched ---------------------------------------------------------------------------------------


def make_rich(path: Path) -> None:
    """A workbook with what a user puts in: formulas, a chart, rules, links, merged cells, a drop-down, frozen panes."""
    with xlsxwriter.Workbook(path) as book:
        tab = book.add_worksheet("Prices")
        money, day = book.add_format({"num_format": "#,##0.00 €", "bg_color": "yellow"}), book.add_format()
        day.set_num_format("dd/mm/yyyy")
        tab.write_row(0, 0, ROWS[0])
        for row, (code, price) in enumerate([("001", 9.5), ("002", 11.0), ("003", 12.0)], start=1):
            tab.write_string(row, 0, code)
            tab.write_rich_string(row, 1, "Na", book.add_format({"bold": True}), "me")
            tab.write_number(row, 2, price, money)
            tab.write_datetime(row, 6, DAYS[0], day)
            tab.write_boolean(row, 5, row == 1)
        tab.write_formula(3, 2, "=C3+1", money, 12)
        tab.write_formula(1, 7, "=C2*2", money, 19)
        tab.merge_range("E2:E3", "both")
        tab.data_validation("D2:D99", {"validate": "list", "source": ["Rouge", "Blue"]})
        tab.conditional_format("C2:C9", {"type": "3_color_scale"})
        tab.write_comment("A2", "mind the zeros")
        tab.autofilter("A1:G4")
        chart = book.add_chart({"type": "column"})
        chart.add_series({"values": "=Prices!$C$2:$C$4"})
        tab.insert_chart("K2", chart)


def test_formulas_and_merged_cells_are_listed_and_charts_rules_and_drop_downs_stay(
    api: str, start: Start, tmp_path: Path
) -> None:
    desk = Desk(start(catalog_of(FIELDS)), tmp_path)
    make_rich(desk.book)
    desk.bring()
    for code in ("001", "002", "003"):
        desk.edit(code, Price="99.5", Note="new", Since="2026-02-28")
    before = desk.book.with_name("before.xlsx")
    shutil.copyfile(desk.book, before)

    taken = desk.taken()

    assert [cell["address"].partition("!Prices!")[2] for cell in taken["patched"]] == [
        "C2 (price)", "C3 (price)", "E2 (note)", "E4 (note)", "G2 (since)", "G3 (since)", "G4 (since)",
    ]  # fmt: skip
    assert [(c["address"].partition("!Prices!")[2], c["why"], c["sheet"], c["catalog"]) for c in taken["left"]] == [
        ("C4 (price)", "formula", "12", "99,5"),
        ("E3 (note)", "covered", "", "new"),
    ]
    assert taken["calculated_again"]
    assert changed_parts(before, desk.book) == ["xl/worksheets/sheet1.xml", "xl/workbook.xml"]
    book = openpyxl.load_workbook(desk.book)
    tab = book["Prices"]
    assert (tab["C4"].value, tab["H2"].value) == ("=C3+1", "=C2*2")
    assert (tab["C2"].value, tab["C2"].number_format) == (99.5, "#,##0.00 €")
    assert (tab["G2"].value, tab["G2"].number_format) == (DAYS[1], "dd/mm/yyyy")
    assert book.calculation.fullCalcOnLoad
    plan = desk.shell.plan(desk.book, "-m", desk.mapping)
    assert (plan["changes"], [(c["kind"], c["column"]) for c in plan["clashes"]]) == ([], [("kept", "102")])


def test_macros_stay_in_an_xlsm(api: str, start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS)), tmp_path)
    plain, desk.book = desk.book, tmp_path / "prices.xlsm"
    shutil.copyfile(plain, desk.book)
    with zipfile.ZipFile(desk.book, "a", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/vbaProject.bin", bytes(range(256)) * 40)
    desk.bring()
    desk.edit("001", Price="1")
    assert desk.into() == 0
    [backup] = desk.backups
    assert backup.suffix == ".xlsm"
    assert changed_parts(backup, desk.book) == ["xl/worksheets/sheet1.xml"]


def test_a_text_longer_than_a_cell_is_left_and_told(desk: Desk) -> None:
    desk.edit("001", Note="x" * 32_768)
    desk.edit("003", Note="y" * 32_767)
    taken = desk.taken()
    assert [(cell["address"][-9:], cell["why"]) for cell in taken["left"]] == [("E2 (note)", "long")]
    assert desk.cells()["E4"] == "y" * 32_767


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{file}", "--into", "{file}", "-m", "{mapping}"], "name one file"),
        (["-m", "{mapping}"], "name one file"),
        (["--into", "{file}"], "--into needs -m MAPPING"),
        (["--into", "{file}", "-m", "{mapping}", "--where", "price > 1"], "are for a new file"),
        (["--into", "{file}", "-m", "{mapping}", "--protect"], "are for a new file"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(desk: Desk, arguments: list[str], told: str) -> None:
    filled = [each.format(file=desk.book, mapping=desk.mapping) for each in arguments]
    assert desk.shell("export", "Products", *filled) == 64
    assert told in desk.shell.err


def test_a_file_that_is_not_there_is_told_and_a_new_file_is_told_as_json(desk: Desk, tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    assert desk.shell("export", "Products", new, "--json") == 0
    assert json.loads(desk.shell.out) == {"written": str(new), "elements": 3, "left_out": 0}
    desk.book = tmp_path / "gone.xlsx"
    assert desk.into() == 1
    assert "there is no such file" in desk.shell.err


def test_a_text_file_is_refused_with_the_way_out(desk: Desk) -> None:
    desk.book = desk.book.with_suffix(".csv")
    desk.book.write_text("code,name,price,colour,note,sold,since\n001,Oak,1,,,,\n", encoding="utf-8")
    assert desk.into() == 1
    assert 'Save it as .xlsx, or write a new file: catalogsync export "Products" FILE.xlsx' in desk.shell.err


def test_a_mapping_of_another_catalog_is_refused(api: str, start: Start, tmp_path: Path) -> None:
    seed = catalog_of(FIELDS)
    seed["catalogs"].append({"id": 4221, "name": "Others", "fields": [], "elements": []})
    desk = Desk(start(seed), tmp_path)
    assert desk.shell("export", "Others", "--into", desk.book, "-m", desk.mapping) == 1
    assert "is for catalog 4220 (Products), not for 4221 (Others)" in desk.shell.err


def test_a_patched_copy_that_reads_otherwise_replaces_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patcher is replaced by one that writes another number."""

    def wrong(xml: bytes, _values: Mapping[Place, patching.Value]) -> bytes:
        assert xml.count(b"<v>9.5</v>") == 1
        return xml.replace(b"<v>9.5</v>", b"<v>13</v>")

    monkeypatch.setattr(patching, "patched", wrong)
    before = desk.book.read_bytes()
    desk.edit("001", Price="12")
    assert desk.into() == 1
    assert 'C2 (price): would be read as "13"' in desk.shell.err
    assert desk.book.read_bytes() == before
    assert [path.name for path in desk.book.parent.glob("*.xlsx")] == ["prices.xlsx"]


def test_a_patched_copy_in_which_another_cell_changed_replaces_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched = patching.patched

    def too_much(xml: bytes, values: Mapping[Place, patching.Value]) -> bytes:
        return patched(xml, {**values, (3, 2): patching.Value("number", "1")})

    monkeypatch.setattr(patching, "patched", too_much)
    before = desk.book.read_bytes()
    desk.edit("001", Price="12")
    assert desk.into() == 1
    assert "C4 (price): would change, too" in desk.shell.err
    assert desk.book.read_bytes() == before


def test_a_file_that_is_open_in_excel_stays_and_the_patched_one_lies_beside_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, replace = desk.book.read_bytes(), Path.replace

    def in_use(self: Path, target: Path) -> Path:  # as Windows answers; elsewhere no open file is in the way
        if target == desk.book:
            raise PermissionError(13, "Access is denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", in_use)
    desk.edit("001", Price="12")
    assert desk.into() == 0
    assert "is open in another program" in desk.shell.err
    assert desk.book.read_bytes() == before
    assert sorted(path.name for path in desk.book.parent.glob("*.xlsx")) == ["prices-2.xlsx", "prices.xlsx"]
    assert desk.changes() == []  # the sheet that is left did not agree to anything: the edit is kept


def test_a_backup_never_replaces_a_file(desk: Desk) -> None:
    for price in ("12", "13", "14"):
        desk.edit("001", Price=price)
        assert desk.into() == 0
    assert len(desk.backups) == 3


# --- LibreOffice -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not here")
def test_libreoffice_opens_the_patched_workbook_and_sees_the_new_values(
    start: Start, tmp_path: Path
) -> None:  # pragma: no cover
    desk = Desk(start(catalog_of(FIELDS)), tmp_path)
    make_rich(desk.book)
    desk.bring()
    desk.edit("001", name="Дуб & Oak", Price="21.25", Since="2026-02-28", Note="=1+1")
    desk.edit("002", Price="50")
    desk.into()
    kind = "csv:Text - txt - csv (StarCalc):44,34,76"
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/office", "--headless", "--convert-to", kind]
    subprocess.run(
        [*command, "--outdir", str(tmp_path / "out"), str(desk.book)], check=True, capture_output=True, timeout=180
    )
    lines = (tmp_path / "out" / "prices.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1].split(",")[:7] == ["001", "Дуб & Oak", "21.25 €", "", "=1+1", "TRUE", "28/02/2026"]
    assert lines[2].split(",")[:3] == ["002", "Name", "50.00 €"]
