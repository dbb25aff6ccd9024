"""One random schedule: a small catalog, a sheet, and what goes wrong while it is imported. All from one seed.

A first import, undisturbed, has matched the sheet to the catalog as it is. Then the sheet is edited, and its import
is run one to three times while answers are lost and damaged, colleagues edit, delete and add, and the process is
killed. At last it is run undisturbed until it has nothing more to do.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from catalogsync.api.dialect import Request
from catalogsync.emulator.database import StoreError
from catalogsync.emulator.faults import Fault
from tests.crash.account import COLLEAGUE, WRITES
from tests.crash.shop import ADDRESS, CATALOG_ID, CODE, COLOUR, FIELDS, HEADERS, NOTES, PRICE, TOKEN
from tests.crash.stage import SETTLE_S, Snapshot, Stage, World

MAPPING = """
catalog: 4220
key: Code
columns:
  Product: name
  Code: Code
  Price: {field: Price, shuffled: allow}
  Colour: {field: Colour, shuffled: allow}
  City: {field: Depot, subtype: city, shuffled: allow}
missing: delete
guards: {delete: 100%, rows: 0, matched: 0}
"""

MAPPED = {"name": "Product", str(CODE): "Code", str(PRICE): "Price", str(COLOUR): "Colour", f"{ADDRESS}.city": "City"}
"""The sheet's header by column key."""

CODES = [f"K{number:02}" for number in range(18)]
CITIES = ["Riga", "Cēsis", "Liepāja", "Tukums"]
COLOURS = ["red", "blue", "green"]

CATALOGS = 100
"""So many catalogs to begin with; the first import of each is done once."""

AT_REST = (0, 3, 5)
"""Done, but for rows that are rejected (a key held twice) or changed on both sides."""

MOST_RUNS = 6
"""The undisturbed runs that may be needed until there is nothing more to do."""

READ_FAULTS = (
    *("429", "500", "502", "504 before", "drop before", "drop after", "truncate"),
    *("garble=bytes", "garble=list", "garble=string", "garble=null", "garble=empty", "garble=html"),
)
WRITE_FAULTS = (
    *("429", "500 before", "502 after", "503 half", "504 before", "504 after", "504 half", "late", "late"),
    *("drop before", "drop after", "truncate", "garble=bytes", "garble=list", "garble=string", "garble=null"),
    *("garble=empty", "garble=html"),
)


@dataclass(frozen=True)
class Rates:
    """How likely each disturbance is, at each request or step."""

    read_fault: float = 0
    write_fault: float = 0
    colleague: float = 0
    kill: float = 0


@dataclass
class Played:
    """What a schedule came to: its world, its last sheet (cells by header, by key), and what disturbed it."""

    seed: int
    world: World
    sheet: Mapping[str, Mapping[str, str]]
    counts: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)
    is_still: bool = False
    """Whether it came to rest: the last command found nothing to do."""


