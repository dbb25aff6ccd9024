"""Files made to harm: each is refused with words, or read as what it holds, within memory and time.

Every file is read in a process of its own that may take 1 GB and 10 seconds, since what goes wrong here ends a
process rather than raise an error.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalogsync.errors import SheetError
from catalogsync.reader import archive, column_letter, limits, read_sheet
from tests.cage import Cage, Task, Verdict
from tests.reader_files import SPREADSHEET, table, worksheet, zip_ods, zip_xlsx
from tests.test_reader_workbook import label, ods_row, ods_text, record, xls_stream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the ceilings of a process are read from /proc")

HEADERS = '<row r="1"><c r="A1" t="inlineStr"><is><t>Code</t></is></c></row>'
ROWS = HEADERS + '<row r="2"><c r="A2"><v>7</v></c></row>'
Read = Callable[[Path], Verdict]


@pytest.fixture(scope="module")
def cage() -> Iterator[Cage]:
    with Cage() as running:
        yield running


@pytest.fixture
def read(cage: Cage) -> Read:
    return lambda path: cage(Task(str(path)))


def refusal(verdict: Verdict) -> str:
    assert verdict.outcome == "refused", verdict
    return verdict.message


# --- archives ------------------------------------------------------------------------------------------------


def deflated(*, size: int, filler: bytes = b" ", start: bytes = b"") -> bytes:
    """A raw deflate stream of `start` and so many bytes of filler."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = filler * (1 << 20)
    packed = packer.compress(start)
    packed += b"".join(packer.compress(block) for _ in range(size >> 20))
    return packed + packer.flush()


def raw_zip(path: Path, parts: list[tuple[str, bytes, int]], *, again: int = 0) -> Path:
    """An archive of packed parts with the unpacked sizes that are given; the first part listed `again` more times."""
    body = b""
    directory = b""
    count = 0
    for number, (name, packed, declared) in enumerate(parts):
        fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, len(packed), declared, len(name), 0)
        names = [name] + [f"{name}{copy}" for copy in range(again if number == 0 else 0)]
        for listed in names:
            central = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, len(packed), declared, len(listed), 0)
            directory += b"PK\x01\x02" + struct.pack("<H", 20) + central
            directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + listed.encode()
            count += 1
        body += b"PK\x03\x04" + fields + name.encode() + packed
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\x05\x06" + end)
    return path


def test_a_zip_bomb_is_refused_whatever_size_it_declares(tmp_path: Path, read: Read) -> None:
    bomb = deflated(size=100 << 20)
    honest = raw_zip(tmp_path / "honest.xlsx", [("xl/workbook.xml", bomb, 100 << 20)])
    lying = raw_zip(tmp_path / "lying.xlsx", [("xl/workbook.xml", bomb, 100)])
    mimetype = raw_zip(tmp_path / "mimetype.ods", [("mimetype", bomb, 100)])
    for path in (honest, lying, mimetype):
        assert path.stat().st_size < 600_000
        verdict = read(path)
        assert "unpacks to more than 500 times its size, as no real workbook does" in refusal(verdict)
        assert verdict.seconds < 5


def test_parts_that_are_one_another_are_counted_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_UNPACKED_BYTES", 64 << 20)
    path = raw_zip(tmp_path / "prices.xlsx", [("xl/workbook.xml", deflated(size=15 << 20), 15 << 20)], again=100)
    assert path.stat().st_size < 200_000
    with pytest.raises(SheetError, match=r"unpacks to more than 64 MB\. Split it"):
        read_sheet(path)


def test_an_archive_of_more_parts_than_any_workbook_is_refused(tmp_path: Path, read: Read) -> None:
    many = raw_zip(tmp_path / "many.xlsx", [("xl/workbook.xml", deflated(size=0), 0)], again=10_000)
    assert "holds 10,001 parts, more than 10,000" in refusal(read(many))
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 0x7FFFFFFF, 0, 0)
    (tmp_path / "list.xlsx").write_bytes(b"PK\x03\x04" + bytes(100) + end)
    assert "a list of parts that is larger than the parts of any" in refusal(read(tmp_path / "list.xlsx"))


def test_a_size_that_is_not_true_is_refused(tmp_path: Path) -> None:
    for declared in (3, 5_000):
        path = raw_zip(tmp_path / "prices.xlsx", [("xl/workbook.xml", deflated(size=0, start=b"<a/>"), declared)])
        with pytest.raises(SheetError, match="cut off or damaged"):
            read_sheet(path)


