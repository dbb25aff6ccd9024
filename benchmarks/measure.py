"""Measuring two ways to the same result beside each other, and what is told of it.

Both run in this process and in turns, so that what else the machine does meets both; a figure is the ratio of the
two in one turn, never a time of one against a time of another day.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.parts import Part

T = TypeVar("T")

CPU, WALL = "CPU", "wall"
CLOCKS: dict[str, Callable[[], float]] = {CPU: time.process_time, WALL: time.perf_counter}

ANY, LEAST, MOST = "", "≥", "≤"
VERSIONS = ("pandas", "pyarrow", "polars", "python-calamine", "fastexcel", "xlsxwriter", "numpy")


@dataclass(frozen=True)
class Figure:
    """A line of the table: `values` of the repeats, in `unit`; `target` with `bound`, ANY where there is none.

    `ours_s` and `peer_s` are the seconds of the repeats, where two were compared. `is_limit`: every repeat has to
    keep to the target, not only the median.
    """

    stage: str
    rows: int
    peer: str
    values: tuple[float, ...]
    unit: str = "×"
    bound: str = ANY
    target: float = 0.0
    clock: str = CPU
    ours_s: tuple[float, ...] = ()
    peer_s: tuple[float, ...] = ()
    is_limit: bool = False

    @property
    def middle(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is kept to; None without one."""
        if self.bound == ANY:
            return None
        return self.judged >= self.target if self.bound == LEAST else self.judged <= self.target

    @property
    def judged(self) -> float:
        """What is held against the target."""
        if not self.is_limit:
            return self.middle
        return min(self.values) if self.bound == LEAST else max(self.values)


@dataclass
class Results:
    """What a run has found so far, in its order, and what it left out and why."""

    repeat: int
    figures: list[Figure] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Timed:
    """Seconds of the repeats of two ways, turn by turn."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]

    @property
    def faster(self) -> tuple[float, ...]:
        """How many times as fast as the peer."""
        return tuple(peer / ours for ours, peer in zip(self.ours, self.peer, strict=True))

    @property
    def slower(self) -> tuple[float, ...]:
        """How many times as long as the peer."""
        return tuple(ours / peer for ours, peer in zip(self.ours, self.peer, strict=True))


def timed(ours: Callable[[], Any], peer: Callable[[], Any], repeat: int, clock: str = CPU) -> Timed:
    """Both ways in turns, each first in every other turn. Comparing their results has warmed both up."""
    seconds: dict[Callable[[], Any], list[float]] = {ours: [], peer: []}
    for turn in range(repeat):
        for way in (ours, peer) if turn % 2 == 0 else (peer, ours):
            seconds[way].append(once(way, clock))
    return Timed(tuple(seconds[ours]), tuple(seconds[peer]))


def once(way: Callable[[], Any], clock: str = CPU) -> float:
    """The seconds of one call. What it made is thrown away after the clock stopped."""
    return kept(way, clock)[0]


def kept(way: Callable[[], T], clock: str = CPU) -> tuple[float, T]:
    """The seconds of one call, and what it made."""
    now = CLOCKS[clock]
    gc.collect()
    began = now()
    made = way()
    return now() - began, made


def pin() -> str:
    """Keep this process and its children on one core, where that can be done; says what was done."""
    os.environ["POLARS_MAX_THREADS"] = "1"
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned to a core"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f"pinned to core {core}"


def has(package: str) -> bool:
    """Whether a peer is installed."""
    return util.find_spec(package) is not None


def machine() -> str:
    """The processor, its cores, the system and the load at this moment, in a line."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}{load}"


def versions() -> str:
    """Python and the libraries, in a line."""
    told = [f"Python {platform.python_version()}"]
    for package in VERSIONS:
        try:
            told.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            told.append(f"{package} not installed")
    return ", ".join(told)
