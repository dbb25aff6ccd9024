"""Where a job's sheet comes from: a file, the newest match of a pattern, a watched folder, a web address, and others.

found      what every kind has in common
copies     copies in the state folder, held by a turn
whole      files that somebody may be writing
files, inbox, fetching, remote    the kinds
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from catalogsync.errors import UserError
from catalogsync.reconcile.copies import Shelf
from catalogsync.reconcile.fetching import WebSource
from catalogsync.reconcile.files import FileSource, is_folder, local_path
from catalogsync.reconcile.found import Clock, Found, Pending, Source
from catalogsync.reconcile.inbox import WatchedFolder
from catalogsync.reconcile.remote import RemoteSource
from catalogsync.reconcile.state import Memory
from catalogsync.state import state_folder
from catalogsync.stopping import Stop

__all__ = ["Found", "Pending", "Source", "source_of"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+(?:::[A-Za-z0-9+.-]+)*)://")  # C:\ has one letter, and is a path


def source_of(
    sheet: str,
    folder: Path,
    memory: Memory,
    scope: str,
    *,
    state: Path | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] | None = None,
    stop: Stop | None = None,
) -> Source:
    """The source that `sheet` of a job names. Nothing is read yet.

    `folder` is the project file's, which paths are relative to; `scope` stands for the job (`scope_of`); copies lie in
    `state`, the state folder. `now` gives Unix seconds. When `stop` is asked for, waiting and copying end.

    Raises UserError where an address can never do.
    """
    if not sheet.strip() or "\0" in sheet:
        raise UserError("`sheet:` of the job names a file, a pattern, a folder with a / at its end, or an address")
    shelf = Shelf(state_folder() if state is None else state, scope)
    heeded = Stop() if stop is None else stop  # one that nobody asked is false
    clock = Clock(now, sleep or heeded.sleep, heeded)
    scheme = _SCHEME.match(sheet)
    if scheme and scheme[1].lower() in {"http", "https"}:
        return WebSource(sheet, memory, scope, shelf, clock)
    if scheme:
        return RemoteSource(sheet, shelf, clock)
    path = local_path(sheet.rstrip("/\\") or sheet, folder)
    if sheet.endswith(("/", "\\")) or is_folder(path):
        return WatchedFolder(path, folder, memory, scope, shelf, clock)
    return FileSource(sheet, folder, shelf, clock)
