"""A copy of a person's sheet with every problem cell coloured and commented, and a tab that lists the problems.

An XLSX is copied as it is, as far as openpyxl carries it over; of any other file the copy is a workbook made of the
cells that were read, each in its row and column. Text stays text: nothing of the sheet becomes a formula.
"""

from __future__ import annotations

import importlib.util
import re
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, MergedCell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.worksheet.hyperlink import Hyperlink

from catalogsync.errors import Problem, UserError
from catalogsync.outfile import new_workbook
from catalogsync.reader import Sheet, column_letter
from catalogsync.reader.books import is_light
from catalogsync.replacing import replacing
from catalogsync.sheetcells import LIKE_FORMULA, CellWriter, is_number
from catalogsync.workbook import tab_name

TAB = "Problems"
AUTHOR = "catalogsync"
RED, YELLOW = "FFC7CE", "FFEB9C"

MOST_COMMENTS = 20_000
"""More comments than this make a workbook that spreadsheet programs hardly open; further cells are only coloured."""

_MOST_LINKS = 60_000  # a tab holds 65,530
_MOST_ROWS = 1_048_576
_MOST_COLUMNS = 16_384
_MOST_CHARACTERS = 32_767
_LONGEST_COMMENT = 1_000
_HEADINGS = ("Kind", "Where", "What", "What to do")
_WIDTHS = (10, 44, 70, 60)

_NOT_CARRIED = {
    "xl/vbaProject": "macros",
    "xl/activeX": "form controls",
    "xl/ctrlProps": "form controls",
    "xl/slicers": "slicers",
    "xl/threadedComments": "threads of comments",
    "xl/diagrams": "diagrams",
    "xl/richData": "pictures inside cells",
}


@dataclass
class _Mark:
    """What is said of one cell."""

    is_problem: bool = False
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        told = "\n\n".join(self.words)
        return _plain(told if len(told) <= _LONGEST_COMMENT else told[: _LONGEST_COMMENT - 1] + "…")


def write_marked(
    out: Path, sheet: Sheet | None, problems: Sequence[Problem], warned: Sequence[Problem]
) -> tuple[str, ...]:
    """Write the marked copy of a sheet; only the list of problems where the sheet cannot be read (None).

    What the copy lacks, in words. Raises UserError where it cannot be written.
    """
    marks = _marks(sheet, problems, warned)
    told = [*(("problem", problem) for problem in problems), *(("warning", problem) for problem in warned)]
    notes = []
    if len(marks) > MOST_COMMENTS:
        notes.append(f"only the first {MOST_COMMENTS} of {len(marks)} cells have a comment, all are coloured")
    if len(told) >= _MOST_ROWS:
        notes.append(f"the tab {TAB} lists the first {_MOST_ROWS - 1} of {len(told)}")
        told = told[: _MOST_ROWS - 1]
    if sheet is not None and _is_xlsx(sheet.path) and not is_light(sheet.path):
        notes.append("the workbook is too large to be copied: made of the cells that were read")
    elif sheet is not None and _is_xlsx(sheet.path):
        try:
            return (*_mark_copy(out, sheet, marks, told), *notes)
        except UserError:
            raise
        except Exception as error:  # openpyxl raises whatever it meets in a file that it does not know
            notes.append(f"the workbook could not be copied ({type(error).__name__}): made of the cells that were read")
    _write_cells(out, sheet, marks, told)
    if sheet is not None:
        notes.append("the copy holds the cells that were read, without formats and formulas")
    return tuple(notes)


def _marks(sheet: Sheet | None, problems: Sequence[Problem], warned: Sequence[Problem]) -> dict[tuple[int, int], _Mark]:
    marks: dict[tuple[int, int], _Mark] = {}
    for is_problem, some in ((True, problems), (False, warned)):
        for problem in some if sheet is not None else ():
            words = problem.what + (f"\n{problem.hint}" if problem.hint else "")
            for spot in problem.spots:
                mark = marks.setdefault((spot.row, spot.column or 0), _Mark())
                mark.is_problem |= is_problem
                mark.words.append(words)
    return marks


