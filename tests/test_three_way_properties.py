"""Three ways over random sheets, catalogs and bases: what holds for all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from catalogsync import model
from catalogsync.base import Base
from catalogsync.differ import diff
from catalogsync.matching import Match
from catalogsync.model import Add, Change, Clash, Delete, Result, Update
from catalogsync.threeway import agreed, meet, written
from tests.builders import columns_mapping, desired, made_plan
from tests.test_differ import CITY, CODE, COLUMNS, NAME, PRICE, SIZES, ZIP
from tests.test_three_way import elements, known

Rows = dict[int, list[str]]

_CELL = st.sampled_from(["", "x", "y"])
_IDS = st.sets(st.sampled_from([61, 62])).map(lambda ids: ",".join(map(str, sorted(ids))))
_CELLS = st.tuples(_CELL, _CELL, _IDS, _CELL, _CELL)
_CODES = st.permutations("ABCDEF") | st.just(list("ABCDEF"))


@st.composite
def _by_id(draw: st.DrawFn, *, lost_keys: bool = False) -> Rows:
    """Elements by id, each with a code of its own; some may have lost theirs."""
    cells = draw(st.dictionaries(st.integers(0, 5), _CELLS))
    codes = draw(_CODES)
    lost = draw(st.sets(st.integers(0, 5), max_size=1)) if lost_keys else set()
    return {101 + n: ["" if n in lost else codes[n], *row] for n, row in cells.items()}


_SHEET = st.dictionaries(st.sampled_from("ABCDEF"), _CELLS).map(lambda rows: {k: [k, *row] for k, row in rows.items()})


@st.composite
def _bases(draw: st.DrawFn) -> Base:
    """A base whose sides mostly agree, and that does not know every cell."""
    crm = draw(_by_id())
    other = draw(_by_id())
    said = {id_: other[id_] if id_ in other and draw(st.booleans()) else row for id_, row in crm.items()}
    unknown = draw(st.sets(st.tuples(st.sampled_from([*crm, 0]), st.integers(0, len(COLUMNS) - 1)), max_size=3))

    def side(rows: Rows) -> dict[int, list[str | None]]:
        return {i: [None if (i, n) in unknown else cell for n, cell in enumerate(row)] for i, row in rows.items()}

    made = known(COLUMNS, side(crm), side(said))
    return dataclasses.replace(made, keys=pd.Series([row[0] for row in crm.values()], made.ids, dtype="str"))


@st.composite
def _mappings(draw: st.DrawFn, /, **fixed: Any) -> model.Mapping:
    def settings(column: model.Column) -> model.Column:
        chosen = {
            "owner": draw(st.sampled_from(["both", "both", "sheet", "crm"])),
            "conflict": draw(st.sampled_from(["ask", "sheet", "crm"])),
            "blank": draw(st.sampled_from(["keep", "keep", "clear"])) if column.field else "keep",
        }
        return dataclasses.replace(column, **{**chosen, **fixed})

    sizes = dataclasses.replace(settings(SIZES), multi=draw(st.sampled_from(["replace", "merge", "remove"])))
    code = dataclasses.replace(CODE, owner=draw(st.sampled_from(["both", "sheet"])))
    missing = draw(st.sampled_from(["keep", "delete", "set"]))
    columns = (code, settings(NAME), settings(PRICE), sizes, settings(CITY), settings(ZIP))
    return columns_mapping(*columns, missing=missing, missing_set={"2": "gone"} if missing == "set" else {})


@dataclasses.dataclass
class Run:
    """One plan: what goes in, and what comes out."""

    sheet: Mapping[str, Sequence[str]]
    held: Rows
    mapping: model.Mapping
    base: Base | None
    changes: tuple[Change, ...] = ()
    clashes: tuple[Clash, ...] = ()
    agreed: Base = dataclasses.field(default_factory=Base.empty)

    def __post_init__(self) -> None:
        wanted, held = desired(COLUMNS, self.sheet), elements(COLUMNS, self.held)
        self.plan(wanted, held)

    def plan(self, wanted: pd.DataFrame, held: pd.DataFrame) -> None:
        seen, ids = wanted.index, pd.Index(list(self.held), dtype="int64")
        met = meet(wanted, held, self.mapping, self.base, seen=seen, ids=ids)
        rest = met.existing[~met.existing.index.isin(seen)]
        base = self.base or Base.empty()
        missing = rest.index[rest["id"].isin(base.ids[~base.keys.isin(seen)])]
        match = Match.of(met.desired, met.existing)
        made = diff(match, self.mapping, missing, self.base)
        self.changes, self.clashes = made.changes, (*made.clashes, *met.clashes)
        self.agreed = agreed(match, self.mapping, self.base, seen=seen, ids=ids)

    def after(self) -> Rows:
        """The catalog when the changes are applied. A composite field that is sent loses what is left out."""
        made = {id_: dict(zip(COLUMNS, row, strict=True)) for id_, row in self.held.items()}
        for change in self.changes:
            match change:
                case Add():
                    made[900 + change.op] = {**dict.fromkeys(COLUMNS, ""), **change.values}
                case Delete():
                    del made[change.id]
                case Update():
                    sent = {**change.kept, **change.after}
                    erased = {key: "" for key in COLUMNS if "." in key and any("." in name for name in sent)}
                    made[change.id] |= {**erased, **sent}
        return {id_: list(row.values()) for id_, row in made.items()}

    def next_base(self) -> Base:
        """The base when the changes are applied."""
        ids = ((change.op, 900 + change.op if isinstance(change, Add) else change.id) for change in self.changes)
        results = [Result(op, "done", id_) for op, id_ in ids]
        columns = self.agreed.crm.columns
        found = written(made_plan(*self.changes), results, desired(COLUMNS, self.sheet), columns, {})
        return self.agreed.patched(found)


@given(_SHEET, _by_id(lost_keys=True), _mappings(), _bases() | st.none())
def test_after_a_run_nothing_is_left_but_what_was_left_on_purpose(
    sheet: dict[str, list[str]], held: Rows, mapping: model.Mapping, base: Base | None
) -> None:
    first = Run(sheet, held, mapping, base)
    second = Run(sheet, first.after(), mapping, first.next_base())
    assert second.changes == ()
    left = {clash for clash in first.clashes if clash.kind in ("conflict", "kept", "deleted")}
    assert set(second.clashes) == left
    assert Run(sheet, first.after(), mapping, second.next_base()).clashes == second.clashes


@given(_SHEET, _by_id(), _mappings(owner="both"), _bases())
def test_what_only_the_crm_changed_is_never_sent_and_never_deleted_by_its_row(
    sheet: dict[str, list[str]], held: Rows, mapping: model.Mapping, base: Base
) -> None:
    run = Run(sheet, held, mapping, base)
    columns = {column.key: column for column in mapping.columns}
    for change in run.changes:
        if isinstance(change, Update) and change.row and change.id in base.ids:
            for key in change.after:
                said, knew = (str(side.at[change.id, key]) for side in (base.sheet, base.crm))
                says = sheet[change.key][COLUMNS.index(key)]
                holds = held[change.id][COLUMNS.index(key)]
                was_agreed = said == knew and columns[key].multi != "remove"
                assert not (was_agreed and says == said and holds != knew and columns[key].owner == "both")
        if isinstance(change, Delete):
            assert change.id in base.ids
            assert base.keys[change.id] not in sheet


@given(_SHEET, _by_id(), _mappings(owner="both"))
def test_a_second_night_with_the_same_sheet_sends_nothing_whatever_the_crm_did(
    sheet: dict[str, list[str]], held: Rows, mapping: model.Mapping
) -> None:
    first = Run(sheet, held, mapping, None)
    after = first.after()
    edited = {id_: [row[0], *("edited" if n != 2 else "62" for n in range(len(row) - 1))] for id_, row in after.items()}
    second = Run(sheet, edited, mapping, first.next_base())
    assert [change for change in second.changes if isinstance(change, Update) and change.row] == []
    deleted = Run(sheet, {}, mapping, first.next_base())
    assert deleted.changes == ()
    assert {clash.key for clash in deleted.clashes} == set(sheet)


@given(_SHEET, _by_id(), _mappings())
def test_a_base_that_equals_the_catalog_makes_no_difference(
    sheet: dict[str, list[str]], held: Rows, mapping: model.Mapping
) -> None:
    """But for emptied cells: here the sheet's empty cells were empty before."""
    said = {id_: [c and h for c, h in zip(sheet.get(row[0], row), row, strict=True)] for id_, row in held.items()}
    base = known(COLUMNS, held, said)
    base = dataclasses.replace(base, keys=pd.Series([row[0] for row in held.values()], base.ids, dtype="str"))
    run = Run(sheet, held, mapping, base)
    wanted, existing = desired(COLUMNS, sheet), elements(COLUMNS, held)
    missing = existing.index[~existing.index.isin(wanted.index)]
    assert (run.changes, run.clashes) == (diff(Match.of(wanted, existing), mapping, missing).changes, ())


