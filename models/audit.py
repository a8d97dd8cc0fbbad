"""The audit log: every operation writes its line in its own transaction. A line never changes, and leaves by age only.

Triggers see to it; see deploy/audit_role.sql for a database in which the program could not switch them off either. What
reads the log is in audit_log.py.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import (
    BigInteger,
    DateTime,
    Identity,
    Index,
    Integer,
    Label,
    Text,
    bindparam,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import AUDIT_LOCK, Base, asked_in, compiled, reading, writing
from models.permissions import OPERATOR, Actor

LONGEST_TEXT, LONGEST_LIST = 1000, 200  # characters and members of one detail; the history holds values whole
ONCE_IN = timedelta(minutes=1)  # a line for what may come in floods
FEWEST_DAYS = 30  # that lines are kept; the database refuses less
BATCH = 100_000  # lines that one transaction removes
WORDS: Label[str] = literal_column("audit_words(actor_name, subject, details)").label("words")


class Event(StrEnum):
    CONTACT_CREATED = "contact created"
    CONTACT_CHANGED = "contact changed"
    CONTACT_DELETED = "contact deleted"
    CONTACT_RESTORED = "contact restored"
    CONTACTS_CHANGED = "contacts changed"  # many at once
    CONTACTS_DELETED = "contacts deleted"
    CONTACTS_RESTORED = "contacts restored"
    CONTACTS_PUT_BACK = "contacts put back"  # the undo of the two above
    CONTACTS_MERGED = "contacts merged"
    CONTACTS_UNMERGED = "contacts unmerged"
    DUPLICATES_FOUND = "duplicates found"
    DUPLICATES_FAILED = "finding duplicates failed"
    DUPLICATE_DECIDED = "duplicate decided"
    INDUSTRY_CREATED = "industry created"
    INDUSTRY_RENAMED = "industry renamed"
    INDUSTRIES_MERGED = "industries merged"
    INDUSTRIES_UNMERGED = "industries unmerged"
    INDUSTRY_DEACTIVATED = "industry deactivated"
    INDUSTRY_ACTIVATED = "industry activated"
    IMPORT_CREATED = "import created"
    IMPORT_ACCEPTED = "import accepted"  # though something about it stands out
    IMPORT_ACCEPTANCE_WITHDRAWN = "import acceptance withdrawn"
    IMPORT_COMMITTED = "import committed"
    IMPORT_RESUMED = "import resumed"  # by itself, once there was room on the disk again
    IMPORT_FAILED = "import failed"
    IMPORT_CANCELLED = "import cancelled"
    IMPORT_UNDONE = "import undone"
    IMPORT_REDONE = "import redone"  # the undo of its undo
    IMPORT_KEPT_DOWNLOADED = "import kept list downloaded"  # the contacts that an undo left as they were
    IMPORT_ROWS_DOWNLOADED = "import rows downloaded"  # those that did not come in
    MAPPING_SAVED = "mapping saved"
    MAPPING_CHANGED = "mapping changed"
    MAPPING_DELETED = "mapping deleted"
    FOLDER_ADDED = "watched folder added"
    FOLDER_CHANGED = "watched folder changed"
    FOLDER_REMOVED = "watched folder removed"
    FILE_AGAIN = "watched file to be tried again"
    EXPORT_MADE = "export made"
    EXPORT_FAILED = "export failed"
    EXPORT_CANCELLED = "export cancelled"
    EXPORT_DOWNLOADED = "export downloaded"
    EXPORT_EXPIRED = "export expired"
    VIEW_SAVED = "view saved"
    VIEW_CHANGED = "view changed"
    VIEW_RENAMED = "view renamed"
    VIEW_SHARED = "view shared"
    VIEW_UNSHARED = "view no longer shared"
    VIEW_DELETED = "view deleted"
    VIEW_RESTORED = "view restored"
    VIEW_SCHEDULED = "view scheduled"
    VIEW_SCHEDULE_CHANGED = "view schedule changed"
    VIEW_UNSCHEDULED = "view no longer scheduled"
    VIEW_EXPORTED = "view exported"
    VIEW_EXPORT_FAILED = "view export failed"
    CONTACTS_COPIED = "contacts copied"  # to the clipboard
    DIFFERENCE_EXPORTED = "difference exported"  # of a view between two moments
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
    TOKEN_CREATED = "token created"
    TOKEN_REVOKED = "token revoked"
    CREDITS_GRANTED = "credits granted"
    CREDITS_TAKEN_BACK = "credits taken back"
    CREDITS_CHANGED = "credits changed"  # a limit's share of the month
    CREDITS_BOUGHT = "credits bought"
    OFFER_CHANGED = "price changed"  # or the number of credits for it
    ORDER_CREATED = "order created"
    PAYMENT_CHANGED = "payment changed"
    REFUND_ASKED = "refund asked for"
    REFUND_CHANGED = "refund changed"
    SUBSCRIPTION_STARTED = "subscription started"
    SUBSCRIPTION_CHANGED = "subscription changed"
    INVOICE_CHANGED = "invoice changed"
    PAYMENT_EVENT_DEAD = "payment event given up"  # it failed too often
    PAYMENT_EVENT_REPLAYED = "payment event applied again"
    BACKUP_ASKED = "backup asked for"
    BACKUP_MADE = "backup made"
    BACKUP_FAILED = "backup failed"
    BACKUP_DRILL_ASKED = "drill asked for"
    BACKUP_DRILLED = "backup drilled"  # restored and compared
    BACKUP_REMOVED = "backup removed"  # by retention
    BACKUP_GONE = "backup missed"  # others removed it
    BACKUP_RESTORED = "backup restored"
    RECOVERY_BASE_MADE = "base for recovery made"
    RECOVERY_BASE_FAILED = "base for recovery failed"
    RECOVERY_BASE_REMOVED = "base for recovery removed"  # by retention
    RECOVERY_MISSED = "archived log missed"  # others removed or changed it
    BACKUP_ALERT = "backups need attention"
    DISK_ALERT = "disk getting full"
    HOUSE_KEPT = "house kept"
    HISTORY_EXPIRED = "contact history expired"
    REJECTS_EXPIRED = "rejected rows expired"
    UPLOAD_EXPIRED = "upload expired"
    COMPARISON_ASKED = "comparing payments asked for"
    PAYMENTS_COMPARED = "payments compared"  # with Razorpay's
    PAYMENTS_COMPARISON_FAILED = "comparing payments failed"
    AUDIT_LOG_EXPORTED = "audit log exported"
    AUDIT_LOG_EXPIRED = "audit log expired"
    CHECKS_RAN = "checks ran"
    PERFORMANCE_REPORTED = "performance reported"
    CHECKS_FAILED = "checks failed"  # they could not be run
    CHECK_SWITCHED = "rule switched"  # whether it stops an import
    JOB_ASKED = "job asked for"
    JOB_CANCELLED = "job cancelled"
    SCHEDULE_PAUSED = "schedule paused"
    SCHEDULE_RESUMED = "schedule resumed"


def label(event: str) -> str:
    """What people read: “Contact changed”."""
    return event[:1].upper() + event[1:]


class AuditLine(Base):
    """`details` holds `before` and `after` by the names of what changed, and whatever else the event tells."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    actor_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    event: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)  # "import 17", "user ann@example.com"
    details: Mapped[dict[str, Any] | None] = mapped_column(JSONB)

    # Each ends with the order of pages: a page is read from any of them without sorting.
    __table_args__ = (
        Index("audit_log_at", "at", "id"),
        Index("audit_log_subject", "subject", "at", "id", postgresql_ops={"subject": "text_pattern_ops"}),
        Index("audit_log_event", "event", "at", "id"),
        Index("audit_log_actor", "actor_id", "at", "id"),
        Index("audit_log_words", WORDS, postgresql_using="gin", postgresql_ops={"words": "gin_trgm_ops"}),
    )


