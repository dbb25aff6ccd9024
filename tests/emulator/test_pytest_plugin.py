"""The fixture that the package brings for other people's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

THEIR_TEST = """
import urllib.error
import urllib.request

import pytest


def test_theirs(catalogsync_emulator):
    account = catalogsync_emulator(seed={"token": "theirs"})
    other = catalogsync_emulator()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(account.url + "/api/v2/account", timeout=10)
    caught.value.close()
    assert account.token == "theirs"
    assert [(arrival.method, arrival.status) for arrival in account.requests] == [("GET", 401)]
    assert other.requests == []
"""


def test_another_project_s_test_gets_an_emulator_and_needs_not_stop_it(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(THEIR_TEST, encoding="utf-8")
    plugin = ["-p", "catalogsync.emulator.pytest_plugin"]  # named, since a checkout need not be installed
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *plugin, "-p", "no:cacheprovider", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
