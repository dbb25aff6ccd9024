"""Export, edit, import: what a person does to an exported workbook, and what of it reaches the catalog."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from catalogsync.api.auth import APIS
from tests.e2e.conftest import Shell, Start, catalog_of
from tests.e2e.test_laws import FIELDS as EVERY_FIELD
from tests.e2e.test_laws import MAPPING as EVERY_COLUMN

FIELDS = [
    {"id": 101, "name": "Code", "type": "text"},
    {"id": 102, "name": "Price", "type": "price"},
    {"id": 103, "name": "Colour", "type": "select", "enums": ["Red", "Blue"]},
    {"id": 104, "name": "Note", "type": "textarea"},
]
MAPPING = """
catalog: Products
key: code
columns:
  code: Code
  name: name
  price: Price
  colour: Colour
  note: {field: Note, blank: clear}
"""
ELEMENTS = [
    {"id": 501, "name": "Oak", "values": {"Code": "001", "Price": "9.5", "Colour": "Red", "Note": "Hard"}},
    {"id": 502, "name": "Ash", "values": {"Code": "002", "Price": "100", "Colour": "Blue"}},
    {"id": 503, "name": "Elm", "values": {"Code": "003", "Price": "250"}},
]


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CATALOGSYNC_API", request.param)
    return str(request.param)


class Desk:
    """A catalog that was exported to a workbook."""

    def __init__(self, shell: Shell, folder: Path, mapping: str = MAPPING) -> None:
        self.shell, self.book, self.mapping = shell, folder / "products.xlsx", folder / "mapping.yaml"
        self.mapping.write_text(mapping, encoding="utf-8")

    def export(self, *flags: object) -> int:
        return self.shell("export", "Products", self.book, "-m", self.mapping, *flags)

    def edit(self, change: Callable[[Worksheet], None], tab: int = 0) -> None:
        """Open the workbook, change a tab, save it."""
        book = openpyxl.load_workbook(self.book)
        change(book.worksheets[tab])
        book.save(self.book)
        book.close()

    def set(self, code: str, column: str, text: object) -> None:
        """Type into the cell of a product."""

        def change(tab: Worksheet) -> None:
            row_of(tab, code)[column].value = text

        self.edit(change)

    def without_values(self) -> None:
        """Take the hidden tab away."""
        book = openpyxl.load_workbook(self.book)
        del book["catalogsync values"]
        book.save(self.book)
        book.close()

    def plan(self) -> Any:
        return self.shell.plan(self.book, "-m", self.mapping)

    def changes(self) -> list[tuple[Any, ...]]:
        """What would be changed: kind, id or key, and the new values."""
        made = self.plan()["changes"]
        return [(each["kind"], each.get("id", each["key"]), each.get("after", each.get("values"))) for each in made]

    def rows(self) -> list[dict[str, Any]]:
        book = openpyxl.load_workbook(self.book)
        table = list(book.worksheets[0].iter_rows(values_only=True))
        book.close()
        return [dict(zip(map(str, table[0]), row, strict=True)) for row in table[1:]]


def row_of(tab: Worksheet, code: str) -> dict[str, Any]:
    """The cells of a product by heading."""
    headings = [str(cell.value) for cell in tab[1]]
    row = next(row for row in tab.iter_rows(min_row=2) if row[headings.index("code")].value == code)
    return dict(zip(headings, row, strict=True))


ID = "catalogsync id 30001/4220"


@pytest.fixture
def desk(api: str, start: Start, tmp_path: Path) -> Desk:
    """Three products, exported."""
    made = Desk(start(catalog_of(FIELDS, ELEMENTS)), tmp_path)
    assert made.export() == 0
    return made


# --- what comes back -------------------------------------------------------------------------------------------


def test_nothing_edited_is_nothing_to_do_and_the_products_tab_is_found(desk: Desk) -> None:
    assert desk.changes() == []
    assert openpyxl.load_workbook(desk.book).sheetnames == ["Products", "Options", "About", "catalogsync values"]


def test_one_edited_cell_is_exactly_that_update(desk: Desk) -> None:
    desk.set("001", "price", 12.25)
    assert desk.changes() == [("update", 501, {"102": "12.25"})]


def test_an_emptied_cell_is_a_cleared_field_and_without_the_values_of_the_export_what_blank_says(desk: Desk) -> None:
    desk.set("001", "note", None)
    desk.set("001", "colour", None)
    assert desk.changes() == [("update", 501, {"103": "", "104": ""})]

    desk.without_values()
    assert desk.changes() == [("update", 501, {"104": ""})]


@pytest.mark.parametrize("missing", ["keep", "delete"])
def test_a_deleted_row_is_nothing_unless_the_mapping_says_otherwise(desk: Desk, missing: str) -> None:
    desk.mapping.write_text(f"{MAPPING}missing: {missing}\nguards: {{delete: 100%}}\n", encoding="utf-8")
    desk.shell("import", desk.book, "-m", desk.mapping, "--yes")

    desk.edit(lambda tab: tab.delete_rows(row_of(tab, "002")["code"].row))

    assert [change[:2] for change in desk.changes()] == ([("delete", 502)] if missing == "delete" else [])


def test_a_row_whose_cells_were_all_emptied_is_a_deleted_row(desk: Desk) -> None:
    def empty(tab: Worksheet) -> None:
        for heading, cell in row_of(tab, "002").items():
            cell.value = cell.value if heading == ID else None

    desk.edit(empty)
    plan = desk.plan()
    assert (plan["changes"], plan["rejected"]) == ([], [])


def test_a_new_row_is_an_add(desk: Desk) -> None:
    desk.edit(lambda tab: tab.append(["004", "Yew", 7]))
    assert desk.changes() == [("add", "004", {"101": "004", "name": "Yew", "102": "7"})]


def test_a_row_copied_with_its_hidden_id_but_another_key_is_an_add(desk: Desk) -> None:
    def copy(tab: Worksheet) -> None:
        cells = {heading: cell.value for heading, cell in row_of(tab, "002").items()}
        tab.append(list({**cells, "code": "902"}.values()))

    desk.edit(copy)
    assert [change[:2] for change in desk.changes()] == [("add", "902")]
    assert desk.plan()["warnings"] == []


def test_a_renamed_key_keeps_its_element(desk: Desk) -> None:
    desk.set("002", "code", "902")
    assert desk.changes() == [("update", 502, {"101": "902"})]

    assert desk.shell("import", desk.book, "-m", desk.mapping, "--yes") == 0

    assert {each["id"]: each["Code"] for each in desk.shell.elements()} == {501: ["001"], 502: ["902"], 503: ["003"]}
    assert desk.changes() == []


def test_a_renamed_key_keeps_its_element_also_after_an_import_with_the_old_key(desk: Desk) -> None:
    desk.mapping.write_text(f"{MAPPING}missing: delete\nguards: {{delete: 100%}}\n", encoding="utf-8")
    assert desk.shell("import", desk.book, "-m", desk.mapping, "--yes") == 0
    desk.set("002", "code", "902")
    assert desk.changes() == [("update", 502, {"101": "902"})]


def test_rows_whose_keys_are_those_of_other_elements_are_told_by_their_keys(desk: Desk) -> None:
    """Cells may have moved beside the hidden ids: a key that the catalog knows counts more."""

    def swap(tab: Worksheet) -> None:
        first, second = row_of(tab, "001"), row_of(tab, "002")
        first[ID].value, second[ID].value = second[ID].value, first[ID].value

    desk.edit(swap)
    assert desk.changes() == []


def test_a_key_that_another_product_holds_means_that_product(desk: Desk) -> None:
    def take_over(tab: Worksheet) -> None:
        tab.delete_rows(row_of(tab, "003")["code"].row)
        row_of(tab, "002")["code"].value = "003"

    desk.edit(take_over)
    made = desk.changes()
    assert [(kind, id_, after["name"]) for kind, id_, after in made] == [("update", 503, "Ash")]


def test_cells_inserted_beside_the_hidden_ids_add_one_product_and_rename_none(desk: Desk) -> None:
    def insert(tab: Worksheet) -> None:
        tab.move_range("A3:E4", rows=1)
        for place, text in enumerate(["0015", "Yew", 7], start=1):
            tab.cell(3, place).value = text

    desk.edit(insert)
    assert [change[:2] for change in desk.changes()] == [("add", "0015")]
    told = [problem["what"] for problem in desk.plan()["warnings"]]
    assert len(told) == 1
    assert re.fullmatch(r"was exported from element 50\d, whose key another row has now", told[0])


def test_a_key_that_lost_its_zeros_is_no_new_key(desk: Desk) -> None:
    desk.set("002", "code", 2)
    plan = desk.plan()
    assert plan["changes"] == []
    assert "zeros in front were lost" in plan["rejected"][0]["what"]


def test_the_ids_of_another_catalog_say_nothing(desk: Desk) -> None:
    def other(tab: Worksheet) -> None:
        row_of(tab, "001")[ID].offset(row=1 - row_of(tab, "001")[ID].row).value = "catalogsync id 30001/77"
        next(cell for cell in tab["A"] if cell.value == "002").value = "902"

    desk.edit(other)
    plan = desk.plan()
    assert [(each["kind"], each["key"]) for each in plan["changes"]] == [("add", "902")]
    assert plan["notes"] == [
        "the sheet was exported from catalog 77 of account 30001: its rows are told by their keys alone"
    ]


def test_a_shared_key_is_mended_by_giving_one_of_its_rows_another(api: str, start: Start, tmp_path: Path) -> None:
    twins = [{"id": 600 + n, "name": f"P{n}", "values": {"Code": "7"}} for n in range(2)]
    keyless = {"id": 602, "name": "Nameless", "values": {"Price": "1"}}
    desk = Desk(start(catalog_of(FIELDS, [*twins, keyless])), tmp_path)
    desk.export()

    def mend(tab: Worksheet) -> None:
        for row in tab.iter_rows(min_row=2):
            if row[-1].value in (601, 602):
                row[0].value = f"new {row[-1].value}"

    desk.edit(mend)
    assert sorted(desk.changes()) == [("update", 601, {"101": "new 601"}), ("update", 602, {"101": "new 602"})]


def test_a_column_of_ids_that_is_gone_leaves_the_keys(desk: Desk) -> None:
    desk.edit(lambda tab: tab.delete_cols(6))
    desk.set("001", "price", 1)
    assert desk.changes() == [("update", 501, {"102": "1"})]


def test_a_column_put_beside_the_ids_changes_no_address(desk: Desk) -> None:
    def add_column(tab: Worksheet) -> None:
        tab.cell(1, 7).value, tab.cell(2, 7).value = "my remarks", "look at this"
        row_of(tab, "003")["price"].value = "much"

    desk.edit(add_column)
    [problem] = desk.plan()["rejected"]
    assert re.fullmatch(r"products\.xlsx!Products!C[234] \(price\)", problem["where"])


def test_renamed_and_moved_tabs_are_no_hindrance(desk: Desk) -> None:
    book = openpyxl.load_workbook(desk.book)
    book.move_sheet("Products", 2)
    book["Products"].title = "For Anna"
    book.create_sheet("Notes").append(["code", "name", "price", "colour", "note"])
    book["Notes"].append(["x", "y", 1, "", ""])
    book.save(desk.book)
    book.close()
    assert desk.changes() == []


def test_what_the_mapping_says_of_the_supplier_s_sheet_does_not_hinder_its_export(start: Start, tmp_path: Path) -> None:
    mapping = MAPPING.replace("note: {field: Note, blank: clear}", "note: {field: Note, fill: down}")
    mapping += "sheet: Prices\nread: {header_row: 3, needs: note}\n"
    noted = {"id": 504, "name": "Yew", "values": {"Code": "004", "Note": "Soft"}}  # newest, so the first row
    desk = Desk(start(catalog_of(FIELDS, [*ELEMENTS, noted])), tmp_path, mapping)
    desk.export()
    assert openpyxl.load_workbook(desk.book).sheetnames[0] == "Prices"
    plan = desk.plan()
    assert (plan["changes"], plan["unchanged_count"]) == ([], 4)

    desk.shell("export", "Products", desk.book)

    def as_the_mapping_has_them(tab: Worksheet) -> None:
        for cell in tab[1]:
            cell.value = str(cell.value).lower()

    desk.edit(as_the_mapping_has_them)
    plan = desk.plan()
    assert (plan["changes"], plan["unchanged_count"]) == ([], 4)


def test_products_that_look_like_totals_and_sections_are_products(start: Start, tmp_path: Path) -> None:
    whole = {"Price": "1", "Colour": "Red", "Note": "Hard"}
    usual = [{"id": 701 + n, "name": "Oak", "values": {**whole, "Code": f"{n}"}} for n in range(9)]
    odd = [
        {"id": 601, "name": "Total", "values": {}},
        {"id": 602, "name": "Total station", "values": {"Code": "Total"}},
    ]
    desk = Desk(start(catalog_of(FIELDS, [*usual, *odd])), tmp_path)
    desk.export()
    desk.set("Total", "price", 5)
    assert desk.changes() == [("update", 602, {"102": "5"})]


# --- texts that no cell holds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_values", [True, False])
@pytest.mark.parametrize("blank", ["keep", "clear"])
def test_a_text_too_long_for_a_cell_is_neither_changed_nor_cleared(
    api: str, blank: str, has_values: bool, start: Start, tmp_path: Path
) -> None:
    long = {"id": 504, "name": "Yew", "values": {"Code": "004", "Note": "x" * 40_000}}
    mapping = MAPPING.replace("blank: clear", f"blank: {blank}")
    desk = Desk(start(catalog_of(FIELDS, [*ELEMENTS, long])), tmp_path, mapping)
    desk.export()
    mark = "[catalogsync: 40,000 characters, more than a cell holds; the catalog keeps its text]"
    assert [row["note"] for row in desk.rows() if row["code"] == "004"] == [mark]

    desk.set("004", "price", 3)
    if not has_values:
        desk.without_values()
    plan = desk.plan()
    assert [(each["id"], each["after"]) for each in plan["changes"]] == [(504, {"102": "3"})]
    told = [note for note in plan["notes"] if not note.startswith("the hidden tab")]
    assert told == ([] if has_values else ["“note”: 1 text was not in the exported file: left as in the catalog"])

    for _ in range(2):  # the second time there is a base
        assert desk.shell("import", desk.book, "-m", desk.mapping, "--yes") == 0
        stored = {each["id"]: each for each in desk.shell.elements()}
        assert stored[504]["Note"] == ["x" * 40_000]
    assert desk.changes() == []

    desk.set("004", "note", "short")
    assert desk.changes() == [("update", 504, {"104": "short"})]


# --- the workbook --------------------------------------------------------------------------------------------------


def test_codes_are_text_prices_have_their_decimals_and_ids_are_hidden(desk: Desk) -> None:
    book = openpyxl.load_workbook(desk.book)
    tab = book["Products"]
    cells = row_of(tab, "001")
    assert {heading: (cell.value, cell.data_type, cell.number_format) for heading, cell in cells.items()} == {
        "code": ("001", "s", "@"),
        "name": ("Oak", "s", "@"),
        "price": (9.5, "n", "0.00"),
        "colour": ("Red", "s", "@"),
        "note": ("Hard", "s", "@"),
        ID: (501, "n", "General"),
    }
    assert [tab.column_dimensions[letter].hidden for letter in "ABCDEF"] == [False] * 5 + [True]
    assert (tab.freeze_panes, tab.auto_filter.ref, tab.protection.sheet) == ("A2", "A1:F4", False)
    assert cells["note"].alignment.wrap_text


def test_options_are_offered_from_a_range_and_any_number_of_them_fits(start: Start, tmp_path: Path) -> None:
    many = [f"Option {n}, with a comma" for n in range(400)]
    fields = [{**field, "enums": many} if "enums" in field else field for field in FIELDS]
    desk = Desk(start(catalog_of(fields, [{"id": 1, "name": "A", "values": {"Code": "1"}}])), tmp_path)
    desk.export()
    book = openpyxl.load_workbook(desk.book)
    [rule] = book["Products"].data_validations.dataValidation
    assert (rule.type, rule.formula1, str(rule.sqref)) == ("list", "'Options'!$A$2:$A$401", "D2:D1048576")
    assert [cell.value for cell in book["Options"]["A"]] == ["Options of colour", *many]


def test_a_protected_workbook_still_sorts_and_filters(desk: Desk) -> None:
    assert desk.export("--protect") == 0
    book = openpyxl.load_workbook(desk.book)
    tab = book["Products"]
    guard = tab.protection
    assert (guard.sheet, guard.sort, guard.autoFilter, guard.insertRows) == (True, False, False, False)  # not locked
    filled = [cell for row in tab.iter_rows(min_row=2) for cell in row if cell.value is not None]
    assert {cell.protection.locked for cell in filled} == {False}
    assert not tab.column_dimensions["A"].protection.locked  # cells and rows to come
    assert {cell.protection.locked for cell in tab[1]} == {True}
    assert guard.formatColumns  # so that the ids stay hidden
    assert [book[name].protection.sheet for name in ("Options", "About")] == [True, True]
    assert desk.changes() == []


def test_the_tab_about_tells_what_it_is_and_how_to_send_it_back(desk: Desk) -> None:
    book = openpyxl.load_workbook(desk.book)
    told = {row[0]: str(row[1]) for row in book["About"].iter_rows(values_only=True)}
    assert told["Catalog"] == "Products (id 4220, account 30001)"
    assert told["Exported"].endswith("(Europe/Riga)")
    assert told["By"].startswith("catalogsync ")
    assert told["Products"] == "3"
    assert told["Mapping"] == "mapping.yaml"
    assert "catalogsync import FILE -m MAPPING" in told["Sending it back"]


def test_a_file_that_is_open_in_excel_is_left_and_the_export_lies_beside_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, replace = desk.book.read_bytes(), Path.replace
    beside = desk.book.with_name("products-2.xlsx")

    def in_use(self: Path, target: Path) -> Path:  # as Windows answers; elsewhere no open file is in the way
        if target == desk.book:
            raise PermissionError(13, "Access is denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", in_use)
    assert desk.export() == 0
    assert f"Wrote 3 elements to {beside}" in desk.shell.out
    assert "is open in another program" in desk.shell.err
    assert desk.book.read_bytes() == before
    assert sorted(path.name for path in desk.book.parent.glob("*.xlsx")) == ["products-2.xlsx", "products.xlsx"]


# --- a part of the catalog -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "codes"),
    [
        (["price > 100"], ["003"]),
        (["price >= 100"], ["002", "003"]),
        (["price > 9.5", "price < 250"], ["002"]),
        (["colour = red"], ["001"]),
        (["colour != Red"], ["002", "003"]),
        (["colour ="], ["003"]),
        (["name contains L"], ["003"]),
        (['name = "Oak"'], ["001"]),
        (["price > 1000"], []),
    ],
)
def test_only_what_fulfils_every_condition_is_exported(desk: Desk, conditions: list[str], codes: list[str]) -> None:
    assert desk.export(*[part for condition in conditions for part in ("--where", condition)]) == 0
    assert f"Wrote {len(codes)} elements" in desk.shell.out
    assert sorted(str(row["code"]) for row in desk.rows()) == codes


def test_a_part_can_be_edited_and_imported_and_what_was_left_out_is_not_missing(desk: Desk) -> None:
    desk.mapping.write_text(f"{MAPPING}missing: delete\nguards: {{delete: 100%}}\n", encoding="utf-8")
    desk.shell("import", desk.book, "-m", desk.mapping, "--yes")
    desk.export("--where", "price > 100")  # one of three: a whole sheet that has shrunk so is refused
    desk.set("003", "price", 251)
    assert desk.changes() == [("update", 503, {"102": "251"})]
    assert "the sheet is a part, by --where or --result: no element counts as missing" in desk.plan()["notes"]
    assert desk.shell("import", desk.book, "-m", desk.mapping, "--yes") == 0

    desk.export()  # and the part is not what the next sheet is measured by
    desk.edit(lambda tab: tab.delete_rows(2, 2))
    assert desk.shell("import", desk.book, "-m", desk.mapping, "--yes") == 4
    assert "1 rows" in desk.shell.err


def test_conditions_stand_in_the_environment_one_to_a_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGSYNC_WHERE", "price >= 100\nname contains lm")
    assert desk.export() == 0
    assert [row["code"] for row in desk.rows()] == ["003"]


def test_conditions_over_columns_that_are_not_there_are_told_all_at_once_before_anything_is_written(
    desk: Desk,
) -> None:
    before = desk.book.read_bytes()
    assert desk.export("--where", "prize > 3", "--where", "colour = Pink", "--where", "price > much") == 1
    assert 'there is no column "prize" (did you mean "price"?)' in desk.shell.err
    assert '"Pink" is not an option' in desk.shell.err
    assert '"much" is not a number' in desk.shell.err
    assert desk.book.read_bytes() == before


def test_a_csv_file_takes_conditions_and_no_protection(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    assert desk.shell("export", "Products", path, "-m", desk.mapping, "--where", "price < 100") == 0
    assert path.read_text(encoding="utf-8-sig") == "code,name,price,colour,note\n001,Oak,9.5,Red,Hard\n"
    assert desk.shell("export", "Products", path, "--protect") == 1
    assert "cannot be protected" in desk.shell.err


# --- LibreOffice ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not here")
def test_a_workbook_that_libreoffice_saved_again_changes_nothing(
    api: str, start: Start, tmp_path: Path
) -> None:  # pragma: no cover
    values: dict[str, object] = {
        "Code": "00123", "Text": "=1+1", "Textarea": "two\nlines", "Numeric": "1234.5", "Price": "0.1",
        "Checkbox": True, "Select": "Red", "Multi": ["Red", "no"], "Date": "2024-02-29",
        "Url": "https://example.com/?a=1&b=2", "Birthday": "1990-12-31",
    }  # fmt: skip
    mapping = EVERY_COLUMN % {"blank": "clear", "multi": "replace"}
    desk = Desk(start(catalog_of(EVERY_FIELD, [{"id": 1, "name": "Oak", "values": values}])), tmp_path, mapping)
    desk.export()
    out = tmp_path / "saved"
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/office", "--headless", "--convert-to", "xlsx"]
    subprocess.run([*command, "--outdir", str(out), str(desk.book)], check=True, capture_output=True, timeout=120)
    desk.book = out / desk.book.name
    assert desk.changes() == []
