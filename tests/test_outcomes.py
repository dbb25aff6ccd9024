"""What became of each row, for every kind: whole lines are compared."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from catalogsync.base import Base
from catalogsync.errors import Problem, Spot, Stopped
from catalogsync.model import Add, Clash, Delete, Result, Update
from catalogsync.outcomes import Line, Outcomes, key_texts, matched_ids, not_approved, outcomes_of
from catalogsync.plan import Plan, Shown
from catalogsync.readback import Difference
from catalogsync.reader import CellProblem, Sheet
from catalogsync.reader.sheet import ElementIds, Skipped
from catalogsync.tables import TAKEN
from catalogsync.writer import Report
from tests.builders import desired, made_plan, sheet

HEADERS = ("code", "title", "price")
COLUMNS = {"1": Shown("code"), "name": Shown("title"), "2": Shown("price", "price")}
ROWS = (("A", "Oak", "5"), ("B", "Ash", "6"), ("C", "Elm", "7"))
SHEET = sheet(HEADERS, *ROWS)

ADD = Add(1, "A", 2, {"1": "A", "name": "Oak", "2": "5"})
UPDATE = Update(2, "B", 3, 502, 0, {"2": "1", "name": ""}, {"2": "6", "name": "Ash"})


def plan_of(*changes: Any, **settings: Any) -> Plan:
    given: dict[str, Any] = {"columns": COLUMNS, "key_columns": (("1",),), "sheet_rows": 3, **settings}
    return made_plan(*changes, **given)


def report_of(*results: Result, **settings: Any) -> Report:
    return Report(7, results, 1, **settings)


def lines(made: Outcomes) -> list[Line]:
    return list(made.lines())


def test_what_was_done_and_what_had_nothing_to_be_done() -> None:
    report = report_of(Result(1, "done", 900), Result(2, "done", 502))
    made = outcomes_of(SHEET, plan_of(ADD, UPDATE), report, ids=pd.Series([501, 503], index=[2, 4]))
    assert lines(made) == [
        Line(2, "A", "done", "", 900, "added"),
        Line(3, "B", "done", "", 502, "price: 1 → 6; title: (empty) → Ash"),
        Line(4, "C", "unchanged", "", 503),
    ]
    assert (made.counts, made.to_mend().tolist()) == ({"unchanged": 1, "done": 2}, [])


def test_a_rejected_row_has_all_its_reasons_each_with_its_column() -> None:
    rejected = (
        Problem("a", "is no number", "write digits", (Spot(3, 2),)),
        Problem("b", "the key stands twice", "", (Spot(2, 0), Spot(3, 0))),
        Problem("c", "a new product needs a name", "", (Spot(3),)),
    )
    made = outcomes_of(SHEET, plan_of(rejected=rejected))
    twice = "code: with b: the key stands twice"  # the problem is told at the row that it begins with
    assert lines(made) == [
        Line(2, "A", "rejected", "code: the key stands twice"),
        Line(
            3,
            "B",
            "rejected",
            f"price: is no number (write digits); {twice}; a new product needs a name",
        ),
        Line(4, "C", "unchanged"),
    ]
    assert made.to_mend().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("result", "outcome", "reason", "id_"),
    [
        (Result(2, "failed", 502, "no such option"), "failed", "no such option", 502),
        (Result(2, "conflict", 502, "edited meanwhile"), "conflict", "edited meanwhile", 502),
        (
            Result(2, "unknown", 502, "no answer"),
            "unknown",
            "no answer; it may be stored or not; run the import again, which looks first",
            502,
        ),
        (None, "not sent", "stopped as asked; run the import again, or `catalogsync resume`", 502),
    ],
)
def test_a_change_that_was_not_done(result: Result | None, outcome: Any, reason: str, id_: int) -> None:
    stopped = None if result else Stopped(2)
    made = outcomes_of(SHEET, plan_of(UPDATE), report_of(*[result] if result else [], stopped_by=stopped))
    assert lines(made)[1] == Line(3, "B", outcome, reason, id_, "price: 1 → 6; title: (empty) → Ash")
    assert made.to_mend().tolist() == ([1] if result else [])


def test_an_add_of_which_nothing_came_has_no_element() -> None:
    made = outcomes_of(SHEET, plan_of(ADD), report_of(Result(1, "failed", None, "refused")))
    assert lines(made)[0] == Line(2, "A", "failed", "refused", 0, "to add")


def test_where_nothing_was_applied_the_reason_is_why() -> None:
    delete = Delete(3, "D", 504, "Fir", 0)
    made = outcomes_of(SHEET, plan_of(ADD, delete), why_not="the answer was no")
    assert lines(made)[0] == Line(2, "A", "not applied", "the answer was no", 0, "to add")
    assert made.others == (Line(0, "D", "not applied", "the answer was no", 504, "to delete: Fir"),)
    assert made.to_mend().tolist() == []


CONFLICT = Clash("conflict", "B", 3, 502, "name", "Ash", "Ash 2", "Ash 3")
CONFLICT_WORDS = (
    "title: changed in the sheet and in the CRM: was Ash, the sheet says Ash 2, the catalog Ash 3 (type the catalog's "
    "value to keep it; for the sheet's, `conflict: sheet` or a review workbook)"
)


def test_a_conflict_in_one_cell_and_an_update_of_another_is_a_conflict_that_tells_both() -> None:
    update = dataclasses.replace(UPDATE, before={"2": "1"}, after={"2": "6"})
    made = outcomes_of(SHEET, plan_of(update, clashes=(CONFLICT,)), report_of(Result(2, "done", 502)))
    told = f"{CONFLICT_WORDS}; done: price: 1 → 6"
    assert lines(made)[1] == Line(3, "B", "conflict", told, 502, "price: 1 → 6")
    assert [note.column for note in made.notes(1)] == [1]


@pytest.mark.parametrize(
    ("kind", "outcome", "words", "id_"),
    [
        ("kept", "unchanged", "title: changed in the CRM, and kept: Ash 3", 502),
        ("reverted", "unchanged", "title: changed in the CRM to Ash 3, and set back (`owner: sheet`)", 502),
        (
            "overridden",
            "unchanged",
            "title: changed in the CRM to Ash 3, too; the sheet counts (`conflict: sheet`)",
            502,
        ),
        ("deleted", "skipped", "deleted in the CRM; not added again until the row changes", 0),
    ],
)
def test_other_edits_in_the_crm_are_remarks(kind: Any, outcome: Any, words: str, id_: int) -> None:
    clash = dataclasses.replace(CONFLICT, kind=kind, column="" if kind == "deleted" else "name")
    made = outcomes_of(SHEET, plan_of(clashes=(clash,)), ids=pd.Series([502], index=[3]))
    assert lines(made)[1] == Line(3, "B", outcome, words, id_)
    assert made.to_mend().tolist() == []


def test_a_row_that_duplicates_leaves_out_is_skipped_unless_it_is_rejected_too() -> None:
    taken = tuple(Problem("", TAKEN, "`duplicates: first`", (Spot(row, 0),)) for row in (3, 4))
    rejected = (Problem("", "is no number", "", (Spot(4, 2),)),)
    made = outcomes_of(SHEET, plan_of(warnings=taken, rejected=rejected))
    words = f"code: {TAKEN} (`duplicates: first`)"
    assert lines(made)[1:] == [
        Line(3, "B", "skipped", words),
        Line(4, "C", "rejected", f"price: is no number; {words}"),
    ]
    assert made.to_mend().tolist() == [2]


def test_a_warning_is_a_remark() -> None:
    made = outcomes_of(
        SHEET, plan_of(warnings=(Problem("", "looks odd", "", (Spot(3, 2),)), Problem("", "of nothing")))
    )
    assert lines(made)[1] == Line(3, "B", "unchanged", "price: looks odd")


def test_what_the_catalog_stored_otherwise_is_a_remark() -> None:
    report = report_of(Result(2, "done", 502), differences=(Difference(2, "2", "6", "5", "changed"),))
    made = outcomes_of(SHEET, plan_of(UPDATE), report)
    assert lines(made)[1].reason == "price: the catalog stored 5, a part of it is lost"


def test_rows_that_are_no_products_and_rows_that_were_not_read_stand_among_the_others() -> None:
    lost = CellProblem(5, None, None, "the row has 2 cells", "")
    aside = Skipped(pd.DataFrame([["Chairs", "", ""]], dtype="str"), np.array([3]), ("section",))
    read: Sheet = dataclasses.replace(sheet(HEADERS, *ROWS[:2], problems=[lost]), rows=np.array([2, 4]), skipped=aside)
    made = outcomes_of(read, plan_of(rejected=(Problem("", "the row has 2 cells", "", (Spot(5),)),)))
    assert lines(made) == [
        Line(2, "A", "unchanged"),
        Line(3, "Chairs", "no product", "section"),
        Line(4, "B", "unchanged"),
        Line(5, "", "rejected", "the row has 2 cells"),
    ]
    assert made.counts == {"unchanged": 2, "rejected": 1, "no product": 1}
    assert made.to_mend().tolist() == []  # of a row that was not read there are no cells to mend


def test_elements_without_a_row_stand_at_the_end() -> None:
    changes = (Delete(3, "D", 504, "Fir", 0), Update(4, "E", 0, 505, 0, {"2": "5"}, {"2": ""}))
    made = outcomes_of(SHEET, plan_of(*changes), report_of(Result(3, "done", 504), Result(4, "done", 505)))
    assert lines(made)[3:] == [
        Line(0, "D", "done", "", 504, "deleted: Fir"),
        Line(0, "E", "done", "", 505, "price: 5 → (empty)"),
    ]


def test_what_a_person_did_not_approve_is_not_applied_or_a_remark_beside_what_was() -> None:
    delete = Delete(3, "D", 504, "Fir", 0)
    approved = plan_of(dataclasses.replace(UPDATE, after={"name": "Ash"}))
    left_out = list(not_approved(plan_of(ADD, UPDATE, delete), approved))
    made = outcomes_of(SHEET, approved, report_of(Result(2, "done", 502)), left_out=left_out)
    assert lines(made) == [
        Line(2, "A", "not applied", "not approved", 0, "to add"),
        Line(3, "B", "done", "not approved: price: 1 → 6", 502, "title: (empty) → Ash"),
        Line(4, "C", "unchanged"),
        Line(0, "D", "not applied", "not approved", 504, "to delete: Fir"),
    ]


def test_the_ids_of_an_exported_sheet_are_known_if_they_are_of_this_catalog() -> None:
    def ids_of(account_id: int) -> list[int]:
        own = ElementIds(account_id, 4220, True, np.array([501, 0, -1]))
        return [line.element_id for line in outcomes_of(dataclasses.replace(SHEET, element_ids=own), plan_of()).lines()]

    assert (ids_of(30001), ids_of(1)) == ([501, 0, 0], [0, 0, 0])


def test_a_key_of_several_columns_and_alternatives_is_told_as_it_stands() -> None:
    cells = pd.DataFrame([["A ", "1", "x"], ["", "2", "y"], ["", "", "z"]], dtype="str")
    assert key_texts(cells, ((0,), (1, 2))) == ["A", "2 + y", "z"]


def test_rows_are_joined_with_the_elements_that_sheet_and_catalog_agree_on() -> None:
    base = Base.of([501, 503], ["A", "C"], {}, {})
    found = matched_ids(desired(["2"], {"A": ["5"], "B": ["6"], "C": ["7"]}), base)
    assert found.to_dict() == {2: 501, 4: 503}


def test_many_rows_of_which_there_is_nothing_to_say_are_told_in_order() -> None:
    count = 40_000
    made = outcomes_of(sheet(HEADERS, *[(f"K{n}", "", "") for n in range(count)]), plan_of())
    assert [(line.row, line.key) for line in made.lines()] == [(n + 2, f"K{n}") for n in range(count)]
