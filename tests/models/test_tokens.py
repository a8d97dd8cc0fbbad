import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from models import tokens, users
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.permissions import ACCOUNT, OPERATOR, SCOPES, Actor, Permission, Role
from models.tokens import Token
from tests.people import person


@pytest.fixture
def ann(db: str) -> users.User:
    person(email="root@example.com", name="Root", role=Role.ADMIN)
    return person(email="ann@example.com", name="Ann", role=Role.MANAGER, column_allowed=("person",))


def stored(token_id: int) -> Token:
    with reading() as session:
        return session.get_one(Token, token_id)


def put(token_id: int, **values: Any) -> None:
    with writing(OPERATOR) as session:
        session.execute(update(Token).where(Token.id == token_id).values(**values))


def actor_of(token: str) -> Actor | None:
    return tokens.actor_of(token, address="192.0.2.7")


def test_a_token_is_its_person_with_what_it_may(ann: users.User) -> None:
    _, every = tokens.create("All", by=ann.actor())
    _, some = tokens.create("Some", scopes=["contacts.read"], days=None, by=ann.actor())
    whole, part = actor_of(every), actor_of(some)
    assert whole is not None
    assert part is not None
    assert (whole.id, whole.name, whole.columns, whole.address) == (ann.id, "Ann", {"person"}, "192.0.2.7")
    assert whole.may(Permission.CONTACTS_EDIT)
    assert not whole.may(Permission.USERS_MANAGE)  # which the role has not
    assert part.may(Permission.CONTACTS_READ)
    assert not part.may(Permission.CONTACTS_EDIT)
    assert actor_of(every[:-1]) is None
    assert actor_of("") is None


def test_it_is_stored_as_its_hash_alone(ann: users.User) -> None:
    number, token = tokens.create("Nightly", by=ann.actor())
    found = stored(number)
    assert found.token_hash == hashlib.sha256(token.encode()).hexdigest()
    assert token not in repr(vars(found))
    assert (token.startswith("a360_"), found.ending) == (True, token[-4:])
    [listed] = tokens.listed(by=ann.actor())
    assert (listed.name, listed.ending, listed.scopes, listed.works) == ("Nightly", token[-4:], None, True)
    assert token not in repr(listed)


def test_what_is_over_works_no_more(ann: users.User) -> None:
    number, token = tokens.create("Nightly", days=1, by=ann.actor())
    put(number, expires_at=Token.expires_at - timedelta(days=1))
    assert actor_of(token) is None
    assert [one.works for one in tokens.listed(by=ann.actor())] == [False]
    other, token = tokens.create("Another", by=ann.actor())
    tokens.revoke(other, by=ann.actor())
    assert actor_of(token) is None
    with pytest.raises(NotFound, match=f"You have no token {other} that works"):
        tokens.revoke(other, by=ann.actor())


def test_a_role_that_changes_and_an_account_that_closes_count_at_once(ann: users.User) -> None:
    _, token = tokens.create("Nightly", scopes=["contacts.edit"], by=ann.actor())
    users.change(ann.email, users.Changes(role=Role.ANALYST), by=OPERATOR)
    changed = actor_of(token)
    assert changed is not None
    assert not changed.may(Permission.CONTACTS_EDIT)
    users.deactivate(ann.email, by=OPERATOR)
    assert actor_of(token) is None
    with pytest.raises(Conflict, match="is deactivated"):
        tokens.create_for(ann.email, "Nightly", by=OPERATOR)
    users.reactivate(ann.email, by=OPERATOR)
    assert actor_of(token) is not None


