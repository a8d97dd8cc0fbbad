"""How many requests a person's programs made in this hour, counted in the database so that it holds over instances.

An instance takes some at a time, one by one near the limit, and gives back those that it does not need: all instances
together never allow more than the limit, and soon not less.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, Integer, delete, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base, engine, writing
from models.permissions import OPERATOR

HOUR = timedelta(hours=1)


class RequestHour(Base):
    """`granted` is what the last one who asked got."""

    __tablename__ = "request_hours"

    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    taken: Mapped[int]
    granted: Mapped[int]

    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012  # as SQLAlchemy reads it


@dataclass(frozen=True)
class Taken:
    """`granted` requests may be made; with them `taken` are of the hour that began at `began_at` and ends in so many
    `seconds`."""

    granted: int
    taken: int
    began_at: datetime
    seconds: float


# The row is locked by the conflict, and read as whoever had it before left it: no two get the same requests. Hours are
# those of UTC: in the server's own zone two connections might count in different ones.
_TAKE = text(
    """
    INSERT INTO request_hours AS held (user_id, began_at, taken, granted)
    VALUES (:user, date_trunc('hour', clock_timestamp(), 'UTC'), 1, 1)
    ON CONFLICT (user_id, began_at) DO UPDATE SET (taken, granted) = (
        SELECT held.taken + more, more FROM (
            SELECT CASE WHEN held.taken + :at_once <= :limit - :near THEN :at_once
                        WHEN held.taken < :limit THEN 1 ELSE 0 END AS more) AS granting)
    RETURNING granted, taken, began_at,
        extract(epoch FROM began_at + interval '1 hour' - clock_timestamp())::float AS seconds
    """
)
_GIVE_BACK = text("UPDATE request_hours SET taken = taken - :number WHERE user_id = :user AND began_at = :began_at")


def take(user_id: int, *, at_once: int, near: int, limit: int) -> Taken:
    """One request of the `limit` of this hour, or `at_once` where they leave more than the last `near`; none where all
    are taken. The table is not logged, so that no disk is waited for: a crash of the server forgets at most the hour.
    """
    asked = {"user": user_id, "at_once": at_once, "near": near, "limit": limit}
    with engine().begin() as connection:
        found = connection.execute(_TAKE, asked).one()
    return Taken(found.granted, found.taken, found.began_at, found.seconds)


def give_back(user_id: int, began_at: datetime, number: int) -> None:
    """So many of the requests that were taken in that hour were not made."""
    with engine().begin() as connection:
        connection.execute(_GIVE_BACK, {"user": user_id, "began_at": began_at, "number": number})


def clear_past() -> None:
    """Forget the hours that are over."""
    with writing(OPERATOR) as session:
        session.execute(delete(RequestHour).where(RequestHour.began_at < func.clock_timestamp() - 2 * HOUR))
