"""A watched folder: every sheet that comes is processed once, and then moved to ``done/`` or ``failed/``."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import accumulate, chain, count
from pathlib import Path

from catalogsync.errors import UserError
from catalogsync.reader import limits
from catalogsync.reconcile.copies import Shelf
from catalogsync.reconcile.files import is_file, shown
from catalogsync.reconcile.found import Clock, Found, Pending, is_on_its_way
from catalogsync.reconcile.state import Memory
from catalogsync.reconcile.whole import Copy, Look, copied_when_whole, look_at
from catalogsync.replacing import replacing

ENDINGS = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls", ".ods")
MOST_SHEETS = 100
"""The most sheets of one turn, together no more than `MOST_BYTES`; the rest comes in the next ones."""

MOST_BYTES = 4 * limits.MOST_FILE_BYTES
MOST_STUCK = 1000
"""How many files that could not be moved are remembered for a folder, the latest ones."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS stuck_sheet (
    scope TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, is_good INTEGER NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (scope, name)
)
"""


class WatchedFolder:
    """The folder. Its subfolders are not looked at."""

    takes_result = True

    def __init__(self, path: Path, folder: Path, memory: Memory, scope: str, shelf: Shelf, clock: Clock) -> None:
        self._path, self._folder, self._scope, self._shelf, self._clock = path, folder, scope, shelf, clock
        self._stuck = _Stuck(memory, scope)
        self._held: dict[Path, Copy] = {}

    @contextmanager
    def pending(self) -> Iterator[Pending]:
        """The sheets that have come, oldest first. Raises UserError where there is no such folder.

        One that is still being written, or may not be read, is left and told.
        """
        listed = self._listed()
        remembered = self._stuck.of({path.name for _, path, _ in listed})
        listed.sort(key=lambda sheet: sheet[1].name in remembered)  # those that only have to be moved stand in no way
        paths = {path: shown(path, self._folder) for path in _as_many_as_fit(listed)}
        with self._shelf.holding(self._clock.now()) as into:
            copies, refused = copied_when_whole(paths, into, self._clock)
            left = {path: str(error) for path, error in refused.items() if _is_there(path)}
            for path, copy in list(copies.items()):
                if remembered.get(path.name, ("", False))[0] == copy.digest:
                    del copies[path]
                    is_good = remembered[path.name][1]
                    folder = self._folder_for(is_good=is_good)
                    target = folder / f"{self._free_stem(folder, path)}{path.suffix}"
                    if not self._put_away(copy, target, is_good=is_good):
                        left[path] = (
                            f"{paths[path]}: was processed, and cannot be moved away; is it open in another program?"
                        )
            self._held = {copy.copy: copy for copy in copies.values()}
            found = (Found(paths[path], copies[path].copy, copies[path].digest) for path in paths if path in copies)
            yield Pending(tuple(found), tuple(left[path] for path in paths if path in left))

    def finished(self, found: Found, *, is_good: bool, result: Path | None = None) -> tuple[Path, ...]:
        """Move a sheet and its result workbook to ``done/`` or ``failed/``, under a name with the time.

        Where the sheet cannot be moved it is remembered, and not processed again unless it changes; each turn tries
        again to move it. Where it changed since, the copy that was processed is put there, and the sheet comes again.
        """
        copy = self._held[found.path]
        folder = self._folder_for(is_good=is_good)
        stem = self._free_stem(folder, copy.path, f"-result{result.suffix}" if result else "")
        files = []
        if result:  # first, so that a sheet that lies there has its result beside it
            beside = folder / f"{stem}-result{result.suffix}"
            try:
                folder.mkdir(exist_ok=True)
                move(result, beside)
                files = [beside]
            except (OSError, UserError):
                files = [result]
        target = folder / f"{stem}{copy.path.suffix}"
        return (target, *files) if self._put_away(copy, target, is_good=is_good) else tuple(files)

    def _put_away(self, copy: Copy, target: Path, *, is_good: bool) -> bool:
        """Move what was processed out of the way; whether it could be. Remembers it otherwise."""
        now = look_at(copy.path)
        is_same = isinstance(now, Look) and now.facts == copy.look.facts
        try:
            target.parent.mkdir(exist_ok=True)
            if is_same and not copy.path.is_symlink():
                move(copy.path, target)
            else:
                copy_to(copy.copy, target)
                if is_same:  # a link, which would lead nowhere from there
                    copy.path.unlink()
        except (OSError, UserError):
            self._stuck.add(copy.path.name, copy.digest, is_good=is_good, at=self._clock.now())
            return False
        self._stuck.forget(copy.path.name)
        return True

    def _folder_for(self, *, is_good: bool) -> Path:
        return self._path / ("done" if is_good else "failed")

    def _free_stem(self, folder: Path, path: Path, result_ending: str = "") -> str:
        """A name without ending that is free there: with the time, as this machine's clocks show it."""
        at = datetime.fromtimestamp(self._clock.now(), UTC).astimezone().strftime("%Y%m%d-%H%M%S")
        stems = (f"{path.stem}-{at}{more}" for more in chain([""], (f"-{number}" for number in count(2))))
        endings = [ending for ending in (path.suffix, result_ending) if ending]
        return next(stem for stem in stems if not any((folder / f"{stem}{ending}").exists() for ending in endings))

    def _listed(self) -> list[tuple[float, Path, int]]:
        """The sheets that lie in the folder, oldest first, those of the same time by name: time, path and size."""
        try:
            entries = [path for path in self._path.iterdir() if path.suffix.lower() in ENDINGS]
        except FileNotFoundError:
            raise UserError(f"{shown(self._path, self._folder)}: there is no such folder to watch; make it") from None
        except OSError as error:
            name = shown(self._path, self._folder)
            raise UserError(f"{name}: the folder cannot be watched ({error.strerror or error})") from None
        return sorted(_dated(path) for path in entries if not is_on_its_way(path.name) and is_file(path))


