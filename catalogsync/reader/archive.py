"""What a workbook's zip archive really holds, found out by unpacking it, before any library reads it.

The sizes that an archive declares are not believed: every part is unpacked in pieces, counted and thrown away.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from catalogsync.errors import SheetError
from catalogsync.reader import limits

TABS: Final = "xl/worksheets/"
"""Where the tabs of an XLSX are, in small letters."""

_PIECE_BYTES = 1 << 18
_END: Final = b"PK\x05\x06"
_END_BYTES = 22
_END_64: Final = b"PK\x06\x06"
_LOCATOR_64_BYTES = 20
_LONGEST_COMMENT_BYTES = (1 << 16) - 1
_MOST_DIRECTORY_BYTES = 16 << 20
_HEAD_BYTES, _TAIL_BYTES = 300, 32
_SAVE_AGAIN = "Open it in Excel or LibreOffice and save it again."

_DOCUMENT_TYPE = (b"<!DOCTYPE", b"<\0!\0D\0O\0C\0T\0Y\0P\0E")  # the second one in both kinds of UTF-16
_ENCODING = re.compile(rb"""<\?xml[^>]{0,100}encoding\s*=\s*["']([\w.:-]+)["']""")
_ENCODINGS: Final = re.compile(rb"utf-?8|utf-?16|us-ascii|ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)
_PARSED: Final = re.compile(
    r"\[Content_Types\]\.xml|_rels/.*|xl/.*\.(xml|rels)|(content|styles|meta|settings)\.xml", re.I
)


See = Callable[[bytes], None]
"""Is given a part piece by piece, and nothing at its end."""


def part_names(path: Path) -> set[str]:
    """The names of the parts. Raises as check_archive, which has to follow before any part is read."""
    with path.open("rb") as file:
        return {part.filename for part in _parts(path, file)}


def check_archive(path: Path, seers: Callable[[str], See | None] = lambda _name: None) -> None:
    """Unpack everything once, tabs last. `seers` tells for a part who looks at what it unpacks to.

    Raises SheetError where it is larger than any sheet or holds what only an attack does, BadZipFile where sizes do
    not add up, NotImplementedError where it is packed in a way that workbooks are not.
    """
    with path.open("rb") as file:
        unpacked = 0
        for part in sorted(_parts(path, file), key=lambda part: part.filename.lower().startswith(TABS)):
            watch = _MarkupWatch(path, part.filename) if _PARSED.fullmatch(part.filename) else None
            see = seers(part.filename)
            size = 0
            for piece in filter(None, _unpacked(file, part)):
                size += len(piece)
                unpacked += len(piece)
                if unpacked > limits.MOST_UNPACKED_BYTES:
                    most = limits.shown_bytes(limits.MOST_UNPACKED_BYTES)
                    raise limits.too_large(path.name, f"it unpacks to more than {most}")
                if size > max(limits.RATIO_FROM_BYTES, limits.MOST_RATIO * part.compress_size):
                    what = f"unpacks to more than {limits.MOST_RATIO} times its size"
                    raise _attack(path, f"holds a part, {part.filename}, that {what}")
                if watch:
                    watch.see(piece)
                if see:
                    see(piece)
            if size != part.file_size:
                raise zipfile.BadZipFile(f"{part.filename} is not as long as the archive says")
            if see:
                see(b"")


def _parts(path: Path, file: IO[bytes]) -> list[zipfile.ZipInfo]:
    if path.stat().st_size > limits.MOST_FILE_BYTES:
        raise limits.too_large(path.name, f"the file is larger than {limits.shown_bytes(limits.MOST_FILE_BYTES)}")
    _check_directory(path, file)
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    if len(parts) > limits.MOST_PARTS:
        raise _attack(path, f"holds {len(parts):,} parts, more than {limits.MOST_PARTS:,}")
    _check_names(parts)
    return parts


def _attack(path: Path, what: str) -> SheetError:
    return SheetError(f"{path.name} {what}, as no real workbook does. {_SAVE_AGAIN}")


def _check_directory(path: Path, file: IO[bytes]) -> None:
    """The list of parts is read as a whole: it must not be endless itself."""
    size = file.seek(0, 2)
    start = max(0, size - _END_BYTES - _LONGEST_COMMENT_BYTES - _LOCATOR_64_BYTES)
    file.seek(start)
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_BYTES:
        raise zipfile.BadZipFile("the list of parts is missing")
    (directory_bytes,) = struct.unpack_from("<I", tail, end + 12)
    if directory_bytes == 0xFFFFFFFF and end >= _LOCATOR_64_BYTES:
        (place,) = struct.unpack_from("<Q", tail, end - _LOCATOR_64_BYTES + 8)
        file.seek(min(place, size))
        record = file.read(56)
        if record[:4] == _END_64 and len(record) == 56:
            (directory_bytes,) = struct.unpack_from("<Q", record, 40)
    if directory_bytes > _MOST_DIRECTORY_BYTES:
        raise _attack(path, "has a list of parts that is larger than the parts of any")


def _check_names(parts: list[zipfile.ZipInfo]) -> None:
    """One name must mean one part to every program, whether it minds capital letters or not."""
    exact: dict[str, str] = {}
    for part in parts:
        plain = part.filename.replace("\\", "/").lower()
        if exact.setdefault(plain, part.filename) != part.filename:
            raise zipfile.BadZipFile(f"{part.filename} stands in it twice")


def _unpacked(file: IO[bytes], part: zipfile.ZipInfo) -> Iterator[bytes]:
    """What a part unpacks to, however long the archive says it is, in pieces."""
    if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # What zipfile raises for it, too: the reader tells of both alike.
        raise NotImplementedError(f"{part.filename} is packed in a way that workbooks are not")
    file.seek(part.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"{part.filename} is not where the archive says")
    file.seek(sum(struct.unpack_from("<HH", header, 26)), 1)
    left = part.compress_size
    if part.compress_type == zipfile.ZIP_STORED:
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece
        return
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while not unpacker.eof:
            packed = unpacker.unconsumed_tail
            if not packed:
                packed = file.read(min(left, _PIECE_BYTES))
                left -= len(packed)
            piece = unpacker.decompress(packed, _PIECE_BYTES)
            if not piece and not packed:
                raise zipfile.BadZipFile(f"{part.filename} is cut off")
            yield piece
    except zlib.error as error:
        raise zipfile.BadZipFile(f"{part.filename} cannot be unpacked") from error


class _MarkupWatch:
    """Looks for a document type, which is what entities are declared in, and for encodings that could hide one."""

    def __init__(self, path: Path, part: str) -> None:
        self._path = path
        self._part = part
        self._head = self._tail = b""

    def see(self, piece: bytes) -> None:
        """The next piece."""
        if len(self._head) < _HEAD_BYTES:
            self._head += piece[:_HEAD_BYTES]
            found = _ENCODING.search(self._head)
            if found and not _ENCODINGS.fullmatch(found[1]):
                raise _attack(self._path, f"holds XML ({self._part}) in the encoding {found[1].decode()}")
        if b"!" in piece or b"!" in self._tail:  # many times as fast as the marks themselves
            text = self._tail + piece
            if any(mark in text for mark in _DOCUMENT_TYPE):
                raise _attack(self._path, f"holds XML ({self._part}) that declares a document type")
        self._tail = (self._tail + piece[-_TAIL_BYTES:])[-_TAIL_BYTES:]  # a piece may be a single byte
