"""Answers about contacts that are kept, in each process its own, and given again only while they are exact.

Every transaction that changes what such answers depend on (contacts, their history, the names of industries and people,
which imports are over) leaves a row in `contact_moves`, by triggers. The row becomes visible together with the change,
neither before nor after it. So an answer that was read when there were so many moves is the answer of every snapshot
that has as many, and whoever wants it asks for their number first: one small statement. A long import changes nothing
that anybody sees until it commits, and what is kept is exact until that moment.

Notifications (kept_listener.py) only free memory sooner: an answer is never given on the word that nothing was heard.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from psycopg import Connection as DriverConnection
from sqlalchemy import BigInteger, DateTime, Identity, Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import MOVES_LOCK, Base, Database, asked, engine
from models.filters import visible_fields
from models.permissions import Actor, Permission

T = TypeVar("T")
MOST_ROWS = 500  # of contact_moves, from which on they are added up
# All rows are those from here on: the others are in a sum. They are found by the index, past what somebody's long
# snapshot keeps the server from clearing away.
_FIRST = """coalesce((SELECT max(ended_before) FROM contact_moves
    WHERE ended_before IS NOT NULL AND server_began = pg_postmaster_start_time()), 0)"""
# Another server, another database under the same name, and a dump that was restored have moves of their own. What is
# new in a week, or lies in the future, changes by itself at the midnight of UTC.
MOMENT = f"""SELECT coalesce(sum(moves), 0)::bigint AS moves, count(*) AS rows,
    (now() AT TIME ZONE 'UTC')::date AS today, pg_postmaster_start_time() AS server_began,
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
    'contact_moves'::regclass::oid::bigint AS counted_in
    FROM contact_moves WHERE written_in >= {_FIRST}"""
_OF_SESSION = text(MOMENT)
# A statement before the other, whose snapshot then has the sum of whoever added up last.
_MAY_ADD_UP = f"SELECT pg_try_advisory_xact_lock({MOVES_LOCK})"
# What is taken away is put back in one row. Whoever has not ended by then comes after its `ended_before`.
_ADD_UP = f"""WITH gone AS (DELETE FROM contact_moves WHERE written_in >= {_FIRST} RETURNING moves)
    INSERT INTO contact_moves (moves, ended_before, server_began)
    SELECT sum(moves), pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_postmaster_start_time()
    FROM gone HAVING count(*) > 0"""


class ContactMove(Base):
    """A transaction that changed what numbers of contacts are of, written by triggers alone; or several, added up: all
    up to `ended_before`, a number of the server that began then, and some after it."""

    __tablename__ = "contact_moves"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    moves: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    written_in: Mapped[int] = mapped_column(BigInteger, server_default=text("(pg_current_xact_id()::text::bigint)"))
    ended_before: Mapped[int | None] = mapped_column(BigInteger)
    server_began: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("contact_moves_written", "written_in"),
        Index("contact_moves_sums", "ended_before", postgresql_where=text("ended_before IS NOT NULL")),
    )


@dataclass(frozen=True)
class Moment:
    """What decides an answer besides the question, as one snapshot has it."""

    moves: int
    where: tuple[str | None, int, datetime, int]  # the database, its server, and the table of the moves
    today: date  # by UTC

    def is_at(self, other: "Moment | None") -> bool:
        """Whether what was read at the other moment, or after it, answers who asks from this moment on. Moves are never
        fewer in a later snapshot: with more of them it was read after this."""
        return (
            other is not None and (other.where, other.today) == (self.where, self.today) and other.moves >= self.moves
        )


def moment() -> Moment:
    """The present one, in a statement of its own."""
    [row] = asked(MOMENT, {})
    if row.rows > MOST_ROWS:
        with engine().begin() as connection:
            driver: Any = connection.connection.driver_connection
            add_up(driver)
    return moment_told(row)


def add_up(connection: DriverConnection[Any]) -> None:
    """Of the rows make one, unless another process is at it. In a transaction whose statements see what others commit
    between them."""
    taken = connection.execute(_MAY_ADD_UP.encode()).fetchone()
    if taken and taken[0]:
        connection.execute(_ADD_UP.encode())


def moment_of(session: Session) -> Moment:
    """That of the session's snapshot: what the session reads is exactly of it."""
    return moment_told(session.execute(_OF_SESSION).one())


