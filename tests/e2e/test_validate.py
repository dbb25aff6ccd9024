"""`catalogsync validate` as a user calls it: everything at once, each with its address, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from catalogsync.cli import USAGE_EXIT, run
from tests.e2e.conftest import MAPPINGS, SHEETS, Shell, Start, catalog_of, needs_sheets

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "stationery.csv"
SEED = ROOT / "samples" / "stationery.seed.yaml"
MAPPING = ROOT / "mappings" / "stationery.yaml"

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Price", "type": "numeric"},
    {"id": 103, "name": "Colour", "type": "select", "enums": {"Red": 31, "Green": 32}},
]
PLAIN = """\
catalog: Products
key: code
columns:
  code: Code
  name: name
  price: Price
  colour: Colour
"""
HEAD = "code,name,price,colour\n"


@pytest.fixture
def shop(start: Start) -> Shell:
    """An account with one product, whose code has zeros in front."""
    return start(catalog_of(FIELDS, [{"id": 500, "name": "Oak", "values": {"Code": "00123", "Price": 5}}]))


def write(folder: Path, sheet: str, mapping: str = PLAIN) -> tuple[Path, Path]:
    (folder / "sheet.csv").write_text(sheet, encoding="utf-8")
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    return folder / "sheet.csv", folder / "mapping.yaml"


def found(shell: Shell, *arguments: object) -> Any:
    """What is found, as JSON. Asserts that nothing but GETs was sent."""
    code = shell("validate", *arguments, "--json")
    assert {arrival.method for arrival in shell.sent} <= {"GET"}
    tree = json.loads(shell.out)
    assert tree["exit_code"] == code
    return tree


def told(tree: Any, of: str) -> list[str]:
    """The addresses and words of one kind of problem, mapping files by their names only."""
    problems = [*tree["problems"], *tree["warnings"]]
    return [f"{Path(p['where']).name}: {p['what']}" for p in problems if p["of"] == of]


# --- nothing wrong ---


def test_the_sample_has_nothing_to_mend_and_two_reads_tell(start: Start) -> None:
    shell = start(SEED)
    assert shell("validate", SAMPLE, "-m", MAPPING) == 0
    assert shell.out == "Nothing to mend in 10 rows.\n"
    assert "encoding    utf-8" in shell.err
    assert [arrival.method for arrival in shell.sent] == ["GET", "GET"]
    assert not any("elements" in arrival.target for arrival in shell.sent)


def test_offline_needs_no_account_and_says_what_it_did_not_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(SAMPLE), "-m", str(MAPPING), "--offline"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Note: without the account's fields their types are not known: checked were ")
    assert out.endswith("Nothing to mend in 10 rows.\n")


def test_without_an_account_the_way_without_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(SAMPLE), "-m", str(MAPPING)]) == 7
    assert "--offline" in capsys.readouterr().err


# --- everything at once ---


def test_problems_of_file_schema_headers_and_rows_are_told_together(shop: Shell, tmp_path: Path) -> None:
    mapping = """\
catalog: Products
key: code
colums: {}
columns:
  code: Code
  name: name
  price: {field: Price, blnk: keep}
  colour: Colour
  size: Sise
  weight: Price
