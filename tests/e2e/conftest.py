"""End to end: the command line against the emulator over a socket, as a user would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from catalogsync.cli import run
from catalogsync.emulator.server import Emulator

SHEETS = Path(__file__).resolve().parents[3] / "shared" / "sheets"
MAPPINGS = Path(__file__).resolve().parent / "mappings"

needs_sheets = pytest.mark.skipif(not SHEETS.is_dir(), reason="the folder of real sheets is not here")


@dataclass
class Shell:
    """A terminal with an account: runs commands, and counts what reached the server."""

    emulator: Emulator
    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""
    sent: list[Any] = field(default_factory=list)

    def __call__(self, *arguments: object) -> int:
        """Run a command; its exit code. `out`, `err` and `sent` (the server's request log) are those of this run."""
        self.emulator.clear_requests()
        self.capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        self.out, self.err = self.capsys.readouterr()
        self.sent = self.emulator.requests
        return code

    @property
    def posts(self) -> list[Any]:
        """The bodies of the POSTs of the last run."""
        return [arrival.body for arrival in self.sent if arrival.method == "POST"]

    def plan(self, *arguments: object) -> Any:
        """A plan as JSON. Asserts that planning sent nothing but GETs (law 2)."""
        self("plan", *arguments, "--json", "--rps", 0)
        assert {arrival.method for arrival in self.sent} <= {"GET"}
        return json.loads(self.out)

    def elements(self, catalog: str = "Products") -> list[dict[str, Any]]:
        """Every element as the server stores it: id, name, and values as text by field name."""
        return stored_elements(self.emulator, catalog)


def stored_elements(emulator: Emulator, catalog: str) -> list[dict[str, Any]]:
    """Read through the server's own API, newest first, without this project's client."""
    import requests

    headers = {"Authorization": f"Bearer {emulator.token}"}
    lists = requests.get(f"{emulator.url}/api/v2/catalogs", headers=headers, timeout=10).json()["_embedded"]["items"]
    id_ = next(item["id"] for item in lists if item["name"] == catalog)
    found: list[dict[str, Any]] = []
    while True:
        params = {"catalog_id": id_, "limit_rows": 500, "limit_offset": len(found)}
        answer = requests.get(f"{emulator.url}/api/v2/catalog_elements", params=params, headers=headers, timeout=30)
        if answer.status_code == 204:
            return found
        for item in answer.json()["_embedded"]["items"]:
            values = {f["name"]: [value.get("value", value) for value in f["values"]] for f in item["custom_fields"]}
            found.append({"id": item["id"], "name": item["name"], **values})


Start = Callable[[Mapping[str, Any] | Path], Shell]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Start]:
    """Starts an account from a seed and sets the two environment variables to it."""
    running: list[Emulator] = []

    def begin(seed: Mapping[str, Any] | Path) -> Shell:
        emulator = Emulator(seed=seed, rps=0)
        emulator.start()
        running.append(emulator)
        monkeypatch.setenv("CATALOGSYNC_URL", emulator.url)
        monkeypatch.setenv("CATALOGSYNC_TOKEN", emulator.token)
        monkeypatch.setenv("CATALOGSYNC_STATE", str(tmp_path / "state"))
        monkeypatch.setenv("CATALOGSYNC_RPS", "0")
        return Shell(emulator, capsys)

    yield begin
    for emulator in running:
        emulator.stop()


def catalog_of(fields: Sequence[Mapping[str, Any]], elements: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A seed with one list called Products."""
    return {
        "account": {"id": 30001, "name": "Sample", "subdomain": "sample", "timezone": "Europe/Riga"},
        "catalogs": [{"id": 4220, "name": "Products", "fields": list(fields), "elements": list(elements)}],
    }
