"""What a tab of an XLSX holds, found out while its XML passes by once, in pieces.

How many cells there are at most, and which need more than their value: both are searched for the few texts that
matter, and nothing is parsed.
"""

from __future__ import annotations

import re
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from catalogsync.reader import limits
from catalogsync.reader.marks import Marks
from catalogsync.reader.tabcells import BEHIND, Markup, area_of
from catalogsync.reader.tabmarks import Searcher, UnusualXml

_STRETCH_BYTES = 1 << 20
_LONGEST_CELL_BYTES = 1 << 25
_HEAD_BYTES = 4096
_ROOT: Final = re.compile(rb"<(?:(\w+):)?worksheet[\s>]")
_STORED_VALUE: Final = re.compile(rb"<(?:[\w.-]+:)?v(?:\s[^>]*)?>\s*(\d{1,9})\s*<")


class TabLook:
    """Looks at the XML of one tab.

    `xml_bytes` is its length, `merged` the number of merged cells, `cells` that of cells. `marks` are the cells that
    need more than their value, None where the XML is of an unusual kind or has too many cells to note any.
    """

    def __init__(self, telling: dict[bytes, int], shared_bytes: NDArray[np.int64], most_cells: int | None) -> None:
        """`telling` is what styles tell, `shared_bytes` are the lengths of the shared texts.

        `most_cells` is when to give up; None: how many there are has been found out, marks alone are looked for.
        """
        self.xml_bytes = self.merged = self.cells = 0
        self.marks: Marks | None = Marks()
        self._shared_bytes = shared_bytes
        self._longest = int(shared_bytes.max(initial=0))
        self._searcher: Searcher | None = None
        self._telling = telling
        self._most_cells = most_cells
        self._is_sized = most_cells is not None
        self._rows = self._columns = self._text_bytes = 0
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0  # since the last look
        self._edge = b""  # what every cell begins with

    @property
    def size(self) -> tuple[int, int] | None:
        """At most so many cells and bytes of shared text; None where the XML is of an unusual kind."""
        return (max(self.cells, self._rows * self._columns), self._text_bytes) if self._is_sized else None

    def see_all(self, xml: IO[bytes]) -> None:
        """All of the XML."""
        while piece := xml.read(_STRETCH_BYTES):
            self.see(piece)
        self.see(b"")

    def see(self, piece: bytes) -> None:
        """The next piece; an empty one is the end."""
        self.xml_bytes += len(piece)
        if not self._is_sized and self.marks is None:
            return
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if piece and self._waiting_bytes < _STRETCH_BYTES:
            return
        data = b"".join(self._pieces)
        if not self._edge and (not piece or len(data) >= _HEAD_BYTES):
            self._begin(data[:_HEAD_BYTES])
        cut = self._look_at_cells(data, is_last=not piece)
        self._pieces, self._waiting_bytes = [data[cut:]], 0
        if len(data) - cut > _LONGEST_CELL_BYTES:
            self._give_up()

    def _look_at_cells(self, data: bytes, *, is_last: bool) -> int:
        """At those that are there as a whole, if any; says where they end."""
        if is_last:
            self._look(data + b"\n" * BEHIND, len(data))
            return len(data)
        cut = data.rfind(self._edge, 0, max(0, len(data) - BEHIND)) if self._edge else 0
        if cut <= 0:
            return 0
        self._look(data, cut)
        return cut

    def _give_up(self) -> None:
        self._is_sized, self.marks, self._pieces = False, None, []

    def _begin(self, head: bytes) -> None:
        root = _ROOT.search(head)
        if b"\0" in head:
            self._give_up()
        elif root is None or self.marks is None:
            self.marks, self._edge = None, b"<"
        else:
            self._searcher = Searcher(root[1] + b":" if root[1] else b"", self._telling, self.marks)
            self._edge = self._searcher.cell

    def _look(self, data: bytes, size: int) -> None:
        """At whole cells: the first `size` bytes of data."""
        markup = Markup(data, size)
        if self._is_sized:
            self._measure(markup)
        if self._searcher and self.marks:
            try:
                self._searcher.search(markup)
            except UnusualXml:
                self.marks = None

    def _measure(self, markup: Markup) -> None:
        area = area_of(markup)
        self.cells += area[0] if area else 0
        if area is None or (self._most_cells is not None and self.cells > self._most_cells):
            self._give_up()
            return
        count, row, column = area
        if markup.has("m") or (markup.after_colons == ord("m")).any():
            self.merged += markup.xml.count(b"mergeCell ")
        self._rows, self._columns = max(self._rows, row), max(self._columns, column)
        if count * self._longest + self._text_bytes > limits.MOST_TEXT_BYTES:
            numbers = np.array(_STORED_VALUE.findall(markup.xml) or [b"0"], dtype="S9").astype(np.int64)
            self._text_bytes += int(self._shared_bytes[numbers[numbers < len(self._shared_bytes)]].sum())
        else:
            self._text_bytes += count * self._longest
