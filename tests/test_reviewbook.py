"""The review workbook and back: nothing of the plan is lost, whatever it holds, and however many operations it has."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogsync.errors import Problem, UserError
from catalogsync.model import Add, AddOptions, Ceiling, Change, Clash, Delete, Update
from catalogsync.plan import Plan, Shown
from catalogsync.reviewanswers import Answers, only, read_review
from catalogsync.reviewbook import LONGEST, line_of, write_review
from tests.builders import made_plan

STRANGE = (
    "=1+1",
    "+49",
    "-5",
    "@x",
    "007",
    "_x0041_",
    "_x005F_x0041_",
    "_x0041_x0042_",
    "a\x07b",
    "two\nlines\r\n",
    " edge ",
    "x" * 40_000,
    "\u202ey",
    "1e5",
)


def through(folder: Path, plan: Plan, *, resaved: bool = False) -> Answers:
    """A plan through a workbook, also through another program."""
    path = folder / "plan.xlsx"
    write_review(path, plan, rps=7)
    if resaved:
        openpyxl.load_workbook(path).save(path)
    return read_review(path)


def whole(answers: Answers) -> Plan:
    """What is approved, without the review; asserts that nothing was left out."""
    assert (answers.review.left_out, answers.decided) == ((), {})
    return dataclasses.replace(answers.approved, review=None)


@pytest.mark.parametrize("resaved", [False, True])
def test_a_full_plan_with_strange_texts_survives(tmp_path: Path, resaved: bool) -> None:
    changes: list[Change] = []
    for n, text in enumerate(STRANGE):
        changes.append(Update(3 * n + 1, text, 3, 102 + n, 1102, {"2": text, "9.city": ""}, {"2": "", "9.city": text}))
        changes.append(Add(3 * n + 2, f"{text}A", 2, {"name": text, "2": text, "7": text}))
        changes.append(Delete(3 * n + 3, f"{text}D", 503 + n, text, 1103, {"2": text}))
    plan = made_plan(
        *changes,
        columns={
            "name": Shown("Key"),
            "2": Shown("Same"),
            "7": Shown("Same"),
            "5": Shown("=Colour", "select", {"51": "R"}),
        },
        rejected_rows=1,
        rejected=tuple(Problem(text, text, text) for text in STRANGE),
        warnings=(Problem("", "odd"),),
        notes=("=note",),
        guards={"delete": Ceiling(5, True)},
        alarms=(Problem("guard Price", "went up", "look"),),
        clashes=(Clash("conflict", "B", 3, 102, "2", "75", "80", "90", "85"), Clash("deleted", "D", 5, 104)),
        options=(AddOptions(5, ("Purple",)),),
        catalog_name="=Products",
    )
    answers = through(tmp_path, plan, resaved=resaved)
    assert answers.plan == plan
    assert whole(answers) == plan


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_VALUES = st.dictionaries(st.sampled_from(["name", "2", "9.city", "9.zip", "77"]), _TEXT, min_size=1, max_size=4)


@st.composite
def _changes(draw: st.DrawFn) -> list[Change]:
    made: list[Change] = []
    for op in range(1, draw(st.integers(0, 5)) + 1):
        kind, key, values = draw(st.sampled_from("aud")), draw(_TEXT), draw(_VALUES)
        if kind == "a":
            made.append(Add(op, key, op, values))
        elif kind == "d":
            made.append(Delete(op, key, op, draw(_TEXT), 5, values))
        else:
            made.append(Update(op, key, op, op, 5, dict.fromkeys(values, draw(_TEXT)), values))
    return made


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(_changes(), st.booleans())
def test_any_changes_survive(tmp_path: Path, changes: list[Change], resaved: bool) -> None:
    plan = made_plan(*changes)
    assert whole(through(tmp_path, plan, resaved=resaved)) == plan


def test_no_cell_is_longer_than_a_cell_can_be_and_a_cut_one_says_so(tmp_path: Path) -> None:
    values = {"2": "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(60_000))}
    through(tmp_path, made_plan(Add(1, "A", 2, values)))
    book = openpyxl.load_workbook(tmp_path / "plan.xlsx")
    assert max(len(str(cell.value)) for tab in book for row in tab.iter_rows() for cell in row) <= 32_767
    assert book["_plan"].max_row > 5
    assert book["Adds"]["C2"].value == values["2"][:LONGEST] + "… (52000 more characters)"


def test_two_workbooks_of_a_plan_are_the_same_to_the_byte(tmp_path: Path) -> None:
    plan = made_plan(Add(1, "A", 2, {"name": "Pencil"}))
    written = []
    for name in ("a.xlsx", "b.xlsx"):
        write_review(tmp_path / name, plan, rps=7)
        with zipfile.ZipFile(tmp_path / name) as archive:
            written.append({part: archive.read(part) for part in archive.namelist()})
    assert written[0] == written[1]


def test_part_of_an_update_sends_the_rest_of_an_address_as_it_was() -> None:
    before = {"2": "5", "9.city": "Riga", "9.zip": "1001", "9.state": ""}
    after = {"2": "6", "9.city": "Tartu", "9.zip": "2002", "9.state": "T"}
    change = Update(1, "A", 2, 7, 5, before, after, {"9.country": "LV"})
    city = only(change, {"9.city": "Tartu"})
    assert (city.before, city.after, city.kept) == (
        {"9.city": "Riga"},
        {"9.city": "Tartu"},
        {"9.country": "LV", "9.zip": "1001"},
    )
    price = only(change, {"2": "6"})
    assert (price.before, price.after, price.kept) == ({"2": "5"}, {"2": "6"}, {})


def test_new_options_that_nothing_approved_needs_are_not_added(tmp_path: Path) -> None:
    columns = {"name": Shown("Product"), "5": Shown("Colour", "select", {"51": "Red"})}
    adds = (Add(1, "A", 2, {"5": "+Purple"}), Add(2, "B", 3, {"5": "+Lilac"}))
    plan = made_plan(*adds, columns=columns, options=(AddOptions(5, ("Purple", "Lilac")),))
    write_review(tmp_path / "plan.xlsx", plan, rps=7)
    book = openpyxl.load_workbook(tmp_path / "plan.xlsx")
    book["Adds"]["A2"] = "no"
    book.save(tmp_path / "plan.xlsx")
    approved = read_review(tmp_path / "plan.xlsx").approved
    assert (approved.changes, approved.options) == (adds[1:], (AddOptions(5, ("Lilac",)),))


def test_who_approved_is_the_cell_or_else_the_last_editor(tmp_path: Path) -> None:
    plan, path = made_plan(Add(1, "A", 2, {"name": "Pencil"})), tmp_path / "plan.xlsx"
    assert through(tmp_path, plan).review.approved_by == ""
    book: Any = openpyxl.load_workbook(path)
    book.properties.lastModifiedBy = "Anna <a@b> & Co"
    book.save(path)
    assert read_review(path).review.approved_by == "Anna <a@b> & Co"
    book["Summary"]["B1"] = "Berta"
    book.save(path)
    assert read_review(path).review.approved_by == "Berta"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18], ids=["empty", "cut", "no parts"])
def test_a_broken_file_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.xlsx").write_bytes(content)
    with pytest.raises(UserError):
        read_review(tmp_path / "plan.xlsx")


def many(count: int) -> Plan:
    """So many operations: of ten eight updates of two fields, one add, one delete."""
    changes: list[Change] = []
    for op in range(1, count + 1):
        if op % 10 == 0:
            changes.append(Add(op, f"A{op}", op, {"name": f"Pencil {op}", "2": str(op)}))
        elif op % 10 == 1:
            changes.append(Delete(op, f"D{op}", op, f"Eraser {op}", 5, {"2": "1"}))
        else:
            before, after = {"2": str(op), "name": f"Ruler {op}"}, {"2": f"{op}.5", "name": f"=Ruler {op} cm"}
            changes.append(Update(op, f"U{op}", op, op, 5, before, after))
    return made_plan(*changes)


def _lossless(folder: Path, plan: Plan) -> None:
    assert whole(through(folder, plan)) == plan
    book = openpyxl.load_workbook(folder / "plan.xlsx")
    odd = {line_of(c.op, key) for c in plan.changes if isinstance(c, Update) and c.op % 3 == 0 for key in c.after}
    for row in book["Changes"].iter_rows(min_row=2):
        if row[6].value in odd:
            row[0].value = "no"
    book.save(folder / "plan.xlsx")
    answers = read_review(folder / "plan.xlsx")
    assert answers.plan == plan
    left = tuple(c for c in plan.changes if not (isinstance(c, Update) and c.op % 3 == 0))
    assert answers.approved.changes == left
    assert len(answers.review.left_out) == len(odd)


def test_300_operations_come_back_as_they_were_approved(tmp_path: Path) -> None:
    _lossless(tmp_path, many(300))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_50000_operations_come_back_as_they_were_approved(tmp_path: Path) -> None:
    _lossless(tmp_path, many(50_000))
