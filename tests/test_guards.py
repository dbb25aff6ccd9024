"""Guards: ceilings as counts and percentages, at and beside their boundaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.errors import Problem
from catalogsync.guards import exceeded
from catalogsync.model import Ceiling


def _refused(counts: dict[str, int], existing_count: int, **ceilings: str) -> list[str]:
    made = {kind: Ceiling.parse(text) for kind, text in ceilings.items()}
    return [problem.where for problem in exceeded(counts, existing_count, made)]


@pytest.mark.parametrize(
    ("count", "existing_count", "ceiling", "is_refused"),
    [
        (10, 100, "10%", False),
        (11, 100, "10%", True),
        (1, 9, "10%", True),
        (1, 10, "10%", False),
        (0, 0, "10%", False),
        (1, 0, "10%", True),
        (5, 3, "5", False),
        (6, 1000, "5", True),
        (0, 10, "0", False),
        (1, 10, "0", True),
        (1, 10, "0%", True),
        (10, 10, "100%", False),
        (1, 3, "33.4%", False),
        (1, 3, "33.3%", True),
    ],
)
def test_a_ceiling_is_passed_only_above_it(count: int, existing_count: int, ceiling: str, is_refused: bool) -> None:
    assert _refused({"delete": count}, existing_count, delete=ceiling) == (["guard delete"] if is_refused else [])


def test_each_kind_has_its_own_ceiling_and_all_are_told() -> None:
    counts = {"add": 8, "update": 3, "delete": 2}
    assert _refused(counts, 10, add="5", update="50%", delete="10%") == ["guard add", "guard delete"]


def test_a_kind_without_ceiling_is_never_refused() -> None:
    assert _refused({"add": 10_000, "update": 10_000}, 1, delete="1") == []


def test_the_refusal_names_counts_share_ceiling_and_the_way_past() -> None:
    problems = list(exceeded({"delete": 20}, 80, {"delete": Ceiling.parse("10%")}))
    told = "the plan would delete 20 of 80 elements (25%), the ceiling is 10%"
    assert problems == [Problem("guard delete", told, "check the sheet; if it is meant, --max-delete 20")]


def test_an_empty_catalog_has_no_share_to_tell() -> None:
    problems = list(exceeded({"add": 2}, 0, {"add": Ceiling.parse("1")}))
    assert [problem.what for problem in problems] == ["the plan would add 2 of 0 elements, the ceiling is 1"]


@pytest.mark.parametrize("text", ["", "ten", "10 percent", "-1", "-1%", "nan", "inf", "inf%", "%", "5%%"])
def test_what_is_neither_count_nor_percentage_is_no_ceiling(text: str) -> None:
    with pytest.raises(ValueError):
        Ceiling.parse(text)


@given(st.one_of(st.integers(0, 10**9), st.floats(0, 1e6)), st.booleans())
def test_a_ceiling_written_down_is_read_back_the_same(amount: float, is_percent: bool) -> None:
    ceiling = Ceiling(amount, is_percent)
    assert Ceiling.parse(str(ceiling)) == ceiling
