"""The pictures of the documents, made anew from the sample: an export, a review and a result workbook, a plan's page.

    python -m tests.pictures

Needs LibreOffice (``soffice``), Poppler (``pdftoppm``) and Chromium; writes into ``docs/pictures``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.browser import BROWSER

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
MAPPING = "mappings/stationery.yaml"
PAGES = {"export": ("products.xlsx", 1, 240), "review": ("plan.xlsx", 2, 120), "result": ("result.xlsx", 1, 110)}
"""Per picture the workbook, its page when printed, and how many points of that are shown."""


def main() -> None:
    """The command."""
    missing = [name for name in ("soffice", "pdftoppm") if shutil.which(name) is None]
    if missing or BROWSER is None:
        sys.exit(f"not on this machine: {', '.join([*missing, *([] if BROWSER else ['chromium'])])}")
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in ("samples", "mappings"):
            shutil.copytree(ROOT / name, Path(folder) / name)
        _damage(Path(folder) / "samples" / "stationery.csv", Path(folder) / "prices.csv")
        for arguments in (
            ["plan", "samples/stationery.csv", "-m", MAPPING, "--out", "plan.xlsx"],
            ["plan", "samples/stationery.csv", "-m", MAPPING, "--out", "plan.html"],
            ["import", "samples/stationery.csv", "-m", MAPPING, "--yes"],
            ["export", "Products", "products.xlsx", "-m", MAPPING],
            ["import", "prices.csv", "-m", MAPPING, "--yes", "--result", "result.xlsx"],
        ):
            _run([sys.executable, "-m", "catalogsync", *arguments], folder)
        for name, (book, page, height) in PAGES.items():
            _run(["soffice", "--headless", "--convert-to", "pdf", book], folder)
            shown = [
                "-f",
                str(page),
                "-l",
                str(page),
                "-r",
                "96",
                "-x",
                "40",
                "-y",
                "40",
                "-W",
                "1050",
                "-H",
                str(height),
            ]
            pdf = str(Path(book).with_suffix(".pdf"))
            _run(["pdftoppm", "-png", "-singlefile", *shown, pdf, str(PICTURES / name)], folder)
        page_address = (Path(folder) / "plan.html").as_uri()
        picture = f"--screenshot={PICTURES / 'plan.png'}"
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        size = ["--window-size=760,820", "--virtual-time-budget=2000", f"--user-data-dir={folder}/profile"]
        _run([BROWSER, *flags, *size, picture, page_address], folder)


def _damage(sheet: Path, copy: Path) -> None:
    """A sheet of which three rows are rejected."""
    lines = sheet.read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].replace("78,50", "on request")
    copy.write_text("\n".join([*lines, lines[3]]) + "\n", encoding="utf-8")


def _run(command: list[str], folder: str) -> None:
    state = {"CATALOGSYNC_URL": "emulator", "CATALOGSYNC_STATE": str(Path(folder) / "state")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **state}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    if done.returncode not in (0, 3):  # 3: some rows were rejected, as they should be
        sys.exit(f"{' '.join(command)}: {done.stderr.decode()}")


if __name__ == "__main__":
    main()
