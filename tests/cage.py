"""Reads sheets and mappings in a process of its own, with a ceiling on memory and on time, and says what came of it.

`Cage` starts the process (``python -m tests.cage``) and gives it one task after another, each as a line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

GIGABYTE = 1 << 30
RIGHT = ("read", "refused")
"""The outcomes that are right: the sheet was read, or refused with words for a person."""


@dataclass(frozen=True)
class Task:
    """A sheet, with a mapping and the list's fields where its rows are to be understood too; or a mapping alone."""

    sheet: str = ""
    mapping: str = ""
    tab: str = ""
    fields: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Verdict:
    """What came of a task: read, refused, empty, traceback, crash, hang or memory."""

    outcome: str
    message: str = ""
    rows: int = 0
    seconds: float = 0.0
    peak_mb: int = 0

    @property
    def is_right(self) -> bool:
        return self.outcome in RIGHT


class Cage:
    """A process that reads what it is given. One that hangs or dies is replaced."""

    def __init__(self, *, limit_s: float = 10, memory_bytes: int = GIGABYTE, warm: bool = True) -> None:
        self._warm = warm
        self._limit_s = limit_s
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, task: Task) -> Verdict:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
        process.stdin.flush()
        used_s, started_s = _processor_s(process.pid), time.monotonic()
        answer = b""
        while not answer.endswith(b"\n"):
            if not select.select([process.stdout], [], [], 0.5)[0]:
                # The processor's time counts, so that a busy machine makes no hang; then there is waiting for nothing.
                is_late = _processor_s(process.pid) - used_s > self._limit_s
                if is_late or time.monotonic() - started_s > self._limit_s * 6:
                    self.close()
                    return Verdict("hang", f"no answer within {self._limit_s} s")
                continue
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                code = process.wait()
                self.close()
                return Verdict("crash", f"the process ended with {code}")
            answer += piece
        verdict = Verdict(**json.loads(answer))
        if verdict.peak_mb << 20 > self._memory_bytes:
            return Verdict("memory", f"{verdict.peak_mb} MB; {verdict.message}", verdict.rows, verdict.seconds)
        return verdict

    def __enter__(self) -> Cage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [sys.executable, "-m", "tests.cage", str(self._memory_bytes), *(["warm"] if self._warm else [])]
            root = Path(__file__).resolve().parents[1]
            quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
            self._process = subprocess.Popen(
                command,
                cwd=root,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **quiet},
            )
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == b"ready\n"
        return self._process


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- inside --------------------------------------------------------------------------------------------------


def _work(task: Task) -> Verdict:
    from catalogsync.mapping import resolve
    from catalogsync.mappingfile import load_mapping
    from catalogsync.model import Field, Schema
    from catalogsync.reader import ReadOptions, read_sheet
    from catalogsync.tables import desired_table

    fields = tuple(
        Field(
            given.get("id", number),
            given["name"],
            given["type"],
            given.get("code", ""),
            enums=dict(enumerate(given.get("enums", ()), start=1000)),
        )
        for number, given in enumerate(task.fields, start=101)
    )
    schema = Schema(30001, "Europe/Riga", 4220, "Products", fields)
    file = load_mapping(Path(task.mapping)) if task.mapping else None
    if not task.sheet:
        assert file is not None
        resolve(file, schema)
        return Verdict("read")
    tab = task.tab or (file.sheet if file else "")
    sheet = read_sheet(Path(task.sheet), ReadOptions(tab=tab or None), expect=file.headers if file else ())
    rows = len(sheet.cells)
    if file:
        rows = desired_table(sheet, resolve(file, schema, sheet.headers)).sheet_rows
    return Verdict("read" if rows else "empty", rows=rows)


def _judge(task: Task) -> Verdict:
    from catalogsync.errors import UserError

    try:
        return _work(task)
    except UserError as error:
        return Verdict("refused", str(error)[:2000])
    except MemoryError:
        return Verdict("memory", "MemoryError")
    except BaseException as error:
        return Verdict("traceback", f"{type(error).__module__}.{type(error).__name__}: {error}"[:500])


def _status_kb(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith(name))
    return int(line.split()[1])


def main() -> None:
    """Answer tasks until there are no more. What libraries map at their start does not count as memory used."""
    import faulthandler

    faulthandler.disable()
    warnings.simplefilter("ignore")
    memory_bytes = int(sys.argv[1])
    folder = Path(__file__).resolve().parents[1] / "samples"
    if "warm" in sys.argv:
        _judge(Task(str(folder / "stationery.csv")))  # loads everything
    ceiling = (_status_kb("VmSize:") << 10) + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("ready", flush=True)
    for line in sys.stdin:
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # begin a new peak
        started_s = time.process_time()
        verdict = _judge(Task(**json.loads(line)))
        told = {"seconds": round(time.process_time() - started_s, 3), "peak_mb": _status_kb("VmHWM:") >> 10}
        print(json.dumps({**asdict(verdict), **told}), flush=True)


if __name__ == "__main__":
    main()
