"""Measures each stage beside its peer in the same run, and tells the ratios.

    python -m benchmarks [--rows 100000 1000000] [--only NAME …] [--all] [--repeat N] [--write]

The stage `api` compares the time of a fetch and of an apply with what the rate limit allows; that takes many minutes,
so it is left out unless it is asked for, by `--only api` or `--all`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import measure

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("plan", "diff", "csv", "xlsx", "export", "memory", "growth", "startup", "api")
LONG = ("api",)


def main(arguments: Sequence[str] | None = None) -> measure.Results:
    """Run what is asked for, print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000], help="sizes (default: 100000)")
    parser.add_argument("--only", nargs="+", choices=STAGES, default=[], help="these stages only")
    parser.add_argument("--all", action="store_true", help="the stages that take many minutes, too")
    parser.add_argument("--repeat", type=int, default=3, help="turns per comparison (default: 3)")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and its picture")
    given = parser.parse_args(arguments)
    left_out = () if given.all or given.only else LONG
    names = given.only or [name for name in STAGES if name not in left_out]
    if given.write and given.only:
        parser.error("--write is for a whole run: leave --only out")
    pinned = measure.pin()
    facts = [
        f"made at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {given.repeat} turns",
        f"{measure.machine()}, {pinned}",
        measure.versions(),
    ]
    from benchmarks import report  # after the pinning, which libraries look at when they are loaded

    print("\n".join(facts), file=sys.stderr)
    results = measured(names, sorted(set(given.rows)), given.repeat)
    results.left_out += [f"{name}: takes many minutes, `--all`" for name in left_out]
    print(report.text(results))
    if given.write:
        (ROOT / "docs" / "benchmarks.md").write_text(report.markdown(results, facts), encoding="utf-8")
        picture = ROOT / "docs" / "pictures" / "benchmarks.svg"
        picture.write_text(report.picture(results.figures), encoding="utf-8")
    return results


def measured(names: Sequence[str], sizes: Sequence[int], repeat: int) -> measure.Results:
    """The figures of some stages at some sizes."""
    from benchmarks import child, data, stages

    results = measure.Results(repeat)
    compared: dict[str, Callable[[data.Data, Path, measure.Results], None]] = {
        "plan": stages.plan,
        "diff": stages.diff,
        "csv": stages.csv,
        "xlsx": stages.xlsx,
        "export": stages.export,
        "memory": lambda made, _, found: child.memory(made, found),
    }
    with tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ["CATALOGSYNC_STATE"] = str(folder / "state")
        for rows in sizes:
            if not compared.keys() & set(names):
                break
            _say(f"{rows:,} rows: making them")
            made = data.make(rows, folder / str(rows))
            for stage in [stage for stage in compared if stage in names]:
                _say(f"{rows:,} rows: {stage}")
                compared[stage](made, made.folder, results)
        if "growth" in names:
            stages.growth(results)
        if "startup" in names:
            _say("startup")
            child.startup(folder / "startup", results)
        if "api" in names:
            from benchmarks import paced

            paced.measure(results, _say)
    return results


def _say(what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
