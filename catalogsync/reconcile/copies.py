"""Copies of sheets in the state folder: what is hashed, read and reviewed is one and the same file.

The reader opens a sheet several times, and a manager may save it in between; to look at it again afterwards would tell
only when a plan has been made from it. So the bytes are hashed while they are copied, and only the copy is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from catalogsync.errors import UserError

PIECE_BYTES = 1 << 20
KEPT_S = 30 * 86_400.0
"""How long a downloaded sheet that no job asks for any more is kept."""

_LONGEST_NAME = 100
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # whatever the folder, on Windows


class Shelf:
    """The copies of one job in the state folder: those held by a turn, and one that is kept for the next turns."""

    def __init__(self, state: Path, scope: str) -> None:
        self._all = state / "sheets"
        self._folder = self._all / hashlib.sha256(scope.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self.kept = self._folder / "kept"

    @contextmanager
    def holding(self, now: float) -> Iterator[Path]:
        """A folder for copies that is gone afterwards. Those of processes that were killed are removed first.

        Raises UserError where the state folder cannot be written.
        """
        folder = self._folder / f"held-{secrets.token_hex(8)}"
        lock = FileLock(_lock_of(folder))  # the kernel's, so that it ends with its process
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._clean(now)
            lock.acquire()
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise not_stored(self._folder, error) from None
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()
            _lock_of(folder).unlink(missing_ok=True)

    def keep(self, copy: Path, now: float) -> None:
        """Keep a copy of a copy for later turns, in place of the one before."""
        beside = self.kept.with_name(f"kept-{os.getpid()}")
        shutil.copyfile(copy, beside)
        beside.replace(self.kept)
        self.touch(now)

    def touch(self, now: float) -> None:
        """Note that what is kept is still in use."""
        os.utime(self.kept, (now, now))

    def _clean(self, now: float) -> None:
        for folder in {path.with_suffix("") for path in self._folder.glob("held-*")}:
            try:
                with FileLock(_lock_of(folder), timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)
            except Timeout:  # another turn is at it
                continue
            _lock_of(folder).unlink(missing_ok=True)
        for kept in self._all.glob("*/kept*"):
            with suppress(OSError):  # gone, or in use: another turn is at it
                if kept.stat().st_mtime < now - KEPT_S:
                    kept.unlink()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def not_stored(folder: Path, error: OSError) -> UserError:
    """The refusal where a copy cannot be written: no space, or no rights."""
    return UserError(
        f"{folder}: the sheet cannot be copied here ({error.strerror or error}); CATALOGSYNC_STATE moves it"
    )


def poured(pieces: Iterable[bytes], target: Path, most_bytes: int) -> tuple[str, int]:
    """Write pieces to a new file: the sha256 of what was written, in hex, and its size.

    Ends at the first piece that goes over `most_bytes`, so that the size tells. Raises UserError where it cannot be
    written.
    """
    digest = hashlib.sha256()
    size = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except OSError as error:
        raise not_stored(target.parent, error) from None
    with file:
        for piece in pieces:
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                raise not_stored(target.parent, error) from None
            digest.update(piece)
            size += len(piece)
            if size > most_bytes:
                break
    return digest.hexdigest(), size


def pieces_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def local_name(name: str) -> str:
    """A file's name from elsewhere as a name that every system takes and that leads to no other folder."""
    last = re.split(r"[/\\]", name)[-1]
    clean = re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", last).strip(". ")
    stem, dot, ending = clean.rpartition(".")
    if len(clean) > _LONGEST_NAME:
        clean = f"{stem[: _LONGEST_NAME - 10]}{dot}{ending[:9]}" if dot else clean[:_LONGEST_NAME]
    return f"_{clean}" if _DEVICES.fullmatch(clean) else clean or "sheet"
