"""A real browser, where the machine has one: a page is loaded without a window, and its document is read back."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


def document_of(page: Path, fragment: str = "") -> str:
    """The document as HTML after its script ran."""
    assert BROWSER is not None
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        run = subprocess.run(
            [
                BROWSER,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--window-size=390,844",
                f"--user-data-dir={profile}",
                "--virtual-time-budget=2000",
                "--dump-dom",
                page.resolve().as_uri() + (f"#{fragment}" if fragment else ""),
            ],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=100,
            check=True,
        )
    return run.stdout


def text_of(document: str, element_id: str) -> str:
    """The text of the first element with an id that has no elements in it."""
    found = re.search(rf'id="{element_id}"[^>]*>([^<]*)<', document)
    assert found is not None, element_id
    return unescape(found[1])
