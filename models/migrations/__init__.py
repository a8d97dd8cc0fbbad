"""Schema versions. `upgrade(url)` brings a database to the newest; safe to run twice at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from models.database import MIGRATIONS_LOCK, sqlalchemy_url

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
    """Run what is missing, in one transaction."""
    from alembic import command

    engine = create_engine(sqlalchemy_url(url))
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATIONS_LOCK})
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
    engine.dispose()
