"""What became of a plan since it was made: fields, elements and keys that are no longer as it took them to be."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from catalogsync import runs
from catalogsync.api.client import Client
from catalogsync.elements import columns_of
from catalogsync.errors import Problem
from catalogsync.keys import key_text
from catalogsync.model import Add, Delete, Schema, Update
from catalogsync.plan import Plan
from catalogsync.wording import captions_of


def problems_of(made: Plan, schema: Schema, client: Client) -> list[Problem]:
    """Everything that changed: looks at every element that the plan touches, and at those that are newer than it."""
    return [*columns(made, schema), *_elements(made, schema, client), *_taken_keys(made, schema, client)]


def columns(made: Plan, schema: Schema, keys: Collection[str] | None = None) -> Iterable[Problem]:
    """What became of the plan's fields; with `keys` of those only."""
    now = {column.key: column for column in columns_of(made.columns, schema)}
    for key, shown in made.columns.items():
        if keys is not None and key not in keys:
            continue
        if key not in now:
            yield Problem(shown.title, f"the field {key} is gone")
        elif now[key].type != shown.type:
            yield Problem(shown.title, f"the field {key} is now of type {now[key].type}, was {shown.type}")
        elif set(shown.captions) - set(captions_of(now[key])):
            yield Problem(shown.title, f"options of the field {key} are gone")


def _elements(made: Plan, schema: Schema, client: Client) -> Iterable[Problem]:
    touched = {change.id: change for change in made.changes if isinstance(change, Update | Delete)}
    if not touched:
        return
    found = client.elements_by_ids(schema, (), list(touched)).set_index("id")
    for id_, change in touched.items():
        where = made.address(change.row) if isinstance(change, Update) and change.row else key_text(change.key)
        if id_ not in found.index:
            yield Problem(where, f"element {id_} was deleted")
        elif found.at[id_, "updated_at"] != change.updated_at:
            yield Problem(where, f"element {id_} was edited by user {int(str(found.at[id_, 'updated_by']))}")


def _taken_keys(made: Plan, schema: Schema, client: Client) -> Iterable[Problem]:
    """Adds whose key an element holds that is newer than the plan."""
    added = [change for change in made.changes if isinstance(change, Add)]
    for key, id_ in runs.keys_taken(made, added, schema, client).items():
        yield Problem(key_text(key), f"was added meanwhile, as element {id_}")
