"""Text that looks like a formula: as it was typed in the catalog, in an export, and in the import of that export."""

from __future__ import annotations

import csv
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter

from tests.e2e.conftest import Start, catalog_of
from tests.roundtrip import needs_libreoffice, saved_by_libreoffice

TEXTS = ("=1+1", "=cmd|' /C calc'!A0", "+380 44 123", "-5", "@home", "'=1", "-")
MAPPING = "catalog: 4220\nkey: code\ncolumns: {code: Code, name: name, note: =Note}\n"


@pytest.mark.parametrize("export_ending", [".csv", ".xlsx"])
@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_text_that_looks_like_a_formula_comes_and_goes_as_it_was_typed(
    ending: str, export_ending: str, start: Start, tmp_path: Path
) -> None:
    shell = start(catalog_of([{"name": "Code", "type": "text"}, {"name": "=Note", "type": "text"}]))
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    sheet = tmp_path / f"sheet{ending}"
    rows = [("code", "name", "note"), *((f"A{number}", text, text) for number, text in enumerate(TEXTS))]
    if ending == ".csv":
        lines = [";".join(cell.replace("'=1", "''=1") if cell == "'=1" else cell for cell in row) for row in rows]
        sheet.write_text("\n".join(lines), encoding="utf-8")
    else:
        with xlsxwriter.Workbook(sheet, {"strings_to_formulas": False}) as book:
            tab = book.add_worksheet()
            for number, row in enumerate(rows):
                for column, text in enumerate(row):
                    tab.write_string(number, column, text)
    assert shell("import", sheet, "-m", tmp_path / "mapping.yaml", "--yes") == 0, shell.err
    assert {(element["name"], element["=Note"][0]) for element in shell.elements()} == {(text, text) for text in TEXTS}
    out = tmp_path / f"out{export_ending}"
    assert shell("export", "4220", out, "-m", tmp_path / "mapping.yaml") == 0
    assert shell.plan(out, "-m", tmp_path / "mapping.yaml")["changes"] == []


@needs_libreoffice
@pytest.mark.timeout(300)
def test_text_that_looks_like_a_formula_is_text_in_every_workbook_also_after_libreoffice(
    start: Start, tmp_path: Path
) -> None:
    """The export, the review and the marked copy, saved again and as CSV: no cell is calculated."""
    elements = [{"name": text, "values": {"Code": f"A{n}", "=Note": text}} for n, text in enumerate(TEXTS)]
    fields = [{"name": "Code", "type": "text"}, {"name": "=Note", "type": "text"}, {"name": "Price", "type": "price"}]
    shell = start(catalog_of(fields, elements))
    mapping, sheet = tmp_path / "mapping.yaml", tmp_path / "sheet.csv"
    columns = "{code: Code, name: name, note: =Note, price: Price}"
    mapping.write_text(f"catalog: 4220\nkey: code\ncolumns: {columns}\n", encoding="utf-8")
    lines = [f"A{n};'{text};'{text}!;1" for n, text in enumerate(TEXTS)]
    bad = [f"B{n};x;'{text};'{text}" for n, text in enumerate(TEXTS)]
    sheet.write_text("\n".join(["code;name;note;price", *lines, *bad]), encoding="utf-8")
    books = [tmp_path / f"{name}.xlsx" for name in ("export", "review", "marked")]

    assert shell("export", "4220", books[0], "-m", mapping) == 0
    assert shell("plan", sheet, "-m", mapping, "--out", books[1]) == 3
    assert shell("validate", sheet, "-m", mapping, "--out", books[2]) == 3

    for path in [*books, *saved_by_libreoffice(*books)]:
        book = openpyxl.load_workbook(path)
        kinds = {cell.data_type for tab in book for row in tab.iter_rows() for cell in row}
        assert kinds <= {"s", "n", "inlineStr"}, path
        book.close()
    [as_csv] = saved_by_libreoffice(books[0], to="csv")
    with as_csv.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert {(row[1], row[2]) for row in rows[1:]} == {(text, text) for text in TEXTS}
