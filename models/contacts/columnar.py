"""Contacts by columns, in a DuckDB file of one process's own: what it holds, and how rows come in.

A text that few values are written in again and again is a number here, and its values stand in a dictionary beside it:
`country` holds 17, and `values_country` says that 17 is Germany. What is asked of a text is asked of the dictionary
once, and of ten million contacts only whether their number is among those found. Lists are numbers too, of whole lists.
What is nearly different for every contact, as e-mail addresses are, stands as it is.

Patterns ignore capitals as the database's server does. So it is the server that writes small what is not ASCII, here
as there, and Unicode has one meaning.
"""

import errno
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from models import machine
from models.contacts import signatures
from models.contacts.feed import Place, Server
from models.contacts.mirror_files import SPILLED
from models.contacts.table import FIELDS, SEARCHED
from models.fields import Kind

log = logging.getLogger(__name__)

BROKEN = (duckdb.FatalException, duckdb.InternalException, duckdb.IOException)  # says DuckDB of a file
# It says IOException also where the file is whole and something else is at its limit: there is no class for that.
LIMITS = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE)))

FORMAT = "9"  # of the file, with the columns that there are: another one is not read
SEPARATOR = "\x00"  # between the members of a list that is written as one text: no text of PostgreSQL has it
# How such a text begins, by the list: it has members, none, or some that are NULL, before which the others have a mark.
MEMBERS, EMPTY, HOLEY, NULL = "=", "0", "?", "-"
WRITTEN = "~"  # behind the name of a column: its text as it is written, where that is not in small letters
MOST_TOTALS = 100_000  # rows that are added to the totals before they are added up
FILLED = " is filled"  # behind the name of a column, among the totals
ADDED_ON = "day of created_at"  # among the totals: by days since 1970, by UTC
GONE = "SELECT id FROM gone"
_SUMMED = """SELECT field, code, sum(contacts)::BIGINT AS contacts FROM totals
    GROUP BY ALL HAVING sum(contacts) <> 0"""
COUNTED = (Kind.INDUSTRY, Kind.OWNER, Kind.FLAG)
SIGNED = "#"  # behind the name of a column: the signature of each of its texts
SYSTEM = {"created_at": Kind.DATE, "updated_at": Kind.DATE, "import_id": Kind.WHOLE}
MANY = 50_000  # contacts that come in in one transaction, after which the memory that it took is given back
SMALL = 20_000  # values of a dictionary that stays in memory
NO_USE = "%s cannot be used, it is removed, and all contacts are mirrored anew: %s"
INFINITE = 2**63 - 1  # microseconds, as which a moment stands that never is
MOMENTS = ("created_at", "updated_at")
_TYPES = {
    Kind.WHOLE: "BIGINT", Kind.MONEY: "DECIMAL(15, 2)", Kind.DATE: "DATE", Kind.FLAG: "BOOLEAN",
    Kind.INDUSTRY: "INTEGER", Kind.OWNER: "INTEGER", Kind.LIST: "VARCHAR[]",
}  # fmt: skip

_READ = {
    Kind.WHOLE: pa.int64(), Kind.DATE: pa.date32(), Kind.FLAG: pa.bool_(), Kind.INDUSTRY: pa.int32(),
    Kind.OWNER: pa.int32(), Kind.LIST: pa.list_(pa.string()),
}  # fmt: skip
RANGES = pa.schema([("first", pa.int64()), ("after", pa.int64())])  # of ids: from the one to before the other


class Form(StrEnum):
    """How a column is kept."""

    CODED = "coded"  # a number of its dictionary
    TEXT = "text"  # in small letters, with what is written beside it where that is another text
    VALUE = "value"  # a number, a day, a moment, yes or no, a list


