"""The quick look at a tab's XML: never says less than a parser finds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync.errors import SheetError
from catalogsync.reader import archive, column_letter, read_sheet, tablook
from catalogsync.reader.books import Budget, exact_size
from catalogsync.reader.tablook import TabLook
from tests.reader_files import worksheet, zip_xlsx

NO_TEXTS = np.zeros(0, dtype=np.int64)
TAGS = [
    '<c r="{}">',
    '<c r="{}" s="1">',
    "<c r='{}'>",
    '<c s="1" r="{}">',
    '<c\nr="{}">',
    '<c r = "{}">',
    '<c s="1"  r ="{}" >',
    '<c r="{}" xr="ZZ9">',
    '<c r="{}" x:r="ZZ9">',
]
TEXTS = ["1", "a r=", ' r="B2" ', "&lt;c ", "x = y", ":c ", "<!-- <c r='A1'> -->7"]
CELLS = st.lists(
    st.tuples(st.integers(1, 1200), st.integers(0, 800), st.sampled_from(TAGS), st.sampled_from(TEXTS)), max_size=12
)


def looked_at(xml: bytes, piece_bytes: int) -> TabLook:
    look = TabLook({}, NO_TEXTS, 100)
    for start in range(0, len(xml), piece_bytes):
        look.see(xml[start : start + piece_bytes])
    look.see(b"")
    return look


@settings(deadline=None)
@given(st.lists(CELLS, max_size=4), st.booleans(), st.integers(40, 400))
def test_the_quick_look_finds_as_many_cells_and_as_far_out_as_a_parser(
    rows: list[list[tuple[int, int, str, str]]], is_usual: bool, piece_bytes: int
) -> None:
    if is_usual:
        rows = [[(column, row, TAGS[row % 2], TEXTS[0]) for column, row, *_ in cells] for cells in rows]
    written = "".join(
        f'<row r="{number}">'
        + "".join(
            tag.format(f"{column_letter(column)}{row + 1}") + f"<v>{text}</v></c>" for column, row, tag, text in cells
        )
        + "</row>"
        for number, cells in enumerate(rows, start=1)
    )
    xml = worksheet(written).replace("<worksheet ", '<worksheet xmlns:x="y" ').encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tablook, "_STRETCH_BYTES", piece_bytes)
        patch.setattr(tablook, "_HEAD_BYTES", 200)
        size = looked_at(xml, piece_bytes).size
    exact = exact_size(io.BytesIO(xml), NO_TEXTS, Budget("a tab"))
    if is_usual:
        assert size == exact
    elif size is not None:  # an unusual one is parsed
        assert size[0] >= exact[0]


def test_cells_beyond_number_are_not_noted_before_they_are_counted() -> None:
    cells = "".join(f'<c r="A{row}" t="e"><v>#N/A</v></c>' for row in range(1, 121))
    xml = worksheet(f"<row>{cells}</row>").encode()
    look = looked_at(xml, 64)
    assert (look.size, look.marks) == (None, None)
    alone = TabLook({}, NO_TEXTS, None)
    alone.see_all(io.BytesIO(xml))
    assert (alone.size, alone.marks and len(alone.marks.errors)) == (None, 120)


@pytest.mark.parametrize("second", ['r="XFD1048576"', 'r ="XFD1048576"', "r='XFD1048576'", '\nr="XFD1048576"'])
@pytest.mark.parametrize("row", ['<row r="1">', "<row>"])
def test_a_cell_with_two_names_is_refused_before_it_is_read(tmp_path: Path, row: str, second: str) -> None:
    cells = f'{row}<c r="A1"><v>1</v></c></row>' * 3 + f'{row}<c r="A2" {second}><v>2</v></c></row>'
    with pytest.raises(SheetError, match="damaged"):
        read_sheet(zip_xlsx(tmp_path / "prices.xlsx", worksheet(cells)))


def test_a_document_type_that_unpacks_byte_by_byte_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_PIECE_BYTES", 1)
    xml = '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "c">]>' + worksheet('<row r="1"><c r="A1"><v>1</v></c></row>')
    with pytest.raises(SheetError, match="declares a document type"):
        read_sheet(zip_xlsx(tmp_path / "prices.xlsx", xml))
