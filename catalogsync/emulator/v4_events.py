"""``/api/v4/events`` for elements of lists (api notes 6): read only, filters as documented there."""

from __future__ import annotations

import json
import re
from typing import Any

from catalogsync.emulator.changes import NAME
from catalogsync.emulator.values import whole_number
from catalogsync.emulator.wire import Answer, Api, Call, as_json, nothing, problem

PATH = "/api/v4/events"
TYPES = "/api/v4/events/types"
MOST_ROWS = 100
MOST_IDS = 10
ANY_FIELD = "custom_field_value_changed"


def get_events(api: Api, call: Call) -> Answer:
    """The newest events first; 204 where there is none."""
    where, values = ["1"], list[object]()
    if entities := _words(call, "entity"):
        catalogs = [entity.removeprefix("catalog_") for entity in entities if re.fullmatch(r"catalog_\d+", entity)]
        _among(where, values, "catalog_id", catalogs)
    if call_ids := _words(call, "entity_id"):
        if len(entities) != 1 or len(call_ids) > MOST_IDS:
            return problem(400, f"filter[entity_id] needs exactly one filter[entity], and takes {MOST_IDS} ids at most")
        _among(where, values, "entity_id", call_ids)
    if types := _words(call, "type"):
        named = [each for each in types if each != ANY_FIELD]
        field = "type LIKE 'custom!_field!_%' ESCAPE '!' OR " if ANY_FIELD in types else ""
        where.append(f"({field}type IN (SELECT value FROM json_each(?)))")
        values.append(json.dumps(named))
    for edge, compare in (("from", ">="), ("to", "<=")):
        at = whole_number(call.argument(f"filter[created_at][{edge}]"))
        if at is not None:
            where.append(f"created_at {compare} ?")
            values.append(at)
    limit = min(whole_number(call.argument("limit")) or MOST_ROWS, MOST_ROWS)
    page = max(1, whole_number(call.argument("page")) or 1)
    rows = api.store.read(
        f"SELECT * FROM events WHERE {' AND '.join(where)} ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?",
        [*values, limit + 1, (page - 1) * limit],
    )
    if not rows:
        return nothing()
    links = {"self": {"href": call.target}}
    if len(rows) > limit:
        kept = [f"{name}={value}" for name, value in call.query if name != "page"]
        links["next"] = {"href": f"{PATH}?{'&'.join([*kept, f'page={page + 1}'])}"}
    events = [_event(api, dict(row)) for row in rows[:limit]]
    return as_json(200, {"_page": page, "_links": links, "_embedded": {"events": events}})


def _event(api: Api, row: dict[str, Any]) -> dict[str, Any]:
    element = f"/api/v4/catalogs/{row['catalog_id']}/elements/{row['entity_id']}"
    return {
        "id": f"{row['id']:026d}",
        "type": row["type"],
        "entity_id": row["entity_id"],
        "entity_type": f"catalog_{row['catalog_id']}",
        "created_by": row["created_by"],
        "created_at": row["created_at"],
        "value_after": json.loads(row["value_after"]),
        "value_before": json.loads(row["value_before"]),
        "account_id": api.store.account.id,
        "_links": {"self": {"href": f"{PATH}/{row['id']:026d}"}},
        "_embedded": {"entity": {"id": row["entity_id"], "_links": {"self": {"href": element}}}},
    }


def _among(where: list[str], values: list[object], column: str, texts: list[str]) -> None:
    numbers = [number for text in texts if (number := whole_number(text)) is not None]
    where.append(f"{column} IN (SELECT value FROM json_each(?))")
    values.append(json.dumps(numbers))


def _words(call: Call, name: str) -> list[str]:
    """The words of a filter: ``filter[x]=a,b``, ``filter[x][]=a``, ``filter[x][0]=a``."""
    found = [value for key, value in call.query if re.fullmatch(rf"filter\[{name}\](\[\d*\])?", key)]
    return [word for value in found for word in value.split(",") if word]


def get_types(api: Api, _call: Call) -> Answer:
    """The types that this account can have."""
    fields = [field for catalog in api.store.catalogs() for field in api.store.fields(catalog.id).values()]
    types = [(NAME, "Name changed"), (ANY_FIELD, "Field changed")]
    types += [(f"custom_field_{field.id}_value_changed", f"Field changed: {field.name}") for field in fields]
    told = [{"key": key, "type": 1, "lang": lang} for key, lang in types]
    links = {"self": {"href": TYPES}}
    return as_json(200, {"_total_items": len(told), "_links": links, "_embedded": {"events_types": told}})
