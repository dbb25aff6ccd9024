"""One writing run per account and catalog: a kernel file lock, freed by its owner's death."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from catalogsync.errors import CatalogBusy


@contextmanager
def exclusive(folder: Path, account_id: int, catalog_id: int) -> Iterator[None]:
    """Hold the lock of a catalog in the state folder. Raises CatalogBusy with who holds it.

    Who holds it stands in a file beside the lock, for the message only: the lock itself is the kernel's.
    """
    locks = folder / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    name = f"{account_id}-{catalog_id}"
    owner = locks / f"{name}.owner.json"
    lock = FileLock(locks / f"{name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise CatalogBusy(
            f"another run is writing to catalog {catalog_id}: {_told(owner)}. Wait for its end, then run again"
        ) from None
    try:
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": int(time.time()), "command": _command()}
        owner.write_text(json.dumps(facts), encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def owners(folder: Path) -> list[tuple[str, str, bool]]:
    """Who noted that it writes to a catalog: ``ACCOUNT-CATALOG``, who, and whether its lock is really held."""
    found = []
    for owner in sorted((folder / "locks").glob("*.owner.json")):
        name = owner.name.removesuffix(".owner.json")
        lock = FileLock(owner.with_name(f"{name}.lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            found.append((name, _told(owner), True))
        else:
            found.append((name, _told(owner), False))
            lock.release()
    return found


def _command() -> str:
    """The command's name only: arguments are nobody else's business."""
    return sys.argv[1] if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else Path(sys.argv[0]).name


def _told(owner: Path) -> str:
    try:
        facts = json.loads(owner.read_text(encoding="utf-8"))
        since = datetime.fromtimestamp(int(facts["since"]), UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return f"{facts['command']}, process {facts['pid']} on {facts['host']} since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its owner is not known"
