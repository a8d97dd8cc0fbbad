"""How often something may be asked for, counted in the database so that it holds over instances."""

from datetime import datetime, timedelta

from sqlalchemy import DateTime, Text, delete, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base, writing
from models.permissions import NOBODY, OPERATOR


class RequestLimit(Base):
    """The generic cell rate algorithm needs one moment for each key: when the next request would be due."""

    __tablename__ = "request_limits"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012  # as SQLAlchemy reads it


# GCRA: each request moves the due moment on by `every`; the next one is allowed while it is at most `burst` ahead. One
# that is further ahead than any request moves it is of a clock that was put back, and does not count.
_TAKE = text(
    """
    WITH taken AS (
        INSERT INTO request_limits AS held (key, due_at) VALUES (:key, clock_timestamp() + :every)
        ON CONFLICT (key) DO UPDATE SET due_at = :every +
            CASE WHEN held.due_at <= clock_timestamp() + :burst THEN greatest(held.due_at, clock_timestamp())
            ELSE clock_timestamp() END
        WHERE held.due_at <= clock_timestamp() + :burst OR held.due_at > clock_timestamp() + :burst + :every
        RETURNING 1)
    SELECT EXISTS (SELECT FROM taken) AS allowed,
           (SELECT due_at - :burst - clock_timestamp() FROM request_limits WHERE key = :key) AS wait
    """
)


def take(key: str, *, times: int, within: timedelta) -> timedelta | None:
    """Count one request for `key`; None where it is allowed, else how long to wait for the next that is.

    `times` may come at once; after them one each `within / times`. Counted in a transaction of its own.
    """
    every = within / times
    with writing(NOBODY) as session:
        found = session.execute(_TAKE, {"key": key, "every": every, "burst": within - every}).one()
    if found.allowed:
        return None
    return max(found.wait or every, timedelta(seconds=1))  # the row may be younger than what this statement sees


def clear_past() -> None:
    """Forget the keys for which nobody has to wait any more."""
    with writing(OPERATOR) as session:
        session.execute(delete(RequestLimit).where(RequestLimit.due_at < func.clock_timestamp()))
