"""The product on a stage: the real ``import`` command in this process, on the account of `account.py`.

Replaced are the socket, the clock, the sleeping, and the file of the journal; one page is read and one batch is on its
way at a time. A command can be killed at any step, which are those of `steps.py` as far as they exist without a
socket: before a request, after it was handled, before and after a file takes another's place, and before BEGIN, before
COMMIT and after COMMIT of the journal. What is killed may still unwind, but nothing it does reaches the account or
the journal any more.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import tenacity.nap

from catalogsync import cli, reader, runs, stopping, sync, tables, writer
from catalogsync.api import client as client_module
from catalogsync.api.auth import Account as Login
from catalogsync.api.client import DIALECTS, Client
from catalogsync.api.dialect import Request, Response
from catalogsync.api.transport import HttpTransport, Retrying
from catalogsync.cli import common, render
from catalogsync.journal import Journal
from catalogsync.mappingfile import load_mapping
from catalogsync.plan import Plan
from tests.crash.account import Account, Clock
from tests.crash.shop import TOKEN

URL = "http://127.0.0.1:9"
SETTLE_S = 10.0


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Command:
    """What one run of the command did. `code` is None where it was killed."""

    number: int
    code: int | None = None
    output: str = ""
    plan: Plan | None = None
    report: writer.Report | None = None
    began: int = 0
    killed_at: str = ""


@dataclass
class World:
    """An account and a state folder, with what disturbs the commands.

    `on_step` is asked at each step whether the process ends there; `before` and `after` hear of each request.
    """

    api: str
    clock: Clock
    account: Account
    journal_file: sqlite3.Connection
    on_step: Callable[[str], bool] = lambda _: False
    before: Callable[[Request], object] = lambda _: None
    after: Callable[[Request], object] = lambda _: None
    is_dead: bool = False
    killed_at: str = ""
    commands: list[Command] = field(default_factory=list)

    def step(self, label: str) -> None:
        """One step. Raises Killed where the process ends at it, and ever after."""
        if not self.is_dead and self.on_step(label):
            self.is_dead, self.killed_at = True, label
        if self.is_dead:
            raise Killed

    def close(self) -> None:
        """Closes both databases."""
        self.account.close()
        sqlite3.Connection.close(self.journal_file)


class _Direct(HttpTransport):
    """Hands requests to the account, and takes its answers for what a socket would have brought."""

    def __init__(self, world: World, token: str) -> None:
        super().__init__(Login(URL, token))
        self._world = world

    def send(self, request: Request) -> Response:
        world = self._world
        world.step(f"{request.method}: before")
        world.before(request)
        answer = world.account.serve(request)
        world.after(request)
        world.step(f"{request.method}: handled")
        if answer is None:
            raise self._lost(request, f"the connection broke: {request.method} {request.path}")
        return self._checked(request, answer)


class _MemoryFile(sqlite3.Connection):
    """The journal's file: it is never closed, and its transactions are steps."""

    world: World | None = None

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        word = sql[:6].upper()
        if self.world is None or word not in ("BEGIN ", "COMMIT"):
            return super().execute(sql, *given)
        self.world.step(f"journal: before {word.strip()}")
        cursor = super().execute(sql, *given)
        if word == "COMMIT":
            self.world.step("journal: after COMMIT")
        return cursor

    def close(self) -> None:
        self.row_factory = None


@dataclass(frozen=True)
class Snapshot:
    """An account and a state folder at one moment."""

    api: str
    account: bytes
    journal: bytes
    files: Mapping[Path, bytes]


