import pytest
from sqlalchemy import select

from models import passwords, users
from models.audit import AuditLine, Event
from models.database import reading
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.permissions import Actor, Role


@pytest.fixture
def ann(db: str, operator: Actor) -> users.User:
    return users.add(email="Ann@Example.com", name="Ann", role=Role.ADMIN, password="correct horse", by=operator)[0]


def test_an_address_is_one_account_in_any_capitals(ann: users.User, operator: Actor) -> None:
    assert ann.email == "ann@example.com"
    with pytest.raises(Conflict, match=r"ann@example\.com already"):
        users.add(email="ANN@example.COM", name="Ann again", role=Role.ANALYST, by=operator)
    assert users.find("aNN@example.com", by=operator).id == ann.id


def test_the_first_administrator_is_made_once(db: str) -> None:
    first = users.first_administrator(email="root@example.com", password=None)
    assert first is not None
    assert passwords.matches(first[1], first[0].password_hash)
    assert users.first_administrator(email="other@example.com", password="x") is None


def test_the_last_administrator_cannot_be_lost(ann: users.User, operator: Actor) -> None:
    with pytest.raises(Conflict, match="last active administrator"):
        users.deactivate(ann.email, by=operator)
    with pytest.raises(Conflict, match="last active administrator"):
        users.change(ann.email, users.Changes(role=Role.ANALYST), by=operator)
    assert users.find(ann.email, by=operator).role == Role.ADMIN


def test_only_administrators_manage_people(ann: users.User) -> None:
    analyst = Actor(5, "An analyst", Role.ANALYST)
    with pytest.raises(NotAllowed, match="You may not manage users: that needs the role admin"):
        users.add(email="b@example.com", name="B", role=Role.ADMIN, by=analyst)


def test_unknown_columns_and_addresses_are_named(db: str, operator: Actor) -> None:
    with pytest.raises(InvalidInput, match="Unknown column salary"):
        users.add(email="b@example.com", name="B", role=Role.ANALYST, column_allowed=("person", "salary"), by=operator)
    with pytest.raises(InvalidInput, match="“not an address” is not an e-mail"):
        users.add(email="not an address", name="B", role=Role.ANALYST, by=operator)


def test_a_long_passphrase_counts_whole() -> None:
    stored = passwords.digest("x" * 100 + "a")
    assert passwords.matches("x" * 100 + "a", stored)
    assert not passwords.matches("x" * 100 + "b", stored)
    assert not passwords.matches("anything", None)


def test_a_password_is_set_and_written_nowhere(ann: users.User, operator: Actor) -> None:
    assert users.set_password(ann.email, "battery staple", by=operator) == "battery staple"
    assert passwords.matches("battery staple", users.find(ann.email, by=operator).password_hash)
    with reading() as session:
        lines = select(AuditLine.subject, AuditLine.details).where(AuditLine.event == Event.USER_CHANGED)
        assert session.execute(lines).all() == [("user ann@example.com", {"password": "changed"})]


def test_a_password_is_not_set_for_nobody_by_anybody_to_nothing(ann: users.User, operator: Actor) -> None:
    with pytest.raises(NotFound, match=r"no user with the e-mail bob@example\.com"):
        users.set_password("bob@example.com", "x", by=operator)
    with pytest.raises(NotAllowed, match="needs the role admin"):
        users.set_password(ann.email, "x", by=Actor(5, "An analyst", Role.ANALYST))
    with pytest.raises(InvalidInput, match="The new password is empty"):
        users.set_password(ann.email, "", by=operator)
    assert passwords.matches("correct horse", users.find(ann.email, by=operator).password_hash)


def test_where_nobody_leads_others_may_still_be_deactivated(db: str, operator: Actor) -> None:
    users.add(email="b@example.com", name="B", role=Role.ANALYST, by=operator)
    assert not users.deactivate("b@example.com", by=operator).is_active