def test_its_last_use_is_written_once_a_minute(ann: users.User) -> None:
    number, token = tokens.create("Nightly", by=ann.actor())
    assert stored(number).last_used_at is None
    actor_of(token)
    first = stored(number)
    assert (first.last_used_at is not None, first.last_address) == (True, "192.0.2.7")
    tokens.actor_of(token, address="192.0.2.8")
    assert stored(number).last_used_at == first.last_used_at
    put(number, last_used_at=Token.last_used_at - timedelta(minutes=2))
    tokens.actor_of(token, address="192.0.2.8")
    assert stored(number).last_address == "192.0.2.8"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"name": " "}, "The name is empty"),
        ({"scopes": ["contacts.rea"]}, "There is no scope “contacts.rea”. Scopes are: contacts.read,"),
        ({"scopes": []}, "A token without a scope could do nothing"),
        ({"days": 0}, "1 to 3,650 days"),
        ({"days": 3651}, "1 to 3,650 days"),
    ],
)
def test_what_makes_no_token_is_said(ann: users.User, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        tokens.create(**({"name": "Nightly", "by": ann.actor()} | asked))
    assert tokens.listed(by=ann.actor()) == []


def test_there_are_so_many_at_once(ann: users.User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST", 2)
    first, _ = tokens.create("1", by=ann.actor())
    tokens.create("2", by=ann.actor())
    with pytest.raises(InvalidInput, match="You have 2 tokens that work: revoke one of them first"):
        tokens.create("3", by=ann.actor())
    with pytest.raises(InvalidInput, match=f"{ann.email} has 2 tokens that work"):
        tokens.create_for(ann.email, "3", by=OPERATOR)
    tokens.revoke(first, by=ann.actor())
    tokens.create("3", by=ann.actor())


def test_no_token_makes_another_one(ann: users.User) -> None:
    of_token = replace(ann.actor(), scopes=frozenset(SCOPES))
    with pytest.raises(NotAllowed, match="A token may not do this"):
        tokens.create("More", by=of_token)
    assert tokens.listed(by=of_token) == []
    with pytest.raises(NotAllowed, match=f"lacks the scope “{ACCOUNT}”"):
        tokens.listed(by=replace(of_token, scopes=frozenset({"contacts.read"})))


def test_those_of_others_are_for_who_manages_people(ann: users.User) -> None:
    root = users.find("root@example.com", by=OPERATOR).actor()
    number, token = tokens.create("Nightly", by=ann.actor())
    assert [one.id for one in tokens.listed_of("ANN@example.com", by=root)] == [number]
    with pytest.raises(NotFound, match="You have no token"):
        tokens.revoke(number, by=root)
    with pytest.raises(NotFound, match=r"root@example\.com has no token"):
        tokens.revoke_of("root@example.com", number, by=OPERATOR)
    tokens.revoke_of(ann.email, number, by=root)
    assert actor_of(token) is None
    with reading() as session:
        lines = session.execute(
            select(AuditLine.event, AuditLine.subject, AuditLine.actor_name, AuditLine.details)
            .where(AuditLine.event.in_([Event.TOKEN_CREATED, Event.TOKEN_REVOKED]))
            .order_by(AuditLine.id)
        ).all()
    told = {"token": number, "name": "Nightly"}
    assert [tuple(line) for line in lines] == [
        ("token created", "user ann@example.com", "Ann", {**told, "scopes": None, "days": 90}),
        ("token revoked", "user ann@example.com", "Root", told),
    ]


def test_all_of_somebody_end_at_once(ann: users.User) -> None:
    made = [tokens.create(str(number), by=ann.actor()) for number in range(3)]
    tokens.revoke(made[0][0], by=ann.actor())
    assert tokens.revoke_all_of(ann.email, by=OPERATOR) == 2
    assert [actor_of(token) for _, token in made] == [None] * 3
    assert tokens.revoke_all_of(ann.email, by=OPERATOR) == 0


def test_what_ended_long_ago_is_forgotten(ann: users.User) -> None:
    kept, _ = tokens.create("Kept", days=None, by=ann.actor())
    fresh, _ = tokens.create("Fresh", by=ann.actor())
    old, _ = tokens.create("Old", by=ann.actor())
    for number in (fresh, old):
        tokens.revoke(number, by=ann.actor())
    put(old, revoked_at=Token.revoked_at - timedelta(days=31))
    tokens.clear_ended()
    assert [one.id for one in tokens.listed(by=ann.actor())] == [fresh, kept]
