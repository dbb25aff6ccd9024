"""New workbooks, which take a file's place when they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from catalogsync.replacing import replacing


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
    with replacing(path) as temporary:
        try:
            with (
                temporary.open("wb") as stream,
                xlsxwriter.Workbook(stream, {"constant_memory": True, **as_text}) as book,
            ):
                book.worksheet_class = _TextTab
                yield book
        except FileCreateError as error:
            raise error.args[0] from None  # what the system said
