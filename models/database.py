"""The database: one engine per process, and the two doors to it, `reading()` and `writing()`."""

import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from psycopg import Connection as DriverConnection
from psycopg import Error as DriverError
from psycopg import OperationalError as DriverOperationalError
from psycopg.errors import QueryCanceled, UniqueViolation
from psycopg.rows import RowFactory, dict_row, namedtuple_row
from sqlalchemy import ClauseElement, Connection, Engine, create_engine, event, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidatePoolError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

from models.bounded_connection import BoundedConnection, noticing
from models.errors import Conflict, TooSlow, Unavailable
from models.permissions import Actor
from models.tallies import TalliedCursor

# Classes of advisory locks, each its own number: import 7 and export 7 are different things.
MIGRATIONS_LOCK, IMPORTS_LOCK, EXPORTS_LOCK, BROWSING_LOCK = 360_360, 360_361, 360_362, 360_363
WATCHING_LOCK = 360_368  # a watched folder's
CREDITS_LOCK = 360_365  # a person's
VIEW_RUNS_LOCK = 360_366
DUPLICATES_LOCK = 360_372
PAYMENTS_LOCK = 360_375  # an offer's, or with the number 0 that of comparing payments with Razorpay's
AUDIT_LOCK, SIGN_INS_LOCK = 360_370, 360_371
CHECKS_LOCK = 360_385
BACKUPS_LOCK = 360_386  # a backup, or with the number 0 asking for one
RECOVERY_LOCK = 360_387  # archiving the log with the number 0, making bases with 1
INSTANCES_LOCK = 360_373  # a process that carries out requests
FLOW_RUNS_LOCK = 360_376  # a run of a flow, held by its process
FLOWS_LOCK = 360_377  # a flow of which one run at a time may be, by the hash of its name
DISKS_LOCK = 360_388  # noting which disks are getting full
MOVES_LOCK = 360_389  # adding up the moves of contacts
FLOW_MAILS_LOCK = 360_378  # those that tell of the runs of a flow

# A machine whose power fails says nothing. Its locks and transactions would stand for hours: by these the server finds
# out in 40 seconds, whether it waits for that machine or has just sent it something.
LET_GO_OF_THE_LOST = b"""SELECT set_config('tcp_keepalives_idle', '20', false),
    set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '4', false),
    set_config('tcp_user_timeout', '40000', false)"""

RETURNED = "appointment360.returned"  # when a connection came back to the pool
UNASKED = 30.0  # seconds after which a connection is asked whether it still works

# Of a replica, without which everything goes on: seconds to connect.
SOON_GIVEN_UP = {"connect_timeout": 2}
LONGEST_WAIT = 1.0  # seconds for one of its connections

LARGEST_ID = 2**31 - 1  # that an Integer column holds
LARGEST_BIGINT = 2**63 - 1


Mark = Callable[[Session], None]
# What the request that runs notes in the first transaction that it writes; see models/idempotency.py.
MARK: ContextVar[Mark | None] = ContextVar("mark", default=None)


SET = b"""SELECT set_config('appointment360.by', %(by)s, true),
    set_config('appointment360.import', %(import)s, true),
    set_config('statement_timeout', '0', true), set_config('lock_timeout', %(lock_timeout)s, true)"""


class Base(DeclarativeBase):
    pass


Row = TypeVar("Row", bound=Base)


class Database:
    """The bound engine. The process that starts the program binds it once; tests bind their own."""

    url: str | None = None
    engine: Engine | None = None
    replica: Engine | None = None  # see models/replica.py
    patience: int | None = None  # seconds


def sqlalchemy_url(url: str) -> str:
    """`url` with psycopg 3 as its driver, whichever of the usual spellings it came in."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def libpq_url(url: str) -> str:
    """`url` as libpq's tools and ADBC read it."""
    return sqlalchemy_url(url).replace("postgresql+psycopg://", "postgresql://", 1)


