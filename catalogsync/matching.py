"""Matching: which row means which element. Looked up once, for all that compare sheet and catalog. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalogsync import columnwise
from catalogsync.columnwise import Bools, Places, arrow


@dataclass(frozen=True, eq=False)
class Match:
    """The desired and the existing table, and for each row the place of its element, -1 where it has none.

    `rows` and `elements` are the places of the pairs in the two tables. What compares them asks for the columns in
    the order of the pairs, at some of them or at all.
    """

    desired: pd.DataFrame
    existing: pd.DataFrame
    places: Places
    _differs: dict[str, Bools] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, desired: pd.DataFrame, existing: pd.DataFrame) -> Match:
        """Match by key: the index of both tables. That of `existing` has no key twice."""
        return cls(desired, existing, columnwise.places_of(desired.index, existing.index))

    @cached_property
    def rows(self) -> Places:
        """The places of the pairs in `desired`."""
        return np.flatnonzero(self.places >= 0)

    @cached_property
    def elements(self) -> Places:
        """The places of the pairs in `existing`."""
        return self.places[self.rows]

    @property
    def is_new(self) -> Bools:
        """Which rows have no element."""
        made: Bools = self.places < 0
        return made

    @cached_property
    def is_alone(self) -> Bools:
        """Which elements have no row in `desired`."""
        made = np.ones(len(self.existing), dtype=bool)
        made[self.elements] = False
        return made

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids of the pairs' elements."""
        made: NDArray[np.int64] = self.existing["id"].to_numpy(np.int64)[self.elements]
        return made

    def wanted(self, key: str, at: Places | slice = slice(None)) -> Any:
        """What the sheet says in a column, at some of the pairs."""
        return self.desired[key].array[self.rows[at]]

    def held(self, key: str, at: Places | slice = slice(None)) -> Any:
        """What the catalog says in a column, at some of the pairs."""
        return self.existing[key].array[self.elements[at]]

    def differs(self, key: str) -> Bools:
        """At which pairs the two say different things in a column."""
        if not len(self.rows):
            return np.zeros(0, dtype=bool)
        if key not in self._differs:
            # A row without an element is compared with any: to take the texts of the others out takes longer.
            held = arrow(self.existing[key]).take(np.maximum(self.places, 0))
            self._differs[key] = columnwise.bools(pc.not_equal(arrow(self.desired[key]), held))[self.rows]
        return self._differs[key]

    def only(self, mask: Bools) -> Match:
        """The match without some of the rows."""
        if mask.all():
            return self
        return Match(self.desired[mask], self.existing, self.places[mask])

    def saying(self, desired: pd.DataFrame) -> Match:
        """The match where the same rows say something else."""
        return replace(self, desired=desired, _differs={})