def moment_told(row: Any) -> Moment:
    """`row` is one of MOMENT, asked of the bound database."""
    return Moment(row.moves, (Database.url, row.database, row.server_began, row.counted_in), row.today)


def sight(by: Actor) -> Hashable:
    """What decides a person's answer, besides the question: the columns, and what they may (with as few scopes as their
    token has). Without it one person would be given what another one sees."""
    rights = frozenset(one for one in Permission if by.may(one))
    return rights, by.columns is None, tuple(visible_fields(by))


@dataclass(frozen=True)
class Tally:
    """Since the process began: how often an answer was there, and how often it had to be read. `kept`: now."""

    hits: int
    misses: int
    kept: int


@dataclass
class _Answer:
    """`value` is of the moment `at` or later; `lock` is held by who reads it: others wait for that, and read not."""

    at: Moment | None = None
    value: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Kept(Generic[T]):
    """The answers to one kind of question, `most` of them: those that were asked for last. Whoever is given one must
    not change it."""

    def __init__(self, name: str, most: int) -> None:
        self.name, self.most = name, most
        self.hits = self.misses = 0
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._lock = threading.Lock()
        _all[name] = self

    def answer(self, question: Hashable, read: Callable[[], T], *, by: Actor) -> T:
        """What `read` gives, or gave, where it would give the same again. It asks the database on snapshots of its own,
        with the eyes of `by`. Raises what it raises, and keeps nothing then."""
        wanted = moment()
        one = self._of((question, sight(by)))
        with one.lock:
            if wanted.is_at(one.at):
                return self._hit(one.value)
            # The moment before the answer: where moves come while it is read, nobody is given it again.
            before = moment() if one.at else wanted
            self.misses += 1
            one.value, one.at = read(), before
            value: T = one.value
            return value

    def get(self, question: Hashable, at: Moment) -> T | None:
        """The answer of that very snapshot; None where none is kept."""
        [found] = self.get_all([question], at)
        return found

    def get_all(self, questions: Iterable[Hashable], at: Moment) -> list[T | None]:
        with self._lock:
            known = [self._answers.get(one) for one in questions]
        found = [one.value if one is not None and one.at == at else None for one in known]
        self.hits += sum(one is not None for one in found)
        self.misses += sum(one is None for one in found)
        return found

    def put(self, question: Hashable, value: T, at: Moment) -> None:
        """`at` is the moment of the snapshot on which it was read."""
        with self._lock:
            self._answers[question] = _Answer(at, value)
            self._trim(question)

    def forget(self, question: Hashable, *, by: Actor) -> None:
        """One that is not to be given again, though nothing moved."""
        with self._lock:
            self._answers.pop((question, sight(by)), None)

    def drop(self, now: Moment | None = None) -> None:
        """Those of another moment; without one all of them."""
        with self._lock:
            for question, one in list(self._answers.items()):
                is_over = now is None or not now.is_at(one.at)
                if is_over and not one.lock.locked():
                    del self._answers[question]

    def tally(self) -> Tally:
        return Tally(self.hits, self.misses, len(self._answers))

    def _hit(self, value: T) -> T:
        self.hits += 1
        return value

    def _of(self, question: Hashable) -> _Answer:
        with self._lock:
            one = self._answers.setdefault(question, _Answer())
            self._trim(question)
            return one

    def _trim(self, used: Hashable) -> None:
        self._answers.move_to_end(used)
        if len(self._answers) > self.most:
            self._answers.popitem(last=False)


_all: dict[str, Kept[Any]] = {}


def tallies() -> dict[str, Tally]:
    """Of each kind of question that this process keeps answers to."""
    return {name: one.tally() for name, one in _all.items()}


def drop(now: Moment | None = None) -> None:
    """Of every kind, what is of another moment; without one all of it."""
    for one in list(_all.values()):
        one.drop(now)
