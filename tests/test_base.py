"""Base: to disk and back, what a run adds to it, and files that are not what they should be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync import base as bases
from catalogsync.base import Base, Written
from catalogsync.errors import UserError
from tests.test_three_way import known

BASE = known(["1", "2"], {7: ["A", "cut"], 8: ["B", None], 9: ["C", ""]}, {7: ["A", "cut text"], 8: ["B", None]})


def cells(base: Base) -> list[list[object]]:
    """Per element: id, key, then what the sheet said and the catalog held in each column."""
    columns = [side[name] for name in base.crm for side in (base.sheet, base.crm)]
    found = zip(base.ids, base.keys, *columns, strict=True)
    return [[None if pd.isna(cell) else cell for cell in row] for row in found]


# --- on disk -------------------------------------------------------------------------------------------------


def test_a_base_is_the_same_after_disk(tmp_path: Path) -> None:
    path = bases.path_of(tmp_path / "base", 1, 2, "products")
    bases.save(BASE, path)
    loaded, lack = bases.load(path)
    assert loaded is not None
    assert lack == ""
    assert loaded.equals(BASE)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


_TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_ROW = st.lists(st.tuples(_TEXT, _TEXT), min_size=2, max_size=2)


@given(rows=st.dictionaries(st.integers(1, 2**62), _ROW, max_size=5))
def test_any_base_is_the_same_after_disk(rows: dict[int, list[tuple[str | None, str | None]]], tmp_path: Path) -> None:
    pairs = {id_: [(None, None) if None in cell else cell for cell in row] for id_, row in rows.items()}
    crm = {str(n): [row[n][0] for row in pairs.values()] for n in range(2)}
    sheet = {str(n): [row[n][1] for row in pairs.values()] for n in range(2)}
    base = Base.of(list(rows), [f"K{id_}" for id_ in rows], crm, sheet)
    bases.save(base, tmp_path / "base")
    loaded, _ = bases.load(tmp_path / "base")
    assert loaded is not None
    assert loaded.equals(base)


def test_an_empty_base_is_no_absent_one(tmp_path: Path) -> None:
    bases.save(Base.empty(), tmp_path / "base")
    loaded, lack = bases.load(tmp_path / "base")
    assert loaded is not None
    assert (len(loaded.ids), lack) == (0, "")
    assert bases.load(tmp_path / "nothing") == (None, bases.ABSENT)


def test_a_damaged_file_is_told_from_an_absent_one_wherever_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "base"
    bases.save(BASE, path)
    whole = path.read_bytes()
    cut = [whole[:size] for size in range(0, len(whole), 17)]
    flipped = [whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :] for n in range(0, len(whole), 17)]
    for content in [*cut, *flipped, whole + b"x", b"SQLite format 3\0"]:
        path.write_bytes(content)
        assert bases.load(path) == (None, bases.DAMAGED)
    path.unlink()
    path.mkdir()
    assert bases.load(path) == (None, bases.DAMAGED)


def test_what_both_sides_said_alike_is_stored_once(tmp_path: Path) -> None:
    texts = [f"text {n * 7919 % 100_003}" for n in range(20_000)]
    ids = list(range(len(texts)))
    other = ["cut", *texts[1:]]
    sizes = []
    for sheet in (texts, other, texts[::-1]):
        bases.save(Base.of(ids, texts, {"1": texts}, {"1": sheet}), tmp_path / "base")
        sizes.append((tmp_path / "base").stat().st_size)
    assert sizes[1] < sizes[0] * 1.1
    assert sizes[2] > sizes[0] * 1.2


def test_a_failure_while_writing_leaves_the_old_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "base"
    bases.save(BASE, path)

    def fail(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(UserError, match=r"base: cannot be written \(no space left\)"):
        bases.save(Base.empty(), path)
    loaded, _ = bases.load(path)
    assert loaded is not None
    assert loaded.equals(BASE)
    assert [entry.name for entry in tmp_path.iterdir()] == ["base"]


NAMES = ["products", "Products", "a/b", "a-b", "a b", "..", "", "товары", "товары2", "con", "a\0b"]
NAMES += ["x" * 300, "x" * 301]


def test_every_mapping_name_has_a_file_of_its_own_that_any_system_can_name(tmp_path: Path) -> None:
    paths = [bases.path_of(tmp_path, 1, 2, name) for name in NAMES]
    paths += [bases.path_of(tmp_path, 12, 2, "products"), bases.path_of(tmp_path, 1, 22, "products")]
    names = [path.name for path in paths]
    assert len({name.lower() for name in names}) == len(names)
    assert all(path.parent == tmp_path for path in paths)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,99}", name) for name in names)


# --- after writing -------------------------------------------------------------------------------------------


def test_written_cells_replace_what_was_known_and_the_others_stay() -> None:
    made = BASE.patched([Written(8, "B", {"2": "80"}, {"2": "80.5"})])
    assert cells(made) == [
        [7, "A", "A", "A", "cut text", "cut"],
        [8, "B", "B", "B", "80", "80.5"],
        [9, "C", "C", "C", "", ""],
    ]


def test_added_elements_and_columns_are_appended_and_deleted_ones_dropped() -> None:
    added = Written(20, "N", {"1": "N", "5": "x"}, {"1": "N", "5": "x"})
    made = BASE.patched([added, Written(7, "A", {}, {}, is_gone=True)])
    assert cells(made) == [
        [8, "B", "B", "B", None, None, None, None],
        [9, "C", "C", "C", "", "", None, None],
        [20, "N", "N", "N", None, None, "x", "x"],
    ]


def test_an_added_element_takes_the_key_over_from_one_that_is_gone() -> None:
    made = BASE.patched([Written(20, "A", {"1": "A"}, {"1": "A"})])
    assert [(row[0], row[1]) for row in cells(made)] == [(8, "B"), (9, "C"), (20, "A")]


@pytest.mark.parametrize("results", [[], [Written(99, "Z", {}, {}, is_gone=True)]])
def test_nothing_written_changes_nothing(results: Sequence[Written]) -> None:
    assert BASE.patched(results).equals(BASE)


def test_a_base_can_begin_with_what_was_written() -> None:
    made = Base.empty().patched([Written(20, "A", {"1": "A"}, {"1": "A"}), Written(21, "B", {}, {})])
    assert cells(made) == [[20, "A", "A", "A"], [21, "B", None, None]]
    again = made.patched(iter([Written(21, "B", {"1": "x"}, {"1": "x"}), Written(21, "B", {"1": "y"}, {"1": "y"})]))
    assert cells(again)[1] == [21, "B", "y", "y"]


def test_cells_of_elements_that_it_does_not_know_are_unknown() -> None:
    said, knew = BASE.cells("2", pd.Index([9, 1, 7])) or ([], [])
    assert [None if pd.isna(text) else text for text in said] == ["", None, "cut text"]
    assert [None if pd.isna(text) else text for text in knew] == ["", None, "cut"]
    assert BASE.cells("77", pd.Index([9])) is None
