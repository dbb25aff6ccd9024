"""The account and the sheet of the crash matrix: 126 changes, and much that must stay as it is.

Of the elements some are to be updated (some in a part of a composite field), some deleted, some are as the sheet
says already; every other one carries a colleague's note in a field that the mapping does not name. Four elements are
none of the sheet's business: two have no key, two have a key that no sheet ever had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CODE, PRICE, COLOUR, ADDRESS, NOTES = 4400049, 4400051, 4400052, 4400053, 4400054
CATALOG_ID = 4220
TOKEN = "token-of-the-crash-tests"

UPDATES, DELETES, ADDS, SAME = 45, 36, 45, 15
CHANGES = UPDATES + DELETES + ADDS

MAPPING = """
catalog: 4220
key: Code
columns:
  Product: name
  Code: Code
  Price: Price
  Colour: Colour
  City: {field: Depot, subtype: city}
missing: delete
guards: {delete: 100%, rows: 0, matched: 0}
"""

FIELDS = [
    {"id": CODE, "name": "Code", "type": "text"},
    {"id": PRICE, "name": "Price", "type": "numeric"},
    {"id": COLOUR, "name": "Colour", "type": "text"},
    {"id": ADDRESS, "name": "Depot", "type": "smart_address"},
    {"id": NOTES, "name": "Notes", "type": "text"},
]

HEADERS = ["Code", "Product", "Price", "Colour", "City"]


@dataclass(frozen=True)
class Product:
    """An element as the server stores it: values by field id, in the emulator's neutral form."""

    name: str
    values: Mapping[int, Any]
    id: int | None = None

    @property
    def code(self) -> str:
        """Its key, "" where it has none."""
        return str(self.values.get(CODE, ""))

    def row(self) -> list[str]:
        """Its row in a sheet."""
        city = self.values.get(ADDRESS, {}).get("city", "")
        return [self.code, self.name, self.values[PRICE], self.values.get(COLOUR, ""), city]


@dataclass
class Shop:
    """Elements before the run, the sheets of a first run and of the one that is cut off, and what must come out."""

    before: list[Product] = field(default_factory=list)
    first_rows: list[list[str]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    after: list[Product] = field(default_factory=list)

    def seed(self) -> dict[str, Any]:
        """The account for the emulator."""
        elements = [{"id": each.id, "name": each.name, "values": each.values} for each in self.before]
        return {
            "account": {"id": 30001, "name": "Shop", "subdomain": "shop", "timezone": "Europe/Riga"},
            "token": TOKEN,
            "catalogs": [{"id": CATALOG_ID, "name": "Products", "fields": FIELDS, "elements": elements}],
        }


def made() -> Shop:
    """The shop, always the same one."""
    shop = Shop()
    for number in range(max(UPDATES, DELETES, ADDS, SAME)):
        for kind, count in (("U", UPDATES), ("D", DELETES), ("S", SAME)):
            if number < count:
                _take(shop, kind, number)
        if number < ADDS:
            values: dict[int, Any] = {CODE: f"A{number:02}", PRICE: str(200 + number), COLOUR: "red"}
            if number % 4 == 0:
                values[ADDRESS] = {"city": "Cēsis"}
            added = Product(f"New {number}", values)
            shop.rows.append(added.row())
            shop.after.append(added)
    for number in range(4):
        values = {CODE: f"F{number}", PRICE: "1"} if number < 2 else {PRICE: "1"}
        foreign = Product(f"Foreign {number}", {**values, NOTES: "not of the sheet"}, 60_000 + number)
        shop.before.append(foreign)
        shop.after.append(foreign)
    return shop


def _take(shop: Shop, kind: str, number: int) -> None:
    values: dict[int, Any] = {CODE: f"{kind}{number:02}", PRICE: str(100 + number), COLOUR: "blue"}
    if number % 3 == 0:
        values[ADDRESS] = {"city": "Riga", "zip": f"LV-{1000 + number}"}
    if number % 2 == 0:
        values[NOTES] = f"a colleague's note on {kind}{number:02}"
    old = Product(f"Product {kind}{number:02}", values, 50_000 + len(shop.before))
    shop.before.append(old)
    shop.first_rows.append(old.row())
    if kind == "D":
        return
    new = old
    if kind == "U":
        name = f"{old.name}, new" if number % 5 == 0 else old.name
        changed: dict[int, Any] = {**values, PRICE: str(500 + number)}
        if number % 3 == 0:
            changed[ADDRESS] = {**values[ADDRESS], "city": "Liepāja"}
        new = Product(name, changed, old.id)
    shop.rows.append(new.row())
    shop.after.append(new)
