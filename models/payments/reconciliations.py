"""Comparisons of the last days with Razorpay: asked for by hand, or due by schedule; what they found is for people.

The comparing itself is pipelines/reconcile_payments.py. One at a time runs; whether a process is at it says its lock.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import audit, database
from models.accounts import User
from models.audit import AuditLine, Event
from models.database import LARGEST_ID, PAYMENTS_LOCK, reading, writing
from models.errors import Conflict, InvalidInput
from models.payments import gateway, leftovers
from models.payments.tables import Finding, Reconciliation
from models.permissions import OPERATOR, Actor, Permission, require

DAYS, MOST_DAYS = 3, 90  # that are compared
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
OPEN = (WAITING, RUNNING)
TOLD = 20  # findings that the audit line names
ONE = 0  # the number under PAYMENTS_LOCK; offers begin at 1


@dataclass(frozen=True)
class Numbers:
    """`compared` things, of which `mended` differed."""

    compared: int
    mended: int


@dataclass(frozen=True)
class Begun:
    days: int
    asked_by: int | None


@dataclass(frozen=True)
class Comparison:
    id: int
    state: str
    days: int
    asked_by: str | None
    """None: it was due."""
    asked_at: datetime
    finished_at: datetime | None
    compared: int
    mended: int
    found: int
    error: str | None


@dataclass(frozen=True)
class Found:
    """What is left for a person: `subject` is Razorpay's name of what it is about."""

    kind: str
    subject: str
    sentence: str
    first_at: datetime


def ask(days: int = DAYS, *, by: Actor) -> int:
    """Have the last so many days compared; returns the number of the comparison, that of one under way included.

    Raises NotAllowed, InvalidInput, Unavailable (not set up).
    """
    require(by, Permission.PAYMENTS_MANAGE)
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput(f"days: give a number from 1 to {MOST_DAYS}.", field="days")
    gateway.require_ready()
    with writing(by) as session:
        number, is_new = _add(session, days, by.doer_id)
        if is_new:
            audit.write(session, Event.COMPARISON_ASKED, _subject(number), by=by, days=days)
        return number


def latest(*, by: Actor) -> Comparison | None:
    """Raises NotAllowed."""
    require(by, Permission.PAYMENTS_OVERSEE)
    newest = select(Reconciliation, User.name).outerjoin(User, User.id == Reconciliation.asked_by)
    with reading() as session:
        found = session.execute(newest.order_by(Reconciliation.id.desc()).limit(1)).one_or_none()
        if found is None:
            return None
        one, name = found
        if name is None and _was_asked(session, one.id):
            name = OPERATOR.name
        return Comparison(
            one.id, one.state, one.days, name, one.asked_at, one.finished_at, one.compared, one.mended, one.found,
            one.error,
        )  # fmt: skip


def findings(*, by: Actor) -> list[Found]:
    """What the last comparison could not mend, the oldest first. Raises NotAllowed."""
    require(by, Permission.PAYMENTS_OVERSEE)
    wanted = select(Finding).order_by(Finding.first_at, Finding.kind, Finding.subject)
    with reading() as session:
        return [Found(one.kind, one.subject, one.sentence, one.first_at) for one in session.scalars(wanted)]


def note_due() -> int | None:
    """A comparison that is due, or the one under way; None where payments are not set up."""
    if not gateway.ready():
        return None
    with writing(OPERATOR) as session:
        return _add(session, DAYS, None)[0]


def waiting(*, longer_than: timedelta) -> list[int]:
    """Those that no process is at, also one whose process died; what was just asked for has its flow."""
    asked = Reconciliation.state.in_(OPEN), Reconciliation.asked_at < func.clock_timestamp() - longer_than
    with reading() as session:
        found = list(session.scalars(select(Reconciliation.id).where(*asked)))
        return [] if ONE in database.claims(session, PAYMENTS_LOCK) else found


def claimed() -> AbstractContextManager[bool]:
    """For as long as the block runs this process alone compares; False where another one does."""
    return database.claimed(PAYMENTS_LOCK, ONE)


def begin(number: int) -> Begun | None:
    """What is to be compared; None where it is over. The caller holds it."""
    with writing(OPERATOR) as session:
        found = session.get(Reconciliation, number, with_for_update=True) if 0 < number <= LARGEST_ID else None
        if found is None or found.state not in OPEN:
            return None
        found.state, found.started_at = RUNNING, func.clock_timestamp()
        return Begun(found.days, found.asked_by)


def finish(number: int, numbers: Numbers, missing: Mapping[str, str]) -> int:
    """Note what came of it, and what is left: `missing` is what Razorpay does not know, by its names, with a sentence
    each. Returns how many findings there are."""
    with writing(OPERATOR) as session:
        found = session.get_one(Reconciliation, number, with_for_update=True)
        if found.state not in OPEN:
            raise Conflict(f"The comparison {number} is over already.")
        left = [("unknown to Razorpay", name, sentence) for name, sentence in missing.items()] + leftovers.found(
            session
        )
        leftovers.replace(session, number, left)
        found.state, found.finished_at = DONE, func.clock_timestamp()
        found.compared, found.mended, found.found = numbers.compared, numbers.mended, len(left)
        audit.write(
            session, Event.PAYMENTS_COMPARED, _subject(number), by=_by(session, found), days=found.days,
            compared=numbers.compared, mended=numbers.mended, left=len(left),
            findings=[sentence for _, _, sentence in left[:TOLD]] or None,
        )  # fmt: skip
        return len(left)


def fail(number: int, sentence: str) -> None:
    """It could not be done; the next one is due as ever."""
    with writing(OPERATOR) as session:
        found = session.get_one(Reconciliation, number, with_for_update=True)
        if found.state not in OPEN:
            return
        found.state, found.finished_at, found.error = FAILED, func.clock_timestamp(), sentence
        audit.write(
            session, Event.PAYMENTS_COMPARISON_FAILED, _subject(number), by=_by(session, found), error=sentence
        )  # fmt: skip


def _subject(number: int) -> str:
    return f"comparison {number}"


def _was_asked(session: Session, number: int) -> bool:
    """By the operator: what is merely due has no such line, and a person is named where it stands."""
    lines = select(AuditLine.id).where(AuditLine.subject == _subject(number), AuditLine.event == Event.COMPARISON_ASKED)
    return session.scalar(lines.limit(1)) is not None


def _add(session: Session, days: int, asked_by: int | None) -> tuple[int, bool]:
    """The number of the one that is open now, and whether it is a new one."""
    made = insert(Reconciliation).values(state=WAITING, days=days, asked_by=asked_by)
    number = session.scalar(made.on_conflict_do_nothing().returning(Reconciliation.id))
    if number is not None:
        return number, True
    number = session.scalar(select(Reconciliation.id).where(Reconciliation.state.in_(OPEN)))
    if number is None:
        raise Conflict("A comparison has just ended: ask again.")
    return number, False


def _by(session: Session, found: Reconciliation) -> Actor:
    user = None if found.asked_by is None else session.get(User, found.asked_by)
    return OPERATOR if user is None else user.actor()
