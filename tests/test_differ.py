"""Differ: what changes, what is left alone, and the properties that hold for every pair of tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync import model
from catalogsync.differ import diff
from catalogsync.matching import Match
from catalogsync.model import Add, Change, Column, Delete, Update
from tests.builders import FIELDS, columns_mapping, desired, existing, keys, table

CODE = Column("Code", FIELDS[0])
NAME = Column("Product", None)
PRICE = Column("Price", FIELDS[1])
SIZES = Column("Sizes", FIELDS[5])
CITY = Column("City", FIELDS[8], "city")
ZIP = Column("Zip", FIELDS[8], "zip")

NONE = keys()


def changes_of(
    wanted: pd.DataFrame, held: pd.DataFrame, mapping: model.Mapping, missing: pd.Index
) -> tuple[Change, ...]:
    """The changes without a base; there is nothing to clash with."""
    made = diff(Match.of(wanted, held), mapping, missing)
    assert made.clashes == ()
    return made.changes


def _price(wanted: str, held: str, **settings: Any) -> list[Mapping[str, str]]:
    """What an element's price becomes."""
    price = dataclasses.replace(PRICE, **settings)
    changes = changes_of(desired(["2"], {"A": [wanted]}), existing(["2"], {"A": [held]}), columns_mapping(price), NONE)
    return [change.after for change in changes if isinstance(change, Update)]


# --- each kind of change -------------------------------------------------------------------------------------


def test_updates_then_adds_then_deletes_numbered_from_one() -> None:
    wanted = desired(["1", "name", "2"], {"N": ["N", "New", "5"], "A": ["A", "Oak", "80"], "B": ["B", "Ash", ""]})
    held = existing(["1", "name", "2"], {"G": ["G", "Gone", "1"], "B": ["B", "Ash", "7"], "A": ["A", "Oak", "75"]})
    mapping = columns_mapping(CODE, NAME, PRICE, missing="delete")
    assert changes_of(wanted, held, mapping, keys("G")) == (
        Update(1, "A", 3, 103, 1103, {"2": "75"}, {"2": "80"}),
        Add(2, "N", 2, {"1": "N", "name": "New", "2": "5"}),
        Delete(3, "G", 101, "Gone", 1101, {"1": "G", "name": "Gone", "2": "1"}),
    )


def test_equal_tables_need_nothing() -> None:
    rows = {"A": ["A", "80"], "B": ["B", ""]}
    assert changes_of(desired(["1", "2"], rows), existing(["1", "2"], rows), columns_mapping(CODE, PRICE), NONE) == ()


@pytest.mark.parametrize("missing", ["keep", "delete", "set"])
def test_empty_tables_need_nothing(missing: model.Missing) -> None:
    mapping = columns_mapping(CODE, NAME, missing=missing)
    assert changes_of(desired(["1", "name"], {}), existing(["1", "name"], {}), mapping, NONE) == ()


def test_an_update_names_only_the_cells_that_differ() -> None:
    wanted = desired(["1", "name", "2"], {"A": ["A", "Oak", "80"]})
    held = existing(["1", "name", "2"], {"A": ["A", "Oak", "75"]})
    assert changes_of(wanted, held, columns_mapping(CODE, NAME, PRICE), NONE) == (
        Update(1, "A", 2, 101, 1101, {"2": "75"}, {"2": "80"}),
    )


def test_an_add_leaves_empty_cells_out() -> None:
    wanted = desired(["1", "name", "2"], {"A": ["A", "Oak", ""]})
    changes = changes_of(wanted, existing(["1", "name", "2"], {}), columns_mapping(CODE, NAME, PRICE), NONE)
    assert changes == (Add(1, "A", 2, {"1": "A", "name": "Oak"}),)


def test_an_unmapped_column_never_appears() -> None:
    wanted = desired(["1", "2"], {"A": ["A", "80"], "N": ["N", "5"]})
    held = existing(["1", "2", "12"], {"A": ["A", "75", "a note"], "G": ["G", "1", "a note"]})
    changes = changes_of(wanted, held, columns_mapping(CODE, PRICE, missing="set", missing_set={"2": "0"}), keys("G"))
    assert changes == (
        Update(1, "A", 2, 101, 1101, {"2": "75"}, {"2": "80"}),
        Add(2, "N", 3, {"1": "N", "2": "5"}),
        Update(3, "G", 0, 102, 1102, {"2": "1"}, {"2": "0"}),
    )


