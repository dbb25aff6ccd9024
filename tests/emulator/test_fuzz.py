"""The emulator's own description, tried out: whatever it allows, and what it does not, no 500 and no hang."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogsync.emulator import openapi
from catalogsync.emulator.forms import FORM
from catalogsync.emulator.server import ROUTES, Emulator

from .conftest import NOW, SEED, Clock

BOUNDED = settings(
    deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


def _described() -> dict[str, Any]:
    with Emulator(seed=SEED, rps=0) as emulator:
        return dict(requests.get(f"{emulator.url}/_emulator/openapi.json", timeout=10).json())


DOCUMENT = _described()
OPERATIONS = {
    told["operationId"]: (method.upper(), path, told)
    for path, methods in DOCUMENT["paths"].items()
    for method, told in methods.items()
}
POSTS = [name for name, (method, _path, _told) in OPERATIONS.items() if method == "POST"]


def values_of(schema: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a schema allows, its examples more often than others, and now and then one it does not."""
    examples = schema.get("examples", [])
    if "$ref" in schema:
        return values_of(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], depth)
    allowed = _allowed(schema, depth)
    if examples:
        allowed = st.sampled_from(examples) | allowed
    return st.integers(0, 19).flatmap(lambda dice: ANYTHING if dice == 0 and depth else allowed)


def _allowed(schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if "oneOf" in schema:
        return st.one_of([values_of(each, depth) for each in schema["oneOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        fields = {name: values_of(each, depth + 1) for name, each in schema["properties"].items()}
        required = {name: fields.pop(name) for name in schema["required"]}
        return st.fixed_dictionaries(required, optional=fields)
    if kind == "array":
        return st.lists(values_of(schema["items"], depth + 1), max_size=schema.get("maxItems", 3))
    simple: dict[str | None, st.SearchStrategy[Any]] = {
        "integer": st.integers(min_value=schema.get("minimum")),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "string": st.from_regex(schema["pattern"]) if "pattern" in schema else st.text(max_size=300),
    }
    return simple.get(kind, ANYTHING)


def pairs(name: str, value: object) -> Iterator[tuple[str, str]]:
    """A value as PHP clients put it into a form."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from pairs(f"{name}[{key}]" if name else str(key), inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from pairs(f"{name}[{place}]", inner)
    else:
        yield name, "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=SEED, rps=0, clock=Clock(NOW)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def http(emulator: Emulator) -> Iterator[requests.Session]:
    with requests.Session() as http:
        http.headers["Authorization"] = f"Bearer {emulator.token}"
        yield http


def encoded(text: object) -> str:
    return str(text).encode("utf-8", "replace").decode()


@pytest.mark.parametrize("name", OPERATIONS)
@BOUNDED
@given(data=st.data())
def test_every_operation_answers_as_it_is_described(
    emulator: Emulator, http: requests.Session, name: str, data: st.DataObject
) -> None:
    method, path, told = OPERATIONS[name]
    query = []
    for argument in told["parameters"]:
        if data.draw(st.booleans()):
            value = data.draw(values_of(argument["schema"]))
            sent = value if isinstance(value, list) else [value]
            query += [(argument["name"], encoded(each)) for each in sent]
    body, headers = None, {}
    if content := told.get("requestBody", {}).get("content"):
        value = data.draw(values_of(content["application/json"]["schema"]))
        headers = {"Content-Type": data.draw(st.sampled_from(sorted(content)))}
        if headers["Content-Type"] == FORM:
            body = urlencode([(encoded(key), encoded(text)) for key, text in pairs("", value)]).encode()
        else:
            body = json.dumps(value).encode()
    answer = http.request(method, f"{emulator.url}{path}?{urlencode(query)}", data=body, headers=headers, timeout=10)
    assert str(answer.status_code) in told["responses"], answer.text
    content_types = told["responses"][str(answer.status_code)].get("content", {})
    assert (answer.headers.get("Content-Type") in content_types) if content_types else not answer.content
    if content_types:
        answer.json()


@BOUNDED
@given(
    body=st.binary(max_size=60), name=st.sampled_from([name for name, told in OPERATIONS.items() if told[0] == "POST"])
)
@pytest.mark.parametrize("content_type", ["application/json", FORM, "", "text/plain; charset=x"])
def test_any_bytes_are_answered(
    emulator: Emulator, http: requests.Session, content_type: str, body: bytes, name: str
) -> None:
    _method, path, told = OPERATIONS[name]
    answer = http.post(emulator.url + path, data=body, headers={"Content-Type": content_type}, timeout=10)
    assert str(answer.status_code) in told["responses"], answer.text


def test_every_route_is_described_and_the_examples_are_the_accounts() -> None:
    assert {(method, path) for method, path, _told in OPERATIONS.values()} - {("POST", "/oauth2/access_token")} == {
        (method, path) for path, methods in ROUTES.items() for method in methods
    }
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["CatalogId"]["examples"] == [4220, 4221]
    assert schemas["ElementId"]["examples"] == [41873, 41872]


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(DOCUMENT["components"]["schemas"])
    assert DOCUMENT["openapi"] == "3.1.0"
    assert openapi.EXAMPLES > 2
