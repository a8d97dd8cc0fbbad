"""What an operation asks of the database while it runs: how many statements, which, how long, how many rows.

Whoever carries out an operation sets TALLY; every cursor of ours adds to it. It costs a statement about a microsecond,
and nothing where nobody counts.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

from psycopg import Copy, Cursor
from psycopg.sql import Composable

MOST = 200  # different statements that one operation tells apart


class Tally:
    """Shared by all threads that work for one operation: a number may miss one of two that end at the same moment."""

    __slots__ = ("by_statement", "rows", "seconds", "statements")

    def __init__(self) -> None:
        self.statements, self.seconds, self.rows = 0, 0.0, 0
        self.by_statement: dict[str, list[float]] = {}
        """Its text, with places for its values -> how many times, seconds."""

    def add(self, statement: object, seconds: float, rows: int) -> None:
        self.statements += 1
        self.seconds += seconds
        if rows > 0:
            self.rows += rows
        if isinstance(statement, Composable):
            statement = statement.as_string(None)
        if isinstance(statement, str):
            known = self.by_statement.get(statement)
            if known is not None:
                known[0] += 1
                known[1] += seconds
            elif len(self.by_statement) < MOST:
                self.by_statement[statement] = [1, seconds]


TALLY: ContextVar[Tally | None] = ContextVar("tally", default=None)


class TalliedCursor(Cursor[Any]):
    """psycopg's, which adds to the tally of the operation that uses it."""

    def execute(self, query: Any, params: Any = None, **given: Any) -> Self:
        tally = TALLY.get()
        if tally is None:
            return super().execute(query, params, **given)
        began = time.perf_counter()
        try:
            return super().execute(query, params, **given)
        finally:
            tally.add(query, time.perf_counter() - began, self.rowcount)

    def executemany(self, query: Any, params_seq: Any, **given: Any) -> None:
        tally = TALLY.get()
        if tally is None:
            super().executemany(query, params_seq, **given)
            return
        began = time.perf_counter()
        try:
            super().executemany(query, params_seq, **given)
        finally:
            tally.add(query, time.perf_counter() - began, self.rowcount)

    @contextmanager
    def copy(self, statement: Any, params: Any = None, **given: Any) -> Iterator[Copy]:
        tally, began = TALLY.get(), time.perf_counter()
        try:
            with super().copy(statement, params, **given) as copy:
                yield copy
        finally:
            if tally is not None:
                tally.add(statement, time.perf_counter() - began, self.rowcount)
