"""Pairing: a sheet's rows and a catalog's elements, brought together, as every comparison begins. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from catalogsync import model, remarks, tables, threeway
from catalogsync.base import Base
from catalogsync.elements import Existing, existing_table
from catalogsync.errors import Problem
from catalogsync.matching import Match
from catalogsync.model import Clash


@dataclass(frozen=True)
class Paired:
    """Which row means which element. `existing` has each element under its row's key.

    `row_ids` are the elements that rows were exported from (`tables.Desired.element_ids`), as far as they count;
    `problems` tells of rows that do not mean one element; `clashes` of rows whose element somebody deleted. The match
    has neither.
    """

    existing: Existing
    match: Match
    row_ids: pd.Series
    problems: tuple[Problem, ...]
    clashes: tuple[Clash, ...]


def paired(
    desired: tables.Desired,
    elements: pd.DataFrame,
    mapping: model.Mapping,
    known: Base | None,
    address: Callable[[int], str],
    *,
    is_export: bool,
) -> Paired:
    """Pair by key; where no element has a row's key, by that of the last run (`known`) or its exported id."""
    row_ids = desired.element_ids if is_export else desired.element_ids.iloc[:0]
    existing = existing_table(elements, mapping, desired.seen, row_ids)
    wanted, shared = tables.without_shared(desired, existing, address)
    met = threeway.meet(wanted, existing.table, mapping, known, seen=desired.seen, ids=existing.ids)
    return Paired(
        dataclasses.replace(existing, table=met.existing),
        Match.of(met.desired, met.existing),
        row_ids,
        (*shared, *remarks.rekeyed(met, desired, address)),
        met.clashes,
    )
