"""The audit log as it is written and kept: append-only, of a bounded size, with a way out for old lines alone."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, RaiseException
from sqlalchemy import func, insert, select, update

from deploy.embedded_postgres import Server
from models import audit, audit_log, database
from models.audit import AuditLine, AuditRepeat, Event
from models.audit_log import Wanted
from models.database import libpq_url, reading, writing
from models.errors import InvalidInput
from models.permissions import OPERATOR
from models.settings import Settings

ROLE_SQL = Path(__file__).parents[2] / "deploy" / "audit_role.sql"


def old_lines(*days: float) -> None:
    """A line of so many days ago for each."""
    with writing(OPERATOR) as session:
        for age in days:
            at = func.now() - timedelta(days=age)
            line = {"actor_name": "Ann", "event": Event.SIGNED_IN, "subject": "user ann@example.com"}
            session.execute(insert(AuditLine).values(at=at, **line))


def stored(event: Event | None = None) -> list[AuditLine]:
    wanted = select(AuditLine).order_by(AuditLine.id)
    with reading() as session:
        found = list(session.scalars(wanted.where(AuditLine.event == event) if event else wanted))
        session.expunge_all()
    return found


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE audit_log SET actor_name = 'Nobody'", "the audit log only grows"),
        ("TRUNCATE audit_log", "the audit log only grows"),
        ("DELETE FROM audit_log", "keeps the lines of the last 30 days"),
        ("DELETE FROM audit_log WHERE at < now() - interval '29 days'", "keeps the lines of the last 30 days"),
        ("DELETE FROM audit_log WHERE at < now() - interval '31 days'", None),
    ],
)
def test_a_line_is_never_changed_and_leaves_by_age_only(db: str, statement: str, refusal: str | None) -> None:
    old_lines(40, 29.5, 0)
    with psycopg.connect(libpq_url(db)) as connection:
        if refusal is None:
            assert connection.execute(statement.encode()).rowcount == 1
            return
        with pytest.raises(RaiseException, match=refusal):
            connection.execute(statement.encode())
    assert len(stored()) == 3


@pytest.fixture
def program(db: str, postgres: Server) -> Iterator[str]:
    """The database's URL for a role that deploy/audit_role.sql was run for, which owns everything else."""
    with psycopg.connect(libpq_url(db), autocommit=True) as connection:
        connection.execute("CREATE ROLE program NOLOGIN")
        connection.execute("ALTER SCHEMA public OWNER TO program")
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            connection.execute(f"ALTER TABLE {table} OWNER TO program".encode())
        connection.execute(ROLE_SQL.read_text().replace(':"program"', "program").encode())
    yield f"{db}{'&' if '?' in db else '?'}options={quote('-c role=program')}"
    with psycopg.connect(libpq_url(db), autocommit=True) as connection:
        for role in ("appointment360_audit", "program"):
            connection.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())


def test_a_role_that_may_only_add_lines_works(program: str) -> None:
    database.bind(program)
    old_lines(800, 40, 0)
    with writing(OPERATOR) as session:
        audit.write(session, Event.SIGNED_OUT, "user ann@example.com", by=OPERATOR)
    assert len(audit_log.page(Wanted(), by=OPERATOR)[0]) == 4
    assert audit.expire(older_than_days=730) == 1
    for statement in (
        "UPDATE audit_log SET actor_name = ''",
        "DELETE FROM audit_log WHERE at < now() - interval '31 days'",
        "TRUNCATE audit_log",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "DROP TABLE audit_log",
    ):
        with psycopg.connect(libpq_url(program)) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(statement.encode())
    assert len(stored()) == 4  # three, and the one that tells of the fourth


def test_old_lines_expire_and_one_line_says_so(db: str) -> None:
    old_lines(1000, 740.5, 729, 0)
    assert audit.expire(older_than_days=730) == 2
    [line] = stored(Event.AUDIT_LOG_EXPIRED)
    assert line.details is not None
    assert (line.actor_name, line.details["lines"], line.details["days"]) == ("operator", 2, 730)
    with reading() as session:
        before = session.scalar(select(func.now() - timedelta(days=740.5)))
    assert before is not None
    assert line.details["until"][:16] == before.isoformat()[:16]
    assert audit.expire(older_than_days=730) == 0
    assert len(stored()) == 3