@dataclass(frozen=True)
class Column:
    """`name` is that of the column of contacts."""

    name: str
    kind: Kind
    form: Form

    @property
    def is_moment(self) -> bool:
        return self.name in MOMENTS

    @property
    def is_counted(self) -> bool:
        """Whether it has few values, so that it is kept how many contacts have each."""
        return self.form is Form.CODED or self.kind in COUNTED or self.name == "employees"

    @property
    def is_signed(self) -> bool:
        """Whether what is written in it is looked for, so that it has signatures."""
        return self.form is Form.TEXT and self.name in SEARCHED

    @property
    def selected(self) -> list[str]:
        """What is read of the database for it."""
        if self.is_moment:
            microseconds = f"(extract(epoch FROM {self.name}) * 1000000)::bigint"
            ends = f"WHEN 'infinity' THEN {INFINITE} WHEN '-infinity' THEN -{INFINITE}"
            return [f"CASE {self.name} {ends} ELSE {microseconds} END AS {self.name}"]
        if self.kind is Kind.MONEY:
            return [f"{self.name}::text AS {self.name}"]
        if self.form is Form.TEXT:
            written = f'nullif({self.name}, lower({self.name})) AS "{self.name}{WRITTEN}"'
            return [f"lower({self.name}) AS {self.name}", written]
        return [self.name]

    @property
    def read(self) -> "list[pa.Field[Any]]":
        """What `selected` is in Arrow."""
        if self.form is Form.TEXT:
            return [pa.field(self.name, pa.string()), pa.field(f"{self.name}{WRITTEN}", pa.string())]
        return [pa.field(self.name, pa.int64() if self.is_moment else _READ.get(self.kind, pa.string()))]

    @property
    def declared(self) -> list[str]:
        """Of the table here."""
        if self.form is Form.CODED:
            return [f"{self.name} UINTEGER"]
        if self.is_signed:
            # Looked through in a third of the time that it takes to read what is compressed.
            plain = f"{self.name} VARCHAR USING COMPRESSION uncompressed"
            return [plain, f'"{self.name}{WRITTEN}" VARCHAR', f'"{self.name}{SIGNED}" UBIGINT']
        if self.form is Form.TEXT:
            return [f"{self.name} VARCHAR", f'"{self.name}{WRITTEN}" VARCHAR']
        return [f"{self.name} {'TIMESTAMPTZ' if self.is_moment else _TYPES[self.kind]}"]

    @property
    def taken(self) -> list[str]:
        """What becomes of `selected` here."""
        if self.is_moment:
            ends = f"WHEN {INFINITE} THEN 'infinity'::TIMESTAMPTZ WHEN -{INFINITE} THEN '-infinity'::TIMESTAMPTZ"
            return [f"CASE {self.name} {ends} ELSE make_timestamptz({self.name}) END"]
        if self.is_signed:
            return [self.name, f'"{self.name}{WRITTEN}"', f'"{self.name}{SIGNED}"']
        return [self.name, f'"{self.name}{WRITTEN}"'] if self.form is Form.TEXT else [self.name]


def columns(coded: frozenset[str]) -> tuple[Column, ...]:
    """All of them, in the declared order; `coded` are the names of those with a dictionary."""
    kinds = {one.column: one.kind for one in FIELDS.values()} | SYSTEM
    return tuple(Column(name, kind, _form(name, kind, coded)) for name, kind in kinds.items())


def _form(name: str, kind: Kind, coded: frozenset[str]) -> Form:
    if name in coded:
        return Form.CODED
    return Form.VALUE if kind in _TYPES else Form.TEXT


def may_be_coded(kind: Kind) -> bool:
    return kind is Kind.LIST or kind not in _TYPES


@dataclass(frozen=True)
class State:
    """Of which snapshot the file is: `moves` are those of models/kept.py when `began` was its server's start."""

    server: Server
    place: Place
    moves: int
    began: str


class Folds(Protocol):
    """Writes texts in small letters, as the database's server does."""

    def __call__(self, texts: Sequence[str], /) -> list[str]: ...