class Stage:
    """Where commands run, one world after the other. A context manager."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self.world: World | None = None
        self._command: Command | None = None
        self._read: dict[Callable[..., Any], Any] = {}
        self.snapshots: dict[object, Any] = {}

    def __enter__(self) -> Stage:
        opened = self._opened
        self.folder = Path(
            opened.enter_context(tempfile.TemporaryDirectory(prefix="crash-stage-", ignore_cleanup_errors=True))
        )
        self.state = self.folder / "state"
        clock = SimpleNamespace(time=lambda: self._now().clock(), sleep=lambda s: self._now().clock.sleep(s))
        recover, apply = runs.recover, writer.apply

        def recovered(*given: Any, **named: Any) -> Any:
            found = recover(*given, **named)
            self._now().account.begin(self._running().number)  # from here on is read for the plan
            return found

        def applied(plan: Plan, schema: Any, client: Any, journal: Any, options: Any, **named: Any) -> writer.Report:
            self._now().account.begin_to_write()
            report = apply(plan, schema, client, journal, replace(options, in_flight=1), **named)
            self._running().report = report
            return report

        def shown(plan: Plan, **_: Any) -> None:  # printing takes long
            self._running().plan = plan

        os_replace = os.replace

        def replaced(*given: Any, **named: Any) -> None:
            self._now().step("file: before replace")
            os_replace(*given, **named)
            self._now().step("file: after replace")

        for target, name, new in (
            (os, "replace", replaced),
            (os, "fsync", lambda _: None),  # it matters when the power fails
            (client_module, "time", clock),
            (client_module, "PAGES_AHEAD", 1),  # pages one by one: which request comes first is not left to threads
            (tenacity.nap, "time", clock),
            (stopping.Stop, "sleep", lambda _, seconds: self._now().clock.sleep(seconds)),
            (runs, "recover", recovered),
            (writer, "apply", applied),
            (render, "print_plan", shown),
            (render, "print_facts", lambda _: None),
            (sync, "load_mapping", functools.cache(load_mapping)),
            (sync, "read_sheet", self._once(reader.read_sheet)),
            (tables, "desired_table", self._once(tables.desired_table)),
            (common, "connected", self._connected),
            (common, "journal", self._journal),
        ):
            opened.enter_context(mock.patch.object(target, name, new))
        opened.enter_context(mock.patch.dict(os.environ, {"CATALOGSYNC_STATE": str(self.state)}))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _now(self) -> World:
        assert self.world is not None
        return self.world

    def _running(self) -> Command:
        assert self._command is not None
        return self._command

    @contextmanager
    def _connected(self, **_: Any) -> Iterator[Client]:
        world = self._now()
        with Client(DIALECTS[world.api](), Retrying(_Direct(world, TOKEN))) as client:
            yield client

    def _journal(self) -> Journal:
        world, folder = self._now(), self.state

        class InMemory(Journal):
            def connect(self) -> sqlite3.Connection:
                return world.journal_file

        return InMemory(folder / "journal.sqlite", clock=world.clock)

    def _once(self, read: Callable[..., Any]) -> Callable[..., Any]:
        """Reads once what every command reads alike, as long as the sheet is the same: it takes half of the time."""

        def read_once(*given: Any, **named: Any) -> Any:
            if len(given) > 2:  # it takes more into account than the sheet and the mapping
                return read(*given, **named)
            if read not in self._read:
                self._read[read] = read(*given, **named)
            return self._read[read]

        return read_once

    # --- for schedules ---

    def new_world(self, api: str, seed: dict[str, Any]) -> World:
        """A new account and an empty state folder; those before are gone."""
        if self.world is not None:
            self.world.close()
        shutil.rmtree(self.state, ignore_errors=True)
        clock = Clock()
        file = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=_MemoryFile)
        self.world = world = World(api, clock, Account(seed, TOKEN, clock), file)
        file.world = world
        return world

    def kept(self) -> Snapshot:
        """The world as it is now, to begin from again."""
        world = self._now()
        files = {path: path.read_bytes() for path in self.state.rglob("*") if path.is_file()}
        return Snapshot(world.api, world.account.store._db.serialize(), world.journal_file.serialize(), files)

    def world_of(self, snapshot: Snapshot) -> World:
        """A new world like the kept one."""
        world = self.new_world(snapshot.api, {})
        world.account.store._db.deserialize(snapshot.account)
        world.account.store._forget()
        world.journal_file.deserialize(snapshot.journal)
        for path, content in snapshot.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return world

    def write_sheet(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The sheet that the commands read."""
        self._read.clear()
        with (self.folder / "sheet.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, delimiter=";").writerows([headers, *rows])

    def run(self, batch_size: int) -> Command:
        """``catalogsync import sheet.csv -m shop.yaml --yes``, to its end or until it is killed."""
        world = self._now()
        world.is_dead, world.killed_at = False, ""
        self._command = command = Command(len(world.commands) + 1, began=world.account.next())
        world.commands.append(command)
        world.account.begin(command.number)
        if world.journal_file.in_transaction:
            world.journal_file.rollback()  # what a killed process left open
        arguments = ["import", str(self.folder / "sheet.csv"), "-m", str(self.folder / "shop.yaml"), "--yes"]
        arguments += ["--rps", "0", "--batch", str(batch_size), "--settle", str(SETTLE_S), "--max-delete", "100%"]
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            try:
                command.code = cli.run(arguments)
            except Killed:
                command.killed_at = world.killed_at
        command.output = output.getvalue()
        return command