def _as_many_as_fit(sheets: Sequence[tuple[float, Path, int]]) -> list[Path]:
    """The first ones, as many as one turn takes: one at least."""
    paths, sizes = [path for _, path, _ in sheets], accumulate(size for _, _, size in sheets)
    fitting = [path for path, size in zip(paths, sizes, strict=True) if size <= MOST_BYTES]
    return (fitting or paths[:1])[:MOST_SHEETS]


def _dated(path: Path) -> tuple[float, Path, int]:
    try:
        stat = path.stat()
    except OSError:  # gone since
        return 0.0, path, 0
    return stat.st_mtime, path, stat.st_size


def _is_there(path: Path) -> bool:
    return not isinstance(look_at(path), FileNotFoundError)


def move(path: Path, target: Path) -> None:
    """Move a file at once, or by way of a whole copy where the target is on another device.

    Raises OSError or UserError, and then the file is where it was.
    """
    try:
        path.replace(target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    copy_to(path, target)
    try:
        path.unlink()
    except OSError:
        target.unlink()
        raise


def copy_to(path: Path, target: Path) -> None:
    """A whole copy of a file, that is on the disk. Raises UserError."""
    with replacing(target) as temporary:
        shutil.copy2(path, temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())


class _Stuck:
    """Files of a folder that were processed and could not be moved: their digest, and where they belong."""

    def __init__(self, memory: Memory, scope: str) -> None:
        self._memory, self._scope = memory.with_tables(_SCHEMA), scope

    def of(self, names: Collection[str]) -> dict[str, tuple[str, bool]]:
        """What is remembered of the files that are there. What is no longer there is forgotten."""
        with self._memory.transaction() as connection:
            rows = connection.execute("SELECT * FROM stuck_sheet WHERE scope = ?", [self._scope]).fetchall()
            known = {row["name"]: (row["digest"], bool(row["is_good"])) for row in rows}
            for name in known.keys() - set(names):
                self._delete(connection, name)
        return {name: known[name] for name in known if name in names}

    def add(self, name: str, digest: str, *, is_good: bool, at: float) -> None:
        with self._memory.transaction() as connection:
            row = (self._scope, name, digest, is_good, at)
            connection.execute("INSERT OR REPLACE INTO stuck_sheet VALUES (?, ?, ?, ?, ?)", row)
            connection.execute(
                "DELETE FROM stuck_sheet WHERE scope = ?1 AND name NOT IN "
                "(SELECT name FROM stuck_sheet WHERE scope = ?1 ORDER BY at DESC, rowid DESC LIMIT ?2)",
                (self._scope, MOST_STUCK),
            )

    def forget(self, name: str) -> None:
        with self._memory.transaction() as connection:
            self._delete(connection, name)

    def _delete(self, connection: sqlite3.Connection, name: str) -> None:
        connection.execute("DELETE FROM stuck_sheet WHERE scope = ? AND name = ?", (self._scope, name))
