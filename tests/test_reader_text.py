"""CSV and TSV: dialect, lines, and the same table by both ways of parsing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalogsync.errors import SheetError
from catalogsync.reader import CellProblem, ReadOptions, regular
from catalogsync.reader.records import Dialect
from catalogsync.reader.regular import Records, read_regular
from catalogsync.reader.sheet import BLANKS, blank_cells
from catalogsync.reader.text import read_irregular
from tests.reader_files import read_bytes, table

STANDARD = Dialect(",", '"')


def as_rows(records: Records) -> list[tuple[str, ...]]:
    return list(zip(*(column.to_pylist() for column in records.columns), strict=True))


# ------------------------------------------------------------------------------------------ two ways, one table


def same_by_both_ways(body: bytes, dialect: Dialect) -> bool:
    """Whether the fast way took the text; fails where it then says anything else than the careful one."""
    for width in (1, 2, 3):
        fast = read_regular(body, 0, dialect, width, 1)
        if fast is None:
            continue
        careful = read_irregular(body, 0, dialect, width, 1)
        assert careful.problems == []
        assert as_rows(fast) == as_rows(careful)
        assert fast.lines.tolist() == careful.lines.tolist()
        return True
    return False


NASTY = st.text(st.sampled_from('ab,"\n\r 0;é\t\ufeff\x1f\u2028\x0b'), max_size=40)


@settings(max_examples=400, deadline=None)
@given(NASTY, st.sampled_from([STANDARD, Dialect(",", ""), Dialect(";", '"'), Dialect("\t", "'")]))
@example('a,b\r\n"x""y","1\n2"\r\n\r\n,\r\n', STANDARD)
@example('a,b\n"x"y,2\n', STANDARD)
@example('a,b\nx""y,2\n', STANDARD)
@example("a,b\n1,2", STANDARD)
@example('a,b\n\n\n"",""\n', STANDARD)
@example('a\n"1\r2"\n', STANDARD)
def test_any_text_reads_the_same_by_both_ways(text: str, dialect: Dialect) -> None:
    same_by_both_ways(text.encode(), dialect)


@settings(max_examples=300, deadline=None)
@given(st.lists(NASTY, max_size=8), st.sampled_from([32, 64, 128]))
@example(['a,b\n"x\ny",1\n'] * 8, 32)
def test_a_text_of_several_blocks_reads_the_same_by_both_ways(texts: list[str], block_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regular, "_BLOCK_BYTES", block_bytes)
        patch.setattr(regular, "_PIECE_BYTES", 7)
        same_by_both_ways("".join(texts).encode(), STANDARD)


CELL = st.text(st.sampled_from('ab,"\n 0é#\t'), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=12), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_a_well_written_file_takes_the_fast_way_and_reads_the_same(
    rows: list[tuple[str, str, str]], end: str, ended: bool
) -> None:
    lines = [",".join('"' + cell.replace('"', '""').replace("\n", end) + '"' for cell in row) for row in rows]
    text = "x,y,z" + end + end.join(lines) + (end if ended else "")
    assert same_by_both_ways(text.encode(), STANDARD)


@pytest.mark.parametrize(
    "body",
    [
        b'a,b\n"x"y,2\n',
        b'a,b\nx"y,2\n',
        b"a,b\n1\n",
        b"a,b\n1,2,3\n",
        b"a,b\n1,2\r3,4\n",
        b'a,b\n"1,2\n',
        b"a,b\n1,2\r",
    ],
    ids=["text after a quote", "quote inside", "narrow", "wide", "lone return", "open quote", "return at the end"],
)
def test_an_irregular_file_does_not_take_the_fast_way(body: bytes) -> None:
    assert read_regular(body, 0, STANDARD, 2, 1) is None


BLANK_OR_NOT = st.text(st.sampled_from("a é\u00a0\u2003\ufeff\t"), max_size=3)


@given(st.lists(st.lists(BLANK_OR_NOT, max_size=4), max_size=4), st.integers(0, 3))
def test_cells_are_found_blank_by_their_first_bytes_as_by_all_of_them(chunks: list[list[str]], start: int) -> None:
    column = pa.chunked_array(chunks, pa.large_string()).slice(start)
    cells = column.to_pylist()
    empty, blank = blank_cells(column)
    assert empty.tolist() == [not cell for cell in cells]
    assert blank.tolist() == [not cell.strip(BLANKS) for cell in cells]


# ------------------------------------------------------------------------------------------------ cells and lines


def test_cells_come_out_as_they_stand(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, 'SKU;Name;Price\n00123;  Чай "Ahmad" ;1,50\nNA;null;\n'.encode())
    assert sheet.headers == ("SKU", "Name", "Price")
    assert table(sheet) == [["00123", '  Чай "Ahmad" ', "1,50"], ["NA", "null", ""]]
    assert [str(dtype) for dtype in sheet.cells.dtypes] == ["str", "str", "str"]
    assert sheet.cells.isna().to_numpy().sum() == 0
    assert sheet.cells.columns.equals(pd.RangeIndex(3))
    assert sheet.problems == ()


def test_lines_count_line_breaks_inside_values_and_blank_lines(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b'\nSKU,Text\nA,"one\r\ntwo\nthree"\n\n\nB,x\n,\nC,y\n')
    assert table(sheet) == [["A", "one\r\ntwo\nthree"], ["B", "x"], ["C", "y"]]
    assert sheet.rows.tolist() == [3, 8, 10]
    assert sheet.facts["blank rows skipped"] == "1"
    assert sheet.address(1, 1) == "prices.csv:8 (Text)"
    assert sheet.address(1) == "prices.csv:8"


def test_a_column_without_header_is_kept_where_it_holds_something(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b"SKU,,Price,,\nA,x,1,,\nB,,2,,\n")
    assert sheet.headers == ("SKU", "", "Price")
    assert table(sheet) == [["A", "x", "1"], ["B", "", "2"]]
    assert sheet.address(0, 1) == "prices.csv:2 (column B)"


def test_delimiters_at_the_end_of_the_header_line_only_are_no_columns(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b"SKU;Price;;\nA;1\nB;2\n\x1a")
    assert (sheet.headers, table(sheet)) == (("SKU", "Price"), [["A", "1"], ["B", "2"]])


def test_headers_are_tidied_and_duplicates_stay(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, '" Price,\u00a0\n EUR ",Size,Size\n1,2,3\n'.encode())
    assert sheet.headers == ("Price, EUR", "Size", "Size")


@pytest.mark.parametrize("regular", [True, False])
def test_a_row_of_another_width_is_a_problem_and_shifts_nothing(tmp_path: Path, regular: bool) -> None:
    more = "" if regular else '4,x"y,z\n'
    sheet = read_bytes(tmp_path, f"SKU,Name,Price\n1,a,10\n2,b\n3,c,30,extra\n5,e,50,,\n{more}".encode())
    assert table(sheet)[:2] == [["1", "a", "10"], ["5", "e", "50"]]
    assert sheet.rows.tolist()[:2] == [2, 5]
    hint = "a delimiter or a line break inside a value must be quoted"
    assert sheet.problems == (
        CellProblem(3, None, None, "the row has 2 cells where the header has 3: '2 | b'", hint),
        CellProblem(4, None, None, "the row has 4 cells where the header has 3: '3 | c | 30 | extra'", hint),
    )
    assert sheet.address_of(sheet.problems[0]) == "prices.csv:3"
    assert sheet.facts["rows not read"] == "2"


def test_a_stray_quote_is_a_problem_of_its_record_and_the_rest_reads(tmp_path: Path) -> None:
    body = b'"SKU","Name"\n"1","a, b"\n"2","12" wide, "\n"3","c"\n"4","never closed\n"5","e"\n'
    sheet = read_bytes(tmp_path, body)
    assert table(sheet) == [["1", "a, b"], ["3", "c"], ["5", "e"]]
    assert sheet.rows.tolist() == [2, 4, 6]
    assert [(problem.row, problem.column, problem.position) for problem in sheet.problems] == [
        (3, None, None),
        (5, None, None),
    ]
    assert sheet.problems[0].what == "a quote stands inside a quoted value"


def test_stray_quotes_do_not_turn_enclosing_quotes_into_text(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b'"SKU","Name"\n"1","a"\n"2","12" wide"\n"3","c"\n"4","d"\n')
    assert table(sheet) == [["1", "a"], ["3", "c"], ["4", "d"]]
    assert [problem.row for problem in sheet.problems] == [3]


def test_quotes_that_enclose_nothing_are_text(tmp_path: Path) -> None:
    rows = [f'{number};"Tea" no {number};"half;x' for number in range(5)]
    sheet = read_bytes(tmp_path, ("SKU;Name;Note;More\n" + "\n".join(rows) + "\n").encode())
    assert table(sheet) == [[str(number), f'"Tea" no {number}', '"half', "x"] for number in range(5)]
    assert sheet.facts["quote"] == "none (quotes are text)"
    assert sheet.problems == ()


def test_a_file_without_one_readable_row_is_refused_with_every_problem(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match="no rows below them that can be read") as refused:
        read_bytes(tmp_path, b"SKU,Name,Price\n1,a\n2,b\n", ReadOptions(delimiter=","))
    assert [problem.where for problem in refused.value.problems] == ["prices.csv:2", "prices.csv:3"]


def test_many_unclosed_quotes_stay_quick(tmp_path: Path) -> None:
    body = b"SKU,Name\n" + b'1,"a\n' * 3001 + b'"2","b"\n' * 20_000
    sheet = read_bytes(tmp_path, body, ReadOptions(quote='"'))
    assert table(sheet)[-1] == ["2", "b"]
    assert sheet.rows[-1] == 23_002


def test_a_very_long_value_is_read(tmp_path: Path) -> None:
    text = "x" * 300_000
    sheet = read_bytes(tmp_path, f'SKU,Text\n1,"{text}"\n2,a"b\n'.encode())
    assert table(sheet) == [["1", text], ["2", 'a"b']]


def test_error_values_written_as_text_are_problems(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b"SKU,Price\nA,#N/A\nB,5\n#REF!,7\nC,#1\n")
    assert table(sheet) == [["A", "#N/A"], ["B", "5"], ["#REF!", "7"], ["C", "#1"]]
    assert [(problem.row, problem.column, problem.position, problem.what) for problem in sheet.problems] == [
        (2, 1, 0, "the cell holds the error #N/A"),
        (4, 0, 2, "the cell holds the error #REF!"),
    ]


# ------------------------------------------------------------------------------------------------- the dialect


@pytest.mark.parametrize(
    ("text", "delimiter", "rows"),
    [
        ("a,b\n1,2\n", ",", [["1", "2"]]),
        ("a;b\n1,5;2,5\n3,5;4,5\n", ";", [["1,5", "2,5"], ["3,5", "4,5"]]),
        ("a\tb\n1, x\t2\n", "tab", [["1, x", "2"]]),
        ("a|b\n1|2\n", "|", [["1", "2"]]),
        ("name\nfoo, bar\nbaz\n", "none (one column)", [["foo, bar"], ["baz"]]),
        ("sep=;\na;b\n1;2\n", ";", [["1", "2"]]),
        ("sep=|\r\na;x|b\r\n1|2\r\n", "|", [["1", "2"]]),
        ('a;b\n"x, y; z";1\n"p, q; r";2\n', ";", [["x, y; z", "1"], ["p, q; r", "2"]]),
        ('"a"; "b"\n"1"; "x; y"\n"2";"z"\n', ";", [["1", "x; y"], ["2", "z"]]),
    ],
    ids=["comma", "semicolon", "tab", "bar", "one column", "announced", "announced CRLF", "in quotes", "blank first"],
)
def test_the_delimiter_is_found(tmp_path: Path, text: str, delimiter: str, rows: list[list[str]]) -> None:
    sheet = read_bytes(tmp_path, text.encode())
    assert (sheet.facts["delimiter"], table(sheet)) == (delimiter, rows)


def test_lines_are_physical_after_an_announced_delimiter(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, b"sep=;\na;b\n1;2\n").rows.tolist() == [3]


def test_the_dialect_can_be_set(tmp_path: Path) -> None:
    body = b"a;b,c\n'1;2',3\n"
    sheet = read_bytes(tmp_path, body, ReadOptions(delimiter=",", quote="'"))
    assert (sheet.headers, table(sheet)) == (("a;b", "c"), [["1;2", "3"]])
    sheet = read_bytes(tmp_path, b'a,b\n"1",2\n', ReadOptions(quote=""))
    assert table(sheet) == [['"1"', "2"]]


@pytest.mark.parametrize("options", [ReadOptions(delimiter=";;"), ReadOptions(quote="''"), ReadOptions(tab="Prices")])
def test_impossible_settings_are_refused(tmp_path: Path, options: ReadOptions) -> None:
    with pytest.raises(SheetError):
        read_bytes(tmp_path, b"a;b\n1;2\n", options)


# ----------------------------------------------------------------------------------------------- the header row


def test_expected_headers_find_the_header_row(tmp_path: Path) -> None:
    body = b"Price list,,\nfrom 1 May,,\nSKU,Name,Price\n1,Name,5\n2,b,6\n"
    sheet = read_bytes(tmp_path, body, expect=["Price", "SKU"])
    assert (sheet.headers, sheet.rows.tolist()) == (("SKU", "Name", "Price"), [4, 5])
    assert sheet.facts["header row"] == "3 (holds all of the headers that the mapping names)"


def test_a_title_is_not_taken_for_headers(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, b"Price list,,\n\n,,from 1 May\nSKU,Name,Price\n1,a,5\n2,b,6\n3,c,7\n")
    assert (sheet.headers, sheet.rows.tolist()) == (("SKU", "Name", "Price"), [5, 6, 7])


def test_the_wider_of_two_usual_widths_is_the_table(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, b"Price list,,\n,,from 1 May\nSKU,Name,Price\n1,a,5\n").headers == (
        "SKU",
        "Name",
        "Price",
    )


def test_without_titles_the_first_row_is_the_header(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, b"Code,2024\n1,2\n3,4\n").headers == ("Code", "2024")


def test_the_header_row_can_be_set(tmp_path: Path) -> None:
    body = b'x,y\n"a\nb",c\nSKU,Price\n1,2\n'
    sheet = read_bytes(tmp_path, body, ReadOptions(header_rows=(4,)))
    assert (sheet.headers, sheet.rows.tolist()) == (("SKU", "Price"), [5])


@pytest.mark.parametrize("line", [0, 3, 5, 99])
def test_a_header_row_that_is_none_is_refused(tmp_path: Path, line: int) -> None:
    with pytest.raises(SheetError, match=f"line {line} cannot be the header row"):
        read_bytes(tmp_path, b'x,y\n"a\nb",c\n\n', ReadOptions(header_rows=(line,)))
