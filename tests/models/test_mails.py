"""The queue of messages, against real mail servers: aiosmtpd, plain, with STARTTLS, with TLS and with a password."""

import datetime as dt
import email
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy import text as sql

from models import account_links, accounts, link_tokens, mails, settings, users
from models.account_links import AccountLink
from models.database import reading, writing
from models.errors import AppError
from models.mails import Kind, Mail
from models.permissions import OPERATOR, Role
from tests import people
from tests.certificates import self_signed, server_side
from tests.waiting import free_port

HOST = "127.0.0.1"
USER, SECRET = "postbote", "geheim, wirklich"


class Inbox:
    """What a mail server got."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refuses = False

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuses:
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content.replace(b"\r\n", b"\n"), policy=default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients += envelope.rcpt_tos
        return "250 OK"


Serve = Callable[..., Inbox]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """`configured(smtp_host=...)` for this process."""

    def configure(**given: Any) -> None:
        for name, value in given.items():
            monkeypatch.setattr(settings.settings(), name, value)

    configure(home=tmp_path, smtp_host=None)
    return configure


@pytest.fixture
def serve(configured: Callable[..., None]) -> Iterator[Serve]:
    """`serve(security="none")` starts a mail server, and sets it in the settings."""
    running: list[Controller] = []

    def start(*, security: str = "none", port: int | None = None, **options: Any) -> Inbox:
        inbox = Inbox()
        controller = Controller(inbox, hostname=HOST, port=port or free_port(), **options)
        controller.start()
        running.append(controller)
        configured(smtp_host=HOST, smtp_port=controller.port, smtp_security=security)
        return inbox

    yield start
    for controller in running:
        controller.stop()


def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (USER.encode(), SECRET.encode()), handled=False)


def invite(address: str = "ann@example.com", name: str = "Ann") -> users.Invited:
    return users.invite(email=address, name=name, role=Role.ANALYST, by=OPERATOR)


def row() -> Mail:
    with reading() as session:
        return session.scalars(select(Mail)).one()


def due_now() -> None:
    """As if the pause were over."""
    with writing(OPERATOR) as session:
        session.execute(update(Mail).values(next_try_at=func.clock_timestamp()))


def token_in(message: EmailMessage) -> str:
    return message.get_content().partition("?link=")[2].split()[0]


def test_a_message_arrives_with_a_link_that_works(db: str, serve: Serve, configured: Callable[..., None]) -> None:
    inbox = serve()
    configured(mail_from="Contacts <contacts@acme.example>", public_url="https://contacts.acme.example")
    assert invite("zoë@example.com".replace("ë", "e"), "Zoë Müller-Ångström").link is None, "it is mailed, not shown"
    assert mails.deliver() == 1
    [message] = inbox.messages
    assert inbox.recipients == ["zoe@example.com"]
    assert str(message["To"]) == "Zoë Müller-Ångström <zoe@example.com>"
    assert str(message["From"]) == "Contacts <contacts@acme.example>"
    assert message["Subject"] == "Your invitation to Appointment360"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content()
    assert text.startswith("Hello Zoë Müller-Ångström,\n")
    assert "https://contacts.acme.example/?link=" in text
    account_links.accept(token_in(message), people.PASSWORD, address=None)
    assert mails.deliver() == 0, "once is enough"


def test_the_link_is_made_only_for_a_message_that_left(db: str, serve: Serve) -> None:
    inbox = serve()
    inbox.refuses = True
    invite()
    assert mails.deliver() == 0
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(AccountLink)) == 0
    assert mails.problem(row().user_id) == row().error
    assert "No such mailbox here" in (row().error or "")
    inbox.refuses = False
    due_now()
    assert mails.deliver() == 1
    assert (row().attempts, row().error) == (2, None)


def test_a_server_that_is_down_at_first(db: str, serve: Serve, configured: Callable[..., None]) -> None:
    port = free_port()
    configured(smtp_host=HOST, smtp_port=port, smtp_security="none")
    invite()
    assert mails.deliver() == 0
    failed = row()
    assert (failed.attempts, failed.sent_at) == (1, None)
    assert "refused" in (failed.error or "")
    with reading() as session:
        pause = session.scalar(select(Mail.next_try_at - func.clock_timestamp()))
    assert pause is not None
    assert dt.timedelta(seconds=10) < pause <= dt.timedelta(seconds=15)
    assert (mails.deliver(), row().attempts) == (0, 1), "it waits"
    inbox = serve(port=port)
    due_now()
    assert mails.deliver() == 1
    assert len(inbox.messages) == 1


def test_a_server_that_never_answers_is_given_up(
    db: str, configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mails, "TIMEOUT", 0.2)
    with socket.create_server((HOST, 0)) as silent:
        configured(smtp_host=HOST, smtp_port=silent.getsockname()[1], smtp_security="none")
        invite()
        assert mails.deliver() == 0
    assert "timed out" in (row().error or "")


def test_a_kind_that_this_program_does_not_know_holds_up_no_other(db: str, serve: Serve) -> None:
    inbox = serve()
    ann = people.person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    with writing(OPERATOR) as session:
        session.add(Mail(kind="of tomorrow", user_id=ann.id, email=ann.email))
    invite("bob@example.com", "Bob")
    mails.deliver()
    assert inbox.recipients == ["bob@example.com"]


def test_a_link_that_is_just_made_ends_with_a_deactivation(
    db: str, configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    invite()
    made, make, deactivating = threading.Event(), mails._message, threading.Event()

    def slowly(*given: Any) -> tuple[EmailMessage, str | None]:
        message = make(*given)
        made.set()
        deactivating.wait(1)  # in which the other comes as far as it can without what this one holds
        return message

    monkeypatch.setattr(mails, "_message", slowly)
    delivering = threading.Thread(target=mails.deliver)
    delivering.start()
    assert made.wait(30)
    users.deactivate("ann@example.com", by=OPERATOR)
    deactivating.set()
    delivering.join()
    with reading() as session:
        assert None not in session.scalars(select(AccountLink.used_at)).all()


def test_nobody_waits_for_a_slow_mail_server(db: str, configured: Callable[..., None]) -> None:
    ann = people.person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    with writing(OPERATOR) as session:
        mails.queue(session, Kind.RESET, ann, by=OPERATOR)
    with socket.create_server((HOST, 0)) as slow:
        configured(smtp_host=HOST, smtp_port=slow.getsockname()[1], smtp_security="none")
        delivering = threading.Thread(target=mails.deliver)
        delivering.start()
        connection, _ = slow.accept()
        with connection, writing(OPERATOR) as session:
            session.execute(sql("SET LOCAL lock_timeout = '5s'"))
            accounts.locked(session, ann.id)
            link_tokens.end(session, ann.id)
            ended = select(AccountLink.used_at).where(AccountLink.purpose == Kind.RESET)
            assert session.scalars(ended).one() is not None, "what is under way ends with the rest"
            mails.drop(session, ann.id, Kind.RESET)
        delivering.join()
    with reading() as session:
        assert session.scalars(select(Mail).where(Mail.kind == Kind.RESET)).all() == []


def test_what_a_process_died_with_is_taken_up_again(db: str, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = serve()
    invite()
    with monkeypatch.context() as patched:
        patched.setattr(mails, "_send", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            mails.deliver()
    assert mails.deliver() == 0, "it may still be under way"
    due_now()
    assert mails.deliver() == 1
    assert len(inbox.messages) == 1


def test_pauses_grow_and_a_message_is_given_up_in_the_end(db: str, configured: Callable[..., None]) -> None:
    pauses = [mails.pause_after(attempts) for attempts in range(1, mails.TRIES)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[1], pauses[-1]) == (
        dt.timedelta(seconds=15), dt.timedelta(seconds=45), dt.timedelta(hours=6)
    )  # fmt: skip
    assert dt.timedelta(days=1) < sum(pauses, dt.timedelta()) < dt.timedelta(days=3)
    configured(smtp_host=HOST, smtp_port=free_port(), smtp_security="none")
    invite()
    for _ in range(mails.TRIES + 2):
        due_now()
        mails.deliver()
    assert row().attempts == mails.TRIES


def test_encrypted_by_starttls_and_with_a_password(
    db: str, serve: Serve, configured: Callable[..., None], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    inbox = serve(
        security="starttls", tls_context=server_side(certificate), require_starttls=True, auth_required=True,
        authenticator=authenticator,
    )  # fmt: skip
    configured(smtp_user=USER, smtp_password=SecretStr("wrong"))
    invite()
    assert mails.deliver() == 0
    error = row().error or ""
    assert "535" in error
    assert "wrong" not in error
    configured(smtp_password=SecretStr(SECRET))
    due_now()
    assert mails.deliver() == 1
    assert len(inbox.messages) == 1


def test_encrypted_from_the_first_byte(
    db: str, serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    inbox = serve(security="tls", ssl_context=server_side(certificate))
    invite()
    assert (mails.deliver(), row().error) == (1, None)
    assert len(inbox.messages) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(
    db: str, serve: Serve, certificate: Path, configured: Callable[..., None]
) -> None:
    inbox = serve(security="starttls", tls_context=server_side(certificate))
    invite()
    assert mails.deliver() == 0
    assert "certificate verify failed" in (row().error or "")
    assert inbox.messages == []


def test_without_encryption_on_offer_nothing_is_sent(db: str, serve: Serve) -> None:
    inbox = serve(security="starttls")
    invite()
    assert mails.deliver() == 0
    assert "STARTTLS" in (row().error or "")
    assert inbox.messages == []


def test_without_a_server_the_message_is_a_file_of_the_owner_only(
    db: str, configured: Callable[..., None], tmp_path: Path
) -> None:
    invited = invite()
    assert invited.link is not None
    assert mails.deliver() == 1
    [file] = (tmp_path / "outbox").iterdir()
    assert file.name == "000001-invitation.eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    message = email.message_from_bytes(file.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    # Both the copied link and the one in the file work until one of them is used.
    copied = invited.link.partition("?link=")[2]
    assert account_links.look(copied).email == account_links.look(token_in(message)).email == "ann@example.com"
    account_links.accept(token_in(message), people.PASSWORD, address=None)
    with pytest.raises(account_links.LinkRefused):
        account_links.look(copied)


def test_a_name_cannot_smuggle_in_another_recipient(db: str, serve: Serve) -> None:
    inbox = serve()
    invite(name="Ann\r\nBcc: eve@example.com\r\n\r\nBuy this, <eve@example.com>")
    mails.deliver()
    [message] = inbox.messages
    assert inbox.recipients == ["ann@example.com"]
    assert message["Bcc"] is None
    assert [address.addr_spec for address in message["To"].addresses] == ["ann@example.com"]


def test_curly_braces_in_a_name_are_a_name(db: str, serve: Serve) -> None:
    inbox = serve()
    invite(name="{link} {0} {")
    assert mails.deliver() == 1
    assert inbox.messages[0].get_content().startswith("Hello {link} {0} {,")


def test_the_queue_stands_exactly_when_its_cause_does(db: str, configured: Callable[..., None]) -> None:
    def queue_and_fail() -> None:
        with writing(OPERATOR) as session:
            user = users.User(email="a@example.com", name="A", role=Role.ANALYST)
            session.add(user)
            session.flush()
            mails.queue(session, Kind.INVITATION, user, by=OPERATOR)
            raise AppError("no, after all")

    with pytest.raises(AppError):
        queue_and_fail()
    with reading() as session:
        assert session.scalars(select(Mail)).all() == []


def test_of_many_who_deliver_one_sends(db: str, serve: Serve) -> None:
    inbox = serve()
    for number in range(6):
        invite(f"n{number}@example.com", f"N{number}")
    threads = [threading.Thread(target=mails.deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(inbox.recipients) == [f"n{number}@example.com" for number in range(6)]


def test_who_was_deactivated_meanwhile_gets_no_link(db: str, serve: Serve) -> None:
    inbox = serve()
    invite()
    with writing(OPERATOR) as session:  # as if it happened while the message was under way
        session.execute(update(users.User).values(is_active=False))
    mails.deliver()
    assert inbox.messages == []


FILE = {"file": "leads.csv", "folder": "fair", "numbers": "2 rows", "import_id": 7, "why": "its plan is made."}
DETAILS: dict[Kind, dict[str, Any]] = {
    Kind.EMAIL_CHANGED: {"old": "old@example.com", "new": "ann@example.com"},
    Kind.FILE_IMPORTED: FILE,
    Kind.FILE_WAITS: FILE,
    Kind.FILE_FAILED: FILE | {"error": "It is no file of contacts."},
    Kind.CHECKS_BROKEN: {"number": "A rule", "broken": "- E-mail is an e-mail address: not so for 1 of 2."},
    Kind.FOLDER_TROUBLE: {"folder": "fair", "place": "/srv/fair", "error": "It is not there."},
}


def test_every_kind_has_its_words(db: str, serve: Serve) -> None:
    inbox = serve()
    user = people.person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    with writing(OPERATOR) as session:
        for kind in Kind:
            mails.queue(session, kind, user, DETAILS.get(kind), by=OPERATOR)
    mails.deliver()
    texts = [message.get_content() for message in inbox.messages]
    assert len(texts) == len(Kind)
    assert len({message["Subject"] for message in inbox.messages}) == len(Kind)
    for text in texts:
        assert text.startswith("Hello Ann,\n\n")
        assert "{" not in text
        assert "None" not in text
        assert max(len(line) for line in text.splitlines()) < 140
