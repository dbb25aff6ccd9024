"""The mapping file: read as written, every problem at once with file, line and key, and fitted to schema and sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalogsync import model
from catalogsync.errors import MappingError, Problem
from catalogsync.mapping import fit, resolve
from catalogsync.mappingfile import MappingFile, load_draft, load_mapping
from catalogsync.model import Ceiling, Column, Field, Floor
from tests.builders import FIELDS, ZONE, mapping, mapping_file, schema

BY_NAME = {field.name: field for field in FIELDS}


def load(folder: Path, text: str) -> MappingFile:
    return load_mapping(mapping_file(folder, text))


def load_problems(folder: Path, text: str) -> list[str]:
    """What is said about a file, less its folder."""
    with pytest.raises(MappingError) as caught:
        load(folder, text)
    return _told(caught.value, folder)


def fit_problems(
    folder: Path, columns: str, *, headers: Sequence[str] | None = None, more: str = "", key: str = "Code"
) -> list[str]:
    """What is said about a mapping that does not fit schema or sheet."""
    with pytest.raises(MappingError) as caught:
        mapping(folder, columns, headers=headers, more=more, key=key)
    return _told(caught.value, folder)


def _told(error: MappingError, folder: Path) -> list[str]:
    assert error.message.startswith(str(folder / "products.yaml"))
    return [str(problem).replace(f"{folder / 'products.yaml'}:", "line ") for problem in error.problems]


# --- as written ----------------------------------------------------------------------------------------------

FULL = """\
catalog: 00123
key: [EAN, [Vendor, Code]]
sheet: no
duplicates: last
timezone: Europe/Riga
columns:
  Product: name
  EAN: 0013
  Vendor: off
  Code: 1e3
  Price:
    field: PRICE
    blank: clear
    decimal: ","
    currency: eur
    owner: sheet
    conflict: crm
  Sizes:
    field: Sizes
    split: "/"
    multi: merge
    enums: {no: S, 007: Large}
    unknown: skip
  Expires: {field: Expires, format: "%d/%m/%Y"}
  Born: {field: Born, format: ["%d.%m.%Y", "%Y"]}
