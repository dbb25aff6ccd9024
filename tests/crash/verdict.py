"""Whether a schedule broke a law, and how often it met the limits that the laws state.

A write of ours may change what the sheet says and nothing else. It must not replace a colleague's edit that came after
the values of its plan were read, unless that edit fell between the last look and the write, or the write landed after
its answer was lost (law 7); a v2 update, which the server compares, not even then. A key may end with two elements
only where a colleague added one of them, or where an add landed after the settling time (law 3).

One thing is known and open, and counted by itself: an element's `updated_at` stands for everything that happened to it
within one second. What was edited after its values were read, in the second of an edit that was read, is seen by the
values; those of fields that the mapping does not name are not read for a plan, so that a delete takes them along.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.crash.account import Event, texts_of
from tests.crash.schedule import MAPPED, Played
from tests.crash.shop import ADDRESS, CATALOG_ID, CODE
from tests.crash.stage import SETTLE_S, Command

READ = {*MAPPED, f"{ADDRESS}.zip"}
"""The columns that are read for a plan: those of the mapping, and the other parts of its composite fields."""

OPEN = "a field that is not mapped, edited in the second of an edit that was read, went with its element"


@dataclass
class Verdict:
    """What is wrong, what was within the limits, and what is known and open, counted."""

    wrong: list[str] = field(default_factory=list)
    limits: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)


def judged(played: Played) -> Verdict:
    """The verdict on a schedule."""
    verdict = Verdict()
    events = played.world.account.events
    for event in events:
        if event.by.command:
            _judge_write(played, event, verdict)
    for command in played.world.commands:
        verdict.wrong += _told_wrongly(command, events, played)
    _judge_end(played, verdict)
    return verdict


# --- each write ----------------------------------------------------------------------------------------------


def _judge_write(played: Played, event: Event, verdict: Verdict) -> None:
    changed = event.changed()
    is_compared = event.after is not None and event.by.is_compared
    if event.before is not None and not is_compared and event.by.looked.get(event.id, 0) <= event.by.since:
        verdict.wrong.append(f"{event.seq}: wrote to element {event.id} without a look just before")
    overwritten = list(_overwritten(played.world.account.events, event))
    for edit, kind in overwritten:
        if kind == OPEN:
            verdict.open[kind] += 1
        elif kind == "wrong":
            words = f"overwrote {sorted(edit.changed() & changed)} of element {event.id}, edited at {edit.seq}"
            verdict.wrong.append(f"{event.seq}: {words}")
        else:
            verdict.limits[f"an edit overwritten {kind}"] += 1
    if event.after is None:
        code = texts_of(event.before).get(str(CODE), "")
        if code in played.sheet or not code:
            verdict.wrong.append(f"{event.seq}: deleted element {event.id}, which has the key {code!r}")
        return
    after = texts_of(event.after)
    row = played.sheet.get(after.get(str(CODE), ""), {})
    explained = {key for edit, kind in overwritten if kind != "wrong" for key in edit.changed()}
    for key in changed:
        wanted = row.get(MAPPED[key]) if key in MAPPED else None
        if wanted != after.get(key, "") and key not in explained:
            verdict.wrong.append(f"{event.seq}: wrote {key} = {after.get(key, '')!r} to {event.id}: no sheet says so")


def _overwritten(events: list[Event], write: Event) -> Iterator[tuple[Event, str]]:
    """The colleagues' edits that a write replaced, which its plan had not read, and why it may have: "wrong" if not."""
    if write.before is None:
        return
    sender = write.by
    planned, looked = sender.planned.get(write.id, 0), sender.looked.get(write.id, 0)
    before, changed = texts_of(write.before), write.changed()
    for edit in events:
        if edit.by.command or edit.id != write.id or edit.after is None or not planned < edit.seq < write.seq:
            continue
        after = texts_of(edit.after)
        lost = {key for key in edit.changed() & changed if before.get(key, "") == after.get(key, "")}
        if not lost:
            continue
        is_compared = write.after is not None and sender.is_compared
        if edit.seq < looked and write.after is None and not lost & READ and _is_in_the_same_second(edit):
            yield edit, OPEN
        elif edit.seq < looked or is_compared:
            yield edit, "wrong"
        elif write.is_late and edit.seq > sender.seq:
            yield edit, "by a write that landed after its answer was lost"
        else:
            yield edit, "between the look and the write"


