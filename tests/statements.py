"""Every statement that the database is sent, by SQLAlchemy or past it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest


@contextmanager
def noted(sent: list[str]) -> Iterator[list[str]]:
    """Those of the block are put behind what `sent` holds, in order."""
    execute = psycopg.Cursor.execute

    def noting(cursor: Any, query: Any, *given: Any, **how: Any) -> Any:
        sent.append(query.decode() if isinstance(query, bytes) else str(query))
        return execute(cursor, query, *given, **how)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", noting)
        yield sent
