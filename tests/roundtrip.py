"""What a catalog may hold, by field type: random canonical texts, the awkward ones often."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import strategies as st

from catalogsync import fields, numbertext
from catalogsync.celltext import clean_text, is_too_long_mark
from catalogsync.model import Column, Field
from catalogsync.reader.sheet import ERROR_TEXTS
from tests.builders import ZONE

AWKWARD = (
    *("=1+1", "=cmd|'/C calc'!A0", "+49 30 1", "-", "-5", "@x", "'quoted", "''=1", "'=1+1", "\t=1", "{=1+1}"),
    *("00123", "1e5", "8.8E+12", "TRUE", "no", "1/2", "3-4", "12:30", "2024-01-05", "1,5", "1 000", "80.0", "15%"),
    *("#N/A", "#REF!", "#Н/Д", "#NAME?", "N/A", "null", "NaN", "None"),
    *("_x0041_", "_x005F_x0041_", "a_x000D_b", "a\x07b", "a\x00b", "\x1b[31m", "x\x0by", "x\x85y", "\ufffe", "\uffff"),
    *("two\nlines", "two\r\nlines", "a\rb", "a\n\n\nb", "tab\there", "a  b", "a\u00a0b", "a\u200bb", "\ufeffbom"),
    *("👩‍👩‍👧", "😀", "\u202eright", "e\u0301", "ﬁ", "&amp;", "<b>&lt;</b>", 'say "hi"', "a;b", "a,b", "a|b", "\\n"),
    *("Total", "Итого", "catalogsync id 1/2", "[catalogsync: x", "sep=;", "http://x.y/?a=1&b=2", "x" * 300),
)
"""Texts that a spreadsheet, a text file or this program might take for something else."""

LONG = "long " * 6553
"""As long as a cell can hold."""

_ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
texts = st.one_of(
    st.sampled_from(AWKWARD),
    st.builds("{}{}".format, st.sampled_from(["=", "+", "-", "@", "'", "#", " ", "\n"]), _ANY),
    _ANY,
).map(clean_text)
"""Text as a client reads it: outer blanks gone, line ends as one character."""

NUMBERS = ("0", "-0.5", "80", "0.1", "0.30000000000000004", "123456789012345678901234.5", "-1", "1e-7")
numbers = st.one_of(
    st.sampled_from(NUMBERS),
    st.integers(-(10**18), 10**18).map(str),
    st.decimals(-(10**9), 10**9, places=2).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1E20"), max_value=Decimal("1E20")).map(str),
).map(numbertext.canonical_number)

DAYS = ("1899-12-31", "1900-01-01", "1900-02-28", "1900-03-01", "0001-01-01", "9999-12-31", "2024-02-29")
days = st.one_of(
    st.sampled_from(DAYS),
    st.dates().map(date.isoformat),
)


def _clock_changes(zone: str) -> list[int]:
    """The moments of some years at which the clocks of a zone change, in Unix seconds."""
    hours = range(int(datetime(2019, 1, 1, tzinfo=UTC).timestamp()), 1_800_000_000, 3600)
    offsets = [datetime.fromtimestamp(at, ZoneInfo(zone)).utcoffset() for at in hours]
    return [hours[place + 1] for place, (a, b) in enumerate(pairwise(offsets)) if a != b]


MOMENTS = (0, -1, 1_704_443_400, -2_208_988_800, -5_000_000_000, 253_402_200_000, 4_102_444_800, 1_729_989_000)
_around = st.builds(lambda at, by: at + by, st.sampled_from(_clock_changes(ZONE)), st.integers(-7200, 7200))
clock_changes = _around.map(str)
"""Moments within two hours of a change of clocks."""

moments = st.one_of(
    _around,
    st.sampled_from(MOMENTS),
    st.integers(-6_000_000_000, 100_000_000_000),
).map(str)

CAPTIONS = (
    *("Red", "red", "Twin", "Twin", "Salt &amp; pepper", "&lt;b&gt;", 'say "hi"', "A; B", "A", "B", "C|D", "-", "no"),
    *("00123", "123", "702", "=1+1", "#N/A", "1e5", "TRUE", "'x", "  edge ", "new (new)", "a\tb", "😀", "_x0041_", " "),
)
"""Captions of options; two are the same, two differ by case, one is the id of another."""

ENUMS: Mapping[int, str] = {701 + place: caption for place, caption in enumerate(CAPTIONS)}
options = st.sampled_from(sorted(ENUMS)).map(str)
several = st.lists(st.sampled_from(sorted(ENUMS)), min_size=1, max_size=4).map(fields.join_ids)

items = st.lists(
    st.fixed_dictionaries({"description": texts, "unit_price": numbers, "quantity": st.integers(1, 9).map(str)}),
    min_size=1,
    max_size=2,
).map(fields.canonical_items)

VALUES: Mapping[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(("text", "textarea", "url", "streetaddress", "tracking_data"), texts),
    **dict.fromkeys(sorted(fields.NUMBER_TYPES), numbers),
    "checkbox": st.sampled_from(["0", "1"]),
    **dict.fromkeys(("select", "radiobutton", "category"), options),
    "multiselect": several,
    "date": days,
    "birthday": days,
    "date_time": moments,
    **dict.fromkeys(sorted(fields.SUBTYPES), texts),
    "items": items,
}
"""Canonical texts of every type; `tracking_data` stands for those without a codec."""


def columns_of_every_type(decimal: str = "", split: str = ";") -> tuple[Column, ...]:
    """The key, the name, and a column of each type; two of each type of several parts."""
    made = [Column("Code", Field(1, "Code", "text"), position=0), Column("Name", None, position=1)]
    for number, kind in enumerate(VALUES, start=10):
        enums = ENUMS if kind in fields.OPTION_TYPES else {}
        field = Field(number, kind.capitalize(), kind, enums=enums)
        for subtype in fields.SUBTYPES.get(kind, ("",))[:2]:
            settings = {"decimal": decimal if kind in fields.NUMBER_TYPES else "", "split": split}
            header = f"{kind} {subtype}".strip()
            made.append(Column(header, field, subtype, len(made), timezone=ZONE, **settings))  # type: ignore[arg-type]
    return tuple(made)


def is_told(text: str, column: Column) -> bool:
    """Whether a cell of a workbook or text file can say it: not what reads as an error, nor what XML lacks."""
    is_option = column.type in fields.OPTION_TYPES
    return is_option or not (text in ERROR_TEXTS or re.search("[\ufffe\uffff]|_x005F_x0041_", text))


def is_key(text: str) -> bool:
    """Whether it can be a key: told, not like a code that Excel shortened, which no sheet may have for a key, and not
    like a total, which a text file has no ids to tell from a product.
    """
    is_plain = re.fullmatch(rf"{numbertext.DAMAGED_CODE}|Total|Итого", text) is None
    return bool(text) and is_plain and is_told(text, Column("", None)) and not is_too_long_mark(text)


def rows_of(columns: tuple[Column, ...], *, least: int = 1, most: int = 20) -> st.SearchStrategy[list[tuple[str, ...]]]:
    """Rows of canonical texts for such columns: a key of its own, a name, every other cell filled or not."""
    row = st.tuples(
        texts.filter(is_key),
        texts.filter(bool),
        *(st.just("") | VALUES[column.type] for column in columns[2:]),
    )
    return st.lists(row, min_size=least, max_size=most, unique_by=lambda cells: cells[0])


def samples_of(column: Column) -> list[str]:
    """The awkward canonical texts of a column's type."""
    if column.type in fields.OPTION_TYPES:
        return [str(option) for option in ENUMS] + (["701,703,708", "702,716"] if column.type == "multiselect" else [])
    if column.type in fields.NUMBER_TYPES:
        return [numbertext.canonical_number(text) for text in NUMBERS]
    if column.type == "items":
        return [fields.canonical_items([{"description": text, "quantity": 2}]) for text in AWKWARD]
    known = {"checkbox": ["0", "1"], "date_time": [str(at) for at in MOMENTS], "date": [*DAYS], "birthday": [*DAYS]}
    return known.get(column.type, [clean_text(text) for text in (*AWKWARD, LONG)])


