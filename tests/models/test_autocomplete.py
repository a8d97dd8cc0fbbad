"""Values that begin with what is typed, from statistics and indexes; never of what the person may not see."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import event, text

from deploy.embedded_postgres import Server
from models import database
from models.contacts import autocomplete
from models.database import engine, writing
from models.errors import InvalidInput, NotAllowed
from models.permissions import OPERATOR, Actor, Role

FILLED = """
    INSERT INTO industries (name, is_active) VALUES ('Software', true), ('Soap', true), ('Soot', false);
    INSERT INTO users (name, email, role, is_active) VALUES ('Zoe', 'zoe@example.com', 'admin', true),
        ('Zed', 'zed@example.com', 'admin', false);
    INSERT INTO contacts (last_name, company, email, title, country, tags, industry_id, city, keywords)
    SELECT 'Last' || n % 3000, CASE WHEN n % 2 = 0 THEN 'Acme' ELSE 'Acme ' || lpad(n::text, 5, '0') END,
        'p' || n || '@example.com', CASE WHEN n = 77 THEN 'Quartermaster' ELSE 'CEO' END,
        CASE WHEN n % 3 = 0 THEN 'Germany' ELSE 'Ghana' END, ARRAY['VIP', 'News ' || n % 4], 1,
        'Town ' || n % 2000, ARRAY['Word ' || n % 1000]
    FROM generate_series(1, 6000) AS numbered (n);
    INSERT INTO contacts (company) VALUES ('acme in small'), ('Acmf'), ('ACME');
    UPDATE contacts SET company = NULL WHERE id = 5"""


@pytest.fixture(scope="module", autouse=True)
def contacts(postgres: Server, migrated: str) -> Iterator[None]:
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "completed" TEMPLATE "{migrated}"')
        database.bind(postgres.url("completed"))
        with writing(OPERATOR) as session:
            session.execute(text(FILLED))
            session.execute(text("ANALYZE contacts"))
        yield
        database.engine().dispose()
        connection.execute('DROP DATABASE "completed" WITH (FORCE)')


def found(name: str, typed: str = "", most: int = 20, by: Actor = OPERATOR) -> list[str]:
    return autocomplete.values(name, typed, most=most, by=by)


def test_the_commonest_come_first_then_what_the_index_has() -> None:
    assert found("company", "acme", 4)[0] == "Acme"
    assert found("company", "ACME 0000", 3) == ["Acme 00001", "Acme 00003", "Acme 00007"]
    assert found("company", "acme i") == ["acme in small"]
    assert "Acmf" not in found("company", "acme", 100)
    assert found("last_name", "last299", 3) == ["Last299", "Last2990", "Last2991"]
    assert found("email", "P5990") == ["p5990@example.com"]


def test_fields_of_few_values_are_known_by_statistics() -> None:
    assert found("country", "g") == ["Ghana", "Germany"]
    assert found("tags", "news") == sorted(found("tags", "news"), key=found("tags").index)
    assert set(found("tags", "news")) == {f"News {number}" for number in range(4)}
    assert found("status", "do") == ["do not contact"]
    assert found("country", "x") == []


def test_rare_values_of_other_fields_are_found_in_a_sample() -> None:
    """Statistics know the commonest hundred of the cities, and a sample of few contacts is all of them."""
    assert found("city", "town 1999") == ["Town 1999"]
    assert found("title", "quarter") == ["Quartermaster"]
    assert found("keywords", "Word 77") == ["Word 77", *(f"Word 77{digit}" for digit in range(10))]
    assert len(found("city", most=100)) == 100


def test_industries_and_owners_are_those_in_use() -> None:
    assert found("industry", "so") == ["Soap", "Software"]
    assert found("owner", "z") == ["zoe@example.com"]


def test_a_value_of_many_contacts_is_one_step_of_the_index() -> None:
    """It goes from value to value, not from contact to contact."""
    plans: list[str] = []

    def explained(connection: object, cursor: psycopg.Cursor[object], statement: str, *_: object) -> None:
        if "RECURSIVE walk" in statement and not statement.startswith("EXPLAIN"):
            with psycopg.connect(database.libpq_url(str(database.Database.url))) as other:
                filled = statement.replace("%(typed)s", "'Acme'").replace("%(most)s", "1").replace("%%", "%")
                told = other.execute(f"EXPLAIN (ANALYZE, BUFFERS) {filled}".encode()).fetchall()
                plans.append("\n".join(str(row) for row in told))

    event.listen(engine(), "before_cursor_execute", explained)
    found("company", "Acme 0", 1)
    event.remove(engine(), "before_cursor_execute", explained)
    assert plans
    assert all("contacts_company" in plan and "Seq Scan" not in plan for plan in plans)


def test_only_what_is_visible_and_can_be_completed() -> None:
    narrow = Actor(None, "Nia", Role.ANALYST, frozenset({"country"}))
    assert found("country", "ger", by=narrow) == ["Germany"]
    with pytest.raises(NotAllowed, match="may not see the column Company"):
        found("company", "a", by=narrow)
    with pytest.raises(InvalidInput, match="There is no field “contry”"):
        found("contry")
    with pytest.raises(InvalidInput, match="no values to offer"):
        found("id")
    with pytest.raises(InvalidInput, match="Employees is a whole number"):
        found("employees", "1")
    with pytest.raises(InvalidInput, match="201 characters"):
        found("company", "a" * 201)
