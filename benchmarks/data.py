"""A catalog and a sheet of any size, the same ones every time: 12 columns, 4 % of the rows differ.

Of 100 rows of the sheet three differ from their element in a cell or two, and one is new; as many elements have no
row. So there are as many elements as rows. The catalog has them in another order than the sheet. The elements are
kept as the account sends them: bodies of pages of 500, each beginning with the last element of the one before.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import xlsxwriter

CATALOG_ID = 4220
FIRST_ID = 100_001
PAGE_ROWS = 500
MOST_SHEET_ROWS = 1_048_575
"""What a workbook holds below its headings."""

HEADERS = ("code", "name", "price", "amount", "brand", "text", "url", "colour", "active", "since", "sizes", "ean")
COLOURS = {31: "Red", 32: "Dark blue", 33: "Green", 34: "Rosé", 35: "Black", 36: "White", 37: "Grey", 38: "Yellow"}
SIZES = {41: "S", 42: "M", 43: "L", 44: "XL"}
FIELDS: tuple[tuple[int, str, int], ...] = (
    (101, "code", 1),
    (102, "price", 20),
    (103, "amount", 2),
    (104, "brand", 1),
    (105, "text", 9),
    (106, "url", 7),
    (107, "colour", 4),
    (108, "active", 3),
    (109, "since", 6),
    (110, "sizes", 5),
    (111, "ean", 1),
)
"""Id, name and v2 type number of each field; the name of an element is none."""

FIELD_IDS = {name: str(id_) for id_, name, _ in FIELDS} | {"name": "name"}
MAPPING = f"catalog: {CATALOG_ID}\nkey: code\ncolumns:\n" + "".join(
    f"  {header}: {header}\n" for header in ("name", *(header for header in HEADERS if header != "name"))
)
_KINDS = "Bolt Nut Washer Screw Anchor Hinge Bracket Valve Gasket Bearing Pulley Clamp".split()
_BRANDS = [f"{kind} & Söhne {number}" for kind in _KINDS for number in range(16)]
_WORDS = "zinc plated steel with a flat head for outdoor use and heavy loads in boxes of fifty or by the piece".split()
_FIRST_DAY = date(2020, 1, 1)
_DAYS = [(_FIRST_DAY + timedelta(days=number)).isoformat() for number in range(2000)]


@dataclass(frozen=True)
class Data:
    """Where the sheet and the pages of a size are. `starts` are the pages' places in their file, and its end."""

    rows: int
    folder: Path
    starts: tuple[int, ...]

    @property
    def sheet(self) -> Path:
        """The sheet as CSV: comma, UTF-8, quotes where needed."""
        return self.folder / "sheet.csv"

    @property
    def book(self) -> Path:
        """The sheet as a workbook; `write_book` makes it."""
        return self.folder / "sheet.xlsx"

    @property
    def mapping(self) -> Path:
        """The mapping of the sheet."""
        return self.folder / "products.yaml"

    @property
    def pages(self) -> Path:
        """The bodies of the pages, one after the other."""
        return self.folder / "pages.bin"


def bodies(data: Data) -> Iterator[bytes]:
    """The pages as they come from the account, one at a time."""
    with data.pages.open("rb") as file:
        for start, end in pairwise(data.starts):
            yield file.read(end - start)


def cells(number: int, *, changed: bool = False) -> list[str]:
    """A product's cells in the order of HEADERS; `changed` as the sheet of today has those of three rows in 100."""
    mixed = (number * 2654435761 + 12345) & 0xFFFFFFFF
    kind = number % 100 if changed else -1
    price = mixed % 900_000 + (150 if kind == 0 else 100)
    chosen = sorted({41 + mixed % 4, 41 + (mixed >> 7) % 4})
    colour = 31 + ((mixed >> 5) + (kind == 2)) % 8
    first = mixed % 7
    return [
        f"{number * 7 + 13:09d}",
        f"{_KINDS[mixed % 12]} M{mixed % 40} x {number}" + (" new" if kind == 1 else ""),
        f"{price // 100}.{price % 100:02d}",
        str((mixed >> 3) % 500 + (kind == 2)),
        _BRANDS[(mixed >> 9) % len(_BRANDS)],
        "" if number % 20 == 7 else f"{' '.join(_WORDS[first : first + 8 + mixed % 5])}, lot {mixed % 5000}",
        f"https://shop.example/p/{number}",
        COLOURS[colour],
        "yes" if (mixed >> 11) % 3 else "no",
        _DAYS[(mixed >> 4) % len(_DAYS)],
        "; ".join(SIZES[size] for size in chosen),
        f"40{mixed % 10**11:011d}",
    ]


def sheet_numbers(rows: int) -> range:
    """The products of the sheet, in its order."""
    return range(rows)


def catalog_numbers(rows: int) -> Iterator[int]:
    """The products of the catalog, in its order: all but the new ones of the sheet, and as many others."""
    step = int(rows * 0.618) or 1
    while math.gcd(step, rows) != 1:
        step += 1
    for place in range(rows):
        number = place * step % rows
        yield number if number % 100 != 3 else rows + number


