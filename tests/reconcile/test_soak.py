"""A short soak of jobs; the long one is ``python -m tests.reconcile.soak --days 90``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from catalogsync.api.auth import APIS
from tests.reconcile.soak import soaking

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="killed by SIGKILL")


@pytest.mark.parametrize("api", APIS)
def test_jobs_stay_in_step_and_are_told_of_once_through_edits_outages_and_kills(tmp_path: Path, api: str) -> None:
    with soaking(tmp_path, seed=7, api=api) as soak:
        soak.often = 4  # a short time in which much goes wrong
        soak.go(steps=64)
        assert soak.judge() == []
    assert {"colleagues' edits", "killed turns", "lost answers", "outages", "sheet edits"} <= set(soak.counts)
