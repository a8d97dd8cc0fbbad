"""Failed sign-ins and the waits that follow from them, counted in the database so that they hold over instances.

An account waits after some failures in a row, and so does an address that fails on many. Programs have a limit besides:
so many failures in an hour from one address.
"""

import math
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Identity,
    Index,
    Text,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit
from models.accounts import nobody
from models.audit import Event
from models.database import SIGN_INS_LOCK, Base, reading, writing
from models.errors import NotAllowed
from models.networks import neighbourhood
from models.permissions import OPERATOR
from models.settings import settings

TRIES = 5  # failures in a row before each wait
WAITS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))  # the last one repeats
FORGOTTEN = timedelta(hours=24)  # failures older than this no longer count
ADDRESS_TRIES = 60  # failures from one address, over all accounts, within ADDRESS_WINDOW
ADDRESS_WINDOW = timedelta(minutes=15)
NO_ACCOUNT = ""  # the e-mail of failures that count for their address alone
FEW = 3  # tries that are left of an address, from which on it is told
HOUR = timedelta(hours=1)  # in which an address's programs may fail settings().failures_per_hour times


class SignInRefused(NotAllowed):
    """A wrong password or code, or an unknown, deactivated or paused account: which of them is not said, except the
    pause.
    """


class SignInPaused(SignInRefused):
    """The account or the address waits: after `seconds` it may try again."""

    def __init__(self, wait: timedelta) -> None:
        self.seconds = max(1, math.ceil(wait.total_seconds()))
        super().__init__(f"Too many failed tries. Try again in {in_words(wait)}.")


class SignInFailure(Base):
    """One failed try, of a password or of a code."""

    __tablename__ = "sign_in_failures"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)  # its neighbourhood
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    by_program: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))

    __table_args__ = (
        Index("sign_in_failures_email", "email", "at"),
        Index("sign_in_failures_address", "address", "at"),
    )


def begin(email: str, address: str | None, *, by_program: bool = False) -> int:
    """Count the try as a failure before it is looked at: a hundred tries at once get no further than five.

    Returns the try's id, for `forgive` or `clear`. Raises SignInPaused while the account or the address waits.
    """
    place = neighbourhood(address) if address else None
    with writing(nobody(address)) as session:
        for counted in (f"user {email}", *([f"address {place}"] if place else [])):
            session.execute(select(func.pg_advisory_xact_lock(SIGN_INS_LOCK, func.hashtext(counted))))
        wait, whose = _wait(session, email, place)
        if place and by_program:
            wait, whose = max((wait, whose), (_rest_of_hour(session, place), f"address {place}"))
        if wait <= timedelta(0):
            attempt = SignInFailure(email=email, address=place, by_program=by_program)
            session.add(attempt)
            session.flush()
            return attempt.id
        audit.write_once_a_minute(session, Event.SIGN_IN_FAILED, whose, by=nobody(address), reason="paused")
    raise SignInPaused(wait)


def refusal(email: str, address: str | None, *, wrong: str, reason: str, by_program: bool = False) -> SignInRefused:
    """Writes the failure's audit line; the sentence is `wrong` and what is left, the same for unknown accounts."""
    with writing(nobody(address)) as session:
        audit.write(session, Event.SIGN_IN_FAILED, f"user {email}", by=nobody(address), reason=reason)
        count, _ = _failures(session, SignInFailure.email == email, within=FORGOTTEN)
        of_address, left_here = timedelta(0), None
        if address and by_program:
            of_address = _rest_of_hour(session, place := neighbourhood(address))
            left_here, _ = _left(session, place)
    left_here = left_here if left_here is not None and left_here <= FEW else None
    if pause := max(pause_after(count), of_address):
        return SignInRefused(f"{wrong} Try again in {in_words(pause)}.")
    left = TRIES - count % TRIES
    next_pause = in_words(pause_after(count + left))
    few = f" {_tries(left_here)} left from this address in this hour." if left_here is not None else ""
    return SignInRefused(f"{wrong} {_tries(left)} left before a pause of {next_pause}.{few}")


def left_of(address: str) -> tuple[int, int, int]:
    """Of programs at the address: how often they may fail in an hour, how often they still may, and seconds until one
    of their failures is an hour old."""
    with reading() as session:
        left, rest = _left(session, neighbourhood(address))
    return settings().failures_per_hour, left, max(1, math.ceil(rest.total_seconds()))


