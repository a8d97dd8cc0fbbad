"""Sign-in: server-side sessions behind an HttpOnly cookie, opened by a single-use ticket.

The form checks the password and gets a ticket; the browser hands the ticket to the route that sets the cookie; every
later request shows the session's token. Tickets and tokens are random and stored only as their SHA-256.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Text,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, passwords
from models.audit import Event
from models.database import Base, reading, writing
from models.errors import NotAllowed
from models.permissions import Actor, Role
from models.settings import settings
from models.users import User

TICKET_LASTS = timedelta(seconds=30)
SEEN_EVERY = timedelta(minutes=1)  # a session's last use is written at most this often
TRIES = 5  # failures in a row before each wait
WAITS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))  # the last one repeats
FORGOTTEN = timedelta(hours=24)  # failures older than this no longer count
ADDRESS_TRIES = 60  # failures from one address, over all accounts, within ADDRESS_WINDOW
ADDRESS_WINDOW = timedelta(minutes=15)
MAX_EMAIL = 254  # RFC 5321's longest path


class SignInRefused(NotAllowed):
    """A wrong password or an unknown, deactivated or paused account: which of them is not said, except the pause."""


class SignInTicket(Base):
    """Handed from the form to the cookie-setting route; hashed, used once, gone after 30 seconds."""

    __tablename__ = "sign_in_tickets"

    token_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    stage: Mapped[str] = mapped_column(Text, server_default="session")
    stays: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))


class SignInSession(Base):
    __tablename__ = "sign_in_sessions"

    token_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    address: Mapped[str | None] = mapped_column(Text)
    device: Mapped[str | None] = mapped_column(Text)
    id: Mapped[int] = mapped_column(BigInteger, Identity())  # what a list of sessions may show
    stays: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))  # beyond the browser's end

    __table_args__ = (Index("sign_in_sessions_user", "user_id"), Index("sign_in_sessions_id", "id", unique=True))


class SignInFailure(Base):
    """One failed try; the waits that follow from them are counted here, so that they hold over instances."""

    __tablename__ = "sign_in_failures"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())

    __table_args__ = (
        Index("sign_in_failures_email", "email", "at"),
        Index("sign_in_failures_address", "address", "at"),
    )


def check_password(email: str, password: str, *, address: str | None) -> Actor:
    """The person whose e-mail (in any capitals) and password these are; a known and an unknown e-mail take as long.

    Raises SignInRefused, also for the right password while the account waits.
    """
    email = email.strip().lower()[:MAX_EMAIL]
    attempt = _begin(email, address)
    with reading() as session:
        user = session.scalar(select(User).where(func.lower(User.email) == email, User.is_active))
        stored = user.password_hash if user else None
    if not passwords.matches(password, stored) or user is None:
        raise SignInRefused(_failed(email, address))
    actor = user.actor(address)
    with writing(actor) as session:
        session.execute(delete(SignInFailure).where(SignInFailure.email == email, SignInFailure.id <= attempt))
        session.execute(delete(SignInFailure).where(SignInFailure.at < func.now() - FORGOTTEN))
    return actor


def issue_ticket(by: Actor) -> str:
    """A ticket for the person whose password was just right; single use, 30 seconds."""
    ticket = secrets.token_urlsafe(32)
    with writing(by) as session:
        session.execute(delete(SignInTicket).where(SignInTicket.expires_at < func.now()))
        session.add(SignInTicket(token_hash=_hash(ticket), user_id=by.id, expires_at=datetime.now(UTC) + TICKET_LASTS))
    return ticket


def redeem_ticket(ticket: str, *, address: str | None, device: str | None) -> str:
    """Trade the ticket for a session's token. Raises SignInRefused for one used, expired or never issued."""
    token = secrets.token_urlsafe(32)
    with writing(_nobody(address)) as session:
        used = delete(SignInTicket).where(SignInTicket.token_hash == _hash(ticket))
        found = session.execute(used.returning(SignInTicket.user_id, SignInTicket.expires_at)).one_or_none()
        user = session.get(User, found.user_id) if found and found.expires_at > datetime.now(UTC) else None
        if user is None or not user.is_active:
            raise SignInRefused("This sign-in was used already or took longer than 30 seconds. Sign in again.")
        expires = datetime.now(UTC) + timedelta(hours=settings().session_hours)
        session.add(
            SignInSession(
                token_hash=_hash(token),
                user_id=user.id,
                expires_at=expires,
                address=address,
                device=(device or "")[:300],
            )
        )
        user.last_ip = address
        audit.write(session, Event.SIGNED_IN, f"user {user.email}", by=user.actor(address), device=(device or "")[:300])
    return token


