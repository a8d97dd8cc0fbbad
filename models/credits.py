"""Download credits: a ledger that only grows. One credit takes one contact out, as often as one likes in a month."""

from datetime import date, datetime

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Date, DateTime, ForeignKey, Identity, Index, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base


class CreditEntry(Base):
    """A pool is a month's allowance, or with month NULL what was granted and bought, which lasts."""

    __tablename__ = "credit_entries"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    month: Mapped[date | None] = mapped_column(Date)
    kind: Mapped[str] = mapped_column(Text)
    amount: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[int] = mapped_column(BigInteger)  # of the pool, after this entry
    export_id: Mapped[int | None] = mapped_column(ForeignKey("exports.id"))
    created_by: Mapped[int | None]
    note: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("balance >= 0", name="credit_entries_balance"),
        Index("credit_entries_pool", "user_id", "month", "id"),
        Index("credit_entries_export", "export_id"),
    )


class CreditTaking(Base):
    """Some thousands of the contacts that a person took out in a month."""

    __tablename__ = "credit_takings"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    month: Mapped[date] = mapped_column(Date)
    export_id: Mapped[int | None] = mapped_column(ForeignKey("exports.id"))
    contact_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))

    __table_args__ = (Index("credit_takings_month", "user_id", "month"),)
