"""Many problems of one kind in one column as one: how many, an example, and where the first ones are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catalogsync.errors import Problem

MOST_ALONE = 5
"""More problems of one kind in one column than this are told as one."""

_SHOWN_PLACES = 5
_CELL = re.compile(r"(?P<file>.*[!:])(?P<place>(?:row |[A-Z]{1,3})?[0-9]+)(?P<header> \(.*\))?", re.S)
"""An address of a cell or row of a sheet (``Sheet.address``)."""


@dataclass(frozen=True, slots=True)
class Told:
    """One line about one problem, or about many of a kind: where, what, and the way out."""

    where: str
    what: str
    hint: str
    count: int = 1

    def __str__(self) -> str:
        return str(Problem(self.where, self.what, self.hint))


def grouped(problems: Iterable[Problem], *, most_alone: int = MOST_ALONE) -> list[Told]:
    """A line per problem; one for all that are alike, where there are more than `most_alone` of them."""
    alike: dict[tuple[str, ...], list[Problem]] = {}
    for place, problem in enumerate(problems):
        alike.setdefault(_kind(problem) or (str(place),), []).append(problem)
    return [
        line
        for same in alike.values()
        for line in ([_together(same)] if len(same) > most_alone else [Told(p.where, p.what, p.hint) for p in same])
    ]


def _kind(problem: Problem) -> tuple[str, ...] | None:
    """What problems of one kind have in common: file, column, and the words without what they quote."""
    cell = _CELL.fullmatch(problem.where)
    if cell is None:
        return None
    words = re.sub('".*"', '"…"', problem.what, flags=re.S)
    letters = re.match("(?:row )?[A-Z]*", cell["place"])
    return cell["file"], letters[0] if letters else "", cell["header"] or "", re.sub("[0-9]+", "0", words)


def _together(same: Sequence[Problem]) -> Told:
    cells = [cell for problem in same if (cell := _CELL.fullmatch(problem.where))]
    first = same[0]
    is_row = cells[0]["place"].startswith("row ") or not cells[0]["header"]
    places = ", ".join(cell["place"].removeprefix("row ") for cell in cells[:_SHOWN_PLACES])
    example = first.what if all(problem.what == first.what for problem in same) else f"such as {first.what}"
    if cells[0]["place"].isdigit():
        places = f"lines {places}"
    file = cells[0]["file"].removesuffix(":").removesuffix("!")
    return Told(
        f"{file}{cells[0]['header'] or ''}",
        f"{len(same)} {'rows' if is_row else 'cells'} ({places} …): {example}",
        first.hint,
        len(same),
    )
