"""Schema versions. `upgrade(url)` brings a database to the newest; safe to run twice at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from models.database import MIGRATIONS_LOCK, sqlalchemy_url
from models.errors import Conflict

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent


def config() -> Config:
    from alembic.config import Config  # half a second, which a command on a current database need not pay

    settings = Config()
    settings.set_main_option("script_location", str(FOLDER))
    return settings


def newest() -> str:
    """The newest version's number. The files carry it in front of their names (see `[tool.alembic]`)."""
    return max(file.name.partition("_")[0] for file in (FOLDER / "versions").glob("[0-9]*_*.py"))


def is_current(engine: Engine) -> bool:
    """Whether the database is at the newest version, without Alembic; False also where it does not answer."""
    try:
        with engine.connect() as connection:
            stored = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    except DBAPIError:  # no such table, no such database, no server: `upgrade` mends it, or says what is wrong
        return False
    return list(stored) == [newest()]


def upgrade(url: str) -> None:
    """Run what is missing, in one transaction. Raises Conflict where a newer program has been here."""
    from alembic import command

    engine = create_engine(sqlalchemy_url(url))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATIONS_LOCK})
            _require_known(connection)
            settings = config()
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
    finally:
        engine.dispose()


def _require_known(connection: Connection) -> None:
    if not inspect(connection).has_table("alembic_version"):
        return
    for stored in connection.scalars(text("SELECT version_num FROM alembic_version")):
        if not any((FOLDER / "versions").glob(f"{stored}_*.py")):
            raise Conflict(
                f"The database has the schema {stored}, and this program knows those up to {newest()}: a newer version "
                "of the program was here. Run that one, or restore a backup from before into another database."
            )
