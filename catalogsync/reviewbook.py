"""Plan → workbook that a person reviews, ticks and hands to `apply`. reviewanswers.py reads it back.

Summary   counts, forecast, guards, notes; a cell for the name of whoever approves
Changes   a line per field of an update, old and new; Adds, Deletes: a line per element, each with yes or no
Conflicts a line per value that sheet and CRM both changed, with a choice
Rejected rows
_plan     very hidden: the plan itself, packed, in pieces that a cell can hold

Every line names its operation in a column of its own, so that lines may be sorted, filtered and moved, columns too.
All cells are text: what begins with ``=`` stays text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalogsync import guards, newoptions
from catalogsync.errors import Problem, UserError
from catalogsync.keys import key_text
from catalogsync.model import Add, Clash, Delete, Update
from catalogsync.outfile import new_workbook
from catalogsync.plan import Plan, to_json
from catalogsync.plantext import Wordings, source_words, summary, where_of
from catalogsync.wording import title_of

SUMMARY, CHANGES, ADDS, DELETES = "Summary", "Changes", "Adds", "Deletes"
CONFLICTS, REJECTED, PLAN = "Conflicts", "Rejected rows", "_plan"
APPROVE, CHOICE, OPERATION, APPROVED_BY = "Approve", "Choice", "Operation", "Approved by"

YES, NO = "yes", "no"
LEAVE, SHEET, CATALOG = "leave", "sheet", "catalog"

PACKED = "catalogsync-review-1"
"""What the first cell of the hidden tab says: how the plan is packed in it."""

LONGEST = 8_000
"""A value that is longer is cut in its cell."""

VALID_DAYS = 7
"""So long after the plan was made the workbook can be applied."""

_PIECE = 30_000  # characters; a cell holds 32,767
_MOST_ROWS = 1_048_575
_MOST_LISTED = 1_000
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = re.compile("_(?=x[0-9A-Fa-f]{4}_x[0-9A-Fa-f]{4}_)")
"""Where two escapes share a sign, programs do not agree on what they say: a blank without width keeps them apart."""

_LIKE_FORMULA = tuple("=+-@")
_WIDTHS: Mapping[str, int] = {
    APPROVE: 10, CHOICE: 10, OPERATION: 16, "Key": 18, "Field": 20, "Old": 36, "New": 36, "Source": 28, "Name": 40,
    "What": 24, "Was": 28, "The sheet says": 28, "The catalog says": 28, "Where": 40, "Problem": 60, "What to do": 50,
}  # fmt: skip
_COLOURS: Mapping[str, str] = {CHANGES: "#8A6100", ADDS: "#1B7F3B", DELETES: "#C62828", CONFLICTS: "#6A3FB5"}
_CLASHES: Mapping[str, str] = {
    "conflict": "changed on both sides",
    "kept": "CRM edit kept",
    "reverted": "CRM edit reverted",
    "overridden": "CRM edit overridden",
    "deleted": "deleted in the CRM, not added again",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a tab: the operation that it stands for ("": none), and its cells by the tab's headings."""

    operation: str
    cells: tuple[str, ...]

    @classmethod
    def of(cls, operation: str, *texts: str) -> Row:
        """A line of texts, as cells can hold them."""
        return cls(operation, tuple(map(plain, texts)))


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab of lines. `answers` are what its first column, headed `asks`, can say, the default first; else ()."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    asks: str = ""
    answers: tuple[str, ...] = ()


def write_review(path: Path, plan: Plan, *, rps: float) -> None:
    """Write a plan as a review workbook. `rps` is the rate limit that the forecast reckons with.

    Raises UserError where it cannot be written, or has more lines than a tab holds.
    """
    tabs = tabs_of(plan)
    for tab in tabs:
        if len(tab.rows) > _MOST_ROWS:
            raise UserError(f"{path}: {len(tab.rows)} lines are more than a tab of a workbook holds; store it as .json")
    with new_workbook(path) as book:
        book.set_properties({"title": f"Plan {plan.digest}", "created": datetime.fromtimestamp(plan.made_at, UTC)})
        formats = {
            name: book.add_format({**settings, "quote_prefix": quoted} if quoted else settings)
            for quoted in (False, True)
            for name, settings in _formats(quoted=quoted)
        }
        _write_summary(book.add_worksheet(SUMMARY), plan, formats, rps=rps)
        for tab in tabs:
            _write_tab(book, book.add_worksheet(tab.name), tab, formats)
        hidden = book.add_worksheet(PLAN)
        for place, piece in enumerate(_packed(plan)):
            hidden.write_string(place, 0, piece)
        hidden.very_hidden()


