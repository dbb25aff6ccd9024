"""Reading back: what was stored in another form is told, by kind; that it cannot be read is no failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.model import Add, Delete, Stored, Update
from catalogsync.readback import Difference, differences, kind_of_difference, written_by
from tests.api.helpers import NOW
from tests.writing import APIS, READ_AT, World, add, delete, outcomes, update, world


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=7, cap=True):
        yield


@pytest.fixture(params=APIS)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, request.param) as made:
        yield made


LONG = "x" * 300
VALUES = {"4400050": "1.005", "4400051": "2.5", "4400072": "two\nlines", "4400073": LONG}


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("trim", []),  # canonical text has no blanks at its ends
        ("round", [("4400050", "1.005", "1.01", "rounded")]),
        ("truncate", [("4400073", LONG, LONG[:255], "cut")]),
    ],
)
def test_what_a_store_keeps_otherwise_is_told_by_its_kind(
    either: World, way: str, expected: list[tuple[str, str, str, str]]
) -> None:
    either.emulator.fault(f"normalise={way}")
    report = either.apply(replace(add(1), values={**add(1).values, **VALUES}), update(2, 1, "3.145"))
    assert [result.outcome for result in report.results] == ["done", "done"]
    told = [(d.column_key, d.sent, d.stored, d.kind) for d in report.differences if d.op == 1]
    assert told == expected
    of_update = [(d.op, d.column_key, d.sent, d.stored) for d in report.differences if d.op == 2]
    assert of_update == ([(2, "4400050", "3.145", "3.15")] if way == "round" else [])
    assert all(d.is_loss == (way == "truncate") for d in report.differences)
    held = {operation.change.op: operation.stored for operation in either.journal.operations(1)}
    assert held == report.stored


def test_what_is_stored_as_it_was_sent_makes_no_difference(either: World) -> None:
    report = either.apply(replace(add(1), values={**add(1).values, **VALUES, "4400063": "1"}), update(2, 1))
    assert report.differences == ()
    updated_at = READ_AT + 1 if either.api == "v2" else NOW
    assert report.stored[2] == Stored(50_001, updated_at, {"4400050": "7"})
    assert dict(report.stored[1].values) == {**add(1).values, **VALUES, "4400063": "1"}


def test_a_colleague_who_edits_between_write_and_read_back_is_told_as_a_change(either: World) -> None:
    either.emulator.fault(f"edit 50001 Amount=99 before GET nth={2 if either.api == 'v4' else 1}")
    report = either.apply(update(1, 1))
    assert report.differences == (Difference(1, "4400050", "7", "99", "changed"),)


@pytest.mark.parametrize("fault", ["500 GET count=0", "401 GET count=0", "garble=list GET count=0", "drop GET count=0"])
def test_a_read_back_that_fails_is_no_failure_of_the_write(either: World, fault: str) -> None:
    either.emulator.fault(fault)
    report = either.apply(add(1), add(2), batch_size=1)
    assert (outcomes(report), report.stopped_by) == ([(1, "done", 50_009), (2, "done", 50_010)], None)
    assert (report.stored, report.differences) == ({}, ())
    assert either.journal.runs()[0]["state"] == "done"


def test_there_is_one_read_back_to_a_batch_and_none_where_nothing_was_written(either: World) -> None:
    either.apply(*(add(op) for op in range(1, 751)))
    assert either.methods == ["POST", "GET"] * 3
    either.apply(delete(1, 1), recheck=False)
    assert either.methods == ["POST"]
    bad = replace(add(1), values={"name": "Bad", "4400064": "99"})
    either.apply(bad)
    assert either.methods == ["POST"]


def test_an_element_that_is_gone_by_then_is_left_out(either: World) -> None:
    either.emulator.fault("delete newest 4220 after POST")
    report = either.apply(add(1), add(2))
    assert [(op, each.id) for op, each in report.stored.items()] == [(1, 50_009)]


# --- kinds ---


@pytest.mark.parametrize(
    ("sent", "stored", "kind"),
    [
        ("  a  b ", "a b", "trimmed"),
        ("a\nb", "a b", "trimmed"),
        ("1.005", "1.01", "rounded"),
        ("1.004", "1", "rounded"),
        ("-2.5", "-3", "rounded"),
        ("1.27", "1.2", "cut"),
        ("12.5", "14", "changed"),
        ("12", "10", "changed"),
        ("80", "80.0", "changed"),
        ("abcdef", "abc", "cut"),
        ("abcdef", "abc…", "cut"),
        ("abc", "", "changed"),
        ("abc", "abd", "changed"),
        ("NaN", "1.0", "changed"),
        ("1.5", "Infinity", "changed"),
        ("", "a", "changed"),
    ],
)
def test_kinds_of_difference(sent: str, stored: str, kind: str) -> None:
    assert kind_of_difference(sent, stored) == kind


@given(st.text(), st.text())
def test_every_pair_of_texts_has_a_kind(sent: str, stored: str) -> None:
    assert kind_of_difference(sent, stored) in {"trimmed", "rounded", "cut", "changed"}


@given(st.decimals(-(10**9), 10**9, places=6), st.integers(0, 5))
def test_whatever_is_rounded_by_half_a_unit_counts_as_rounded(number: object, places: int) -> None:
    sent, stored = f"{number:f}", f"{round(number, places):f}"  # type: ignore[call-overload]
    assert sent == stored or kind_of_difference(sent, stored) in {"rounded", "trimmed"}


def test_an_unticked_box_may_be_absent_and_what_was_not_read_is_passed_over() -> None:
    change = Update(1, "V1", 2, 11, 5, {}, {"4400063": "0", "4400050": "7"})
    assert list(differences(change, Stored(11, 6, {"4400063": ""}))) == []
    assert list(differences(change, Stored(11, 6, {"4400063": "1"}))) == [Difference(1, "4400063", "0", "1", "changed")]


def test_what_each_kind_of_change_writes() -> None:
    assert written_by(Add(1, "A", 2, {"name": "A"})) == {"name": "A"}
    assert written_by(Update(1, "A", 2, 11, 5, {"name": "A"}, {"name": "B"}, {"1.city": "C"})) == {"name": "B"}
    assert written_by(Delete(1, "A", 11, "A", 5)) == {}
