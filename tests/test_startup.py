"""A command loads what it uses and no more: counted in modules, which no busy machine changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from catalogsync.cli import COMMANDS
from catalogsync.emulator.server import Emulator
from tests.e2e.conftest import catalog_of

MOST_MODULES = 130
"""`--help` loads 79 beside those of an empty Python 3.11; of the commands' own helps that of `login` the most, 109."""

FOR_OTHER_WORK = """
openpyxl xlsxwriter xlrd python_calamine
uvicorn starlette anyio sqlalchemy
apscheduler cronsim apprise prometheus_client structlog keyring fsspec
scipy matplotlib jinja2 pytest hypothesis
""".split()
"""Libraries of workbooks, of the emulator, of runs that repeat, of extras and of tests."""

OWN_FOR_OTHER_WORK = """
emulator reconcile proposing doctor reviewing reviewbook resultbook planpage workbook outfile intosheet validating
reader.workbook reader.xlsx reader.xls reader.ods reader.books api.oauth api.refreshing api.loopback
""".split()
"""What other commands and other types of sheets use, of this package."""

PROBE = """
import contextlib, io, json, sys
before = set(sys.modules)
from catalogsync.cli import run
with contextlib.redirect_stdout(io.StringIO()) as out:
    code = run(sys.argv[1:])
print(json.dumps({"code": code, "out": out.getvalue(), "loaded": sorted(set(sys.modules) - before)}))
"""


def _loaded(*arguments: str, **environment: str) -> tuple[set[str], str]:
    """The modules that a command loads in a process of its own, and what it prints. Asserts that it goes well."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, **environment},
    )
    assert (run.returncode, run.stderr) == (0, "")
    told = json.loads(run.stdout)
    assert told["code"] == 0
    return set(told["loaded"]), told["out"]


def _libraries(loaded: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in loaded}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_load_click_and_one_module_of_this_package(arguments: list[str]) -> None:
    loaded, out = _loaded(*arguments)
    assert "catalogsync" in out
    ours = {name for name in loaded if name.startswith("catalogsync")}
    assert ours == {"catalogsync", "catalogsync.cli", "catalogsync.errors"}
    assert _libraries(loaded) - set(sys.stdlib_module_names) == {"catalogsync", "click"}
    assert len(loaded) <= MOST_MODULES


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_loads_no_library_that_takes_long(command: str) -> None:
    loaded, out = _loaded(command, "--help")
    assert out.startswith(f"Usage: catalogsync {command}")
    heavy = {"pandas", "numpy", "pyarrow", "requests", "pydantic", "rich", "stamina", "yaml", *FOR_OTHER_WORK}
    assert _libraries(loaded) & heavy == set()
    assert len(loaded) <= MOST_MODULES


def test_the_modules_that_planning_does_without_are_still_called_so() -> None:
    assert [name for name in OWN_FOR_OTHER_WORK if find_spec(f"catalogsync.{name}") is None] == []


def test_planning_a_text_file_loads_nothing_of_workbooks_servers_or_schedules(tmp_path: Path) -> None:
    fields = [{"id": 101, "name": "Code", "type": "text"}, {"id": 102, "name": "Amount", "type": "numeric"}]
    elements = [{"name": f"P{n}", "values": {"Code": f"C{n}", "Amount": 1}} for n in range(100)]
    sheet, mapping = tmp_path / "sheet.csv", tmp_path / "map.yaml"
    sheet.write_text("name;code;amount\n" + "".join(f"P{n};C{n};2\n" for n in range(100)), encoding="utf-8")
    mapping.write_text(
        "catalog: 4220\nkey: code\ncolumns: {name: name, code: Code, amount: Amount}\n", encoding="utf-8"
    )
    with Emulator(seed=catalog_of(fields, elements), rps=0) as emulator:
        loaded, out = _loaded(
            *["plan", str(sheet), "-m", str(mapping), "-q"],
            CATALOGSYNC_URL=emulator.url,
            CATALOGSYNC_TOKEN=emulator.token,
            CATALOGSYNC_STATE=str(tmp_path / "state"),
            CATALOGSYNC_RPS="0",
        )
    assert "100 to update" in out
    assert _libraries(loaded) & set(FOR_OTHER_WORK) == set()
    ours = {name.removeprefix("catalogsync.") for name in loaded if name.startswith("catalogsync.")}
    assert {name for name in ours for other in OWN_FOR_OTHER_WORK if f"{name}.".startswith(f"{other}.")} == set()
    assert {"sync", "reader.text", "api.transport"} <= ours
