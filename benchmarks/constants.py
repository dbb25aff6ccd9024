"""The constants that docs/scale.md reckons with: memory, processor and disk per row, per element and per change.

    python -m benchmarks.constants [ROWS]

An emulator in a process of its own holds ROWS elements of 12 columns, and then three times as many; each command is a
process of its own, too, of which the system says its processor time and its peak memory. What a row takes is the
slope between the two sizes; what a command takes anyway is that of 100 rows. Nothing waits for the rate limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FEW_ROWS = 100
CHANGED_ROWS = 5_000
"""Written through the emulator, which is slower than reading."""

TURNS = 10

FIELDS = [{"id": 100 + n, "name": f"F{n}", "type": "numeric" if n in {3, 6, 9} else "text"} for n in range(11)]
MAPPING = f"catalog: 4220\nkey: F0\ncolumns: {{name: name, {', '.join(f'F{n}: F{n}' for n in range(11))}}}\n"


def value(row: int, column: int) -> str:
    """A cell: a key, three numbers, seven short texts."""
    if column == 0:
        return f"SKU-{row:07}"
    return str((row * 7 + column) % 10_000) if column in {3, 6, 9} else f"text {column} of item {row}"


def write_world(folder: Path, count: int, sheet_changes: int) -> None:
    """A seed with so many elements, and a sheet that changes one field of the first `sheet_changes`."""
    head = {
        "account": {"id": 1, "name": "Bench", "subdomain": "bench", "timezone": "UTC"},
        "catalogs": [{"id": 4220, "name": "Products", "fields": FIELDS, "elements": []}],
    }
    before, _, after = json.dumps(head).rpartition("]}]}")
    with (folder / "seed.json").open("w", encoding="utf-8") as file:
        # Piece by piece: a process begins with its parent's peak memory as its own, so this one has to stay small.
        file.write(before)
        for row in range(count):
            element = {"name": f"Product {row}", "values": {f"F{c}": value(row, c) for c in range(11)}}
            file.write(f"{',' if row else ''}{json.dumps(element)}")
        file.write(f"]}}]}}{after}")
    (folder / "map.yaml").write_text(MAPPING, encoding="utf-8")
    for name, changed in (("same.csv", 0), ("changed.csv", sheet_changes)):
        with (folder / name).open("w", encoding="utf-8") as file:
            file.write(";".join(["name", *(f"F{c}" for c in range(11))]) + "\n")
            for row in range(count):
                cells = [value(row, c) + (" too" if c == 1 and row < changed else "") for c in range(11)]
                file.write(";".join([f"Product {row}", *cells]) + "\n")


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds of a processor, and the most memory in MB."""

    cpu_s: float
    peak_mb: float


class Shell:
    """Runs commands against one account."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        self.folder, self.url = folder, url
        (folder / "token").write_text(token, encoding="utf-8")
        (folder / "token").chmod(0o600)
        self._environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("CATALOGSYNC_")},
            "CATALOGSYNC_URL": url,
            "CATALOGSYNC_TOKEN": token,
            "CATALOGSYNC_STATE": str(folder / "state"),
            "CATALOGSYNC_RPS": "0",
        }

    def __call__(self, *arguments: str) -> Cost:
        """One command as a process of its own. Raises RuntimeError where it fails."""
        process = subprocess.Popen(
            [sys.executable, "-m", "catalogsync", *arguments],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{arguments} ended with {process.returncode}")
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / unit)

    def bytes_of(self, pattern: str) -> int:
        """The size of the files in the folder that match."""
        return sum(path.stat().st_size for path in self.folder.glob(pattern))


@contextmanager
def account(count: int, sheet_changes: int = 0) -> Iterator[Shell]:
    """An emulator with so many elements, as a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_world(folder, count, sheet_changes)
        command = [sys.executable, "-m", "catalogsync", "emulator", "--json", "--rps", "0", "--seed", "seed.json"]
        server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout is not None
        try:
            told = json.loads(server.stdout.readline())
            yield Shell(folder, told["url"], told["token"])
        finally:
            server.terminate()
            server.wait()


