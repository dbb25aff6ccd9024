"""What the values of a workbook do not tell: error cells, formulas without a value, telling number formats.

python-calamine returns an error cell as an empty one and a number without its format. These readers look at the
file itself for just those cells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int]  # 0-based row and column
PERCENT = -1
BUILT_IN_PERCENTS = frozenset({9, 10})  # numbers of formats that need no code

_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')


@dataclass(slots=True)
class Marks:
    """Cells by 0-based row and column that need more than their value."""

    errors: dict[Place, str] = field(default_factory=dict)
    without_value: set[Place] = field(default_factory=set)
    zeros: dict[Place, int] = field(default_factory=dict)  # shown with at least so many digits
    percents: set[Place] = field(default_factory=set)
    hidden: list[range] = field(default_factory=list)  # 0-based rows
    merged: list[tuple[Place, Place]] = field(default_factory=list)  # first and last cell, of ODS only

    def hidden_among(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which of the given 1-based rows are hidden."""
        if not self.hidden or not len(rows):
            return rows[:0]
        last = int(rows[-1])
        hidden = np.concatenate([np.arange(each.start, min(each.stop, last)) + 1 for each in self.hidden])
        return rows[np.isin(rows, hidden)]

    def set_format(self, place: Place, telling: int) -> None:
        """Note what `telling_format` said of the format of a cell."""
        if telling == PERCENT:
            self.percents.add(place)
        elif telling:
            self.zeros[place] = telling


def telling_format(code: str) -> int:
    """PERCENT, or the number of digits a number is filled up to with zeros, or 0 for any other format."""
    section = _LITERAL.sub("", code).split(";")[0]
    if "%" in section:
        return PERCENT
    zeros = section.count("0") if re.fullmatch(r"[0\s\-()/]+", section) else 0
    return zeros if zeros > 1 else 0
