"""For each cell that takes the catalog's value: what it is to hold, or why it has to be left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalogsync import model as m
from catalogsync import patching, tabscan
from catalogsync.bookparts import Tab
from catalogsync.cellvalues import Held, Speller
from catalogsync.exportcells import MOST_CHARACTERS
from catalogsync.patching import Value
from catalogsync.reader import ReadOptions, Sheet, columns_named
from catalogsync.tabscan import Cell
from catalogsync.taking import Difference

Bools = NDArray[np.bool_]


def excel_length(text: str) -> int:
    """How many characters Excel counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(frozen=True)
class Placing:
    """A sheet that values are placed in, its tab, and its cells as they were before `fill:` filled them.

    `place_of` maps a row's number to its position in the sheet's table.
    """

    sheet: Sheet
    unfilled: Sheet
    mapping: m.Mapping
    options: ReadOptions
    tab: Tab
    place_of: Mapping[int, int]

    def outcomes(self, takes: Sequence[Difference]) -> Iterator[tuple[Difference, Value | str]]:
        """For each cell the value that it is to hold, or a word that says why it is left (`intosheet.WHY`).

        Raises PatchError, ExpatError and LookupError (an encoding that is not known) for XML that cannot be patched.
        """
        cells = patching.look(self.tab.xml, {(each.row - 1, each.column.position) for each in takes})
        spellers = {
            column.key: Speller(
                column,
                self.sheet.cells[column.position],
                column.position in self.sheet.numbers,
                self.tab.counts_from_1904,
            )
            for column in {each.column.key: each.column for each in takes}.values()
        }
        readers = Counter(column.position for column in self.mapping.columns)
        speaks_for_several = self._filled()
        emptied: Counter[int] = Counter()
        for each in takes:
            place = self.place_of[each.row]
            cell = cells[each.row - 1, each.column.position]
            why = ""
            if cell.kind not in tabscan.FREE:
                why = cell.kind
            elif readers[each.column.position] > 1:
                why = "shared"
            elif each.column.position in speaks_for_several and speaks_for_several[each.column.position][place]:
                why = "fill"
            elif each.target == "" and not self._can_be_emptied(each, place, emptied):
                why = "empty"
            if why:
                yield each, why
                continue
            value = spellers[each.column.key].value(each.target, self._held(each, place, cell))
            if value is not None and excel_length(value.text) > MOST_CHARACTERS:
                yield each, "long"
            elif value is None or not patching.is_storable(value.text):
                yield each, "unsayable"
            else:
                emptied[each.row] += each.target == ""
                yield each, value

    def _held(self, each: Difference, place: int, cell: Cell) -> Held:
        position = each.column.position
        at = (each.row - 1, position)
        numbers = self.sheet.numbers.get(position)
        is_date = cell.kind == "date" or (cell.kind == "number" and (numbers is None or not numbers[place]))
        is_date = is_date or (cell.kind in ("blank", "missing") and cell.style in self.tab.date_styles)
        return Held(
            cell,
            str(self.sheet.cells[position].iat[place]),
            is_date,
            at in self.tab.marks.percents,
            self.tab.marks.zeros.get(at, 0),
        )

    def _filled(self) -> dict[int, Bools]:
        """For the columns that `fill:` fills, which cells have the text of another one, or lend it theirs."""
        found = {}
        if self.unfilled is not self.sheet:
            for name in self.options.fill:
                for position in columns_named(self.sheet.headers, name):
                    before, after = (each.cells[position].str.strip() for each in (self.unfilled, self.sheet))
                    is_filled = ((before == "") & (after != "")).to_numpy(bool)
                    found[position] = is_filled | np.append(is_filled[1:], False)
        return found

    def _can_be_emptied(self, each: Difference, place: int, emptied: Mapping[int, int]) -> bool:
        """Whether the row stays the same product without the cell: one with a single filled cell is a section."""
        if each.column.blank == "error" or each.column.position in self._needed():
            return False
        if any(each.column.position in columns_named(self.sheet.headers, name) for name in self.options.fill):
            return False
        filled = int((self.sheet.cells.iloc[place].astype(str).str.strip() != "").sum())
        return filled - emptied.get(each.row, 0) > 2 or self.sheet.element_ids is not None

    def _needed(self) -> set[int]:
        return {place for name in self.options.needs or () for place in columns_named(self.sheet.headers, name)}
