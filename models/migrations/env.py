"""Alembic's entry. `migrations.upgrade(url)` hands its connection over; `alembic` itself connects to DATABASE_URL."""

from alembic import context
from sqlalchemy import Connection, create_engine

from models.database import Base, sqlalchemy_url
from models.migrations import every_table  # noqa: F401  # registers the tables with Base.metadata
from models.settings import settings


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


if "connection" in context.config.attributes:
    run(context.config.attributes["connection"])
elif url := settings().database_url:
    with create_engine(sqlalchemy_url(url.get_secret_value())).connect() as connection:
        run(connection)
else:
    raise SystemExit("Set DATABASE_URL to the database that Alembic is to look at.")
