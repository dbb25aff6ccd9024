"""docs/scale.md: its tables follow from its constants, and those that the code fixes are the code's."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale import DOCUMENT, constants_in, duration, reads, size, tables, tables_in, update_requests
from catalogsync.api.client import PAGES_AHEAD
from catalogsync.api.v2 import V2
from catalogsync.api.v4 import V4
from catalogsync.pace import Pace
from catalogsync.sync import PlanOptions
from tests.e2e.conftest import Start, catalog_of, start

__all__ = ["start"]

TEXT = DOCUMENT.read_text(encoding="utf-8")
KNOWN = constants_in(TEXT)
ROWS, CHANGED = 1_500, 300


def test_the_tables_follow_from_the_constants_below_them() -> None:
    """`python -m benchmarks.scale` writes them."""
    assert tables_in(TEXT) == tables(KNOWN)


def test_the_constants_that_the_code_fixes_are_those_of_the_code() -> None:
    fixed = {
        "page_rows_v2": V2().capabilities.page_rows,
        "page_rows_v4": V4().capabilities.page_rows,
        "batch": PlanOptions().batch_size,
        "pace_rps": round(Pace(7).rps, 6),
    }
    assert {name: KNOWN[name] for name in fixed} == fixed


def _about(requests: int) -> range:
    """Of three pages that are asked for at once, as the end is near, none to all may be in vain: one is reckoned."""
    return range(requests - 1, requests + PAGES_AHEAD)


@pytest.mark.parametrize("dialect", ["v2", "v4"])
def test_a_plan_and_its_import_send_as_many_requests_as_the_document_says(
    dialect: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGSYNC_API", dialect)
    fields = [{"id": 101, "name": "Code", "type": "text"}, {"id": 102, "name": "Amount", "type": "numeric"}]
    elements = [{"name": f"P{n}", "values": {"Code": f"C{n}", "Amount": n}} for n in range(ROWS)]
    shell = start(catalog_of(fields, elements))
    sheet, mapping = tmp_path / "sheet.csv", tmp_path / "map.yaml"
    lines = [f"P{n};C{n};{n + 1 if n < CHANGED else n}\n" for n in range(ROWS)]
    sheet.write_text("name;code;amount\n" + "".join(lines), encoding="utf-8")
    mapping.write_text(
        "catalog: 4220\nkey: code\ncolumns: {name: name, code: Code, amount: Amount}\n", encoding="utf-8"
    )
    shell.plan(sheet, "-m", mapping)  # from now on it is known how many pages there are
    shell.plan(sheet, "-m", mapping)
    planned = reads(ROWS, dialect, KNOWN)
    assert len(shell.sent) in _about(planned)
    shell.emulator.clear_requests()
    assert shell("import", sheet, "-m", mapping, "--yes", "-q", "--max-update", "100%") == 0
    assert len(shell.sent) in _about(planned + update_requests(CHANGED, dialect, 250))


def test_durations_and_sizes_have_two_figures_and_the_unit_that_suits() -> None:
    assert [duration(s) for s in (0.4, 3.79, 118, 121, 7_300, 360_000)] == [
        "under 1 s",
        "3.8 s",
        "118 s",
        "2 min",
        "2 h",
        "100 h",
    ]
    assert [size(mb) for mb in (0.2, 1.26, 999, 1_024, 10_240)] == ["under 1 MB", "1.3 MB", "999 MB", "1 GB", "10 GB"]


def test_updates_take_a_look_more_in_v4_and_smaller_batches_more_requests() -> None:
    assert [update_requests(1_000, *kind) for kind in (("v2", 250), ("v4", 250), ("v2", 50))] == [8, 12, 40]
