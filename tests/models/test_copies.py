"""Copying one field of many contacts costs what an export would, and leaves its line."""

import pytest
from sqlalchemy import insert, select, update

from models import credits, exports, users
from models.audit import AuditLine, Event
from models.contacts import copies
from models.contacts.bulk import Selection
from models.contacts.table import Contact
from models.database import reading, writing
from models.errors import InvalidInput, NotAllowed, NotEnoughCredits
from models.filters import Filters, parse
from models.permissions import OPERATOR, Actor, Role
from tests.people import person


@pytest.fixture
def ids(db: str) -> list[int]:
    rows = [
        {"email": f"{n}@example.com" if n % 2 else None, "mobile_phone": f"+49 30 {n}", "city": "Bern"}
        for n in range(8)
    ]
    with writing(OPERATOR) as session:
        return sorted(session.scalars(insert(Contact).returning(Contact.id), rows))


@pytest.fixture
def ann(ids: list[int]) -> Actor:
    return person(email="ann@example.com", name="Ann", role=Role.ANALYST, download_limit=6).actor()


def test_each_contact_with_a_value_costs_a_credit_once(ann: Actor, ids: list[int]) -> None:
    some = Selection(Filters(), tuple(ids[:6]))
    assert copies.cost(some, "email", by=ann) == (3, 3)
    done = copies.copy(some, "email", by=ann)
    assert (done.values, done.credits) == (["5@example.com", "3@example.com", "1@example.com"], 3)
    assert copies.cost(some, "mobile_phone", by=ann) == (6, 3)
    assert copies.copy(some, "mobile_phone", by=ann).credits == 3
    assert copies.copy(some, "email", by=ann).credits == 0
    assert credits.balance(by=ann).left == 0
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", ids=ids[:6], by=ann)
    assert exports.get(export_id, by=ann).credits == 0
    with pytest.raises(NotEnoughCredits, match="take 1 credit; you have none left until"):
        copies.copy(Selection(parse(["city=Bern"], by=ann), (ids[7],)), "email", by=ann)
    with reading() as session:
        lines = session.scalars(
            select(AuditLine.details).where(AuditLine.event == Event.CONTACTS_COPIED).order_by(AuditLine.id)
        ).all()
    assert lines[0] == {
        "field": "email", "contacts": 3, "credits": 3, "filter": "All contacts", "query": "", "selected": 6
    }  # fmt: skip
    assert len(lines) == 3


def test_what_is_hidden_or_no_address_is_not_copied(ann: Actor, ids: list[int]) -> None:
    narrow = Actor(ann.id, "Ann", Role.ANALYST, frozenset({"mobile_phone"}))
    assert copies.fields(by=narrow) == ["mobile_phone"]
    for operation in (copies.copy, copies.cost):
        with pytest.raises(NotAllowed, match="may not see the column E-mail"):
            operation(Selection(Filters(), tuple(ids)), "email", by=narrow)
        with pytest.raises(NotAllowed, match="may not see the column City"):
            operation(Selection(parse(["city=Bern"], by=ann), tuple(ids)), "mobile_phone", by=narrow)
        with pytest.raises(InvalidInput, match=r"“city” cannot be copied\. Fields for that are: email, "):
            operation(Selection(Filters(), tuple(ids)), "city", by=ann)
    assert credits.balance(by=ann).left == 6


def test_more_than_a_thousand_are_for_an_export(ann: Actor, ids: list[int]) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"email": f"x{n}@example.com"} for n in range(copies.MOST)])
        session.execute(update(users.User).values(download_limit=5000))
    for operation in (copies.copy, copies.cost):
        with pytest.raises(InvalidInput, match="Up to 1,000 contacts can be copied at a time: export them"):
            operation(Selection(Filters()), "email", by=ann)
    assert credits.balance(by=ann).used == 0
    assert copies.copy(Selection(Filters(), tuple(ids)), "email", by=OPERATOR).credits == 0
