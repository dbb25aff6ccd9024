"""``catalogsync demo``: the main job on the embedded emulator, start to end, with the bundled sample."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from catalogsync.cli import common

_FOLDER = Path("catalogsync-demo")


@click.command("demo")
@common.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=_FOLDER,
    show_default=True,
    help="Where the sample, the mapping and the exported workbook are put.",
)
def command(folder: Path) -> int:
    """Watch the main job: a price list becomes a catalog. Needs no account; nothing leaves this machine."""
    from catalogsync import sync
    from catalogsync.api.auth import Account
    from catalogsync.api.client import connect
    from catalogsync.cli import render
    from catalogsync.cli.bundled import bundled, put_schema_beside
    from catalogsync.emulator.server import Emulator
    from catalogsync.errors import CatalogSyncError, UserError
    from catalogsync.journal import Journal

    sheet, mapping = folder / "stationery.csv", folder / "stationery.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundled("samples", sheet.name), sheet)
        shutil.copyfile(bundled("mappings", mapping.name), mapping)
        put_schema_beside(mapping)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another with --folder") from None
    common.say("A catalog in a CRM account, a price list in a file: this makes the first say what the second says.")
    common.say("The account is an emulator inside this program. Nothing leaves this machine.")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        Emulator(Path(scratch) / "account.sqlite", seed=bundled("samples", "stationery.seed.yaml"), rps=7) as emulator,
        connect(Account(emulator.url, emulator.token)) as client,
    ):
        journal = Journal(Path(scratch) / "journal.sqlite")
        _headline(1, f"The price list: {sheet}")
        click.echo(sheet.read_text(encoding="utf-8").rstrip())
        _headline(2, f"What would change (the mapping {mapping} says which column fills which field)")
        planned = sync.plan(sheet, mapping, client, journal, sync.PlanOptions(is_stored=False))
        render.print_plan(planned.plan, rps=7)
        _headline(3, "Apply it")
        with common.progress() as watch:
            report = sync.apply(planned.plan, client, journal, planned.schema, planned=planned, watch=watch)
        render.print_report(planned.plan, report)
        _headline(4, "Plan again: the catalog says what the price list says")
        second = sync.plan(sheet, mapping, client, journal).plan
        render.print_plan(second, rps=7)
        if second.changes or len(report.with_outcome("done")) < len(planned.plan.changes):
            raise CatalogSyncError("the demo did not end as it should: this is a defect, please report it")
        _headline(5, "The catalog as a workbook")
        book = folder / "products.xlsx"
        exported = sync.export("Products", book, client, journal)
        click.echo(f"Wrote {exported.element_count} elements to {exported.path}")
    common.say(f"\nThat was it. Sheet, mapping and workbook are in {folder}.")
    common.say("Next: your own sheet and account, in five minutes: see README.md.")
    return 0


def _headline(number: int, words: str) -> None:
    click.echo(f"\n{number}. {words}\n")