def bind(url: str, *, patience: int | None = None, replica: str | None = None) -> Engine:
    """Make `url` this process's database; closes what was bound before.

    Where people wait in front of a screen, `patience` is after how many seconds the server stops a question. `replica`
    is the address of a server that follows it, which models/replica.py asks.
    """
    unbind()
    Database.url, Database.patience = sqlalchemy_url(url), patience
    Database.engine = _engine(Database.url, {})
    if replica is not None:
        Database.replica = _engine(sqlalchemy_url(replica), SOON_GIVEN_UP, pool_timeout=LONGEST_WAIT)
        event.listen(Database.replica, "do_connect", _connect_bounded)
    return Database.engine


def unbind() -> None:
    """Close every connection."""
    for one in filter(None, (Database.engine, Database.replica)):
        one.dispose()
    Database.replica = None


def _engine(url: str, connecting: Mapping[str, Any], **pooled: Any) -> Engine:
    # What an error says is logged: without the values, which may be a secret or somebody's data.
    made = create_engine(
        url, pool_size=10, max_overflow=20, pool_recycle=1800, pool_use_lifo=True, hide_parameters=True,
        connect_args={"cursor_factory": TalliedCursor, **noticing(libpq_url(url)), **connecting}, **pooled,
    )  # fmt: skip
    event.listen(made, "checkin", _note_return)
    event.listen(made, "checkout", _require_alive)
    event.listen(made, "connect", _prepare)
    return made


def _connect_bounded(_: object, __: object, given: Sequence[Any], named: Mapping[str, Any]) -> BoundedConnection:
    return BoundedConnection.connect(*given, **named)


def _prepare(connection: Any, _: object) -> None:
    """Once for each new connection, so that no question costs another one; outside of a transaction, which a server may
    end because it idles."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(LET_GO_OF_THE_LOST)
        if Database.patience is not None:
            cursor.execute(f"SET statement_timeout = '{Database.patience}s'")
    connection.autocommit = False


def _note_return(_: object, record: ConnectionPoolEntry) -> None:
    record.info[RETURNED] = time.monotonic()


def _require_alive(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
    """Whoever takes a connection gets one whose server is there, and rarely pays a round trip for it, as pool_pre_ping
    would each time: when a server ends, its sockets tell at once. Raises InvalidatePoolError, and SQLAlchemy connects
    anew."""
    idle = time.monotonic() - record.info.get(RETURNED, time.monotonic())
    if idle < UNASKED and not _speaks(connection):
        return
    try:
        answers = engine().dialect.do_ping(connection)
    except DriverError:
        answers = False
    if not answers:
        raise InvalidatePoolError


def _speaks(connection: Any) -> bool:
    """Whether the server said something, or hung up, while nobody asked it for anything."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def engine() -> Engine:
    """Raises Unavailable where no database was bound: the caller forgot `bind`."""
    if Database.engine is None:
        raise Unavailable("No database is connected. Set DATABASE_URL, or start one with `appointment360 up`.")
    return Database.engine


@contextmanager
def reading(on: Connection | None = None) -> Iterator[Session]:
    """A read-only session on one snapshot: the numbers in one answer agree with each other. `on` is a connection on
    which nothing has begun, in place of one of the pool.

    Raises TooSlow where the process is bound with a patience that ends.
    """
    how = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    try:
        with Session(engine().execution_options(**how) if on is None else on.execution_options(**how)) as session:
            yield session
    except OperationalError as error:
        if Database.patience is not None and isinstance(error.orig, QueryCanceled):
            raise TooSlow(seconds=Database.patience) from error
        raise


def compiled(wanted: ClauseElement) -> tuple[str, dict[str, Any]]:
    """A statement as the driver takes it, with its parameters. Those that differ each time are each a `bindparam` with
    a value, which is replaced then."""
    dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
    made = wanted.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return str(made), dict(made.params)


def asked(statement: str, given: Mapping[str, Any], rows: RowFactory[Any] = namedtuple_row) -> list[Any]:
    """The rows of one statement, which is `compiled`: for what each request asks, and SQLAlchemy takes as
    long again to look up. No transaction is begun and ended around it: it is one snapshot by itself.

    Raises SQLAlchemy's OperationalError, and TooSlow where the process is bound with a patience that ends.
    """
    try:
        taken = engine().raw_connection()
    except DriverError as error:  # SQLAlchemy makes its own of it only where it hands out its own connection
        raise OperationalError(statement, None, error, hide_parameters=True) from error
    try:
        driver = taken.driver_connection
        assert driver is not None
        driver.autocommit = True
        try:
            found: list[Any] = driver.cursor(row_factory=rows).execute(statement, given).fetchall()
            return found
        finally:
            if not driver.closed:
                driver.autocommit = False
    except DriverOperationalError as error:
        if Database.patience is not None and isinstance(error, QueryCanceled):
            raise TooSlow(seconds=Database.patience) from error
        if taken.driver_connection is not None and taken.driver_connection.closed:
            taken.invalidate(error)
        raise OperationalError(statement, None, error, hide_parameters=True) from error
    finally:
        taken.close()


