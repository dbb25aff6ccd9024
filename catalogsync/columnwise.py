"""Whole columns of text at a time, by Arrow: what pandas does with an object of Python per cell. Pure.

Columns and indexes are of dtype ``str`` and have no missing values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Places = NDArray[np.intp]


WHITESPACE = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
"""The characters that `str.strip` removes."""


def arrow(texts: Any) -> Any:
    """A column, an index or an array of text as one Arrow array (large_string); of one part it is not copied."""
    made = pa.array(getattr(texts, "array", texts), pa.large_string(), from_pandas=True)
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def column(texts: Any, index: pd.Index | None = None) -> pd.Series:
    """An Arrow array as a column of text, without copying it."""
    return pd.Series(pd.array(texts, dtype="str"), index=index, copy=False)


def bools(mask: Any) -> Bools:
    """A mask of Arrow as one of numpy."""
    made: Bools = np.asarray(mask.to_numpy(zero_copy_only=False), dtype=np.bool_)
    return made


def places_of(wanted: Any, held: Any) -> Places:
    """Where each of `wanted` stands in `held`, -1 where it does not; `held` has no text twice."""
    count = len(held)
    # A dictionary numbers texts as they first come: what is in `held` has its place there as its number.
    both = pa.concat_arrays([arrow(held), arrow(wanted)]).dictionary_encode()
    if len(both.dictionary) < count:
        raise ValueError("a text stands in several places")
    numbers: Places = both.indices.to_numpy()[count:].astype(np.intp)
    numbers[numbers >= count] = -1
    return numbers


def is_in(wanted: Any, held: Any) -> Bools:
    """Which of `wanted` are among `held`."""
    if not len(wanted) or not len(held):
        return np.zeros(len(wanted), dtype=bool)
    return bools(pc.is_in(arrow(wanted), value_set=arrow(held)))


def repeats(texts: Any) -> tuple[Bools, Bools]:
    """Which texts stand several times, and which are the first of their kind."""
    encoded = arrow(texts).dictionary_encode()
    codes, count = encoded.indices.to_numpy(), len(encoded.dictionary)
    if count == len(codes):
        return np.zeros(count, dtype=bool), np.ones(count, dtype=bool)
    is_first = np.zeros(len(codes), dtype=bool)
    is_first[np.unique(codes, return_index=True)[1]] = True
    return (np.bincount(codes, minlength=count) > 1)[codes], is_first


def matches(texts: Any, pattern: str) -> Bools:
    """Which texts a pattern (RE2) matches as a whole."""
    return bools(pc.match_substring_regex(arrow(texts), f"^(?:{pattern})$"))


def clean(texts: pd.Series) -> pd.Series:
    """Canonical text of text cells, as `celltext.clean_text`; the column itself where it is canonical already."""
    given = arrow(texts)
    ends = pc.replace_substring(pc.replace_substring(given, "\r\n", "\n"), "\r", "\n") if _any(given, "\r") else given
    made = pc.utf8_trim(ends, characters=WHITESPACE)
    return texts if made.equals(given) else column(made, texts.index)


def _any(texts: Any, part: str) -> bool:
    return bool(pc.any(pc.match_substring(texts, part)).as_py())


def not_ascii(texts: Any) -> Places:
    """The places of the texts that have other characters than those of ASCII."""
    return np.flatnonzero(~bools(pc.string_is_ascii(arrow(texts))))


def kept(table: pd.DataFrame, mask: Bools) -> pd.DataFrame:
    """Some rows of a table; the table itself where they are all."""
    return table if mask.all() else table[mask]
