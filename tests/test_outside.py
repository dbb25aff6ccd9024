"""Formulas, links and paths inside a sheet are text or nothing: no file is opened, no address asked, nothing run.

And what begins with ``=``, ``+``, ``-`` or ``@`` stays text: in the catalog, in an exported workbook, in a CSV file.
"""

from __future__ import annotations

import csv
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from catalogsync import workbook
from catalogsync.model import Column, Field
from catalogsync.reader import read_sheet
from catalogsync.reader.textmark import with_text_mark, without_text_mark
from tests.builders import ABOUT, elements
from tests.reader_files import RELATIONS, read_bytes, table, worksheet, zip_ods, zip_xlsx
from tests.test_reader_workbook import ods_row, ods_text

FORMULAS = ("=cmd|' /C calc'!A0", "=1+1", "+1+1", "-1+1", "@SUM(1)", '=HYPERLINK("http://x")', "\t=1", "'=1", "''", "'")

WATCHED = """
import sys
from pathlib import Path
seen = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        seen.append(str(arguments[0]))
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "urllib.", "ctypes.")):
        seen.append(event)
from catalogsync.reader import read_sheet
read_sheet(Path(sys.argv[1]))  # what is imported late, is now
sys.addaudithook(watch)
sheet = read_sheet(Path(sys.argv[1]))
import json
print(json.dumps([seen, [list(row) for row in sheet.cells.itertuples(index=False, name=None)]]))
"""


@pytest.fixture
def address() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def trap(folder: Path) -> Path:
    """A pipe that nobody writes to: whoever opens it waits for ever, and the test ends with a timeout."""
    path = folder / "trap"
    os.mkfifo(path)
    return path


def read_watched(path: Path) -> tuple[list[str], list[list[str]]]:
    """What else was opened or asked while a sheet was read, and its cells."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    seen, cells = json.loads(done.stdout)
    return [name for name in seen if name not in (str(path), os.devnull)], cells


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes with a name")
def test_a_workbook_full_of_formulas_links_and_paths_touches_nothing(
    tmp_path: Path, address: tuple[str, list[str]]
) -> None:
    url, asked = address
    pipe = trap(tmp_path)
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        tab = book.add_worksheet("Prices")
        tab.write_row(0, 0, ["Code", "Note"])
        tab.write_formula(1, 1, "=cmd|' /C calc'!A0", None, "dde")
        tab.write_formula(2, 1, f'=WEBSERVICE("{url}/service")', None, "web")
        tab.write_formula(3, 1, f"='file://{pipe}'!A1", None, "external")
        tab.write_url(4, 1, f"{url}/link", None, "link")
        tab.write_url(5, 1, f"external:{pipe}", None, "file")
        tab.write_string(6, 1, f"file://{pipe}")
        tab.write_string(7, 1, "=1+1")
        tab.write_column(1, 0, [f"A{row}" for row in range(1, 8)])
    book_relation = (
        f'<Relationship Id="rId1" Type="{RELATIONS}/externalLinkPath" Target="{url}/o.xlsx" TargetMode="External"/>'
    )
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/externalLinks/externalLink1.xml", "<externalLink/>")
        archive.writestr(
            "xl/externalLinks/_rels/externalLink1.xml.rels", f"<Relationships>{book_relation}</Relationships>"
        )
    seen, cells = read_watched(path)
    assert (seen, asked) == ([], [])
    assert [row[1] for row in cells] == ["dde", "web", "external", "link", "file", f"file://{pipe}", "=1+1"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes with a name")
def test_a_part_that_lies_elsewhere_is_not_fetched(tmp_path: Path, address: tuple[str, list[str]]) -> None:
    url, asked = address
    pipe = trap(tmp_path)
    for number, target in enumerate((f"{url}/sheet.xml", f"file://{pipe}", str(pipe), f"../../../../..{pipe}")):
        path = zip_xlsx(tmp_path / f"prices{number}.xlsx", worksheet('<row r="1"/>'))
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        relations = parts["xl/_rels/workbook.xml.rels"].decode()
        parts["xl/_rels/workbook.xml.rels"] = relations.replace("worksheets/sheet1.xml", target).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        with pytest.raises(subprocess.CalledProcessError) as refused:
            read_watched(path)
        assert "SheetError" in refused.value.stderr
    assert asked == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes with a name")
def test_an_ods_and_a_csv_full_of_them_touch_nothing(tmp_path: Path, address: tuple[str, list[str]]) -> None:
    url, asked = address
    pipe = trap(tmp_path)
    formula = (
        f'<table:table-cell table:formula="of:=WEBSERVICE(&quot;{url}/a&quot;)" office:value-type="string">'
        "<text:p>web</text:p></table:table-cell>"
    )
    source = f'<table:table-source xlink:href="file://{pipe}" xmlns:xlink="http://www.w3.org/1999/xlink"/>'
    book = zip_ods(
        tmp_path / "prices.ods", source + ods_row(ods_text("Code"), ods_text("Note")) + ods_row(ods_text("1"), formula)
    )
    assert read_watched(book) == ([], [["1", "web"]])
    text = tmp_path / "prices.csv"
    text.write_text(f"Code;Note\n1;file://{pipe}\n2;=WEBSERVICE(\"{url}/a\")\n3;=cmd|' /C calc'!A0\n", encoding="utf-8")
    seen, cells = read_watched(text)
    assert (seen, asked) == ([], [])
    assert [row[1] for row in cells] == [f"file://{pipe}", f'=WEBSERVICE("{url}/a")', "=cmd|' /C calc'!A0"]


# --- what is exported ----------------------------------------------------------------------------------------

CANONICAL = [text for text in FORMULAS if text == text.strip()]
"""As a catalog's text comes to be exported: without outer blanks."""

