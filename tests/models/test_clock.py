"""The number of contacts that match is counted again only when it may be another one, and never when it is too late."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import insert

from models import database, filters, industries
from models.contacts import clock, order, search
from models.contacts.table import Contact
from models.database import libpq_url, writing
from models.permissions import OPERATOR, Role
from tests import people

ROWS = 40


@pytest.fixture
def counted(db: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each time that a long list is counted; all lists are taken for long ones."""
    numbers: list[int] = []
    count = order._count

    def counting(*given: object) -> int:
        numbers.append(count(*given))  # type: ignore[arg-type]
        return numbers[-1]

    monkeypatch.setattr(order, "are_few", lambda *_: False)
    monkeypatch.setattr(order, "FEW", 0)
    monkeypatch.setattr(order, "_count", counting)
    monkeypatch.setattr(search, "_totals", clock.Kept())
    add(*(f"Person {number}" for number in range(ROWS)))
    return numbers


def add(*names: str) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"last_name": name, "country": "Germany"} for name in names])


def total(query: str = "country=Germany", page: int = 1) -> int:
    return search.page(filters.parse_query(query, by=OPERATOR), number=page, size=5, by=OPERATOR).total


def test_a_list_is_counted_once_while_nobody_changes_contacts(counted: list[int]) -> None:
    assert [total(page=number) for number in (1, 2, 8, 1)] == [ROWS] * 4
    assert total("country=France") == 0
    assert total() == ROWS
    assert counted == [ROWS, 0]


def test_pages_are_the_same_with_the_number_known(counted: list[int]) -> None:
    def ids(page: int) -> list[int]:
        found = search.page(filters.Filters(), sort="last_name", number=page, size=7, by=OPERATOR)
        return [row["id"] for row in found.rows]

    first = [ids(page) for page in range(1, 8)]
    assert [ids(page) for page in range(1, 8)] == first
    assert len({one for page in first for one in page}) == ROWS


@pytest.mark.parametrize(
    "change",
    [
        lambda: add("Another"),
        lambda: execute("UPDATE contacts SET country = 'France' WHERE id = (SELECT min(id) FROM contacts)"),
        lambda: execute("DELETE FROM contacts WHERE id = (SELECT min(id) FROM contacts)"),
        lambda: execute("TRUNCATE contacts"),
    ],
)
def test_a_change_is_counted_at_once(counted: list[int], change: Callable[[], None]) -> None:
    before = total()
    change()
    assert total() != before
    assert len(counted) == 2


def execute(statement: str) -> None:
    with psycopg.connect(libpq_url(database.Database.url or ""), autocommit=True) as connection:
        connection.execute(statement.encode())


def test_what_is_written_while_somebody_counts_is_not_missed_afterwards(counted: list[int]) -> None:
    """The clock has moved before the list is counted, and does not move again when the change can be seen."""
    with psycopg.connect(libpq_url(database.Database.url or "")) as writer:
        writer.execute("INSERT INTO contacts (last_name, country) VALUES ('Late', 'Germany')")
        assert not clock.moment().quiet
        assert total() == ROWS
    assert clock.moment().quiet
    assert total() == ROWS + 1


def test_a_lock_alone_keeps_a_number_from_being_kept(counted: list[int]) -> None:
    """Whoever has it may be about to move the clock, or has moved it."""
    with psycopg.connect(libpq_url(database.Database.url or "")) as writer:
        writer.execute("LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE")
        assert (total(), total()) == (ROWS, ROWS)
    assert len(counted) == 2


def test_a_new_name_of_an_industry_is_a_change(counted: list[int]) -> None:
    mining = industries.create("Mining", by=OPERATOR)
    execute(f"UPDATE contacts SET industry_id = {mining.id}")
    assert total("industry=Mining") == ROWS
    industries.rename(mining.id, "Quarrying", by=OPERATOR)
    assert (total("industry=Mining"), total("industry=Quarrying")) == (0, ROWS)


def test_owners_are_counted_each_time(counted: list[int]) -> None:
    """A person may get another address, of which the contacts' clock knows nothing."""
    people.person(email="ann@example.com", name="Ann", role=Role.ADMIN, by=OPERATOR)
    execute("UPDATE contacts SET owner_id = (SELECT id FROM users)")
    assert total("owner=ann@example.com") == ROWS
    execute("UPDATE users SET email = 'anna@example.com'")
    assert total("owner=ann@example.com") == 0


def test_what_is_kept_is_bounded(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "MOST_KEPT", 2)
    kept, now = clock.Kept(), clock.moment()
    for number in range(3):
        kept.put(number, number, now)
    with database.reading() as session:
        assert [kept.get(number, session) for number in range(3)] == [None, 1, 2]


def test_the_clock_moves_with_every_change(db: str) -> None:
    moments = [clock.moment().at]
    for name in ("A", "B"):
        add(name)
        moments.append(clock.moment().at)
    assert len(set(moments)) == 3
