"""The benchmarks run, and compare what is equal: nothing here looks at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import canned, data, paced, peers
from benchmarks.__main__ import measured
from benchmarks.measure import LEAST, MOST, Figure, Results
from benchmarks.parts import NEEDED, Part, Timer, parts_of, timed_parts
from benchmarks.report import markdown, picture
from benchmarks.stages import check

ROWS = 200


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> data.Data:
    monkeypatch.setenv("CATALOGSYNC_STATE", str(tmp_path / "state"))
    return data.make(ROWS, tmp_path / "data")


def test_the_sheet_differs_from_the_catalog_in_four_rows_of_a_hundred(made: data.Data, tmp_path: Path) -> None:
    plan = canned.planned(made, tmp_path).plan
    assert (plan.counts, plan.existing_count, plan.sheet_rows) == ({"add": 2, "update": 6, "delete": 0}, ROWS, ROWS)
    assert (plan.rejected, plan.warnings, plan.alarms) == ((), (), ())


@pytest.mark.parametrize("rows", [499, 500, 501, 998, 999, 1000])
def test_every_element_is_read_wherever_the_last_page_ends(rows: int, tmp_path: Path) -> None:
    made = data.make(rows, tmp_path)
    assert canned.planned(made, tmp_path).plan.existing_count == rows


def test_the_peers_come_to_the_same_plan(made: data.Data, tmp_path: Path) -> None:
    plan = canned.planned(made, tmp_path).plan
    expected = peers.outcome_of(plan.changes)
    assert len(expected) == 8
    assert peers.plan_by_loop(made.sheet, data.bodies(made)) == expected
    assert peers.plan_by_pandas(made.sheet, data.bodies(made)) == expected


def test_the_stages_run_after_their_results_were_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGSYNC_STATE", "set again by the run")
    results = measured(["plan", "diff", "csv", "xlsx", "export"], [ROWS], repeat=1)
    stages = {figure.stage for figure in results.figures}
    assert {"plan", "csv", "xlsx", "export"} <= stages
    assert "diff" in stages or results.left_out
    assert all(len(figure.values) == 1 and figure.values[0] > 0 for figure in results.figures)
    shares = [part.share for part in results.parts if part.stage == "plan"]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) >= 0


def test_the_pace_is_told_of_one_process_of_two_and_of_an_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGSYNC_STATE", str(tmp_path / "state"))
    for name, value in {"APIS": ("v2",), "LATENCY_S": 0.001, "FETCHED": 600, "CHANGED": 100}.items():
        monkeypatch.setattr(paced, name, value)
    results = Results(1)
    paced.measure(results, lambda _: None)
    assert [(figure.rows, figure.peer.partition(":")[0]) for figure in results.figures[::3]] == [
        (600, "fetch v2"),
        (600, "2 fetches v2"),
        (100, "apply v2"),
    ]
    assert all(figure.is_met is not None for figure in results.figures)


def test_a_part_is_timed_without_those_inside_it() -> None:
    now_s = iter([0.0, 1.0, 3.0, 10.0])

    class Pipeline:
        def outer(self) -> str:
            return self.inner() + "!"

        def inner(self) -> str:
            return "done"

    clock = now_s.__next__
    timers = (Timer("outer", Pipeline, "outer", clock=clock), Timer("inner", Pipeline, "inner", "outer", clock))
    with timed_parts(timers) as spent:
        assert Pipeline().outer() == "done!"
    assert spent == {"outer": 8.0, "inner": 2.0}
    assert [(part.what, part.seconds, part.share) for part in parts_of("plan", 4, spent, 20)] == [
        ("outer", 8.0, 0.4),
        ("inner", 2.0, 0.1),
        ("the rest", 10.0, 0.5),
    ]


def test_what_differs_is_not_timed() -> None:
    with pytest.raises(SystemExit, match="csv, code: the results differ, nothing was timed"):
        check(["1"], ["01"], "csv, code")


def test_the_page_and_the_picture_tell_each_figure() -> None:
    results = Results(
        1,
        [
            Figure("plan", 1000, "a loop", (6.0, 8.0, 9.0), "×", LEAST, 7, ours_s=(1.0,) * 3, peer_s=(8.0,) * 3),
            Figure("diff", 1000, "a join", (1.2,), "×", MOST, 1.1),
            Figure("startup", 0, "--help, time", (0.1,), "s"),
        ],
        [Part("plan", 1000, "reading", 0.25, 0.5)],
        ["xlsx: fastexcel is not installed"],
    )
    text = markdown(results, ["Python"])
    assert "| plan | 1,000 | a loop | 1.000 | 8.000 | 8.00 × | 6.00–9.00 | ≥ 7 | yes | CPU |" in text
    assert "| diff | 1,000 | a join |  |  | 1.20 × |  | ≤ 1.1 | no | CPU |" in text
    assert "- xlsx: fastexcel is not installed" in text
    assert "| plan | 1,000 | reading | 0.250 | 250.00 | 50% |" in text
    assert f"- diff 1,000, a join: 1.20 × for ≤ 1.1: {NEEDED['diff', '']}" in text
    assert "- plan" not in text
    drawn = picture(results.figures)
    assert "plan 1,000: a loop" in drawn
    assert "diff 1,000: a join" in drawn
    assert "--help" not in drawn
