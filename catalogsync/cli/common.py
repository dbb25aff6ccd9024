"""What the commands share: options, the account, progress on stderr, exit codes."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from catalogsync.cli import printable
from catalogsync.errors import UserError
from catalogsync.model import Ceiling

if TYPE_CHECKING:
    from catalogsync.api.auth import Account
    from catalogsync.api.client import Client
    from catalogsync.budget import Budget
    from catalogsync.journal import Journal, Run
    from catalogsync.model import Schema
    from catalogsync.reader import Hidden, ReadOptions
    from catalogsync.runs import Recovered
    from catalogsync.sync import Planned, Watch
    from catalogsync.writer import WriteOptions

F = TypeVar("F", bound=Callable[..., Any])

# --- options -------------------------------------------------------------------------------------------------


def option(*names: str, env: bool = True, **attributes: Any) -> Callable[[F], F]:
    """An option that can also be set as ``CATALOGSYNC_<FLAG>``."""
    flag = next(name for name in names if name.startswith("--")).split("/")[0]
    variable = "CATALOGSYNC_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=variable if env else None, show_envvar=False, **attributes)


class CeilingType(click.ParamType[Ceiling]):
    """A ceiling: a count or a percentage."""

    name = "N|N%"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Ceiling:
        if isinstance(value, Ceiling):
            return value
        try:
            return Ceiling.parse(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a count or a percentage", param, ctx)


class HeaderRowsType(click.ParamType[tuple[int, ...]]):
    """The header's rows."""

    name = "N|N-M|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        from catalogsync.reader import parse_header_rows

        if isinstance(value, tuple):
            return value
        try:
            return parse_header_rows(str(value))
        except ValueError:
            self.fail(f"{value!r} is no row (3), no two or three rows (5-6) and not none", param, ctx)


class DurationType(click.ParamType[float]):
    """A duration: ``90s``, ``10m``, ``2h``; in seconds."""

    name = "10m"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from catalogsync.budget import parse_duration

        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError:
            self.fail(f"{value!r} is no duration such as 90s, 10m or 2h", param, ctx)