missing: {set: {Active: no}}
guards: {delete: 5, update: 50%}
read: {encoding: cp1251, delimiter: ";", quote: "", header_row: 3}
"""


def test_every_scalar_stays_the_text_that_was_written(tmp_path: Path) -> None:
    file = load(tmp_path, FULL)
    assert file.model_dump(exclude_defaults=True) == {
        "catalog": "00123",
        "key": (("EAN",), ("Vendor", "Code")),
        "sheet": "no",
        "duplicates": "last",
        "timezone": "Europe/Riga",
        "columns": {
            "Product": {"field": "name"},
            "EAN": {"field": "0013"},
            "Vendor": {"field": "off"},
            "Code": {"field": "1e3"},
            "Price": {
                "field": "PRICE",
                "blank": "clear",
                "decimal": ",",
                "currency": "eur",
                "owner": "sheet",
                "conflict": "crm",
            },
            "Sizes": {
                "field": "Sizes",
                "split": "/",
                "multi": "merge",
                "enums": {"no": "S", "007": "Large"},
                "unknown": "skip",
            },
            "Expires": {"field": "Expires", "format": ("%d/%m/%Y",)},
            "Born": {"field": "Born", "format": ("%d.%m.%Y", "%Y")},
        },
        "missing": {"action": "set", "set": {"Active": "no"}},
        "guards": {"delete": "5", "update": "50%"},
        "read": {"encoding": "cp1251", "delimiter": ";", "quote": "", "header_row": (3,)},
    }
    assert file.path == tmp_path / "products.yaml"


def test_what_is_left_out_has_the_documented_default(tmp_path: Path) -> None:
    file = load(tmp_path, "catalog: Products\nkey: Code\ncolumns: {Code: SKU}\n")
    assert (file.duplicates, file.missing.action, file.guards.model_dump()) == (
        "error",
        "keep",
        {"delete": "10%", "update": "", "add": "", "options": "50", "rows": "50%", "matched": "50%"},
    )
    spec = file.columns["Code"]
    assert (spec.blank, spec.owner, spec.conflict, spec.split, spec.multi, spec.unknown) == (
        "keep",
        "both",
        "ask",
        ";",
        "replace",
        "error",
    )
    assert (spec.moves, spec.shuffled) == ("", "refuse")


def test_headers_are_tidied_and_columns_by_letter_are_none(tmp_path: Path) -> None:
    file = load(tmp_path, "catalog: 1\nkey: ' Vendor   code '\ncolumns: {'Vendor \u00a0code ': SKU, column D: Price}\n")
    assert (list(file.columns), file.headers) == (["Vendor code", "column D"], ("Vendor code",))


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "products.yaml"
    path.write_bytes(b"\xef\xbb\xbfcatalog: 1\nkey: Code\ncolumns: {Code: SKU}\n")
    assert load_mapping(path).catalog == "1"


def test_windows_line_ends_are_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "products.yaml"
    path.write_bytes(b"catalog: 1\r\nkey: Code\r\ncolumns:\r\n  Code: SKU\r\n")
    assert load_mapping(path).columns["Code"].field == "SKU"


# --- what is wrong with a file -------------------------------------------------------------------------------

HEAD = "catalog: 1\nkey: Code\ncolumns:\n  Code: SKU\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "  Code: PRICE\n", "line 5: `Code` stands twice, first in line 4"),
        (HEAD + "  ' Code ': PRICE\n", "line 5: `Code` stands twice, first in line 4"),
        (HEAD + "catalog: 2\n", "line 5: `catalog` stands twice, first in line 1"),
        (HEAD + "  [a]: PRICE\n", "line 5: a key must be plain text (put it in quotes)"),
        ("key: Code\ncolumns: {Code: SKU}\n", "line 1 catalog: the key `catalog` is missing"),
        (HEAD + "dupicates: first\n", "line 5 dupicates: unknown key `dupicates` (did you mean `duplicates`?)"),
        (
            HEAD + "  Price:\n    field: x\n    blnk: keep\n",
            "line 7 columns.Price.blnk: unknown key `blnk` (did you mean `blank`?)",
        ),
        (HEAD + "guards: {deletes: 5}\n", "line 5 guards.deletes: unknown key `deletes` (did you mean `delete`?)"),
        (
            HEAD + "xyzzy: 1\n",
            "line 5 xyzzy: unknown key `xyzzy` (known: catalog, key, columns, sheet, duplicates, missing, guards, "
            "timezone, read)",
        ),
        (HEAD + "duplicates: all\n", 'line 5 duplicates: "all" is not one of: error, first, last'),
        (
            HEAD + "  Price:\n    field: x\n    blank: maybe\n",
            'line 7 columns.Price.blank: "maybe" is not one of: keep, clear, error',
        ),
        (
            HEAD + "  A   b:\n    field: x\n    blank: maybe\n",
            'line 7 columns.A b.blank: "maybe" is not one of: keep, clear, error',
        ),
        (
            HEAD + "  Price:\n    field: x\n    decimal: comma\n",
            'line 7 columns.Price.decimal: "comma" is not one of: ",", "."',
        ),
        (HEAD + "missing: remove\n", 'line 5 missing: "remove" is not one of: keep, delete, set'),
        (
            HEAD + "missing: set\n",
            "line 5 missing: `missing:` is keep, delete, or the values to set, as in `missing: {set: {Active: no}}`",
        ),
        (
            HEAD + "missing: {action: delete, set: {Code: x}}\n",
            "line 5 missing: `missing:` is keep, delete, or the values to set, as in `missing: {set: {Active: no}}`",
        ),
        (HEAD + "sheet: [a, b]\n", "line 5 sheet: expected text"),
        (HEAD + "guards: 10%\n", "line 5 guards: expected `key: value` lines"),
        ("catalog: 1\nkey: Code\ncolumns: SKU\n", "line 3 columns: expected `key: value` lines"),
        ("catalog: 1\nkey: {a: b}\ncolumns: {Code: SKU}\n", "line 2 key: expected text or a list"),
        ("catalog: 1\nkey: []\ncolumns: {Code: SKU}\n", "line 2 key: the key names no column"),
        ("catalog: 1\nkey: [[]]\ncolumns: {Code: SKU}\n", "line 2 key: the key names no column"),
        ("catalog: 1\nkey: [Code, []]\ncolumns: {Code: SKU}\n", "line 2 key: the key names no column"),
    ],
)
def test_a_problem_of_the_file_has_line_key_and_way_out(tmp_path: Path, text: str, told: str) -> None:
    assert load_problems(tmp_path, text) == [told]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("catalog: [1\nkey: Code\n", 2),
        ("catalog: 1\n\tkey: Code\n", 2),
        ("catalog: 1\nkey: *other\n", 2),
        ("a: 1\n--- x", 2),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    [told] = load_problems(tmp_path, text)
    assert told.startswith(f"line {line}: ")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "key: [[]]\ncolums: {}\ncolumns:\n  Price: {field: x, blank: maybe, foo: 1}\nduplicates: all\n"
    assert load_problems(tmp_path, text) == [
        "line 1 catalog: the key `catalog` is missing",
        "line 1 key: the key names no column",
        'line 4 columns.Price.blank: "maybe" is not one of: keep, clear, error',
        "line 4 columns.Price.foo: unknown key `foo` (known: field, subtype, blank, decimal, currency, owner, "
        "conflict, split, multi, enums, unknown, format)",
        'line 5 duplicates: "all" is not one of: error, first, last',
        "line 2 colums: unknown key `colums` (did you mean `columns`?)",
    ]


@pytest.mark.parametrize("text", ["", "# only words\n", "- a\n- b\n", "Products", "null"])
def test_a_file_without_keys_is_no_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(MappingError, match=r"a mapping file holds `key: value` lines, beginning with `catalog:`$"):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"gone\.yaml: no such mapping file$"):
        load_mapping(tmp_path / "gone.yaml")


@pytest.mark.parametrize("content", [b"PK\x03\x04\xff\xfe\x00", "каталог: 1".encode("cp1251"), "a: 1".encode("utf-16")])
def test_a_file_that_is_no_utf8_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "products.yaml"
    path.write_bytes(content)
    with pytest.raises(MappingError, match=r"products\.yaml: cannot be read as a UTF-8 text file"):
        load_mapping(path)


def test_a_folder_and_a_control_character_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="cannot be read as a UTF-8 text file"):
        load_mapping(tmp_path)
    with pytest.raises(MappingError, match="not valid YAML"):
        load(tmp_path, "catalog: 1\x00\n")


_MULTIPLYING = "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9))


@pytest.mark.timeout(30)  # under a second; without the limits it does not end
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &a [x, x, x, x, x, x, x, x, x]\n" + _MULTIPLYING, "aliases may not multiply"),
        ("a: &a [*a]\n", "an alias may not hold itself"),
        ("a: &a {b: *a}\n", "an alias may not hold itself"),
        ("a: " + "[" * 200_000, "nested more than 20 deep"),
    ],
    ids=["multiplying", "list in itself", "mapping in itself", "deep"],
)
def test_what_would_never_end_is_refused_soon(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(MappingError, match=told):
        load(tmp_path, text)


def test_yaml_tags_construct_nothing(tmp_path: Path) -> None:
    file = load(tmp_path, HEAD + "sheet: !!python/object/apply:os.getcwd x\n")
    assert file.sheet == "x"


# --- fitted to the schema ------------------------------------------------------------------------------------


def test_a_mapping_is_resolved_whole(tmp_path: Path) -> None:
    made = mapping(
        tmp_path,
        """
        Code: SKU
        Product: name
        Price: {field: PRICE, decimal: ",", currency: eur, blank: clear, owner: sheet, conflict: sheet}
        Sizes: {field: Sizes, split: "/", multi: merge, enums: {Small: S, Big: 63, M: l}, unknown: skip}
        Loaded: {field: Loaded, format: "%d/%m/%Y"}
        City: {field: Depot, subtype: city, blank: error}
        Active: 4
        """.replace("\n        ", "\n"),
        headers=["Product", "Code", "", "Price", "Sizes", "Loaded", "City", "Active"],
        more="missing: {set: {Active: no}}\nduplicates: first\nguards: {delete: '', update: 50%}\n",
    )
    code = Column("Code", BY_NAME["Vendor code"], position=1)
    active = Column("Active", BY_NAME["Active"], position=7)
    assert made == model.Mapping(
        name="products",
        catalog_id=4220,
        columns=(
            code,
            Column("Product", None, position=0),
            Column(
                "Price",
                BY_NAME["Price"],
                position=3,
                decimal=",",
                currency="EUR",
                blank="clear",
                owner="sheet",
                conflict="sheet",
                moves_percent=50,
            ),
            Column(
                "Sizes",
                BY_NAME["Sizes"],
                position=4,
                split="/",
                multi="merge",
                labels={"Small": "61", "Big": "63", "M": "63"},
                unknown="skip",
            ),
            Column("Loaded", BY_NAME["Loaded"], position=5, formats=("%d/%m/%Y",), timezone=ZONE),
            Column("City", BY_NAME["Depot"], "city", position=6, blank="error"),
            active,
        ),
        keys=((code,),),
        duplicates="first",
        missing="set",
        missing_set={"4": "0"},
        guards={"update": Ceiling(50, True), "options": Ceiling(50)},
        floors={"rows": Floor(50, True), "matched": Floor(50, True)},
    )


def test_a_field_is_found_by_id_before_code_before_name(tmp_path: Path) -> None:
    fields = (
        Field(1, "9", "text", "A"),
        Field(9, "B", "text", "1x"),
        Field(3, "A", "text", "B"),
        Field(4, "name", "text"),
        Field(5, "C", "text"),
    )
    file = load(tmp_path, "catalog: 1\nkey: a\ncolumns: {a: 9, b: A, c: B, d: name, e: C}\n")
    columns = resolve(file, schema(fields=fields)).columns
    assert [column.field.id if column.field else None for column in columns] == [9, 1, 3, None, 5]


def test_a_name_that_two_fields_have_is_refused_with_their_ids(tmp_path: Path) -> None:
    file = load(tmp_path, "catalog: 1\nkey: a\ncolumns:\n  a: Size\n")
    with pytest.raises(MappingError) as caught:
        resolve(file, schema(fields=(Field(1, "Size", "text"), Field(2, "Size", "text"))))
    assert _told(caught.value, tmp_path) == ['line 4 columns.a: "Size" names several fields: 1, 2 (use the id)']


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("Prise", "did you mean `Price`?"),
        ("vendor CODE", "did you mean `Vendor code`?"),
        ("Nmae", "did you mean `name`?"),
        (
            "4400",
            "known: name, SKU, PRICE, Vendor code, Price, Amount, Active, Colour, Sizes, Expires, Loaded, Depot",
        ),
    ],
)
def test_an_unknown_field_is_refused_with_what_was_meant(tmp_path: Path, wanted: str, hint: str) -> None:
    told = fit_problems(tmp_path, f"Code: SKU\nX: {wanted}")
    assert told == [f'line 5 columns.X: catalog 4220 (Products) has no field "{wanted}" ({hint})']


def test_an_unknown_field_of_the_long_form_is_told_with_its_own_line(tmp_path: Path) -> None:
    told = fit_problems(tmp_path, "Code: SKU\nX:\n  blank: keep\n  field: Prise")
    assert told == [
        'line 7 columns.X.field: catalog 4220 (Products) has no field "Prise" (did you mean `Price`?)',
    ]


HEADERS = ["Code", "Price", "Price", ""]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Prices: PRICE", 'the sheet has no column "Prices" (did you mean `Price`?)'),
        ("Price: PRICE", 'the sheet has "Price" 2 times (B, C) (say which: `Price #1` or `column B`)'),
        ("column E: PRICE", 'the sheet has no column "column E" (known: Code, Price, Price)'),
        ("column d: PRICE", 'the sheet has no column "column d" (known: Code, Price, Price)'),
    ],
)
def test_a_header_that_is_missing_or_there_twice_is_refused(tmp_path: Path, line: str, told: str) -> None:
    header = line.partition(":")[0]
    assert fit_problems(tmp_path, f"Code: SKU\n{line}", headers=HEADERS) == [f"line 5 columns.{header}: {told}"]


def test_a_column_can_be_addressed_by_its_letter(tmp_path: Path) -> None:
    made = mapping(tmp_path, "Code: SKU\ncolumn C: PRICE\ncolumn D: Notes", headers=HEADERS)
    assert [column.position for column in made.columns] == [0, 2, 3]


def test_a_header_that_reads_like_a_letter_address_is_a_header(tmp_path: Path) -> None:
    made = mapping(tmp_path, "Code: SKU\ncolumn A: PRICE", headers=["Code", "column A"])
    assert [column.position for column in made.columns] == [0, 1]


def test_without_a_sheet_no_header_is_asked_for(tmp_path: Path) -> None:
    assert [column.position for column in mapping(tmp_path, "Code: SKU\nAny: PRICE").columns] == [-1, -1]


ADDRESS_PARTS = "one of address_line_1, address_line_2, city, state, zip, country"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("Depot", f"a smart_address needs `subtype:` ({ADDRESS_PARTS})"),
        ("{field: Depot, subtype: town}", f'"town" is not a subtype of smart_address ({ADDRESS_PARTS})'),
        (
            "{field: Maker, subtype: city}",
            '"city" is not a subtype of legal_entity (one of name, entity_type, vat_id, kpp, address, external_id)',
        ),
    ],
)
def test_a_composite_field_needs_one_of_its_subtypes(tmp_path: Path, spec: str, told: str) -> None:
    [problem] = fit_problems(tmp_path, f"Code: SKU\nX: {spec}")
    assert problem.partition(": ")[2] == told


def test_several_subtypes_of_one_field_are_several_columns(tmp_path: Path) -> None:
    made = mapping(tmp_path, "Code: SKU\nCity: {field: Depot, subtype: city}\nZip: {field: Depot, subtype: zip}")
    assert [column.key for column in made.columns] == ["1", "9.city", "9.zip"]


@pytest.mark.parametrize(
    ("setting", "value", "type_"),
    [
        ("decimal", '","', "textarea"),
        ("currency", "EUR", "textarea"),
        ("moves", "30%", "textarea"),
        ("moves", "any", "select"),
        ("enums", "{a: b}", "price"),
        ("unknown", "skip", "price"),
        ("split", '","', "select"),
        ("multi", "merge", "select"),
        ("format", '"%d"', "price"),
        ("subtype", "city", "price"),
    ],
)
def test_a_setting_that_the_type_has_no_use_for_is_refused(
    tmp_path: Path, setting: str, value: str, type_: str
) -> None:
    name = {"textarea": "Notes", "price": "Price", "select": "Colour"}[type_]
    told = fit_problems(tmp_path, f"Code: SKU\nX: {{field: {name}, {setting}: {value}}}")
    assert f"line 5 columns.X.{setting}: `{setting}` does not apply to a field of type {type_}" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "X: {field: Sizes, unknown: add, multi: remove}",
            "line 5 columns.X.unknown: `multi: remove` takes options away: there is none to add "
            "(`unknown: skip` passes over labels that are no options)",
        ),
        (
            "X: {field: PRICE, currency: bitcoin}",
            'line 5 columns.X.currency: "bitcoin" is not a known currency (EUR, USD, …)',
        ),
        (
            "X: {field: PRICE, moves: a lot}",
            'line 5 columns.X.moves: "a lot" is not a percentage (30%, or any for no limit)',
        ),
        (
            "X: {field: Amount, moves: 30}",
            'line 5 columns.X.moves: "30" is not a percentage (30%, or any for no limit)',
        ),
        (
            "X: {field: Amount, moves: -5%}",
            'line 5 columns.X.moves: "-5%" is not a percentage (30%, or any for no limit)',
        ),
        (
            "X: {field: Colour, enums: {Rot: Redd}}",
            'line 5 columns.X.enums.Rot: "Redd" is not an option (did you mean "Red"?)',
        ),
        (
            "X: {field: Colour, enums: {Rot: 99}}",
            'line 5 columns.X.enums.Rot: "99" is not an option (options: Red, Dark blue, Salt & pepper)',
        ),
        ("X: SKU", 'line 5 columns.X: "Code" and "X" both fill 1'),
        (
            "X: {field: Colour, enums: {Rot: red, Pink: Rose}, unknown: skip}",
            'line 5 columns.X.enums.Pink: "Rose" is not an option (options: Red, Dark blue, Salt & pepper)',
        ),
        (
            "X: {field: Active, enums: {}}",
            "line 5 columns.X.enums: `enums` does not apply to a field of type checkbox",
        ),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(tmp_path: Path, line: str, told: str) -> None:
    assert fit_problems(tmp_path, f"Code: SKU\n{line}") == [told]


def test_no_option_is_added_to_a_category_which_is_a_tree(tmp_path: Path) -> None:
    text = "catalog: 1\nkey: Code\ncolumns: {Code: SKU, X: {field: Tree, unknown: add}}\n"
    tree = Field(20, "Tree", "category", enums={1: "Wood"})
    with pytest.raises(MappingError) as caught:
        resolve(load(tmp_path, text), schema(fields=[*FIELDS, tree]))
    assert _told(caught.value, tmp_path) == [
        "line 3 columns.X.unknown: a category is a tree: where in it a new one belongs, no cell says "
        "(add it in the CRM, or use `unknown: skip`)"
    ]


def test_no_option_is_added_to_a_key(tmp_path: Path) -> None:
    told = fit_problems(tmp_path, "Code: {field: Colour, unknown: add}")
    assert told == [
        'line 4 columns.Code.unknown: a product is looked for by its key "Code", and a new option has no product yet '
        "(leave `unknown:` out for a key)"
    ]


def test_enums_may_name_an_option_that_is_to_be_added(tmp_path: Path) -> None:
    made = mapping(tmp_path, "Code: SKU\nX: {field: Colour, unknown: add, enums: {Pink: Rose,  Rot: red}}")
    assert made.columns[1].labels == {"Pink": "+Rose", "Rot": "51"}


@pytest.mark.parametrize("unknown", ["skip", "add"])
def test_what_missing_elements_are_set_to_has_to_be_an_option_that_exists(tmp_path: Path, unknown: str) -> None:
    columns = f"Code: SKU\nX: {{field: Colour, unknown: {unknown}}}"
    told = fit_problems(tmp_path, columns, more="missing: {set: {X: Redd}}\n")
    assert told == ['line 6 missing.set.X: "Redd" is not an option (did you mean "Red"?)']


def test_enums_name_a_caption_or_else_an_id(tmp_path: Path) -> None:
    made = mapping(tmp_path, "Code: SKU\nX: {field: Colour, enums: {' Rot ': red, Blau: 52, SP: Salt & pepper}}")
    assert made.columns[1].labels == {"Rot": "51", "Blau": "52", "SP": "53"}


# --- time zones ----------------------------------------------------------------------------------------------


def _zone(folder: Path, account: str, more: str = "") -> str:
    file = load(folder, f"catalog: 1\nkey: Code\ncolumns: {{Code: SKU, X: Loaded}}\n{more}")
    return resolve(file, schema(timezone=account)).columns[1].timezone


def test_the_mappings_zone_overrides_the_accounts(tmp_path: Path) -> None:
    assert _zone(tmp_path, "Europe/Riga") == "Europe/Riga"
    assert _zone(tmp_path, "Europe/Riga", "timezone: America/Lima\n") == "America/Lima"
    assert _zone(tmp_path, "", "timezone: America/Lima\n") == "America/Lima"


@pytest.mark.parametrize(
    ("account", "more", "told"),
    [
        ("Europe/Riga", "timezone: Riga\n", 'line 4 timezone: "Riga" is not a time zone'),
        ("Europe/Riga", "timezone: ../../etc/passwd\n", 'line 4 timezone: "../../etc/passwd" is not a time zone'),
        ("Mars/Base", "", 'line 3 columns.X: "Mars/Base" is not a time zone'),
        ("", "", "line 3 columns.X: the account does not name its time zone"),
    ],
)
def test_an_unknown_zone_is_an_error(tmp_path: Path, account: str, more: str, told: str) -> None:
    with pytest.raises(MappingError) as caught:
        _zone(tmp_path, account, more)
    assert _told(caught.value, tmp_path) == [f"{told} (set `timezone: Europe/Riga`)"]


def test_no_zone_is_needed_without_a_date_time(tmp_path: Path) -> None:
    file = load(tmp_path, "catalog: 1\nkey: Code\ncolumns: {Code: SKU, Expires: Expires}\n")
    assert [column.timezone for column in resolve(file, schema(timezone="")).columns] == ["", ""]


# --- keys, missing, guards -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "resolved"),
    [
        ("Code", [["1"]]),
        ("' Code '", [["1"]]),
        ("[Code]", [["1"]]),
        ("[EAN, Code]", [["13"], ["1"]]),
        ("[[Code, Product]]", [["1", "name"]]),
        ("[EAN, [Code, Product]]", [["13"], ["1", "name"]]),
    ],
)
def test_keys_are_alternatives_of_one_or_several_columns(tmp_path: Path, key: str, resolved: list[list[str]]) -> None:
    made = mapping(tmp_path, "Code: SKU\nEAN: 13\nProduct: name", key=key)
    assert [[column.key for column in entry] for entry in made.keys] == resolved


def test_a_key_that_is_no_column_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    told = fit_problems(tmp_path, "Code: SKU\nEAN: 13", key="[Cod, EAN]")
    assert told == ['line 2 key: the key "Cod" is not one of `columns:` (did you mean `Code`?)']


def test_a_key_whose_field_is_unknown_is_told_once(tmp_path: Path) -> None:
    assert len(fit_problems(tmp_path, "Code: SKUU")) == 1


@pytest.mark.parametrize(("name", "type_"), [("Sizes", "multiselect"), ("Parts", "items"), ("Active", "checkbox")])
def test_a_field_that_identifies_nothing_is_no_key(tmp_path: Path, name: str, type_: str) -> None:
    assert fit_problems(tmp_path, f"Code: {name}") == [f"line 2 key: a {type_} field cannot identify a product"]


def test_a_key_that_is_never_sent_is_refused(tmp_path: Path) -> None:
    told = fit_problems(tmp_path, "Code: SKU\nEAN:\n  field: 13\n  owner: crm", key="[Code, EAN]")
    assert told == [
        'line 7 columns.EAN.owner: the key "EAN" is never sent (`owner: crm`): every run would add the products again '
        "(leave `owner:` out for a key)"
    ]


def test_values_for_missing_elements_are_canonical(tmp_path: Path) -> None:
    made = mapping(
        tmp_path,
        "Code: SKU\nActive: Active\nColour: Colour\nNotes: Notes\nPrice: {field: PRICE, decimal: ','}",
        more="missing: {set: {' Active ': no, Colour: red, Notes: ' gone ', Price: '1,50'}}\n",
    )
    assert (made.missing, made.missing_set) == ("set", {"4": "0", "5": "51", "12": "gone", "2": "1.5"})


def test_an_empty_value_for_missing_elements_clears(tmp_path: Path) -> None:
    more = "missing:\n  set: {Active: '', Notes: ''}\n"
    assert mapping(tmp_path, "Code: SKU\nActive: Active\nNotes: Notes", more=more).missing_set == {"4": "0", "12": ""}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("{Activ: no}", 'line 7 missing.set.Activ: "Activ" is not one of `columns:`'),
        (
            "{Active: maybe}",
            'line 7 missing.set.Active: "maybe" is not yes or no (write yes/no, true/false, 1/0 or да/нет)',
        ),
        ("{Notes: x}", 'line 7 missing.set.Notes: "Notes" has `owner: crm` and is never sent'),
    ],
)
def test_a_value_for_missing_elements_that_cannot_be_set_is_refused(tmp_path: Path, values: str, told: str) -> None:
    columns = "Code: SKU\nActive: Active\nNotes: {field: Notes, owner: crm}"
    assert fit_problems(tmp_path, columns, more=f"missing: {{set: {values}}}\n") == [told]


def test_ceilings_are_counts_or_percentages(tmp_path: Path) -> None:
    made = mapping(tmp_path, "Code: SKU", more="guards: {add: 5, update: 12.5%}\n")
    assert made.guards == {
        "delete": Ceiling(10, True),
        "add": Ceiling(5),
        "update": Ceiling(12.5, True),
        "options": Ceiling(50),
    }


def test_a_ceiling_that_is_neither_is_refused(tmp_path: Path) -> None:
    told = fit_problems(tmp_path, "Code: SKU", more="guards:\n  delete: few\n  add: -1\n")
    assert told == [
        'line 6 guards.delete: "few" is not a count or a percentage (50 or 10%)',
        'line 7 guards.add: "-1" is not a count or a percentage (50 or 10%)',
    ]


def test_floors_are_counts_or_percentages_and_may_be_off(tmp_path: Path) -> None:
    made = mapping(tmp_path, "Code: SKU", more="guards: {rows: 100, matched: ''}\n")
    assert made.floors == {"rows": Floor(100)}


def test_a_floor_that_is_neither_is_refused(tmp_path: Path) -> None:
    told = fit_problems(tmp_path, "Code: SKU", more="guards:\n  rows: half\n  matched: '%'\n")
    assert told == [
        'line 6 guards.rows: "half" is not a count or a percentage (50 or 10%)',
        'line 7 guards.matched: "%" is not a count or a percentage (50 or 10%)',
    ]


@pytest.mark.parametrize(
    ("spec", "moves_percent"),
    [
        ("PRICE", 50),
        ("Cost", 50),
        ("V2 price", 50),
        ("Amount", None),
        ("name", None),
        ("{field: PRICE, moves: 12.5%}", 12.5),
        ("{field: PRICE, moves: 0%}", 0),
        ("{field: PRICE, moves: any}", None),
        ("{field: Amount, moves: 30%}", 30),
    ],
)
def test_only_prices_have_a_limit_of_moving_unless_it_is_set(
    tmp_path: Path, spec: str, moves_percent: float | None
) -> None:
    fields = (
        *FIELDS,
        Field(20, "Cost", "monetary"),
        Field(21, "V2 price", "numeric", "SPECIAL_PRICE_1"),
    )
    file = load(tmp_path, f"catalog: 1\nkey: Code\ncolumns: {{Code: SKU, X: {spec}}}\n")
    assert resolve(file, schema(fields=fields)).columns[1].moves_percent == moves_percent


def test_a_column_may_be_allowed_to_be_shuffled(tmp_path: Path) -> None:
    made = mapping(tmp_path, "Code: SKU\nRank: {field: Amount, shuffled: allow}")
    assert [column.shuffled for column in made.columns] == ["refuse", "allow"]


def test_everything_that_does_not_fit_is_told_at_once(tmp_path: Path) -> None:
    columns = "Code: SKUU\nPrice: {field: PRICE, split: ';'}\nColour: {field: Colour, enums: {a: b}}\nActive: Active"
    more = "missing: {set: {Active: maybe}}\nguards: {add: x}\n"
    told = fit_problems(tmp_path, columns, more=more, headers=["Code", "Price", "Colour"], key="[Code, Cde]")
    assert [problem.split(":")[0] for problem in told] == [
        "line 4 columns.Code",
        "line 5 columns.Price.split",
        "line 6 columns.Colour.enums.a",
        "line 7 columns.Active",
        "line 2 key",
        "line 8 missing.set.Active",
        "line 9 guards.add",
    ]


def test_a_problem_of_a_key_that_is_not_written_stands_at_what_holds_it(tmp_path: Path) -> None:
    file = load(tmp_path, HEAD)
    path = tmp_path / "products.yaml"
    assert file.problem(("columns", "Code", "blank"), "odd") == Problem(f"{path}:4 columns.Code", "odd")
    assert file.problem(("guards", "add"), "odd") == Problem(f"{path}:1 guards.add", "odd")


@pytest.mark.parametrize("layout", ["%Q", "%d/%m", "day", "%Y-%m"])
def test_a_format_that_cannot_hold_a_day_is_refused(tmp_path: Path, layout: str) -> None:
    text = f"catalog: 1\nkey: Code\ncolumns:\n  Code: name\n  Since: {{field: Since, format: '{layout}'}}\n"
    fields = (Field(5, "Since", "date"),)
    with pytest.raises(MappingError) as caught:
        resolve(load_mapping(mapping_file(tmp_path, text)), schema(fields=fields))
    (problem,) = caught.value.problems
    assert problem.what == f'"{layout}" is not a way to write a date'
    assert problem.where.endswith(":5 columns.Since.format")


def test_a_name_cannot_be_cleared(tmp_path: Path) -> None:
    text = "catalog: 1\nkey: Code\ncolumns:\n  Code: {field: name, blank: clear}\n"
    with pytest.raises(MappingError) as caught:
        resolve(load_mapping(mapping_file(tmp_path, text)), schema(fields=()))
    assert [problem.what for problem in caught.value.problems] == ["a name cannot be cleared"]


# --- as far as it goes ---------------------------------------------------------------------------------------

_WORDS = st.sampled_from(["", "Code", "name", "keep", "no", "10%", "7", "{", "SKU", "none", "down", ","])
_KEYS = ["catalog", "key", "columns", "sheet", "duplicates", "missing", "guards", "timezone", "read", "field", "blank"]
_KEYS += ["set", "delete", "header_row", "needs", "enums", "format", "Code", "other"]
_TREES = st.recursive(
    _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(_KEYS), _TREES, max_size=7))
def test_any_file_gives_a_draft_and_is_a_mapping_if_nothing_is_wrong_with_it(tree: dict[str, object]) -> None:
    with TemporaryDirectory() as folder:
        path = mapping_file(Path(folder), yaml.safe_dump({"columns": {"Code": "SKU"}, **tree}))
        draft = load_draft(path)
        if draft.problems:
            with pytest.raises(MappingError) as caught:
                load_mapping(path)
            assert caught.value.problems == draft.problems
        else:
            assert load_mapping(path) == draft.file
        if draft.file:
            fitted = fit(draft.file, schema(), ["Code", "Price"])
            assert {column.header for column in fitted.mapping.columns}.isdisjoint(fitted.unused)
            assert fit(draft.file, None).mapping.catalog_id == 0


def test_what_is_wrong_with_a_column_leaves_the_others_and_the_key_usable(tmp_path: Path) -> None:
    text = "catalog: 4220\nkey: Code\ncolumns:\n  Code: SKU\n  Price: {field: PRICE, decimal: x}\n  Amount: Amout\n"
    draft = load_draft(mapping_file(tmp_path, text))
    assert draft.file is not None
    fitted = fit(draft.file, schema(), ["Code", "Price", "Amount"])
    assert [column.header for column in fitted.mapping.columns] == ["Code"]
    assert [[column.header for column in entry] for entry in fitted.mapping.keys] == [["Code"]]
    assert fitted.unused == ("Price", "Amount")
    assert [str(problem).partition(": ")[2] for problem in (*draft.problems, *fitted.problems)] == [
        '"x" is not one of: ",", "."',
        'catalog 4220 (Products) has no field "Amout" (did you mean `Amount`?)',
    ]


def test_without_a_schema_every_field_is_taken_to_exist_and_two_columns_for_one_are_still_told(tmp_path: Path) -> None:
    text = "catalog: 4220\nkey: Code\ncolumns:\n  Code: SKU\n  A: {field: Any, decimal: ','}\n  B: Any\n"
    fitted = fit(load(tmp_path, text), None, ["Code", "A", "B"])
    assert [str(problem).partition(": ")[2] for problem in fitted.problems] == ['"A" and "B" both fill Any']
    assert {column.type for column in fitted.mapping.columns} == {""}