TEXT = Column("=Note", Field(1, "=Note", "text"))
NUMBER = Column("Price", Field(2, "Price", "numeric"))


def test_text_that_looks_like_a_formula_is_text_in_an_exported_workbook(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    workbook.write_xlsx(path, elements([TEXT.key], *[(text,) for text in CANONICAL]), (TEXT,), ABOUT)
    book = openpyxl.load_workbook(path)
    cells = [row[0] for row in book.worksheets[0].iter_rows()]
    assert {cell.data_type for cell in cells} == {"s"}
    with zipfile.ZipFile(path) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()[1:]
    assert [row[:-1] for row in rows] == [[text] for text in CANONICAL]


def test_text_that_looks_like_a_formula_gets_an_apostrophe_in_an_exported_csv_and_numbers_do_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.csv"
    rows = [(text, number) for text, number in zip(CANONICAL, ("-5", "-5.5", "0", "5", *["1"] * 5), strict=True)]
    workbook.write_csv(path, elements([TEXT.key, NUMBER.key], *rows), (TEXT, NUMBER), ABOUT)
    with path.open(encoding="utf-8-sig", newline="") as file:
        stored = list(csv.reader(file))
    assert stored[0] == ["'=Note", "Price"]
    assert [row[0] for row in stored[1:]] == [
        "'=cmd|' /C calc'!A0", "'=1+1", "'+1+1", "'-1+1", "'@SUM(1)", "'=HYPERLINK(\"http://x\")",
        "''=1", "''", "'",
    ]  # fmt: skip
    assert [row[1] for row in stored[1:5]] == ["-5", "-5.5", "0", "5"]
    sheet = read_sheet(path)
    assert sheet.headers == ("=Note", "Price")
    assert [row[0] for row in table(sheet)] == list(CANONICAL)


@given(st.text(st.sampled_from("'=+-@ \t\nx1"), max_size=8))
def test_the_apostrophe_goes_as_it_came(text: str) -> None:
    marked = with_text_mark(text)
    assert without_text_mark(marked) == text
    assert marked.lstrip(" \t\r\n")[:1] not in ("=", "+", "-", "@")


def test_a_csv_of_others_keeps_its_formulas_as_text_and_loses_the_mark_only(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b"Code,Note\n1,=1+1\n2,'=1+1\n3,'quoted'\n4,5'\n5,'\n6,''-x\n")
    assert [row[1] for row in table(sheet)] == ["=1+1", "=1+1", "'quoted'", "5'", "'", "'-x"]
