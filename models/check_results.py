"""Results of data checks: one line per rule and run, of an import's staged rows, or of a run over what is stored.

`import_id` or `run_id` says which. `about` says what the rows are: contacts, industries or payments.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    and_,
    delete,
    false,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.check_rules import About
from models.database import Base
from models.filters import visible_fields
from models.permissions import Actor, Permission

_MOMENT = DateTime(timezone=True)


class CheckRun(Base):
    """`filled` is field -> how many of the `contacts` have a value. `asked_by` None: it was due, or the operator asked.
    The numbers of rows are None before they are counted, and of what an older version did not check."""

    __tablename__ = "check_runs"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    step: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    asked_by: Mapped[int | None]
    asked_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    finished_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    contacts: Mapped[int | None] = mapped_column(BigInteger)
    industries: Mapped[int | None] = mapped_column(BigInteger)
    payments: Mapped[int | None] = mapped_column(BigInteger)
    filled: Mapped[dict[str, int] | None] = mapped_column(JSONB)

    __table_args__ = (
        Index("check_runs_one", text("(true)"), unique=True, postgresql_where=text("state IN ('waiting', 'running')")),
        Index("check_runs_done", "id", postgresql_where=text("state = 'done'")),
    )


class CheckResult(Base):
    __tablename__ = "check_results"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    import_id: Mapped[int | None] = mapped_column(Integer)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("check_runs.id", ondelete="CASCADE"))
    about: Mapped[str] = mapped_column(Text, server_default=About.CONTACTS)
    name: Mapped[str] = mapped_column(Text)
    field: Mapped[str | None] = mapped_column(Text)
    success: Mapped[bool] = mapped_column(Boolean)
    checked: Mapped[int] = mapped_column(BigInteger)
    failing: Mapped[int] = mapped_column(BigInteger)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSONB)

    __table_args__ = (
        Index("check_results_import", "import_id"),
        Index("check_results_at", "at"),
        Index("check_results_run", "run_id", "name"),
    )


@dataclass(frozen=True)
class Verdict:
    """What one rule says: `failing` of `checked` rows break it; `success` where that is within its tolerance."""

    name: str
    field: str | None
    success: bool
    checked: int
    failing: int
    details: dict[str, Any] | None = None
    about: str = About.CONTACTS

    @property
    def is_tolerated(self) -> bool:
        """Rows break it, no more than may."""
        return self.success and self.failing > 0


def store(
    session: Session, verdicts: list[Verdict], *, import_id: int | None = None, run_id: int | None = None
) -> None:
    """Add the verdicts to the caller's transaction."""
    session.add_all(
        CheckResult(
            import_id=import_id,
            run_id=run_id,
            about=one.about,
            name=one.name,
            field=one.field,
            success=one.success,
            checked=one.checked,
            failing=one.failing,
            details=one.details,
        )
        for one in verdicts
    )


def replace(session: Session, verdicts: list[Verdict], *, import_id: int) -> None:
    """Store the verdicts of an import in place of those of an earlier try."""
    session.execute(delete(CheckResult).where(CheckResult.import_id == import_id))
    store(session, verdicts, import_id=import_id)


def seen_by(by: Actor, verdicts: list[Verdict]) -> list[Verdict]:
    """Those that `by` may see the results of."""
    sees = Sight.of(by)
    return [one for one in verdicts if sees.result(one.about, one.field)]


@dataclass(frozen=True)
class Sight:
    """Which results a person may see: of contacts those about fields that they see, and of whole rows who sees every
    column; of industries who sees that column; of payments who sees everybody's."""

    fields: frozenset[str]
    whole: bool
    payments: bool

    @classmethod
    def of(cls, by: Actor) -> "Sight":
        return cls(frozenset(visible_fields(by)), by.columns is None, by.may(Permission.PAYMENTS_OVERSEE))

    def result(self, about: str, field: str | None) -> bool:
        match about:
            case About.CONTACTS:
                return self.whole or field in self.fields
            case About.INDUSTRIES:
                return "industry" in self.fields
            case About.PAYMENTS:
                return self.payments
        return False

    def condition(self) -> ColumnElement[bool]:
        """`result` of rows of CheckResult."""
        found: list[ColumnElement[bool]] = [false()]
        if self.whole:
            found.append(CheckResult.about == About.CONTACTS)
        else:
            found.append(and_(CheckResult.about == About.CONTACTS, CheckResult.field.in_(self.fields)))
        if "industry" in self.fields:
            found.append(CheckResult.about == About.INDUSTRIES)
        if self.payments:
            found.append(CheckResult.about == About.PAYMENTS)
        return or_(*found)


def of_import(session: Session, import_id: int) -> list[Verdict]:
    return _verdicts(session, CheckResult.import_id == import_id)


def of_run(session: Session, run_id: int) -> list[Verdict]:
    """In the rules' order."""
    return _verdicts(session, CheckResult.run_id == run_id)


def _verdicts(session: Session, which: ColumnElement[bool]) -> list[Verdict]:
    rows = session.scalars(select(CheckResult).where(which).order_by(CheckResult.id))
    return [Verdict(row.name, row.field, row.success, row.checked, row.failing, row.details, row.about) for row in rows]
