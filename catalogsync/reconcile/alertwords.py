"""What an alert says, in plain text: subject, body, and many of them as one digest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from catalogsync.reconcile.outcome import Outcome
from catalogsync.reconcile.project import Event
from catalogsync.reconcile.secrets import redacted

MOST_LINES = 40
"""Lines of a turn's details that a message holds; the rest is counted."""

MOST_CHARS = 400
"""Characters of one line."""

MOST_DIGEST_CHARS = 100_000
"""Characters of a digest; what does not fit is told by its subject only."""

BEGUN: dict[Event, str] = {
    "failure": "failed",
    "guard": "refused by a guard",
    "conflict": "conflicts",
    "rejected": "rows rejected",
    "drift": "catalog and sheet differ",
    "approval": "waits for approval",
}
"""What is told when an event is new."""

OVER: dict[Event, str] = {
    "failure": "works again",
    "guard": "no longer refused by a guard",
    "conflict": "no more conflicts",
    "rejected": "no more rejected rows",
    "drift": "catalog and sheet agree",
    "approval": "nothing waits for approval",
}
"""What is told when it is over."""

NEXT: dict[Event, str] = {
    "failure": "Mend what is said above. The next turn tries again by itself.",
    "guard": "Nothing was written. Look at the sheet first; if the changes are meant, raise the job's `guards:`.",
    "conflict": "Sheet and CRM both changed these values, and neither was touched. Make both say the same, or decide "
    "in a workbook (docs/review.md).",
    "rejected": "Mend these rows in the sheet; the next turn takes them. Everything else was done.",
    "drift": "Nothing was written: this job only looks. `mode: apply` makes the catalog say what the sheet says.",
    "approval": "Open the workbook, answer yes or no in each line, and put it back where it was.",
}
"""What a person does next."""


def subject_of(job: str, begun: Sequence[Event], over: Sequence[Event]) -> str:
    """As in ``catalogsync: prices — refused by a guard; recovered: works again``."""
    news = [", ".join(BEGUN[event] for event in begun)] if begun else []
    news += ["recovered: " + ", ".join(OVER[event] for event in over)] if over else []
    return f"catalogsync: {job} — {'; '.join(news)}"


def body_of(outcome: Outcome, begun: Sequence[Event], timezone: str) -> str:
    """The turn for a person: when, what, the files, and the next step for what has begun. No secret that is known."""
    facts = [("Job", outcome.job), ("When", _told_time(outcome.ended_at, timezone))]
    facts += [("Sheet", outcome.sheet)] if outcome.sheet else []
    facts += [("Run", str(outcome.run_id))] if outcome.run_id is not None else []
    lines = [f"{name + ':':<7}{_line(value)}" for name, value in facts]
    lines += ["", _line(outcome.words)]
    details = [part for detail in outcome.details for part in detail.splitlines() or [""]]
    lines += [f"  {_line(detail)}".rstrip() for detail in details[:MOST_LINES]]
    if more := len(details) - MOST_LINES:
        lines += [f"  … and {more} more"] if more > 0 else []
    if outcome.files:
        lines += ["", "Files:", *(f"  {_line(str(path))}" for path in outcome.files[:MOST_LINES])]
    if begun:
        lines += ["", "Next:", *(f"  {NEXT[event]}" for event in begun)]
    return "\n".join(lines)


def digest_subject(job: str, messages: int) -> str:
    """As in ``catalogsync: prices — 3 alerts``."""
    return f"catalogsync: {job} — {messages} alert{'' if messages == 1 else 's'}"


def digest_body(messages: Iterable[tuple[str, str]], still_open: Sequence[Event]) -> str:
    """Subjects and bodies in their order as one text, and what is open in the end."""
    parts = []
    room = MOST_DIGEST_CHARS
    for subject, body in messages:
        room -= len(body)
        title = subject.partition(" — ")[2] or subject
        heading = f"== {title} =="
        parts.append(f"{heading}\n{body}" if room > 0 else heading)
    if still_open:
        parts.append("Open now: " + ", ".join(BEGUN[event] for event in still_open))
    return "\n\n".join(parts)


def _told_time(at: float, timezone: str) -> str:
    return f"{datetime.fromtimestamp(at, ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S} {timezone}"


def _line(text: str) -> str:
    """One line of text without control characters and secrets, and not too long."""
    line = "".join(char if char.isprintable() else " " for char in redacted(text))
    return line if len(line) <= MOST_CHARS else line[: MOST_CHARS - 1] + "…"
