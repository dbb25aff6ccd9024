"""Three ways: the whole truth table per policy, what the table cannot say, and properties of random tables."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest

from catalogsync import model
from catalogsync.base import Base, Written
from catalogsync.differ import diff
from catalogsync.matching import Match
from catalogsync.model import Add, Change, Clash, Column, Delete, Result, Update
from catalogsync.threeway import agreed, meet, written
from tests.builders import FIELDS, columns_mapping, desired, made_plan, table

CODE = Column("Code", FIELDS[0])
PRICE = Column("Price", FIELDS[1])
ACTIVE = Column("Active", FIELDS[3])
SIZES = Column("Sizes", FIELDS[5])
CITY = Column("City", FIELDS[8], "city")
ZIP = Column("Zip", FIELDS[8], "zip")
NAME = Column("Product", None)

Outcome = tuple[tuple[Change, ...], tuple[Clash, ...]]


def elements(columns: Sequence[str], rows: Mapping[int, Sequence[str]]) -> pd.DataFrame:
    """An existing table by element id; the first column is the key."""
    made = table(columns, {cells[0]: cells for cells in rows.values()}, id=list(rows), updated_at=[1000] * len(rows))
    if "name" not in made:
        made["name"] = "Oak"
    return made[made.index != ""]


def known(
    columns: Sequence[str], rows: Mapping[int, Sequence[str | None]], said: Mapping[int, Sequence[str | None]] = {}
) -> Base:
    """A base by element id; the first column is the key. `said` where the sheet did not say what the catalog held."""
    crm = {name: [cells[n] for cells in rows.values()] for n, name in enumerate(columns)}
    sheet = {name: [said.get(id_, cells)[n] for id_, cells in rows.items()] for n, name in enumerate(columns)}
    return Base.of(list(rows), [cells[0] for cells in rows.values()], crm, sheet)


def planned(
    wanted: pd.DataFrame, held: pd.DataFrame, mapping: model.Mapping, base: Base | None, keyless: Sequence[int] = ()
) -> Outcome:
    """Changes and clashes, as a plan has them. `keyless` are elements that exist and have no key."""
    ids = pd.Index([*held["id"], *keyless], dtype="int64")
    met = meet(wanted, held, mapping, base, seen=wanted.index, ids=ids)
    rest = met.existing[~met.existing.index.isin(wanted.index)]
    missing = rest.index[rest["id"].isin([] if base is None else base.ids[~base.keys.isin(wanted.index)])]
    made = diff(Match.of(met.desired, met.existing), mapping, missing, base)
    return made.changes, (*made.clashes, *met.clashes)


# --- the truth table -----------------------------------------------------------------------------------------
#
# What becomes of a cell, by what the base, the sheet and the catalog say of it. In the first two columns and the
# heading a letter is a value, `_` an empty cell, `-` no row or no element at all. In the table:
#
#   .       nothing                      a, b, clear   the catalog gets that
#   add     the product is added         delete        it is deleted (the mapping says `missing: delete`)
#   ask     a conflict, nothing is sent  kept          the CRM's edit stays
#   back:a  the CRM's edit is reverted   over:a        the CRM's edit loses the conflict
#   gone    a colleague deleted it, and it is not added again

TRUTH = {
    "owner both, conflict ask, blank keep": """
        base sheet |  -     a       b       c       _
        -    -     |  .     .       .       .       .
        -    a     |  add   .       a       a       a
        -    _     |  add   .       .       .       .
        _    -     |  .     delete  delete  delete  delete
        _    a     |  add   .       ask     ask     a
        _    _     |  gone  .       .       .       .
        a    -     |  .     delete  delete  delete  delete
        a    a     |  gone  .       kept    kept    kept
        a    b     |  add   b       .       ask     ask
        a    _     |  add   clear   ask     ask     .
    """,
    "owner both, conflict sheet, blank keep": """
        base sheet |  -     a       b           c           _
        -    -     |  .     .       .           .           .
        -    a     |  add   .       a           a           a
        -    _     |  add   .       .           .           .
        _    -     |  .     delete  delete      delete      delete
        _    a     |  add   .       over:a      over:a      a
        _    _     |  gone  .       .           .           .
        a    -     |  .     delete  delete      delete      delete
        a    a     |  gone  .       kept        kept        kept
        a    b     |  add   b       .           over:b      over:b
        a    _     |  add   clear   over:clear  over:clear  .
    """,
    "owner both, conflict crm, blank keep": """
        base sheet |  -     a       b       c       _
        -    -     |  .     .       .       .       .
        -    a     |  add   .       a       a       a
        -    _     |  add   .       .       .       .
        _    -     |  .     delete  delete  delete  delete
        _    a     |  add   .       kept    kept    a
        _    _     |  gone  .       .       .       .
        a    -     |  .     delete  delete  delete  delete
        a    a     |  gone  .       kept    kept    kept
        a    b     |  add   b       .       kept    kept
        a    _     |  add   clear   kept    kept    .
    """,
    "owner both, conflict ask, blank clear": """
        base sheet |  -     a       b       c       _
        -    -     |  .     .       .       .       .
        -    a     |  add   .       a       a       a
        -    _     |  add   clear   clear   clear   .
        _    -     |  .     delete  delete  delete  delete
        _    a     |  add   .       ask     ask     a
        _    _     |  gone  kept    kept    kept    .
        a    -     |  .     delete  delete  delete  delete
        a    a     |  gone  .       kept    kept    kept
        a    b     |  add   b       .       ask     ask
        a    _     |  add   clear   ask     ask     .
    """,
    "owner both, conflict sheet, blank clear": """
        base sheet |  -     a       b           c           _
        -    -     |  .     .       .           .           .
        -    a     |  add   .       a           a           a
        -    _     |  add   clear   clear       clear       .
        _    -     |  .     delete  delete      delete      delete
        _    a     |  add   .       over:a      over:a      a
        _    _     |  gone  kept    kept        kept        .
        a    -     |  .     delete  delete      delete      delete
        a    a     |  gone  .       kept        kept        kept
        a    b     |  add   b       .           over:b      over:b
        a    _     |  add   clear   over:clear  over:clear  .
    """,
    "owner both, conflict crm, blank clear": """
        base sheet |  -     a       b       c       _
        -    -     |  .     .       .       .       .
        -    a     |  add   .       a       a       a
        -    _     |  add   clear   clear   clear   .
        _    -     |  .     delete  delete  delete  delete
        _    a     |  add   .       kept    kept    a
        _    _     |  gone  kept    kept    kept    .
        a    -     |  .     delete  delete  delete  delete
        a    a     |  gone  .       kept    kept    kept
        a    b     |  add   b       .       kept    kept
        a    _     |  add   clear   kept    kept    .
    """,
    "owner sheet, any conflict, blank keep": """
        base sheet |  -     a       b           c           _
        -    -     |  .     .       .           .           .
        -    a     |  add   .       a           a           a
        -    _     |  add   .       .           .           .
        _    -     |  .     delete  delete      delete      delete
        _    a     |  add   .       back:a      back:a      a
        _    _     |  gone  .       .           .           .
        a    -     |  .     delete  delete      delete      delete
        a    a     |  gone  .       back:a      back:a      back:a
        a    b     |  add   b       .           back:b      back:b
        a    _     |  add   clear   back:clear  back:clear  .
    """,
    "owner sheet, any conflict, blank clear": """
        base sheet |  -     a           b           c           _
        -    -     |  .     .           .           .           .
        -    a     |  add   .           a           a           a
        -    _     |  add   clear       clear       clear       .
        _    -     |  .     delete      delete      delete      delete
        _    a     |  add   .           back:a      back:a      a
        _    _     |  gone  back:clear  back:clear  back:clear  .
        a    -     |  .     delete      delete      delete      delete
        a    a     |  gone  .           back:a      back:a      back:a
        a    b     |  add   b           .           back:b      back:b
        a    _     |  add   clear       back:clear  back:clear  .
    """,
    "owner crm, any conflict, blank any": """
        base sheet |  -     a       b       c       _
        -    -     |  .     .       .       .       .
        -    a     |  add   .       .       .       .
        -    _     |  add   .       .       .       .
        _    -     |  .     delete  delete  delete  delete
        _    a     |  gone  .       .       .       .
        _    _     |  gone  .       .       .       .
        a    -     |  .     delete  delete  delete  delete
        a    a     |  gone  .       .       .       .
        a    b     |  gone  .       .       .       .
        a    _     |  gone  .       .       .       .
    """,
}
"""Values are alike: base `b` with sheet `c` is base `a` with sheet `b`. So the rows name every case once."""

STATES = ["-", "a", "b", "c", "_"]
BLANKS = {"keep": ["keep"], "clear": ["clear"], "any": ["keep", "clear"]}


def policies() -> list[Any]:
    """Every owner × conflict × blank with its table; `blank: error` is `keep` without empty cells."""
    found = []
    for title, text in TRUTH.items():
        owner, conflict, blank = (part.split()[-1] for part in title.replace("any conflict", "conflict any").split(","))
        for each in ["ask", "sheet", "crm"] if conflict == "any" else [conflict]:
            rules = [*BLANKS[blank], *(["error"] if blank != "clear" else [])]
            found += [pytest.param(owner, each, rule, text, id=f"{owner}-{each}-{rule}") for rule in rules]
    return found


def outcomes(text: str) -> dict[tuple[str, str, str], str]:
    """A table as outcomes by base, sheet and catalog."""
    head, *rows = (line.replace("|", " ").split() for line in text.strip().splitlines())
    return {(row[0], row[1], crm): told for row in rows for crm, told in zip(head[2:], row[2:], strict=True)}


def renamed(cells: tuple[str, str, str]) -> dict[str, str]:
    """The values of a case as the table names them: in the order in which they appear."""
    values = dict.fromkeys(cell for cell in cells if cell in "abc")
    return dict(zip(values, "abc", strict=False))


def text_of(cell: str) -> str:
    return "" if cell == "_" else cell


def test_the_tables_name_every_case_once_and_there_is_one_for_every_policy() -> None:
    cases = set(itertools.product(STATES, STATES, STATES))
    for text in TRUTH.values():
        told = outcomes(text)
        assert {tuple(renamed(case).get(cell, cell) for cell in case) for case in cases} <= set(told)
    assert len({param.id for param in policies()}) == len(policies()) == 3 * 3 * 3


@pytest.mark.parametrize(("owner", "conflict", "blank", "text"), policies())
def test_every_case_ends_as_the_table_says(
    owner: model.Owner, conflict: model.Conflict, blank: model.Blank, text: str
) -> None:
    told = outcomes(text)
    cases = list(itertools.product(STATES, STATES, STATES))
    cases = [case for case in cases if blank != "error" or case[1] != "_"]
    price = dataclasses.replace(PRICE, owner=owner, conflict=conflict, blank=blank)
    mapping = columns_mapping(CODE, price, missing="delete")
    keys = {case: f"K{n:03}" for n, case in enumerate(cases)}
    ids = {case: 100 + n for n, case in enumerate(cases)}

    changes, clashes = planned(
        desired(["1", "2"], {keys[case]: [keys[case], text_of(case[1])] for case in cases if case[1] != "-"}),
        elements(["1", "2"], {ids[case]: [keys[case], text_of(case[2])] for case in cases if case[2] != "-"}),
        mapping,
        known(["1", "2"], {ids[case]: [keys[case], text_of(case[0])] for case in cases if case[0] != "-"}),
    )

    by_key = {change.key: change for change in changes}
    clash_of = {clash.key: clash for clash in clashes}
    assert len(by_key) == len(changes)
    assert len(clash_of) == len(clashes)
    seen = {case: seen_outcome(by_key.get(key), clash_of.get(key)) for case, key in keys.items()}
    wanted = {}
    for case in cases:
        names = renamed(case)
        back = {name: value for value, name in names.items()}
        base, sheet, crm = (names.get(cell, cell) for cell in case)
        kind, _, value = told[base, sheet, crm].rpartition(":")
        wanted[case] = f"{kind}:{back.get(value, value)}" if kind else back.get(value, value)
    assert {case: (seen[case], wanted[case]) for case in cases if seen[case] != wanted[case]} == {}


def seen_outcome(change: Change | None, clash: Clash | None) -> str:
    """A change and a clash of one product in the words of the table."""
    if isinstance(change, Add):
        return "add" if clash is None else "?"
    if isinstance(change, Delete):
        return "delete" if clash is None else "?"
    if clash is not None and clash.kind in ("conflict", "kept", "deleted"):
        return {"conflict": "ask", "kept": "kept", "deleted": "gone"}[clash.kind] if change is None else "?"
    text = "." if change is None else change.after["2"] or "clear"
    return text if clash is None else f"{ {'reverted': 'back', 'overridden': 'over'}[clash.kind] }:{text}"


# --- what the table cannot say -------------------------------------------------------------------------------


def one(column: Column, said: str | None, knew: str | None, wanted: str, held: str) -> tuple[str | None, str | None]:
    """What one cell of one product becomes, and the kind of clash; None for neither."""
    names = ["1", column.key]
    changes, clashes = planned(
        desired(names, {"A": ["A", wanted]}),
        elements(names, {7: ["A", held]}),
        columns_mapping(CODE, column),
        known(names, {7: ["A", knew]}, {7: ["A", said]}),
    )
    after = [change.after[column.key] for change in changes if isinstance(change, Update)]
    kinds = [clash.kind for clash in clashes]
    return (after[0] if after else None, kinds[0] if kinds else None)


@pytest.mark.parametrize(
    ("wanted", "held", "expected"),
    [
        ("long text", "long te", (None, None)),  # as the catalog cut it the last time
        ("other text", "long te", ("other text", None)),
        ("long text", "edited", (None, "kept")),
        ("other text", "edited", (None, "conflict")),
        ("long text", "long text", (None, None)),
    ],
)
def test_what_the_catalog_made_of_a_value_is_remembered(wanted: str, held: str, expected: object) -> None:
    assert one(PRICE, "long text", "long te", wanted, held) == expected


def test_a_clash_tells_all_sides() -> None:
    names = ["1", "2"]
    _, clashes = planned(
        desired(names, {"A": ["A", "80"]}),
        elements(names, {7: ["A", "90"]}),
        columns_mapping(CODE, PRICE),
        known(names, {7: ["A", "75"]}),
    )
    assert clashes == (Clash("conflict", "A", 2, 7, "2", "75", "80", "90"),)


def test_a_cell_that_the_base_does_not_know_is_compared_two_way() -> None:
    assert one(PRICE, None, None, "80", "75") == ("80", None)
    assert one(PRICE, None, None, "", "75") == (None, None)
    assert one(dataclasses.replace(PRICE, owner="sheet"), None, None, "80", "75") == ("80", None)


def test_a_cell_that_never_said_anything_leaves_the_field_to_the_crm() -> None:
    assert one(PRICE, "", "75", "", "90") == (None, None)
    assert one(PRICE, "", "75", "80", "75") == ("80", None)
    assert one(PRICE, "", "75", "80", "90") == (None, "conflict")


def test_an_emptied_name_is_left_alone() -> None:
    assert one(NAME, "Oak", "Oak", "", "Oak") == (None, None)


def test_an_emptied_checkbox_says_no() -> None:
    assert one(ACTIVE, "1", "1", "", "1") == ("0", None)
    assert one(ACTIVE, "1", "1", "", "0") == (None, None)
    assert one(ACTIVE, "0", "0", "", "0") == (None, None)


def test_a_label_that_is_passed_over_is_no_emptied_cell() -> None:
    assert one(dataclasses.replace(PRICE, unknown="skip"), "80", "80", "", "80") == (None, None)


@pytest.mark.parametrize(
    ("multi", "said", "knew", "wanted", "held", "expected"),
    [
        ("merge", "61", "61,63", "61", "61", (None, None)),  # the CRM dropped what the sheet never asked for
        ("merge", "61", "61", "61", "63", (None, "kept")),  # the CRM took the sheet's option away
        ("merge", "61", "61", "61,62", "61", ("61,62", None)),
        ("merge", "61", "61", "61,62", "61,63", ("61,62,63", None)),  # both added: nothing is lost
        ("merge", "61", "61", "61,62", "63", (None, "conflict")),
        ("merge", "61", "61", "", "61", (None, None)),
        ("remove", "61", "62", "61", "62,63", (None, None)),
        ("remove", "61", "62", "61", "61,62", (None, "kept")),  # the CRM put back what the sheet removed
        ("remove", "61", "62,63", "61,62", "62,63", ("63", None)),
        ("remove", "61", "62", "61,62", "61,62", (None, "conflict")),
        ("replace", "61", "61", "61", "61,62", (None, "kept")),
        ("replace", "61", "61", "", "61", ("", None)),
    ],
)
def test_options_of_several(
    multi: model.Multi, said: str, knew: str, wanted: str, held: str, expected: tuple[str | None, str | None]
) -> None:
    assert one(dataclasses.replace(SIZES, multi=multi), said, knew, wanted, held) == expected


def test_another_setting_of_a_column_counts_as_a_change_of_the_sheet() -> None:
    clear = dataclasses.replace(PRICE, blank="clear")
    assert one(clear, "", "75", "", "75") == ("", None)
    assert one(clear, "", "75", "", "90") == (None, "conflict")
    assert one(SIZES, "61", "61,62", "61", "61,62") == ("61", None)  # was `multi: merge`
    assert one(dataclasses.replace(SIZES, multi="remove"), "61", "61", "61", "61") == ("", None)  # was `replace`


def test_cells_of_a_row_are_decided_apart_and_the_other_subtypes_are_kept() -> None:
    names = ["1", "2", "9.city", "9.zip", "9.state"]
    changes, clashes = planned(
        desired(names[:4], {"A": ["A", "80", "Tartu", "50050"]}),
        elements(names, {7: ["A", "90", "Riga", "1002", "LV"]}),
        columns_mapping(CODE, PRICE, CITY, ZIP),
        known(names[:4], {7: ["A", "75", "Riga", "50050"]}),
    )
    kept = {"9.zip": "1002", "9.state": "LV"}
    assert changes == (Update(1, "A", 2, 7, 1000, {"9.city": "Riga"}, {"9.city": "Tartu"}, kept),)
    assert [(clash.kind, clash.column) for clash in clashes] == [("conflict", "2"), ("kept", "9.zip")]


# --- rows whose key no element holds -------------------------------------------------------------------------


def test_an_element_that_got_another_key_in_the_crm_is_still_its_rows() -> None:
    names = ["1", "2"]
    wanted, held = desired(names, {"A": ["A", "80"]}), elements(names, {7: ["Z", "75"]})
    base = known(names, {7: ["A", "75"]})

    changes, clashes = planned(wanted, held, columns_mapping(CODE, PRICE, missing="delete"), base)
    assert changes == (Update(1, "A", 2, 7, 1000, {"2": "75"}, {"2": "80"}),)
    assert clashes == (Clash("kept", "A", 2, 7, "1", "A", "A", "Z"),)

    owned = columns_mapping(dataclasses.replace(CODE, owner="sheet"), missing="delete")
    changes, clashes = planned(wanted, held, owned, base)
    assert changes == (Update(1, "A", 2, 7, 1000, {"1": "Z"}, {"1": "A"}),)
    assert [clash.kind for clash in clashes] == ["reverted"]


def test_an_element_whose_new_key_another_row_wants_is_that_rows() -> None:
    names = ["1", "2"]
    wanted = desired(names, {"A": ["A", "80"], "Z": ["Z", "75"]})
    changes, clashes = planned(
        wanted, elements(names, {7: ["Z", "75"]}), columns_mapping(CODE, PRICE), known(names, {7: ["A", "75"]})
    )
    assert changes == (Add(1, "A", 2, {"1": "A", "2": "80"}),)
    assert clashes == ()


def test_an_element_that_lost_its_key_is_neither_touched_nor_added_again() -> None:
    names = ["1", "2"]
    wanted, held = desired(names, {"A": ["A", "80"]}), elements(names, {})
    base, mapping = known(names, {7: ["A", "75"]}), columns_mapping(CODE, PRICE)
    assert planned(wanted, held, mapping, base, keyless=[7]) == ((), ())
    ids = pd.Index([7], dtype="int64")
    assert meet(wanted, held, mapping, base, seen=wanted.index, ids=ids).unclear == {"A": 7}
    assert agreed(Match.of(wanted.iloc[:0], held), mapping, base, seen=wanted.index, ids=ids).equals(base)


def test_cells_that_the_base_does_not_know_do_not_bring_a_deleted_element_back() -> None:
    names = ["1", "2"]
    base, mapping = known(names, {7: ["A", None]}), columns_mapping(CODE, PRICE)
    changes, clashes = planned(desired(names, {"A": ["A", "80"]}), elements(names, {}), mapping, base)
    assert (changes, clashes) == ((), (Clash("deleted", "A", 2, 7),))


# --- the base after a run ------------------------------------------------------------------------------------


def test_what_both_sides_say_is_agreed_and_the_rest_is_as_it_was() -> None:
    names = ["1", "2"]
    base = known(names, {1: ["A", "1"], 2: ["B", "2"], 5: ["E", "5"], 6: ["F", "6"], 7: ["G", "7"]})
    rows = {"A": ["A", "10"], "B": ["B", "20"], "C": ["C", "30"], "D": ["D", ""], "E": ["E", "5"], "N": ["N", "1"]}
    wanted = desired(names, rows)
    held = elements(names, {1: ["A", "10"], 2: ["B", "21"], 3: ["C", "31"], 4: ["D", "41"], 7: ["G", "7"]})

    made = agreed(
        Match.of(wanted, held), columns_mapping(CODE, PRICE), base, seen=wanted.index, ids=pd.Index(held["id"])
    )

    table_ = [[id_, *cells] for id_, *cells in zip(made.ids, made.keys, made.sheet["2"], made.crm["2"], strict=True)]
    assert [[None if pd.isna(cell) else cell for cell in row] for row in table_] == [
        [1, "A", "10", "10"],  # both changed to the same
        [2, "B", "2", "2"],  # disagree: as it was
        [3, "C", None, None],  # disagree, never agreed
        [4, "D", "", "41"],  # the sheet has no say
        [5, "E", "5", "5"],  # gone, its row is not: a colleague deleted it
        [7, "G", "7", "7"],  # has no row any more; 6 has neither
    ]


def test_an_element_whose_key_is_another_ones_now_is_no_longer_the_sheets() -> None:
    names = ["1", "2"]
    wanted, held = desired(names, {"A": ["A", "1"]}), elements(names, {8: ["A", "1"], 7: ["Z", "1"]})
    base, mapping = known(names, {7: ["A", "1"]}), columns_mapping(CODE, PRICE, missing="delete")
    assert planned(wanted, held, mapping, base) == ((), ())
    made = agreed(Match.of(wanted, held), mapping, base, seen=wanted.index, ids=pd.Index(held["id"]))
    assert made.ids.tolist() == [8]


def test_an_emptied_cell_stays_filled_in_the_base_until_the_field_is_empty() -> None:
    names = ["1", "2"]
    wanted, held = desired(names, {"A": ["A", ""]}), elements(names, {7: ["A", "90"]})
    base = known(names, {7: ["A", "75"]})
    made = agreed(
        Match.of(wanted, held), columns_mapping(CODE, PRICE), base, seen=wanted.index, ids=pd.Index(held["id"])
    )
    assert made.equals(base)


def test_the_base_keeps_what_the_row_said_and_what_the_catalog_stored() -> None:
    names = ["1", "2", "6"]
    wanted = desired(names, {"A": ["A", "long text", "61"], "N": ["N", "", "61"]})
    update = Update(1, "A", 2, 7, 1000, {"2": "", "6": "62"}, {"2": "long text", "6": "61,62"})
    plan = made_plan(update, Add(2, "N", 3, {"1": "N"}), Delete(3, "G", 9, "Oak", 1000), Delete(4, "H", 10, "Ash", 1))
    results = [Result(1, "done", 7), Result(2, "done", 20), Result(3, "done", 9), Result(4, "failed", 10)]

    found = list(written(plan, results, wanted, names, {7: {"2": "long te"}}))

    assert found == [
        Written(7, "A", {"2": "long text", "6": "61"}, {"2": "long te", "6": "61,62"}),
        Written(20, "N", {"1": "N", "2": "", "6": "61"}, {"1": "N", "2": "", "6": ""}),
        Written(9, "G", {}, {}, is_gone=True),
    ]
    assert list(written(plan, results[:1], None, names, {})) == [
        Written(7, "A", {"2": "long text", "6": "61,62"}, {"2": "long text", "6": "61,62"})
    ]
