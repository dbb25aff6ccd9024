"""Guards: ceilings and alarms, at and beside their boundaries, and what must never trip them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from catalogsync import model
from catalogsync.errors import GuardRefused, Problem
from catalogsync.guards import LastRun, alarms, exceeded, stopping
from catalogsync.matching import Match
from catalogsync.model import AddOptions, Ceiling, Column, Field, Floor
from catalogsync.plan import Shown
from catalogsync.sync import check_guards
from tests.builders import columns_mapping, desired, existing, keys, made_plan


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


COLOURS = {"5": Shown("Colour", "select", {"51": "Red", "52": "Blue"}), "6": Shown("Sizes", "multiselect", {"61": "S"})}


@pytest.mark.parametrize(
    ("ceiling", "is_refused"),
    [("3", False), ("2", True), ("0", True), ("100%", False), ("99%", True)],
)
def test_new_options_have_a_ceiling_by_count_or_by_those_that_their_fields_have(ceiling: str, is_refused: bool) -> None:
    new = (AddOptions(5, ("Pink", "Grey")), AddOptions(6, ("XL",)))
    plan = made_plan(columns=COLOURS, options=new, guards={"options": Ceiling.parse(ceiling)})
    told = f"the plan would add 3 options to the 3 of their fields, the ceiling is {ceiling}"
    hint = "check the sheet; if it is meant, --max-options 3; options cannot be taken back"
    assert stopping(plan) == ((Problem("guard options", told, hint),) if is_refused else ())
    assert stopping(plan, {"options": Ceiling(3)}) == ()
    assert stopping(made_plan(columns=COLOURS, guards={"options": Ceiling(0)})) == ()


def _new(count: int, row_count: int, **settings: Any) -> tuple[Problem, ...]:
    """The alarms of a column with so many new options in so many filled rows, and ten empty ones."""
    code = Column("Code", Field(1, "Code", "text"))
    colour = Column("Colour", Field(5, "Colour", "select", enums={51: "Red"}), **{"unknown": "add", **settings})
    cells = [f"+new {n}" if n < count else "51" for n in range(row_count)] + [""] * 10
    wanted = desired(["1", "5"], {f"K{n}": (f"K{n}", cell) for n, cell in enumerate(cells)})
    return alarms(
        Match.of(wanted, existing(["1", "5"], {})),
        columns_mapping(code, colour),
        seen=wanted.index,
        sheet_rows=len(cells),
        last_run=LastRun(),
        address=lambda row: f"prices.csv:{row}",
    )


@pytest.mark.parametrize(
    ("count", "row_count", "is_refused"),
    [(9, 9, False), (10, 10, True), (10, 12, True), (10, 13, False), (40, 50, True), (39, 50, False)],
)
def test_a_column_in_which_nearly_every_row_makes_an_option_is_stopped(
    count: int, row_count: int, is_refused: bool
) -> None:
    found = _new(count, row_count)
    assert [problem.where for problem in found] == (["guard Colour"] if is_refused else [])
    if is_refused:
        what = f'{count} new options for {row_count} filled rows, the limit is 80%; e.g. "new 0", "new 1", "new 2"'
        assert found[0].what == what


def test_a_column_that_adds_no_options_is_not_looked_at_for_them() -> None:
    assert _new(50, 50, owner="crm") == ()
    assert _new(50, 50, unknown="error") == ()


@pytest.mark.parametrize("text", ["", "ten", "10 percent", "-1", "-1%", "nan", "inf", "inf%", "%", "5%%"])
def test_what_is_neither_count_nor_percentage_is_no_ceiling(text: str) -> None:
    with pytest.raises(ValueError):
        Ceiling.parse(text)


@given(st.one_of(st.integers(0, 10**9), st.floats(0, 1e6)), st.booleans())
def test_a_ceiling_written_down_is_read_back_the_same(amount: float, is_percent: bool) -> None:
    ceiling = Ceiling(amount, is_percent)
    assert Ceiling.parse(str(ceiling)) == ceiling


# --- alarms --------------------------------------------------------------------------------------------------

CODE = Column("Code", Field(1, "Code", "text"))
NAME = Column("Product", None)
PRICE = Column("Price", Field(2, "Price", "price"), moves_percent=50)
FLOORS = {"rows": Floor(50, True), "matched": Floor(50, True)}

Prices = Mapping[str, str]


def numbered(values: Sequence[object]) -> dict[str, str]:
    """Values by a key each."""
    return {f"K{place:04}": str(value) for place, value in enumerate(values)}


def alarms_of(
    before: Prices,
    after: Prices,
    *,
    column: Column = PRICE,
    sheet_rows: int | None = None,
    seen: pd.Index | None = None,
    last_run: LastRun | None = None,
    floors: Mapping[str, Floor] = FLOORS,
) -> list[Problem]:
    """The alarms of a catalog with one column and a sheet, both as value by key."""
    mapping = columns_mapping(CODE, column, floors=floors)
    names = [CODE.key, column.key]
    wanted = desired(names, {key: [key, text] for key, text in after.items()})
    held = existing(names, {key: [key, text] for key, text in before.items()})
    found = alarms(
        Match.of(wanted, held),
        mapping,
        seen=wanted.index if seen is None else seen,
        sheet_rows=len(after) if sheet_rows is None else sheet_rows,
        last_run=last_run or LastRun(),
        address=lambda row: f"prices.csv:{row}",
    )
    return list(found)


def tripped(before: Prices, after: Prices, **settings: Any) -> list[str]:
    """Where the alarms are."""
    return [problem.where for problem in alarms_of(before, after, **settings)]


_CENTS = st.integers(1, 10**8)


def euros(cents: float) -> str:
    """A price in its shortest form, as canonical text has it."""
    return f"{round(cents) / 100:.2f}".rstrip("0").rstrip(".")


# --- what must never trip ---

_ANY_TABLE = st.dictionaries(st.text("ABC012 ", min_size=1, max_size=3), st.sampled_from(["", "1", "2.5", "x", "-7"]))


@given(_ANY_TABLE, st.booleans())
def test_identical_tables_never_trip(table: dict[str, str], is_known: bool) -> None:
    last_run = LastRun(len(table), len(table)) if is_known else LastRun()
    assert alarms_of(table, table, last_run=last_run) == []


@given(st.lists(_CENTS, min_size=1, max_size=60))
def test_a_first_import_into_an_empty_catalog_never_trips(cents: list[int]) -> None:
    assert alarms_of({}, numbered([euros(price) for price in cents])) == []


@example(list(range(10_000, 30_000, 100)), 1.01)  # whole euros without a gap: nearly the same set of values
@example([10_000 + 800 * step for step in range(40)], 1.08)
@given(st.lists(st.integers(10_000, 10**8), max_size=60), st.floats(1.0, 1.08))
def test_a_uniform_rise_of_eight_percent_or_less_never_trips(cents: list[int], factor: float) -> None:
    after = [euros(round(price * factor, -2)) for price in cents]
    assert alarms_of(numbered([euros(price) for price in cents]), numbered(after)) == []


@given(st.lists(st.sampled_from(["1", "2", "3", "4", "5", "6", "7", "8", "9"]), max_size=60), st.randoms())
def test_a_column_of_few_different_values_never_counts_as_shuffled(values: list[str], random: Any) -> None:
    after = random.sample(values, len(values))
    assert tripped(numbered(values), numbered(after), column=Column("Stock", Field(3, "Stock", "numeric"))) == []


def test_a_catalog_that_lost_its_elements_is_filled_again() -> None:
    assert alarms_of({}, numbered(range(50)), last_run=LastRun(50, 50)) == []


# --- a shrunken sheet ---


@pytest.mark.parametrize(
    ("sheet_rows", "last_rows", "floor", "is_tripped"),
    [
        (50, 100, "50%", False),
        (49, 100, "50%", True),
        (51, 101, "50%", False),
        (50, 101, "50%", True),
        (3, None, "50%", False),
        (99, 100, "100%", True),
        (0, 100, "50%", True),
        (0, 1, "50%", True),
        (0, 100, "0%", False),
        (1, 100, "0%", False),
        (99, None, "100", True),
        (100, None, "100", False),
        (100, 1000, "100", False),
        (0, None, "1", True),
        (0, 100, "0", False),
    ],
)
def test_a_sheet_needs_its_share_of_last_times_rows(
    sheet_rows: int, last_rows: int | None, floor: str, is_tripped: bool
) -> None:
    found = tripped(
        {}, {}, sheet_rows=sheet_rows, last_run=LastRun(sheet_rows=last_rows), floors={"rows": Floor.parse(floor)}
    )
    assert found == (["guard rows"] if is_tripped else [])


def test_rejected_rows_are_rows_too() -> None:
    assert alarms_of({}, {}, sheet_rows=100, last_run=LastRun(sheet_rows=100)) == []


def test_an_empty_sheet_trips_where_the_catalog_has_elements_even_without_a_last_time() -> None:
    [problem] = alarms_of({"A": "1", "B": "2"}, {})
    assert problem == Problem(
        "guard rows",
        "the sheet has 0 rows, the catalog has 2 elements with a key",
        "check the sheet; if it is meant, --allow DIGEST",
    )
    assert alarms_of({}, {}) == []
    assert tripped(_products(20), {}, floors={"rows": Floor(0, True), "matched": Floor(10)}) == []


def test_the_alarm_of_rows_names_both_numbers_the_limit_and_the_ways_past() -> None:
    [problem] = alarms_of({}, numbered(range(40)), last_run=LastRun(sheet_rows=101))
    assert problem == Problem(
        "guard rows",
        "the sheet has 40 rows, the least is 50% of last time's 101 (51)",
        "check the sheet; if it is meant, --allow DIGEST, or another `guards: {rows: …}`",
    )


# --- a key that matches nothing ---


def _products(count: int, prefix: str = "") -> dict[str, str]:
    return {f"{prefix}{n}": "1" for n in range(1, count + 1)}


@pytest.mark.parametrize(
    ("catalog_count", "sheet_count", "is_tripped"), [(10, 10, True), (9, 200, False), (200, 9, False), (500, 300, True)]
)
def test_a_key_that_matches_nothing_trips_where_both_sides_have_ten(
    catalog_count: int, sheet_count: int, is_tripped: bool
) -> None:
    found = tripped(_products(catalog_count, "A"), _products(sheet_count, "B"))
    assert found == (["guard matched"] if is_tripped else [])


def test_one_match_is_enough_where_nothing_is_known_of_a_last_time() -> None:
    assert tripped(_products(50, "A"), {**_products(50, "B"), "A1": "1"}) == []


@pytest.mark.parametrize(
    ("matched", "sheet_count", "last_matched", "floor", "is_tripped"),
    [
        (50, 100, 100, "50%", False),
        (49, 100, 100, "50%", True),
        (30, 30, 100, "50%", False),  # fewer rows, and all of them match
        (14, 30, 100, "50%", True),
        (100, 1000, 100, "50%", False),  # many new products
        (4, 9, 9, "50%", False),
        (4, 10, 10, "50%", True),
        (1, 100, 100, "0%", False),
        (0, 100, 100, "0%", False),
        (99, 100, None, "100", True),
        (100, 100, None, "100", False),
        (100, 100, None, "101", True),
    ],
)
def test_a_key_must_match_its_share_of_last_times(
    matched: int, sheet_count: int, last_matched: int | None, floor: str, is_tripped: bool
) -> None:
    sheet = _products(matched, "A") | _products(sheet_count - matched, "B")
    found = tripped(
        _products(200, "A"), sheet, last_run=LastRun(matched=last_matched), floors={"matched": Floor.parse(floor)}
    )
    assert found == (["guard matched"] if is_tripped else [])


def test_the_keys_of_rejected_rows_match_too() -> None:
    catalog = _products(20)
    assert tripped(catalog, {}, seen=keys(*catalog), sheet_rows=20, last_run=LastRun(20, 20)) == []


@pytest.mark.parametrize(
    ("catalog_key", "sheet_key", "cause"),
    [
        ("00{n}", "{n}", "without leading zeros 20 would match;"),
        ("AB {n}", "ab{n}", "without blanks and capital letters 20 would match;"),
        ("{n}", "4750000000{n}", "another key column, lost leading zeros, blanks?"),
    ],
)
def test_the_alarm_of_keys_says_what_they_differ_in(catalog_key: str, sheet_key: str, cause: str) -> None:
    catalog = {catalog_key.format(n=n): "1" for n in range(1, 31)}
    sheet = {sheet_key.format(n=n): "1" for n in range(1, 21)}
    [problem] = alarms_of(catalog, sheet)
    first = f'"{next(iter(sheet))}" in the sheet, "{next(iter(catalog))}" in the catalog'
    assert problem == Problem(
        "guard matched",
        f"0 of the sheet's 20 keys are among the catalog's 30; at least 1 is expected to be; e.g. {first}",
        f"{cause} check the sheet; if it is meant, --allow DIGEST, or another `guards: {{matched: …}}`",
    )


def test_the_alarm_of_keys_names_last_times_number() -> None:
    [problem] = alarms_of(_products(50), _products(10) | _products(40, "B"), last_run=LastRun(matched=45))
    assert "10 of the sheet's 50 keys are among the catalog's 50; last time 45 were" in problem.what
    assert "at least 23 are expected (50%)" in problem.what


# --- a price that moved ---


@given(
    st.lists(_CENTS, min_size=5, max_size=60),
    st.sampled_from([100, 1000, 0.01, 0.001]),
    st.sampled_from([0.0, 8.0, 50.0, 100.0, 900.0]),
)
def test_a_decimal_slip_trips_with_any_limit(cents: list[int], factor: float, limit_percent: float) -> None:
    column = Column("Price", Field(2, "Price", "price"), moves_percent=limit_percent, shuffled="allow")
    before = numbered([f"{price}00" for price in cents])
    after = numbered([euros(price * 10_000 * factor) for price in cents])
    assert tripped(before, after, column=column) == ["guard Price"]


@pytest.mark.parametrize(
    ("factor", "limit_percent", "is_tripped"),
    [
        (1.5, 50, False),
        (1.51, 50, True),
        (0.5, 50, False),
        (0.49, 50, True),
        (1.1, 10, False),
        (1.11, 10, True),
        (0.9, 10, False),
        (0.89, 10, True),
        (1.01, 0, True),
        (1.0, 0, False),
        (4, 300, False),
        (0.1, 300, False),
        (0.09, 300, True),
        (0, 300, True),
        (-1, 300, True),
        (100, None, False),
    ],
)
def test_the_typical_price_may_move_up_or_down_by_its_limit(
    factor: float, limit_percent: float | None, is_tripped: bool
) -> None:
    column = Column("Price", Field(2, "Price", "price"), moves_percent=limit_percent)
    prices = [100, 130, 70, 2000, 10_000]
    after = [f"{price * factor:.4f}".rstrip("0").rstrip(".") for price in prices]
    assert tripped(numbered(prices), numbered(after), column=column) == (["guard Price"] if is_tripped else [])


def test_a_few_odd_prices_do_not_count() -> None:
    prices = [n + 10 for n in range(21)]
    after = [price * 100 if n < 10 else price for n, price in enumerate(prices)]
    assert tripped(numbered(prices), numbered(after)) == []
    after[10] *= 100
    assert tripped(numbered(prices), numbered(after)) == ["guard Price"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["1"] * 4, ["100"] * 4),  # too few to tell
        (["0"] * 20, ["100"] * 20),  # priced for the first time
        ([""] * 20, ["100"] * 20),
        (["100"] * 20, [""] * 20),  # blank cells keep what is there
        (["soon"] * 20, ["100"] * 20),
        (["inf"] * 20, ["100"] * 20),
        (["0", "", "x", "5", "5", "5", "5"], ["9", "9", "9", "500", "500", "500", "500"]),
    ],
)
def test_rows_without_a_price_on_both_sides_do_not_count(before: list[str], after: list[str]) -> None:
    assert tripped(numbered(before), numbered(after)) == []


def test_numbers_of_any_length_can_be_compared() -> None:
    assert tripped(numbered(["0." + "0" * 300 + "1"] * 9), numbered(["9" * 99] * 9)) == ["guard Price"]
    assert tripped(numbered(["9" * 99] * 9), numbered(["9" * 99] * 9)) == []


def test_the_alarm_of_a_price_names_median_rows_limit_an_example_and_the_ways_past() -> None:
    column = Column("Price", Field(2, "Price", "price"), decimal=",", moves_percent=50)
    before = numbered(["7.5", "10", "12", "15", "20", "90"])
    after = numbered(["7.6", "1000", "1200", "1500", "2000", "9000"])
    [problem] = alarms_of(before, after, column=column)
    assert problem == Problem(
        "guard Price",
        "the typical value would go up by 9900% (times 100, the median of 6 matched rows), the limit is 50%;"
        " e.g. prices.csv:3: 10 → 1000",
        "a decimal sign, another currency or unit? check the sheet; if it is meant, --allow DIGEST, or another"
        " `moves:` for the column",
    )
    [problem] = alarms_of(after, before, column=column)
    assert "go down by 99% (times 0.01, the median of 6 matched rows), the limit is 50%" in problem.what


# --- a column sorted on its own ---


@given(st.lists(_CENTS, min_size=10, max_size=60, unique=True), st.data())
def test_any_permutation_of_different_prices_trips(cents: list[int], data: st.DataObject) -> None:
    after = data.draw(st.permutations(cents))
    assume(sum(old != new for old, new in zip(cents, after, strict=True)) >= len(cents) / 2)
    column = Column("Price", Field(2, "Price", "price"))
    found = tripped(numbered([euros(c) for c in cents]), numbered([euros(c) for c in after]), column=column)
    assert found == ["guard Price"]


@given(st.lists(st.text("abcdefgh", min_size=6), min_size=10, max_size=60, unique=True))
def test_a_column_of_names_sorted_on_its_own_trips_too(names: list[str]) -> None:
    assume(sum(old != new for old, new in zip(names, sorted(names), strict=True)) >= len(names) / 2)
    assert tripped(numbered(names), numbered(sorted(names)), column=NAME) == ["guard Product"]


def _places(count: int) -> list[int]:
    return [1000 + n * n for n in range(count)]


def test_a_column_moved_up_by_one_row_trips() -> None:
    column = Column("Price", Field(2, "Price", "numeric"))
    prices = [(n * 37) % 101 + 10 for n in range(100)]
    assert tripped(numbered(prices), numbered([*prices[1:], 55]), column=column) == ["guard Price"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_places(9), _places(9)[::-1]),  # too few to tell
        (_places(41), [*_places(41)[:20][::-1], *_places(41)[20:]]),  # under half of the rows changed
        (_places(40), [price + 1 for price in _places(40)][::-1]),  # other values
        ([n // 3 for n in range(60)], [n // 3 for n in range(60)][::-1]),  # each value three times
        ([10 * n for n in range(1, 60)], [10 * n + 10 for n in range(1, 60)]),  # room for one more
        ([10 * n + 10 for n in range(1, 60)], [10 * n for n in range(1, 60)]),
        ([2**n for n in range(1, 11)], [2**n for n in range(2, 12)]),  # as text 16 comes before 8
    ],
    ids=["few", "half", "others", "repeated", "up", "down", "doubled"],
)
def test_what_is_no_shuffle_does_not_trip(before: list[int], after: list[int]) -> None:
    column = Column("Price", Field(2, "Price", "numeric"))
    assert tripped(numbered(before), numbered(after), column=column) == []


def test_nearly_the_same_values_are_enough() -> None:
    column = Column("Price", Field(2, "Price", "numeric"))
    prices = _places(40)
    assert tripped(numbered(prices), numbered([*prices[:3:-1], 1, 2, 3, 4]), column=column) == ["guard Price"]
    assert tripped(numbered(prices), numbered([*prices[:4:-1], 1, 2, 3, 4, 5]), column=column) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([n // 2 for n in range(60)], [n // 2 for n in range(60)][::-1]),
        ([*[""] * 30, *range(10)], [*[""] * 30, *range(10)[::-1]]),
        ([*[""] * 30, *range(10)], [*range(100, 130), *range(10)[::-1]]),
        ([*range(100, 130), *range(10)], [*[""] * 30, *range(10)[::-1]]),
    ],
    ids=["each value twice", "blank on both sides", "blank before", "blank after"],
)
def test_what_is_a_shuffle_trips_with_the_address_of_a_row(before: list[object], after: list[object]) -> None:
    [problem] = alarms_of(numbered(before), numbered(after), column=Column("Price", Field(2, "Price", "numeric")))
    place = next(n for n, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1] and "" not in pair)
    assert problem.what.endswith(f"e.g. prices.csv:{place + 2}: {before[place]} → {after[place]}")


def test_options_that_are_merged_are_no_shuffle() -> None:
    sizes = Field(6, "Sizes", "multiselect", enums={n: f"Size {n}" for n in range(40)})
    assert tripped(numbered(range(40)), numbered(range(40)[::-1]), column=Column("Sizes", sizes)) == ["guard Sizes"]
    merged = Column("Sizes", sizes, multi="merge")
    assert tripped(numbered(range(40)), numbered(range(40)[::-1]), column=merged) == []


def test_dates_put_off_by_a_day_are_no_shuffle() -> None:
    column = Column("Date", Field(4, "Date", "date"))
    days = [f"2026-03-{day:02}" for day in range(1, 32)]
    assert tripped(numbered(days[:-1]), numbered(days[1:]), column=column) == []
    assert tripped(numbered(days), numbered(days[::-1]), column=column) == ["guard Date"]


@pytest.mark.parametrize("settings", [{"shuffled": "allow"}, {"owner": "crm"}])
def test_a_column_may_be_shuffled_where_the_mapping_says_so_or_never_sends_it(settings: dict[str, Any]) -> None:
    column = Column("Rank", Field(2, "Rank", "numeric"), **settings)
    assert tripped(numbered(range(40)), numbered(range(40)[::-1]), column=column) == []


def test_a_column_that_is_never_sent_may_move() -> None:
    column = Column("Price", Field(2, "Price", "price"), moves_percent=50, owner="crm")
    assert tripped(numbered(["1"] * 9), numbered(["100"] * 9), column=column) == []


def test_the_alarm_of_a_shuffle_names_shares_limits_an_example_and_the_ways_past() -> None:
    colour = Field(5, "Colour", "select", enums={n: f"Colour {n}" for n in range(60)})
    [problem] = alarms_of(numbered(range(21)), numbered(range(21)[::-1]), column=Column("Colour", colour))
    assert problem == Problem(
        "guard Colour",
        "20 of 21 matched rows (95%) would get another value, yet 100% of the values are those that other products had;"
        ' the limits are 50% and 90%; e.g. prices.csv:2: "Colour 0" → "Colour 20"',
        "was this column, or the key's, sorted on its own? check the sheet; if it is meant, --allow DIGEST, or"
        " `shuffled: allow` for the column",
    )


# --- values that repeat, a part that moved by a row, one value for all, days and months ---

KIND = Column("Kind", Field(5, "Kind", "select", enums={1: "A", 2: "B", 3: "C"}))
DAY = Column("Day", Field(7, "Day", "date"))


@pytest.mark.parametrize(
    ("before", "after", "is_tripped"),
    [
        ([1, 2, 3] * 10, [1] * 10 + [2] * 10 + [3] * 10, True),
        ([1, 2, 3] * 10, [3] * 10 + [1] * 10 + [2] * 10, True),  # in any order of the values
        ([1, 2] * 15, [1] * 15 + [2] * 15, True),
        ([1, 2, 3] * 10, [1] * 11 + [2] * 9 + [3] * 10, False),  # other values
        ([1, 2, 3] * 10, [3, 1, 2] * 10, False),  # not in blocks
        ([1] * 10 + [2] * 10 + [3] * 10, [3] * 10 + [2] * 10 + [1] * 10, False),  # in blocks before
        ([1, 2, 3] * 4, [1] * 4 + [2] * 4 + [3] * 4, False),  # eight rows changed
        ([1, 2] * 15, [1] * 30, False),
        ([1] * 30, [1] * 30, False),
    ],
)
def test_a_column_whose_values_repeat_trips_where_each_stands_in_one_block_now(
    before: list[int], after: list[int], is_tripped: bool
) -> None:
    assert tripped(numbered(before), numbered(after), column=KIND) == (["guard Kind"] if is_tripped else [])


def _moved(count: int, first: int) -> tuple[list[int], list[int]]:
    places = [53 * n % 101 for n in range(count)]
    return places, [*places[:first], 999, *places[first:-1]]


@pytest.mark.parametrize(("first", "is_tripped"), [(90, False), (89, True), (60, True)])
def test_a_part_of_a_column_that_moved_by_a_row_trips_from_ten_rows_on(first: int, is_tripped: bool) -> None:
    column = Column("Stock", Field(3, "Stock", "numeric"))
    before, after = _moved(100, first)
    for old, new in ((before, after), (before[::-1], after[::-1])):
        assert tripped(numbered(old), numbered(new), column=column) == (["guard Stock"] if is_tripped else [])
    allowed = Column("Stock", Field(3, "Stock", "numeric"), shuffled="allow")
    assert tripped(numbered(before), numbered(after), column=allowed) == []


def test_the_alarm_of_a_part_that_moved_names_the_first_row() -> None:
    before, after = _moved(100, 60)
    [problem] = alarms_of(numbered(before), numbered(after), column=Column("Stock", Field(3, "Stock", "numeric")))
    assert problem.what == (
        "39 of 40 rows that change would get the value of the product in the row above, the limits are 10 and 80%;"
        f" e.g. prices.csv:63: {before[61]} → {before[60]}"
    )


def test_changes_here_and_there_are_no_part_that_moved() -> None:
    column = Column("Stock", Field(3, "Stock", "numeric"))
    before, after = _moved(100, 80)
    sold = [number - 1 if n < 30 else number for n, number in enumerate(after, start=1)]
    assert tripped(numbered(before), numbered(sold), column=column) == []
    twos = [n // 2 * 2 % 4 for n in range(40)]  # 0 0 2 2 0 0 …: moved by a row, half of it is the same
    assert tripped(numbered(twos), numbered([1, *twos[:-1]]), column=column) == []


@pytest.mark.parametrize(
    ("before", "after", "is_tripped"),
    [
        (_places(40), [7] * 40, True),
        (_places(40), [7] * 36 + _places(40)[36:], True),
        (_places(40), [7] * 35 + _places(40)[35:], False),
        ([n // 3 for n in range(60)], [7] * 60, False),  # of few values before
        (_places(9), [7] * 9, False),
    ],
)
def test_a_column_that_became_one_value_trips(before: list[int], after: list[int], is_tripped: bool) -> None:
    column = Column("Stock", Field(3, "Stock", "numeric"))
    found = alarms_of(numbered(before), numbered(after), column=column)
    assert [problem.where for problem in found] == (["guard Stock"] if is_tripped else [])
    assert all("would hold one and the same value" in problem.what for problem in found)


@pytest.mark.parametrize(
    ("swapped", "changed", "is_tripped"), [(5, 5, True), (5, 10, True), (5, 11, False), (4, 4, False)]
)
def test_days_and_months_that_change_places_trip_from_five_on(swapped: int, changed: int, is_tripped: bool) -> None:
    before = [f"2026-{1 + n % 5:02}-{6 + n % 7:02}" for n in range(40)]
    after = [f"2026-{day[8:]}-{day[5:7]}" if n < swapped else day for n, day in enumerate(before)]
    after = [f"2027{day[4:]}" if swapped <= n < changed else day for n, day in enumerate(after)]
    found = alarms_of(numbered(before), numbered(after), column=DAY)
    assert [problem.where for problem in found] == (["guard Day"] if is_tripped else [])
    if is_tripped:
        told = f"in {swapped} of {changed} dates that change, day and month would change places"
        assert found[0].what.startswith(told)
        assert found[0].what.endswith("e.g. prices.csv:2: " + '"2026-01-06" → "2026-06-01"')


# --- a column that was emptied ---


def _emptying(count: int, filled: int, *, row: int = 2, column: Column = KIND) -> list[Problem]:
    index = keys(*map(str, range(filled)))
    held = pd.DataFrame({"1": index.to_numpy(), column.key: ["2"] * filled}, index=index, dtype="str")
    wanted = held.assign(row=np.arange(filled) + 2)
    wanted[column.key] = ""
    changes = [
        model.Update(n, str(n), row and row + n, 100 + n, 0, {column.key: "2"}, {column.key: ""}) for n in range(count)
    ]
    mapping = columns_mapping(CODE, column, floors=FLOORS)
    last_run = LastRun(filled, filled)
    found = alarms(
        Match.of(wanted, held),
        mapping,
        seen=index,
        sheet_rows=filled,
        last_run=last_run,
        address=lambda row: f"a.csv:{row}",
        changes=changes,
    )
    return list(found)


@pytest.mark.parametrize(
    ("count", "filled", "is_tripped"), [(10, 39, True), (10, 40, False), (9, 9, False), (40, 40, True), (0, 40, False)]
)
def test_a_column_that_loses_more_than_a_quarter_of_its_values_trips(count: int, filled: int, is_tripped: bool) -> None:
    assert [problem.where for problem in _emptying(count, filled)] == (["guard Kind"] if is_tripped else [])


def test_the_alarm_of_an_emptied_column_names_counts_limits_and_an_example() -> None:
    assert _emptying(20, 40) == [
        Problem(
            "guard Kind",
            "20 of 40 matched rows with a value (50%) would lose it, the limit is 25% from 10 on;"
            ' e.g. a.csv:2: "B" → empty',
            "was the column left out or not calculated? check the sheet; if it is meant, --allow DIGEST",
        )
    ]


def test_what_the_mapping_sets_where_a_row_is_gone_and_options_that_are_taken_away_are_not_counted() -> None:
    assert _emptying(40, 40, row=0) == []
    sizes = Column("Sizes", Field(6, "Sizes", "multiselect", enums={2: "S"}), multi="remove")
    assert _emptying(40, 40, column=sizes) == []


# --- rows in another order, several alarms, many rows ---


@given(st.lists(_CENTS, min_size=10, max_size=40, unique=True), st.randoms())
def test_the_order_of_the_sheets_rows_does_not_matter(cents: list[int], random: Any) -> None:
    before = numbered([euros(price) for price in cents])
    after = dict(random.sample(sorted(before.items()), len(before)))
    assert alarms_of(before, after) == []


def test_all_alarms_are_told_at_once() -> None:
    before = numbered(_places(40))
    after = {key: str(int(text) * 100) for key, text in list(before.items())[:15]} | _products(25)
    found = tripped(before, after, last_run=LastRun(200, 40))
    assert found == ["guard rows", "guard matched", "guard Price"]


@pytest.mark.timeout(60)  # about a second; a loop over rows would take many times as long
def test_a_quarter_of_a_million_rows_are_no_problem() -> None:
    count = 250_000
    index = pd.Index(np.arange(count).astype(str), dtype="str")
    prices = pd.Series(np.arange(count) + 10).astype(str).astype("str").to_numpy()
    held = pd.DataFrame({"1": index.to_numpy(), "2": prices}, index=index, dtype="str")
    wanted = held.assign(**{"2": prices[::-1], "row": np.arange(count)})
    mapping = columns_mapping(CODE, PRICE, floors=FLOORS)
    last_run = LastRun(count, count)
    found = alarms(Match.of(wanted, held), mapping, seen=index, sheet_rows=count, last_run=last_run, address=str)
    assert [problem.where for problem in found] == ["guard Price"]


# --- what stops a plan ---


def test_an_alarm_stops_a_plan_until_its_digest_is_given() -> None:
    alarm = Problem("guard rows", "the sheet has 0 rows")
    made = made_plan(model.Add(1, "A", 2, {"name": "Oak"}), alarms=(alarm,), guards={"add": Ceiling(0)})
    assert [problem.where for problem in stopping(made)] == ["guard add", "guard rows"]
    assert stopping(made, {"add": Ceiling(5)}) == (alarm,)
    for allow in ("", "0123456789ab"):
        with pytest.raises(GuardRefused, match=f"--allow {made.digest}") as caught:
            check_guards(made, {"add": Ceiling(5)}, allow)
        assert caught.value.problems == (alarm,)
    check_guards(made, allow=made.digest)
    check_guards(made_plan(), allow="")
