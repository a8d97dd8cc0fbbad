"""Server-side sessions: what stands behind a browser's cookie, where somebody is signed in, and how that ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Interval,
    Text,
    bindparam,
    case,
    delete,
    exists,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from models import accounts, audit, secret_tokens
from models.accounts import User
from models.audit import Event
from models.database import LARGEST_BIGINT, Base, asked, compiled, reading, writing
from models.errors import NotFound
from models.permissions import OPERATOR, Actor, Permission, Role, require
from models.settings import settings

SEEN_EVERY = timedelta(minutes=1)  # a session's last use is written at most this often
MAX_DEVICE = 300  # characters of what a browser says of itself


class SignInTicket(Base):
    """Handed from the form to the next step or to the cookie-setting route; hashed, soon gone."""

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


def _live() -> tuple[ColumnElement[bool], ...]:
    return *_not_ended(), SignInSession.last_seen_at > func.clock_timestamp() - _unused_for()


def _not_ended() -> tuple[ColumnElement[bool], ...]:
    """But perhaps for want of use."""
    unexpired = SignInSession.expires_at > func.clock_timestamp()
    return SignInSession.revoked_at.is_(None), unexpired, User.is_active.is_(True)


def _patience() -> dict[str, timedelta]:
    """How long nobody may use a session until it ends."""
    chosen = settings()
    return {"idle": timedelta(hours=chosen.idle_hours), "admin_idle": timedelta(hours=chosen.admin_idle_hours)}


def _unused_for() -> ColumnElement[timedelta]:
    """The patience with the person's role, as it is now."""
    given = {name: bindparam(name, value, Interval) for name, value in _patience().items()}
    return case((User.role == Role.ADMIN, given["admin_idle"]), else_=given["idle"])


@cache
def _known() -> tuple[str, dict[str, Any]]:
    """Put together once: every request, and every run of a screen, asks it, with the `hash` of its token."""
    stale = (SignInSession.last_seen_at < func.clock_timestamp() - SEEN_EVERY).label("stale")
    known = select(*accounts.ACTING, SignInSession.address, SignInSession.id.label("session_id"), stale)
    by_hash = SignInSession.token_hash == bindparam("hash", "")
    return compiled(known.join(User, User.id == SignInSession.user_id).where(by_hash, *_live()))


@dataclass(frozen=True)
class OpenSession:
    """One place where the person is signed in; `device` is “Firefox on Windows”."""

    id: int
    device: str
    address: str | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    is_this: bool


def begin(session: Session, user: User, *, stays: bool, address: str | None, device: str | None) -> str:
    """A new session's token, in the caller's transaction."""
    token = secret_tokens.fresh()
    lasts = timedelta(days=settings().stay_days) if stays else timedelta(hours=settings().session_hours)
    row = SignInSession(
        token_hash=secret_tokens.hashed(token),
        user_id=user.id,
        expires_at=func.clock_timestamp() + lasts,
        address=address,
        device=accounts.printable(device or "")[:MAX_DEVICE],
        stays=stays,
    )
    session.add(row)
    session.flush()
    return token


def actor_of(token: str | None) -> Actor | None:
    """The active person behind an unexpired, unrevoked session, with what they may do at this moment; else None."""
    if not token:
        return None
    statement, given = _known()
    found = next(iter(asked(statement, {**given, **_patience(), "hash": secret_tokens.hashed(token)})), None)
    if found is None:
        return None
    actor = accounts.acting(found, found.address, found.session_id)
    if found.stale:
        with writing(actor) as session:
            session.execute(update(SignInSession).where(_is(token)).values(last_seen_at=func.clock_timestamp()))
    return actor


def lasts(token: str) -> timedelta | None:
    """How long the browser is to keep the cookie of a session; None: until it is closed."""
    with reading() as session:
        stays = session.scalar(select(SignInSession.stays).where(_is(token)))
    return timedelta(days=settings().stay_days) if stays else None


def ends_at(token: str) -> datetime | None:
    """When the session is over, unless it is ended before; None where there is none."""
    with reading() as session:
        return session.scalar(select(SignInSession.expires_at).where(_is(token)))


def ended_unused(token: str | None) -> timedelta | None:
    """How long nobody had used the session when it ended by that; None where it goes on, or ended otherwise."""
    if not token:
        return None
    unused = SignInSession.last_seen_at <= func.clock_timestamp() - _unused_for()
    with reading() as session:
        found = select(_unused_for()).select_from(SignInSession).join(User, User.id == SignInSession.user_id)
        return session.scalar(found.where(_is(token), *_not_ended(), unused))


def sign_out(token: str | None) -> None:
    """End the session; one that has ended, or never was, changes nothing."""
    actor = actor_of(token)
    if actor is None or token is None:
        return
    with writing(actor) as session:
        session.execute(update(SignInSession).where(_is(token)).values(revoked_at=func.clock_timestamp()))
        user = session.get_one(User, actor.id)
        audit.write(session, Event.SIGNED_OUT, f"user {user.email}", by=actor)


