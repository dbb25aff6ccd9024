"""Which cells take the catalog's value: every way in which sheet, catalog and the last run can differ."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from catalogsync.base import Base
from catalogsync.matching import Match
from catalogsync.model import Column, Field, Mapping
from catalogsync.taking import differences

CODE = Column("Code", Field(1, "Code", "text"))


def verdict(
    where: Column, sheet: str, crm: str, last: tuple[str, str] | str | None = None, *, has_text: bool = False
) -> Any:
    """What becomes of one cell, and what it should say; None where it does not differ.

    `last` is what the sheet said and the catalog held at the last run, one text for both.
    """
    mapping = Mapping("m", 4220, (CODE, where), ((CODE,),))
    desired = pd.DataFrame({"1": ["a"], where.key: [sheet], "row": [2]}, index=pd.Index(["a"], dtype="str")).astype(
        {"1": "str", where.key: "str"}
    )
    existing = desired.assign(id=[501], **{where.key: pd.Series([crm], index=desired.index, dtype="str")})
    empties = pd.DataFrame({"1": [False], where.key: [sheet == "" and not has_text]})
    base = None
    if last is not None:
        said, knew = (last, last) if isinstance(last, str) else last
        base = Base.of([501], ["a"], {where.key: [knew], "1": ["a"]}, {where.key: [said], "1": ["a"]})
    found = list(differences(Match.of(desired, existing), mapping, base, stand_for_empty=empties))
    assert len(found) <= 1
    return (found[0].verdict, found[0].target) if found else None


def column(type_: str = "text", **settings: Any) -> Column:
    return Column("Header", Field(7, "Field", type_), **settings)


PLAIN, CLEAR, BOX = column(), column(blank="clear"), column("checkbox")


@pytest.mark.parametrize(
    ("where", "sheet", "crm", "last", "expected"),
    [
        (PLAIN, "a", "a", None, None),
        (PLAIN, "a", "b", None, ("take", "b")),
        (PLAIN, "a", "b", "a", ("take", "b")),
        (PLAIN, "a", "", "a", ("take", "")),
        (PLAIN, "a", "b", "b", ("unsent", "b")),
        (PLAIN, "a", "b", "c", ("conflict", "b")),
        (column(conflict="crm"), "a", "b", "c", ("take", "b")),
        (column(conflict="sheet"), "a", "b", "c", ("conflict", "b")),
        (column(owner="sheet"), "a", "b", "a", ("owner", "b")),
        (column(owner="sheet"), "a", "b", None, ("owner", "b")),
        (column(owner="crm"), "a", "b", "b", ("take", "b")),
        (column(owner="crm"), "", "b", None, ("take", "b")),
        (PLAIN, "long text", "long", ("long text", "long"), ("agreed", "long")),
        (PLAIN, "long text", "other", ("long text", "long"), ("take", "other")),
        # An empty cell has no say, unless it was filled or `blank: clear` gives it one.
        (PLAIN, "", "b", None, ("take", "b")),
        (PLAIN, "", "b", ("", "b"), ("take", "b")),
        (PLAIN, "", "b", "b", ("unsent", "b")),
        (PLAIN, "", "c", "b", ("conflict", "c")),
        (CLEAR, "", "b", "b", ("unsent", "b")),
        (CLEAR, "", "b", "", ("take", "b")),
        (CLEAR, "", "b", None, ("take", "b")),
        # An empty box says no.
        (BOX, "", "0", None, None),
        (BOX, "", "0", "1", None),
        (BOX, "", "1", None, ("take", "1")),
        (BOX, "1", "0", "1", ("take", "0")),
        (BOX, "0", "1", "1", ("unsent", "1")),
        # Options that are merged or removed: only those that the sheet names count.
        (column("multiselect", multi="merge"), "1", "1,2", "1", None),
        (column("multiselect", multi="merge"), "1,3", "2", ("1,3", "1,2,3"), ("take", "")),
        (column("multiselect", multi="merge"), "1,3", "1,2", ("1,3", "1,2,3"), ("take", "1")),
        (column("multiselect", multi="merge"), "1,3", "1,2", ("1", "1,2"), ("unsent", "1")),
        (column("multiselect", multi="merge"), "", "1,2", None, None),
        (column("multiselect", multi="remove"), "1", "2", ("1", "2"), None),
        (column("multiselect", multi="remove"), "1,4", "1,2", ("1,4", "2"), ("take", "4")),
        (column("multiselect", multi="remove"), "1", "1,2", ("", "1,2"), ("unsent", "")),
    ],
)
def test_what_becomes_of_a_cell(
    where: Column, sheet: str, crm: str, last: tuple[str, str] | str | None, expected: Any
) -> None:
    assert verdict(where, sheet, crm, last) == expected


def test_a_label_that_was_passed_over_is_no_empty_cell() -> None:
    skip = column("select", unknown="skip")
    assert verdict(skip, "", "2", ("", "2"), has_text=True) == ("agreed", "2")
    assert verdict(skip, "", "3", ("", "2"), has_text=True) == ("take", "3")
    assert verdict(skip, "", "2", ("", "2")) == ("take", "2")


def test_an_emptied_name_is_filled_again_since_no_name_can_be_empty() -> None:
    assert verdict(Column("Name", None), "", "Oak", "Oak") == ("take", "Oak")
