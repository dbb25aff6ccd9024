"""``catalogsync doctor``: each thing that can be wrong is told with its way out, and nothing but GETs is sent."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from catalogsync import lock
from catalogsync.api import logins
from catalogsync.emulator.faults import Fault
from catalogsync.emulator.server import Emulator
from catalogsync.journal import Journal
from tests.accounts import SECRET, account, aged, login_of, revoke, stored
from tests.api.helpers import Clock
from tests.e2e.conftest import Shell, Start, catalog_of

FIELDS: list[dict[str, Any]] = [
    {"id": 1, "name": "Code", "type": "text", "code": "SKU"},
    {"id": 2, "name": "Price", "type": "numeric"},
    {"id": 3, "name": "Grade", "type": "select", "enums": {"A": 11, "B": 12}},
    {"id": 4, "name": "Loaded", "type": "date"},
    {"id": 5, "name": "Scan", "type": "file"},
]
MAPPING = "catalog: Products\nkey: Code\ncolumns: {Code: SKU, Name: name, Price: Price, Grade: Grade, Loaded: Loaded}\n"
SHEET = "Code;Name;Price;Grade;Loaded\n" + "".join(f"{n:03};Product {n};{n};A;2026-01-0{n}\n" for n in range(1, 5))


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


@pytest.fixture
def shell(start: Start) -> Shell:
    return start(catalog_of(FIELDS))


def told(shell: Shell, *arguments: object) -> dict[str, tuple[str, str, str]]:
    """The checks by name: verdict, what, hint. The last of a name counts. Asserts that only GETs were sent."""
    shell("doctor", "--json", *arguments)
    assert {arrival.method for arrival in shell.sent} <= {"GET"}
    return {each["name"]: (each["verdict"], each["what"], each["hint"]) for each in json.loads(shell.out)["checks"]}


def problems(shell: Shell) -> list[str]:
    return [each["name"] for each in json.loads(shell.out)["checks"] if each["verdict"] == "problem"]


def jwt(**claims: object) -> str:
    parts = [{"typ": "JWT"}, claims, {"signature": "x"}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def test_where_nothing_is_wrong_every_line_is_ok(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING, encoding="utf-8")
    assert shell("doctor", "-m", tmp_path / "m.yaml") == 0
    assert {arrival.method for arrival in shell.sent} == {"GET"}
    lines = [re.split(r"  +", line, maxsplit=2) for line in shell.out.splitlines()]
    assert {line[0] for line in lines} == {"ok"}
    assert [line[1] if len(line) > 2 else line[1][:12] for line in lines] == [
        "state folder", "address", "token", "account", "API v2", "API v4", "lists", "writing", "fields", "clock",
        "pace", "mapping", "runs", "locks",
    ]  # fmt: skip
    assert "Sample (account 30001), time zone Europe/Riga" in shell.out
    assert f"{tmp_path / 'm.yaml'} fits Products (catalog 4220)" in shell.out
    assert shell.emulator.token not in shell.out + shell.err
    assert shell("doctor", "-q") == 0
    assert shell.out == ""


def test_a_script_gets_versions_too(shell: Shell) -> None:
    assert shell("doctor", "--json") == 0
    versions = json.loads(shell.out)["versions"]
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"catalogsync", "platform", "pandas", "requests", "filelock", "keyring"} <= set(versions)


# --- this machine ---


def test_a_state_folder_that_cannot_be_written(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CATALOGSYNC_STATE", str(tmp_path / "file"))
    verdict, what, hint = told(shell)["state folder"]
    assert (verdict, hint) == ("problem", "CATALOGSYNC_STATE moves it")
    assert what.startswith(f"{tmp_path / 'file'}: cannot be written (")
    assert shell("doctor") == 1
    assert shell.sent == []


def test_a_journal_that_is_none(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal.sqlite").write_text("no database at all, but text" * 9, encoding="utf-8")
    assert told(shell)["journal"][0] == "problem"
    assert shell("doctor") == 1


def test_a_clock_that_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now_s = int(time.time())
    for off_s, words in {-3600: "ahead of", 3600: "behind"}.items():
        with Emulator(seed=catalog_of(FIELDS), rps=0, clock=Clock(now_s + off_s)) as emulator:
            monkeypatch.setenv("CATALOGSYNC_URL", emulator.url)
            monkeypatch.setenv("CATALOGSYNC_TOKEN", emulator.token)
            shell = Shell(emulator, capsys)
            verdict, what, hint = told(shell)["clock"]
            assert (verdict, hint) == ("warning", "let the system set the time")
            found = re.fullmatch(rf"this machine's is (\d+) s {words} the server's", what)
            assert found
            assert abs(int(found[1]) - 3600) < 60
            assert shell("doctor") == 0


def test_a_run_that_ended_early_and_the_lock_that_it_left(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "sheet.csv").write_text(SHEET, encoding="utf-8")
    shell.emulator.fault("401 POST count=0")
    assert shell("import", tmp_path / "sheet.csv", "-m", tmp_path / "m.yaml", "--yes") == 7
    checks = told(shell)
    hint = "catalogsync resume 1, or run the same import again"
    assert checks["runs"] == ("warning", "ended early, with something left to do: 1", hint)
    assert checks["locks"] == ("ok", "nobody is writing", "")

    owner = tmp_path / "state" / "locks" / "30001-4220.owner.json"
    owner.write_text('{"command": "import", "pid": 12, "host": "here", "since": 0}', encoding="utf-8")
    verdict, what, _ = told(shell)["locks"]
    assert verdict == "warning"
    assert what.startswith("catalog 30001-4220: import, process 12 on here since ")
    assert what.endswith(" ended without tidying up; nobody is kept out")
    assert shell("doctor") == 0


def test_a_run_that_is_writing_now(shell: Shell, tmp_path: Path) -> None:
    with lock.exclusive(Journal(tmp_path / "state" / "journal.sqlite").folder, 30001, 4220):
        verdict, what, hint = told(shell)["locks"]
    assert (verdict, hint) == ("warning", "wait for its end")
    assert what.endswith(" is writing to it")


# --- the token ---


def test_no_account_is_told_with_the_ways_out(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CATALOGSYNC_TOKEN")
    checks = told(shell)
    assert checks["address"][0] == "problem"
    assert f"catalogsync login --url {shell.emulator.url}" in checks["address"][1]
    assert "runs" in checks
    assert shell("doctor") == 7
    monkeypatch.setenv("CATALOGSYNC_URL", "ftp://x")
    assert shell("doctor") == 1


def test_a_token_that_is_not_accepted(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGSYNC_TOKEN", "another-token-that-nobody-may-see")
    verdict, what, _ = told(shell)["API v2"]
    assert verdict == "problem"
    assert what.startswith("the token is not accepted (")
    assert problems(shell) == ["API v2"]
    assert shell("doctor") == 7
    assert "another-token" not in shell.out + shell.err


@pytest.mark.parametrize(
    ("left_s", "verdict", "words", "code"),
    [
        (-60, "problem", "a long-lived token; it ended ", 7),
        (86_400, "warning", "a long-lived token; it ends soon, ", 0),
        (30 * 86_400, "ok", "a long-lived token, until ", 0),
    ],
)
def test_when_a_long_lived_token_ends(
    start: Start, monkeypatch: pytest.MonkeyPatch, left_s: int, verdict: str, words: str, code: int
) -> None:
    shell = start({**catalog_of(FIELDS), "token": jwt(exp=int(time.time()) + left_s)})
    check = told(shell)["token"]
    assert check[0] == verdict
    assert check[1].startswith(words)
    assert check[2] == ("" if verdict == "ok" else "make a new one in the account")
    assert shell("doctor") == code


def test_a_login_is_told_with_its_end_and_its_secret(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = start(account())
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    login_of(shell.emulator)
    assert told(shell)["login"] == (
        "warning", "there is one of this address, and the token goes before it", "set only one of both",
    )  # fmt: skip
    monkeypatch.delenv("CATALOGSYNC_TOKEN")
    checks = told(shell)
    path = logins.path_of(shell.emulator.url)
    assert checks["token"][0] == "ok"
    assert checks["token"][1].startswith(f"a login, kept in {path}, renewed by itself, the access token until 20")
    assert checks["client secret"] == ("ok", "found at env:CLIENT_SECRET", "")
    monkeypatch.delenv("CLIENT_SECRET")
    assert told(shell)["client secret"] == (
        "problem",
        "the client secret is to come from the environment's CLIENT_SECRET, which is not set",
        "without it the token cannot be renewed",
    )
    assert shell("doctor") == 7


def test_a_login_that_can_no_longer_be_renewed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    shell = start(account())
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    monkeypatch.delenv("CATALOGSYNC_TOKEN")
    login_of(shell.emulator)
    path = logins.path_of(shell.emulator.url)
    logins.save(replace(stored(shell.emulator), is_used_up=True), path)
    way_out = f"log in again: catalogsync login --url {shell.emulator.url}"
    assert (told(shell)["token"][0], told(shell)["token"][2]) == ("warning", way_out)
    revoke(shell.emulator)
    logins.save(replace(aged(stored(shell.emulator), 100_000), is_used_up=True), path)
    shell.emulator.store.change("DELETE FROM grants")
    shell("doctor", "--json")
    assert problems(shell) == ["token", "API v2"]
    assert shell("doctor") == 7


# --- the account ---


def test_a_dialect_that_does_not_answer(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.emulator.fault("404 json GET /api/v4/account count=0")
    assert told(shell)["API v4"][0] == "ok"
    assert told(shell)["API v4"][1].startswith("not used, and does not answer: GET /api/v4/account: refused with 404")
    assert shell("doctor") == 0
    monkeypatch.setenv("CATALOGSYNC_API", "v4")
    verdict, what, hint = told(shell)["API v4"]
    assert (verdict, hint) == ("problem", "CATALOGSYNC_API=v2 if that one answers")
    assert what.startswith("GET /api/v4/account: refused with 404")
    assert shell("doctor") == 1


def test_an_account_that_does_not_answer(shell: Shell) -> None:
    shell.emulator.fault("500 GET count=0")
    checks = told(shell)
    assert checks["API v2"][0] == "problem"
    assert "account" not in checks
    assert "runs" in checks
    assert shell("doctor") == 1


@pytest.mark.parametrize(
    ("status", "body", "fields"),
    [
        (200, {"rights": {"is_admin": True}}, ("ok", "is an administrator and may create fields and options")),
        (
            200,
            {"rights": {"is_admin": False}},
            ("warning", "is no administrator: fields and options cannot be created"),
        ),
        (403, {}, ("warning", "is no administrator: fields and options cannot be created")),
        (404, {}, ("ok", "not known before it is tried")),
        (200, [], ("ok", "not known before it is tried")),
        (200, {"rights": None}, ("ok", "not known before it is tried")),
    ],
)
def test_rights_are_told_as_far_as_reading_can_tell(
    shell: Shell, status: int, body: object, fields: tuple[str, str]
) -> None:
    """The emulator has no users: what the vendor answers is set as a fault."""
    answer = Fault("status", "GET", "/api/v4/users/*", status=status, body=json.dumps(body), count=0)
    answer.content_type = "application/problem+json" if status >= 400 else "application/hal+json"
    shell.emulator.fault(answer)
    verdict, what, _ = told(shell)["fields"]
    assert verdict == fields[0]
    assert fields[1] in what
    assert shell("doctor") == 0


def test_lists_that_may_not_be_read(shell: Shell) -> None:
    shell.emulator.fault("403 json GET /api/v2/catalogs count=0")
    verdict, what, hint = told(shell)["lists"]
    assert (verdict, hint) == ("problem", "the token's user needs the right to lists")
    assert what.startswith("the token may not do this (")
    assert shell("doctor") == 7


# --- the mapping ---


def used(shell: Shell, tmp_path: Path) -> Path:
    """A mapping that a run used."""
    (tmp_path / "m.yaml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "sheet.csv").write_text(SHEET, encoding="utf-8")
    assert shell("import", tmp_path / "sheet.csv", "-m", tmp_path / "m.yaml", "--yes") == 0, shell.err
    return tmp_path / "m.yaml"


def drift(shell: Shell, path: Path) -> list[tuple[str, str]]:
    shell("doctor", "--json", "-m", path)
    checks = json.loads(shell.out)["checks"]
    return [(each["verdict"], each["what"]) for each in checks if each["name"] in ("mapping", "drift")]


def test_a_field_that_is_gone(shell: Shell, tmp_path: Path) -> None:
    path = used(shell, tmp_path)
    shell.emulator.store.delete_field(shell.emulator.store.fields(4220)[2])
    assert drift(shell, path) == [
        ("problem", f'{path}:3 columns.Price: catalog 4220 (Products) has no field "Price"'),
        ("warning", "since run 1 the field of “Price” (2) is gone"),
    ]
    assert shell("doctor", "-m", path) == 1


def test_a_field_of_another_type_and_an_option_that_is_gone(shell: Shell, tmp_path: Path) -> None:
    path = used(shell, tmp_path)
    store = shell.emulator.store
    store.delete_field(store.fields(4220)[3])
    store.add_field(4220, "Grade", "select", id=3, options=[(12, "B")])
    store.delete_field(store.fields(4220)[4])
    store.add_field(4220, "Loaded", "text", id=4)
    assert drift(shell, path) == [
        ("warning", "since run 1 “Grade” (3) lost the options A"),
        ("warning", "since run 1 “Loaded” (4) became text; it was date"),
        ("ok", f"{path} fits Products (catalog 4220)"),
    ]
    assert shell("doctor", "-m", path) == 0


def test_a_dialect_that_names_a_type_otherwise_is_no_drift(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = start(catalog_of([*FIELDS[:1], {"id": 2, "name": "Price", "type": "price", "code": "PRICE"}, *FIELDS[2:]]))
    path = used(shell, tmp_path)
    monkeypatch.setenv("CATALOGSYNC_API", "v4")
    assert drift(shell, path) == [("ok", f"{path} fits Products (catalog 4220)")]


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("catalog: Prodcts\nkey: Code\ncolumns: {Code: SKU}\n", "the account has no catalog “Prodcts”"),
        ("catalog: Products\nkey: Code\ncolumns: {Code: SKUU}\n", 'catalog 4220 (Products) has no field "SKUU"'),
        ("catalog: Products\nkey: Code\ncolumns: {Code: SKU, G: {field: Grade, enums: {x: Z}}}\n", "Z"),
        ("catalog: Products\nkey: Code\nnonsense: 1\ncolumns: {Code: SKU}\n", "nonsense"),
        ("{", "m.yaml"),
    ],
)
def test_what_a_mapping_names_and_the_catalog_lacks(shell: Shell, tmp_path: Path, mapping: str, words: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(mapping, encoding="utf-8")
    assert [words in what for verdict, what in drift(shell, path) if verdict == "problem"] == [True]
    assert shell("doctor", "-m", path) == 1


def test_a_mapping_file_that_is_missing(shell: Shell, tmp_path: Path) -> None:
    assert [verdict for verdict, _ in drift(shell, tmp_path / "none.yaml")] == ["problem"]


def test_a_field_whose_type_this_version_does_not_know(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("catalog: Products\nkey: Code\ncolumns: {Code: SKU, Scan: Scan}\n", encoding="utf-8")
    (found,) = [what for verdict, what in drift(shell, path) if verdict == "warning"]
    assert found.startswith("“Scan” is of type ")
    assert found.endswith(", which this version carries as text")
    assert shell("doctor", "-m", path) == 0


def test_the_embedded_emulator_is_well(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    monkeypatch.setenv("CATALOGSYNC_URL", "emulator")
    assert shell("doctor") == 0
    assert "ok       address       the embedded emulator\n" in shell.out
    assert not re.search("^(warning|problem)", shell.out, re.MULTILINE)
