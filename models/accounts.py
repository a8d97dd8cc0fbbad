"""The account of a person: its row, its e-mail in the one spelling that counts, and how it is found."""

import unicodedata
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, Boolean, DateTime, Identity, Index, Integer, Row, Text, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.contacts import emails
from models.database import Base
from models.errors import InvalidInput, NotAllowed, NotFound
from models.permissions import NOBODY, Actor, Permission, Role, require_own

DEFAULT_DOWNLOAD_LIMIT = 100  # contacts a month
MAX_EMAIL = 254  # RFC 5321's longest path
MAX_NAME = 200
KEPT = timedelta(days=30)  # what is over of an account: its ended sessions, used links, sent messages


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)  # NULL until the invitation is accepted
    # NULL is no limit; only what is left out becomes the default.
    download_limit: Mapped[int | None] = mapped_column(
        Integer().evaluates_none(), server_default=text(str(DEFAULT_DOWNLOAD_LIMIT))
    )
    column_allowed: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # fields and groups; NULL is all
    created_by: Mapped[int | None]
    last_ip: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index("users_email", func.lower(text("email")), unique=True),)

    def actor(self, address: str | None = None, session_id: int | None = None) -> Actor:
        return acting(self, address, session_id)


# What `acting` reads, for who asks for no more: a whole row costs its object.
ACTING = (User.id, User.name, User.role, User.column_allowed)


def acting(user: User | Row[*tuple[Any, ...]], address: str | None = None, session_id: int | None = None) -> Actor:
    """The person as who acts, of a row or of its ACTING columns."""
    columns = None if user.column_allowed is None else frozenset(user.column_allowed)
    return Actor(user.id, user.name, Role(user.role), columns, address, session_id)


def clean_email(value: str) -> str:
    """The address as it is stored: one spelling for each account. Raises InvalidInput.

    Capitals, full-width and other compatibility characters (NFKC) do not tell accounts apart. A domain is written as
    the DNS has it (xn--…). Letters beyond ASCII before the @ are refused: a Cyrillic а is not to be told from a Latin
    one by eye.
    """
    address = emails.normalised(unicodedata.normalize("NFKC", value))
    if found := emails.problem(address):
        raise InvalidInput(f"“{value}” is not an e-mail address: {found}.", field="email")
    if strange := [character for character in address.rpartition("@")[0] if not character.isascii()]:
        raise InvalidInput(
            f"“{value}” has “{strange[0]}” before the @, which can look like another letter. "
            "Accounts need an address whose part before the @ is plain letters, digits and signs.",
            field="email",
        )
    return emails.with_ascii_domain(address)


def looked_up(value: str) -> str:
    """`clean_email` for looking somebody up: what is no address is nobody's."""
    value = printable(value.strip()[: 2 * MAX_EMAIL])
    try:
        return clean_email(value)
    except InvalidInput:
        return value.strip().lower()[:MAX_EMAIL]


def printable(value: str) -> str:
    """NULs, half surrogate pairs and the like, which the database refuses to be asked about, become �."""
    return "".join(character if character.isprintable() else "�" for character in value)


def clean_name(value: str) -> str:
    """Without control characters and needless blanks. Raises InvalidInput for one that is empty or too long."""
    blank = ("Cc", "Cs", "Z")  # control characters, half surrogate pairs, separators
    name = "".join(" " if unicodedata.category(one).startswith(blank) else one for one in value)
    name = " ".join(name.split())
    if not name:
        raise InvalidInput("The name is empty. Give the name that others are to see.", field="name")
    if len(name) > MAX_NAME:
        raise InvalidInput(f"The name has more than {MAX_NAME} characters. Shorten it.", field="name")
    return name


def by_email(session: Session, email: str, *, locked: bool = False) -> User:
    """Raises NotFound."""
    query = select(User).where(User.email == looked_up(email))
    user = session.scalar(query.with_for_update() if locked else query)
    if user is None:
        raise NotFound(f"There is no user with the e-mail {email}.")
    return user


def lock(session: Session) -> None:
    """Until the transaction ends nobody else changes a person or signs in: two may not demote each other at once."""
    session.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))


def share(session: Session) -> None:
    """First in a transaction that writes an account and what belongs to it: it waits for `lock` before it holds any
    row that whoever has the lock will want, or both would wait for each other.
    """
    session.execute(text("LOCK TABLE users IN ROW EXCLUSIVE MODE"))


def locked(session: Session, user_id: int) -> User:
    """The person's row as it is now, for this transaction alone: taken before tickets, links and factors, so that a new
    password ends also what was just being opened with the old one.
    """
    return session.get_one(User, user_id, with_for_update=True, populate_existing=True)


def require_self(by: Actor) -> int:
    """The id of the person who acts on their own account. Raises NotAllowed for who is none, as the operator is, and
    for a token without that scope."""
    if by.id is None:
        raise NotAllowed("Only a signed-in person can do this, for themselves.")
    require_own(by)
    return by.id


def require_session(by: Actor) -> int:
    """`require_self` for what a lost token must not be able to do: the person has signed in. Raises NotAllowed."""
    if by.scopes is not None:
        raise NotAllowed("A token may not do this: sign in, and use the session's.")
    return require_self(by)


def require_still(session: Session, by: Actor, permission: Permission) -> None:
    """Look again, in this transaction: the person may have lost the permission since they were let in. Whoever is just
    changing people is waited for."""
    share(session)
    if by.id is None:
        return
    user = session.get(User, by.id, populate_existing=True)
    if user is None or not user.is_active or permission not in Role(user.role).permissions:
        raise NotAllowed(f"You may not {permission.value} any more: your account was changed meanwhile.")


def nobody(address: str | None) -> Actor:
    """Who is not signed in yet, at that address."""
    return replace(NOBODY, address=address)
