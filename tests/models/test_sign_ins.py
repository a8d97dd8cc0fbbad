import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import TextClause, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models import (
    account_links,
    accounts,
    link_tokens,
    passwords,
    role_rules,
    secret_tokens,
    settings,
    sign_in_failures,
    sign_in_sessions,
    sign_ins,
    users,
)
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.errors import AppError, NotAllowed, NotFound
from models.networks import neighbourhood
from models.permissions import OPERATOR, Actor, Role
from models.sign_in_failures import ADDRESS_TRIES, SignInFailure, SignInPaused, SignInRefused, pause_after
from models.sign_in_sessions import SignInSession, SignInTicket
from tests import people
from tests.people import PASSWORD


@pytest.fixture
def ann(db: str) -> users.User:
    users.first_administrator(email="root@example.com", password=None)
    return people.person(email="ann@example.com", name="Ann", role=Role.ANALYST)


def events() -> list[tuple[str, str]]:
    with reading() as session:
        lines = session.execute(select(AuditLine.event, AuditLine.subject).order_by(AuditLine.id)).all()
    before = (Event.USER_ADDED, Event.USER_INVITED, Event.INVITATION_ACCEPTED)
    return [(line.event, line.subject) for line in lines if line.event not in before]


def grown_older(by: timedelta) -> None:
    """As if the failures so far had happened earlier."""
    with writing(OPERATOR) as session:
        session.execute(update(SignInFailure).values(at=SignInFailure.at - by))


def failed(times: int, email: str = "ann@example.com", address: str | None = None) -> None:
    """As if so many tries had failed just now; a real one takes the time of a password's hash."""
    with writing(OPERATOR) as session:
        session.add_all(SignInFailure(email=email, address=address) for _ in range(times))


def fail(email: str = "ann@example.com", address: str | None = None) -> str:
    with pytest.raises(SignInRefused) as refused:
        sign_ins.check_password(email, "wrong", address=address)
    return refused.value.sentence


def signed_in(user: users.User) -> str:
    return sign_ins.redeem_ticket(sign_ins.issue_ticket(user.actor()), address="10.0.0.1", device="a browser")


def test_the_right_password_in_any_capitals_of_the_address(ann: users.User) -> None:
    step = sign_ins.check_password(" ANN@Example.COM ", PASSWORD, address="10.0.0.1")
    assert step.needs is None
    actor = sign_ins.actor_of(sign_ins.redeem_ticket(step.ticket, address="10.0.0.1", device=None))
    assert actor is not None
    assert (actor.id, actor.name, actor.role, actor.address) == (ann.id, "Ann", Role.ANALYST, "10.0.0.1")


def test_spaces_in_a_password_count(db: str) -> None:
    people.person(email="b@example.com", name="B", role=Role.ANALYST, password=f" {PASSWORD} ")
    assert sign_ins.check_password("b@example.com", f" {PASSWORD} ", address=None).needs is None
    with pytest.raises(SignInRefused):
        sign_ins.check_password("b@example.com", PASSWORD, address=None)


def test_known_unknown_and_closed_accounts_get_the_same_answer(ann: users.User, operator: Actor) -> None:
    people.person(email="closed@example.com", name="C", role=Role.ANALYST)
    users.deactivate("closed@example.com", by=operator)
    with pytest.raises(SignInRefused) as closed:
        sign_ins.check_password("closed@example.com", PASSWORD, address=None)
    answer = "That e-mail and password do not match. 4 tries left before a pause of 1 min."
    assert {fail(), fail("nobody@example.com"), closed.value.sentence} == {answer}


def test_five_failures_pause_the_account_even_for_the_right_password(ann: users.User) -> None:
    failed(3)
    assert fail().endswith("1 try left before a pause of 1 min.")
    assert fail() == "That e-mail and password do not match. Try again in 1 min."
    with pytest.raises(SignInRefused, match=r"Too many failed tries. Try again in (1 min|\d+ s)\."):
        sign_ins.check_password(ann.email, PASSWORD, address=None)
    grown_older(timedelta(seconds=61))
    assert sign_ins.check_password(ann.email, PASSWORD, address=None).needs is None


def test_pauses_grow_and_end_with_a_success(ann: users.User) -> None:
    for pause in ("1 min", "5 min", "15 min", "15 min"):
        failed(4)
        assert fail().endswith(f"Try again in {pause}.")
        grown_older(timedelta(minutes=15, seconds=1))
    sign_ins.check_password(ann.email, PASSWORD, address=None)
    assert fail().endswith("4 tries left before a pause of 1 min.")


