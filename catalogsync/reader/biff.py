"""Error cells, formulas without a value and telling formats of an XLS tab, from its records (BIFF5 and BIFF8)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from catalogsync.errors import SheetError
from catalogsync.reader.marks import BUILT_IN_PERCENTS, ERROR_CODES, PERCENT, Marks, telling_format
from catalogsync.reader.ole import OleError, OleFile

_BOF, _EOF, _BOUNDSHEET, _FILEPASS = 0x0809, 0x000A, 0x0085, 0x002F
_FORMAT, _XF = 0x041E, 0x00E0
_BOOLERR, _FORMULA, _NUMBER, _RK, _MULRK = 0x0205, 0x0006, 0x0203, 0x027E, 0x00BD
_BIFF8 = 0x0600


def xls_marks(path: Path, tab: str) -> Marks:
    """The cells of one tab that need more than their value."""
    container = OleFile(path.read_bytes())
    stream = container.read("Workbook" if "Workbook" in container.names() else "Book")
    try:
        return _search(path, stream, tab)
    except (struct.error, IndexError) as error:
        raise OleError("a record is cut off") from error


def _records(stream: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """The records of one substream, from its BOF to its EOF; charts inside are passed over."""
    depth = 0
    while offset + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, offset)
        if kind == _BOF:
            depth += 1
        elif kind == _EOF:
            depth -= 1
        if depth <= 1:
            yield kind, stream[offset + 4 : offset + 4 + size]
        if depth == 0:
            return
        offset += 4 + size


def _search(path: Path, stream: bytes, tab: str) -> Marks:
    version = 0
    tabs: dict[str, int] = {}
    formats: dict[int, int] = dict.fromkeys(BUILT_IN_PERCENTS, PERCENT)
    style_formats: list[int] = []
    for kind, body in _records(stream, 0):
        if kind == _BOF and not version:
            version = struct.unpack_from("<H", body)[0]
        elif kind == _FILEPASS:
            raise SheetError(f"{path.name} is encrypted with a password. Save a copy without a password.")
        elif kind == _BOUNDSHEET:
            tabs[_text(body[6:], 1, version)] = struct.unpack_from("<I", body)[0]
        elif kind == _FORMAT:
            formats[struct.unpack_from("<H", body)[0]] = telling_format(_text(body[2:], 2, version))
        elif kind == _XF:
            style_formats.append(struct.unpack_from("<H", body, 2)[0])
    marks = Marks()
    if tab not in tabs:
        if len(tabs) != 1:
            raise OleError(f"tab {tab!r} is not in the list of tabs")
        tab = next(iter(tabs))
    styles = [formats.get(number, 0) for number in style_formats]
    for kind, body in _records(stream, tabs[tab]):
        if kind == _BOOLERR:
            row, column, _style, value, is_error = struct.unpack_from("<HHHBB", body)
            if is_error:
                marks.errors[row, column] = ERROR_CODES.get(value, "#ERROR")
        elif kind & 0xFF == _FORMULA and kind in (0x0006, 0x0206, 0x0406):
            row, column, style = struct.unpack_from("<HHH", body)
            if body[12:14] != b"\xff\xff":
                _note(marks, row, column, styles, style)
            elif body[6] == 2:
                marks.errors[row, column] = ERROR_CODES.get(body[8], "#ERROR")
        elif kind in (_NUMBER, _RK):
            row, column, style = struct.unpack_from("<HHH", body)
            _note(marks, row, column, styles, style)
        elif kind == _MULRK:
            row, column = struct.unpack_from("<HH", body)
            for index, offset in enumerate(range(4, len(body) - 2, 6)):
                _note(marks, row, column + index, styles, struct.unpack_from("<H", body, offset)[0])
    return marks


def _note(marks: Marks, row: int, column: int, styles: list[int], style: int) -> None:
    if style < len(styles) and styles[style]:
        marks.set_format((row, column), styles[style])


def _text(body: bytes, length_bytes: int, version: int) -> str:
    length = int.from_bytes(body[:length_bytes], "little")
    if version < _BIFF8:
        return body[length_bytes : length_bytes + length].decode("latin-1")
    wide = body[length_bytes] & 1
    start = length_bytes + 1
    return body[start : start + length * (1 + wide)].decode("utf-16-le" if wide else "latin-1", "replace")
