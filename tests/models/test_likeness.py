import pytest
from sqlalchemy import insert

from models.contacts.likeness import Alike, alike
from models.contacts.table import Contact
from models.database import writing
from models.permissions import OPERATOR, Actor, Role

ROWS = [
    {"first_name": "Zoë", "last_name": "Müller", "company": "Acme", "email": "zoe@example.com", "contact_id": "c1",
     "title": "CEO"},
    {"first_name": "ZOË", "last_name": "MÜLLER", "company": "ACME", "email": "z@example.com"},
    {"first_name": "Jo", "company": "Acme", "person_linkedin_url": "https://www.linkedin.com/in/Jo"},
    {"first_name": "Zoë", "last_name": "Müller", "company": "Other"},
]  # fmt: skip


@pytest.fixture
def ids(db: str) -> list[int]:
    with writing(OPERATOR) as session:
        return [session.scalars(insert(Contact).returning(Contact.id).values(**row)).one() for row in ROWS]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"email": " ZOE@Example.com "}, {0: "same e-mail"}),
        ({"person_linkedin_url": "linkedin.com/in/jo/"}, {2: "same LinkedIn"}),
        ({"contact_id": "c1"}, {0: "same external id"}),
        ({"contact_id": "C1"}, {}),
        (
            {"first_name": "zoë", "last_name": "müller", "company": "acme"},
            {0: "same name and company", 1: "same name and company"},
        ),
        ({"first_name": "jo", "company": "ACME"}, {2: "same name and company"}),
        ({"first_name": "Zoë", "last_name": "Müller"}, {}),
        ({"company": "Acme"}, {}),
        (
            {"email": "zoe@example.com", "first_name": "Zoë", "last_name": "Müller", "company": "Acme"},
            {0: "same e-mail, same name and company", 1: "same name and company"},
        ),
        ({"email": "zoe@"}, {}),
        ({}, {}),
    ],
)
def test_who_is_alike_and_why(ids: list[int], texts: dict[str, str], expected: dict[int, str]) -> None:
    assert {ids.index(one.id): one.reason for one in alike(texts, by=OPERATOR)} == expected


def test_oneself_is_not_alike(ids: list[int]) -> None:
    assert alike({"email": "zoe@example.com"}, besides=ids[0], by=OPERATOR) == []


def test_what_tells_people_apart_is_told(ids: list[int]) -> None:
    [found] = alike({"contact_id": "c1"}, by=OPERATOR)
    assert (found.name, found.title, found.company, found.email) == ("Zoë Müller", "CEO", "Acme", "zoe@example.com")


def test_no_more_than_five(ids: list[int]) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"email": "info@example.com"} for _ in range(9)])
    assert len(alike({"email": "info@example.com"}, by=OPERATOR)) == 5


def test_only_what_one_may_see_is_compared_and_told(ids: list[int]) -> None:
    narrow = Actor(1, "Nia", Role.MANAGER, frozenset({"email"}))
    texts = {"email": "zoe@example.com", "first_name": "Zoë", "last_name": "Müller", "company": "Acme"}
    assert alike(texts, by=narrow) == [Alike(ids[0], "zoe@example.com", None, None, "zoe@example.com", "same e-mail")]
    assert alike(texts, by=Actor(1, "Nia", Role.MANAGER, frozenset({"title"}))) == []
