import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from models import account_links, link_tokens, passwords, profile, secret_tokens, sign_ins, users
from models.account_links import AccountLink, LinkRefused, Purpose
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.errors import Conflict, InvalidInput
from models.mails import Mail
from models.permissions import OPERATOR, Role
from models.request_limits import RequestLimit
from tests import people, statements
from tests.people import PASSWORD, link_of

OTHER = "staple orange lantern"


@pytest.fixture
def ann(db: str) -> users.User:
    return people.person(email="ann@example.com", name="Ann", role=Role.ANALYST)


@pytest.fixture
def bea(db: str) -> users.User:
    return users.invite(email="bea@example.com", name="Bea", role=Role.MANAGER, by=OPERATOR).user


def signed_in(user: users.User) -> str:
    return sign_ins.redeem_ticket(sign_ins.issue_ticket(user.actor()), address=None, device=None)


def queued(kind: str = "reset") -> list[str]:
    with reading() as session:
        return list(session.scalars(select(Mail.email).where(Mail.kind == kind).order_by(Mail.id)))


def lines(event: Event) -> list[AuditLine]:
    with reading() as session:
        return list(session.scalars(select(AuditLine).where(AuditLine.event == event)))


def refused(token: str) -> None:
    """By every road, and with the same words."""
    for operation in (
        lambda: account_links.look(token),
        lambda: account_links.accept(token, OTHER, address=None),
        lambda: account_links.confirm_email(token, address=None),
    ):
        with pytest.raises(LinkRefused) as error:
            operation()
        assert error.value.sentence == (
            "This link does not work any more: it was used, has expired or was replaced by a newer one. "
            "Ask for a new one."
        )


def test_an_invitation_is_looked_at_often_and_used_once(bea: users.User) -> None:
    token = link_of(bea)
    for _ in range(2):
        found = account_links.look(token)
        assert (found.purpose, found.email, found.name) == (Purpose.INVITATION, "bea@example.com", "Bea")
    actor = account_links.accept(token, PASSWORD, address="10.0.0.1")
    assert (actor.id, actor.role, actor.address) == (bea.id, Role.MANAGER, "10.0.0.1")
    assert sign_ins.check_password(bea.email, PASSWORD, address=None).needs is None
    refused(token)
    assert [line.actor_name for line in lines(Event.INVITATION_ACCEPTED)] == ["Bea"]


def test_a_reset_ends_all_sessions_and_links_and_tells_the_person(ann: users.User) -> None:
    session, ticket = signed_in(ann), sign_ins.issue_ticket(ann.actor())
    first, second, to_change = link_of(ann, Purpose.RESET), link_of(ann, Purpose.RESET), link_of(ann, Purpose.EMAIL)
    account_links.accept(first, OTHER, address=None)
    assert sign_ins.actor_of(session) is None
    with pytest.raises(sign_ins.SignInRefused):
        sign_ins.redeem_ticket(ticket, address=None, device=None)
    with pytest.raises(sign_ins.SignInRefused):
        sign_ins.check_password(ann.email, PASSWORD, address=None)
    assert sign_ins.check_password(ann.email, OTHER, address=None).needs is None
    refused(second)
    refused(to_change)
    assert queued("password changed") == ["ann@example.com"]
    assert len(lines(Event.PASSWORD_CHANGED)) == 1


def test_a_weak_password_leaves_the_link_as_it_was(bea: users.User) -> None:
    token = link_of(bea)
    for weak in ("short", " " * 40, "password1234", "bea and her friends"):
        with pytest.raises(InvalidInput, match="The password"):
            account_links.accept(token, weak, address=None)
    assert users.find(bea.email, by=OPERATOR).password_hash is None
    account_links.accept(token, "correct horse 🐎 " * 700, address=None)
    assert sign_ins.check_password(bea.email, "correct horse 🐎 " * 700, address=None).needs is None


@pytest.mark.parametrize("purpose", Purpose)
def test_links_end_by_time(ann: users.User, purpose: Purpose) -> None:
    token = link_of(ann, purpose, "new@example.com")
    with writing(OPERATOR) as session:
        left = session.scalar(select(AccountLink.expires_at - func.clock_timestamp()).where(_is(token)))
        assert left is not None
        assert purpose.lasts - timedelta(minutes=1) < left <= purpose.lasts
        account_links.look(token)
        session.execute(update(AccountLink).values(expires_at=func.clock_timestamp()))
    refused(token)


def test_an_invitation_lasts_a_week_and_the_others_an_hour() -> None:
    assert [one.lasts for one in Purpose] == [timedelta(days=7), timedelta(hours=1), timedelta(hours=1)]


@pytest.mark.parametrize("token", ["", "forged", "x" * 10_000, "'; DROP TABLE users; --", "\0", "half \ud83d"])
def test_a_forged_link_is_refused_like_an_old_one(ann: users.User, token: str) -> None:
    refused(token)


def test_the_stored_hash_is_no_link(ann: users.User) -> None:
    token = link_of(ann, Purpose.RESET)
    with reading() as session:
        stored = session.scalars(select(AccountLink.token_hash).where(_is(token))).one()
    assert token != stored
    refused(stored)


def test_a_link_is_good_for_its_purpose_only(ann: users.User) -> None:
    reset, email = link_of(ann, Purpose.RESET), link_of(ann, Purpose.EMAIL, "new@example.com")
    with pytest.raises(LinkRefused):
        account_links.confirm_email(reset, address=None)
    with pytest.raises(LinkRefused):
        account_links.accept(email, OTHER, address=None)
    assert sign_ins.check_password(ann.email, PASSWORD, address=None).needs is None


