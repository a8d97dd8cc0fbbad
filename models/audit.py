"""The audit log: every operation writes its line in its own transaction. The table only grows: a trigger sees to it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Index, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base
from models.permissions import Actor


class Event(StrEnum):
    CONTACT_CREATED = "contact created"
    CONTACT_CHANGED = "contact changed"
    CONTACT_DELETED = "contact deleted"
    CONTACT_RESTORED = "contact restored"
    CONTACTS_CHANGED = "contacts changed"  # many at once
    CONTACTS_DELETED = "contacts deleted"
    CONTACTS_RESTORED = "contacts restored"
    CONTACTS_PUT_BACK = "contacts put back"  # the undo of the two above
    INDUSTRY_CREATED = "industry created"
    INDUSTRY_RENAMED = "industry renamed"
    INDUSTRIES_MERGED = "industries merged"
    INDUSTRIES_UNMERGED = "industries unmerged"
    INDUSTRY_DEACTIVATED = "industry deactivated"
    INDUSTRY_ACTIVATED = "industry activated"
    IMPORT_CREATED = "import created"
    IMPORT_COMMITTED = "import committed"
    IMPORT_FAILED = "import failed"
    IMPORT_CANCELLED = "import cancelled"
    IMPORT_UNDONE = "import undone"
    IMPORT_ROWS_DOWNLOADED = "import rows downloaded"  # those that did not come in
    EXPORT_MADE = "export made"
    EXPORT_FAILED = "export failed"
    EXPORT_CANCELLED = "export cancelled"
    EXPORT_DOWNLOADED = "export downloaded"
    EXPORT_EXPIRED = "export expired"
    CONTACTS_COPIED = "contacts copied"  # to the clipboard
    USER_ADDED = "user added"
    USER_INVITED = "user invited"
    INVITATION_ACCEPTED = "invitation accepted"
    USER_CHANGED = "user changed"
    USER_DEACTIVATED = "user deactivated"
    USER_REACTIVATED = "user reactivated"
    RESET_REQUESTED = "password reset requested"
    PASSWORD_CHANGED = "password changed"
    EMAIL_CHANGED = "e-mail changed"
    SECOND_FACTOR_ADDED = "second factor added"
    SECOND_FACTOR_REMOVED = "second factor removed"
    RECOVERY_CODES_MADE = "recovery codes made"
    ROLE_RULE_CHANGED = "role rule changed"
    SIGNED_IN = "signed in"
    SIGN_IN_FAILED = "sign-in failed"
    SIGNED_OUT = "signed out"
    SESSIONS_ENDED = "sessions ended"
    CREDITS_GRANTED = "credits granted"
    CREDITS_CHANGED = "credits changed"  # a limit's share of the month
    AUDIT_LOG_EXPORTED = "audit log exported"
    AUDIT_LOG_EXPIRED = "audit log expired"
    CHECKS_RAN = "checks ran"


class AuditLine(Base):
    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    actor_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    event: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)  # "import 17", "user ann@example.com"
    details: Mapped[dict[str, Any] | None] = mapped_column(JSONB)

    __table_args__ = (
        Index("audit_log_at", "at"),
        Index("audit_log_subject", "subject"),
        Index("audit_log_event", "event", "id"),
        Index("audit_log_actor", "actor_id", "id"),
    )


def write(session: Session, event: Event, subject: str, *, by: Actor, **details: Any) -> None:
    """Add the line to the caller's transaction: it stands exactly when the operation does."""
    session.add(
        AuditLine(
            actor_id=by.id,
            actor_name=by.name,
            address=by.address,
            event=event,
            subject=subject,
            details=details or None,
        )
    )
