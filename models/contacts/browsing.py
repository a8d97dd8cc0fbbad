"""The indexes that served browsing before the mirror did, and cost every import. A program that is older than schema
0026 builds them again while it runs beside this one; a later version does without this."""

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from models.database import BROWSING_LOCK, engine

FORMER = ("contacts_browsed", "contacts_lists", "contacts_words")
PATIENCE = "1s"  # for the table, in which all who ask for it wait, too


def drop_former() -> list[str]:
    """Drop those that are there, also half built ones; returns their names. While they are being built, or something
    works on contacts for long, that is left to the next round."""
    with engine().begin() as connection:
        found = [name for name in FORMER if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name})]
        lock = {"lock": BROWSING_LOCK}  # who builds them holds it
        if not found or not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), lock):
            return []
        connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
        try:
            connection.execute(text(f"DROP INDEX IF EXISTS {', '.join(found)}"))
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise
            connection.rollback()
            return []
    return found
