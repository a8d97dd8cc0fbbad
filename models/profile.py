"""A person's own account: name, e-mail, password."""

import math
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from models import (
    accounts,
    audit,
    link_tokens,
    mails,
    own_password,
    passwords,
    request_limits,
    role_rules,
    second_factors,
)
from models import sign_in_sessions as sessions
from models.accounts import User
from models.audit import Event
from models.database import reading, writing
from models.errors import InvalidInput, TooMany
from models.link_tokens import Purpose
from models.mails import Kind
from models.permissions import Actor, Role
from models.sign_in_failures import in_words

CHANGES, CHANGES_WINDOW = 5, timedelta(hours=1)  # of an e-mail that may be asked for


@dataclass(frozen=True)
class Profile:
    """`download_limit` None is no limit, `column_allowed` None all columns."""

    name: str
    email: str
    role: Role
    download_limit: int | None
    column_allowed: tuple[str, ...] | None
    second_factor: bool
    second_factor_required: bool


def get(*, by: Actor) -> Profile:
    """Raises NotAllowed."""
    user_id = accounts.require_self(by)
    with reading() as session:
        user = session.get_one(User, user_id)
        return Profile(
            user.name,
            user.email,
            Role(user.role),
            user.download_limit,
            None if user.column_allowed is None else tuple(user.column_allowed),
            second_factors.has_one(session, user_id),
            role_rules.requires(session, user.role),
        )


def rename(name: str, *, by: Actor) -> None:
    """Raises NotAllowed, InvalidInput."""
    user_id = accounts.require_self(by)
    name = accounts.clean_name(name)
    with writing(by) as session:
        accounts.share(session)
        user = accounts.locked(session, user_id)
        before, user.name, user.updated_at = user.name, name, func.now()
        change = {"before": {"name": before}, "after": {"name": name}}
        audit.write(session, Event.USER_CHANGED, f"user {user.email}", by=by, **change)


def change_password(current: str, new: str, *, by: Actor, token: str | None) -> None:
    """The new password counts at once; every session but that of `token` ends, and so do all links: whoever knew the
    old password may have asked for another e-mail.

    Raises NotAllowed (SignInRefused for a wrong current one), InvalidInput (the new one).
    """
    user_id = accounts.require_self(by)
    own_password.require(current, by=by)
    with writing(by) as session:
        accounts.share(session)
        user = accounts.locked(session, user_id)
        if passwords.matches(new, user.password_hash):
            raise InvalidInput("The new password is the one of before. Choose another one.", field="new")
        passwords.require_good(new, name=user.name, email=user.email, field="new")
        user.password_hash, user.updated_at = passwords.digest(new), func.now()
        mails.drop(session, user_id, *mails.PURPOSES)
        link_tokens.end(session, user_id)
        ended = sessions.end_of(session, user_id, keep=token)
        audit.write(session, Event.PASSWORD_CHANGED, f"user {user.email}", by=by, road="profile", sessions_ended=ended)
        mails.queue(session, Kind.PASSWORD_CHANGED, user, by=by)


def ask_email_change(new: str, password: str, *, by: Actor) -> None:
    """Mail a link to the new address; the old one stays until it is opened. Whether another account has the address
    is not told: nothing is mailed then.

    Raises NotAllowed (SignInRefused for a wrong password), InvalidInput, TooMany: what goes to strangers is no flood.
    """
    user_id = accounts.require_self(by)
    email = accounts.clean_email(new)
    own_password.require(password, by=by)
    if wait := request_limits.take(f"new e-mail of {user_id}", times=CHANGES, within=CHANGES_WINDOW):
        seconds = math.ceil(wait.total_seconds())
        raise TooMany(f"You asked for {CHANGES} new e-mails. Try again in {in_words(wait)}.", seconds=seconds)
    with writing(by) as session:
        user = accounts.locked(session, user_id)
        if email == user.email:
            raise InvalidInput(f"{email} is your e-mail already.", field="email")
        mails.drop(session, user_id, Kind.EMAIL)
        link_tokens.end(session, user_id, Purpose.EMAIL)
        if session.scalar(select(User.id).where(User.email == email)) is None:
            mails.queue(session, Kind.EMAIL, user, by=by, to=email)