def forgive(session: Session, attempt: int) -> None:
    """The try was right, but the sign-in is not whole yet: earlier failures still count."""
    session.execute(delete(SignInFailure).where(SignInFailure.id == attempt))


def clear(session: Session, email: str, attempt: int) -> None:
    """The whole sign-in was right: the account begins anew. What programs failed still counts for their address, or
    whoever knows one password could try others without end."""
    before = update(SignInFailure).where(SignInFailure.email == email, SignInFailure.id < attempt)
    session.execute(before.where(SignInFailure.by_program).values(email=NO_ACCOUNT))
    session.execute(delete(SignInFailure).where(SignInFailure.email == email, SignInFailure.id <= attempt))


def clear_forgotten() -> None:
    """Remove the failures that no longer count, whose ever they are."""
    with writing(OPERATOR) as session:
        session.execute(delete(SignInFailure).where(SignInFailure.at < func.clock_timestamp() - FORGOTTEN))


def pause_after(failures: int) -> timedelta:
    """Nothing until the fifth failure in a row, then 1, 5 and 15 minutes after each five more."""
    if failures == 0 or failures % TRIES:
        return timedelta(0)
    return WAITS[min(failures // TRIES, len(WAITS)) - 1]


def in_words(wait: timedelta) -> str:
    """“1 min”, “4 min 12 s”: rounded up, so that the time is over when it says so."""
    minutes, seconds = divmod(-(-wait // timedelta(seconds=1)), 60)
    return " ".join(part for part in (f"{minutes} min" if minutes else "", f"{seconds} s" if seconds else "") if part)


def _wait(session: Session, email: str, place: str | None) -> tuple[timedelta, str]:
    """How long this account, or this address, still has to wait, and which of the two in the words of the audit log:
    an address may try one made-up account after the other. Zero or less when neither has to."""
    ours = SignInFailure.email == email
    if place:
        ours |= SignInFailure.address == place
    # The server's clock went back: what lies ahead of it happened now, or somebody would wait as long as it jumped.
    ahead = update(SignInFailure).where(ours, SignInFailure.at > func.clock_timestamp())
    session.execute(ahead.values(at=func.clock_timestamp()), execution_options={"synchronize_session": False})
    count, since = _failures(session, SignInFailure.email == email, within=FORGOTTEN)
    waits = [(pause_after(count) - since, f"user {email}")]
    if place:
        count, since = _failures(session, SignInFailure.address == place, within=ADDRESS_WINDOW)
        waits += [(WAITS[0] - since, f"address {place}")] if count >= ADDRESS_TRIES else []
    return max(waits)


def _failures(session: Session, which: ColumnElement[bool], *, within: timedelta) -> tuple[int, timedelta]:
    """How many, and how long ago the latest was."""
    ago = func.coalesce(func.clock_timestamp() - func.max(SignInFailure.at), timedelta(0))
    counted = select(func.count(), ago).where(which, SignInFailure.at > func.clock_timestamp() - within)
    count, since = session.execute(counted).one()
    return count, since


def _left(session: Session, place: str) -> tuple[int, timedelta]:
    """How often programs of the address may still fail, and how long until the oldest of an hour's failures is over."""
    oldest = func.min(SignInFailure.at) + HOUR - func.clock_timestamp()
    within = SignInFailure.at > func.clock_timestamp() - HOUR
    counted = select(func.count(), func.coalesce(oldest, HOUR))
    counted = counted.where(SignInFailure.address == place, SignInFailure.by_program, within)
    found: Any = session.execute(counted).one()
    return max(0, settings().failures_per_hour - found[0]), found[1]


def _tries(number: int) -> str:
    return f"{number} {'try' if number == 1 else 'tries'}"


def _rest_of_hour(session: Session, place: str) -> timedelta:
    """How long until fewer than so many failures of the address's programs are within an hour; zero or less: now."""
    latest = select(SignInFailure.at).where(SignInFailure.address == place, SignInFailure.by_program)
    deciding = latest.order_by(SignInFailure.at.desc()).offset(settings().failures_per_hour - 1).limit(1)
    rest: timedelta | None = session.scalar(select(deciding.scalar_subquery() + HOUR - func.clock_timestamp()))
    return max(rest or timedelta(0), timedelta(0))
