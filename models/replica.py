"""Browsing on a replica of the database, which DATABASE_REPLICA_URL names: where it gives the very answer that the
database itself would give at this moment, and nowhere else.

What lists, counts and charts of contacts depend on leaves a row in `contact_moves` with each change (kept.py). So the
database is asked, in one small statement, how many moves there are and how long its log is. For as long as their number
stays the same nothing was changed after that place of the log, and a replica that has applied the log up to there shows
everything that anybody has changed, on whatever instance, by whatever road: nobody misses what they have just written.
What else is written meanwhile does not keep it from answering. The place counts, not the number of moves: two that end
at the same moment may become visible there in another order than here.

Where it has not come so far, follows another server or none, has another schema or is away, the database answers. What
it fails at the database is asked once more: the replica ends long questions in order to go on applying the log. So is
what it never answers, as one does that stands still: most of that is noticed by what it has to answer at once, else a
little after the patience in which it should have ended the question by itself.
"""

import functools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from psycopg import Error as DriverError
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from models import kept
from models.bounded_connection import SOON
from models.database import Database, asked, reading
from models.kept import Moment
from models.settings import settings

P = ParamSpec("P")
R = TypeVar("R")
AWAY = 5.0  # seconds in which one that is of no use is not asked again

log = logging.getLogger(__name__)

_SAME = """(SELECT version_num FROM alembic_version) AS schema,
    (SELECT system_identifier FROM pg_control_system()) AS system,
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS of_database"""
# The end of the log is read after the snapshot in which the moves are counted was taken: their commits lie before it.
# The timeline tells two servers apart that were one until one of them was promoted.
_HERE = f"""SELECT moment.*, {_SAME}, pg_current_wal_insert_lsn()::text AS place, clock_timestamp() AS at,
    ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int AS timeline
    FROM ({kept.MOMENT}) AS moment"""
_THERE = f"""SELECT {_SAME}, pg_is_in_recovery() AS follows,
    (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
    coalesce(pg_last_wal_replay_lsn() >= %(needed)s::pg_lsn, false) AS has_it,
    CASE WHEN pg_last_wal_replay_lsn() >= %(place)s::pg_lsn THEN 0
        ELSE greatest(0, extract(epoch FROM %(at)s - pg_last_xact_replay_timestamp())) END::float AS lag"""


class Outcome(StrEnum):
    """What became of a question that a replica might have answered."""

    ANSWERED = "answered"  # by it
    BEHIND = "behind"  # it has not applied what the answer needs, or is too far behind
    ANOTHER = "another"  # it follows another server or none, or has another schema
    AWAY = "away"
    FAILED = "failed"  # in the middle: the database was asked once more


@dataclass
class _Attempt:
    may_ask: bool = True
    has_asked: bool = False


@dataclass(frozen=True)
class _Needed:
    """The log up to `place` holds all that was changed when there were so many moves."""

    moment: Moment
    place: str


