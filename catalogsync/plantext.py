"""A plan as a person reads it: its counts and forecast, its changes line by line, what somebody changed meanwhile.

What the terminal, the page and the workbook have in common. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from catalogsync.errors import Problem
from catalogsync.keys import key_text
from catalogsync.model import NAME, Add, Change, Clash, ClashKind, Delete, Update
from catalogsync.pace import Pace
from catalogsync.plan import Plan, Review
from catalogsync.wording import in_words, title_of, whole_words


def summary(plan: Plan, *, rps: float) -> str:
    """The counts, the requests and the time they take at the rate limit."""
    counts = plan.counts
    parts = [f"{counts['add']} to add", f"{counts['update']} to update", f"{counts['delete']} to delete"]
    if plan.options:
        parts.append(f"{plan.option_count} new option{'' if plan.option_count == 1 else 's'}")
    tail = f"{plan.unchanged_count} unchanged"
    if plan.rejected_rows:
        tail += f", {plan.rejected_rows} rows rejected"
    tail += clash_counts(plan)
    if not plan.changes:
        return f"Nothing to do: {tail}."
    written = plan.write_requests
    seconds = plan.forecast.seconds if plan.forecast else Pace(rps).turns_s(written) if rps else 0
    words = requests_words(written)
    if plan.forecast:
        reads = plan.forecast.requests - written
        words += f" and {reads} read{'' if reads == 1 else 's'}"
    pace = f", {duration(seconds)} at {rps:g} requests per second" if rps else ""
    return f"Plan: {', '.join(parts)}; {tail}.\n{words}{pace}. Digest {plan.digest}."


def duration(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def requests_words(count: int) -> str:
    """How many write requests."""
    return f"{count} write request{'' if count == 1 else 's'}"


def lines_of(plan: Plan, change: Add | Update | Delete) -> Iterator[tuple[str, str, str]]:
    """A change as (field, before, after) lines in words."""
    shown = plan.columns
    match change:
        case Add():
            values = {key: in_words(shown, key, text) for key, text in change.values.items()}
            yield title_of(shown, NAME), "", values.pop(NAME, "")
            yield "", "", " · ".join(f"{title_of(shown, key)} {text}" for key, text in values.items())
        case Update():
            for key, text in change.after.items():
                before, after = (in_words(shown, key, each) for each in (change.before[key], text))
                yield title_of(shown, key), before, after or "(cleared)"
        case Delete():
            yield "element", f"{change.name} (id {change.id})", "(deleted)"


_CLASHES: Mapping[ClashKind, tuple[str, str, str]] = {
    "conflict": (
        "Changed in the sheet and in the CRM, nothing is sent (`conflict: sheet` or `conflict: crm` decides):",
        "conflict",
        "conflicts",
    ),
    "kept": ("Changed in the CRM and kept:", "CRM edit kept", "CRM edits kept"),
    "reverted": ("Changed in the CRM and set back (`owner: sheet`):", "CRM edit reverted", "CRM edits reverted"),
    "overridden": (
        "Changed in the sheet and in the CRM, the sheet counts (`conflict: sheet`):",
        "CRM edit overridden",
        "CRM edits overridden",
    ),
    "deleted": (
        "Deleted in the CRM, not added again until the row changes:",
        "deleted element not added again",
        "deleted elements not added again",
    ),
}
"""Per kind of clash the title of its section, and the noun that counts it."""


def clash_sections(plan: Plan) -> Iterator[tuple[str, list[Problem]]]:
    """What somebody changed in the CRM since the last run: a title and its lines per kind."""
    for kind, (title, _, _) in _CLASHES.items():
        yield title, [_clash_line(plan, clash) for clash in plan.clashes if clash.kind == kind]


def clash_counts(plan: Plan) -> str:
    """How many clashes there are of each kind, as the end of a sentence."""
    counts = Counter(clash.kind for clash in plan.clashes)
    told = ((counts[kind], one if counts[kind] == 1 else many) for kind, (_, one, many) in _CLASHES.items())
    return "".join(f", {count} {noun}" for count, noun in told if count)


def _clash_line(plan: Plan, clash: Clash) -> Problem:
    where = f"{plan.address(clash.row)} {key_text(clash.key)}"
    if clash.kind == "deleted":
        return Problem(where, f"element {clash.id} is gone")
    base, sheet, crm = (
        in_words(plan.columns, clash.column, text) or "(empty)" for text in (clash.base, clash.sheet, clash.crm)
    )
    return Problem(
        f"{where} ({title_of(plan.columns, clash.column)})", f"was {base}; the sheet says {sheet}, the catalog {crm}"
    )


# --- value by value, uncut -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One value that a change writes, uncut. `column` is its key, `before` and `after` are in words."""

    column: str
    title: str
    before: str
    after: str


@dataclass
class Wordings:
    """Values of a plan in words; what was looked up once is kept, since options have many captions."""

    plan: Plan
    _known: dict[tuple[str, str], str] = field(default_factory=dict)

    def words(self, key: str, canonical: str) -> str:
        """Canonical text as a person reads it, all of it."""
        shown = self.plan.columns.get(key)
        if shown is None or not shown.captions:
            return whole_words(self.plan.columns, key, canonical)
        if (key, canonical) not in self._known:
            self._known[key, canonical] = whole_words(self.plan.columns, key, canonical)
        return self._known[key, canonical]

    def lines(self, change: Change) -> list[Line]:
        """A line per value that the change writes; of a delete none."""
        match change:
            case Add():
                written = {NAME: change.values.get(NAME, ""), **change.values}
                before: Mapping[str, str] = {}
            case Update():
                written, before = dict(change.after), change.before
            case Delete():
                return []
        return [
            Line(key, title_of(self.plan.columns, key), self.words(key, before.get(key, "")), self.words(key, text))
            for key, text in written.items()
        ]


def review_lines(review: Review, *, most: int = 5) -> Iterator[str]:
    """What a person decided about a plan; of what was left out and decided, `most` each by name."""
    yield f"Approved by {review.approved_by}." if review.approved_by else "The workbook does not say who approved."
    for title, named in (("Left out", review.left_out), ("Conflicts decided", review.decided)):
        if named:
            yield f"{title}: {len(named)} ({', '.join(named[:most])}{', …' if len(named) > most else ''})."


def where_of(plan: Plan, change: Change) -> str:
    """The sheet address of a change; "" where no row asks for it."""
    return "" if isinstance(change, Delete) else plan.address(change.row)


def source_words(source: str) -> str:
    """The sheet of a plan, without what a row is appended to."""
    return source.rstrip(": ").removesuffix("!row")