# --- blanks, owners ------------------------------------------------------------------------------------------


def test_blank_cell_with_keep_leaves_price_alone() -> None:
    assert _price("", "75", blank="keep") == []


def test_blank_cell_with_clear_empties_the_price() -> None:
    assert _price("", "75", blank="clear") == [{"2": ""}]


def test_blank_cell_with_clear_changes_nothing_where_nothing_is() -> None:
    assert _price("", "", blank="clear") == []


def test_a_filled_cell_fills_an_empty_one() -> None:
    assert _price("80", "") == [{"2": "80"}]


@pytest.mark.parametrize(("owner", "after"), [("both", [{"2": "80"}]), ("sheet", [{"2": "80"}]), ("crm", [])])
def test_a_column_that_the_crm_owns_is_never_sent(owner: model.Owner, after: list[Mapping[str, str]]) -> None:
    assert _price("80", "75", owner=owner) == after
    assert _price("", "75", owner=owner, blank="clear") == ([] if owner == "crm" else [{"2": ""}])


def test_an_add_leaves_out_what_the_crm_owns() -> None:
    mapping = columns_mapping(CODE, dataclasses.replace(PRICE, owner="crm"))
    changes = changes_of(desired(["1", "2"], {"A": ["A", "80"]}), existing(["1", "2"], {}), mapping, NONE)
    assert changes == (Add(1, "A", 2, {"1": "A"}),)


# --- several values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("multi", "blank", "wanted", "held", "after"),
    [
        ("replace", "keep", "61,62", "62,63", "61,62"),
        ("replace", "keep", "", "62", None),
        ("replace", "clear", "", "62", ""),
        ("merge", "keep", "61,62", "62,63", "61,62,63"),
        ("merge", "keep", "62", "62,63", None),
        ("merge", "keep", "61", "", "61"),
        ("merge", "clear", "", "62", None),
        ("remove", "keep", "61,62", "62,63", "63"),
        ("remove", "keep", "61", "62,63", None),
        ("remove", "keep", "62", "62", ""),
        ("remove", "keep", "62", "", None),
        ("remove", "clear", "", "62", None),
        ("merge", "keep", "100", "99", "99,100"),
    ],
)
def test_options_are_replaced_merged_or_removed(
    multi: model.Multi, blank: model.Blank, wanted: str, held: str, after: str | None
) -> None:
    mapping = columns_mapping(dataclasses.replace(SIZES, multi=multi, blank=blank))
    changes = changes_of(desired(["6"], {"A": [wanted]}), existing(["6"], {"A": [held]}), mapping, NONE)
    assert changes == (() if after is None else (Update(1, "A", 2, 101, 1101, {"6": held}, {"6": after}),))


@pytest.mark.parametrize(("multi", "values"), [("replace", {"6": "61"}), ("merge", {"6": "61"}), ("remove", {})])
def test_a_new_product_has_nothing_to_remove_options_from(multi: model.Multi, values: dict[str, str]) -> None:
    mapping = columns_mapping(dataclasses.replace(SIZES, multi=multi))
    changes = changes_of(desired(["6"], {"A": ["61"]}), existing(["6"], {}), mapping, NONE)
    assert changes == (Add(1, "A", 2, values),)


# --- composite fields ----------------------------------------------------------------------------------------

ADDRESS = ["1", "9.city", "9.zip", "9.state", "9.country", "10.name"]


def test_the_other_subtypes_of_a_changed_field_are_kept() -> None:
    wanted = desired(["1", "9.city", "9.zip"], {"A": ["A", "Tartu", ""]})
    held = existing(ADDRESS, {"A": ["A", "Riga", "1001", "", "LV", "Acme"]})
    assert changes_of(wanted, held, columns_mapping(CODE, CITY, ZIP), NONE) == (
        Update(1, "A", 2, 101, 1101, {"9.city": "Riga"}, {"9.city": "Tartu"}, {"9.zip": "1001", "9.country": "LV"}),
    )


def test_nothing_is_kept_for_a_field_that_does_not_change() -> None:
    wanted = desired(["1", "9.city", "2"], {"A": ["A", "Riga", "80"]})
    held = existing([*ADDRESS, "2"], {"A": ["A", "Riga", "1001", "", "LV", "Acme", "75"]})
    assert changes_of(wanted, held, columns_mapping(CODE, CITY, PRICE), NONE) == (
        Update(1, "A", 2, 101, 1101, {"2": "75"}, {"2": "80"}),
    )


