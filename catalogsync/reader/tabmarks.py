"""Searches the XML of an XLSX tab for error cells, formulas without a value, hidden rows and telling formats.

What is rare is looked for with a pattern only where a few bytes say that it may be there.
"""

from __future__ import annotations

import html
import re

from catalogsync.reader.marks import Marks, Place
from catalogsync.reader.sheet import column_index
from catalogsync.reader.tabcells import Markup


class UnusualXml(Exception):
    """The quick search does not suit this XML."""


class Searcher:
    """Finds the cells of a tab that need more than their value, stretch by stretch."""

    def __init__(self, prefix: bytes, telling: dict[bytes, int], marks: Marks) -> None:
        p = re.escape(prefix)
        self._prefix = prefix
        self.cell = b"<" + prefix + b"c "
        self._marks = marks
        self._telling = telling
        self._error = re.compile(rb"""t=["']e["']""")
        self._error_text = re.compile(rb"<" + p + rb"v[^>]*>([^<]*)<")
        none = rb"\s*(?P<v><" + p + rb"v\s*/>|<" + p + rb"v(?:\s[^>]*)?>\s*</" + p + rb"v>)?\s*</" + p + rb"c>"
        self._no_value = (
            re.compile(rb"</" + p + rb"f>" + none),
            re.compile(rb"<" + p + rb"f(?:\s[^>]*)?/>" + none),
        )
        numbers = b"|".join(sorted(telling))
        self._style = re.compile(rb"""s=["'](""" + numbers + rb""")["']""") if telling else None
        self._formula = b"<" + prefix + b"f"
        self._hidden_row = re.compile(rb"<" + p + rb"""row\s[^>]*\shidden=["'](?:1|true)["'][^>]*>""")

    def search(self, markup: Markup) -> None:
        """Note what is in a stretch of whole cells. Raises UnusualXml where this search does not suit."""
        if (markup.octets.take(markup.equals + 2) == ord("e")).any():
            self._find_errors(markup.xml)
        if (markup.has("f") or self._prefix) and self._formula in markup.xml:
            self._find_formulas(markup.xml)
        if (markup.before_equals == ord("n")).any() and b" hidden=" in markup.xml:
            self._find_hidden(markup.xml)
        if self._style is not None:
            for match in self._style.finditer(markup.xml):
                place = self._place(markup.xml, match.start())
                if place is not None:
                    self._marks.set_format(place, self._telling[match.group(1)])

    def _find_errors(self, xml: bytes) -> None:
        for match in self._error.finditer(xml):
            place = self._place(xml, match.start())
            if place is not None:
                value = self._error_text.search(xml, match.end())
                text = value.group(1).decode("utf-8", "replace") if value else ""
                self._marks.errors[place] = html.unescape(text).strip() or "#ERROR"

    def _find_formulas(self, xml: bytes) -> None:
        for pattern in self._no_value:
            for match in pattern.finditer(xml):
                start = xml.rfind(self.cell, 0, match.start())
                tag = xml[start : xml.find(b">", start) + 1]
                # A formula whose result is the empty text has type str and an empty value.
                if match["v"] and re.search(rb"""\st=["']str["']""", tag):
                    continue
                self._marks.without_value.add(self._address(tag))

    def _find_hidden(self, xml: bytes) -> None:
        for match in self._hidden_row.finditer(xml):
            number = re.search(rb"""\sr=["'](\d{1,7})["']""", match.group())
            if number is None:
                raise UnusualXml
            self._marks.hidden.append(range(int(number.group(1)) - 1, int(number.group(1))))

    def _place(self, xml: bytes, attribute: int) -> Place | None:
        """Of the cell that has the attribute found here; None where it is not an attribute of a cell."""
        start = xml.rfind(b"<", 0, attribute)
        if not xml.startswith(self.cell, start) or xml[attribute - 1 : attribute] not in (b" ", b"\n", b"\t", b"\r"):
            return None
        end = xml.find(b">", start)
        if end < attribute:
            return None
        return self._address(xml[start : end + 1])

    @staticmethod
    def _address(tag: bytes) -> Place:
        match = re.search(rb"""\sr=["']([A-Z]{1,3})(\d{1,7})["']""", tag)
        if match is None:
            raise UnusualXml
        return int(match.group(2)) - 1, column_index(match.group(1).decode())