def actor_of(token: str | None) -> Actor | None:
    """The active person behind an unexpired, unrevoked session; else None."""
    if not token:
        return None
    with reading() as session:
        columns = (User, SignInSession.address, SignInSession.last_seen_at)
        found = session.execute(
            select(*columns).join(User, User.id == SignInSession.user_id).where(_is(token), *_live())
        ).one_or_none()
        actor = found.User.actor(found.address) if found else None
    if found and actor and found.last_seen_at < datetime.now(UTC) - SEEN_EVERY:
        with writing(actor) as session:
            session.execute(update(SignInSession).where(_is(token)).values(last_seen_at=func.now()))
    return actor


def sign_out(token: str | None) -> None:
    """End the session; one that has ended, or never was, changes nothing."""
    actor = actor_of(token)
    if actor is None or token is None:
        return
    with writing(actor) as session:
        session.execute(update(SignInSession).where(_is(token)).values(revoked_at=func.now()))
        user = session.get_one(User, actor.id)
        audit.write(session, Event.SIGNED_OUT, f"user {user.email}", by=actor)


def _is(token: str) -> ColumnElement[bool]:
    return SignInSession.token_hash == _hash(token)


def _live() -> tuple[ColumnElement[bool], ...]:
    return SignInSession.revoked_at.is_(None), SignInSession.expires_at > func.now(), User.is_active.is_(True)


def _begin(email: str, address: str | None) -> int:
    """Count the try as a failure before its password is looked at: a hundred tries at once get no further than five."""
    with writing(_nobody(address)) as session:
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(email, 360))))
        wait = _wait(session, email, address)
        if wait <= timedelta(0):
            attempt = SignInFailure(email=email, address=address)
            session.add(attempt)
            session.flush()
            return attempt.id
        audit.write(session, Event.SIGN_IN_FAILED, f"user {email}", by=_nobody(address), reason="paused")
    raise SignInRefused(f"Too many failed tries. Try again in {_words(wait)}.")


def _wait(session: Session, email: str, address: str | None) -> timedelta:
    """How long this account, or this address, still has to wait; zero or less when it has not."""
    now = session.scalar(select(func.clock_timestamp())) or datetime.now(UTC)
    count, latest = _failures(session, SignInFailure.email == email, since=now - FORGOTTEN)
    waits = [latest + pause_after(count) - now] if latest else []
    if address:
        count, latest = _failures(session, SignInFailure.address == address, since=now - ADDRESS_WINDOW)
        waits += [latest + WAITS[0] - now] if latest and count >= ADDRESS_TRIES else []
    return max(waits, default=timedelta(0))


def _failures(session: Session, which: ColumnElement[bool], *, since: datetime) -> tuple[int, datetime | None]:
    latest = select(func.count(), func.max(SignInFailure.at)).where(which, SignInFailure.at > since)
    count, at = session.execute(latest).one()
    return count, at


def pause_after(failures: int) -> timedelta:
    """Nothing until the fifth failure in a row, then 1, 5 and 15 minutes after each five more."""
    if failures == 0 or failures % TRIES:
        return timedelta(0)
    return WAITS[min(failures // TRIES, len(WAITS)) - 1]


def _failed(email: str, address: str | None) -> str:
    """Write the failure's audit line; returns the sentence, the same whether or not there is such an account."""
    with writing(_nobody(address)) as session:
        audit.write(session, Event.SIGN_IN_FAILED, f"user {email}", by=_nobody(address), reason="no match")
        count, _ = _failures(session, SignInFailure.email == email, since=datetime.now(UTC) - FORGOTTEN)
    wrong = "That e-mail and password do not match."
    if pause := pause_after(count):
        return f"{wrong} Try again in {_words(pause)}."
    left = TRIES - count % TRIES
    next_pause = _words(pause_after(count + left))
    return f"{wrong} {left} {'try' if left == 1 else 'tries'} left before a pause of {next_pause}."


def _nobody(address: str | None) -> Actor:
    """Who tries to sign in is not known yet, and may see nothing."""
    return Actor(None, "nobody", Role.ANALYST, frozenset(), address)


def _words(wait: timedelta) -> str:
    """“1 min”, “4 min 12 s”: rounded up, so that the time is over when it says so."""
    minutes, seconds = divmod(-(-wait // timedelta(seconds=1)), 60)
    return " ".join(part for part in (f"{minutes} min" if minutes else "", f"{seconds} s" if seconds else "") if part)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
