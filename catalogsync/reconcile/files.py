"""A sheet that is named by its path, or by a pattern whose newest match counts."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalogsync.errors import UserError
from catalogsync.reconcile.copies import Shelf
from catalogsync.reconcile.found import Clock, Found, Pending, is_on_its_way, newest
from catalogsync.reconcile.whole import copied_when_whole


def shown(path: Path, folder: Path) -> str:
    """A path as people wrote it: relative where it is below the project file's folder."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def is_file(path: Path) -> bool:
    """Whether there is such a file; not, as pathlib has it, an error where its folder may not be looked into."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """The same for a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def local_path(sheet: str, folder: Path) -> Path:
    """The path that a job names. Raises UserError where ``~name`` names nobody."""
    try:
        return folder / Path(sheet).expanduser()
    except RuntimeError:
        raise UserError(f"{sheet}: this machine knows no home folder for {sheet.split('/')[0]}") from None


class FileSource:
    """A file, the same one in every turn, or the newest one that a pattern matches."""

    takes_result = False

    def __init__(self, sheet: str, folder: Path, shelf: Shelf, clock: Clock) -> None:
        self._sheet, self._folder, self._shelf, self._clock = sheet, folder, shelf, clock

    @contextmanager
    def pending(self) -> Iterator[Pending]:
        """The one sheet. Raises UserError where there is none, Temporary where it is still being written."""
        path = self._chosen()
        name = shown(path, self._folder)
        with self._shelf.holding(self._clock.now()) as into:
            copies, refused = copied_when_whole({path: name}, into, self._clock)
            for error in refused.values():
                raise error
            copy = copies[path]
            yield Pending((Found(name, copy.copy, copy.digest),))

    def finished(self, found: Found, *, is_good: bool, result: Path | None = None) -> tuple[Path, ...]:
        """The file stays where it is."""
        return (result,) if result else ()

    def _chosen(self) -> Path:
        path = local_path(self._sheet, self._folder)
        if is_file(path):  # brackets in a name, as in “prices [1].csv”, make no pattern of a file that is there
            return path
        if not glob.has_magic(self._sheet):
            raise UserError(f"{shown(path, self._folder)}: there is no such file{self._beside(path)}")
        inside = path.is_relative_to(self._folder)  # whose own name may hold brackets
        pattern = str(Path(glob.escape(str(self._folder)), path.relative_to(self._folder)) if inside else path)
        matches = [Path(match) for match in glob.glob(pattern, recursive=True)]  # noqa: PTH207
        name = newest(_dated(match) for match in matches if is_file(match) and not is_on_its_way(match.name))
        if name is None:
            raise UserError(
                f"{self._sheet}: no file matches this pattern (looked in {path.parent}; lock files and files that are "
                "hidden or on their way do not count)"
            )
        return Path(name)

    def _beside(self, path: Path) -> str:
        if is_folder(path.parent):
            return f" (looked in {path.parent})"
        return f", and no folder {path.parent}; a path is relative to the project file's folder"


def _dated(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, str(path)
    except OSError:
        return 0.0, str(path)
