"""A JSON Schema of the mapping file, so that editors complete and check it: made from the models in mapping.py.

The descriptions are the words under each key there. A schema sees YAML as an editor does: where any text is
good, numbers and booleans are too, since a scalar is taken as the text that was written.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from catalogsync.mappingfile import ColumnSpec, GuardSpec, MappingFile, ReadSpec

FILE_NAME = "mapping.schema.json"
MODELINE = f"# yaml-language-server: $schema={FILE_NAME}"
"""The first line of a mapping file that has the schema beside it."""

TEXT = {"type": ["string", "number", "boolean"]}
_EMPTY = {"type": [*TEXT["type"], "null"]}
_EMPTIES = {"anyOf": [_EMPTY, {"type": "array", "items": _EMPTY, "minItems": 1}]}
_TEXTS = {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}
_LIMIT = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?%?$"}]}
_HEADER_ROWS = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": "^([1-9][0-9]{0,6}( *- *[1-9][0-9]{0,6})?|none)$"},
    ]
}
_KEY = {
    "anyOf": [
        TEXT,
        {"type": "array", "minItems": 1, "items": {"anyOf": [TEXT, {"type": "array", "minItems": 1, "items": TEXT}]}},
    ]
}


class _AsWritten(GenerateJsonSchema):
    def str_schema(self, schema: Any) -> dict[str, Any]:
        return dict(TEXT)


def mapping_schema() -> dict[str, Any]:
    """The schema of a mapping file, draft 7: what editors know best."""
    tree = MappingFile.model_json_schema(schema_generator=_AsWritten)
    column = object_of(ColumnSpec, {"format": _TEXTS, "empty": _EMPTIES, "moves": _moves()})
    guards = object_of(GuardSpec, dict.fromkeys(GuardSpec.model_fields, _LIMIT))
    read = object_of(ReadSpec, {"header_row": _HEADER_ROWS, "needs": _TEXTS, "quote": TEXT})
    forms = {
        "key": _KEY,
        "columns": {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [TEXT, column]}},
        "missing": _missing(),
        "guards": guards,
        "read": read,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "catalogsync mapping file",
        "description": "Which column of a sheet fills which field of a catalog.",
        **object_of(MappingFile, forms, tree),
    }


def schema_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(mapping_schema(), ensure_ascii=False, indent=2) + "\n"


def object_of(spec: type[BaseModel], forms: Mapping[str, Any], tree: dict[str, Any] | None = None) -> dict[str, Any]:
    """The keys of a model, each with its description; `forms` are the ways to write those that have several."""
    made = tree or spec.model_json_schema(schema_generator=_AsWritten)
    told = descriptions(spec)
    properties = {}
    for key, found in made["properties"].items():
        form = forms.get(key) or _plain(found)
        default = {"default": found["default"]} if found.get("default") not in (None, "", [], {}) else {}
        default = {} if isinstance(default.get("default"), dict) else default
        properties[key] = {"description": told[key], **form, **default}
    required = {"required": made["required"]} if "required" in made else {}
    return {"type": "object", "additionalProperties": False, **required, "properties": properties}


def _plain(found: Mapping[str, Any]) -> dict[str, Any]:
    """A key's form without what an editor has no use for."""
    kept = {name: value for name, value in found.items() if name not in {"title", "default", "description"}}
    choices = [each for each in kept.get("anyOf", []) if each != {"type": "null"}]
    return {name: value for name, value in choices[0].items() if name != "title"} if len(choices) == 1 else kept


def _moves() -> dict[str, Any]:
    return {"type": "string", "pattern": "^(any|[0-9]+([.][0-9]+)?%)$"}


def _missing() -> dict[str, Any]:
    values = {"type": "object", "minProperties": 1, "additionalProperties": TEXT}
    return {
        "anyOf": [
            {"enum": ["keep", "delete"]},
            {"type": "object", "required": ["set"], "additionalProperties": False, "properties": {"set": values}},
        ],
        "default": "keep",
    }


def descriptions(spec: type[BaseModel]) -> dict[str, str]:
    """The words under each key of a model and of those that it is made from, as one line."""
    told: dict[str, str] = {}
    for each in reversed(spec.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            told |= _own_descriptions(each)
    return told


def _own_descriptions(spec: type[BaseModel]) -> dict[str, str]:
    [made] = ast.parse(textwrap.dedent(inspect.getsource(spec))).body
    assert isinstance(made, ast.ClassDef)
    told = {}
    for line, after in zip(made.body, made.body[1:], strict=False):
        match line, after:
            case ast.AnnAssign(target=ast.Name(id=key)), ast.Expr(value=ast.Constant(value=str(words))):
                told[key] = " ".join(words.split())
    return told
