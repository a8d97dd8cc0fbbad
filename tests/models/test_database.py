import os
import socket
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from models import database
from models.database import reading, writing
from models.errors import TooSlow
from models.permissions import OPERATOR

SLOW = text("SELECT pg_sleep(1.5)")
PID = text("SELECT pg_backend_pid()")
NOTICING = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")


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


def test_a_connection_whose_server_hung_up_is_replaced_and_others_cost_no_question(db: str) -> None:
    with reading() as session:
        number = session.scalar(PID)
    statements: list[str] = []
    event.listen(database.engine(), "before_cursor_execute", lambda *asked: statements.append(asked[2]))
    with reading() as session:
        assert session.scalar(PID) == number
    assert len(statements) == 1
    with psycopg.connect(database.libpq_url(db), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [number])
    assert database.asked("SELECT pg_backend_pid() AS pid", {})[0].pid != number


def test_one_that_was_idle_for_long_is_asked_whether_it_works(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "UNASKED", 0.0)
    asked: list[object] = []
    dialect = database.engine().dialect
    ping = dialect.do_ping
    monkeypatch.setattr(dialect, "do_ping", lambda connection: asked.append(connection) or ping(connection))
    for _ in range(3):
        with reading() as session:
            session.scalar(PID)
    assert len(asked) >= 2  # not of the one that was just made


def test_what_is_asked_in_the_drivers_words_fails_as_all_else_does(db: str) -> None:
    database.bind(db, patience=1)
    with pytest.raises(TooSlow, match="longer than 1 seconds"):
        database.asked("SELECT pg_sleep(1.5)", {})
    with pytest.raises(OperationalError):
        database.asked("SELECT pg_terminate_backend(pg_backend_pid())", {})
    assert database.asked("SELECT 7 AS seven", {})[0].seven == 7
    database.bind(db.rpartition("/")[0] + "/nowhere")
    with pytest.raises(OperationalError, match="does not exist"):
        database.asked("SELECT 7 AS seven", {})


def test_the_server_lets_go_of_what_a_lost_machine_held(db: str) -> None:
    """Over TCP it answers what the kernel has for this very connection."""
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
    with reading() as session:
        assert [session.scalar(text(f"SHOW {name}")) for name in names] == ["20", "5", "4", "40000"]


def test_we_let_go_of_a_machine_that_is_lost_unless_the_address_says_how(db: str) -> None:
    """What the kernel has for this very connection."""

    def waits(url: str) -> list[int]:
        database.bind(url)
        with database.engine().connect() as connection:
            driver: Any = connection.connection.driver_connection
            there = socket.socket(fileno=os.dup(driver.fileno()))
        with there:
            return [there.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in NOTICING]

    assert waits(db) == [20, 5, 4, 40_000]
    assert waits(f"{db}?keepalives_idle=7&tcp_user_timeout=9000") == [7, 5, 4, 9000]