class Schedule:
    """Draws and plays one schedule."""

    def __init__(self, stage: Stage, api: str, seed: int) -> None:
        random.seed(seed)  # the waits between attempts
        self._random = random.Random(seed)
        self._stage = stage
        key = (api, seed % CATALOGS)
        if key not in stage.snapshots:
            stage.snapshots[key] = _begun(stage, api, random.Random(f"catalog {seed % CATALOGS}"))
        snapshot, sheet = stage.snapshots[key]
        self._world, self._sheet = stage.world_of(snapshot), dict(sheet)
        self._played = Played(seed, self._world, self._sheet)
        self._rates = Rates()
        self._edits = 0
        self._world.before, self._world.after, self._world.on_step = self._before, self._after, self._dies

    def play(self) -> Played:
        """Play it to its end."""
        chosen, played = self._random, self._played
        batch_size = chosen.randint(1, 6)
        self._edit_sheet()
        _write_sheet(self._stage, self._sheet)
        for _ in range(chosen.choice([1, 1, 2, 3])):
            self._rates = Rates(
                read_fault=chosen.choice([0, 0.05, 0.1]),
                write_fault=chosen.choice([0, 0.3, 0.6]),
                colleague=chosen.choice([0, 0.1, 0.3]),
                kill=chosen.choice([0, 0.02, 0.05]),
            )
            self._run(batch_size)
            self._world.clock.sleep(chosen.choice([0, 0.3, 3, 15]))
        self._rates = Rates()
        if chosen.random() < 0.5:
            self._run(batch_size)
        for _ in range(MOST_RUNS):
            self._world.clock.sleep(60)  # what is late has landed
            before = len(self._world.account.events)
            code = self._run(batch_size)
            if code in AT_REST and len(self._world.account.events) == before:
                played.is_still = True
                break
        return played

    def _run(self, batch_size: int) -> int | None:
        command = self._stage.run(batch_size)
        self._played.counts["commands"] += 1
        if command.killed_at:
            self._played.counts[f"killed, {command.killed_at}"] += 1
        words = f"killed at {command.killed_at}" if command.killed_at else f"exit {command.code}"
        self._tell(f"command {command.number}: {words}\n{command.output}")
        return command.code

    def _tell(self, words: str) -> None:
        self._played.story.append(f"{self._world.account.next():5} {self._world.clock() % 1e6:12.3f}  {words}")

    # --- the sheet ---

    def _edit_sheet(self) -> None:
        chosen = self._random
        for code in list(self._sheet):
            if chosen.random() < 0.15:
                del self._sheet[code]
            elif chosen.random() < 0.5:
                for header, text in (
                    ("Product", f"New {code}"),
                    ("Price", str(chosen.randint(100, 199))),
                    ("Colour", chosen.choice(COLOURS)),
                    ("City", chosen.choice(CITIES)),
                ):
                    if chosen.random() < 0.4:
                        self._sheet[code] = {**self._sheet[code], header: text}
        free = [code for code in CODES if code not in self._sheet]
        least = 0 if self._sheet else 1  # an empty sheet is refused
        for code in chosen.sample(free, min(len(free), chosen.randint(least, 5))):
            self._sheet[code] = _row(_element(code, chosen)) | {"Product": f"Added {code}"}

    # --- what goes wrong ---

    def _dies(self, label: str) -> bool:
        return self._random.random() < self._rates.kill

    def _before(self, request: Request) -> None:
        chosen, rates = self._random, self._rates
        self._world.clock.sleep(chosen.choice([0.01, 0.05, 0.4]))
        self._colleague()
        is_write = request.method in WRITES
        self._played.counts["writes" if is_write else "reads"] += 1
        self._tell(f"{request.method} {request.path} {request.json or request.params}")
        self._world.account.emulator.faults.clear()
        if chosen.random() < (rates.write_fault if is_write else rates.read_fault):
            text = chosen.choice(WRITE_FAULTS if is_write else READ_FAULTS)
            if text == "late":
                late_s = chosen.uniform(0.2, SETTLE_S - 0.1) if chosen.random() < 0.7 else chosen.uniform(10.1, 40)
                self._played.counts["fault apply-late within" if late_s < SETTLE_S else "fault apply-late after"] += 1
                text = f"apply-late={late_s:.3f}"
            else:
                self._played.counts[f"fault {text}"] += 1
            self._tell(f"fault: {text}")
            self._world.account.emulator.fault(Fault.from_text(text))

    def _after(self, request: Request) -> None:
        self._world.clock.sleep(self._random.choice([0.01, 0.05, 0.4]))
        self._colleague()

    def _colleague(self) -> None:
        chosen, account = self._random, self._world.account
        if chosen.random() >= self._rates.colleague:
            return
        self._edits += 1
        mark = f"colleague {self._edits}"
        ids = [element.id for element in account.emulator.store.elements(CATALOG_ID)]
        doing = chosen.choices(["mapped", "notes", "address", "name", "delete", "add"], [4, 2, 3, 1, 1, 1])[0]
        with account.acting(COLLEAGUE):
            if doing == "add":
                known = chosen.random() < 0.3 and list(self._sheet)
                code = chosen.choice(known) if known else f"C{self._edits}"
                values: dict[int | str, object] = {CODE: code, PRICE: "9", NOTES: mark}
                account.store.add_as_other_user(CATALOG_ID, mark, values)
            elif not ids:
                return
            elif doing == "delete":
                account.store.delete_as_other_user(chosen.choice(ids))
            else:
                self._edit(chosen.choice(ids), doing, mark)
        self._played.counts[f"colleague: {doing}"] += 1
        event = account.events[-1]
        self._tell(f"{mark}: {doing} element {event.id}: {sorted(event.changed())}")

    def _edit(self, id_: int, doing: str, mark: str) -> None:
        chosen, store = self._random, self._world.account.store
        element = store.element(id_)
        if element is None:
            raise StoreError(f"there is no element {id_}")
        part = chosen.choice(["city", "zip"])
        edits: dict[str, dict[int | str, object]] = {
            "mapped": {PRICE: str(9000 + self._edits)} if chosen.random() < 0.5 else {COLOUR: mark},
            "notes": {NOTES: mark},
            "address": {ADDRESS: {**element.values.get(ADDRESS, {}), part: mark}},
            "name": {},
        }
        store.edit_as_other_user(id_, name=mark if doing == "name" else None, values=edits[doing])