# --- elements whose row is gone ------------------------------------------------------------------------------

GONE = {"A": ["A", "Oak", "1"], "B": ["B", "Ash", "0"], "C": ["C", "Elm", "1"]}


def _gone(*missing: str, **settings: Any) -> tuple[Change, ...]:
    mapping = columns_mapping(CODE, NAME, PRICE, **settings)
    return changes_of(desired(["1", "name", "2"], {}), existing(["1", "name", "2"], GONE), mapping, keys(*missing))


def test_a_missing_row_is_kept_deleted_or_set_as_the_mapping_says() -> None:
    assert _gone("A", missing="keep") == ()
    was = {"1": "A", "name": "Oak", "2": "1"}
    assert _gone("A", missing="delete") == (Delete(1, "A", 101, "Oak", 1101, was),)
    assert _gone("A", missing="set", missing_set={"2": "0"}) == (Update(1, "A", 0, 101, 1101, {"2": "1"}, {"2": "0"}),)


def test_only_what_is_listed_as_missing_is_deleted() -> None:
    assert [change.key for change in _gone("C", "A", "nowhere", missing="delete")] == ["A", "C"]
    assert _gone(missing="delete") == ()


def test_values_for_missing_elements_are_set_once() -> None:
    assert [change.key for change in _gone("A", "B", "C", missing="set", missing_set={"2": "0"})] == ["A", "C"]


def test_setting_one_subtype_of_a_missing_element_keeps_the_others() -> None:
    held = existing(ADDRESS, {"A": ["A", "Riga", "1001", "", "", "Acme"]})
    mapping = columns_mapping(CODE, CITY, missing="set", missing_set={"9.city": ""})
    assert changes_of(desired(["1", "9.city"], {}), held, mapping, keys("A")) == (
        Update(1, "A", 0, 101, 1101, {"9.city": "Riga"}, {"9.city": ""}, {"9.zip": "1001"}),
    )


# --- properties ----------------------------------------------------------------------------------------------

COLUMNS = ("1", "name", "2", "6", "9.city", "9.zip")
_CELL = st.sampled_from(["", "x", "y"])
_IDS = st.sets(st.sampled_from([61, 62, 63])).map(lambda ids: ",".join(map(str, sorted(ids))))
_ROW = st.tuples(_CELL, _CELL, _IDS, _CELL, _CELL)
_TABLE = st.dictionaries(st.sampled_from("ABCDEFG"), _ROW).map(
    lambda rows: {key: [key, *cells] for key, cells in rows.items()}
)
_BLANKS: tuple[model.Blank, ...] = ("keep", "clear")
_OWNERS: tuple[model.Owner, ...] = ("both", "both", "sheet", "crm")


@st.composite
def _mappings(draw: st.DrawFn) -> model.Mapping:
    others = [NAME, PRICE, SIZES, CITY, ZIP]
    blank, owner = st.sampled_from(_BLANKS), st.sampled_from(_OWNERS)
    settings = [dataclasses.replace(column, blank=draw(blank), owner=draw(owner)) for column in others]
    settings[2] = dataclasses.replace(settings[2], multi=draw(st.sampled_from(["replace", "merge", "remove"])))
    missing = draw(st.sampled_from(["keep", "delete", "set"]))
    values = {"2": "gone"} if missing == "set" else {}
    return columns_mapping(CODE, *settings, missing=missing, missing_set=values)


Catalog = dict[str, dict[str, str]]


def _catalog(rows: Mapping[str, Sequence[str]]) -> Catalog:
    return {key: dict(zip(COLUMNS, cells, strict=True)) for key, cells in rows.items()}


def _apply(changes: Sequence[Change], catalog: Catalog) -> Catalog:
    """What a catalog says afterwards. A composite field that is sent loses every subtype that is left out."""
    after = {key: dict(cells) for key, cells in catalog.items()}
    for change in changes:
        match change:
            case Add():
                after[change.key] = {**dict.fromkeys(COLUMNS, ""), **change.values}
            case Delete():
                del after[change.key]
            case Update():
                sent = {**change.kept, **change.after}
                fields = {key.partition(".")[0] for key in sent if "." in key}
                erased = {key: "" for key in COLUMNS if key.partition(".")[0] in fields}
                after[change.key] |= {**erased, **sent}
    return after