def sessions_of(*, by: Actor) -> list[OpenSession]:
    """Where the person is signed in, the one that asks first, then the latest used. Raises NotAllowed."""
    user_id = accounts.require_self(by)
    with reading() as session:
        rows = session.scalars(
            select(SignInSession)
            .join(User, User.id == SignInSession.user_id)
            .where(SignInSession.user_id == user_id, *_live())
            .order_by(SignInSession.last_seen_at.desc(), SignInSession.id.desc())
        ).all()
    found = [
        OpenSession(
            row.id,
            device_name(row.device),
            row.address,
            row.created_at,
            row.last_seen_at,
            row.expires_at,
            row.id == by.session_id,
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: not one.is_this)


def end(session_id: int, *, by: Actor) -> None:
    """Sign the person out in one place. Raises NotAllowed, NotFound (also where it is somebody else's)."""
    user_id = accounts.require_self(by)
    session_id = session_id if 0 < session_id <= LARGEST_BIGINT else 0  # what no column holds is nobody's
    with writing(by) as session:
        mine = SignInSession.user_id == user_id, SignInSession.id == session_id, SignInSession.revoked_at.is_(None)
        revoked = update(SignInSession).where(*mine).values(revoked_at=func.clock_timestamp())
        device = session.execute(revoked.returning(SignInSession.device)).one_or_none()
        if device is None:
            raise NotFound("That session has ended already.")
        user = session.get_one(User, user_id)
        audit.write(
            session, Event.SESSIONS_ENDED, f"user {user.email}", by=by, sessions=1, device=device_name(device.device)
        )


def end_others(*, by: Actor, token: str | None) -> int:
    """Sign the person out everywhere but in the session of `token`; returns in how many places. Raises NotAllowed."""
    user_id = accounts.require_self(by)
    with writing(by) as session:
        user = accounts.locked(session, user_id)
        ended = end_of(session, user_id, keep=token)
        audit.write(session, Event.SESSIONS_ENDED, f"user {user.email}", by=by, sessions=ended)
    return ended


def end_all(email: str, *, by: Actor) -> int:
    """Sign somebody out everywhere; returns in how many places. Raises NotAllowed, NotFound."""
    require(by, Permission.USERS_MANAGE)
    with writing(by) as session:
        accounts.require_still(session, by, Permission.USERS_MANAGE)
        user = accounts.by_email(session, email, locked=True)
        ended = end_of(session, user.id)
        audit.write(session, Event.SESSIONS_ENDED, f"user {user.email}", by=by, sessions=ended)
    return ended


def end_of(session: Session, user_id: int, *, keep: str | None = None) -> int:
    """In the caller's transaction, which holds the person's row or all: tickets and sessions end, but not that of the
    token `keep`. A ticket that is just being redeemed would else become a session that nobody ended."""
    ended = update(SignInSession).where(SignInSession.user_id == user_id, SignInSession.revoked_at.is_(None))
    ended = ended.where(SignInSession.expires_at > func.clock_timestamp())
    if keep:
        ended = ended.where(~_is(keep))
    revoked = session.execute(ended.values(revoked_at=func.clock_timestamp()).returning(SignInSession.id)).all()
    session.execute(delete(SignInTicket).where(SignInTicket.user_id == user_id))
    return len(revoked)


def clear_ended() -> None:
    """Remove tickets that are over, and sessions that ended long ago; the last one of a person stays, since the list of
    people says when somebody was seen."""
    ended = func.least(SignInSession.expires_at, SignInSession.revoked_at) < func.clock_timestamp() - accounts.KEPT
    later = aliased(SignInSession)
    used_later = tuple_(later.last_seen_at, later.id) > tuple_(SignInSession.last_seen_at, SignInSession.id)
    another = exists().where(later.user_id == SignInSession.user_id, used_later)
    with writing(OPERATOR) as session:
        session.execute(delete(SignInTicket).where(SignInTicket.expires_at < func.clock_timestamp()))
        gone = delete(SignInSession).where(ended, another)
        session.execute(gone, execution_options={"synchronize_session": False})


@lru_cache(maxsize=1000)
def device_name(user_agent: str | None) -> str:
    """“Firefox on Windows”; what says nothing of itself is an unknown device."""
    import ua_parser  # its expressions take 0.1 s to load, which only a list of sessions needs

    parsed = ua_parser.parse(user_agent or "")
    browser = parsed.user_agent.family if parsed.user_agent else None
    system = parsed.os.family if parsed.os else None
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "Unknown device"


def _is(token: str) -> ColumnElement[bool]:
    return SignInSession.token_hash == secret_tokens.hashed(token)
