"""``catalogsync plan``: what would change, old and new. Writes nothing to the account."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalogsync import exitcodes
from catalogsync.cli import common
from catalogsync.replacing import write_text

if TYPE_CHECKING:
    from catalogsync.budget import Budget
    from catalogsync.plan import Plan


def _write_json(out: Path, made: Plan, rps: float) -> None:
    from catalogsync.plan import to_json

    write_text(out, json.dumps(to_json(made), ensure_ascii=False, indent=1))


def _write_page(out: Path, made: Plan, rps: float) -> None:
    from catalogsync.planpage import page_of

    write_text(out, page_of(made, rps=rps))


def _write_review(out: Path, made: Plan, rps: float) -> None:
    from catalogsync.reviewbook import write_review

    write_review(out, made, rps=rps)


_WRITERS: Mapping[str, Callable[[Path, Plan, float], None]] = {
    ".json": _write_json,
    ".xlsx": _write_review,
    ".html": _write_page,
}
"""By the file's ending. The rate limit is what a page's forecast reckons with."""


@click.command("plan")
@common.sheet_argument
@common.mapping_option
@common.read_options
@common.plan_options
@common.option("--out", type=click.Path(path_type=Path), help="Store it: .json or .xlsx for `apply`, .html to look at.")
@common.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are changes.")
@common.option("-v", "--verbose", is_flag=True, help="Every change and problem, however many.")
@common.json_option
@common.budget_options
@common.rate_options
def command(
    sheet: Path,
    mapping_path: Path,
    out: Path | None,
    detailed_exitcode: bool,
    verbose: bool,
    as_json: bool,
    rps: float,
    quiet: bool,
    budget: Budget,
    strict: bool,
    batch: int,
    delete_unseen: bool,
    delete_linked: bool,
    **reading: Any,
) -> int:
    """Show what importing SHEET would change in the catalog, old and new. Sends no request but GETs."""
    from catalogsync import sync
    from catalogsync.cli import render
    from catalogsync.plan import to_json

    if out and out.suffix.lower() not in _WRITERS:
        raise click.UsageError(f"--out {out}: a plan is stored as {', '.join(_WRITERS)}")
    options = sync.PlanOptions(
        read=common.read_options_of(**reading),
        strict=strict,
        delete_unseen=delete_unseen,
        delete_linked=delete_linked,
        batch_size=batch,
    )
    with common.connected(rps=rps, budget=budget) as client, common.progress(quiet=quiet) as watch:
        journal = common.journal()
        planned = sync.plan(sheet, mapping_path, client, journal, options, watch)
    made = planned.plan
    if as_json:
        told = {**to_json(made), "requests": common.requests_json(planned, client)}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        render.print_stopping(made, verbose=verbose, stderr=True)
    else:
        if not quiet:
            render.print_facts(planned.sheet_facts)
        render.print_plan(made, rps=rps, verbose=verbose)
        if verbose:
            common.say_requests(planned, client)
    if out:
        _WRITERS[out.suffix.lower()](out, made, rps)
        if out.suffix.lower() == ".html":
            common.say(f"Stored as {out}, a page for any browser.")
        else:
            sync.keep_for_apply(planned, journal)
            common.say(f"Stored as {out}. Next: catalogsync apply {out}")
    codes = [3] if made.rejected_rows else []
    return exitcodes.worst([*codes, 2] if detailed_exitcode and made.changes else codes)
