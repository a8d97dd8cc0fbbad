"""Open a contact file: find out what it is, unpack and decode it, and lay its cells into a DuckDB table."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.import_progress import Step
from pipelines.contact_files import formats
from pipelines.contact_files.compression import unpack_gzip, unpack_zip, unpack_zstd
from pipelines.contact_files.csv_records import delimiter_name, sample_records
from pipelines.contact_files.csv_roads import careful_road, fast_road, may_be_plain
from pipelines.contact_files.dialect import find_dialect, read_sample
from pipelines.contact_files.encoding import Text, as_utf8
from pipelines.contact_files.headers import MOST_COLUMNS, find_header
from pipelines.contact_files.json_lines import read_json
from pipelines.contact_files.opened_file import OpenedFile, UnreadableFile, plain_sentences
from pipelines.contact_files.parquet import read_parquet
from pipelines.contact_files.received import ByteScan, Checksum, checksum, scan_file
from pipelines.contact_files.store import Store, new_store
from pipelines.contact_files.workbooks import read_workbook
from pipelines.watched import begin

OPENING = ".opening-"  # begins the name of the folder, beside the store, in which a file is unpacked and read


@dataclass(frozen=True)
class Content:
    """What is to be read: the file itself, or what came out of an archive; its format; the checksum of the original."""

    path: Path
    format: str
    checksum: Checksum
    scan: ByteScan | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """What a reader found out while it filled the store."""

    headers: tuple[str, ...]
    header_line: int = 0
    encoding: str | None = None
    delimiter: str | None = None
    notes: tuple[str, ...] = ()


def open_contact_file(
    path: Path, *, store: Path, sheet: str | None = None, memory_limit: str = "400MB", threads: int = 2
) -> OpenedFile:
    """Turn any uploaded file into the tables `raw`, `unreadable` and `opened` of a DuckDB file at `store`.

    `raw(line, c0, ...)` has one row per readable record in file order, cells as in the file, '' or NULL when empty;
    `unreadable(line, reason, raw)` the others. An existing store is replaced, and only when all went well. `sheet`
    names the sheet of a workbook; `memory_limit` and `threads` bound DuckDB.
    Raises UnreadableFile, whose sentence names the cause and the way out.
    """
    with plain_sentences(path.name), tempfile.TemporaryDirectory(prefix=OPENING, dir=store.parent) as folder:
        content = _content(path, Path(folder))
        built = Path(folder) / "store.duckdb"
        with new_store(built, memory_limit=memory_limit, threads=threads) as tables:
            table = _read(tables, content, path.name, Path(folder), sheet)
            begin(Step.OPEN)
            opened = _account(tables, path.name, content, table)
            tables.write_opened(opened)
        built.replace(store)
    return opened


def _account(tables: Store, name: str, content: Content, table: Table) -> OpenedFile:
    return OpenedFile(
        name=name,
        sha256=content.checksum.sha256,
        bytes=content.checksum.bytes,
        format=content.format,
        encoding=table.encoding,
        delimiter=table.delimiter,
        headers=table.headers,
        header_line=table.header_line,
        rows=tables.count(),
        notes=(*content.notes, *table.notes),
    )


def _content(path: Path, folder: Path) -> Content:
    found = formats.format_of(path, path.name)
    if found not in formats.COMPRESSED:
        if found in (formats.CSV, formats.JSONL):
            given, scan = scan_file(path)
            return Content(path, found, given, scan)
        return Content(path, found, checksum(path), None)
    inner = folder / "unpacked"
    name = _unpack(path, found, inner)
    kind = formats.format_of(inner, name)
    if kind in formats.COMPRESSED:
        raise UnreadableFile(f"{path.name} is packed twice: unpack it once and upload what is inside.")
    inner_scan = scan_file(inner)[1] if kind in (formats.CSV, formats.JSONL) else None
    return Content(inner, kind, checksum(path), inner_scan, (f"Unpacked from {found}.",))


def _unpack(path: Path, found: str, target: Path) -> str:
    if found == formats.ZIP:
        return unpack_zip(path, target)
    unpack: Callable[[Path, Path], None] = unpack_gzip if found == formats.GZIP else unpack_zstd
    unpack(path, target)
    return path.name.removesuffix(path.suffix)


def _read(tables: Store, content: Content, name: str, folder: Path, sheet: str | None) -> Table:
    if content.format in formats.WORKBOOKS:
        read = read_workbook(tables, content.path, name, folder, sheet)
        return Table(read.header.names, read.header.line, notes=read.notes)
    if content.format == formats.PARQUET:
        headers, mended = read_parquet(tables, content.path, name)
        return Table(headers, notes=mended)
    text = as_utf8(content.path, content.scan or scan_file(content.path)[1], folder)
    if content.format == formats.JSONL:
        headers, mended = read_json(tables, text, name)
        return Table(headers, notes=(*text.notes, *mended))
    return _read_csv(tables, text, name)


def _read_csv(tables: Store, text: Text, name: str) -> Table:
    sample = read_sample(text.path, name)
    dialect = find_dialect(sample)
    records = sample_records(sample, dialect)
    if not records:
        raise UnreadableFile(f"{name} holds only blank lines: export the contacts again.")
    header = find_header(records, usual=dialect.usual_width)
    if len(header.names) > MOST_COLUMNS:
        sentence = (
            f"{name} has {len(header.names):,} columns, more than {MOST_COLUMNS:,}: is the {{}} really its delimiter?"
        )
        raise UnreadableFile(sentence.format(delimiter_name(dialect.delimiter)))
    notes: tuple[str, ...] = ()
    if not (may_be_plain(text, dialect, header) and fast_road(tables, text, dialect, header)):
        notes = careful_road(tables, text, dialect, header)
    return Table(header.names, header.line, text.encoding, dialect.delimiter, (*text.notes, *header.notes, *notes))
