"""Sign-in: server-side sessions behind an HttpOnly cookie, opened by a single-use ticket.

The form checks the password, where there is one also the second factor, and gets a ticket; the browser hands the ticket
to the route that sets the cookie; every later request shows the session's token. Tickets and tokens are random and
stored only as their SHA-256. Every time is compared on the database's clock.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from models import accounts, audit, passwords, role_rules, second_factors, secret_tokens, sign_in_failures
from models import sign_in_sessions as sessions
from models.accounts import User, nobody
from models.audit import Event
from models.database import reading, writing
from models.errors import InvalidInput
from models.permissions import Actor
from models.second_factors import Enrolment
from models.sign_in_failures import SignInPaused as SignInPaused
from models.sign_in_failures import SignInRefused as SignInRefused
from models.sign_in_sessions import SignInTicket
from models.sign_in_sessions import actor_of as actor_of
from models.sign_in_sessions import end as end
from models.sign_in_sessions import end_all as end_all
from models.sign_in_sessions import end_others as end_others
from models.sign_in_sessions import ended_unused as ended_unused
from models.sign_in_sessions import ends_at as ends_at
from models.sign_in_sessions import lasts as lasts
from models.sign_in_sessions import sessions_of as sessions_of
from models.sign_in_sessions import sign_out as sign_out

SESSION, FACTOR = "session", "factor"  # what a ticket is good for
LASTS = {SESSION: timedelta(seconds=30), FACTOR: timedelta(minutes=10)}

WRONG = "That e-mail and password do not match."
WRONG_CODE = "That code does not match, or was used already."
TOO_LATE = "This sign-in was used already or took too long. Sign in again."


@dataclass(frozen=True)
class Step:
    """What comes after the right password. With `needs` None the ticket goes to the cookie's route within 30 seconds;
    with “code” to `check_code`, with “enrol” to `enrol` and `confirm_enrolment`, within 10 minutes.
    """

    needs: Literal["code", "enrol"] | None
    ticket: str


def check_password(
    email: str, password: str, *, address: str | None, stays: bool = False, by_program: bool = False
) -> Step:
    """The next step for the person whose e-mail and password these are; an unknown e-mail takes as long.

    `stays` is “Stay signed in”; failures of programs have a limit of their own besides. Raises SignInRefused, also for
    the right password while the account waits (SignInPaused).
    """
    email = accounts.looked_up(email)
    attempt = sign_in_failures.begin(email, address, by_program=by_program)
    with reading() as session:
        user = session.scalar(select(User).where(User.email == email, User.is_active))
        stored = user.password_hash if user else None
    if not passwords.matches(password, stored) or user is None:
        raise sign_in_failures.refusal(email, address, wrong=WRONG, reason="no match", by_program=by_program)
    with writing(user.actor(address)) as session:
        user = accounts.locked(session, user.id)
        if not user.is_active or user.password_hash != stored:  # changed while it was compared
            raise SignInRefused(TOO_LATE)
        step = _step(session, user, stays=stays)
        if step.needs:
            sign_in_failures.forgive(session, attempt)
        else:
            sign_in_failures.clear(session, email, attempt)
    return step


def after_link(by: Actor, *, stays: bool = False) -> Step:
    """The next step for who has just chosen a password by a link: a second factor is asked for all the same."""
    with writing(by) as session:
        return _step(session, accounts.locked(session, accounts.require_self(by)), stays=stays)


def check_code(ticket: str, code: str, *, address: str | None, by_program: bool = False) -> str:
    """A ticket for the cookie's route, for the right code of the app or a recovery code.

    A wrong one counts with the account's failures; the ticket may be tried again. Raises SignInRefused.
    """
    user, attempt = _attempted(ticket, address, by_program)
    with writing(user.actor(address)) as session:
        accounts.locked(session, user.id)
        if second_factors.check(session, user.id, code):
            sign_in_failures.clear(session, user.email, attempt)
            return _traded(session, ticket)
    raise sign_in_failures.refusal(user.email, address, wrong=WRONG_CODE, reason="wrong code", by_program=by_program)


def enrol(ticket: str) -> Enrolment:
    """A new second factor for who must have one and has none. Raises SignInRefused, Conflict (there is one)."""
    user = _holder(ticket)
    with writing(user.actor()) as session:
        return second_factors.prepare(session, accounts.locked(session, user.id))


def confirm_enrolment(
    ticket: str, code: str, *, address: str | None, by_program: bool = False
) -> tuple[list[str], str]:
    """The recovery codes, shown only this once, and a ticket for the cookie's route, which is good for ten minutes: the
    codes must be put away first.

    Raises SignInRefused (also for a wrong code, which counts), Conflict.
    """
    user, attempt = _attempted(ticket, address, by_program)
    actor = user.actor(address)
    try:
        with writing(actor) as session:
            codes = second_factors.complete(session, accounts.locked(session, user.id), code, by=actor)
            sign_in_failures.clear(session, user.email, attempt)
            return codes, _traded(session, ticket, lasts=LASTS[FACTOR])
    except InvalidInput as wrong:
        raise sign_in_failures.refusal(
            user.email, address, wrong=second_factors.WRONG_CODE, reason="wrong code", by_program=by_program
        ) from wrong


def issue_ticket(by: Actor, *, stays: bool = False) -> str:
    """A ticket for the cookie's route without any check: for who was checked by other means. 30 seconds."""
    with writing(by) as session:
        return _ticket(session, accounts.require_self(by), SESSION, stays=stays)