def make(rows: int, folder: Path) -> Data:
    """Write the sheet, its mapping and the pages of the catalog."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Data(rows, folder, ())
    made.mapping.write_text(MAPPING, encoding="utf-8")
    with made.sheet.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADERS)
        writer.writerows(cells(number, changed=True) for number in sheet_numbers(rows))
    starts = [0]
    with made.pages.open("wb") as file:
        for listed in _overlapping(_element(place, number) for place, number in enumerate(catalog_numbers(rows))):
            starts.append(starts[-1] + file.write(_body(listed)))
    return Data(rows, folder, tuple(starts))


def _overlapping(items: Iterator[str]) -> Iterator[list[str]]:
    """Pages as a reading by offset asks for them; where the last one is full, the one that shows it to be so, too."""
    page: list[str] = []
    for item in items:
        page.append(item)
        if len(page) == PAGE_ROWS:
            yield page
            page = [item]
    if page:
        yield page
    if len(page) > 1:
        yield page[-1:]


def _body(listed: Sequence[str]) -> bytes:
    link = '{"self":{"href":"/api/v2/catalog_elements?catalog_id=4220","method":"get"}}'
    return f'{{"_links":{link},"_embedded":{{"items":[{",".join(listed)}]}}}}'.encode()


def _element(place: int, number: int) -> str:
    """An element as v2 sends it: every value as text, options with their caption and id, dates with a time."""
    held = dict(zip(HEADERS, cells(number), strict=True))
    id_ = FIRST_ID + place
    custom = ",".join(
        f'{{"id":{field_id},"name":"{name}","values":[{values}],"is_system":false}}'
        for field_id, name, _ in FIELDS
        if (values := _values(name, held[name]))
    )
    href = f"/api/v2/catalog_elements?id={id_}&catalog_id={CATALOG_ID}"
    return (
        f'{{"id":{id_},"name":{json.dumps(held["name"])},"created_by":504141,"created_at":1760000000,'
        f'"updated_at":{1760000000 + place % 9000},"updated_by":504141,"is_deleted":false,"custom_fields":[{custom}],'
        f'"catalog_id":{CATALOG_ID},"leads":{{}},"customers":{{}},'
        f'"_links":{{"self":{{"href":"{href}","method":"get"}}}}}}'
    )


_OPTION_IDS = {caption: id_ for id_, caption in {**COLOURS, **SIZES}.items()}


def _values(name: str, text: str) -> str:
    if name in {"colour", "sizes"}:
        return ",".join(
            f'{{"value":{json.dumps(caption)},"enum":"{_OPTION_IDS[caption]}"}}' for caption in text.split("; ")
        )
    if name == "price":
        text = text.rstrip("0").rstrip(".")
    elif name == "active":
        text = "1" if text == "yes" else "0"
    elif name == "since":
        text += " 00:00:00"
    return f'{{"value":{json.dumps(text)}}}' if text else ""


def account() -> dict[str, Any]:
    """The account's answer about its custom fields."""
    enums: dict[str, object] = {"colour": COLOURS, "sizes": SIZES}
    fields: dict[str, object] = {
        str(id_): {"id": id_, "name": name, "code": None, "field_type": type_, "enums": enums.get(name, [])}
        for id_, name, type_ in FIELDS
    }
    custom_fields = {"catalogs": {str(CATALOG_ID): fields}}
    return {"id": 30001, "timezone": "Europe/Berlin", "_embedded": {"custom_fields": custom_fields}}


def catalogs() -> dict[str, Any]:
    """The account's answer about its lists."""
    return {"_embedded": {"items": [{"id": CATALOG_ID, "name": "Products", "type": "regular"}]}}


def typed(row: Sequence[str]) -> list[Any]:
    """A row as a workbook has it: numbers and dates as such, all else as text."""
    made: list[Any] = list(row)
    made[2], made[3], made[9] = float(row[2]), int(row[3]), date.fromisoformat(row[9])
    return made


def write_book(data: Data) -> None:
    """Write the sheet as a workbook."""
    with xlsxwriter.Workbook(data.book, {"constant_memory": True, "default_date_format": "yyyy-mm-dd"}) as book:
        tab = book.add_worksheet("Products")
        tab.write_row(0, 0, HEADERS)
        for row, number in enumerate(sheet_numbers(data.rows), start=1):
            for place, value in enumerate(typed(cells(number, changed=True))):
                if isinstance(value, str):
                    tab.write_string(row, place, value)
                elif isinstance(value, date):
                    tab.write_datetime(row, place, value)
                else:
                    tab.write_number(row, place, value)


# --- the same products as a seed of the emulator ---------------------------------------------------------------

_TYPES = {1: "text", 2: "numeric", 3: "checkbox", 4: "select", 5: "multiselect", 6: "date", 7: "url", 9: "textarea"}
_TYPES |= {20: "price"}


def seed_fields() -> list[dict[str, Any]]:
    """The catalog's custom fields."""
    options = {"colour": COLOURS, "sizes": SIZES}
    return [
        {"id": id_, "name": name, "type": _TYPES[type_]}
        | ({"enums": {caption: option for option, caption in options[name].items()}} if name in options else {})
        for id_, name, type_ in FIELDS
    ]


def seed_element(number: int) -> dict[str, Any]:
    """A product as the emulator is given it."""
    held = dict(zip(HEADERS, cells(number), strict=True))
    name = held.pop("name")
    return {"name": name, "values": {key: _seeded(key, text) for key, text in held.items() if text}}


def _seeded(name: str, text: str) -> object:
    if name == "sizes":
        return text.split("; ")
    return text == "yes" if name == "active" else text
