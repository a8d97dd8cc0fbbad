"""Personal tokens: what a program shows in place of a person's sign-in. Random, shown once, stored as their SHA-256."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import accounts, audit, secret_tokens
from models.accounts import User
from models.audit import Event
from models.database import LARGEST_ID, Base, asked, compiled, reading, writing
from models.errors import Conflict, InvalidInput, NotFound
from models.permissions import OPERATOR, SCOPES, Actor, Permission, require

PREFIX = "a360_"  # by which scanners find one that was published, and which no session's token has
ENDING = 4  # characters that a list shows
MOST = 50  # that count at once, of one person
MOST_DAYS = 3650
USED_EVERY = timedelta(minutes=1)  # the last use is written at most this often


class Token(Base):
    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(Text)
    ending: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # NULL is all that the person may
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_address: Mapped[str | None] = mapped_column(Text)
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (Index("tokens_hash", "token_hash", unique=True), Index("tokens_user", "user_id"))


def _works() -> ColumnElement[bool]:
    unexpired = func.coalesce(Token.expires_at > func.clock_timestamp(), True)
    return Token.revoked_at.is_(None) & unexpired


@cache
def _known() -> tuple[str, dict[str, Any]]:
    """Put together once: every request asks it, with the `hash` of its token."""
    stale = func.coalesce(Token.last_used_at < func.clock_timestamp() - USED_EVERY, True).label("stale")
    known = select(*accounts.ACTING, Token.id.label("token_id"), Token.scopes, stale)
    by_hash = Token.token_hash == bindparam("hash", "")
    return compiled(known.join(User, User.id == Token.user_id).where(by_hash, _works(), User.is_active))


@dataclass(frozen=True)
class Listed:
    """A token as its owner sees it: never itself, only how it ends. `works`: neither revoked nor expired."""

    id: int
    name: str
    ending: str
    scopes: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_address: str | None
    works: bool


def create(name: str, *, scopes: Collection[str] | None = None, days: int | None = 90, by: Actor) -> tuple[int, str]:
    """The number of a new token of one's own, and the token, which nobody can read again.

    `scopes` are names of SCOPES, None means all that the person may; `days` None means that it does not expire. Raises
    NotAllowed (also for a token: it makes no other), InvalidInput.
    """
    user_id = accounts.require_session(by)
    with writing(by) as session:
        return _created(session, accounts.locked(session, user_id), name, scopes, days, by)


def create_for(
    email: str, name: str, *, scopes: Collection[str] | None = None, days: int | None = 90, by: Actor
) -> tuple[int, str]:
    """`create` for somebody else, at the machine's command line. Raises NotAllowed, NotFound, InvalidInput."""
    require(by, Permission.USERS_MANAGE)
    with writing(by) as session:
        accounts.require_still(session, by, Permission.USERS_MANAGE)
        user = accounts.by_email(session, email, locked=True)
        if not user.is_active:
            raise Conflict(f"{user.email} is deactivated. Reactivate the account first.")
        return _created(session, user, name, scopes, days, by)


def listed(*, by: Actor) -> list[Listed]:
    """One's own, the newest first, also those that work no more. Raises NotAllowed."""
    user_id = accounts.require_self(by)
    with reading() as session:
        return _of(session, user_id)


def listed_of(email: str, *, by: Actor) -> list[Listed]:
    """`listed` of somebody else. Raises NotAllowed, NotFound."""
    require(by, Permission.USERS_MANAGE)
    with reading() as session:
        return _of(session, accounts.by_email(session, email).id)


def revoke(token_id: int, *, by: Actor) -> None:
    """It works no more from this moment on. Raises NotAllowed; NotFound, also where it is somebody else's or was
    revoked already."""
    user_id = accounts.require_self(by)
    with writing(by) as session:
        _revoked(session, session.get_one(User, user_id), token_id, by)


def revoke_of(email: str, token_id: int, *, by: Actor) -> None:
    """`revoke` for somebody else: it was lost, or is used for what it should not. Raises NotAllowed, NotFound."""
    require(by, Permission.USERS_MANAGE)
    with writing(by) as session:
        accounts.require_still(session, by, Permission.USERS_MANAGE)
        _revoked(session, accounts.by_email(session, email), token_id, by)


def revoke_all_of(email: str, *, by: Actor) -> int:
    """`revoke` for all that somebody has; returns how many worked. Raises NotAllowed, NotFound."""
    require(by, Permission.USERS_MANAGE)
    with writing(by) as session:
        accounts.require_still(session, by, Permission.USERS_MANAGE)
        user = accounts.by_email(session, email, locked=True)  # who is just making one is waited for
        working = list(session.scalars(select(Token.id).where(Token.user_id == user.id, _works())))
        for token_id in working:
            _revoked(session, user, token_id, by)
    return len(working)


