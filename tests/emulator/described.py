"""The emulator's own description, and requests made up from it: what it allows, and now and then what it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import requests
from hypothesis import strategies as st

from catalogsync.emulator.forms import FORM
from catalogsync.emulator.server import Emulator

from .conftest import NOW, SEED, Clock

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
#: A slash or a dot would make another path of it.
IN_PATH = st.text(st.characters(exclude_characters="/.\\", exclude_categories=["Cs"]), min_size=1, max_size=5)


@contextmanager
def account() -> Iterator[Emulator]:
    """The account that the description is of: the seed's, with a group of fields."""
    with Emulator(seed=SEED, rps=0, clock=Clock(NOW)) as emulator:
        emulator.store.add_group(4220, "Sizes", 20)
        yield emulator


def _described() -> dict[str, Any]:
    with account() as emulator:
        return dict(requests.get(f"{emulator.url}/_emulator/openapi.json", timeout=10).json())


DOCUMENT = _described()


@dataclass(frozen=True)
class Operation:
    """One described operation."""

    name: str
    method: str
    path: str
    told: dict[str, Any]

    @property
    def in_path(self) -> list[str]:
        """The names of the parts of its path that change."""
        return [each["name"] for each in self.told["parameters"] if each["in"] == "path"]

    @property
    def bodies(self) -> dict[str, Any]:
        """Content type -> what the body may be."""
        return dict(self.told.get("requestBody", {}).get("content", {}))

    def target(self, **parts: object) -> str:
        """Its path with these parts, and 1, which nothing has, for the others."""
        ones = dict.fromkeys(self.in_path, 1)
        return self.path.format(**{name: quote(str(part), safe="") for name, part in {**ones, **parts}.items()})

    def check(self, answer: requests.Response) -> None:
        """Fails unless status and content type are among those described."""
        assert str(answer.status_code) in self.told["responses"], (answer.status_code, answer.text)
        content_types = self.told["responses"][str(answer.status_code)].get("content", {})
        if not content_types:
            assert not answer.content
            return
        assert answer.headers.get("Content-Type") in content_types
        if "json" in answer.headers["Content-Type"]:
            answer.json()


OPERATIONS = {
    told["operationId"]: Operation(told["operationId"], method.upper(), path, told)
    for path, methods in DOCUMENT["paths"].items()
    for method, told in methods.items()
}
WRITES = [name for name, operation in OPERATIONS.items() if operation.bodies]


@st.composite
def calls(draw: st.DrawFn, operation: Operation) -> dict[str, Any]:
    """Arguments of ``requests.Session.request``, without the scheme and host of the URL."""
    values = _Values(spoilt=draw(_one_in(3)))
    parts, query = {}, []
    for told in operation.told["parameters"]:
        if told["in"] == "path":
            parts[told["name"]] = draw(IN_PATH if draw(_one_in(10)) else values.of(told["schema"]))
        elif draw(st.booleans()):
            value = draw(values.of(told["schema"]))
            query += [(told["name"], _text(each)) for each in (value if isinstance(value, list) else [value])]
    call: dict[str, Any] = {"method": operation.method, "url": operation.target(**parts) + "?" + urlencode(query)}
    if content := operation.bodies:
        content_type = draw(st.sampled_from(sorted(content)))
        value = draw(values.of(content[content_type]["schema"]))
        call["headers"] = {"Content-Type": content_type}
        if content_type == FORM:
            call["data"] = urlencode([(_text(key), _text(text)) for key, text in _pairs("", value)]).encode()
        else:
            call["data"] = json.dumps(value).encode()
    return call


def _one_in(times: int) -> st.SearchStrategy[bool]:
    return st.integers(1, times).map(lambda dice: dice == times)


@dataclass(frozen=True)
class _Values:
    """Values that a schema allows, its examples more often than others; if `spoilt`, some that it does not."""

    spoilt: bool

    def of(self, schema: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
        if "$ref" in schema:
            return self.of(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], depth)
        allowed = self._allowed(schema, depth)
        if examples := schema.get("examples"):
            others, known = allowed, st.sampled_from(examples)
            allowed = _one_in(8).flatmap(lambda other: others if other else known)
        if not self.spoilt or not depth:
            return allowed
        return _one_in(12).flatmap(lambda other: ANYTHING if other else allowed)

    def _allowed(self, schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
        if "anyOf" in schema:
            return st.one_of([self.of(each, depth) for each in schema["anyOf"]])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        kind = schema.get("type")
        if kind == "object":
            fields = {name: self.of(each, depth + 1) for name, each in schema["properties"].items()}
            required = {name: fields.pop(name) for name in schema["required"]}
            return st.fixed_dictionaries(required, optional=fields)
        if kind == "array":
            least, most = schema.get("minItems", 0), min(schema.get("maxItems", 3), 3)
            return st.lists(self.of(schema["items"], depth + 1), min_size=least, max_size=most)
        simple: dict[str | None, st.SearchStrategy[Any]] = {
            "integer": st.integers(min_value=schema.get("minimum")),
            "number": st.floats(allow_nan=False, allow_infinity=False),
            "boolean": st.booleans(),
            "null": st.none(),
            "string": st.from_regex(schema["pattern"])
            if "pattern" in schema
            else st.text(min_size=schema.get("minLength", 0), max_size=300),
        }
        return simple.get(kind, ANYTHING)


def _pairs(name: str, value: object) -> Iterator[tuple[str, str]]:
    """A value as PHP clients put it into a form."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _pairs(f"{name}[{key}]" if name else str(key), inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _pairs(f"{name}[{place}]", inner)
    else:
        yield name, "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()
