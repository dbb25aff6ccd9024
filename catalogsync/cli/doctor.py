"""``catalogsync doctor``: what is wrong with an account, and what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalogsync import exitcodes
from catalogsync.cli import common, printable
from catalogsync.errors import UserError

if TYPE_CHECKING:
    from catalogsync.doctor import Check


@click.command("doctor")
@common.option(
    "-m", "--mapping", "mapping_path", type=click.Path(path_type=Path), help="Look at this mapping file, too."
)
@common.json_option
@common.rate_options
def command(mapping_path: Path | None, as_json: bool, rps: float, quiet: bool) -> int:
    """Tell what is wrong with an account, and what to do. Changes nothing.

    A line per check: ok, warning or problem. Ends with 7 where the token is a problem, with 1 for any other.
    """
    from catalogsync import doctor

    found = []
    for check in _checks(mapping_path, rps=rps):
        found.append(check)
        if not as_json and not (quiet and check.verdict == "ok"):
            click.echo(printable(f"{check.verdict:<8} {check.name:<13} {check.what}").replace("\n", "\n" + " " * 23))
            if check.hint:
                click.echo(printable(" " * 23 + f"→ {check.hint}"))
    if as_json:
        common.print_json({"checks": [asdict(check) for check in found], "versions": doctor.versions()})
    return exitcodes.worst(check.exit_code for check in found)


def _checks(mapping_path: Path | None, *, rps: float) -> Iterator[Check]:
    """All checks, each as soon as it is done."""
    from catalogsync import doctor
    from catalogsync.api.auth import EMULATOR, account_from

    machine = list(doctor.machine())
    yield from machine
    if any(check.verdict == "problem" for check in machine):
        return
    try:
        journal = common.journal()
    except UserError as error:
        yield doctor.problem("journal", error.message, "put the file elsewhere; a new one is made")
        return
    account_id = None
    try:
        account = account_from(os.environ)
    except UserError as error:
        yield doctor.problem("address", error.message, exit_code=error.exit_code)
    else:
        yield doctor.ok("address", account.url if account.url != EMULATOR else "the embedded emulator")
        if account.url != EMULATOR:
            yield from doctor.token(account, os.environ, time.time())
        with common.connected(rps=rps) as client:
            session = doctor.Session(account, client, rps)
            yield from doctor.account(session)
            if mapping_path and session.facts:
                yield from doctor.mapping_file(mapping_path, client, journal)
        account_id = session.facts.id if session.facts else None
    yield from doctor.left_behind(journal, account_id)