def _is_in_the_same_second(edit: Event) -> bool:
    """Whether an edit left the `updated_at` that it found."""
    return edit.before is not None and edit.after is not None and edit.before.updated_at == edit.after.updated_at


# --- each report ---------------------------------------------------------------------------------------------


def _told_wrongly(command: Command, events: list[Event], played: Played) -> Iterator[str]:
    """Traces of a defect, and changes that were told as done though nothing of them was ever stored."""
    if "This is a defect" in command.output:
        yield f"command {command.number} ended in a traceback:\n{command.output}"
    if command.report is None or command.plan is None:
        return
    ours = {(event.id, event.before is None, event.after is None) for event in events if event.by.command}
    theirs = {event.id for event in events if not event.by.command}
    changes = {change.op: change for change in command.plan.changes}
    for result in command.report.with_outcome("done"):
        change = changes[result.op]
        kind = type(change).__name__
        done = (result.id, kind == "Add", kind == "Delete")
        if done not in ours and not (kind != "Add" and result.id in theirs):
            yield f"command {command.number} told operation {result.op} ({kind} {change.key}) as done; it never was"


# --- the end -------------------------------------------------------------------------------------------------


def _judge_end(played: Played, verdict: Verdict) -> None:
    world = played.world
    if not played.is_still:
        verdict.wrong.append("it never came to rest")
    for table, column, value in (("runs", "state", "running"), ("operations", "outcome", "sent")):
        rows = world.journal_file.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (value,)).fetchall()
        if rows[0][0]:
            verdict.wrong.append(f"the journal holds {rows[0][0]} {table} that are {value}")
    events = world.account.events
    edited: dict[int, set[str]] = defaultdict(set)
    deleted = set()
    for event in events:
        if not event.by.command:
            edited[event.id] |= event.changed()
            if event.after is None:
                deleted.add(texts_of(event.before).get(str(CODE), ""))
    holders: dict[str, list[int]] = defaultdict(list)
    for element in world.account.store.elements(CATALOG_ID):
        holders[texts_of(element).get(str(CODE), "")].append(element.id)
    for code, ids in holders.items():
        if len(ids) > 1:
            _judge_double(code, ids, played, verdict)
    for code, row in played.sheet.items():
        ids = holders.get(code, [])
        if not ids and code not in deleted:
            verdict.wrong.append(f"no element holds {code}")
        if len(ids) != 1:
            continue
        held = texts_of(world.account.store.element(ids[0]))
        for key, header in MAPPED.items():
            if row[header] and held.get(key, "") != row[header] and key not in edited[ids[0]]:
                verdict.wrong.append(f"{code}: {header} is {held.get(key, '')!r}, the sheet says {row[header]!r}")
    for code, ids in holders.items():
        if code not in played.sheet and len(ids) == 1 and not edited[ids[0]]:
            verdict.wrong.append(f"element {ids[0]} with the key {code} is left over")


def _judge_double(code: str, ids: list[int], played: Played, verdict: Verdict) -> None:
    added = [event for event in played.world.account.events if event.before is None and event.id in ids]
    plan = played.world.commands[-1].plan
    told = " ".join(map(str, (*plan.rejected, *plan.warnings))) if plan else ""
    if not all(str(id_) in told for id_ in ids):
        verdict.wrong.append(f"{code} is held by {ids}, and the last plan does not say so: {told}")
    if any(not event.by.command for event in added):
        verdict.limits["a key held twice: a colleague added one"] += 1
    elif any(event.is_late and event.at_s - event.by.at_s >= SETTLE_S for event in added):
        verdict.limits["a key held twice: an add landed after the settling time, told by the next run"] += 1
    else:
        verdict.wrong.append(f"{code} is held by {ids}")
