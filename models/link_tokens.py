"""The links that mails carry, as stored rows: made, taken once, ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import DateTime, ForeignKey, Index, Text, delete, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import accounts, secret_tokens
from models.accounts import User
from models.database import Base, writing
from models.errors import NotAllowed
from models.permissions import OPERATOR, Actor
from models.settings import settings


class Purpose(StrEnum):
    INVITATION = "invitation"
    RESET = "reset"
    EMAIL = "email"

    @property
    def lasts(self) -> timedelta:
        return LASTS[self]


LASTS = {
    Purpose.INVITATION: timedelta(days=7),
    Purpose.RESET: timedelta(hours=1),
    Purpose.EMAIL: timedelta(hours=1),
}


class AccountLink(Base):
    __tablename__ = "account_links"

    token_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    purpose: Mapped[str] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)  # the new address, where one is confirmed
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    created_by: Mapped[int | None]
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (Index("account_links_user", "user_id", "purpose"),)


class LinkRefused(NotAllowed):
    """The link was used, has expired, was replaced or was never issued: which of them is not said."""

    def __init__(self) -> None:
        super().__init__(
            "This link does not work any more: it was used, has expired or was replaced by a newer one. "
            "Ask for a new one."
        )


@dataclass(frozen=True)
class Link:
    """A link that works. `email` is the new address where one is to be confirmed, else the account's."""

    user: User
    purpose: Purpose
    email: str


def make(session: Session, user_id: int, purpose: Purpose, *, email: str | None = None, by: Actor | None) -> str:
    """A new link's token, in the caller's transaction; those made before keep working."""
    token = secret_tokens.fresh()
    session.add(
        AccountLink(
            token_hash=secret_tokens.hashed(token),
            user_id=user_id,
            purpose=purpose,
            email=email,
            created_by=by.id if by else None,
            expires_at=func.clock_timestamp() + purpose.lasts,
        )
    )
    session.flush()
    return token


def address(token: str) -> str:
    """What a person opens. The start page takes the token from its address."""
    return f"{settings().address}/?link={token}"


def look(session: Session, token: str) -> Link:
    """What the link is for, without using it. Raises LinkRefused."""
    working = AccountLink.used_at.is_(None), AccountLink.expires_at > func.clock_timestamp(), User.is_active
    query = (
        select(User, AccountLink.purpose, AccountLink.email)
        .join(User, User.id == AccountLink.user_id)
        .where(AccountLink.token_hash == secret_tokens.hashed(token), *working)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        raise LinkRefused
    return Link(found.User, Purpose(found.purpose), found.email or found.User.email)


def use(session: Session, token: str, *purposes: Purpose) -> Link:
    """Take the link in the caller's transaction: of two at once one gets it. Raises LinkRefused."""
    holder = select(AccountLink.user_id).where(AccountLink.token_hash == secret_tokens.hashed(token))
    user_id = session.scalar(holder)
    user = accounts.locked(session, user_id) if user_id else None
    taken = session.execute(
        update(AccountLink)
        .where(
            AccountLink.token_hash == secret_tokens.hashed(token),
            AccountLink.purpose.in_(purposes),
            AccountLink.used_at.is_(None),
            AccountLink.expires_at > func.clock_timestamp(),
        )
        .values(used_at=func.clock_timestamp())
        .returning(AccountLink.purpose, AccountLink.email),
        execution_options={"synchronize_session": False},
    ).one_or_none()
    if taken is None or user is None or not user.is_active:
        raise LinkRefused
    return Link(user, Purpose(taken.purpose), taken.email or user.email)


def end(session: Session, user_id: int, *purposes: Purpose) -> None:
    """The person's unused links, of these purposes or of all, work no more."""
    ended = update(AccountLink).where(AccountLink.user_id == user_id, AccountLink.used_at.is_(None))
    if purposes:
        ended = ended.where(AccountLink.purpose.in_(purposes))
    session.execute(ended.values(used_at=func.clock_timestamp()), execution_options={"synchronize_session": False})


def take_back(session: Session, token: str) -> None:
    """As if it had never been made: nobody got it."""
    session.execute(delete(AccountLink).where(AccountLink.token_hash == secret_tokens.hashed(token)))


def clear_ended() -> None:
    """Remove those that worked last so long ago that nobody asks why they do not."""
    with writing(OPERATOR) as session:
        session.execute(delete(AccountLink).where(AccountLink.expires_at < func.clock_timestamp() - accounts.KEPT))
