"""``catalogsync export``: a catalog as a workbook or CSV file."""

from __future__ import annotations

from pathlib import Path

import click

from catalogsync.cli import common


@click.command("export")
@click.argument("catalog")
@click.argument("file", type=click.Path(path_type=Path))
@common.option(
    "-m", "--mapping", "mapping_path", type=click.Path(path_type=Path), help="Take its columns and headings."
)
@common.rate_options
def command(catalog: str, file: Path, mapping_path: Path | None, rps: float, quiet: bool) -> int:
    """Write CATALOG (id or exact name) to FILE (.xlsx or .csv): the mapping's columns, or all fields."""
    from catalogsync import sync

    with common.connected(rps=rps) as client, common.progress(quiet=quiet) as watch:
        count = sync.export(catalog, file, client, common.journal(), mapping_path, watch)
    click.echo(f"Wrote {count} elements to {file}")
    return 0