def _wanted(column: Column, wanted: str, held: str) -> str:
    """What a cell of an existing element should say, told without the differ."""
    if column.owner == "crm":
        return held
    if column.multi != "replace":
        ours, theirs = set(filter(None, wanted.split(","))), set(filter(None, held.split(",")))
        return ",".join(sorted(theirs | ours if column.multi == "merge" else theirs - ours))
    return held if not wanted and column.blank == "keep" else wanted


def _expected(wanted: Catalog, held: Catalog, mapping: model.Mapping) -> Catalog:
    made: Catalog = {}
    for key in {*wanted, *held}:
        if key in wanted and key in held:
            made[key] = {c.key: _wanted(c, wanted[key][c.key], held[key][c.key]) for c in mapping.columns}
        elif key in wanted:
            sent = {c.key for c in mapping.columns if c.owner != "crm" and c.multi != "remove"}
            made[key] = {name: text if name in sent else "" for name, text in wanted[key].items()}
        elif mapping.missing != "delete":
            made[key] = {**held[key], **mapping.missing_set}
    return made


def _missing(wanted: Mapping[str, object], held: Mapping[str, object]) -> pd.Index:
    return keys(*(key for key in held if key not in wanted))


@given(_TABLE, _TABLE, _mappings())
def test_applying_the_changes_gives_what_the_sheet_says_and_then_nothing_is_left(
    wanted: dict[str, list[str]], held: dict[str, list[str]], mapping: model.Mapping
) -> None:
    gone = _missing(wanted, held)
    changes = changes_of(desired(COLUMNS, wanted), existing(COLUMNS, held), mapping, gone)
    after = _apply(changes, _catalog(held))
    assert after == _expected(_catalog(wanted), _catalog(held), mapping)
    rows = {key: [cells[name] for name in COLUMNS] for key, cells in after.items()}
    assert changes_of(desired(COLUMNS, wanted), existing(COLUMNS, rows), mapping, _missing(wanted, rows)) == ()


@given(_TABLE, _TABLE, _mappings())
def test_a_change_lists_only_cells_that_differ(
    wanted: dict[str, list[str]], held: dict[str, list[str]], mapping: model.Mapping
) -> None:
    catalog = _catalog(held)
    changes = changes_of(desired(COLUMNS, wanted), existing(COLUMNS, held), mapping, _missing(wanted, held))
    assert [change.op for change in changes] == list(range(1, len(changes) + 1))
    assert len({change.key for change in changes}) == len(changes)
    for change in changes:
        if isinstance(change, Update):
            assert change.after
            assert change.before.keys() == change.after.keys()
            assert all(change.before[name] == catalog[change.key][name] != text for name, text in change.after.items())
            assert not change.kept.keys() & change.after.keys()
        if isinstance(change, Add):
            assert "" not in change.values.values()


def _essence(changes: Sequence[Change]) -> dict[str, Change]:
    """The changes by key, less what depends on the order of rows."""
    return {
        change.key: dataclasses.replace(change, op=0)
        if isinstance(change, Delete)
        else dataclasses.replace(change, op=0, row=0)
        for change in changes
    }


@given(_TABLE, _TABLE, _mappings(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_does_not_matter(
    wanted: dict[str, list[str]], held: dict[str, list[str]], mapping: model.Mapping, random: Any
) -> None:
    left, right = desired(COLUMNS, wanted), existing(COLUMNS, held)

    def shuffled(made: pd.DataFrame) -> pd.DataFrame:
        rows, names = list(range(len(made))), list(made.columns)
        random.shuffle(rows)
        random.shuffle(names)
        return made.iloc[rows][names]

    columns = list(mapping.columns)
    random.shuffle(columns)
    other = dataclasses.replace(mapping, columns=tuple(columns))
    gone = _missing(wanted, held)
    assert _essence(changes_of(left, right, mapping, gone)) == _essence(
        changes_of(shuffled(left), shuffled(right), other, gone[::-1])
    )


def test_the_tables_are_not_changed() -> None:
    left, right = desired(["1"], {"A": ["A"]}), existing(["1"], {"B": ["B"]})
    changes_of(left, right, columns_mapping(CODE), NONE)
    assert left.equals(table(["1"], {"A": ["A"]}, row=[2]))
    assert right.equals(table(["1"], {"B": ["B"]}, id=[101], updated_at=[1101]))
