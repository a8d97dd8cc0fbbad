"""Deleting many rows in pieces, each a transaction of its own: none holds its locks for long, what a killed process
deleted stays deleted, and what others read meanwhile keeps nothing of all the rest from being cleared away."""

from typing import Any

from sqlalchemy import CursorResult, Select, Table, delete, func, literal_column, select
from sqlalchemy.sql.elements import ColumnElement

from models.database import Base, writing
from models.permissions import OPERATOR

ROWS = 10_000


def delete_in_batches(model: type[Base], where: ColumnElement[bool], *, most: int | None = None) -> int:
    """Delete the rows of `where`, `most` (else ROWS) at once; returns how many. For what counts for nothing any more:
    it writes no audit line."""
    total = 0
    while number := _delete_some(model, where, most or ROWS):
        total += number
    return total


def _delete_some(model: type[Base], where: ColumnElement[bool], most: int) -> int:
    table = model.__table__
    assert isinstance(table, Table)
    with writing(OPERATOR) as session:
        gone: CursorResult[Any] = session.connection().execute(delete(table).where(some_of(table, where, most)))
        return gone.rowcount


def some_of(table: Table, where: ColumnElement[bool], most: int) -> ColumnElement[bool]:
    """The condition for the first `most` rows found: by where they lie, so that each batch reads no more than those."""
    places: Select[Any] = select(literal_column(f"{table.name}.ctid")).select_from(table).where(where).limit(most)
    return literal_column(f"{table.name}.ctid") == func.any(func.array(places.scalar_subquery()))
