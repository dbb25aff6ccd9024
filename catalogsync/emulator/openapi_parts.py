"""What the OpenAPI descriptions of both versions are put together from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from catalogsync.emulator.wire import HTML, PROBLEM

Schema: TypeAlias = dict[str, Any]

EXAMPLES = 20
"""How many ids of one kind are told; an account may hold thousands."""

JSON = "application/json"

TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1}
BOOL: Schema = {"type": "boolean"}
INT: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
NULL: Schema = {"type": "null"}
COUNT: Schema = {"type": "integer", "minimum": 1}


def any_of(*schemas: Schema) -> Schema:
    """What one of these allows, or several: ``oneOf`` would forbid what two of them allow."""
    return {"anyOf": list(schemas)}


def nullable(schema: Schema) -> Schema:
    """What the schema allows, or null."""
    return any_of(schema, NULL)


def one_word(*words: object) -> Schema:
    """One of these and nothing else."""
    return {"enum": list(words)}


def ref(name: str) -> Schema:
    """A named schema of this document."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema, **bounds: int) -> Schema:
    """A list of these."""
    return {"type": "array", "items": items, **bounds}


def object_of(required: Sequence[str] = (), /, **properties: Schema) -> Schema:
    """An object; other keys than these are allowed."""
    return {"type": "object", "required": list(required), "properties": properties}


ID: Schema = any_of(COUNT, {"type": "string", "pattern": "^[0-9]{1,15}$"})
REQUEST_ID: Schema = any_of(INT, TEXT)


def with_examples(schema: Schema, examples: Sequence[object]) -> Schema:
    """The schema with what the account has now as examples, if it has any."""
    return schema | {"examples": list(examples)[:EXAMPLES]} if examples else schema


def argument(name: str, schema: Schema) -> Schema:
    """A query argument; none is required."""
    return {"name": name, "in": "query", "required": False, "schema": schema}


def in_path(name: str, schema: Schema) -> Schema:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema}


def answer(words: str, content_type: str = "", schema: Schema | None = None) -> Schema:
    """One answer; without a content type it has no body."""
    told: Schema = {"description": words}
    return told | {"content": {content_type: {"schema": schema} if schema else {}}} if content_type else told


def operation(
    name: str, arguments: Sequence[Schema], answers: Schema, *, body: Schema | None = None, sent_as: Sequence[str] = ()
) -> Schema:
    """One operation; `answers` are its own, those of the gates before it are added."""
    told: Schema = {"operationId": name, "parameters": list(arguments), "responses": answers | _gates()}
    if body is not None:
        told["requestBody"] = {"required": True, "content": {each: {"schema": body} for each in sent_as}}
    return told


def _gates() -> Schema:
    return {
        "401": answer("no token, or one that is not let in", PROBLEM),
        "403": answer("blocked for flooding", HTML),
        "429": answer("too many requests", HTML),
    }
