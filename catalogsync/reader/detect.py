"""What a file really is, by its content and never by its name's ending."""

from __future__ import annotations

import codecs
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalogsync.errors import SheetError
from catalogsync.reader.archive import check_archive, part_names

XLSX, XLS, ODS, TEXT = "XLSX workbook", "XLS workbook", "ODS workbook", "text"

BOMS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks, and the encodings that they announce; the longer ones before their beginnings."""

_SAVE_AS = "Open it in Excel or LibreOffice and save it as .xlsx or as CSV."
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x09\x08\x10\x00", "an Excel workbook without its container"),
    (b"\x09\x08\x08\x00", "a workbook of Excel 5 without its container"),
    (b"\x09\x04\x06\x00", "a worksheet of Excel 4"),
    (b"\x09\x02\x06\x00", "a worksheet of Excel 3"),
    (b"\x09\x00\x04\x00", "a worksheet of Excel 2"),
)
_OLE_NAMES: tuple[tuple[str, str], ...] = (
    ("WordDocument", "a Word document"),
    ("PowerPoint Document", "a PowerPoint presentation"),
    ("__properties_version1.0", "an Outlook message"),
)


def wrong_type(path: Path, real: str, way_out: str = _SAVE_AS) -> SheetError:
    """The refusal of a file that is no sheet, whatever its name ends in."""
    return SheetError(f"{path.name} is {real}, not a product sheet that can be read. {way_out}")


def encrypted(path: Path) -> SheetError:
    """The refusal of a workbook that opens with a password only."""
    return SheetError(
        f"{path.name} is encrypted with a password. Open it and save a copy without a password, then give the copy."
    )


def find_type(path: Path, start: bytes) -> str:
    """One of the four types that can be read, by content. SheetError names any other."""
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_type(path)
    if start.startswith(_OLE_MAGIC):
        return _ole_type(path)
    for magic, real in _MAGICS:
        if start.startswith(magic):
            raise wrong_type(path, real)
    _refuse_markup(path, start)
    return TEXT


@contextmanager
def whole_archive(path: Path) -> Iterator[None]:
    """Raises SheetError where the archive that is read here is cut off or damaged."""
    try:
        yield
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise SheetError(
            f"{path.name} is a workbook (a zip archive) that is cut off or damaged. Copy or download it again."
        ) from error


def _zip_type(path: Path) -> str:
    with whole_archive(path):
        names = part_names(path)
        if "xl/workbook.xml" in names and "mimetype" not in names:
            return XLSX  # books.py checks its parts while it looks at them
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            mimetype = archive.read("mimetype")[:200].decode("latin-1") if "mimetype" in names else ""
            manifest = "META-INF/manifest.xml"
            locked = manifest in names and b"encryption-data" in archive.read(manifest)
    if "spreadsheet" in mimetype:
        if locked:
            raise encrypted(path)
        return ODS
    if "xl/workbook.xml" in names:
        return XLSX
    if "xl/workbook.bin" in names:
        raise wrong_type(path, "a binary Excel workbook (.xlsb)")
    if any(name.startswith("Index/") or name == "Index.zip" for name in names):
        raise wrong_type(path, "an Apple Numbers file", "Export it from Numbers as Excel (.xlsx) or CSV.")
    if any(name.startswith("word/") for name in names):
        raise wrong_type(path, "a Word document")
    if any(name.startswith("ppt/") for name in names):
        raise wrong_type(path, "a PowerPoint presentation")
    if mimetype:
        raise wrong_type(path, f"an OpenDocument file of another kind ({mimetype.strip()})")
    raise wrong_type(path, "a zip archive", "Unpack it and give the sheet that is inside.")


def _ole_type(path: Path) -> str:
    from catalogsync.reader.xls import XlsError, root_names  # text files do without xlrd

    try:
        names = root_names(path)
    except XlsError as error:
        raise SheetError(
            f"{path.name} is an old Office file (.xls) that is cut off or damaged. Copy or download it again."
        ) from error
    if "EncryptedPackage" in names:
        raise encrypted(path)
    if "Workbook" in names or "Book" in names:
        return XLS
    for name, real in _OLE_NAMES:
        if name in names:
            raise wrong_type(path, real)
    raise wrong_type(path, "an Office file without a workbook")


def _refuse_markup(path: Path, start: bytes) -> None:
    for bom, encoding in BOMS:
        if start.startswith(bom):
            text = start[len(bom) :].decode(encoding, errors="replace")
            break
    else:
        text = start.decode("latin-1")
    text = text.lstrip().lower()[:4096]
    if text.startswith(("<?xml", "<workbook")):
        if "urn:schemas-microsoft-com:office:spreadsheet" in text:
            raise wrong_type(path, "a SpreadsheetML file (Excel 2003 XML)")
        if "<html" in text:
            raise wrong_type(path, "an HTML page")
        if "office:document" in text:
            raise wrong_type(path, "a flat OpenDocument file (.fods)")
        raise wrong_type(path, "an XML file")
    if re.match(r"<(!doctype html|!--|html|head|body|meta|table|style|div|script)\b", text) or (
        text.startswith("<!--") and "<html" in text
    ):
        raise wrong_type(path, "an HTML page")
    if text.startswith("mime-version:") and "html" in text:
        raise wrong_type(path, "a web archive (.mht)")
    if re.match(r'(\[\s*)?\{\s*"[^"]*"\s*:', text):
        raise wrong_type(path, "a JSON file", "Give the sheet as CSV or .xlsx.")