def actor_of(token: str, *, address: str | None) -> Actor | None:
    """The active person whose token it is, with what it may do of what the person may at this moment; else None."""
    found = next(iter(asked(*question(token))), None)
    if found is None:
        return None
    actor = _acting(found, address)
    if found.stale:
        used = update(Token).where(Token.id == found.token_id)
        with writing(actor) as session:
            session.execute(used.values(last_used_at=func.clock_timestamp(), last_address=address))
    return actor


def question(token: str) -> tuple[str, dict[str, Any]]:
    """What `actor_of` asks, for who asks it elsewhere and reads the answer by `in_use`."""
    statement, given = _known()
    return statement, {**given, "hash": secret_tokens.hashed(token)}


def in_use(rows: list[Any], *, address: str | None) -> Actor | None:
    """`actor_of`, of the answer to its question; None also where the use has to be noted, which `actor_of` does."""
    return _acting(rows[0], address) if rows and not rows[0].stale else None


def clear_ended() -> None:
    """Remove those that ended so long ago that nobody asks why they do not work."""
    ended = func.least(Token.expires_at, Token.revoked_at) < func.clock_timestamp() - accounts.KEPT
    with writing(OPERATOR) as session:
        session.execute(delete(Token).where(ended))


def _acting(found: Any, address: str | None) -> Actor:
    scopes = SCOPES if found.scopes is None else found.scopes
    return replace(accounts.acting(found, address), scopes=frozenset(scopes))


def _created(
    session: Session, user: User, name: str, scopes: Collection[str] | None, days: int | None, by: Actor
) -> tuple[int, str]:
    if unknown := sorted(set(scopes or ()) - set(SCOPES)):
        raise InvalidInput(f"There is no scope “{unknown[0][:60]}”. Scopes are: {', '.join(SCOPES)}.", field="scopes")
    if scopes is not None and not scopes:
        raise InvalidInput(
            "A token without a scope could do nothing: name some, or leave them out for all.", field="scopes"
        )
    if days is not None and not 0 < days <= MOST_DAYS:
        raise InvalidInput(f"A token works for 1 to {MOST_DAYS:,} days, or until it is revoked.", field="days")
    of_person = select(func.count()).where(Token.user_id == user.id, _works())
    if (session.scalar(of_person) or 0) >= MOST:
        whose = "You have" if user.id == by.id else f"{user.email} has"
        raise InvalidInput(f"{whose} {MOST} tokens that work: revoke one of them first.")
    token = PREFIX + secret_tokens.fresh()
    row = Token(
        user_id=user.id,
        name=accounts.clean_name(name),
        token_hash=secret_tokens.hashed(token),
        ending=token[-ENDING:],
        scopes=None if scopes is None else [one for one in SCOPES if one in scopes],
        expires_at=None if days is None else func.clock_timestamp() + timedelta(days=days),
    )
    session.add(row)
    session.flush()
    audit.write(
        session, Event.TOKEN_CREATED, f"user {user.email}", by=by, token=row.id, name=row.name, scopes=row.scopes,
        days=days,
    )  # fmt: skip
    return row.id, token


def _of(session: Session, user_id: int) -> list[Listed]:
    wanted = select(Token, _works().label("works")).where(Token.user_id == user_id).order_by(Token.id.desc())
    return [_listed(row.Token, row.works) for row in session.execute(wanted)]


def _revoked(session: Session, user: User, token_id: int, by: Actor) -> None:
    which = Token.id == (token_id if 0 < token_id <= LARGEST_ID else 0), Token.user_id == user.id
    ended = update(Token).where(*which, Token.revoked_at.is_(None)).values(revoked_at=func.clock_timestamp())
    found = session.execute(ended.returning(Token.name)).one_or_none()
    if found is None:
        raise NotFound(f"{'You have' if user.id == by.id else f'{user.email} has'} no token {token_id} that works.")
    audit.write(session, Event.TOKEN_REVOKED, f"user {user.email}", by=by, token=token_id, name=found.name)


def _listed(one: Token, works: bool) -> Listed:
    scopes = None if one.scopes is None else tuple(one.scopes)
    return Listed(
        one.id, one.name, one.ending, scopes, one.created_at, one.expires_at, one.last_used_at, one.last_address, works
    )
