"""A sample of the byte-level mutations: `python -m tests.mutate` runs 2,000 of them."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tests import mutate
from tests.cage import Cage, Task, Verdict

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the ceilings of a process are read from /proc")


def test_no_mutation_ends_in_a_traceback_a_crash_a_hang_or_an_empty_catalog(tmp_path: Path) -> None:
    outcomes = list(mutate.run(range(60), 2024, tmp_path, mutate.subjects(tmp_path)))
    assert [outcome for outcome in outcomes if not outcome.verdict.is_right] == []
    found = {outcome.verdict.outcome for outcome in outcomes}
    assert found == {"read", "refused"}, mutate.table(outcomes)


def test_a_mutation_is_known_by_seed_and_number(tmp_path: Path) -> None:
    among = mutate.subjects(tmp_path)
    first, second = (mutate.mutation(7, 1, among) for _ in range(2))
    assert first == second
    assert mutate.mutation(8, 1, among) != first


@pytest.mark.parametrize("name", list(mutate.DAMAGES))
def test_each_damage_changes_what_it_is_given_and_takes_anything(name: str) -> None:
    chance = random.Random(3)
    content = b"Code;Name;Price\n" + b"".join(b"%d;x%d;%d\n" % (n, n * n, n + 5) for n in range(3_000))
    assert any(mutate.DAMAGES[name](content, chance) != content for _ in range(5))
    assert isinstance(mutate.DAMAGES[name](b"", chance), bytes)


WRONG = {
    "traceback": "import catalogsync.reader as r; r.read_sheet = lambda *a, **k: 1 // 0",
    "crash": "import os; import catalogsync.reader as r; r.read_sheet = lambda *a, **k: os.abort()",
    "hang": "import catalogsync.reader as r\ndef f(*a, **k):\n  while True: pass\nr.read_sheet = f",
    "memory": "import catalogsync.reader as r; r.read_sheet = lambda *a, **k: bytearray(2 << 30)",
}


@pytest.mark.parametrize("outcome", WRONG)
def test_what_goes_wrong_in_the_cage_is_seen(outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(WRONG[outcome], encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "a.csv").write_text("Code\n1\n", encoding="utf-8")
    with Cage(limit_s=1, warm=False) as cage:
        verdict = cage(Task(str(tmp_path / "a.csv")))
    assert verdict.outcome == outcome, verdict


def test_a_verdict_is_right_where_the_sheet_was_read_or_refused() -> None:
    assert [outcome for outcome in mutate.OUTCOMES if Verdict(outcome).is_right] == ["read", "refused"]
