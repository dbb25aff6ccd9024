"""The result workbook: its first tab reads back as the rows that were read, whatever stands in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.errors import GuardRefused, Problem, SheetError, Spot, StalePlan
from catalogsync.plan import Plan, Shown
from catalogsync.reader import CellProblem, ReadOptions, Sheet, read_sheet
from catalogsync.reader.sheet import ElementIds
from catalogsync.resultbook import UNREAD, own_width, why_not_applied, write_result
from tests.builders import made_plan, sheet
from tests.reader_files import SHEETS, needs_sheets, table


def written(path: Path, made: Sheet, *, rows: list[int] | None = None, **settings: Any) -> Sheet:
    """What a sheet whose rows are all rejected reads back as."""
    rejected = (Problem("", "is wrong", "", tuple(Spot(row) for row in rows or made.rows.tolist())),)
    write_result(path, made, plan_of(rejected=rejected), **settings)
    return read_sheet(path, ReadOptions(header_rows=(7,), fill={"nothing": "down"}, needs=("nothing",), tab=made.tab))


def plan_of(**settings: Any) -> Plan:
    return made_plan(**{"columns": {}, "key_columns": (), **settings})


ODD = [
    "=1+1", "+7", "@x", "00123", " b ", "a\nb", "<r>x</r>", "<r><t>x</t></r>", "_x0041_", "tab\tx", "1.0", "TRUE",
    "e\u0301", "{=A1}", "http://x.y", "mailto:a@b", "2024-01-05", "1e5", "\u200b", "Total", "x\x01y", "'quoted",
]  # fmt: skip


def test_text_comes_back_as_it_was_read(tmp_path: Path) -> None:
    made = sheet(["a", "b"], *[[text, "x"] for text in ODD], tab="Prices")
    read = written(tmp_path / "r.xlsx", made)
    assert [row[0] for row in table(read)] == ODD
    assert (read.numbers, read.headers, read.tab) == ({}, ("a", "b", "Result", "Reason"), "Prices")


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\ufffe\uffff"), min_size=1, max_size=12),
        min_size=1,
        max_size=5,
    )
)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    made = sheet(["a", "b"], *[[text, "x"] for text in texts])
    read = written(tmp_path_factory.mktemp("r") / "r.xlsx", made)
    assert [row[0] for row in table(read)] == texts


NUMBERS = ["5", "-3.25", "0.1", "00102", "15%", "12.5%", "0.05%", "123456789012345", "1234567.89012345"]


def test_numbers_come_back_as_numbers(tmp_path: Path) -> None:
    made = sheet(["a", "b"], *[[text, "x"] for text in NUMBERS])
    made = dataclasses.replace(made, numbers={0: np.ones(len(NUMBERS), dtype=bool)})
    read = written(tmp_path / "r.xlsx", made)
    assert [row[0] for row in table(read)] == NUMBERS
    is_text = [text == "00102" for text in NUMBERS]  # its zeros were a format
    assert read.numbers[0].tolist() == [not each for each in is_text]


def test_a_cell_that_could_not_be_read_is_refused_again_until_it_is_mended(tmp_path: Path) -> None:
    cells = [["#REF!", "x"], ["", "x"], ["123456789012346000", "x"], ['"open', "x"]]
    problems = [CellProblem(row, 0, row - 2, "could not be read", "") for row in range(2, 6)]
    made = sheet(["a", "b"], *cells, problems=problems)
    made = dataclasses.replace(made, numbers={0: np.array([False, False, True, False])})
    read = written(tmp_path / "r.xlsx", made)
    assert [row[0] for row in table(read)] == ["#REF!", UNREAD, "123456789012346000", UNREAD]
    assert [(problem.position, problem.column) for problem in read.problems] == [(n, 0) for n in range(4)]


def test_a_text_that_no_cell_holds_is_left_as_in_the_catalog(tmp_path: Path) -> None:
    read = written(tmp_path / "r.xlsx", sheet(["a", "b"], ["x" * 40_000, "x"], ["\N{DEER}" * 20_000, "x"]))
    starts = [row[0].partition(",000 ")[0] for row in table(read)]
    assert starts == ["[catalogsync: 40", "[catalogsync: 20"]  # an emoji counts twice


def test_only_rows_that_need_a_person_are_on_the_first_tab_and_every_one_of_them_is_a_product(tmp_path: Path) -> None:
    rows = [["Total", "", ""], ["1", "2", "3"], ["1", "2", "3"], ["", "5", "6"], ["4", "5", "6"]]
    made = sheet(["a", "b", "c"], *rows)
    read = written(tmp_path / "r.xlsx", made, rows=[2, 4, 5])
    assert [row[:3] for row in table(read)] == [rows[0], rows[2], rows[3]]
    assert read.skipped is None
    assert read.element_ids is not None
    assert (read.element_ids.is_part, read.element_ids.ids.tolist()) == (True, [-1, -1, -1])


@pytest.mark.parametrize(("account_id", "ids"), [(30001, [501, -1]), (1, [-1, -1])])
def test_ids_of_an_export_are_passed_on_if_they_are_of_this_catalog(
    tmp_path: Path, account_id: int, ids: list[int]
) -> None:
    own = ElementIds(account_id, 4220, False, np.array([501, 0]))
    made = dataclasses.replace(sheet(["a", "b"], ["x", "y"], ["z", "w"]), element_ids=own)
    read = written(tmp_path / "r.xlsx", made)
    assert read.element_ids is not None
    assert (read.element_ids.is_part, read.element_ids.ids.tolist()) == (True, ids)


def test_the_last_columns_of_a_part_are_the_persons_own_where_they_are_mapped(tmp_path: Path) -> None:
    own = ElementIds(30001, 4220, True, np.array([501]))
    made = dataclasses.replace(sheet(["a", "Result", "Reason"], ["x", "y", "z"]), element_ids=own)
    mapped = plan_of(columns={"1": Shown("Reason")})
    assert [own_width(made, plan) for plan in (plan_of(), mapped)] == [1, 3]


def test_headers_that_are_marks_themselves_do_not_hide_that_the_rows_are_a_part(tmp_path: Path) -> None:
    read = written(tmp_path / "r.xlsx", sheet(["a", "catalogsync id 1/2", "catalogsync id 3/4"], ["x", "5", "6"]))
    assert read.headers == ("a", "", "", "Result", "Reason")
    assert read.element_ids is not None
    assert read.element_ids.is_part


def test_a_workbook_that_is_open_in_another_program_is_written_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.name == "r.xlsx":  # what Windows answers while Excel holds the file
            raise PermissionError(13, "denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    assert write_result(tmp_path / "r.xlsx", sheet(["a"], ["x"]), plan_of()).path == tmp_path / "r-2.xlsx"


def test_ids_that_nobody_gave_the_sheet_are_not_made_up(tmp_path: Path) -> None:
    read = written(tmp_path / "r.xlsx", sheet(["a", "b"], ["x", "y"]), ids=pd.Series([501], index=[2]))
    assert read.element_ids is not None
    assert read.element_ids.ids.tolist() == [-1]


@pytest.mark.parametrize("name", ["Results", "summary"])
def test_a_tab_of_the_persons_own_that_is_called_like_one_of_ours_keeps_its_name(tmp_path: Path, name: str) -> None:
    read = written(tmp_path / "r.xlsx", sheet(["a"], ["x"], tab=name))
    assert (read.tab, table(read)[0][0]) == (name, "x")
    assert len(openpyxl.load_workbook(tmp_path / "r.xlsx").sheetnames) == 3


def test_a_sheet_without_headers_keeps_its_columns(tmp_path: Path) -> None:
    read = written(tmp_path / "r.xlsx", sheet(["", ""], ["x", "y"]))
    assert (read.headers, table(read)[0][:2]) == (("", "", "Result", "Reason"), ["x", "y"])


def test_a_reason_that_names_thousands_of_rows_is_cut(tmp_path: Path) -> None:
    made = sheet(["a"], ["x"], ["x"])
    plan = plan_of(rejected=(Problem("", "y" * 50_000, "", (Spot(2), Spot(3))),))
    write_result(tmp_path / "r.xlsx", made, plan)
    tab = openpyxl.load_workbook(tmp_path / "r.xlsx")["Results"]
    assert len(str(tab["D2"].value)) == 2_000


def test_where_no_row_needs_a_person_the_results_are_shown_first(tmp_path: Path) -> None:
    made = write_result(tmp_path / "r.xlsx", sheet(["a"], ["x"]), plan_of())
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    assert (made.to_mend, dict(made.counts), book.active and book.active.title) == (0, {"unchanged": 1}, "Results")


def test_why_a_plan_was_not_applied_is_short_in_the_rows_and_whole_in_the_summary() -> None:
    refused = GuardRefused("refused, nothing was written", [Problem("guard delete", "too many", "check the sheet")])
    assert why_not_applied(refused).split("\n") == [
        "guard delete: too many",
        "refused, nothing was written",
        "  guard delete: too many (check the sheet)",
    ]
    assert why_not_applied(StalePlan("stale", [Problem("a", "b")])).split("\n")[0] == "stale"


def test_50000_rows_are_told_and_the_few_that_are_wrong_are_to_be_mended(tmp_path: Path) -> None:
    count = 50_000
    codes = [f"{n:06}" for n in range(count)]
    cells = pd.DataFrame({0: codes, 1: ["5"] * count}, dtype="str")
    made = Sheet(Path("prices.csv"), None, ("code", "price"), cells, np.arange(2, count + 2, dtype=np.int64), ())
    wrong = list(range(2, count, 10_000))
    read = written(tmp_path / "r.xlsx", made, rows=wrong)
    assert [row[0] for row in table(read)] == [codes[row - 2] for row in wrong]
    results = read_sheet(tmp_path / "r.xlsx", ReadOptions(tab="Results"))
    assert (len(results.rows), results.cells[2].value_counts().to_dict()) == (
        count,
        {"unchanged": count - 5, "rejected": 5},
    )


def real_sheets() -> list[str]:
    """The real sheets that are small enough for this."""
    kinds = (".csv", ".tsv", ".xlsx", ".xls", ".ods")
    found = [path for path in SHEETS.glob("*") if path.suffix.lower() in kinds] if SHEETS.is_dir() else []
    return sorted(path.name for path in found if path.stat().st_size < 3_000_000) or ["absent"]


@needs_sheets
@pytest.mark.parametrize("name", real_sheets())
def test_a_real_sheet_comes_back_cell_by_cell(tmp_path: Path, name: str) -> None:
    try:
        made = read_sheet(SHEETS / name)
    except SheetError:
        pytest.skip("needs a mapping to be read")
    some = np.arange(0, len(made.rows), max(1, len(made.rows) // 400))
    read = written(tmp_path / "r.xlsx", made, rows=made.rows[some].tolist())
    width = len(made.headers)
    unread = {(problem.position, problem.column) for problem in made.problems}
    expected = [
        [UNREAD if (position, place) in unread and not text.startswith("#") else text for place, text in enumerate(row)]
        for position, row in zip(
            some.tolist(), table(dataclasses.replace(made, cells=made.cells.iloc[some])), strict=True
        )
    ]
    assert read.headers[:width] == made.headers
    assert [row[:width] for row in table(read)] == expected
    assert read.skipped is None
    for place, mask in made.numbers.items():
        is_number = read.numbers.get(place, np.zeros(len(some), dtype=bool))
        stays = [text.startswith("0") and len(text) > 1 and text[1] != "." for text in made.cells[place].iloc[some]]
        assert (is_number | np.array(stays)).tolist() == (mask[some] | np.array(stays)).tolist()
