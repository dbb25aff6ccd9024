"""What tests of sources share: a clock that nobody waits for, sheets, and a source as a job makes it."""

from __future__ import annotations

import hashlib
import io
import os
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from catalogsync.errors import CatalogSyncError
from catalogsync.reconcile.sources import Pending, Source, source_of
from catalogsync.reconcile.state import Memory
from catalogsync.stopping import Stop

CSV = b"SKU,Price\nA-1,10\n"
SCOPE = "0123456789ab/prices"


class FakeClock:
    """The time, which passes by sleeping only. What `during` holds is done in one sleep after the other."""

    def __init__(self, during: Iterable[Callable[[], object]] = ()) -> None:
        self.at = time.time()  # files have the machine's times
        self.during = list(during)
        self.slept_s = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.slept_s += seconds
        if self.during:
            self.during.pop(0)()


class Job:
    """A job's source in a folder of its own, with memory and state folder; each `source` is one after a restart."""

    def __init__(self, root: Path, sheet: str, clock: FakeClock | None = None) -> None:
        self.folder = root / "project"
        self.folder.mkdir(exist_ok=True)
        self.state = root / "its-state"
        self.memory = Memory(self.state / "memory.sqlite")
        self.sheet = sheet
        self.clock = clock or FakeClock()
        self.stop = Stop()

    @property
    def source(self) -> Source:
        return source_of(
            self.sheet,
            self.folder,
            self.memory,
            SCOPE,
            state=self.state,
            now=self.clock.now,
            sleep=self.clock.sleep,
            stop=self.stop,
        )

    def put(self, name: str, content: bytes = CSV, *, age_s: float = 3600) -> Path:
        """A file that was last changed so long ago."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (self.clock.at - age_s, self.clock.at - age_s))
        return path

    def contents(self) -> list[tuple[str, bytes]]:
        """Names and bytes of what is pending, as the reader would see it."""
        with self.source.pending() as pending:
            return seen(pending)

    def refusal(self) -> CatalogSyncError:
        """The error of a turn."""
        try:
            self.contents()
        except CatalogSyncError as error:
            return error
        raise AssertionError("nothing was refused")

    def stored(self) -> list[str]:
        """The copies that are left in the state folder."""
        return sorted(path.name for path in (self.state / "sheets").rglob("*") if path.is_file())


def seen(pending: Pending) -> list[tuple[str, bytes]]:
    """Names and bytes; every digest is that of the bytes."""
    for found in pending:
        assert found.digest == hashlib.sha256(found.path.read_bytes()).hexdigest()
    return [(found.name, found.path.read_bytes()) for found in pending]


def workbook_bytes(text: str = "x") -> bytes:
    """A zip archive, which is all that a source looks at."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", text * 1000)
    return buffer.getvalue()
