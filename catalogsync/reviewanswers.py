"""Review workbook → what a person decided: the plan, what of it is approved, how conflicts are decided.

The plan comes out of the hidden tab, never out of the lines that people see. Those only say yes or no, each for the
operation that it names; what else stands in them has to be what was written, so that nobody approves what is not sent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import python_calamine

from catalogsync import newoptions, reviewbook
from catalogsync.errors import Problem, UserError
from catalogsync.keys import key_text
from catalogsync.model import Add, Change, Delete, Update
from catalogsync.plan import Plan, Review, from_json, kind_of
from catalogsync.reader import column_letter
from catalogsync.reader.archive import check_archive
from catalogsync.reviewbook import CATALOG, LEAVE, NO, SHEET, YES, Tab, conflict_line, line_of, tabs_of
from catalogsync.wording import title_of

MOST_TOLD = 50
"""So many problems of a workbook are listed, the rest is counted."""

_MOST_UNPACKED = 1 << 30  # bytes of a plan
_MOST_HEAD_ROWS = 50  # in which the headings are looked for
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_MEANT: Mapping[str, str] = {
    **dict.fromkeys(("yes", "y", "true", "1", "x", "✓", "ok", "ja", "oui", "si", "sí", "sim", "да", "так"), YES),
    **dict.fromkeys(("no", "n", "false", "0", "nein", "non", "nao", "não", "нет", "ні", ""), NO),
}
_DECIDED: Mapping[str, str] = {"": LEAVE, LEAVE: LEAVE, SHEET: SHEET, CATALOG: CATALOG}


@dataclass(frozen=True)
class Answers:
    """What a person decided. `approved` is what is left of `plan`, with its review; its requests are those of `plan`.

    `decided` maps the place of a clash in the plan to ``sheet`` or ``catalog``.
    """

    plan: Plan
    approved: Plan
    decided: Mapping[int, str] = field(default_factory=dict)

    @property
    def review(self) -> Review:
        """Who approved, and what was left out."""
        assert self.approved.review is not None
        return self.approved.review


def read_review(path: Path) -> Answers:
    """What was approved. Raises UserError where the file is no review workbook, or holds what no review changes."""
    try:
        check_archive(path)
        book = python_calamine.CalamineWorkbook.from_path(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, zipfile.BadZipFile, NotImplementedError, python_calamine.CalamineError) as error:
        raise UserError(f"{path}: cannot be read as a workbook ({error})") from None
    plan = _plan_in(book, path)
    asked = [tab for tab in tabs_of(plan) if tab.asks and any(row.operation for row in tab.rows)]
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for tab in asked:
        reading = _Reading(path, tab)
        found |= reading.answers(book)
        problems += reading.problems
    for place, clash in enumerate(plan.clashes):
        if found.get(conflict_line(place)) == CATALOG and not reviewbook.can_keep_catalog(plan, clash):
            what = f"{key_text(clash.key)} ({title_of(plan.columns, clash.column)}) cannot be decided for the catalog"
            hint = f"the mapping merges or removes its options: {LEAVE} or {SHEET}"
            problems.append(Problem(f"{path.name}!{reviewbook.CONFLICTS}", what, hint))
    if problems:
        left = len(problems) - MOST_TOLD
        more = [Problem("", f"… and {left} more")] if left > 0 else []
        raise UserError(f"{path}: nothing was sent; the workbook is not as it was made", [*problems[:MOST_TOLD], *more])
    decided = {
        place: found[conflict_line(place)]
        for place, clash in enumerate(plan.clashes)
        if clash.kind == "conflict" and found.get(conflict_line(place), LEAVE) != LEAVE
    }
    by = _approver(book) or _last_editor(path)
    return Answers(plan, _approved(plan, found, decided, by), decided)


# --- the plan ------------------------------------------------------------------------------------------------


def _plan_in(book: Any, path: Path) -> Plan:
    advice = "`catalogsync plan … --out plan.xlsx` makes one"
    none = UserError(f"{path}: this is not a review workbook, or its hidden tab is gone; {advice}")
    damaged = UserError(f"{path}: the plan in its hidden tab is damaged; plan again")
    if reviewbook.PLAN not in book.sheet_names:
        raise none
    lines = [str(row[0]).strip() for row in book.get_sheet_by_name(reviewbook.PLAN).to_python() if row and row[0]]
    if not lines or not lines[0].startswith(reviewbook.PACKED.rpartition("-")[0]):
        raise none
    if lines[0] != reviewbook.PACKED:
        raise UserError(f"{path}: made by another version of this program; plan again")
    digest, checksum, count, *pieces = [*lines[1:], "", "", ""]
    packed = "".join(pieces)
    if (
        hashlib.sha256(packed.encode("utf-8")).hexdigest() != checksum
        or count != f"{len(list(filter(None, pieces)))} pieces"
    ):
        raise damaged
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(base64.b64decode(packed, validate=True), _MOST_UNPACKED)
        if not unpacking.eof:
            raise damaged
        tree = json.loads(text)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        raise damaged from None
    plan = from_json(tree, str(path))
    if plan.digest != digest:
        raise damaged
    return plan


# --- what was ticked -----------------------------------------------------------------------------------------


class _Reading:
    """One tab as it came back: its answers by line, and what is wrong with it."""

    def __init__(self, path: Path, tab: Tab) -> None:
        self._path, self._tab = path, tab
        self._rows = {row.operation: row.cells for row in tab.rows if row.operation}
        self._asks_all = all(row.operation for row in tab.rows)
        self._meant = _DECIDED if tab.answers[0] == LEAVE else _MEANT
        self.problems: list[Problem] = []

    def answers(self, book: Any) -> dict[str, str]:
        """What each line says; a line that is gone says nothing."""
        name = self._tab.name
        if name not in book.sheet_names:
            self._tell("", f"the tab {name} is gone", "take the workbook as it was made, or plan again")
            return {}
        cells = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        head, places = _headings(cells, self._tab)
        if places is None:
            what = f"no row has the headings {self._tab.asks} and {reviewbook.OPERATION}, once each"
            self._tell(f"{self._path.name}!{name}", what, "they bind the answers to the operations: put them back")
            return {}
        found: dict[str, str] = {}
        for number, row in enumerate(cells[head + 1 :], start=head + 2):
            line = _text(row[places[reviewbook.OPERATION]])
            if line:
                self._read(row, number, line, places, found)
            elif any(_text(cell) for cell in row) and (self._asks_all or _text(row[places[self._tab.asks]])):
                hint = "only whole lines can be deleted; take the workbook as it was made"
                self._tell(self._at(number, places[reviewbook.OPERATION]), "the line does not name its operation", hint)
        return found

    def _read(
        self, row: Sequence[Any], number: int, line: str, places: Mapping[str, int], found: dict[str, str]
    ) -> None:
        place = places[self._tab.asks]
        if line not in self._rows:
            self._tell(
                self._at(number, places[reviewbook.OPERATION]), f"the plan has no operation {line}", "plan again"
            )
            return
        for heading in self._edited(row, self._rows[line], places):
            hint = "only answers can be changed here; mend the sheet, then plan again"
            self._tell(f"{self._at(number, places[heading])} ({heading})", "is not what was written", hint)
        said = _text(row[place])
        answer = self._meant.get(said.casefold())
        if answer is None:
            hint = f"one of: {', '.join(self._tab.answers)}"
            self._tell(f"{self._at(number, place)} ({self._tab.asks})", f'"{said}" is no answer', hint)
        elif found.setdefault(line, answer) != answer:
            self._tell(self._at(number, place), f"{line} has two lines with different answers", "delete one of them")

    def _edited(self, row: Sequence[Any], cells: Sequence[str], places: Mapping[str, int]) -> list[str]:
        """The headings whose cell is not as it was written; a column that was deleted cannot have been edited."""
        return [
            heading
            for heading, cell in zip(self._tab.headings, cells, strict=True)
            if heading in places and (found := row[places[heading]]) != cell and _text(found) != _same(cell)
        ]

    def _at(self, number: int, place: int) -> str:
        return f"{self._path.name}!{self._tab.name}!{column_letter(place)}{number}"

    def _tell(self, where: str, what: str, hint: str) -> None:
        self.problems.append(Problem(where, what, hint))


def _headings(cells: Sequence[Sequence[Any]], tab: Tab) -> tuple[int, dict[str, int] | None]:
    """The row of the headings, and where each stands; None where there is no such row."""
    for number, row in enumerate(cells[:_MOST_HEAD_ROWS]):
        texts = [_text(cell) for cell in row]
        if texts.count(tab.asks) == texts.count(reviewbook.OPERATION) == 1:
            known = {_same(heading): heading for heading in tab.headings}
            names = {text: place for place, text in enumerate(texts) if text}
            places = {known[text]: place for text, place in names.items() if text in known}
            return number, {**places, tab.asks: names[tab.asks], reviewbook.OPERATION: names[reviewbook.OPERATION]}
    return 0, None


def _text(cell: Any) -> str:
    """A cell as text, in one line."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return _same(str(cell))