def asked_in(session: Session, statement: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`asked` in the session's transaction: the rows of one statement, which is `compiled`, by the names of columns.

    Raises what SQLAlchemy does.
    """
    with _driver(session, statement) as driver, driver.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statement, given)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def _driver(session: Session, statement: str | bytes) -> Iterator[DriverConnection[Any]]:
    """The driver's own connection of the session, whose errors become those of SQLAlchemy."""
    connection = session.connection()
    driver = connection.connection.driver_connection
    assert driver is not None
    try:
        yield driver
    except DriverError as error:
        if driver.closed:
            connection.invalidate(error)
        raise DBAPIError.instance(
            str(statement), None, error, DriverError, hide_parameters=True, dialect=engine().dialect
        ) from error


@contextmanager
def writing(by: Actor, *, import_id: int | None = None, lock_timeout: str = "0") -> Iterator[Session]:
    """A session that commits at the end or rolls back; the history trigger reads who writes from it.

    It may take its time: what a person changes in many contacts is not stopped in the middle. After `lock_timeout` of
    waiting for others, such as "3s", it fails with the server's LockNotAvailable; with "0" it waits.
    """
    given = {"by": str(by.doer_id or ""), "import": str(import_id or ""), "lock_timeout": lock_timeout}
    with Session(engine()) as session, session.begin():
        with _driver(session, SET) as driver:
            driver.execute(SET, given)
        if (mark := MARK.get()) is not None:
            mark(session)
        yield session


@contextmanager
def named_once(sentences: Mapping[str, str]) -> Iterator[None]:
    """The database's own rules that a name is given once, as sentences: name of the index -> what to say.

    Raises Conflict with the one of the rule that was broken.
    """
    try:
        yield
    except IntegrityError as error:
        broken = error.orig.diag.constraint_name if isinstance(error.orig, UniqueViolation) else None
        if broken is None or broken not in sentences:
            raise
        raise Conflict(sentences[broken]) from error


def by_id(session: Session, table: type[Row], identity: int, *, locked: bool = False) -> Row | None:
    """A row whose id is an Integer; None also for a number that no id can be, which the server refuses to look for."""
    return session.get(table, identity, with_for_update=locked) if 0 < identity <= LARGEST_ID else None


@contextmanager
def claimed(lock: int, identity: int) -> Iterator[bool]:
    """Whether this process alone has the thing of that number, for as long as the block runs.

    A killed process lets go at once, since the lock lives in its connection. No transaction is open meanwhile, whose
    snapshot would keep the server from clearing away what is old.
    """
    key = {"lock": lock, "id": identity}
    with engine().connect() as connection:
        taken = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:lock, :id)"), key))
        connection.commit()
        try:
            yield taken
        finally:
            if taken:
                _let_go(connection, key)


def _let_go(connection: Connection, key: dict[str, int]) -> None:
    try:
        connection.execute(text("SELECT pg_advisory_unlock(:lock, :id)"), key)
        connection.commit()
    except DBAPIError:
        connection.invalidate()  # the connection is gone, and its lock with it; what ended it is on its way up


def claims(session: Session, lock: int) -> set[int]:
    """The numbers of the things that processes have claimed."""
    held = """SELECT objid::bigint FROM pg_locks
        WHERE locktype = 'advisory' AND classid = :lock AND objsubid = 2 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    return set(session.scalars(text(held), {"lock": lock}))


def ping() -> None:
    """Raises Unavailable, with the server's own words, when the database does not answer."""
    try:
        with engine().connect() as connection:
            connection.execute(text("SELECT 1"))
    except OperationalError as error:
        raise Unavailable(f"The database does not answer: {error.orig}") from error
