"""People: who may sign in, in which role, seeing which columns, with which allowance of downloads.

Nobody chooses a password for somebody else: who is invited chooses it by a link.
"""

import secrets
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches

from sqlalchemy import case, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import (
    accounts,
    audit,
    credit_ledger,
    link_tokens,
    mails,
    passwords,
    role_rules,
    sign_in_sessions,
    user_list,
)
from models.accounts import DEFAULT_DOWNLOAD_LIMIT as DEFAULT_DOWNLOAD_LIMIT
from models.accounts import User as User
from models.accounts import clean_email as clean_email
from models.audit import AuditLine, Event
from models.contacts.table import FIELDS
from models.database import LARGEST_ID, reading, writing
from models.errors import ChangedMeanwhile, Conflict, InvalidInput, NotAllowed
from models.fields import Group
from models.mails import Kind
from models.permissions import OPERATOR, Actor, Permission, Role, require
from models.user_list import Person as Person
from models.user_list import Status as Status
from models.user_list import everyone as everyone
from models.user_list import person as person
from models.user_list import with_id as with_id

# The events that move the version of an account.
CHANGING = (
    Event.USER_CHANGED, Event.USER_DEACTIVATED, Event.USER_REACTIVATED, Event.PASSWORD_CHANGED, Event.EMAIL_CHANGED,
    Event.INVITATION_ACCEPTED,
)  # fmt: skip


@dataclass(frozen=True)
class Invited:
    """`link` is for the administrator to hand over, where no mail server is set; else None: it was mailed."""

    user: User
    link: str | None


@dataclass(frozen=True)
class Changes:
    """What `change` may set; None leaves a value as it is."""

    name: str | None = None
    role: Role | None = None
    download_limit: int | None = None
    unlimited: bool = False
    column_allowed: tuple[str, ...] | None = None
    every_column: bool = False
    is_active: bool | None = None


def invite(
    *,
    email: str,
    name: str,
    role: Role,
    download_limit: int | None = DEFAULT_DOWNLOAD_LIMIT,
    column_allowed: tuple[str, ...] | None = None,
    by: Actor,
) -> Invited:
    """Create a person and send them a link to choose their password; `download_limit` None is no limit.

    Raises NotAllowed, InvalidInput, Conflict (the e-mail is taken).
    """
    require(by, Permission.USERS_MANAGE)
    user = User(
        email=clean_email(email),
        name=accounts.clean_name(name),
        role=role,
        download_limit=_known_limit(download_limit),
        column_allowed=_known_columns(column_allowed),
        created_by=by.id,
    )
    try:
        with writing(by) as session:
            accounts.require_still(session, by, Permission.USERS_MANAGE)
            session.add(user)
            session.flush()
            session.refresh(user)
            audit.write(session, Event.USER_INVITED, f"user {user.email}", by=by, after=_described(user))
            link = _send_link(session, user, Kind.INVITATION, by=by)
            session.expunge(user)
    except IntegrityError as error:
        raise Conflict(_taken(user.email), field="email") from error
    return Invited(user, link)


def _taken(email: str) -> str:
    with reading() as session:
        active = session.scalar(select(User.is_active).where(User.email == email))
    if active is False:
        return f"{email} has an account that is deactivated: reactivate it instead."
    return f"There is a user with the e-mail {email} already."


def new_link(email: str, *, by: Actor) -> str | None:
    """A new invitation for who has not accepted yet, else a link for a new password; those before work no more.

    Returns the link where no mail server is set, else None. Raises NotAllowed, NotFound, Conflict (deactivated).
    """
    require(by, Permission.USERS_MANAGE)
    with writing(by) as session:
        accounts.require_still(session, by, Permission.USERS_MANAGE)
        user = accounts.by_email(session, email, locked=True)
        if not user.is_active:
            raise Conflict(f"{user.email} is deactivated. Reactivate the account first.")
        kind = Kind.INVITATION if user.password_hash is None else Kind.RESET
        event = Event.USER_INVITED if kind is Kind.INVITATION else Event.RESET_REQUESTED
        audit.write(session, event, f"user {user.email}", by=by)
        return _send_link(session, user, kind, by=by)


def _send_link(session: Session, user: User, kind: Kind, *, by: Actor) -> str | None:
    purpose = mails.PURPOSES[kind]
    mails.drop(session, user.id, kind)
    link_tokens.end(session, user.id, purpose)
    mails.queue(session, kind, user, {"by": by.name if by.id else "An administrator"}, by=by)
    if mails.are_sent():
        return None
    return link_tokens.address(link_tokens.make(session, user.id, purpose, by=by))


def first_administrator(*, email: str, password: str | None) -> tuple[User, str] | None:
    """Create the first administrator where there is nobody yet; None where there is. Safe to call twice at once.

    Returns the password with the person, generated where none was given. Raises InvalidInput (a weak one).
    """
    with writing(OPERATOR) as session:
        accounts.lock(session)
        if session.scalar(select(func.count()).select_from(User)):
            return None
        user = User(email=clean_email(email), name="Administrator", role=Role.ADMIN, download_limit=None)
        if password is None:
            password = secrets.token_urlsafe(15)
        else:
            passwords.require_good(password, name=user.name, email=user.email)
        user.password_hash = passwords.digest(password)
        session.add(user)
        session.flush()
        session.refresh(user)
        audit.write(session, Event.USER_ADDED, f"user {user.email}", by=OPERATOR, after=_described(user))
        session.flush()
        session.expunge(user)
    return user, password


