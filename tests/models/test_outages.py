"""Which errors mean that the database is away."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models import outages
from models.database import reading


def error_of(statement: str, **values: object) -> DBAPIError:
    with pytest.raises(DBAPIError) as caught, reading() as session:
        session.execute(text(statement), values)
    return caught.value


def test_a_connection_that_is_ended_is(db: str) -> None:
    assert outages.is_away(error_of("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.parametrize("statement", ["SELECT 1 / 0", "SELECT FROM nowhere", "SELECT :value"])
def test_one_of_a_statement_is_not(db: str, statement: str) -> None:
    """Nor one of the driver, which takes no zero byte."""
    assert not outages.is_away(error_of(statement, value="a\0b"))
