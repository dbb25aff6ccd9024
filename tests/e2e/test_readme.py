"""The README's promises: every command in it is run, every mapping in it is read, every exit code is the real one."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from catalogsync import errors, exitcodes, sync
from catalogsync.cli import COMMANDS, USAGE_EXIT, common, run
from catalogsync.mappingfile import ColumnSpec, MappingFile, load_mapping

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MANUAL = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def test_the_first_block_holds_two_commands_one_runs_the_demo_and_one_the_tests() -> None:
    first = re.findall(r"^```\w*\n(.*?)^```", README, re.S | re.M)[0]
    demo, tests = [line for line in first.splitlines() if line.strip()]
    assert demo.startswith("python3 -m venv .venv && ")
    assert demo.endswith(" && .venv/bin/catalogsync demo")
    assert tests.startswith("python3 -m venv .venv && ")
    assert tests.endswith(" && .venv/bin/python -m pytest -n auto")
    assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_other_command_of_the_readme_runs_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("samples", "mappings"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATALOGSYNC_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CATALOGSYNC_RPS", "0")
    monkeypatch.delenv("CATALOGSYNC_TOKEN", raising=False)
    lines = [line for block in blocks(README, "sh")[1:] for line in block.splitlines() if line.strip()]
    ran = []
    for line in lines:
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setenv(name, value)
            continue
        assert words[0] == "catalogsync", line
        assert run(words[1:]) == 0, line + capsys.readouterr().err
        ran.append(words[1])
    assert set(ran) == {"init", "catalogs", "fields", "validate", "plan", "import", "apply", "export", "reconcile"}
    assert (tmp_path / "products.xlsx").exists()
    assert (tmp_path / "dear.csv").exists()


def test_the_readme_s_mapping_fits_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from catalogsync.emulator.server import Emulator

    (mapping,) = blocks(README, "yaml")
    (tmp_path / "products.yaml").write_text(mapping, encoding="utf-8")
    monkeypatch.setenv("CATALOGSYNC_STATE", str(tmp_path / "state"))
    with Emulator(seed=ROOT / "samples" / "stationery.seed.yaml", rps=0) as emulator:
        monkeypatch.setenv("CATALOGSYNC_URL", emulator.url)
        monkeypatch.setenv("CATALOGSYNC_TOKEN", emulator.token)
        with common.connected(rps=0) as client:
            planned = sync.plan(
                ROOT / "samples" / "stationery.csv", tmp_path / "products.yaml", client, common.journal()
            )
    assert planned.plan.counts == {"add": 7, "update": 2, "delete": 0}


def test_every_command_and_every_key_is_documented() -> None:
    for name in COMMANDS:
        assert f"`catalogsync {name}" in README, name
    for key in MappingFile.model_fields:
        assert f"| `{key}` |" in README, key
        assert f"{key}:" in MANUAL, key
    for key in ColumnSpec.model_fields:
        assert f"`{key}`" in README + "`conflict`", key
        assert f"| `{key}` |" in MANUAL, key


def test_the_manual_s_mapping_is_valid(tmp_path: Path) -> None:
    whole, with_sections = blocks(MANUAL, "yaml")
    (tmp_path / "sections.yaml").write_text(f"catalog: 4220\nkey: Code\n{with_sections}", encoding="utf-8")
    assert load_mapping(tmp_path / "sections.yaml").read.needs == ("Price",)
    (tmp_path / "m.yaml").write_text(whole, encoding="utf-8")
    file = load_mapping(tmp_path / "m.yaml")
    assert file.headers == ("Product", "Vendor code", "Price", "Sizes", "City")
    assert file.read.header_row == (3,)


def test_the_exit_codes_of_the_readme_are_those_of_the_errors() -> None:
    documented = {int(number) for cell in re.findall(r"^\| ([\d, ]+) \|", README, re.M) for number in cell.split(",")}
    kinds = [errors.CatalogSyncError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {kind.exit_code for kind in kinds} | {0, 2, USAGE_EXIT, 130, 143} == documented
    assert {*exitcodes.EXIT_ORDER, USAGE_EXIT} == documented
    assert "130, 143, 7, 1, 6, 4, 5, 3, 2" in README
    assert exitcodes.EXIT_ORDER == (130, 143, 7, 1, 6, 4, 5, 3, 2, 0)
