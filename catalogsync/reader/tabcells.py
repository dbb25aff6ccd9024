"""Where the cells of an XLSX tab are, quickly: by their names, as every program writes them.

A name that is written in another way is looked for more slowly; None where that does not suit either.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Octets = NDArray[np.uint8]
Places = NDArray[np.int64]
Area = tuple[int, int, int]
"""How many cells there are, and the highest row and column among their names."""

BEHIND = 24
"""So many bytes are looked at behind the XML."""

_PREFIXED: Final = re.compile(rb":c[\s>/]")
_BLANK_BEFORE_EQUALS: Final = re.compile(rb"<(?:[\w.-]+:)?c\s[^<>]*\s=")
_NAME_ENDS = np.zeros(256, dtype=np.bool_)
_NAME_ENDS[[32, 9, 10, 13, ord(">"), ord("/")]] = True
_QUOTES = np.zeros(256, dtype=np.bool_)
_QUOTES[[34, 39]] = True
_LETTERS = np.zeros(256, dtype=np.uint8)
_LETTERS[65:91] = _LETTERS[97:123] = np.arange(1, 27)
_DIGITS = np.full(256, -1, dtype=np.int32)
_DIGITS[48:58] = np.arange(10)
_NAME_BYTES = 16  # a blank, r, =, a quote; three letters, seven digits and a quote; one more
_NAMED_CELL = np.frombuffer(b' r="', dtype=np.uint32)
_NAMED_ROW = np.frombuffer(b'ow r="', dtype=np.uint16)


class Markup:
    """A stretch of XML: where its elements begin, and its attributes."""

    def __init__(self, data: bytes, size: int) -> None:
        """The first `size` bytes of data; BEHIND others follow."""
        self.octets = np.frombuffer(data, dtype=np.uint8)
        self._data = data
        self._size = size
        self._is_tag = self.octets[:size] == ord("<")
        self._following = self.octets[1 : size + 1]

    @cached_property
    def xml(self) -> bytes:
        """The XML itself."""
        return self._data[: self._size]

    def opened(self, letter: str) -> Places:
        """Where elements begin whose name does with a letter."""
        return np.flatnonzero(self._is_tag & (self._following == ord(letter)))

    def has(self, letter: str) -> bool:
        """Whether there are any."""
        return bool((self._is_tag & (self._following == ord(letter))).any())

    @cached_property
    def after_colons(self) -> Octets:
        """What stands after each colon: names may begin there that have a prefix."""
        return self._following[np.flatnonzero(self.octets[: self._size] == ord(":"))]

    @cached_property
    def equals(self) -> Places:
        """Where an equals sign stands."""
        return np.flatnonzero(self.octets[: self._size] == ord("="))

    @cached_property
    def before_equals(self) -> Octets:
        """What stands before each."""
        return self.octets.take(self.equals - 1, mode="clip")


def area_of(markup: Markup) -> Area | None:
    """The cells. None where one has no name or is written in an unusual way."""
    if (markup.after_colons == ord("c")).any() and _PREFIXED.search(markup.xml):
        return None
    octets = markup.octets
    opened = markup.opened("c")
    opened = opened[_NAME_ENDS[octets.take(opened + 2)]]
    if not len(opened):
        return 0, 0, 0
    if _NAME_ENDS[markup.before_equals].any() and _BLANK_BEFORE_EQUALS.search(markup.xml):
        return None
    # The attribute r: a blank, r, =, a quote.
    named = markup.equals[markup.before_equals == ord("r")]
    named = named[_NAME_ENDS[octets.take(named - 2, mode="clip")]]
    texts = sliding_window_view(octets, _NAME_BYTES)[opened + 2]
    if len(named) != len(opened) + _named_rows(markup) or (texts.view(np.uint32)[:, 0] != _NAMED_CELL).any():
        places = _of_each(octets, opened, named)
        if places is None:
            return None
        texts = sliding_window_view(octets, _NAME_BYTES)[places - 2]
    return _highest(texts[:, 4:])


def _named_rows(markup: Markup) -> int:
    """How many rows begin with their number.

    With as many other attributes called r as there are cells, and one at the beginning of each, no cell has two.
    """
    rows = markup.opened("r")
    return int((sliding_window_view(markup.octets, 6)[rows + 2].view(np.uint16) == _NAMED_ROW).all(axis=1).sum())


def _of_each(octets: Octets, opened: Places, named: Places) -> Places | None:
    """Where the equals sign of each cell's name stands. None where a cell has no name, or two."""
    named = named[_QUOTES[octets[named + 1]]]
    closing = np.flatnonzero(octets == ord(">"))
    first, after = np.searchsorted(named, opened), np.searchsorted(closing, opened)
    if after[-1] == len(closing) or (np.searchsorted(named, closing[after]) - first != 1).any():
        return None
    return named[first]


def _highest(names: Octets) -> Area | None:
    """The area of some names, each a row of bytes."""
    first, second, third = (_LETTERS[names[:, place]] > 0 for place in range(3))
    letters = first.view(np.uint8) + (first & second) + (first & second & third)
    row = column = 0
    for count in np.flatnonzero(np.bincount(letters)).tolist():
        these = names if (letters == count).all() else names[letters == count]
        number = np.zeros(len(these), dtype=np.int32)
        for place in range(count):
            number = number * 26 + _LETTERS[these[:, place]]
        highest = _highest_number(these[:, count : count + 8])
        if not highest or not count:
            return None
        row, column = max(row, highest), max(column, int(number.max()))
    return len(names), row, column


def _highest_number(texts: Octets) -> int:
    """The highest of some numbers above 0 that a quote ends; 0 where a text is no such number."""
    words = np.ascontiguousarray(texts).view(np.uint64)[:, 0]
    texts = texts[np.append(True, words[1:] != words[:-1])]  # most cells are in the row of the one before
    number = np.zeros(len(texts), dtype=np.int64)
    goes_on = np.ones(len(texts), dtype=np.bool_)
    for place in range(texts.shape[1]):
        digits = _DIGITS[texts[:, place]]
        is_digit = goes_on & (digits >= 0)
        if not _QUOTES[texts[goes_on & ~is_digit, place]].all():
            return 0
        number = np.where(is_digit, number * 10 + digits, number)
        goes_on = is_digit
    return 0 if goes_on.any() or not number.all() else int(number.max())
