"""Catalog → workbook or CSV file: a table of elements as people read it, to be edited and imported again.

A workbook has the products, the options of their fields, and a tab that tells what it is. The last column of the
products is hidden and holds the elements' ids: its header tells the reader that the sheet is an export, and of what.
A hidden tab carries the values as they were (carried.py).
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import xlsxwriter
from xlsxwriter.utility import xl_range_abs
from xlsxwriter.worksheet import Worksheet

from catalogsync import __version__, carried, exportcells
from catalogsync.errors import UserError
from catalogsync.model import Column
from catalogsync.outfile import Cells, Tab, new_workbook
from catalogsync.reader.own import VALUES_TAB, id_header
from catalogsync.reader.textmark import with_text_mark
from catalogsync.replacing import replacing

OPTIONS_TAB, ABOUT_TAB = "Options", "About"
_MAX_ROWS = 1_048_575
_LAST_COLUMN = 16_383
_HEADING = {"bold": True, "bg_color": "#E8EEF4", "bottom": 1}


@dataclass(frozen=True, slots=True)
class About:
    """What an export says of itself. `made_at` in Unix seconds; `where` are the conditions that left elements out.

    `tab` names the tab of the products, the catalog's name where it is "". `mapping` is the mapping file's name.
    """

    account_id: int
    catalog_id: int
    catalog_name: str
    made_at: int
    timezone: str = ""
    mapping: str = ""
    tab: str = ""
    where: tuple[str, ...] = ()


def write_xlsx(
    path: Path, elements: pd.DataFrame, columns: Sequence[Column], about: About, *, is_protected: bool = False
) -> None:
    """Write elements (``id``, and canonical text by column key) as a workbook.

    `is_protected`: headings, ids and the other tabs cannot be changed; sorting, filtering and new rows stay allowed.
    """
    if len(elements) > _MAX_ROWS:
        raise UserError(f"{path.name}: {len(elements)} elements are more than a workbook holds; export to .csv")
    with new_workbook(path) as book:
        book.set_properties({"created": datetime.fromtimestamp(about.made_at, UTC).replace(tzinfo=None)})
        with_options = [column for column in columns if exportcells.option_texts(column)]
        products = book.add_worksheet(tab_name(about.tab or about.catalog_name))
        tabs = [products]
        _write_products(book, products, elements, columns, about, is_protected=is_protected)
        if with_options:
            tabs.append(book.add_worksheet(_beside(products, OPTIONS_TAB)))
            _write_options(book, tabs[-1], with_options)
            _add_lists(products, columns, tabs[-1], with_options)
        tabs.append(book.add_worksheet(_beside(products, ABOUT_TAB)))
        _write_about(book, tabs[-1], about, len(elements))
        tabs.append(book.add_worksheet(VALUES_TAB))
        _write_values(tabs[-1], elements, columns, about)
        if is_protected:
            for tab in tabs:
                tab.protect("", _ALLOWED if tab is products else {})


_ALLOWED = {"sort": True, "autofilter": True, "insert_rows": True, "delete_rows": True, "format_rows": True}


def write_csv(
    path: Path, elements: pd.DataFrame, columns: Sequence[Column], about: About, *, is_protected: bool = False
) -> None:
    """Write elements as CSV: comma, UTF-8 with a mark that Excel understands. `about` has no place in it.

    Text that a spreadsheet would calculate gets an apostrophe before it, which the reader takes away again.
    """
    if is_protected:
        raise UserError(f"{path.name}: a text file cannot be protected; export to .xlsx")
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow([with_text_mark(column.header) for column in columns])
        cells = [_csv_cells(elements, column) for column in columns]
        rows.writerows(zip(*cells, strict=True))


def _csv_cells(elements: pd.DataFrame, column: Column) -> Sequence[str]:
    """A column's cells. Nothing tells an import that the file is an export: it takes away what such a column lists."""
    if column.multi == "remove":
        return [""] * len(elements)
    return exportcells.for_csv(exportcells.shown(elements, column), column)


Writer = Callable[..., None]
WRITERS: Mapping[str, Writer] = {".xlsx": write_xlsx, ".csv": write_csv}


# --- the tabs ------------------------------------------------------------------------------------------------


def _write_products(
    book: xlsxwriter.Workbook,
    sheet: Tab,
    elements: pd.DataFrame,
    columns: Sequence[Column],
    about: About,
    *,
    is_protected: bool,
) -> None:
    shown = [exportcells.in_cells(elements, column) for column in columns]
    heading = book.add_format(_HEADING)
    unlocked: dict[str, Any] = {"locked": False} if is_protected else {}
    cells = []
    for place, (column, texts) in enumerate(zip(columns, shown, strict=True)):
        wrapped = {"text_wrap": True, "valign": "top"} if exportcells.is_long(column, texts) else {}
        made = book.add_format({**exportcells.format_of(column, texts), **wrapped, **unlocked})
        sheet.set_column(place, place, exportcells.width(column.header, texts), made)
        cells.append(Cells(texts, exportcells.value_maker(column), made))
    id_place = len(columns)
    free = book.add_format(unlocked) if is_protected else None
    sheet.set_column(id_place, id_place, None, free, {"hidden": True})
    if free:  # a row is inserted and deleted only where all its cells are free
        sheet.set_column(id_place + 1, _LAST_COLUMN, None, free)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)  # printed as wide as a page
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(columns):
        sheet.write_string(0, place, column.header, heading)
    sheet.write_string(0, id_place, id_header(about.account_id, about.catalog_id, is_part=bool(about.where)), heading)
    sheet.write_columns(1, [*cells, Cells(elements["id"].tolist(), float, free)])
    sheet.autofilter(0, 0, len(elements), id_place)