class _State:
    """Of this process's replica. Guarded by `lock`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.needed: _Needed | None = None
        self.away_until = 0.0
        self.outcomes: Counter[Outcome] = Counter()


_state = _State()
_ATTEMPT: ContextVar[_Attempt | None] = ContextVar("attempt on the replica", default=None)


def browses(read: Callable[P, R]) -> Callable[P, R]:
    """A function that only reads contacts, by `browsing()`, and may be called again: the replica may answer it."""

    @functools.wraps(read)
    def reads(*given: P.args, **named: P.kwargs) -> R:
        if Database.replica is None or _ATTEMPT.get() is not None:
            return read(*given, **named)
        attempt = _Attempt()
        before = _ATTEMPT.set(attempt)
        try:
            found = read(*given, **named)
            if attempt.has_asked:
                _note(Outcome.ANSWERED)
            return found
        except (DBAPIError, NoConnection) as error:
            if not attempt.has_asked:
                raise
            _note(Outcome.FAILED, rest=getattr(error, "connection_invalidated", True))
            log.info("the database is asked what the replica failed at: %s", _kind(error))
            attempt.may_ask = False
            return read(*given, **named)
        finally:
            _ATTEMPT.reset(before)

    return reads


@contextmanager
def browsing() -> Iterator[Session]:
    """`reading`, on the replica where whoever called is one that `browses`, and it is fit to answer."""
    attempt = _ATTEMPT.get()
    connection = _fit(attempt) if attempt is not None and attempt.may_ask else None
    if connection is None:
        with reading() as session:
            yield session
        return
    driver: Any = connection.connection.driver_connection
    longest = None if Database.patience is None else Database.patience + SOON
    with connection, driver.patient(longest), reading(connection) as session:
        yield session


@dataclass(frozen=True)
class Health:
    """`lag` in seconds, None where it, or the database, cannot be asked, and where it follows another one; `outcomes`
    since the process began."""

    lag: float | None
    outcomes: dict[Outcome, int]


def health() -> Health | None:
    """None where there is no replica."""
    if Database.replica is None:
        return None
    lag = None
    try:
        here = _here()
        with Database.replica.connect() as connection:
            there = _there(connection, here, here.place)
            lag = there.lag if _is_same(here, there) else None
    except (DBAPIError, NoConnection) as error:
        log.info("the replica does not answer: %s", _kind(error))
    with _state.lock:
        return Health(lag, {one: _state.outcomes[one] for one in Outcome})


def _fit(attempt: _Attempt) -> Connection | None:
    """A connection of the replica on which nothing has begun, where the snapshot that is taken next on it has all that
    the database has now."""
    assert Database.replica is not None
    if not _may_be_there():
        _note(Outcome.AWAY)
        return None
    here = _here()
    needed = _needed(here)
    try:
        connection = Database.replica.connect()
    except (DBAPIError, NoConnection) as error:
        log.info("the replica does not answer: %s", _kind(error))
        _note(Outcome.AWAY, rest=True)
        return None
    attempt.has_asked = True
    try:
        outcome = _outcome(here, _there(connection, here, needed))
    except BaseException:
        connection.close()
        raise
    if outcome is Outcome.ANSWERED:
        return connection
    connection.close()
    attempt.has_asked = False
    _note(outcome, rest=outcome is Outcome.ANOTHER)
    return None


def _kind(error: Exception) -> str:
    """What the server says may hold somebody's data."""
    return type(getattr(error, "orig", None) or error).__name__


def _here() -> Any:
    [row] = asked(_HERE, {})
    return row


def _there(connection: Connection, here: Any, needed: str) -> Any:
    """Asked in a transaction of its own: the snapshot of the answer comes after it. The very connection is asked that
    answers, since an address may lead to one of several servers."""
    driver: Any = connection.connection.driver_connection
    driver.autocommit = True
    try:
        given = {"needed": needed, "place": here.place, "at": here.at}
        with driver.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(_THERE, given).fetchone()
    except DriverError as error:
        if driver.closed:
            connection.invalidate(error)
        raise DBAPIError.instance(
            _THERE, None, error, DriverError, hide_parameters=True, connection_invalidated=driver.closed
        ) from error
    finally:
        if not driver.closed:
            driver.autocommit = False


def _outcome(here: Any, there: Any) -> Outcome:
    if not _is_same(here, there):
        return Outcome.ANOTHER
    fresh = there.lag is not None and there.lag <= settings().replica_lag_seconds
    return Outcome.ANSWERED if there.has_it and fresh else Outcome.BEHIND


def _is_same(here: Any, there: Any) -> bool:
    """Whether it follows this very database."""
    told = ("schema", "system", "of_database", "timeline")
    return there.follows and all(getattr(here, name) == getattr(there, name) for name in told)


def _needed(here: Any) -> str:
    """The place of the log that the answer needs. While the number of moves stays the same the first one known is as
    good as the newest, and a replica comes to it sooner."""
    moment = kept.moment_told(here)
    with _state.lock:
        known = _state.needed
        if known is None or (known.moment.where, known.moment.moves) != (moment.where, moment.moves):
            known = _state.needed = _Needed(moment, here.place)
        return known.place


def _may_be_there() -> bool:
    """One at a time tries whether it is back: all others would wait with it."""
    with _state.lock:
        now = time.monotonic()
        if now < _state.away_until:
            return False
        if _state.away_until:
            _state.away_until = now + AWAY
        return True


def _note(outcome: Outcome, *, rest: bool = False) -> None:
    with _state.lock:
        _state.outcomes[outcome] += 1
        if rest:
            _state.away_until = time.monotonic() + AWAY
        elif outcome in (Outcome.ANSWERED, Outcome.BEHIND):
            _state.away_until = 0.0


def forget() -> None:
    """As when the process began; for tests, which bind one database after the other."""
    global _state
    _state = _State()
