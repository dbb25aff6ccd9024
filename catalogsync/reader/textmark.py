"""The apostrophe that keeps text in a CSV file from being calculated when a spreadsheet opens it.

Excel and LibreOffice take a CSV cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, quoted or not. An
export puts an apostrophe before such text, also where blanks or apostrophes come before the sign; the reader takes
one away. So every text comes back as it was: ``=1+1`` ⇄ ``'=1+1``, ``'=1+1`` ⇄ ``''=1+1``.
Workbooks need none of this: there a cell says that it is text.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_CALCULATED: Final = r"[ \t\r\n']*[=+\-@]"


def with_text_mark(text: str) -> str:
    """The text as a CSV cell that stays text."""
    return f"'{text}" if re.match(_CALCULATED, text) else text


def without_text_mark(text: str) -> str:
    """The text that a CSV cell means."""
    return text[1:] if text.startswith("'") and re.match(_CALCULATED, text[1:]) else text


def without_text_marks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """`without_text_mark` of each cell of a column."""
    if not pc.any(pc.starts_with(column, "'")).as_py():  # many times as fast as the pattern
        return column
    return pc.replace_substring_regex(column, pattern=f"^'({_CALCULATED})", replacement=r"\1")