class AuditRepeat(Base):
    """What was told of a flood by a line, and how many times it happened since without one."""

    __tablename__ = "audit_repeats"

    event: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    actor_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    written_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    unwritten: Mapped[int] = mapped_column(Integer, server_default="0")


def write(session: Session, event: Event, subject: str, *, by: Actor, **details: Any) -> None:
    """Add the line to the caller's transaction: it stands exactly when the operation does.

    Among the details, `before` and `after` go by the names of what changed; of contacts by the names of their fields,
    so that whoever reads the log sees of them what they may see of contacts. Never a password, a token or a hash of it.
    """
    _add(session, event, subject, **_who(by), details=_details(details, by))


def is_written(session: Session, event: Event, subject: str, *, within: timedelta, by: Actor) -> bool:
    """Whether there is such a line of `by` that is not older."""
    since = AuditLine.at > func.clock_timestamp() - within
    lines = select(AuditLine.id).where(AuditLine.subject == subject, AuditLine.event == event, since)
    return session.scalar(lines.where(AuditLine.actor_id.is_not_distinct_from(by.doer_id)).limit(1)) is not None


def write_once_a_minute(session: Session, event: Event, subject: str, *, by: Actor, **details: Any) -> None:
    """`write` for what anybody may cause as often as they like: one line a minute for each event and subject. The next
    line, or that of `write_outstanding`, says in `times` how many it stands for."""
    session.execute(select(func.pg_advisory_xact_lock(AUDIT_LOCK, func.hashtext(f"{event} {subject}"))))
    now = session.scalars(select(func.clock_timestamp())).one()
    known = session.get(AuditRepeat, (event, subject), with_for_update=True)  # write_outstanding passes over it then
    if known is None:
        known = AuditRepeat(event=event, subject=subject, unwritten=0)
        session.add(known)
    elif now - ONCE_IN < known.written_at <= now:  # not one of a clock that was put back
        known.unwritten += 1
        _keep(known, details, by)
        return
    write(session, event, subject, by=by, **details, times=known.unwritten + 1)
    _keep(known, details, by)
    known.written_at, known.unwritten = now, 0