missing: {set: {Other: x}}
guards: {delete: ten}
"""
    sheet, path = write(tmp_path, HEAD + "1,A,1,Red\n1,B,x,Blue\n2,C,y,Pink\n,D,1,\n", mapping)

    tree = found(shop, sheet, "-m", path)

    assert told(tree, "mapping") == [
        "mapping.yaml:3 colums: unknown key `colums`",
        "mapping.yaml:7 columns.price.blnk: unknown key `blnk`",
        'mapping.yaml:9 columns.size: the sheet has no column "size"',
        'mapping.yaml:9 columns.size: catalog 4220 (Products) has no field "Sise"',
        'mapping.yaml:10 columns.weight: the sheet has no column "weight"',
        'mapping.yaml:11 missing.set.Other: "Other" is not one of `columns:`',
        'mapping.yaml:12 guards.delete: "ten" is not a count or a percentage',
    ]
    assert told(tree, "rows") == [
        'sheet.csv:3 (colour): "Blue" is not an option',
        'sheet.csv:4 (colour): "Pink" is not an option',
        "sheet.csv:5 (code): the key is empty",
        'sheet.csv:2 (code): the key "1" stands in 2 rows',
    ]
    assert "the cells of “price”, “size”, “weight” were not checked: mend the mapping first" in tree["notes"]
    assert (tree["exit_code"], tree["sheet_rows"], tree["rejected_rows"]) == (1, 4, 4)


def test_a_key_that_stands_twice_in_the_file_hides_nothing_else(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, HEAD + "1,A,x,\n", PLAIN + "key: name\nguards: {dlete: 1}\n")
    tree = found(shop, sheet, "-m", path)
    assert [words.partition(": ")[2] for words in told(tree, "mapping")] == [
        "`key` stands twice, first in line 2",
        "unknown key `dlete`",
    ]
    assert told(tree, "rows") == ['sheet.csv:2 (price): "x" is not a number']


@pytest.mark.parametrize("key", ["key: cod\n", "key: []\n", "", "key: {a: b}\n", "key: [code, cod]\n"])
def test_with_a_wrong_key_the_cells_are_checked_and_the_keys_are_not(shop: Shell, tmp_path: Path, key: str) -> None:
    sheet, path = write(tmp_path, HEAD + "1,A,x,\n1,B,1,\n", PLAIN.replace("key: code\n", key))
    tree = found(shop, sheet, "-m", path)
    assert (len(told(tree, "mapping")), tree["exit_code"]) == (1, 1)
    assert told(tree, "rows") == ['sheet.csv:2 (price): "x" is not a number']
    assert "keys were not checked: mend the mapping first" in tree["notes"]


def test_an_unknown_catalog_is_told_with_the_known_ones_and_the_rest_is_checked(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, HEAD + "1,A,1,\n1,B,1,\n", PLAIN.replace("Products", "Prodcts"))
    tree = found(shop, sheet, "-m", path)
    assert told(tree, "mapping") == [
        "mapping.yaml:1 catalog: the account has no catalog “Prodcts”. Catalogs: 4220 (Products)"
    ]
    assert told(tree, "rows") == ['sheet.csv:2 (code): the key "1" stands in 2 rows']


def test_a_sheet_that_cannot_be_read_does_not_keep_the_mapping_from_being_checked(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, "", PLAIN.replace("colour: Colour", "colour: Color"))
    tree = found(shop, sheet, "-m", path)
    assert told(tree, "sheet") == [": sheet.csv is empty. An empty file is not read as an empty catalog."]
    assert told(tree, "mapping") == [
        'mapping.yaml:7 columns.colour: catalog 4220 (Products) has no field "Color"',
    ]
    assert (tree["exit_code"], tree["read"]) == (1, None)


def test_a_mapping_that_is_no_yaml_does_not_keep_the_sheet_from_being_read(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, "", "catalog: [")
    tree = found(shop, sheet, "-m", path)
    assert (len(told(tree, "mapping")), len(told(tree, "sheet")), tree["exit_code"]) == (1, 1, 1)


def test_a_column_that_reading_needs_and_is_not_there_does_not_hide_the_headers(shop: Shell, tmp_path: Path) -> None:
    mapping = PLAIN.replace("colour: Colour", "colr: Colour") + "read: {needs: pric}\n"
    sheet, path = write(tmp_path, HEAD + "1,A,1,\n", mapping)
    tree = found(shop, sheet, "-m", path)
    assert told(tree, "mapping") == ['mapping.yaml:7 columns.colr: the sheet has no column "colr"']
    assert len(told(tree, "sheet")) == 1
    assert "pric" in told(tree, "sheet")[0]
    assert tree["exit_code"] == 1


def test_mixed_currencies_are_told_with_the_other_columns_problems(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, HEAD + "1,A,1 €,Blue\n2,B,2 $,Red\n")
    tree = found(shop, sheet, "-m", path)
    assert told(tree, "sheet") == ["sheet.csv:2 (price): the first in EUR", "sheet.csv:3 (price): the first in USD"]
    assert told(tree, "rows") == ['sheet.csv:2 (colour): "Blue" is not an option']
    assert tree["exit_code"] == 1


def test_offline_finds_what_needs_no_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapping = (
        PLAIN.replace("price: Price", 'price: {field: Price, format: "%Q", blank: error}') + "timezone: Europe/Rga\n"
    )
    lines = ["1,A,x,Blue", "1,CafÃ©,,", "8.1E+12,C,1,", "ab,D,#N/A,", "AB,E,1,"]
    sheet, path = write(tmp_path, HEAD + "\n".join(lines), mapping)
    assert run(["validate", str(sheet), "-m", str(path), "--offline", "--json"]) == 1
    tree = json.loads(capsys.readouterr().out)
    assert told(tree, "mapping") == [
        'mapping.yaml:6 columns.price.format: "%Q" is not a way to write a date',
        'mapping.yaml:8 timezone: "Europe/Rga" is not a time zone',
    ]
    assert told(tree, "rows") == [
        'sheet.csv:4 (code): "8.1E+12" looks like a code that Excel shortened',
        'sheet.csv:2 (code): the key "1" stands in 2 rows',
    ]
    assert told(tree, "warning") == [
        'sheet.csv:6 (code): the key "AB" differs from "ab" in sheet.csv:5 (code) only by upper and lower case',
        'sheet.csv:3 (name): "CafÃ©" was read in a wrong encoding',
    ]


# --- with the catalog's elements ---


def test_with_elements_it_tells_what_a_plan_would_tell_of_the_rows(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, HEAD + "123,Oak,5,Red\n200,,5,\n300,C,x,\n")
    without = found(shop, sheet, "-m", path)
    assert told(without, "rows") == ['sheet.csv:4 (price): "x" is not a number']
    assert len(shop.sent) == 2

    tree = found(shop, sheet, "-m", path, "--with-elements")

    assert told(tree, "rows") == [
        'sheet.csv:4 (price): "x" is not a number',
        'sheet.csv:2 (code): no element has the key "123", but element 500 has "00123": zeros in front were lost',
        "sheet.csv:3: a new product needs a name",
    ]
    assert (tree["exit_code"], tree["rejected_rows"]) == (3, 3)
    plan = shop.plan(sheet, "-m", path)
    assert [p["what"] for p in plan["rejected"]] == [p["what"] for p in tree["problems"]]


def test_a_plan_does_not_take_an_element_for_missing_whose_row_lost_its_zeros(shop: Shell, tmp_path: Path) -> None:
    options = ("--delete-unseen",)
    mapping = PLAIN + "missing: delete\nguards: {delete: 100%}\n"
    sheet, path = write(tmp_path, HEAD + "123,Oak,5,Red\n", mapping)
    plan = shop.plan(sheet, "-m", path, *options)
    assert (plan["counts"], plan["rejected_rows"]) == ({"add": 0, "update": 0, "delete": 0}, 1)
    sheet, path = write(tmp_path, HEAD + "124,Oak,5,Red\n", mapping)
    assert shop.plan(sheet, "-m", path, *options)["counts"] == {"add": 1, "update": 0, "delete": 1}


def test_a_plan_warns_of_a_new_product_whose_key_is_nearly_an_elements(start: Start, tmp_path: Path) -> None:
    shell = start(catalog_of(FIELDS, [{"id": 500, "name": "Oak", "values": {"Code": "AB-1"}}]))
    sheet, path = write(tmp_path, HEAD + "АВ-1,Oak,5,\n")
    assert shell("plan", sheet, "-m", path) == 0
    assert (
        'sheet.csv:2 (code): the key "АВ-1" is new; that of element 500, "AB-1", differs only by letters that look '
        "alike (Cyrillic А, Cyrillic В)"
    ) in shell.out


def test_a_guard_that_would_stop_the_plan_is_worth_a_look(start: Start, tmp_path: Path) -> None:
    held = [{"id": 500 + n, "name": f"P{n}", "values": {"Code": f"{n}"}} for n in range(20)]
    shell = start(catalog_of(FIELDS, held))
    sheet, path = write(tmp_path, HEAD + "".join(f"X{n},P,1,\n" for n in range(20)))
    tree = found(shell, sheet, "-m", path, "--with-elements")
    assert [words.partition(":")[0] for words in told(tree, "warning")] == ["guard matched"]
    assert tree["exit_code"] == 0


# --- how it is told ---


def test_many_problems_of_a_kind_are_one_line_and_v_lists_each(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, HEAD + "".join(f"{n},P,x{n},\n" for n in range(30)))
    assert shop("validate", sheet, "-m", path) == 3
    assert "sheet.csv (price)  30 cells (lines 2, 3, 4, 5, 6 …): such as" in shop.out
    assert "(-v shows each)" in shop.out
    assert shop.out.endswith("To mend: 30 of 30 rows rejected.\n")
    assert shop("validate", sheet, "-m", path, "-v") == 3
    assert all(f"sheet.csv:{n} (price)" in shop.out for n in range(2, 32))
    assert shop("plan", sheet, "-m", path) == 3
    assert 'sheet.csv (price): 30 cells (lines 2, 3, 4, 5, 6 …): such as "x0" is not a number' in shop.out


def test_a_repeated_key_lists_every_place(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, HEAD + "7,P,1,\n" * 12 + "8,P,1,\n" + "7,P,1,\n")
    [problem] = found(shop, sheet, "-m", path)["problems"]
    first = ", ".join(f"sheet.csv:{n} (code)" for n in range(3, 8))
    assert problem["hint"].startswith(f"also {first} and lines 8–13, 15; none is taken")
    assert [cell["row"] for cell in problem["cells"]] == [*range(2, 14), 15]


def test_text_of_a_sheet_cannot_steer_the_terminal(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, HEAD + "1,Oak,\x1b[2J,\n" + "2,P,1,\n" * 40)
    assert shop("validate", sheet, "-m", path) == 3
    assert "\x1b" not in shop.out + shop.err


# --- the marked copy ---


def test_the_marked_copy_holds_the_sheet_and_its_problems(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, HEAD + "1,A,x,\n=1+1,B,5,\n")
    assert shop("validate", sheet, "-m", path, "--out", tmp_path / "out.xlsx") == 3
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    assert book.sheetnames == ["sheet", "Problems"]
    assert '"x" is not a number' in book["sheet"]["C2"].comment.text
    assert (book["sheet"]["A3"].value, book["sheet"]["A3"].data_type) == ("=1+1", "s")
    assert "Wrote " in shop.err
    assert shop("validate", tmp_path / "out.xlsx", "-m", path) == 3  # mended in place, it can be validated again
    assert "out.xlsx!sheet!C2 (price)" in shop.out


@pytest.mark.parametrize("out", ["sheet.xlsx", "folder/../sheet.xlsx", "link.xlsx", "mapping.yaml", "out.csv"])
def test_the_copy_never_takes_the_place_of_the_sheet(shop: Shell, tmp_path: Path, out: str) -> None:
    _, path = write(tmp_path, "")
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["code", "name", "price", "colour"])
    book.active.append(["1", "A", "x", ""])
    sheet = tmp_path / "sheet.xlsx"
    book.save(sheet)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.xlsx").hardlink_to(sheet)
    before = sheet.read_bytes()
    assert shop("validate", sheet, "-m", path, "--out", tmp_path / out) == USAGE_EXIT
    assert sheet.read_bytes() == before
    assert path.read_text(encoding="utf-8") == PLAIN


def test_offline_and_with_elements_exclude_each_other(shop: Shell, tmp_path: Path) -> None:
    sheet, path = write(tmp_path, HEAD)
    assert shop("validate", sheet, "-m", path, "--offline", "--with-elements") == USAGE_EXIT


@needs_sheets
@pytest.mark.parametrize(
    ("sheet", "mapping", "code"),
    [
        ("farmacia_lista_precios.xlsx", "farmacia.yaml", 3),
        ("super_lista_11k.xlsx", "super.yaml", 0),
        ("catdist_produtos_virgula.csv", "catdist.yaml", 0),
        ("woo_classic_sample_products.csv", "woo.yaml", 0),
        ("datalogic_products_cp1251.csv", "datalogic.yaml", 3),
    ],
)
def test_real_sheets_offline(sheet: str, mapping: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(SHEETS / sheet), "-m", str(MAPPINGS / mapping), "--offline", "--json"]) == code
    tree = json.loads(capsys.readouterr().out)
    assert tree["warnings"] == []
    assert [problem["of"] for problem in tree["problems"]] == ["rows"] * (2 if "datalogic" in sheet else code // 3)
