"""Text that looks like a formula: as it was typed in the catalog, in an export, and in the import of that export."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter

from tests.e2e.conftest import Start, catalog_of

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