@given(_SHEET, _by_id(lost_keys=True), _mappings(), _bases(), st.randoms(use_true_random=False))
def test_the_order_of_rows_makes_no_difference(
    sheet: dict[str, list[str]], held: Rows, mapping: model.Mapping, base: Base, random: Any
) -> None:
    def shuffled(count: int) -> list[int]:
        places = list(range(count))
        random.shuffle(places)
        return places

    left = Run(sheet, held, mapping, base)
    right = Run(sheet, held, mapping, base)
    order = shuffled(len(base.ids))
    right.base = Base(base.keys.iloc[order], base.crm.iloc[order], base.sheet.iloc[order])
    wanted, existing = desired(COLUMNS, sheet), elements(COLUMNS, held)
    right.plan(wanted.iloc[shuffled(len(wanted))], existing.iloc[shuffled(len(existing))])

    assert _by_key(left.changes) == _by_key(right.changes)
    assert set(left.clashes) == set(right.clashes)
    same = [Base(b.keys.sort_index(), b.crm.sort_index(), b.sheet.sort_index()) for b in (left.agreed, right.agreed)]
    assert same[0].equals(same[1])


def _by_key(changes: Sequence[Change]) -> dict[str, Change]:
    return {change.key: dataclasses.replace(change, op=0) for change in changes}