def _formats(*, quoted: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    mark = "'" if quoted else ""
    cell = {"valign": "top", "num_format": "@"}
    yield f"{mark}plain", cell
    yield f"{mark}wrapped", {**cell, "text_wrap": True}
    yield f"{mark}old", {**cell, "text_wrap": True, "font_color": "#B3261E"}
    yield f"{mark}new", {**cell, "text_wrap": True, "font_color": "#146C2E"}
    yield f"{mark}key", {**cell, "bold": True}
    yield f"{mark}grey", {**cell, "font_color": "#777777"}
    if not quoted:
        yield "head", {"bold": True, "bg_color": "#E8EEF4", "bottom": 1, "valign": "top", "text_wrap": True}
        yield "ask", {**cell, "bg_color": "#FFF8DC", "border": 1, "border_color": "#D8D0A8"}


def plain(text: str) -> str:
    """Text as a cell can hold it."""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters)"
    return _ESCAPES.sub("_\u200b", _NO_CHARACTER.sub("�", text))


# --- what the tabs say ---------------------------------------------------------------------------------------


def line_of(op: int, column: str = "") -> str:
    """What stands in the column of operations: the operation, of an update with the column key of the line."""
    return f"#{op} {column}" if column else f"#{op}"


def conflict_line(place: int) -> str:
    """What stands in the column of operations for the n-th clash of a plan."""
    return f"!{place + 1}"


def can_keep_catalog(plan: Plan, clash: Clash) -> bool:
    """Whether a conflict can be decided for the catalog. Not where the sheet merges options: it asks for them again."""
    shown = plan.columns.get(clash.column)
    return clash.target is None or shown is None or shown.type != "multiselect"


def tabs_of(plan: Plan) -> tuple[Tab, ...]:
    """Every tab of lines, as it is written and as it has to be found again."""
    wordings = Wordings(plan)
    return (
        _changes(plan, wordings),
        _adds(plan, wordings),
        _deletes(plan),
        _conflicts(plan, wordings),
        _rejected(plan.rejected),
    )


def _changes(plan: Plan, wordings: Wordings) -> Tab:
    rows = []
    for change in plan.changes:
        if isinstance(change, Update):
            key, where = key_text(change.key), where_of(plan, change)
            for line in wordings.lines(change):
                told = (key, line.title, line.before, line.after or "(cleared)", where)
                rows.append(Row.of(line_of(change.op, line.column), *told))
    return Tab(CHANGES, ("Key", "Field", "Old", "New", "Source"), tuple(rows), APPROVE, (YES, NO))


def _adds(plan: Plan, wordings: Wordings) -> Tab:
    adds = [change for change in plan.changes if isinstance(change, Add)]
    written = {key for add in adds for key in add.values}
    keys = [key for key in plan.columns if key in written] + sorted(written - set(plan.columns))
    titles = _unique([title_of(plan.columns, key) for key in keys], keys)
    rows = []
    for add in adds:
        values = (wordings.words(key, add.values.get(key, "")) for key in keys)
        rows.append(Row.of(line_of(add.op), key_text(add.key), *values, where_of(plan, add)))
    return Tab(ADDS, ("Key", *titles, "Source"), tuple(rows), APPROVE, (YES, NO))


