"""The crash matrix: an import of 126 changes in 42 batches, killed at every step, then run again.

    python -m tests.crash.matrix [--api v2|v4] [--every N] [--sample N] [--seed S]

For each step of a plain run the account and the state folder are put back, the same command is killed at that step
and run again. Then the catalog must say exactly what the sheet says, nothing else may have changed, the journal must
be clean, and a third run must send no write. Beside every step with one batch on its way at a time, a sample is
killed with three, and another is killed again while the second run settles what the first one left.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from catalogsync.emulator.server import Emulator
from tests.crash import shop
from tests.crash.child import Children, Ended

APIS = ("v2", "v4")
BATCH = 3
SETTLE_S = 0.2
"""Enough for a server that applies at once what it gets."""

SECOND_KILLS = 40
"""The second run is killed within so many steps: it settles the first one's doubt there."""

WRITES = ("POST", "PATCH", "DELETE")


@dataclass(frozen=True)
class Point:
    """Where a run is killed, how many batches are on their way at once, and where its repetition is killed (0: not)."""

    kill_at: int
    in_flight: int = 1
    again_at: int = 0

    @property
    def part(self) -> str:
        """Which part of the matrix it belongs to."""
        if self.again_at:
            return "killed twice"
        return f"{self.in_flight} in flight"


@dataclass
class Tally:
    """What came out."""

    points: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def table(self) -> str:
        """The kills by step, then the sums."""
        lines = [f"{count:7}  killed at {step}" for step, count in sorted(self.kills.items())]
        lines += [f"{count:7}  points with {part}" for part, count in sorted(self.points.items())]
        lines.append(f"{sum(self.points.values()):7}  points, {sum(self.kills.values())} kills")
        lines.append(f"{len(self.wrong):7}  wrong outcomes")
        lines.append(f"{self.seconds:7.0f}  seconds")
        return "\n".join([*lines, *self.wrong])


class Matrix:
    """An account, a command, and a snapshot of both to begin from. A context manager."""

    def __init__(self, api: str) -> None:
        self.api = api
        self._shop = shop.made()
        self._opened = ExitStack()
        temporary = tempfile.TemporaryDirectory(prefix="crash-matrix-", ignore_cleanup_errors=True)
        self._folder = Path(self._opened.enter_context(temporary))
        self._state, self._first_state = self._folder / "state", self._folder / "first"
        self._emulator = self._opened.enter_context(Emulator(seed=self._shop.seed(), rps=0))
        self._children = self._opened.enter_context(Children())
        self._account = self._opened.enter_context(closing(sqlite3.connect(":memory:")))
        (self._folder / "shop.yaml").write_text(shop.MAPPING, encoding="utf-8")
        self._write_sheet("first.csv", self._shop.first_rows)
        self._write_sheet("sheet.csv", self._shop.rows)

    def __enter__(self) -> Matrix:
        first = self._run("first.csv")
        if first.code != 0 or self._writes():
            raise AssertionError(f"the first run should find nothing to do:\n{first.output}")
        self._emulator.store._db.backup(self._account)
        shutil.copytree(self._state, self._first_state)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def _write_sheet(self, name: str, rows: Sequence[Sequence[str]]) -> None:
        with (self._folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, delimiter=";").writerows([shop.HEADERS, *rows])

    # --- one run ---

    def _run(self, sheet: str, *, kill_at: int = 0, in_flight: int = 1) -> Ended:
        self._emulator.clear_requests()
        return self._children.run(
            [
                *("import", str(self._folder / sheet), "-m", str(self._folder / "shop.yaml"), "--yes", "-q"),
                *("--batch", str(BATCH), "--settle", str(SETTLE_S), "--rps", "0", "--max-delete", "100%"),
            ],
            {
                "CATALOGSYNC_URL": self._emulator.url,
                "CATALOGSYNC_TOKEN": shop.TOKEN,
                "CATALOGSYNC_API": self.api,
                "CATALOGSYNC_STATE": str(self._state),
            },
            kill_at=kill_at,
            in_flight=in_flight,
        )

    def _writes(self) -> int:
        return sum(arrival.method in WRITES for arrival in self._emulator.requests)

    def _begin_anew(self) -> None:
        store = self._emulator.store
        with store._lock:
            self._account.backup(store._db)
            store._forget()
        shutil.rmtree(self._state)
        shutil.copytree(self._first_state, self._state)

    def plain(self, in_flight: int = 1) -> tuple[list[str], list[str]]:
        """The steps of a run that nobody kills, and what is wrong with its outcome."""
        self._begin_anew()
        run = self._run("sheet.csv", in_flight=in_flight)
        wrong = [] if run.code == 0 else [f"a plain run ended with {run.code}:\n{run.output}"]
        if self._writes() != shop.CHANGES // BATCH:
            wrong.append(f"a plain run wrote {self._writes()} batches")
        return list(run.steps), wrong + self._differences() + self._third()

    def kill(self, point: Point) -> tuple[list[str], list[str]]:
        """The steps where the processes were killed, and what is wrong with the outcome."""
        self._begin_anew()
        killed = [self._run("sheet.csv", kill_at=point.kill_at, in_flight=point.in_flight)]
        if point.again_at:
            killed.append(self._run("sheet.csv", kill_at=point.again_at, in_flight=point.in_flight))
        steps = [each.killed_at for each in killed if each.killed_at]
        wrong = [f"ended with {e.code} instead of being killed:\n{e.output}" for e in killed if _is_odd(e)]
        second = self._run("sheet.csv", in_flight=point.in_flight)
        if second.code != 0:
            wrong.append(f"the second run ended with {second.code}:\n{second.output}")
        return steps, wrong + self._differences() + self._third()

    # --- what must hold afterwards ---

    def _third(self) -> list[str]:
        third = self._run("sheet.csv")
        if third.code == 0 and not self._writes():
            return []
        return [f"the third run ended with {third.code} and wrote {self._writes()} times:\n{third.output}"]

    def _differences(self) -> list[str]:
        held = [
            shop.Product(each.name, each.values, each.id) for each in self._emulator.store.elements(shop.CATALOG_ID)
        ]
        wrong = []
        by_code = Counter(each.code for each in held if each.code)
        wrong += [f"{count} elements hold {code}" for code, count in by_code.items() if count > 1]
        known = {each.id for each in self._shop.before}
        found = {(each.id if each.id in known else None, each.code, each.name, str(_sorted(each))) for each in held}
        wanted = {(each.id, each.code, each.name, str(_sorted(each))) for each in self._shop.after}
        wrong += [f"missing: {each}" for each in sorted(wanted - found, key=str)]
        wrong += [f"not wanted: {each}" for each in sorted(found - wanted, key=str)]
        with closing(sqlite3.connect(self._state / "journal.sqlite")) as journal:
            for table, column, value in (("runs", "state", "running"), ("operations", "outcome", "sent")):
                (count,) = journal.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (value,)).fetchone()
                if count:
                    wrong.append(f"the journal holds {count} {table} that are {value}")
        return wrong


