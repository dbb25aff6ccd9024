"""A process that runs catalogsync commands, each in a process of its own which may be killed at a step.

Importing pandas takes longer than the command itself. So this process imports everything once, stays
single-threaded, and forks for each command that it reads as a line of JSON. Where there is no fork, or none that is
safe (Windows, macOS), `Children` starts a fresh interpreter for each command, which takes a second more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

CAN_FORK = sys.platform.startswith("linux")

ENOUGH_S = 60
"""A command that takes longer hangs, and is ended."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), its steps, what it printed; `killed_at` is "" where it
    was not killed."""

    code: int
    steps: Sequence[str]
    killed_at: str
    output: str


class Children:
    """Runs commands. A context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="crash-child-", ignore_cleanup_errors=True)
        self._server = self._start() if CAN_FORK else None

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._end(self._server)
        self._folder.cleanup()

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, kill_at: int = 0, in_flight: int = 1
    ) -> Ended:
        """Run a command to its end, or kill it at its `kill_at`-th step."""
        told, output = Path(self._folder.name, "told.json"), Path(self._folder.name, "output.txt")
        told.unlink(missing_ok=True)
        job = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "kill_at": kill_at,
            "in_flight": in_flight,
            "told": str(told),
            "output": str(output),
        }
        server = self._server or self._start()
        try:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps(job) + "\n")
            server.stdin.flush()
            line = server.stdout.readline()
        finally:
            if self._server is None:
                self._end(server)
        code = int(line) if line.strip() else server.returncode
        facts: dict[str, Any] = {"steps": [], "killed_at": ""}
        if told.exists():
            facts = json.loads(told.read_text("utf-8"))
        return Ended(code, facts["steps"], facts["killed_at"], output.read_text("utf-8", "replace"))

    def _start(self) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OPENBLAS_NUM_THREADS": "1",  # a process that forks has one thread
            "PYTHONUTF8": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.crash.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    @staticmethod
    def _end(server: subprocess.Popen[str]) -> None:
        server.communicate()


# --- in the process itself -----------------------------------------------------------------------------------


def _serve() -> None:
    import pyarrow  # noqa: F401

    from catalogsync import sync  # noqa: F401
    from catalogsync.cli import common, import_, render  # noqa: F401
    from tests.crash import steps  # noqa: F401

    while line := sys.stdin.readline():
        job = json.loads(line)
        if not CAN_FORK:
            code = _run(job)
            _answer(code)
            return
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                code = _run(job)
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        _answer(os.waitstatus_to_exitcode(status))


def _answer(code: int) -> None:
    sys.stdout.write(f"{code}\n")
    sys.stdout.flush()


def _run(job: Mapping[str, object]) -> int:
    """Run the command of a job; what it did is told in a file, before the process ends or is killed."""
    from catalogsync import cli, writer
    from tests.crash.steps import Steps

    told = Path(str(job["told"]))

    def tell(killed_at: str) -> None:
        told.write_text(json.dumps({"steps": steps.labels, "killed_at": killed_at}), "utf-8")

    if CAN_FORK:
        import signal

        signal.alarm(ENOUGH_S)
    environment, arguments = job["environment"], job["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.update(environment)
    answers = os.dup(1)
    with Path(str(job["output"])).open("w", encoding="utf-8") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    in_flight, apply = int(str(job["in_flight"])), writer.apply

    def apply_so(plan: Any, schema: Any, client: Any, journal: Any, options: Any, **named: Any) -> Any:
        return apply(plan, schema, client, journal, replace(options, in_flight=in_flight), **named)

    writer.apply = apply_so  # type: ignore[assignment]
    steps = Steps(int(str(job["kill_at"])), tell)
    steps.install()
    code = cli.run([str(argument) for argument in arguments])
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(answers, 1)
    tell("")
    return code


if __name__ == "__main__":
    _serve()
