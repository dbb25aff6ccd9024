"""The emulator's own description, tried out: whatever it allows, and what it does not, no 500 and no hang."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogsync.emulator import v4_fields, v4_routes
from catalogsync.emulator.forms import FORM
from catalogsync.emulator.knobs import Knobs
from catalogsync.emulator.model import FIELD_TYPES
from catalogsync.emulator.openapi_v4_values import READ, WRITTEN
from catalogsync.emulator.server import ROUTES, Emulator

from .conftest import NOW, SEED, Clock, Session
from .described import ANYTHING, DOCUMENT, OPERATIONS, WRITES, account, calls

# Every operation has an account of its own, so that what one deletes is there for the others; it keeps what
# earlier examples stored, and nothing that is checked here depends on it.
BOUNDED = settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    database=None,
)
EXISTING = {"catalog_id": 4220, "element_id": 41872, "field_id": 4400062, "group_id": "catalogs_1"}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with account() as emulator:
        yield emulator


@pytest.mark.parametrize("name", OPERATIONS)
@BOUNDED
@given(data=st.data())
def test_every_operation_answers_as_it_is_described(session: Session, name: str, data: st.DataObject) -> None:
    call = data.draw(calls(OPERATIONS[name]))
    call["url"] = session.emulator.url + call["url"]
    OPERATIONS[name].check(session.http.request(**call, timeout=10))


@pytest.mark.parametrize("name", WRITES)
@BOUNDED
@given(
    body=st.binary(max_size=60) | ANYTHING.map(lambda value: json.dumps(value).encode()),
    content_type=st.sampled_from(["application/json", FORM, "", "text/plain; charset=x"]),
)
def test_any_bytes_are_answered(session: Session, name: str, content_type: str, body: bytes) -> None:
    operation = OPERATIONS[name]
    url = session.emulator.url + operation.target(**EXISTING)
    headers = {"Content-Type": content_type}
    operation.check(session.http.request(operation.method, url, data=body, headers=headers, timeout=10))


def _asked(emulator: Emulator, name: str, token: str, **parts: object) -> requests.Response:
    operation = OPERATIONS[name]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = b"[{}]" if operation.bodies else None
    url = emulator.url + operation.target(**parts)
    answer = requests.request(operation.method, url, data=body, headers=headers, timeout=10)
    operation.check(answer)
    return answer


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "token"])
def test_without_a_token_every_operation_answers_401_as_described(emulator: Emulator, name: str) -> None:
    assert _asked(emulator, name, "nobody", **EXISTING).status_code == 401


def test_a_flood_is_answered_as_described() -> None:
    clock = Clock(NOW)
    knobs = Knobs(block_after_s=2)
    with Emulator(seed=SEED, rps=1, knobs=knobs, clock=clock, steady_clock=clock) as emulator:
        _asked(emulator, "v4Account", emulator.token)
        assert {_asked(emulator, name, emulator.token).status_code for name in OPERATIONS} == {429}
        for _second in range(2):
            clock.now_s += 1
            _asked(emulator, "v4Account", emulator.token)
            _asked(emulator, "v4Account", emulator.token)
        assert {_asked(emulator, name, emulator.token).status_code for name in OPERATIONS} == {403}


WITH_PATH = [(name, part) for name, operation in OPERATIONS.items() for part in operation.in_path]


@pytest.mark.parametrize("missing", [1, 10**15, 10**30, "x", "0"])
@pytest.mark.parametrize(("name", "part"), WITH_PATH)
def test_a_missing_id_in_the_path_is_answered_as_described(
    emulator: Emulator, name: str, part: str, missing: object
) -> None:
    assert _asked(emulator, name, emulator.token, **{**EXISTING, part: missing}).status_code == 404


@pytest.fixture(scope="module")
def with_204() -> Iterator[Emulator]:
    knobs = Knobs(v4_get_missing="204", v4_patch_missing="204")
    with Emulator(seed=SEED, rps=0, knobs=knobs, clock=Clock(NOW)) as emulator:
        yield emulator


@pytest.mark.parametrize(
    ("name", "part"), [each for each in WITH_PATH if OPERATIONS[each[0]].method in ("GET", "PATCH")]
)
def test_a_missing_id_answered_with_204_is_described_too(with_204: Emulator, name: str, part: str) -> None:
    assert _asked(with_204, name, with_204.token, **{**EXISTING, part: 1}).status_code == 204


@pytest.mark.parametrize("name", WRITES)
def test_a_body_that_is_no_json_is_answered_400_as_described(session: Session, name: str) -> None:
    operation = OPERATIONS[name]
    url = session.emulator.url + operation.target(**EXISTING)
    answer = session.http.request(operation.method, url, data=b"{", timeout=10)
    operation.check(answer)
    assert answer.status_code == 400


def test_every_route_is_described() -> None:
    described = {(operation.method, operation.path) for operation in OPERATIONS.values()}
    plain = {(method, path) for path, methods in ROUTES.items() for method in methods}
    assert {each for each in described if each[1] not in V4_PATHS} == plain | {("POST", "/oauth2/access_token")}
    for pattern, by_method in v4_routes.ROUTES:
        (path,) = [path for path in V4_PATHS if pattern.fullmatch(re.sub(r"\{(\w+)\}", _an_id, path))]
        assert {method for method, where in described if where == path} == set(by_method)


V4_PATHS = [path for path in DOCUMENT["paths"] if path.startswith(v4_routes.PREFIX) and path not in ROUTES]


def _an_id(part: re.Match[str]) -> str:
    return str(EXISTING[part[1]])


def test_the_examples_are_the_accounts() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["V4GroupId"]["examples"] == ["general", "catalogs_1"]
    assert schemas["CatalogId"]["examples"] == [4220, 4221]
    assert schemas["ElementId"]["examples"] == [41873, 41872]
    by_id = [each["properties"] for each in schemas["V4Values"]["anyOf"] if "field_id" in each["properties"]]
    assert {4400062} in [set(each["field_id"].get("examples", [])) for each in by_id]


def test_every_type_of_field_has_its_shapes() -> None:
    assert set(WRITTEN) == v4_fields.ALL
    assert set(READ) == set(FIELD_TYPES)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names == set(DOCUMENT["components"]["schemas"])
    assert DOCUMENT["openapi"] == "3.1.0"
