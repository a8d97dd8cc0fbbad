"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost."""

import secrets
from dataclasses import dataclass
from datetime import datetime

import pyotp
import segno
from sqlalchemy import BigInteger, ColumnElement, DateTime, ForeignKey, Text, delete, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from models import accounts, audit, mails, own_password, sealing, secret_tokens, sign_in_sessions
from models.accounts import User
from models.audit import Event
from models.database import Base, reading, writing
from models.errors import Conflict, InvalidInput, NotFound, Unavailable
from models.permissions import OPERATOR, Actor, Permission, require

ISSUER = "Appointment360"
STEP = 30  # seconds that a code is shown
DIGITS = 6
RECOVERY_CODES = 10
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no I, O, 0 and 1, which are mistaken for each other
GROUP, GROUPS = 4, 7  # XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX: 140 bits, so that a plain hash keeps them
WRONG_CODE = (
    "That code does not match. Enter the one that your authenticator app shows now; "
    "if it does not help, check that the clock of your device is right."
)


class SecondFactor(Base):
    __tablename__ = "second_factors"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)  # as models/sealing.py makes it
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # NULL until a code was right
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")  # of the newest code that was taken


class RecoveryCode(Base):
    __tablename__ = "recovery_codes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    code_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator app takes: the QR code as SVG, or the secret typed in."""

    secret: str
    uri: str
    svg: str


def begin(*, by: Actor) -> Enrolment:
    """A new secret, which counts once `confirm` got its code. Raises NotAllowed (also for a token: whoever found one
    could else lock its owner out), Conflict (there is a factor)."""
    user_id = accounts.require_session(by)
    with writing(by) as session:
        return prepare(session, accounts.locked(session, user_id))


