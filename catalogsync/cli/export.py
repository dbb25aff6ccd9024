"""``catalogsync export``: a catalog as a workbook or CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalogsync.cli import common

if TYPE_CHECKING:
    from catalogsync.budget import Budget


class _ConditionType(click.types.StringParamType):
    """A condition; in the environment there is one to a line."""

    name = "CONDITION"
    envvar_list_splitter = "\n"


@click.command("export")
@click.argument("catalog")
@click.argument("file", type=click.Path(path_type=Path))
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
@common.budget_options
@common.rate_options
def command(
    catalog: str,
    file: Path,
    mapping_path: Path | None,
    where: tuple[str, ...],
    protect: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
) -> int:
    """Write CATALOG (id or exact name) to FILE (.xlsx or .csv): the mapping's columns, or all fields."""
    from catalogsync import sync

    with common.connected(rps=rps, budget=budget) as client, common.progress(quiet=quiet) as watch:
        made = sync.export(
            catalog, file, client, common.journal(), mapping_path, watch, where=where, is_protected=protect
        )
    left_out = f" ({made.left_out_count} others left out)" if where else ""
    if made.path != file:
        common.say(f"{file} is open in another program, so it stays as it is.")
    click.echo(f"Wrote {made.element_count} elements to {made.path}{left_out}")
    return 0
