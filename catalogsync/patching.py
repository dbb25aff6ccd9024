"""Patches cells of a worksheet's XML: bytes and values in, bytes out. Pure.

Only the patched ``<c>`` elements change, and what has to be there for a cell that was missing: the XML is scanned by
a parser that tells where each element stands, and new elements are spliced into the bytes. Prefixes, the order of
attributes, cells and rows without an address, comments and whatever else stands around them stay as they are.

Rows and columns are 0-based, as in reader/marks.py. Source of the format: ECMA-376 part 1, 18.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from catalogsync.reader import column_letter
from catalogsync.reader.marks import Place
from catalogsync.tabscan import FREE, Cell, PatchError, TabScan, tag_at

_QNAME: Final = re.compile(rb"<([^\s/>]+)")
_ATTRIBUTE: Final = re.compile(rb"\s+([^\s=/>]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_DECLARED: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?<\?xml[^>]*\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_GONE: Final = frozenset({b"t", b"cm", b"vm"})
"""Attributes of a cell that speak of its old value: its type, and metadata of that value."""

_UNSTORABLE: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")
_ESCAPED: Final = re.compile("[\x00-\x08\x0b-\x1f]|_(?=x[0-9A-Fa-f]{4}_)")


@dataclass(frozen=True, slots=True)
class Value:
    """What a cell is to hold; numbers and booleans as XML writes them: ``12.5``, ``1``."""

    kind: Literal["text", "number", "boolean", "blank"]
    text: str = ""


def is_storable(text: str) -> bool:
    """Whether XML can hold a text at all. Control characters can be escaped, other things cannot."""
    return _UNSTORABLE.search(text) is None


def look(xml: bytes, places: Collection[Place]) -> dict[Place, Cell]:
    """What stands in each place. Raises PatchError for XML that cannot be patched, ExpatError for none at all."""
    scan = TabScan(xml, {row for row, _ in places})
    return {place: scan.cell(place) for place in places}


def patched(xml: bytes, values: Mapping[Place, Value]) -> bytes:
    """The worksheet with other values in some places. Raises PatchError where a place may not be patched."""
    scan = TabScan(xml, {row for row, _ in values})
    encode = _encoder(xml)
    by_row: dict[int, list[tuple[int, Value]]] = {}
    splices: list[tuple[int, int, bytes]] = []
    for place, value in sorted(values.items(), key=lambda each: each[0]):
        cell = scan.cell(place)
        if cell.kind not in FREE:
            raise PatchError(f"{_name(place).decode()} is no cell that can be patched: {cell.kind}")
        if not is_storable(value.text):
            raise PatchError(f"{_name(place).decode()}: the text holds what no XML can")
        if cell.kind == "missing":
            if value.kind != "blank":
                by_row.setdefault(place[0], []).append((place[1], value))
            continue
        start, end = scan.extent(place)
        splices.append((start, end, _changed(xml, start, value, encode)))
    for number, new in by_row.items():
        splices += _inserted(xml, scan, number, new, encode)
    missing = {number: new for number, new in by_row.items() if number not in scan.rows}
    splices += _new_rows(xml, scan, missing, encode)
    return spliced(xml, splices)


def spliced(xml: bytes, splices: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Bytes with some ranges replaced; of those at one place the first one given comes first."""
    parts: list[bytes] = []
    done = 0
    for start, end, new in sorted(splices, key=lambda each: each[:2]):
        parts += (xml[done:start], new)
        done = end
    return b"".join([*parts, xml[done:]])


# --- writing -------------------------------------------------------------------------------------------------


class _Encoder:
    """Text as bytes of an XML file: escaped, and what its encoding lacks as references."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding

    def __call__(self, text: str) -> bytes:
        escaped = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
        for plain, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            escaped = escaped.replace(plain, entity)
        return escaped.encode(self._encoding, "xmlcharrefreplace")


def _encoder(xml: bytes) -> _Encoder:
    declared = _DECLARED.match(xml)
    return _Encoder(declared[1].decode() if declared else "utf-8")


def _name(place: Place) -> bytes:
    return f"{column_letter(place[1])}{place[0] + 1}".encode()


def _qname(tag: bytes) -> bytes:
    found = _QNAME.match(tag)
    assert found is not None
    return found[1]


def _prefix(tag: bytes) -> bytes:
    prefix, colon, _ = _qname(tag).rpartition(b":")
    return prefix + colon


def _attributes(tag: bytes) -> list[tuple[bytes, bytes]]:
    """Each attribute's name, and its bytes with the blanks before it."""
    return [(found[1], found[0]) for found in _ATTRIBUTE.finditer(tag)]


