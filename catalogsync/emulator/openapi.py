"""The whole API as one OpenAPI 3.1 document, for fuzzers and for people.

Written by hand from the vendor's pages, not derived from the handlers: what a client may send, with ids of
this account as examples, and what it may get. The knobs are taken to stand where they stand by default.
"""

from __future__ import annotations

from catalogsync.emulator import openapi_v2, openapi_v4
from catalogsync.emulator.openapi_parts import EXAMPLES, ID, Schema, with_examples
from catalogsync.emulator.store import Store


def description(store: Store, url: str) -> Schema:
    """The whole document; examples are ids that the account has now."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lists API, versions 2 and 4, as the emulator answers it", "version": "4"},
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "paths": openapi_v2.paths() | openapi_v4.paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _ids(store) | openapi_v2.schemas() | openapi_v4.schemas(store),
        },
    }


def _ids(store: Store) -> Schema:
    catalogs = store.catalogs()
    fields = [field for catalog in catalogs for field in store.fields(catalog.id).values()]
    examples = {
        "CatalogId": [catalog.id for catalog in catalogs],
        "ElementId": [element.id for element in store.elements(limit=EXAMPLES)],
        "FieldId": [field.id for field in fields],
        "OptionId": [number for field in fields for number in field.options],
    }
    return {name: with_examples(ID, ids) for name, ids in examples.items()}