def _row(element: Mapping[str, Any]) -> dict[str, str]:
    """The sheet's row of an element of the seed."""
    values = element["values"]
    return {
        "Code": values[CODE],
        "Product": element["name"],
        "Price": values[PRICE],
        "Colour": values.get(COLOUR, ""),
        "City": values.get(ADDRESS, {}).get("city", ""),
    }


def _element(code: str, chosen: random.Random) -> dict[str, Any]:
    """An element for the seed."""
    values: dict[Any, Any] = {CODE: code, PRICE: str(chosen.randint(1, 99))}
    if chosen.random() < 0.7:
        values[COLOUR] = chosen.choice(COLOURS)
    if chosen.random() < 0.5:
        values[NOTES] = f"note on {code}"
    if chosen.random() < 0.5:
        address = {"city": chosen.choice(CITIES), "zip": f"LV-{chosen.randint(1000, 1099)}"}
        values[ADDRESS] = {part: text for part, text in address.items() if chosen.random() < 0.8} or address
    return {"name": f"Product {code}", "values": values}


def _begun(stage: Stage, api: str, chosen: random.Random) -> tuple[Snapshot, dict[str, dict[str, str]]]:
    """A catalog, and the sheet that says the same, after a first import has matched them."""
    elements = [_element(code, chosen) for code in chosen.sample(CODES, chosen.randint(0, 12))]
    account = {"id": 30001, "name": "Shop", "subdomain": "shop", "timezone": "Europe/Riga"}
    catalog = {"id": CATALOG_ID, "name": "Products", "fields": FIELDS, "elements": elements}
    stage.new_world(api, {"account": account, "token": TOKEN, "catalogs": [catalog]})
    sheet = {each["values"][CODE]: _row(each) for each in elements}
    _write_sheet(stage, sheet)
    first = stage.run(250)
    if sheet and (first.code != 0 or first.report):
        raise AssertionError(f"the first import should find nothing to do:\n{first.output}")
    return stage.kept(), sheet


def _write_sheet(stage: Stage, sheet: Mapping[str, Mapping[str, str]]) -> None:
    (stage.folder / "shop.yaml").write_text(MAPPING, encoding="utf-8")
    stage.write_sheet(HEADERS, [[row[header] for header in HEADERS] for row in sheet.values()])
