"""The indexes that serve browsing alone. Searches find the same without them, only later."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import ProgramLimitExceeded
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateIndex

from models.contacts.table import Contact
from models.database import BROWSING_LOCK, engine

INDEXES = {
    str(index.name): index
    for index in Contact.metadata.tables[Contact.__tablename__].indexes
    if index.info.get("browsing")
}

log = logging.getLogger(__name__)
_impossible: set[str] = set()


def ensure_indexes() -> list[str]:
    """Build those that are missing, beside everything else that goes on; returns their names.

    A first load leaves them out, and a process that dies while it builds leaves an invalid one, which is built anew.
    While another process is at it, there is nothing to do here.
    """
    with _alone() as connection:
        if connection is None:
            return []
        missing = _missing(connection)
        if missing:
            # An index answers alone only for pages that vacuum has seen, and none of a first load is.
            connection.execute(text("VACUUM contacts"))
        built = [name for name in missing if _build(connection, name)]
        if built:
            connection.execute(text("ANALYZE contacts, industries, users"))
        _merge(connection)
    return built


@contextmanager
def _alone() -> Iterator[Connection | None]:
    """A connection whose statements commit each by itself; None where another one does this work.

    It never waits for the other: building an index waits for whoever waits.
    """
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        lock = {"lock": BROWSING_LOCK}
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), lock):
            yield None
            return
        try:
            yield connection
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), lock)


def _missing(connection: Connection) -> list[str]:
    """By name, after dropping those that were not built to their end."""
    found = connection.execute(
        text(
            """SELECT c.relname AS name, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
               WHERE i.indrelid = 'contacts'::regclass AND c.relname = ANY(:names)"""
        ),
        {"names": list(INDEXES)},
    ).all()
    for row in found:
        if not row.valid:
            connection.execute(text(f"DROP INDEX CONCURRENTLY {row.name}"))
    return sorted(INDEXES.keys() - _impossible - {row.name for row in found if row.valid})


def _build(connection: Connection, name: str) -> bool:
    """False where a value that older versions let in is too long for it; it is not tried again."""
    definition = str(CreateIndex(INDEXES[name]).compile(dialect=connection.dialect))
    log.info("building the index %s", name)
    try:
        connection.execute(text(definition.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1)))
    except OperationalError as error:
        if not isinstance(error.orig, ProgramLimitExceeded):
            raise
        log.warning("the index %s is left out: %s", name, error.orig)
        connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        _impossible.add(name)
        return False
    return True


def _merge(connection: Connection) -> None:
    """Bring what imports added to the GIN indexes from their pending lists, which every search reads whole."""
    connection.execute(
        text(
            """SELECT gin_clean_pending_list(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
               JOIN pg_am m ON m.oid = c.relam
               WHERE i.indrelid = 'contacts'::regclass AND m.amname = 'gin' AND i.indisvalid"""
        )
    )
