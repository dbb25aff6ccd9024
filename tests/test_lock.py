"""One writing run per account and catalog: processes of their own that hold the lock, and die with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catalogsync.errors import CatalogBusy
from catalogsync.lock import exclusive

HOLDS = """
import sys
from pathlib import Path
from catalogsync.lock import exclusive

folder, sys.argv = Path(sys.argv[1]), ["catalogsync", "import", "secret-sheet.xlsx"]
with exclusive(folder, 30001, 4220):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of catalog 4220."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child
        finally:
            child.kill()


def test_a_second_process_is_refused_and_told_who_is_writing(tmp_path: Path) -> None:
    with holder(tmp_path) as child:
        with pytest.raises(CatalogBusy) as refused, exclusive(tmp_path, 30001, 4220):
            pytest.fail("two at once")
        told = str(refused.value)
        assert told.startswith(f"another run is writing to catalog 4220: import, process {child.pid} on ")
        assert told.endswith(". Wait for its end, then run again")
        assert "secret-sheet" not in told
        assert refused.value.exit_code == 6


def test_other_catalogs_and_accounts_are_free_meanwhile(tmp_path: Path) -> None:
    with holder(tmp_path), exclusive(tmp_path, 30001, 4221), exclusive(tmp_path, 30002, 4220):
        pass


def test_the_refusal_leaves_the_owners_lock_and_name_as_they_are(tmp_path: Path) -> None:
    with holder(tmp_path) as child:
        for _ in range(2):
            with pytest.raises(CatalogBusy, match=f"process {child.pid} "), exclusive(tmp_path, 30001, 4220):
                pytest.fail("two at once")


def test_the_death_of_its_owner_frees_the_lock_though_its_files_are_left(tmp_path: Path) -> None:
    with holder(tmp_path) as child:
        child.kill()
        child.wait(30)
    assert (tmp_path / "locks" / "30001-4220.owner.json").exists()
    with exclusive(tmp_path, 30001, 4220):
        pass
    with exclusive(tmp_path, 30001, 4220):
        pass


def test_an_error_inside_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path, 30001, 4220):
        raise ZeroDivisionError
    with exclusive(tmp_path, 30001, 4220):
        assert (tmp_path / "locks" / "30001-4220.owner.json").exists()
    assert not (tmp_path / "locks" / "30001-4220.owner.json").exists()


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"pid": 1}', '{"since": "x"}'])
def test_an_owner_that_cannot_be_read_is_told_as_not_known(tmp_path: Path, text: str | None) -> None:
    with holder(tmp_path):
        owner = tmp_path / "locks" / "30001-4220.owner.json"
        owner.unlink()
        if text is not None:
            owner.write_text(text, encoding="utf-8")
        with pytest.raises(CatalogBusy, match="its owner is not known"), exclusive(tmp_path, 30001, 4220):
            pytest.fail("two at once")