def samples(columns: tuple[Column, ...]) -> list[tuple[str, ...]]:
    """Rows in which every column has each of its awkward texts once at least; the key is awkward where it can be."""
    texts = [samples_of(column) for column in columns]
    keys = [*dict.fromkeys(filter(is_key, texts[0]))]
    made = []
    for number in range(max(map(len, texts))):
        cells = [some[(number + place) % len(some)] for place, some in enumerate(texts)]
        code = keys[number] if number < len(keys) and len(keys[number]) < 1000 else f"code {number}"
        made.append((code, cells[1] or "Name", *cells[2:]))
    return made


def saved_by_openpyxl(path: Path) -> None:
    """Open a workbook in another program and save it, nothing edited."""
    book = openpyxl.load_workbook(path)
    book.save(path)
    book.close()


needs_libreoffice = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not here")


def saved_by_libreoffice(*paths: Path, to: str = "xlsx") -> list[Path]:
    """Open files in LibreOffice and save them in a folder beside, nothing edited; each takes the program seconds."""
    folder = paths[0].parent / f"saved as {to}"
    profile = f"-env:UserInstallation=file://{paths[0].parent}/office"
    command = ["soffice", profile, "--headless", "--convert-to", to, "--outdir", str(folder), *map(str, paths)]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    return [folder / f"{path.stem}.{to}" for path in paths]
