"""The stages that are compared with a peer in this process. Each checks first that both come to the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import python_calamine

from benchmarks import canned, exporting, peers
from benchmarks.data import HEADERS, Data, bodies, write_book
from benchmarks.measure import ANY, CPU, LEAST, MOST, Figure, Results, Timed, has, kept, timed
from benchmarks.parts import Timer, parts_of, timed_parts
from catalogsync import columnwise, differ, guards, pairing, planning, sync, tables
from catalogsync.api import v2
from catalogsync.api.client import Client
from catalogsync.api.transport import HttpTransport
from catalogsync.elements import existing_table, wanted_columns
from catalogsync.mapping import resolve
from catalogsync.mappingfile import load_mapping
from catalogsync.matching import Match
from catalogsync.reader import read_sheet

LARGE_ROWS = 500_000
"""From here on a plan is made once by each: the calls whose results are compared are timed."""

MOST_BOOK_ROWS = 100_000
"""Workbooks are compared up to here: a larger one takes minutes to make."""


def check(ours: object, peer: object, what: str) -> None:
    """Stop where the two did not come to the same: then the times mean nothing."""
    if ours != peer:
        raise SystemExit(f"{what}: the results differ, nothing was timed")


_PLAN_PEERS: dict[str, tuple[Callable[[Path, Iterable[bytes]], peers.Outcome], float]] = {
    "loop over rows": (peers.plan_by_loop, 7),
    "pandas": (peers.plan_by_pandas, 4),
}
"""What makes a plan, and how many times as fast as it ours should be."""


def plan(data: Data, state: Path, results: Results) -> None:
    """Sheet and pages in, plan out: against a loop over rows, and against pandas.

    From LARGE_ROWS on the calls whose results are compared are those that count: each takes a minute.
    """
    own_s, planned = kept(lambda: canned.planned(data, state))
    expected = peers.outcome_of(planned.plan.changes)
    del planned
    for name, (peer, target) in _PLAN_PEERS.items():
        by_peer = partial(_by, peer, data)
        peer_s, found = kept(by_peer)
        check(expected, found, f"plan, {name}")
        del found
        took = Timed((own_s,), (peer_s,))
        if data.rows < LARGE_ROWS:
            took = timed(partial(canned.planned, data, state), by_peer, results.repeat)
        results.figures.append(
            Figure("plan", data.rows, f"{name}, faster", took.faster, "×", LEAST, target, CPU, took.ours, took.peer)
        )
    plan_parts(data, state, results)


_FETCH = "threads, pages in order, one table"
_PLAN_PARTS = (
    Timer("reading the sheet with its checks", sync, "read_sheet"),
    Timer("its cells to canonical text", tables, "desired_table"),
    Timer("threads, pages in order, one table", planning, "fetch_elements"),
    Timer(
        "JSON of the pages to objects", HttpTransport, "_body", "threads, pages in order, one table", time.thread_time
    ),
    Timer("objects to columns", Client, "_read", "threads, pages in order, one table", time.thread_time),
    Timer("pairing rows and elements", pairing, "paired"),
    Timer("comparing, an object per change", differ, "diff"),
    Timer("alarms", guards, "alarms"),
)


def plan_parts(data: Data, state: Path, results: Results) -> None:
    """Where the processor time of a plan goes."""
    with timed_parts(_PLAN_PARTS) as spent:
        whole_s, _ = kept(partial(canned.planned, data, state))
    results.parts += parts_of("plan", data.rows, spent, whole_s)


def _by(peer: Callable[[Path, Iterable[bytes]], peers.Outcome], data: Data) -> peers.Outcome:
    return peer(data.sheet, bodies(data))


_DIFF_PARTS = (
    Timer("looking up the rows' keys", columnwise, "places_of"),
    Timer("taking the elements' texts in the order of the rows, comparing", Match, "differs"),
)


def diff(data: Data, state: Path, results: Results) -> None:
    """The comparison alone, of columns that lie in memory: against a join by polars."""
    if not has("polars"):
        results.left_out.append("diff: polars is not installed")
        return
    import polars as pl

    with Client(v2.V2(), canned.Canned(data)) as client:
        schema = client.schema(client.catalog("4220"))
        sheet = read_sheet(data.sheet)
        mapping = resolve(load_mapping(data.mapping), schema, sheet.headers)
        desired = tables.desired_table(sheet, mapping)
        elements = client.elements(schema, wanted_columns(mapping.columns))
        existing = existing_table(elements, mapping, desired.seen)
    keys = [column.key for column in mapping.columns]
    wanted, held = (
        pl.DataFrame({key: pa.array(frame[key].array, pa.large_string()) for key in keys})
        for frame in (desired.table, existing.table)
    )
    nothing = pd.Index([], dtype="str")

    def ours() -> Any:
        return differ.diff(Match.of(desired.table, existing.table), mapping, nothing).changes

    def theirs() -> peers.Outcome:
        return peers.diff_by_polars(wanted, held)

    check(peers.outcome_of(ours()), theirs(), "diff")
    took = timed(ours, theirs, results.repeat)
    with timed_parts(_DIFF_PARTS) as spent:
        whole_s, _ = kept(ours)
    results.parts += parts_of("diff", data.rows, spent, whole_s)
    results.figures.append(
        Figure("diff", data.rows, "polars join", took.slower, "×", MOST, 1.1, CPU, took.ours, took.peer)
    )


def csv(data: Data, _: Path, results: Results) -> None:
    """A regular CSV file with all checks: against pyarrow.csv, which makes columns of text."""
    options = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(HEADERS, pa.string()), strings_can_be_null=False, null_values=[]
    )

    def theirs() -> Any:
        return arrow_csv.read_csv(data.sheet, arrow_csv.ReadOptions(use_threads=False), convert_options=options)

    sheet, table = read_sheet(data.sheet), theirs()
    check([*sheet.headers], table.column_names, "csv")
    for place, header in enumerate(HEADERS):
        check(sheet.cells[place].tolist(), table[header].to_pylist(), f"csv, {header}")
    took = timed(lambda: read_sheet(data.sheet), theirs, results.repeat)
    results.figures.append(
        Figure("csv", data.rows, "pyarrow.csv", took.slower, "×", MOST, 2, CPU, took.ours, took.peer)
    )


def xlsx(data: Data, _: Path, results: Results) -> None:
    """A workbook with all checks: against python-calamine, which makes lists of cells; fastexcel makes columns."""
    if data.rows > MOST_BOOK_ROWS:
        results.left_out.append(f"xlsx: at most {MOST_BOOK_ROWS:,} rows, not {data.rows:,}")
        return
    write_book(data)

    def by_calamine() -> list[list[Any]]:
        return python_calamine.load_workbook(str(data.book)).get_sheet_by_index(0).to_python()

    sheet, (head, *body) = read_sheet(data.book), by_calamine()
    check([*sheet.headers], head, "xlsx")
    for place, header in enumerate(HEADERS):
        cells = [_text(row[place]) for row in body]
        check(sheet.cells[place].tolist(), cells, f"xlsx, {header}")
    del body
    took = timed(lambda: read_sheet(data.book), by_calamine, results.repeat)
    results.figures.append(
        Figure("xlsx", data.rows, "python-calamine", took.slower, "×", MOST, 1.3, CPU, took.ours, took.peer)
    )
    if not has("fastexcel"):
        results.left_out.append("xlsx: fastexcel is not installed")
        return
    import fastexcel

    def by_fastexcel() -> Any:
        return fastexcel.read_excel(data.book).load_sheet(0, dtypes="string").to_arrow()

    check(sheet.cells[0].tolist(), by_fastexcel()["code"].to_pylist(), "xlsx, fastexcel")
    took = timed(lambda: read_sheet(data.book), by_fastexcel, results.repeat)
    results.figures.append(Figure("xlsx", data.rows, "fastexcel", took.slower, "×", ANY, 0, CPU, took.ours, took.peer))


def _text(value: Any) -> str:
    """A cell of calamine as the reader tells it: numbers without a needless point, dates as ISO."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def export(data: Data, state: Path, results: Results) -> None:
    """A workbook with styles, types, drop-downs and hidden values: against xlsxwriter alone with the same cells."""
    if data.rows > MOST_BOOK_ROWS:
        results.left_out.append(f"export: at most {MOST_BOOK_ROWS:,} rows, not {data.rows:,}")
        return
    made = exporting.prepared(data)
    ours, theirs = state / "ours.xlsx", state / "peer.xlsx"
    made.by_us(ours)
    made.by_xlsxwriter(theirs)
    for tab in exporting.SAME_TABS:
        check(exporting.cells_of(ours, tab), exporting.cells_of(theirs, tab), f"export, {tab}")
    took = timed(lambda: made.by_us(ours), lambda: made.by_xlsxwriter(theirs), results.repeat)
    results.figures.append(
        Figure("export", data.rows, "xlsxwriter", took.slower, "×", MOST, 1.15, CPU, took.ours, took.peer)
    )


def growth(results: Results) -> None:
    """What a row costs in the largest plan against the smallest one, by the times that `plan` found."""
    costs: dict[int, list[float]] = {}
    for figure in results.figures:
        if figure.stage == "plan":
            costs.setdefault(figure.rows, []).extend(second / figure.rows for second in figure.ours_s)
    if len(costs) < 2:
        return
    small, large = min(costs), max(costs)
    least = float(np.median(costs[small]))
    ratios = tuple(cost / least for cost in costs[large])
    results.figures.append(Figure("growth", large, f"cost per row at {small:,}", ratios, "×", MOST, 1.15))