def test_a_link_of_a_closed_account_opens_nothing(ann: users.User) -> None:
    users.deactivate(ann.email, by=OPERATOR)
    refused(link_of(ann, Purpose.RESET))


def test_of_many_who_use_it_at_once_one_gets_it(bea: users.User) -> None:
    token, taken = link_of(bea), []

    def use(number: int) -> None:
        with suppress(LinkRefused):
            account_links.accept(token, f"{OTHER} {number}", address=None)
            taken.append(number)

    threads = [threading.Thread(target=use, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    assert sign_ins.check_password(bea.email, f"{OTHER} {taken[0]}", address=None).needs is None


class TestForgotten:
    def test_who_has_an_account_gets_a_link(self, ann: users.User) -> None:
        account_links.request_reset(" ANN@Example.com ", address="10.0.0.1")
        assert queued() == ["ann@example.com"]
        [line] = lines(Event.RESET_REQUESTED)
        assert (line.subject, line.address, line.actor_id) == ("user ann@example.com", "10.0.0.1", None)

    def test_who_has_none_gets_nothing(self, ann: users.User) -> None:
        for email in ("nobody@example.com", "not an address", "", "аnn@example.com", "x" * 10_000, "\0", "\ud83d@a.de"):
            account_links.request_reset(email, address=None)
        users.deactivate(ann.email, by=OPERATOR)
        account_links.request_reset(ann.email, address=None)
        assert queued() == []

    def test_who_was_invited_gets_a_new_invitation(self, bea: users.User) -> None:
        account_links.request_reset(bea.email, address=None)
        assert queued("invitation") == ["bea@example.com"] * 2
        assert queued() == []

    def test_known_and_unknown_take_the_same_statements(self, ann: users.User) -> None:
        """What could be measured from outside would have to come from them."""
        with statements.noted([]) as known:
            account_links.request_reset(ann.email, address="10.0.0.1")
        with statements.noted([]) as unknown:
            account_links.request_reset("bob@example.com", address="10.0.0.1")
        assert known == unknown
        assert len(known) > 3

    def test_an_account_gets_three_an_hour(self, ann: users.User) -> None:
        for _ in range(5):
            account_links.request_reset(ann.email, address=None)
        assert len(queued()) == 3
        with writing(OPERATOR) as session:
            session.execute(update(RequestLimit).values(due_at=RequestLimit.due_at - timedelta(hours=1)))
        account_links.request_reset(ann.email, address=None)
        assert len(queued()) == 4

    def test_an_address_asks_for_twenty_accounts_an_hour(self, ann: users.User) -> None:
        for number in range(account_links.RESETS_FROM_ADDRESS):
            account_links.request_reset(f"n{number}@example.com", address="10.9.9.9")
        account_links.request_reset(ann.email, address="10.9.9.9")
        assert queued() == []
        account_links.request_reset(ann.email, address="10.1.1.1")
        assert queued() == ["ann@example.com"]


class TestNewEmail:
    def test_it_counts_once_the_link_was_opened(self, ann: users.User) -> None:
        token = signed_in(ann)
        profile.ask_email_change("Ann.New@Example.com", PASSWORD, by=ann.actor())
        assert queued("email") == ["ann.new@example.com"]
        assert users.find("ann@example.com", by=OPERATOR).id == ann.id
        link, reset = link_of(ann, Purpose.EMAIL, "ann.new@example.com"), link_of(ann, Purpose.RESET)
        assert account_links.look(link).email == "ann.new@example.com"
        assert account_links.confirm_email(link, address=None).id == ann.id
        assert sign_ins.check_password("ann.new@example.com", PASSWORD, address=None).needs is None
        assert sign_ins.actor_of(token) is not None
        assert queued("e-mail changed") == ["ann@example.com"], "the old address is told"
        refused(link)
        refused(reset)  # it lies in the old mailbox
        [line] = lines(Event.EMAIL_CHANGED)
        assert line.details == {"before": {"email": "ann@example.com"}, "after": {"email": "ann.new@example.com"}}

    def test_somebody_elses_address_is_answered_alike_and_gets_nothing(self, ann: users.User, bea: users.User) -> None:
        profile.ask_email_change(bea.email, PASSWORD, by=ann.actor())
        profile.ask_email_change("free@example.com", PASSWORD, by=ann.actor())
        assert queued("email") == ["free@example.com"]

    def test_an_address_taken_meanwhile_is_refused(self, ann: users.User) -> None:
        link = link_of(ann, Purpose.EMAIL, "bea@example.com")
        users.invite(email="bea@example.com", name="Bea", role=Role.MANAGER, by=OPERATOR)
        with pytest.raises(Conflict, match="belongs to another account"):
            account_links.confirm_email(link, address=None)
        assert users.find("ann@example.com", by=OPERATOR).id == ann.id

    def test_asking_again_ends_the_first_link(self, ann: users.User) -> None:
        first = link_of(ann, Purpose.EMAIL, "one@example.com")
        profile.ask_email_change("two@example.com", PASSWORD, by=ann.actor())
        refused(first)


def test_links_lead_to_where_people_reach_the_web(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_tokens.settings(), "public_url", "https://contacts.example.com/")
    assert link_tokens.address("abc") == "https://contacts.example.com/?link=abc"


def test_the_hash_of_a_chosen_password_is_the_persons_only(ann: users.User) -> None:
    stored = users.find(ann.email, by=OPERATOR).password_hash
    assert passwords.matches(PASSWORD, stored)
    with reading() as session:
        assert PASSWORD not in str([line.details for line in session.scalars(select(AuditLine))])


def _is(token: str) -> object:
    return AccountLink.token_hash == secret_tokens.hashed(token)
