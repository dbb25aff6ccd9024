"""Budgets: a run ends at the edge of a batch when its requests or its time are used up, and the next one goes on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync import runs, sync
from catalogsync.api.auth import Account
from catalogsync.api.client import connect
from catalogsync.budget import Budget
from catalogsync.emulator.faults import Fault
from catalogsync.errors import ApiError, BudgetSpent
from catalogsync.writer import Report, WriteOptions
from tests.e2e.conftest import Shell, Start, catalog_of
from tests.e2e.worlds import World, world

FIELDS = [{"id": 101, "name": "Code", "type": "text"}, {"id": 102, "name": "Amount", "type": "numeric"}]
MAPPING = "catalog: 4220\nkey: code\nmissing: delete\ncolumns: {name: name, code: Code, amount: Amount}\n"
APIS = ("v2", "v4")
READS = {"v2": 4, "v4": 5}
"""The list, the account, in v4 the fields, and two for a list of one page."""


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=7, cap=True):
        yield


def element(number: int, amount: int = 1) -> dict[str, Any]:
    return {"id": 50_000 + number, "name": f"Product {number}", "values": {"Code": f"C{number}", "Amount": amount}}


def sheet_of(amounts: dict[str, int]) -> list[dict[str, str]]:
    return [{"name": f"Product {code}", "code": code, "amount": str(amount)} for code, amount in amounts.items()]


# --- any plan, any budget ------------------------------------------------------------------------------------

CODES = [f"C{number}" for number in range(1, 9)]


def import_once(
    made: World, api: str, rows: list[dict[str, str]], budget: Budget, batch: int, in_flight: int
) -> Report:
    """One import with a budget: settles, plans, applies. Raises BudgetSpent while reading."""
    made.emulator.clear_requests()
    made.later()
    with connect(Account(made.emulator.url, made.emulator.token, api), rps=0, budget=budget) as client:
        bounded = World(made.emulator, client, made.journal, made.folder, made.clock)
        options = WriteOptions(settle_s=0, in_flight=in_flight)
        runs.recover(bounded.schema(), client, made.journal, options)
        made.clock.now_s += 2
        planned = sync.plan(
            made.folder / "sheet.csv",
            made.folder / "mapping.yaml",
            client,
            made.journal,
            sync.PlanOptions(delete_unseen=True, delete_linked=True, batch_size=batch),
        )
        return bounded.apply(planned, options)


@settings(max_examples=25, deadline=None)
@given(
    api=st.sampled_from(APIS),
    before=st.dictionaries(st.sampled_from(CODES), st.integers(1, 2), max_size=8),
    wanted=st.dictionaries(st.sampled_from(CODES), st.integers(1, 2), min_size=1, max_size=8),
    budgets=st.lists(st.integers(1, 24), max_size=4),
    batch=st.integers(1, 3),
    in_flight=st.integers(1, 3),
)
def test_no_run_sends_more_than_its_budget_and_run_after_run_ends_with_each_element_once_as_planned(
    api: str, before: dict[str, int], wanted: dict[str, int], budgets: list[int], batch: int, in_flight: int
) -> None:
    elements = [element(int(code[1:]), amount) for code, amount in before.items()]
    with world(api, FIELDS, elements) as made:
        made.plan(sheet_of(wanted), MAPPING)  # writes the files
        enough = 2 * (READS[api] + 2) + 6
        for number, most in enumerate((*budgets, *[enough] * 30)):
            budget = Budget(most)
            stopped: Exception | None
            try:
                report = import_once(made, api, sheet_of(wanted), budget, batch, in_flight)
            except BudgetSpent as error:
                stopped = error
                assert {arrival.method for arrival in made.emulator.requests} <= {"GET"}
            else:
                stopped = report.stopped_by
                assert stopped is None or isinstance(stopped, BudgetSpent)
                assert {r.outcome for r in report.results} <= {"done"}
            assert len(made.emulator.requests) == budget.requests_sent <= most
            if stopped is None:
                break
            assert number < len(budgets) + 20, "no run makes headway"
        held = made.state()
        assert sorted((v["101"], v["102"]) for v in held.values()) == sorted((c, str(a)) for c, a in wanted.items())


FAULTS = st.builds(
    Fault,
    st.just("status"),
    st.sampled_from(["GET", "POST", "PATCH"]),
    nth=st.integers(1, 12),
    count=st.integers(1, 2),
    status=st.sampled_from([429, 503, 504]),
    when=st.sampled_from(["before", "after"]),
)


@settings(max_examples=25, deadline=None)
@given(
    api=st.sampled_from(APIS),
    before=st.dictionaries(st.sampled_from(CODES), st.integers(1, 2), max_size=8),
    wanted=st.dictionaries(st.sampled_from(CODES), st.integers(1, 2), min_size=1, max_size=8),
    runs_of=st.lists(st.tuples(st.integers(4, 24), st.lists(FAULTS, max_size=2)), min_size=1, max_size=4),
    batch=st.integers(1, 3),
)
def test_with_lost_answers_only_reads_that_settle_go_beyond_and_it_ends_with_each_element_once(
    api: str,
    before: dict[str, int],
    wanted: dict[str, int],
    runs_of: list[tuple[int, list[Fault]]],
    batch: int,
) -> None:
    elements = [element(int(code[1:]), amount) for code, amount in before.items()]
    with world(api, FIELDS, elements) as made:
        made.plan(sheet_of(wanted), MAPPING)  # writes the files
        for most, faults in runs_of:
            for fault in faults:
                made.emulator.fault(fault)
            budget = Budget(most)
            with contextlib.suppress(ApiError):
                import_once(made, api, sheet_of(wanted), budget, batch, 1)
            made.emulator.faults.clear()
            assert len(made.emulator.requests) == budget.requests_sent
            assert {arrival.method for arrival in made.emulator.requests[most:]} <= {"GET"}
            if not any(arrival.status != 200 and arrival.method != "GET" for arrival in made.emulator.requests):
                reads_back = sum(arrival.method != "GET" for arrival in made.emulator.requests)
                assert budget.requests_sent <= most + 3 * reads_back
        for _ in range(3):
            import_once(made, api, sheet_of(wanted), Budget(), batch, 1)
        held = made.state()
        assert sorted((v["101"], v["102"]) for v in held.values()) == sorted((c, str(a)) for c, a in wanted.items())


# --- the command line ----------------------------------------------------------------------------------------


@pytest.fixture(params=APIS)
def shell(request: pytest.FixtureRequest, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """An account with five products, and a sheet with six others: one row to a request."""
    monkeypatch.setenv("CATALOGSYNC_API", request.param)
    monkeypatch.setenv("CATALOGSYNC_BATCH", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "map.yaml").write_text(MAPPING.replace("missing: delete\n", ""), encoding="utf-8")
    lines = [f"New {n};N{n};{n}" for n in range(1, 7)]
    (tmp_path / "sheet.csv").write_text("\n".join(["name;code;amount", *lines]) + "\n", encoding="utf-8")
    return start(catalog_of(FIELDS, [element(n) for n in range(1, 6)]))


IMPORT = ("import", "sheet.csv", "-m", "map.yaml", "--yes")


def codes(shell: Shell) -> list[str]:
    return sorted(code for each in shell.elements() for code in each["Code"] if code.startswith("N"))


def reads_of(shell: Shell) -> int:
    """How many requests planning takes."""
    shell("plan", "sheet.csv", "-m", "map.yaml")
    return len(shell.sent)


def test_an_import_stops_at_the_edge_of_a_batch_says_so_and_resume_or_the_same_command_goes_on(shell: Shell) -> None:
    most = reads_of(shell) + 5
    assert shell(*IMPORT, "--max-requests", most) == 6
    assert "Done: 2 added, in 2 write requests (run 1)." in shell.out
    assert (
        f"Stopped: the budget of {most} requests is used up: {most - 1} were sent, and the next batch may take 2"
        in (shell.out)
    )
    assert "4 changes were not sent. Run the command again, or: catalogsync resume" in shell.out
    assert (len(shell.sent), codes(shell)) == (most - 1, ["N1", "N2"])
    assert shell("resume", "--max-requests", most) == 6
    assert len(shell.sent) <= most
    assert len(codes(shell)) > 2
    assert shell(*IMPORT) == 0
    assert codes(shell) == [f"N{n}" for n in range(1, 7)]


def test_a_budget_that_is_spent_while_reading_ends_with_6_and_nothing_is_written(shell: Shell) -> None:
    for most in range(1, reads_of(shell)):
        assert shell(*IMPORT, "--max-requests", most) == 6
        assert shell.err.splitlines()[-1] == (
            f"error: the budget of {'1 request' if most == 1 else f'{most} requests'} is used up: "
            f"{most} {'was' if most == 1 else 'were'} sent. "
            "Nothing was written; give it more, then run the command again"
        )
        assert (len(shell.sent), shell.posts) == (most, [])
    assert shell("plan", "sheet.csv", "-m", "map.yaml", "--max-requests", 1) == 6
    assert shell("history", "--json") == 0
    assert json.loads(shell.out) in ([], {"runs": []})


def test_the_environment_sets_both_and_a_bad_duration_is_a_wrong_command_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGSYNC_MAX_REQUESTS", "2")
    assert shell("export", "4220", "out.csv") == 6
    assert (len(shell.sent), Path("out.csv").exists()) == (2, False)
    monkeypatch.delenv("CATALOGSYNC_MAX_REQUESTS")
    monkeypatch.setenv("CATALOGSYNC_DEADLINE", "1h")
    assert shell("export", "4220", "out.csv") == 0
    for text in ("soon", "10", "0s", "-1m", "5m5h", "m"):
        assert shell("plan", "sheet.csv", "-m", "map.yaml", "--deadline", text) == 64
        assert "is no duration such as 90s, 10m or 2h" in shell.err


def test_apply_and_undo_stop_and_are_gone_on_with(shell: Shell) -> None:
    assert shell("plan", "sheet.csv", "-m", "map.yaml", "--out", "plan.json") == 0
    assert shell("apply", "plan.json", "--max-requests", 2) == 6
    assert (len(shell.sent), codes(shell)) == (2, [])
    assert shell("apply", "plan.json", "--max-requests", 10) == 6
    done = len(codes(shell))
    assert (0 < done < 6, len(shell.sent) <= 10) == (True, True)
    assert shell("resume") == 0
    assert len(codes(shell)) == 6
    assert shell("history", "--json") == 0
    last = json.loads(shell.out)
    run_id = max(each["id"] for each in (last if isinstance(last, list) else last["runs"]))
    assert shell("undo", run_id, "--yes", "--max-requests", 8, "--max-delete", "100%") == 6
    assert len(shell.sent) <= 8
    assert shell("resume") == 0
    assert len(codes(shell)) == done


def test_a_lost_answer_is_settled_beyond_the_budget_and_nothing_is_there_twice(shell: Shell) -> None:
    most = reads_of(shell) + 2
    shell.emulator.fault(Fault("status", "POST", status=504, when="after"))
    assert shell(*IMPORT, "--max-requests", most, "--settle", 0) == 6
    assert codes(shell) == ["N1"]
    beyond = shell.sent[most - 1 :]
    assert beyond
    assert {arrival.method for arrival in beyond} == {"GET"}
    assert shell(*IMPORT) == 0
    assert codes(shell) == [f"N{n}" for n in range(1, 7)]


def test_what_has_to_be_repeated_counts_and_a_write_that_was_throttled_is_not_sent_beyond_the_budget(
    shell: Shell,
) -> None:
    most = reads_of(shell) + 2
    shell.emulator.fault(Fault("status", "POST", status=429, count=0))
    assert shell(*IMPORT, "--max-requests", most) == 6
    assert (len(shell.sent), codes(shell)) == (most - 1, [])
    shell.emulator.faults.clear()
    assert shell(*IMPORT) == 0
    assert codes(shell) == [f"N{n}" for n in range(1, 7)]
