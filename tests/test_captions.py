"""Captions of options: which one a label means, and stand-ins for those that do not exist yet."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync import captions, fields
from catalogsync.celltext import CellError
from tests.builders import column

words = st.text(max_size=12)
options = st.one_of(st.integers(0, 10**9).map(str), words.map(captions.stand_in))


@pytest.mark.parametrize(
    "label", ["Salt & pepper", "salt  &\u00a0PEPPER", "Salt &amp; pepper", " Salt\t& pepper ", "SALT & PEPPER"]
)
def test_a_label_folds_to_what_people_mean_by_it(label: str) -> None:
    assert captions.folded(label) == "salt & pepper"


def test_an_accent_is_the_same_however_it_is_stored() -> None:
    assert captions.folded("Cafe\u0301") == captions.folded("CAFÉ")
    assert captions.alike("Cafe\u0301", {7: "café"}) == (7,)


@given(words)
def test_a_stand_in_names_its_caption_and_is_one_option_whatever_stands_in_it(label: str) -> None:
    option = captions.stand_in(label)
    assert captions.is_stand_in(option)
    assert captions.split(option) == [option]
    assert captions.caption_of(option) == " ".join(label.split())


@given(st.lists(options, max_size=6))
def test_options_are_joined_in_one_way_and_come_apart_again(some: list[str]) -> None:
    text = captions.joined(some)
    assert captions.joined(reversed(some)) == text
    assert captions.split(text) == list(dict.fromkeys(captions.split(text)))
    assert set(captions.split(text)) == set(some)


def test_ids_come_first_by_number_then_stand_ins_by_text() -> None:
    assert captions.joined(["+b", "100", "+a", "9", "+b"]) == "9,100,+a,+b"


def test_stand_ins_that_differ_by_case_and_blanks_only_become_the_first_of_them() -> None:
    assert list(captions.unified(["+Purple", "5,+PURPLE,+purple", "+red", "", "7"])) == [
        "+Purple",
        "5,+Purple",
        "+red",
        "",
        "7",
    ]


def test_ids_take_the_place_of_stand_ins_by_folded_caption_and_the_rest_stays() -> None:
    ids = {"xs, wide": 7, "red": 9}
    assert captions.with_ids("41,+XS%2C wide,+Blue,+RED", ids) == "7,9,41,+Blue"
    assert captions.with_ids("+371 2000", {}) == "+371 2000"


# --- in a column ---


def parsed(one: object, *cells: str) -> list[str]:
    values, errors = fields.parse_column(pd.Series(list(cells), dtype="str"), one)  # type: ignore[arg-type]
    assert errors == {}
    return list(values)


def test_with_unknown_add_a_label_that_is_no_option_stands_for_a_new_one() -> None:
    one = column("select", enums={51: "Red"}, unknown="add", labels={"Crimson": "51", "Violet": "+Purple"})
    cells = ("red", "Crimson", "crimson ", "Violet", "PURPLE", "2024", "51", "")
    assert parsed(one, *cells) == ["51", "51", "51", "+Purple", "+Purple", "+2024", "51", ""]


def test_the_new_options_of_a_cell_are_each_there_once() -> None:
    one = column("multiselect", enums={61: "S"}, unknown="add")
    assert parsed(one, "XL; s ;xl;  Very   large", "XL") == ["61,+Very large,+XL", "+XL"]


@pytest.mark.parametrize("unknown", ["error", "skip", "add"])
def test_a_label_that_means_two_options_is_refused_with_both_of_them(unknown: str) -> None:
    one = column("select", enums={51: "Red", 52: "RED "}, unknown=unknown)
    _, errors = fields.parse_column(pd.Series(["red"], dtype="str"), one)
    assert errors["red"].what == '"red" names 2 options: "Red" (51), "RED" (52)'
    assert parsed(one, "Red", "RED") == ["51", "52"]


def test_labels_of_the_mapping_that_fold_alike_but_mean_different_options_are_refused() -> None:
    one = column("select", enums={51: "Red", 52: "Blue"}, labels={"rot": "51", "ROT": "52"})
    _, errors = fields.parse_column(pd.Series(["Rot"], dtype="str"), one)
    assert errors["Rot"].what == '"Rot" names 2 options: "Red" (51), "Blue" (52)'


def test_what_was_meant_is_found_whatever_the_case_and_among_the_mappings_labels() -> None:
    one = column("select", enums={51: "Dark blue"}, labels={"Crimson": "51"})
    assert fields.near_option("DARK BLEU", one) == "Dark blue"
    assert fields.near_option("crimsn", one) == "Crimson"
    assert fields.near_option("x" * 5000, one) == ""


def test_a_flood_of_unknown_labels_is_told_in_bounded_time() -> None:
    """What was meant is looked for a hundred times, not once for each label: no clock, but counted."""
    one = column("select", enums={n: f"Option number {n}" for n in range(1000)})
    sought: list[str] = []
    near = captions.near

    def counted(label: str, known: object) -> str:
        sought.append(label)
        return near(label, known) if len(sought) < 3 else ""  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captions, "near", counted)  # counts only
        cells = [f"Optoin number {n % 3000}" for n in range(6000)]
        _, errors = fields.parse_column(pd.Series(cells, dtype="str"), one)
    assert (len(errors), len(sought)) == (3000, 100)
    assert errors["Optoin number 1"].hint == 'did you mean "Option number 1"?'
    assert errors["Optoin number 2999"].hint.startswith("options: Option number 0, ")
    assert all(isinstance(error, CellError) for error in errors.values())
