"""Options that a plan adds: found in its changes, told before, their ids put in the place of stand-ins. Pure.

What stands for an option that does not exist yet is said in captions.py, how it is added in optionwriter.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from catalogsync import captions, fields
from catalogsync.celltext import quoted
from catalogsync.errors import Problem
from catalogsync.model import Add, AddedOptions, AddOptions, Change, Column, Delete, Schema
from catalogsync.plan import Plan, Shown
from catalogsync.readback import written_by

_MOST_COMPARED = 100
"""So many new options of a field are compared with those that it has: a flood is stopped by a guard anyhow."""


def needed(changes: Iterable[Change], columns: Mapping[str, Shown]) -> tuple[AddOptions, ...]:
    """The options that the changes write and that do not exist yet: per field, in the order of the columns.

    Captions in the order of the rows that first name them; those of one cell by their text.
    """
    found = _first_rows(changes, columns)
    return tuple(AddOptions(int(key), tuple(found[key])) for key in columns if key in found)


def _first_rows(changes: Iterable[Change], columns: Mapping[str, Shown]) -> dict[str, dict[str, int]]:
    """Per column key the captions that are to be added, with the first row that names each."""
    keys = [key for key, shown in columns.items() if shown.type in fields.OPTION_TYPES]
    places: list[tuple[int, int, str, str]] = []
    for change in changes:
        if isinstance(change, Delete):
            continue
        written = written_by(change)
        for key in keys:
            new = filter(captions.is_stand_in, captions.split(written.get(key, "")))
            places.extend((change.row, change.op, key, captions.caption_of(option)) for option in new)
    found: dict[str, dict[str, int]] = {}
    for row, _, key, caption in sorted(places):
        found.setdefault(key, {}).setdefault(caption, row)
    return found


def look_alikes(
    changes: Iterable[Change], columns: Mapping[str, Shown], mapped: Iterable[Column], address: Callable[[int], str]
) -> Iterator[Problem]:
    """New options that are probably an existing one, written wrong: where the sheet first says so."""
    by_key = {column.key: column for column in mapped}
    for key, rows in _first_rows(changes, columns).items():
        for caption, row in list(rows.items())[:_MOST_COMPARED]:
            meant = fields.near_option(caption, by_key[key])
            if meant:
                what = f"{quoted(caption)} becomes a new option"
                where = f"{address(row)} ({by_key[key].header})"
                yield Problem(where, what, f"did you mean {quoted(meant)}?")


def told(options: Sequence[AddOptions], columns: Mapping[str, Shown]) -> list[Problem]:
    """The options to be added as a person reads them, a line per field."""
    return [
        Problem(columns[key].title if key in columns else key, ", ".join(map(quoted, each.captions)))
        for each in options
        for key in (str(each.field_id),)
    ]


# --- ids in the place of stand-ins ---------------------------------------------------------------------------


def with_ids(plan: Plan, added: Iterable[AddedOptions]) -> Plan:
    """The plan with the ids of options that exist by now; what it says of its columns knows them too."""
    ids = _ids_by_key(added)
    if not ids:
        return plan
    columns = dict(plan.columns)
    for each in added:
        key = str(each.field_id)
        if key in columns:
            names = {str(id_): caption for caption, id_ in each.ids.items()}
            columns[key] = replace(columns[key], captions={**columns[key].captions, **names})
    return replace(plan, changes=tuple(_change_with_ids(change, ids) for change in plan.changes), columns=columns)


def _change_with_ids(change: Change, ids: Mapping[str, Mapping[str, int]]) -> Change:
    written = written_by(change)
    found = {key: captions.with_ids(written[key], known) for key, known in ids.items() if key in written}
    if all(written[key] == text for key, text in found.items()):
        return change
    if isinstance(change, Add):
        return replace(change, values={**written, **found})
    assert not isinstance(change, Delete)
    return replace(change, after={**written, **found})


def rows_with_ids(rows: pd.DataFrame, added: Iterable[AddedOptions]) -> pd.DataFrame:
    """Rows of canonical text by column key, with the ids of options that exist by now."""
    ids = {key: known for key, known in _ids_by_key(added).items() if key in rows.columns}
    return rows.assign(
        **{key: rows[key].map(lambda text, by=by: captions.with_ids(text, by)) for key, by in ids.items()}
    )


def schema_with(schema: Schema, added: Iterable[AddedOptions]) -> Schema:
    """The schema with the options that were added."""
    by_id = {each.field_id: {id_: caption for caption, id_ in each.ids.items()} for each in added}
    known = (
        dataclasses.replace(field, enums={**field.enums, **by_id[field.id]}) if field.id in by_id else field
        for field in schema.fields
    )
    return replace(schema, fields=tuple(known))


def _ids_by_key(added: Iterable[AddedOptions]) -> dict[str, dict[str, int]]:
    return {str(each.field_id): {captions.folded(caption): id_ for caption, id_ in each.ids.items()} for each in added}
