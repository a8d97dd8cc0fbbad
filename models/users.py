"""People: who may sign in, in which role, seeing which columns, with which allowance of downloads."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    Boolean,
    DateTime,
    Identity,
    Index,
    Integer,
    Text,
    column,
    delete,
    func,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, credit_ledger
from models.audit import Event
from models.contacts import emails
from models.contacts.table import FIELDS
from models.database import Base, reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.fields import Group
from models.passwords import digest
from models.permissions import OPERATOR, Actor, Permission, Role, require

DEFAULT_DOWNLOAD_LIMIT = 100  # contacts a month

# Names only: their classes in sign_ins need the one of users.
_SESSIONS = table("sign_in_sessions", column("user_id"), column("revoked_at"))
_TICKETS = table("sign_in_tickets", column("user_id"))


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    download_limit: Mapped[int | None] = mapped_column(  # None given is no limit; nothing given is the default
        Integer().evaluates_none(), server_default=text(str(DEFAULT_DOWNLOAD_LIMIT))
    )
    column_allowed: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # fields and groups; NULL is all
    created_by: Mapped[int | None]
    last_ip: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index("users_email", func.lower(text("email")), unique=True),)

    def actor(self, address: str | None = None) -> Actor:
        columns = None if self.column_allowed is None else frozenset(self.column_allowed)
        return Actor(self.id, self.name, Role(self.role), columns, address)


@dataclass(frozen=True)
class Changes:
    """What `change` may set; None leaves a value as it is."""

    name: str | None = None
    role: Role | None = None
    download_limit: int | None = None
    column_allowed: tuple[str, ...] | None = None
    every_column: bool = False
    is_active: bool | None = None


def clean_email(value: str) -> str:
    """The address as it is stored: lower case, normalised. Raises InvalidInput."""
    address = emails.normalised(value)
    if found := emails.problem(address):
        raise InvalidInput(f"“{value}” is not an e-mail address: {found}.")
    return address


def add(
    *,
    email: str,
    name: str,
    role: Role,
    password: str | None = None,
    download_limit: int = DEFAULT_DOWNLOAD_LIMIT,
    column_allowed: tuple[str, ...] | None = None,
    by: Actor,
) -> tuple[User, str]:
    """Create a person; returns it with the password, generated where none was given.

    Raises NotAllowed, InvalidInput, Conflict (the e-mail is taken).
    """
    require(by, Permission.USERS_MANAGE)
    password = password or secrets.token_urlsafe(15)
    user = User(
        email=clean_email(email),
        name=name.strip() or email,
        role=role,
        password_hash=digest(password),
        download_limit=download_limit,
        column_allowed=_known_columns(column_allowed),
        created_by=by.id,
    )
    try:
        with writing(by) as session:
            session.add(user)
            audit.write(session, Event.USER_ADDED, f"user {user.email}", by=by, role=role, limit=download_limit)
            session.flush()
            session.expunge(user)
    except IntegrityError as error:
        raise Conflict(f"There is a user with the e-mail {user.email} already.") from error
    return user, password


def first_administrator(*, email: str, password: str | None) -> tuple[User, str] | None:
    """Create the first administrator where there is nobody yet; None where there is. Safe to call twice at once."""
    with writing(OPERATOR) as session:
        session.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))
        if session.scalar(select(func.count()).select_from(User)):
            return None
        password = password or secrets.token_urlsafe(15)
        user = User(email=clean_email(email), name="Administrator", role=Role.ADMIN, password_hash=digest(password))
        session.add(user)
        audit.write(session, Event.USER_ADDED, f"user {user.email}", by=OPERATOR, role=Role.ADMIN)
        session.flush()
        session.refresh(user)
        session.expunge(user)
    return user, password


def find(email: str, *, by: Actor) -> User:
    """Raises NotAllowed, NotFound."""
    require(by, Permission.USERS_MANAGE)
    with reading() as session:
        return _by_email(session, email)


def everyone(*, by: Actor) -> list[User]:
    require(by, Permission.USERS_MANAGE)
    with reading() as session:
        return list(session.scalars(select(User).order_by(User.email)))


def active(session: Session) -> list[User]:
    """Those who may own contacts."""
    return list(session.scalars(select(User).where(User.is_active).order_by(User.id)))


def acting(user_id: int | None, what: str) -> Actor:
    """Who asked for `what`, with what the person may do now. Raises NotAllowed when the account was closed since."""
    if user_id is None:
        return OPERATOR
    with reading() as session:
        user = session.get(User, user_id)
        if user is None or not user.is_active:
            raise NotAllowed(f"{what} was asked for by an account that is closed.")
        return user.actor()


def change(email: str, changes: Changes, *, by: Actor) -> User:
    """Apply `changes`; the last active administrator stays one. Raises NotAllowed, NotFound, InvalidInput, Conflict."""
    require(by, Permission.USERS_MANAGE)
    with writing(by) as session:
        session.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))  # two may not demote each other at once
        user = _by_email(session, email)
        before, led = _described(user), _has_administrator(session)
        for name in ("name", "role", "download_limit", "is_active"):
            if (value := getattr(changes, name)) is not None:
                setattr(user, name, value)
        if changes.every_column or changes.column_allowed is not None:
            user.column_allowed = _known_columns(None if changes.every_column else changes.column_allowed)
        user.updated_at = func.now()
        session.flush()
        credit_ledger.limit_changed(session, user.id, by=by)
        if led and not _has_administrator(session):
            raise Conflict("This is the last active administrator: name another one first.")
        session.refresh(user)
        event = Event.USER_DEACTIVATED if changes.is_active is False else Event.USER_CHANGED
        audit.write(session, event, f"user {user.email}", by=by, before=before, after=_described(user))
        session.flush()
        session.expunge(user)
    return user


def deactivate(email: str, *, by: Actor) -> User:
    return change(email, Changes(is_active=False), by=by)


def set_password(email: str, password: str | None, *, by: Actor) -> str:
    """Give a person a new password, generated where it is None, and return it; whoever was signed in with the old one
    no longer is. Raises NotAllowed, NotFound, InvalidInput (an empty one).
    """
    require(by, Permission.USERS_MANAGE)
    chosen = secrets.token_urlsafe(15) if password is None else password
    if not chosen:
        raise InvalidInput("The new password is empty: give one, or leave it out to have one generated.")
    hashed = digest(chosen)
    with writing(by) as session:
        user = _by_email(session, email)
        user.password_hash, user.updated_at = hashed, func.now()
        session.execute(delete(_TICKETS).where(_TICKETS.c.user_id == user.id))
        live = _SESSIONS.c.user_id == user.id, _SESSIONS.c.revoked_at.is_(None)
        session.execute(update(_SESSIONS).where(*live).values(revoked_at=func.now()))
        changed = "changed"  # the word, never the password
        audit.write(session, Event.USER_CHANGED, f"user {user.email}", by=by, password=changed)
    return chosen


def _by_email(session: Session, email: str) -> User:
    user = session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))
    if user is None:
        raise NotFound(f"There is no user with the e-mail {email}.")
    return user


def _described(user: User) -> dict[str, object]:
    return {
        "name": user.name,
        "role": user.role,
        "download_limit": user.download_limit,
        "column_allowed": user.column_allowed,
        "is_active": user.is_active,
    }


def _has_administrator(session: Session) -> bool:
    return bool(session.scalar(select(func.count()).where(User.role == Role.ADMIN, User.is_active)))


def _known_columns(names: tuple[str, ...] | None) -> list[str] | None:
    if names is None:
        return None
    known = {*FIELDS, *(group.value for group in Group)}
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput(f"Unknown column {', '.join(unknown)}. Known are: {', '.join(sorted(known))}.")
    return list(names)
