"""``catalogsync init``: a mapping proposed from a sheet and the catalog's fields."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalogsync.cli import USAGE_EXIT, common, printable
from catalogsync.cli.bundled import put_schema_beside
from catalogsync.replacing import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from catalogsync.model import NewField
    from catalogsync.proposing.drafting import Draft


@click.command("init")
@common.sheet_argument
@common.option("--catalog", required=True, help="The catalog's id or exact name.")
@common.option("--out", type=click.Path(path_type=Path), help="Write the mapping to this file; else to stdout.")
@common.option("--force", is_flag=True, help="Replace the file where it exists.")
@common.option("--create-fields", is_flag=True, help="Create the custom fields that the catalog lacks, after asking.")
@common.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a field whose answer was lost may still land.",
)
@common.yes_option
@common.read_options
@common.json_option
@common.rate_options
def command(
    sheet: Path,
    catalog: str,
    out: Path | None,
    force: bool,
    create_fields: bool,
    settle: float,
    yes: bool,
    as_json: bool,
    rps: float,
    quiet: bool,
    **reading: Any,
) -> int:
    """Propose which column of SHEET fills which field: a score and a reason for each, unsure lines commented out."""
    from catalogsync.errors import UserError
    from catalogsync.proposing import drafting

    if out is not None and out.exists() and not force:
        raise UserError(f"{out} exists and is not replaced; --force replaces it, --out names another file")
    journal = common.journal()
    created: Sequence[NewField] = ()
    with common.connected(rps=rps) as client:
        with common.progress(quiet=quiet) as watch:
            watch.step(f"Reading {sheet.name} and {catalog}", None)
            made = drafting.draft(sheet, catalog, client, journal, common.read_options_of(**reading), watch.count)
        lacking = made.proposal.lacking
        if create_fields and lacking:
            _show_lacking(lacking)
            if not yes and not common.is_interactive():
                common.say("Nothing was created or written: there is no terminal to ask on. --yes does not ask.")
                return USAGE_EXIT
            if yes or common.confirm(f"Create {len(lacking)} fields in {made.schema.catalog_name}?"):
                schema, created = drafting.create_fields(lacking, made.schema, client, journal, settle_s=settle)
                made = made.again(schema)
    _tell(made, reading, created, out, as_json=as_json)
    if not quiet:
        _say_next(made, sheet, out, created)
    return 0


def _read_keys(made: Draft, reading: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping's ``read:`` for what was said by flags, so that a plan reads the sheet alike; and no headers."""
    options = common.read_options_of(**reading)
    keys: dict[str, Any] = {"encoding": options.encoding, "delimiter": options.delimiter, "quote": options.quote}
    rows = options.header_rows
    if rows == () or not any(made.sheet.headers):
        keys["header_row"] = "none"
    elif rows is not None:
        keys["header_row"] = str(rows[0]) if len(rows) == 1 else f"{rows[0]}-{rows[-1]}"
    keys |= {"hidden": options.hidden, "needs": list(options.needs) if options.needs else None}
    return {name: value for name, value in keys.items() if value is not None}


def _tell(
    made: Draft, reading: Mapping[str, Any], created: Sequence[NewField], out: Path | None, *, as_json: bool
) -> None:
    from catalogsync.proposing.mappingtext import mapping_text

    source = made.sheet.path.name + (f" ({made.sheet.tab})" if made.sheet.tab else "")
    text = mapping_text(made.proposal, source, sheet=reading["tab"] or "", read=_read_keys(made, reading))
    if out is not None:
        write_text(out, text)
        with contextlib.suppress(OSError):  # it only helps editors
            put_schema_beside(out)
    if as_json:
        common.print_json(_json(made, created, text))
    elif out is None:
        click.echo(printable(text), nl=False)


def _json(made: Draft, created: Sequence[NewField], text: str) -> dict[str, Any]:
    proposal = made.proposal
    return {
        "catalog": proposal.catalog_id,
        "key": proposal.key or None,
        "score": round(proposal.score, 2),
        "lines": [
            {
                "column": line.address,
                "header": line.header,
                "field": line.target.written if line.target else None,
                "score": line.score,
                "sure": line.is_sure,
                "reason": line.reason,
                "settings": dict(line.settings),
                "asks": list(line.asks),
                "samples": list(line.samples),
            }
            for line in proposal.lines
        ],
        "needs": list(proposal.needs),
        "notes": [*proposal.notes, *proposal.key_notes],
        "lacking": [_field_json(field) for field in proposal.lacking],
        "created": [_field_json(field) for field in created],
        "mapping": text,
    }


def _field_json(field: NewField) -> dict[str, Any]:
    return {"name": field.name, "type": field.type, "options": list(field.options)}


def _show_lacking(lacking: Sequence[NewField]) -> None:
    common.say("Fields that the sheet needs and the catalog lacks:")
    for field in lacking:
        options = ", ".join(field.options[:6]) + (
            f" and {len(field.options) - 6} more" if len(field.options) > 6 else ""
        )
        common.say(printable(f"  {field.name}: {field.type}" + (f" ({options})" if options else "")))


def _say_next(made: Draft, sheet: Path, out: Path | None, created: Sequence[NewField]) -> None:
    """What was found, and what to do now."""
    proposal = made.proposal
    if created:
        common.say(f"Created {len(created)} fields in {made.schema.catalog_name}.")
    unsure = len(proposal.lines) - len(proposal.sure)
    words = f"{len(proposal.sure)} of {len(proposal.lines)} columns have a sure line"
    common.say(words + (f"; {unsure} are commented out, each with its reason." if unsure else "."))
    if not proposal.key:
        common.say("No column was found to identify products: the file needs a `key:` before it can be used.")
    if proposal.lacking and not created:
        common.say(
            f"{len(proposal.lacking)} columns have no field in the catalog: --create-fields lists and creates them."
        )
    if out is None:
        common.say("--out FILE writes it to a file.")
        return
    common.say(f"Wrote {out}. Look at it, then:")
    common.say(f"  catalogsync validate {shlex.quote(str(sheet))} -m {shlex.quote(str(out))}")
    common.say(f"  catalogsync plan {shlex.quote(str(sheet))} -m {shlex.quote(str(out))}")
