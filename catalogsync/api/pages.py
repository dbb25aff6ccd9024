"""Pages of elements: decoded, and turned into columns. What both dialects do alike, with lists too. Pure.

A page is decoded at once into the shapes that nearly every element has: the dialects' subclasses of `Element`, which
takes a fifth of the time of plain JSON. A page with another shape anywhere is plain JSON (transport.py), of which the
dialect makes the same elements.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from catalogsync.api.dialect import Page, Response
from catalogsync.celltext import clean_text
from catalogsync.model import NAME, Catalog, Column, Field
from catalogsync.numbertext import CANONICAL

Values = Sequence[Any]
"""What a field of an element holds: the dialect's own structs, or plain JSON where those do not fit."""

Read = Callable[[Values], Iterable[tuple[str, str]]]
"""From a field's values to (column key, canonical text) pairs."""


class _Nothing(msgspec.Struct):
    """Stands for the value of a field that an element does not have."""

    value: str = ""
    enum: Any = None


NO_OPTION = object()
NOTHING: Values = [_Nothing(enum=NO_OPTION)]
"""The values of a field that an element does not have."""


@dataclass(frozen=True, slots=True)
class One:
    """Reads a field that is one column: `text` is canonical text out of its values, None where they say nothing.

    `fast` reads the field of all elements of a page at once, where all have the shape that is usual for it; None where
    one has not. It may raise TypeError, AttributeError and ValueError then, too.
    """

    text: Callable[[Values], str | None]
    fast: Callable[[Sequence[Values]], list[str] | None] | None = None


class Entry(msgspec.Struct, gc=False):
    """A field of an element. Subclasses say what it is called and typed on the wire."""

    field_id: int
    values: Any


class Element(msgspec.Struct, gc=False, kw_only=True):
    """An element as it is listed. Subclasses say what its custom fields are called and typed on the wire."""

    id: int
    name: str | None = None
    updated_at: int | None = None
    updated_by: int | None = None
    is_deleted: bool | None = None
    entries: Any


def fast_texts(held: Sequence[Values]) -> list[str] | None:
    """Texts, as `clean_text` has them, where each element has exactly one, or `NOTHING`."""
    return _cleaned([value.value for (value,) in held])


def _cleaned(texts: list[str]) -> list[str]:
    return list(map(clean_text, texts)) if "\r" in "".join(texts) else [text.strip() for text in texts]


_NUMBERS = re.compile(rf"(?:{CANONICAL})?(?:\n(?:{CANONICAL})?)*")


def fast_numbers(held: Sequence[Values]) -> list[str] | None:
    """Numbers that are sent as canonical text."""
    texts = [value.value for (value,) in held]
    return texts if _NUMBERS.fullmatch("\n".join(texts)) else None


class _Listed(list[Any]):
    """The elements of a page, decoded at once."""


def decoder_of(element: type[Element], name: str) -> Callable[[bytes], Sequence[Element]]:
    """Decodes an answer with elements of this shape, which it calls `name`. Raises ValueError where it has another one.

    Numbers with a fraction stay exact where the shape does not say a type.
    """
    embedded = msgspec.defstruct("Embedded", [(name, list[element])], gc=False)  # type: ignore[valid-type]
    answer = msgspec.defstruct("Answer", [("embedded", embedded, msgspec.field(name="_embedded"))], gc=False)
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(answer, float_hook=Decimal)

    def decoded(content: bytes) -> Sequence[Element]:
        return _Listed(getattr(decoder.decode(content).embedded, name))

    return decoded


def elements_of(
    response: Response, items: Callable[[], Iterable[Any]], element_of: Callable[[Any], Element]
) -> Sequence[Element]:
    """The elements of an answer, in its order: decoded at once, or made of the `items` of plain JSON."""
    return response.json if isinstance(response.json, _Listed) else list(map(element_of, items()))


def plain(entry: Any) -> Any:
    """An entry of a field's values as plain JSON has it."""
    if not isinstance(entry, msgspec.Struct):
        return entry
    told = ((name, getattr(entry, name)) for name in entry.__struct_fields__)
    return {name: value for name, value in told if value is not msgspec.UNSET}


def catalog_of(item: Mapping[str, Any]) -> Catalog:
    """One list of an answer."""
    return Catalog(
        id=int(item["id"]),
        name=str(item.get("name", "")),
        type=str(item.get("type", "regular")),
        sort=int(item.get("sort") or 0),
        created_at=int(item.get("created_at") or 0),
    )


def element_facts(item: Mapping[str, Any]) -> dict[str, Any]:
    """What an `Element` is made of, out of plain JSON."""
    return {
        "id": int(item["id"]),
        "name": str(item.get("name") or ""),
        "updated_at": int(item.get("updated_at") or 0),
        "updated_by": int(item.get("updated_by") or 0),
        "is_deleted": bool(item.get("is_deleted")),
    }


def page_of(
    listed: Sequence[Element],
    columns: Sequence[Column],
    *,
    reader_of: Callable[[Field], One | Read],
    are_linked: Callable[[Sequence[Any]], list[bool]],
) -> Page:
    """The listed elements as columns. A field without a value is absent on the wire and "" here; a checkbox "0"."""
    items = [item for item in listed if not item.is_deleted]
    held: defaultdict[int, list[Values]] = defaultdict(lambda: [NOTHING] * len(items))
    for place, item in enumerate(items):
        entries = item.entries
        for entry in entries if type(entries) is list else (entries or {}).values():
            held[entry.field_id][place] = entry.values
    texts = {column.key: [""] * len(items) for column in columns}
    if NAME in texts:
        texts[NAME] = _cleaned([item.name or "" for item in items])
    for field in {column.field.id: column.field for column in columns if column.field is not None}.values():
        _read(held[field.id], reader_of(field), str(field.id), texts)
    for key in [column.key for column in columns if column.type == "checkbox"]:
        texts[key] = [text or "0" for text in texts[key]]
    return Page(
        ids=[item.id for item in items],
        updated_at=[item.updated_at or 0 for item in items],
        updated_by=[item.updated_by or 0 for item in items],
        values=batch_of(texts),
        linked=are_linked(items),
        listed_ids=[item.id for item in listed],
    )


def _read(held: Sequence[Values], reader: One | Read, key: str, texts: dict[str, list[str]]) -> None:
    """Read a field's values in all elements into the columns that it has."""
    if isinstance(reader, One):
        if key in texts:
            texts[key] = _read_one(held, reader)
        return
    for place, values in enumerate(map(_listed, held)):
        for part, text in reader(values) if values else ():
            if part in texts:
                texts[part][place] = text


def _read_one(held: Sequence[Values], reader: One) -> list[str]:
    if reader.fast is not None:
        with contextlib.suppress(TypeError, AttributeError, ValueError):
            texts = reader.fast(held)
            if texts is not None:
                return texts
    read = reader.text
    return [read(values) or "" if values else "" for values in map(_listed, held)]


def _listed(values: Any) -> Values:
    """A field's values as a list: a lone one may stand for it."""
    if type(values) is list:
        return [] if values is NOTHING else values
    return [values] if values else []


def batch_of(texts: Mapping[str, Sequence[str]]) -> pa.RecordBatch:
    """Columns of text as `Page.values` has them."""
    return pa.RecordBatch.from_arrays([pa.array(column, pa.large_string()) for column in texts.values()], list(texts))
