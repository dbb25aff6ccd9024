"""The JSON Schema of the mapping file: it is the models', takes every mapping that is good, and refuses wrong ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from catalogsync.cli.bundled import put_schema_beside
from catalogsync.errors import MappingError
from catalogsync.mapping_schema import FILE_NAME, MODELINE, descriptions, mapping_schema, schema_text
from catalogsync.mappingfile import ColumnSpec, GuardSpec, MappingFile, ReadSpec, load_mapping
from tests.write_schema import SCHEMA

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = [*sorted((ROOT / "mappings").glob("*.yaml"))]
OTHERS = sorted((ROOT / "tests" / "e2e" / "mappings").glob("*.yaml"))
DOCUMENTED = [
    block
    for name in ("README.md", "docs/mapping.md")
    for block in re.findall(r"^```yaml\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.S | re.M)
    if "columns:" in block
]
CORE = "catalog: 4220\nkey: Code\ncolumns:\n  Code: SKU\n"


def wrong(text: str) -> list[str]:
    """Where a mapping does not fit the schema, as an editor sees the file."""
    tree: Any = yaml.safe_load(text)
    return ["/".join(map(str, error.absolute_path)) for error in Draft7Validator(mapping_schema()).iter_errors(tree)]


def test_the_shipped_schema_is_that_of_the_models() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run `python -m tests.write_schema`"
    Draft7Validator.check_schema(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize("spec", [MappingFile, ColumnSpec, GuardSpec, ReadSpec])
def test_every_key_has_a_description(spec: Any) -> None:
    assert set(descriptions(spec)) == set(spec.model_fields)
    assert all(words.endswith(".") for words in descriptions(spec).values())


@pytest.mark.parametrize("path", [*SHIPPED, *OTHERS], ids=lambda path: path.name)
def test_every_mapping_of_the_project_fits(path: Path) -> None:
    assert wrong(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", DOCUMENTED)
def test_every_mapping_of_the_documentation_fits(text: str) -> None:
    whole = text if "catalog:" in text else f"catalog: 4220\nkey: Code\n{text}"
    assert wrong(whole) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_mapping_names_the_schema_in_its_first_line(path: Path) -> None:
    assert path.read_text(encoding="utf-8").splitlines()[0] == MODELINE
    assert (path.parent / FILE_NAME).exists()


def test_the_schema_can_be_put_beside_any_mapping(tmp_path: Path) -> None:
    put_schema_beside(tmp_path / "products.yaml")
    assert (tmp_path / FILE_NAME).read_text(encoding="utf-8") == schema_text()


GOOD = [
    "catalog: Products\nkey: [Code, EAN]\ncolumns: {Code: SKU, EAN: 13}\n",
    "catalog: 1\nkey: [[Vendor, Code], EAN]\ncolumns: {Vendor: 1, Code: no, EAN: 1e3, 2024: Price}\n",
    CORE + "sheet: no\nduplicates: last\nmissing: keep\ntimezone: Europe/Riga\n",
    CORE + "missing: {set: {Active: no, Price: 5, Note: none}}\n",
    CORE + "missing: delete\nguards: {delete: 10%, update: 500, add: '7', rows: 0%, matched: 12.5%}\n",
    CORE + "read: {encoding: cp1251, delimiter: ';', quote: '', header_row: 3, hidden: skip, needs: Price}\n",
    CORE + "read: {header_row: 5-6, needs: [Price, 2024]}\n",
    CORE + "read: {header_row: none}\n",
    CORE + "  Sizes: {field: Sizes, enums: {no: S, 007: Large, 5: 3692541}, unknown: skip, multi: merge, split: /}\n",
    CORE + "  Price: {field: 5, decimal: ',', currency: EUR, moves: any, empty: [по запиту, '-', None, 0, ~]}\n",
    CORE + "  Price: {field: PRICE, moves: 30%, empty: on request, fill: merged, shuffled: allow, owner: crm}\n",
    CORE + "  Born: {field: Born, format: ['%d.%m.%Y', '%Y']}\n  Died: {field: Died, format: '%Y'}\n",
]

WRONG = [
    ("key: Code\ncolumns: {Code: SKU}\n", ""),
    ("catalog: 1\ncolumns: {Code: SKU}\n", ""),
    ("catalog: 1\nkey: Code\n", ""),
    (CORE + "colums: {}\n", ""),
    (CORE + "duplicates: both\n", "duplicates"),
    (CORE + "missing: drop\n", "missing"),
    (CORE + "missing: {set: {}}\n", "missing"),
    (CORE + "missing: {to: {Active: no}}\n", "missing"),
    (CORE + "guards: {delete: ten}\n", "guards/delete"),
    (CORE + "guards: {dlete: 10}\n", "guards"),
    (CORE + "read: {header_row: first}\n", "read/header_row"),
    (CORE + "read: {header_row: 0}\n", "read/header_row"),
    (CORE + "read: {hidden: hide}\n", "read/hidden"),
    (CORE + "  Price: {field: PRICE, blank: never}\n", "columns/Price"),
    (CORE + "  Price: {field: PRICE, fill: up}\n", "columns/Price"),
    (CORE + "  Price: {feld: PRICE}\n", "columns/Price"),
    (CORE + "  Price: {decimal: ','}\n", "columns/Price"),
    (CORE + "  Price: [PRICE]\n", "columns/Price"),
    ("catalog: 1\nkey: []\ncolumns: {Code: SKU}\n", "key"),
    ("catalog: 1\nkey: [[]]\ncolumns: {Code: SKU}\n", "key"),
]


@pytest.mark.parametrize("text", GOOD)
def test_every_form_that_is_read_fits(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    load_mapping(tmp_path / "m.yaml")
    assert wrong(text) == []


@pytest.mark.parametrize(("text", "where"), WRONG)
def test_what_is_refused_when_it_is_read_does_not_fit(text: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    if "guards: {delete" not in text:  # a limit is looked at when the mapping meets its catalog
        with pytest.raises(MappingError):
            load_mapping(tmp_path / "m.yaml")
    assert wrong(text) == [where]
