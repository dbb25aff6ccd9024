"""Keys: what identifies a product: a column or several, or the first of several alternatives that is filled. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from catalogsync import model

_PART = "\x1f"
"""Stands between the parts of a composite key, and n times before the key of the n-th further alternative."""


def key_text(key: str) -> str:
    """A key as a person reads it."""
    return " + ".join(part for part in key.split(_PART) if part)


def row_keys(table: pd.DataFrame, keys: tuple[tuple[model.Column, ...], ...]) -> pd.Series:
    """The key of each row: that of the first alternative whose columns are all filled, "" where none is."""
    found = pd.Series("", index=table.index, dtype="str")
    for texts in alternative_keys(table, keys):
        found = found.where(found != "", texts)
    return found


def alternative_keys(table: pd.DataFrame, keys: tuple[tuple[model.Column, ...], ...]) -> Iterator[pd.Series]:
    """For each alternative the key it would give each row, "" where one of its columns is empty."""
    for rank, columns in enumerate(keys):
        parts = [table[column.key] for column in columns]
        text = parts[0] if rank == 0 else _PART * rank + parts[0]
        for part in parts[1:]:
            text = text + _PART + part
        is_filled = np.logical_and.reduce([(part != "").to_numpy(bool) for part in parts])
        yield text.where(is_filled, "")
