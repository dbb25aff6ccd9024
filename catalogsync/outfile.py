"""Files that are written beside and then moved into place: an interrupted command leaves the old one whole."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from catalogsync.errors import FileInUse, UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when all went well, and is gone otherwise.

    Raises FileInUse where `path` may not be replaced, UserError where it cannot be written for another reason.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except (OSError, FileCreateError) as error:
        reason = error.args[0] if isinstance(error, FileCreateError) else error
        if isinstance(reason, PermissionError):
            kind = FileInUse if temporary.exists() else UserError
            raise kind(f"{path}: cannot be written; is it open in another program?") from None
        raise UserError(f"{path}: cannot be written ({getattr(reason, 'strerror', reason)})") from None
    finally:
        temporary.unlink(missing_ok=True)


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


class _TextTab(Worksheet):  # type: ignore[misc]  # xlsxwriter has no types
    """A tab whose texts are never markup: xlsxwriter, in constant memory, takes ``<r>…</r>`` for its own rich text."""

    def _xml_rich_inline_string(self, string: str, attributes: Any) -> None:
        self._xml_inline_string(string, None, attributes)


@contextmanager
def new_workbook(path: Path) -> Iterator[xlsxwriter.Workbook]:
    """A workbook that takes the place of `path`, in constant memory. Text stays text, whatever it looks like.

    Raises as `replacing`.
    """
    as_text = dict.fromkeys(("strings_to_numbers", "strings_to_formulas", "strings_to_urls"), False)
    with (
        replacing(path) as temporary,
        temporary.open("wb") as stream,
        xlsxwriter.Workbook(stream, {"constant_memory": True, **as_text}) as book,
    ):
        book.worksheet_class = _TextTab
        yield book
