from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from catalogsync.emulator.server import Emulator

NOW = 1_760_000_000

#: The list of the vendor's elements page, and one field of every other shape.
SEED: dict[str, Any] = {
    "account": {"id": 30001, "name": "Acme", "subdomain": "acme", "timezone": "Europe/Riga", "currency": "EUR"},
    "token": "seeded-token",
    "catalogs": [
        {
            "id": 4220,
            "name": "Products",
            "fields": [
                {"id": 4400049, "name": "Vendor code", "code": "SKU", "type": "text", "is_system": True},
                {"id": 4400050, "name": "Amount", "type": "numeric", "is_system": True},
                {"id": 4400051, "name": "Price", "code": "PRICE", "type": "price", "is_system": True},
                {
                    "id": 4400062,
                    "name": "Multilist",
                    "type": "multiselect",
                    "enums": {"1": 3692539, "2": 3692540, "3": 3692541},
                },
                {"id": 4400063, "name": "Active", "type": "checkbox"},
                {"id": 4400064, "name": "Colour", "type": "select", "enums": {"Red": 3692, 'B&W "2"': 3693}},
                {"id": 4400065, "name": "Expires", "type": "date"},
                {"id": 4400066, "name": "Born", "type": "birthday"},
                {"id": 4400067, "name": "Loaded", "type": "date_time"},
                {"id": 4400068, "name": "Depot", "type": "smart_address"},
                {"id": 4400069, "name": "Maker", "type": "legal_entity"},
                {"id": 4400070, "name": "Parts", "type": "items"},
                {"id": 4400071, "name": "Page", "type": "url"},
                {"id": 4400072, "name": "Notes", "type": "textarea"},
                {"id": 4400073, "name": "Street", "type": "streetaddress"},
                {"id": 4400074, "name": "Grade", "type": "radiobutton", "enums": {"A": 3701, "B": 3702}},
                {"id": 4400075, "name": "Group", "type": "category", "enums": {"Boards": 3711}},
                {"id": 4400076, "name": "Scan", "type": "file"},
            ],
            "elements": [
                {
                    "id": 41872,
                    "name": "Pencils",
                    "created_at": 1509003145,
                    "values": {"SKU": "415", "Amount": 300, "PRICE": "75", "Multilist": ["1", "2"]},
                },
                {
                    "id": 41873,
                    "name": "Markers",
                    "created_at": 1509003163,
                    "values": {"SKU": "416", "Amount": 250, "PRICE": "80", "Multilist": ["2", "3"]},
                },
            ],
        },
        {"id": 4221, "name": "Empty", "fields": [{"id": 4400090, "name": "Must", "is_required": True}]},
    ],
}


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Session:
    """`requests` against an emulator, with its token."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.http = requests.Session()
        self.http.headers["Authorization"] = f"Bearer {emulator.token}"

    def get(self, target: str) -> requests.Response:
        return self.http.get(self.emulator.url + target, timeout=10)

    def post(self, target: str, body: Any) -> requests.Response:
        return self.http.post(self.emulator.url + target, json=body, timeout=10)

    def patch(self, target: str, body: Any) -> requests.Response:
        return self.http.patch(self.emulator.url + target, json=body, timeout=10)

    def delete(self, target: str) -> requests.Response:
        return self.http.delete(self.emulator.url + target, timeout=10)

    def elements(self, body: Any) -> Any:
        """The answer to a POST of list elements that must be 200."""
        answer = self.post("/api/v2/catalog_elements", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def element(self, element_id: int) -> Any:
        """One element, as it is read."""
        (item,) = self.get(f"/api/v2/catalog_elements?catalog_id=4220&id={element_id}").json()["_embedded"]["items"]
        return item

    def values(self, element_id: int) -> dict[int, Any]:
        """Field id -> values of one element, as they are read."""
        return {field["id"]: field["values"] for field in self.element(element_id)["custom_fields"]}

    def add(self, *custom_fields: Any) -> int:
        """The id of an element added with these custom fields."""
        body = {"add": [{"catalog_id": "4220", "name": "Pencil", "custom_fields": list(custom_fields)}]}
        answer = self.elements(body)
        assert "errors" not in answer["_embedded"], answer
        return int(answer["_embedded"]["items"][0]["id"])


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def emulator(clock: Clock) -> Iterator[Emulator]:
    with Emulator(seed=SEED, rps=0, clock=clock) as emulator:
        yield emulator


@pytest.fixture
def session(emulator: Emulator) -> Iterator[Session]:
    session = Session(emulator)
    with session.http:
        yield session