def test_lines_expire_in_batches_each_with_its_own_line(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCH", 2)
    old_lines(100, 90, 80, 70, 60)
    assert audit.expire(older_than_days=50) == 5
    assert [(line.details or {})["lines"] for line in stored()] == [2, 2, 1]


def test_every_minute_writes_one_line_a_day(db: str) -> None:
    old_lines(50.5, 50.1)
    assert audit.expire(older_than_days=50) == 0
    old_lines(51.1)
    assert audit.expire(older_than_days=50) == 3


def test_nothing_younger_than_thirty_days_expires_whatever_is_asked(db: str) -> None:
    old_lines(40, 20)
    assert audit.expire(older_than_days=1) == 1
    with pytest.raises(ValueError, match="greater than or equal to 30"):
        Settings(days_kept_audit=29)


def test_what_cannot_be_told_is_not_done_either(db: str) -> None:
    old_lines(1000)
    with psycopg.connect(libpq_url(db), autocommit=True) as connection:
        connection.execute(
            """CREATE FUNCTION refuse_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
            CREATE TRIGGER refuse_line BEFORE INSERT ON audit_log EXECUTE FUNCTION refuse_line()"""
        )
    with pytest.raises(Exception, match="no"):
        audit.expire(older_than_days=730)
    assert len(stored()) == 1


def flood(subject: str, times: int, **details: Any) -> None:
    for _ in range(times):
        with writing(OPERATOR) as session:
            audit.write_once_a_minute(session, Event.SIGN_IN_FAILED, subject, by=OPERATOR, **details)


def a_minute_later() -> None:
    with writing(OPERATOR) as session:
        session.execute(update(AuditRepeat).values(written_at=AuditRepeat.written_at - timedelta(seconds=61)))


def test_a_flood_writes_a_line_a_minute_and_every_one_is_counted(db: str) -> None:
    flood("user ann@example.com", 5, reason="paused")
    flood("user ben@example.com", 1)
    assert [(one.subject, (one.details or {})["times"]) for one in stored()] == [
        ("user ann@example.com", 1),
        ("user ben@example.com", 1),
    ]
    a_minute_later()
    flood("user ann@example.com", 3, reason="paused")
    assert [(one.details or {})["times"] for one in stored()] == [1, 1, 5]
    assert audit.write_outstanding() == 0  # ann's minute is not over
    a_minute_later()
    assert audit.write_outstanding() == 1
    last = stored()[-1]
    assert (last.subject, last.details) == ("user ann@example.com", {"reason": "paused", "times": 2})
    assert sum((one.details or {})["times"] for one in stored() if one.subject.startswith("user ann")) == 8
    assert audit.write_outstanding() == 0
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(AuditRepeat)) == 0


def test_a_flood_that_goes_on_while_it_is_told_is_counted_once(db: str) -> None:
    flood("user ann@example.com", 3)
    a_minute_later()
    with writing(OPERATOR) as session:
        audit.write_once_a_minute(session, Event.SIGN_IN_FAILED, "user ann@example.com", by=OPERATOR)
        assert audit.write_outstanding() == 0
    assert [(one.details or {})["times"] for one in stored()] == [1, 3]


def test_a_clock_that_was_put_back_silences_nothing(db: str) -> None:
    flood("user ann@example.com", 1)
    with writing(OPERATOR) as session:
        session.execute(update(AuditRepeat).values(written_at=AuditRepeat.written_at + timedelta(days=1)))
    flood("user ann@example.com", 1)
    assert len(stored()) == 2


def test_no_line_is_larger_than_what_it_tells(db: str) -> None:
    with writing(OPERATOR) as session:
        audit.write(
            session, Event.CONTACT_CHANGED, "contact 1", by=OPERATOR,
            after={"notes": "x" * 5000}, columns=["email"] * 500, nested=[{"a": "y" * 2000}],
        )  # fmt: skip
    details = stored()[0].details or {}
    assert details["after"]["notes"] == "x" * 999 + "…"
    assert details["columns"][-1] == "… and 300 more"
    assert len(details["nested"][0]["a"]) == 1000


def test_names_of_events_are_words() -> None:
    assert audit.label(Event.SIGNED_IN) == "Signed in"
    assert audit.label(Event.CONTACT_CHANGED) == "Contact changed"
    with pytest.raises(InvalidInput, match=r"no event “signed up”\. Events are: contact created"):
        audit_log.parse([("event", "signed up")])
