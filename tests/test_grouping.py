"""Many problems of one kind in one column become one line; few, or different ones, stay as they are."""

from __future__ import annotations

from catalogsync.errors import Problem
from catalogsync.grouping import grouped


def cells(
    count: int, *, column: str = "C", header: str = "Price", what: str = '"{n}x" is not a number'
) -> list[Problem]:
    return [
        Problem(f"prices.xlsx!List!{column}{n} ({header})", what.format(n=n), "a hint") for n in range(2, count + 2)
    ]


def test_few_problems_stay_as_they_are() -> None:
    problems = cells(5)
    assert [str(line) for line in grouped(problems)] == [str(problem) for problem in problems]


def test_many_of_a_kind_in_one_column_become_one_line_with_count_example_and_first_places() -> None:
    [line] = grouped(cells(1204))
    assert str(line) == (
        'prices.xlsx!List (Price): 1204 cells (C2, C3, C4, C5, C6 …): such as "2x" is not a number (a hint)'
    )
    assert line.count == 1204


def test_the_same_words_need_no_such_as() -> None:
    [line] = grouped(cells(6, what="is empty"))
    assert line.what == "6 cells (C2, C3, C4, C5, C6 …): is empty"


def test_other_columns_and_other_kinds_are_lines_of_their_own_in_the_order_of_the_first() -> None:
    problems = [*cells(6), *cells(1, column="D", header="Amount"), *cells(6, what="is empty")]
    assert [(line.where, line.count) for line in grouped(problems)] == [
        ("prices.xlsx!List (Price)", 6),
        ("prices.xlsx!List!D2 (Amount)", 1),
        ("prices.xlsx!List (Price)", 6),
    ]


def test_columns_without_header_are_told_apart_by_their_letters() -> None:
    problems = [Problem(f"p.xlsx!List!{letter}{n}", "is empty") for letter in "CD" for n in range(2, 9)]
    assert [line.count for line in grouped(problems)] == [7, 7]


def test_lines_of_a_text_file_and_whole_rows() -> None:
    [line] = grouped([Problem(f"p.csv:{n} (Price)", "is empty") for n in range(2, 9)])
    assert str(line) == "p.csv (Price): 7 cells (lines 2, 3, 4, 5, 6 …): is empty"
    [line] = grouped([Problem(f"p.xlsx!List!row {n}", "a new product needs a name") for n in range(2, 9)])
    assert str(line) == "p.xlsx!List: 7 rows (2, 3, 4, 5, 6 …): a new product needs a name"


def test_problems_without_a_place_in_a_sheet_are_never_put_together() -> None:
    problems = [Problem("", "is empty")] * 9 + [Problem("products.yaml:3 columns.Price", "is empty")] * 9
    assert len(grouped(problems)) == 18


def test_everything_is_told_alone_where_that_is_asked_for() -> None:
    assert len(grouped(cells(30), most_alone=30)) == 30
