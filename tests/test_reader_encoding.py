"""What a file is, and in which encoding its text is: known, told how sure, or refused."""

from __future__ import annotations

import codecs
import io
import os
import zipfile
from pathlib import Path

import pytest
import xlsxwriter

from catalogsync.errors import SheetError
from catalogsync.reader import ReadOptions, read_sheet
from tests.reader_files import read_bytes, table

TEXTS = {
    "Polish": ("cp1250", "Długość;Szerokość\nŻółty kubek;3\nśruba;12\n"),
    "Czech": ("cp1250", "Název;Cena\nPříliš žluťoučký kůň;3\nčaj černý;5\n"),
    "Hungarian": ("cp1250", "Megnevezés;Ár\nfűrész;3\ntükörfúrógép erős;12\nkenőcs;2\n"),
    "Croatian": ("cp1250", "Šifra;Naziv\n1;Čaj crni\n2;Cipele žute\n"),
    "French": ("cp1252", "Désignation;Prix\ncrème brûlée;12\nthé à la menthe;3\n"),
    "German": ("cp1252", "Größe;Preis\nMüller Süßwaren;3\nÄpfel;2\n"),
    "Spanish": ("cp1252", "Descripción;Precio\nPiña;3\nJabón pequeño;2\n"),
    "Portuguese": ("cp1252", "Descrição;Preço\nPão de açúcar;3\nColeção verão;2\n"),
    "Italian": ("cp1252", "Qualità;Prezzo\ncaffè;3\ntè più;2\n"),
    "Danish": ("cp1252", "Beskrivelse;Pris\nSmørrebrød på fad;3\nblåbær;2\n"),
    "Russian": ("cp1251", "Наименование;Цена\nЧай чёрный;3\nСАХАР;4\n"),
    "Ukrainian": ("cp1251", "Назва;Ціна\nЇжа для котів;3\nСіль;2\n"),
    "Bulgarian": ("cp1251", "Наименование;Цена\nКафе;3\nЯгода;2\n"),
    "Russian of DOS": ("cp866", "Наименование;Цена\nЧай чёрный;3\n"),
    "Russian of Unix": ("koi8_r", "Наименование;Цена\nЧай чёрный;3\n"),
}


@pytest.mark.parametrize("language", TEXTS)
def test_text_of_one_byte_a_letter_reads_right(tmp_path: Path, language: str) -> None:
    encoding, text = TEXTS[language]
    sheet = read_bytes(tmp_path, text.encode(encoding))
    lines = [line.split(";") for line in text.splitlines()]
    assert [list(sheet.headers), *table(sheet)] == lines
    assert "likely" in sheet.facts["encoding"]


def test_a_tie_is_refused_with_what_each_candidate_would_read(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match="cannot be told for sure") as refused:
        read_bytes(tmp_path, "a;b\nbőr;2\n".encode("cp1250"))
    shown = {problem.where: problem.what for problem in refused.value.problems}
    assert shown["--encoding cp1250"] == "'bőr'"
    assert shown["--encoding cp1252"] == "'bõr'"


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("a;b\né;2\n".encode(), "utf-8 (certain: valid UTF-8)"),
        (b"a;b\n1;2\n", "utf-8 (certain: plain ASCII)"),
        ("\ufeffa;b\né;2\n".encode(), "utf-8 (certain: byte order mark)"),
        (codecs.BOM_UTF16_LE + "a;b\né;2\n".encode("utf-16-le"), "utf-16-le (certain: byte order mark)"),
        (codecs.BOM_UTF16_BE + "a;b\né;2\n".encode("utf-16-be"), "utf-16-be (certain: byte order mark)"),
        ("a;b\né;2\n".encode("utf-16-le"), "utf-16-le (likely: every other byte is zero)"),
    ],
)
def test_unicode_is_known_for_certain(tmp_path: Path, content: bytes, fact: str) -> None:
    sheet = read_bytes(tmp_path, content)
    assert sheet.headers == ("a", "b")
    assert sheet.facts["encoding"] == fact


