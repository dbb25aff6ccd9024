"""The container of old Office files (OLE compound file): a small file system in one file."""

from __future__ import annotations

import struct

_END = 0xFFFFFFFE  # this and the next number mark ends and free sectors


class OleError(ValueError):
    """The container is damaged."""


class OleFile:
    """Names and contents of the streams inside. OleError for anything that does not add up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            self._open()
        except (struct.error, IndexError) as error:
            raise OleError("the container is cut off") from error

    def names(self) -> set[str]:
        """The names of all streams."""
        return set(self._entries)

    def read(self, name: str) -> bytes:
        """The content of one stream."""
        start, size = self._entries[name]
        if size < self._mini_cutoff:
            return self._chain(self._mini_stream, self._mini_table, start, self._mini_bytes, 0)[:size]
        content = self._chain(self._data, self._table, start, self._sector_bytes, 1)[:size]
        if len(content) < size:
            raise OleError(f"stream {name} is cut off")
        return content

    def _open(self) -> None:
        shift, mini_shift = struct.unpack_from("<HH", self._data, 30)
        if shift not in (9, 12) or mini_shift != 6:
            raise OleError("unknown sector size")
        self._sector_bytes, self._mini_bytes = 1 << shift, 1 << mini_shift
        directory, _, self._mini_cutoff, mini_start, _, more, more_count = struct.unpack_from("<7I", self._data, 48)
        sectors = [number for number in struct.unpack_from("<109I", self._data, 76) if number < _END]
        per_sector = self._sector_bytes // 4
        for _ in range(min(more_count, len(self._data) // self._sector_bytes + 1)):
            if more >= _END:
                break
            numbers = self._numbers(more)
            sectors += [number for number in numbers[:-1] if number < _END]
            more = numbers[-1]
        if len(sectors) * per_sector > len(self._data) // self._sector_bytes + 2 * per_sector:
            sectors = sectors[: len(self._data) // self._sector_bytes // per_sector + 2]
        self._table: list[int] = []
        for sector in sectors:
            self._table += self._numbers(sector)
        self._entries: dict[str, tuple[int, int]] = {}
        entries = self._chain(self._data, self._table, directory, self._sector_bytes, 1)
        root_start, root_size = _END, 0
        for offset in range(0, len(entries) - 127, 128):
            name_bytes, kind = struct.unpack_from("<HB", entries, offset + 64)
            start, size = struct.unpack_from("<II", entries, offset + 116)
            if kind == 5:
                root_start, root_size = start, size
            elif kind == 2:
                name = entries[offset : offset + max(0, min(name_bytes, 64) - 2)].decode("utf-16-le", "replace")
                self._entries.setdefault(name, (start, size))
        self._mini_table: list[int] = []
        table = self._chain(self._data, self._table, mini_start, self._sector_bytes, 1)
        self._mini_table = list(struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4]))
        self._mini_stream = self._chain(self._data, self._table, root_start, self._sector_bytes, 1)[:root_size]

    def _numbers(self, sector: int) -> tuple[int, ...]:
        offset = (sector + 1) * self._sector_bytes
        return struct.unpack_from(f"<{self._sector_bytes // 4}I", self._data, offset)

    def _chain(self, data: bytes, table: list[int], start: int, size: int, header_sectors: int) -> bytes:
        pieces: list[bytes] = []
        sector = start
        while sector < _END:
            if sector >= len(table) or len(pieces) > len(table):
                raise OleError("a chain of sectors leads nowhere")
            offset = (sector + header_sectors) * size
            piece = data[offset : offset + size]
            if not piece:
                raise OleError("a stream is cut off")
            pieces.append(piece)
            sector = table[sector]
        return b"".join(pieces)