def _changed(xml: bytes, start: int, value: Value, encode: _Encoder) -> bytes:
    """A cell that is there, with another value; its address, style and other attributes stay as they are written."""
    tag = tag_at(xml, start)
    kept = b"".join(text for name, text in _attributes(tag) if name not in _GONE)
    return _element(_prefix(tag), kept, value, encode)


def _new(prefix: bytes, place: Place, style: int, value: Value, encode: _Encoder) -> bytes:
    attributes = b' r="' + _name(place) + b'"' + (f' s="{style}"'.encode() if style else b"")
    return _element(prefix, attributes, value, encode)


def _element(prefix: bytes, attributes: bytes, value: Value, encode: _Encoder) -> bytes:
    name = prefix + b"c"
    if value.kind == "blank":
        return b"<" + name + attributes + b"/>"
    if value.kind == "text":
        attributes += b' t="inlineStr"'
        inner = b'<%bis><%bt xml:space="preserve">%b</%bt></%bis>' % (
            prefix,
            prefix,
            encode(value.text),
            prefix,
            prefix,
        )
    else:
        attributes += b' t="b"' if value.kind == "boolean" else b""
        inner = b"<%bv>%b</%bv>" % (prefix, value.text.encode("ascii"), prefix)
    return b"<" + name + attributes + b">" + inner + b"</" + name + b">"


# --- cells and rows that are not there ---------------------------------------------------------------------------


def _inserted(
    xml: bytes, scan: TabScan, number: int, new: Sequence[tuple[int, Value]], encode: _Encoder
) -> Iterator[tuple[int, int, bytes]]:
    """The splices that put new cells, by column, into a row that is there."""
    row = scan.rows.get(number)
    if row is None:
        return
    tag = tag_at(xml, row.start)
    prefix = _prefix(tag)
    cells = [
        (column, _new(prefix, (number, column), scan.style_of(row, column), value, encode)) for column, value in new
    ]
    opened = _with_spans(tag, [column for column, _ in new])
    if tag.endswith(b"/>"):
        inner = b"".join(text for _, text in cells)
        closed = opened[:-2].rstrip() + b">" + inner + b"</" + _qname(tag) + b">"
        yield row.start, row.start + len(tag), closed
        return
    if opened != tag:
        yield row.start, row.start + len(tag), opened
    for column, text in cells:
        after = [found.start for other, found in row.cells.items() if other > column]
        at = min(after, default=row.end)
        yield at, at, text


def _new_rows(
    xml: bytes, scan: TabScan, rows: Mapping[int, Sequence[tuple[int, Value]]], encode: _Encoder
) -> Iterator[tuple[int, int, bytes]]:
    """The splices that put rows of new cells, ascending, between those that are there."""
    start = scan.data[0]
    tag = tag_at(xml, start)
    prefix = _prefix(tag)
    made = []
    for number, new in rows.items():
        styled = ((column, scan.style_of(None, column), value) for column, value in new)
        cells = b"".join(_new(prefix, (number, column), style, value, encode) for column, style, value in styled)
        row = b'<%brow r="%d">%b</%brow>' % (prefix, number + 1, cells, prefix)
        made.append((scan.before_row(number), row))
    if made and tag.endswith(b"/>"):
        inner = b"".join(row for _, row in made)
        closed = tag[:-2].rstrip() + b">" + inner + b"</" + _qname(tag) + b">"
        yield start, start + len(tag), closed
        return
    yield from ((at, at, row) for at, row in made)


def _with_spans(tag: bytes, columns: Sequence[int]) -> bytes:
    """A row's tag that spans the new columns too, where it tells what it spans."""
    found = re.search(rb"(\sspans\s*=\s*[\"'])(\d+):(\d+)([\"'])", tag)
    if found is None:
        return tag
    low, high = min(int(found[2]), *(c + 1 for c in columns)), max(int(found[3]), *(c + 1 for c in columns))
    if (low, high) == (int(found[2]), int(found[3])):
        return tag
    return tag[: found.start()] + b"%b%d:%d%b" % (found[1], low, high, found[4]) + tag[found.end() :]