def _is_xlsx(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as file:
            return "xl/workbook.xml" in file.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _plain(text: str) -> str:
    """Text without what a workbook cannot hold."""
    return str(ILLEGAL_CHARACTERS_RE.sub("�", text))[:_MOST_CHARACTERS]


def _place(sheet: Sheet | None, problem: Problem, tab: str) -> str:
    """Where the first cell of a problem is, as a link inside the workbook; "" where it is in none."""
    if sheet is None or not problem.spots:
        return ""
    spot = problem.spots[0]
    escaped = tab.replace("'", "''")
    return f"'{escaped}'!{column_letter(spot.column or 0)}{spot.row}"


# --- a copy of a workbook ------------------------------------------------------------------------------------


def _mark_copy(
    out: Path, sheet: Sheet, marks: dict[tuple[int, int], _Mark], told: Sequence[tuple[str, Problem]]
) -> list[str]:
    with warnings.catch_warnings(record=True) as dropped:
        warnings.simplefilter("always")
        book = openpyxl.load_workbook(sheet.path, rich_text=True)
    book.template = False
    tab = book[sheet.tab or book.sheetnames[0]]
    fills = {True: PatternFill("solid", fgColor=RED), False: PatternFill("solid", fgColor=YELLOW)}
    for count, ((row, column), mark) in enumerate(marks.items()):
        cell = _unmerged(tab, row, column + 1)
        cell.fill = fills[mark.is_problem]
        if count < MOST_COMMENTS:
            before = f"{cell.comment.text}\n\n" if cell.comment else ""
            cell.comment = Comment(before + mark.text, AUTHOR, height=120, width=320)
    _list_in(book, sheet, told)
    with replacing(out) as temporary:
        book.save(temporary)
    lost = _not_carried(sheet.path, [str(warning.message) for warning in dropped])
    return [f"the copy lacks {lost} of your workbook, which is itself unchanged"] if lost else []


def _unmerged(tab: Any, row: int, column: int) -> Any:
    """A cell, or the one that shows in its place where cells are merged."""
    cell = tab.cell(row, column)
    if isinstance(cell, MergedCell):
        for area in tab.merged_cells.ranges:
            if area.min_row <= row <= area.max_row and area.min_col <= column <= area.max_col:
                return tab.cell(area.min_row, area.min_col)
    return cell


def _list_in(book: Any, sheet: Sheet, told: Sequence[tuple[str, Problem]]) -> None:
    """The tab that lists the problems, last and on top."""
    name = TAB
    while name.casefold() in {each.casefold() for each in book.sheetnames}:
        name += "_"
    listed = book.create_sheet(name)
    bold, wrapped = Font(bold=True), Alignment(wrap_text=True, vertical="top")
    for place, (heading, width) in enumerate(zip(_HEADINGS, _WIDTHS, strict=True), start=1):
        listed.cell(1, place, heading).font = bold
        listed.column_dimensions[column_letter(place - 1)].width = width
    listed.freeze_panes = "A2"
    for row, (kind, problem) in enumerate(told, start=2):
        for place, text in enumerate((kind, problem.where, problem.what, problem.hint), start=1):
            cell = listed.cell(row, place, _plain(text))
            cell.data_type = "s"  # what begins with = is text
            cell.alignment = wrapped
            cell.quotePrefix = text.startswith(LIKE_FORMULA)
        link = _place(sheet, problem, sheet.tab or "") if row <= _MOST_LINKS else ""
        if link:
            cell = listed.cell(row, 2)
            cell.hyperlink = Hyperlink(ref=cell.coordinate, location=link)
            cell.font = Font(color="0563C1", underline="single")
    for each in book.worksheets:  # two selected tabs would both take what is typed
        each.sheet_view.tabSelected = each is listed
    book.active = book.index(listed)


def _not_carried(path: Path, dropped: Collection[str]) -> str:
    """What openpyxl does not carry over, as far as it is seen from outside."""
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
    lost = [words for start, words in _NOT_CARRIED.items() if any(name.startswith(start) for name in names)]
    if any(name.startswith("xl/media/") for name in names) and importlib.util.find_spec("PIL") is None:
        lost.append("images")
    if any(re.match(r"xl/drawings/drawing[0-9]*\.xml", name) for name in names):
        lost.append("shapes and some of the look of charts")
    lost += [
        words
        for start, words in (("Data Validation", "newer drop-down lists"), ("Conditional", "newer conditional formats"))
        if any(warning.startswith(start) for warning in dropped)
    ]
    return ", ".join(dict.fromkeys(lost))


# --- a workbook of the cells that were read ------------------------------------------------------------------


def _write_cells(
    out: Path, sheet: Sheet | None, marks: dict[tuple[int, int], _Mark], told: Sequence[tuple[str, Problem]]
) -> None:
    _refuse_too_large(out, sheet)
    with new_workbook(out) as book:
        tab = tab_name((sheet.tab or sheet.path.stem) if sheet else "")
        if tab.casefold() == TAB.casefold():
            tab = f"{tab}_"
        if sheet is not None:
            _write_sheet(book, book.add_worksheet(tab), sheet, marks)
        _write_list(book, sheet, told, tab)


def _refuse_too_large(out: Path, sheet: Sheet | None) -> None:
    if sheet is None or not len(sheet.rows):
        return
    if int(sheet.rows[-1]) > _MOST_ROWS or len(sheet.headers) > _MOST_COLUMNS:
        raise UserError(f"{out}: the sheet is larger than a workbook can be; use --json")


def _write_sheet(book: Any, tab: Any, sheet: Sheet, marks: dict[tuple[int, int], _Mark]) -> None:
    cells = CellWriter(book)
    bold = book.add_format({"bold": True})
    marked = {row for row, _ in marks}
    commented = set(list(marks)[:MOST_COMMENTS])
    header_row = _header_row(sheet)
    if header_row:
        for place, text in enumerate(sheet.headers):
            tab.write_string(header_row - 1, place, _plain(text), bold)
    for row, position, texts in _rows(sheet):
        for place, text in enumerate(texts):
            mark = marks.get((row, place)) if row in marked else None
            style = {"bg_color": f"#{RED if mark.is_problem else YELLOW}"} if mark else {}
            as_number = position >= 0 and is_number(sheet, position, place)
            cells.write(tab, row - 1, place, _plain(text), as_number=as_number, **style)
            if mark and (row, place) in commented:
                size = {"author": AUTHOR, "x_scale": 2.5, "y_scale": 1.5}
                tab.write_comment(row - 1, place, mark.text, size)


def _rows(sheet: Sheet) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Every row that was read, in order: its number, its position in the table (-1: it is no product), its texts."""
    cells, numbers = sheet.cells, sheet.rows
    if sheet.skipped is not None:
        cells = pd.concat([cells, sheet.skipped.cells], ignore_index=True)
        numbers = np.concatenate([numbers, sheet.skipped.rows])
    order = np.argsort(numbers, kind="stable")
    texts = cells.iloc[order].itertuples(index=False, name=None)
    for place, row in zip(order.tolist(), texts, strict=True):
        yield int(numbers[place]), place if place < len(sheet.rows) else -1, row


def _header_row(sheet: Sheet) -> int:
    """The row that the headers are written to: the last of those that they were read from; 0 where there is none."""
    first = int(sheet.rows[0]) if len(sheet.rows) else 2
    told = re.match(r"(?:[0-9]+[-–])?([0-9]+)", sheet.facts.get("header row", ""))
    row = int(told[1]) if told else first - 1 if any(sheet.headers) else 0
    return row if row < first else 0


def _write_list(book: Any, sheet: Sheet | None, told: Sequence[tuple[str, Problem]], tab: str) -> None:
    listed = book.add_worksheet(TAB)
    bold, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    quoted = book.add_format({"text_wrap": True, "valign": "top", "quote_prefix": True})
    link = book.add_format({"font_color": "#0563C1", "underline": 1, "valign": "top", "text_wrap": True})
    for place, (heading, width) in enumerate(zip(_HEADINGS, _WIDTHS, strict=True)):
        listed.set_column(place, place, width)
        listed.write_string(0, place, heading, bold)
    listed.freeze_panes(1, 0)
    for row, (kind, problem) in enumerate(told, start=1):
        target = _place(sheet, problem, tab) if row < _MOST_LINKS else ""
        for column, text in enumerate((kind, problem.where, problem.what, problem.hint)):
            if column == 1 and target:
                listed.write_url(row, column, f"internal:{target}", link, _plain(text)[:255])
            else:
                listed.write_string(row, column, _plain(text), quoted if text.startswith(LIKE_FORMULA) else wrapped)
    listed.activate()
