"""Every number against the rows it was counted from, and against the search that a click on it leads to."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert

from models import database, filters
from models.contacts import search, statistics
from models.contacts.statistics import Statistics
from models.contacts.table import FIELDS, Contact
from models.database import writing
from models.filters import Filters
from models.industries import Industry
from models.permissions import OPERATOR, Actor, Role

NOW = datetime.now(UTC)
TODAY = datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC)
BASE = {
    "first_name": "Ada", "email": None, "email_status": None, "seniority": None, "country": None, "company": None,
    "employees": None, "annual_revenue": None, "industry_id": None, "person_linkedin_url": None, "tags": None,
}  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"email_status": "Verified", "country": "Germany", "company": "ACME", "employees": 10, "created_at": NOW},
    {"email_status": "Verified", "country": "Germany", "company": "Acme", "employees": 21, "tags": ["a", "b"],
     "created_at": TODAY - timedelta(days=6)},
    {"email_status": "verified?", "country": "Deutschland", "company": "Übermut",
     "created_at": TODAY - timedelta(days=6, microseconds=1)},
    {"country": "France", "company": "ÜBERMUT", "annual_revenue": Decimal("1000.50"), "seniority": "VP",
     "created_at": datetime(2024, 1, 31, 23, 59, 59, tzinfo=UTC)},
    {"country": "France", "annual_revenue": Decimal("2000.00"), "person_linkedin_url": "https://linkedin.com/in/x",
     "created_at": datetime(2024, 2, 1, tzinfo=UTC)},
]  # fmt: skip


@pytest.fixture
def filled(db: str) -> None:
    with writing(OPERATOR) as session:
        software = session.scalar(insert(Industry).values(name="Software").returning(Industry.id))
        session.execute(insert(Contact), [BASE | row for row in ROWS[:4]])
        session.execute(insert(Contact), [BASE | ROWS[4] | {"industry_id": software}])


def of(query: str = "", by: Actor = OPERATOR) -> Statistics:
    return search.statistics_of(filters.parse_query(query, by=by), by=by)


def test_totals_are_those_of_the_rows(filled: None) -> None:
    found = of()
    assert (found.total, found.verified, found.new) == (5, 2, 2)
    assert found.companies == 2  # ACME and Acme, Übermut and ÜBERMUT
    assert found.average_employees == Decimal("15.5")
    assert found.average_revenue == Decimal("1500.25")
    assert found.new_since == (TODAY - timedelta(days=6)).date()


def test_completeness_names_every_field(filled: None) -> None:
    found = of().filled
    assert list(found) == list(FIELDS)
    assert (found["first_name"], found["country"], found["tags"], found["industry"], found["notes"]) == (5, 5, 1, 1, 0)


def test_values_are_counted_commonest_first(filled: None) -> None:
    found = of().values
    assert list(found["country"].items()) == [("France", 2), ("Germany", 2), ("Deutschland", 1)]
    assert found["seniority"] == {"VP": 1}
    assert found["industry"] == {"Software": 1}
    assert found["email_status"] == {"Verified": 2, "verified?": 1}


def test_months_are_those_of_utc_and_none_is_left_out(filled: None) -> None:
    found = of().months
    assert (found[date(2024, 1, 1)], found[date(2024, 2, 1)], found[date(2024, 3, 1)]) == (1, 1, 0)
    assert list(found)[-1] == TODAY.date().replace(day=1)
    assert len(found) == (NOW.year - 2024) * 12 + NOW.month
    assert sum(found.values()) == 5


def test_days_of_another_session_zone_change_nothing(filled: None, db: str) -> None:
    expected = of()
    with psycopg.connect(db.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET timezone TO 'Pacific/Auckland'")
    database.bind(db)
    found = of()
    assert (found.months, found.new) == (expected.months, expected.new)


def test_a_filter_holds_for_every_number(filled: None) -> None:
    found = of("country=France")
    assert (found.total, found.new, found.verified, found.companies) == (2, 0, 0, 1)
    assert found.values["country"] == {"France": 2}
    assert sum(found.months.values()) == 2
    assert found.average_employees is None


def test_free_text_and_alternatives_filter_too(filled: None) -> None:
    assert of("q=acme").total == 2
    assert of("or1.country=France&or2.employees.gte=20").total == 3


def test_without_contacts_there_are_noughts(db: str) -> None:
    found = of()
    assert (found.total, found.new, found.companies, found.months) == (0, 0, 0, {})
    assert found.values == {"country": {}, "seniority": {}, "industry": {}, "email_status": {}}


def test_hidden_fields_are_nowhere(filled: None) -> None:
    narrow = Actor(1, "An analyst", Role.ANALYST, columns=frozenset({"first_name", "seniority"}))
    found = of(by=narrow)
    assert (found.total, list(found.filled), found.values) == (5, ["first_name", "seniority"], {"seniority": {"VP": 1}})
    assert (found.companies, found.verified, found.average_employees, found.average_revenue) == (0, 0, None, None)


def test_each_number_is_that_of_the_search_it_leads_to(filled: None) -> None:
    found = of()

    def count(query: str) -> int:
        return search.count(filters.parse_query(query, by=OPERATOR), by=OPERATOR)

    assert found.new == count(f"added.gte={found.new_since}")
    assert found.verified == count("email_status=Verified")
    assert {value: count(f"country={value}") for value in found.values["country"]} == found.values["country"]
    assert {name: count(f"{name}.empty=no") for name in FIELDS} == found.filled
    for month, added in found.months.items():
        last = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        assert count(f"added.between={month},{last}") == added


def test_many_values_are_cut_and_their_contacts_are_still_known(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MOST", 3)
    countries = ["A", "A", "B", "C", "D", "E", None]
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [BASE | {"country": country} for country in countries])
    found = of()
    assert found.values["country"] == {"A": 2, "B": 1, "C": 1}
    assert found.beyond("country") == 2


def test_many_rows_count_as_they_do_one_by_one(db: str) -> None:
    rows = [
        {
            "country": ["Germany", "France", None][number % 3],
            "seniority": ["VP", None][number % 2],
            "company": f"Company {number % 17}".upper() if number % 5 else f"Company {number % 17}",
            "employees": number if number % 4 else None,
            "created_at": NOW - timedelta(hours=number * 5),
        }
        for number in range(700)
    ]
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [BASE | row for row in rows])
    found = search.statistics_of(Filters(), by=OPERATOR)
    assert found.values["country"] == {"Germany": 234, "France": 233}
    assert found.values["seniority"] == {"VP": 350}
    assert found.companies == 17
    known = [row["employees"] for row in rows if row["employees"] is not None]
    assert found.average_employees == pytest.approx(Decimal(sum(known)) / len(known))
    months = Counter(row["created_at"].date().replace(day=1) for row in rows)  # type: ignore[attr-defined]
    assert {month: added for month, added in found.months.items() if added} == dict(months)
