"""Whole columns at a time come to what a cell at a time comes to."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync import columnwise, lookalikes
from catalogsync.celltext import CellError, clean_text
from catalogsync.fields import parse_column
from catalogsync.model import Column, Field
from catalogsync.numbertext import parse_number

letters = st.text("ab \x1f\u00e4", max_size=3)
blanks = st.text("a \t\r\n\x0b\x1c\x85\xa0\u2003\u2028\u3000\u200b\ufeff[", max_size=6)


def series(texts: list[str]) -> pd.Series:
    return pd.Series(texts, dtype="str")


@given(st.lists(letters), st.lists(letters, unique=True))
def test_places_are_those_of_a_search_one_by_one(wanted: list[str], held: list[str]) -> None:
    found = columnwise.places_of(series(wanted), pd.Index(held, dtype="str"))
    assert found.tolist() == [held.index(text) if text in held else -1 for text in wanted]
    assert columnwise.is_in(series(wanted), held).tolist() == [text in held for text in wanted]


def test_a_text_in_several_places_has_none() -> None:
    with pytest.raises(ValueError, match="several places"):
        columnwise.places_of(series(["a"]), series(["a", "a"]))


@given(st.lists(letters))
def test_repeats_are_counted_and_the_first_of_each_is_known(texts: list[str]) -> None:
    counts = Counter(texts)
    several, is_first = columnwise.repeats(series(texts))
    assert several.tolist() == [counts[text] > 1 for text in texts]
    assert is_first.tolist() == [texts.index(text) == place for place, text in enumerate(texts)]


@given(st.lists(blanks))
def test_a_column_of_texts_is_cleaned_as_each_text_is(texts: list[str]) -> None:
    given_texts = series(texts)
    made = columnwise.clean(given_texts)
    assert made.tolist() == [clean_text(text) for text in texts]
    assert (made is given_texts) == (made.tolist() == texts)


@given(st.lists(st.text("aB\u00df\u0430 -\t\x1f\u200b\u00a0", max_size=4), min_size=1))
def test_a_column_is_folded_as_each_text_is(texts: list[str]) -> None:
    assert lookalikes.folded_column(series(texts)).to_pylist() == lookalikes.folded(texts)


def test_a_column_in_several_parts_is_one() -> None:
    parts = pa.chunked_array([["a", "b"], ["a"]], pa.large_string())
    assert columnwise.arrow(pd.Series(pd.array(parts, dtype="str"))).to_pylist() == ["a", "b", "a"]
    assert columnwise.arrow(columnwise.column(parts.combine_chunks())).to_pylist() == ["a", "b", "a"]


def test_a_table_is_itself_where_all_rows_are_kept() -> None:
    table = pd.DataFrame({"a": [1, 2]})
    assert columnwise.kept(table, np.array([True, True])) is table
    assert columnwise.kept(table, np.array([False, True]))["a"].tolist() == [2]


numbers = st.sampled_from(
    "-0 0 007 0.50 0.00 -0.00 12.00 -12.00 100 .0 -0.5 -0.0 1. 1.0 .5 12 1,5 -12.30 -7 10 1e3 1\n".split(" ")
)


@given(st.lists(numbers | st.text("0123456789.,- e\n", max_size=7), min_size=1), st.sampled_from(["", ",", "."]))
def test_a_column_of_numbers_is_read_as_each_number_is(texts: list[str], decimal: str) -> None:
    column = Column("Price", Field(1, "Price", "price"), decimal=decimal)
    values, errors = parse_column(series(texts), column)
    expected, wrong = [], {}
    for text in texts:
        try:
            expected.append(parse_number(text, column) if text.strip() else "")
        except CellError as error:
            expected.append("")
            wrong[text] = error.what
    assert values.tolist() == expected
    assert {text: error.what for text, error in errors.items()} == wrong