def test_a_part_that_programs_find_by_another_name_is_refused(tmp_path: Path) -> None:
    path = zip_xlsx(tmp_path / "prices.xlsx", worksheet(ROWS), more={"XL/Worksheets/sheet1.xml": worksheet(HEADERS)})
    with pytest.raises(SheetError, match="cut off or damaged"):
        read_sheet(path)


def test_a_whole_file_has_a_ceiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_FILE_BYTES", 2_000)
    text = tmp_path / "prices.csv"
    text.write_text("Code\n" + "7\n" * 1_000, encoding="utf-8")
    book = zip_xlsx(tmp_path / "prices.xlsx", worksheet(ROWS), more={"xl/media/image1.png": os.urandom(3_000).hex()})
    for path in (text, book):
        with pytest.raises(SheetError, match=r"the file is larger than 2,000 bytes. Split it into several files"):
            read_sheet(path)


# --- XML -----------------------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
DOCUMENT_TYPE = f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>'


@pytest.mark.parametrize("part", ["sheet", "styles", "strings"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_multiply_are_refused(tmp_path: Path, read: Read, part: str, encoding: str) -> None:
    laughs = f'<?xml version="1.0" encoding="{encoding}"?>{DOCUMENT_TYPE}'
    sheet = worksheet(HEADERS.replace("Code", "&l11;") + ROWS).partition("?>")[2]
    styles = f'<styleSheet xmlns="{SPREADSHEET}"><x>&l11;</x></styleSheet>'
    strings = f'<sst xmlns="{SPREADSHEET}"><si><t>&l11;</t></si></sst>'
    name = {"sheet": "xl/worksheets/sheet1.xml", "styles": "xl/styles.xml", "strings": "xl/sharedStrings.xml"}[part]
    content = {"sheet": sheet, "styles": styles, "strings": strings}[part]
    path = zip_xlsx(tmp_path / "plain.xlsx", worksheet(ROWS))
    replace_part(path, name, (laughs + content).encode(encoding))
    assert "declares a document type, as no real workbook does" in refusal(read(path))


def test_entities_in_an_ods_or_in_an_encoding_that_hides_them_are_refused(tmp_path: Path, read: Read) -> None:
    path = zip_ods(tmp_path / "prices.ods", ods_row(ods_text("Code")) + ods_row(ods_text("7")))
    with zipfile.ZipFile(path) as book:
        content = book.read("content.xml").decode()
    head, _, rest = content.partition("?>")
    replace_part(path, "content.xml", f"{head}?>{DOCUMENT_TYPE}{rest}".encode())
    assert "declares a document type" in refusal(read(path))
    hidden = b'<?xml version="1.0" encoding="cp037"?>' + DOCUMENT_TYPE.encode("cp037")
    replace_part(path, "content.xml", hidden)
    assert "holds XML (content.xml) in the encoding cp037" in refusal(read(path))


def replace_part(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path) as book:
        parts = {held: book.read(held) for held in book.namelist()}
    parts[name] = content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for held, data in parts.items():
            book.writestr(held, data)


# --- cells ---------------------------------------------------------------------------------------------------

FAR = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'


def test_a_dimension_counts_for_nothing_and_real_cells_far_apart_are_refused(tmp_path: Path, read: Read) -> None:
    declared = worksheet(ROWS).replace("<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>')
    assert read(zip_xlsx(tmp_path / "declared.xlsx", declared)).outcome == "read"
    styled = ROWS + '<row r="1048576"><c r="XFD1048576" s="0"/><c r="B1048576" s="0"></c></row>'
    assert read(zip_xlsx(tmp_path / "styled.xlsx", worksheet(styled))).outcome == "read"
    unusual = FAR.replace('r="XFD1048576"', "r = 'xfd1048576'")
    prefixed = FAR.replace("<c", "<x:c").replace("</c", "</x:c")
    for number, far in enumerate((FAR, unusual, prefixed, FAR.replace("<v>1</v>", "<is><t>1</t></is>"))):
        xml = worksheet(ROWS + far).replace("<worksheet ", f'<worksheet xmlns:x="{SPREADSHEET}" ')
        verdict = read(zip_xlsx(tmp_path / f"far{number}.xlsx", xml))
        assert "rows times columns of what it holds are more than 20,000,000 cells. Split it" in refusal(verdict)
    nameless = "".join(f'<row r="{row}"><c><v>1</v></c></row>' for row in (3, 1_048_576))
    wide = f'<row r="2">{"<c><v>1</v></c>" * 1_000}</row>'
    assert "20,000,000 cells" in refusal(
        read(zip_xlsx(tmp_path / "nameless.xlsx", worksheet(HEADERS + wide + nameless)))
    )


def test_tabs_that_are_one_part_many_times_are_counted_each_time(tmp_path: Path, read: Read) -> None:
    path = zip_xlsx(tmp_path / "prices.xlsx", worksheet(ROWS + '<row r="1000000"><c r="J1000000"><v>1</v></c></row>'))
    tabs = "".join(f'<sheet name="T{n}" sheetId="{n + 2}" r:id="rId1"/>' for n in range(900))
    with zipfile.ZipFile(path) as book:
        workbook = book.read("xl/workbook.xml").decode()
    replace_part(path, "xl/workbook.xml", workbook.replace("<sheets>", f"<sheets>{tabs}").encode())
    assert "20,000,000 cells" in refusal(read(path))
    many = "".join(f'<sheet name="T{n}" sheetId="{n + 2}" r:id="rId1"/>' for n in range(1_000))
    replace_part(path, "xl/workbook.xml", workbook.replace("<sheets>", f"<sheets>{many}").encode())
    assert "more than 1,000 tabs" in refusal(read(path))


def test_one_long_text_in_many_cells_is_refused(tmp_path: Path, read: Read) -> None:
    strings = f'<sst xmlns="{SPREADSHEET}"><si><t>{"x" * (1 << 20)}</t></si><si><t>Code</t></si></sst>'
    cells = "".join(f'<row r="{row}"><c r="A{row}" t="s"><v>0</v></c></row>' for row in range(2, 2_000))
    head = '<row r="1"><c r="A1" t="s"><v>1</v></c></row>'
    relation = 'Id="rId3" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"'
    path = zip_xlsx(tmp_path / "prices.xlsx", worksheet(head + cells), more={"xl/sharedStrings.xml": strings})
    with zipfile.ZipFile(path) as book:
        relations = book.read("xl/_rels/workbook.xml.rels").decode()
    related = relations.replace("</Rel", f'<Relationship {relation} Target="sharedStrings.xml"/></Rel')
    replace_part(path, "xl/_rels/workbook.xml.rels", related.encode())
    assert path.stat().st_size < 100_000
    assert "its cells hold more than 256 MB of text" in refusal(read(path))
    few = "</row>".join([*cells.split("</row>")[:5], ""])
    replace_part(path, "xl/worksheets/sheet1.xml", worksheet(head + few).encode())
    verdict = read(path)
    assert (verdict.outcome, verdict.rows) == ("read", 5)


def test_merged_cells_beyond_number_or_over_one_another_take_bounded_time(tmp_path: Path, read: Read) -> None:
    wide = "".join(f'<c r="{column_letter(number)}1"><v>1</v></c>' for number in range(5_000))
    for count, outcome in ((100_000, "read"), (200_001, "refused")):
        merged = '<mergeCell ref="A1:XFD40"/>' * count
        xml = worksheet(f'<row r="1">{wide}</row><row r="2">{wide.replace("1", "2")}</row>')
        xml = xml.replace("</sheetData>", f"</sheetData><mergeCells>{merged}</mergeCells>")
        verdict = read(zip_xlsx(tmp_path / f"{count}.xlsx", xml))
        assert verdict.outcome == outcome, verdict
    assert "more than 200,000 merged cells" in verdict.message


def test_an_xls_larger_than_any_is_refused(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "prices.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    os.truncate(path, 65 << 20)
    assert "it is larger than 64 MB. Open it in Excel" in refusal(read(path))


def test_rows_and_cells_that_an_ods_repeats_are_counted(tmp_path: Path, read: Read) -> None:
    head = ods_row(ods_text("Code"), ods_text("Name"))
    columns = ods_text("7").replace("<table:table-cell", '<table:table-cell table:number-columns-repeated="16384"')
    both = ods_row(columns).replace("<table:table-row", '<table:table-row table:number-rows-repeated="1048576"')
    gap = ods_row('<table:table-cell table:number-columns-repeated="999999999"/>', ods_text("7"))
    endless = both.replace("1048576", "9" * 4_000)
    for number, rows in enumerate((both, gap, endless)):
        assert "20,000,000 cells" in refusal(read(zip_ods(tmp_path / f"{number}.ods", head + rows)))
    text = ods_text("x" * 200_000)
    rows = ods_row(text, text).replace("<table:table-row", '<table:table-row table:number-rows-repeated="2000"')
    assert "more than 256 MB of text" in refusal(read(zip_ods(tmp_path / "text.ods", head + rows)))
    blank = ods_row('<table:table-cell table:number-columns-repeated="16384"/>')
    blank = blank.replace("<table:table-row", '<table:table-row table:number-rows-repeated="1048574"')
    verdict = read(zip_ods(tmp_path / "blank.ods", head + ods_row(ods_text("7"), ods_text("x")) + blank))
    assert (verdict.outcome, verdict.rows) == ("read", 1)


def test_an_xls_that_asks_for_more_cells_than_it_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_CELLS", 1_000_000)
    wide = b"".join(record(0x0203, struct.pack("<HHHd", row, 255, 0, 1.0)) for row in range(1, 3_000))
    tab = label(0, 0, "Code") + label(0, 1, "Name") + wide
    stream = xls_stream({"Prices": tab})
    bound = stream.index(record(0x0085, b"")[:2], 8)  # the first record that names a tab
    size = 4 + struct.unpack_from("<H", stream, bound + 2)[0]
    entry = stream[bound : bound + size]
    start = struct.unpack_from("<I", entry, 4)[0] + size
    twice = [entry[:4] + struct.pack("<I", start) + entry[8:]]
    twice.append(twice[0].replace("Prices".encode("utf-16-le"), "Second".encode("utf-16-le")))
    content = stream[:bound] + b"".join(twice) + stream[bound + size :]
    path = tmp_path / "prices.xls"
    path.write_bytes(large_ole_file(content))
    with pytest.raises(SheetError, match="its tabs hold more than 1,000,000 cells"):
        read_sheet(path)


def large_ole_file(stream: bytes) -> bytes:
    """An OLE compound file of one stream, of any size up to 6 MB."""
    sector = 512
    count = -(-len(stream) // sector)
    fat_sectors = -(-(count + 110) // 128)
    numbers = [*range(1, count), 0xFFFFFFFE, 0xFFFFFFFE, *[0xFFFFFFFD] * fat_sectors]
    numbers += [0xFFFFFFFF] * (fat_sectors * 128 - len(numbers))
    from tests.test_reader_workbook import directory_entry

    directory = directory_entry("Root Entry", 5, 0xFFFFFFFE, 0) + directory_entry("Workbook", 2, 0, len(stream))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, fat_sectors, count, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    fats = [*range(count + 1, count + 1 + fat_sectors)]
    header += struct.pack("<109I", *fats, *[0xFFFFFFFF] * (109 - len(fats)))
    body = stream.ljust(count * sector, b"\0") + directory.ljust(sector, b"\0")
    return header + body + struct.pack(f"<{len(numbers)}I", *numbers)


# --- text files ----------------------------------------------------------------------------------------------


def csv_file(folder: Path, content: bytes) -> Path:
    path = folder / "prices.csv"
    path.write_bytes(content)
    return path


def test_a_cell_of_twenty_megabytes_is_refused_with_its_line(tmp_path: Path, read: Read) -> None:
    content = b"Code,Name\n1,a\n2," + b"x" * (20 << 20) + b"\n3,c\n"
    verdict = read(csv_file(tmp_path, content))
    assert "prices.csv:3: the line is longer than 4 MB (it begins with '2,xxx" in refusal(verdict)


def test_a_cell_beyond_a_million_characters_rejects_its_row(tmp_path: Path) -> None:
    long = "x" * 1_000_001
    sheet = read_sheet(csv_file(tmp_path, f"Code,Name\n1,a\n2,{long}\n3,c\n".encode()))
    assert [(sheet.address_of(problem), problem.what) for problem in sheet.problems] == [
        ("prices.csv:3 (Name)", "the cell holds 1,000,001 characters, more than 1,000,000")
    ]
    over_lines = read_sheet(csv_file(tmp_path, f'Code,Name\n1,a\n2,"{long}\n"\n3,"c"x\n'.encode()))
    assert ("prices.csv:3", True) in [
        (over_lines.address_of(problem), "longer than 1,000,000 characters" in problem.what)
        for problem in over_lines.problems
    ]
    most = "x" * 1_000_000
    assert table(read_sheet(csv_file(tmp_path, f"Code,Name\n1,{most}\n".encode()))) == [["1", most]]


def test_a_million_columns_are_refused(tmp_path: Path, read: Read) -> None:
    row = b",".join(b"%d" % number for number in range(1_000_000))
    assert "longer than 4 MB" in refusal(read(csv_file(tmp_path, row + b"\n" + row)))
    row = b"," * 1_000_000
    verdict = read(csv_file(tmp_path, b"Code" + row + b"x\n1" + row + b"y\n"))
    assert "prices.csv:1: the header row has 1,000,001 columns, more than the 16,384" in refusal(verdict)


def test_more_cells_than_a_sheet_may_have_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CELLS", 1_000)
    content = b"Code;Name;Note\n" + b"1;;\n" * 400
    with pytest.raises(SheetError, match="402 lines of 3 columns are more than 1,000 cells"):
        read_sheet(csv_file(tmp_path, content))
    assert len(read_sheet(csv_file(tmp_path, content[:-400])).cells) == 300


@pytest.mark.parametrize("content", [b'Code,Name\n"' + b"1,a\n" * 300_000, b"Code,Name\n" + b'1,"\n' * 100_000])
def test_quotes_that_never_close_take_bounded_time(tmp_path: Path, read: Read, content: bytes) -> None:
    verdict = read(csv_file(tmp_path, content))
    assert verdict.is_right, verdict


def test_a_file_of_which_hardly_a_line_can_be_read_is_refused(tmp_path: Path, read: Read) -> None:
    verdict = read(csv_file(tmp_path, b"Code,Name,Price\n" + b"1,a,2\n" * 20_000 + b"1,2\n" * 200_000))
    assert "more than 100,000 lines cannot be read; the first ones follow" in refusal(verdict)
    assert "prices.csv:20002: the row has 2 cells where the header has 3" in verdict.message


def test_devices_and_pipes_are_refused(tmp_path: Path, read: Read) -> None:
    os.mkfifo(tmp_path / "prices.csv")
    for path in (Path("/dev/zero"), tmp_path / "prices.csv"):
        assert "is no file that can be read more than once" in refusal(read(path))


# --- mappings ------------------------------------------------------------------------------------------------

NINE = "[" + ", ".join(["*{}"] * 9) + "]"
ANCHORS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} {NINE.replace('{}', f'a{n - 1}')}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ANCHORS + "catalog: 1\n", "aliases may not multiply"),
        ("a: &a [*a]\n", "an alias may not hold itself"),
        ("a: " + "[" * 100_000, "nested more than 20 deep"),
        ("a: " + "{b: " * 100_000, "nested more than 20 deep"),
        ("- " * 100_000, "nested more than 20 deep"),
        ("catalog: 1\nkey: " + "x" * 6_000_000, "more than 5,000,000 characters"),
        ("catalog: !!python/object/apply:os.system [exit]\nkey: a\ncolumns: {a: name}\n", "expected text"),
        ("catalog: " + "9" * 100_000 + "\nkey: a\ncolumns: {a: name}\nguards: {delete: " + "9" * 100_000 + "}\n", ""),
        ("catalog: 1\nkey: a\ncolumns: {a: name, b: " + "9" * 100_000 + "}\n", "no field"),
        ("catalog: 1\nkey: a\ncolumns: {a: name}\nread: {header_row: " + "9" * 100_000 + "}\n", ""),
    ],
)
def test_a_mapping_that_explodes_is_refused(tmp_path: Path, cage: Cage, content: str, said: str) -> None:
    path = tmp_path / "products.yaml"
    path.write_text(content, encoding="utf-8")
    verdict = cage(Task(mapping=str(path)))
    if said:
        assert said in refusal(verdict)
    assert verdict.is_right, verdict
    assert verdict.seconds < 5


def test_what_is_checked_is_what_programs_parse() -> None:
    """The list of parts that are searched for document types."""
    parsed = ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "[Content_Types].xml", "_rels/.rels", "content.xml"]
    parsed += ["xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml", "styles.xml"]
    assert [
        name for name in [*parsed, "META-INF/manifest.xml", "xl/media/a.png"] if archive._PARSED.fullmatch(name)
    ] == parsed


def test_an_archive_is_unpacked_in_pieces() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("a", b"x" * 3_000_000)
    [part] = zipfile.ZipFile(packed).infolist()
    pieces = list(archive._unpacked(packed, part))
    assert (sum(map(len, pieces)), max(map(len, pieces)) <= 1 << 18) == (3_000_000, True)
