"""The list of people: how each account stands, and when somebody was last seen. users.py changes accounts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Select, case, func, select

from models import accounts, second_factors
from models.accounts import User
from models.database import by_id, reading
from models.errors import NotFound
from models.permissions import Actor, Permission, Role, require
from models.sign_in_sessions import SignInSession


class Status(StrEnum):
    ACTIVE = "active"
    INVITED = "invited"  # has chosen no password yet
    DEACTIVATED = "deactivated"

    @property
    def label(self) -> str:
        return self.value.capitalize()


@dataclass(frozen=True)
class Person:
    """A line of the list. `download_limit` None is no limit, `column_allowed` None all columns."""

    id: int
    name: str
    email: str
    role: Role
    status: Status
    download_limit: int | None
    column_allowed: tuple[str, ...] | None
    second_factor: bool
    last_seen_at: datetime | None
    created_at: datetime
    version: int
    """Moves with every change of the account, whoever makes it."""


def everyone(*, by: Actor, search: str = "", status: Status | None = None) -> list[Person]:
    """By e-mail; `search` is a part of the name or the e-mail, in any capitals. Raises NotAllowed."""
    require(by, Permission.USERS_MANAGE)
    with reading() as session:
        return [_person(*row) for row in session.execute(_listed(accounts.printable(search).strip(), status))]


def person(email: str, *, by: Actor) -> Person:
    """One line of the list. Raises NotAllowed, NotFound."""
    require(by, Permission.USERS_MANAGE)
    with reading() as session:
        user = accounts.by_email(session, email)
        return _person(*session.execute(_listed("", None).where(User.id == user.id)).one())


def with_id(user_id: int, *, by: Actor) -> Person:
    """One line of the list. Raises NotAllowed, NotFound."""
    require(by, Permission.USERS_MANAGE)
    with reading() as session:
        found = by_id(session, User, user_id)
        if found is None:
            raise NotFound(f"There is no user {user_id}.")
        return _person(*session.execute(_listed("", None).where(User.id == found.id)).one())


_STATUS = case(
    (~User.is_active, Status.DEACTIVATED.value),
    (User.password_hash.is_(None), Status.INVITED.value),
    else_=Status.ACTIVE.value,
)


def _listed(search: str, status: Status | None) -> Select[User, str, bool, datetime | None]:
    seen = select(func.max(SignInSession.last_seen_at)).where(SignInSession.user_id == User.id).scalar_subquery()
    query = select(User, _STATUS, second_factors.exists_for(User.id), seen).order_by(User.email)
    if search:
        query = query.where(
            User.name.icontains(search, autoescape=True) | User.email.icontains(search, autoescape=True)
        )
    if status:
        query = query.where(_STATUS.in_([status.value]))
    return query


def _person(user: User, status: str, second_factor: bool, last_seen_at: datetime | None) -> Person:
    return Person(
        user.id,
        user.name,
        user.email,
        Role(user.role),
        Status(status),
        user.download_limit,
        None if user.column_allowed is None else tuple(user.column_allowed),
        second_factor,
        last_seen_at,
        user.created_at,
        version(user),
    )


def version(user: User) -> int:
    """Microseconds of the last change: what nobody else can have seen."""
    return round(user.updated_at.timestamp() * 1_000_000)