def write_outstanding() -> int:
    """Write the lines of floods that have ended, and forget them; returns how many lines it wrote."""
    ended = select(AuditRepeat).where(AuditRepeat.written_at < func.clock_timestamp() - ONCE_IN)
    with writing(OPERATOR) as session:
        found = list(session.scalars(ended.with_for_update(skip_locked=True)))
        missing = [one for one in found if one.unwritten]
        for one in missing:
            who = {"actor_id": one.actor_id, "actor_name": one.actor_name, "address": one.address}
            _add(session, one.event, one.subject, **who, details={**(one.details or {}), "times": one.unwritten})
        for one in found:
            session.delete(one)
        return len(missing)


def expire(*, older_than_days: int) -> int:
    """Remove the lines that are older, the oldest first; returns how many. For each BATCH of them, which is one
    transaction, a line tells how many and until when.

    It begins only once some are a day older: asked every minute it writes one line a day.
    """
    days = max(older_than_days, FEWEST_DAYS)
    with reading() as session:
        oldest = select(AuditLine.id).where(AuditLine.at < func.now() - timedelta(days=days + 1)).limit(1)
        if session.scalar(oldest) is None:
            return 0
    total = 0
    while number := _expire_batch(days):
        total += number
    return total


def _expire_batch(days: int) -> int:
    with writing(OPERATOR) as session:
        removed = sql("SELECT number, until FROM expire_audit_log(:days, :most)")
        gone = session.execute(removed, {"days": days, "most": BATCH}).one()
        if gone.number:
            until = gone.until.isoformat(timespec="seconds")
            write(session, Event.AUDIT_LOG_EXPIRED, "audit log", by=OPERATOR, lines=gone.number, until=until, days=days)
        return int(gone.number)


def _add(session: Session, event: str, subject: str, *, details: dict[str, Any], **who: Any) -> None:
    line = {"event": event, "subject": subject, "details": Jsonb(details) if details else None, **who}
    asked_in(session, inserting(), line)


@cache
def inserting() -> str:
    named = ("actor_id", "actor_name", "address", "event", "subject", "details")
    return compiled(insert(AuditLine).values({name: bindparam(name, None) for name in named}))[0]


def _keep(known: AuditRepeat, details: dict[str, Any], by: Actor) -> None:
    for name, value in _who(by).items():
        setattr(known, name, value)
    known.details = _details(details, by)


def _who(by: Actor) -> dict[str, Any]:
    name = OPERATOR.name if by.in_name_of else by.name
    return {"actor_id": by.doer_id, "actor_name": name, "address": by.address}


def _details(details: dict[str, Any], by: Actor) -> dict[str, Any]:
    fitting: dict[str, Any] = _fitting(details)
    return fitting | ({"in_name_of": by.in_name_of} if by.in_name_of else {})


def _fitting(value: Any) -> Any:
    """The value, with texts and lists in it that are too long cut short."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[: LONGEST_TEXT - 1] + "…"
    if isinstance(value, Mapping):
        return {name: _fitting(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        rest = [f"… and {len(value) - LONGEST_LIST:,} more"] if len(value) > LONGEST_LIST else []
        return [_fitting(one) for one in value[:LONGEST_LIST]] + rest
    return value
