"""``catalogsync validate``: every problem of a sheet and its mapping at once. Writes nothing to the account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalogsync.cli import common

if TYPE_CHECKING:
    from catalogsync.api.client import Client


@click.command("validate")
@common.sheet_argument
@common.mapping_option
@common.option("--offline", is_flag=True, help="Without the account: fields and their types are not known then.")
@common.option("--with-elements", is_flag=True, help="Read the catalog's elements too, and tell what a plan would.")
@common.option("--out", type=click.Path(path_type=Path), help="A marked copy of the sheet: FILE.xlsx.")
@common.read_options
@common.option("-v", "--verbose", is_flag=True, help="Every problem, however many.")
@common.json_option
@common.rate_options
def command(
    sheet: Path,
    mapping_path: Path,
    offline: bool,
    with_elements: bool,
    out: Path | None,
    verbose: bool,
    as_json: bool,
    rps: float,
    quiet: bool,
    **reading: Any,
) -> int:
    """Tell everything that is wrong with SHEET and its mapping, each with its address. Changes nothing."""
    if offline and with_elements:
        raise click.UsageError("--offline reads nothing of the account, --with-elements its elements: take one of them")
    common.check_workbook("--out", "the copy", out, sheet, mapping_path)
    from catalogsync.cli import render, render_validation
    from catalogsync.validating import validate

    with ExitStack() as stack:
        client = None if offline else stack.enter_context(_connected(rps))
        watch = stack.enter_context(common.progress(quiet=quiet))
        found = validate(
            sheet,
            mapping_path,
            client,
            common.read_options_of(**reading),
            watch,
            journal=common.journal() if with_elements else None,
        )
    if found.read and not quiet and not as_json:
        render.print_facts(found.read.facts)
    if as_json:
        common.print_json(render_validation.validation_json(found))
    else:
        render_validation.print_validation(found, verbose=verbose)
    if out:
        from catalogsync.marked import write_marked

        for note in write_marked(out, found.read, found.problems, found.warnings):
            common.say(f"Note: {note}")
        common.say(f"Wrote {out}")
    return found.exit_code


@contextmanager
def _connected(rps: float) -> Iterator[Client]:
    """The account. Where none is set, the way on without one is named too."""
    from catalogsync.errors import NoAccount

    with ExitStack() as stack:
        try:
            client = stack.enter_context(common.connected(rps=rps))
        except NoAccount as error:
            raise NoAccount(f"{error.message}\nOr --offline: what can be checked without an account") from None
        yield client