def _unique(titles: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Titles that tell columns apart, also from those that every tab has."""
    taken = {APPROVE.lower(), OPERATION.lower(), "key", "source"}
    made = []
    for title, key in zip(titles, keys, strict=True):
        title = plain(" ".join(title.split()))[:200]
        unique = title if title and title.lower() not in taken else f"{title} ({key})"
        taken.add(unique.lower())
        made.append(unique)
    return made


def _deletes(plan: Plan) -> Tab:
    rows = tuple(
        Row.of(line_of(change.op), key_text(change.key), change.name, str(change.id))
        for change in plan.changes
        if isinstance(change, Delete)
    )
    return Tab(DELETES, ("Key", "Name", "Element"), rows, APPROVE, (YES, NO))


def _conflicts(plan: Plan, wordings: Wordings) -> Tab:
    rows = tuple(
        Row.of(conflict_line(place) if clash.kind == "conflict" else "", *_clash_cells(plan, wordings, clash))
        for place, clash in enumerate(plan.clashes)
    )
    headings = ("What", "Key", "Field", "Was", "The sheet says", "The catalog says", "Source")
    return Tab(CONFLICTS, headings, rows, CHOICE, (LEAVE, SHEET, CATALOG))


def _clash_cells(plan: Plan, wordings: Wordings, clash: Clash) -> tuple[str, ...]:
    where = plan.address(clash.row)
    if clash.kind == "deleted":
        return (_CLASHES[clash.kind], key_text(clash.key), "", "", "", "", where)
    texts = (wordings.words(clash.column, text) for text in (clash.base, clash.sheet, clash.crm))
    what = _CLASHES[clash.kind]
    if clash.kind == "conflict" and not can_keep_catalog(plan, clash):
        what += f" ({LEAVE} or {SHEET})"
    return (what, key_text(clash.key), title_of(plan.columns, clash.column), *texts, where)


def _rejected(problems: Iterable[Problem]) -> Tab:
    rows = tuple(Row.of("", each.where, each.what, each.hint) for each in problems)
    return Tab(REJECTED, ("Where", "Problem", "What to do"), rows[:_MOST_ROWS])


# --- writing -------------------------------------------------------------------------------------------------


def _write_tab(book: Any, sheet: Any, tab: Tab, formats: Mapping[str, Any]) -> None:
    headings = [*([tab.asks] if tab.asks else []), *tab.headings, *([OPERATION] if tab.asks else [])]
    names = [_format_name(heading, tab) for heading in tab.headings]
    for place, heading in enumerate(headings):
        sheet.set_column(place, place, _WIDTHS.get(heading, 18))
        sheet.write_string(0, place, heading, formats["head"])
    first = 1 if tab.asks else 0
    for number, row in enumerate(tab.rows, start=1):
        if row.operation:
            sheet.write_string(number, 0, tab.answers[0], formats["ask"])
        for place, (text, name) in enumerate(zip(row.cells, names, strict=True), start=first):
            if text:
                sheet.write_string(number, place, text, formats[f"'{name}" if text.startswith(_LIKE_FORMULA) else name])
        if row.operation:
            sheet.write_string(number, len(headings) - 1, row.operation, formats["grey"])
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)  # printed as wide as a page
    sheet.freeze_panes(1, 0)
    sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
    last = max(1, len(tab.rows))
    sheet.autofilter(0, 0, last, len(headings) - 1)
    if tab.name in _COLOURS and tab.rows:
        sheet.set_tab_color(_COLOURS[tab.name])
    if tab.asks and any(row.operation for row in tab.rows):
        _write_answers(book, sheet, tab, last, len(headings) - 1)


def _write_answers(book: Any, sheet: Any, tab: Tab, last: int, width: int) -> None:
    """The drop-down of the first column; what is not approved turns grey."""
    refused = sheet.data_validation(
        1,
        0,
        last,
        0,
        {
            "validate": "list",
            "source": list(tab.answers),
            "error_title": tab.asks,
            "error_message": f"One of: {', '.join(tab.answers)}",
        },
    )
    assert not refused
    styles = {
        NO: {"font_color": "#888888", "font_strikeout": True, "bg_color": "#EEEEEE"},
        SHEET: {"bg_color": "#E3F1E6"},
        CATALOG: {"bg_color": "#E6EDFA"},
    }
    for answer, style in styles.items():
        if answer in tab.answers:
            criteria = f'=LOWER($A2)="{answer}"'
            rule = {"type": "formula", "criteria": criteria, "format": book.add_format(style)}
            sheet.conditional_format(1, 0, last, width, rule)


def _format_name(heading: str, tab: Tab) -> str:
    if heading in ("Old", "The catalog says"):
        return "old"
    if heading in ("New", "The sheet says"):
        return "new"
    if heading == "Key":
        return "key"
    if heading in ("Source", "Element"):
        return "grey"
    return "wrapped" if tab.name != ADDS else "plain"


def _write_summary(sheet: Any, plan: Plan, formats: Mapping[str, Any], *, rps: float) -> None:
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 1, 100)
    until = datetime.fromtimestamp(plan.made_at + VALID_DAYS * 86_400, UTC)
    lines: list[tuple[str, str]] = [
        (APPROVED_BY, ""),
        ("Catalog", f"{plan.catalog_name} (catalog {plan.catalog_id})"),
        ("Sheet", source_words(plan.source)),
        ("Mapping", plan.mapping),
        *(("Plan" if n == 0 else "", line) for n, line in enumerate(summary(plan, rps=rps).splitlines())),
        ("Digest", plan.digest),
        ("Made", datetime.fromtimestamp(plan.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("Good until", until.strftime("%Y-%m-%d %H:%M UTC")),
        ("How", f"Set {APPROVE} to no for what is not to be sent. Then: catalogsync apply, with this file."),
        (
            "",
            "A line that is deleted is not sent either; one that a filter hides is. Leave other cells as they are.",
        ),
        *_listed("A guard would stop it", guards.stopping(plan)),
        *_listed("New options", newoptions.told(plan.options, plan.columns)),
        *_listed("Notes", [Problem("", note) for note in plan.notes]),
        *_listed("Worth a look", plan.warnings),
    ]
    for row, (title, text) in enumerate(lines):
        if title:
            sheet.write_string(row, 0, title, formats["head"])
        text, name = plain(text), "wrapped"
        if row == 0:
            sheet.write_blank(row, 1, None, formats["ask"])
        else:
            sheet.write_string(row, 1, text, formats[f"'{name}" if text.startswith(_LIKE_FORMULA) else name])


def _listed(title: str, problems: Sequence[Problem]) -> Iterator[tuple[str, str]]:
    for place, problem in enumerate(problems[:_MOST_LISTED]):
        yield ("" if place else f"{title} ({len(problems)})"), str(problem)
    if len(problems) > _MOST_LISTED:
        yield "", f"… and {len(problems) - _MOST_LISTED} more"


def _packed(plan: Plan) -> Iterator[str]:
    """The plan as text in pieces: how it is packed, its digest, a checksum of the rest, the number of pieces, these."""
    text = json.dumps(to_json(plan), ensure_ascii=True, separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")
    pieces = [packed[start : start + _PIECE] for start in range(0, len(packed), _PIECE)]
    yield from (PACKED, plan.digest, hashlib.sha256(packed.encode("ascii")).hexdigest(), f"{len(pieces)} pieces")
    yield from pieces
