"""The four formats, each written as a stream from one snapshot of the database."""

import codecs
import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from models.database import engine, libpq_url
from models.errors import Unavailable
from models.fields import Kind
from pipelines import export_copy, export_select
from pipelines.export_file import PIECE, Written
from pipelines.export_select import Wanted
from pipelines.export_workbook import Shape, Workbook

Progress = Callable[[int], None]
Notes = list[str]
ROW_GROUP = 32_768
SECONDS_BETWEEN_REPORTS = 0.5
# JSON has no raw control characters, so with these nothing is ever quoted: each line is the object itself.
JSON_LINES = "FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01'"
ARROW_TYPES: dict[Kind, pa.DataType] = {
    Kind.WHOLE: pa.int64(),
    Kind.MONEY: pa.decimal128(15, 2),
    Kind.DATE: pa.date32(),
    Kind.FLAG: pa.bool_(),
    Kind.LIST: pa.list_(pa.string()),
}
SHAPES = {Kind.WHOLE: Shape.NUMBER, Kind.MONEY: Shape.NUMBER, Kind.DATE: Shape.DATE, Kind.FLAG: Shape.FLAG}
SYSTEM_TYPES: dict[str, pa.DataType] = {
    "id": pa.int64(),
    "created_at": pa.timestamp("us", "UTC"),
    "updated_at": pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True)
class Source:
    """What to write, and the connection whose transaction is the snapshot."""

    wanted: Wanted
    connection: psycopg.Connection[Any]
    ids: range
    """From the first to the last that is wanted."""
    raw_formulas: bool = False
    total: int = 0


def write_csv(source: Source, out: Written, progress: Progress) -> tuple[int, Notes]:
    """UTF-8 after a byte order mark, without which Excel does not take it for what it is; commas, labels as the header.
    Postgres makes the text of the rows. Returns their number."""
    statement = export_select.as_cells(source.wanted, raw_formulas=source.raw_formulas)
    out.write(codecs.BOM_UTF8 + _header(source.wanted.columns))
    return _copied(source, statement, "FORMAT csv", out.write, progress), []


def write_jsonl(source: Source, out: Written, progress: Progress) -> tuple[int, Notes]:
    """One object a line under field names: numbers are numbers, lists are arrays, empty is null."""
    return _copied(source, export_select.as_json(source.wanted), JSON_LINES, out.write, progress), []


def write_xlsx(source: Source, out: Written, progress: Progress) -> tuple[int, Notes]:
    """Typed cells under bold, frozen labels; further sheets where one is full. Notes name the texts that were cut."""
    columns = [(export_select.label(name), _shape(name)) for name in source.wanted.columns]
    statement = export_select.as_cells(source.wanted, raw_formulas=source.raw_formulas)
    with Workbook(out.file, columns, expected_rows=source.total) as workbook:
        rows = _copied(source, statement, "FORMAT text", workbook.write, progress)
    return rows, workbook.notes


def write_parquet(source: Source, out: Written, progress: Progress) -> tuple[int, Notes]:
    """Typed columns under field names, Zstandard, in row groups of ROW_GROUP rows."""
    schema = pa.schema([(name, _arrow_type(name)) for name in source.wanted.columns])
    rows = 0
    with pq.ParquetWriter(out.file, schema, compression="zstd") as writer:
        for table in _tables(source, schema):
            writer.write_table(table, row_group_size=ROW_GROUP)
            rows += table.num_rows
            progress(rows)
    return rows, []


WRITERS: dict[str, Callable[[Source, Written, Progress], tuple[int, Notes]]] = {
    "csv": write_csv,
    "xlsx": write_xlsx,
    "parquet": write_parquet,
    "jsonl": write_jsonl,
}


def _copied(source: Source, statement: Any, options: str, write: Callable[[bytes], None], progress: Progress) -> int:
    """Stream COPY's output in pieces of about a megabyte that end with a row; returns the rows."""
    pieces = export_select.pieces(source.ids, source.total)
    queries = export_select.literal_sql(statement, source.connection, pieces)
    commands = [f"COPY ({query}) TO STDOUT ({options})" for query in queries]
    rows, waiting, size, reported = 0, [], 0, time.monotonic()
    for lines in export_copy.copied(commands, source.connection):
        waiting.append(lines.data)
        size += len(lines.data)
        rows += lines.number
        if size >= PIECE:
            write(b"".join(waiting))
            waiting, size = [], 0
            if time.monotonic() - reported >= SECONDS_BETWEEN_REPORTS:
                progress(rows)
                reported = time.monotonic()
    write(b"".join(waiting))
    return rows


def _header(columns: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([export_select.label(name) for name in columns])
    return line.getvalue().encode()


def _shape(name: str) -> Shape:
    if name in SYSTEM_TYPES:
        return Shape.NUMBER if name == "id" else Shape.MOMENT
    kind = export_select.kind(name)
    return Shape.TEXT if kind is None else SHAPES.get(kind, Shape.TEXT)


def _arrow_type(name: str) -> pa.DataType:
    if name in SYSTEM_TYPES:
        return SYSTEM_TYPES[name]
    kind = export_select.kind(name)
    return pa.string() if kind is None else ARROW_TYPES.get(kind, pa.string())


def _tables(source: Source, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in tables of about ROW_GROUP rows, cast to `schema`."""
    waiting: list[pa.RecordBatch] = []
    for batch in _batches(source):
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= ROW_GROUP:
            yield _cast(waiting, schema)
            waiting = []
    if waiting:
        yield _cast(waiting, schema)


def _cast(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(batches).cast(schema)


def _batches(source: Source) -> Iterator[pa.RecordBatch]:
    values = export_select.as_values(source.wanted)
    [statement] = export_select.literal_sql(values, source.connection, [source.ids])
    with _database_named(), _same_snapshot(source.connection) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield from cursor.fetch_record_batch()


@contextmanager
def _same_snapshot(connection: psycopg.Connection[Any]) -> Iterator[Any]:
    """An ADBC connection that sees what `connection` sees."""
    import adbc_driver_postgresql.dbapi as adbc  # brings pandas: half a second that the other formats need not wait

    snapshot = export_copy.snapshot_of(connection)
    url = libpq_url(engine().url.render_as_string(hide_password=False))
    with adbc.connect(url) as arrow, arrow.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        yield arrow


@contextmanager
def _database_named() -> Iterator[None]:
    """ADBC reports a lost server as its own error at the start, and as Arrow's or an OSError in the middle."""
    import adbc_driver_manager

    try:
        yield
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Unavailable(f"The database went away in the middle of the export: {error}") from error
