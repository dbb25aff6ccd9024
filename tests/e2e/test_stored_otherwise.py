"""A catalog that stores what it is sent in another form: told, remembered, and never sent again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalogsync.api.auth import APIS
from tests.e2e.conftest import Start, catalog_of

FIELDS = (
    {"id": 1, "name": "Code", "type": "text"},
    {"id": 2, "name": "Price", "type": "numeric"},
    {"id": 3, "name": "Note", "type": "textarea"},
)
MAPPING = (
    "catalog: Products\nkey: Code\ncolumns: {Name: name, Code: Code, Price: {field: Price, decimal: .}, Note: Note}\n"
)


def _write(folder: Path, price: str, note: str) -> tuple[Path, Path]:
    sheet, mapping = folder / "s.csv", folder / "m.yaml"
    sheet.write_text(f"Name,Code,Price,Note\nChalk,A,{price},{note}\nPencil,B,2,short\n", encoding="utf-8")
    mapping.write_text(MAPPING, encoding="utf-8")
    return sheet, mapping


@pytest.mark.parametrize("api", APIS)
def test_a_rounded_number_is_told_once_and_the_next_plan_is_empty(
    api: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGSYNC_API", api)
    shell = start(catalog_of(FIELDS))
    shell.emulator.fault("normalise=round")
    sheet, mapping = _write(tmp_path, "1.2345", "short")

    assert shell("import", sheet, "-m", mapping, "--yes") == 0
    assert "The catalog stored these its own way: (1)\n  A: Price rounded: “1.2345” is stored as 1.23" in shell.out

    assert shell("import", sheet, "-m", mapping, "--yes") == 0
    assert shell.posts == []
    assert "rounded" not in shell.out
    assert "Nothing to do: 2 unchanged." in shell.out

    _write(tmp_path, "1.5", "short")  # a change of the sheet is sent all the same
    assert shell("import", sheet, "-m", mapping, "--yes") == 0
    assert [element["Price"] for element in shell.elements() if element["Code"] == ["A"]] == [["1.5"]]


@pytest.mark.parametrize("api", APIS)
def test_a_text_that_was_cut_is_told_every_time_and_not_sent_again(
    api: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGSYNC_API", api)
    shell = start(catalog_of(FIELDS))
    shell.emulator.fault("normalise=truncate")
    sheet, mapping = _write(tmp_path, "1", "x" * 300)

    assert shell("import", sheet, "-m", mapping, "--yes") == 0
    assert "The catalog lost a part of these: (1)" in shell.out
    assert "is stored as the first 255 of 300 characters" in shell.out

    for _ in range(2):
        assert shell("import", sheet, "-m", mapping, "--yes") == 0
        assert shell.posts == []
        told = "s.csv:2 (Note): the catalog stores only a part of it: the first 255 of 300 characters"
        assert told in shell.out