def redeem_ticket(ticket: str, *, address: str | None, device: str | None) -> str:
    """Trade the ticket for a session's token.

    Raises SignInRefused for one used, expired, never issued or for another step, and where the account was closed or
    must have a second factor meanwhile.
    """
    with writing(nobody(address)) as session:
        accounts.share(session)  # and whoever deactivates the person, or changes the rules, is done by now, or waits
        holder = session.scalar(select(SignInTicket.user_id).where(*_good(ticket, SESSION)))
        user = accounts.locked(session, holder) if holder else None
        used = delete(SignInTicket).where(*_good(ticket, SESSION)).returning(SignInTicket.stays)
        found = session.execute(used).one_or_none()
        if user is None or found is None:
            raise SignInRefused(TOO_LATE)
        unprotected = role_rules.requires(session, user.role) and not second_factors.has_one(session, user.id)
        if not user.is_active or unprotected:
            raise SignInRefused(TOO_LATE)
        user.last_ip = address
        token = sessions.begin(session, user, stays=found.stays, address=address, device=device)
        said = sessions.device_name(device)
        audit.write(session, Event.SIGNED_IN, f"user {user.email}", by=user.actor(address), device=said)
    return token


def _step(session: Session, user: User, *, stays: bool) -> Step:
    needs: Literal["code", "enrol"] | None = None
    if second_factors.has_one(session, user.id):
        needs = "code"
    elif role_rules.requires(session, user.role):
        needs = "enrol"
    return Step(needs, _ticket(session, user.id, FACTOR if needs else SESSION, stays=stays))


def _ticket(session: Session, user_id: int, stage: str, *, stays: bool, lasts: timedelta | None = None) -> str:
    ticket = secret_tokens.fresh()
    row = SignInTicket(
        token_hash=secret_tokens.hashed(ticket),
        user_id=user_id,
        expires_at=func.clock_timestamp() + (lasts or LASTS[stage]),
        stage=stage,
        stays=stays,
    )
    session.add(row)
    session.flush()
    return ticket


def _holder(ticket: str) -> User:
    """Whose ticket for the second step it is. Raises SignInRefused."""
    with reading() as session:
        query = select(User).join(SignInTicket, SignInTicket.user_id == User.id)
        user = session.scalar(query.where(*_good(ticket, FACTOR), User.is_active))
    if user is None:
        raise SignInRefused(TOO_LATE)
    return user


def _attempted(ticket: str, address: str | None, by_program: bool) -> tuple[User, int]:
    """The ticket's holder, and the try as it is counted before the code is looked at."""
    user = _holder(ticket)
    return user, sign_in_failures.begin(user.email, address, by_program=by_program)


def _traded(session: Session, ticket: str, *, lasts: timedelta | None = None) -> str:
    """A ticket for the cookie's route in place of that for the second step. Raises SignInRefused."""
    used = delete(SignInTicket).where(*_good(ticket, FACTOR))
    found = session.execute(used.returning(SignInTicket.user_id, SignInTicket.stays)).one_or_none()
    if found is None:
        raise SignInRefused(TOO_LATE)
    return _ticket(session, found.user_id, SESSION, stays=found.stays, lasts=lasts)


def _good(ticket: str, stage: str) -> tuple[ColumnElement[bool], ...]:
    return (
        SignInTicket.token_hash == secret_tokens.hashed(ticket),
        SignInTicket.stage == stage,
        SignInTicket.expires_at > func.clock_timestamp(),
    )