def _write_options(book: xlsxwriter.Workbook, sheet: Worksheet, columns: Sequence[Column]) -> None:
    """A column of options for each field that has some, below the heading of the products' column."""
    texts = [exportcells.option_texts(column) for column in columns]
    heading, words = book.add_format(_HEADING), book.add_format({"num_format": "@"})
    for place, (column, told) in enumerate(zip(columns, texts, strict=True)):
        sheet.set_column(place, place, exportcells.width(column.header, told), words)
        sheet.write_string(0, place, f"Options of {column.header}", heading)
    sheet.freeze_panes(1, 0)
    for row in range(max(map(len, texts), default=0)):
        for place, told in enumerate(texts):
            if row < len(told):
                sheet.write_string(row + 1, place, told[row])


def _add_lists(sheet: Worksheet, columns: Sequence[Column], options: Worksheet, with_options: Sequence[Column]) -> None:
    """A drop-down in each column that holds one option, in rows to come too. What is not listed may be typed."""
    places = {column.key: place for place, column in enumerate(with_options)}
    for place, column in enumerate(columns):
        if column.key not in places or column.type == "multiselect":
            continue
        last = len(exportcells.option_texts(column))
        source = f"='{options.get_name()}'!{xl_range_abs(1, places[column.key], last, places[column.key])}"
        rule = {"validate": "list", "source": source, "error_type": "warning", "show_error": column.unknown != "add"}
        title = "Not an option of this field"
        rule |= {"error_title": title, "error_message": "The import refuses what is not on the tab Options."}
        sheet.data_validation(1, place, _MAX_ROWS, place, rule)


def _write_about(book: xlsxwriter.Workbook, sheet: Worksheet, about: About, count: int) -> None:
    bold = book.add_format({"bold": True, "valign": "top"})
    wrapped = book.add_format({"text_wrap": True, "valign": "top", "num_format": "@"})
    sheet.set_column(0, 0, 16, bold)
    sheet.set_column(1, 1, 90, wrapped)
    for row, (name, text) in enumerate(_about_lines(about, count)):
        sheet.write_string(row, 0, name)
        sheet.write_string(row, 1, text)


def _write_values(sheet: Worksheet, elements: pd.DataFrame, columns: Sequence[Column], about: About) -> None:
    """The values as the catalog holds them, so that edits are told from those made in the catalog meanwhile."""
    sheet.very_hidden()
    lines = carried.lines_of(
        elements,
        columns,
        account_id=about.account_id,
        catalog_id=about.catalog_id,
        made_at=about.made_at,
        is_part=bool(about.where),
    )
    for row, line in enumerate(lines):
        sheet.write_string(row, 0, line)


def _about_lines(about: About, count: int) -> Iterator[tuple[str, str]]:
    made = datetime.fromtimestamp(about.made_at, UTC)
    zone = "UTC"
    with contextlib.suppress(ValueError, OSError, ZoneInfoNotFoundError):  # a zone that this machine does not know
        made, zone = made.astimezone(ZoneInfo(about.timezone)), about.timezone
    yield "Catalog", f"{about.catalog_name} (id {about.catalog_id}, account {about.account_id})"
    yield "Exported", f"{made:%Y-%m-%d %H:%M} ({zone})"
    yield "By", f"catalogsync {__version__}"
    yield "Products", f"{count:,}" + (f", those with {' and '.join(about.where)}" if about.where else "")
    yield "Mapping", about.mapping or "none: every field of the catalog"
    yield (
        "Sending it back",
        "Edit, save as .xlsx, then `catalogsync plan FILE -m MAPPING` shows what would change, and "
        "`catalogsync import FILE -m MAPPING` asks and does it."
        + ("" if about.mapping else " `catalogsync init FILE --catalog ID` makes the mapping."),
    )
    yield "Cells", "Only the cells that you change are sent. A row that you add is a new product."
    yield "Rows", "A row that you delete changes nothing, unless the mapping says otherwise (`missing:`)."
    yield "Hidden column", "It holds the products' ids, so that one whose key you change stays the same product."
    yield (
        "Hidden tab",
        "It holds the values as they were, so that your edits are told from those made in the catalog meanwhile. "
        "If it is gone or was changed, the import compares the cells with the catalog as they are, and says so.",
    )


def tab_name(title: str) -> str:
    """A tab name that Excel accepts: no reserved characters, 31 at most."""
    name = "".join(char for char in title if char.isprintable() and char not in "[]:*?/\\").strip(" '")
    name = name[:31].strip(" '") or "Catalog"
    return f"{name} (products)" if name.casefold() == "history" else name  # Excel keeps that one for itself


def _beside(products: Worksheet, name: str) -> str:
    """The name of a tab, another one where the products' tab has it."""
    return name if products.get_name().casefold() != name.casefold() else f"{name} of the fields"
