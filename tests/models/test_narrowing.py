"""Two filters at once match what both of them match, also after the way through an address."""

from itertools import product

import pytest
from sqlalchemy import insert, select

from models import filters, narrowing
from models.contacts.table import Contact
from models.database import reading, writing
from models.errors import InvalidInput
from models.filters import Filters
from models.permissions import OPERATOR

ASKED = [
    "", "country=Germany", "country=Germany&country=France", "country.not=France", "employees.gte=20",
    "employees.gte=50", "employees.between=10,60", "employees.between=40,90", "employees.lte=60", "tags=a", "tags=b",
    "title.contains=vp&title.contains=cto", "title.contains=sales", "q=germany", "q=vp sales",
    "or1.country=Germany&or2.employees.gte=50", "or1.tags=b",
    "or1.country=France&or2.employees=10", "or1.country=France",
    "or1.tags=a&or2.title.contains=sales", "employees.empty=yes",
    "tags=a&or1.employees.lte=60&or1.country=Germany",
]  # fmt: skip


def ids(asked: Filters) -> set[int]:
    with reading() as session:
        return set(session.scalars(select(Contact.id).where(asked.condition(by=OPERATOR))))


def test_both_hold(db: str) -> None:
    rows = [
        {"country": country, "employees": employees, "title": title, "tags": tags}
        for country, employees, title, tags in product(
            ["Germany", "France", None], [10, 30, 55, None], ["VP Sales", "CTO"], [["a"], ["a", "b"], None]
        )
    ]
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), rows)
    impossible: dict[tuple[str, str], tuple[str, set[int]]] = {}
    parsed = {query: filters.parse_query(query, by=OPERATOR) for query in ASKED}
    for one, other in product(ASKED, repeat=2):
        expected = ids(parsed[one]) & ids(parsed[other])
        try:
            both = narrowing.narrowed(parsed[one], parsed[other])
        except InvalidInput as refused:
            impossible[one, other] = (refused.sentence, expected)
            continue
        assert ids(both) == expected, (one, other)
        assert ids(filters.parse_query(both.query(), by=OPERATOR)) == expected, (one, other)
    assert impossible
    lost = {asked: sentence for asked, (sentence, expected) in impossible.items() if expected}
    assert all("asked too often" in sentence for sentence in lost.values()), lost


def test_what_the_syntax_cannot_say_is_refused() -> None:
    first, second = (filters.parse_query(query, by=OPERATOR) for query in ("tags=a&or1.tags=b", "tags=c"))
    with pytest.raises(InvalidInput, match="tags is asked too often to be asked once more: write one filter in place"):
        narrowing.narrowed(first, second)


def test_what_nothing_can_match_is_said() -> None:
    one, other = (filters.parse([f"country={name}"], by=OPERATOR) for name in ("Germany", "France"))
    with pytest.raises(InvalidInput, match="No contact can match both “Country is Germany” and “Country is France”"):
        narrowing.narrowed(one, other)


def test_alternatives_do_not_multiply_without_end() -> None:
    many = filters.parse([f"or{number}.employees={number}" for number in range(1, 21)], by=OPERATOR)
    with pytest.raises(InvalidInput, match="400 alternatives; 99 are the most"):
        narrowing.narrowed(many, many)
