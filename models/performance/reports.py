"""Stored reports: the last one, those before it, and who has them mailed; see pipelines/report_performance.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, Text, func, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, mails, preferences
from models.accounts import User
from models.audit import Event
from models.batches import delete_in_batches
from models.database import Base, by_id, reading, writing
from models.errors import NotFound
from models.mails import Kind
from models.performance.shapes import Report
from models.permissions import OPERATOR, Actor, Permission, Role, require
from models.preferences import Preference

FLOW = "report-performance"  # that makes them
AT_ONCE = 50  # reports that are deleted in one transaction, each with thousands of counters
MAILED = "performance.mailed"  # the name of the preference


class StoredReport(Base):
    __tablename__ = "performance_reports"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    made_by: Mapped[int | None]
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)

    __table_args__ = (Index("performance_reports_at", "made_at"),)


class StatementCounter(Base):
    """What pg_stat_statements said of a statement, by its number there, when the report was made."""

    __tablename__ = "statement_counters"

    report_id: Mapped[int] = mapped_column(ForeignKey(StoredReport.id, ondelete="CASCADE"), primary_key=True)
    statement: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    calls: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]


class RelationCounter(Base):
    """How large a table (with all that is its own) or index was, and how often an index was read."""

    __tablename__ = "relation_counters"

    report_id: Mapped[int] = mapped_column(ForeignKey(StoredReport.id, ondelete="CASCADE"), primary_key=True)
    relation: Mapped[str] = mapped_column(Text, primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    scans: Mapped[int] = mapped_column(BigInteger)


@dataclass(frozen=True)
class Counters:
    """To be stored with a report: of statements (number, calls, seconds), of relations (name, bytes, scans)."""

    statements: Sequence[tuple[int, int, float]]
    relations: Sequence[tuple[str, int, int]]


@dataclass(frozen=True)
class Made:
    id: int
    made_at: datetime
    report: Report


@dataclass(frozen=True)
class Listed:
    id: int
    made_at: datetime
    findings: int
    database_bytes: int
    cache_hit: float | None


def latest(*, by: Actor) -> Made | None:
    """Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        found = session.scalar(select(StoredReport).order_by(StoredReport.id.desc()).limit(1))
        return None if found is None else _made(found)


def get(report_id: int, *, by: Actor) -> Made:
    """Raises NotAllowed, NotFound."""
    require(by, Permission.SERVER_OVERSEE)
    with reading() as session:
        found = by_id(session, StoredReport, report_id)
        if found is None:
            raise NotFound(f"There is no performance report {report_id}.")
        return _made(found)


def listed(*, limit: int = 60, by: Actor) -> list[Listed]:
    """The newest first. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    body = StoredReport.body
    wanted = select(
        StoredReport.id, StoredReport.made_at, func.jsonb_array_length(body["findings"]),
        body["server"]["database_bytes"].as_integer(), body["server"]["cache_hit"].as_float(),
    )  # fmt: skip
    with reading() as session:
        return [Listed(*row) for row in session.execute(wanted.order_by(StoredReport.id.desc()).limit(limit))]


def is_mailed(*, by: Actor) -> bool:
    """Whether `by` has reports mailed. Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    return preferences.get(MAILED, by=by) is True


def have_mailed(wanted: bool, *, by: Actor) -> None:
    """Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    preferences.put(MAILED, wanted, by=by)


def store(report: Report, counters: Counters, page: str, *, mailed: bool, by: Actor) -> Made:
    """Keep a report with the counters that it was made from, and queue `page` for those who want it. Raises
    NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    with writing(by) as session:
        made = StoredReport(made_by=by.doer_id, body=report.model_dump(mode="json"))
        session.add(made)
        session.flush()
        session.refresh(made)
        _store_counters(session, made.id, counters)
        audit.write(
            session, Event.PERFORMANCE_REPORTED, f"performance report {made.id}", by=by, findings=len(report.findings)
        )
        if mailed:
            for person in _wanting(session):
                mails.queue(session, Kind.PERFORMANCE_REPORT, person, {"report": page}, by=OPERATOR)
        return Made(made.id, made.made_at, report)


def clear_past(older_than_days: int) -> int:
    """Remove reports that are older, with their counters; how many."""
    before = func.clock_timestamp() - timedelta(days=older_than_days)
    return delete_in_batches(StoredReport, StoredReport.made_at < before, most=AT_ONCE)


def _store_counters(session: Session, report_id: int, counters: Counters) -> None:
    for table, names, rows in (
        (StatementCounter, ("statement", "calls", "seconds"), counters.statements),
        (RelationCounter, ("relation", "bytes", "scans"), counters.relations),
    ):
        if rows:
            given = [{"report_id": report_id, **dict(zip(names, row, strict=True))} for row in rows]
            session.execute(insert(table), given)


def _wanting(session: Session) -> list[User]:
    roles = [role for role in Role if Permission.SERVER_OVERSEE in role.permissions]
    chose = select(Preference.user_id).where(Preference.name == MAILED, Preference.value == text("'true'::jsonb"))
    active = User.role.in_(roles), User.is_active, User.id.in_(chose)
    return list(session.scalars(select(User).where(*active).order_by(User.id)))


def _made(found: StoredReport) -> Made:
    return Made(found.id, found.made_at, Report.stored(found.body))