def test_a_pause_never_gets_shorter() -> None:
    pauses = [pause_after(failures) for failures in range(5, 60, 5)]
    assert all(before <= after for before, after in pairwise(pauses))
    assert pause_after(4) == pause_after(6) == timedelta(0)


def test_one_address_cannot_try_every_account(ann: users.User) -> None:
    for number in range(ADDRESS_TRIES):
        failed(1, f"person{number}@example.com", address="10.9.9.9")
    with pytest.raises(SignInRefused, match="Too many failed tries"):
        sign_ins.check_password(ann.email, PASSWORD, address="10.9.9.9")
    assert sign_ins.check_password(ann.email, PASSWORD, address="10.1.1.1").needs is None


def test_who_has_a_network_cannot_try_every_account_either(ann: users.User) -> None:
    for number in range(ADDRESS_TRIES):
        sign_in_failures.begin(f"person{number}@example.com", f"2001:db8:1:2::{number:x}")
    with pytest.raises(SignInRefused, match="Too many failed tries"):
        sign_ins.check_password(ann.email, PASSWORD, address="2001:db8:1:2:ffff::1")
    assert sign_ins.check_password(ann.email, PASSWORD, address="2001:db8:1:3::1").needs is None


def test_an_address_that_tries_many_accounts_at_once_gets_no_further(ann: users.User) -> None:
    tried = []

    def try_one(number: int) -> None:
        with suppress(SignInRefused):
            tried.append(sign_in_failures.begin(f"person{number}@example.com", "10.9.9.9"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(try_one, range(ADDRESS_TRIES + 20)))
    assert len(tried) == ADDRESS_TRIES


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("/run/web.sock", "/run/web.sock"),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    assert neighbourhood(address) == counted


def test_a_ticket_opens_one_session(ann: users.User) -> None:
    ticket = sign_ins.issue_ticket(ann.actor())
    token = sign_ins.redeem_ticket(ticket, address="10.0.0.1", device="a browser")
    actor = sign_ins.actor_of(token)
    assert actor is not None
    assert (actor.id, actor.address) == (ann.id, "10.0.0.1")
    with pytest.raises(SignInRefused, match="used already"):
        sign_ins.redeem_ticket(ticket, address=None, device=None)
    assert users.find(ann.email, by=OPERATOR).last_ip == "10.0.0.1"


def test_a_ticket_is_gone_after_thirty_seconds(ann: users.User) -> None:
    ticket = sign_ins.issue_ticket(ann.actor())
    with writing(OPERATOR) as session:
        session.execute(update(SignInTicket).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    with pytest.raises(SignInRefused):
        sign_ins.redeem_ticket(ticket, address=None, device=None)


def test_neither_ticket_nor_token_is_stored_as_it_is(ann: users.User) -> None:
    ticket, token = sign_ins.issue_ticket(ann.actor()), signed_in(ann)
    with reading() as session:
        stored = {*session.scalars(select(SignInTicket.token_hash)), *session.scalars(select(SignInSession.token_hash))}
    assert len(stored) == 2
    assert not stored & {ticket, token}
    assert all(sign_ins.actor_of(one) is None for one in stored)


def test_a_session_ends_by_signing_out_by_time_and_with_the_account(ann: users.User, operator: Actor) -> None:
    first, second, third = signed_in(ann), signed_in(ann), signed_in(ann)
    sign_ins.sign_out(first)
    assert sign_ins.actor_of(first) is None
    assert sign_ins.actor_of(second) is not None
    with writing(OPERATOR) as session:
        used = SignInSession.token_hash == secret_tokens.hashed(second)
        session.execute(update(SignInSession).where(used).values(expires_at=datetime.now(UTC)))
    assert sign_ins.actor_of(second) is None
    assert sign_ins.actor_of(third) is not None
    users.deactivate(ann.email, by=operator)
    assert sign_ins.actor_of(third) is None
    assert sign_ins.actor_of(None) is None


@pytest.mark.parametrize(("role", "hours"), [(Role.ANALYST, 168), (Role.MANAGER, 168), (Role.ADMIN, 12)])
def test_a_session_ends_that_nobody_uses(db: str, role: Role, hours: int) -> None:
    zoe = people.person(email="zoe@example.com", name="Zoe", role=role)
    step = sign_ins.check_password(zoe.email, PASSWORD, address=None, stays=True)
    token = sign_ins.redeem_ticket(step.ticket, address=None, device=None)
    unused_for(timedelta(hours=hours - 1))
    assert sign_ins.actor_of(token) is not None
    unused_for(timedelta(hours=hours - 1))  # since then
    assert len(sign_ins.sessions_of(by=zoe.actor())) == 1
    assert sign_ins.actor_of(token) is not None
    assert sign_ins.ended_unused(token) is None
    unused_for(timedelta(hours=hours, minutes=1))
    assert sign_ins.actor_of(token) is None
    assert sign_ins.sessions_of(by=zoe.actor()) == []
    assert sign_ins.ended_unused(token) == timedelta(hours=hours)


def test_how_long_it_may_be_unused_is_a_setting_and_follows_the_role(
    ann: users.User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed_in(ann)
    for role, setting, hours, goes_on in (
        (Role.ANALYST, "IDLE_HOURS", 2, False),
        (Role.ANALYST, "IDLE_HOURS", 4, True),
        (Role.ADMIN, "ADMIN_IDLE_HOURS", 2, False),
        (Role.ADMIN, "ADMIN_IDLE_HOURS", 4, True),
    ):
        monkeypatch.setenv(f"APPOINTMENT360_{setting}", str(hours))
        settings.settings.cache_clear()
        with writing(OPERATOR) as session:
            session.execute(update(users.User).where(users.User.id == ann.id).values(role=role))
        unused_for(timedelta(hours=3))
        assert (sign_ins.actor_of(token) is not None) is goes_on, (role, hours)
    monkeypatch.undo()
    settings.settings.cache_clear()


def unused_for(time: timedelta) -> None:
    with writing(OPERATOR) as session:
        session.execute(update(SignInSession).values(last_seen_at=func.clock_timestamp() - time))


def test_why_a_session_ended_is_told_of_no_other_end(ann: users.User) -> None:
    token, other = signed_in(ann), signed_in(ann)
    sign_ins.sign_out(other)
    unused_for(timedelta(days=8))
    assert sign_ins.ended_unused(other) is None
    assert sign_ins.ended_unused("nobody's") is None
    assert sign_ins.ended_unused(None) is None
    with writing(OPERATOR) as session:
        session.execute(update(SignInSession).values(expires_at=func.clock_timestamp()))
    assert sign_ins.ended_unused(token) is None


def test_the_last_use_is_written_once_a_minute(ann: users.User) -> None:
    def last_seen() -> datetime:
        with reading() as session:
            return session.scalars(select(SignInSession.last_seen_at)).one()

    token = signed_in(ann)
    before = last_seen()
    sign_ins.actor_of(token)
    assert last_seen() == before
    with writing(OPERATOR) as session:
        session.execute(update(SignInSession).values(last_seen_at=before - timedelta(minutes=2)))
    sign_ins.actor_of(token)
    assert last_seen() >= before


def test_the_audit_log_tells_it_all(ann: users.User) -> None:
    fail()
    token = signed_in(ann)
    sign_ins.sign_out(token)
    sign_ins.sign_out(token)
    who = "user ann@example.com"
    assert events() == [(Event.SIGN_IN_FAILED, who), (Event.SIGNED_IN, who), (Event.SIGNED_OUT, who)]


FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


class TestStaying:
    def left(self) -> timedelta:
        with reading() as session:
            left = session.scalar(select(SignInSession.expires_at - func.clock_timestamp()))
        assert left is not None
        return left

    def test_otherwise_the_cookie_ends_with_the_browser_and_the_session_after_hours(self, ann: users.User) -> None:
        step = sign_ins.check_password(ann.email, PASSWORD, address=None)
        token = sign_ins.redeem_ticket(step.ticket, address=None, device=None)
        assert sign_ins.lasts(token) is None
        assert timedelta(hours=11) < self.left() <= timedelta(hours=12)

    def test_who_stays_signed_in_stays_for_thirty_days(self, ann: users.User) -> None:
        step = sign_ins.check_password(ann.email, PASSWORD, address=None, stays=True)
        token = sign_ins.redeem_ticket(step.ticket, address=None, device=None)
        assert sign_ins.lasts(token) == timedelta(days=30)
        assert timedelta(days=29) < self.left() <= timedelta(days=30)


class TestSessions:
    def test_each_is_listed_with_its_device_this_one_first(self, ann: users.User) -> None:
        def begun(address: str | None, device: str | None) -> str:
            return sign_ins.redeem_ticket(sign_ins.issue_ticket(ann.actor()), address=address, device=device)

        this = begun("10.0.0.1", FIREFOX)
        begun("10.0.0.2", SAFARI)
        begun(None, None)
        ended = begun("10.0.0.4", "gone")
        sign_ins.sign_out(ended)
        signed_in(users.find("root@example.com", by=OPERATOR))
        found = sign_ins.sessions_of(by=actor(this))
        assert [(one.device, one.address, one.is_this) for one in found] == [
            ("Firefox on Windows", "10.0.0.1", True),
            ("Unknown device", None, False),
            ("Mobile Safari on iOS", "10.0.0.2", False),
        ]

    def test_one_is_ended_by_its_number_and_only_ones_own(self, ann: users.User) -> None:
        root = users.find("root@example.com", by=OPERATOR)
        this, other, foreign = signed_in(ann), signed_in(ann), signed_in(root)
        [number] = [one.id for one in sign_ins.sessions_of(by=actor(this)) if not one.is_this]
        [rootly] = [one.id for one in sign_ins.sessions_of(by=actor(foreign))]
        for no_session in (rootly, 0, -1, 2**63 - 1, 2**70):
            with pytest.raises(NotFound, match="has ended already"):
                sign_ins.end(no_session, by=actor(this))
        sign_ins.end(number, by=actor(this))
        assert sign_ins.actor_of(other) is None
        assert sign_ins.actor_of(this) is not None
        assert sign_ins.actor_of(foreign) is not None
        with pytest.raises(NotFound):
            sign_ins.end(number, by=actor(this))
        assert events()[-1] == (Event.SESSIONS_ENDED, "user ann@example.com")

    def test_all_others_end_and_this_one_stays(self, ann: users.User) -> None:
        this, second, third, ticket = signed_in(ann), signed_in(ann), signed_in(ann), sign_ins.issue_ticket(ann.actor())
        assert sign_ins.end_others(by=actor(this), token=this) == 2
        assert [sign_ins.actor_of(one) is None for one in (this, second, third)] == [False, True, True]
        with pytest.raises(SignInRefused):
            sign_ins.redeem_ticket(ticket, address=None, device=None)

    def test_an_administrator_signs_somebody_out_everywhere(self, ann: users.User) -> None:
        root = users.find("root@example.com", by=OPERATOR).actor()
        first, second = signed_in(ann), signed_in(ann)
        with pytest.raises(NotAllowed, match="You may not manage users"):
            sign_ins.end_all("root@example.com", by=ann.actor())
        assert sign_ins.end_all("ANN@example.com", by=root) == 2
        assert sign_ins.actor_of(first) is sign_ins.actor_of(second) is None

    def test_the_same_person_is_one_actor_in_any_session(self, ann: users.User) -> None:
        first, second = actor(signed_in(ann)), actor(signed_in(ann))
        assert first.session_id != second.session_id
        assert first == second, "what is kept for a person is kept once"


class TestClocks:
    """The machine's clock jumps; what is compared is the database's."""

    def test_pythons_clock_decides_nothing(self, ann: users.User) -> None:
        roads = "accounts account_links link_tokens mails own_password profile request_limits role_rules second_factors"
        roads += " sign_in_failures sign_in_sessions sign_ins users"
        for road in roads.split():
            source = (Path(sign_ins.__file__).parent / f"{road}.py").read_text()
            assert not re.search(r"datetime\.now|utcnow|time\.time|\btime\.monotonic", source), road

    def test_failures_of_the_future_make_nobody_wait_for_it(self, ann: users.User) -> None:
        failed(5)
        grown_older(-timedelta(days=3))  # the clock was three days ahead, and was put right
        with pytest.raises(SignInRefused, match=r"Try again in (1 min|\d+ s)\."):
            sign_ins.check_password(ann.email, PASSWORD, address=None)
        grown_older(timedelta(seconds=61))
        assert sign_ins.check_password(ann.email, PASSWORD, address=None).needs is None

    def test_a_jump_ahead_ends_tickets_and_sessions(self, ann: users.User) -> None:
        token, ticket = signed_in(ann), sign_ins.issue_ticket(ann.actor())
        with writing(OPERATOR) as session:
            ago = timedelta(hours=13)
            session.execute(update(SignInSession).values(expires_at=SignInSession.expires_at - ago))
            session.execute(update(SignInTicket).values(expires_at=SignInTicket.expires_at - ago))
        assert sign_ins.actor_of(token) is None
        with pytest.raises(SignInRefused):
            sign_ins.redeem_ticket(ticket, address=None, device=None)


def test_one_ticket_at_many_doors_opens_one(ann: users.User) -> None:
    ticket, opened = sign_ins.issue_ticket(ann.actor()), []

    def redeem() -> None:
        with suppress(SignInRefused):
            opened.append(sign_ins.redeem_ticket(ticket, address=None, device=None))

    threads = [threading.Thread(target=redeem) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1


class TestAtTheSameMoment:
    """What the person does while an administrator's change is on its way waits for it, and neither fails."""

    def done_meanwhile(
        self,
        act: Callable[[], object],
        change: Callable[[Session], object],
        lock: Callable[[Session], object] = accounts.lock,
    ) -> list[Exception]:
        """`act` begins while a transaction holds the lock and has not written yet; returns what `act` raised."""
        raised: list[Exception] = []

        def run() -> None:
            try:
                act()
            except (AppError, SQLAlchemyError) as error:
                raised.append(error)

        with writing(OPERATOR) as session:
            lock(session)
            thread = threading.Thread(target=run)
            thread.start()
            waiting = text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            while not self.found(waiting):
                assert thread.is_alive()
            change(session)
        thread.join()
        return raised

    def found(self, query: TextClause) -> int:
        """In a transaction of its own: within one the server shows what it showed first."""
        with reading() as session:
            return int(session.scalar(query) or 0)

    def deactivating(self, user: users.User) -> Callable[[Session], object]:
        def change(session: Session) -> None:
            session.execute(update(users.User).where(users.User.id == user.id).values(is_active=False))
            sign_in_sessions.end_of(session, user.id)
            link_tokens.end(session, user.id)

        return change

    def test_a_ticket_is_redeemed(self, ann: users.User) -> None:
        ticket = sign_ins.issue_ticket(ann.actor())
        [error] = self.done_meanwhile(
            lambda: sign_ins.redeem_ticket(ticket, address=None, device=None), self.deactivating(ann)
        )
        assert isinstance(error, SignInRefused)

    def test_a_link_is_used(self, ann: users.User) -> None:
        link = people.link_of(ann, link_tokens.Purpose.RESET)
        [error] = self.done_meanwhile(
            lambda: account_links.accept(link, "staple orange lantern", address=None), self.deactivating(ann)
        )
        assert isinstance(error, link_tokens.LinkRefused)

    def test_a_ticket_is_redeemed_while_the_password_changes(self, ann: users.User) -> None:
        ticket = sign_ins.issue_ticket(ann.actor())
        [error] = self.done_meanwhile(
            lambda: sign_ins.redeem_ticket(ticket, address=None, device=None),
            lambda session: sign_in_sessions.end_of(session, ann.id),
            lambda session: accounts.locked(session, ann.id),
        )
        assert isinstance(error, SignInRefused)

    def test_the_old_password_is_compared_while_a_new_one_comes(
        self, ann: users.User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link, compare = people.link_of(ann, link_tokens.Purpose.RESET), passwords.matches

        def slowly(password: str, stored: str | None) -> bool:
            right = compare(password, stored)
            account_links.accept(link, "staple orange lantern", address=None)
            return right

        monkeypatch.setattr(passwords, "matches", slowly)
        with pytest.raises(SignInRefused):
            sign_ins.check_password(ann.email, PASSWORD, address=None)

    def test_everybody_is_signed_out_of_what_is_just_being_opened(self, ann: users.User) -> None:
        root, tokens = users.find("root@example.com", by=OPERATOR).actor(), []
        for end in (
            lambda: sign_ins.end_all(ann.email, by=root),
            lambda: sign_ins.end_others(by=ann.actor(), token=None),
        ):
            assert not self.done_meanwhile(
                end,
                lambda session: tokens.append(
                    sign_in_sessions.begin(session, ann, stays=False, address=None, device=None)
                ),
                lambda session: accounts.locked(session, ann.id),
            )
        assert [sign_ins.actor_of(token) for token in tokens] == [None, None]

    def test_an_administrator_who_is_none_any_more_invites_nobody(self, ann: users.User) -> None:
        second = people.person(email="second@example.com", name="S", role=Role.ADMIN)

        def demote(session: Session) -> None:
            session.execute(update(users.User).where(users.User.id == second.id).values(role=Role.ANALYST))

        [error] = self.done_meanwhile(
            lambda: users.invite(email="b@example.com", name="B", role=Role.ADMIN, by=second.actor()), demote
        )
        assert isinstance(error, NotAllowed)

    def test_a_role_comes_to_ask_for_a_second_factor(self, ann: users.User) -> None:
        def change(session: Session) -> None:
            session.add(role_rules.RoleRule(role=Role.ANALYST, second_factor=True))
            sign_in_sessions.end_of(session, ann.id)

        ticket = sign_ins.issue_ticket(ann.actor())
        [error] = self.done_meanwhile(lambda: sign_ins.redeem_ticket(ticket, address=None, device=None), change)
        assert isinstance(error, SignInRefused)


@pytest.mark.parametrize("token", ["", "forged", "x" * 10_000, "half \ud83d", "\0"])
def test_a_forged_token_is_nobody(ann: users.User, token: str) -> None:
    signed_in(ann)
    assert sign_ins.actor_of(token) is None
    sign_ins.sign_out(token)


@pytest.mark.parametrize("password", ["x" * 10_000, " ", "😀" * 3_000, "half \ud83d", "\0"])
def test_any_password_gets_the_same_answer(ann: users.User, password: str) -> None:
    with pytest.raises(SignInRefused, match=r"do not match\. 4 tries left"):
        sign_ins.check_password(ann.email, password, address=None)


def actor(token: str) -> Actor:
    found = sign_ins.actor_of(token)
    assert found is not None
    return found


def fail_as_program(email: str = "ann@example.com", address: str = "10.0.0.1") -> SignInRefused:
    with pytest.raises(SignInRefused) as refused:
        sign_ins.check_password(email, "wrong", address=address, by_program=True)
    return refused.value


def test_programs_of_one_address_fail_so_often_an_hour(ann: users.User) -> None:
    told = [fail_as_program(f"p{number}@example.com").sentence for number in range(5)]
    assert told[0].endswith("4 tries left before a pause of 1 min.")
    assert re.fullmatch(r"That e-mail and password do not match\. Try again in (60 min|59 min \d+ s)\.", told[4])
    with pytest.raises(SignInPaused, match="Too many failed tries") as paused:
        sign_ins.check_password(ann.email, PASSWORD, address="10.0.0.1", by_program=True)
    assert 3500 < paused.value.seconds <= 3600
    assert sign_ins.check_password(ann.email, PASSWORD, address="10.0.0.1").needs is None, "people at the form"
    assert sign_ins.check_password(ann.email, PASSWORD, address="10.0.0.2", by_program=True).needs is None
    grown_older(timedelta(minutes=59))
    with pytest.raises(SignInPaused):
        sign_ins.check_password(ann.email, PASSWORD, address="10.0.0.1", by_program=True)
    grown_older(timedelta(minutes=1))
    assert sign_ins.check_password(ann.email, PASSWORD, address="10.0.0.1", by_program=True).needs is None


def test_who_knows_one_password_does_not_begin_anew_with_the_others(ann: users.User) -> None:
    people.person(email="ben@example.com", name="Ben", role=Role.ANALYST)
    for _ in range(2):
        fail_as_program("ben@example.com")
        fail_as_program()
        assert sign_ins.check_password(ann.email, PASSWORD, address="10.0.0.1", by_program=True).needs is None
    fail_as_program()
    with pytest.raises(SignInPaused):
        sign_ins.check_password(ann.email, PASSWORD, address="10.0.0.1", by_program=True)
    assert fail(address=None).endswith("3 tries left before a pause of 1 min."), "the account itself began anew"


def test_programs_at_once_get_no_further(ann: users.User) -> None:
    tried = []

    def try_one(number: int) -> None:
        with suppress(SignInRefused):
            tried.append(sign_in_failures.begin(f"person{number}@example.com", "10.9.9.9", by_program=True))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(try_one, range(20)))
    assert len(tried) == 5
