"""The database's servers that work on an import: marked with its number, so that whoever stops it finds them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from models.database import writing
from models.permissions import Actor

_OURS = "datname = current_database() AND application_name = :name AND pid <> pg_backend_pid()"


def name(import_id: int) -> str:
    """What they are called in pg_stat_activity."""
    return f"import-{import_id}"


@contextmanager
def working(import_id: int, by: Actor, *, writes_contacts: bool = False) -> Iterator[Session]:
    """`writing` for the process that works on the import, with its server marked."""
    with writing(by, import_id=import_id if writes_contacts else None) as session:
        session.execute(select(func.set_config("application_name", name(import_id), True)))
        yield session


def stop_statements(session: Session, import_id: int) -> None:
    """End whatever they execute just now; their transactions fail and are rolled back."""
    busy = f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {_OURS} AND state = 'active'"
    session.execute(text(busy), {"name": name(import_id)})


def end(session: Session, import_id: int) -> None:
    """End the servers themselves, also those that a killed process has left at work."""
    theirs = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OURS}"
    session.execute(text(theirs), {"name": name(import_id)})
