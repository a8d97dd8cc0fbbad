"""Messages on their way to people: by SMTP, or as .eml files in the outbox folder where none is set.

A message is queued in the transaction of what it tells, and sent afterwards by `deliver`: no message without its cause,
and no cause that waits for a mail server. The text, and the link in it, are made only when it is sent.
"""

import logging
import os
import smtplib
import ssl
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid, parseaddr
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    delete,
    event,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import accounts, link_tokens, mail_texts
from models.accounts import User
from models.database import Base, reading, writing
from models.link_tokens import Purpose
from models.mail_texts import Kind as Kind
from models.permissions import OPERATOR, Actor
from models.settings import home, settings

log = logging.getLogger(__name__)

TIMEOUT = 10  # seconds for each answer of the mail server
LEASE = timedelta(minutes=5)  # a message that a process took and died with is taken up again
TRIES = 14  # then it is given up: a little more than two days
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(hours=6)  # each pause is three times the one before
MAX_ERROR = 500  # characters

waiting = threading.Event()  # something was queued in this process: whoever delivers need not wait for its next look


PURPOSES: dict[str, Purpose] = {
    Kind.INVITATION: Purpose.INVITATION,
    Kind.RESET: Purpose.RESET,
    Kind.EMAIL: Purpose.EMAIL,
}


class Mail(Base):
    """Its text is made by whoever sends it: the text holds the link, which is stored hashed only."""

    __tablename__ = "mails"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    email: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    created_by: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    next_try_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("mails_waiting", "next_try_at", postgresql_where=text("sent_at IS NULL")),
        Index("mails_user", "user_id", "id"),
    )


def are_sent() -> bool:
    """Whether there is a mail server; else an administrator hands the links over."""
    return settings().smtp_host is not None


def queue(
    session: Session,
    kind: Kind,
    user: User,
    details: dict[str, Any] | None = None,
    *,
    by: Actor,
    to: str | None = None,
) -> Mail:
    """Put the message into the caller's transaction; `to` is an address other than the account's."""
    mail = Mail(kind=kind, user_id=user.id, email=to or user.email, details=details, created_by=by.id)
    session.add(mail)
    session.flush()
    tell(session)
    return mail


def tell(session: Session) -> None:
    """Whoever delivers in this process looks at once, when the caller's transaction has ended and can be seen."""
    event.listen(session, "after_commit", lambda _: waiting.set(), once=True)


def drop(session: Session, user_id: int, *kinds: str) -> None:
    """Messages of these kinds that are not sent yet will not be. Links are ended after it: one that is just made for a
    message is waited for here."""
    unsent = delete(Mail).where(Mail.user_id == user_id, Mail.sent_at.is_(None), Mail.kind.in_(kinds))
    session.execute(unsent, execution_options={"synchronize_session": False})


def problem(user_id: int) -> str | None:
    """Why the person's newest message could not be sent yet, in the mail server's words; else None."""
    with reading() as session:
        newest = select(Mail.error).where(Mail.user_id == user_id).order_by(Mail.id.desc()).limit(1)
        return session.scalar(newest)


def deliver() -> int:
    """Send what is due; returns how many were sent. Several processes may do it at once."""
    sent = 0
    while (outcome := _deliver_next()) is not None:
        sent += outcome
    return sent


@dataclass(frozen=True)
class _Taken:
    """A message that for the time of LEASE only this process sends. `token` is of the link in it."""

    mail: Mail
    message: EmailMessage
    token: str | None


def _deliver_next() -> bool | None:
    """Whether the next message could be sent; None where none is due.

    No transaction is open meanwhile: a slow mail server would hold up whoever signs in, changes their password, or is
    changed, and a link in it would not end with them.
    """
    taken = _take_next()
    if not isinstance(taken, _Taken):
        return taken
    mail_id = taken.mail.id
    try:
        _send(taken.message, taken.mail)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        with writing(OPERATOR) as session:
            _person(session, taken.mail.user_id)
            if mail := session.get(Mail, mail_id, with_for_update=True):  # else it was dropped
                _put_off(mail, error)
            if taken.token:
                link_tokens.take_back(session, taken.token)
        return False
    with writing(OPERATOR) as session:
        sent = update(Mail).where(Mail.id == mail_id)
        session.execute(sent.values(sent_at=func.clock_timestamp(), error=None))
    return True


