"""The values that an exported workbook carries: what the catalog held when it was made, on a hidden tab. Pure.

They make it a sheet with a base of its own: whenever and wherever it comes back, what was edited in it is told from
what was edited in the catalog meanwhile. On the tab stands one line with a checksum, then text in pieces that a cell
holds: JSON lines, packed. The first is about the export, each of the others has the ids of some elements and their
canonical texts by column key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from catalogsync.model import Column

_MAGIC = "catalogsync values 1"
_PIECE_CHARACTERS = 32_000
_BLOCK_ROWS = 4096
_MOST_BYTES = 1 << 30
"""Of all values together: what a reader unpacks of them at most."""

_MOST_LINE_BYTES = 1 << 28


@dataclass(frozen=True, eq=False)
class Carried:
    """`values` holds canonical text by column key, its index the ids of all elements that were exported.

    `export` is the name of this one export, made of what it carries; `made_at` in Unix seconds; `is_part`: elements
    were left out. `captions` are those of the fields' options then, by column key and option id: one may be called
    otherwise when the workbook comes back.
    """

    export: str
    account_id: int
    catalog_id: int
    made_at: int
    is_part: bool
    values: pd.DataFrame
    captions: Mapping[str, Mapping[int, str]]


class DamagedValues(ValueError):
    """What stands on the tab is not what an export wrote there."""


def lines_of(
    elements: pd.DataFrame,
    columns: Sequence[Column],
    *,
    account_id: int,
    catalog_id: int,
    made_at: int,
    is_part: bool = False,
) -> list[str]:
    """The cells of the tab, one below the other. `elements` has ``id`` and canonical text by column key."""
    about = {"account_id": account_id, "catalog_id": catalog_id, "made_at": made_at, "is_part": is_part}
    keys = list(dict.fromkeys(column.key for column in columns))
    return _lines({**about, "captions": captions_of(columns)}, elements["id"], elements[keys])


def captions_of(columns: Iterable[Column]) -> dict[str, dict[int, str]]:
    """The captions of the options of columns, by column key and option id."""
    return {column.key: dict(column.field.enums) for column in columns if column.field and column.field.enums}


def lines_again(carried: Carried, changed: Iterable[tuple[int, str, str]], columns: Iterable[Column]) -> list[str]:
    """The cells of the tab after cells of the workbook (element id, column key, canonical text) were taken anew."""
    values = carried.values.copy()
    for id_, key, text in changed:
        if id_ in values.index and key in values:
            values.at[id_, key] = text
    about = {"account_id": carried.account_id, "catalog_id": carried.catalog_id, "made_at": carried.made_at}
    captions = {**carried.captions, **captions_of(columns)}
    return _lines({**about, "is_part": carried.is_part, "captions": captions}, values.index.to_series(), values)


def _lines(about: Mapping[str, Any], ids: pd.Series, values: pd.DataFrame) -> list[str]:
    packer = zlib.compressobj(3)
    digest = hashlib.sha256()
    packed = []
    for line in _json_lines(about, ids, values):
        digest.update(line)
        packed.append(packer.compress(line))
    packed.append(packer.flush())
    text = base64.b64encode(b"".join(packed)).decode("ascii")
    pieces = [text[start : start + _PIECE_CHARACTERS] for start in range(0, len(text), _PIECE_CHARACTERS)]
    return [f"{_MAGIC} {digest.hexdigest()}", *pieces]


def _json_lines(about: Mapping[str, Any], ids: pd.Series, values: pd.DataFrame) -> Iterator[bytes]:
    yield json.dumps({**about, "keys": [str(name) for name in values.columns]}).encode() + b"\n"
    for start in range(0, len(values), _BLOCK_ROWS):
        block = values.iloc[start : start + _BLOCK_ROWS]
        some = ids.iloc[start : start + _BLOCK_ROWS].tolist()
        yield json.dumps([some, *(block[name].tolist() for name in values.columns)]).encode() + b"\n"


def values_in(lines: Sequence[str]) -> Carried:
    """What the cells of the tab say. Raises DamagedValues where they are not as they were written."""
    try:
        head, *pieces = lines
        magic, _, checksum = head.rpartition(" ")
        if magic != _MAGIC:
            raise DamagedValues
        digest = hashlib.sha256()
        unpacked = _unpacked("".join(pieces), digest)
        about = json.loads(next(unpacked))
        names = [str(name) for name in about["keys"]]
        ids, columns = _columns(unpacked, len(names))
        if digest.hexdigest() != checksum:
            raise DamagedValues
        index = pd.Index(ids, dtype="int64", name="id")
        if not index.is_unique or len(set(names)) != len(names):
            raise DamagedValues
        values = pd.DataFrame(
            {name: pd.array(column, dtype="str") for name, column in zip(names, columns, strict=True)}, index
        )
        captions = {
            str(key): {int(id_): str(caption) for id_, caption in some.items()}
            for key, some in about["captions"].items()
        }
        account_id, catalog_id, made_at = (int(about[name]) for name in ("account_id", "catalog_id", "made_at"))
        return Carried(checksum[:16], account_id, catalog_id, made_at, about["is_part"] is True, values, captions)
    except (ValueError, TypeError, AttributeError, LookupError, StopIteration, RecursionError, OverflowError) as error:
        raise DamagedValues from error
    except (zlib.error, binascii.Error, pa.ArrowException) as error:
        raise DamagedValues from error


def _unpacked(text: str, digest: Any) -> Iterator[bytes]:
    """The JSON lines, one after the other; no more of them than an export can hold."""
    packed = base64.b64decode(text, validate=True)
    unpacker = zlib.decompressobj()
    rest, total = b"", 0
    while packed and not unpacker.eof:
        piece = unpacker.decompress(packed, 1 << 20)
        packed = unpacker.unconsumed_tail
        digest.update(piece)
        total += len(piece)
        *whole, rest = (rest + piece).split(b"\n")
        if total > _MOST_BYTES or len(rest) > _MOST_LINE_BYTES:
            raise DamagedValues
        yield from whole
    if rest or not unpacker.eof:
        raise DamagedValues


def _columns(lines: Iterator[bytes], count: int) -> tuple[list[int], list[pa.ChunkedArray]]:
    """The ids, and a text column for each key, a block after the other: the JSON of one of them is held at a time."""
    ids: list[int] = []
    chunks: list[list[pa.Array]] = [[] for _ in range(count)]
    for line in lines:
        some, *texts = json.loads(line)
        if len(texts) != count or any(len(column) != len(some) for column in texts):
            raise DamagedValues
        ids += map(int, some)
        for chunk, column in zip(chunks, texts, strict=True):
            chunk.append(pa.array(column, pa.large_string()))
    made = [pa.chunked_array(chunk, pa.large_string()) for chunk in chunks]
    if any(column.null_count for column in made):
        raise DamagedValues
    return ids, made
