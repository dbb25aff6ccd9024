"""Imports run one way, only the command line prints, and help loads nothing heavy: read from the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import catalogsync

PACKAGE = Path(catalogsync.__file__).parent

TIERS: tuple[tuple[str, ...], ...] = (
    ("", "errors", "model", "captions"),
    ("replacing", "celltext", "pace"),
    ("moments", "columnwise", "collecting"),
    ("numbertext",),
    ("matching",),
    (
        "base",
        "fields",
        "grouping",
        "keys",
        "carried",
        "plan",
        "reader",
        "state",
        "stopping",
        "journalfile",
        "lock",
        "readback",
        "yamlfile",
        "outfile",
        "secretrefs",
        "api.loopback",
        "api.dialect",
        "budget",
    ),
    (
        "threeway",
        "mappingfile",
        "columnguards",
        "lookalikes",
        "newoptions",
        "exportcells",
        "filtering",
        "tabscan",
        "api.wire",
        "api.pages",
        "api.reading",
        "api.logins",
    ),
    ("exported", "patching", "api.account", "api.credentials", "api.v2_answers", "api.v4_options", "api.v4_fields"),
    ("api.v2_elements", "api.v4_elements"),
    ("bookparts", "cellvalues", "elements", "api.v2_values", "api.v4_values"),
    ("api.v2",),
    (
        "mapping",
        "tables",
        "wording",
        "differ",
        "guards",
        "workbook",
        "sheetcells",
        "journal",
        "api.v4",
        "api.transport",
        "api.auth",
    ),
    ("api.metered", "api.limited"),
    ("proposing", "api.client", "api.oauth", "checks", "marked", "mapping_schema", "plantext", "taking"),
    ("api.refreshing", "placing", "settling", "looking", "outbox", "optionwriter", "planpage", "reviewbook"),
    ("costs", "batchwriter"),
    ("writer", "reviewanswers"),
    ("forecasting",),
    ("runs", "undoing", "outcomes", "exitcodes"),
    ("stale", "resultbook", "remarks"),
    ("pairing",),
    ("planning",),
    ("sync", "reviewing"),
    ("validating", "proposing", "approved", "intosheet", "doctor"),
    ("reconcile",),
    ("cli",),
    ("__main__",),
)
"""Lower ones first; a part imports from lower tiers only. packages count as one; "" is the root."""

APART = {"emulator", "api"}
"""`emulator` knows nothing of the rest, and `api` itself is only a folder."""

DEPARTURES = {
    # Part, and what it imports of its own tier: why.
    (
        "api.transport",
        "api.auth",
    ): "the transport is made for one account, and must know its token to keep it out of logs",
}

ABOVE_THE_EMULATOR = {"cli"}
"""The only part that starts the emulator."""


def _modules() -> dict[str, ast.Module]:
    """Every module of the package by its name inside it, parsed."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


MODULES = _modules()


def _part(module: str) -> str:
    """The part that a module belongs to: itself, or the package that counts as a whole."""
    head = module.partition(".")[0]
    return head if head in {"reader", "proposing", "reconcile", "cli", "emulator"} else module


def _imported(module: str) -> Iterator[str]:
    """The modules of this package that a module imports, inside functions too."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name == "catalogsync" or name.startswith("catalogsync."):
                inner = name.removeprefix("catalogsync").removeprefix(".")
                while inner and inner not in MODULES:
                    inner = inner.rpartition(".")[0]
                yield inner


EDGES = sorted({(_part(a), _part(b)) for a in MODULES for b in _imported(a) if _part(a) != _part(b)})
TIER = {part: number for number, tier in enumerate(TIERS) for part in tier}


def test_every_part_has_a_tier() -> None:
    parts = {_part(module) for module in MODULES}
    assert parts - APART == set(TIER)


def test_imports_run_one_way_and_not_within_a_tier() -> None:
    ordinary = [(a, b) for a, b in EDGES if "emulator" not in (a, b) and (a, b) not in DEPARTURES]
    wrong = [(a, b) for a, b in ordinary if TIER[a] <= TIER[b]]
    assert wrong == []


def test_every_departure_is_still_needed() -> None:
    assert set(DEPARTURES) <= set(EDGES)


def test_departures_go_round_in_no_circle() -> None:
    assert not [(a, b) for a, b in DEPARTURES if (b, a) in EDGES]


def test_the_emulator_imports_nothing_of_the_client() -> None:
    assert [b for a, b in EDGES if a == "emulator"] == []
    assert {a for a, b in EDGES if b == "emulator"} == ABOVE_THE_EMULATOR


PRINTERS = {"print", "pprint", "echo", "secho"}


def _printed(tree: ast.Module) -> Iterator[int]:
    """The lines that write to stdout or stderr."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in PRINTERS:
                yield node.lineno
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"):
                yield node.lineno


def test_only_the_command_line_prints() -> None:
    found = [f"{name}:{line}" for name, tree in MODULES.items() if _part(name) != "cli" for line in _printed(tree)]
    assert found == []
    assert any(True for name, tree in MODULES.items() if _part(name) == "cli" for _ in _printed(tree))


HEAVY = (
    "pandas numpy pyarrow requests pydantic openpyxl xlsxwriter python_calamine rich uvicorn starlette sqlalchemy yaml"
)

PROBE = """
import contextlib, io, sys
from catalogsync.cli import run
with contextlib.redirect_stdout(io.StringIO()) as out:
    code = run([sys.argv[1]])
assert code == 0, code
assert "catalogsync" in out.getvalue()
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[2].split())))
"""


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(argument: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROBE, argument, HEAVY], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")
