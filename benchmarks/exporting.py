"""Writing the catalog as a workbook: by the export, and the same cells by xlsxwriter alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import python_calamine
import xlsxwriter
from xlsxwriter.utility import xl_range_abs

from benchmarks import canned
from benchmarks.data import CATALOG_ID, Data
from catalogsync import carried, exportcells, workbook
from catalogsync.api import v2
from catalogsync.api.client import Client
from catalogsync.mapping import resolve
from catalogsync.mappingfile import load_mapping
from catalogsync.model import Column
from catalogsync.reader.own import VALUES_TAB, id_header
from catalogsync.workbook import About

ABOUT = About(30001, CATALOG_ID, "Products", 1_760_000_000, "Europe/Berlin", mapping="products")
SAME_TABS = ("Products", workbook.OPTIONS_TAB, VALUES_TAB)
"""The tabs that both write; the one that tells what the workbook is has a dozen cells."""

Cell = tuple[str, Any]


@dataclass(frozen=True)
class Prepared:
    """What both begin with: elements as canonical text, and, for xlsxwriter, the cells that the export writes."""

    elements: pd.DataFrame
    columns: Sequence[Column]
    kinds: Sequence[str]
    cells: Sequence[Sequence[Any]]
    formats: Sequence[dict[str, Any]]
    widths: Sequence[int]
    lines: Sequence[str]

    def by_us(self, path: Path) -> None:
        """The export's own writer."""
        workbook.write_xlsx(path, self.elements, self.columns, ABOUT)

    def by_xlsxwriter(self, path: Path) -> None:
        """xlsxwriter in constant memory: values, formats and widths lie ready, the drop-downs are the same."""
        with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
            tab = book.add_worksheet("Products")
            for place, (width, settings) in enumerate(zip(self.widths, self.formats, strict=True)):
                tab.set_column(place, place, width, book.add_format(settings))
                tab.write_string(0, place, self.columns[place].header)
            id_place = len(self.columns)
            tab.set_column(id_place, id_place, None, None, {"hidden": True})
            tab.write_string(0, id_place, id_header(ABOUT.account_id, ABOUT.catalog_id, is_part=False))
            writers: dict[str, Callable[..., Any]] = {
                "number": tab.write_number,
                "date": tab.write_datetime,
                "text": tab.write_string,
            }
            columns = [writers[kind] for kind in self.kinds]
            ids = self.elements["id"].tolist()
            for row, (id_, cells) in enumerate(zip(ids, self.cells, strict=True), start=1):
                for place, value in enumerate(cells):
                    if value is not None:
                        columns[place](row, place, value)
                tab.write_number(row, id_place, id_)
            options = book.add_worksheet(workbook.OPTIONS_TAB)
            self._write_options(tab, options)
            hidden = book.add_worksheet(VALUES_TAB)
            for row, line in enumerate(self.lines):
                hidden.write_string(row, 0, line)

    def _write_options(self, tab: Any, options: Any) -> None:
        told = [(place, exportcells.option_texts(column)) for place, column in enumerate(self.columns)]
        listed = [(place, texts) for place, texts in told if texts]
        for at, (place, texts) in enumerate(listed):
            if self.columns[place].type != "multiselect":
                source = f"='{workbook.OPTIONS_TAB}'!{xl_range_abs(1, at, len(texts), at)}"
                tab.data_validation(1, place, 1_048_575, place, {"validate": "list", "source": source})
            options.write_string(0, at, f"Options of {self.columns[place].header}")
        for row in range(max(len(texts) for _, texts in listed)):
            for at, (_, texts) in enumerate(listed):
                if row < len(texts):
                    options.write_string(row + 1, at, texts[row])


def prepared(data: Data) -> Prepared:
    """The catalog as an export gets it, and the cells that it writes."""
    with Client(v2.V2(), canned.Canned(data)) as client:
        schema = client.schema(client.catalog(str(CATALOG_ID)))
        columns = resolve(load_mapping(data.mapping), schema).columns
        elements = client.elements(schema, columns)
    shown = [exportcells.shown(elements, column) for column in columns]
    kinds = ["number" if column.type in {"numeric", "price"} else column.type for column in columns]
    kinds = [kind if kind in {"number", "date"} else "text" for kind in kinds]
    made = [[_value(text, kind) for text in texts] for texts, kind in zip(shown, kinds, strict=True)]
    return Prepared(
        elements,
        columns,
        kinds,
        list(zip(*made, strict=True)),
        [dict(exportcells.format_of(column, texts)) for column, texts in zip(columns, shown, strict=True)],
        [exportcells.width(column.header, texts) for column, texts in zip(columns, shown, strict=True)],
        carried.lines_of(elements, columns, account_id=ABOUT.account_id, catalog_id=CATALOG_ID, made_at=ABOUT.made_at),
    )


def _value(text: str, kind: str) -> Any:
    if not text:
        return None
    return float(text) if kind == "number" else date.fromisoformat(text) if kind == "date" else text


def cells_of(path: Path, tab: str) -> list[list[Any]]:
    """The cells of a tab. What a line of hidden values begins with differs from export to export and is left out."""
    cells = python_calamine.load_workbook(str(path)).get_sheet_by_name(tab).to_python()
    if tab == VALUES_TAB:
        return [[len(str(row[0]))] for row in cells[1:]]
    return cells
