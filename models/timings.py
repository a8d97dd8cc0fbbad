"""How long what people and programs asked for took, and who sent which statement: kept in memory, written in batches.

`timed` goes around an operation, or `note` is told of one. Where this process keeps timings (`keeping`), a thread
writes them every few seconds; a process that is killed loses those of the last seconds. Nothing of what somebody asked
or found is kept: an operation is the name of a screen, the pattern of a route, a command.
"""

import hashlib
import logging
import math
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Date, DateTime, Float, Identity, Index, Integer, SmallInteger, Text, func
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from models.batches import delete_in_batches
from models.database import Base, engine
from models.settings import settings
from models.tallies import TALLY, Tally

EVERY = 5.0  # seconds between two batches
SLOW = 1.0  # seconds from which on a single operation is kept
MOST = 5000  # sums, and statements, that are held between two batches; what is beyond is forgotten
MOST_SLOW = 200
WAITED_FOR = frozenset({"web", "api", "screen", "part"})  # by somebody who sees that it is slow
CLASSES = 40  # the last holds what takes longer than ten minutes
NOBODY = 0  # the id of nobody, and of no view

log = logging.getLogger(__name__)

Key = tuple[str, str, int, int]  # kind, operation, person, view


class Timing(Base):
    """`class` N holds what took up to 2^(N/2) milliseconds, and longer than the class before it."""

    __tablename__ = "timings"

    hour: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    operation: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    view_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    class_: Mapped[int] = mapped_column("class", SmallInteger, primary_key=True, autoincrement=False)
    times: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float] = mapped_column(Float(53))
    slowest: Mapped[float] = mapped_column(Float(53))
    failed: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    statements: Mapped[int] = mapped_column(BigInteger)
    statement_seconds: Mapped[float] = mapped_column(Float(53))


class StatementTiming(Base):
    __tablename__ = "statement_timings"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    operation: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    view_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    times: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float] = mapped_column(Float(53))


class SlowOperation(Base):
    __tablename__ = "slow_operations"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    kind: Mapped[str] = mapped_column(Text)
    operation: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int]
    view_id: Mapped[int]
    seconds: Mapped[float] = mapped_column(Float(53))
    rows: Mapped[int] = mapped_column(BigInteger)
    statements: Mapped[int] = mapped_column(BigInteger)
    statement_seconds: Mapped[float] = mapped_column(Float(53))

    __table_args__ = (Index("slow_operations_at", "at"),)


