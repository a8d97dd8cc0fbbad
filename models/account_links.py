"""Links by e-mail: an invitation, a new password, a new address. Each works once, for a while, and is stored hashed."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, case, func, insert, literal, select
from sqlalchemy.exc import IntegrityError

from models import accounts, audit, link_tokens, mails, passwords, request_limits, sign_in_sessions
from models.accounts import User, nobody
from models.audit import Event
from models.database import reading, writing
from models.errors import Conflict
from models.link_tokens import AccountLink as AccountLink
from models.link_tokens import LinkRefused as LinkRefused
from models.link_tokens import Purpose as Purpose
from models.mails import Kind, Mail
from models.networks import neighbourhood
from models.permissions import Actor

RESETS_OF_ACCOUNT, ACCOUNT_WINDOW = 3, timedelta(hours=1)
RESETS_FROM_ADDRESS, ADDRESS_WINDOW = 20, timedelta(hours=1)


@dataclass(frozen=True)
class LinkInfo:
    """What a link is for; `email` is the new address where one is to be confirmed, else the account's."""

    purpose: Purpose
    email: str
    name: str


def look(token: str) -> LinkInfo:
    """What the link is for, without using it up. Raises LinkRefused: used, expired, replaced, unknown alike."""
    with reading() as session:
        found = link_tokens.look(session, token)
        return LinkInfo(found.purpose, found.email, found.user.name)


def accept(token: str, password: str, *, address: str | None) -> Actor:
    """The person of an invitation or a reset chooses a password; their other links and all sessions end.

    Raises LinkRefused, InvalidInput (the password; the link works on).
    """
    with writing(nobody(address)) as session:
        accounts.share(session)
        link = link_tokens.use(session, token, Purpose.INVITATION, Purpose.RESET)
        user, actor = link.user, link.user.actor(address)
        passwords.require_good(password, name=user.name, email=user.email)
        was_invited = user.password_hash is None
        user.password_hash, user.updated_at = passwords.digest(password), func.now()
        mails.drop(session, user.id, *mails.PURPOSES)
        link_tokens.end(session, user.id)
        ended = sign_in_sessions.end_of(session, user.id)
        subject = f"user {user.email}"
        if was_invited:
            audit.write(session, Event.INVITATION_ACCEPTED, subject, by=actor)
        else:
            audit.write(session, Event.PASSWORD_CHANGED, subject, by=actor, road="link", sessions_ended=ended)
            mails.queue(session, Kind.PASSWORD_CHANGED, user, by=actor)
    return actor


def confirm_email(token: str, *, address: str | None) -> Actor:
    """The account has the new address from now on; the old one is told. Raises LinkRefused, Conflict (it is taken)."""
    try:
        with writing(nobody(address)) as session:
            accounts.share(session)
            link = link_tokens.use(session, token, Purpose.EMAIL)
            user, before = link.user, link.user.email
            user.email, user.updated_at = link.email, func.now()
            session.flush()
            mails.drop(session, user.id, *mails.PURPOSES)
            link_tokens.end(session, user.id)  # those to the old address, too
            actor = user.actor(address)
            change = {"before": {"email": before}, "after": {"email": user.email}}
            audit.write(session, Event.EMAIL_CHANGED, f"user {user.email}", by=actor, **change)
            told = {"old": before, "new": user.email}
            mails.queue(session, Kind.EMAIL_CHANGED, user, told, by=actor, to=before)
    except IntegrityError as error:
        raise Conflict("This e-mail cannot be used: it belongs to another account. Ask for a different one.") from error
    return actor


def request_reset(email: str, *, address: str | None) -> None:
    """Queue a link for who has that e-mail; the same answer, after the same statements, where nobody has it.

    Whoever was invited and has no password yet gets a new invitation. More requests than the limits allow do nothing.
    """
    email = accounts.looked_up(email)
    if _too_many(email, address):
        return
    by = nobody(address)
    kind: ColumnElement[str] = case((User.password_hash.is_(None), Kind.INVITATION.value), else_=Kind.RESET.value)
    to = select(kind, User.id, User.email, literal(None)).where(User.email == email, User.is_active)
    with writing(by) as session:
        session.execute(insert(Mail).from_select(["kind", "user_id", "email", "created_by"], to))
        audit.write(session, Event.RESET_REQUESTED, f"user {email}", by=by)
        mails.tell(session)


def _too_many(email: str, address: str | None) -> bool:
    limited = [request_limits.take(f"reset of {email}", times=RESETS_OF_ACCOUNT, within=ACCOUNT_WINDOW)]
    if address:
        place = neighbourhood(address)
        limited.append(request_limits.take(f"reset from {place}", times=RESETS_FROM_ADDRESS, within=ADDRESS_WINDOW))
    return any(wait is not None for wait in limited)
