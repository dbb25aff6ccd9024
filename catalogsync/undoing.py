"""Taking a run back: the plan that undoes it, what it leaves alone, and what cannot come back.

update   each field goes back to what it held before, where it still holds what the run wrote
delete   the element is added again from what was read just before; its id and its links to deals are new
add      the element is deleted, unless somebody edited it since or it hangs on deals by now

What somebody changed since is never touched; it is listed. An undo is an ordinary plan and can itself be taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from catalogsync import fields
from catalogsync.api.client import Client
from catalogsync.celltext import quoted
from catalogsync.elements import all_columns
from catalogsync.errors import Problem
from catalogsync.forecasting import forecast_of
from catalogsync.journal import Operation, OptionsOperation, Run
from catalogsync.keys import key_text
from catalogsync.model import FACTS, NAME, Add, Change, Column, Delete, Schema, Update
from catalogsync.moments import is_on_a_calendar
from catalogsync.plan import Plan, Shown, counts_of
from catalogsync.readback import kind_of_difference, written_by
from catalogsync.settling import holders_of
from catalogsync.wording import in_words, shown_as, title_of

SCALARS = frozenset({"org_legal_name", "tracking_data"})
"""Types without a codec of their own whose values are one text all the same."""

NEW_IDS = "deleted elements come back under new ids; their links to deals are gone"
LINKS_UNSEEN = "this API does not show whether an element hangs on deals: the links of what is deleted are lost"


@dataclass(frozen=True)
class TakenBack:
    """The plan that undoes a run; `left_alone` is what somebody changed since, `lost` what cannot come back.

    Both are warnings of the plan too. `taken_back_by` are the runs that took this one back before.
    """

    plan: Plan
    left_alone: tuple[Problem, ...]
    lost: tuple[Problem, ...]
    taken_back_by: tuple[int, ...] = ()


@dataclass(frozen=True)
class Earlier:
    """Earlier undos of the same run, and the elements that they brought back."""

    run_ids: tuple[int, ...] = ()
    element_ids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class _Now:
    """The catalog as it is, and what was found while it was compared with what the run did.

    `held` has a row per element that matters, by id; after adds or deletes a row for every element of the catalog.
    """

    schema: Schema
    columns: tuple[Column, ...]
    held: pd.DataFrame
    shown: Mapping[str, Shown]
    left_alone: list[Problem] = field(default_factory=list)
    lost: list[Problem] = field(default_factory=list)

    def words(self, key: str, text: str) -> str:
        """A value in quotes, or that there is none."""
        told = in_words(self.shown, key, text)
        return f"“{told}”" if told else "nothing"

    def title(self, key: str) -> str:
        return title_of(self.shown, key)

    def text(self, id_: int, key: str) -> str:
        return str(self.held.at[id_, key])


def taken_back(
    run: Run,
    operations: Sequence[Operation],
    schema: Schema,
    client: Client,
    *,
    element_count: int,
    earlier: Earlier | None = None,
    added_options: Sequence[OptionsOperation] = (),
) -> TakenBack:
    """The plan that undoes a run. `element_count` is how many elements the catalog had when it was last read.

    `added_options` are the run's new options: they stay, which is told.
    """
    earlier = earlier or Earlier()
    done = [operation for operation in operations if operation.outcome == "done"]
    made_at = client.server_now_at()  # before the reading: what is edited after it counts as at risk (writer)
    now = _look(run, done, schema, client, element_count)
    _tell_unknown(operations, now)
    changes: list[Change] = [
        *_restored(done, now),
        *_added_again(run, done, now, earlier.element_ids),
        *_removed(done, now),
    ]
    numbered = tuple(replace(change, op=op) for op, change in enumerate(changes, start=1))
    counts = counts_of(numbered)
    notes = [NEW_IDS] if counts["add"] else []
    if counts["delete"] and not client.capabilities.shows_links:
        notes.append(LINKS_UNSEEN)
    notes += _staying(added_options, now)
    is_whole = _reads_all(done)
    plan = replace(
        run.plan,
        source=f"run {run.id}, taken back: ",
        made_at=made_at,
        changes=numbered,
        columns={column.key: shown_as(column, schema, now.title(column.key)) for column in now.columns},
        existing_count=len(now.held) if is_whole else element_count,
        max_id=max([run.plan.max_id, *(now.held.index if is_whole else ())]),
        max_updated_at=max([run.plan.max_updated_at, *(now.held["updated_at"] if is_whole else ())]),
        unchanged_count=max(0, len(done) - len(numbered)),
        write_requests=client.write_requests(counts, run.plan.batch_size),
        rejected_rows=0,
        rejected=(),
        alarms=(),
        clashes=(),
        options=(),
        sheet_rows=0,
        warnings=(*now.left_alone, *now.lost),
        notes=tuple(notes),
    )
    plan = replace(plan, forecast=forecast_of(plan, client))
    return TakenBack(plan, tuple(now.left_alone), tuple(now.lost), earlier.run_ids)


def _reads_all(done: Sequence[Operation]) -> bool:
    """Whether every element has to be looked at: any of them may hold the key of one that comes back, and deletes
    are counted against all there are."""
    return any(not isinstance(operation.change, Update) for operation in done)


def _look(run: Run, done: Sequence[Operation], schema: Schema, client: Client, element_count: int) -> _Now:
    columns = all_columns(schema)
    if _reads_all(done):
        held = client.elements(schema, columns, expected_rows=element_count)
    else:
        held = client.elements_by_ids(schema, columns, [o.element_id for o in done if o.element_id is not None])
    shown = dict(run.plan.columns)
    for column in columns:
        before, live = shown.get(column.key), shown_as(column, schema)
        if before:  # the sheet's title, and the captions of options that are gone
            live = replace(live, title=before.title, captions={**before.captions, **live.captions})
        shown[column.key] = live
    return _Now(schema, columns, held.set_index("id"), shown)


def _staying(operations: Sequence[OptionsOperation], now: _Now) -> Iterator[str]:
    """The options that the run added and that its fields still have: none is taken away, others may hold it by now."""
    for operation in operations:
        key = str(operation.options.field_id)
        added = operation.added
        if added is None or key not in now.shown:
            continue
        ours = [caption for caption in operation.options.captions if caption not in added.adopted]
        names = [quoted(c) for c in ours if not _gone_options(key, str(added.ids[c]), now.schema)]
        if names:
            yield f"options that the run added stay: {now.title(key)} {', '.join(names)}"


def _tell_unknown(operations: Sequence[Operation], now: _Now) -> None:
    for operation in operations:
        if operation.outcome in {"unknown", "sent"}:
            what = "it is not known whether the run wrote it; look at it in the catalog"
            now.left_alone.append(Problem(key_text(operation.change.key), what))


def _wrote(operation: Operation) -> dict[str, str]:
    """What the catalog held after an operation: what was sent, or the form in which that is known to be stored.

    Anything else that was read back may be the edit of somebody who was fast.
    """
    wrote = dict(written_by(operation.change))
    for key, text in (operation.stored.values if operation.stored else {}).items():
        if wrote.get(key, text) != text and kind_of_difference(wrote[key], text) != "changed":
            wrote[key] = text
    return wrote


# --- updates -------------------------------------------------------------------------------------------------


def _restored(done: Sequence[Operation], now: _Now) -> Iterator[Update]:
    for operation in done:
        change = operation.change
        if not isinstance(change, Update):
            continue
        if change.id not in now.held.index:
            now.left_alone.append(Problem(key_text(change.key), f"element {change.id} was deleted since"))
            continue
        after = dict(_goes_back(change, _wrote(operation), now))
        if after:
            yield Update(
                op=0,
                key=change.key,
                row=0,
                id=change.id,
                updated_at=int(now.text(change.id, "updated_at")),
                before={key: now.text(change.id, key) for key in after},
                after=after,
                kept=_siblings(now, change.id, after),
            )


def _goes_back(change: Update, wrote: Mapping[str, str], now: _Now) -> Iterator[tuple[str, str]]:
    """The fields that go back, with what they held before the run; the others are told."""
    where = key_text(change.key)
    types = {column.key: column.type for column in now.columns}
    for key, before in change.before.items():
        if key not in now.held.columns:
            now.lost.append(Problem(where, f"the field {now.title(key)} is gone, it held {now.words(key, before)}"))
            continue
        text = now.text(change.id, key)
        if text == before:
            continue
        if text != wrote[key]:
            what = f"the run wrote {now.words(key, wrote[key])}, the catalog says {now.words(key, text)} now"
            now.left_alone.append(Problem(where, f"{now.title(key)}: {what}"))
        elif _gone_options(key, before, now.schema):
            now.lost.append(Problem(where, f"{now.title(key)}: the option {now.words(key, before)} is gone"))
        elif not is_on_a_calendar(types[key], before):
            now.lost.append(Problem(where, _cannot_come_back(now, key, types[key], before)))
        else:
            yield key, before


def _siblings(now: _Now, id_: int, after: Mapping[str, str]) -> dict[str, str]:
    """The other subtypes of the composite fields that change: they go along, or would be erased (seed page 002)."""
    changed = {key.partition(".")[0] for key in after if "." in key}
    names = [name for name in map(str, now.held.columns) if name.partition(".")[0] in changed and "." in name]
    return {name: now.text(id_, name) for name in names if name not in after and now.text(id_, name)}


def _gone_options(key: str, text: str, schema: Schema) -> list[str]:
    """The options of a canonical text that its field no longer has."""
    known = next((each for each in schema.fields if str(each.id) == key), None)
    if known is None or known.type not in fields.OPTION_TYPES:
        return []
    return [id_ for id_ in text.split(",") if id_.isdecimal() and int(id_) not in known.enums]


# --- deletes -------------------------------------------------------------------------------------------------


def _added_again(run: Run, done: Sequence[Operation], now: _Now, back_ids: Collection[int]) -> Iterator[Add]:
    deleted = {o.change.op: o for o in done if isinstance(o.change, Delete) and o.batch is not None}
    images = pd.DataFrame(
        [dict(operation.image or {}) for operation in deleted.values()], index=list(deleted), dtype="str"
    ).fillna("")
    for column in now.columns:
        if column.key not in images.columns:
            images[column.key] = ""
    taken: dict[int, int] = {}
    holders = holders_of(now.held, run.plan, now.columns)
    for key, ops in holders_of(images, run.plan, now.columns).items():
        taken |= {op: holders[key][0] for op in ops if key in holders}
    for op, operation in deleted.items():
        change = operation.change
        assert isinstance(change, Delete)
        where = key_text(change.key)
        if op in taken:
            if taken[op] not in back_ids:
                now.left_alone.append(Problem(where, f"was added meanwhile, as element {taken[op]}"))
        elif operation.image is None:
            what = f"“{change.name}” was deleted without a look at it before (--no-recheck): its values are not known"
            now.lost.append(Problem(where, what))
        else:
            values = dict(_comes_back(where, operation.image, run.plan, now))
            yield Add(op=0, key=change.key, row=0, values=values)


def _comes_back(where: str, image: Mapping[str, str], plan: Plan, now: _Now) -> Iterator[tuple[str, str]]:
    """The values of a deleted element that can be written again; the others are told."""
    types = {column.key: column.type for column in now.columns if column.field}
    for key, text in image.items():
        gone = _gone_options(key, text, now.schema)
        if key != NAME and key not in types:
            now.lost.append(Problem(where, f"the field {now.title(key)} is gone, it held {now.words(key, text)}"))
        elif gone:
            told = in_words(plan.columns, key, ",".join(gone))
            now.lost.append(Problem(where, f"{now.title(key)}: the option “{told}” is gone"))
            kept = ",".join(id_ for id_ in text.split(",") if id_ not in gone)
            if kept:
                yield key, kept
        elif key == NAME or (
            (key in plan.columns or _can_be_written(types[key])) and is_on_a_calendar(types[key], text)
        ):
            yield key, text
        else:
            now.lost.append(Problem(where, _cannot_come_back(now, key, types[key], text)))


def _cannot_come_back(now: _Now, key: str, type_: str, text: str) -> str:
    return f"{now.title(key)}: a value of type {type_} cannot be written again: {now.words(key, text)}"


def _can_be_written(type_: str) -> bool:
    return type_ in fields.PARSERS or type_ in fields.TEXT_TYPES or type_ in SCALARS


# --- adds ----------------------------------------------------------------------------------------------------


def _removed(done: Sequence[Operation], now: _Now) -> Iterator[Delete]:
    empties = {column.key: "0" if column.type == "checkbox" else "" for column in now.columns}
    for operation in done:
        if not isinstance(operation.change, Add) or operation.element_id not in now.held.index:
            continue
        where, id_ = key_text(operation.change.key), operation.element_id
        assert id_ is not None
        wrote = {**empties, **_wrote(operation)}
        edited = [name for name, text in wrote.items() if name in now.held.columns and now.text(id_, name) != text]
        if edited:
            titles = ", ".join(now.title(key) for key in edited)
            now.left_alone.append(Problem(where, f"element {id_}, which the run added, was edited since: {titles}"))
        elif now.held.at[id_, "linked"]:
            now.left_alone.append(Problem(where, f"element {id_}, which the run added, hangs on deals by now"))
        else:
            before = {name: now.text(id_, name) for name in map(str, now.held.columns) if name not in FACTS}
            yield Delete(0, operation.change.key, id_, before[NAME], int(now.text(id_, "updated_at")), before)