class _Held:
    """What is not written yet, under the lock. `slow` ends with time.time()."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.keeps = 0  # how many keep timings in this process
        self.totals: dict[tuple[str, str], list[float]] = {}  # see Total; these stay until the process ends
        self.clear()

    def clear(self) -> None:
        self.sums: dict[tuple[Key, int], list[float]] = {}
        self.statements: dict[tuple[str, Key], list[float]] = {}
        self.slow: list[tuple[Any, ...]] = []


@dataclass(frozen=True)
class Total:
    """Of one operation since this process began."""

    times: float
    seconds: float
    failed: float
    statements: float
    statement_seconds: float


_held = _Held()


def class_of(seconds: float) -> int:
    """The class of durations; see Timing."""
    if seconds <= 0.001:
        return 0
    return min(CLASSES - 1, math.ceil(2 * math.log2(seconds * 1000)))


def note(
    kind: str, operation: str, seconds: float, tally: Tally, *,
    user_id: int | None = None, view_id: int | None = None, failed: bool = False,
) -> None:  # fmt: skip
    """Add one operation that took so long; nothing where this process keeps no timings."""
    if not _held.keeps:
        return
    if kind in WAITED_FOR and seconds > settings().slow_request_seconds:
        log.warning("slow: %s %s", kind, operation, extra={
            "route": operation, "seconds": round(seconds, 3), "database_seconds": round(tally.seconds, 3),
            "statements": tally.statements, "person_id": user_id,
        })  # fmt: skip
    key = (kind, operation, user_id or NOBODY, view_id or NOBODY)
    place = (key, class_of(seconds))
    with _held.lock:
        sums = _held.sums.get(place)
        if sums is None:
            if len(_held.sums) >= MOST:
                return
            sums = _held.sums[place] = [0, 0.0, 0.0, 0, 0, 0, 0.0]
        sums[0] += 1
        sums[1] += seconds
        if seconds > sums[2]:
            sums[2] = seconds
        sums[3] += failed
        sums[4] += tally.rows
        sums[5] += tally.statements
        sums[6] += tally.seconds
        total = _held.totals.setdefault((kind, operation), [0.0, 0.0, 0.0, 0.0, 0.0])
        for place_of, number in enumerate((1, seconds, failed, tally.statements, tally.seconds)):
            total[place_of] += number
        for statement, (times, took) in tally.by_statement.items():
            known = _held.statements.get((statement, key))
            if known is not None:
                known[0] += times
                known[1] += took
            elif len(_held.statements) < MOST:
                _held.statements[statement, key] = [times, took]
        if seconds > SLOW and len(_held.slow) < MOST_SLOW:
            _held.slow.append((*key, seconds, tally.rows, tally.statements, tally.seconds, time.time()))


def totals() -> dict[tuple[str, str], Total]:
    """By kind and operation, for who adds up what several processes tell."""
    with _held.lock:
        return {key: Total(*numbers) for key, numbers in _held.totals.items()}


@contextmanager
def timed(kind: str, operation: str, *, user_id: int | None = None, view_id: int | None = None) -> Iterator[Tally]:
    """Time the block as one operation, with what it asks of the database."""
    tally = Tally()
    told, began, failed = TALLY.set(tally), time.perf_counter(), False
    try:
        yield tally
    except Exception:
        failed = True
        raise
    finally:
        TALLY.reset(told)
        seconds = time.perf_counter() - began
        note(kind, operation, seconds, tally, user_id=user_id, view_id=view_id, failed=failed)


@contextmanager
def keeping() -> Iterator[None]:
    """While this lasts the process keeps timings, and a thread writes them; at the end all are written."""
    stopped = threading.Event()
    thread = threading.Thread(target=_write_until, args=[stopped], name="timings", daemon=True)
    with _held.lock:
        _held.keeps += 1
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        with _held.lock:
            _held.keeps -= 1
        _try_to_write(logging.INFO)  # where the database is gone, the work has told so


def write() -> None:
    """Write what is held. What could not be written is lost: it would grow while the database is away."""
    with _held.lock:
        sums, statements, slow = _held.sums, _held.statements, _held.slow
        _held.clear()
    by_fingerprint: dict[tuple[str, Key], list[float]] = {}
    for (statement, key), (times, took) in statements.items():
        known = by_fingerprint.setdefault((fingerprint(statement), key), [0, 0.0])
        known[0] += times
        known[1] += took
    if not sums and not slow:
        return
    with engine().begin() as connection:
        if sums:
            rows = [(*key, of, *numbers) for (key, of), numbers in sorted(sums.items())]
            connection.execute(_ADD_SUMS, _columns(rows))
        if by_fingerprint:
            rows = [(mark, *key, *numbers) for (mark, key), numbers in sorted(by_fingerprint.items())]
            connection.execute(_ADD_STATEMENTS, _columns(rows))
        if slow:
            now = time.time()
            connection.execute(_ADD_SLOW, _columns([(*one[:-1], now - one[-1]) for one in slow]))


def clear_past(older_than_days: int) -> int:
    """Forget those of longer ago; how many rows."""
    before = func.clock_timestamp() - timedelta(days=older_than_days)
    return (
        delete_in_batches(Timing, Timing.hour < before)
        + delete_in_batches(SlowOperation, SlowOperation.at < before)
        + delete_in_batches(StatementTiming, StatementTiming.day < func.current_date() - older_than_days)
    )


# PostgreSQL counts true, false and null among the values, unless IS stands before them, and what EXTRACT takes.
VALUES = re.compile(
    r"'(?:[^']|'')*'|%\(\w+\)s|\$\d+|%s|\b\d+(?:\.\d+)?\b|(?<!\bis )(?<!\bnot )\b(?:true|false|null)\b"
    r"|(?<=\bextract\()\w+(?= from\b)",
    re.IGNORECASE,
)
COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
LISTS = re.compile(r"\?(?:\s*,\s*\?)+")
BLANKS = re.compile(r"\s+")


@lru_cache(maxsize=2 * MOST)
def fingerprint(statement: str) -> str:
    """The same for a statement as we send it and as pg_stat_statements shows it: both without any value."""
    bare = VALUES.sub("?", BLANKS.sub(" ", COMMENTS.sub(" ", statement)))
    plain = LISTS.sub("?", bare).replace("? )", "?)").strip().rstrip("; ")
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def _write_until(stopped: threading.Event) -> None:
    while not stopped.wait(EVERY):
        _try_to_write()


def _try_to_write(level: int = logging.WARNING) -> None:
    try:
        write()
    except Exception:  # the thread must outlive whatever one batch meets
        log.log(level, "timings of the last seconds could not be written", exc_info=True)


def _columns(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {f"c{number}": list(column) for number, column in enumerate(zip(*rows, strict=True))}


# Hours and days are those of UTC and of the database's clock. Rows come in one order, so that two processes that add to
# the same ones never wait for each other.
_ADD_SUMS = sql(
    """
    INSERT INTO timings AS held (hour, kind, operation, user_id, view_id, class, times, seconds, slowest, failed, rows,
        statements, statement_seconds)
    SELECT date_trunc('hour', clock_timestamp(), 'UTC'), given.* FROM unnest(
        cast(:c0 AS text[]), cast(:c1 AS text[]), cast(:c2 AS int[]), cast(:c3 AS int[]), cast(:c4 AS smallint[]),
        cast(:c5 AS bigint[]), cast(:c6 AS float8[]), cast(:c7 AS float8[]), cast(:c8 AS bigint[]),
        cast(:c9 AS bigint[]), cast(:c10 AS bigint[]), cast(:c11 AS float8[])) AS given
    ON CONFLICT (hour, kind, operation, user_id, view_id, class) DO UPDATE SET
        times = held.times + excluded.times, seconds = held.seconds + excluded.seconds,
        slowest = greatest(held.slowest, excluded.slowest), failed = held.failed + excluded.failed,
        rows = held.rows + excluded.rows, statements = held.statements + excluded.statements,
        statement_seconds = held.statement_seconds + excluded.statement_seconds
    """
)
_ADD_STATEMENTS = sql(
    """
    INSERT INTO statement_timings AS held (day, fingerprint, kind, operation, user_id, view_id, times, seconds)
    SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date, given.* FROM unnest(
        cast(:c0 AS text[]), cast(:c1 AS text[]), cast(:c2 AS text[]), cast(:c3 AS int[]), cast(:c4 AS int[]),
        cast(:c5 AS bigint[]), cast(:c6 AS float8[])) AS given
    ON CONFLICT (day, fingerprint, kind, operation, user_id, view_id) DO UPDATE SET
        times = held.times + excluded.times, seconds = held.seconds + excluded.seconds
    """
)
_ADD_SLOW = sql(
    """
    INSERT INTO slow_operations (at, kind, operation, user_id, view_id, seconds, rows, statements, statement_seconds)
    SELECT clock_timestamp() - make_interval(secs => given.ago), kind, operation, user_id, view_id, seconds, rows,
        statements, statement_seconds
    FROM unnest(
        cast(:c0 AS text[]), cast(:c1 AS text[]), cast(:c2 AS int[]), cast(:c3 AS int[]), cast(:c4 AS float8[]),
        cast(:c5 AS bigint[]), cast(:c6 AS bigint[]), cast(:c7 AS float8[]), cast(:c8 AS float8[]))
        AS given (kind, operation, user_id, view_id, seconds, rows, statements, statement_seconds, ago)
    """
)
