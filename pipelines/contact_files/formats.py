"""Which format a file is in: by its first bytes, and by its name only where bytes do not tell."""

import json
import re
import zipfile
from pathlib import Path

from pipelines.contact_files.opened_file import UnreadableFile

GZIP, ZSTD, ZIP = "gzip", "zstd", "zip"
CSV, XLSX, XLS, ODS, PARQUET, JSONL = "csv", "xlsx", "xls", "ods", "parquet", "jsonl"
COMPRESSED = (GZIP, ZSTD, ZIP)
WORKBOOKS = (XLSX, XLS, ODS)

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAGIC = {
    b"\x1f\x8b": GZIP,
    b"\x28\xb5\x2f\xfd": ZSTD,
    b"PAR1": PARQUET,
    OLE: XLS,
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": ZIP,
}
REFUSED = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG\r\n\x1a\n": "a PNG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"SQLite format 3\x00": "an SQLite database",
    b"{\\rtf": "a Rich Text document",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
    b"ARROW1": "an Arrow file",
}
WAY_OUT = "upload the contacts as CSV, Excel, OpenDocument, Parquet or JSON lines"
# A BIFF stream that is not wrapped in OLE, as Excel 2 to 4 wrote it.
BARE_BIFF = re.compile(rb"\x09[\x00\x02\x04\x08][\x04-\x10]\x00")
MARKUP = re.compile(rb"\s*<(!doctype|html|\?xml|table|head|body)", re.IGNORECASE)
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")


def format_of(path: Path, name: str) -> str:
    """One of the constants above. Raises UnreadableFile for an empty file and for what can hold no contacts."""
    with path.open("rb") as file:
        head = file.read(64 * 1024)
    if not head:
        raise UnreadableFile(f"{name} is empty: export the contacts again.")
    for magic, kind in REFUSED.items():
        if head.startswith(magic):
            raise UnreadableFile(f"{name} is {kind}, whatever its name says: {WAY_OUT}.")
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return _inside(kind, path, name)
    return _text_format(head, name)


def _inside(kind: str, path: Path, name: str) -> str:
    if kind == ZIP:
        return _zip_format(path, name)
    if kind == XLS and _is_encrypted(path):
        raise UnreadableFile(f"{name} is protected by a password: open it in Excel and save it without one.")
    return kind


def _is_encrypted(path: Path) -> bool:
    with path.open("rb") as file:
        return ENCRYPTED_PACKAGE in file.read(4 * 1024 * 1024)


def _zip_format(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            kind = archive.read("mimetype")[:100].decode("ascii", "replace") if "mimetype" in members else ""
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise UnreadableFile(f"{name} is cut off or damaged ({error}): upload or download it again.") from error
    if "opendocument.spreadsheet" in kind:
        return ODS
    if any(member.lower().lstrip("/").startswith("xl/") for member in members):
        return XLSX
    for folder, what in (("word/", "a Word document"), ("ppt/", "a PowerPoint presentation")):
        if any(member.startswith(folder) for member in members):
            raise UnreadableFile(f"{name} is {what}, not a table: {WAY_OUT}.")
    return ZIP


def _text_format(head: bytes, name: str) -> str:
    suffix = Path(name).suffix.lower()
    if MARKUP.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise UnreadableFile(
            f"{name} is a web page or XML, whatever its name says: open it in Excel and save it as XLSX."
        )
    if BARE_BIFF.match(head) or (suffix == ".xls" and _looks_binary(head)):
        return XLS
    if suffix in (".jsonl", ".ndjson", ".json") or _starts_as_json(head):
        return JSONL
    if _looks_binary(head):
        raise UnreadableFile(f"{name} is not text and no format that is known here: {WAY_OUT}.")
    return CSV


def _starts_as_json(head: bytes) -> bool:
    text = head.decode("utf-8-sig", "replace").lstrip()
    if re.match(r"\[\s*\{\s*\"", text):
        return True
    try:
        return isinstance(json.loads(text.splitlines()[0]), dict) if text.startswith("{") else False
    except ValueError:
        return False


def _looks_binary(head: bytes) -> bool:
    """Control characters that no text has. NULs count apart: UTF-16 is full of them, at every second place."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return False
    control = sum(head.count(byte) for byte in range(1, 32) if byte not in (9, 10, 12, 13, 26, 27, 28, 29, 30, 31))
    nuls = max(head[0::2].count(0), head[1::2].count(0))
    other_nuls = head.count(0) - nuls
    return control > len(head) * 0.05 or other_nuls > len(head) * 0.2
