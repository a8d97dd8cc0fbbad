"""Schema versions. `upgrade(url)` brings a database to the newest; safe to run twice at once.

Programs of two versions run beside each other while one replaces the other, and the older one comes back where the
newer one fails. So a version first expands the schema, by what the program before does without, and only a later one
contracts it, when no program uses that any more. From RULED on each version says with `serves_from` which is the oldest
program that can run on it; that stands on the database, so that a program knows it of versions that came after it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from models.database import MIGRATIONS_LOCK, sqlalchemy_url
from models.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent
RULED = "0024"  # the first version whose program looks for `serves_from`
LOCK_PATIENCE = "2s"  # for a table, in which all who ask for it wait, too
PAUSE = 3.0  # seconds in which they go on
TABLES_WITHIN = 600.0  # seconds
SERVES = "Serves programs from schema "  # in the comment of Alembic's table, before that version


def config() -> Config:
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(FOLDER))
    return settings


def newest() -> str:
    """The newest version's number. The files carry it in front of their names (see `[tool.alembic]`)."""
    return max(file.name.partition("_")[0] for file in (FOLDER / "versions").glob("[0-9]*_*.py"))


def fits(engine: Engine) -> bool:
    """Whether this program can run on the database's schema: its own newest version, or a later one that serves it.

    Without Alembic; False also where the database does not answer."""
    try:
        with engine.connect() as connection:
            return _fits(connection)
    except DBAPIError:  # no such table, no such database, no server: `upgrade` mends it, or says what is wrong
        return False


def stored(engine: Engine) -> str:
    """The version of the database's schema, which is one that was migrated."""
    with engine.connect() as connection:
        return str(connection.scalars(text("SELECT version_num FROM alembic_version")).one())


def upgrade(url: str) -> None:
    """Run what is missing, in one transaction; nothing where a newer version serves this program.

    It waits for tables in use, a little at a time: who asks for one queues behind who waits to change it.
    Raises Conflict where a newer program has been here, and left a schema that does not; Unavailable where a table was
    in use for TABLES_WITHIN seconds.
    """
    engine = create_engine(sqlalchemy_url(url))
    deadline = time.monotonic() + TABLES_WITHIN
    try:
        while not _upgraded(engine):
            if time.monotonic() > deadline:
                raise Unavailable(
                    "The tables that have to be changed were in use all the time. Run it again when what works on them "
                    "is over: `appointment360 jobs` shows it. Nothing was changed."
                )
            time.sleep(PAUSE)
    finally:
        engine.dispose()


def serves_from() -> str:
    """Which version the oldest program knows that can run on the newest schema."""
    from alembic.script import ScriptDirectory

    newest_one = ScriptDirectory.from_config(config()).get_revision(newest())
    assert newest_one is not None
    return str(getattr(newest_one.module, "serves_from", newest_one.revision))


def _upgraded(engine: Engine) -> bool:
    """False where a table was in use for LOCK_PATIENCE, or by what waited for this in turn: the server ends one of the
    two then, after its `deadlock_timeout`."""
    from alembic import command  # half a second, which a command on a current database need not pay

    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATIONS_LOCK})
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_PATIENCE}'"))
            if inspect(connection).has_table("alembic_version"):
                if _fits(connection):
                    return True
                _require_known(connection)
            settings = config()
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
            connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{SERVES}{serves_from()}'"))
    except (LockNotAvailable, DeadlockDetected):  # versions use the driver itself
        return False
    return True


def _fits(connection: Connection) -> bool:
    """Raises DBAPIError where there is no such table."""
    found = connection.execute(
        text("SELECT version_num, obj_description('alembic_version'::regclass) AS comment FROM alembic_version")
    ).all()
    if len(found) != 1:
        return False
    [(version, comment)] = found
    serves, _, oldest = (comment or "").partition(SERVES)
    return version == newest() or (version > newest() and not serves and "" < oldest <= newest())


def _require_known(connection: Connection) -> None:
    for version in connection.scalars(text("SELECT version_num FROM alembic_version")):
        if not any((FOLDER / "versions").glob(f"{version}_*.py")):
            raise Conflict(
                f"The database has the schema {version}, and this program knows those up to {newest()}: a newer "
                "version of the program was here, which left nothing that this one could run on. Run that one, or "
                "restore a backup from before into another database."
            )
