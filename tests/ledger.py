"""The ledger of credits as no program has it: open for tests that set it back or empty it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.database import writing
from models.permissions import OPERATOR


@contextmanager
def unlocked() -> Iterator[Session]:
    """A transaction in which the ledger can be changed."""
    with writing(OPERATOR) as session:
        session.execute(text("ALTER TABLE credit_entries DISABLE TRIGGER USER"))
        yield session
        session.execute(text("ALTER TABLE credit_entries ENABLE TRIGGER USER"))


def forget() -> None:
    """No exports, and nobody has taken anything."""
    with unlocked() as session:
        for table in ("credit_takings", "credit_entries", "exports"):
            session.execute(text(f"DELETE FROM {table}"))


def a_month_back() -> None:
    """As if all exports and entries were of the month before."""
    with unlocked() as session:
        for statement in (
            "UPDATE credit_entries SET month = month - interval '1 month', at = at - interval '1 month'",
            "UPDATE exports SET created_at = created_at - interval '1 month'",
            "UPDATE credit_takings SET month = month - interval '1 month'",
        ):
            session.execute(text(statement))