def find(email: str, *, by: Actor) -> User:
    """Raises NotAllowed, NotFound."""
    require(by, Permission.USERS_MANAGE)
    with reading() as session:
        return accounts.by_email(session, email)


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


def change(email: str, changes: Changes, *, version: int | None = None, by: Actor) -> User:
    """Apply `changes`, which count at once for running sessions; the last active administrator stays one.

    Who is deactivated is signed out, and their links end; who comes into a role that asks for a second factor, and has
    none, is signed out. `version` is what `by` saw of the person. Raises NotAllowed, NotFound, InvalidInput, Conflict
    (ChangedMeanwhile where that is not what stands now).
    """
    require(by, Permission.USERS_MANAGE)
    with writing(by) as session:
        accounts.lock(session)
        accounts.require_still(session, by, Permission.USERS_MANAGE)
        user = accounts.by_email(session, email)
        if version is not None:
            _require_version(session, user, version)
        before, led = _described(user), _leadership(session)
        _apply(user, changes)
        session.flush()
        credit_ledger.limit_changed(session, user.id, by=by)
        if _leadership(session) < led:
            raise Conflict("This is the last active administrator: name another one first.")
        session.refresh(user)
        _settle(session, user)
        event = {True: Event.USER_REACTIVATED, False: Event.USER_DEACTIVATED, None: Event.USER_CHANGED}
        after = _described(user)
        switched = None if before["is_active"] == after["is_active"] else user.is_active
        if before != after:
            audit.write(session, event[switched], f"user {user.email}", by=by, before=before, after=after)
        session.flush()
        session.expunge(user)
    return user


def _require_version(session: Session, user: User, version: int) -> None:
    if version == user_list.version(user):
        return
    lines = select(AuditLine.actor_name).where(AuditLine.subject == f"user {user.email}", AuditLine.event.in_(CHANGING))
    who = session.scalar(lines.order_by(AuditLine.at.desc(), AuditLine.id.desc()).limit(1)) or "somebody"
    raise ChangedMeanwhile(
        f"{user.email} was changed by {who} since you read it. Nothing was written: read it again.",
        fields=_described(user), by_name=who, at=user.updated_at, version=user_list.version(user),
    )  # fmt: skip


def deactivate(email: str, *, by: Actor) -> User:
    """Raises NotAllowed, NotFound, Conflict (the last administrator)."""
    return change(email, Changes(is_active=False), by=by)


def reactivate(email: str, *, by: Actor) -> User:
    """The person may sign in again, with the password and the second factor of before. Raises NotAllowed, NotFound."""
    return change(email, Changes(is_active=True), by=by)


def _apply(user: User, changes: Changes) -> None:
    if changes.name is not None:
        user.name = accounts.clean_name(changes.name)
    if changes.role is not None:
        user.role = changes.role
    if changes.unlimited or changes.download_limit is not None:
        user.download_limit = _known_limit(None if changes.unlimited else changes.download_limit)
    if changes.every_column or changes.column_allowed is not None:
        user.column_allowed = _known_columns(None if changes.every_column else changes.column_allowed)
    if changes.is_active is not None:
        user.is_active = changes.is_active
    user.updated_at = func.now()


def _settle(session: Session, user: User) -> None:
    """What the person has open must fit what they are now."""
    if user.is_active:
        role_rules.enforce(session, user)
        return
    sign_in_sessions.end_of(session, user.id)
    mails.drop(session, user.id, *mails.PURPOSES)
    link_tokens.end(session, user.id)


def _known_limit(limit: int | None) -> int | None:
    if limit is not None and not 0 <= limit <= LARGEST_ID:
        raise InvalidInput(
            f"The download limit is {limit:,}: give a number from 0 to {LARGEST_ID:,}, or no limit.",
            field="download_limit",
        )
    return limit


def _described(user: User) -> dict[str, object]:
    """For the audit log, where nothing would be read as nothing."""
    return {
        "name": user.name,
        "role": user.role,
        "download_limit": "no limit" if user.download_limit is None else user.download_limit,
        "column_allowed": "all" if user.column_allowed is None else user.column_allowed or "none",
        "is_active": user.is_active,
    }


def _leadership(session: Session) -> int:
    """2 where an administrator can sign in, 1 where one is only invited, 0 where there is none."""
    ranks = select(func.max(case((User.password_hash.is_(None), 1), else_=2)))
    return session.scalar(ranks.where(User.role == Role.ADMIN, User.is_active)) or 0


def _known_columns(names: tuple[str, ...] | None) -> list[str] | None:
    if names is None:
        return None
    known = _spellings()
    if unknown := [name for name in names if name.casefold() not in known]:
        close = [known[one] for name in unknown for one in get_close_matches(name.casefold(), known, n=1)]
        hint = f"Did you mean {', '.join(close)}? Groups are: {', '.join(Group)}." if close else known_columns()
        raise InvalidInput(f"Unknown column {', '.join(unknown)}. {hint}", field="column_allowed")
    return list(dict.fromkeys(known[name.casefold()] for name in names))


def known_columns() -> str:
    """What `column_allowed` may name, in a sentence."""
    return f"Groups are: {', '.join(Group)}. Fields are: {', '.join(FIELDS)}."


def _spellings() -> dict[str, str]:
    """Names and titles, in small letters -> the name; a title that two fields have means neither."""
    titles = Counter(field.title.casefold() for field in FIELDS.values())
    single = {one: name for name, field in FIELDS.items() if titles[one := field.title.casefold()] == 1}
    return single | {name: name for name in FIELDS} | {group.value: group.value for group in Group}