def _turn_cpu_s(shell: Shell) -> float:
    """What one more turn of a small job takes in a process that runs anyway."""
    job = '{{sheet: same.csv, mapping: "map{}.yaml", account: only}}'
    told = []
    for count in (1, TURNS + 1):
        for number in range(count):
            (shell.folder / f"map{number}.yaml").write_text(MAPPING, encoding="utf-8")
        lines = [f"  j{number}: {job.format(number)}" for number in range(count)]
        account_line = f'  only: {{url: "{shell.url}", token: "file:token"}}'
        project = "\n".join(["accounts:", account_line, "jobs:", *lines, ""])
        (shell.folder / "catalogsync.yaml").write_text(project, encoding="utf-8")
        told.append(shell("reconcile", "-q"))
    return (told[1].cpu_s - told[0].cpu_s) / TURNS


def _thread_kb() -> float:
    """What a thread takes that waits: every account of a process that keeps running has one."""
    code = (
        "import resource, threading; end = threading.Event(); held = b'x' * (1 << 26); "  # above the parent's peak
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "before = peak(); made = [threading.Thread(target=end.wait) for _ in range(1000)]; "
        "[thread.start() for thread in made]; print((peak() - before) / 1000); end.set()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stdout) / (1024 if sys.platform == "darwin" else 1)


def measured(rows: int) -> dict[str, float]:
    """Every constant of docs/scale.md that is measured, by its name there."""
    plan = ("plan", "same.csv", "-m", "map.yaml", "-q")
    with account(FEW_ROWS) as shell:
        shell(*plan)  # the first one compiles
        few = min((shell(*plan) for _ in range(5)), key=lambda cost: cost.cpu_s)
        export_few = shell("export", "4220", "out.xlsx", "-q")
        turn_cpu_s = _turn_cpu_s(shell)
    with account(rows, min(rows, CHANGED_ROWS)) as shell:
        some = shell(*plan)
        export = shell("export", "4220", "out.xlsx", "-q")
        workbook_bytes = shell.bytes_of("out.xlsx")
        shell("import", "same.csv", "-m", "map.yaml", "--yes", "-q")
        base_bytes = shell.bytes_of("state/**/*.arrow")
        again = shell(*plan)
        before_bytes = shell.bytes_of("state/journal.sqlite*")
        shell("plan", "changed.csv", "-m", "map.yaml", "-q", "--out", "plan.json")
        digest = json.loads((shell.folder / "plan.json").read_text(encoding="utf-8"))["digest"]
        shell("apply", "plan.json", "-q", "--allow", digest)
        journal_bytes = shell.bytes_of("state/journal.sqlite*") - before_bytes
        sheet_bytes = shell.bytes_of("same.csv")
    with account(3 * rows, 3 * rows) as shell:
        many = shell(*plan)
        changed = shell("plan", "changed.csv", "-m", "map.yaml", "-q")
    most = 3 * rows
    return {
        "start_cpu_s": few.cpu_s,
        "start_mb": few.peak_mb,
        "turn_cpu_s": turn_cpu_s,
        "thread_kb": _thread_kb(),
        "plan_bytes_per_row": (many.peak_mb - some.peak_mb) / (most - rows) * (1 << 20),
        "plan_with_base_bytes_per_row": (again.peak_mb - few.peak_mb) / (rows - FEW_ROWS) * (1 << 20),
        "plan_us_per_row": (many.cpu_s - some.cpu_s) / (most - rows) * 1e6,
        "plan_with_base_us_per_row": (again.cpu_s - few.cpu_s) / (rows - FEW_ROWS) * 1e6,
        "change_bytes": (changed.peak_mb - many.peak_mb) / most * (1 << 20),
        "change_us": (changed.cpu_s - many.cpu_s) / most * 1e6,
        "journal_bytes_per_change": journal_bytes / min(rows, CHANGED_ROWS),
        "base_bytes_per_element": base_bytes / rows,
        "sheet_bytes_per_row": sheet_bytes / rows,
        "workbook_bytes_per_row": workbook_bytes / rows,
        "export_us_per_row": (export.cpu_s - export_few.cpu_s) / (rows - FEW_ROWS) * 1e6,
    }


def main() -> None:
    """Print one constant per line, as docs/scale.md has them."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    load = os.getloadavg()[0]
    for name, figure in measured(rows).items():
        print(f"| `{name}` | {figure:.3g} |")
    print(f"{rows:,} and {3 * rows:,} rows; {os.cpu_count()} processors, load {load:.1f} to {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
