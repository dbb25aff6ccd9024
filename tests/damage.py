"""Ways to damage a clean sheet, each by its name, and what came of each: `python -m tests.damage` prints the table.

A clean sheet of 60 products is imported once; then each damaged one is planned. What came of it is

identical  the plan changes nothing, and nothing is said: the sheet was read as if it were whole
detected   the sheet is refused, a guard stops the plan, or the damaged rows are rejected and the others change nothing
warned     the plan would change the catalog, and a warning names every row of it and the damage by name
missed     the plan would change the catalog: the clean sheet says what the catalog says, so any change is damage
"""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import xlsxwriter

from catalogsync import sync
from catalogsync.errors import Problem, UserError
from catalogsync.guards import stopping
from catalogsync.model import Delete
from tests.e2e.worlds import World, all_done, world

HEADERS = ["code", "name", "category", "price", "stock", "date", "active"]
CATEGORIES = ["Канцелярія", "Папір", "Папки", "Дошки", "Інше"]
FIELDS: Sequence[Mapping[str, Any]] = [
    {"name": "Code", "type": "text"},
    {"name": "Category", "type": "select", "enums": CATEGORIES},
    {"name": "Price", "type": "price", "code": "PRICE"},
    {"name": "Stock", "type": "numeric"},
    {"name": "Date", "type": "date"},
    {"name": "Active", "type": "checkbox"},
]
MAPPING = """
catalog: 4220
key: code
missing: {missing}
columns:
  code: Code
  name: name
  category: {{field: Category, unknown: {unknown}}}
  price: {{field: PRICE, decimal: ",", currency: UAH}}
  stock: Stock
  date: Date
  active: Active
"""
Rows = list[list[str]]
BASE_DAY = date(2026, 1, 3)


def clean_rows() -> Rows:
    """60 products; a third have codes with leading zeros, a third with letters, a third with 13 digits."""
    rows = []
    for number in range(60):
        code = [f"{107 + number:05}", f"AB-{1000 + number}", f"{4820000000107 + 13 * number}"][number % 3]
        name = f"Зошит «Їжак» №{(number * 37) % 60 + 1}, {12 + number % 7} аркушів"
        price = f"{(number * 7919) % 1900 + 21},{(number * 31) % 100:02}"
        day = BASE_DAY + timedelta(days=(number * 11) % 150)
        stock = str((number * 53) % 400 + 3)
        active = "так" if (number * 7) % 5 < 3 else "ні"
        rows.append([code, name, CATEGORIES[(number * 3) % 5 - number % 2], price, stock, f"{day:%d.%m.%Y}", active])
    return rows


# --- writing -------------------------------------------------------------------------------------------------


def csv_text(rows: Rows, headers: Sequence[str] = tuple(HEADERS), delimiter: str = ";") -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter).writerows([headers, *rows])
    return stream.getvalue()


def csv_bytes(rows: Rows, headers: Sequence[str] = tuple(HEADERS), delimiter: str = ";") -> bytes:
    return csv_text(rows, headers, delimiter).encode()


