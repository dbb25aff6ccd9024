"""How large a sheet may be. What is larger is refused before it takes the machine's memory, with the way out.

Excel's own limits are the measure where it has any; the others are far above any product list. docs/limits.md
has the same table for people.
"""

from __future__ import annotations

from catalogsync.errors import SheetError

_MB = 1 << 20

MOST_FILE_BYTES = 256 * _MB
"""Of the file itself."""

MOST_UNPACKED_BYTES = 1024 * _MB
"""Of all parts of a workbook together, as they really unpack."""

MOST_RATIO = 500
"""How many times larger a part may become by unpacking, from `RATIO_FROM_BYTES` on. Real ones stay below 100."""

RATIO_FROM_BYTES = 32 * _MB

MOST_PARTS = 10_000
"""Files inside a workbook."""

MOST_TABS = 1_000

MOST_CELLS = 20_000_000
"""Rows times columns of what is really there, over all tabs that have to be looked at: a million rows of 19."""

MOST_COLUMNS = 16_384
"""Excel's."""

MOST_CELL_CHARACTERS = 1_000_000
"""Of one cell. Excel holds 32,767; other programs and the catalog itself hold more."""

MOST_OBJECTS = 2_000_000
"""Cells of a workbook that is copied with its formats, which takes about half a kilobyte for each."""

MOST_MERGED = 200_000
"""Merged cells of a tab."""

MOST_XLS_BYTES = 64 * _MB
"""Of an XLS file, which holds 65,536 rows at most."""

MOST_LINE_BYTES = 4 * _MB
"""Of one line of a text file; up to twice as much may pass."""

MOST_TEXT_BYTES = 256 * _MB
"""Of all cells of a workbook together: one long text may stand in many cells and be stored once."""

MOST_PROBLEMS = 100_000
"""Lines or cells that cannot be read. With more than that the file is not what it seems."""

SPLIT_IT = "Split it into several files, imported one after the other, or leave out what the mapping does not use."


def too_large(where: str, what: str, way_out: str = SPLIT_IT) -> SheetError:
    """The refusal of a sheet, or a part of one, that is larger than any product list."""
    return SheetError(f"{where}: {what}. {way_out}")


def shown_bytes(count: int) -> str:
    """A number of bytes as people read it."""
    return f"{count / _MB:,.0f} MB" if count >= _MB else f"{count:,} bytes"
