"""What Razorpay tells: stored word for word before it is answered, then applied, by the process that received it or by
the next sweep. An event that fails MOST_TRIES times is put aside, shown, and can be applied again by hand."""

import hashlib
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import audit
from models.audit import Event
from models.database import LARGEST_BIGINT, reading, writing
from models.errors import AppError, InvalidInput, NotAllowed, NotFound
from models.payments import applying, entities, gateway, signatures
from models.payments.states import EventState, Source
from models.payments.tables import PaymentEvent
from models.permissions import RAZORPAY, Actor, Permission, require
from models.settings import settings

MOST_TRIES = 6
PATIENCE = 4  # seconds that storing may take: Razorpay waits five
OLD_SECRET_COUNTS = timedelta(hours=24)  # so long Razorpay sends again what it could not deliver
LARGEST = 1_000_000  # bytes of an event
LONGEST_ID = 200
WRONG = (
    "The signature does not fit: this is not from Razorpay, or the webhook's secret is not the one that is set here."
)

log = logging.getLogger(__name__)


class NotSigned(NotAllowed):
    """Whoever sent it does not know the secret."""


@dataclass(frozen=True)
class Listed:
    """An event without its words. `about` are Razorpay's names of what it tells of."""

    id: int
    event_id: str
    source: Source
    kind: str
    about: Sequence[str]
    told_at: datetime | None
    received_at: datetime
    state: EventState
    tries: int
    next_try_at: datetime | None
    """None where it is not tried by itself any more."""
    applied_at: datetime | None
    error: str | None


def receive(body: bytes, *, signature: str, event_id: str | None) -> int | None:
    """Store what came to the webhook; returns its number where it is to be applied, None where it came before.

    Without an event id, as tools for testing send it, the same words are the same event. Raises Unavailable (not set
    up), NotSigned, InvalidInput (too large).
    """
    gateway.require_ready()
    if len(body) > LARGEST:
        raise InvalidInput(f"An event has at most {LARGEST:,} bytes.")
    if event_id is not None and (not event_id or len(event_id) > LONGEST_ID or not event_id.isprintable()):
        raise InvalidInput(
            f"x-razorpay-event-id is a text of 1 to {LONGEST_ID} printable characters.", field="x-razorpay-event-id"
        )
    name = event_id or f"sha256:{hashlib.sha256(body).hexdigest()}"
    by_old = not _fits(settings().razorpay_webhook_secret, body, signature)
    if by_old and not _fits(settings().razorpay_old_webhook_secret, body, signature):
        raise NotSigned(WRONG)  # before the database is asked for anything: anybody can send something
    with writing(RAZORPAY) as session:
        session.execute(text(f"SET LOCAL statement_timeout = '{PATIENCE}s'"))
        if by_old and not _old_secret_counts(session):
            raise NotSigned(WRONG)
        return _store(session, name, Source.WEBHOOK, body)


def now() -> datetime:
    """Noted before Razorpay is asked: what it tells of itself meanwhile is newer than its answer."""
    with reading() as session:
        moment: datetime = session.scalars(select(func.clock_timestamp())).one()
        return moment


def tell(source: Source, kind: str, *, at: datetime | None = None, **told: Any) -> EventState | None:
    """Note something that was learnt otherwise, as an event of that moment, or of now, and apply it: `payment={...}`,
    `refund={...}`."""
    moment = at or now()
    with writing(RAZORPAY) as session:
        payload = {name: {"entity": one} for name, one in told.items()}
        whole = {
            "entity": "event", "event": kind, "contains": list(told), "payload": payload,
            "created_at": moment.timestamp(),  # Razorpay's are whole seconds: what we ask in one follows each other
        }  # fmt: skip
        number = _store(session, f"{source}:{secrets.token_hex(16)}", source, json.dumps(whole).encode())
    return None if number is None else apply(number)


def apply(number: int) -> EventState | None:
    """Apply it, if it waits; returns what became of it, None where nothing was to be done or another process is at it.

    What fails is noted, and tried again later.
    """
    try:
        return _apply(number)
    except AppError as error:
        log.warning("payment event %s: %s", number, error.sentence)
        return _failed(number, error.sentence)
    except Exception as error:  # whatever it was: the event stays, and its failure is shown
        log.exception("payment event %s failed", number)
        return _failed(number, f"{type(error).__name__}: {error}")


def apply_waiting() -> int:
    """Apply what is due, the first received first; returns how many were. The sweep asks for it."""
    due = PaymentEvent.state == EventState.WAITING, PaymentEvent.next_try_at <= func.clock_timestamp()
    with reading() as session:
        numbers = list(session.scalars(select(PaymentEvent.id).where(*due).order_by(PaymentEvent.id)))
    return sum(apply(number) is not None for number in numbers)


