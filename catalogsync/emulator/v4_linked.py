"""Values that point at something else: other entities, files, the parties of an invoice (api notes 5)."""

from __future__ import annotations

from typing import Any

from catalogsync.emulator.v4_shapes import Wrong, object_of, value_of
from catalogsync.emulator.values import whole_number

_LINKED = ("catalog_elements", "contacts", "companies")
_REQUIRED = {"linked_entity": "entity_id", "supplier": "entity_id", "payer": "name", "file": "file_uuid"}
_CHOICES = {"linked_entity": ("entity_type", _LINKED), "payer": ("type", ("legal", "individual"))}


def read_linked(type_: str, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The values as they are stored: as they were sent, once their parts are known to be right.

    Whether what they point at exists is not looked at: contacts and files are elsewhere.
    """
    if type_ not in _REQUIRED:
        for place, entry in enumerate(values):
            if type_ != "chained_list":
                value_of(entry, place)
        return values
    if len(values) != 1:
        raise Wrong("TooMany")
    sent = object_of(values[0], 0)
    key = _REQUIRED[type_]
    if sent.get(key) in (None, ""):
        raise Wrong("FieldMissing", f"0.value.{key}")
    if sent.get("entity_id") is not None and whole_number(sent["entity_id"]) is None:
        raise Wrong("InvalidType", "0.value.entity_id")
    choice, allowed = _CHOICES.get(type_, ("", ()))
    if sent.get(choice) is not None and sent[choice] not in allowed:
        raise Wrong("NotSupportedChoice", f"0.value.{choice}")
    return values
