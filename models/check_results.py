"""Results of data checks: one line per rule and run, of an import's staged rows or of the contacts as they stand."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Identity, Index, Integer, Text, delete, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base
from models.filters import visible_fields
from models.permissions import Actor


class CheckResult(Base):
    __tablename__ = "check_results"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    import_id: Mapped[int | None] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(Text)
    field: Mapped[str | None] = mapped_column(Text)
    success: Mapped[bool] = mapped_column(Boolean)
    checked: Mapped[int] = mapped_column(BigInteger)
    failing: Mapped[int] = mapped_column(BigInteger)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSONB)

    __table_args__ = (Index("check_results_import", "import_id"), Index("check_results_at", "at"))


@dataclass(frozen=True)
class Verdict:
    """What one rule says: `failing` of `checked` rows break it; `success` where that is within its tolerance."""

    name: str
    field: str | None
    success: bool
    checked: int
    failing: int
    details: dict[str, Any] | None = None


def store(session: Session, verdicts: list[Verdict], *, import_id: int | None) -> None:
    """Add the verdicts to the caller's transaction."""
    session.add_all(
        CheckResult(
            import_id=import_id,
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
    """Those about fields that `by` may see; a rule about whole rows is for who sees every column."""
    if by.columns is None:
        return verdicts
    seen = visible_fields(by)
    return [one for one in verdicts if one.field in seen]


def of_import(session: Session, import_id: int) -> list[Verdict]:
    rows = session.scalars(select(CheckResult).where(CheckResult.import_id == import_id).order_by(CheckResult.id))
    return [Verdict(row.name, row.field, row.success, row.checked, row.failing, row.details) for row in rows]