def test_the_encoding_can_be_set(tmp_path: Path) -> None:
    sheet = read_bytes(tmp_path, "a;b\nő;2\n".encode("cp1250"), ReadOptions(encoding="windows-1250"))
    assert table(sheet) == [["ő", "2"]]
    assert sheet.facts["encoding"] == "cp1250 (as set)"
    sheet = read_bytes(tmp_path, "\ufeffa;b\né;2\n".encode(), ReadOptions(encoding="UTF-8"))
    assert sheet.headers == ("a", "b")


def test_a_set_encoding_that_does_not_fit_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match=r"prices\.csv:3: the byte 0x98 is not cp1251 text"):
        read_bytes(tmp_path, b"a;b\n1;2\n\x98;3\n", ReadOptions(encoding="cp1251"))
    with pytest.raises(SheetError, match="no encoding is called 'klingon'"):
        read_bytes(tmp_path, b"a;b\n1;2\n", ReadOptions(encoding="klingon"))
    with pytest.raises(SheetError, match="no encoding is called 'base64'"):
        read_bytes(tmp_path, b"a;b\n1;2\n", ReadOptions(encoding="base64"))


def test_utf8_with_one_broken_byte_is_not_read_as_something_else(tmp_path: Path) -> None:
    content = "имя;цена\nчай;2\nкофе;3\n".encode() + b"\xff;4\n"
    with pytest.raises(SheetError, match=r"prices\.csv:4: the file is UTF-8, but the byte 0xff"):
        read_bytes(tmp_path, content)


# ------------------------------------------------------------------------------------------- the type of a file


def zipped(name: str, content: str = "x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"<html><body><table><tr><td>1", "an HTML page"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html>", "an HTML page"),
        (b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">', "SpreadsheetML"),
        (b'<?xml version="1.0"?><yml_catalog>', "an XML file"),
        (b'[{"sku": 1}]', "a JSON file"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"{\\rtf1", "an RTF document"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
        (b"PAR1\x00", "a Parquet file"),
        (b"\x00\x01\x02\x03" * 50, "a binary file"),
        (bytes(range(1, 256)) * 4, "a binary file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "cut off or damaged"),
        (b"PK\x03\x04 half a zip", "cut off or damaged"),
        (zipped("xl/workbook.bin"), r"binary Excel workbook \(\.xlsb\)"),
        (zipped("Index/Document.iwa"), "Apple Numbers"),
        (zipped("word/document.xml"), "a Word document"),
        (zipped("prices.csv"), "a zip archive"),
        (zipped("mimetype", "application/vnd.oasis.opendocument.text"), "OpenDocument file of another kind"),
        (b"SKU;Price\n", "no rows below"),
        (b"SKU;Price\n;\n\n", "no rows below"),
    ],
)
@pytest.mark.parametrize("ending", [".xlsx", ".csv", ".xls"])
def test_what_is_no_sheet_is_refused_by_its_real_name(tmp_path: Path, content: bytes, said: str, ending: str) -> None:
    path = tmp_path / f"prices{ending}"
    path.write_bytes(content)
    with pytest.raises(SheetError, match=said):
        read_sheet(path)


def test_a_workbook_is_read_whatever_its_name_ends_in(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    with xlsxwriter.Workbook(path) as workbook:
        workbook.add_worksheet("Prices").write_column(0, 0, ["SKU", "A"])
    sheet = read_sheet(path)
    assert (sheet.tab, sheet.headers, table(sheet)) == ("Prices", ("SKU",), [["A"]])


def test_half_a_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        workbook.add_worksheet("Prices").write_column(0, 0, [f"text {number}" for number in range(3000)])
    content = path.read_bytes()
    for size in (30, 200, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:size])
        with pytest.raises(SheetError):
            read_sheet(path)


def test_an_encrypted_ods_is_refused_as_such(tmp_path: Path) -> None:
    path = tmp_path / "prices.ods"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest:encryption-data/>")
        archive.writestr("content.xml", b"\x00\x01")
    with pytest.raises(SheetError, match="encrypted with a password"):
        read_sheet(path)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match="there is no such file"):
        read_sheet(tmp_path / "none.csv")
    with pytest.raises(SheetError, match="is a folder"):
        read_sheet(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything")
def test_what_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("a;b\n1;2\n", encoding="utf-8")
    path.chmod(0)
    with pytest.raises(SheetError, match="permission denied"):
        read_sheet(path)
