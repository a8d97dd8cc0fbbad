from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from models import secret_tokens, sign_ins, users
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.permissions import OPERATOR, Actor, Role
from models.sign_in_failures import ADDRESS_TRIES, SignInFailure, SignInRefused, pause_after
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
