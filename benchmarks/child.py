"""What is measured in a process of its own: memory of a plan, and how long a command takes to start.

python -m benchmarks.child FOLDER ROWS STARTS      prints the memory of one plan as JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import canned
from benchmarks.data import Data, catalog_numbers, make, seed_element, seed_fields
from benchmarks.measure import ANY, MOST, WALL, Figure, Results
from benchmarks.parts import Part, parts_of
from catalogsync.api.auth import Account
from catalogsync.emulator.server import Emulator

WARM_ROWS = 200
KB_PER_ROW = 1.4
START_ROWS = 100
MOST_START = {"--help": (0.25, 60), "--version": (0.25, 60), "plan of 100": (1.2, 0)}
"""Seconds and megabytes that a process may take; 0 is no limit."""


def peak_bytes() -> int:
    """The most memory that this process has had (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def memory(data: Data, results: Results) -> None:
    """The peak of a process that makes one plan, less the peak of the same process after a plan of 200 rows."""
    if not Path("/proc/self/status").exists():
        results.left_out.append("memory: no /proc on this system")
        return
    command = [sys.executable, "-m", "benchmarks.child", str(data.folder), str(data.rows), json.dumps(data.starts)]
    if len(command[-1]) > 100_000:
        starts = data.folder / "starts.json"
        starts.write_text(command[-1], encoding="utf-8")
        command[-1] = str(starts)
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    kb = (told["peak"] - told["baseline"]) / data.rows / 1000
    results.figures.append(Figure("memory", data.rows, "KB per row, peak", (kb,), "KB", MOST, KB_PER_ROW, clock=""))


def main() -> None:
    """A small plan, then the one that is measured."""
    folder, rows, starts = sys.argv[1:]
    told = starts if starts.startswith("[") else Path(starts).read_text(encoding="utf-8")
    data = Data(int(rows), Path(folder), tuple(json.loads(told)))
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        os.environ["CATALOGSYNC_STATE"] = name
        canned.planned(make(WARM_ROWS, state / "small"), state)
        baseline = peak_bytes()
        planned = canned.planned(data, state)
        print(json.dumps({"baseline": baseline, "peak": peak_bytes(), "changes": len(planned.plan.changes)}))


# --- start-up ------------------------------------------------------------------------------------------------


def startup(folder: Path, results: Results) -> None:
    """`--help`, `--version` and a plan of 100 rows against an emulator: seconds and memory of the whole process.

    Each begins as an installed program does the second time, its modules compiled.
    """
    if not hasattr(os, "wait4"):
        results.left_out.append("startup: no wait4 on this system")
        return
    small = make(START_ROWS, folder)
    elements = [seed_element(number) for number in catalog_numbers(START_ROWS)]
    seed = {"catalogs": [{"id": 4220, "name": "Products", "fields": seed_fields(), "elements": elements}]}
    with Emulator(seed=seed, rps=0) as server:
        account = Account(server.url, server.token)
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "CATALOGSYNC_URL": account.url,
            "CATALOGSYNC_TOKEN": account.token,
            "CATALOGSYNC_STATE": str(folder / "state"),
        }
        module = [sys.executable, "-m", "catalogsync"]
        commands = {
            "--help": [*module, "--help"],
            "--version": [*module, "--version"],
            "plan of 100": [*module, "plan", str(small.sheet), "-m", str(small.mapping), "-q"],
            "python alone": [sys.executable, "-c", "pass"],
            "import pandas": [sys.executable, "-c", "import pandas"],
        }
        for name, command in commands.items():
            runs = [_run(command, environment) for _ in range(results.repeat + 1)][1:]
            wall_s, cpu_s, megabytes = (tuple(column) for column in zip(*runs, strict=True))
            most_s, most_mb = MOST_START.get(name, (0, 0))
            bounds = [(MOST if most else ANY, float(most)) for most in (most_s, most_mb)]
            results.figures.append(Figure("startup", 0, f"{name}, time", wall_s, "s", *bounds[0], clock=WALL))
            results.figures.append(Figure("startup", 0, f"{name}, CPU time", cpu_s, "s"))
            results.figures.append(Figure("startup", 0, f"{name}, peak memory", megabytes, "MB", *bounds[1], clock=""))
        results.parts += _loading(commands["plan of 100"], environment)


_LOADED = {
    "loading pandas, with numpy and pyarrow": ("pandas", "numpy", "pyarrow"),
    "loading pydantic": ("pydantic", "annotated_types", "typing_inspection"),
    "loading requests": ("requests", "urllib3", "charset_normalizer", "idna", "certifi"),
    "loading catalogsync": ("catalogsync",),
}


def _loading(command: list[str], environment: dict[str, str]) -> list[Part]:
    """What a command spends on loading modules, by the package whose code runs then; the standard library counts as
    the rest, as does what the command is for."""
    timed = [sys.executable, "-X", "importtime", *command[1:]]
    began_s = time.perf_counter()
    told = subprocess.run(timed, env=environment, check=False, capture_output=True, text=True).stderr
    whole_s = time.perf_counter() - began_s
    spent = dict.fromkeys(_LOADED, 0.0)
    for line in told.splitlines():
        own, _, named = line.removeprefix("import time:").partition("|")
        package = named.rpartition("|")[2].strip().partition(".")[0]
        for what, packages in _LOADED.items():
            if package in packages and own.strip().isdecimal():
                spent[what] += int(own) / 1e6
    return parts_of("plan of 100", 0, spent, whole_s)


_LAUNCHER = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), time.perf_counter() - began, usage.ru_utime + usage.ru_stime,
                  usage.ru_maxrss]))
"""
"""A process counts what its parent had before it as its own memory: this parent is small."""


def _run(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak megabytes of a process."""
    launched = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    told = subprocess.run(launched, env=environment, check=True, capture_output=True, text=True).stdout
    code, wall_s, cpu_s, peak = json.loads(told)
    if code not in (0, 2):  # a plan with changes ends with 2
        raise SystemExit(f"{' '.join(command[2:])} ended with {code}")
    return wall_s, cpu_s, peak * (1 if sys.platform == "darwin" else 1024) / 1e6


if __name__ == "__main__":
    main()
