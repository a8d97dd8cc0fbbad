"""How many requests a person's programs made in this hour, counted in the database so that it holds over instances.

An instance takes a few at a time, and fewer the nearer the limit is: what it has taken and never needs counts, so that
all instances together never allow more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, Integer, delete, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base, engine, writing
from models.permissions import OPERATOR

HOUR = timedelta(hours=1)


class RequestHour(Base):
    __tablename__ = "request_hours"

    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    taken: Mapped[int]

    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012  # as SQLAlchemy reads it


@dataclass(frozen=True)
class Taken:
    """`granted` requests may be made; with them `taken` are of the hour, which ends in so many `seconds`."""

    granted: int
    taken: int
    seconds: float


# Of what was there before the statement each look sees the same; the row itself is read anew where another one had it.
_TAKE = text(
    """
    WITH hour AS (
        SELECT date_trunc('hour', clock_timestamp()) AS began_at,
               extract(epoch FROM date_trunc('hour', clock_timestamp()) + interval '1 hour' - clock_timestamp()) AS ends
    ), held AS (
        INSERT INTO request_hours SELECT :user, began_at, 0 FROM hour ON CONFLICT DO NOTHING
    )
    SELECT ends FROM hour
    """
)
_ADD = text(
    """
    WITH before AS (
        SELECT began_at, taken FROM request_hours
        WHERE user_id = :user AND began_at = date_trunc('hour', clock_timestamp()) FOR UPDATE
    )
    UPDATE request_hours h SET taken = least(before.taken + :wanted, greatest(before.taken, :limit)) FROM before
    WHERE h.user_id = :user AND h.began_at = before.began_at
    RETURNING h.taken - before.taken AS granted, h.taken
    """
)


def take(user_id: int, *, wanted: int, limit: int) -> Taken:
    """At most `wanted` of the `limit` requests of this hour. A transaction of its own, which waits for no disk: what a
    crash of the server forgets is at most the hour."""
    of = {"user": user_id, "wanted": wanted, "limit": limit}
    with engine().begin() as connection:
        connection.execute(text("SET LOCAL synchronous_commit = off"))
        ends = connection.execute(_TAKE, of).scalar_one()
        found = connection.execute(_ADD, of).one_or_none()
    if found is None:  # the hour ended between the two
        return take(user_id, wanted=wanted, limit=limit)
    return Taken(found.granted, found.taken, float(ends))


def clear_past() -> None:
    """Forget the hours that are over."""
    with writing(OPERATOR) as session:
        session.execute(delete(RequestHour).where(RequestHour.began_at < func.clock_timestamp() - 2 * HOUR))