def prepare(session: Session, user: User) -> Enrolment:
    """`begin` in the caller's transaction."""
    if has_one(session, user.id):
        raise Conflict("You have a second factor already. Remove it first, then set up the new one.")
    secret = pyotp.random_base32()
    session.execute(delete(SecondFactor).where(SecondFactor.user_id == user.id))
    session.add(SecondFactor(user_id=user.id, secret=sealing.sealed(secret, purpose=_purpose(user.id))))
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER)
    # White around it whatever the page's colour: readers look for dark on light.
    svg = segno.make(uri, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff")
    return Enrolment(secret, uri, svg)


def confirm(code: str, *, by: Actor) -> list[str]:
    """The factor counts from now on; returns ten recovery codes, which are shown only this once.

    Raises NotAllowed (also for a token), Conflict (nothing to confirm), InvalidInput (a wrong code).
    """
    user_id = accounts.require_session(by)
    with writing(by) as session:
        return complete(session, accounts.locked(session, user_id), code, by=by)


def complete(session: Session, user: User, code: str, *, by: Actor) -> list[str]:
    """`confirm` in the caller's transaction."""
    factor = session.get(SecondFactor, user.id, with_for_update=True)
    if factor is None or factor.confirmed_at is not None:
        raise Conflict("There is no second factor to confirm. Begin again.")
    if not _takes(session, factor, code):
        raise InvalidInput(WRONG_CODE, field="code")
    confirmed = update(SecondFactor).where(SecondFactor.user_id == user.id)
    session.execute(confirmed.values(confirmed_at=func.clock_timestamp()))
    audit.write(session, Event.SECOND_FACTOR_ADDED, f"user {user.email}", by=by)
    mails.queue(session, mails.Kind.SECOND_FACTOR_ADDED, user, by=by)
    return _fresh_codes(session, user.id)


def check(session: Session, user_id: int, code: str) -> bool:
    """Whether it is the app's code of now, one step before or after, or an unused recovery code; each works once.

    In the caller's transaction, which uses the code up.
    """
    factor = session.get(SecondFactor, user_id, with_for_update=True)
    if factor is None or factor.confirmed_at is None:
        return False
    return _takes(session, factor, code) or _takes_recovery(session, user_id, code)


def remove(*, password: str, by: Actor) -> None:
    """The person gives up the factor; where the role asks for one, they are signed out and set up a new one.

    Raises NotAllowed (SignInRefused for a wrong password), NotFound.
    """
    from models import role_rules  # which looks at the factors of a role

    user_id = accounts.require_self(by)
    own_password.require(password, by=by)
    with writing(by) as session:
        user = accounts.locked(session, user_id)
        _delete(session, user, by=by)
        role_rules.enforce(session, user)


def reset(email: str, *, by: Actor) -> None:
    """An administrator removes a factor that was lost; the person is signed out. Raises NotAllowed, NotFound."""
    require(by, Permission.USERS_MANAGE)
    with writing(by) as session:
        accounts.require_still(session, by, Permission.USERS_MANAGE)
        user = accounts.by_email(session, email, locked=True)
        _delete(session, user, by=by)
        sign_in_sessions.end_of(session, user.id)


def new_recovery_codes(*, by: Actor, password: str) -> list[str]:
    """Ten new ones, shown only this once; those before no longer work. Raises NotAllowed, NotFound."""
    user_id = accounts.require_self(by)
    own_password.require(password, by=by)
    with writing(by) as session:
        user = accounts.locked(session, user_id)
        if not has_one(session, user_id):
            raise NotFound("You have no second factor, so there is nothing to recover. Set one up first.")
        audit.write(session, Event.RECOVERY_CODES_MADE, f"user {user.email}", by=by)
        return _fresh_codes(session, user_id)


def seal() -> tuple[int, int]:
    """Seal with the newest key what is not: how many were, and how many nobody can open here. Raises Unavailable."""
    done = closed = 0
    with writing(OPERATOR) as session:
        for factor in session.scalars(select(SecondFactor).with_for_update()):
            purpose = _purpose(factor.user_id)
            if sealing.is_newest(factor.secret, purpose=purpose):
                continue
            try:
                factor.secret = sealing.sealed(sealing.opened(factor.secret, purpose=purpose), purpose=purpose)
                done += 1
            except Unavailable:
                closed += 1
    return done, closed


def left(*, by: Actor) -> int:
    """How many recovery codes the person has left. Raises NotAllowed."""
    user_id = accounts.require_self(by)
    with reading() as session:
        unused = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
        return session.scalar(unused) or 0


def has_one(session: Session, user_id: int) -> bool:
    return bool(session.scalar(select(exists_for(user_id))))


def exists_for(user_id: int | InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """As a condition: there is a confirmed one."""
    return exists().where(SecondFactor.user_id == user_id, SecondFactor.confirmed_at.is_not(None))


def _purpose(user_id: int) -> str:
    return f"second factor of user {user_id}"


def _delete(session: Session, user: User, *, by: Actor) -> None:
    if not has_one(session, user.id):
        raise NotFound(f"{user.name} has no second factor.")
    session.execute(delete(SecondFactor).where(SecondFactor.user_id == user.id))
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    audit.write(session, Event.SECOND_FACTOR_REMOVED, f"user {user.email}", by=by)
    who = "You" if by.id == user.id else "An administrator"
    mails.queue(session, mails.Kind.SECOND_FACTOR_REMOVED, user, {"by": who}, by=by)


def _takes(session: Session, factor: SecondFactor, code: str) -> bool:
    """Whether the app shows this code; its step, and those before it, are used up then, whatever the clock does."""
    typed = "".join(code.split())
    if len(typed) != DIGITS or not (typed.isascii() and typed.isdigit()):
        return False
    now = int(session.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0) // STEP
    codes = pyotp.HOTP(sealing.opened(factor.secret, purpose=_purpose(factor.user_id)), digits=DIGITS)
    for step in (now, now - 1, now + 1):
        if pyotp.utils.strings_equal(codes.at(step), typed):
            newer = SecondFactor.user_id == factor.user_id, SecondFactor.last_step < step
            taken = session.execute(update(SecondFactor).where(*newer).values(last_step=step).returning(1))
            return taken.one_or_none() is not None
    return False


def _takes_recovery(session: Session, user_id: int, code: str) -> bool:
    typed = "".join(character for character in code.upper() if character.isalnum())
    unused = RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None)
    used = update(RecoveryCode).where(*unused, RecoveryCode.code_hash == secret_tokens.hashed(typed))
    return session.execute(used.values(used_at=func.clock_timestamp()).returning(1)).one_or_none() is not None


def _fresh_codes(session: Session, user_id: int) -> list[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    made = ["".join(secrets.choice(ALPHABET) for _ in range(GROUP * GROUPS)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(user_id=user_id, code_hash=secret_tokens.hashed(code)) for code in made)
    return ["-".join(code[at : at + GROUP] for at in range(0, len(code), GROUP)) for code in made]
