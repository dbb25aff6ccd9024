"""The values that an exported workbook carries: as they were, or refused as a whole."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.carried import Carried, DamagedValues, lines_of, values_in
from catalogsync.model import Column, Field

NAME = Column("Product", None)
CODE = Column("Code", Field(1, "Code", "text"))
COLOUR = Column("Colour", Field(2, "Colour", "select", enums={11: "Red", 12: "Blue"}))
COLUMNS = (CODE, NAME, COLOUR)
FACTS: dict[str, Any] = {"account_id": 30001, "catalog_id": 4220, "made_at": 1_800_000_000}


def table(rows: list[tuple[int, str, str, str]]) -> pd.DataFrame:
    ids, *texts = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = {column.key: pd.array(list(some), dtype="str") for column, some in zip(COLUMNS, texts, strict=True)}
    return pd.DataFrame({"id": list(ids), **columns})


def said(carried: Carried) -> list[Any]:
    return list(carried.values.itertuples(name=None))


def packed(*lines: Any, checksum: str | None = None) -> list[str]:
    """The cells of a tab with these JSON lines, and a checksum that fits them."""
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    head = f"catalogsync values 1 {checksum or hashlib.sha256(content).hexdigest()}"
    return [head, base64.b64encode(zlib.compress(content)).decode()]


def bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


ABOUT = {**FACTS, "is_part": False, "captions": {}, "keys": ["1"]}
CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(st.integers(1, 2**53), CHARACTERS, CHARACTERS, CHARACTERS), unique_by=lambda row: row[0]))
def test_what_is_carried_is_what_was_there(rows: list[tuple[int, str, str, str]]) -> None:
    made = values_in(lines_of(table(rows), COLUMNS, **FACTS))
    assert said(made) == rows
    assert list(made.values.columns) == ["1", "name", "2"]
    assert (made.account_id, made.catalog_id, made.made_at, made.is_part) == (30001, 4220, 1_800_000_000, False)
    assert made.captions == {"2": {11: "Red", 12: "Blue"}}


def test_many_rows_go_in_pieces_that_cells_hold() -> None:
    rows = [(n, hashlib.sha256(b"%d" % n).hexdigest(), f"Product {n}", "11") for n in range(1, 9001)]
    lines = lines_of(table(rows), COLUMNS, **FACTS)
    assert len(lines) > 10
    assert max(map(len, lines)) <= 32_000
    assert said(values_in(lines)) == rows


def test_an_export_has_the_name_of_what_it_carries() -> None:
    rows = [(1, "7", "Oak", "11")]
    names = {
        values_in(lines_of(table(rows), COLUMNS, **FACTS)).export,
        values_in(lines_of(table(rows), COLUMNS, **FACTS)).export,
        values_in(lines_of(table([(1, "7", "Ash", "11")]), COLUMNS, **FACTS)).export,
        values_in(lines_of(table(rows), COLUMNS, **{**FACTS, "made_at": 1_800_000_001})).export,
    }
    assert len(names) == 3


@given(st.data())
def test_one_changed_character_is_noticed_where_it_changes_anything(data: st.DataObject) -> None:
    rows = [(1, "7", "Oak", "11"), (2, "8", "Ash", "")]
    lines = lines_of(table(rows), COLUMNS, **FACTS)
    line = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[line]) - 1))
    other = data.draw(st.sampled_from("Ab7+/= "))
    changed = [*lines]
    changed[line] = f"{lines[line][:place]}{other}{lines[line][place + 1 :]}"
    try:
        found = said(values_in(changed))
    except DamagedValues:
        found = []
    means_the_same = changed[0] == lines[0] and bytes_of(changed[1]) == bytes_of(lines[1])  # the last bits are idle
    assert found == (rows if means_the_same else [])


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ["catalogsync values 1 0"],
        packed(),
        packed(ABOUT, [[1], ["a"]], checksum="0" * 64),
        packed(ABOUT, [[1, 2], ["a"]]),
        packed(ABOUT, [[1], ["a"], ["b"]]),
        packed(ABOUT, [[1, 1], ["a", "b"]]),
        packed(ABOUT, [[1], [None]]),
        packed(ABOUT, [[1], [5]]),
        packed(ABOUT, [["x"], ["a"]]),
        packed(ABOUT, [[10**30], ["a"]]),
        packed(ABOUT, [[1], ["\ud800"]]),
        packed(ABOUT, 5),
        packed({**ABOUT, "captions": []}),
        packed({**ABOUT, "account_id": "many"}),
        packed([]),
        packed({**ABOUT, "keys": ["1", "1"]}, [[1], ["a"], ["b"]]),
    ],
)  # fmt: skip
def test_what_no_export_wrote_is_refused(lines: list[str]) -> None:
    with pytest.raises(DamagedValues):
        values_in(lines)


def test_values_that_unpack_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalogsync.carried._MOST_BYTES", 4 << 20)
    blocks = [[[n], ["x" * 1_000_000]] for n in range(1, 8)]
    with pytest.raises(DamagedValues):
        values_in(packed(ABOUT, *blocks))
    assert len(values_in(packed(ABOUT, *blocks[:3])).values) == 3
