import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from models import database
from models.database import reading, writing
from models.errors import TooSlow
from models.permissions import OPERATOR

SLOW = text("SELECT pg_sleep(1.5)")


def test_with_patience_a_slow_question_is_stopped(db: str) -> None:
    database.bind(db, patience=1)
    with pytest.raises(TooSlow, match="longer than 1 seconds and was stopped"), reading() as session:
        session.execute(SLOW)
    with reading() as session:  # the next one has the connection, and all of its time
        assert session.scalar(text("SELECT 7")) == 7


def test_a_change_is_not_stopped(db: str) -> None:
    database.bind(db, patience=1)
    with writing(OPERATOR) as session:
        session.execute(SLOW)


def test_without_patience_nothing_is_stopped_by_itself(db: str) -> None:
    with reading() as session:
        assert session.scalar(text("SHOW statement_timeout")) == "0"
        session.execute(text("SET LOCAL statement_timeout = '100ms'"))
        with pytest.raises(OperationalError):
            session.execute(SLOW)