def _is_odd(ended: Ended) -> bool:
    return not ended.killed_at and ended.code != 0


def _sorted(product: shop.Product) -> list[tuple[int, object]]:
    """Values in one order; the parts of an address too."""
    return [(k, sorted(v.items()) if isinstance(v, dict) else v) for k, v in sorted(product.values.items())]


# --- the points, and the command -----------------------------------------------------------------------------


def points_of(steps: Sequence[str], *, every: int = 1, sample: int = 0, seed: int = 0) -> list[Point]:
    """The whole matrix of a plain run's steps, or every so-manieth point of it, or a sample of its parts.

    Beside the steps one by one: a tenth as many with three batches on their way, and as many killed twice.
    """
    chosen = random.Random(seed)
    ones = [Point(number) for number in range(1, len(steps) + 1)]
    several = max(1, len(steps) // 10)
    threes = [Point(chosen.randint(1, len(steps)), 3) for _ in range(several)]
    twice = [Point(chosen.randint(1, len(steps)), 1, chosen.randint(1, SECOND_KILLS)) for _ in range(several)]
    if sample:
        few = max(1, sample // 6)
        return sorted(chosen.sample(ones, sample - 2 * few), key=lambda p: p.kill_at) + threes[:few] + twice[:few]
    return [*ones, *threes, *twice][::every]


def run(
    api: str,
    *,
    every: int = 1,
    sample: int = 0,
    seed: int = 0,
    heard: Callable[[int, int, Tally], object] = lambda *_: None,
) -> Tally:
    """Kill at every point of a dialect's matrix. `heard` hears how many of how many points are done."""
    tally, began = Tally(), time.monotonic()
    with Matrix(api) as matrix:
        steps, wrong = matrix.plain()
        tally.wrong += [f"{api}, plain run: {words}" for words in wrong]
        points = points_of(steps, every=every, sample=sample, seed=seed)
        for done, point in enumerate(points, start=1):
            killed_at, wrong = matrix.kill(point)
            tally.points[point.part] += 1
            tally.kills.update(killed_at)
            tally.wrong += [f"{api}, {point}, killed at {killed_at}: {words}" for words in wrong]
            tally.seconds = time.monotonic() - began
            heard(done, len(points), tally)
    return tally


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.matrix", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--api", choices=APIS, help="one dialect only")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th point only")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="N points drawn by lot")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of what is drawn by lot")
    told = parser.parse_args()
    failed = False
    for api in (told.api,) if told.api else APIS:

        def heard(done: int, total: int, tally: Tally, api: str = api) -> None:
            if done % 25 == 0 or done == total:
                print(f"{api}: {done} of {total} points, {len(tally.wrong)} wrong", file=sys.stderr, flush=True)

        tally = run(api, every=told.every, sample=told.sample, seed=told.seed, heard=heard)
        print(f"{api}\n{tally.table()}", flush=True)
        failed = failed or bool(tally.wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
