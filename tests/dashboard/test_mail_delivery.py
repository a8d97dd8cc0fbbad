"""The web's own loop that sends what waits, with messages as files."""

import threading
import time
from pathlib import Path

import pytest

from dashboard import mail_delivery
from models import mails, settings, users
from models.database import writing
from models.mails import Mail
from models.permissions import OPERATOR, Role

LONG_ENOUGH = 30  # seconds


@pytest.fixture
def outbox(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings.settings(), "home", tmp_path)
    return tmp_path / "outbox"


def arrived(outbox: Path, number: int) -> bool:
    deadline = time.monotonic() + LONG_ENOUGH
    while time.monotonic() < deadline:
        if len(list(outbox.glob("*.eml"))) == number:
            return True
        time.sleep(0.02)
    return False


def invite(name: str) -> None:
    users.invite(email=f"{name}@example.com", name=name, role=Role.ANALYST, by=OPERATOR)


def test_what_this_process_queues_is_sent_at_once(outbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_delivery, "EVERY", 10 * LONG_ENOUGH)
    with mail_delivery.delivering():
        for number, name in enumerate(("ann", "bob"), start=1):
            invite(name)
            assert arrived(outbox, number)


def test_what_another_process_queued_is_found(outbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_delivery, "EVERY", 0.05)
    with mail_delivery.delivering():
        invite("ann")
        assert arrived(outbox, 1)
        ann = users.find("ann@example.com", by=OPERATOR)
        with writing(OPERATOR) as session:  # nobody told this process
            session.add(Mail(kind=mails.Kind.INVITATION, user_id=ann.id, email=ann.email))
        assert arrived(outbox, 2)


def test_a_failure_does_not_end_it(outbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()
    deliver = mails.deliver

    def once_broken() -> int:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("the database went away")
        return deliver()

    monkeypatch.setattr(mails, "deliver", once_broken)
    monkeypatch.setattr(mail_delivery, "EVERY", 0.05)
    with mail_delivery.delivering():
        assert failed.wait(LONG_ENOUGH)
        invite("ann")
        assert arrived(outbox, 1)


def test_it_ends_with_the_web(outbox: Path) -> None:
    with mail_delivery.delivering():
        pass
    assert "mails" not in [thread.name for thread in threading.enumerate()]
