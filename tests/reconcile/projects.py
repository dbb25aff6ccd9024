"""A project with jobs against the emulator, as a user would run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Shell

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Price", "type": "price"},
    {"id": 103, "name": "Note", "type": "text"},
]
MAPPING = "catalog: Products\nkey: code\ncolumns: {code: Code, name: name, price: Price, note: Note}\n"
SHEET = "code,name,price,note\n001,Oak,9.5,Hard\n002,Ash,100,\n003,Elm,250,Soft\n"


class Project:
    """A folder with ``catalogsync.yaml``, a mapping and a sheet, and an account whose list is empty."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.shell, self.folder = shell, folder
        self.write("mapping.yaml", MAPPING)
        self.write("prices.csv", SHEET)
        self.jobs("sheet: prices.csv")

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def jobs(self, *specs: str, more: str = "") -> None:
        """Write a project file with jobs `prices`, `second` …; each spec is the keys beside the mapping."""
        names = ("prices", "second", "third")
        jobs = "".join(
            f"  {name}: {{mapping: mapping.yaml, {spec}}}\n" for name, spec in zip(names, specs, strict=False)
        )
        self.write("catalogsync.yaml", f"{more}jobs:\n{jobs}")

    def run(self, *arguments: object) -> int:
        """Run ``reconcile``; its exit code."""
        return self.shell("reconcile", *arguments, "--project", self.folder / "catalogsync.yaml", "--settle", 0)

    def turns(self, *arguments: object) -> list[dict[str, Any]]:
        """The outcomes of a run, as JSON."""
        self.run(*arguments, "--json")
        found: list[dict[str, Any]] = json.loads(self.shell.out)
        return found

    def turn(self, *arguments: object) -> dict[str, Any]:
        [found] = self.turns(*arguments)
        return found

    def edit(self, code: str, **values: object) -> None:
        """A colleague edits a product in the catalog."""
        id_ = self.stored()[code]["id"]
        self.shell.emulator.store.edit_as_other_user(id_, values={**values}, at=2_000_000_000)  # type: ignore[dict-item]

    def stored(self) -> dict[str, dict[str, Any]]:
        """The catalog by code."""
        return {each["Code"][0]: each for each in self.shell.elements()}
