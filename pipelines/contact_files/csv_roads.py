"""From CSV text to the table `raw`: DuckDB's own reader where the file is plain, record by record where it is not."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import duckdb

from models.import_progress import Step
from pipelines.contact_files.csv_lines import LONGEST_LINE, Lines
from pipelines.contact_files.csv_records import RecordReader
from pipelines.contact_files.dialect import Dialect
from pipelines.contact_files.encoding import Text
from pipelines.contact_files.headers import Header
from pipelines.contact_files.nuls import Nuls
from pipelines.contact_files.opened_file import is_disk_full
from pipelines.contact_files.received import BLOCK
from pipelines.contact_files.store import Store
from pipelines.watched import begin

# Large enough for the longest line, small enough that two threads stay within the memory allowed.
READ_BUFFER = 8 * 1024 * 1024


def may_be_plain(text: Text, dialect: Dialect, header: Header) -> bool:
    """Whether the fast road is worth trying: nothing in the bytes needs mending.

    A single column goes the careful road: there DuckDB takes a blank line for a row.
    """
    return (
        text.scan.has_plain_line_ends
        and text.scan.nuls == 0
        and not text.scan.has_huge_line
        and not dialect.backslash
        and len(header.names) > 1
    )


def fast_road(store: Store, text: Text, dialect: Dialect, header: Header) -> bool:
    """Load the file with DuckDB's parallel reader; False when it is not plain, and then nothing is left of it.

    It counts only when every line after the header became one row, so that a row's line is its position: no blank
    line, no value over several lines. `raw` is a view that adds the line to the row's position.
    """
    store.watch(Step.OPEN, text.path.stat().st_size)
    # Counting the file's delimiters needs a core while DuckDB's writing needs the other.
    with ThreadPoolExecutor(1) as beside:
        counted = beside.submit(_count_after, text.path, header.data_line - 1, dialect)
        if not _load(store, text, dialect, header):
            return False
    begin(Step.OPEN)
    if not _is_whole(store, text, dialect, header, *counted.result()):
        store.connection.execute("DROP TABLE cells")
        return False
    store.connection.execute(f"CREATE VIEW raw AS SELECT rowid + {header.data_line} AS line, * FROM cells")
    return True


def _load(store: Store, text: Text, dialect: Dialect, header: Header) -> bool:
    columns = {f"c{number}": "VARCHAR" for number in range(len(header.names))}
    try:
        store.connection.execute(
            """CREATE TABLE cells AS SELECT * FROM read_csv($path, columns = $columns, skip = $skip, delim = $delim,
            quote = $quote, escape = $quote, header = false, auto_detect = false, strict_mode = true,
            null_padding = false, max_line_size = $longest, buffer_size = $buffer)""".replace("$columns", str(columns)),
            {
                "path": str(text.path),
                "skip": header.data_line - 1,
                "delim": dialect.delimiter,
                "quote": dialect.quote,
                "longest": LONGEST_LINE,
                "buffer": READ_BUFFER,
            },
        )
    except duckdb.Error as error:
        # Whatever DuckDB objects to, the careful road reads or names; only a full disk would fail there as well.
        if is_disk_full(error):
            raise
        return False
    return True


def _is_whole(store: Store, text: Text, dialect: Dialect, header: Header, delimiters: int, quotes: int) -> bool:
    """Whether every line became a row and every delimiter is accounted for.

    DuckDB drops an empty value too many at the end of a row, which may come of a delimiter too many in its middle.
    """
    found = store.connection.execute("SELECT count(*) FROM cells").fetchone()
    rows = found[0] if found else -1
    if rows + header.data_line - 1 != text.scan.lines:
        return False
    between = rows * (len(header.names) - 1)
    return delimiters == between or (quotes > 0 and delimiters == between + _inside_cells(store, dialect, header))


def _count_after(path: Path, lines: int, dialect: Dialect) -> tuple[int, int]:
    """How often the delimiter and the quote occur after so many lines."""
    delimiter, quote = dialect.delimiter.encode(), dialect.quote.encode()
    delimiters = quotes = 0
    with path.open("rb") as file:
        for _ in range(lines):
            file.readline()
        while block := file.read(BLOCK):
            delimiters += block.count(delimiter)
            quotes += block.count(quote)
    return delimiters, quotes


def _inside_cells(store: Store, dialect: Dialect, header: Header) -> int:
    # CASE, not FILTER: the aggregate's argument is else computed for every row.
    cells = " + ".join(
        f"""coalesce(sum(CASE WHEN contains(c{number}, $delimiter)
            THEN length(c{number}) - length(replace(c{number}, $delimiter, '')) END), 0)"""
        for number in range(len(header.names))
    )
    found = store.connection.execute(f"SELECT {cells} FROM cells", {"delimiter": dialect.delimiter}).fetchone()
    return int(found[0]) if found else 0


def careful_road(store: Store, text: Text, dialect: Dialect, header: Header) -> tuple[str, ...]:
    """Read record by record, mending what has only one reading. Returns notes on what was mended."""
    width = len(header.names)
    store.create_raw(width)
    with closing(Lines.of_file(text.path, has_nuls=text.scan.nuls > 0)) as lines:
        begin(Step.MEND, text.path.stat().st_size, look=lines.place)
        lines.skip(header.data_line - 1)
        records = RecordReader(lines, dialect, width=width)
        for record in records:
            if record.reason:
                store.add_unreadable(record.line, record.reason, record.raw)
            else:
                store.add(record.line, record.cells, len(record.raw))
    store.finish_raw()
    return (*Nuls(text.scan.nuls).notes, *records.tally.notes)
