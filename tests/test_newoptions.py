"""New options of a plan: found in what is written, told, and replaced by their ids. Pure."""

from __future__ import annotations

from catalogsync import newoptions
from catalogsync.errors import Problem
from catalogsync.model import Add, AddedOptions, AddOptions, Delete, Update
from catalogsync.plan import Shown
from tests.builders import column, desired, field, made_plan, schema

COLUMNS = {
    "name": Shown("Product"),
    "1": Shown("Phone"),
    "6": Shown("Sizes", "multiselect", {"61": "S"}),
    "5": Shown("Colour", "select", {"51": "Red"}),
}
CHANGES = (
    Update(1, "A", 7, 101, 1101, {"5": "51", "1": ""}, {"5": "+Pink", "1": "+371 2000"}),
    Update(2, "B", 3, 102, 1102, {"6": "61"}, {"6": "61,+XL,+XS%2C wide"}),
    Add(3, "C", 2, {"name": "+Pink", "5": "+Grey", "6": "+XL"}),
    Delete(4, "D", 104, "+Pink", 1104, {"5": "+Pink"}),
)
ADDED = (AddedOptions(5, {"Pink": 53, "Grey": 54}), AddedOptions(6, {"XL": 7, "XS, wide": 64}, ("XL",)))


def test_options_are_needed_per_field_in_the_order_of_columns_and_rows() -> None:
    assert newoptions.needed(CHANGES, COLUMNS) == (
        AddOptions(6, ("XL", "XS, wide")),
        AddOptions(5, ("Grey", "Pink")),
    )
    assert newoptions.needed((), COLUMNS) == ()


def test_ids_take_the_place_of_stand_ins_in_option_fields_only() -> None:
    made = newoptions.with_ids(made_plan(*CHANGES, columns=COLUMNS), ADDED)
    assert made.changes == (
        Update(1, "A", 7, 101, 1101, {"5": "51", "1": ""}, {"5": "53", "1": "+371 2000"}),
        Update(2, "B", 3, 102, 1102, {"6": "61"}, {"6": "7,61,64"}),
        Add(3, "C", 2, {"name": "+Pink", "5": "54", "6": "7"}),
        CHANGES[3],
    )
    assert made.columns["6"] == Shown("Sizes", "multiselect", {"61": "S", "7": "XL", "64": "XS, wide"})
    assert newoptions.needed(made.changes, COLUMNS) == ()


def test_a_change_without_new_options_stays_the_same_object() -> None:
    plan = made_plan(*CHANGES, columns=COLUMNS)
    made = newoptions.with_ids(plan, ADDED[:1])
    assert [new is old for new, old in zip(made.changes, plan.changes, strict=True)] == [False, True, False, True]
    assert newoptions.with_ids(plan, ()) is plan


def test_rows_and_the_schema_get_the_ids_too() -> None:
    rows = desired(["1", "5"], {"A": ("+371", "+PINK"), "B": ("", "51")})
    assert newoptions.rows_with_ids(rows, ADDED).to_dict("list") == {
        "1": ["+371", ""],
        "5": ["53", "51"],
        "row": [2, 3],
    }
    enums = {each.id: each.enums for each in newoptions.schema_with(schema(), ADDED).fields}
    assert enums[5] == {51: "Red", 52: "Dark blue", 53: "Pink", 54: "Grey"}  # an id wins over what was known of it
    assert enums[6] == {61: "S", 62: "M", 63: "L", 7: "XL", 64: "XS, wide"}


def test_what_is_added_is_told_per_field() -> None:
    assert newoptions.told((AddOptions(5, ("Pink", "Grey")), AddOptions(9, ("x",))), COLUMNS) == [
        Problem("Colour", '"Pink", "Grey"'),
        Problem("9", '"x"'),
    ]


def test_a_new_option_that_looks_like_an_existing_one_is_told_where_it_first_stands() -> None:
    one = column("select", enums={51: "Red"}, unknown="add")
    columns = {one.key: Shown("Header", "select")}
    changes = (
        Add(1, "A", 9, {one.key: "+Redd"}),
        Add(2, "B", 4, {one.key: "+Redd"}),
        Add(3, "C", 5, {one.key: "+Octarine"}),
    )
    assert field("select").id == int(one.key)
    assert list(newoptions.look_alikes(changes, columns, [one], lambda row: f"a.csv:{row}")) == [
        Problem("a.csv:4 (Header)", '"Redd" becomes a new option', 'did you mean "Red"?')
    ]