def options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order they are listed."""

    def decorate(function: F) -> F:
        return functools.reduce(lambda inner, decorator: decorator(inner), reversed(decorators), function)

    return decorate


def budget_options(function: F) -> F:
    """``--max-requests`` and ``--deadline``; the command gets both as ``budget``, whose time begins now."""

    @option("--max-requests", type=click.IntRange(min=1), help="Stop at the edge of a batch after so many requests.")
    @option("--deadline", type=DurationType(), help="Stop at the edge of a batch after so long: 90s, 10m, 2h.")
    @functools.wraps(function)
    def with_budget(*given: Any, max_requests: int | None, deadline: float | None, **named: Any) -> Any:
        from catalogsync.budget import Budget

        return function(*given, budget=Budget(max_requests, deadline), **named)

    return cast(F, with_budget)


sheet_argument = click.argument("sheet", type=click.Path(path_type=Path))
mapping_option = option(
    "-m", "--mapping", "mapping_path", type=click.Path(path_type=Path), required=True, help="The mapping file."
)
rate_options = options(
    option(
        "--rps", type=click.FloatRange(0, 50), default=7.0, show_default=True, help="Requests per second; 0: no limit."
    ),
    option("-q", "--quiet", is_flag=True, help="No progress, no hints."),
)
read_options = options(
    option("--sheet", "tab", help="The workbook tab."),
    option("--encoding", help="The text file's encoding, such as cp1251."),
    option("--delimiter", help="The text file's delimiter; “tab” for a tab."),
    option("--quote", help="The text file's quote character; “none” where quotes are text."),
    option("--header-row", type=HeaderRowsType(), help="The row or line of the headers: 3, 5-6 for two, or none."),
    option("--hidden", type=click.Choice(["read", "skip"]), help="What becomes of hidden rows; read by default."),
    option("--needs", multiple=True, metavar="COLUMN", help="Rows where this column is blank are no products."),
)
plan_options = options(
    option("--strict", is_flag=True, help="Refuse the whole sheet when any row has a problem."),
    option("--batch", type=click.IntRange(1, 250), default=250, show_default=True, help="Changes per request."),
    option("--delete-unseen", is_flag=True, help="Elements that never had a row count as missing too, this once."),
    option("--delete-linked", is_flag=True, help="Delete also what hangs on deals or customers, this once."),
)
guard_options = options(
    option("--max-delete", type=CeilingType(), help="At most so many deletes, or percent of the elements."),
    option("--max-update", type=CeilingType(), help="At most so many updates, or percent."),
    option("--max-add", type=CeilingType(), help="At most so many adds, or percent."),
    option("--max-options", type=CeilingType(), help="At most so many new options, or percent of their fields'."),
)
allow_option = option("--allow", env=False, metavar="DIGEST", default="", help="Let this one plan past its ceilings.")
write_options = options(
    option(
        "--settle",
        type=click.FloatRange(min=0),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="How long an add whose answer was lost may still land before it is sent again.",
    ),
    option("--no-recheck", is_flag=True, help="No look just before deletes and v4 updates."),
)
result_option = option(
    "--result",
    "result_path",
    type=click.Path(path_type=Path),
    help="What became of each row, and the rows to be mended: FILE.xlsx.",
)
json_option = option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
yes_option = option("--yes", env=False, is_flag=True, help="Do not ask.")


def read_options_of(
    tab: str | None,
    encoding: str | None,
    delimiter: str | None,
    quote: str | None,
    header_row: tuple[int, ...] | None,
    hidden: Hidden | None,
    needs: tuple[str, ...],
) -> ReadOptions:
    """The reader's options from the flags."""
    from catalogsync.reader import ReadOptions

    return ReadOptions(
        tab=tab,
        encoding=encoding,
        delimiter={"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter),
        quote="" if quote == "none" else quote,
        header_rows=header_row,
        hidden=hidden,
        needs=needs or None,
    )


def ceilings_of(**given: Ceiling | None) -> dict[str, Ceiling]:
    """The ceilings that were set, by kind."""
    return {kind: ceiling for kind, ceiling in given.items() if ceiling is not None}


# --- the account ---------------------------------------------------------------------------------------------


@contextmanager
def connected(
    *,
    rps: float,
    account: Account | None = None,
    budget: Budget | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[Client]:
    """A client for an account, else for the one in the environment. The embedded emulator says so on stderr."""
    from catalogsync.api.auth import EMULATOR, Account, account_from
    from catalogsync.api.client import connect

    account = account or account_from(os.environ)
    on_wait = on_wait or _say_waiting
    if account.url != EMULATOR:
        with connect(account, rps=rps, on_wait=on_wait, on_notice=_notice, budget=budget) as client:
            yield client
        return
    from catalogsync.cli.bundled import bundled
    from catalogsync.emulator.server import Emulator
    from catalogsync.state import state_folder

    database = state_folder() / "emulator.sqlite"
    say("Using the embedded emulator, no real account. Its data: " + str(database))
    seed = None if database.exists() else bundled("samples", "stationery.seed.yaml")
    with (
        Emulator(database, seed=seed, rps=7) as emulator,
        connect(Account(emulator.url, emulator.token, account.api), rps=rps, on_wait=on_wait, budget=budget) as client,
    ):
        yield client


@contextmanager
def writing(*, settle: float, no_recheck: bool, quiet: bool = False) -> Iterator[Writing]:
    """What a command that writes needs: its options, and the catalog's lock once the catalog is known.

    Ctrl+C and SIGTERM ask it to stop: what is on its way is finished. A second one ends it at once.
    """
    from catalogsync.stopping import Stop
    from catalogsync.writer import WriteOptions

    stop = Stop()

    def on_signal(number: int, _frame: object) -> None:
        if stop or not (stop.is_heeded or stop.is_awaited):
            raise SystemExit(128 + number)
        stop.ask(number)
        say("Stopping: finishing what is on its way (once more to stop at once).")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ExitStack() as held:
            yield Writing(WriteOptions(settle_s=settle, recheck=not no_recheck, stop=stop), held, quiet)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def requests_json(planned: Planned, client: Client) -> dict[str, int]:
    """What was sent so far; `planning_floor` is how many reads planning may take where nothing moves (law 5)."""
    return {
        "reads": client.reads_sent,
        "writes": client.writes_sent,
        "throttled": client.throttled,
        "planning_reads": planned.reads_sent,
        "planning_floor": planned.read_floor,
    }


def say_requests(planned: Planned, client: Client) -> None:
    """The same in words."""
    sent = f"Requests sent: {client.reads_sent} reads, {client.writes_sent} writes"
    say(f"{sent}. Planning took {planned.reads_sent} reads; if nothing moves it takes {planned.read_floor} at most.")


@dataclass(frozen=True)
class Writing:
    """A command that is going to write."""

    options: WriteOptions
    _held: ExitStack
    _quiet: bool

    def begin(self, schema: Schema, client: Client, journal: Journal) -> list[Recovered]:
        """Take the catalog's lock, then settle what an earlier run left in doubt. Raises CatalogBusy."""
        from catalogsync import runs
        from catalogsync.cli import render
        from catalogsync.lock import exclusive

        self._held.enter_context(exclusive(journal.folder, schema.account_id, schema.catalog_id))
        settled = runs.recover(schema, client, journal, self.options)
        for recovered in settled:
            if not self._quiet:
                say(printable(render.recovered_words(recovered)))
        return settled


def journal() -> Journal:
    """The journal in the state folder."""
    from catalogsync.journal import Journal
    from catalogsync.state import state_folder

    return Journal(state_folder() / "journal.sqlite")


def run_of(journal: Journal, run_id: int) -> Run:
    """A run of the journal. Raises UserError where there is none."""
    run = journal.run(run_id)
    if run is None:
        raise UserError(f"there is no run {run_id}; `catalogsync history` lists them")
    return run


def _notice(words: str) -> None:
    say(f"warning: {printable(words)}")


def _say_waiting(reason: str) -> None:
    say(printable(f"waiting, then trying again: {reason}"))


# --- talking -------------------------------------------------------------------------------------------------


def say(words: str = "") -> None:
    """Words for the person, on stderr."""
    click.echo(words, err=True)


def print_json(value: object) -> None:
    """JSON on stdout. What would steer a terminal is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text))


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Watch]:
    """Progress bars on stderr; nothing where stderr is no terminal."""
    from catalogsync.sync import Watch

    if quiet or not sys.stderr.isatty():
        yield Watch()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bars:

        def step(name: str, total: int | None) -> None:
            for task in bars.task_ids:
                bars.remove_task(task)
            bars.add_task(name, total=total)

        def count(done: int) -> None:
            for task in bars.task_ids:
                bars.update(task, completed=done)

        yield Watch(step, count)


def confirm(question: str) -> bool:
    """Ask on the terminal. False where there is none, or the answer is no."""
    return click.confirm(question, default=False, err=True)


def is_interactive() -> bool:
    """Whether somebody can answer a question."""
    return sys.stdin is not None and sys.stdin.isatty()


def check_workbook(flag: str, name: str, out: Path | None, *sources: Path) -> None:
    """Refuse to write a workbook to what is none, or over what it is made from."""
    if out is None:
        return
    if out.suffix.lower() != ".xlsx":
        raise click.UsageError(f"{flag} {out}: {name} is a workbook, FILE.xlsx")
    for source in sources:
        if out.resolve() == source.resolve() or (out.exists() and source.exists() and out.samefile(source)):
            raise click.UsageError(f"{flag} {out}: that is {source} itself; name another file")
