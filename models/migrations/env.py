"""Alembic's entry. `migrate.upgrade(url)` hands the connection over; the command line uses the bound settings."""

from alembic import context

from models.database import Base
from models.migrations import every_table  # noqa: F401  # registers the tables with Base.metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
