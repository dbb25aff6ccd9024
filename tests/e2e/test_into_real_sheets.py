"""`export --into` with the real workbooks of the neighbouring folder: only what colleagues changed is patched."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from catalogsync.reader.xlsx import tab_part
from tests.e2e.conftest import MAPPINGS, SHEETS, Shell, Start, catalog_of, needs_sheets
from tests.test_sheets_as_they_are import CASES, TYPES, Case

pytestmark = [needs_sheets, pytest.mark.timeout(400)]

FIELDS = [{"id": id_, "name": name, "type": type_} for id_, (name, type_) in enumerate(TYPES.items(), start=101)]
LARGE = {"datalogic_xlsx", "super_text", "prom"}
WORKBOOKS = [
    pytest.param(case, marks=[pytest.mark.slow, pytest.mark.timeout(600)] if case.mapping in LARGE else [])
    for case in CASES
    if case.sheet.endswith(".xlsx")
]
EDITED = 25


def edited(element: dict[str, Any], key_fields: set[str]) -> dict[int | str, object]:
    """What a colleague makes of an element: other numbers and texts, a box ticked or not, one value cleared."""
    values: dict[int | str, object] = {}
    for name, type_ in TYPES.items():
        if name in key_fields:
            continue
        old = element.get(name, [""])[0]
        if type_ == "numeric":
            values[name] = str(Decimal(str(old or 0)) + Decimal("10.25"))
        elif type_ == "checkbox":
            values[name] = str(old) not in ("1", "True")
        elif type_ in ("text", "textarea") and old:
            values[name] = f"{old} & <new>"
    return values


def without_cells(xml: bytes, names: set[str]) -> bytes:
    """A worksheet less some cells: with a plain search, not as the patcher finds them."""
    for name in names:
        xml = re.sub(rb'<(?:x:)?c r="%b"(?:[^>]*/>|.*?</(?:x:)?c>)' % name.encode(), b"", xml, flags=re.S)
    return xml


def parts_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as book:
        return {name: book.read(name) for name in book.namelist()}


def take(shell: Shell, book: Path, mapping: Path) -> tuple[int, Any]:
    code = shell("export", "Products", "--into", book, "-m", mapping, "--json")
    assert {arrival.method for arrival in shell.sent} <= {"GET"}
    assert shell.out, shell.err
    return code, json.loads(shell.out)


@pytest.mark.parametrize("case", WORKBOOKS, ids=lambda case: str(case.mapping))
def test_what_was_changed_in_the_crm_is_patched_and_no_other_byte_of_the_workbook(
    case: Case, start: Start, tmp_path: Path
) -> None:
    shell = start(catalog_of(FIELDS))
    book, mapping = tmp_path / case.sheet, MAPPINGS / f"{case.mapping}.yaml"
    shutil.copyfile(SHEETS / case.sheet, book)
    code = 3 if case.rejected else 0
    assert shell("import", book, "-m", mapping, "--yes") == code, shell.out + shell.err
    _, nothing = take(shell, book, mapping)
    assert [cell for cell in nothing["patched"] if cell["before"]] == []

    key = mapping.read_text(encoding="utf-8")
    key_fields = {"Code", "Description"} if "key: [[" in key or "Code" in key else {"name"}
    elements = shell.elements()
    chosen = elements[:: max(1, len(elements) // EDITED)]
    for element in chosen:
        shell.emulator.store.edit_as_other_user(element["id"], values=edited(element, key_fields))
    before = parts_of(book)

    exit_code, taken = take(shell, book, mapping)

    assert exit_code == code
    after = parts_of(book)
    with zipfile.ZipFile(book) as archive:
        tab = taken["patched"][0]["address"].split("!")[1]
        part = tab_part(archive, tab)
    names = {cell["address"].split("!")[2].split(" ")[0] for cell in taken["patched"]}
    changed = {name for name in before if before[name] != after[name]}
    assert list(before) == list(after)
    assert changed == {part} | ({"xl/workbook.xml"} if taken["calculated_again"] else set())
    assert without_cells(before[part], names) == without_cells(after[part], names)
    assert len(names) == len(taken["patched"]) >= len(chosen) // 2
    assert {cell["why"] for cell in taken["left"]} <= {"formula", "fill", "covered", "agreed"}

    plan = shell.plan(book, "-m", mapping)
    assert plan["changes"] == []
    assert len([clash for clash in plan["clashes"] if clash["kind"] != "kept"]) == 0
    left = [cell for cell in taken["left"] if cell["why"] != "agreed"]
    assert len(plan["clashes"]) == len(left)
    assert take(shell, book, mapping)[1]["patched"] == []
