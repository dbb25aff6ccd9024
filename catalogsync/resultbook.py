"""Result workbook: after an import, what became of each row, and the rows that need a person, to be mended.

the sheet's tab   the rows that need a person, as they were read, in the columns of the person's own sheet. A hidden
                  column says that they are a part (reader/own.py), so the file can be mended and imported by itself.
                  Rows of an exported workbook stay rows of it: they carry its values along
Results           every row of the sheet, and what was done to elements without a row
Summary           the run and the counts
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from catalogsync import newoptions
from catalogsync.celltext import too_long_mark
from catalogsync.errors import CatalogSyncError, GuardRefused, UserError
from catalogsync.mappingfile import load_mapping
from catalogsync.model import Change
from catalogsync.outcomes import Line, Note, Outcome, Outcomes, is_of, outcomes_of
from catalogsync.outfile import new_workbook
from catalogsync.plan import Plan
from catalogsync.plantext import source_words
from catalogsync.reader import ReadOptions, Sheet, read_sheet
from catalogsync.reader.own import ROW, VALUES_TAB, header_of, id_header, result_header
from catalogsync.reader.sheet import ERROR_TEXTS
from catalogsync.replacing import written_beside
from catalogsync.sheetcells import CellWriter, is_number
from catalogsync.wording import title_of
from catalogsync.workbook import tab_name
from catalogsync.writer import Report

RESULT, REASON = "Result", "Reason"
RESULTS, SUMMARY = "Results", "Summary"
UNREAD: Final = "#N/A"
"""Stands for a cell that could not be read, so that it is refused again as long as nobody mends it."""

MOST_COMMENTS = 20_000
"""More comments than this make a workbook that spreadsheet programs hardly open; further cells are only coloured."""

COLOURS: Final[Mapping[Outcome, str]] = {
    "done": "#C6EFCE", "skipped": "#E7E6E6", "not applied": "#FFF2CC", "not sent": "#FFF2CC", "rejected": "#FFC7CE",
    "failed": "#FFC7CE", "conflict": "#E4D7F5", "unknown": "#FFDDB0", "no product": "#E7E6E6",
}  # fmt: skip

_BESIDE = "of the import"
_AUTHOR = "catalogsync"
_HEADINGS: Final = (("Row", 8), ("Key", 22), (RESULT, 12), (REASON, 70), ("Change", 50), ("Element", 12))
_HEADING: Final = {"bold": True, "bg_color": "#E8EEF4", "bottom": 1, "valign": "top"}
_TOLD = 3
_MOST_ROWS = 1_048_575
_MOST_COLUMNS = 16_384
_MOST_CHARACTERS = 32_767
_LONGEST_COMMENT = 1_000
_LONGEST_REASON = 2_000
_REASON_WIDTH = 80
_MEASURED_ROWS = 200
_LINE_POINTS, _MOST_LINES = 15, 12
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NOT_IN_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Written:
    """A result workbook: another file than asked for where that one was in use.

    `counts` are the rows by what became of them, `to_mend` those on the first tab.
    """

    path: Path
    counts: Mapping[Outcome, int]
    to_mend: int


def write_result(
    path: Path,
    sheet: Sheet,
    plan: Plan,
    report: Report | None = None,
    *,
    why_not: str = "",
    ids: pd.Series | None = None,
    left_out: Iterable[Change] = (),
) -> Written:
    """Write what became of the rows of a sheet; the arguments as for `outcomes_of`.

    Raises UserError where it cannot be written.
    """
    outcomes = outcomes_of(sheet, plan, report, why_not=_first_line(why_not), ids=ids, left_out=left_out)
    if report is not None:
        plan = newoptions.with_ids(plan, report.options)
    positions = outcomes.to_mend().tolist()
    if len(positions) > _MOST_ROWS or len(sheet.headers) + 3 > _MOST_COLUMNS:
        raise UserError(f"{path}: the sheet is larger than a workbook can be")

    def write(free: Path) -> None:
        with new_workbook(free) as book:
            book.set_properties({"created": datetime.fromtimestamp(plan.made_at, UTC).replace(tzinfo=None)})
            cells = CellWriter(book)
            own = book.add_worksheet(own_tab(sheet))
            _Mending(own, cells, outcomes, plan).write(positions)
            results = book.add_worksheet(_beside(RESULTS, sheet))
            left_out = _write_results(results, cells, outcomes)
            _write_summary(
                book.add_worksheet(_beside(SUMMARY, sheet)), cells, outcomes, plan, report, why_not, positions, left_out
            )
            if plan.export:
                values = book.add_worksheet(VALUES_TAB)
                values.very_hidden()
                for row, line in enumerate(sheet.carried):
                    values.write_string(row, 0, line)
            if not positions:
                results.activate()

    return Written(written_beside(path, write), outcomes.counts, len(positions))


def read_source(path: Path, plan: Plan, mapping_path: Path | None = None) -> Sheet:
    """The sheet that a stored plan was made of, read again; `mapping_path` where its ``read:`` is needed.

    Raises SheetError where it cannot be read, UserError where it is not that sheet any longer.
    """
    tab = source_words(plan.source).partition("!")[2] or None
    given = ReadOptions(tab=tab)
    file = load_mapping(mapping_path) if mapping_path else None
    titles = [shown.title for shown in plan.columns.values()]
    sheet = read_sheet(path, file.read_options(given) if file else given, expect=file.headers if file else titles)
    if any(not problem.spots for problem in plan.rejected):
        raise UserError("the plan does not say which rows it rejected: an older version stored it; plan again")
    if not is_of(sheet, plan):
        told = (
            f"{path} has {len(sheet.rows)} rows, the sheet of the plan had {plan.sheet_rows}, or they stand elsewhere"
        )
        raise UserError(f"{told}; it was edited since, or -m MAPPING is needed to read it as it was read")
    return sheet


def why_not_applied(error: CatalogSyncError) -> str:
    """Why a plan was not applied: in a line for the rows, then in full for the summary."""
    problems = error.problems if isinstance(error, GuardRefused) else ()
    told = "; ".join(f"{problem.where}: {problem.what}".removeprefix(": ") for problem in problems[:_TOLD])
    return f"{told or _first_line(str(error))}\n{error}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def own_tab(sheet: Sheet) -> str:
    """The name of the first tab: that of the person's own, which the mapping may ask for."""
    return tab_name(sheet.tab or sheet.path.stem)


