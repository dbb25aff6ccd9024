"""`export --into` where rows are matched otherwise, cells speak for several rows, or a change would unmake a row."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from catalogsync import bookparts
from catalogsync.api.auth import APIS
from catalogsync.lock import exclusive
from tests.e2e.conftest import Start, catalog_of
from tests.e2e.test_into import FIELDS, MAPPING, ROWS, Desk, parts_of

CODES = """
catalog: Products
key: {key}
{more}
columns:
  code: Code
  name: name
  price: {{field: Price, empty: on request}}
  note: {{field: Note, {note}}}
"""


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CATALOGSYNC_API", request.param)
    return str(request.param)


def mapping(key: str = "code", more: str = "", note: str = "blank: keep") -> str:
    return CODES.format(key=key, more=more, note=note)


def desk_of(start: Start, folder: Path, text: str, rows: list[list[Any]], *, code: int = 0) -> Desk:
    """A workbook that was imported once."""
    desk = Desk(start(catalog_of(FIELDS)), folder, text, [["code", "name", "price", "note"], *rows])
    assert desk.shell("import", desk.book, "-m", desk.mapping, "--yes") == code, desk.shell.out + desk.shell.err
    return desk


def told(taken: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """The cells that were patched, and those that were left and why."""

    def cell(address: str) -> str:
        return address.rpartition("!")[2].partition(" ")[0]

    return [cell(c["address"]) for c in taken["patched"]], [(cell(c["address"]), c["why"]) for c in taken["left"]]


# --- keys --------------------------------------------------------------------------------------------------------


def test_a_key_that_a_colleague_changed_is_patched_in_our_own_export_where_the_row_has_its_id(
    start: Start, tmp_path: Path
) -> None:
    elements = [{"id": 500 + n, "name": f"P{n}", "values": {"Code": f"00{n}", "Price": "1"}} for n in range(3)]
    desk = Desk(start(catalog_of(FIELDS, elements)), tmp_path)
    assert desk.shell("export", "Products", desk.book, "-m", desk.mapping) == 0
    desk.edit("001", Code="901", Price="7")

    patched, left = told(desk.taken())

    assert (len(patched), left) == (2, [])
    rows = openpyxl.load_workbook(desk.book).worksheets[0].iter_rows(min_row=2, values_only=True)
    assert sorted((row[0], row[2]) for row in rows) == [("000", 1), ("002", 1), ("901", 7)]
    assert desk.changes() == []


def test_a_key_that_a_colleague_changed_is_patched_where_the_last_run_knows_the_row(
    start: Start, tmp_path: Path
) -> None:
    desk = desk_of(start, tmp_path, mapping(), [["001", "Oak", 1, "a"], ["002", "Ash", 2, "b"]])
    desk.edit("001", Code="901")
    assert told(desk.taken()) == (["A2"], [])
    assert desk.cells()["A2"] == "901"
    assert desk.changes() == []
    desk.edit("901", Price="5")
    assert told(desk.taken()) == (["C2"], [])


def test_what_a_row_is_matched_by_is_never_patched(start: Start, tmp_path: Path) -> None:
    rows = [["001", "Oak", 1, "n1"], ["002", "Ash", 2, "n2"]]
    desk = desk_of(start, tmp_path, mapping("[code, note]"), rows)
    desk.edit("001", Note="other", Price="5")
    assert told(desk.taken()) == (["C2"], [("D2", "key")])


def test_rows_are_matched_by_all_the_columns_of_a_composite_key(start: Start, tmp_path: Path) -> None:
    rows = [["A", "Oak", 1, "x"], ["A", "Ash", 2, "y"]]
    desk = desk_of(start, tmp_path, mapping("[[code, note]]"), rows)
    shell = desk.shell
    shell.emulator.store.edit_as_other_user(
        next(each["id"] for each in shell.elements() if each["Note"] == ["y"]), values={"Price": "5"}
    )
    assert told(desk.taken()) == (["C3"], [])


@pytest.mark.parametrize(("which", "cell"), [("first", "C2"), ("last", "C3")])
def test_of_rows_with_one_key_the_one_that_counts_is_patched(
    which: str, cell: str, start: Start, tmp_path: Path
) -> None:
    rows = [["001", "Oak", 1, "a"], ["001", "Oak", 2, "a"]]
    desk = desk_of(start, tmp_path, mapping(more=f"duplicates: {which}"), rows)
    desk.edit("001", Price="5")
    assert told(desk.taken()) == ([cell], [])
    assert desk.changes() == []


# --- cells that speak for several rows, or for the row -----------------------------------------------------------


def test_a_cell_that_is_filled_down_is_left_and_one_that_speaks_for_its_row_alone_is_patched(
    start: Start, tmp_path: Path
) -> None:
    rows = [["001", "Oak", 1, "a"], ["002", "Ash", 2, None], ["003", "Elm", 3, "c"], ["004", "Yew", 4, "d"]]
    desk = desk_of(start, tmp_path, mapping(note="fill: down"), rows)
    for code in ("001", "002", "003"):
        desk.edit(code, Note="new")
    desk.edit("004", Note="")
    assert told(desk.taken()) == (["D4"], [("D2", "fill"), ("D3", "fill"), ("D5", "empty")])


def test_a_merged_cell_that_fills_several_rows_is_left(start: Start, tmp_path: Path) -> None:
    rows = [["001", "Oak", 1, "a"], ["002", "Ash", 2, None]]
    desk = Desk(start(catalog_of(FIELDS)), tmp_path, mapping(note="fill: merged"))
    desk.make([["code", "name", "price", "note"], *rows])
    book = openpyxl.load_workbook(desk.book)
    book.worksheets[0].merge_cells("D2:D3")
    book.save(desk.book)
    desk.bring()
    desk.edit("001", Note="new")
    desk.edit("002", Note="new")
    assert told(desk.taken()) == ([], [("D2", "fill"), ("D3", "covered")])


def test_a_value_that_the_row_needs_is_not_emptied(start: Start, tmp_path: Path) -> None:
    desk = desk_of(
        start, tmp_path, mapping(more="read: {needs: price}"), [["001", "Oak", 1, "a"], ["002", "B", 2, "b"]]
    )
    desk.edit("001", Price="", Note="")
    assert told(desk.taken()) == (["D2"], [("C2", "empty")])
    assert desk.changes() == []


def test_a_row_is_not_emptied_so_far_that_it_looks_like_a_section(start: Start, tmp_path: Path) -> None:
    """Only code and two more columns, so that clearing both would leave a single filled cell."""
    text = mapping().replace("  name: name\n", "")
    elements = [{"id": 500 + n, "name": f"P{n}", "values": {"Code": f"00{n}"}} for n in range(6)]
    desk = Desk(start(catalog_of(FIELDS, elements)), tmp_path, text)
    desk.make([["code", "price", "note"], *[[f"00{n}", n + 1, "a"] for n in range(6)]])
    desk.bring()
    desk.edit("003", Price="", Note="")
    assert told(desk.taken()) == (["B5"], [("C5", "empty")])
    assert desk.changes() == []


def test_a_text_that_stands_for_an_empty_cell_gives_way_to_a_value(start: Start, tmp_path: Path) -> None:
    desk = desk_of(start, tmp_path, mapping(), [["001", "Oak", "on request", "a"], ["002", "Ash", 2, "b"]])
    desk.edit("001", Price="5")
    assert told(desk.taken()) == (["C2"], [])
    assert desk.cells()["C2"] == 5
    assert desk.changes() == []


def test_a_cell_that_two_columns_of_the_mapping_read_is_left(start: Start, tmp_path: Path) -> None:
    text = mapping().replace("  name: name\n", "  name: name\n  column B: Since text\n")
    seed = catalog_of([*FIELDS, {"id": 109, "name": "Since text", "type": "text"}])
    desk = Desk(start(seed), tmp_path, text, [["code", "name", "price", "note"], ["001", "Oak", 1, "a"]])
    desk.bring()
    desk.edit("001", name="Oak 2", **{"Since text": "Oak 3"})
    assert told(desk.taken()) == ([], [("B2", "shared"), ("B2", "shared")])


# --- the file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["prefixed", "without addresses", "with byte order mark", "strict"])
def test_xml_as_other_programs_write_it_is_patched(kind: str, api: str, start: Start, tmp_path: Path) -> None:
    elm, yew = (
        ["003", "Elm", 250, "Green", "Soft", False, ROWS[1][6]],
        ["004", "Yew", 1, "blue", "x", True, "31.03.2026"],
    )
    full = [ROWS[0], ROWS[1], elm, yew]
    desk = Desk(start(catalog_of(FIELDS)), tmp_path, MAPPING, full)
    rewritten(desk.book, kind)
    desk.bring()
    desk.edit("001", name="Дуб", Price="12.25", Since="2026-02-28")
    desk.edit("003", Colour="Blue")
    before = parts_of(desk.book)
    taken = desk.taken()
    assert told(taken) == (["B2", "C2", "D3", "G2"], [])
    assert [cell["after"] for cell in taken["patched"]] == ["Дуб", "12.25", "blue", "2026-02-28"]
    changed = [a[0] for a, b in zip(before, parts_of(desk.book), strict=True) if a != b]
    assert changed == ["xl/worksheets/sheet1.xml"]
    assert desk.changes() == []


def rewritten(path: Path, kind: str) -> None:
    """Write the tab of a workbook in another way that means the same."""
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    xml = parts["xl/worksheets/sheet1.xml"]
    if kind == "prefixed":
        xml = re.sub(rb"<(/?)(?=\w)", rb"<\1x:", xml).replace(b"xmlns=", b"xmlns:x=")
    elif kind == "without addresses":
        xml = re.sub(rb'<c r="[A-Z]+\d+"', b"<c", re.sub(rb'<row r="\d+"', b"<row", xml))
    elif kind == "with byte order mark":
        xml = b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>\r\n' + xml
    else:
        transitional, strict = b"schemas.openxmlformats.org/spreadsheetml/2006", b"purl.oclc.org/ooxml/spreadsheetml"
        xml = xml.replace(transitional, strict)
    assert xml != parts["xl/worksheets/sheet1.xml"]
    bookparts.rewrite(path, path.with_suffix(".new"), {"xl/worksheets/sheet1.xml": xml})
    path.with_suffix(".new").replace(path)


def test_a_file_that_was_saved_meanwhile_is_not_replaced(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(start, tmp_path, mapping(), [["001", "Oak", 1, "a"]])
    desk.edit("001", Price="5")
    rewrite = bookparts.rewrite

    def meanwhile(source: Path, target: Path, parts: dict[str, bytes]) -> None:
        rewrite(source, target, parts)
        with zipfile.ZipFile(source, "a") as book:  # somebody else saves it
            book.writestr("xl/other.xml", "<x/>")

    monkeypatch.setattr(bookparts, "rewrite", meanwhile)
    assert desk.into() == 1
    assert "somebody saved it meanwhile; nothing was changed" in desk.shell.err
    assert desk.backups == []
    assert desk.cells()["C2"] == 1


def test_a_run_that_is_writing_to_the_catalog_is_not_disturbed(start: Start, tmp_path: Path) -> None:
    desk = desk_of(start, tmp_path, mapping(), [["001", "Oak", 1, "a"]])
    with exclusive(tmp_path / "state", 30001, 4220):
        assert desk.into() == 6
    assert "another run is writing" in desk.shell.err


@pytest.mark.parametrize("kind", ["xls", "ods"])
@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not here")
def test_workbooks_of_other_kinds_are_refused(kind: str, start: Start, tmp_path: Path) -> None:  # pragma: no cover
    desk = Desk(start(catalog_of(FIELDS)), tmp_path, MAPPING, ROWS)
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/office", "--headless", "--convert-to", kind]
    subprocess.run([*command, "--outdir", str(tmp_path), str(desk.book)], check=True, capture_output=True, timeout=180)
    desk.book = desk.book.with_suffix(f".{kind}")
    before = desk.book.read_bytes()
    assert desk.into() == 1
    assert "is no .xlsx workbook, and nothing else is patched. Save it as .xlsx" in desk.shell.err
    assert desk.book.read_bytes() == before


def test_a_damaged_workbook_is_told_as_the_reader_tells_it(start: Start, tmp_path: Path) -> None:
    desk = Desk(start(catalog_of(FIELDS)), tmp_path)
    desk.book.write_bytes(desk.book.read_bytes()[:2000])
    assert desk.into() == 1
    assert "is cut off or damaged" in desk.shell.err


def test_a_link_to_a_workbook_stays_a_link(start: Start, tmp_path: Path) -> None:
    desk = desk_of(start, tmp_path, mapping(), [["001", "Oak", 1, "a"]])
    desk.edit("001", Price="5")
    real = desk.book
    (tmp_path / "elsewhere").mkdir()
    desk.book = tmp_path / "elsewhere" / "link.xlsx"
    desk.book.symlink_to(real)
    assert desk.into() == 0, desk.shell.err
    assert desk.book.is_symlink()
    assert openpyxl.load_workbook(real).worksheets[0]["C2"].value == 5