def page(
    *, state: EventState | None = None, about: str | None = None, before_id: int | None = None, size: int = 50,
    by: Actor,
) -> tuple[list[Listed], bool]:  # fmt: skip
    """At most `size`, the newest first, older than `before_id` where it is given, and whether there are more.

    Raises NotAllowed.
    """
    require(by, Permission.PAYMENTS_OVERSEE)
    wanted = select(PaymentEvent).order_by(PaymentEvent.id.desc()).limit(size + 1)
    if state is not None:
        wanted = wanted.where(PaymentEvent.state == state)
    if about is not None:
        wanted = wanted.where(PaymentEvent.about.contains([about]))
    if before_id is not None:
        wanted = wanted.where(PaymentEvent.id < min(before_id, LARGEST_BIGINT))
    with reading() as session:
        found = [_listed(one) for one in session.scalars(wanted)]
    return found[:size], len(found) > size


def numbers(*, by: Actor) -> dict[EventState, int]:
    """How many there are of each state. Raises NotAllowed."""
    require(by, Permission.PAYMENTS_OVERSEE)
    counted = select(PaymentEvent.state, func.count()).group_by(PaymentEvent.state)
    with reading() as session:
        found = {EventState(state): number for state, number in session.execute(counted)}
    return {state: found.get(state, 0) for state in EventState}


def get(number: int, *, by: Actor) -> tuple[Listed, str]:
    """An event, and its words. Raises NotAllowed, NotFound."""
    require(by, Permission.PAYMENTS_OVERSEE)
    with reading() as session:
        found = _found(session, number)
        return _listed(found), found.body.decode("utf-8", "replace")


def replay(number: int, *, by: Actor) -> Listed:
    """Apply it again, whatever became of it: what is there already stays as it is. Raises NotAllowed, NotFound."""
    require(by, Permission.PAYMENTS_MANAGE)
    with writing(by) as session:
        found = _found(session, number, locked=True)
        before, found.state, found.tries = found.state, EventState.WAITING, 0
        found.next_try_at = func.clock_timestamp()
        audit.write(
            session, Event.PAYMENT_EVENT_REPLAYED, f"payment event {found.id}", by=by, kind=found.kind,
            before={"state": before},
        )  # fmt: skip
    apply(number)
    with reading() as session:
        return _listed(_found(session, number))


def replay_dead(*, by: Actor) -> int:
    """`replay` for all that were put aside; returns how many were applied. Raises NotAllowed."""
    require(by, Permission.PAYMENTS_MANAGE)
    dead = select(PaymentEvent.id).where(PaymentEvent.state == EventState.DEAD).order_by(PaymentEvent.id)
    with reading() as session:
        found = list(session.scalars(dead))
    return sum(replay(number, by=by).state in (EventState.APPLIED, EventState.IGNORED) for number in found)


def _fits(secret: SecretStr | None, body: bytes, signature: str) -> bool:
    # An empty secret would be everybody's.
    return secret is not None and bool(secret) and signatures.fits(secret, body, signature)


def _old_secret_counts(session: Session) -> bool:
    changed = settings().razorpay_webhook_secret_changed_at
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return changed is not None and now < changed + OLD_SECRET_COUNTS


def _store(session: Session, event_id: str, source: Source, body: bytes) -> int | None:
    kind, told_at, about = entities.outline(body)
    made = insert(PaymentEvent).values(
        event_id=event_id, source=source, kind=kind, about=about, body=body, told_at=told_at,
        state=EventState.WAITING,
    )  # fmt: skip
    return session.scalar(made.on_conflict_do_nothing(index_elements=["event_id"]).returning(PaymentEvent.id))


def _apply(number: int) -> EventState | None:
    waiting = PaymentEvent.id == number, PaymentEvent.state == EventState.WAITING
    with writing(RAZORPAY) as session:
        event = session.scalar(select(PaymentEvent).where(*waiting).with_for_update(skip_locked=True))
        if event is None:
            return None
        told = entities.read(event.body)
        is_ours = bool(told) and applying.apply(session, told)
        event.state = EventState.APPLIED if is_ours else EventState.IGNORED
        event.applied_at, event.error = func.clock_timestamp(), None
        return EventState(event.state)


def _failed(number: int, sentence: str) -> EventState | None:
    with writing(RAZORPAY) as session:
        event = session.get(PaymentEvent, number, with_for_update=True)
        if event is None or event.state != EventState.WAITING:
            return None
        event.tries, event.error = event.tries + 1, sentence[:500]
        event.next_try_at = func.clock_timestamp() + timedelta(minutes=2 ** (event.tries - 1))
        if event.tries >= MOST_TRIES:
            event.state = EventState.DEAD
            audit.write(
                session, Event.PAYMENT_EVENT_DEAD, f"payment event {event.id}", by=RAZORPAY, kind=event.kind,
                error=event.error,
            )  # fmt: skip
        return EventState(event.state)


def _found(session: Session, number: int, *, locked: bool = False) -> PaymentEvent:
    found = session.get(PaymentEvent, number, with_for_update=locked) if 0 < number <= LARGEST_BIGINT else None
    if found is None:
        raise NotFound(f"There is no payment event {number}.")
    return found


def _listed(one: PaymentEvent) -> Listed:
    waiting = one.state == EventState.WAITING
    return Listed(
        one.id, one.event_id, Source(one.source), one.kind, tuple(one.about), one.told_at, one.received_at,
        EventState(one.state), one.tries, one.next_try_at if waiting else None, one.applied_at, one.error,
    )  # fmt: skip