def _beside(name: str, sheet: Sheet) -> str:
    """The name of a tab of ours, another one where the person's has it."""
    return name if own_tab(sheet).casefold() != name.casefold() else f"{name} {_BESIDE}"


def _plain(text: str, most: int = _MOST_CHARACTERS) -> str:
    return _NO_CHARACTER.sub("�", text if len(text) <= most else f"{text[: most - 1]}…")


def _set_height(tab: Any, row: int, *wrapped: tuple[str, int]) -> None:
    """Make a row as high as its wrapped texts (text, column's width) need, about: not every program does so itself."""
    lines = max(sum(1 + len(line) // wide for line in text.split("\n")) for text, wide in wrapped)
    if lines > 1:
        tab.set_row(row, _LINE_POINTS * min(lines, _MOST_LINES))


# --- the rows to be mended -----------------------------------------------------------------------------------


class _Mending:
    """The tab of the rows that need a person."""

    def __init__(self, tab: Any, cells: CellWriter, outcomes: Outcomes, plan: Plan) -> None:
        self._tab, self._cells, self._outcomes, self._plan = tab, cells, outcomes, plan
        self._sheet = outcomes.sheet
        self._width = own_width(self._sheet, plan)
        self._comments = 0

    def write(self, positions: list[int]) -> None:
        """Write the rows at these positions of the sheet below its headers."""
        tab, cells, sheet, width = self._tab, self._cells, self._sheet, self._width
        names = _free_names(sheet.headers[:width])
        head = cells.style(**_HEADING)
        for place, header in enumerate(sheet.headers[:width]):
            longest = max(map(len, sheet.cells[place].iloc[positions[:_MEASURED_ROWS]]), default=0)
            tab.set_column(place, place, min(40, max(9, len(header) + 3, longest + 1)))
            if header and header_of([[header]]) is None:  # a second mark would make both none
                tab.write_string(0, place, _plain(header), head)
        for place, (name, wide) in enumerate(zip(names, (12, _REASON_WIDTH), strict=True), start=width):
            tab.set_column(place, place, wide)
            tab.write_string(0, place, name, head)
        tab.set_column(width + 2, width + 2, None, None, {"hidden": True})
        account_id, catalog_id = self._plan.account_id, self._plan.catalog_id
        is_export = bool(self._plan.export)
        mark = id_header(account_id, catalog_id, is_part=True) if is_export else result_header(account_id, catalog_id)
        tab.write_string(0, width + 2, mark, head)
        unread = self._unread(set(positions))
        texts = sheet.cells.iloc[positions, :width].itertuples(index=False, name=None)
        for row, (position, values) in enumerate(zip(positions, texts, strict=True), start=1):
            self._write_row(row, position, values, unread)
        tab.freeze_panes(1, 0)
        tab.set_landscape()
        tab.fit_to_pages(1, 0)
        tab.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        tab.autofilter(0, 0, max(1, len(positions)), width + 2)

    def _write_row(self, row: int, position: int, values: tuple[str, ...], unread: set[tuple[int, int]]) -> None:
        tab, cells = self._tab, self._cells
        line = self._outcomes.line(position)
        told = _by_column(self._outcomes.notes(position), self._width)
        reason = _plain(line.reason, _LONGEST_REASON)
        _set_height(tab, row, (reason, _REASON_WIDTH))
        for place, text in enumerate(values):
            words = told.get(place)
            if not text and not words and (position, place) not in unread:
                continue
            style = {"valign": "top", **({"bg_color": COLOURS[line.outcome]} if words else {})}
            as_number = is_number(self._sheet, position, place)
            if (position, place) in unread:
                self._write_unread(row, place, text, as_number=as_number, **style)
            else:
                cells.write(tab, row, place, _as_read(text), as_number=as_number, **style)
            if words and self._comments < MOST_COMMENTS:
                self._comments += 1
                size = {"author": _AUTHOR, "x_scale": 2.5, "y_scale": 1.5}
                tab.write_comment(row, place, _plain(words, _LONGEST_COMMENT), size)
        cells.write(tab, row, self._width, line.outcome, bg_color=COLOURS[line.outcome], valign="top")
        cells.write(tab, row, self._width + 1, reason, text_wrap=True, valign="top")
        own = self._sheet.element_ids
        id_ = int(own.ids[position]) if own is not None and self._has_ids else 0
        if id_ > 0:
            tab.write_number(row, self._width + 2, id_)
        else:
            tab.write_string(row, self._width + 2, ROW)

    @property
    def _has_ids(self) -> bool:
        """Whether the sheet's own ids are of this catalog. Where it has none, none are made up: a key that is mended
        means another product then, as it does in the sheet itself."""
        own, plan = self._sheet.element_ids, self._plan
        return own is not None and (own.account_id, own.catalog_id) == (plan.account_id, plan.catalog_id)

    def _unread(self, positions: set[int]) -> set[tuple[int, int]]:
        """The cells that the reader could not read."""
        return {
            (problem.position, problem.column)
            for problem in self._sheet.problems
            if problem.position in positions and problem.position is not None and problem.column is not None
        }

    def _write_unread(self, row: int, place: int, text: str, *, as_number: bool, **style: Any) -> None:
        """A cell that could not be read, as what is refused again: an inexact number as a number, else an error."""
        if as_number:
            self._tab.write_number(row, place, float(text), self._cells.style(**style))
        else:
            self._cells.write(self._tab, row, place, text if text in ERROR_TEXTS else UNREAD, **style)


def own_width(sheet: Sheet, plan: Plan) -> int:
    """How many columns are the person's own: in a mended result workbook not those that say what became of a row."""
    width = len(sheet.headers)
    if sheet.element_ids is None or not sheet.element_ids.is_part or width < 3:
        return width
    mapped = {title_of(plan.columns, key) for key in plan.columns}
    last = sheet.headers[-2:]
    is_ours = all(text in (name, f"{name} {_BESIDE}") for text, name in zip(last, (RESULT, REASON), strict=True))
    return width - 2 if is_ours and mapped.isdisjoint(last) else width


def _free_names(headers: tuple[str, ...]) -> tuple[str, str]:
    """Headers of the two columns that no column of the person has."""
    taken = {header.casefold() for header in headers}
    result, reason = (f"{name} {_BESIDE}" if name.casefold() in taken else name for name in (RESULT, REASON))
    return result, reason


def _as_read(text: str) -> str:
    """A text of the sheet as a cell can hold it: one that is too long is left as in the catalog by an import."""
    text = _NOT_IN_XML.sub("�", text)
    fits = (
        len(text) <= _MOST_CHARACTERS // 2 or len(text.encode("utf-16-le")) // 2 <= _MOST_CHARACTERS
    )  # as Excel counts
    return text if fits else too_long_mark(len(text))


def _by_column(notes: list[Note], width: int) -> dict[int, str]:
    """What is wrong with the cells of a row."""
    told: dict[int, list[str]] = {}
    for note in notes:
        if note.is_problem and note.column is not None and note.column < width:
            told.setdefault(note.column, []).append(note.words)
    return {column: "\n\n".join(dict.fromkeys(words)) for column, words in told.items()}


# --- every row, and the counts -------------------------------------------------------------------------------


def _write_results(tab: Any, cells: CellWriter, outcomes: Outcomes) -> int:
    """Every row, then the elements without one. How many unchanged rows were left out, where a tab holds not all."""
    head = cells.style(**_HEADING)
    for place, (heading, width) in enumerate(_HEADINGS):
        tab.set_column(place, place, width)
        tab.write_string(0, place, heading, head)
    total = sum(outcomes.counts.values()) + len(outcomes.others)
    is_whole = total <= _MOST_ROWS
    wrapped: dict[str, Any] = {"text_wrap": True, "valign": "top"}
    top, left = cells.style(valign="top"), cells.style(valign="top", align="left")
    widths = dict(_HEADINGS)
    row = 0
    for line in outcomes.lines():
        if (not is_whole and line.outcome == "unchanged") or row == _MOST_ROWS:
            continue
        row += 1
        reason = _plain(line.reason, _LONGEST_REASON)
        if reason or line.change:
            _set_height(tab, row, (reason, widths[REASON]), (line.change, widths["Change"]))
        if line.row:
            tab.write_number(row, 0, line.row, left)
        cells.write(tab, row, 1, _plain(line.key), valign="top")
        if line.outcome in COLOURS:
            cells.write(tab, row, 2, line.outcome, valign="top", bg_color=COLOURS[line.outcome])
        else:
            tab.write_string(row, 2, line.outcome, top)
        if reason:
            cells.write(tab, row, 3, reason, **wrapped)
        if line.change:
            cells.write(tab, row, 4, _plain(line.change), **wrapped)
        if line.element_id:
            tab.write_number(row, 5, line.element_id, top)
    tab.freeze_panes(1, 0)
    tab.set_landscape()
    tab.fit_to_pages(1, 0)
    tab.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
    tab.autofilter(0, 0, max(1, row), len(_HEADINGS) - 1)
    return total - row


def _write_summary(
    tab: Any,
    cells: CellWriter,
    outcomes: Outcomes,
    plan: Plan,
    report: Report | None,
    why_not: str,
    positions: list[int],
    left_out: int,
) -> None:
    tab.set_column(0, 0, 22)
    tab.set_column(1, 1, 100)
    tab.set_landscape()
    tab.fit_to_pages(1, 0)
    lines = summary_lines(outcomes, plan, report, why_not, to_mend=len(positions), left_out=left_out)
    for row, (title, text) in enumerate(lines):
        _set_height(tab, row, (text, 100))
        cells.write(tab, row, 0, title, bold=True, valign="top")
        cells.write(tab, row, 1, _plain(text), text_wrap=True, valign="top")


def summary_lines(
    outcomes: Outcomes, plan: Plan, report: Report | None, why_not: str, *, to_mend: int, left_out: int = 0
) -> Iterator[tuple[str, str]]:
    """The run and its counts, a title and a text each."""
    yield "Sheet", source_words(plan.source)
    yield "Catalog", f"{plan.catalog_name} (catalog {plan.catalog_id}, account {plan.account_id})"
    yield "Mapping", plan.mapping
    yield "Planned", datetime.fromtimestamp(plan.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    yield "Run", str(report.run_id) if report else "none: nothing was written"
    if report is None and why_not:
        yield "Why", why_not.partition("\n")[2] or why_not
    if report is not None and report.stopped_by:
        yield "Stopped", str(report.stopped_by)
    for outcome, count in outcomes.counts.items():
        yield f"Rows {outcome}" if outcome != "no product" else "Rows, no product", str(count)
    for words, count in _others(outcomes.others).items():
        yield "Elements without a row", f"{count} {words}"
    if outcomes.lost:
        rows = ", ".join(str(line.row) for line in outcomes.lost[:20])
        yield "Not read", f"{len(outcomes.lost)} rows could not be read as rows; mend them in the sheet itself ({rows})"
    if left_out:
        yield "Left out", f"{left_out} unchanged rows are not listed: a tab holds no more than {_MOST_ROWS:,}"
    if to_mend:
        name = own_tab(outcomes.sheet)
        yield (
            "To be mended",
            f"{to_mend} rows, on the tab {name}. Mend its cells, save, and import this file with the same mapping: it "
            "is a part of the sheet, so no other product changes. A row that you delete there is left as it is.",
        )


def _others(others: tuple[Line, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in others:
        counts[line.outcome] = counts.get(line.outcome, 0) + 1
    return counts
