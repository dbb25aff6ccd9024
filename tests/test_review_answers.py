"""Answers in a review workbook: what was ticked is what is read, however lines and columns were moved since."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from catalogsync.errors import UserError
from catalogsync.model import Add, Change, Clash, Delete, Update
from catalogsync.plan import Plan, Shown
from catalogsync.reviewanswers import read_review
from catalogsync.reviewbook import conflict_line, line_of, write_review
from tests.builders import made_plan
from tests.roundtrip import AWKWARD, needs_libreoffice, saved_by_libreoffice

_WORDS: Mapping[str, tuple[str, ...]] = {
    "yes": ("yes", "Yes", " YES ", "x", "да"),
    "no": ("no", "No", "нет", ""),
    "leave": ("leave", ""),
    "sheet": ("sheet", "Sheet"),
    "catalog": ("catalog", "CATALOG "),
}
_MARKS = {"Changes": "Approve", "Adds": "Approve", "Deletes": "Approve", "Conflicts": "Choice"}


def plan_of(texts: tuple[str, ...]) -> Plan:
    """Updates of two fields, adds, deletes and conflicts, with such texts in every place."""
    changes: list[Change] = []
    clashes = []
    for n, text in enumerate(texts):
        op = 3 * n + 1
        changes.append(Update(op, f"U{n} {text}", 2, 500 + n, 5, {"2": "", "3": text}, {"2": text, "3": f"{text}!"}))
        changes.append(Add(op + 1, f"A{n} {text}", 3, {"name": text or "Oak", "2": text}))
        changes.append(Delete(op + 2, f"D{n} {text}", 700 + n, text, 5, {"2": text}))
        clashes.append(Clash("conflict", f"C{n} {text}", 4, 800 + n, "2", text, f"{text}1", f"{text}2", f"{text}1"))
        clashes.append(Clash("kept", f"K{n} {text}", 4, 900 + n, "2", text, f"{text}1", f"{text}2"))
    columns = {"name": Shown("=Name"), "2": Shown("Price"), "3": Shown("+Note")}
    return made_plan(*changes, columns=columns, clashes=tuple(clashes), notes=("=1+1",), catalog_name="=Products")


def lines_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Every line that asks, and what it can say."""
    said: dict[str, tuple[str, ...]] = {}
    for change in plan.changes:
        keys = list(change.after) if isinstance(change, Update) else [""]
        said |= {line_of(change.op, key): ("yes", "no") for key in keys}
    conflicts = [place for place, clash in enumerate(plan.clashes) if clash.kind == "conflict"]
    return said | {conflict_line(place): ("leave", "sheet", "catalog") for place in conflicts}


def answer(path: Path, answers: Mapping[str, str], chance: random.Random) -> None:
    """Tick as a person does who also sorts the lines and moves the columns of every tab."""
    book = openpyxl.load_workbook(path)
    for name, asks in _MARKS.items():
        tab = book[name]
        heads = [cell.value for cell in tab[1]]
        cells: list[list[tuple[Any, str]]] = [[(cell.value, cell.data_type) for cell in row] for row in tab]
        for row in cells[1:]:
            line = row[heads.index("Operation")][0]
            if line in answers:
                row[heads.index(asks)] = (chance.choice(_WORDS[answers[line]]) or None, "s")
        order, rest = list(range(len(heads))), cells[1:]
        chance.shuffle(order)
        chance.shuffle(rest)
        for number, row in enumerate([cells[0], *rest], start=1):
            for place, source in enumerate(order, start=1):
                cell = tab.cell(number, place)
                cell.value, kind = row[source]
                cell.data_type = kind if cell.value is not None else "n"
        tab.auto_filter.add_filter_column(order.index(heads.index("Operation")), ["#1"])  # hides the other lines
        for number in range(2, len(cells) + 1):
            tab.row_dimensions[number].hidden = chance.random() < 0.5
    book.save(path)
    book.close()


def assert_answered(path: Path, plan: Plan, answers: Mapping[str, str]) -> None:
    """What is read is what was ticked, of the plan that was written."""
    read = read_review(path)
    assert read.plan == plan
    conflicts = [conflict_line(place) for place in range(len(plan.clashes))]
    assert {conflicts[place]: side for place, side in read.decided.items()} == {
        line: side for line, side in answers.items() if side in ("sheet", "catalog")
    }
    approved = {
        line_of(change.op, key)
        for change in read.approved.changes
        for key in (change.after if isinstance(change, Update) else [""])
    }
    assert approved == {line for line, said in answers.items() if said == "yes"}
    by_op = {change.op: change for change in plan.changes}
    for change in read.approved.changes:
        whole = by_op[change.op]
        if isinstance(change, Update) and isinstance(whole, Update):
            assert change.after == {key: whole.after[key] for key in change.after}
        else:
            assert change == whole


@given(
    st.lists(st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=4),
    st.data(),
    st.randoms(use_true_random=False),
)
@settings(max_examples=25, phases=(Phase.generate,))
def test_answers_survive_sorting_filtering_and_moved_columns(
    tmp_path: Path, texts: list[str], data: st.DataObject, chance: random.Random
) -> None:
    plan, path = plan_of(tuple(texts)), tmp_path / "plan.xlsx"
    answers = {line: data.draw(st.sampled_from(said), line) for line, said in lines_of(plan).items()}
    write_review(path, plan, rps=7)
    answer(path, answers, chance)
    assert_answered(path, plan, answers)


@needs_libreoffice
@pytest.mark.timeout(300)
def test_answers_survive_libreoffice_and_edited_values_are_refused_after_it(tmp_path: Path) -> None:
    chance = random.Random(4220)
    plan, ticked, edited = plan_of(AWKWARD), tmp_path / "ticked.xlsx", tmp_path / "edited.xlsx"
    answers = {line: chance.choice(said) for line, said in lines_of(plan).items()}
    write_review(ticked, plan, rps=7)
    answer(ticked, answers, chance)
    book = openpyxl.load_workbook(ticked)
    places = {name: [cell.value for cell in book[name][1]].index(head) for name, head in EDITED.items()}
    for name, place in places.items():
        book[name].cell(7, place + 1).value = "something else"
    book.save(edited)
    book.close()

    saved, wrong = saved_by_libreoffice(ticked, edited)

    assert_answered(saved, plan, answers)
    cells = [cell for tab in openpyxl.load_workbook(saved) for row in tab.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    with pytest.raises(UserError) as error:
        read_review(wrong)
    assert [(problem.where.split("!")[1], problem.what, bool(problem.hint)) for problem in error.value.problems] == [
        (name, "is not what was written", True) for name in EDITED
    ]


EDITED = {"Changes": "New", "Adds": "Price", "Deletes": "Name", "Conflicts": "The sheet says"}
