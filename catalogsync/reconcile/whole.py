"""Files that somebody may be writing: looked at twice, waited for, and copied when they are whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catalogsync.errors import CatalogSyncError, Temporary, UserError
from catalogsync.reader import limits
from catalogsync.reconcile.copies import pieces_of, poured
from catalogsync.reconcile.found import Clock

LOOK_S = 1.0
"""Between two looks at a file."""

MOST_WAIT_S = 30.0
"""How long a turn waits for files that are being written."""

QUIET_S = 600.0
"""A file that is cut off and was not touched for so long is not being written: it is read, and refused as damaged."""

_ZIP = b"PK\x03\x04"
_ZIP_END = b"PK\x05\x06"
_ZIP_TAIL_BYTES = 22 + (1 << 16)


@dataclass(frozen=True)
class Look:
    """A file at one moment."""

    size: int
    modified_ns: int
    is_whole: bool
    touched_at: float

    @property
    def facts(self) -> tuple[int, int]:
        """What tells one state of the file from another. Not its number, which network file systems make up."""
        return self.size, self.modified_ns


@dataclass(frozen=True)
class Copy:
    """A whole file and its copy: `look` is what was copied."""

    path: Path
    copy: Path
    digest: str
    look: Look


def look_at(path: Path) -> Look | OSError:
    """How a file is now; the error where it is gone, or another program holds it."""
    try:
        with path.open("rb") as file:
            stat = path.stat()
            is_whole = stat.st_size > 0
            if file.read(len(_ZIP)) == _ZIP:
                file.seek(max(0, stat.st_size - _ZIP_TAIL_BYTES))
                is_whole = _ZIP_END in file.read(_ZIP_TAIL_BYTES)
            # On Windows, where the second one is the time of creation, programs that copy may keep the first one.
            touched_at = max(stat.st_mtime, stat.st_ctime)
            return Look(stat.st_size, stat.st_mtime_ns, is_whole, touched_at)
    except OSError as error:
        return error


def is_whole_archive(path: Path) -> bool:
    """Whether a copy that begins as a workbook also ends as one; true for what is no zip archive."""
    look = look_at(path)
    return isinstance(look, Look) and (look.is_whole or look.size == 0)


def copied_when_whole(
    paths: Mapping[Path, str], into: Path, clock: Clock
) -> tuple[dict[Path, Copy], dict[Path, CatalogSyncError]]:
    """Copy files as soon as two looks, `LOOK_S` apart, agree and a third one after the copying does.

    `paths` has the names that people know them by. Waits `MOST_WAIT_S` for all of them together. The copies, and why
    there is none of the others: Temporary where one is still being written, UserError where it is gone or may not be
    read. A file that is larger than any sheet is copied just so far that the reader refuses it.
    """
    looks = {path: look_at(path) for path in paths}
    folders = {path: into / str(number) for number, path in enumerate(paths)}
    copies: dict[Path, Copy] = {}
    waiting = list(paths)
    deadline_at = clock.now() + MOST_WAIT_S
    is_first = True
    while waiting:
        if not is_first or not all(_is_quiet(looks[path], clock.now()) for path in waiting):
            clock.pause(LOOK_S)
        is_first = False
        for path in list(waiting):
            before, looks[path] = looks[path], look_at(path)
            if _is_settled(before, looks[path], clock.now()) and (copy := _copied(path, folders[path], clock)):
                copies[path] = copy
            if path in copies or (_is_gone(before) and _is_gone(looks[path])):
                waiting.remove(path)
        if clock.now() >= deadline_at:
            break
    return copies, {path: _why_not(paths[path], looks[path]) for path in paths if path not in copies}


def _is_settled(before: Look | OSError, now: Look | OSError, now_at: float) -> bool:
    if not isinstance(before, Look) or not isinstance(now, Look) or before.facts != now.facts:
        return False
    return now.is_whole or now.touched_at < now_at - QUIET_S


def _is_quiet(look: Look | OSError, now_at: float) -> bool:
    """Whether a file is whole and was touched long ago: nobody is writing it, and there is nothing to wait for."""
    return isinstance(look, Look) and look.is_whole and look.touched_at < now_at - QUIET_S


def _is_gone(look: Look | OSError) -> bool:
    return isinstance(look, FileNotFoundError)


def _copied(path: Path, folder: Path, clock: Clock) -> Copy | None:
    """A copy of a file; None where it changed meanwhile."""
    target = folder / path.name
    target.unlink(missing_ok=True)
    look = look_at(path)
    try:
        digest, _ = poured(clock.heeding(pieces_of(path)), target, limits.MOST_FILE_BYTES)
    except OSError:
        return None
    after = look_at(path)
    if isinstance(look, Look) and isinstance(after, Look) and look.facts == after.facts:
        return Copy(path, target, digest, look)
    return None


def _why_not(name: str, look: Look | OSError) -> CatalogSyncError:
    match look:
        case FileNotFoundError():
            return UserError(f"{name}: there is no such file any more; it was there a moment ago")
        case IsADirectoryError():
            return UserError(f"{name} is a folder; a folder that is watched is written with a / at its end")
        case PermissionError():
            return UserError(f"{name} may not be read: permission denied, or another program holds it open")
        case OSError():
            return UserError(f"{name} cannot be read: {look.strerror or look}")
    if not look.size:
        return Temporary(f"{name} is empty; the next turn looks again")
    return Temporary(f"{name}: still being written; the next turn looks again")
