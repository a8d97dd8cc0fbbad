"""When numbers of contacts are still what they were: `contacts_clock` moves with every statement that changes them.

It moves before the change can be seen, and not with it. So a number read while nobody was changing anything holds for
as long as the clock stands still; one read while somebody was may miss what becomes visible without another move.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.database import engine

MOST_KEPT = 2000  # numbers
READ = text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM contacts_clock")
# Industries and users give contacts what people filter by. Whoever writes has such a lock until the change is visible.
WRITING = text(
    """SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'relation' AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND relation = ANY (ARRAY['contacts', 'industries', 'users']::regclass[])
       AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))"""
)


@dataclass(frozen=True)
class Moment:
    """`quiet` says that nobody was changing contacts: what is read from now on holds while the clock stands at `at`."""

    at: int
    quiet: bool


def moment() -> Moment:
    """The clock first and the locks after it, neither of them on a snapshot: whoever takes a lock later moves the clock
    beyond `at`, and whoever let go of one before has changed what can be seen by then."""
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        at = connection.scalar(READ) or 0
        return Moment(at, not connection.scalar(WRITING))


class Kept:
    """Numbers by what was asked, each for as long as it is exact."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, asked: Hashable, session: Session) -> int | None:
        """The number as the session's snapshot has it, which was taken before this; None where none is kept."""
        with self._lock:
            at, number = self._numbers.get(asked, (None, None))
        return number if at is not None and session.scalar(READ) == at else None

    def get_all(self, asked: Sequence[Hashable], session: Session) -> list[int | None]:
        """`get` for each of them, with one look at the clock."""
        now = session.scalar(READ)
        with self._lock:
            known = [self._numbers.get(one, (None, 0)) for one in asked]
        return [number if at is not None and at == now else None for at, number in known]

    def put(self, asked: Hashable, number: int, before: Moment) -> None:
        """`before` is a moment before the snapshot on which the number was read."""
        if not before.quiet:
            return
        with self._lock:
            self._numbers[asked] = (before.at, number)
            self._numbers.move_to_end(asked)
            if len(self._numbers) > MOST_KEPT:
                self._numbers.popitem(last=False)
