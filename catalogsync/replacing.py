"""Files that are written beside and then moved into place: an interrupted command leaves the old one whole."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from catalogsync.errors import FileInUse, UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when all went well, and is gone otherwise.

    Raises FileInUse where `path` may not be replaced, UserError where it cannot be written for another reason.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, PermissionError):
            kind = FileInUse if temporary.exists() else UserError
            raise kind(f"{path}: cannot be written; is it open in another program?") from None
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, newline: str | None = None) -> None:
    """Write a text file by replacing it. Raises as `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline=newline)


def written_beside(path: Path, write: Callable[[Path], None]) -> Path:
    """Write a file; under another name beside it where it is in use (Excel on Windows keeps it). The name written."""
    try:
        write(path)
        return path
    except FileInUse:
        names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
        free = next(name for name in names if not name.exists())
        write(free)
        return free
