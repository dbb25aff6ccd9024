"""``catalogsync export``: a catalog as a workbook or CSV file, or into a workbook of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalogsync import exitcodes
from catalogsync.cli import common

if TYPE_CHECKING:
    from catalogsync.budget import Budget


class _ConditionType(click.types.StringParamType):
    """A condition; in the environment there is one to a line."""

    name = "CONDITION"
    envvar_list_splitter = "\n"


@click.command("export")
@click.argument("catalog")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@common.option(
    "--into",
    env=False,
    type=click.Path(path_type=Path),
    help="Instead of FILE: patch this workbook of your own with the catalog's values; a copy is kept beside it.",
)
@common.option(
    "-m", "--mapping", "mapping_path", type=click.Path(path_type=Path), help="Take its columns and headings."
)
@common.option(
    "--where",
    multiple=True,
    type=_ConditionType(),
    help='Only these elements: "Price > 100" (=, !=, <, <=, >, >=, contains). Several: all of them hold.',
)
@common.option("--protect", is_flag=True, help="Headings and hidden ids cannot be changed (no password).")
@common.option("-v", "--verbose", is_flag=True, help="With --into: every cell, however many.")
@common.json_option
@common.budget_options
@common.rate_options
def command(
    catalog: str,
    file: Path | None,
    into: Path | None,
    mapping_path: Path | None,
    where: tuple[str, ...],
    protect: bool,
    verbose: bool,
    as_json: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
) -> int:
    """Write CATALOG (id or exact name) to FILE (.xlsx or .csv): the mapping's columns, or all fields.

    Or patch a workbook of your own (--into) with what was changed in the CRM.
    """
    if (file is None) == (into is None):
        raise click.UsageError("name one file: FILE to write a new one, or --into FILE to patch a workbook of your own")
    if into is not None:
        if mapping_path is None:
            raise click.UsageError("--into needs -m MAPPING: it says which column of your workbook is which field")
        if where or protect:
            raise click.UsageError("--where and --protect are for a new file; --into touches the rows that are there")
        return _into(catalog, into, mapping_path, verbose=verbose, as_json=as_json, rps=rps, quiet=quiet, budget=budget)
    assert file is not None
    from catalogsync import sync

    with common.connected(rps=rps, budget=budget) as client, common.progress(quiet=quiet) as watch:
        made = sync.export(
            catalog, file, client, common.journal(), mapping_path, watch, where=where, is_protected=protect
        )
    left_out = f" ({made.left_out_count} others left out)" if where else ""
    if made.path != file:
        common.say(f"{file} is open in another program, so it stays as it is.")
    if as_json:
        counts = {"elements": made.element_count, "left_out": made.left_out_count}
        common.print_json({"written": str(made.path), **counts})
    else:
        click.echo(f"Wrote {made.element_count} elements to {made.path}{left_out}")
    return 0


def _into(
    catalog: str,
    path: Path,
    mapping_path: Path,
    *,
    verbose: bool,
    as_json: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
) -> int:
    """Patch a workbook of the user's own."""
    from catalogsync.cli import render, render_into
    from catalogsync.intosheet import take_into

    with common.connected(rps=rps, budget=budget) as client, common.progress(quiet=quiet) as watch:
        taken = take_into(catalog, path, mapping_path, client, common.journal(), watch)
    if taken.path not in (path, None):
        common.say(f"{path} is open in another program, so it stays as it is.")
    if as_json:
        common.print_json(render_into.taken_json(taken, path))
    else:
        if not quiet:
            render.print_facts(taken.facts)
        render_into.print_taken(taken, path, verbose=verbose)
    return exitcodes.worst(render_into.exit_codes(taken))
