"""The number of contacts that match is counted again only when it may be another one, and never when it is too late."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import func, insert, select, text

from dashboard import cached
from models import database, filters, industries, kept, kept_listener
from models.contacts import order, search
from models.contacts.table import Contact
from models.database import libpq_url, writing
from models.errors import NotAllowed, TooSlow
from models.permissions import OPERATOR, Permission, Role
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
    search._totals.drop()
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
    with psycopg.connect(libpq_url(database.Database.url or "")) as writer:
        writer.execute("INSERT INTO contacts (last_name, country) VALUES ('Late', 'Germany')")
        assert (total(), total()) == (ROWS, ROWS)
        assert len(counted) == 1, "what nobody sees yet changes no number"
    assert total() == ROWS + 1


def test_what_is_taken_back_moves_nothing(counted: list[int]) -> None:
    with psycopg.connect(libpq_url(database.Database.url or "")) as writer:
        writer.execute("DELETE FROM contacts")
        writer.rollback()
        assert total() == ROWS
    assert total() == ROWS
    assert len(counted) == 1


def test_a_transaction_that_takes_back_a_part_of_itself_moves(counted: list[int]) -> None:
    """The mark that it has moved already goes with the part in which it was set."""
    assert total() == ROWS
    with psycopg.connect(libpq_url(database.Database.url or "")) as writer:
        writer.execute("SAVEPOINT here")
        writer.execute("INSERT INTO contacts (last_name, country) VALUES ('A', 'Germany')")
        writer.execute("ROLLBACK TO here")
        writer.execute("INSERT INTO contacts (last_name, country) VALUES ('B', 'Germany')")
    assert total() == ROWS + 1


def test_a_new_name_of_an_industry_is_a_change(counted: list[int]) -> None:
    mining = industries.create("Mining", by=OPERATOR)
    execute(f"UPDATE contacts SET industry_id = {mining.id}")
    assert total("industry=Mining") == ROWS
    industries.rename(mining.id, "Quarrying", by=OPERATOR)
    assert (total("industry=Mining"), total("industry=Quarrying")) == (0, ROWS)


def test_a_new_address_of_an_owner_is_a_change(counted: list[int]) -> None:
    people.person(email="ann@example.com", name="Ann", role=Role.ADMIN, by=OPERATOR)
    execute("UPDATE contacts SET owner_id = (SELECT id FROM users)")
    assert (total("owner=ann@example.com"), total("owner=ann@example.com")) == (ROWS, ROWS)
    execute("UPDATE users SET email = 'anna@example.com'")
    assert total("owner=ann@example.com") == 0
    assert len(counted) == 2


def test_another_day_is_another_moment(db: str) -> None:
    """What is new, or lies in the future, changes at midnight, without a write."""
    now = kept.moment()
    numbers = kept.Kept[int]("test", 9)
    assert numbers.answer("new", lambda: 1, by=OPERATOR) == 1
    assert not replace(now, today=now.today + timedelta(days=1)).is_at(now)
    assert not replace(now, where=("elsewhere", *now.where[1:])).is_at(now)
    assert replace(now, moves=now.moves - 1).is_at(now), "read later than who asks: that is what he would read"
    assert not replace(now, moves=now.moves + 1).is_at(now)


def test_what_is_kept_is_bounded_and_told(db: str) -> None:
    numbers = kept.Kept[int]("test", 2)
    for number in (0, 1, 2, 1, 0):
        assert numbers.answer(number, lambda number=number: number, by=OPERATOR) == number
    assert kept.tallies()["test"] == kept.Tally(hits=1, misses=4, kept=2)
    kept.drop(kept.moment())
    assert numbers.tally().kept == 2
    add("A")
    kept.drop(kept.moment())
    assert numbers.tally().kept == 0


def test_what_fails_is_not_kept(db: str) -> None:
    numbers = kept.Kept[int]("test", 2)

    def fail() -> int:
        raise TooSlow(seconds=1)

    with pytest.raises(TooSlow):
        numbers.answer("slow", fail, by=OPERATOR)
    assert numbers.answer("slow", lambda: 1, by=OPERATOR) == 1


def test_who_asks_the_same_at_once_waits_for_one(db: str) -> None:
    numbers, reads = kept.Kept[int]("test", 2), []

    def read() -> int:
        reads.append(1)
        time.sleep(0.2)
        return 7

    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda _: numbers.answer("slow", read, by=OPERATOR), range(5)))
    assert (answers, len(reads)) == ([7] * 5, 1)


def test_moves_are_added_up_and_stay_as_many(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_ROWS", 3)
    moments = [kept.moment()]
    for number in range(9):
        add(f"Person {number}")
        with database.reading() as session:
            assert kept.moment_of(session).moves == moments[-1].moves + 1
            moments.append(kept.moment())
            assert kept.moment_of(session) == moments[-1], "its snapshot is that of before"
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(kept.ContactMove)) <= 4


def test_who_has_not_ended_when_others_are_added_up_moves_as_well(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_ROWS", 0)
    with psycopg.connect(libpq_url(database.Database.url or "")) as early:
        early.execute("INSERT INTO contacts (last_name) VALUES ('Early')")
        for name in "abc":
            add(name)
            kept.moment()
        before = kept.moment().moves
    assert kept.moment().moves == before + 1
    assert kept.moment().moves == before + 1, "added up once more"


def test_many_write_ask_and_add_up_at_once(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_ROWS", 5)

    def work(worker: int) -> list[int]:
        moves = []
        for number in range(30):
            add(f"{worker} {number}")
            moves.append(kept.moment().moves)
        return moves

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(work, range(4)))
    assert kept.moment().moves == 4 * 30
    assert all(one == sorted(set(one)) for one in found), "each write of one's own is one more at least"


def test_the_look_reads_nothing_of_what_was_added_up_while_somebody_holds_a_snapshot(db: str) -> None:
    with database.reading() as old:
        kept.moment_of(old)
        for _ in range(20):
            execute("INSERT INTO contact_moves (moves) SELECT 1 FROM generate_series(1, 1000)")
            kept.moment()
        with database.reading() as session:
            [[plan]] = session.execute(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {kept.MOMENT}"))
        assert plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] < 50
        assert kept.moment().moves == 20_000
        assert kept.moment_of(old).moves == 0


def test_where_many_write_and_nobody_asks_whoever_listens_adds_up(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_ROWS", 3)
    for name in "abcdef":
        add(name)

    def rows() -> list[int]:
        with database.reading() as session:
            return list(session.scalars(select(kept.ContactMove.moves)))

    assert rows() == [1] * 6
    deadline = time.monotonic() + 20
    with kept_listener.listening():
        while len(rows()) > 1 and time.monotonic() < deadline:
            time.sleep(0.1)
    assert rows() == [6]


@pytest.mark.parametrize("began", ["pg_postmaster_start_time() - interval '1 day'", "NULL"])
def test_a_sum_that_another_server_wrote_hides_nothing(db: str, began: str) -> None:
    """Its transactions had other numbers, which a restored database brings along."""
    execute(f"INSERT INTO contact_moves (moves, ended_before, server_began) VALUES (7, 4000000000000, {began})")
    assert kept.moment().moves == 7
    add("A")
    assert kept.moment().moves == 8


def test_a_transaction_moves_once(db: str) -> None:
    before = kept.moment().moves
    with writing(OPERATOR) as session:
        for name in "abc":
            session.execute(insert(Contact), [{"last_name": name}])
        session.execute(text("UPDATE contacts SET country = 'France'"))
        assert session.scalar(select(func.count()).select_from(kept.ContactMove)) == 1
    assert kept.moment().moves == before + 1


EYES = (
    replace(OPERATOR, id=1),
    replace(OPERATOR, id=2, columns=frozenset({"last_name", "country"})),
    replace(OPERATOR, id=3, columns=frozenset({"last_name", "title"})),
    replace(OPERATOR, id=4, role=Role.ANALYST),
    replace(OPERATOR, id=5, scopes=frozenset({Permission.CONTACTS_READ.scope})),
)


def test_people_who_see_or_may_something_else_never_share_an_answer(db: str) -> None:
    whose = kept.Kept[int | None]("test", 99)
    for one in EYES:
        assert whose.answer("the same", lambda one=one: one.id, by=one) == one.id
    for one in EYES:
        assert whose.answer("the same", lambda: None, by=replace(one, id=9, name="Another")) == one.id
    assert whose.tally() == kept.Tally(hits=len(EYES), misses=len(EYES), kept=len(EYES))


def test_what_is_kept_of_who_sees_more_is_given_to_nobody_else(counted: list[int]) -> None:
    whole, narrow = EYES[0], EYES[2]
    none = replace(OPERATOR, scopes=frozenset({"account"}))
    assert cached.facet(filters.Filters(), "country", by=whole) == {"Germany": ROWS}
    assert "country" in cached.statistics(filters.Filters(), by=whole).filled
    assert set(cached.statistics(filters.Filters(), by=narrow).filled) == {"last_name", "title"}
    for refused in (narrow, none):
        with pytest.raises(NotAllowed):
            cached.facet(filters.Filters(), "country", by=refused)
        with pytest.raises(NotAllowed):
            cached.values("country", by=refused)
    assert cached.everything(by=whole) == ROWS
    with pytest.raises(NotAllowed):
        cached.everything(by=none)