class Columnar:
    """The open file. One at a time writes; any number read, each on a cursor of its own."""

    def __init__(
        self,
        path: Path,
        connection: duckdb.DuckDBPyConnection,
        all_columns: tuple[Column, ...],
        large: frozenset[str] = frozenset(),
    ) -> None:
        self.path, self.columns = path, all_columns
        self.large = large  # columns of so many values that no number of each is kept
        self.by_name = {one.name: one for one in all_columns}
        self._connection = connection
        self.is_bytewise = False  # whether the database compares texts as is done here
        self.decoded: dict[str, dict[Any, Any]] = {}  # for who reads: column -> number -> what it stands for
        self._lengths: dict[str, int] = {}  # of the dictionaries
        self._last: dict[str, int] = {}  # numbers of them, which no transaction's are above
        self._small_ones: dict[str, dict[str, int]] = {}
        self._is_grown = True  # whether a dictionary may have, since that was asked
        self._compacted = 0  # rows of the totals when they were added up
        self.stale_since: float | None = None  # when something in it was first replaced or deleted, in Unix time
        self._copying: duckdb.DuckDBPyConnection | None = None
        self._readers, self._is_retired, self._counting = 0, False, threading.Lock()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._connection.cursor()

    def close(self) -> None:
        self._connection.close()

    def lent(self) -> duckdb.DuckDBPyConnection:
        """A cursor that lasts until it is `given_back`, whatever becomes of the file. Raises duckdb.Error."""
        with self._counting:
            cursor = self._connection.cursor()
            self._readers += 1
        return cursor

    def given_back(self, cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.close()
        with self._counting:
            self._readers -= 1
            self._close_unread()

    def retire(self) -> None:
        """Close it once nobody reads it any more: closing it takes the cursors with it."""
        with self._counting:
            self._is_retired = True
            self._close_unread()

    def _close_unread(self) -> None:
        if self._is_retired and not self._readers:
            self._connection.close()

    def last(self, name: str) -> int:
        """The last number of a column's dictionary, whichever transaction looks at it."""
        with self._counting:
            if name not in self._last:
                with self._connection.cursor() as cursor:
                    [(last,)] = cursor.execute(f"SELECT coalesce(max(code), 0) FROM values_{name}").fetchall()
                self._last[name] = last
            return self._last[name]

    def selected(self) -> str:
        """The columns that `put` takes, as the database's SELECT has them."""
        return ", ".join(["id", *(part for one in self.columns for part in one.selected)])

    def schema(self) -> pa.Schema:
        """Of the rows that `put` takes."""
        return pa.schema([pa.field("id", pa.int64()), *(part for one in self.columns for part in one.read)])

    @property
    def totalled(self) -> str:
        """For each column what is counted of all contacts: a number, or only whether there is a value."""
        whole = [one for one in self.columns if one.is_counted and one.name not in self.large]
        filled = [one for one in self.columns if one not in whole]
        names = [*(one.name for one in whole), ADDED_ON, *(f"{one.name}{FILLED}" for one in filled)]
        codes = [f"{one.name}::BIGINT" for one in whole]
        codes += ["make_timestamp(epoch_us(created_at))::DATE - DATE '1970-01-01'"]
        codes += [f"CASE WHEN {one.name} IS NOT NULL THEN 1::BIGINT END" for one in filled]
        return f"unnest({names}) AS field, unnest([{', '.join(codes)}]) AS code"

    def start_over(self) -> None:
        """Empty it, with its dictionaries: a load begins."""
        self._declare(self._connection)

    def _declare(self, connection: duckdb.DuckDBPyConnection, of: str = "") -> None:
        """`of` is the name of an attached file, with a point."""
        declared = ", ".join(["id BIGINT NOT NULL", *(part for one in self.columns for part in one.declared)])
        connection.execute(f"CREATE OR REPLACE TABLE {of}contacts ({declared})")
        connection.execute(
            f"CREATE OR REPLACE TABLE {of}totals (field VARCHAR NOT NULL, code BIGINT, contacts BIGINT NOT NULL)"
        )
        connection.execute(f"CREATE OR REPLACE TABLE {of}stale (since DOUBLE NOT NULL)")
        for one in self.columns:
            if one.form is Form.CODED:
                value = "VARCHAR[]" if one.kind is Kind.LIST else "VARCHAR"
                connection.execute(
                    f"CREATE OR REPLACE TABLE {of}values_{one.name} "
                    "(code UINTEGER NOT NULL, hashed UBIGINT NOT NULL, written VARCHAR, "
                    f"value {value}, folded VARCHAR USING COMPRESSION uncompressed, signature UBIGINT)"
                )

    @contextmanager
    def copied(self, path: Path) -> Iterator[None]:
        """While this lasts, there is a file of what was in this one, and is not unlocked yet. What was replaced or
        deleted stays in a file: in blocks that are free, and in the dictionaries. Others read and write meanwhile."""
        with self.cursor() as cursor:
            quoted = str(path).replace("'", "''")
            cursor.execute(f"ATTACH '{quoted}' AS fresh")
            self._copying = cursor
            try:
                cursor.execute("BEGIN")
                self._declare(cursor, "fresh.")
                cursor.execute("INSERT INTO fresh.contacts FROM contacts")
                for one in self.columns:
                    if one.form is Form.CODED:
                        cursor.execute(
                            f"INSERT INTO fresh.values_{one.name} FROM values_{one.name} "
                            f"WHERE code IN (SELECT {one.name} FROM contacts)"
                        )
                cursor.execute(f"INSERT INTO fresh.totals {_SUMMED}")
                cursor.execute("CREATE TABLE fresh.state AS FROM state")
                cursor.execute("COMMIT")
                yield
            finally:
                self._copying = None
                cursor.execute("DETACH fresh")

    def interrupt(self) -> None:
        """End what is being written, or copied; not what others read. Between two statements it does nothing."""
        for one in (self._connection, self._copying):
            if one is not None:
                with suppress(duckdb.Error):  # it is closed in this moment
                    one.interrupt()

    def load(self, batches: Iterator[pa.Table], state: State, fold: Folds) -> Iterator[int]:
        """Put all contacts into the empty file; gives the number of those that are in after each batch."""
        done = 0
        for rows in batches:
            self._connection.execute("BEGIN")
            try:
                self._insert(rows, fold)
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
            done += rows.num_rows
            yield done
        self.large = frozenset(
            one.name for one in self.columns if one.form is Form.CODED and self._length(one.name) > SMALL
        )
        self._total("contacts", "+")
        self._note(state)
        self._connection.execute("CHECKPOINT")
        machine.give_back_memory()

    def put(self, ranges: Iterator[pa.Table], pieces: Iterator[pa.Table], state: State, fold: Folds) -> None:
        """Replace the contacts in these RANGES by `pieces`, which are all that is left of them, in one transaction."""
        self._connection.execute("BEGIN")
        try:
            is_stale = self._delete(ranges)
            left = 0
            for rows in pieces:  # one after the other: a million contacts are more than a gigabyte
                if rows.num_rows:
                    self._insert(rows, fold)
                    left += rows.num_rows
            if left:
                self._total(f"contacts WHERE id IN ({GONE})", "+")
            self._compact()
            self._note(state)
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        if is_stale and self.stale_since is None:
            self.stale_since = time.time()
        if left >= MANY:
            machine.give_back_memory()

    def note(self, state: State) -> None:
        """The same contacts are those of this state."""
        self._connection.execute("BEGIN")
        try:
            self._note(state)
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _delete(self, ranges: Iterator[pa.Table]) -> bool:
        """Whether there was any of them."""
        self._connection.execute("CREATE OR REPLACE TEMPORARY TABLE gone (id BIGINT)")
        for some in ranges:
            self._connection.register("named", some)
            self._connection.execute('INSERT INTO gone SELECT unnest(range("first", "after")) FROM named')
            self._connection.unregister("named")
        self._total(f"contacts WHERE id IN ({GONE})", "-")
        [(deleted,)] = self._connection.execute(f"DELETE FROM contacts WHERE id IN ({GONE})").fetchall()
        if deleted and self.stale_since is None:
            self._connection.execute("INSERT INTO stale VALUES (?)", [time.time()])
        return bool(deleted)

    def _compact(self) -> None:
        """Each change adds to the totals what it makes of them: add that up before it is much."""
        [(rows,)] = self._connection.execute("SELECT count(*) FROM totals").fetchall()
        if rows > self._compacted + MOST_TOTALS:
            self._connection.execute(f"CREATE OR REPLACE TEMPORARY TABLE summed AS {_SUMMED}")
            self._connection.execute("DELETE FROM totals")
            self._connection.execute("INSERT INTO totals FROM summed")
            [(self._compacted,)] = self._connection.execute("SELECT count(*) FROM summed").fetchall()

    def _total(self, source: str, sign: str) -> None:
        """Add what these contacts make of the totals, or take it away."""
        each = f"SELECT {self.totalled} FROM {source}"
        self._connection.execute(f"INSERT INTO totals SELECT field, code, {sign}count(*) FROM ({each}) GROUP BY ALL")

    def _length(self, name: str) -> int:
        """Of a column's dictionary, and its last number: those in between that nothing has any more may be gone."""
        if name not in self._lengths:
            [(length,)] = self._connection.execute(f"SELECT coalesce(max(code), 0) FROM values_{name}").fetchall()
            self._lengths[name] = length
        return self._lengths[name]

    def number(self) -> int:
        """Of contacts, as who writes sees them."""
        [(contacts,)] = self._connection.execute("SELECT count(*) FROM contacts").fetchall()
        return int(contacts)

    def grown(self) -> dict[str, int]:
        """The dictionaries that do not stay in memory, with the numbers of their values: once after any of them grew.
        For who writes."""
        if not self._is_grown:
            return {}
        long = [one.name for one in self.columns if one.form is Form.CODED and self._length(one.name) > SMALL]
        found = {
            name: self._connection.execute(f"SELECT count(*) FROM values_{name}").fetchall()[0][0] for name in long
        }
        self._is_grown = False
        return found

    def _insert(self, rows: pa.Table, fold: Folds) -> None:
        for one in self.columns:
            if one.form is Form.CODED:
                place = rows.schema.get_field_index(one.name)
                rows = rows.set_column(place, one.name, self._coded(one, rows.column(place), fold))
            elif one.is_signed:
                rows = rows.append_column(f"{one.name}{SIGNED}", signatures.of(rows.column(one.name)))
        taken = ", ".join(["id", *(part for one in self.columns for part in one.taken)])
        self._connection.register("incoming", rows)
        self._connection.execute(f"INSERT INTO contacts SELECT {taken} FROM incoming")
        self._connection.unregister("incoming")

    def _coded(self, column: Column, values: "pa.ChunkedArray[Any]", fold: Folds) -> "pa.Array[Any]":
        """Their numbers in the dictionary, to which those are added that are not in it."""
        whole: Any = values.combine_chunks()
        if isinstance(whole, pa.ChunkedArray):  # of no rows
            whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
        written: Any = _joined(whole) if column.kind is Kind.LIST else whole
        encoded = written.dictionary_encode()
        codes = self._codes(column, encoded.dictionary, fold)
        return pc.take(codes, encoded.indices)

    def _codes(self, column: Column, written: Any, fold: Folds) -> "pa.Array[Any]":
        if not len(written):
            return pa.array([], pa.uint32())
        small = self._small(column)
        if small is None:
            codes = self._looked_up(column, written)
        else:
            codes = pa.array([small.get(one) for one in written.to_pylist()], pa.uint32())
        missing = pc.is_null(codes)
        if not pc.any(missing).as_py():
            return codes
        added = pc.filter(written, missing)
        first = self._lengths[column.name] + 1
        numbers = pa.array(range(first, first + len(added)), pa.uint32())
        self._add(column, numbers, added, fold)
        whole: pa.Array[Any] = pc.replace_with_mask(codes, missing, numbers)
        return whole

    def _small(self, column: Column) -> dict[str, int] | None:
        """The dictionary by its texts, where it is so small that it stays in memory."""
        name = column.name
        if self._length(name) > SMALL:
            self._small_ones.pop(name, None)
            return None
        if name not in self._small_ones:
            rows = self._connection.execute(f"SELECT written, code FROM values_{name}").fetchall()
            self._small_ones[name] = dict(rows)
        return self._small_ones[name]

    def _looked_up(self, column: Column, written: "pa.Array[Any]") -> "pa.Array[Any]":
        self._connection.register("asked", pa.table({"place": pa.array(range(len(written))), "written": written}))
        self._connection.execute(
            f"SELECT code FROM asked LEFT JOIN values_{column.name} d ON d.hashed = hash(asked.written) "
            "AND d.written = asked.written ORDER BY place"
        )
        found = self._connection.fetchnumpy()["code"]
        self._connection.unregister("asked")
        return pa.array(found, pa.uint32())

    def _add(self, column: Column, numbers: Any, written: Any, fold: Folds) -> None:
        value = _PARTED if column.kind is Kind.LIST else "written"
        folded = _folded(written, fold) if column.kind is not Kind.LIST else pa.nulls(len(written), pa.string())
        signed = signatures.of(pa.chunked_array([folded]))
        parts = {"code": numbers, "written": written, "folded": folded, "signature": signed}
        self._connection.register("added", pa.table(parts))
        self._connection.execute(
            f"INSERT INTO values_{column.name} "
            f"SELECT code, hash(written), written, {value}, folded, signature FROM added"
        )
        self._connection.unregister("added")
        self._lengths[column.name] += len(written)
        with self._counting:
            self._last[column.name] = max(self._last.get(column.name, 0), self._lengths[column.name])
        self._is_grown = True
        if column.name in self._small_ones:
            self._small_ones[column.name].update(zip(written.to_pylist(), numbers.to_pylist(), strict=True))

    def _roll_back(self) -> None:
        with suppress(duckdb.TransactionException):  # the transaction is over, where it was the COMMIT that failed
            self._connection.execute("ROLLBACK")
        self._lengths.clear()
        self._small_ones.clear()

    def _note(self, state: State) -> None:
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS state (format VARCHAR, cluster VARCHAR, timeline BIGINT, "
            "of_database BIGINT, of_tables VARCHAR, snapshot VARCHAR, log VARCHAR, moves BIGINT, began VARCHAR, "
            "coded VARCHAR[], large VARCHAR[])"
        )
        self._connection.execute("DELETE FROM state")
        server, place = asdict(state.server), asdict(state.place)
        coded = [one.name for one in self.columns if one.form is Form.CODED]
        self._connection.execute(
            "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_format(), *server.values(), *place.values(), state.moves, state.began, coded, sorted(self.large)],
        )


def _format() -> str:
    """Of the file. Another DuckDB may have another hash(), by which texts are found in the dictionaries."""
    return " ".join([FORMAT, duckdb.__version__, *(f"{one.name}:{one.kind}" for one in columns(frozenset()))])


def state(cursor: duckdb.DuckDBPyConnection) -> State:
    """That of the cursor's transaction."""
    [row] = cursor.execute(
        "SELECT cluster, timeline, of_database, of_tables, snapshot, log, moves, began FROM state"
    ).fetchall()
    return State(Server(*row[:4]), Place(*row[4:6]), row[6], row[7])


_MEMBERS = f"string_split(substr(written, 2), '{SEPARATOR}')"
_PARTED = f"""CASE left(written, 1) WHEN '{MEMBERS}' THEN {_MEMBERS} WHEN '{EMPTY}' THEN []::VARCHAR[]
    ELSE list_transform({_MEMBERS}, lambda one: CASE WHEN one <> '{NULL}' THEN substr(one, 2) END) END"""


def _joined(lists: Any) -> Any:
    """Each as one text of its own, which `_PARTED` makes a list again."""
    plain: Any = pc.binary_join(lists, SEPARATOR)  # NULL where a member is
    joined = pc.binary_join_element_wise(MEMBERS, plain, "")
    lengths: Any = pc.list_value_length(lists)
    is_empty = pc.equal(lengths, pa.scalar(0, lengths.type)).fill_null(False)
    joined = pc.if_else(is_empty, EMPTY, joined)
    is_holey = pc.and_(pc.is_valid(lists), pc.is_null(plain))
    if not pc.any(is_holey).as_py():
        return joined
    holey = (
        [NULL if one is None else f"{MEMBERS}{one}" for one in members]
        for members in pc.filter(lists, is_holey).to_pylist()
    )
    written = pa.array([HOLEY + SEPARATOR.join(members) for members in holey], joined.type)
    return pc.replace_with_mask(joined, is_holey, written)


def _folded(written: Any, fold: Folds) -> Any:
    """Whoever wrote it in ASCII has one way to write it small; of the rest the server is asked."""
    is_ascii = pc.string_is_ascii(written)
    folded = pc.ascii_lower(written)
    if pc.all(is_ascii).as_py():
        return folded
    others = pc.invert(is_ascii)
    asked = pa.array(fold(pc.filter(written, others).to_pylist()), folded.type)
    return pc.replace_with_mask(folded, others, asked)


def opened(path: Path, *, threads: int, memory: str) -> duckdb.DuckDBPyConnection:
    """Raises duckdb.Error where it is another process's, or not one of DuckDB's."""
    how: dict[str, Any] = {
        "threads": threads, "memory_limit": memory, "temp_directory": str(path.with_suffix(SPILLED)),
        "autoinstall_known_extensions": False, "autoload_known_extensions": False,
        "preserve_insertion_order": False,
    }  # fmt: skip
    connection = duckdb.connect(str(path), config=how)
    path.chmod(0o600)
    shutil.rmtree(path.with_suffix(SPILLED), ignore_errors=True)  # what a killed process left there
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # of every cursor, too
    return connection


def reopened(path: Path, *, threads: int, memory: str) -> Columnar | None:
    """None where it was not filled to its end, is broken, or of another version. Raises duckdb.Error where nothing is
    wrong with it."""
    try:
        connection = opened(path, threads=threads, memory=memory)
    except duckdb.Error as error:
        if is_at_limit(error):
            raise
        log.warning(NO_USE, path.name, type(error).__name__)
        return None
    why = "it was not filled to its end, or is of another version"
    try:
        row = connection.execute("SELECT format, coded, large FROM state").fetchone()
        if row is not None and row[0] == _format():
            file = Columnar(path, connection, columns(frozenset(row[1])), frozenset(row[2]))
            [(file.stale_since,)] = connection.execute("SELECT min(since) FROM stale").fetchall()
            return file
    except duckdb.Error as error:
        if is_at_limit(error):
            connection.close()
            raise
        why = type(error).__name__
    connection.close()
    log.warning(NO_USE, path.name, why)
    return None


def is_broken(error: duckdb.Error) -> bool:
    """Whether it says that of the file. That what is read is not what was written has no class of its own."""
    return (type(error) is duckdb.Error or isinstance(error, BROKEN)) and not is_at_limit(error)


def is_at_limit(error: duckdb.Error) -> bool:
    return any(limit in str(error) for limit in LIMITS)