def book_bytes(
    rows: Rows, change: Callable[[Any, Any], object] | None = None, *, tabs_before: Sequence[str] = ()
) -> bytes:
    """A workbook as people keep it: codes are text, prices and stock numbers, dates dates."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        for name in tabs_before:
            tab = book.add_worksheet(name)
            tab.write_row(0, 0, ["Умови", "поставки"])
            tab.write_row(1, 0, ["Самовивіз", "щодня"])
        tab = book.add_worksheet("Прайс")
        tab.write_row(0, 0, HEADERS)
        day_format = book.add_format({"num_format": "dd.mm.yyyy"})
        for row, cells in enumerate(rows, start=1):
            for column, text in enumerate(cells):
                write_cell(tab, row, column, text, day_format)
        if change:
            change(book, tab)
    return stream.getvalue()


def write_cell(tab: Any, row: int, column: int, text: str, day_format: Any) -> None:
    """One cell, stored as its column is."""
    if text and HEADERS[column] == "price":
        tab.write_number(row, column, float(text.replace(",", ".")))
    elif text and HEADERS[column] == "stock":
        tab.write_number(row, column, int(text))
    elif text and HEADERS[column] == "date":
        tab.write_datetime(row, column, datetime.strptime(text, "%d.%m.%Y"), day_format)  # noqa: DTZ007 - a day
    else:
        tab.write_string(row, column, text)


# --- damages -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Damage:
    """A way to damage a sheet: what it is called, the file it makes, what must come of it.

    `says` is a part of what must be told where it is detected.
    """

    name: str
    suffix: str
    content: Callable[[Rows], bytes]
    expect: str
    says: str = ""


DAMAGES: list[Damage] = []
Content = Callable[[Rows], bytes]


def damage(name: str, expect: str, says: str = "", *, suffix: str = ".csv") -> Callable[[Content], Content]:
    def add(content: Content) -> Content:
        DAMAGES.append(Damage(name, suffix, content, expect, says))
        return content

    return add


def column_changed(column: str, change: Callable[[str], str], rows: Rows, *, start: int = 0) -> Rows:
    place = HEADERS.index(column)
    return [
        [change(text) if at == place and number >= start else text for at, text in enumerate(row)]
        for number, row in enumerate(rows)
    ]


def column_replaced(column: str, values: Sequence[str], rows: Rows) -> Rows:
    place = HEADERS.index(column)
    return [[*row[:place], value, *row[place + 1 :]] for row, value in zip(rows, values, strict=True)]


def column_of(column: str, rows: Rows) -> list[str]:
    return [row[HEADERS.index(column)] for row in rows]


# The file as a whole.
damage("nothing at all", "identical")(csv_bytes)
damage("nothing at all, as a workbook", "identical", suffix=".xlsx")(book_bytes)
damage("file cut off in the middle of a record", "detected", "cells where the header has 7")(
    lambda rows: csv_bytes(rows)[: csv_bytes(rows).index(rows[45][1].encode()) + 6]
)
damage("file cut off in the middle of a letter", "detected", "UTF-8")(
    lambda rows: csv_bytes(rows)[: csv_bytes(rows).index(rows[45][1].encode()) + 3]
)
damage("workbook cut off", "detected", "cut off or damaged", suffix=".xlsx")(lambda rows: book_bytes(rows)[:-700])
damage("the last two thirds missing", "detected", "rows")(lambda rows: csv_bytes(rows[:20]))
damage("empty file", "detected", "is empty")(lambda rows: b"")
damage("only headers", "detected", "no rows below")(lambda rows: csv_bytes([]))
damage("saved as windows-1251", "identical")(lambda rows: csv_text(rows).encode("cp1251", "replace"))
damage("saved as UTF-16", "identical")(lambda rows: csv_text(rows).encode("utf-16"))
damage("byte order mark added", "identical")(lambda rows: b"\xef\xbb\xbf" + csv_bytes(rows))
damage("line ends of another system", "identical")(lambda rows: csv_bytes(rows).replace(b"\r\n", b"\r"))
damage("delimiter changed", "identical")(lambda rows: csv_bytes(rows, delimiter="\t"))
damage("delimiter changed without quotes", "detected")(lambda rows: csv_bytes(rows).replace(b";", b","))
damage("NUL bytes", "detected", "binary")(lambda rows: csv_bytes(rows).replace("Їжак".encode(), "Їж\0к".encode(), 5))
damage("garbage at the end", "detected")(lambda rows: csv_bytes(rows) + bytes(range(128, 256)) * 4)
damage("a line of text at the end", "detected")(lambda rows: csv_bytes(rows) + "Дякуємо за замовлення!\r\n".encode())
damage("a quote that never closes", "detected", "quote")(
    lambda rows: csv_bytes(rows).replace(rows[30][1].encode(), b'"' + rows[30][1].encode(), 1)
)
damage("HTML page in place of the sheet", "detected", "HTML")(
    lambda rows: b"<!DOCTYPE html><html><body><h1>503</h1></body></html>"
)
damage("utf-8 read as windows-1251 and saved", "detected", "is not an option")(
    lambda rows: csv_bytes(rows).decode("cp1251", "replace").encode()
)
damage("names of which utf-8 was read as windows-1251", "warned", "read in a wrong encoding")(
    lambda rows: csv_bytes(column_changed("name", lambda t: t.encode().decode("cp1251", "replace"), rows))
)


# Rows and columns.
damage("a header renamed", "detected", "price")(
    lambda rows: csv_bytes(rows, [h.replace("price", "cost") for h in HEADERS])
)
damage("two headers swapped", "detected")(
    lambda rows: csv_bytes(rows, ["code", "name", "category", "stock", "price", "date", "active"])
)
damage("header row repeated in the middle", "identical")(lambda rows: csv_bytes([*rows[:30], HEADERS, *rows[30:]]))
damage("title rows on top", "identical")(
    lambda rows: "ТОВ «Ранок»;;;;;;\r\nПрайс від 26.11.2026;;;;;;\r\n\r\n".encode() + csv_bytes(rows)
)
damage("a column deleted", "detected", "stock")(
    lambda rows: csv_bytes([[*row[:4], *row[5:]] for row in rows], [*HEADERS[:4], *HEADERS[5:]])
)
damage("two columns swapped with their headers", "identical")(
    lambda rows: csv_bytes(
        [[*row[:1], row[2], row[1], *row[3:]] for row in rows], ["code", "category", "name", *HEADERS[3:]]
    )
)
damage("columns price and stock swapped without headers", "detected")(
    lambda rows: csv_bytes([[*row[:3], row[4], row[3], *row[5:]] for row in rows])
)
damage("columns code and name swapped without headers", "detected", "guard matched")(
    lambda rows: csv_bytes([[row[1], row[0], *row[2:]] for row in rows])
)
damage("columns name and category swapped without headers", "detected", "is not an option")(
    lambda rows: csv_bytes([[row[0], row[2], row[1], *row[3:]] for row in rows])
)
damage("a column without values moved the others to the left", "detected")(
    lambda rows: csv_bytes([[*row[:2], *row[3:], ""] for row in rows])
)


def _sorted_alone(column: str) -> Content:
    return lambda rows: csv_bytes(column_replaced(column, sorted(column_of(column, rows)), rows))


for _column in ("code", "name", "category", "price", "stock", "date", "active"):
    damage(f"column {_column} sorted on its own", "detected", "sorted on its own")(_sorted_alone(_column))
damage("codes shifted down by one row", "detected", "guard")(
    lambda rows: csv_bytes(column_replaced("code", ["00001", *column_of("code", rows)[:-1]], rows))
)
damage("prices shifted down from the middle on", "detected", "guard")(
    lambda rows: csv_bytes(
        column_replaced("price", [*column_of("price", rows)[:40], "99,99", *column_of("price", rows)[40:-1]], rows)
    )
)
damage("one price filled down", "detected", "guard")(
    lambda rows: csv_bytes(column_replaced("price", [column_of("price", rows)[0]] * 60, rows))
)
damage("one name filled down", "detected", "guard")(
    lambda rows: csv_bytes(column_replaced("name", [column_of("name", rows)[0]] * 60, rows))
)
damage("rows repeated", "detected", "stands in 2 rows")(lambda rows: csv_bytes([*rows, *rows[10:20]]))
damage("blank rows in between", "identical")(
    lambda rows: csv_bytes(
        [row for number, one in enumerate(rows) for row in ([one] if number % 7 else [[""] * 7, one])]
    )
)
damage("blank columns at the end", "identical")(
    lambda rows: csv_bytes([[*row, "", ""] for row in rows], [*HEADERS, "", ""])
)
damage("a total at the end", "identical")(
    lambda rows: csv_bytes([*rows, ["Разом", "", "", "27150,50", "9120", "", ""]])
)
damage("a cell missing in one row", "detected", "6 cells where the header has 7")(
    lambda rows: csv_bytes([*rows[:30], [*rows[30][:2], *rows[30][3:]], *rows[31:]])
)
damage("rows in another order", "identical")(lambda rows: csv_bytes(rows[::-1]))


# Values.
damage("decimal sign changed", "detected")(
    lambda rows: csv_bytes(column_changed("price", lambda t: t.replace(",", "."), rows))
)
damage("decimal sign lost", "detected", "guard price")(
    lambda rows: csv_bytes(column_changed("price", lambda t: t.replace(",", ""), rows))
)
damage("thousands separated by blanks", "identical")(
    lambda rows: csv_bytes(column_changed("price", lambda t: t if len(t) < 7 else f"{t[:-6]}\u00a0{t[-6:]}", rows))
)
damage("prices a hundred times higher", "detected", "guard price")(
    lambda rows: csv_bytes(column_changed("price", lambda t: f"{float(t.replace(',', '.')) * 100:.0f}", rows))
)
damage("prices as text with a currency", "identical")(
    lambda rows: csv_bytes(column_changed("price", lambda t: f"{t} грн.", rows))
)
damage("prices in another currency", "detected", "is not in UAH")(
    lambda rows: csv_bytes(column_changed("price", lambda t: f"{t} €", rows))
)
damage("all prices empty", "detected", "guard price")(
    lambda rows: csv_bytes(column_changed("price", lambda t: "", rows))
)
damage("all categories empty", "detected", "guard category")(
    lambda rows: csv_bytes(column_changed("category", lambda t: "", rows))
)
damage("prices empty in the last half", "detected", "guard price")(
    lambda rows: csv_bytes(column_changed("price", lambda t: "", rows, start=30))
)
damage("prices that say zero", "detected", "guard price")(
    lambda rows: csv_bytes(column_changed("price", lambda t: "0", rows))
)
damage("codes without leading zeros", "detected", "zeros in front were lost")(
    lambda rows: csv_bytes(column_changed("code", lambda t: t.lstrip("0"), rows))
)
damage("codes in scientific notation", "detected", "Excel shortened")(
    lambda rows: csv_bytes(
        column_changed("code", lambda t: f"{int(t):.5E}".replace(".", ",") if len(t) == 13 else t, rows)
    )
)
damage("codes with Cyrillic letters that look Latin", "warned", "letters that look alike")(
    lambda rows: csv_bytes(column_changed("code", lambda t: t.replace("AB", "АВ"), rows))
)
damage("codes in lower case", "warned", "differs only by upper and lower case")(
    lambda rows: csv_bytes(column_changed("code", str.lower, rows))
)
damage("codes with a hard blank at the end", "identical")(
    lambda rows: csv_bytes(column_changed("code", lambda t: t + "\u00a0", rows))
)
damage("all codes without their first character", "detected", "guard matched")(
    lambda rows: csv_bytes(column_changed("code", lambda t: t[1:], rows))
)
damage("some codes empty", "detected", "the key is empty")(
    lambda rows: csv_bytes([["", *row[1:]] if number % 10 == 0 else row for number, row in enumerate(rows)])
)
damage("dates as serial numbers", "detected", "is not a date")(
    lambda rows: csv_bytes(
        column_changed("date", lambda t: str((datetime.strptime(t, "%d.%m.%Y") - datetime(1899, 12, 30)).days), rows)  # noqa: DTZ001, DTZ007
    )
)
damage("days and months swapped", "detected", "day and month")(
    lambda rows: csv_bytes(column_changed("date", lambda t: f"{t[3:5]}.{t[:2]}{t[5:]}", rows))
)
damage("years of two digits", "detected", "is not a date")(
    lambda rows: csv_bytes(column_changed("date", lambda t: t[:6] + t[8:], rows))
)
damage("yes and no in no language that is known", "detected", "is not yes or no")(
    lambda rows: csv_bytes(column_changed("active", lambda t: "on hand" if t == "так" else "out", rows))
)


# Workbooks.
damage("a tab before it", "identical", suffix=".xlsx")(lambda rows: book_bytes(rows, tabs_before=["Умови"]))


@damage("a hidden tab before it", "identical", suffix=".xlsx")
def _hidden_tab(rows: Rows) -> bytes:
    return book_bytes(rows, lambda book, tab: (tab.activate(), book.worksheets()[0].hide()), tabs_before=["Старе"])


@damage("error cells", "detected", "holds the error #N/A", suffix=".xlsx")
def _error_cells(rows: Rows) -> bytes:
    return book_bytes(rows, lambda book, tab: [tab.write_formula(row, 3, "=NA()", None, "#N/A") for row in (5, 9)])


@damage("formulas without stored values", "detected", "no stored value", suffix=".xlsx")
def _no_values(rows: Rows) -> bytes:
    return book_bytes(rows, lambda book, tab: [tab.write_formula(row, 3, f"=E{row}*2", None, "") for row in (5, 9)])


@damage("codes stored as numbers with the format 00000", "identical", suffix=".xlsx")
def _formatted_codes(rows: Rows) -> bytes:
    def change(book: Any, tab: Any) -> None:
        zeros = book.add_format({"num_format": "00000"})
        for row, cells in enumerate(rows, start=1):
            if cells[0].startswith("0"):
                tab.write_number(row, 0, int(cells[0]), zeros)

    return book_bytes(rows, change)


@damage("dates without their format", "detected", "is not a date", suffix=".xlsx")
def _bare_dates(rows: Rows) -> bytes:
    def change(book: Any, tab: Any) -> None:
        for row in range(1, len(rows) + 1):
            tab.write_number(row, 5, 46_000 + row)

    return book_bytes(rows, change)


@damage("a part of the workbook missing", "detected", "cut off or damaged", suffix=".xlsx")
def _missing_part(rows: Rows) -> bytes:
    with zipfile.ZipFile(io.BytesIO(book_bytes(rows))) as book:
        parts = {name: book.read(name) for name in book.namelist() if "sharedStrings" not in name}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)
    return stream.getvalue()


# --- judging -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """What came of a damaged sheet, and what was said."""

    outcome: str
    words: str


@contextmanager
def imported(missing: str) -> Iterator[World]:
    """An account into which the clean sheet was imported. `missing` is what the mapping says of rows that are gone."""
    with world("v2", FIELDS) as account:
        (account.folder / "mapping.yaml").write_text(MAPPING.format(missing=missing, unknown="error"), encoding="utf-8")
        all_done(account.apply(plan(account, csv_bytes(clean_rows()), ".csv")))
        account.later(100)
        yield account


def plan(account: World, content: bytes, suffix: str) -> sync.Planned:
    """Plan a sheet."""
    path = account.folder / f"sheet{suffix}"
    path.write_bytes(content)
    return sync.plan(path, account.folder / "mapping.yaml", account.client, account.journal)


def judge(account: World, content: bytes, suffix: str) -> Judged:
    """What comes of planning a sheet."""
    try:
        made = plan(account, content, suffix).plan
    except UserError as error:
        return Judged("detected", str(error))
    stopped = stopping(made)
    words = "; ".join(map(str, (*stopped, *made.rejected, *made.warnings)))
    if stopped:
        return Judged("detected", words)
    if made.changes:
        warned = {row for row in map(row_of, made.warnings) if row}
        changed = {change.row for change in made.changes if not isinstance(change, Delete)}
        is_named = len(made.changes) == len(changed) and changed <= warned
        return Judged("warned" if is_named else "missed", f"{made.counts} {words}")
    return Judged("detected" if words else "identical", words)


def row_of(problem: Problem) -> int:
    """The row that a problem stands in, 0 where it names none."""
    found = re.search(r"[:!][A-Z]*(\d+)", problem.where)
    return int(found[1]) if found else 0


def main() -> int:
    """The command: the table, and 1 where something is missed."""
    counts = dict.fromkeys(("identical", "detected", "warned", "missed"), 0)
    with imported("keep") as keeping, imported("delete") as deleting:
        for one in DAMAGES:
            content = one.content(clean_rows())
            judged = [judge(account, content, one.suffix) for account in (keeping, deleting)]
            worst = max(judged, key=lambda found: list(counts).index(found.outcome))
            counts[worst.outcome] += 1
            print(f"{worst.outcome:10} {one.name:56} {' '.join(worst.words.split())[:110]}")
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
