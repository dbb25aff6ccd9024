"""``catalogsync fields``: a catalog's custom fields, types and options."""

from __future__ import annotations

import html
import json

import click

from catalogsync.cli import common


@click.command("fields")
@click.argument("catalog")
@common.json_option
@common.rate_options
def command(catalog: str, as_json: bool, rps: float, quiet: bool) -> int:
    """Show the custom fields of CATALOG (id or exact name), their types and options."""
    from catalogsync import fields
    from catalogsync.cli import render

    with common.connected(rps=rps) as client:
        schema = client.schema(client.catalog(catalog))
    if as_json:
        entries = [
            {
                "id": field.id,
                "name": field.name,
                "code": field.code or None,
                "type": field.type,
                "subtypes": list(fields.SUBTYPES.get(field.type, ())),
                "enums": {str(id_): html.unescape(caption) for id_, caption in field.enums.items()},
            }
            for field in schema.fields
        ]
        click.echo(json.dumps({"catalog": schema.catalog_id, "fields": entries}, ensure_ascii=False, indent=2))
        return 0
    rows = [("name", "Name", "", "text", "")]
    for field in schema.fields:
        kind = field.type if fields.is_known(field) else f"{field.type} (carried as text)"
        listed = [html.unescape(caption) for caption in field.enums.values()] or list(
            fields.SUBTYPES.get(field.type, ())
        )
        rows.append((str(field.id), field.name, field.code, kind, ", ".join(listed)))
    render.print_table(
        f"{schema.catalog_name} (catalog {schema.catalog_id})", ("Id", "Name", "Code", "Type", "Options"), rows
    )
    return 0