def _take_next() -> _Taken | bool | None:
    """The next message that is due; False where it cannot be made, None where there is none."""
    due = Mail.sent_at.is_(None), Mail.attempts < TRIES, Mail.next_try_at <= func.clock_timestamp()
    query = select(Mail.id, Mail.user_id).where(*due).order_by(Mail.next_try_at, Mail.id).limit(1)
    with writing(OPERATOR) as session:
        next_one = session.execute(query).one_or_none()
        if next_one is None:
            return None
        user = _person(session, next_one.user_id)
        mail = session.scalar(select(Mail).where(Mail.id == next_one.id, *due).with_for_update())
        if mail is None:  # another process took it, or it was dropped
            return False
        purpose = PURPOSES.get(mail.kind)
        if purpose and not user.is_active:
            session.delete(mail)
            return False
        mail.attempts += 1
        mail.next_try_at = func.clock_timestamp() + LEASE
        try:
            with session.begin_nested():
                message, token = _message(session, mail, user, purpose)
        except (ValueError, LookupError) as error:
            _put_off(mail, error)
            return False
        session.flush()
        session.expunge(mail)
    return _Taken(mail, message, token)


def _person(session: Session, user_id: int) -> User:
    """Held before the message: whoever chooses a new password holds the person, then drops messages and ends links."""
    return session.get_one(User, user_id, with_for_update={"read": True, "key_share": True})


def _put_off(mail: Mail, error: Exception) -> None:
    mail.error = str(error)[:MAX_ERROR] or type(error).__name__
    mail.next_try_at = func.clock_timestamp() + pause_after(mail.attempts)
    log.warning("mail %s (%s) was not sent, try %s: %s", mail.id, mail.kind, mail.attempts, mail.error)


def clear_done() -> None:
    """Remove those that were sent, or given up, long ago."""
    done = Mail.sent_at.is_not(None) | (Mail.attempts >= TRIES)
    with writing(OPERATOR) as session:
        session.execute(delete(Mail).where(done, Mail.created_at < func.clock_timestamp() - accounts.KEPT))


def pause_after(attempts: int) -> timedelta:
    """15 s after the first try that failed, then 45 s, 2 min 15 s, … and every six hours."""
    return min(timedelta(seconds=FIRST_PAUSE.total_seconds() * 3.0 ** (attempts - 1)), LONGEST_PAUSE)


def _message(session: Session, mail: Mail, user: User, purpose: Purpose | None) -> tuple[EmailMessage, str | None]:
    """With the token of the link in it."""
    link = token = None
    if purpose:
        new_email = mail.email if purpose is Purpose.EMAIL else None
        token = link_tokens.make(session, user.id, purpose, email=new_email, by=None)
        link = link_tokens.address(token)
    subject, body = mail_texts.text_of(mail.kind, name=user.name, email=user.email, link=link, details=mail.details)
    message = EmailMessage()
    message["From"] = settings().mail_from
    message["To"] = formataddr((user.name, mail.email))
    message["Subject"] = subject
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=parseaddr(settings().mail_from)[1].rpartition("@")[2] or None)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(body)
    return message, token


def _send(message: EmailMessage, mail: Mail) -> None:
    if not are_sent():
        _put_in_outbox(message, mail)
        return
    chosen = settings()
    host, port = chosen.smtp_host or "", chosen.smtp_port
    if chosen.smtp_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=ssl.create_default_context())
    else:
        server = smtplib.SMTP(host, port, timeout=TIMEOUT)
    with server:
        if chosen.smtp_security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if chosen.smtp_user:
            server.login(chosen.smtp_user, chosen.smtp_password.get_secret_value() if chosen.smtp_password else "")
        server.send_message(message, to_addrs=[mail.email])


def outbox() -> Path:
    return home() / "outbox"


def _put_in_outbox(message: EmailMessage, mail: Mail) -> None:
    """Whole or not at all, and readable by this system user only: it may hold a link."""
    folder = outbox()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder / f".{mail.id}.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(message.as_bytes())
    part.replace(folder / f"{mail.id:06}-{mail.kind.replace(' ', '-')}.eml")
