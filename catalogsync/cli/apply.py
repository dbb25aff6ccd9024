"""``catalogsync apply``: exactly a stored plan, or a refusal that says what became stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalogsync import exitcodes
from catalogsync.cli import common
from catalogsync.model import Ceiling

if TYPE_CHECKING:
    from catalogsync.budget import Budget


@click.command("apply")
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path))
@common.write_options
@common.guard_options
@common.allow_option
@common.result_option
@common.option(
    "--source", env=False, type=click.Path(path_type=Path), help="With --result: the sheet that the plan was made of."
)
@common.option(
    "-m", "--mapping", "mapping_path", env=False, type=click.Path(path_type=Path), help="With --source: how to read it."
)
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
    result_path: Path | None,
    source: Path | None,
    mapping_path: Path | None,
    as_json: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
) -> int:
    """Apply a stored PLAN (.json), or what is approved of a review workbook (.xlsx). Never asks."""
    from catalogsync import sync
    from catalogsync.cli import render
    from catalogsync.cli.result import result_file
    from catalogsync.plan import load_plan

    ceilings = common.ceilings_of(delete=max_delete, update=max_update, add=max_add, options=max_options)
    if (result_path is None) != (source is None):
        raise click.UsageError("--result needs --source SHEET, the sheet that the plan was made of, and the other way")
    sources = [path for path in (plan_path, source, mapping_path) if path]
    if plan_path.suffix.lower() == ".xlsx":
        from catalogsync.cli.apply_review import apply_review
        from catalogsync.reviewanswers import read_review

        with (
            result_file(result_path, *sources) as result,
            common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing,
        ):
            answers = read_review(plan_path)
            if source:
                result.read(source, answers.plan, mapping_path)
            return apply_review(
                answers,
                writing,
                ceilings,
                result,
                allow=allow,
                as_json=as_json,
                rps=rps,
                quiet=quiet,
                budget=budget,
            )
    made = load_plan(plan_path)
    journal = common.journal()
    with (
        result_file(result_path, *sources) as result,
        common.connected(rps=rps, budget=budget) as client,
        common.writing(settle=settle, no_recheck=no_recheck, quiet=quiet) as writing,
        common.progress(quiet=quiet) as watch,
    ):
        if source:
            result.read(source, made, mapping_path)
        sync.check_guards(made, ceilings, allow)
        schema = sync.check_stored(made, client, watch, prepare=lambda schema: writing.begin(schema, client, journal))
        report = sync.apply(made, client, journal, schema, writing.options, watch=watch)
    result.write(report)
    if as_json:
        told = render.report_json(report)
        told |= {"result": str(result.written)} if result.written else {}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        render.print_report(made, report)
    return exitcodes.worst([*exitcodes.report_exit_codes(made, report), *result.exit_codes])
