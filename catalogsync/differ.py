"""Differ: what must change in the catalog to make it say what the sheet says. Pure.

Both tables hold canonical text (tables.py), so equality is plain ``!=``. Columns are compared whole;
objects are built for changed rows only. What the base says about a cell is decided in threeway.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import pandas as pd

from catalogsync import model, threeway
from catalogsync.base import Base
from catalogsync.columnwise import is_in
from catalogsync.matching import Match
from catalogsync.model import FACTS, NAME, Add, Change, Clash, Column, Delete, Update


@dataclass(frozen=True, slots=True)
class Diff:
    """What must change, and what somebody changed in the CRM since the last run."""

    changes: tuple[Change, ...]
    clashes: tuple[Clash, ...] = ()


def diff(match: Match, mapping: model.Mapping, missing: pd.Index, base: Base | None = None) -> Diff:
    """The changes that turn the existing table into the desired one: updates, then adds, then deletes, each in order.

    The tables as in tables.py and elements.py; `missing` are keys of existing elements whose row is gone, to be
    treated as the mapping says. A column whose owner is the CRM is not compared. An empty desired cell means
    "leave it" unless the column says ``blank: clear``, or the cell was filled when `base` was kept.
    Rows of elements that the base knows by another key are expected to have gone through `threeway.meet`.
    """
    columns = threeway.compared(mapping)
    gone = match.existing[is_in(match.existing.index, missing)]
    ops = count(1)
    updates, clashes = _updates(match, columns, base, ops)
    changes: list[Change] = [
        *updates,
        *_adds(match.desired[match.is_new], columns, ops),
        *(_deletes(gone, ops) if mapping.missing == "delete" else _set_values(gone, mapping, ops)),
    ]
    return Diff(tuple(changes), tuple(clashes))


def _updates(
    match: Match, columns: Sequence[Column], base: Base | None, ops: Iterator[int]
) -> tuple[Iterator[Update], list[Clash]]:
    ids, keys, row_numbers = match.ids, match.desired.index, match.desired["row"].to_numpy()
    after: dict[int, dict[str, str]] = {}
    clashes: list[tuple[int, Clash]] = []
    for column in columns:
        at = threeway.candidates(match, column)
        wanted, held = match.wanted(column.key, at), match.held(column.key, at)
        known = None if base is None else base.cells(column.key, ids[at])
        for decided in threeway.decisions(column, wanted, held, known):
            n, place = decided.place, int(at[decided.place])
            if decided.text is not None:
                after.setdefault(place, {})[column.key] = decided.text
            if decided.clash:
                row = match.rows[place]
                facts = (str(keys[row]), int(row_numbers[row]), int(ids[place]))
                told = Clash(decided.clash, *facts, column.key, decided.base, wanted[n], held[n])
                if decided.clash == "conflict" and (column.multi != "replace" or decided.target != wanted[n]):
                    told = dataclasses.replace(told, target=decided.target)
                clashes.append((place, told))
    changed = sorted(after)
    rows = match.rows[changed]
    clashes.sort(key=lambda entry: entry[0])
    updates = _built(
        ops,
        match.existing.iloc[match.elements[changed]],
        [after[place] for place in changed],
        keys=keys[rows].tolist(),
        rows=row_numbers[rows].tolist(),
    )
    return updates, [clash for _, clash in clashes]


def _built(
    ops: Iterator[int],
    held: pd.DataFrame,
    afters: Sequence[Mapping[str, str]],
    *,
    keys: Sequence[str],
    rows: Sequence[int],
) -> Iterator[Update]:
    """An update per element of `held`, out of what each should hold after it. `ops` numbers all changes."""
    needed = _siblings(held.columns, {name for after in afters for name in after})
    texts = {name: held[name].tolist() for name in needed}
    siblings = {names: _siblings(needed, names) for names in {tuple(after) for after in afters}}
    facts = zip(afters, keys, rows, held["id"].tolist(), held["updated_at"].tolist(), strict=True)
    for place, (after, key, row, id_, updated_at) in enumerate(facts):
        now = {name: texts[name][place] for name in siblings[tuple(after)]}
        yield Update(
            op=next(ops),
            key=key,
            row=row,
            id=id_,
            updated_at=updated_at,
            before={name: now[name] for name in after},
            after=dict(after),
            kept={name: text for name, text in now.items() if name not in after and text},
        )


def _siblings(columns: Iterable[str], keys: Iterable[str]) -> list[str]:
    """The given column keys and, for subtypes, all column keys of the same composite fields."""
    wanted = set(keys)
    fields = {key.partition(".")[0] for key in wanted if "." in key}
    return [name for name in columns if name in wanted or ("." in name and name.partition(".")[0] in fields)]


def _adds(rows: pd.DataFrame, columns: Sequence[Column], ops: Iterator[int]) -> Iterator[Add]:
    texts = {column.key: rows[column.key].tolist() for column in columns if column.multi != "remove"}
    for place, (key, row) in enumerate(zip(rows.index, rows["row"], strict=True)):
        values = {name: column[place] for name, column in texts.items() if column[place]}
        yield Add(op=next(ops), key=str(key), row=int(row), values=values)


def _deletes(gone: pd.DataFrame, ops: Iterator[int]) -> Iterator[Delete]:
    texts = {str(name): gone[name].tolist() for name in gone.columns if name not in FACTS}
    for place, (key, id_, updated_at) in enumerate(zip(gone.index, gone["id"], gone["updated_at"], strict=True)):
        before = {name: column[place] for name, column in texts.items()}
        yield Delete(next(ops), str(key), int(id_), before.get(NAME, ""), int(updated_at), before)


def _set_values(gone: pd.DataFrame, mapping: model.Mapping, ops: Iterator[int]) -> Iterator[Update]:
    """`missing: {set: …}`: the listed values, where they differ. With `missing: keep` nothing is listed."""
    held = {name: gone[name].tolist() for name in mapping.missing_set}
    afters = [
        {name: text for name, text in mapping.missing_set.items() if held[name][place] != text}
        for place in range(len(gone))
    ]
    changed = [place for place, after in enumerate(afters) if after]
    keys = gone.index[changed].tolist()
    yield from _built(ops, gone.iloc[changed], [afters[place] for place in changed], keys=keys, rows=[0] * len(changed))
