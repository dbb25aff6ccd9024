"""``catalogsync catalogs``: the lists themselves, in batches."""

from __future__ import annotations

import json
from typing import Any

import click

from catalogsync.cli import USAGE_EXIT, common
from catalogsync.errors import Problem


@click.group("catalogs")
def command() -> None:
    """List, add, update and delete the lists themselves."""


@command.command("list")
@common.json_option
@common.rate_options
def list_(as_json: bool, rps: float, quiet: bool) -> int:
    """Show every list of the account."""
    from catalogsync.cli import render

    with common.connected(rps=rps) as client:
        catalogs = client.catalogs()
    if as_json:
        entries = [{"id": c.id, "name": c.name, "type": c.type, "sort": c.sort} for c in catalogs]
        click.echo(json.dumps(entries, ensure_ascii=False, indent=2))
    else:
        render.print_table("Catalogs", ("Id", "Name", "Type"), [(str(c.id), c.name, c.type) for c in catalogs])
    return 0


_settings = common.options(
    common.option("--type", "type_", type=click.Choice(["regular", "invoices"]), help="The kind of list."),
    common.option(
        "--can-add-elements/--cannot-add-elements", default=None, help="Elements can be added in the interface."
    ),
    common.option("--can-show-in-cards/--cannot-show-in-cards", default=None, help="A tab in lead and customer cards."),
    common.option("--can-link-multiple/--cannot-link-multiple", default=None, help="One element, several leads."),
)


@command.command("add")
@click.argument("names", nargs=-1, required=True)
@_settings
@common.json_option
@common.rate_options
def add(names: tuple[str, ...], as_json: bool, rps: float, quiet: bool, **settings: Any) -> int:
    """Add lists called NAMES, in one request."""
    entries = [{"name": name, "request_id": n, **_given(settings)} for n, name in enumerate(names)]
    return _write(rps, as_json, "added", len(entries), add=entries)


@command.command("update")
@click.argument("catalogs", nargs=-1, required=True)
@common.option("--name", help="The new name; for one list only.")
@_settings
@common.json_option
@common.rate_options
def update(catalogs: tuple[str, ...], name: str | None, as_json: bool, rps: float, quiet: bool, **settings: Any) -> int:
    """Change CATALOGS (ids or exact names), in one request."""
    changes = _given({"name": name, **settings})
    if not changes:
        raise click.UsageError("nothing to change: give --name or a setting")
    if name and len(catalogs) > 1:
        raise click.UsageError("--name renames one list; give one")
    return _write(rps, as_json, "updated", len(catalogs), update=(catalogs, changes))


@command.command("delete")
@click.argument("catalogs", nargs=-1, required=True)
@common.yes_option
@common.json_option
@common.rate_options
def delete(catalogs: tuple[str, ...], yes: bool, as_json: bool, rps: float, quiet: bool) -> int:
    """Delete CATALOGS (ids or exact names) with all their elements, in one request. Cannot be undone."""
    with common.connected(rps=rps) as client:
        found = [client.catalog(wanted) for wanted in catalogs]
        common.say("Deletes with all elements: " + ", ".join(f"{c.id} ({c.name})" for c in found))
        if not yes and not common.is_interactive():
            common.say("Nothing was deleted: there is no terminal to ask on. --yes deletes without asking.")
            return USAGE_EXIT
        if not yes and not common.confirm("Delete?"):
            common.say("Nothing was deleted.")
            return 0
        confirmed, errors = client.write_catalogs(delete=[c.id for c in found])
    return _tell(confirmed, errors, "deleted", len(found), as_json)


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that were set, by the API's names."""
    return {name.rstrip("_"): value for name, value in settings.items() if value is not None}


def _write(rps: float, as_json: bool, verb: str, wanted_count: int, **request: Any) -> int:
    with common.connected(rps=rps) as client:
        if "update" in request:
            catalogs, changes = request["update"]
            found = [client.catalog(wanted) for wanted in catalogs]
            request = {"update": [{"id": c.id, "name": c.name, **changes} for c in found]}
        confirmed, errors = client.write_catalogs(**request)
    return _tell(confirmed, errors, verb, wanted_count, as_json)


def _tell(confirmed: list[int], errors: list[str], verb: str, wanted_count: int, as_json: bool) -> int:
    from catalogsync.cli import render

    if as_json:
        click.echo(json.dumps({verb: confirmed, "errors": errors}, ensure_ascii=False, indent=2))
    else:
        click.echo(f"{verb.capitalize()}: {', '.join(map(str, confirmed)) or 'none'}")
    render.print_problems("Refused by the account:", [Problem("", words) for words in errors], stderr=True)
    if not errors and len(confirmed) < wanted_count and verb != "deleted":
        common.say("The answer does not confirm all of them; `catalogsync catalogs list` shows what is there.")
        return 6
    return 3 if errors else 0