def _same(text: str) -> str:
    """Text without what programs change when they save a workbook: kinds of blanks, escaped characters."""
    for _ in range(2):  # an escape that was text is escaped itself
        if "_x" in text:
            text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return " ".join(text.split())


def _approver(book: Any) -> str:
    """The name that stands in the summary, "" for none."""
    if reviewbook.SUMMARY not in book.sheet_names:
        return ""
    for row in book.get_sheet_by_name(reviewbook.SUMMARY).to_python(skip_empty_area=False):
        texts = [_text(cell) for cell in row]
        if reviewbook.APPROVED_BY in texts:
            return "".join(texts[texts.index(reviewbook.APPROVED_BY) + 1 :][:1])[:200]
    return ""


def _last_editor(path: Path) -> str:
    """Who saved the workbook last, as their program says; "" where it does not."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("docProps/core.xml") as part:
            text = part.read(1 << 16).decode("utf-8", "replace")
    except (KeyError, OSError, zipfile.BadZipFile):
        return ""
    found = re.search(r"<(?:\w+:)?lastModifiedBy[^>]*>([^<]*)<", text)
    return _same(html.unescape(found[1]))[:200] if found else ""


# --- what is left of the plan --------------------------------------------------------------------------------


def _approved(plan: Plan, found: Mapping[str, str], decided: Mapping[int, str], by: str) -> Plan:
    changes: list[Change] = []
    left_out: list[str] = []
    for change in plan.changes:
        approved, missing = _part(change, found)
        changes += [approved] if approved else []
        left_out += [_named(plan, change, key) for key in missing]
    sides = [
        f"{_named(plan, plan.clashes[place], plan.clashes[place].column)}: {side}" for place, side in decided.items()
    ]
    review = Review(plan.digest, by, tuple(left_out), tuple(sides))
    options = newoptions.needed(changes, plan.columns) if left_out else plan.options
    return replace(plan, changes=tuple(changes), options=options, review=review, forecast=None)


def _part(change: Change, found: Mapping[str, str]) -> tuple[Change | None, list[str]]:
    """What is approved of a change, and the column keys ("" for the whole) of what is not."""
    if isinstance(change, Add | Delete):
        return (change, []) if found.get(line_of(change.op)) == YES else (None, [""])
    missing = [key for key in change.after if found.get(line_of(change.op, key)) != YES]
    if not missing:
        return change, []
    after = {key: text for key, text in change.after.items() if key not in missing}
    if not after:
        return None, missing
    return only(change, after), missing


def only(change: Update, after: Mapping[str, str]) -> Update:
    """An update that writes a part of what it wrote. Subtypes of composite fields are sent as they are, or are lost."""
    fields = {key.partition(".")[0] for key in after if "." in key}
    held = {**change.kept, **{key: text for key, text in change.before.items() if text and "." in key}}
    kept = {key: text for key, text in held.items() if key not in after and key.partition(".")[0] in fields}
    return replace(change, before={key: change.before[key] for key in after}, after=dict(after), kept=kept)


def _named(plan: Plan, change: Any, key: str) -> str:
    title = f" ({title_of(plan.columns, key)})" if key else ""
    kind = kind_of(change) if isinstance(change, Add | Update | Delete) else "conflict"
    return f"{kind} {key_text(change.key)}{title}"
