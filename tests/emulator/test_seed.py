"""What a seed may say, and what is said of one that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catalogsync.emulator.seed import SeedError
from catalogsync.emulator.server import Emulator

YAML = """
account: {id: 7, name: Shop, subdomain: shop, timezone: America/New_York, currency: USD}
token: from-the-file
catalogs:
  - id: 4300
    name: Products
    type: products
    fields:
      - {name: Code, code: SKU, is_system: yes}
      - {name: On sale, type: checkbox}
      - {name: Colour, type: select, enums: [Red, No]}
      - {name: Tags, type: multiselect, enums: {New: 500, Old: 501}}
      - {name: Expires, type: date}
      - {name: Loaded, type: date_time}
      - {name: Depot, type: smart_address}
    elements:
      - name: Oak
        leads: [31]
        updated_at: 1700000000
        values:
          SKU: 00123
          On sale: no
          Colour: No
          Tags: [Old, 500]
          Expires: 2026-03-31
          Loaded: 2026-01-15 12:00:00
          Depot: {city: Boston}
"""


def test_yaml_scalars_stay_text_and_values_are_kept_in_their_neutral_form(tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text(YAML, encoding="utf-8")
    with Emulator(seed=file) as emulator:
        assert emulator.token == "from-the-file"
        assert (emulator.store.account.id, emulator.store.account.timezone) == (7, "America/New_York")
        (catalog,) = emulator.store.catalogs()
        assert (catalog.id, catalog.name, catalog.type) == (4300, "Products", "products")
        code, sale, colour, tags, expires, loaded, depot = emulator.store.fields(4300).values()
        assert (code.id, code.is_system, code.type) == (4400049, True, "text")
        assert (colour.options, tags.options) == ({3692539: "Red", 3692540: "No"}, {500: "New", 501: "Old"})
        (oak,) = emulator.store.elements(4300)
        assert (oak.leads, oak.updated_at) == ((31,), 1700000000)
        assert oak.values == {
            code.id: "00123",
            sale.id: False,
            colour.id: 3692540,
            tags.id: [501, 500],
            expires.id: "2026-03-31",
            # Noon in New York in winter is 17:00 UTC.
            loaded.id: 1768496400,
            depot.id: {"city": "Boston"},
        }


def test_json_and_a_mapping_seed_the_same_account(tmp_path: Path) -> None:
    given = {"catalogs": [{"id": 5000, "name": "L", "elements": [{"name": "One", "created_at": 5}]}]}
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(given), encoding="utf-8")
    with Emulator(seed=file) as from_file, Emulator(seed=given) as from_mapping:
        assert from_file.store.elements() == from_mapping.store.elements()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"catalog": []}, "seed: unknown catalog"),
        ({"catalogs": {}, "token": "t", "account": {"timezone": "Mars"}}, "account.timezone: 'Mars'"),
        ({"catalogs": "x"}, "catalogs: expected a list"),
        ({"catalogs": [{"id": 4220}]}, r"catalogs\[0\].name is missing"),
        ({"catalogs": [{"name": "L", "id": 12}]}, r"catalogs\[0\].id: list ids start at 1000"),
        ({"catalogs": [{"name": "L", "type": "odd"}]}, r"catalogs\[0\].type: 'odd'"),
        ({"catalogs": [{"name": "L", "id": 4220}, {"name": "M", "id": 4220}]}, r"catalogs\[1\]: the id is taken"),
        ({"catalogs": [{"name": "L", "fields": [{"name": "F", "type": "strng"}]}]}, r"fields\[0\].type: 'strng'"),
        ({"catalogs": [{"name": "L", "fields": [{"name": "F", "enums": ["A"]}]}]}, "has no options"),
        ({"catalogs": [{"name": "L", "elements": [{"name": "E", "values": {"X": 1}}]}]}, r"elements\[0\]: .*'X'"),
        (
            {
                "catalogs": [
                    {
                        "name": "L",
                        "fields": [{"name": "F", "type": "numeric"}],
                        "elements": [{"name": "E", "values": {"F": "12,5"}}],
                    }
                ]
            },
            r"catalogs\[0\].elements\[0\]: field 'F': '12,5' is not a number",
        ),
    ],
)
def test_a_wrong_seed_is_refused_with_its_place(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SeedError, match=said):
        Emulator(seed=given).start()


@pytest.mark.parametrize(("name", "content"), [("a.yaml", "a: ["), ("a.json", "{"), ("missing.yaml", None)])
def test_an_unreadable_seed_file_is_named(tmp_path: Path, name: str, content: str | None) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SeedError, match=name):
        Emulator(seed=file).start()


def test_a_refused_seed_leaves_the_database_empty(tmp_path: Path) -> None:
    db = tmp_path / "account.db"
    with pytest.raises(SeedError):
        Emulator(db, seed={"catalogs": [{"name": "Good"}, {"name": ""}]}).start()
    with Emulator(db) as emulator:
        assert emulator.store.catalogs() == []
