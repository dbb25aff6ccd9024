"""``catalogsync apply``: exactly a stored plan, or a refusal that says what became stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalogsync.cli import common
from catalogsync.model import Ceiling

if TYPE_CHECKING:
    from catalogsync.budget import Budget


@click.command("apply")
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path))
@common.write_options
@common.guard_options
@common.allow_option
@common.json_option
@common.budget_options
@common.rate_options
def command(
    plan_path: Path,
    settle: float,
    no_recheck: bool,
    max_delete: Ceiling | None,
    max_update: Ceiling | None,
    max_add: Ceiling | None,
    max_options: Ceiling | None,
    allow: str,
    as_json: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
) -> int:
    """Apply a stored PLAN (.json), or what is approved of a review workbook (.xlsx). Never asks."""
    from catalogsync import sync
    from catalogsync.cli import render
    from catalogsync.plan import load_plan

    ceilings = common.ceilings_of(delete=max_delete, update=max_update, add=max_add, options=max_options)
    if plan_path.suffix.lower() == ".xlsx":
        from catalogsync.cli.apply_review import apply_review

        with common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing:
            return apply_review(
                plan_path, writing, ceilings, allow=allow, as_json=as_json, rps=rps, quiet=quiet, budget=budget
            )
    made = load_plan(plan_path)
    journal = common.journal()
    with (
        common.connected(rps=rps, budget=budget) as client,
        common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing,
        common.progress(quiet=quiet) as watch,
    ):
        sync.check_guards(made, ceilings, allow)
        schema = sync.check_stored(made, client, watch, prepare=lambda schema: writing.begin(schema, client, journal))
        report = sync.apply(made, client, journal, schema, writing.options, watch=watch)
    if as_json:
        click.echo(json.dumps(render.report_json(report), ensure_ascii=False, indent=2))
    else:
        render.print_report(made, report)
    return common.worst(render.report_exit_codes(made, report))
