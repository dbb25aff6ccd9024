"""A fuzzer that others wrote, let loose on the emulator by its description; it comes with the extra ``fuzz``."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .described import OPERATIONS, account

SECONDS = 60

#: A description cannot say which value which field takes, so a valid request may be refused; and the API takes
#: more than its pages promise, such as arguments that nobody knows and numbers as text.
LEFT_OUT = "positive_data_acceptance,negative_data_rejection"


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason='needs the extra "fuzz"')
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with account() as emulator:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{emulator.url}/_emulator/openapi.json"]
        command += ["--header", f"Authorization: Bearer {emulator.token}", "--exclude-checks", LEFT_OUT]
        command += ["--max-time", str(SECONDS), "--request-timeout", "10", "--max-examples", "50", "--seed", "1"]
        command += ["--generation-database", "none", "--continue-on-failure", "--no-color"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=SECONDS + 60, check=False
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
        assert f"Tested: {len(OPERATIONS)}" in done.stdout
        assert max(arrival.status or 0 for arrival in emulator.requests) < 500
